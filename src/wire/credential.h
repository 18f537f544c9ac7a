// SPDX-License-Identifier: Apache-2.0
//
// wire/credential.h - a client proves anew who it is, and hears until when that holds:
// docs/protocol.md P-76.

#ifndef PHI_WIRE_CREDENTIAL_H
#define PHI_WIRE_CREDENTIAL_H

#include <posthouse/err.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/time.h"

// From the client.
typedef struct phi_credential {
    phi_bytes token; // 1 to PHI_JOIN_TOKEN_BYTES_MAX bytes
} phi_credential;

// From the center.
typedef struct phi_credential_answer {
    uint32_t expires_ms; // from when it was sent; 0: it does not end
} phi_credential_answer;

// Pure, bounded and total; *out is written on PH_OK only. Views point into the payload.
PHI_MUST_CHECK ph_err phi_credential_decode(phi_bytes payload, phi_credential *out);
PHI_MUST_CHECK ph_err phi_credential_answer_decode(phi_bytes payload, phi_credential_answer *out);

// Asserts what the decoder judges.
void phi_credential_encode(phi_writer *w, const phi_credential *credential);
void phi_credential_answer_encode(phi_writer *w, const phi_credential_answer *answer);

// The largest answer.
#define PHI_CREDENTIAL_ANSWER_BYTES_MAX 7u

// What WELCOME and the answer say of a proof that ends at `expires` (PHI_TIME_NEVER: 0). At least
// 1, also when that has passed; what is more than the field can hold is its largest value.
uint32_t phi_expires_ms(phi_time expires, phi_time now);

#endif // PHI_WIRE_CREDENTIAL_H
