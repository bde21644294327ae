#include "sdk/launch_state.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/lib/test.h"

static sl_launch_news parse(const char *text) {
    sl_launch_news news;
    sl_launch_news_parse(text, &news);
    return news;
}

TEST(nothing) {
    sl_launch_news news = parse("");
    CHECK_INT(news.runs, 0);
    CHECK(!news.closed && !news.ended && !news.left && !news.alone);
}

TEST(a_run) {
    sl_launch_news news = parse("run /a b\n");
    CHECK_INT(news.runs, 1);
    CHECK_STR(news.directory, "/a b");
    CHECK(!news.closed && !news.ended);
    news = parse("run /a\nend 75 whole\n");
    CHECK(news.closed && news.ended && !news.lost);
    CHECK_INT(news.code, 75);
    news = parse("run /a\nend 0 lost\nexit 0\n");
    CHECK(news.ended && news.lost && news.left);
    CHECK_INT(news.code, 0);
    news = parse("run /a\nalone\nalone\n");
    CHECK(news.alone == 2 && !news.closed);
    CHECK_INT(parse("alone\n").alone, 0);
    CHECK(parse("run /a\ngone\n").gone && parse("run /a\ngone\n").alone == 1);
    CHECK(!parse("gone\n").gone && !parse("run /a\nalone\n").gone);
    CHECK(!parse("run /a\ngone\nrun /b\n").gone);
    CHECK_INT(parse("alone\nrun /a\n").alone, 0);
    news = parse("run /a\nclosed 0\nrun /b\n");
    CHECK_INT(news.runs, 2);
    CHECK(!news.closed);
    CHECK_STR(news.directory, "/b");
}

TEST(no_run) {
    sl_launch_news news = parse("exit 2\n");
    CHECK(news.left && !news.ended);
    CHECK_INT(news.code, 2);
}

/* A line that is still being written counts for nothing, nor does one that nobody writes. */
TEST(other_lines) {
    CHECK(!parse("run /a\nend 0 whole").ended);
    CHECK(!parse("end 300 whole\n").ended);
    CHECK(!parse("end -1 whole\n").ended);
    CHECK(!parse("end\n").ended);
    CHECK_INT(parse("run relative\n").runs, 0);
    char *longest = malloc(9000);
    REQUIRE(longest != NULL);
    memset(longest, 'x', 9000);
    memcpy(longest, "run /", 5);
    strcpy(longest + 8980, "\nclosed 3\n");
    CHECK_INT(parse(longest).runs, 0);
    CHECK(parse(longest).closed);
    CHECK_INT(parse(longest).code, 3);
    free(longest);
}

TEST(told_and_read) {
    char folder[] = "/tmp/starlane-state-XXXXXX", path[64], word[80];
    sl_launch_news news = {.code = -1};
    REQUIRE(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/state", folder);
    snprintf(word, sizeof word, "%s" SL_LAUNCH_INTERRUPT, path);
    CHECK(!sl_launch_here());
    sl_launch_tell_run("/nobody/hears");
    CHECK(!sl_launch_news_read(path, &news));
    fclose(fopen(path, "w"));
    setenv(SL_LAUNCH_STATE, path, 1);
    setenv(SL_LAUNCH_RESTART, "/earlier", 1);
    CHECK(sl_launch_restart() == NULL);
    sl_launch_take();
    CHECK(getenv(SL_LAUNCH_STATE) == NULL && getenv(SL_LAUNCH_RESTART) == NULL);
    CHECK(sl_launch_here());
    CHECK_STR(sl_launch_restart(), "/earlier");
    sl_launch_tell_run("/one");
    sl_launch_tell_end(3, true);
    REQUIRE(sl_launch_news_read(path, &news));
    CHECK_STR(news.directory, "/one");
    CHECK(news.ended && news.lost);
    CHECK_INT(news.code, 3);
    CHECK_INT(sl_launch_signal(SIGUSR2), SIGUSR2);
    fclose(fopen(word, "w"));
    CHECK_INT(sl_launch_signal(SIGUSR2), SIGINT);
    CHECK_INT(sl_launch_signal(SIGTERM), SIGINT);
    unlink(word);
    unlink(path);
    rmdir(folder);
}
