// SPDX-License-Identifier: Apache-2.0
//
// tests/center/world.h - a center and its clients in memory, for its tests: time stands still
// unless it is moved, a client reads only as much as it is told to, and every byte can be chosen.
//
// The center is the real one, on one loop or on several. Its io is made here; its clients are bare
// client ends of link/, so that they can also say what no client would. What a peer receives is
// kept: messages in a queue, presence in a table of its own, whose continuity (P-45) is checked
// packet by packet.

#ifndef TESTS_CENTER_WORLD_H
#define TESTS_CENTER_WORLD_H

#include "base/alloc.h"
#include "base/buf.h"
#include "base/random.h"
#include "center/center.h"
#include "center/security.h"
#include "io/identity.h"
#include "link/link.h"
#include "wire/message.h"
#include "wire/own_state.h"
#include "wire/stream.h"

#define WORLD_PEERS_MAX 128
#define WORLD_LOGS_MAX 256
#define WORLD_WORKERS_MAX 3

typedef struct world world;

// One line of the online list, as a peer knows it.
typedef struct line {
    char id[132];
    char service[66];
    uint64_t session;
    uint64_t revision;
    uint8_t type;
    uint8_t state;
    uint16_t weight;
    uint32_t round_trip_us;
    size_t metadata_count;
    size_t software_size;
} line;

// A message that a peer received; views into `payload`.
typedef struct got {
    uint8_t *payload;
    size_t size;
    phi_message m;
} got;

// A packet of another kind that a peer received.
typedef struct got_packet {
    uint16_t command;
    bool is_read;
    uint8_t *payload;
    size_t size;
} got_packet;

typedef struct peer {
    world *w;
    phi_stream *stream; // NULL: gone
    phi_link link;
    phi_link_options options;
    phi_join join;
    size_t reads_max; // bytes it reads in a turn; 0: it does not read
    bool is_open;
    bool is_ended;
    phi_link_end end; // when is_ended
    char id[132];
    uint64_t session;
    uint64_t epoch;
    uint64_t joined_revision;
    uint32_t expires_ms; // of its WELCOME

    got *inbox; // messages
    size_t inbox_count;
    size_t inbox_read;

    got_packet *packets; // neither messages nor presence
    size_t packet_count;

    line *table; // presence
    size_t table_count;
    uint64_t revision; // of what it was told last
    bool knows_list;   // the last page came
    size_t pages;
    size_t lists;
    size_t statuses;
    size_t empty_statuses;
    size_t changes;
    size_t changes_unknown; // changes of somebody it did not know
    size_t onlines_known;   // onlines of sessions that it knew
    uint8_t last_what;
    uint8_t last_reason;
} peer;

// A worker of the center beside the first.
typedef struct world_worker {
    phi_io io;
    center *c;
} world_worker;

struct world {
    phi_io io;
    phi_alloc_counter alloc; // of the center; all loops have it
    center_options options;
    center *c;
    world_worker others[WORLD_WORKERS_MAX - 1];
    uint32_t worker_count;   // with the first
    struct world_box *boxes; // owned; one for each worker when there are several
    phi_log log;
    const char *log_ids[WORLD_LOGS_MAX];
    size_t log_count;
    phi_random random;
    const phi_listener_events *listener_events; // NULL: nobody listens
    void *listener_owner;
    phi_list streams;
    peer *peers[WORLD_PEERS_MAX];
    size_t peer_count;
    phi_identity who;         // who connects from here on; at first, somebody of this machine
    center_security security; // what world_secure tells the center
    phi_rules *rules[2];      // owned: those of now, and those before
    const char *distrusted;   // a certificate that names this is not believed any more; NULL: none
    uint64_t stood_still_ms;  // loops of the center, for want of memory
    uint64_t memory_after_ms; // of that, alloc.bytes_max is lifted
    uint64_t slow_us; // so much time passes between the center's part of a turn and the peers'
};

// A world in suite plain with default limits; `change` (may be NULL) changes the options.
world *world_new(void (*change)(center_options *options));
// The same when center_new may fail: its error. *out is to be freed in any case.
ph_err world_try(world **out, void (*change)(center_options *options), size_t fail_at);
// The same with so many workers. One of them may stand still while world_turn turns the others; all
// turn as the world settles.
world *world_new_of(uint32_t workers, void (*change)(center_options *options));
// Frees everything and checks that the center gave all memory back.
void world_free(world *w);

// Tells the center w->security, with rules made of lines such as "orders-* may call service:stock",
// one rule each. WORLD_SECURE(w, NULL): without rules.
void world_secure(world *w, const char *const *lines);
#define WORLD_SECURE(w, ...) world_secure((w), (const char *const[]){ __VA_ARGS__, NULL })
// Who connects from here on is of another machine, and has a certificate of that name; "": none.
void world_from_far(world *w, const char *name);
void world_from_here(world *w);
// Who connects from here on does so where TLS is spoken, or other centers are let in.
void world_listen_as(world *w, center_listener kind);

// One turn of the io; then the peers read what has come to them.
void world_turn(world *w);
// The same of one worker alone.
void world_turn_worker(world *w, uint32_t worker);
// Turns until nothing moves.
void world_settle(world *w);
// Lets time pass, in steps, turning.
void world_pass(world *w, uint64_t ms);
bool world_logged(const world *w, const char *id);
center_counters world_count(const world *w);

// A peer that connects; the handshake needs a few turns. `account` may be "".
peer *world_connect(world *w, const char *account);
// The same for a JOIN that the caller filled in.
peer *world_connect_as(world *w, const phi_join *join);
// Connects, settles, expects it to be in.
peer *world_join(world *w, const char *account);
// The same for a JOIN of which the caller filled in what is not as usual.
peer *world_join_as(world *w, const phi_join *join);
peer *world_join_service(world *w, const char *account, const char *service);
// The same for so many: l0, l1, ...
void world_join_listeners(world *w, peer **listeners, size_t count);
peer *world_watch(world *w, const char *account);

// So many bytes may be under way to the peer before the center's writes fall short.
void peer_window(peer *p, size_t size);
// Frees one that is gone, so that its place can be used again.
void world_forget(world *w, peer *p);
// Bytes on the wire as they are.
void peer_raw(peer *p, const void *bytes, size_t size);
// A packet of the peer's suite.
void peer_packet(peer *p, uint16_t command, const void *payload, size_t size);
void peer_say(peer *p, const phi_message *m);
void peer_event(peer *p, const char *to, const char *body);
void peer_request(peer *p, const char *to, uint64_t call, uint32_t ttl_ms);
void peer_reply(peer *p, uint64_t call, const char *body);
void peer_failure(peer *p, uint64_t call, uint16_t code);
void peer_cancel(peer *p, uint64_t call);
// Within a call: as its responder, and as its caller.
void peer_inquire(peer *p, uint64_t call, uint16_t turn, uint32_t ttl_ms);
void peer_answer(peer *p, uint64_t call, uint16_t turn, const char *body);
void peer_fail_inquiry(peer *p, uint64_t call, uint16_t turn, uint16_t code);
// A request of `from` to `to`, as far as the responder; its number there.
uint64_t peer_call(peer *from, peer *to, const char *address, uint64_t number);
void peer_ask(peer *p, const phi_presence_ask *ask);
void peer_control(peer *p, const phi_stream_control *control);

// Bytes on their way to it.
size_t peer_unread(const peer *p);
// Bytes of it on their way to the center.
size_t peer_unheard(const peer *p);
// In each turn it is read behind all who are there now.
void peer_read_last(peer *p);
void peer_own_state(peer *p, const phi_own_state *own);
// Says bye, as a client that leaves.
void peer_leave(peer *p);
// Is gone without a word.
void peer_cut(peer *p);

// It stops reading, and its send buffer at the center is filled to the brim by `other`.
void peer_fill_up(peer *p, peer *other);
// It reads on; the events that filled its buffer are skipped, up to the first other message.
void peer_drain(peer *p);

// The next unread message, or NULL.
const phi_message *peer_next(peer *p);
// The payload of the next unread packet of that command (neither message nor presence), or an empty
// view. Valid until the world turns.
phi_bytes peer_next_packet(peer *p, uint16_t command);
// The next message is a failure of that call with that code.
void peer_expect_failure(peer *p, uint64_t call, uint16_t code);
// The same for an inquiry in it, by its turn.
void peer_expect_inquiry_failure(peer *p, uint64_t call, uint16_t turn, uint16_t code);
// The next message is the center's cancel of that call, for that reason.
void peer_expect_cancel(peer *p, uint64_t call, uint16_t code);
// The next message is of that kind, with that call and body.
const phi_message *peer_expect(peer *p, phi_kind kind, uint64_t call, const char *body);
// The next messages have these bodies, each of one byte, and there is no other.
void peer_expect_bodies(peer *p, const char *bodies);
// The next message is a fragment of a body, of so many bytes.
const phi_message *peer_expect_fragment(peer *p, phi_kind kind, uint8_t flags, size_t size);
// The next stream packet says so; returned for what else is in it.
phi_stream_control peer_expect_control(peer *p, phi_stream_op op, uint64_t call, uint32_t value);
// The next message is the center's receipt for that event.
void peer_expect_receipt(peer *p, uint64_t number, phi_receipt wanted);
// Its link ended, said by the center, for that reason.
void peer_expect_bye(const peer *p, phi_bye_code code);

const line *peer_find(const peer *p, const char *id);
// Its table is what the center's is: just those peers that are in.
void world_expect_converged(const world *w, const peer *p);

// The center keeps nothing of any call: none is open, nobody is owed anything.
void world_expect_no_calls(const world *w);
// So many calls take a slot, for whatever reason.
uint32_t world_call_slots(const world *w);
// All requests and inquiries that came are counted once, by how they ended, or are open.
void world_expect_balance(const world *w);

#endif // TESTS_CENTER_WORLD_H
