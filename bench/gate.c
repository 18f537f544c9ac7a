// SPDX-License-Identifier: Apache-2.0
//
// bench/gate.c - the hot path, message by message, for bench/gate.py to count its instructions.
//
// The real center and the real client library stand on ends in memory (gate_net.h): no sockets, no
// clock, the same bytes every time. A window of calls goes round in turns as it does over sockets;
// of each row only one end's turns are counted. Below that stand the parts of the wire layer alone.
//
// Under callgrind each row is a dump of its name; without it this program only shows that the
// traffic works. It prints a line per row: name, messages, what it is.

#include <posthouse/posthouse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/callgrind.h>

#include "bench/gate_net.h"
#include "center/center.h"
#include "center/security.h"
#include "client/client.h"
#include "tests/harness/rules.h"
#include "wire/codes.h"
#include "wire/inbound.h"
#include "wire/message.h"
#include "wire/outbound.h"

#define WINDOW 64u // messages in flight
#define ROUNDS 32u // counted; as many come before, which are not
#define MESSAGES (WINDOW * ROUNDS)
#define LISTENERS 10u // of the fan-out
#define BODY_BYTES 128u
#define PACKET_BYTES 200u

static void must(bool is_good, const char *what)
{
    if (!is_good) {
        fprintf(stderr, "bench_gate: %s failed\n", what);
        exit(1);
    }
}

static void count_begin(bool is_counted)
{
    if (is_counted) {
        CALLGRIND_TOGGLE_COLLECT;
    }
}

static void count_end(bool is_counted)
{
    if (is_counted) {
        CALLGRIND_TOGGLE_COLLECT;
    }
}

// Its name, and what one of them costs, for bench/gate.py.
static void row_end(const char *name, size_t messages, const char *what)
{
    printf("%s\t%zu\t%s\n", name, messages, what);
    CALLGRIND_DUMP_STATS_AT(name);
}

// ---- center, caller and responder

typedef enum end_index {
    CENTER,
    CALLER,
    RESPONDER,
    LISTENER, // the first of them
    END_COUNT = LISTENER + LISTENERS
} end_index;

typedef struct world {
    gate_end ends[END_COUNT];
    center *center;
    ph_client *caller;
    ph_client *responder;
    ph_client *listeners[LISTENERS]; // NULL: none
    ph_outgoing message;
    uint8_t body[BODY_BYTES];
    center_security security;
    phi_rules *rules; // owned; NULL: none
    size_t replies;   // that came
    size_t events;
} world;

static void on_request(ph_client *client, ph_request_id request, const ph_incoming *incoming,
                       void *arg)
{
    (void)arg;
    must(ph_client_reply(client, request, incoming->body.data, incoming->body.size) == PH_OK,
         "reply");
}

static void on_event(ph_client *client, const ph_incoming *event, void *arg)
{
    (void)client;
    world *w = arg;
    must(event->body.size == BODY_BYTES, "event");
    w->events++;
}

static void on_reply(ph_client *client, ph_call_id id, ph_err status, uint16_t code,
                     const ph_incoming *reply, void *arg)
{
    (void)client;
    (void)id;
    (void)code;
    world *w = arg;
    must(status == PH_OK && reply->body.size == BODY_BYTES, "call");
    w->replies++;
}

static ph_client *world_join(world *w, end_index at, const char *account)
{
    ph_client_options options = PH_CLIENT_OPTIONS_INIT;
    options.account = account;
    options.service = at == RESPONDER ? "work" : at >= LISTENER ? "listen" : NULL;
    options.on_request = on_request;
    options.on_event = on_event;
    options.arg = w;
    ph_client *client = NULL;
    gate_end_init(&w->ends[at], &w->ends[CENTER]);
    must(phi_client_new_on(&client, &w->ends[at].io, &options) == PH_OK, "client");
    must(ph_client_open(client) == PH_OK, "open");
    for (int i = 0; i < 10 && ph_client_state(client) != PH_LINK_UP; i++) {
        gate_end_turn(&w->ends[at]);
        gate_end_turn(&w->ends[CENTER]);
    }
    must(ph_client_state(client) == PH_LINK_UP, "join");
    return client;
}

static void world_listen(world *w, size_t index)
{
    char account[32];
    end_index at = (end_index)(LISTENER + index);
    snprintf(account, sizeof account, "listener%zu", index);
    w->listeners[index] = world_join(w, at, account);
    must(ph_client_subscribe(w->listeners[index], "to.all", NULL, NULL, NULL, NULL) == PH_OK,
         "subscribe");
    gate_end_turn(&w->ends[at]);
    gate_end_turn(&w->ends[CENTER]);
    gate_end_turn(&w->ends[at]);
}

static void world_init(world *w, phi_suite suite)
{
    *w = (world){ .message = PH_OUTGOING_INIT };
    w->message.to = "responder";
    w->message.method = "echo";
    w->message.body = w->body;
    w->message.body_size = sizeof w->body;

    gate_end_init(&w->ends[CENTER], NULL);
    center_options options = center_options_default();
    options.domain = "gate";
    options.suite = suite;
    phi_diag diag = { "" };
    must(center_new(&w->center, &w->ends[CENTER].io, &options, NULL, &diag) == PH_OK, diag.text);
    must(center_listen(w->center, &(center_listen_options){ .address = "127.0.0.1:0" }, NULL,
                       &diag) == PH_OK,
         diag.text);
    w->responder = world_join(w, RESPONDER, "responder");
    w->caller = world_join(w, CALLER, "caller");
}

static void world_fini(world *w)
{
    ph_client_free(&w->caller);
    ph_client_free(&w->responder);
    for (size_t i = 0; i < LISTENERS; i++) {
        ph_client_free(&w->listeners[i]);
    }
    center_free(&w->center);
    phi_rules_free(&w->rules);
    gate_net_clear();
}

// One end's turn.
static void world_turn(world *w, end_index at, end_index counted)
{
    count_begin(at == counted);
    gate_end_turn(&w->ends[at]);
    count_end(at == counted);
}

// A window of calls: out, through, answered, back through, and in.
static void round_of_calls(world *w, end_index counted)
{
    w->replies = 0;
    count_begin(counted == CALLER);
    for (size_t i = 0; i < WINDOW; i++) {
        must(ph_client_request(w->caller, &w->message, NULL, on_reply, w) == PH_OK, "request");
    }
    count_end(counted == CALLER);
    world_turn(w, CALLER, counted);
    world_turn(w, CENTER, counted);
    world_turn(w, RESPONDER, counted);
    world_turn(w, CENTER, counted);
    world_turn(w, CALLER, counted);
    must(w->replies == WINDOW, "a round of calls");
}

static void round_of_events(world *w, end_index counted)
{
    w->events = 0;
    count_begin(counted == CALLER);
    for (size_t i = 0; i < WINDOW; i++) {
        must(ph_client_send(w->caller, &w->message) == PH_OK, "send");
    }
    count_end(counted == CALLER);
    world_turn(w, CALLER, counted);
    world_turn(w, CENTER, counted);
    world_turn(w, RESPONDER, counted);
    must(w->events == WINDOW, "a round of events");
}

// The same to one of a service, of which there is one.
static void round_of_service(world *w, end_index counted)
{
    w->message.to = "service:work";
    round_of_calls(w, counted);
}

// A window of events, each to so many.
static void round_to_many(world *w, end_index counted, const char *to, size_t receivers)
{
    for (size_t i = 0; i < LISTENERS && w->listeners[i] == NULL; i++) {
        world_listen(w, i);
    }
    w->message.to = to;
    w->events = 0;
    for (size_t i = 0; i < WINDOW; i++) {
        must(ph_client_send(w->caller, &w->message) == PH_OK, "send");
    }
    world_turn(w, CALLER, counted);
    world_turn(w, CENTER, counted);
    world_turn(w, RESPONDER, counted);
    for (size_t i = 0; i < LISTENERS; i++) {
        world_turn(w, (end_index)(LISTENER + i), counted);
    }
    must(w->events == receivers * WINDOW, "a round to many");
}

static void round_of_fanout(world *w, end_index counted)
{
    round_to_many(w, counted, "topic:to.all", LISTENERS);
}

static void round_to_instances(world *w, end_index counted)
{
    round_to_many(w, counted, "all:listen", LISTENERS);
}

// Who answers calls is among them.
static void round_to_everyone(world *w, end_index counted)
{
    round_to_many(w, counted, "all:", LISTENERS + 1);
}

// With rules, which allow it: everybody has a role, and what is asked of it again is remembered.
static void secure(world *w)
{
    static const char *const lines[] = {
        "caller may call service:work",          "caller may publish to.*",
        "listener* may subscribe to.all",        "responder may register service:work",
        "listener* may register service:listen", NULL
    };
    if (w->rules == NULL) {
        w->rules = rules_of_lines(lines);
        w->security = center_security_open;
        w->security.rules = w->rules;
        center_secure(w->center, &w->security);
    }
}

static void round_of_ruled_calls(world *w, end_index counted)
{
    secure(w);
    round_of_calls(w, counted);
}

static void round_of_ruled_fanout(world *w, end_index counted)
{
    secure(w);
    round_of_fanout(w, counted);
}

static void count_traffic(phi_suite suite, void (*round)(world *w, end_index counted),
                          end_index counted, const char *name, const char *what)
{
    world w;
    world_init(&w, suite);
    for (size_t i = 0; i < ROUNDS; i++) {
        round(&w, END_COUNT);
    }
    for (size_t i = 0; i < ROUNDS; i++) {
        round(&w, counted);
    }
    row_end(name, MESSAGES, what);
    world_fini(&w);
}

// ---- the wire layer alone

static uint8_t packets[WINDOW][PACKET_BYTES];
static uint64_t sink; // takes the results, so that no work can be left out

static phi_message sample_message(size_t i)
{
    phi_message m = {
        .kind = PHI_KIND_REQUEST,
        .call = i + 1,
        .ttl_ms = 30000,
        .to = phi_bytes_text("responder"),
        .from = phi_bytes_text("caller@gate"),
        .method = phi_bytes_text("echo"),
        .body = { packets[0], 0 },
    };
    m.body.size = PACKET_BYTES - phi_message_size(&m);
    return m;
}

static void count_check(void)
{
    phi_check check = { 0 };
    for (size_t round = 0; round < 2; round++) {
        count_begin(round != 0);
        for (size_t i = 0; i < MESSAGES; i++) {
            sink += phi_check_packet(&check, phi_bytes_of(packets[i % WINDOW], PACKET_BYTES));
        }
        count_end(round != 0);
    }
    row_end("check", MESSAGES, "check of a packet of 200 bytes");
}

static void count_encode(void)
{
    static uint8_t room[PACKET_BYTES];
    phi_message m = sample_message(0);
    for (size_t round = 0; round < 2; round++) {
        count_begin(round != 0);
        for (size_t i = 0; i < MESSAGES; i++) {
            m.call = i + 1;
            phi_message_encode(room, &m);
            sink += room[i % PACKET_BYTES];
        }
        count_end(round != 0);
    }
    row_end("encode", MESSAGES, "a message written");
}

static void count_decode(void)
{
    for (size_t i = 0; i < WINDOW; i++) {
        phi_message m = sample_message(i);
        phi_message_encode(packets[i], &m);
    }
    for (size_t round = 0; round < 2; round++) {
        count_begin(round != 0);
        for (size_t i = 0; i < MESSAGES; i++) {
            phi_message m;
            must(phi_message_decode(phi_bytes_of(packets[i % WINDOW], PACKET_BYTES), &m) == PH_OK,
                 "decode");
            sink += m.call + m.body.size;
        }
        count_end(round != 0);
    }
    row_end("decode", MESSAGES, "a message's head read");
}

// A window of packets written and sealed, then cut, as a link does it.
static void stream_round(phi_outbound *out, phi_inbound *in, bool counts_out, bool counts_in)
{
    static uint8_t bytes[GATE_WAITING_BYTES_MAX];
    count_begin(counts_out);
    for (size_t i = 0; i < WINDOW; i++) {
        uint8_t *room = phi_outbound_begin(out, PACKET_BYTES);
        must(room != NULL, "begin");
        memcpy(room, packets[i], PACKET_BYTES);
        phi_outbound_commit(out, PHI_COMMAND_MESSAGE, PACKET_BYTES);
    }
    phi_bytes sealed = phi_outbound_seal(out);
    memcpy(bytes, sealed.data, sealed.size);
    size_t size = sealed.size;
    phi_outbound_sent(out, size);
    count_end(counts_out);

    count_begin(counts_in);
    phi_packet packet;
    phi_inbound_receive(in, (phi_span){ bytes, size });
    size_t count = 0;
    while (phi_inbound_next(in, &packet) == PHI_INBOUND_PACKET) {
        sink += packet.payload.size;
        count++;
    }
    count_end(counts_in);
    must(count == WINDOW, "a round of packets");
}

static void count_stream(bool is_out, const char *name, const char *what)
{
    phi_outbound out;
    phi_inbound in;
    phi_outbound_init(&out, &phi_alloc_heap, GATE_WAITING_BYTES_MAX);
    phi_inbound_init(&in, &phi_alloc_heap, PHI_PACKET_BYTES_MAX);
    must(phi_outbound_suite(&out, &phi_alloc_heap, PHI_SUITE_CHECK, NULL, NULL) == PH_OK, "suite");
    must(phi_inbound_suite(&in, PHI_SUITE_CHECK, NULL, NULL) == PH_OK, "suite");
    for (size_t i = 0; i < ROUNDS; i++) {
        stream_round(&out, &in, false, false);
    }
    for (size_t i = 0; i < ROUNDS; i++) {
        stream_round(&out, &in, is_out, !is_out);
    }
    row_end(name, MESSAGES, what);
    phi_outbound_fini(&out);
    phi_inbound_fini(&in);
}

// What the counts hold for: the compiler, and the instructions that the code chooses among at run
// time. (Valgrind shows programs no AVX-512 and no VAES, whatever the processor has.)
static void print_valid(void)
{
    static const char *const ways[PHI_KEY_STREAM_WAY_COUNT] = {
        [PHI_KEY_STREAM_LIBRARY] = "no AES",
        [PHI_KEY_STREAM_PROCESSOR] = "AES",
        [PHI_KEY_STREAM_QUADS] = "VAES",
    };
    printf("valid\tcompiler %s, %s, %s\n", __VERSION__, ways[phi_key_stream_best()],
           phi_wide_is_here() ? "AVX" : "no AVX");
}

int main(void)
{
    print_valid();
    count_traffic(PHI_SUITE_PLAIN, round_of_calls, CENTER, "route-call",
                  "a call through the center, plain");
    count_traffic(PHI_SUITE_CHECK, round_of_calls, CENTER, "route-call-check", "the same, check");
    count_traffic(PHI_SUITE_PAPER, round_of_calls, CENTER, "route-call-paper", "the same, paper");
    count_traffic(PHI_SUITE_PLAIN, round_of_ruled_calls, CENTER, "route-call-rules",
                  "the same, plain, where rules are");
    count_traffic(PHI_SUITE_PLAIN, round_of_events, CENTER, "route-event",
                  "an event through the center, plain");
    count_traffic(PHI_SUITE_PLAIN, round_of_service, CENTER, "route-service",
                  "a call to a service, plain");
    count_traffic(PHI_SUITE_PLAIN, round_of_fanout, CENTER, "route-fanout",
                  "an event to ten subscribers, plain");
    count_traffic(PHI_SUITE_PLAIN, round_of_ruled_fanout, CENTER, "route-fanout-rules",
                  "the same, where rules are");
    count_traffic(PHI_SUITE_PLAIN, round_to_instances, CENTER, "route-instances",
                  "an event to ten instances, plain");
    count_traffic(PHI_SUITE_PLAIN, round_to_everyone, CENTER, "route-everyone",
                  "an event to everyone, eleven, plain");
    count_traffic(PHI_SUITE_PLAIN, round_of_calls, CALLER, "client-call",
                  "a call at its caller, plain");
    count_traffic(PHI_SUITE_PLAIN, round_of_calls, RESPONDER, "client-answer",
                  "a call at its responder, plain");
    count_decode();
    count_encode();
    count_check();
    count_stream(true, "send", "a packet begun, committed and sealed, check");
    count_stream(false, "receive", "a packet cut and checked, check");
    fprintf(stderr, "sum of all results: %llx\n", (unsigned long long)sink);
    return 0;
}
