/* Design notes
 * A command's files are named to its spawner as /proc/PID/fd/N of pipes that this process holds:
 * the spawner opens them as it would any path, and needs to know nothing of sealing. The ends that
 * are the command's stay open here until it has ended, as nobody says when it has opened them.
 */
#include "sdk/sealed_command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "actors/executor/executor_msgs.h"
#include "actors/secure/secret.h"
#include "actors/secure/wire.h"
#include "runtime/clock.h"

#define WRITTEN_MOST ((size_t)2 << 30)
#define GRACE_NS     (2 * SL_NS_PER_S)

/* Blocks behind the first are whole huge pages, which are given back as they are sealed. */
enum { FIRST_BYTES = 1 << 16, BLOCK_BYTES = 1 << 21, FEED_BYTES = 1 << 18, LOOK_MS = 20 };
enum { PATH_BYTES = 64 };

typedef struct sl_written_block {
    struct sl_written_block *next;
    size_t bytes, room;
    uint8_t *data;
} block;

enum { IN, OUT, ERR, STREAMS };

typedef struct running {
    sl_minder *minder;
    sl_minder_handle handle;
    const sl_task_facts *facts;
    int fds[STREAMS][2]; /* of each pipe: to read from, to write to */
    int ended_fd;
    _Atomic bool ended;
    bool asked; /* for its end */
    sl_part input;
    sl_command_run *run;
    sl_err err;
} running;

/* ---- how it ended ---- */

void sl_ended_write(const sl_ended *ended, uint8_t out[SL_ENDED_BYTES]) {
    out = sl_write_number(out, ended->status, 4);
    out = sl_write_number(out, (uint32_t)ended->exit_code, 4);
    out = sl_write_number(out, (uint32_t)ended->signal, 4);
    out = sl_write_number(out, ended->user_us, 8);
    out = sl_write_number(out, ended->system_us, 8);
    sl_write_number(out, ended->max_rss_bytes, 8);
}

sl_err sl_ended_read(sl_part section, sl_ended *ended) {
    const uint8_t *bytes = section.data;
    sl_reader reader = {bytes, bytes + section.bytes, false};
    ended->status = sl_read_u32(&reader);
    ended->exit_code = (int32_t)sl_read_u32(&reader);
    ended->signal = (int32_t)sl_read_u32(&reader);
    ended->user_us = sl_read_u64(&reader);
    ended->system_us = sl_read_u64(&reader);
    ended->max_rss_bytes = sl_read_u64(&reader);
    if (reader.bad || ended->status >= SL_PROCESS_STATUS_COUNT)
        return sl_fail(SL_ERR_DECODE, "how a sealed command ended does not decode");
    ended->message = (sl_part){reader.at, (size_t)(reader.end - reader.at)};
    return SL_OK;
}

const char *sl_ended_say(const sl_ended *ended, char *text, size_t size) {
    if (ended->message.bytes)
        snprintf(text, size, "%.*s", (int)ended->message.bytes, (const char *)ended->message.data);
    else if (ended->signal)
        snprintf(text, size, "ended by signal %d (%s)", ended->signal, strsignal(ended->signal));
    else
        snprintf(text, size, "exit code %d", ended->exit_code);
    return text;
}

/* ---- what it wrote ---- */

static void wipe_block(block *b, bool sealed) {
    if (!sealed)
        sl_secret_wipe(b->data, b->bytes);
    free(b->data);
    free(b);
}

static void written_fini(sl_written *written, bool sealed) {
    for (block *next; written->first; written->first = next) {
        next = written->first->next;
        wipe_block(written->first, sealed);
    }
    *written = (sl_written){0};
}

void sl_command_run_fini(sl_command_run *run, bool sealed) {
    written_fini(&run->out, sealed);
    written_fini(&run->err, sealed);
}

void sl_written_parts(const sl_written *written, sl_part *parts) {
    for (const block *b = written->first; b; b = b->next)
        *parts++ = (sl_part){b->data, b->bytes};
}

static block *room_in(sl_written *written) {
    if (written->last && written->last->bytes < written->last->room)
        return written->last;
    block *made = calloc(1, sizeof *made);
    if (made) {
        made->room = written->last ? BLOCK_BYTES : FIRST_BYTES;
        made->data = written->last ? aligned_alloc(BLOCK_BYTES, made->room) : malloc(made->room);
    }
    if (!made || !made->data) {
        free(made);
        return NULL;
    }
    *(written->last ? &written->last->next : &written->first) = made;
    written->last = made;
    written->blocks++;
    return made;
}

/* ---- the pipes ---- */

static sl_err open_pipes(running *r) {
    for (int i = 0; i < STREAMS; i++)
        if (pipe2(r->fds[i], O_CLOEXEC) != 0)
            return sl_fail(SL_ERR_IO, "no pipe for a sealed command: %s", strerror(errno));
    r->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (r->ended_fd < 0)
        return sl_fail(SL_ERR_IO, "no event for a sealed command: %s", strerror(errno));
    fcntl(r->fds[IN][1], F_SETFL, O_NONBLOCK);
    fcntl(r->fds[OUT][0], F_SETFL, O_NONBLOCK);
    fcntl(r->fds[ERR][0], F_SETFL, O_NONBLOCK);
    return SL_OK;
}

static void close_fd(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void close_pipes(running *r) {
    for (int i = 0; i < STREAMS; i++) {
        close_fd(&r->fds[i][0]);
        close_fd(&r->fds[i][1]);
    }
    close_fd(&r->ended_fd);
}

static void ask_for_end(running *r, sl_err err, const char *why) {
    if (r->err == SL_OK && err != SL_OK)
        r->err = sl_fail(err, "%s", why);
    if (!r->asked)
        sl_minder_cancel(r->minder, r->handle);
    r->asked = true;
}

/* No signal comes of it: the reading end is ours too. */
static void feed(running *r) {
    size_t most = r->input.bytes < FEED_BYTES ? r->input.bytes : FEED_BYTES;
    ssize_t some = most ? write(r->fds[IN][1], r->input.data, most) : 0;
    if (some > 0) {
        r->input.data = (const uint8_t *)r->input.data + some;
        r->input.bytes -= (size_t)some;
    }
    if (!r->input.bytes || (some < 0 && errno != EAGAIN && errno != EINTR))
        close_fd(
            &r->fds[IN][1]); /* the command sees the end once our reading end is the only one */
}

/* Reads what is there; false: nothing is, or will be. */
static bool drink(running *r, int stream, sl_written *written) {
    block *b = room_in(written);
    if (!b) {
        ask_for_end(r, SL_ERR_NO_MEMORY, "no memory for the output of a sealed command");
        return false;
    }
    ssize_t got = read(r->fds[stream][0], b->data + b->bytes, b->room - b->bytes);
    if (got <= 0)
        return false;
    b->bytes += (size_t)got;
    written->bytes += (size_t)got;
    if (r->run->out.bytes + r->run->err.bytes > WRITTEN_MOST) {
        ask_for_end(r, SL_ERR_TOO_LARGE, "a sealed command wrote more than 2 GiB");
        return false;
    }
    return true;
}

/* ---- running ---- */

static void on_done(void *context, const sl_process_result *result) {
    running *r = context;
    uint64_t one = 1;
    r->run->result = *result;
    ssize_t told = write(r->ended_fd, &one, sizeof one);
    (void)told;                    /* it is looked at every few milliseconds */
    atomic_store(&r->ended, true); /* from here on `r` is no more */
}

/* Until the command has ended: `r` is the minder's as well. */
static void serve(running *r) {
    while (!atomic_load(&r->ended)) {
        struct pollfd fds[] = {{r->fds[IN][1], POLLOUT, 0},
                               {r->fds[OUT][0], POLLIN, 0},
                               {r->fds[ERR][0], POLLIN, 0},
                               {r->ended_fd, POLLIN, 0}};
        (void)poll(fds, sizeof fds / sizeof *fds, LOOK_MS);
        if (fds[0].revents)
            feed(r);
        if (fds[1].revents)
            (void)drink(r, OUT, &r->run->out);
        if (fds[2].revents)
            (void)drink(r, ERR, &r->run->err);
        if (r->facts && r->facts->cancelled &&
            __atomic_load_n(r->facts->cancelled, __ATOMIC_RELAXED))
            ask_for_end(r, SL_OK, NULL);
    }
}

static void drink_up(running *r) {
    while (r->err == SL_OK && drink(r, OUT, &r->run->out))
        continue;
    while (r->err == SL_OK && drink(r, ERR, &r->run->err))
        continue;
}

static sl_err start(running *r, const sl_process_spec *spec) {
    SL_TRY(sl_minder_run(r->minder, spec, on_done, r, &r->handle));
    serve(r);
    for (int i = OUT; i < STREAMS; i++)
        close_fd(&r->fds[i][1]);
    drink_up(r);
    return r->err;
}

static const char **words_of(const executor_word *items, uint32_t count) {
    const char **words = calloc(count + 1, sizeof *words);
    for (uint32_t i = 0; words && i < count; i++)
        words[i] = items[i].text.data;
    return words;
}

/* What a command could be told by paths is what the client has sealed. */
static sl_err check(const executor_command *command) {
    if (command->stdin_path.bytes || command->stdout_path.bytes || command->stderr_path.bytes ||
        command->stdin_data.bytes)
        return sl_fail(SL_ERR_INVALID, "a sealed command that names files of the node");
    return SL_OK;
}

static sl_err run_command(running *r, const executor_command *command) {
    char paths[STREAMS][PATH_BYTES];
    static const int own[STREAMS] = {[IN] = 0, [OUT] = 1, [ERR] = 1};
    SL_TRY(check(command));
    SL_TRY(open_pipes(r));
    for (int i = 0; i < STREAMS; i++)
        snprintf(paths[i], sizeof paths[i], "/proc/%d/fd/%d", (int)getpid(), r->fds[i][own[i]]);
    if (!r->input.bytes)
        close_fd(&r->fds[IN][1]);
    const char **arguments = words_of(command->arguments.items, command->arguments.count);
    const char **environment = words_of(command->environment.items, command->environment.count);
    const sl_process_spec spec = {.argv = arguments,
                                  .env = environment,
                                  .cwd = command->directory.bytes ? command->directory.data : NULL,
                                  .stdin_path = r->input.bytes ? paths[IN] : NULL,
                                  .stdout_path = paths[OUT],
                                  .stderr_path = paths[ERR],
                                  .kill_grace_ns = GRACE_NS,
                                  .cuda_visible_devices = ""};
    sl_err err = arguments && environment ? start(r, &spec)
                                          : sl_fail(SL_ERR_NO_MEMORY, "no memory for a command");
    free(arguments);
    free(environment);
    return err;
}

static sl_err decode(sl_part encoded, executor_command **command, size_t *bytes) {
    SL_TRY(sl_record_measure(&executor_command_record, encoded.data, encoded.bytes, bytes));
    *command = malloc(*bytes);
    if (!*command)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a command of %zu bytes", *bytes);
    return sl_record_decode(&executor_command_record, encoded.data, encoded.bytes, *command, NULL);
}

sl_err sl_sealed_command_run(sl_minder *minder, const sl_task_facts *facts, sl_part record,
                             sl_part input, sl_command_run *run) {
    executor_command *command = NULL;
    size_t bytes = 0;
    running r = {.minder = minder,
                 .facts = facts,
                 .fds = {{-1, -1}, {-1, -1}, {-1, -1}},
                 .ended_fd = -1,
                 .input = input,
                 .run = run};
    sl_err err = decode(record, &command, &bytes);
    if (err == SL_OK)
        err = run_command(&r, command);
    close_pipes(&r);
    if (command)
        sl_secret_wipe(command, bytes);
    free(command);
    return err;
}
