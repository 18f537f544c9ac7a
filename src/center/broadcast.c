// SPDX-License-Identifier: Apache-2.0
//
// center/broadcast.c - see broadcast.h.
//
// Design notes
//   - Who joined after a broadcast began is not meant by it. So one that takes many turns reaches
//     nobody twice: a client that comes back has a new session.
//   - A share is a fraction of the allowance, and rounds are made until the allowance is used up: a
//     lone sender gets all of it, many get alike, whatever the size of what each one asks for.
//   - What does not fan out needs no allowance: the io reads once a turn from each connection,
//     which bounds what one can ask for.
//
// Invariants  session.broadcast is set exactly for those on center.broadcasts, and those are held
//             while any waits, the allowance of this turn is used up

#include "center/broadcast.h"

#include "base/assert.h"
#include "center/router.h"
#include "center/state.h"

enum {
    SHARES = 8, // of an allowance
};

// How far it has come.
typedef struct place {
    uint32_t index;        // in center.sessions
    uint64_t session_last; // who has a higher number joined later
    uint64_t told;         // or found full
} place;

struct broadcast {
    phi_list node;   // on center.broadcasts
    session *sender; // borrowed until broadcast_drop
    place place;
    uint32_t ttl_ms;
    size_t size;
    uint8_t payload[];
};

static bool run(center *c, session *s, place *at, phi_bytes payload, uint32_t ttl_ms);
static broadcast *wait_new(center *c, session *s, phi_bytes payload);
static void go_on(center *c, broadcast *b);
static void wait_free(center *c, broadcast *b);
static void count_missed(center *c, const place *at);

void broadcast_start(center *c, session *s, phi_bytes payload, uint32_t ttl_ms)
{
    PH_ASSERT(s->broadcast == NULL); // or it would be held
    place at = { .session_last = c->session_last };
    if (PHI_LIKELY(run(c, s, &at, payload, ttl_ms))) {
        return;
    }
    PH_ASSERT(c->deliveries_left == 0);
    broadcast *b = wait_new(c, s, payload);
    if (b == NULL) {
        count_missed(c, &at);
        return;
    }
    b->place = at;
    b->ttl_ms = ttl_ms;
    c->counters.broadcasts_held_total++;
    phi_transport_hold(&s->transport);
    phi_io_hurry(c->io);
}

void broadcast_turn(center *c)
{
    uint64_t left = c->options.deliveries_per_turn_max;
    uint64_t share = left / SHARES + 1;
    while (left > 0 && !phi_list_is_empty(&c->broadcasts)) {
        uint64_t allowed = share < left ? share : left;
        c->deliveries_left = allowed;
        go_on(c, PHI_CONTAINER_OF(phi_list_take(&c->broadcasts), broadcast, node));
        PH_ASSERT(c->deliveries_left <= allowed);
        left -= allowed - c->deliveries_left;
    }
    c->deliveries_left = left;
    if (!phi_list_is_empty(&c->broadcasts)) {
        phi_io_hurry(c->io);
    }
}

void broadcast_drop(center *c, session *s)
{
    broadcast *b = s->broadcast;
    if (b != NULL) {
        PH_ASSERT(b->sender == s);
        count_missed(c, &b->place);
        phi_list_remove(&b->node);
        wait_free(c, b);
    }
}

// ---- helpers

// False when the allowance was used up before everybody was told.
static bool run(center *c, session *s, place *at, phi_bytes payload, uint32_t ttl_ms)
{
    uint64_t handle;
    session *other;
    for (; (other = phi_slots_next(&c->sessions, &at->index, &handle)) != NULL; at->index++) {
        if (other == s || !session_is(other, SESSION_JOINED) || other->number > at->session_last) {
            continue;
        }
        if (PHI_UNLIKELY(c->deliveries_left == 0)) {
            return false;
        }
        c->deliveries_left--;
        at->told++;
        router_tell(c, s, other, payload, ttl_ms);
    }
    return true;
}

static broadcast *wait_new(center *c, session *s, phi_bytes payload)
{
    if (phi_quota_is_used_up(&c->quota)) {
        return NULL;
    }
    broadcast *b = phi_take(&c->quota.counted, sizeof *b + payload.size);
    if (b == NULL) {
        return NULL;
    }
    *b = (broadcast){ .sender = s, .size = payload.size };
    memcpy(b->payload, payload.data, payload.size);
    phi_list_append(&c->broadcasts, &b->node);
    s->broadcast = b;
    return b;
}

// The broadcast, and when that is done what its sender sent behind it, up to the next that waits.
static void go_on(center *c, broadcast *b)
{
    session *s = b->sender;
    PH_ASSERT(s->broadcast == b);
    PH_ASSERT(session_is(s, SESSION_JOINED));
    if (!run(c, s, &b->place, phi_bytes_of(b->payload, b->size), b->ttl_ms)) {
        phi_list_append(&c->broadcasts, &b->node);
        return;
    }
    wait_free(c, b);
    phi_transport_go_on(&s->transport);
}

static void wait_free(center *c, broadcast *b)
{
    PH_ASSERT(!phi_list_is_linked(&b->node));
    b->sender->broadcast = NULL;
    phi_give(&c->quota.counted, b, sizeof *b + b->size);
}

// Those that joined or left since it began blur it a little.
static void count_missed(center *c, const place *at)
{
    uint64_t meant = c->joined_count - 1;
    c->counters.events_dropped_total += meant > at->told ? meant - at->told : 0;
}
