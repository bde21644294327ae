#include "sdk/explain.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "sdk/output_dir.h"
#include "starlane.h"

#define TEXT_LIMIT ((size_t)64 << 20)

/* ---- pieces ---- */

/* jansson's setters fail on NULL values and steal references: what is missing is left out. */
static void set(json_t *object, const char *key, json_t *value) {
    if (value)
        json_object_set_new(object, key, value);
}

static void set_text(json_t *object, const char *key, const char *text) {
    if (text && text[0])
        set(object, key, json_string(text));
}

static void set_outcome(json_t *object, const sl_ledger_outcome *from) {
    set(object, "status", json_string(sl_ledger_state_name(from->state)));
    if (from->rank >= 0)
        set(object, "rank", json_integer(from->rank));
    set_text(object, "host", from->host);
    set_text(object, "region", from->region);
    if (from->exit_code >= 0)
        set(object, "exit_code", json_integer(from->exit_code));
    if (from->signal)
        set(object, "signal", json_integer(from->signal));
    if (from->start_s > 0)
        set(object, "start_s", json_real(from->start_s));
    if (from->end_s > 0)
        set(object, "end_s", json_real(from->end_s));
    if (from->end_s > 0 && from->start_s > 0) {
        set(object, "user_s", json_real(from->user_s));
        set(object, "sys_s", json_real(from->sys_s));
        set(object, "max_rss_bytes", json_integer((json_int_t)from->max_rss_bytes));
    }
    set_text(object, "message", from->message);
}

static json_t *limits_of(const sl_ledger_task *task) {
    json_t *limits = json_object();
    set(limits, "cpus", json_integer(task->cpus));
    set(limits, "gpus", json_integer(task->gpus));
    set(limits, "memory_bytes", json_integer((json_int_t)task->memory_bytes));
    set(limits, "ucu", json_real((double)task->ucu_milli / 1000));
    set_text(limits, "region", task->region);
    set(limits, "timeout_s", json_real(task->timeout_s));
    set(limits, "retries", json_integer(task->retries));
    set(limits, "priority", json_integer(task->priority));
    return limits;
}

/* ---- a task ---- */

static sl_err visit_attempt(void *context, const sl_ledger_attempt *attempt) {
    json_t *object = json_object();
    set(object, "attempt", json_integer(attempt->outcome.attempt));
    set(object, "session", json_integer(attempt->session));
    if (attempt->pid)
        set(object, "pid", json_integer(attempt->pid));
    set_outcome(object, &attempt->outcome);
    json_array_append_new(context, object);
    return SL_OK;
}

static sl_err visit_placement(void *context, const sl_ledger_placement *placement) {
    json_t *object = json_object();
    set(object, "attempt", json_integer(placement->attempt));
    set(object, "rank", json_integer(placement->rank));
    set(object, "at_s", json_real(placement->at_s));
    set(object, "ucu", json_real((double)placement->ucu_milli / 1000));
    set_text(object, "policy", placement->policy);
    if (placement->reason)
        set(object, "reason", json_loads(placement->reason, 0, NULL));
    json_array_append_new(context, object);
    return SL_OK;
}

typedef struct task_walk {
    sl_ledger_reader *reader;
    bool live;
    json_t *task;
} task_walk;

static sl_err visit_task(void *context, const sl_ledger_entry *entry) {
    task_walk *walk = context;
    json_t *task = walk->task;
    set_text(task, "name", entry->task.name);
    set(task, "state", json_string(sl_ledger_state_name(entry->state)));
    set(task, "attempts_made", json_integer(entry->attempts));
    set(task, "accepted_s", json_real(entry->task.accepted_s));
    set(task, "limits", limits_of(&entry->task));
    set(task, "spec", json_loads(entry->task.spec, 0, NULL));
    if (entry->state >= SL_LEDGER_DONE) {
        json_t *result = json_object();
        set_outcome(result, &entry->result);
        json_object_set_new(result, "status", json_string(sl_ledger_state_name(entry->state)));
        set(task, "result", result);
    }
    return sl_explain_why(walk->reader, entry, walk->live, task);
}

sl_err sl_explain_task(sl_ledger_reader *reader, const char *name, bool live, json_t **out) {
    uint32_t id;
    sl_err err = sl_ledger_find(reader, name, &id);
    if (err == SL_ERR_NOT_FOUND)
        return sl_fail(err, "no task %.200s was accepted in this run%s", name, live ? " yet" : "");
    SL_TRY(err);
    json_t *attempts = json_array(), *placements = json_array();
    task_walk walk = {reader, live, json_object()};
    set(walk.task, "attempts", attempts);
    set(walk.task, "placements", placements);
    err = sl_ledger_read_task(reader, id, visit_task, &walk);
    if (err == SL_OK)
        err = sl_ledger_read_attempts(reader, id, visit_attempt, attempts);
    if (err == SL_OK)
        err = sl_ledger_read_placements(reader, id, visit_placement, placements);
    if (err == SL_OK)
        *out = walk.task;
    else
        json_decref(walk.task);
    return err;
}

/* ---- the run ---- */

static sl_err visit_session(void *context, const sl_ledger_session *session) {
    json_t *object = json_object();
    set(object, "session", json_integer(session->number));
    set_text(object, "host", session->host);
    set(object, "pid", json_integer(session->pid));
    set_text(object, "command", session->command);
    set_text(object, "version", session->version);
    set(object, "start_s", json_real(session->start_s));
    if (session->ended) {
        set(object, "end_s", json_real(session->end_s));
        set_text(object, "reason", session->reason);
        set(object, "exit_code", json_integer(session->exit_code));
    }
    json_array_append_new(context, object);
    return SL_OK;
}

static sl_err visit_node(void *context, uint32_t session, const sl_ledger_node *node) {
    json_t *object = json_object();
    (void)session;
    set(object, "rank", json_integer(node->rank));
    set_text(object, "host", node->host);
    set_text(object, "region", node->region);
    set(object, "cpus", json_integer(node->cores));
    set(object, "gpus", json_integer(node->gpus));
    set(object, "memory_bytes", json_integer((json_int_t)node->memory_bytes));
    set(object, "ucu", json_real((double)node->ucu_milli / 1000));
    json_array_append_new(context, object);
    return SL_OK;
}

sl_err sl_explain_run(sl_ledger_reader *reader, bool live, json_t **out) {
    sl_ledger_counts counts;
    SL_TRY(sl_ledger_read_counts(reader, &counts));
    json_t *run = json_object(), *sessions = json_array(), *nodes = json_array();
    char *asked = NULL;
    set(run, "live", json_boolean(live));
    if (sl_ledger_read_meta(reader, "tasks", &asked) == SL_OK)
        set(run, "tasks", json_integer((json_int_t)strtoull(asked, NULL, 10)));
    free(asked);
    for (int i = 0; i < SL_LEDGER_LOST; i++)
        set(run, sl_ledger_state_name((sl_ledger_state)i),
            json_integer((json_int_t)counts.by_state[i]));
    set(run, "sessions", sessions);
    set(run, "nodes", nodes);
    sl_err err = sl_ledger_read_sessions(reader, visit_session, sessions);
    if (err == SL_OK)
        err = sl_ledger_read_nodes(reader, visit_node, nodes);
    if (err == SL_OK)
        *out = run;
    else
        json_decref(run);
    return err;
}

/* ---- the call ---- */

/* Whether a run holds the directory: its lock is then taken. */
static bool is_live(const sl_output_dir *dir) {
    int fd = openat(dir->fd, ".starlane-lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return false;
    bool live = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close(fd);
    return live;
}

static sl_err read_all(const sl_output_dir *dir, const char *task, json_t **out) {
    char path[SL_OUTPUT_PATH_BYTES];
    sl_ledger_reader *reader;
    snprintf(path, sizeof path, "%s/" SL_OUTPUT_LEDGER, dir->path);
    SL_TRY(sl_ledger_reader_open(path, &reader));
    sl_err err = task ? sl_explain_task(reader, task, is_live(dir), out)
                      : sl_explain_run(reader, is_live(dir), out);
    sl_ledger_reader_close(reader);
    return err;
}

static char *text_of(const json_t *all, bool is_task, int json) {
    sl_strbuf text;
    char *dumped = json ? json_dumps(all, JSON_INDENT(2)) : NULL;
    sl_strbuf_init(&text, TEXT_LIMIT);
    if (dumped)
        sl_strbuf_printf(&text, "%s\n", dumped);
    else if (is_task)
        sl_explain_task_text(all, &text);
    else
        sl_explain_run_text(all, &text);
    free(dumped);
    return sl_strbuf_take(&text);
}

int sl_explain(const char *directory, const char *task, int json, char **text) {
    sl_output_dir dir;
    json_t *all = NULL;
    SL_TRY(sl_output_dir_open(directory, SL_OUTPUT_READ, 0, &dir));
    sl_err err = read_all(&dir, task, &all);
    sl_output_dir_close(&dir);
    SL_TRY(err);
    char *made = text_of(all, task != NULL, json);
    json_decref(all);
    if (!made)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for the explanation");
    *text = made;
    return SL_OK;
}
