/* Design notes: two batches take turns. Posts are copied into the one that fills, under a mutex;
 * the writer swaps it for the empty one, writes it as one transaction, syncs, and calls back. All
 * that was posted during a sync is therefore the next transaction: the group grows with the load,
 * and a lone record waits for nothing but its own sync.
 *
 * Invariants: only the writer (the thread, or whoever calls step or close without one) touches
 * `store` and `draining`; `mutex` guards all else. A failure is final: from then on every post gets
 * SL_ERR_LEDGER, because what a failed sync left on disk cannot be known. */
#include "actors/scheduler/ledger.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/scheduler/ledger_lock.h"
#include "actors/scheduler/ledger_schema.h"
#include "actors/scheduler/ledger_store.h"
#include "runtime/log.h"
#include "runtime/thread.h"

#define QUEUE_BYTES_DEFAULT   ((size_t)16 << 20)
#define QUEUE_BYTES_MIN       ((size_t)4 << 10)
#define LINGER_NS_DEFAULT     (50 * SL_NS_PER_MS)
#define PATIENCE_NS_DEFAULT   (60 * SL_NS_PER_S)
#define CHECKPOINT_PAGES_IDLE 1000  /* 4 MB of log: moved when nothing waits */
#define CHECKPOINT_PAGES_BUSY 16000 /* 64 MB: moved whoever waits */

struct sl_ledger {
    sl_ledger_options options;
    char *path;
    sl_ledger_lock lock;
    sl_ledger_store store;
    sl_ledger_batch draining;
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;    /* the writer waits on it */
    pthread_cond_t settled; /* flush waits on it */
    /* under mutex */
    sl_ledger_batch filling;
    uint64_t posted;
    uint64_t answered;
    bool sleeping; /* the writer needs a signal to see a post */
    bool hurry;    /* somebody flushes */
    bool closing;
    bool failed;
    char failure[512];
    sl_ledger_stats stats;
};

const char *sl_ledger_state_name(sl_ledger_state state) {
    static const char *const names[SL_LEDGER_STATES] = {
        "accepted", "running", "done", "failed", "cancelled", "skipped", "lost",
    };
    return (unsigned)state < SL_LEDGER_STATES ? names[state] : "unknown";
}

/* Says why on the thread that is about to hear of it. */
static void explain(const sl_ledger_post_item *post, const char *failure) {
    if (post->err == SL_ERR_LEDGER)
        (void)sl_fail(post->err, "%s", failure);
    if (post->err != SL_ERR_EXISTS)
        return;
    if (post->refused->kind == SL_LEDGER_TASK)
        (void)sl_fail(post->err, "task %u or the name \"%s\" is in the ledger already",
                      post->refused->task.id, post->refused->task.name);
    else
        (void)sl_fail(post->err, "task %u has its result in the ledger already",
                      post->refused->outcome.task);
}

/* Calls back in order, and counts. `failure` is stable: it is written once, by this thread. */
static void answer(sl_ledger *ledger, sl_err err) {
    uint64_t records = 0, refused = 0;
    for (sl_ledger_post_item *post = ledger->draining.first; post; post = post->next) {
        if (err != SL_OK)
            post->err = err;
        records += post->err == SL_OK ? post->count : 0;
        refused += post->err == SL_ERR_EXISTS;
        if (post->err != SL_OK)
            explain(post, ledger->failure);
        if (post->done)
            post->done(post->context, post->err);
        else if (post->err == SL_ERR_EXISTS)
            sl_warn("scheduler", "ledger refused a record cause %s", sl_err_detail());
    }
    pthread_mutex_lock(&ledger->mutex);
    ledger->answered += ledger->draining.posts;
    ledger->stats.records += records;
    ledger->stats.refused += refused;
    pthread_cond_broadcast(&ledger->settled);
    pthread_mutex_unlock(&ledger->mutex);
    sl_ledger_batch_clear(&ledger->draining);
}

static void note_failure(sl_ledger *ledger) {
    pthread_mutex_lock(&ledger->mutex);
    ledger->failed = true;
    snprintf(ledger->failure, sizeof ledger->failure, "%s", sl_err_detail());
    pthread_mutex_unlock(&ledger->mutex);
    sl_error("scheduler", "ledger failed, nothing more is accepted or done cause %s",
             ledger->failure);
}

static void note_commit(sl_ledger *ledger, uint64_t took_ns) {
    pthread_mutex_lock(&ledger->mutex);
    ledger->stats.commits++;
    if (took_ns > ledger->stats.commit_ns_max)
        ledger->stats.commit_ns_max = took_ns;
    pthread_mutex_unlock(&ledger->mutex);
}

/* Writes what is in `draining` and calls back. */
static void drain(sl_ledger *ledger) {
    sl_err err = ledger->failed ? SL_ERR_LEDGER : SL_OK;
    if (err == SL_OK) {
        uint64_t begin = ledger->options.clock->now_ns(ledger->options.clock);
        err = sl_ledger_store_write(&ledger->store, &ledger->draining);
        if (err == SL_OK)
            note_commit(ledger, ledger->options.clock->now_ns(ledger->options.clock) - begin);
        else
            note_failure(ledger);
    }
    answer(ledger, err == SL_OK ? SL_OK : SL_ERR_LEDGER);
}

/* The log is kept short when that delays nobody, and bounded when it does. */
static void checkpoint_if_due(sl_ledger *ledger, bool idle) {
    int due = idle ? CHECKPOINT_PAGES_IDLE : CHECKPOINT_PAGES_BUSY;
    if (ledger->failed || sl_ledger_store_log_pages(&ledger->store) < due)
        return;
    uint64_t begin = ledger->options.clock->now_ns(ledger->options.clock);
    sl_ledger_store_checkpoint(&ledger->store);
    uint64_t took = ledger->options.clock->now_ns(ledger->options.clock) - begin;
    pthread_mutex_lock(&ledger->mutex);
    ledger->stats.checkpoints++;
    if (took > ledger->stats.checkpoint_ns_max)
        ledger->stats.checkpoint_ns_max = took;
    pthread_mutex_unlock(&ledger->mutex);
}

static void swap(sl_ledger *ledger) {
    sl_ledger_batch full = ledger->filling;
    ledger->filling = ledger->draining;
    ledger->draining = full;
    ledger->hurry = false;
}

/* Under mutex: true when what is queued must not wait for company. */
static bool pressing(const sl_ledger *ledger) {
    const sl_ledger_batch *filling = &ledger->filling;
    return filling->awaited || ledger->hurry || ledger->closing ||
           filling->used_bytes > filling->capacity_bytes / 2;
}

/* Under mutex: waits until there is something to write. False: there never will be. */
static bool wait_for_work(sl_ledger *ledger) {
    bool lingered = false;
    while (!(ledger->filling.first && (lingered || pressing(ledger)))) {
        if (ledger->closing) /* what was queued was pressing */
            return false;
        ledger->sleeping = true;
        if (ledger->filling.first) {
            struct timespec deadline = sl_cond_deadline(ledger->options.linger_ns);
            lingered =
                pthread_cond_timedwait(&ledger->wake, &ledger->mutex, &deadline) == ETIMEDOUT;
        } else {
            pthread_cond_wait(&ledger->wake, &ledger->mutex);
        }
        ledger->sleeping = false;
    }
    return true;
}

static void *writer(void *argument) {
    sl_ledger *ledger = argument;
    pthread_setname_np(pthread_self(), "sl-ledger");
    pthread_mutex_lock(&ledger->mutex);
    while (wait_for_work(ledger)) {
        swap(ledger);
        pthread_mutex_unlock(&ledger->mutex);
        drain(ledger);
        pthread_mutex_lock(&ledger->mutex);
        bool idle = !ledger->filling.first;
        pthread_mutex_unlock(&ledger->mutex);
        checkpoint_if_due(ledger, idle);
        pthread_mutex_lock(&ledger->mutex);
    }
    pthread_mutex_unlock(&ledger->mutex);
    return NULL;
}

static void set_defaults(sl_ledger_options *options) {
    if (!options->clock)
        options->clock = &sl_clock_real;
    if (!options->disk)
        options->disk = &sl_ledger_disk_real;
    if (!options->queue_bytes)
        options->queue_bytes = QUEUE_BYTES_DEFAULT;
    if (options->queue_bytes < QUEUE_BYTES_MIN)
        options->queue_bytes = QUEUE_BYTES_MIN;
    if (!options->linger_ns)
        options->linger_ns = LINGER_NS_DEFAULT;
    if (!options->patience_ns)
        options->patience_ns = PATIENCE_NS_DEFAULT;
}

/* Makes the file of a new run, unless it is there. */
static sl_err create_file(const char *path, const sl_ledger_options *options) {
    sqlite3 *db = NULL;
    sl_err err = sl_ledger_schema_connect(options->disk, path, false, &db);
    if (err == SL_ERR_NOT_FOUND)
        return sl_ledger_schema_create(options->disk, path, options->meta, options->meta_count);
    if (err != SL_OK)
        return err;
    sqlite3_close_v2(db);
    return sl_fail(SL_ERR_EXISTS, "%s holds a run already: resume it, or choose another directory",
                   path);
}

static sl_err start_writer(sl_ledger *ledger) {
    int cause = pthread_create(&ledger->thread, NULL, writer, ledger);
    if (cause != 0)
        return sl_fail(SL_ERR_NO_MEMORY, "cannot start the ledger's thread: %s", strerror(cause));
    ledger->has_thread = true;
    return SL_OK;
}

static sl_err open_parts(sl_ledger *ledger) {
    const sl_ledger_options *options = &ledger->options;
    SL_TRY(sl_ledger_batch_init(&ledger->filling, options->queue_bytes));
    SL_TRY(sl_ledger_batch_init(&ledger->draining, options->queue_bytes));
    if (!options->disk->alone)
        SL_TRY(sl_ledger_lock_take(ledger->path, &ledger->lock));
    if (options->mode == SL_LEDGER_CREATE)
        SL_TRY(create_file(ledger->path, options));
    SL_TRY(sl_ledger_store_open(ledger->path, options, &ledger->store));
    if (!options->disk->alone)
        sl_ledger_lock_describe(&ledger->lock, ledger->store.wal);
    ledger->stats.session = (uint32_t)ledger->store.rows.session;
    ledger->stats.wal = ledger->store.wal;
    return options->no_thread ? SL_OK : start_writer(ledger);
}

static void destroy(sl_ledger *ledger) {
    sl_ledger_store_close(&ledger->store);
    sl_ledger_lock_release(&ledger->lock);
    sl_ledger_batch_fini(&ledger->filling);
    sl_ledger_batch_fini(&ledger->draining);
    pthread_cond_destroy(&ledger->wake);
    pthread_cond_destroy(&ledger->settled);
    pthread_mutex_destroy(&ledger->mutex);
    free(ledger->path);
    free(ledger);
}

static sl_ledger *create(const char *path, const sl_ledger_options *options) {
    sl_ledger *ledger = calloc(1, sizeof *ledger);
    char *copy = strdup(path);
    if (!ledger || !copy) {
        free(ledger);
        free(copy);
        return NULL;
    }
    sl_cond_init(&ledger->wake);
    pthread_cond_init(&ledger->settled, NULL);
    pthread_mutex_init(&ledger->mutex, NULL);
    ledger->path = copy;
    ledger->lock = SL_LEDGER_LOCK_NONE;
    ledger->options = *options;
    set_defaults(&ledger->options);
    return ledger;
}

sl_err sl_ledger_open(const char *path, const sl_ledger_options *options, sl_ledger **out) {
    sl_ledger *ledger = create(path, options);
    if (!ledger)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory to open ledger %s", path);
    sl_err err = open_parts(ledger);
    if (err != SL_OK) {
        destroy(ledger);
        return err;
    }
    *out = ledger;
    return SL_OK;
}

/* Under mutex. */
static sl_err post_locked(sl_ledger *ledger, const sl_ledger_record *records, size_t count,
                          sl_ledger_done *done, void *context) {
    if (ledger->failed)
        return sl_fail(SL_ERR_LEDGER, "%s", ledger->failure);
    if (ledger->closing)
        return sl_fail(SL_ERR_CLOSED, "ledger %s is being closed", ledger->path);
    SL_TRY(sl_ledger_batch_add(&ledger->filling, records, count, done, context));
    ledger->posted++;
    ledger->stats.posts++;
    if (ledger->filling.used_bytes > ledger->stats.queue_bytes_high)
        ledger->stats.queue_bytes_high = ledger->filling.used_bytes;
    return SL_OK;
}

sl_err sl_ledger_post(sl_ledger *ledger, const sl_ledger_record *records, size_t count,
                      sl_ledger_done *done, void *context) {
    pthread_mutex_lock(&ledger->mutex);
    sl_err err = post_locked(ledger, records, count, done, context);
    /* The first record that only rides along wakes it too: the writer then sets its alarm. */
    bool signal = ledger->sleeping && (pressing(ledger) || ledger->filling.posts == 1);
    if (signal)
        ledger->sleeping = false;
    pthread_mutex_unlock(&ledger->mutex);
    if (signal)
        pthread_cond_signal(&ledger->wake);
    return err;
}

static sl_err failure_of(sl_ledger *ledger) {
    pthread_mutex_lock(&ledger->mutex);
    sl_err err = ledger->failed ? sl_fail(SL_ERR_LEDGER, "%s", ledger->failure) : SL_OK;
    pthread_mutex_unlock(&ledger->mutex);
    return err;
}

sl_err sl_ledger_step(sl_ledger *ledger) {
    if (ledger->has_thread)
        return sl_fail(SL_ERR_INVALID, "this ledger has a thread of its own: it takes no steps");
    pthread_mutex_lock(&ledger->mutex);
    bool work = ledger->filling.first != NULL;
    if (work)
        swap(ledger);
    pthread_mutex_unlock(&ledger->mutex);
    if (work)
        drain(ledger);
    checkpoint_if_due(ledger, true);
    return failure_of(ledger);
}

bool sl_ledger_waits(sl_ledger *ledger, bool *is_pressing) {
    pthread_mutex_lock(&ledger->mutex);
    bool waits = ledger->filling.first != NULL;
    *is_pressing = waits && pressing(ledger);
    pthread_mutex_unlock(&ledger->mutex);
    return waits;
}

sl_err sl_ledger_flush(sl_ledger *ledger) {
    if (!ledger->has_thread)
        return sl_ledger_step(ledger);
    pthread_mutex_lock(&ledger->mutex);
    uint64_t until = ledger->posted;
    ledger->hurry = ledger->filling.first != NULL;
    pthread_cond_signal(&ledger->wake);
    while (ledger->answered < until)
        pthread_cond_wait(&ledger->settled, &ledger->mutex);
    pthread_mutex_unlock(&ledger->mutex);
    return failure_of(ledger);
}

/* Stops taking posts and has the writer finish what it has. */
static void stop(sl_ledger *ledger) {
    pthread_mutex_lock(&ledger->mutex);
    ledger->closing = true;
    pthread_cond_signal(&ledger->wake);
    pthread_mutex_unlock(&ledger->mutex);
    if (ledger->has_thread)
        pthread_join(ledger->thread, NULL);
    else
        (void)!sl_ledger_step(ledger); /* its failure is kept, and reported by close */
}

sl_err sl_ledger_close(sl_ledger *ledger, const sl_ledger_end *end) {
    if (!ledger)
        return SL_OK;
    stop(ledger);
    sl_err err = failure_of(ledger);
    if (err == SL_OK && end)
        err = sl_ledger_store_end(&ledger->store, end);
    destroy(ledger);
    return err;
}

void sl_ledger_stats_get(sl_ledger *ledger, sl_ledger_stats *stats) {
    pthread_mutex_lock(&ledger->mutex);
    *stats = ledger->stats;
    pthread_mutex_unlock(&ledger->mutex);
}
