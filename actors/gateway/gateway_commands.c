/* Design notes
 * A command is a task with an entry: what is known of it by its id, for its own client and for
 * others of its project. What it writes goes to two files named after the id. The entry of a
 * detached command stays a while after its end; of another until its client says that it has all it
 * wants, or its session is over. Who comes after others is named in their entries by its id, as it
 * may be gone by then; it waits in no queue until the last of them has ended. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/executor/executor_msgs.h"
#include "actors/gateway/gateway_internal.h"
#include "actors/scheduler/scheduler_msgs.h"

/* ---- entries ---- */

static gw_entry **of_id(const gateway *gw, uint64_t id) {
    return &gw->entries[id % ENTRY_BUCKETS];
}

static gw_entry **of_number(gw_session *session, uint64_t number) {
    return &session->entries[number % BUCKETS];
}

sl_err gw_commands_init(gateway *gw) {
    gw->entries = calloc(ENTRY_BUCKETS, sizeof *gw->entries);
    gw->last_id = (uint64_t)sl_wall_s(gw->self) << 24; /* not those of an earlier life */
    return gw->entries ? SL_OK : sl_fail(SL_ERR_NO_MEMORY, "no memory for a gateway");
}

gw_entry *gw_find_entry(const gateway *gw, uint64_t id) {
    gw_entry *entry = *of_id(gw, id);
    while (entry && entry->id != id)
        entry = entry->next;
    return entry;
}

static gw_entry *find_number(gw_session *session, uint64_t number) {
    gw_entry *entry = *of_number(session, number);
    while (entry && entry->ended.number != number)
        entry = entry->chain;
    return entry;
}

gw_entry *gw_make_entry(gateway *gw, gw_session *session, uint64_t number, bool detached) {
    gw_entry *entry = calloc(1, sizeof *entry);
    if (!entry)
        return NULL;
    entry->id = entry->ended.id = ++gw->last_id;
    entry->ended.number = number;
    entry->detached = detached;
    entry->project = session->project;
    entry->session = session;
    entry->project->entries++;
    entry->next = *of_id(gw, entry->id);
    *of_id(gw, entry->id) = entry;
    entry->chain = *of_number(session, number);
    *of_number(session, number) = entry;
    return entry;
}

static void leave_session(gw_entry *entry) {
    if (!entry->session)
        return;
    gw_entry **at = of_number(entry->session, entry->ended.number);
    while (*at != entry)
        at = &(*at)->chain;
    *at = entry->chain;
    entry->session = NULL;
}

static void unlist(gateway *gw, gw_entry *entry) {
    if (!entry->detached || !entry->over)
        return;
    if (entry->older)
        entry->older->newer = entry->newer;
    else
        gw->oldest = entry->newer;
    if (entry->newer)
        entry->newer->older = entry->older;
    else
        gw->newest = entry->older;
    entry->project->output_bytes -= entry->ended.stdout_bytes + entry->ended.stderr_bytes;
}

static void free_entry(gw_entry *entry) {
    gw_drop_result(entry);
    free(entry->dependents);
    free(entry->message);
    free(entry);
}

/* It has ended. */
static void remove_entry(gateway *gw, gw_entry *entry) {
    gw_entry **at = of_id(gw, entry->id);
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    leave_session(entry);
    unlist(gw, entry);
    entry->project->entries--;
    gw_unwatch(gw, entry);
    gw_uncount_output(entry);
    if (!entry->ended.call && (entry->ended.start_s > 0 || entry->begun))
        gw_delete_output(gw, entry->id);
    free_entry(entry);
}

void gw_release_entries(gateway *gw, gw_session *session) {
    for (uint32_t i = 0; session->entries && i < BUCKETS; i++)
        while (session->entries[i]) {
            gw_entry *entry = session->entries[i];
            bool done_with = entry->over && !entry->detached;
            leave_session(entry);
            if (done_with)
                remove_entry(gw, entry);
        }
}

/* Those that wait for others are nowhere else. */
void gw_commands_fini(gateway *gw) {
    for (uint32_t i = 0; gw->entries && i < ENTRY_BUCKETS; i++)
        for (gw_entry *entry = gw->entries[i], *next; entry; entry = next) {
            next = entry->next;
            if (entry->task && entry->task->pending)
                gw_free_task(gw, entry->task);
            free_entry(entry);
        }
    free(gw->entries);
    gw->entries = NULL;
    gw->ending = NULL;
}

/* ---- payload ---- */

static executor_word *words(const gateway_word *from, uint32_t count, const char *extra) {
    executor_word *list = malloc((count + (size_t)1) * sizeof *list);
    for (uint32_t i = 0; list && i < count; i++)
        list[i].text = from[i].text;
    if (list)
        list[count].text = sl_text_of(extra);
    return list;
}

static sl_err encode(const executor_command *body, gw_task *task) {
    SL_TRY(sl_record_check(&executor_command_record, body));
    size_t bytes = sl_record_wire_bytes(&executor_command_record, body);
    task->payload = malloc(bytes);
    if (!task->payload)
        return sl_fail(SL_ERR_NO_MEMORY, "the gateway is out of memory for tasks");
    sl_record_encode(&executor_command_record, body, task->payload, NULL);
    task->payload_bytes = (uint32_t)bytes;
    return SL_OK;
}

static sl_err make_payload(const gateway *gw, const gateway_command *command, uint64_t id,
                           gw_task *task) {
    char name[256], out[GW_PATH_BYTES], err[GW_PATH_BYTES];
    snprintf(name, sizeof name, "STARLANE_TASK_NAME=%s", command->name.data);
    gw_output_path(gw, id, 0, out);
    gw_output_path(gw, id, 1, err);
    executor_word *argv = words(command->arguments.items, command->arguments.count, NULL);
    executor_word *env = words(command->environment.items, command->environment.count, name);
    executor_command body = {.arguments = {argv, command->arguments.count},
                             .environment = {env, command->environment.count + 1},
                             .directory = command->directory,
                             .stdin_data = command->input,
                             .stdout_path = sl_text_of(out),
                             .stderr_path = sl_text_of(err)};
    sl_err result = argv && env ? encode(&body, task)
                                : sl_fail(SL_ERR_NO_MEMORY, "the gateway is out of memory");
    free(argv);
    free(env);
    return result;
}

/* Programs of one name are expected to take alike. */
static void name_group(gw_task *task, sl_text program) {
    const char *slash = strrchr(program.data, '/');
    gw_copy_text(task->function, sizeof task->function,
                 sl_text_of(slash && slash[1] ? slash + 1 : program.data));
}

/* NULL with an error. */
static gw_task *make_task(gateway *gw, const gateway_command *command, uint64_t bytes,
                          gw_entry *entry) {
    gw_task *task = calloc(1, sizeof *task);
    if (!task) {
        (void)sl_fail(SL_ERR_NO_MEMORY, "the gateway is out of memory for tasks");
        return NULL;
    }
    if (make_payload(gw, command, entry->id, task) != SL_OK) {
        gw_free_task(gw, task);
        return NULL;
    }
    task->wish = (gateway_task){.number = command->number,
                                .memory_bytes = command->memory_bytes,
                                .ucu_milli = command->ucu_milli,
                                .timeout_ns = command->timeout_ns,
                                .cpus = command->cpus,
                                .gpus = command->gpus,
                                .priority = command->priority,
                                .retries = command->retries};
    gw_copy_text(task->region, sizeof task->region, command->region);
    name_group(task, command->arguments.items[0].text);
    task->number = command->number;
    task->held_bytes = bytes;
    task->entry = entry;
    return task;
}

/* ---- after others ---- */

static bool ended_well(const gw_entry *entry) {
    return entry->ended.status == SL_TASK_DONE;
}

static sl_err add_dependent(gw_entry *entry, uint64_t id) {
    if (entry->dependent_count == entry->dependent_room) {
        uint32_t room = entry->dependent_room ? 2 * entry->dependent_room : 4;
        uint64_t *ids = realloc(entry->dependents, room * sizeof *ids);
        if (!ids)
            return sl_fail(SL_ERR_NO_MEMORY, "the gateway is out of memory");
        entry->dependents = ids;
        entry->dependent_room = room;
    }
    entry->dependents[entry->dependent_count++] = id;
    return SL_OK;
}

/* `*skip`: it has ended, and not well. */
static sl_err come_after(gw_entry *before, gw_task *task, uint64_t name, bool *skip) {
    if (!before)
        return sl_fail(SL_ERR_NOT_FOUND, "it comes after command %llx, which is not known here",
                       (unsigned long long)name);
    if (!before->over) {
        SL_TRY(add_dependent(before, task->entry->id));
        task->pending++;
    } else {
        *skip |= !ended_well(before);
    }
    return SL_OK;
}

static sl_err come_after_all(gateway *gw, gw_session *session, gw_task *task,
                             const gateway_command *command, bool *skip) {
    for (uint32_t i = 0; i < command->after.count; i++) {
        uint64_t number = command->after.items[i].number;
        gw_entry *before = number < command->number ? find_number(session, number) : NULL;
        SL_TRY(come_after(before, task, number, skip));
    }
    for (uint32_t i = 0; i < command->after_ids.count; i++) {
        uint64_t id = command->after_ids.items[i].number;
        gw_entry *before = gw_find_entry(gw, id);
        SL_TRY(come_after(before && before->project == session->project ? before : NULL, task, id,
                          skip));
    }
    return SL_OK;
}

void gw_release_dependents(gateway *gw, gw_entry *entry) {
    for (uint32_t i = 0; i < entry->dependent_count; i++) {
        gw_entry *other = gw_find_entry(gw, entry->dependents[i]);
        gw_task *task = other ? other->task : NULL;
        if (!task || !task->pending || task->end_status != SL_TASK_DONE)
            continue;
        if (!ended_well(entry))
            gw_end_soon(gw, task, SL_TASK_SKIPPED);
        else if (!--task->pending)
            gw_queue_task(gw, task);
    }
    free(entry->dependents);
    entry->dependents = NULL;
    entry->dependent_count = entry->dependent_room = 0;
}

/* ---- taking ---- */

static uint64_t bytes_of(const gateway_command *command) {
    uint64_t bytes = command->input.bytes;
    for (uint32_t i = 0; i < command->arguments.count; i++)
        bytes += command->arguments.items[i].text.bytes;
    for (uint32_t i = 0; i < command->environment.count; i++)
        bytes += command->environment.items[i].text.bytes;
    return bytes;
}

static const char *refusal(const gateway *gw, const gw_session *session,
                           const gateway_command *command, uint64_t bytes) {
    const char *why = gw_over_quota(session, SL_SCOPE_COMMAND, bytes);
    if (why)
        return why;
    if (!gw->options.output)
        return "this network runs no commands of clients";
    if (session->project->entries >= ENTRIES_MOST)
        return "too many commands of the project are under way, or kept";
    why = gw_no_room(gw, session->project);
    if (why)
        return why;
    if (!command->arguments.count || !command->arguments.items[0].text.bytes)
        return "a command without a program";
    return NULL;
}

static void refuse_command(gateway *gw, gw_session *session, uint64_t number, const char *why) {
    gateway_ended ended = {.number = number,
                           .state = SL_GATEWAY_OVER,
                           .status = SL_TASK_FAILED,
                           .message = sl_text_of(why)};
    gw_send(gw, session, SL_GATEWAY_ENDED, &ended, NULL);
}

static void begin(gateway *gw, gw_session *session, gw_task *task, bool skip) {
    gw_entry *entry = task->entry;
    if (entry->detached) {
        gateway_named named = {.number = task->number, .id = entry->id};
        gw_send(gw, session, SL_GATEWAY_NAMED, &named, NULL);
    }
    if (skip) {
        task->pending++; /* it is in no queue */
        gw_end_soon(gw, task, SL_TASK_SKIPPED);
    } else if (!task->pending) {
        gw_queue_task(gw, task);
    }
}

/* The task, in no queue yet; NULL with an error. */
static gw_task *prepare(gateway *gw, gw_session *session, const gateway_command *command,
                        uint64_t bytes, bool *skip) {
    gw_entry *entry = gw_make_entry(gw, session, command->number, command->detached);
    if (!entry) {
        (void)sl_fail(SL_ERR_NO_MEMORY, "the gateway is out of memory");
        return NULL;
    }
    gw_task *task = make_task(gw, command, bytes, entry);
    if (task && come_after_all(gw, session, task, command, skip) == SL_OK) {
        entry->task = task;
        return task;
    }
    if (task)
        gw_free_task(gw, task);
    remove_entry(gw, entry);
    return NULL;
}

static void take_command(gateway *gw, gw_session *session, const gateway_command *command) {
    uint64_t bytes = bytes_of(command);
    const char *why = refusal(gw, session, command, bytes);
    bool skip = false;
    gw_task *task = why ? NULL : prepare(gw, session, command, bytes, &skip);
    if (!task) {
        char detail[400];
        snprintf(detail, sizeof detail, "%s", why ? why : sl_err_detail());
        refuse_command(gw, session, command->number, detail);
        return;
    }
    gw_enter_task(session, task);
    begin(gw, session, task, skip);
}

void gw_take_run(gateway *gw, gw_session *session, const sl_gateway_parts *parts) {
    gateway_run *run = sl_gateway_decode(parts, SL_GATEWAY_RUN);
    if (!run) {
        gw_refuse(gw, session, "%s", sl_err_detail());
        return;
    }
    for (uint32_t i = 0; i < run->commands.count && session->stage == GW_OPEN; i++) {
        const gateway_command *command = &run->commands.items[i];
        if (command->number <= session->last_number)
            gw_refuse(gw, session, "task %llu after task %llu: numbers ascend",
                      (unsigned long long)command->number,
                      (unsigned long long)session->last_number);
        else
            take_command(gw, session, command);
        session->last_number = command->number;
    }
    if (run->commands.count)
        gw_audit(gw, session, "run", "ok", "%u commands up to %llu: %.200s", run->commands.count,
                 (unsigned long long)session->last_number,
                 run->commands.items[0].arguments.count
                     ? run->commands.items[0].arguments.items[0].text.data
                     : "");
    free(run);
}

/* ---- ending ---- */

void gw_on_began(gateway *gw, const void *body) {
    const scheduler_began *began = body;
    gw_task *task = began->tag < gw->slot_count ? gw->slots[began->tag] : NULL;
    if (!task || !task->entry || task->entry->begun)
        return;
    task->entry->begun = true;
    task->project->begun++;
    gw_watch(gw, task->entry);
}

void gw_note_outcome(gw_entry *entry, const void *body) {
    const scheduler_outcome *outcome = body;
    entry->ended.user_s = outcome->user_s;
    entry->ended.system_s = outcome->system_s;
    entry->ended.max_rss_bytes = outcome->max_rss_bytes;
    entry->ended.exit_code = outcome->exit_code;
    entry->ended.signal = outcome->signal;
}

void gw_command_ended(gateway *gw, gw_entry *entry, const gateway_result *result) {
    entry->task = NULL;
    entry->project->begun -= entry->begun;
    entry->ended.start_s = result->start_s;
    entry->ended.end_s = result->end_s;
    entry->ended.attempts = result->attempts;
    entry->ended.node = result->node;
    entry->ended.status = result->status;
    if (result->message.bytes && !entry->full) /* it has a better one */
        entry->message = strdup(result->message.data);
    if (result->start_s > 0 || entry->begun)
        gw_look_at_output(gw, entry);
    else
        gw_command_over(gw, entry, NULL);
}

static gateway_ended as_it_stands(const gw_entry *entry) {
    gateway_ended ended = entry->ended;
    ended.state = entry->over    ? SL_GATEWAY_OVER
                  : entry->begun ? SL_GATEWAY_BEGUN
                                 : SL_GATEWAY_WAITS;
    ended.cut = entry->over && entry->full;
    ended.message = sl_text_of(entry->message);
    return ended;
}

bool gw_drop_oldest(gateway *gw, const gw_project *project) {
    gw_entry *entry = gw->oldest;
    while (entry && (entry->ended.call || (project && entry->project != project)))
        entry = entry->newer;
    if (entry)
        remove_entry(gw, entry);
    return entry != NULL;
}

static void make_room(gateway *gw, const gw_project *project) {
    for (gw_entry *entry = gw->oldest, *newer;
         entry && project->output_bytes > gw->options.keep_bytes; entry = newer) {
        newer = entry->newer;
        if (entry->project == project && newer) /* never the last that ended */
            remove_entry(gw, entry);
    }
}

void gw_keep_entry(gateway *gw, gw_entry *entry) {
    entry->older = gw->newest;
    if (gw->newest)
        gw->newest->newer = entry;
    else
        gw->oldest = entry;
    gw->newest = entry;
    entry->project->output_bytes += entry->ended.stdout_bytes + entry->ended.stderr_bytes;
    make_room(gw, entry->project);
}

void gw_command_over(gateway *gw, gw_entry *entry, gw_heads *heads) {
    if (heads)
        gw_bound_output(gw, entry, heads);
    gw_unwatch(gw, entry);
    entry->over = true;
    entry->over_ns = sl_now_ns(gw->self);
    gw_release_dependents(gw, entry);
    if (heads) {
        entry->ended.stdout_bytes = heads->out_bytes;
        entry->ended.stderr_bytes = heads->err_bytes;
    }
    if (entry->session && !entry->detached) {
        gateway_ended ended = as_it_stands(entry);
        if (heads) {
            ended.out = (sl_bytes){heads->out, heads->out_count};
            ended.err = (sl_bytes){heads->err, heads->err_count};
        }
        gw_send(gw, entry->session, SL_GATEWAY_ENDED, &ended, NULL);
    }
    if (entry->detached)
        gw_keep_entry(gw, entry);
    else if (!entry->session)
        remove_entry(gw, entry);
}

void gw_forget_old(gateway *gw) {
    uint64_t now_ns = sl_now_ns(gw->self);
    while (gw->oldest && now_ns - gw->oldest->over_ns > gw->options.keep_ended_ns)
        remove_entry(gw, gw->oldest);
}

void gw_take_forget(gateway *gw, gw_session *session, const sl_gateway_parts *parts) {
    gateway_forget *forget = sl_gateway_decode(parts, SL_GATEWAY_FORGET);
    if (!forget) {
        gw_refuse(gw, session, "%s", sl_err_detail());
        return;
    }
    gw_entry *entry = gw_find_entry(gw, forget->id);
    if (entry && entry->session == session && entry->over && !entry->detached)
        remove_entry(gw, entry);
    free(forget);
}

/* ---- looking, cancelling ---- */

bool gw_may_see(const gw_session *session, const gw_entry *entry) {
    return entry &&
           (entry->session == session || (entry->project == session->project &&
                                          (session->scopes & (SL_SCOPE_READ | SL_SCOPE_ADMIN))));
}

void gw_take_look(gateway *gw, gw_session *session, const sl_gateway_parts *parts) {
    gateway_look *look = sl_gateway_decode(parts, SL_GATEWAY_LOOK);
    gateway_ended *list = look ? calloc(look->ids.count + (size_t)1, sizeof *list) : NULL;
    if (!list) {
        gw_refuse(gw, session, "%s", look ? "the gateway is out of memory" : sl_err_detail());
        free(look);
        return;
    }
    for (uint32_t i = 0; i < look->ids.count; i++) {
        const gw_entry *entry = gw_find_entry(gw, look->ids.items[i].number);
        if (gw_may_see(session, entry) || (entry && session->scopes & SL_SCOPE_ADMIN))
            list[i] = as_it_stands(entry);
        if (!entry || entry->session != session)
            list[i].number = 0;
        list[i].id = look->ids.items[i].number;
    }
    gateway_seen seen = {.request = look->request, .commands = {list, look->ids.count}};
    gw_send(gw, session, SL_GATEWAY_SEEN, &seen, NULL);
    free(list);
    free(look);
}

void gw_cancel_by_id(gateway *gw, gw_session *session, uint64_t id) {
    gw_entry *entry = gw_find_entry(gw, id);
    bool mine =
        entry && entry->project == session->project &&
        (entry->session == session || session->scopes & (SL_SCOPE_SUBMIT | SL_SCOPE_COMMAND));
    bool may = mine || (entry && session->scopes & SL_SCOPE_ADMIN);
    gw_audit(gw, session, "cancel", may ? "ok" : "refused", "command %llx", (unsigned long long)id);
    if (may && entry->task)
        gw_cancel_task(gw, entry->task);
}
