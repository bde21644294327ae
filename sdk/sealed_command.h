/* A sealed command, run on the pool thread that opened it. Its command line and environment go to
 * the spawner as any command's do; what it reads and writes goes through pipes, so that nothing of
 * it is in a file. What it wrote is held until it has ended, in blocks that are sealed one by one.
 */
#ifndef SL_SDK_SEALED_COMMAND_H
#define SL_SDK_SEALED_COMMAND_H

#include "actors/executor/functions.h"
#include "actors/executor/minder.h"
#include "sdk/sealed_body.h"

/* How it ended, as the first section of SL_BODY_ENDED has it, with `message` behind. */
typedef struct sl_ended {
    uint32_t status; /* sl_process_status */
    int32_t exit_code;
    int32_t signal;
    uint64_t user_us, system_us, max_rss_bytes;
    sl_part message;
} sl_ended;

enum { SL_ENDED_BYTES = 36 };

void sl_ended_write(const sl_ended *ended, uint8_t out[SL_ENDED_BYTES]);
sl_err sl_ended_read(sl_part section, sl_ended *ended) SL_CHECKED;

/* "exit code 3", …: why a command that did so did not succeed. Returns `text`. */
const char *sl_ended_say(const sl_ended *ended, char *text, size_t size);

/* What a command wrote, in blocks. */
typedef struct sl_written {
    struct sl_written_block *first, *last;
    size_t bytes, blocks;
} sl_written;

typedef struct sl_command_run {
    sl_process_result result;
    sl_written out, err;
} sl_command_run;

/* Runs `record` (executor_command, encoded) with `input` on the node's minder until it has ended,
 * is no longer wanted (facts->cancelled), or wrote too much. SL_OK when it ran, however it ended.
 */
sl_err sl_sealed_command_run(sl_minder *minder, const sl_task_facts *facts, sl_part record,
                             sl_part input, sl_command_run *run) SL_CHECKED;

/* The blocks as parts, one behind the other; `parts` has room for `blocks`. */
void sl_written_parts(const sl_written *written, sl_part *parts);

/* Wipes, unless all of it was sealed as what is consumed, and frees. */
void sl_command_run_fini(sl_command_run *run, bool sealed);

#endif
