#include <string.h>
#include <time.h>

#include "sdk/explain.h"

#define GIB           1073741824.0
#define MOMENT_LAST_S 253402300799.0 /* the end of the year 9999 */

static double number(const json_t *object, const char *key) {
    return json_number_value(json_object_get(object, key));
}

static const char *text(const json_t *object, const char *key) {
    const char *value = json_string_value(json_object_get(object, key));
    return value ? value : "";
}

static bool has(const json_t *object, const char *key) {
    return json_object_get(object, key) != NULL;
}

/* A moment as people read it, in their time zone; a ledger may say any number. */
static void moment(double at_s, sl_strbuf *out) {
    char shown[48] = "?";
    struct tm parts;
    time_t seconds = at_s >= 0 && at_s <= MOMENT_LAST_S ? (time_t)at_s : -1;
    if (seconds >= 0 && localtime_r(&seconds, &parts))
        strftime(shown, sizeof shown, "%Y-%m-%d %H:%M:%S", &parts);
    sl_strbuf_append(out, shown);
}

/* ---- a task ---- */

static void limits_text(const json_t *limits, sl_strbuf *out) {
    sl_strbuf_printf(out, "asks for  %.0f cpus, %.0f gpus, %.3g GB, %.6g UCU",
                     number(limits, "cpus"), number(limits, "gpus"),
                     number(limits, "memory_bytes") / 1e9, number(limits, "ucu"));
    sl_strbuf_printf(out, ", region %s", has(limits, "region") ? text(limits, "region") : "any");
    sl_strbuf_printf(out, "; priority %.0f, retries %.0f", number(limits, "priority"),
                     number(limits, "retries"));
    if (number(limits, "timeout_s") > 0)
        sl_strbuf_printf(out, ", timeout %.6g s", number(limits, "timeout_s"));
    sl_strbuf_append(out, "\n");
}

static void outcome_text(const json_t *outcome, sl_strbuf *out) {
    sl_strbuf_append(out, text(outcome, "status"));
    if (has(outcome, "rank"))
        sl_strbuf_printf(out, " on rank %.0f", number(outcome, "rank"));
    if (has(outcome, "host"))
        sl_strbuf_printf(out, " (%s%s%s)", text(outcome, "host"),
                         has(outcome, "region") ? ", " : "", text(outcome, "region"));
    if (has(outcome, "exit_code"))
        sl_strbuf_printf(out, ", exit code %.0f", number(outcome, "exit_code"));
    if (has(outcome, "signal"))
        sl_strbuf_printf(out, ", signal %.0f", number(outcome, "signal"));
    if (has(outcome, "start_s")) {
        sl_strbuf_append(out, ", started ");
        moment(number(outcome, "start_s"), out);
    }
    if (has(outcome, "start_s") && has(outcome, "end_s"))
        sl_strbuf_printf(out, ", took %.3f s (cpu %.3f s, peak memory %.1f MB)",
                         number(outcome, "end_s") - number(outcome, "start_s"),
                         number(outcome, "user_s") + number(outcome, "sys_s"),
                         number(outcome, "max_rss_bytes") / 1e6);
    if (has(outcome, "message"))
        sl_strbuf_printf(out, "; %s", text(outcome, "message"));
    sl_strbuf_append(out, "\n");
}

static void placement_text(const json_t *placement, sl_strbuf *out) {
    const json_t *reason = json_object_get(placement, "reason");
    size_t index;
    json_t *each;
    sl_strbuf_printf(out, "attempt %.0f  placed on rank %.0f (%.6g UCU) by policy %s",
                     number(placement, "attempt"), number(placement, "rank"),
                     number(placement, "ucu"), text(placement, "policy"));
    if (reason)
        sl_strbuf_printf(out, ": %.0f of %.0f nodes had room", number(reason, "candidates"),
                         number(reason, "of"));
    sl_strbuf_append(out, "\n");
    json_array_foreach(json_object_get(reason, "scores"), index, each) {
        sl_strbuf_printf(out, "           rank %.0f scored %.4g", number(each, "rank"),
                         number(each, "score"));
        sl_strbuf_printf(out, " (free: cores %.0f %%, memory %.0f %%, UCU %.0f %%; speed %.2f",
                         100 * number(each, "cores_free"), 100 * number(each, "memory_free"),
                         100 * number(each, "ucu_free"), number(each, "speed"));
        sl_strbuf_printf(out, "; expected wait %.3g s, run %.3g s)\n", number(each, "wait_s"),
                         number(each, "run_s"));
    }
}

void sl_explain_task_text(const json_t *task, sl_strbuf *out) {
    size_t index;
    json_t *each;
    sl_strbuf_printf(out, "task %s is %s", text(task, "name"), text(task, "state"));
    if (has(task, "why"))
        sl_strbuf_printf(out, ": %s", text(task, "why"));
    sl_strbuf_append(out, "\n");
    json_array_foreach(json_object_get(task, "waits_for"), index, each)
        sl_strbuf_printf(out, "          %s (%s)\n", text(each, "name"), text(each, "state"));
    limits_text(json_object_get(task, "limits"), out);
    sl_strbuf_append(out, "accepted  ");
    moment(number(task, "accepted_s"), out);
    sl_strbuf_append(out, "\n");
    json_array_foreach(json_object_get(task, "placements"), index, each) placement_text(each, out);
    json_array_foreach(json_object_get(task, "attempts"), index, each) {
        sl_strbuf_printf(out, "attempt %.0f  ", number(each, "attempt"));
        outcome_text(each, out);
    }
    if (has(task, "result")) {
        sl_strbuf_append(out, "result    ");
        outcome_text(json_object_get(task, "result"), out);
    }
}

/* ---- the run ---- */

static void session_text(const json_t *session, bool live, sl_strbuf *out) {
    sl_strbuf_printf(out, "session %.0f  %s, process %.0f, since ", number(session, "session"),
                     text(session, "host"), number(session, "pid"));
    moment(number(session, "start_s"), out);
    if (has(session, "end_s"))
        sl_strbuf_printf(out, ": %s after %.3f s, exit code %.0f\n", text(session, "reason"),
                         number(session, "end_s") - number(session, "start_s"),
                         number(session, "exit_code"));
    else
        sl_strbuf_append(out, live ? ": it runs\n" : ": it was killed\n");
}

void sl_explain_run_text(const json_t *run, sl_strbuf *out) {
    static const char *const states[] = {"done",    "failed",  "cancelled",
                                         "skipped", "running", "accepted"};
    bool live = json_is_true(json_object_get(run, "live"));
    json_t *sessions = json_object_get(run, "sessions"), *each;
    size_t index;
    sl_strbuf_printf(out, "%.0f tasks:", number(run, "tasks"));
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        sl_strbuf_printf(out, "%s %.0f %s", i ? "," : "", number(run, states[i]), states[i]);
    sl_strbuf_append(out, "\n");
    json_array_foreach(sessions, index, each)
        session_text(each, live && index + 1 == json_array_size(sessions), out);
    json_array_foreach(json_object_get(run, "nodes"), index, each) sl_strbuf_printf(
        out, "rank %.0f  %s, region %s: %.0f cpus, %.0f gpus, %.1f GiB, %.6g UCU\n",
        number(each, "rank"), text(each, "host"), text(each, "region"), number(each, "cpus"),
        number(each, "gpus"), number(each, "memory_bytes") / GIB, number(each, "ucu"));
}
