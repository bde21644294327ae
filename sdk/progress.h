/* How far a run is, for the person who waits: one line that is redrawn on a terminal, a plain line
 * now and then elsewhere.
 *
 * The caller reports counts as often as it likes; most reports cost a comparison. One thread at a
 * time. */
#ifndef SL_SDK_PROGRESS_H
#define SL_SDK_PROGRESS_H

#include <stdint.h>
#include <stdio.h>

#include "runtime/err.h"
#include "runtime/strbuf.h"

typedef struct sl_progress_counts {
    uint64_t total;
    uint64_t finished; /* done, failed, cancelled or skipped */
    uint64_t failed;   /* of these, not done */
    uint64_t running;
} sl_progress_counts;

/* What a line says besides the counts. */
typedef struct sl_progress_pace {
    double rate_per_s; /* tasks that finish a second; negative: not known yet */
    double eta_s;      /* until all are finished; negative: not known */
} sl_progress_pace;

/* The line for a terminal of `width` columns (without line ending): fields are left out, the least
 * needed first, until it fits; never wider than width - 1. `color` marks failures. */
void sl_progress_line(sl_strbuf *out, const sl_progress_counts *counts,
                      const sl_progress_pace *pace, unsigned width, bool color);

/* The plain line (without line ending). */
void sl_progress_plain(sl_strbuf *out, const sl_progress_counts *counts,
                       const sl_progress_pace *pace);

/* "47s", "4m05s", "2h03m", "3d04h"; "?" when negative, ">999d" beyond that. */
void sl_progress_duration(sl_strbuf *out, double seconds);

#define SL_PROGRESS_SAMPLES 64

typedef struct sl_progress {
    FILE *stream; /* borrowed; NULL: silent */
    bool terminal;
    bool color;
    bool drawn;        /* a line is on the screen */
    uint64_t drawn_ns; /* when the last line was written */
    uint64_t step;     /* tenths of the total in the last plain line */
    struct {
        uint64_t at_ns;
        uint64_t finished;
    } samples[SL_PROGRESS_SAMPLES]; /* ring, one per half second: the rate is of the last half
                                       minute */
    uint32_t sample_next, sample_count;
} sl_progress;

/* Looks at `stream` (NULL: silent) and the environment (NO_COLOR, TERM) to see what it may do. */
void sl_progress_init(sl_progress *progress, FILE *stream, uint64_t now_ns);

/* Tells how things stand; `now_ns` is monotonic. Draws at most five times a second on a terminal;
 * else writes a line every ten seconds, and at each tenth of the whole when the last one is a
 * second old. */
void sl_progress_report(sl_progress *progress, const sl_progress_counts *counts, uint64_t now_ns);

/* Removes the line from the screen, so that something else can be printed. The next report draws it
 * again. */
void sl_progress_clear(sl_progress *progress);

/* The pace the samples so far show. */
sl_progress_pace sl_progress_pace_of(const sl_progress *progress, const sl_progress_counts *counts,
                                     uint64_t now_ns);

#endif
