/* API keys of every kind for a gateway, in a store of their own that is gone when the program ends.
 * Aborts where it cannot make them. */
#ifndef SL_TESTS_MADE_KEYS_H
#define SL_TESTS_MADE_KEYS_H

#include "actors/gateway/key_store.h"

/* Once. Project q has a quota: 5 UCU seconds, 3 tasks, 200 bytes, 9 of output. */
sl_key_store *made_keys(void);

/* The text of one, in turn: of project p with all scopes, to submit alone, to read alone, one that
 * was revoked, one that has expired, and one of project q. */
const char *made_key(uint32_t which);

/* Where they are. */
const char *made_keys_directory(void);

#endif
