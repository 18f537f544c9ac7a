// SPDX-License-Identifier: Apache-2.0
//
// center/router.c - see router.h.
//
// Design notes
//   - A message is read as a view and copied once (deliver.h). Nothing is allocated, nothing is
//     searched but the account, and that only when the sender changes whom it writes to.
//   - Order (P-55) holds by construction: one receive order, one send buffer, no queue between. (A
//     broadcast that waits holds its sender: broadcast.h.)
//   - From being looked at to being queued a message spends less than a turn, far below the
//     millisecond in which ttl_ms is counted. So what the center lowers is what exceeds its
//     maximum, and the time in which the sender was held (session_hold). What it then waits for a
//     slow receiver is not counted (P-57): the call's own deadline runs here.

#include "center/router.h"

#include "base/assert.h"
#include "center/abroad.h"
#include "center/broadcast.h"
#include "center/call_inline.h"
#include "center/control.h"
#include "center/deliver.h"
#include "center/gather.h"
#include "wire/message.h"

enum {
    FLAGS_RESERVED = PHI_FLAG_DURABLE | PHI_FLAG_PART,
    CHOICES_MORE = 3, // when the instance that was chosen does not read
};

// Where an address leads.
typedef enum reach {
    REACH_NOBODY,    // code says why
    REACH_ONE,       // one
    REACH_INSTANCES, // of the service called name
    REACH_EVERYONE,
    REACH_TOPIC, // the topic called name
    REACH_CENTER,
} reach;

typedef struct destination {
    reach reach;
    ph_failure_code code;
    session *one;
    account *instance; // its account, when it was chosen from a service; else NULL
    phi_bytes name;    // view into the address; nobody: who is missing
} destination;

static void route_fragment(center *c, session *s, phi_bytes payload);
static inline void route(center *c, session *s, phi_bytes payload);
static void route_uncommon(center *c, session *s, phi_bytes payload);

static PHI_ALWAYS_INLINE void on_event(center *c, session *s, const phi_message *m,
                                       phi_bytes payload);
static void drop_event(center *c, const session *s, phi_bytes payload, delivered how);
static void event_again(center *c, session *s, phi_bytes payload);
static void event_elsewhere(center *c, session *s, phi_bytes payload);
static PHI_ALWAYS_INLINE void on_request(center *c, session *s, const phi_message *m,
                                         phi_bytes payload);
static inline void request_one(center *c, session *s, phi_bytes payload, const destination *to,
                               uint32_t ttl_ms);
static void fail_request(center *c, call *k, phi_bytes payload, delivered how);
static call *open_else(center *c, session *s, session *responder, phi_bytes payload);
static void request_elsewhere(center *c, session *s, phi_bytes payload, uint32_t ttl_ms);
static void request_no_one(center *c, session *s, phi_bytes payload, const destination *to,
                           uint32_t ttl_ms);
static PHI_ALWAYS_INLINE void on_reply(center *c, session *s, const phi_message *m,
                                       phi_bytes payload);
static void reply_of_part(center *c, session *s, phi_bytes payload, call *k);
static inline void reply_within(center *c, session *s, const phi_message *m, phi_bytes payload,
                                call *k, delivery_marks as_part);
static void on_failure(center *c, session *s, const phi_message *m, phi_bytes payload);
static void on_answer(center *c, session *s, const phi_message *m, phi_bytes payload);
static void on_cancel(center *c, session *s, const phi_message *m, phi_bytes payload);

static bool is_forwarded(center *c, session *s, phi_bytes payload);
static inline session *again(const center *c, const session *s, phi_bytes to);
static destination resolve(center *c, session *s, phi_bytes to);
static destination look_up(center *c, session *s, phi_bytes to);
static destination choose(center *c, session *s, phi_bytes name);
static destination chosen(center *c, const session *s, service *v);
static bool is_roomy(const account *a);
static ph_failure_code code_for(center *c, session *s, phi_bytes payload, const destination *to);
static destination missing(ph_failure_code code, phi_bytes name);
static destination nobody(ph_failure_code code);
static uint32_t time_of_call(const center *c, uint32_t ttl_ms);

void router_on_message(phi_transport *t, phi_bytes payload)
{
    session *s = session_of(t);
    center *c = center_of(s);
    if (PHI_UNLIKELY(!phi_message_is_formed(payload))) {
        session_end(c, s, PHI_BYE_MALFORMED, 0, NULL);
        return;
    }
    c->counters.messages_received_total++;
    const phi_message m = phi_message_of(payload);
    if (PHI_UNLIKELY(!phi_text_equal(m.from, session_id(s)))) { // [P-53]
        session_end(c, s, PHI_BYE_FROM_MISMATCH, 0, NULL);
    } else if (PHI_UNLIKELY((m.flags & (PHI_FLAG_MORE | PHI_FLAG_REST)) != 0)) {
        route_fragment(c, s, payload);
    } else {
        route(c, s, payload);
    }
    if (PHI_UNLIKELY(c->workers.is_crowding)) {
        abroad_mind_crowd(c, s);
    }
}

// [P-66]
static PHI_NOINLINE void route_fragment(center *c, session *s, phi_bytes payload)
{
    const phi_message m = phi_message_of(payload);
    if (is_forwarded(c, s, payload)) {
        return;
    }
    uint64_t stream = stream_receive(c, s, &m, payload);
    if (stream != 0) { // which it begins
        route(c, s, payload);
        stream_routed(c, s, stream);
    }
}

// By its kind. What is not common reads the message once more, and is given no pointer to what was
// read here: so that this stands in registers, as far as it is used.
static PHI_ALWAYS_INLINE void route(center *c, session *s, phi_bytes payload)
{
    const phi_message m = phi_message_of(payload);
    if (m.kind == PHI_KIND_REQUEST) {
        on_request(c, s, &m, payload);
    } else if (m.kind == PHI_KIND_REPLY) {
        on_reply(c, s, &m, payload);
    } else if (m.kind == PHI_KIND_EVENT) {
        on_event(c, s, &m, payload);
    } else {
        route_uncommon(c, s, payload);
    }
}

static PHI_NOINLINE void route_uncommon(center *c, session *s, phi_bytes payload)
{
    const phi_message m = phi_message_of(payload);
    switch ((phi_kind)m.kind) {
    case PHI_KIND_FAILURE:
        on_failure(c, s, &m, payload);
        return;
    case PHI_KIND_INQUIRY:
        if (!is_forwarded(c, s, payload)) {
            inquiry_receive(c, s, &m, payload);
        }
        return;
    case PHI_KIND_ANSWER:
        on_answer(c, s, &m, payload);
        return;
    case PHI_KIND_CANCEL:
        on_cancel(c, s, &m, payload);
        return;
    case PHI_KIND_RECEIPT: // only the center says that
        c->counters.messages_dropped_total++;
        return;
    case PHI_KIND_EVENT:
    case PHI_KIND_REQUEST:
    case PHI_KIND_REPLY:
        break;
    }
    PH_UNREACHABLE("a common one");
}

bool router_pass(center *c, session *sender, session *receiver, phi_bytes payload,
                 const stream_key *key)
{
    const delivery_marks marks = {
        .flags = (uint8_t)(payload.data[PHI_MESSAGE_FLAGS_AT] | key->flags),
        .turn = key->turn,
    };
    return deliver(c, &(delivery){ .sender = sender,
                                   .receiver = receiver,
                                   .as = DELIVER_AS_BOUND,
                                   .payload = payload,
                                   .number = key->number,
                                   .marks = marks,
                                   .is_marked = true }) == DELIVERED;
}

// ---- by kind

// One that asks for nothing but to be passed on, to whom the last one went, is.
static PHI_ALWAYS_INLINE void on_event(center *c, session *s, const phi_message *m,
                                       phi_bytes payload)
{
    bool is_plain = m->flags == 0 && phi_time_is_never(s->held_since);
    session *receiver = PHI_LIKELY(is_plain) ? again(c, s, m->to) : NULL;
    if (PHI_UNLIKELY(receiver == NULL)) {
        event_again(c, s, payload);
        return;
    }
    delivered how = deliver_inline(
        c,
        &(delivery){ .sender = s, .receiver = receiver, .payload = payload, .ttl_ms = m->ttl_ms });
    if (PHI_LIKELY(how == DELIVERED)) {
        c->counters.events_delivered_total++;
    } else {
        drop_event(c, s, payload, how);
    }
}

static PHI_NOINLINE void drop_event(center *c, const session *s, phi_bytes payload, delivered how)
{
    c->counters.events_dropped_total++;
    if (how == DELIVER_REFUSED) {
        guard_refused_message(c, s, payload);
    }
}

// And one on the topic that was the last.
static PHI_NOINLINE void event_again(center *c, session *s, phi_bytes payload)
{
    const phi_message m = phi_message_of(payload);
    bool is_plain = m.flags == 0 && phi_time_is_never(s->held_since);
    if (!is_plain || !broadcast_again(c, s, m.to, payload)) {
        event_elsewhere(c, s, payload);
    }
}

static PHI_NOINLINE void event_elsewhere(center *c, session *s, phi_bytes payload)
{
    const phi_message m = phi_message_of(payload);
    center_event e = event_of(c, s, &m, payload);
    if (PHI_UNLIKELY((m.flags & FLAGS_RESERVED) != 0)) {
        c->counters.messages_dropped_total++;
        e.tally.code = PH_FAILURE_UNSUPPORTED;
        event_done(c, &e);
        return;
    }
    if (PHI_UNLIKELY(event_is_expired(c, &e))) { // it waited
        event_nobody(c, &e, PH_FAILURE_DEADLINE);
        event_done(c, &e);
        return;
    }
    destination to = resolve(c, s, m.to);
    switch (to.reach) {
    case REACH_ONE:
        if (to.instance != NULL) {
            phi_balancer_give(&to.instance->load, c->io->now);
        }
        event_tell(c, &e, to.one);
        if (PHI_UNLIKELY(e.is_refused)) {
            guard_refused_message(c, s, payload);
            event_nobody(c, &e, PH_FAILURE_REFUSED_BY_POLICY);
        }
        event_done(c, &e);
        return;
    case REACH_EVERYONE:
        broadcast_start(c, &e, BROADCAST_EVERYONE, to.name);
        return;
    case REACH_INSTANCES:
        broadcast_start(c, &e, BROADCAST_INSTANCES, to.name);
        return;
    case REACH_TOPIC:
        broadcast_start(c, &e, BROADCAST_TOPIC, to.name);
        return;
    case REACH_CENTER:
    case REACH_NOBODY:
        event_nobody(c, &e,
                     to.reach == REACH_NOBODY ? code_for(c, s, payload, &to)
                                              : PH_FAILURE_UNSUPPORTED);
        event_done(c, &e);
        return;
    }
}

static PHI_ALWAYS_INLINE void on_request(center *c, session *s, const phi_message *m,
                                         phi_bytes payload)
{
    c->counters.requests_total++;
    if (PHI_UNLIKELY((m->flags & FLAGS_RESERVED) != 0)) {
        call_refuse(c, s, m->call, PH_FAILURE_UNSUPPORTED);
        return;
    }
    uint32_t ttl_ms = session_time_left(c, s, time_of_call(c, m->ttl_ms));
    if (PHI_UNLIKELY(ttl_ms == 0)) { // it waited
        call_refuse(c, s, m->call, PH_FAILURE_DEADLINE);
        return;
    }
    session *responder = again(c, s, m->to);
    if (PHI_LIKELY(responder != NULL)) {
        request_one(c, s, payload, &(destination){ .reach = REACH_ONE, .one = responder }, ttl_ms);
    } else {
        request_elsewhere(c, s, payload, ttl_ms);
    }
}

static PHI_ALWAYS_INLINE void request_one(center *c, session *s, phi_bytes payload,
                                          const destination *to, uint32_t ttl_ms)
{
    const phi_message m = phi_message_of(payload);
    session *responder = to->one;
    call *k = call_open_again(c, s, responder, m.call);
    if (PHI_UNLIKELY(k == NULL)) {
        k = open_else(c, s, responder, payload);
        if (k == NULL) {
            return;
        }
    }
    k->depth = m.depth;
    if (to->instance != NULL) {
        call_measure(c, k, to->instance);
    }
    delivered how = deliver_inline(c, &(delivery){ .sender = s,
                                                   .receiver = responder,
                                                   .payload = payload,
                                                   .number = k->handle,
                                                   .ttl_ms = ttl_ms });
    if (PHI_LIKELY(how == DELIVERED)) {
        call_time(c, k, ttl_ms);
    } else {
        fail_request(c, k, payload, how);
    }
}

static PHI_NOINLINE void fail_request(center *c, call *k, phi_bytes payload, delivered how)
{
    if (how == DELIVER_REFUSED) {
        guard_refused_message(c, k->caller, payload);
    }
    call_fail(c, k, CALL_REFUSED, deliver_code(how));
}

// NULL: it may not be, and the caller knows. Who may not call that one hears so, and not what else
// is in the way: that would tell it that there is one.
static PHI_NOINLINE call *open_else(center *c, session *s, session *responder, phi_bytes payload)
{
    const phi_message m = phi_message_of(payload);
    ph_failure_code why;
    call *k = call_open(c, s, responder, m.call, &why);
    if (k == NULL && !guard_may(c, s, PHI_MAY_CALL, responder->account, m.method)) {
        guard_refused_message(c, s, payload);
        why = PH_FAILURE_REFUSED_BY_POLICY;
    }
    if (k == NULL) {
        call_refuse(c, s, m.call, why);
    }
    return k;
}

static PHI_NOINLINE void request_elsewhere(center *c, session *s, phi_bytes payload,
                                           uint32_t ttl_ms)
{
    const phi_message m = phi_message_of(payload);
    const destination to = look_up(c, s, m.to); // not whom it wrote to last
    if (PHI_LIKELY(to.reach == REACH_ONE)) {
        request_one(c, s, payload, &to, ttl_ms);
    } else {
        request_no_one(c, s, payload, &to, ttl_ms);
    }
}

// Several, the center itself, or nobody.
static PHI_NOINLINE void request_no_one(center *c, session *s, phi_bytes payload,
                                        const destination *to, uint32_t ttl_ms)
{
    const phi_message m = phi_message_of(payload);
    switch (to->reach) {
    case REACH_INSTANCES:
        gather_start(c, s, &m, payload, to->name, ttl_ms);
        return;
    case REACH_CENTER:
        if (!workers_decide(&c->workers) && (m.flags & PHI_FLAG_MORE) == 0) {
            c->workers.requests_passed_on++;
            worker_forward(c, s, WORKER_FIRST, PHI_COMMAND_MESSAGE, payload);
        } else {
            control_request(c, s, &m, ttl_ms);
        }
        return;
    case REACH_NOBODY:
        call_refuse(c, s, m.call, code_for(c, s, payload, to));
        return;
    case REACH_EVERYONE:
    case REACH_TOPIC:
        call_refuse(c, s, m.call, PH_FAILURE_UNSUPPORTED);
        return;
    case REACH_ONE:
        break;
    }
    PH_UNREACHABLE("that is one");
}

// A reply, or the responder's failure.
static PHI_ALWAYS_INLINE void on_reply(center *c, session *s, const phi_message *m,
                                       phi_bytes payload)
{
    if (PHI_UNLIKELY((m->flags & FLAGS_RESERVED) != 0 || m->turn != 0)) {
        c->counters.messages_dropped_total++;
        return;
    }
    call *k = call_find(c, m->call);
    if (PHI_UNLIKELY(k == NULL)) {
        if (!is_forwarded(c, s, payload)) {
            c->counters.replies_stray_total++;
        }
    } else if (PHI_UNLIKELY(call_is_part(k))) {
        reply_of_part(c, s, payload, k);
    } else {
        reply_within(c, s, m, payload, k, (delivery_marks){ .flags = 0 });
    }
}

static PHI_NOINLINE void reply_of_part(center *c, session *s, phi_bytes payload, call *k)
{
    const phi_message m = phi_message_of(payload);
    const delivery_marks as_part = { .flags = m.flags | PHI_FLAG_PART, .turn = k->turn };
    reply_within(c, s, &m, payload, k, as_part);
}

// `as_part` has no flags where the call is no part.
static PHI_ALWAYS_INLINE void reply_within(center *c, session *s, const phi_message *m,
                                           phi_bytes payload, call *k, delivery_marks as_part)
{
    delivered how = deliver_inline(c, &(delivery){ .sender = s,
                                                   .receiver = k->caller,
                                                   .as = DELIVER_AS_RESPONDER,
                                                   .within = k,
                                                   .payload = payload,
                                                   .number = k->number,
                                                   .ttl_ms = m->ttl_ms,
                                                   .marks = as_part,
                                                   .is_marked = as_part.flags != 0 });
    if (PHI_UNLIKELY(how == DELIVER_REFUSED)) { // [P-56]
        c->counters.replies_stray_total++;
    } else if (PHI_UNLIKELY(how != DELIVERED)) {
        call_overrun(c, k, deliver_code(how));
    } else if (PHI_UNLIKELY(m->kind == PHI_KIND_FAILURE)) {
        call_failed(c, k, phi_get_u16(m->body.data));
    } else if (PHI_LIKELY((m->flags & PHI_FLAG_MORE) == 0)) { // else with its last fragment
        call_replied(c, k);
    }
}

// One without a code ends the link: passing it on would break its receiver's decoder instead.
static void on_failure(center *c, session *s, const phi_message *m, phi_bytes payload)
{
    phi_failure failure;
    if (phi_failure_decode(m->body, &failure) != PH_OK) {
        session_end(c, s, PHI_BYE_MALFORMED, 0, NULL);
    } else if (m->turn != 0) { // the caller's, to an inquiry
        on_answer(c, s, m, payload);
    } else {
        on_reply(c, s, m, payload);
    }
}

// To an inquiry.
static void on_answer(center *c, session *s, const phi_message *m, phi_bytes payload)
{
    if (PHI_UNLIKELY((m->flags & FLAGS_RESERVED) != 0)) {
        c->counters.messages_dropped_total++;
        return;
    }
    inquiry_answer(c, s, m, payload);
}

static void on_cancel(center *c, session *s, const phi_message *m, phi_bytes payload)
{
    call *k = call_of_number(c, s, m->call);
    if (k == NULL && !workers_decide(&c->workers)) { // it may be a request to the center
        worker_forward(c, s, WORKER_FIRST, PHI_COMMAND_MESSAGE, payload);
        return;
    }
    if (k == NULL) { // it ended while the cancel was on its way
        c->counters.messages_dropped_total++;
        return;
    }
    call_break(c, k, CALL_CANCELLED, PH_FAILURE_CANCELLED);
}

// ---- helpers

// What a responder says in a call belongs to the caller's worker, which has made up its number.
static PHI_NOINLINE bool is_forwarded(center *c, session *s, phi_bytes payload)
{
    const phi_message m = phi_message_of(payload);
    bool is_responders = m.kind == PHI_KIND_REPLY || m.kind == PHI_KIND_INQUIRY ||
                         (m.kind == PHI_KIND_FAILURE && m.turn == 0);
    uint32_t to = is_responders ? worker_of(&c->workers, m.call) : c->workers.self;
    if (to == c->workers.self || s->is_abroad) {
        return false;
    }
    worker_forward(c, s, to, PHI_COMMAND_MESSAGE, payload);
    return true;
}

// To whom it wrote last, when that is who is meant.
static PHI_ALWAYS_INLINE session *again(const center *c, const session *s, phi_bytes to)
{
    session *one = phi_slots_find(&c->sessions, s->addressed);
    if (PHI_UNLIKELY(one == NULL || !session_is(one, SESSION_JOINED))) {
        return NULL;
    }
    // An account is the beginning of an id.
    bool is_fit = to.size == one->name_size || to.size == one->id_size;
    return is_fit && phi_text_equal(to, phi_bytes_of(one->id, to.size)) ? one : NULL;
}

static destination resolve(center *c, session *s, phi_bytes to)
{
    session *one = again(c, s, to);
    return one != NULL ? (destination){ .reach = REACH_ONE, .one = one } : look_up(c, s, to);
}

// [P-52]
static PHI_NOINLINE destination look_up(center *c, session *s, phi_bytes to)
{
    service *v = services_at(&c->registry.services, s->addressed_service);
    if (v != NULL && phi_address_is_service(to, service_name(v))) {
        return chosen(c, s, v);
    }
    phi_address address = phi_address_parse(to);
    bool is_here = address.domain.size == 0 || phi_bytes_equal(address.domain, center_domain(c));
    switch (address.form) {
    case PHI_ADDRESS_NONE:
    case PHI_ADDRESS_MALFORMED:
        return nobody(PH_FAILURE_MALFORMED);
    case PHI_ADDRESS_UNKNOWN:
        return nobody(PH_FAILURE_ADDRESS_UNKNOWN);
    case PHI_ADDRESS_SERVICE:
        return choose(c, s, address.name);
    case PHI_ADDRESS_INSTANCES:
        return (destination){ .reach = REACH_INSTANCES, .name = address.name };
    case PHI_ADDRESS_EVERYONE:
        return (destination){ .reach = REACH_EVERYONE };
    case PHI_ADDRESS_TOPIC:
        return (destination){ .reach = REACH_TOPIC, .name = address.name };
    case PHI_ADDRESS_CENTER:
        return is_here ? (destination){ .reach = REACH_CENTER } : nobody(PH_FAILURE_DOMAIN_UNKNOWN);
    case PHI_ADDRESS_ACCOUNT:
        break;
    }
    if (!is_here) {
        return nobody(PH_FAILURE_DOMAIN_UNKNOWN);
    }
    session *one = session_find(c, address.name);
    if (one == NULL) {
        bool is_ghost = registry_find(&c->registry, address.name) != NULL; // [P-49]
        return missing(is_ghost ? PH_FAILURE_OFFLINE : PH_FAILURE_NO_SUCH_ACCOUNT, address.name);
    }
    s->addressed = one->handle;
    return (destination){ .reach = REACH_ONE, .one = one };
}

// [P-64]
static destination choose(center *c, session *s, phi_bytes name)
{
    service *v = services_find(&c->registry.services, name);
    if (v == NULL) {
        c->counters.service_unavailable_total++;
        return missing(PH_FAILURE_NO_READY_INSTANCE, name);
    }
    s->addressed_service = v->handle;
    return chosen(c, s, v);
}

static destination chosen(center *c, const session *s, service *v)
{
    account *a = service_pick(v, &c->random, c->io->now, s->account);
    // One that does not read what it was sent would fail it, or be late. [P-59]
    for (int i = 0; i < CHOICES_MORE && a != NULL && PHI_UNLIKELY(!is_roomy(a)); i++) {
        phi_balancer_blame(&v->ready, &a->load, c->io->now);
        a = service_pick(v, &c->random, c->io->now, s->account);
    }
    if (a == NULL) {
        c->counters.service_unavailable_total++;
        return missing(PH_FAILURE_NO_READY_INSTANCE, service_name(v));
    }
    c->counters.service_choices_total++;
    return (destination){ .reach = REACH_ONE, .one = a->session, .instance = a };
}

static bool is_roomy(const account *a)
{
    return session_is_roomy(a->session);
}

// What is said of somebody who is not there: to who might not write to him if he were, the same as
// if he were.
static PHI_NOINLINE ph_failure_code code_for(center *c, session *s, phi_bytes payload,
                                             const destination *to)
{
    const phi_message m = phi_message_of(payload);
    PH_ASSERT(to->reach == REACH_NOBODY);
    if (PHI_LIKELY(s->role == NULL) || to->name.size == 0) {
        return to->code;
    }
    phi_action action = m.kind == PHI_KIND_REQUEST ? PHI_MAY_CALL : PHI_MAY_SEND;
    bool is_service = to->code == PH_FAILURE_NO_READY_INSTANCE;
    const account *ghost = is_service ? NULL : registry_find(&c->registry, to->name);
    phi_target target = { .method = m.method };
    *(is_service ? &target.service : &target.account) = to->name;
    bool may = ghost != NULL ? guard_may(c, s, action, ghost, m.method)
                             : guard_may_name(c, s, action, &target);
    if (may) {
        return to->code;
    }
    guard_refused_message(c, s, payload);
    return PH_FAILURE_REFUSED_BY_POLICY;
}

static destination missing(ph_failure_code code, phi_bytes name)
{
    return (destination){ .reach = REACH_NOBODY, .code = code, .name = name };
}

static destination nobody(ph_failure_code code)
{
    return (destination){ .reach = REACH_NOBODY, .code = code };
}

// [P-57]
static uint32_t time_of_call(const center *c, uint32_t ttl_ms)
{
    if (ttl_ms == 0) {
        return (uint32_t)c->options.call_time_default;
    }
    return ttl_ms < c->options.call_time_max ? ttl_ms : (uint32_t)c->options.call_time_max;
}
