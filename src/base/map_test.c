// SPDX-License-Identifier: Apache-2.0

#include "base/map.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/random.h"
#include "tests/harness/death.h"
#include "tests/harness/test.h"

#define NAMES 3000

static char names[NAMES][16];

static phi_bytes name_of(size_t i)
{
    snprintf(names[i], sizeof names[i], "client-%04zx", i);
    return phi_bytes_text(names[i]);
}

// Every entry must be found from its home without crossing a free one.
static void map_check(const phi_map *map)
{
    size_t count = 0;
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->entries[i].name.data == NULL) {
            continue;
        }
        count++;
        for (size_t at = (size_t)map->entries[i].hash & (map->capacity - 1); at != i;
             at = (at + 1) & (map->capacity - 1)) {
            assert_non_null(map->entries[at].name.data);
        }
    }
    EXPECT_EQ(count, map->count);
}

// A registry that loses, doubles or mixes up a name sends messages to the wrong client.
TEST(map, random_use_agrees_with_a_plain_array)
{
    static uint64_t values[NAMES];
    static bool is_there[NAMES];
    memset(is_there, 0, sizeof is_there);
    phi_alloc_counter counter;
    phi_alloc_counter_init(&counter, &phi_alloc_heap);
    phi_map map;
    phi_map_init(&map, &counter.alloc, (phi_hash_key){ 1, 2 }, 2000);
    phi_random random = phi_random_seeded(3);
    size_t count = 0;

    for (uint64_t step = 0; step < 60000; step++) {
        // Long phases of mostly growing and of mostly shrinking.
        bool grows = step / 10000 % 2 == 0;
        size_t i = phi_random_below(&random, NAMES);
        phi_bytes name = name_of(i);
        if (phi_random_chance(&random, grows ? 70 : 30)) {
            if (!is_there[i]) {
                ph_err rc = phi_map_put(&map, name, step);
                EXPECT_ERR(rc, count == 2000 ? PH_ELIMIT : PH_OK);
                is_there[i] = rc == PH_OK;
                values[i] = step;
                count += is_there[i];
            }
        } else {
            EXPECT_EQ(phi_map_remove(&map, name), is_there[i]);
            count -= is_there[i];
            is_there[i] = false;
        }
        uint64_t value = UINT64_MAX;
        EXPECT_EQ(phi_map_find(&map, name, &value), is_there[i]);
        EXPECT_EQ(value, is_there[i] ? values[i] : UINT64_MAX); // untouched when not found
        EXPECT_EQ(map.count, count);
        if (step % 5000 == 0) {
            map_check(&map);
        }
    }
    for (size_t i = 0; i < NAMES; i++) {
        uint64_t value = 0;
        EXPECT_EQ(phi_map_find(&map, name_of(i), &value), is_there[i]);
    }
    map_check(&map);
    phi_map_fini(&map);
    EXPECT_EQ(counter.bytes, 0);
}

// Entries that share a home must survive the removal of any one among them, also where their run
// wraps around the end of the table.
TEST(map, removal_keeps_colliding_neighbours)
{
    enum { RUN = 6 };
    const phi_hash_key key = { 5, 6 };
    for (size_t home = 0; home < 16; home++) {
        // Names whose home is this place or the one behind it.
        size_t chosen[RUN];
        size_t found = 0;
        for (size_t i = 0; i < NAMES && found < RUN; i++) {
            size_t at = phi_siphash(key, name_of(i)) & 15;
            if (at == home || at == ((home + 1) & 15)) {
                chosen[found++] = i;
            }
        }
        EXPECT_EQ(found, RUN);
        for (size_t removed = 0; removed < RUN; removed++) {
            phi_map map;
            phi_map_init(&map, &phi_alloc_heap, key, 100);
            for (size_t i = 0; i < RUN; i++) {
                EXPECT_ERR(phi_map_put(&map, name_of(chosen[i]), i), PH_OK);
            }
            EXPECT_EQ(map.capacity, 16);
            EXPECT(phi_map_remove(&map, name_of(chosen[removed])));
            map_check(&map);
            for (size_t i = 0; i < RUN; i++) {
                uint64_t value = 0;
                EXPECT_EQ(phi_map_find(&map, name_of(chosen[i]), &value), i != removed);
                EXPECT_EQ(value, i == removed ? 0 : i);
            }
            phi_map_fini(&map);
        }
    }
}

// Names are bytes: one that is a prefix of another, holds a zero byte, or is empty, is its own.
TEST(map, names_are_compared_by_all_their_bytes)
{
    phi_map map;
    phi_map_init(&map, &phi_alloc_heap, (phi_hash_key){ 0, 0 }, 10);
    uint64_t value = 0;
    EXPECT(!phi_map_find(&map, phi_bytes_text("a"), &value)); // before the first entry
    EXPECT(!phi_map_remove(&map, phi_bytes_text("a")));
    EXPECT_ERR(phi_map_put(&map, phi_bytes_of("a\0b", 3), 1), PH_OK);
    EXPECT_ERR(phi_map_put(&map, phi_bytes_of("a\0c", 3), 2), PH_OK);
    EXPECT_ERR(phi_map_put(&map, phi_bytes_of("a", 1), 3), PH_OK);
    EXPECT_ERR(phi_map_put(&map, phi_bytes_of("", 0), 4), PH_OK);
    EXPECT(phi_map_find(&map, phi_bytes_of("a\0c", 3), &value));
    EXPECT_EQ(value, 2);
    EXPECT(phi_map_find(&map, phi_bytes_of("a", 1), &value));
    EXPECT_EQ(value, 3);
    EXPECT(phi_map_find(&map, phi_bytes_of("", 0), &value));
    EXPECT_EQ(value, 4);
    EXPECT(!phi_map_find(&map, phi_bytes_of("a\0", 2), &value));
    phi_map_fini(&map);
}

static void put_twice(void *arg)
{
    phi_map *map = arg;
    for (uint64_t i = 0; i < 2; i++) {
        PH_ASSERT(phi_map_put(map, phi_bytes_text("twice"), i) == PH_OK);
    }
}

// Two entries of one name would let a removed client be found again.
TEST(map, put_of_a_present_name_aborts)
{
    phi_map map;
    char said[1024];
    phi_map_init(&map, &phi_alloc_heap, (phi_hash_key){ 0, 0 }, 10);
    EXPECT(death_of(put_twice, &map, said, sizeof said));
    phi_map_fini(&map);
}

// A map that could not grow must still hold what it held, and grow when there is memory again.
TEST(map, nth_allocation_failing_loses_nothing)
{
    size_t failures = 0;
    for (size_t n = 1;; n++) {
        phi_alloc_counter counter;
        phi_alloc_counter_init(&counter, &phi_alloc_heap);
        counter.fail_at = n;
        phi_map map;
        phi_map_init(&map, &counter.alloc, (phi_hash_key){ 9, 9 }, NAMES);
        for (size_t i = 0; i < 200; i++) {
            if (phi_map_put(&map, name_of(i), i) != PH_OK) {
                failures++;
                EXPECT_EQ(map.count, i);
                EXPECT_ERR(phi_map_put(&map, name_of(i), i), PH_OK);
            }
        }
        for (size_t i = 0; i < 200; i++) {
            uint64_t value = 0;
            EXPECT(phi_map_find(&map, name_of(i), &value));
            EXPECT_EQ(value, i);
        }
        phi_map_fini(&map);
        EXPECT_EQ(counter.bytes, 0);
        if (counter.takes < n) {
            break;
        }
    }
    EXPECT_EQ(failures, 6); // 16, 32, 64, 128, 256 and 512 entries (three quarters of 256 are 192)
}
