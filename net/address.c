#include "net/address.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEME "starlane://"
#define DIGEST "sha256:"

static sl_err parse_port(const char *text, size_t length, uint16_t *port) {
    unsigned long value = 0;
    for (size_t i = 0; i < length; i++) {
        if (!isdigit((unsigned char)text[i]))
            value = 65536;
        else if (value < 65536)
            value = 10 * value + (unsigned long)(text[i] - '0');
    }
    if (!length || value > 65535)
        return sl_fail(SL_ERR_SYNTAX, "port '%.*s' is no number of 0 to 65535",
                       (int)(length < 40 ? length : 40), text);
    *port = (uint16_t)value;
    return SL_OK;
}

static sl_err take_host(const char *text, size_t length, bool brackets, sl_address *address) {
    if (length > SL_HOST_MOST)
        return sl_fail(SL_ERR_SYNTAX, "a host of %zu bytes; at most %d", length, SL_HOST_MOST);
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (!isalnum(c) && c != '.' && c != '-' && c != '_' &&
            !(brackets && (c == ':' || c == '%')))
            return sl_fail(SL_ERR_SYNTAX,
                           "'%.*s' is no host: write HOST:PORT, an IPv6 address in brackets",
                           (int)length, text);
    }
    memcpy(address->host, text, length);
    address->host[length] = '\0';
    return SL_OK;
}

static sl_err parse_endpoint(const char *text, size_t length, sl_address *address) {
    sl_address parsed = {.port = SL_NET_PORT};
    const char *end = text + length, *host = text, *host_end, *rest;
    bool brackets = length && text[0] == '[';
    if (brackets) {
        host++;
        host_end = memchr(host, ']', (size_t)(end - host));
        if (!host_end)
            return sl_fail(SL_ERR_SYNTAX, "'%.*s' lacks its ]", (int)(length < 80 ? length : 80),
                           text);
        rest = host_end + 1;
    } else {
        host_end = memchr(text, ':', length);
        rest = host_end = host_end ? host_end : end;
    }
    SL_TRY(take_host(host, (size_t)(host_end - host), brackets, &parsed));
    if (brackets && !memchr(host, ':', (size_t)(host_end - host)))
        return sl_fail(SL_ERR_SYNTAX, "'%.*s': in brackets comes an IPv6 address",
                       (int)(length < 80 ? length : 80), text);
    if (rest < end && *rest != ':')
        return sl_fail(SL_ERR_SYNTAX, "'%.*s': after ] comes :PORT",
                       (int)(length < 80 ? length : 80), text);
    if (rest < end)
        SL_TRY(parse_port(rest + 1, (size_t)(end - rest) - 1, &parsed.port));
    *address = parsed;
    return SL_OK;
}

sl_err sl_address_parse(const char *text, sl_address *address) {
    return parse_endpoint(text, strlen(text), address);
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

sl_err sl_fingerprint_parse(const char *text, uint8_t fingerprint[SL_FINGERPRINT_BYTES]) {
    uint8_t parsed[SL_FINGERPRINT_BYTES];
    size_t digits = 2 * SL_FINGERPRINT_BYTES, skip = sizeof DIGEST - 1;
    bool good = strncmp(text, DIGEST, skip) == 0 && strlen(text) == skip + digits;
    for (size_t i = 0; good && i < SL_FINGERPRINT_BYTES; i++) {
        int high = hex_digit(text[skip + 2 * i]), low = hex_digit(text[skip + 2 * i + 1]);
        good = high >= 0 && low >= 0;
        parsed[i] = (uint8_t)(16 * (high & 15) + (low & 15));
    }
    if (!good)
        return sl_fail(SL_ERR_SYNTAX,
                       "'%.80s' is no fingerprint: " DIGEST " and %zu hexadecimal digits, as the "
                       "gateway prints it",
                       text, digits);
    memcpy(fingerprint, parsed, sizeof parsed);
    return SL_OK;
}

void sl_fingerprint_print(const uint8_t fingerprint[SL_FINGERPRINT_BYTES], char *text) {
    text += snprintf(text, sizeof DIGEST, DIGEST);
    for (size_t i = 0; i < SL_FINGERPRINT_BYTES; i++)
        text += snprintf(text, 3, "%02x", fingerprint[i]);
}

sl_err sl_url_parse(const char *url, sl_address *address) {
    sl_address parsed;
    if (strncmp(url, SCHEME, sizeof SCHEME - 1) != 0)
        return sl_fail(SL_ERR_SYNTAX,
                       "'%.80s' is no address of a gateway: " SCHEME "HOST:PORT#FINGERPRINT, as "
                       "starlane up prints it",
                       url);
    const char *place = url + sizeof SCHEME - 1;
    size_t length = strcspn(place, "#");
    const char *mark = place + length;
    if (length && place[length - 1] == '/')
        length--;
    SL_TRY(parse_endpoint(place, length, &parsed));
    if (!parsed.host[0])
        return sl_fail(SL_ERR_SYNTAX, "'%.80s' names no host", url);
    if (*mark) {
        SL_TRY(sl_fingerprint_parse(mark + 1, parsed.fingerprint));
        parsed.pinned = true;
    }
    *address = parsed;
    return SL_OK;
}

void sl_endpoint_print(const char *host, uint16_t port, char *text) {
    snprintf(text, SL_ENDPOINT_TEXT, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
}
