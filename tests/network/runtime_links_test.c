/* Lives of a link, frame by frame: one node, and a test that speaks for its peer. */
#include "tests/lib/test.h"

#include "runtime/log.h"
#include "runtime/node.h"
#include "runtime/runtime_msgs.h"
#include "tests/lib/fake_transport.h"
#include "tests/lib/test_msgs.h"

enum { PEER = 1, NODES = 3, FIRST = 100 /* the node's incarnation */ };

typedef struct stage {
    fake_transport *fake;
    sl_node *node;
    sl_addr sink;
    uint64_t sequence; /* of the peer's data on the present link */
} stage;

static uint64_t numbers, lost, back, calls, gone, ended, buried;

static sl_err sink_receive(sl_actor *self, void *state, const sl_message *message) {
    (void)self, (void)state;
    if (message->type == &test_number_type) {
        numbers++;
    } else if (message->type == &node_peer_lost_type) {
        lost++;
        calls += ((const node_peer_lost *)message->body)->calls;
        gone += ((const node_peer_lost *)message->body)->gone;
        ended += ((const node_peer_lost *)message->body)->ended;
    } else if (message->type == &node_peer_back_type) {
        back++;
        buried += ((const node_peer_back *)message->body)->buried;
    }
    return SL_OK;
}

static const sl_actor_class sink_class = {.name = "sink", .receive = sink_receive};

static void stage_open(stage *s, bool rejoins) {
    static FILE *nowhere;
    if (!nowhere)
        nowhere = fopen("/dev/null", "w");
    sl_log_configure(&(sl_log_options){.stream = nowhere, .level = SL_LOG_WARN});
    *s = (stage){.fake = fake_transport_create(NODES)};
    numbers = lost = back = calls = gone = ended = buried = 0;
    sl_node_options options = {.transport = fake_transport_base(s->fake),
                               .incarnation = FIRST,
                               .rejoins = rejoins,
                               .close_timeout_ns = 20000000};
    CHECK_INT(sl_node_create(&options, &s->node), SL_OK);
    CHECK_INT(sl_node_spawn(s->node, SL_SLOT_FIRST_FREE, &sink_class, NULL, 0, &s->sink), SL_OK);
    sl_node_watch_peers(s->node, s->sink);
}

static void settle(stage *s) {
    for (int quiet = 0; quiet < 2; quiet++)
        while (sl_node_turn(s->node)) {
        }
}

static void say(stage *s, uint32_t incarnation, uint64_t sequence) {
    fake_writer w;
    test_number number = {5};
    fake_begin(&w, SL_LANE_DATA, sequence);
    fake_head(&w)->incarnation = incarnation;
    fake_record(&w, test_number_id, s->sink, 0, &number, sizeof number);
    fake_frame(s->fake, PEER, w.frame, w.bytes);
    settle(s);
}

static void hello(stage *s, uint32_t mine, const uint32_t *yours, uint16_t flags) {
    fake_writer w;
    sl_hello body = {.answers = yours != NULL, .yours = yours ? *yours : 0, .first_bulk_id = 7};
    fake_begin(&w, SL_LANE_CONTROL, 0);
    *fake_head(&w) = (sl_frame_head){.magic = SL_FRAME_MAGIC,
                                     .version = SL_FRAME_VERSION,
                                     .bytes = sizeof(sl_frame_head) + sizeof body,
                                     .incarnation = mine,
                                     .flags = (uint16_t)(SL_FRAME_HELLO | flags)};
    memcpy(w.frame + sizeof(sl_frame_head), &body, sizeof body);
    fake_frame(s->fake, PEER, w.frame, sizeof(sl_frame_head) + sizeof body);
    settle(s);
}

static bool last_is_hello(const stage *s) {
    return (fake_last(s->fake, PEER)->flags & SL_FRAME_HELLO) != 0;
}

static sl_hello last_hello(const stage *s) {
    sl_hello body;
    memcpy(&body, fake_last(s->fake, PEER) + 1, sizeof body);
    return body;
}

static int64_t refused(const stage *s) {
    return sl_metric_value(sl_node_metrics(s->node), SL_METRIC_frames_refused);
}

/* The handshake as the peer that was given up goes through it. */
static void reopen(stage *s, uint32_t mine) {
    hello(s, mine, NULL, 0);
    CHECK(last_is_hello(s));
    CHECK_INT(last_hello(s).answers, 1);
    CHECK_INT(last_hello(s).yours, mine);
    uint32_t theirs = fake_last(s->fake, PEER)->incarnation;
    hello(s, mine, &theirs, 0);
    CHECK(sl_node_peer_alive(s->node, PEER));
    CHECK(!fake_abandoned(s->fake, PEER));
}

TEST(a_ghost_is_answered_and_not_heard) {
    stage s;
    stage_open(&s, false);
    say(&s, 1, 0);
    CHECK_INT(numbers, 1);
    sl_node_peer_lost(s.node, PEER);
    settle(&s);
    CHECK(lost == 1 && !calls && !gone && fake_abandoned(s.fake, PEER));
    CHECK_INT(fake_posted(s.fake, PEER), 0); /* nothing is sent to who says nothing */
    say(&s, 1, 1);
    CHECK(numbers == 1 && refused(&s) == 1);
    CHECK(fake_posted(s.fake, PEER) == 1 && last_is_hello(&s));
    CHECK_INT(fake_last(s.fake, PEER)->incarnation, FIRST + 1);
    CHECK_INT(last_hello(&s).answers, 0);
    reopen(&s, 2);
    CHECK(back == 1 && !buried);
    say(&s, 2, 0); /* all is counted anew */
    CHECK_INT(numbers, 2);
    CHECK(lost == 1 && sl_node_peer_alive(s.node, PEER));
    sl_node_destroy(s.node);
}

TEST(who_is_told_that_it_was_buried_begins_anew) {
    stage s;
    stage_open(&s, false);
    say(&s, 1, 0);
    hello(&s, 2, NULL, 0); /* the peer has another number: it has given us up */
    CHECK(lost == 1 && calls == 1 && !back);
    CHECK_INT(last_hello(&s).yours, 2);
    uint32_t own = fake_last(s.fake, PEER)->incarnation;
    CHECK(own > FIRST);
    hello(&s, 2, &own, 0);
    CHECK(back == 1 && buried == 1);
    CHECK(last_is_hello(&s)); /* confirmed, before anything else */
    hello(&s, 2, NULL, 0);    /* said before it knew: no news */
    CHECK(lost == 1 && sl_node_peer_alive(s.node, PEER));
    sl_node_destroy(s.node);
}

TEST(frames_of_another_life_are_refused) {
    stage s;
    stage_open(&s, false);
    say(&s, 1, 0);
    say(&s, 9, 1); /* the right place in the order, of another life */
    CHECK(numbers == 1 && lost == 1 && refused(&s) == 1 && last_is_hello(&s));
    reopen(&s, 10);
    say(&s, 9, 0);
    CHECK(numbers == 1 && lost == 2);
    sl_node_destroy(s.node);
}

TEST(an_answer_to_another_number_opens_nothing) {
    stage s;
    uint32_t other = FIRST + 77;
    stage_open(&s, false);
    sl_node_peer_lost(s.node, PEER);
    settle(&s);
    hello(&s, 5, &other, 0);
    CHECK(!back && !sl_node_peer_alive(s.node, PEER));
    CHECK_INT(last_hello(&s).yours, 5);
    reopen(&s, 5);
    sl_node_destroy(s.node);
}

TEST(what_waits_of_an_old_life_is_dropped) {
    stage s;
    fake_writer w;
    test_number number = {5};
    stage_open(&s, false);
    say(&s, 1, 0);
    fake_begin(&w, SL_LANE_DATA, 1); /* it and the news of the loss come in one turn */
    fake_record(&w, test_number_id, s.sink, 0, &number, sizeof number);
    fake_frame(s.fake, PEER, w.frame, w.bytes);
    hello(&s, 2, NULL, 0);
    CHECK(numbers == 1 && lost == 1);
    CHECK_INT(sl_node_loads(s.node).messages, 0);
    sl_node_destroy(s.node);
}

/* A dead peer may cost memory with each of them. */
TEST(calls_become_fewer) {
    stage s;
    stage_open(&s, false);
    sl_node_call_peer(s.node, PEER); /* not lost */
    sl_node_peer_lost(s.node, PEER);
    settle(&s);
    CHECK_INT(fake_posted(s.fake, PEER), 0);
    for (int i = 0; i < 100; i++) {
        sl_node_call_peer(s.node, PEER);
        settle(&s);
    }
    CHECK_INT(fake_posted(s.fake, PEER), 11); /* 1, 2, 3 … 8, 16, 32, 64 */
    CHECK(last_is_hello(&s));
    reopen(&s, 5);
    sl_node_peer_lost(s.node, PEER);
    settle(&s);
    uint64_t before = fake_posted(s.fake, PEER);
    sl_node_call_peer(s.node, PEER);
    settle(&s);
    CHECK_INT(fake_posted(s.fake, PEER), before + 1);
    sl_node_destroy(s.node);
}

TEST(who_is_gone_is_not_answered) {
    stage s;
    stage_open(&s, false);
    say(&s, 1, 0);
    sl_node_peer_gone(s.node, PEER);
    settle(&s);
    CHECK(lost == 1 && gone == 1);
    say(&s, 1, 1);
    hello(&s, 2, NULL, 0);
    sl_node_call_peer(s.node, PEER);
    settle(&s);
    CHECK(fake_posted(s.fake, PEER) == 0 && !back && lost == 1);
    sl_node_destroy(s.node);
}

TEST(who_may_only_be_silent_is_told_of_once_more_when_it_is_gone) {
    stage s;
    stage_open(&s, false);
    sl_node_peer_lost(s.node, PEER);
    sl_node_peer_gone(s.node, PEER);
    sl_node_peer_gone(s.node, PEER);
    settle(&s);
    CHECK(lost == 2 && gone == 1);
    sl_node_destroy(s.node);
}

TEST(who_has_ended_is_gone_unless_another_may_follow) {
    for (int replaces = 0; replaces < 2; replaces++) {
        stage s;
        stage_open(&s, false);
        fake_transport_base(s.fake)->replaces = replaces;
        say(&s, 1, 0);
        fake_lost(s.fake, PEER);
        settle(&s);
        CHECK(lost == 1 && ended == 1 && gone == !replaces);
        hello(&s, 2, NULL, 0); /* of the next process of its number */
        CHECK_INT(fake_posted(s.fake, PEER), replaces);
        if (replaces)
            reopen(&s, 2);
        CHECK(back == (uint64_t)replaces && lost == 1);
        sl_node_destroy(s.node);
    }
}

static void send(stage *s) {
    test_number number = {5};
    sl_addr to = {.node = PEER, .slot = s->sink.slot, .generation = s->sink.generation};
    CHECK_INT(sl_node_send(s->node, to, &test_number_type, &number), SL_OK);
    settle(s);
}

TEST(what_is_held_for_a_peer_leaves_when_it_may) {
    stage s;
    stage_open(&s, false);
    sl_node_peer_hold(s.node, PEER, true);
    send(&s);
    CHECK_INT(fake_posted(s.fake, PEER), 0);
    sl_node_peer_ask(s.node, PEER);
    settle(&s);
    CHECK_INT(fake_posted(s.fake, PEER), 1);
    CHECK_INT(fake_last(s.fake, PEER)->flags, SL_FRAME_ASK);
    CHECK_INT(fake_last(s.fake, PEER)->records, 0);
    sl_node_peer_hold(s.node, PEER, false);
    settle(&s);
    CHECK_INT(fake_posted(s.fake, PEER), 2);
    CHECK_INT(fake_last(s.fake, PEER)->records, 1);
    sl_node_destroy(s.node);
}

TEST(what_is_held_for_a_peer_is_dropped_with_its_link) {
    stage s;
    stage_open(&s, false);
    say(&s, 1, 0);
    sl_node_peer_hold(s.node, PEER, true);
    sl_node_peer_ask(s.node, PEER);
    sl_node_peer_lost(s.node, PEER);
    settle(&s);
    CHECK_INT(fake_posted(s.fake, PEER), 0);
    CHECK_INT(sl_node_loads(s.node).queued_bytes, 0);
    uint64_t ago_ns;
    CHECK_INT(sl_node_peer_frames(s.node, PEER, &ago_ns), 0);
    reopen(&s, 2);
    CHECK(last_is_hello(&s));
    send(&s); /* the next life is not held */
    CHECK_INT(fake_last(s.fake, PEER)->records, 1);
    sl_node_destroy(s.node);
}

TEST(who_is_asked_answers_at_once_with_a_frame) {
    stage s;
    fake_writer w;
    stage_open(&s, false);
    say(&s, 1, 0);
    CHECK_INT(fake_posted(s.fake, PEER), 0);
    fake_begin(&w, SL_LANE_CONTROL, 0);
    fake_head(&w)->flags = SL_FRAME_ASK;
    fake_head(&w)->incarnation = 1;
    fake_frame(s.fake, PEER, w.frame, w.bytes);
    settle(&s);
    CHECK_INT(fake_posted(s.fake, PEER), 1);
    CHECK_INT(fake_last(s.fake, PEER)->flags, 0);
    uint64_t ago_ns;
    CHECK_INT(sl_node_peer_frames(s.node, PEER, &ago_ns), 2);
    sl_node_destroy(s.node);
}

TEST(a_peer_that_closes_is_not_waited_for) {
    stage s;
    stage_open(&s, false);
    say(&s, 1, 0);
    hello(&s, 2, NULL, SL_FRAME_GOODBYE);
    CHECK(lost == 1 && gone == 1 && !calls && sl_node_peer_is_gone(s.node, PEER));
    sl_node_destroy(s.node);
}

TEST(a_node_that_closes_opens_nothing) {
    stage s;
    stage_open(&s, false);
    say(&s, 1, 0);
    sl_node_peer_lost(s.node, PEER);
    settle(&s);
    sl_node_stop(s.node, 0);
    settle(&s);
    hello(&s, 2, NULL, 0);
    CHECK(!last_is_hello(&s) && !back);
    say(&s, 1, 1); /* it takes us for linked */
    CHECK(last_is_hello(&s) && (fake_last(s.fake, PEER)->flags & SL_FRAME_GOODBYE));
    sl_node_destroy(s.node);
}

TEST(a_node_that_rejoins_calls_and_hears_nothing_before) {
    stage s;
    stage_open(&s, true);
    settle(&s);
    CHECK(fake_posted(s.fake, PEER) == 1 && last_is_hello(&s));
    CHECK(fake_last(s.fake, PEER)->incarnation > FIRST);
    CHECK(last_hello(&s).first_bulk_id >> 32 > FIRST);
    say(&s, 1, 0); /* to an earlier life of this node */
    CHECK(!numbers && !sl_node_peer_alive(s.node, PEER));
    reopen(&s, 3);
    CHECK(back == 1 && buried == 1);
    say(&s, 3, 0);
    CHECK_INT(numbers, 1);
    sl_node_destroy(s.node);
}

TEST(a_dead_peer_is_called_ever_more_seldom) {
    stage s;
    uint64_t early, late;
    stage_open(&s, false);
    sl_node_peer_lost(s.node, PEER);
    for (int i = 0; i < 1024; i++) {
        sl_node_call_peer(s.node, PEER);
        settle(&s);
    }
    early = fake_posted(s.fake, PEER);
    CHECK_INT(early, 8 + 7); /* and the 16th, 32nd … 1024th */
    for (int i = 1024; i < 2048; i++) {
        sl_node_call_peer(s.node, PEER);
        settle(&s);
    }
    late = fake_posted(s.fake, PEER);
    CHECK_INT(late, early + 2); /* the 1536th, and the 2048th */
    sl_node_destroy(s.node);
}

/* A new number is told only when all that the old one brought has been handled. */
TEST(a_hello_waits_for_control_messages) {
    enum { MANY = 60, OTHER = 2 };
    stage s;
    stage_open(&s, false);
    say(&s, 1, 0);
    for (int i = 0; i < MANY; i++) {
        fake_writer w;
        fake_begin(&w, SL_LANE_CONTROL, (uint64_t)i);
        for (int j = 0; j < 20; j++)
            fake_record(&w, test_urgent_id, s.sink, 0, &(uint64_t){1}, 8);
        fake_frame(s.fake, OTHER, w.frame, w.bytes);
    }
    sl_node_peer_lost(s.node, PEER);
    sl_node_call_peer(s.node, PEER);
    uint64_t early = 0, turns = 0;
    while (sl_node_turn(s.node)) {
        early += fake_posted(s.fake, PEER) == 0;
        turns++;
    }
    settle(&s);
    CHECK(turns > 2 && early > 0 && lost == 1);
    CHECK_INT(fake_posted(s.fake, PEER), 1);
    CHECK(last_is_hello(&s));
    sl_node_destroy(s.node);
}

/* The third node keeps this one from closing at once. */
TEST(after_both_goodbyes_nothing_is_said) {
    stage s;
    fake_writer w;
    stage_open(&s, false);
    say(&s, 1, 0);
    fake_begin(&w, SL_LANE_CONTROL, 0);
    fake_head(&w)->flags = SL_FRAME_GOODBYE;
    fake_frame(s.fake, PEER, w.frame, w.bytes);
    settle(&s);
    sl_node_stop(s.node, 0);
    settle(&s);
    CHECK(fake_posted(s.fake, PEER) == 1);
    CHECK_INT(fake_last(s.fake, PEER)->flags, SL_FRAME_GOODBYE);
    fake_begin(&w, SL_LANE_CONTROL, 1);
    fake_head(&w)->flags = SL_FRAME_ASK;
    fake_frame(s.fake, PEER, w.frame, w.bytes);
    settle(&s);
    CHECK_INT(fake_posted(s.fake, PEER), 1);
    sl_node_destroy(s.node);
}

TEST(a_hello_of_another_length_is_not_sound) {
    stage s;
    fake_writer w;
    stage_open(&s, false);
    fake_begin(&w, SL_LANE_CONTROL, 0);
    fake_head(&w)->flags = SL_FRAME_HELLO;
    fake_frame(s.fake, PEER, w.frame, w.bytes);
    settle(&s);
    CHECK(lost == 1 && gone == 1);
    CHECK_INT(sl_metric_value(sl_node_metrics(s.node), SL_METRIC_decode_errors), 1);
    sl_node_destroy(s.node);
}

/* The HELLO goes before the messages that wait, also when it could not go at once. */
TEST(nothing_overtakes_the_hello) {
    stage s;
    stage_open(&s, false);
    hello(&s, 2, NULL, 0);
    uint32_t own = fake_last(s.fake, PEER)->incarnation;
    fake_close_window(s.fake, PEER, true);
    hello(&s, 2, &own, 0);
    CHECK(sl_node_peer_alive(s.node, PEER));
    test_number number = {1};
    CHECK_INT(sl_node_send(s.node, (sl_addr){PEER, 16, 0}, &test_number_type, &number), SL_OK);
    settle(&s);
    uint64_t before = fake_posted(s.fake, PEER);
    fake_close_window(s.fake, PEER, false);
    settle(&s);
    CHECK_INT(fake_posted(s.fake, PEER), before + 2);
    CHECK(!last_is_hello(&s) && fake_last(s.fake, PEER)->sequence == 0);
    CHECK_INT(fake_last(s.fake, PEER)->incarnation, own);
    sl_node_destroy(s.node);
}
