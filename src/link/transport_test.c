// SPDX-License-Identifier: Apache-2.0
//
// link/transport_test.c - links on streams: batching, time, ends, order of callbacks, memory.

#include "tests/harness/test.h"
#include "tests/link/transport_world.h"

// ---- carrying

// The whole life of a connection, in each suite: open, talk, leave. [P-33] [P-60]
TEST(transport, carries_a_link_in_every_suite)
{
    for (int suite = 0; suite < PHI_SUITE_COUNT; suite++) {
        world w;
        world_open(&w, (phi_suite)suite, 1);
        EXPECT(say(&w.client[0], 1000));
        EXPECT(say(&w.center[0], 60000));
        (void)fake_io_settle(&w.fake);
        EXPECT_EQ(w.center[0].packets, 1);
        EXPECT_EQ(w.client[0].packets, 1);
        EXPECT_EQ(w.groups[CENTER].count, 1);

        bye(&w.client[0], PHI_BYE_NORMAL);
        EXPECT_EQ(w.client[0].closes, 0); // not from inside the call
        (void)fake_io_settle(&w.fake);
        expect_over(&w.client[0], PHI_BYE_NORMAL, PH_OK);
        expect_over(&w.center[0], PHI_BYE_NORMAL, PH_OK);
        EXPECT(w.center[0].end.by_peer);
        EXPECT_EQ(w.groups[CENTER].count, 0);
        EXPECT_EQ(w.groups[CENTER].bytes_sent, w.groups[CLIENT].bytes_received);
        EXPECT_EQ(w.groups[CLIENT].bytes_sent, w.groups[CENTER].bytes_received);
        world_fini(&w);
    }
}

// A write per message instead of one per turn would cost most of the throughput there is.
TEST(transport, turn_is_one_write)
{
    world w;
    world_open(&w, PHI_SUITE_CHECK, 2);
    unsigned before[2] = { w.center[0].transport.stream->writes,
                           w.center[1].transport.stream->writes };
    for (int i = 0; i < 100; i++) {
        EXPECT(say(&w.center[0], 100));
        EXPECT(say(&w.center[1], 100));
    }
    EXPECT_EQ(w.center[0].transport.stream->writes, before[0]); // nothing before the turn ends
    EXPECT(w.fake.io.is_hurried);
    fake_io_turn(&w.fake);
    EXPECT_EQ(w.center[0].transport.stream->writes, before[0] + 1);
    EXPECT_EQ(w.center[1].transport.stream->writes, before[1] + 1);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.client[0].packets, 100);
    EXPECT_EQ(w.client[1].packets, 100);
    // Idle turns write nothing.
    fake_io_turn(&w.fake);
    EXPECT_EQ(w.center[0].transport.stream->writes, before[0] + 1);
    world_fini(&w);
}

static bool say_easily(node *n, size_t size)
{
    phi_transport_ease(&n->transport);
    return say(n, size);
}

// Who says megabytes in one turn would fill as much memory, and have the kernel copy what has left
// the processor's cache. What is written early keeps its place, and a stream that takes no more is
// not asked again.
TEST(transport, large_turn_is_written_piece_by_piece)
{
    for (int suite = 0; suite < PHI_SUITE_COUNT; suite++) {
        world w;
        world_init(&w, (phi_suite)suite);
        w.options[CLIENT].send_bytes_max = 4 * PHI_TRANSPORT_EASE_BYTES;
        EXPECT_ERR(world_connect(&w, 0), PH_OK);
        (void)fake_io_settle(&w.fake);
        node *n = &w.client[0];
        phi_transport *t = &n->transport;
        unsigned before = t->stream->writes;
        unsigned said = 0;
        while (phi_link_waiting(&t->link) < PHI_TRANSPORT_EASE_BYTES) {
            EXPECT(say_easily(n, 4000));
            said++;
        }
        EXPECT_EQ(t->stream->writes, before);
        EXPECT(say_easily(n, 4000));
        EXPECT_EQ(t->stream->writes, before + 1);
        EXPECT(phi_link_waiting(&t->link) < 5000); // only what was said last
        said++;

        t->stream->takes = 0;
        while (say_easily(n, 4000)) {
            said++;
        }
        EXPECT(phi_link_waiting(&t->link) > 3 * PHI_TRANSPORT_EASE_BYTES);
        EXPECT_EQ(t->stream->writes, before + 2); // which showed that it is blocked
        t->stream->takes = SIZE_MAX;
        (void)fake_io_settle(&w.fake);
        EXPECT_EQ(w.center[0].packets, said);
        EXPECT_EQ(n->closes, 0);
        world_fini(&w);
    }
}

// A stream that takes a few bytes at a time must get each byte once and in order, in a suite where
// one byte too many breaks everything behind it. [P-2]
TEST(transport, short_writes_lose_nothing)
{
    for (int suite = 0; suite < PHI_SUITE_COUNT; suite++) {
        world w;
        world_open(&w, (phi_suite)suite, 1);
        w.center[0].transport.stream->takes = 7;
        for (int i = 0; i < 50; i++) {
            EXPECT(say(&w.center[0], 40));
            fake_io_turn(&w.fake);
        }
        (void)fake_io_settle(&w.fake);
        EXPECT_EQ(w.client[0].packets, 50);
        EXPECT_EQ(w.client[0].closes, 0);
        EXPECT(!w.center[0].transport.is_blocked);
        world_fini(&w);
    }
}

// An idle connection must cost little: 10,000 of them are the normal case.
TEST(transport, idle_connection_is_small)
{
    EXPECT(sizeof(phi_transport) <= 800);
    world w;
    world_open(&w, PHI_SUITE_CHECK, 1);
    EXPECT_EQ(w.memory.bytes, 0);           // what it joined with is given back already
    fake_io_pass(&w.fake, phi_seconds(12)); // one heartbeat
    EXPECT_EQ(w.memory.bytes, 0);
    // A rare write gives its buffer back at once.
    EXPECT(say(&w.center[0], 5000));
    EXPECT(w.memory.bytes != 0);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.client[0].packets, 1);
    EXPECT_EQ(w.memory.bytes, 0);
    // A busy one keeps it, until it falls idle.
    for (int i = 0; i < 8; i++) {
        EXPECT_EQ(w.memory.bytes, 0);
        fake_io_pass(&w.fake, phi_ms(100));
        EXPECT(say(&w.center[0], 500));
        (void)fake_io_settle(&w.fake);
    }
    EXPECT(w.memory.bytes != 0);
    fake_io_pass(&w.fake, phi_seconds(12));
    EXPECT_EQ(w.memory.bytes, 0);
    world_fini(&w);
}

static size_t large_buffers(const world *w)
{
    size_t large = 0;
    for (size_t i = 0; i < 4; i++) {
        large += w->center[i].transport.link.out.buf.capacity > PHI_BUF_KEEP_BYTES;
    }
    return large;
}

// Buffers that grew in the same burst are in nobody's way at the same time, too: to give back a
// thousand in one turn is a turn of many milliseconds. One that is used is kept.
TEST(transport, wasteful_buffers_are_given_back_one_in_a_turn)
{
    world w;
    world_open(&w, PHI_SUITE_PLAIN, 4);
    for (size_t turn = 0; turn < 10; turn++) { // they write often
        for (size_t i = 0; i < 4; i++) {
            EXPECT(say(&w.center[i], 60000));
            EXPECT(say(&w.center[i], 60000));
        }
        (void)fake_io_settle(&w.fake);
    }
    EXPECT_EQ(large_buffers(&w), 4);
    for (size_t turn = 1; turn < PHI_BUF_SMALL_DRAINS; turn++) {
        for (size_t i = 0; i < 4; i++) {
            EXPECT(say(&w.center[i], i == 3 && turn == 1 ? 60000 : 10));
        }
        fake_io_turn(&w.fake);
    }
    EXPECT_EQ(large_buffers(&w), 4);
    for (size_t left = 3; left >= 1; left--) {
        for (size_t i = 0; i < 4; i++) {
            EXPECT(say(&w.center[i], 10));
        }
        fake_io_turn(&w.fake);
        EXPECT_EQ(large_buffers(&w), left);
    }
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.client[3].packets, 20 + PHI_BUF_SMALL_DRAINS - 1 + 3);
    world_fini(&w);
}

// A timer set anew for each packet would be a cost of every packet.
TEST(transport, packets_do_not_touch_the_timer)
{
    world w;
    world_open(&w, PHI_SUITE_PLAIN, 1);
    uint64_t tick = w.center[0].transport.timer.tick;
    for (int i = 0; i < 4; i++) {
        fake_io_pass(&w.fake, phi_seconds(1));
        EXPECT(say(&w.client[0], 10));
        (void)fake_io_settle(&w.fake);
        EXPECT_EQ(w.center[0].transport.timer.tick, tick);
    }
    world_fini(&w);
}

// ---- ends

// Every end a connection can come to is told once, in order, and nothing after. [P-70] [P-71]
TEST(transport, broken_stream_is_told_once)
{
    static const ph_err reasons[] = { PH_ERESET, PH_ECLOSED };
    for (size_t i = 0; i < PHI_COUNT_OF(reasons); i++) {
        world w;
        world_open(&w, PHI_SUITE_CHECK, 1);
        EXPECT(say(&w.center[0], 10)); // a write to a broken stream takes nothing
        fake_stream_break(w.center[0].transport.stream, reasons[i]);
        (void)fake_io_settle(&w.fake);
        expect_over(&w.center[0], PHI_BYE_NORMAL, reasons[i]);
        EXPECT(!w.center[0].end.by_peer);
        expect_over(&w.client[0], PHI_BYE_NORMAL, PH_ECLOSED);
        world_fini(&w);
    }
}

// A client must learn why it could not connect, and be able to try again at once.
TEST(transport, refused_connection_says_why)
{
    world w;
    world_init(&w, PHI_SUITE_PLAIN);
    w.fake.refuses = true;
    EXPECT_ERR(world_connect(&w, 0), PH_OK);
    EXPECT_EQ(w.client[0].closes, 0);
    (void)fake_io_settle(&w.fake);
    expect_over(&w.client[0], PHI_BYE_NORMAL, PH_ECONNECT);
    EXPECT_TEXT(w.client[0].text, "Connection refused");
    world_fini(&w);
}

// A connection that could not even be begun must leave no trace.
TEST(transport, connect_that_fails_at_once_leaves_nothing)
{
    world w;
    world_init(&w, PHI_SUITE_PLAIN);
    w.fake.connect_err = PH_EINVAL;
    EXPECT_ERR(world_connect(&w, 0), PH_EINVAL);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.client[0].closes + w.client[0].gones, 0);
    EXPECT_EQ(w.groups[CLIENT].count, 0);
    world_fini(&w);
}

// A center without memory for one more link must close the stream and live on.
TEST(transport, accept_without_memory_closes_the_stream)
{
    world w;
    world_init(&w, PHI_SUITE_PAPER);
    EXPECT_ERR(world_connect(&w, 0), PH_OK);
    w.memory.bytes_max = w.memory.bytes + 1;
    (void)fake_io_settle(&w.fake);
    EXPECT_ERR(w.accept_err, PH_ENOMEM);
    EXPECT_EQ(w.accepted, 0);
    expect_over(&w.client[0], PHI_BYE_NORMAL, PH_ECLOSED);
    EXPECT_EQ(w.groups[CENTER].count, 0);
    world_fini(&w);
}

// A breach closes the connection within the same turn, with its bye on the way. [P-70]
TEST(transport, breach_closes_within_the_turn)
{
    world w;
    world_open(&w, PHI_SUITE_PLAIN, 1);
    phi_stream *stream = w.center[0].transport.stream;
    static const uint8_t garbage[4] = { 0xff, 0xff, 0xff, 0xff };
    EXPECT(phi_buf_append(&stream->inbox, phi_bytes_of(garbage, sizeof garbage)));
    fake_io_turn(&w.fake);
    EXPECT_EQ(w.center[0].closes, 1);
    EXPECT(stream->is_closed);
    (void)fake_io_settle(&w.fake);
    expect_over(&w.center[0], PHI_BYE_LENGTH_INVALID, PH_EPROTO);
    expect_over(&w.client[0], PHI_BYE_LENGTH_INVALID, PH_EPROTO);
    EXPECT(w.client[0].end.by_peer);
    world_fini(&w);
}

// A peer that does not even take its bye must not keep the connection. [P-70]
TEST(transport, bye_that_is_not_taken_lingers_for_a_second)
{
    world w;
    world_open(&w, PHI_SUITE_CHECK, 1);
    phi_stream *stream = w.center[0].transport.stream;
    stream->takes = 0;
    EXPECT(say(&w.center[0], 1000));
    bye(&w.center[0], PHI_BYE_KICKED);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.center[0].closes, 1); // the owner need not wait for it
    EXPECT_EQ(w.center[0].gones, 0);
    fake_io_pass(&w.fake, phi_ms(999));
    EXPECT(!stream->is_closed);
    fake_io_pass(&w.fake, phi_ms(1));
    expect_over(&w.center[0], PHI_BYE_KICKED, PH_EREFUSED);
    expect_over(&w.client[0], PHI_BYE_NORMAL, PH_ECLOSED); // it never heard the bye
    world_fini(&w);
}

// What is still queued in front of the bye goes out first, however slowly, while it moves within
// the second. [P-60]
TEST(transport, bye_is_flushed_through_a_slow_stream)
{
    world w;
    world_open(&w, PHI_SUITE_PAPER, 1);
    w.center[0].transport.stream->takes = 10;
    for (int i = 0; i < 20; i++) {
        EXPECT(say(&w.center[0], 100));
    }
    bye(&w.center[0], PHI_BYE_GOING_AWAY);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.client[0].packets, 20);
    expect_over(&w.client[0], PHI_BYE_GOING_AWAY, PH_OK);
    expect_over(&w.center[0], PHI_BYE_GOING_AWAY, PH_OK);
    world_fini(&w);
}

// A stream that breaks while its bye waits ends the transport once, not twice.
TEST(transport, stream_that_breaks_while_ending_is_gone_once)
{
    world w;
    world_open(&w, PHI_SUITE_CHECK, 1);
    phi_stream *stream = w.center[0].transport.stream;
    stream->takes = 0;
    bye(&w.center[0], PHI_BYE_KICKED);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.center[0].closes, 1);
    fake_stream_break(stream, PH_ERESET);
    (void)fake_io_settle(&w.fake);
    expect_over(&w.center[0], PHI_BYE_KICKED, PH_EREFUSED);
    fake_io_pass(&w.fake, phi_seconds(5));
    EXPECT_EQ(w.center[0].gones, 1);
    world_fini(&w);
}

// ... and so does one that breaks in the very turn of the bye, before CLOSED was reported.
TEST(transport, stream_that_breaks_in_the_turn_of_the_bye)
{
    world w;
    world_open(&w, PHI_SUITE_CHECK, 1);
    bye(&w.center[0], PHI_BYE_KICKED);
    fake_stream_break(w.center[0].transport.stream, PH_ERESET);
    (void)fake_io_settle(&w.fake);
    expect_over(&w.center[0], PHI_BYE_KICKED, PH_EREFUSED);
    world_fini(&w);
}

// ---- calls from inside callbacks

static void bye_self(node *n)
{
    bye(n, PHI_BYE_MALFORMED);
    EXPECT(!say(n, 10));
}

// The owner judges a packet and ends its link from inside: what stands behind it in the same bytes
// must not be looked at. [P-70]
TEST(transport, bye_inside_own_event)
{
    world w;
    world_open(&w, PHI_SUITE_CHECK, 1);
    w.center[0].in_packet = bye_self;
    EXPECT(say(&w.client[0], 10));
    EXPECT(say(&w.client[0], 10));
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.center[0].packets, 1);
    expect_over(&w.center[0], PHI_BYE_MALFORMED, PH_EPROTO);
    expect_over(&w.client[0], PHI_BYE_MALFORMED, PH_EPROTO);
    world_fini(&w);
}

static void bye_other(node *n)
{
    bye(n->world->other, PHI_BYE_KICKED);
}

static void say_other(node *n)
{
    EXPECT(say(n->world->other, 10));
}

// A packet of one link that ends, or feeds, another: the bread and butter of a center.
TEST(transport, calls_on_others_inside_event)
{
    world w;
    world_open(&w, PHI_SUITE_CHECK, 3);
    w.other = &w.center[1];
    w.center[0].in_packet = say_other;
    w.center[2].in_packet = bye_other;
    EXPECT(say(&w.client[0], 10));
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.client[1].packets, 1);
    // Both in one turn, in either order: what was said before the bye arrives.
    EXPECT(say(&w.client[0], 10));
    EXPECT(say(&w.client[2], 10));
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.client[1].packets, 2);
    expect_over(&w.center[1], PHI_BYE_KICKED, PH_EREFUSED);
    expect_over(&w.client[1], PHI_BYE_KICKED, PH_EREFUSED);
    EXPECT_EQ(w.center[0].closes + w.center[2].closes, 0);
    world_fini(&w);
}

// The end of one link tells others, and ends others, from inside the hook: all of that leaves in
// the same turn.
TEST(transport, calls_inside_closed_take_effect_in_the_same_turn)
{
    world w;
    world_open(&w, PHI_SUITE_CHECK, 3);
    w.other = &w.center[1];
    w.center[0].in_closed = say_other;
    w.center[2].in_closed = bye_other;
    unsigned writes = w.center[1].transport.stream->writes;
    bye(&w.center[0], PHI_BYE_KICKED);
    fake_io_turn(&w.fake);
    EXPECT_EQ(w.center[0].closes, 1);
    EXPECT_EQ(w.center[1].transport.stream->writes, writes + 1);
    bye(&w.center[2], PHI_BYE_KICKED);
    fake_io_turn(&w.fake);
    EXPECT_EQ(w.center[2].closes, 1);
    EXPECT_EQ(w.center[1].closes, 1);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.client[1].packets, 1);
    expect_over(&w.client[1], PHI_BYE_KICKED, PH_EREFUSED);
    world_fini(&w);
}

static void connect_again(node *n)
{
    EXPECT_ERR(world_connect(n->world, 1), PH_OK);
}

// A client connects anew from inside on_gone.
TEST(transport, connect_inside_gone)
{
    world w;
    world_open(&w, PHI_SUITE_PAPER, 1);
    w.client[0].in_gone = connect_again;
    bye(&w.center[0], PHI_BYE_GOING_AWAY);
    (void)fake_io_settle(&w.fake);
    expect_over(&w.client[0], PHI_BYE_GOING_AWAY, PH_OK);
    EXPECT_EQ(w.client[1].opens, 1);
    world_fini(&w);
}

// ---- time

// Timeouts must fire from the timer, at their time, on both ends. [P-12] [P-40]
TEST(transport, deadlines_fire_to_the_millisecond)
{
    world w;
    world_open(&w, PHI_SUITE_CHECK, 1);
    phi_time opened = w.fake.io.now;
    // The client's answers are lost: it is as good as dead.
    w.client[0].transport.stream->takes = 0;
    fake_io_pass(&w.fake, phi_ms(14999));
    EXPECT_EQ(w.center[0].closes, 0);
    fake_io_pass(&w.fake, phi_ms(1));
    expect_over(&w.center[0], PHI_BYE_HEARTBEAT_TIMEOUT, PH_ETIMEDOUT);
    EXPECT_EQ(phi_dur_ms(phi_time_diff(w.fake.io.now, opened)), 15000);
    world_fini(&w);

    // A client whose center says nothing.
    world_init(&w, PHI_SUITE_CHECK);
    EXPECT_ERR(world_connect(&w, 0), PH_OK);
    w.client[0].transport.stream->is_paused = true;
    fake_io_pass(&w.fake, phi_ms(4999));
    EXPECT_EQ(w.client[0].closes, 0);
    fake_io_pass(&w.fake, phi_ms(1));
    EXPECT_EQ(w.client[0].closes, 1);
    EXPECT_EQ(w.client[0].end.code, PHI_BYE_JOIN_TIMEOUT);
    world_fini(&w);
}

// A probe must go out in this turn, and its grace run from now. [P-37]
TEST(transport, probe_is_sent_and_judged)
{
    world w;
    world_open(&w, PHI_SUITE_CHECK, 1);
    phi_transport_probe(&w.center[0].transport);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.center[0].transport.link.round_trip_us, 1);
    fake_io_pass(&w.fake, phi_ms(10));
    w.client[0].transport.stream->takes = 0;
    phi_transport_probe(&w.center[0].transport);
    fake_io_pass(&w.fake, phi_ms(4999));
    EXPECT_EQ(w.center[0].closes, 0);
    fake_io_pass(&w.fake, phi_ms(1));
    EXPECT_EQ(w.center[0].end.code, PHI_BYE_HEARTBEAT_TIMEOUT);
    world_fini(&w);
}

// ---- dropping

// An owner that frees itself must be rid of its transports at once, in any state, and hear nothing
// more; the bye it said before must still go out.
TEST(transport, drop_ends_at_once_in_every_state)
{
    world w;
    // live, with something queued
    world_open(&w, PHI_SUITE_PAPER, 1);
    EXPECT(say(&w.center[0], 10));
    phi_transport_bye(&w.center[0].transport, PHI_BYE_GOING_AWAY, 0, NULL);
    drop(&w.center[0]);
    EXPECT_EQ(w.groups[CENTER].count, 0);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.center[0].closes + w.center[0].gones, 0);
    EXPECT_EQ(w.client[0].packets, 1);
    expect_over(&w.client[0], PHI_BYE_GOING_AWAY, PH_OK);
    drop(&w.center[0]); // again: nothing
    world_fini(&w);

    // ending: the stream does not take the bye
    world_open(&w, PHI_SUITE_CHECK, 1);
    w.center[0].transport.stream->takes = 0;
    bye(&w.center[0], PHI_BYE_KICKED);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.center[0].closes, 1);
    drop(&w.center[0]);
    fake_io_pass(&w.fake, phi_seconds(5));
    EXPECT_EQ(w.center[0].gones, 0);
    world_fini(&w);

    // shut: the stream is closing
    world_open(&w, PHI_SUITE_CHECK, 1);
    bye(&w.center[0], PHI_BYE_KICKED);
    fake_io_turn(&w.fake);
    EXPECT(w.center[0].transport.stream->is_closed);
    drop(&w.center[0]);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.center[0].gones, 0);
    world_fini(&w);

    // connecting, and never begun
    world_init(&w, PHI_SUITE_CHECK);
    drop(&(node){ .world = &w });
    EXPECT_ERR(world_connect(&w, 0), PH_OK);
    drop(&w.client[0]);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.client[0].closes + w.client[0].gones, 0);
    world_fini(&w);
}

static void drop_self(node *n)
{
    phi_transport_drop(&n->transport);
    memset(&n->transport, 0xa5, sizeof n->transport);
    n->has_transport = false;
}

static void drop_other(node *n)
{
    drop_self(n->world->other);
}

// Dropping from inside callbacks: one's own when there is room, another's when a link ends, in the
// middle of the hook's list.
TEST(transport, drop_inside_callbacks)
{
    world w;
    world_open(&w, PHI_SUITE_CHECK, 3);
    w.center[0].in_room = drop_self;
    (void)fill(&w.center[0], 1000);
    w.other = &w.center[2];
    w.center[1].in_closed = drop_other;
    bye(&w.center[1], PHI_BYE_KICKED);
    EXPECT(say(&w.center[2], 10));
    (void)fake_io_settle(&w.fake);
    EXPECT(!w.center[0].has_transport);
    EXPECT(!w.center[2].has_transport);
    expect_over(&w.center[1], PHI_BYE_KICKED, PH_EREFUSED);
    EXPECT_EQ(w.client[2].packets, 1);
    EXPECT_EQ(w.client[0].closes + w.client[2].closes, 2);
    world_fini(&w);
}

// ---- suite paper

// Whoever owns them: links of one loop must make their key stream together, or suite paper costs
// each the latency of its own. [P-25]
TEST(transport, links_of_a_loop_make_key_stream_together)
{
    enum { CLIENTS = 4, TURNS = 20 };
    if (phi_key_stream_together(phi_key_stream_best()) < CLIENTS) {
        return; // this processor makes it one after the other
    }
    world w;
    world_open(&w, PHI_SUITE_PAPER, CLIENTS);
    for (size_t turn = 0; turn < 2 * TURNS; turn++) {
        for (int side = 0; turn == TURNS && side < PHI_LINK_SIDE_COUNT; side++) {
            w.ciphers[side].group.blocks = 0; // the windows have grown
            w.ciphers[side].group.steps = 0;
        }
        for (size_t i = 0; i < CLIENTS; i++) {
            EXPECT(say(&w.client[i], 2000));
        }
        (void)fake_io_settle(&w.fake);
    }
    for (int side = 0; side < PHI_LINK_SIDE_COUNT; side++) {
        const phi_cipher_group *group = &w.ciphers[side].group;
        EXPECT(group->blocks >= CLIENTS * (TURNS - 1) * (2000 / 16));
        EXPECT(group->steps * CLIENTS <= group->blocks * 5 / 4);
    }
    world_fini(&w);
}

// ---- memory

// Whatever allocation fails on the way, both ends come to an end that was told, and nothing leaks.
TEST(transport, any_allocation_may_fail)
{
    for (int suite = 0; suite < PHI_SUITE_COUNT; suite++) {
        for (size_t nth = 1;; nth++) {
            world w;
            world_init(&w, (phi_suite)suite);
            w.memory.fail_at = nth;
            if (world_connect(&w, 0) == PH_OK) {
                (void)fake_io_settle(&w.fake);
                if (w.client[0].opens == 1 && w.client[0].closes == 0 && w.center[0].closes == 0) {
                    (void)say(&w.client[0], 3000);
                    (void)say(&w.center[0], 3000);
                    phi_transport_probe(&w.center[0].transport);
                    fake_io_pass(&w.fake, phi_ms(20));
                    bye(&w.client[0], PHI_BYE_NORMAL);
                }
                fake_io_pass(&w.fake, phi_seconds(20));
                EXPECT_EQ(w.client[0].closes, 1);
                EXPECT_EQ(w.client[0].gones, 1);
                EXPECT_EQ(w.center[0].closes, w.accepted);
                EXPECT_EQ(w.center[0].gones, w.accepted);
            }
            bool has_failed = w.memory.takes >= nth;
            world_fini(&w);
            if (!has_failed) {
                EXPECT(nth > 3);
                break;
            }
        }
    }
}

// A zeroed group may be finished: owners do so on their error paths.
TEST(transport, zeroed_group_may_be_finished)
{
    phi_transports group = { .io = NULL };
    phi_transports_fini(&group);
    EXPECT(group.io == NULL);
}
