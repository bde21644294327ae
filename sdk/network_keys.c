/* The identity of this process's nodes: read at start, with an encryption key that is new and stays
 * in memory, so that what was sealed to these nodes cannot be opened once they have ended. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "actors/secure/identity_file.h"
#include "runtime/clock.h"
#include "sdk/network.h"
#include "sdk/task_functions.h"
#include "sdk/trust_words.h"

enum {
    DAY_S = 86400,
    KEY_DAYS = 30, /* longer than allocations last; a longer network needs a new start */
    RESULT_DAYS = 30,
    REPLAYS = 1 << 20
};

struct sl_network_keys {
    sl_identity *identity;
    sl_trust *trust;
    sl_replay *replay;
    sl_sealed *sealed;
};

static sl_err believe(const sl_config *config, sl_trust *trust) {
    const char *authority = sl_config_text(config, SL_OPT_AUTHORITY);
    if (!*authority)
        return sl_fail(SL_ERR_INVALID, "--keys goes with --authority: the fingerprint of who "
                                       "signs the certificates that are to be believed (starlane "
                                       "identity show)");
    SL_TRY(sl_trust_pin_text(trust, authority));
    return sl_config_is_set(config, SL_OPT_REVOKED)
               ? sl_trust_revoke_file(trust, sl_config_text(config, SL_OPT_REVOKED))
               : SL_OK;
}

/* What clients will check is checked here first: a node that none of them believes is of no use. */
static sl_err check_own(const struct sl_network_keys *keys, const char *directory, uint64_t now_s) {
    uint8_t credential[SL_CREDENTIAL_MOST_BYTES];
    size_t bytes;
    sl_peer self;
    char cause[512];
    sl_err err = sl_identity_credential(keys->identity, credential, &bytes);
    if (err == SL_OK)
        err = sl_trust_check(keys->trust, credential, bytes, now_s, &self);
    if (err == SL_OK && self.certificate.role == SL_ROLE_NODE)
        return SL_OK;
    snprintf(cause, sizeof cause, "%s",
             err == SL_OK ? "its certificate is that of a client" : sl_err_detail());
    return sl_fail(err == SL_OK ? SL_ERR_INVALID : err,
                   "%s: no client would seal a task to this identity: %s (starlane identity sign)",
                   directory, cause);
}

static struct sl_minder *minder_of(void *context, uint32_t node) {
    const sl_network *network = context;
    for (uint32_t i = 0; i < network->local_count; i++)
        if (network->nodes[i].rank == node)
            return network->nodes[i].minder;
    return NULL;
}

static sl_err open_keys(sl_network *network, struct sl_network_keys *keys, const char *directory) {
    uint64_t now_s = (uint64_t)sl_clock_wall_s();
    SL_TRY(sl_identity_load(directory, &keys->identity));
    SL_TRY(sl_identity_renew(keys->identity, now_s, (uint64_t)KEY_DAYS * DAY_S));
    SL_TRY(sl_trust_create(&keys->trust));
    SL_TRY(believe(network->config, keys->trust));
    SL_TRY(check_own(keys, directory, now_s));
    SL_TRY(sl_replay_create(REPLAYS, &keys->replay));
    const sl_sealed_options options = {.identity = keys->identity,
                                       .trust = keys->trust,
                                       .replay = keys->replay,
                                       .result_lifetime_s = (uint64_t)RESULT_DAYS * DAY_S,
                                       .minder_of = minder_of,
                                       .context = network};
    SL_TRY(sl_sealed_create(&options, &keys->sealed));
    sl_sealed *none = NULL;
    if (atomic_compare_exchange_strong(&sl_task_functions_sealed()->sealed, &none, keys->sealed))
        return SL_OK;
    return sl_fail(SL_ERR_EXISTS, "another network of this process has an identity");
}

sl_err sl_network_keys_open(sl_network *network) {
    const char *directory = sl_config_text(network->config, SL_OPT_KEYS);
    if (!*directory)
        return SL_OK;
    network->keys = calloc(1, sizeof *network->keys);
    if (!network->keys)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for an identity");
    return open_keys(network, network->keys, directory);
}

void sl_network_keys_close(sl_network *network) {
    struct sl_network_keys *keys = network->keys;
    if (!keys)
        return;
    sl_sealed *own = keys->sealed;
    if (own)
        atomic_compare_exchange_strong(&sl_task_functions_sealed()->sealed, &own, NULL);
    sl_sealed_destroy(keys->sealed);
    sl_replay_destroy(keys->replay);
    sl_trust_destroy(keys->trust);
    sl_identity_destroy(keys->identity);
    free(keys);
    network->keys = NULL;
}
