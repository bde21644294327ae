/* `starlane topo`: the first rank's actor asks every registry to describe its node. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "actors/registry/registry_msgs.h"
#include "runtime/log.h"
#include "runtime/runtime_msgs.h"
#include "sdk/network.h"
#include "sdk/network_stop.h"
#include "sdk/topo.h"

#define PATIENCE_NS (15 * SL_NS_PER_S)

/* What the actor is given, and keeps. */
typedef struct sl_topo_argument {
    struct sl_topo_state *topo;
} sl_topo_argument;

typedef struct sl_topo_state {
    json_t **nodes; /* of each rank; NULL until it has answered */
    uint32_t count;
    uint32_t answered;
} sl_topo_state;

static sl_err topo_start(sl_actor *self, void *state, const void *arguments) {
    sl_topo_argument *own = state;
    *own = *(const sl_topo_argument *)arguments;
    sl_topo_state *topo = own->topo;
    registry_describe ask = {};
    (void)sl_timer_start(self, PATIENCE_NS, 0);
    for (uint32_t i = 0; i < topo->count; i++)
        SL_TRY(registry_describe_send(self, sl_addr_well_known(i, SL_SLOT_REGISTRY), &ask));
    return SL_OK;
}

static void on_description(sl_topo_state *topo, const sl_message *message) {
    const registry_description *body = message->body;
    if (body->node >= topo->count || body->node != message->from.node || topo->nodes[body->node])
        return;
    topo->nodes[body->node] = json_loadb(body->json.data, body->json.bytes, 0, NULL);
    topo->answered += topo->nodes[body->node] != NULL;
}

static sl_err topo_receive(sl_actor *self, void *state, const sl_message *message) {
    sl_topo_state *topo = ((sl_topo_argument *)state)->topo;
    if (message->type->id == registry_description_id)
        on_description(topo, message);
    if (topo->answered == topo->count)
        sl_network_stop_all(self, SL_RUN_DONE);
    else if (message->type->id == node_timer_id)
        sl_network_stop_all(self, SL_RUN_FAILED);
    return SL_OK;
}

static const sl_actor_class topo_class = {.name = "topo",
                                          .state_bytes = sizeof(sl_topo_argument),
                                          .start = topo_start,
                                          .receive = topo_receive};

/* ---- text ---- */

static char *json_text(sl_topo_state *topo) {
    json_t *all = json_array();
    for (uint32_t i = 0; i < topo->count; i++)
        if (topo->nodes[i])
            json_array_append(all, topo->nodes[i]);
    char *text = json_dumps(all, JSON_INDENT(2));
    json_decref(all);
    if (!text)
        return NULL;
    size_t length = strlen(text);
    char *line = realloc(text, length + 2);
    if (!line) {
        free(text);
        return NULL;
    }
    strcpy(line + length, "\n");
    return line;
}

static char *table_text(const sl_topo_state *topo) {
    sl_strbuf text;
    sl_strbuf_init(&text, (size_t)256 << 20);
    sl_topo_table(topo->nodes, topo->count, &text);
    return sl_strbuf_take(&text);
}

/* ---- the call ---- */

static sl_err look(sl_network *network, sl_topo_state *topo) {
    sl_topo_argument argument = {topo};
    sl_network_setup setup = {.driver = sl_network_leads(network) ? &topo_class : NULL,
                              .driver_argument = &argument,
                              .driver_argument_bytes = sizeof argument};
    uint32_t code;
    SL_TRY(sl_network_start(network, &setup));
    sl_err err = sl_network_loop(network, &code);
    char cause[512];
    snprintf(cause, sizeof cause, "%s", err == SL_OK ? "" : sl_err_detail());
    sl_network_finish(network);
    if (err != SL_OK)
        return sl_fail(err, "%s", cause);
    return code == SL_RUN_DONE ? SL_OK
                               : sl_fail(SL_ERR_TIMEOUT, "only %u of %u nodes answered",
                                         topo->answered, topo->count);
}

int sl_topo(sl_network *network, int json, char **text) {
    sl_topo_state topo = {.count = network->count};
    topo.nodes = calloc(topo.count, sizeof(void *));
    if (!topo.nodes)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for %u nodes", topo.count);
    sl_err err = look(network, &topo);
    if (err == SL_OK && sl_network_leads(network)) {
        *text = json ? json_text(&topo) : table_text(&topo);
        if (!*text)
            err = sl_fail(SL_ERR_NO_MEMORY, "no memory to describe %u nodes", topo.count);
    } else if (err == SL_OK) {
        *text = NULL;
    }
    for (uint32_t i = 0; i < topo.count; i++)
        json_decref(topo.nodes[i]);
    free(topo.nodes);
    return err;
}
