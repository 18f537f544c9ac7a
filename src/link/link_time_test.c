// SPDX-License-Identifier: Apache-2.0
//
// link/link_time_test.c - what happens when nothing happens: timeouts, heartbeats, full buffers.
// All times are virtual, and exact to the nanosecond.

#include "tests/harness/test.h"

#include "tests/link/link_pair.h"
#include "wire/heartbeat.h"

#define CENTER PHI_LINK_CENTER
#define CLIENT PHI_LINK_CLIENT

// ---- helpers

static void forge_heartbeat(link_pair *pair, phi_link_side to, phi_heartbeat_kind kind,
                            uint64_t stamp)
{
    uint8_t room[PHI_HEARTBEAT_BYTES];
    phi_writer w = phi_writer_of((phi_span){ room, sizeof room });
    phi_heartbeat_encode(&w, &(phi_heartbeat){ kind, stamp });
    link_pair_forge(pair, to, PHI_COMMAND_HEARTBEAT, phi_writer_view(&w));
}

// The one packet that waits at `side`, in suite plain, is a heartbeat; what it says.
static phi_heartbeat waiting_heartbeat(link_pair *pair, phi_link_side side)
{
    phi_bytes bytes = phi_link_seal(&pair->links[side]);
    EXPECT(bytes.size >= PHI_PACKET_HEAD_PLAIN);
    EXPECT_EQ(phi_get_u32(bytes.data), bytes.size);
    EXPECT_EQ(phi_get_u16(bytes.data + 4), PHI_COMMAND_HEARTBEAT);
    phi_heartbeat heartbeat;
    phi_bytes payload =
        phi_bytes_of(bytes.data + PHI_PACKET_HEAD_PLAIN, bytes.size - PHI_PACKET_HEAD_PLAIN);
    EXPECT_ERR(phi_heartbeat_decode(payload, &heartbeat), PH_OK);
    return heartbeat;
}

static uint64_t since_start_ms(const link_pair *pair)
{
    return phi_dur_ms(phi_time_diff(pair->now, LINK_PAIR_T0));
}

static void expect_end(const link_pair *pair, phi_link_side side, phi_bye_code code, ph_err err)
{
    EXPECT_EQ(pair->seen[side].closes, 1);
    EXPECT_EQ(pair->seen[side].end.code, code);
    EXPECT_ERR(pair->seen[side].end.err, err);
}

// ---- joining

// Who connects and says nothing must not hold a connection for longer than it is allowed. [P-12]
TEST(link, client_that_does_not_join_is_closed_to_the_moment)
{
    link_pair pair;
    link_pair_init(&pair, PHI_SUITE_CHECK);
    EXPECT_ERR(link_pair_start(&pair), PH_OK);
    link_pair_carry(&pair, CENTER);
    link_pair_unsay(&pair, CLIENT);
    link_pair_pass_cut(&pair, phi_ns(phi_seconds(5).ns - 1));
    EXPECT_EQ(pair.seen[CENTER].closes, 0);
    link_pair_pass_cut(&pair, phi_ns(1));
    expect_end(&pair, CENTER, PHI_BYE_JOIN_TIMEOUT, PH_ETIMEDOUT);
    link_pair_carry(&pair, CENTER);
    expect_end(&pair, CLIENT, PHI_BYE_JOIN_TIMEOUT, PH_ETIMEDOUT);
    EXPECT(pair.seen[CLIENT].end.by_peer);
    link_pair_fini(&pair);
}

// Bytes that never make a JOIN do not buy time. [P-12]
TEST(link, trickled_join_is_closed_to_the_moment)
{
    link_pair pair;
    link_pair_init(&pair, PHI_SUITE_PLAIN);
    EXPECT_ERR(link_pair_start(&pair), PH_OK);
    link_pair_lose(&pair, CENTER);
    static const uint8_t join[] = { 0, 0, 16, 0, 0, 2, 2, 0, 0, 0 };
    for (size_t i = 0; i < 10; i++) {
        EXPECT_EQ(pair.seen[CENTER].closes, 0);
        link_pair_inject(&pair, CENTER, &join[i], 1);
        link_pair_pass_cut(&pair, phi_ms(500));
    }
    expect_end(&pair, CENTER, PHI_BYE_JOIN_TIMEOUT, PH_ETIMEDOUT);
    link_pair_fini(&pair);
}

// That it was not read for a while neither buys time nor takes any. [P-12]
TEST(link, pause_leaves_the_time_to_join)
{
    link_pair pair;
    link_pair_init(&pair, PHI_SUITE_CHECK);
    EXPECT_ERR(link_pair_start(&pair), PH_OK);
    link_pair_carry(&pair, CENTER);
    link_pair_unsay(&pair, CLIENT);
    for (int i = 0; i < 2; i++) {
        link_pair_pass_cut(&pair, phi_seconds(2));
        phi_link_pause(&pair.links[CENTER], i == 0, pair.now);
    }
    link_pair_pass_cut(&pair, phi_ns(phi_seconds(1).ns - 1));
    EXPECT_EQ(pair.seen[CENTER].closes, 0);
    link_pair_pass_cut(&pair, phi_ns(1));
    expect_end(&pair, CENTER, PHI_BYE_JOIN_TIMEOUT, PH_ETIMEDOUT);
    link_pair_fini(&pair);
}

// A client must not wait forever for a center that is stuck, whether before HELLO or after. [P-12]
TEST(link, center_that_does_not_answer_is_left_to_the_moment)
{
    for (int has_hello = 0; has_hello <= 1; has_hello++) {
        link_pair pair;
        link_pair_init(&pair, PHI_SUITE_PLAIN);
        pair.options[CENTER].join_timeout = phi_seconds(60);
        EXPECT_ERR(link_pair_start(&pair), PH_OK);
        if (has_hello) {
            link_pair_carry(&pair, CENTER);
        }
        link_pair_lose(&pair, CLIENT);
        link_pair_pass_cut(&pair, phi_ns(phi_seconds(6).ns - 1));
        EXPECT_EQ(pair.seen[CLIENT].closes, 0);
        link_pair_pass_cut(&pair, phi_ns(1));
        expect_end(&pair, CLIENT, PHI_BYE_JOIN_TIMEOUT, PH_ETIMEDOUT);
        // It says bye only when it knows how. [P-70]
        EXPECT_EQ(phi_link_waiting(&pair.links[CLIENT]) != 0, has_hello);
        link_pair_fini(&pair);
    }
}

// ---- heartbeat

// A dead client must be found when the document says, not a moment before. [P-40]
TEST(link, silent_client_is_asked_then_closed_to_the_moment)
{
    for (int suite = 0; suite < PHI_SUITE_COUNT; suite++) {
        link_pair pair;
        link_pair_open(&pair, (phi_suite)suite);
        link_pair_pass_cut(&pair, phi_ns(phi_seconds(10).ns - 1));
        EXPECT_EQ(phi_link_waiting(&pair.links[CENTER]), 0);
        link_pair_pass_cut(&pair, phi_ns(1));
        EXPECT(phi_link_waiting(&pair.links[CENTER]) != 0);
        link_pair_pass_cut(&pair, phi_ns(phi_seconds(5).ns - 1));
        EXPECT_EQ(pair.seen[CENTER].closes, 0);
        link_pair_pass_cut(&pair, phi_ns(1));
        expect_end(&pair, CENTER, PHI_BYE_HEARTBEAT_TIMEOUT, PH_ETIMEDOUT);
        EXPECT_EQ(since_start_ms(&pair), 15000);
        link_pair_carry(&pair, CENTER);
        expect_end(&pair, CLIENT, PHI_BYE_HEARTBEAT_TIMEOUT, PH_ETIMEDOUT);
        link_pair_fini(&pair);
    }
}

// Two living ends stay together, at the cost of one ask per idle time. [P-40]
TEST(link, idle_link_lives_on_heartbeats_alone)
{
    link_pair pair;
    link_pair_open(&pair, PHI_SUITE_PAPER);
    link_pair_pass(&pair, phi_seconds(3599));
    EXPECT_EQ(pair.seen[CENTER].closes, 0);
    EXPECT_EQ(pair.seen[CLIENT].closes, 0);
    // JOIN and WELCOME are one each; the rest is one ask or answer per 10 s.
    EXPECT_EQ(pair.links[CENTER].out.check.count, 1 + 359);
    EXPECT_EQ(pair.links[CLIENT].out.check.count, 1 + 359);
    link_pair_fini(&pair);
}

// A grace that is longer than idle must not stretch idle: each answer begins a new one. [P-40]
TEST(link, idle_shorter_than_grace_is_kept)
{
    link_pair pair;
    link_pair_init(&pair, PHI_SUITE_CHECK);
    pair.options[CENTER].heartbeat_idle = phi_seconds(1);
    pair.options[CLIENT].heartbeat_idle = phi_seconds(3600);
    EXPECT_ERR(link_pair_start(&pair), PH_OK);
    link_pair_settle(&pair);
    link_pair_pass(&pair, phi_ms(20500));
    EXPECT(phi_link_is(&pair.links[CENTER], PHI_LINK_OPEN));
    EXPECT_EQ(pair.links[CENTER].out.check.count, 1 + 20); // WELCOME, and one ask a second
    link_pair_fini(&pair);
}

// A center whose crowd grows lets idle grow, too: who is there takes it on when it would have been
// asked, and back again. [P-40]
TEST(link, idle_may_change_while_it_runs)
{
    link_pair pair;
    link_pair_init(&pair, PHI_SUITE_CHECK);
    pair.options[CLIENT].heartbeat_idle = phi_seconds(3600);
    EXPECT_ERR(link_pair_start(&pair), PH_OK);
    link_pair_settle(&pair);
    link_pair_pass(&pair, phi_seconds(5));
    pair.options[CENTER].heartbeat_idle = phi_seconds(40);
    link_pair_pass(&pair, phi_ns(phi_seconds(35).ns - 1));
    EXPECT_EQ(pair.links[CENTER].out.check.count, 1); // WELCOME
    link_pair_pass(&pair, phi_ns(1));
    EXPECT_EQ(pair.links[CENTER].out.check.count, 1 + 1);
    pair.options[CENTER].heartbeat_idle = phi_seconds(10);
    link_pair_pass(&pair, phi_seconds(40));
    EXPECT_EQ(pair.links[CENTER].out.check.count, 1 + 2);
    link_pair_pass(&pair, phi_seconds(10));
    EXPECT_EQ(pair.links[CENTER].out.check.count, 1 + 3);
    link_pair_fini(&pair);
}

// Links of one center that share a pace of ten asks a second.
typedef struct crowd {
    phi_link_pace pace;
    link_pair pairs[PHI_LINK_PACE_BURST + 4];
} crowd;

#define CROWD (PHI_LINK_PACE_BURST + 4)

static crowd *crowd_open(void)
{
    static crowd c;
    c.pace = (phi_link_pace){ .spacing = phi_ms(100) };
    for (size_t i = 0; i < CROWD; i++) {
        link_pair_init(&c.pairs[i], PHI_SUITE_CHECK);
        c.pairs[i].options[CENTER].pace = &c.pace;
        EXPECT_ERR(link_pair_start(&c.pairs[i]), PH_OK);
        link_pair_settle(&c.pairs[i]);
    }
    return &c;
}

static void crowd_pass(crowd *c, phi_dur dur)
{
    for (size_t i = 0; i < CROWD; i++) {
        link_pair_pass(&c->pairs[i], dur);
    }
}

static size_t crowd_asked(const crowd *c)
{
    size_t asked = 0;
    for (size_t i = 0; i < CROWD; i++) {
        asked += c->pairs[i].links[CENTER].round_trip_us != 0;
    }
    return asked;
}

static void crowd_close(crowd *c)
{
    for (size_t i = 0; i < CROWD; i++) {
        link_pair_fini(&c->pairs[i]);
    }
}

// Thousands that joined at once must not be asked at once, or everybody's messages wait for that:
// some at the moment, the others in turns, and from then on apart. [P-40]
TEST(link, crowd_that_is_silent_together_is_asked_in_turns)
{
    crowd *c = crowd_open();
    crowd_pass(c, phi_ns(phi_seconds(10).ns - 1));
    EXPECT_EQ(crowd_asked(c), 0);
    crowd_pass(c, phi_ns(1));
    EXPECT_EQ(crowd_asked(c), PHI_LINK_PACE_BURST);
    for (size_t turn = 1; turn <= 4; turn++) {
        crowd_pass(c, phi_ns(phi_ms(100).ns - 1));
        EXPECT_EQ(crowd_asked(c), PHI_LINK_PACE_BURST + turn - 1);
        crowd_pass(c, phi_ns(1));
        EXPECT_EQ(crowd_asked(c), PHI_LINK_PACE_BURST + turn);
    }
    for (size_t i = 0; i < CROWD; i++) {
        EXPECT_EQ(c->pairs[i].links[CENTER].out.check.count, 1 + 1); // WELCOME, and one ask
    }
    crowd_pass(c, phi_seconds(10)); // those that were last are silent for less than that
    EXPECT_EQ(c->pairs[0].links[CENTER].out.check.count, 1 + 2);
    EXPECT_EQ(c->pairs[CROWD - 1].links[CENTER].out.check.count, 1 + 2);
    crowd_close(c);
}

// Whoever waits for his turn is asked when it comes, though he says something meanwhile, or his
// round trip would stay unknown; asked for another reason, he has had it. [P-40]
TEST(link, turn_is_kept_by_who_is_heard_and_used_up_by_a_probe)
{
    crowd *c = crowd_open();
    crowd_pass(c, phi_seconds(10));
    link_pair *talks = &c->pairs[CROWD - 2];
    link_pair *probed = &c->pairs[CROWD - 1];
    EXPECT(talks->links[CENTER].is_put_off);
    EXPECT(probed->links[CENTER].is_put_off);
    EXPECT(link_pair_say(talks, CLIENT, 10, 1));
    link_pair_settle(talks);
    phi_link_probe(&probed->links[CENTER], probed->now);
    link_pair_settle(probed);
    EXPECT_EQ(probed->links[CENTER].out.check.count, 1 + 1);
    crowd_pass(c, phi_ms(300));
    EXPECT_EQ(talks->links[CENTER].out.check.count, 1 + 1);
    crowd_pass(c, phi_ms(9699));
    EXPECT_EQ(probed->links[CENTER].out.check.count, 1 + 1);
    crowd_close(c);
}

// A dead client among many is found so long after its turn as alone after its silence: the grace is
// not shortened by the wait. [P-40]
TEST(link, grace_begins_with_the_turn)
{
    crowd *c = crowd_open();
    crowd_pass(c, phi_seconds(10));
    link_pair *dead = &c->pairs[CROWD - 1];
    EXPECT(dead->links[CENTER].is_put_off);
    link_pair_pass_cut(dead, phi_ns(phi_ms(400 + 5000).ns - 1));
    EXPECT_EQ(dead->seen[CENTER].closes, 0);
    link_pair_pass_cut(dead, phi_ns(1));
    expect_end(dead, CENTER, PHI_BYE_HEARTBEAT_TIMEOUT, PH_ETIMEDOUT);
    crowd_close(c);
}

// Any packet shows life: a busy client must not be asked, nor closed for an answer that is late.
// [P-40]
TEST(link, any_packet_is_a_sign_of_life)
{
    link_pair pair;
    link_pair_open(&pair, PHI_SUITE_CHECK);
    for (int i = 0; i < 5; i++) { // longer, and it is asked for its round trip
        link_pair_pass_cut(&pair, phi_ms(9999));
        EXPECT_EQ(phi_link_waiting(&pair.links[CENTER]), 0);
        EXPECT(link_pair_say(&pair, CLIENT, 10, 1));
        link_pair_carry(&pair, CLIENT);
    }
    // Now an ask that is never answered, but followed by messages.
    link_pair_pass_cut(&pair, phi_seconds(10));
    EXPECT(phi_link_waiting(&pair.links[CENTER]) != 0);
    link_pair_lose(&pair, CENTER);
    for (int i = 0; i < 10; i++) {
        link_pair_pass_cut(&pair, phi_ms(4999));
        EXPECT_EQ(pair.seen[CENTER].closes, 0);
        EXPECT(link_pair_say(&pair, CLIENT, 10, 1));
        link_pair_carry(&pair, CLIENT);
    }
    EXPECT_EQ(pair.seen[CENTER].packets, 15);
    EXPECT_EQ(pair.seen[CENTER].is_suspect, false);
    // Silent again: a new ask, and the full grace for it.
    link_pair_pass_cut(&pair, phi_ms(9999));
    EXPECT_EQ(phi_link_waiting(&pair.links[CENTER]), 0);
    link_pair_pass_cut(&pair, phi_ms(1 + 4999));
    EXPECT_EQ(pair.seen[CENTER].closes, 0);
    link_pair_pass_cut(&pair, phi_ms(1));
    EXPECT_EQ(pair.seen[CENTER].closes, 1);
    link_pair_fini(&pair);
}

// A packet must cost no timer work: the deadline stays, and the tick that comes of it does nothing
// but move it.
TEST(link, packets_leave_the_deadline_alone)
{
    link_pair pair;
    link_pair_open(&pair, PHI_SUITE_PLAIN);
    phi_time before = phi_link_deadline(&pair.links[CENTER]);
    pair.now = phi_time_add(pair.now, phi_seconds(3));
    EXPECT(link_pair_say(&pair, CLIENT, 10, 1));
    link_pair_carry(&pair, CLIENT);
    EXPECT_EQ(phi_link_deadline(&pair.links[CENTER]).ns, before.ns);

    pair.now = before;
    phi_link_tick(&pair.links[CENTER], pair.now);
    EXPECT_EQ(phi_link_waiting(&pair.links[CENTER]), 0);
    EXPECT_EQ(phi_link_deadline(&pair.links[CENTER]).ns, before.ns + phi_seconds(3).ns);
    link_pair_fini(&pair);
}

// The round trip is shown to people and stands in the online list: it must be that of this ask.
// [P-39]
TEST(link, round_trip_is_measured)
{
    link_pair pair;
    link_pair_open(&pair, PHI_SUITE_PAPER);
    EXPECT_EQ(pair.links[CENTER].round_trip_us, 0);
    phi_link_probe(&pair.links[CENTER], pair.now);
    pair.now = phi_time_add(pair.now, phi_us(1300));
    link_pair_carry(&pair, CENTER);
    pair.now = phi_time_add(pair.now, phi_us(700));
    link_pair_carry(&pair, CLIENT);
    EXPECT_EQ(pair.links[CENTER].round_trip_us, 2000);

    // Faster than a microsecond is still known.
    phi_link_probe(&pair.links[CENTER], pair.now);
    link_pair_settle(&pair);
    EXPECT_EQ(pair.links[CENTER].round_trip_us, 1);
    link_pair_fini(&pair);
}

// An answer that nobody asked for could otherwise claim any round trip, or excuse a dead end.
// [P-39]
TEST(link, forged_and_stale_answers_are_ignored)
{
    link_pair pair;
    link_pair_open(&pair, PHI_SUITE_PLAIN);
    // to nothing
    forge_heartbeat(&pair, CENTER, PHI_HEARTBEAT_ANSWER, 0);
    forge_heartbeat(&pair, CENTER, PHI_HEARTBEAT_ANSWER, UINT64_MAX);
    EXPECT_EQ(pair.links[CENTER].round_trip_us, 0);

    pair.now = phi_time_add(pair.now, phi_ms(1));
    phi_link_probe(&pair.links[CENTER], pair.now);
    uint64_t first = waiting_heartbeat(&pair, CENTER).stamp;
    link_pair_lose(&pair, CENTER);
    // wrong stamp
    pair.now = phi_time_add(pair.now, phi_ms(1));
    forge_heartbeat(&pair, CENTER, PHI_HEARTBEAT_ANSWER, first + 1);
    EXPECT_EQ(pair.links[CENTER].round_trip_us, 0);
    // replaced: something was heard, so a second ask goes out, and the first one's answer is stale
    phi_link_probe(&pair.links[CENTER], pair.now);
    uint64_t second = waiting_heartbeat(&pair, CENTER).stamp;
    EXPECT(second != first);
    link_pair_lose(&pair, CENTER);
    pair.now = phi_time_add(pair.now, phi_ms(1));
    forge_heartbeat(&pair, CENTER, PHI_HEARTBEAT_ANSWER, first);
    EXPECT_EQ(pair.links[CENTER].round_trip_us, 0);
    pair.now = phi_time_add(pair.now, phi_ms(1));
    forge_heartbeat(&pair, CENTER, PHI_HEARTBEAT_ANSWER, second);
    EXPECT_EQ(pair.links[CENTER].round_trip_us, 2000);
    // twice
    pair.now = phi_time_add(pair.now, phi_ms(1));
    forge_heartbeat(&pair, CENTER, PHI_HEARTBEAT_ANSWER, second);
    EXPECT_EQ(pair.links[CENTER].round_trip_us, 2000);
    EXPECT_EQ(phi_link_waiting(&pair.links[CENTER]), 0);
    EXPECT_EQ(pair.seen[CENTER].closes, 0);
    link_pair_fini(&pair);
}

// A client that reads what it is sent, but slowly, must not be ended because our ask waits behind
// all that; one that takes nothing any more must. [P-40]
TEST(link, ask_behind_a_queue_that_moves_is_waited_for)
{
    link_pair pair;
    link_pair_open(&pair, PHI_SUITE_CHECK);
    phi_link *center = &pair.links[CENTER];
    EXPECT(link_pair_say(&pair, CENTER, 60000, 1));
    pair.now = phi_time_add(pair.now, phi_ms(1));
    phi_link_probe(center, pair.now);
    while (phi_link_waiting(center) > 10000) {
        (void)phi_link_seal(center);
        phi_link_sent(center, 10000);
        pair.now = phi_link_deadline(center);
        phi_link_tick(center, pair.now);
        EXPECT(phi_link_is(center, PHI_LINK_OPEN));
    }
    phi_time since = pair.now;
    link_pair_drain(&pair, CENTER);
    EXPECT_EQ(pair.seen[CENTER].suspicions, 0);
    pair.now = phi_link_deadline(center);
    EXPECT_EQ(pair.now.ns, phi_time_add(since, phi_ms(2500)).ns);
    phi_link_tick(center, pair.now);
    link_pair_drain(&pair, CENTER);
    EXPECT_EQ(pair.seen[CENTER].suspicions, 1);
    pair.now = phi_link_deadline(center);
    EXPECT_EQ(pair.now.ns, phi_time_add(since, center->heartbeat_grace).ns);
    phi_link_tick(center, pair.now);
    link_pair_drain(&pair, CENTER);
    EXPECT_EQ(pair.seen[CENTER].end.code, PHI_BYE_SLOW_CONSUMER); // it was never asked
    link_pair_fini(&pair);
}

// Watchers are to be warned before somebody is gone, when the document says, and told when it was a
// false alarm, with the first byte that shows it. [P-49]
TEST(link, silent_client_is_suspect_until_it_is_heard)
{
    link_pair pair;
    link_pair_open(&pair, PHI_SUITE_CHECK);
    link_pair_pass_cut(&pair, phi_ns(phi_ms(12500).ns - 1));
    EXPECT_EQ(pair.seen[CENTER].suspicions, 0);
    link_pair_pass_cut(&pair, phi_ns(1));
    EXPECT_EQ(pair.seen[CENTER].is_suspect, true);
    link_pair_pass_cut(&pair, phi_ms(2499));
    EXPECT_EQ(pair.seen[CENTER].suspicions, 1);
    EXPECT(link_pair_say(&pair, CLIENT, 10, 1));
    link_pair_carry(&pair, CLIENT);
    EXPECT_EQ(pair.seen[CENTER].is_suspect, false);
    EXPECT_EQ(pair.seen[CENTER].packets, 1);
    // And again: a suspicion that was taken back does not shorten the next.
    link_pair_lose(&pair, CENTER);
    link_pair_pass_cut(&pair, phi_ns(phi_ms(12500).ns - 1));
    EXPECT_EQ(pair.seen[CENTER].suspicions, 1);
    link_pair_pass_cut(&pair, phi_ns(1));
    EXPECT_EQ(pair.seen[CENTER].suspicions, 2);
    link_pair_pass_cut(&pair, phi_ms(2500));
    expect_end(&pair, CENTER, PHI_BYE_HEARTBEAT_TIMEOUT, PH_ETIMEDOUT);
    EXPECT_EQ(pair.seen[CLIENT].suspicions, 0); // a center is never suspect
    link_pair_fini(&pair);
}

// A suspect that takes what it is sent shows life with that, too. [P-40] [P-49]
TEST(link, suspect_whose_queue_moves_is_alive)
{
    link_pair pair;
    link_pair_open(&pair, PHI_SUITE_PLAIN);
    phi_link *center = &pair.links[CENTER];
    EXPECT(link_pair_say(&pair, CENTER, 60000, 1));
    phi_link_probe(center, pair.now);
    pair.now = phi_link_deadline(center);
    phi_link_tick(center, pair.now);
    link_pair_drain(&pair, CENTER);
    EXPECT_EQ(pair.seen[CENTER].is_suspect, true);
    (void)phi_link_seal(center);
    phi_link_sent(center, 10000);
    pair.now = phi_link_deadline(center);
    phi_link_tick(center, pair.now);
    link_pair_drain(&pair, CENTER);
    EXPECT_EQ(pair.seen[CENTER].is_suspect, false);
    EXPECT_EQ(pair.seen[CENTER].closes, 0);
    link_pair_fini(&pair);
}

// A link that is never idle would otherwise never be asked, and its round trip stay unknown. [P-46]
TEST(link, busy_link_is_measured_now_and_then)
{
    link_pair pair;
    link_pair_open(&pair, PHI_SUITE_CHECK);
    for (int second = 1; second < 60; second++) {
        link_pair_pass(&pair, phi_seconds(1));
        EXPECT(link_pair_say(&pair, CLIENT, 10, 1));
        link_pair_settle(&pair);
        EXPECT_EQ(pair.links[CENTER].round_trip_us, 0);
    }
    for (int second = 60; second < 66; second++) { // it looks when it might have been idle
        link_pair_pass(&pair, phi_seconds(1));
        EXPECT(link_pair_say(&pair, CLIENT, 10, 1));
        link_pair_settle(&pair);
    }
    EXPECT(pair.links[CENTER].round_trip_us != 0);
    EXPECT_EQ(pair.links[CENTER].out.check.count, 1 + 1); // WELCOME, and the ask
    link_pair_fini(&pair);
}

// Whoever waits for an acknowledgement must not take the answer to an older ask for it. [P-69]
TEST(link, confirmation_needs_an_ask_made_behind_it)
{
    link_pair pair;
    link_pair_open(&pair, PHI_SUITE_CHECK);
    phi_link *center = &pair.links[CENTER];
    phi_link_probe(center, pair.now);
    link_pair_carry(&pair, CENTER); // its answer waits at the client
    phi_link_confirm(center, 7, pair.now);
    link_pair_carry(&pair, CLIENT);
    EXPECT_EQ(pair.seen[CENTER].mark, 0);
    link_pair_carry(&pair, CENTER);
    // More marks while that ask is out: it says nothing about them, nor do they put it off.
    phi_link_confirm(center, 8, pair.now);
    phi_link_confirm(center, 9, pair.now);
    link_pair_carry(&pair, CLIENT);
    EXPECT_EQ(pair.seen[CENTER].mark, 7);
    link_pair_settle(&pair);
    EXPECT_EQ(pair.seen[CENTER].mark, 9);
    // Without any ask out, at once.
    phi_link_confirm(center, 10, pair.now);
    link_pair_settle(&pair);
    EXPECT_EQ(pair.seen[CENTER].mark, 10);
    link_pair_fini(&pair);
}

// The answer to an ask that another has replaced is ignored; what it was to confirm is confirmed by
// the other. [P-39] [P-69]
TEST(link, confirmation_outlives_its_ask)
{
    link_pair pair;
    link_pair_open(&pair, PHI_SUITE_CHECK);
    phi_link *center = &pair.links[CENTER];
    phi_link_confirm(center, 7, pair.now);
    pair.now = phi_time_add(pair.now, phi_seconds(1));
    EXPECT(link_pair_say(&pair, CLIENT, 10, 1));
    link_pair_carry(&pair, CLIENT); // alive, without an answer
    phi_link_probe(center, pair.now);
    link_pair_settle(&pair);
    EXPECT_EQ(pair.seen[CENTER].mark, 7);
    link_pair_fini(&pair);
}

// The beginning of a long packet shows life as well as its end. [P-40]
TEST(link, part_of_a_packet_is_a_sign_of_life)
{
    link_pair pair;
    link_pair_open(&pair, PHI_SUITE_PLAIN);
    phi_link *center = &pair.links[CENTER];
    static const uint8_t head[] = { 0, 0, 0x10, 0, 0, PHI_COMMAND_MESSAGE };
    for (size_t i = 0; i < sizeof head; i++) {
        pair.now = phi_time_add(pair.now, phi_ns(center->heartbeat_idle.ns - 1));
        link_pair_inject(&pair, CENTER, head + i, 1);
        phi_link_tick(center, pair.now);
        EXPECT_EQ(phi_link_waiting(center), 0); // not even asked
    }
    EXPECT_EQ(pair.seen[CENTER].closes, 0);
    link_pair_fini(&pair);
}

// An ask must come back with its own stamp, an empty one empty, from both ends. [P-39]
TEST(link, asks_are_answered_in_kind)
{
    static const phi_link_side sides[] = { CENTER, CLIENT };
    for (size_t i = 0; i < 2; i++) {
        link_pair pair;
        link_pair_open(&pair, PHI_SUITE_PLAIN);
        forge_heartbeat(&pair, sides[i], PHI_HEARTBEAT_ASK, 0x1122334455667788u);
        phi_heartbeat answer = waiting_heartbeat(&pair, sides[i]);
        EXPECT_EQ(answer.kind, PHI_HEARTBEAT_ANSWER);
        EXPECT(answer.stamp == 0x1122334455667788u);
        link_pair_lose(&pair, sides[i]);
        forge_heartbeat(&pair, sides[i], PHI_HEARTBEAT_EMPTY, 0);
        EXPECT_EQ(waiting_heartbeat(&pair, sides[i]).kind, PHI_HEARTBEAT_EMPTY);
        link_pair_fini(&pair);
    }
}

// [P-31] [P-39]
TEST(link, malformed_heartbeat_ends_the_link)
{
    static const uint8_t ask[10] = { 0 };
    static const uint8_t odd[9] = { 2 };
    for (size_t size = 1; size <= 10; size++) {
        link_pair pair;
        link_pair_open(&pair, PHI_SUITE_CHECK);
        phi_bytes payload = phi_bytes_of(size == 9 ? odd : ask, size);
        link_pair_forge(&pair, CENTER, PHI_COMMAND_HEARTBEAT, payload);
        expect_end(&pair, CENTER, PHI_BYE_MALFORMED, PH_EPROTO);
        link_pair_fini(&pair);
    }
}

// A second JOIN for an account asks the older link; when that is dead, it must make room within the
// grace, not after another idle time. [P-37]
TEST(link, probe_of_a_dead_end_closes_after_the_grace)
{
    link_pair pair;
    link_pair_open(&pair, PHI_SUITE_CHECK);
    link_pair_pass_cut(&pair, phi_seconds(2));
    phi_link_probe(&pair.links[CENTER], pair.now);
    size_t once = phi_link_waiting(&pair.links[CENTER]);
    EXPECT(once != 0);
    link_pair_pass_cut(&pair, phi_seconds(1));
    phi_link_probe(&pair.links[CENTER], pair.now); // one is out: no second, and no later end
    EXPECT_EQ(phi_link_waiting(&pair.links[CENTER]), once);
    link_pair_pass_cut(&pair, phi_ms(3999));
    EXPECT_EQ(pair.seen[CENTER].closes, 0);
    link_pair_pass_cut(&pair, phi_ms(1));
    expect_end(&pair, CENTER, PHI_BYE_HEARTBEAT_TIMEOUT, PH_ETIMEDOUT);
    phi_link_probe(&pair.links[CENTER], pair.now); // nothing once closed
    link_pair_fini(&pair);

    link_pair_init(&pair, PHI_SUITE_PLAIN);
    EXPECT_ERR(link_pair_start(&pair), PH_OK);
    link_pair_lose(&pair, CENTER);
    phi_link_probe(&pair.links[CENTER], pair.now); // nor before open
    EXPECT_EQ(phi_link_waiting(&pair.links[CENTER]), 0);
    link_pair_fini(&pair);
}

// A client that follows its center's times finds a cut cable; one that believed any number would
// ask every millisecond, or never. [P-34] [P-40]
TEST(link, client_takes_heartbeat_times_from_hello)
{
    static const struct {
        uint32_t idle_ms;
        uint32_t grace_ms;
        uint32_t asks_at_ms;
        uint32_t ends_at_ms;
    } cases[] = {
        { 700, 300, 700, 1000 },
        { 1, 1, 100, 200 },
        { 0, 0, 10000, 15000 },
        { UINT32_MAX, UINT32_MAX, 3600000, 7200000 },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(cases); i++) {
        link_pair pair;
        link_pair_init(&pair, PHI_SUITE_PLAIN);
        // 0 is said by times below 1 ms
        pair.options[CENTER].heartbeat_idle = phi_ns(cases[i].idle_ms * UINT64_C(1000000) + 1);
        pair.options[CENTER].heartbeat_grace = phi_ns(cases[i].grace_ms * UINT64_C(1000000) + 1);
        pair.options[CLIENT].heartbeat_idle = (phi_dur){ 0 };
        pair.options[CLIENT].heartbeat_grace = (phi_dur){ 0 };
        EXPECT_ERR(link_pair_start(&pair), PH_OK);
        link_pair_settle(&pair);
        EXPECT_EQ(pair.seen[CLIENT].opens, 1);

        phi_link *client = &pair.links[CLIENT];
        pair.now = phi_time_add(LINK_PAIR_T0, phi_ns(cases[i].asks_at_ms * UINT64_C(1000000) - 1));
        phi_link_tick(client, pair.now);
        EXPECT_EQ(phi_link_waiting(client), 0);
        pair.now = phi_time_add(LINK_PAIR_T0, phi_ms(cases[i].asks_at_ms));
        phi_link_tick(client, pair.now);
        EXPECT(phi_link_waiting(client) != 0);
        pair.now = phi_time_add(LINK_PAIR_T0, phi_ns(cases[i].ends_at_ms * UINT64_C(1000000) - 1));
        phi_link_tick(client, pair.now);
        EXPECT(phi_link_is(client, PHI_LINK_OPEN));
        pair.now = phi_time_add(LINK_PAIR_T0, phi_ms(cases[i].ends_at_ms));
        phi_link_tick(client, pair.now);
        EXPECT(phi_link_is(client, PHI_LINK_CLOSED));
        link_pair_drain(&pair, CLIENT);
        expect_end(&pair, CLIENT, PHI_BYE_HEARTBEAT_TIMEOUT, PH_ETIMEDOUT);
        link_pair_fini(&pair);
    }
}

// ---- full

// Queues until begin fails; how many bytes wait then.
static size_t fill(link_pair *pair, phi_link_side side, size_t size)
{
    while (link_pair_say(pair, side, size, 1)) {
    }
    return phi_link_waiting(&pair->links[side]);
}

// What waits for a slow reader must stay within its limit, to the byte. [P-59]
TEST(link, full_link_refuses_more)
{
    link_pair pair;
    link_pair_open(&pair, PHI_SUITE_CHECK);
    phi_link *center = &pair.links[CENTER];
    EXPECT_EQ(phi_link_room(center), 256 * 1024);
    size_t waiting = fill(&pair, CENTER, 1000);
    EXPECT_EQ(phi_link_room(center), 256 * 1024 - waiting);
    EXPECT(phi_link_room(center) < 1008);
    EXPECT(!phi_link_is_roomy(center));
    // What still fits is taken, to the last byte.
    EXPECT(link_pair_say(&pair, CENTER, phi_link_room(center) - 8, 1));
    EXPECT_EQ(phi_link_room(center), 0);
    EXPECT(!link_pair_say(&pair, CENTER, 0, 1));
    EXPECT_EQ(pair.seen[CENTER].closes, 0);
    link_pair_settle(&pair);
    EXPECT_EQ(phi_link_room(center), 256 * 1024);
    EXPECT_EQ(pair.seen[CLIENT].packets, (256 * 1024) / 1008 + 1);
    link_pair_fini(&pair);
}

// A reader that is slow for a moment is forgiven at half; one that stays slow is not kept. [P-59]
TEST(link, link_full_for_too_long_is_closed_to_the_moment)
{
    link_pair pair;
    link_pair_open(&pair, PHI_SUITE_CHECK);
    phi_link *center = &pair.links[CENTER];
    size_t waiting = fill(&pair, CENTER, 2040);
    link_pair_pass_cut(&pair, phi_seconds(9));
    // One byte less than half free: still full.
    size_t most = waiting - 128 * 1024;
    phi_link_seal(center);
    phi_link_sent(center, most - 1);
    EXPECT(!phi_link_is_roomy(center));
    phi_time since = center->full_since;
    EXPECT_EQ(since.ns, LINK_PAIR_T0.ns);
    phi_link_sent(center, 1);
    EXPECT(phi_link_is_roomy(center));
    EXPECT(phi_time_is_never(center->full_since));

    // It fills again, and now it stays so; from the first refusal, not from later ones.
    (void)fill(&pair, CENTER, 2040);
    since = pair.now;
    link_pair_pass_cut(&pair, phi_ms(500));
    EXPECT(!link_pair_say(&pair, CENTER, 2040, 1));
    pair.now = phi_time_add(since, phi_ns(phi_seconds(10).ns - 1));
    center->heard = pair.now; // the heartbeat is not the subject
    phi_link_tick(center, pair.now);
    EXPECT(phi_link_is(center, PHI_LINK_OPEN));
    pair.now = phi_time_add(since, phi_seconds(10));
    phi_link_tick(center, pair.now);
    EXPECT(phi_link_is(center, PHI_LINK_CLOSED));
    link_pair_drain(&pair, CENTER);
    expect_end(&pair, CENTER, PHI_BYE_SLOW_CONSUMER, PH_ETIMEDOUT);
    link_pair_fini(&pair);
}

// The longest bye must fit behind a buffer that is full to the last byte and beyond, or the client
// would not learn what it did wrong; and asking for answers must not be a way around the limit.
// [P-39] [P-59] [P-70]
TEST(link, bye_fits_behind_a_full_buffer_and_a_flood_of_asks)
{
    static char text[PHI_BYE_TEXT_BYTES_MAX + 1];
    memset(text, 'x', sizeof text - 1);
    for (int suite = 0; suite < PHI_SUITE_COUNT; suite++) {
        link_pair pair;
        link_pair_open(&pair, (phi_suite)suite);
        phi_link *center = &pair.links[CENTER];
        (void)fill(&pair, CENTER, 1000);
        EXPECT(link_pair_say(&pair, CENTER,
                             phi_link_room(center) - phi_suite_head((phi_suite)suite), 1));
        EXPECT_EQ(phi_link_room(center), 0);
        size_t before = phi_link_waiting(center);
        for (int i = 0; i < 1000; i++) {
            forge_heartbeat(&pair, CENTER, PHI_HEARTBEAT_ASK, (uint64_t)i);
        }
        size_t after = phi_link_waiting(center);
        EXPECT(after > before); // some are answered: this end lives
        EXPECT(after <= 256 * 1024 + PHI_LINK_HEADROOM_BYTES);

        phi_link_bye(center, PHI_BYE_KICKED, 0, text);
        EXPECT(phi_link_waiting(center) > after + PHI_BYE_TEXT_BYTES_MAX);
        EXPECT(phi_link_waiting(center) <= 256 * 1024 + PHI_LINK_HEADROOM_BYTES);
        link_pair_carry(&pair, CENTER);
        expect_end(&pair, CLIENT, PHI_BYE_KICKED, PH_EREFUSED);
        EXPECT_TEXT(pair.seen[CLIENT].text, text);
        link_pair_fini(&pair);
    }
}

// A client that floods with asks and reads nothing costs its own buffer, and not one byte more.
// [P-39]
TEST(link, flood_of_asks_is_bounded)
{
    link_pair pair;
    link_pair_open(&pair, PHI_SUITE_PLAIN);
    for (uint64_t i = 0; i < 30000; i++) {
        forge_heartbeat(&pair, CENTER, PHI_HEARTBEAT_ASK, i);
    }
    EXPECT(phi_link_waiting(&pair.links[CENTER]) <= 256 * 1024 + PHI_LINK_HEADROOM_BYTES);
    EXPECT(pair.memory.bytes <= 2 * (256 * 1024 + PHI_LINK_HEADROOM_BYTES));
    EXPECT_EQ(pair.seen[CENTER].closes, 0);
    link_pair_fini(&pair);
}

// A link that is full of answers is full: who only asks and never reads must not keep it for ever.
// [P-39] [P-59]
TEST(link, flood_of_asks_is_ended_as_slow)
{
    link_pair pair;
    link_pair_open(&pair, PHI_SUITE_PLAIN);
    phi_link *center = &pair.links[CENTER];
    uint64_t stamp = 0;
    while (phi_time_is_never(center->full_since)) {
        EXPECT(stamp < 30000);
        forge_heartbeat(&pair, CENTER, PHI_HEARTBEAT_ASK, stamp++);
    }
    EXPECT_EQ(center->full_since.ns, pair.now.ns);
    for (int i = 0; i < 10; i++) { // each is a sign of life
        EXPECT_EQ(pair.seen[CENTER].closes, 0);
        link_pair_pass_cut(&pair, phi_seconds(1));
        forge_heartbeat(&pair, CENTER, PHI_HEARTBEAT_ASK, stamp++);
    }
    expect_end(&pair, CENTER, PHI_BYE_SLOW_CONSUMER, PH_ETIMEDOUT);
    link_pair_fini(&pair);
}

// Memory that is short for a moment must not close a link as a slow one. [P-59]
TEST(link, begin_without_memory_is_not_full)
{
    link_pair pair;
    link_pair_open(&pair, PHI_SUITE_PLAIN);
    pair.memory.bytes_max = pair.memory.bytes;
    EXPECT(!link_pair_say(&pair, CENTER, 60000, 1));
    EXPECT(phi_time_is_never(pair.links[CENTER].full_since));
    pair.memory.bytes_max = 0;
    EXPECT(link_pair_say(&pair, CENTER, 60000, 1));
    link_pair_settle(&pair);
    EXPECT_EQ(pair.seen[CLIENT].packets, 1);
    link_pair_fini(&pair);
}

// An ask that finds no memory counts as sent, so that a dead end is still found. [P-40]
TEST(link, ask_without_memory_still_ends_a_dead_link)
{
    link_pair pair;
    link_pair_open(&pair, PHI_SUITE_PLAIN);
    phi_link_trim(&pair.links[CENTER]);
    pair.memory.bytes_max = 1;
    link_pair_pass_cut(&pair, phi_seconds(15));
    expect_end(&pair, CENTER, PHI_BYE_HEARTBEAT_TIMEOUT, PH_ETIMEDOUT);
    EXPECT_EQ(phi_link_waiting(&pair.links[CENTER]), 0); // nor was there any for the bye
    link_pair_fini(&pair);
}
