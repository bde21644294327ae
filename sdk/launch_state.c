#include "sdk/launch_state.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/clock.h"
#include "runtime/log.h"

#define ALIVE_NS (250 * SL_NS_PER_MS)

enum { STATE_MOST_BYTES = 65536 };

/* ---- in a rank ---- */

static char state_taken[SL_OUTPUT_PATH_BYTES], restart_taken[SL_OUTPUT_PATH_BYTES];

static void take(const char *name, char *to) {
    const char *value = getenv(name);
    if (value && strlen(value) < SL_OUTPUT_PATH_BYTES)
        strcpy(to, value);
    unsetenv(name);
}

void sl_launch_take(void) {
    take(SL_LAUNCH_STATE, state_taken);
    take(SL_LAUNCH_RESTART, restart_taken);
}

static const char *state_path(void) {
    const char *path = state_taken[0] ? state_taken : getenv(SL_LAUNCH_STATE);
    return path && *path ? path : NULL;
}

bool sl_launch_here(void) {
    return state_path() != NULL;
}

/* One write, so that the lines of several ranks do not mix. */
static void tell(const char *line, size_t length) {
    const char *path = state_path();
    if (!path)
        return;
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || write(fd, line, length) != (ssize_t)length)
        sl_warn("run", "starlane launch cannot be told how the run goes: %s: %s", path,
                strerror(errno));
    if (fd >= 0)
        close(fd);
}

void sl_launch_tell_run(const char *directory) {
    char line[SL_OUTPUT_PATH_BYTES + 8];
    if (strchr(directory, '\n')) /* then it cannot be said; launch will not start it again */
        return;
    int length = snprintf(line, sizeof line, "run %s\n", directory);
    if (length > 0 && (size_t)length < sizeof line)
        tell(line, (size_t)length);
}

void sl_launch_tell_end(int code, bool lost) {
    char line[64];
    int length = snprintf(line, sizeof line, "end %d %s\n", code & 0xff, lost ? "lost" : "whole");
    tell(line, (size_t)length);
}

void sl_launch_tell_closed(int code) {
    char line[32];
    int length = snprintf(line, sizeof line, "closed %d\n", code & 0xff);
    tell(line, (size_t)length);
}

void sl_launch_tell_alone(bool gone) {
    const char *line = gone ? "gone\n" : "alone\n";
    tell(line, strlen(line));
}

void sl_launch_tell_exit(int code) {
    char line[32];
    int length = snprintf(line, sizeof line, "exit %d\n", code & 0xff);
    tell(line, (size_t)length);
}

void sl_launch_tell_alive(uint64_t now_ns) {
    static uint64_t next_ns;
    if (!state_path() || now_ns < next_ns)
        return;
    next_ns = now_ns + ALIVE_NS;
    utimensat(AT_FDCWD, state_path(), NULL, AT_SYMLINK_NOFOLLOW);
}

const char *sl_launch_restart(void) {
    return restart_taken[0] ? restart_taken : NULL;
}

int sl_launch_signal(int number) {
    char path[SL_OUTPUT_PATH_BYTES];
    const char *state = state_path();
    if ((number != SIGUSR2 && number != SIGTERM) || !state)
        return number;
    int length = snprintf(path, sizeof path, "%s" SL_LAUNCH_INTERRUPT, state);
    bool interrupt = length > 0 && (size_t)length < sizeof path && access(path, F_OK) == 0;
    return interrupt ? SIGINT : number;
}

/* ---- in launch ---- */

/* The exit code behind the word `what`, or -1; *rest: what follows it. */
static int code_of(const char *line, const char *what, char **rest) {
    size_t length = strlen(what);
    if (strncmp(line, what, length) != 0 || !isdigit((unsigned char)line[length]))
        return -1;
    unsigned long code = strtoul(line + length, rest, 10);
    return code <= 255 ? (int)code : -1;
}

static void parse_line(char *line, sl_launch_news *news) {
    int code;
    char *rest;
    if (strncmp(line, "run /", 5) == 0 && strlen(line + 4) < sizeof news->directory) {
        news->runs++;
        news->closed = news->ended = news->lost = news->left = false;
        news->alone = 0;
        news->gone = false;
        strcpy(news->directory, line + 4);
    } else if ((code = code_of(line, "end ", &rest)) >= 0 && *rest == ' ') {
        news->closed = news->ended = true;
        news->lost = strcmp(rest, " lost") == 0;
        news->code = code;
    } else if ((code = code_of(line, "exit ", &rest)) >= 0) {
        news->left = true;
        if (!news->ended)
            news->code = code;
    } else if ((code = code_of(line, "closed ", &rest)) >= 0) {
        news->closed = true;
        news->code = code;
    } else if (strcmp(line, "alone") == 0 && news->runs) { /* else it is of the start before */
        news->alone++;
    } else if (strcmp(line, "gone") == 0 && news->runs) {
        news->alone++;
        news->gone = true;
    }
}

void sl_launch_news_parse(const char *text, sl_launch_news *news) {
    char line[SL_OUTPUT_PATH_BYTES + 8];
    *news = (sl_launch_news){.code = -1};
    for (const char *end; (end = strchr(text, '\n')); text = end + 1) {
        size_t length = (size_t)(end - text);
        if (length >= sizeof line)
            continue;
        memcpy(line, text, length);
        line[length] = '\0';
        parse_line(line, news);
    }
}

bool sl_launch_news_read(const char *path, sl_launch_news *news) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    char *text = fd >= 0 ? malloc(STATE_MOST_BYTES + 1) : NULL;
    ssize_t got = text ? read(fd, text, STATE_MOST_BYTES) : -1;
    struct stat facts;
    if (got >= 0 && fstat(fd, &facts) != 0)
        got = -1;
    if (fd >= 0)
        close(fd);
    if (got >= 0) {
        text[got] = '\0';
        sl_launch_news_parse(text, news);
        news->told_ns = facts.st_mtim.tv_sec * 1000000000LL + facts.st_mtim.tv_nsec;
    }
    free(text);
    return got >= 0;
}
