/* A client's keys, and what it seals for itself. */
#include <stdlib.h>
#include <string.h>

#include "actors/secure/identity_file.h"
#include "actors/secure/secret.h"
#include "runtime/clock.h"
#include "sdk/seal_internal.h"
#include "sdk/trust_words.h"

#define OWN_S ((uint64_t)10 * 365 * 86400) /* a client may read again what it keeps */

/* ---- keys ---- */

void sl_keys_drop(sl_keys *keys) {
    if (!keys || atomic_fetch_sub(&keys->references, 1) != 1)
        return;
    sl_seal_toolbox_fini(&keys->tools);
    for (int i = 0; i < SL_SEAL_SOURCES_MOST; i++)
        free(keys->learned[i].nodes);
    sl_trust_destroy(keys->trust);
    sl_identity_destroy(keys->identity);
    pthread_mutex_destroy(&keys->lock);
    free(keys);
}

static sl_err check_client(const sl_keys *keys, const char *directory) {
    const sl_certificate *c = sl_identity_certificate(keys->identity);
    const sl_box_key *box = sl_identity_box(keys->identity);
    uint8_t credential[SL_CREDENTIAL_MOST_BYTES];
    char cause[512];
    sl_peer self;
    size_t bytes;
    if (!c || !box || c->role != SL_ROLE_CLIENT)
        return sl_fail(SL_ERR_INVALID,
                       "%s is not the identity of a client (starlane identity "
                       "create DIR client NAME)",
                       directory);
    sl_err err = sl_identity_credential(keys->identity, credential, &bytes);
    if (err == SL_OK)
        err = sl_trust_check(keys->trust, credential, bytes, (uint64_t)sl_clock_wall_s(), &self);
    snprintf(cause, sizeof cause, "%s", sl_err_detail());
    return err == SL_OK
               ? SL_OK
               : sl_fail(err, "%s: no node would run tasks of this identity: %s", directory, cause);
}

static sl_err keys_fill(sl_keys *keys, const char *directory, const char *authority,
                        const char *revoked) {
    SL_TRY(sl_identity_load(directory, &keys->identity));
    SL_TRY(sl_trust_create(&keys->trust));
    SL_TRY(sl_trust_pin_text(keys->trust, authority));
    if (revoked && *revoked)
        SL_TRY(sl_trust_revoke_file(keys->trust, revoked));
    return check_client(keys, directory);
}

int sl_keys_open(const char *directory, const char *authority, const char *revoked, sl_keys **out) {
    if (!directory || !authority)
        return sl_fail(SL_ERR_INVALID, "keys are those in a directory, and go with the fingerprint "
                                       "of an authority");
    sl_keys *keys = calloc(1, sizeof *keys);
    if (!keys)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for keys");
    atomic_init(&keys->references, 1);
    pthread_mutex_init(&keys->lock, NULL);
    sl_seal_toolbox_init(&keys->tools);
    sl_err err = keys_fill(keys, directory, authority, revoked);
    if (err != SL_OK) {
        char cause[900];
        snprintf(cause, sizeof cause, "%s", sl_err_detail());
        sl_keys_drop(keys);
        return sl_fail(err, "%s", cause);
    }
    *out = keys;
    return SL_OK;
}

void sl_keys_close(sl_keys *keys) {
    sl_keys_drop(keys);
}

/* ---- what is sealed for oneself ---- */

static sl_err seal_own(sl_keys *keys, sl_sealer *sealer, sl_part data, uint8_t **out,
                       size_t *bytes) {
    uint8_t credential[SL_CREDENTIAL_MOST_BYTES];
    uint64_t now_s = (uint64_t)sl_clock_wall_s();
    size_t size, body_at;
    sl_peer self;
    SL_TRY(sl_identity_credential(keys->identity, credential, &size));
    SL_TRY(sl_trust_check(keys->trust, credential, size, now_s, &self));
    const sl_seal_request request = {.sender = keys->identity,
                                     .recipients = &self,
                                     .recipient_count = 1,
                                     .kind = SL_SEAL_DATA,
                                     .body_bytes = data.bytes,
                                     .now_s = now_s,
                                     .lifetime_s = OWN_S};
    SL_TRY(sl_seal_layout(&request, bytes, &body_at));
    *out = malloc(*bytes);
    if (!*out)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory to seal %zu bytes", data.bytes);
    if (data.bytes)
        memcpy(*out + body_at, data.data, data.bytes);
    return sl_seal_whole(sealer, &request, *out);
}

sl_err sl_keys_seal_own(sl_keys *keys, sl_part data, uint8_t **envelope, size_t *bytes) {
    sl_seal_tools *t;
    uint8_t *made = NULL;
    SL_TRY(sl_seal_tools_borrow(&keys->tools, &t));
    sl_err err = seal_own(keys, t->sealer, data, &made, bytes);
    sl_seal_tools_give_back(&keys->tools, t);
    if (err != SL_OK) {
        if (made)
            sl_secret_wipe(made, *bytes);
        free(made);
        return err;
    }
    *envelope = made;
    return SL_OK;
}

sl_err sl_keys_open_own(sl_keys *keys, uint8_t *envelope, size_t bytes, char **data, size_t *size) {
    sl_seal_tools *t;
    uint8_t *body;
    sl_peer sender;
    const sl_open_request request = {.recipient = keys->identity,
                                     .trust = keys->trust,
                                     .kind = SL_SEAL_DATA,
                                     .role = SL_ROLE_CLIENT,
                                     .now_s = (uint64_t)sl_clock_wall_s()};
    SL_TRY(sl_seal_tools_borrow(&keys->tools, &t));
    sl_err err = sl_open_whole(t->opener, envelope, bytes, &request, &sender, &body, size);
    sl_seal_tools_give_back(&keys->tools, t);
    SL_TRY(err);
    if (memcmp(sender.certificate.identity, sl_identity_key(keys->identity), SL_PUBLIC_KEY_BYTES) !=
        0)
        return sl_fail(SL_ERR_SEAL, "what somebody else has sealed");
    *data = malloc(*size + 1);
    if (!*data)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for %zu bytes", *size);
    memcpy(*data, body, *size);
    (*data)[*size] = '\0';
    return SL_OK;
}
