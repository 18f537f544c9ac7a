// SPDX-License-Identifier: Apache-2.0
//
// center/call_inline.h - the part of call.h that every call passes, inline: it is opened, found by
// its number, and finished. See call.c for notes and invariants.

#ifndef CENTER_CALL_INLINE_H
#define CENTER_CALL_INLINE_H

#include "base/assert.h"
#include "center/inquiry.h"
#include "center/state.h"
#include "center/stream.h"

// ---- slow paths, in call.c; do not call

void call_on_deadline(phi_timer *timer, phi_time now);
void call_settle(center *c, call *k, call_end end);

// ---- opening

// One of `caller`, in a place that is anything.
static PHI_ALWAYS_INLINE void call_init(const center *c, call *k, uint64_t handle, session *caller,
                                        uint64_t number)
{
    PH_ASSERT(session_is(caller, SESSION_JOINED));
    // One by one: compilers would clear all of it first.
    phi_timer_init(&k->timer, call_on_deadline);
    k->handle = handle;
    k->number = number;
    k->caller = caller;
    k->responder = NULL;
    k->of_responder = (phi_list){ NULL, NULL };
    k->opened = c->io->now;
    k->ttl_ms = 0;
    k->is_open = false;
    k->has_stream = false;
    k->depth = 0;
    k->owed_end = 0;
    k->owed_code = 0;
    k->turn = 0;
    k->instance = NULL;
    k->dialog = NULL;
    k->own = NULL;
    k->of_number = (phi_list){ NULL, NULL };
    phi_list_append(&caller->calls->made, &k->of_caller);
    caller->calls->made_count++;
}

static PHI_ALWAYS_INLINE void call_begin(call *k, session *responder)
{
    PH_ASSERT(session_is(responder, SESSION_JOINED));
    k->is_open = true;
    k->responder = responder;
    phi_list_append(&responder->calls->taken, &k->of_responder);
}

// The common case of call_open. NULL, and nothing has happened, in all others.
static PHI_ALWAYS_INLINE call *call_open_again(center *c, session *caller, session *responder,
                                               uint64_t number)
{
    const session_calls *calls = caller->calls;
    if (PHI_UNLIKELY(calls == NULL || calls->by_number != NULL || responder->calls == NULL) ||
        PHI_UNLIKELY(calls->made_count >= c->options.calls_per_client_max)) {
        return NULL;
    }
    uint64_t handle;
    call *k = phi_slots_take_again(&c->calls, &handle);
    if (PHI_LIKELY(k != NULL)) {
        call_init(c, k, handle, caller, number);
        call_begin(k, responder);
    }
    return k;
}

// Starts its time.
static inline void call_time(center *c, call *k, uint32_t ttl_ms)
{
    PH_ASSERT(k->is_open);
    PH_ASSERT(ttl_ms > 0);
    k->ttl_ms = ttl_ms;
    phi_timer_start(&c->io->timers, &k->timer, phi_time_add(c->io->now, phi_ms(ttl_ms)));
}

// ---- finding

// NULL for a number that is no open call's.
static inline call *call_find(const center *c, uint64_t handle)
{
    call *k = phi_slots_find(&c->calls, handle);
    return k == NULL || !k->is_open ? NULL : k;
}

// ---- ending

// From open to over: its responder has no part in it any more.
static PHI_ALWAYS_INLINE void call_close(center *c, call *k)
{
    PH_ASSERT(k->is_open);
    if (PHI_UNLIKELY(k->has_stream)) {
        stream_call_over(c, k);
    }
    k->is_open = false;
    phi_timer_clear(&c->io->timers, &k->timer);
    phi_list_remove(&k->of_responder);
    phi_list_remove(&k->of_number);
    k->responder = NULL;
    if (PHI_UNLIKELY(k->dialog != NULL)) {
        inquiry_drop(c, k);
    }
}

static PHI_ALWAYS_INLINE uint64_t *call_counter(center *c, call_end end)
{
    switch (end) {
    case CALL_REPLIED:
        return &c->counters.calls_replied_total;
    case CALL_FAILED:
        return &c->counters.calls_failed_total;
    case CALL_REFUSED:
        return &c->counters.calls_refused_total;
    case CALL_EXPIRED:
        return &c->counters.calls_expired_total;
    case CALL_LOST:
        return &c->counters.calls_lost_total;
    case CALL_CANCELLED:
        return &c->counters.calls_cancelled_total;
    case CALL_ABANDONED:
        return &c->counters.calls_abandoned_total;
    case CALL_OVERRUN:
        return &c->counters.calls_overrun_total;
    case CALL_END_COUNT:
        break;
    }
    PH_UNREACHABLE("an end that is none");
}

static PHI_ALWAYS_INLINE void call_finish_inline(center *c, call *k, call_end end)
{
    session *caller = k->caller;
    PH_ASSERT(caller != NULL);
    PH_ASSERT(caller->calls->made_count > 0);
    PH_ASSERT(!call_is_part(k));
    if (PHI_LIKELY(k->is_open)) {
        if (PHI_UNLIKELY(k->instance != NULL)) {
            call_settle(c, k, end);
        }
        call_close(c, k);
    } else {
        phi_list_remove(&k->of_number);
    }
    PH_ASSERT(k->own == NULL);
    phi_list_remove(&k->of_caller);
    caller->calls->made_count--;
    k->caller = NULL;
    (*call_counter(c, end))++;
    if (PHI_UNLIKELY(k->responder != NULL)) {
        c->calls_aside++;
    } else {
        phi_slots_give_object(&c->calls, k, k->handle);
    }
}

// The reply was delivered, whole: of a call, or of a part.
static PHI_ALWAYS_INLINE void call_replied(center *c, call *k)
{
    if (PHI_UNLIKELY(call_is_part(k))) {
        k->own->ops->replied(c, k->own, k);
    } else {
        call_finish_inline(c, k, CALL_REPLIED);
    }
}

#endif // CENTER_CALL_INLINE_H
