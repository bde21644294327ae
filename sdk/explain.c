#include "starlane.h"
#include "runtime/err.h"
int sl_explain(const char *directory, const char *task, int json, char **text) {
    (void)directory;
    (void)task;
    (void)json;
    (void)text;
    return sl_fail(SL_ERR_UNAVAILABLE, "soon");
}
