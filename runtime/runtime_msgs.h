#ifndef SL_RUNTIME_MSGS_H
#define SL_RUNTIME_MSGS_H
#define SL_PROTOCOL "runtime/runtime_msgs.def"
#include "runtime/protocol.h"

/* The event a node_event message is about. */
static inline sl_event *node_event_of(const sl_message *message) {
    return (sl_event *)(uintptr_t)((const node_event *)message->body)->event;
}
#endif
