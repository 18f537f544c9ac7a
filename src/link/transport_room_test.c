// SPDX-License-Identifier: Apache-2.0
//
// link/transport_room_test.c - links that are full: blocking, room, and a ceiling over all.

#include "tests/harness/test.h"
#include "tests/link/transport_world.h"

// ---- room

// Who was refused must hear of room, once, when half is free; else it waits forever. [P-59]
TEST(transport, room_is_told_once_at_half)
{
    world w;
    world_open(&w, PHI_SUITE_CHECK, 1);
    node *n = &w.center[0];
    n->transport.stream->takes = 0;
    unsigned count = fill(n, 1000);
    EXPECT(!say(n, 1000));
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(n->rooms, 0);

    n->transport.stream->takes = BUFFER / 4;
    fake_io_turn(&w.fake);
    EXPECT_EQ(n->rooms, 0); // a quarter is free
    fake_io_turn(&w.fake);
    EXPECT_EQ(n->rooms, 1);
    EXPECT(phi_link_is_roomy(&n->transport.link));
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(n->rooms, 1);
    EXPECT_EQ(w.client[0].packets, count);
    EXPECT_EQ(n->closes, 0);
    world_fini(&w);
}

static void fill_again(node *n)
{
    if (n->rooms < 20) {
        (void)fill(n, 1000);
    }
}

// An owner with endless data and a stream that takes all of it must not keep the loop in one turn:
// others wait for theirs.
TEST(transport, endless_owner_is_told_of_room_once_per_turn)
{
    world w;
    world_open(&w, PHI_SUITE_CHECK, 1);
    node *n = &w.center[0];
    n->in_room = fill_again;
    (void)fill(n, 1000);
    for (unsigned turn = 1; turn <= 20; turn++) {
        fake_io_turn(&w.fake);
        EXPECT_EQ(n->rooms, turn);
        // and the next turn does not wait
        EXPECT(turn == 20 || !phi_time_before(w.fake.io.now, phi_timers_next(&w.fake.io.timers)));
    }
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(n->rooms, 20);
    EXPECT_EQ(w.client[0].packets, 20 * (BUFFER / 1008));
    world_fini(&w);
}

// A refusal for want of memory comes without a flush that would end it; it must be retried, and not
// in a loop that eats the processor.
TEST(transport, begin_without_memory_is_retried_after_a_while)
{
    world w;
    world_open(&w, PHI_SUITE_CHECK, 1);
    node *n = &w.center[0];
    EXPECT_EQ(w.memory.bytes, 0);
    w.memory.bytes_max = 1;
    EXPECT(!say(n, 60000));
    w.memory.bytes_max = 0;
    EXPECT(fake_io_settle(&w.fake) < 5);
    EXPECT_EQ(n->rooms, 0);
    fake_io_pass(&w.fake, phi_ms(9));
    EXPECT_EQ(n->rooms, 0);
    fake_io_pass(&w.fake, phi_ms(1));
    EXPECT_EQ(n->rooms, 1);
    EXPECT(say(n, 60000));
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.client[0].packets, 1);
    world_fini(&w);
}

// A center's pages stop at half of the buffer; they never see begin fail.
TEST(transport, room_can_be_asked_for)
{
    world w;
    world_open(&w, PHI_SUITE_CHECK, 1);
    node *n = &w.center[0];
    n->transport.stream->takes = 0;
    while (phi_link_is_roomy(&n->transport.link)) {
        EXPECT(say(n, 1000));
    }
    phi_transport_want_room(&n->transport);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(n->rooms, 0);
    n->transport.stream->takes = SIZE_MAX;
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(n->rooms, 1);
    world_fini(&w);
}

// A client that reads nothing is ended when the document says, and gets no room event. [P-59]
TEST(transport, full_link_is_closed_to_the_moment)
{
    world w;
    world_open(&w, PHI_SUITE_CHECK, 1);
    node *n = &w.center[0];
    n->transport.stream->takes = 0;
    (void)fill(n, 1000);
    for (int i = 0; i < 9; i++) {
        fake_io_pass(&w.fake, phi_seconds(1));
        EXPECT(say(&w.client[0], 1)); // it lives, so that it is not the heartbeat that ends it
    }
    fake_io_pass(&w.fake, phi_ms(999));
    EXPECT_EQ(n->closes, 0);
    fake_io_pass(&w.fake, phi_ms(1));
    EXPECT_EQ(n->closes, 1);
    EXPECT_EQ(n->end.code, PHI_BYE_SLOW_CONSUMER);
    EXPECT_EQ(n->rooms, 0);
    fake_io_pass(&w.fake, phi_seconds(1));
    EXPECT_EQ(n->gones, 1);
    world_fini(&w);
}

// Who does not even take a HELLO has the time of a join, and until it is over nobody looks: a timer
// that is due all the while would keep the loop from its sleep. [P-12]
TEST(transport, stream_stuck_before_the_join_is_left_to_the_join_timeout)
{
    world w;
    world_init(&w, PHI_SUITE_CHECK);
    w.options[CENTER].full_timeout = phi_seconds(1);
    w.accepts_stuck = true;
    EXPECT_ERR(world_connect(&w, 0), PH_OK);
    (void)fake_io_settle(&w.fake);
    EXPECT_EQ(w.accepted, 1);
    w.fake.io.now = phi_time_add(w.fake.io.now, phi_seconds(2));
    (void)fake_io_settle(&w.fake);
    EXPECT(phi_time_before(w.fake.io.now, phi_timers_next(&w.fake.io.timers)));
    EXPECT_EQ(w.center[0].closes, 0);
    fake_io_pass(&w.fake, phi_seconds(3));
    EXPECT_EQ(w.center[0].closes, 1);
    EXPECT_EQ(w.center[0].end.code, PHI_BYE_JOIN_TIMEOUT);
    world_fini(&w);
}

// A stream of events that would take minutes to fill the buffer of who does not read must not have
// to: nothing moves, and that is enough. Who takes a little now and then lives. [P-59]
TEST(transport, stuck_stream_is_closed_to_the_moment)
{
    world w;
    world_open(&w, PHI_SUITE_CHECK, 1);
    node *n = &w.center[0];
    n->transport.stream->takes = 0;
    EXPECT(say(n, 1000));
    for (int i = 0; i < 25; i++) {
        fake_io_pass(&w.fake, phi_seconds(1));
        EXPECT(say(&w.client[0], 1)); // it lives
        if (i % 9 == 8) {
            n->transport.stream->takes = 10;
            fake_io_turn(&w.fake);
            n->transport.stream->takes = 0;
        }
    }
    EXPECT_EQ(n->closes, 0); // the last time was 7 s ago
    fake_io_pass(&w.fake, phi_ms(2999));
    EXPECT_EQ(n->closes, 0);
    fake_io_pass(&w.fake, phi_ms(1));
    EXPECT_EQ(n->closes, 1);
    EXPECT_EQ(n->end.code, PHI_BYE_SLOW_CONSUMER);
    world_fini(&w);

    // A client whose center does not read waits: it may be held for what it asked. [P-40]
    world_open(&w, PHI_SUITE_CHECK, 1);
    w.client[0].transport.stream->takes = 0;
    EXPECT(say(&w.client[0], 1000));
    for (int i = 0; i < 14; i++) {
        EXPECT(say(&w.center[0], 1)); // it lives
        fake_io_pass(&w.fake, phi_seconds(1));
    }
    EXPECT_EQ(w.client[0].closes, 0);
    world_fini(&w);
}

// ---- a ceiling over all

// When all buffers together hold as much as they may, who holds most is refused, others are not,
// heartbeats and byes pass, room is told, and the memory comes back. [P-59]
TEST(transport, quota_refuses_who_hogs)
{
    world w;
    phi_quota quota;
    world_init(&w, PHI_SUITE_CHECK);
    phi_quota_init(&quota, &w.memory.alloc, 300u * 1024u);
    w.groups[CENTER].quota = &quota;
    w.options[CENTER].quota = &quota;
    for (size_t i = 0; i < 4; i++) {
        EXPECT_ERR(world_connect(&w, i), PH_OK);
        (void)fake_io_settle(&w.fake);
    }
    node *hog = &w.center[0];
    node *modest = &w.center[1];
    hog->transport.stream->takes = 0;
    unsigned count = fill(hog, 1000);
    EXPECT(count > 100); // half of it, as long as nobody else wants any
    EXPECT(count < 140);
    EXPECT_EQ(quota.refusals, 1);
    modest->transport.stream->takes = 0;
    EXPECT(fill(modest, 1000) >= 30); // a fourth of the other half
    EXPECT(phi_quota_is_short(&quota));
    EXPECT(quota.bytes <= quota.bytes_max);

    phi_transport_probe(&hog->transport); // there is room for that
    hog->transport.stream->takes = SIZE_MAX;
    modest->transport.stream->takes = SIZE_MAX;
    fake_io_pass(&w.fake, phi_ms(PHI_TRANSPORT_SHORT_RETRY_MS));
    EXPECT_EQ(w.client[0].packets, count);
    EXPECT(hog->rooms >= 1);
    EXPECT(hog->transport.link.round_trip_us != 0);
    fake_io_pass(&w.fake, phi_seconds(30));
    EXPECT_EQ(quota.bytes, 0);
    world_fini(&w);
    phi_quota_fini(&quota);
}

// What the buffers of busy links keep for later must not be what another needs now: it would be
// refused for as long as they are busy. Found by the swarm, as a list that never came. [P-59]
TEST(transport, empty_buffers_stand_in_nobodys_way)
{
    world w;
    phi_quota quota;
    world_init(&w, PHI_SUITE_CHECK);
    phi_quota_init(&quota, &w.memory.alloc, 400000);
    w.groups[CENTER].quota = &quota;
    w.options[CENTER].quota = &quota;
    for (size_t i = 0; i < 4; i++) {
        EXPECT_ERR(world_connect(&w, i), PH_OK);
        (void)fake_io_settle(&w.fake);
    }
    for (size_t i = 0; i < 3; i++) {
        EXPECT(say(&w.center[i], 50000));
        (void)fake_io_settle(&w.fake);
    }
    bool is_said = false;
    for (int i = 0; i < 20 && !is_said; i++) {
        is_said = say(&w.center[3], 60000); // more than its share
        for (size_t n = 0; n < 3; n++) {
            EXPECT(say(&w.center[n], 1));
        }
        fake_io_pass(&w.fake, phi_ms(100)); // so that they are busy
    }
    EXPECT(is_said);
    fake_io_pass(&w.fake, phi_seconds(30));
    EXPECT_EQ(quota.bytes, 0);
    world_fini(&w);
    phi_quota_fini(&quota);
}

// Who takes a large part of a short memory and hardly reads must not keep it for ever, though
// nobody sends to it any more and it shows life. [P-59]
TEST(transport, hog_that_hardly_reads_is_ended)
{
    world w;
    phi_quota quota;
    world_init(&w, PHI_SUITE_CHECK);
    phi_quota_init(&quota, &w.memory.alloc, 600000);
    w.groups[CENTER].quota = &quota;
    w.options[CENTER].quota = &quota;
    for (size_t i = 0; i < 2; i++) {
        EXPECT_ERR(world_connect(&w, i), PH_OK);
        (void)fake_io_settle(&w.fake);
        w.center[i].transport.stream->takes = 0;
    }
    for (int i = 0; i < 200; i++) { // its own buffer is not full
        EXPECT(say(&w.center[0], 1000));
    }
    (void)fill(&w.center[1], 1000);
    EXPECT(phi_quota_is_short(&quota));
    int seconds = 0;
    for (; seconds < 30 && w.center[0].closes == 0; seconds++) {
        EXPECT(say(&w.client[0], 1));
        fake_io_pass(&w.fake, phi_seconds(1));
        w.center[0].transport.stream->takes = 10; // it is not stuck
        fake_io_turn(&w.fake);
        w.center[0].transport.stream->takes = 0;
    }
    EXPECT(seconds > 10);
    EXPECT_EQ(w.center[0].closes, 1);
    EXPECT_EQ(w.center[0].end.code, PHI_BYE_SLOW_CONSUMER);
    world_fini(&w);
    phi_quota_fini(&quota);
}
