/* The end of the network, as who runs it wishes: no more tasks are taken, those under way end or
 * their time does, clients get what is theirs and are told, and then all nodes stop. */
#include "actors/gateway/gateway_internal.h"

#define STEP_NS    (20 * SL_NS_PER_MS)
#define HANG_UP_NS (3 * SL_NS_PER_S) /* for links to take what waits */

static bool is_idle(const gateway *gw) {
    for (const gw_project *project = gw->projects; project; project = project->next)
        if (project->running > project->resting)
            return false;
    return gw->looks == 0; /* of a command that ended, its client is not told yet */
}

static bool is_alone(const gateway *gw) {
    for (const gw_session *session = gw->sessions; session; session = session->next)
        if (session->visitor)
            return false;
    return true;
}

/* A link ends once what waits in it has left. */
static void hang_up(gateway *gw) {
    gw->hanging_up = true;
    gw->hang_up_ns = sl_now_ns(gw->self) + HANG_UP_NS;
    for (gw_session *session = gw->sessions; session; session = session->next)
        gw_refuse(gw, session, SL_GATEWAY_WAS_ENDED);
}

/* What waits in sessions is on the way to links. */
static bool has_sent(const gateway *gw) {
    for (const gw_session *session = gw->sessions; session; session = session->next)
        if (session->visitor && session->stage == GW_OPEN && session->out.unsent)
            return false;
    return true;
}

void gw_drain_on(gateway *gw) {
    uint64_t now_ns = sl_now_ns(gw->self);
    bool late = now_ns >= gw->drain_ns;
    if (!gw->hanging_up && (late || (is_idle(gw) && has_sent(gw))))
        hang_up(gw);
    if (gw->hanging_up && (is_alone(gw) || now_ns >= gw->hang_up_ns))
        gw->options.stop(gw->self);
    else if (!sl_timer_start(gw->self, STEP_NS, GW_TIMER_DRAIN))
        gw->options.stop(gw->self);
}

void gw_drain(gateway *gw, uint64_t wait_ns) {
    bool first = !gw->draining;
    gw->draining = true;
    gw->drain_ns = sl_now_ns(gw->self) + wait_ns;
    for (gw_project *project = gw->projects; project; project = project->next)
        project->draining = true;
    if (first && !sl_timer_start(gw->self, STEP_NS, GW_TIMER_DRAIN))
        gw->options.stop(gw->self);
}
