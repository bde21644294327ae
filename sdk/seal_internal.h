/* Sealing from inside: seal_keys.c (a client's keys), seal_nodes.c (whom to seal for), seal.c
 * (sealing), seal_open.c (the ends of futures). */
#ifndef SL_SDK_SEAL_INTERNAL_H
#define SL_SDK_SEAL_INTERNAL_H

#include <pthread.h>

#include "actors/secure/trust.h"
#include "sdk/seal.h"
#include "sdk/seal_tools.h"
#include "sdk/sealed_body.h"

enum { SL_SEAL_SOURCES_MOST = 8 };

/* A node that may be sealed for. */
typedef struct sl_seal_known {
    uint32_t node;
    sl_peer peer;
} sl_seal_known;

/* What was learned from a source. */
typedef struct sl_seal_learned {
    uint64_t source, at_ns;
    sl_seal_known *nodes;
    uint32_t count;
} sl_seal_learned;

struct sl_keys {
    _Atomic uint32_t references;
    sl_identity *identity;
    sl_trust *trust;
    _Atomic uint32_t next_group;
    sl_seal_toolbox tools;
    pthread_mutex_t lock;                          /* what follows */
    sl_seal_learned learned[SL_SEAL_SOURCES_MOST]; /* that learned last is the first */
};

struct sl_future_seal {
    sl_keys *keys;
    uint64_t source;
    uint8_t id[SL_ENVELOPE_ID_BYTES];
    bool raw;     /* the result is bytes */
    bool command; /* … or how a command ended */
    bool module;  /* of a task of a module */
    pthread_mutex_t lock;
    _Atomic uint32_t settled;
    sl_opened opened;
    sl_blob *apart;
};

/* One owner less. NULL is fine. */
void sl_keys_drop(sl_keys *keys);

/* The nodes of a source whose credentials hold: learned a while ago at most, else asked for. The
 * list is the caller's. */
sl_err sl_seal_learn(sl_keys *keys, const sl_seal_source *source, sl_seal_known **nodes,
                     uint32_t *count) SL_CHECKED;
/* What was learned of it is wrong. */
void sl_seal_forget(sl_keys *keys, uint64_t source);
/* Leaves of them those named, of these one group, each key once; with a bit for each node. */
sl_err sl_seal_choose(sl_keys *keys, const sl_seal *seal, sl_seal_known *nodes, uint32_t *count,
                      sl_seal_made *made) SL_CHECKED;

#endif
