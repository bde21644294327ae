#include "sdk/gateway_door.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actors/gateway/gateway.h"
#include "net/link.h"
#include "runtime/log.h"
#include "runtime/pool.h"
#include "sdk/gateway_actors.h"
#include "sdk/gateway_files.h"
#include "sdk/gateway_store.h"
#include "sdk/network_stop.h"

enum {
    FETCHERS = 2,
    WAITING_MOST = 4 << 20,
    URL_BYTES = SL_ENDPOINT_TEXT + SL_FINGERPRINT_TEXT + 16
};

typedef struct door_visitor {
    sl_visitor visitor; /* first */
    sl_gateway_place *place;
    sl_link *link;
    pthread_mutex_t lock;
    uint64_t waiting_bytes; /* said, and not dealt with */
    bool held, paused;      /* for those; by the gateway */
} door_visitor;

typedef struct door_visit {
    sl_visit visit; /* first */
    struct door_visit *next, *before;
    door_visitor *of;
    sl_blob *blob;
    uint8_t bytes[];
} door_visit;

struct sl_gateway_place {
    sl_net *net;
    sl_tls *tls;
    sl_key_store *keys;
    sl_pool *pool;     /* a thread for the disk: tasks may hold the others for long */
    sl_pool *fetchers; /* threads for objects that come from other nodes */
    sl_gateway_objects objects;
    sl_gateway_actors actors;
    sl_gateway_files files;
    sl_node *node;
    sl_addr gateway;
    int audit_fd;
    pthread_mutex_t lock;
    door_visit *visits; /* told and not dealt with */
    char url[URL_BYTES];
};

/* ---- from links ---- */

static void free_visit(door_visit *visit) {
    sl_gateway_place *place = visit->of->place;
    pthread_mutex_lock(&place->lock);
    if (visit->before)
        visit->before->next = visit->next;
    else
        place->visits = visit->next;
    if (visit->next)
        visit->next->before = visit->before;
    pthread_mutex_unlock(&place->lock);
    sl_blob_release(visit->blob);
    free(visit);
}

static void free_visitor(door_visitor *of) {
    sl_link_release(of->link);
    pthread_mutex_destroy(&of->lock);
    free(of);
}

/* With the lock. */
static void set_pause(const door_visitor *of) {
    sl_link_pause(of->link, of->held || of->paused);
}

static void done(sl_event *event) {
    door_visit *visit = (door_visit *)(void *)event;
    door_visitor *of = visit->of;
    bool left = event->kind == VISIT_LEFT;
    pthread_mutex_lock(&of->lock);
    of->waiting_bytes -= visit->visit.size;
    if (of->held && of->waiting_bytes < WAITING_MOST / 2) {
        of->held = false;
        set_pause(of);
    }
    pthread_mutex_unlock(&of->lock);
    free_visit(visit);
    if (left)
        free_visitor(of);
}

static sl_err tell(door_visitor *of, sl_visit_kind kind, const uint8_t *data, size_t bytes,
                   sl_blob *blob) {
    sl_gateway_place *place = of->place;
    door_visit *visit = calloc(1, sizeof *visit + (blob ? 0 : bytes));
    if (!visit)
        return sl_fail(SL_ERR_NO_MEMORY, "the gateway is out of memory");
    if (!blob && bytes)
        memcpy(visit->bytes, data, bytes);
    visit->of = of;
    visit->blob = sl_blob_retain(blob);
    visit->visit = (sl_visit){.event = {.to = place->gateway, .kind = kind, .drop = done},
                              .visitor = &of->visitor,
                              .bytes = blob ? blob->data : visit->bytes,
                              .size = bytes};
    pthread_mutex_lock(&of->lock);
    of->waiting_bytes += bytes;
    if (!of->held && of->waiting_bytes > WAITING_MOST) {
        of->held = true;
        set_pause(of);
    }
    pthread_mutex_unlock(&of->lock);
    pthread_mutex_lock(&place->lock);
    visit->next = place->visits;
    if (visit->next)
        visit->next->before = visit;
    place->visits = visit;
    pthread_mutex_unlock(&place->lock);
    sl_notify(place->node, &visit->visit.event);
    return SL_OK;
}

static sl_err on_opened(void *context, sl_link *link) {
    door_visitor *of = calloc(1, sizeof *of);
    if (!of)
        return sl_fail(SL_ERR_NO_MEMORY, "the gateway is out of memory");
    pthread_mutex_init(&of->lock, NULL);
    of->place = context;
    of->link = sl_link_retain(link);
    sl_err err = tell(of, VISIT_CAME, NULL, 0, NULL);
    if (err == SL_OK)
        sl_link_set_user(link, of);
    else
        free_visitor(of);
    return err;
}

static sl_err on_message(void *context, sl_link *link, const uint8_t *data, size_t bytes,
                         sl_blob *blob) {
    (void)context;
    return tell(sl_link_user(link), VISIT_SAID, data, bytes, blob);
}

static void on_room(void *context, sl_link *link) {
    (void)context;
    if (tell(sl_link_user(link), VISIT_ROOM, NULL, 0, NULL) != SL_OK)
        sl_link_close(link, sl_err_detail());
}

static void on_closed(void *context, sl_link *link, sl_err err, const char *why) {
    door_visitor *of = sl_link_user(link);
    (void)context;
    if (err != SL_OK)
        sl_info("gateway", "link ended: %s", why);
    /* Without memory it is never known to have left: it keeps its place until the end. */
    if (of && tell(of, VISIT_LEFT, NULL, 0, NULL) != SL_OK)
        sl_error("gateway", "no memory to say that %s has left", sl_link_peer(link));
}

static const sl_net_ops net_ops = {on_opened, on_message, on_room, on_closed};

/* ---- to links ---- */

static sl_link *link_of(const sl_visitor *visitor) {
    return ((const door_visitor *)(const void *)visitor)->link;
}

static sl_err send_to(sl_visitor *visitor, const void *head, size_t bytes, sl_blob *data) {
    return sl_link_send(link_of(visitor), head, bytes, data);
}

static void trust(sl_visitor *visitor) {
    sl_link_trust(link_of(visitor));
}

static void pause_it(sl_visitor *visitor, bool paused) {
    door_visitor *of = (door_visitor *)(void *)visitor;
    pthread_mutex_lock(&of->lock);
    of->paused = paused;
    set_pause(of);
    pthread_mutex_unlock(&of->lock);
}

static void close_it(sl_visitor *visitor, const char *why) {
    sl_link_close(link_of(visitor), why);
}

static const char *address(const sl_visitor *visitor) {
    return sl_link_host(link_of(visitor));
}

static const sl_gateway_door door = {.send = send_to,
                                     .trust = trust,
                                     .pause = pause_it,
                                     .close = close_it,
                                     .address = address,
                                     .done = done};

/* ---- opening and closing ---- */

static sl_err open_audit(const char *directory, int *fd) {
    char path[1024];
    if (snprintf(path, sizeof path, "%s/audit.jsonl", directory) >= (int)sizeof path)
        return sl_fail(SL_ERR_INVALID, "a directory's name of %zu bytes", strlen(directory));
    *fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    return *fd >= 0 ? SL_OK : sl_fail(SL_ERR_IO, "%s: cannot be opened to append to it", path);
}

static void stop(sl_actor *self) {
    sl_network_stop_all(self, 0);
}

static sl_err spawn(sl_gateway_place *place, const sl_config *config, double core_ucu,
                    bool may_stop) {
    sl_pool_options disk = {.threads = 1, .thread_name = "gateway"};
    sl_pool_options fetchers = {.threads = FETCHERS, .thread_name = "gw-objects"};
    SL_TRY(sl_pool_create(place->node, &disk, &place->pool));
    SL_TRY(sl_pool_create(place->node, &fetchers, &place->fetchers));
    sl_gateway_options options = {.door = &door,
                                  .actors = &place->actors,
                                  .objects = &place->objects,
                                  .fetchers = place->fetchers,
                                  .keys = place->keys,
                                  .pool = place->pool,
                                  .audit_fd = place->audit_fd,
                                  .output = place->files.path,
                                  .keep_ended_ns =
                                      sl_config_duration_ns(config, SL_OPT_GATEWAY_KEEP_ENDED),
                                  .keep_ns = sl_config_duration_ns(config, SL_OPT_GATEWAY_KEEP),
                                  .keep_bytes = sl_config_bytes(config, SL_OPT_GATEWAY_KEEP_BYTES),
                                  .reserve_bytes = sl_config_bytes(config, SL_OPT_GATEWAY_RESERVE),
                                  .stop = may_stop ? stop : NULL,
                                  .core_ucu = core_ucu};
    return sl_node_spawn(place->node, SL_SLOT_FIRST_FREE, &sl_gateway_class, &options,
                         sizeof options, &place->gateway);
}

static sl_err listen_at(sl_gateway_place *place, const char *text) {
    sl_net_options options = {.ops = &net_ops, .context = place};
    sl_address address;
    char host[256], endpoint[SL_ENDPOINT_TEXT], fingerprint[SL_FINGERPRINT_TEXT];
    SL_TRY(sl_address_parse(text, &address));
    SL_TRY(sl_net_create(&options, &place->net));
    SL_TRY(sl_net_listen(place->net, &address, place->tls, &address.port));
    if (!address.host[0] && gethostname(host, sizeof host - 1) == 0) {
        host[sizeof host - 1] = '\0';
        snprintf(address.host, sizeof address.host, "%.253s", host);
    }
    sl_endpoint_print(address.host, address.port, endpoint);
    sl_fingerprint_print(sl_tls_fingerprint(place->tls), fingerprint);
    snprintf(place->url, sizeof place->url, "starlane://%s#%s", endpoint, fingerprint);
    return SL_OK;
}

static const char *set_text(const sl_config *config, sl_opt option) {
    const char *text = sl_config_text(config, option);
    return text && *text ? text : NULL;
}

static sl_err open_files(sl_gateway_place *place, const sl_config *config) {
    char path[4096];
    const char *given = set_text(config, SL_OPT_GATEWAY_OUTPUT);
    if (given)
        return sl_gateway_files_open(given, &place->files);
    snprintf(path, sizeof path, "%.4000s/output", sl_config_text(config, SL_OPT_GATEWAY));
    return sl_gateway_files_open(path, &place->files);
}

static sl_err open_parts(sl_gateway_place *place, const sl_config *config, double core_ucu,
                         bool may_stop) {
    const char *directory = sl_config_text(config, SL_OPT_GATEWAY);
    sl_tls_server_options tls = {
        .directory = directory,
        .certificate_file = set_text(config, SL_OPT_TLS_CERTIFICATE),
        .key_file = set_text(config, SL_OPT_TLS_KEY),
    };
    SL_TRY(sl_key_store_open(directory, &place->keys));
    SL_TRY(sl_tls_server(&tls, &place->tls));
    SL_TRY(open_audit(directory, &place->audit_fd));
    SL_TRY(open_files(place, config));
    SL_TRY(spawn(place, config, core_ucu, may_stop));
    return listen_at(place, sl_config_text(config, SL_OPT_LISTEN));
}

sl_err sl_gateway_open(const sl_config *config, sl_node *node, sl_store *store, double core_ucu,
                       bool may_stop, sl_gateway_place **out) {
    sl_gateway_place *place = calloc(1, sizeof *place);
    if (!place)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for a gateway");
    pthread_mutex_init(&place->lock, NULL);
    place->node = node;
    place->objects = sl_gateway_store(store);
    place->actors = sl_gateway_actors_here();
    place->files.lock_fd = place->audit_fd = -1;
    *out = place; /* what failed half-way is closed like a whole one */
    return open_parts(place, config, core_ucu, may_stop);
}

const char *sl_gateway_place_url(const sl_gateway_place *place) {
    return place->url;
}

void sl_gateway_close(sl_gateway_place *place) {
    if (!place)
        return;
    sl_net_destroy(place->net);
    place->net = NULL;
    if (place->pool)
        sl_pool_destroy(place->pool);
    if (place->fetchers)
        sl_pool_destroy(place->fetchers);
    place->pool = place->fetchers = NULL;
}

/* What was told and lay in the mailbox of an actor that stopped is dropped here. */
void sl_gateway_free(sl_gateway_place *place) {
    if (!place)
        return;
    for (door_visit *visit = place->visits, *next; visit; visit = next) {
        next = visit->next;
        if (visit->visit.event.kind == VISIT_LEFT)
            free_visitor(visit->of);
        sl_blob_release(visit->blob);
        free(visit);
    }
    place->visits = NULL;
    sl_gateway_files_close(&place->files);
    sl_tls_destroy(place->tls);
    sl_key_store_close(place->keys);
    if (place->audit_fd >= 0)
        close(place->audit_fd);
    pthread_mutex_destroy(&place->lock);
    free(place);
}
