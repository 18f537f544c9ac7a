// SPDX-License-Identifier: Apache-2.0

#include "base/buf.h"

#include "base/random.h"
#include "tests/harness/death.h"
#include "tests/harness/test.h"

static void agrees_with_a_stream(uint64_t seed, size_t bytes_max, size_t step_max)
{
    phi_alloc_counter counter;
    phi_alloc_counter_init(&counter, &phi_alloc_heap);
    phi_buf buf;
    phi_buf_init(&buf, &counter.alloc, bytes_max);
    phi_random random = phi_random_seeded(seed);
    uint64_t in = 0;  // bytes appended so far; the n-th byte is (uint8_t)(n * 7)
    uint64_t out = 0; // consumed so far

    for (int step = 0; step < 6000; step++) {
        size_t size = phi_random_below(&random, step_max + 1);
        // Phases in which more comes than goes, and the other way round.
        if (phi_random_chance(&random, step / 500 % 2 == 0 ? 65 : 35)) {
            uint8_t *room = phi_buf_reserve(&buf, size);
            EXPECT_EQ(room != NULL, in - out + size <= bytes_max);
            for (size_t i = 0; room != NULL && i < size; i++) {
                room[i] = (uint8_t)((in + i) * 7);
            }
            if (room != NULL) {
                phi_buf_commit(&buf, size);
                in += size;
            }
        } else {
            phi_span view = phi_buf_view(&buf);
            size = size < view.size ? size : view.size;
            for (size_t i = 0; i < size; i++) {
                EXPECT_EQ(view.data[i], (uint8_t)((out + i) * 7));
            }
            phi_buf_consume(&buf, size);
            out += size;
        }
        EXPECT_EQ(phi_buf_size(&buf), in - out);
        EXPECT(buf.capacity <= bytes_max + bytes_max / 4);
        EXPECT_EQ(counter.bytes, buf.capacity);
    }
    EXPECT(out > 0);
    phi_buf_fini(&buf);
    EXPECT_EQ(counter.bytes, 0);
}

// Bytes that come out must be those that went in, in order, whatever the sizes; and the limit must
// be exact: a link that takes less says "full" too early, one that takes more has none.
TEST(buf, random_use_agrees_with_a_stream)
{
    agrees_with_a_stream(1, 100, 30);
    agrees_with_a_stream(2, 4096, 600);
    agrees_with_a_stream(3, 5000, 5000);
    agrees_with_a_stream(4, 1, 2);
    agrees_with_a_stream(5, 300000, 3000);
}

// A reader who takes little at a time from a full buffer must not make each append move all of it.
TEST(buf, slow_reader_of_a_full_buffer_moves_little)
{
    enum { MAX = 1 << 20, STEP = 100 };
    phi_buf buf;
    phi_buf_init(&buf, &phi_alloc_heap, MAX);
    static uint8_t bytes[STEP];
    while (phi_buf_append(&buf, phi_bytes_of(bytes, STEP))) {
    }
    uint64_t moved = 0;
    uint64_t consumed = 0;
    for (int i = 0; i < 40000; i++) {
        phi_buf_consume(&buf, STEP);
        consumed += STEP;
        size_t read = buf.read;
        EXPECT(phi_buf_append(&buf, phi_bytes_of(bytes, STEP)));
        if (buf.read < read) {
            moved += phi_buf_size(&buf) - STEP;
        }
    }
    EXPECT(moved > 0); // it did come round
    EXPECT(moved <= 5 * consumed);
    phi_buf_fini(&buf);
}

// An idle link must hold nothing here; a busy one must not go to the heap for each batch.
TEST(buf, empty_keeps_a_small_block_until_release)
{
    phi_alloc_counter counter;
    phi_alloc_counter_init(&counter, &phi_alloc_heap);
    phi_buf buf;
    phi_buf_init(&buf, &counter.alloc, 1 << 20);
    EXPECT_EQ(counter.takes, 0); // nothing before the first byte
    EXPECT(phi_buf_append(&buf, phi_bytes_of("", 0)));
    EXPECT_EQ(counter.takes, 0);
    for (int i = 0; i < 1000; i++) {
        EXPECT(phi_buf_append(&buf, phi_bytes_of("sixteen bytes...", 16)));
        phi_buf_release(&buf); // not empty: nothing happens
        EXPECT_EQ(phi_buf_size(&buf), 16);
        phi_buf_consume(&buf, 16);
    }
    EXPECT_EQ(counter.takes, 1);
    EXPECT_EQ(counter.bytes, PHI_BUF_TINY_BYTES);
    EXPECT(phi_buf_append(&buf, phi_bytes_of("more than the 32 bytes of the first", 35)));
    EXPECT_EQ(counter.bytes, 512);
    phi_buf_consume(&buf, 35);
    phi_buf_release(&buf);
    EXPECT_EQ(counter.bytes, 0);
    assert_null(phi_buf_view(&buf).data);
}

// The memory of one burst must come back while the link goes on with little; and stay while bursts
// go on.
TEST(buf, large_block_is_given_back_after_small_drains)
{
    static uint8_t burst[200000];
    phi_alloc_counter counter;
    phi_alloc_counter_init(&counter, &phi_alloc_heap);
    phi_buf buf;
    phi_buf_init(&buf, &counter.alloc, 1 << 20);
    for (int i = 0; i < 1000; i++) {
        EXPECT(phi_buf_append(&buf, phi_bytes_of(burst, 10)));
        phi_buf_consume(&buf, 10);
        EXPECT(phi_buf_append(&buf, phi_bytes_of(burst, sizeof burst)));
        phi_buf_consume(&buf, sizeof burst);
    }
    EXPECT_EQ(counter.takes, 2); // the first small one, and the large one
    for (unsigned i = 0; i < PHI_BUF_SMALL_DRAINS_MAX; i++) {
        EXPECT(counter.bytes > PHI_BUF_KEEP_BYTES);
        EXPECT_EQ(phi_buf_is_wasteful(&buf), i >= PHI_BUF_SMALL_DRAINS);
        EXPECT(phi_buf_append(&buf, phi_bytes_of(burst, 10)));
        phi_buf_consume(&buf, 10);
    }
    EXPECT_EQ(counter.bytes, 0);
    EXPECT(!phi_buf_is_wasteful(&buf));
    phi_buf_fini(&buf);
}

// Sizes near the top of size_t must not wrap around into a small block.
TEST(buf, huge_reserve_is_refused)
{
    phi_buf buf;
    phi_buf_init(&buf, &phi_alloc_heap, 1000);
    EXPECT(phi_buf_append(&buf, phi_bytes_of("abc", 3)));
    assert_null(phi_buf_reserve(&buf, SIZE_MAX));
    assert_null(phi_buf_reserve(&buf, SIZE_MAX - 2));
    assert_null(phi_buf_reserve(&buf, 998));
    assert_non_null(phi_buf_reserve(&buf, 997));
    phi_buf_fini(&buf);

    phi_alloc_counter counter;
    phi_alloc_counter_init(&counter, &phi_alloc_heap);
    counter.bytes_max = 1 << 20;
    phi_buf_init(&buf, &counter.alloc, SIZE_MAX); // no limit but memory
    EXPECT(phi_buf_append(&buf, phi_bytes_of("abc", 3)));
    assert_null(phi_buf_reserve(&buf, SIZE_MAX - 3));
    EXPECT_EQ(phi_buf_size(&buf), 3);
    phi_buf_fini(&buf);
}

static void commit_too_much(void *arg)
{
    phi_buf_commit(arg, 513);
}

// A commit beyond what was reserved has already written outside the block.
TEST(buf, commit_beyond_the_block_aborts)
{
    phi_buf buf;
    char said[1024];
    phi_buf_init(&buf, &phi_alloc_heap, 10000);
    assert_non_null(phi_buf_reserve(&buf, 512));
    EXPECT(death_of(commit_too_much, &buf, said, sizeof said));
    phi_buf_fini(&buf);
}

// No memory must leave what waits as it was, on each way a buffer grows.
TEST(buf, nth_allocation_failing_loses_nothing)
{
    size_t failures = 0;
    for (size_t n = 1;; n++) {
        phi_alloc_counter counter;
        phi_alloc_counter_init(&counter, &phi_alloc_heap);
        counter.fail_at = n;
        phi_buf buf;
        phi_buf_init(&buf, &counter.alloc, 1 << 20);
        uint8_t next_in = 0;
        uint8_t next_out = 0;
        for (int step = 0; step < 3000; step++) {
            if (!phi_buf_append(&buf, phi_bytes_of(&next_in, 1))) {
                failures++;
                EXPECT(phi_buf_append(&buf, phi_bytes_of(&next_in, 1)));
            }
            next_in++;
            if (step % 100 == 99) { // so that one growth copies and another resizes in place
                EXPECT_EQ(phi_buf_view(&buf).data[0], next_out);
                phi_buf_consume(&buf, 1);
                next_out++;
            }
        }
        phi_span view = phi_buf_view(&buf);
        for (size_t i = 0; i < view.size; i++) {
            EXPECT_EQ(view.data[i], (uint8_t)(next_out + i));
        }
        phi_buf_fini(&buf);
        EXPECT_EQ(counter.bytes, 0);
        if (counter.takes < n) {
            break;
        }
    }
    EXPECT_EQ(failures, 5); // 32, 512, 1024, 2048, 4096
}

// A heap that looks for 's' in what is given back to it.
typedef struct nosy_heap {
    phi_alloc alloc;
    unsigned given;
    unsigned found;
} nosy_heap;

static void *nosy_take(void *arg, size_t size)
{
    (void)arg;
    return phi_take_zeroed(&phi_alloc_heap, 1, size);
}

static void nosy_give(void *arg, void *ptr, size_t size)
{
    nosy_heap *heap = arg;
    heap->given++;
    heap->found += memchr(ptr, 's', size) != NULL;
    phi_give(&phi_alloc_heap, ptr, size);
}

static void *nosy_resize(void *arg, void *ptr, size_t old_size, size_t size)
{
    void *larger = nosy_take(arg, size);
    assert_non_null(larger);
    memcpy(larger, ptr, old_size);
    nosy_give(arg, ptr, old_size);
    return larger;
}

// A token that was sent must not stay in memory that somebody else gets next: neither when its
// buffer grows, nor when it is given back.
TEST(buf, secret_is_wiped_before_its_block_is_given_back)
{
    for (unsigned read = 0; read < 2; read++) {
        nosy_heap heap = { .alloc = { nosy_take, nosy_resize, nosy_give, &heap } };
        phi_buf buf;
        phi_buf_init(&buf, &heap.alloc, 1 << 20);
        EXPECT(phi_buf_append(&buf, phi_bytes_text("xsss")));
        phi_buf_guard(&buf);
        phi_buf_consume(&buf, read); // from one byte on, a larger block is a copy
        EXPECT(phi_buf_reserve(&buf, 10000) != NULL);
        EXPECT_EQ(heap.given, 1);
        EXPECT_EQ(heap.found, 0);
        EXPECT(memcmp(phi_buf_view(&buf).data, "xsss" + read, 4 - read) == 0);
        phi_buf_consume(&buf, 4 - read);
        phi_buf_release(&buf);
        EXPECT_EQ(heap.given, 2);
        EXPECT_EQ(heap.found, 0);
        // The next block has none, until it is said again.
        EXPECT(phi_buf_append(&buf, phi_bytes_text("s")));
        phi_buf_fini(&buf);
        EXPECT_EQ(heap.found, 1);
    }
}
