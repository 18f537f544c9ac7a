// SPDX-License-Identifier: Apache-2.0
//
// sim/domain.h - a domain in the simulated world: one center and its clients, production code on
// simulated nodes, and around each client an actor that answers requests, keeps its own picture of
// who is online, and writes down what it is told.
//
// The center may have several workers: each has a node, and they live and die together. Connections
// are those of the first worker's node, whoever has them: so clients are cut off from that one.
//
// Scenarios (tests/sim) make one and lead it by hand; the swarm (sim/swarm.c) leads it at random.
// In both the checks of check.h watch: what they find makes domain_fault say so.
//
// Life     domain_new -> (start, kill, run)* -> domain_free
// Limits   ACTORS_MAX clients, WORKERS_MAX workers, CALLS_MAX calls in one life
// Threads  none

#ifndef SIM_DOMAIN_H
#define SIM_DOMAIN_H

#include <posthouse/client.h>

#include "center/center.h"
#include "center/security.h"
#include "sim/sim.h"

#define ACTORS_MAX 32u
#define WORKERS_MAX 4u
#define ROGUES_MAX 2u
#define CALLS_MAX 16384u
#define HELD_MAX 64u
#define HELD_BYTES 24u
#define KNOWN_MAX 128u
#define SAID_MAX 64u
#define DRAIN_RECORDS_MAX 1024u
#define DOMAIN_NAME "sim"
#define DOMAIN_ADDRESS "127.0.0.1:7678"
#define ACTOR_PATTERNS 5u
#define GATHER_SERIAL 0x80000000u // in the serial of a gather's request
#define NOBODY UINT32_MAX         // as a call's target: not one of the actors

typedef struct domain domain;
typedef struct actor actor;
typedef struct rogue rogue;
typedef struct session session;

// How an actor treats the requests of others, and what it is asked back.
typedef enum manner {
    MANNER_ECHO, // replies at once
    MANNER_HOLD, // keeps them for the test, or for ever
    MANNER_FAIL, // fails at once, with a code of its own
    MANNER_LATE, // replies after a while, perhaps too late
    MANNER_TWICE,
    MANNER_WORK,  // replies when actor.work has passed
    MANNER_BREAK, // fails at once: it could not (responder_failed)
    MANNER_ASK,   // asks itself before it replies (dialog.h)
    MANNER_MIXED, // one of the others, by its node's chance
    MANNER_COUNT
} manner;

// The code of MANNER_FAIL is this plus the number of the caller.
#define FAILURE_CODE_FIRST 1000u

typedef struct domain_options {
    uint64_t seed;
    sim_path path;
    center_options center;
    center_listener kind;     // of where it listens; not plain: d->security has the credentials
    uint32_t workers;         // of the center; 0 means 1
    phi_dur mail_delay_max;   // between them
    size_t mail_bytes_max;    // from one to another, not read yet; 0 means 16 MiB
    ph_client_options client; // account, service and callbacks are filled in
    uint32_t actor_count;
    uint32_t rogue_count;
    phi_dur token_life;       // of what actors prove who they are with; zero: they do not
    uint32_t foreign_percent; // of those are somebody else's
    bool must_prove;          // who does not is not let in, from this machine either
    phi_dur late_max;         // MANNER_LATE waits up to so long
    FILE *trace;
    struct census *census; // everything is counted into it; may be NULL
} domain_options;

// A request as it was promised, and how it ended.
typedef struct call_record {
    domain *domain;
    uint32_t serial; // its index in the ledger
    uint32_t caller;
    uint32_t target;    // an actor, or NOBODY
    char target_id[48]; // whose reply it may be: "c07@sim"
    char service[16];   // any of these may reply, then; "": only the target
    phi_time begun;     // world time
    phi_time deadline;  // same; PHI_TIME_NEVER once its caller was frozen
    ph_call_id id;
    size_t body_size;
    struct held_request *within; // answered when this ends; NULL: it stands for itself
    ph_request_id within_id;
    unsigned ends; // must become 1
    phi_time ended;
    ph_err status;
    uint16_t code;
} call_record;

// A request, or an inquiry (id.turn is not 0), that an actor keeps.
typedef struct held_request {
    bool is_used;
    actor *owner;
    ph_request_id id;
    uint32_t from;      // an actor, or NOBODY
    uint32_t asks_open; // MANNER_ASK: inquiries that it waits for
    size_t body_size;
    uint8_t body[HELD_BYTES]; // the beginning: enough to answer by
} held_request;

// A drain as it was asked for, and how often it ended.
typedef struct drain_record {
    domain *domain;
    uint32_t serial; // its index in the ledger
    uint32_t asker;
    uint32_t target;
    bool is_begin;
    phi_time asked; // world time
    unsigned ends;  // must become 1
} drain_record;

// One that an actor believes to be online.
typedef struct known_peer {
    char id[48];
    char service[24];
    uint64_t session;
    uint64_t revision;
    ph_state state;
    uint16_t weight;
} known_peer;

// The last change that an actor was told of.
typedef struct told_change {
    ph_change change;
    ph_reason reason;
    char id[48];
    uint64_t session;
    uint64_t revision;
    phi_time at; // world time
} told_change;

struct actor {
    domain *domain;
    uint32_t index;
    sim_node node;
    ph_client *client;   // NULL while its process is dead
    bool is_closing;     // ph_client_close was called
    bool may_be_refused; // for good: it is not to be there, or not for ever
    char account[16];
    char id[48];
    char service[16];
    char principal[16];  // that it is taken for; "": its account's
    manner manner;       // with requests
    manner asked_manner; // with inquiries
    bool is_deaf;        // has no on_inquiry
    phi_dur work;        // MANNER_WORK

    ph_link_state link;
    unsigned ups;
    unsigned downs;
    ph_link_change how; // the last change; its views are cut off
    char how_text[160];
    char how_bye[32];
    phi_time changed; // world time

    bool is_watching;
    char watched[16]; // only this service; "" all
    known_peer known[KNOWN_MAX];
    size_t known_count;
    bool is_ready;     // on_presence_ready since it came up
    phi_time ready_at; // world time
    unsigned onlines;
    unsigned offlines;
    unsigned readies;
    told_change told;

    held_request held[HELD_MAX]; // a ring
    uint32_t held_next;
    unsigned requests;
    unsigned inquiries;
    unsigned cancels;
    uint16_t cancel_code; // of the last
    unsigned events;
    uint32_t events_said;
    phi_time said_at[SAID_MAX]; // world time of the last events, by number
    uint32_t larges_said;
    uint32_t heard_last[ACTORS_MAX];    // the number of the last event of each
    uint32_t heard_highest[ACTORS_MAX]; // of large ones, which need not keep their order
    uint64_t heard_larges[ACTORS_MAX];  // which of the 64 up to it
    unsigned writables;
    unsigned calls_open;

    // Of actor_pattern, as bits, since its process began.
    uint32_t patterns_wanted;
    uint32_t patterns_in_force; // as the center says
    uint32_t patterns_ever;
    uint64_t subscriptions[ACTOR_PATTERNS]; // ph_subscription_id of those wanted
    unsigned receipts_open;
};

struct domain {
    sim *s;
    domain_options options;
    sim_node center_node; // of the first worker, which listens
    center *center;       // the first worker; NULL while its process is dead
    sim_node worker_nodes[WORKERS_MAX];
    center *workers[WORKERS_MAX]; // NULL while their process is dead
    uint32_t worker_count;
    center_security security;    // what its workers are told, with `rules`; at first all is open
    struct rule_sets *rule_sets; // owned; rules.h
    center_user users[ACTORS_MAX];
    struct tokens *tokens; // owned; NULL: actors have none
    bool center_is_ending; // it was told to stop
    unsigned stopped;      // workers that have
    unsigned center_lives;
    actor actors[ACTORS_MAX];
    uint32_t actor_count;
    rogue *rogues[ROGUES_MAX];
    uint32_t rogue_count;
    call_record *calls; // owned; CALLS_MAX of them
    uint32_t call_count;
    uint32_t calls_open;
    struct dialogs *dialogs; // owned
    drain_record *drains;    // owned; DRAIN_RECORDS_MAX of them
    uint32_t drain_count;
    uint32_t drains_open;
    uint32_t statuses_open; // status_ask
    char fault[400];        // what a check found first; "" none
};

// Nodes for everybody; nobody runs yet.
domain *domain_new(const domain_options *options);

// Kills who runs, and checks that all memory came back: what was wrong with it is written to
// `fault`, with room for sizeof domain.fault (may be NULL).
void domain_free(domain **d, char *fault);

// Center, and all actors.
void domain_start(domain *d);

// False when there was no memory for it, which only happens under faults.
bool domain_center_start(domain *d);
// The process dies; nobody is told by it.
void domain_center_kill(domain *d);
// Says bye to everybody, then ends.
void domain_center_stop(domain *d);
void domain_center_freeze(domain *d, bool is_frozen);

// Other rules from now on, or none (lines[0] NULL; see tests/harness/rules.h), and d->security as
// it is now; also for a center that is started later.
void domain_secure(domain *d, const char *const *lines);
#define DOMAIN_SECURE(d, ...) domain_secure((d), (const char *const[]){ __VA_ARGS__, NULL })

// What all workers counted. What each of them keeps a copy of is not added up: it is the first's.
center_counters domain_count(const domain *d);

// The session of the account of that name, at the worker that has its connection; NULL: nobody has
// joined as that.
const session *domain_session(const domain *d, const char *name);

bool actor_start(actor *a);
void actor_kill(actor *a);
void actor_close(actor *a); // ends in an orderly way
static inline bool actor_is_up(const actor *a)
{
    return a->client != NULL && a->link == PH_LINK_UP;
}

// Sends a request whose body says which call of whom it is. NULL: it was not accepted; *why says
// it (may be NULL).
call_record *actor_call(actor *a, const char *to, uint32_t target, size_t body_size,
                        uint32_t timeout_ms, ph_err *why);
// What a call is, besides.
typedef struct call_spec {
    const char *to;
    uint32_t target;
    size_t body_size;
    uint32_t timeout_ms;
    held_request *within; // may be NULL
} call_spec;
call_record *actor_call_as(actor *a, const call_spec *spec, ph_err *why);
// To another actor.
call_record *actor_call_actor(actor *a, const actor *to, uint32_t timeout_ms);

// Keeps a request.
held_request *actor_hold(actor *a, const held_request *request);
// Answers one that is held.
ph_err actor_reply(actor *a, held_request *held);
held_request *actor_held(actor *a); // the oldest; NULL none

ph_err actor_event(actor *a, const char *to, size_t body_size);
ph_err actor_event_with_receipt(actor *a, const char *to, size_t body_size, uint32_t timeout_ms);
const char *actor_pattern(uint32_t which); // below ACTOR_PATTERNS
// Subscribes to that pattern, or unsubscribes from it.
void actor_toggle(actor *a, uint32_t which);
void actor_watch(actor *a, const char *service); // "": everybody
void actor_unwatch(actor *a);
const known_peer *actor_knows(const actor *a, const char *id);

// Notes the first thing that is wrong.
PHI_PRINTF(2, 3) void domain_fail(domain *d, const char *format, ...);
static inline bool domain_has_fault(const domain *d)
{
    return d->fault[0] != '\0';
}

// ---- conditions, for sim_run_until

bool domain_all_up(sim *s, void *d);     // everybody who runs
bool domain_is_settled(sim *s, void *d); // and nothing is open, and all see the same

#endif // SIM_DOMAIN_H
