/* One start of a launcher (mpirun, srun) and of all that it starts, until nothing is left of it. */
#ifndef SL_SDK_LAUNCH_JOB_H
#define SL_SDK_LAUNCH_JOB_H

#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

#include "sdk/launch_state.h"

/* What an sl_launch() is told by signals, over all its jobs. */
typedef struct sl_launch_signals {
    sigset_t before; /* the mask to go back to */
    sigset_t taken;
    int first;    /* the first that came; 0: none */
    bool at_once; /* Ctrl-C came a second time */
} sl_launch_signals;

typedef struct sl_launch_job {
    const char *state; /* path of the state file */
    sl_launch_signals *signals;
    int drain; /* the signal that the launcher hands on to its ranks */
    sl_launch_news news;
    bool
        obeys; /* asked to end, the launcher does, in its time: srun, and must not be killed then */
    pid_t pid; /* of the launcher */
    int status;     /* as waitpid() tells it, when it has ended */
    bool over;      /* the run is: the launcher is only waited for */
    uint32_t stage; /* of ending it: told nothing, asked to, killed */
    uint64_t deadline_ns;
    int64_t told_ns;   /* of the news, and … */
    uint64_t heard_ns; /* … when it was last the owner's, by our clock */
    uint32_t alone;    /* of the news too */
} sl_launch_job;

/* Takes SIGINT, SIGTERM, SIGUSR2 and SIGHUP, and makes this process the one that orphans of the job
 * fall to; release undoes it. */
void sl_launch_signals_take(sl_launch_signals *signals);
void sl_launch_signals_release(sl_launch_signals *signals);

/* Starts `words` with the variables that tell ranks of launch; `restart` is a run's directory, or
 * NULL. SL_ERR_UNAVAILABLE. */
sl_err sl_launch_job_start(sl_launch_job *job, char *const *words, const char *restart) SL_CHECKED;

/* Until the launcher has ended, by itself or because the run is over and it would not. Passes on
 * the first signal to the ranks. What the job leaves running on this host is ended, unless the run
 * came to its end in good order. */
void sl_launch_job_watch(sl_launch_job *job);

/* The launcher's exit code as a shell would see it. */
int sl_launch_job_code(const sl_launch_job *job);

#endif
