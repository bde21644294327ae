/* What the key of a session lets it do, and the quota of its project. Each answers with why not, or
 * NULL. */
#include <string.h>

#include "actors/executor/executor_msgs.h"
#include "actors/gateway/gateway_internal.h"

static const char no_commands[] = "this API key may not run commands: it lacks the scope command";

const char *gw_over_quota(const gw_session *session, uint32_t scope, uint64_t bytes) {
    const gw_project *project = session->project;
    const sl_quota *quota = &project->quota;
    if (project->draining)
        return "the network is about to end: it takes no more tasks";
    if (session->running >= TASKS_MOST)
        return "too many tasks are under way on this connection: wait for some";
    if (quota->tasks && project->running >= quota->tasks)
        return "the project has as many tasks under way as its quota allows: wait for some";
    return gw_over_bytes(session, scope, bytes);
}

const char *gw_over_bytes(const gw_session *session, uint32_t scope, uint64_t bytes) {
    const gw_project *project = session->project;
    const sl_quota *quota = &project->quota;
    if (!(session->scopes & scope))
        return scope == SL_SCOPE_COMMAND ? no_commands
                                         : "this API key may not submit: it lacks the scope submit";
    if (quota->payload_bytes && project->held_bytes + bytes > quota->payload_bytes)
        return "the project's tasks under way hold as many bytes as its quota allows";
    if (quota->ucu_s > 0 && project->ucu_s >= quota->ucu_s)
        return "the project has used its quota of UCU seconds";
    return NULL;
}

/* Not every function is for everybody. One whose name has a `/`, or that carries a sealed one, is a
 * module's, which its client brings along: loading one is as powerful as being a node. */
const char *gw_may_call(gateway *gw, gw_session *session, const gateway_task *wish) {
    if (!(session->scopes & SL_SCOPE_COMMAND) &&
        strcmp(wish->function.data, SL_SEALED_COMMAND) == 0)
        return no_commands;
    if (!memchr(wish->function.data, '/', wish->function.bytes) &&
        strcmp(wish->function.data, SL_SEALED_MODULE) != 0)
        return NULL;
    bool may = session->scopes & SL_SCOPE_MODULE;
    if (strcmp(session->module_task, wish->function.data) != 0) { /* not for each of many */
        gw_copy_text(session->module_task, sizeof session->module_task, wish->function);
        gw_audit(gw, session, "module", may ? "ok" : "refused", "from task %llu on: %s",
                 (unsigned long long)wish->number, session->module_task);
    }
    return may ? NULL : "this API key may not bring modules: it lacks the scope module";
}
