// SPDX-License-Identifier: Apache-2.0
//
// wire/message.c - encoder and decoder of messages.
//
// Design notes
//
// The decoder runs once per message and center, so it is written for the machine: one comparison
// for the fixed part, one for the sum of all lengths (at most 3 * 255 + 65,535: it cannot wrap),
// and the rules of form gathered into one number that is zero when all hold. No loop, no memory.
//
// Clauses: P-50, P-51, P-54, P-58.

#include "wire/message.h"

#include "base/assert.h"

#define FLAGS_KNOWN ((unsigned)PHI_FLAG_MORE | PHI_FLAG_IDEMPOTENT | PHI_FLAG_DURABLE)

// Offsets in the fixed part.
enum {
    AT_KIND = 0,
    AT_FLAGS = 1,
    AT_TURN = 2,
    AT_CALL = PHI_MESSAGE_CALL_AT,
    AT_TTL = PHI_MESSAGE_TTL_AT,
    AT_TO_LEN = 16,
    AT_FROM_LEN = 17,
    AT_METHOD_LEN = 18,
    AT_ZERO = 19,
    AT_HEADERS_LEN = 20,
    AT_ZERO_2 = 22,
};

PH_STATIC_ASSERT(AT_ZERO_2 + 2 == PHI_MESSAGE_HEAD_BYTES);
PH_STATIC_ASSERT(AT_CALL + 8 == AT_TTL);
PH_STATIC_ASSERT(AT_TTL + 4 == AT_TO_LEN);

// Has turns (reserved in this version, so their number is not judged).
static inline bool kind_has_turn(uint8_t kind)
{
    return kind == PHI_KIND_INQUIRY || kind == PHI_KIND_ANSWER;
}

ph_err phi_message_decode(phi_bytes payload, phi_message *out)
{
    if (PHI_UNLIKELY(payload.size < PHI_MESSAGE_HEAD_BYTES)) {
        return PH_EPROTO;
    }
    const uint8_t *p = payload.data;
    size_t to_size = p[AT_TO_LEN];
    size_t from_size = p[AT_FROM_LEN];
    size_t method_size = p[AT_METHOD_LEN];
    size_t headers_size = phi_get_u16(p + AT_HEADERS_LEN);
    size_t body_at = PHI_MESSAGE_HEAD_BYTES + to_size + from_size + method_size + headers_size;
    if (PHI_UNLIKELY(body_at > payload.size)) {
        return PH_EPROTO;
    }

    uint8_t kind = p[AT_KIND];
    uint8_t flags = p[AT_FLAGS];
    uint16_t turn = phi_get_u16(p + AT_TURN);
    uint64_t call = phi_get_u64(p + AT_CALL);
    unsigned wrong = (unsigned)(flags & ~FLAGS_KNOWN) | p[AT_ZERO] | phi_get_u16(p + AT_ZERO_2);
    wrong |= (unsigned)(kind < PHI_KIND_EVENT) | (unsigned)(kind > PHI_KIND_CANCEL);
    wrong |= (unsigned)((call == 0) != (kind == PHI_KIND_EVENT));
    wrong |= (unsigned)((turn != 0) & !kind_has_turn(kind));
    if (PHI_UNLIKELY(wrong != 0)) {
        return PH_EPROTO;
    }

    out->kind = kind;
    out->flags = flags;
    out->turn = turn;
    out->ttl_ms = phi_get_u32(p + AT_TTL);
    out->call = call;
    p += PHI_MESSAGE_HEAD_BYTES;
    out->to = phi_bytes_of(p, to_size);
    p += to_size;
    out->from = phi_bytes_of(p, from_size);
    p += from_size;
    out->method = phi_bytes_of(p, method_size);
    p += method_size;
    out->headers = phi_bytes_of(p, headers_size);
    p += headers_size;
    out->body = phi_bytes_of(p, payload.size - body_at);
    return PH_OK;
}

static inline uint8_t *put_bytes(uint8_t *at, phi_bytes b)
{
    if (b.size != 0) {
        memcpy(at, b.data, b.size);
    }
    return at + b.size;
}

void phi_message_encode(uint8_t *room, const phi_message *message)
{
    uint8_t *at = phi_message_encode_head(room, message);
    at = put_bytes(at, message->headers);
    at = put_bytes(at, message->body);
    PH_ASSERT((size_t)(at - room) == phi_message_size(message));
}

uint8_t *phi_message_encode_head(uint8_t *room, const phi_message *message)
{
    PH_ASSERT(room != NULL);
    PH_ASSERT(message->kind >= PHI_KIND_EVENT);
    PH_ASSERT(message->kind <= PHI_KIND_CANCEL);
    PH_ASSERT((message->flags & ~FLAGS_KNOWN) == 0);
    PH_ASSERT((message->call == 0) == (message->kind == PHI_KIND_EVENT));
    PH_ASSERT(message->turn == 0 || kind_has_turn(message->kind));
    PH_ASSERT(message->to.size <= UINT8_MAX);
    PH_ASSERT(message->from.size <= UINT8_MAX);
    PH_ASSERT(message->method.size <= UINT8_MAX);
    PH_ASSERT(message->headers.size <= UINT16_MAX);

    room[AT_KIND] = message->kind;
    room[AT_FLAGS] = message->flags;
    phi_put_u16(room + AT_TURN, message->turn);
    phi_put_u64(room + AT_CALL, message->call);
    phi_put_u32(room + AT_TTL, message->ttl_ms);
    room[AT_TO_LEN] = (uint8_t)message->to.size;
    room[AT_FROM_LEN] = (uint8_t)message->from.size;
    room[AT_METHOD_LEN] = (uint8_t)message->method.size;
    room[AT_ZERO] = 0;
    phi_put_u16(room + AT_HEADERS_LEN, (uint16_t)message->headers.size);
    phi_put_u16(room + AT_ZERO_2, 0);

    uint8_t *at = put_bytes(room + PHI_MESSAGE_HEAD_BYTES, message->to);
    at = put_bytes(at, message->from);
    return put_bytes(at, message->method);
}

bool phi_header_next(phi_reader *r, phi_header *header)
{
    if (r->failed || phi_reader_left(r) == 0) {
        return false;
    }
    phi_bytes name = phi_read_str8(r);
    uint16_t size = phi_read_u16(r);
    phi_bytes value = phi_read_bytes(r, size);
    if (r->failed) {
        return false;
    }
    *header = (phi_header){ name, value };
    return true;
}

void phi_write_header(phi_writer *w, phi_bytes name, phi_bytes value)
{
    if (value.size > UINT16_MAX) {
        w->failed = true;
        return;
    }
    phi_write_str8(w, name);
    phi_write_u16(w, (uint16_t)value.size);
    phi_write_bytes(w, value);
}

ph_err phi_failure_decode(phi_bytes body, phi_failure *out)
{
    if (body.size < 2) {
        return PH_EPROTO;
    }
    *out = (phi_failure){ phi_get_u16(body.data), phi_bytes_of(body.data + 2, body.size - 2) };
    return PH_OK;
}
