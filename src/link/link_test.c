// SPDX-License-Identifier: Apache-2.0
//
// link/link_test.c - the tables, the handshake, and what is legal when.

#include "tests/harness/test.h"

#include "link/link_internal.h"
#include "link/link_pair.h"

// Without a way from HELLO to open in each suite nothing else works. [P-20] [P-21] [P-33]
TEST(link, opens_in_every_suite)
{
    for (int suite = 0; suite < PHI_SUITE_COUNT; suite++) {
        link_pair pair;
        link_pair_init(&pair, (phi_suite)suite);
        EXPECT_ERR(link_pair_start(&pair), PH_OK);
        EXPECT(phi_link_is(&pair.links[PHI_LINK_CENTER], PHI_LINK_JOINING));
        EXPECT(phi_link_is(&pair.links[PHI_LINK_CLIENT], PHI_LINK_GREETING));
        link_pair_settle(&pair);
        EXPECT(phi_link_is(&pair.links[PHI_LINK_CENTER], PHI_LINK_OPEN));
        EXPECT(phi_link_is(&pair.links[PHI_LINK_CLIENT], PHI_LINK_OPEN));
        EXPECT_EQ(pair.seen[PHI_LINK_CENTER].joins, 1);
        EXPECT_EQ(pair.seen[PHI_LINK_CLIENT].opens, 1);

        EXPECT(link_pair_say(&pair, PHI_LINK_CLIENT, 100, 1));
        EXPECT(link_pair_say(&pair, PHI_LINK_CENTER, 60000, 2));
        link_pair_settle(&pair);
        EXPECT_EQ(pair.seen[PHI_LINK_CENTER].packets, 1);
        EXPECT_EQ(pair.seen[PHI_LINK_CLIENT].packets, 1);
        EXPECT_EQ(pair.seen[PHI_LINK_CENTER].closes, 0);
        link_pair_fini(&pair);
    }
}
