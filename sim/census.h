// SPDX-License-Identifier: Apache-2.0
//
// sim/census.h - what happened in all runs together: a swarm that never reaches a limit proves
// nothing about it, and must not look as if it did.

#ifndef SIM_CENSUS_H
#define SIM_CENSUS_H

#include "sim/domain.h"

#define CENSUS_CODES_MAX 32u // failure codes below are counted one by one

typedef struct census {
    center_counters center; // the counters, summed; gauges mean nothing
    uint64_t replies;
    uint64_t failures[CENSUS_CODES_MAX]; // as callers saw them
    uint64_t failures_own;               // codes of responders
    uint64_t timeouts;
    uint64_t resets;
    uint64_t cancels;
    uint64_t cancels_heard; // by responders
    uint64_t answers;       // to inquiries, as askers saw them; and so on
    uint64_t ask_failures[CENSUS_CODES_MAX];
    uint64_t ask_failures_own;
    uint64_t asks_over; // with the dialog, or the connection, or cancelled
    uint64_t gathers;   // that ended with a summary; and so on
    uint64_t gather_parts;
    uint64_t gather_missing;
    uint64_t gather_failures;
    uint64_t writables;
    uint64_t peers_dropped;
} census;

void census_add_center(census *sum, const center_counters *counters);
void census_add_client(census *sum, const ph_client *client);
void census_add_domain(census *sum, const domain *d);

// One line "name count" each. Says how many of them should not be 0 and are.
unsigned census_print(FILE *to, const census *sum);

#endif // SIM_CENSUS_H
