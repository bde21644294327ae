/* What of include/starlane.h is about the library itself: version, errors, memory, the launcher. */
#include "starlane.h"

#include <stdlib.h>

#include "mpi/env.h"
#include "runtime/err.h"

#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)
#define VERSION  TEXT(SL_VERSION_MAJOR) "." TEXT(SL_VERSION_MINOR) "." TEXT(SL_VERSION_PATCH)

#if defined __clang__
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

#if defined __OPTIMIZE__
#define BUILD "optimised"
#else
#define BUILD "not optimised"
#endif

#if defined __SANITIZE_ADDRESS__
#define SANITIZER ", address sanitizer"
#elif defined __SANITIZE_THREAD__
#define SANITIZER ", thread sanitizer"
#else
#define SANITIZER ""
#endif

const char *sl_version(void) {
    return VERSION;
}

const char *sl_build_info(void) {
    return "starlane " VERSION " (" COMPILER ", " BUILD SANITIZER ")";
}

const char *sl_error_name(int error) {
    return sl_err_name((sl_err)error);
}

const char *sl_error_text(void) {
    return sl_err_detail();
}

void sl_free(void *memory) {
    free(memory);
}

int sl_launch_rank(void) {
    /* Open MPI; PMIx; PMI-1, PMI-2 (hydra, srun); Slurm without either. */
    static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "PMI_ID"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = sl_env_get(NULL, names[i]);
        if (value)
            return (int)strtol(value, NULL, 10);
    }
    return 0;
}
