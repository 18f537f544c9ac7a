// SPDX-License-Identifier: Apache-2.0
//
// bench/rr_posthouse.c - request/reply through a center, on the public C API as any program would
// use it.
//
//     rr_posthouse --role responder --target 127.0.0.1:PORT --name echo
//     rr_posthouse --role caller ...

#include <posthouse/posthouse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/rr.h"

#define OPEN_WAIT_MS 5000

static void check(ph_err err, const char *what)
{
    if (err != PH_OK) {
        fprintf(stderr, "%s: %s\n", what, ph_err_text(err));
        exit(1);
    }
}

// ---- responder

static void on_request(ph_client *client, ph_request_id request, const ph_incoming *incoming,
                       void *arg)
{
    (void)arg;
    check(ph_client_reply(client, request, incoming->body.data, incoming->body.size), "reply");
}

static void on_link(ph_client *client, const ph_link_change *change, void *arg)
{
    (void)arg;
    if (change->state != PH_LINK_UP) {
        ph_loop_stop(ph_client_loop(client));
    }
}

static int run_responder(const rr_options *o)
{
    ph_client_options options = PH_CLIENT_OPTIONS_INIT;
    options.centers = o->target;
    options.account = o->name;
    options.on_request = on_request;
    options.on_link = on_link;
    ph_client *client = NULL;
    check(ph_client_new(&client, &options), "client");
    check(ph_client_open_wait(client, OPEN_WAIT_MS), "connect");
    printf("ready\n");
    fflush(stdout);
    ph_loop_run(ph_client_loop(client));
    ph_client_free(&client);
    return 0;
}

// ---- caller

typedef struct caller caller;

// One place in the window; a call is made again from it as soon as it ended.
typedef struct place {
    caller *caller;
    uint64_t sent_ns;
} place;

struct caller {
    rr_record record;
    ph_client *client;
    ph_outgoing request;
    place *places;
    uint32_t open;
};

static void call(place *p);

static void on_reply(ph_client *client, ph_call_id id, ph_err status, uint16_t code,
                     const ph_incoming *reply, void *arg)
{
    (void)id;
    place *p = arg;
    if (status != PH_OK || reply->body.size != p->caller->request.body_size) {
        fprintf(stderr, "call: %s: %s\n", ph_err_text(status), ph_failure_text(code));
        exit(1);
    }
    if (rr_record_add(&p->caller->record, p->sent_ns, rr_now_ns())) {
        call(p);
    } else if (--p->caller->open == 0) {
        ph_loop_stop(ph_client_loop(client));
    }
}

static void call(place *p)
{
    p->sent_ns = rr_now_ns();
    check(ph_client_request(p->caller->client, &p->caller->request, NULL, on_reply, p), "request");
}

static int run_caller(const rr_options *o)
{
    caller c = { .open = o->in_flight, .request = PH_OUTGOING_INIT };
    ph_client_options options = PH_CLIENT_OPTIONS_INIT;
    options.centers = o->target;
    options.account = "rr-caller";
    options.calls_max = o->in_flight;
    check(ph_client_new(&c.client, &options), "client");
    check(ph_client_open_wait(c.client, OPEN_WAIT_MS), "connect");

    void *payload = calloc(1, o->payload);
    c.places = calloc(o->in_flight, sizeof *c.places);
    if (payload == NULL || c.places == NULL) {
        return 1;
    }
    c.request.to = o->name;
    c.request.method = "echo";
    c.request.body = payload;
    c.request.body_size = o->payload;
    rr_record_start(&c.record, o);
    for (uint32_t i = 0; i < o->in_flight; i++) {
        c.places[i].caller = &c;
        call(&c.places[i]);
    }
    ph_loop_run(ph_client_loop(c.client));
    rr_record_print(&c.record);
    ph_client_free(&c.client);
    free(payload);
    free(c.places);
    return 0;
}

int main(int argc, char **argv)
{
    rr_options o = rr_options_parse(argc, argv);
    const char *role = argc > 2 && strcmp(argv[1], "--role") == 0 ? argv[2] : "";
    if (strcmp(role, "responder") == 0) {
        return run_responder(&o);
    }
    if (strcmp(role, "caller") == 0) {
        return run_caller(&o);
    }
    fprintf(stderr, "usage: rr_posthouse --role responder|caller --target HOST:PORT ...\n");
    return 2;
}
