// SPDX-License-Identifier: Apache-2.0

#include "base/hashed.h"

#include <stdbool.h>
#include <string.h>

#include "base/random.h"
#include "tests/harness/test.h"

enum { KEYS = 4000 };

typedef struct record {
    phi_hashed_head head;
    uint32_t key;
    uint32_t value;
} record;

// Bad on purpose: sixteen keys share a hash.
static uint32_t hash_of(uint32_t key)
{
    return key / 16 * 2654435761u;
}

static uint32_t find(const phi_hashed *t, uint32_t key)
{
    uint32_t i = phi_hashed_first(t, hash_of(key));
    while (i != 0) {
        const record *r = phi_hashed_at(t, i);
        if (r->key == key) {
            break;
        }
        i = r->head.next;
    }
    return i;
}

// A subscription that is lost, doubled or mixed up reaches the wrong client; so does one whose
// record moved.
TEST(hashed, random_use_agrees_with_a_plain_array)
{
    static uint32_t index_of[KEYS];
    static record *place_of[KEYS];
    memset(index_of, 0, sizeof index_of);
    phi_alloc_counter counter;
    phi_alloc_counter_init(&counter, &phi_alloc_heap);
    phi_hashed t;
    phi_hashed_init(&t, &counter.alloc, sizeof(record), 3000);
    phi_random random = phi_random_seeded(5);
    uint32_t count = 0;
    for (uint32_t step = 0; step < 60000; step++) {
        bool grows = step / 10000 % 2 == 0;
        uint32_t key = (uint32_t)phi_random_below(&random, KEYS);
        EXPECT_EQ(find(&t, key), index_of[key]);
        if (phi_random_chance(&random, grows ? 80 : 20)) {
            if (index_of[key] == 0) {
                uint32_t index = phi_hashed_take(&t, hash_of(key));
                EXPECT((index == 0) == (count == 3000));
                if (index != 0) {
                    record *r = phi_hashed_at(&t, index);
                    EXPECT_EQ(r->value, 0);
                    r->key = key;
                    r->value = step;
                    place_of[key] = r;
                    index_of[key] = index;
                    count++;
                }
            }
        } else if (index_of[key] != 0) {
            EXPECT(phi_hashed_at(&t, index_of[key]) == place_of[key]);
            EXPECT_EQ(place_of[key]->key, key);
            phi_hashed_give(&t, index_of[key]);
            index_of[key] = 0;
            count--;
        }
        EXPECT_EQ(t.count, count);
        if (step % 1000 == 0) {
            phi_hashed_check(&t);
        }
    }
    phi_hashed_fini(&t);
    EXPECT_EQ(counter.blocks, 0);
}

// Nobody pays for the growth of all: no record's coming takes more than a few chunks of memory, and
// the chains stay short.
TEST(hashed, growth_is_spread_over_all)
{
    phi_alloc_counter counter;
    phi_alloc_counter_init(&counter, &phi_alloc_heap);
    phi_hashed t;
    phi_hashed_init(&t, &counter.alloc, sizeof(record), 200000);
    phi_random random = phi_random_seeded(6);
    for (uint32_t i = 0; i < 200000; i++) {
        size_t before = counter.takes;
        EXPECT(phi_hashed_take(&t, (uint32_t)phi_random_next(&random)) != 0);
        EXPECT(counter.takes - before <= 4);
        EXPECT(t.bucket_count >= 2 * t.count);
    }
    phi_hashed_check(&t);
    EXPECT(counter.bytes < 200000 * (sizeof(record) + 8) * 105 / 100);
    phi_hashed_fini(&t);
    EXPECT_EQ(counter.blocks, 0);
}

// Without memory there is no record, and what is there stays findable.
TEST(hashed, every_failing_allocation_is_survived)
{
    for (size_t fail_at = 1; fail_at < 20; fail_at++) {
        phi_alloc_counter counter;
        phi_alloc_counter_init(&counter, &phi_alloc_heap);
        counter.fail_at = fail_at;
        phi_hashed t;
        phi_hashed_init(&t, &counter.alloc, sizeof(record), KEYS);
        uint32_t taken = 0;
        for (uint32_t key = 0; key < 1200; key++) {
            uint32_t index = phi_hashed_take(&t, hash_of(key));
            if (index != 0) {
                ((record *)phi_hashed_at(&t, index))->key = key;
                EXPECT_EQ(find(&t, key), index);
                taken++;
            }
        }
        EXPECT(taken >= 1199);
        phi_hashed_check(&t);
        phi_hashed_fini(&t);
        EXPECT_EQ(counter.blocks, 0);
    }
}
