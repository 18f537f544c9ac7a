// SPDX-License-Identifier: Apache-2.0
//
// link/link_heartbeat.c - signs of life, and the round trip they measure: P-39, P-40.
//
// The stamp of an ask is the time at which it was made, so nothing else need be kept: an answer
// counts when it brings back the stamp of the one ask that is out. A stamp that was forged, or
// answers an ask that another has replaced, is ignored.
//
// An ask may wait behind a long queue that a slow path takes bit by bit. Then it is not the other
// end's fault that no answer comes, and what it takes shows that it lives: the grace begins anew as
// long as the queue in front of the ask moves.
//
// An owner that holds the link, or pauses, does not read, so there is nothing to judge: the link is
// deaf. But the other end judges: its asks stand among what is not read. So it is shown life
// unasked, by an answer to nothing, often enough to fall into the grace of an ask that it may have
// made just when the hold began.
//
// Whatever comes shows life, so an ask is unanswered only while nothing at all was heard after it.
//
// A client that leaves an ask unanswered for half of the grace is suspect until it is heard again
// (P-49). That it is heard costs nothing for who is not suspect: phi_link_next looks only when
// has_chore is set.
//
// Thousands that joined together fall silent together, again and again, and asking them all at once
// makes a turn of many milliseconds. So each takes a turn of the pace that they share, and is asked
// when that comes; from then on they are apart. One that is heard meanwhile is asked all the same,
// because everybody's round trip is to be known. The memory of idle buffers is given back at that
// time, too: to give back a thousand large ones takes as long.
//
// An answer also says that the other end has read what stood before the ask. phi_link_confirm uses
// that: a mark rides on the next ask that is made after the call.

#include "base/assert.h"
#include "link/link_internal.h"
#include "wire/heartbeat.h"

enum {
    // A client that is never idle is asked all the same, once in so many idle times: everybody's
    // round trip is to be in the list.
    MEASURE_IDLES = 6,
};

// Nothing is read, by the will of this end.
static bool link_is_deaf(const phi_link *link)
{
    return link->is_held || link->is_paused;
}

// An ask is out and nothing came since.
static bool link_is_unanswered(const phi_link *link)
{
    return !phi_time_is_never(link->asked) && !phi_time_before(link->asked, link->heard);
}

phi_time phi_link_heartbeat_due(const phi_link *link)
{
    if (link_is_deaf(link)) {
        return phi_time_add(link->shown, phi_ns(link->heartbeat_grace.ns / 2));
    }
    if (!link_is_unanswered(link)) {
        return link->is_put_off ? link->turn : phi_time_add(link->heard, link->heartbeat_idle);
    }
    bool is_halfway = link->options->side == PHI_LINK_CENTER && !link->is_suspect;
    uint64_t wait = is_halfway ? link->heartbeat_grace.ns / 2 : link->heartbeat_grace.ns;
    return phi_time_add(link->grace_from, phi_ns(wait));
}

// Without room it is not sent: who let so much wait is not reading, and gains nothing from one
// more. A buffer full of answers is as full as any: P-59.
static void link_send_heartbeat(phi_link *link, phi_heartbeat heartbeat, phi_time now)
{
    uint8_t *room = phi_link_begin_own(link, PHI_HEARTBEAT_BYTES);
    if (room == NULL) {
        if (phi_link_room(link) == 0) { // else it was memory
            phi_link_note_full(link, now);
        }
        return;
    }
    phi_writer w = phi_writer_of((phi_span){ room, PHI_HEARTBEAT_BYTES });
    phi_heartbeat_encode(&w, &heartbeat);
    PH_ASSERT(!w.failed);
    phi_outbound_commit(&link->out, PHI_COMMAND_HEARTBEAT, phi_writer_size(&w));
}

// An ask that found no room counts as sent: the grace runs, and whatever the other end says within
// it shows that it lives.
static void link_ask(phi_link *link, phi_time now)
{
    link->asked = now;
    link->is_put_off = false;
    link_send_heartbeat(link, (phi_heartbeat){ .kind = PHI_HEARTBEAT_ASK, .stamp = now.ns }, now);
    link->grace_from = now;
    link->ask_behind = (uint32_t)phi_link_waiting(link);
    link->is_ask_stuck = false;
    link->has_ask_moved = false;
    link->measured = now;
    if (link->mark_next != 0) {
        link->mark_asked = link->mark_next;
        link->mark_next = 0;
    }
}

// Takes the next turn. Turns that nobody took lately are there for a few who come at once.
static phi_time pace_take(phi_link_pace *pace, phi_time now)
{
    uint64_t burst_ns = (PHI_LINK_PACE_BURST - 1) * pace->spacing.ns;
    phi_time oldest = { now.ns > burst_ns ? now.ns - burst_ns : 0 };
    phi_time turn = phi_time_before(pace->next, oldest) ? oldest : pace->next;
    pace->next = phi_time_add(turn, pace->spacing);
    return turn;
}

// Now, or when its turn comes; false: that is later.
static bool link_ask_in_turn(phi_link *link, phi_time now)
{
    phi_link_pace *pace = link->options->pace;
    if (pace != NULL && !link->is_put_off) {
        link->turn = pace_take(pace, now);
        link->is_put_off = true;
    }
    if (link->is_put_off && phi_time_before(now, link->turn)) {
        return false;
    }
    link_ask(link, now);
    return true;
}

// Sets what the owner is to be told by the next phi_link_next.
static void link_judge(phi_link *link, bool is_suspect)
{
    PH_ASSERT(link->options->side == PHI_LINK_CENTER || !is_suspect);
    link->is_suspect = is_suspect;
    link->has_chore = link->has_chore || is_suspect;
}

void phi_link_heartbeat_report(phi_link *link, phi_link_event *event)
{
    if (!link_is_unanswered(link)) {
        link->is_suspect = false;
    }
    if (link->is_suspect != link->is_told_suspect) {
        link->is_told_suspect = link->is_suspect;
        event->type = link->is_suspect ? PHI_LINK_EVENT_SUSPECT : PHI_LINK_EVENT_ALIVE;
    }
}

void phi_link_heartbeat_sent(phi_link *link, size_t count)
{
    if (count == 0 || link->ask_behind == 0) {
        return;
    }
    link->is_ask_stuck = link->is_ask_stuck || count < link->ask_behind;
    link->has_ask_moved = link->is_ask_stuck;
    link->ask_behind -= count < link->ask_behind ? (uint32_t)count : link->ask_behind;
}

// It has been busy for long, so that nobody asked.
static bool link_is_unmeasured(const phi_link *link, phi_time now)
{
    return link->options->side == PHI_LINK_CENTER && !link_is_deaf(link) &&
           !link_is_unanswered(link) && !link->is_put_off &&
           phi_time_diff(now, link->measured).ns >= MEASURE_IDLES * link->heartbeat_idle.ns;
}

bool phi_link_heartbeat_tick(phi_link *link, phi_time now)
{
    PH_ASSERT(phi_link_is(link, PHI_LINK_OPEN));
    if (link->options->side == PHI_LINK_CENTER) {
        link->heartbeat_idle = link->options->heartbeat_idle; // the owner may have changed it
    }
    bool is_due = !phi_time_before(now, phi_link_heartbeat_due(link));
    if (!is_due && !link_is_unmeasured(link, now)) {
        return false;
    }
    if (is_due && link_is_deaf(link)) {
        link->shown = now;
        link_send_heartbeat(link, (phi_heartbeat){ .kind = PHI_HEARTBEAT_ANSWER }, now);
    } else if (!link_is_unanswered(link)) {
        return link_ask_in_turn(link, now);
    } else if (link->has_ask_moved) {
        link->has_ask_moved = false;
        link->grace_from = now;
        link_judge(link, false); // it takes what it is sent
    } else if (link->options->side == PHI_LINK_CENTER && !link->is_suspect) {
        link_judge(link, true);
    } else {
        // Behind other bytes the ask never left: it may live, but it does not read.
        bool is_stuck = link->ask_behind > PHI_PACKET_HEAD_CHECKED + PHI_HEARTBEAT_BYTES;
        phi_link_fail(link, is_stuck ? PHI_BYE_SLOW_CONSUMER : PHI_BYE_HEARTBEAT_TIMEOUT, NULL);
    }
    return true;
}

void phi_link_probe(phi_link *link, phi_time now)
{
    if (phi_link_is(link, PHI_LINK_OPEN) && !link_is_unanswered(link)) {
        link_ask(link, now);
        phi_link_rearm(link);
    }
}

void phi_link_confirm(phi_link *link, uint64_t mark, phi_time now)
{
    PH_ASSERT(mark != 0);
    if (!phi_link_is(link, PHI_LINK_OPEN)) {
        return;
    }
    link->mark_next = mark;
    // An ask that is out stands before what this is about: its answer makes the next one. One with
    // a mark is not replaced, or who confirms again and again would never hear.
    if (link->mark_asked == 0) {
        phi_link_probe(link, now);
    }
}

static void link_on_answer(phi_link *link, uint64_t stamp, phi_link_event *event, phi_time now)
{
    if (phi_time_is_never(link->asked) || stamp != link->asked.ns) {
        return;
    }
    uint64_t us = phi_dur_us(phi_time_diff(now, link->asked));
    us = us == 0 ? 1 : us; // 0 means that it is unknown
    link->round_trip_us = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
    link->asked = PHI_TIME_NEVER;
    if (link->mark_asked != 0) {
        event->type = PHI_LINK_EVENT_CONFIRMED;
        event->mark = link->mark_asked;
        link->mark_asked = 0;
    }
    if (link->mark_next != 0) {
        phi_link_probe(link, now);
    }
    phi_link_rearm(link); // idle may be shorter than what is left of the grace
}

void phi_link_on_heartbeat(phi_link *link, const phi_packet *packet, phi_link_event *event,
                           phi_time now)
{
    phi_heartbeat heartbeat;
    if (phi_heartbeat_decode(packet->payload, &heartbeat) != PH_OK) {
        phi_link_fail(link, PHI_BYE_MALFORMED, "malformed heartbeat");
        return;
    }
    switch (heartbeat.kind) {
    case PHI_HEARTBEAT_ASK:
        heartbeat.kind = PHI_HEARTBEAT_ANSWER;
        link_send_heartbeat(link, heartbeat, now);
        break;
    case PHI_HEARTBEAT_ANSWER:
        link_on_answer(link, heartbeat.stamp, event, now);
        break;
    case PHI_HEARTBEAT_EMPTY:
        // This end never asks with an empty one, so it cannot be the answer to ours.
        link_send_heartbeat(link, heartbeat, now);
        break;
    default:
        PH_UNREACHABLE("the decoder knows three kinds");
    }
}
