#include "sdk/progress.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "runtime/clock.h"

#define DRAW_NS     (200 * SL_NS_PER_MS)
#define SAMPLE_NS   (500 * SL_NS_PER_MS)
#define PLAIN_NS    (10 * SL_NS_PER_S)
#define STEP_NS     SL_NS_PER_S
#define BAR_CELLS   20
#define WIDTH_USUAL 80

/* ---- texts ---- */

void sl_progress_duration(sl_strbuf *out, double seconds) {
    if (!(seconds >= 0)) {
        sl_strbuf_append_char(out, '?');
        return;
    }
    if (seconds >= 999.0 * 86400) {
        sl_strbuf_append(out, ">999d");
        return;
    }
    unsigned long whole = (unsigned long)(seconds + 0.5);
    if (whole < 60)
        sl_strbuf_printf(out, "%lus", whole);
    else if (whole < 3600)
        sl_strbuf_printf(out, "%lum%02lus", whole / 60, whole % 60);
    else if (whole < 86400)
        sl_strbuf_printf(out, "%luh%02lum", whole / 3600, whole % 3600 / 60);
    else
        sl_strbuf_printf(out, "%lud%02luh", whole / 86400, whole % 86400 / 3600);
}

static void append_rate(sl_strbuf *out, double rate) {
    if (!(rate >= 0))
        sl_strbuf_append(out, "?/s");
    else if (rate >= 1e9)
        sl_strbuf_printf(out, "%.2g/s", rate);
    else if (rate >= 99950)
        sl_strbuf_printf(out, "%.0fk/s", rate / 1000);
    else if (rate >= 1000)
        sl_strbuf_printf(out, "%.1fk/s", rate / 1000);
    else if (rate >= 0.0995 || rate <= 0)
        sl_strbuf_printf(out, "%.*f/s", rate >= 99.5 ? 0 : 1, rate);
    else
        sl_strbuf_printf(out, "%.1f/min", rate * 60);
}

static unsigned percent(const sl_progress_counts *counts) {
    if (counts->total == 0)
        return 100;
    return (unsigned)((double)counts->finished * 100 / (double)counts->total);
}

static void append_bar(sl_strbuf *out, const sl_progress_counts *counts) {
    unsigned full = percent(counts) * BAR_CELLS / 100;
    sl_strbuf_append_char(out, '[');
    for (unsigned i = 0; i < BAR_CELLS; i++)
        sl_strbuf_append_char(out, i < full ? '=' : i == full ? '>' : ' ');
    sl_strbuf_append(out, "] ");
}

static void append_failed(sl_strbuf *out, const sl_progress_counts *counts, bool color) {
    bool mark = color && counts->failed > 0;
    sl_strbuf_printf(out, ", %s%llu failed%s", mark ? "\x1b[31m" : "",
                     (unsigned long long)counts->failed, mark ? "\x1b[0m" : "");
}

enum { SHOW_FAILED = 1, SHOW_RUNNING = 2, SHOW_ETA = 4, SHOW_RATE = 8, SHOW_BAR = 16 };

static void append_fields(sl_strbuf *out, const sl_progress_counts *counts,
                          const sl_progress_pace *pace, unsigned show, bool color) {
    if (show & SHOW_BAR)
        append_bar(out, counts);
    sl_strbuf_printf(out, "%llu/%llu %u%%", (unsigned long long)counts->finished,
                     (unsigned long long)counts->total, percent(counts));
    if (show & SHOW_RUNNING)
        sl_strbuf_printf(out, ", %llu running", (unsigned long long)counts->running);
    if (show & SHOW_FAILED)
        append_failed(out, counts, color);
    if (show & SHOW_RATE) {
        sl_strbuf_append(out, ", ");
        append_rate(out, pace->rate_per_s);
    }
    if (show & SHOW_ETA) {
        sl_strbuf_append(out, ", eta ");
        sl_progress_duration(out, pace->eta_s);
    }
}

void sl_progress_line(sl_strbuf *out, const sl_progress_counts *counts,
                      const sl_progress_pace *pace, unsigned width, bool color) {
    static const unsigned choices[] = {31, 15, 7, 3, 1, 0};
    char storage[256];
    sl_strbuf text;
    sl_strbuf_init_fixed(&text, storage, sizeof storage);
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        sl_strbuf_clear(&text);
        append_fields(&text, counts, pace, choices[i], false);
        if (text.err == SL_OK &&
            text.length < width) { /* the colour's bytes take no columns: measured without */
            append_fields(out, counts, pace, choices[i], color);
            return;
        }
    }
    sl_strbuf_append_bytes(out, text.data, width > 0 ? width - 1 : 0);
}

void sl_progress_plain(sl_strbuf *out, const sl_progress_counts *counts,
                       const sl_progress_pace *pace) {
    append_fields(out, counts, pace, SHOW_RUNNING | SHOW_FAILED | SHOW_RATE | SHOW_ETA, false);
}

/* ---- pace ---- */

static void take_sample(sl_progress *progress, uint64_t finished, uint64_t now_ns) {
    uint32_t newest = (progress->sample_next + SL_PROGRESS_SAMPLES - 1) % SL_PROGRESS_SAMPLES;
    if (progress->sample_count > 0 && now_ns - progress->samples[newest].at_ns < SAMPLE_NS)
        return;
    progress->samples[progress->sample_next].at_ns = now_ns;
    progress->samples[progress->sample_next].finished = finished;
    progress->sample_next = (progress->sample_next + 1) % SL_PROGRESS_SAMPLES;
    if (progress->sample_count < SL_PROGRESS_SAMPLES)
        progress->sample_count++;
}

sl_progress_pace sl_progress_pace_of(const sl_progress *progress, const sl_progress_counts *counts,
                                     uint64_t now_ns) {
    sl_progress_pace pace = {-1, -1};
    uint32_t oldest = (progress->sample_next + SL_PROGRESS_SAMPLES - progress->sample_count) %
                      SL_PROGRESS_SAMPLES;
    uint64_t since_ns = now_ns - progress->samples[oldest].at_ns;
    if (progress->sample_count == 0 || since_ns < SAMPLE_NS)
        return pace;
    pace.rate_per_s = (double)(counts->finished - progress->samples[oldest].finished) /
                      ((double)since_ns / (double)SL_NS_PER_S);
    uint64_t left = counts->total > counts->finished ? counts->total - counts->finished : 0;
    if (left == 0)
        pace.eta_s = 0;
    else if (pace.rate_per_s > 0)
        pace.eta_s = (double)left / pace.rate_per_s;
    return pace;
}

/* ---- drawing ---- */

void sl_progress_init(sl_progress *progress, FILE *stream, uint64_t now_ns) {
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
    *progress = (sl_progress){.stream = stream, .drawn_ns = now_ns};
    progress->terminal =
        stream && isatty(fileno(stream)) && term && *term && strcmp(term, "dumb") != 0;
    progress->color = progress->terminal && !(no_color && *no_color);
}

static unsigned terminal_width(FILE *stream) {
    struct winsize size;
    if (ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return WIDTH_USUAL;
}

static bool is_due(const sl_progress *progress, uint64_t step, uint64_t now_ns) {
    uint64_t since_ns = now_ns - progress->drawn_ns;
    if (progress->terminal)
        return !progress->drawn || since_ns >= DRAW_NS;
    return since_ns >= PLAIN_NS || (step > progress->step && since_ns >= STEP_NS);
}

static void draw(sl_progress *progress, const sl_progress_counts *counts,
                 const sl_progress_pace *pace) {
    char storage[512];
    sl_strbuf line;
    sl_strbuf_init_fixed(&line, storage, sizeof storage);
    if (progress->terminal) {
        sl_strbuf_append_char(&line, '\r');
        sl_progress_line(&line, counts, pace, terminal_width(progress->stream), progress->color);
        sl_strbuf_append(&line, "\x1b[K");
    } else {
        sl_progress_plain(&line, counts, pace);
        sl_strbuf_append_char(&line, '\n');
    }
    fwrite(line.data, 1, line.length, progress->stream);
    fflush(progress->stream);
}

void sl_progress_report(sl_progress *progress, const sl_progress_counts *counts, uint64_t now_ns) {
    uint64_t step = percent(counts) / 10;
    take_sample(progress, counts->finished, now_ns);
    if (!progress->stream || !is_due(progress, step, now_ns))
        return;
    sl_progress_pace pace = sl_progress_pace_of(progress, counts, now_ns);
    draw(progress, counts, &pace);
    progress->drawn = progress->terminal;
    progress->drawn_ns = now_ns;
    progress->step = step;
}

void sl_progress_clear(sl_progress *progress) {
    if (!progress->drawn)
        return;
    fputs("\r\x1b[K", progress->stream);
    fflush(progress->stream);
    progress->drawn = false;
}
