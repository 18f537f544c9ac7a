// SPDX-License-Identifier: Apache-2.0

#include "center/flap.h"

#include <stdio.h>

#include "tests/harness/test.h"

#define T0 ((phi_time){ 1000u * 1000u * 1000u })
#define COUNT_MAX 8u

static const phi_hash_key hash_key = { 3, 4 };
static const phi_damping_rule rule = { 4000, 1500, { 15000000000u }, { 60000000000u } };

static void lose(flaps *f, const char *name, unsigned times, phi_time now)
{
    for (unsigned i = 0; i < times; i++) {
        flaps_lost(f, phi_bytes_text(name), now);
    }
}

static bool is_damped(const flaps *f, const char *name, phi_time now)
{
    phi_time calm = { 0 };
    bool damped = flaps_is_damped(f, phi_bytes_text(name), now, &calm);
    EXPECT(!damped || phi_time_before(now, calm));
    return damped;
}

// What is held against one account must not be held against another, and must outlive its session.
// [P-49]
TEST(flap, losses_are_held_against_their_account)
{
    flaps f;
    flaps_init(&f, &phi_alloc_heap, hash_key, &rule, COUNT_MAX);
    lose(&f, "often", 4, T0);
    lose(&f, "seldom", 1, T0);
    EXPECT(is_damped(&f, "often", T0));
    EXPECT(!is_damped(&f, "seldom", T0));
    EXPECT(!is_damped(&f, "never", T0));
    EXPECT(is_damped(&f, "often", phi_time_add(T0, phi_seconds(20))));
    EXPECT(!is_damped(&f, "often", phi_time_add(T0, phi_seconds(25))));
    flaps_fini(&f);
}

// Names that come once, by the million, must take no more than their place, nor push out who was
// lost after them; and what is over makes room by itself.
TEST(flap, records_are_bounded_and_forgotten)
{
    phi_alloc_counter counter;
    phi_alloc_counter_init(&counter, &phi_alloc_heap);
    flaps f;
    flaps_init(&f, &counter.alloc, hash_key, &rule, COUNT_MAX);
    for (unsigned i = 0; i < 1000; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%u", i);
        lose(&f, name, 1, T0);
    }
    EXPECT_EQ(f.by_name.count, COUNT_MAX);
    lose(&f, "often", 4, T0);
    for (unsigned i = 0; i < COUNT_MAX - 1; i++) {
        char name[16];
        snprintf(name, sizeof name, "m%u", i);
        lose(&f, name, 1, T0);
    }
    EXPECT(is_damped(&f, "often", T0));
    phi_time late = phi_time_add(T0, phi_seconds(600));
    for (unsigned i = 0; i < COUNT_MAX; i++) { // two are dropped for each
        lose(&f, "one", 1, late);
    }
    EXPECT_EQ(f.by_name.count, 1);
    flaps_fini(&f);
    EXPECT_EQ(counter.bytes, 0);
}

// Without memory for a record nobody is damped, and nothing breaks.
TEST(flap, loss_without_memory_is_forgiven)
{
    for (size_t fail_at = 1; fail_at <= 2; fail_at++) {
        phi_alloc_counter counter;
        phi_alloc_counter_init(&counter, &phi_alloc_heap);
        flaps f;
        flaps_init(&f, &counter.alloc, hash_key, &rule, COUNT_MAX);
        counter.fail_at = counter.takes + fail_at;
        lose(&f, "a", 1, T0);
        EXPECT_EQ(f.by_name.count, 0);
        lose(&f, "a", 4, T0);
        EXPECT(is_damped(&f, "a", T0));
        flaps_fini(&f);
        EXPECT_EQ(counter.bytes, 0);
    }
}
