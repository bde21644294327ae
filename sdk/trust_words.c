#include "sdk/trust_words.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { LINE_MOST = 512 };

static sl_err parse(const char *text, size_t bytes, uint8_t fingerprint[SL_KEY_FINGERPRINT_BYTES]) {
    char word[2 * SL_KEY_FINGERPRINT_BYTES + 1];
    if (bytes != sizeof word - 1)
        return SL_ERR_SYNTAX;
    memcpy(word, text, bytes);
    word[bytes] = '\0';
    return sl_hex_parse(word, SL_KEY_FINGERPRINT_BYTES, fingerprint);
}

sl_err sl_trust_pin_text(sl_trust *trust, const char *fingerprints) {
    uint8_t fingerprint[SL_KEY_FINGERPRINT_BYTES];
    for (const char *at = fingerprints; at;) {
        const char *end = strchrnul(at, ',');
        if (parse(at, (size_t)(end - at), fingerprint) != SL_OK)
            return sl_fail(SL_ERR_INVALID,
                           "authority %.80s: a fingerprint has %d hexadecimal digits", fingerprints,
                           2 * SL_KEY_FINGERPRINT_BYTES);
        SL_TRY(sl_trust_pin(trust, fingerprint));
        at = *end ? end + 1 : NULL;
    }
    return SL_OK;
}

static sl_err revoke_line(sl_trust *trust, const char *path, unsigned number, const char *line) {
    uint8_t fingerprint[SL_KEY_FINGERPRINT_BYTES];
    const char *word = line + strspn(line, " \t");
    size_t bytes = strcspn(word, " \t\r\n#");
    if (!bytes)
        return SL_OK;
    if (parse(word, bytes, fingerprint) != SL_OK ||
        !strchr("#\n", word[bytes + strspn(word + bytes, " \t\r")]))
        return sl_fail(SL_ERR_SYNTAX, "%s, line %u: a fingerprint has %d hexadecimal digits", path,
                       number, 2 * SL_KEY_FINGERPRINT_BYTES);
    return sl_trust_revoke(trust, fingerprint);
}

sl_err sl_trust_revoke_file(sl_trust *trust, const char *path) {
    char line[LINE_MOST];
    sl_err err = SL_OK;
    FILE *file = fopen(path, "re");
    if (!file)
        return sl_fail(SL_ERR_IO, "%s: cannot be opened: %s", path, strerror(errno));
    for (unsigned number = 1; err == SL_OK && fgets(line, sizeof line, file); number++)
        err = strlen(line) == sizeof line - 1
                  ? sl_fail(SL_ERR_SYNTAX, "%s, line %u: too long", path, number)
                  : revoke_line(trust, path, number, line);
    if (err == SL_OK && ferror(file))
        err = sl_fail(SL_ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
    fclose(file);
    return err;
}
