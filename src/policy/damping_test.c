// SPDX-License-Identifier: Apache-2.0

#include "policy/damping.h"

#include "tests/harness/test.h"

#define T0 ((phi_time){ 1000u * 1000u * 1000u })

static phi_damping_rule rule_default(void)
{
    return (phi_damping_rule){
        .suppress = 4000,
        .reuse = 1500,
        .half_life = phi_seconds(15),
        .wait_max = phi_seconds(60),
    };
}

static phi_time after(phi_time from, uint64_t ms)
{
    return phi_time_add(from, phi_ms(ms));
}

// Loses it `count` times at the same moment.
static phi_damping lost_times(const phi_damping_rule *rule, unsigned count, phi_time now)
{
    phi_damping d = { .penalty = 0 };
    for (unsigned i = 0; i < count; i++) {
        phi_damping_lost(&d, rule, now);
    }
    return d;
}

// One who was lost now and then, as everybody is, must be shown at once when it is back. [P-49]
TEST(damping, few_losses_do_no_harm)
{
    phi_damping_rule rule = rule_default();
    phi_damping never = { .penalty = 0 };
    EXPECT(!phi_damping_is_damped(&never, &rule, T0));
    EXPECT_EQ(phi_damping_calm(&never, &rule, T0).ns, T0.ns);
    phi_damping d = lost_times(&rule, 3, T0);
    EXPECT(!phi_damping_is_damped(&d, &rule, T0));
    // And once every ten seconds, for ever.
    phi_damping slow = { .penalty = 0 };
    for (uint64_t i = 0; i < 100; i++) {
        phi_damping_lost(&slow, &rule, after(T0, i * 10000));
        EXPECT(!phi_damping_is_damped(&slow, &rule, after(T0, i * 10000)));
    }
}

// Who restarts in a circle must be hidden, and shown when it is calm, at the moment that was said.
// [P-49]
TEST(damping, many_losses_hide_until_calm)
{
    phi_damping_rule rule = rule_default();
    phi_damping d = lost_times(&rule, 4, T0);
    EXPECT(phi_damping_is_damped(&d, &rule, T0));
    phi_time calm = phi_damping_calm(&d, &rule, T0);
    // 15 s * log2(4000 / 1500) = 21.226 s
    uint64_t ms = phi_dur_ms(phi_time_diff(calm, T0));
    EXPECT(ms >= 21200);
    EXPECT(ms <= 21230);
    EXPECT(phi_damping_is_damped(&d, &rule, (phi_time){ calm.ns - 1 }));
    EXPECT(!phi_damping_is_damped(&d, &rule, calm));
    EXPECT_EQ(phi_damping_calm(&d, &rule, after(T0, 5000)).ns, calm.ns);
    EXPECT_EQ(phi_damping_calm(&d, &rule, calm).ns, calm.ns);
    // Between the thresholds one more loss does not hide one that was shown again.
    phi_damping_lost(&d, &rule, calm);
    EXPECT(!phi_damping_is_damped(&d, &rule, calm));
    // But one that is still hidden stays so.
    phi_damping hidden = lost_times(&rule, 4, T0);
    phi_damping_lost(&hidden, &rule, after(T0, 20000));
    EXPECT(phi_damping_is_damped(&hidden, &rule, after(T0, 21500)));
}

// However often somebody was lost, it must not be hidden for much longer than wait_max.
TEST(damping, wait_has_a_ceiling)
{
    phi_damping_rule rule = rule_default();
    for (uint64_t wait_s = 10; wait_s <= 300; wait_s += 29) {
        rule.wait_max = phi_seconds(wait_s);
        phi_damping d = lost_times(&rule, 100000, T0);
        bool can_damp = phi_damping_is_damped(&d, &rule, T0);
        EXPECT_EQ(can_damp, wait_s > 21); // else the ceiling is below `suppress`
        uint64_t ms = phi_dur_ms(phi_time_diff(phi_damping_calm(&d, &rule, T0), T0));
        uint64_t max_ms = (wait_s < 240 ? wait_s : 240) * 1000;
        EXPECT(ms <= max_ms + 10);
        EXPECT(!can_damp || ms + 30 >= max_ms);
    }
}

// The penalty must halve each half-life, and fall all the time between.
TEST(damping, penalty_decays)
{
    phi_damping_rule rule = rule_default();
    rule.reuse = 1;
    rule.wait_max = phi_seconds(1000);
    phi_damping d = lost_times(&rule, 8, T0);
    uint64_t before = d.penalty;
    for (uint64_t ms = 100; ms <= 120000; ms += 100) {
        phi_damping next = d;
        phi_damping_lost(&next, &rule, after(T0, ms));
        uint64_t left = next.penalty - PHI_DAMPING_PER_LOSS * 1024;
        EXPECT(left < before);
        before = left;
        if (ms % 15000 == 0) {
            EXPECT_EQ(left, d.penalty >> (ms / 15000));
        }
    }
}

// A record that is dropped too soon forgives, one that is kept for ever fills the memory.
TEST(damping, old_losses_are_over)
{
    phi_damping_rule rule = rule_default();
    phi_damping d = lost_times(&rule, 1, T0);
    EXPECT(!phi_damping_is_over(&d, &rule, after(T0, 44900)));
    EXPECT(phi_damping_is_over(&d, &rule, after(T0, 45100)));
    d = lost_times(&rule, 1000, T0);
    EXPECT(!phi_damping_is_over(&d, &rule, after(T0, 60100)));
    EXPECT(phi_damping_is_over(&d, &rule, after(T0, 400000)));
}
