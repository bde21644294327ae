#include "tests/lib/heap_actors.h"

#include <stdlib.h>
#include <string.h>

enum { ACTORS_MOST = 512, WORDS_MOST = 8192 };

typedef struct actor {
    sl_gateway_ref ref;
    sl_gateway_word *end; /* NULL: it has been told */
    bool dismissed;
} actor;

static actor actors[ACTORS_MOST];
static uint32_t actor_count;
static sl_gateway_word *words[WORDS_MOST];
static uint32_t word_count;

static void require(bool holds) {
    if (!holds)
        abort();
}

static sl_err spawn(void *context, const gateway_spawn *wish, sl_blob *data, sl_gateway_ref *ref,
                    sl_gateway_word *end) {
    (void)context, (void)data;
    require(ref->life && end->event.drop);
    if (wish->kind.data[0] == HEAP_ACTORS_NONE || actor_count == ACTORS_MOST)
        return sl_fail(SL_ERR_NOT_FOUND, "no such kind");
    ref->home = 0;
    ref->place = wish->node;
    actors[actor_count++] = (actor){.ref = *ref, .end = end};
    return SL_OK;
}

static actor *find(const sl_gateway_ref *ref) {
    for (uint32_t i = 0; i < actor_count; i++)
        if (memcmp(&actors[i].ref, ref, sizeof *ref) == 0)
            return &actors[i];
    return NULL;
}

/* Only such as there are are sent to, and none that were dismissed. */
static sl_err send(void *context, const sl_gateway_ref *ref, const gateway_letter *letter,
                   sl_blob *data, sl_gateway_word *word) {
    const actor *to = find(ref);
    (void)context, (void)data;
    require(to && !to->dismissed && letter->what != SL_GATEWAY_WATCH && word->event.drop);
    if (letter->method.bytes == 1 || word_count == WORDS_MOST)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory");
    words[word_count++] = word;
    return SL_OK;
}

static void dismiss(void *context, const sl_gateway_ref *ref) {
    actor *of = find(ref);
    (void)context;
    require(of && !of->dismissed);
    of->dismissed = true;
}

static size_t name(const sl_gateway_ref *ref, uint8_t out[64]) {
    memcpy(out, ref, sizeof *ref);
    return sizeof *ref;
}

static size_t text(const char *string, uint8_t out[64]) {
    size_t bytes = strlen(string);
    require(bytes < 64);
    memcpy(out, string, bytes);
    return bytes;
}

const sl_gateway_actors heap_actors = {
    .spawn = spawn, .send = send, .dismiss = dismiss, .name = name, .text = text};

sl_gateway_ref heap_actors_some(uint32_t which) {
    return actor_count ? actors[which % actor_count].ref : (sl_gateway_ref){0};
}

static void tell(sl_node *node, sl_gateway_word *word, const char *output) {
    if (output) {
        word->output_bytes = strlen(output);
        word->output = (uint8_t *)strdup(output);
    } else {
        word->err = SL_ERR_DEAD;
        word->message = strdup("it was lost");
    }
    sl_notify(node, &word->event);
}

bool heap_actors_answer(sl_node *node, const char *output) {
    if (!word_count)
        return false;
    sl_gateway_word *word = words[0];
    memmove(words, words + 1, --word_count * sizeof(sl_gateway_word *));
    tell(node, word, output);
    return true;
}

bool heap_actors_end(sl_node *node, uint32_t which) {
    actor *of = actor_count ? &actors[which % actor_count] : NULL;
    if (!of || !of->end)
        return false;
    tell(node, of->end, "the end");
    of->end = NULL;
    return true;
}

void heap_actors_settle(sl_node *node) {
    while (heap_actors_answer(node, "output"))
        continue;
    for (uint32_t i = 0; i < actor_count; i++)
        (void)heap_actors_end(node, i);
    actor_count = 0;
}
