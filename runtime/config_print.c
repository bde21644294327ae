/* Everything that is printed from the table of options: what is in force, --help, and the
 * documentation. */
#include <string.h>

#include "runtime/config_private.h"

enum { HELP_COLUMN = 30, HELP_WIDTH = 80 };

static const char *shown_text(const sl_config_value *value) {
    return value->text[0] ? value->text : "-";
}

void sl_config_print(const sl_config *config, sl_strbuf *out) {
    size_t width = strlen("VALUE");
    for (int i = 0; i < SL_OPT_COUNT; i++)
        if (strlen(config->values[i].text) > width)
            width = strlen(config->values[i].text);
    int column = width > 40 ? 40 : (int)width;
    sl_strbuf_printf(out, "%-20s %-*s %s\n", "OPTION", column, "VALUE", "FROM");
    for (int i = 0; i < SL_OPT_COUNT; i++)
        sl_strbuf_printf(out, "%-20s %-*s %s\n", sl_option_get((sl_opt)i)->name, column,
                         shown_text(&config->values[i]), config->values[i].origin);
}

/* Nanoseconds in the option's own unit. */
static double in_unit(const sl_option *option, uint64_t amount_ns) {
    sl_option_value one = {.amount = 1};
    sl_option any = *option;
    any.min = 0, any.max = 1e18;
    sl_option_parse(&any, "1", &one); /* a bare 1 is one unit */
    return (double)amount_ns / (double)one.amount;
}

static void json_value(const sl_option *option, const sl_config_value *value, sl_strbuf *out) {
    if (!value->text[0]) {
        sl_strbuf_append(out, "null");
        return;
    }
    switch (option->kind) {
    case SL_OPTION_BOOL:
        sl_strbuf_append(out, value->value.flag ? "true" : "false");
        break;
    case SL_OPTION_INT:
        sl_strbuf_printf(out, "%lld", (long long)value->value.integer);
        break;
    case SL_OPTION_DOUBLE:
        sl_strbuf_json_double(out, value->value.real);
        break;
    case SL_OPTION_DURATION:
    case SL_OPTION_BYTES:
        sl_strbuf_json_double(out, in_unit(option, value->value.amount));
        break;
    case SL_OPTION_STRING:
    case SL_OPTION_PATH:
    case SL_OPTION_ENUM:
        sl_strbuf_json(out, value->text);
        break;
    }
}

void sl_config_json(const sl_config *config, sl_strbuf *out) {
    static const char *const sources[] = {"default", "file", "environment", "program", "flag"};
    sl_strbuf_append(out, "{");
    for (int i = 0; i < SL_OPT_COUNT; i++) {
        const sl_option *option = sl_option_get((sl_opt)i);
        const sl_config_value *value = &config->values[i];
        sl_strbuf_printf(out, "%s\n  ", i ? "," : "");
        sl_strbuf_json(out, option->name);
        sl_strbuf_append(out, ": {\"value\": ");
        json_value(option, value, out);
        sl_strbuf_append(out, ", \"unit\": ");
        sl_strbuf_json(out, option->kind == SL_OPTION_ENUM ? "" : option->unit);
        sl_strbuf_printf(out, ", \"source\": \"%s\", \"origin\": ", sources[value->source]);
        sl_strbuf_json(out, value->origin);
        sl_strbuf_append(out, "}");
    }
    sl_strbuf_append(out, "\n}\n");
}

/* What stands for the value in a synopsis; "" for a switch. */
static const char *placeholder(const sl_option *option) {
    static const char *const words[] = {
        [SL_OPTION_BOOL] = "",         [SL_OPTION_INT] = "N",     [SL_OPTION_DOUBLE] = "X",
        [SL_OPTION_STRING] = "TEXT",   [SL_OPTION_PATH] = "PATH", [SL_OPTION_ENUM] = "WORD",
        [SL_OPTION_DURATION] = "TIME", [SL_OPTION_BYTES] = "SIZE"};
    return words[option->kind];
}

/* "--nodes N", or "--no-bind" for a switch that is on. */
static void append_flag(const sl_option *option, sl_strbuf *out) {
    bool on = option->kind == SL_OPTION_BOOL && strcmp(option->initial, "true") == 0;
    sl_strbuf_printf(out, "--%s%s%s%s", on ? "[no-]" : "", option->name,
                     placeholder(option)[0] ? " " : "", placeholder(option));
}

/* The help with what follows from the row: "how a node is … (random, least-loaded, …; default:
 * random)". */
static void append_explanation(const sl_option *option, sl_strbuf *out) {
    bool words = option->kind == SL_OPTION_ENUM, known = option->initial[0] != '\0';
    sl_strbuf_append(out, option->help);
    if (option->kind == SL_OPTION_BOOL)
        known = strcmp(option->initial, "true") == 0;
    if (!words && !known)
        return;
    sl_strbuf_append(out, " (");
    if (words)
        sl_option_describe(option, out);
    sl_strbuf_append(out, words && known ? "; " : "");
    if (known)
        sl_strbuf_printf(out, "default %s", option->initial);
    if (known && option->kind == SL_OPTION_DURATION)
        sl_strbuf_append(out, strspn(option->initial, "0123456789.") == strlen(option->initial)
                                  ? option->unit
                                  : "");
    sl_strbuf_append(out, ")");
}

/* `text` word by word from `column` on, each line indented to HELP_COLUMN. */
static void wrap(const char *text, size_t column, sl_strbuf *out) {
    while (*text) {
        size_t length = strcspn(text, " ");
        if (column > HELP_COLUMN && column + 1 + length > HELP_WIDTH) {
            sl_strbuf_printf(out, "\n%*s", HELP_COLUMN, "");
            column = HELP_COLUMN;
        } else if (column > HELP_COLUMN) {
            sl_strbuf_append_char(out, ' ');
            column++;
        }
        sl_strbuf_append_bytes(out, text, length);
        column += length;
        text += length;
        text += strspn(text, " ");
    }
    sl_strbuf_append_char(out, '\n');
}

static void help_row(const sl_option *option, sl_strbuf *out) {
    char storage[512];
    sl_strbuf text;
    sl_strbuf_init_fixed(&text, storage, sizeof storage);
    sl_strbuf_append(&text, "  ");
    append_flag(option, &text);
    if (text.length < HELP_COLUMN)
        sl_strbuf_printf(out, "%-*s", HELP_COLUMN, text.data);
    else
        sl_strbuf_printf(out, "%s\n%*s", text.data, HELP_COLUMN, "");
    sl_strbuf_clear(&text);
    append_explanation(option, &text);
    wrap(text.data, HELP_COLUMN, out);
}

void sl_config_help(const char *groups, sl_strbuf *out) {
    for (int i = 0; i < SL_OPT_COUNT; i++)
        if (sl_option_in_groups(sl_option_get((sl_opt)i), groups))
            help_row(sl_option_get((sl_opt)i), out);
}

static void markdown_row(const sl_option *option, sl_strbuf *out) {
    char variable[SL_OPTION_NAME_BYTES];
    sl_option_environment(option, variable);
    sl_strbuf_append(out, "| `");
    append_flag(option, out);
    sl_strbuf_printf(out, "` | `%s` | ", variable);
    sl_option_describe(option, out);
    sl_strbuf_printf(out, " | %s | %s | %s |\n", option->initial[0] ? option->initial : "unset",
                     option->groups, option->help);
}

void sl_config_markdown(sl_strbuf *out) {
    size_t count;
    const sl_option_variable *variables = sl_option_variables(&count);
    sl_strbuf_append(
        out,
        "# Options\n\nMade from `runtime/options.def`. Flags beat environment variables, which "
        "beat the configuration file (`--config PATH`, lines of `name = value`), which beats "
        "the defaults. `starlane config` prints what is in force, and where it came from.\n\n"
        "| flag | environment | takes | default | for | |\n"
        "| --- | --- | --- | --- | --- | --- |\n");
    for (int i = 0; i < SL_OPT_COUNT; i++)
        markdown_row(sl_option_get((sl_opt)i), out);
    sl_strbuf_append(out, "\n## Other variables\n\n| environment | |\n| --- | --- |\n");
    for (size_t i = 0; i < count; i++)
        sl_strbuf_printf(out, "| `STARLANE_%s` | %s |\n", variables[i].name, variables[i].help);
}

/* Text for troff: a dash is a minus, and a line must not begin with a control character. */
static void append_roff(const char *text, sl_strbuf *out) {
    for (const char *c = text; *c; c++) {
        if (*c == '-')
            sl_strbuf_append(out, "\\-");
        else if (*c == '\\')
            sl_strbuf_append(out, "\\e");
        else if (c == text && (*c == '.' || *c == '\''))
            sl_strbuf_printf(out, "\\&%c", *c);
        else
            sl_strbuf_append_char(out, *c);
    }
}

static void man_row(const sl_option *option, sl_strbuf *out) {
    char storage[512], variable[SL_OPTION_NAME_BYTES];
    sl_strbuf text;
    sl_strbuf_init_fixed(&text, storage, sizeof storage);
    sl_option_environment(option, variable);
    append_flag(option, &text);
    sl_strbuf_append(out, ".TP\n.B ");
    append_roff(text.data, out);
    sl_strbuf_clear(&text);
    append_explanation(option, &text);
    sl_strbuf_append(out, "\n");
    append_roff(text.data, out);
    sl_strbuf_printf(out, ".\nEnvironment: %s.\n", variable);
}

void sl_config_man(sl_strbuf *out) {
    size_t count;
    const sl_option_variable *variables = sl_option_variables(&count);
    sl_strbuf_append(out, ".SH OPTIONS\n");
    for (int i = 0; i < SL_OPT_COUNT; i++)
        man_row(sl_option_get((sl_opt)i), out);
    sl_strbuf_append(out, ".SH ENVIRONMENT\nEvery option has a variable, named above. Besides:\n");
    for (size_t i = 0; i < count; i++) {
        sl_strbuf_printf(out, ".TP\n.B STARLANE_%s\n", variables[i].name);
        append_roff(variables[i].help, out);
        sl_strbuf_append(out, "\n");
    }
}
