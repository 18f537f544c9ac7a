// SPDX-License-Identifier: Apache-2.0
//
// bench/rr.h - what every request/reply benchmark has in common: the clock, the record of round
// trips, and the one line of JSON at the end. All systems go through the same code, so that they
// differ in nothing but what carries the messages.

#ifndef BENCH_RR_H
#define BENCH_RR_H

#include <stdbool.h>
#include <stdint.h>

typedef struct rr_options {
    const char *target;  // where to connect
    const char *name;    // account, subject
    uint32_t in_flight;  // calls open at a time
    uint32_t payload;    // bytes there and back; at least 8, the first 8 number the call
    double seconds;      // measured
    double warm_seconds; // before that, not measured
} rr_options;

typedef struct rr_record {
    uint64_t start_ns;
    uint64_t measure_ns; // from here on calls count
    uint64_t end_ns;     // no new calls after it
    uint64_t first_ns;   // first completion that counted
    uint64_t last_ns;
    uint64_t count;
    uint64_t capacity;
    uint32_t *round_trip_ns; // owned
} rr_record;

// Reads --target --name --in-flight --payload --seconds --warm; exits with 2 and a line of help
// when wrong.
rr_options rr_options_parse(int argc, char **argv);

// CLOCK_MONOTONIC.
uint64_t rr_now_ns(void);

void rr_record_start(rr_record *record, const rr_options *options);

// A call that began at `sent_ns` ended at `now_ns`. False when it is time to stop.
bool rr_record_add(rr_record *record, uint64_t sent_ns, uint64_t now_ns);

// {"p50_us":..,"p99_us":..,"per_second":..,"count":..} and a line feed; frees.
void rr_record_print(rr_record *record);

#endif // BENCH_RR_H
