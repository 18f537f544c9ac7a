// SPDX-License-Identifier: Apache-2.0
//
// sim/swarm_options.c - the options of a run, from its seed alone.
//
// Worlds are small and limits low, so that a few seconds of virtual time reach them.

#include "sim/swarm.h"

#include <inttypes.h>
#include <string.h>

#define LARGE_PERCENT 25u // of the runs have up to ACTORS_MAX clients
#define WIDE_PERCENT 30u  // of these
#define SMALL_ACTORS_MAX 8u
#define SPARE_CONNECTIONS 8u // for half-open ghosts of clients that are back already
#define PRESENCE_LOG_SMALL 16384u
#define METADATA_BYTES 1000u
#define MESSAGE_BYTES_MAX 300000u
#define STREAMS_DRAIN_MS_MAX 500u // of a path that carries large messages in good time
#define SETTLE_SLACK phi_seconds(20)
#define THROTTLED_PERCENT 25u  // of the worlds
#define TOKENS_PERCENT 20u     // same
#define RULED_PERCENT 50u      // same
#define PACKET_BYTES_LEAST 30u // of what an actor says

const char *const chaos_names[CHAOS_KIND_COUNT] = {
    [CHAOS_CUT] = "cut",
    [CHAOS_MUTE] = "mute",
    [CHAOS_PART] = "part",
    [CHAOS_HOLD] = "hold",
    [CHAOS_FREEZE] = "freeze",
    [CHAOS_STALL] = "stall",
    [CHAOS_KILL] = "kill",
    [CHAOS_CLOSE] = "close",
    [CHAOS_ALLOC] = "alloc",
    [CHAOS_ALLOC_AT] = "alloc-at",
    [CHAOS_SHED] = "shed",
    [CHAOS_CENTER_ALLOC] = "center-alloc",
    [CHAOS_CENTER_FREEZE] = "center-freeze",
    [CHAOS_CENTER_KILL] = "center-kill",
    [CHAOS_CENTER_STOP] = "center-stop",
    [CHAOS_WORKER_FREEZE] = "worker-freeze",
};

static uint64_t pick(phi_random *r, uint64_t low, uint64_t high)
{
    return phi_random_between(r, low, high);
}

// One of the extremes in half of the cases: limits break at their ends.
static uint64_t pick_edgy(phi_random *r, uint64_t low, uint64_t high)
{
    switch (phi_random_below(r, 4)) {
    case 0:
        return low;
    case 1:
        return high;
    default:
        return pick(r, low, high);
    }
}

static sim_path random_path(phi_random *r)
{
    sim_path path = {
        .delay = phi_us(pick_edgy(r, 50, 40000)),
        .buffer_bytes = (uint32_t)pick_edgy(r, 1500, 65536),
        .is_ragged = phi_random_chance(r, 40),
    };
    if (phi_random_chance(r, 50)) {
        path.jitter = phi_us(pick(r, 1, 30000));
    }
    if (phi_random_chance(r, 25)) {
        path.read_max = (uint32_t)pick(r, 16, 2000);
    }
    if (phi_random_chance(r, 25)) {
        path.write_max = (uint32_t)pick(r, 16, 2000);
    }
    return path;
}

static center_options random_center(phi_random *r, uint32_t clients)
{
    center_options o = center_options_default();
    o.suite = (phi_suite)phi_random_below(r, PHI_SUITE_COUNT);
    o.connections_max = clients + SPARE_CONNECTIONS;
    o.connections_joining_max = pick_edgy(r, 2, clients + 2);
    o.calls_max = pick_edgy(r, 6, 400);
    o.calls_per_client_max = pick_edgy(r, 1, 40);
    o.send_buffer_max = 131072;
    if (phi_random_chance(r, 30)) {
        o.send_memory_max = pick_edgy(r, 1048576, 4194304);
    }
    if (phi_random_chance(r, 50)) {
        o.deliveries_per_turn_max = pick_edgy(r, 1, 40);
    }
    if (phi_random_chance(r, 30)) {
        o.subscriptions_per_client_max = pick_edgy(r, 1, 6);
        o.subscriptions_max = pick_edgy(r, 2, 40);
    }
    o.packet_max = pick_edgy(r, 8192, 65536);
    o.message_max = pick_edgy(r, 65536, MESSAGE_BYTES_MAX);
    o.streams_per_client_max = pick_edgy(r, 1, 20);
    o.streams_max = pick_edgy(r, 1, 100);
    o.presence_log_max = phi_random_chance(r, 50) ? PRESENCE_LOG_SMALL : 1048576;
    if (phi_random_chance(r, 60)) { // else nobody is lost so often
        o.flap_reuse = pick_edgy(r, 100, 2000);
        o.flap_suppress = o.flap_reuse + pick_edgy(r, 1001, 3000);
        o.flap_half_life = pick(r, 100, 3000);
        o.flap_wait_max = pick(r, 100, 6000);
    }
    o.guard_instances_min = pick_edgy(r, 2, 6);
    o.guard_window = pick(r, 100, 5000);
    o.guard_hold = pick(r, 100, 4000);
    o.join_timeout = pick(r, 300, 3000);
    o.heartbeat_idle = pick(r, 200, 3000);
    o.heartbeat_grace = pick(r, 200, 2000);
    o.full_timeout = pick(r, 200, 3000);
    o.call_time_default = pick(r, 100, 2000);
    o.call_time_max = pick(r, 500, 4000);
    o.stop_spread = pick(r, 0, 1000);
    return o;
}

// Large entries, so that lists have many pages and a small log forgets.
static void add_metadata(phi_random *r, ph_client_options *client)
{
    static char value[METADATA_BYTES + 1];
    static const ph_metadata metadata[] = { { "a", value }, { "b", value }, { "c", value } };
    memset(value, 'v', METADATA_BYTES);
    client->metadata = metadata;
    client->metadata_count = (size_t)pick(r, 1, PHI_COUNT_OF(metadata));
}

// More to be told than a path carries: lists take long, watchers lag, the log forgets what they
// have not been told.
static void make_wide(phi_random *r, swarm_options *o)
{
    o->domain.center.presence_log_max = PRESENCE_LOG_SMALL;
    add_metadata(r, &o->domain.client);
    o->domain.path.buffer_bytes = (uint32_t)pick(r, 1500, 10000);
    o->domain.path.delay = phi_us(pick(r, 5000, 40000));
    o->watcher_percent = 100;
}

static ph_client_options random_client(phi_random *r)
{
    ph_client_options client = PH_CLIENT_OPTIONS_INIT;
    client.connect_timeout_ms = (uint32_t)pick(r, 500, 3000);
    client.backoff_min_ms = (uint32_t)pick(r, 10, 300);
    client.backoff_max_ms = client.backoff_min_ms + (uint32_t)pick(r, 0, 2000);
    client.calls_max = (uint32_t)pick_edgy(r, 1, 64);
    client.send_bytes_max = 131072;
    client.message_bytes_max = (size_t)pick_edgy(r, 65536, MESSAGE_BYTES_MAX);
    client.streams_bytes_max = client.message_bytes_max + (size_t)pick_edgy(r, 0, 300000);
    if (phi_random_chance(r, 30)) {
        client.heartbeat_idle_ms = (uint32_t)pick(r, 200, 3000);
        client.heartbeat_grace_ms = (uint32_t)pick(r, 200, 2000);
    }
    return client;
}

// Half of the centers have several workers. Mail is faster than what goes by a socket, or a client
// that heard of something could be ahead of it.
static void add_workers(phi_random *r, swarm_options *o)
{
    o->domain.workers = phi_random_chance(r, 50) ? 1 : (uint32_t)pick(r, 2, 3);
    o->domain.mail_delay_max = phi_us(pick_edgy(r, 0, phi_dur_us(o->domain.path.delay)));
    o->domain.mail_bytes_max = (size_t)pick_edgy(r, 65536, 4194304);
}

// So long a full send buffer takes to leave: a path carries one of its buffers in each round trip.
static phi_dur drain_time(const swarm_options *o)
{
    const sim_path *path = &o->domain.path;
    uint64_t round_trip_us = 2 * phi_dur_us(path->delay) + 2 * phi_dur_us(path->jitter) +
                             4 * phi_dur_us(o->domain.mail_delay_max) + 1;
    return phi_us(round_trip_us * (1 + o->domain.center.send_buffer_max / path->buffer_bytes));
}

// So long all messages in fragments that clients may have under way take, to one receiver. A path
// of which that would be too much has none that are very long.
static phi_dur streams_time(const swarm_options *o)
{
    uint64_t bytes = o->domain.actor_count * (uint64_t)o->domain.client.streams_bytes_max;
    return phi_us(phi_dur_us(drain_time(o)) * (1 + bytes / o->domain.center.send_buffer_max));
}

// So long one is read later at most, after whatever a read brought; and all come in one by one.
static uint64_t throttle_ms(const swarm_options *o)
{
    const center_options *c = &o->domain.center;
    uint64_t rate = c->client_messages_per_second;
    uint64_t read = o->domain.path.buffer_bytes / PACKET_BYTES_LEAST;
    uint64_t ms = rate == 0 ? 0 : 1000 * (1 + read / rate);
    rate = c->client_bytes_per_second;
    ms += rate == 0 ? 0 : 1000 * (1 + o->domain.path.buffer_bytes / rate);
    rate = c->address_messages_per_second / o->domain.workers;
    ms += rate == 0 ? 0 : 1000 * (1 + o->domain.actor_count * read / rate);
    rate = c->address_connections_per_second;
    ms += rate == 0 ? 0 : 2000 * (1 + o->domain.actor_count / rate);
    return ms + (c->address_connections_max == 0 ? 0 : 4000);
}

// So long a half-open connection can look like a good one, and an actor take to answer. The buffers
// below a half-open link may still take something that stands before an ask: then grace begins
// anew.
static phi_dur notice_time(const swarm_options *o)
{
    const center_options *c = &o->domain.center;
    const ph_client_options *client = &o->domain.client;
    return phi_ms(throttle_ms(o) + c->heartbeat_idle + 2 * c->heartbeat_grace +
                  client->heartbeat_idle_ms + 2 * client->heartbeat_grace_ms +
                  client->connect_timeout_ms + phi_dur_ms(o->domain.late_max));
}

// Then a few rounds of coming back, each held up as long as it can be; and the calls that were open
// run out.
static phi_dur settle_time(const swarm_options *o)
{
    const center_options *c = &o->domain.center;
    const ph_client_options *client = &o->domain.client;
    uint64_t round = client->connect_timeout_ms + client->backoff_max_ms + 2 * c->heartbeat_grace +
                     c->join_timeout;
    uint64_t ms = phi_dur_ms(o->settle_min) + 2 * phi_dur_ms(drain_time(o)) +
                  2 * phi_dur_ms(streams_time(o)) + c->full_timeout + 5 * round +
                  o->load_timeout_max_ms + phi_dur_ms(SETTLE_SLACK);
    return phi_ms(ms);
}

// Limits near what the load is, so that everybody meets them and none falls behind for long. They
// are drawn apart from all else: what a seed meant before there were any, it means still.
static void add_throttle(uint64_t seed, swarm_options *o)
{
    phi_random random = phi_random_seeded(seed ^ UINT64_C(0x7468726f74746c65));
    phi_random *r = &random;
    center_options *c = &o->domain.center;
    if (!phi_random_chance(r, THROTTLED_PERCENT)) {
        return;
    }
    // An action may cause some packets of the actor, and of those it asks.
    uint64_t said = 6 * (1 + 1000 / phi_dur_ms(o->load_every));
    uint64_t everybody = o->domain.actor_count + o->domain.rogue_count;
    if (phi_random_chance(r, 60)) {
        c->client_messages_per_second = said * pick(r, 1, 3);
    }
    if (phi_random_chance(r, 40)) {
        c->client_bytes_per_second = said * (100 + o->load_body_max) * pick(r, 1, 3);
    }
    if (phi_random_chance(r, 40)) {
        c->address_messages_per_second = o->domain.workers * everybody * said * pick(r, 1, 3);
    }
    if (phi_random_chance(r, 40)) {
        c->address_connections_max = everybody + pick(r, 0, SPARE_CONNECTIONS);
    }
    if (phi_random_chance(r, 40)) {
        c->address_connections_per_second = pick(r, 2, 2 * everybody);
    }
}

// So long a list of everybody takes to one of them.
static phi_dur list_time(const swarm_options *o)
{
    const sim_path *path = &o->domain.path;
    uint64_t round_trip_us = 2 * phi_dur_us(path->delay) + 2 * phi_dur_us(path->jitter) + 1;
    uint64_t bytes =
        o->domain.actor_count * (uint64_t)(o->domain.client.metadata_count + 1) * METADATA_BYTES;
    return phi_us(round_trip_us * (1 + bytes / path->buffer_bytes));
}

// What actors prove who they are with ends after a few seconds, again and again; but a list, behind
// which the center asks for the next, comes in that time. Drawn apart, too.
static void add_tokens(uint64_t seed, swarm_options *o)
{
    phi_random random = phi_random_seeded(seed ^ UINT64_C(0x746f6b656e730000));
    if (phi_random_chance(&random, TOKENS_PERCENT)) {
        o->domain.token_life = phi_ms(pick(&random, 2000, 12000) + 3 * phi_dur_ms(list_time(o)));
        o->domain.must_prove = phi_random_chance(&random, 25); // then no rogue comes in
        // Where there are rules, all may register as all: they would come in as somebody else.
        o->domain.foreign_percent = o->has_rules ? 0 : (uint32_t)pick(&random, 1, 10);
    }
}

// In half of the worlds not everybody may do everything, and not always the same. Drawn apart, too.
static void add_rules(uint64_t seed, swarm_options *o)
{
    phi_random random = phi_random_seeded(seed ^ UINT64_C(0x72756c6573));
    o->has_rules = phi_random_chance(&random, RULED_PERCENT);
    o->rules_every = phi_ms(pick(&random, 300, 5000));
}

// Half of the grace is more than the way there and back: else those far away are suspect with every
// other beat, and the domain is never quiet.
static void calm_beats(swarm_options *o)
{
    const sim_path *path = &o->domain.path;
    uint64_t way = phi_dur_ms(path->delay) + phi_dur_ms(path->jitter) + 2;
    uint64_t least = 2 * 2 * way;
    center_options *c = &o->domain.center;
    c->heartbeat_grace = c->heartbeat_grace > least ? c->heartbeat_grace : least;
}

swarm_options swarm_options_random(uint64_t seed)
{
    phi_random random = phi_random_seeded(seed ^ UINT64_C(0x706f7374686f7573));
    phi_random *r = &random;
    swarm_options o = { .domain = { .seed = seed } };
    bool is_large = phi_random_chance(r, LARGE_PERCENT);
    bool is_wide = is_large && phi_random_chance(r, WIDE_PERCENT);
    o.domain.actor_count = (uint32_t)pick(r, 2, is_large ? 30 : SMALL_ACTORS_MAX);
    o.domain.rogue_count = (uint32_t)phi_random_below(r, ROGUES_MAX + 1);
    o.domain.path = random_path(r);
    o.domain.center = random_center(r, o.domain.actor_count + o.domain.rogue_count);
    o.domain.client = random_client(r);
    if (o.domain.center.presence_log_max == PRESENCE_LOG_SMALL && phi_random_chance(r, 50)) {
        add_metadata(r, &o.domain.client);
    }
    o.domain.late_max = phi_ms(pick(r, 1, 3000));

    o.duration = phi_ms(pick(r, 1000, is_large ? 8000 : 25000));
    o.load_every = phi_ms(pick_edgy(r, 20, 500));
    o.load_body_max = (uint32_t)pick_edgy(r, 16, phi_random_chance(r, 20) ? 66000 : 2000);
    if (phi_random_chance(r, 15) && phi_dur_ms(drain_time(&o)) < STREAMS_DRAIN_MS_MAX) {
        o.load_body_max = (uint32_t)pick(r, 66000, MESSAGE_BYTES_MAX + 1000);
    }
    o.load_timeout_max_ms = (uint32_t)pick(r, 10, 4000);
    o.watcher_percent = (uint32_t)pick_edgy(r, 0, 100);

    o.chaos_every = phi_ms(pick(r, 50, 1000));
    o.chaos_lasts = phi_ms(pick(r, 10, 4000));
    o.chaos_kinds = (uint32_t)phi_random_next(r) & ((1u << CHAOS_KIND_COUNT) - 1u);
    if (phi_random_chance(r, 10)) {
        o.chaos_kinds = 0; // without any faults, nothing at all may go wrong
    }
    o.alloc_per_million = (uint32_t)pick_edgy(r, 1000, 300000);
    o.rogue_every = phi_ms(pick(r, 5, 200));
    if (is_wide) {
        make_wide(r, &o);
        o.chaos_kinds |= 1u << CHAOS_KILL | 1u << CHAOS_CUT;
    }
    calm_beats(&o);
    add_workers(r, &o);
    add_throttle(seed, &o);
    add_rules(seed, &o);
    add_tokens(seed, &o);
    o.settle_min = notice_time(&o);
    o.settle_max = settle_time(&o);
    return o;
}

void swarm_options_print(FILE *to, const swarm_options *o)
{
    const domain_options *d = &o->domain;
    const center_options *c = &d->center;
    fprintf(to, "seed %" PRIu64 ": suite %s, %u clients (%u%% watch), %u rogues, ", d->seed,
            phi_suite_name(c->suite), d->actor_count, o->watcher_percent, d->rogue_count);
    fprintf(to, "workers %u (mail %zu, %" PRIu64 " us), ", d->workers, d->mail_bytes_max,
            phi_dur_us(d->mail_delay_max));
    fprintf(to, "metadata %zu, ", d->client.metadata_count * METADATA_BYTES);
    fprintf(to, "delay %" PRIu64 "+%" PRIu64 " us, buffers %u, read %u, write %u%s; ",
            phi_dur_us(d->path.delay), phi_dur_us(d->path.jitter), d->path.buffer_bytes,
            d->path.read_max, d->path.write_max, d->path.is_ragged ? ", ragged" : "");
    fprintf(to,
            "memory %" PRIu64 ", deliveries %" PRIu64 ", calls %" PRIu64 "/%" PRIu64
            "/%u, joining %" PRIu64 ", packet %" PRIu64 ", log %" PRIu64 ", beat %" PRIu64
            "+%" PRIu64 " ms; ",
            c->send_memory_max, c->deliveries_per_turn_max, c->calls_max, c->calls_per_client_max,
            d->client.calls_max, c->connections_joining_max, c->packet_max, c->presence_log_max,
            c->heartbeat_idle, c->heartbeat_grace);
    fprintf(to, "tokens %" PRIu64 " ms%s; ", phi_dur_ms(d->token_life),
            d->must_prove ? " of all" : "");
    fprintf(
        to, "throttle %" PRIu64 "/%" PRIu64 ", address %" PRIu64 ", %" PRIu64 " of %" PRIu64 "; ",
        c->client_messages_per_second, c->client_bytes_per_second, c->address_messages_per_second,
        c->address_connections_per_second, c->address_connections_max);
    if (o->has_rules) {
        fprintf(to, "rules every %" PRIu64 " ms; ", phi_dur_ms(o->rules_every));
    }
    fprintf(to,
            "load every %" PRIu64 " ms up to %u bytes and %u ms for %" PRIu64
            " ms; faults every %" PRIu64 " ms:",
            phi_dur_ms(o->load_every), o->load_body_max, o->load_timeout_max_ms,
            phi_dur_ms(o->duration), phi_dur_ms(o->chaos_every));
    for (uint32_t kind = 0; kind < CHAOS_KIND_COUNT; kind++) {
        if ((o->chaos_kinds & (1u << kind)) != 0) {
            fprintf(to, " %s", chaos_names[kind]);
        }
    }
    fprintf(to, "%s\n", o->chaos_kinds == 0 ? " none" : "");
}
