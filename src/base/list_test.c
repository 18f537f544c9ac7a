// SPDX-License-Identifier: Apache-2.0
//
// base/list_test.c - lists that are moved as a whole.

#include "base/list.h"

#include "tests/harness/test.h"

// The nodes from `first` on stand in `l` in that order, forwards and backwards, and no others.
static void expect_order(const phi_list *l, phi_list *nodes, size_t count)
{
    const phi_list *at = l;
    for (size_t i = 0; i < count; i++) {
        EXPECT(at->next == &nodes[i]);
        EXPECT(nodes[i].prev == at);
        at = &nodes[i];
    }
    EXPECT(at->next == l);
    EXPECT(l->prev == at);
}

// Who moves all of a list behind those of another must find them there in their order, and nothing
// where they were: an audience of watchers would lose some, or tell some twice.
TEST(list, all_of_another_come_behind)
{
    phi_list nodes[4] = { 0 };
    phi_list to;
    phi_list from;
    phi_list_init(&to);
    phi_list_init(&from);
    phi_list_append_all(&to, &from); // nothing to nothing
    EXPECT(phi_list_is_empty(&to));
    for (size_t i = 0; i < 2; i++) {
        phi_list_append(&from, &nodes[i]);
    }
    phi_list_append_all(&to, &from); // some to nothing
    EXPECT(phi_list_is_empty(&from));
    expect_order(&to, nodes, 2);
    for (size_t i = 2; i < 4; i++) {
        phi_list_append(&from, &nodes[i]);
    }
    phi_list_append_all(&to, &from); // some to some
    EXPECT(phi_list_is_empty(&from));
    expect_order(&to, nodes, 4);
    phi_list_append_all(&to, &from); // nothing to some
    expect_order(&to, nodes, 4);
}
