// SPDX-License-Identifier: Apache-2.0
//
// center/inquiry.c - see inquiry.h.
//
// Design notes
//   - An inquiry goes against the direction of its call, so who is owed what turns round: the
//     responder waits for it, and must learn how it ended. What its full buffer did not take stays
//     in the dialog, as one of the four.
//   - A failure for which there is not even a place there (the responder asks a fifth time, or in a
//     gather, and does not read) takes the call with it: both ends are told of that, as of the end
//     of any call. The connection stays.
//   - The caller is owed nothing: what it has not answered ends with its call, of whose end it
//     learns in any case.
//
// Invariants
//   - a dialog belongs to an open call
//   - it is on its responder's dialogs_owed exactly while one of its inquiries is owed
//   - center.inquiries_count counts them, owed ones included
//
// Clauses: P-62, P-63.

#include "center/inquiry.h"

#include "base/assert.h"
#include "center/call_inline.h"
#include "center/deliver.h"
#include "center/stream.h"

enum {
    FLAGS_RESERVED = PHI_FLAG_DURABLE,
};

static ph_failure_code judge(const center *c, const call *k, const phi_message *m);
static delivered pass_on(center *c, const call *k, const phi_message *m, phi_bytes payload);
static void refuse(center *c, call *k, uint16_t turn, ph_failure_code code);
static bool owe(center *c, call *k, uint16_t turn, ph_failure_code code);

static dialog *dialog_of(center *c, call *k);
static inquiry *find(dialog *d, uint16_t turn);
static inquiry *find_open(const call *k, uint16_t turn);
static bool is_owing(const dialog *d);
static void open_one(center *c, inquiry *i, uint16_t turn);
static void close_one(center *c, inquiry *i);

void inquiry_receive(center *c, session *s, const phi_message *m, phi_bytes payload)
{
    call *k = call_find(c, m->call);
    if (k == NULL || !deliver_is_allowed(
                         c, &(delivery){ .sender = s, .as = DELIVER_AS_RESPONDER, .within = k })) {
        c->counters.messages_dropped_total++; // the cancel is on its way
        return;
    }
    c->counters.inquiries_total++;
    ph_failure_code code = judge(c, k, m);
    if (code != 0) {
        refuse(c, k, m->turn, code);
        return;
    }
    dialog *d = dialog_of(c, k);
    inquiry *place = d == NULL ? NULL : find(d, /* turn= */ 0);
    if (place == NULL) {
        refuse(c, k, m->turn, PH_FAILURE_TOO_MANY_CALLS);
        return;
    }
    delivered how = pass_on(c, k, m, payload);
    if (how != DELIVERED) {
        refuse(c, k, m->turn, deliver_code(how));
        return;
    }
    open_one(c, place, m->turn);
}

void inquiry_answer(center *c, session *s, const phi_message *m, phi_bytes payload)
{
    PH_ASSERT(m->turn != 0);
    call *k = call_of_number(c, s, m->call);
    inquiry *i = k == NULL ? NULL : find_open(k, m->turn);
    if (i == NULL || i->is_coming) {
        c->counters.replies_stray_total++;
        return;
    }
    delivered how = deliver(c, &(delivery){ .sender = s,
                                            .receiver = k->responder,
                                            .as = DELIVER_AS_CALLER,
                                            .within = k,
                                            .payload = payload,
                                            .number = k->handle,
                                            .ttl_ms = m->ttl_ms });
    if (how == DELIVER_REFUSED) {
        c->counters.replies_stray_total++;
        return;
    }
    stream_inquiry_over(c, k, m->turn);
    if (how != DELIVERED) { // [P-59]
        inquiry_fail(c, k, m->turn, deliver_code(how));
    } else if ((m->flags & PHI_FLAG_MORE) != 0) {
        i->is_coming = true;
    } else {
        bool is_answer = m->kind == PHI_KIND_ANSWER;
        (*(is_answer ? &c->counters.inquiries_answered_total
                     : &c->counters.inquiries_failed_total))++;
        close_one(c, i);
    }
}

void inquiry_answered(center *c, call *k, uint16_t turn)
{
    inquiry *i = find_open(k, turn);
    PH_ASSERT(i != NULL);
    PH_ASSERT(i->is_coming);
    c->counters.inquiries_answered_total++;
    close_one(c, i);
}

void inquiry_fail(center *c, call *k, uint16_t turn, ph_failure_code code)
{
    inquiry *i = find_open(k, turn);
    if (i != NULL) {
        close_one(c, i);
        refuse(c, k, turn, code);
    }
}

void inquiry_refuse(center *c, call *k, uint16_t turn, ph_failure_code code)
{
    c->counters.inquiries_total++;
    refuse(c, k, turn, code);
}

void inquiry_drop(center *c, call *k)
{
    dialog *d = k->dialog;
    PH_ASSERT(d->call == k);
    for (size_t n = 0; n < CENTER_INQUIRIES_MAX; n++) {
        inquiry *i = &d->inquiries[n];
        if (i->turn != 0) {
            c->counters.inquiries_ended_total++;
            close_one(c, i);
        }
    }
    phi_list_remove(&d->of_responder);
    k->dialog = NULL;
    phi_slots_give(&c->dialogs, d->handle);
}

void inquiry_pay(center *c, session *responder)
{
    while (!phi_list_is_empty(&responder->calls->dialogs_owed)) {
        dialog *d = PHI_CONTAINER_OF(responder->calls->dialogs_owed.next, dialog, of_responder);
        PH_ASSERT(d->call->responder == responder);
        PH_ASSERT(is_owing(d));
        for (size_t n = 0; n < CENTER_INQUIRIES_MAX; n++) {
            inquiry *i = &d->inquiries[n];
            if (i->owed_code == 0) {
                continue;
            }
            if (!deliver_failure(c, responder, d->call->handle, i->turn,
                                 (ph_failure_code)i->owed_code)) {
                return;
            }
            c->counters.inquiries_refused_total++;
            close_one(c, i);
        }
        phi_list_remove(&d->of_responder);
    }
}

// ---- what becomes of one

// Why it is not passed on; 0: it is.
static ph_failure_code judge(const center *c, const call *k, const phi_message *m)
{
    if (call_is_part(k) || (m->flags & FLAGS_RESERVED) != 0) { // [P-65]
        return PH_FAILURE_UNSUPPORTED;
    }
    if (k->depth + 1u > PHI_DEPTH_MAX) { // [P-63]
        return PH_FAILURE_TOO_DEEP;
    }
    if (k->dialog != NULL && find(k->dialog, m->turn) != NULL) {
        return PH_FAILURE_MALFORMED;
    }
    if (m->ttl_ms != 0 && session_time_left(c, k->responder, m->ttl_ms) == 0) { // it waited
        return PH_FAILURE_DEADLINE;
    }
    return (ph_failure_code)0;
}

// To the caller, with its own number and what is left of the call's time.
static delivered pass_on(center *c, const call *k, const phi_message *m, phi_bytes payload)
{
    uint32_t left_ms = call_time_left(c, k);
    if (m->ttl_ms != 0) {
        uint32_t own_ms = session_time_left(c, k->responder, m->ttl_ms);
        left_ms = own_ms < left_ms ? own_ms : left_ms;
    }
    const delivery_marks marks = {
        .flags = m->flags,
        .depth = (uint8_t)(k->depth + 1u),
        .turn = m->turn,
    };
    return deliver(
        c, &(delivery){ .sender = k->responder,
                        .receiver = k->caller,
                        .as = DELIVER_AS_RESPONDER,
                        .within = k,
                        .payload = payload,
                        .number = k->number,
                        .ttl_ms = m->ttl_ms == 0 || m->ttl_ms > left_ms ? left_ms : m->ttl_ms,
                        .marks = marks,
                        .is_marked = true });
}

// Over; the responder is told so: now, or as soon as it has room.
static void refuse(center *c, call *k, uint16_t turn, ph_failure_code code)
{
    if (deliver_failure(c, k->responder, k->handle, turn, code)) {
        c->counters.inquiries_refused_total++;
    } else if (!owe(c, k, turn, code)) {
        c->counters.inquiries_ended_total++;
        call_give_up(c, k, PH_FAILURE_SLOW_CONSUMER);
    }
}

// False when there is no place for it.
static bool owe(center *c, call *k, uint16_t turn, ph_failure_code code)
{
    dialog *d = call_is_part(k) ? NULL : dialog_of(c, k);
    inquiry *place = d == NULL ? NULL : find(d, /* turn= */ 0);
    if (place == NULL) {
        return false;
    }
    open_one(c, place, turn);
    place->owed_code = (uint16_t)code;
    if (!phi_list_is_linked(&d->of_responder)) {
        phi_list_append(&k->responder->calls->dialogs_owed, &d->of_responder);
    }
    return true;
}

// ---- helpers

// NULL without memory.
static dialog *dialog_of(center *c, call *k)
{
    if (k->dialog == NULL) {
        uint64_t handle;
        dialog *d = phi_slots_take(&c->dialogs, &handle);
        if (d != NULL) {
            d->handle = handle;
            d->call = k;
            k->dialog = d;
        }
    }
    return k->dialog;
}

// Turn 0 finds a free place. NULL when there is none.
static inquiry *find(dialog *d, uint16_t turn)
{
    for (size_t n = 0; n < CENTER_INQUIRIES_MAX; n++) {
        if (d->inquiries[n].turn == turn) {
            return &d->inquiries[n];
        }
    }
    return NULL;
}

// Of a call that may have no dialog. Beside an open one there may be others of the same turn whose
// refusal is owed: who asks with a turn that is in use, and does not read.
static inquiry *find_open(const call *k, uint16_t turn)
{
    for (size_t n = 0; k->dialog != NULL && n < CENTER_INQUIRIES_MAX; n++) {
        inquiry *i = &k->dialog->inquiries[n];
        if (i->turn == turn && i->owed_code == 0) {
            return i;
        }
    }
    return NULL;
}

static bool is_owing(const dialog *d)
{
    for (size_t n = 0; n < CENTER_INQUIRIES_MAX; n++) {
        if (d->inquiries[n].owed_code != 0) {
            return true;
        }
    }
    return false;
}

static void open_one(center *c, inquiry *i, uint16_t turn)
{
    PH_ASSERT(turn != 0);
    PH_ASSERT(i->turn == 0);
    *i = (inquiry){ .turn = turn };
    c->inquiries_count++;
}

// Or owed.
static void close_one(center *c, inquiry *i)
{
    PH_ASSERT(i->turn != 0);
    PH_ASSERT(c->inquiries_count > 0);
    c->inquiries_count--;
    *i = (inquiry){ .turn = 0 };
}
