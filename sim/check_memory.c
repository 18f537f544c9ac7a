// SPDX-License-Identifier: Apache-2.0
//
// sim/check_memory.c - whatever a process took came back when it was freed, however it ended.

#include "sim/check.h"

void check_memory(domain *d, sim_node node)
{
    if (sim_blocks_used(d->s, node) != 0) {
        domain_fail(d, "node %u still holds %zu bytes in %zu blocks", node,
                    sim_bytes_used(d->s, node), sim_blocks_used(d->s, node));
    }
}
