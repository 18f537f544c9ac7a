// SPDX-License-Identifier: Apache-2.0
//
// center/center.c - see center.h: life, listening, stopping, and the end of a turn. What happens
// between is in session.c, join.c, router.c, broadcast.c, call.c and presence.c.
//
// Design notes
//   - The center's turn hook stands before that of its transports: presence queued in it leaves in
//     the same turn.
//   - What happens outside of a center's own callbacks (center_stop, from a signal) only queues,
//     and makes the next turn come at once.

#include "center/center.h"

#include "base/assert.h"
#include "center/broadcast.h"
#include "center/drain.h"
#include "center/inquiry.h"
#include "center/review.h"
#include "center/state.h"
#include "center/stream.h"
#include "center/subscription.h"
#include "center/throttle.h"
#include "io/address.h"

static const phi_log_event log_events[CENTER_LOG_COUNT] = {
#define CENTER_LOG(name, id, level, text, advice)                                                  \
    [CENTER_LOG_##name] = { (id), PHI_LOG_##level, (text), (advice) },
#include "center/log_events.def"
#undef CENTER_LOG
};

static const struct {
    const char *name;
    size_t offset; // of the uint64_t in center_options
    uint64_t min;
    uint64_t max;
} limits[] = {
#define CENTER_LIMIT(name, type, fallback, min, max, unit, help)                                   \
    { #name, offsetof(center_options, name), (min), (max) },
#include "center/limits.def"
#undef CENTER_LIMIT
};

enum {
    IDLE_MS_MAX = 3600000, // of HELLO's heartbeat idle no client believes more
};

static ph_err check_options(const center_options *options, phi_diag *diag);
static void init_tables(center *c);
static void count_memory(center *c);
static void attach(center *c);
static uint8_t bucket_bits(uint64_t calls_per_client_max);
static void set_link_options(center *c);
static ph_err judge_listen(const center *c, const center_listen_options *options, phi_diag *diag);
static void on_accept(void *owner, phi_stream *stream);
static phi_bytes on_shed(void *owner, ph_err reason);
static void on_turn(phi_turn_hook *hook);
static void end_session_for_stop(center *c, session *s);
static void check_joined(const center *c);

static const phi_listener_events listener_events = {
    .on_accept = on_accept,
    .on_shed = on_shed,
};

const center_security center_security_open = { .anonymous_local = true };

const char *center_listener_name(center_listener kind)
{
    static const char *const names[CENTER_LISTENER_COUNT] = {
        [CENTER_LISTENER_PLAIN] = "plain",
        [CENTER_LISTENER_TLS] = "tls",
        [CENTER_LISTENER_CENTERS] = "centers",
    };
    PH_ASSERT(kind < CENTER_LISTENER_COUNT);
    return names[kind];
}

center_options center_options_default(void)
{
    return (center_options){
        .domain = "local",
        .suite = PHI_SUITE_PLAIN,
#define CENTER_LIMIT(name, type, fallback, min, max, unit, help) .name = (fallback),
#include "center/limits.def"
#undef CENTER_LIMIT
    };
}

ph_err center_new(center **out, phi_io *io, const center_options *options, phi_log *log,
                  phi_diag *diag)
{
    PH_ASSERT(out != NULL);
    PH_ASSERT(io != NULL);
    PH_ASSERT(options != NULL);
    ph_err rc = check_options(options, diag);
    if (rc != PH_OK) {
        return rc;
    }
    center *c = phi_take_zeroed(io->alloc, 1, sizeof *c);
    if (c == NULL) {
        return phi_diag_add(diag, PH_ENOMEM, "create center '%s'", options->domain);
    }
    uint64_t secret[4];
    phi_io_entropy(io, (uint8_t *)secret, sizeof secret);
    c->io = io;
    c->log = log;
    c->started = io->now;
    c->options = *options;
    c->self[0] = '@';
    memcpy(c->self + 1, options->domain, strlen(options->domain));
    c->options.domain = c->self + 1;
    c->security = &center_security_open;
    c->random = phi_random_seeded(secret[0]);
    c->hash = (phi_hash_key){ secret[2], secret[3] };
    count_memory(c);
    uint64_t epoch = options->mailbox == NULL ? secret[1] | 1 : options->epoch;
    rc = presence_init(&c->presence, io, center_alloc(c, CENTER_MEMORY_PRESENCE), options, epoch,
                       c->hash);
    if (rc != PH_OK) {
        phi_give(io->alloc, c, sizeof *c);
        return phi_diag_add(diag, rc, "create center '%s'", options->domain);
    }
    rc = workers_init(c, options->mailbox);
    if (rc != PH_OK) {
        presence_fini(&c->presence);
        phi_give(io->alloc, c, sizeof *c);
        return phi_diag_add(diag, rc, "create center '%s'", options->domain);
    }
    init_tables(c);
    c->call_bucket_bits = bucket_bits(options->calls_per_client_max);
    phi_list_init(&c->broadcasts);
    phi_list_init(&c->drains);
    phi_list_init(&c->status_asks);
    subscription_init(c);
    c->deliveries_left = options->deliveries_per_turn_max;
    c->drain_places_left = CENTER_DRAIN_TURN_PLACES_MAX;
    phi_quota_init(&c->quota, io->alloc, options->send_memory_max);
    set_link_options(c);
    throttle_init(c);
    attach(c);
    (void)session_refusal(c, 0); // one for when there is no memory
    *out = c;
    return PH_OK;
}

static void init_tables(center *c)
{
    const center_options *options = &c->options;
    uint32_t connections_max = (uint32_t)options->connections_max;
    // How many may be abroad the first worker decides (join.c); those that left in the same turn
    // still have their places.
    phi_slots_init(&c->sessions, center_alloc(c, CENTER_MEMORY_SESSIONS), sizeof(session),
                   workers_are_several(&c->workers) ? PHI_SLOTS_COUNT_MAX : connections_max);
    phi_slots_init(&c->streams, center_alloc(c, CENTER_MEMORY_STREAMS), stream_size(),
                   (uint32_t)options->streams_max);
    phi_slots_init(&c->stream_receivers, center_alloc(c, CENTER_MEMORY_STREAMS),
                   stream_receiver_size(), (uint32_t)options->streams_max);
    phi_slots_init(&c->calls, center_alloc(c, CENTER_MEMORY_CALLS), sizeof(call),
                   (uint32_t)options->calls_max);
    phi_slots_init(&c->dialogs, center_alloc(c, CENTER_MEMORY_CALLS), sizeof(dialog),
                   (uint32_t)options->calls_max);
    registry_init(&c->registry, center_alloc(c, CENTER_MEMORY_REGISTRY), c->hash,
                  2 * connections_max); // the half: ghosts
    phi_slots_set_mark(&c->calls, c->workers.self);
    phi_slots_set_mark(&c->stream_receivers, c->workers.self);
    guard_init(&c->guard, center_alloc(c, CENTER_MEMORY_SESSIONS), c->hash);
}

void center_free(center **center_at)
{
    center *c = *center_at;
    if (c == NULL) {
        return;
    }
    for (size_t i = 0; i < c->listener_count; i++) {
        phi_listener_close(c->io, c->listeners[i].listener);
    }
    call_drop_all(c);
    drain_drop_all(c);
    stream_drop_all(c);
    session_drop_all(c);
    throttle_fini(c);
    guard_fini(&c->guard);
    phi_transports_fini(&c->transports);
    phi_ciphers_fini(&c->ciphers);
    phi_io_unhook(&c->hook);
    PH_ASSERT(phi_list_is_empty(&c->broadcasts));
    PH_ASSERT(phi_list_is_empty(&c->subscribing));
    readerships_fini(&c->readerships);
    topics_fini(&c->topics);
    phi_quota_fini(&c->quota);
    workers_fini(c);
    presence_drop(c);
    presence_fini(&c->presence);
    registry_fini(&c->registry);
    phi_slots_fini(&c->dialogs);
    phi_slots_fini(&c->calls);
    phi_slots_fini(&c->stream_receivers);
    phi_slots_fini(&c->streams);
    phi_slots_fini(&c->sessions);
    for (size_t i = 0; i < CENTER_MEMORY_COUNT; i++) {
        PH_ASSERT(c->memory[i].bytes == 0); // or it was counted as what it is not
    }
    phi_give(c->io->alloc, c, sizeof *c);
    *center_at = NULL;
}

ph_err center_listen(center *c, const center_listen_options *options,
                     char bound[PHI_ADDRESS_TEXT_MAX], phi_diag *diag)
{
    PH_ASSERT(!c->is_stopping);
    PH_ASSERT(options->kind < CENTER_LISTENER_COUNT);
    ph_err rc = judge_listen(c, options, diag);
    if (rc != PH_OK) {
        return phi_diag_add(diag, rc, "listen on '%s'", options->address);
    }
    listening *l = &c->listeners[c->listener_count];
    *l = (listening){ .center = c, .kind = options->kind };
    phi_listen_options at = { .address = options->address, .tls = center_credentials(c, l->kind) };
    rc = phi_io_listen(c->io, &at, &listener_events, l, &l->listener, diag);
    if (rc != PH_OK) {
        return rc;
    }
    c->listener_count++;
    char text[PHI_ADDRESS_TEXT_MAX];
    phi_listener_address(c->io, l->listener, text);
    const char *suite = phi_suite_name(center_suite(c, l->kind));
    CENTER_LOG_WRITE(c, LISTENING, PHI_LOG_TEXT("address", phi_bytes_text(text)),
                     PHI_LOG_TEXT("kind", phi_bytes_text(center_listener_name(l->kind))),
                     PHI_LOG_TEXT("domain", center_domain(c)),
                     PHI_LOG_TEXT("suite", phi_bytes_text(suite)));
    if (bound != NULL) {
        memcpy(bound, text, sizeof text);
    }
    return PH_OK;
}

static ph_err judge_listen(const center *c, const center_listen_options *options, phi_diag *diag)
{
    phi_endpoint endpoint;
    ph_err rc = phi_endpoint_parse(options->address, &endpoint, diag);
    if (rc != PH_OK) {
        return rc;
    }
    if (options->kind == CENTER_LISTENER_PLAIN) {
        if (!c->options.insecure_allow_remote && !phi_endpoint_is_local(options->address)) {
            return phi_diag_add(diag, PH_EACCESS,
                                "others than this machine could reach it, and suite '%s' is no "
                                "protection; insecure_allow_remote is not set",
                                phi_suite_name(c->options.suite));
        }
    } else if (center_credentials(c, options->kind) == NULL) {
        return phi_diag_add(diag, PH_EINVAL, "there is no certificate for it");
    }
    if (c->listener_count == CENTER_LISTENERS_MAX) {
        return phi_diag_add(diag, PH_ELIMIT, "more than %u addresses", CENTER_LISTENERS_MAX);
    }
    return PH_OK;
}

void center_stop(center *c, void (*stopped)(void *arg), void *arg)
{
    PH_ASSERT(!c->is_stopping);
    PH_ASSERT(stopped != NULL);
    c->is_stopping = true;
    c->stopped = stopped;
    c->stopped_arg = arg;
    CENTER_LOG_WRITE(c, STOPPING, PHI_LOG_NUMBER("sessions", c->joined_count));
    for (size_t i = 0; i < c->listener_count; i++) {
        phi_listener_close(c->io, c->listeners[i].listener);
    }
    c->listener_count = 0;
    uint32_t index = 0;
    uint64_t handle;
    session *s;
    for (; (s = phi_slots_next(&c->sessions, &index, &handle)) != NULL; index++) {
        if (!s->is_abroad) {
            end_session_for_stop(c, s);
        }
    }
    phi_io_hurry(c->io);
}

center_counters center_count(const center *c)
{
    center_counters counters = c->counters;
    counters.connections = center_home_count(c);
    counters.sessions = c->joined_count - c->joined_abroad_count;
    counters.calls = c->calls.count - c->calls_aside;
    counters.inquiries = c->inquiries_count;
    counters.streams = c->streams.count;
    counters.subscriptions = topics_count(&c->topics);
    counters.subscription_memory = c->topics.memory.bytes;
    counters.services = c->registry.services.slots.count;
    counters.watchers = c->presence.watches.count;
    counters.listed = c->presence.listed;
    counters.suspects = c->presence.suspects;
    counters.ghosts = c->presence.ghosts;
    counters.damped = c->presence.damped;
    counters.send_memory = c->quota.bytes;
    counters.session_memory = c->memory[CENTER_MEMORY_SESSIONS].bytes;
    counters.link_memory = c->memory[CENTER_MEMORY_LINKS].bytes;
    counters.call_memory = c->memory[CENTER_MEMORY_CALLS].bytes;
    counters.stream_memory = c->memory[CENTER_MEMORY_STREAMS].bytes;
    counters.registry_memory = c->memory[CENTER_MEMORY_REGISTRY].bytes;
    counters.presence_memory = c->memory[CENTER_MEMORY_PRESENCE].bytes;
    counters.throttled = c->throttle.paused_count;
    counters.throttle_sources = c->throttle.sources.count;
    counters.sessions_abroad = c->workers.abroad_count;
    worker_count(c, &counters);
    counters.send_memory_refused_total = c->quota.refusals;
    counters.bytes_received_total = c->transports.bytes_received;
    counters.bytes_sent_total = c->transports.bytes_sent;
    counters.key_stream_blocks_total = c->ciphers.group.blocks;
    counters.key_stream_steps_total = c->ciphers.group.steps;
    return counters;
}

void center_counters_add(center_counters *sum, const center_counters *other)
{
    enum { IS_COUNTER = 1, IS_GAUGE = 1, IS_SHARED_COUNTER = 0, IS_SHARED_GAUGE = 0 };
#define CENTER_METRIC(name, kind, help) sum->name += IS_##kind * other->name;
#include "center/metrics.def"
#undef CENTER_METRIC
    for (size_t i = 0; i < PHI_BYE_COUNT; i++) {
        sum->links_ended_total[i] += other->links_ended_total[i];
    }
}

// A link that is there takes it on after its next heartbeat, a new one tells it to its client.
void center_pace(center *c)
{
    const center_options *o = &c->options;
    uint64_t round_ms = UINT64_C(1000) * c->joined_count / o->heartbeats_per_second_max;
    uint64_t idle_ms = round_ms > o->heartbeat_idle ? round_ms : o->heartbeat_idle;
    for (size_t i = 0; i < CENTER_LISTENER_COUNT; i++) {
        c->link_options[i].heartbeat_idle = phi_ms(idle_ms < IDLE_MS_MAX ? idle_ms : IDLE_MS_MAX);
    }
}

const phi_log_event *center_log_event(center_log_id id)
{
    PH_ASSERT(id < CENTER_LOG_COUNT);
    return &log_events[id];
}

// ---- what io tells

static void on_accept(void *owner, phi_stream *stream)
{
    const listening *l = owner;
    center *c = l->center;
    uint64_t address;
    uint32_t retry_after_ms;
    if (PHI_UNLIKELY(!throttle_admits(c, stream, &address, &retry_after_ms))) {
        c->counters.connections_total++;
        session_turn_away(c, stream, l->kind, retry_after_ms);
        return;
    }
    if (PHI_LIKELY(!workers_are_several(&c->workers)) ||
        worker_keeps(c, stream, l->kind, address)) {
        session_accept(c, stream, l->kind, address);
    }
}

static phi_bytes on_shed(void *owner, ph_err reason)
{
    const listening *l = owner;
    center *c = l->center;
    c->counters.connections_shed_total++;
    CENTER_LOG_WRITE(c, SHED, PHI_LOG_TEXT("reason", phi_bytes_text(ph_err_text(reason))),
                     PHI_LOG_NUMBER("connections", c->sessions.count));
    // Where TLS is expected, nothing can be said without a handshake.
    return l->kind == CENTER_LISTENER_PLAIN ? session_refusal(c, session_retry_after(c))
                                            : phi_bytes_of(NULL, 0);
}

static void on_turn(phi_turn_hook *hook)
{
    center *c = PHI_CONTAINER_OF(hook, center, hook);
    broadcast_turn(c);
    subscription_turn(c);
    watch_turn(c);
    drain_turn(c);
    review_turn(c);
    worker_turn(c);
    if (c->is_stopping && c->stopped != NULL && center_home_count(c) == 0) {
        CENTER_LOG_WRITE(c, STOPPED, PHI_LOG_NUMBER("joins", c->counters.joins_total));
        void (*stopped)(void *arg) = c->stopped;
        c->stopped = NULL;
        stopped(c->stopped_arg);
    }
}

// ---- helpers

static ph_err check_options(const center_options *options, phi_diag *diag)
{
    if (options->domain == NULL || !phi_name_is_valid(phi_bytes_text(options->domain))) {
        return phi_diag_add(diag, PH_EINVAL,
                            "domain '%s': not 1 to 64 of a-z 0-9 . _ -, beginning with a letter "
                            "or digit",
                            options->domain == NULL ? "" : options->domain);
    }
    if (options->suite >= PHI_SUITE_COUNT) {
        return phi_diag_add(diag, PH_EINVAL, "suite %d: there is none", (int)options->suite);
    }
    for (size_t i = 0; i < PHI_COUNT_OF(limits); i++) {
        uint64_t value;
        memcpy(&value, (const char *)options + limits[i].offset, sizeof value);
        if (value < limits[i].min || value > limits[i].max) {
            return phi_diag_add(diag, PH_EINVAL, "%s %llu: not %llu to %llu", limits[i].name,
                                (unsigned long long)value, (unsigned long long)limits[i].min,
                                (unsigned long long)limits[i].max);
        }
    }
    return PH_OK;
}

static void count_memory(center *c)
{
    for (size_t i = 0; i < CENTER_MEMORY_COUNT; i++) {
        phi_alloc_counter_init(&c->memory[i], c->io->alloc);
    }
}

// Its hook stands before that of its transports.
static void attach(center *c)
{
    c->hook.on_turn = on_turn;
    phi_io_hook(c->io, &c->hook);
    phi_transports_init(&c->transports, c->io,
                        c->throttle.is_metering ? &session_events_metered : &session_events);
    phi_transports_provide(&c->transports, center_alloc(c, CENTER_MEMORY_LINKS), &c->quota);
    phi_ciphers_init(&c->ciphers, c->io);
}

// So that a client with all its calls open has at most 32 in a bucket.
static uint8_t bucket_bits(uint64_t calls_per_client_max)
{
    uint8_t bits = 4;
    while ((UINT64_C(32) << bits) < calls_per_client_max) {
        bits++;
    }
    return bits;
}

static void set_link_options(center *c)
{
    const center_options *o = &c->options;
    c->ask_pace.spacing = phi_ns(phi_seconds(1).ns / o->heartbeats_per_second_max);
    const phi_link_options common = {
        .alloc = center_alloc(c, CENTER_MEMORY_LINKS),
        .quota = &c->quota,
        .side = PHI_LINK_CENTER,
        .send_bytes_max = o->send_buffer_max,
        .packet_bytes_max = (uint32_t)o->packet_max,
        .join_timeout = phi_ms(o->join_timeout),
        .heartbeat_idle = phi_ms(o->heartbeat_idle),
        .heartbeat_grace = phi_ms(o->heartbeat_grace),
        .pace = &c->ask_pace,
        .full_timeout = phi_ms(o->full_timeout),
        .ciphers = &c->ciphers.group,
        .domain = center_domain(c),
        .calls_max = (uint32_t)o->calls_per_client_max,
        .message_bytes_max = (uint32_t)o->message_max,
        .streams_max = (uint32_t)o->streams_per_client_max,
        .subscriptions_max = (uint32_t)o->subscriptions_per_client_max,
    };
    for (unsigned kind = 0; kind < CENTER_LISTENER_COUNT; kind++) {
        c->link_options[kind] = common;
        c->link_options[kind].suite = center_suite(c, (center_listener)kind);
    }
}

static void end_session_for_stop(center *c, session *s)
{
    uint64_t retry_after_ms = phi_random_between(&c->random, 0, c->options.stop_spread);
    session_end(c, s, PHI_BYE_GOING_AWAY, (uint32_t)retry_after_ms, NULL);
}

void center_check(const center *c)
{
    check_joined(c);
    throttle_check(c);
    guard_check(c);
    readerships_check(&c->readerships);
    presence_check(c);
    watches_check(c);
}

static void check_joined(const center *c)
{
    uint32_t joined = 0;
    uint32_t abroad = 0;
    uint32_t index = 0;
    uint64_t handle;
    const session *s;
    for (; (s = phi_slots_next(&c->sessions, &index, &handle)) != NULL; index++) {
        bool has_joined = session_is(s, SESSION_JOINED);
        joined += has_joined;
        abroad += has_joined && s->is_abroad;
    }
    PH_ASSERT(c->joined_count == joined);
    PH_ASSERT(c->joined_abroad_count == abroad);
}
