// SPDX-License-Identifier: Apache-2.0
//
// link/link_internal.h - what the files of a link share. link.c holds the tables and the life,
// link_handshake.c how it opens, link_heartbeat.c how it shows life, link_end.c how it ends.

#ifndef PHI_LINK_LINK_INTERNAL_H
#define PHI_LINK_LINK_INTERNAL_H

#include "link/link.h"

// HELLO: kind, version 5, suite 4, domain 67, keys 2 * (35 + 19), four u32 of 7.
#define PHI_LINK_HELLO_BYTES_MAX (1u + 5u + 4u + 67u + 108u + 28u)
// WELCOME: kind, id 132, three u64 of 11, a u32 of 7.
#define PHI_LINK_WELCOME_BYTES_MAX (1u + 132u + 33u + 7u)

// Handles one legal packet. Sets event->type when the owner is to hear of it.
typedef void phi_link_packet_fn(phi_link *link, const phi_packet *packet, phi_link_event *event,
                                phi_time now);

// One line of the packet table.
typedef struct phi_link_rule {
    uint32_t in_states; // bit set of PHI_SM_TO
    phi_link_packet_fn *handle;
} phi_link_rule;

// ---- link.c

// For tests: the tables.
extern const phi_sm_state phi_link_states[PHI_LINK_STATE_COUNT];
// The rule for `command` as received by `side`; NULL when the command is unknown.
const phi_link_rule *phi_link_rule_find(phi_link_side side, uint16_t command);

// The only place where a link changes state.
void phi_link_move(phi_link *link, phi_link_state next);

// Sets the deadline from what the link waits for.
void phi_link_rearm(phi_link *link);

// Room for a packet of the link's own: HELLO, JOIN, WELCOME, heartbeat. They may use the headroom,
// but never the bye's part of it. NULL when there is none.
uint8_t *phi_link_begin_own(phi_link *link, size_t payload_max);

// Something found no room in an open link: full_timeout runs from here, unless it runs already.
void phi_link_note_full(phi_link *link, phi_time now);

// ---- link_handshake.c

phi_link_packet_fn phi_link_on_hello_or_welcome;
phi_link_packet_fn phi_link_on_join;

// The center's first packet, and both directions into the suite it names.
PHI_MUST_CHECK ph_err phi_link_greet(phi_link *link, const phi_keys *keys);

// ---- link_heartbeat.c

phi_link_packet_fn phi_link_on_heartbeat;
// What silence calls for; false: nothing yet.
bool phi_link_heartbeat_tick(phi_link *link, phi_time now);
// So many bytes have left.
void phi_link_heartbeat_sent(phi_link *link, size_t count);
// When it has something to do next.
phi_time phi_link_heartbeat_due(const phi_link *link);
// Sets event->type when the owner is to hear that the other end became suspect, or shows life.
void phi_link_heartbeat_report(phi_link *link, phi_link_event *event);

// ---- link_end.c

phi_link_packet_fn phi_link_on_bye;

// Ends the link for cause: bye where the suite is known, and the error that belongs to `code`.
// `detail` may be NULL: the code's own text.
void phi_link_fail(phi_link *link, phi_bye_code code, const char *detail);

// The same with an error of its own.
void phi_link_fail_with(phi_link *link, ph_err err, phi_bye_code code, const char *detail);

// What was queued is lost, and some of it may have left: a bye behind that would not be understood.
void phi_link_torn(phi_link *link);

#endif // PHI_LINK_LINK_INTERNAL_H
