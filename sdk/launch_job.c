/* Design notes
 * The launcher is a session of its own, so that Ctrl-C reaches launch alone, and dies with it. What
 * it started on this host falls to us when it dies first: launchers give each rank a process group
 * of its own, so the group is not all there is to end.
 *
 * When the run is over by its own word, nothing of the job is worth waiting for. A launcher that
 * has lost nobody gets some time all the same, because it leaves in good order then; one that has
 * may never leave. */
#include "sdk/launch_job.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime/clock.h"
#include "runtime/log.h"

#define LOOK_NS       (20 * SL_NS_PER_MS)
#define LEAVE_NS      (2 * SL_NS_PER_S)     /* for a launcher whose ranks are all well */
#define LEAVE_LOST_NS (300 * SL_NS_PER_MS)  /* … some of whose ranks have died */
#define LEAVE_GONE_NS (100 * SL_NS_PER_MS)  /* … of which the owner is dead for certain */
#define LEFT_NS       (5 * SL_NS_PER_S)     /* … when the first rank has left without a run */
#define OWNER_NS      (1 * SL_NS_PER_S)     /* without a sign of life, when others say it is dead */
#define ASKED_NS      (1500 * SL_NS_PER_MS) /* from SIGTERM to SIGKILL */
#define ASKED_LOST_NS (300 * SL_NS_PER_MS)  /* … by a launcher that may never leave */

enum { TOLD_NOTHING, ASKED, KILLED };

/* ---- signals ---- */

static const int taken[] = {SIGINT, SIGTERM, SIGUSR2, SIGHUP, SIGCHLD};

void sl_launch_signals_take(sl_launch_signals *signals) {
    *signals = (sl_launch_signals){.first = 0};
    sigemptyset(&signals->taken);
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        sigaddset(&signals->taken, taken[i]);
    pthread_sigmask(SIG_BLOCK, &signals->taken, &signals->before);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
}

void sl_launch_signals_release(sl_launch_signals *signals) {
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    pthread_sigmask(SIG_SETMASK, &signals->before, NULL);
}

/* ---- start ---- */

static void be_launcher(const sl_launch_job *job, char *const *words, const char *restart,
                        pid_t parent) {
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(127);
    setenv(SL_LAUNCH_STATE, job->state, 1);
    if (restart)
        setenv(SL_LAUNCH_RESTART, restart, 1);
    else
        unsetenv(SL_LAUNCH_RESTART);
    pthread_sigmask(SIG_SETMASK, &job->signals->before, NULL);
    execvp(words[0], words);
    fprintf(stderr, "%s cannot be started: %s\n", words[0], strerror(errno));
    _exit(127);
}

/* Each start has one of its own: what ranks of the start before say late reaches nobody. */
static sl_err empty_state(const char *path) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return sl_fail(SL_ERR_IO, "%s cannot be written: %s", path, strerror(errno));
    close(fd);
    return SL_OK;
}

sl_err sl_launch_job_start(sl_launch_job *job, char *const *words, const char *restart) {
    pid_t parent = getpid();
    job->news = (sl_launch_news){.code = -1};
    job->told_ns = 0;
    job->alone = 0;
    job->over = false;
    job->stage = TOLD_NOTHING;
    job->status = 0;
    SL_TRY(empty_state(job->state));
    fflush(NULL);
    job->pid = fork();
    if (job->pid == 0)
        be_launcher(job, words, restart, parent);
    if (job->pid < 0)
        return sl_fail(SL_ERR_UNAVAILABLE, "no process for %s: %s", words[0], strerror(errno));
    return SL_OK;
}

/* ---- what is left ---- */

static pid_t parent_of(const char *pid) {
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, line, sizeof line - 1) : -1;
    if (fd >= 0)
        close(fd);
    line[got > 0 ? got : 0] = '\0';
    const char *behind = strrchr(line, ')'); /* of the name, which may hold anything */
    return behind && strlen(behind) > 4 ? (pid_t)strtol(behind + 4, NULL, 10) : 0; /* ") S 123" */
}

/* Kills our children; true when there was one. Theirs become ours. */
static bool kill_children(void) {
    DIR *processes = opendir("/proc");
    bool found = false;
    for (struct dirent *entry; processes && (entry = readdir(processes));) {
        if (!isdigit((unsigned char)entry->d_name[0]) || parent_of(entry->d_name) != getpid())
            continue;
        found |= kill((pid_t)strtol(entry->d_name, NULL, 10), SIGKILL) == 0;
    }
    if (processes)
        closedir(processes);
    return found;
}

static void reap(sl_launch_job *job) {
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        if (pid == job->pid) {
            job->status = status;
            job->pid = 0;
        }
}

static void kill_all(sl_launch_job *job) {
    enum { ROUNDS = 500 }; /* each a generation of processes, or a wait for some to go */
    if (job->pid > 0)
        kill(-job->pid, SIGKILL);
    for (int i = 0; i < ROUNDS && kill_children(); i++) {
        sl_clock_real.sleep_ns(&sl_clock_real, SL_NS_PER_MS);
        reap(job);
    }
}

/* ---- watching ---- */

static void leave_word(const sl_launch_job *job) {
    char path[SL_OUTPUT_PATH_BYTES + sizeof SL_LAUNCH_INTERRUPT];
    snprintf(path, sizeof path, "%s" SL_LAUNCH_INTERRUPT, job->state);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0)
        close(fd);
}

/* Before a run begins, or where there is none, the launcher hears what we heard. */
static void pass_on(sl_launch_job *job, int number) {
    sl_launch_signals *signals = job->signals;
    if (number == SIGHUP)
        number = SIGTERM;
    if (signals->first) {
        signals->at_once |= number == SIGINT && signals->first == SIGINT;
        return;
    }
    signals->first = number;
    sl_launch_news_read(job->state, &job->news);
    if (job->news.runs && number == SIGINT)
        leave_word(job);
    kill(job->pid, job->news.runs ? job->drain : number);
}

static void hasten(sl_launch_job *job, uint64_t now_ns) {
    bool leaves = job->obeys || (!job->news.lost && !job->news.alone);
    if (now_ns < job->deadline_ns || job->stage == KILLED)
        return;
    if (job->stage == TOLD_NOTHING && job->pid > 0)
        kill(job->pid, SIGTERM);
    else
        kill_all(job);
    job->stage++;
    job->deadline_ns = now_ns + (leaves           ? ASKED_NS
                                 : job->news.gone ? LEAVE_GONE_NS
                                                  : ASKED_LOST_NS);
}

static uint64_t time_to_leave(const sl_launch_news *news) {
    if (news->ended && !news->lost)
        return LEAVE_NS;
    if (news->gone)
        return LEAVE_GONE_NS;
    return news->left && !news->ended ? LEFT_NS : LEAVE_LOST_NS;
}

static void look(sl_launch_job *job) {
    uint64_t now_ns = sl_clock_now_ns();
    sl_launch_news_read(job->state, &job->news);
    if (job->news.told_ns != job->told_ns) {
        if (job->news.alone == job->alone)
            job->heard_ns = now_ns;
        job->told_ns = job->news.told_ns;
        job->alone = job->news.alone;
    }
    bool ownerless = job->news.gone || (job->news.alone && now_ns - job->heard_ns > OWNER_NS);
    if (!job->over && (job->news.ended || job->news.left || ownerless)) {
        job->over = true;
        job->deadline_ns = now_ns + time_to_leave(&job->news);
    }
    if (job->over)
        hasten(job, now_ns);
    if (job->signals->at_once)
        kill_all(job);
}

void sl_launch_job_watch(sl_launch_job *job) {
    struct timespec pause = {0, (long)LOOK_NS};
    while (job->pid > 0) {
        int number = sigtimedwait(&job->signals->taken, NULL, &pause);
        if (number > 0 && number != SIGCHLD)
            pass_on(job, number);
        reap(job);
        if (job->pid > 0)
            look(job);
    }
    sl_launch_news_read(job->state, &job->news);
    if (!job->news.ended || job->stage != TOLD_NOTHING)
        kill_all(job);
}

int sl_launch_job_code(const sl_launch_job *job) {
    return WIFSIGNALED(job->status) ? 128 + WTERMSIG(job->status) : WEXITSTATUS(job->status);
}
