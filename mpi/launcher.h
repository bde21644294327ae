/* What is known of the programs that start ranks: which there are, and the words that each wants to
 * hear so that it lets the others live when a rank dies. */
#ifndef SL_MPI_LAUNCHER_H
#define SL_MPI_LAUNCHER_H

#include <stdbool.h>
#include <stdint.h>

#include "mpi/env.h"
#include "runtime/err.h"

typedef enum sl_launcher {
    SL_LAUNCHER_OPEN_MPI_4, /* mpirun, and of earlier versions */
    SL_LAUNCHER_OPEN_MPI_5, /* mpirun, and of later ones */
    SL_LAUNCHER_HYDRA,      /* mpirun of MPICH and its relatives */
    SL_LAUNCHER_SRUN
} sl_launcher;

typedef enum sl_launcher_choice {
    SL_LAUNCHER_AUTO, /* srun in a Slurm allocation whose srun knows PMIx, else mpirun */
    SL_LAUNCHER_THE_MPIRUN,
    SL_LAUNCHER_THE_SRUN
} sl_launcher_choice;

/* Words of a command line. Zeroed is empty; `items` ends with a NULL once there is a word. */
typedef struct sl_words {
    char **items;
    uint32_t count;
    bool failed; /* no memory for one: sl_words_check() says so */
} sl_words;

void sl_words_add(sl_words *words, const char *word);
/* Each word of `text`, between blanks; there is no quoting. */
void sl_words_split(sl_words *words, const char *text);
sl_err sl_words_check(const sl_words *words) SL_CHECKED;
void sl_words_fini(sl_words *words);

/* What is to be started, and where. Borrowed. */
typedef struct sl_launch_plan {
    sl_launcher launcher;
    uint32_t ranks;    /* spares included; 0: as many as the launcher makes of itself */
    uint32_t spares;   /* of them */
    uint32_t cores;    /* of this machine */
    bool root;         /* for root */
    bool restart;      /* STARLANE_LAUNCH_RESTART is set too */
    const char *more;  /* words for the launcher; or NULL */
    const char *guard; /* the program whose subcommand `guard` keeps srun and hydra from ending the
                           job; NULL */
    const char *const *program;
    int program_words;
} sl_launch_plan;

/* True inside a Slurm allocation. */
bool sl_launcher_in_slurm(const sl_env *env);

/* Which launcher it is to be: looks for the programs, and asks them for their version.
 * SL_ERR_NOT_FOUND: it is not there, or is none of those known. */
sl_err sl_launcher_find(sl_launcher_choice choice, const sl_env *env,
                        sl_launcher *launcher) SL_CHECKED;

/* The kind of mpirun that says `version` of itself. SL_ERR_NOT_FOUND: none of those known. Pure. */
sl_err sl_launcher_of_version(const char *version, sl_launcher *launcher) SL_CHECKED;

/* The whole command line. Pure. */
sl_err sl_launcher_words(const sl_launch_plan *plan, const sl_env *env, sl_words *words) SL_CHECKED;

/* The signal by which ranks are told to end through their launcher. Pure. */
int sl_launcher_drain_signal(sl_launcher launcher);

/* Cores of this machine that this process may use: hardware threads of one core count once. */
uint32_t sl_launcher_cores(void);

/* The launcher of this process, by name, if it is known to end the whole job when a rank dies; else
 * NULL. Not for ranks that `starlane launch` started. Static storage. Pure. */
const char *sl_launcher_ends_job(const sl_env *env);

#endif
