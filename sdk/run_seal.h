/* A run whose tasks are sealed (option `sealed`): the first rank, or who is connected, is their
 * client. Between it and the node that runs a task, and in the run's ledger, is nothing but
 * envelopes; tasks.jsonl is sealed to the client itself, so that the run can be resumed; the
 * outputs, which are the client's, are written in the clear where they always are.
 *
 * Sealing and opening takes too long for a loop: in the job one thread does both, and tells the
 * driver by events. Over a connection (sdk/remote_run.c) the thread that drives the run does, and
 * of what follows only the keys and the lines of files are used. */
#ifndef SL_SDK_RUN_SEAL_H
#define SL_SDK_RUN_SEAL_H

#include "actors/secure/wire.h"
#include "sdk/run.h"

/* The kinds of the driver's events that come of it. */
enum { SL_RUN_SEALED = 1, SL_RUN_OPENED = 2 };

/* Opens the client's keys, if the options ask for it: run->seal. Before tasks are read. Nodes are
 * learned from `source`; NULL: from the run's network. */
struct sl_seal_source;
sl_err sl_run_seal_open(sl_run_state *run, const struct sl_seal_source *source) SL_CHECKED;

/* How the run's tasks are sealed; NULL: they are not. */
const struct sl_seal *sl_run_seal_how(const sl_run_state *run);

/* Refuses tasks that cannot be sealed. Once they are read. */
sl_err sl_run_seal_check(const sl_run_state *run) SL_CHECKED;

/* When the loop has ended and before its node is gone: nothing is under way any more. */
void sl_run_seal_stop(sl_run_state *run);
void sl_run_seal_close(sl_run_state *run);

/* A task as tasks.jsonl has it, and as the ledger has it; sealed or not, as the run is. Failures
 * stay in `out`, which is cleared first, but those of sealing. */
sl_err sl_run_stored_line(sl_run_state *run, uint32_t task, sl_strbuf *out) SL_CHECKED;
void sl_run_ledger_line(sl_run_state *run, uint32_t task, sl_strbuf *out);

/* What sl_run_stored_line() sealed, back in the clear: `*plain` is to be freed; NULL: the line is
 * not sealed. */
sl_err sl_run_unseal_line(sl_run_state *run, const char *text, size_t length, char **plain,
                          size_t *bytes) SL_CHECKED;

/* The bytes of a task's envelope; 0 before it has one. */
uint64_t sl_run_seal_bytes(const sl_run_state *run, uint32_t task);

/* Seals the payloads of a batch, or as many of the first as are not too large together; then its
 * event comes. */
void sl_run_seal_batch(sl_run_state *run, sl_run_batch *batch);

/* Opens a result and writes the outputs; then an event comes, for sl_run_seal_opened(). SL_ERR_…:
 * not under way. */
sl_err sl_run_seal_result(sl_run_state *run, const scheduler_outcome *outcome,
                          sl_blob *apart) SL_CHECKED;

/* A result that was opened. */
typedef struct sl_run_opened {
    sl_event event; /* first */
    struct sl_run_opened *next;
    uint32_t task;
    scheduler_outcome outcome; /* without texts and bytes */
    sl_part wire;              /* behind this struct */
    sl_blob *apart;
    bool command;
    uint64_t stdout_bytes;
    char message[1024]; /* "": none */
} sl_run_opened;
void sl_run_opened_free(sl_run_opened *opened);

/* ---- over a connection (remote_run_seal.c) ---- */

/* A command as a future that `teller` is told of; `options` say how it is sealed. NULL, with an
 * error. */
struct sl_remote_teller;
sl_future *sl_run_seal_submit(sl_remote *remote, const sl_task_spec *spec, sl_part input,
                              const sl_task_options *options,
                              const struct sl_remote_teller *teller);

/* Of a future that was sealed and has ended: into the result what the node says of how, and into
 * the output directory what a command wrote. */
void sl_run_seal_take(sl_run_state *run, sl_future *future, sl_task_result *result);

#endif
