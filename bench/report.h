/* What the benchmarks print: samples of several rounds, their median and spread, each figure beside
 * its floor, as a table for people or one JSON object a row. One thread. */
#ifndef SL_BENCH_REPORT_H
#define SL_BENCH_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Values measured; grows. Zeroed: empty. */
typedef struct samples {
    double *values;
    uint32_t count;
    uint32_t capacity;
} samples;

void samples_add(samples *s, double value);
void samples_fini(samples *s);

/* The value below which a fraction `q` (0 … 1) of them lies (nearest rank); NAN when empty. */
double samples_quantile(const samples *s, double q);
double samples_median(const samples *s);

/* Median over rounds of ours[i] / floor[i] where both were measured in the same rounds, else the
 * ratio of their medians. NAN without a floor. */
double samples_ratio(const samples *ours, const samples *floor);

typedef enum report_unit {
    REPORT_PER_S,   /* k/s, M/s */
    REPORT_SECONDS, /* ns, us, ms, s */
    REPORT_BYTES,   /* B, KiB, MiB, GiB */
    REPORT_BYTES_PER_S /* MB/s, GB/s */,
    REPORT_COUNT,
    REPORT_PERCENT
} report_unit;

typedef struct report_row {
    const char *bench;
    const char *what; /* the thing measured */
    report_unit unit;
    const samples *ours;
    const char *floor_name; /* what the floor is; NULL: there is none */
    const samples *floor;
    bool less_is_better;
    double goal_ratio; /* ours / floor, at least (at most when less is better); 0: none */
    double goal;       /* the same for the value; 0: none */
} report_row;

typedef struct report {
    bool json;
    bool markdown; /* for docs/benchmarks.md */
    bool silent;   /* ranks other than 0 */
    bool headless; /* the table goes on: no heading */
    bool begun;
    uint32_t missed; /* goals */
} report;

/* Prints a row, with the heading before the first. */
void report_print(report *r, const report_row *row);

/* Prints a remark below the rows of a benchmark: what was skipped and why. */
void report_remark(report *r, const char *name, const char *text);

#endif
