// SPDX-License-Identifier: Apache-2.0
//
// wire/message.c - encoder and decoder of messages.
//
// Design notes
//
// The decoder runs once per message and center, so it is written for the machine: one comparison
// for the fixed part, one for the sum of all lengths (at most 3 * 255 + 65,535: it cannot wrap),
// and the rules of form as masks, a row of a table per kind. No loop, no memory.
//
// Clauses: P-50, P-51, P-54, P-58, P-63, P-65, P-68.

#include "wire/message.h"

#include "base/assert.h"

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
    AT_DEPTH = PHI_MESSAGE_DEPTH_AT,
    AT_HEADERS_LEN = 20,
    AT_WANT = 22,
};

PH_STATIC_ASSERT(AT_WANT + 2 == PHI_MESSAGE_HEAD_BYTES);
PH_STATIC_ASSERT(AT_CALL + 8 == AT_TTL);
PH_STATIC_ASSERT(AT_TTL + 4 == AT_TO_LEN);
PH_STATIC_ASSERT(AT_DEPTH + 4 + 1 == PHI_MESSAGE_HEAD_BYTES);

// Two parts of the fixed part are read as one number each, so that one `and` judges all fields in
// them: `kind | flags | turn`, and `to_len | from_len | method_len | depth | headers_len | want`.
#define HEAD_KIND_SHIFT 24u
#define HEAD_FLAGS(flags) ((uint32_t)(flags) << 16u)
#define HEAD_TURN UINT32_C(0xffff)
#define TAIL_DEPTH_SHIFT 32u
#define TAIL_DEPTH (UINT64_C(0xff) << TAIL_DEPTH_SHIFT)
#define TAIL_DEPTH_MOST ((uint64_t)PHI_DEPTH_MAX << TAIL_DEPTH_SHIFT)
#define TAIL_WANT UINT64_C(0xffff)

// What a message of one kind may not have, and must: a row of P-51.
typedef struct kind_form {
    uint32_t head_never; // bits that are zero
    uint16_t turn_least;
    bool may_lack_call; // `call` may be 0
    uint64_t tail_never;
} kind_form;

// All but those that it may have.
#define FLAGS_NEVER(flags) HEAD_FLAGS(0xffu & ~(unsigned)((flags) | FLAGS_OF_ALL))
#define FLAGS_OF_ALL (PHI_FLAG_IDEMPOTENT | PHI_FLAG_DURABLE)
#define FLAGS_CUT (PHI_FLAG_MORE | PHI_FLAG_REST)

static const kind_form kind_forms[] = {
    [PHI_KIND_EVENT] = { .head_never = FLAGS_NEVER(FLAGS_CUT | PHI_FLAG_RECEIPT) | HEAD_TURN,
                         .may_lack_call = true,
                         .tail_never = TAIL_DEPTH | TAIL_WANT },
    [PHI_KIND_REQUEST] = { .head_never = FLAGS_NEVER(FLAGS_CUT) | HEAD_TURN },
    [PHI_KIND_REPLY] = { .head_never = FLAGS_NEVER(FLAGS_CUT | PHI_FLAG_PART),
                         .tail_never = TAIL_DEPTH | TAIL_WANT },
    [PHI_KIND_FAILURE] = { .head_never = FLAGS_NEVER(PHI_FLAG_PART),
                           .tail_never = TAIL_DEPTH | TAIL_WANT },
    [PHI_KIND_INQUIRY] = { .head_never = FLAGS_NEVER(FLAGS_CUT),
                           .turn_least = 1,
                           .tail_never = TAIL_WANT },
    [PHI_KIND_ANSWER] = { .head_never = FLAGS_NEVER(FLAGS_CUT),
                          .turn_least = 1,
                          .tail_never = TAIL_DEPTH | TAIL_WANT },
    [PHI_KIND_CANCEL] = { .head_never = FLAGS_NEVER(0) | HEAD_TURN,
                          .tail_never = TAIL_DEPTH | TAIL_WANT },
    [PHI_KIND_RECEIPT] = { .head_never = FLAGS_NEVER(0) | HEAD_TURN,
                           .tail_never = TAIL_DEPTH | TAIL_WANT },
};

// Whether the numbers of the fixed part go together.
static inline bool form_is_right(uint32_t head, uint64_t call, uint64_t tail)
{
    uint32_t kind = head >> HEAD_KIND_SHIFT;
    if (PHI_UNLIKELY(kind - 1 >= PHI_COUNT_OF(kind_forms) - 1)) {
        return false;
    }
    const kind_form *form = &kind_forms[kind];
    if (PHI_UNLIKELY(((head & form->head_never) | (tail & form->tail_never)) != 0)) {
        return false;
    }
    if (call == 0) {
        // A receipt and fragments are told apart by their number.
        uint32_t numbered = HEAD_FLAGS(FLAGS_CUT | PHI_FLAG_RECEIPT);
        return form->may_lack_call && (head & numbered) == 0;
    }
    if (PHI_UNLIKELY((head & HEAD_FLAGS(PHI_FLAG_REST)) != 0)) {
        uint32_t beside = HEAD_FLAGS(0xffu & ~(unsigned)(FLAGS_CUT | PHI_FLAG_PART));
        if ((head & beside) != 0 || (tail & (TAIL_DEPTH | TAIL_WANT)) != 0) {
            return false;
        }
    }
    return (head & HEAD_TURN) >= form->turn_least && (tail & TAIL_DEPTH) <= TAIL_DEPTH_MOST;
}

// The same for a message that is to be written.
static bool message_is_right(const phi_message *m)
{
    uint32_t head = (uint32_t)m->kind << HEAD_KIND_SHIFT | HEAD_FLAGS(m->flags) | m->turn;
    uint64_t tail = (uint64_t)m->depth << TAIL_DEPTH_SHIFT | m->want;
    return form_is_right(head, m->call, tail);
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

    phi_message head = {
        .kind = p[AT_KIND],
        .flags = p[AT_FLAGS],
        .turn = phi_get_u16(p + AT_TURN),
        .ttl_ms = phi_get_u32(p + AT_TTL),
        .call = phi_get_u64(p + AT_CALL),
        .depth = p[AT_DEPTH],
        .want = phi_get_u16(p + AT_WANT),
    };
    if (PHI_UNLIKELY(
            !form_is_right(phi_get_u32(p + AT_KIND), head.call, phi_get_u64(p + AT_TO_LEN)))) {
        return PH_EPROTO;
    }

    *out = head;
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
    PH_ASSERT(message_is_right(message));
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
    room[AT_DEPTH] = message->depth;
    phi_put_u16(room + AT_HEADERS_LEN, (uint16_t)message->headers.size);
    phi_put_u16(room + AT_WANT, message->want);

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
    if (body.size < 2 || phi_get_u16(body.data) == 0) {
        return PH_EPROTO;
    }
    *out = (phi_failure){ phi_get_u16(body.data), phi_bytes_of(body.data + 2, body.size - 2) };
    return PH_OK;
}

ph_err phi_receipt_decode(phi_bytes body, phi_receipt *out)
{
    if (body.size != PHI_RECEIPT_BYTES) {
        return PH_EPROTO;
    }
    *out = (phi_receipt){
        .delivered = phi_get_u32(body.data),
        .dropped = phi_get_u32(body.data + 4),
        .code = phi_get_u16(body.data + 8),
    };
    return PH_OK;
}

void phi_receipt_encode(uint8_t body[PHI_RECEIPT_BYTES], const phi_receipt *receipt)
{
    phi_put_u32(body, receipt->delivered);
    phi_put_u32(body + 4, receipt->dropped);
    phi_put_u16(body + 8, receipt->code);
}

ph_err phi_gathered_decode(phi_bytes body, phi_gathered *out)
{
    if (body.size < PHI_GATHERED_HEAD_BYTES) {
        return PH_EPROTO;
    }
    phi_gathered gathered = {
        .asked = phi_get_u16(body.data),
        .replied = phi_get_u16(body.data + 2),
        .count = phi_get_u16(body.data + 4),
        .missing =
            phi_bytes_of(body.data + PHI_GATHERED_HEAD_BYTES, body.size - PHI_GATHERED_HEAD_BYTES),
    };
    phi_reader r = phi_reader_of(gathered.missing);
    uint16_t code = 0;
    phi_bytes id;
    size_t count = 0;
    while (phi_gathered_next(&r, &code, &id)) {
        count++;
    }
    if (r.failed || count != gathered.count) {
        return PH_EPROTO;
    }
    *out = gathered;
    return PH_OK;
}

bool phi_gathered_next(phi_reader *r, uint16_t *code, phi_bytes *id)
{
    if (r->failed || phi_reader_left(r) == 0) {
        return false;
    }
    uint16_t read = phi_read_u16(r);
    phi_bytes text = phi_read_str8(r);
    if (r->failed) {
        return false;
    }
    *code = read;
    *id = text;
    return true;
}

void phi_gathered_encode_head(uint8_t room[PHI_GATHERED_HEAD_BYTES], const phi_gathered *gathered)
{
    phi_put_u16(room, gathered->asked);
    phi_put_u16(room + 2, gathered->replied);
    phi_put_u16(room + 4, gathered->count);
}

void phi_write_missing(phi_writer *w, uint16_t code, phi_bytes id)
{
    phi_write_u16(w, code);
    phi_write_str8(w, id);
}
