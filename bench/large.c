// SPDX-License-Identifier: Apache-2.0
//
// bench/large.c - what stands beside a large message: small calls and heartbeats of one client,
// through the public library, while it or somebody else sends bodies of many megabytes.
//
//     bench_large responder --target 127.0.0.1:PORT      "small": the body; "large": a byte
//     bench_large caller --target 127.0.0.1:PORT --name NAME
//
// A caller reads lines "run SECONDS SMALL PROBE LARGE PAUSE_MS" from standard input: small calls
// (1 or 0), heartbeats (1 or 0), bytes of large bodies (0: none) and the pause between them. After
// each it prints one line of JSON: percentiles of small calls and round trips, in microseconds, and
// how many large calls ended.

#include <posthouse/posthouse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/rr.h"

#define OPEN_WAIT_MS 5000
#define SMALL_BYTES 128
#define SAMPLES_MAX 1000000u
#define SMALL_EVERY_NS UINT64_C(500000)
#define PROBE_EVERY_NS UINT64_C(2000000)

typedef struct samples {
    uint32_t ns[SAMPLES_MAX];
    size_t count;
} samples;

typedef struct caller {
    ph_client *client;
    samples small;
    samples probes;
    uint64_t small_sent; // 0: none is open
    uint64_t probe_sent; // same
    bool is_large_open;
    uint64_t large_at; // when the next may begin
    uint64_t large_done;
    uint64_t pause_ns;
    void *body; // owned
    size_t body_size;
} caller;

static caller the_caller;

static void check(ph_err err, const char *what)
{
    if (err != PH_OK) {
        fprintf(stderr, "%s: %s\n", what, ph_err_text(err));
        exit(1);
    }
}

static ph_client *connect_as(const char *target, const char *name, ph_request_fn *on_request)
{
    ph_client_options options = PH_CLIENT_OPTIONS_INIT;
    options.centers = target;
    options.account = name;
    options.on_request = on_request;
    ph_client *client = NULL;
    check(ph_client_new(&client, &options), "client");
    check(ph_client_open_wait(client, OPEN_WAIT_MS), "connect");
    return client;
}

// ---- responder

static void on_request(ph_client *client, ph_request_id request, const ph_incoming *incoming,
                       void *arg)
{
    (void)arg;
    bool is_small = incoming->body.size <= SMALL_BYTES;
    check(ph_client_reply(client, request, incoming->body.data, is_small ? SMALL_BYTES : 1),
          "reply");
}

static int run_responder(const char *target)
{
    ph_client *client = connect_as(target, "large-responder", on_request);
    printf("ready\n");
    fflush(stdout);
    ph_loop_run(ph_client_loop(client));
    ph_client_free(&client);
    return 0;
}

// ---- caller

static void samples_add(samples *s, uint64_t from, uint64_t to)
{
    if (s->count < SAMPLES_MAX) {
        s->ns[s->count++] = (uint32_t)(to - from);
    }
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static double percentile_us(samples *s, double part)
{
    if (s->count == 0) {
        return 0;
    }
    qsort(s->ns, s->count, sizeof s->ns[0], compare);
    size_t at = (size_t)((double)s->count * part);
    return s->ns[at < s->count ? at : s->count - 1] / 1e3;
}

static void on_small(ph_client *client, ph_call_id id, ph_err status, uint16_t code,
                     const ph_incoming *reply, void *arg)
{
    (void)client;
    (void)id;
    (void)code;
    (void)reply;
    caller *c = arg;
    check(status, "small call");
    samples_add(&c->small, c->small_sent, rr_now_ns());
    c->small_sent = 0;
}

static void on_large(ph_client *client, ph_call_id id, ph_err status, uint16_t code,
                     const ph_incoming *reply, void *arg)
{
    (void)client;
    (void)id;
    (void)reply;
    caller *c = arg;
    if (status != PH_OK) {
        fprintf(stderr, "large call: %s, %s\n", ph_err_text(status), ph_failure_text(code));
        exit(1);
    }
    c->large_done++;
    c->is_large_open = false;
    c->large_at = rr_now_ns() + c->pause_ns;
}

static void call_small(caller *c)
{
    static char body[SMALL_BYTES];
    ph_outgoing request = PH_OUTGOING_INIT;
    request.to = "large-responder";
    request.method = "small";
    request.body = body;
    request.body_size = sizeof body;
    c->small_sent = rr_now_ns();
    check(ph_client_request(c->client, &request, NULL, on_small, c), "small call");
}

// The body is the program's for the whole run.
static void on_release(const void *body, void *arg)
{
    (void)body;
    (void)arg;
}

static void call_large(caller *c)
{
    ph_outgoing request = PH_OUTGOING_INIT;
    request.to = "large-responder";
    request.method = "large";
    request.body = c->body;
    request.body_size = c->body_size;
    request.release = on_release; // or copying 16 MiB would be in the time of the small calls
    c->is_large_open = true;
    check(ph_client_request(c->client, &request, NULL, on_large, c), "large call");
}

static void look_at_probe(caller *c)
{
    if (c->probe_sent != 0 && !ph_client_is_probing(c->client)) {
        uint64_t took = (uint64_t)ph_client_round_trip_us(c->client) * 1000;
        samples_add(&c->probes, 0, took);
        c->probe_sent = 0;
    }
}

static void run(caller *c, double seconds, bool wants_small, bool wants_probes)
{
    uint64_t end = rr_now_ns() + (uint64_t)(seconds * 1e9);
    uint64_t next_small = 0;
    uint64_t next_probe = 0;
    for (uint64_t now = rr_now_ns(); now < end; now = rr_now_ns()) {
        if (wants_small && c->small_sent == 0 && now >= next_small) {
            next_small = now + SMALL_EVERY_NS;
            call_small(c);
        }
        if (wants_probes && c->probe_sent == 0 && now >= next_probe) {
            next_probe = now + PROBE_EVERY_NS;
            check(ph_client_probe(c->client), "probe");
            c->probe_sent = now;
        }
        if (c->body_size != 0 && !c->is_large_open && now >= c->large_at) {
            call_large(c);
        }
        ph_loop_turn(ph_client_loop(c->client), 1);
        look_at_probe(c);
    }
    while (c->small_sent != 0 || c->is_large_open) {
        ph_loop_turn(ph_client_loop(c->client), 1);
        look_at_probe(c);
    }
}

static int run_caller(const char *target, const char *name)
{
    caller *c = &the_caller;
    c->client = connect_as(target, name, NULL);
    char line[256];
    while (fgets(line, sizeof line, stdin) != NULL) {
        double seconds = 0;
        int small = 0;
        int probe = 0;
        double pause_ms = 0;
        c->body_size = 0;
        if (sscanf(line, "run %lf %d %d %zu %lf", &seconds, &small, &probe, &c->body_size,
                   &pause_ms) != 5) {
            return 2;
        }
        free(c->body);
        c->body = calloc(1, c->body_size + 1);
        c->small.count = 0;
        c->probes.count = 0;
        c->large_done = 0;
        c->large_at = 0;
        c->pause_ns = (uint64_t)(pause_ms * 1e6);
        run(c, seconds, small != 0, probe != 0);
        printf("{\"small\":%zu,\"small_p50_us\":%.1f,\"small_p99_us\":%.1f,"
               "\"probes\":%zu,\"probe_p50_us\":%.1f,\"probe_p99_us\":%.1f,\"large\":%llu}\n",
               c->small.count, percentile_us(&c->small, 0.5), percentile_us(&c->small, 0.99),
               c->probes.count, percentile_us(&c->probes, 0.5), percentile_us(&c->probes, 0.99),
               (unsigned long long)c->large_done);
        fflush(stdout);
    }
    free(c->body);
    ph_client_free(&c->client);
    return 0;
}

int main(int argc, char **argv)
{
    const char *role = argc > 1 ? argv[1] : "";
    const char *target = argc > 3 && strcmp(argv[2], "--target") == 0 ? argv[3] : NULL;
    if (strcmp(role, "responder") == 0 && target != NULL) {
        return run_responder(target);
    }
    if (strcmp(role, "caller") == 0 && argc > 5 && target != NULL) {
        return run_caller(target, argv[5]);
    }
    fprintf(stderr, "usage: bench_large responder|caller --target HOST:PORT [--name NAME]\n");
    return 2;
}
