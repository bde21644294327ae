/* Identities on disk. A directory of mode 0700 holds `identity` (0600, secret) and, beside it,
 * `certificate` (public). All of these block for the disk: not for the loop. */
#ifndef SL_SECURE_IDENTITY_FILE_H
#define SL_SECURE_IDENTITY_FILE_H

#include "actors/secure/identity.h"

#define SL_IDENTITY_FILE    "identity"
#define SL_CERTIFICATE_FILE "certificate"

/* Reads the identity in `directory`, with its certificate if there is one. SL_ERR_NOT_FOUND: there
 * is none. SL_ERR_REFUSED: directory or file could be read or changed by others, or is not what it
 * should be; SL_ERR_DECODE: damaged. Both say what to do. */
sl_err sl_identity_load(const char *directory, sl_identity **identity) SL_CHECKED;

/* The same, but makes the directory and a new identity when there is none yet; several processes
 * may do so at once, and get the same one. */
sl_err sl_identity_open(const char *directory, sl_identity **identity) SL_CHECKED;

/* Writes the identity with its encryption key in place of the file there is. */
sl_err sl_identity_save(const char *directory, const sl_identity *identity) SL_CHECKED;

/* Writes the certificate that it has adopted. */
sl_err sl_identity_save_certificate(const char *directory, const sl_identity *identity) SL_CHECKED;

#endif
