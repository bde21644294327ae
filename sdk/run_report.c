#include "sdk/run_report.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "sdk/atomic_file.h"

#define JOBLOG_LINGER_NS SL_NS_PER_S

const char *sl_result_status_name(sl_result_status status) {
    static const char *const names[SL_RESULT_STATUSES] = {"done", "failed", "cancelled", "skipped"};
    return (unsigned)status < SL_RESULT_STATUSES ? names[status] : "unknown";
}

/* ---- results ---- */

static void write_optional(sl_strbuf *out, const char *key, int64_t value, int64_t none) {
    if (value == none)
        sl_strbuf_printf(out, ",\"%s\":null", key);
    else
        sl_strbuf_printf(out, ",\"%s\":%lld", key, (long long)value);
}

static void write_text(sl_strbuf *out, const char *key, const char *text) {
    sl_strbuf_printf(out, ",\"%s\":", key);
    sl_strbuf_json(out, text);
}

/* Microseconds are what the clock means; more digits would be noise. */
static void write_seconds(sl_strbuf *out, const char *key, double seconds) {
    sl_strbuf_printf(out, ",\"%s\":%.6f", key, seconds);
}

static void write_moment(sl_strbuf *out, const char *key, double wall_s) {
    if (wall_s > 0)
        write_seconds(out, key, wall_s);
    else
        sl_strbuf_printf(out, ",\"%s\":null", key);
}

void sl_result_write(sl_strbuf *out, const sl_task_result *result) {
    sl_strbuf_append(out, "{\"name\":");
    sl_strbuf_json(out, result->name);
    sl_strbuf_printf(out, ",\"status\":\"%s\"", sl_result_status_name(result->status));
    write_optional(out, "exit_code", result->exit_code, -1);
    write_optional(out, "signal", result->signal, 0);
    sl_strbuf_printf(out, ",\"attempts\":%u", result->attempts);
    write_optional(out, "rank", result->rank, -1);
    write_text(out, "host", result->host);
    write_text(out, "region", result->region);
    write_moment(out, "start_s", result->start_s);
    write_moment(out, "end_s", result->start_s > 0 ? result->end_s : 0);
    write_seconds(out, "user_s", result->user_s);
    write_seconds(out, "sys_s", result->sys_s);
    sl_strbuf_printf(out, ",\"max_rss_bytes\":%llu}\n", (unsigned long long)result->max_rss_bytes);
}

/* ---- joblog ---- */

static int32_t joblog_exit(const sl_task_result *result) {
    if (result->status == SL_RESULT_DONE)
        return 0;
    if (result->exit_code > 0)
        return result->exit_code;
    return result->signal > 0 ? 0 : -1;
}

/* A field must not end early: tabs and newlines of a host name become spaces. */
static void joblog_host(sl_strbuf *out, const char *host) {
    for (const char *c = host && *host ? host : ":"; *c != '\0'; c++)
        sl_strbuf_append_char(out, (unsigned char)*c < 0x20 ? ' ' : *c);
}

void sl_joblog_write(sl_strbuf *out, uint64_t seq, const sl_task_result *result,
                     const char *command) {
    if (!(result->start_s > 0))
        return;
    sl_strbuf_printf(out, "%llu\t", (unsigned long long)seq);
    joblog_host(out, result->host);
    sl_strbuf_printf(out, "\t%.3f\t%10.3f\t0\t%llu\t%d\t%d\t", result->start_s,
                     result->end_s - result->start_s, (unsigned long long)result->stdout_bytes,
                     joblog_exit(result), result->signal);
    for (const char *rest = command; *rest != '\0';) {
        size_t run = strcspn(rest, "\n");
        sl_strbuf_append_bytes(out, rest, run);
        rest += run;
        if (*rest == '\n') {
            sl_strbuf_append_bytes(out, "", 1);
            rest++;
        }
    }
    sl_strbuf_append_char(out, '\n');
}

sl_err sl_joblog_open(sl_line_log *log, const char *path, const sl_clock *clock) {
    bool empty = true;
    if (path[0] == '+')
        SL_TRY(sl_line_log_append_to(log, AT_FDCWD, path + 1, JOBLOG_LINGER_NS, clock, &empty));
    else
        SL_TRY(sl_line_log_create(log, AT_FDCWD, path, JOBLOG_LINGER_NS, clock));
    return empty ? sl_line_log_add(log, SL_JOBLOG_HEADER, strlen(SL_JOBLOG_HEADER)) : SL_OK;
}

/* ---- summary ---- */

void sl_summary_result(sl_run_summary *summary, sl_result_status status, bool earlier) {
    summary->statuses[status]++;
    summary->earlier += earlier;
}

void sl_summary_attempt(sl_run_summary *summary, int32_t rank, uint32_t cpus, double start_s,
                        double end_s) {
    summary->attempts++;
    if (rank < 0 || (uint32_t)rank >= summary->rank_count)
        return;
    summary->ranks[rank].tasks++;
    if (end_s > start_s)
        summary->ranks[rank].core_s += cpus * (end_s - start_s);
}

double sl_summary_busy_fraction(const sl_run_summary *summary, uint32_t rank) {
    double offered = summary->ranks[rank].cores * summary->took_s;
    return offered > 0 ? summary->ranks[rank].core_s / offered : 0;
}

static void write_utc(sl_strbuf *out, const char *key, double wall_s) {
    char text[32];
    struct tm parts;
    time_t seconds = (time_t)wall_s;
    if (!gmtime_r(&seconds, &parts) ||
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        text[0] = '\0';
    sl_strbuf_printf(out, ",\n  \"%s\": \"%s\"", key, text);
}

static void write_count(sl_strbuf *out, const char *key, uint64_t count) {
    sl_strbuf_printf(out, ",\n  \"%s\": %llu", key, (unsigned long long)count);
}

static void write_rank(sl_strbuf *out, const sl_run_summary *summary, uint32_t rank) {
    const sl_rank_summary *of = &summary->ranks[rank];
    sl_strbuf_printf(out, "%s\n    {\"rank\": %u, \"host\": ", rank ? "," : "", rank);
    sl_strbuf_json(out, of->host);
    sl_strbuf_append(out, ", \"region\": ");
    sl_strbuf_json(out, of->region);
    sl_strbuf_printf(out, ", \"cores\": %u, \"tasks\": %llu, \"busy_fraction\": %.4f}", of->cores,
                     (unsigned long long)of->tasks, sl_summary_busy_fraction(summary, rank));
}

void sl_summary_write(sl_strbuf *out, const sl_run_summary *summary) {
    uint64_t finished = 0;
    double seconds = summary->took_s;
    for (unsigned i = 0; i < SL_RESULT_STATUSES; i++)
        finished += summary->statuses[i];
    sl_strbuf_append(out, "{\n  \"version\": ");
    sl_strbuf_json(out, summary->version);
    write_count(out, "tasks", summary->tasks);
    for (unsigned i = 0; i < SL_RESULT_STATUSES; i++)
        write_count(out, sl_result_status_name((sl_result_status)i), summary->statuses[i]);
    write_count(out, "unfinished", summary->tasks > finished ? summary->tasks - finished : 0);
    write_count(out, "earlier", summary->earlier);
    write_count(out, "attempts", summary->attempts);
    sl_strbuf_append(out, ",\n  \"reason\": ");
    sl_strbuf_json(out, summary->reason);
    write_utc(out, "started", summary->started_s);
    write_utc(out, "ended", summary->started_s + summary->took_s);
    sl_strbuf_printf(out, ",\n  \"makespan_s\": %.6f,\n  \"tasks_per_s\": %.3f,\n  \"ranks\": [",
                     seconds, seconds > 0 ? (double)(finished - summary->earlier) / seconds : 0);
    for (uint32_t i = 0; i < summary->rank_count; i++)
        write_rank(out, summary, i);
    sl_strbuf_append(out, summary->rank_count ? "\n  ]\n}\n" : "]\n}\n");
}

sl_err sl_summary_save(int dir_fd, const sl_run_summary *summary) {
    sl_strbuf text;
    sl_strbuf_init(&text, (size_t)256 << 20);
    sl_summary_write(&text, summary);
    sl_err err = sl_strbuf_err(&text);
    if (err == SL_OK)
        err = sl_atomic_write(dir_fd, "summary.json", text.data, text.length);
    sl_strbuf_fini(&text);
    return err;
}
