// SPDX-License-Identifier: Apache-2.0
//
// center/gather.h - a request to all instances of a service, and their replies: P-65.
//
// To its caller a gather is one call, which the center answers in the end; to each instance it is a
// request like any other. Between the two stands the gather: each instance has a part (call.h) of
// it.
//
// Life     gather_start -> (a part ends)* -> summary: enough have replied, none is left, or the
//          time is over; or without one, when its caller cancels or is gone
// Limits   gather_max instances; all gathers of one client together ask at most
//          GATHER_LARGE_MAX * gather_max at a time; its memory counts as send_memory_max
// Threads  none

#ifndef CENTER_GATHER_H
#define CENTER_GATHER_H

#include "center/call.h"
#include "wire/message.h"

// Gathers of the largest size that one client may have open at a time; of smaller ones more.
#define GATHER_LARGE_MAX 16u

// A request to all instances of the service of that name. `ttl_ms` is settled.
void gather_start(center *c, session *s, const phi_message *m, phi_bytes payload, phi_bytes name,
                  uint32_t ttl_ms);

// One that had to wait for its share of a turn: it goes to everybody now. Nothing when its call is
// over.
void gather_ask(center *c, uint64_t handle, phi_bytes payload);

#endif // CENTER_GATHER_H
