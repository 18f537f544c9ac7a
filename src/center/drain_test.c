// SPDX-License-Identifier: Apache-2.0
//
// center/drain_test.c - the method `drain` of the center. [P-69]

#include <posthouse/message.h>

#include <string.h>

#include "base/assert.h"
#include "center/drain.h"
#include "tests/center/world.h"
#include "tests/harness/test.h"
#include "wire/presence.h"

// What the center replied.
typedef struct drained {
    bool is_done;
    uint64_t revision;
    uint32_t watchers;
    uint32_t calls;
    uint16_t count;
    char first[132];
} drained;

static void calm(center_options *o)
{
    o->heartbeat_idle = 3600000;
    o->full_timeout = 3600000;
    o->send_buffer_max = 131072;
}

static void say_drain(peer *p, uint64_t call, bool is_begin, uint32_t patience_ms, const char *name)
{
    uint8_t body[128];
    phi_writer w = phi_writer_of((phi_span){ body, sizeof body });
    phi_write_u8(&w, is_begin ? 1 : 0);
    phi_write_u32(&w, patience_ms);
    phi_write_str8(&w, phi_bytes_text(name));
    peer_say(p, &(phi_message){ .kind = PHI_KIND_REQUEST,
                                .call = call,
                                .to = phi_bytes_text("@d"),
                                .method = phi_bytes_text("drain"),
                                .body = phi_writer_view(&w) });
}

static drained take_reply(peer *p, uint64_t call)
{
    const phi_message *m = peer_next(p);
    assert_non_null(m);
    EXPECT_EQ(m->kind, PHI_KIND_REPLY);
    EXPECT_EQ(m->call, call);
    EXPECT(phi_bytes_equal(m->from, phi_bytes_text("@d")));
    drained d = { 0 };
    phi_reader r = phi_reader_of(m->body);
    d.is_done = phi_read_u8(&r) == 1;
    d.revision = phi_read_u64(&r);
    d.watchers = phi_read_u32(&r);
    d.calls = phi_read_u32(&r);
    d.count = phi_read_u16(&r);
    for (uint16_t i = 0; i < d.count; i++) {
        phi_bytes id = phi_read_str8(&r);
        if (i == 0) {
            memcpy(d.first, id.data, id.size);
        }
    }
    EXPECT(!r.failed);
    EXPECT_EQ(phi_reader_left(&r), 0);
    return d;
}

static phi_state wished(peer *p)
{
    phi_bytes payload = peer_next_packet(p, PHI_COMMAND_OWN_STATE);
    phi_own_state own;
    EXPECT_ERR(phi_own_state_decode(payload, &own), PH_OK);
    return own.state;
}

// The reply must not come before every watcher that is concerned has read that the account is
// draining: an operator kills it then. [P-69]
TEST(drain, reply_waits_for_every_acknowledgement)
{
    world *w = world_new(calm);
    peer *victim = world_join(w, "victim");
    peer *fast = world_watch(w, "fast");
    peer *slow = world_watch(w, "slow");
    peer *elsewhere = world_join(w, "elsewhere");
    peer_ask(elsewhere, &(phi_presence_ask){ .wants = true, .service = phi_bytes_text("other") });
    peer *oper = world_join(w, "operator");
    elsewhere->reads_max = 0;
    slow->reads_max = 0;
    say_drain(oper, 7, true, 10000, "victim");
    world_settle(w);
    EXPECT(peer_next(oper) == NULL);
    EXPECT_EQ(peer_find(fast, "victim@d")->state, PHI_STATE_DRAINING);
    EXPECT_EQ(wished(victim), PHI_STATE_DRAINING); // [P-72]
    slow->reads_max = SIZE_MAX;
    world_settle(w);
    drained d = take_reply(oper, 7);
    EXPECT(d.is_done);
    EXPECT_EQ(d.revision, peer_find(slow, "victim@d")->revision);
    EXPECT_EQ(d.watchers, 0);
    EXPECT_EQ(d.calls, 0);
    EXPECT_EQ(peer_find(slow, "victim@d")->state, PHI_STATE_DRAINING);
    // Again: all know it already, and say so.
    say_drain(oper, 8, true, 10000, "victim");
    world_settle(w);
    EXPECT(take_reply(oper, 8).is_done);
    EXPECT_EQ(world_count(w).calls, 0);
    world_free(w);
}

// A client that was away and comes back still shows what it knew, until it has read what it missed.
// The operator must not hear *done* before, or it sends work to what is killed then. Nor before a
// list is read: what that replaces is not known here. [P-69]
TEST(drain, reply_waits_for_those_who_come_back)
{
    world *w = world_new(calm);
    peer *victim = world_join(w, "victim");
    peer *other = world_join(w, "other");
    peer *oper = world_watch(w, "operator");
    uint64_t knew = oper->revision;
    const struct {
        phi_presence_ask ask;
        bool is_waited_for;
    } cases[] = {
        { { .wants = true, .last_epoch = oper->epoch, .last_revision = knew }, true },
        { { .wants = true, .last_epoch = oper->epoch + 1, .last_revision = knew }, true },
        { { .wants = true }, true },
        { { .wants = true,
            .last_epoch = oper->epoch,
            .last_revision = knew,
            .service = phi_bytes_text("other") },
          false },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(cases); i++) {
        uint64_t number = 10 * (i + 1);
        peer_request(other, "victim", number, 60000);
        say_drain(oper, number, true, 60000, "victim");
        world_settle(w);
        uint64_t asked = peer_next(victim)->call;
        peer *back = world_join(w, "");
        back->revision = cases[i].ask.last_revision;
        back->knows_list = cases[i].ask.last_epoch == oper->epoch;
        back->reads_max = 0;
        peer_ask(back, &cases[i].ask);
        peer_reply(victim, asked, "done");
        world_settle(w);
        EXPECT(peer_next(other) != NULL);
        if (cases[i].is_waited_for) {
            EXPECT(peer_next(oper) == NULL);
            back->reads_max = SIZE_MAX;
            world_settle(w);
        }
        drained d = take_reply(oper, number);
        EXPECT(d.is_done);
        EXPECT_EQ(d.watchers, 0);
        peer_cut(back);
        say_drain(oper, number + 1, false, 0, "victim");
        world_settle(w);
        EXPECT(take_reply(oper, number + 1).is_done);
    }
    world_free(w);
}

// Whoever asks for something else says what it knows of that, and may know less than before. [P-69]
TEST(drain, asking_for_something_else_is_waited_for_anew)
{
    world *w = world_new(calm);
    peer *victim = world_join(w, "victim");
    peer *other = world_join(w, "other");
    peer *watcher = world_watch(w, "w");
    peer *oper = world_join(w, "operator");
    uint64_t knew = watcher->revision;
    peer_request(other, "victim", 1, 60000);
    say_drain(oper, 7, true, 60000, "victim");
    world_settle(w); // and acknowledged
    peer_ask(watcher, &(phi_presence_ask){
                          .wants = true, .last_epoch = watcher->epoch, .last_revision = knew });
    watcher->revision = knew;
    watcher->reads_max = 0;
    peer_reply(victim, peer_next(victim)->call, "done");
    world_settle(w);
    EXPECT(peer_next(oper) == NULL);
    watcher->reads_max = SIZE_MAX;
    world_settle(w);
    EXPECT(take_reply(oper, 7).is_done);
    world_free(w);
}

// What a client reads after it asked anew it may throw away, because its list is on the way; so an
// answer to what was asked before must not count as if it had read that list. [P-69]
TEST(drain, answer_to_what_was_asked_before_does_not_count)
{
    world *w = world_new(calm);
    (void)world_join(w, "victim");
    peer *watcher = world_watch(w, "w");
    peer *oper = world_join(w, "operator");
    watcher->reads_max = 0;
    say_drain(oper, 7, true, 60000, "victim");
    world_settle(w);
    size_t before = peer_unread(watcher);
    peer_ask(watcher, &(phi_presence_ask){ .wants = true });
    world_settle(w); // the list is behind it
    watcher->reads_max = before;
    world_turn(w);
    watcher->reads_max = 0;
    world_settle(w);
    EXPECT_EQ(watcher->lists, 1);
    EXPECT(peer_next(oper) == NULL);
    watcher->reads_max = SIZE_MAX;
    world_settle(w);
    EXPECT_EQ(watcher->lists, 2);
    EXPECT(take_reply(oper, 7).is_done);
    world_free(w);
}

// Nor while the account still works, for others or with their help. [P-69]
TEST(drain, reply_waits_for_open_calls)
{
    world *w = world_new(calm);
    peer *victim = world_join(w, "victim");
    peer *other = world_join(w, "other");
    peer *oper = world_join(w, "operator");
    peer_request(other, "victim", 1, 60000);
    peer_request(victim, "other", 2, 60000);
    world_settle(w);
    uint64_t asked = peer_next(victim)->call;
    uint64_t asked_back = peer_next(other)->call;
    say_drain(oper, 7, true, 60000, "victim");
    world_settle(w);
    EXPECT(peer_next(oper) == NULL);
    peer_reply(victim, asked, "done");
    world_settle(w);
    EXPECT(peer_next(oper) == NULL);
    peer_reply(other, asked_back, "done");
    world_settle(w);
    EXPECT(take_reply(oper, 7).is_done);
    world_free(w);
}

// When patience ends, the operator must hear who is missing, not just that somebody is. [P-69]
TEST(drain, patience_ends_with_names)
{
    world *w = world_new(calm);
    peer *victim = world_join(w, "victim");
    peer *slow = world_watch(w, "slow");
    peer *other = world_join(w, "other");
    peer *oper = world_join(w, "operator");
    peer_request(other, "victim", 1, 60000);
    slow->reads_max = 0;
    world_settle(w);
    say_drain(oper, 7, true, 500, "victim");
    world_settle(w);
    world_pass(w, 499);
    EXPECT(peer_next(oper) == NULL);
    world_pass(w, 2);
    drained d = take_reply(oper, 7);
    EXPECT(!d.is_done);
    EXPECT_EQ(d.watchers, 1);
    EXPECT_EQ(d.calls, 1);
    EXPECT_EQ(d.count, 1);
    EXPECT_TEXT(d.first, "slow@d");
    // No patience at all: as it is now.
    say_drain(oper, 8, true, 0, "victim");
    world_settle(w);
    EXPECT(!take_reply(oper, 8).is_done);
    // It goes on being drained, whatever it says itself, and gets no work.
    peer_own_state(victim, &(phi_own_state){ .state = PHI_STATE_READY });
    slow->reads_max = SIZE_MAX;
    world_settle(w);
    EXPECT_EQ(peer_find(slow, "victim@d")->state, PHI_STATE_DRAINING);
    world_free(w);
}

// Taken back, the account must show its own state again, and know it. [P-69] [P-72]
TEST(drain, taken_back_shows_own_state)
{
    world *w = world_new(calm);
    peer *victim = world_join(w, "victim");
    peer *watcher = world_watch(w, "w");
    say_drain(watcher, 7, true, 1000, "victim");
    world_settle(w);
    EXPECT(take_reply(watcher, 7).is_done);
    EXPECT_EQ(wished(victim), PHI_STATE_DRAINING);
    say_drain(watcher, 8, false, 0, "victim");
    world_settle(w);
    EXPECT(take_reply(watcher, 8).is_done);
    EXPECT_EQ(wished(victim), PHI_STATE_READY);
    EXPECT_EQ(peer_find(watcher, "victim@d")->state, PHI_STATE_READY);
    // One that is not ready by itself must not be told that it is, or it would get work too soon.
    say_drain(watcher, 10, true, 1000, "victim");
    peer_own_state(victim, &(phi_own_state){ .state = PHI_STATE_STARTING });
    world_settle(w);
    EXPECT(take_reply(watcher, 10).is_done);
    EXPECT_EQ(wished(victim), PHI_STATE_DRAINING);
    say_drain(watcher, 11, false, 0, "victim");
    world_settle(w);
    EXPECT(take_reply(watcher, 11).is_done);
    EXPECT_EQ(wished(victim), PHI_STATE_STARTING);
    EXPECT_EQ(peer_find(watcher, "victim@d")->state, PHI_STATE_STARTING);
    peer_own_state(victim, &(phi_own_state){ .state = PHI_STATE_READY });
    // And a new session of an account that was drained begins as what it says.
    say_drain(watcher, 9, true, 1000, "victim");
    world_settle(w);
    EXPECT(take_reply(watcher, 9).is_done);
    peer_leave(victim);
    world_settle(w);
    world_join(w, "victim");
    EXPECT_EQ(peer_find(watcher, "victim@d")->state, PHI_STATE_READY);
    world_free(w);
}

// Whatever ends meanwhile must not leave the drain waiting, or pointing at what is gone. [P-69]
TEST(drain, ends_with_those_it_waits_for)
{
    world *w = world_new(calm);
    peer *victim = world_join(w, "victim");
    peer *slow = world_watch(w, "slow");
    peer *oper = world_join(w, "operator");
    slow->reads_max = 0;
    say_drain(oper, 7, true, 60000, "victim");
    world_settle(w);
    EXPECT(peer_next(oper) == NULL);
    peer_cut(slow); // the watcher
    world_settle(w);
    EXPECT(take_reply(oper, 7).is_done);

    peer *stuck = world_watch(w, "stuck");
    stuck->reads_max = 0;
    say_drain(oper, 8, false, 0, "victim");
    say_drain(oper, 9, true, 60000, "victim");
    world_settle(w);
    EXPECT(take_reply(oper, 8).is_done);
    peer_cut(victim); // the account
    world_settle(w);
    EXPECT(take_reply(oper, 9).is_done);

    peer *again = world_join(w, "again");
    say_drain(oper, 10, true, 60000, "again");
    say_drain(oper, 11, true, 60000, "again");
    world_settle(w);
    EXPECT(peer_next(oper) == NULL);
    peer_cancel(oper, 10);
    world_settle(w);
    peer_expect_failure(oper, 10, PH_FAILURE_CANCELLED);
    peer_cut(oper); // who asked
    world_settle(w);
    EXPECT_EQ(world_count(w).calls, 0);
    EXPECT(!again->is_ended);
    world_free(w);
}

// An account may drain itself, and must not wait for its own question. [P-69]
TEST(drain, account_drains_itself)
{
    world *w = world_new(calm);
    peer *self = world_watch(w, "self");
    say_drain(self, 7, true, 60000, "self");
    say_drain(self, 8, true, 60000, "self");
    world_settle(w);
    EXPECT(take_reply(self, 7).is_done);
    EXPECT(take_reply(self, 8).is_done);
    EXPECT_EQ(wished(self), PHI_STATE_DRAINING);
    world_free(w);
}

// [P-69]
TEST(drain, nonsense_is_refused)
{
    world *w = world_new(calm);
    peer *p = world_join(w, "p");
    say_drain(p, 1, true, 1000, "nobody");
    world_settle(w);
    peer_expect_failure(p, 1, PH_FAILURE_NO_SUCH_ACCOUNT);
    static const char *const bodies[] = { "", "\1", "\2aaaa\1p", "\1aaaa\2p", "\1aaaa\1pp" };
    for (size_t i = 0; i < PHI_COUNT_OF(bodies); i++) {
        peer_say(p, &(phi_message){ .kind = PHI_KIND_REQUEST,
                                    .call = 10 + i,
                                    .to = phi_bytes_text("@"),
                                    .method = phi_bytes_text("drain"),
                                    .body = phi_bytes_text(bodies[i]) });
        world_settle(w);
        peer_expect_failure(p, 10 + i, PH_FAILURE_MALFORMED);
    }
    EXPECT(!p->is_ended);
    world_free(w);
}

// One client whose drains all wait must not be the reason that no operator can drain anything.
// [P-69]
TEST(drain, a_client_has_its_share)
{
    world *w = world_new(calm);
    peer *victim = world_join(w, "victim");
    peer *greedy = world_join(w, "greedy");
    peer *oper = world_join(w, "operator");
    peer_request(oper, "victim", 1, 60000);
    for (uint64_t n = 1; n <= DRAINS_MAX; n++) {
        say_drain(greedy, n, true, 60000, "victim");
    }
    world_settle(w);
    for (uint64_t n = DRAINS_PER_CLIENT_MAX + 1; n <= DRAINS_MAX; n++) {
        peer_expect_failure(greedy, n, PH_FAILURE_TOO_MANY_CALLS);
    }
    say_drain(oper, 7, true, 60000, "victim");
    say_drain(greedy, 100, false, 0, "victim"); // what does not wait is not counted
    world_settle(w);
    EXPECT(take_reply(greedy, 100).is_done);
    EXPECT(peer_next(oper) == NULL);
    peer_cancel(greedy, 1);
    world_settle(w);
    peer_expect_failure(greedy, 1, PH_FAILURE_CANCELLED);
    say_drain(greedy, 101, true, 60000, "victim"); // the place is free again
    world_settle(w);
    EXPECT(peer_next(greedy) == NULL);
    peer_reply(victim, peer_next(victim)->call, "done");
    world_settle(w);
    EXPECT_EQ(peer_next(oper)->call, 1);
    EXPECT(take_reply(oper, 7).is_done);
    for (uint64_t n = 2; n <= DRAINS_PER_CLIENT_MAX; n++) {
        EXPECT(take_reply(greedy, n).is_done);
    }
    EXPECT(take_reply(greedy, 101).is_done);
    world_free(w);
}

// To begin a drain walks over all connections. A client that asks for one after the other, with no
// patience, must not keep everybody waiting: beyond a turn's share it is refused, and the next turn
// has another. [P-69]
TEST(drain, so_many_in_a_turn)
{
    enum { OTHERS = 100, ASKED = CENTER_DRAIN_TURN_PLACES_MAX / (3 * OTHERS) + 2 };
    world *w = world_new(calm);
    (void)world_join(w, "victim");
    peer *oper = world_join(w, "operator");
    for (size_t i = 0; i < OTHERS; i++) {
        (void)world_join(w, "");
    }
    for (uint64_t n = 1; n <= ASKED; n++) {
        say_drain(oper, n, true, 0, "victim");
    }
    world_turn(w);
    world_settle(w);
    uint64_t replied = 0;
    uint64_t refused = 0;
    const phi_message *m;
    while ((m = peer_next(oper)) != NULL) {
        EXPECT_EQ(m->call, replied + refused + 1);
        replied += m->kind == PHI_KIND_REPLY;
        refused +=
            m->kind == PHI_KIND_FAILURE && phi_get_u16(m->body.data) == PH_FAILURE_TOO_MANY_CALLS;
    }
    EXPECT_EQ(replied + refused, ASKED);
    EXPECT(refused >= 1);
    EXPECT(replied > refused);
    say_drain(oper, ASKED + 1, true, 0, "victim");
    world_settle(w);
    EXPECT(take_reply(oper, ASKED + 1).is_done);
    EXPECT_EQ(world_count(w).calls, 0);
    world_free(w);
}
