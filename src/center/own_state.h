// SPDX-License-Identifier: Apache-2.0
//
// center/own_state.h - what a client says about itself: in JOIN (P-35), and while it is connected
// (P-72). Its line of the online list is made of it.

#ifndef CENTER_OWN_STATE_H
#define CENTER_OWN_STATE_H

#include "center/session.h"
#include "wire/own_state.h"

// The fields of a line. Metadata is taken from one of the two places.
typedef struct line_about {
    phi_bytes software;
    uint16_t weight;
    const phi_metadata *metadata; // `count` of them
    size_t count;
    phi_bytes fields; // of another line, whose metadata is taken; empty: none
} line_about;

// Encodes a line with those fields; the others, from *head. `out` has ENTRY_OWN_BYTES_MAX. Empty:
// it would be longer.
phi_bytes own_state_line(uint8_t *out, const phi_entry *head, const line_about *about);

// A packet 0x0007 from a joined client. May end the session.
void own_state_handle(center *c, session *s, phi_bytes payload);

#endif // CENTER_OWN_STATE_H
