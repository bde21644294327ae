/* What `starlane key` does: API keys of a gateway. */
#include <string.h>
#include <time.h>

#include "runtime/clock.h"
#include "runtime/strbuf.h"
#include "sdk/key_text.h"
#include "starlane.h"

static uint64_t now_s(void) {
    return (uint64_t)sl_clock_wall_s();
}

int sl_api_key_create(const char *directory, const char *project, const char *scopes, double days,
                      char **key) {
    sl_key_store *store;
    uint32_t wanted;
    char text[SL_KEY_TEXT_BYTES];
    if (!(days >= 0 && days <= 36500))
        return sl_fail(SL_ERR_INVALID, "a key holds for 0 (for ever) to 36500 days");
    SL_TRY(sl_scopes_parse(scopes, &wanted));
    SL_TRY(sl_key_store_open(directory, &store));
    uint64_t until_s = days > 0 ? now_s() + (uint64_t)(days * 86400) + 1 : 0;
    sl_err err = sl_key_store_create(store, project, wanted, now_s(), until_s, text);
    sl_key_store_close(store);
    SL_TRY(err);
    *key = strdup(text);
    explicit_bzero(text, sizeof text);
    return *key ? SL_OK : sl_fail(SL_ERR_NO_MEMORY, "no memory for a key");
}

int sl_api_key_revoke(const char *directory, const char *id) {
    sl_key_store *store;
    SL_TRY(sl_key_store_open(directory, &store));
    sl_err err = sl_key_store_revoke(store, id, now_s());
    sl_key_store_close(store);
    return err;
}

int sl_api_quota(const char *directory, const char *project, double ucu_s, uint64_t tasks,
                 uint64_t bytes, uint64_t output_bytes) {
    sl_key_store *store;
    sl_quota quota = {
        .ucu_s = ucu_s, .tasks = tasks, .payload_bytes = bytes, .output_bytes = output_bytes};
    if (!sl_project_is_valid(project))
        return sl_fail(SL_ERR_INVALID, "'%.80s' is no name of a project", project);
    strcpy(quota.project, project);
    SL_TRY(sl_key_store_open(directory, &store));
    sl_err err = sl_key_store_set_quota(store, &quota);
    sl_key_store_close(store);
    return err;
}

/* ---- list ---- */

static const char *state_of(const sl_api_key *key) {
    return key->revoked_s                                ? "revoked"
           : key->expires_s && now_s() >= key->expires_s ? "expired"
                                                         : "holds";
}

static const char *date(uint64_t seconds, char text[32]) {
    time_t time = (time_t)seconds;
    struct tm parts;
    if (!seconds || !gmtime_r(&time, &parts) || !strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &parts))
        strcpy(text, "never");
    return text;
}

static void print_key(const sl_api_key *key, int json, sl_strbuf *out) {
    char scopes[SL_SCOPES_BYTES], created[32], expires[32];
    sl_scopes_print(key->scopes, scopes);
    date(key->created_s, created);
    date(key->expires_s, expires);
    if (json)
        sl_strbuf_printf(out,
                         "{\"id\":\"%s\",\"project\":\"%s\",\"scopes\":\"%s\",\"created\":\"%s\","
                         "\"expires\":\"%s\",\"state\":\"%s\"}",
                         key->id, key->project, scopes, created, expires, state_of(key));
    else
        sl_strbuf_printf(out, "%-16s  %-20s  %-32s  %-20s  %-20s  %s\n", key->id, key->project,
                         scopes, created, expires, state_of(key));
}

static void print_quota(const sl_quota *quota, int json, sl_strbuf *out) {
    sl_strbuf_printf(out,
                     json ? "{\"project\":\"%s\",\"ucu_s\":%.17g,\"tasks\":%llu,\"bytes\":%llu,"
                            "\"output_bytes\":%llu}"
                          : "quota of %s: %g UCU s, %llu tasks, %llu bytes, %llu bytes of output "
                            "(0: no bound)\n",
                     quota->project, quota->ucu_s, (unsigned long long)quota->tasks,
                     (unsigned long long)quota->payload_bytes,
                     (unsigned long long)quota->output_bytes);
}

static void print_list(const sl_key_list *list, int json, sl_strbuf *out) {
    if (json)
        sl_strbuf_append(out, "{\"keys\":[");
    else
        sl_strbuf_printf(out, "%-16s  %-20s  %-32s  %-20s  %-20s  %s\n", "ID", "PROJECT", "SCOPES",
                         "CREATED", "EXPIRES", "STATE");
    for (size_t i = 0; i < list->count; i++) {
        sl_strbuf_append(out, json && i ? "," : "");
        print_key(&list->keys[i], json, out);
    }
    sl_strbuf_append(out, json ? "],\"quotas\":[" : "");
    for (size_t i = 0; i < list->quota_count; i++) {
        sl_strbuf_append(out, json && i ? "," : "");
        print_quota(&list->quotas[i], json, out);
    }
    sl_strbuf_append(out, json ? "]}\n" : "");
}

sl_err sl_key_list_text(const sl_key_list *list, int json, char **text) {
    sl_strbuf out;
    sl_strbuf_init(&out, 4 << 20);
    print_list(list, json, &out);
    sl_err err = sl_strbuf_err(&out);
    *text = err == SL_OK ? sl_strbuf_take(&out) : NULL;
    sl_strbuf_fini(&out);
    return *text ? SL_OK : err == SL_OK ? SL_ERR_NO_MEMORY : err;
}

int sl_api_key_list(const char *directory, int json, char **text) {
    sl_key_store *store;
    SL_TRY(sl_key_store_open(directory, &store));
    sl_err err = sl_key_list_text(sl_key_store_list(store), json, text);
    sl_key_store_close(store);
    return err;
}
