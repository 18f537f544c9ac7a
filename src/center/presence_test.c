// SPDX-License-Identifier: Apache-2.0
//
// center/presence_test.c - the online list as watchers see it. Every peer of these worlds checks
// each packet for continuity (tests/center/world_peer.c: on_page, on_status); the tests here say
// what the outcome must be.

#include <stdio.h>

#include "base/assert.h"
#include "tests/center/world.h"
#include "tests/harness/test.h"
#include "wire/presence.h"

static char bulk[PHI_METADATA_VALUE_BYTES_MAX];

static void tight(center_options *o)
{
    o->presence_log_max = 16384;
    o->send_buffer_max = 131072;
    o->full_timeout = 3600000;
    o->heartbeat_idle = 3600000;
}

static void narrow(center_options *o)
{
    o->send_buffer_max = 131072;
}

static void unpaced(center_options *o)
{
    o->own_changes_max = 1000000;
}

static void quick_heartbeat(center_options *o)
{
    o->heartbeat_idle = 100;
    o->heartbeat_grace = 100;
}

// With so many thousand bytes of metadata, so that lists get long.
static peer *connect_heavy(world *w, const char *account, size_t thousands)
{
    phi_join join = { .version = PHI_PROTOCOL_VERSION,
                      .type = PHI_TYPE_CLIENT,
                      .account = phi_bytes_text(account) };
    memset(bulk, 'm', sizeof bulk);
    for (size_t i = 0; i < thousands; i++) {
        join.metadata[join.metadata_count++] =
            (phi_metadata){ phi_bytes_text("k"), phi_bytes_of(bulk, 1000) };
    }
    return world_connect_as(w, &join);
}

static peer *connect_service(world *w, const char *account, const char *service)
{
    phi_join join = { .version = PHI_PROTOCOL_VERSION,
                      .type = PHI_TYPE_CLIENT,
                      .account = phi_bytes_text(account),
                      .service = phi_bytes_text(service) };
    return world_connect_as(w, &join);
}

static peer *connect_resuming(world *w, const char *account, uint64_t epoch, uint64_t revision)
{
    peer *p = world_connect(w, account);
    p->join.presence =
        (phi_presence_ask){ .wants = true, .last_epoch = epoch, .last_revision = revision };
    p->revision = revision; // what it knows
    p->knows_list = true;
    return p;
}

// So many come and go, each under its own name.
static void churn(world *w, size_t count)
{
    static unsigned number;
    for (size_t i = 0; i < count; i++) {
        char name[16];
        snprintf(name, sizeof name, "churn-%u", number++);
        peer *p = world_join(w, name);
        peer_leave(p);
        world_settle(w);
        world_forget(w, p);
    }
}

// ---- lists and changes

// Who asks in JOIN gets the list, itself included, then every change [P-43].
TEST(presence, watcher_sees_who_is_and_who_comes_and_goes)
{
    world *w = world_new(NULL);
    world_join(w, "a");
    peer *watcher = world_watch(w, "w");
    EXPECT_EQ(watcher->lists, 1);
    EXPECT_EQ(watcher->table_count, 2);
    EXPECT(peer_find(watcher, "a@d") != NULL);
    EXPECT(peer_find(watcher, "w@d") != NULL);
    EXPECT_EQ(watcher->revision, watcher->joined_revision);
    peer *b = world_join(w, "b");
    EXPECT(peer_find(watcher, "b@d") != NULL);
    peer_leave(b);
    world_settle(w);
    EXPECT(peer_find(watcher, "b@d") == NULL);
    EXPECT_EQ(watcher->lists, 1);
    EXPECT_EQ(watcher->statuses, 2);
    EXPECT_EQ(world_count(w).presence_changes_total, 4);
    EXPECT_EQ(world_count(w).watchers, 1);
    world_expect_converged(w, watcher);
    world_free(w);
}

// Who does not ask gets nothing, but for gateways and discoveries, who get everything [P-35].
TEST(presence, default_follows_the_type)
{
    static const phi_client_type types[] = { PHI_TYPE_CLIENT, PHI_TYPE_GATEWAY,
                                             PHI_TYPE_DISCOVERY };
    world *w = world_new(NULL);
    for (size_t i = 0; i < PHI_COUNT_OF(types); i++) {
        phi_join join = { .version = PHI_PROTOCOL_VERSION, .type = types[i] };
        join.presence.wants = types[i] != PHI_TYPE_CLIENT; // as the decoder resolves it
        peer *p = world_connect_as(w, &join);
        world_settle(w);
        EXPECT_EQ(p->pages > 0, types[i] != PHI_TYPE_CLIENT);
    }
    EXPECT_EQ(world_count(w).watchers, 2);
    world_free(w);
}

// A storm of changes in one turn is one packet: batching costs watchers nothing [P-45].
TEST(presence, changes_of_a_turn_come_together)
{
    world *w = world_new(NULL);
    peer *watcher = world_watch(w, "w");
    peer *p[20];
    for (size_t i = 0; i < PHI_COUNT_OF(p); i++) {
        p[i] = world_connect(w, "");
    }
    world_settle(w);
    EXPECT_EQ(watcher->changes, 20);
    EXPECT_EQ(watcher->statuses, 1);
    for (size_t i = 0; i < PHI_COUNT_OF(p); i++) {
        peer_cut(p[i]);
    }
    world_settle(w);
    EXPECT_EQ(watcher->statuses, 2);
    EXPECT_EQ(watcher->table_count, 1);
    world_free(w);
}

// While nothing changes nothing is sent.
TEST(presence, unchanged_table_is_silent)
{
    world *w = world_new(NULL);
    peer *watcher = world_watch(w, "w");
    uint64_t sent = world_count(w).bytes_sent_total;
    for (int i = 0; i < 100; i++) {
        world_turn(w);
    }
    EXPECT_EQ(world_count(w).bytes_sent_total, sent);
    EXPECT_EQ(watcher->statuses, 0);
    world_free(w);
}

// Watchers must hear why somebody went: an operator acts on it [P-47].
TEST(presence, reasons_tell_how_it_ended)
{
    world *w = world_new(quick_heartbeat);
    peer *watcher = world_watch(w, "w");
    peer *left = world_join(w, "left");
    peer_leave(left);
    world_settle(w);
    EXPECT_EQ(watcher->last_reason, PHI_WHY_LEFT);
    peer *cut = world_join(w, "cut");
    peer_cut(cut);
    world_settle(w);
    EXPECT_EQ(watcher->last_reason, PHI_WHY_CONNECTION_LOST);
    peer *broken = world_join(w, "broken");
    peer_packet(broken, 0x7777, NULL, 0);
    world_settle(w);
    EXPECT_EQ(watcher->last_reason, PHI_WHY_PROTOCOL_ERROR);
    peer *silent = world_join(w, "silent");
    silent->reads_max = 0;
    world_pass(w, 250);
    EXPECT_EQ(watcher->last_reason, PHI_WHY_HEARTBEAT_TIMEOUT);
    EXPECT_EQ(watcher->last_what, PHI_WHAT_OFFLINE);
    EXPECT_EQ(watcher->table_count, 1);
    EXPECT_EQ(world_count(w).links_lost_total, 1);
    world_free(w);
}

// A long list comes in pages, each entry once, under one revision [P-44].
TEST(presence, long_list_comes_in_pages)
{
    world *w = world_new(NULL);
    for (size_t i = 0; i < 60; i++) {
        connect_heavy(w, "", 5);
    }
    world_settle(w);
    peer *watcher = world_watch(w, "w");
    EXPECT(watcher->pages >= 10);
    EXPECT_EQ(watcher->lists, 1);
    world_expect_converged(w, watcher);
    EXPECT_EQ(watcher->table[0].metadata_count, 5);
    world_free(w);
}

// A list to a slow reader leaves half of its buffer to messages, so a call to it still gets
// through, and goes on when there is room [P-59].
TEST(presence, list_leaves_room_for_messages)
{
    world *w = world_new(tight);
    for (size_t i = 0; i < 100; i++) {
        connect_heavy(w, "", 5);
    }
    peer *a = world_join(w, "a");
    peer *watcher = world_connect(w, "w");
    watcher->join.presence.wants = true;
    world_turn(w);
    world_turn(w);
    peer_window(watcher, 1000);
    watcher->reads_max = 0;
    world_settle(w);
    center_counters before = world_count(w);
    peer_request(a, "w", 1, 0);
    world_settle(w);
    EXPECT(peer_next(a) == NULL); // no failure
    EXPECT_EQ(world_count(w).calls_refused_total, before.calls_refused_total);
    EXPECT(!watcher->knows_list);
    watcher->reads_max = SIZE_MAX;
    world_settle(w);
    EXPECT(peer_next(watcher) != NULL);
    EXPECT_EQ(watcher->lists, 1);
    world_expect_converged(w, watcher);
    world_free(w);
}

// Who comes and goes while a list is under way is told behind it [P-44].
TEST(presence, changes_during_a_list_are_not_lost)
{
    world *w = world_new(narrow);
    peer *p[60];
    for (size_t i = 0; i < PHI_COUNT_OF(p); i++) {
        p[i] = connect_heavy(w, "", 5);
    }
    world_settle(w);
    peer *watcher = world_connect(w, "w");
    watcher->join.presence.wants = true;
    world_turn(w);
    world_turn(w);
    peer_window(watcher, 40000);
    watcher->reads_max = 5000;
    for (size_t i = 0; i < PHI_COUNT_OF(p); i += 2) {
        peer_cut(p[i]);
        connect_heavy(w, "", 1);
        world_turn(w);
    }
    EXPECT(watcher->pages > 1);
    EXPECT(!watcher->knows_list);
    world_settle(w);
    EXPECT(watcher->changes > 30);
    world_expect_converged(w, watcher);
    world_free(w);
}

// ---- asking

// A new ask replaces the one before, and none at all ends it [P-42].
TEST(presence, ask_starts_changes_and_ends_watching)
{
    world *w = world_new(NULL);
    peer *p = world_join(w, "p");
    EXPECT_EQ(p->pages, 0);
    peer_ask(p, &(phi_presence_ask){ .wants = true });
    world_settle(w);
    world_expect_converged(w, p);
    peer_ask(p, &(phi_presence_ask){ .wants = true });
    world_settle(w);
    EXPECT_EQ(p->lists, 2);
    EXPECT_EQ(world_count(w).watchers, 1);
    peer_ask(p, &(phi_presence_ask){ .wants = false });
    world_join(w, "q");
    EXPECT_EQ(p->statuses, 0);
    EXPECT_EQ(world_count(w).watchers, 0);
    world_free(w);
}

// A filter is applied at the center: its client hears of nobody else [P-42].
TEST(presence, filter_passes_only_what_was_asked)
{
    static const struct {
        phi_presence_ask ask;
        size_t listed;
        size_t changes;
    } cases[] = {
        { { .wants = true, .service = { (const uint8_t *)"orders", 6 } }, 2, 2 },
        { { .wants = true, .type = PHI_TYPE_CLIENT }, 4, 4 },
        { { .wants = true, .type = PHI_TYPE_GATEWAY }, 0, 0 },
        { { .wants = true, .domain = { (const uint8_t *)"d", 1 } }, 4, 4 },
        { { .wants = true, .domain = { (const uint8_t *)"e", 1 } }, 0, 0 },
        { { .wants = true, .service = { (const uint8_t *)"No Name!", 8 } }, 0, 0 },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(cases); i++) {
        world *w = world_new(NULL);
        connect_service(w, "o1", "orders");
        connect_service(w, "o2", "orders");
        connect_service(w, "x", "order");
        peer *watcher = world_join(w, "w");
        peer_ask(watcher, &cases[i].ask);
        world_settle(w);
        EXPECT(watcher->knows_list);
        EXPECT_EQ(watcher->table_count, cases[i].listed);
        peer *o3 = connect_service(w, "o3", "orders");
        peer *y = connect_service(w, "y", "bills");
        world_settle(w);
        peer_cut(o3);
        peer_cut(y);
        world_settle(w);
        EXPECT_EQ(watcher->changes, cases[i].changes);
        EXPECT_EQ(watcher->table_count, cases[i].listed);
        world_free(w);
    }
}

// What a filter swallows costs its watchers nothing, and when one comes back after all the others'
// changes were forgotten, it goes on with what it asked for. [P-43]
TEST(presence, filter_hears_nothing_of_others)
{
    world *w = world_new(tight);
    peer *watcher = world_join(w, "w");
    const phi_presence_ask ask = { .wants = true, .service = phi_bytes_text("orders") };
    peer_ask(watcher, &ask);
    world_settle(w);
    uint64_t revision = watcher->revision;
    churn(w, 200);
    EXPECT_EQ(watcher->statuses, 0);
    connect_service(w, "o1", "orders");
    world_settle(w);
    EXPECT_EQ(watcher->statuses, 1);
    EXPECT_EQ(watcher->revision, world_count(w).presence_changes_total);
    connect_service(w, "o2", "orders");
    churn(w, 200);
    phi_presence_ask again = ask;
    again.last_epoch = watcher->epoch;
    again.last_revision = revision;
    peer_ask(watcher, &again);
    world_settle(w);
    EXPECT_EQ(watcher->lists, 2);
    EXPECT_EQ(watcher->table_count, 2);
    world_free(w);
}

// A watcher of a small service that was away during a storm of others must be sent its few
// instances, not be the reason to look through the storm: with thousands of them that would be a
// storm of its own.
TEST(presence, small_service_is_listed_rather_than_sought)
{
    world *w = world_new(NULL);
    peer *watcher = world_join(w, "w");
    connect_service(w, "o1", "orders");
    churn(w, 200);
    watcher->revision = 1;
    peer_ask(watcher, &(phi_presence_ask){ .wants = true,
                                           .service = phi_bytes_text("orders"),
                                           .last_epoch = watcher->epoch,
                                           .last_revision = 1 });
    world_settle(w);
    EXPECT_EQ(watcher->lists, 1);
    EXPECT_EQ(watcher->table_count, 1);
    EXPECT_EQ(world_count(w).presence_resumes_total, 1);
    world_free(w);
}

// Somebody who changes all the time leaves a log of mostly empty places. Those who come back behind
// it, each at another one, must not all look through it in the same turn.
TEST(presence, empty_places_are_spread_over_turns)
{
    enum { CHANGES = 80000, WATCHERS = 100 };
    PH_STATIC_ASSERT((uint64_t)CHANGES * CENTER_PRESENCE_TURN_WATCHERS_MAX >
                     CENTER_PRESENCE_TURN_BYTES_MAX);
    world *w = world_new(unpaced);
    peer *watchers[WATCHERS];
    for (size_t i = 0; i < WATCHERS; i++) {
        watchers[i] = world_join(w, "");
    }
    peer *restless = world_join(w, "restless");
    for (size_t i = 0; i < CHANGES; i++) {
        phi_state wanted = i % 2 == 0 ? PHI_STATE_STARTING : PHI_STATE_READY;
        peer_own_state(restless, &(phi_own_state){ .state = wanted });
        if (i % 1000 == 0) {
            world_settle(w);
        }
    }
    world_settle(w);
    for (size_t i = 0; i < WATCHERS; i++) {
        watchers[i]->revision = WATCHERS + 1 + i;
        peer_ask(watchers[i], &(phi_presence_ask){ .wants = true,
                                                   .last_epoch = restless->epoch,
                                                   .last_revision = watchers[i]->revision });
    }
    world_turn(w);
    size_t told = 0;
    for (size_t i = 0; i < WATCHERS; i++) {
        told += watchers[i]->statuses;
    }
    EXPECT(told > 0);
    EXPECT(told < CENTER_PRESENCE_TURN_WATCHERS_MAX);
    world_settle(w);
    for (size_t i = 0; i < WATCHERS; i++) {
        EXPECT_EQ(watchers[i]->statuses, 1);
        EXPECT_EQ(watchers[i]->changes, 1);
        EXPECT_EQ(watchers[i]->lists, 0);
    }
    world_free(w);
}

// ---- going on

// Who comes back with epoch and revision gets what it missed, and no list [P-43].
TEST(presence, returning_watcher_gets_only_what_it_missed)
{
    world *w = world_new(NULL);
    peer *first = world_watch(w, "w");
    uint64_t revision = first->revision;
    peer_cut(first);
    world_join(w, "a");
    peer *b = world_join(w, "b");
    peer_leave(b);
    world_settle(w);
    peer *again = connect_resuming(w, "w", first->epoch, revision);
    world_settle(w);
    EXPECT_EQ(again->lists, 0);
    // a and w came; b came and went, which a page that it was sent last may have shown it
    EXPECT_EQ(again->changes, 3);
    EXPECT_EQ(again->onlines_known, 0);
    EXPECT_EQ(again->revision, again->joined_revision);
    EXPECT_EQ(world_count(w).presence_resumes_total, 1);
    EXPECT_EQ(world_count(w).presence_lists_total, 1);
    world_free(w);
}

// Who knows all there is must hear that, or it could not know whether a list is on its way.
TEST(presence, resume_without_changes_is_confirmed)
{
    world *w = world_new(NULL);
    peer *p = world_watch(w, "w");
    peer_ask(p, &(phi_presence_ask){
                    .wants = true, .last_epoch = p->epoch, .last_revision = p->revision });
    world_settle(w);
    EXPECT_EQ(p->lists, 1);
    EXPECT_EQ(p->statuses, 1);
    EXPECT_EQ(p->empty_statuses, 1);
    world_free(w);
}

// Another epoch, a revision of the future, or one that was forgotten: the whole list [P-43].
TEST(presence, unknown_place_gets_the_list)
{
    world *w = world_new(tight);
    peer *p = world_watch(w, "w");
    uint64_t old = p->revision;
    const phi_presence_ask asks[] = {
        { .wants = true, .last_epoch = p->epoch + 1, .last_revision = p->revision },
        { .wants = true, .last_epoch = p->epoch, .last_revision = p->revision + 1 },
        { .wants = true, .last_epoch = p->epoch, .last_revision = UINT64_MAX },
        { .wants = true, .last_epoch = 0, .last_revision = 0 },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(asks); i++) {
        peer_ask(p, &asks[i]);
        world_settle(w);
        EXPECT_EQ(p->lists, i + 2);
    }
    churn(w, 200); // more than a log of 16 KB remembers
    p->revision = old;
    peer_ask(p, &(phi_presence_ask){ .wants = true, .last_epoch = p->epoch, .last_revision = old });
    world_settle(w);
    EXPECT_EQ(p->lists, 6);
    world_expect_converged(w, p);
    world_free(w);
}

// A watcher that stops reading costs its buffer and no more; when it reads on it gets a new list
// instead of a gap.
TEST(presence, watcher_that_fell_behind_gets_a_new_list)
{
    world *w = world_new(tight);
    peer *watcher = world_watch(w, "w");
    peer_window(watcher, 1000);
    watcher->reads_max = 0;
    for (size_t i = 0; i < 60; i++) {
        connect_heavy(w, "", 5);
        world_settle(w);
    }
    churn(w, 200);
    EXPECT(w->alloc.bytes < 2000000);
    watcher->reads_max = SIZE_MAX;
    world_settle(w);
    EXPECT_EQ(watcher->lists, 2);
    world_expect_converged(w, watcher);
    world_free(w);
}

// A watcher that lags behind more changes than one packet holds, but not more than the log does, is
// told all of them, and no list: what it knows stays good [P-45].
TEST(presence, watcher_behind_by_many_packets_gets_them_all)
{
    world *w = world_new(narrow);
    peer *watcher = world_watch(w, "w");
    peer_window(watcher, 1000);
    watcher->reads_max = 0;
    for (size_t i = 0; i < 60; i++) { // 300 KB, through a send buffer of 128 KB
        connect_heavy(w, "", 5);
        world_settle(w);
    }
    watcher->reads_max = SIZE_MAX;
    world_settle(w);
    EXPECT_EQ(watcher->lists, 1);
    EXPECT_EQ(watcher->changes, 60);
    EXPECT(watcher->statuses >= 10);
    world_expect_converged(w, watcher);
    world_free(w);
}

// Lists for many who come at once are spread over turns, so that a call between two others does not
// wait for all of them; and all get theirs.
TEST(presence, many_lists_are_spread_over_turns)
{
    world *w = world_new(NULL);
    for (size_t i = 0; i < 80; i++) {
        connect_heavy(w, "", 5);
    }
    world_settle(w);
    peer *watchers[20];
    for (size_t i = 0; i < PHI_COUNT_OF(watchers); i++) { // 8 MB in all
        watchers[i] = world_join(w, "");
    }
    for (size_t i = 0; i < PHI_COUNT_OF(watchers); i++) {
        peer_ask(watchers[i], &(phi_presence_ask){ .wants = true });
    }
    uint64_t sent = world_count(w).bytes_sent_total;
    world_turn(w);
    EXPECT(world_count(w).bytes_sent_total - sent < 5000000);
    world_settle(w);
    for (size_t i = 0; i < PHI_COUNT_OF(watchers); i++) {
        world_expect_converged(w, watchers[i]);
    }
    EXPECT(world_count(w).bytes_sent_total - sent > 8000000);
    world_free(w);
}

// A filter that passes nobody costs no bytes, but the walk: that, too, is spread over turns, or the
// watchers of a center that came back would keep the calls of all others waiting [P-42].
TEST(presence, what_filters_pass_over_is_spread_over_turns)
{
    world *w = world_new(NULL);
    peer *watchers[120];
    for (size_t i = 0; i < PHI_COUNT_OF(watchers); i++) {
        watchers[i] = world_connect(w, "");
    }
    world_settle(w);
    uint64_t revision = world_count(w).presence_changes_total;
    churn(w, 800); // two revisions each, and a line that is left
    for (size_t i = 0; i < PHI_COUNT_OF(watchers); i++) { // each from a place of its own
        watchers[i]->revision = revision - i;
        peer_ask(watchers[i], &(phi_presence_ask){ .wants = true,
                                                   .type = PHI_TYPE_GATEWAY,
                                                   .last_epoch = watchers[i]->epoch,
                                                   .last_revision = revision - i });
    }
    world_turn(w);
    size_t told = 0;
    for (size_t i = 0; i < PHI_COUNT_OF(watchers); i++) {
        told += watchers[i]->statuses;
    }
    EXPECT(told > 0);
    EXPECT(told < CENTER_PRESENCE_TURN_WATCHERS_MAX);
    world_settle(w);
    for (size_t i = 0; i < PHI_COUNT_OF(watchers); i++) {
        EXPECT_EQ(watchers[i]->statuses, 1);
        EXPECT_EQ(watchers[i]->revision, revision + 1600);
    }
    world_free(w);
}

// A change for many is told a few in each turn, or a call between two others would wait until all
// of them are written to; and each hears of it once.
TEST(presence, watchers_of_a_change_are_spread_over_turns)
{
    enum { WATCHERS = 100 };
    PH_STATIC_ASSERT(WATCHERS > CENTER_PRESENCE_TURN_WATCHERS_MAX);
    world *w = world_new(NULL);
    peer *watchers[WATCHERS];
    for (size_t i = 0; i < WATCHERS; i++) {
        watchers[i] = world_watch(w, "");
    }
    peer *changing = world_join(w, "changing");
    world_pass(w, 60); // nothing is gathered
    size_t before[WATCHERS];
    for (size_t i = 0; i < WATCHERS; i++) {
        before[i] = watchers[i]->statuses;
    }
    peer_own_state(changing, &(phi_own_state){ .state = PHI_STATE_STARTING });
    size_t told = 0;
    for (size_t turns = 0; told < WATCHERS; turns++) {
        EXPECT(turns < 20);
        world_turn(w);
        size_t told_before = told;
        told = 0;
        for (size_t i = 0; i < WATCHERS; i++) {
            told += watchers[i]->statuses - before[i];
        }
        EXPECT(told - told_before <= CENTER_PRESENCE_TURN_WATCHERS_MAX);
    }
    world_settle(w);
    for (size_t i = 0; i < WATCHERS; i++) {
        EXPECT_EQ(watchers[i]->statuses, before[i] + 1);
        world_expect_converged(w, watchers[i]);
    }
    world_free(w);
}

// The next change may come before all were told of the one before: those who were not lack both,
// those who were lack one. Each hears of each once.
TEST(presence, audience_is_roused_again_before_all_of_it_was_told)
{
    enum { WATCHERS = 100 };
    world *w = world_new(NULL);
    peer *watchers[WATCHERS];
    for (size_t i = 0; i < WATCHERS; i++) {
        watchers[i] = world_watch(w, "");
    }
    peer *one = world_join(w, "one");
    peer *other = world_join(w, "other");
    world_pass(w, 60); // nothing is gathered
    size_t before[WATCHERS];
    for (size_t i = 0; i < WATCHERS; i++) {
        before[i] = watchers[i]->changes;
    }
    peer_own_state(one, &(phi_own_state){ .state = PHI_STATE_STARTING });
    world_turn(w);
    size_t told = 0;
    for (size_t i = 0; i < WATCHERS; i++) {
        told += watchers[i]->changes != before[i];
    }
    EXPECT(told > 0);
    EXPECT(told < WATCHERS);
    center_check(w->c);
    w->io.now = phi_time_add(w->io.now, phi_ms(50)); // in which it had no turn
    peer_own_state(other, &(phi_own_state){ .state = PHI_STATE_DRAINING });
    world_turn(w);
    center_check(w->c);
    world_settle(w);
    for (size_t i = 0; i < WATCHERS; i++) {
        EXPECT_EQ(watchers[i]->changes, before[i] + 2);
        EXPECT_EQ(peer_find(watchers[i], "one@d")->state, PHI_STATE_STARTING);
        EXPECT_EQ(peer_find(watchers[i], "other@d")->state, PHI_STATE_DRAINING);
    }
    world_free(w);
}

// Telling many takes time, in which more may happen: then it is told together. But a lone change
// must not wait for others that may never come. [P-49]
TEST(presence, changes_gather_while_many_are_told)
{
    world *w = world_new(NULL);
    peer *watchers[100];
    for (size_t i = 0; i < PHI_COUNT_OF(watchers); i++) {
        watchers[i] = world_connect(w, "");
        watchers[i]->join.presence.wants = true;
    }
    world_settle(w);
    world_pass(w, 60);
    size_t before = watchers[0]->statuses;
    world_join(w, "first"); // at once
    EXPECT(peer_find(watchers[99], "first@d") != NULL);
    for (int i = 0; i < 10; i++) { // 100 watchers, 2 ms
        world_join(w, "");
    }
    EXPECT_EQ(watchers[0]->statuses, before + 1);
    world_pass(w, 1);
    EXPECT_EQ(watchers[0]->statuses, before + 1);
    world_pass(w, 2);
    EXPECT_EQ(watchers[0]->statuses, before + 2);
    for (size_t i = 0; i < PHI_COUNT_OF(watchers); i++) {
        world_expect_converged(w, watchers[i]);
    }
    world_free(w);
}

// Who comes back when most have left for good had better be sent the few who are there than be told
// of each who is not. [P-43]
TEST(presence, list_is_sent_when_it_is_less)
{
    world *w = world_new(NULL);
    peer *others[100];
    for (size_t i = 0; i < PHI_COUNT_OF(others); i++) {
        others[i] = world_connect(w, "");
    }
    world_settle(w);
    peer *watcher = world_watch(w, "w");
    uint64_t epoch = watcher->epoch;
    uint64_t revision = watcher->revision;
    peer_leave(watcher);
    for (size_t i = 0; i < PHI_COUNT_OF(others); i++) {
        peer_leave(others[i]);
    }
    world_settle(w);
    peer *again = connect_resuming(w, "w", epoch, revision);
    world_settle(w);
    EXPECT_EQ(again->lists, 1);
    EXPECT_EQ(again->changes, 0);
    world_expect_converged(w, again);
    world_free(w);
}

// The round trip of a client that was asked for a sign of life stands in later lists [P-46].
TEST(presence, list_tells_round_trips)
{
    world *w = world_new(quick_heartbeat);
    peer *a = world_join(w, "a");
    w->slow_us = 700; // between turns, so that an answer takes time
    world_pass(w, 150);
    peer *watcher = world_watch(w, "w");
    const line *l = peer_find(watcher, "a@d");
    assert_non_null(l);
    EXPECT(l->round_trip_us >= 700);
    EXPECT_EQ(peer_find(watcher, "w@d")->round_trip_us, 0);
    EXPECT(!a->is_ended);
    world_free(w);
}

// ---- the property

// Comings, goings, slow readers, cuts, new asks, in any order: each packet continues the one before
// (checked by the peers), and when all is quiet every watcher's table is the truth [P-45] [P-48].
TEST(presence, any_story_converges_without_gap_or_double)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        phi_random r = phi_random_seeded(seed);
        world *w = world_new(tight);
        peer *watchers[4];
        for (size_t i = 0; i < PHI_COUNT_OF(watchers); i++) {
            char name[3] = { 'w', (char)('0' + i), 0 };
            watchers[i] = world_watch(w, name);
            peer_window(watchers[i], phi_random_between(&r, 1, 20000));
        }
        for (int step = 0; step < 200; step++) {
            peer *watcher = watchers[phi_random_below(&r, PHI_COUNT_OF(watchers))];
            peer *any = w->peers[phi_random_below(&r, w->peer_count)];
            switch (phi_random_below(&r, 6)) {
            case 0:
                if (w->peer_count < 100) {
                    connect_heavy(w, "", phi_random_below(&r, 6));
                }
                break;
            case 1:
                if (any->is_open && !any->join.presence.wants) {
                    peer_cut(any);
                }
                break;
            case 2:
                watcher->reads_max =
                    phi_random_chance(&r, 50) ? 0 : (size_t)1 << phi_random_below(&r, 18);
                break;
            case 3:
                if (phi_random_chance(&r, 10)) {
                    peer_ask(watcher, &(phi_presence_ask){ .wants = true });
                }
                break;
            default:
                world_turn(w);
            }
        }
        for (size_t i = 0; i < PHI_COUNT_OF(watchers); i++) {
            watchers[i]->reads_max = SIZE_MAX;
        }
        world_settle(w);
        for (size_t i = 0; i < PHI_COUNT_OF(watchers); i++) {
            world_expect_converged(w, watchers[i]);
            EXPECT_EQ(watchers[i]->revision, watchers[0]->revision);
        }
        world_free(w);
    }
}

static void eight(center_options *o)
{
    o->connections_max = 8;
    o->guard_instances_min = 2;
    o->flap_suppress = 1000000;
}

// Who joins under ever new names and is cut leaves ghosts. They would take the places of all
// accounts, and nobody could join any more. [P-49]
TEST(presence, ghosts_leave_room_for_those_who_join)
{
    world *w = world_new(eight);
    unsigned number = 0;
    for (int round = 0; round < 8; round++) {
        peer *p[6];
        char names[PHI_COUNT_OF(p)][16]; // read when the center says HELLO
        for (size_t i = 0; i < PHI_COUNT_OF(p); i++) {
            snprintf(names[i], sizeof names[i], "storm-%u", number++);
            p[i] = connect_service(w, names[i], "s");
        }
        world_settle(w);
        for (size_t i = 0; i < PHI_COUNT_OF(p); i++) {
            EXPECT(p[i]->is_open);
            peer_cut(p[i]);
        }
        world_settle(w);
        for (size_t i = 0; i < PHI_COUNT_OF(p); i++) {
            world_forget(w, p[i]);
        }
        EXPECT(world_count(w).ghosts <= 8);
    }
    EXPECT_EQ(world_count(w).ghosts, 8);
    peer *watcher = world_watch(w, "w");
    EXPECT_EQ(watcher->table_count, 9);
    world_pass(w, w->options.guard_hold + 1);
    EXPECT_EQ(world_count(w).ghosts, 0);
    world_expect_converged(w, watcher);
    world_free(w);
}

// Who says again and again that it is another would cost each watcher a line each time. It is told
// of a few at once, then of what it said last, four times a second; and who asks for the list in
// between is told the same. [P-72]
TEST(presence, restless_client_is_told_of_at_a_pace)
{
    enum { AT_ONCE = 16, CHANGES = 1001, IN_A_TURN = 100 };
    world *w = world_new(NULL);
    peer *watcher = world_watch(w, "w");
    peer *restless = world_join(w, "restless");
    uint64_t before = world_count(w).presence_changes_total;
    for (uint16_t i = 1; i <= CHANGES; i++) {
        peer_own_state(restless, &(phi_own_state){ .has_weight = true, .weight = i % 1000 });
        if (i % IN_A_TURN == 0) {
            world_settle(w);
        }
    }
    world_settle(w);
    EXPECT_EQ(world_count(w).own_states_total, CHANGES);
    EXPECT_EQ(world_count(w).presence_changes_total - before, AT_ONCE);
    // The first turn told, with the last of its changes.
    EXPECT_EQ(peer_find(watcher, "restless@d")->weight, IN_A_TURN);
    peer *late = world_watch(w, "late");
    EXPECT_EQ(peer_find(late, "restless@d")->weight, 1);
    world_pass(w, CENTER_PRESENCE_PACE_MS);
    EXPECT_EQ(world_count(w).presence_changes_total - before, AT_ONCE + 2); // "late" joined
    EXPECT_EQ(peer_find(watcher, "restless@d")->weight, 1);
    world_expect_converged(w, watcher);

    // It is at it again, and goes: what is left to tell goes with it.
    peer_own_state(restless, &(phi_own_state){ .state = PHI_STATE_DRAINING });
    world_settle(w);
    EXPECT_EQ(peer_find(watcher, "restless@d")->state, PHI_STATE_READY);
    peer_cut(restless);
    world_settle(w);
    EXPECT(peer_find(watcher, "restless@d") == NULL);
    world_pass(w, 2 * CENTER_PRESENCE_PACE_MS);
    world_expect_converged(w, watcher);

    // Who is calm again is told of at once.
    peer *calm = world_join(w, "calm");
    for (int i = 0; i < 40; i++) {
        phi_state wanted = i % 2 == 0 ? PHI_STATE_DRAINING : PHI_STATE_READY;
        peer_own_state(calm, &(phi_own_state){ .state = wanted });
        world_settle(w);
        EXPECT_EQ(peer_find(watcher, "calm@d")->state, wanted);
        world_pass(w, CENTER_PRESENCE_PACE_MS);
    }
    world_free(w);
}
