#include "runtime/config_private.h"

#include <stdio.h>
#include <string.h>

/* One flag of the command line, taken apart. */
typedef struct flag {
    sl_opt id;
    const char *value; /* behind "=", or NULL */
    bool negated;      /* --no-NAME */
} flag;

static sl_err unknown_flag(const char *name, size_t length) {
    char text[SL_OPTION_NAME_BYTES];
    snprintf(text, sizeof text, "%.*s", (int)(length < sizeof text ? length : sizeof text - 1),
             name);
    const char *nearest = sl_option_nearest(text);
    if (nearest)
        return sl_fail(SL_ERR_INVALID, "unknown flag --%s; did you mean --%s?", text, nearest);
    return sl_fail(SL_ERR_INVALID, "unknown flag --%s; --help lists those there are", text);
}

/* `argument` begins with "--" and goes on. */
static sl_err split_flag(const char *argument, flag *out) {
    const char *name = argument + 2;
    size_t length = strcspn(name, "=");
    *out = (flag){.value = name[length] ? name + length + 1 : NULL};
    if (sl_option_find(name, length, &out->id))
        return SL_OK;
    if (length < 4 || strncmp(name, "no-", 3) != 0 ||
        !sl_option_find(name + 3, length - 3, &out->id))
        return unknown_flag(name, length);
    const sl_option *option = sl_option_get(out->id);
    if (option->kind != SL_OPTION_BOOL || out->value)
        return sl_fail(SL_ERR_INVALID,
                       "flag %.80s: the form --no-NAME is for switches, and takes no value",
                       argument);
    out->negated = true;
    return SL_OK;
}

static sl_err check_group(const sl_option *option, const char *groups) {
    if (sl_option_in_groups(option, "common") || sl_option_in_groups(option, groups))
        return SL_OK;
    return sl_fail(SL_ERR_INVALID, "flag --%s is not for this command; it belongs to: %s",
                   option->name, option->groups);
}

/* Applies the flag at argv[*at] and moves *at past what it took. */
static sl_err take_flag(sl_config *config, const char *groups, int argc, char **argv, int *at) {
    char origin[8 + SL_OPTION_NAME_BYTES];
    flag f;
    SL_TRY(split_flag(strcmp(argv[*at], "-h") == 0 ? "--help" : argv[*at], &f));
    const sl_option *option = sl_option_get(f.id);
    SL_TRY(check_group(option, groups));
    ++*at;
    if (option->kind == SL_OPTION_BOOL && !f.value)
        f.value = f.negated ? "false" : "true";
    if (!f.value && *at == argc)
        return sl_fail(SL_ERR_INVALID, "flag --%s needs a value", option->name);
    if (!f.value)
        f.value = argv[(*at)++];
    snprintf(origin, sizeof origin, "flag --%s", option->name);
    return sl_config_apply(config, f.id, SL_CONFIG_FLAG, origin, f.value);
}

static sl_err take_argument(sl_config *config, const char *groups, int argc, char **argv, int *at,
                            int *kept) {
    const char *argument = argv[*at];
    if (argument[0] != '-' || argument[1] == '\0') { /* "-" is standard input */
        argv[(*kept)++] = argv[(*at)++];
        return SL_OK;
    }
    if (argument[1] != '-' && strcmp(argument, "-h") != 0)
        return sl_fail(SL_ERR_INVALID, "unknown flag %.40s; flags begin with two dashes", argument);
    return take_flag(config, groups, argc, argv, at);
}

sl_err sl_config_parse_args(sl_config *config, const char *groups, int *argc, char **argv) {
    int at = 1, kept = *argc > 0;
    while (at < *argc && strcmp(argv[at], "--") != 0)
        SL_TRY(take_argument(config, groups, *argc, argv, &at, &kept));
    for (at++; at < *argc; at++)
        argv[kept++] = argv[at];
    argv[kept] = NULL;
    *argc = kept;
    return SL_OK;
}
