// SPDX-License-Identifier: Apache-2.0
//
// center/presence_log_test.c - the log against watchers that know nothing but what it told them.

#include "center/presence_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "center/entry.h"
#include "tests/harness/test.h"

enum {
    NAMES = 40,
    WATCHERS = 6,
    BYTES_MAX = 16384,
};

static const phi_hash_key hash_key = { 1, 2 };

// Somebody who may be on the list.
typedef struct shown {
    presence_line line;
    bool is_listed;
    uint64_t session;
    char service;
    uint8_t entry[64];
    size_t entry_size;
    char id[8]; // "nNN@d"
} shown;

// What a watcher believes: the session of each, 0 none.
typedef struct believer {
    uint64_t revision;
    uint64_t session[NAMES];
    uint64_t seen[NAMES]; // the revision of the last entry about it
    char service;         // that it wants to know of; 0: all
} believer;

typedef struct story {
    presence_log log;
    shown shown[NAMES];
    uint64_t session_last;
} story;

static phi_bytes name_of(const shown *s)
{
    return phi_bytes_of(s->id, 3);
}

static size_t encode(const shown *s, uint8_t *out, size_t room, phi_what what)
{
    phi_writer w = phi_writer_of((phi_span){ out, room });
    phi_entry_encode(&w, &(phi_entry){
                             .what = what,
                             .type = PHI_TYPE_CLIENT,
                             .state = PHI_STATE_READY,
                             .session = s->session,
                             .id = phi_bytes_text(s->id),
                             .service = phi_bytes_of(&s->service, 1),
                         });
    EXPECT(!w.failed);
    return phi_writer_size(&w);
}

static void story_init(story *st)
{
    memset(st, 0, sizeof *st);
    EXPECT_ERR(presence_log_init(&st->log, &phi_alloc_heap, hash_key, BYTES_MAX), PH_OK);
    for (int i = 0; i < NAMES; i++) {
        snprintf(st->shown[i].id, sizeof st->shown[i].id, "n%02u@d", (unsigned)i % 100);
    }
}

static void put(story *st, shown *s)
{
    presence_log_put(&st->log, &s->line);
    phi_put_u64(s->entry + ENTRY_REVISION_AT, s->line.revision);
}

static void come(story *st, shown *s, char service)
{
    EXPECT(!s->is_listed);
    s->is_listed = true;
    s->session = ++st->session_last;
    s->service = service;
    s->entry_size = encode(s, s->entry, sizeof s->entry, PHI_WHAT_ONLINE);
    s->line.since =
        presence_log_revive(&st->log, name_of(s), phi_bytes_of(s->entry, s->entry_size));
    s->line.listed = st->log.last + 1;
    put(st, s);
}

static void leave(story *st, shown *s)
{
    EXPECT(s->is_listed);
    uint8_t bytes[64];
    size_t size = encode(s, bytes, sizeof bytes, PHI_WHAT_OFFLINE);
    presence_log_bury(&st->log, &s->line, 3, phi_bytes_of(bytes, size));
    s->is_listed = false;
    s->line = (presence_line){ .revision = 0 }; // its memory is somebody else's
}

static int index_of(const uint8_t *entry)
{
    const uint8_t *id = entry_id(entry).data;
    return (id[1] - '0') * 10 + id[2] - '0';
}

// [P-48]
static void believe(believer *b, const uint8_t *entry)
{
    int i = index_of(entry);
    uint64_t revision = phi_get_u64(entry + ENTRY_REVISION_AT);
    EXPECT(revision > b->seen[i]);
    b->seen[i] = revision;
    b->session[i] = entry[ENTRY_WHAT_AT] == PHI_WHAT_OFFLINE ? 0 : entry_session(entry);
}

static bool wants(const believer *b, const uint8_t *entry)
{
    return b->service == 0 || entry_service(entry).data[0] == (uint8_t)b->service;
}

// Reads `count` revisions at most. Whoever it cannot have known need not be told to be gone.
static void read_on(const story *st, believer *b, uint64_t count)
{
    const presence_log *log = &st->log;
    if (!presence_log_holds(log, b->revision)) {
        memset(b->session, 0, sizeof b->session);
        b->revision = log->last;
        for (int i = 0; i < NAMES; i++) {
            const shown *s = &st->shown[i];
            b->seen[i] = log->last;
            b->session[i] = s->is_listed && wants(b, s->entry) ? s->session : 0;
        }
        return;
    }
    uint64_t knows = b->revision;
    for (; count > 0 && b->revision < log->last; count--) {
        const presence_line *line = presence_log_at(log, ++b->revision);
        if (line == NULL || (line->is_gone && line->since > knows)) {
            continue;
        }
        const uint8_t *entry = line->is_gone ? presence_gone_of(line)->entry
                                             : PHI_CONTAINER_OF(line, shown, line)->entry;
        if (wants(b, entry)) {
            believe(b, entry);
        }
    }
}

static void expect_truth(const story *st, const believer *b)
{
    for (int i = 0; i < NAMES; i++) {
        const shown *s = &st->shown[i];
        uint64_t session = s->is_listed && wants(b, s->entry) ? s->session : 0;
        EXPECT_EQ(b->session[i], session);
    }
}

// Whatever happens between, who reads up to the end must believe what is true, though it was told
// of each line only what it is now; a watcher that is wrong calls the dead. [P-45] [P-48]
TEST(presence_log, who_reads_all_believes_what_is_true)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        story *st = malloc(sizeof *st);
        assert_non_null(st);
        story_init(st);
        phi_random r = phi_random_seeded(seed);
        believer b[WATCHERS] = { { .revision = 0 } };
        b[1].service = 'x';
        b[2].service = 'y';
        for (int step = 0; step < 6000; step++) {
            shown *s = &st->shown[phi_random_below(&r, NAMES)];
            if (!s->is_listed) {
                come(st, s, phi_random_chance(&r, 10) ? 'y' : 'x');
            } else if (phi_random_chance(&r, 40)) {
                put(st, s);
            } else {
                leave(st, s);
            }
            believer *any = &b[phi_random_below(&r, WATCHERS)];
            if (phi_random_chance(&r, 5)) {
                read_on(st, any, phi_random_below(&r, 100));
            } else if (phi_random_chance(&r, 3)) {
                read_on(st, any, UINT64_MAX);
                expect_truth(st, any);
            }
            if (step % 500 == 0) {
                presence_log_check(&st->log);
            }
        }
        EXPECT(st->log.first > 0); // it forgot
        presence_log_fini(&st->log);
        free(st);
    }
}

// A watcher that sleeps through a storm must not be told of who came and went meanwhile, nor twice
// of who is back: that is what makes a storm cheap.
TEST(presence_log, storm_leaves_one_line_for_each)
{
    story *st = malloc(sizeof *st);
    assert_non_null(st);
    story_init(st);
    for (int i = 0; i < NAMES / 2; i++) {
        come(st, &st->shown[i], 'x');
    }
    uint64_t before = st->log.last;
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < NAMES; i++) {
            if (st->shown[i].is_listed) {
                leave(st, &st->shown[i]);
            }
            come(st, &st->shown[i], 'x');
        }
    }
    for (int i = NAMES / 2; i < NAMES; i++) {
        leave(st, &st->shown[i]);
    }
    size_t online = 0;
    size_t gone = 0;
    for (uint64_t r = before + 1; r <= st->log.last; r++) {
        const presence_line *line = presence_log_at(&st->log, r);
        online += line != NULL && !line->is_gone;
        gone += line != NULL && line->is_gone;
        EXPECT(line == NULL || !line->is_gone || line->since > before);
    }
    EXPECT_EQ(online, NAMES / 2);
    EXPECT_EQ(gone, NAMES / 2);
    EXPECT_EQ(st->log.gone_count, NAMES / 2);
    presence_log_fini(&st->log);
    free(st);
}

// Memory must be taken as it fills, and not beyond the limit.
TEST(presence_log, memory_grows_up_to_its_limit)
{
    phi_alloc_counter counter;
    phi_alloc_counter_init(&counter, &phi_alloc_heap);
    presence_log log;
    EXPECT_ERR(presence_log_init(&log, &counter.alloc, hash_key, 1048576), PH_OK);
    EXPECT(counter.bytes <= PRESENCE_LOG_BYTES_MIN);
    presence_line line = { .revision = 0 };
    for (int i = 0; i < 1000000; i++) {
        presence_log_put(&log, &line);
        EXPECT(counter.bytes <= 1048576);
    }
    EXPECT_EQ(log.last - log.first, 131072); // 1 MiB of places
    presence_log_fini(&log);
    EXPECT_EQ(counter.bytes, 0);
}

// Without memory for what is left of somebody, everybody must be sent back to the list, instead of
// never being told. [P-43]
TEST(presence_log, loss_that_cannot_be_kept_forgets_all)
{
    for (size_t fail_at = 1; fail_at <= 2; fail_at++) {
        phi_alloc_counter counter;
        phi_alloc_counter_init(&counter, &phi_alloc_heap);
        story *st = malloc(sizeof *st);
        assert_non_null(st);
        story_init(st);
        presence_log_fini(&st->log);
        EXPECT_ERR(presence_log_init(&st->log, &counter.alloc, hash_key, BYTES_MAX), PH_OK);
        come(st, &st->shown[0], 'x');
        come(st, &st->shown[1], 'x');
        counter.fail_at = counter.takes + fail_at;
        leave(st, &st->shown[0]);
        EXPECT_EQ(st->log.last, 3);
        EXPECT(!presence_log_holds(&st->log, 2));
        EXPECT(presence_log_holds(&st->log, 3));
        presence_log_check(&st->log);
        presence_log_fini(&st->log);
        EXPECT_EQ(counter.bytes, 0);
        free(st);
    }
}
