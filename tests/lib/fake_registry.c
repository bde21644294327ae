#include "tests/lib/fake_registry.h"

#include <stdlib.h>

static sl_err start(sl_actor *self, void *state, const void *arguments) {
    (void)self;
    *(sl_fake_registry *)state = *(const sl_fake_registry *)arguments;
    return SL_OK;
}

static registry_offer offer_of(const sl_fake_registry *fake, uint32_t node) {
    if (node == fake->without)
        return (registry_offer){.cores = 0};
    return (registry_offer){.cores = fake->cores,
                            .cores_free = fake->cores,
                            .gpus = fake->gpus,
                            .gpus_free = fake->gpus,
                            .memory_bytes = fake->memory_bytes,
                            .memory_free_bytes = fake->memory_bytes,
                            .ucu_milli = fake->ucu_milli,
                            .ucu_free_milli = fake->ucu_milli};
}

static sl_err receive(sl_actor *self, void *state, const sl_message *message) {
    const sl_fake_registry *fake = state;
    if (message->type != &registry_watch_type)
        return SL_OK;
    registry_member *members = calloc(fake->count, sizeof *members);
    registry_offer *offers = calloc(fake->count, sizeof *offers);
    for (uint32_t node = 0; node < fake->count; node++) {
        offers[node] = offer_of(fake, node);
        members[node] =
            (registry_member){.node = node,
                              .state = SL_MEMBER_ALIVE,
                              .host = sl_text_of("host"),
                              .region = sl_text_of(fake->regions ? fake->regions[node] : ""),
                              .offer = {&offers[node], 1}};
    }
    registry_view view = {.members = {members, fake->count}};
    sl_err err = registry_view_send(self, message->from, &view);
    free(members);
    free(offers);
    return err;
}

const sl_actor_class sl_fake_registry_class = {.name = "fake_registry",
                                               .state_bytes = sizeof(sl_fake_registry),
                                               .start = start,
                                               .receive = receive};
