/* What the files of config.h share. Nobody else includes it. */
#ifndef SL_RUNTIME_CONFIG_PRIVATE_H
#define SL_RUNTIME_CONFIG_PRIVATE_H

#include "runtime/config.h"

typedef struct sl_config_value {
    sl_option_value value; /* zero while unset */
    sl_config_source source;
    const char *text;   /* as written */
    const char *origin; /* the source's name for people */
    bool owned;         /* both are from the heap; else static */
} sl_config_value;

struct sl_config {
    sl_config_value values[SL_OPT_COUNT];
    sl_strbuf warnings;
};

/* Checks `text` and, unless a stronger source has spoken, puts it in force. */
sl_err sl_config_apply(sl_config *config, sl_opt id, sl_config_source source, const char *origin,
                       const char *text) SL_CHECKED;

#endif
