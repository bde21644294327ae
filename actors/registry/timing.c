#include "actors/registry/timing.h"

#include <string.h>

#include "runtime/clock.h"
#include "runtime/option.h"

enum { RTTS = 3 }; /* ways there and back that a question may take, beyond the suspicion */

static const char *const kind_names[SL_LINK_KINDS] = {"same-host", "same-region", "regions"};

static const sl_link_timing defaults[SL_LINK_KINDS] = {
    {2 * SL_NS_PER_S, 10 * SL_NS_PER_S},
    {300 * SL_NS_PER_MS, 450 * SL_NS_PER_MS},
    {900 * SL_NS_PER_MS, 3 * SL_NS_PER_S},
};

static const uint64_t witnessed_dead_ns = 1500 * SL_NS_PER_MS; /* instead of same-region's */

static const sl_option time_option = {
    .name = "time", .kind = SL_OPTION_DURATION, .unit = "ms", .min = 20, .max = 3600000};

/* ---- reading ---- */

typedef struct part {
    const char *text;
    size_t bytes;
} part;

/* The next part up to `separator`; false when there is none. */
static bool next_part(const char **at, const char *end, char separator, part *out) {
    if (!*at)
        return false;
    const char *stop = memchr(*at, separator, (size_t)(end - *at));
    *out = (part){*at, (size_t)((stop ? stop : end) - *at)};
    *at = stop ? stop + 1 : NULL;
    return true;
}

static bool is_word(part p, const char *word) {
    return strlen(word) == p.bytes && memcmp(word, p.text, p.bytes) == 0;
}

static sl_err refuse(const char *why, part p) {
    return sl_fail(SL_ERR_INVALID,
                   "link-timing: %s: \"%.*s\"; write for example "
                   "same-host:suspect=2s,dead=10s;eu-us:suspect=900",
                   why, (int)(p.bytes < 80 ? p.bytes : 80), p.text);
}

static sl_err timing_of_name(sl_link_timings *timings, part name, sl_link_timing **out) {
    for (int kind = 0; kind < SL_LINK_KINDS; kind++) {
        if (is_word(name, kind_names[kind])) {
            *out = &timings->kinds[kind];
            return SL_OK;
        }
    }
    if (!memchr(name.text, '-', name.bytes) || name.bytes >= sizeof timings->rules[0].regions)
        return refuse("not same-host, same-region, regions or two regions' names with a - between",
                      name);
    for (uint32_t i = 0; i < timings->rule_count; i++) {
        if (is_word(name, timings->rules[i].regions)) {
            *out = &timings->rules[i].timing;
            return SL_OK;
        }
    }
    if (timings->rule_count == SL_TIMING_RULES_MAX)
        return refuse("too many pairs of regions", name);
    sl_link_rule *rule = &timings->rules[timings->rule_count++];
    memcpy(rule->regions, name.text, name.bytes);
    rule->regions[name.bytes] = '\0';
    *out = &rule->timing;
    return SL_OK;
}

static sl_err read_time(part setting, size_t name_bytes, uint64_t *out) {
    char text[32];
    size_t bytes = setting.bytes - name_bytes;
    sl_option_value value;
    if (bytes >= sizeof text)
        return refuse("not a time", setting);
    memcpy(text, setting.text + name_bytes, bytes);
    text[bytes] = '\0';
    if (!sl_option_parse(&time_option, text, &value))
        return refuse("not a time from 20ms to 1h", setting);
    *out = value.amount;
    return SL_OK;
}

static bool begins(part p, const char *with) {
    return p.bytes > strlen(with) && memcmp(p.text, with, strlen(with)) == 0;
}

static sl_err read_settings(sl_link_timing *timing, part settings) {
    const char *at = settings.text, *end = at + settings.bytes;
    for (part setting; next_part(&at, end, ',', &setting);) {
        if (begins(setting, "suspect="))
            SL_TRY(read_time(setting, strlen("suspect="), &timing->suspect_ns));
        else if (begins(setting, "dead="))
            SL_TRY(read_time(setting, strlen("dead="), &timing->dead_ns));
        else
            return refuse("neither suspect=TIME nor dead=TIME", setting);
    }
    return SL_OK;
}

sl_err sl_link_timings_parse(sl_link_timings *timings, const char *text) {
    const char *at = text, *end = text + strlen(text);
    for (part item; next_part(&at, end, ';', &item);) {
        const char *colon = memchr(item.text, ':', item.bytes);
        if (!item.bytes && !at)
            return SL_OK; /* nothing behind the last ; */
        if (!colon)
            return refuse("no : behind the name of the link", item);
        sl_link_timing *timing;
        part name = {item.text, (size_t)(colon - item.text)};
        part settings = {colon + 1, item.bytes - name.bytes - 1};
        SL_TRY(timing_of_name(timings, name, &timing));
        SL_TRY(read_settings(timing, settings));
    }
    return SL_OK;
}

/* ---- of a link ---- */

static void fill(sl_link_timing *timing, sl_link_timing from) {
    if (!timing->suspect_ns)
        timing->suspect_ns = from.suspect_ns;
    if (!timing->dead_ns)
        timing->dead_ns = from.dead_ns;
}

static sl_link_timing of_kind(const sl_link_timings *timings, sl_link_kind kind) {
    sl_link_timing timing = timings->kinds[kind];
    fill(&timing, timings->all);
    fill(&timing, defaults[kind]);
    return timing;
}

static sl_err check(const char *name, sl_link_timing timing, uint64_t period_ns) {
    if (timing.suspect_ns < 2 * period_ns)
        return sl_fail(SL_ERR_INVALID,
                       "%s: a node cannot be suspected after %.0f ms when it beats every %.0f ms: "
                       "two beats at least",
                       name, (double)timing.suspect_ns / 1e6, (double)period_ns / 1e6);
    if (timing.dead_ns <= timing.suspect_ns)
        return sl_fail(SL_ERR_INVALID,
                       "%s: a node cannot be dead after %.0f ms and suspected after %.0f ms: give "
                       "it time to answer",
                       name, (double)timing.dead_ns / 1e6, (double)timing.suspect_ns / 1e6);
    return SL_OK;
}

sl_err sl_link_timings_check(const sl_link_timings *timings, uint64_t period_ns) {
    for (int kind = 0; kind < SL_LINK_KINDS; kind++)
        SL_TRY(check(kind_names[kind], of_kind(timings, (sl_link_kind)kind), period_ns));
    for (uint32_t i = 0; i < timings->rule_count; i++) {
        sl_link_timing timing = timings->rules[i].timing;
        fill(&timing, of_kind(timings, SL_LINK_REGIONS));
        SL_TRY(check(timings->rules[i].regions, timing, period_ns));
    }
    return SL_OK;
}

static uint64_t larger(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

uint64_t sl_link_timings_longest_ns(const sl_link_timings *timings) {
    uint64_t longest_ns = 0;
    for (int kind = 0; kind < SL_LINK_KINDS; kind++)
        longest_ns = larger(longest_ns, of_kind(timings, (sl_link_kind)kind).dead_ns);
    for (uint32_t i = 0; i < timings->rule_count; i++)
        longest_ns = larger(longest_ns, timings->rules[i].timing.dead_ns);
    return longest_ns;
}

static bool same_text(sl_text a, sl_text b) {
    return a.bytes == b.bytes && (a.data == b.data || memcmp(a.data, b.data, a.bytes) == 0);
}

sl_link_kind sl_link_kind_of(const sl_member *a, const sl_member *b) {
    const sl_profile *one = a->profile, *other = b->profile;
    if (one->host_digest && one->host_digest == other->host_digest &&
        same_text(one->host, other->host))
        return SL_LINK_SAME_HOST;
    return same_text(one->region, other->region) ? SL_LINK_SAME_REGION : SL_LINK_REGIONS;
}

/* Is `name` "FIRST-SECOND"? */
static bool is_pair(const char *name, sl_text first, sl_text second) {
    return strlen(name) == (size_t)first.bytes + 1 + second.bytes &&
           memcmp(name, first.data, first.bytes) == 0 && name[first.bytes] == '-' &&
           memcmp(name + first.bytes + 1, second.data, second.bytes) == 0;
}

sl_link_timing sl_link_timing_of(const sl_link_timings *timings, const sl_member *a,
                                 const sl_member *b, bool witnessed) {
    sl_link_kind kind = sl_link_kind_of(a, b);
    sl_link_timing timing = {0, 0};
    for (uint32_t i = 0; kind == SL_LINK_REGIONS && i < timings->rule_count; i++) {
        const sl_link_rule *rule = &timings->rules[i];
        if (is_pair(rule->regions, a->profile->region, b->profile->region) ||
            is_pair(rule->regions, b->profile->region, a->profile->region))
            fill(&timing, rule->timing);
    }
    fill(&timing, timings->kinds[kind]);
    fill(&timing, timings->all);
    if (witnessed && kind == SL_LINK_SAME_REGION && !timing.dead_ns)
        timing.dead_ns = witnessed_dead_ns;
    fill(&timing, defaults[kind]);
    return timing;
}

sl_link_timing sl_link_timing_stretch(sl_link_timing timing, uint64_t gap_ns, uint64_t rtt_ns,
                                      uint64_t period_ns) {
    uint64_t gaps_ns = SL_TIMING_GAPS * gap_ns, most_ns = SL_TIMING_STRETCH * timing.dead_ns;
    timing.dead_ns = larger(timing.dead_ns, gaps_ns < most_ns ? gaps_ns : most_ns);
    if (rtt_ns)
        timing.dead_ns = larger(timing.dead_ns, timing.suspect_ns + RTTS * rtt_ns + period_ns);
    return timing;
}
