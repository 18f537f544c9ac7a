// SPDX-License-Identifier: Apache-2.0
//
// center/rejoin.c - see rejoin.h.
//
// Design notes
//   - The question carries the JOIN, and comes back with it: the first worker keeps nothing.
//     Whoever asked may be over by then; it is not found, as with any other mail.
//   - Mail may be read before the sockets in a turn, so only those of the next turn have all been
//     read after it.

#include "center/rejoin.h"

#include <string.h>

#include "base/assert.h"
#include "center/abroad.h"
#include "center/join.h"
#include "center/state.h"

enum {
    TURNS = 2, // the one in which the question came, and a whole one
};

// A question that waits for the sockets to be read.
typedef struct rejoin {
    phi_list node;   // on workers.rejoins
    uint64_t handle; // who wants to join: its handle at home
    uint32_t home;   // there
    uint32_t turns;  // until it is answered
    uint32_t size;
    uint8_t join[];
} rejoin;

static void keep(center *c, uint32_t home, uint64_t handle, phi_bytes join);
static void answer(center *c, uint32_t home, uint64_t handle, phi_bytes join);
static void join_found(center *c, uint32_t home, uint64_t handle, phi_bytes bytes);

bool rejoin_asks(center *c, session *s, const session *older, const phi_join *join)
{
    PH_ASSERT(workers_decide(&c->workers));
    PH_ASSERT(session_is(s, SESSION_JOINING));
    if (PHI_LIKELY(older->home == s->home)) { // its end would have been read before this JOIN
        return false;
    }
    uint8_t bytes[WORKER_JOIN_BYTES_MAX];
    phi_bytes said = worker_write_join(join, bytes);
    uint64_t handle = s->is_abroad ? s->abroad->handle : s->handle;
    if (!s->is_abroad) {
        phi_transport_hold(&s->transport);
    }
    if (older->is_abroad) {
        worker_tell(c, older->home,
                    &(mail){ .type = MAIL_LOOK, .value = s->home, .session = handle }, said);
    } else {
        keep(c, s->home, handle, said);
    }
    return true;
}

void rejoin_handle(center *c, uint32_t from, const mail *m, phi_bytes bytes)
{
    if (m->type == MAIL_LOOK) {
        PH_ASSERT(from == WORKER_FIRST);
        keep(c, m->value, m->session, bytes);
    } else {
        PH_ASSERT(workers_decide(&c->workers));
        join_found(c, m->value, m->session, bytes);
    }
}

void rejoin_turn(center *c)
{
    phi_list waiting;
    phi_list_init(&waiting);
    phi_list *node;
    while ((node = phi_list_take(&c->workers.rejoins)) != NULL) {
        phi_list_append(&waiting, node);
    }
    while ((node = phi_list_take(&waiting)) != NULL) {
        rejoin *r = PHI_CONTAINER_OF(node, rejoin, node);
        PH_ASSERT(r->turns > 0);
        if (--r->turns > 0) {
            phi_list_append(&c->workers.rejoins, &r->node);
            phi_io_hurry(c->io);
            continue;
        }
        answer(c, r->home, r->handle, phi_bytes_of(r->join, r->size));
        phi_give(center_alloc(c, CENTER_MEMORY_SESSIONS), r, sizeof *r + r->size);
    }
}

void rejoin_drop(center *c)
{
    phi_list *node;
    while ((node = phi_list_take(&c->workers.rejoins)) != NULL) {
        rejoin *r = PHI_CONTAINER_OF(node, rejoin, node);
        phi_give(center_alloc(c, CENTER_MEMORY_SESSIONS), r, sizeof *r + r->size);
    }
}

// Without memory the answer is what is known now.
static void keep(center *c, uint32_t home, uint64_t handle, phi_bytes join)
{
    rejoin *r = phi_take(center_alloc(c, CENTER_MEMORY_SESSIONS), sizeof *r + join.size);
    if (r == NULL) {
        answer(c, home, handle, join);
        return;
    }
    *r = (rejoin){ .handle = handle, .home = home, .turns = TURNS, .size = (uint32_t)join.size };
    memcpy(r->join, join.data, join.size);
    phi_list_append(&c->workers.rejoins, &r->node);
    phi_io_hurry(c->io);
}

static void answer(center *c, uint32_t home, uint64_t handle, phi_bytes join)
{
    if (workers_decide(&c->workers)) {
        join_found(c, home, handle, join);
    } else {
        worker_tell(c, WORKER_FIRST,
                    &(mail){ .type = MAIL_LOOKED, .value = home, .session = handle }, join);
    }
}

static void join_found(center *c, uint32_t home, uint64_t handle, phi_bytes bytes)
{
    session *s = home == c->workers.self ? phi_slots_find(&c->sessions, handle)
                                         : abroad_find(c, home, handle);
    if (s == NULL || !session_is(s, SESSION_JOINING)) { // it is over
        return;
    }
    phi_join join;
    ph_err rc = phi_join_decode(bytes, &join);
    PH_ASSERT(rc == PH_OK); // encoded by rejoin_asks
    join_again(c, s, &join);
    if (!s->is_abroad && session_is(s, SESSION_JOINED)) {
        phi_transport_go_on(&s->transport);
    }
}
