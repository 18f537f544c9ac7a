// SPDX-License-Identifier: Apache-2.0
//
// app/histogram_test.c - percentiles.

#include "app/histogram.h"

#include <stdlib.h>

#include "base/random.h"
#include "tests/harness/test.h"

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

// What bench prints must be what was measured: every percentile within 1/128 of the sorted list's.
TEST(histogram, percentiles_are_those_of_the_sorted_list)
{
    enum { COUNT = 5000 };
    static histogram h;
    static uint64_t values[COUNT];
    phi_random random = phi_random_seeded(7);
    h = (histogram){ .total = 0 };
    for (size_t i = 0; i < COUNT; i++) {
        values[i] = phi_random_next(&random) >> (i % 60);
        histogram_add(&h, values[i]);
    }
    qsort(values, COUNT, sizeof values[0], compare);
    static const double percents[] = { 0.1, 1, 10, 50, 90, 99, 99.9, 99.99 };
    for (size_t i = 0; i < sizeof percents / sizeof percents[0]; i++) {
        size_t rank = (size_t)(percents[i] / 100 * COUNT + 0.999999);
        uint64_t exact = values[rank == 0 ? 0 : rank - 1];
        uint64_t got = histogram_percentile(&h, percents[i]);
        EXPECT(got >= exact);
        EXPECT(got - exact <= exact / 128);
    }
    EXPECT(histogram_percentile(&h, 0) == values[0]);
    EXPECT(histogram_percentile(&h, 100) == values[COUNT - 1]);
}

// The ends of the range have buckets of their own: no value may fall outside of the table.
TEST(histogram, smallest_and_largest_values_fit)
{
    static histogram h;
    h = (histogram){ .total = 0 };
    EXPECT(histogram_percentile(&h, 50) == 0);
    histogram_add(&h, UINT64_MAX);
    EXPECT(histogram_percentile(&h, 50) == UINT64_MAX);
    histogram_add(&h, 0);
    EXPECT(histogram_percentile(&h, 50) == 0);
    EXPECT(histogram_percentile(&h, 100) == UINT64_MAX);
}
