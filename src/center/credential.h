// SPDX-License-Identifier: Apache-2.0
//
// center/credential.h - the proof of who a client is ends, or is replaced by a new one: P-76. This
// happens at the client's home, and only there.
//
// Life     credential_until when something was proved -> (credential_handle | it ends)*
// Limits   CREDENTIALS_PER_SECOND of one client; who sends more waits, with all it says behind them
// Threads  none

#ifndef CENTER_CREDENTIAL_H
#define CENTER_CREDENTIAL_H

#include "center/session.h"
#include "policy/bucket.h"

// Judging one takes up to some tenths of a millisecond.
#define CREDENTIALS_PER_SECOND 2u
// A client that sends so many more in one go is ended: each is judged in the turn that reads it.
#define CREDENTIALS_AHEAD_MAX 16u

// Part of an identity.
struct credential_state {
    session *session;
    phi_timer end;
    phi_bucket taken;
    uint32_t owed; // answers that have found no room
};

// What it proved is good until then, and nothing that it proved before counts. NEVER: the proof
// does not end, or there is none any more.
void credential_until(center *c, session *s, phi_time end);

// A credential packet of a joined session: judges the token in it, and answers.
void credential_handle(center *c, session *s, phi_bytes payload);

// There is room: what it is owed is said.
void credential_on_room(center *c, session *s);

#endif // CENTER_CREDENTIAL_H
