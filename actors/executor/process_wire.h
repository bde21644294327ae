/* How a node and its spawners talk: packets on a Unix socket pair, whole or not at all.
 *
 * A request carries a command's spec, and its standard input as a descriptor; a reply its result.
 * Both ends are of one build (the spawner checks it at its start). */
#ifndef SL_ACTORS_EXECUTOR_PROCESS_WIRE_H
#define SL_ACTORS_EXECUTOR_PROCESS_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "actors/executor/process.h"

/* Change it with any of the structs below, sl_process_result, or the encoding. */
#define SL_SPAWNER_WIRE_VERSION "2"

/* A spec of more bytes is refused: Linux takes no larger argument list by default. */
#define SL_SPAWNER_SPEC_MAX_BYTES (8u << 20)

typedef enum sl_spawner_order {
    SL_SPAWNER_RUN = 1,
    SL_SPAWNER_CANCEL = 2,
    SL_SPAWNER_RECALL = 3 /* if it has not started: answered WITHDRAWN, else not at all */
} sl_spawner_order;

/* A request to a spawner. `handle` is the node's name for the command, never reused.
 *
 * A command that comes `after` another one starts once that one's reply is in the socket, and not
 * before: a node that finds no such reply knows that it never started. */
typedef struct sl_spawner_request {
    uint64_t handle;
    uint64_t after;      /* with SL_SPAWNER_RUN; 0, or a handle that is not known: starts at once */
    uint32_t order;      /* sl_spawner_order */
    uint32_t spec_bytes; /* of an encoded spec, with SL_SPAWNER_RUN */
} sl_spawner_request;

typedef struct sl_spawner_reply {
    uint64_t handle;
    sl_process_result result;
} sl_spawner_reply;

/* A spec as one run of bytes (free() it), without its standard input's bytes. SL_ERR_TOO_LARGE,
 * SL_ERR_NO_MEMORY. */
sl_err sl_process_spec_encode(const sl_process_spec *spec, unsigned char **bytes,
                              size_t *size) SL_CHECKED;

/* The reverse, every length checked: SL_ERR_DECODE. The strings lie in `bytes`, which must outlive
 * `spec`; free() `*arrays`, which holds the rest. */
sl_err sl_process_spec_decode(const unsigned char *bytes, size_t size, sl_process_spec *spec,
                              void **arrays) SL_CHECKED;

/* Two ends of a new pair, both close-on-exec. SL_ERR_IO. */
sl_err sl_spawner_pair(int ends[2]) SL_CHECKED;

/* Sends one request; never blocks. `spec` has request->spec_bytes bytes; `stdin_fd` < 0: none, else
 * the receiver gets a copy. SL_ERR_AGAIN: no room now; SL_ERR_CLOSED: the spawner is gone;
 * SL_ERR_IO. */
sl_err sl_spawner_send_request(int socket, const sl_spawner_request *request,
                               const unsigned char *spec, int stdin_fd) SL_CHECKED;

/* Receives one; never blocks. `spec` (free() it; NULL for none) and `stdin_fd` (close it; -1 for
 * none) are the caller's. SL_ERR_AGAIN, SL_ERR_CLOSED, SL_ERR_DECODE, SL_ERR_NO_MEMORY, SL_ERR_IO.
 */
sl_err sl_spawner_receive_request(int socket, sl_spawner_request *request, unsigned char **spec,
                                  int *stdin_fd) SL_CHECKED;

/* One reply, the same way. */
sl_err sl_spawner_send_reply(int socket, const sl_spawner_reply *reply) SL_CHECKED;
sl_err sl_spawner_receive_reply(int socket, sl_spawner_reply *reply) SL_CHECKED;

#endif
