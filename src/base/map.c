// SPDX-License-Identifier: Apache-2.0
//
// base/map.c - open addressing with linear probing.
//
// Invariant  Between an entry's home (hash modulo capacity) and its place there is no free entry,
//            so a search ends at the first free one. Removal keeps it by moving later entries up
//            (Knuth, vol. 3, 6.4, algorithm R): no tombstones, so the table does not age.
// Growth     At three quarters full the table doubles; the hash is kept beside each name, so
//            nothing is hashed again. It never shrinks: its size is bounded by count_max.

#include "base/map.h"

#include "base/assert.h"

#define CAPACITY_FIRST 16u

void phi_map_init(phi_map *map, const phi_alloc *alloc, phi_hash_key key, size_t count_max)
{
    PH_ASSERT(map != NULL);
    PH_ASSERT(alloc != NULL);
    *map = (phi_map){ .alloc = alloc, .key = key, .count_max = count_max };
}

void phi_map_fini(phi_map *map)
{
    PH_ASSERT(map != NULL);
    if (map->entries != NULL) {
        phi_give(map->alloc, map->entries, map->capacity * sizeof map->entries[0]);
    }
    map->entries = NULL;
    map->capacity = 0;
    map->count = 0;
}

// Where `name` stands, or the free place where its search ends.
static size_t map_locate(const phi_map *map, phi_bytes name, uint64_t hash)
{
    PH_ASSERT(map->count < map->capacity);
    size_t mask = map->capacity - 1;
    size_t i = (size_t)hash & mask;
    for (;;) {
        const phi_map_entry *e = &map->entries[i];
        if (e->name.data == NULL || (e->hash == hash && phi_bytes_equal(e->name, name))) {
            return i;
        }
        i = (i + 1) & mask;
    }
}

static ph_err map_grow(phi_map *map)
{
    size_t capacity = map->capacity == 0 ? CAPACITY_FIRST : map->capacity * 2;
    phi_map_entry *entries = phi_take_zeroed(map->alloc, capacity, sizeof entries[0]);
    if (entries == NULL) {
        return PH_ENOMEM;
    }
    size_t mask = capacity - 1;
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->entries[i].name.data != NULL) {
            size_t at = (size_t)map->entries[i].hash & mask;
            while (entries[at].name.data != NULL) {
                at = (at + 1) & mask;
            }
            entries[at] = map->entries[i];
        }
    }
    phi_give(map->alloc, map->entries, map->capacity * sizeof entries[0]);
    map->entries = entries;
    map->capacity = capacity;
    return PH_OK;
}

ph_err phi_map_put(phi_map *map, phi_bytes name, uint64_t value)
{
    PH_ASSERT(name.data != NULL); // a free entry is told by it
    if (map->count >= map->count_max) {
        return PH_ELIMIT;
    }
    if (map->count + 1 > map->capacity - map->capacity / 4) {
        ph_err rc = map_grow(map);
        if (rc != PH_OK) {
            return rc;
        }
    }
    uint64_t hash = phi_siphash(map->key, name);
    phi_map_entry *e = &map->entries[map_locate(map, name, hash)];
    PH_ASSERT(e->name.data == NULL); // two of one name: the caller did not look
    *e = (phi_map_entry){ name, hash, value };
    map->count++;
    return PH_OK;
}

bool phi_map_find(const phi_map *map, phi_bytes name, uint64_t *value)
{
    PH_ASSERT(value != NULL);
    if (map->count == 0) {
        return false;
    }
    const phi_map_entry *e = &map->entries[map_locate(map, name, phi_siphash(map->key, name))];
    if (e->name.data == NULL) {
        return false;
    }
    *value = e->value;
    return true;
}

bool phi_map_remove(phi_map *map, phi_bytes name)
{
    if (map->count == 0) {
        return false;
    }
    size_t mask = map->capacity - 1;
    size_t hole = map_locate(map, name, phi_siphash(map->key, name));
    if (map->entries[hole].name.data == NULL) {
        return false;
    }
    for (size_t i = (hole + 1) & mask; map->entries[i].name.data != NULL; i = (i + 1) & mask) {
        // It may move up when the hole lies between its home and its place.
        size_t home = (size_t)map->entries[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            map->entries[hole] = map->entries[i];
            hole = i;
        }
    }
    map->entries[hole] = (phi_map_entry){ .name = { NULL, 0 } };
    map->count--;
    return true;
}
