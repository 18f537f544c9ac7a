// SPDX-License-Identifier: Apache-2.0

#include "base/sm.h"

#include <string.h>

#include "base/compiler.h"
#include "tests/harness/death.h"
#include "tests/harness/test.h"

enum { NEW, OPEN, FULL, CLOSED, COUNT };

static const phi_sm_state states[COUNT] = {
    [NEW] = { "new", PHI_SM_TO(OPEN) | PHI_SM_TO(CLOSED), .is_initial = true },
    [OPEN] = { .name = "open", .next = PHI_SM_TO(FULL) | PHI_SM_TO(CLOSED) },
    [FULL] = { .name = "full", .next = PHI_SM_TO(OPEN) | PHI_SM_TO(CLOSED) },
    [CLOSED] = { "closed", 0, .is_final = true },
};

// An object that does not start in the table's initial state skips its handshake.
TEST(sm, starts_initial_and_moves)
{
    phi_sm sm;
    phi_sm_init(&sm, states, COUNT);
    EXPECT(phi_sm_is(&sm, NEW));
    phi_sm_move(&sm, OPEN);
    EXPECT(phi_sm_is(&sm, OPEN));
    EXPECT_TEXT(phi_sm_name(&sm), "open");
    EXPECT_EQ(sm.trace_count, 1);
    EXPECT_EQ(sm.trace[0], NEW);
}

// The crash report shows the last moves: newest first, no more than there is room for.
TEST(sm, trace_keeps_the_last_moves)
{
    phi_sm sm;
    phi_sm_init(&sm, states, COUNT);
    phi_sm_move(&sm, OPEN);
    for (int i = 0; i < 20; i++) {
        phi_sm_move(&sm, FULL);
        phi_sm_move(&sm, OPEN);
    }
    EXPECT_EQ(sm.trace_count, PHI_SM_TRACE);
    for (int i = 0; i < PHI_SM_TRACE; i++) {
        EXPECT_EQ(sm.trace[i], i % 2 == 0 ? FULL : OPEN);
    }
}

static void reopen(void *arg)
{
    phi_sm sm;
    phi_sm_init(&sm, states, COUNT);
    phi_sm_move(&sm, OPEN);
    phi_sm_move(&sm, CLOSED);
    phi_sm_move(&sm, *(uint8_t *)arg);
}

// A move outside the table is a bug that must stop the process and name the states.
TEST(sm, forbidden_move_aborts_and_names_the_moves)
{
    char said[1024];
    uint8_t next = OPEN;
    EXPECT(death_of(reopen, &next, said, sizeof said));
    assert_non_null(strstr(said, "open must not follow closed, which followed open new"));
    next = COUNT;
    EXPECT(death_of(reopen, &next, said, sizeof said));
    assert_non_null(strstr(said, "not in the table"));
}

// Every machine's table test relies on this to find a dead or unreachable state.
TEST(sm, table_faults_are_found)
{
    assert_null(phi_sm_table_fault(states, COUNT));
    EXPECT_TEXT(phi_sm_table_fault(states, 0), "no states, or more than a table can hold");
    EXPECT_TEXT(phi_sm_table_fault(states, 33), "no states, or more than a table can hold");

    phi_sm_state bad[COUNT];
#define FAULT_OF(change, expected)                                                                 \
    memcpy(bad, states, sizeof bad);                                                               \
    change;                                                                                        \
    EXPECT_TEXT(phi_sm_table_fault(bad, COUNT), expected)

    FAULT_OF(bad[OPEN].name = NULL, "a state has no name");
    FAULT_OF(bad[OPEN].next |= PHI_SM_TO(COUNT), "a state leads to one that is not in the table");
    FAULT_OF(bad[OPEN].next = 0, "a final state has a way out, or another has none");
    FAULT_OF(bad[CLOSED].next = PHI_SM_TO(OPEN),
             "a final state has a way out, or another has none");
    FAULT_OF(bad[OPEN].is_initial = true, "more than one initial state");
    FAULT_OF(bad[NEW].is_initial = false, "no initial state");
    FAULT_OF(bad[OPEN].next = PHI_SM_TO(CLOSED), "a state cannot be reached");
}

// The widest table uses every bit of the set.
TEST(sm, table_of_32_states_is_accepted)
{
    phi_sm_state wide[32];
    for (uint8_t i = 0; i < 32; i++) {
        wide[i] = (phi_sm_state){ "state", i < 31 ? PHI_SM_TO(i + 1) : 0, i == 0, i == 31 };
    }
    assert_null(phi_sm_table_fault(wide, 32));
    phi_sm sm;
    phi_sm_init(&sm, wide, 32);
    for (uint8_t i = 1; i < 32; i++) {
        phi_sm_move(&sm, i);
    }
    EXPECT(phi_sm_is(&sm, 31));
}
