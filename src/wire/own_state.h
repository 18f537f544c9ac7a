// SPDX-License-Identifier: Apache-2.0
//
// wire/own_state.h - what a client says about itself while it is connected, and what a center
// wishes it to be: docs/protocol.md P-72.

#ifndef PHI_WIRE_OWN_STATE_H
#define PHI_WIRE_OWN_STATE_H

#include <posthouse/err.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "wire/presence.h"

typedef enum phi_own_state_tag {
    PHI_OWN_STATE_STATE = 1,
    PHI_OWN_STATE_WEIGHT = 2,
    PHI_OWN_STATE_METADATA = 3,
    PHI_OWN_STATE_NO_METADATA = 4,
    PHI_OWN_STATE_SOFTWARE = 5,
} phi_own_state_tag;

// What is absent stays as it is.
typedef struct phi_own_state {
    phi_state state; // starting, ready, draining; 0 absent
    bool has_weight;
    uint16_t weight;   // at most PHI_WEIGHT_MAX
    bool has_metadata; // then it replaces all there was, with nothing when the count is 0
    bool has_software;
    phi_bytes software;
    phi_metadata metadata[PHI_METADATA_COUNT_MAX];
    size_t metadata_count;
} phi_own_state;

// Pure, bounded and total; *out is written on PH_OK only. Views point into the payload.
PHI_MUST_CHECK ph_err phi_own_state_decode(phi_bytes payload, phi_own_state *out);

// Asserts what the decoder judges.
void phi_own_state_encode(phi_writer *w, const phi_own_state *own);

#endif // PHI_WIRE_OWN_STATE_H
