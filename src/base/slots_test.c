// SPDX-License-Identifier: Apache-2.0

#include "base/slots.h"

#include <string.h>

#include "base/random.h"
#include "tests/harness/death.h"
#include "tests/harness/test.h"

typedef struct object {
    uint64_t value;
    uint8_t more[13]; // an odd size: the next object must be aligned all the same
} object;

// A handle that outlives its object must miss: it would give one client's call to another.
TEST(slots, given_back_handle_misses_when_its_slot_is_used_again)
{
    phi_slots slots;
    phi_slots_init(&slots, &phi_alloc_heap, sizeof(object), 10);
    uint64_t first = 0;
    object *a = phi_slots_take(&slots, &first);
    assert_non_null(a);
    EXPECT(first != 0);
    assert_ptr_equal(phi_slots_find(&slots, first), a);
    a->value = 7;
    memset(a->more, 0xff, sizeof a->more);
    phi_slots_give(&slots, first);
    assert_null(phi_slots_find(&slots, first));

    uint64_t second = 0;
    object *b = phi_slots_take(&slots, &second);
    assert_ptr_equal(a, b); // the same memory
    EXPECT_EQ(phi_slots_index(first), phi_slots_index(second));
    assert_null(phi_slots_find(&slots, first));
    EXPECT_EQ(b->value, 0); // and nothing of the old object in it
    EXPECT_EQ(b->more[12], 0);
    phi_slots_fini(&slots);
}

// Peers send handles back: any 64-bit number must be safe to ask for.
TEST(slots, forged_handles_miss)
{
    phi_slots slots;
    phi_slots_init(&slots, &phi_alloc_heap, sizeof(object), 1000);
    assert_null(phi_slots_find(&slots, 0));
    assert_null(phi_slots_find(&slots, UINT64_C(1) << 32));
    uint64_t handle = 0;
    assert_non_null(phi_slots_take(&slots, &handle));
    assert_null(phi_slots_find(&slots, 0)); // index 0 is in use, but generation 0 never is
    assert_null(phi_slots_find(&slots, handle + 1));
    assert_null(phi_slots_find(&slots, handle + (UINT64_C(1) << 32)));
    assert_null(phi_slots_find(&slots, UINT64_MAX));
    phi_slots_give(&slots, handle);
    assert_null(phi_slots_find(&slots, 0)); // free now; its head says 0 too
    phi_random random = phi_random_seeded(1);
    for (int i = 0; i < 100000; i++) {
        assert_null(phi_slots_find(&slots, phi_random_next(&random)));
    }
    phi_slots_fini(&slots);
}

// After 2^32 uses the generation must skip 0, or handle 0, "none", would name an object.
TEST(slots, generation_wraps_past_zero)
{
    phi_slots slots;
    phi_slots_init(&slots, &phi_alloc_heap, sizeof(object), 1);
    uint64_t handle = 0;
    assert_non_null(phi_slots_take(&slots, &handle));
    phi_slots_give(&slots, handle);
    phi_slots_head(&slots, 0)->generation = UINT32_MAX;
    assert_non_null(phi_slots_take(&slots, &handle));
    EXPECT_EQ(handle >> 32, 1);
    assert_non_null(phi_slots_find(&slots, handle));
    phi_slots_fini(&slots);
}

static void give_twice(void *arg)
{
    phi_slots slots;
    uint64_t handle = 0;
    phi_slots_init(&slots, &phi_alloc_heap, sizeof(object), 2);
    (void)phi_slots_take(&slots, &handle);
    phi_slots_give(&slots, handle);
    phi_slots_give(&slots, handle);
    (void)arg;
}

// Giving back twice would put one slot on the free list twice.
TEST(slots, give_twice_aborts)
{
    char said[1024];
    EXPECT(death_of(give_twice, NULL, said, sizeof said));
    assert_non_null(strstr(said, "slots.c"));
}

#define MODEL_MAX 2000

// Pointers must stay, handles must find their own object and no other, and the limit must hold, in
// whatever order objects come and go.
TEST(slots, random_use_agrees_with_a_plain_array)
{
    static struct {
        uint64_t handle;
        object *at;
        bool is_live;
    } model[MODEL_MAX];
    memset(model, 0, sizeof model);
    phi_alloc_counter counter;
    phi_alloc_counter_init(&counter, &phi_alloc_heap);
    phi_slots slots;
    phi_slots_init(&slots, &counter.alloc, sizeof(object), 900);
    phi_random random = phi_random_seeded(2);
    uint32_t live = 0;

    for (uint64_t step = 0; step < 100000; step++) {
        size_t i = phi_random_below(&random, MODEL_MAX);
        if (!model[i].is_live && phi_random_chance(&random, 60)) {
            object *o = phi_slots_take(&slots, &model[i].handle);
            EXPECT_EQ(o == NULL, live == 900);
            if (o != NULL) {
                EXPECT_EQ((uintptr_t)o % 16, 0);
                EXPECT_EQ(o->value, 0);
                o->value = i + 1;
                model[i].at = o;
                model[i].is_live = true;
                live++;
            }
        } else if (model[i].is_live && phi_random_chance(&random, 50)) {
            if (phi_random_chance(&random, 50)) {
                phi_slots_give(&slots, model[i].handle);
            } else {
                phi_slots_give_object(&slots, model[i].at, model[i].handle);
            }
            model[i].is_live = false;
            live--;
        }
        object *found = phi_slots_find(&slots, model[i].handle);
        assert_ptr_equal(found, model[i].is_live ? model[i].at : NULL);
        if (found != NULL) {
            EXPECT_EQ(found->value, i + 1);
        }
        EXPECT_EQ(slots.count, live);
    }

    uint32_t seen = 0;
    uint64_t handle = 0;
    for (uint32_t at = 0; phi_slots_next(&slots, &at, &handle) != NULL; at++) {
        object *o = phi_slots_find(&slots, handle);
        assert_non_null(o);
        assert_ptr_equal(model[o->value - 1].at, o);
        EXPECT_EQ(model[o->value - 1].handle, handle);
        EXPECT_EQ(at, phi_slots_index(handle));
        seen++;
    }
    EXPECT_EQ(seen, live);
    phi_slots_fini(&slots);
    EXPECT_EQ(counter.bytes, 0);
    EXPECT_EQ(counter.blocks, 0);
}

// No memory must look like a full table and leave it usable, at each place that allocates.
TEST(slots, nth_allocation_failing_loses_nothing)
{
    enum { OBJECTS = PHI_SLOTS_CHUNK * 5 + 1 }; // six chunks, and the list of chunks grows once
    size_t failures = 0;
    for (size_t n = 1;; n++) {
        phi_alloc_counter counter;
        phi_alloc_counter_init(&counter, &phi_alloc_heap);
        counter.fail_at = n;
        phi_slots slots;
        phi_slots_init(&slots, &counter.alloc, 8, PHI_SLOTS_COUNT_MAX);
        for (uint32_t taken = 0; taken < OBJECTS;) {
            uint64_t handle = 0;
            uint64_t *value = phi_slots_take(&slots, &handle);
            if (value == NULL) {
                EXPECT_EQ(handle, 0);
                failures++;
                continue;
            }
            *value = handle;
            EXPECT_EQ(phi_slots_index(handle), taken);
            taken++;
        }
        uint64_t handle = 0;
        uint32_t seen = 0;
        for (uint32_t at = 0; at < OBJECTS; at++) {
            uint64_t *value = phi_slots_next(&slots, &at, &handle);
            EXPECT_EQ(*value, handle);
            seen++;
        }
        EXPECT_EQ(seen, OBJECTS);
        phi_slots_fini(&slots);
        EXPECT_EQ(counter.bytes, 0);
        if (counter.takes < n) {
            break;
        }
    }
    EXPECT_EQ(failures, 8); // six chunks, two lists of chunks
}

// Each worker of a center has such a table. What one gave must miss in another's, or a reply would
// end a stranger's call.
TEST(slots, handle_of_another_mark_misses)
{
    phi_slots ours;
    phi_slots theirs;
    phi_slots_init(&ours, &phi_alloc_heap, sizeof(object), 10);
    phi_slots_init(&theirs, &phi_alloc_heap, sizeof(object), 10);
    phi_slots_set_mark(&theirs, 255);
    uint64_t our = 0;
    uint64_t their = 0;
    void *a = phi_slots_take(&ours, &our);
    void *b = phi_slots_take(&theirs, &their);
    EXPECT_EQ(phi_slots_mark(our), 0);
    EXPECT_EQ(phi_slots_mark(their), 255);
    EXPECT_EQ(phi_slots_index(our), phi_slots_index(their));
    assert_ptr_equal(phi_slots_find(&ours, our), a);
    assert_ptr_equal(phi_slots_find(&theirs, their), b);
    assert_null(phi_slots_find(&ours, their));
    assert_null(phi_slots_find(&theirs, our));
    uint32_t index = 0;
    uint64_t found = 0;
    assert_ptr_equal(phi_slots_next(&theirs, &index, &found), b);
    EXPECT_EQ(found, their);
    phi_slots_give(&theirs, their);
    phi_slots_take(&theirs, &their);
    EXPECT_EQ(phi_slots_mark(their), 255); // also of one that is used again
    phi_slots_fini(&ours);
    phi_slots_fini(&theirs);
}
