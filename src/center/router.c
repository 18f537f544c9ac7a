// SPDX-License-Identifier: Apache-2.0
//
// center/router.c - see router.h.
//
// Design notes
//   - A message is read as a view, copied once into its receiver's send buffer, and two numbers are
//     written into the copy: the call and what is left of its time. Nothing is allocated, nothing
//     is searched but the account, and that only when the sender changes whom it writes to.
//   - Order (P-55) holds by construction: one receive order, one send buffer, no queue between. (A
//     broadcast that waits holds its sender: broadcast.h.)
//   - From being looked at to being queued a message spends less than a turn, far below the
//     millisecond in which ttl_ms is counted; so what the center lowers is what exceeds its
//     maximum. What it then waits for a slow receiver is not counted (P-57): the call's own
//     deadline runs here.

#include "center/router.h"

#include "base/assert.h"
#include "base/canary.h"
#include "center/broadcast.h"
#include "center/state.h"
#include "wire/message.h"

enum {
    FLAGS_RESERVED = PHI_FLAG_MORE | PHI_FLAG_DURABLE,
    FAILURE_CODE_BYTES = 2,
    // What the center says itself: "@domain" and a failure's code and text.
    OWN_BYTES_MAX = PHI_MESSAGE_HEAD_BYTES + 1 + PHI_NAME_BYTES_MAX + FAILURE_CODE_BYTES + 128,
};

// One message on its way to one receiver.
typedef struct delivery {
    const session *sender; // NULL: the center itself
    session *receiver;
    const call *answers; // the call it answers, or NULL
    phi_bytes payload;
    uint64_t number; // written into the copy
    uint32_t ttl_ms; // same
} delivery;

typedef enum result {
    DELIVERED,
    REFUSED,
    FULL,
    TOO_LARGE,
} result;

// Where an address leads.
typedef struct destination {
    uint16_t code; // ph_failure_code; 0: `one` or everyone
    bool is_everyone;
    session *one;
} destination;

static void on_event(center *c, session *s, const phi_message *m, phi_bytes payload);
static void on_request(center *c, session *s, const phi_message *m, phi_bytes payload);
static void on_answer(center *c, session *s, const phi_message *m, phi_bytes payload);
static void on_cancel(center *c, session *s, const phi_message *m);
static void on_inquiry(center *c, session *s, const phi_message *m);

static result deliver(center *c, const delivery *d);
static bool is_authorised(const delivery *d);
static destination resolve(const center *c, session *s, phi_bytes to);
static uint32_t time_of_call(const center *c, uint32_t ttl_ms);
static phi_bytes write_own(const center *c, uint8_t *bytes, const phi_message *m);
static const char *text_of(ph_failure_code code);

void router_handle(center *c, session *s, phi_bytes payload)
{
    phi_message m;
    if (phi_message_decode(payload, &m) != PH_OK) {
        session_end(c, s, PHI_BYE_MALFORMED, 0, NULL);
        return;
    }
    c->counters.messages_received_total++;
    if (PHI_UNLIKELY(!phi_bytes_equal(m.from, session_id(s)))) { // [P-53]
        session_end(c, s, PHI_BYE_FROM_MISMATCH, 0, NULL);
        return;
    }
    switch ((phi_kind)m.kind) {
    case PHI_KIND_EVENT:
        on_event(c, s, &m, payload);
        break;
    case PHI_KIND_REQUEST:
        on_request(c, s, &m, payload);
        break;
    case PHI_KIND_REPLY:
    case PHI_KIND_FAILURE:
        on_answer(c, s, &m, payload);
        break;
    case PHI_KIND_INQUIRY:
        on_inquiry(c, s, &m);
        break;
    case PHI_KIND_ANSWER:
        c->counters.messages_dropped_total++;
        break;
    case PHI_KIND_CANCEL:
        on_cancel(c, s, &m);
        break;
    }
}

bool router_fail(center *c, session *caller, uint64_t number, ph_failure_code code)
{
    const char *text = text_of(code);
    uint8_t body[FAILURE_CODE_BYTES + 128];
    phi_writer w = phi_writer_of((phi_span){ body, sizeof body });
    phi_write_u16(&w, (uint16_t)code);
    phi_write_bytes(&w, phi_bytes_text(text));
    PH_ASSERT(!w.failed);

    uint8_t bytes[OWN_BYTES_MAX];
    const phi_message failure = {
        .kind = PHI_KIND_FAILURE,
        .call = number,
        .body = phi_writer_view(&w),
    };
    return deliver(c, &(delivery){
                          .receiver = caller,
                          .payload = write_own(c, bytes, &failure),
                          .number = number,
                      }) == DELIVERED;
}

void router_cancel(center *c, const call *k)
{
    PH_ASSERT(k->responder != NULL);
    uint8_t bytes[OWN_BYTES_MAX];
    const phi_message cancel = { .kind = PHI_KIND_CANCEL, .call = k->handle };
    (void)deliver(c, &(delivery){
                         .receiver = k->responder,
                         .payload = write_own(c, bytes, &cancel),
                         .number = k->handle,
                     });
}

void router_tell(center *c, const session *sender, session *receiver, phi_bytes payload,
                 uint32_t ttl_ms)
{
    if (deliver(c, &(delivery){ .sender = sender,
                                .receiver = receiver,
                                .payload = payload,
                                .ttl_ms = ttl_ms }) == DELIVERED) {
        c->counters.events_delivered_total++;
    } else {
        c->counters.events_dropped_total++;
    }
}

// ---- by kind

static void on_event(center *c, session *s, const phi_message *m, phi_bytes payload)
{
    if ((m->flags & FLAGS_RESERVED) != 0) {
        c->counters.messages_dropped_total++;
        return;
    }
    destination to = resolve(c, s, m->to);
    if (to.is_everyone) {
        broadcast_start(c, s, payload, m->ttl_ms);
        return;
    }
    if (to.code != 0) {
        c->counters.events_dropped_total++;
        return;
    }
    router_tell(c, s, to.one, payload, m->ttl_ms);
}

static void on_request(center *c, session *s, const phi_message *m, phi_bytes payload)
{
    c->counters.requests_total++;
    if (PHI_UNLIKELY((m->flags & FLAGS_RESERVED) != 0)) {
        call_refuse(c, s, m->call, PH_FAILURE_UNSUPPORTED);
        return;
    }
    destination to = resolve(c, s, m->to);
    if (to.is_everyone) {
        to.code = PH_FAILURE_UNSUPPORTED;
    }
    if (to.code != 0) {
        call_refuse(c, s, m->call, (ph_failure_code)to.code);
        return;
    }
    call *k = call_open(c, s, to.one, m->call);
    if (k == NULL) {
        call_refuse(c, s, m->call, PH_FAILURE_TOO_MANY_CALLS);
        return;
    }
    uint32_t ttl_ms = time_of_call(c, m->ttl_ms);
    switch (deliver(c, &(delivery){ .sender = s,
                                    .receiver = to.one,
                                    .payload = payload,
                                    .number = k->handle,
                                    .ttl_ms = ttl_ms })) {
    case DELIVERED:
        call_time(c, k, ttl_ms);
        break;
    case REFUSED:
        call_fail(c, k, CALL_REFUSED, PH_FAILURE_REFUSED_BY_POLICY);
        break;
    case FULL: // [P-59]
        call_fail(c, k, CALL_REFUSED, PH_FAILURE_SLOW_CONSUMER);
        break;
    case TOO_LARGE:
        call_fail(c, k, CALL_REFUSED, PH_FAILURE_TOO_LARGE);
        break;
    }
}

// A reply or a failure.
static void on_answer(center *c, session *s, const phi_message *m, phi_bytes payload)
{
    phi_failure failure;
    if (m->kind == PHI_KIND_FAILURE && phi_failure_decode(m->body, &failure) != PH_OK) {
        session_end(c, s, PHI_BYE_MALFORMED, 0, NULL);
        return;
    }
    if (PHI_UNLIKELY((m->flags & FLAGS_RESERVED) != 0)) {
        c->counters.messages_dropped_total++;
        return;
    }
    call *k = call_find(c, m->call);
    if (k == NULL) {
        c->counters.replies_stray_total++;
        return;
    }
    switch (deliver(c, &(delivery){ .sender = s,
                                    .receiver = k->caller,
                                    .answers = k,
                                    .payload = payload,
                                    .number = k->number,
                                    .ttl_ms = m->ttl_ms })) {
    case DELIVERED:
        call_finish(c, k, m->kind == PHI_KIND_REPLY ? CALL_REPLIED : CALL_FAILED);
        break;
    case REFUSED: // [P-56]
        c->counters.replies_stray_total++;
        break;
    case FULL: // [P-59]
        call_fail(c, k, CALL_OVERRUN, PH_FAILURE_SLOW_CONSUMER);
        break;
    case TOO_LARGE:
        call_fail(c, k, CALL_OVERRUN, PH_FAILURE_TOO_LARGE);
        break;
    }
}

static void on_cancel(center *c, session *s, const phi_message *m)
{
    call *k = call_of_number(c, s, m->call);
    if (k == NULL) { // it ended while the cancel was on its way
        c->counters.messages_dropped_total++;
        return;
    }
    router_cancel(c, k);
    call_fail(c, k, CALL_CANCELLED, PH_FAILURE_CANCELLED);
}

// Reserved; but it wants an answer.
static void on_inquiry(center *c, session *s, const phi_message *m)
{
    if (!router_fail(c, s, m->call, PH_FAILURE_UNSUPPORTED)) {
        c->counters.messages_dropped_total++;
    }
}

// ---- delivering

// The one way in which a message reaches a client.
static result deliver(center *c, const delivery *d)
{
    PH_ASSERT(d->payload.size >= PHI_MESSAGE_HEAD_BYTES);
    if (!is_authorised(d)) {
        return REFUSED;
    }
    // What came in as one packet goes out as one, unless the receiver's suite has longer heads, or
    // it takes less.
    if (PHI_UNLIKELY(d->payload.size > phi_link_payload_max(&d->receiver->transport.link))) {
        return TOO_LARGE;
    }
    uint8_t *room = phi_transport_begin(&d->receiver->transport, d->payload.size);
    if (PHI_UNLIKELY(room == NULL)) {
        return FULL;
    }
    memcpy(room, d->payload.data, d->payload.size);
    phi_put_u64(room + PHI_MESSAGE_CALL_AT, d->number);
    phi_put_u32(room + PHI_MESSAGE_TTL_AT, d->ttl_ms);
    phi_transport_commit(&d->receiver->transport, PHI_COMMAND_MESSAGE, d->payload.size);
    c->counters.messages_sent_total++;
    return DELIVERED;
}

// The one authorisation check. In this version everybody in a domain may write to everybody; but
// nobody may answer a call that is not theirs (P-56).
static bool is_authorised(const delivery *d)
{
    PH_ASSERT(session_is(d->receiver, SESSION_JOINED));
    if (d->sender == NULL) {
        return true;
    }
    PH_ASSERT(session_is(d->sender, SESSION_JOINED));
    return PHI_CANARY || d->answers == NULL || d->answers->responder == d->sender;
}

// ---- helpers

// [P-52]
static destination resolve(const center *c, session *s, phi_bytes to)
{
    session *one = phi_slots_find(&c->sessions, s->addressed);
    if (one != NULL && session_is(one, SESSION_JOINED) &&
        (phi_bytes_equal(to, session_account(one)) || phi_bytes_equal(to, session_id(one)))) {
        return (destination){ .one = one };
    }
    phi_address address = phi_address_parse(to);
    switch (address.form) {
    case PHI_ADDRESS_NONE:
    case PHI_ADDRESS_MALFORMED:
        return (destination){ .code = PH_FAILURE_MALFORMED };
    case PHI_ADDRESS_UNKNOWN:
        return (destination){ .code = PH_FAILURE_ADDRESS_UNKNOWN };
    case PHI_ADDRESS_EVERYONE:
        return (destination){ .is_everyone = true };
    case PHI_ADDRESS_ACCOUNT:
        break;
    }
    if (address.domain.size != 0 && !phi_bytes_equal(address.domain, center_domain(c))) {
        return (destination){ .code = PH_FAILURE_DOMAIN_UNKNOWN };
    }
    one = session_find(c, address.account);
    if (one == NULL) {
        return (destination){ .code = PH_FAILURE_NO_SUCH_ACCOUNT };
    }
    s->addressed = one->handle;
    return (destination){ .one = one };
}

// [P-57]
static uint32_t time_of_call(const center *c, uint32_t ttl_ms)
{
    if (ttl_ms == 0) {
        return (uint32_t)c->options.call_time_default;
    }
    return ttl_ms < c->options.call_time_max ? ttl_ms : (uint32_t)c->options.call_time_max;
}

// A message of the center's own, encoded into `bytes` of OWN_BYTES_MAX.
static phi_bytes write_own(const center *c, uint8_t *bytes, const phi_message *m)
{
    phi_message own = *m;
    own.from = phi_bytes_text(c->self);
    size_t size = phi_message_size(&own);
    PH_ASSERT(size <= OWN_BYTES_MAX);
    phi_message_encode(bytes, &own);
    return phi_bytes_of(bytes, size);
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
    PH_UNREACHABLE("a failure that the center does not make");
}
