// SPDX-License-Identifier: Apache-2.0
//
// sim/swarm.h - what one random run consists of: options drawn from the seed, a workload, faults.
//
// Not every run has every fault: each kind is in or out for a whole run (Groce et al., "Swarm
// testing", 2012), because faults hide each other.

#ifndef SIM_SWARM_H
#define SIM_SWARM_H

#include "sim/census.h"

typedef enum chaos_kind {
    CHAOS_CUT,           // a connection is reset
    CHAOS_MUTE,          // a connection becomes half-open
    CHAOS_PART,          // a client cannot reach the center for a while
    CHAOS_HOLD,          // nothing arrives for a while
    CHAOS_FREEZE,        // a client's process stands still for a while
    CHAOS_STALL,         // a client does not read for a while
    CHAOS_KILL,          // a client's process dies
    CHAOS_CLOSE,         // a client leaves, and comes back
    CHAOS_ALLOC,         // allocations of a client fail for a while
    CHAOS_ALLOC_AT,      // one allocation of a client fails
    CHAOS_SHED,          // the center can take no connections for a while
    CHAOS_CENTER_ALLOC,  // allocations of the center fail for a while
    CHAOS_CENTER_FREEZE, // the center stands still for a while
    CHAOS_CENTER_KILL,   // the center's process dies
    CHAOS_CENTER_STOP,   // the center stops in order, and is started again
    CHAOS_WORKER_FREEZE, // one worker of the center stands still for a while
    CHAOS_KIND_COUNT
} chaos_kind;

extern const char *const chaos_names[CHAOS_KIND_COUNT];

typedef struct swarm_options {
    domain_options domain;
    phi_dur duration;   // of load and faults
    phi_dur settle_min; // before, what looks good may be half-open
    phi_dur settle_max;

    phi_dur load_every; // mean time between two actions of one client
    uint32_t load_body_max;
    uint32_t load_timeout_max_ms;
    uint32_t watcher_percent; // clients that watch from the start

    phi_dur chaos_every;  // mean time between two faults
    phi_dur chaos_lasts;  // longest of those that last
    uint32_t chaos_kinds; // bit set of chaos_kind
    uint32_t alloc_per_million;
    phi_dur rogue_every;

    bool has_rules;      // and clients that are somebody; then
    phi_dur rules_every; // mean time between two changes of them
} swarm_options;

swarm_options swarm_options_random(uint64_t seed);
void swarm_options_print(FILE *to, const swarm_options *options);

// ---- swarm_run.c

typedef struct swarm_outcome {
    uint64_t hash; // of the trace
    uint64_t turns;
    uint32_t calls;
    phi_time settled;                       // world time
    char fault[sizeof((domain *)0)->fault]; // "" none
} swarm_outcome;

// A run has three parts. For a while there is load, and faults. Then both stop, and within a bound
// everybody must be up, see the same, and have no call open. Then each client makes one more call,
// which must succeed, and one client dies in the middle of calls, which must fail at once. Checks
// watch all the time.
//
//   trace   readable trace; NULL: none
//   sum     what happened is added to it; may be NULL
swarm_outcome swarm_run(uint64_t seed, FILE *trace, census *sum);

// ---- load.c

typedef struct load load;
load *load_new(domain *d, const swarm_options *options);
void load_free(load **l);
void load_begin(load *l, actor *a); // anew in each life of its process
void load_stop(load *l);

// ---- chaos.c

typedef struct chaos chaos;
chaos *chaos_new(domain *d, load *l, const swarm_options *options);
void chaos_free(chaos **c);
void chaos_begin(chaos *c);
void chaos_stop(chaos *c); // and undoes whatever lasts

#endif // SIM_SWARM_H
