// SPDX-License-Identifier: Apache-2.0
//
// wire/heartbeat.c - encoder and decoder of heartbeat.
//
// Clauses: P-39.

#include "wire/heartbeat.h"

#include "base/assert.h"

ph_err phi_heartbeat_decode(phi_bytes payload, phi_heartbeat *out)
{
    if (payload.size == 0) {
        *out = (phi_heartbeat){ .kind = PHI_HEARTBEAT_EMPTY };
        return PH_OK;
    }
    if (payload.size != PHI_HEARTBEAT_BYTES || payload.data[0] > PHI_HEARTBEAT_ANSWER) {
        return PH_EPROTO;
    }
    *out = (phi_heartbeat){ .kind = (phi_heartbeat_kind)payload.data[0],
                            .stamp = phi_get_u64(payload.data + 1) };
    return PH_OK;
}

void phi_heartbeat_encode(phi_writer *w, const phi_heartbeat *heartbeat)
{
    PH_ASSERT(heartbeat->kind <= PHI_HEARTBEAT_EMPTY);
    if (heartbeat->kind == PHI_HEARTBEAT_EMPTY) {
        return;
    }
    phi_write_u8(w, (uint8_t)heartbeat->kind);
    phi_write_u64(w, heartbeat->stamp);
}
