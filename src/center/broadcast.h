// SPDX-License-Identifier: Apache-2.0
//
// center/broadcast.h - one event for many, and how much of that fits into a turn.
//
// One small packet may ask for as many deliveries as there are sessions. So a turn has an allowance
// of them. A broadcast that finds it used up waits, with its payload and those who are still to be
// told, and its sender is held: what it sent behind that waits, too, so that order (P-55) stays
// what it was. In the next turn those that wait go on, a share each, in rounds.
//
// Life     start -> (turn)* -> done, or broadcast_drop when its sender leaves
// Limits   deliveries_per_turn_max; one broadcast of a session waits, and its memory counts as
//          send_memory_max: without any left, what is over the allowance is dropped and counted
// Threads  none

#ifndef CENTER_BROADCAST_H
#define CENTER_BROADCAST_H

#include "center/event.h"

typedef struct broadcast broadcast;

typedef enum broadcast_kind {
    BROADCAST_EVERYONE,  // in the domain, but the sender
    BROADCAST_INSTANCES, // of the service called `name`, but the sender
    BROADCAST_TOPIC,     // who subscribed to what fits the topic `name`
    BROADCAST_GATHER,    // see gather.h, which asks them itself
    BROADCAST_NOBODY,    // its sender waits for its share: broadcast_spend
} broadcast_kind;

// From inside the transport's on_event of the sender. `name` is a view into the event's payload,
// which is borrowed until the call returns.
void broadcast_start(center *c, const center_event *e, broadcast_kind kind, phi_bytes name);

// The short way for an event on the topic that was the last to be published to, if it asks for
// nothing but to be passed on and did not wait. False: nothing has happened, it is to be started.
// `to` is the message's. From inside the transport's on_event of the sender.
PHI_MUST_CHECK bool broadcast_again(center *c, session *s, phi_bytes to, phi_bytes payload);

// A gather, by its call's handle, that finds the allowance used up: its sender is held, and
// gather_ask follows in a later turn. From inside the transport's on_event of the sender. False
// without memory.
PHI_MUST_CHECK bool broadcast_wait(center *c, session *s, phi_bytes payload, uint64_t handle);

// So many deliveries were made in another way.
void broadcast_charge(center *c, uint64_t deliveries);

// The same for what a packet of `s` caused, or for work that takes as long. When that uses up the
// allowance, `s` is held and goes on with its share of a later turn. From inside the transport's
// on_event of `s`, as the last that is done there; nothing is held when it has left.
void broadcast_spend(center *c, session *s, uint64_t deliveries);

// End of a turn: a new allowance, from which those that wait go on first.
void broadcast_turn(center *c);

// Its sender leaves: whoever it did not reach yet does not get it. Nothing when none waits.
void broadcast_drop(center *c, session *s);

#endif // CENTER_BROADCAST_H
