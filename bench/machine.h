/* What the benchmarks ask the operating system: time, memory, programs. */
#ifndef SL_BENCH_MACHINE_H
#define SL_BENCH_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

/* Seconds, monotonic, and the same on every process of the machine. */
double machine_now_s(void);

/* Memory of this process that is resident. */
uint64_t machine_rss_bytes(void);

/* Processor seconds used by this process, and by the calling thread. */
double machine_process_cpu_s(void);
double machine_thread_cpu_s(void);

/* Processors that this process may use. */
uint32_t machine_cores(void);

void machine_sleep_s(double seconds);

/* Runs `argv` (NULL-terminated, found through PATH), its output thrown away, to its end. Returns
 * its exit code, 128 + signal, or -1 when it could not start. */
int machine_run(const char *const *argv);

/* The same for a shell's command line. */
int machine_run_shell(const char *line);

/* True when PATH has such a program. */
bool machine_has_program(const char *name);

/* Runs `argv` `count` times, `at_once` at a time, by a plain loop of posix_spawn and waitpid.
 * Returns the seconds it took. */
double machine_spawn_loop_s(const char *const *argv, uint32_t count, uint32_t at_once);

#endif
