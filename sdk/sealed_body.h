/* What is inside the envelope of a sealed task, and of its result: a head and three sections, each
 * of which begins at a multiple of 64 bytes, so that values and large data are used where they
 * were opened.
 *
 *     form:4 code:4 bytes:8 of each section, filled up to 64 bytes; the sections
 *
 *     form      code    first                    second       third
 *     CALL      0       function's name          arguments    large data of the arguments
 *     COMMAND   0       executor_command         stdin
 *     ANSWER    sl_err  why it failed            output       large data of the output
 *     ENDED     exit    how it ended, in words   stdout       stderr
 *     MODULE    0       sl_module_sealed         arguments    large data of the arguments
 *
 * Both ways go chunk by chunk: sealing reads the parts where they lie, and opening writes each
 * chunk to its place, in the envelope's own memory if that is the opener's. So of a large payload
 * there is one copy beside the caller's, and never a second. */
#ifndef SL_SDK_SEALED_BODY_H
#define SL_SDK_SEALED_BODY_H

#include "actors/secure/opener.h"
#include "runtime/blob.h"

enum { SL_BODY_SECTIONS = 3, SL_BODY_ALIGN = 64, SL_BODY_PARTS_MOST = 3 + 2 * 4096 };

/* The numbers are on the wire. */
typedef enum sl_body_form {
    SL_BODY_CALL = 1,
    SL_BODY_COMMAND = 2,
    SL_BODY_ANSWER = 3,
    SL_BODY_ENDED = 4,
    SL_BODY_MODULE = 5
} sl_body_form;

/* A section to be sealed: parts one behind the other. With `consume` they are writable, and are
 * wiped as they are sealed; of large ones the pages are given back, so that a payload is never
 * there twice. */
typedef struct sl_section {
    const sl_part *parts;
    size_t count;
    bool consume;
} sl_section;

typedef struct sl_sealing {
    sl_body_form form;
    uint32_t code;
    sl_section sections[SL_BODY_SECTIONS];
} sl_sealing;

/* The bytes of the envelope that `request` (body_bytes is filled in here) makes of it. */
sl_err sl_sealing_measure(sl_seal_request *request, const sl_sealing *what,
                          size_t *size) SL_CHECKED;

/* Writes that envelope to `out`. The sealer keeps its id (sl_sealer_id()). */
sl_err sl_sealing_write(sl_sealer *sealer, const sl_seal_request *request, const sl_sealing *what,
                        uint8_t *out) SL_CHECKED;

typedef struct sl_opened {
    sl_body_form form;
    uint32_t code;
    sl_part sections[SL_BODY_SECTIONS];
    sl_blob *blob; /* owned; they lie in it */
    sl_peer sender;
    uint8_t id[SL_ENVELOPE_ID_BYTES]; /* the envelope's */
} sl_opened;

/* Opens an envelope that lies in `blob`; in place when nobody else has it. What was there is then
 * gone, also on failure. */
sl_err sl_opened_take(sl_opener *opener, const sl_open_request *request, sl_blob *blob,
                      sl_opened *opened) SL_CHECKED;

/* The same of bytes that are not to be changed. */
sl_err sl_opened_copy(sl_opener *opener, const sl_open_request *request, const void *envelope,
                      size_t size, sl_opened *opened) SL_CHECKED;

/* The third section as a blob of its own, which holds on to all of it; NULL when it is empty. */
sl_err sl_opened_apart(const sl_opened *opened, sl_blob **apart) SL_CHECKED;

/* Wipes and lets go. Zeroed is fine. */
void sl_opened_close(sl_opened *opened);

#endif
