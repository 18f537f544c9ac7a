// SPDX-License-Identifier: Apache-2.0
//
// center/service_test.c - services, and what their instances say about themselves: P-64, P-72.

#include "center/service.h"

#include <stdio.h>

#include "center/state.h"
#include "tests/center/world.h"
#include "tests/harness/test.h"
#include "wire/bye.h"

static peer *instance(world *w, const char *name, phi_state state, uint16_t weight)
{
    return world_join_as(w, &(phi_join){ .account = phi_bytes_text(name),
                                         .service = phi_bytes_text("orders"),
                                         .state = state,
                                         .has_weight = true,
                                         .weight = weight });
}

static void say_state(peer *p, phi_state state)
{
    peer_own_state(p, &(phi_own_state){ .state = state });
    world_settle(p->w);
}

static size_t unread(const peer *p)
{
    return p->inbox_count - p->inbox_read;
}

// Which of the peers has got a message; it is the only one.
static size_t receiver_of(peer *const *peers, size_t count)
{
    size_t at = count;
    for (size_t i = 0; i < count; i++) {
        if (unread(peers[i]) != 0) {
            EXPECT_EQ(at, count);
            at = i;
        }
    }
    return at;
}

// What is not ready has not loaded its caches, or is about to go: calls that it gets are slow, or
// lost. [P-64]
TEST(service, only_ready_instances_with_a_weight_are_chosen)
{
    world *w = world_new(NULL);
    peer *caller = world_join(w, "c");
    peer_request(caller, "service:orders", 1, 1000);
    world_settle(w);
    peer_expect_failure(caller, 1, PH_FAILURE_NO_READY_INSTANCE);
    peer *starting = instance(w, "starting", PHI_STATE_STARTING, 100);
    peer *draining = instance(w, "draining", PHI_STATE_DRAINING, 100);
    peer *weightless = instance(w, "weightless", PHI_STATE_READY, 0);
    peer_request(caller, "service:orders", 2, 1000);
    world_settle(w);
    peer_expect_failure(caller, 2, PH_FAILURE_NO_READY_INSTANCE);
    peer *ready = instance(w, "ready", PHI_STATE_READY, 1);
    for (uint64_t n = 3; n < 20; n++) {
        peer_request(caller, "service:orders", n, 1000);
    }
    world_settle(w);
    EXPECT_EQ(unread(ready), 17);
    EXPECT_EQ(unread(starting) + unread(draining) + unread(weightless), 0);
    peer_leave(ready);
    world_settle(w);
    for (uint64_t n = 3; n < 20; n++) {
        peer_expect_failure(caller, n, PH_FAILURE_RESPONDER_LOST);
    }
    peer_request(caller, "service:orders", 20, 1000);
    world_settle(w);
    peer_expect_failure(caller, 20, PH_FAILURE_NO_READY_INSTANCE);
    world_free(w);
}

// An instance that changes its state gets calls from the next one on, and none after: a deployment
// turns on it. [P-72]
TEST(service, own_state_moves_calls_at_once)
{
    world *w = world_new(NULL);
    peer *caller = world_join(w, "c");
    peer *one = instance(w, "one", PHI_STATE_STARTING, 100);
    say_state(one, PHI_STATE_READY);
    peer_request(caller, "service:orders", 1, 1000);
    world_settle(w);
    EXPECT_EQ(unread(one), 1);
    EXPECT(peer_next(one) != NULL);
    say_state(one, PHI_STATE_DRAINING);
    peer_request(caller, "service:orders", 2, 1000);
    world_settle(w);
    peer_expect_failure(caller, 2, PH_FAILURE_NO_READY_INSTANCE);
    EXPECT_EQ(unread(one), 0);
    peer_request(caller, "one", 3, 1000); // who means that one still gets it
    world_settle(w);
    EXPECT_EQ(unread(one), 1);
    EXPECT(peer_next(one) != NULL);
    say_state(one, PHI_STATE_READY);
    peer_own_state(one, &(phi_own_state){ .has_weight = true, .weight = 0 });
    world_settle(w);
    peer_request(caller, "service:orders", 4, 1000);
    world_settle(w);
    peer_expect_failure(caller, 4, PH_FAILURE_NO_READY_INSTANCE);
    world_free(w);
}

// Who sends to its own service wants another's help: it would wait for itself. [P-64]
TEST(service, sender_is_not_chosen)
{
    world *w = world_new(NULL);
    peer *one = instance(w, "one", PHI_STATE_READY, 1000);
    peer_request(one, "service:orders", 1, 1000);
    world_settle(w);
    peer_expect_failure(one, 1, PH_FAILURE_NO_READY_INSTANCE);
    peer *other = instance(w, "other", PHI_STATE_READY, 1);
    for (uint64_t n = 2; n < 10; n++) {
        peer_request(one, "service:orders", n, 1000);
        peer_event(one, "service:orders", "x");
    }
    world_settle(w);
    EXPECT_EQ(unread(one), 0);
    EXPECT_EQ(unread(other), 16);
    world_free(w);
}

// An event reaches one instance, not all and not none; without one it is dropped and counted.
TEST(service, event_reaches_one)
{
    world *w = world_new(NULL);
    peer *sender = world_join(w, "s");
    peer_event(sender, "service:orders", "x");
    world_settle(w);
    EXPECT_EQ(world_count(w).events_dropped_total, 1);
    peer *all[] = { instance(w, "one", PHI_STATE_READY, 100),
                    instance(w, "two", PHI_STATE_READY, 100),
                    instance(w, "three", PHI_STATE_READY, 100) };
    size_t given[3] = { 0 };
    for (int n = 0; n < 30; n++) {
        peer_event(sender, "service:orders", "x");
        world_settle(w);
        size_t at = receiver_of(all, 3);
        EXPECT(at < 3);
        given[at]++;
        EXPECT(peer_next(all[at]) != NULL);
    }
    EXPECT(given[0] >= 8 && given[1] >= 8 && given[2] >= 8); // near ties go to who got fewer
    EXPECT_EQ(world_count(w).events_delivered_total, 30);
    world_free(w);
}

// A sender keeps the service's handle. When the service ends and comes again, it is another one.
TEST(service, one_that_ended_and_came_again_is_found)
{
    world *w = world_new(NULL);
    peer *sender = world_join(w, "s");
    for (uint64_t n = 1; n <= 3; n++) {
        peer *one = instance(w, "one", PHI_STATE_READY, 100);
        peer_request(sender, "service:orders", n, 1000);
        world_settle(w);
        EXPECT_EQ(unread(one), 1);
        EXPECT(peer_next(one) != NULL);
        peer_leave(one);
        world_settle(w);
        peer_expect_failure(sender, n, PH_FAILURE_RESPONDER_LOST);
        peer_request(sender, "service:orders", n + 10, 1000);
        world_settle(w);
        peer_expect_failure(sender, n + 10, PH_FAILURE_NO_READY_INSTANCE);
    }
    peer_request(sender, "service:order", 20, 1000); // a part of the name is another name
    world_settle(w);
    peer_expect_failure(sender, 20, PH_FAILURE_NO_READY_INSTANCE);
    center_counters counters = world_count(w);
    EXPECT_EQ(counters.services, 0);
    EXPECT_EQ(counters.service_choices_total, 3);
    EXPECT_EQ(counters.service_unavailable_total, 4);
    world_free(w);
}

// ---- what calls teach

// What the first of three instances does with its calls.
typedef enum manner {
    REPLIES,
    FAILS,        // responder_failed
    HAS_NONE,     // no_handler
    REFUSES,      // an application's own code: an answer
    NEVER_ANSWERS // before the deadline
} manner;

// How many of 300 calls, in three seconds, the first instance gets.
static size_t first_gets(manner how)
{
    world *w = world_new(NULL);
    peer *caller = world_join(w, "c");
    peer *all[] = { instance(w, "one", PHI_STATE_READY, 100),
                    instance(w, "two", PHI_STATE_READY, 100),
                    instance(w, "three", PHI_STATE_READY, 100) };
    size_t given = 0;
    for (uint64_t n = 1; n <= 300; n++) {
        peer_request(caller, "service:orders", n, 5);
        world_settle(w);
        size_t at = receiver_of(all, 3);
        EXPECT(at < 3);
        uint64_t number = peer_next(all[at])->call;
        bool is_first = at == 0;
        given += is_first;
        world_pass(w, is_first && how != REPLIES ? 0 : 1);
        if (!is_first || how == REPLIES) {
            peer_reply(all[at], number, "done");
        } else if (how == FAILS) {
            peer_failure(all[at], number, PH_FAILURE_RESPONDER_FAILED);
        } else if (how == HAS_NONE) {
            peer_failure(all[at], number, PH_FAILURE_NO_HANDLER);
        } else if (how == REFUSES) {
            peer_failure(all[at], number, PH_FAILURE_APPLICATION);
        }
        world_pass(w, 9);
        while (peer_next(all[0]) != NULL) { // cancel
        }
        EXPECT(peer_next(caller) != NULL);
    }
    const service *v = services_find(&w->c->registry.services, phi_bytes_text("orders"));
    EXPECT_EQ(v->ready.outstanding, 0);
    phi_balancer_check(&v->ready);
    world_free(w);
    return given;
}

// Every way to fail has to be seen as one, and nothing else: the balancer is as good as what it is
// told. [P-64]
TEST(service, failures_cost_and_answers_do_not)
{
    EXPECT(first_gets(REPLIES) > 80);
    EXPECT(first_gets(REFUSES) > 80);
    EXPECT(first_gets(FAILS) < 10);
    EXPECT(first_gets(HAS_NONE) < 10);
    EXPECT(first_gets(NEVER_ANSWERS) < 10);
}

// Whatever ends a call gives it back to its instance; one that stayed would count against it for
// ever.
TEST(service, every_end_of_a_call_gives_it_back)
{
    world *w = world_new(NULL);
    peer *caller = world_join(w, "c");
    peer *gone = world_join(w, "g");
    peer *one = instance(w, "one", PHI_STATE_READY, 100);
    const service *v = services_find(&w->c->registry.services, phi_bytes_text("orders"));
    for (uint64_t n = 1; n <= 4; n++) {
        peer_request(caller, "service:orders", n, 1000 + (uint32_t)n);
    }
    peer_request(gone, "service:orders", 1, 1000);
    peer_request(caller, "one", 5, 1000); // not chosen, not counted
    world_settle(w);
    EXPECT_EQ(v->ready.outstanding, 5);
    peer_reply(one, peer_next(one)->call, "done");
    peer_failure(one, peer_next(one)->call, PH_FAILURE_RESPONDER_FAILED);
    peer_cancel(caller, 3);
    peer_cut(gone);
    world_settle(w);
    EXPECT_EQ(v->ready.outstanding, 1);
    say_state(one, PHI_STATE_DRAINING);
    EXPECT_EQ(v->ready.count, 0);
    EXPECT_EQ(v->ready.outstanding, 1); // it goes on
    world_pass(w, 2000);
    EXPECT_EQ(v->ready.outstanding, 0);
    EXPECT_EQ(world_count(w).calls, 0);
    world_free(w);
}

// An instance that does not read what it was sent fails what it gets, or is late: what can go to
// another does, from the first on. [P-64]
TEST(service, one_that_does_not_read_is_passed_over)
{
    static const char body[60000];
    world *w = world_new(NULL);
    peer *caller = world_join(w, "c");
    peer *one = instance(w, "one", PHI_STATE_READY, 200);
    peer *other = instance(w, "other", PHI_STATE_READY, 100);
    for (uint64_t n = 1; n <= 20; n++) { // so that it is known how long they take
        peer_request(caller, "service:orders", n, 1000);
        world_settle(w);
        world_pass(w, 1);
        peer *at = unread(one) != 0 ? one : other;
        peer_reply(at, peer_next(at)->call, "done");
        world_settle(w);
    }
    one->reads_max = 0;
    peer_window(one, 0);
    for (int n = 0; n < 12; n++) {
        peer_say(caller, &(phi_message){ .kind = PHI_KIND_EVENT,
                                         .to = phi_bytes_text("one"),
                                         .from = phi_bytes_text(caller->id),
                                         .body = phi_bytes_of(body, sizeof body) });
        world_settle(w);
    }
    for (uint64_t n = 101; n <= 150; n++) {
        peer_request(caller, "service:orders", n, 1000);
        world_settle(w);
        EXPECT_EQ(unread(other), 1);
        peer_reply(other, peer_next(other)->call, "done");
        world_settle(w);
    }
    EXPECT_EQ(world_count(w).calls, 0);
    world_free(w);
}

// ---- own state

// What a client says in JOIN stands in its line. [P-35]
TEST(service, join_says_state_and_weight)
{
    world *w = world_new(NULL);
    peer *watcher = world_watch(w, "w");
    instance(w, "one", PHI_STATE_STARTING, 7);
    EXPECT_EQ(peer_find(watcher, "one@d")->state, PHI_STATE_STARTING);
    EXPECT_EQ(peer_find(watcher, "one@d")->weight, 7);
    world_join(w, "plain");
    EXPECT_EQ(peer_find(watcher, "plain@d")->state, PHI_STATE_READY);
    EXPECT_EQ(peer_find(watcher, "plain@d")->weight, PHI_WEIGHT_DEFAULT);
    world_free(w);
}

// Watchers see every change as one *changed*, a later list shows the same, and what is absent stays
// as it was. [P-72]
TEST(service, own_state_changes_the_line)
{
    world *w = world_new(NULL);
    peer *watcher = world_watch(w, "w");
    peer *one = instance(w, "one", PHI_STATE_STARTING, 7);
    phi_own_state own = { .has_metadata = true,
                          .has_software = true,
                          .software = phi_bytes_text("2.0.1"),
                          .metadata = { { phi_bytes_text("zone"), phi_bytes_text("eu") },
                                        { phi_bytes_text("rack"), phi_bytes_text("7") } },
                          .metadata_count = 2 };
    size_t changes = watcher->changes;
    peer_own_state(one, &own);
    world_settle(w);
    EXPECT_EQ(watcher->changes, changes + 1);
    EXPECT_EQ(watcher->last_what, PHI_WHAT_CHANGED);
    const line *seen = peer_find(watcher, "one@d");
    EXPECT_EQ(seen->state, PHI_STATE_STARTING);
    EXPECT_EQ(seen->weight, 7);
    EXPECT_EQ(seen->metadata_count, 2);
    EXPECT_EQ(seen->software_size, 5);
    peer_own_state(one, &(phi_own_state){ .state = PHI_STATE_READY,
                                          .has_weight = true,
                                          .weight = PHI_WEIGHT_DEFAULT });
    world_settle(w);
    EXPECT_EQ(watcher->changes, changes + 2);
    seen = peer_find(watcher, "one@d");
    EXPECT_EQ(seen->state, PHI_STATE_READY);
    EXPECT_EQ(seen->weight, PHI_WEIGHT_DEFAULT);
    EXPECT_EQ(seen->metadata_count, 2);
    peer *late = world_watch(w, "late");
    EXPECT_EQ(peer_find(late, "one@d")->metadata_count, 2);
    EXPECT_EQ(peer_find(late, "one@d")->software_size, 5);
    EXPECT_EQ(peer_find(late, "one@d")->session, one->session);
    peer_own_state(one, &(phi_own_state){ .has_metadata = true });
    world_settle(w);
    EXPECT_EQ(peer_find(late, "one@d")->metadata_count, 0);
    EXPECT_EQ(peer_find(late, "one@d")->software_size, 5);
    world_expect_converged(w, watcher);
    world_expect_converged(w, late);
    peer_leave(one);
    world_settle(w);
    EXPECT(peer_find(watcher, "one@d") == NULL);
    world_free(w);
}

// Who says the same again, once a second, must not cost every watcher a packet. [P-72]
TEST(service, same_again_is_no_change)
{
    world *w = world_new(NULL);
    peer *watcher = world_watch(w, "w");
    peer *one = instance(w, "one", PHI_STATE_READY, 7);
    peer_own_state(
        one, &(phi_own_state){ .has_metadata = true,
                               .metadata = { { phi_bytes_text("zone"), phi_bytes_text("eu") } },
                               .metadata_count = 1 });
    world_settle(w);
    uint64_t revision = presence_revision(&w->c->presence);
    peer_own_state(one, &(phi_own_state){ 0 });
    peer_own_state(one, &(phi_own_state){ .state = PHI_STATE_READY });
    peer_own_state(
        one, &(phi_own_state){ .has_weight = true,
                               .weight = 7,
                               .has_metadata = true,
                               .metadata = { { phi_bytes_text("zone"), phi_bytes_text("eu") } },
                               .metadata_count = 1 });
    world_settle(w);
    EXPECT_EQ(presence_revision(&w->c->presence), revision);
    EXPECT_EQ(watcher->revision, revision);
    EXPECT(one->is_open && !one->is_ended);
    world_free(w);
}

// A line must fit into a page, whatever a client says; and what breaks the form ends the link, not
// the center. [P-72]
TEST(service, line_that_gets_too_long_ends_the_link)
{
    static const uint8_t bulk[PHI_METADATA_VALUE_BYTES_MAX];
    static const size_t counts[] = { 7, 8, PHI_METADATA_COUNT_MAX };
    for (size_t i = 0; i < PHI_COUNT_OF(counts); i++) {
        world *w = world_new(NULL);
        peer *watcher = world_watch(w, "w");
        peer *one = instance(w, "one", PHI_STATE_READY, 100);
        phi_own_state own = { .has_metadata = true, .metadata_count = counts[i] };
        for (size_t n = 0; n < counts[i]; n++) {
            own.metadata[n] =
                (phi_metadata){ phi_bytes_text("k"), phi_bytes_of(bulk, sizeof bulk) };
        }
        peer_own_state(one, &own);
        world_settle(w);
        if (counts[i] * sizeof bulk < PHI_PACKET_BYTES_JOINING_MAX) {
            EXPECT(!one->is_ended);
            EXPECT_EQ(peer_find(watcher, "one@d")->metadata_count, counts[i]);
        } else {
            peer_expect_bye(one, PHI_BYE_MALFORMED);
            EXPECT(peer_find(watcher, "one@d") == NULL);
        }
        world_free(w);
    }
}

// Says metadata of so many bytes, as fields. The size of the line, or 0: the link was ended.
static size_t say_bytes(world *w, size_t size)
{
    static const uint8_t bulk[PHI_METADATA_VALUE_BYTES_MAX];
    enum { HEAD = 1 + 2 + 1 + 1 }; // tag, length, and a key of one byte
    peer *one = instance(w, "one", PHI_STATE_READY, 100);
    phi_own_state own = { .has_metadata = true };
    while (size > 0) {
        size_t part = size < HEAD + sizeof bulk ? size : HEAD + sizeof bulk;
        part = size != part && size - part < HEAD ? part - HEAD
                                                  : part; // something is left for the last one
        EXPECT(part >= HEAD);
        own.metadata[own.metadata_count++] =
            (phi_metadata){ phi_bytes_text("k"), phi_bytes_of(bulk, part - HEAD) };
        size -= part;
    }
    peer_own_state(one, &own);
    world_settle(w);
    size_t line_size = 0;
    if (one->is_ended) {
        peer_expect_bye(one, PHI_BYE_MALFORMED);
    } else {
        line_size = session_find(w->c, phi_bytes_text("one"))->account->entry_size;
        peer_leave(one);
        world_settle(w);
    }
    world_forget(w, one);
    return line_size;
}

// The same to the byte, around every limit there is on the way: that of own state, of a line, of
// what a line is made in. [P-72]
TEST(service, line_of_every_size_around_the_limits_is_judged)
{
    world *w = world_new(NULL);
    size_t head = PHI_ENTRY_FIXED_BYTES + 1 + strlen("one@d") + 1 + strlen("orders");
    for (size_t size = PHI_PACKET_BYTES_JOINING_MAX - 40; size < 8192 + 300; size += 1) {
        bool fits = head + size <= PHI_PACKET_BYTES_JOINING_MAX;
        EXPECT_EQ(say_bytes(w, size), fits ? head + size : 0);
    }
    world_free(w);
}

// A JOIN of the largest size leads to a longer line than own state may make; its client may still
// change its state.
TEST(service, longest_join_may_change_its_state)
{
    static const uint8_t bulk[PHI_METADATA_VALUE_BYTES_MAX];
    phi_join join = { .version = PHI_PROTOCOL_VERSION,
                      .type = PHI_TYPE_CLIENT,
                      .account = phi_bytes_text("one"),
                      .service = phi_bytes_text("orders") };
    for (size_t n = 0; n < 7; n++) {
        join.metadata[n] = (phi_metadata){ phi_bytes_text("k"), phi_bytes_of(bulk, sizeof bulk) };
    }
    join.metadata[7] = (phi_metadata){ phi_bytes_text("k"), phi_bytes_of(bulk, 930) };
    join.metadata_count = 8;
    world *w = world_new(NULL);
    peer *watcher = world_watch(w, "w");
    peer *one = world_connect_as(w, &join);
    world_settle(w);
    EXPECT(one->is_open);
    EXPECT(session_find(w->c, phi_bytes_text("one"))->account->entry_size > 8100);
    say_state(one, PHI_STATE_DRAINING);
    EXPECT(!one->is_ended);
    EXPECT_EQ(peer_find(watcher, "one@d")->state, PHI_STATE_DRAINING);
    EXPECT_EQ(peer_find(watcher, "one@d")->metadata_count, 8);
    world_free(w);
}
