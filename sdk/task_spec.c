#include "sdk/task_spec.h"

#include <string.h>

void sl_task_spec_init(sl_task_spec *spec) {
    memset(spec, 0, sizeof *spec);
    spec->cpus = 1;
    spec->group = SL_TASK_NO_GROUP;
}

sl_err sl_task_name_check(const char *name, size_t length) {
    if (length == 0)
        return sl_fail(SL_ERR_INVALID, "it is empty; a name has 1 to %d bytes", SL_TASK_NAME_MAX);
    if (length > SL_TASK_NAME_MAX)
        return sl_fail(SL_ERR_INVALID, "it has %zu bytes; a name has at most %d", length,
                       SL_TASK_NAME_MAX);
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return sl_fail(SL_ERR_INVALID, "it is \"%s\"; a name must be usable as a file name", name);
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)name[i];
        if (c == '/')
            return sl_fail(SL_ERR_INVALID,
                           "it contains '/'; a name becomes a file name, so '/' is not allowed");
        if (c < 0x20 || c == 0x7f)
            return sl_fail(SL_ERR_INVALID,
                           "it contains the control character 0x%02x; printable text is allowed",
                           c);
    }
    return SL_OK;
}

static bool shell_plain(const char *text) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-./:,+@%";
    return *text != '\0' && text[strspn(text, plain)] == '\0';
}

void sl_shell_quote(sl_strbuf *out, const char *text) {
    if (shell_plain(text)) {
        sl_strbuf_append(out, text);
        return;
    }
    sl_strbuf_append_char(out, '\'');
    for (const char *rest = text; *rest != '\0';) {
        size_t run = strcspn(rest, "'");
        sl_strbuf_append_bytes(out, rest, run);
        rest += run;
        if (*rest == '\'') {
            sl_strbuf_append(out, "'\\''");
            rest++;
        }
    }
    sl_strbuf_append_char(out, '\'');
}

void sl_task_spec_command_text(const sl_task_spec *spec, sl_strbuf *out) {
    switch ((sl_task_form)spec->kind) {
    case SL_FORM_SHELL:
        sl_strbuf_append(out, spec->shell);
        break;
    case SL_FORM_FUNCTION:
        sl_strbuf_printf(out, "%s(%s)", spec->function, spec->args ? spec->args : "");
        break;
    case SL_FORM_COMMAND:
        for (uint32_t i = 0; i < spec->argc; i++) {
            if (i > 0)
                sl_strbuf_append_char(out, ' ');
            sl_shell_quote(out, spec->argv[i]);
        }
        break;
    }
}
