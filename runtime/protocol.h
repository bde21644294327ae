/* Declares what the .def file named by SL_PROTOCOL defines: a struct, an id NAME_id, a descriptor
 * NAME_type and a function NAME_send() for each message; a struct and NAME_record for each record.
 * No include guard: each protocol header includes this once with its own SL_PROTOCOL. */
#include "runtime/actor.h"
#include "runtime/message.h"

#define SL_MESSAGE(name, id, lane, doc) typedef struct name {
#define SL_RECORD(name, doc)            typedef struct name {
#define SL_U8(field, doc)               uint8_t field;
#define SL_U16(field, doc)              uint16_t field;
#define SL_U32(field, doc)              uint32_t field;
#define SL_U64(field, doc)              uint64_t field;
#define SL_I32(field, doc)              int32_t field;
#define SL_I64(field, doc)              int64_t field;
#define SL_F64(field, doc)              double field;
#define SL_ADDR(field, doc)             sl_addr field;
#define SL_BOOL(field, doc)             bool field;
#define SL_TEXT(field, bound, doc)      sl_text field;
#define SL_BYTES(field, bound, doc)     sl_bytes field;
#define SL_BLOB(field, doc)             sl_blob *field;
#define SL_LIST(field, record, bound, doc)                                                         \
    struct {                                                                                       \
        const record *items;                                                                       \
        uint32_t count;                                                                            \
    } field;
#define SL_END(name)                                                                               \
    }                                                                                              \
    name;
#include SL_PROTOCOL
#include "runtime/protocol_undef.h"

#define SL_MESSAGE(name, id, lane, doc)                                                            \
    enum { name##_id = (id) };                                                                     \
    extern sl_message_type name##_type;                                                            \
    static inline sl_err name##_send(sl_actor *self, sl_addr to, const name *body) {               \
        return sl_send(self, to, &name##_type, body);                                              \
    }
#define SL_RECORD(name, doc) extern sl_record name##_record;
#define SL_U8(field, doc)
#define SL_U16(field, doc)
#define SL_U32(field, doc)
#define SL_U64(field, doc)
#define SL_I32(field, doc)
#define SL_I64(field, doc)
#define SL_F64(field, doc)
#define SL_ADDR(field, doc)
#define SL_BOOL(field, doc)
#define SL_TEXT(field, bound, doc)
#define SL_BYTES(field, bound, doc)
#define SL_BLOB(field, doc)
#define SL_LIST(field, record, bound, doc)
#define SL_END(name)
#include SL_PROTOCOL
#include "runtime/protocol_undef.h"
#undef SL_PROTOCOL
