// SPDX-License-Identifier: Apache-2.0
//
// wire/bye.h - the last packet of a direction: docs/protocol.md P-60.

#ifndef PHI_WIRE_BYE_H
#define PHI_WIRE_BYE_H

#include <posthouse/err.h>

#include "base/bytes.h"
#include "base/compiler.h"

#define PHI_BYE_TEXT_BYTES_MAX 512u
#define PHI_BYE_BYTES_MAX (6u + PHI_BYE_TEXT_BYTES_MAX)

typedef struct phi_bye {
    uint16_t reason; // phi_bye_code, or one that is not known here
    uint32_t retry_after_ms;
    phi_bytes text;
} phi_bye;

PHI_MUST_CHECK ph_err phi_bye_decode(phi_bytes payload, phi_bye *out);

// A longer text is cut at PHI_BYE_TEXT_BYTES_MAX, between characters.
void phi_bye_encode(phi_writer *w, const phi_bye *bye);

#endif // PHI_WIRE_BYE_H
