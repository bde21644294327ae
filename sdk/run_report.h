/* What a run leaves for people and programs: results.jsonl, summary.json, the joblog.
 *
 * results.jsonl has one object per finished task, in the order in which they ended, with exactly
 * these fields: name, status ("done", "failed", "cancelled", "skipped"), exit_code (null: it has
 * none, as when a signal ended it), signal (null: none), attempts, rank (null: it ran nowhere),
 * host, region, start_s and end_s (seconds since 1970 of the last attempt; null: never started),
 * user_s, sys_s, max_rss_bytes. */
#ifndef SL_SDK_RUN_REPORT_H
#define SL_SDK_RUN_REPORT_H

#include <stdint.h>

#include "runtime/err.h"
#include "runtime/strbuf.h"
#include "sdk/line_log.h"

typedef enum sl_result_status {
    SL_RESULT_DONE,
    SL_RESULT_FAILED,
    SL_RESULT_CANCELLED,
    SL_RESULT_SKIPPED, /* a task it comes after did not end well */
    SL_RESULT_STATUSES
} sl_result_status;

/* "done" …; the words of the ledger's states. Static storage. */
const char *sl_result_status_name(sl_result_status status);

/* A finished task. Strings are borrowed for the call. */
typedef struct sl_task_result {
    const char *name;
    const char *host;    /* or NULL */
    const char *region;  /* or NULL */
    const char *message; /* for a person, or NULL; in the ledger, not in results.jsonl */
    sl_result_status status;
    int32_t exit_code; /* -1: none */
    int32_t signal;    /* 0: none */
    int32_t rank;      /* -1: it ran nowhere */
    uint32_t attempts;
    double start_s; /* 0: never started */
    double end_s;
    double user_s;
    double sys_s;
    uint64_t max_rss_bytes;
    uint64_t stdout_bytes; /* for the joblog's Receive; 0 when not known */
} sl_task_result;

/* Appends the line of results.jsonl, LF included. */
void sl_result_write(sl_strbuf *out, const sl_task_result *result);

/* ---- GNU parallel's joblog ---- */

#define SL_JOBLOG_HEADER                                                                           \
    "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n"

/* Appends the joblog's line of a task: `seq` counts from 1, `command` is from
 * sl_task_spec_command_text(), its newlines become NULs as parallel's do. Appends nothing for a
 * task that never started, which parallel does not log either. A task that failed though its
 * command ended with 0 (a timeout it survived, say) has Exitval -1: `--resume-failed` counts on it.
 */
void sl_joblog_write(sl_strbuf *out, uint64_t seq, const sl_task_result *result,
                     const char *command);

/* Starts the joblog at `path`, or appends to it when `path` begins with '+', as parallel does. */
sl_err sl_joblog_open(sl_line_log *log, const char *path, const sl_clock *clock) SL_CHECKED;

/* ---- summary ---- */

typedef struct sl_rank_summary {
    const char *host;   /* borrowed until the summary is written; or NULL */
    const char *region; /* or NULL */
    uint32_t cores;     /* offered to tasks */
    uint64_t tasks;     /* attempts that ended here */
    double core_s;      /* cores granted x seconds, over those attempts */
} sl_rank_summary;

/* Zeroed storage with `ranks` set is a summary of nothing. Results of an earlier session of a
 * resumed run count as tasks but not in rates and busy fractions, which are this session's. */
typedef struct sl_run_summary {
    sl_rank_summary *ranks; /* borrowed, `rank_count` of them */
    uint32_t rank_count;
    uint64_t tasks; /* of the whole list */
    uint64_t statuses[SL_RESULT_STATUSES];
    uint64_t earlier;  /* of these, finished by an earlier session */
    uint64_t attempts; /* of this session */
    double started_s;  /* of this session, seconds since 1970 */
    double took_s;     /* the session, by the clock that nobody sets */
    const char *version;
    const char *reason; /* how it ended: "finished", "interrupted", "requeue" */
} sl_run_summary;

/* Counts a finished task. */
void sl_summary_result(sl_run_summary *summary, sl_result_status status, bool earlier);

/* Counts an attempt of this session that ended on `rank` after holding `cpus` cores. Ranks out of
 * range are counted without a place. */
void sl_summary_attempt(sl_run_summary *summary, int32_t rank, uint32_t cpus, double start_s,
                        double end_s);

/* busy = core-seconds of tasks / (cores x makespan), 0 when either is 0. */
double sl_summary_busy_fraction(const sl_run_summary *summary, uint32_t rank);

/* Appends summary.json's object: version, tasks, failed, done, cancelled, skipped, unfinished,
 * earlier, attempts, reason, started, ended (UTC, ISO 8601), makespan_s, tasks_per_s, and `ranks`
 * with rank, host, region, cores, tasks and busy_fraction of each. */
void sl_summary_write(sl_strbuf *out, const sl_run_summary *summary);

/* Writes it as summary.json into `dir_fd`, whole or not at all. SL_ERR_IO. */
sl_err sl_summary_save(int dir_fd, const sl_run_summary *summary) SL_CHECKED;

#endif
