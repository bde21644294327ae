/* TLS 1.3 for links: who a server is, and whom a client believes.
 *
 * A server has a certificate and its key: files that are given, or made by itself at its first
 * start (self-signed, Ed25519) and kept in a directory of mode 0700. A client believes the one
 * certificate whose fingerprint (SHA-256 of it) it was told, or those that an authority in a file
 * vouches for under the host's name. One of the two it must have: there is no unchecked link.
 *
 * A context is read-only once made: any thread, several links. */
#ifndef SL_NET_TLS_H
#define SL_NET_TLS_H

#include <stdbool.h>

#include "net/address.h"
#include "runtime/err.h"

typedef struct sl_tls sl_tls;

#define SL_TLS_OWN_FILE "gateway.pem" /* key and certificate, of mode 0600 */

typedef struct sl_tls_server_options {
    const char *directory;                   /* made if need be; where the files are not given */
    const char *certificate_file, *key_file; /* PEM; both or none */
} sl_tls_server_options;

/* Blocks for the disk. SL_ERR_REFUSED: files that others may read; SL_ERR_INVALID, SL_ERR_IO. */
sl_err sl_tls_server(const sl_tls_server_options *options, sl_tls **tls) SL_CHECKED;

/* Believes `fingerprint` if it is not NULL, else the authorities in `authority_file` (PEM).
 * SL_ERR_INVALID when both are NULL. */
sl_err sl_tls_client(const uint8_t *fingerprint, const char *authority_file,
                     sl_tls **tls) SL_CHECKED;

void sl_tls_destroy(sl_tls *tls); /* after its links have ended; NULL is fine */

/* A server's own fingerprint. */
const uint8_t *sl_tls_fingerprint(const sl_tls *tls);

/* For links: a struct ssl_ctx_st *, and whether it checks the host's name. */
struct ssl_ctx_st *sl_tls_context(const sl_tls *tls);
bool sl_tls_is_server(const sl_tls *tls);
bool sl_tls_checks_host(const sl_tls *tls);

/* What OpenSSL has to say of its last error, a line; its queue is emptied. */
const char *sl_tls_reason(char *text, size_t size);

#endif
