// SPDX-License-Identifier: Apache-2.0
//
// center/call.c - see call.h.
//
// Design notes
//   - Opening and ending a call takes and gives a slot, links and unlinks two list nodes and a
//     timer: no memory, no search.
//   - Only a cancel or an answer to an inquiry finds a call by its caller's number. A caller's
//     first makes an index of its open calls, hashed under a secret; who never sends one pays
//     nothing for it. Without one each would walk over all calls of its sender, and a flood of them
//     keep everybody waiting. Where there is an index, a number that is in use is refused (P-51);
//     who has none, and uses a number twice, confuses only itself.
//   - A side whose buffer is full must still learn how its call ended. So the slot stays until
//     there is room. A caller is owed a failure (of a gather: the reply): those count against its
//     limit, which bounds them; one that is over that limit too, and does not read, is ended
//     (slow_consumer). A responder is owed a cancel: it may wait for the answer to an inquiry. What
//     is over the limit there is dropped: it has the deadline that it was told.
//
// Invariants
//   - caller set: it is on its caller's calls.made, which made_count counts (a part: on its
//     owner's list, counted by parts_count)
//   - open: timed; on its responder's calls.taken, when it has one
//   - over: is owed to somebody. To the caller: caller is set, and it is on its calls.owed. To the
//     responder: responder is set, and it is on its calls.cancels_owed

#include "center/call.h"

#include "base/assert.h"
#include "base/siphash.h"
#include "center/call_inline.h"
#include "center/deliver.h"

// A reply of the center's own that waits for room.
typedef struct owed_reply {
    own_call own;
    uint16_t size;
    uint8_t body[];
} owed_reply;

static inline session_calls *calls_of(center *c, session *s);
static session_calls *calls_new(center *c, session *s);
static call *take(center *c, session *caller, uint64_t number);
static void part_close(center *c, call *part);
static void stop(center *c, call *k, ph_failure_code why);
static void release(center *c, call *k);

static void owe_cancel(center *c, call *k, session *responder, ph_failure_code why);
static void forgive_cancel(center *c, call *k);
static void owe(call *k, call_end end, ph_failure_code code);
static bool pay_caller(center *c, call *k);
static void reply_drop(center *c, own_call *o);

static void make_index(center *c, session *caller);
static phi_list *bucket_of(const center *c, const session *caller, uint64_t number);
static call *find_open(const phi_list *list, size_t node_offset, uint64_t number);
static void settle(center *c, call *k, phi_load_end end);
static phi_load_end load_end_of_code(uint16_t code);
static phi_load_end load_end_of(call_end end);

static const own_call_ops reply_ops = { .drop = reply_drop };

// ---- life

call *call_open(center *c, session *caller, session *responder, uint64_t number,
                ph_failure_code *why)
{
    if (PHI_UNLIKELY(responder != NULL && calls_of(c, responder) == NULL)) {
        *why = PH_FAILURE_SLOW_CONSUMER; // [P-59]
        return NULL;
    }
    phi_list *bucket = NULL;
    if (caller->calls != NULL && caller->calls->by_number != NULL) {
        bucket = bucket_of(c, caller, number);
        if (find_open(bucket, offsetof(call, of_number), number) != NULL) {
            *why = PH_FAILURE_MALFORMED; // [P-51]
            return NULL;
        }
    }
    call *k = take(c, caller, number);
    if (k == NULL) {
        *why = PH_FAILURE_TOO_MANY_CALLS;
        return NULL;
    }
    k->is_open = true;
    if (PHI_LIKELY(responder != NULL)) {
        call_begin(k, responder);
    }
    if (bucket != NULL) {
        phi_list_append(bucket, &k->of_number);
    }
    return k;
}

void call_measure(center *c, call *k, account *instance)
{
    PH_ASSERT(k->instance == NULL);
    PH_ASSERT(instance->session == k->responder);
    k->instance = instance;
    phi_balancer_begin(&instance->service->ready, &instance->load, c->io->now);
}

void call_finish(center *c, call *k, call_end end)
{
    call_finish_inline(c, k, end);
}

void call_fail(center *c, call *k, call_end end, ph_failure_code code)
{
    PH_ASSERT(!call_is_part(k));
    PH_ASSERT(k->own == NULL);
    if (k->is_open) {
        bool is_full = end == CALL_REFUSED && code == PH_FAILURE_SLOW_CONSUMER;
        settle(c, k, is_full ? PHI_LOAD_FAILED : load_end_of(end));
        call_close(c, k);
    }
    if (deliver_failure(c, k->caller, k->number, /* turn= */ 0, code)) {
        call_finish(c, k, end);
    } else {
        owe(k, end, code);
    }
}

void call_break(center *c, call *k, call_end end, ph_failure_code code)
{
    PH_ASSERT(k->is_open);
    settle(c, k, load_end_of(end));
    stop(c, k, code);
    call_fail(c, k, end, code);
}

void call_failed(center *c, call *k, uint16_t code)
{
    if (PHI_UNLIKELY(call_is_part(k))) {
        k->own->ops->give_up(c, k->own, k, (ph_failure_code)code, /* is_known= */ true);
    } else {
        settle(c, k, load_end_of_code(code));
        call_finish(c, k, CALL_FAILED);
    }
}

void call_overrun(center *c, call *k, ph_failure_code code)
{
    if (PHI_UNLIKELY(call_is_part(k))) {
        k->own->ops->give_up(c, k->own, k, code, /* is_known= */ true);
    } else {
        call_fail(c, k, CALL_OVERRUN, code);
    }
}

void call_give_up(center *c, call *k, ph_failure_code code)
{
    if (call_is_part(k)) {
        k->own->ops->give_up(c, k->own, k, code, /* is_known= */ false);
    } else {
        call_break(c, k, CALL_FAILED, code);
    }
}

void call_reply(center *c, call *k, phi_bytes body)
{
    PH_ASSERT(k->is_open);
    PH_ASSERT(k->responder == NULL);
    call_close(c, k);
    k->own = NULL;
    if (deliver_reply(c, k->caller, k->number, body)) {
        call_finish(c, k, CALL_REPLIED);
        return;
    }
    owed_reply *reply = NULL;
    size_t size = sizeof *reply + body.size;
    size_t *owed = &k->caller->calls->owed_bytes;
    if (*owed + size <= c->options.send_buffer_max && !phi_quota_is_used_up(&c->quota)) {
        reply = phi_take(&c->quota.counted, size);
    }
    if (reply == NULL) { // [P-59]
        owe(k, CALL_OVERRUN, PH_FAILURE_SLOW_CONSUMER);
        return;
    }
    *owed += size;
    reply->own.ops = &reply_ops;
    reply->size = (uint16_t)body.size;
    memcpy(reply->body, body.data, body.size);
    k->own = &reply->own;
    owe(k, CALL_REPLIED, /* code= */ 0);
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

// ---- parts

call *call_part_open(center *c, call *head, session *responder)
{
    PH_ASSERT(head->is_open);
    PH_ASSERT(head->own != NULL);
    PH_ASSERT(session_is(responder, SESSION_JOINED));
    uint64_t handle = 0;
    call *part = calls_of(c, responder) == NULL ? NULL : phi_slots_take(&c->calls, &handle);
    if (part == NULL) {
        return NULL;
    }
    part->handle = handle;
    part->number = head->number;
    part->caller = head->caller;
    part->responder = responder;
    part->own = head->own;
    part->is_open = true;
    phi_list_append(&responder->calls->taken, &part->of_responder);
    part->caller->calls->parts_count++;
    c->calls_aside++;
    return part;
}

void call_part_finish(center *c, call *part)
{
    part_close(c, part);
    release(c, part);
}

void call_part_stop(center *c, call *part, ph_failure_code why)
{
    session *responder = part->responder;
    part_close(c, part);
    if (!deliver_cancel(c, responder, part->handle, why)) {
        owe_cancel(c, part, responder, why);
    }
    release(c, part);
}

// ---- what a session's room and its end settle

void call_pay(center *c, session *s)
{
    if (s->calls == NULL) {
        return;
    }
    while (!phi_list_is_empty(&s->calls->owed)) {
        call *k = PHI_CONTAINER_OF(s->calls->owed.next, call, of_number);
        PH_ASSERT(!k->is_open);
        PH_ASSERT(k->caller == s);
        if (!pay_caller(c, k)) {
            return;
        }
    }
    while (!phi_list_is_empty(&s->calls->cancels_owed)) {
        call *k = PHI_CONTAINER_OF(s->calls->cancels_owed.next, call, of_responder);
        PH_ASSERT(!k->is_open);
        PH_ASSERT(k->responder == s);
        if (!deliver_cancel(c, s, k->handle, (ph_failure_code)k->owed_code)) {
            return;
        }
        forgive_cancel(c, k);
    }
    inquiry_pay(c, s);
}

void call_leave(center *c, session *s)
{
    if (s->calls == NULL) {
        return;
    }
    while (!phi_list_is_empty(&s->calls->made)) {
        call *k = PHI_CONTAINER_OF(s->calls->made.next, call, of_caller);
        PH_ASSERT(k->caller == s);
        if (k->is_open && k->responder != s) {
            settle(c, k, load_end_of(CALL_ABANDONED));
            stop(c, k, PH_FAILURE_CALLER_LOST);
        } else if (k->own != NULL) { // the reply that it is owed
            k->own->ops->drop(c, k->own);
            k->own = NULL;
        }
        call_finish(c, k, CALL_ABANDONED);
    }
    while (!phi_list_is_empty(&s->calls->taken)) {
        call *k = PHI_CONTAINER_OF(s->calls->taken.next, call, of_responder);
        PH_ASSERT(k->responder == s);
        if (call_is_part(k)) {
            k->own->ops->give_up(c, k->own, k, PH_FAILURE_RESPONDER_LOST, /* is_known= */ true);
        } else {
            call_fail(c, k, CALL_LOST, PH_FAILURE_RESPONDER_LOST);
        }
    }
    while (!phi_list_is_empty(&s->calls->cancels_owed)) {
        forgive_cancel(c, PHI_CONTAINER_OF(s->calls->cancels_owed.next, call, of_responder));
    }
    call_check(s);
    call_forget(c, s);
}

void call_forget(center *c, session *s)
{
    if (s->calls != NULL) {
        phi_give(center_alloc(c, CENTER_MEMORY_CALLS), s->calls->by_number,
                 sizeof(phi_list) << c->call_bucket_bits);
        phi_give(center_alloc(c, CENTER_MEMORY_CALLS), s->calls, sizeof *s->calls);
        s->calls = NULL;
    }
}

void call_drop_all(center *c)
{
    uint32_t index = 0;
    uint64_t handle;
    call *k;
    for (; (k = phi_slots_next(&c->calls, &index, &handle)) != NULL; index++) {
        phi_timer_clear(&c->io->timers, &k->timer);
        if (k->own != NULL && k->responder == NULL) {
            k->own->ops->drop(c, k->own);
        }
    }
}

// [P-57]
void call_on_deadline(phi_timer *timer, phi_time now)
{
    (void)now;
    call *k = PHI_CONTAINER_OF(timer, call, timer);
    center *c = center_of(k->caller);
    if (k->own != NULL) {
        k->own->ops->expire(c, k->own);
    } else {
        call_break(c, k, CALL_EXPIRED, PH_FAILURE_DEADLINE);
    }
}

// ---- queries

uint32_t call_time_left(const center *c, const call *k)
{
    uint64_t past_ms = phi_dur_ms(phi_time_diff(c->io->now, k->opened));
    return past_ms < k->ttl_ms ? k->ttl_ms - (uint32_t)past_ms : 1;
}

call *call_of_number(center *c, session *caller, uint64_t number)
{
    if (caller->calls == NULL) {
        return NULL;
    }
    if (caller->calls->by_number == NULL) {
        make_index(c, caller);
    }
    if (caller->calls->by_number ==
        NULL) { // no memory: the long way, bounded by the caller's limit
        return find_open(&caller->calls->made, offsetof(call, of_caller), number);
    }
    return find_open(bucket_of(c, caller, number), offsetof(call, of_number), number);
}

// ---- ends

// NULL without memory.
static inline session_calls *calls_of(center *c, session *s)
{
    return PHI_LIKELY(s->calls != NULL) ? s->calls : calls_new(c, s);
}

static session_calls *calls_new(center *c, session *s)
{
    session_calls *calls = phi_take_zeroed(center_alloc(c, CENTER_MEMORY_CALLS), 1, sizeof *calls);
    if (calls != NULL) {
        phi_list_init(&calls->made);
        phi_list_init(&calls->taken);
        phi_list_init(&calls->owed);
        phi_list_init(&calls->cancels_owed);
        phi_list_init(&calls->dialogs_owed);
        s->calls = calls;
    }
    return calls;
}

static call *take(center *c, session *caller, uint64_t number)
{
    session_calls *calls = calls_of(c, caller);
    if (calls == NULL || calls->made_count >= c->options.calls_per_client_max) {
        return NULL;
    }
    uint64_t handle;
    call *k = phi_slots_take_raw(&c->calls, &handle);
    if (k != NULL) {
        call_init(c, k, handle, caller, number);
    }
    return k;
}

static void part_close(center *c, call *part)
{
    PH_ASSERT(call_is_part(part));
    PH_ASSERT(part->caller->calls->parts_count > 0);
    call_close(c, part);
    phi_list_remove(&part->of_caller);
    part->caller->calls->parts_count--;
    part->caller = NULL;
    part->own = NULL;
}

// From open to over, and whoever works on it is told.
static void stop(center *c, call *k, ph_failure_code why)
{
    session *responder = k->responder;
    own_call *o = k->own;
    k->own = NULL;
    call_close(c, k);
    if (o != NULL) {
        PH_ASSERT(responder == NULL);
        o->ops->stop(c, o, why);
    } else if (!deliver_cancel(c, responder, k->handle, why)) {
        owe_cancel(c, k, responder, why);
    }
}

// Of one that stood aside: the slot goes, unless a cancel is owed.
static void release(center *c, call *k)
{
    PH_ASSERT(k->caller == NULL);
    if (k->responder == NULL) {
        PH_ASSERT(c->calls_aside > 0);
        c->calls_aside--;
        phi_slots_give(&c->calls, k->handle);
    }
}

// ---- debts

static void owe_cancel(center *c, call *k, session *responder, ph_failure_code why)
{
    PH_ASSERT(!k->is_open);
    if (responder->calls->cancels_owed_count >= c->options.calls_per_client_max) {
        c->counters.messages_dropped_total++;
        return;
    }
    k->responder = responder;
    k->owed_code = (uint16_t)why;
    phi_list_append(&responder->calls->cancels_owed, &k->of_responder);
    responder->calls->cancels_owed_count++;
}

static void forgive_cancel(center *c, call *k)
{
    PH_ASSERT(k->responder->calls->cancels_owed_count > 0);
    phi_list_remove(&k->of_responder);
    k->responder->calls->cancels_owed_count--;
    k->responder = NULL;
    if (k->caller == NULL) {
        release(c, k);
    }
}

static void owe(call *k, call_end end, ph_failure_code code)
{
    PH_ASSERT(!k->is_open);
    PH_ASSERT(!phi_timer_is_set(&k->timer));
    // Both sides are owed: for the same reason.
    PH_ASSERT(k->responder == NULL || k->owed_code == (uint16_t)code);
    k->owed_end = (uint8_t)end;
    k->owed_code = (uint16_t)code;
    phi_list_append(&k->caller->calls->owed, &k->of_number);
}

// False when there still is no room.
static bool pay_caller(center *c, call *k)
{
    if (k->own != NULL) {
        owed_reply *reply = PHI_CONTAINER_OF(k->own, owed_reply, own);
        PH_ASSERT(reply->own.ops == &reply_ops);
        if (!deliver_reply(c, k->caller, k->number, phi_bytes_of(reply->body, reply->size))) {
            return false;
        }
        size_t size = sizeof *reply + reply->size;
        PH_ASSERT(k->caller->calls->owed_bytes >= size);
        k->caller->calls->owed_bytes -= size;
        reply_drop(c, k->own);
        k->own = NULL;
    } else if (!deliver_failure(c, k->caller, k->number, /* turn= */ 0,
                                (ph_failure_code)k->owed_code)) {
        return false;
    }
    call_finish(c, k, (call_end)k->owed_end);
    return true;
}

static void reply_drop(center *c, own_call *o)
{
    owed_reply *reply = PHI_CONTAINER_OF(o, owed_reply, own);
    phi_give(&c->quota.counted, reply, sizeof *reply + reply->size);
}

// ---- by number

// Of all that are open; nothing when there is no memory.
static void make_index(center *c, session *caller)
{
    size_t count = (size_t)1 << c->call_bucket_bits;
    phi_list *buckets = phi_take(center_alloc(c, CENTER_MEMORY_CALLS), count * sizeof *buckets);
    if (buckets == NULL) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        phi_list_init(&buckets[i]);
    }
    caller->calls->by_number = buckets;
    for (phi_list *n = caller->calls->made.next; n != &caller->calls->made; n = n->next) {
        call *k = PHI_CONTAINER_OF(n, call, of_caller);
        if (k->is_open) {
            phi_list_append(bucket_of(c, caller, k->number), &k->of_number);
        }
    }
}

// Numbers are the caller's choice: what it cannot know decides where they fall.
static phi_list *bucket_of(const center *c, const session *caller, uint64_t number)
{
    PH_ASSERT(caller->calls->by_number != NULL);
    PH_ASSERT(c->call_bucket_bits > 0);
    uint64_t hash = phi_siphash(c->hash, phi_bytes_of(&number, sizeof number));
    return &caller->calls->by_number[hash >> (64 - c->call_bucket_bits)];
}

// Newest first.
static call *find_open(const phi_list *list, size_t node_offset, uint64_t number)
{
    for (phi_list *n = list->prev; n != list; n = n->prev) {
        call *k = (call *)((uint8_t *)n - node_offset);
        if (k->number == number && k->is_open) {
            return k;
        }
    }
    return NULL;
}

// Tells its service how the one that was chosen did. Nothing when none was chosen, or it is told.
static void settle(center *c, call *k, phi_load_end end)
{
    account *instance = k->instance;
    if (instance == NULL) {
        return;
    }
    PH_ASSERT(instance->service != NULL);
    k->instance = NULL;
    phi_balancer_end(&instance->service->ready, &instance->load, end,
                     phi_time_diff(c->io->now, k->opened), c->io->now);
}

void call_settle(center *c, call *k, call_end end)
{
    settle(c, k, load_end_of(end));
}

// Of a failure that the responder has made itself.
static phi_load_end load_end_of_code(uint16_t code)
{
    switch (code) {
    case PH_FAILURE_TOO_MANY_CALLS:
    case PH_FAILURE_SLOW_CONSUMER:
    case PH_FAILURE_DEADLINE:
    case PH_FAILURE_RESPONDER_LOST:
    case PH_FAILURE_RESPONDER_FAILED:
    case PH_FAILURE_NO_HANDLER:
        return PHI_LOAD_FAILED;
    default: // its caller's fault, or what the application understands as an answer
        return PHI_LOAD_ANSWERED;
    }
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

void call_check(const session *s)
{
    const session_calls *calls = s->calls;
    if (calls == NULL) {
        return;
    }
    PH_ASSERT(phi_list_is_empty(&calls->made) == (calls->made_count == 0));
    PH_ASSERT(phi_list_is_empty(&calls->cancels_owed) == (calls->cancels_owed_count == 0));
    if (calls->made_count == 0) {
        PH_ASSERT(phi_list_is_empty(&calls->owed));
        PH_ASSERT(calls->parts_count == 0);
    }
    if (phi_list_is_empty(&calls->taken)) {
        PH_ASSERT(phi_list_is_empty(&calls->dialogs_owed));
    }
}
