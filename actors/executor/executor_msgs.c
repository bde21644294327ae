#include "actors/executor/executor_msgs.h"
#define SL_PROTOCOL "actors/executor/executor_msgs.def"
#include "runtime/protocol_define.h"

const char *sl_task_status_name(sl_task_status status) {
    static const char *const names[SL_TASK_STATUSES] = {
        [SL_TASK_DONE] = "done",           [SL_TASK_FAILED] = "failed",
        [SL_TASK_SIGNALLED] = "signalled", [SL_TASK_TIMED_OUT] = "timed_out",
        [SL_TASK_CANCELLED] = "cancelled", [SL_TASK_NOT_STARTED] = "not_started",
        [SL_TASK_SKIPPED] = "skipped",     [SL_TASK_LOST] = "lost",
    };
    return (unsigned)status < SL_TASK_STATUSES ? names[status] : "unknown";
}
