// SPDX-License-Identifier: Apache-2.0
//
// app/keeper.h - keeps the security of a running center up to date: makes it anew when a file that
// the configuration names has changed, when keys of tokens were fetched, and when the configuration
// is read again; all of it or nothing, without ending a connection. What is in force stays until
// every worker has what follows.
//
// Life     keeper_new -> keeper_start -> keeper_reload* -> keeper_stop -> (crew_free) ->
//          keeper_free
// Threads  a keeper belongs to the main thread and the crew's first loop

#ifndef APP_KEEPER_H
#define APP_KEEPER_H

#include "app/config.h"
#include "app/crew.h"

#define KEEPER_WARN_HOURS 24u // between two warnings that something ends soon

typedef struct keeper keeper;

typedef struct keeper_counters {
#define APP_METRIC(name, kind, help) uint64_t name;
#include "app/metrics.def"
#undef APP_METRIC
    uint64_t certificate_days_left; // SECURITY_NO_CERTIFICATE: there is none
    uint64_t revocations_days_left; // SECURITY_NO_REVOCATIONS: there is no list that ends
} keeper_counters;

// What a keeper asks of the program.
typedef struct keeper_events {
    // The configuration's file has changed: read it again. Then keeper_reload or
    // keeper_count_refused.
    void (*reread)(void *arg);
    // A configuration that was read again is in force, as far as that is possible without a
    // restart.
    void (*taken)(void *arg);
    void *arg;
} keeper_events;

// Reads the files, fetches the keys, and makes the first snapshot.
//
//   config   in force; borrowed, and changed by keeper_reload
//
// PH_ECONFIG   errors were added
// PH_ENOMEM    the same
PHI_MUST_CHECK ph_err keeper_new(keeper **out, config *config, config_errors *errors);

// Secures the crew, which does not run yet, and logs what there is to warn of.
PHI_MUST_CHECK ph_err keeper_start(keeper *k, crew *workers, log_sink *sink,
                                   const keeper_events *events, phi_diag *diag);

// Takes over what can be without a restart, and the rules of `fresh`; refused, and logged, when
// that is not safe or a file is not as it should be. A later one takes the place of one that has
// not come to its end.
void keeper_reload(keeper *k, config *fresh);

// Before the configuration is read again: what changes in its file from now on is new.
void keeper_before_read(keeper *k);

// A configuration could not even be read.
void keeper_count_refused(keeper *k);

keeper_counters keeper_count(const keeper *k);

// After crew_run: nothing is renewed any more.
void keeper_stop(keeper *k);

// After crew_free. Accepts NULL.
void keeper_free(keeper **k);

#endif // APP_KEEPER_H
