// SPDX-License-Identifier: Apache-2.0
//
// tests/sim/presence_sim.c - those of whom the center is not sure, told to the millisecond:
// production center, production clients. [P-49], [P-69]
//
// One way takes 5 ms. The first actor watches; the others are instances of "work". A client that
// starts is up after six ways, and its JOIN is at the center one way before.

#include <stdio.h>

#include "policy/damping.h"
#include "sim/domain.h"
#include "tests/sim/sim_test.h"

#define WAY_MS 5u
#define JOINED_MS (5u * WAY_MS)
#define SUSPECT_MS (JOINED_MS + 10000u + 2500u)
#define LOST_MS (JOINED_MS + 10000u + 5000u)
#define WATCHER 0

static domain_options story_options(uint32_t actors)
{
    domain_options options = {
        .seed = 3,
        .path = { .delay = MS(WAY_MS) },
        .center = center_options_default(),
        .client = PH_CLIENT_OPTIONS_INIT,
        .workers = sim_workers,
        .actor_count = actors,
        .late_max = SECONDS(1),
    };
    options.client.heartbeat_idle_ms = 3600000; // so that the center's is seen alone
    return options;
}

// Everybody is up, 30 ms after the beginning; the watcher knows everybody.
static domain *story_begin(const domain_options *options)
{
    domain *d = domain_new(options);
    for (uint32_t i = 0; i < d->actor_count; i++) {
        snprintf(d->actors[i].service, sizeof d->actors[i].service, "%s",
                 i == WATCHER ? "desk" : "work");
    }
    d->actors[WATCHER].is_watching = true;
    domain_start(d);
    EXPECT(sim_run_until(d->s, domain_all_up, d, SECONDS(1)));
    EXPECT_SIM_TIME(d->s, MS(6 * WAY_MS));
    sim_run_for(d->s, MS(2 * WAY_MS));
    EXPECT_EQ(d->actors[WATCHER].known_count, d->actor_count);
    return d;
}

static void story_end(domain *d)
{
    char fault[sizeof d->fault];
    domain_free(&d, fault);
    EXPECT_TEXT(fault, "");
}

static uint64_t now_ms(const domain *d)
{
    return phi_dur_ms(phi_time_diff(sim_now(d->s), (phi_time){ 0 }));
}

static void run_to(domain *d, uint64_t ms)
{
    sim_run_for(d->s, phi_ms(ms - now_ms(d)));
}

static ph_state state_of(const actor *watcher, const actor *of)
{
    const known_peer *known = actor_knows(watcher, of->id);
    return known == NULL ? PH_STATE_DOWN : known->state;
}

// A cable is cut: watchers must be warned half a grace before they are told that somebody is gone,
// each to the millisecond. [P-40] [P-49]
CENTER_TEST(presence, silent_one_is_suspect_before_it_is_offline)
{
    domain_options options = story_options(3);
    domain *d = story_begin(&options);
    actor *watcher = &d->actors[WATCHER];
    actor *silent = &d->actors[1];
    sim_mute(d->s, silent->node, d->center_node);
    run_to(d, SUSPECT_MS + WAY_MS - 1);
    EXPECT_EQ(state_of(watcher, silent), PH_STATE_READY);
    run_to(d, SUSPECT_MS + WAY_MS);
    EXPECT_EQ(state_of(watcher, silent), PH_STATE_SUSPECT);
    EXPECT_EQ(watcher->told.change, PH_CHANGED);
    EXPECT_EQ(domain_count(d).suspects, 1);
    run_to(d, LOST_MS + WAY_MS - 1);
    EXPECT_EQ(state_of(watcher, silent), PH_STATE_SUSPECT);
    run_to(d, LOST_MS + WAY_MS);
    EXPECT_EQ(watcher->told.change, PH_OFFLINE);
    EXPECT_EQ(watcher->told.reason, PH_REASON_HEARTBEAT_TIMEOUT);
    EXPECT_TEXT(watcher->told.id, silent->id);
    EXPECT_EQ(domain_count(d).suspects, 0);
    story_end(d);
}

// A false alarm must be taken back with the first sign of life, and service:NAME must not choose
// who is suspect meanwhile. [P-49] [P-64]
CENTER_TEST(presence, suspect_that_is_heard_is_ready_again)
{
    domain_options options = story_options(3);
    domain *d = story_begin(&options);
    actor *watcher = &d->actors[WATCHER];
    actor *late = &d->actors[1];
    run_to(d, 1000);
    sim_hold(d->s, late->node, d->center_node, phi_ms(12000)); // until 13,000
    run_to(d, SUSPECT_MS + WAY_MS);
    EXPECT_EQ(state_of(watcher, late), PH_STATE_SUSPECT);
    for (int i = 0; i < 20; i++) {
        call_record *to_one = actor_call(watcher, "service:work", NOBODY, 8, 1000, /* why= */ NULL);
        sim_run_for(d->s, MS(4 * WAY_MS));
        EXPECT_EQ(to_one->ends, 1);
        EXPECT_ERR(to_one->status, PH_OK);
    }
    EXPECT_EQ(late->requests, 0);
    run_to(d, 13000 + 2 * WAY_MS - 1); // the ask comes through, its answer is on its way
    EXPECT_EQ(state_of(watcher, late), PH_STATE_SUSPECT);
    sim_run_for(d->s, MS(2 * WAY_MS));
    EXPECT_EQ(state_of(watcher, late), PH_STATE_READY);
    EXPECT_EQ(watcher->offlines, 0);
    EXPECT_EQ(late->downs, 0);
    story_end(d);
}

// When most of a service goes at once, what goes after that must stay on the list, as suspect, for
// the hold, to the millisecond; and what is sent to it must fail for the right reason. [P-49]
// [P-58]
CENTER_TEST(presence, mass_loss_is_not_believed_for_a_while)
{
    domain_options options = story_options(7);
    domain *d = story_begin(&options);
    actor *watcher = &d->actors[WATCHER];
    run_to(d, 1000);
    for (uint32_t i = 1; i <= 6; i++) {
        actor_kill(&d->actors[i]);
    }
    run_to(d, 1000 + 2 * WAY_MS); // their ends arrive, and are told
    // Three of six are not most of them; the fourth is one too many.
    EXPECT_EQ(watcher->offlines, 3);
    EXPECT_EQ(watcher->known_count, 4);
    const actor *ghost = NULL; // whose end came among the last
    const actor *lost = NULL;
    for (uint32_t i = 1; i <= 6; i++) {
        const actor *a = &d->actors[i];
        if (actor_knows(watcher, a->id) == NULL) {
            lost = a;
        } else {
            EXPECT_EQ(state_of(watcher, a), PH_STATE_SUSPECT);
            ghost = a;
        }
    }
    center_counters n = domain_count(d);
    EXPECT_EQ(n.ghosts, 3);
    EXPECT_EQ(n.guard_trips_total, 1);
    EXPECT_EQ(n.sessions, 1);
    call_record *to_one = actor_call_actor(watcher, ghost, 1000);
    call_record *any = actor_call(watcher, "service:work", NOBODY, 8, 1000, /* why= */ NULL);
    call_record *gone = actor_call_actor(watcher, lost, 1000);
    sim_run_for(d->s, MS(2 * WAY_MS));
    EXPECT_EQ(to_one->code, PH_FAILURE_OFFLINE);
    EXPECT_EQ(any->code, PH_FAILURE_NO_READY_INSTANCE);
    EXPECT_EQ(gone->code, PH_FAILURE_NO_SUCH_ACCOUNT);
    run_to(d, 1000 + WAY_MS + 30000 + WAY_MS - 1);
    EXPECT_EQ(watcher->known_count, 4);
    sim_run_for(d->s, MS(1));
    EXPECT_EQ(watcher->known_count, 1);
    EXPECT_EQ(watcher->offlines, 6);
    EXPECT_EQ(watcher->told.reason, PH_REASON_CONNECTION_LOST);
    EXPECT_EQ(domain_count(d).ghosts, 0);
    story_end(d);
}

// A ghost's client that is back must be let in at once, and its line replaced, not doubled. [P-49]
CENTER_TEST(presence, ghost_is_replaced_by_its_client)
{
    domain_options options = story_options(7);
    domain *d = story_begin(&options);
    actor *watcher = &d->actors[WATCHER];
    run_to(d, 1000);
    for (uint32_t i = 1; i <= 6; i++) {
        actor_kill(&d->actors[i]);
    }
    run_to(d, 2000);
    actor *back = &d->actors[5];
    uint64_t earlier = actor_knows(watcher, back->id)->session;
    uint64_t changes = domain_count(d).presence_changes_total;
    EXPECT(actor_start(back));
    run_to(d, 2000 + JOINED_MS + WAY_MS);
    EXPECT(actor_is_up(back));
    EXPECT_EQ(state_of(watcher, back), PH_STATE_READY);
    EXPECT(actor_knows(watcher, back->id)->session > earlier);
    EXPECT_EQ(domain_count(d).ghosts, 2);
    EXPECT_EQ(domain_count(d).presence_changes_total, changes + 2);
    call_record *to_one = actor_call_actor(watcher, back, 1000);
    sim_run_for(d->s, MS(4 * WAY_MS));
    EXPECT_ERR(to_one->status, PH_OK);
    run_to(d, 40000); // the hold of the others is over
    EXPECT_EQ(watcher->known_count, 2);
    EXPECT_EQ(state_of(watcher, back), PH_STATE_READY);
    story_end(d);
}

// Who restarts in a circle must not make everybody's list flicker: it is in, and can be called, but
// not shown before it is calm, to the millisecond. [P-49]
CENTER_TEST(presence, flapping_one_is_listed_when_it_is_calm)
{
    domain_options options = story_options(3);
    domain *d = story_begin(&options);
    actor *watcher = &d->actors[WATCHER];
    actor *flapping = &d->actors[1];
    const phi_damping_rule rule = { 4000, 1500, phi_seconds(15), phi_seconds(60) };
    phi_damping damping = { .penalty = 0 };
    for (int losses = 1; losses <= 5; losses++) {
        actor_kill(flapping);
        phi_damping_lost(&damping, &rule, phi_time_add(sim_now(d->s), MS(WAY_MS)));
        sim_run_for(d->s, MS(100));
        EXPECT(actor_knows(watcher, flapping->id) == NULL);
        EXPECT(actor_start(flapping));
        sim_run_for(d->s, MS(100));
        EXPECT(actor_is_up(flapping));
        EXPECT_EQ(actor_knows(watcher, flapping->id) != NULL, losses < 5);
    }
    EXPECT_EQ(domain_count(d).damped, 1);
    unsigned onlines = watcher->onlines;
    uint64_t calm_ms = phi_dur_ms(phi_time_diff(phi_damping_calm(&damping, &rule, sim_now(d->s)),
                                                (phi_time){ 0 })) +
                       1; // the next tick
    EXPECT(calm_ms > now_ms(d) + 20000);
    EXPECT(calm_ms < now_ms(d) + 27000);
    call_record *to_one = actor_call_actor(watcher, flapping, 1000);
    sim_run_for(d->s, MS(4 * WAY_MS));
    EXPECT_ERR(to_one->status, PH_OK); // by its name; nobody else is told of it
    run_to(d, calm_ms + WAY_MS - 1);
    EXPECT_EQ(watcher->onlines, onlines);
    run_to(d, calm_ms + WAY_MS);
    EXPECT_EQ(watcher->onlines, onlines + 1);
    EXPECT_EQ(state_of(watcher, flapping), PH_STATE_READY);
    EXPECT_EQ(domain_count(d).damped, 0);
    story_end(d);
}

// What the reply to `drain` said, and when it came.
typedef struct drained {
    domain *d;
    uint64_t at_ms; // 0: not yet
    uint8_t is_done;
    uint32_t watchers;
    uint32_t calls;
    uint32_t named; // of the watchers, as bits: by the actor's number
    uint32_t names;
} drained;

static void on_drained(ph_client *client, ph_call_id id, ph_err status, uint16_t code,
                       const ph_incoming *reply, void *arg)
{
    (void)client;
    (void)id;
    drained *r = arg;
    EXPECT_ERR(status, PH_OK);
    EXPECT_EQ(code, 0);
    r->at_ms = now_ms(r->d);
    phi_reader body = phi_reader_of(phi_bytes_of(reply->body.data, reply->body.size));
    r->is_done = phi_read_u8(&body);
    (void)phi_read_u64(&body);
    r->watchers = phi_read_u32(&body);
    r->calls = phi_read_u32(&body);
    r->names = phi_read_u16(&body);
    for (uint32_t i = 0; i < r->names; i++) {
        phi_bytes name = phi_read_str8(&body);
        for (uint32_t k = 0; k < r->d->actor_count; k++) {
            bool is_it = phi_text_equal(name, phi_bytes_text(r->d->actors[k].id));
            r->named |= is_it ? UINT32_C(1) << k : 0;
        }
    }
    EXPECT(!body.failed);
    EXPECT_EQ(phi_reader_left(&body), 0);
}

static bool has_drained(sim *s, void *arg)
{
    (void)s;
    const drained *r = arg;
    return r->at_ms != 0;
}

static void drain(actor *by, const actor *target, uint32_t patience_ms, drained *out)
{
    uint8_t body[64];
    phi_writer w = phi_writer_of((phi_span){ body, sizeof body });
    phi_write_u8(&w, 1);
    phi_write_u32(&w, patience_ms);
    phi_write_str8(&w, phi_bytes_text(target->account));
    ph_outgoing request = PH_OUTGOING_INIT;
    request.to = "@";
    request.method = "drain";
    request.body = body;
    request.body_size = phi_writer_size(&w);
    request.timeout_ms = patience_ms + 1000;
    *out = (drained){ .d = by->domain };
    EXPECT_ERR(ph_client_request(by->client, &request, NULL, on_drained, out), PH_OK);
}

// The operator's reply must come when the slowest watcher has acknowledged: there, to it, back, and
// here. [P-69]
CENTER_TEST(presence, drain_takes_as_long_as_the_slowest_watcher)
{
    domain_options options = story_options(4);
    domain *d = story_begin(&options);
    actor *watcher = &d->actors[WATCHER];
    actor *slow = &d->actors[2];
    const sim_path path = { .delay = MS(40) };
    sim_path_set(d->s, slow->node, d->center_node, &path);
    sim_cut(d->s, slow->node, d->center_node);
    run_to(d, 5000);
    EXPECT(actor_is_up(slow));
    actor_watch(slow, "");
    run_to(d, 6000);
    drained r;
    drain(&d->actors[3], &d->actors[1], 10000, &r);
    run_to(d, 6000 + 2 * WAY_MS);
    EXPECT_EQ(state_of(watcher, &d->actors[1]), PH_STATE_DRAINING);
    run_to(d, 7000);
    EXPECT_EQ(r.at_ms, 6000 + WAY_MS + 40 + 40 + WAY_MS);
    EXPECT_EQ(r.is_done, 1);
    EXPECT_EQ(r.watchers, 0);
    story_end(d);
}

// A watcher that is cut off does not answer: patience ends to the millisecond. [P-69]
CENTER_TEST(presence, drain_ends_with_its_patience)
{
    domain_options options = story_options(4);
    domain *d = story_begin(&options);
    run_to(d, 6000);
    sim_mute(d->s, d->actors[WATCHER].node, d->center_node);
    drained r;
    drain(&d->actors[3], &d->actors[1], 700, &r);
    run_to(d, 8000);
    EXPECT_EQ(r.at_ms, 6000 + WAY_MS + 700 + WAY_MS);
    EXPECT_EQ(r.is_done, 0);
    EXPECT_EQ(r.watchers, 1);
    story_end(d);
}

// An operator has to learn who does not answer, whichever worker has it; if that one stands still,
// too, he is not kept waiting for it. [P-69]
CENTER_TEST(presence, drain_names_who_did_not_acknowledge)
{
    domain_options options = story_options(8);
    domain *d = story_begin(&options);
    uint32_t mute = 0;
    for (uint32_t i = 2; i < 7; i++) {
        actor_watch(&d->actors[i], "");
    }
    run_to(d, 6000);
    for (uint32_t i = 3; i < 7; i++) {
        sim_mute(d->s, d->actors[i].node, d->center_node);
        mute |= UINT32_C(1) << i;
    }
    drained r;
    drain(&d->actors[7], &d->actors[1], 700, &r);
    run_to(d, 8000);
    EXPECT_EQ(r.at_ms, 6000 + WAY_MS + 700 + WAY_MS);
    EXPECT_EQ(r.is_done, 0);
    EXPECT_EQ(r.watchers, 4);
    EXPECT_EQ(r.names, 4);
    EXPECT_EQ(r.named, mute);

    // No patience at all: nobody has had the time to acknowledge.
    drain(&d->actors[7], &d->actors[2], 0, &r);
    run_to(d, 8500);
    EXPECT_EQ(r.at_ms, 8000 + 2 * WAY_MS);
    EXPECT_EQ(r.is_done, 0);
    EXPECT_EQ(r.watchers, r.names);
    EXPECT_EQ(r.named & mute, mute);
    story_end(d);
}

// Other rules must not make a drain pass over a watcher that has no room to be told of them, be it
// asked for before they came or behind: that one shows the account as it was, and would call it.
// [P-69] [P-80]
CENTER_TEST(presence, drain_waits_for_those_without_room_as_rules_change)
{
    static const char *const rules[] = { "* may register *", "* may register service:*",
                                         "* may see *", "* may drain *", NULL };
    for (int is_drained_first = 0; is_drained_first < 2; is_drained_first++) {
        domain_options options = story_options(5);
        options.center.send_buffer_max = 131072;
        domain *d = story_begin(&options);
        actor *held = &d->actors[WATCHER];
        actor *target = &d->actors[1];
        run_to(d, 6000);
        sim_hold(d->s, held->node, d->center_node, phi_ms(1000)); // until 7,000
        while (domain_count(d).events_dropped_total == 0) {
            (void)actor_event(&d->actors[2], held->account, 4096);
            sim_run_for(d->s, MS(1));
        }
        actor_close(&d->actors[4]); // that is what there is no room for, when rules come first
        run_to(d, 6500);
        drained r;
        if (is_drained_first) {
            drain(&d->actors[3], target, 10000, &r);
            run_to(d, 6600);
            domain_secure(d, rules);
        } else {
            domain_secure(d, rules);
            drain(&d->actors[3], target, 10000, &r);
        }
        run_to(d, 7000);
        EXPECT_EQ(r.at_ms, 0);
        EXPECT(sim_run_until(d->s, has_drained, &r, SECONDS(1)));
        EXPECT_EQ(r.is_done, 1);
        EXPECT_EQ(state_of(held, target), PH_STATE_DRAINING);
        story_end(d);
    }
}

// The same with a worker that stands still: its watchers are missing, the others are named.
SIM_TEST(presence, drain_does_not_wait_for_a_worker_that_stands_still)
{
    domain_options options = story_options(8);
    options.workers = 2;
    domain *d = story_begin(&options);
    for (uint32_t i = 2; i < 7; i++) {
        actor_watch(&d->actors[i], "");
    }
    run_to(d, 6000);
    for (uint32_t i = 3; i < 7; i++) {
        sim_mute(d->s, d->actors[i].node, d->center_node);
    }
    drained r;
    drain(&d->actors[2], &d->actors[0], 700, &r);
    run_to(d, 6500);
    sim_node_freeze(d->s, d->worker_nodes[1], true);
    run_to(d, 7500);
    EXPECT_EQ(r.at_ms, 6000 + WAY_MS + 700 + 100 + WAY_MS);
    EXPECT_EQ(r.is_done, 0);
    EXPECT_EQ(r.watchers, 4);
    EXPECT_EQ(r.names, 2);
    EXPECT_EQ(r.named, 1u << 4 | 1u << 6);
    sim_node_freeze(d->s, d->worker_nodes[1], false);
    story_end(d);
}

// Who asks may take the instance down when its calls are over, though a watcher does not answer: at
// the end of the patience those that were open in between must not be told, wherever they were.
// [P-69]
CENTER_TEST(presence, drain_tells_no_calls_that_are_over)
{
    domain_options options = story_options(4);
    domain *d = story_begin(&options);
    actor *caller = &d->actors[1]; // at another worker than the first, if there is one
    actor *target = &d->actors[2];
    actor_watch(caller, "");
    run_to(d, 6000);
    target->manner = MANNER_WORK;
    target->work = phi_ms(300);
    const call_record *call = actor_call_actor(caller, target, 5000);
    run_to(d, 6100);
    sim_mute(d->s, caller->node, d->center_node);
    drained r;
    drain(&d->actors[3], target, 700, &r);
    run_to(d, 8000);
    EXPECT_ERR(call->status, PH_OK);
    EXPECT(r.at_ms >= 6800);
    EXPECT_EQ(r.is_done, 0);
    EXPECT_EQ(r.watchers, 1);
    EXPECT_EQ(r.calls, 0);
    story_end(d);
}
