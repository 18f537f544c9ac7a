// SPDX-License-Identifier: Apache-2.0
//
// center/join_test.c - who comes in, under which name, and who does not.

#include "tests/center/world.h"
#include "tests/harness/test.h"
#include "wire/name.h"

static const phi_join plain_join = { .version = PHI_PROTOCOL_VERSION, .type = PHI_TYPE_CLIENT };

static void heartbeat_short(center_options *o)
{
    o->heartbeat_idle = 1000;
    o->heartbeat_grace = 500;
}

static void suite_paper(center_options *o)
{
    o->suite = PHI_SUITE_PAPER;
}

static void suite_check(center_options *o)
{
    o->suite = PHI_SUITE_CHECK;
}

// A client must get its full id, a session and the table's revision, or it could not send [P-36].
TEST(join, client_is_welcomed)
{
    world *w = world_new(NULL);
    peer *a = world_join(w, "a");
    EXPECT_TEXT(a->id, "a@d");
    EXPECT(a->session != 0);
    EXPECT(a->epoch != 0);
    EXPECT_EQ(a->joined_revision, 1);
    peer *b = world_join(w, "b");
    EXPECT_EQ(b->joined_revision, 2);
    EXPECT(b->session != a->session);
    EXPECT_EQ(b->epoch, a->epoch);
    center_counters n = world_count(w);
    EXPECT_EQ(n.sessions, 2);
    EXPECT_EQ(n.connections, 2);
    EXPECT_EQ(n.joins_total, 2);
    EXPECT(world_logged(w, "CE0001"));
    EXPECT(world_logged(w, "CE0002"));
    world_free(w);
}

// Every suite must carry a whole story, or one of them is decoration [P-20].
TEST(join, every_suite_carries_calls)
{
    void (*const suites[])(center_options *) = { NULL, suite_paper, suite_check };
    for (size_t i = 0; i < PHI_COUNT_OF(suites); i++) {
        world *w = world_new(suites[i]);
        peer *a = world_join(w, "a");
        peer *b = world_join(w, "b");
        for (uint64_t call = 1; call <= 3; call++) {
            peer_request(a, "b", call, 1000);
            world_settle(w);
            const phi_message *asked = peer_next(b);
            assert_non_null(asked);
            peer_reply(b, asked->call, "yes");
            world_settle(w);
            const phi_message *answer = peer_next(a);
            assert_non_null(answer);
            EXPECT_EQ(answer->kind, PHI_KIND_REPLY);
            EXPECT_EQ(answer->call, call);
        }
        world_free(w);
    }
}

// The second of one account must not take the first one's place [P-37]; and is told when to try
// again.
TEST(join, account_taken_is_refused)
{
    world *w = world_new(NULL);
    peer *first = world_join(w, "a");
    peer *second = world_connect(w, "a");
    world_settle(w);
    peer_expect_bye(second, PHI_BYE_ACCOUNT_TAKEN);
    EXPECT(second->end.retry_after_ms >= w->options.heartbeat_grace);
    EXPECT(!first->is_ended);
    EXPECT(first->stream != NULL);
    EXPECT_EQ(world_count(w).sessions, 1);
    EXPECT_EQ(world_count(w).joins_refused_total, 1);
    EXPECT_EQ(world_count(w).links_ended_total[PHI_BYE_ACCOUNT_TAKEN], 1);
    EXPECT(world_logged(w, "CE0004"));
    world_free(w);
}

// A program that died without a word must not lock its successor out for the whole idle time: the
// older link is asked at once, and is gone when the retry-after has passed [P-37].
TEST(join, account_of_dead_link_is_free_after_retry)
{
    world *w = world_new(heartbeat_short);
    peer *dead = world_join(w, "a");
    dead->reads_max = 0; // hears no ask, sends no answer
    peer *second = world_connect(w, "a");
    world_settle(w);
    peer_expect_bye(second, PHI_BYE_ACCOUNT_TAKEN);
    EXPECT(second->end.retry_after_ms < w->options.heartbeat_idle);
    world_pass(w, second->end.retry_after_ms);
    peer *third = world_join(w, "a");
    EXPECT(third->session != dead->session);
    EXPECT_EQ(world_count(w).links_ended_total[PHI_BYE_HEARTBEAT_TIMEOUT], 1);
    dead->is_open = false;
    world_free(w);
}

// An account that was left is free at once.
TEST(join, account_is_free_after_leaving)
{
    world *w = world_new(NULL);
    peer *first = world_join(w, "a");
    peer_leave(first);
    world_settle(w);
    peer *second = world_join(w, "a");
    EXPECT_TEXT(second->id, "a@d");
    EXPECT(second->session != first->session);
    world_free(w);
}

// Nobody keeps the order of two connections: a client that says bye and comes back at once must not
// be told that its account is taken, and wait, because its JOIN is read before its own bye. [P-37]
TEST(join, account_is_free_whose_bye_is_read_behind_the_join)
{
    world *w = world_new(NULL);
    peer *first = world_join(w, "a");
    peer *second = world_connect(w, "a");
    peer_read_last(first);
    for (int i = 0; i < 100 && peer_unheard(second) == 0; i++) {
        world_turn(w);
    }
    EXPECT(peer_unheard(second) != 0); // its JOIN
    peer_leave(first);
    world_settle(w);
    EXPECT(second->is_open);
    EXPECT_EQ(world_count(w).joins_refused_total, 0);
    world_free(w);
}

// Who gives no account gets a valid one that tells its service, and two get two [P-35].
TEST(join, empty_account_is_made_from_service)
{
    world *w = world_new(NULL);
    phi_join join = plain_join;
    join.service = phi_bytes_text("orders");
    peer *a = world_connect_as(w, &join);
    peer *b = world_connect_as(w, &join);
    char longest[PHI_NAME_BYTES_MAX + 1] = "";
    memset(longest, 'x', PHI_NAME_BYTES_MAX);
    join.service = phi_bytes_text(longest);
    peer *c = world_connect_as(w, &join);
    peer *d = world_connect(w, "");
    world_settle(w);
    EXPECT(strncmp(a->id, "orders-", 7) == 0);
    EXPECT_EQ(strlen(a->id), strlen("orders-7f3a@d"));
    EXPECT(strcmp(a->id, b->id) != 0);
    EXPECT_EQ(strlen(c->id), PHI_PRINCIPAL_BYTES_MAX + strlen("-7f3a@d"));
    EXPECT(strncmp(d->id, "client-", 7) == 0);
    EXPECT_EQ(world_count(w).sessions, 4);
    world_free(w);
}

// A name that breaks the rules would be an address nobody can write to [P-38].
TEST(join, bad_names_are_refused)
{
    static const char *const bad[] = { "A", "a b", "-a", ".a", "a@d", "a:b", "\xc3\xa9", "a/" };
    world *w = world_new(NULL);
    peer *bystander = world_join(w, "bystander");
    for (size_t i = 0; i < PHI_COUNT_OF(bad); i++) {
        phi_join join = plain_join;
        join.account = phi_bytes_text(bad[i]);
        peer *p = world_connect_as(w, &join);
        join.account = phi_bytes_text("fine");
        join.service = phi_bytes_text(bad[i]);
        peer *q = world_connect_as(w, &join);
        world_settle(w);
        peer_expect_bye(p, PHI_BYE_NAME_INVALID);
        peer_expect_bye(q, PHI_BYE_NAME_INVALID);
    }
    char too_long[PHI_NAME_BYTES_MAX + 2] = "";
    memset(too_long, 'a', PHI_NAME_BYTES_MAX + 1);
    peer *p = world_connect(w, too_long);
    world_settle(w);
    peer_expect_bye(p, PHI_BYE_NAME_INVALID);
    EXPECT_EQ(world_count(w).sessions, 1);
    EXPECT(!bystander->is_ended);
    EXPECT_EQ(bystander->inbox_count, 0);
    world_free(w);
}

// Centers do not join each other in this version: one that tries must hear that, not be taken for
// a client [P-61].
TEST(join, type_center_is_refused)
{
    world *w = world_new(NULL);
    phi_join join = plain_join;
    join.account = phi_bytes_text("other");
    join.type = PHI_TYPE_CENTER;
    peer *p = world_connect_as(w, &join);
    world_settle(w);
    peer_expect_bye(p, PHI_BYE_TYPE_REFUSED);
    EXPECT_EQ(world_count(w).joins_refused_total, 1);
    world_free(w);
}

// What a JOIN of the largest size says must fit into an entry of the list: nothing a client may say
// is too much for those who watch [P-46].
TEST(join, largest_join_is_listed_whole)
{
    world *w = world_new(NULL);
    static char value[PHI_METADATA_VALUE_BYTES_MAX];
    memset(value, 'v', sizeof value);
    phi_join join = plain_join;
    for (size_t i = 0; i < 7; i++) {
        join.metadata[i] = (phi_metadata){ phi_bytes_text("key"), phi_bytes_of(value, 1000) };
    }
    join.metadata_count = 7;
    join.metadata[join.metadata_count++] =
        (phi_metadata){ phi_bytes_text("k"), phi_bytes_of(value, 1024) };
    join.software = phi_bytes_text("test 1.0");
    peer *p = world_connect_as(w, &join);
    peer *watcher = world_watch(w, "watcher");
    EXPECT(p->is_open);
    const line *l = peer_find(watcher, p->id);
    assert_non_null(l);
    EXPECT_EQ(l->metadata_count, 8);
    world_expect_converged(w, watcher);
    world_free(w);
}
