// SPDX-License-Identifier: Apache-2.0

#include "base/alloc.h"

#include "tests/harness/test.h"

// Tests of leaks and of failing allocations everywhere are only as good as this count.
TEST(alloc_counter, take_resize_give_balance)
{
    phi_alloc_counter counter;
    phi_alloc_counter_init(&counter, &phi_alloc_heap);
    void *a = phi_take(&counter.alloc, 100);
    void *b = phi_take_zeroed(&counter.alloc, 10, 5);
    assert_non_null(a);
    assert_non_null(b);
    EXPECT_EQ(counter.bytes, 150);
    EXPECT_EQ(counter.blocks, 2);

    a = phi_resize(&counter.alloc, a, 100, 300);
    assert_non_null(a);
    EXPECT_EQ(counter.bytes, 350);
    a = phi_resize(&counter.alloc, a, 300, 20);
    assert_non_null(a);
    EXPECT_EQ(counter.bytes, 70);
    EXPECT_EQ(counter.takes, 3); // shrinking asks for nothing

    phi_give(&counter.alloc, a, 20);
    phi_give(&counter.alloc, b, 50);
    phi_give(&counter.alloc, NULL, 7);
    EXPECT_EQ(counter.bytes, 0);
    EXPECT_EQ(counter.blocks, 0);
    EXPECT_EQ(counter.bytes_peak, 350);
}

// "The n-th allocation fails" must mean this one and no other, or a run over all n skips some.
TEST(alloc_counter, fails_exactly_the_named_take)
{
    phi_alloc_counter counter;
    phi_alloc_counter_init(&counter, &phi_alloc_heap);
    counter.fail_at = 2;
    void *first = phi_take(&counter.alloc, 8);
    assert_non_null(first);
    assert_null(phi_resize(&counter.alloc, first, 8, 16));
    EXPECT_EQ(counter.bytes, 8); // the old block is untouched
    first = phi_resize(&counter.alloc, first, 8, 16);
    assert_non_null(first);
    EXPECT_EQ(counter.bytes, 16);
    phi_give(&counter.alloc, first, 16);
}

// A simulated machine with little memory must refuse at its edge, not before, not after.
TEST(alloc_counter, bytes_max_is_the_last_byte_granted)
{
    phi_alloc_counter counter;
    phi_alloc_counter_init(&counter, &phi_alloc_heap);
    counter.bytes_max = 100;
    assert_null(phi_take(&counter.alloc, 101));
    assert_null(phi_take(&counter.alloc, SIZE_MAX));
    void *all = phi_take(&counter.alloc, 100);
    assert_non_null(all);
    assert_null(phi_take(&counter.alloc, 1));
    assert_null(phi_resize(&counter.alloc, all, 100, 101));
    phi_give(&counter.alloc, all, 100);
    EXPECT_EQ(counter.bytes, 0);
}

// count * size that wraps around would give a small block for a large table.
TEST(alloc, zeroed_overflow_is_refused)
{
    assert_null(phi_take_zeroed(&phi_alloc_heap, SIZE_MAX / 2 + 1, 2));
    uint8_t *zeroes = phi_take_zeroed(&phi_alloc_heap, 3, 7);
    assert_non_null(zeroes);
    for (size_t i = 0; i < 21; i++) {
        EXPECT_EQ(zeroes[i], 0);
    }
    phi_give(&phi_alloc_heap, zeroes, 21);
}
