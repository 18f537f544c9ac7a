// SPDX-License-Identifier: Apache-2.0
//
// link/transport_share_test.c - tests of what is the same for many: it is sent from the run of the
// turn, and is in nobody's way when the turn is over.

#include "tests/harness/test.h"

#include "tests/link/transport_world.h"

// A center of `count` clients that has a run, and buffers of a quota.
static void open_shared(world *w, phi_quota *quota, size_t count)
{
    world_init(w, PHI_SUITE_PLAIN);
    phi_quota_init(quota, &w->memory.alloc, 16u * 1024u * 1024u);
    phi_transports_provide(&w->groups[CENTER], &w->memory.alloc, quota);
    w->options[CENTER].quota = quota;
    for (size_t i = 0; i < count; i++) {
        EXPECT_ERR(world_connect(w, i), PH_OK);
        (void)fake_io_settle(&w->fake);
        EXPECT_EQ(w->center[i].joins, 1);
    }
}

static void close_shared(world *w, phi_quota *quota)
{
    EXPECT_EQ(w->groups[CENTER].run.lent, 0);
    world_fini(w);
    EXPECT_EQ(quota->promised, 0);
    phi_quota_fini(quota);
}

static phi_transport_shared packet_of(const uint8_t *payload, size_t size)
{
    return (phi_transport_shared){ .code = PHI_COMMAND_MESSAGE,
                                   .payload = phi_bytes_of(payload, size) };
}

// To all of them; how many took it.
static unsigned tell_all(world *w, size_t count, size_t size)
{
    static const uint8_t payload[4096] = { 7 };
    phi_transport_shared packet = packet_of(payload, size);
    unsigned told = 0;
    w->in_owner_call = true;
    for (size_t i = 0; i < count; i++) {
        told += phi_transport_put_shared(&w->center[i].transport, &packet);
    }
    w->in_owner_call = false;
    return told;
}

// What is shared must cost a receiver no memory of its own, leave in one write, and be gone from
// the run when the turn is over.
TEST(transport, shared_packets_leave_in_one_write_without_a_buffer)
{
    world w;
    phi_quota quota;
    open_shared(&w, &quota, 4);
    unsigned writes = w.center[3].transport.stream->writes;
    EXPECT_EQ(tell_all(&w, 4, 100), 4);
    EXPECT_EQ(tell_all(&w, 4, 200), 4);
    EXPECT_EQ(w.groups[CENTER].run.lent, 4 * (106 + 206));
    size_t blocks = w.memory.blocks;
    for (size_t i = 0; i < 4; i++) {
        EXPECT(w.center[i].transport.link.out.buf.data == NULL);
    }
    fake_io_turn(&w.fake);
    EXPECT_EQ(w.groups[CENTER].run.lent, 0);
    EXPECT_EQ(phi_run_end(&w.groups[CENTER].run), 0);
    EXPECT(w.memory.blocks <= blocks + 4); // of what is under way
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.center[3].transport.stream->writes, writes + 1);
    for (size_t i = 0; i < 4; i++) {
        EXPECT_EQ(w.client[i].packets, 2);
    }
    close_shared(&w, &quota);
}

// A stream that takes part of it, in the middle of a packet, must get the rest later, and what was
// said to it alone before and behind that in its place, while the others are done with the run.
TEST(transport, rest_of_what_is_shared_is_kept_for_a_slow_stream)
{
    for (size_t takes = 0; takes < 220; takes++) {
        world w;
        phi_quota quota;
        open_shared(&w, &quota, 2);
        w.center[0].transport.stream->takes = takes;
        EXPECT_EQ(tell_all(&w, 2, 100), 2);
        if (takes % 2 == 0) {
            EXPECT(say(&w.center[0], 10));
        }
        EXPECT_EQ(tell_all(&w, 2, 50), 2);
        fake_io_turn(&w.fake);
        EXPECT_EQ(w.groups[CENTER].run.lent, 0);
        EXPECT_EQ(tell_all(&w, 2, 30), 2); // behind what waits
        (void)fake_io_settle(&w.fake);
        w.center[0].transport.stream->takes = SIZE_MAX;
        fake_io_pass(&w.fake, phi_seconds(1));
        EXPECT_EQ(w.client[0].packets, takes % 2 == 0 ? 4 : 3);
        EXPECT_EQ(w.client[1].packets, 3);
        EXPECT_EQ(w.center[0].closes, 0);
        EXPECT_EQ(w.client[0].closes, 0); // or it would not have understood something
        close_shared(&w, &quota);
    }
}

// Without memory for the rest of a packet there is no way to go on: the link must end at once, and
// say why. A bye behind half a packet would be taken for its rest.
TEST(transport, half_sent_packet_without_memory_ends_the_link)
{
    world w;
    phi_quota quota;
    open_shared(&w, &quota, 2);
    w.center[0].transport.stream->takes = 50;
    EXPECT_EQ(tell_all(&w, 2, 2000), 2);
    w.memory.bytes_max = 1;
    fake_io_turn(&w.fake);
    w.memory.bytes_max = 0;
    EXPECT_EQ(w.groups[CENTER].run.lent, 0);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.center[0].closes, 1);
    EXPECT_ERR(w.center[0].end.err, PH_ENOMEM);
    EXPECT_EQ(w.center[0].end.code, PHI_BYE_INTERNAL);
    EXPECT_TEXT(w.center[0].text, "no memory for the rest of a packet");
    EXPECT_EQ(w.center[0].gones, 1);
    EXPECT_EQ(w.client[0].packets, 0);
    EXPECT_EQ(w.client[0].closes, 1);
    close_shared(&w, &quota);
}

enum { BURST_PACKETS = 24 };

// Almost as much as a send buffer may hold, in one turn.
static void burst(world *w)
{
    for (size_t i = 0; i < BURST_PACKETS; i++) {
        EXPECT_EQ(tell_all(w, 2, 4096), 2);
    }
    (void)fake_io_settle(&w->fake);
}

// What one burst took must not be the loop's for ever, neither when nothing follows nor when little
// does; and while bursts go on, the memory must not be fetched again for each.
TEST(transport, memory_of_a_burst_is_given_back_when_it_was_quiet)
{
    world w;
    phi_quota quota;
    open_shared(&w, &quota, 2);
    const phi_run *run = &w.groups[CENTER].run;
    EXPECT_EQ(tell_all(&w, 2, 4096), 2);
    (void)fake_io_settle(&w.fake);
    EXPECT(!phi_timer_is_set(&w.groups[CENTER].rest)); // who needs little is not woken for it
    size_t small = run->bytes.capacity;
    burst(&w);
    size_t large = run->bytes.capacity;
    EXPECT(large >= BURST_PACKETS * 4096);
    for (size_t i = 0; i < 10; i++) {
        fake_io_pass(&w.fake, phi_seconds(1));
        EXPECT_EQ(run->bytes.capacity, large);
        burst(&w);
    }
    for (size_t i = 0; i < 4; i++) {
        EXPECT_EQ(tell_all(&w, 2, 4096), 2);
        fake_io_pass(&w.fake, phi_ms(PHI_TRANSPORT_RUN_REST_MS / 2));
    }
    EXPECT_EQ(tell_all(&w, 2, 4096), 2);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(run->bytes.capacity, small);
    burst(&w);
    fake_io_pass(&w.fake, phi_ms(PHI_TRANSPORT_RUN_REST_MS * 2 + 2));
    EXPECT_EQ(run->bytes.capacity, 0);
    EXPECT(!phi_timer_is_set(&w.groups[CENTER].rest));
    EXPECT_EQ(w.client[0].packets, 1 + 12 * BURST_PACKETS + 5);
    EXPECT_EQ(w.client[1].closes, 0);
    close_shared(&w, &quota);
}

static void tell_all_in_room(node *n)
{
    n->in_room = NULL;
    world *w = n->world;
    EXPECT_EQ(tell_all(w, 2, 60), 2);
}

// Who is told of room inside the hook may tell all again: that must leave in the same turn, though
// some of them were written already, and the run must not be reset before.
TEST(transport, what_is_shared_inside_the_hook_leaves_in_the_same_turn)
{
    world w;
    phi_quota quota;
    open_shared(&w, &quota, 2);
    EXPECT_EQ(tell_all(&w, 2, 100), 2);
    phi_transport_want_room(&w.center[0].transport);
    w.center[0].in_room = tell_all_in_room;
    fake_io_turn(&w.fake);
    EXPECT_EQ(w.center[0].rooms, 1);
    EXPECT_EQ(w.groups[CENTER].run.lent, 0);
    for (size_t i = 0; i < 2; i++) {
        EXPECT_EQ(phi_link_waiting(&w.center[i].transport.link), 0);
    }
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.client[0].packets, 2);
    EXPECT_EQ(w.client[1].packets, 2);
    close_shared(&w, &quota);
}

// Who ends in the middle of a turn, however, must leave nothing in the run, and the others theirs.
TEST(transport, ends_in_mid_turn_leave_the_run_to_the_others)
{
    world w;
    phi_quota quota;
    open_shared(&w, &quota, 4);
    EXPECT_EQ(tell_all(&w, 4, 100), 4);
    drop(&w.center[0]);
    bye(&w.center[1], PHI_BYE_KICKED);
    fake_stream_break(w.center[2].transport.stream, PH_ERESET);
    EXPECT_EQ(w.groups[CENTER].run.lent, 2 * 106); // the bye stands behind a copy
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.client[0].packets, 1);
    EXPECT_EQ(w.client[1].packets, 1);
    EXPECT_EQ(w.client[1].end.code, PHI_BYE_KICKED);
    EXPECT_EQ(w.client[3].packets, 1);
    EXPECT_EQ(w.center[2].gones, 1);
    EXPECT_EQ(tell_all(&w, 0, 100), 0);
    close_shared(&w, &quota);
}

// What is limited for copies is limited for what is shared, too: who does not read is full, and the
// others are not. [P-59]
TEST(transport, shared_packets_count_against_the_send_buffer)
{
    world w;
    phi_quota quota;
    open_shared(&w, &quota, 2);
    w.center[0].transport.stream->takes = 0;
    unsigned count = 0;
    for (unsigned turn = 0; turn < 100; turn++) {
        unsigned told = tell_all(&w, 2, 4096);
        count += told;
        fake_io_turn(&w.fake);
        if (told < 2) {
            break;
        }
    }
    EXPECT(count > 2 * (BUFFER / 4200));
    EXPECT(count < 2 * (BUFFER / 4096) + 2);
    EXPECT(phi_link_waiting(&w.center[0].transport.link) <= BUFFER);
    EXPECT(tell_all(&w, 2, 4096) == 1); // the other one
    w.center[0].transport.stream->takes = SIZE_MAX;
    fake_io_pass(&w.fake, phi_seconds(1));
    EXPECT_EQ(w.center[0].rooms, 1);
    EXPECT(w.client[0].packets < w.client[1].packets);
    EXPECT_EQ(w.client[0].closes, 0);
    close_shared(&w, &quota);
}

// A group that has no run sends copies: clients, and whoever has only few to talk to.
TEST(transport, without_a_run_all_are_sent_copies)
{
    world w;
    world_open(&w, PHI_SUITE_PLAIN, 2);
    EXPECT_EQ(tell_all(&w, 2, 100), 2);
    EXPECT_EQ(w.groups[CENTER].run.lent, 0);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.client[0].packets, 1);
    EXPECT_EQ(w.client[1].packets, 1);
    world_fini(&w);
}
