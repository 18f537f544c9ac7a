// SPDX-License-Identifier: Apache-2.0
//
// policy/balancer.h - which of many instances gets the next call: power of two choices.
//
// Two instances are drawn, each with a chance proportional to its weight, and the one with the
// lower cost is taken. An instance costs
//
//     (calls outstanding, for its weight, + 1) x latency
//
// Latency is a peak average: it rises fast with slow answers, and falls by nothing but time, by
// half each second. A failure counts as a very slow answer. So one that fails at once, or is slow,
// gets no calls until its latency has come down to that of the others; then it gets one or two, and
// if they are no better it pays again. When both that were drawn are bad, a third is.
//
// Of two that cost about the same, that one is taken that got fewer calls lately, for its weight:
// where nothing is wrong, shares are what the weights say.
//
// Forgiving by time means that a bad instance gets a call or two in some three seconds, whatever
// the others get. Among ten that is below 1 % of what a service gets from about 50 calls a second
// on, and 3 % of 10 calls a second; and whoever recovers has its share back within five seconds.
//
// Life     phi_balancer_init -> (reserve, set, pick, begin, end)* -> phi_balancer_fini
// Limits   as many instances as there is memory for; weights 0 (gets nothing) to 65,535
// Threads  none

#ifndef PHI_POLICY_BALANCER_H
#define PHI_POLICY_BALANCER_H

#include <posthouse/err.h>

#include "base/alloc.h"
#include "base/compiler.h"
#include "base/random.h"
#include "base/time.h"

// What is known of one instance. Zeroed is one of which nothing is known. It belongs to the caller,
// who may keep it while the instance is not to be chosen.
typedef struct phi_load {
    uint64_t latency_ns;  // as of `at`; 0: no call has ended yet
    phi_time at;          // up to when latency and recent have decayed
    uint32_t outstanding; // calls begun, not ended
    uint32_t recent;      // calls given lately, decayed, in PHI_LOAD_CALL units
    uint32_t place;       // in the balancer, from 1; 0: not there
    uint16_t weight;      // there
} phi_load;

#define PHI_LOAD_CALL 256u

typedef struct phi_balancer {
    const phi_alloc *alloc; // borrowed
    phi_load **loads;       // owned array of borrowed loads, in no order
    uint64_t *tree;         // owned; sums of weights (Fenwick 1994); from 1
    uint32_t count;
    uint32_t outstanding; // calls, of all, and of those that were in it when they were given
    uint32_t capacity;
    uint32_t step_first; // of a descent: the highest power of two that is at most `capacity`
    uint64_t weight;     // of all
    uint64_t latency_ns; // what is common among them; 0: no call has been answered yet
    uint32_t samples;    // that it was made of, up to a bound
} phi_balancer;

void phi_balancer_init(phi_balancer *b, const phi_alloc *alloc);

// Loads that are left in it are forgotten.
void phi_balancer_fini(phi_balancer *b);

// Makes room for so many loads in all, so that phi_balancer_set cannot fail for them.
//
// PH_ENOMEM   no memory; what was there stays
PHI_MUST_CHECK ph_err phi_balancer_reserve(phi_balancer *b, uint32_t count);

// From now on it is chosen with that weight; 0 takes it out. There is room for it.
void phi_balancer_set(phi_balancer *b, phi_load *load, uint16_t weight, phi_time now);

// NULL when there is none but `but` (which may be NULL).
phi_load *phi_balancer_pick(phi_balancer *b, phi_random *random, phi_time now, const phi_load *but);

// Something that is not waited for was given to it.
void phi_balancer_give(phi_load *load, phi_time now);

// A call was given to it.
void phi_balancer_begin(phi_balancer *b, phi_load *load, phi_time now);

typedef enum phi_load_end {
    PHI_LOAD_ANSWERED,
    PHI_LOAD_FAILED,
    PHI_LOAD_DROPPED, // nobody waited for the answer: it would have taken at least so long
} phi_load_end;

// The call has ended, after `took`. `b` is the balancer whose loads it is compared with, whether or
// not it is in it now.
void phi_balancer_end(phi_balancer *b, phi_load *load, phi_load_end end, phi_dur took,
                      phi_time now);

// It cannot take what it was chosen for: as if that had failed.
void phi_balancer_blame(const phi_balancer *b, phi_load *load, phi_time now);

// Asserts the invariants. Walks over all.
void phi_balancer_check(const phi_balancer *b);

#endif // PHI_POLICY_BALANCER_H
