// SPDX-License-Identifier: Apache-2.0
//
// tests/sim/domain_sim.c - a center and its clients, production code, in stories told to the
// millisecond.
//
// One way takes 5 ms. A client that dials is up after six ways: three to connect, HELLO, JOIN,
// WELCOME. The checks of sim/check.h watch every story: what they find fails it in story_end.

#include <string.h>

#include "sim/domain.h"
#include "tests/sim/sim_test.h"

#define WAY MS(5)
#define WAYS(n) phi_ms(5u * (n))
#define IDLE_MS 10000u
#define GRACE_MS 5000u
#define ALICE 0
#define BOB 1
#define CAROL 2

static domain_options story_options(uint32_t actors)
{
    domain_options options = {
        .seed = 1,
        .path = { .delay = WAY },
        .center = center_options_default(),
        .client = PH_CLIENT_OPTIONS_INIT,
        .workers = sim_workers,
        .actor_count = actors,
        .late_max = SECONDS(1),
    };
    options.center.suite = PHI_SUITE_CHECK;
    options.center.heartbeat_idle = IDLE_MS;
    options.center.heartbeat_grace = GRACE_MS;
    options.client.heartbeat_idle_ms = 3600000; // so that the center's is seen alone
    return options;
}

// Everybody is up, 30 ms after the beginning.
static domain *story_begin_with(const domain_options *options, const char *watchers)
{
    domain *d = domain_new(options);
    for (const char *w = watchers; *w != '\0'; w++) {
        d->actors[*w - '0'].is_watching = true;
    }
    domain_start(d);
    EXPECT(sim_run_until(d->s, domain_all_up, d, SECONDS(1)));
    EXPECT_SIM_TIME(d->s, WAYS(6));
    sim_run_for(d->s, WAYS(2)); // lists have come, and what comes later comes alone
    return d;
}

static domain *story_begin(uint32_t actors, const char *watchers)
{
    domain_options options = story_options(actors);
    return story_begin_with(&options, watchers);
}

static void story_end(domain *d)
{
    char fault[sizeof d->fault];
    domain_free(&d, fault);
    EXPECT_TEXT(fault, "");
}

static bool has_ended(sim *s, void *arg)
{
    (void)s;
    return ((const call_record *)arg)->ends > 0;
}

static bool is_down(sim *s, void *arg)
{
    (void)s;
    return !actor_is_up(arg);
}

static bool is_up(sim *s, void *arg)
{
    (void)s;
    return actor_is_up(arg);
}

static uint64_t since(const domain *d, phi_time begin)
{
    return phi_dur_ms(phi_time_diff(sim_now(d->s), begin));
}

// ---- presence

// A watcher learns of a newcomer at the same moment as the newcomer itself that it is in: one way
// after its JOIN. [P-43], [P-45]
CENTER_TEST(domain, join_is_told_when_the_newcomer_is_up)
{
    domain *d = story_begin(3, "0");
    actor *alice = &d->actors[ALICE];
    actor *carol = &d->actors[CAROL];
    EXPECT_EQ(alice->known_count, 3);
    EXPECT_EQ(alice->readies, 1);
    actor_kill(carol);
    sim_run_for(d->s, SECONDS(1));
    phi_time begin = sim_now(d->s);
    EXPECT(actor_start(carol));
    EXPECT(sim_run_until(d->s, is_up, carol, SECONDS(1)));
    EXPECT_EQ(since(d, begin), 30);
    sim_run_for(d->s, MS(0));
    EXPECT_TEXT(alice->told.id, "c02@sim");
    EXPECT_EQ(alice->told.change, PH_ONLINE);
    EXPECT_EQ(phi_time_diff(alice->told.at, begin).ns, MS(30).ns);
    story_end(d);
}

// Each reason is told as what it was, two ways after it happened. [P-47]
CENTER_TEST(domain, leaving_and_dying_are_told_apart)
{
    domain *d = story_begin(3, "0");
    actor *alice = &d->actors[ALICE];
    phi_time begin = sim_now(d->s);
    actor_close(&d->actors[BOB]);
    sim_run_for(d->s, SECONDS(1));
    EXPECT_TEXT(alice->told.id, "c01@sim");
    EXPECT_EQ(alice->told.reason, PH_REASON_LEFT);
    EXPECT_EQ(phi_time_diff(alice->told.at, begin).ns, WAYS(2).ns);
    begin = sim_now(d->s);
    actor_kill(&d->actors[CAROL]);
    sim_run_for(d->s, SECONDS(1));
    EXPECT_TEXT(alice->told.id, "c02@sim");
    EXPECT_EQ(alice->told.reason, PH_REASON_CONNECTION_LOST);
    EXPECT_EQ(phi_time_diff(alice->told.at, begin).ns, WAYS(2).ns);
    EXPECT_EQ(alice->known_count, 1);
    story_end(d);
}

// A pulled cable is told when idle and grace are over, counted from the last packet: the JOIN,
// which came after five ways. [P-40]
CENTER_TEST(domain, half_open_client_is_told_after_idle_and_grace)
{
    domain *d = story_begin(2, "0");
    actor *alice = &d->actors[ALICE];
    sim_mute(d->s, d->actors[BOB].node, d->center_node);
    sim_run_for(d->s, SECONDS(20));
    EXPECT_TEXT(alice->told.id, "c01@sim");
    EXPECT_EQ(alice->told.change, PH_OFFLINE);
    EXPECT_EQ(alice->told.reason, PH_REASON_HEARTBEAT_TIMEOUT);
    EXPECT_EQ(alice->told.at.ns, WAYS(5).ns + MS(IDLE_MS + GRACE_MS).ns + WAY.ns);
    story_end(d);
}

// Who was away is told what it missed, as changes, and nothing twice. [P-43], [P-48]
CENTER_TEST(domain, watcher_resumes_with_what_it_missed)
{
    domain *d = story_begin(4, "0");
    actor *alice = &d->actors[ALICE];
    EXPECT_EQ(alice->onlines, 4);
    sim_part(d->s, alice->node, d->center_node, true);
    sim_cut(d->s, alice->node, d->center_node);
    EXPECT(sim_run_until(d->s, is_down, alice, SECONDS(1)));
    EXPECT_ERR(alice->how.err, PH_ERESET);
    actor_kill(&d->actors[BOB]);
    actor_kill(&d->actors[CAROL]);
    sim_run_for(d->s, SECONDS(1));
    EXPECT(actor_start(&d->actors[CAROL]));
    sim_run_for(d->s, SECONDS(1));
    EXPECT_EQ(alice->offlines, 0);
    sim_part(d->s, alice->node, d->center_node, false);
    EXPECT(sim_run_until(d->s, is_up, alice, SECONDS(60)));
    sim_run_for(d->s, MS(0));
    // Alice herself, Bob and Carol went; Carol came back, and Alice.
    EXPECT_EQ(alice->offlines, 3);
    EXPECT_EQ(alice->onlines, 4 + 2);
    EXPECT_EQ(alice->readies, 2);
    EXPECT_EQ(alice->known_count, 3);
    EXPECT(actor_knows(alice, "c01@sim") == NULL);
    center_counters counters = domain_count(d);
    EXPECT_EQ(counters.presence_lists_total, 1);
    EXPECT_EQ(counters.presence_resumes_total, 1);
    story_end(d);
}

// A center that starts anew has another epoch: what is known of the old one is compared with the
// new list, and only the differences are told. [P-41], [P-48]
CENTER_TEST(domain, center_that_starts_anew_is_told_as_differences)
{
    domain *d = story_begin(3, "0");
    actor *alice = &d->actors[ALICE];
    domain_center_kill(d);
    EXPECT(sim_run_until(d->s, is_down, alice, SECONDS(1)));
    EXPECT_SIM_TIME(d->s, (phi_dur){ WAYS(8).ns + WAY.ns });
    EXPECT_ERR(alice->how.err, PH_ECLOSED);
    actor_kill(&d->actors[CAROL]);
    sim_run_for(d->s, SECONDS(3));
    EXPECT(domain_center_start(d));
    EXPECT(sim_run_until(d->s, domain_all_up, d, SECONDS(60)));
    sim_run_for(d->s, SECONDS(1));
    EXPECT_EQ(alice->known_count, 2);
    EXPECT(actor_knows(alice, "c02@sim") == NULL);
    EXPECT_EQ(alice->onlines, 3 + 2);
    EXPECT_EQ(alice->offlines, 3);
    story_end(d);
}

// A list larger than a packet comes in pages, whole, and changes go on behind it. [P-44]
CENTER_TEST(domain, list_of_many_pages_is_whole)
{
    static char value[1001];
    memset(value, 'v', 1000);
    const ph_metadata metadata[] = { { "a", value }, { "b", value }, { "c", value } };
    domain_options options = story_options(30);
    options.client.metadata = metadata;
    options.client.metadata_count = PHI_COUNT_OF(metadata);
    domain *d = story_begin_with(&options, "");
    actor *alice = &d->actors[ALICE];
    actor_watch(alice, "");
    phi_time begin = sim_now(d->s);
    sim_run_for(d->s, WAYS(2));
    EXPECT_EQ(alice->readies, 0); // more than one socket buffer takes
    sim_run_for(d->s, SECONDS(1));
    EXPECT_EQ(alice->readies, 1);
    EXPECT_EQ(alice->known_count, 30);
    EXPECT(since(d, begin) > 10);
    actor_kill(&d->actors[29]);
    sim_run_for(d->s, WAYS(2));
    EXPECT_EQ(alice->known_count, 29);
    story_end(d);
}

// On a path that is slow for what it has to carry, a list takes longer than any silence may last.
// That must not end the connection: it would be asked for again, and again. Found by the swarm.
// [P-40]
CENTER_TEST(domain, list_over_a_slow_path_arrives)
{
    static char value[1001];
    memset(value, 'v', 1000);
    const ph_metadata metadata[] = { { "a", value }, { "b", value }, { "c", value } };
    domain_options options = story_options(20);
    options.client.metadata = metadata;
    options.client.metadata_count = PHI_COUNT_OF(metadata);
    options.center.heartbeat_idle = 300;
    options.center.heartbeat_grace = 300;
    domain *d = story_begin_with(&options, "");
    actor *alice = &d->actors[ALICE];
    const sim_path slow = { .delay = MS(40), .buffer_bytes = 1500 };
    sim_path_set(d->s, alice->node, d->center_node, &slow);
    sim_cut(d->s, alice->node, d->center_node);
    EXPECT(sim_run_until(d->s, is_down, alice, SECONDS(1)));
    EXPECT(sim_run_until(d->s, is_up, alice, SECONDS(60)));
    actor_watch(alice, "");
    phi_time begin = sim_now(d->s);
    sim_run_for(d->s, SECONDS(2));
    EXPECT_EQ(alice->readies, 0);
    sim_run_for(d->s, SECONDS(8));
    EXPECT_EQ(alice->readies, 1);
    EXPECT_EQ(alice->known_count, 20);
    EXPECT_EQ(alice->downs, 1); // the cut
    EXPECT(since(d, begin) == 10000);
    story_end(d);
}

// What is asked for while JOIN is on its way must be told all the same. Found by the swarm. [P-42]
CENTER_TEST(domain, watch_while_joining_is_told)
{
    domain_options options = story_options(2);
    options.center.flap_suppress = 1000000; // it is lost many times
    domain *d = story_begin_with(&options, "");
    actor *bob = &d->actors[BOB];
    actor_kill(bob);
    sim_run_for(d->s, SECONDS(1));
    for (uint64_t ways = 0; ways <= 6; ways++) {
        EXPECT(actor_start(bob));
        sim_run_for(d->s, (phi_dur){ WAY.ns * ways });
        actor_watch(bob, "");
        sim_run_for(d->s, SECONDS(1));
        EXPECT_EQ(bob->known_count, 2);
        EXPECT(bob->is_ready);
        actor_kill(bob);
        sim_run_for(d->s, SECONDS(1));
        bob->is_watching = false;
    }
    story_end(d);
}

// ---- accounts

// An account is one client's at a time; who comes second is told so, and when to try again. [P-37]
CENTER_TEST(domain, second_of_an_account_is_refused)
{
    domain_options options = story_options(2);
    domain *d = domain_new(&options);
    actor *first = &d->actors[ALICE];
    actor *second = &d->actors[BOB];
    memcpy(second->account, first->account, sizeof second->account);
    memcpy(second->id, first->id, sizeof second->id);
    EXPECT(domain_center_start(d));
    EXPECT(actor_start(first));
    EXPECT(sim_run_until(d->s, is_up, first, SECONDS(1)));
    EXPECT(actor_start(second));
    sim_run_for(d->s, WAYS(6));
    EXPECT_EQ(second->downs, 1);
    EXPECT_ERR(second->how.err, PH_EREFUSED);
    EXPECT_TEXT(second->how_bye, "account_taken");
    EXPECT(second->how.retry_in_ms >= GRACE_MS);
    sim_run_for(d->s, SECONDS(30));
    EXPECT(actor_is_up(first));
    EXPECT_EQ(second->ups, 0);
    story_end(d);
}

// A client whose old connection is half-open gets its account back after one grace, not after a
// whole idle time: the center asks the old link at once. [P-37]
CENTER_TEST(domain, dead_first_makes_room_for_its_successor)
{
    domain *d = story_begin(1, "");
    actor *alice = &d->actors[ALICE];
    sim_mute(d->s, alice->node, d->center_node);
    actor_kill(alice);
    phi_time begin = sim_now(d->s);
    EXPECT(actor_start(alice));
    EXPECT(sim_run_until(d->s, is_up, alice, SECONDS(60)));
    // Refused after 30 ms, told to come back in 5.501 s, at most 100 ms of jitter behind that.
    EXPECT(since(d, begin) >= 30 + 5501 + 30);
    EXPECT(since(d, begin) <= 30 + 5501 + 100 + 30);
    EXPECT_EQ(domain_count(d).joins_refused_total, 1);
    story_end(d);
}

// ---- calls

// Four ways, in every suite: each more would be felt in every call.
CENTER_TEST(domain, call_takes_four_ways_in_every_suite)
{
    for (int suite = 0; suite < PHI_SUITE_COUNT; suite++) {
        domain_options options = story_options(2);
        options.center.suite = (phi_suite)suite;
        domain *d = story_begin_with(&options, "");
        phi_time begin = sim_now(d->s);
        call_record *call = actor_call_actor(&d->actors[ALICE], &d->actors[BOB], 1000);
        EXPECT(sim_run_until(d->s, has_ended, call, SECONDS(1)));
        EXPECT_EQ(since(d, begin), 20);
        EXPECT_ERR(call->status, PH_OK);
        story_end(d);
    }
}

// Nobody of that name: the center says so itself, after two ways. [P-58]
CENTER_TEST(domain, call_to_nobody_fails_after_two_ways)
{
    domain *d = story_begin(1, "");
    phi_time begin = sim_now(d->s);
    call_record *call = actor_call(&d->actors[ALICE], "nobody", NOBODY, 8, 1000, NULL);
    EXPECT(sim_run_until(d->s, has_ended, call, SECONDS(1)));
    EXPECT_EQ(since(d, begin), 10);
    EXPECT_ERR(call->status, PH_EFAILURE);
    EXPECT_EQ(call->code, PH_FAILURE_NO_SUCH_ACCOUNT);
    story_end(d);
}

// The whole point of a center between two services: a responder that dies in the middle of calls
// fails all of them at once, one way for the center to learn it and one to tell. [P-57]
CENTER_TEST(domain, killed_responder_fails_its_calls_after_two_ways)
{
    domain *d = story_begin(3, "");
    d->actors[BOB].manner = MANNER_HOLD;
    call_record *calls[20];
    for (size_t i = 0; i < PHI_COUNT_OF(calls); i++) {
        actor *caller = &d->actors[i % 2 == 0 ? ALICE : CAROL];
        calls[i] = actor_call_actor(caller, &d->actors[BOB], 60000);
    }
    sim_run_for(d->s, SECONDS(1));
    EXPECT_EQ(d->calls_open, 20);
    phi_time begin = sim_now(d->s);
    actor_kill(&d->actors[BOB]);
    sim_run_for(d->s, WAYS(2));
    EXPECT_EQ(d->calls_open, 0);
    for (size_t i = 0; i < PHI_COUNT_OF(calls); i++) {
        EXPECT_ERR(calls[i]->status, PH_EFAILURE);
        EXPECT_EQ(calls[i]->code, PH_FAILURE_RESPONDER_LOST);
        EXPECT_EQ(phi_time_diff(calls[i]->ended, begin).ns, WAYS(2).ns);
    }
    EXPECT_EQ(domain_count(d).calls_lost_total, 20);
    story_end(d);
}

// A responder that says nothing costs its caller the deadline, not a moment more; it is told that
// nobody waits any longer, and what it says then reaches nobody. [P-56], [P-57]
CENTER_TEST(domain, deadline_ends_the_call_and_a_late_reply_is_dropped)
{
    domain *d = story_begin(2, "");
    actor *bob = &d->actors[BOB];
    bob->manner = MANNER_HOLD;
    bob->index = 1; // an odd one answers although it was told
    phi_time begin = sim_now(d->s);
    call_record *call = actor_call_actor(&d->actors[ALICE], bob, 500);
    EXPECT(sim_run_until(d->s, has_ended, call, SECONDS(1)));
    EXPECT_EQ(since(d, begin), 500);
    EXPECT_ERR(call->status, PH_ETIMEDOUT);
    EXPECT_EQ(call->code, PH_FAILURE_DEADLINE);
    sim_run_for(d->s, WAYS(2));
    EXPECT_EQ(bob->cancels, 1);
    EXPECT_ERR(actor_reply(bob, actor_held(bob)), PH_OK);
    sim_run_for(d->s, SECONDS(1));
    center_counters counters = domain_count(d);
    EXPECT_EQ(counters.replies_stray_total, 1);
    EXPECT_EQ(counters.calls_expired_total, 1);
    EXPECT_EQ(counters.calls_replied_total, 0);
    story_end(d);
}

// A caller that cancels is answered in its next turn, and its responder hears of it. [P-57]
CENTER_TEST(domain, cancel_ends_here_at_once_and_is_heard_after_two_ways)
{
    domain *d = story_begin(2, "");
    actor *bob = &d->actors[BOB];
    bob->manner = MANNER_HOLD;
    call_record *call = actor_call_actor(&d->actors[ALICE], bob, 60000);
    sim_run_for(d->s, SECONDS(1));
    EXPECT_ERR(ph_client_cancel(d->actors[ALICE].client, call->id), PH_OK);
    EXPECT_EQ(call->ends, 0); // never from inside
    sim_run_for(d->s, MS(0));
    EXPECT_EQ(call->ends, 1);
    EXPECT_ERR(call->status, PH_ECANCELLED);
    EXPECT_EQ(bob->cancels, 0);
    sim_run_for(d->s, WAYS(2));
    EXPECT_EQ(bob->cancels, 1);
    EXPECT_EQ(domain_count(d).calls_cancelled_total, 1);
    story_end(d);
}

// When the caller dies, its responders hear that nobody waits. [P-57]
CENTER_TEST(domain, killed_caller_cancels_its_calls)
{
    domain *d = story_begin(2, "");
    d->actors[BOB].manner = MANNER_HOLD;
    (void)actor_call_actor(&d->actors[ALICE], &d->actors[BOB], 60000);
    sim_run_for(d->s, SECONDS(1));
    actor_kill(&d->actors[ALICE]);
    EXPECT_EQ(d->calls_open, 0); // ended before ph_client_free returned
    sim_run_for(d->s, WAYS(2));
    EXPECT_EQ(d->actors[BOB].cancels, 1);
    EXPECT_EQ(domain_count(d).calls_abandoned_total, 1);
    story_end(d);
}

// A connection that breaks ends every call over it, once, as what it is; an answer that was meant
// for the old connection is refused, not sent over the new one.
CENTER_TEST(domain, lost_connection_ends_calls_and_makes_requests_stale)
{
    domain *d = story_begin(2, "");
    actor *alice = &d->actors[ALICE];
    actor *bob = &d->actors[BOB];
    bob->manner = MANNER_HOLD;
    call_record *call = actor_call_actor(alice, bob, 60000);
    sim_run_for(d->s, SECONDS(1));
    sim_cut(d->s, bob->node, d->center_node);
    EXPECT(sim_run_until(d->s, has_ended, call, SECONDS(1)));
    EXPECT_EQ(call->code, PH_FAILURE_RESPONDER_LOST);
    EXPECT(sim_run_until(d->s, is_up, bob, SECONDS(60)));
    EXPECT_ERR(actor_reply(bob, actor_held(bob)), PH_ESTALE);

    bob->manner = MANNER_HOLD;
    call = actor_call_actor(alice, bob, 60000);
    sim_run_for(d->s, SECONDS(1));
    sim_cut(d->s, alice->node, d->center_node);
    EXPECT(sim_run_until(d->s, has_ended, call, SECONDS(1)));
    EXPECT_ERR(call->status, PH_ERESET);
    story_end(d);
}

// ---- backpressure and order

// A client that does not read must cost nobody else anything. [P-59]
CENTER_TEST(domain, slow_consumer_slows_nobody_else)
{
    domain *d = story_begin(4, "");
    actor *alice = &d->actors[ALICE];
    actor *bob = &d->actors[BOB];
    sim_node_reading(d->s, bob->node, false);
    // One second of flood: far more than Bob's buffers take.
    for (int i = 0; i < 200; i++) {
        for (int j = 0; j < 4; j++) {
            EXPECT_ERR(actor_event(alice, bob->account, 4000), PH_OK);
        }
        sim_run_for(d->s, MS(5));
    }
    phi_time begin = sim_now(d->s);
    call_record *other = actor_call_actor(&d->actors[CAROL], &d->actors[3], 1000);
    EXPECT(sim_run_until(d->s, has_ended, other, SECONDS(1)));
    EXPECT_EQ(since(d, begin), 20);
    EXPECT_ERR(other->status, PH_OK);
    call_record *call = actor_call(alice, bob->account, BOB, 5000, 60000, NULL);
    EXPECT(sim_run_until(d->s, has_ended, call, SECONDS(1)));
    EXPECT_ERR(call->status, PH_EFAILURE);
    EXPECT_EQ(call->code, PH_FAILURE_SLOW_CONSUMER);
    EXPECT(domain_count(d).events_dropped_total > 0);
    sim_run_for(d->s, SECONDS(15));
    EXPECT_EQ(domain_count(d).links_ended_total[PHI_BYE_SLOW_CONSUMER], 1);
    EXPECT_EQ(domain_count(d).sessions, 3);
    sim_node_reading(d->s, bob->node, true);
    EXPECT(sim_run_until(d->s, domain_is_settled, d, SECONDS(60)));
    story_end(d);
}

// [P-52]
CENTER_TEST(domain, broadcast_reaches_everybody_else_after_two_ways)
{
    domain *d = story_begin(10, "");
    EXPECT_ERR(actor_event(&d->actors[ALICE], "all:", 100), PH_OK);
    sim_run_for(d->s, WAYS(2));
    EXPECT_EQ(d->actors[ALICE].events, 0);
    for (uint32_t i = 1; i < 10; i++) {
        EXPECT_EQ(d->actors[i].events, 1);
    }
    story_end(d);
}

// However the bytes are cut and delayed, what one client sends another arrives in order: here
// calls, which are answered in the order in which they arrive. [P-55]
CENTER_TEST(domain, calls_arrive_in_the_order_in_which_they_were_sent)
{
    domain *d = story_begin(2, "");
    const sim_path rough = {
        .delay = WAY, .jitter = MS(20), .buffer_bytes = 2000, .read_max = 100, .is_ragged = true
    };
    sim_path_set(d->s, d->actors[ALICE].node, d->center_node, &rough);
    sim_path_set(d->s, d->actors[BOB].node, d->center_node, &rough);
    call_record *calls[200];
    for (size_t i = 0; i < PHI_COUNT_OF(calls); i++) {
        calls[i] = actor_call_actor(&d->actors[ALICE], &d->actors[BOB], 60000);
    }
    sim_run_for(d->s, SECONDS(60));
    for (size_t i = 0; i < PHI_COUNT_OF(calls); i++) {
        EXPECT_ERR(calls[i]->status, PH_OK);
        EXPECT(i == 0 || calls[i - 1]->ended.ns <= calls[i]->ended.ns);
    }
    story_end(d);
}

// ---- coming back

// A center that stops in order says so to everybody, waits until the byes are out, and its clients
// come back as soon as it is there again. [P-61]
CENTER_TEST(domain, stopped_center_says_going_away_and_clients_come_back)
{
    domain *d = story_begin(5, "012");
    domain_center_stop(d);
    sim_run_for(d->s, WAY);
    for (uint32_t i = 0; i < 5; i++) {
        EXPECT(!actor_is_up(&d->actors[i]));
        EXPECT_TEXT(d->actors[i].how_bye, "going_away");
    }
    sim_run_for(d->s, SECONDS(1));
    EXPECT_EQ(domain_count(d).connections, 0);
    domain_center_kill(d);
    EXPECT(domain_center_start(d));
    EXPECT(sim_run_until(d->s, domain_is_settled, d, SECONDS(60)));
    story_end(d);
}

// While nobody listens, attempts become rarer, up to the bound; and there is one soon after.
CENTER_TEST(domain, redialling_backs_off_up_to_its_bound)
{
    domain_options options = story_options(1);
    options.client.backoff_min_ms = 100;
    options.client.backoff_max_ms = 2000;
    domain *d = story_begin_with(&options, "");
    actor *alice = &d->actors[ALICE];
    domain_center_kill(d);
    sim_run_for(d->s, SECONDS(100));
    // Waits are drawn evenly from 0 to the bound: about 100 in 100 s, and never 200.
    EXPECT(alice->downs > 50);
    EXPECT(alice->downs < 200);
    EXPECT(alice->how.retry_in_ms <= 2000);
    EXPECT(domain_center_start(d));
    phi_time begin = sim_now(d->s);
    EXPECT(sim_run_until(d->s, is_up, alice, SECONDS(60)));
    EXPECT(since(d, begin) <= 2000 + 10 + 30);
    story_end(d);
}

// ---- fairness

// A flood of broadcasts, each more than a turn of the center holds, must cost nobody else anything:
// a call made in the middle of it takes four ways as ever. The flood arrives whole and in order,
// and the bye that stood behind it is heard as a bye. [P-55]
CENTER_TEST(domain, flood_of_broadcasts_is_cut_into_turns)
{
    domain_options options = story_options(8);
    options.center.deliveries_per_turn_max = 3;
    domain *d = story_begin_with(&options, "0");
    actor *alice = &d->actors[ALICE];
    actor *bob = &d->actors[BOB];
    actor *carol = &d->actors[CAROL];
    for (int i = 0; i < 200; i++) {
        EXPECT_ERR(actor_event(bob, "all:", 100), PH_OK);
    }
    actor_close(bob);
    phi_time begin = sim_now(d->s);
    sim_run_for(d->s, MS(1));
    call_record *call = actor_call_actor(carol, &d->actors[3], 1000);
    EXPECT(sim_run_until(d->s, has_ended, call, SECONDS(1)));
    EXPECT_ERR(call->status, PH_OK);
    EXPECT_EQ(since(d, begin), 1 + 20);
    sim_run_for(d->s, SECONDS(10));
    for (uint32_t i = 0; i < d->actor_count; i++) {
        EXPECT_EQ(d->actors[i].events, i == BOB ? 0 : 200);
    }
    EXPECT_TEXT(alice->told.id, "c01@sim");
    EXPECT_EQ(alice->told.reason, PH_REASON_LEFT);
    center_counters n = domain_count(d);
    EXPECT(n.broadcasts_held_total >= 200);
    EXPECT_EQ(n.events_dropped_total, 0);
    story_end(d);
}

// A sender that dies in the middle of its flood must be found dead in its time, and what it had
// sent must not keep anything. [P-40]
CENTER_TEST(domain, flooder_that_dies_is_noticed)
{
    domain_options options = story_options(8);
    options.center.deliveries_per_turn_max = 1;
    domain *d = story_begin_with(&options, "0");
    actor *bob = &d->actors[BOB];
    for (int i = 0; i < 200; i++) {
        EXPECT_ERR(actor_event(bob, "all:", 100), PH_OK);
    }
    sim_run_for(d->s, MS(1));
    actor_kill(bob);
    sim_run_for(d->s, SECONDS(20));
    EXPECT_TEXT(d->actors[ALICE].told.id, "c01@sim");
    EXPECT_EQ(d->actors[ALICE].told.change, PH_OFFLINE);
    EXPECT_EQ(domain_count(d).sessions, 7);
    story_end(d);
}
