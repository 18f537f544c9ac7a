// SPDX-License-Identifier: Apache-2.0
//
// center/router.h - what is carried to whom: events, requests, replies, failures, cancels.
//
// All that reaches a client as a message goes through one function, router.c's deliver, and in it
// stands the one authorisation check.

#ifndef CENTER_ROUTER_H
#define CENTER_ROUTER_H

#include "center/call.h"

// A message packet from a joined client. May end the session.
void router_handle(center *c, session *s, phi_bytes payload);

// An event for one receiver, delivered or dropped, and counted.
void router_tell(center *c, const session *sender, session *receiver, phi_bytes payload,
                 uint32_t ttl_ms);

// Sends a failure that the center makes. False when the caller's buffer is full.
PHI_MUST_CHECK bool router_fail(center *c, session *caller, uint64_t number, ph_failure_code code);

// Tells a responder that nobody wants the call any more. Dropped when its buffer is full: a cancel
// only saves work.
void router_cancel(center *c, const call *k);

#endif // CENTER_ROUTER_H
