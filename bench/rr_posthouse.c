// SPDX-License-Identifier: Apache-2.0
//
// bench/rr_posthouse.c - request/reply through a center, on the public C API as any program would
// use it.
//
//     rr_posthouse --role responder --target 127.0.0.1:PORT --name echo
//     rr_posthouse --role caller ...
//
// With --pairs N either end has N connections in one loop, and the calls in flight are shared among
// them: caller i calls responder i. With --responders M there are M of those.

#include <posthouse/posthouse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "bench/rr.h"

#define OPEN_WAIT_MS 5000
#define NAME_BYTES 64

static void check(ph_err err, const char *what)
{
    if (err != PH_OK) {
        fprintf(stderr, "%s: %s\n", what, ph_err_text(err));
        exit(1);
    }
}

static uint64_t mark_of(const ph_incoming *incoming)
{
    uint64_t mark = 0;
    memcpy(&mark, incoming->body.data, sizeof mark);
    return mark;
}

// ---- either end

// The connections of one end, in one loop.
typedef struct end {
    ph_loop *loop;
    ph_client **clients;
    uint32_t count;
} end;

// The account of connection `i`: `name`, `name`-1, `name`-2...
static const char *name_of(const char *name, uint32_t i, char room[NAME_BYTES])
{
    snprintf(room, NAME_BYTES, i == 0 ? "%s" : "%s-%u", name, i);
    return room;
}

static void end_open(end *e, uint32_t count, const rr_options *o, ph_client_options *options,
                     const char *name)
{
    *e = (end){ .count = count, .clients = calloc(count, sizeof(ph_client *)) };
    if (e->clients == NULL) {
        exit(1);
    }
    check(ph_loop_new(&e->loop), "loop");
    if (o->busy_poll_us != RR_BUSY_POLL_DEFAULT) {
        check(ph_loop_set_busy_poll(e->loop, o->busy_poll_us), "busy poll");
    }
    options->centers = o->target;
    options->tls_authorities_file = o->ca;
    options->loop = e->loop;
    for (uint32_t i = 0; i < e->count; i++) {
        char room[NAME_BYTES];
        options->account = name_of(name, i, room);
        check(ph_client_new(&e->clients[i], options), "client");
        check(ph_client_open_wait(e->clients[i], OPEN_WAIT_MS), "connect");
    }
}

static void end_close(end *e)
{
    for (uint32_t i = 0; i < e->count; i++) {
        ph_client_free(&e->clients[i]);
    }
    ph_loop_free(&e->loop);
    free(e->clients);
}

// ---- responder

// A call that is put off.
typedef struct slow {
    ph_client *client;
    ph_request_id request;
    size_t size;
    uint8_t body[];
} slow;

typedef struct responder {
    rr_delays delays;
    uint64_t delay_ns; // 0: none is put off
    bool is_over;
} responder;

static void put_off(responder *r, ph_client *client, ph_request_id request,
                    const ph_incoming *incoming)
{
    slow *s = malloc(sizeof *s + incoming->body.size);
    if (s == NULL) {
        exit(1);
    }
    s->client = client;
    s->request = request;
    s->size = incoming->body.size;
    memcpy(s->body, incoming->body.data, s->size);
    rr_delays_add(&r->delays, rr_now_ns() + r->delay_ns, s);
}

static void on_request(ph_client *client, ph_request_id request, const ph_incoming *incoming,
                       void *arg)
{
    responder *r = arg;
    if (r->delay_ns != 0 && (mark_of(incoming) & RR_SLOW) != 0) {
        put_off(r, client, request, incoming);
        return;
    }
    check(ph_client_reply(client, request, incoming->body.data, incoming->body.size), "reply");
}

static void on_link(ph_client *client, const ph_link_change *change, void *arg)
{
    responder *r = arg;
    if (change->state != PH_LINK_UP) {
        r->is_over = true;
        ph_loop_stop(ph_client_loop(client));
    }
}

static void run_with_delays(ph_loop *loop, responder *r)
{
    while (!r->is_over) {
        uint64_t wait_ns = rr_delays_wait_ns(&r->delays, rr_now_ns());
        bool is_idle = wait_ns == UINT64_MAX;
        ph_loop_turn(loop, is_idle ? -1 : (int)((wait_ns + 999999) / 1000000));
        slow *s;
        while ((s = rr_delays_take(&r->delays, rr_now_ns())) != NULL) {
            ph_err err = ph_client_reply(s->client, s->request, s->body, s->size);
            check(err == PH_ESTALE ? PH_OK : err, "reply"); // its caller may have ended
            free(s);
        }
    }
}

static int run_responder(const rr_options *o)
{
    static responder r;
    r.delay_ns = o->slow_ms * UINT64_C(1000000);
    ph_client_options options = PH_CLIENT_OPTIONS_INIT;
    options.on_request = on_request;
    options.on_link = on_link;
    options.arg = &r;
    end e;
    end_open(&e, o->responders, o, &options, o->name);
    printf("ready\n");
    fflush(stdout);
    if (r.delay_ns == 0) {
        ph_loop_run(e.loop);
    } else {
        run_with_delays(e.loop, &r);
    }
    end_close(&e);
    return 0;
}

// ---- caller

typedef struct caller caller;

// One place in the window; a call is made again from it as soon as it ended.
typedef struct place {
    caller *caller;
    uint32_t at; // of the connection
    uint64_t sent_ns;
} place;

struct caller {
    rr_record record;
    rr_schedule schedule;
    end end;
    ph_outgoing *requests; // of each connection
    place *places;
    uint32_t open;
};

static void call(place *p, uint64_t now_ns);

static void on_reply(ph_client *client, ph_call_id id, ph_err status, uint16_t code,
                     const ph_incoming *reply, void *arg)
{
    (void)id;
    place *p = arg;
    if (status != PH_OK || reply->body.size != p->caller->requests[p->at].body_size) {
        fprintf(stderr, "call: %s: %s\n", ph_err_text(status), ph_failure_text(code));
        exit(1);
    }
    uint64_t now = rr_now_ns();
    if (rr_record_add(&p->caller->record, p->sent_ns, now)) {
        call(p, now);
    } else if (--p->caller->open == 0) {
        ph_loop_stop(ph_client_loop(client));
    }
}

static void call(place *p, uint64_t now_ns)
{
    caller *c = p->caller;
    p->sent_ns = now_ns;
    check(ph_client_request(c->end.clients[p->at], &c->requests[p->at], NULL, on_reply, p),
          "request");
}

static void run_closed(caller *c, const rr_options *o)
{
    c->open = o->in_flight;
    c->places = calloc(o->in_flight, sizeof *c->places);
    if (c->places == NULL) {
        exit(1);
    }
    for (uint32_t i = 0; i < o->in_flight; i++) {
        c->places[i] = (place){ .caller = c, .at = i % c->end.count };
        call(&c->places[i], rr_now_ns());
    }
    ph_loop_run(c->end.loop);
    free(c->places);
}

// ---- open loop

// The call's number is what the library gives back with the reply.
static void on_due_reply(ph_client *client, ph_call_id id, ph_err status, uint16_t code,
                         const ph_incoming *reply, void *arg)
{
    (void)client;
    (void)id;
    caller *c = arg;
    if (status != PH_OK) {
        fprintf(stderr, "call: %s: %s\n", ph_err_text(status), ph_failure_text(code));
        exit(1);
    }
    c->open--;
    (void)rr_schedule_done(&c->schedule, &c->record, mark_of(reply) & ~RR_SLOW, rr_now_ns());
}

static void send_due(caller *c, void *body, uint32_t open_max)
{
    rr_schedule *s = &c->schedule;
    for (; c->open < open_max && rr_schedule_is_due(s, rr_now_ns()); c->open++) {
        uint32_t at = (uint32_t)(s->next % c->end.count);
        uint64_t mark = rr_schedule_mark(s, s->next++);
        memcpy(body, &mark, sizeof mark);
        check(ph_client_request(c->end.clients[at], &c->requests[at], NULL, on_due_reply, c),
              "request");
    }
}

static void run_open(caller *c, void *body, const rr_options *o)
{
    ph_loop *loop = c->end.loop;
    int poll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = { .events = EPOLLIN };
    if (poll < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, ph_loop_fd(loop), &event) != 0) {
        exit(1);
    }
    rr_schedule_start(&c->schedule, o);
    while (c->schedule.done < c->schedule.total) {
        send_due(c, body, o->in_flight);
        ph_loop_turn(loop, 0);
        uint64_t wait_ns = rr_schedule_wait_ns(&c->schedule, rr_now_ns());
        struct timespec wait = { .tv_sec = (time_t)(wait_ns / 1000000000u),
                                 .tv_nsec = (long)(wait_ns % 1000000000u) };
        if (ph_loop_wait_ms(loop) != 0) {
            epoll_pwait2(poll, &event, 1, &wait, NULL);
        }
    }
    close(poll);
}

static void address_requests(caller *c, const rr_options *o, const void *body)
{
    for (uint32_t i = 0; i < o->pairs; i++) {
        char room[NAME_BYTES];
        c->requests[i] = (ph_outgoing)PH_OUTGOING_INIT;
        c->requests[i].to = strdup(name_of(o->name, i % o->responders, room));
        c->requests[i].method = "echo";
        c->requests[i].body = body;
        c->requests[i].body_size = o->payload;
    }
}

static int run_caller(const rr_options *o)
{
    caller c = { .requests = calloc(o->pairs, sizeof *c.requests) };
    void *payload = calloc(1, o->payload);
    if (c.requests == NULL || payload == NULL) {
        return 1;
    }
    ph_client_options options = PH_CLIENT_OPTIONS_INIT;
    options.calls_max = o->in_flight;
    end_open(&c.end, o->pairs, o, &options, "rr-caller");
    address_requests(&c, o, payload);
    rr_record_start(&c.record, o);
    if (o->rate > 0) {
        run_open(&c, payload, o);
    } else {
        run_closed(&c, o);
    }
    rr_record_print(&c.record);
    end_close(&c.end);
    for (uint32_t i = 0; i < o->pairs; i++) {
        free((char *)c.requests[i].to);
    }
    free(c.requests);
    free(payload);
    return 0;
}

int main(int argc, char **argv)
{
    static const rr_role roles[] = {
        { "responder", run_responder },
        { "caller", run_caller },
        { NULL, NULL },
    };
    return rr_main(argc, argv, roles);
}
