#include "sdk/run_seal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actors/executor/executor_msgs.h"
#include "actors/secure/secret.h"
#include "runtime/log.h"
#include "runtime/thread.h"
#include "sdk/atomic_file.h"
#include "sdk/module.h"
#include "sdk/seal.h"
#include "sdk/sealed_body.h"
#include "sdk/sealed_command.h"

#define ROSTER_NS  (15 * SL_NS_PER_S)
#define BATCH_MOST ((uint64_t)1 << 20) /* bytes of a batch: then it is closed */

typedef struct sl_run_seal {
    sl_run_state *run;
    sl_keys *keys;
    sl_seal how;
    sl_seal_source source;
    struct sl_future_seal **ends; /* by task: what its result is opened with */
    uint64_t *bytes;              /* … and its envelope has */

    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* what follows */
    pthread_cond_t given;
    sl_run_batch *batch;
    sl_run_opened *first, **last;
    bool ending;
} sl_run_seal;

/* ---- keys ---- */

static sl_err fetch_nodes(void *context, sl_roster_node **list, uint32_t *count) {
    const sl_run_state *run = context;
    return sl_roster_gather(run->network->nodes[0].roster, ROSTER_NS, list, count);
}

const sl_seal *sl_run_seal_how(const sl_run_state *run) {
    return run->seal ? &run->seal->how : NULL;
}

sl_err sl_run_seal_open(sl_run_state *run, const sl_seal_source *source) {
    const sl_config *config = run->config;
    const char *revoked = sl_config_text(config, SL_OPT_REVOKED);
    if (!sl_config_is_set(config, SL_OPT_SEALED))
        return SL_OK;
    if (!sl_config_is_set(config, SL_OPT_AUTHORITY))
        return sl_fail(SL_ERR_INVALID, "--sealed goes with --authority: the fingerprint of who "
                                       "certifies the nodes (starlane identity show)");
    sl_run_seal *seal = run->seal = calloc(1, sizeof *seal);
    if (!seal)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory to seal tasks");
    seal->run = run;
    seal->last = &seal->first;
    seal->source = source ? *source : (sl_seal_source){sl_seal_source_id(), fetch_nodes, run};
    pthread_mutex_init(&seal->lock, NULL);
    pthread_cond_init(&seal->given, NULL);
    SL_TRY((sl_err)sl_keys_open(sl_config_text(config, SL_OPT_SEALED),
                                sl_config_text(config, SL_OPT_AUTHORITY), revoked, &seal->keys));
    seal->how = (sl_seal){.keys = seal->keys};
    return SL_OK;
}

sl_err sl_run_seal_check(const sl_run_state *run) {
    for (uint32_t i = 0; run->seal && i < run->total; i++) {
        const sl_task_spec *spec = sl_task_list_at(run->list, i);
        if (spec->gpus && spec->kind != SL_FORM_FUNCTION)
            return sl_fail(SL_ERR_UNAVAILABLE, "task %s: a sealed command cannot be given GPUs yet",
                           spec->name);
    }
    return SL_OK;
}

/* ---- lines of files ---- */

sl_err sl_run_stored_line(sl_run_state *run, uint32_t task, sl_strbuf *out) {
    uint8_t *envelope;
    size_t bytes;
    sl_strbuf_clear(out);
    sl_task_list_write_json(run->list, task, out);
    if (!run->seal)
        return SL_OK;
    SL_TRY(sl_strbuf_err(out));
    SL_TRY(sl_keys_seal_own(run->seal->keys, (sl_part){out->data, out->length}, &envelope, &bytes));
    char *text = malloc(2 * bytes + 1);
    if (text)
        sl_hex(envelope, bytes, text);
    free(envelope);
    sl_secret_wipe(out->data, out->length);
    sl_strbuf_clear(out);
    if (text)
        sl_strbuf_printf(out, "{\"sealed\":\"%s\"}", text);
    free(text);
    return text ? SL_OK : sl_fail(SL_ERR_NO_MEMORY, "no memory to seal a task");
}

void sl_run_ledger_line(sl_run_state *run, uint32_t task, sl_strbuf *out) {
    sl_strbuf_clear(out);
    if (run->seal)
        sl_strbuf_append(out, "{\"sealed\":true}");
    else
        sl_task_list_write_json(run->list, task, out);
}

sl_err sl_run_unseal_line(sl_run_state *run, const char *text, size_t length, char **plain,
                          size_t *bytes) {
    static const char head[] = "{\"sealed\":\"";
    *plain = NULL;
    if (length < sizeof head - 1 || memcmp(text, head, sizeof head - 1) != 0)
        return run->seal ? sl_fail(SL_ERR_INVALID, "this run is not sealed: resume it without "
                                                   "--sealed")
                         : SL_OK;
    if (!run->seal)
        return sl_fail(SL_ERR_INVALID, "this run is sealed: resume it with --sealed and the keys "
                                       "of its client");
    char *hex = strndup(text + sizeof head - 1, length - sizeof head + 1);
    size_t digits = hex ? strcspn(hex, "\"") : 0, got = digits / 2;
    uint8_t *envelope = malloc(got + 1);
    sl_err err = hex && envelope ? SL_OK : sl_fail(SL_ERR_NO_MEMORY, "no memory for a sealed task");
    if (err == SL_OK && strcmp(hex + digits, "\"}") != 0)
        err = sl_fail(SL_ERR_DECODE, "a sealed task that is none");
    if (err == SL_OK) {
        hex[digits] = '\0';
        err = sl_hex_parse(hex, got, envelope);
    }
    if (err == SL_OK)
        err = sl_keys_open_own(run->seal->keys, envelope, got, plain, bytes);
    free(hex);
    free(envelope);
    return err;
}

/* ---- sealing a task ---- */

typedef struct placing {
    const char *function;
    const sl_value *object; /* with the module's file; NULL: of no module */
    sl_arena *arena;
    sl_bytes payload;
    sl_blob *apart;
    size_t bytes;
} placing;

static uint8_t *place(void *context, size_t size) {
    placing *p = context;
    size_t inside = sl_seal_carrier_bytes(p->object, size);
    size_t bytes = sl_client_payload_bytes(p->function, inside);
    uint8_t *payload = sl_arena_alloc(p->arena, bytes, 8);
    if (!payload)
        return NULL;
    p->bytes = size;
    p->payload = (sl_bytes){payload, (uint32_t)bytes};
    uint8_t *at = sl_client_payload_head(payload, p->function, inside);
    at = sl_seal_carrier_write(p->object, size, at);
    if (at)
        return at;
    return sl_blob_create(size, &p->apart) == SL_OK ? p->apart->data : NULL;
}

/* A file is sealed from where the system has it, and never read whole. */
static sl_err map_input(const char *path, sl_part *input) {
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        int failed = fd < 0 ? errno : 0;
        if (fd >= 0)
            close(fd);
        return sl_fail(SL_ERR_IO, "%s: cannot be sealed as standard input: %s", path,
                       failed ? strerror(failed) : "it is no regular file");
    }
    void *data =
        info.st_size ? mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
    close(fd);
    if (data == MAP_FAILED)
        return sl_fail(SL_ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
    *input = (sl_part){data, (size_t)info.st_size};
    return SL_OK;
}

static sl_err seal_parts(sl_run_seal *seal, sl_body_form form, sl_part first, sl_part second,
                         uint32_t retries, placing *where, sl_seal_made *made) {
    const sl_sealing what = {.form = form, .sections = {{&first, 1, false}, {&second, 1, false}}};
    return sl_seal_make(&seal->how, &seal->source, &what, retries, place, where, made);
}

static sl_err seal_command(sl_run_seal *seal, const sl_task_spec *spec, placing *where,
                           sl_seal_made *made) {
    executor_command command;
    sl_bytes words;
    sl_part input = {NULL, 0};
    SL_TRY(sl_run_encode_words(seal->run, where->arena, spec, &command, &words));
    if (spec->stdin_kind == SL_STDIN_TEXT)
        input = (sl_part){spec->input, strlen(spec->input)};
    if (spec->stdin_kind == SL_STDIN_FILE)
        SL_TRY(map_input(command.stdin_path.data, &input));
    sl_err err = seal_parts(seal, SL_BODY_COMMAND, (sl_part){words.data, words.bytes}, input,
                            spec->retries, where, made);
    if (spec->stdin_kind == SL_STDIN_FILE && input.bytes)
        munmap((void *)(uintptr_t)input.data, input.bytes);
    return err;
}

static sl_err seal_module(sl_run_seal *seal, const sl_task_spec *spec, uint32_t retries,
                          placing *where, sl_seal_made *made) {
    const sl_task *task;
    sl_strbuf args;
    SL_TRY(sl_run_module_task(seal->run, spec, &task));
    const sl_module_entry *entry = sl_module_entry_of(task);
    const sl_value object = sl_object_value(entry->module->object);
    placing own = *where;
    own.function = SL_SEALED_MODULE;
    own.object = &object;
    sl_err err = sl_run_module_args(spec, &args);
    const sl_seal_module_asked asked = {.entry = entry, .json = args.data};
    if (err == SL_OK)
        err = sl_seal_module_call(&seal->how, &seal->source, &asked, retries, place, &own, made);
    sl_strbuf_fini(&args);
    where->payload = own.payload;
    where->apart = own.apart;
    where->bytes = own.bytes;
    return err;
}

static sl_err seal_function(sl_run_seal *seal, const sl_task_spec *spec, uint32_t retries,
                            placing *where, sl_seal_made *made) {
    const char *args = spec->args ? spec->args : "";
    if (spec->module)
        return seal_module(seal, spec, retries, where, made);
    return seal_parts(seal, SL_BODY_CALL, (sl_part){spec->function, strlen(spec->function)},
                      (sl_part){args, strlen(args)}, retries, where, made);
}

static sl_err take_sealed(sl_run_seal *seal, sl_arena *arena, scheduler_task *task,
                          const placing *where, const sl_seal_made *made) {
    uint8_t *among = sl_arena_alloc(arena, made->among_bytes, 1);
    if (among)
        memcpy(among, made->among, made->among_bytes);
    free(made->among);
    sl_future_seal_drop(seal->ends[task->tag]);
    seal->ends[task->tag] = made->end;
    seal->bytes[task->tag] = where->bytes;
    task->among = (sl_bytes){among, made->among_bytes};
    task->payload = where->payload;
    return among ? SL_OK : sl_fail(SL_ERR_NO_MEMORY, "no memory to seal a task");
}

static sl_err seal_task(sl_run_seal *seal, sl_run_batch *batch, uint32_t index) {
    scheduler_task *task = &batch->tasks[index];
    const sl_task_spec *spec = sl_task_list_at(seal->run->list, (uint32_t)task->tag);
    bool function = spec->kind == SL_FORM_FUNCTION;
    placing where = {.function = function ? SL_SEALED_FUNCTION : SL_SEALED_COMMAND,
                     .arena = &batch->arena};
    sl_seal_made made;
    sl_err err = function ? seal_function(seal, spec, task->retries, &where, &made)
                          : seal_command(seal, spec, &where, &made);
    batch->apart[index] = where.apart;
    return err == SL_OK ? take_sealed(seal, &batch->arena, task, &where, &made) : err;
}

static void seal_batch(sl_run_seal *seal, sl_run_batch *batch) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < batch->count && batch->err == SL_OK; i++) {
        batch->err = seal_task(seal, batch, i);
        bytes += seal->bytes[batch->tasks[i].tag];
        if (bytes > BATCH_MOST || batch->err != SL_OK) { /* the rest is taken again */
            batch->count = i + 1;
            batch->end = batch->after[i];
        }
    }
    snprintf(batch->detail, sizeof batch->detail, "%s", batch->err == SL_OK ? "" : sl_err_detail());
}

uint64_t sl_run_seal_bytes(const sl_run_state *run, uint32_t task) {
    return run->seal->bytes ? run->seal->bytes[task] : 0;
}

/* ---- opening a result ---- */

static sl_err write_output(const sl_run_state *run, sl_output_stream stream, const char *name,
                           const sl_part *data) {
    int fd;
    SL_TRY(sl_output_create(&run->dir, stream, name, &fd));
    sl_err err = sl_write_all(fd, data->data, data->bytes, name);
    close(fd);
    return err;
}

static void say(sl_run_opened *o, sl_part text) {
    size_t bytes = text.bytes < sizeof o->message ? text.bytes : sizeof o->message - 1;
    snprintf(o->message, sizeof o->message, "%.*s", (int)bytes, (const char *)text.data);
}

static sl_err take_ended(sl_run_opened *o, const sl_opened *opened) {
    sl_ended ended;
    SL_TRY(sl_ended_read(opened->sections[0], &ended));
    o->command = true;
    o->outcome.exit_code = ended.exit_code;
    o->outcome.signal = ended.signal;
    o->outcome.user_s = (double)ended.user_us / 1e6;
    o->outcome.system_s = (double)ended.system_us / 1e6;
    o->outcome.max_rss_bytes = ended.max_rss_bytes;
    o->message[0] = '\0';
    if (ended.message.bytes)
        say(o, ended.message);
    return SL_OK;
}

static sl_err take_opened(const sl_run_state *run, sl_run_opened *o, const sl_opened *opened) {
    const char *name = sl_task_list_at(run->list, o->task)->name;
    o->stdout_bytes = opened->sections[1].bytes;
    if (opened->form == SL_BODY_ENDED)
        SL_TRY(take_ended(o, opened));
    else if (opened->code)
        say(o, opened->sections[0]);
    SL_TRY(write_output(run, SL_OUTPUT_STDOUT, name, &opened->sections[1]));
    return opened->form == SL_BODY_ENDED
               ? write_output(run, SL_OUTPUT_STDERR, name, &opened->sections[2])
               : SL_OK;
}

static void open_result(sl_run_seal *seal, sl_run_opened *o) {
    sl_opened opened = {0};
    sl_err err = sl_seal_open(seal->ends[o->task], o->apart, o->wire.data, o->wire.bytes, &opened);
    if (err == SL_OK)
        err = take_opened(seal->run, o, &opened);
    sl_opened_close(&opened);
    if (err == SL_OK)
        return;
    if (o->outcome.status == SL_TASK_DONE)
        o->outcome.status = SL_TASK_FAILED;
    snprintf(o->message, sizeof o->message, "its sealed result is lost: %.900s", sl_err_detail());
}

void sl_run_opened_free(sl_run_opened *o) {
    sl_blob_release(o->apart);
    free(o);
}

/* ---- the thread ---- */

static void drop_opened(sl_event *event) {
    sl_run_opened_free((sl_run_opened *)(void *)event);
}

static void drop_batch(sl_event *event) {
    sl_run_batch_free((sl_run_batch *)(void *)event);
}

static void tell(const sl_run_seal *seal, sl_event *event, uint32_t kind) {
    event->drop = kind == SL_RUN_SEALED ? drop_batch : drop_opened;
    event->to = sl_self(seal->run->self);
    event->kind = kind;
    sl_notify(sl_actor_node(seal->run->self), event);
}

/* With the lock; one piece of work, results first. False: there is none. */
static bool work(sl_run_seal *seal) {
    sl_run_opened *result = seal->first;
    sl_run_batch *batch = result ? NULL : seal->batch;
    if (result) {
        seal->first = result->next;
        if (!seal->first)
            seal->last = &seal->first;
    }
    if (batch)
        seal->batch = NULL;
    if (!result && !batch)
        return false;
    pthread_mutex_unlock(&seal->lock);
    if (result) {
        open_result(seal, result);
        tell(seal, &result->event, SL_RUN_OPENED);
    } else {
        seal_batch(seal, batch);
        tell(seal, &batch->event, SL_RUN_SEALED);
    }
    pthread_mutex_lock(&seal->lock);
    return true;
}

static void *run_thread(void *argument) {
    sl_run_seal *seal = argument;
    pthread_mutex_lock(&seal->lock);
    while (!seal->ending)
        if (!work(seal))
            pthread_cond_wait(&seal->given, &seal->lock);
    pthread_mutex_unlock(&seal->lock);
    return NULL;
}

static sl_err start_thread(sl_run_seal *seal) {
    if (seal->started)
        return SL_OK;
    if (!seal->ends)
        seal->ends = calloc(seal->run->total + 1, sizeof(void *));
    if (!seal->bytes)
        seal->bytes = calloc(seal->run->total + 1, sizeof *seal->bytes);
    if (!seal->ends || !seal->bytes)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory to seal %u tasks", seal->run->total);
    SL_TRY(sl_thread_start(&seal->thread, run_thread, seal));
    seal->started = true;
    return SL_OK;
}

void sl_run_seal_batch(sl_run_state *run, sl_run_batch *batch) {
    sl_run_seal *seal = run->seal;
    batch->err = start_thread(seal);
    if (batch->err != SL_OK) {
        snprintf(batch->detail, sizeof batch->detail, "%s", sl_err_detail());
        tell(seal, &batch->event, SL_RUN_SEALED);
        return;
    }
    pthread_mutex_lock(&seal->lock);
    seal->batch = batch;
    pthread_cond_signal(&seal->given);
    pthread_mutex_unlock(&seal->lock);
}

sl_err sl_run_seal_result(sl_run_state *run, const scheduler_outcome *outcome, sl_blob *apart) {
    sl_run_seal *seal = run->seal;
    sl_run_opened *o = malloc(sizeof *o + outcome->output.bytes);
    if (!o)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a sealed result");
    *o = (sl_run_opened){.task = (uint32_t)outcome->tag,
                         .outcome = *outcome,
                         .wire = {o + 1, outcome->output.bytes},
                         .apart = sl_blob_retain(apart)};
    if (outcome->output.bytes)
        memcpy(o + 1, outcome->output.data, outcome->output.bytes);
    say(o, (sl_part){outcome->message.data, outcome->message.bytes});
    o->outcome.message = sl_text_of(NULL);
    o->outcome.output = (sl_bytes){NULL, 0};
    pthread_mutex_lock(&seal->lock);
    *seal->last = o;
    seal->last = &o->next;
    pthread_cond_signal(&seal->given);
    pthread_mutex_unlock(&seal->lock);
    return SL_OK;
}

/* ---- the end ---- */

void sl_run_seal_stop(sl_run_state *run) {
    sl_run_seal *seal = run->seal;
    if (!seal || !seal->started)
        return;
    pthread_mutex_lock(&seal->lock);
    seal->ending = true;
    pthread_cond_signal(&seal->given);
    pthread_mutex_unlock(&seal->lock);
    pthread_join(seal->thread, NULL);
    seal->started = false;
}

void sl_run_seal_close(sl_run_state *run) {
    sl_run_seal *seal = run->seal;
    if (!seal)
        return;
    sl_run_seal_stop(run);
    for (sl_run_opened *next; seal->first; seal->first = next) {
        next = seal->first->next;
        sl_run_opened_free(seal->first);
    }
    sl_run_batch_free(seal->batch);
    for (uint32_t i = 0; seal->ends && i < run->total; i++)
        sl_future_seal_drop(seal->ends[i]);
    free(seal->ends);
    free(seal->bytes);
    sl_keys_close(seal->keys);
    pthread_cond_destroy(&seal->given);
    pthread_mutex_destroy(&seal->lock);
    free(seal);
    run->seal = NULL;
}
