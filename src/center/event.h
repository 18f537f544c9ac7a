// SPDX-License-Identifier: Apache-2.0
//
// center/event.h - one event on its way to its receivers: how long it may still take, and what
// became of it, which its sender may want a receipt for (P-68).
//
// Life     event_of -> (event_tell | event_miss | event_nobody)* -> event_done
// Threads  none

#ifndef CENTER_EVENT_H
#define CENTER_EVENT_H

#include "center/deliver.h"

typedef struct center_event {
    session *sender;
    phi_bytes payload;
    uint64_t number;    // the sender's, for the receipt; 0: it wants none
    uint32_t ttl_ms;    // left when it came; 0 no limit
    uint32_t left_ms;   // the same in this turn, as event_is_expired found it
    phi_time since;     // when it came
    phi_receipt tally;  // so far
    phi_stretch copy;   // that all share, as they are told in this turn
    uint64_t stream;    // it is the first fragment of this one; 0: it is whole
    guard_topic *topic; // borrowed: that it is published to, where rights are to be looked at
    uint32_t fan;       // it is for many, who get the same: fan_mail.h; 0: for one
    bool is_refused;    // to somebody; that is not for the sender to know
} center_event;

// What became of the event with that number of the sender's.
void event_give_receipt(center *c, session *sender, uint64_t number, const phi_receipt *tally);

// Of a message of kind event. Views stay views.
center_event event_of(const center *c, session *sender, const phi_message *m, phi_bytes payload);

// Whether its time is over: asked in each turn before anybody is told.
bool event_is_expired(const center *c, center_event *e);

// `count` receivers do not get it.
void event_miss(center *c, center_event *e, uint64_t count, ph_failure_code why);

// Delivered or dropped, and counted, each of them. Returns how many: fewer than `count` when the
// last of them was what used up the turn's allowance, because a mailbox is full (abroad.h).
uint32_t event_tell_all(center *c, center_event *e, session *const *receivers, uint32_t count);

static inline void event_tell(center *c, center_event *e, session *receiver)
{
    (void)event_tell_all(c, e, &receiver, 1);
}

// There is no receiver at all, or nobody knows how many there would be.
void event_nobody(center *c, center_event *e, ph_failure_code why);

// The center is done with it: the receipt, when one is wanted; of one in fragments, once its last
// has been passed on.
void event_done(center *c, const center_event *e);

#endif // CENTER_EVENT_H
