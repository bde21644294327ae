#include "sdk/task_errors.h"

#include <stdlib.h>
#include <string.h>

void sl_task_errors_fini(sl_task_errors *errors) {
    for (uint32_t i = 0; i < errors->kept_count; i++)
        free(errors->kept[i].text);
    memset(errors, 0, sizeof *errors);
}

bool sl_task_errors_wanted(const sl_task_errors *errors, uint64_t line) {
    return errors->kept_count < SL_TASK_ERRORS_KEPT ||
           line < errors->kept[SL_TASK_ERRORS_KEPT - 1].line;
}

void sl_task_errors_add(sl_task_errors *errors, uint64_t line, const char *text) {
    errors->total++;
    if (!sl_task_errors_wanted(errors, line))
        return;
    char *copy = strdup(text);
    if (!copy)
        return;
    if (errors->kept_count == SL_TASK_ERRORS_KEPT)
        free(errors->kept[--errors->kept_count].text);
    uint32_t at = errors->kept_count++;
    for (; at > 0 && errors->kept[at - 1].line > line; at--)
        errors->kept[at] = errors->kept[at - 1];
    errors->kept[at] = (sl_task_error){line, copy};
}

void sl_task_errors_print(const sl_task_errors *errors, FILE *stream) {
    for (uint32_t i = 0; i < errors->kept_count; i++)
        fprintf(stream, "%s\n", errors->kept[i].text);
    uint64_t rest = errors->total - errors->kept_count;
    if (rest > 0)
        fprintf(stream, "... and %llu more bad line%s\n", (unsigned long long)rest,
                rest == 1 ? "" : "s");
}
