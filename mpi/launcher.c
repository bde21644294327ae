/* Design notes
 * What a launcher does when a rank is killed was measured, not read: Open MPI 4 ends the job unless
 * it is told --enable-recovery; Open MPI 5 unless it runs with ULFM; MPICH's hydra unless it is
 * told -disable-auto-cleanup; in an allocation Slurm ends it as well, when a node is lost, unless
 * the steps in which mpirun starts its daemons say --no-kill. Under srun a rank that is lost to
 * PMIx ends the step whatever is said: that is what the guard is for (guard.h). */
#include "mpi/launcher.h"

#include <ctype.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ANSWER_BYTES = 4096 };

/* ---- words ---- */

void sl_words_add(sl_words *words, const char *word) {
    char **items = realloc(words->items, (words->count + 2) * sizeof *items);
    char *copy = strdup(word);
    if (items)
        words->items = items;
    if (!items || !copy) {
        free(copy);
        words->failed = true;
        return;
    }
    items[words->count++] = copy;
    items[words->count] = NULL;
}

void sl_words_split(sl_words *words, const char *text) {
    while (text && *text) {
        size_t length = strcspn(text, " \t\n");
        char *word = length ? strndup(text, length) : NULL;
        if (word)
            sl_words_add(words, word);
        words->failed |= length && !word;
        free(word);
        text += length + (text[length] != '\0');
    }
}

sl_err sl_words_check(const sl_words *words) {
    return words->failed ? sl_fail(SL_ERR_NO_MEMORY, "no memory for a command line") : SL_OK;
}

void sl_words_fini(sl_words *words) {
    for (uint32_t i = 0; i < words->count; i++)
        free(words->items[i]);
    free(words->items);
    *words = (sl_words){.count = 0};
}

/* ---- which launcher ---- */

bool sl_launcher_in_slurm(const sl_env *env) {
    return sl_env_get(env, "SLURM_JOB_ID") != NULL;
}

/* What `command`, a shell's line, prints. */
static void ask(const char *command, char *answer, size_t size) {
    FILE *from = popen(command, "re");
    size_t length = from ? fread(answer, 1, size - 1, from) : 0;
    answer[length] = '\0';
    if (from)
        pclose(from);
}

static bool srun_knows_pmix(void) {
    char answer[ANSWER_BYTES];
    ask("srun --mpi=list 2>&1", answer, sizeof answer);
    return strstr(answer, "pmix") != NULL;
}

sl_err sl_launcher_of_version(const char *version, sl_launcher *launcher) {
    const char *open = strstr(version, "(Open MPI) ");
    if (open && isdigit((unsigned char)open[11])) {
        *launcher =
            strtol(open + 11, NULL, 10) >= 5 ? SL_LAUNCHER_OPEN_MPI_5 : SL_LAUNCHER_OPEN_MPI_4;
        return SL_OK;
    }
    if (strstr(version, "prterun") || strstr(version, "PRRTE")) {
        *launcher = SL_LAUNCHER_OPEN_MPI_5;
        return SL_OK;
    }
    if (strstr(version, "HYDRA")) {
        *launcher = SL_LAUNCHER_HYDRA;
        return SL_OK;
    }
    size_t line = strcspn(version, "\n");
    if (line == 0)
        return sl_fail(SL_ERR_NOT_FOUND, "there is no mpirun in PATH that tells its version");
    return sl_fail(SL_ERR_NOT_FOUND,
                   "mpirun is neither Open MPI's nor MPICH's hydra; it says \"%.*s\"",
                   line < 200 ? (int)line : 200, version);
}

static sl_err find_mpirun(sl_launcher *launcher) {
    char answer[ANSWER_BYTES];
    ask("mpirun --version 2>/dev/null", answer, sizeof answer);
    return sl_launcher_of_version(answer, launcher);
}

static sl_err find_srun(const sl_env *env, sl_launcher *launcher) {
    if (!sl_launcher_in_slurm(env))
        return sl_fail(SL_ERR_NOT_FOUND, "srun needs a Slurm allocation: start this in a batch "
                                         "script, or under salloc");
    if (!srun_knows_pmix())
        return sl_fail(SL_ERR_NOT_FOUND, "there is no srun in PATH that knows PMIx (srun "
                                         "--mpi=list)");
    *launcher = SL_LAUNCHER_SRUN;
    return SL_OK;
}

sl_err sl_launcher_find(sl_launcher_choice choice, const sl_env *env, sl_launcher *launcher) {
    if (choice == SL_LAUNCHER_THE_SRUN)
        return find_srun(env, launcher);
    if (choice == SL_LAUNCHER_AUTO && sl_launcher_in_slurm(env) &&
        find_srun(env, launcher) == SL_OK)
        return SL_OK;
    return find_mpirun(launcher);
}

/* ---- its words ---- */

static void add_count(sl_words *words, const sl_launch_plan *plan) {
    char number[16];
    if (!plan->ranks)
        return;
    snprintf(number, sizeof number, "%u", plan->ranks);
    sl_words_add(words, "-n");
    sl_words_add(words, number);
}

/* In an allocation Slurm counts the places, and the user asked for them. */
static bool crowded(const sl_launch_plan *plan, const sl_env *env) {
    return plan->ranks > plan->cores && !sl_launcher_in_slurm(env);
}

/* Ranks of a host divide its cores among themselves by what each may use, and bind what they start
 * (offer.h). A launcher that binds them hides cores: mpirun binds one or two ranks to a core each,
 * whatever the host has. A binding that the user chose holds; not SLURM_CPU_BIND, which is rather
 * what Slurm says of how the shell is bound. */
static bool bound_by_user(const sl_launch_plan *plan, const sl_env *env) {
    static const char *const words[] = {"bind-to",  "cpu-bind", "cpu_bind", "cpu-set", "cpu-list",
                                        "rankfile", "-rf",      "PE=",      "pe="};
    static const char *const names[] = {
        "OMPI_MCA_hwloc_base_binding_policy", "OMPI_MCA_rmaps_base_mapping_policy",
        "PRTE_MCA_hwloc_default_binding_policy", "PRTE_MCA_rmaps_default_mapping_policy"};
    for (size_t i = 0; plan->more && i < sizeof words / sizeof *words; i++)
        if (strstr(plan->more, words[i]))
            return true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (sl_env_get(env, names[i]))
            return true;
    return false;
}

/* Each launcher in its way of giving ranks a variable. */
static void add_spares(sl_words *words, const sl_launch_plan *plan) {
    static const char *const before[] = {[SL_LAUNCHER_OPEN_MPI_4] = "-x STARLANE_SPARES=",
                                         [SL_LAUNCHER_OPEN_MPI_5] = "-x STARLANE_SPARES=",
                                         [SL_LAUNCHER_HYDRA] = "-genv STARLANE_SPARES ",
                                         [SL_LAUNCHER_SRUN] = "--export=ALL,STARLANE_SPARES="};
    char text[64];
    if (!plan->spares)
        return;
    snprintf(text, sizeof text, "%s%u", before[plan->launcher], plan->spares);
    sl_words_split(words, text);
}

static void add_open_mpi(sl_words *words, const sl_launch_plan *plan, const sl_env *env) {
    bool five = plan->launcher == SL_LAUNCHER_OPEN_MPI_5;
    sl_words_split(words, five ? "mpirun --with-ft ulfm" : "mpirun --enable-recovery");
    if (sl_launcher_in_slurm(env)) {
        const char *theirs = sl_env_get(env, "OMPI_MCA_plm_slurm_args");
        char arguments[1024];
        snprintf(arguments, sizeof arguments, "%s%s--no-kill", theirs ? theirs : "",
                 theirs ? " " : "");
        sl_words_split(words, five ? "--prtemca plm_slurm_args" : "--mca plm_slurm_args");
        sl_words_add(words, arguments);
    }
    if (plan->root)
        sl_words_add(words, "--allow-run-as-root");
    if (!bound_by_user(plan, env))
        sl_words_split(words, "--bind-to none");
    if (crowded(plan, env))
        sl_words_split(words, five ? "--map-by :OVERSUBSCRIBE" : "--oversubscribe");
    sl_words_split(words, "-x STARLANE_LAUNCH_STATE");
    if (plan->restart)
        sl_words_split(words, "-x STARLANE_LAUNCH_RESTART");
}

sl_err sl_launcher_words(const sl_launch_plan *plan, const sl_env *env, sl_words *words) {
    switch (plan->launcher) {
    case SL_LAUNCHER_OPEN_MPI_4:
    case SL_LAUNCHER_OPEN_MPI_5:
        add_open_mpi(words, plan, env);
        break;
    case SL_LAUNCHER_HYDRA:
        sl_words_split(words, "mpirun -disable-auto-cleanup");
        break;
    case SL_LAUNCHER_SRUN:
        sl_words_split(words, "srun --mpi=pmix --no-kill --kill-on-bad-exit=0");
        if (!bound_by_user(plan, env))
            sl_words_add(words, "--cpu-bind=none");
        break;
    }
    add_spares(words, plan);
    add_count(words, plan);
    sl_words_split(words, plan->more);
    bool guarded = plan->launcher == SL_LAUNCHER_SRUN || plan->launcher == SL_LAUNCHER_HYDRA;
    if (guarded && plan->guard) {
        sl_words_add(words, plan->guard);
        sl_words_split(words, "guard --");
    }
    for (int i = 0; i < plan->program_words; i++)
        sl_words_add(words, plan->program[i]);
    return sl_words_check(words);
}

/* Open MPI's mpirun and srun make nothing of SIGTERM but the end of the job, and hand SIGUSR2 on;
 * hydra hands SIGTERM on, and dies of SIGUSR2. */
int sl_launcher_drain_signal(sl_launcher launcher) {
    return launcher == SL_LAUNCHER_HYDRA ? SIGTERM : SIGUSR2;
}

/* ---- the machine ---- */

uint32_t sl_launcher_cores(void) {
    cpu_set_t allowed;
    int count = sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : 1;
    FILE *smt = fopen("/sys/devices/system/cpu/smt/active", "re");
    int active = smt ? fgetc(smt) : '0';
    if (smt)
        fclose(smt);
    if (active == '1')
        count /= 2;
    return count > 0 ? (uint32_t)count : 1;
}

/* ---- who started this process ---- */

/* Under srun, Open MPI sets its own variables too, once MPI is started. */
static bool by_srun(const sl_env *env) {
    return sl_env_get(env, "SLURM_PROCID") && sl_env_get(env, "PMIX_RANK") &&
           !sl_env_get(env, "OMPI_MCA_orte_hnp_uri") && !sl_env_get(env, "PRTE_LAUNCHED");
}

const char *sl_launcher_ends_job(const sl_env *env) {
    if (by_srun(env))
        return "srun";
    if (!sl_env_get(env, "OMPI_COMM_WORLD_SIZE")) /* hydra's ranks cannot tell */
        return NULL;
    bool lives = sl_env_get(env, "OMPI_MCA_orte_enable_recovery") ||
                 sl_env_get(env, "OMPI_MCA_mpi_ft_enable");
    return lives ? NULL : "mpirun";
}
