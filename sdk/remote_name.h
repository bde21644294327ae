/* Objects from outside: how they are called on the wire, and told apart in a program. */
#ifndef SL_SDK_REMOTE_NAME_H
#define SL_SDK_REMOTE_NAME_H

#include "actors/store/store.h"
#include "starlane.h"

/* The name of an object over a connection: no node has it. */
static inline sl_store_id sl_remote_name_of(uint64_t number) {
    return (sl_store_id){.node = UINT32_MAX, .sequence = number};
}

/* 0: that is none. */
static inline uint64_t sl_remote_number_of(sl_store_id id) {
    return id.node == UINT32_MAX && id.incarnation == 0 ? id.sequence : 0;
}

/* An sl_object is a handle of this process's store, or, with the lowest bit set, an object of a
 * connection: both are aligned. */
typedef struct sl_remote_object sl_remote_object;

static inline bool sl_object_is_remote(const sl_object *object) {
    return (uintptr_t)object & 1;
}

static inline sl_remote_object *sl_remote_object_of(const sl_object *object) {
    return (sl_remote_object *)((uintptr_t)object & ~(uintptr_t)1);
}

static inline sl_object *sl_remote_object_as(sl_remote_object *object) {
    return (sl_object *)((uintptr_t)object | 1);
}

/* remote_object.c: what object.c does for objects of a connection. */
int sl_remote_object_get(sl_remote_object *object, double timeout_s, sl_view *view);
void sl_remote_object_retain(sl_remote_object *object);
void sl_remote_object_release(sl_remote_object *object);

#endif
