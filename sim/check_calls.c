// SPDX-License-Identifier: Apache-2.0
//
// sim/check_calls.c - every accepted call ends exactly once, and not after its time. [P-57]

#include "sim/check.h"

// Timers tick in milliseconds: a deadline is noticed at most that late.
#define TICK_NS UINT64_C(1000000)

void check_call_end(const call_record *call)
{
    domain *d = call->domain;
    if (call->ends != 1) {
        domain_fail(d, "call %u of c%02u ended %u times", call->serial, call->caller, call->ends);
    }
    phi_time latest = phi_time_add(call->deadline, phi_ns(TICK_NS));
    if (phi_time_before(latest, call->ended)) {
        domain_fail(d, "call %u of c%02u ended %llu ms after its deadline", call->serial,
                    call->caller,
                    (unsigned long long)phi_dur_ms(phi_time_diff(call->ended, call->deadline)));
    }
}

void check_calls_all_ended(domain *d)
{
    for (uint32_t i = 0; i < d->call_count; i++) {
        const call_record *call = &d->calls[i];
        if (call->ends != 1) {
            domain_fail(d, "call %u of c%02u ended %u times", call->serial, call->caller,
                        call->ends);
            return;
        }
    }
}
