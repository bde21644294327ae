#include "runtime/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    const char *text;
    bool retryable;
} errors[SL_ERR_COUNT] = {
#define SL_ERR(name, text, retryable) {#name, text, retryable},
#include "runtime/err.def"
#undef SL_ERR
};

static _Thread_local char detail[SL_ERR_DETAIL_BYTES];

static bool in_range(sl_err err) {
    return (unsigned)err < SL_ERR_COUNT;
}

const char *sl_err_text(sl_err err) {
    return in_range(err) ? errors[err].text : "unknown error";
}

const char *sl_err_name(sl_err err) {
    return in_range(err) ? errors[err].name : "UNKNOWN";
}

bool sl_err_retryable(sl_err err) {
    return in_range(err) && errors[err].retryable;
}

sl_err(sl_fail)(sl_err err, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    /* Not into `detail` itself: a caller may pass the cause on as an argument. */
    char text[sizeof detail];
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    memcpy(detail, text, strlen(text) + 1);
    return err;
}

void sl_err_clear(void) {
    detail[0] = '\0';
}

void sl_err_swap(char other[SL_ERR_DETAIL_BYTES]) {
    char text[sizeof detail];
    if (!detail[0] && !other[0])
        return;
    memcpy(text, detail, strlen(detail) + 1);
    memcpy(detail, other, strlen(other) + 1);
    memcpy(other, text, strlen(text) + 1);
}

const char *sl_err_detail(void) {
    return detail;
}
