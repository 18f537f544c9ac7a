// SPDX-License-Identifier: Apache-2.0
//
// center/state.h - what a center consists of, for its own files.

#ifndef CENTER_STATE_H
#define CENTER_STATE_H

#include "base/random.h"
#include "center/call.h"
#include "center/center.h"
#include "center/guard.h"
#include "center/presence.h"
#include "center/readership.h"
#include "center/security.h"
#include "center/throttle.h"
#include "center/topics.h"
#include "center/worker.h"
#include "link/ciphers.h"

typedef enum center_log_id {
#define CENTER_LOG(name, id, level, text, advice) CENTER_LOG_##name,
#include "center/log_events.def"
#undef CENTER_LOG
    CENTER_LOG_COUNT
} center_log_id;

// What memory is for: each kind is counted where it is taken, and shown by its name. Send buffers
// and subscriptions have counters of their own (quota, topics.memory).
typedef enum center_memory {
    CENTER_MEMORY_SESSIONS,
    CENTER_MEMORY_LINKS,
    CENTER_MEMORY_CALLS,
    CENTER_MEMORY_STREAMS,
    CENTER_MEMORY_REGISTRY,
    CENTER_MEMORY_PRESENCE,
    CENTER_MEMORY_COUNT
} center_memory;

// Somewhere connections come from.
typedef struct listening {
    center *center;
    phi_listener *listener;
    center_listener kind;
} listening;

struct center {
    phi_io *io;   // borrowed for the center's life
    phi_log *log; // same; may be NULL
    center_options options;
    char self[1 + PHI_NAME_BYTES_MAX + 1]; // "@domain": what the center itself says comes from here
    phi_link_options link_options[CENTER_LISTENER_COUNT]; // of links behind each kind of listener
    phi_link_pace ask_pace;                               // of their heartbeats

    phi_time started;   // when it was made
    phi_turn_hook hook; // before the transports': what it queues leaves in the same turn
    phi_transports transports;
    phi_ciphers ciphers; // of its connections
    phi_quota quota;     // of all send buffers, and of what waits in held sessions
    uint8_t refusal[PHI_LINK_HEADROOM_BYTES]; // what session_refusal returned last
    size_t refusal_size;
    listening listeners[CENTER_LISTENERS_MAX];
    size_t listener_count;
    const center_security *security; // borrowed, see center_secure
    guard guard;
    uint32_t review_index; // the place from which sessions are to be judged again
    bool is_reviewing;

    phi_slots sessions;             // session
    phi_hash_key hash;              // secret, of what peers choose: names and numbers
    registry registry;              // accounts
    uint64_t session_last;          // the number given last
    uint32_t joining_count;         // sessions in SESSION_JOINING
    uint32_t joined_count;          // sessions in SESSION_JOINED
    uint32_t joined_abroad_count;   // of them, those whose home is another worker
    phi_slots calls;                // call
    uint32_t calls_aside;           // of them, those that are not on a session's calls.made
    phi_slots dialogs;              // dialog
    uint32_t inquiries_count;       // in them, owed ones included
    phi_slots streams;              // stream
    phi_slots stream_receivers;     // stream.c's
    struct message_stream *opening; // whose first fragment is being routed; NULL: none is
    uint8_t call_bucket_bits;       // each session_calls.by_number has so many, as a power of two
    presence presence;
    phi_list drains;             // drain.node
    uint32_t drain_count;        // of them
    uint64_t drain_places_left;  // that new ones may look at, in this turn
    phi_list status_asks;        // status_ask.node
    uint32_t status_ask_count;   // of them
    phi_list broadcasts;         // broadcast.node, those that wait
    uint64_t deliveries_left;    // of broadcasts, in this turn
    uint64_t places_passed;      // looked at by matches, and not charged to that yet
    topics topics;               // who subscribed to what; its owners are sessions
    readerships readerships;     // whom its last matches found
    phi_list subscribing;        // subscriber.node, those that go on in the next turn
    uint64_t pattern_words_left; // of changes of subscriptions, in this turn
    phi_random random;           // for made-up accounts and spread retry-afters; nothing secret

    throttle throttle; // how much one account, one address may do
    workers workers;
    phi_alloc_counter memory[CENTER_MEMORY_COUNT];

    bool is_stopping;
    void (*stopped)(void *arg); // NULL once told
    void *stopped_arg;

    center_counters counters; // the gauges are filled in by center_count
    phi_log_rate log_rates[CENTER_LOG_COUNT];
};

static inline center *center_of(const session *s)
{
    return PHI_CONTAINER_OF(s->transport.group, center, transports);
}

// Connections of this worker.
static inline uint32_t center_home_count(const center *c)
{
    return c->sessions.count - c->workers.abroad_count;
}

static inline const phi_alloc *center_alloc(const center *c, center_memory kind)
{
    return &c->memory[kind].alloc;
}

static inline phi_bytes center_domain(const center *c)
{
    return phi_bytes_text(c->self + 1);
}

// The account in an entry of this domain.
static inline phi_bytes center_name_of(const center *c, const uint8_t *entry)
{
    phi_bytes id = entry_id(entry);
    size_t domain_size = 1 + center_domain(c).size;
    PH_ASSERT(id.size > domain_size);
    return phi_bytes_of(id.data, id.size - domain_size);
}

// Of a listener; NULL: there are none, or none are needed.
static inline phi_tls *center_credentials(const center *c, center_listener kind)
{
    switch (kind) {
    case CENTER_LISTENER_TLS:
        return c->security->tls;
    case CENTER_LISTENER_CENTERS:
        return c->security->tls_centers;
    case CENTER_LISTENER_PLAIN:
    case CENTER_LISTENER_COUNT:
        break;
    }
    return NULL;
}

// Of links behind such a listener: TLS needs no help.
static inline phi_suite center_suite(const center *c, center_listener kind)
{
    return kind == CENTER_LISTENER_PLAIN ? c->options.suite : PHI_SUITE_PLAIN;
}

// So many have joined that heartbeat_idle may have to change: heartbeats_per_second_max.
void center_pace(center *c);

// One row of log_events.def.
const phi_log_event *center_log_event(center_log_id id);

#define CENTER_LOG_WRITE(c, name, ...)                                                             \
    PHI_LOG((c)->log, center_log_event(CENTER_LOG_##name), &(c)->log_rates[CENTER_LOG_##name],     \
            (c)->io->now, __VA_ARGS__)

#endif // CENTER_STATE_H
