// SPDX-License-Identifier: Apache-2.0
//
// center/join.h - who may come in: P-35 to P-38.

#ifndef CENTER_JOIN_H
#define CENTER_JOIN_H

#include "center/session.h"

// Lets the client in, or ends its link with a bye that says why not.
void join_handle(center *c, session *s, const phi_join *join);

// At the first worker: who had the account was asked about (rejoin.h), and what became of it is
// known.
void join_again(center *c, session *s, const phi_join *join);

// It was admitted and is at home here: WELCOME, and what it watches.
void join_welcome(center *c, session *s, const phi_join *join);

#endif // CENTER_JOIN_H
