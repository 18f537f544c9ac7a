// SPDX-License-Identifier: Apache-2.0
//
// center/throttle.c - see throttle.h.
//
// Design notes
//   - Whatever is charged is a *source*: an account or an address. It is known by a hash of 64 bits
//     under the center's secret; so nobody can find two that collide, and a longer name takes no
//     more room.
//   - A source that owes nothing is as good as a new one. So sources that no connection is charged
//     to wait on a list; each new one looks at two of them, and frees those that owe nothing. So
//     the table holds what is in use, and what still owes.
//   - A connection whose account owes is not read until the debt is paid, for which it has a timer.
//     When an address owes, that is so for all of its connections, each after its next read. So an
//     address may be ahead by one read of each of them, which it then pays for.
//
// Invariants  see throttle_check

#include "center/throttle.h"

#include "base/assert.h"
#include "base/siphash.h"
#include "center/state.h"

typedef struct throttle_source {
    phi_hashed_head head;
    uint32_t users;       // meters that it is charged by
    uint32_t connections; // at the first worker: of that address, at all
    uint64_t name;
    phi_list idle; // on throttle.idle
    phi_bucket messages;
    phi_bucket bytes;
    phi_bucket accepts;
    phi_time refused_since; // when the first of `refusals` was
    phi_time barred_until;
    uint32_t refusals;
    uint32_t bars; // in a row
} throttle_source;

enum {
    SWEEP_COUNT = 2, // idle sources looked at for each new one
    GOOD_TIMES = 10,
};

// In front of what a name is the hash of.
typedef enum source_kind {
    SOURCE_UNIX,
    SOURCE_LOOPBACK,
    SOURCE_HOST,
    SOURCE_ACCOUNT,
} source_kind;

// ---- names

static uint64_t name_of(const center *c, source_kind kind, phi_bytes bytes)
{
    uint8_t text[1 + PHI_NAME_BYTES_MAX] = { (uint8_t)kind };
    PH_ASSERT(bytes.size < sizeof text);
    if (bytes.size != 0) {
        memcpy(text + 1, bytes.data, bytes.size);
    }
    uint64_t name = phi_siphash(c->hash, phi_bytes_of(text, 1 + bytes.size));
    return name == 0 ? 1 : name;
}

static bool is_mapped(const uint8_t host[16])
{
    static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };
    return memcmp(host, prefix, sizeof prefix) == 0;
}

static uint64_t name_of_host(const center *c, const phi_identity *who)
{
    static const uint8_t none[16];
    if (who->is_local) {
        bool is_unix = memcmp(who->host, none, sizeof none) == 0;
        return name_of(c, is_unix ? SOURCE_UNIX : SOURCE_LOOPBACK, phi_bytes_of(NULL, 0));
    }
    return name_of(c, SOURCE_HOST, phi_bytes_of(who->host, is_mapped(who->host) ? 16 : 8));
}

// ---- sources

static throttle_source *source_at(const throttle *t, uint32_t index)
{
    return phi_hashed_at(&t->sources, index);
}

// 0: there is none.
static uint32_t source_find(const throttle *t, uint64_t name)
{
    uint32_t index = phi_hashed_first(&t->sources, (uint32_t)name);
    while (index != 0 && source_at(t, index)->name != name) {
        index = source_at(t, index)->head.next;
    }
    return index;
}

static bool source_is_used(const throttle_source *s)
{
    return s->users != 0 || s->connections != 0;
}

// It owes nothing, and is no longer under suspicion.
static bool source_is_new(const throttle_source *s, phi_time now)
{
    phi_time good = phi_time_add(s->barred_until, phi_ms(GOOD_TIMES * THROTTLE_REFUSALS_MS));
    phi_time counted = phi_time_add(s->refused_since, phi_ms(THROTTLE_REFUSALS_MS));
    return phi_bucket_is_full(&s->messages, now) && phi_bucket_is_full(&s->bytes, now) &&
           phi_bucket_is_full(&s->accepts, now) &&
           (s->refusals == 0 || phi_time_before(counted, now)) &&
           (s->bars == 0 || phi_time_before(good, now));
}

static void source_free(throttle *t, throttle_source *s)
{
    PH_ASSERT(!source_is_used(s));
    phi_list_remove(&s->idle);
    phi_hashed_give(&t->sources, source_find(t, s->name));
}

// Those that have waited longest; with a full table the first of them must go in any case.
static void sources_sweep(throttle *t, phi_time now)
{
    for (int i = 0; i < SWEEP_COUNT && !phi_list_is_empty(&t->idle); i++) {
        throttle_source *s = PHI_CONTAINER_OF(t->idle.next, throttle_source, idle);
        bool is_full = t->sources.count == t->sources.count_max;
        if (is_full || source_is_new(s, now)) {
            source_free(t, s);
        } else {
            phi_list_remove(&s->idle);
            phi_list_append(&t->idle, &s->idle);
        }
    }
}

// 0: all places are taken by sources in use, or there is no memory.
static uint32_t source_take(throttle *t, uint64_t name, phi_time now)
{
    uint32_t index = source_find(t, name);
    if (index != 0) {
        return index;
    }
    sources_sweep(t, now);
    index = phi_hashed_take(&t->sources, (uint32_t)name);
    if (index != 0) {
        throttle_source *s = source_at(t, index);
        s->name = name;
        phi_list_append(&t->idle, &s->idle);
    }
    return index;
}

// After a change of its users: it waits on the list, or does not.
static void source_settle(throttle *t, throttle_source *s)
{
    phi_list_remove(&s->idle);
    if (!source_is_used(s)) {
        phi_list_append(&t->idle, &s->idle);
    }
}

static uint32_t source_use(throttle *t, uint64_t name, phi_time now)
{
    uint32_t index = source_take(t, name, now);
    if (index != 0) {
        source_at(t, index)->users++;
        source_settle(t, source_at(t, index));
    }
    return index;
}

static void source_unuse(throttle *t, uint32_t index)
{
    if (index != 0) {
        throttle_source *s = source_at(t, index);
        PH_ASSERT(s->users > 0);
        s->users--;
        source_settle(t, s);
    }
}

// ---- what is sent

static void source_charge(throttle_source *s, const throttle_rates *rates, size_t bytes,
                          size_t packets, phi_time now)
{
    PH_ASSERT(bytes <= UINT32_MAX);
    PH_ASSERT(packets <= UINT32_MAX);
    if (rates->messages != 0) {
        phi_bucket_charge(&s->messages, rates->messages, (uint32_t)packets, now);
    }
    if (rates->bytes != 0) {
        phi_bucket_charge(&s->bytes, rates->bytes, (uint32_t)bytes, now);
    }
}

static phi_time later(phi_time a, phi_time b)
{
    return phi_time_before(a, b) ? b : a;
}

// When it may send on.
static phi_time source_ready(const throttle_source *s, const throttle_rates *rates, phi_time now)
{
    phi_time ready = now;
    if (rates->messages != 0) {
        ready = later(ready, phi_bucket_ready(&s->messages, rates->messages, now));
    }
    if (rates->bytes != 0) {
        ready = later(ready, phi_bucket_ready(&s->bytes, rates->bytes, now));
    }
    return ready;
}

static phi_time meter_ready(const throttle *t, const session_meter *m, phi_time now)
{
    phi_time ready = now;
    if (m->host != 0) {
        ready = source_ready(source_at(t, m->host), &t->host, now);
    }
    if (m->account != 0) {
        ready = later(ready, source_ready(source_at(t, m->account), &t->account, now));
    }
    return ready;
}

static void meter_wait(center *c, session_meter *m, phi_time until)
{
    m->until = until;
    phi_timer_set(&c->io->timers, &m->wake, until);
}

static void on_wake(phi_timer *timer, phi_time now)
{
    session_meter *m = PHI_CONTAINER_OF(timer, session_meter, wake);
    center *c = center_of(m->session);
    phi_time ready = meter_ready(&c->throttle, m, now);
    if (phi_time_before(now, ready)) {
        meter_wait(c, m, ready); // others of its address were read
        return;
    }
    PH_ASSERT(c->throttle.paused_count > 0);
    c->throttle.paused_count--;
    phi_transport_pause(&m->session->transport, false);
}

// NULL: no memory.
static session_meter *meter_of(center *c, session *s)
{
    PH_ASSERT(!s->is_abroad);
    if (s->meter == NULL) {
        s->meter = phi_take_zeroed(center_alloc(c, CENTER_MEMORY_SESSIONS), 1, sizeof *s->meter);
        if (s->meter != NULL) {
            s->meter->session = s;
            phi_timer_init(&s->meter->wake, on_wake);
        }
    }
    return s->meter;
}

void throttle_pause(center *c, session *s, phi_time until)
{
    session_meter *m = meter_of(c, s);
    if (m == NULL || !phi_time_before(c->io->now, until)) {
        return;
    }
    if (!phi_timer_is_set(&m->wake)) {
        c->throttle.paused_count++;
        c->counters.pauses_total++;
        phi_transport_pause(&s->transport, true);
    } else if (!phi_time_before(m->until, until)) {
        return; // it waits longer for another reason
    }
    meter_wait(c, m, until);
}

// It owes: it is not read before it does not.
static void meter_judge(center *c, session *s)
{
    phi_time now = c->io->now;
    phi_time ready = meter_ready(&c->throttle, s->meter, now);
    if (!phi_time_before(now, ready)) {
        return;
    }
    char peer[PHI_ADDRESS_TEXT_MAX];
    session_peer(s, peer);
    CENTER_LOG_WRITE(c, SLOWED, PHI_LOG_TEXT("peer", phi_bytes_text(peer)),
                     PHI_LOG_TEXT("id", s->id == NULL ? phi_bytes_text("") : session_id(s)),
                     PHI_LOG_NUMBER("pause_ms", phi_dur_ms(phi_time_diff(ready, now)) + 1));
    throttle_pause(c, s, ready);
}

void throttle_read(center *c, session *s, size_t bytes, size_t packets)
{
    const session_meter *m = s->meter;
    throttle *t = &c->throttle;
    if (m == NULL) {
        return;
    }
    if (m->host != 0) {
        source_charge(source_at(t, m->host), &t->host, bytes, packets, c->io->now);
    }
    if (m->account != 0) {
        source_charge(source_at(t, m->account), &t->account, bytes, packets, c->io->now);
    }
    if (!session_is(s, SESSION_LEAVING)) { // else it owes when it comes again
        meter_judge(c, s);
    }
}

// ---- connections

// Counts for the worker that accepts.
static bool counts_connections(const center *c)
{
    return c->options.address_connections_max != 0 ||
           c->options.address_connections_per_second != 0;
}

static bool refuse(center *c, const phi_stream *stream, const char *limit, phi_dur wait,
                   uint32_t *retry_after_ms)
{
    char peer[PHI_ADDRESS_TEXT_MAX];
    phi_stream_peer(c->io, stream, peer);
    uint64_t ms = phi_dur_ms(wait) + session_retry_after(c);
    CENTER_LOG_WRITE(c, LIMITED, PHI_LOG_TEXT("peer", phi_bytes_text(peer)),
                     PHI_LOG_TEXT("limit", phi_bytes_text(limit)),
                     PHI_LOG_NUMBER("retry_after_ms", ms));
    c->counters.connections_limited_total++;
    *retry_after_ms = (uint32_t)ms;
    return false;
}

bool throttle_admits(center *c, const phi_stream *stream, uint64_t *address,
                     uint32_t *retry_after_ms)
{
    throttle *t = &c->throttle;
    const center_options *o = &c->options;
    *address = 0;
    if (!t->is_counting || (!counts_connections(c) && t->sources.count == 0)) {
        return true;
    }
    phi_identity who;
    phi_stream_identity(c->io, stream, &who);
    phi_time now = c->io->now;
    uint64_t name = name_of_host(c, &who);
    uint32_t index = counts_connections(c) ? source_take(t, name, now) : source_find(t, name);
    if (index == 0) {
        return !counts_connections(c) ||
               refuse(c, stream, "throttle_table_max", phi_ns(0), retry_after_ms);
    }
    throttle_source *s = source_at(t, index);
    if (phi_time_before(now, s->barred_until)) {
        phi_dur wait = phi_time_diff(s->barred_until, now);
        return refuse(c, stream, "address_refusals_max", wait, retry_after_ms);
    }
    if (o->address_connections_max != 0 && s->connections >= o->address_connections_max) {
        return refuse(c, stream, "address_connections_max", phi_ns(0), retry_after_ms);
    }
    if (o->address_connections_per_second != 0) {
        phi_time ready = phi_bucket_ready(&s->accepts, o->address_connections_per_second, now);
        if (phi_time_before(now, ready)) {
            phi_dur wait = phi_time_diff(ready, now);
            return refuse(c, stream, "address_connections_per_second", wait, retry_after_ms);
        }
        phi_bucket_charge(&s->accepts, o->address_connections_per_second, 1, now);
    }
    if (o->address_connections_max != 0) {
        s->connections++;
        t->counted++;
        source_settle(t, s);
        *address = name;
    }
    return true;
}

void throttle_gone(center *c, uint64_t address)
{
    if (address == 0) {
        return;
    }
    if (workers_decide(&c->workers)) {
        throttle_on_gone(c, address);
    } else {
        worker_tell(c, WORKER_FIRST, &(mail){ .type = MAIL_GONE, .session = address },
                    phi_bytes_of(NULL, 0));
    }
}

void throttle_on_gone(center *c, uint64_t address)
{
    throttle *t = &c->throttle;
    uint32_t index = source_find(t, address);
    PH_ASSERT(index != 0); // it is in use
    throttle_source *s = source_at(t, index);
    PH_ASSERT(s->connections > 0);
    PH_ASSERT(t->counted > 0);
    s->connections--;
    t->counted--;
    source_settle(t, s);
}

// ---- refusals

// Peers of this machine are not guessing, and could lock each other out.
void throttle_refused(center *c, session *s)
{
    phi_identity who;
    if (!c->throttle.is_counting || c->options.address_refusals_max == 0 ||
        s->transport.stream == NULL) {
        return;
    }
    phi_stream_identity(c->io, s->transport.stream, &who);
    if (who.is_local) {
        return;
    }
    uint64_t name = name_of_host(c, &who);
    if (workers_decide(&c->workers)) {
        throttle_on_refused(c, name);
    } else {
        worker_tell(c, WORKER_FIRST, &(mail){ .type = MAIL_REFUSED, .session = name },
                    phi_bytes_of(NULL, 0));
    }
}

void throttle_on_refused(center *c, uint64_t address)
{
    throttle *t = &c->throttle;
    phi_time now = c->io->now;
    uint32_t index = source_take(t, address, now);
    if (index == 0) {
        return;
    }
    throttle_source *s = source_at(t, index);
    if (s->refusals == 0 ||
        phi_time_diff(now, s->refused_since).ns > phi_ms(THROTTLE_REFUSALS_MS).ns) {
        s->refused_since = now;
        s->refusals = 0;
    }
    s->refusals++;
    if (s->refusals < c->options.address_refusals_max || phi_time_before(now, s->barred_until)) {
        return;
    }
    phi_time good = phi_time_add(s->barred_until, phi_ms(GOOD_TIMES * THROTTLE_REFUSALS_MS));
    uint64_t bar_ms = 1000;
    s->bars = phi_time_before(good, now) ? 0 : s->bars;
    for (uint32_t i = 0; i < s->bars && bar_ms < THROTTLE_BAR_MS_MAX; i++) {
        bar_ms *= 2;
    }
    s->bars++;
    s->refusals = 0;
    s->barred_until = phi_time_add(now, phi_ms(bar_ms));
    c->counters.addresses_barred_total++;
    CENTER_LOG_WRITE(c, BARRED, PHI_LOG_NUMBER("bar_ms", bar_ms), PHI_LOG_NUMBER("bars", s->bars));
}

// ---- life

// Of several workers none knows what the others read.
static uint64_t share_of(const center *c, uint64_t rate)
{
    uint64_t share = rate / c->workers.count;
    return rate != 0 && share == 0 ? 1 : share;
}

void throttle_init(center *c)
{
    const center_options *o = &c->options;
    throttle *t = &c->throttle;
    *t = (throttle){
        .account = { o->client_messages_per_second, o->client_bytes_per_second },
        .host = { share_of(c, o->address_messages_per_second),
                  share_of(c, o->address_bytes_per_second) },
    };
    t->is_metering =
        (t->account.messages | t->account.bytes | t->host.messages | t->host.bytes) != 0;
    t->is_counting = counts_connections(c) || o->address_refusals_max != 0;
    phi_list_init(&t->idle);
    phi_hashed_init(&t->sources, center_alloc(c, CENTER_MEMORY_SESSIONS), sizeof(throttle_source),
                    (uint32_t)o->throttle_table_max);
}

void throttle_fini(center *c)
{
    PH_ASSERT(c->throttle.paused_count == 0);
    phi_hashed_fini(&c->throttle.sources);
}

bool throttle_begin(center *c, session *s, uint64_t address)
{
    throttle *t = &c->throttle;
    bool is_host_metered = t->host.messages != 0 || t->host.bytes != 0;
    if (address == 0 && !t->is_metering) {
        return true;
    }
    session_meter *m = meter_of(c, s);
    if (m == NULL) {
        throttle_gone(c, address);
        return false;
    }
    m->address = address;
    if (is_host_metered) {
        phi_identity who;
        phi_stream_identity(c->io, s->transport.stream, &who);
        m->host = source_use(t, name_of_host(c, &who), c->io->now);
        if (m->host == 0) {
            throttle_end(c, s);
            return false;
        }
        meter_judge(c, s); // its address owes
    }
    return true;
}

bool throttle_joined(center *c, session *s)
{
    throttle *t = &c->throttle;
    if (t->account.messages == 0 && t->account.bytes == 0) {
        return true;
    }
    PH_ASSERT(s->meter != NULL);
    PH_ASSERT(s->meter->account == 0);
    uint64_t name = name_of(c, SOURCE_ACCOUNT, session_account(s));
    s->meter->account = source_use(t, name, c->io->now);
    if (s->meter->account == 0) {
        return false;
    }
    meter_judge(c, s); // it may owe since it was here last
    return true;
}

void throttle_end(center *c, session *s)
{
    session_meter *m = s->meter;
    if (m == NULL) {
        return;
    }
    if (phi_timer_is_set(&m->wake)) {
        phi_timer_clear(&c->io->timers, &m->wake);
        PH_ASSERT(c->throttle.paused_count > 0);
        c->throttle.paused_count--;
    }
    source_unuse(&c->throttle, m->host);
    source_unuse(&c->throttle, m->account);
    throttle_gone(c, m->address);
    phi_give(center_alloc(c, CENTER_MEMORY_SESSIONS), m, sizeof *m);
    s->meter = NULL;
}

void throttle_drop(center *c, session *s)
{
    if (s->meter != NULL && !workers_decide(&c->workers)) {
        s->meter->address = 0; // nobody is left to tell
    }
    throttle_end(c, s);
}

void throttle_check(const center *c)
{
    const throttle *t = &c->throttle;
    phi_hashed_check(&t->sources);
    uint32_t idle = 0;
    for (const phi_list *n = t->idle.next; n != &t->idle; n = n->next) {
        const throttle_source *s = PHI_CONTAINER_OF(n, throttle_source, idle);
        PH_ASSERT(!source_is_used(s));
        PH_ASSERT(source_find(t, s->name) != 0);
        idle++;
    }
    PH_ASSERT(idle <= t->sources.count);
    PH_ASSERT(t->sources.count <= t->sources.count_max);
}
