// SPDX-License-Identifier: Apache-2.0
//
// link/transport.h - what carries a link: binds it to one stream of io.h. Bytes are pumped both
// ways, deadlines become timers, and everything queued in a turn leaves in one write at its end
// (unless it is very much).
//
// Life     phi_transports_init -> (accept | connect)* -> on_gone each -> phi_transports_fini
//          After on_event(CLOSED) the transport flushes the bye and closes the stream by itself;
//          on_gone is the last call, after it the owner may free the memory the transport stands
//          in. Both come exactly once, CLOSED first.
// Calls    Inside a callback any function may be called for any transport, also for the one that
//          called, but for phi_transport_drop. No callback runs from inside a call of the owner:
//          what a call causes is reported later in the turn, or in the next one.
// Shares   An owner for which a packet caused much work calls phi_transport_hold from inside
//          on_event, and phi_transport_go_on in a later turn: so what one peer asks for is cut into
//          turns, and others come between.
// Run      What is the same for many is written once, into the run of their group, and sent to each
//          from there at the end of the turn (wire/run.h).
// Limits   A stream that does not take the bye is closed after PHI_TRANSPORT_LINGER_MS. The run
//          takes PHI_TRANSPORT_RUN_BYTES_MAX a turn; what is more is copied to each.
// Threads  none: belongs to its io

#ifndef PHI_LINK_TRANSPORT_H
#define PHI_LINK_TRANSPORT_H

#include "io/io.h"
#include "link/link.h"

typedef struct phi_transport phi_transport;

typedef struct phi_transport_events {
    // Everything but PHI_LINK_EVENT_NONE.
    void (*on_event)(phi_transport *transport, const phi_link_event *event);
    // A message, which then is no event: it is what a busy owner gets most. NULL: it is one.
    void (*on_message)(phi_transport *transport, phi_bytes payload);
    // After phi_transport_begin failed for want of room, or phi_transport_want_room: at least half
    // of the buffer is free again.
    void (*on_room)(phi_transport *transport);
    void (*on_gone)(phi_transport *transport);
    // For an owner that meters what it is sent. Something was read and handed up: so many bytes,
    // and so many packets; one that was held hands up packets later than their bytes. What the link
    // handles itself (heartbeats) counts among the bytes only. Also for what ended the link, behind
    // that event. NULL: it costs nothing.
    void (*on_read)(phi_transport *transport, size_t bytes, size_t packets);
} phi_transport_events;

#define PHI_TRANSPORT_LINGER_MS 1000u
// When phi_transport_ease writes. A quarter of the second cache; half and twice of it were slower.
#define PHI_TRANSPORT_EASE_BYTES (256u * 1024u)
// After begin failed although there was room (no memory), the owner is told to try again.
#define PHI_TRANSPORT_RETRY_MS 10u
// The same when the quota refused it: many may wait then.
#define PHI_TRANSPORT_SHORT_RETRY_MS 100u
#define PHI_TRANSPORT_RUN_BYTES_MAX (1024u * 1024u)
// What a burst left of it is given back when so long no turn needed a quarter of that.
#define PHI_TRANSPORT_RUN_REST_MS 1000u

// All transports of one owner (a center, a client).
typedef struct phi_transports {
    phi_io *io;                         // borrowed until phi_transports_fini
    const phi_transport_events *events; // same
    phi_turn_hook hook;                 // asked for in a turn in which something is queued
    phi_list dirty;         // phi_transport.dirty: something is to be written or reported
    phi_run run;            // nothing of it waits between two turns
    phi_timer rest;         // set while the run is large: is that memory still needed?
    size_t count;           // that have a stream
    uint32_t turn;          // counts the runs of the hook
    uint32_t wasteful_turn; // in which a wasteful buffer was given back last
    phi_quota *quota; // borrowed, that of the links' options; NULL none. It shares among `count`
    uint64_t bytes_received;
    uint64_t bytes_sent;
} phi_transports;

typedef enum phi_transport_state {
    PHI_TRANSPORT_LIVE,   // the link lives, or its end is still to be reported
    PHI_TRANSPORT_ENDING, // CLOSED was reported; what waits is written
    PHI_TRANSPORT_SHUT,   // the stream was told to close
    PHI_TRANSPORT_GONE,   // it has
    PHI_TRANSPORT_STATE_COUNT
} phi_transport_state;

// Embedded in its owner's object. What each message passes stands together: the end of the link,
// and what follows it. An owner puts there what it needs for each.
struct phi_transport {
    phi_timer timer; // the link's deadline; once ENDING, the end of patience
    phi_link link;
    phi_transports *group; // NULL in a zeroed one
    phi_stream *stream;    // NULL once gone
    phi_list dirty;        // on phi_transports.dirty
    phi_sm sm;             // phi_transport_state
    phi_time armed;        // what the timer is set to; NEVER: it is not
    phi_time flushed;      // when something was last written; while blocked: stuck since then
    uint32_t room_turn;    // phi_transports.turn in which on_room was last called
    uint8_t busy_writes;   // in quick succession; a transport with many keeps its buffer
    bool is_connected;     // client: the stream is open
    bool is_blocked;       // the stream took less than all; on_writable will come
    bool wants_room;       // begin failed; on_room is owed
    bool is_held;          // phi_transport_hold was called
    bool is_paused;        // phi_transport_pause was called
};

void phi_transports_init(phi_transports *group, phi_io *io, const phi_transport_events *events);

// For an owner that has much to say to many: memory for the run, and that of all that waits.
// Without it they are sent copies. `quota` is that of the links' options, NULL: none.
void phi_transports_provide(phi_transports *group, const phi_alloc *alloc, phi_quota *quota);

// All transports are gone, or dropped: asserted. Accepts a zeroed one.
void phi_transports_fini(phi_transports *group);

// Center: takes an accepted stream.
// PH_ENOMEM   the link could not be made; the stream is still the caller's, no event follows
PHI_MUST_CHECK ph_err phi_transport_accept(phi_transport *t, phi_transports *group,
                                           phi_stream *stream, const phi_link_options *options,
                                           const phi_keys *keys);

// Client: connects. On PH_OK, CLOSED or OPEN follows.
// PH_EINVAL, PH_ENOMEM, PH_ESYSTEM   as phi_io_connect; no event follows
PHI_MUST_CHECK ph_err phi_transport_connect(phi_transport *t, phi_transports *group,
                                            const phi_connect_options *to,
                                            const phi_link_options *options, phi_diag *diag);

// What follows from a begin that failed. Do not call.
void phi_transport_begin_failed(phi_transport *t, size_t payload_max);

// Something will be queued in it soon: asks the processor for what that touches, of one that was
// quiet for a while. Changes nothing.
static PHI_ALWAYS_INLINE void phi_transport_foresee(const phi_transport *t)
{
    PHI_PREFETCH(&t->link.options);
    PHI_PREFETCH(&t->link.out);
    PHI_PREFETCH(&t->link.sm);
    PHI_PREFETCH(&t->stream);
    PHI_PREFETCH(&t->flushed);
}

// Something is to be written or reported at the end of the turn. Do not call.
static inline void phi_transport_mark(phi_transport *t)
{
    if (!phi_list_is_linked(&t->dirty)) {
        PH_ASSERT(t->stream != NULL);
        phi_list_append(&t->group->dirty, &t->dirty);
        phi_io_ask_hook(t->group->io, &t->group->hook);
    }
}

// What waits is written now. Do not call.
void phi_transport_write_ahead(phi_transport *t);

// For an owner that may say much in one turn, before each begin: then it is written piece by piece,
// each of which is still in the processor's cache when the kernel copies it, and its memory is used
// again.
static PHI_ALWAYS_INLINE void phi_transport_ease(phi_transport *t)
{
    if (PHI_UNLIKELY(phi_link_waiting(&t->link) >= PHI_TRANSPORT_EASE_BYTES && !t->is_blocked)) {
        phi_transport_write_ahead(t);
    }
}

// Room for a packet; NULL when full, and then on_room follows once there is room.
static PHI_ALWAYS_INLINE uint8_t *phi_transport_begin(phi_transport *t, size_t payload_max)
{
    uint8_t *room = phi_link_begin(&t->link, payload_max);
    if (PHI_UNLIKELY(room == NULL)) {
        phi_transport_begin_failed(t, payload_max);
    }
    return room;
}

static PHI_ALWAYS_INLINE void phi_transport_commit(phi_transport *t, phi_command code,
                                                   size_t payload_size)
{
    phi_link_commit(&t->link, code, payload_size);
    phi_transport_mark(t);
}

// Both in one, for a payload whose size is known: where it goes, to be written there before
// anything else is done with the transport.
static PHI_ALWAYS_INLINE uint8_t *phi_transport_put(phi_transport *t, phi_command code,
                                                    size_t payload_size)
{
    uint8_t *room = phi_link_put(&t->link, code, payload_size);
    if (PHI_UNLIKELY(room == NULL)) {
        phi_transport_begin_failed(t, payload_size);
        return NULL;
    }
    phi_transport_mark(t);
    return room;
}

// For who knows what the packet that was put last, with that payload, adds to the check: see
// phi_outbound_check.
static PHI_ALWAYS_INLINE void phi_transport_check(phi_transport *t, uint8_t *payload,
                                                  size_t payload_size, uint16_t part)
{
    phi_outbound_check(&t->link.out, payload, payload_size, part);
}

// Whether a packet for many might be put into the run for this one: it does not pay if nobody can
// share it.
static inline bool phi_transport_may_share(const phi_transport *t)
{
    return phi_outbound_may_share(&t->link.out, &t->group->run);
}

// Puts a packet into the run, for whoever shares it in this turn: where its payload goes, to be
// written there before anything else is done with the group. NULL: it has to be copied to each.
static inline uint8_t *phi_transports_put(phi_transports *group, phi_command code,
                                          size_t payload_size, phi_stretch *out)
{
    if (phi_run_end(&group->run) == 0) { // the hook makes it empty, though nobody may share it
        phi_io_ask_hook(group->io, &group->hook);
    }
    return phi_run_put(&group->run, (uint16_t)code, payload_size, out);
}

// Part of phi_transport_share. Do not call.
static PHI_ALWAYS_INLINE void phi_transport_sees(phi_transport *t, size_t size)
{
    if (t->link.out.shared_size == size) { // else it is dirty already
        PH_ASSERT(!t->is_blocked);         // something of its own would wait
        phi_transport_mark(t);
    }
}

// Queues a packet that stands in the run. False when it does not, or has to be put instead.
static PHI_ALWAYS_INLINE bool phi_transport_share(phi_transport *t, const phi_stretch *packet)
{
    if (!phi_link_share(&t->link, &t->group->run, packet)) {
        return false;
    }
    phi_transport_sees(t, packet->size);
    return true;
}

// The same for one that is shared by several, for whom the run has lent it at once.
static PHI_ALWAYS_INLINE bool phi_transport_share_lent(phi_transport *t, phi_run *run,
                                                       phi_stretch packet)
{
    if (!phi_link_share_lent(&t->link, run, packet)) {
        return false;
    }
    phi_transport_sees(t, packet.size);
    return true;
}

// A packet that goes to many transports of a group as it is.
typedef struct phi_transport_shared {
    phi_command code;
    phi_bytes payload;   // borrowed until it was put to the last of them
    phi_stretch stretch; // in the run; zeroed at first
} phi_transport_shared;

// All of that: shares it with the others if it can, else it is copied. False when full, and then
// on_room follows.
PHI_MUST_CHECK bool phi_transport_put_shared(phi_transport *t, phi_transport_shared *packet);

// For an owner that leaves part of the buffer to others and stops before begin fails: on_room
// follows once at least half of the buffer is free. To be called only while less than that is.
static inline void phi_transport_want_room(phi_transport *t)
{
    t->wants_room = true;
}

// These go to the link and see to it that what they queue is flushed and what they cause is
// reported (in this turn, not from inside the call).
void phi_transport_welcome(phi_transport *t, const phi_welcome *welcome);
void phi_transport_bye(phi_transport *t, phi_bye_code code, uint32_t retry_after_ms,
                       const char *text);
void phi_transport_probe(phi_transport *t);
void phi_transport_confirm(phi_transport *t, uint64_t mark);

// Ends it at once and for good: what is queued (a bye, perhaps) is written as far as the stream
// takes it without waiting, the stream is closed, no event follows, and the memory is the owner's
// when this returns. Accepts a zeroed transport, and one that is gone already. Not from inside its
// on_event.
void phi_transport_drop(phi_transport *t);

// Reads nothing while paused; what was read already is still reported. Silence is not judged
// meanwhile, and the peer is shown that this end lives. Whether it is held is another matter: both
// must have an end before it is read again.
void phi_transport_pause(phi_transport *t, bool is_paused);

// From inside on_event: hands up no more packets before phi_transport_go_on. The rest of what was
// received is kept (as much as one read of the io brought, at most), and nothing more is read.
// Ends, deadlines and room go on being told, and the peer is shown that this end lives. `event`
// stays valid until on_event returns.
void phi_transport_hold(phi_transport *t);

// Not from inside a callback of any transport; a turn hook of the owner is the place. Packets that
// were kept are handed up before it returns, until the transport is held again; then they go on
// being read from the stream. Nothing unless held.
void phi_transport_go_on(phi_transport *t);

#endif // PHI_LINK_TRANSPORT_H
