/* What every benchmark of starlane-bench gets, and the list of them.
 *
 * A benchmark measures what it can with the ranks it has: started by mpirun, what lies between
 * ranks; else what needs one process alone. bench/run.sh starts each as often as that takes. */
#ifndef SL_BENCH_BENCH_H
#define SL_BENCH_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/report.h"

typedef struct bench {
    report report;
    uint32_t rank;  /* of the job; 0 when mpirun did not start us */
    uint32_t ranks; /* 1 when mpirun did not start us */
    uint32_t rounds;
    bool quick;                             /* shorter: to see that it works, not to measure */
    bool thread_part, local_part, mpi_part; /* which transports are asked for */
    const char
        *only; /* of the cases, those whose words hold this; NULL: all (message, tasks, scale) */
    const char *directory; /* for files; on the disk that is to be measured */
    const char *programs;  /* the build's folder of programs: bin */
    const char *mpirun;    /* a command line that starts ranks */
} bench;

/* True in the job's processes when they were started by mpirun with at least `ranks`. */
bool bench_has_ranks(const bench *b, uint32_t ranks);

/* `full`, or a tenth of it with --quick. */
uint64_t bench_amount(const bench *b, uint64_t full);

/* False for a case that --only leaves out. */
bool bench_wants(const bench *b, const char *what);

/* Prints why and ends the process, and with it the job. */
void bench_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

void bench_message(bench *b);
void bench_spawn(bench *b);
void bench_tasks(bench *b);
void bench_command(bench *b);
void bench_ledger(bench *b);
void bench_overload(bench *b);
void bench_idle(bench *b);
void bench_api(bench *b);
void bench_start(bench *b);
void bench_simulate(bench *b);
void bench_seal(bench *b);
void bench_scale(bench *b);

#endif
