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
    PHI_FLAG_MORE = 1,       // P-66
    PHI_FLAG_IDEMPOTENT = 2, // P-51
    PHI_FLAG_DURABLE = 4,    // reserved
    PHI_FLAG_RECEIPT = 8,    // P-68
    PHI_FLAG_PART = 16,      // P-65
    PHI_FLAG_REST = 32,      // P-66
};

// Dialogs in dialogs (P-63).
#define PHI_DEPTH_MAX 4u
// A first fragment, packet head included (P-67).
#define PHI_FRAGMENT_FIRST_BYTES_MAX 32768u

// Where the numbers that a center rewrites stand in the payload.
#define PHI_MESSAGE_FLAGS_AT 1u
#define PHI_MESSAGE_TURN_AT 2u
#define PHI_MESSAGE_CALL_AT 4u
#define PHI_MESSAGE_TTL_AT 12u
#define PHI_MESSAGE_DEPTH_AT 19u

typedef struct phi_message {
    uint8_t kind; // phi_kind
    uint8_t flags;
    uint16_t turn;
    uint32_t ttl_ms;
    uint64_t call;
    uint8_t depth; // P-63
    uint16_t want; // P-65
    phi_bytes to;
    phi_bytes from;
    phi_bytes method;
    phi_bytes headers; // encoded, unread
    phi_bytes body;
} phi_message;

// Total and bounded; views point into the payload. Only the form is judged, as P-50 and P-51 have
// it: kinds 1 to 8, flags and numbers only where they mean something, lengths inside the payload.
// Who may say it, and whether first and later fragments are what P-66 says, is for the reader.
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

// The body of a receipt: P-68.
typedef struct phi_receipt {
    uint32_t delivered;
    uint32_t dropped;
    uint16_t code; // ph_failure_code; 0 none
} phi_receipt;

#define PHI_RECEIPT_BYTES 10u

// PH_EPROTO   not PHI_RECEIPT_BYTES long
PHI_MUST_CHECK ph_err phi_receipt_decode(phi_bytes body, phi_receipt *out);
void phi_receipt_encode(uint8_t body[PHI_RECEIPT_BYTES], const phi_receipt *receipt);

// The body of the reply that ends a gather: P-65. Those that did not reply follow the head:
// `code u16 | id str8` each.
typedef struct phi_gathered {
    uint16_t asked;
    uint16_t replied;
    uint16_t count; // of `missing`
    phi_bytes missing;
} phi_gathered;

#define PHI_GATHERED_HEAD_BYTES 6u

// Head and all entries are looked at: on PH_OK, phi_gathered_next yields just `count`.
PHI_MUST_CHECK ph_err phi_gathered_decode(phi_bytes body, phi_gathered *out);
bool phi_gathered_next(phi_reader *r, uint16_t *code, phi_bytes *id);
void phi_gathered_encode_head(uint8_t room[PHI_GATHERED_HEAD_BYTES], const phi_gathered *gathered);
void phi_write_missing(phi_writer *w, uint16_t code, phi_bytes id);

#endif // PHI_WIRE_MESSAGE_H
