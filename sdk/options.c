#include "sdk/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/log.h"

#define TEXT_LIMIT_BYTES ((size_t)1 << 20)

int sl_options_create(sl_options **out) {
    sl_options *options = calloc(1, sizeof *options);
    if (!options)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for options");
    sl_err err = sl_config_create(&options->config);
    if (err != SL_OK) {
        free(options);
        return err;
    }
    *out = options;
    return SL_OK;
}

void sl_options_destroy(sl_options *options) {
    if (options)
        sl_config_destroy(options->config);
    free(options);
}

int sl_options_load(sl_options *options, const char *groups, int *argc, char **argv) {
    return sl_config_load(options->config, groups, argc, argv, environ);
}

int sl_options_load_file(sl_options *options, const char *path) {
    return sl_config_load_file(options->config, path);
}

static sl_err find(const char *name, sl_opt *id) {
    if (sl_option_find(name, strlen(name), id))
        return SL_OK;
    const char *nearest = sl_option_nearest(name);
    return sl_fail(SL_ERR_NOT_FOUND, "there is no option %.80s%s%s%s", name,
                   nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}

int sl_options_set(sl_options *options, const char *name, const char *value) {
    sl_opt id;
    SL_TRY(find(name, &id));
    return sl_config_set(options->config, id, value);
}

const char *sl_options_get(const sl_options *options, const char *name) {
    sl_opt id;
    return find(name, &id) == SL_OK ? sl_config_text(options->config, id) : NULL;
}

double sl_options_number(const sl_options *options, const char *name) {
    sl_opt id;
    if (find(name, &id) != SL_OK || !sl_config_is_set(options->config, id))
        return 0;
    switch (sl_option_get(id)->kind) {
    case SL_OPTION_INT:
        return (double)sl_config_int(options->config, id);
    case SL_OPTION_DOUBLE:
        return sl_config_double(options->config, id);
    case SL_OPTION_DURATION:
        return (double)sl_config_duration_ns(options->config, id) / 1e9;
    case SL_OPTION_BYTES:
        return (double)sl_config_bytes(options->config, id);
    default:
        return 0;
    }
}

int sl_options_is_set(const sl_options *options, const char *name) {
    sl_opt id;
    return find(name, &id) == SL_OK && sl_config_is_set(options->config, id) &&
           strcmp(sl_config_origin(options->config, id), "default") != 0;
}

int sl_options_is_on(const sl_options *options, const char *name) {
    sl_opt id;
    return find(name, &id) == SL_OK && sl_option_get(id)->kind == SL_OPTION_BOOL &&
           sl_config_bool(options->config, id);
}

const char *sl_options_warnings(const sl_options *options) {
    return sl_config_warnings(options->config);
}

char *sl_options_print(const sl_options *options, int json) {
    sl_strbuf text;
    sl_strbuf_init(&text, TEXT_LIMIT_BYTES);
    if (json)
        sl_config_json(options->config, &text);
    else
        sl_config_print(options->config, &text);
    return sl_strbuf_take(&text);
}

char *sl_options_help(const char *groups) {
    char all[256];
    sl_strbuf text;
    sl_strbuf_init(&text, TEXT_LIMIT_BYTES);
    snprintf(all, sizeof all, "%s common", groups);
    sl_config_help(all, &text);
    return sl_strbuf_take(&text);
}

char *sl_options_man(void) {
    sl_strbuf text;
    sl_strbuf_init(&text, TEXT_LIMIT_BYTES);
    sl_config_man(&text);
    return sl_strbuf_take(&text);
}

char *sl_options_markdown(void) {
    sl_strbuf text;
    sl_strbuf_init(&text, TEXT_LIMIT_BYTES);
    sl_config_markdown(&text);
    return sl_strbuf_take(&text);
}

void sl_options_start_log(const sl_options *options) {
    sl_log_options log = {
        .stream = stderr,
        .level = (sl_log_level)sl_config_enum(options->config, SL_OPT_LOG_LEVEL),
        .format = (sl_log_format)sl_config_enum(options->config, SL_OPT_LOG_FORMAT),
    };
    sl_log_configure(&log);
}
