// SPDX-License-Identifier: Apache-2.0
//
// base/sm.h - a state machine as a table: which state may follow which, checked at every move, the
// last moves kept for the crash report.

#ifndef PHI_BASE_SM_H
#define PHI_BASE_SM_H

#include <stdbool.h>
#include <stdint.h>

#define PHI_SM_TO(state) (UINT32_C(1) << (state))
#define PHI_SM_TRACE 5 // with which a machine is 16 bytes

typedef struct phi_sm_state {
    const char *name;
    uint32_t next; // bit set of PHI_SM_TO
    bool is_initial;
    bool is_final;
} phi_sm_state;

typedef struct phi_sm {
    const phi_sm_state *states;
    uint8_t state;
    uint8_t count;
    uint8_t trace_count;         // saturates at PHI_SM_TRACE
    uint8_t trace[PHI_SM_TRACE]; // the states before this one, newest first
} phi_sm;

// Starts in the table's initial state.
void phi_sm_init(phi_sm *sm, const phi_sm_state *states, uint8_t count);

// Asserts that the table allows it.
void phi_sm_move(phi_sm *sm, uint8_t next);

static inline bool phi_sm_is(const phi_sm *sm, uint8_t state)
{
    return sm->state == state;
}
const char *phi_sm_name(const phi_sm *sm);

// For tests: one initial state, all reachable, each that is not final has a way out and each final
// none. NULL, or what is wrong.
const char *phi_sm_table_fault(const phi_sm_state *states, uint8_t count);

#endif // PHI_BASE_SM_H
