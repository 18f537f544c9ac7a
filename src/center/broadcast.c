// SPDX-License-Identifier: Apache-2.0
//
// center/broadcast.c - see broadcast.h.
//
// Design notes
//   - Whoever is meant is settled when a broadcast begins. Everyone is walked over by place; who
//     joined later has a higher number and is passed over. Instances and subscribers are found in
//     one go, as many as the allowance has room for are told at once, and the others are kept as
//     handles: a handle misses who left, and a client that comes back has another.
//   - Receivers are told together: those of a known topic all at once, others by the handful, as
//     they are found. Then what is the same for all is asked once (event_tell_all). Everyone and
//     the instances of a service are found so cheaply that keeping them, too, would gain little.
//   - Finding subscribers has a cost of its own, which a client can drive up (topics.h), and so has
//     walking over those who have not joined. It is charged to the allowance; so one match may
//     exceed a turn, but the next then waits.
//   - One that waits is not begun before it has its share: nobody is found in vain.
//   - A share is a fraction of the allowance, and rounds are made until the allowance is used up: a
//     lone sender gets all of it, many get alike, whatever the size of what each one asks for.
//   - What does not fan out needs no allowance: the io reads once a turn from each connection,
//     which bounds what one can ask for. Later fragments for many are charged, and their sender
//     held all the same, with nobody to tell.
//   - The first fragment of a message (stream.h) is told like any event; in later turns the stream
//     is opened anew for it.
//
// Invariants  session.broadcast is set exactly for those on center.broadcasts, and those are held
//             while any waits, the allowance of this turn is used up

#include "center/broadcast.h"

#include "base/assert.h"
#include "center/gather.h"
#include "center/state.h"
#include "center/stream.h"
#include "center/subscription.h"

enum {
    SHARES = 8,             // of an allowance
    PLACES_A_DELIVERY = 16, // looked at by a match, or receivers kept: they cost about the same
    KEPT_FIRST = 32,        // handles
    HANDFUL = 64,           // receivers that are told together
};

// Who is still to be told.
typedef struct fan {
    center_event event;
    broadcast_kind kind;
    bool is_begun;
    phi_bytes name;        // view into event.payload
    uint32_t index;        // everyone: in center.sessions
    uint64_t session_last; // same: who has a higher number joined later
    uint64_t told;         // same: or found full
    uint64_t *kept;        // others: owned; handles in center.sessions
    uint32_t kept_at;      // of the next
    uint32_t kept_count;
    uint32_t kept_capacity;
    uint64_t call; // gather: its handle
} fan;

struct broadcast {
    phi_list node; // on center.broadcasts
    fan fan;       // its sender is borrowed until broadcast_drop
    uint8_t payload[];
};

// A fan whose receivers are being found, one by one.
typedef struct finding {
    center *center;
    fan *fan;
    uint32_t count;
    session *found[HANDFUL]; // and not told yet
} finding;

static void wait_for_rest(center *c, const center_event *e, const readership *known, uint32_t told);
static void start_waiting(center *c, fan *f);
static bool run(center *c, fan *f);
static bool run_on(center *c, fan *f);
static bool run_everyone(center *c, fan *f);
static uint32_t next_of_all(const center *c, fan *f, session **receivers);
static void begin(center *c, fan *f);
static void find_instances(center *c, fan *f);
static void find_ghost(center *c, center_event *e, const account *a);
static void find_subscribers(center *c, fan *f);
static bool may_publish(center *c, center_event *e);
static void find_anew(center *c, fan *f);
static void find_known(center *c, fan *f, const readership *known);
static void on_found(void *arg, void *owner);
static void reach_found(finding *w);
static void reach(center *c, fan *f, session *const *receivers, uint32_t count);
static uint32_t tell(center *c, fan *f, session *const *receivers, uint32_t count);
static void charge(center *c, uint64_t places);

static void keep_all(center *c, fan *f, session *const *receivers, uint32_t count);
static bool keep(center *c, fan *f, const session *receiver);
static bool run_kept(center *c, fan *f);
static uint32_t next_of_kept(center *c, fan *f, session **receivers);
static void miss_rest(center *c, fan *f, ph_failure_code why);
static void hide(center *c, fan *f);
static void finish(center *c, fan *f);

static broadcast *wait_new(center *c, fan *f);
static void hold(center *c, session *s);
static void go_on(center *c, broadcast *b);
static void wait_free(center *c, broadcast *b);

void broadcast_start(center *c, const center_event *e, broadcast_kind kind, phi_bytes name)
{
    session *s = e->sender;
    PH_ASSERT(s->broadcast == NULL); // or it would be held
    fan f = { .event = *e, .kind = kind, .name = name, .session_last = c->session_last };
    if (PHI_LIKELY(run(c, &f))) {
        finish(c, &f);
    } else {
        start_waiting(c, &f);
    }
}

// Most events on topics are such: all who are to be told fit into the turn, and nothing is to be
// kept of them.
bool broadcast_again(center *c, session *s, phi_bytes to, phi_bytes payload)
{
    readership *known = readership_again(&c->readerships, to);
    if (known == NULL || known->count >= c->deliveries_left) {
        return false;
    }
    PH_ASSERT(s->broadcast == NULL); // or it would be held
    guard_topic *topic = PHI_LIKELY(c->guard.judged_count == 0) ? NULL : &known->topic;
    if (topic != NULL && !guard_may_publish(c, s, topic)) {
        return false;
    }
    uint32_t ttl_ms = phi_get_u32(payload.data + PHI_MESSAGE_TTL_AT);
    center_event e = { .sender = s,
                       .payload = payload,
                       .ttl_ms = ttl_ms,
                       .left_ms = ttl_ms,
                       .since = c->io->now,
                       .topic = topic,
                       .fan = fan_mail_new(c) };
    uint32_t told = event_tell_all(c, &e, (session *const *)known->owners, known->count);
    PH_ASSERT(known->version == c->topics.version); // nobody comes or goes meanwhile
    broadcast_charge(c, told);
    if (PHI_UNLIKELY(told < known->count)) {
        wait_for_rest(c, &e, known, told);
    }
    charge(c, known->cost);
    c->counters.topics_known_total++;
    return true;
}

// Those behind the first `told` are told when there is room in the mailboxes.
static PHI_NOINLINE void wait_for_rest(center *c, const center_event *e, const readership *known,
                                       uint32_t told)
{
    PH_ASSERT(c->deliveries_left == 0);
    fan f = { .event = *e, .kind = BROADCAST_TOPIC, .is_begun = true };
    f.event.topic = NULL;
    f.name = phi_address_parse(phi_message_of(e->payload).to).name;
    keep_all(c, &f, (session *const *)known->owners + told, known->count - told);
    start_waiting(c, &f);
}

// Without memory those who are left miss it.
static PHI_NOINLINE void start_waiting(center *c, fan *f)
{
    PH_ASSERT(c->deliveries_left == 0);
    if (wait_new(c, f) != NULL) {
        hold(c, f->event.sender);
        return;
    }
    miss_rest(c, f, PH_FAILURE_SLOW_CONSUMER);
    finish(c, f);
}

bool broadcast_wait(center *c, session *s, phi_bytes payload, uint64_t handle)
{
    PH_ASSERT(s->broadcast == NULL); // or it would be held
    PH_ASSERT(c->deliveries_left == 0);
    fan f = { .event = { .sender = s, .payload = payload },
              .kind = BROADCAST_GATHER,
              .call = handle };
    if (wait_new(c, &f) == NULL) {
        return false;
    }
    hold(c, s);
    return true;
}

void broadcast_charge(center *c, uint64_t deliveries)
{
    c->deliveries_left -= deliveries < c->deliveries_left ? deliveries : c->deliveries_left;
}

void broadcast_spend(center *c, session *s, uint64_t deliveries)
{
    broadcast_charge(c, deliveries);
    if (PHI_LIKELY(c->deliveries_left > 0) || !session_is(s, SESSION_JOINED)) {
        return;
    }
    PH_ASSERT(s->broadcast == NULL); // or it would be held
    fan f = { .event = { .sender = s, .payload = phi_bytes_text("") }, .kind = BROADCAST_NOBODY };
    if (wait_new(c, &f) != NULL) { // without memory it goes on at once
        hold(c, s);
    }
}

void broadcast_turn(center *c)
{
    if (PHI_UNLIKELY(worker_is_crowded(c))) { // what waits would only wait elsewhere
        c->deliveries_left = 0;
        return;
    }
    uint64_t left = c->options.deliveries_per_turn_max;
    uint64_t share = left / SHARES + 1;
    while (left > 0 && !phi_list_is_empty(&c->broadcasts)) {
        uint64_t allowed = share < left ? share : left;
        c->deliveries_left = allowed;
        go_on(c, PHI_CONTAINER_OF(phi_list_take(&c->broadcasts), broadcast, node));
        PH_ASSERT(c->deliveries_left <= allowed);
        left -= allowed - c->deliveries_left;
    }
    c->deliveries_left = left;
    if (!phi_list_is_empty(&c->broadcasts)) {
        phi_io_hurry(c->io);
    }
}

void broadcast_drop(center *c, session *s)
{
    broadcast *b = s->broadcast;
    if (b != NULL) {
        PH_ASSERT(b->fan.event.sender == s);
        miss_rest(c, &b->fan, PH_FAILURE_CALLER_LOST);
        phi_list_remove(&b->node);
        wait_free(c, b);
    }
}

// ---- telling

// False when the allowance was used up before everybody was told.
static bool run(center *c, fan *f)
{
    if (PHI_LIKELY(f->kind != BROADCAST_TOPIC || c->guard.judged_count == 0)) {
        return run_on(c, f);
    }
    guard_topic judged = { .name = f->name };
    f->event.topic = &judged;
    bool is_done = run_on(c, f);
    f->event.topic = NULL;
    return is_done;
}

static bool run_on(center *c, fan *f)
{
    if (PHI_UNLIKELY(event_is_expired(c, &f->event))) { // [P-57]
        miss_rest(c, f, PH_FAILURE_DEADLINE);
        return true;
    }
    f->event.fan = fan_mail_new(c);
    if (f->kind == BROADCAST_EVERYONE) {
        return run_everyone(c, f);
    }
    if (!f->is_begun) {
        if (c->deliveries_left == 0) {
            return false;
        }
        if (f->kind == BROADCAST_GATHER) {
            gather_ask(c, f->call, f->event.payload);
            return true;
        }
        if (f->kind == BROADCAST_NOBODY) {
            return true;
        }
        begin(c, f);
    }
    return run_kept(c, f);
}

static bool run_everyone(center *c, fan *f)
{
    while (f->index < c->sessions.high) {
        if (c->deliveries_left == 0) {
            return false;
        }
        session *receivers[HANDFUL];
        uint32_t from = f->index;
        uint32_t count = next_of_all(c, f, receivers);
        uint32_t told = tell(c, f, receivers, count);
        if (PHI_UNLIKELY(told < count)) {
            f->index = phi_slots_index(receivers[told]->handle);
        }
        f->told += told;
        charge(c, f->index - from - told);
    }
    return true;
}

// As many as the allowance has room for, and where to look for the one behind them.
static uint32_t next_of_all(const center *c, fan *f, session **receivers)
{
    uint64_t handle;
    session *other;
    uint32_t count = 0;
    for (; (other = phi_slots_next(&c->sessions, &f->index, &handle)) != NULL; f->index++) {
        if (other == f->event.sender || !session_is(other, SESSION_JOINED) ||
            other->number > f->session_last) {
            continue;
        }
        if (count == HANDFUL || count == c->deliveries_left) {
            return count;
        }
        receivers[count++] = other;
    }
    f->index = c->sessions.high;
    return count;
}

// Tells as many as the allowance has room for, and keeps the others.
static void begin(center *c, fan *f)
{
    PH_ASSERT(c->deliveries_left > 0);
    f->is_begun = true;
    if (f->kind == BROADCAST_INSTANCES) {
        find_instances(c, f);
    } else {
        find_subscribers(c, f);
    }
}

static void find_instances(center *c, fan *f)
{
    center_event *e = &f->event;
    const service *v = services_find(&c->registry.services, f->name);
    finding w = { .center = c, .fan = f };
    bool is_any = false;
    if (v != NULL) {
        for (phi_list *n = v->instances.next; n != &v->instances; n = n->next) {
            const account *a = PHI_CONTAINER_OF(n, account, of_service);
            if (a->session == e->sender) {
                continue;
            }
            is_any = true;
            if (a->session == NULL) { // [P-49]
                find_ghost(c, e, a);
            } else {
                on_found(&w, a->session);
            }
        }
        reach_found(&w);
        charge(c, v->instance_count);
    }
    if (!is_any) {
        event_nobody(c, e, PH_FAILURE_NO_READY_INSTANCE);
    }
}

static void find_ghost(center *c, center_event *e, const account *a)
{
    if (guard_may(c, e->sender, PHI_MAY_SEND, a, phi_message_of(e->payload).method)) {
        event_miss(c, e, 1, PH_FAILURE_OFFLINE);
    }
}

static void find_subscribers(center *c, fan *f)
{
    const readership *known = readership_find(&c->readerships, f->name);
    if (PHI_UNLIKELY(known == NULL)) {
        find_anew(c, f);
    } else if (may_publish(c, &f->event)) {
        find_known(c, f, known);
    }
}

static bool may_publish(center *c, center_event *e)
{
    if (PHI_LIKELY(e->topic == NULL) || guard_may_publish(c, e->sender, e->topic)) {
        return true;
    }
    guard_refused_message(c, e->sender, e->payload);
    event_nobody(c, e, PH_FAILURE_REFUSED_BY_POLICY);
    return false;
}

static PHI_NOINLINE void find_anew(center *c, fan *f)
{
    phi_topic topic;
    if (!phi_topic_parse(f->name, &topic)) {
        event_nobody(c, &f->event, PH_FAILURE_MALFORMED);
    } else if (may_publish(c, &f->event)) {
        c->counters.topics_matched_total++;
        finding w = { .center = c, .fan = f };
        size_t cost = readership_match(&c->readerships, f->name, &topic, on_found, &w);
        reach_found(&w);
        charge(c, cost);
    }
}

static void find_known(center *c, fan *f, const readership *known)
{
    reach(c, f, (session *const *)known->owners, known->count);
    PH_ASSERT(known->version == c->topics.version); // nobody comes or goes meanwhile
    charge(c, known->cost);
    c->counters.topics_known_total++;
}

static void on_found(void *arg, void *owner)
{
    finding *w = arg;
    w->found[w->count++] = owner;
    if (w->count == HANDFUL) {
        reach_found(w);
    }
}

static void reach_found(finding *w)
{
    reach(w->center, w->fan, w->found, w->count);
    w->count = 0;
}

// Those who do not fit into the turn are told later.
static void reach(center *c, fan *f, session *const *receivers, uint32_t count)
{
    uint32_t told = tell(c, f, receivers, count);
    keep_all(c, f, receivers + told, count - told);
}

// Returns how many could be told until the allowance was used up.
static uint32_t tell(center *c, fan *f, session *const *receivers, uint32_t count)
{
    uint64_t most = c->deliveries_left;
    uint32_t told = event_tell_all(c, &f->event, receivers, count < most ? count : (uint32_t)most);
    broadcast_charge(c, told);
    PH_ASSERT(told == count || c->deliveries_left == 0);
    return told;
}

static void charge(center *c, uint64_t places)
{
    c->places_passed += places;
    uint64_t deliveries = c->places_passed / PLACES_A_DELIVERY;
    c->places_passed %= PLACES_A_DELIVERY;
    broadcast_charge(c, deliveries);
}

// ---- those who are told later

// Without memory they miss it.
static void keep_all(center *c, fan *f, session *const *receivers, uint32_t count)
{
    uint32_t kept = 0;
    while (kept < count && keep(c, f, receivers[kept])) {
        kept++;
    }
    event_miss(c, &f->event, count - kept, PH_FAILURE_SLOW_CONSUMER);
}

static bool keep(center *c, fan *f, const session *receiver)
{
    if (f->kept_count == f->kept_capacity) {
        uint32_t capacity = f->kept_capacity == 0 ? KEPT_FIRST : 2 * f->kept_capacity;
        if (phi_quota_is_used_up(&c->quota)) {
            return false;
        }
        uint64_t *kept = phi_resize(&c->quota.counted, f->kept, f->kept_capacity * sizeof *kept,
                                    capacity * sizeof *kept);
        if (kept == NULL) {
            return false;
        }
        f->kept = kept;
        f->kept_capacity = capacity;
    }
    f->kept[f->kept_count++] = receiver->handle;
    return true;
}

// False when the allowance was used up before all were told.
static bool run_kept(center *c, fan *f)
{
    while (f->kept_at < f->kept_count) {
        if (c->deliveries_left == 0) {
            return false;
        }
        session *receivers[HANDFUL];
        uint32_t count = next_of_kept(c, f, receivers);
        uint32_t told = tell(c, f, receivers, count);
        while (PHI_UNLIKELY(count > told)) { // they are the next again
            f->kept[--f->kept_at] = receivers[--count]->handle;
        }
    }
    return true;
}

// As many as the allowance has room for.
static uint32_t next_of_kept(center *c, fan *f, session **receivers)
{
    uint32_t count = 0;
    for (; f->kept_at < f->kept_count && count < HANDFUL; f->kept_at++) {
        if (count == c->deliveries_left) {
            break;
        }
        session *receiver = phi_slots_find(&c->sessions, f->kept[f->kept_at]);
        if (receiver == NULL || !session_is(receiver, SESSION_JOINED)) {
            broadcast_charge(c, 1);
            event_miss(c, &f->event, 1, PH_FAILURE_NO_SUCH_ACCOUNT);
        } else {
            receivers[count++] = receiver;
        }
    }
    return count;
}

// Nobody else gets it. Of everyone the count is blurred by those that joined or left since.
static void miss_rest(center *c, fan *f, ph_failure_code why)
{
    if (f->kind == BROADCAST_GATHER || f->kind == BROADCAST_NOBODY) {
        return; // it ends as the call that it is; there is none
    }
    if (f->kind == BROADCAST_EVERYONE && f->event.sender->role == NULL) {
        uint64_t meant = c->joined_count - 1;
        event_miss(c, &f->event, meant > f->told ? meant - f->told : 0, why);
    } else if (f->is_begun && f->event.sender->role == NULL) {
        event_miss(c, &f->event, f->kept_count - f->kept_at, why);
    } else {
        event_nobody(c, &f->event, why);
    }
    f->kept_at = f->kept_count;
}

// Who may not write to them does not learn whether there are any.
static PHI_NOINLINE void hide(center *c, fan *f)
{
    center_event *e = &f->event;
    bool is_hidden = f->kind == BROADCAST_EVERYONE || f->kind == BROADCAST_INSTANCES;
    if (!is_hidden || e->tally.delivered != 0 || e->tally.dropped != 0) {
        return;
    }
    const phi_target target = { .service = f->name, .method = phi_message_of(e->payload).method };
    if (!guard_may_name(c, e->sender, PHI_MAY_SEND, &target)) {
        guard_refused_message(c, e->sender, e->payload);
        e->tally.code = PH_FAILURE_REFUSED_BY_POLICY;
    } else if (e->tally.code == 0 && f->kind == BROADCAST_INSTANCES) {
        e->tally.code = PH_FAILURE_NO_READY_INSTANCE;
    }
}

static void finish(center *c, fan *f)
{
    if (PHI_UNLIKELY(f->event.sender->role != NULL)) {
        hide(c, f);
    }
    event_done(c, &f->event);
    phi_give(&c->quota.counted, f->kept, f->kept_capacity * sizeof *f->kept);
    f->kept = NULL;
}

// ---- waiting

// NULL without memory; then the fan stays the caller's.
static broadcast *wait_new(center *c, fan *f)
{
    phi_bytes payload = f->event.payload;
    if (phi_quota_is_used_up(&c->quota)) {
        return NULL;
    }
    broadcast *b = phi_take(&c->quota.counted, sizeof *b + payload.size);
    if (b == NULL) {
        return NULL;
    }
    *b = (broadcast){ .fan = *f };
    memcpy(b->payload, payload.data, payload.size);
    b->fan.event.payload.data = b->payload;
    if (f->name.size != 0) {
        PH_ASSERT(f->name.data > payload.data);
        PH_ASSERT(f->name.data < payload.data + payload.size);
        b->fan.name.data = b->payload + (f->name.data - payload.data);
    }
    phi_list_append(&c->broadcasts, &b->node);
    f->event.sender->broadcast = b;
    return b;
}

static void hold(center *c, session *s)
{
    PH_ASSERT(s->broadcast != NULL);
    c->counters.broadcasts_held_total++;
    session_hold(c, s);
    phi_io_hurry(c->io);
}

// The broadcast, and when that is done what its sender sent behind it, up to the next that waits.
static void go_on(center *c, broadcast *b)
{
    fan *f = &b->fan;
    session *s = f->event.sender;
    PH_ASSERT(s->broadcast == b);
    PH_ASSERT(session_is(s, SESSION_JOINED));
    uint64_t stream = f->event.stream;
    bool is_done = true;
    if (stream == 0) {
        is_done = run(c, f);
    } else if (stream_reopen(c, stream)) {
        is_done = run(c, f);
        stream_pause(c);
    } else { // it was given up
        miss_rest(c, f, PH_FAILURE_CANCELLED);
        stream = 0;
    }
    if (!is_done) {
        phi_list_append(&c->broadcasts, &b->node);
        return;
    }
    finish(c, f);
    wait_free(c, b);
    if (stream != 0) {
        stream_opened(c, stream);
    }
    session_go_on(s);
}

static void wait_free(center *c, broadcast *b)
{
    PH_ASSERT(!phi_list_is_linked(&b->node));
    fan *f = &b->fan;
    f->event.sender->broadcast = NULL;
    phi_give(&c->quota.counted, f->kept, f->kept_capacity * sizeof *f->kept);
    phi_give(&c->quota.counted, b, sizeof *b + f->event.payload.size);
}
