// SPDX-License-Identifier: Apache-2.0
//
// center/drain.c - see drain.h.
//
// Design notes
//   - Acknowledgements are counted as they come, so that one costs no walk over all watchers; only
//     a reply that says who has not walks, once.
//   - To begin one walks over all connections, as does to name those who have not acknowledged. So
//     a turn has an allowance of that; who asks for more is refused, because an operator asks
//     again, and whoever floods the center should not be kept.
//   - Whether calls are open is looked at once a turn, and only while somebody waits: a call pays
//     nothing for it.
//   - Who has not acknowledged is asked of the other workers when the reply is to say it: names
//     that nobody may want to know are not mailed.
//   - A watcher that comes later than the drain, or asks for something else meanwhile, is waited
//     for, too: it may come back, and then it shows what it knew until it is told.
//
// Invariants  a drain belongs to an open own call; it is on center.drains
//
// Clauses: P-69, P-72.

#include "center/drain.h"

#include <string.h>

#include "base/assert.h"
#include "center/abroad.h"
#include "center/call_inline.h"
#include "center/deliver.h"
#include "wire/own_state.h"

enum {
    HEAD_BYTES = 1 + 8 + 4 + 4 + 2, // of the reply, before the ids
    WISH_BYTES_MAX = 8,
    WALKS = 3, // over all connections: to ask, to count, and to name who has not acknowledged
};

// What the request's body says.
typedef struct wanted {
    bool is_begin;
    uint32_t patience_ms;
    phi_bytes name;
} wanted;

// What one worker waits for.
typedef struct drain_share {
    uint32_t waiting; // watchers that have not acknowledged it
    uint32_t calls;   // to and from the account
    bool is_done;
} drain_share;

typedef struct drain {
    own_call own;
    phi_list node;     // on center.drains
    call *head;        // NULL: the first worker's, and this is the share of this one
    uint64_t number;   // between workers: the handle of the head
    drain_share told;  // without a head: what the first worker was told last
    uint64_t account;  // handle; it may leave meanwhile
    uint64_t revision; // that everybody is to know; 0: nobody is shown it
    uint32_t waiting;  // watchers that have not acknowledged it
    uint8_t *names;    // owned; with a head, of watchers of other workers; NULL: not asked for
    uint32_t names_size;
    uint32_t names_asked; // workers that have not told theirs
    uint8_t type;         // of the account: who is concerned
    uint8_t name_size;
    uint8_t service_size;
    uint8_t name[PHI_NAME_BYTES_MAX];
    uint8_t service[PHI_NAME_BYTES_MAX];
    drain_share shares[]; // with a head: of each worker but this one, when there are several
} drain;

static bool read_wanted(phi_bytes body, wanted *out);
static bool may_begin(center *c, const session *s, const wanted *want);
static void begin(center *c, call *head, account *a, uint32_t time_ms);
static void take_back(center *c, call *head, account *a);
static void wish(center *c, session *s);
static void set_subject(drain *d, phi_bytes name, phi_bytes serves);
static watch_subject subject_of(const drain *d);

static void on_expire(center *c, own_call *o);
static void on_stop(center *c, own_call *o, ph_failure_code why);
static void on_drop(center *c, own_call *o);

static bool is_done(const center *c, const drain *d);
static uint32_t count_asked(const center *c, const session *s);
static uint32_t count_made(const center *c, const session *s);
static uint32_t count_calls(const center *c, const drain *d);
static bool concerns(const center *c, const drain *d, const watch *w);
static void end_patience(center *c, drain *d);
static void conclude(center *c, drain *d);
static uint16_t write_waiting(center *c, const drain *d, phi_writer *w);
static uint16_t write_told(center *c, const drain *d, phi_writer *w);
static void drain_free(center *c, drain *d);

static size_t drain_bytes(const center *c);
static void await(center *c, drain *d);
static bool is_share_done(const center *c, const drain *d);
static bool has_calls(const center *c, const drain *d);
static void ask_shares(center *c, const drain *d, const account *a);
static drain *find_drain(const center *c, uint64_t number);
static void on_share_asked(center *c, const mail *m, phi_bytes bytes);
static void tell_share(center *c, drain *d);
static void tell_names(center *c, const drain *d);
static void on_names(center *c, drain *d, uint32_t from, phi_bytes bytes);

static const own_call_ops drain_ops = {
    .expire = on_expire,
    .stop = on_stop,
    .drop = on_drop,
};

static inline drain *drain_of(own_call *o)
{
    PH_ASSERT(o->ops == &drain_ops);
    return PHI_CONTAINER_OF(o, drain, own);
}

// ---- life

void drain_request(center *c, session *s, const phi_message *m, uint32_t ttl_ms)
{
    wanted want;
    if ((m->flags & PHI_FLAG_MORE) != 0 || !read_wanted(m->body, &want)) {
        call_refuse(c, s, m->call, PH_FAILURE_MALFORMED);
        return;
    }
    account *a = registry_find(&c->registry, want.name);
    const phi_target target = { .account = want.name };
    bool may = a != NULL ? guard_may(c, s, PHI_MAY_DRAIN, a, phi_bytes_of(NULL, 0))
                         : guard_may_name(c, s, PHI_MAY_DRAIN, &target);
    if (!may) {
        guard_refused(c, s, PHI_MAY_DRAIN, want.name, m->method);
        call_refuse(c, s, m->call, PH_FAILURE_REFUSED_BY_POLICY);
        return;
    }
    if (a == NULL || a->session == NULL) {
        call_refuse(c, s, m->call, a == NULL ? PH_FAILURE_NO_SUCH_ACCOUNT : PH_FAILURE_OFFLINE);
        return;
    }
    ph_failure_code code = PH_FAILURE_TOO_MANY_CALLS;
    call *head =
        may_begin(c, s, &want) ? call_open(c, s, /* responder= */ NULL, m->call, &code) : NULL;
    if (head == NULL) {
        call_refuse(c, s, m->call, code);
        return;
    }
    CENTER_LOG_WRITE(c, DRAIN, PHI_LOG_TEXT("id", account_id(a)), PHI_LOG_TEXT("by", session_id(s)),
                     PHI_LOG_NUMBER("begin", want.is_begin));
    if (want.is_begin) {
        begin(c, head, a, want.patience_ms < ttl_ms ? want.patience_ms : ttl_ms);
    } else {
        take_back(c, head, a);
    }
}

static bool read_wanted(phi_bytes body, wanted *out)
{
    phi_reader r = phi_reader_of(body);
    uint8_t is_begin = phi_read_u8(&r);
    out->is_begin = is_begin == 1;
    out->patience_ms = phi_read_u32(&r);
    out->name = phi_read_str8(&r);
    return !r.failed && phi_reader_left(&r) == 0 && is_begin <= 1;
}

// Taking one back walks over nobody, and nothing waits for it.
static bool may_begin(center *c, const session *s, const wanted *want)
{
    if (!want->is_begin) {
        return true;
    }
    if (c->drain_count >= DRAINS_MAX || c->drain_places_left == 0 ||
        count_asked(c, s) >= DRAINS_PER_CLIENT_MAX) {
        return false;
    }
    uint64_t places = WALKS * (uint64_t)c->sessions.high;
    c->drain_places_left -= places < c->drain_places_left ? places : c->drain_places_left;
    return true;
}

static void begin(center *c, call *head, account *a, uint32_t time_ms)
{
    if (!a->is_drained) {
        a->is_drained = true;
        presence_show(c, a);
        wish(c, a->session);
    }
    drain *d = phi_take_zeroed(&c->quota.counted, 1, drain_bytes(c));
    if (d == NULL) {
        call_fail(c, head, CALL_REFUSED, PH_FAILURE_TOO_MANY_CALLS);
        return;
    }
    d->own.ops = &drain_ops;
    d->head = head;
    d->number = head->handle;
    d->account = a->handle;
    d->revision = a->is_listed ? a->line.revision : 0;
    d->type = a->entry[ENTRY_TYPE_AT];
    set_subject(d, account_name(a), account_service(a));
    head->own = &d->own;
    await(c, d);
    ask_shares(c, d, a);
    if (time_ms == 0) {
        end_patience(c, d);
    } else {
        call_time(c, head, time_ms);
        phi_io_hurry(c->io); // it may be done already
    }
}

static void set_subject(drain *d, phi_bytes name, phi_bytes serves)
{
    d->name_size = (uint8_t)name.size;
    memcpy(d->name, name.data, name.size);
    d->service_size = (uint8_t)serves.size;
    if (serves.size != 0) {
        memcpy(d->service, serves.data, serves.size);
    }
}

static watch_subject subject_of(const drain *d)
{
    return (watch_subject){ .type = d->type,
                            .name = phi_bytes_of(d->name, d->name_size),
                            .service = phi_bytes_of(d->service, d->service_size) };
}

// It waits for those watchers that do not know yet.
static void await(center *c, drain *d)
{
    phi_list_append(&c->drains, &d->node);
    c->drain_count++;
    if (d->revision == 0) {
        return;
    }
    watch_confirm(c, d->revision);
    uint32_t index = 0;
    uint64_t handle;
    const session *s;
    for (; (s = phi_slots_next(&c->sessions, &index, &handle)) != NULL; index++) {
        d->waiting += s->watch != NULL && concerns(c, d, s->watch);
    }
}

static void take_back(center *c, call *head, account *a)
{
    if (a->is_drained) {
        a->is_drained = false;
        presence_show(c, a);
        wish(c, a->session);
    }
    uint8_t body[HEAD_BYTES];
    phi_writer w = phi_writer_of((phi_span){ body, sizeof body });
    phi_write_u8(&w, 1);
    phi_write_u64(&w, presence_revision(&c->presence));
    phi_write_u32(&w, 0);
    phi_write_u32(&w, 0);
    phi_write_u16(&w, 0);
    PH_ASSERT(!w.failed);
    call_reply(c, head, phi_writer_view(&w));
}

// Tells it in what state an operator wants it. Without room now, as soon as there is.
static void wish(center *c, session *s)
{
    (void)c;
    account *a = s->account;
    uint8_t *room = session_begin(s, WISH_BYTES_MAX);
    a->is_wish_owed = room == NULL;
    if (room == NULL) {
        return;
    }
    phi_writer w = phi_writer_of((phi_span){ room, WISH_BYTES_MAX });
    phi_state state = a->is_drained ? PHI_STATE_DRAINING : (phi_state)a->own_state;
    phi_own_state_encode(&w, &(phi_own_state){ .state = state });
    PH_ASSERT(!w.failed);
    session_commit(s, PHI_COMMAND_OWN_STATE, phi_writer_size(&w));
}

void drain_on_room(center *c, session *s)
{
    if (s->account->is_wish_owed) {
        wish(c, s);
    }
}

// ---- what becomes of it

void drain_on_ack(center *c, const watch *w, uint64_t before, uint64_t after)
{
    for (phi_list *n = c->drains.next; n != &c->drains; n = n->next) {
        drain *d = PHI_CONTAINER_OF(n, drain, node);
        const watch_subject subject = subject_of(d);
        if (before < d->revision && after >= d->revision && watch_wants(c, w, &subject)) {
            PH_ASSERT(d->waiting > 0);
            d->waiting--;
            phi_io_hurry(c->io);
        }
    }
}

void drain_on_watch(center *c, const watch *w)
{
    for (phi_list *n = c->drains.next; n != &c->drains; n = n->next) {
        drain *d = PHI_CONTAINER_OF(n, drain, node);
        d->waiting += concerns(c, d, w);
    }
}

void drain_turn(center *c)
{
    c->drain_places_left = CENTER_DRAIN_TURN_PLACES_MAX;
    for (phi_list *n = c->drains.next; n != &c->drains;) {
        drain *d = PHI_CONTAINER_OF(n, drain, node);
        n = n->next;
        if (d->head == NULL) {
            tell_share(c, d);
        } else if (is_done(c, d)) {
            conclude(c, d);
        }
    }
}

static void on_expire(center *c, own_call *o)
{
    end_patience(c, drain_of(o));
}

static void on_stop(center *c, own_call *o, ph_failure_code why)
{
    (void)why;
    drain_free(c, drain_of(o));
}

static void on_drop(center *c, own_call *o)
{
    drain_free(c, drain_of(o));
}

// ---- helpers

static bool is_done(const center *c, const drain *d)
{
    for (uint32_t i = 0; i < c->workers.count; i++) {
        if (i != c->workers.self && !d->shares[i].is_done) {
            return false;
        }
    }
    return is_share_done(c, d);
}

static bool is_share_done(const center *c, const drain *d)
{
    const account *a = registry_at(&c->registry, d->account);
    if (a == NULL || a->session == NULL) {
        return true; // it left: nobody can send it anything
    }
    return d->waiting == 0 && !has_calls(c, d);
}

// To or from the account.
static bool has_calls(const center *c, const drain *d)
{
    const account *a = registry_at(&c->registry, d->account);
    if (a == NULL || a->session == NULL || a->session->calls == NULL) {
        return false;
    }
    return !phi_list_is_empty(&a->session->calls->taken) || count_made(c, a->session) != 0;
}

// Drains that it waits for.
static uint32_t count_asked(const center *c, const session *s)
{
    uint32_t count = 0;
    for (const phi_list *n = c->drains.next; n != &c->drains; n = n->next) {
        const drain *d = PHI_CONTAINER_OF(n, drain, node);
        count += d->head != NULL && d->head->caller == s;
    }
    return count;
}

// Calls from it, but for drains of its own: they would wait for themselves.
static uint32_t count_made(const center *c, const session *s)
{
    return s->calls->made_count - count_asked(c, s);
}

// Those to and from the account. Walks over them: for a reply, not for a turn.
static uint32_t count_calls(const center *c, const drain *d)
{
    const account *a = registry_at(&c->registry, d->account);
    if (a == NULL || a->session == NULL || a->session->calls == NULL) {
        return 0;
    }
    const session_calls *calls = a->session->calls;
    uint32_t count = count_made(c, a->session);
    for (const phi_list *n = calls->taken.next; n != &calls->taken; n = n->next) {
        count++;
    }
    return count;
}

static bool concerns(const center *c, const drain *d, const watch *w)
{
    const watch_subject subject = subject_of(d);
    return watch_acked(w) < d->revision && watch_wants(c, w, &subject);
}

// The reply says what there is now, and who.
static void end_patience(center *c, drain *d)
{
    bool is_asked = d->names != NULL;
    if (is_asked || !workers_are_several(&c->workers) || is_done(c, d)) {
        conclude(c, d);
        return;
    }
    d->names = phi_take(&c->quota.counted, DELIVER_OWN_BODY_BYTES_MAX);
    if (d->names == NULL) {
        conclude(c, d);
        return;
    }
    d->names_asked = c->workers.count - 1u;
    worker_tell_others(c, &(mail){ .type = MAIL_DRAIN_WHO, .session = d->number },
                       phi_bytes_of(NULL, 0));
    call_time(c, d->head, DRAIN_NAMES_WAIT_MS);
}

static void conclude(center *c, drain *d)
{
    uint8_t body[DELIVER_OWN_BODY_BYTES_MAX];
    phi_writer w = phi_writer_of((phi_span){ body, sizeof body });
    bool is_over = is_done(c, d);
    d->waiting = is_over ? 0 : d->waiting;
    uint32_t waiting = d->waiting;
    uint32_t calls = count_calls(c, d);
    for (uint32_t i = 0; i < c->workers.count && !is_over; i++) {
        if (i != c->workers.self) {
            waiting += d->shares[i].waiting;
            calls += d->shares[i].calls;
        }
    }
    phi_write_u8(&w, is_over ? 1 : 0);
    phi_write_u64(&w, d->revision);
    phi_write_u32(&w, waiting);
    phi_write_u32(&w, calls);
    uint8_t *count_at = w.at;
    phi_write_u16(&w, 0);
    uint16_t named = 0;
    if (!is_over) {
        named = write_waiting(c, d, &w);
        named = (uint16_t)(named + write_told(c, d, &w));
    }
    phi_put_u16(count_at, named);
    PH_ASSERT(!w.failed);
    call *head = d->head;
    call_reply(c, head, phi_writer_view(&w));
    drain_free(c, d);
}

// As many as there is room for, of those whom the asker sees.
static uint16_t write_waiting(center *c, const drain *d, phi_writer *w)
{
    const role *asker = guard_role(c, d->head->caller);
    uint16_t count = 0;
    uint32_t index = 0;
    uint64_t handle;
    const session *s;
    for (; d->waiting != 0 && (s = phi_slots_next(&c->sessions, &index, &handle)) != NULL;
         index++) {
        if (s->watch == NULL || !concerns(c, d, s->watch) ||
            !guard_sees(c, asker, session_account(s), session_service(s))) {
            continue;
        }
        if ((size_t)(w->end - w->at) < 1 + session_id(s).size) {
            break;
        }
        phi_write_str8(w, session_id(s));
        count++;
    }
    return count;
}

// The same of those whom other workers told. Who has left meanwhile is not waited for.
static uint16_t write_told(center *c, const drain *d, phi_writer *w)
{
    const role *asker = guard_role(c, d->head->caller);
    phi_reader r = phi_reader_of(phi_bytes_of(d->names, d->names_size));
    uint16_t count = 0;
    while (phi_reader_left(&r) != 0) {
        phi_bytes name = phi_read_str8(&r);
        PH_ASSERT(!r.failed);
        const account *a = registry_find(&c->registry, name);
        if (a == NULL || a->session == NULL ||
            !guard_sees(c, asker, account_name(a), account_service(a))) {
            continue;
        }
        if ((size_t)(w->end - w->at) < 1 + account_id(a).size) {
            break;
        }
        phi_write_str8(w, account_id(a));
        count++;
    }
    return count;
}

static void drain_free(center *c, drain *d)
{
    PH_ASSERT(c->drain_count > 0);
    c->drain_count--;
    phi_list_remove(&d->node);
    if (c->drain_count == 0) {
        watch_confirm_end(c);
    }
    if (d->head != NULL && workers_are_several(&c->workers)) {
        worker_tell_others(c, &(mail){ .type = MAIL_DRAIN_OVER, .session = d->number },
                           phi_bytes_of(NULL, 0));
    }
    phi_give(&c->quota.counted, d->names, d->names == NULL ? 0 : DELIVER_OWN_BODY_BYTES_MAX);
    phi_give(&c->quota.counted, d, drain_bytes(c));
}

// ---- shares

static size_t drain_bytes(const center *c)
{
    size_t shares = workers_are_several(&c->workers) ? c->workers.count : 0;
    return sizeof(drain) + shares * sizeof(drain_share);
}

static void ask_shares(center *c, const drain *d, const account *a)
{
    if (!workers_are_several(&c->workers)) {
        return;
    }
    uint8_t bytes[8 + 1 + 2 * (1 + PHI_NAME_BYTES_MAX)];
    phi_writer w = phi_writer_of((phi_span){ bytes, sizeof bytes });
    phi_write_u64(&w, d->revision);
    phi_write_u8(&w, d->type);
    phi_write_str8(&w, account_name(a));
    phi_write_str8(&w, phi_bytes_of(d->service, d->service_size));
    PH_ASSERT(!w.failed);
    worker_tell_others(c, &(mail){ .type = MAIL_DRAIN, .session = d->number }, phi_writer_view(&w));
}

void drain_handle(center *c, uint32_t from, const mail *m, phi_bytes bytes)
{
    if (m->type == MAIL_DRAIN) {
        on_share_asked(c, m, bytes);
        return;
    }
    drain *d = find_drain(c, m->session);
    if (d == NULL) { // it is over
        return;
    }
    if (m->type == MAIL_DRAIN_OVER) {
        PH_ASSERT(d->head == NULL);
        drain_free(c, d);
        return;
    }
    if (m->type == MAIL_DRAIN_WHO) {
        tell_names(c, d);
        return;
    }
    PH_ASSERT(d->head != NULL);
    if (m->type == MAIL_NAMES) {
        on_names(c, d, from, bytes);
        return;
    }
    PH_ASSERT(bytes.size == sizeof d->shares[from]);
    memcpy(&d->shares[from], bytes.data, bytes.size);
}

static drain *find_drain(const center *c, uint64_t number)
{
    for (phi_list *n = c->drains.next; n != &c->drains; n = n->next) {
        drain *d = PHI_CONTAINER_OF(n, drain, node);
        if (d->number == number) {
            return d;
        }
    }
    return NULL;
}

static void on_share_asked(center *c, const mail *m, phi_bytes bytes)
{
    drain *d = phi_take_zeroed(&c->quota.counted, 1, drain_bytes(c));
    if (d == NULL) {
        return; // nobody hears that it is done: it ends with its patience
    }
    phi_reader r = phi_reader_of(bytes);
    d->number = m->session;
    d->revision = phi_read_u64(&r);
    d->type = phi_read_u8(&r);
    phi_bytes name = phi_read_str8(&r);
    account *a = registry_find(&c->registry, name);
    d->account = a == NULL ? 0 : a->handle;
    set_subject(d, name, phi_read_str8(&r));
    PH_ASSERT(!r.failed);
    d->told.waiting = UINT32_MAX; // nothing yet
    await(c, d);
    phi_io_hurry(c->io);
}

// When it is another than the first worker knows. Calls are counted only then, because that walks
// over them: so it may know a number that is over, but not of calls where there are none.
static void tell_share(center *c, drain *d)
{
    drain_share now = { .is_done = is_share_done(c, d) };
    now.waiting = now.is_done ? 0 : d->waiting;
    if (now.waiting == d->told.waiting && now.is_done == d->told.is_done &&
        has_calls(c, d) == (d->told.calls != 0)) {
        return;
    }
    now.calls = now.is_done ? 0 : count_calls(c, d);
    d->told = now;
    worker_tell(c, WORKER_FIRST, &(mail){ .type = MAIL_DRAINED, .session = d->number },
                phi_bytes_of((const uint8_t *)&now, sizeof now));
}

static void tell_names(center *c, const drain *d)
{
    PH_ASSERT(d->head == NULL);
    uint8_t bytes[sizeof(drain_share) + DELIVER_OWN_BODY_BYTES_MAX];
    drain_share now = { .is_done = is_share_done(c, d) };
    now.waiting = now.is_done ? 0 : d->waiting;
    now.calls = now.is_done ? 0 : count_calls(c, d);
    memcpy(bytes, &now, sizeof now);
    phi_writer w = phi_writer_of((phi_span){ bytes + sizeof now, DELIVER_OWN_BODY_BYTES_MAX });
    uint32_t index = 0;
    uint64_t handle;
    const session *s;
    for (; now.waiting != 0 && (s = phi_slots_next(&c->sessions, &index, &handle)) != NULL;
         index++) {
        if (s->watch == NULL || !concerns(c, d, s->watch)) {
            continue;
        }
        if ((size_t)(w.end - w.at) < 1 + session_account(s).size) {
            break;
        }
        phi_write_str8(&w, session_account(s));
    }
    PH_ASSERT(!w.failed);
    worker_tell(c, WORKER_FIRST, &(mail){ .type = MAIL_NAMES, .session = d->number },
                phi_bytes_of(bytes, sizeof now + phi_writer_size(&w)));
}

// As many as there is room for: those that come first.
static void on_names(center *c, drain *d, uint32_t from, phi_bytes bytes)
{
    PH_ASSERT(d->names != NULL);
    PH_ASSERT(d->names_asked > 0);
    PH_ASSERT(bytes.size >= sizeof d->shares[from]);
    memcpy(&d->shares[from], bytes.data, sizeof d->shares[from]);
    phi_reader r = phi_reader_of(
        phi_bytes_of(bytes.data + sizeof d->shares[from], bytes.size - sizeof d->shares[from]));
    while (phi_reader_left(&r) != 0) {
        phi_bytes name = phi_read_str8(&r);
        PH_ASSERT(!r.failed);
        if (DELIVER_OWN_BODY_BYTES_MAX - d->names_size < 1 + name.size) {
            break;
        }
        d->names[d->names_size] = (uint8_t)name.size;
        memcpy(d->names + d->names_size + 1, name.data, name.size);
        d->names_size += 1 + (uint32_t)name.size;
    }
    d->names_asked--;
    if (d->names_asked == 0) {
        conclude(c, d);
    }
}

void drain_drop_all(center *c)
{
    for (phi_list *n = c->drains.next; n != &c->drains;) {
        drain *d = PHI_CONTAINER_OF(n, drain, node);
        n = n->next;
        if (d->head == NULL) {
            drain_free(c, d);
        }
    }
}
