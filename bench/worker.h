/* The executor of a benchmark's worker node, and what it is to run. */
#ifndef SL_BENCH_WORKER_H
#define SL_BENCH_WORKER_H

#include "runtime/node.h"

typedef struct worker worker;

/* Starts an executor on `node` with so many cores; with `commands` it can run programs, and in any
 * case the function "noop" (16 bytes in, 16 bytes out). */
worker *worker_create(sl_node *node, uint32_t cores, bool commands);

/* After the loop has ended, before the node goes. */
void worker_destroy(worker *w);

/* What a task is to run. Payloads are encoded into `payload` of `capacity` bytes; the length is
 * returned. */
uint32_t worker_noop(uint8_t *payload, uint32_t capacity);
uint32_t worker_command(const char *const *argv, uint8_t *payload, uint32_t capacity);

/* The kinds of these payloads, as scheduler_task.kind has them. */
uint8_t worker_kind(bool command);

#endif
