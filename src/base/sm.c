// SPDX-License-Identifier: Apache-2.0
//
// base/sm.c - state tables: the checked move, and the checks of the table itself.

#include "base/sm.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

// Bits of phi_sm_state.next.
#define STATES_MAX 32

void phi_sm_init(phi_sm *sm, const phi_sm_state *states, uint8_t count)
{
    PH_ASSERT(sm != NULL);
    PH_ASSERT(states != NULL);
    PH_ASSERT(count > 0);
    PH_ASSERT(count <= STATES_MAX);

    uint8_t initial = 0;
    while (initial < count && !states[initial].is_initial) {
        initial++;
    }
    PH_ASSERT(initial < count);
    *sm = (phi_sm){ .states = states, .state = initial, .count = count };
}

// Names the move and those before it: the report of the crash is read where nothing can be asked.
PHI_NORETURN PHI_COLD static void refuse(const phi_sm *sm, uint8_t next)
{
    char text[512];
    const char *to = next < sm->count ? sm->states[next].name : "a state that is not in the table";
    int used =
        snprintf(text, sizeof text, "%s must not follow %s, which followed", to, phi_sm_name(sm));
    for (uint8_t i = 0; i < sm->trace_count; i++) {
        if (used > 0 && (size_t)used < sizeof text) {
            used += snprintf(text + used, sizeof text - (size_t)used, " %s",
                             sm->states[sm->trace[i]].name);
        }
    }
    phi_assert_fail(__FILE__, __LINE__, text);
}

void phi_sm_move(phi_sm *sm, uint8_t next)
{
    PH_ASSERT(sm != NULL);
    PH_ASSERT(sm->state < sm->count);
    if (next >= sm->count || (sm->states[sm->state].next & PHI_SM_TO(next)) == 0) {
        refuse(sm, next);
    }
    memmove(sm->trace + 1, sm->trace, sizeof sm->trace - sizeof sm->trace[0]);
    sm->trace[0] = sm->state;
    if (sm->trace_count < PHI_SM_TRACE) {
        sm->trace_count++;
    }
    sm->state = next;
}

const char *phi_sm_name(const phi_sm *sm)
{
    PH_ASSERT(sm->state < sm->count);
    return sm->states[sm->state].name;
}

// ---- the table

// What can be reached from `from`, which is included.
static uint32_t reachable(const phi_sm_state *states, uint8_t count, uint32_t from)
{
    uint32_t seen = from;
    for (uint8_t turn = 0; turn < count; turn++) { // each turn finds at least one more, or is idle
        for (uint8_t i = 0; i < count; i++) {
            if ((seen & PHI_SM_TO(i)) != 0) {
                seen |= states[i].next;
            }
        }
    }
    return seen;
}

const char *phi_sm_table_fault(const phi_sm_state *states, uint8_t count)
{
    if (states == NULL || count == 0 || count > STATES_MAX) {
        return "no states, or more than a table can hold";
    }
    uint32_t all = (uint32_t)((UINT64_C(1) << count) - 1);
    uint32_t initial = 0;
    for (uint8_t i = 0; i < count; i++) {
        if (states[i].name == NULL || states[i].name[0] == '\0') {
            return "a state has no name";
        }
        if ((states[i].next & ~all) != 0) {
            return "a state leads to one that is not in the table";
        }
        if (states[i].is_final != (states[i].next == 0)) {
            return "a final state has a way out, or another has none";
        }
        if (states[i].is_initial) {
            if (initial != 0) {
                return "more than one initial state";
            }
            initial = PHI_SM_TO(i);
        }
    }
    if (initial == 0) {
        return "no initial state";
    }
    if (reachable(states, count, initial) != all) {
        return "a state cannot be reached";
    }
    return NULL;
}
