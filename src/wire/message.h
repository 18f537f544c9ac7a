// SPDX-License-Identifier: Apache-2.0
//
// wire/message.h - events, requests, replies, failures: docs/protocol.md P-50 to P-58. The hot path
// of the whole project.

#ifndef PHI_WIRE_MESSAGE_H
#define PHI_WIRE_MESSAGE_H

#include <posthouse/err.h>

#include "base/assert.h"
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
// The payload of a first fragment (P-67), in every suite: what comes in one may go out in another,
// whose heads are longer.
#define PHI_FRAGMENT_FIRST_BYTES_MAX 32762u

// Where the numbers of the fixed part stand in the payload.
#define PHI_MESSAGE_FLAGS_AT 1u
#define PHI_MESSAGE_TURN_AT 2u
#define PHI_MESSAGE_CALL_AT 4u
#define PHI_MESSAGE_TTL_AT 12u
#define PHI_MESSAGE_LENGTHS_AT 16u
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

// ---- form

// Two parts of the fixed part are read as one number each, so that one `and` judges all fields in
// them: the head, `kind | flags | turn`, and the tail, `to_len | from_len | method_len | depth |
// headers_len | want`.
typedef struct phi_message_fixed {
    uint32_t head;
    uint64_t call;
    uint64_t tail;
} phi_message_fixed;

// Of each kind, the bits of which none is set in a message that is right beyond doubt, if it has a
// call or may lack it.
typedef struct phi_message_plain {
    uint32_t head;
    bool may_lack_call;
    uint64_t tail;
} phi_message_plain;

#define PHI_MESSAGE_KINDS 9u // with 0, which is none
extern const phi_message_plain phi_messages_plain[PHI_MESSAGE_KINDS];

// The whole of P-51, for the others.
bool phi_message_fixed_is_right(phi_message_fixed fixed);

// Whether the numbers of the fixed part go together.
static inline bool phi_message_numbers_are_right(phi_message_fixed fixed)
{
    uint32_t kind = fixed.head >> 24;
    if (PHI_UNLIKELY(kind - 1 >= PHI_MESSAGE_KINDS - 1)) {
        return false;
    }
    const phi_message_plain *plain = &phi_messages_plain[kind];
    if (PHI_LIKELY(((fixed.head & plain->head) | (fixed.tail & plain->tail)) == 0) &&
        PHI_LIKELY(fixed.call != 0 || plain->may_lack_call)) {
        return true;
    }
    return phi_message_fixed_is_right(fixed);
}

// Where the parts of variable length begin, of a payload whose fixed part is there.
typedef struct phi_message_parts {
    size_t from;
    size_t method;
    size_t headers;
    size_t body;
} phi_message_parts;

static inline phi_message_parts phi_message_parts_of(uint64_t tail)
{
    phi_message_parts at;
    at.from = PHI_MESSAGE_HEAD_BYTES + (size_t)(tail >> 56);
    at.method = at.from + (tail >> 48 & 0xff);
    at.headers = at.method + (tail >> 40 & 0xff);
    at.body = at.headers + (tail >> 16 & 0xffff);
    return at;
}

// Total and bounded; views point into the payload. Only the form is judged, as P-50 and P-51 have
// it: kinds 1 to 8, flags and numbers only where they mean something, lengths inside the payload.
// Who may say it, and whether first and later fragments are what P-66 says, is for the reader.
static inline PHI_MUST_CHECK bool phi_message_is_formed(phi_bytes payload)
{
    if (PHI_UNLIKELY(payload.size < PHI_MESSAGE_HEAD_BYTES)) {
        return false;
    }
    const uint8_t *p = payload.data;
    phi_message_fixed fixed = {
        .head = phi_get_u32(p),
        .call = phi_get_u64(p + PHI_MESSAGE_CALL_AT),
        .tail = phi_get_u64(p + PHI_MESSAGE_LENGTHS_AT),
    };
    return PHI_LIKELY(phi_message_parts_of(fixed.tail).body <= payload.size) &&
           phi_message_numbers_are_right(fixed);
}

// All of a payload that phi_message_is_formed has judged.
static inline phi_message phi_message_of(phi_bytes payload)
{
    const uint8_t *p = payload.data;
    uint32_t head = phi_get_u32(p);
    uint64_t tail = phi_get_u64(p + PHI_MESSAGE_LENGTHS_AT);
    phi_message_parts at = phi_message_parts_of(tail);
    return (phi_message){
        .kind = (uint8_t)(head >> 24),
        .flags = (uint8_t)(head >> 16),
        .turn = (uint16_t)head,
        .ttl_ms = phi_get_u32(p + PHI_MESSAGE_TTL_AT),
        .call = phi_get_u64(p + PHI_MESSAGE_CALL_AT),
        .depth = (uint8_t)(tail >> 32),
        .want = (uint16_t)tail,
        .to = phi_bytes_of(p + PHI_MESSAGE_HEAD_BYTES, at.from - PHI_MESSAGE_HEAD_BYTES),
        .from = phi_bytes_of(p + at.from, at.method - at.from),
        .method = phi_bytes_of(p + at.method, at.headers - at.method),
        .headers = phi_bytes_of(p + at.headers, at.body - at.headers),
        .body = phi_bytes_of(p + at.body, payload.size - at.body),
    };
}

// PH_EPROTO   not formed
static inline PHI_MUST_CHECK ph_err phi_message_decode(phi_bytes payload, phi_message *out)
{
    if (PHI_UNLIKELY(!phi_message_is_formed(payload))) {
        return PH_EPROTO;
    }
    *out = phi_message_of(payload);
    return PH_OK;
}

// ---- writing

static inline size_t phi_message_size(const phi_message *m)
{
    return PHI_MESSAGE_HEAD_BYTES + m->to.size + m->from.size + m->method.size + m->headers.size +
           m->body.size;
}

// Only what stands in front of headers and body, whose sizes it takes from *message: for a sender
// that has them in pieces. Returns where the headers go. Asserts the form that the decoder judges,
// and that to, from and method are at most 255 bytes and headers at most 65,535.
static PHI_ALWAYS_INLINE uint8_t *phi_message_encode_head(uint8_t *room, const phi_message *m)
{
    PH_ASSERT(m->to.size <= UINT8_MAX);
    PH_ASSERT(m->from.size <= UINT8_MAX);
    PH_ASSERT(m->method.size <= UINT8_MAX);
    PH_ASSERT(m->headers.size <= UINT16_MAX);
    phi_message_fixed fixed = {
        .head = (uint32_t)m->kind << 24 | (uint32_t)m->flags << 16 | m->turn,
        .call = m->call,
        .tail = (uint64_t)m->to.size << 56 | (uint64_t)m->from.size << 48 |
                (uint64_t)m->method.size << 40 | (uint64_t)m->depth << 32 |
                (uint64_t)m->headers.size << 16 | m->want,
    };
    PH_ASSERT(phi_message_numbers_are_right(fixed));

    phi_put_u32(room, fixed.head);
    phi_put_u64(room + PHI_MESSAGE_CALL_AT, fixed.call);
    phi_put_u32(room + PHI_MESSAGE_TTL_AT, m->ttl_ms);
    phi_put_u64(room + PHI_MESSAGE_LENGTHS_AT, fixed.tail);
    uint8_t *at = phi_put_text(room + PHI_MESSAGE_HEAD_BYTES, m->to);
    at = phi_put_text(at, m->from);
    return phi_put_text(at, m->method);
}

// The same with headers and body. `room` has phi_message_size bytes.
void phi_message_encode(uint8_t *room, const phi_message *message);

// ---- parts

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
