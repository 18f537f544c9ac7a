// SPDX-License-Identifier: Apache-2.0
//
// center/deliver.h - the one way in which a message reaches a client.
//
// Whatever is said to a client goes through deliver(), which copies it once, into the receiver's
// send buffer; what is the same for many is copied once for all of them, into the run of the turn
// (wire/run.h). In it stands the one authorisation check. What the center says itself is made here,
// too.
//
// Threads  none

#ifndef CENTER_DELIVER_H
#define CENTER_DELIVER_H

#include <posthouse/message.h>

#include "base/assert.h"
#include "base/canary.h"
#include "center/fan_mail.h"
#include "center/state.h"
#include "wire/message.h"
#include "wire/packet.h"

// What the center says itself fits into a packet of 8,192 bytes.
#define DELIVER_OWN_BODY_BYTES_MAX                                                                 \
    (PHI_PACKET_BYTES_JOINING_MAX - PHI_PACKET_HEAD_CHECKED - PHI_MESSAGE_HEAD_BYTES - 1u -        \
     PHI_NAME_BYTES_MAX)

// In what capacity the sender speaks.
typedef enum deliver_as {
    DELIVER_AS_ANYBODY,   // events and requests
    DELIVER_AS_RESPONDER, // of `within`: replies, failures, inquiries
    DELIVER_AS_CALLER,    // of `within`: answers to inquiries, and their failures
    DELIVER_AS_BOUND,     // of a stream, whose first fragment was delivered: the others
} deliver_as;

// What is written into the copy besides the number and the time.
typedef struct delivery_marks {
    uint8_t flags;
    uint8_t depth;
    uint16_t turn;
} delivery_marks;

// One message on its way to one receiver.
typedef struct delivery {
    session *sender; // NULL: the center itself
    session *receiver;
    deliver_as as;
    const call *within; // the call in which it is said; NULL for anybody, and of a stream
    guard_topic *topic; // it is published to that; NULL: it is for the receiver
    phi_bytes payload;
    uint64_t number;      // written into the copy
    uint32_t ttl_ms;      // same
    delivery_marks marks; // same, if
    bool is_marked;       // else they stay as they came
    uint32_t fan;         // it is the same for others: fan_mail.h; 0: it is not
} delivery;

typedef enum delivered {
    DELIVERED,
    DELIVER_REFUSED,   // it is not for the sender to say
    DELIVER_FULL,      // the receiver's send buffer, or memory (P-59)
    DELIVER_TOO_LARGE, // the receiver takes no packet so long
} delivered;

PHI_MUST_CHECK delivered deliver(center *c, const delivery *d);

// Slow path of deliver_inline: a message in fragments begins. By value, so that one whose address
// nobody has need not stand in memory. Do not call.
delivered deliver_first(center *c, delivery d);

// The same: what is the same for many goes to one abroad.
delivered deliver_mailed(center *c, delivery d);

// The one authorisation check. Whoever has no role may write to everybody, others as the rules say
// (guard.h). In a call only its responder may answer and ask back, and only its caller may answer
// that (P-56, P-62): the call itself was allowed when it was made.
static PHI_ALWAYS_INLINE bool deliver_is_allowed(center *c, const delivery *d)
{
    session *sender = d->sender;
    if (sender == NULL) { // the center
        return true;
    }
    PH_ASSERT(session_is(sender, SESSION_JOINED));
    switch (d->as) {
    case DELIVER_AS_ANYBODY:
        return PHI_LIKELY(sender->role == NULL && d->topic == NULL) ||
               guard_allows_again(sender, d->receiver, d->topic) ||
               guard_allows(c, sender, d->receiver, d->payload, d->topic);
    case DELIVER_AS_RESPONDER:
        return PHI_CANARY || d->within->responder == sender;
    case DELIVER_AS_CALLER:
        return PHI_CANARY || d->within->caller == sender;
    case DELIVER_AS_BOUND:
        return true;
    }
    PH_UNREACHABLE("no capacity to speak in");
}

// The copy itself.
static PHI_ALWAYS_INLINE void deliver_write(uint8_t *room, const delivery *d, uint64_t number)
{
    memcpy(room, d->payload.data, d->payload.size);
    phi_put_u64(room + PHI_MESSAGE_CALL_AT, number);
    phi_put_u32(room + PHI_MESSAGE_TTL_AT, d->ttl_ms);
    if (PHI_UNLIKELY(d->is_marked)) {
        room[PHI_MESSAGE_FLAGS_AT] = d->marks.flags;
        room[PHI_MESSAGE_DEPTH_AT] = d->marks.depth;
        phi_put_u16(room + PHI_MESSAGE_TURN_AT, d->marks.turn);
    }
}

// Slow path of deliver_queue: the copy in `room` differs from what came in number and time alone,
// so its check follows from that, too, and it is not read again. Nothing when that is not known. Do
// not call.
void deliver_check(const session *sender, session *receiver, phi_bytes came, uint8_t *room);

// A message in fragments begins.
static PHI_ALWAYS_INLINE bool deliver_is_cut(const delivery *d)
{
    uint8_t flags = d->payload.data[PHI_MESSAGE_FLAGS_AT];
    return (flags & (PHI_FLAG_MORE | PHI_FLAG_REST)) == PHI_FLAG_MORE;
}

static PHI_ALWAYS_INLINE delivered deliver_queue(center *c, const delivery *d, uint64_t number)
{
    if (PHI_UNLIKELY(d->receiver->is_detoured) && d->receiver->is_abroad && d->fan != 0) {
        return deliver_mailed(c, *d);
    }
    uint8_t *room = session_put(d->receiver, PHI_COMMAND_MESSAGE, d->payload.size);
    if (PHI_UNLIKELY(room == NULL)) {
        return DELIVER_FULL;
    }
    deliver_write(room, d, number);
    if (d->receiver->transport.link.out.suite == PHI_SUITE_CHECK && d->sender != NULL &&
        !d->is_marked) {
        deliver_check(d->sender, d->receiver, d->payload, room);
    }
    c->counters.messages_sent_total++;
    return DELIVERED;
}

// deliver() to one of many, who are all to have the same: *copy, which they share if they can. It
// is zeroed at first, and whenever something about the delivery changed but its receiver.
PHI_MUST_CHECK delivered deliver_to_many(center *c, const delivery *d, phi_stretch *copy);

// The same when it is no more than sharing the copy, which the run has lent; the caller counts it.
// False: it is more.
static PHI_ALWAYS_INLINE bool deliver_shared(center *c, const delivery *d, phi_stretch copy)
{
    PH_ASSERT(session_is(d->receiver, SESSION_JOINED));
    return PHI_LIKELY(deliver_is_allowed(c, d)) && PHI_LIKELY(!d->receiver->is_detoured) &&
           phi_transport_share_lent(&d->receiver->transport, &c->transports.run, copy);
}

// What stands behind the check, for one receiver.
static PHI_ALWAYS_INLINE delivered deliver_allowed(center *c, const delivery *d)
{
    PH_ASSERT(d->payload.size >= PHI_MESSAGE_HEAD_BYTES);
    // What came in as one packet goes out as one, unless the receiver's suite has longer heads, or
    // it takes less.
    if (PHI_UNLIKELY(d->payload.size > phi_link_payload_max(&d->receiver->transport.link))) {
        return DELIVER_TOO_LARGE;
    }
    if (PHI_UNLIKELY(deliver_is_cut(d))) {
        return deliver_first(c, *d);
    }
    return deliver_queue(c, d, d->number);
}

// deliver() itself, for where most messages pass.
static PHI_ALWAYS_INLINE delivered deliver_inline(center *c, const delivery *d)
{
    PH_ASSERT(session_is(d->receiver, SESSION_JOINED));
    if (PHI_UNLIKELY(!deliver_is_allowed(c, d))) {
        return DELIVER_REFUSED;
    }
    return deliver_allowed(c, d);
}

// What becomes of a request or an inquiry that was not delivered. Not for DELIVERED.
ph_failure_code deliver_code(delivered why);

// A failure that the center makes: of a call (turn 0) or of an inquiry in it. False when the
// receiver's buffer is full.
PHI_MUST_CHECK bool deliver_failure(center *c, session *receiver, uint64_t number, uint16_t turn,
                                    ph_failure_code code);

// Tells a responder that nobody wants the call any more.
PHI_MUST_CHECK bool deliver_cancel(center *c, session *responder, uint64_t number,
                                   ph_failure_code why);

// A reply of the center's own. `body` has at most DELIVER_OWN_BODY_BYTES_MAX.
PHI_MUST_CHECK bool deliver_reply(center *c, session *caller, uint64_t number, phi_bytes body);

// What became of an event, told to who sent it: P-68.
PHI_MUST_CHECK bool deliver_receipt(center *c, session *sender, uint64_t number, phi_bytes body);

#endif // CENTER_DELIVER_H
