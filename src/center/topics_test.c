// SPDX-License-Identifier: Apache-2.0
//
// center/topics_test.c - that a topic reaches exactly those who want it, at a cost that others do
// not raise, and that nothing stays behind.

#include "center/topics.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "base/random.h"
#include "tests/center/topics_model.h"
#include "tests/harness/test.h"

typedef struct fixture {
    phi_alloc_counter memory;
    topics t;
} fixture;

static void begin(fixture *f)
{
    phi_alloc_counter_init(&f->memory, &phi_alloc_heap);
    topics_init(&f->t, &f->memory.alloc, (phi_hash_key){ 1, 2 },
                &(topics_limits){ .subscriptions_max = 100000,
                                  .subscriptions_per_client_max = 70000,
                                  .wild_per_client_max = 4096,
                                  .memory_max = SIZE_MAX });
}

static void end(fixture *f)
{
    topics_check(&f->t);
    topics_fini(&f->t);
    EXPECT_EQ(f->memory.blocks, 0);
}

static topics_client *client_of(fixture *f, char *name)
{
    topics_client *client = topics_client_new(&f->t, name);
    assert_non_null(client);
    return client;
}

static ph_err subscribe(fixture *f, topics_client *client, const char *text)
{
    phi_topic pattern;
    EXPECT(phi_pattern_parse(phi_bytes_text(text), &pattern));
    return topics_subscribe(&f->t, client, &pattern);
}

static bool unsubscribe(fixture *f, topics_client *client, const char *text)
{
    phi_topic pattern;
    EXPECT(phi_pattern_parse(phi_bytes_text(text), &pattern));
    return topics_unsubscribe(&f->t, client, &pattern);
}

// Owners are letters; they are written down in the order in which they are found.
typedef struct finds {
    char letters[64];
    size_t count;
} finds;

static void on_found(void *arg, void *owner)
{
    finds *f = arg;
    EXPECT(f->count + 1 < sizeof f->letters);
    f->letters[f->count++] = *(char *)owner;
}

static int compare(const void *a, const void *b)
{
    return *(const char *)a - *(const char *)b;
}

// Who is found, in order of the alphabet.
static finds match(fixture *f, const char *text)
{
    finds found = { .count = 0 };
    phi_topic topic;
    EXPECT(phi_topic_parse(phi_bytes_text(text), &topic));
    topics_match(&f->t, &topic, on_found, &found);
    qsort(found.letters, found.count, 1, compare);
    return found;
}

static size_t cost_of(fixture *f, const char *text)
{
    finds found = { .count = 0 };
    phi_topic topic;
    EXPECT(phi_topic_parse(phi_bytes_text(text), &topic));
    return topics_match(&f->t, &topic, on_found, &found);
}

#define EXPECT_FOUND(f, topic, who) EXPECT_TEXT(match((f), (topic)).letters, who)

// `*` is exactly one word and `>` one or more: who gets too little misses an order, who gets too
// much books one twice.
TEST(topics, wildcards_mean_what_they_say)
{
    static char names[] = "abcdef";
    static const char *const patterns[] = {
        "orders.eu.created", "orders.*.created", "orders.>", "*.*", ">", "*.eu.>",
    };
    fixture f;
    begin(&f);
    topics_client *clients[6];
    for (size_t i = 0; i < 6; i++) {
        clients[i] = client_of(&f, &names[i]);
        EXPECT_ERR(subscribe(&f, clients[i], patterns[i]), PH_OK);
    }
    EXPECT_FOUND(&f, "orders.eu.created", "abcef");
    EXPECT_FOUND(&f, "orders.us.created", "bce");
    EXPECT_FOUND(&f, "orders", "e");
    EXPECT_FOUND(&f, "orders.eu", "cde");
    EXPECT_FOUND(&f, "orders.eu.created.x", "cef");
    EXPECT_FOUND(&f, "x.eu", "de");
    EXPECT_FOUND(&f, "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p", "e");
    for (size_t i = 0; i < 6; i++) {
        topics_leave(&f.t, &clients[i]);
        EXPECT(clients[i] == NULL);
    }
    end(&f);
}

// A client with several patterns that fit gets an event once.
TEST(topics, client_is_found_once)
{
    fixture f;
    begin(&f);
    topics_client *a = client_of(&f, (char[]){ 'a' });
    static const char *const patterns[] = { "x.y", "x.*", "*.y", "*.*", "x.>", ">", "x.y" };
    for (size_t i = 0; i < PHI_COUNT_OF(patterns); i++) {
        EXPECT_ERR(subscribe(&f, a, patterns[i]), PH_OK);
    }
    EXPECT_EQ(topics_client_count(a), 6); // one of them is there twice
    EXPECT_FOUND(&f, "x.y", "a");
    EXPECT_FOUND(&f, "x.y", "a"); // and the next time again
    topics_leave(&f.t, &a);
    end(&f);
}

// What was taken back, and who left, is found no more; what nobody needs gives its place back.
TEST(topics, unsubscribe_and_leave_take_away)
{
    fixture f;
    begin(&f);
    topics_client *a = client_of(&f, (char[]){ 'a' });
    topics_client *b = client_of(&f, (char[]){ 'b' });
    EXPECT_ERR(subscribe(&f, a, "one.two.three"), PH_OK);
    EXPECT_ERR(subscribe(&f, b, "one.two.three"), PH_OK);
    EXPECT_ERR(subscribe(&f, a, "one.a-word-that-is-longer-than-sixteen.*"), PH_OK);
    EXPECT_EQ(f.t.nodes.count, 5);
    EXPECT(!unsubscribe(&f, a, "one.two"));
    EXPECT(!unsubscribe(&f, a, "one.two.three.four"));
    EXPECT(!unsubscribe(&f, b, "one.a-word-that-is-longer-than-sixteen.*"));
    EXPECT(unsubscribe(&f, a, "one.two.three"));
    EXPECT(!unsubscribe(&f, a, "one.two.three"));
    EXPECT_FOUND(&f, "one.two.three", "b");
    EXPECT_FOUND(&f, "one.a-word-that-is-longer-than-sixteen.x", "a");
    topics_leave(&f.t, &b);
    EXPECT_FOUND(&f, "one.two.three", "");
    EXPECT_EQ(topics_count(&f.t), 2); // b's is not swept yet
    EXPECT_EQ(topics_sweep(&f.t, 10), 1);
    EXPECT_EQ(f.t.nodes.count, 3);
    topics_leave(&f.t, &a);
    EXPECT_EQ(topics_sweep(&f.t, 10), 1);
    EXPECT_EQ(f.t.nodes.count, 0);
    end(&f);
}

// One client must not be able to take what there is for all; who is at its limit keeps what it has,
// and may say again what it said.
TEST(topics, limits_hold)
{
    fixture f;
    phi_alloc_counter_init(&f.memory, &phi_alloc_heap);
    topics_init(&f.t, &f.memory.alloc, (phi_hash_key){ 1, 2 },
                &(topics_limits){ .subscriptions_max = 3,
                                  .subscriptions_per_client_max = 2,
                                  .memory_max = SIZE_MAX });
    topics_client *a = client_of(&f, (char[]){ 'a' });
    topics_client *b = client_of(&f, (char[]){ 'b' });
    EXPECT_ERR(subscribe(&f, a, "1"), PH_OK);
    EXPECT_ERR(subscribe(&f, a, "2"), PH_OK);
    EXPECT_ERR(subscribe(&f, a, "3"), PH_ELIMIT);
    EXPECT_ERR(subscribe(&f, a, "2"), PH_OK);
    EXPECT_ERR(subscribe(&f, b, "4.x"), PH_OK);
    EXPECT_ERR(subscribe(&f, b, "5.x"), PH_ELIMIT);
    EXPECT_EQ(f.t.nodes.count, 4); // what was refused left nothing
    topics_leave(&f.t, &a);
    EXPECT_ERR(subscribe(&f, b, "5.x"), PH_ELIMIT); // not swept yet
    EXPECT_EQ(topics_sweep(&f.t, 1), 1);
    EXPECT_ERR(subscribe(&f, b, "5.x"), PH_OK);
    topics_leave(&f.t, &b);
    end(&f);
}

// Patterns with many `*` are what makes a match dear, clients with thousands of them one that takes
// longer than a turn may: each has only some, and others with few as many as before. [P-73]
TEST(topics, few_patterns_with_many_wildcards)
{
    fixture f;
    phi_alloc_counter_init(&f.memory, &phi_alloc_heap);
    topics_init(&f.t, &f.memory.alloc, (phi_hash_key){ 1, 2 },
                &(topics_limits){ .subscriptions_max = 100,
                                  .subscriptions_per_client_max = 100,
                                  .wild_per_client_max = 2,
                                  .memory_max = SIZE_MAX });
    topics_client *a = client_of(&f, (char[]){ 'a' });
    topics_client *b = client_of(&f, (char[]){ 'b' });
    EXPECT_ERR(subscribe(&f, a, "*.*.*"), PH_OK);
    EXPECT_ERR(subscribe(&f, a, "*.x.*.*.>"), PH_OK);
    EXPECT_ERR(subscribe(&f, a, "x.*.*.*"), PH_ELIMIT);
    EXPECT_ERR(subscribe(&f, a, "*.*.*"), PH_OK); // again is nothing
    EXPECT_ERR(subscribe(&f, a, "*.*.x.>"), PH_OK);
    EXPECT_ERR(subscribe(&f, b, "x.*.*.*"), PH_OK);
    EXPECT(unsubscribe(&f, a, "*.*.x.>")); // was none of those
    EXPECT_ERR(subscribe(&f, a, "x.*.*.*"), PH_ELIMIT);
    EXPECT(unsubscribe(&f, a, "*.*.*"));
    EXPECT_ERR(subscribe(&f, a, "x.*.*.*"), PH_OK);
    topics_leave(&f.t, &a);
    topics_leave(&f.t, &b);
    end(&f);
}

// Memory has a ceiling of its own: long patterns cost more than short ones.
TEST(topics, memory_has_a_ceiling)
{
    fixture f;
    phi_alloc_counter_init(&f.memory, &phi_alloc_heap);
    topics_init(&f.t, &f.memory.alloc, (phi_hash_key){ 1, 2 },
                &(topics_limits){ .subscriptions_max = 100000,
                                  .subscriptions_per_client_max = 100000,
                                  .wild_per_client_max = 100000,
                                  .memory_max = 1048576 });
    topics_client *a = client_of(&f, (char[]){ 'a' });
    ph_err rc = PH_OK;
    unsigned count = 0;
    while (rc == PH_OK) {
        char text[80];
        snprintf(text, sizeof text, "a.word.%u.and-one-that-is-longer-than-any-other.*", count);
        rc = subscribe(&f, a, text);
        count += rc == PH_OK;
        EXPECT(f.memory.bytes <= 1048576);
    }
    EXPECT_ERR(rc, PH_ENOMEM);
    EXPECT(count > 2000);
    EXPECT_EQ(topics_count(&f.t), count);
    topics_check(&f.t);
    EXPECT_FOUND(&f, "a.word.7.and-one-that-is-longer-than-any-other.x", "a");
    topics_leave(&f.t, &a);
    end(&f);
}

// The cost of a match does not grow with what else is subscribed.
TEST(topics, cost_follows_from_the_topic_alone)
{
    fixture f;
    begin(&f);
    topics_client *a = client_of(&f, (char[]){ 'a' });
    EXPECT_ERR(subscribe(&f, a, "orders.eu.7.created"), PH_OK);
    EXPECT_ERR(subscribe(&f, a, "orders.*.7.created"), PH_OK);
    EXPECT_ERR(subscribe(&f, a, "orders.>"), PH_OK);
    size_t alone = cost_of(&f, "orders.eu.7.created");
    for (unsigned i = 100; i < 20100; i++) {
        char text[64];
        snprintf(text, sizeof text, i % 3 == 0 ? "orders.eu.%u.created" : "orders.*.%u.>", i);
        EXPECT_ERR(subscribe(&f, a, text), PH_OK);
    }
    EXPECT_EQ(cost_of(&f, "orders.eu.7.created"), alone);
    EXPECT(alone <= 12);
    topics_leave(&f.t, &a);
    end(&f);
}

// Whoever subscribes to all mixtures of words and `*` makes a match dear. Its cost is bounded by
// the words of a topic, and it is told, so that it can be charged.
TEST(topics, worst_patterns_cost_what_is_told)
{
    fixture f;
    begin(&f);
    topics_client *a = client_of(&f, (char[]){ 'a' });
    for (unsigned mix = 0; mix < 1u << 12; mix++) {
        char text[24];
        for (unsigned i = 0; i < 12; i++) {
            text[2 * i] = (mix >> i & 1) != 0 ? '*' : 'w';
            text[2 * i + 1] = '.';
        }
        text[23] = '\0';
        EXPECT_ERR(subscribe(&f, a, text), PH_OK);
    }
    size_t cost = cost_of(&f, "w.w.w.w.w.w.w.w.w.w.w.w");
    EXPECT_EQ(cost, (1u << 13) - 1 + (1u << 12)); // the whole tree, and each subscription once
    EXPECT_EQ(cost_of(&f, "w.w.w.w.w.w.w.w.w.w.w"), (1u << 12) - 1);
    topics_leave(&f.t, &a);
    end(&f);
}

// A subscription that is half made when memory ends must leave nothing behind, and change nothing
// for others.
TEST(topics, every_failing_allocation_is_survived)
{
    for (size_t fail_at = 1; fail_at < 16; fail_at++) {
        fixture f;
        begin(&f);
        f.memory.fail_at = fail_at;
        topics_client *a = topics_client_new(&f.t, (char[]){ 'a' });
        if (a != NULL) {
            ph_err first = subscribe(&f, a, "x.y");
            ph_err second = subscribe(&f, a, "x.a-word-that-is-longer-than-sixteen.b-that-too");
            topics_check(&f.t);
            EXPECT(first == PH_OK || first == PH_ENOMEM);
            EXPECT_EQ(match(&f, "x.y").count, first == PH_OK);
            EXPECT_EQ(topics_count(&f.t), (first == PH_OK) + (second == PH_OK));
            EXPECT(fail_at > f.memory.takes || first != PH_OK || second != PH_OK);
            topics_leave(&f.t, &a);
        }
        end(&f);
    }
}

// Whatever is done in whatever order, a topic finds exactly those that a plain array finds.
TEST(topics, random_use_agrees_with_a_plain_array)
{
    static uint8_t script[3000];
    phi_random random = phi_random_seeded(11);
    for (int i = 0; i < 60; i++) {
        for (size_t k = 0; k < sizeof script; k++) {
            script[k] = (uint8_t)phi_random_next(&random);
        }
        const char *wrong = topics_model_judge(phi_bytes_of(script, sizeof script));
        EXPECT_TEXT(wrong == NULL ? "" : wrong, "");
    }
}
