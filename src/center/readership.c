// SPDX-License-Identifier: Apache-2.0
//
// center/readership.c - see readership.h.
//
// Design notes
//   - What a match tells of is passed on at once, and noted beside it. So the first event on a
//     topic needs no memory, and waits for nothing.
//   - A place keeps the memory of its owners when another topic takes it: who publishes on ever new
//     topics costs no allocations. It goes when another place needs it and what stands there is not
//     good any more. What is good stays: topics that do not all fit do not push each other out with
//     every event.
//
// Invariants  see readerships_check

#include "center/readership.h"

#include <string.h>

#include "base/assert.h"

enum {
    OWNERS_FIRST = 16,
};

PH_STATIC_ASSERT((READERSHIPS_COUNT & (READERSHIPS_COUNT - 1)) == 0);

// A match whose owners are noted.
typedef struct noting {
    readerships *all;
    readership *readership;
    bool is_whole;
    topics_found_fn *found;
    void *arg;
} noting;

static bool is_good(const readerships *all, const readership *r, phi_bytes topic);
static void on_found(void *arg, void *owner);
static bool note(readerships *all, readership *r, void *owner);
static bool grow(readerships *all, readership *r);
static bool resize(readerships *all, readership *r, uint32_t capacity);
static bool give_bad(readerships *all, const readership *but);
static bool give(readerships *all, readership *r);

void readerships_init(readerships *all, topics *t, phi_hash_key key)
{
    *all = (readerships){ .topics = t, .key = key };
    phi_alloc_counter_init(&all->memory, &t->memory.alloc);
    all->memory.bytes_max = READERSHIPS_BYTES_MAX;
}

void readerships_fini(readerships *all)
{
    (void)readerships_shed(all);
    *all = (readerships){ .topics = NULL };
}

bool readerships_shed(readerships *all)
{
    if (all->places == NULL) {
        return false;
    }
    for (size_t i = 0; i < READERSHIPS_COUNT; i++) {
        (void)give(all, &all->places[i]);
    }
    phi_give(&all->memory.alloc, all->places, READERSHIPS_COUNT * sizeof *all->places);
    all->places = NULL;
    all->last = NULL;
    PH_ASSERT(all->memory.blocks == 0);
    return true;
}

readership *readership_find(readerships *all, phi_bytes topic)
{
    if (all->last != NULL && is_good(all, all->last, topic)) {
        return all->last;
    }
    if (PHI_UNLIKELY(all->places == NULL)) {
        all->places = phi_take_zeroed(&all->memory.alloc, READERSHIPS_COUNT, sizeof *all->places);
        if (all->places == NULL) {
            return NULL;
        }
    }
    all->asked = topic.data;
    all->last = &all->places[phi_siphash(all->key, topic) % READERSHIPS_COUNT];
    return is_good(all, all->last, topic) ? all->last : NULL;
}

size_t readership_match(readerships *all, phi_bytes text, const phi_topic *topic,
                        topics_found_fn *found, void *arg)
{
    readership *r = all->last;
    if (PHI_UNLIKELY(r == NULL)) {
        return topics_match(all->topics, topic, found, arg);
    }
    PH_ASSERT(text.size <= sizeof r->name);
    PH_ASSERT(text.data == all->asked);
    r->version = 0;
    r->count = 0;
    noting n = { .all = all, .readership = r, .is_whole = true, .found = found, .arg = arg };
    size_t cost = topics_match(all->topics, topic, on_found, &n);
    if (PHI_LIKELY(n.is_whole)) {
        r->version = all->topics->version;
        r->cost = cost;
        memcpy(r->name, text.data, text.size);
        r->topic = (guard_topic){ .name = phi_bytes_of(r->name, text.size) };
    }
    return cost;
}

static bool is_good(const readerships *all, const readership *r, phi_bytes topic)
{
    return r->version == all->topics->version && phi_text_equal(topic, r->topic.name);
}

static void on_found(void *arg, void *owner)
{
    noting *n = arg;
    n->is_whole = n->is_whole && note(n->all, n->readership, owner);
    n->found(n->arg, owner);
}

// False when there is no place for it.
static bool note(readerships *all, readership *r, void *owner)
{
    if (PHI_UNLIKELY(r->count == r->capacity) && !grow(all, r)) {
        return false;
    }
    r->owners[r->count++] = owner;
    return true;
}

static bool grow(readerships *all, readership *r)
{
    uint32_t capacity = r->capacity == 0 ? OWNERS_FIRST : 2 * r->capacity;
    return resize(all, r, capacity) || (give_bad(all, r) && resize(all, r, capacity));
}

static bool resize(readerships *all, readership *r, uint32_t capacity)
{
    void **owners = phi_resize(&all->memory.alloc, r->owners, r->capacity * sizeof *owners,
                               capacity * sizeof *owners);
    if (owners == NULL) {
        return false;
    }
    r->owners = owners;
    r->capacity = capacity;
    return true;
}

// False when there was nothing to give back.
static bool give_bad(readerships *all, const readership *but)
{
    bool is_any = false;
    for (size_t i = 0; i < READERSHIPS_COUNT; i++) {
        readership *r = &all->places[i];
        if (r != but && r->version != all->topics->version) {
            is_any |= give(all, r);
        }
    }
    return is_any;
}

// Same.
static bool give(readerships *all, readership *r)
{
    bool is_any = r->capacity != 0;
    phi_give(&all->memory.alloc, r->owners, r->capacity * sizeof *r->owners);
    *r = (readership){ .version = 0 };
    return is_any;
}

// ---- invariants

typedef struct checking {
    const readership *readership;
    uint32_t found;
} checking;

static void on_checked(void *arg, void *owner)
{
    checking *k = arg;
    PH_ASSERT(k->found < k->readership->count);
    PH_ASSERT(k->readership->owners[k->found] == owner);
    k->found++;
}

void readerships_check(const readerships *all)
{
    PH_ASSERT(all->memory.bytes <= READERSHIPS_BYTES_MAX);
    PH_ASSERT(all->memory.bytes <= all->topics->memory.bytes);
    for (size_t i = 0; all->places != NULL && i < READERSHIPS_COUNT; i++) {
        const readership *r = &all->places[i];
        PH_ASSERT(r->count <= r->capacity);
        PH_ASSERT(r->version <= all->topics->version);
        if (r->version != all->topics->version) {
            continue;
        }
        phi_topic topic;
        bool is_topic = phi_topic_parse(r->topic.name, &topic);
        PH_ASSERT(is_topic);
        checking k = { .readership = r };
        size_t cost = topics_match(all->topics, &topic, on_checked, &k);
        PH_ASSERT(k.found == r->count);
        PH_ASSERT(cost == r->cost);
    }
}
