// SPDX-License-Identifier: Apache-2.0
//
// sim/check.h - the oracles: what must hold whatever happens, each in its own file. They find out
// and note it with domain_fail; they never change anything.

#ifndef SIM_CHECK_H
#define SIM_CHECK_H

#include "sim/dialog.h"

// Every accepted call ends exactly once, and not after its time.
void check_call_end(const call_record *call);
void check_calls_all_ended(domain *d);

// A reply reaches only its caller, and comes only from whom was asked.
void check_reply(const call_record *call, ph_err status, uint16_t code, const ph_incoming *reply);

// Every inquiry and every gather ends exactly once, in time, with what belongs to it.
void check_inquiry(actor *a, ph_call_id call, const ph_incoming *inquiry);
void check_ask_end(const ask_record *ask, const ph_incoming *answer);
void check_gather_part(gather_record *g, uint16_t code, const ph_incoming *part);
void check_gather_end(const gather_record *g, const ph_gathered *all);
void check_dialogs_all_ended(domain *d);

// Presence has no gap and no double, and in the end everybody sees who is there.
void check_presence_change(actor *a, ph_change change, const ph_peer *peer);
void check_presence_ready(actor *a, uint64_t revision);
bool check_presence_agrees(const actor *a, const char **why); // with the center's table
void check_presence_converged(domain *d);

// Whoever is told that an account is drained can rely on it. drain_ask asks for it, or takes it
// back.
void drain_ask(actor *a, const actor *target, bool is_begin, uint32_t patience_ms);
void check_drains_all_ended(domain *d);

// What the center says of itself agrees with itself, in the middle of everything. status_ask asks.
void status_ask(actor *a);
void check_statuses_all_ended(domain *d);

// Requests received are requests ended, one way or another, or still open.
void check_counters(domain *d);

// Of a domain at rest: a place that an address has is a connection that there is.
void check_places(domain *d);

// Those are chosen that are ready, and what they were chosen for is counted until it ends.
void check_services(domain *d);

// What is published comes to who asked for it. The second one is for when nothing is wrong: it
// publishes, and the center keeps just what is in force.
void check_topic_event(actor *a, const ph_incoming *event);
void check_topics(domain *d);
const char *check_topic(uint32_t which); // one of those that it knows
// What one publishes there comes to those who subscribed and may have it, and to nobody else.
void check_topic_reach(domain *d, const char *topic, uint32_t publisher);

// Nothing comes to anybody that the rules forbid, since when it was said. The last one is for when
// nothing is wrong: then what is allowed happens, and the rest is refused.
void check_rules_incoming(const actor *a, const ph_incoming *incoming, phi_action action,
                          phi_time since);
void check_rules_seen(const actor *a, const char *id);
void check_rules(domain *d);

// No link, at either end, stays in a state past its deadline.
void check_links(domain *d);
bool check_links_are_idle(const domain *d); // what waited to be sent has left; needs a center

// Messages in fragments take no more than they may.
void check_streams(domain *d);
bool check_streams_are_done(const actor *a);

// Nothing is under way between workers, and each has the same of what all have; needs a center.
bool check_workers_agree(const domain *d, const char **why);

// Whatever was taken came back.
void check_memory(domain *d, sim_node node);

#endif // SIM_CHECK_H
