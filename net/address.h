/* Where a gateway is: HOST:PORT, and as a URL with what its certificate must be.
 *
 *   starlane://HOST[:PORT][#FINGERPRINT]
 *
 * HOST is a name, an IPv4 address, or an IPv6 address in brackets. FINGERPRINT is "sha256:" and 64
 * hexadecimal digits, as a gateway prints it. */
#ifndef SL_NET_ADDRESS_H
#define SL_NET_ADDRESS_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/err.h"

enum { SL_NET_PORT = 7433, SL_HOST_MOST = 253, SL_FINGERPRINT_BYTES = 32, SL_ENDPOINT_TEXT = 280 };

typedef struct sl_address {
    char host[SL_HOST_MOST + 1]; /* without brackets; "" of ":PORT": every address of the machine */
    uint16_t port;
    bool pinned;
    uint8_t fingerprint[SL_FINGERPRINT_BYTES]; /* when pinned */
} sl_address;

/* SL_ERR_SYNTAX says what is wrong with it and how it is written. */
sl_err sl_address_parse(const char *text, sl_address *address) SL_CHECKED; /* HOST[:PORT] */
sl_err sl_url_parse(const char *url, sl_address *address) SL_CHECKED;

/* "sha256:…"; `text` has room for SL_FINGERPRINT_TEXT. */
enum { SL_FINGERPRINT_TEXT = 7 + 2 * SL_FINGERPRINT_BYTES + 1 };
void sl_fingerprint_print(const uint8_t fingerprint[SL_FINGERPRINT_BYTES], char *text);
sl_err sl_fingerprint_parse(const char *text, uint8_t fingerprint[SL_FINGERPRINT_BYTES]) SL_CHECKED;

/* "host:port", an IPv6 address in brackets; `text` has room for SL_ENDPOINT_TEXT. */
void sl_endpoint_print(const char *host, uint16_t port, char *text);

#endif
