// SPDX-License-Identifier: Apache-2.0
//
// center/control.h - what the center itself answers: requests to `@domain` (P-69).
//
// Threads  none

#ifndef CENTER_CONTROL_H
#define CENTER_CONTROL_H

#include "center/session.h"
#include "wire/message.h"

// A request to the center. `ttl_ms` is settled.
void control_request(center *c, session *s, const phi_message *m, uint32_t ttl_ms);

#endif // CENTER_CONTROL_H
