// SPDX-License-Identifier: Apache-2.0
//
// policy/balancer_test.c - the balancer by itself, and in a small world of callers and instances,
// in which time is a number.

#include "policy/balancer.h"

#include <stdlib.h>

#include "tests/harness/test.h"

enum {
    INSTANCES_MAX = 16,
    FLYING_MAX = 4096,
};

// ---- a small world

typedef struct instance {
    phi_load load;
    uint64_t latency_us; // of one call
    bool is_spread;      // from call to call, exponentially
    bool is_failing;
    bool has_slow_method; // one call in a hundred takes a hundred times as long
    bool is_serial;       // one call at a time
    uint64_t busy_till;   // ns; when is_serial
    uint64_t given;       // calls
} instance;

typedef struct flying {
    uint64_t end_ns;
    uint64_t begin_ns;
    uint32_t at; // instance
    bool has_failed;
} flying;

typedef struct town {
    phi_balancer balancer;
    phi_random random;
    instance all[INSTANCES_MAX];
    uint32_t count;
    uint64_t now_ns;
    uint64_t gap_ns;  // between calls, on average
    uint64_t next_ns; // the next call
    flying heap[FLYING_MAX];
    uint32_t flying_count;
} town;

static phi_time at(uint64_t ns)
{
    return (phi_time){ ns };
}

static town *town_new(uint32_t count, uint64_t calls_per_second, uint64_t seed)
{
    town *t = calloc(1, sizeof *t);
    EXPECT(t != NULL);
    phi_balancer_init(&t->balancer, &phi_alloc_heap);
    t->random = phi_random_seeded(seed);
    t->now_ns = UINT64_C(1000000000000);
    t->next_ns = t->now_ns;
    t->gap_ns = UINT64_C(1000000000) / calls_per_second;
    t->count = count;
    EXPECT_ERR(phi_balancer_reserve(&t->balancer, count), PH_OK);
    for (uint32_t i = 0; i < count; i++) {
        t->all[i].latency_us = 1000;
        phi_balancer_set(&t->balancer, &t->all[i].load, 100, at(t->now_ns));
    }
    return t;
}

static void town_free(town *t)
{
    phi_balancer_check(&t->balancer);
    phi_balancer_fini(&t->balancer);
    free(t);
}

// About exponential, with that mean: halvings by coin tosses, and evenly within one.
static uint64_t spread(phi_random *random, uint64_t mean)
{
    uint64_t halvings = 0;
    while (halvings < 20 && phi_random_below(random, 2) == 0) {
        halvings++;
    }
    return (halvings * 693 + phi_random_below(random, 694)) * mean / 1000; // ln 2
}

static void fly(town *t, flying f)
{
    EXPECT(t->flying_count < FLYING_MAX);
    uint32_t i = t->flying_count++;
    while (i > 0 && t->heap[(i - 1) / 2].end_ns > f.end_ns) {
        t->heap[i] = t->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    t->heap[i] = f;
}

static flying land(town *t)
{
    flying first = t->heap[0];
    flying last = t->heap[--t->flying_count];
    uint32_t i = 0;
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= t->flying_count) {
            break;
        }
        if (child + 1 < t->flying_count && t->heap[child + 1].end_ns < t->heap[child].end_ns) {
            child++;
        }
        if (t->heap[child].end_ns >= last.end_ns) {
            break;
        }
        t->heap[i] = t->heap[child];
        i = child;
    }
    t->heap[i] = last;
    return first;
}

static void call(town *t)
{
    phi_load *load = phi_balancer_pick(&t->balancer, &t->random, at(t->now_ns), NULL);
    EXPECT(load != NULL);
    instance *one = PHI_CONTAINER_OF(load, instance, load);
    phi_balancer_begin(&t->balancer, load, at(t->now_ns));
    one->given++;
    uint64_t took = one->latency_us * 1000;
    if (one->is_failing) {
        took = 1000;
    } else if (one->has_slow_method && phi_random_chance(&t->random, 1)) {
        took *= 100;
    } else if (one->is_spread) {
        took = spread(&t->random, took);
    }
    uint64_t begin = t->now_ns;
    if (one->is_serial && one->busy_till > begin) {
        begin = one->busy_till;
    }
    one->busy_till = begin + took;
    fly(t, (flying){ .end_ns = begin + took,
                     .begin_ns = t->now_ns,
                     .at = (uint32_t)(one - t->all),
                     .has_failed = one->is_failing });
}

static void town_pass(town *t, uint64_t ms)
{
    uint64_t end = t->now_ns + ms * 1000000;
    for (;;) {
        bool is_landing = t->flying_count > 0 && t->heap[0].end_ns <= t->next_ns;
        uint64_t next = is_landing ? t->heap[0].end_ns : t->next_ns;
        if (next >= end) {
            break;
        }
        t->now_ns = next;
        if (is_landing) {
            flying f = land(t);
            phi_balancer_end(&t->balancer, &t->all[f.at].load,
                             f.has_failed ? PHI_LOAD_FAILED : PHI_LOAD_ANSWERED,
                             phi_ns(t->now_ns - f.begin_ns), at(t->now_ns));
        } else {
            call(t);
            t->next_ns += spread(&t->random, t->gap_ns);
        }
    }
    t->now_ns = end;
}

static void town_forget(town *t)
{
    for (uint32_t i = 0; i < t->count; i++) {
        t->all[i].given = 0;
    }
}

// In thousandths.
static uint64_t share(const town *t, uint32_t i)
{
    uint64_t sum = 0;
    for (uint32_t k = 0; k < t->count; k++) {
        sum += t->all[k].given;
    }
    EXPECT(sum > 0);
    return t->all[i].given * 1000 / sum;
}

// ---- what it promises

typedef struct condition {
    uint64_t calls_per_second;
    bool is_spread;
    bool is_serial;
} condition;

static const condition conditions[] = {
    { 50, false, false },  { 50, true, true },    { 500, false, true },
    { 1000, true, false }, { 3000, true, false }, { 5000, false, true },
};

static town *town_like(const condition *like, uint32_t count)
{
    town *t = town_new(count, like->calls_per_second, 7);
    for (uint32_t i = 0; i < count; i++) {
        t->all[i].is_spread = like->is_spread;
        t->all[i].is_serial = like->is_serial;
    }
    return t;
}

// An instance that fails at once looks like the fastest of all, and would swallow what comes; one
// that is slow would make a tenth of all callers wait. Neither may be shut out for good. [P-64]
TEST(balancer, failing_and_slow_ones_get_little_and_come_back)
{
    for (size_t i = 0; i < PHI_COUNT_OF(conditions); i++) {
        town *t = town_like(&conditions[i], 10);
        t->all[3].is_failing = true;
        t->all[7].latency_us *= 10;
        town_pass(t, 1000);
        town_forget(t);
        town_pass(t, 5000);
        EXPECT(share(t, 3) < 20);
        EXPECT(share(t, 7) < 40);
        t->all[3].is_failing = false;
        t->all[7].latency_us /= 10;
        town_pass(t, 5000);
        town_forget(t);
        town_pass(t, 2000);
        EXPECT(share(t, 3) >= 50);
        EXPECT(share(t, 7) >= 50);
        town_free(t);
    }
}

// With two, one of which fails, half of all pairs are the same one twice.
TEST(balancer, one_of_two_that_fails_gets_little)
{
    town *t = town_new(2, 500, 3);
    t->all[0].is_failing = true;
    town_pass(t, 5000);
    EXPECT(share(t, 0) < 20);
    town_free(t);
}

// A method that takes long takes long everywhere. Who happened to get it last is not shut out for
// it: no instance stands idle, and none gets the work of all.
TEST(balancer, slow_method_is_nobodys_fault)
{
    for (uint64_t rate = 100; rate <= 10000; rate *= 10) {
        town *t = town_new(10, rate, 8);
        for (uint32_t i = 0; i < t->count; i++) {
            t->all[i].has_slow_method = true;
        }
        town_pass(t, 1000);
        town_forget(t);
        town_pass(t, 10000000 / rate);
        for (uint32_t i = 0; i < t->count; i++) {
            EXPECT(share(t, i) > 80 && share(t, i) < 120);
        }
        town_free(t);
    }
}

// When all fail, all are asked: which one recovers first cannot be known.
TEST(balancer, where_all_fail_all_are_asked)
{
    town *t = town_new(5, 500, 4);
    town_pass(t, 1000);
    for (uint32_t i = 0; i < t->count; i++) {
        t->all[i].is_failing = true;
    }
    town_pass(t, 1000);
    town_forget(t);
    town_pass(t, 5000);
    for (uint32_t i = 0; i < t->count; i++) {
        EXPECT(share(t, i) > 150);
    }
    town_free(t);
}

// An operator who gives a new version a weight of a seventh wants a seventh of the calls there.
TEST(balancer, weights_are_shares_where_all_are_equal)
{
    for (size_t i = 0; i < PHI_COUNT_OF(conditions); i++) {
        town *t = town_like(&conditions[i], 3);
        for (uint32_t k = 0; k < 3; k++) {
            t->all[k].latency_us = conditions[i].is_serial ? 100 : 1000; // or it is overloaded
            phi_balancer_set(&t->balancer, &t->all[k].load, (uint16_t)(1u << k), at(t->now_ns));
        }
        town_pass(t, 1000);
        town_forget(t);
        town_pass(t, 20000 * UINT64_C(1000) / conditions[i].calls_per_second);
        EXPECT(share(t, 0) >= 135 && share(t, 0) <= 150); // 143
        EXPECT(share(t, 1) >= 271 && share(t, 1) <= 300); // 286
        EXPECT(share(t, 2) >= 542 && share(t, 2) <= 600); // 571
        town_free(t);
    }
}

// A new instance of which nothing is known would be flooded if it counted as fast, and get nothing
// if it counted as slow.
TEST(balancer, newcomer_gets_its_share)
{
    town *t = town_new(5, 2000, 5);
    phi_balancer_set(&t->balancer, &t->all[4].load, 0, at(t->now_ns));
    town_pass(t, 1000);
    EXPECT_EQ(share(t, 4), 0);
    phi_balancer_set(&t->balancer, &t->all[4].load, 100, at(t->now_ns));
    town_forget(t);
    town_pass(t, 200);
    EXPECT(share(t, 4) > 170);
    EXPECT(share(t, 4) < 230);
    town_free(t);
}

// A weight counts from the moment in which it is changed, not when what was given before is
// forgotten.
TEST(balancer, changed_weight_counts_at_once)
{
    town *t = town_new(3, 2000, 6);
    town_pass(t, 3000);
    for (uint32_t i = 0; i < 3; i++) {
        phi_balancer_set(&t->balancer, &t->all[i].load, (uint16_t)(100u << i), at(t->now_ns));
    }
    town_forget(t);
    town_pass(t, 500);
    EXPECT(share(t, 0) >= 135 && share(t, 0) <= 150); // 143
    EXPECT(share(t, 2) >= 542 && share(t, 2) <= 600); // 571
    town_free(t);
}

// ---- drawing

// A sum that is off by one instance sends its calls to another, for ever. Sets, moves and takes out
// at random, and draws from what is there.
TEST(balancer, sums_hold_whatever_comes_and_goes)
{
    phi_alloc_counter counter;
    phi_alloc_counter_init(&counter, &phi_alloc_heap);
    phi_balancer b;
    phi_balancer_init(&b, &counter.alloc);
    phi_load loads[200] = { { 0 } };
    phi_random random = phi_random_seeded(11);
    EXPECT(phi_balancer_pick(&b, &random, at(1), NULL) == NULL);
    for (uint32_t n = 0; n < 5000; n++) {
        phi_load *one = &loads[phi_random_below(&random, n < 2500 ? 200 : 3)];
        uint16_t weight = (uint16_t)phi_random_below(&random, 3);
        weight = weight == 2 ? UINT16_MAX : weight;
        EXPECT_ERR(phi_balancer_reserve(&b, b.count + 1), PH_OK);
        phi_balancer_set(&b, one, weight, at(n));
        EXPECT_EQ(one->place != 0, weight != 0);
        if (n % 16 == 0) {
            phi_balancer_check(&b);
        }
        const phi_load *got = phi_balancer_pick(&b, &random, at(n), one);
        EXPECT(got != one);
        EXPECT_EQ(got == NULL, b.count == (one->place != 0));
        EXPECT(got == NULL || got->place != 0);
    }
    phi_balancer_fini(&b);
    EXPECT_EQ(counter.bytes, 0);
}

// Each is drawn as often as its weight says, also with another one left out.
TEST(balancer, draws_are_proportional_without_the_one_left_out)
{
    town *t = town_new(7, 1000, 12);
    for (uint32_t i = 0; i < t->count; i++) {
        phi_balancer_set(&t->balancer, &t->all[i].load, (uint16_t)(i + 1), at(t->now_ns));
    }
    for (uint32_t n = 0; n < 25000; n++) { // of 28 - 3 parts
        phi_load *load =
            phi_balancer_pick(&t->balancer, &t->random, at(t->now_ns), &t->all[2].load);
        PHI_CONTAINER_OF(load, instance, load)->given++;
    }
    EXPECT_EQ(t->all[2].given, 0);
    for (uint32_t i = 0; i < t->count; i++) {
        uint64_t fair = i == 2 ? 0 : (i + 1) * 1000;
        EXPECT(t->all[i].given + 300 > fair && t->all[i].given < fair + 300);
    }
    town_free(t);
}

// Where there is no memory, nothing is half done: what was there goes on.
TEST(balancer, without_memory_stays_as_it_was)
{
    for (size_t n = 1; n <= 2; n++) {
        phi_alloc_counter counter;
        phi_alloc_counter_init(&counter, &phi_alloc_heap);
        phi_balancer b;
        phi_balancer_init(&b, &counter.alloc);
        EXPECT_ERR(phi_balancer_reserve(&b, 1), PH_OK);
        phi_load one = { 0 };
        phi_balancer_set(&b, &one, 1, at(1));
        uint32_t capacity = b.capacity;
        counter.fail_at = counter.takes + n;
        EXPECT_ERR(phi_balancer_reserve(&b, capacity + 1), PH_ENOMEM);
        phi_balancer_check(&b);
        phi_random random = phi_random_seeded(1);
        EXPECT(phi_balancer_pick(&b, &random, at(2), NULL) == &one);
        EXPECT_ERR(phi_balancer_reserve(&b, capacity + 1), PH_OK);
        EXPECT(phi_balancer_pick(&b, &random, at(3), NULL) == &one);
        phi_balancer_fini(&b);
        EXPECT_EQ(counter.bytes, 0);
    }
}

// The longest calls, the heaviest weights and the most of both must not overflow into cheapness.
TEST(balancer, extremes_do_not_overflow)
{
    phi_balancer b;
    phi_balancer_init(&b, &phi_alloc_heap);
    phi_load loads[2] = { { 0 } };
    EXPECT_ERR(phi_balancer_reserve(&b, 2), PH_OK);
    phi_random random = phi_random_seeded(1);
    phi_balancer_set(&b, &loads[0], 1, at(0));
    phi_balancer_set(&b, &loads[1], UINT16_MAX, at(0));
    phi_time now = at(UINT64_MAX / 2);
    for (int i = 0; i < 2; i++) {
        phi_balancer_begin(&b, &loads[i], now);
        phi_balancer_end(&b, &loads[i], PHI_LOAD_ANSWERED, phi_seconds(86400), now);
    }
    for (uint32_t i = 0; i < 3000000; i++) {
        phi_balancer_begin(&b, &loads[0], now);
    }
    for (int i = 0; i < 100; i++) {
        EXPECT(phi_balancer_pick(&b, &random, now, NULL) == &loads[1]);
    }
    phi_balancer_check(&b);
    phi_balancer_fini(&b);
}
