/* Defines the descriptors of the .def file named by SL_PROTOCOL, and registers them before main:
 * field offsets need the struct's name, which a field macro does not see, so each table is built in
 * a function where the struct goes by one name. */
#include "runtime/message.h"

#define SL_MESSAGE(name, id, lane, doc)                                                            \
    sl_message_type name##_type;                                                                   \
    __attribute__((constructor)) static void name##_define(void) {                                 \
        typedef struct name sl_self_;                                                              \
        sl_message_type *type_ = &name##_type;                                                     \
        sl_record *record_ = &type_->record;                                                       \
        const char *doc_ = (doc);                                                                  \
        const uint16_t id_ = (id);                                                                 \
        const sl_lane lane_ = (lane);                                                              \
        static const sl_field fields_[] = {
#define SL_RECORD(name, doc)                                                                       \
    sl_record name##_record;                                                                       \
    __attribute__((constructor)) static void name##_define(void) {                                 \
        typedef struct name sl_self_;                                                              \
        sl_message_type *type_ = NULL;                                                             \
        sl_record *record_ = &name##_record;                                                       \
        const char *doc_ = (doc);                                                                  \
        const uint16_t id_ = 0;                                                                    \
        const sl_lane lane_ = SL_LANE_LOCAL;                                                       \
        static const sl_field fields_[] = {
#define SL_FIELD_(field, kind, bound, record, doc)                                                 \
    {#field, (doc), (record), (uint32_t)offsetof(sl_self_, field), (bound), (kind)},
#define SL_U8(field, doc)           SL_FIELD_(field, SL_KIND_U8, 0, NULL, doc)
#define SL_U16(field, doc)          SL_FIELD_(field, SL_KIND_U16, 0, NULL, doc)
#define SL_U32(field, doc)          SL_FIELD_(field, SL_KIND_U32, 0, NULL, doc)
#define SL_U64(field, doc)          SL_FIELD_(field, SL_KIND_U64, 0, NULL, doc)
#define SL_I32(field, doc)          SL_FIELD_(field, SL_KIND_I32, 0, NULL, doc)
#define SL_I64(field, doc)          SL_FIELD_(field, SL_KIND_I64, 0, NULL, doc)
#define SL_F64(field, doc)          SL_FIELD_(field, SL_KIND_F64, 0, NULL, doc)
#define SL_ADDR(field, doc)         SL_FIELD_(field, SL_KIND_ADDR, 0, NULL, doc)
#define SL_BOOL(field, doc)         SL_FIELD_(field, SL_KIND_BOOL, 0, NULL, doc)
#define SL_TEXT(field, bound, doc)  SL_FIELD_(field, SL_KIND_TEXT, bound, NULL, doc)
#define SL_BYTES(field, bound, doc) SL_FIELD_(field, SL_KIND_BYTES, bound, NULL, doc)
#define SL_BLOB(field, doc)         SL_FIELD_(field, SL_KIND_BLOB, 0, NULL, doc)
#define SL_LIST(field, record, bound, doc)                                                         \
    SL_FIELD_(field, SL_KIND_LIST, bound, &record##_record, doc)
#define SL_END(name)                                                                               \
    { NULL, NULL, NULL, 0, 0, SL_KIND_U8 }                                                         \
    }                                                                                              \
    ;                                                                                              \
    static sl_step steps_[2 * (sizeof fields_ / sizeof *fields_)];                                 \
    sl_record_define(record_, #name, doc_, sizeof(sl_self_), fields_,                              \
                     sizeof fields_ / sizeof *fields_ - 1, steps_);                                \
    if (type_)                                                                                     \
        sl_message_define(type_, id_, lane_);                                                      \
    }
#include SL_PROTOCOL
#undef SL_FIELD_
#include "runtime/protocol_undef.h"
#undef SL_PROTOCOL
