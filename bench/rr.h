// SPDX-License-Identifier: Apache-2.0
//
// bench/rr.h - what every request/reply benchmark has in common: the clock, the record of round
// trips, and the one line of JSON at the end. All systems go through the same code, so that they
// differ in nothing but what carries the messages.

#ifndef BENCH_RR_H
#define BENCH_RR_H

#include <stdbool.h>
#include <stdint.h>

#define RR_BUSY_POLL_DEFAULT UINT32_MAX

typedef struct rr_options {
    const char *target;    // where to connect
    const char *name;      // account, subject; of the first pair
    const char *ca;        // of TLS; NULL: without
    uint32_t in_flight;    // calls open at a time
    uint32_t pairs;        // connections of callers, which share these calls
    uint32_t responders;   // connections of responders; caller i calls number i modulo this
    uint32_t payload;      // bytes there and back; at least 8, the first 8 number the call
    uint32_t busy_poll_us; // of posthouse's loop; RR_BUSY_POLL_DEFAULT: what the library does
    double seconds;        // measured
    double warm_seconds;   // before that, not measured
    double rate;           // calls a second, begun when they are due; 0: closed loop
    uint32_t slow_every;   // open loop: each so manieth call is slow; 0: none
    uint32_t slow_ms;      // what a responder takes for those; 0: there are none
    bool is_gathering;     // nats: let the library's flusher gather what is published
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

// Reads the fields above (--target --name --ca --in-flight --pairs --responders --payload --seconds
// --warm --rate --slow-ms --slow-every --gather); exits with 2 and a line of help when wrong.
rr_options rr_options_parse(int argc, char **argv);

// What a program can be.
typedef struct rr_role {
    const char *name;
    int (*run)(const rr_options *o);
} rr_role;

// A program's main: runs the role that `--role NAME`, its first two words, asks for, or names those
// that there are. `roles` ends with one without a name.
int rr_main(int argc, char **argv, const rr_role *roles);

// CLOCK_MONOTONIC.
uint64_t rr_now_ns(void);

void rr_record_start(rr_record *record, const rr_options *options);

// A call that began at `sent_ns` ended at `now_ns`. False when it is time to stop. In closed loops
// the next one begins at `now_ns`, too: the clock is read once for each call, because reading it
// costs as much as a call costs in the library.
bool rr_record_add(rr_record *record, uint64_t sent_ns, uint64_t now_ns);

// Open loop: call number i is due at a time that nothing delays, start + i / rate, and its latency
// is measured from there, whenever it could be sent; so a stall is counted against every call that
// was due meanwhile, and coordinated omission has no place. All calls of the schedule are waited
// for.
typedef struct rr_schedule {
    uint64_t start_ns;
    double interval_ns;
    uint64_t total;         // calls
    uint64_t measured_from; // calls before this one warm up
    uint64_t next;          // call to be sent
    uint64_t done;
    uint32_t slow_every;
} rr_schedule;

// The caller wakes at most so often, and sends all that became due: at high rates up to this much
// is added to a latency, for all systems alike.
#define RR_TICK_NS 50000u

void rr_schedule_start(rr_schedule *s, const rr_options *options);

static inline uint64_t rr_schedule_due_ns(const rr_schedule *s, uint64_t call)
{
    return s->start_ns + (uint64_t)((double)call * s->interval_ns);
}

static inline bool rr_schedule_is_due(const rr_schedule *s, uint64_t now_ns)
{
    return s->next < s->total && rr_schedule_due_ns(s, s->next) <= now_ns;
}

// How long there is nothing to send; at least a tick.
uint64_t rr_schedule_wait_ns(const rr_schedule *s, uint64_t now_ns);

static inline bool rr_schedule_is_slow(const rr_schedule *s, uint64_t call)
{
    return s->slow_every != 0 && call % s->slow_every == s->slow_every - 1;
}

// What a call's body begins with: its number, and for the responder whether it is slow.
#define RR_SLOW (UINT64_C(1) << 63)
uint64_t rr_schedule_mark(const rr_schedule *s, uint64_t call);

// A call ended. Slow ones, and those that warm up, are not recorded. False when it was the last.
bool rr_schedule_done(rr_schedule *s, rr_record *record, uint64_t call, uint64_t now_ns);

// What a responder has put off: first in, first out, because all are put off by the same time.
#define RR_DELAYS_MAX 16384u
typedef struct rr_delays {
    uint64_t due_ns[RR_DELAYS_MAX];
    void *items[RR_DELAYS_MAX]; // the program's
    uint32_t first;
    uint32_t count;
} rr_delays;

void rr_delays_add(rr_delays *d, uint64_t due_ns, void *item);
// One that is due; NULL: none is.
void *rr_delays_take(rr_delays *d, uint64_t now_ns);
// How long none is due; UINT64_MAX without any.
uint64_t rr_delays_wait_ns(const rr_delays *d, uint64_t now_ns);

// {"p50_us":..,"p99_us":..,"per_second":..,"count":..} and a line feed; frees.
void rr_record_print(rr_record *record);

#endif // BENCH_RR_H
