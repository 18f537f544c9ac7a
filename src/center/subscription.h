// SPDX-License-Identifier: Apache-2.0
//
// center/subscription.h - what clients say about topics they want, and the answers: P-73.
//
// The subscriptions themselves are in topics.h. An answer for which a client has no room waits, and
// the client is held: so nobody can ask faster than it reads. A turn has an allowance of changes,
// too; who asks for more waits for the next ones, in order.
//
// Life     subscription_handle makes the session's subscriber; subscription_leave takes it down
// Limits   subscriptions_max, subscriptions_per_client_max, subscription_memory_max; the
//          subscriptions of those who left are swept out a few thousand in a turn
// Threads  none

#ifndef CENTER_SUBSCRIPTION_H
#define CENTER_SUBSCRIPTION_H

#include "center/session.h"

// Once, while the center is made.
void subscription_init(center *c);

// Of a client abroad: the changes that its home has made. Its answer came from there.
void subscription_follow(center *c, session *s, phi_bytes changes);

// A subscription packet from a joined client. May end the session.
void subscription_handle(center *c, session *s, phi_bytes payload);

// There is room in its buffer.
void subscription_on_room(center *c, session *s);

// The session leaves, and is told nothing any more. Nothing for one that never subscribed.
void subscription_leave(center *c, session *s);

// How many it has; 0 for one that never subscribed.
uint32_t subscription_count(const session *s);

// The end of a turn: sweeps, and lets those go on whose answer has left.
void subscription_turn(center *c);

#endif // CENTER_SUBSCRIPTION_H
