// SPDX-License-Identifier: Apache-2.0
//
// wire/check.h - the running 16-bit check of one direction: docs/protocol.md P-23.
//
// (s | w) - (s & w) is s ^ w, and rotation by 16 is the identity; so words 16 apart meet in the
// same rotation and can be combined 16 lanes at a time. What is left per 32 bytes is two exclusive
// ors.

#ifndef PHI_WIRE_CHECK_H
#define PHI_WIRE_CHECK_H

#include "base/bytes.h"

typedef struct phi_check {
    uint16_t sum;
    uint16_t count; // packets so far, modulo 2^16
} phi_check;

// Takes in a whole checked packet, as if its check field (bytes 4 and 5) were zero, and returns its
// check. `packet` has at least 8 bytes; the check field itself is not looked at.
uint16_t phi_check_packet(phi_check *check, phi_bytes packet);

// Takes in checked packets that lie one behind the other, and writes the check of each into it.
// Their lengths are right: asserted.
void phi_check_write(phi_check *check, phi_span packets);

// For tests: the same in the way of a processor without wide vectors.
uint16_t phi_check_packet_plainly(phi_check *check, phi_bytes packet);
void phi_check_write_plainly(phi_check *check, phi_span packets);

#endif // PHI_WIRE_CHECK_H
