// SPDX-License-Identifier: Apache-2.0
//
// sim/check_links.c - no link, at either end, stays in a state past its deadline: whatever the
// other end does or does not do, the time of each state is bounded.

#include "center/state.h"
#include "client/core.h"
#include "sim/check.h"

// A deadline is noticed with the next tick of the timers.
#define TICK_NS UINT64_C(1000000)
// Heartbeats and a list may wait at any time.
#define IDLE_BYTES_MAX 2000u

static const char *overdue(const phi_transport *t, phi_time now)
{
    phi_time late = { now.ns - (now.ns < TICK_NS ? now.ns : TICK_NS) };
    switch ((phi_transport_state)t->sm.state) {
    case PHI_TRANSPORT_LIVE:
        return phi_time_before(phi_link_deadline(&t->link), late) ? "its link's deadline" : NULL;
    case PHI_TRANSPORT_ENDING:
        return phi_time_before(t->armed, late) ? "the time to flush its bye" : NULL;
    case PHI_TRANSPORT_SHUT:
    case PHI_TRANSPORT_GONE:
    case PHI_TRANSPORT_STATE_COUNT:
        break;
    }
    return NULL;
}

static void check_transport(domain *d, const phi_transport *t, const char *whose)
{
    if (t->group == NULL || t->stream == NULL) {
        return;
    }
    const char *what = overdue(t, phi_io_now(t->group->io));
    if (what != NULL) {
        domain_fail(d, "a link of %s is %s, past %s", whose, phi_sm_name(&t->link.sm), what);
    }
    if (phi_sm_is(&t->sm, PHI_TRANSPORT_ENDING) && phi_time_is_never(t->armed) &&
        !phi_list_is_linked(&t->dirty)) {
        domain_fail(d, "a link of %s waits for nothing", whose);
    }
}

static bool is_idle(const center *c)
{
    uint32_t index = 0;
    uint64_t handle = 0;
    const session *s;
    for (; (s = phi_slots_next(&c->sessions, &index, &handle)) != NULL; index++) {
        if (!s->is_abroad && phi_link_waiting(&s->transport.link) > IDLE_BYTES_MAX) {
            return false;
        }
    }
    return true;
}

bool check_links_are_idle(const domain *d)
{
    for (uint32_t i = 0; i < d->worker_count; i++) {
        if (!is_idle(d->workers[i])) {
            return false;
        }
    }
    for (uint32_t i = 0; i < d->actor_count; i++) {
        const actor *a = &d->actors[i];
        if (a->client != NULL && phi_link_waiting(&a->client->transport.link) > IDLE_BYTES_MAX) {
            return false;
        }
    }
    return true;
}

static void check_worker(domain *d, const center *c)
{
    uint32_t index = 0;
    uint64_t handle = 0;
    const session *s;
    for (; (s = phi_slots_next(&c->sessions, &index, &handle)) != NULL; index++) {
        if (!s->is_abroad) {
            check_transport(d, &s->transport, "the center");
        }
    }
}

void check_links(domain *d)
{
    for (uint32_t i = 0; i < d->worker_count && d->center != NULL; i++) {
        if (!sim_node_is_frozen(d->s, d->worker_nodes[i])) {
            check_worker(d, d->workers[i]);
        }
    }
    for (uint32_t i = 0; i < d->actor_count; i++) {
        const actor *a = &d->actors[i];
        if (a->client != NULL && !sim_node_is_frozen(d->s, a->node)) {
            check_transport(d, &a->client->transport, a->account);
        }
    }
}
