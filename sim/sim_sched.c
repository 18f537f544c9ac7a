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
    sim_event last = heap->events[--heap->count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= heap->count) {
            break;
        }
        if (child + 1 < heap->count &&
            event_before(&heap->events[child + 1], &heap->events[child])) {
            child++;
        }
        if (!event_before(&heap->events[child], &last)) {
            break;
        }
        heap->events[at] = heap->events[child];
        at = child;
    }
    heap->events[at] = last;
    return first;
}
