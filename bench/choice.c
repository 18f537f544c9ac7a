// SPDX-License-Identifier: Apache-2.0
//
// bench/choice.c - what a choice costs among so many instances: policy/balancer.h alone, without
// anything to carry. bench/balance.py runs it.
//
//     bench_choice INSTANCES     prints nanoseconds for a call: chosen, begun, ended

#include <stdio.h>
#include <stdlib.h>

#include "bench/rr.h"
#include "policy/balancer.h"

#define CALLS 2000000u
#define OPEN 256u // calls under way at a time
#define LATENCY_NS 1000000u

int main(int argc, char **argv)
{
    uint32_t count = argc == 2 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0;
    if (count == 0 || count > 1000000) {
        fprintf(stderr, "usage: bench_choice INSTANCES\n");
        return 2;
    }
    phi_balancer b;
    phi_balancer_init(&b, &phi_alloc_heap);
    phi_load *loads = calloc(count, sizeof *loads);
    if (loads == NULL || phi_balancer_reserve(&b, count) != PH_OK) {
        return 1;
    }
    phi_time now = { UINT64_C(1000000000000) };
    phi_random random = phi_random_seeded(1);
    for (uint32_t i = 0; i < count; i++) {
        phi_balancer_set(&b, &loads[i], (uint16_t)phi_random_between(&random, 1, 1000), now);
    }
    static phi_load *open[OPEN];
    uint64_t begin = rr_now_ns();
    for (uint32_t n = 0; n < CALLS; n++) {
        phi_load **place = &open[n % OPEN];
        now.ns += 1000;
        if (*place != NULL) {
            uint64_t took = phi_random_between(&random, LATENCY_NS / 2, 2 * LATENCY_NS);
            phi_balancer_end(&b, *place, PHI_LOAD_ANSWERED, phi_ns(took), now);
        }
        *place = phi_balancer_pick(&b, &random, now, NULL);
        phi_balancer_begin(&b, *place, now);
    }
    printf("%.1f\n", (double)(rr_now_ns() - begin) / CALLS);
    phi_balancer_fini(&b);
    free(loads);
    return 0;
}
