// SPDX-License-Identifier: Apache-2.0
//
// center/stream.c - see stream.h.
//
// Design notes
//   - The first fragment is routed like any message (stream_receive), with `c->opening` set;
//     whoever it is delivered to is bound to the stream in the one function that delivers. So
//     services, topics and authorisation are the router's, and are decided once.
//   - Later fragments carry flag rest. They find their stream by the sender's number, or none: it
//     was given up, and they were on their way.
//   - What a stream owes its sender (credit, an abort) and finds no room for is derived from its
//     state when there is room again: nothing is queued.
//   - A stream of a call ends with the call (stream_call_over); one that is given up ends its call.
//     It is taken off its lists before, so that neither meets it twice.
//
// Invariants
//   - passed <= granted <= the grants of all receivers
//   - a live stream has a receiver, but while it is being opened
//   - one that is given up (abort_code is set) has none, and waits only until its sender knows

#include "center/stream.h"

#include "base/assert.h"
#include "center/broadcast.h"
#include "center/call_inline.h"
#include "center/event.h"
#include "center/inquiry.h"
#include "center/router.h"
#include "center/stream_receiver.h"
#include "wire/stream.h"

static uint64_t on_first(center *c, session *s, const phi_message *m, phi_bytes payload);
static void on_rest(center *c, message_stream *st, const phi_message *m, phi_bytes payload);
static uint32_t worker_of_stream(const center *c, const phi_stream_control *control);
static void on_receiver_says(center *c, stream_receiver *r, const phi_stream_control *control);
static void on_stall(phi_timer *timer, phi_time now);

static ph_failure_code judge_first(const center *c, const session *s, const phi_message *m,
                                   size_t size);
static bool is_too_long(const message_stream *st, uint8_t flags);
static message_stream *open_stream(center *c, session *s, const phi_message *m);
static void refuse(center *c, session *s, const phi_message *m, ph_failure_code code);
static void finish(center *c, message_stream *st);
static void give_up(center *c, message_stream *st, ph_failure_code code);
static void end_call(center *c, uint8_t kind, call *k, uint16_t turn, ph_failure_code code);
static void grant(center *c, message_stream *st);
static void pay_abort(center *c, message_stream *st);
static void touch(center *c, message_stream *st);
static message_stream *find_going(const session *s, uint8_t kind, uint16_t turn, uint64_t number);
static void drop_stream(center *c, message_stream *st);

size_t stream_size(void)
{
    return sizeof(message_stream);
}

uint64_t stream_receive(center *c, session *s, const phi_message *m, phi_bytes payload)
{
    if ((m->flags & PHI_FLAG_REST) == 0) {
        return on_first(c, s, m, payload);
    }
    message_stream *st = find_going(s, m->kind, m->turn, m->call);
    if (st == NULL || st->abort_code != 0) {
        c->counters.fragments_dropped_total++;
        return 0;
    }
    on_rest(c, st, m, payload);
    return 0;
}

void stream_routed(center *c, session *s, uint64_t handle)
{
    c->opening = NULL;
    if (s->broadcast == NULL) { // else it goes on in a later turn
        stream_opened(c, handle);
    }
}

// ---- fragments

static uint64_t on_first(center *c, session *s, const phi_message *m, phi_bytes payload)
{
    PH_ASSERT(c->opening == NULL);
    ph_failure_code code = judge_first(c, s, m, payload.size);
    if (code != 0) {
        refuse(c, s, m, code);
        return 0;
    }
    message_stream *st = open_stream(c, s, m);
    if (st == NULL) {
        refuse(c, s, m, PH_FAILURE_TOO_MANY_CALLS);
        return 0;
    }
    c->opening = st;
    return st->handle;
}

uint64_t stream_opening(const center *c)
{
    return c->opening == NULL ? 0 : c->opening->handle;
}

bool stream_reopen(center *c, uint64_t handle)
{
    PH_ASSERT(c->opening == NULL);
    message_stream *st = phi_slots_find(&c->streams, handle);
    if (st == NULL || st->abort_code != 0) {
        return false;
    }
    PH_ASSERT(!st->is_open);
    c->opening = st;
    return true;
}

void stream_pause(center *c)
{
    PH_ASSERT(c->opening != NULL);
    c->opening = NULL;
}

void stream_opened(center *c, uint64_t handle)
{
    message_stream *st = phi_slots_find(&c->streams, handle);
    if (st == NULL) {
        return; // its sender left meanwhile
    }
    st->is_open = true;
    if (st->receiver_count == 0) {
        // Who wants an answer has got it from the router. The rest need not be sent.
        st->call = 0;
        give_up(c, st, PH_FAILURE_NO_SUCH_ACCOUNT);
        return;
    }
    if (is_too_long(st, PHI_FLAG_MORE)) {
        give_up(c, st, PH_FAILURE_TOO_LARGE);
        return;
    }
    grant(c, st);
    touch(c, st);
}

// What has more to come is at least a byte longer. Its sender would not get leave for that one, and
// wait for it. [P-66]
static bool is_too_long(const message_stream *st, uint8_t flags)
{
    uint64_t least = st->passed + ((flags & PHI_FLAG_MORE) != 0);
    return least > st->bytes_max;
}

// 0: nothing to complain about.
static ph_failure_code judge_first(const center *c, const session *s, const phi_message *m,
                                   size_t size)
{
    if (m->body.size == 0 || size > PHI_FRAGMENT_FIRST_BYTES_MAX ||
        find_going(s, m->kind, m->turn, m->call) != NULL) {
        return PH_FAILURE_MALFORMED;
    }
    if (s->streams != NULL && s->streams->going_count >= c->options.streams_per_client_max) {
        return PH_FAILURE_TOO_MANY_CALLS;
    }
    return (ph_failure_code)0;
}

static void on_rest(center *c, message_stream *st, const phi_message *m, phi_bytes payload)
{
    session *s = st->sender;
    // Only the center says part; a receiver's library would take it for the liar.
    if (m->body.size == 0 || m->to.size != 0 || m->method.size != 0 || m->headers.size != 0 ||
        (m->flags & PHI_FLAG_PART) != 0) {
        session_end(c, s, PHI_BYE_MALFORMED, 0, NULL); // [P-66]
        return;
    }
    if (m->body.size > st->granted - st->passed) {
        session_end(c, s, PHI_BYE_CREDIT_EXCEEDED, 0, NULL);
        return;
    }
    st->passed += m->body.size;
    if (is_too_long(st, m->flags)) {
        give_up(c, st, PH_FAILURE_TOO_LARGE);
        return;
    }
    uint32_t count = st->receiver_count;
    phi_list *node = st->receivers.next;
    while (node != &st->receivers) {
        stream_receiver *r = PHI_CONTAINER_OF(node, stream_receiver, of_stream);
        node = node->next;
        if (!router_pass(c, s, r->session, payload, &r->key)) {
            stream_receiver_abort(c, r, PH_FAILURE_SLOW_CONSUMER);
        }
    }
    touch(c, st);
    if (st->receiver_count == 0) {
        give_up(c, st, PH_FAILURE_SLOW_CONSUMER);
    } else if ((m->flags & PHI_FLAG_MORE) == 0) {
        finish(c, st);
    }
    if (count > 1) {
        broadcast_spend(c, s, count);
    }
}

// ---- what the ends say about it

void stream_control(center *c, session *s, phi_bytes payload)
{
    phi_stream_control control;
    if (phi_stream_control_decode(payload, &control) != PH_OK) {
        session_end(c, s, PHI_BYE_MALFORMED, 0, NULL);
        return;
    }
    uint32_t to = worker_of_stream(c, &control);
    if (PHI_UNLIKELY(to != c->workers.self) && !s->is_abroad) {
        worker_forward(c, s, to, PHI_COMMAND_STREAM, payload);
        return;
    }
    // The same numbers may name one that it sends and one that it receives.
    bool is_senders = control.op == PHI_STREAM_ABORT;
    stream_receiver *r = is_senders ? NULL : stream_receiver_find(s, &control);
    message_stream *st =
        is_senders ? find_going(s, control.kind, control.turn, control.call) : NULL;
    if (r != NULL && r->stream != NULL) {
        on_receiver_says(c, r, &control);
    } else if (st != NULL && st->abort_code == 0) {
        give_up(c, st, (ph_failure_code)control.value);
    } else {
        c->counters.stream_packets_dropped_total++; // it is over
    }
}

// Where the stream is: at its sender's worker, or its call's. Who received an event, or works on a
// call, knows it by a number of that worker's.
static uint32_t worker_of_stream(const center *c, const phi_stream_control *control)
{
    bool is_senders = control->op == PHI_STREAM_ABORT;
    bool is_made_up = false;
    switch ((phi_kind)control->kind) {
    case PHI_KIND_EVENT:
    case PHI_KIND_REQUEST:
    case PHI_KIND_ANSWER:
        is_made_up = !is_senders;
        break;
    case PHI_KIND_REPLY:
    case PHI_KIND_INQUIRY:
        is_made_up = is_senders;
        break;
    case PHI_KIND_FAILURE:
    case PHI_KIND_CANCEL:
    case PHI_KIND_RECEIPT:
        break; // never in fragments
    }
    return is_made_up ? worker_of(&c->workers, control->call) : c->workers.self;
}

static void on_receiver_says(center *c, stream_receiver *r, const phi_stream_control *control)
{
    message_stream *st = r->stream;
    if (control->op == PHI_STREAM_CREDIT) {
        // Nobody needs more than the largest message, and so nothing overflows.
        bool is_least = r->granted <= st->granted;
        r->granted += control->value;
        r->granted = r->granted < st->bytes_max ? r->granted : st->bytes_max;
        if (is_least) { // else others keep the sender waiting, or it has no room
            grant(c, st);
        }
        return;
    }
    stream_note_lost(st, (ph_failure_code)control->value);
    stream_receiver_drop(c, r);
    if (st->is_open && st->receiver_count == 0) { // else others are still to be told
        give_up(c, st, (ph_failure_code)control->value);
    } else {
        grant(c, st);
    }
}

// Passes on what all receivers have granted. Without room it is owed: stream_pay.
static void grant(center *c, message_stream *st)
{
    if (!st->is_open) {
        return;
    }
    uint64_t least = stream_least_granted(st);
    if (least <= st->granted) {
        return;
    }
    phi_stream_control control = { .op = PHI_STREAM_CREDIT,
                                   .kind = st->kind,
                                   .turn = st->turn,
                                   .call = st->number,
                                   .value = (uint32_t)(least - st->granted) };
    if (stream_tell(st->sender, &control)) {
        st->granted = least;
        touch(c, st);
    }
}

void stream_pay(center *c, session *s)
{
    if (PHI_LIKELY(s->streams == NULL)) {
        return;
    }
    phi_list *node = s->streams->going.next;
    while (node != &s->streams->going) {
        message_stream *st = PHI_CONTAINER_OF(node, message_stream, of_sender);
        node = node->next;
        if (st->abort_code != 0) {
            pay_abort(c, st);
        } else {
            grant(c, st);
        }
    }
    node = s->streams->coming.next;
    while (node != &s->streams->coming) {
        stream_receiver *r = PHI_CONTAINER_OF(node, stream_receiver, of_session);
        node = node->next;
        if (r->abort_code != 0) {
            stream_receiver_abort(c, r, (ph_failure_code)r->abort_code);
        }
    }
}

bool stream_take_tally(center *c, uint64_t handle, const phi_receipt *tally)
{
    message_stream *st = phi_slots_find(&c->streams, handle);
    if (st == NULL || st->abort_code != 0) {
        return false;
    }
    st->owes_receipt = true;
    st->tally = *tally;
    return true;
}

// Those that it reached whole are those that are still there.
static void give_receipt(center *c, message_stream *st, uint32_t whole, ph_failure_code why)
{
    if (!st->owes_receipt) {
        return;
    }
    st->owes_receipt = false;
    phi_receipt *tally = &st->tally;
    PH_ASSERT(tally->delivered >= whole);
    uint32_t lost = tally->delivered - whole;
    tally->delivered = whole;
    tally->dropped += lost;
    if (lost != 0 && tally->code == 0) {
        tally->code = (uint16_t)why;
    }
    event_give_receipt(c, st->sender, st->number, tally);
}

// ---- ends

// The last fragment has been passed on.
static void finish(center *c, message_stream *st)
{
    call *k = call_find(c, st->call);
    uint8_t kind = st->kind;
    uint16_t turn = st->turn;
    c->counters.streams_done_total++;
    give_receipt(c, st, st->receiver_count, (ph_failure_code)st->lost_code);
    drop_stream(c, st);
    if (kind == PHI_KIND_REPLY) {
        call_replied(c, k);
    } else if (kind == PHI_KIND_ANSWER) {
        inquiry_answered(c, k, turn);
    }
}

// Nobody gets the rest. Its receivers and its sender are told, and what it was part of ends.
static void give_up(center *c, message_stream *st, ph_failure_code code)
{
    c->counters.streams_given_up_total++;
    phi_list *node;
    while ((node = st->receivers.next) != &st->receivers) {
        stream_receiver_abort(c, PHI_CONTAINER_OF(node, stream_receiver, of_stream), code);
    }
    call *k = call_find(c, st->call);
    st->call = 0;
    st->abort_code = (uint16_t)code;
    uint8_t kind = st->kind;
    uint16_t turn = st->turn;
    give_receipt(c, st, 0, code);
    pay_abort(c, st);
    if (k != NULL) {
        end_call(c, kind, k, turn, code);
    }
}

// What a message that does not arrive does to its call.
static void end_call(center *c, uint8_t kind, call *k, uint16_t turn, ph_failure_code code)
{
    switch ((phi_kind)kind) {
    case PHI_KIND_REQUEST:
        call_break(c, k, CALL_REFUSED, code);
        break;
    case PHI_KIND_REPLY:
        call_overrun(c, k, code);
        break;
    case PHI_KIND_INQUIRY:
    case PHI_KIND_ANSWER:
        inquiry_fail(c, k, turn, code);
        break;
    case PHI_KIND_EVENT:
    case PHI_KIND_FAILURE:
    case PHI_KIND_CANCEL:
    case PHI_KIND_RECEIPT:
        PH_UNREACHABLE("no part of a call, or never in fragments");
    }
}

// A first fragment that is not let in.
static void refuse(center *c, session *s, const phi_message *m, ph_failure_code code)
{
    c->counters.streams_refused_total++;
    if (!stream_tell(s, &(phi_stream_control){ .op = PHI_STREAM_REFUSE,
                                               .kind = m->kind,
                                               .turn = m->turn,
                                               .call = m->call,
                                               .value = (uint32_t)code })) {
        // Nothing is kept of it here, and its sender would wait for credit for ever.
        session_end(c, s, PHI_BYE_SLOW_CONSUMER, 0, NULL);
        return;
    }
    if ((m->flags & PHI_FLAG_RECEIPT) != 0) {
        event_give_receipt(c, s, m->call, &(phi_receipt){ .code = (uint16_t)code });
    }
    if (m->kind == PHI_KIND_REQUEST) {
        c->counters.requests_total++; // the router never sees it
        call_refuse(c, s, m->call, code);
        return;
    }
    bool is_callers = m->kind == PHI_KIND_ANSWER;
    call *k = NULL;
    if (m->kind != PHI_KIND_EVENT) {
        k = is_callers ? call_of_number(c, s, m->call) : call_find(c, m->call);
    }
    if (k == NULL || (!is_callers && k->responder != s)) {
        return;
    }
    const message_stream *st = find_going(s, m->kind, m->turn, m->call);
    if (m->kind == PHI_KIND_INQUIRY) {
        inquiry_refuse(c, k, m->turn, code);
    } else if (m->kind == PHI_KIND_ANSWER && st != NULL && st->abort_code == 0) {
        return; // a second one to the same inquiry: the first one goes on, and ends it
    } else {
        end_call(c, m->kind, k, m->turn, code);
    }
}

void stream_call_over(center *c, const call *k)
{
    PH_ASSERT(k->has_stream);
    session *ends[] = { k->caller, k->responder };
    for (size_t i = 0; i < PHI_COUNT_OF(ends); i++) {
        if (ends[i] == NULL || ends[i]->streams == NULL) {
            continue;
        }
        phi_list *node = ends[i]->streams->going.next;
        while (node != &ends[i]->streams->going) {
            message_stream *st = PHI_CONTAINER_OF(node, message_stream, of_sender);
            node = node->next;
            if (st->call == k->handle) {
                drop_stream(c, st);
            }
        }
    }
}

void stream_inquiry_over(center *c, const call *k, uint16_t turn)
{
    message_stream *st = find_going(k->responder, PHI_KIND_INQUIRY, turn, k->handle);
    if (st != NULL && st->abort_code == 0) {
        drop_stream(c, st);
    }
}

void stream_leave(center *c, session *s)
{
    if (PHI_LIKELY(s->streams == NULL)) {
        return;
    }
    // Those of its calls ended with them.
    phi_list *node;
    while ((node = s->streams->coming.next) != &s->streams->coming) {
        stream_receiver *r = PHI_CONTAINER_OF(node, stream_receiver, of_session);
        message_stream *st = r->stream;
        stream_note_lost(st, PH_FAILURE_OFFLINE);
        stream_receiver_drop(c, r);
        if (st != NULL && st->sender == s) {
            continue; // it sent to itself, too: that ends below, and nobody is there to be told
        }
        if (st != NULL && st->is_open && st->receiver_count == 0) {
            give_up(c, st, PH_FAILURE_OFFLINE);
        } else if (st != NULL) {
            grant(c, st);
        }
    }
    while ((node = s->streams->going.next) != &s->streams->going) {
        message_stream *st = PHI_CONTAINER_OF(node, message_stream, of_sender);
        while ((node = st->receivers.next) != &st->receivers) {
            stream_receiver_abort(c, PHI_CONTAINER_OF(node, stream_receiver, of_stream),
                                  PH_FAILURE_CALLER_LOST);
        }
        drop_stream(c, st);
    }
    phi_give(center_alloc(c, CENTER_MEMORY_STREAMS), s->streams, sizeof *s->streams);
    s->streams = NULL;
}

void stream_drop_all(center *c)
{
    uint32_t index = 0;
    uint64_t handle;
    message_stream *st;
    for (; (st = phi_slots_next(&c->streams, &index, &handle)) != NULL; index++) {
        phi_timer_clear(&c->io->timers, &st->timer);
    }
    index = 0;
    session *s;
    for (; (s = phi_slots_next(&c->sessions, &index, &handle)) != NULL; index++) {
        phi_give(center_alloc(c, CENTER_MEMORY_STREAMS), s->streams, sizeof *s->streams);
        s->streams = NULL;
    }
}

// Nothing came or could come for full_timeout: who is to blame is given up.
static void on_stall(phi_timer *timer, phi_time now)
{
    message_stream *st = PHI_CONTAINER_OF(timer, message_stream, timer);
    center *c = st->center;
    phi_time patience_end = phi_time_add(st->moved, phi_ms(c->options.full_timeout));
    if (phi_time_before(now, patience_end)) {
        phi_timer_set(&c->io->timers, &st->timer, patience_end);
        return;
    }
    uint64_t least = stream_least_granted(st);
    phi_list *node = st->receivers.next;
    if (least == st->passed) { // those who granted the least keep the others waiting
        while (node != &st->receivers) {
            stream_receiver *r = PHI_CONTAINER_OF(node, stream_receiver, of_stream);
            node = node->next;
            if (r->granted == least) {
                stream_receiver_abort(c, r, PH_FAILURE_SLOW_CONSUMER);
            }
        }
    }
    if (st->receiver_count == 0 || least != st->passed) {
        give_up(c, st, PH_FAILURE_SLOW_CONSUMER);
        return;
    }
    touch(c, st);
    grant(c, st);
}

// ---- helpers

static message_stream *open_stream(center *c, session *s, const phi_message *m)
{
    session_streams *streams = streams_of(c, s);
    uint64_t handle = 0;
    message_stream *st = streams == NULL ? NULL : phi_slots_take(&c->streams, &handle);
    if (st == NULL) {
        return NULL;
    }
    *st = (message_stream){ .sender = s,
                            .center = c,
                            .handle = handle,
                            .number = m->call,
                            .turn = m->turn,
                            .kind = m->kind,
                            .passed = m->body.size,
                            .granted = m->body.size,
                            .bytes_max = c->options.message_max };
    phi_list_init(&st->receivers);
    phi_timer_init(&st->timer, on_stall);
    phi_list_append(&streams->going, &st->of_sender);
    streams->going_count++;
    touch(c, st);
    return st;
}

// The timer finds out by itself that it moved.
static void touch(center *c, message_stream *st)
{
    st->moved = c->io->now;
    if (!phi_timer_is_set(&st->timer)) {
        phi_timer_set(&c->io->timers, &st->timer,
                      phi_time_add(st->moved, phi_ms(c->options.full_timeout)));
    }
}

// The sender's number is free again once it knows.
static void pay_abort(center *c, message_stream *st)
{
    PH_ASSERT(st->abort_code != 0);
    PH_ASSERT(st->receiver_count == 0);
    phi_timer_clear(&c->io->timers, &st->timer);
    if (stream_tell(st->sender, &(phi_stream_control){ .op = PHI_STREAM_REFUSE,
                                                       .kind = st->kind,
                                                       .turn = st->turn,
                                                       .call = st->number,
                                                       .value = st->abort_code })) {
        drop_stream(c, st);
    }
}

// Few are under way at a time: streams_per_client_max.
static message_stream *find_going(const session *s, uint8_t kind, uint16_t turn, uint64_t number)
{
    if (s->streams == NULL) {
        return NULL;
    }
    phi_list *node = s->streams->going.next;
    for (; node != &s->streams->going; node = node->next) {
        message_stream *st = PHI_CONTAINER_OF(node, message_stream, of_sender);
        if (st->number == number && st->kind == kind && st->turn == turn) {
            return st;
        }
    }
    return NULL;
}

static void drop_stream(center *c, message_stream *st)
{
    phi_list *node;
    while ((node = st->receivers.next) != &st->receivers) {
        stream_receiver_drop(c, PHI_CONTAINER_OF(node, stream_receiver, of_stream));
    }
    phi_timer_clear(&c->io->timers, &st->timer);
    phi_list_remove(&st->of_sender);
    PH_ASSERT(st->sender->streams->going_count > 0);
    st->sender->streams->going_count--;
    phi_slots_give(&c->streams, st->handle);
}
