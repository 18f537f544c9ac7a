// SPDX-License-Identifier: Apache-2.0
//
// sim/sim_fault.c - faults of a node's own system: an allocator that fails by chance or by
// countdown, connections that are shed; and the paths that break.
//
// Each node draws from a generator of its own, so that one more allocation on one node moves no
// fault on another.

#include <stdint.h>

#include "sim/sim_internal.h"

#define MILLION 1000000u

static bool fails(sim_fault *fault)
{
    bool has_failed = fault->countdown > 0 && --fault->countdown == 0;
    if (!has_failed && fault->per_million != 0) {
        has_failed = phi_random_below(&fault->random, MILLION) < fault->per_million;
    }
    fault->failures += has_failed;
    return has_failed;
}

static void *fault_take(void *arg, size_t size)
{
    sim_fault *fault = arg;
    return fails(fault) ? NULL : phi_take(&fault->counter.alloc, size);
}

static void *fault_resize(void *arg, void *ptr, size_t old_size, size_t size)
{
    sim_fault *fault = arg;
    // To shrink is always possible.
    if (size > old_size && fails(fault)) {
        return NULL;
    }
    return phi_resize(&fault->counter.alloc, ptr, old_size, size);
}

static void fault_give(void *arg, void *ptr, size_t size)
{
    sim_fault *fault = arg;
    phi_give(&fault->counter.alloc, ptr, size);
}

void sim_fault_init(sim_fault *fault, phi_random random)
{
    phi_alloc_counter_init(&fault->counter, &phi_alloc_heap);
    fault->alloc =
        (phi_alloc){ .take = fault_take, .resize = fault_resize, .give = fault_give, .arg = fault };
    fault->random = random;
}

bool sim_fault_sheds(sim_fault *fault)
{
    return fault->shed_percent != 0 && phi_random_chance(&fault->random, fault->shed_percent);
}

void sim_fault_alloc(sim *s, sim_node node, uint32_t per_million)
{
    PH_ASSERT(per_million <= MILLION);
    sim_host_get(s, node)->fault.per_million = per_million;
}

void sim_fault_alloc_at(sim *s, sim_node node, uint32_t count)
{
    sim_host_get(s, node)->fault.countdown = count;
}

bool sim_fault_alloc_is_due(const sim *s, sim_node node)
{
    return sim_host_get(s, node)->fault.countdown > 0;
}

uint64_t sim_fault_alloc_failures(const sim *s, sim_node node)
{
    return sim_host_get(s, node)->fault.failures;
}

void sim_fault_shed(sim *s, sim_node node, uint32_t percent)
{
    PH_ASSERT(percent <= 100);
    sim_host_get(s, node)->fault.shed_percent = percent;
}

// ---- paths

sim_lane *sim_lane_get(const sim *s, sim_node from, sim_node to)
{
    PH_ASSERT(from < s->host_count);
    PH_ASSERT(to < s->host_count);
    return &s->lanes[(size_t)from * s->host_capacity + to];
}

void sim_path_set(sim *s, sim_node a, sim_node b, const sim_path *path)
{
    PH_ASSERT(path->delay.ns > 0);
    sim_lane_get(s, a, b)->path = *path;
    sim_lane_get(s, b, a)->path = *path;
}

void sim_part(sim *s, sim_node a, sim_node b, bool is_parted)
{
    sim_lane_get(s, a, b)->is_parted = is_parted;
    sim_lane_get(s, b, a)->is_parted = is_parted;
    sim_note(s, a, "%s %s", is_parted ? "parted from" : "reaches again", sim_node_name(s, b));
}

void sim_hold(sim *s, sim_node a, sim_node b, phi_dur duration)
{
    uint64_t until = s->now + duration.ns;
    sim_lane_get(s, a, b)->held_until = until;
    sim_lane_get(s, b, a)->held_until = until;
    sim_note(s, a, "hears nothing from %s for %llu ms", sim_node_name(s, b),
             (unsigned long long)phi_dur_ms(duration));
}

static bool is_between(const sim_conn *conn, sim_node a, sim_node b)
{
    sim_node dialled = conn->places[0];
    sim_node accepted = conn->places[1];
    return (dialled == a && accepted == b) || (dialled == b && accepted == a);
}

void sim_cut(sim *s, sim_node a, sim_node b)
{
    for (phi_list *n = s->conns.next; n != &s->conns; n = n->next) {
        sim_conn *conn = PHI_CONTAINER_OF(n, sim_conn, node);
        if (is_between(conn, a, b)) {
            sim_net_break(s, conn);
        }
    }
    sim_note(s, a, "cut from %s", sim_node_name(s, b));
}

void sim_cut_stream(sim *s, phi_stream *stream)
{
    sim_net_break(s, stream->conn);
}

void sim_mute(sim *s, sim_node a, sim_node b)
{
    for (phi_list *n = s->conns.next; n != &s->conns; n = n->next) {
        sim_conn *conn = PHI_CONTAINER_OF(n, sim_conn, node);
        if (is_between(conn, a, b)) {
            conn->is_muted = true;
        }
    }
    sim_note(s, a, "no longer heard by %s", sim_node_name(s, b));
}
