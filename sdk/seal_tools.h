/* What sealing and opening take, a pair for the time of one: kept for the next, as making them
 * costs more than a small envelope. Any thread. */
#ifndef SL_SDK_SEAL_TOOLS_H
#define SL_SDK_SEAL_TOOLS_H

#include <pthread.h>

#include "actors/secure/opener.h"
#include "actors/secure/sealer.h"

typedef struct sl_seal_tools {
    struct sl_seal_tools *next;
    sl_opener *opener;
    sl_sealer *sealer;
} sl_seal_tools;

typedef struct sl_seal_toolbox {
    pthread_mutex_t lock;
    sl_seal_tools *idle;
} sl_seal_toolbox;

void sl_seal_toolbox_init(sl_seal_toolbox *box);
/* All that were borrowed have been given back. */
void sl_seal_toolbox_fini(sl_seal_toolbox *box);

sl_err sl_seal_tools_borrow(sl_seal_toolbox *box, sl_seal_tools **borrowed) SL_CHECKED;
void sl_seal_tools_give_back(sl_seal_toolbox *box, sl_seal_tools *tools);

#endif
