/* How a list of API keys and quotas looks, to people and programs. */
#ifndef SL_SDK_KEY_TEXT_H
#define SL_SDK_KEY_TEXT_H

#include "actors/gateway/key_store.h"

/* `*text` is the caller's. SL_ERR_NO_MEMORY, SL_ERR_TOO_LARGE. */
sl_err sl_key_list_text(const sl_key_list *list, int json, char **text) SL_CHECKED;

#endif
