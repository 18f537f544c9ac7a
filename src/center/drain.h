// SPDX-License-Identifier: Apache-2.0
//
// center/drain.h - no new work for an account, and when that is known to everybody: the method
// `drain` of the center (P-69).
//
// An account that is drained is shown as draining, whatever it says, until it leaves or it is taken
// back. Who asked for it gets the reply when every watcher has acknowledged the revision that says
// so, and no call to or from the account is open; or, when its patience ends, who has not.
//
// Life     drain_request makes one; it ends with its reply, or its call
// Limits   DRAINS_MAX at a time, DRAINS_PER_CLIENT_MAX of one client; those begun in one turn look
//          at CENTER_DRAIN_TURN_PLACES_MAX
// Threads  none

#ifndef CENTER_DRAIN_H
#define CENTER_DRAIN_H

#include "center/session.h"
#include "center/watch.h"
#include "center/worker.h"
#include "wire/message.h"

// Each acknowledgement is held against all that wait.
#define DRAINS_MAX 64u
// Of one client: so that one whose drains all wait keeps no operator from draining.
#define DRAINS_PER_CLIENT_MAX 8u
// For the names of watchers of other workers: one that stands still must not keep the operator.
#define DRAIN_NAMES_WAIT_MS 100u

// A request to the method. `ttl_ms` is settled.
void drain_request(center *c, session *s, const phi_message *m, uint32_t ttl_ms);

// The watcher has acknowledged what is up to `after`; before, it was `before`. UINT64_MAX: it is no
// watcher any more.
void drain_on_ack(center *c, const watch *w, uint64_t before, uint64_t after);

// A watcher comes, or asks for something else: it may show what was before, and is waited for.
void drain_on_watch(center *c, const watch *w);

// There is room for what the session is owed: the wish.
void drain_on_room(center *c, session *s);

// The end of a turn: replies to those that are done.
void drain_turn(center *c);

// ---- of a center with several workers: worker.h. The first keeps the drain, and asks the others
// for their shares of what it waits for.

// One of the kinds of mail about drains.
void drain_handle(center *c, uint32_t from, const mail *m, phi_bytes bytes);

// Those that another worker keeps.
void drain_drop_all(center *c);

#endif // CENTER_DRAIN_H
