/* What `starlane identity` does: identities on disk, requests, certificates. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "actors/secure/identity_file.h"
#include "runtime/clock.h"
#include "runtime/strbuf.h"
#include "sdk/atomic_file.h"
#include "starlane.h"

enum { DAY_S = 86400, REQUEST_DAYS = 3650, DAYS_MOST = 36500, DATE_BYTES = 32 };

static uint64_t now_s(void) {
    return (uint64_t)sl_clock_wall_s();
}

/* ---- create ---- */

static sl_err role_of(const char *word, sl_role *role) {
    *role = strcmp(word, "node") == 0     ? SL_ROLE_NODE
            : strcmp(word, "client") == 0 ? SL_ROLE_CLIENT
                                          : (sl_role)0;
    if (*role || strcmp(word, "authority") == 0)
        return SL_OK;
    return sl_fail(SL_ERR_INVALID, "'%.80s' is no role: say node, client or authority", word);
}

static bool is_request(const sl_certificate *certificate) {
    return memcmp(certificate->identity, certificate->authority, SL_PUBLIC_KEY_BYTES) == 0;
}

/* A client keeps its encryption key: results must open after it was started anew. */
static sl_err save_request(const char *directory, sl_identity *identity, sl_certificate *request) {
    if (request->role == SL_ROLE_CLIENT && !sl_identity_box(identity)) {
        SL_TRY(sl_identity_renew(identity, now_s(), (uint64_t)REQUEST_DAYS * DAY_S));
        SL_TRY(sl_identity_save(directory, identity));
    }
    SL_TRY(sl_identity_request(identity, request));
    SL_TRY(sl_identity_adopt(identity, request));
    return sl_identity_save_certificate(directory, identity);
}

static sl_err fill(char field[SL_NAME_MAX + 1], const char *text, const char *what) {
    if (strlen(text) > SL_NAME_MAX)
        return sl_fail(SL_ERR_INVALID, "a %s is 1 to %d letters, digits and _ - . : @", what,
                       SL_NAME_MAX);
    strcpy(field, text);
    return SL_OK;
}

static sl_err describe(sl_role role, const char *name, const char *project,
                       sl_certificate *request) {
    *request = (sl_certificate){.role = role,
                                .validity = {now_s(), now_s() + (uint64_t)REQUEST_DAYS * DAY_S}};
    if (!name)
        return sl_fail(SL_ERR_INVALID, "a node or client has a name");
    SL_TRY(fill(request->name, name, "name"));
    SL_TRY(fill(request->project, project ? project : "", "project"));
    return sl_certificate_check_fields(request);
}

int sl_keys_create(const char *directory, const char *role_word, const char *name,
                   const char *project) {
    sl_role role;
    sl_certificate request = {0};
    sl_identity *identity;
    SL_TRY(role_of(role_word, &role));
    if (!role && name)
        return sl_fail(SL_ERR_INVALID, "an authority has no name: its fingerprint is what counts");
    if (role)
        SL_TRY(describe(role, name, project, &request));
    SL_TRY(sl_identity_open(directory, &identity));
    const sl_certificate *has = sl_identity_certificate(identity);
    sl_err err = SL_OK;
    if (has && (!role || !is_request(has)))
        err = sl_fail(SL_ERR_EXISTS, "%s has a certificate for %s: take another directory",
                      directory, has->name);
    else if (role)
        err = save_request(directory, identity, &request);
    sl_identity_destroy(identity);
    return err;
}

int sl_keys_renew(const char *directory, double days) {
    sl_identity *identity;
    if (!(days > 0 && days <= DAYS_MOST))
        return sl_fail(SL_ERR_INVALID, "an encryption key is for more than 0 and at most %d days",
                       DAYS_MOST);
    SL_TRY(sl_identity_load(directory, &identity));
    const sl_certificate *has = sl_identity_certificate(identity);
    sl_err err = SL_OK;
    if (!has || has->role != SL_ROLE_CLIENT)
        err = sl_fail(SL_ERR_INVALID,
                      "%s is not the identity of a client: only clients keep an "
                      "encryption key",
                      directory);
    if (err == SL_OK)
        err = sl_identity_renew(identity, now_s(), (uint64_t)ceil(days * DAY_S));
    if (err == SL_OK)
        err = sl_identity_save(directory, identity);
    sl_identity_destroy(identity);
    return err;
}

/* ---- show ---- */

static void date_of(uint64_t at_s, char text[DATE_BYTES]) {
    time_t at = at_s > INT32_MAX * (uint64_t)100 ? (time_t)INT32_MAX * 100 : (time_t)at_s;
    struct tm parts;
    if (!gmtime_r(&at, &parts) || !strftime(text, DATE_BYTES, "%Y-%m-%dT%H:%M:%SZ", &parts))
        strcpy(text, "?");
}

static void set_date(json_t *object, const char *key, uint64_t at_s) {
    char text[DATE_BYTES];
    date_of(at_s, text);
    json_object_set_new(object, key, json_string(text));
}

static void set_hex(json_t *object, const char *key, const uint8_t *bytes, size_t size) {
    char text[2 * SL_KEY_FINGERPRINT_BYTES + 1];
    sl_hex(bytes, size, text);
    json_object_set_new(object, key, json_string(text));
}

static void set_fingerprint(json_t *object, const char *key, const uint8_t *of) {
    uint8_t fingerprint[SL_KEY_FINGERPRINT_BYTES];
    sl_fingerprint(of, fingerprint);
    set_hex(object, key, fingerprint, sizeof fingerprint);
}

static json_t *facts_of(const sl_identity *identity) {
    json_t *facts = json_object();
    const sl_certificate *c = sl_identity_certificate(identity);
    const sl_box_key *box = sl_identity_box(identity);
    set_fingerprint(facts, "fingerprint", sl_identity_key(identity));
    if (c) {
        json_object_set_new(facts, "role",
                            json_string(c->role == SL_ROLE_NODE ? "node" : "client"));
        json_object_set_new(facts, "name", json_string(c->name));
        if (*c->project)
            json_object_set_new(facts, "project", json_string(c->project));
        if (is_request(c))
            json_object_set_new(facts, "certificate", json_string("requested"));
        else
            set_fingerprint(facts, "authority", c->authority);
        set_date(facts, "valid_from", c->validity.from_s);
        set_date(facts, "valid_to", c->validity.to_s);
    }
    if (box) {
        uint8_t id[SL_KEY_ID_BYTES];
        sl_key_id(box->key, id);
        set_hex(facts, "encryption_key", id, sizeof id);
        set_date(facts, "encryption_key_valid_to", box->validity.to_s);
    }
    return facts;
}

static char *text_of(const json_t *facts) {
    sl_strbuf text;
    const char *key;
    json_t *value;
    sl_strbuf_init(&text, 4096);
    json_object_foreach((json_t *)facts, key, value)
        sl_strbuf_printf(&text, "%-24s %s\n", key, json_string_value(value));
    return sl_strbuf_take(&text);
}

int sl_keys_show(const char *directory, int json, char **text) {
    sl_identity *identity;
    SL_TRY(sl_identity_load(directory, &identity));
    json_t *facts = facts_of(identity);
    sl_identity_destroy(identity);
    char *made = json ? json_dumps(facts, JSON_INDENT(2)) : text_of(facts);
    json_decref(facts);
    if (!made)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory to show %s", directory);
    *text = made;
    return SL_OK;
}

/* ---- sign ---- */

static sl_err read_request(const char *path, sl_certificate *request) {
    uint8_t bytes[SL_CERTIFICATE_MOST_BYTES + 1]; /* one more shows a file too long */
    size_t got = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return sl_fail(SL_ERR_IO, "%s: cannot be opened: %s", path, strerror(errno));
    for (ssize_t some = 1; some > 0 && got<sizeof bytes; got += some> 0 ? (size_t)some : 0)
        some = read(fd, bytes + got, sizeof bytes - got);
    close(fd);
    sl_err err = sl_certificate_decode(bytes, got, request);
    if (err != SL_OK) {
        char why[256];
        snprintf(why, sizeof why, "%s", sl_err_detail());
        return sl_fail(err, "%s: %s", path, why);
    }
    return SL_OK;
}

static sl_err write_certificate(const char *path, const sl_certificate *certificate) {
    uint8_t bytes[SL_CERTIFICATE_MOST_BYTES];
    size_t size = sl_certificate_encode(certificate, bytes);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return sl_fail(SL_ERR_IO, "%s: cannot be created: %s", path, strerror(errno));
    sl_err err = sl_write_all(fd, bytes, size, path);
    if (err == SL_OK)
        err = sl_file_sync(fd, path);
    close(fd);
    if (err != SL_OK)
        unlink(path);
    return err;
}

int sl_keys_sign(const char *directory, const char *request_path, double days,
                 const char *certificate_path) {
    sl_certificate request, certificate;
    sl_identity *authority;
    if (!(days > 0 && days <= DAYS_MOST))
        return sl_fail(SL_ERR_INVALID, "a certificate is for more than 0 and at most %d days",
                       DAYS_MOST);
    SL_TRY(read_request(request_path, &request));
    SL_TRY(sl_identity_load(directory, &authority));
    sl_validity validity = {now_s(), now_s() + (uint64_t)ceil(days * DAY_S)};
    sl_err err = sl_identity_certify(authority, &request, validity, &certificate);
    sl_identity_destroy(authority);
    SL_TRY(err);
    return write_certificate(certificate_path, &certificate);
}
