// SPDX-License-Identifier: Apache-2.0
//
// bench/balance.c - the instances of a service, each a process, and one that calls the service; on
// the public C API, as any program would use it. bench/balance.py tells the story.
//
//     bench_balance instance HOST:PORT NUMBER     until its connection ends
//     bench_balance caller HOST:PORT INSTANCES    one command a line on standard input; answers
//                                                 with one line of JSON
//
//     run RATE SECONDS      calls to the service at that rate, whether or not others have ended;
//                           then who got how many, what failed, and how long they took
//     become NUMBER MANNER  that instance is good (3 ms a call), slow (30 ms) or failing (at once)
//     weigh NUMBER WEIGHT   and gets that weight

#include <posthouse/posthouse.h>
#include <posthouse/state.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/rr.h"

#define SERVICE "work"
#define INSTANCES_MAX 64u
#define PENDING_MAX 4096u
#define OPEN_WAIT_MS 5000
#define CALL_TIMEOUT_MS 2000u
#define GOOD_NS 3000000u
#define SLOW_NS 30000000u
#define NS_PER_MS 1000000u
#define NS_PER_S 1e9

static void check(ph_err err, const char *what)
{
    if (err != PH_OK) {
        fprintf(stderr, "%s: %s\n", what, ph_err_text(err));
        exit(1);
    }
}

static bool view_is(ph_view view, const char *text)
{
    return view.size == strlen(text) && memcmp(view.data, text, view.size) == 0;
}

// ---- an instance

typedef struct pending {
    uint64_t due_ns;
    ph_request_id id;
} pending;

typedef struct instance {
    uint64_t work_ns; // 0: it fails
    bool is_over;
    pending pending[PENDING_MAX]; // in no order
    uint32_t pending_count;
} instance;

static void obey(ph_client *client, instance *one, const ph_incoming *order)
{
    if (view_is(order->method, "weigh")) {
        ph_own_state own = PH_OWN_STATE_INIT;
        own.has_weight = true;
        memcpy(&own.weight, order->body.data, sizeof own.weight);
        check(ph_client_set_state(client, &own), "weigh");
    } else if (view_is(order->body, "good")) {
        one->work_ns = GOOD_NS;
    } else {
        one->work_ns = view_is(order->body, "slow") ? SLOW_NS : 0;
    }
}

static void on_request(ph_client *client, ph_request_id id, const ph_incoming *incoming, void *arg)
{
    instance *one = arg;
    if (!view_is(incoming->method, "work")) {
        obey(client, one, incoming);
        check(ph_client_reply(client, id, NULL, 0), "reply");
    } else if (one->work_ns == 0 || one->pending_count == PENDING_MAX) {
        check(ph_client_fail(client, id, PH_FAILURE_RESPONDER_FAILED, NULL), "fail");
    } else {
        one->pending[one->pending_count++] = (pending){ rr_now_ns() + one->work_ns, id };
    }
}

static void on_link(ph_client *client, const ph_link_change *change, void *arg)
{
    (void)client;
    ((instance *)arg)->is_over = change->state != PH_LINK_UP;
}

// Replies to what is due; how long until the next is.
static int reply_due(ph_client *client, instance *one)
{
    uint64_t now = rr_now_ns();
    uint64_t next = UINT64_MAX;
    for (uint32_t i = 0; i < one->pending_count;) {
        if (one->pending[i].due_ns <= now) {
            // Its caller may have given up meanwhile.
            (void)!ph_client_reply(client, one->pending[i].id, NULL, 0);
            one->pending[i] = one->pending[--one->pending_count];
            continue;
        }
        next = one->pending[i].due_ns < next ? one->pending[i].due_ns : next;
        i++;
    }
    return next == UINT64_MAX ? -1 : (int)((next - now + NS_PER_MS - 1) / NS_PER_MS);
}

static int run_instance(const char *target, const char *number)
{
    static instance one = { .work_ns = GOOD_NS };
    char name[32];
    snprintf(name, sizeof name, "work-%s", number);
    ph_client_options options = PH_CLIENT_OPTIONS_INIT;
    options.centers = target;
    options.account = name;
    options.service = SERVICE;
    options.on_request = on_request;
    options.on_link = on_link;
    options.arg = &one;
    ph_client *client = NULL;
    check(ph_client_new(&client, &options), "client");
    check(ph_client_open_wait(client, OPEN_WAIT_MS), "connect");
    printf("ready\n");
    fflush(stdout);
    while (!one.is_over) {
        ph_loop_turn(ph_client_loop(client), reply_due(client, &one));
    }
    ph_client_free(&client);
    return 0;
}

// ---- the caller

typedef struct caller {
    ph_client *client;
    uint32_t instances;
    uint64_t by_instance[INSTANCES_MAX];
    uint64_t nobody; // no ready instance, deadline
    uint64_t failed; // of all
    uint64_t open;
    uint64_t *took_ns;
    uint64_t took_count;
    uint64_t took_max;
} caller;

typedef struct asked {
    caller *caller;
    uint64_t sent_ns;
} asked;

static void on_done(ph_client *client, ph_call_id id, ph_err status, uint16_t code,
                    const ph_incoming *reply, void *arg)
{
    (void)client;
    (void)id;
    (void)code;
    asked *call = arg;
    caller *c = call->caller;
    c->open--;
    c->failed += status != PH_OK;
    char from[64];
    snprintf(from, sizeof from, "%.*s", reply == NULL ? 0 : (int)reply->from.size,
             reply == NULL ? "" : reply->from.data);
    unsigned number;
    if (sscanf(from, "work-%u@", &number) == 1 && number < INSTANCES_MAX) {
        c->by_instance[number]++;
    } else {
        c->nobody++;
    }
    if (c->took_count < c->took_max) {
        c->took_ns[c->took_count++] = rr_now_ns() - call->sent_ns;
    }
    free(call);
}

static void ask(caller *c)
{
    asked *call = malloc(sizeof *call);
    if (call == NULL) {
        exit(1);
    }
    *call = (asked){ c, rr_now_ns() };
    ph_outgoing outgoing = PH_OUTGOING_INIT;
    outgoing.to = "service:" SERVICE;
    outgoing.method = "work";
    outgoing.timeout_ms = CALL_TIMEOUT_MS;
    check(ph_client_request(c->client, &outgoing, NULL, on_done, call), "request");
    c->open++;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void print_run(caller *c, double seconds)
{
    uint64_t calls = c->nobody;
    printf("{\"instances\": [");
    for (uint32_t i = 0; i < c->instances; i++) {
        calls += c->by_instance[i];
        printf("%s%llu", i == 0 ? "" : ", ", (unsigned long long)c->by_instance[i]);
    }
    qsort(c->took_ns, c->took_count, sizeof c->took_ns[0], by_size);
    uint64_t median = c->took_count == 0 ? 0 : c->took_ns[c->took_count / 2];
    uint64_t high = c->took_count == 0 ? 0 : c->took_ns[c->took_count * 99 / 100];
    printf("], \"calls\": %llu, \"nobody\": %llu, \"failed\": %llu, \"seconds\": %.3f, "
           "\"p50_ms\": %.3f, \"p99_ms\": %.3f}\n",
           (unsigned long long)calls, (unsigned long long)c->nobody, (unsigned long long)c->failed,
           seconds, (double)median / NS_PER_MS, (double)high / NS_PER_MS);
    fflush(stdout);
}

static void run(caller *c, double rate, double seconds)
{
    memset(c->by_instance, 0, sizeof c->by_instance);
    c->nobody = 0;
    c->failed = 0;
    c->took_count = 0;
    c->took_max = (uint64_t)(rate * seconds) + 1;
    c->took_ns = calloc(c->took_max, sizeof c->took_ns[0]);
    if (c->took_ns == NULL) {
        exit(1);
    }
    uint64_t begin = rr_now_ns();
    uint64_t sent = 0;
    double passed = 0;
    while (passed < seconds || c->open > 0) {
        uint64_t due = (uint64_t)((passed < seconds ? passed : seconds) * rate);
        for (; sent < due; sent++) {
            ask(c);
        }
        ph_loop_turn(ph_client_loop(c->client), 1);
        passed = (double)(rr_now_ns() - begin) / NS_PER_S;
    }
    print_run(c, passed);
    free(c->took_ns);
}

static void order(caller *c, unsigned number, const char *method, const void *body, size_t size)
{
    char to[32];
    snprintf(to, sizeof to, "work-%u", number);
    ph_outgoing outgoing = PH_OUTGOING_INIT;
    outgoing.to = to;
    outgoing.method = method;
    outgoing.body = body;
    outgoing.body_size = size;
    outgoing.timeout_ms = CALL_TIMEOUT_MS;
    ph_reply *reply = NULL;
    check(ph_client_request_wait(c->client, &outgoing, &reply), "order");
    if (ph_reply_code(reply) != 0) {
        fprintf(stderr, "%s %s: %s\n", to, method, ph_failure_text(ph_reply_code(reply)));
        exit(1);
    }
    ph_reply_free(&reply);
    printf("{}\n");
    fflush(stdout);
}

static int run_caller(const char *target, unsigned instances)
{
    static caller c;
    c.instances = instances;
    ph_client_options options = PH_CLIENT_OPTIONS_INIT;
    options.centers = target;
    options.account = "caller";
    options.calls_max = 65536;
    check(ph_client_new(&c.client, &options), "client");
    check(ph_client_open_wait(c.client, OPEN_WAIT_MS), "connect");
    char line[128];
    while (fgets(line, sizeof line, stdin) != NULL) {
        double rate;
        double seconds;
        unsigned number;
        char manner[16];
        uint16_t weight;
        if (sscanf(line, "run %lf %lf", &rate, &seconds) == 2) {
            run(&c, rate, seconds);
        } else if (sscanf(line, "become %u %15s", &number, manner) == 2) {
            order(&c, number, "become", manner, strlen(manner));
        } else if (sscanf(line, "weigh %u %hu", &number, &weight) == 2) {
            order(&c, number, "weigh", &weight, sizeof weight);
        } else {
            fprintf(stderr, "no command: %s", line);
            return 2;
        }
    }
    ph_client_free(&c.client);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "instance") == 0) {
        return run_instance(argv[2], argv[3]);
    }
    unsigned long instances = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
    if (instances > 0 && instances <= INSTANCES_MAX && strcmp(argv[1], "caller") == 0) {
        return run_caller(argv[2], (unsigned)instances);
    }
    fprintf(stderr, "usage: bench_balance instance|caller HOST:PORT NUMBER\n");
    return 2;
}
