/* Design notes
 * A pinned certificate needs no chain, name or date: whoever has its key is the one whose
 * fingerprint was told. Sessions are not resumed: a resumed one would be believed without its
 * certificate being seen again, and links live long. Key and certificate of one's own lie in one
 * file, so that there are never two that do not belong together. It is written beside its place and
 * put there by link(2): of two that start at once one is second, and takes the first one's. */
#include "net/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CERTIFICATE_YEARS = 20, PATH_BYTES = 4096 };

struct sl_tls {
    SSL_CTX *context;
    bool server, checks_host;
    uint8_t fingerprint[SL_FINGERPRINT_BYTES];
};

struct ssl_ctx_st *sl_tls_context(const sl_tls *tls) {
    return tls->context;
}

bool sl_tls_is_server(const sl_tls *tls) {
    return tls->server;
}

bool sl_tls_checks_host(const sl_tls *tls) {
    return tls->checks_host;
}

const uint8_t *sl_tls_fingerprint(const sl_tls *tls) {
    return tls->fingerprint;
}

const char *sl_tls_reason(char *text, size_t size) {
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    if (reason)
        snprintf(text, size, "%s", reason);
    else if (code)
        snprintf(text, size, "%s", strerror(ERR_GET_REASON(code)));
    else
        snprintf(text, size, "no reason given");
    ERR_clear_error();
    return text;
}

static sl_err fail_tls(sl_err err, const char *what) {
    char reason[200];
    return sl_fail(err, "%s: %s", what, sl_tls_reason(reason, sizeof reason));
}

static bool fingerprint_of(X509 *certificate, uint8_t fingerprint[SL_FINGERPRINT_BYTES]) {
    unsigned bytes = SL_FINGERPRINT_BYTES;
    return X509_digest(certificate, EVP_sha256(), fingerprint, &bytes) == 1 &&
           bytes == SL_FINGERPRINT_BYTES;
}

/* ---- a certificate of one's own ---- */

static bool name_it(X509 *certificate) {
    X509_NAME *name = X509_get_subject_name(certificate);
    return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                      (const unsigned char *)"Starlane gateway", -1, -1, 0) &&
           X509_set_issuer_name(certificate, name);
}

/* The number is drawn from the public key, which is random enough. */
static bool number_it(X509 *certificate, EVP_PKEY *key) {
    unsigned char public[64], digest[EVP_MAX_MD_SIZE];
    size_t bytes = sizeof public;
    unsigned digest_bytes = 0;
    if (!EVP_PKEY_get_raw_public_key(key, public, &bytes) ||
        !EVP_Digest(public, bytes, digest, &digest_bytes, EVP_sha256(), NULL))
        return false;
    digest[0] &= 0x7f;
    BIGNUM *number = BN_bin2bn(digest, 16, NULL);
    bool done = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
    BN_free(number);
    return done;
}

static X509 *certify(EVP_PKEY *key) {
    X509 *certificate = X509_new();
    if (certificate && X509_set_version(certificate, 2) && number_it(certificate, key) &&
        X509_gmtime_adj(X509_getm_notBefore(certificate), -86400) &&
        X509_time_adj_ex(X509_getm_notAfter(certificate), CERTIFICATE_YEARS * 365, 0, NULL) &&
        name_it(certificate) && X509_set_pubkey(certificate, key) &&
        X509_sign(certificate, key, NULL))
        return certificate;
    X509_free(certificate);
    return NULL;
}

static sl_err write_pair(FILE *file, const char *path) {
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    X509 *certificate = key ? certify(key) : NULL;
    sl_err err = SL_OK;
    if (!certificate)
        err = fail_tls(SL_ERR_UNAVAILABLE, "no certificate can be made");
    else if (!PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) ||
             !PEM_write_X509(file, certificate) || fflush(file) != 0 || fsync(fileno(file)) != 0)
        err = sl_fail(SL_ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
    X509_free(certificate);
    EVP_PKEY_free(key);
    return err;
}

static sl_err create_pair(const char *path) {
    char beside[PATH_BYTES + 16];
    snprintf(beside, sizeof beside, "%s.XXXXXX", path);
    int fd = mkostemp(beside, O_CLOEXEC); /* of mode 0600 */
    if (fd < 0)
        return sl_fail(SL_ERR_IO, "%s: cannot be created: %s", path, strerror(errno));
    FILE *file = fdopen(fd, "w");
    sl_err err = file ? write_pair(file, path) : sl_fail(SL_ERR_NO_MEMORY, "no memory for a file");
    if (err == SL_OK && link(beside, path) != 0 && errno != EEXIST)
        err = sl_fail(SL_ERR_IO, "%s: cannot be created: %s", path, strerror(errno));
    if (file)
        fclose(file);
    else
        close(fd);
    unlink(beside);
    return err;
}

static sl_err check_private(const char *path, bool directory) {
    struct stat found;
    if (lstat(path, &found) != 0)
        return sl_fail(errno == ENOENT ? SL_ERR_NOT_FOUND : SL_ERR_IO, "%s: %s", path,
                       strerror(errno));
    if (directory ? !S_ISDIR(found.st_mode) : !S_ISREG(found.st_mode))
        return sl_fail(SL_ERR_REFUSED, "%s is no %s", path,
                       directory ? "directory" : "regular file");
    if (found.st_uid != geteuid())
        return sl_fail(SL_ERR_REFUSED, "%s belongs to user %u, not to this one", path,
                       (unsigned)found.st_uid);
    if (found.st_mode & 077)
        return sl_fail(SL_ERR_REFUSED,
                       "%s has mode %03o, so that others may reach the key in it: chmod %s '%s'",
                       path, (unsigned)found.st_mode & 0777, directory ? "700" : "600", path);
    return SL_OK;
}

static sl_err own_file(const char *directory, char path[PATH_BYTES]) {
    if (mkdir(directory, 0700) != 0 && errno != EEXIST)
        return sl_fail(SL_ERR_IO, "%s: cannot be created: %s", directory, strerror(errno));
    SL_TRY(check_private(directory, true));
    if (snprintf(path, PATH_BYTES, "%s/%s", directory, SL_TLS_OWN_FILE) >= PATH_BYTES)
        return sl_fail(SL_ERR_INVALID, "a path of %zu bytes", strlen(directory));
    sl_err err = check_private(path, false);
    if (err != SL_ERR_NOT_FOUND)
        return err;
    SL_TRY(create_pair(path));
    return check_private(path, false);
}

/* ---- contexts ---- */

static sl_err create(bool server, sl_tls **out) {
    sl_tls *tls = calloc(1, sizeof *tls);
    if (!tls)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for TLS");
    tls->server = server;
    tls->context = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    if (!tls->context || !SSL_CTX_set_min_proto_version(tls->context, TLS1_3_VERSION)) {
        sl_tls_destroy(tls);
        return fail_tls(SL_ERR_UNAVAILABLE, "TLS 1.3 is not to be had");
    }
    SSL_CTX_set_mode(tls->context, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                       SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                       SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(tls->context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(tls->context, 0);
    *out = tls;
    return SL_OK;
}

void sl_tls_destroy(sl_tls *tls) {
    if (!tls)
        return;
    SSL_CTX_free(tls->context);
    free(tls);
}

static sl_err load_pair(sl_tls *tls, const char *certificate, const char *key) {
    char what[PATH_BYTES + 64];
    if (SSL_CTX_use_certificate_chain_file(tls->context, certificate) != 1) {
        snprintf(what, sizeof what, "%s: no certificate in PEM can be read", certificate);
        return fail_tls(SL_ERR_INVALID, what);
    }
    if (SSL_CTX_use_PrivateKey_file(tls->context, key, SSL_FILETYPE_PEM) != 1) {
        snprintf(what, sizeof what, "%s: no key of that certificate in PEM can be read", key);
        return fail_tls(SL_ERR_INVALID, what);
    }
    if (!fingerprint_of(SSL_CTX_get0_certificate(tls->context), tls->fingerprint))
        return fail_tls(SL_ERR_UNAVAILABLE, "no fingerprint can be made");
    return SL_OK;
}

static sl_err choose_pair(const sl_tls_server_options *options, sl_tls *tls) {
    char path[PATH_BYTES];
    if (!options->certificate_file != !options->key_file)
        return sl_fail(SL_ERR_INVALID, "a certificate and its key are given both or not at all");
    if (options->certificate_file) {
        SL_TRY(check_private(options->key_file, false));
        return load_pair(tls, options->certificate_file, options->key_file);
    }
    if (!options->directory)
        return sl_fail(SL_ERR_INVALID, "a gateway needs a directory for its keys");
    SL_TRY(own_file(options->directory, path));
    return load_pair(tls, path, path);
}

sl_err sl_tls_server(const sl_tls_server_options *options, sl_tls **out) {
    sl_tls *tls;
    SL_TRY(create(true, &tls));
    sl_err err = choose_pair(options, tls);
    if (err != SL_OK) {
        sl_tls_destroy(tls);
        return err;
    }
    *out = tls;
    return SL_OK;
}

static int check_pin(X509_STORE_CTX *store, void *argument) {
    const sl_tls *tls = argument;
    uint8_t found[SL_FINGERPRINT_BYTES];
    X509 *certificate = X509_STORE_CTX_get0_cert(store);
    if (certificate && fingerprint_of(certificate, found) &&
        memcmp(found, tls->fingerprint, sizeof found) == 0)
        return 1;
    X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_UNTRUSTED);
    return 0;
}

sl_err sl_tls_client(const uint8_t *fingerprint, const char *authority_file, sl_tls **out) {
    sl_tls *tls;
    if (!fingerprint && !authority_file)
        return sl_fail(SL_ERR_INVALID,
                       "how is the gateway to be known? Give its fingerprint, as it prints it, in "
                       "starlane://HOST:PORT#sha256:…, or the file of an authority");
    SL_TRY(create(false, &tls));
    SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);
    if (fingerprint) {
        memcpy(tls->fingerprint, fingerprint, SL_FINGERPRINT_BYTES);
        SSL_CTX_set_cert_verify_callback(tls->context, check_pin, tls);
    } else if (SSL_CTX_load_verify_locations(tls->context, authority_file, NULL) == 1) {
        tls->checks_host = true;
    } else {
        char what[PATH_BYTES + 64];
        snprintf(what, sizeof what, "%.4000s: no authority in PEM can be read", authority_file);
        sl_tls_destroy(tls);
        return fail_tls(SL_ERR_INVALID, what);
    }
    *out = tls;
    return SL_OK;
}
