/* Design notes. Membership is decided by matching the name against the list, never by expanding it:
 * "n[0-999999999]" must cost nothing. A bracket may take digit runs of several lengths
 * ("n[1-12]3"), hence the bounded backtracking: at most MAX_BRACKETS brackets, each of at most
 * MAX_DIGITS lengths. */
#include "mpi/hostlist.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NAME = 255, MAX_BRACKETS = 4, MAX_DIGITS = 9 };

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Reads up to MAX_DIGITS digits from [*at, end) and moves *at behind them; false when there are
 * none or too many. */
static bool read_number(const char **at, const char *end, uint32_t *value, int *digits) {
    *value = 0;
    *digits = 0;
    for (; *at < end && is_digit(**at); (*at)++) {
        if (++*digits > MAX_DIGITS)
            return false;
        *value = *value * 10 + (uint32_t)(**at - '0');
    }
    return *digits > 0;
}

/* Whether a number written with `digits` digits is in [low, high], whose ends were written `width`
 * wide. A list pads its numbers to that width; wider numbers have no leading zero. */
static bool in_range(uint32_t value, int digits, bool leading_zero, uint32_t low, uint32_t high,
                     int width) {
    if (value < low || value > high || digits < width)
        return false;
    return digits == width || !leading_zero;
}

/* Whether the digits at `name` (exactly `digits` of them) are in the bracket's ranges [at, end). */
static bool bracket_has(const char *at, const char *end, const char *name, int digits) {
    uint32_t value, low, high;
    int count, width;
    const char *cursor = name;
    if (!read_number(&cursor, name + digits, &value, &count))
        return false;
    while (at < end) {
        if (!read_number(&at, end, &low, &width))
            return false;
        high = low;
        if (at < end && *at == '-') {
            at++;
            if (!read_number(&at, end, &high, &count))
                return false;
        }
        if (in_range(value, digits, name[0] == '0' && digits > 1, low, high, width))
            return true;
        if (at < end && *at++ != ',')
            return false;
    }
    return false;
}

/* Matches one list entry [at, end) against the whole of `name`. */
static bool entry_matches(const char *at, const char *end, const char *name, int brackets) {
    for (; at < end && *at != '['; at++, name++)
        if (*at != *name)
            return false;
    if (at == end)
        return *name == '\0';
    const char *close = memchr(at, ']', (size_t)(end - at));
    if (!close || brackets == MAX_BRACKETS)
        return false;
    for (int digits = 1; digits <= MAX_DIGITS && is_digit(name[digits - 1]); digits++)
        if (bracket_has(at + 1, close, name, digits) &&
            entry_matches(close + 1, end, name + digits, brackets + 1))
            return true;
    return false;
}

/* The end of the entry at `at`: the next comma outside brackets, or the end of the list. */
static const char *entry_end(const char *at) {
    for (bool inside = false; *at && (inside || *at != ','); at++)
        inside = *at == '[' || (inside && *at != ']');
    return at;
}

bool sl_hostlist_has(const char *list, const char *host) {
    if (!*host || strlen(host) > MAX_NAME)
        return false;
    for (;;) {
        const char *end = entry_end(list);
        if (entry_matches(list, end, host, 0))
            return true;
        if (!*end)
            return false;
        list = end + 1;
    }
}
