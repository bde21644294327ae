#include "sdk/run_writer.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/log.h"
#include "runtime/thread.h"
#include "sdk/atomic_file.h"

enum { LOGS = 2 };

#define TICK_NS (100 * SL_NS_PER_MS)

/* A row for `log`, or without one the output of task `name`. */
typedef struct entry {
    struct entry *next;
    sl_line_log *log;
    const char *name;
    size_t bytes;
    char data[];
} entry;

struct sl_run_writer {
    const sl_output_dir *dir;
    sl_line_log *logs[LOGS];
    size_t log_count;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t given, written;
    entry *head, *tail;
    size_t waiting_bytes; /* in the queue, or being written */
    bool ending;
    bool owes; /* a call of tell() */
    void (*tell)(void *context);
    void *context;
    uint64_t troubles; /* rows that could not be written */
};

/* ---- writing ---- */

/* Said at the 1st, 2nd, 4th, 8th … time: a full disk would say it for every task. */
static void row_trouble(sl_run_writer *w) {
    uint64_t count = ++w->troubles;
    if ((count & (count - 1)) == 0)
        sl_error("run", "%s (the ledger has it all the same)", sl_err_detail());
}

static void write_output(const sl_run_writer *w, const entry *e) {
    int fd;
    sl_err err = sl_output_create(w->dir, SL_OUTPUT_STDOUT, e->name, &fd);
    if (err == SL_OK) {
        err = sl_write_all(fd, e->data, e->bytes, e->name);
        close(fd);
    }
    if (err != SL_OK)
        sl_error("run", "the output of task %s is lost: %s", e->name, sl_err_detail());
}

/* Writes and frees a whole list; returns its bytes. */
static size_t write_all(sl_run_writer *w, entry *list) {
    size_t bytes = 0;
    for (entry *next; list; list = next) {
        next = list->next;
        bytes += list->bytes;
        if (!list->log)
            write_output(w, list);
        else if (sl_line_log_add(list->log, list->data, list->bytes) != SL_OK)
            row_trouble(w);
        free(list);
    }
    return bytes;
}

static void tick(sl_run_writer *w) {
    for (size_t i = 0; i < w->log_count; i++)
        if (sl_line_log_tick(w->logs[i]) != SL_OK)
            row_trouble(w);
}

/* ---- the thread ---- */

static void wait_for_more(sl_run_writer *w) {
    struct timespec until = sl_cond_deadline(TICK_NS);
    while (!w->head && !w->ending)
        if (pthread_cond_timedwait(&w->given, &w->lock, &until) != 0)
            return;
}

/* With the lock. */
static void has_written(sl_run_writer *w, size_t bytes) {
    w->waiting_bytes -= bytes;
    pthread_cond_signal(&w->written);
    if (!w->owes || w->ending || w->waiting_bytes > SL_RUN_WRITER_MOST_BYTES / 2)
        return;
    w->owes = false;
    w->tell(w->context);
}

static void *run(void *argument) {
    sl_run_writer *w = argument;
    pthread_mutex_lock(&w->lock);
    do {
        wait_for_more(w);
        entry *list = w->head;
        w->head = w->tail = NULL;
        pthread_mutex_unlock(&w->lock);
        size_t bytes = write_all(w, list);
        tick(w);
        pthread_mutex_lock(&w->lock);
        has_written(w, bytes);
    } while (w->head || !w->ending);
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* ---- giving it work ---- */

static sl_err give(sl_run_writer *w, sl_line_log *log, const char *name, const void *data,
                   size_t bytes) {
    entry *e = malloc(sizeof *e + bytes);
    if (!e)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for %zu bytes to be written", bytes);
    *e = (entry){.log = log, .name = name, .bytes = bytes};
    if (bytes)
        memcpy(e->data, data, bytes);
    pthread_mutex_lock(&w->lock);
    *(w->tail ? &w->tail->next : &w->head) = e;
    w->tail = e;
    w->waiting_bytes += bytes;
    pthread_cond_signal(&w->given);
    pthread_mutex_unlock(&w->lock);
    return SL_OK;
}

sl_err sl_run_writer_row(sl_run_writer *writer, sl_line_log *log, const char *line, size_t length) {
    return give(writer, log, NULL, line, length);
}

sl_err sl_run_writer_output(sl_run_writer *writer, const char *name, const void *data,
                            size_t bytes) {
    return give(writer, NULL, name, data, bytes);
}

bool sl_run_writer_is_full(sl_run_writer *writer) {
    pthread_mutex_lock(&writer->lock);
    bool full = writer->waiting_bytes > SL_RUN_WRITER_MOST_BYTES;
    writer->owes |= full && writer->tell;
    pthread_mutex_unlock(&writer->lock);
    return full;
}

void sl_run_writer_await_room(sl_run_writer *writer) {
    pthread_mutex_lock(&writer->lock);
    while (writer->waiting_bytes > SL_RUN_WRITER_MOST_BYTES)
        pthread_cond_wait(&writer->written, &writer->lock);
    pthread_mutex_unlock(&writer->lock);
}

/* ---- start and stop ---- */

sl_err sl_run_writer_start(const sl_output_dir *dir, sl_line_log *const *logs, size_t count,
                           void (*tell)(void *context), void *context, sl_run_writer **out) {
    sl_run_writer *w = calloc(1, sizeof *w);
    if (!w)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a writer");
    w->dir = dir;
    w->tell = tell;
    w->context = context;
    for (; w->log_count < count && w->log_count < LOGS; w->log_count++)
        w->logs[w->log_count] = logs[w->log_count];
    pthread_mutex_init(&w->lock, NULL);
    sl_cond_init(&w->given);
    sl_cond_init(&w->written);
    sl_err err = sl_thread_start(&w->thread, run, w);
    if (err == SL_OK)
        *out = w;
    else
        free(w);
    return err;
}

void sl_run_writer_stop(sl_run_writer *writer) {
    if (!writer)
        return;
    pthread_mutex_lock(&writer->lock);
    writer->ending = true;
    pthread_cond_signal(&writer->given);
    pthread_mutex_unlock(&writer->lock);
    pthread_join(writer->thread, NULL);
    pthread_mutex_destroy(&writer->lock);
    pthread_cond_destroy(&writer->given);
    pthread_cond_destroy(&writer->written);
    free(writer);
}
