// SPDX-License-Identifier: Apache-2.0
//
// sim/rogue.c - see rogue.h.
//
// Call numbers of a center are slots with generations. A rogue sees some of them in requests that
// it is asked itself, and guesses others near by: in a small world it often guesses right. So only
// the check of who may answer (P-56) stands between its forgeries and somebody's callback.

#include "sim/rogue.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/slots.h"
#include "link/transport.h"
#include "wire/message.h"
#include "wire/name.h"
#include "wire/own_state.h"
#include "wire/stream.h"

#define GUESS_SLOTS 12u
#define SEEN_MAX 16u
#define SEND_BYTES_MAX (2u * PHI_PACKET_BYTES_MAX)
#define REDIAL phi_ms(300)

struct rogue {
    phi_transport transport; // first: events lead back by a cast
    phi_transports group;
    domain *domain;
    sim_node node;
    char account[16];
    char id[PHI_ID_BYTES_MAX + 1];
    phi_link_options options;
    phi_join join;
    phi_dur every;
    bool is_open;
    uint64_t seen[SEEN_MAX]; // numbers of calls it was asked, a ring
    uint32_t seen_count;
    uint32_t generation_max; // of those
};

static void dial(sim *s, void *arg);
static void misbehave(sim *s, void *arg);

// ---- what it says

static void say(rogue *r, const phi_message *message)
{
    phi_message own = *message;
    own.from = phi_bytes_text(r->id);
    size_t size = phi_message_size(&own);
    uint8_t *room = phi_transport_begin(&r->transport, size);
    if (room != NULL) {
        phi_message_encode(room, &own);
        phi_transport_commit(&r->transport, PHI_COMMAND_MESSAGE, size);
    }
}

static void say_reply(rogue *r, uint64_t call)
{
    static const char forged[] = "forged: this must reach nobody who did not ask me";
    say(r, &(phi_message){
               .kind = PHI_KIND_REPLY, .call = call, .body = phi_bytes_of(forged, sizeof forged) });
}

static void say_failure(rogue *r, uint64_t call)
{
    static const uint8_t body[] = { 0x03, 0xe8, 'n', 'o' };
    say(r, &(phi_message){
               .kind = PHI_KIND_FAILURE, .call = call, .body = phi_bytes_of(body, sizeof body) });
}

// Of any of the center's workers, or of one that it does not have.
static uint64_t guess(rogue *r, phi_random *random)
{
    uint64_t slot = phi_random_below(random, GUESS_SLOTS);
    uint64_t generation = 1 + phi_random_below(random, r->generation_max + 4u);
    uint32_t workers = r->domain->worker_count;
    uint64_t worker = workers > 1 ? phi_random_below(random, workers + 1u) : 0;
    return generation << 32 | worker << PHI_SLOTS_MARK_SHIFT | slot;
}

// More than it may, some of them under one turn.
static void ask_a_lot(rogue *r, uint64_t call, phi_random *random)
{
    for (int i = 0; i < 6; i++) {
        say(r, &(phi_message){ .kind = PHI_KIND_INQUIRY,
                               .turn = (uint16_t)phi_random_between(random, 1, 5),
                               .call = call,
                               .ttl_ms = (uint32_t)phi_random_below(random, 100) });
    }
}

// ---- what it is told

static void on_inquiry(rogue *r, const phi_message *m)
{
    phi_random *random = sim_node_random(r->domain->s, r->node);
    uint64_t times = phi_random_below(random, 4);
    for (uint64_t i = 0; i < times; i++) { // of which one counts
        uint16_t turn = phi_random_chance(random, 70) ? m->turn : (uint16_t)(m->turn % 7 + 1);
        say(r, &(phi_message){ .kind = PHI_KIND_ANSWER, .turn = turn, .call = m->call });
    }
}

static void on_message(rogue *r, phi_bytes payload)
{
    phi_message m;
    if (phi_message_decode(payload, &m) != PH_OK) {
        return;
    }
    if (m.kind == PHI_KIND_INQUIRY) {
        on_inquiry(r, &m);
        return;
    }
    if (m.kind != PHI_KIND_REQUEST) {
        return;
    }
    r->seen[r->seen_count++ % SEEN_MAX] = m.call;
    uint32_t generation = (uint32_t)(m.call >> 32);
    r->generation_max = generation > r->generation_max ? generation : r->generation_max;
    phi_random *random = sim_node_random(r->domain->s, r->node);
    switch (phi_random_below(random, 5)) {
    case 0:
        say_reply(r, m.call);
        say_reply(r, m.call);
        break;
    case 1:
        say_failure(r, m.call);
        say_reply(r, m.call);
        break;
    case 2:
        ask_a_lot(r, m.call, random);
        break;
    default: // later, by chance, or never
        break;
    }
}

static void on_transport_event(phi_transport *transport, const phi_link_event *event)
{
    rogue *r = (rogue *)transport;
    switch (event->type) {
    case PHI_LINK_EVENT_OPEN:
        r->is_open = true;
        PH_ASSERT(event->welcome.id.size < sizeof r->id);
        memcpy(r->id, event->welcome.id.data, event->welcome.id.size);
        r->id[event->welcome.id.size] = '\0';
        break;
    case PHI_LINK_EVENT_PACKET:
        if (event->packet.command == PHI_COMMAND_MESSAGE) {
            on_message(r, event->packet.payload);
        }
        break;
    case PHI_LINK_EVENT_CLOSED:
        r->is_open = false;
        break;
    case PHI_LINK_EVENT_JOIN:
    case PHI_LINK_EVENT_SUSPECT:
    case PHI_LINK_EVENT_ALIVE:
    case PHI_LINK_EVENT_CONFIRMED:
    case PHI_LINK_EVENT_NONE:
        PH_UNREACHABLE("not an event of a client's link");
    }
}

static void on_room(phi_transport *transport)
{
    (void)transport;
}

static void on_gone(phi_transport *transport)
{
    rogue *r = (rogue *)transport;
    sim_after(r->domain->s, r->node, REDIAL, dial, r);
}

static const phi_transport_events rogue_events = {
    .on_event = on_transport_event,
    .on_room = on_room,
    .on_gone = on_gone,
};

// ---- mischief

static void ask_presence(rogue *r, phi_random *random)
{
    uint8_t bytes[64];
    phi_writer w = phi_writer_of((phi_span){ bytes, sizeof bytes });
    phi_presence_ask ask = {
        .wants = phi_random_chance(random, 70),
        .type = (uint8_t)phi_random_below(random, PHI_TYPE_CENTER + 1),
        .service = phi_bytes_text(phi_random_chance(random, 50) ? "" : "s1"),
        .last_epoch = phi_random_chance(random, 50) ? 0 : 1,
        .last_revision = phi_random_below(random, 5),
    };
    phi_presence_ask_encode(&w, &ask);
    PH_ASSERT(!w.failed);
    uint8_t *room = phi_transport_begin(&r->transport, phi_writer_size(&w));
    if (room != NULL) {
        memcpy(room, bytes, phi_writer_size(&w));
        phi_transport_commit(&r->transport, PHI_COMMAND_ONLINE_LIST, phi_writer_size(&w));
    }
}

// Legal, and now and then longer than a line may get.
static void say_state(rogue *r, phi_random *random)
{
    static const uint8_t bulk[PHI_METADATA_VALUE_BYTES_MAX];
    uint8_t bytes[PHI_METADATA_COUNT_MAX * (PHI_METADATA_VALUE_BYTES_MAX + 8)];
    phi_own_state own = {
        .state = (phi_state)phi_random_between(random, PHI_STATE_STARTING, PHI_STATE_DRAINING),
        .has_weight = true,
        .weight = (uint16_t)phi_random_below(random, PHI_WEIGHT_MAX + 1),
        .has_metadata = phi_random_chance(random, 50),
    };
    if (own.has_metadata) {
        own.metadata_count =
            (size_t)phi_random_below(random, phi_random_chance(random, 90) ? 7 : 32);
    }
    for (size_t i = 0; i < own.metadata_count; i++) {
        size_t size = (size_t)phi_random_below(random, sizeof bulk + 1);
        own.metadata[i] = (phi_metadata){ phi_bytes_text("k"), phi_bytes_of(bulk, size) };
    }
    phi_writer w = phi_writer_of((phi_span){ bytes, sizeof bytes });
    phi_own_state_encode(&w, &own);
    PH_ASSERT(!w.failed);
    if (phi_writer_size(&w) > phi_link_payload_max(&r->transport.link)) {
        return;
    }
    uint8_t *room = phi_transport_begin(&r->transport, phi_writer_size(&w));
    if (room != NULL) {
        memcpy(room, bytes, phi_writer_size(&w));
        phi_transport_commit(&r->transport, PHI_COMMAND_OWN_STATE, phi_writer_size(&w));
    }
}

static void send_garbage(rogue *r, phi_random *random)
{
    size_t size = (size_t)phi_random_below(random, 64);
    uint8_t *room = phi_transport_begin(&r->transport, size);
    if (room != NULL) {
        for (size_t i = 0; i < size; i++) {
            room[i] = (uint8_t)phi_random_next(random);
        }
        // A message, an ask, something only a center may say, something nobody says.
        static const uint16_t commands[] = {
            PHI_COMMAND_MESSAGE,       PHI_COMMAND_MESSAGE,    PHI_COMMAND_ONLINE_LIST,
            PHI_COMMAND_ONLINE_STATUS, PHI_COMMAND_OWN_STATE,  PHI_COMMAND_SUBSCRIPTION,
            PHI_COMMAND_STREAM,        PHI_COMMAND_CREDENTIAL, 0x7777
        };
        uint64_t which = phi_random_below(random, PHI_COUNT_OF(commands));
        // Past the link, which says only what is legal; the next message takes it along.
        phi_outbound_commit(&r->transport.link.out, commands[which], size);
        say(r, &(phi_message){ .kind = PHI_KIND_EVENT, .to = phi_bytes_text("all:") });
    }
}

// Beginnings without an end, ends without a beginning, and words about either.
static void send_fragment(rogue *r, phi_random *random, const char *victim)
{
    static const uint8_t flags[] = { PHI_FLAG_MORE, PHI_FLAG_REST, PHI_FLAG_MORE | PHI_FLAG_REST };
    static const uint8_t kinds[] = { PHI_KIND_EVENT, PHI_KIND_REQUEST, PHI_KIND_REPLY };
    static const uint8_t body[40];
    uint8_t kind = kinds[phi_random_below(random, PHI_COUNT_OF(kinds))];
    uint64_t number = 1 + phi_random_below(random, 4);
    if (phi_random_chance(random, 70)) {
        phi_message m = { .kind = kind,
                          .flags = flags[phi_random_below(random, PHI_COUNT_OF(flags))],
                          .call = kind == PHI_KIND_REPLY ? guess(r, random) : number,
                          .body = phi_bytes_of(body, sizeof body) };
        if ((m.flags & PHI_FLAG_REST) == 0) {
            m.to = phi_bytes_text(phi_random_chance(random, 90) ? victim : "all:");
        }
        say(r, &m);
        return;
    }
    uint8_t *room = phi_transport_begin(&r->transport, PHI_STREAM_CONTROL_BYTES);
    if (room != NULL) {
        // Of a center of several workers the number says who is told.
        bool is_guessed = r->domain->worker_count > 1 && phi_random_chance(random, 50);
        phi_stream_control control = {
            .op = (uint8_t)phi_random_between(random, PHI_STREAM_CREDIT, PHI_STREAM_REFUSE),
            .kind = kind,
            .call = is_guessed ? guess(r, random) : number,
            .value = (uint32_t)phi_random_between(random, 1,
                                                  phi_random_chance(random, 80) ? 20 : UINT16_MAX)
        };
        phi_stream_control_encode(room, &control);
        phi_transport_commit(&r->transport, PHI_COMMAND_STREAM, PHI_STREAM_CONTROL_BYTES);
    }
}

// The end of this connection, mostly.
static void break_a_rule(rogue *r, phi_random *random, const char *victim)
{
    if (phi_random_chance(random, 80)) {
        send_garbage(r, random);
        return;
    }
    char id[sizeof r->id];
    memcpy(id, r->id, sizeof id);
    snprintf(r->id, sizeof r->id, "%s@" DOMAIN_NAME, victim); // in the name of another
    say(r, &(phi_message){ .kind = PHI_KIND_EVENT, .to = phi_bytes_text("all:") });
    memcpy(r->id, id, sizeof id);
}

static void misbehave(sim *s, void *arg)
{
    rogue *r = arg;
    phi_random *random = sim_node_random(s, r->node);
    sim_after(s, r->node, phi_ns(phi_random_below(random, 2 * r->every.ns) + 1), misbehave, r);
    if (!r->is_open) {
        return;
    }
    const char *victim =
        r->domain->actors[phi_random_below(random, r->domain->actor_count)].account;
    switch (phi_random_below(random, 15)) {
    case 0:
    case 1:
    case 2:
    case 3:
        for (int i = 0; i < 8; i++) {
            say_reply(r, guess(r, random));
        }
        break;
    case 4:
        say_failure(r, guess(r, random));
        break;
    case 5:
        if (r->seen_count > 0) { // late, or again
            uint32_t kept = r->seen_count < SEEN_MAX ? r->seen_count : SEEN_MAX;
            say_reply(r, r->seen[phi_random_below(random, kept)]);
        }
        break;
    case 6: // nobody waits for the answer; the number may be in use already
        say(r, &(phi_message){ .kind = PHI_KIND_REQUEST,
                               .call = 1 + phi_random_below(random, 4),
                               .ttl_ms = (uint32_t)phi_random_below(random, 2000),
                               .to = phi_bytes_text(victim) });
        break;
    case 7:
        say(r, &(phi_message){ .kind = PHI_KIND_CANCEL, .call = 1 + phi_random_below(random, 4) });
        break;
    case 8:
        say(r, &(phi_message){ .kind = PHI_KIND_INQUIRY,
                               .turn = 1,
                               .call = guess(r, random),
                               .to = phi_bytes_text(victim) });
        break;
    case 9:
        say(r, &(phi_message){
                   .kind = PHI_KIND_EVENT,
                   .to = phi_bytes_text(phi_random_chance(random, 50) ? "all:" : "queue:jobs") });
        break;
    case 10:
        ask_presence(r, random);
        break;
    case 11:
        send_fragment(r, random, victim);
        break;
    case 12:
        say(r, &(phi_message){ .kind = PHI_KIND_ANSWER, .turn = 1, .call = guess(r, random) });
        break;
    case 13:
        say_state(r, random);
        break;
    default:
        if (phi_random_chance(random, 20)) {
            break_a_rule(r, random, victim);
        }
        break;
    }
}

// ---- life

rogue *rogue_new(domain *d, uint32_t index)
{
    rogue *r = phi_take_zeroed(&phi_alloc_heap, 1, sizeof *r);
    PH_ASSERT(r != NULL);
    r->domain = d;
    snprintf(r->account, sizeof r->account, "rogue%u", index);
    r->node = sim_node_add(d->s, r->account);
    sim_node_kill(d->s, r->node);
    return r;
}

void rogue_free(rogue **r_in)
{
    rogue *r = *r_in;
    PH_ASSERT(!sim_node_is_alive(r->domain->s, r->node));
    phi_give(&phi_alloc_heap, r, sizeof *r);
    *r_in = NULL;
}

static void dial(sim *s, void *arg)
{
    rogue *r = arg;
    ph_err rc = phi_transport_connect(
        &r->transport, &r->group, &(phi_connect_options){ .address = DOMAIN_ADDRESS }, &r->options,
        /* diag= */ NULL);
    if (rc != PH_OK) {
        sim_after(s, r->node, REDIAL, dial, r);
    }
}

void rogue_start(rogue *r, phi_dur every)
{
    sim *s = r->domain->s;
    PH_ASSERT(every.ns > 0);
    sim_node_restart(s, r->node);
    phi_io *io = sim_io(s, r->node);
    r->every = every;
    r->is_open = false;
    r->join = (phi_join){ .version = PHI_PROTOCOL_VERSION,
                          .account = phi_bytes_text(r->account),
                          .type = PHI_TYPE_CLIENT };
    r->options = (phi_link_options){
        .alloc = io->alloc,
        .side = PHI_LINK_CLIENT,
        .send_bytes_max = SEND_BYTES_MAX,
        .packet_bytes_max = PHI_PACKET_BYTES_MAX,
        .join_timeout = phi_seconds(5),
        .heartbeat_idle = phi_ms(0), // as the center
        .heartbeat_grace = phi_ms(0),
        .full_timeout = phi_seconds(10),
        .suite_floor = PHI_SUITE_PLAIN,
        .join = &r->join,
    };
    phi_transports_init(&r->group, io, &rogue_events);
    sim_after(s, r->node, phi_ns(1), dial, r);
    sim_after(s, r->node, every, misbehave, r);
}

void rogue_kill(rogue *r)
{
    sim *s = r->domain->s;
    sim_node_kill(s, r->node);
    phi_transport_drop(&r->transport);
    phi_transports_fini(&r->group);
    memset(&r->transport, 0, sizeof r->transport);
    sim_node_restart(s, r->node); // gives back what its kernel kept
    sim_node_kill(s, r->node);
}

sim_node rogue_node(const rogue *r)
{
    return r->node;
}

const char *rogue_account(const rogue *r)
{
    return r->account;
}
