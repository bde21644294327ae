/* `starlane explain`: what a ledger knows, as JSON, and that as text. */
#ifndef SL_SDK_EXPLAIN_H
#define SL_SDK_EXPLAIN_H

#include <jansson.h>

#include "actors/scheduler/ledger_reader.h"
#include "runtime/strbuf.h"

/* A new reference: everything about the task `name`, or about the run. `live`: a process holds the
 * run's directory. */
sl_err sl_explain_task(sl_ledger_reader *reader, const char *name, bool live,
                       json_t **out) SL_CHECKED;
sl_err sl_explain_run(sl_ledger_reader *reader, bool live, json_t **out) SL_CHECKED;

/* Why a task with no result has none, in words; see explain_why.c. Sets "why" and, where it waits
 * for tasks, "waits_for". */
sl_err sl_explain_why(sl_ledger_reader *reader, const sl_ledger_entry *entry, bool live,
                      json_t *task) SL_CHECKED;

void sl_explain_task_text(const json_t *task, sl_strbuf *out);
void sl_explain_run_text(const json_t *run, sl_strbuf *out);

#endif
