// SPDX-License-Identifier: Apache-2.0
//
// center/presence_log_test.c - the ring of changes against a plain array.

#include "center/presence_log.h"

#include <stdlib.h>

#include "base/random.h"
#include "center/entry.h"
#include "tests/harness/test.h"

enum {
    CAPACITY = 16384,
    CHANGES = 5000,
};

typedef struct change {
    uint64_t at;
    size_t size;
    uint8_t fill;
} change;

// Every entry of a revision is made of its size, its revision, and one byte again and again.
static size_t make_entry(uint8_t *bytes, uint64_t revision, size_t size, uint8_t fill)
{
    memset(bytes, fill, size);
    phi_put_u16(bytes, (uint16_t)size);
    phi_put_u64(bytes + ENTRY_REVISION_AT, revision);
    return size;
}

static size_t random_size(phi_random *r)
{
    return phi_random_chance(r, 20) ? phi_random_between(r, 1000, PHI_ENTRY_BYTES_MAX)
                                    : phi_random_between(r, ENTRY_BYTES_MIN, 120);
}

// Whatever is still in the log must be found by its revision and come out as it went in, also where
// it runs over the ring's end; what was forgotten must be known to be. A wrong place would send
// watchers half an entry. [P-43]
TEST(presence_log, any_revision_is_found_or_known_to_be_forgotten)
{
    presence_log log;
    EXPECT_ERR(presence_log_init(&log, &phi_alloc_heap, CAPACITY), PH_OK);
    phi_random r = phi_random_seeded(7);
    change *changes = calloc(CHANGES + 3, sizeof *changes);
    assert_non_null(changes);
    uint64_t at = 0;
    uint8_t bytes[PHI_ENTRY_BYTES_MAX];
    uint8_t scratch[PHI_ENTRY_BYTES_MAX];
    size_t found_over_end = 0;
    for (uint64_t revision = 1; revision <= CHANGES; revision++) {
        changes[revision] = (change){ at, random_size(&r), (uint8_t)phi_random_next(&r) };
        at += changes[revision].size;
        make_entry(bytes, revision, changes[revision].size, changes[revision].fill);
        presence_log_append(&log, phi_bytes_of(bytes, changes[revision].size));
        if (revision % 16 == 0) {
            presence_log_check(&log);
        }

        uint64_t asked = phi_random_below(&r, revision + 2);
        if (asked + 200 < revision && phi_random_chance(&r, 90)) {
            asked = revision - phi_random_below(&r, 200); // most are forgotten by then
        }
        presence_place place;
        bool is_known = presence_log_find(&log, asked, &place);
        bool should_be = asked <= revision && at - changes[asked + 1].at <= CAPACITY;
        if (asked == revision) {
            should_be = true;
        }
        EXPECT_EQ(is_known, should_be);
        if (!is_known || asked == revision) {
            continue;
        }
        const change *next = &changes[asked + 1];
        EXPECT_EQ(place.revision, asked);
        EXPECT_EQ(place.at, next->at);
        EXPECT(presence_log_holds(&log, place));
        phi_bytes entry = presence_log_view(&log, place.at, scratch);
        make_entry(bytes, asked + 1, next->size, next->fill);
        EXPECT_EQ(entry.size, next->size);
        EXPECT_BYTES(entry.data, bytes, next->size);
        found_over_end += entry.data == scratch;
    }
    EXPECT(found_over_end > 10);
    EXPECT(log.first.revision > 0);
    free(changes);
    presence_log_fini(&log);
}

// A stretch of the log is what a status packet carries: it must be the entries one after the other.
TEST(presence_log, stretch_is_the_entries_in_order)
{
    presence_log log;
    EXPECT_ERR(presence_log_init(&log, &phi_alloc_heap, CAPACITY), PH_OK);
    uint8_t bytes[64];
    for (uint64_t revision = 1; revision <= 1000; revision++) {
        make_entry(bytes, revision, 40 + revision % 20, (uint8_t)revision);
        presence_log_append(&log, phi_bytes_of(bytes, phi_get_u16(bytes)));
    }
    uint64_t size = log.last.at - log.first.at;
    uint8_t *out = malloc(size);
    assert_non_null(out);
    presence_log_copy(&log, log.first.at, size, out);
    uint64_t revision = log.first.revision;
    for (size_t at = 0; at < size; at += phi_get_u16(out + at)) {
        revision++;
        EXPECT_EQ(phi_get_u64(out + at + ENTRY_REVISION_AT), revision);
    }
    EXPECT_EQ(revision, log.last.revision);
    free(out);
    presence_log_fini(&log);
}

// Without memory there is no half-made log.
TEST(presence_log, no_memory_leaves_nothing)
{
    for (size_t fail_at = 1; fail_at <= 2; fail_at++) {
        phi_alloc_counter counter;
        phi_alloc_counter_init(&counter, &phi_alloc_heap);
        counter.fail_at = fail_at;
        presence_log log = { 0 };
        EXPECT_ERR(presence_log_init(&log, &counter.alloc, CAPACITY), PH_ENOMEM);
        EXPECT_EQ(counter.bytes, 0);
        presence_log_fini(&log);
    }
}
