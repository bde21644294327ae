/* Whom to believe, as people write it: fingerprints in options and files. */
#ifndef SL_SDK_TRUST_WORDS_H
#define SL_SDK_TRUST_WORDS_H

#include "actors/secure/trust.h"

/* Pins "FINGERPRINT,FINGERPRINT". SL_ERR_INVALID says what is wrong. */
sl_err sl_trust_pin_text(sl_trust *trust, const char *fingerprints) SL_CHECKED;

/* Revokes those in a file: one a line, what follows a `#` is for people. Blocks for the disk. */
sl_err sl_trust_revoke_file(sl_trust *trust, const char *path) SL_CHECKED;

#endif
