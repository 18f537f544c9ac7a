// SPDX-License-Identifier: Apache-2.0
//
// auth/rules.h - who may do what: the rules of a configuration, compiled, and the verdict on one
// action.
//
//     rules:
//       - name: shop
//         who: [orders, "checkout-*"]          # principals
//         may:
//           call: ["service:stock get", "service:bank pay.*"]
//           publish: ["orders.>"]
//         may_not:
//           call: ["service:bank refund"]
//
// Verdict   Something is allowed when a rule that fits the principal says `may`, and none that fits
//           says `may_not`. The order of rules means nothing. What no rule mentions is refused.
// Targets   call, send    an account, or service:NAME; behind spaces, methods (none: all). The
//                         receiver is judged, whatever the message was addressed to: its account,
//                         or its service. Of a receiver that is not there, only the service may be
//                         known: of entries about accounts only `*` fits it then
//           see, drain    an account, or service:NAME
//           register      the same; the account asked for and the service are two questions, and an
//                         entry about accounts never answers one about a service
//           publish, subscribe     a topic or pattern; subscribing to a pattern is allowed when one
//                         `may` covers all of it, and no `may_not` any of it
//           center        a domain: join as the center of that
//           status        a domain: be told what its center counts (P-69)
// Patterns  In names and methods `*` fits any run of characters, also none; in topics `*` one word
//           and `>` the rest, one word at least, as in subscriptions [P-74].
// Roles     Which rules fit a principal does not change: that is looked up once, and makes its
//           *role*, a bit for each rule. Who has the same role gets the same verdicts.
//
// Life     phi_rules_new -> phi_rules_add* -> (phi_rules_role, phi_rules_judge)* -> phi_rules_free
// Limits   PHI_RULES_MAX rules, PHI_RULE_ENTRIES_MAX entries in each list of a rule
// Threads  none; a finished set is not changed by judging, and may be read by several

#ifndef PHI_AUTH_RULES_H
#define PHI_AUTH_RULES_H

#include <posthouse/err.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/diag.h"

#define PHI_RULES_MAX 256u
#define PHI_RULE_ENTRIES_MAX 256u // of those with methods, each method counts
#define PHI_RULE_NONE UINT32_MAX

typedef enum phi_action {
    PHI_MAY_CALL,      // a request
    PHI_MAY_SEND,      // an event to an account, to instances of a service, or to everybody
    PHI_MAY_PUBLISH,   // an event to a topic
    PHI_MAY_SUBSCRIBE, // get what is published there
    PHI_MAY_SEE,       // in presence
    PHI_MAY_REGISTER,  // join as that account, or as an instance of that service
    PHI_MAY_DRAIN,     // have an operator's drain (P-69)
    PHI_MAY_STATUS,    // be told what the center counts (P-69)
    PHI_MAY_CENTER,    // be the center of another domain
    PHI_ACTION_COUNT
} phi_action;

// "call, send, ... center": all of them, for people.
#define PHI_ACTION_NAMES "call, send, publish, subscribe, see, register, drain, status, center"

// "call", "send", ... "center"; as in the configuration and on the command line.
const char *phi_action_name(phi_action action);
// False when there is none of that name.
bool phi_action_of_name(phi_bytes name, phi_action *out);

// What the targets of an action are, and so its entries.
typedef enum phi_about { PHI_ABOUT_RECEIVERS, PHI_ABOUT_TOPICS, PHI_ABOUT_DOMAINS } phi_about;

phi_about phi_action_about(phi_action action);

typedef struct phi_rules phi_rules;

// The rules that fit a principal.
typedef struct phi_role {
    uint64_t fits[PHI_RULES_MAX / 64];
} phi_role;

// The concrete thing that an action is about; empty where it has none of it.
typedef struct phi_target {
    phi_bytes account; // call, send, see, drain, register
    phi_bytes service; // same: of which that is an instance. register: one of the two, not both
    phi_bytes method;  // call, send
    phi_bytes topic;   // publish: a topic. subscribe: a topic, or a pattern
    phi_bytes domain;  // center, status
} phi_target;

typedef struct phi_verdict {
    bool is_allowed;
    // The same verdict stands for every method of this target.
    bool is_for_all_methods;
    uint32_t rule;  // that says so; PHI_RULE_NONE: none does, and so it is refused
    uint32_t entry; // of that rule's list of `may`, or `may_not`, for this action
} phi_verdict;

// A line of a rule as it was written, for people. Views into the rules.
typedef struct phi_rule_entry {
    phi_bytes text; // "service:bank pay.*"
    uint32_t line;  // see phi_rules_mark
} phi_rule_entry;

// PH_ENOMEM
PHI_MUST_CHECK ph_err phi_rules_new(phi_rules **out, const phi_alloc *alloc);
void phi_rules_free(phi_rules **rules);

// ---- building. An error changes nothing; *diag says what is wrong and what is right.

// What follows stands in that line of the configuration.
void phi_rules_mark(phi_rules *rules, uint32_t line);

// Begins a rule; `name` may be empty: "rule 3" then. Entries follow.
//
// PH_ELIMIT   PHI_RULES_MAX
// PH_EINVAL   the name is there already, or is no name
// PH_ENOMEM
PHI_MUST_CHECK ph_err phi_rules_add(phi_rules *rules, phi_bytes name, phi_diag *diag);

// Names the rule begun last, if its name was not known then. PH_EINVAL as of phi_rules_add.
PHI_MUST_CHECK ph_err phi_rules_call_it(phi_rules *rules, phi_bytes name, phi_diag *diag);

// To the rule begun last: a pattern of principals that it fits.
// PH_EINVAL, PH_ELIMIT, PH_ENOMEM
PHI_MUST_CHECK ph_err phi_rules_who(phi_rules *rules, phi_bytes pattern, phi_diag *diag);

// To the rule begun last: "service:bank pay.*".  Errors as of phi_rules_who.
PHI_MUST_CHECK ph_err phi_rules_entry(phi_rules *rules, bool may, phi_action action,
                                      phi_bytes entry, phi_diag *diag);

// ---- judging

phi_role phi_rules_role(const phi_rules *rules, phi_bytes principal);

// Allocates nothing, and takes time for the entries about this action of the role's own rules only.
// Names and topics in the target may be any bytes: what is none is refused.
phi_verdict phi_rules_judge(const phi_rules *rules, const phi_role *role, phi_action action,
                            const phi_target *target);

// ---- looking at them

uint32_t phi_rules_count(const phi_rules *rules);
phi_bytes phi_rules_name(const phi_rules *rules, uint32_t rule);
uint32_t phi_rules_line(const phi_rules *rules, uint32_t rule);

uint32_t phi_rules_who_count(const phi_rules *rules, uint32_t rule);
phi_rule_entry phi_rules_who_get(const phi_rules *rules, uint32_t rule, uint32_t index);

uint32_t phi_rules_entry_count(const phi_rules *rules, uint32_t rule, bool may, phi_action action);
phi_rule_entry phi_rules_entry_get(const phi_rules *rules, uint32_t rule, bool may,
                                   phi_action action, uint32_t index);

#endif // PHI_AUTH_RULES_H
