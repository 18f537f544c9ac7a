// SPDX-License-Identifier: Apache-2.0
//
// center/rejoin.h - a client that comes back before its center has read that it was gone. [P-37]
//
// The end of an older connection may be read behind the JOIN on a newer one: above all if the older
// one is held or paused, or if another worker has it, which may be late. So before somebody is told
// that his account is taken, the worker that has the older connection is asked: it keeps the
// question until it has read what was there when the question came, and then sends it back. If the
// older session is over by then, MAIL_LEFT stands in front of that.
//
// Limits   one question for each client that joins; it waits for CENTER_REJOIN_WAIT_MS at most
// Threads  none

#ifndef CENTER_REJOIN_H
#define CENTER_REJOIN_H

#include "center/worker.h"

// At the first worker: the JOIN waits until `older`'s home has looked, and is handled by join_again
// then.
void rejoin_ask(center *c, session *s, const session *older, const phi_join *join);

// MAIL_LOOK, MAIL_LOOKED.
void rejoin_handle(center *c, uint32_t from, const mail *m, phi_bytes bytes);

// The end of a turn, before mail is posted.
void rejoin_turn(center *c);

// The center is being freed.
void rejoin_drop(center *c);

#endif // CENTER_REJOIN_H
