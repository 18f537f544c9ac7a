// SPDX-License-Identifier: Apache-2.0

#include "policy/bucket.h"

#include "tests/harness/test.h"

#include "base/compiler.h"
#include "base/random.h"

#define T0 phi_time_add((phi_time){ 0 }, phi_seconds(100))
#define NS 1000000000.0L

// A new one lets a second's worth through at once, and then one by one at the rate: the times that
// an operator computes in the head. [P-78]
TEST(bucket, burst_is_a_second_and_then_the_rate)
{
    phi_bucket b = { .spent = { 0 } };
    for (int i = 0; i < 10; i++) {
        EXPECT_EQ(phi_bucket_ready(&b, 10, T0).ns, T0.ns);
        phi_bucket_charge(&b, 10, 1, T0);
    }
    for (uint64_t i = 1; i < 30; i++) {
        phi_time at = phi_time_add(T0, phi_ms(100 * i));
        EXPECT_EQ(phi_bucket_ready(&b, 10, T0).ns, at.ns);
        phi_bucket_charge(&b, 10, 1, at);
    }
}

// What came at once, as much as it was, is paid for before more is let through: a client that sends
// all in one read gains nothing by it.
TEST(bucket, debt_is_paid_in_full)
{
    phi_bucket b = { .spent = { 0 } };
    phi_bucket_charge(&b, 1000, 65000, T0);
    // 64,000 more than the burst, and one for the next.
    EXPECT_EQ(phi_bucket_ready(&b, 1000, T0).ns, phi_time_add(T0, phi_ms(64001)).ns);
    EXPECT_EQ(phi_bucket_ready(&b, 1000, phi_time_add(T0, phi_ms(64002))).ns,
              phi_time_add(T0, phi_ms(64002)).ns);
    EXPECT(!phi_bucket_is_full(&b, phi_time_add(T0, phi_ms(64999))));
    EXPECT(phi_bucket_is_full(&b, phi_time_add(T0, phi_ms(65000))));
}

// Who was silent for a year has a second's worth, not a year's.
TEST(bucket, silence_saves_up_no_more_than_the_burst)
{
    phi_bucket b = { .spent = { 0 } };
    phi_bucket_charge(&b, 5, 1, T0);
    phi_time later = phi_time_add(T0, phi_seconds(365 * 86400));
    phi_bucket_charge(&b, 5, 5, later);
    EXPECT_EQ(phi_bucket_ready(&b, 5, later).ns, phi_time_add(later, phi_ms(200)).ns);
}

// The smallest and largest of everything: no sum wraps round, which would let somebody through for
// ever, or shut him out.
TEST(bucket, edges_of_rate_amount_and_time)
{
    static const uint64_t rates[] = { 1, 2, 999999999, 1000000001, PHI_BUCKET_RATE_MAX };
    static const uint32_t amounts[] = { 0, 1, UINT32_MAX };
    static const uint64_t times[] = { 0, 1, 999999999, UINT64_MAX - 1 };
    for (size_t i = 0; i < PHI_COUNT_OF(rates); i++) {
        for (size_t j = 0; j < PHI_COUNT_OF(times); j++) {
            phi_bucket b = { .spent = { 0 } };
            phi_time now = { times[j] };
            EXPECT_EQ(phi_bucket_ready(&b, rates[i], now).ns, now.ns);
            uint64_t before = b.spent.ns;
            for (size_t k = 0; k < PHI_COUNT_OF(amounts); k++) {
                phi_bucket_charge(&b, rates[i], amounts[k], now);
                EXPECT(b.spent.ns >= before);
                EXPECT(b.spent.ns >= now.ns);
                before = b.spent.ns;
            }
            EXPECT(phi_bucket_ready(&b, rates[i], now).ns >= now.ns);
            if (times[j] <= 999999999 && rates[i] <= UINT32_MAX) {
                EXPECT(phi_bucket_ready(&b, rates[i], now).ns > now.ns);
            }
        }
    }
}

// Beside a bucket as one writes it down, in exact fractions: what is there, filled by time and
// emptied by what was done. The real one never lets through sooner, and later by no more than a
// nanosecond for each charge since it was last full. 400 histories of 200 steps.
TEST(bucket, agrees_with_the_exact_model)
{
    phi_random random = phi_random_seeded(11);
    for (int story = 0; story < 400; story++) {
        uint64_t rate = UINT64_C(1) << phi_random_below(&random, 34);
        rate += phi_random_below(&random, rate);
        phi_bucket b = { .spent = { 0 } };
        phi_time now = T0;
        long double level = (long double)rate; // what it holds, up to a second's worth
        unsigned charges = 0;
        for (int step = 0; step < 200; step++) {
            uint64_t pause =
                phi_random_below(&random, UINT64_C(1) << phi_random_below(&random, 34));
            level += (long double)pause * (long double)rate / NS;
            now = phi_time_add(now, phi_ns(pause));
            if (level >= (long double)rate) {
                level = (long double)rate;
                charges = phi_bucket_is_full(&b, now) ? 0 : charges;
            }
            uint32_t amount = (uint32_t)phi_random_below(&random, 1 + rate / 2 % UINT32_MAX);
            phi_bucket_charge(&b, rate, amount, now);
            charges++;
            level -= (long double)amount;

            phi_time ready = phi_bucket_ready(&b, rate, now);
            long double exact = level >= 1 ? 0 : (1 - level) * NS / (long double)rate;
            long double real = (long double)phi_time_diff(ready, now).ns;
            if (real < exact - 0.5L || real > exact + charges + 2) {
                fail_msg("rate %llu: ready in %.3Lf ns, exactly %.3Lf, after %u charges",
                         (unsigned long long)rate, real, exact, charges);
            }
        }
    }
}
