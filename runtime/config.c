#include "runtime/config_private.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

sl_err sl_config_create(sl_config **config) {
    sl_config *self = calloc(1, sizeof *self);
    if (!self)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for the configuration");
    sl_strbuf_init(&self->warnings, 4096);
    for (int i = 0; i < SL_OPT_COUNT; i++) {
        const sl_option *option = sl_option_get((sl_opt)i);
        self->values[i].text = option->initial;
        self->values[i].origin = "default";
        if (option->initial[0] &&
            !sl_option_parse(option, option->initial, &self->values[i].value)) {
            sl_config_destroy(self);
            return sl_fail(SL_ERR_INTERNAL, "the default \"%s\" of %s does not fit the table",
                           option->initial, option->name);
        }
    }
    *config = self;
    return SL_OK;
}

static void drop_value(sl_config_value *value) {
    if (value->owned) {
        free((char *)value->text);
        free((char *)value->origin);
    }
}

void sl_config_destroy(sl_config *config) {
    if (!config)
        return;
    for (int i = 0; i < SL_OPT_COUNT; i++)
        drop_value(&config->values[i]);
    sl_strbuf_fini(&config->warnings);
    free(config);
}

/* Says what to write instead, in the words of the source. */
static void describe_fix(const sl_option *option, sl_config_source source, sl_strbuf *out) {
    char variable[SL_OPTION_NAME_BYTES];
    sl_option_environment(option, variable);
    if (source == SL_CONFIG_FLAG)
        sl_strbuf_printf(out, "--%s=", option->name);
    else if (source == SL_CONFIG_ENVIRONMENT)
        sl_strbuf_printf(out, "%s=", variable);
    else
        sl_strbuf_printf(out, "%s = ", option->name);
    sl_option_example(option, out);
    if (source == SL_CONFIG_ENVIRONMENT)
        sl_strbuf_append(out, ", or unset it");
}

static sl_err refuse(const sl_option *option, sl_config_source source, const char *origin,
                     const char *text) {
    char takes_storage[256], fix_storage[256];
    sl_strbuf takes, fix;
    sl_strbuf_init_fixed(&takes, takes_storage, sizeof takes_storage);
    sl_strbuf_init_fixed(&fix, fix_storage, sizeof fix_storage);
    sl_option_describe(option, &takes);
    describe_fix(option, source, &fix);
    bool named = source == SL_CONFIG_FLAG || source == SL_CONFIG_ENVIRONMENT;
    return sl_fail(SL_ERR_INVALID, "%s: %s%s\"%.80s\" is not %s; write for example %s", origin,
                   named ? "" : option->name, named ? "" : ": ", text, takes.data, fix.data);
}

sl_err sl_config_apply(sl_config *config, sl_opt id, sl_config_source source, const char *origin,
                       const char *text) {
    const sl_option *option = sl_option_get(id);
    sl_config_value next = {.source = source};
    if (!sl_option_parse(option, text, &next.value))
        return refuse(option, source, origin, text);
    if (source < config->values[id].source)
        return SL_OK;
    next.owned = true;
    next.text = strdup(text);
    next.origin = strdup(origin);
    if (!next.text || !next.origin) {
        drop_value(&next);
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for the value of %s", option->name);
    }
    drop_value(&config->values[id]);
    config->values[id] = next;
    return SL_OK;
}

sl_err sl_config_set(sl_config *config, sl_opt id, const char *text) {
    return sl_config_apply(config, id, SL_CONFIG_PROGRAM, "program", text);
}

/* "STARLANE_LOG_LEVEL" -> "log-level", cut to the size of a name. */
static void option_name(const char *variable, size_t length,
                        char name[static SL_OPTION_NAME_BYTES]) {
    size_t i, prefix = strlen("STARLANE_");
    for (i = 0; prefix + i < length && i < SL_OPTION_NAME_BYTES - 1; i++) {
        char c = variable[prefix + i];
        name[i] = c == '_' ? '-' : (char)tolower((unsigned char)c);
    }
    name[i] = '\0';
}

static bool find_variable(const char *variable, size_t length, sl_opt *id) {
    char name[SL_OPTION_NAME_BYTES];
    for (int i = 0; i < SL_OPT_COUNT; i++) {
        sl_option_environment(sl_option_get((sl_opt)i), name);
        if (strlen(name) == length && memcmp(name, variable, length) == 0) {
            *id = (sl_opt)i;
            return true;
        }
    }
    return false;
}

static void warn_unknown(sl_config *config, const char *variable, size_t length) {
    char name[SL_OPTION_NAME_BYTES], meant[SL_OPTION_NAME_BYTES];
    sl_opt id;
    option_name(variable, length, name);
    const char *nearest = sl_option_nearest(name);
    sl_strbuf_printf(&config->warnings, "environment %.*s names no option",
                     (int)(length < 80 ? length : 80), variable);
    if (nearest && sl_option_find(nearest, strlen(nearest), &id)) {
        sl_option_environment(sl_option_get(id), meant);
        sl_strbuf_printf(&config->warnings, "; did you mean %s?", meant);
    }
    sl_strbuf_append_char(&config->warnings, '\n');
}

static sl_err load_variable(sl_config *config, const char *entry) {
    const char *equals = strchr(entry, '=');
    size_t length = equals ? (size_t)(equals - entry) : 0;
    char origin[16 + SL_OPTION_NAME_BYTES];
    sl_opt id;
    if (!equals || strncmp(entry, "STARLANE_", 9) != 0)
        return SL_OK;
    if (find_variable(entry, length, &id)) {
        snprintf(origin, sizeof origin, "environment %.*s", (int)length, entry);
        return sl_config_apply(config, id, SL_CONFIG_ENVIRONMENT, origin, equals + 1);
    }
    if (!sl_option_is_variable(entry, length))
        warn_unknown(config, entry, length);
    return SL_OK;
}

sl_err sl_config_load_environment(sl_config *config, char *const *environment) {
    for (; *environment; environment++)
        SL_TRY(load_variable(config, *environment));
    return SL_OK;
}

sl_err sl_config_load(sl_config *config, const char *groups, int *argc, char **argv,
                      char *const *environment) {
    SL_TRY(sl_config_parse_args(config, groups, argc, argv));
    SL_TRY(sl_config_load_environment(config, environment));
    if (sl_config_is_set(config, SL_OPT_CONFIG))
        SL_TRY(sl_config_load_file(config, sl_config_text(config, SL_OPT_CONFIG)));
    return SL_OK;
}

const char *sl_config_warnings(const sl_config *config) {
    return config->warnings.data;
}

bool sl_config_is_set(const sl_config *config, sl_opt id) {
    return config->values[id].text[0] != '\0';
}

sl_config_source sl_config_source_of(const sl_config *config, sl_opt id) {
    return config->values[id].source;
}

const char *sl_config_origin(const sl_config *config, sl_opt id) {
    return config->values[id].origin;
}

const char *sl_config_text(const sl_config *config, sl_opt id) {
    return config->values[id].text;
}

static const sl_option_value *value_of(const sl_config *config, sl_opt id, sl_option_kind kind) {
    assert(sl_option_get(id)->kind == kind);
    (void)kind;
    return &config->values[id].value;
}

bool sl_config_bool(const sl_config *config, sl_opt id) {
    return value_of(config, id, SL_OPTION_BOOL)->flag;
}

int64_t sl_config_int(const sl_config *config, sl_opt id) {
    return value_of(config, id, SL_OPTION_INT)->integer;
}

double sl_config_double(const sl_config *config, sl_opt id) {
    return value_of(config, id, SL_OPTION_DOUBLE)->real;
}

uint64_t sl_config_duration_ns(const sl_config *config, sl_opt id) {
    return value_of(config, id, SL_OPTION_DURATION)->amount;
}

uint64_t sl_config_bytes(const sl_config *config, sl_opt id) {
    return value_of(config, id, SL_OPTION_BYTES)->amount;
}

int sl_config_enum(const sl_config *config, sl_opt id) {
    return (int)value_of(config, id, SL_OPTION_ENUM)->integer;
}
