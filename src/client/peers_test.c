// SPDX-License-Identifier: Apache-2.0

#include "client/peers.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/random.h"
#include "tests/client/stage.h"
#include "tests/harness/test.h"

// What an application that believes every change would know, and how often it was told something.
#define NAMES 8u

typedef struct belief {
    phi_peers peers; // first
    phi_alloc_counter memory;
    bool is_online[NAMES];
    uint64_t session[NAMES];
    uint8_t state[NAMES];
    unsigned changes;
    unsigned readies;
    bool is_strict; // names are "a".."h" at home
} belief;

static void on_change(phi_peers *peers, ph_change change, ph_reason reason, const ph_peer *peer)
{
    belief *b = (belief *)(void *)peers;
    b->changes++;
    if (!b->is_strict) {
        return;
    }
    unsigned i = (unsigned)(peer->id.data[0] - 'a');
    assert_true(i < NAMES);
    EXPECT((change == PH_OFFLINE) == (reason != PH_REASON_NONE));
    if (change == PH_ONLINE) {
        assert_false(b->is_online[i]);
        b->is_online[i] = true;
    } else {
        assert_true(b->is_online[i]);
        EXPECT(b->session[i] == peer->session);
        if (change == PH_CHANGED) {
            EXPECT(b->state[i] != (uint8_t)peer->state);
        }
        b->is_online[i] = change == PH_CHANGED;
    }
    b->session[i] = peer->session;
    b->state[i] = (uint8_t)peer->state;
}

static void on_ready(phi_peers *peers)
{
    belief *b = (belief *)(void *)peers;
    b->readies++;
}

static const phi_peers_events events = { .on_change = on_change, .on_ready = on_ready };
static const phi_peers_filter everything = { .type = 0 };

static void belief_init(belief *b, uint32_t count_max)
{
    *b = (belief){ .is_strict = true };
    phi_alloc_counter_init(&b->memory, &phi_alloc_heap);
    phi_peers_init(&b->peers, &b->memory.alloc, (phi_hash_key){ 1, 2 }, count_max, &events);
}

static void belief_fini(belief *b)
{
    phi_peers_check(&b->peers);
    phi_peers_fini(&b->peers);
    EXPECT_EQ(b->memory.blocks, 0);
}

static ph_err page(belief *b, uint64_t epoch, uint64_t revision, unsigned flags, const char *news)
{
    uint8_t entries[2048];
    phi_page p = { .epoch = epoch, .revision = revision, .flags = (uint8_t)flags };
    p.entries = phi_bytes_of(entries, stage_entries(entries, sizeof entries, news, &p.count));
    uint8_t room[4096];
    phi_writer w = phi_writer_of((phi_span){ room, sizeof room });
    phi_page_encode(&w, &p);
    ph_err rc = phi_peers_page(&b->peers, phi_writer_view(&w));
    phi_peers_check(&b->peers);
    return rc;
}

static ph_err status(belief *b, uint64_t epoch, uint64_t previous, uint64_t revision,
                     const char *news, bool *has_gap)
{
    uint8_t entries[2048];
    phi_status s = { .epoch = epoch, .previous = previous, .revision = revision };
    s.entries = phi_bytes_of(entries, stage_entries(entries, sizeof entries, news, &s.count));
    uint8_t room[4096];
    phi_writer w = phi_writer_of((phi_span){ room, sizeof room });
    phi_status_encode(&w, &s);
    ph_err rc = phi_peers_status(&b->peers, phi_writer_view(&w), has_gap);
    phi_peers_check(&b->peers);
    return rc;
}

#define BOTH (PHI_PAGE_FIRST | PHI_PAGE_LAST)

// Without it a user would see somebody come twice who was in a page and again in the status that
// repeats what the page showed already. [P-44] [P-48]
TEST(peers, status_that_repeats_a_page_tells_nothing)
{
    belief b;
    belief_init(&b, 100);
    phi_peers_want(&b.peers, &everything);
    EXPECT(phi_peers_ask(&b.peers).wants);
    EXPECT_ERR(page(&b, 7, 10, PHI_PAGE_FIRST, "+a:1:5"), PH_OK);
    EXPECT_ERR(page(&b, 7, 10, PHI_PAGE_LAST, "+b:2:12:1"), PH_OK); // cut after two more changes
    EXPECT_EQ(b.changes, 2);
    EXPECT_EQ(b.readies, 1);
    bool has_gap = true;
    EXPECT_ERR(status(&b, 7, 10, 12, "+b:2:11:2 ~b:2:12:1", &has_gap), PH_OK);
    EXPECT(!has_gap);
    EXPECT_EQ(b.changes, 2);
    EXPECT_EQ(b.state[1], PHI_STATE_STARTING);
    belief_fini(&b);
}

// A session that replaced another of the same id ends the old one: its calls are lost, whoever
// holds on to it must hear that. [P-48]
TEST(peers, another_session_of_an_id_ends_the_first)
{
    belief b;
    belief_init(&b, 100);
    phi_peers_want(&b.peers, &everything);
    (void)phi_peers_ask(&b.peers);
    EXPECT_ERR(page(&b, 7, 10, BOTH, "+a:1:5"), PH_OK);
    bool has_gap = true;
    EXPECT_ERR(status(&b, 7, 10, 11, "+a:2:11", &has_gap), PH_OK);
    EXPECT_EQ(b.changes, 3); // online, offline, online
    EXPECT_EQ(b.session[0], 2);
    // The word on the old one, late: about nobody.
    EXPECT_ERR(status(&b, 7, 11, 12, "-a:1:12", &has_gap), PH_OK);
    EXPECT_EQ(b.changes, 3);
    EXPECT(b.is_online[0]);
    // And that a later one left, of which nobody told, says that this one did.
    EXPECT_ERR(status(&b, 7, 12, 13, "-a:3:13", &has_gap), PH_OK);
    EXPECT_EQ(b.changes, 4);
    EXPECT(!b.is_online[0]);
    belief_fini(&b);
}

// A lost status must be noticed, or the table is wrong for ever. [P-45]
TEST(peers, status_with_a_gap_asks_again_from_what_is_known)
{
    belief b;
    belief_init(&b, 100);
    phi_peers_want(&b.peers, &everything);
    (void)phi_peers_ask(&b.peers);
    EXPECT_ERR(page(&b, 7, 10, BOTH, "+a:1:5"), PH_OK);
    bool has_gap = false;
    EXPECT_ERR(status(&b, 7, 11, 12, "+c:3:12", &has_gap), PH_OK);
    EXPECT(has_gap);
    EXPECT_EQ(b.changes, 1);
    phi_presence_ask ask = phi_peers_ask(&b.peers);
    EXPECT_EQ(ask.last_epoch, 7);
    EXPECT_EQ(ask.last_revision, 10);
    // What was on its way fits no better, and is no reason to ask once more.
    EXPECT_ERR(status(&b, 7, 12, 13, "-c:3:13", &has_gap), PH_OK);
    EXPECT(!has_gap);
    EXPECT_ERR(status(&b, 7, 10, 13, "+b:2:11 +c:3:12 -c:3:13", &has_gap), PH_OK);
    EXPECT(!has_gap);
    EXPECT_EQ(b.changes, 4);
    EXPECT(b.is_online[1]);
    EXPECT(!b.is_online[2]);
    belief_fini(&b);
}

// After a reconnect that brings a list, only the difference may be told. [P-43] [P-48]
TEST(peers, list_after_reconnect_tells_the_difference)
{
    belief b;
    belief_init(&b, 100);
    phi_peers_want(&b.peers, &everything);
    (void)phi_peers_ask(&b.peers);
    EXPECT_ERR(page(&b, 7, 10, BOTH, "+a:1:5 +b:2:6 +c:3:7"), PH_OK);
    b.changes = 0;
    phi_presence_ask ask = phi_peers_ask(&b.peers);
    EXPECT_EQ(ask.last_epoch, 7);
    phi_peers_joined(&b.peers, 7, 90);
    EXPECT_EQ(b.readies, 1);
    EXPECT_ERR(page(&b, 7, 90, PHI_PAGE_FIRST, "+a:1:5"), PH_OK);
    EXPECT_EQ(b.changes, 0);
    EXPECT_ERR(page(&b, 7, 90, PHI_PAGE_LAST, "+b:8:80 +d:4:85"), PH_OK);
    EXPECT_EQ(b.changes, 4); // b went and came, d came, c went
    EXPECT(!b.is_online[2]);
    EXPECT_EQ(b.session[1], 8);
    EXPECT_EQ(b.readies, 2);
    belief_fini(&b);
}

// Sessions are numbers of one life of a center: after a restart the same number is somebody else.
// [P-36] [P-41]
TEST(peers, same_session_in_another_epoch_is_another_session)
{
    belief b;
    belief_init(&b, 100);
    phi_peers_want(&b.peers, &everything);
    (void)phi_peers_ask(&b.peers);
    EXPECT_ERR(page(&b, 7, 10, BOTH, "+a:1:5"), PH_OK);
    (void)phi_peers_ask(&b.peers);
    phi_peers_joined(&b.peers, 8, 2);
    b.changes = 0;
    EXPECT_ERR(page(&b, 8, 2, BOTH, "+a:1:1"), PH_OK);
    EXPECT_EQ(b.changes, 2);
    bool has_gap = true;
    EXPECT_ERR(status(&b, 8, 2, 3, "~a:1:3:3", &has_gap), PH_OK);
    EXPECT_EQ(b.changes, 3); // its revision is not compared with that of the other life
    belief_fini(&b);
}

// Nothing happened while away: the application is told that at once, not when the next one comes.
TEST(peers, reconnect_without_changes_is_ready_at_once)
{
    belief b;
    belief_init(&b, 100);
    phi_peers_want(&b.peers, &everything);
    (void)phi_peers_ask(&b.peers);
    EXPECT_ERR(page(&b, 7, 10, BOTH, "+a:1:5"), PH_OK);
    (void)phi_peers_ask(&b.peers);
    phi_peers_joined(&b.peers, 7, 10);
    EXPECT_EQ(b.readies, 2);
    // With changes: as soon as they are all there.
    (void)phi_peers_ask(&b.peers);
    phi_peers_joined(&b.peers, 7, 12);
    EXPECT_EQ(b.readies, 2);
    bool has_gap = true;
    EXPECT_ERR(status(&b, 7, 10, 11, "+b:2:11", &has_gap), PH_OK);
    EXPECT_EQ(b.readies, 2);
    EXPECT_ERR(status(&b, 7, 11, 12, "", &has_gap), PH_OK);
    EXPECT_EQ(b.readies, 3);
    belief_fini(&b);
}

// A center that lies about its pages would leave a table nobody can trust. [P-44]
TEST(peers, pages_that_contradict_each_other_are_a_breach)
{
    belief b;
    belief_init(&b, 100);
    phi_peers_want(&b.peers, &everything);
    (void)phi_peers_ask(&b.peers);
    EXPECT_ERR(page(&b, 0, 10, BOTH, ""), PH_EPROTO);
    EXPECT_ERR(page(&b, 7, 10, PHI_PAGE_FIRST, "+a:1:5"), PH_OK);
    EXPECT_ERR(page(&b, 7, 11, PHI_PAGE_LAST, "+b:2:6"), PH_EPROTO);
    EXPECT_ERR(page(&b, 8, 10, PHI_PAGE_LAST, "+b:2:6"), PH_EPROTO);
    EXPECT_ERR(page(&b, 7, 10, PHI_PAGE_LAST, "-b:2:6"), PH_EPROTO);
    EXPECT_ERR(phi_peers_page(&b.peers, phi_bytes_text("no page")), PH_EPROTO);
    bool has_gap = false;
    EXPECT_ERR(phi_peers_status(&b.peers, phi_bytes_text("no status"), &has_gap), PH_EPROTO);
    belief_fini(&b);
}

// More peers than the program allows must not take its memory; it hears that some are missing.
TEST(peers, beyond_the_limit_are_dropped_and_counted)
{
    belief b;
    belief_init(&b, 2);
    phi_peers_want(&b.peers, &everything);
    (void)phi_peers_ask(&b.peers);
    EXPECT_ERR(page(&b, 7, 10, BOTH, "+a:1:5 +b:2:6 +c:3:7 +d:4:8"), PH_OK);
    EXPECT_EQ(phi_peers_count(&b.peers), 2);
    EXPECT_EQ(b.changes, 2);
    EXPECT_EQ(b.peers.dropped, 2);
    bool has_gap = true;
    EXPECT_ERR(status(&b, 7, 10, 12, "-c:3:11 -a:1:12", &has_gap), PH_OK);
    EXPECT_EQ(b.changes, 3); // nobody hears of the end of one he never heard of
    belief_fini(&b);
}

// A narrower wish forgets the others silently; what an older ask still brings must not come back.
// [P-42]
TEST(peers, narrower_filter_forgets_silently_and_judges_what_comes)
{
    belief b;
    belief_init(&b, 100);
    b.is_strict = false; // what is forgotten silently may come again
    phi_peers_want(&b.peers, &everything);
    (void)phi_peers_ask(&b.peers);
    EXPECT_ERR(page(&b, 7, 10, BOTH, "+a:1:5 +b:2:6"), PH_OK);
    b.changes = 0;
    phi_peers_filter other = { .domain_size = 4, .domain = { 'a', 'w', 'a', 'y' } };
    phi_peers_want(&b.peers, &other);
    EXPECT_EQ(phi_peers_count(&b.peers), 0);
    bool has_gap = true;
    EXPECT_ERR(status(&b, 7, 10, 11, "+c:3:11", &has_gap), PH_OK);
    EXPECT(!has_gap);
    EXPECT_ERR(page(&b, 7, 11, BOTH, "+a:1:5"), PH_OK);
    EXPECT_EQ(phi_peers_count(&b.peers), 0);
    phi_peers_filter service = { .service_size = 7,
                                 .service = { 'l', 'e', 't', 't', 'e', 'r', 's' } };
    phi_peers_want(&b.peers, &service);
    EXPECT_ERR(page(&b, 7, 11, BOTH, "+a:1:5"), PH_OK);
    EXPECT_EQ(phi_peers_count(&b.peers), 1);
    phi_peers_filter type = { .type = PHI_TYPE_GATEWAY };
    phi_peers_want(&b.peers, &type);
    EXPECT_EQ(phi_peers_count(&b.peers), 0);
    EXPECT_EQ(b.changes, 1); // a, once
    belief_fini(&b);
}

// Iterating while nothing changes must show each peer once.
TEST(peers, next_and_find_show_what_is_there)
{
    belief b;
    belief_init(&b, 100);
    phi_peers_want(&b.peers, &everything);
    (void)phi_peers_ask(&b.peers);
    EXPECT_ERR(page(&b, 7, 10, BOTH, "+a:1:5 +b:2:6 +c:3:7:3"), PH_OK);
    size_t cursor = 0;
    ph_peer peer;
    char seen[8] = "";
    while (phi_peers_next(&b.peers, &cursor, &peer)) {
        seen[strlen(seen)] = peer.id.data[0];
    }
    EXPECT_TEXT(seen, "abc");
    EXPECT(!phi_peers_next(&b.peers, &cursor, &peer));
    cursor = SIZE_MAX;
    EXPECT(!phi_peers_next(&b.peers, &cursor, &peer));
    EXPECT(phi_peers_find(&b.peers, phi_bytes_text("c@home"), &peer));
    EXPECT_EQ(peer.session, 3);
    EXPECT_EQ(peer.state, PH_STATE_DRAINING);
    EXPECT(!phi_peers_find(&b.peers, phi_bytes_text("z@home"), &peer));
    EXPECT(!phi_peers_find(&b.peers, phi_bytes_text(""), &peer));
    belief_fini(&b);
}

// ---- a model of a center

#define LOG_MAX 4096u

typedef struct model_change {
    uint64_t revision;
    char sign;
    unsigned name;
    uint64_t session;
    unsigned state;
} model_change;

typedef struct model {
    phi_random random;
    uint64_t epoch;
    uint64_t revision;
    uint64_t sessions;
    bool is_online[NAMES];
    uint64_t session[NAMES];
    unsigned state[NAMES];
    uint64_t changed[NAMES];
    model_change log[LOG_MAX];
    unsigned log_count;
    uint64_t told; // revision up to which the client was told
} model;

static void model_change_something(model *m)
{
    unsigned i = (unsigned)phi_random_below(&m->random, NAMES);
    char sign = '+';
    if (m->is_online[i]) {
        sign = phi_random_chance(&m->random, 50) ? '-' : '~';
    }
    if (sign == '+') {
        m->session[i] = ++m->sessions;
        m->state[i] = PHI_STATE_READY;
    } else if (sign == '~') {
        m->state[i] = m->state[i] == PHI_STATE_READY ? PHI_STATE_DRAINING : PHI_STATE_READY;
    }
    m->is_online[i] = sign != '-';
    m->changed[i] = ++m->revision;
    assert_true(m->log_count < LOG_MAX);
    m->log[m->log_count++] = (model_change){ m->revision, sign, i, m->session[i], m->state[i] };
}

static void model_tell(model *m, belief *b)
{
    char news[2000] = "";
    size_t size = 0;
    unsigned count = 0;
    uint64_t up_to = m->told;
    for (unsigned i = 0; i < m->log_count && count < 20; i++) {
        const model_change *c = &m->log[i];
        if (c->revision > m->told) {
            size += (size_t)snprintf(news + size, sizeof news - size, "%c%c:%u:%u:%u ", c->sign,
                                     'a' + (int)c->name, (unsigned)c->session,
                                     (unsigned)c->revision, c->state);
            up_to = c->revision;
            count++;
        }
    }
    if (size > 0) {
        news[size - 1] = '\0';
    }
    bool has_gap = true;
    EXPECT_ERR(status(b, m->epoch, m->told, up_to, news, &has_gap), PH_OK);
    EXPECT(!has_gap);
    m->told = up_to;
}

// Pages of two names each, between which the table goes on changing.
static void model_list(model *m, belief *b)
{
    uint64_t revision = m->revision;
    for (unsigned first = 0; first < NAMES; first += 2) {
        char news[200] = "";
        size_t size = 0;
        for (unsigned i = first; i < first + 2; i++) {
            if (m->is_online[i]) {
                size += (size_t)snprintf(
                    news + size, sizeof news - size, "%s+%c:%u:%u:%u", size == 0 ? "" : " ",
                    'a' + (int)i, (unsigned)m->session[i], (unsigned)m->changed[i], m->state[i]);
            }
        }
        unsigned flags =
            (first == 0 ? PHI_PAGE_FIRST : 0) | (first + 2 == NAMES ? PHI_PAGE_LAST : 0);
        EXPECT_ERR(page(b, m->epoch, revision, flags, news), PH_OK);
        if (phi_random_chance(&m->random, 50)) {
            model_change_something(m);
        }
    }
    m->told = revision;
}

static void model_reconnect(model *m, belief *b)
{
    if (phi_random_chance(&m->random, 20)) { // the center began a new life
        phi_random random = m->random;
        uint64_t epoch = m->epoch + 1;
        *m = (model){ .random = random, .epoch = epoch };
        for (unsigned i = 0; i < 5; i++) {
            model_change_something(m);
        }
    }
    phi_presence_ask ask = phi_peers_ask(&b->peers);
    phi_peers_joined(&b->peers, m->epoch, m->revision);
    bool can_resume = ask.last_epoch == m->epoch && phi_random_chance(&m->random, 60);
    if (can_resume) {
        m->told = ask.last_revision;
        model_tell(m, b);
    } else {
        model_list(m, b);
    }
}

// The whole promise at once: whatever happens on either side, in whatever pieces it arrives, an
// application that believes the changes it was told ends with the center's table, and none of them
// contradicts what it knew. [P-43] [P-44] [P-45] [P-48]
TEST(peers, random_lives_converge_without_gap_or_double)
{
    for (uint64_t seed = 1; seed <= 200; seed++) {
        belief b;
        belief_init(&b, 100);
        model *m = calloc(1, sizeof *m);
        assert_non_null(m);
        *m = (model){ .random = phi_random_seeded(seed), .epoch = 1 };
        for (unsigned i = 0; i < 5; i++) {
            model_change_something(m);
        }
        phi_peers_want(&b.peers, &everything);
        (void)phi_peers_ask(&b.peers);
        phi_peers_joined(&b.peers, m->epoch, m->revision);
        model_list(m, &b);
        for (unsigned step = 0; step < 120; step++) {
            uint64_t dice = phi_random_below(&m->random, 100);
            if (dice < 60) {
                model_change_something(m);
            } else if (dice < 85) {
                model_tell(m, &b);
            } else if (dice < 92) {
                model_list(m, &b);
            } else {
                model_reconnect(m, &b);
            }
        }
        while (m->told != m->revision) {
            model_tell(m, &b);
        }
        size_t online = 0;
        for (unsigned i = 0; i < NAMES; i++) {
            assert_int_equal(b.is_online[i], m->is_online[i]);
            if (m->is_online[i]) {
                assert_int_equal(b.session[i], m->session[i]);
                assert_int_equal(b.state[i], m->state[i]);
                online++;
            }
        }
        EXPECT_EQ(phi_peers_count(&b.peers), online);
        free(m);
        belief_fini(&b);
    }
}

// Without memory peers are missing, and counted, until the whole list is asked for again, which is
// what comes next; nothing else breaks, at whichever allocation.
TEST(peers, nth_allocation_failing_drops_peers_until_the_next_ask)
{
    size_t takes = 0;
    for (size_t n = 0; n <= takes; n++) {
        belief b;
        belief_init(&b, 1000);
        b.is_strict = false;
        b.memory.fail_at = n;
        phi_peers_want(&b.peers, &everything);
        (void)phi_peers_ask(&b.peers);
        EXPECT_ERR(page(&b, 7, 10, BOTH, "+a:1:5 +b:2:6 +c:3:7 +d:4:8"), PH_OK);
        bool has_gap = true;
        EXPECT_ERR(status(&b, 7, 10, 12, "~a:1:11:3 -b:2:12", &has_gap), PH_OK);
        EXPECT(!has_gap);
        EXPECT(b.peers.dropped <= 4);
        EXPECT((b.peers.dropped == 0) == (n == 0));
        if (n == 0) {
            takes = b.memory.takes;
            EXPECT(takes > 4);
        }
        EXPECT(b.peers.is_short == (n != 0));
        EXPECT_EQ(phi_peers_ask(&b.peers).last_epoch, n == 0 ? 7 : 0);
        EXPECT(!b.peers.is_short);
        EXPECT_ERR(page(&b, 7, 12, BOTH, "~a:1:11:3 +c:3:7 +d:4:8"), PH_OK);
        EXPECT_EQ(phi_peers_count(&b.peers), 3);
        belief_fini(&b);
    }
}
