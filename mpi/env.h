/* Where environment variables are read from: the process's own, or a table in a test. */
#ifndef SL_MPI_ENV_H
#define SL_MPI_ENV_H

#include <stddef.h>
#include <stdlib.h>

typedef struct sl_env {
    /* The value of `name` or NULL; must stay valid while the reader works. NULL: the process's
     * environment. */
    const char *(*get)(void *context, const char *name);
    void *context;
} sl_env;

/* The value of `name`; NULL when it is unset or empty. `env` may be NULL: the process's
 * environment. */
static inline const char *sl_env_get(const sl_env *env, const char *name) {
    const char *value = env && env->get ? env->get(env->context, name) : getenv(name);
    return value && *value ? value : NULL;
}

#endif
