// SPDX-License-Identifier: Apache-2.0
//
// center/readership_test.c - that whom a topic is for is told from memory only as long as a match
// would tell the same, and what is kept has its limits. (The random test of topics_test.c asks
// here, too.)

#include "center/readership.h"

#include <stdio.h>

#include "base/compiler.h"
#include "tests/harness/test.h"

typedef struct fixture {
    phi_alloc_counter memory;
    topics t;
    readerships all;
    topics_client *a;
    topics_client *b;
} fixture;

static void begin(fixture *f)
{
    phi_alloc_counter_init(&f->memory, &phi_alloc_heap);
    topics_init(&f->t, &f->memory.alloc, (phi_hash_key){ 1, 2 },
                &(topics_limits){ .subscriptions_max = 10000,
                                  .subscriptions_per_client_max = 10000,
                                  .wild_per_client_max = 10000,
                                  .memory_max = SIZE_MAX });
    readerships_init(&f->all, &f->t, (phi_hash_key){ 3, 4 });
    f->a = topics_client_new(&f->t, (char[]){ "a" });
    f->b = topics_client_new(&f->t, (char[]){ "b" });
    assert_non_null(f->a);
    assert_non_null(f->b);
}

static void end(fixture *f)
{
    readerships_check(&f->all);
    readerships_fini(&f->all);
    topics_leave(&f->t, &f->a);
    topics_leave(&f->t, &f->b);
    topics_fini(&f->t);
    EXPECT_EQ(f->memory.blocks, 0);
}

static void subscribe(fixture *f, topics_client *client, const char *text)
{
    phi_topic pattern;
    EXPECT(phi_pattern_parse(phi_bytes_text(text), &pattern));
    EXPECT_ERR(topics_subscribe(&f->t, client, &pattern), PH_OK);
}

static void unsubscribe(fixture *f, topics_client *client, const char *text)
{
    phi_topic pattern;
    EXPECT(phi_pattern_parse(phi_bytes_text(text), &pattern));
    EXPECT(topics_unsubscribe(&f->t, client, &pattern));
}

static void on_found(void *arg, void *owner)
{
    (void)owner;
    ++*(size_t *)arg;
}

// Matches, as for an event on a topic that is not known; returns how many were found.
static size_t match(fixture *f, const char *text)
{
    phi_bytes name = phi_bytes_text(text);
    phi_topic topic;
    size_t found = 0;
    EXPECT(phi_topic_parse(name, &topic));
    EXPECT(readership_find(&f->all, name) == NULL);
    readership_match(&f->all, name, &topic, on_found, &found);
    return found;
}

static const readership *find(fixture *f, const char *text)
{
    return readership_find(&f->all, phi_bytes_text(text));
}

static size_t known_count(fixture *f, const char *text)
{
    const readership *known = find(f, text);
    assert_non_null(known);
    return known->count;
}

static void check_cost(void *arg, void *owner)
{
    (void)arg;
    (void)owner;
}

// The second event on a topic must reach those whom the first reached, in their order, and be
// charged alike; a topic that begins like another one is another one.
TEST(readership, is_what_the_match_found)
{
    fixture f;
    begin(&f);
    subscribe(&f, f.a, "x.*");
    subscribe(&f, f.b, "x.y");
    subscribe(&f, f.b, "x.>");
    EXPECT_EQ(match(&f, "x.y"), 2);
    EXPECT_EQ(match(&f, "x.z"), 2);
    EXPECT_EQ(match(&f, "x.y.z"), 1);
    EXPECT_EQ(match(&f, "y"), 0);
    phi_topic topic;
    EXPECT(phi_topic_parse(phi_bytes_text("x.y"), &topic));
    const readership *known = find(&f, "x.y");
    assert_non_null(known);
    EXPECT_EQ(known->count, 2);
    EXPECT_EQ(known->cost, topics_match(&f.t, &topic, check_cost, NULL));
    EXPECT(find(&f, "x.y") == known);
    EXPECT_EQ(known_count(&f, "y"), 0); // that nobody wants it is known, too
    EXPECT_EQ(known_count(&f, "x.y.z"), 1);
    EXPECT(find(&f, "x.") == NULL);
    EXPECT(find(&f, "") == NULL);
    readerships_check(&f.all);
    end(&f);
}

// Nothing that a match could see may go unseen: who subscribed since would miss events, who took it
// back would go on hearing them, and who left is not even there any more.
TEST(readership, ends_with_every_change)
{
    fixture f;
    begin(&f);
    topics_client *c = topics_client_new(&f.t, (char[]){ "c" });
    assert_non_null(c);
    EXPECT_EQ(match(&f, "x"), 0);
    subscribe(&f, f.a, "x");
    EXPECT_EQ(match(&f, "x"), 1);
    subscribe(&f, c, "other"); // any change is one
    subscribe(&f, c, "*");
    EXPECT_EQ(match(&f, "x"), 2);
    unsubscribe(&f, f.a, "x");
    EXPECT_EQ(match(&f, "x"), 1);
    topics_leave(&f.t, &c);
    EXPECT_EQ(match(&f, "x"), 0);
    EXPECT_EQ(known_count(&f, "x"), 0);
    EXPECT_EQ(topics_sweep(&f.t, 1), 1); // finds the same, but passes less
    EXPECT(find(&f, "x") == NULL);
    EXPECT_EQ(topics_sweep(&f.t, 10), 1);
    EXPECT_EQ(topics_sweep(&f.t, 10), 0);
    EXPECT_EQ(match(&f, "x"), 0);
    subscribe(&f, f.b, "y");
    subscribe(&f, f.b, "y"); // it had that: nothing has changed
    EXPECT_EQ(match(&f, "x"), 0);
    subscribe(&f, f.b, "y");
    EXPECT_EQ(known_count(&f, "x"), 0);
    end(&f);
}

// Topics share places when there are more of them: each is told right, and what is kept does not
// grow with them.
TEST(readership, topics_that_share_a_place_are_not_mixed_up)
{
    fixture f;
    begin(&f);
    subscribe(&f, f.a, "topic.*");
    size_t known_twice = 0;
    size_t memory = 0;
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 4 * READERSHIPS_COUNT; i++) {
            char text[32];
            snprintf(text, sizeof text, i % 2 == 0 ? "topic.%u" : "none.%u", i);
            const readership *known = find(&f, text);
            known_twice += known != NULL;
            EXPECT_EQ(known != NULL ? known->count : match(&f, text), i % 2 == 0);
        }
        readerships_check(&f.all);
        if (round == 1) {
            memory = f.all.memory.bytes;
        }
    }
    EXPECT(known_twice < READERSHIPS_COUNT);
    EXPECT(f.all.memory.bytes <= memory + 16 * READERSHIPS_COUNT * sizeof(void *));
    end(&f);
}

// So many clients that all subscribe to the pattern.
static void subscribe_many(fixture *f, topics_client **clients, size_t count, const char *pattern)
{
    for (size_t i = 0; i < count; i++) {
        clients[i] = topics_client_new(&f->t, &clients[i]);
        assert_non_null(clients[i]);
        subscribe(f, clients[i], pattern);
    }
}

static void leave_many(fixture *f, topics_client **clients, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        topics_leave(&f->t, &clients[i]);
    }
}

// A topic that thousands want would cost a match for each event, of all things.
TEST(readership, many_are_kept)
{
    enum { MANY = 5000 };
    static topics_client *clients[MANY];
    fixture f;
    begin(&f);
    subscribe_many(&f, clients, MANY, "*");
    EXPECT_EQ(match(&f, "any"), MANY);
    EXPECT_EQ(known_count(&f, "any"), MANY);
    readerships_check(&f.all);
    leave_many(&f, clients, MANY);
    end(&f);
}

// What is kept counts as memory of subscriptions: it takes no more of that than there is, and who
// finds no room is found each time.
TEST(readership, is_kept_while_there_is_room)
{
    enum { MANY = 100 };
    topics_client *clients[MANY];
    fixture f;
    begin(&f);
    subscribe_many(&f, clients, MANY, "*");
    size_t bytes = f.t.memory.bytes;
    EXPECT_EQ(match(&f, "any"), MANY);
    EXPECT_EQ(known_count(&f, "any"), MANY);
    EXPECT_EQ(f.t.memory.bytes, bytes + f.all.memory.bytes);
    EXPECT(readerships_shed(&f.all));
    EXPECT(!readerships_shed(&f.all)); // there is nothing left of it
    EXPECT_EQ(f.t.memory.bytes, bytes);
    for (size_t room = 0; room < 2; room++) { // for the places, or not even that
        f.t.memory.bytes_max = bytes + room * (MANY / 2 + READERSHIPS_COUNT * sizeof(readership));
        EXPECT_EQ(match(&f, "any"), MANY);
        EXPECT_EQ(match(&f, "any"), MANY);
        EXPECT(f.t.memory.bytes <= f.t.memory.bytes_max);
    }
    f.t.memory.bytes_max = 0;
    EXPECT_EQ(match(&f, "any"), MANY);
    EXPECT_EQ(known_count(&f, "any"), MANY);
    leave_many(&f, clients, MANY);
    end(&f);
}

// Where not all fit, those that do must stay: else each event would push out what the next one
// needs. And what is over must not keep others out for ever.
TEST(readership, gives_way_when_it_is_not_good_any_more)
{
    enum { MANY = 100, ROOM = 128 * sizeof(void *) }; // for one
    topics_client *clients[MANY];
    fixture f;
    begin(&f);
    subscribe_many(&f, clients, MANY, "*");
    f.t.memory.bytes_max =
        f.t.memory.bytes + READERSHIPS_COUNT * sizeof(readership) + ROOM + ROOM / 4;
    EXPECT_EQ(match(&f, "x"), MANY);
    EXPECT_EQ(match(&f, "y"), MANY);
    EXPECT_EQ(match(&f, "y"), MANY);
    EXPECT_EQ(known_count(&f, "x"), MANY);
    unsubscribe(&f, clients[0], "*");
    EXPECT_EQ(match(&f, "y"), MANY - 1);
    EXPECT_EQ(known_count(&f, "y"), MANY - 1);
    EXPECT_EQ(match(&f, "x"), MANY - 1);
    EXPECT_EQ(known_count(&f, "y"), MANY - 1);
    readerships_check(&f.all);
    leave_many(&f, clients, MANY);
    end(&f);
}

// Without memory events reach whom they are for, and nothing half kept is told.
TEST(readership, every_failing_allocation_is_survived)
{
    enum { CLIENTS = 40 }; // so that it grows
    for (size_t fail_at = 1; fail_at < 6; fail_at++) {
        fixture f;
        begin(&f);
        topics_client *clients[CLIENTS];
        for (size_t i = 0; i < CLIENTS; i++) {
            clients[i] = topics_client_new(&f.t, &clients[i]);
            assert_non_null(clients[i]);
            subscribe(&f, clients[i], "x");
        }
        f.all.memory.fail_at = fail_at;
        EXPECT_EQ(match(&f, "x"), CLIENTS);
        bool has_failed = f.all.memory.takes >= fail_at;
        EXPECT_EQ(find(&f, "x") == NULL, has_failed);
        if (has_failed) {
            EXPECT_EQ(match(&f, "x"), CLIENTS);
        }
        EXPECT_EQ(known_count(&f, "x"), CLIENTS);
        for (size_t i = 0; i < CLIENTS; i++) {
            topics_leave(&f.t, &clients[i]);
        }
        end(&f);
    }
}
