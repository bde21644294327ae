/* The file of API keys with any content (its checksum is beside the point here): what is read is
 * what is written again. */
#include <stdlib.h>
#include <string.h>

#include "actors/gateway/key_store.h"
#include "runtime/strbuf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int truth) {
    if (!truth)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    sl_key_list list, again;
    sl_strbuf text, twice;
    if (sl_key_list_parse((const char *)data, size, &list) != SL_OK)
        return 0;
    sl_strbuf_init(&text, 1 << 22);
    sl_strbuf_init(&twice, 1 << 22);
    sl_key_list_print(&list, &text);
    require(sl_strbuf_err(&text) == SL_OK);
    require(sl_key_list_parse(text.data, text.length, &again) == SL_OK);
    require(again.count == list.count && again.quota_count == list.quota_count);
    sl_key_list_print(&again, &twice);
    require(sl_strbuf_err(&twice) == SL_OK && strcmp(text.data, twice.data) == 0);
    sl_key_list_fini(&list);
    sl_key_list_fini(&again);
    sl_strbuf_fini(&text);
    sl_strbuf_fini(&twice);
    return 0;
}
