// SPDX-License-Identifier: Apache-2.0
//
// center/status.h - what the whole center counts, and what its memory is taken by: the method
// `status` of the center (P-69).
//
// The first worker asks the others, and replies with the sum. One that stands still is left out
// after STATUS_WAIT_MS, because it is just then that an operator asks; the reply says of how many
// it is.
//
// Life     status_request makes one; it ends with its reply, or its call
// Limits   STATUS_ASKS_MAX at a time, STATUS_ASKS_PER_CLIENT_MAX of one client
// Threads  none

#ifndef CENTER_STATUS_H
#define CENTER_STATUS_H

#include "center/session.h"
#include "center/worker.h"
#include "wire/message.h"

// Of a center of several workers; alone it answers at once. So one turn sums up so many at most.
#define STATUS_ASKS_MAX 64u
#define STATUS_ASKS_PER_CLIENT_MAX 8u
#define STATUS_WAIT_MS 1000u

// A request to the method. `ttl_ms` is settled.
void status_request(center *c, session *s, const phi_message *m, uint32_t ttl_ms);

// One of the two kinds of mail about it.
void status_handle(center *c, uint32_t from, const mail *m, phi_bytes bytes);

#endif // CENTER_STATUS_H
