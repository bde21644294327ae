/* Known answers: of our own HKDF, HPKE and chunks, and of the primitives as the libraries found on
 * this machine compute them. */
#include <sodium.h>

#include "actors/secure/certificate.h"
#include "actors/secure/chunks.h"
#include "actors/secure/hkdf.h"
#include "actors/secure/hpke.h"
#include "tests/lib/test.h"

enum { ROOM = 256 };

/* Bytes written in hexadecimal. */
typedef struct hex {
    uint8_t bytes[ROOM];
    size_t size;
} hex;

static hex of(const char *text) {
    hex h = {.size = strlen(text) / 2};
    if (h.size > ROOM || sl_hex_parse(text, h.size, h.bytes) != SL_OK)
        sl_test_fail(__FILE__, __LINE__, "bad hexadecimal: %s", text);
    return h;
}

static void check_bytes(int line, const uint8_t *actual, const char *expected) {
    hex e = of(expected);
    char text[2 * ROOM + 1];
    if (memcmp(actual, e.bytes, e.size) == 0)
        return;
    sl_hex(actual, e.size, text);
    sl_test_fail(__FILE__, line, "%s, not %s", text, expected);
}
#define CHECK_BYTES(actual, expected) check_bytes(__LINE__, actual, expected)

/* RFC 8439, 2.8.2, and the XChaCha draft seal the same text. */
#define SUNSCREEN                                                                                  \
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, " \
    "sunscreen would be it."
#define SUNSCREEN_KEY "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"
#define SUNSCREEN_AAD "50515253c0c1c2c3c4c5c6c7"

TEST(hkdf_of_rfc_5869) {
    uint8_t prk[32], okm[42];
    hex ikm = of("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b");
    hex salt = of("000102030405060708090a0b0c"), info = of("f0f1f2f3f4f5f6f7f8f9");
    const sl_part input[] = {{ikm.bytes, 7}, {ikm.bytes + 7, ikm.size - 7}};
    const sl_part use[] = {{info.bytes, 3}, {NULL, 0}, {info.bytes + 3, info.size - 3}};
    sl_hkdf_extract(salt.bytes, salt.size, input, 2, prk);
    CHECK_BYTES(prk, "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
    sl_hkdf_expand(prk, use, 3, okm, sizeof okm);
    CHECK_BYTES(okm, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b8"
                     "87185865");
    sl_hkdf_extract(NULL, 0, input, 2, prk);
    CHECK_BYTES(prk, "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04");
    sl_hkdf_expand(prk, NULL, 0, okm, sizeof okm);
    CHECK_BYTES(okm, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4"
                     "b61a96c8");
}

/* RFC 9180, A.2.1: base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305. */
TEST(hpke_of_rfc_9180) {
    hex skE = of("f4ec9b33b792c372c1d2c2063507b684ef925b8c75a42dbcbf57d63ccd381600");
    hex pkE = of("1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a");
    hex skR = of("8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb");
    hex pkR = of("4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a");
    hex info = of("4f6465206f6e2061204772656369616e2055726e"), aad = of("436f756e742d30");
    hex text = of("4265617574792069732074727574682c20747275746820626561757479");
    uint8_t enc[SL_HPKE_ENC_BYTES], sealed[ROOM], opened[ROOM];
    sl_hpke_keys ephemeral, recipient;
    const sl_hpke_binding binding = {{info.bytes, info.size}, {aad.bytes, aad.size}};
    memcpy(ephemeral.secret, skE.bytes, 32), memcpy(ephemeral.key, pkE.bytes, 32);
    memcpy(recipient.secret, skR.bytes, 32), memcpy(recipient.key, pkR.bytes, 32);
    crypto_scalarmult_base(opened, skE.bytes);
    CHECK(memcmp(opened, pkE.bytes, 32) == 0);
    CHECK_INT(sl_hpke_seal_with(&ephemeral, recipient.key, &binding,
                                (sl_part){text.bytes, text.size}, enc, sealed),
              SL_OK);
    CHECK(memcmp(enc, pkE.bytes, sizeof enc) == 0);
    CHECK_BYTES(sealed,
                "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce8"
                "1883d2dd1b51a28");
    CHECK_INT(sl_hpke_open(&recipient, &binding, enc, (sl_part){sealed, text.size + 16}, opened),
              SL_OK);
    CHECK(memcmp(opened, text.bytes, text.size) == 0);
}

TEST(hpke_refuses_everything_else) {
    sl_hpke_keys keys, other;
    uint8_t enc[SL_HPKE_ENC_BYTES], sealed[48], opened[32], zeros[32] = {0};
    sl_hpke_keys_make(&keys), sl_hpke_keys_make(&other);
    const sl_hpke_binding binding = {{"info", 4}, {"aad", 3}};
    const sl_hpke_binding other_info = {{"infa", 4}, {"aad", 3}};
    const sl_hpke_binding other_aad = {{"info", 4}, {"aae", 3}};
    const sl_part box = {sealed, sizeof sealed};
    CHECK_INT(sl_hpke_seal(keys.key, &binding, (sl_part){keys.key, 32}, enc, sealed), SL_OK);
    CHECK_INT(sl_hpke_open(&keys, &binding, enc, box, opened), SL_OK);
    CHECK(memcmp(opened, keys.key, 32) == 0);
    CHECK_INT(sl_hpke_open(&other, &binding, enc, box, opened), SL_ERR_SEAL);
    CHECK(memcmp(opened, zeros, 32) == 0);
    CHECK_INT(sl_hpke_open(&keys, &other_info, enc, box, opened), SL_ERR_SEAL);
    CHECK_INT(sl_hpke_open(&keys, &other_aad, enc, box, opened), SL_ERR_SEAL);
    CHECK_INT(sl_hpke_open(&keys, &binding, enc, (sl_part){sealed, 15}, opened), SL_ERR_SEAL);
    /* Points of small order: 0 and 1. */
    CHECK_INT(sl_hpke_open(&keys, &binding, zeros, box, opened), SL_ERR_SEAL);
    zeros[0] = 1;
    CHECK_INT(sl_hpke_open(&keys, &binding, zeros, box, opened), SL_ERR_SEAL);
    CHECK_INT(sl_hpke_seal(zeros, &binding, (sl_part){keys.key, 32}, enc, sealed), SL_ERR_SEAL);
    CHECK_CONTAINS(sl_err_detail(), "the recipient's key");
}

TEST(x25519_of_rfc_7748) {
    uint8_t k[32] = {9}, u[32] = {9}, out[32];
    hex scalar = of("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4");
    hex point = of("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c");
    CHECK_INT(crypto_scalarmult(out, scalar.bytes, point.bytes), 0);
    CHECK_BYTES(out, "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
    for (int i = 0; i < 1000; i++) {
        CHECK_INT(crypto_scalarmult(out, k, u), 0);
        memcpy(u, k, 32);
        memcpy(k, out, 32);
        if (i == 0)
            CHECK_BYTES(k, "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
    }
    CHECK_BYTES(k, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
}

static void check_ed25519(const char *seed, const char *key, const char *message,
                          const char *signature) {
    uint8_t pk[32], sk[64], made[64];
    hex m = of(message);
    crypto_sign_seed_keypair(pk, sk, of(seed).bytes);
    CHECK_BYTES(pk, key);
    crypto_sign_detached(made, NULL, m.bytes, m.size, sk);
    CHECK_BYTES(made, signature);
    CHECK_INT(crypto_sign_verify_detached(made, m.bytes, m.size, pk), 0);
    made[0] ^= 1;
    CHECK(crypto_sign_verify_detached(made, m.bytes, m.size, pk) != 0);
}

TEST(ed25519_of_rfc_8032) {
    check_ed25519("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
                  "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
                  "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bac"
                  "c61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b");
    check_ed25519("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
                  "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
                  "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290"
                  "ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a");
}

TEST(chacha20_poly1305_of_rfc_8439) {
    uint8_t out[ROOM];
    hex aad = of(SUNSCREEN_AAD);
    crypto_aead_chacha20poly1305_ietf_encrypt(
        out, NULL, (const uint8_t *)SUNSCREEN, strlen(SUNSCREEN), aad.bytes, aad.size, NULL,
        of("070000004041424344454647").bytes, of(SUNSCREEN_KEY).bytes);
    CHECK_BYTES(out, "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca96"
                     "71282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328"
                     "091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b61161ae"
                     "10b594f09e26a7e902ecbd0600691");
}

/* draft-irtf-cfrg-xchacha-03, A.3.1. */
TEST(xchacha20_poly1305_of_the_draft) {
    uint8_t out[ROOM];
    hex aad = of(SUNSCREEN_AAD);
    crypto_aead_xchacha20poly1305_ietf_encrypt(
        out, NULL, (const uint8_t *)SUNSCREEN, strlen(SUNSCREEN), aad.bytes, aad.size, NULL,
        of("404142434445464748494a4b4c4d4e4f5051525354555657").bytes, of(SUNSCREEN_KEY).bytes);
    CHECK_BYTES(out, "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa"
                     "6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982"
                     "c1bb9e3f3fac2bc369488f76b2383565d3fff921f9664c97637da9768812f615c68b13b52ec08"
                     "75924c1c7987947deafd8780acf49");
}

/* Test cases 13 and 14 of McGrew and Viega, "The Galois/Counter Mode of Operation": key and nonce
 * of zeros, which is the nonce of a first chunk that is not the last. */
TEST(chunks_are_aes_256_gcm) {
    sl_chunks *chunks;
    uint8_t zeros[32] = {0}, out[16], tag[16];
    REQUIRE(sl_chunks_create(&chunks) == SL_OK);
    CHECK_INT(sl_chunks_begin(chunks, SL_SUITE_AES256_GCM, true, zeros, zeros), SL_OK);
    CHECK_INT(sl_chunks_seal(chunks, zeros, 0, false, out, tag), SL_OK);
    CHECK_BYTES(tag, "530f8afbc74536b9a963b4f1c4cb738b");
    CHECK_INT(sl_chunks_begin(chunks, SL_SUITE_AES256_GCM, true, zeros, zeros), SL_OK);
    CHECK_INT(sl_chunks_seal(chunks, zeros, 16, false, out, tag), SL_OK);
    CHECK_BYTES(out, "cea7403d4d606b6e074ec5d3baf39d18");
    CHECK_BYTES(tag, "d0d1c8a799996bf0265b98b5d48ab919");
    sl_chunks_destroy(chunks);
}

/* The nonce as chunks.h says, held against libsodium called by hand; the second chunk, the last. */
TEST(chunks_are_xchacha20_poly1305) {
    sl_chunks *chunks;
    uint8_t key[32], nonce[24] = {0}, out[40], tag[16], expected[40 + 16];
    memset(key, 7, sizeof key);
    memset(nonce, 5, SL_CHUNK_PREFIX_BYTES);
    REQUIRE(sl_chunks_create(&chunks) == SL_OK);
    CHECK_INT(sl_chunks_begin(chunks, SL_SUITE_XCHACHA20_POLY1305, true, key, nonce), SL_OK);
    CHECK_INT(sl_chunks_seal(chunks, key, 32, false, out, tag), SL_OK);
    CHECK_INT(sl_chunks_seal(chunks, SUNSCREEN, 40, true, out, tag), SL_OK);
    nonce[SL_CHUNK_PREFIX_BYTES] = 1, nonce[23] = 1;
    crypto_aead_xchacha20poly1305_ietf_encrypt(expected, NULL, (const uint8_t *)SUNSCREEN, 40, NULL,
                                               0, NULL, nonce, key);
    CHECK(memcmp(out, expected, 40) == 0 && memcmp(tag, expected + 40, 16) == 0);
    sl_chunks_destroy(chunks);
}
