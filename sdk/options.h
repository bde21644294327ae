/* The options of include/starlane.h, as the rest of sdk/ sees them. */
#ifndef SL_SDK_OPTIONS_H
#define SL_SDK_OPTIONS_H

#include "runtime/config.h"
#include "starlane.h"

struct sl_options {
    sl_config *config;
};

#endif
