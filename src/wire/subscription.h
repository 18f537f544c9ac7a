// SPDX-License-Identifier: Apache-2.0
//
// wire/subscription.h - which topics a client wants: docs/protocol.md P-73. What a topic is:
// wire/topic.h.

#ifndef PHI_WIRE_SUBSCRIPTION_H
#define PHI_WIRE_SUBSCRIPTION_H

#include <posthouse/err.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "wire/fields.h"

// Payload of a client's packet. An answer that refuses all of it fits into one packet, too.
#define PHI_SUBSCRIPTION_BYTES_MAX 8192u
// A pattern that is longer than it may be is refused by name up to here.
#define PHI_PATTERN_BYTES_TAKEN 255u

typedef enum phi_subscription_tag {
    PHI_SUBSCRIPTION_ADD = 1,     // from the client: value is a pattern
    PHI_SUBSCRIPTION_REMOVE = 2,  // same
    PHI_SUBSCRIPTION_REFUSED = 1, // from the center: `code u16 | pattern`
} phi_subscription_tag;

// `changes` are fields, walked with phi_field_next; on PH_OK they are well formed: no pattern is
// longer than PHI_PATTERN_BYTES_TAKEN, a refusal has its code. Patterns are not judged, and tags
// may be of a later version.
typedef struct phi_subscription {
    uint32_t number;
    phi_bytes changes;
} phi_subscription;

// What a client sends, and what a center answers. Pure, bounded and total; *out is written on PH_OK
// only.
PHI_MUST_CHECK ph_err phi_subscription_decode(phi_bytes payload, phi_subscription *out);
PHI_MUST_CHECK ph_err phi_subscription_answer_decode(phi_bytes payload, phi_subscription *out);

typedef struct phi_refusal {
    uint16_t code; // ph_failure_code
    phi_bytes pattern;
} phi_refusal;

// The value of a PHI_SUBSCRIPTION_REFUSED field of a decoded answer.
phi_refusal phi_refusal_decode(phi_bytes value);

// The number; then the fields follow, in either direction.
void phi_subscription_begin(phi_writer *w, uint32_t number);
void phi_write_change(phi_writer *w, phi_subscription_tag tag, phi_bytes pattern);
void phi_write_refusal(phi_writer *w, uint16_t code, phi_bytes pattern);

#endif // PHI_WIRE_SUBSCRIPTION_H
