// SPDX-License-Identifier: Apache-2.0
//
// tests/sim/worker_sim.c - a center of several workers, where it differs from one: clients that are
// at home with different workers, mail that takes its time, a worker that stands still, a mailbox
// that is full. That all else is as with one worker the other stories tell (CENTER_TEST).
//
// Connections are dealt out in turn: of three workers the first client is at home with the first
// one, the second with the second, the third with the third, the fourth with the first.

#include <string.h>

#include <posthouse/state.h>

#include "center/state.h"
#include "center/subscription.h"
#include "sim/check.h"
#include "tests/sim/sim_test.h"

#define WAY_MS 5u
#define MAIL_MS 20u
#define ALICE 0
#define BOB 1
#define CAROL 2
#define DAVE 3

static domain_options story_options(uint32_t worker_count, uint32_t actors)
{
    domain_options options = {
        .seed = 11,
        .path = { .delay = MS(WAY_MS) },
        .center = center_options_default(),
        .client = PH_CLIENT_OPTIONS_INIT,
        .workers = worker_count,
        .actor_count = actors,
        .late_max = SECONDS(1),
    };
    options.center.suite = PHI_SUITE_CHECK;
    options.client.backoff_max_ms = 500;
    return options;
}

static domain *begin(const domain_options *options)
{
    domain *d = domain_new(options);
    domain_start(d);
    EXPECT(sim_run_until(d->s, domain_all_up, d, SECONDS(1)));
    sim_run_for(d->s, MS(200));
    return d;
}

static void end(domain *d)
{
    char fault[sizeof d->fault];
    domain_free(&d, fault);
    EXPECT_TEXT(fault, "");
}

// Everything comes to rest, and all workers know the same.
static void expect_rest(domain *d)
{
    const char *why = "";
    bool is_settled = sim_run_until(d->s, domain_is_settled, d, SECONDS(120));
    (void)check_workers_agree(d, &why);
    EXPECT_TEXT(why, "");
    EXPECT(is_settled);
}

static uint32_t home_of(const domain *d, uint32_t who)
{
    const session *s = domain_session(d, d->actors[who].account);
    EXPECT(s != NULL);
    return s->home;
}

static bool has_ended(sim *s, void *arg)
{
    (void)s;
    return ((const call_record *)arg)->ends > 0;
}

static bool is_up(sim *s, void *arg)
{
    (void)s;
    return actor_is_up(arg);
}

static void expect_reply(domain *d, uint32_t from, uint32_t to, size_t size)
{
    call_record *record =
        actor_call(&d->actors[from], d->actors[to].account, to, size, 60000, /* why= */ NULL);
    EXPECT(record != NULL);
    EXPECT(sim_run_until(d->s, has_ended, record, SECONDS(60)));
    EXPECT_ERR(record->status, PH_OK);
}

// ---- who is where

// Each worker gets its share of the connections, and each client is known to all workers.
TEST(sim_worker, connections_are_dealt_out_in_turn)
{
    domain_options options = story_options(3, 6);
    domain *d = begin(&options);
    for (uint32_t i = 0; i < 6; i++) {
        EXPECT_EQ(home_of(d, i), i % 3);
    }
    for (uint32_t w = 0; w < 3; w++) {
        EXPECT_EQ(center_count(d->workers[w]).sessions, 2);
        EXPECT_EQ(center_count(d->workers[w]).listed, 6);
        EXPECT_EQ(d->workers[w]->workers.abroad_count, 4);
    }
    expect_rest(d);
    end(d);
}

// An account is one client's, whichever workers those who want it come to: also when they come at
// the same moment. [P-37]
TEST(sim_worker, one_of_several_gets_an_account)
{
    domain_options options = story_options(3, 3);
    options.mail_delay_max = MS(MAIL_MS);
    domain *d = domain_new(&options);
    for (uint32_t i = 1; i < 3; i++) {
        memcpy(d->actors[i].account, d->actors[0].account, sizeof d->actors[i].account);
        memcpy(d->actors[i].id, d->actors[0].id, sizeof d->actors[i].id);
    }
    domain_start(d);
    sim_run_for(d->s, SECONDS(1));
    uint32_t up = 0;
    for (uint32_t i = 0; i < 3; i++) {
        up += actor_is_up(&d->actors[i]);
        EXPECT(actor_is_up(&d->actors[i]) || strcmp(d->actors[i].how_bye, "account_taken") == 0);
    }
    EXPECT_EQ(up, 1);
    EXPECT_EQ(domain_count(d).sessions, 1);
    EXPECT_EQ(domain_count(d).joins_refused_total, 2);
    const char *why = "";
    EXPECT(check_workers_agree(d, &why));
    end(d);
}

// A client that dies while the first worker is being asked about it is forgotten by all, whenever
// that is; and its successor is let in.
TEST(sim_worker, client_that_dies_while_it_joins_is_forgotten)
{
    for (unsigned ms = 10; ms < 80; ms += 3) {
        domain_options options = story_options(3, 3);
        options.mail_delay_max = MS(MAIL_MS);
        options.seed = ms;
        domain *d = domain_new(&options);
        domain_start(d);
        sim_run_for(d->s, MS(ms));
        actor_kill(&d->actors[BOB]);
        actor_kill(&d->actors[CAROL]);
        sim_run_for(d->s, SECONDS(1));
        EXPECT_EQ(domain_count(d).sessions, 1);
        EXPECT_EQ(domain_count(d).listed, 1);
        const char *why = "";
        EXPECT(check_workers_agree(d, &why));
        EXPECT(actor_start(&d->actors[BOB]));
        EXPECT(actor_start(&d->actors[CAROL]));
        expect_rest(d);
        end(d);
    }
}

// The limit of connections is that of all workers together, though each lets in by itself who
// knocks: those who come too late are told so, and none of it harms the others. [P-61]
TEST(sim_worker, limit_of_connections_is_that_of_all)
{
    enum { LIMIT = 4, ACTORS = 12 };
    domain_options options = story_options(3, ACTORS);
    options.mail_delay_max = MS(MAIL_MS);
    options.center.connections_max = LIMIT;
    domain *d = domain_new(&options);
    domain_start(d);
    for (int i = 0; i < 100; i++) {
        sim_run_for(d->s, MS(20));
        check_counters(d);
        EXPECT(d->center->joined_count <= LIMIT); // it decides
    }
    EXPECT(domain_count(d).sessions >= LIMIT);
    uint32_t turned_away = 0;
    for (uint32_t i = 0; i < ACTORS; i++) {
        turned_away += strcmp(d->actors[i].how_bye, "limit_reached") == 0;
    }
    EXPECT(turned_away >= ACTORS - 2 * LIMIT);
    end(d);
}

// ---- presence

// What a client says of itself is told to watchers at all workers, as of the same revision. [P-72]
TEST(sim_worker, own_state_is_told_by_all)
{
    domain_options options = story_options(3, 4);
    options.mail_delay_max = MS(MAIL_MS);
    domain *d = domain_new(&options);
    for (uint32_t i = 0; i < 3; i++) {
        d->actors[i].is_watching = true;
    }
    domain_start(d);
    expect_rest(d);
    ph_own_state own = PH_OWN_STATE_INIT;
    own.state = PH_STATE_DRAINING;
    EXPECT_ERR(ph_client_set_state(d->actors[BOB].client, &own), PH_OK);
    sim_run_for(d->s, SECONDS(1));
    uint64_t revision = d->actors[ALICE].told.revision;
    for (uint32_t i = 0; i < 3; i++) {
        const known_peer *bob = actor_knows(&d->actors[i], d->actors[BOB].id);
        EXPECT(bob != NULL);
        EXPECT_EQ(bob->state, PH_STATE_DRAINING);
        EXPECT_EQ(bob->revision, revision);
    }
    end(d);
}

// A watcher that comes back to another worker goes on from where it was: it is not sent the list
// again. [P-43] [P-48]
TEST(sim_worker, watcher_resumes_with_another_worker)
{
    domain_options options = story_options(3, 4);
    domain *d = domain_new(&options);
    actor *alice = &d->actors[ALICE];
    alice->is_watching = true;
    domain_start(d);
    expect_rest(d);
    EXPECT_EQ(home_of(d, ALICE), 0);
    EXPECT_EQ(domain_count(d).presence_lists_total, 1);
    sim_cut(d->s, alice->node, d->center_node);
    actor_kill(&d->actors[CAROL]);
    sim_run_for(d->s, MS(10));
    EXPECT(sim_run_until(d->s, is_up, alice, SECONDS(5)));
    sim_run_for(d->s, MS(100));
    EXPECT_EQ(home_of(d, ALICE), 1);
    EXPECT_EQ(domain_count(d).presence_lists_total, 1);
    EXPECT_EQ(domain_count(d).presence_resumes_total, 1);
    EXPECT(actor_knows(alice, d->actors[CAROL].id) == NULL);
    EXPECT_EQ(alice->known_count, 3);
    end(d);
}

// ---- calls

// A request that is on its way to a responder which dies meanwhile ends with it, not with its time:
// wherever in the mail it is. [P-57]
TEST(sim_worker, request_in_the_mail_ends_with_its_responder)
{
    for (unsigned ms = 0; ms < 60; ms += 2) {
        domain_options options = story_options(3, 3);
        options.mail_delay_max = MS(MAIL_MS);
        options.seed = 100 + ms;
        domain *d = begin(&options);
        d->actors[BOB].manner = MANNER_HOLD;
        call_record *calls[2] = {
            actor_call_actor(&d->actors[ALICE], &d->actors[BOB], 60000),
            actor_call_actor(&d->actors[CAROL], &d->actors[BOB], 60000),
        };
        sim_run_for(d->s, MS(ms));
        actor_kill(&d->actors[BOB]);
        sim_run_for(d->s, MS(4 * WAY_MS + 4 * MAIL_MS));
        for (int i = 0; i < 2; i++) {
            EXPECT_EQ(calls[i]->ends, 1);
            EXPECT_ERR(calls[i]->status, PH_EFAILURE);
            EXPECT(calls[i]->code == PH_FAILURE_RESPONDER_LOST ||
                   calls[i]->code == PH_FAILURE_NO_SUCH_ACCOUNT);
        }
        EXPECT_EQ(domain_count(d).calls, 0);
        end(d);
    }
}

// What one client sends to another arrives in order and once, small and large, events and calls,
// while mail takes its time. [P-55] (the actors check the order of events)
TEST(sim_worker, order_is_kept_between_any_two)
{
    domain_options options = story_options(3, 3);
    options.mail_delay_max = MS(MAIL_MS);
    options.path.jitter = MS(10);
    options.path.is_ragged = true;
    domain *d = begin(&options);
    call_record *last[3] = { NULL };
    for (int round = 0; round < 100; round++) {
        for (uint32_t from = 0; from < 3; from++) {
            uint32_t to = (from + 1 + (uint32_t)round % 2) % 3;
            EXPECT_ERR(actor_event(&d->actors[from], d->actors[to].account, 20), PH_OK);
            last[from] = actor_call_actor(&d->actors[from], &d->actors[to], 60000);
        }
        sim_run_for(d->s, MS(3));
    }
    sim_run_for(d->s, SECONDS(2));
    for (uint32_t i = 0; i < 3; i++) {
        EXPECT_ERR(last[i]->status, PH_OK);
        EXPECT_EQ(d->actors[i].events, 100);
        EXPECT_EQ(d->actors[i].requests, 100);
    }
    EXPECT_EQ(domain_count(d).events_dropped_total, 0);
    expect_rest(d);
    end(d);
}

// Messages in fragments go in both directions between workers; what is granted at one is sent at
// the other. [P-66] [P-67]
TEST(sim_worker, large_messages_go_both_ways)
{
    domain_options options = story_options(2, 2);
    options.mail_delay_max = MS(MAIL_MS);
    options.center.message_max = 4 << 20;
    options.client.message_bytes_max = 4 << 20;
    options.client.streams_bytes_max = 8 << 20;
    domain *d = begin(&options);
    EXPECT_EQ(home_of(d, BOB), 1);
    expect_reply(d, ALICE, BOB, 3 << 20);
    expect_reply(d, BOB, ALICE, 3 << 20);
    expect_rest(d);
    end(d);
}

// ---- topics

// Which patterns a client has its home decides, by the limits: the other workers have just those,
// also when they hear of those who left later than of those who came. [P-73]
TEST(sim_worker, refused_patterns_are_refused_everywhere)
{
    domain_options options = story_options(3, 6);
    options.mail_delay_max = MS(MAIL_MS);
    options.center.subscriptions_max = 8;
    options.center.subscriptions_per_client_max = 2;
    domain *d = begin(&options);
    for (int round = 0; round < 20; round++) {
        for (uint32_t i = 0; i < 6; i++) {
            for (uint32_t which = 0; which < 4; which++) {
                actor_toggle(&d->actors[i], which);
            }
        }
        sim_run_for(d->s, MS(7));
        uint32_t cut = (uint32_t)round % 6;
        sim_cut(d->s, d->actors[cut].node, d->center_node);
        sim_run_for(d->s, MS(30));
    }
    EXPECT(domain_count(d).subscriptions_refused_total > 0);
    expect_rest(d);
    check_topics(d);
    end(d);
}

// ---- room

// A client that does not read looks full to senders at every worker: what is queued for it is
// bounded, what it is sent stays in order, and it is ended in the end. [P-59]
TEST(sim_worker, reader_that_stops_abroad_is_full_to_all)
{
    domain_options options = story_options(3, 3);
    options.center.send_buffer_max = 262144;
    domain *d = begin(&options);
    actor *bob = &d->actors[BOB];
    size_t before = sim_bytes_used(d->s, d->worker_nodes[1]);
    sim_node_reading(d->s, bob->node, false);
    for (int i = 0; i < 400; i++) {
        EXPECT_ERR(actor_event(&d->actors[ALICE], bob->account, 4000), PH_OK);
        EXPECT_ERR(actor_event(&d->actors[CAROL], bob->account, 4000), PH_OK);
        sim_run_for(d->s, MS(5));
    }
    EXPECT(domain_count(d).events_dropped_total > 0);
    EXPECT(center_count(d->workers[1]).mail_kept_total > 0);
    // Its send buffer, and what each of the others may have on the way to it.
    EXPECT(sim_bytes_used(d->s, d->worker_nodes[1]) < before + 4 * 262144);
    sim_node_reading(d->s, bob->node, true);
    sim_run_for(d->s, SECONDS(2));
    EXPECT(bob->events > 100); // in order: the actor checks it
    EXPECT_EQ(domain_count(d).events_dropped_total + bob->events, 800);
    expect_reply(d, ALICE, BOB, 100);

    sim_node_reading(d->s, bob->node, false);
    for (int i = 0; i < 200; i++) {
        EXPECT_ERR(actor_event(&d->actors[ALICE], bob->account, 4000), PH_OK);
        sim_run_for(d->s, MS(5));
    }
    sim_run_for(d->s, SECONDS(15));
    EXPECT_EQ(domain_count(d).links_ended_total[PHI_BYE_SLOW_CONSUMER], 1);
    EXPECT_EQ(domain_count(d).sessions, 2);
    sim_node_reading(d->s, bob->node, true);
    expect_rest(d);
    end(d);
}

// What a client is sent by way of one worker does not overtake what it was sent by another and
// waits for room: its buffer is full for both. Here a reply, which its own worker handles, behind
// events that came by mail. [P-55] [P-59]
TEST(sim_worker, nothing_overtakes_mail_that_waits_for_room)
{
    domain_options options = story_options(2, 2);
    options.center.send_buffer_max = 131072;
    domain *d = begin(&options);
    actor *alice = &d->actors[ALICE];
    actor *bob = &d->actors[BOB];
    bob->manner = MANNER_HOLD;
    call_record *asked = actor_call_actor(alice, bob, 60000);
    sim_run_for(d->s, MS(20));
    sim_node_reading(d->s, alice->node, false);
    while (center_count(d->workers[0]).mail_kept_total == 0) {
        EXPECT_ERR(actor_event(bob, alice->account, 6000), PH_OK);
        sim_run_for(d->s, MS(2));
    }
    EXPECT_ERR(actor_reply(bob, actor_held(bob)), PH_OK); // would fit where the event does not
    sim_run_for(d->s, MS(20));
    sim_node_reading(d->s, alice->node, true);
    EXPECT(sim_run_until(d->s, has_ended, asked, SECONDS(5)));
    unsigned events = alice->events;
    EXPECT_ERR(asked->status, PH_EFAILURE);
    EXPECT_EQ(asked->code, PH_FAILURE_SLOW_CONSUMER);
    sim_run_for(d->s, SECONDS(2));
    EXPECT_EQ(alice->events, events); // all of them came before its end
    EXPECT_EQ(domain_count(d).events_dropped_total, 0);
    end(d);
}

// Who has more to say than the mailbox of a worker that is busy takes is read later; nothing is
// lost, and all comes in order.
TEST(sim_worker, full_mailbox_holds_who_fills_it)
{
    enum { CALLS = 60 };
    domain_options options = story_options(2, 2);
    options.mail_bytes_max = 65536;
    options.path.buffer_bytes = 1 << 20;
    domain *d = begin(&options);
    actor *bob = &d->actors[BOB];
    bob->manner = MANNER_WORK; // replies later, all at about the same time
    bob->work = MS(50);
    call_record *calls[CALLS];
    for (int i = 0; i < CALLS; i++) {
        calls[i] = actor_call(&d->actors[ALICE], bob->account, BOB, 8000, 60000, /* why= */ NULL);
        EXPECT(calls[i] != NULL);
        sim_run_for(d->s, MS(1));
    }
    sim_node_freeze(d->s, d->worker_nodes[0], true);
    sim_run_for(d->s, SECONDS(1));
    const session *home = domain_session(d, bob->account);
    EXPECT(home->transport.is_held);
    sim_node_freeze(d->s, d->worker_nodes[0], false);
    sim_run_for(d->s, SECONDS(2));
    EXPECT(!home->transport.is_held);
    for (int i = 0; i < CALLS; i++) {
        EXPECT_ERR(calls[i]->status, PH_OK);
        EXPECT(i == 0 || calls[i - 1]->ended.ns <= calls[i]->ended.ns);
    }
    expect_rest(d);
    end(d);
}

// The same with what all workers have to know: who changes its subscriptions faster than another
// worker hears of it waits for that one, instead of filling its mailbox without bounds.
TEST(sim_worker, full_mailbox_holds_who_subscribes)
{
    domain_options options = story_options(2, 2);
    options.mail_bytes_max = 65536;
    domain *d = begin(&options);
    actor *alice = &d->actors[ALICE];
    const session *home = domain_session(d, alice->account);
    sim_node_freeze(d->s, d->worker_nodes[1], true);
    for (uint32_t i = 0; i < 4000 && !home->transport.is_held; i++) {
        actor_toggle(alice, i % ACTOR_PATTERNS);
        sim_run_for(d->s, MS(1));
    }
    EXPECT(home->transport.is_held);
    sim_node_freeze(d->s, d->worker_nodes[1], false);
    sim_run_for(d->s, SECONDS(1));
    EXPECT(!home->transport.is_held);
    expect_rest(d);
    check_topics(d);
    end(d);
}

// A worker that stands still holds up its own clients and those who want something of them, and
// nobody else.
TEST(sim_worker, worker_that_stands_still_holds_up_its_own)
{
    domain_options options = story_options(3, 6);
    domain *d = begin(&options);
    for (uint32_t frozen = 0; frozen < 3; frozen++) {
        sim_node_freeze(d->s, d->worker_nodes[frozen], true);
        uint32_t other = (frozen + 1) % 3;
        uint32_t third = (frozen + 2) % 3;
        call_record *to_it = actor_call_actor(&d->actors[other], &d->actors[frozen], 60000);
        phi_time at = sim_now(d->s);
        expect_reply(d, other, third, 100);
        expect_reply(d, other, other + 3, 100);
        EXPECT_EQ(phi_time_diff(sim_now(d->s), at).ns, MS(8 * WAY_MS).ns);
        EXPECT_EQ(to_it->ends, 0);
        sim_run_for(d->s, SECONDS(1));
        sim_node_freeze(d->s, d->worker_nodes[frozen], false);
        sim_run_for(d->s, MS(4 * WAY_MS));
        EXPECT_ERR(to_it->status, PH_OK);
    }
    expect_rest(d);
    end(d);
}

// ---- stopping

// A center that stops says so to everybody, also to those that are on their way from one worker to
// another, or are being let in; all workers end. One that is killed leaves nothing behind. [P-61]
TEST(sim_worker, center_ends_whoever_is_on_the_way)
{
    for (unsigned ms = 5; ms < 80; ms += 2) {
        domain_options options = story_options(3, 6);
        options.mail_delay_max = MS(MAIL_MS);
        options.seed = 300 + ms;
        domain *d = domain_new(&options);
        domain_start(d);
        sim_run_for(d->s, MS(ms));
        if (ms % 4 == 1) {
            domain_center_stop(d);
            sim_run_for(d->s, SECONDS(5));
            EXPECT_EQ(d->stopped, 3);
            EXPECT_EQ(domain_count(d).connections, 0);
        }
        domain_center_kill(d);
        EXPECT(domain_center_start(d));
        expect_rest(d);
        end(d);
    }
}

// A worker that does not read its mail for a moment must cost its clients nothing but that moment:
// their buffers are empty, and requests to them would fail as if they did not read. [P-59]
SIM_TEST(worker, stands_still_and_no_request_fails)
{
    enum { CALLS = 60 };
    domain_options options = story_options(2, 2);
    options.mail_bytes_max = 65536;
    options.path.buffer_bytes = 1 << 20;
    domain *d = begin(&options);
    const actor *bob = &d->actors[BOB];
    call_record *calls[CALLS];
    sim_node_freeze(d->s, d->worker_nodes[home_of(d, BOB)], true);
    for (int i = 0; i < CALLS; i++) {
        calls[i] = actor_call(&d->actors[ALICE], bob->account, BOB, 8000, 60000, /* why= */ NULL);
        assert_non_null(calls[i]);
        sim_run_for(d->s, MS(1));
    }
    // What the sender says beyond the mailbox waits at the sender.
    EXPECT(domain_count(d).mail_delivered_total < CALLS);
    sim_node_freeze(d->s, d->worker_nodes[home_of(d, BOB)], false);
    sim_run_for(d->s, SECONDS(2));
    for (int i = 0; i < CALLS; i++) {
        EXPECT_EQ(calls[i]->status, PH_OK);
    }
    end(d);
}

// A client whose connection broke comes back at another worker before its old home has read that:
// it is let in as soon as that has, whichever of the two is the first worker, and not refused as if
// somebody else had its account. [P-37]
TEST(sim_worker, client_is_back_before_its_home_has_read_its_end)
{
    enum { BUSY_MS = 45 };
    static const struct {
        uint32_t who;
        uint32_t clients; // so many connections came before
        uint32_t home;
    } cases[] = { { ALICE, 4, 1 }, { BOB, 3, 0 }, { BOB, 5, 2 } };
    for (size_t i = 0; i < PHI_COUNT_OF(cases); i++) {
        uint32_t who = cases[i].who;
        domain_options options = story_options(3, cases[i].clients);
        options.mail_delay_max = MS(1);
        domain *d = begin(&options);
        actor *back = &d->actors[who];
        uint32_t home = home_of(d, who);
        EXPECT(home != cases[i].home);
        sim_node_freeze(d->s, d->worker_nodes[home], true);
        actor_kill(back);
        EXPECT(actor_start(back));
        sim_run_for(d->s, MS(BUSY_MS));
        sim_node_freeze(d->s, d->worker_nodes[home], false);
        EXPECT(sim_run_until(d->s, is_up, back, MS(100)));
        EXPECT_EQ(domain_count(d).joins_refused_total, 0);
        EXPECT_EQ(home_of(d, who), cases[i].home);
        expect_rest(d);
        end(d);
    }
}

// A client that is held is not read, and so its end is not, however long ago it came. It is let in
// again as soon as it is read, wherever it comes back to, and does not wait as if somebody else had
// its account. One that is not read for long is told so. [P-37]
TEST(sim_worker, client_that_was_held_when_it_died_comes_back)
{
    static const struct {
        uint32_t workers; // of the center
        uint32_t clients; // so many connections came before
        uint32_t home;    // that it comes back to
        unsigned held_ms;
    } cases[] = {
        { 2, 2, 0, 300 }, // the same
        { 3, 5, 2, 300 },
        { 3, 3, 0, 1500 },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(cases); i++) {
        bool is_long = cases[i].held_ms > 1000;
        domain_options options = story_options(cases[i].workers, cases[i].clients);
        options.mail_bytes_max = 16384;
        domain *d = begin(&options);
        actor *alice = &d->actors[ALICE];
        const session *home = domain_session(d, alice->account);
        sim_node_freeze(d->s, d->worker_nodes[1], true);
        for (int n = 0; n < 100 && !home->transport.is_held; n++) {
            EXPECT_ERR(actor_event(alice, d->actors[BOB].account, 4000), PH_OK);
            sim_run_for(d->s, MS(1));
        }
        EXPECT(home->transport.is_held);
        actor_kill(alice);
        sim_run_for(d->s, MS(4 * WAY_MS));
        EXPECT(actor_start(alice));
        sim_run_for(d->s, MS(cases[i].held_ms));
        EXPECT(!actor_is_up(alice));
        EXPECT_EQ(domain_count(d).joins_refused_total, is_long);
        sim_node_freeze(d->s, d->worker_nodes[1], false);
        EXPECT(sim_run_until(d->s, is_up, alice, is_long ? SECONDS(6) : MS(100)));
        EXPECT_EQ(domain_count(d).joins_refused_total, is_long);
        if (!is_long) {
            EXPECT_EQ(home_of(d, ALICE), cases[i].home);
        }
        expect_rest(d);
        end(d);
    }
}

// The same where there is one worker, and a rate that the client has to pay for before it is read.
TEST(sim_worker, client_that_was_paused_when_it_died_comes_back)
{
    domain_options options = story_options(1, 2);
    options.center.client_messages_per_second = 100;
    domain *d = begin(&options);
    actor *alice = &d->actors[ALICE];
    const session *home = domain_session(d, alice->account);
    for (int n = 0; n < 150; n++) {
        EXPECT_ERR(actor_event(alice, d->actors[BOB].account, 100), PH_OK);
    }
    sim_run_for(d->s, MS(2 * WAY_MS));
    EXPECT(home->transport.is_paused);
    actor_kill(alice);
    sim_run_for(d->s, MS(4 * WAY_MS));
    EXPECT(home->transport.is_paused);
    EXPECT(actor_start(alice));
    EXPECT(sim_run_until(d->s, is_up, alice, SECONDS(1)));
    EXPECT_EQ(domain_count(d).joins_refused_total, 0);
    expect_rest(d);
    end(d);
}

// A message that one worker passes on to another came once, and a request to the center is one:
// rates that are read from counters would double with the number of workers.
TEST(sim_worker, what_is_passed_on_is_counted_once)
{
    domain_options options = story_options(2, 2);
    domain *d = begin(&options);
    center_counters before = domain_count(d);
    expect_reply(d, ALICE, BOB, 100); // the reply is handled by the worker of the one who asked
    center_counters after = domain_count(d);
    EXPECT_EQ(after.messages_received_total, before.messages_received_total + 2);
    EXPECT_EQ(after.requests_total, before.requests_total + 1);
    EXPECT_EQ(after.mail_forwarded_total, before.mail_forwarded_total + 1);
    drain_ask(&d->actors[BOB], &d->actors[ALICE], true, 1000);
    sim_run_for(d->s, SECONDS(2));
    EXPECT_EQ(domain_count(d).requests_total, after.requests_total + 1);
    EXPECT_EQ(domain_count(d).messages_received_total, after.messages_received_total + 1);
    EXPECT_EQ(domain_count(d).mail_memory, 0);
    end(d);
}

// What waits for a worker that stands still takes memory that an operator wants to see.
TEST(sim_worker, unread_mail_is_shown)
{
    domain_options options = story_options(2, 2);
    domain *d = begin(&options);
    sim_node_freeze(d->s, d->worker_nodes[home_of(d, BOB)], true);
    call_record *record =
        actor_call(&d->actors[ALICE], d->actors[BOB].account, BOB, 5000, 60000, /* why= */ NULL);
    EXPECT(record != NULL);
    sim_run_for(d->s, MS(100));
    EXPECT(domain_count(d).mail_memory > 5000);
    sim_node_freeze(d->s, d->worker_nodes[1], false);
    EXPECT(sim_run_until(d->s, has_ended, record, SECONDS(1)));
    sim_run_for(d->s, MS(100));
    EXPECT_EQ(domain_count(d).mail_memory, 0);
    end(d);
}
