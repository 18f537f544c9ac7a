// SPDX-License-Identifier: Apache-2.0
//
// tests/sim/topic_sim.c - publishing and subscribing in virtual time: production center, production
// clients. [P-68], [P-73], [P-74]
//
// One way takes 5 ms; what one client sends is at another after two ways.

#include <posthouse/dialog.h>
#include <posthouse/topic.h>

#include "base/compiler.h"
#include "center/state.h"
#include "sim/domain.h"
#include "tests/sim/sim_test.h"

#define WAY MS(5)
#define HEARD_MAX 64u

// What one subscriber was told.
typedef struct listener {
    domain *d;
    ph_subscription_id id;
    unsigned in_force; // times
    phi_time in_force_at;
    bool is_for_large; // events are not one byte, but many zeros
    size_t count;
    uint8_t heard[HEARD_MAX]; // the bodies
    phi_time heard_at;        // the last
} listener;

typedef struct receipt_of {
    domain *d;
    unsigned ends;
    ph_err status;
    ph_receipt receipt;
    phi_time at;
} receipt_of;

static domain *begin(uint32_t actors, uint64_t deliveries_per_turn_max)
{
    domain_options options = {
        .seed = 3,
        .path = { .delay = WAY },
        .center = center_options_default(),
        .client = PH_CLIENT_OPTIONS_INIT,
        .workers = sim_workers,
        .actor_count = actors,
        .late_max = SECONDS(1),
    };
    options.center.suite = PHI_SUITE_CHECK;
    options.center.deliveries_per_turn_max = deliveries_per_turn_max;
    domain *d = domain_new(&options);
    domain_start(d);
    EXPECT(sim_run_until(d->s, domain_all_up, d, SECONDS(1)));
    sim_run_for(d->s, MS(100));
    return d;
}

static void end(domain *d)
{
    char fault[sizeof d->fault];
    domain_free(&d, fault);
    EXPECT_TEXT(fault, "");
}

static void on_event(ph_client *client, const ph_incoming *event, void *arg)
{
    (void)client;
    listener *l = arg;
    EXPECT_EQ(event->body.size, l->is_for_large ? 200000 : 1);
    EXPECT(l->count < HEARD_MAX);
    l->heard[l->count++] = *(const uint8_t *)event->body.data;
    l->heard_at = sim_now(l->d->s);
}

static void on_subscribed(ph_client *client, ph_subscription_id id, ph_err status, uint16_t code,
                          void *arg)
{
    (void)client;
    listener *l = arg;
    EXPECT_EQ(id.value, l->id.value);
    EXPECT_ERR(status, PH_OK);
    EXPECT_EQ(code, 0);
    l->in_force++;
    l->in_force_at = sim_now(l->d->s);
}

static void on_receipt(ph_client *client, ph_call_id event, ph_err status,
                       const ph_receipt *receipt, void *arg)
{
    (void)client;
    (void)event;
    receipt_of *r = arg;
    r->ends++;
    r->status = status;
    r->at = sim_now(r->d->s);
    if (status == PH_OK) {
        r->receipt = *receipt;
    }
}

static void subscribe(domain *d, uint32_t who, const char *pattern, listener *l)
{
    l->d = d;
    EXPECT_ERR(
        ph_client_subscribe(d->actors[who].client, pattern, &l->id, on_event, on_subscribed, l),
        PH_OK);
}

static void publish(domain *d, uint32_t who, const char *topic, char body)
{
    EXPECT_ERR(ph_client_publish(d->actors[who].client, topic, &body, 1), PH_OK);
}

static void expect_heard(const listener *l, const char *bodies)
{
    EXPECT_EQ(l->count, strlen(bodies));
    EXPECT_BYTES(l->heard, bodies, l->count);
}

// A subscription is in force after one way, which its client knows after two; an event takes two,
// and comes once to each client that wants it, whatever patterns it fits. [P-73]
CENTER_TEST(topic, is_carried_in_two_ways)
{
    domain *d = begin(4, 20000);
    listener exact = { 0 };
    listener one = { 0 };
    listener rest = { 0 };
    listener other = { 0 };
    phi_time start = sim_now(d->s);
    subscribe(d, 1, "orders.eu.created", &exact);
    subscribe(d, 1, "orders.*.created", &one);
    subscribe(d, 2, "orders.>", &rest);
    subscribe(d, 3, "orders.us.*", &other);
    sim_run_for(d->s, MS(10));
    EXPECT_EQ(exact.in_force + one.in_force + rest.in_force + other.in_force, 4);
    EXPECT_EQ(phi_time_diff(rest.in_force_at, start).ns, MS(10).ns);

    start = sim_now(d->s);
    publish(d, 0, "orders.eu.created", '1');
    publish(d, 0, "orders.us.created", '2');
    publish(d, 0, "orders", '3');
    sim_run_for(d->s, MS(10));
    expect_heard(&exact, "1");
    expect_heard(&one, "12");
    expect_heard(&rest, "12");
    expect_heard(&other, "2");
    EXPECT_EQ(phi_time_diff(rest.heard_at, start).ns, MS(10).ns);
    EXPECT_EQ(domain_count(d).events_delivered_total, 2 + 3); // once to each client

    EXPECT_ERR(ph_client_unsubscribe(d->actors[2].client, rest.id), PH_OK);
    publish(d, 2, "orders.eu.created", '4'); // it left behind that
    sim_run_for(d->s, MS(100));
    expect_heard(&rest, "12");
    expect_heard(&exact, "14");
    EXPECT_EQ(domain_count(d).subscriptions, 3);
    end(d);
}

// Who lost its connection subscribes again by itself; what is published once that is in force is
// not missed. The old ones are gone from the center. [P-73]
CENTER_TEST(topic, subscriptions_come_back)
{
    domain *d = begin(2, 20000);
    listener l = { 0 };
    subscribe(d, 1, "news.>", &l);
    sim_run_for(d->s, MS(100));
    publish(d, 0, "news.a", '1');
    sim_run_for(d->s, MS(100));
    sim_cut(d->s, d->actors[1].node, d->center_node);
    sim_run_for(d->s, MS(6)); // the center knows
    EXPECT_EQ(domain_count(d).subscriptions, 0);
    publish(d, 0, "news.b", '2'); // nobody wants it now
    sim_run_for(d->s, SECONDS(5));
    EXPECT_EQ(l.in_force, 2);
    publish(d, 0, "news.c", '3');
    sim_run_for(d->s, MS(100));
    expect_heard(&l, "13");
    EXPECT_EQ(domain_count(d).subscriptions, 1);
    end(d);
}

// Who is known from the events before must not be taken for who it is for now: while somebody
// publishes again and again, others subscribe, take it back and die, within a turn of the center
// and between two, at its workers sooner or later; nobody hears what it has not asked for, and
// nobody who has asked misses anything from its answer on. [P-73]
CENTER_TEST(topic, those_who_come_and_go_are_told_just_meanwhile)
{
    enum { EVENTS = 60, STEADY = 1, COMES = 2, GOES = 3, DIES = 4 };
    for (unsigned offset_us = 0; offset_us <= 4000; offset_us += 500) {
        domain *d = begin(5, 20000);
        listener steady = { 0 };
        listener comes = { 0 };
        listener goes = { 0 };
        listener dies = { 0 };
        subscribe(d, STEADY, "t.x", &steady);
        subscribe(d, GOES, "t.*", &goes);
        subscribe(d, DIES, "t.>", &dies);
        sim_run_for(d->s, MS(100));
        uint8_t in_force_from = 0;
        for (uint8_t i = 1; i <= EVENTS; i++) {
            publish(d, 0, "t.x", (char)i);
            publish(d, 0, "t.x.y", (char)i); // another one in the same turn
            sim_run_for(d->s, phi_us(offset_us));
            if (i == EVENTS / 4) {
                subscribe(d, COMES, "t.x", &comes);
                EXPECT_ERR(ph_client_unsubscribe(d->actors[GOES].client, goes.id), PH_OK);
                actor_kill(&d->actors[DIES]);
            }
            sim_run_for(d->s, phi_us(4000 - offset_us));
            if (comes.in_force != 0 && in_force_from == 0) {
                in_force_from = i + 1;
            }
        }
        sim_run_for(d->s, MS(100));
        EXPECT_EQ(steady.count, EVENTS);
        for (size_t i = 1; i < comes.count; i++) { // from its first on without a gap
            EXPECT_EQ(comes.heard[i], comes.heard[0] + i);
        }
        EXPECT(comes.count > 0);
        EXPECT_EQ(comes.heard[comes.count - 1], EVENTS);
        EXPECT(comes.heard[0] > EVENTS / 4 - 3);
        EXPECT(in_force_from != 0);
        EXPECT(comes.heard[0] <= in_force_from);
        EXPECT(goes.count >= EVENTS / 4 - 3);
        EXPECT(goes.count <= EVENTS / 4 + 1);
        EXPECT(dies.count < EVENTS);
        EXPECT_EQ(domain_count(d).subscriptions, 2);
        EXPECT(actor_start(&d->actors[DIES]));
        sim_run_for(d->s, SECONDS(2));
        end(d);
    }
}

// The receipt of an event for many says how many got it, when all have; however many turns of the
// center that takes, what was said behind it comes behind it. [P-55] [P-68]
CENTER_TEST(topic, receipt_counts_all_in_order)
{
    enum { LISTENERS = 20 };
    domain *d = begin(1 + LISTENERS, 3);
    static listener l[LISTENERS];
    memset(l, 0, sizeof l);
    for (uint32_t i = 0; i < LISTENERS; i++) {
        subscribe(d, 1 + i, i % 2 == 0 ? "t.*" : "t.x", &l[i]);
    }
    sim_run_for(d->s, MS(100));
    ph_outgoing outgoing = PH_OUTGOING_INIT;
    outgoing.to = "topic:t.x";
    outgoing.body = "1";
    outgoing.body_size = 1;
    receipt_of first = { .d = d };
    receipt_of none = { .d = d };
    ph_client *client = d->actors[0].client;
    phi_time start = sim_now(d->s);
    EXPECT_ERR(ph_client_send_with_receipt(client, &outgoing, NULL, on_receipt, &first), PH_OK);
    publish(d, 0, "t.x", '2');
    outgoing.to = "topic:u";
    EXPECT_ERR(ph_client_send_with_receipt(client, &outgoing, NULL, on_receipt, &none), PH_OK);
    sim_run_for(d->s, SECONDS(1));
    EXPECT_EQ(first.ends, 1);
    EXPECT_ERR(first.status, PH_OK);
    EXPECT_EQ(first.receipt.delivered, LISTENERS);
    EXPECT_EQ(first.receipt.dropped, 0);
    EXPECT_EQ(first.receipt.code, 0);
    EXPECT(phi_time_diff(first.at, start).ns >= MS(10).ns);
    EXPECT_EQ(none.ends, 1);
    EXPECT_EQ(none.receipt.delivered + none.receipt.dropped + none.receipt.code, 0);
    for (uint32_t i = 0; i < LISTENERS; i++) {
        expect_heard(&l[i], "12");
    }
    EXPECT(domain_count(d).broadcasts_held_total > 0);
    end(d);
}

// A subscriber that dies, and one that stops reading, cost the others nothing; the receipt counts
// those that were reached. [P-59] [P-68]
CENTER_TEST(topic, dead_and_silent_subscribers_cost_the_others_nothing)
{
    domain *d = begin(4, 20000);
    listener l[3] = { 0 };
    for (uint32_t i = 0; i < 3; i++) {
        subscribe(d, 1 + i, "t.>", &l[i]);
    }
    sim_run_for(d->s, MS(100));
    actor_kill(&d->actors[1]);
    sim_node_freeze(d->s, d->actors[2].node, true);
    sim_run_for(d->s, MS(20));
    phi_time start = sim_now(d->s);
    publish(d, 0, "t.a", '1');
    sim_run_for(d->s, MS(10));
    expect_heard(&l[2], "1");
    EXPECT_EQ(phi_time_diff(l[2].heard_at, start).ns, MS(10).ns);
    EXPECT_EQ(domain_count(d).subscriptions, 2);
    sim_node_freeze(d->s, d->actors[2].node, false);
    sim_run_for(d->s, MS(100));
    expect_heard(&l[1], "1");
    end(d);
}

// A large event for many goes out in fragments, to each of them whole, however many turns its first
// fragment takes; one that dies meanwhile costs the others nothing, and the receipt comes at the
// end. [P-66] [P-68]
CENTER_TEST(topic, large_event_reaches_all)
{
    enum { LISTENERS = 12 };
    static const char body[200000];
    domain *d = begin(1 + LISTENERS, 1);
    static listener l[LISTENERS];
    memset(l, 0, sizeof l);
    for (uint32_t i = 0; i < LISTENERS; i++) {
        l[i].is_for_large = true;
        subscribe(d, 1 + i, "t.>", &l[i]);
    }
    sim_run_for(d->s, MS(100));
    ph_outgoing outgoing = PH_OUTGOING_INIT;
    outgoing.to = "topic:t.x";
    outgoing.body = body;
    outgoing.body_size = sizeof body;
    receipt_of r = { .d = d };
    ph_client *client = d->actors[0].client;
    EXPECT_ERR(ph_client_send_with_receipt(client, &outgoing, NULL, on_receipt, &r), PH_OK);
    sim_run_for(d->s, MS(6));
    actor_kill(&d->actors[LISTENERS]);
    sim_run_for(d->s, SECONDS(2));
    EXPECT_EQ(r.ends, 1);
    EXPECT_ERR(r.status, PH_OK);
    EXPECT_EQ(r.receipt.delivered, LISTENERS - 1);
    EXPECT_EQ(r.receipt.dropped, 1);
    for (uint32_t i = 0; i + 1 < LISTENERS; i++) {
        EXPECT_EQ(l[i].count, 1);
    }
    EXPECT_EQ(l[LISTENERS - 1].count, 0);
    EXPECT_EQ(domain_count(d).streams, 0);
    end(d);
}

// A worker whose memory for subscriptions is full with whom topics are for takes a subscription all
// the same, its own clients' and another worker's: without it would have to end the session. [P-73]
CENTER_TEST(topic, subscription_comes_before_what_is_kept)
{
    enum { ACTORS = 4 };
    domain *d = begin(ACTORS, 20000);
    listener before = { 0 };
    listener first = { 0 };
    listener second = { 0 };
    subscribe(d, 1, "t", &before);
    sim_run_for(d->s, MS(100));
    for (uint32_t i = 0; i < ACTORS; i++) { // one at each worker
        publish(d, i, "t", (char)('1' + i));
        sim_run_for(d->s, MS(100));
    }
    expect_heard(&before, "1234");
    for (uint32_t i = 0; i < sim_workers; i++) {
        center *c = d->workers[i];
        EXPECT(c->readerships.memory.bytes > 0);
        c->topics.memory.bytes_max = c->topics.memory.bytes;
    }
    subscribe(d, 1, "a-word-that-needs-memory", &second);
    subscribe(d, 2, "t", &first);
    sim_run_for(d->s, MS(100));
    EXPECT_EQ(first.in_force + second.in_force, 2);
    EXPECT_EQ(domain_count(d).subscriptions, 3);
    for (uint32_t i = 0; i < sim_workers; i++) {
        const center *c = d->workers[i];
        EXPECT(c->topics.memory.bytes <= c->topics.memory.bytes_max);
    }
    publish(d, 0, "a-word-that-needs-memory", '5');
    publish(d, 3, "t", '6');
    sim_run_for(d->s, MS(100));
    expect_heard(&second, "5");
    expect_heard(&before, "12346");
    expect_heard(&first, "6");
    end(d);
}
