/* The file by which ranks tell launch how the run goes, of any bytes. */
#include <stdlib.h>
#include <string.h>

#include "sdk/launch_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    sl_launch_news news;
    char *text = strndup((const char *)data, size);
    require(text != NULL);
    sl_launch_news_parse(text, &news);
    require(memchr(news.directory, '\0', sizeof news.directory) != NULL);
    require(news.code >= -1 && news.code <= 255);
    require((news.runs > 0) == (news.directory[0] == '/'));
    require(!news.ended || news.closed);
    require(!(news.ended || news.left) || news.code >= 0);
    free(text);
    return 0;
}
