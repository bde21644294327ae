/* What lies in the file of API keys: lines of words.
 *
 *   starlane api keys 1
 *   key ID HASH PROJECT SCOPES CREATED EXPIRES REVOKED
 *   quota PROJECT UCU_S TASKS BYTES OUTPUT
 *
 * Of a quota that was written before there was OUTPUT, it is not there: no bound. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "actors/gateway/key_store.h"
#include "runtime/strbuf.h"

#define FIRST "starlane api keys 1"

enum { WORDS_MOST = 8, LINE_MOST = 512 };

static const char *const scope_names[] = {"submit", "read", "admin", "command", "module"};
enum { SCOPES = sizeof scope_names / sizeof *scope_names };
_Static_assert(SL_SCOPES_ALL == (1 << SCOPES) - 1, "each scope has a name");

sl_err sl_scopes_parse(const char *text, uint32_t *scopes) {
    uint32_t found = 0;
    for (const char *at = text;; at++) {
        size_t length = strcspn(at, ","), i = 0;
        while (i < SCOPES &&
               (strlen(scope_names[i]) != length || memcmp(at, scope_names[i], length) != 0))
            i++;
        if (i == SCOPES)
            return sl_fail(SL_ERR_INVALID,
                           "'%.*s' is no scope: submit, read, admin, command and module are",
                           (int)(length < 40 ? length : 40), at);
        found |= 1u << i;
        at += length;
        if (!*at)
            break;
    }
    *scopes = found;
    return SL_OK;
}

void sl_scopes_print(uint32_t scopes, char text[SL_SCOPES_BYTES]) {
    *text = '\0';
    for (size_t i = 0; i < SCOPES; i++)
        if (scopes & 1u << i) {
            strcat(text, *text ? "," : "");
            strcat(text, scope_names[i]);
        }
}

bool sl_project_is_valid(const char *name) {
    size_t length = strlen(name);
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr("_-.", name[i]))
            return false;
    return length >= 1 && length < SL_PROJECT_BYTES;
}

void sl_key_list_print(const sl_key_list *list, sl_strbuf *out) {
    char scopes[SL_SCOPES_BYTES];
    sl_strbuf_append(out, FIRST "\n");
    for (size_t i = 0; i < list->count; i++) {
        const sl_api_key *key = &list->keys[i];
        sl_scopes_print(key->scopes, scopes);
        sl_strbuf_printf(out, "key %s ", key->id);
        for (int b = 0; b < SL_KEY_HASH_BYTES; b++)
            sl_strbuf_printf(out, "%02x", key->hash[b]);
        sl_strbuf_printf(out, " %s %s %llu %llu %llu\n", key->project, scopes,
                         (unsigned long long)key->created_s, (unsigned long long)key->expires_s,
                         (unsigned long long)key->revoked_s);
    }
    for (size_t i = 0; i < list->quota_count; i++)
        sl_strbuf_printf(out, "quota %s %.17g %llu %llu %llu\n", list->quotas[i].project,
                         list->quotas[i].ucu_s, (unsigned long long)list->quotas[i].tasks,
                         (unsigned long long)list->quotas[i].payload_bytes,
                         (unsigned long long)list->quotas[i].output_bytes);
}

void sl_key_list_fini(sl_key_list *list) {
    free(list->keys);
    free(list->quotas);
    *list = (sl_key_list){};
}

/* ---- reading ---- */

static bool hex(const char *word, size_t digits) {
    return strlen(word) == digits && strspn(word, "0123456789abcdef") == digits;
}

static bool number(const char *word, uint64_t *value) {
    char *end;
    errno = 0;
    *value = strtoull(word, &end, 10);
    return isdigit((unsigned char)word[0]) && !*end && errno == 0;
}

static bool amount(const char *word, double *value) {
    char *end;
    *value = strtod(word, &end);
    return end != word && !*end && isfinite(*value) && *value >= 0;
}

static int digit(char c) {
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

static bool read_key(char **words, sl_api_key *key) {
    *key = (sl_api_key){};
    if (!hex(words[1], SL_KEY_NAME_BYTES - 1) || !hex(words[2], 2 * SL_KEY_HASH_BYTES) ||
        !sl_project_is_valid(words[3]) || sl_scopes_parse(words[4], &key->scopes) != SL_OK ||
        !number(words[5], &key->created_s) || !number(words[6], &key->expires_s) ||
        !number(words[7], &key->revoked_s))
        return false;
    strcpy(key->id, words[1]);
    strcpy(key->project, words[3]);
    for (int i = 0; i < SL_KEY_HASH_BYTES; i++)
        key->hash[i] = (uint8_t)(16 * digit(words[2][2 * i]) + digit(words[2][2 * i + 1]));
    return true;
}

static bool read_quota(char **words, size_t count, sl_quota *quota) {
    *quota = (sl_quota){};
    if (!sl_project_is_valid(words[1]) || !amount(words[2], &quota->ucu_s) ||
        !number(words[3], &quota->tasks) || !number(words[4], &quota->payload_bytes) ||
        (count == 6 && !number(words[5], &quota->output_bytes)))
        return false;
    strcpy(quota->project, words[1]);
    return true;
}

static size_t split(char *line, char **words) {
    size_t count = 0;
    for (char *word = strtok_r(line, " ", &line); word; word = strtok_r(NULL, " ", &line)) {
        if (count == WORDS_MOST)
            return 0;
        words[count++] = word;
    }
    return count;
}

static bool read_line(char *line, sl_key_list *list) {
    char *words[WORDS_MOST];
    size_t count = split(line, words);
    if (count == 8 && strcmp(words[0], "key") == 0 && list->count < SL_KEYS_MOST)
        return read_key(words, &list->keys[list->count]) && ++list->count;
    if ((count == 5 || count == 6) && strcmp(words[0], "quota") == 0 &&
        list->quota_count < SL_KEYS_MOST)
        return read_quota(words, count, &list->quotas[list->quota_count]) && ++list->quota_count;
    return false;
}

static sl_err read_lines(const char *text, size_t bytes, sl_key_list *list) {
    char line[LINE_MOST];
    const char *end = text + bytes;
    for (size_t n = 1; text < end; n++) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        size_t length = stop ? (size_t)(stop - text) : LINE_MOST;
        if (length >= LINE_MOST || memchr(text, '\0', length))
            return sl_fail(SL_ERR_DECODE, "line %zu is no line of API keys", n);
        memcpy(line, text, length);
        line[length] = '\0';
        if (n == 1 ? strcmp(line, FIRST) != 0 : !read_line(line, list))
            return sl_fail(SL_ERR_DECODE, "line %zu is no line of API keys", n);
        text = stop + 1;
    }
    return SL_OK;
}

static size_t count_lines(const char *text, size_t bytes) {
    size_t count = 0;
    for (size_t i = 0; i < bytes; i++)
        count += text[i] == '\n';
    return count;
}

sl_err sl_key_list_parse(const char *text, size_t bytes, sl_key_list *out) {
    size_t most = count_lines(text, bytes);
    if (!most || most > 2 * SL_KEYS_MOST)
        return sl_fail(SL_ERR_DECODE, "%zu lines are no file of API keys", most);
    sl_key_list list = {.keys = calloc(most, sizeof *list.keys),
                        .quotas = calloc(most, sizeof *list.quotas)};
    sl_err err = list.keys && list.quotas ? read_lines(text, bytes, &list)
                                          : sl_fail(SL_ERR_NO_MEMORY, "no memory for API keys");
    if (err != SL_OK) {
        sl_key_list_fini(&list);
        return err;
    }
    *out = list;
    return SL_OK;
}
