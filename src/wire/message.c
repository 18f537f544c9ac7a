// SPDX-License-Identifier: Apache-2.0
//
// wire/message.c - encoder and decoder of messages.
//
// Design notes
//
// Both run for each message at each end, so they are written for the machine: one comparison for
// the fixed part, one for the sum of all lengths (at most 3 * 255 + 65,535: it cannot wrap), and
// the rules of form as masks, a row of a table per kind. No loop, no memory. They are inline, so
// that what nobody looks at is not computed, and what is constant (the kind, where one is sent) is
// judged by the compiler. The rules themselves stand here, once; the inline part of them only knows
// what breaks none.
//
// Clauses: P-50, P-51, P-54, P-58, P-63, P-65, P-68.

#include "wire/message.h"

#include "base/assert.h"

PH_STATIC_ASSERT(PHI_MESSAGE_CALL_AT + 8 == PHI_MESSAGE_TTL_AT);
PH_STATIC_ASSERT(PHI_MESSAGE_TTL_AT + 4 == PHI_MESSAGE_LENGTHS_AT);
PH_STATIC_ASSERT(PHI_MESSAGE_LENGTHS_AT + 8 == PHI_MESSAGE_HEAD_BYTES);

// Fields of the head and of the tail.
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

static const kind_form kind_forms[PHI_MESSAGE_KINDS] = {
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

// Flags, turn and depth each have rules of their own; want alone has none where it may be.
#define PLAIN_HEAD (HEAD_FLAGS(0xff) | HEAD_TURN)
#define PLAIN_TAIL (TAIL_DEPTH | TAIL_WANT)
#define NEVER_PLAIN                                                                                \
    {                                                                                              \
        .head = UINT32_MAX                                                                         \
    }

// Most messages that there are. A kind that needs a turn is never among them: its own bits are in
// the mask.
const phi_message_plain phi_messages_plain[PHI_MESSAGE_KINDS] = {
    [PHI_KIND_EVENT] = { .head = PLAIN_HEAD, .may_lack_call = true, .tail = PLAIN_TAIL },
    [PHI_KIND_REQUEST] = { .head = PLAIN_HEAD, .tail = PLAIN_TAIL },
    [PHI_KIND_REPLY] = { .head = PLAIN_HEAD, .tail = PLAIN_TAIL },
    [PHI_KIND_FAILURE] = { .head = PLAIN_HEAD, .tail = PLAIN_TAIL },
    [PHI_KIND_INQUIRY] = NEVER_PLAIN,
    [PHI_KIND_ANSWER] = NEVER_PLAIN,
    [PHI_KIND_CANCEL] = { .head = PLAIN_HEAD, .tail = PLAIN_TAIL },
    [PHI_KIND_RECEIPT] = { .head = PLAIN_HEAD, .tail = PLAIN_TAIL },
};

bool phi_message_fixed_is_right(phi_message_fixed fixed)
{
    uint32_t head = fixed.head;
    uint64_t tail = fixed.tail;
    uint32_t kind = head >> 24;
    if (kind - 1 >= PHI_MESSAGE_KINDS - 1) {
        return false;
    }
    const kind_form *form = &kind_forms[kind];
    if (((head & form->head_never) | (tail & form->tail_never)) != 0) {
        return false;
    }
    if (fixed.call == 0) {
        // A receipt and fragments are told apart by their number.
        uint32_t numbered = HEAD_FLAGS(FLAGS_CUT | PHI_FLAG_RECEIPT);
        return form->may_lack_call && (head & numbered) == 0;
    }
    if ((head & HEAD_FLAGS(PHI_FLAG_REST)) != 0) {
        uint32_t beside = HEAD_FLAGS(0xffu & ~(unsigned)(FLAGS_CUT | PHI_FLAG_PART));
        if ((head & beside) != 0 || (tail & (TAIL_DEPTH | TAIL_WANT)) != 0) {
            return false;
        }
    }
    return (head & HEAD_TURN) >= form->turn_least && (tail & TAIL_DEPTH) <= TAIL_DEPTH_MOST;
}

void phi_message_encode(uint8_t *room, const phi_message *message)
{
    uint8_t *at = phi_message_encode_head(room, message);
    if (message->headers.size != 0) {
        memcpy(at, message->headers.data, message->headers.size);
        at += message->headers.size;
    }
    if (message->body.size != 0) {
        memcpy(at, message->body.data, message->body.size);
        at += message->body.size;
    }
    PH_ASSERT((size_t)(at - room) == phi_message_size(message));
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
