#include "actors/executor/spawner/spawner.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "actors/executor/process_wire.h"
#include "actors/executor/spawner/strays.h"
#include "runtime/clock.h"

typedef enum stage {
    WAITING, /* for the reply of the command it comes after */
    RUNNING,
    STOPPING, /* SIGTERM sent, SIGKILL at due_ns */
    KILLED,
    ENDED /* reaped; its reply is not sent yet */
} stage;

typedef struct command {
    sl_spawner_reply reply; /* its handle from the start, its result when ENDED */
    sl_process process;
    uint64_t due_ns; /* the next step of its stage; UINT64_MAX: none */
    uint64_t kill_grace_ns, timeout_ns;
    stage stage;
    sl_process_status ending; /* TIMED_OUT or CANCELLED once stopped by us, else EXITED */
    /* While WAITING: what to start, owned, and after whose end. */
    uint64_t after;
    unsigned char *spec;
    size_t spec_bytes;
    int stdin_fd;
} command;

struct sl_spawner {
    const sl_process_home *home;
    command *commands;
    size_t count, capacity;
    int socket, bell, signals;
    bool reaped;  /* since strays were last looked for */
    bool replied; /* since the bell was last rung */
};

static bool is_live(const command *c) {
    return c->stage != WAITING && c->stage != ENDED;
}

static void drop_spec(command *c) {
    free(c->spec);
    if (c->stdin_fd >= 0)
        close(c->stdin_fd);
    c->spec = NULL;
    c->stdin_fd = -1;
}

sl_err sl_spawner_create(int socket, int bell, int signals, const sl_process_home *home,
                         sl_spawner **spawner) {
    sl_spawner *made = calloc(1, sizeof *made);
    if (!made)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a spawner");
    *made = (sl_spawner){.home = home, .socket = socket, .bell = bell, .signals = signals};
    *spawner = made;
    return SL_OK;
}

void sl_spawner_destroy(sl_spawner *spawner) {
    if (!spawner)
        return;
    for (size_t i = 0; i < spawner->count; i++)
        drop_spec(&spawner->commands[i]);
    free(spawner->commands);
    free(spawner);
}

static command *add_command(sl_spawner *s) {
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? s->capacity * 2 : 16;
        command *commands = realloc(s->commands, capacity * sizeof *commands);
        if (!commands)
            return NULL;
        s->commands = commands;
        s->capacity = capacity;
    }
    return &s->commands[s->count++];
}

static void remove_command(sl_spawner *s, command *ended) {
    *ended = s->commands[--s->count];
}

/* A result made here: nothing was started. */
static void end_unstarted(command *c, sl_process_status status, int exit_code, const char *why) {
    double now_s = sl_clock_wall_s();
    c->stage = ENDED;
    c->due_ns = UINT64_MAX;
    c->reply.result = (sl_process_result){
        .status = status, .exit_code = exit_code, .start_s = now_s, .end_s = now_s};
    strncpy(c->reply.result.message, why, SL_PROCESS_MESSAGE_MAX_BYTES);
}

static uint64_t add_time(uint64_t now_ns, uint64_t span_ns) {
    return span_ns < UINT64_MAX - now_ns ? now_ns + span_ns : UINT64_MAX;
}

static void start(const sl_spawner *s, command *c) {
    sl_process_spec spec;
    void *arrays = NULL;
    c->stage = RUNNING;
    if (sl_process_spec_decode(c->spec, c->spec_bytes, &spec, &arrays) != SL_OK) {
        end_unstarted(c, SL_PROCESS_COULD_NOT_START, SL_PROCESS_EXIT_CANNOT_RUN, sl_err_detail());
        drop_spec(c);
        free(arrays);
        return;
    }
    sl_strays_mark(c->reply.handle);
    if (sl_process_start(s->home, &spec, c->stdin_fd, &c->process, &c->reply.result) != SL_OK)
        c->stage = ENDED;
    c->timeout_ns = spec.timeout_ns;
    c->kill_grace_ns = spec.kill_grace_ns;
    c->due_ns = spec.timeout_ns ? add_time(c->process.start_ns, spec.timeout_ns) : UINT64_MAX;
    drop_spec(c);
    free(arrays);
}

/* What waited for it waits for what it waited for: its turn has not come any nearer. */
static void take_back(sl_spawner *s, command *c, sl_process_status status, const char *why) {
    for (size_t i = 0; i < s->count; i++)
        if (s->commands[i].stage == WAITING && s->commands[i].after == c->reply.handle)
            s->commands[i].after = c->after;
    drop_spec(c);
    end_unstarted(c, status, -1, why);
}

static void stop(command *c, sl_process_status why) {
    if (c->stage != RUNNING)
        return;
    c->ending = why;
    c->stage = c->kill_grace_ns ? STOPPING : KILLED;
    c->due_ns = c->kill_grace_ns ? add_time(sl_clock_now_ns(), c->kill_grace_ns) : UINT64_MAX;
    sl_process_signal(&c->process, c->kill_grace_ns ? SIGTERM : SIGKILL);
}

static void step(command *c) {
    if (c->stage == RUNNING) {
        stop(c, SL_PROCESS_TIMED_OUT);
    } else if (c->stage == STOPPING) {
        c->stage = KILLED;
        c->due_ns = UINT64_MAX;
        sl_process_signal(&c->process, SIGKILL);
    }
}

static command *by_handle(const sl_spawner *s, uint64_t handle) {
    for (size_t i = 0; i < s->count; i++)
        if (s->commands[i].reply.handle == handle)
            return &s->commands[i];
    return NULL;
}

static command *by_pid(const sl_spawner *s, pid_t pid) {
    for (size_t i = 0; i < s->count; i++)
        if (is_live(&s->commands[i]) && s->commands[i].process.pid == pid)
            return &s->commands[i];
    return NULL;
}

static bool is_leader(const void *context, pid_t pid) {
    return by_pid(context, pid) != NULL;
}

static bool is_running(const void *context, uint64_t mark) {
    const command *c = by_handle(context, mark);
    return c && is_live(c);
}

static bool is_idle(const sl_spawner *s) {
    for (size_t i = 0; i < s->count; i++)
        if (is_live(&s->commands[i]))
            return false;
    return true;
}

/* Takes over `spec` and `stdin_fd`. SL_ERR_NO_MEMORY: the node sees the end of this spawner, and of
 * what it ran, as a loss. */
static sl_err run(sl_spawner *s, const sl_spawner_request *request, unsigned char *spec,
                  int stdin_fd) {
    command *c = add_command(s);
    if (!c) {
        free(spec);
        if (stdin_fd >= 0)
            close(stdin_fd);
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for one more command");
    }
    *c = (command){.reply = {.handle = request->handle},
                   .due_ns = UINT64_MAX,
                   .stage = WAITING,
                   .after = request->after,
                   .spec = spec,
                   .spec_bytes = request->spec_bytes,
                   .stdin_fd = stdin_fd};
    if (!c->after || !by_handle(s, c->after))
        start(s, c);
    return SL_OK;
}

static sl_err obey(sl_spawner *s, const sl_spawner_request *request, unsigned char *spec,
                   int stdin_fd) {
    command *c = by_handle(s, request->handle);
    if (request->order == SL_SPAWNER_RUN && !c)
        return run(s, request, spec, stdin_fd);
    if (request->order == SL_SPAWNER_CANCEL && c && c->stage == WAITING)
        take_back(s, c, SL_PROCESS_CANCELLED, "cancelled before it started");
    else if (request->order == SL_SPAWNER_CANCEL && c)
        stop(c, SL_PROCESS_CANCELLED);
    else if (request->order == SL_SPAWNER_RECALL && c && c->stage == WAITING)
        take_back(s, c, SL_PROCESS_WITHDRAWN, "");
    free(spec);
    if (stdin_fd >= 0)
        close(stdin_fd);
    return SL_OK;
}

/* One request at a time, so that ends are seen between starts. */
static sl_err take_request(sl_spawner *s) {
    sl_spawner_request request;
    unsigned char *spec = NULL;
    int stdin_fd = -1;
    sl_err err = sl_spawner_receive_request(s->socket, &request, &spec, &stdin_fd);
    if (err == SL_ERR_AGAIN)
        return SL_OK;
    SL_TRY(err);
    return obey(s, &request, spec, stdin_fd);
}

static void say_why(command *c) {
    sl_process_result *r = &c->reply.result;
    if (r->status == SL_PROCESS_TIMED_OUT)
        snprintf(r->message, sizeof r->message, "stopped after its timeout of %.3g s",
                 (double)c->timeout_ns * 1e-9);
    else if (r->status == SL_PROCESS_SIGNALLED)
        snprintf(r->message, sizeof r->message, "ended by signal %d (%s)", r->signal,
                 strsignal(r->signal));
}

static void end(command *c) {
    sl_process_reap(&c->process, &c->reply.result);
    c->stage = ENDED;
    c->due_ns = UINT64_MAX;
    if (c->ending != SL_PROCESS_EXITED)
        c->reply.result.status = c->ending;
    say_why(c);
}

/* Reaps every child that has ended. False when there is no child at all. */
static bool reap(sl_spawner *s) {
    for (;;) {
        siginfo_t info = {0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0)
            return errno == EINTR;
        if (info.si_pid == 0)
            return true;
        command *c = by_pid(s, info.si_pid);
        if (c)
            end(c);
        else
            waitpid(info.si_pid, NULL, 0); /* an adopted orphan */
        s->reaped = true;
    }
}

/* Sends the replies that are due; those the socket has no room for wait. */
static sl_err reply(sl_spawner *s, bool *waiting) {
    *waiting = false;
    for (size_t i = 0; i < s->count;) {
        command *c = &s->commands[i];
        sl_err err = c->stage == ENDED ? sl_spawner_send_reply(s->socket, &c->reply) : SL_OK;
        if (c->stage == ENDED && err == SL_OK) {
            s->replied = true;
            remove_command(s, c);
            continue;
        }
        i++;
        if (err == SL_ERR_AGAIN)
            *waiting = true;
        else
            SL_TRY(err);
    }
    return SL_OK;
}

/* Starts what waited for commands whose replies have left. True when one of them has ended already,
 * for it could not start: it has a reply, and may let others start. */
static bool start_due(const sl_spawner *s) {
    bool ended = false;
    for (size_t i = 0; i < s->count; i++) {
        command *c = &s->commands[i];
        if (c->stage != WAITING || by_handle(s, c->after))
            continue;
        start(s, c);
        ended |= c->stage == ENDED;
    }
    return ended;
}

/* The node is woken once its replies are sent and what they let start has started: woken by the
 * reply itself it would take this very core from us before. */
static void ring(sl_spawner *s) {
    const uint64_t one = 1;
    ssize_t ignored = s->replied ? write(s->bell, &one, sizeof one) : 0; /* it may ring already */
    (void)ignored;
    s->replied = false;
}

/* Takes the steps that are due; milliseconds until the next one, -1 for none. */
static int run_clock(sl_spawner *s) {
    uint64_t next_ns = UINT64_MAX, now_ns = sl_clock_now_ns();
    for (size_t i = 0; i < s->count; i++) {
        if (s->commands[i].due_ns <= now_ns)
            step(&s->commands[i]);
        if (s->commands[i].due_ns < next_ns)
            next_ns = s->commands[i].due_ns;
    }
    if (next_ns == UINT64_MAX)
        return -1;
    uint64_t wait_ms = next_ns > now_ns ? (next_ns - now_ns) / SL_NS_PER_MS + 1 : 0;
    return wait_ms > 3600000 ? 3600000 : (int)wait_ms;
}

static bool node_died(sl_spawner *s) {
    struct signalfd_siginfo infos[4]; /* two kinds, each pending once */
    ssize_t size = read(s->signals, infos, sizeof infos);
    for (ssize_t i = 0; i < size / (ssize_t)sizeof *infos; i++)
        if (infos[i].ssi_signo != SIGCHLD)
            return true;
    return false;
}

/* One wait and what follows from it. SL_ERR_CLOSED: the node is gone. */
static sl_err turn(sl_spawner *s, bool *waiting) {
    struct pollfd fds[2] = {{.fd = s->socket, .events = (short)(POLLIN | (*waiting ? POLLOUT : 0))},
                            {.fd = s->signals, .events = POLLIN}};
    if (poll(fds, 2, run_clock(s)) < 0 && errno != EINTR)
        return sl_fail(SL_ERR_IO, "cannot wait for commands: %s", strerror(errno));
    if (fds[1].revents && node_died(s))
        return SL_ERR_CLOSED;
    if (fds[0].revents)
        SL_TRY(take_request(s));
    bool children = reap(s);
    SL_TRY(reply(s, waiting));
    if (s->reaped && children)
        sl_strays_kill(s, is_leader, is_running, is_idle(s));
    s->reaped = false;
    while (start_due(s))
        SL_TRY(reply(s, waiting));
    ring(s);
    return SL_OK;
}

/* SIGKILL to everything, until no child is left: killed parents leave their children to us. */
static void kill_all(sl_spawner *s) {
    const uint64_t until_ns = sl_clock_now_ns() + 5 * SL_NS_PER_S;
    for (size_t i = 0; i < s->count; i++)
        if (is_live(&s->commands[i]))
            sl_process_signal(&s->commands[i].process, SIGKILL);
    while (reap(s) && sl_clock_now_ns() < until_ns) {
        struct pollfd fd = {.fd = s->signals, .events = POLLIN};
        sl_strays_kill(s, is_leader, is_running, is_idle(s));
        poll(&fd, 1, 50);
        node_died(s);
    }
}

sl_err sl_spawner_serve(sl_spawner *s) {
    bool waiting = false;
    sl_err err;
    do
        err = turn(s, &waiting);
    while (err == SL_OK);
    kill_all(s);
    return err == SL_ERR_CLOSED ? SL_OK : err;
}
