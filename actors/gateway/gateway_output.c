/* What commands write: two files for each, in a directory that all nodes see. Reading and deleting
 * is for threads of a pool. A job owns what it needs: its command, or session, may be gone when it
 * ends. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actors/gateway/gateway_internal.h"
#include "runtime/log.h"

typedef enum gw_aim { GW_HEADS, GW_PART, GW_DELETE, GW_CUT } gw_aim;

typedef struct gw_output_job {
    sl_job job; /* first */
    gw_aim aim;
    uint64_t id;
    char paths[2][GW_PATH_BYTES];
    gw_heads heads;
    uint64_t most[2]; /* to cut it to */
    /* of a part */
    uint64_t session, request, offset;
    uint32_t bytes;
    int stream;
    bool ended;
    sl_err err;
    char why[300];
    uint8_t *data;
} gw_output_job;

void gw_output_path(const gateway *gw, uint64_t id, int stream, char path[GW_PATH_BYTES]) {
    snprintf(path, GW_PATH_BYTES, "%.4000s/%llx.%s", gw->options.output, (unsigned long long)id,
             stream ? "err" : "out");
}

/* ---- on a thread of the pool ---- */

/* What is there from `offset` on, at most so much; -1: errno. */
static ssize_t read_some(const char *path, uint64_t offset, uint8_t *data, size_t most,
                         uint64_t *size) {
    struct stat info;
    size_t got = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return -1;
    *size = fstat(fd, &info) == 0 && S_ISREG(info.st_mode) ? (uint64_t)info.st_size : 0;
    while (got < most) {
        ssize_t some = pread(fd, data + got, most - got, (off_t)(offset + got));
        if (some <= 0)
            break;
        got += (size_t)some;
    }
    close(fd);
    return (ssize_t)got;
}

static void read_heads(gw_output_job *of) {
    gw_heads *heads = &of->heads;
    ssize_t out = read_some(of->paths[0], 0, heads->out, sizeof heads->out, &heads->out_bytes);
    ssize_t err = read_some(of->paths[1], 0, heads->err, sizeof heads->err, &heads->err_bytes);
    heads->out_count = out > 0 ? (uint32_t)out : 0;
    heads->err_count = err > 0 ? (uint32_t)err : 0;
}

/* A command that has not begun has no file. */
static void read_part(gw_output_job *of) {
    uint64_t size;
    ssize_t got = read_some(of->paths[of->stream], of->offset, of->data, of->bytes, &size);
    if (got < 0 && errno != ENOENT) {
        of->err = SL_ERR_IO;
        snprintf(of->why, sizeof of->why, "it cannot be read: %s", strerror(errno));
    }
    of->bytes = got > 0 ? (uint32_t)got : 0;
}

void gw_cut_file(const char *path, uint64_t bytes) {
    struct stat info;
    if (stat(path, &info) == 0 && S_ISREG(info.st_mode) && (uint64_t)info.st_size > bytes &&
        truncate(path, (off_t)bytes) != 0 && errno != ENOENT)
        sl_warn("gateway", "%s cannot be cut: %s", path, strerror(errno));
}

static void run_job(sl_job *job) {
    gw_output_job *of = (gw_output_job *)(void *)job;
    switch (of->aim) {
    case GW_HEADS:
        read_heads(of);
        break;
    case GW_PART:
        read_part(of);
        break;
    case GW_DELETE:
        unlink(of->paths[0]);
        unlink(of->paths[1]);
        break;
    case GW_CUT:
        gw_cut_file(of->paths[0], of->most[0]);
        gw_cut_file(of->paths[1], of->most[1]);
        break;
    }
}

/* ---- on the loop ---- */

static void drop_job(sl_event *event) {
    gw_output_job *of = (gw_output_job *)(void *)event;
    free(of->data);
    free(of);
}

static gw_output_job *make_job(const gateway *gw, gw_aim aim, uint64_t id) {
    gw_output_job *of = calloc(1, sizeof *of);
    if (!of)
        return NULL;
    of->job =
        (sl_job){.event = {.to = sl_self(gw->self), .kind = GW_EVENT_OUTPUT, .drop = drop_job},
                 .run = run_job};
    of->aim = aim;
    of->id = id;
    for (int stream = 0; stream < 2; stream++)
        gw_output_path(gw, id, stream, of->paths[stream]);
    return of;
}

void gw_look_at_output(gateway *gw, gw_entry *entry) {
    gw_output_job *of = make_job(gw, GW_HEADS, entry->id);
    if (!of) {
        gw_command_over(gw, entry, NULL);
        return;
    }
    gw->looks++;
    sl_pool_post(gw->options.fetchers, &of->job);
}

/* Without memory it stays until the gateway's end, when all that is left goes. */
void gw_delete_output(gateway *gw, uint64_t id) {
    gw_output_job *of = gw->stopping ? NULL : make_job(gw, GW_DELETE, id);
    if (of)
        sl_pool_post(gw->options.fetchers, &of->job);
}

void gw_cut_output(gateway *gw, const gw_entry *entry) {
    gw_output_job *of = make_job(gw, GW_CUT, entry->id);
    if (!of)
        return; /* it goes with its command */
    memcpy(of->most, entry->written, sizeof of->most);
    sl_pool_post(gw->options.fetchers, &of->job);
}

static void answer(gateway *gw, gw_session *session, uint64_t request, sl_err err,
                   const char *why) {
    gateway_log log = {.request = request, .error = (uint32_t)err, .detail = sl_text_of(why)};
    gw_send(gw, session, SL_GATEWAY_LOG, &log, NULL);
}

static void answer_part(gateway *gw, const gw_output_job *of) {
    gw_session *session = gw_session_of(gw, of->session);
    if (!session)
        return;
    session->logs--;
    gateway_log log = {.request = of->request,
                       .error = (uint32_t)of->err,
                       .ended = of->ended,
                       .detail = sl_text_of(of->why),
                       .data = {of->data, of->bytes}};
    gw_send(gw, session, SL_GATEWAY_LOG, &log, NULL);
}

void gw_on_output(gateway *gw, sl_event *event) {
    gw_output_job *of = (gw_output_job *)(void *)event;
    gw_entry *entry = of->aim == GW_HEADS ? gw_find_entry(gw, of->id) : NULL;
    gw->looks -= of->aim == GW_HEADS;
    if (entry)
        gw_command_over(gw, entry, &of->heads);
    else if (of->aim == GW_PART)
        answer_part(gw, of);
    drop_job(event);
}

/* How much of such a part there is to be read: of what is cut no more than stays, also as long as
 * it is not cut yet. */
static uint32_t left_of(const gw_entry *entry, const gateway_logs *logs) {
    if (!entry->full)
        return logs->bytes;
    uint64_t all = entry->written[logs->stream];
    uint64_t rest = logs->offset < all ? all - logs->offset : 0;
    return rest < logs->bytes ? (uint32_t)rest : logs->bytes;
}

/* Whether it has ended is asked before its file is read: what it wrote before is in it. */
static sl_err begin_part(gateway *gw, gw_session *session, const gateway_logs *logs) {
    const gw_entry *entry = gw_find_entry(gw, logs->id);
    if (!gw_may_see(session, entry))
        return sl_fail(SL_ERR_NOT_FOUND, "there is no command %llx of the project, or not any more",
                       (unsigned long long)logs->id);
    if (entry->ended.call)
        return sl_fail(SL_ERR_INVALID, "%llx is a call, which has a result: collect that",
                       (unsigned long long)logs->id);
    if (logs->stream > 1 || !logs->bytes || logs->bytes > SL_GATEWAY_LOG_BYTES ||
        logs->offset > INT64_MAX / 2)
        return sl_fail(SL_ERR_INVALID, "no part of an output");
    if (session->logs >= SL_GATEWAY_LOGS_MOST)
        return sl_fail(SL_ERR_AGAIN, "%d such requests are under way: wait for their answers",
                       SL_GATEWAY_LOGS_MOST);
    gw_output_job *of = make_job(gw, GW_PART, logs->id);
    if (of)
        of->data = malloc(logs->bytes);
    if (!of || !of->data) {
        free(of);
        return sl_fail(SL_ERR_NO_MEMORY, "the gateway is out of memory");
    }
    of->session = session->serial;
    of->request = logs->request;
    of->offset = logs->offset;
    of->bytes = left_of(entry, logs);
    of->stream = logs->stream;
    of->ended = entry->over;
    session->logs++;
    sl_pool_post(gw->options.fetchers, &of->job);
    return SL_OK;
}

void gw_take_logs(gateway *gw, gw_session *session, const sl_gateway_parts *parts) {
    gateway_logs *logs = sl_gateway_decode(parts, SL_GATEWAY_LOGS);
    if (!logs) {
        gw_refuse(gw, session, "%s", sl_err_detail());
        return;
    }
    sl_err err = begin_part(gw, session, logs);
    if (err != SL_OK) {
        char why[400];
        snprintf(why, sizeof why, "%s", sl_err_detail());
        answer(gw, session, logs->request, err, why);
    }
    free(logs);
}
