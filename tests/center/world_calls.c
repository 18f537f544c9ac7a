// SPDX-License-Identifier: Apache-2.0
//
// tests/center/world_calls.c - see world.h: what only a look into the center's own state tells.

#include "center/state.h"
#include "tests/center/world.h"
#include "tests/harness/test.h"

void world_expect_no_calls(const world *w)
{
    for (uint32_t i = 0; i < w->worker_count; i++) {
        const center *c = i == 0 ? w->c : w->others[i - 1].c;
        EXPECT_EQ(c->calls.count, 0);
        EXPECT_EQ(c->calls_aside, 0);
        EXPECT_EQ(c->dialogs.count, 0);
        EXPECT_EQ(c->inquiries_count, 0);
    }
}

uint32_t world_call_slots(const world *w)
{
    return w->c->calls.count;
}
