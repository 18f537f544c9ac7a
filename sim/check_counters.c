// SPDX-License-Identifier: Apache-2.0
//
// sim/check_counters.c - requests that came in have ended in one of the ways there are, or are
// still open. Gauges are what is there.

#include "center/state.h"
#include "sim/check.h"

// Returns how many accounts have a session.
static uint64_t check_registry(domain *d, const registry *r)
{
    uint64_t bound = 0;
    uint64_t serving = 0;
    uint32_t index = 0;
    uint64_t handle = 0;
    const account *a;
    for (; (a = phi_slots_next(&r->accounts, &index, &handle)) != NULL; index++) {
        account_check(a);
        bound += a->session != NULL;
        serving += a->service != NULL;
    }
    uint64_t instances = 0;
    const service *v;
    for (index = 0; (v = phi_slots_next(&r->services.slots, &index, &handle)) != NULL; index++) {
        service_check(v);
        instances += v->instance_count;
    }
    if (instances != serving || r->by_name.count != r->accounts.count) {
        domain_fail(d, "registry: %llu accounts, %llu names, %llu instances of %llu",
                    (unsigned long long)r->accounts.count, (unsigned long long)r->by_name.count,
                    (unsigned long long)instances, (unsigned long long)serving);
    }
    return bound;
}

static void check_sessions(domain *d, const center *c, const center_counters *n)
{
    uint64_t joined = 0;
    uint64_t abroad = 0;
    uint64_t joining = 0;
    uint64_t watching = 0;
    uint64_t made = 0;
    uint32_t index = 0;
    uint64_t handle = 0;
    const session *s;
    for (; (s = phi_slots_next(&c->sessions, &index, &handle)) != NULL; index++) {
        session_check(s);
        joined += session_is(s, SESSION_JOINED);
        abroad += s->is_abroad && session_is(s, SESSION_JOINED);
        joining += session_is(s, SESSION_JOINING);
        watching += s->watch != NULL;
        made += call_made_count(s);
    }
    uint64_t bound = check_registry(d, &c->registry);
    if (joined - abroad != n->sessions || joined != bound || joining != c->joining_count ||
        watching != n->watchers || made != n->calls) {
        domain_fail(d,
                    "gauges: %llu sessions are %llu, %llu watchers are %llu, %llu calls are %llu",
                    (unsigned long long)n->sessions, (unsigned long long)(joined - abroad),
                    (unsigned long long)n->watchers, (unsigned long long)watching,
                    (unsigned long long)n->calls, (unsigned long long)made);
    }
}

static void check_worker(domain *d, const center *c)
{
    center_check(c);
    center_counters n = center_count(c);
    uint64_t ended = n.calls_replied_total + n.calls_failed_total + n.calls_refused_total +
                     n.calls_expired_total + n.calls_lost_total + n.calls_cancelled_total +
                     n.calls_abandoned_total + n.calls_overrun_total;
    if (n.requests_total != ended + n.calls) {
        domain_fail(d, "%llu requests came, %llu ended and %llu are open",
                    (unsigned long long)n.requests_total, (unsigned long long)ended,
                    (unsigned long long)n.calls);
    }
    uint64_t inquiries_ended = n.inquiries_answered_total + n.inquiries_failed_total +
                               n.inquiries_refused_total + n.inquiries_ended_total;
    if (n.inquiries_total != inquiries_ended + n.inquiries) {
        domain_fail(d, "%llu inquiries came, %llu ended and %llu are open",
                    (unsigned long long)n.inquiries_total, (unsigned long long)inquiries_ended,
                    (unsigned long long)n.inquiries);
    }
    uint64_t links_ended = n.links_lost_total;
    for (int i = 0; i < PHI_BYE_COUNT; i++) {
        links_ended += n.links_ended_total[i];
    }
    if (n.joins_total > n.connections_total || links_ended > n.connections_total) {
        domain_fail(d, "%llu connections, but %llu joins and %llu ends",
                    (unsigned long long)n.connections_total, (unsigned long long)n.joins_total,
                    (unsigned long long)links_ended);
    }
    check_sessions(d, c, &n);
}

void check_places(domain *d)
{
    uint64_t connections = 0;
    for (uint32_t i = 0; i < d->worker_count && d->center != NULL; i++) {
        connections += center_home_count(d->workers[i]);
    }
    if (d->center != NULL && d->options.center.address_connections_max != 0 &&
        d->center->throttle.counted != connections) {
        domain_fail(d, "%llu connections, but %llu are counted by their address",
                    (unsigned long long)connections,
                    (unsigned long long)d->center->throttle.counted);
    }
}

void check_counters(domain *d)
{
    for (uint32_t i = 0; i < d->worker_count && d->center != NULL; i++) {
        check_worker(d, d->workers[i]);
    }
}
