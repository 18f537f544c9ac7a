// SPDX-License-Identifier: Apache-2.0
//
// center/gather.c - see gather.h.
//
// Design notes
//   - What an instance says is passed on at once and not kept. So a gather holds, for each that did
//     not reply, its name and the reason, as they will stand in the summary; no more of those than
//     one packet takes.
//   - What the caller's full buffer did not take of a part is lost, and the summary says so. The
//     summary itself is owed, as the end of any call is.
//   - It is sent to all instances at once, and charged to the turn's allowance of deliveries
//     (broadcast.h). So a turn may exceed its allowance by one gather. One that finds nothing left
//     waits for another turn, a call already: its time runs.
//
// Invariants  a gather belongs to an open own call; `parts` are those that are still at work
//
// Clauses: P-65.

#include "center/gather.h"

#include "base/assert.h"
#include "center/broadcast.h"
#include "center/call_inline.h"
#include "center/deliver.h"

enum {
    MISSING_BYTES_MAX = 2 + 1 + PHI_ID_BYTES_MAX, // one entry of those that did not reply
};

typedef struct gather {
    own_call own;
    call *head;
    phi_list parts; // call.of_caller
    uint16_t want;
    uint16_t asked;
    uint16_t replied;
    bool is_sent;  // else it waits for its share of a turn
    uint16_t turn; // of the part that was opened last
    uint16_t missing_count;
    size_t body_max;
    size_t body_size; // so far
    uint8_t body[];   // of the summary; its head is written last
} gather;

static ph_failure_code judge(const center *c, const session *s, const phi_message *m,
                             size_t instance_count);
static ph_failure_code code_for(center *c, session *s, const phi_message *m, phi_bytes name,
                                ph_failure_code code);
static size_t count_others(const service *v, const account *but);
static gather *gather_new(center *c, call *head, uint16_t want, size_t instance_count);
static void gather_free(center *c, gather *g);
static void ask_all(center *c, gather *g, const service *v, phi_bytes payload, uint32_t ttl_ms);
static void ask(center *c, gather *g, const account *a, phi_bytes payload, uint32_t ttl_ms);
static void fail(center *c, gather *g, call_end end, ph_failure_code code);

static void on_expire(center *c, own_call *o);
static void on_stop(center *c, own_call *o, ph_failure_code why);
static void on_replied(center *c, own_call *o, call *part);
static void on_give_up(center *c, own_call *o, call *part, ph_failure_code why, bool is_known);
static void on_drop(center *c, own_call *o);

static void settle(center *c, gather *g);
static void conclude(center *c, gather *g, ph_failure_code why);
static void add_missing(gather *g, phi_bytes id, ph_failure_code code);

static const own_call_ops gather_ops = {
    .expire = on_expire,
    .stop = on_stop,
    .replied = on_replied,
    .give_up = on_give_up,
    .drop = on_drop,
};

static inline gather *gather_of(own_call *o)
{
    PH_ASSERT(o->ops == &gather_ops);
    return PHI_CONTAINER_OF(o, gather, own);
}

// ---- life

void gather_start(center *c, session *s, const phi_message *m, phi_bytes payload, phi_bytes name,
                  uint32_t ttl_ms)
{
    const service *v = services_find(&c->registry.services, name);
    size_t count = v == NULL ? 0 : count_others(v, s->account);
    ph_failure_code code = judge(c, s, m, count);
    if (code != 0) {
        call_refuse(c, s, m->call, code_for(c, s, m, name, code));
        return;
    }
    call *head = call_open(c, s, /* responder= */ NULL, m->call, &code);
    if (head == NULL) {
        call_refuse(c, s, m->call, code_for(c, s, m, name, code));
        return;
    }
    gather *g = gather_new(c, head, m->want, count);
    if (g == NULL) {
        call_fail(c, head, CALL_REFUSED, code_for(c, s, m, name, PH_FAILURE_TOO_MANY_CALLS));
        return;
    }
    call_time(c, head, ttl_ms);
    if (PHI_LIKELY(c->deliveries_left > 0)) {
        ask_all(c, g, v, payload, ttl_ms);
    } else if (!broadcast_wait(c, s, payload, head->handle)) {
        fail(c, g, CALL_REFUSED, code_for(c, s, m, name, PH_FAILURE_TOO_MANY_CALLS));
    }
}

void gather_ask(center *c, uint64_t handle, phi_bytes payload)
{
    call *head = call_find(c, handle);
    if (head == NULL) {
        return;
    }
    gather *g = gather_of(head->own);
    phi_message m;
    ph_err rc = phi_message_decode(payload, &m);
    PH_ASSERT(rc == PH_OK); // it was looked at before
    phi_bytes name = phi_address_parse(m.to).name;
    const service *v = services_find(&c->registry.services, name);
    size_t count = v == NULL ? 0 : count_others(v, head->caller->account);
    ph_failure_code code = judge(c, head->caller, &m, count);
    if (code != 0) { // they came or left meanwhile
        fail(c, g, CALL_REFUSED, code_for(c, head->caller, &m, name, code));
        return;
    }
    g->asked = (uint16_t)count;
    ask_all(c, g, v, payload, call_time_left(c, head));
}

// 0: it may be.
static ph_failure_code judge(const center *c, const session *s, const phi_message *m,
                             size_t instance_count)
{
    PH_ASSERT((m->flags & PHI_FLAG_REST) == 0);
    if ((m->flags & PHI_FLAG_MORE) != 0) { // [P-66]
        return PH_FAILURE_UNSUPPORTED;
    }
    if (instance_count == 0) {
        return PH_FAILURE_NO_READY_INSTANCE;
    }
    size_t open = s->calls == NULL ? 0 : s->calls->parts_count;
    if (instance_count > c->options.gather_max ||
        open + instance_count > GATHER_LARGE_MAX * c->options.gather_max) {
        return PH_FAILURE_TOO_MANY_CALLS;
    }
    return (ph_failure_code)0;
}

// What is said when nobody could be asked: to who might not call the service, always the same.
static ph_failure_code code_for(center *c, session *s, const phi_message *m, phi_bytes name,
                                ph_failure_code code)
{
    const phi_target target = { .service = name, .method = m->method };
    if (PHI_LIKELY(s->role == NULL) || guard_may_name(c, s, PHI_MAY_CALL, &target)) {
        return code;
    }
    guard_refused(c, s, PHI_MAY_CALL, m->to, m->method);
    return PH_FAILURE_REFUSED_BY_POLICY;
}

static bool is_asked(const account *a, const account *but)
{
    return a->is_listed && a != but;
}

// Counted, not walked over: a gather that is refused must cost no more than its packet.
static size_t count_others(const service *v, const account *but)
{
    PH_ASSERT(but != NULL);
    return v->listed_count - (size_t)(but->service == v && but->is_listed);
}

// NULL without memory.
static gather *gather_new(center *c, call *head, uint16_t want, size_t instance_count)
{
    PH_ASSERT(instance_count <= UINT16_MAX);
    if (phi_quota_is_used_up(&c->quota)) {
        return NULL;
    }
    size_t body_max = PHI_GATHERED_HEAD_BYTES + instance_count * MISSING_BYTES_MAX;
    if (body_max > DELIVER_OWN_BODY_BYTES_MAX) {
        body_max = DELIVER_OWN_BODY_BYTES_MAX;
    }
    gather *g = phi_take(&c->quota.counted, sizeof *g + body_max);
    if (g != NULL) {
        *g = (gather){
            .own.ops = &gather_ops,
            .head = head,
            .want = want,
            .asked = (uint16_t)instance_count,
            .body_max = body_max,
            .body_size = PHI_GATHERED_HEAD_BYTES,
        };
        phi_list_init(&g->parts);
        head->own = &g->own;
    }
    return g;
}

// Before anybody was asked.
static void fail(center *c, gather *g, call_end end, ph_failure_code code)
{
    call *head = g->head;
    PH_ASSERT(!g->is_sent);
    head->own = NULL;
    gather_free(c, g);
    call_fail(c, head, end, code);
}

static void gather_free(center *c, gather *g)
{
    phi_give(&c->quota.counted, g, sizeof *g + g->body_max);
}

// ---- asking

static void ask_all(center *c, gather *g, const service *v, phi_bytes payload, uint32_t ttl_ms)
{
    PH_ASSERT(!g->is_sent);
    session *caller = g->head->caller;
    phi_bytes method = phi_message_of(payload).method;
    uint32_t asked = 0;
    uint32_t passed_over = 0;
    for (const phi_list *n = v->instances.next; n != &v->instances; n = n->next) {
        const account *a = PHI_CONTAINER_OF(n, account, of_service);
        if (!is_asked(a, caller->account)) {
            continue;
        }
        asked++;
        if (guard_may(c, caller, PHI_MAY_CALL, a, method)) {
            ask(c, g, a, payload, ttl_ms);
        } else { // nor does it learn that there is one
            passed_over++;
        }
    }
    PH_ASSERT(asked == g->asked);
    broadcast_charge(c, asked);
    g->asked = (uint16_t)(asked - passed_over);
    if (PHI_UNLIKELY(g->asked == 0)) {
        const phi_message m = phi_message_of(payload);
        fail(c, g, CALL_REFUSED,
             code_for(c, caller, &m, service_name(v), PH_FAILURE_NO_READY_INSTANCE));
        return;
    }
    g->is_sent = true;
    c->counters.gathers_total++;
    settle(c, g);
}

// One that its caller may ask.
static void ask(center *c, gather *g, const account *a, phi_bytes payload, uint32_t ttl_ms)
{
    if (a->session == NULL) {
        add_missing(g, account_id(a), PH_FAILURE_OFFLINE);
        return;
    }
    call *part = call_part_open(c, g->head, a->session);
    if (part == NULL) {
        add_missing(g, account_id(a), PH_FAILURE_TOO_MANY_CALLS);
        return;
    }
    phi_list_append(&g->parts, &part->of_caller);
    part->turn = ++g->turn;
    delivered how = deliver(c, &(delivery){ .sender = part->caller,
                                            .receiver = part->responder,
                                            .payload = payload,
                                            .number = part->handle,
                                            .ttl_ms = ttl_ms });
    if (how != DELIVERED) {
        call_part_finish(c, part);
        add_missing(g, account_id(a), deliver_code(how));
    }
}

// ---- what becomes of it

static void on_expire(center *c, own_call *o)
{
    gather *g = gather_of(o);
    if (g->is_sent) {
        conclude(c, g, PH_FAILURE_DEADLINE);
    } else {
        fail(c, g, CALL_EXPIRED, PH_FAILURE_DEADLINE);
    }
}

static void on_stop(center *c, own_call *o, ph_failure_code why)
{
    gather *g = gather_of(o);
    while (!phi_list_is_empty(&g->parts)) {
        call_part_stop(c, PHI_CONTAINER_OF(g->parts.next, call, of_caller), why);
    }
    gather_free(c, g);
}

static void on_replied(center *c, own_call *o, call *part)
{
    gather *g = gather_of(o);
    g->replied++;
    call_part_finish(c, part);
    settle(c, g);
}

static void on_give_up(center *c, own_call *o, call *part, ph_failure_code why, bool is_known)
{
    gather *g = gather_of(o);
    add_missing(g, account_id(part->responder->account), why);
    if (is_known) {
        call_part_finish(c, part);
    } else {
        call_part_stop(c, part, why);
    }
    settle(c, g);
}

static void on_drop(center *c, own_call *o)
{
    gather_free(c, gather_of(o));
}

// ---- helpers

// Enough have replied, or none is left that could.
static void settle(center *c, gather *g)
{
    bool is_enough = g->want != 0 && g->replied >= g->want;
    if (is_enough || phi_list_is_empty(&g->parts)) {
        conclude(c, g, PH_FAILURE_CANCELLED);
    }
}

// Whoever is still at work is stopped; the caller gets the summary.
static void conclude(center *c, gather *g, ph_failure_code why)
{
    while (!phi_list_is_empty(&g->parts)) {
        call *part = PHI_CONTAINER_OF(g->parts.next, call, of_caller);
        add_missing(g, account_id(part->responder->account), why);
        call_part_stop(c, part, why);
    }
    PH_ASSERT(g->replied <= g->asked);
    phi_gathered_encode_head(
        g->body,
        &(phi_gathered){ .asked = g->asked, .replied = g->replied, .count = g->missing_count });
    call_reply(c, g->head, phi_bytes_of(g->body, g->body_size));
    gather_free(c, g);
}

// As many as there is room for.
static void add_missing(gather *g, phi_bytes id, ph_failure_code code)
{
    phi_writer w = phi_writer_of((phi_span){ g->body + g->body_size, g->body_max - g->body_size });
    phi_write_missing(&w, (uint16_t)code, id);
    if (!w.failed) {
        g->body_size += phi_writer_size(&w);
        g->missing_count++;
    }
}
