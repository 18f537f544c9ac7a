// SPDX-License-Identifier: Apache-2.0
//
// bench/rr.c - clock, record and options of the request/reply benchmarks.

#include "bench/rr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RR_PER_SECOND_MAX 12000000.0 // round trips a second that the record has room for

static double number_or_exit(const char *option, const char *text)
{
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || value < 0) {
        fprintf(stderr, "%s: '%s' is not a number\n", option, text);
        exit(2);
    }
    return value;
}

static bool parse_text(rr_options *o, const char *key, const char *value)
{
    if (strcmp(key, "--target") == 0) {
        o->target = value;
    } else if (strcmp(key, "--name") == 0) {
        o->name = value;
    } else if (strcmp(key, "--ca") == 0) {
        o->ca = value;
    } else {
        return strcmp(key, "--role") == 0;
    }
    return true;
}

static bool parse_number(rr_options *o, const char *key, double value)
{
    if (strcmp(key, "--in-flight") == 0) {
        o->in_flight = (uint32_t)value;
    } else if (strcmp(key, "--pairs") == 0) {
        o->pairs = (uint32_t)value;
    } else if (strcmp(key, "--responders") == 0) {
        o->responders = (uint32_t)value;
    } else if (strcmp(key, "--busy-poll") == 0) {
        o->busy_poll_us = (uint32_t)value;
    } else if (strcmp(key, "--payload") == 0) {
        o->payload = (uint32_t)value;
    } else if (strcmp(key, "--seconds") == 0) {
        o->seconds = value;
    } else if (strcmp(key, "--warm") == 0) {
        o->warm_seconds = value;
    } else if (strcmp(key, "--rate") == 0) {
        o->rate = value;
    } else if (strcmp(key, "--slow-every") == 0) {
        o->slow_every = (uint32_t)value;
    } else if (strcmp(key, "--slow-ms") == 0) {
        o->slow_ms = (uint32_t)value;
    } else if (strcmp(key, "--gather") == 0) {
        o->is_gathering = value != 0;
    } else {
        return false;
    }
    return true;
}

rr_options rr_options_parse(int argc, char **argv)
{
    rr_options o = { .target = "",
                     .name = "echo",
                     .in_flight = 1,
                     .pairs = 1,
                     .payload = 128,
                     .busy_poll_us = RR_BUSY_POLL_DEFAULT,
                     .seconds = 1,
                     .warm_seconds = 0.2 };
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *key = argv[i];
        const char *value = argv[i + 1];
        if (!parse_text(&o, key, value) && !parse_number(&o, key, number_or_exit(key, value))) {
            fprintf(stderr, "unknown option %s\n", key);
            exit(2);
        }
    }
    if (o.pairs == 0 || o.payload < 8) {
        fprintf(stderr, "--pairs is at least 1, --payload at least 8\n");
        exit(2);
    }
    o.responders = o.responders == 0 ? o.pairs : o.responders;
    return o;
}

int rr_main(int argc, char **argv, const rr_role *roles)
{
    const char *wanted = argc > 2 && strcmp(argv[1], "--role") == 0 ? argv[2] : "";
    for (const rr_role *role = roles; role->name != NULL; role++) {
        if (strcmp(role->name, wanted) == 0) {
            rr_options o = rr_options_parse(argc, argv);
            return role->run(&o);
        }
    }
    fprintf(stderr, "usage: %s --role ROLE [OPTION VALUE]...\nroles:", argv[0]);
    for (const rr_role *role = roles; role->name != NULL; role++) {
        fprintf(stderr, " %s", role->name);
    }
    fprintf(stderr, "\n");
    return 2;
}

uint64_t rr_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void rr_record_start(rr_record *record, const rr_options *options)
{
    *record = (rr_record){ .start_ns = rr_now_ns() };
    record->measure_ns = record->start_ns + (uint64_t)(options->warm_seconds * 1e9);
    record->end_ns = record->measure_ns + (uint64_t)(options->seconds * 1e9);
    record->capacity = (uint64_t)(options->seconds * RR_PER_SECOND_MAX) + 1;
    record->round_trip_ns = malloc(record->capacity * sizeof *record->round_trip_ns);
    if (record->round_trip_ns == NULL) {
        fprintf(stderr, "no memory for the record of round trips\n");
        exit(1);
    }
}

static void record_one(rr_record *record, uint64_t sent_ns, uint64_t now_ns)
{
    if (record->count < record->capacity) {
        uint64_t ns = now_ns - sent_ns;
        record->round_trip_ns[record->count++] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
        if (record->count == 1) {
            record->first_ns = now_ns;
        }
        record->last_ns = now_ns;
    }
}

bool rr_record_add(rr_record *record, uint64_t sent_ns, uint64_t now_ns)
{
    if (now_ns >= record->measure_ns && now_ns < record->end_ns) {
        record_one(record, sent_ns, now_ns);
    }
    return now_ns < record->end_ns;
}

// ---- open loop

void rr_schedule_start(rr_schedule *s, const rr_options *options)
{
    *s = (rr_schedule){ .start_ns = rr_now_ns(),
                        .interval_ns = 1e9 / options->rate,
                        .slow_every = options->slow_every };
    s->measured_from = (uint64_t)(options->warm_seconds * options->rate);
    s->total = s->measured_from + (uint64_t)(options->seconds * options->rate);
}

uint64_t rr_schedule_wait_ns(const rr_schedule *s, uint64_t now_ns)
{
    uint64_t due_ns = rr_schedule_due_ns(s, s->next);
    return s->next == s->total || due_ns < now_ns + RR_TICK_NS ? RR_TICK_NS : due_ns - now_ns;
}

uint64_t rr_schedule_mark(const rr_schedule *s, uint64_t call)
{
    return rr_schedule_is_slow(s, call) ? call | RR_SLOW : call;
}

bool rr_schedule_done(rr_schedule *s, rr_record *record, uint64_t call, uint64_t now_ns)
{
    if (call >= s->measured_from && !rr_schedule_is_slow(s, call)) {
        record_one(record, rr_schedule_due_ns(s, call), now_ns);
    }
    s->done++;
    return s->done < s->total;
}

void rr_delays_add(rr_delays *d, uint64_t due_ns, void *item)
{
    if (d->count == RR_DELAYS_MAX) {
        fprintf(stderr, "too many slow calls at a time\n");
        exit(1);
    }
    uint32_t at = (d->first + d->count++) % RR_DELAYS_MAX;
    d->due_ns[at] = due_ns;
    d->items[at] = item;
}

void *rr_delays_take(rr_delays *d, uint64_t now_ns)
{
    if (d->count == 0 || d->due_ns[d->first] > now_ns) {
        return NULL;
    }
    void *item = d->items[d->first];
    d->first = (d->first + 1) % RR_DELAYS_MAX;
    d->count--;
    return item;
}

uint64_t rr_delays_wait_ns(const rr_delays *d, uint64_t now_ns)
{
    if (d->count == 0) {
        return UINT64_MAX;
    }
    return d->due_ns[d->first] > now_ns ? d->due_ns[d->first] - now_ns : 0;
}

// ---- the end

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double percentile_us(const rr_record *record, double part)
{
    if (record->count == 0) {
        return 0;
    }
    uint64_t at = (uint64_t)((double)(record->count - 1) * part);
    return record->round_trip_ns[at] / 1000.0;
}

void rr_record_print(rr_record *record)
{
    qsort(record->round_trip_ns, record->count, sizeof *record->round_trip_ns, compare_u32);
    double seconds = (double)(record->last_ns - record->first_ns) / 1e9;
    printf("{\"p50_us\": %.3f, \"p99_us\": %.3f, \"per_second\": %.0f, \"count\": %llu}\n",
           percentile_us(record, 0.50), percentile_us(record, 0.99),
           seconds > 0 ? (double)(record->count - 1) / seconds : 0,
           (unsigned long long)record->count);
    free(record->round_trip_ns);
    record->round_trip_ns = NULL;
}
