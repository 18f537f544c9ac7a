// SPDX-License-Identifier: Apache-2.0

#include "policy/backoff.h"

#include "tests/harness/test.h"

// A client that tries again too fast holds a recovering center down; one that waits too long is
// missing for no reason.
TEST(backoff, bound_doubles_from_min_to_max)
{
    phi_backoff backoff;
    phi_random random = phi_random_seeded(1);
    phi_backoff_init(&backoff, phi_ms(100), phi_ms(5000));
    static const uint64_t bounds_ms[] = { 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000 };
    for (size_t i = 0; i < sizeof bounds_ms / sizeof bounds_ms[0]; i++) {
        EXPECT_EQ(backoff.bound.ns, phi_ms(bounds_ms[i]).ns);
        EXPECT(phi_backoff_next(&backoff, &random, phi_ns(0)).ns <= phi_ms(bounds_ms[i]).ns);
    }
    phi_backoff_reset(&backoff);
    EXPECT_EQ(backoff.bound.ns, phi_ms(100).ns);
}

// Waits that bunch together bring all clients back at once: each tenth of the range must get its
// share of the draws, the ends too.
TEST(backoff, waits_spread_over_the_whole_range)
{
    phi_random random = phi_random_seeded(2);
    unsigned tenths[10] = { 0 };
    phi_backoff backoff;
    phi_backoff_init(&backoff, phi_ms(10), phi_ms(10));
    for (int i = 0; i < 100000; i++) {
        uint64_t wait = phi_backoff_next(&backoff, &random, phi_ns(0)).ns;
        EXPECT(wait <= phi_ms(10).ns);
        tenths[wait / phi_ms(1).ns == 10 ? 9 : wait / phi_ms(1).ns]++;
    }
    for (int i = 0; i < 10; i++) {
        EXPECT(tenths[i] > 9500 && tenths[i] < 10500); // 500 is more than five standard deviations
    }
}

// A center that says "not before" must be obeyed, and those it told so must not all come then.
TEST(backoff, retry_after_is_the_least_and_is_spread)
{
    phi_random random = phi_random_seeded(3);
    phi_backoff backoff;
    phi_backoff_init(&backoff, phi_ms(100), phi_ms(100));
    uint64_t least = UINT64_MAX;
    uint64_t most = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t wait = phi_backoff_next(&backoff, &random, phi_seconds(3)).ns;
        least = wait < least ? wait : least;
        most = wait > most ? wait : most;
    }
    EXPECT(least >= phi_seconds(3).ns);
    EXPECT(most <= phi_ms(3100).ns);
    EXPECT(most - least > phi_ms(80).ns);
}

// Options come from users: the largest times must not wrap around to no wait at all.
TEST(backoff, largest_times_saturate)
{
    phi_random random = phi_random_seeded(4);
    phi_backoff backoff;
    phi_backoff_init(&backoff, phi_ns(1), phi_ns(UINT64_MAX));
    for (int i = 0; i < 64; i++) {
        (void)phi_backoff_next(&backoff, &random, phi_ns(0));
    }
    EXPECT_EQ(backoff.bound.ns, UINT64_MAX);
    EXPECT_EQ(phi_backoff_next(&backoff, &random, phi_ns(UINT64_MAX)).ns, UINT64_MAX);
}
