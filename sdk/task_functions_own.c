/* Functions that every rank has: to try things out, and for tests. */
#include "sdk/task_functions.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/clock.h"

static sl_err echo(const void *args, size_t bytes, sl_task_output *output, void *user) {
    (void)user;
    return sl_task_output_write(output, args, bytes);
}

static sl_err fail(const void *args, size_t bytes, sl_task_output *output, void *user) {
    (void)output, (void)user;
    return sl_fail(SL_ERR_FAILED, "%.*s", (int)(bytes < 500 ? bytes : 500),
                   bytes ? (const char *)args : "");
}

static sl_err pause_for(const void *args, size_t bytes, sl_task_output *output, void *user) {
    char text[32], *end;
    (void)output, (void)user;
    size_t kept = bytes < sizeof text - 1 ? bytes : sizeof text - 1;
    if (kept)
        memcpy(text, args, kept);
    text[kept] = '\0';
    double seconds = strtod(text, &end);
    if (end == text || *end || kept < bytes || !(seconds >= 0 && seconds <= 86400))
        return sl_fail(SL_ERR_INVALID, "\"%s\" is no number of seconds from 0 to 86400", text);
    sl_clock_real.sleep_ns(&sl_clock_real, (uint64_t)(seconds * 1e9));
    return SL_OK;
}

/* CRC-32 as of IEEE 802.3 (reflected polynomial 0xEDB88320), eight hexadecimal digits. */
static sl_err crc32(const void *args, size_t bytes, sl_task_output *output, void *user) {
    const unsigned char *byte = args;
    uint32_t crc = UINT32_MAX;
    char text[10];
    (void)user;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= byte[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    int length = snprintf(text, sizeof text, "%08x\n", ~crc);
    return sl_task_output_write(output, text, (size_t)length);
}

sl_sealed_place *sl_task_functions_sealed(void) {
    static sl_sealed_place place;
    return &place;
}

sl_err sl_task_functions_own(sl_functions *functions) {
    SL_TRY(sl_functions_register(functions, "starlane.echo", echo, NULL));
    SL_TRY(sl_functions_register(functions, "starlane.fail", fail, NULL));
    SL_TRY(sl_functions_register(functions, "starlane.sleep", pause_for, NULL));
    SL_TRY(sl_sealed_register(functions, sl_task_functions_sealed()));
    return sl_functions_register(functions, "starlane.crc32", crc32, NULL);
}
