// SPDX-License-Identifier: Apache-2.0
//
// link/transport_hold_test.c - links whose owner does not read on: paused, metered, held.

#include "tests/harness/test.h"
#include "tests/link/transport_world.h"

// ---- pausing

// A paused transport reads nothing, and goes on where it stopped.
TEST(transport, pause_holds_what_is_not_read)
{
    world w;
    world_open(&w, PHI_SUITE_CHECK, 1);
    phi_transport_pause(&w.center[0].transport, true);
    EXPECT(say(&w.client[0], 10));
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.center[0].packets, 0);
    phi_transport_pause(&w.center[0].transport, false);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.center[0].packets, 1);
    world_fini(&w);
}

// Whoever pauses for long must neither take the other for dead nor be taken for dead: a client that
// is slowed down would be cut off, or would leave. [P-40] [P-78]
TEST(transport, paused_lives_on_both_sides)
{
    world w;
    world_init(&w, PHI_SUITE_CHECK);
    w.options[CLIENT].heartbeat_idle = phi_seconds(10);
    EXPECT_ERR(world_connect(&w, 0), PH_OK);
    (void)fake_io_settle(&w.fake);
    node *n = &w.center[0];
    fake_io_pass(&w.fake, phi_ms(9900)); // the client is about to ask
    phi_transport_pause(&n->transport, true);
    EXPECT(say(&w.client[0], 10));
    fake_io_pass(&w.fake, phi_seconds(120));
    EXPECT_EQ(n->packets, 0);
    EXPECT_EQ(n->closes, 0);
    EXPECT_EQ(w.client[0].closes, 0);
    // What came meanwhile is read, and from here on silence counts again.
    phi_transport_pause(&n->transport, false);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(n->packets, 1);
    w.client[0].transport.stream->takes = 0;
    fake_io_pass(&w.fake, phi_ms(14999));
    EXPECT_EQ(n->closes, 0);
    fake_io_pass(&w.fake, phi_ms(1));
    expect_over(n, PHI_BYE_HEARTBEAT_TIMEOUT, PH_ETIMEDOUT);
    world_fini(&w);
}

// A pause does not wait for ever on who does not take what it is sent either. [P-59]
TEST(transport, paused_is_still_judged_as_a_reader)
{
    world w;
    world_open(&w, PHI_SUITE_CHECK, 1);
    node *n = &w.center[0];
    phi_transport_pause(&n->transport, true);
    n->transport.stream->takes = 0;
    EXPECT(say(n, 1000));
    (void)fake_io_settle(&w.fake);
    fake_io_pass(&w.fake, phi_ms(9999));
    EXPECT_EQ(n->closes, 0);
    fake_io_pass(&w.fake, phi_ms(1));
    EXPECT_EQ(n->closes, 1);
    EXPECT_EQ(n->end.code, PHI_BYE_SLOW_CONSUMER);
    world_fini(&w);
}

// ---- metering

static void hold(node *n)
{
    phi_transport_hold(&n->transport);
}

static void pause_in_read(node *n)
{
    phi_transport_pause(&n->transport, true);
}

static void bye_in_read(node *n)
{
    phi_transport_bye(&n->transport, PHI_BYE_KICKED, 0, NULL);
}

static world *metered_open(world *w, phi_suite suite)
{
    world_init(w, suite);
    w->groups[CENTER].events = &metered_events;
    EXPECT_ERR(world_connect(w, 0), PH_OK);
    (void)fake_io_settle(&w->fake);
    EXPECT_EQ(w->center[0].joins, 1);
    return w;
}

// What an owner charges for must be what came: each byte once, each packet once, however they were
// cut, and whether they were handed up at once or held. [P-78]
TEST(transport, metered_counts_what_came)
{
    for (int suite = 0; suite < PHI_SUITE_COUNT; suite++) {
        world w;
        metered_open(&w, (phi_suite)suite);
        node *n = &w.center[0];
        size_t head = phi_suite_head((phi_suite)suite);
        EXPECT_EQ(n->read_packets, 1); // JOIN
        EXPECT_EQ(n->read_bytes, w.groups[CENTER].bytes_received);
        size_t joined = n->read_bytes;
        w.client[0].transport.stream->takes = 700; // cut within packets
        for (int i = 0; i < 5; i++) {
            EXPECT(say(&w.client[0], 1000));
        }
        (void)fake_io_settle(&w.fake);
        EXPECT_EQ(n->packets, 5);
        EXPECT_EQ(n->read_packets, 6);
        EXPECT_EQ(n->read_bytes, joined + 5 * (1000 + head));
        EXPECT(n->reads > 6);

        w.client[0].transport.stream->takes = SIZE_MAX;
        n->in_packet = hold;
        for (int i = 0; i < 3; i++) {
            EXPECT(say(&w.client[0], 1000));
        }
        (void)fake_io_settle(&w.fake);
        EXPECT_EQ(n->read_packets, 7);
        EXPECT_EQ(n->read_bytes, joined + 8 * (1000 + head));
        n->in_packet = NULL;
        phi_transport_go_on(&n->transport);
        (void)fake_io_settle(&w.fake);
        EXPECT_EQ(n->read_packets, 9);
        EXPECT_EQ(n->read_bytes, w.groups[CENTER].bytes_received);
        world_fini(&w);
    }
}

// Pausing inside on_read stops the next read, not what this one brought; and a held one whose pause
// ends stays held. [P-78]
TEST(transport, paused_in_read_reads_no_more)
{
    world w;
    metered_open(&w, PHI_SUITE_PLAIN);
    node *n = &w.center[0];
    n->in_read = pause_in_read;
    for (int i = 0; i < 4; i++) {
        EXPECT(say(&w.client[0], 100));
    }
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(n->packets, 4); // one read
    EXPECT(say(&w.client[0], 100));
    fake_io_pass(&w.fake, phi_seconds(60));
    EXPECT_EQ(n->packets, 4);
    n->in_packet = hold;
    EXPECT(say(&w.client[0], 100));
    (void)fake_io_settle(&w.fake); // two are there to be read
    phi_transport_pause(&n->transport, false);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(n->packets, 5); // held, and paused again behind that
    n->in_read = NULL;
    phi_transport_pause(&n->transport, false);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(n->packets, 5);
    n->in_packet = NULL;
    phi_transport_pause(&n->transport, true);
    phi_transport_go_on(&n->transport);
    EXPECT_EQ(n->packets, 6); // what was kept
    EXPECT(say(&w.client[0], 100));
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(n->packets, 6);
    phi_transport_pause(&n->transport, false);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(n->packets, 7);
    EXPECT_EQ(n->closes, 0);
    world_fini(&w);
}

// An owner may end it there, and a paused one that ends is read to its end: else who left would
// stay until the pause is over.
TEST(transport, metered_ends_once)
{
    for (int how = 0; how < 3; how++) {
        world w;
        metered_open(&w, PHI_SUITE_CHECK);
        node *n = &w.center[0];
        n->in_read = how == 0 ? bye_in_read : pause_in_read;
        EXPECT(say(&w.client[0], 100));
        (void)fake_io_settle(&w.fake);
        if (how == 1) {
            bye(n, PHI_BYE_KICKED);
        } else if (how == 2) {
            fake_stream_break(n->transport.stream, PH_ERESET);
        }
        (void)fake_io_settle(&w.fake);
        EXPECT_EQ(n->closes, 1);
        EXPECT_EQ(n->gones, 1);
        EXPECT_EQ(w.client[0].gones, 1);
        EXPECT_EQ(n->reads, 2); // JOIN's
        world_fini(&w);
    }
}

// ---- holding

static void hold_and_end(node *n)
{
    phi_transport_hold(&n->transport);
    phi_transport_bye(&n->transport, PHI_BYE_GOING_AWAY, 0, NULL);
}

static void go_on(node *n)
{
    phi_transport_go_on(&n->transport); // the one call from inside which callbacks come
    (void)fake_io_settle(&n->world->fake);
}

// An owner must be able to cut what one peer asks for into turns: one packet at a time, none lost,
// nothing read meanwhile, and all memory back. [P-55]
TEST(transport, held_hands_up_one_packet_at_a_time)
{
    for (int suite = 0; suite < PHI_SUITE_COUNT; suite++) {
        world w;
        world_open(&w, (phi_suite)suite, 1);
        node *n = &w.center[0];
        n->in_packet = hold;
        for (int i = 0; i < 5; i++) {
            EXPECT(say(&w.client[0], 1000));
        }
        (void)fake_io_settle(&w.fake);
        EXPECT_EQ(n->packets, 1);
        EXPECT(phi_link_kept(&n->transport.link) >= 4000);
        EXPECT(say(&w.client[0], 1000));
        fake_io_pass(&w.fake, phi_seconds(60));
        EXPECT_EQ(n->packets, 1);
        for (unsigned i = 2; i <= 6; i++) {
            go_on(n);
            EXPECT_EQ(n->packets, i);
        }
        EXPECT_EQ(phi_link_kept(&n->transport.link), 0);
        go_on(n);
        n->in_packet = NULL;
        EXPECT(say(&w.client[0], 1000));
        (void)fake_io_settle(&w.fake);
        EXPECT_EQ(n->packets, 7);
        EXPECT_EQ(n->closes, 0);
        world_fini(&w);
    }
}

// A client whose asks stand behind what is not read would take the center for dead, and the center
// must not take a client for dead that it does not read. [P-39] [P-40]
TEST(transport, held_lives_on_both_sides)
{
    world w;
    world_init(&w, PHI_SUITE_CHECK);
    w.options[CLIENT].heartbeat_idle = phi_seconds(10);
    EXPECT_ERR(world_connect(&w, 0), PH_OK);
    (void)fake_io_settle(&w.fake);
    node *n = &w.center[0];
    fake_io_pass(&w.fake, phi_ms(9900)); // the client is about to ask
    n->in_packet = hold;
    EXPECT(say(&w.client[0], 10));
    fake_io_pass(&w.fake, phi_seconds(120));
    EXPECT_EQ(n->packets, 1);
    EXPECT_EQ(n->closes, 0);
    EXPECT_EQ(w.client[0].closes, 0);
    // Once it goes on, silence counts again.
    n->in_packet = NULL;
    w.client[0].transport.stream->takes = 0;
    go_on(n);
    fake_io_pass(&w.fake, phi_ms(14999));
    EXPECT_EQ(n->closes, 0);
    fake_io_pass(&w.fake, phi_ms(1));
    expect_over(n, PHI_BYE_HEARTBEAT_TIMEOUT, PH_ETIMEDOUT);
    world_fini(&w);
}

// However a held transport ends, its end is told once and what it kept comes back.
TEST(transport, held_ends_once)
{
    for (int how = 0; how < 5; how++) {
        world w;
        world_open(&w, PHI_SUITE_PAPER, 1);
        node *n = &w.center[0];
        n->in_packet = how == 4 ? hold_and_end : hold;
        EXPECT(say(&w.client[0], 1000));
        EXPECT(say(&w.client[0], 1000));
        (void)fake_io_settle(&w.fake);
        EXPECT_EQ(n->packets, 1);
        switch (how) {
        case 0:
            bye(n, PHI_BYE_GOING_AWAY);
            break;
        case 1:
            fake_stream_break(n->transport.stream, PH_ERESET);
            break;
        case 2: // the bye stands behind what is held
            bye(&w.client[0], PHI_BYE_NORMAL);
            n->in_packet = NULL;
            (void)fake_io_settle(&w.fake);
            EXPECT_EQ(n->closes, 0);
            go_on(n);
            EXPECT_EQ(n->packets, 2);
            EXPECT(n->end.by_peer);
            break;
        case 3:
            drop(n);
            break;
        default:
            break;
        }
        (void)fake_io_settle(&w.fake);
        EXPECT_EQ(n->closes, how != 3);
        EXPECT_EQ(n->gones, how != 3);
        world_fini(&w);
    }
}

// Without memory for what is to be kept the link ends, as without memory for half a packet.
TEST(transport, hold_without_memory_ends_the_link)
{
    world w;
    world_open(&w, PHI_SUITE_CHECK, 1);
    w.center[0].in_packet = hold;
    EXPECT(say(&w.client[0], 1000));
    EXPECT(say(&w.client[0], 1000));
    fake_io_turn(&w.fake); // the client's write
    w.memory.bytes_max = w.memory.bytes + 1;
    (void)fake_io_settle(&w.fake);
    w.memory.bytes_max = 0;
    (void)fake_io_settle(&w.fake);
    expect_over(&w.center[0], PHI_BYE_INTERNAL, PH_ENOMEM);
    world_fini(&w);
}
