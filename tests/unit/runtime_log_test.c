#include "runtime/log.h"
#include "tests/lib/test.h"

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <regex.h>

static char *text;
static size_t text_size;
static FILE *stream;

static void open_log(sl_log_level level, sl_log_format format) {
    stream = open_memstream(&text, &text_size);
    sl_log_configure(&(sl_log_options){.stream = stream, .level = level, .format = format});
    sl_log_set_node(-1);
}

static void close_log(void) {
    sl_log_configure(&(sl_log_options){.stream = NULL});
    fclose(stream);
    free(text);
    text = NULL;
}

static bool matches(const char *pattern) {
    regex_t regex;
    if (regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        return false;
    bool found = text && regexec(&regex, text, 0, NULL, 0) == 0;
    regfree(&regex);
    return found;
}

TEST(silent_until_configured) {
    CHECK(!sl_log_enabled(SL_LOG_ERROR));
    sl_error("node", "nobody hears this");
}

TEST(a_human_line) {
    open_log(SL_LOG_INFO, SL_LOG_HUMAN);
    sl_log_set_node(3);
    sl_warn("scheduler", "queue full, limit %d", 10);
    CHECK(matches("^[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\\.[0-9]{3} warn  \\[3\\] scheduler: "
                  "queue full, limit 10\n$"));
    close_log();
}

TEST(a_line_before_there_is_a_node) {
    open_log(SL_LOG_INFO, SL_LOG_HUMAN);
    sl_error("launch", "x");
    CHECK(matches(" error \\[-\\] launch: x\n$"));
    close_log();
}

TEST(levels_filter) {
    open_log(SL_LOG_WARN, SL_LOG_HUMAN);
    sl_info("node", "not this");
    sl_debug("node", "nor this");
    sl_log_write(SL_LOG_TRACE, "node", "nor this");
    fflush(stream);
    CHECK_INT(text_size, 0);
    sl_error("node", "this");
    CHECK_CONTAINS(text, "this");
    close_log();
}

TEST(hostile_text_cannot_forge_a_line) {
    open_log(SL_LOG_INFO, SL_LOG_HUMAN);
    sl_info("node", "name %s", "a\n12:00:00.000 error [0] node: forged\x1b[2J");
    CHECK_CONTAINS(text, "a\\x0a12:00");
    CHECK_CONTAINS(text, "\\x1b[2J");
    CHECK(strchr(text, '\n') == text + text_size - 1);
    close_log();
}

TEST(a_json_line_parses_and_keeps_every_byte) {
    open_log(SL_LOG_INFO, SL_LOG_JSON);
    sl_log_set_node(12);
    sl_info("store", "file \"a\\b\"\n\ttab %s", "\x01 ü");
    json_error_t error;
    json_t *line = json_loads(text, 0, &error);
    REQUIRE(line != NULL);
    CHECK_STR(json_string_value(json_object_get(line, "level")), "info");
    CHECK_INT(json_integer_value(json_object_get(line, "node")), 12);
    CHECK_STR(json_string_value(json_object_get(line, "component")), "store");
    CHECK_STR(json_string_value(json_object_get(line, "message")), "file \"a\\b\"\n\ttab \x01 ü");
    CHECK(matches("\"ts\":\"20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-9:]{8}\\.[0-9]{6}Z\""));
    json_decref(line);
    close_log();
}

/* The worst case: a message over the bound, of bytes that escape to six each. */
TEST(a_long_message_is_cut_and_the_line_stays_whole) {
    static char message[10000];
    memset(message, '\x02', sizeof message - 1);
    open_log(SL_LOG_INFO, SL_LOG_JSON);
    sl_info("node", "%s", message);
    json_error_t error;
    json_t *line = json_loads(text, 0, &error);
    REQUIRE(line != NULL);
    const char *kept = json_string_value(json_object_get(line, "message"));
    CHECK_INT(strlen(kept), 2047);
    CHECK_STR(kept + 2044, "...");
    CHECK_INT(text[text_size - 1], '\n');
    json_decref(line);
    close_log();
}

TEST(errno_survives) {
    open_log(SL_LOG_INFO, SL_LOG_HUMAN);
    errno = ENOSPC;
    sl_info("node", "x");
    CHECK_INT(errno, ENOSPC);
    close_log();
}

TEST(level_words) {
    sl_log_level level = SL_LOG_INFO;
    CHECK_INT(sl_log_level_parse("trace", &level), SL_OK);
    CHECK_INT(level, SL_LOG_TRACE);
    CHECK_INT(sl_log_level_parse("loud", &level), SL_ERR_INVALID);
    CHECK_INT(level, SL_LOG_TRACE);
    CHECK_CONTAINS(sl_err_detail(), "error, warn, info, debug, trace");
}

enum { THREADS = 4, LINES = 500 };

static void *shout(void *argument) {
    sl_log_set_node(*(int *)argument);
    for (int i = 0; i < LINES; i++)
        sl_info("node", "line %d of %d", i, *(int *)argument);
    return NULL;
}

TEST(threads_do_not_mix_their_lines) {
    pthread_t threads[THREADS];
    int ids[THREADS], next[THREADS] = {0}, lines = 0;
    open_log(SL_LOG_INFO, SL_LOG_JSON);
    for (int i = 0; i < THREADS; i++) {
        ids[i] = i;
        REQUIRE(pthread_create(&threads[i], NULL, shout, &ids[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) && *line; lines++) {
        int node, number, owner;
        const char *from = strstr(line, "\"node\":"), *message = strstr(line, "line ");
        REQUIRE(from && message && line[strlen(line) - 1] == '}');
        REQUIRE(sscanf(from, "\"node\":%d,", &node) == 1);
        REQUIRE(sscanf(message, "line %d of %d", &number, &owner) == 2);
        REQUIRE(node >= 0 && node < THREADS);
        CHECK_INT(owner, node);
        CHECK_INT(number, next[node]++);
    }
    CHECK_INT(lines, THREADS * LINES);
    close_log();
}
