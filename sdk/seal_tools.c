#include "sdk/seal_tools.h"

#include <stdlib.h>

static void tools_destroy(sl_seal_tools *t) {
    sl_opener_destroy(t->opener);
    sl_sealer_destroy(t->sealer);
    free(t);
}

static sl_err tools_create(sl_seal_tools **made) {
    sl_seal_tools *t = calloc(1, sizeof *t);
    if (!t)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory to seal and open");
    sl_err err = sl_opener_create(&t->opener);
    if (err == SL_OK)
        err = sl_sealer_create(&t->sealer);
    if (err != SL_OK) {
        tools_destroy(t);
        return err;
    }
    *made = t;
    return SL_OK;
}

void sl_seal_toolbox_init(sl_seal_toolbox *box) {
    pthread_mutex_init(&box->lock, NULL);
    box->idle = NULL;
}

void sl_seal_toolbox_fini(sl_seal_toolbox *box) {
    for (sl_seal_tools *t; (t = box->idle);) {
        box->idle = t->next;
        tools_destroy(t);
    }
    pthread_mutex_destroy(&box->lock);
}

sl_err sl_seal_tools_borrow(sl_seal_toolbox *box, sl_seal_tools **borrowed) {
    pthread_mutex_lock(&box->lock);
    sl_seal_tools *t = box->idle;
    if (t)
        box->idle = t->next;
    pthread_mutex_unlock(&box->lock);
    if (!t)
        return tools_create(borrowed);
    *borrowed = t;
    return SL_OK;
}

void sl_seal_tools_give_back(sl_seal_toolbox *box, sl_seal_tools *t) {
    sl_opener_end(t->opener);
    sl_sealer_end(t->sealer);
    pthread_mutex_lock(&box->lock);
    t->next = box->idle;
    box->idle = t;
    pthread_mutex_unlock(&box->lock);
}
