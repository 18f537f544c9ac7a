// SPDX-License-Identifier: Apache-2.0
//
// app/histogram.h - many durations in little memory: log-linear buckets with an error under 1 %.

#ifndef APP_HISTOGRAM_H
#define APP_HISTOGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_BITS 7 // 128 buckets for each doubling: at most 1/128 off
#define HISTOGRAM_BUCKETS ((64 - HISTOGRAM_BITS + 1) << HISTOGRAM_BITS)

typedef struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t total;
    uint64_t min;
    uint64_t max;
} histogram;

void histogram_add(histogram *h, uint64_t value);

// The value that `percent` of all do not exceed; exact at 0 and 100; 0 when there are none.
uint64_t histogram_percentile(const histogram *h, double percent);

#endif // APP_HISTOGRAM_H
