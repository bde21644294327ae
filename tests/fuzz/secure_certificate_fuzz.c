/* Certificates and credentials of any bytes: one encoding each, and nothing is believed but what
 * the authority signed.
 *
 * To make seeds: SL_FUZZ_SEEDS=FOLDER build/fuzz/tests/secure_certificate_fuzz -runs=0 */
#include "tests/fuzz/secure_people.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static sl_identity *authority, *node;
static sl_trust *trust;
static uint8_t credential[SL_CREDENTIAL_MOST_BYTES];
static size_t credential_bytes;

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    authority = person(1, SL_ROLE_NODE, NULL);
    node = person(3, SL_ROLE_NODE, authority);
    trust = trust_in(authority);
    require(sl_identity_credential(node, credential, &credential_bytes) == SL_OK);
    seed_file("credential", credential, credential_bytes);
    seed_file("certificate", credential, credential_bytes - SL_BOX_KEY_BYTES);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t again[SL_CERTIFICATE_MOST_BYTES], box[SL_BOX_KEY_BYTES];
    sl_certificate c;
    sl_peer peer;
    if (sl_certificate_decode(data, size, &c) == SL_OK) {
        require(sl_certificate_encode(&c, again) == size && memcmp(again, data, size) == 0);
        require(sl_certificate_check_fields(&c) == SL_OK);
        (void)sl_certificate_verify(&c);
    }
    if (sl_trust_check(trust, data, size, NOW_S, &peer) == SL_OK) {
        size_t bytes = sl_certificate_encode(&peer.certificate, again);
        sl_box_key_encode(&peer.box, box);
        require(size == bytes + sizeof box && memcmp(data, again, bytes) == 0);
        require(memcmp(data + bytes, box, sizeof box) == 0);
        /* Of this authority there is the node's, and its own. */
        require(size == credential_bytes);
    }
    return 0;
}
