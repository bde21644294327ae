/* `starlane up`: a network that stays, for those who come from outside. */
#include "runtime/runtime_msgs.h"
#include "sdk/client.h"
#include "sdk/gateway_door.h"
#include "sdk/network.h"
#include "sdk/network_stop.h"
#include "sdk/run.h"

static sl_err receive(sl_actor *self, void *state, const sl_message *message) {
    (void)state;
    if (message->type->id == node_event_id)
        sl_network_stop_all(self, 0);
    return SL_OK;
}

static const sl_actor_class class = {.name = "up", .receive = receive};

const char *sl_gateway_url(const sl_network *network) {
    return network->gateway ? sl_gateway_place_url(network->gateway) : NULL;
}

/* Tasks of modules may submit others: there is a client, as sl_init() has one. */
static sl_err start(sl_network *network) {
    sl_addr self;
    network->stays = true;
    SL_TRY(sl_session_start(network));
    sl_node *node = network->nodes[0].node;
    SL_TRY(sl_node_spawn(node, SL_SLOT_FIRST_FREE, &class, NULL, 0, &self));
    sl_run_signals_to(node, self);
    return SL_OK;
}

static sl_err up(sl_network *network, FILE *messages, uint32_t *code) {
    SL_TRY(start(network));
    const char *url = sl_gateway_url(network);
    if (messages && url) {
        fprintf(messages, "starlane: %u node%s up; clients connect to\n%s\n", network->count,
                network->count == 1 ? "" : "s", url);
        fflush(messages);
    }
    return sl_network_loop(network, code);
}

int sl_up(sl_network *network, FILE *messages, int *code) {
    uint32_t stopped_with = 0;
    char cause[512];
    sl_run_signals_take();
    sl_err err = up(network, messages, &stopped_with);
    snprintf(cause, sizeof cause, "%s", err == SL_OK ? "" : sl_err_detail());
    sl_session_stop();
    sl_run_signals_release();
    if (network->nodes[0].node)
        sl_network_finish(network);
    sl_session_forget();
    *code = (int)stopped_with;
    return err == SL_OK ? SL_OK : sl_fail(err, "%s", cause);
}
