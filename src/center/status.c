// SPDX-License-Identifier: Apache-2.0
//
// center/status.c - see status.h.
//
// Design notes
//   - The reply names each value as metrics.def does, so that who shows it need not know them all:
//     it may be of another version.
//   - It has one length but for the version's text, and that it fits into one packet is known when
//     this is compiled.
//   - To count is to copy what has been counted, so a worker that is asked keeps nothing of it.
//
// Invariants  an ask belongs to an open own call; it is on center.status_asks
//
// Clauses: P-69, P-80.

#include "center/status.h"

#include <posthouse/version.h>

#include <string.h>

#include "base/assert.h"
#include "center/call_inline.h"
#include "center/deliver.h"

enum {
    KIND_COUNTER = 1,
    KIND_GAUGE = 2,
    KIND_SHARED_COUNTER = KIND_COUNTER,
    KIND_SHARED_GAUGE = KIND_GAUGE,
    HEAD_BYTES = sizeof(PH_VERSION_TEXT) + 8 + 1 + 1 + 2, // a str8 has no NUL, but a length
    VALUES_COUNT = 0
#define CENTER_METRIC(name, kind, help) +1
#include "center/metrics.def"
#undef CENTER_METRIC
    ,
    VALUES_BYTES = VALUES_COUNT * (1 + 8)
#define CENTER_METRIC(name, kind, help) +(int)sizeof(#name)
#include "center/metrics.def"
#undef CENTER_METRIC
        ,
    REPLY_BYTES = HEAD_BYTES + VALUES_BYTES,
};
PH_STATIC_ASSERT(REPLY_BYTES <= DELIVER_OWN_BODY_BYTES_MAX);
PH_STATIC_ASSERT(PHI_MAILBOXES_MAX <= UINT8_MAX);

typedef struct status_ask {
    own_call own;
    phi_list node; // on center.status_asks
    call *head;
    uint64_t number;  // between workers: the handle of the head
    uint32_t counted; // workers that stand in the sum
    center_counters sum;
} status_ask;

static uint32_t count_asked(const center *c, const session *s);
static void ask_others(center *c, call *head, uint32_t ttl_ms);
static status_ask *find_ask(const center *c, uint64_t number);
static void reply(center *c, call *head, const center_counters *sum, uint32_t counted);
static void conclude(center *c, status_ask *a);
static void ask_free(center *c, status_ask *a);

static void on_expire(center *c, own_call *o);
static void on_stop(center *c, own_call *o, ph_failure_code why);
static void on_drop(center *c, own_call *o);

static const own_call_ops ask_ops = {
    .expire = on_expire,
    .stop = on_stop,
    .drop = on_drop,
};

static inline status_ask *ask_of(own_call *o)
{
    PH_ASSERT(o->ops == &ask_ops);
    return PHI_CONTAINER_OF(o, status_ask, own);
}

// ---- life

void status_request(center *c, session *s, const phi_message *m, uint32_t ttl_ms)
{
    PH_ASSERT(ttl_ms > 0);
    if ((m->flags & PHI_FLAG_MORE) != 0 || m->body.size != 0) {
        call_refuse(c, s, m->call, PH_FAILURE_MALFORMED);
        return;
    }
    const phi_target target = { .domain = center_domain(c) };
    if (!guard_may_name(c, s, PHI_MAY_STATUS, &target)) {
        guard_refused(c, s, PHI_MAY_STATUS, target.domain, m->method);
        call_refuse(c, s, m->call, PH_FAILURE_REFUSED_BY_POLICY);
        return;
    }
    bool may_ask =
        c->status_ask_count < STATUS_ASKS_MAX && count_asked(c, s) < STATUS_ASKS_PER_CLIENT_MAX;
    ph_failure_code code = PH_FAILURE_TOO_MANY_CALLS;
    call *head = may_ask ? call_open(c, s, /* responder= */ NULL, m->call, &code) : NULL;
    if (head == NULL) {
        call_refuse(c, s, m->call, code);
    } else if (workers_are_several(&c->workers)) {
        ask_others(c, head, ttl_ms);
    } else {
        const center_counters own = center_count(c);
        reply(c, head, &own, /* counted= */ 1);
    }
}

static uint32_t count_asked(const center *c, const session *s)
{
    uint32_t count = 0;
    for (const phi_list *n = c->status_asks.next; n != &c->status_asks; n = n->next) {
        count += PHI_CONTAINER_OF(n, status_ask, node)->head->caller == s;
    }
    return count;
}

static void ask_others(center *c, call *head, uint32_t ttl_ms)
{
    PH_ASSERT(workers_decide(&c->workers));
    status_ask *a = phi_take_zeroed(&c->quota.counted, 1, sizeof *a);
    if (a == NULL) {
        call_fail(c, head, CALL_REFUSED, PH_FAILURE_TOO_MANY_CALLS);
        return;
    }
    a->own.ops = &ask_ops;
    a->head = head;
    a->number = head->handle;
    a->sum = center_count(c);
    a->counted = 1;
    phi_list_append(&c->status_asks, &a->node);
    c->status_ask_count++;
    head->own = &a->own;
    call_time(c, head, ttl_ms < STATUS_WAIT_MS ? ttl_ms : STATUS_WAIT_MS);
    worker_tell_others(c, &(mail){ .type = MAIL_STATUS, .session = a->number },
                       phi_bytes_of(NULL, 0));
}

void status_handle(center *c, uint32_t from, const mail *m, phi_bytes bytes)
{
    center_counters counters;
    if (m->type == MAIL_STATUS) {
        counters = center_count(c);
        worker_tell(c, from, &(mail){ .type = MAIL_COUNTED, .session = m->session },
                    phi_bytes_of((const uint8_t *)&counters, sizeof counters));
        return;
    }
    PH_ASSERT(m->type == MAIL_COUNTED);
    PH_ASSERT(bytes.size == sizeof counters);
    status_ask *a = find_ask(c, m->session);
    if (a == NULL) { // it is over
        return;
    }
    memcpy(&counters, bytes.data, sizeof counters);
    center_counters_add(&a->sum, &counters);
    a->counted++;
    PH_ASSERT(a->counted <= c->workers.count);
    if (a->counted == c->workers.count) {
        conclude(c, a);
    }
}

static status_ask *find_ask(const center *c, uint64_t number)
{
    for (phi_list *n = c->status_asks.next; n != &c->status_asks; n = n->next) {
        status_ask *a = PHI_CONTAINER_OF(n, status_ask, node);
        if (a->number == number) {
            return a;
        }
    }
    return NULL;
}

// ---- what becomes of it

static void on_expire(center *c, own_call *o)
{
    conclude(c, ask_of(o));
}

static void on_stop(center *c, own_call *o, ph_failure_code why)
{
    (void)why;
    ask_free(c, ask_of(o));
}

static void on_drop(center *c, own_call *o)
{
    ask_free(c, ask_of(o));
}

static void conclude(center *c, status_ask *a)
{
    PH_ASSERT(a->head->own == &a->own);
    reply(c, a->head, &a->sum, a->counted);
    ask_free(c, a);
}

static void reply(center *c, call *head, const center_counters *sum, uint32_t counted)
{
    uint8_t body[REPLY_BYTES];
    phi_writer w = phi_writer_of((phi_span){ body, sizeof body });
    phi_write_str8(&w, phi_bytes_text(PH_VERSION_TEXT));
    phi_write_u64(&w, phi_dur_ms(phi_time_diff(c->io->now, c->started)));
    phi_write_u8(&w, c->workers.count);
    phi_write_u8(&w, (uint8_t)counted);
    phi_write_u16(&w, VALUES_COUNT);
#define CENTER_METRIC(name, kind, help)                                                            \
    phi_write_u8(&w, KIND_##kind);                                                                 \
    phi_write_str8(&w, phi_bytes_text(#name));                                                     \
    phi_write_u64(&w, sum->name);
#include "center/metrics.def"
#undef CENTER_METRIC
    PH_ASSERT(!w.failed);
    PH_ASSERT(phi_writer_size(&w) == REPLY_BYTES);
    call_reply(c, head, phi_writer_view(&w));
}

static void ask_free(center *c, status_ask *a)
{
    PH_ASSERT(c->status_ask_count > 0);
    c->status_ask_count--;
    phi_list_remove(&a->node);
    phi_give(&c->quota.counted, a, sizeof *a);
}
