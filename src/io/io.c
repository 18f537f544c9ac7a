// SPDX-License-Identifier: Apache-2.0
//
// io/io.c - the little that all implementations of io.h share.

#include "io/io.h"

#include "base/assert.h"

void phi_io_init(phi_io *io, const phi_io_ops *ops, const phi_alloc *alloc, phi_time now)
{
    PH_ASSERT(ops != NULL);
    PH_ASSERT(alloc != NULL);

    io->ops = ops;
    io->alloc = alloc;
    io->now = now;
    phi_timers_init(&io->timers, now);
    phi_list_init(&io->hooks);
    phi_list_init(&io->asked_hooks);
    phi_list_init(&io->late_hooks);
    io->is_hurried = false;
    io->is_turning = false;
}

// All hooks move to a list of this call, and each goes back before it runs: so it does not matter
// which of them a hook removes.
static void run_all(phi_list *hooks)
{
    phi_list waiting;
    phi_list_init_from(&waiting, hooks);
    for (phi_list *node; (node = phi_list_take(&waiting)) != NULL;) {
        phi_list_append(hooks, node);
        phi_turn_hook *hook = PHI_CONTAINER_OF(node, phi_turn_hook, node);
        hook->on_turn(hook);
    }
}

// One that is asked for again meanwhile, by itself or by another, waits for the next turn: so two
// that have always something for each other do not hold up the loop.
static void run_asked(phi_list *hooks)
{
    phi_list waiting;
    phi_list_init_from(&waiting, hooks);
    for (phi_list *node; (node = phi_list_take(&waiting)) != NULL;) {
        phi_turn_hook *hook = PHI_CONTAINER_OF(node, phi_turn_hook, node);
        hook->on_turn(hook);
    }
}

void phi_io_run_hooks(phi_io *io)
{
    PH_ASSERT(io->is_turning);
    io->is_hurried = false;
    run_all(&io->hooks);
    run_asked(&io->asked_hooks);
    run_all(&io->late_hooks);
}
