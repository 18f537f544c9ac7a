// SPDX-License-Identifier: Apache-2.0
//
// center/router.h - what is carried to whom: events, requests, replies, failures, cancels.
//
// One function per kind decides; deliver.h carries.

#ifndef CENTER_ROUTER_H
#define CENTER_ROUTER_H

#include "center/call.h"
#include "center/stream.h"

// A message packet from a client, for phi_transport_events. May end the session.
void router_on_message(phi_transport *t, phi_bytes payload);

// A later fragment for one of those the first was delivered to. False without room.
PHI_MUST_CHECK bool router_pass(center *c, session *sender, session *receiver, phi_bytes payload,
                                const stream_key *key);

#endif // CENTER_ROUTER_H
