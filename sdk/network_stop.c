#include "sdk/network_stop.h"

#include "runtime/runtime_msgs.h"
#include "sdk/network.h"

void sl_network_stop_all(sl_actor *self, uint32_t code) {
    sl_node *node = sl_actor_node(self);
    node_stop stop = {code};
    for (uint32_t i = 0; i < sl_node_count(node); i++)
        if (i != sl_node_id(node))
            (void)node_stop_send(self, sl_addr_well_known(i, SL_SLOT_NODE), &stop);
    sl_node_stop(node, code);
}

static sl_err stopper_receive(sl_actor *self, void *state, const sl_message *message) {
    (void)state;
    if (message->type->id == node_event_id) {
        sl_network_ending *ending = (sl_network_ending *)node_event_of(message);
        sl_network_stop_all(self, ending->code);
    }
    return SL_OK;
}

const sl_actor_class sl_network_stopper_class = {.name = "stopper", .receive = stopper_receive};

static void tell(sl_network *network) {
    sl_network_ending *ending = &network->ending;
    if (!ending->asked || !ending->serving || ending->told)
        return;
    ending->told = true;
    ending->event.to = sl_addr_well_known(network->nodes[0].rank, SL_SLOT_DRIVER);
    sl_notify(network->nodes[0].node, &ending->event);
}

void sl_network_set_serving(sl_network *network, bool serving) {
    pthread_mutex_lock(&network->ending.lock);
    network->ending.serving = serving;
    tell(network);
    pthread_mutex_unlock(&network->ending.lock);
}

int sl_network_stop(sl_network *network, int code) {
    if (code < 0 || code > 255)
        return sl_fail(SL_ERR_INVALID, "%d is no exit code: 0 to 255", code);
    pthread_mutex_lock(&network->ending.lock);
    if (!network->ending.asked)
        network->ending.code = (uint32_t)code;
    network->ending.asked = true;
    tell(network);
    pthread_mutex_unlock(&network->ending.lock);
    return SL_OK;
}
