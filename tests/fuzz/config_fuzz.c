/* A configuration file of any bytes: never a crash; either refused with a cause that fits in a
 * line, or what it set is shown and reads back. */
#include "runtime/config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SHOWN_ONE_IN = 16 }; /* all options at length: dearer than reading some */

static void show(const sl_config *config) {
    sl_strbuf out;
    sl_strbuf_init(&out, 8 << 20);
    sl_config_print(config, &out);
    sl_config_json(config, &out);
    if (sl_strbuf_err(&out) != SL_OK || strlen(out.data) != out.length)
        abort();
    sl_strbuf_fini(&out);
}

/* What is in force must be a value that the table takes. */
static void check(const sl_config *config) {
    for (int i = 0; i < SL_OPT_COUNT; i++) {
        sl_option_value value;
        const char *text = sl_config_text(config, (sl_opt)i);
        if (text[0] && !sl_option_parse(sl_option_get((sl_opt)i), text, &value))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    sl_config *config;
    if (sl_config_create(&config) != SL_OK)
        abort();
    sl_err err = sl_config_load_text(config, "fuzz.conf", (const char *)data, size);
    if (err != SL_OK && (sl_err_detail()[0] == '\0' || strchr(sl_err_detail(), '\n')))
        abort();
    if (err == SL_OK) {
        check(config);
        if (size % SHOWN_ONE_IN == 0)
            show(config);
    }
    sl_config_destroy(config);
    return 0;
}
