// SPDX-License-Identifier: Apache-2.0
//
// center/call.c - see call.h.
//
// Design notes
//   - Opening and ending a call takes and gives a slot, links and unlinks two list nodes and a
//     timer: no memory, no search.
//   - Only a cancel finds a call by its caller's number. A caller's first makes an index of its
//     open calls, hashed under a secret; who never cancels pays nothing for it. Without one each
//     cancel would walk over all calls of its sender, and a flood of them keep everybody waiting.
//   - A caller whose buffer is full must still learn how its call ended. So the slot stays, owed,
//     until there is room. Owed calls count against the caller's limit, which bounds them. A caller
//     that is over that limit too, and does not read, is ended (slow_consumer).
//
// Invariants
//   - a call is on its caller's calls_made, and calls_made_count counts that list
//   - open: responder is set and the call is on its calls_taken
//   - owed: responder is NULL, the timer is not set, and the call is on its caller's calls_owed

#include "center/call.h"

#include "base/assert.h"
#include "base/siphash.h"
#include "center/deliver.h"
#include "center/state.h"
#include "center/stream.h"

static void on_deadline(phi_timer *timer, phi_time now);
static call *take(center *c, session *caller, uint64_t number);
static void make_index(center *c, session *caller);
static phi_list *bucket_of(const center *c, const session *caller, uint64_t number);
static call *find_open(const phi_list *list, size_t node_offset, uint64_t number);
static void settle(center *c, call *k, phi_load_end end);
static phi_load_end load_end_of(call_end end);
static void detach(center *c, call *k);
static void owe(call *k, call_end end, ph_failure_code code);
static uint64_t *counter_of(center *c, call_end end);

call *call_open(center *c, session *caller, session *responder, uint64_t number)
{
    PH_ASSERT(session_is(responder, SESSION_JOINED));
    call *k = take(c, caller, number);
    if (k != NULL) {
        k->responder = responder;
        phi_list_append(&responder->calls_taken, &k->of_responder);
        if (caller->calls_by_number != NULL) {
            phi_list_append(bucket_of(c, caller, number), &k->of_number);
        }
    }
    return k;
}

void call_time(center *c, call *k, uint32_t ttl_ms)
{
    PH_ASSERT(k->responder != NULL);
    PH_ASSERT(ttl_ms > 0);
    phi_timer_set(&c->io->timers, &k->timer, phi_time_add(c->io->now, phi_ms(ttl_ms)));
}

void call_measure(center *c, call *k, account *instance)
{
    PH_ASSERT(k->instance == NULL);
    PH_ASSERT(instance->session == k->responder);
    k->instance = instance;
    k->begun = c->io->now;
    phi_balancer_begin(&instance->service->ready, &instance->load, c->io->now);
}

void call_judge(center *c, call *k, uint16_t code)
{
    switch (code) {
    case PH_FAILURE_TOO_MANY_CALLS:
    case PH_FAILURE_SLOW_CONSUMER:
    case PH_FAILURE_DEADLINE:
    case PH_FAILURE_RESPONDER_LOST:
    case PH_FAILURE_RESPONDER_FAILED:
    case PH_FAILURE_NO_HANDLER:
        settle(c, k, PHI_LOAD_FAILED);
        break;
    default: // its caller's fault, or what the application understands as an answer
        settle(c, k, PHI_LOAD_ANSWERED);
    }
}

call *call_find(const center *c, uint64_t handle)
{
    call *k = phi_slots_find(&c->calls, handle);
    return k == NULL || k->responder == NULL ? NULL : k;
}

call *call_of_number(center *c, session *caller, uint64_t number)
{
    if (caller->calls_by_number == NULL) {
        make_index(c, caller);
    }
    if (caller->calls_by_number == NULL) { // no memory: the long way, bounded by the caller's limit
        return find_open(&caller->calls_made, offsetof(call, of_caller), number);
    }
    return find_open(bucket_of(c, caller, number), offsetof(call, of_number), number);
}

void call_finish(center *c, call *k, call_end end)
{
    session *caller = k->caller;
    PH_ASSERT(phi_slots_find(&c->calls, k->handle) == k);
    PH_ASSERT(caller->calls_made_count > 0);
    settle(c, k, load_end_of(end));
    detach(c, k);
    phi_list_remove(&k->of_caller);
    caller->calls_made_count--;
    (*counter_of(c, end))++;
    phi_slots_give(&c->calls, k->handle);
}

void call_fail(center *c, call *k, call_end end, ph_failure_code code)
{
    PH_ASSERT(k->responder != NULL);
    bool is_full = end == CALL_REFUSED && code == PH_FAILURE_SLOW_CONSUMER;
    settle(c, k, is_full ? PHI_LOAD_FAILED : load_end_of(end));
    detach(c, k);
    if (deliver_failure(c, k->caller, k->number, /* turn= */ 0, code)) {
        call_finish(c, k, end);
    } else {
        owe(k, end, code);
    }
}

void call_stop(center *c, call *k, ph_failure_code why)
{
    PH_ASSERT(k->responder != NULL);
    // Dropped when its buffer is full: a cancel only saves work.
    (void)!deliver_cancel(c, k->responder, k->handle, why);
}

void call_refuse(center *c, session *caller, uint64_t number, ph_failure_code code)
{
    if (deliver_failure(c, caller, number, /* turn= */ 0, code)) {
        c->counters.calls_refused_total++;
        return;
    }
    call *k = take(c, caller, number);
    if (k != NULL) {
        owe(k, CALL_REFUSED, code);
        return;
    }
    c->counters.calls_refused_total++;
    session_end(c, caller, PHI_BYE_SLOW_CONSUMER, 0, NULL);
}

void call_pay(center *c, session *caller)
{
    while (!phi_list_is_empty(&caller->calls_owed)) {
        call *k = PHI_CONTAINER_OF(caller->calls_owed.next, call, of_responder);
        PH_ASSERT(k->responder == NULL);
        PH_ASSERT(k->caller == caller);
        if (!deliver_failure(c, caller, k->number, /* turn= */ 0, (ph_failure_code)k->owed_code)) {
            return;
        }
        call_finish(c, k, (call_end)k->owed_end);
    }
}

void call_leave(center *c, session *s)
{
    while (!phi_list_is_empty(&s->calls_made)) {
        call *k = PHI_CONTAINER_OF(s->calls_made.next, call, of_caller);
        PH_ASSERT(k->caller == s);
        if (k->responder != NULL && k->responder != s) {
            call_stop(c, k, PH_FAILURE_CALLER_LOST);
        }
        call_finish(c, k, CALL_ABANDONED);
    }
    while (!phi_list_is_empty(&s->calls_taken)) {
        call *k = PHI_CONTAINER_OF(s->calls_taken.next, call, of_responder);
        PH_ASSERT(k->responder == s);
        call_fail(c, k, CALL_LOST, PH_FAILURE_RESPONDER_LOST);
    }
    call_drop_index(c, s);
}

void call_drop_index(center *c, session *s)
{
    phi_give(c->io->alloc, s->calls_by_number, sizeof(phi_list) << c->call_bucket_bits);
    s->calls_by_number = NULL;
}

// [P-57]
static void on_deadline(phi_timer *timer, phi_time now)
{
    (void)now;
    call *k = PHI_CONTAINER_OF(timer, call, timer);
    center *c = center_of(k->caller);
    call_stop(c, k, PH_FAILURE_DEADLINE);
    call_fail(c, k, CALL_EXPIRED, PH_FAILURE_DEADLINE);
}

static call *take(center *c, session *caller, uint64_t number)
{
    PH_ASSERT(session_is(caller, SESSION_JOINED));
    if (caller->calls_made_count >= c->options.calls_per_client_max) {
        return NULL;
    }
    uint64_t handle;
    call *k = phi_slots_take(&c->calls, &handle);
    if (k == NULL) {
        return NULL;
    }
    k->handle = handle;
    k->number = number;
    k->caller = caller;
    phi_timer_init(&k->timer, on_deadline);
    phi_list_append(&caller->calls_made, &k->of_caller);
    caller->calls_made_count++;
    return k;
}

// Of all that are open; nothing when there is no memory.
static void make_index(center *c, session *caller)
{
    size_t count = (size_t)1 << c->call_bucket_bits;
    phi_list *buckets = phi_take(c->io->alloc, count * sizeof *buckets);
    if (buckets == NULL) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        phi_list_init(&buckets[i]);
    }
    caller->calls_by_number = buckets;
    for (phi_list *n = caller->calls_made.next; n != &caller->calls_made; n = n->next) {
        call *k = PHI_CONTAINER_OF(n, call, of_caller);
        if (k->responder != NULL) {
            phi_list_append(bucket_of(c, caller, k->number), &k->of_number);
        }
    }
}

// Numbers are the caller's choice: what it cannot know decides where they fall.
static phi_list *bucket_of(const center *c, const session *caller, uint64_t number)
{
    PH_ASSERT(caller->calls_by_number != NULL);
    PH_ASSERT(c->call_bucket_bits > 0);
    uint64_t hash = phi_siphash(c->hash, phi_bytes_of(&number, sizeof number));
    return &caller->calls_by_number[hash >> (64 - c->call_bucket_bits)];
}

// Newest first.
static call *find_open(const phi_list *list, size_t node_offset, uint64_t number)
{
    for (phi_list *n = list->prev; n != list; n = n->prev) {
        call *k = (call *)((uint8_t *)n - node_offset);
        if (k->number == number && k->responder != NULL) {
            return k;
        }
    }
    return NULL;
}

// Tells its service how the one that was chosen did. Nothing when none was chosen, or it is told.
static void settle(center *c, call *k, phi_load_end end)
{
    account *instance = k->instance;
    if (PHI_LIKELY(instance == NULL)) {
        return;
    }
    PH_ASSERT(instance->service != NULL);
    k->instance = NULL;
    phi_balancer_end(&instance->service->ready, &instance->load, end,
                     phi_time_diff(c->io->now, k->begun), c->io->now);
}

static phi_load_end load_end_of(call_end end)
{
    switch (end) {
    case CALL_REPLIED:
    case CALL_OVERRUN: // its caller's fault
        return PHI_LOAD_ANSWERED;
    case CALL_FAILED:
    case CALL_EXPIRED:
    case CALL_LOST:
        return PHI_LOAD_FAILED;
    case CALL_REFUSED:
    case CALL_CANCELLED:
    case CALL_ABANDONED:
        return PHI_LOAD_DROPPED;
    case CALL_END_COUNT:
        break;
    }
    PH_UNREACHABLE("an end that is none");
}

// From its responder, or from the list of those owed.
static void detach(center *c, call *k)
{
    if (PHI_UNLIKELY(c->streams.count != 0)) {
        stream_call_over(c, k);
    }
    phi_timer_clear(&c->io->timers, &k->timer);
    phi_list_remove(&k->of_responder);
    phi_list_remove(&k->of_number);
    k->responder = NULL;
}

static void owe(call *k, call_end end, ph_failure_code code)
{
    PH_ASSERT(k->responder == NULL);
    PH_ASSERT(!phi_timer_is_set(&k->timer));
    k->owed_end = (uint8_t)end;
    k->owed_code = (uint16_t)code;
    phi_list_append(&k->caller->calls_owed, &k->of_responder);
}

static uint64_t *counter_of(center *c, call_end end)
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
