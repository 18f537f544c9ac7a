// SPDX-License-Identifier: Apache-2.0
//
// sim/sim_sched.c - what happens next: a binary heap of events.
//
// The tie rule, written here and nowhere else: of two events the earlier comes first; at one
// instant that of the node with the lower number (so that all of one node's events at that instant
// make one turn); for one node that which was scheduled first.

#include "sim/sim_internal.h"

#define HEAP_FIRST_CAPACITY 256u

static bool event_before(const sim_event *a, const sim_event *b)
{
    if (a->at != b->at) {
        return a->at < b->at;
    }
    if (a->node != b->node) {
        return a->node < b->node;
    }
    return a->sequence < b->sequence;
}

static void heap_grow(sim_heap *heap)
{
    size_t capacity = heap->capacity == 0 ? HEAP_FIRST_CAPACITY : heap->capacity * 2;
    sim_event *events =
        phi_resize(&phi_alloc_heap, heap->events, heap->capacity * sizeof heap->events[0],
                   capacity * sizeof heap->events[0]);
    PH_ASSERT(events != NULL);
    heap->events = events;
    heap->capacity = capacity;
}

static void sift_down(sim_heap *heap, size_t at)
{
    sim_event event = heap->events[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= heap->count) {
            break;
        }
        if (child + 1 < heap->count &&
            event_before(&heap->events[child + 1], &heap->events[child])) {
            child++;
        }
        if (!event_before(&heap->events[child], &event)) {
            break;
        }
        heap->events[at] = heap->events[child];
        at = child;
    }
    heap->events[at] = event;
}

void sim_heap_push(sim_heap *heap, sim_event event)
{
    if (heap->count == heap->capacity) {
        heap_grow(heap);
    }
    size_t at = heap->count++;
    while (at > 0) {
        size_t parent = (at - 1) / 2;
        if (!event_before(&event, &heap->events[parent])) {
            break;
        }
        heap->events[at] = heap->events[parent];
        at = parent;
    }
    heap->events[at] = event;
}

const sim_event *sim_heap_first(const sim_heap *heap)
{
    return heap->count == 0 ? NULL : &heap->events[0];
}

sim_event sim_heap_take(sim_heap *heap)
{
    PH_ASSERT(heap->count > 0);
    sim_event first = heap->events[0];
    heap->events[0] = heap->events[--heap->count];
    sift_down(heap, 0);
    return first;
}

void sim_heap_redirect(sim_heap *heap, const sim_conn *conn, uint16_t end, const sim_host *to)
{
    for (size_t i = 0; i < heap->count; i++) {
        sim_event *event = &heap->events[i];
        if (event->conn == conn && event->end == end) {
            event->node = to->index;
            event->life = to->life;
        }
    }
    for (size_t i = heap->count / 2; i-- > 0;) {
        sift_down(heap, i);
    }
}
