/* How a project is doing, and the network's nodes: for people and programs. */
#include <stdlib.h>

#include "sdk/remote.h"

static sl_err ask(sl_remote *remote, bool nodes, gateway_status **status) {
    gateway_ask body = {.nodes = nodes};
    return sl_remote_question_ask(remote, SL_GATEWAY_ASK, &body, &body.number, (void **)status);
}

static void print_project(const gateway_status *s, int json, sl_strbuf *out) {
    sl_strbuf_printf(out,
                     json ? "\"nodes\":%u,\"clients\":%u,\"running\":%llu,\"begun\":%llu,"
                            "\"ended\":%llu,\"failed\":%llu,\"held_bytes\":%llu,\"ucu_s\":%.6g,"
                            "\"output_bytes\":%llu,\"quota_tasks\":%llu,\"quota_bytes\":%llu,"
                            "\"quota_ucu_s\":%.6g,\"quota_output_bytes\":%llu"
                          : "nodes       %u\nclients     %u\nrunning     %llu\n"
                            "begun       %llu (of commands)\nended       %llu\n"
                            "failed      %llu\nheld bytes  %llu\nUCU s       %.6g\n"
                            "output      %llu bytes\n"
                            "quotas      %llu tasks, %llu bytes, %.6g UCU s, %llu bytes of output "
                            "(0: no bound)\n",
                     s->nodes, s->clients, (unsigned long long)s->running,
                     (unsigned long long)s->begun, (unsigned long long)s->ended,
                     (unsigned long long)s->failed, (unsigned long long)s->held_bytes, s->ucu_s,
                     (unsigned long long)s->output_bytes, (unsigned long long)s->tasks_most,
                     (unsigned long long)s->held_bytes_most, s->ucu_s_most,
                     (unsigned long long)s->output_bytes_most);
}

static const char *state_of(uint8_t state) {
    static const char *const names[] = {"joining", "alive", "suspected", "leaving", "dead"};
    return state < sizeof names / sizeof *names ? names[state] : "unknown";
}

static void print_node(const gateway_member *node, int json, sl_strbuf *out) {
    if (!json) {
        sl_strbuf_printf(out,
                         "%5u  %-24.24s  %-12.12s  %-9s  %5u/%-5u  %3u/%-3u  %9.1f  %7u  %7u\n",
                         node->node, node->host.data, node->region.data, state_of(node->state),
                         node->cores - node->cores_free, node->cores, node->gpus - node->gpus_free,
                         node->gpus, (double)node->ucu_milli / 1000, node->running, node->backlog);
        return;
    }
    sl_strbuf_printf(out, "{\"node\":%u,\"host\":", node->node);
    sl_strbuf_json(out, node->host.data);
    sl_strbuf_append(out, ",\"region\":");
    sl_strbuf_json(out, node->region.data);
    sl_strbuf_printf(out,
                     ",\"state\":\"%s\",\"cores\":%u,\"cores_free\":%u,\"gpus\":%u,"
                     "\"gpus_free\":%u,\"memory_bytes\":%llu,\"memory_free_bytes\":%llu,"
                     "\"ucu\":%.6g,\"running\":%u,\"backlog\":%u}",
                     state_of(node->state), node->cores, node->cores_free, node->gpus,
                     node->gpus_free, (unsigned long long)node->memory_bytes,
                     (unsigned long long)node->memory_free_bytes, (double)node->ucu_milli / 1000,
                     node->running, node->backlog);
}

static void print_nodes(const gateway_status *status, int json, sl_strbuf *out) {
    sl_strbuf_append(out, json ? ",\"list\":["
                               : "\n NODE  HOST                      REGION        STATE        "
                                 "CORES       GPUS          UCU  RUNNING  BACKLOG\n");
    for (uint32_t i = 0; i < status->list.count; i++) {
        sl_strbuf_append(out, json && i ? "," : "");
        print_node(&status->list.items[i], json, out);
    }
    sl_strbuf_append(out, json ? "]" : "");
}

static sl_err tell(sl_remote *remote, bool nodes, int json, char **text) {
    gateway_status *status;
    sl_strbuf out;
    SL_TRY(ask(remote, nodes, &status));
    sl_strbuf_init(&out, 32 << 20);
    sl_strbuf_append(&out, json ? "{" : "");
    print_project(status, json, &out);
    if (nodes)
        print_nodes(status, json, &out);
    sl_strbuf_append(&out, json ? "}\n" : "");
    free(status);
    sl_err err = sl_strbuf_err(&out);
    *text = err == SL_OK ? sl_strbuf_take(&out) : NULL;
    sl_strbuf_fini(&out);
    return *text ? SL_OK : sl_fail(SL_ERR_NO_MEMORY, "no memory for a status");
}

int sl_remote_status(sl_remote *remote, int json, char **text) {
    return tell(remote, false, json, text);
}

int sl_remote_top(sl_remote *remote, int json, char **text) {
    return tell(remote, true, json, text);
}
