/* Typed messages. A type is defined once, in a .def file:
 *
 *   SL_RECORD(registry_entry, "one node as another sees it")
 *   SL_U32(node, "rank")
 *   SL_TEXT(region, 63, "its region")
 *   SL_END(registry_entry)
 *   SL_MESSAGE(registry_gossip, 0x0101, SL_LANE_CONTROL, "what I know of the network")
 *   SL_LIST(entries, registry_entry, 64, "some nodes")
 *   SL_END(registry_gossip)
 *
 * `#define SL_PROTOCOL "actors/registry/registry_msgs.def"` + `#include "runtime/protocol.h"`
 * declares the structs, ids and typed send functions; `#include "runtime/protocol_define.h"` in one
 * .c file defines the descriptors. From the descriptor this module encodes, decodes with bounds,
 * copies, prints and generates.
 *
 * On the wire: fields in order, little endian, unpadded; text and bytes as u32 length + content;
 * lists as u32 count + records; blobs as one tag byte and either their bytes or the transfer that
 * brings them. In memory: the C struct, and behind it in the same allocation whatever it points to.
 * Text is NUL-terminated there. A type whose struct equals its wire form is `flat` and moves by
 * memcpy. */
#ifndef SL_RUNTIME_MESSAGE_H
#define SL_RUNTIME_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/address.h"
#include "runtime/blob.h"
#include "runtime/err.h"
#include "runtime/rng.h"
#include "runtime/strbuf.h"

/* Control messages overtake data messages, are never refused for a full mailbox, and must be small:
 * no blob. Local messages carry pointers; a frame that holds one is refused. */
typedef enum sl_lane { SL_LANE_CONTROL, SL_LANE_DATA, SL_LANES, SL_LANE_LOCAL = SL_LANES } sl_lane;

typedef enum sl_kind {
    SL_KIND_U8,
    SL_KIND_U16,
    SL_KIND_U32,
    SL_KIND_U64,
    SL_KIND_I32,
    SL_KIND_I64,
    SL_KIND_F64,
    SL_KIND_ADDR,
    SL_KIND_BOOL, /* 0 or 1; anything else does not decode */
    SL_KIND_TEXT,
    SL_KIND_BYTES,
    SL_KIND_LIST,
    SL_KIND_BLOB
} sl_kind;

typedef struct sl_text {
    const char *data;
    uint32_t bytes; /* without the terminator */
} sl_text;

typedef struct sl_bytes {
    const uint8_t *data;
    uint32_t bytes;
} sl_bytes;

/* The common shape of every SL_LIST member. */
typedef struct sl_list {
    const void *items;
    uint32_t count;
} sl_list;

typedef struct sl_record sl_record;

typedef struct sl_field {
    const char *name;
    const char *doc;
    const sl_record *record; /* of SL_KIND_LIST */
    uint32_t offset;
    uint32_t bound; /* greatest length or count */
    sl_kind kind;
} sl_field;

/* What copying, encoding and decoding do with one field, or with neighbours that lie alike in the
 * struct and on the wire. */
typedef enum sl_step_kind {
    SL_STEP_RUN, /* plain bytes of one or more scalars */
    SL_STEP_BOOL,
    SL_STEP_TEXT,
    SL_STEP_BYTES,
    SL_STEP_LIST,
    SL_STEP_BLOB
} sl_step_kind;

typedef struct sl_step {
    const sl_field *field;   /* the (first) field */
    const sl_record *record; /* of SL_STEP_LIST */
    uint32_t offset;
    uint32_t bytes; /* of a run; else the field's bound */
    sl_step_kind kind;
} sl_step;

struct sl_record {
    const char *name;
    const char *doc;
    const sl_field *fields;
    uint32_t field_count;
    uint32_t bytes; /* sizeof the struct */
    bool flat;
    uint32_t step_count;
    uint32_t tail_count;
    uint32_t wire_least;  /* bytes on the wire when every text, list and blob is empty */
    const sl_step *steps; /* all fields, in order */
    const sl_step *tails; /* of the steps, those that point elsewhere */
};

typedef struct sl_message_type {
    sl_record record;
    uint16_t id;
    sl_lane lane;
    bool has_blobs;
} sl_message_type;

enum {
    SL_MESSAGE_MAX_BLOBS = 4,
    SL_MESSAGE_MAX_DEPTH = 4,                /* of lists within lists */
    SL_MESSAGE_MAX_BYTES = 256 * 1024 * 1024 /* encoded, blobs not counted */
};

/* A text from a C string (borrowed); NULL gives the empty text. */
sl_text sl_text_of(const char *string);

/* Called before main by protocol_define.h. `steps` is room for 2 * count, and stays the record's.
 */
void sl_record_define(sl_record *record, const char *name, const char *doc, size_t bytes,
                      const sl_field *fields, size_t count, sl_step *steps);
void sl_message_define(sl_message_type *type, uint16_t id, sl_lane lane);

/* The type with this id, or NULL; and all of them, for tests, docs and fuzzing. Any thread. */
const sl_message_type *sl_message_type_of(uint16_t id);
size_t sl_message_types(const sl_message_type **types, size_t capacity);

/* ---- records on the wire ---- */

/* A blob of a message that is being encoded or decoded: where the pointer lies in the struct, and,
 * when it travels as bulk data, its transfer. */
typedef struct sl_blob_part {
    uint32_t offset;
    uint64_t id;
    uint64_t bytes;
} sl_blob_part;

typedef struct sl_blob_parts {
    sl_blob_part part[1 + SL_MESSAGE_MAX_BLOBS]; /* a body may itself come as bulk data */
    uint32_t count;
    uint64_t next_id; /* encoder: the id of the next transfer */
} sl_blob_parts;

/* Blobs up to this size travel inside the frame. */
#define SL_BLOB_INLINE_BYTES 2048

/* Bytes `body` takes when encoded. */
size_t sl_record_wire_bytes(const sl_record *record, const void *body);

/* SL_ERR_TOO_LARGE, naming the field, when a length or count of `body` is over its bound. */
sl_err sl_record_check(const sl_record *record, const void *body) SL_CHECKED;

/* Checks like sl_record_check(), and says in the same walk what the body takes encoded and what a
 * deep copy of it takes. */
typedef struct sl_record_size {
    size_t wire_bytes;
    size_t memory_bytes;
} sl_record_size;
sl_err sl_record_survey(const sl_record *record, const void *body, sl_record_size *size) SL_CHECKED;

/* Encodes a checked body to `out`, which has sl_record_wire_bytes() of room; returns the end.
 * Larger blobs are noted in `parts` (NULL for records without blobs). */
uint8_t *sl_record_encode(const sl_record *record, const void *body, uint8_t *out,
                          sl_blob_parts *parts);

/* Checks `bytes` of hostile wire data and says what memory the body takes (struct and tail).
 * SL_ERR_DECODE when anything is cut, over its bound, or left over. */
sl_err sl_record_measure(const sl_record *record, const uint8_t *wire, size_t bytes,
                         size_t *memory_bytes) SL_CHECKED;

/* Decodes measured wire data into `memory` (8-byte aligned, memory_bytes of room). Inline blobs are
 * created; transfers are noted in `parts` and their pointers left NULL. Fails only for memory. */
sl_err sl_record_decode(const sl_record *record, const uint8_t *wire, size_t bytes, void *memory,
                        sl_blob_parts *parts) SL_CHECKED;

/* ---- records in memory ---- */

/* Memory a deep copy takes, and the copy itself; blobs are retained. */
size_t sl_record_memory_bytes(const sl_record *record, const void *body);
void sl_record_copy(const sl_record *record, const void *body, void *memory);

/* Drops the references a body holds on its blobs. */
void sl_record_release(const sl_record *record, void *body);

/* Deep equality, blobs by content. */
bool sl_record_equal(const sl_record *record, const void *a, const void *b);

/* One JSON object; bytes and blobs by their length only, so that payloads never reach a log. */
void sl_record_json(const sl_record *record, const void *body, sl_strbuf *out);

/* A random valid body with small lengths, heap-allocated in one piece: end with sl_record_release()
 * and free(). For tests, fuzzing and the simulator. NULL when out of memory. */
void *sl_record_generate(const sl_record *record, sl_rng *rng);

#endif
