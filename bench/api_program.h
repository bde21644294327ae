/* What the files of starlane-bench-api share. */
#ifndef SL_BENCH_API_PROGRAM_H
#define SL_BENCH_API_PROGRAM_H

#include <stdbool.h>
#include <starlane.h>
#include <stdio.h>

SL_TASK_DECLARE(add_one);

void api_die(const char *what) __attribute__((noreturn));
double api_now_s(void);
int api_by_value(const void *a, const void *b);
/* Calls of `task` with 64 in flight; `how` NULL: with its own options. */
double api_window_per_s(const sl_task *task, const sl_task_options *how, size_t count);

/* api_program_sealed.c: keys in `directory`, made by the first rank and waited for by the others,
 * with the fingerprint of their authority; before the network is joined. And the measurements. */
void api_make_keys(const char *directory, char pin[65]);
void api_run_sealed(const char *what, FILE *out, const char *directory, const char *pin,
                    size_t count, int rounds);

#endif
