// SPDX-License-Identifier: Apache-2.0
//
// wire/heartbeat.h - signs of life: docs/protocol.md P-39.

#ifndef PHI_WIRE_HEARTBEAT_H
#define PHI_WIRE_HEARTBEAT_H

#include <posthouse/err.h>

#include "base/bytes.h"
#include "base/compiler.h"

typedef enum phi_heartbeat_kind {
    PHI_HEARTBEAT_ASK = 0,
    PHI_HEARTBEAT_ANSWER = 1,
    PHI_HEARTBEAT_EMPTY = 2, // not on the wire: an empty payload
} phi_heartbeat_kind;

typedef struct phi_heartbeat {
    phi_heartbeat_kind kind;
    uint64_t stamp; // 0 when empty
} phi_heartbeat;

#define PHI_HEARTBEAT_BYTES 9u

PHI_MUST_CHECK ph_err phi_heartbeat_decode(phi_bytes payload, phi_heartbeat *out);
void phi_heartbeat_encode(phi_writer *w, const phi_heartbeat *heartbeat);

#endif // PHI_WIRE_HEARTBEAT_H
