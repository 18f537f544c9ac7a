// SPDX-License-Identifier: Apache-2.0
//
// link/link.c - the two tables of a link, and its life between them.
//
// What may happen is data: the state table says where a link may go, the packet table which packet
// is legal in which state at which end. Whatever neither allows ends the link with a bye.
//
// Time costs nothing per packet: what comes writes `heard` and leaves the deadline, which is then
// earlier than need be. The tick that comes of it finds nothing to do and sets the deadline anew.
//
// Invariants   deadline is NEVER exactly when closed
//              has_end only when closed; closed is never left
//              at most send_bytes_max + PHI_LINK_HEADROOM_BYTES bytes wait
//              has_chore while there is a JOIN to free, or a suspicion told or to be told

#include "link/link.h"

#include <stdio.h>

#include "base/assert.h"
#include "link/link_internal.h"
#include "link/stranger.h"

// ---- states

// Where a link may go from each state. greeting, joining and admitting share one deadline
// (state_deadline); open lives on heartbeats; closed is left to the owner.
const phi_sm_state phi_link_states[PHI_LINK_STATE_COUNT] = {
    [PHI_LINK_GREETING] = { .name = "greeting",
                            .next = PHI_SM_TO(PHI_LINK_JOINING) | PHI_SM_TO(PHI_LINK_CLOSED),
                            .is_initial = true },
    [PHI_LINK_JOINING] = { .name = "joining",
                           .next = PHI_SM_TO(PHI_LINK_ADMITTING) | PHI_SM_TO(PHI_LINK_OPEN) |
                                   PHI_SM_TO(PHI_LINK_CLOSED) },
    [PHI_LINK_ADMITTING] = { .name = "admitting",
                             .next = PHI_SM_TO(PHI_LINK_OPEN) | PHI_SM_TO(PHI_LINK_CLOSED) },
    [PHI_LINK_OPEN] = { .name = "open", .next = PHI_SM_TO(PHI_LINK_CLOSED) },
    [PHI_LINK_CLOSED] = { .name = "closed", .is_final = true },
};

static void link_check(const phi_link *link)
{
    bool is_closed = phi_link_is(link, PHI_LINK_CLOSED);
    PH_ASSERT(is_closed == phi_time_is_never(link->deadline));
    PH_ASSERT(!link->has_end || is_closed);
    PH_ASSERT(phi_link_waiting(link) <= link->options->send_bytes_max + PHI_LINK_HEADROOM_BYTES);
    if (phi_link_is(link, PHI_LINK_ADMITTING)) {
        PH_ASSERT(link->options->side == PHI_LINK_CENTER);
    }
    if (link->join != NULL || link->is_suspect || link->is_told_suspect) {
        PH_ASSERT(link->has_chore);
    }
}

void phi_link_rearm(phi_link *link)
{
    switch ((phi_link_state)link->sm.state) {
    case PHI_LINK_GREETING:
    case PHI_LINK_JOINING:
    case PHI_LINK_ADMITTING:
        link->deadline = link->state_deadline;
        break;
    case PHI_LINK_OPEN:
        link->deadline = phi_time_min(phi_link_heartbeat_due(link),
                                      phi_time_add(link->full_since, link->options->full_timeout));
        break;
    case PHI_LINK_CLOSED:
        link->deadline = PHI_TIME_NEVER;
        break;
    case PHI_LINK_STATE_COUNT:
    default:
        PH_UNREACHABLE("no such state");
    }
}

void phi_link_move(phi_link *link, phi_link_state next)
{
    phi_sm_move(&link->sm, (uint8_t)next);
    if (next == PHI_LINK_OPEN) {
        link->measured = link->heard; // state_deadline stood there
    }
    phi_link_rearm(link);
    link_check(link);
}

// ---- packets

// Hands a packet up unread: its family belongs to the owner.
static void link_on_pass(phi_link *link, const phi_packet *packet, phi_link_event *event,
                         phi_time now)
{
    (void)link;
    (void)now;
    event->type = PHI_LINK_EVENT_PACKET;
    event->packet = *packet;
}

#define IN_JOINING PHI_SM_TO(PHI_LINK_JOINING)
#define IN_OPEN PHI_SM_TO(PHI_LINK_OPEN)

// Which packets are legal in which states, by the end that receives them, and who handles them:
// P-30. No state: never. Commands that are not here are unknown.
static const phi_link_rule link_rules[PHI_COMMAND_CREDENTIAL + 1][PHI_LINK_SIDE_COUNT] = {
    [PHI_COMMAND_HEARTBEAT] = {
        [PHI_LINK_CENTER] = { IN_OPEN, phi_link_on_heartbeat },
        [PHI_LINK_CLIENT] = { IN_OPEN, phi_link_on_heartbeat },
    },
    [PHI_COMMAND_HANDSHAKE] = {
        [PHI_LINK_CENTER] = { IN_JOINING, phi_link_on_join },
        [PHI_LINK_CLIENT] = { PHI_SM_TO(PHI_LINK_GREETING) | IN_JOINING,
                              phi_link_on_hello_or_welcome },
    },
    [PHI_COMMAND_ONLINE_LIST] = {
        [PHI_LINK_CENTER] = { IN_OPEN, link_on_pass },
        [PHI_LINK_CLIENT] = { IN_OPEN, link_on_pass },
    },
    [PHI_COMMAND_ONLINE_STATUS] = {
        [PHI_LINK_CENTER] = { 0, link_on_pass },
        [PHI_LINK_CLIENT] = { IN_OPEN, link_on_pass },
    },
    [PHI_COMMAND_MESSAGE] = {
        [PHI_LINK_CENTER] = { IN_OPEN, link_on_pass },
        [PHI_LINK_CLIENT] = { IN_OPEN, link_on_pass },
    },
    [PHI_COMMAND_BYE] = {
        [PHI_LINK_CENTER] = { IN_JOINING | IN_OPEN, phi_link_on_bye },
        [PHI_LINK_CLIENT] = { PHI_SM_TO(PHI_LINK_GREETING) | IN_JOINING | IN_OPEN,
                              phi_link_on_bye }, // P-81: in place of HELLO
    },
    [PHI_COMMAND_OWN_STATE] = {
        [PHI_LINK_CENTER] = { IN_OPEN, link_on_pass },
        [PHI_LINK_CLIENT] = { IN_OPEN, link_on_pass },
    },
    [PHI_COMMAND_SUBSCRIPTION] = {
        [PHI_LINK_CENTER] = { IN_OPEN, link_on_pass },
        [PHI_LINK_CLIENT] = { IN_OPEN, link_on_pass },
    },
    [PHI_COMMAND_STREAM] = {
        [PHI_LINK_CENTER] = { IN_OPEN, link_on_pass },
        [PHI_LINK_CLIENT] = { IN_OPEN, link_on_pass },
    },
    [PHI_COMMAND_CREDENTIAL] = {
        [PHI_LINK_CENTER] = { IN_OPEN, link_on_pass },
        [PHI_LINK_CLIENT] = { IN_OPEN, link_on_pass },
    },
};

const phi_link_rule *phi_link_rule_find(phi_link_side side, uint16_t command)
{
    PH_ASSERT(side < PHI_LINK_SIDE_COUNT);
    if (PHI_UNLIKELY(command >= PHI_COUNT_OF(link_rules))) {
        return NULL;
    }
    const phi_link_rule *rule = &link_rules[command][side];
    return rule->handle == NULL ? NULL : rule;
}

static PHI_COLD void link_refuse(phi_link *link, uint16_t command, bool is_known)
{
    char detail[96];
    if (is_known) {
        snprintf(detail, sizeof detail, "%s is not allowed from this end while %s",
                 phi_command_name(command), phi_sm_name(&link->sm));
        phi_link_fail(link, PHI_BYE_ILLEGAL_IN_STATE, detail);
    } else {
        snprintf(detail, sizeof detail, "unknown command 0x%04x", command);
        phi_link_fail(link, PHI_BYE_COMMAND_UNKNOWN, detail);
    }
}

static void link_dispatch(phi_link *link, const phi_packet *packet, phi_link_event *event,
                          phi_time now)
{
    const phi_link_rule *rule = phi_link_rule_find(link->options->side, packet->command);
    if (PHI_UNLIKELY(rule == NULL || (rule->in_states & PHI_SM_TO(link->sm.state)) == 0)) {
        link_refuse(link, packet->command, rule != NULL);
        return;
    }
    rule->handle(link, packet, event, now);
}

// ---- life

static void link_options_check(const phi_link_options *options)
{
    PH_ASSERT(options->alloc != NULL);
    PH_ASSERT(options->side < PHI_LINK_SIDE_COUNT);
    PH_ASSERT(options->send_bytes_max >= PHI_LINK_SEND_BYTES_MIN);
    PH_ASSERT(options->packet_bytes_max >= PHI_PACKET_BYTES_JOINING_MAX);
    PH_ASSERT(options->packet_bytes_max <= PHI_PACKET_BYTES_MAX);
    PH_ASSERT(options->join_timeout.ns > 0);
    PH_ASSERT(options->full_timeout.ns > 0);
    if (options->side == PHI_LINK_CENTER) {
        PH_ASSERT(options->suite < PHI_SUITE_COUNT);
        PH_ASSERT(options->heartbeat_idle.ns > 0);
        PH_ASSERT(options->heartbeat_grace.ns > 0);
    } else {
        PH_ASSERT(options->suite_floor < PHI_SUITE_COUNT);
        PH_ASSERT(options->join != NULL);
    }
}

ph_err phi_link_init(phi_link *link, const phi_link_options *options, const phi_keys *keys,
                     phi_time now)
{
    link_options_check(options);
    *link = (phi_link){
        .options = options,
        .state_deadline = phi_time_add(now, options->join_timeout),
        .heard = now,
        .shown = now,
        .asked = PHI_TIME_NEVER,
        .full_since = PHI_TIME_NEVER,
        .heartbeat_idle = options->heartbeat_idle,
        .heartbeat_grace = options->heartbeat_grace,
        .peer_packet_bytes_max = PHI_PACKET_BYTES_MAX,
    };
    phi_sm_init(&link->sm, phi_link_states, PHI_LINK_STATE_COUNT);
    phi_inbound_init(&link->in, options->alloc, PHI_PACKET_BYTES_JOINING_MAX);
    phi_outbound_init(&link->out,
                      options->quota != NULL ? &options->quota->limited : options->alloc,
                      options->send_bytes_max + PHI_LINK_HEADROOM_BYTES);
    phi_link_rearm(link);
    if (options->side == PHI_LINK_CENTER) {
        ph_err err = phi_link_greet(link, keys);
        if (err != PH_OK) {
            phi_link_fini(link);
            return err;
        }
    } else {
        PH_ASSERT(keys == NULL);
    }
    return PH_OK;
}

void phi_link_fini(phi_link *link)
{
    if (link->options == NULL) {
        return;
    }
    const phi_alloc *alloc = link->options->alloc;
    phi_give(alloc, link->join, sizeof *link->join);
    if (link->owns_end_text) {
        phi_give(alloc, (void *)(uintptr_t)link->end.text.data, link->end.text.size);
    }
    phi_inbound_fini(&link->in);
    phi_outbound_fini(&link->out);
    *link = (phi_link){ .options = NULL };
}

// ---- receiving

void phi_link_receive(phi_link *link, phi_span bytes, phi_time now)
{
    PH_ASSERT(!link->is_held || phi_link_is(link, PHI_LINK_CLOSED));
    PH_ASSERT(!phi_link_is(link, PHI_LINK_ADMITTING));
    if (!phi_link_is(link, PHI_LINK_CLOSED)) {
        link->heard = now; // the beginning of a packet, too: P-40
        phi_inbound_receive(&link->in, bytes);
    }
}

// Not the beginning of a packet. The first bytes of all may tell what else it is; in suite paper
// they were changed.
static PHI_COLD void link_on_length(phi_link *link)
{
    const char *protocol = NULL;
    if (!phi_link_is(link, PHI_LINK_OPEN) && link->in.suite != PHI_SUITE_PAPER) {
        protocol = phi_stranger_protocol(phi_inbound_unreadable(&link->in));
    }
    if (protocol == NULL) {
        phi_link_fail(link, PHI_BYE_LENGTH_INVALID, NULL);
        return;
    }
    char detail[64];
    bool is_center = link->options->side == PHI_LINK_CENTER;
    snprintf(detail, sizeof detail, is_center ? "%s is not spoken at this address" : "it speaks %s",
             protocol);
    phi_link_fail(link, PHI_BYE_LENGTH_INVALID, detail);
}

// Why the bytes cannot be read on.
static PHI_COLD void link_on_unreadable(phi_link *link, phi_inbound_result result)
{
    switch (result) {
    case PHI_INBOUND_LENGTH:
        link_on_length(link);
        break;
    case PHI_INBOUND_CHECK:
        phi_link_fail(link, PHI_BYE_CHECK_WRONG, NULL);
        break;
    case PHI_INBOUND_MEMORY:
        phi_link_fail(link, PHI_BYE_INTERNAL, "out of memory");
        break;
    case PHI_INBOUND_MORE:
    case PHI_INBOUND_PACKET:
    default:
        PH_UNREACHABLE("readable");
    }
}

// What is seldom to be done has one flag, so that a packet pays for one look.
static PHI_COLD void link_do_chores(phi_link *link, phi_link_event *event)
{
    phi_give(link->options->alloc, link->join, sizeof *link->join);
    link->join = NULL;
    if (!phi_link_is(link, PHI_LINK_CLOSED)) {
        phi_link_heartbeat_report(link, event);
    }
    link->has_chore = link->is_suspect || link->is_told_suspect;
}

void phi_link_next(phi_link *link, phi_link_event *event, phi_time now)
{
    // A JOIN event is answered before anything behind it is looked at.
    PH_ASSERT(!phi_link_is(link, PHI_LINK_ADMITTING));
    PH_ASSERT_SLOW(!link->is_held || phi_link_is(link, PHI_LINK_CLOSED));
    event->type = PHI_LINK_EVENT_NONE;
    if (PHI_UNLIKELY(link->has_chore)) {
        link_do_chores(link, event);
        if (event->type != PHI_LINK_EVENT_NONE) {
            return;
        }
    }
    while (PHI_LIKELY(!phi_link_is(link, PHI_LINK_CLOSED))) {
        phi_packet packet;
        phi_inbound_result result = phi_inbound_next(&link->in, &packet);
        if (result == PHI_INBOUND_MORE) {
            return;
        }
        if (PHI_UNLIKELY(result != PHI_INBOUND_PACKET)) {
            link_on_unreadable(link, result);
            break;
        }
        link_dispatch(link, &packet, event, now);
        if (event->type != PHI_LINK_EVENT_NONE) {
            return;
        }
    }
    if (link->has_end) {
        link->has_end = false;
        event->type = PHI_LINK_EVENT_CLOSED;
        event->end = link->end;
    }
}

void phi_link_hold(phi_link *link)
{
    PH_ASSERT(!link->is_held);
    if (phi_link_is(link, PHI_LINK_CLOSED)) {
        return;
    }
    // Counted, not limited: whether there is memory for it the owner asks before it decides to
    // hold.
    const phi_link_options *o = link->options;
    if (!phi_inbound_keep(&link->in, o->quota != NULL ? &o->quota->counted : o->alloc)) {
        phi_link_fail(link, PHI_BYE_INTERNAL, "out of memory");
        return;
    }
    link->is_held = true;
    phi_link_rearm(link);
}

// It will be read again, or so it seems to the other: what came meanwhile was not looked at.
static void link_listen(phi_link *link, phi_time now)
{
    if (phi_link_is(link, PHI_LINK_CLOSED)) {
        return;
    }
    link->heard = now;
    if (phi_link_is(link, PHI_LINK_OPEN)) {
        link->measured = now;
    }
    phi_link_rearm(link);
}

void phi_link_go_on(phi_link *link, phi_time now)
{
    PH_ASSERT(link->is_held || phi_link_is(link, PHI_LINK_CLOSED));
    link->is_held = false;
    link_listen(link, now);
}

void phi_link_pause(phi_link *link, bool is_paused, phi_time now)
{
    if (link->is_paused == is_paused) {
        return;
    }
    link->is_paused = is_paused;
    if (is_paused) {
        phi_link_rearm(link);
    } else {
        link_listen(link, now);
    }
}

// ---- time

// While memory is short, who keeps more than a share of it waiting must at least read on: otherwise
// those who fill their buffers and then neither read nor are sent anything would keep it for ever.
static void link_judge_hog(phi_link *link, phi_time now)
{
    const phi_quota *quota = link->options->quota;
    if (quota != NULL && phi_quota_is_short(quota) &&
        phi_link_waiting(link) > phi_quota_share(quota)) {
        phi_link_note_full(link, now);
    }
}

void phi_link_tick(phi_link *link, phi_time now)
{
    PH_ASSERT(!phi_link_is(link, PHI_LINK_ADMITTING) || link->is_held);
    if (phi_time_before(now, link->deadline) || phi_link_is(link, PHI_LINK_CLOSED)) {
        return;
    }
    if (!phi_link_is(link, PHI_LINK_OPEN)) {
        phi_link_fail(link, PHI_BYE_JOIN_TIMEOUT, NULL); // P-12
        return;
    }
    phi_time full_until = phi_time_add(link->full_since, link->options->full_timeout);
    if (!phi_time_before(now, full_until)) {
        phi_link_fail(link, PHI_BYE_SLOW_CONSUMER, NULL); // P-59
        return;
    }
    bool was_due = phi_link_heartbeat_tick(link, now);
    if (phi_link_is(link, PHI_LINK_OPEN)) {
        link_judge_hog(link, now);
    }
    phi_link_rearm(link);
    if (was_due) {
        phi_link_trim(link);
    }
    link_check(link);
}

// ---- sending

uint8_t *phi_link_begin_own(phi_link *link, size_t payload_max)
{
    size_t head = phi_suite_head(link->out.suite);
    size_t limit = link->options->send_bytes_max + PHI_LINK_HEADROOM_BYTES;
    size_t bye = PHI_PACKET_HEAD_CHECKED + PHI_BYE_BYTES_MAX;
    PH_ASSERT(head + payload_max <= PHI_PACKET_BYTES_JOINING_MAX);
    if (phi_link_waiting(link) + head + payload_max + bye > limit) {
        return NULL;
    }
    return phi_outbound_begin_before(&link->out, payload_max, bye);
}

void phi_link_note_full(phi_link *link, phi_time now)
{
    PH_ASSERT(phi_link_is(link, PHI_LINK_OPEN));
    if (phi_time_is_never(link->full_since)) {
        link->full_since = now;
        phi_link_rearm(link);
    }
}

void phi_link_begin_failed(phi_link *link, size_t payload_max, phi_time now)
{
    bool is_open = phi_link_is(link, PHI_LINK_OPEN);
    if (is_open && phi_suite_head(link->out.suite) + payload_max > phi_link_room(link)) {
        phi_link_note_full(link, now);
    } // else there was no memory
}

void phi_link_sent(phi_link *link, size_t count)
{
    PH_ASSERT(count <= phi_link_waiting(link));
    phi_outbound_sent(&link->out, count);
    phi_link_heartbeat_sent(link, count);
    if (!phi_time_is_never(link->full_since) && phi_link_is_roomy(link)) {
        link->full_since = PHI_TIME_NEVER;
    }
}

void phi_link_keep(phi_link *link)
{
    if (!phi_outbound_keep(&link->out, PHI_LINK_HEADROOM_BYTES)) {
        phi_outbound_forget(&link->out);
        phi_link_torn(link);
    }
}

void phi_link_trim(phi_link *link)
{
    phi_buf_release(&link->out.buf);
    phi_buf_release(&link->in.partial);
    // One of them alone is in the suite when there was no memory for the other.
    if (link->out.suite == PHI_SUITE_PAPER) {
        phi_cipher_rest(&link->out.cipher);
    }
    if (link->in.suite == PHI_SUITE_PAPER) {
        phi_cipher_rest(&link->in.cipher);
    }
}
