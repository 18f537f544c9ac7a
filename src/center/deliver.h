// SPDX-License-Identifier: Apache-2.0
//
// center/deliver.h - the one way in which a message reaches a client.
//
// Whatever is said to a client goes through deliver(), which copies it once, into the receiver's
// send buffer. In it stands the one authorisation check. What the center says itself is made here,
// too.
//
// Threads  none

#ifndef CENTER_DELIVER_H
#define CENTER_DELIVER_H

#include <posthouse/message.h>

#include "center/call.h"
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
} deliver_as;

// What is written into the copy besides the number and the time.
typedef struct delivery_marks {
    uint8_t flags;
    uint8_t depth;
    uint16_t turn;
} delivery_marks;

// One message on its way to one receiver.
typedef struct delivery {
    const session *sender; // NULL: the center itself
    session *receiver;
    deliver_as as;
    const call *within; // the call in which it is said; NULL only for anybody
    phi_bytes payload;
    uint64_t number;             // written into the copy
    uint32_t ttl_ms;             // same
    const delivery_marks *marks; // same; NULL: they stay as they came
} delivery;

typedef enum delivered {
    DELIVERED,
    DELIVER_REFUSED,   // it is not for the sender to say
    DELIVER_FULL,      // the receiver's send buffer, or memory (P-59)
    DELIVER_TOO_LARGE, // the receiver takes no packet so long
} delivered;

PHI_MUST_CHECK delivered deliver(center *c, const delivery *d);

// The authorisation check, for who has to know before there is something to deliver.
bool deliver_is_allowed(const session *sender, deliver_as as, const call *within);

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
