/* starlane-bench: measures, and shows every figure beside its floor. See docs/benchmarks.md. */
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/network.h"

static const struct {
    const char *name;
    void (*run)(bench *b);
    const char *help;
} benches[] = {
    {"message", bench_message, "messages: rate, latency, bandwidth (also under mpirun -n 2)"},
    {"spawn", bench_spawn, "actors: time and memory of each"},
    {"tasks", bench_tasks, "function tasks through one worker rank (under mpirun -n 2)"},
    {"api", bench_api, "tasks and maps of a program on the public API, over two ranks"},
    {"command", bench_command, "command tasks beside posix_spawn, xargs, GNU parallel"},
    {"ledger", bench_ledger, "durable records a second, and one alone"},
    {"overload", bench_overload, "100 senders, one slow actor (also under mpirun -n 2)"},
    {"idle", bench_idle, "processor use of idle nodes, time to wake (also under mpirun -n 4)"},
    {"simulate", bench_simulate, "the simulator: events, virtual time, seeds"},
    {"scale", bench_scale, "what a large network costs each node, simulated (a minute)"},
    {"seal", bench_seal, "sealing and opening tasks beside the bare cipher and arithmetic"},
    {"start", bench_start, "a whole `mpirun -n 4 starlane run` beside an empty MPI program"},
};
enum { BENCHES = sizeof benches / sizeof *benches };

static void usage(void) {
    puts("usage: starlane-bench [OPTION...] NAME...\n");
    for (int i = 0; i < BENCHES; i++)
        printf("  %-9s %s\n", benches[i].name, benches[i].help);
    puts("\nStarted by mpirun a benchmark measures what lies between ranks, else the rest;"
         "\nbench/run.sh starts each as often as that takes.\n\n"
         "  --json            one JSON object a row\n"
         "  --markdown        a table for documents\n"
         "  --rounds N        rounds of each measurement (default 5)\n"
         "  --only TEXT       of message, tasks, command, seal and scale, only the cases whose "
         "words hold\n"
         "                    TEXT\n"
         "  --quick           a tenth of the work in each\n"
         "  --transport NAME  only what is local, between threads, or over MPI: local|thread|mpi\n"
         "  --directory DIR   where files are written (default: the working directory)\n"
         "  --mpirun COMMAND  how ranks are started (default: mpirun --oversubscribe)\n"
         "  --no-heading      the table goes on from one above");
}

static int bench_named(const char *name) {
    for (int i = 0; i < BENCHES; i++)
        if (strcmp(benches[i].name, name) == 0)
            return i;
    return -1;
}

bool bench_has_ranks(const bench *b, uint32_t ranks) {
    return b->ranks > 1 && b->ranks >= ranks && b->mpi_part;
}

uint64_t bench_amount(const bench *b, uint64_t full) {
    return b->quick ? (full + 9) / 10 : full;
}

bool bench_wants(const bench *b, const char *what) {
    return !b->only || strstr(what, b->only);
}

static void take_transport(bench *b, const char *name) {
    b->local_part = strcmp(name, "local") == 0;
    b->thread_part = strcmp(name, "thread") == 0;
    b->mpi_part = strcmp(name, "mpi") == 0;
    if (!b->local_part && !b->thread_part && !b->mpi_part)
        bench_die("--transport %s: local, thread or mpi", name);
}

static void take_rounds(bench *b, const char *text) {
    char *end;
    unsigned long rounds = strtoul(text, &end, 10);
    if (*end || rounds < 1 || rounds > 1000)
        bench_die("--rounds %s: a number from 1 to 1000", text);
    b->rounds = (uint32_t)rounds;
}

enum { JSON = 256, MARKDOWN, ONLY, ROUNDS, QUICK, TRANSPORT, DIRECTORY, MPIRUN, NO_HEADING, HELP };

static const struct option flags[] = {{"json", no_argument, NULL, JSON},
                                      {"markdown", no_argument, NULL, MARKDOWN},
                                      {"only", required_argument, NULL, ONLY},
                                      {"rounds", required_argument, NULL, ROUNDS},
                                      {"quick", no_argument, NULL, QUICK},
                                      {"transport", required_argument, NULL, TRANSPORT},
                                      {"directory", required_argument, NULL, DIRECTORY},
                                      {"mpirun", required_argument, NULL, MPIRUN},
                                      {"no-heading", no_argument, NULL, NO_HEADING},
                                      {"help", no_argument, NULL, HELP},
                                      {NULL, 0, NULL, 0}};

static void take_flag(bench *b, int flag) {
    switch (flag) {
    case JSON:
        b->report.json = true;
        break;
    case MARKDOWN:
        b->report.markdown = true;
        break;
    case ONLY:
        b->only = optarg;
        break;
    case ROUNDS:
        take_rounds(b, optarg);
        break;
    case QUICK:
        b->quick = true;
        break;
    case TRANSPORT:
        take_transport(b, optarg);
        break;
    case DIRECTORY:
        b->directory = optarg;
        break;
    case MPIRUN:
        b->mpirun = optarg;
        break;
    case NO_HEADING:
        b->report.headless = true;
        break;
    case HELP:
        usage();
        exit(0);
    default:
        exit(2); /* getopt has said why */
    }
}

/* The folder this program lies in. */
static const char *own_folder(void) {
    static char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length <= 0)
        return ".";
    path[length] = '\0';
    return dirname(path);
}

static void check_names(int count, char **names) {
    if (!count) {
        usage();
        exit(2);
    }
    for (int i = 0; i < count; i++)
        if (bench_named(names[i]) < 0) {
            fprintf(stderr, "starlane-bench: no benchmark '%s'; --help lists them\n", names[i]);
            exit(2);
        }
}

int main(int argc, char **argv) {
    bench b = {.rounds = 5,
               .local_part = true,
               .thread_part = true,
               .mpi_part = true,
               .directory = ".",
               .mpirun = "mpirun --oversubscribe"};
    for (int flag; (flag = getopt_long(argc, argv, "", flags, NULL)) != -1;)
        take_flag(&b, flag);
    check_names(argc - optind, argv + optind);
    b.programs = own_folder();
    network_mpi_open(&b);
    b.report.silent = b.rank > 0;
    for (int i = optind; i < argc; i++)
        benches[bench_named(argv[i])].run(&b);
    network_mpi_close();
    return 0;
}
