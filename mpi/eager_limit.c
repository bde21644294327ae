/* Design notes
 * Open MPI counts its own header into the limit, and reads OMPI_MCA_* from this process's
 * environment in MPI_Init, under mpirun as well. Raising vader's limit from 4 to 16 KiB costs no
 * memory at rest: its fragments are cut from a segment of fixed size. The component is called vader
 * up to 4.1 and sm in 5. */
#include "mpi/eager_limit.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

#include "mpi/env.h"

#define VADER_VARIABLE "OMPI_MCA_btl_vader_eager_limit"
#define SM_VARIABLE    "OMPI_MCA_btl_sm_eager_limit"

enum { DEFAULT_LIMIT_BYTES = 4096 };
enum { HEADER_ROOM_BYTES = 256 }; /* more than ob1 and the component put before a message */

void sl_mpi_eager_limit_request(void) {
    char text[16];
    snprintf(text, sizeof text, "%d", SL_MPI_FRAME_PREFERRED_BYTES + HEADER_ROOM_BYTES);
    setenv(VADER_VARIABLE, text, 0);
    setenv(SM_VARIABLE, text, 0);
}

/* The unsigned integer a control variable holds, or 0 when its type is another. */
static size_t variable_value(MPI_T_cvar_handle handle, MPI_Datatype type) {
    unsigned u = 0;
    unsigned long ul = 0;
    unsigned long long ull = 0;
    if (type == MPI_UNSIGNED && MPI_T_cvar_read(handle, &u) == MPI_SUCCESS)
        return u;
    if (type == MPI_UNSIGNED_LONG && MPI_T_cvar_read(handle, &ul) == MPI_SUCCESS)
        return ul;
    if (type == MPI_UNSIGNED_LONG_LONG && MPI_T_cvar_read(handle, &ull) == MPI_SUCCESS)
        return (size_t)ull;
    return 0;
}

/* The value of a control variable, or 0 when there is none of that name, bound to nothing, and
 * integer. */
static size_t variable_read(const char *name) {
    int index, verbosity, bind, scope, count = 0, name_bytes = 0, description_bytes = 0;
    MPI_Datatype type;
    MPI_T_enum enumeration;
    MPI_T_cvar_handle handle;
    if (MPI_T_cvar_get_index(name, &index) != MPI_SUCCESS ||
        MPI_T_cvar_get_info(index, NULL, &name_bytes, &verbosity, &type, &enumeration, NULL,
                            &description_bytes, &bind, &scope) != MPI_SUCCESS ||
        bind != MPI_T_BIND_NO_OBJECT ||
        MPI_T_cvar_handle_alloc(index, NULL, &handle, &count) != MPI_SUCCESS)
        return 0;
    size_t value = count == 1 ? variable_value(handle, type) : 0;
    MPI_T_cvar_handle_free(&handle);
    return value;
}

/* The frame that fits under `limit` too; 0: the limit is not known. */
static size_t fit(size_t bytes, size_t limit) {
    if (limit <= HEADER_ROOM_BYTES)
        return bytes;
    return limit - HEADER_ROOM_BYTES < bytes ? limit - HEADER_ROOM_BYTES : bytes;
}

/* The limit as the environment has it, with Open MPI's suffixes; what does not parse is its
 * default. */
static size_t environment_read(const char *name) {
    char *end;
    const char *text = sl_env_get(NULL, name);
    if (!text)
        return 0;
    unsigned long value = strtoul(text, &end, 10);
    unsigned shift = *end == 'k' || *end == 'K' ? 10 : *end == 'm' || *end == 'M' ? 20 : 0;
    if (end == text || (*end && (!shift || end[1])) || value > (1ul << 30))
        return DEFAULT_LIMIT_BYTES;
    return (size_t)value << shift;
}

static size_t frame_by_environment(void) {
    size_t bytes = fit(SL_MPI_FRAME_PREFERRED_BYTES, environment_read(VADER_VARIABLE));
    bytes = fit(bytes, environment_read(SM_VARIABLE));
    return fit(bytes, environment_read("OMPI_MCA_btl_tcp_eager_limit"));
}

static size_t frame_by_tools(void) {
    static const char *const names[] = {"btl_vader_eager_limit", "btl_sm_eager_limit",
                                        "btl_tcp_eager_limit"};
    size_t bytes = SL_MPI_FRAME_PREFERRED_BYTES;
    int provided;
    if (MPI_T_init_thread(MPI_THREAD_SINGLE, &provided) != MPI_SUCCESS)
        return bytes;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        bytes = fit(bytes, variable_read(names[i]));
    MPI_T_finalize();
    return bytes;
}

size_t sl_mpi_eager_frame_bytes(bool requested) {
    size_t bytes = requested ? frame_by_environment() : frame_by_tools();
    return bytes < SL_MPI_FRAME_LEAST_BYTES ? SL_MPI_FRAME_LEAST_BYTES : bytes;
}
