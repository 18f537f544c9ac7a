// SPDX-License-Identifier: Apache-2.0
//
// wire/stream.h - how much of a message in fragments may be sent, and that one is given up:
// docs/protocol.md P-66, P-67, P-75.

#ifndef PHI_WIRE_STREAM_H
#define PHI_WIRE_STREAM_H

#include <posthouse/err.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "wire/codes.h"

typedef enum phi_stream_op {
    PHI_STREAM_CREDIT = 1, // the receiver: more may be sent
    PHI_STREAM_ABORT = 2,  // the sender: nothing more comes
    PHI_STREAM_REFUSE = 3, // the receiver: nothing more is wanted
} phi_stream_op;

// About the message in fragments of this kind, turn and call.
typedef struct phi_stream_control {
    uint8_t op;     // phi_stream_op
    uint8_t kind;   // phi_kind: one that may be in fragments
    uint16_t turn;  // as P-51 has it for the kind
    uint64_t call;  // not 0
    uint32_t value; // credit: bytes, at least 1; else a failure code, 1 to 65,535
} phi_stream_control;

#define PHI_STREAM_CONTROL_BYTES 16u

// Pure, bounded and total; *out is written on PH_OK only. The encoder asserts what the decoder
// judges.
PHI_MUST_CHECK ph_err phi_stream_control_decode(phi_bytes payload, phi_stream_control *out);
void phi_stream_control_encode(uint8_t room[PHI_STREAM_CONTROL_BYTES],
                               const phi_stream_control *control);

#endif // PHI_WIRE_STREAM_H
