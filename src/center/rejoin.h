// SPDX-License-Identifier: Apache-2.0
//
// center/rejoin.h - a client that comes back to another worker than it left. [P-37]
//
// With one worker the end of the older connection is read before the JOIN on the newer one. With
// several, the worker that has the older one may not have read its end yet, though the first
// worker already reads the JOIN. So before an account is taken, that worker is asked: it keeps the
// question until it has read what its sockets had when the question came, and then sends it back.
// If the older session is over, MAIL_LEFT is in front of that.
//
// Limits   one question for each client that joins
// Threads  none

#ifndef CENTER_REJOIN_H
#define CENTER_REJOIN_H

#include "center/worker.h"

// At the first worker: true when the JOIN waits until `older`'s home has looked. Then it is handled
// by join_again. False: there is nothing that home could know better.
bool rejoin_asks(center *c, session *s, const session *older, const phi_join *join);

// MAIL_LOOK, MAIL_LOOKED.
void rejoin_handle(center *c, uint32_t from, const mail *m, phi_bytes bytes);

// The end of a turn, before mail is posted.
void rejoin_turn(center *c);

// The center is being freed.
void rejoin_drop(center *c);

#endif // CENTER_REJOIN_H
