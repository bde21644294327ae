#include "actors/executor/minder.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "actors/executor/minder_link.h"
#include "actors/executor/minder_orphans.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "runtime/thread.h"

typedef struct entry {
    sl_minder_done done; /* NULL: free */
    void *context;
    uint32_t generation; /* of the handle it has, or had last */
    uint32_t link;
    uint32_t next_free; /* index + 1 */
    uint32_t before;    /* index + 1 of the command it waits for, */
    uint32_t after;     /* of the one that waits for it */
    bool sent;          /* the spawner has it */
    bool leaving;       /* asked back or cancelled */
} entry;

struct sl_minder {
    pthread_mutex_t lock; /* over all below but what is set once */
    pthread_t thread;
    int wake; /* eventfd: the thread has something to look at; spawners ring it too */
    char spawner_path[4096];
    entry *entries;
    sl_minder_link *links;
    struct pollfd *fds; /* the thread's: wake, then each link */
    uint32_t running_max, link_count;
    uint32_t running, first_free; /* index + 1 */
    bool stopping;
};

static sl_minder_handle handle_of(const sl_minder *m, const entry *e) {
    return (uint64_t)e->generation << 32 | (uint32_t)(e - m->entries);
}

/* The entry a handle names, or NULL when its command is done. */
static entry *entry_of(const sl_minder *m, sl_minder_handle handle) {
    uint32_t index = (uint32_t)handle;
    entry *e = index < m->running_max ? &m->entries[index] : NULL;
    return e && e->done && e->generation == handle >> 32 ? e : NULL;
}

static void ring(sl_minder *m) {
    const uint64_t one = 1;
    ssize_t ignored = write(m->wake, &one, sizeof one); /* full only when it rings already */
    (void)ignored;
}

/* What waits for it waits for what it waits for, if anything. The lock is held. */
static void detach(sl_minder *m, entry *e) {
    if (e->before)
        m->entries[e->before - 1].after = e->after;
    if (e->after)
        m->entries[e->after - 1].before = e->before;
    e->before = e->after = 0;
}

/* Ends a command: frees its place first, so that whoever `done` tells can run the next. The lock
 * is not held. */
static void finish(sl_minder *m, entry *e, const sl_process_result *result) {
    pthread_mutex_lock(&m->lock);
    const sl_minder_done done = e->done;
    void *context = e->context;
    detach(m, e);
    e->done = NULL;
    e->next_free = m->first_free;
    m->first_free = (uint32_t)(e - m->entries) + 1;
    m->links[e->link].running--;
    m->running--;
    pthread_mutex_unlock(&m->lock);
    done(context, result);
}

typedef enum where { UNSENT, SENT, WAITING /* sent, for another's end */ } where;

static bool is_of(const entry *e, uint32_t link, where at) {
    return e->done && e->link == link && e->sent == (at != UNSENT) && (at != WAITING || e->before);
}

static entry *find_of_link(sl_minder *m, uint32_t link, where at) {
    entry *found = NULL;
    pthread_mutex_lock(&m->lock);
    for (uint32_t i = 0; i < m->running_max && !found; i++)
        if (is_of(&m->entries[i], link, at))
            found = &m->entries[i];
    pthread_mutex_unlock(&m->lock);
    return found;
}

static void finish_all(sl_minder *m, uint32_t link, where at, const sl_process_result *result) {
    for (entry *e; (e = find_of_link(m, link, at));)
        finish(m, e, result);
}

/* The spawner is gone: what it had is lost, but for what waited there for an end that it did not
 * report: that never started. What was not sent goes to the next spawner. */
static void lose(sl_minder *m, uint32_t link) {
    sl_process_result result = {.status = SL_PROCESS_LOST, .exit_code = -1};
    const sl_process_result withdrawn = {.status = SL_PROCESS_WITHDRAWN, .exit_code = -1};
    /* Before anybody hears of the loss, and may run a command again. The pid is this thread's. */
    unsigned orphans = sl_minder_kill_orphans(m->links[link].pid);
    pthread_mutex_lock(&m->lock);
    int pid = (int)m->links[link].pid, status = sl_minder_link_close(&m->links[link]);
    pthread_mutex_unlock(&m->lock);
    result.end_s = sl_clock_wall_s();
    snprintf(result.message, sizeof result.message,
             "its spawner (process %d) ended with %s %d: how the command ended is not known", pid,
             WIFSIGNALED(status) ? "signal" : "exit code",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    sl_warn("executor", "spawner lost, pid %d status %d; %u processes it left were killed", pid,
            status, orphans);
    finish_all(m, link, WAITING, &withdrawn);
    finish_all(m, link, SENT, &result);
}

/* A result with this thread's last cause. */
static sl_process_result not_started(void) {
    sl_process_result result = {.status = SL_PROCESS_COULD_NOT_START,
                                .exit_code = SL_PROCESS_EXIT_CANNOT_RUN,
                                .start_s = sl_clock_wall_s()};
    result.end_s = result.start_s;
    snprintf(result.message, sizeof result.message, "%.*s", (int)SL_PROCESS_MESSAGE_MAX_BYTES,
             sl_err_detail());
    return result;
}

static void give_up(sl_minder *m, uint32_t link) {
    const sl_process_result result = not_started();
    sl_error("executor", "spawner not started: %s", result.message);
    pthread_mutex_lock(&m->lock);
    sl_minder_link_drop(&m->links[link]);
    pthread_mutex_unlock(&m->lock);
    finish_all(m, link, UNSENT, &result);
}

/* Sends what waits, as far as there is room. The lock is held. */
static sl_err flush(sl_minder *m, sl_minder_link *link) {
    sl_err err;
    for (sl_minder_frame *frame; (frame = sl_minder_link_send(link, &err));) {
        entry *e = entry_of(m, frame->request.handle);
        if (e)
            e->sent = true;
        sl_minder_frame_destroy(frame);
    }
    return err;
}

/* The spawner for the next command: one without work, else a new one, else the least busy. */
static sl_minder_link *choose_link(sl_minder *m) {
    sl_minder_link *best = &m->links[0];
    for (uint32_t i = 0; i < m->link_count; i++) {
        sl_minder_link *link = &m->links[i];
        if (link->running < best->running ||
            (link->running == best->running && link->socket >= 0 && best->socket < 0))
            best = link;
    }
    return best;
}

/* The command another one is to come after. It must not start if this one leaves without having
 * started, so none may follow one that is about to. The lock is held. */
static sl_err find_first(sl_minder *m, sl_minder_handle before, entry **first) {
    entry *e = entry_of(m, before);
    if (!e || (e->before && e->leaving))
        return sl_fail(SL_ERR_NOT_FOUND, "the command to come after has ended");
    if (e->after)
        return sl_fail(SL_ERR_EXISTS, "a command comes after that one already");
    *first = e;
    return SL_OK;
}

/* A free entry, filled; the lock is held. */
static sl_err admit(sl_minder *m, entry *before, sl_minder_done done, void *context,
                    entry **admitted) {
    if (m->stopping)
        return sl_fail(SL_ERR_CLOSED, "the node is stopping: no more commands");
    if (!m->first_free)
        return sl_fail(SL_ERR_AGAIN, "%u commands run already", m->running);
    entry *e = &m->entries[m->first_free - 1];
    m->first_free = e->next_free;
    sl_minder_link *link = before ? &m->links[before->link] : choose_link(m);
    link->running++;
    m->running++;
    *e = (entry){.done = done,
                 .context = context,
                 .generation = e->generation + 1 ? e->generation + 1 : 1,
                 .before = before ? (uint32_t)(before - m->entries) + 1 : 0,
                 .link = (uint32_t)(link - m->links)};
    if (before)
        before->after = (uint32_t)(e - m->entries) + 1;
    *admitted = e;
    return SL_OK;
}

/* The lock is held. What cannot be sent at once is left to the thread, and so is a broken link. */
static void hand_over(sl_minder *m, uint32_t index, sl_minder_frame *frame) {
    sl_minder_link *link = &m->links[index];
    sl_minder_link_push(link, frame);
    if (flush(m, link) != SL_OK || link->first)
        ring(m);
}

static sl_err make_frame(const sl_process_spec *spec, sl_minder_frame **frame) {
    size_t size = 0;
    sl_minder_frame *made = calloc(1, sizeof *made);
    if (!made)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a command");
    made->stdin_fd = -1;
    sl_err err = sl_process_spec_encode(spec, &made->spec, &size);
    if (err == SL_OK && !spec->stdin_path && spec->stdin_data)
        err = sl_process_memory_file(spec->stdin_data, spec->stdin_bytes, &made->stdin_fd);
    if (err != SL_OK) {
        sl_minder_frame_destroy(made);
        return err;
    }
    made->request = (sl_spawner_request){.order = SL_SPAWNER_RUN, .spec_bytes = (uint32_t)size};
    *frame = made;
    return SL_OK;
}

static sl_err run(sl_minder *m, sl_minder_handle before, const sl_process_spec *spec,
                  sl_minder_done done, void *context, sl_minder_handle *handle) {
    sl_minder_frame *frame = NULL;
    entry *e = NULL;
    if (!done)
        return sl_fail(SL_ERR_INVALID, "a command needs somebody to tell its end");
    SL_TRY(sl_process_check(spec));
    SL_TRY(make_frame(spec, &frame));
    pthread_mutex_lock(&m->lock);
    sl_err err = SL_OK;
    entry *first = NULL;
    if (before)
        err = find_first(m, before, &first);
    if (err == SL_OK)
        err = admit(m, first, done, context, &e);
    if (err == SL_OK) {
        frame->request.handle = handle_of(m, e);
        frame->request.after = before;
        *handle = frame->request.handle;
        hand_over(m, e->link, frame);
    }
    pthread_mutex_unlock(&m->lock);
    if (err != SL_OK)
        sl_minder_frame_destroy(frame);
    return err;
}

sl_err sl_minder_run(sl_minder *m, const sl_process_spec *spec, sl_minder_done done, void *context,
                     sl_minder_handle *handle) {
    return run(m, 0, spec, done, context, handle);
}

sl_err sl_minder_run_after(sl_minder *m, sl_minder_handle before, const sl_process_spec *spec,
                           sl_minder_done done, void *context, sl_minder_handle *handle) {
    if (!before)
        return sl_fail(SL_ERR_INVALID, "a command cannot come after none");
    return run(m, before, spec, done, context, handle);
}

/* The lock is held. */
static void order(sl_minder *m, entry *e, sl_spawner_order what) {
    e->leaving = true;
    sl_minder_frame *frame = calloc(1, sizeof *frame);
    if (!frame) {
        sl_error("executor", "no memory to cancel a command");
        return;
    }
    frame->stdin_fd = -1;
    frame->request = (sl_spawner_request){.handle = handle_of(m, e), .order = what};
    hand_over(m, e->link, frame);
}

static void order_by_handle(sl_minder *m, sl_minder_handle handle, sl_spawner_order what) {
    pthread_mutex_lock(&m->lock);
    entry *e = entry_of(m, handle);
    if (e)
        order(m, e, what);
    pthread_mutex_unlock(&m->lock);
}

void sl_minder_cancel(sl_minder *m, sl_minder_handle handle) {
    order_by_handle(m, handle, SL_SPAWNER_CANCEL);
}

void sl_minder_recall(sl_minder *m, sl_minder_handle handle) {
    order_by_handle(m, handle, SL_SPAWNER_RECALL);
}

uint32_t sl_minder_running(sl_minder *m) {
    pthread_mutex_lock(&m->lock);
    uint32_t running = m->running;
    pthread_mutex_unlock(&m->lock);
    return running;
}

/* Starts a spawner for what waits at a link that has none. */
static void start_link(sl_minder *m, uint32_t index) {
    sl_minder_link *link = &m->links[index];
    int socket;
    pid_t pid;
    if (sl_minder_link_start(m->spawner_path, m->wake, &socket, &pid) != SL_OK) {
        give_up(m, index);
        return;
    }
    pthread_mutex_lock(&m->lock);
    link->socket = socket;
    link->pid = pid;
    pthread_mutex_unlock(&m->lock);
}

/* Every result that has come. SL_ERR_AGAIN: the link is well. */
static sl_err receive(sl_minder *m, const sl_minder_link *link) {
    sl_spawner_reply reply;
    sl_err err;
    while ((err = sl_spawner_receive_reply(link->socket, &reply)) == SL_OK) {
        pthread_mutex_lock(&m->lock);
        entry *e = entry_of(m, reply.handle);
        pthread_mutex_unlock(&m->lock);
        if (e)
            finish(m, e, &reply.result);
    }
    return err;
}

/* Sends what waits; a request that cannot be sent at all ends its command. */
static void send_waiting(sl_minder *m, sl_minder_link *link) {
    entry *failed = NULL;
    pthread_mutex_lock(&m->lock);
    sl_err err = flush(m, link);
    if (err != SL_OK && err != SL_ERR_AGAIN && err != SL_ERR_CLOSED) { /* closed: poll will tell */
        sl_minder_frame *frame = sl_minder_link_pop(link);
        for (sl_minder_frame *next = link->first; next; next = next->next)
            if (next->request.after == frame->request.handle)
                next->request.after = frame->request.after;
        failed = entry_of(m, frame->request.handle);
        failed = failed && !failed->sent ? failed : NULL;
        sl_minder_frame_destroy(frame);
    }
    pthread_mutex_unlock(&m->lock);
    if (failed) {
        const sl_process_result result = not_started();
        finish(m, failed, &result);
    }
}

static void serve_link(sl_minder *m, uint32_t index, bool ended) {
    sl_minder_link *link = &m->links[index];
    pthread_mutex_lock(&m->lock);
    bool wanted = link->socket < 0 && link->first, busy = link->running;
    pthread_mutex_unlock(&m->lock);
    if (wanted)
        start_link(m, index);
    if ((busy || ended) && link->socket >= 0) {
        sl_err err = receive(m, link);
        if (err != SL_ERR_AGAIN) {
            lose(m, index);
            return;
        }
    }
    send_waiting(m, link);
}

/* What to wait for: the bell, and the ends of spawners, which need not be asked for. False when the
 * minder is to end. The lock is held. */
static bool look(sl_minder *m, int *timeout_ms) {
    *timeout_ms = -1;
    m->fds[0] = (struct pollfd){.fd = m->wake, .events = POLLIN};
    for (uint32_t i = 0; i < m->link_count; i++) {
        const sl_minder_link *link = &m->links[i];
        m->fds[i + 1] = (struct pollfd){.fd = link->socket, .events = link->first ? POLLOUT : 0};
        if (link->socket < 0 && link->first)
            *timeout_ms = 0;
    }
    return !m->stopping || m->running;
}

static void *mind(void *argument) {
    sl_minder *m = argument;
    for (;;) {
        uint64_t rings;
        int timeout_ms;
        pthread_mutex_lock(&m->lock);
        bool go_on = look(m, &timeout_ms);
        pthread_mutex_unlock(&m->lock);
        if (!go_on)
            return NULL;
        poll(m->fds, m->link_count + 1, timeout_ms);
        if (m->fds[0].revents && read(m->wake, &rings, sizeof rings) < 0 && errno != EAGAIN)
            sl_error("executor", "minder's bell: %s", strerror(errno));
        for (uint32_t i = 0; i < m->link_count; i++)
            serve_link(m, i, m->fds[i + 1].revents != 0);
    }
}

static void release(sl_minder *m) {
    for (uint32_t i = 0; m->links && i < m->link_count; i++) {
        sl_minder_link_close(&m->links[i]);
        sl_minder_link_drop(&m->links[i]);
    }
    if (m->wake >= 0)
        close(m->wake);
    pthread_mutex_destroy(&m->lock);
    free(m->entries);
    free(m->links);
    free(m->fds);
    free(m);
}

static sl_err make_tables(sl_minder *m) {
    m->entries = calloc(m->running_max, sizeof *m->entries);
    m->links = calloc(m->link_count, sizeof *m->links);
    m->fds = calloc(m->link_count + 1, sizeof *m->fds);
    for (uint32_t i = 0; m->links && i < m->link_count; i++)
        m->links[i].socket = -1;
    if (!m->entries || !m->links || !m->fds)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory to mind %u commands", m->running_max);
    for (uint32_t i = m->running_max; i-- > 0;) {
        m->entries[i].next_free = m->first_free;
        m->first_free = i + 1;
    }
    m->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return m->wake < 0 ? sl_fail(SL_ERR_IO, "cannot make an eventfd: %s", strerror(errno)) : SL_OK;
}

static sl_err find_path(sl_minder *m, const char *path) {
    if (!path)
        return sl_minder_find_spawner(m->spawner_path, sizeof m->spawner_path);
    if (strlen(path) >= sizeof m->spawner_path || access(path, X_OK) != 0)
        return sl_fail(SL_ERR_UNAVAILABLE, "the spawner %.100s is no program", path);
    strcpy(m->spawner_path, path);
    return SL_OK;
}

sl_err sl_minder_create(const sl_minder_options *options, sl_minder **minder) {
    if (!options->running_max || options->running_max > SL_MINDER_RUNNING_MAX)
        return sl_fail(SL_ERR_INVALID, "%u commands at once, not 1 to %u", options->running_max,
                       SL_MINDER_RUNNING_MAX);
    sl_minder *m = calloc(1, sizeof *m);
    if (!m)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a minder");
    pthread_mutex_init(&m->lock, NULL);
    m->wake = -1;
    m->running_max = options->running_max;
    m->link_count = options->spawners_max ? options->spawners_max : SL_MINDER_SPAWNERS;
    if (m->link_count > m->running_max)
        m->link_count = m->running_max;
    sl_err err = find_path(m, options->spawner_path);
    if (err == SL_OK)
        err = make_tables(m);
    if (err == SL_OK)
        err = sl_thread_start(&m->thread, mind, m);
    if (err != SL_OK) {
        release(m);
        return err;
    }
    *minder = m;
    return SL_OK;
}

void sl_minder_destroy(sl_minder *m) {
    if (!m)
        return;
    pthread_mutex_lock(&m->lock);
    m->stopping = true;
    for (uint32_t i = 0; i < m->running_max; i++)
        if (m->entries[i].done)
            order(m, &m->entries[i], SL_SPAWNER_CANCEL);
    ring(m);
    pthread_mutex_unlock(&m->lock);
    pthread_join(m->thread, NULL);
    release(m);
}
