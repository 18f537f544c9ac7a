// SPDX-License-Identifier: Apache-2.0
//
// link/link.h - one framed connection, seen from one end.
//
// A link is pure protocol. Bytes and time go in; bytes and events come out. It owns no socket and
// reads no clock, so the same object runs under libuv, in the simulator and in the fuzzer. It does
// handshake, heartbeat, limits and bye by itself and hands the rest up.
//
// Held     An owner that wants no more packets for now calls phi_link_hold. What was received is
//          kept, nothing more may be, and silence is no sign of death until phi_link_go_on;
//          meanwhile the link shows by itself that this end lives. The same, but that nothing is
//          kept, is true between phi_link_pause and its end.
//
// Story    A center makes a link for each connection; its HELLO waits to be sent at once, and all
//          that follows it, in both directions, is in the suite it names. A client makes one when
//          it begins to connect, and says nothing before HELLO came. Then it sends JOIN; the
//          center's owner gets it as an event and answers before it lets the link go on, with
//          phi_link_welcome or phi_link_bye. From there on both ends are open: packets that are
//          legal come up as events; those that are not end the link. An end is one thing however
//          it came about (bye said, bye heard, breach, time, broken connection): the state is
//          closed from that moment, nothing more is received or queued, what waits can still be
//          sent, and one CLOSED event says why.
//
// Life     init -> (receive -> next*, begin -> commit, seal -> sent, tick)* -> CLOSED event -> fini
// States   greeting -> joining (-> admitting) -> open; from each to closed (docs/protocol.md P-33)
// Limits   options.send_bytes_max bytes wait to be sent, and PHI_LINK_HEADROOM_BYTES more for what
//          the link says itself; a packet is at most PHI_PACKET_BYTES_JOINING_MAX bytes long before
//          open, and packet_bytes_max after
// Threads  none: a link belongs to the loop that drives it

#ifndef PHI_LINK_LINK_H
#define PHI_LINK_LINK_H

#include "base/quota.h"
#include "base/sm.h"
#include "base/time.h"
#include "wire/bye.h"
#include "wire/codes.h"
#include "wire/handshake.h"
#include "wire/inbound.h"
#include "wire/outbound.h"

// Beyond send_bytes_max: always room for a bye (526 bytes), and for some answers to heartbeats, so
// that a full link still shows that this end lives.
#define PHI_LINK_HEADROOM_BYTES 1024u
// A smaller send buffer could be less than half full and still refuse a packet.
#define PHI_LINK_SEND_BYTES_MIN (2u * PHI_PACKET_BYTES_MAX)
// P-60: who is told to stay away for longer comes back after so long.
#define PHI_LINK_RETRY_AFTER_MS_MAX 3600000u

typedef enum phi_link_side {
    PHI_LINK_CENTER, // speaks first
    PHI_LINK_CLIENT,
    PHI_LINK_SIDE_COUNT
} phi_link_side;

typedef enum phi_link_state {
    PHI_LINK_GREETING,
    PHI_LINK_JOINING,
    PHI_LINK_ADMITTING, // center: JOIN was handed up; ends before the next call of phi_link_next,
                        // which an owner that has to ask somebody else puts off by phi_link_hold
    PHI_LINK_OPEN,
    PHI_LINK_CLOSED,
    PHI_LINK_STATE_COUNT
} phi_link_state;

// Many links that fell silent together are asked one after the other, `spacing` apart. Each takes
// the next free turn at the time when it would have been asked; a few may be asked at once.
typedef struct phi_link_pace {
    phi_dur spacing; // zero: all at once
    phi_time next;   // the next free turn, unless that is long past
} phi_link_pace;

#define PHI_LINK_PACE_BURST 16u // asks that may be made at once after a pause

// Shared by all links of a center or client, borrowed for their life.
typedef struct phi_link_options {
    const phi_alloc *alloc;
    // A ceiling over what waits in all links that have it; NULL: none. Beyond it begin gives no
    // room; what the link says itself still has some.
    phi_quota *quota;
    phi_link_side side;
    size_t send_bytes_max;     // when so many wait, it is full; at least PHI_LINK_SEND_BYTES_MIN
    uint32_t packet_bytes_max; // largest packet taken once open; PHI_PACKET_BYTES_JOINING_MAX to
                               // PHI_PACKET_BYTES_MAX
    phi_dur join_timeout;      // P-12; at the client: from init to WELCOME
    // center: ask after so long without a packet; may be changed at any time, and a link takes it
    // on when the time before is over. client: the same, but fixed; zero: as HELLO says
    phi_dur heartbeat_idle;
    phi_dur heartbeat_grace; // and close so long after
    phi_link_pace *pace;     // of the asks of all links that share it; NULL: none
    // P-59: a link that stays full so long is closed; at the center also one whose stream takes
    // nothing for so long
    phi_dur full_timeout;

    phi_cipher_group
        *ciphers; // of the loop (link/ciphers.h), in suite paper; NULL: each works alone

    // center
    phi_suite suite;
    phi_bytes domain;
    uint32_t calls_max;
    uint32_t message_bytes_max;
    uint32_t streams_max;
    uint32_t subscriptions_max;

    // client
    phi_suite suite_floor;
    // Sent after HELLO. Encoded it must fit into PHI_PACKET_BYTES_JOINING_MAX, head included; a
    // longer one ends the link with PH_ETOOLARGE.
    const phi_join *join;
} phi_link_options;

typedef enum phi_link_event_type {
    PHI_LINK_EVENT_NONE,
    PHI_LINK_EVENT_JOIN,      // center: answer with phi_link_welcome or phi_link_bye
    PHI_LINK_EVENT_OPEN,      // client: WELCOME came
    PHI_LINK_EVENT_PACKET,    // what the owner handles, legal in this state and from that end
    PHI_LINK_EVENT_SUSPECT,   // center: an ask is unanswered for half of grace (P-49)
    PHI_LINK_EVENT_ALIVE,     // center: the suspect gave a sign of life; before the packet it is
    PHI_LINK_EVENT_CONFIRMED, // the other end has read what was queued before phi_link_confirm
    PHI_LINK_EVENT_CLOSED,    // the last event
} phi_link_event_type;

// How a link ended.
//
//   err              bye was...                                              said     heard
//   PH_OK            normal, going_away                                       x        x
//   PH_EPROTO        length_invalid, command_unknown, illegal_in_state,
//                    malformed, from_mismatch, credit_exceeded: one end broke
//                    the protocol                                             x        x
//                    version_unsupported                                      x
//   PH_ECHECK        check_wrong                                              x        x
//   PH_ESUITE        suite_refused                                            x        x
//   PH_ETIMEDOUT     join_timeout, heartbeat_timeout                          x        x
//                    slow_consumer                                            x
//   PH_EREFUSED      account_taken, name_invalid, type_refused,
//                    limit_reached, not_authorised, kicked,
//                    credential_expired, tls_required                         x        x
//                    version_unsupported, slow_consumer, internal, and codes
//                    that are not known here (then `code` is internal)                 x
//   PH_ENOMEM        internal                                                 x
//   PH_ETOOLARGE     internal, when options.join is too long                  x
//
// Without a bye, phi_link_lost's reason is `err` (PH_ERESET, PH_ECLOSED, PH_ECONNECT, PH_ETLS), and
// `code` is normal, which then means nothing. After phi_link_keep without memory they are PH_ENOMEM
// and internal.
typedef struct phi_link_end {
    ph_err err;
    phi_bye_code code; // the bye's, said or heard, or what it would have been; < PHI_BYE_COUNT
    bool by_peer;      // the other end said it
    uint32_t retry_after_ms; // at most PHI_LINK_RETRY_AFTER_MS_MAX
    phi_bytes text;          // UTF-8 without control characters; valid until phi_link_fini
} phi_link_end;

typedef struct phi_link_event {
    phi_link_event_type type;
    union {
        const phi_join *join; // valid until the next phi_link_next, as all it points to
        phi_welcome welcome;  // its id same
        phi_packet packet;    // same; sending does not touch it
        uint64_t mark;        // CONFIRMED: what phi_link_confirm was given
        phi_link_end end;
    };
} phi_link_event;

// Kept small: a center has one for each connection, also for those that never join. What each
// message passes stands together, at the end, in front of what a transport adds.
typedef struct phi_link {
    union {
        phi_time state_deadline; // until open: end of greeting and joining
        phi_time measured;       // then: when the last ask was made, answered or not, or it opened
    };
    union {
        phi_time grace_from; // while an ask is out: since when an answer is waited for
        phi_time turn;       // while is_put_off: when it is to be asked
    };
    phi_time asked;         // when the ask that waits for its answer was sent; also its stamp;
                            // NEVER: none does
    phi_time shown;         // while deaf: when it last showed that this end lives
    uint64_t mark_asked;    // what the answer to that ask confirms; 0: nothing
    uint64_t mark_next;     // what the answer to the next one will; 0: nothing
    phi_dur heartbeat_idle; // in force
    phi_dur heartbeat_grace;
    uint32_t round_trip_us; // of the last answered ask; 0 unknown
    // client, from HELLO: how many calls the center lets us have open, the largest message in
    // fragments, how many of those at a time, and how many patterns (0: it did not say)
    uint32_t peer_calls_max;
    uint32_t peer_message_bytes_max;
    uint32_t peer_streams_max;
    uint32_t peer_subscriptions_max;
    bool owns_end_text; // end.text is from the allocator; else a constant
    bool is_ask_stuck;  // the ask that is out did not leave at once
    bool has_ask_moved; // what it is stuck behind did, since grace_from
    bool is_put_off;    // it is to be asked, but not before its turn (options.pace)
    phi_join *join;     // owned; center, between the JOIN event and the next phi_link_next
    phi_link_end end;

    const phi_link_options *options; // borrowed from the owner of the link
    phi_inbound in;
    phi_outbound out;
    phi_time heard;      // when the last byte came
    phi_time deadline;   // tick has nothing to do before it; may be earlier than need be
    phi_time full_since; // when begin first failed for want of room; NEVER: not full
    phi_sm sm;
    uint32_t ask_behind; // bytes that have to leave until the ask that is out is
    // client, from HELLO: the largest packet the center takes; PHI_PACKET_BYTES_MAX when it did not
    // say, and at the center
    uint32_t peer_packet_bytes_max;
    bool has_end;         // `end` waits to be reported
    bool has_chore;       // phi_link_next has something to look at before the next packet
    bool is_held;         // phi_link_hold was called
    bool is_paused;       // phi_link_pause was
    bool is_suspect;      // center: an ask is unanswered for half of grace
    bool is_told_suspect; // the owner knows
} phi_link;

// `keys`: center with suite paper only, else NULL; borrowed until the call returns. The center's
// HELLO is queued at once.
//
// PH_ENOMEM   no memory for HELLO or the ciphers
PHI_MUST_CHECK ph_err phi_link_init(phi_link *link, const phi_link_options *options,
                                    const phi_keys *keys, phi_time now);

// Accepts a zeroed link.
void phi_link_fini(phi_link *link);

// Attaches received bytes; they are changed, and borrowed until phi_link_next says NONE or CLOSED.
// Nothing once the link is closed.
void phi_link_receive(phi_link *link, phi_span bytes, phi_time now);

// The next event; type NONE when there is none. Call until then. Bytes behind the end of the link
// are not looked at.
void phi_link_next(phi_link *link, phi_link_event *event, phi_time now);

// The common case of that: true with the payload when a message is next. Else nothing has happened,
// and phi_link_next says what is.
static PHI_ALWAYS_INLINE bool phi_link_next_message(phi_link *link, phi_bytes *payload)
{
    return phi_sm_is(&link->sm, PHI_LINK_OPEN) && !link->has_chore &&
           phi_inbound_take(&link->in, PHI_COMMAND_MESSAGE, payload);
}

// The owner takes no more packets before phi_link_go_on; the packet of the last event is invalid.
// Without memory for what was received the link ends instead. Nothing once it is closed.
void phi_link_hold(phi_link *link);
void phi_link_go_on(phi_link *link, phi_time now);

// The owner reads nothing for now, or reads again. What was received before is still handed up. A
// link may be held and paused at the same time.
void phi_link_pause(phi_link *link, bool is_paused, phi_time now);

// Bytes of what was received that are kept because it is held.
static inline size_t phi_link_kept(const phi_link *link)
{
    return phi_inbound_kept(&link->in);
}

// Time has come. Events it causes (CLOSED) are found by phi_link_next. Nothing before the deadline.
void phi_link_tick(phi_link *link, phi_time now);
static inline phi_time phi_link_deadline(const phi_link *link)
{
    return link->deadline;
}

// Center, after a JOIN event: the client is in. Without memory for WELCOME the link closes instead.
void phi_link_welcome(phi_link *link, const phi_welcome *welcome, phi_time now);

// Says bye and closes: nothing is received or queued any more; what waits, and the bye, can still
// be sealed and sent. A CLOSED event follows from phi_link_next. Idempotent. `text` may be NULL:
// the code's own.
void phi_link_bye(phi_link *link, phi_bye_code code, uint32_t retry_after_ms, const char *text);

// P-81: what a center says, in the clear and in place of HELLO, to who waits for that where TLS is
// spoken. Returns its size.
#define PHI_LINK_TLS_REQUIRED_BYTES_MAX 128u
size_t phi_link_tls_required(phi_span room);

// The connection below is gone: CLOSED follows, with `why` ("Connection refused"; NULL: the text
// of the reason). Nothing once the link is closed.
void phi_link_lost(phi_link *link, ph_err reason, const char *why);

// Asks for a sign of life now, unless an ask is out. Nothing unless open.
void phi_link_probe(phi_link *link, phi_time now);

// The largest payload the other end takes.
static inline size_t phi_link_payload_max(const phi_link *link)
{
    return link->peer_packet_bytes_max - phi_suite_head(link->out.suite);
}

// PHI_LINK_EVENT_CONFIRMED with the last such mark (not 0) comes when the other end has answered an
// ask that was queued behind all that is queued now; so it has read that. Nothing unless open.
void phi_link_confirm(phi_link *link, uint64_t mark, phi_time now);

// Bytes, heads included, that may still be queued before begin fails.
static inline size_t phi_link_room(const phi_link *link)
{
    size_t waiting = phi_outbound_size(&link->out);
    size_t bytes_max = link->options->send_bytes_max;
    return waiting < bytes_max ? bytes_max - waiting : 0;
}

// At least half of the send buffer is free: who was refused may go on.
static inline bool phi_link_is_roomy(const phi_link *link)
{
    return phi_link_room(link) >= link->options->send_bytes_max / 2;
}

// Room for the payload of a packet, at most phi_link_payload_max bytes (asserted); NULL when the
// link is not open, is full (P-59), or there is no memory: then phi_link_begin_failed is to follow.
// The headroom is left free, in memory, too: what the link says itself does not depend on any being
// left when it says it.
static PHI_ALWAYS_INLINE uint8_t *phi_link_begin(phi_link *link, size_t payload_max)
{
    PH_ASSERT(payload_max <= phi_link_payload_max(link));
    if (PHI_UNLIKELY(!phi_sm_is(&link->sm, PHI_LINK_OPEN))) {
        return NULL;
    }
    return phi_outbound_begin_before(&link->out, payload_max, PHI_LINK_HEADROOM_BYTES);
}

// A link that is full says so from now on.
void phi_link_begin_failed(phi_link *link, size_t payload_max, phi_time now);

// What comes before the list, and bye, a link says itself.
static inline bool phi_link_is_owners(phi_command code)
{
    return code >= PHI_COMMAND_ONLINE_LIST && code <= PHI_COMMAND_CREDENTIAL &&
           code != PHI_COMMAND_BYE;
}

static PHI_ALWAYS_INLINE void phi_link_commit(phi_link *link, phi_command code, size_t payload_size)
{
    PH_ASSERT(phi_sm_is(&link->sm, PHI_LINK_OPEN));
    PH_ASSERT(phi_link_is_owners(code));
    phi_outbound_commit(&link->out, (uint16_t)code, payload_size);
}

// Both in one, for a payload whose size is known: where it goes, to be written there before
// anything else is done with the link. NULL as begin.
static PHI_ALWAYS_INLINE uint8_t *phi_link_put(phi_link *link, phi_command code,
                                               size_t payload_size)
{
    PH_ASSERT(payload_size <= phi_link_payload_max(link));
    PH_ASSERT(phi_link_is_owners(code));
    if (PHI_UNLIKELY(!phi_sm_is(&link->sm, PHI_LINK_OPEN))) {
        return NULL;
    }
    return phi_outbound_put(&link->out, (uint16_t)code, payload_size, PHI_LINK_HEADROOM_BYTES);
}

static PHI_ALWAYS_INLINE bool phi_link_takes(const phi_link *link, const phi_stretch *packet)
{
    return PHI_LIKELY(phi_sm_is(&link->sm, PHI_LINK_OPEN)) &&
           PHI_LIKELY(packet->size <= link->peer_packet_bytes_max);
}

// Queues a packet that stands in a run (wire/run.h). False when it has to be put instead: the link
// is not open, the other end does not take so much, or it cannot be shared. Before the run is
// reset it must have been sent, or phi_link_keep called.
static PHI_ALWAYS_INLINE bool phi_link_share(phi_link *link, phi_run *run,
                                             const phi_stretch *packet)
{
    return phi_link_takes(link, packet) &&
           phi_outbound_share(&link->out, run, packet, PHI_LINK_HEADROOM_BYTES);
}

// The same for one that the run has lent.
static PHI_ALWAYS_INLINE bool phi_link_share_lent(phi_link *link, phi_run *run, phi_stretch packet)
{
    return phi_link_takes(link, &packet) &&
           phi_outbound_share_lent(&link->out, run, packet, PHI_LINK_HEADROOM_BYTES);
}

// What to write next, enciphered; valid until the next call on the link, or on the run.
static inline phi_bytes phi_link_seal(phi_link *link)
{
    return phi_outbound_seal(&link->out);
}
void phi_link_sent(phi_link *link, size_t count);
static inline size_t phi_link_waiting(const phi_link *link)
{
    return phi_outbound_size(&link->out);
}

// The stream took less than all: what is shared of the rest becomes the link's own. Without memory
// the link ends, and nothing waits any more: the stream may have taken half of a packet.
void phi_link_keep(phi_link *link);

// Gives back the memory of buffers that are empty, and of key stream made ahead.
void phi_link_trim(phi_link *link);

static inline bool phi_link_is(const phi_link *link, phi_link_state state)
{
    return phi_sm_is(&link->sm, (uint8_t)state);
}

#endif // PHI_LINK_LINK_H
