// SPDX-License-Identifier: Apache-2.0
//
// sim/sim_world.c - nodes, their turns, and the running of the world.
//
// A turn takes all events of its node at this instant that were scheduled before it began. What is
// scheduled meanwhile, even for the same instant, is for a later turn: so "in a later turn" of io.h
// means the same here as on a real loop.

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/sim_internal.h"

#define NODES_FALLBACK 32u
// Node 1 is that much ahead of world time, node 2 twice, ...: a time of one node that leaks to
// another shows. Whole milliseconds, so that all timer wheels tick together.
#define CLOCK_OFFSET_NS (UINT64_C(1000) * 1000 * 1000 * 1000)
// A world that takes so many turns without time going on will never go on.
#define INSTANT_TURNS_MAX 1000000u
#define FIRST_PORT 40000u

static bool step(sim *s, uint64_t end);
static void run_turn(sim *s, sim_host *host, sim_event event);
static void run_event(sim *s, sim_host *host, const sim_event *event);
static void set_wake(sim *s, sim_host *host);
static bool is_stale(const sim *s, const sim_event *event);
static void keep_for_later(sim_host *host, sim_event event);
static void begin_life(sim_host *host);
static void enter(sim *s);
static void catch_up(sim *s, sim_host *host);
static void forget(sim *s, const sim_event *event);

// ---- life

sim *sim_new(const sim_options *options)
{
    PH_ASSERT(options != NULL);
    PH_ASSERT(options->path.delay.ns > 0); // else two nodes could talk for ever in one instant

    sim *s = phi_take_zeroed(&phi_alloc_heap, 1, sizeof *s);
    PH_ASSERT(s != NULL);
    s->host_capacity = 1 + (options->nodes_max == 0 ? NODES_FALLBACK : options->nodes_max);
    s->hosts = phi_take_zeroed(&phi_alloc_heap, s->host_capacity, sizeof s->hosts[0]);
    size_t lane_count = (size_t)s->host_capacity * s->host_capacity;
    s->lanes = phi_take_zeroed(&phi_alloc_heap, lane_count, sizeof s->lanes[0]);
    PH_ASSERT(s->hosts != NULL);
    PH_ASSERT(s->lanes != NULL);
    for (size_t i = 0; i < lane_count; i++) {
        s->lanes[i].path = options->path;
    }
    phi_list_init(&s->conns);
    s->host_count = 1;
    s->port_next = FIRST_PORT;
    s->random = phi_random_seeded(options->seed);
    s->hash = options->seed;
    s->trace = options->trace;
    return s;
}

void sim_free(sim **s_in)
{
    sim *s = *s_in;
    if (s == NULL) {
        return;
    }
    for (uint32_t i = 1; i < s->host_count; i++) {
        if (s->hosts[i]->is_alive) {
            sim_node_kill(s, i);
        }
        sim_net_forget(s->hosts[i]);
    }
    while (s->heap.count > 0) {
        sim_event event = sim_heap_take(&s->heap);
        forget(s, &event);
    }
    PH_ASSERT(phi_list_is_empty(&s->conns));
    for (uint32_t i = 1; i < s->host_count; i++) {
        sim_host *host = s->hosts[i];
        sim_box_free(host->box);
        sim_identity_free(&host->identity);
        phi_give(&phi_alloc_heap, host->waiting, host->waiting_capacity * sizeof(sim_event));
        phi_give(&phi_alloc_heap, host, sizeof *host);
    }
    for (sim_box_set *set; (set = s->box_sets) != NULL;) {
        s->box_sets = set->next;
        phi_give(&phi_alloc_heap, set, sizeof *set);
    }
    sim_tls_free_all(s);
    phi_give(&phi_alloc_heap, s->heap.events, s->heap.capacity * sizeof(sim_event));
    phi_give(&phi_alloc_heap, s->lanes,
             (size_t)s->host_capacity * s->host_capacity * sizeof s->lanes[0]);
    phi_give(&phi_alloc_heap, s->hosts, s->host_capacity * sizeof s->hosts[0]);
    phi_give(&phi_alloc_heap, s, sizeof *s);
    *s_in = NULL;
}

sim_node sim_node_add(sim *s, const char *name)
{
    PH_ASSERT(s->host_count < s->host_capacity);
    sim_host *host = phi_take_zeroed(&phi_alloc_heap, 1, sizeof *host);
    PH_ASSERT(host != NULL);
    host->world = s;
    host->index = s->host_count++;
    snprintf(host->name, sizeof host->name, "%s", name);
    host->entropy = phi_random_split(&s->random);
    host->script = phi_random_split(&s->random);
    host->net = phi_random_split(&s->random);
    sim_fault_init(&host->fault, phi_random_split(&s->random));
    host->offset = host->index * CLOCK_OFFSET_NS;
    phi_list_init(&host->streams);
    phi_list_init(&host->listeners);
    phi_list_init(&host->loose);
    s->hosts[host->index] = host;
    begin_life(host);
    return host->index;
}

static void begin_life(sim_host *host)
{
    host->life++;
    host->is_alive = true;
    host->is_frozen = false;
    host->is_reading = true;
    host->wake = UINT64_MAX;
    phi_io_init(&host->io, &sim_io_ops, &host->fault.alloc,
                (phi_time){ host->world->now + host->offset });
}

phi_io *sim_io(sim *s, sim_node node)
{
    return &sim_host_get(s, node)->io;
}

void sim_node_clock(sim *s, sim_node node, phi_dur offset)
{
    sim_host *host = sim_host_get(s, node);
    PH_ASSERT(host->io.timers.count == 0);
    host->offset = offset.ns;
    begin_life(host);
}

void sim_node_kill(sim *s, sim_node node)
{
    sim_host *host = sim_host_get(s, node);
    PH_ASSERT(host->is_alive);
    PH_ASSERT(!host->io.is_turning);
    sim_note(s, node, "killed");
    sim_net_kill(host);
    sim_box_kill(host->box);
    host->is_alive = false;
    for (size_t i = 0; i < host->waiting_count; i++) {
        forget(s, &host->waiting[i]);
    }
    host->waiting_count = 0;
}

void sim_node_restart(sim *s, sim_node node)
{
    sim_host *host = sim_host_get(s, node);
    PH_ASSERT(!host->is_alive);
    sim_net_forget(host);
    sim_box_restart(host->box);
    sim_note(s, node, "starts again");
    begin_life(host);
}

bool sim_node_is_alive(const sim *s, sim_node node)
{
    return sim_host_get(s, node)->is_alive;
}

void sim_node_freeze(sim *s, sim_node node, bool is_frozen)
{
    sim_host *host = sim_host_get(s, node);
    if (host->is_frozen == is_frozen) {
        return;
    }
    host->is_frozen = is_frozen;
    sim_note(s, node, "%s", is_frozen ? "frozen" : "goes on");
    if (is_frozen) {
        return;
    }
    for (size_t i = 0; i < host->waiting_count; i++) {
        // They keep their sequence, so they come before whatever is scheduled from now on.
        host->waiting[i].at = s->now;
        sim_heap_push(&s->heap, host->waiting[i]);
    }
    host->waiting_count = 0;
    host->wake = UINT64_MAX;
    set_wake(s, host);
}

bool sim_node_is_frozen(const sim *s, sim_node node)
{
    return sim_host_get(s, node)->is_frozen;
}

void sim_node_reading(sim *s, sim_node node, bool is_reading)
{
    sim_host *host = sim_host_get(s, node);
    if (host->is_reading == is_reading) {
        return;
    }
    host->is_reading = is_reading;
    sim_note(s, node, "%s", is_reading ? "reads again" : "stops reading");
    if (is_reading && host->is_alive) {
        sim_net_resume(host);
    }
}

// ---- time

phi_time sim_now(const sim *s)
{
    return (phi_time){ s->now };
}

uint64_t sim_turns(const sim *s)
{
    return s->turns;
}

phi_random *sim_random(sim *s)
{
    return &s->random;
}

phi_random *sim_node_random(sim *s, sim_node node)
{
    return &sim_host_get(s, node)->script;
}

bool sim_step(sim *s)
{
    enter(s);
    return step(s, UINT64_MAX);
}

void sim_run_for(sim *s, phi_dur duration)
{
    (void)sim_run_until(s, NULL, NULL, duration);
}

bool sim_run_until(sim *s, sim_condition *is_so, void *arg, phi_dur limit)
{
    uint64_t end = phi_time_add(sim_now(s), limit).ns;
    enter(s);
    for (;;) {
        if (is_so != NULL && is_so(s, arg)) {
            return true;
        }
        if (!step(s, end)) {
            s->now = end;
            s->instant_turns = 0;
            return false;
        }
    }
}

void sim_after(sim *s, sim_node node, phi_dur delay, sim_action *fn, void *arg)
{
    sim_schedule(
        s, (sim_event){
               .at = s->now + delay.ns, .node = node, .kind = SIM_ACTION, .fn = fn, .arg = arg });
}

// ---- a turn

// The next turn that is not later than `end`; false when there is none.
static bool step(sim *s, uint64_t end)
{
    while (s->heap.count > 0 && sim_heap_first(&s->heap)->at <= end) {
        sim_event event = sim_heap_take(&s->heap);
        PH_ASSERT(event.at >= s->now);
        if (is_stale(s, &event)) {
            forget(s, &event);
            continue;
        }
        if (event.at > s->now) {
            s->now = event.at;
            s->instant_turns = 0;
        }
        s->instant_turns++;
        PH_ASSERT(s->instant_turns < INSTANT_TURNS_MAX);
        sim_host *host = event.node == SIM_WORLD ? NULL : s->hosts[event.node];
        if (event.kind == SIM_SYN || host == NULL) {
            // The kernel's business, or the script's: no process takes a turn. The script may call
            // into any node.
            run_event(s, host, &event);
            enter(s);
            return true;
        }
        if (host->is_frozen) {
            keep_for_later(host, event);
            continue;
        }
        s->turns++;
        run_turn(s, host, event);
        catch_up(s, host);
        return true;
    }
    return false;
}

static void run_turn(sim *s, sim_host *host, sim_event event)
{
    uint64_t limit = s->heap.sequence;
    host->io.now = (phi_time){ s->now + host->offset };
    host->io.is_turning = true;
    if (event.kind == SIM_WAKE) {
        host->wake = UINT64_MAX;
    }
    sim_box_read(host->box); // what came before somebody was attached
    run_event(s, host, &event);
    for (;;) {
        const sim_event *next = sim_heap_first(&s->heap);
        if (next == NULL || next->at != s->now || next->node != host->index ||
            next->sequence >= limit) {
            break;
        }
        event = sim_heap_take(&s->heap);
        if (is_stale(s, &event)) {
            forget(s, &event);
            continue;
        }
        if (event.kind == SIM_WAKE) {
            host->wake = UINT64_MAX;
        }
        run_event(s, host, &event);
    }
    if (phi_timers_next(&host->io.timers).ns <= host->io.now.ns) {
        phi_timers_run(&host->io.timers, host->io.now);
    }
    phi_io_run_hooks(&host->io);
    host->io.is_turning = false;
}

static void run_event(sim *s, sim_host *host, const sim_event *event)
{
    sim_trace_event(s, event);
    switch ((sim_kind)event->kind) {
    case SIM_WAKE: // the turn runs the timers
    case SIM_TOUCH:
        break;
    case SIM_ACTION:
        event->fn(s, event->arg);
        break;
    case SIM_SYN:
    case SIM_SYN_ACK:
    case SIM_REFUSED:
    case SIM_TIMEOUT:
    case SIM_ACK:
    case SIM_SEGMENT:
    case SIM_READ:
    case SIM_SILENCE:
    case SIM_ROOM:
    case SIM_FIN:
    case SIM_RESET:
    case SIM_CLOSED:
        sim_net_event(s, host, event);
        sim_conn_unref(s, event->conn);
        break;
    case SIM_MAIL:
        sim_mail_event(host, event);
        break;
    case SIM_KIND_COUNT:
        PH_UNREACHABLE("not a kind");
    }
}

// ---- helpers

// Brings up what was done from outside: timers that were set, bytes that were queued in haste.
static void enter(sim *s)
{
    for (uint32_t i = 1; i < s->host_count; i++) {
        catch_up(s, s->hosts[i]);
    }
}

static void catch_up(sim *s, sim_host *host)
{
    if (!host->is_alive || host->is_frozen) {
        return;
    }
    if (host->io.is_hurried) {
        host->io.is_hurried = false;
        sim_schedule(s, (sim_event){ .at = s->now, .node = host->index, .kind = SIM_TOUCH });
    }
    sim_box_catch_up(host->box);
    set_wake(s, host);
}

static void set_wake(sim *s, sim_host *host)
{
    uint64_t next = phi_timers_next(&host->io.timers).ns;
    uint64_t at = UINT64_MAX;
    if (next != UINT64_MAX) {
        at = next <= s->now + host->offset ? s->now : next - host->offset;
    }
    if (at != host->wake) {
        host->wake = at;
        if (at != UINT64_MAX) {
            sim_schedule(s, (sim_event){ .at = at, .node = host->index, .kind = SIM_WAKE });
        }
    }
}

// An event of an earlier life, a wake-up that was moved, a timeout that is not needed.
static bool is_stale(const sim *s, const sim_event *event)
{
    if (event->node == SIM_WORLD) {
        return false;
    }
    const sim_host *host = s->hosts[event->node];
    // A connection can come to a node whose process is new: the address is the same.
    bool is_for_life = event->kind != SIM_SYN;
    if (!host->is_alive && is_for_life) {
        return true;
    }
    if (is_for_life && event->life != host->life) {
        return true;
    }
    if (event->kind == SIM_TIMEOUT) {
        const phi_stream *stream = event->conn->streams[0];
        return stream == NULL || stream->state != SIM_STREAM_CONNECTING;
    }
    return event->kind == SIM_WAKE && event->at != host->wake;
}

static void forget(sim *s, const sim_event *event)
{
    if (event->conn != NULL) {
        sim_conn_unref(s, event->conn);
    }
    if (event->kind == SIM_MAIL) {
        sim_mail_forget(event);
    }
}

static void keep_for_later(sim_host *host, sim_event event)
{
    if (event.kind == SIM_WAKE) {
        return; // set anew when it goes on
    }
    if (host->waiting_count == host->waiting_capacity) {
        size_t capacity = host->waiting_capacity == 0 ? 16 : host->waiting_capacity * 2;
        sim_event *waiting =
            phi_resize(&phi_alloc_heap, host->waiting, host->waiting_capacity * sizeof *waiting,
                       capacity * sizeof *waiting);
        PH_ASSERT(waiting != NULL);
        host->waiting = waiting;
        host->waiting_capacity = capacity;
    }
    host->waiting[host->waiting_count++] = event;
}

void sim_redirect(sim *s, const sim_conn *conn, uint16_t end, const sim_host *to)
{
    sim_host *from = conn->hosts[end];
    size_t kept = 0;
    for (size_t i = 0; i < from->waiting_count; i++) {
        sim_event event = from->waiting[i];
        if (event.conn == conn && event.end == end) {
            event.at = s->now;
            sim_heap_push(&s->heap, event);
        } else {
            from->waiting[kept++] = event;
        }
    }
    from->waiting_count = kept;
    sim_heap_redirect(&s->heap, conn, end, to);
}

sim_host *sim_host_get(const sim *s, sim_node node)
{
    PH_ASSERT(node != SIM_WORLD);
    PH_ASSERT(node < s->host_count);
    return s->hosts[node];
}

const char *sim_node_name(const sim *s, sim_node node)
{
    return node == SIM_WORLD ? "(world)" : s->hosts[node]->name;
}

void sim_schedule(sim *s, sim_event event)
{
    event.sequence = s->heap.sequence++;
    event.life = event.node == SIM_WORLD ? 0 : s->hosts[event.node]->life;
    if (event.conn != NULL) {
        event.conn->refs++;
    }
    sim_heap_push(&s->heap, event);
}

size_t sim_bytes_used(const sim *s, sim_node node)
{
    return sim_host_get(s, node)->fault.counter.bytes;
}

size_t sim_blocks_used(const sim *s, sim_node node)
{
    return sim_host_get(s, node)->fault.counter.blocks;
}

size_t sim_bytes_peak(const sim *s, sim_node node)
{
    return sim_host_get(s, node)->fault.counter.bytes_peak;
}
