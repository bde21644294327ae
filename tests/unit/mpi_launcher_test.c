#include "mpi/launcher.h"

#include <signal.h>

#include "tests/lib/test.h"

/* An environment of name, value pairs, NULL at the end. */
static const char *from_pairs(void *context, const char *name) {
    for (const char *const *pair = context; *pair; pair += 2)
        if (strcmp(pair[0], name) == 0)
            return pair[1];
    return NULL;
}
#define ENV(...) (&(sl_env){from_pairs, (const char *[]){__VA_ARGS__ __VA_OPT__(, ) NULL}})

static const char *const program[] = {"starlane", "run", "a b"};

/* The command line, its words in brackets. */
static const char *line_of(const sl_launch_plan *plan, const sl_env *env) {
    static char line[2048];
    sl_words words = {.count = 0};
    line[0] = '\0';
    if (sl_launcher_words(plan, env, &words) != SL_OK)
        return "failed";
    for (uint32_t i = 0; i < words.count; i++)
        snprintf(line + strlen(line), sizeof line - strlen(line), "[%s]", words.items[i]);
    sl_words_fini(&words);
    return line;
}

TEST(versions) {
    static const struct {
        const char *says;
        sl_launcher is;
    } known[] = {
        {"mpirun (Open MPI) 4.1.4\n\nReport bugs\n", SL_LAUNCHER_OPEN_MPI_4},
        {"mpirun (Open MPI) 3.1.0\n", SL_LAUNCHER_OPEN_MPI_4},
        {"mpirun (Open MPI) 5.0.10\n", SL_LAUNCHER_OPEN_MPI_5},
        {"mpirun (Open MPI) 10.0.0\n", SL_LAUNCHER_OPEN_MPI_5},
        {"prterun (PRRTE) 3.0.11\n", SL_LAUNCHER_OPEN_MPI_5},
        {"HYDRA build details:\n    Version: 4.0.2\n", SL_LAUNCHER_HYDRA},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        sl_launcher launcher = SL_LAUNCHER_SRUN;
        REQUIRE(sl_launcher_of_version(known[i].says, &launcher) == SL_OK);
        CHECK_INT(launcher, known[i].is);
    }
}

TEST(versions_of_others) {
    static const char *const others[] = {"", "\n", "mpirun 7", "mpirun (Open MPI) x", "busybox"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        sl_launcher launcher = SL_LAUNCHER_SRUN;
        CHECK(sl_launcher_of_version(others[i], &launcher) == SL_ERR_NOT_FOUND);
        CHECK_INT(launcher, SL_LAUNCHER_SRUN);
    }
}

TEST(mpirun_4) {
    sl_launch_plan plan = {.launcher = SL_LAUNCHER_OPEN_MPI_4,
                           .ranks = 4,
                           .cores = 4,
                           .program = program,
                           .program_words = 3};
    CHECK_STR(line_of(&plan, ENV()), "[mpirun][--enable-recovery][--bind-to][none][-x]"
                                     "[STARLANE_LAUNCH_STATE][-n][4][starlane][run][a b]");
    plan.spares = 2;
    CHECK_STR(line_of(&plan, ENV()), "[mpirun][--enable-recovery][--bind-to][none][-x]"
                                     "[STARLANE_LAUNCH_STATE][-x][STARLANE_SPARES=2][-n][4]"
                                     "[starlane][run][a b]");
    plan.spares = 0;
    plan.cores = 2;
    plan.root = plan.restart = true;
    plan.more = " --hostfile\thosts ";
    CHECK_STR(line_of(&plan, ENV()),
              "[mpirun][--enable-recovery][--allow-run-as-root][--bind-to][none][--oversubscribe]"
              "[-x][STARLANE_LAUNCH_STATE][-x][STARLANE_LAUNCH_RESTART][-n][4]"
              "[--hostfile][hosts][starlane][run][a b]");
}

TEST(mpirun_4_in_slurm) {
    sl_launch_plan plan = {.launcher = SL_LAUNCHER_OPEN_MPI_4,
                           .ranks = 8,
                           .cores = 2, /* of this node; Slurm counts the places */
                           .program = program,
                           .program_words = 1};
    CHECK_STR(line_of(&plan, ENV("SLURM_JOB_ID", "7")),
              "[mpirun][--enable-recovery][--mca][plm_slurm_args][--no-kill][--bind-to][none]"
              "[-x][STARLANE_LAUNCH_STATE][-n][8][starlane]");
    CHECK_STR(
        line_of(&plan, ENV("SLURM_JOB_ID", "7", "OMPI_MCA_plm_slurm_args", "--mem=0")),
        "[mpirun][--enable-recovery][--mca][plm_slurm_args][--mem=0 --no-kill][--bind-to][none]"
        "[-x][STARLANE_LAUNCH_STATE][-n][8][starlane]");
}

TEST(others) {
    sl_launch_plan plan = {.launcher = SL_LAUNCHER_OPEN_MPI_5,
                           .ranks = 4,
                           .cores = 2,
                           .program = program,
                           .program_words = 1,
                           .guard = "/bin/starlane"};
    CHECK_STR(line_of(&plan, ENV()),
              "[mpirun][--with-ft][ulfm][--bind-to][none][--map-by][:OVERSUBSCRIBE]"
              "[-x][STARLANE_LAUNCH_STATE][-n][4][starlane]");
    plan.launcher = SL_LAUNCHER_HYDRA;
    CHECK_STR(line_of(&plan, ENV()), "[mpirun][-disable-auto-cleanup][-n][4][/bin/starlane]"
                                     "[guard][--][starlane]");
    plan.spares = 1;
    CHECK_STR(line_of(&plan, ENV()),
              "[mpirun][-disable-auto-cleanup][-genv][STARLANE_SPARES][1][-n][4][/bin/starlane]"
              "[guard][--][starlane]");
    plan.launcher = SL_LAUNCHER_SRUN;
    plan.ranks = 0;
    CHECK_STR(line_of(&plan, ENV("SLURM_JOB_ID", "7")),
              "[srun][--mpi=pmix][--no-kill][--kill-on-bad-exit=0][--cpu-bind=none]"
              "[--export=ALL,STARLANE_SPARES=1][/bin/starlane][guard][--][starlane]");
    plan.spares = 0;
    CHECK_STR(line_of(&plan, ENV("SLURM_JOB_ID", "7")),
              "[srun][--mpi=pmix][--no-kill][--kill-on-bad-exit=0][--cpu-bind=none]"
              "[/bin/starlane][guard][--][starlane]");
}

TEST(a_binding_that_was_chosen_holds) {
    sl_launch_plan plan = {
        .launcher = SL_LAUNCHER_OPEN_MPI_4, .program = program, .program_words = 1};
    static const char *const chosen[] = {"--bind-to core", "-rf ranks", "--map-by slot:PE=2",
                                         "--cpu-set 0,1", "--rankfile ranks"};
    for (size_t i = 0; i < sizeof chosen / sizeof *chosen; i++) {
        plan.more = chosen[i];
        CHECK(!strstr(line_of(&plan, ENV()), "[none]"));
    }
    plan.more = "--tag-output";
    CHECK(strstr(line_of(&plan, ENV()), "[--bind-to][none]"));
    CHECK(!strstr(line_of(&plan, ENV("OMPI_MCA_hwloc_base_binding_policy", "core")), "[none]"));
    plan.launcher = SL_LAUNCHER_SRUN;
    CHECK(strstr(line_of(&plan, ENV("SLURM_CPU_BIND", "quiet,mask_cpu:0x1")), "=none]"));
    plan.more = "--cpu-bind=cores";
    CHECK(!strstr(line_of(&plan, ENV()), "=none]"));
}

TEST(signals) {
    CHECK_INT(sl_launcher_drain_signal(SL_LAUNCHER_OPEN_MPI_4), SIGUSR2);
    CHECK_INT(sl_launcher_drain_signal(SL_LAUNCHER_SRUN), SIGUSR2);
    CHECK_INT(sl_launcher_drain_signal(SL_LAUNCHER_HYDRA), SIGTERM);
}

TEST(who_ends_the_job) {
    CHECK(sl_launcher_ends_job(ENV()) == NULL);
    CHECK_STR(sl_launcher_ends_job(ENV("OMPI_COMM_WORLD_SIZE", "2")), "mpirun");
    CHECK(sl_launcher_ends_job(
              ENV("OMPI_COMM_WORLD_SIZE", "2", "OMPI_MCA_orte_enable_recovery", "1")) == NULL);
    CHECK_STR(sl_launcher_ends_job(
                  ENV("SLURM_PROCID", "0", "PMIX_RANK", "0", "OMPI_COMM_WORLD_SIZE", "2")),
              "srun");
    /* Daemons of mpirun are started by srun, and ranks inherit their environment. */
    CHECK_STR(sl_launcher_ends_job(ENV("SLURM_PROCID", "0", "PMIX_RANK", "0",
                                       "OMPI_COMM_WORLD_SIZE", "2", "OMPI_MCA_orte_hnp_uri", "x")),
              "mpirun");
}
