/* The end of a job as an environment says it. The first byte says by which variable. */
#include "mpi/slurm_time.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *names[] = {"STARLANE_END_TIME", "SLURM_JOB_END_TIME"};

static const char *look_up(void *context, const char *name) {
    const char *const *pair = context;
    return strcmp(pair[0], name) == 0 ? pair[1] : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    bool known = false;
    int64_t unix_s = 0;
    sl_slurm_time end;
    if (!size)
        return 0;
    char *text = strndup((const char *)data + 1, size - 1);
    const char *pair[] = {names[data[0] & 1], text};
    if (!text)
        abort();
    sl_err parsed = sl_slurm_time_parse(pair[0], text, &known, &unix_s);
    if (parsed != SL_OK && (parsed != SL_ERR_SYNTAX || !strstr(sl_err_detail(), pair[0])))
        abort();
    sl_err found = sl_slurm_time_of_job(0, 1700000000, &(sl_env){look_up, pair}, &end);
    if (*text && found != parsed)
        abort();
    if (*text && found == SL_OK && (end.known != known || (known && end.end_unix_s != unix_s)))
        abort();
    free(text);
    return 0;
}
