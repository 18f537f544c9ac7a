// SPDX-License-Identifier: Apache-2.0
//
// base/quota_test.c - one ceiling over many holders.

#include "base/quota.h"

#include <stdint.h>

#include "base/compiler.h"
#include "tests/harness/test.h"

enum { CEILING = 80 * 1024 };

// Without a ceiling many holders, each within its own limit, use up the machine; without the share
// below it, the first few leave nothing for the rest.
TEST(quota, hogs_are_refused_before_the_modest)
{
    phi_alloc_counter heap;
    phi_alloc_counter_init(&heap, &phi_alloc_heap);
    phi_quota quota;
    phi_quota_init(&quota, &heap.alloc, CEILING);
    quota.holders = 10;
    EXPECT_EQ(phi_quota_share(&quota), CEILING / 2 / 10);

    void *hog = phi_take(&quota.limited, CEILING / 2); // nobody else wants it
    EXPECT(hog != NULL);
    EXPECT(!phi_quota_is_short(&quota));
    EXPECT(phi_resize(&quota.limited, hog, CEILING / 2, CEILING / 2 + 1) == NULL);
    EXPECT_EQ(quota.refusals, 1);

    void *modest[9];
    for (size_t i = 0; i < PHI_COUNT_OF(modest); i++) {
        EXPECT(phi_take(&quota.limited, phi_quota_share(&quota) + 1) == NULL);
        modest[i] = phi_take(&quota.limited, phi_quota_share(&quota));
        EXPECT(modest[i] != NULL);
        EXPECT(phi_quota_is_short(&quota));
    }
    EXPECT_EQ(quota.refusals, 10);
    EXPECT_EQ(quota.bytes, heap.bytes);
    EXPECT(quota.bytes <= CEILING);

    for (size_t i = 0; i < PHI_COUNT_OF(modest); i++) {
        phi_give(&quota.limited, modest[i], phi_quota_share(&quota));
    }
    phi_give(&quota.limited, hog, CEILING / 2);
    EXPECT_EQ(heap.blocks, 0);
    phi_quota_fini(&quota);
}

// At the ceiling even a share is refused, but never what a heartbeat or a bye needs.
TEST(quota, small_blocks_are_always_given)
{
    phi_quota quota;
    phi_quota_init(&quota, &phi_alloc_heap, CEILING);
    quota.holders = 2;
    void *all = phi_take(&quota.counted, CEILING);
    EXPECT(all != NULL);
    EXPECT(phi_quota_is_used_up(&quota));
    EXPECT(phi_take(&quota.limited, PHI_QUOTA_SMALL_BYTES + 1) == NULL);
    void *small = phi_take(&quota.limited, PHI_QUOTA_SMALL_BYTES);
    EXPECT(small != NULL);
    EXPECT_EQ(quota.bytes, CEILING + PHI_QUOTA_SMALL_BYTES);
    EXPECT_EQ(quota.bytes_large, CEILING);
    EXPECT(phi_take(&quota.limited, SIZE_MAX) == NULL); // no sum overflows

    // What shrinks is never refused.
    all = phi_resize(&quota.limited, all, CEILING, CEILING - 1);
    EXPECT(all != NULL);
    phi_give(&quota.counted, all, CEILING - 1);
    phi_give(&quota.limited, small, PHI_QUOTA_SMALL_BYTES);
    EXPECT_EQ(quota.bytes, 0);
    phi_quota_fini(&quota);
}

// A block that the heap does not have is not counted: it would never come back.
TEST(quota, failing_heap_leaves_the_count)
{
    phi_alloc_counter heap;
    phi_alloc_counter_init(&heap, &phi_alloc_heap);
    phi_quota quota;
    phi_quota_init(&quota, &heap.alloc, CEILING);
    heap.fail_at = 1;
    EXPECT(phi_take(&quota.limited, 100) == NULL);
    EXPECT_EQ(quota.bytes, 0);
    void *ptr = phi_resize(&quota.limited, NULL, 0, 100);
    EXPECT(ptr != NULL);
    heap.fail_at = heap.takes + 1;
    EXPECT(phi_resize(&quota.counted, ptr, 100, 200) == NULL);
    EXPECT_EQ(quota.bytes, 100);
    EXPECT_EQ(quota.refusals, 0);
    phi_give(&quota.limited, ptr, 100);
    EXPECT_EQ(quota.bytes, 0);
    phi_quota_fini(&quota);
}
