/* Design notes
 * The audit log gathers lines, and a job of the pool's one thread writes them: the loop waits for
 * no disk. A job owns all it needs, because the actor may be gone when it ends. No line is lost as
 * the gateway is left: what its pool did not come to is written when its job is dropped. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "actors/gateway/gateway_internal.h"
#include "runtime/log.h"

enum { MOST_BYTES = 4 << 20 };

typedef struct gw_lines {
    sl_job job; /* first */
    int fd;
    char *text;
    size_t bytes, written;
} gw_lines;

static void write_lines(sl_job *job) {
    gw_lines *lines = (gw_lines *)(void *)job;
    while (lines->written < lines->bytes) {
        ssize_t some =
            write(lines->fd, lines->text + lines->written, lines->bytes - lines->written);
        if (some < 0 && errno == EINTR)
            continue;
        if (some <= 0)
            return;
        lines->written += (size_t)some;
    }
}

/* What its pool did not come to, as it ended, is written here. */
static void drop_lines(sl_event *event) {
    gw_lines *lines = (gw_lines *)(void *)event;
    write_lines(&lines->job);
    if (lines->written < lines->bytes)
        sl_error("gateway", "lines of the audit log cannot be written: is the disk full?");
    free(lines->text);
    free(lines);
}

static void post_lines(gateway *gw) {
    if (gw->audit_busy || !gw->audit.length)
        return;
    gw_lines *lines = malloc(sizeof *lines);
    if (!lines)
        return; /* with the next line */
    *lines = (gw_lines){
        .job = {.event = {.to = sl_self(gw->self), .kind = GW_EVENT_WRITTEN, .drop = drop_lines},
                .run = write_lines},
        .fd = gw->options.audit_fd,
        .bytes = gw->audit.length};
    lines->text = sl_strbuf_take(&gw->audit);
    gw->audit_busy = true;
    sl_pool_post(gw->options.pool, &lines->job);
}

void gw_on_written(gateway *gw, sl_event *event) {
    gw->audit_busy = false;
    drop_lines(event);
    post_lines(gw);
}

static void put_line(gateway *gw, const gw_session *session, const char *what, const char *result,
                     const char *detail) {
    sl_strbuf *to = &gw->audit;
    sl_strbuf_append(to, "{\"time\":");
    sl_strbuf_json_double(to, sl_wall_s(gw->self));
    sl_strbuf_append(to, ",\"from\":");
    sl_strbuf_json(to, session->address);
    sl_strbuf_append(to, ",\"key\":");
    sl_strbuf_json(to, session->key_id[0] ? session->key_id : NULL);
    sl_strbuf_append(to, ",\"project\":");
    sl_strbuf_json(to, session->project ? session->project->name : NULL);
    sl_strbuf_printf(to, ",\"what\":\"%s\",\"result\":\"%s\",\"detail\":", what, result);
    sl_strbuf_json(to, detail);
    sl_strbuf_append(to, "}\n");
}

SL_PRINTF(5, 0)
static void note(gateway *gw, const gw_session *session, const char *what, const char *result,
                 const char *format, va_list arguments) {
    char detail[512];
    if (gw->options.audit_fd < 0)
        return;
    vsnprintf(detail, sizeof detail, format, arguments);
    if (gw->audit.length > MOST_BYTES) {
        gw->audit_lost++; /* the disk does not keep up */
        return;
    }
    if (gw->audit_lost)
        sl_strbuf_printf(&gw->audit, "{\"lost\":%llu}\n", (unsigned long long)gw->audit_lost);
    gw->audit_lost = 0;
    put_line(gw, session, what, result, detail);
    post_lines(gw);
}

void gw_audit(gateway *gw, const gw_session *session, const char *what, const char *result,
              const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    note(gw, session, what, result, format, arguments);
    va_end(arguments);
}

void gw_audit_of(gateway *gw, const gw_project *project, const char *what, const char *result,
                 const char *format, ...) {
    const gw_session nobody = {.project = (gw_project *)(uintptr_t)project};
    va_list arguments;
    va_start(arguments, format);
    note(gw, &nobody, what, result, format, arguments);
    va_end(arguments);
}

void gw_audit_fini(gateway *gw) {
    gw->audit_busy = false; /* the last lines follow those that are being written */
    post_lines(gw);
    sl_strbuf_fini(&gw->audit);
}
