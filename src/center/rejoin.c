// SPDX-License-Identifier: Apache-2.0
//
// center/rejoin.c - see rejoin.h.
//
// Design notes
//   - The question carries the JOIN, and comes back with it, so the first worker keeps nothing. The
//     client that asked may have left by then; it is not found, as with any other mail.
//   - Of two connections that have something in the same turn either may be read first, and the
//     kernel may bring the end of the older one later than the JOIN that was sent behind it.
//   - Mail may be read before the sockets in a turn, so only those of the next turn have all been
//     read after it.
//   - A connection that is held or paused is not read, and one from which something came may have
//     more, and its end behind that: so turns count only while it is read and silent. One that goes
//     on like that is waited for no longer than CENTER_REJOIN_WAIT_MS.

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
    uint64_t older;  // handle of who has the account: here
    uint64_t handle; // who wants to join: its handle at home
    uint32_t home;   // there
    uint32_t turns;  // until it is answered
    phi_time until;  // then it is in any case
    phi_time heard;  // when the last of `older` was read
    uint32_t size;
    uint8_t join[];
} rejoin;

static bool is_read(const session *s);
static bool is_more_to_read(center *c, rejoin *r, const session *older);
static void keep(center *c, const rejoin *asked, phi_bytes join);
static void answer(center *c, uint32_t home, uint64_t handle, phi_bytes join);
static void join_found(center *c, uint32_t home, uint64_t handle, phi_bytes bytes);

void rejoin_ask(center *c, session *s, const session *older, const phi_join *join)
{
    PH_ASSERT(workers_decide(&c->workers));
    PH_ASSERT(session_is(s, SESSION_JOINING));
    uint8_t bytes[sizeof(uint64_t) + WORKER_JOIN_BYTES_MAX];
    phi_bytes said = worker_write_join(join, bytes + sizeof(uint64_t));
    uint64_t handle = s->is_abroad ? s->abroad->handle : s->handle;
    if (!s->is_abroad) {
        phi_transport_hold(&s->transport);
    }
    if (older->is_abroad) {
        memcpy(bytes, &older->abroad->handle, sizeof(uint64_t));
        worker_tell(c, older->home,
                    &(mail){ .type = MAIL_LOOK, .value = s->home, .session = handle },
                    phi_bytes_of(bytes, sizeof(uint64_t) + said.size));
    } else {
        keep(c, &(rejoin){ .older = older->handle, .home = s->home, .handle = handle }, said);
    }
}

void rejoin_handle(center *c, uint32_t from, const mail *m, phi_bytes bytes)
{
    if (m->type == MAIL_LOOK) {
        PH_ASSERT(from == WORKER_FIRST);
        PH_ASSERT(bytes.size > sizeof(uint64_t));
        rejoin asked = { .home = m->value, .handle = m->session };
        memcpy(&asked.older, bytes.data, sizeof asked.older);
        keep(c, &asked,
             phi_bytes_of(bytes.data + sizeof asked.older, bytes.size - sizeof asked.older));
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
        const session *older = worker_find_home(c, r->older);
        if (older != NULL && is_more_to_read(c, r, older)) {
            phi_list_append(&c->workers.rejoins, &r->node);
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

// Whatever comes from it is read.
static bool is_read(const session *s)
{
    PH_ASSERT(!s->is_abroad);
    return !s->transport.is_held && !s->transport.is_paused;
}

// At the end of a turn: whether the end of the older one may still come. Then there will be another
// turn.
static bool is_more_to_read(center *c, rejoin *r, const session *older)
{
    PH_ASSERT(r->turns > 0);
    phi_time heard = older->transport.link.heard;
    if (is_read(older) && !phi_time_before(r->heard, heard)) {
        r->turns--;
        phi_io_hurry(c->io);
        return r->turns > 0;
    }
    r->turns = TURNS;
    r->heard = heard;
    worker_retry_later(c);
    return phi_time_before(c->io->now, r->until);
}

// Without memory the answer is what is known now.
static void keep(center *c, const rejoin *asked, phi_bytes join)
{
    rejoin *r = phi_take(center_alloc(c, CENTER_MEMORY_SESSIONS), sizeof *r + join.size);
    if (r == NULL) {
        answer(c, asked->home, asked->handle, join);
        return;
    }
    *r = *asked;
    r->turns = TURNS;
    r->until = phi_time_add(c->io->now, phi_ms(CENTER_REJOIN_WAIT_MS));
    r->heard = c->io->now;
    r->size = (uint32_t)join.size;
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
    PH_ASSERT(rc == PH_OK); // encoded by rejoin_ask
    join_again(c, s, &join);
    if (!s->is_abroad && session_is(s, SESSION_JOINED)) {
        phi_transport_go_on(&s->transport);
    }
}
