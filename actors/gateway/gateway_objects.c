/* Design notes
 * An object of a client is the store's, under a number of the client's or, of a task's result, of
 * the gateway's. It counts against its project's bytes from its first word on, before any of its
 * content is here, until neither its session nor a task of that has it. What a task returned is
 * fetched before its client is told: then its size is known, and its reading waits for nobody. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/gateway/gateway_internal.h"
#include "actors/executor/executor_msgs.h"
#include "actors/scheduler/scheduler_msgs.h"

static gw_object **bucket(gw_session *session, uint64_t number) {
    return &session->objects[number % OBJECT_BUCKETS];
}

static gw_object *find(gw_session *session, uint64_t number) {
    gw_object *object = *bucket(session, number);
    while (object && object->number != number)
        object = object->chain;
    return object;
}

static void drop(gateway *gw, gw_object *object) {
    if (--object->references)
        return;
    object->project->held_bytes -= object->bytes;
    gw->options.objects->release(object->object);
    free(object);
}

/* Out of its session, which has no name for it any more. */
static void take_out(gateway *gw, gw_session *session, gw_object *object) {
    gw_object **at = bucket(session, object->number);
    while (*at != object)
        at = &(*at)->chain;
    *at = object->chain;
    session->object_count--;
    drop(gw, object);
}

void gw_release_objects(gateway *gw, gw_session *session) {
    for (uint32_t i = 0; session->objects && i < OBJECT_BUCKETS; i++)
        while (session->objects[i])
            take_out(gw, session, session->objects[i]);
}

static const char *over_quota(const gw_session *session, uint64_t bytes) {
    const gw_project *project = session->project;
    uint64_t most = project->quota.payload_bytes;
    if (session->object_count >= OBJECTS_MOST)
        return "too many objects on this connection: release some";
    if (most && (bytes > most || project->held_bytes > most - bytes))
        return "the project would hold more bytes than its quota allows: release objects, or wait "
               "for tasks";
    return NULL;
}

/* The session's first reference; `handle` goes to it. NULL when out of memory. */
static gw_object *enter(gw_session *session, uint64_t number, void *handle, uint64_t bytes) {
    gw_object *object = calloc(1, sizeof *object);
    if (!object)
        return NULL;
    *object = (gw_object){.number = number,
                          .project = session->project,
                          .object = handle,
                          .bytes = bytes,
                          .references = 1};
    object->chain = *bucket(session, number);
    *bucket(session, number) = object;
    session->object_count++;
    session->project->held_bytes += bytes;
    return object;
}

/* ---- answers ---- */

static void refuse_object(gateway *gw, gw_session *session, uint64_t number, sl_err err,
                          const char *why) {
    char detail[500];
    snprintf(detail, sizeof detail, "%s", why);
    gateway_object answer = {
        .number = number, .error = (uint32_t)err, .detail = sl_text_of(detail)};
    gw_send(gw, session, SL_GATEWAY_OBJECT, &answer, NULL);
}

static sl_err describe(gateway *gw, gw_session *session, const gw_object *object) {
    gateway_dimension shape[8];
    gateway_object answer = {.number = object->number, .shape = {.items = shape}};
    SL_TRY(gw->options.objects->describe(object->object, &answer, shape));
    gw_send(gw, session, SL_GATEWAY_OBJECT, &answer, NULL);
    return SL_OK;
}

/* ---- what clients bring ---- */

static void finish_put(gateway *gw, gw_session *session, gw_object *object) {
    sl_err err = gw->options.objects->seal(object->object);
    if (err == SL_OK)
        err = describe(gw, session, object);
    object->whole = err == SL_OK;
    if (err == SL_OK)
        return;
    refuse_object(gw, session, object->number, err, sl_err_detail());
    take_out(gw, session, object);
}

static const char *begin_put(gateway *gw, gw_session *session, const gateway_put *put,
                             sl_err *err) {
    void *handle = NULL;
    *err = SL_ERR_REFUSED;
    if (!(session->scopes & SL_SCOPE_SUBMIT))
        return "this API key may not bring objects: it lacks the scope submit";
    const char *why = over_quota(session, put->bytes);
    if (why)
        return why;
    *err = gw->options.objects->make(gw->options.objects->context, put, &handle);
    if (*err != SL_OK)
        return sl_err_detail();
    gw_object *object = enter(session, put->number, handle, put->bytes);
    if (!object) {
        gw->options.objects->release(handle);
        *err = SL_ERR_NO_MEMORY;
        return "the gateway is out of memory";
    }
    if (!object->bytes)
        finish_put(gw, session, object);
    return NULL;
}

void gw_take_put(gateway *gw, gw_session *session, const sl_gateway_parts *parts) {
    gateway_put *put = sl_gateway_decode(parts, SL_GATEWAY_PUT);
    sl_err err;
    if (!put) {
        gw_refuse(gw, session, "%s", sl_err_detail());
        return;
    }
    if (put->number <= session->last_object || put->number >= SL_GATEWAY_OBJECT_OWN) {
        gw_refuse(gw, session, "object %llu after object %llu: numbers ascend",
                  (unsigned long long)put->number, (unsigned long long)session->last_object);
        free(put);
        return;
    }
    session->last_object = put->number;
    const char *why = begin_put(gw, session, put, &err);
    gw_audit(gw, session, "put", why ? "refused" : "ok", "object %llu of %llu bytes%s%s",
             (unsigned long long)put->number, (unsigned long long)put->bytes, why ? ": " : "",
             why ? why : "");
    if (why)
        refuse_object(gw, session, put->number, err, why);
    free(put);
}

/* Of one that was refused, or released, pieces may still be under way. */
void gw_take_piece(gateway *gw, gw_session *session, const sl_gateway_parts *parts) {
    gateway_piece *piece = sl_gateway_decode(parts, SL_GATEWAY_PIECE);
    if (!piece) {
        gw_refuse(gw, session, "%s", sl_err_detail());
        return;
    }
    gw_object *object = find(session, piece->number);
    if (!object && (piece->number > session->last_object || !piece->number))
        gw_refuse(gw, session, "a piece of object %llu, which has not begun",
                  (unsigned long long)piece->number);
    else if (object && (object->whole || piece->offset != object->got || !parts->data_bytes ||
                        parts->data_bytes > object->bytes - object->got))
        gw_refuse(gw, session, "a piece of object %llu that does not follow the last",
                  (unsigned long long)piece->number);
    else if (object) {
        gw->options.objects->write(object->object, piece->offset, parts->data, parts->data_bytes);
        object->got += parts->data_bytes;
        if (object->got == object->bytes)
            finish_put(gw, session, object);
    }
    free(piece);
}

void gw_take_release(gateway *gw, gw_session *session, const sl_gateway_parts *parts) {
    gateway_release *release = sl_gateway_decode(parts, SL_GATEWAY_RELEASE);
    if (!release) {
        gw_refuse(gw, session, "%s", sl_err_detail());
        return;
    }
    gw_object *object = find(session, release->number);
    if (object)
        take_out(gw, session, object);
    free(release);
}

/* ---- what clients read ---- */

static sl_err send_pieces(gateway *gw, gw_session *session, const gw_object *object,
                          uint64_t offset, uint64_t end) {
    while (offset < end) {
        uint64_t bytes = end - offset;
        sl_blob *blob = NULL;
        if (bytes > SL_GATEWAY_PIECE_BYTES)
            bytes = SL_GATEWAY_PIECE_BYTES;
        SL_TRY(gw->options.objects->part(object->object, offset, bytes, &blob));
        gateway_piece piece = {.number = object->number, .offset = offset};
        gw_send(gw, session, SL_GATEWAY_PIECE, &piece, blob);
        sl_blob_release(blob);
        offset += bytes;
    }
    return SL_OK;
}

static void read_object(gateway *gw, gw_session *session, const gateway_read *read) {
    gw_object *object = find(session, read->number);
    if (!object || !object->whole) {
        refuse_object(gw, session, read->number, SL_ERR_NOT_FOUND,
                      object ? "the object is not whole yet" : "there is no such object");
        return;
    }
    if (read->offset > object->bytes || read->bytes > SL_GATEWAY_READ_BYTES) {
        gw_refuse(gw, session, "a read of %llu bytes at %llu of an object of %llu",
                  (unsigned long long)read->bytes, (unsigned long long)read->offset,
                  (unsigned long long)object->bytes);
        return;
    }
    uint64_t left = object->bytes - read->offset;
    sl_err err = describe(gw, session, object);
    if (err == SL_OK)
        err = send_pieces(gw, session, object, read->offset,
                          read->offset + (read->bytes < left ? read->bytes : left));
    if (err != SL_OK)
        refuse_object(gw, session, read->number, err, sl_err_detail());
}

void gw_take_read(gateway *gw, gw_session *session, const sl_gateway_parts *parts) {
    gateway_read *read = sl_gateway_decode(parts, SL_GATEWAY_READ);
    if (read)
        read_object(gw, session, read);
    else
        gw_refuse(gw, session, "%s", sl_err_detail());
    free(read);
}

/* ---- among the arguments of tasks ---- */

typedef struct naming {
    gw_session *session;
    gw_named *named;
    sl_err err;
} naming;

static void *name_one(void *context, uint64_t number, bool data) {
    naming *of = context;
    gw_object *object = find(of->session, number);
    if (!object || !object->whole)
        return NULL;
    gw_object **all =
        realloc(of->named->objects, (of->named->count + (size_t)1) * sizeof(gw_object *));
    if (!all) {
        of->err = sl_fail(SL_ERR_NO_MEMORY, "the gateway is out of memory");
        return NULL;
    }
    object->references++;
    of->named->fetches |= data;
    of->named->objects = all;
    all[of->named->count++] = object;
    return object->object;
}

sl_err gw_name_arguments(gateway *gw, gw_session *session, uint8_t *arguments, size_t bytes,
                         const sl_blob *data, bool may_fetch, gw_named *named) {
    const sl_gateway_objects *objects = gw->options.objects;
    naming of = {.session = session, .named = named};
    SL_TRY(objects->arguments(objects->context, arguments, bytes, data, name_one, &of));
    if (named->fetches && !may_fetch)
        return sl_fail(SL_ERR_REFUSED, "an argument that is to be fetched: actors are given data");
    return of.err;
}

sl_err gw_take_data(gateway *gw, gw_session *session, gw_task *task, uint64_t number) {
    naming of = {.session = session, .named = &task->objects};
    void *object = name_one(&of, number, false);
    SL_TRY(of.err);
    if (!object)
        return sl_fail(SL_ERR_REFUSED, "its large data: there is no such object here");
    const gw_object *found = task->objects.objects[task->objects.count - 1];
    if (!found->bytes)
        return sl_fail(SL_ERR_REFUSED, "its large data: the object is empty");
    return gw->options.objects->part(object, 0, found->bytes, &task->data);
}

void gw_drop_named(gateway *gw, gw_named *named) {
    for (uint32_t i = 0; i < named->count; i++)
        drop(gw, named->objects[i]);
    free(named->objects);
    *named = (gw_named){};
}

void gw_let_go(gateway *gw, sl_bytes output) {
    const sl_gateway_objects *objects = gw->options.objects;
    objects->release(objects->result(objects->context, NULL, output));
}

/* ---- as results ---- */

struct gw_fetch {
    sl_job job; /* first */
    struct gw_fetch *next, *before;
    const sl_gateway_objects *objects;
    void *object;
    gw_task *task;
    gateway_result result;
    uint8_t output[SL_GATEWAY_NAMING_BYTES];
    sl_err err;
    char why[300];
};

static void drop_fetch(sl_event *event) {
    struct gw_fetch *fetch = (struct gw_fetch *)(void *)event;
    fetch->objects->release(fetch->object);
    free(fetch);
}

static void run_fetch(sl_job *job) {
    struct gw_fetch *fetch = (struct gw_fetch *)(void *)job;
    fetch->err = fetch->objects->fetch(fetch->object);
    if (fetch->err != SL_OK)
        snprintf(fetch->why, sizeof fetch->why, "%s", sl_err_detail());
}

static void unlink_fetch(gateway *gw, struct gw_fetch *fetch) {
    if (fetch->before)
        fetch->before->next = fetch->next;
    else
        gw->fetches = fetch->next;
    if (fetch->next)
        fetch->next->before = fetch->before;
}

gw_task *gw_forget_fetch(gateway *gw) {
    struct gw_fetch *fetch = gw->fetches;
    if (!fetch)
        return NULL;
    unlink_fetch(gw, fetch); /* its job drops it */
    return fetch->task;
}

static void fail_result(gateway_result *result, const char *why) {
    result->status = SL_TASK_FAILED;
    result->message = sl_text_of(why);
    result->output = (sl_bytes){};
}

bool gw_fetch_result(gateway *gw, gw_task *task, const gateway_result *result) {
    const sl_gateway_objects *objects = gw->options.objects;
    void *object =
        objects->result(objects->context, task->asks ? NULL : task->function, result->output);
    if (!object)
        return false;
    struct gw_fetch *fetch = calloc(1, sizeof *fetch);
    if (!fetch) {
        gateway_result failed = *result;
        objects->release(object);
        fail_result(&failed, "the gateway is out of memory");
        gw_end_fetched(gw, task, &failed);
        return true;
    }
    fetch->job =
        (sl_job){.event = {.to = sl_self(gw->self), .kind = GW_EVENT_FETCHED, .drop = drop_fetch},
                 .run = run_fetch};
    fetch->objects = objects;
    fetch->object = object;
    fetch->task = task;
    fetch->result = *result;
    fetch->result.message = (sl_text){};
    memcpy(fetch->output, result->output.data, result->output.bytes);
    fetch->result.output = (sl_bytes){fetch->output, result->output.bytes};
    fetch->next = gw->fetches;
    if (fetch->next)
        fetch->next->before = fetch;
    gw->fetches = fetch;
    sl_pool_post(gw->options.fetchers, &fetch->job);
    return true;
}

/* NULL: its session has it, as `*number`. */
static const char *adopt(struct gw_fetch *fetch, uint64_t *number) {
    gw_session *session = fetch->task->session;
    gateway_dimension shape[8];
    gateway_object about = {.shape = {.items = shape}};
    if (fetch->err != SL_OK)
        return fetch->why;
    if (fetch->objects->describe(fetch->object, &about, shape) != SL_OK)
        return sl_err_detail();
    const char *why = over_quota(session, about.bytes);
    if (why)
        return why;
    *number = SL_GATEWAY_OBJECT_OWN + ++session->own_object;
    gw_object *object = enter(session, *number, fetch->object, about.bytes);
    if (!object)
        return "the gateway is out of memory";
    object->whole = true;
    fetch->object = NULL;
    return NULL;
}

void gw_on_fetched(gateway *gw, sl_event *event) {
    struct gw_fetch *fetch = (struct gw_fetch *)(void *)event;
    uint64_t number = 0;
    unlink_fetch(gw, fetch);
    if (fetch->task->session && !fetch->task->cancelled) {
        const char *why = adopt(fetch, &number);
        if (why)
            fail_result(&fetch->result, why);
        else
            fetch->objects->name(fetch->output, fetch->result.output.bytes, number);
    }
    gw_end_fetched(gw, fetch->task, &fetch->result);
    drop_fetch(event);
}
