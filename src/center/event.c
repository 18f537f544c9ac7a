// SPDX-License-Identifier: Apache-2.0
//
// center/event.c - see event.h.
//
// Clauses: P-57, P-68.

#include "center/event.h"

#include "base/assert.h"
#include "center/state.h"
#include "center/stream.h"

static PHI_ALWAYS_INLINE delivery delivery_of(const center_event *e);
static PHI_ALWAYS_INLINE uint32_t tell_alike(center *c, center_event *e, session *const *receivers,
                                             uint32_t count);
static void tell_apart(center *c, center_event *e, session *receiver);
static uint32_t time_left(const center *c, const center_event *e);
static void told(center *c, center_event *e, uint32_t count);
static void note(center_event *e, ph_failure_code why);
static uint32_t add(uint32_t count, uint64_t more);

center_event event_of(const center *c, session *sender, const phi_message *m, phi_bytes payload)
{
    PH_ASSERT(m->kind == PHI_KIND_EVENT);
    bool is_asked = (m->flags & PHI_FLAG_RECEIPT) != 0;
    uint32_t ttl_ms = m->ttl_ms;
    if (PHI_UNLIKELY(is_asked && ttl_ms == 0)) {
        ttl_ms = (uint32_t)c->options.call_time_default;
    }
    return (center_event){ .sender = sender,
                           .payload = payload,
                           .number = is_asked ? m->call : 0,
                           .ttl_ms = ttl_ms,
                           .since = session_heard_at(c, sender),
                           .stream = stream_opening(c) };
}

bool event_is_expired(const center *c, center_event *e)
{
    uint32_t left_ms = e->ttl_ms == 0 ? 0 : time_left(c, e);
    if (left_ms != e->left_ms) {
        e->left_ms = left_ms;
        e->copy = (phi_stretch){ .size = 0 }; // it names another time
    }
    PH_ASSERT(e->left_ms <= e->ttl_ms);
    return e->left_ms == 0 && e->ttl_ms != 0;
}

uint32_t event_tell_all(center *c, center_event *e, session *const *receivers, uint32_t count)
{
    uint32_t i = 0;
    while (i < count) {
        i += tell_alike(c, e, receivers + i, count - i);
        if (i == count) {
            break;
        }
        tell_apart(c, e, receivers[i]);
        i++;
        if (PHI_UNLIKELY(c->deliveries_left == 0)) {
            break;
        }
    }
    return i;
}

// Those who share the copy that there is, up to the first who does not: how many. What differs
// between them is asked of each, the rest once.
static PHI_ALWAYS_INLINE uint32_t tell_alike(center *c, center_event *e, session *const *receivers,
                                             uint32_t count)
{
    phi_run *run = &c->transports.run;
    const phi_stretch copy = e->copy;
    if (!phi_run_has(run, &copy) || !phi_run_lend(run, (size_t)count * copy.size)) {
        return 0;
    }
    delivery d = delivery_of(e);
    PH_ASSERT(d.sender != NULL);
    uint32_t i = 0;
    for (; i < count; i++) {
        d.receiver = receivers[i];
        if (PHI_UNLIKELY(!deliver_shared(c, &d, copy))) {
            phi_run_take_back(run, (size_t)(count - i) * copy.size);
            break;
        }
    }
    c->counters.messages_sent_total += i;
    told(c, e, i);
    return i;
}

// One who does not just get what others got.
static PHI_NOINLINE void tell_apart(center *c, center_event *e, session *receiver)
{
    delivery d = delivery_of(e);
    d.receiver = receiver;
    delivered how = deliver_to_many(c, &d, &e->copy);
    if (PHI_UNLIKELY(how == DELIVER_REFUSED)) { // as if there were no such receiver
        e->is_refused = true;
    } else if (PHI_UNLIKELY(how != DELIVERED)) {
        event_miss(c, e, 1, deliver_code(how));
    } else {
        told(c, e, 1);
    }
}

void event_miss(center *c, center_event *e, uint64_t count, ph_failure_code why)
{
    PH_ASSERT(why != 0);
    if (count == 0) {
        return;
    }
    c->counters.events_dropped_total += count;
    if (why == PH_FAILURE_DEADLINE) {
        c->counters.events_expired_total += count;
    }
    e->tally.dropped = add(e->tally.dropped, count);
    note(e, why);
}

void event_nobody(center *c, center_event *e, ph_failure_code why)
{
    PH_ASSERT(why != 0);
    c->counters.events_dropped_total++;
    if (why == PH_FAILURE_DEADLINE) {
        c->counters.events_expired_total++;
    }
    note(e, why);
}

void event_done(center *c, const center_event *e)
{
    if (PHI_LIKELY(e->number == 0)) {
        return;
    }
    if (e->stream == 0 || !stream_take_tally(c, e->stream, &e->tally)) {
        event_give_receipt(c, e->sender, e->number, &e->tally);
    }
}

void event_give_receipt(center *c, session *sender, uint64_t number, const phi_receipt *tally)
{
    uint8_t body[PHI_RECEIPT_BYTES];
    phi_receipt_encode(body, tally);
    if (deliver_receipt(c, sender, number, phi_bytes_of(body, sizeof body))) {
        c->counters.receipts_total++;
    } else {
        c->counters.receipts_dropped_total++;
    }
}

// ---- helpers

static PHI_ALWAYS_INLINE delivery delivery_of(const center_event *e)
{
    uint8_t flags = e->payload.data[PHI_MESSAGE_FLAGS_AT];
    // The receipt is between the sender and the center.
    return (delivery){ .sender = e->sender,
                       .topic = e->topic,
                       .payload = e->payload,
                       .ttl_ms = e->left_ms,
                       .marks = { .flags = (uint8_t)(flags & ~PHI_FLAG_RECEIPT) },
                       .is_marked = e->number != 0,
                       .fan = e->fan };
}

static void told(center *c, center_event *e, uint32_t count)
{
    c->counters.events_delivered_total += count;
    e->tally.delivered = add(e->tally.delivered, count);
}

// 0: none. What is less than a millisecond counts as one: 0 would mean no limit to the receiver.
static uint32_t time_left(const center *c, const center_event *e)
{
    uint64_t spent_us = phi_dur_us(phi_time_diff(c->io->now, e->since));
    uint64_t whole_us = (uint64_t)e->ttl_ms * 1000;
    return spent_us < whole_us ? (uint32_t)((whole_us - spent_us + 999) / 1000) : 0;
}

// Only the first reason is told.
static void note(center_event *e, ph_failure_code why)
{
    if (e->tally.code == 0) {
        e->tally.code = (uint16_t)why;
    }
}

static uint32_t add(uint32_t count, uint64_t more)
{
    return more < UINT32_MAX - count ? count + (uint32_t)more : UINT32_MAX;
}
