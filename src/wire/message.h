// SPDX-License-Identifier: Apache-2.0
//
// wire/message.h - events, requests, replies, failures: docs/protocol.md P-50 to P-58. The hot path
// of the whole project.

#ifndef PHI_WIRE_MESSAGE_H
#define PHI_WIRE_MESSAGE_H

#include <posthouse/err.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "wire/codes.h"

#define PHI_MESSAGE_HEAD_BYTES 24u

enum {
    PHI_FLAG_MORE = 1,
    PHI_FLAG_IDEMPOTENT = 2,
    PHI_FLAG_DURABLE = 4,
};

// Where the two numbers that a center rewrites stand in the payload.
#define PHI_MESSAGE_CALL_AT 4u
#define PHI_MESSAGE_TTL_AT 12u

typedef struct phi_message {
    uint8_t kind; // phi_kind
    uint8_t flags;
    uint16_t turn;
    uint32_t ttl_ms;
    uint64_t call;
    phi_bytes to;
    phi_bytes from;
    phi_bytes method;
    phi_bytes headers; // encoded, unread
    phi_bytes body;
} phi_message;

// Total and bounded; views point into the payload. Only the form is judged: kinds 1 to 7, no
// unknown flag, zero bytes zero, lengths inside the payload, `call` 0 in an event and not 0
// elsewhere, `turn` 0 except in the reserved kinds that will have one.
PHI_MUST_CHECK ph_err phi_message_decode(phi_bytes payload, phi_message *out);

static inline size_t phi_message_size(const phi_message *m)
{
    return PHI_MESSAGE_HEAD_BYTES + m->to.size + m->from.size + m->method.size + m->headers.size +
           m->body.size;
}

// `room` has phi_message_size bytes. Asserts the form that the decoder judges, and that to, from
// and method are at most 255 bytes and headers at most 65,535.
void phi_message_encode(uint8_t *room, const phi_message *message);

// Only what stands in front of headers and body, whose sizes it takes from *message: for a sender
// that has them in pieces. Returns where the headers go.
uint8_t *phi_message_encode_head(uint8_t *room, const phi_message *message);

// Headers: name str8 | length u16 | value.
typedef struct phi_header {
    phi_bytes name;
    phi_bytes value;
} phi_header;

bool phi_header_next(phi_reader *r, phi_header *header);
void phi_write_header(phi_writer *w, phi_bytes name, phi_bytes value);

// The body of a failure.
typedef struct phi_failure {
    uint16_t code;
    phi_bytes text;
} phi_failure;

// PH_EPROTO   shorter than its code
PHI_MUST_CHECK ph_err phi_failure_decode(phi_bytes body, phi_failure *out);

#endif // PHI_WIRE_MESSAGE_H
