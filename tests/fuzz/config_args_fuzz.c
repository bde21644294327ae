/* Flags and environment variables of any bytes: refused with a cause, or in force with a value that
 * the table takes. The input is strings with NULs between; the first byte says which of the two
 * they are. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Words that no option has are compared with all of them, which takes its time. */
enum { WORDS_MOST = 4, SIZE_MOST = 256 };

static void require(bool holds) {
    if (!holds)
        abort();
}

static void check(const sl_config *config) {
    for (int i = 0; i < SL_OPT_COUNT; i++) {
        sl_option_value value;
        const char *text = sl_config_text(config, (sl_opt)i);
        require(!text[0] || sl_option_parse(sl_option_get((sl_opt)i), text, &value));
        require(sl_config_origin(config, (sl_opt)i)[0]);
    }
}

static sl_err load(sl_config *config, bool flags, int count, char **words) {
    if (!flags)
        return sl_config_load_environment(config, words + 1);
    int left = count;
    sl_err err = sl_config_parse_args(config, "run network", &left, words);
    require(err != SL_OK || (left >= 1 && left <= count && words[left] == NULL));
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char program[] = "starlane", *words[WORDS_MOST + 2] = {program};
    int count = 1;
    sl_config *config;
    if (!size || size > SIZE_MOST)
        return 0;
    char *text = calloc(1, size);
    require(text != NULL && sl_config_create(&config) == SL_OK);
    memcpy(text, data + 1, size - 1);
    for (char *at = text; at < text + size - 1 && count <= WORDS_MOST; at += strlen(at) + 1)
        words[count++] = at;
    sl_err err = load(config, data[0] & 1, count, words);
    require(err == SL_OK || sl_err_detail()[0]);
    if (err == SL_OK)
        check(config);
    sl_config_destroy(config);
    free(text);
    return 0;
}
