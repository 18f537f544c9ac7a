// SPDX-License-Identifier: Apache-2.0
//
// sim/check_services.c - the records of services say what is there: who is ready may be chosen and
// nobody else, and each call that was chosen for stands with its instance until it ends. [P-64]

#include "center/state.h"
#include "sim/check.h"

static uint32_t outstanding_of(const account *a)
{
    uint32_t count = 0;
    if (a->session != NULL && a->session->calls != NULL) {
        const phi_list *taken = &a->session->calls->taken;
        for (const phi_list *n = taken->next; n != taken; n = n->next) {
            count += PHI_CONTAINER_OF(n, const call, of_responder)->instance == a;
        }
    }
    return count;
}

static void check_service(domain *d, const center *c, const service *v)
{
    service_check(v);
    phi_balancer_check(&v->ready);
    uint32_t ready = 0;
    uint64_t outstanding = 0;
    uint32_t index = 0;
    uint64_t handle = 0;
    const account *a;
    for (; (a = phi_slots_next(&c->registry.accounts, &index, &handle)) != NULL; index++) {
        if (a->service != v) {
            continue;
        }
        bool may_be_chosen = account_is_ready(a) && a->weight != 0;
        ready += may_be_chosen;
        outstanding += a->load.outstanding;
        if (may_be_chosen != (a->load.place != 0) ||
            (may_be_chosen && a->load.weight != a->weight)) {
            domain_fail(d, "%.*s has weight %u in its service instead of %u",
                        (int)account_id(a).size, (const char *)account_id(a).data, a->load.weight,
                        may_be_chosen ? a->weight : 0);
        }
        if (a->load.outstanding != outstanding_of(a)) {
            domain_fail(d, "%.*s has %u calls outstanding, and its service counts %u",
                        (int)account_id(a).size, (const char *)account_id(a).data,
                        outstanding_of(a), a->load.outstanding);
        }
    }
    if (ready != v->ready.count || outstanding != v->ready.outstanding) {
        domain_fail(d, "a service with %u ready and %llu calls has %u and %u", ready,
                    (unsigned long long)outstanding, v->ready.count, v->ready.outstanding);
    }
}

void check_services(domain *d)
{
    for (uint32_t i = 0; i < d->worker_count && d->center != NULL; i++) {
        const center *c = d->workers[i];
        uint32_t index = 0;
        uint64_t handle = 0;
        const service *v;
        for (; (v = phi_slots_next(&c->registry.services.slots, &index, &handle)) != NULL;
             index++) {
            check_service(d, c, v);
        }
    }
}
