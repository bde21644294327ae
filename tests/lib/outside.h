/* What tests of the gateway share: a network in this process that listens, clients of it, and a
 * link that says what it likes. */
#ifndef SL_TESTS_OUTSIDE_H
#define SL_TESTS_OUTSIDE_H

#include <pthread.h>

#include "actors/gateway/gateway_msgs.h"
#include "net/link.h"
#include "starlane.h"

extern char outside_directory[512]; /* of the gateway */
extern char outside_url[600];

/* Two nodes and a gateway; sl_init()'s answer. sl_shutdown() ends them. */
int outside_begin(void);
/* The same with options, name and value by turns, until a NULL; NULL: none. */
int outside_begin_with(const char *const *more);
/* A new API key; sl_free(). */
char *outside_key(const char *project, const char *scopes);
/* A client with a key of its own; NULL, and the test has failed. */
sl_remote *outside_join(const char *project, const char *scopes);
/* A number of the project's status. */
uint64_t outside_field(sl_remote *remote, const char *name);

typedef struct raw {
    sl_net *net;
    sl_tls *tls;
    sl_link *link;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int opened, closed, messages;
    char session[SL_GATEWAY_SESSION_BYTES]; /* of a welcome */
    char why[800];
} raw;

void raw_dial(raw *of);                       /* until TLS stands */
void raw_enter(raw *of, const char *project); /* until the welcome */
void raw_say(raw *of, sl_gateway_kind kind, const void *record, const void *data, size_t more);
void raw_await(raw *of, const int *number); /* until it is not zero */
void raw_refused(raw *of, const char *why); /* closed, with a text that has that; and ends it */
void raw_hang_up(raw *of);

#endif
