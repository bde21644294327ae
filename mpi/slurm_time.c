#include "mpi/slurm_time.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* 9999-12-31T23:59:59Z: what is later was not meant. */
static const int64_t LAST_MOMENT_S = 253402300799;

/* Reads 1 to `most` digits and moves *at behind them. */
static bool read_digits(const char **at, int most, int64_t *value) {
    int digits = 0;
    int64_t sum = 0;
    for (; **at >= '0' && **at <= '9'; (*at)++) {
        if (++digits > most)
            return false;
        sum = sum * 10 + (**at - '0');
    }
    *value = sum;
    return digits > 0;
}

/* Exactly `digits` digits followed by `after`. */
static bool read_field(const char **at, int digits, char after, int *value) {
    const char *start = *at;
    int64_t number;
    if (!read_digits(at, digits, &number) || *at - start != digits || **at != after)
        return false;
    if (after)
        (*at)++;
    *value = (int)number;
    return true;
}

static bool is_endless(const char *text) {
    static const char *const words[] = {"UNLIMITED", "INFINITE", "N/A", "NONE", "Unknown"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(text, words[i]) == 0)
            return true;
    return false;
}

/* False for what is not written so, and for dates that do not exist (mktime would turn 30 February
 * into March). */
static bool parse_iso(const char *text, int64_t *unix_s) {
    struct tm given = {.tm_isdst = -1};
    if (!read_field(&text, 4, '-', &given.tm_year) || !read_field(&text, 2, '-', &given.tm_mon) ||
        !read_field(&text, 2, 'T', &given.tm_mday) || !read_field(&text, 2, ':', &given.tm_hour) ||
        !read_field(&text, 2, ':', &given.tm_min) || !read_field(&text, 2, '\0', &given.tm_sec))
        return false;
    if (given.tm_year < 1970 || given.tm_hour > 23 || given.tm_min > 59 || given.tm_sec > 60)
        return false;
    given.tm_year -= 1900;
    given.tm_mon -= 1;
    struct tm normal = given;
    time_t moment = mktime(&normal);
    if (moment == (time_t)-1 || normal.tm_mon != given.tm_mon)
        return false;
    *unix_s = moment;
    return true;
}

sl_err sl_slurm_time_parse(const char *name, const char *text, bool *known, int64_t *unix_s) {
    const char *at = text;
    int64_t moment = 0;
    bool endless = is_endless(text);
    bool read = endless || (read_digits(&at, 12, &moment) && !*at) || parse_iso(text, &moment);
    if (!read || moment < 0 || moment > LAST_MOMENT_S)
        return sl_fail(
            SL_ERR_SYNTAX,
            "%s is \"%.64s\": give seconds since 1970, a local time such as 2026-01-02T03:04:05, "
            "or UNLIMITED",
            name, text);
    *known = !endless;
    *unix_s = moment;
    return SL_OK;
}

sl_err sl_slurm_time_of_job(int64_t limit_s, int64_t now_unix_s, const sl_env *env,
                            sl_slurm_time *end) {
    static const char *const names[] = {"STARLANE_END_TIME", "SLURM_JOB_END_TIME"};
    if (limit_s < 0 || limit_s > LAST_MOMENT_S || now_unix_s < 0 || now_unix_s > LAST_MOMENT_S)
        return sl_fail(SL_ERR_INVALID, "--time-limit: %lld s is out of range", (long long)limit_s);
    if (limit_s) {
        *end = (sl_slurm_time){true, now_unix_s + limit_s, "--time-limit"};
        return SL_OK;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *text = sl_env_get(env, names[i]);
        if (!text)
            continue;
        sl_slurm_time found = {.source = names[i]};
        SL_TRY(sl_slurm_time_parse(names[i], text, &found.known, &found.end_unix_s));
        *end = found;
        return SL_OK;
    }
    *end = (sl_slurm_time){.source = "none"};
    return SL_OK;
}
