#include "bench/report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "runtime/strbuf.h"

/* ---- samples ---- */

void samples_add(samples *s, double value) {
    if (s->count == s->capacity) {
        s->capacity = s->capacity ? 2 * s->capacity : 16;
        s->values = realloc(s->values, s->capacity * sizeof *s->values);
        if (!s->values)
            bench_die("no memory for samples");
    }
    s->values[s->count++] = value;
}

void samples_fini(samples *s) {
    free(s->values);
    *s = (samples){0};
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double samples_quantile(const samples *s, double q) {
    if (!s || !s->count)
        return NAN;
    double *sorted = malloc(s->count * sizeof *sorted);
    if (!sorted)
        bench_die("no memory for samples");
    memcpy(sorted, s->values, s->count * sizeof *sorted);
    qsort(sorted, s->count, sizeof *sorted, compare);
    uint32_t at = (uint32_t)(q * s->count);
    double value = sorted[at < s->count ? at : s->count - 1];
    free(sorted);
    return value;
}

double samples_median(const samples *s) {
    return samples_quantile(s, 0.5);
}

double samples_ratio(const samples *ours, const samples *floor) {
    if (!floor || !floor->count || !ours->count)
        return NAN;
    if (ours->count != floor->count)
        return samples_median(ours) / samples_median(floor);
    samples ratios = {0};
    for (uint32_t i = 0; i < ours->count; i++)
        samples_add(&ratios, ours->values[i] / floor->values[i]);
    double median = samples_median(&ratios);
    samples_fini(&ratios);
    return median;
}

/* ---- values for people ---- */

typedef struct scale {
    double least;
    const char *unit;
} scale;

static const scale scales[][5] = {
    [REPORT_PER_S] = {{1e6, "M/s"}, {1e3, "k/s"}, {1, "/s"}},
    [REPORT_SECONDS] = {{1, "s"}, {1e-3, "ms"}, {1e-6, "us"}, {1e-9, "ns"}},
    [REPORT_BYTES] = {{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}, {1, "B"}},
    [REPORT_BYTES_PER_S] = {{1e9, "GB/s"}, {1e6, "MB/s"}},
    [REPORT_COUNT] = {{1e6, "M"}, {1e3, "k"}, {1, ""}},
    [REPORT_PERCENT] = {{1, "%"}},
};

/* The scale in which `value` has one to three digits before the point, or the smallest. */
static const scale *scale_for(report_unit unit, double value) {
    const scale *s = scales[unit];
    while (fabs(value) < s->least && s[1].unit)
        s++;
    return s;
}

static void number_in(char *text, size_t bytes, const scale *s, double value) {
    double scaled = value / s->least;
    int digits = fabs(scaled) >= 99.95 ? 0 : fabs(scaled) >= 9.995 ? 1 : 2;
    snprintf(text, bytes, "%.*f", digits, scaled);
}

static void figure(char *text, size_t bytes, report_unit unit, const samples *s) {
    char median[24], least[24], most[24];
    const scale *in = scale_for(unit, samples_median(s));
    number_in(median, sizeof median, in, samples_median(s));
    if (s->count == 1) {
        snprintf(text, bytes, "%s %s", median, in->unit);
        return;
    }
    number_in(least, sizeof least, in, samples_quantile(s, 0));
    number_in(most, sizeof most, in, samples_quantile(s, 1));
    snprintf(text, bytes, "%s %s (%s-%s)", median, in->unit, least, most);
}

/* ---- rows ---- */

/* 1: every goal is met, 0: one is not, -1: there is none. */
static int verdict(const report_row *row) {
    double value = samples_median(row->ours), ratio = samples_ratio(row->ours, row->floor);
    if (!(row->goal > 0) && !(row->goal_ratio > 0))
        return -1;
    if (row->goal > 0 && !(row->less_is_better ? value <= row->goal : value >= row->goal))
        return 0;
    if (row->goal_ratio > 0 &&
        !(row->less_is_better ? ratio <= row->goal_ratio : ratio >= row->goal_ratio))
        return 0;
    return 1;
}

static void goal_text(const report_row *row, char *text, size_t bytes) {
    const char *sign = row->less_is_better ? "<=" : ">=";
    char value[32] = "", ratio[32] = "", number[32];
    if (row->goal > 0) {
        const scale *in = scale_for(row->unit, row->goal);
        number_in(number, sizeof number, in, row->goal);
        if (strchr(number, '.')) { /* 50.0 ns is 50 ns */
            char *end = number + strlen(number);
            while (end[-1] == '0')
                *--end = '\0';
            if (end[-1] == '.')
                end[-1] = '\0';
        }
        snprintf(value, sizeof value, "%s %.12s %s", sign, number, in->unit);
    }
    if (row->goal_ratio > 0)
        snprintf(ratio, sizeof ratio, "%s %.3gx", sign, row->goal_ratio);
    snprintf(text, bytes, "%s%s%s", value, *value && *ratio ? ", " : "", ratio);
}

/* The cells of a row as text. */
typedef struct cells {
    char ours[96], floor[96], ratio[32], goal[96];
    const char *verdict;
    const char *floor_is;
} cells;

static void cells_make(const report_row *row, cells *c) {
    static const char *const words[] = {"", "MISSED", "met"};
    *c = (cells){.verdict = words[verdict(row) + 1], .floor_is = ""};
    figure(c->ours, sizeof c->ours, row->unit, row->ours);
    goal_text(row, c->goal, sizeof c->goal);
    if (!row->floor || !row->floor->count)
        return;
    figure(c->floor, sizeof c->floor, row->unit, row->floor);
    snprintf(c->ratio, sizeof c->ratio, "%.3gx", samples_ratio(row->ours, row->floor));
    c->floor_is = row->floor_name;
}

#define TABLE_ROW "%-8s %-44s %-23s %-23s %7s  %-11s %-6s  %s\n"

static void print_table_row(const report *r, const report_row *row) {
    cells c;
    cells_make(row, &c);
    if (!r->begun && !r->headless)
        printf(TABLE_ROW, "bench", "what", "Starlane: med (min-max)", "floor: med (min-max)",
               "ratio", "goal", "", "floor is");
    printf(TABLE_ROW, row->bench, row->what, c.ours, c.floor, c.ratio, c.goal, c.verdict,
           c.floor_is);
}

static void print_markdown_row(const report *r, const report_row *row) {
    cells c;
    cells_make(row, &c);
    if (!r->begun && !r->headless)
        puts("| bench | what | Starlane: median (min-max) | floor: median (min-max) | floor is "
             "| ratio | goal | |\n|---|---|---|---|---|---|---|---|");
    printf("| %s | %s | %s | %s | %s | %s | %s | %s |\n", row->bench, row->what, c.ours, c.floor,
           c.floor_is, c.ratio, c.goal, c.verdict);
}

static void json_samples(sl_strbuf *out, const char *name, const samples *s) {
    sl_strbuf_printf(out, ", \"%s\": {\"median\": ", name);
    sl_strbuf_json_double(out, samples_median(s));
    sl_strbuf_append(out, ", \"min\": ");
    sl_strbuf_json_double(out, samples_quantile(s, 0));
    sl_strbuf_append(out, ", \"max\": ");
    sl_strbuf_json_double(out, samples_quantile(s, 1));
    sl_strbuf_printf(out, ", \"rounds\": %u}", s->count);
}

static void json_number(sl_strbuf *out, const char *name, double value) {
    sl_strbuf_printf(out, ", \"%s\": ", name);
    sl_strbuf_json_double(out, value);
}

static void json_text(sl_strbuf *out, const char *name, const char *text) {
    sl_strbuf_printf(out, ", \"%s\": ", name);
    sl_strbuf_json(out, text);
}

static void print_json_row(const report_row *row) {
    static const char *const units[] = {"1/s", "s", "B", "B/s", "1", "%"};
    sl_strbuf out;
    sl_strbuf_init(&out, 65536);
    sl_strbuf_append(&out, "{\"bench\": ");
    sl_strbuf_json(&out, row->bench);
    json_text(&out, "what", row->what);
    json_text(&out, "unit", units[row->unit]);
    json_samples(&out, "starlane", row->ours);
    if (row->floor && row->floor->count) {
        json_text(&out, "floor_is", row->floor_name);
        json_samples(&out, "floor", row->floor);
        json_number(&out, "ratio", samples_ratio(row->ours, row->floor));
    }
    if (row->goal > 0)
        json_number(&out, "goal", row->goal);
    if (row->goal_ratio > 0)
        json_number(&out, "goal_ratio", row->goal_ratio);
    if (verdict(row) >= 0)
        sl_strbuf_printf(&out, ", \"met\": %s", verdict(row) ? "true" : "false");
    sl_strbuf_append(&out, "}");
    printf("%s\n", out.data ? out.data : "");
    sl_strbuf_fini(&out);
}

void report_print(report *r, const report_row *row) {
    if (r->silent || !row->ours->count)
        return;
    r->missed += verdict(row) == 0;
    if (r->json)
        print_json_row(row);
    else if (r->markdown)
        print_markdown_row(r, row);
    else
        print_table_row(r, row);
    r->begun = true;
    fflush(stdout);
}

void report_remark(report *r, const char *name, const char *text) {
    if (r->silent)
        return;
    if (r->markdown) {
        printf("| %s | %s | | | | | | |\n", name, text);
    } else if (!r->json) {
        printf("%-8s %s\n", name, text);
    } else {
        sl_strbuf out;
        sl_strbuf_init(&out, 65536);
        sl_strbuf_append(&out, "{\"bench\": ");
        sl_strbuf_json(&out, name);
        json_text(&out, "remark", text);
        printf("%s}\n", out.data ? out.data : "");
        sl_strbuf_fini(&out);
    }
    r->begun = true;
    fflush(stdout);
}
