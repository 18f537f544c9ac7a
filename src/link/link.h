// SPDX-License-Identifier: Apache-2.0
//
// link/link.h - one framed connection, seen from one end.
//
// A link is pure protocol. Bytes and time go in; bytes and events come out. It owns no socket and
// reads no clock, so the same object runs under libuv, in the simulator and in the fuzzer. It does
// handshake, heartbeat, limits and bye by itself and hands the rest up.
//
// Life     init -> (receive -> next*, begin -> commit, seal -> sent, tick)* -> PHI_LINK_CLOSED
//          event -> fini
// States   greeting -> joining -> open -> closed (docs/protocol.md P-33)
// Limits   options.send_bytes_max bytes wait to be sent; a packet is at most packet_bytes_max
// Threads  none: a link belongs to the loop that drives it

#ifndef PHI_LINK_LINK_H
#define PHI_LINK_LINK_H

#include "base/sm.h"
#include "base/time.h"
#include "wire/bye.h"
#include "wire/codes.h"
#include "wire/handshake.h"
#include "wire/inbound.h"
#include "wire/outbound.h"

typedef enum phi_link_side {
    PHI_LINK_CENTER, // speaks first
    PHI_LINK_CLIENT,
} phi_link_side;

typedef enum phi_link_state {
    PHI_LINK_GREETING,
    PHI_LINK_JOINING,
    PHI_LINK_OPEN,
    PHI_LINK_CLOSED,
    PHI_LINK_STATE_COUNT
} phi_link_state;

// Shared by all links of a center or client, borrowed for their life.
typedef struct phi_link_options {
    const phi_alloc *alloc;
    phi_link_side side;
    size_t send_bytes_max;     // also the most that may wait before the link is full
    uint32_t packet_bytes_max; // largest packet taken once open; at most PHI_PACKET_BYTES_MAX
    phi_dur join_timeout;      // P-12; at the client: from init to WELCOME
    // center: ask after so long without a packet. client: the same; zero: as HELLO says
    phi_dur heartbeat_idle;
    phi_dur heartbeat_grace; // and close so long after
    phi_dur full_timeout;    // P-59: a link that stays full so long is closed

    // center
    phi_suite suite;
    phi_bytes domain;
    uint32_t calls_max;

    // client
    phi_suite suite_floor;
    const phi_join *join; // sent after HELLO
} phi_link_options;

typedef enum phi_link_event_type {
    PHI_LINK_EVENT_NONE,
    PHI_LINK_EVENT_JOIN,   // center: answer with phi_link_welcome or phi_link_bye
    PHI_LINK_EVENT_OPEN,   // client: WELCOME came
    PHI_LINK_EVENT_PACKET, // list, status or message, legal in this state and from that end
    PHI_LINK_EVENT_CLOSED, // the last event
} phi_link_event_type;

// How a link ended.
typedef struct phi_link_end {
    ph_err err;        // PH_OK: with a bye that is no complaint (normal, going_away)
    phi_bye_code code; // the bye's, sent or received, or what it would have been
    bool by_peer;      // the other end sent it
    uint32_t retry_after_ms;
    phi_bytes text; // view, valid until the next call on the link
} phi_link_end;

typedef struct phi_link_event {
    phi_link_event_type type;
    union {
        const phi_join *join;       // valid until the next call on the link
        const phi_welcome *welcome; // same
        phi_packet packet;          // valid until the next phi_link_next; sending does not touch it
        phi_link_end end;
    };
} phi_link_event;

typedef struct phi_link {
    const phi_link_options *options; // borrowed from the owner of the link
    phi_sm sm;
    phi_inbound in;
    phi_outbound out;
    phi_time deadline;       // when tick has something to do, at the earliest
    phi_time state_deadline; // end of greeting and joining
    phi_time heard;          // when the last packet came
    phi_time asked;          // when the unanswered ask was sent; NEVER: none is
    phi_time full_since;     // when begin first failed for want of room; NEVER: not full
    phi_dur heartbeat_idle;  // in force
    phi_dur heartbeat_grace;
    uint64_t stamp;         // of the unanswered ask
    uint32_t round_trip_us; // of the last answered one; 0 unknown
    // client, from HELLO: the largest packet the center takes (PHI_PACKET_BYTES_MAX when it did not
    // say), and how many calls it lets us have open (0: it did not say)
    uint32_t peer_packet_bytes_max;
    uint32_t peer_calls_max;
    bool has_end; // `end` waits to be reported
    phi_link_end end;
    char end_text[PHI_BYE_TEXT_BYTES_MAX];
} phi_link;

// `keys`: center with suite paper only, else NULL; borrowed until the call returns. The center's
// HELLO is queued at once.
//
// PH_ENOMEM   no memory for HELLO or the ciphers
PHI_MUST_CHECK ph_err phi_link_init(phi_link *link, const phi_link_options *options,
                                    const phi_keys *keys, phi_time now);

// Accepts a zeroed link.
void phi_link_fini(phi_link *link);

// Attaches received bytes; they are changed, and borrowed until phi_link_next says NONE.
void phi_link_receive(phi_link *link, phi_span bytes, phi_time now);

// The next event; type NONE when there is none. Call until then. Bytes behind the end of the link
// are not looked at.
void phi_link_next(phi_link *link, phi_link_event *event, phi_time now);

// Time has come. Events it causes (CLOSED) are found by phi_link_next.
void phi_link_tick(phi_link *link, phi_time now);
static inline phi_time phi_link_deadline(const phi_link *link)
{
    return link->deadline;
}

// Center, after a JOIN event: the client is in.
void phi_link_welcome(phi_link *link, const phi_welcome *welcome, phi_time now);

// Says bye and closes: nothing is received or queued any more; what waits, and the bye, can still
// be sealed and sent. A CLOSED event follows from phi_link_next. Idempotent. `text` may be NULL:
// the code's own.
void phi_link_bye(phi_link *link, phi_bye_code code, uint32_t retry_after_ms, const char *text);

// The connection below is gone: CLOSED follows, with `why` ("Connection refused"; may be NULL) as
// its text.
void phi_link_lost(phi_link *link, ph_err reason, const char *why);

// Asks for a sign of life now, unless an ask is out.
void phi_link_probe(phi_link *link, phi_time now);

// Room for the payload of a packet, or NULL when the link is full (P-59) or there is no memory.
// Only while open.
uint8_t *phi_link_begin(phi_link *link, size_t payload_max, phi_time now);
void phi_link_commit(phi_link *link, phi_command command, size_t payload_size);

// Bytes that may still be queued before begin fails.
size_t phi_link_room(const phi_link *link);

// What to write next, enciphered; valid until the next call on the link.
static inline phi_bytes phi_link_seal(phi_link *link)
{
    return phi_outbound_seal(&link->out);
}
void phi_link_sent(phi_link *link, size_t count);
static inline size_t phi_link_waiting(const phi_link *link)
{
    return phi_outbound_size(&link->out);
}

static inline bool phi_link_is(const phi_link *link, phi_link_state state)
{
    return phi_sm_is(&link->sm, (uint8_t)state);
}

#endif // PHI_LINK_LINK_H
