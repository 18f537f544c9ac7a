// SPDX-License-Identifier: Apache-2.0
//
// center/deliver.c - see deliver.h.
//
// Design notes
//   - A message is copied once, from where it was received into its receiver's send buffer, and
//     what the center has to say about it is written into the copy. Nothing is allocated.
//   - One for many is copied into the run when the first comes who can share it: a lone receiver
//     for whom other things wait costs no second copy.
//   - Who may say what in a call is decided here and nowhere else, so that a new kind of message
//     cannot forget to ask.
//
// Clauses: P-56, P-59, P-62.

#include "center/deliver.h"

#include "base/assert.h"
#include "center/stream.h"

enum {
    FAILURE_CODE_BYTES = 2,
    FAILURE_TEXT_BYTES_MAX = 128,
    // What the center says itself: a head, "@domain", and the body.
    OWN_HEAD_BYTES_MAX = PHI_MESSAGE_HEAD_BYTES + 1 + PHI_NAME_BYTES_MAX,
    OWN_BYTES_MAX = OWN_HEAD_BYTES_MAX + DELIVER_OWN_BODY_BYTES_MAX,
};

PH_STATIC_ASSERT(OWN_BYTES_MAX + PHI_PACKET_HEAD_CHECKED <= PHI_PACKET_BYTES_JOINING_MAX);
PH_STATIC_ASSERT(FAILURE_CODE_BYTES + FAILURE_TEXT_BYTES_MAX <= DELIVER_OWN_BODY_BYTES_MAX);

static delivered bind(center *c, const delivery *d, uint64_t *number);
static delivered deliver_own(center *c, session *receiver, const phi_message *m);
static const char *text_of(ph_failure_code code);

delivered deliver(center *c, const delivery *d)
{
    return deliver_inline(c, d);
}

delivered deliver_to_many(center *c, const delivery *d, phi_stretch *copy)
{
    session *r = d->receiver;
    PH_ASSERT(session_is(r, SESSION_JOINED));
    if (!deliver_is_allowed(c, d)) {
        return DELIVER_REFUSED;
    }
    bool is_first = !r->is_detoured && !deliver_is_cut(d) &&
                    !phi_run_has(&c->transports.run, copy) &&
                    phi_transport_may_share(&r->transport);
    if (is_first) {
        uint8_t *room =
            phi_transports_put(&c->transports, PHI_COMMAND_MESSAGE, d->payload.size, copy);
        if (room != NULL) {
            deliver_write(room, d, d->number);
        }
    }
    if (!r->is_detoured && phi_transport_share(&r->transport, copy)) {
        c->counters.messages_sent_total++;
        return DELIVERED;
    }
    return deliver_allowed(c, d);
}

ph_failure_code deliver_code(delivered why)
{
    switch (why) {
    case DELIVER_REFUSED:
        return PH_FAILURE_REFUSED_BY_POLICY;
    case DELIVER_FULL: // [P-59]
        return PH_FAILURE_SLOW_CONSUMER;
    case DELIVER_TOO_LARGE:
        return PH_FAILURE_TOO_LARGE;
    case DELIVERED:
        break;
    }
    PH_UNREACHABLE("delivered");
}

bool deliver_failure(center *c, session *receiver, uint64_t number, uint16_t turn,
                     ph_failure_code code)
{
    uint8_t body[FAILURE_CODE_BYTES + FAILURE_TEXT_BYTES_MAX];
    phi_writer w = phi_writer_of((phi_span){ body, sizeof body });
    phi_write_u16(&w, (uint16_t)code);
    phi_write_bytes(&w, phi_bytes_text(text_of(code)));
    PH_ASSERT(!w.failed);
    const phi_message failure = {
        .kind = PHI_KIND_FAILURE,
        .turn = turn,
        .call = number,
        .body = phi_writer_view(&w),
    };
    return deliver_own(c, receiver, &failure) == DELIVERED;
}

bool deliver_cancel(center *c, session *responder, uint64_t number, ph_failure_code why)
{
    uint8_t body[FAILURE_CODE_BYTES];
    phi_put_u16(body, (uint16_t)why);
    const phi_message cancel = {
        .kind = PHI_KIND_CANCEL,
        .call = number,
        .body = phi_bytes_of(body, sizeof body),
    };
    return deliver_own(c, responder, &cancel) == DELIVERED;
}

bool deliver_reply(center *c, session *caller, uint64_t number, phi_bytes body)
{
    PH_ASSERT(body.size <= DELIVER_OWN_BODY_BYTES_MAX);
    const phi_message reply = { .kind = PHI_KIND_REPLY, .call = number, .body = body };
    return deliver_own(c, caller, &reply) == DELIVERED;
}

bool deliver_receipt(center *c, session *sender, uint64_t number, phi_bytes body)
{
    PH_ASSERT(body.size == PHI_RECEIPT_BYTES);
    PH_ASSERT(number != 0);
    const phi_message receipt = { .kind = PHI_KIND_RECEIPT, .call = number, .body = body };
    return deliver_own(c, sender, &receipt) == DELIVERED;
}

void deliver_check(const session *sender, session *receiver, phi_bytes came, uint8_t *room)
{
    uint16_t part;
    if (receiver->is_detoured || !phi_inbound_part(&sender->transport.link.in, came, &part)) {
        return;
    }
    const uint8_t *was = came.data;
    part ^= phi_check_part_of_u64(PHI_PACKET_HEAD_CHECKED + PHI_MESSAGE_CALL_AT,
                                  phi_get_u64(was + PHI_MESSAGE_CALL_AT) ^
                                      phi_get_u64(room + PHI_MESSAGE_CALL_AT));
    part ^= phi_check_part_of_u32(PHI_PACKET_HEAD_CHECKED + PHI_MESSAGE_TTL_AT,
                                  phi_get_u32(was + PHI_MESSAGE_TTL_AT) ^
                                      phi_get_u32(room + PHI_MESSAGE_TTL_AT));
    phi_transport_check(&receiver->transport, room, came.size, part);
}

// ---- helpers

delivered deliver_first(center *c, delivery d)
{
    uint64_t number = d.number;
    d.fan = 0; // each gets a number of its own
    delivered how = bind(c, &d, &number);
    if (how != DELIVERED) {
        return how;
    }
    how = deliver_queue(c, &d, number);
    if (how != DELIVERED) {
        stream_unbind(c, d.receiver);
    }
    return how;
}

delivered deliver_mailed(center *c, delivery d)
{
    PH_ASSERT(d.number == 0); // that it is the same for others is because it has none
    if (PHI_UNLIKELY(!fan_mail_add(d.receiver, d.fan, d.payload.size))) {
        uint8_t *room = fan_mail_begin(d.receiver, d.fan, PHI_COMMAND_MESSAGE, d.payload.size);
        if (room == NULL) {
            return DELIVER_FULL;
        }
        deliver_write(room, &d, 0);
    }
    c->counters.messages_sent_total++;
    return DELIVERED;
}

static delivered bind(center *c, const delivery *d, uint64_t *number)
{
    stream_key key = { .number = *number,
                       .turn = phi_get_u16(d->payload.data + PHI_MESSAGE_TURN_AT) };
    if (d->is_marked) {
        key.turn = d->marks.turn;
        key.flags = d->marks.flags & PHI_FLAG_PART;
    }
    switch (stream_bind(c, d->receiver, &key)) {
    case STREAM_BOUND:
        *number = key.number;
        return DELIVERED;
    case STREAM_FULL:
        return DELIVER_FULL;
    case STREAM_TOO_LARGE:
        return DELIVER_TOO_LARGE;
    }
    PH_UNREACHABLE("no such outcome");
}

// A message of the center's own.
static delivered deliver_own(center *c, session *receiver, const phi_message *m)
{
    uint8_t bytes[OWN_BYTES_MAX];
    phi_message own = *m;
    own.from = phi_bytes_text(c->self);
    size_t size = phi_message_size(&own);
    PH_ASSERT(size <= sizeof bytes);
    phi_message_encode(bytes, &own);
    return deliver(c, &(delivery){ .receiver = receiver,
                                   .payload = phi_bytes_of(bytes, size),
                                   .number = m->call });
}

static const char *text_of(ph_failure_code code)
{
    switch (code) {
#define PH_FAILURE(name, number, label, text)                                                      \
    case PH_FAILURE_##name:                                                                        \
        return text;
#include <posthouse/failure.def>
#undef PH_FAILURE
    case PH_FAILURE_APPLICATION:
        break;
    }
    return ""; // a client chose it, to give up a message in fragments (P-75)
}
