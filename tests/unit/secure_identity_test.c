/* Identities, their files, and whom to believe. */
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actors/secure/identity_file.h"
#include "tests/lib/files.h"
#include "tests/lib/sealing.h"

/* ---- certificates ---- */

static sl_certificate certificate_of(const sl_identity *identity) {
    return *sl_identity_certificate(identity);
}

TEST(certificates_decode_to_what_they_were) {
    sl_identity *authority = sl_test_authority();
    sl_identity *node = sl_test_somebody(authority, SL_ROLE_NODE, "n", "");
    sl_identity *client =
        sl_test_somebody(authority, SL_ROLE_CLIENT,
                         "a-name_of.63:bytes@xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
                         "p234567890123456789012345678901234567890123456789012345678901ab");
    sl_identity *all[] = {node, client};
    for (int i = 0; i < 2; i++) {
        sl_certificate c = certificate_of(all[i]), read;
        uint8_t bytes[SL_CERTIFICATE_MOST_BYTES], again[SL_CERTIFICATE_MOST_BYTES];
        size_t size = sl_certificate_encode(&c, bytes);
        REQUIRE(sl_certificate_decode(bytes, size, &read) == SL_OK);
        CHECK_STR(read.name, c.name);
        CHECK_STR(read.project, c.project);
        CHECK_INT(sl_certificate_encode(&read, again), size);
        CHECK(memcmp(bytes, again, size) == 0);
        CHECK_INT(sl_certificate_verify(&read), SL_OK);
    }
    sl_identity_destroy(node), sl_identity_destroy(client), sl_identity_destroy(authority);
}

TEST(no_byte_of_a_credential_may_be_changed_or_lacking) {
    sl_identity *authority = sl_test_authority();
    sl_identity *node = sl_test_somebody(authority, SL_ROLE_NODE, "node-1", "physics");
    sl_trust *trust = sl_test_trust(authority);
    uint8_t bytes[SL_CREDENTIAL_MOST_BYTES + 1] = {0};
    size_t size;
    sl_peer peer;
    REQUIRE(sl_identity_credential(node, bytes, &size) == SL_OK);
    CHECK_INT(sl_trust_check(trust, bytes, size, SL_TEST_NOW_S, &peer), SL_OK);
    for (size_t at = 0; at < size; at++)
        for (int bit = 0; bit < 8; bit++) {
            bytes[at] ^= (uint8_t)(1u << bit);
            if (sl_trust_check(trust, bytes, size, SL_TEST_NOW_S, &peer) == SL_OK)
                sl_test_fail(__FILE__, __LINE__, "bit %d of byte %zu may be changed", bit, at);
            bytes[at] ^= (uint8_t)(1u << bit);
        }
    for (size_t left = 0; left < size; left++)
        CHECK_INT(sl_trust_check(trust, bytes, left, SL_TEST_NOW_S, &peer), SL_ERR_DECODE);
    CHECK_INT(sl_trust_check(trust, bytes, size + 1, SL_TEST_NOW_S, &peer), SL_ERR_DECODE);
    CHECK_INT(sl_trust_check(trust, bytes, size, SL_TEST_NOW_S, &peer), SL_OK);
    CHECK_STR(peer.certificate.name, "node-1");
    sl_identity_destroy(node), sl_identity_destroy(authority);
    sl_trust_destroy(trust);
}

TEST(what_an_authority_does_not_sign) {
    sl_identity *authority = sl_test_authority(), *node = sl_test_authority();
    const sl_validity day = {SL_TEST_NOW_S, SL_TEST_NOW_S + 86400};
    sl_certificate c = {.role = SL_ROLE_NODE, .name = "node 1", .validity = day};
    CHECK_INT(sl_identity_request(node, &c), SL_ERR_INVALID); /* a blank */
    strcpy(c.name, "");
    CHECK_INT(sl_identity_request(node, &c), SL_ERR_INVALID);
    strcpy(c.name, "node-1"), strcpy(c.project, "a\033[31m");
    CHECK_INT(sl_identity_request(node, &c), SL_ERR_INVALID);
    strcpy(c.project, ""), c.role = 7;
    CHECK_INT(sl_identity_request(node, &c), SL_ERR_INVALID);
    c.role = SL_ROLE_NODE;
    REQUIRE(sl_identity_request(node, &c) == SL_OK);
    /* A request in another's name: changed after it was signed. */
    sl_certificate changed = c, out;
    strcpy(changed.name, "node-2");
    CHECK_INT(sl_identity_certify(authority, &changed, day, &out), SL_ERR_SEAL);
    const sl_validity none = {day.to_s, day.from_s};
    CHECK_INT(sl_identity_certify(authority, &c, none, &out), SL_ERR_INVALID);
    REQUIRE(sl_identity_certify(authority, &c, day, &out) == SL_OK);
    CHECK_INT(sl_identity_certify(authority, &out, day, &out), SL_ERR_INVALID); /* no request */
    CHECK_INT(sl_identity_adopt(authority, &out), SL_ERR_SEAL);                 /* not its own */
    CHECK_INT(sl_identity_adopt(node, &out), SL_OK);
    out.validity.to_s++;
    CHECK_INT(sl_identity_adopt(node, &out), SL_ERR_SEAL);
    sl_identity_destroy(authority), sl_identity_destroy(node);
}

/* ---- trust ---- */

TEST(only_pinned_authorities_are_believed) {
    sl_identity *authority = sl_test_authority(), *another = sl_test_authority();
    sl_identity *node = sl_test_somebody(another, SL_ROLE_NODE, "node-1", "");
    sl_trust *trust = sl_test_trust(authority);
    uint8_t credential[SL_CREDENTIAL_MOST_BYTES];
    size_t size;
    sl_peer peer;
    REQUIRE(sl_identity_credential(node, credential, &size) == SL_OK);
    CHECK_INT(sl_trust_check(trust, credential, size, SL_TEST_NOW_S, &peer), SL_ERR_SEAL);
    CHECK_CONTAINS(sl_err_detail(), "not pinned here");
    sl_test_pin(trust, another);
    CHECK_INT(sl_trust_check(trust, credential, size, SL_TEST_NOW_S, &peer), SL_OK);
    sl_identity_destroy(authority), sl_identity_destroy(another), sl_identity_destroy(node);
    sl_trust_destroy(trust);
}

TEST(a_self_signed_identity_may_be_pinned_itself) {
    sl_identity *node = sl_test_authority(), *other = sl_test_authority();
    sl_certificate c = {.role = SL_ROLE_NODE,
                        .name = "alone",
                        .validity = {SL_TEST_NOW_S - 1, SL_TEST_NOW_S + 1000}};
    uint8_t credential[SL_CREDENTIAL_MOST_BYTES];
    size_t size;
    sl_peer peer;
    REQUIRE(sl_identity_request(node, &c) == SL_OK && sl_identity_adopt(node, &c) == SL_OK);
    REQUIRE(sl_identity_renew(node, SL_TEST_NOW_S, 100) == SL_OK);
    REQUIRE(sl_identity_credential(node, credential, &size) == SL_OK);
    sl_trust *pinned = sl_test_trust(node), *not_pinned = sl_test_trust(other);
    CHECK_INT(sl_trust_check(pinned, credential, size, SL_TEST_NOW_S, &peer), SL_OK);
    CHECK_INT(sl_trust_check(not_pinned, credential, size, SL_TEST_NOW_S, &peer), SL_ERR_SEAL);
    sl_trust_destroy(pinned), sl_trust_destroy(not_pinned);
    sl_identity_destroy(node), sl_identity_destroy(other);
}

/* Also when the signatures have held before. */
TEST(times_and_revocations_are_looked_at_every_time) {
    sl_identity *authority = sl_test_authority();
    sl_identity *node = sl_test_somebody(authority, SL_ROLE_NODE, "node-1", "");
    sl_trust *trust = sl_test_trust(authority);
    uint8_t credential[SL_CREDENTIAL_MOST_BYTES], fingerprint[SL_KEY_FINGERPRINT_BYTES];
    size_t size;
    sl_peer peer;
    REQUIRE(sl_identity_credential(node, credential, &size) == SL_OK);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(sl_trust_check(trust, credential, size, SL_TEST_NOW_S, &peer), SL_OK);
        CHECK_INT(sl_trust_check(trust, credential, size, SL_TEST_NOW_S + 3599, &peer), SL_OK);
        CHECK_INT(sl_trust_check(trust, credential, size, SL_TEST_NOW_S + 3600, &peer),
                  SL_ERR_SEAL);
        CHECK_CONTAINS(sl_err_detail(), "encryption key");
        CHECK_INT(sl_trust_check(trust, credential, size, SL_TEST_NOW_S - 1001, &peer),
                  SL_ERR_SEAL);
        CHECK_CONTAINS(sl_err_detail(), "is the clock right");
    }
    sl_fingerprint(sl_identity_key(node), fingerprint);
    CHECK_INT(sl_trust_revoke(trust, fingerprint), SL_OK);
    CHECK_INT(sl_trust_revoke(trust, fingerprint), SL_OK);
    CHECK_INT(sl_trust_check(trust, credential, size, SL_TEST_NOW_S, &peer), SL_ERR_SEAL);
    CHECK_CONTAINS(sl_err_detail(), "revoked");
    sl_identity_destroy(node), sl_identity_destroy(authority);
    sl_trust_destroy(trust);
}

TEST(hexadecimal_is_read_strictly) {
    uint8_t bytes[2];
    CHECK_INT(sl_hex_parse("00fF", 2, bytes), SL_OK);
    CHECK_INT(bytes[1], 255);
    CHECK_INT(sl_hex_parse("00f", 2, bytes), SL_ERR_SYNTAX);
    CHECK_INT(sl_hex_parse("00fff", 2, bytes), SL_ERR_SYNTAX);
    CHECK_INT(sl_hex_parse("00fg", 2, bytes), SL_ERR_SYNTAX);
    CHECK_INT(sl_hex_parse("", 2, bytes), SL_ERR_SYNTAX);
}

/* ---- files ---- */

static bool same(const sl_identity *a, const sl_identity *b) {
    return memcmp(sl_identity_key(a), sl_identity_key(b), SL_PUBLIC_KEY_BYTES) == 0;
}

static unsigned mode_of(const char *path) {
    struct stat found;
    return stat(path, &found) == 0 ? found.st_mode & 07777 : 0;
}

/* A new directory with an identity in it, and the path of its file. */
static const char *a_directory(const char *name, char file[300]) {
    const char *directory = sl_test_path(name);
    sl_identity *identity;
    if (sl_identity_open(directory, &identity) != SL_OK)
        sl_test_fail(__FILE__, __LINE__, "%s: %s", directory, sl_err_detail());
    else
        sl_identity_destroy(identity);
    snprintf(file, 300, "%s/%s", directory, SL_IDENTITY_FILE);
    return directory;
}

TEST(an_identity_is_made_once) {
    char file[300];
    const char *directory = sl_test_path("first");
    sl_identity *first, *second, *loaded;
    umask(0); /* nothing may depend on it */
    CHECK_INT(sl_identity_load(directory, &loaded), SL_ERR_NOT_FOUND);
    REQUIRE(sl_identity_open(directory, &first) == SL_OK);
    REQUIRE(sl_identity_open(directory, &second) == SL_OK);
    REQUIRE(sl_identity_load(directory, &loaded) == SL_OK);
    CHECK(same(first, second) && same(first, loaded));
    snprintf(file, sizeof file, "%s/%s", directory, SL_IDENTITY_FILE);
    CHECK_INT(mode_of(directory), 0700);
    CHECK_INT(mode_of(file), 0600);
    sl_identity_destroy(first), sl_identity_destroy(second), sl_identity_destroy(loaded);
}

TEST(key_and_certificate_come_back) {
    const char *directory = sl_test_path("whole");
    sl_identity *authority = sl_test_authority(), *made, *loaded;
    uint8_t before[SL_CREDENTIAL_MOST_BYTES], after[SL_CREDENTIAL_MOST_BYTES];
    size_t before_bytes, after_bytes;
    sl_certificate c = {.role = SL_ROLE_CLIENT, .name = "alice", .validity = {1, 2}};
    REQUIRE(sl_identity_open(directory, &made) == SL_OK);
    REQUIRE(sl_identity_renew(made, SL_TEST_NOW_S, 100) == SL_OK);
    CHECK_INT(sl_identity_credential(made, before, &before_bytes), SL_ERR_NOT_FOUND);
    CHECK_INT(sl_identity_save_certificate(directory, made), SL_ERR_NOT_FOUND);
    REQUIRE(sl_identity_request(made, &c) == SL_OK);
    REQUIRE(sl_identity_certify(authority, &c, (sl_validity){5, 6}, &c) == SL_OK);
    REQUIRE(sl_identity_adopt(made, &c) == SL_OK);
    CHECK_INT(sl_identity_save(directory, made), SL_OK);
    CHECK_INT(sl_identity_save_certificate(directory, made), SL_OK);
    REQUIRE(sl_identity_credential(made, before, &before_bytes) == SL_OK);
    REQUIRE(sl_identity_load(directory, &loaded) == SL_OK);
    REQUIRE(sl_identity_credential(loaded, after, &after_bytes) == SL_OK);
    CHECK_INT(after_bytes, before_bytes);
    CHECK(memcmp(after, before, before_bytes) == 0);
    sl_identity_destroy(authority), sl_identity_destroy(made), sl_identity_destroy(loaded);
}

TEST(what_others_may_reach_is_refused) {
    char file[300], other[300];
    sl_identity *identity;
    const char *directory = a_directory("open", file);
    chmod(file, 0640);
    CHECK_INT(sl_identity_open(directory, &identity), SL_ERR_REFUSED);
    CHECK_CONTAINS(sl_err_detail(), "chmod 600");
    chmod(file, 0600), chmod(directory, 0750);
    CHECK_INT(sl_identity_open(directory, &identity), SL_ERR_REFUSED);
    CHECK_CONTAINS(sl_err_detail(), "chmod 700");
    chmod(directory, 0700);
    snprintf(other, sizeof other, "%s/second", directory);
    CHECK_INT(link(file, other), 0);
    CHECK_INT(sl_identity_open(directory, &identity), SL_ERR_REFUSED);
    CHECK_CONTAINS(sl_err_detail(), "second name");
    CHECK_INT(unlink(file) | symlink("second", file), 0);
    CHECK_INT(sl_identity_open(directory, &identity), SL_ERR_REFUSED);
    CHECK_CONTAINS(sl_err_detail(), "symbolic link");
    CHECK_INT(unlink(file) | mkfifo(file, 0600), 0);
    CHECK_INT(sl_identity_open(directory, &identity), SL_ERR_REFUSED);
    CHECK_CONTAINS(sl_err_detail(), "no regular file");
    CHECK_INT(unlink(file) | rename(other, file), 0);
    REQUIRE(sl_identity_open(directory, &identity) == SL_OK);
    sl_identity_destroy(identity);
}

TEST(a_directory_of_links_or_files_is_refused) {
    char file[300];
    sl_identity *identity;
    const char *directory = a_directory("real", file), *link_path = sl_test_path("link");
    CHECK_INT(symlink(directory, link_path), 0);
    CHECK_INT(sl_identity_open(link_path, &identity), SL_ERR_IO);
    CHECK_INT(sl_identity_open(file, &identity), SL_ERR_IO);
    CHECK_CONTAINS(sl_err_detail(), "directory");
    CHECK_INT(sl_identity_open(sl_test_path("no/such/folder"), &identity), SL_ERR_IO);
}

static void write_bytes(const char *path, const void *bytes, size_t size) {
    FILE *out = fopen(path, "w");
    if (!out || fwrite(bytes, 1, size, out) != size || fclose(out) != 0)
        sl_test_fail(__FILE__, __LINE__, "%s cannot be written", path);
}

TEST(a_damaged_file_is_refused_and_stays) {
    char file[300];
    sl_identity *identity;
    const char *directory = a_directory("damaged", file);
    uint8_t bytes[SL_IDENTITY_FILE_LEAST_BYTES + 600] = {0};
    FILE *in = fopen(file, "r");
    REQUIRE(in && fread(bytes, 1, sizeof bytes, in) == SL_IDENTITY_FILE_LEAST_BYTES);
    fclose(in);
    for (size_t at = 0; at < SL_IDENTITY_FILE_LEAST_BYTES; at++) {
        bytes[at] ^= 0x10;
        write_bytes(file, bytes, SL_IDENTITY_FILE_LEAST_BYTES);
        CHECK_INT(sl_identity_open(directory, &identity), SL_ERR_DECODE);
        bytes[at] ^= 0x10;
    }
    CHECK_CONTAINS(sl_err_detail(), "checksum");
    CHECK_CONTAINS(sl_err_detail(), directory);
    for (size_t size = 0; size < SL_IDENTITY_FILE_LEAST_BYTES; size += 7) {
        write_bytes(file, bytes, size);
        CHECK_INT(sl_identity_open(directory, &identity), SL_ERR_DECODE);
    }
    write_bytes(file, bytes, sizeof bytes); /* longer than what is read */
    CHECK_INT(sl_identity_open(directory, &identity), SL_ERR_DECODE);
    write_bytes(file, bytes, SL_IDENTITY_FILE_LEAST_BYTES);
    REQUIRE(sl_identity_open(directory, &identity) == SL_OK);
    sl_identity_destroy(identity);
}

TEST(a_certificate_of_somebody_else_is_refused) {
    char file[300];
    const char *directory = a_directory("alien", file);
    sl_identity *authority = sl_test_authority(), *identity;
    sl_identity *other = sl_test_somebody(authority, SL_ROLE_NODE, "other", "");
    CHECK_INT(sl_identity_save_certificate(directory, other), SL_OK);
    CHECK_INT(sl_identity_load(directory, &identity), SL_ERR_SEAL);
    CHECK_CONTAINS(sl_err_detail(), "another identity");
    sl_identity_destroy(authority), sl_identity_destroy(other);
}

TEST(nothing_else_is_left_in_the_directory) {
    char file[300];
    const char *directory = a_directory("clean", file);
    DIR *entries = opendir(directory);
    REQUIRE(entries != NULL);
    for (struct dirent *e; (e = readdir(entries));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            CHECK_STR(e->d_name, SL_IDENTITY_FILE);
    closedir(entries);
}
