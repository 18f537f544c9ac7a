// SPDX-License-Identifier: Apache-2.0

#include "base/time.h"

#include "base/list.h"
#include "base/random.h"
#include "tests/harness/test.h"

// A deadline in the far future that wrapped around would be in the past, and fire at once.
TEST(time, add_and_diff_saturate)
{
    phi_time late = { UINT64_MAX - 5 };
    EXPECT_EQ(phi_time_add(late, phi_ns(4)).ns, UINT64_MAX - 1);
    EXPECT(phi_time_is_never(phi_time_add(late, phi_ns(5))));
    EXPECT(phi_time_is_never(phi_time_add(late, phi_seconds(1))));
    EXPECT(phi_time_is_never(phi_time_add(PHI_TIME_NEVER, phi_ns(0))));
    EXPECT_EQ(phi_time_diff((phi_time){ 7 }, (phi_time){ 3 }).ns, 4);
    EXPECT_EQ(phi_time_diff((phi_time){ 3 }, (phi_time){ 7 }).ns, 0);
    EXPECT_EQ(phi_time_min(PHI_TIME_NEVER, (phi_time){ 3 }).ns, 3);
    EXPECT_EQ(phi_dur_ms(phi_seconds(2)), 2000);
    EXPECT_EQ(phi_dur_us(phi_ms(2)), 2000);
}

// Replaying a seed relies on the generator being this one and no other. The first numbers of
// splitmix64 for the seed 1234567 are published.
TEST(random, is_splitmix64)
{
    phi_random random = phi_random_seeded(1234567);
    EXPECT_EQ(phi_random_next(&random), UINT64_C(6457827717110365317));
    EXPECT_EQ(phi_random_next(&random), UINT64_C(3203168211198807973));
    EXPECT_EQ(phi_random_next(&random), UINT64_C(9817491932198370423));
}

// A bound that is off by one indexes behind an array.
TEST(random, bounds_hold_and_are_reached)
{
    phi_random random = phi_random_seeded(8);
    EXPECT_EQ(phi_random_below(&random, 0), 0);
    uint64_t seen = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t n = phi_random_between(&random, 3, 6);
        EXPECT(n >= 3 && n <= 6);
        seen |= UINT64_C(1) << n;
    }
    EXPECT_EQ(seen, 0x78);
    // All there is: high - low + 1 wraps to 0.
    EXPECT(phi_random_between(&random, 0, UINT64_MAX) !=
           phi_random_between(&random, 0, UINT64_MAX));
}

// Lists hold timers, links and hooks: removing twice, or what is on no list, must be nothing.
TEST(list, order_and_removal)
{
    phi_list list;
    phi_list a = { NULL, NULL };
    phi_list b = a;
    phi_list c = a;
    phi_list_init(&list);
    assert_null(phi_list_take(&list));
    phi_list_append(&list, &a);
    phi_list_append(&list, &b);
    phi_list_append(&list, &c);
    EXPECT(phi_list_is_linked(&b));
    phi_list_remove(&b);
    phi_list_remove(&b);
    EXPECT(!phi_list_is_linked(&b));
    assert_ptr_equal(phi_list_take(&list), &a);
    assert_ptr_equal(phi_list_take(&list), &c);
    EXPECT(phi_list_is_empty(&list));
}
