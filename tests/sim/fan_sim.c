// SPDX-License-Identifier: Apache-2.0
//
// tests/sim/fan_sim.c - events for many in a center of several workers: one mail for all receivers
// of a worker (center/fan_mail.h), and that nobody can tell it from a mail for each. [P-55] [P-57]
// [P-59] [P-68]
//
// Connections are dealt out in turn: with two workers the actors with even numbers are at home with
// the first one, where the publisher is.

#include <string.h>

#include <posthouse/topic.h>

#include "base/compiler.h"
#include "center/fan_mail.h"
#include "center/state.h"
#include "sim/check.h"
#include "tests/sim/sim_test.h"

#define WAY_MS 5u
#define MAIL_MS 20u
#define ACTORS 12u
#define MANY ACTORS_MAX
#define ALICE 0
#define BOB 1
#define CAROL 2

// A subscriber that counts what it hears, and takes nothing twice or out of order.
typedef struct listener {
    uint32_t count;
    uint32_t last;         // number of the last
    uint32_t timeouts[64]; // by number, of the first
    uint32_t out_of_order; // or twice
    ph_subscription_id id;
} listener;

// Receipts of one publisher, added up.
typedef struct receipts {
    uint32_t ends;
    uint32_t errors;
    uint64_t delivered;
    uint64_t dropped;
    uint16_t code; // the last that is not 0
} receipts;

static listener heard[MANY];
static receipts got;

static domain_options story_options(uint32_t worker_count)
{
    domain_options options = {
        .seed = 17,
        .path = { .delay = MS(WAY_MS) },
        .center = center_options_default(),
        .client = PH_CLIENT_OPTIONS_INIT,
        .workers = worker_count,
        .actor_count = ACTORS,
        .late_max = SECONDS(1),
    };
    options.center.suite = PHI_SUITE_PLAIN;
    options.client.backoff_max_ms = 500;
    return options;
}

static void on_event(ph_client *client, const ph_incoming *event, void *arg)
{
    (void)client;
    listener *l = arg;
    EXPECT(event->body.size >= sizeof l->last);
    uint32_t number = phi_get_u32((const uint8_t *)event->body.data);
    l->out_of_order += number <= l->last;
    l->last = number;
    if (number < PHI_COUNT_OF(l->timeouts)) {
        l->timeouts[number] = event->timeout_ms;
    }
    l->count++;
}

static void on_receipt(ph_client *client, ph_call_id event, ph_err status,
                       const ph_receipt *receipt, void *arg)
{
    (void)client;
    (void)event;
    receipts *r = arg;
    r->ends++;
    if (status != PH_OK) {
        r->errors++;
        return;
    }
    r->delivered += receipt->delivered;
    r->dropped += receipt->dropped;
    r->code = receipt->code != 0 ? receipt->code : r->code;
}

// All but the publisher listen.
static domain *begin(const domain_options *options)
{
    memset(heard, 0, sizeof heard);
    got = (receipts){ 0 };
    domain *d = domain_new(options);
    domain_start(d);
    EXPECT(sim_run_until(d->s, domain_all_up, d, SECONDS(2)));
    for (uint32_t i = 1; i < options->actor_count; i++) {
        EXPECT_ERR(ph_client_subscribe(d->actors[i].client, "fan.*", &heard[i].id, on_event, NULL,
                                       &heard[i]),
                   PH_OK);
    }
    sim_run_for(d->s, MS(200));
    return d;
}

static ph_outgoing event_of_number(uint32_t number, size_t size, uint32_t timeout_ms)
{
    static uint8_t body[8192];
    EXPECT(size <= sizeof body);
    phi_put_u32(body, number);
    ph_outgoing outgoing = PH_OUTGOING_INIT;
    outgoing.to = "topic:fan.x";
    outgoing.body = body;
    outgoing.body_size = size;
    outgoing.timeout_ms = timeout_ms;
    return outgoing;
}

static void publish(domain *d, uint32_t number, size_t size, uint32_t timeout_ms)
{
    ph_outgoing outgoing = event_of_number(number, size, timeout_ms);
    EXPECT_ERR(
        ph_client_send_with_receipt(d->actors[ALICE].client, &outgoing, NULL, on_receipt, &got),
        PH_OK);
}

// Without a receipt: the center has a short way for those.
static void publish_plainly(domain *d, uint32_t number, size_t size, uint32_t timeout_ms)
{
    ph_outgoing outgoing = event_of_number(number, size, timeout_ms);
    EXPECT_ERR(ph_client_send(d->actors[ALICE].client, &outgoing), PH_OK);
}

static uint64_t heard_by_all(void)
{
    uint64_t count = 0;
    for (uint32_t i = 1; i < MANY; i++) {
        EXPECT_EQ(heard[i].out_of_order, 0);
        count += heard[i].count;
    }
    return count;
}

static void end(domain *d)
{
    const char *why = "";
    bool is_settled = sim_run_until(d->s, domain_is_settled, d, SECONDS(120));
    (void)check_workers_agree(d, &why);
    EXPECT_TEXT(why, "");
    EXPECT(is_settled);
    EXPECT_EQ(domain_count(d).mail_memory, 0);
    char fault[sizeof d->fault];
    domain_free(&d, fault);
    EXPECT_TEXT(fault, "");
}

// ---- one mail

// Each worker would be mailed the same packet for each of its receivers; it is mailed once, and
// all are counted. [P-68]
SIM_TEST(fan, one_mail_for_all_of_a_worker)
{
    enum { EVENTS = 10 };
    for (uint32_t count = 2; count <= 3; count++) {
        domain_options options = story_options(count);
        domain *d = begin(&options);
        uint32_t abroad = ACTORS - ACTORS / count;
        for (uint32_t i = 1; i <= EVENTS; i++) {
            publish(d, i, 100, 0);
        }
        sim_run_for(d->s, MS(100));
        EXPECT_EQ(heard_by_all(), EVENTS * (ACTORS - 1));
        EXPECT_EQ(got.ends, EVENTS);
        EXPECT_EQ(got.delivered, EVENTS * (ACTORS - 1));
        EXPECT_EQ(got.dropped, 0);
        const center_counters *at_first = &d->workers[0]->counters;
        EXPECT_EQ(at_first->mail_delivered_total, EVENTS * abroad);
        EXPECT_EQ(at_first->mail_shared_total, EVENTS * (abroad - (count - 1)));
        EXPECT_EQ(domain_count(d).events_delivered_total, EVENTS * (ACTORS - 1));
        EXPECT_EQ(domain_count(d).messages_sent_total - EVENTS, EVENTS * (ACTORS - 1));
        end(d);
    }
}

// The same for everyone, and for the instances of a service; one who is alone at its worker has a
// mail for itself.
SIM_TEST(fan, everyone_and_instances_share_mails)
{
    domain_options options = story_options(3);
    domain *d = begin(&options);
    const center_counters *at_first = &d->workers[0]->counters;
    EXPECT_ERR(actor_event(&d->actors[ALICE], "all:", 50), PH_OK);
    sim_run_for(d->s, MS(50));
    EXPECT_EQ(at_first->mail_delivered_total, 8);
    EXPECT_EQ(at_first->mail_shared_total, 6);
    EXPECT_ERR(actor_event(&d->actors[ALICE], "all:s1", 50), PH_OK); // all at the second worker
    sim_run_for(d->s, MS(50));
    EXPECT_EQ(at_first->mail_delivered_total, 12);
    EXPECT_EQ(at_first->mail_shared_total, 9);
    for (uint32_t i = 1; i < ACTORS; i++) {
        EXPECT_EQ(d->actors[i].events, i % 3 == 1 ? 2 : 1);
    }
    for (uint32_t i = 4; i < ACTORS; i += 3) {
        actor_kill(&d->actors[i]);
    }
    sim_run_for(d->s, MS(100));
    EXPECT_ERR(actor_event(&d->actors[ALICE], "all:s1", 50), PH_OK);
    sim_run_for(d->s, MS(50));
    EXPECT_EQ(d->actors[BOB].events, 3);
    EXPECT_EQ(at_first->mail_shared_total, 9);
    for (uint32_t i = 4; i < ACTORS; i += 3) {
        EXPECT(actor_start(&d->actors[i]));
    }
    end(d);
}

// More receivers than a mail has handles for get it in several; each once. The packet may be long.
SIM_TEST(fan, more_receivers_than_a_mail_takes)
{
    domain_options options = story_options(2);
    options.actor_count = MANY;
    options.path.buffer_bytes = 1 << 20;
    domain *d = begin(&options);
    PH_STATIC_ASSERT(MANY / 2 > FAN_MAIL_RECEIVERS_MAX);
    publish(d, 1, 8000, 0);
    publish(d, 2, 4, 0);
    sim_run_for(d->s, SECONDS(1));
    EXPECT_EQ(heard_by_all(), 2 * (MANY - 1));
    EXPECT_EQ(d->workers[0]->counters.mail_delivered_total, 2 * (MANY / 2));
    EXPECT_EQ(d->workers[0]->counters.mail_shared_total, 2 * (MANY / 2 - 2));
    end(d);
}

// ---- order

// What is said to one of those whom an event for many is for stands before or behind it, whoever
// says it and whatever it is: while mail takes its time. [P-55] (the actors check the order)
SIM_TEST(fan, order_against_other_mail)
{
    for (uint32_t count = 2; count <= 3; count++) {
        domain_options options = story_options(count);
        options.mail_delay_max = MS(MAIL_MS);
        options.path.jitter = MS(10);
        options.path.is_ragged = true;
        domain *d = begin(&options);
        enum { ROUNDS = 60 };
        uint32_t direct[ACTORS] = { 0 };
        for (uint32_t round = 0; round < ROUNDS; round++) {
            for (uint32_t from = 0; from < 3; from++) {
                actor *a = &d->actors[from];
                uint32_t to = 3 + (round + from) % (ACTORS - 3);
                EXPECT_ERR(actor_event(a, "all:", 20 + round), PH_OK);
                EXPECT_ERR(actor_event(a, d->actors[to].account, 20), PH_OK);
                EXPECT_ERR(actor_event(a, "all:s0", 20), PH_OK);
                EXPECT(actor_call_actor(&d->actors[to], a, 60000) != NULL); // its reply
                direct[to]++;
            }
            sim_run_for(d->s, MS(3));
        }
        sim_run_for(d->s, SECONDS(2));
        for (uint32_t i = 3; i < ACTORS; i++) {
            uint32_t in_service = i % 3 == 0 ? 3 * ROUNDS : 0;
            EXPECT_EQ(d->actors[i].events, 3 * ROUNDS + in_service + direct[i]);
        }
        EXPECT_EQ(domain_count(d).events_dropped_total, 0);
        EXPECT(domain_count(d).mail_shared_total > 0);
        end(d);
    }
}

// ---- receivers that are not what they were

// A receiver that leaves between the mail and its home is not there any more; the others hear it,
// and nobody who comes in its place does: neither the same client nor another one. [P-37]
SIM_TEST(fan, receiver_leaves_while_it_is_in_the_mail)
{
    unsigned missed = 0;
    for (unsigned ms = 0; ms < 60; ms += 2) {
        domain_options options = story_options(3);
        options.mail_delay_max = MS(MAIL_MS);
        options.seed = 500 + ms;
        domain *d = begin(&options);
        actor *bob = &d->actors[BOB];
        EXPECT_ERR(actor_event(&d->actors[ALICE], "all:", 30), PH_OK);
        publish(d, 1, 30, 0);
        sim_run_for(d->s, MS(ms));
        actor_kill(bob);
        EXPECT(bob->events <= 1);
        missed += bob->events == 0;
        bob->events = 0;
        EXPECT(actor_start(bob));
        sim_run_for(d->s, SECONDS(1));
        EXPECT(actor_is_up(bob));
        EXPECT_EQ(bob->events, 0);
        for (uint32_t i = 2; i < ACTORS; i++) {
            EXPECT_EQ(d->actors[i].events, 1);
            EXPECT_EQ(heard[i].count, 1);
        }
        // It was delivered when it was mailed; unless he was known to be gone before that.
        EXPECT_EQ(got.ends, 1);
        EXPECT(got.delivered == ACTORS - 2 || got.delivered == ACTORS - 1);
        EXPECT_EQ(got.dropped, 0);
        end(d);
    }
    EXPECT(missed > 5);
    EXPECT(missed < 30);
}

// A receiver abroad that does not read costs the others nothing. What its home has no room for
// waits there in order, beyond that it misses events; and whatever a receipt calls delivered it
// hears when it reads again, by mail or not. [P-59] [P-68]
SIM_TEST(fan, receiver_that_does_not_read_misses_what_the_receipts_say)
{
    enum { EVENTS = 300 };
    for (uint32_t count = 1; count <= 3; count++) {
        domain_options options = story_options(count);
        options.center.send_buffer_max = 131072;
        domain *d = begin(&options);
        actor *bob = &d->actors[BOB];
        sim_node_reading(d->s, bob->node, false);
        for (uint32_t i = 1; i <= EVENTS; i++) {
            publish(d, i, 4000, 0);
            sim_run_for(d->s, MS(2));
        }
        sim_run_for(d->s, MS(50));
        EXPECT(got.dropped > 0);
        EXPECT_EQ(got.code, PH_FAILURE_SLOW_CONSUMER);
        if (count > 1) {
            EXPECT(domain_count(d).mail_kept_total > 0);
            EXPECT(domain_count(d).mail_shared_total > 0);
        }
        for (uint32_t i = 2; i < ACTORS; i++) {
            EXPECT_EQ(heard[i].count, EVENTS);
        }
        sim_node_reading(d->s, bob->node, true);
        sim_run_for(d->s, SECONDS(2));
        publish(d, EVENTS + 1, 100, 0);
        sim_run_for(d->s, SECONDS(1));
        EXPECT_EQ(heard[BOB].last, EVENTS + 1);
        EXPECT_EQ(got.ends, EVENTS + 1);
        EXPECT_EQ(got.errors, 0);
        EXPECT_EQ(heard_by_all(), got.delivered);
        EXPECT_EQ(got.delivered + got.dropped, (EVENTS + 1) * (ACTORS - 1));
        EXPECT_EQ(domain_count(d).events_dropped_total, got.dropped);
        end(d);
    }
}

// ---- crowding

// A worker that stands still is not written to without bounds: the publisher is held, at the
// latest when as many deliveries wait there as the mailbox is long; and when it goes on all hear
// all, in order, and without waiting for more than that there is room.
SIM_TEST(fan, full_mailbox_holds_the_publisher)
{
    enum { EVENTS = 200, MAIL_BYTES = 16384 };
    domain_options options = story_options(2);
    options.mail_bytes_max = MAIL_BYTES;
    domain *d = begin(&options);
    const session *alice = domain_session(d, d->actors[ALICE].account);
    uint64_t before = domain_count(d).mail_delivered_total;
    sim_node_freeze(d->s, d->worker_nodes[1], true);
    for (uint32_t i = 1; i <= EVENTS; i++) {
        publish(d, i, 20, 0);
        sim_run_for(d->s, MS(1));
    }
    EXPECT(alice->transport.is_held);
    uint64_t waiting = domain_count(d).mail_delivered_total - before;
    EXPECT(waiting >= ACTORS / 2);
    EXPECT(waiting <= MAIL_BYTES / FAN_MAIL_WEIGHT + ACTORS);
    EXPECT(heard[CAROL].count > 0);
    EXPECT(heard[CAROL].count < EVENTS);
    sim_node_freeze(d->s, d->worker_nodes[1], false);
    sim_run_for(d->s, MS(1));
    EXPECT(!alice->transport.is_held);
    sim_run_for(d->s, SECONDS(2));
    EXPECT_EQ(heard_by_all(), EVENTS * (ACTORS - 1));
    EXPECT_EQ(got.delivered, EVENTS * (ACTORS - 1));
    EXPECT_EQ(got.dropped, 0);
    end(d);
}

// The same for events that ask for no receipt: at whichever of its receivers the mailbox is full,
// the others get it when there is room, none twice, with the time that is left then. [P-55] [P-57]
SIM_TEST(fan, full_mailbox_holds_who_wants_no_receipt)
{
    enum { EVENTS = 60, USE_MS = 1000, STANDS_MS = 300 };
    for (uint32_t mail_bytes = 4096; mail_bytes < 4096 + 600; mail_bytes += 100) {
        domain_options options = story_options(3);
        options.mail_bytes_max = mail_bytes;
        domain *d = begin(&options);
        const session *alice = domain_session(d, d->actors[ALICE].account);
        publish_plainly(d, 1, 20, USE_MS);
        sim_run_for(d->s, MS(20));
        EXPECT_EQ(heard_by_all(), ACTORS - 1);
        sim_node_freeze(d->s, d->worker_nodes[1], true);
        for (uint32_t i = 2; i <= EVENTS; i++) {
            publish_plainly(d, i, 20, USE_MS);
        }
        sim_run_for(d->s, MS(STANDS_MS));
        EXPECT(alice->transport.is_held);
        sim_node_freeze(d->s, d->worker_nodes[1], false);
        sim_run_for(d->s, SECONDS(1));
        EXPECT(!alice->transport.is_held);
        EXPECT_EQ(heard_by_all(), EVENTS * (ACTORS - 1));
        EXPECT_EQ(domain_count(d).events_dropped_total, 0);
        EXPECT_EQ(domain_count(d).topics_matched_total, 1);
        unsigned cut = 0; // events that were told to some before it stood still
        for (uint32_t n = 2; n <= EVENTS; n++) {
            unsigned late = 0;
            for (uint32_t i = 1; i < ACTORS; i++) {
                EXPECT(heard[i].timeouts[n] > USE_MS - STANDS_MS - 50);
                late += heard[i].timeouts[n] <= USE_MS - STANDS_MS + 50;
            }
            cut += late > 0 && late < ACTORS - 1;
        }
        EXPECT_EQ(cut, 1);
        end(d);
    }
}

// And for those that are for everyone and for the instances of a service, who are found in other
// ways. (An actor finds fault with what it hears twice.)
SIM_TEST(fan, full_mailbox_holds_who_tells_everyone)
{
    enum { EVENTS = 60 };
    static const char *const forms[] = { "all:", "all:s1" }; // the latter is every third
    for (uint32_t mail_bytes = 4096; mail_bytes < 4096 + 600; mail_bytes += 100) {
        for (size_t k = 0; k < PHI_COUNT_OF(forms); k++) {
            domain_options options = story_options(2);
            options.mail_bytes_max = mail_bytes;
            domain *d = begin(&options);
            const session *alice = domain_session(d, d->actors[ALICE].account);
            sim_node_freeze(d->s, d->worker_nodes[1], true);
            for (uint32_t i = 0; i < EVENTS; i++) {
                EXPECT_ERR(actor_event(&d->actors[ALICE], forms[k], 20), PH_OK);
            }
            sim_run_for(d->s, MS(300));
            EXPECT(alice->transport.is_held);
            sim_node_freeze(d->s, d->worker_nodes[1], false);
            sim_run_for(d->s, SECONDS(1));
            EXPECT(!alice->transport.is_held);
            for (uint32_t i = 1; i < ACTORS; i++) {
                EXPECT_EQ(d->actors[i].events, k == 0 || i % 3 == 1 ? EVENTS : 0);
            }
            EXPECT_EQ(domain_count(d).events_dropped_total, 0);
            end(d);
        }
    }
}

// ---- turns

// An event that goes on in a later turn is another packet then: it says less time. Those who get
// it in that turn are told what is left; when its time is over nobody is told any more, and the
// receipt says so. [P-57] [P-68]
SIM_TEST(fan, later_turn_is_told_the_time_that_is_left)
{
    enum { EVENTS = 60, USE_MS = 1000, MAIL_BYTES = 4096 };
    for (unsigned stands_ms = 400; stands_ms <= 1200; stands_ms += 800) {
        domain_options options = story_options(2);
        options.mail_bytes_max = MAIL_BYTES;
        domain *d = begin(&options);
        sim_node_freeze(d->s, d->worker_nodes[1], true);
        for (uint32_t i = 1; i <= EVENTS; i++) {
            publish(d, i, 20, USE_MS);
        }
        sim_run_for(d->s, MS(stands_ms));
        sim_node_freeze(d->s, d->worker_nodes[1], false);
        sim_run_for(d->s, SECONDS(1));
        EXPECT_EQ(got.ends, EVENTS);
        EXPECT_EQ(got.errors, 0);
        EXPECT_EQ(heard_by_all(), got.delivered);
        // Of one whose time was over before anybody was looked up nobody knows whom it misses.
        EXPECT_EQ((got.delivered + got.dropped) % (ACTORS - 1), 0);
        unsigned cut = 0; // events that were told to some before it stood still, or while
        unsigned late = 0;
        for (uint32_t n = 1; n <= EVENTS; n++) {
            uint32_t least = UINT32_MAX;
            uint32_t most = 0;
            for (uint32_t i = 1; i < ACTORS; i += 2) { // at the second worker
                uint32_t told_ms = heard[i].timeouts[n];
                EXPECT(told_ms == 0 || told_ms > USE_MS - 50 || told_ms <= USE_MS - stands_ms + 50);
                least = told_ms < least ? told_ms : least;
                most = told_ms > most ? told_ms : most;
            }
            cut += most > USE_MS - 50 && least <= USE_MS - 50;
            late += most < USE_MS - 50;
        }
        EXPECT_EQ(cut, 1);
        EXPECT(late > 10);
        EXPECT_EQ(got.dropped > 0, stands_ms > USE_MS);
        EXPECT_EQ(got.code, stands_ms > USE_MS ? PH_FAILURE_DEADLINE : 0);
        end(d);
    }
}
