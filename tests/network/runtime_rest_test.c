/* A node with more peers than it keeps channels for: who is silent rests, and is known again. */
#include "tests/lib/test.h"

#include "runtime/log.h"
#include "runtime/node_internal.h"
#include "runtime/runtime_msgs.h"
#include "tests/lib/fake_transport.h"
#include "tests/lib/test_msgs.h"

enum { NODES = 400, AWAKE = 128 /* OPEN_MOST of channel_rest.c */, SLACK = 8 };

static uint32_t heard, losses;
static sl_actor *speaker;

static sl_err sink_start(sl_actor *self, void *state, const void *arguments) {
    (void)state, (void)arguments;
    speaker = self;
    sl_node_watch_peers(sl_actor_node(self), sl_self(self));
    return SL_OK;
}

#define LATER_NS (30 * SL_NS_PER_MS)

static sl_err sink_receive(sl_actor *self, void *state, const sl_message *message) {
    (void)self, (void)state;
    heard += message->type == &test_urgent_type || message->type == &test_number_type;
    losses += message->type == &node_peer_lost_type;
    return SL_OK;
}

static const sl_actor_class sink_class = {
    .name = "sink", .start = sink_start, .receive = sink_receive};

typedef struct stage {
    fake_transport *fake;
    sl_node *node;
    sl_addr sink;
    uint64_t sequence[NODES][SL_LANES];
    uint64_t consumed[NODES]; /* of what the node sent in the control lane */
} stage;

static uint64_t now_ns = SL_NS_PER_S;

static uint64_t stage_now_ns(const sl_clock *clock) {
    (void)clock;
    return now_ns;
}

static double stage_wall_s(const sl_clock *clock) {
    return (double)stage_now_ns(clock) / 1e9;
}

static void stage_sleep_ns(const sl_clock *clock, uint64_t pause_ns) {
    (void)clock, (void)pause_ns;
}

static const sl_clock clock_of_stage = {stage_now_ns, stage_wall_s, stage_sleep_ns, NULL};

static void settle(stage *s) {
    while (sl_node_turn(s->node)) {
    }
}

static void stage_open(stage *s) {
    static FILE *nowhere;
    if (!nowhere)
        nowhere = fopen("/dev/null", "w");
    sl_log_configure(&(sl_log_options){.stream = nowhere, .level = SL_LOG_WARN});
    *s = (stage){.fake = fake_transport_create(NODES)};
    heard = losses = 0;
    sl_node_options options = {
        .transport = fake_transport_base(s->fake), .clock = &clock_of_stage, .incarnation = 1};
    CHECK_INT(sl_node_create(&options, &s->node), SL_OK);
    CHECK_INT(sl_node_spawn(s->node, SL_SLOT_FIRST_FREE, &sink_class, NULL, 0, &s->sink), SL_OK);
    settle(s);
}

static void say(stage *s, uint32_t peer, sl_lane lane) {
    fake_writer w;
    const uint64_t value = peer;
    fake_begin(&w, lane, s->sequence[peer][lane]++);
    fake_head(&w)->consumed[SL_LANE_CONTROL] = s->consumed[peer];
    fake_record(&w, lane == SL_LANE_DATA ? test_number_id : test_urgent_id, s->sink, 0, &value,
                sizeof value);
    fake_frame(s->fake, peer, w.frame, w.bytes);
    settle(s);
}

/* All but the first speak, and the others rest. */
static void all_speak(stage *s, uint32_t first) {
    for (uint32_t peer = first; peer < NODES; peer++)
        say(s, peer, SL_LANE_CONTROL);
}

static bool rests(const stage *s, uint32_t peer) {
    return s->node->channels.peers[peer]->state == SL_PEER_RESTING;
}

TEST(who_is_silent_rests_and_is_known_again) {
    static stage s;
    stage_open(&s);
    for (uint32_t round = 1; round <= 3; round++) {
        all_speak(&s, 1);
        CHECK_INT(heard, round * (NODES - 1));
    }
    uint32_t resting = 0;
    uint64_t ago_ns;
    now_ns += LATER_NS;
    for (uint32_t peer = 1; peer < NODES; peer++) {
        resting += rests(&s, peer);
        CHECK(sl_node_peer_alive(s.node, peer));
        CHECK_INT(sl_channel_frames(s.node, peer, &ago_ns), 3);
        CHECK_INT(ago_ns, LATER_NS);
    }
    CHECK(resting >= NODES - AWAKE - SLACK && s.node->channels.open_count <= AWAKE + SLACK);
    CHECK_INT(losses, 0);
    sl_node_destroy(s.node);
}

/* What was said before counts: a frame that came already is out of order. */
TEST(the_order_of_who_rests_is_kept) {
    static stage s;
    stage_open(&s);
    say(&s, 1, SL_LANE_CONTROL);
    all_speak(&s, 2);
    REQUIRE(rests(&s, 1));
    s.sequence[1][SL_LANE_CONTROL] = 0;
    say(&s, 1, SL_LANE_CONTROL);
    CHECK(!sl_node_peer_alive(s.node, 1) && losses == 1 && heard == NODES - 1);
    sl_node_destroy(s.node);
}

TEST(the_credit_of_who_rests_is_kept) {
    static stage s;
    stage_open(&s);
    const uint32_t exact = 1, beyond = 2;
    for (uint32_t peer = exact; peer <= beyond; peer++) {
        say(&s, peer, SL_LANE_CONTROL);
        sl_addr there = {peer, SL_SLOT_FIRST_FREE, 0};
        CHECK_INT(test_urgent_send(speaker, there, &(test_urgent){peer}), SL_OK);
        settle(&s);
        CHECK_INT(fake_posted(s.fake, peer), 1);
        s.consumed[peer] = fake_last(s.fake, peer)->bytes - sizeof(sl_frame_head);
        say(&s, peer, SL_LANE_CONTROL);
    }
    all_speak(&s, 3);
    REQUIRE(rests(&s, exact) && rests(&s, beyond));
    say(&s, exact, SL_LANE_CONTROL);
    CHECK(sl_node_peer_alive(s.node, exact) && !rests(&s, exact));
    s.consumed[beyond] += 8; /* of nothing that was sent */
    say(&s, beyond, SL_LANE_CONTROL);
    CHECK(!sl_node_peer_alive(s.node, beyond) && losses == 1);
    sl_node_destroy(s.node);
}

/* Data, and what is under way, are not among what remains of who rests. */
TEST(who_has_more_than_can_be_kept_stays_awake) {
    static stage s;
    stage_open(&s);
    for (uint32_t peer = 1; peer < NODES / 2; peer++)
        say(&s, peer, SL_LANE_DATA);
    CHECK(s.node->channels.open_count == NODES / 2 - 1); /* more than usual: nobody may rest */
    say(&s, NODES - 1, SL_LANE_CONTROL);
    sl_node_peer_lost(s.node, NODES - 1);
    settle(&s);
    CHECK_INT(losses, 1);
    all_speak(&s, NODES / 2);
    for (uint32_t peer = 1; peer < NODES / 2; peer++)
        CHECK(!rests(&s, peer) && sl_node_peer_alive(s.node, peer));
    CHECK(!sl_node_peer_alive(s.node, NODES - 1));
    sl_node_destroy(s.node);
}

static void ask(stage *s, uint32_t peer) {
    fake_writer w;
    fake_begin(&w, SL_LANE_CONTROL, s->sequence[peer][SL_LANE_CONTROL]++);
    fake_head(&w)->flags = SL_FRAME_ASK;
    fake_frame(s->fake, peer, w.frame, w.bytes);
}

/* In one turn those whose rest would be next ask for an answer, and one that rests is heard. */
TEST(who_is_to_be_answered_stays_awake) {
    enum { NEXT = 4 };
    static stage s;
    stage_open(&s);
    all_speak(&s, 1);
    uint32_t first = 1, open = s.node->channels.open_count;
    while (rests(&s, first)) /* they rest in the order in which they spoke */
        first++;
    REQUIRE(first > 1 && first + NEXT < NODES);
    for (uint32_t peer = first; peer < first + NEXT; peer++)
        ask(&s, peer);
    ask(&s, 1);
    settle(&s);
    for (uint32_t peer = first; peer < first + NEXT; peer++)
        CHECK(!rests(&s, peer) && fake_posted(s.fake, peer) == 1);
    CHECK(!rests(&s, 1) && fake_posted(s.fake, 1) == 1);
    CHECK_INT(s.node->channels.open_count, open + 1);
    CHECK_INT(losses, 0);
    sl_node_destroy(s.node);
}

TEST(who_rests_may_be_lost_and_is_heard_no_more) {
    static stage s;
    stage_open(&s);
    all_speak(&s, 1);
    REQUIRE(rests(&s, 1) && rests(&s, 2));
    sl_node_peer_gone(s.node, 1);
    sl_node_peer_lost(s.node, 2);
    settle(&s);
    CHECK(losses == 2 && !sl_node_peer_alive(s.node, 1) && !sl_node_peer_alive(s.node, 2));
    uint64_t ago_ns;
    CHECK_INT(sl_channel_frames(s.node, 1, &ago_ns), 0);
    uint32_t before = heard;
    say(&s, 1, SL_LANE_CONTROL);
    say(&s, 2, SL_LANE_CONTROL);
    CHECK_INT(heard, before);
    sl_node_destroy(s.node);
}
