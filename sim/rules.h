// SPDX-License-Identifier: Apache-2.0
//
// sim/rules.h - who may do what in a simulated domain, twice: as the rules that its center has, and
// as the plain model of them (tests/auth/rules_model.h), by which the oracles judge.
//
// What is on its way was judged by the rules of some time between when it was said and when it
// came. So all sets that there were are kept, and when each was in force.
//
// Limits   RULE_SETS_MAX sets in one life of a domain
// Threads  none

#ifndef SIM_RULES_H
#define SIM_RULES_H

#include "sim/domain.h"
#include "tests/auth/rules_model.h"

#define RULE_SETS_MAX 256u

typedef struct rule_set {
    phi_rules *rules; // owned; NULL: there are none, and all is open to those of the machine
    rules_model model;
    phi_time from; // world time
    phi_time until;
    uint64_t sees[ACTORS_MAX]; // by actor: whom; actors, and behind them rogues, as bits
} rule_set;

typedef struct rule_sets {
    rule_set *sets[RULE_SETS_MAX]; // owned
    uint32_t count;
    phi_time sight_changed; // world time: since then everybody sees what he sees now
} rule_sets;

rule_sets *rule_sets_new(void);
void rule_sets_free(rule_sets **all);

// These lines (see domain_secure) from now on.
const phi_rules *rule_sets_add(domain *d, const char *const *lines);

// Lines made up by chance, of everything that actors do with each other; NULL behind the last. All
// may register. Borrowed until the next call.
const char *const *rule_lines_random(phi_random *random);

// Whether the rules of now allow it; in `since`: or any that were in force since then.
bool rules_allow(const domain *d, const rules_model_question *q);
bool rules_allowed_since(const domain *d, phi_time since, const rules_model_question *q);

// Whether that actor sees that account, by the rules of now; and by all that there were, or any.
bool rules_see(const domain *d, const actor *a, const char *name);
bool rules_saw_always(const domain *d, const actor *a, const char *name);
bool rules_saw_ever(const domain *d, const actor *a, const char *name);

// Who one is, by the name of an account.
const char *rules_principal(const domain *d, const char *name);

#endif // SIM_RULES_H
