// SPDX-License-Identifier: Apache-2.0
//
// center/worker_test.c - a worker without memory for what the first one decided. What workers do
// together else is told in virtual time, by tests/sim/worker_sim.c.

#include "center/worker.h"

#include <string.h>

#include "tests/center/world.h"
#include "tests/harness/death.h"
#include "tests/harness/test.h"

#define SHORTAGE_MS 1000u

PH_STATIC_ASSERT(SHORTAGE_MS < WORKER_STILL_MS);

// The first worker turns alone, until it has told all; the mail of the second one waits.
static void turn_first(world *w)
{
    for (int i = 0; i < 20; i++) {
        world_turn_worker(w, WORKER_FIRST);
    }
}

// From here on there is no memory, until a loop has stood still for so long.
static void take_memory(world *w, uint64_t ms)
{
    w->alloc.bytes_max = w->alloc.bytes;
    w->memory_after_ms = ms;
}

// Two workers, a watcher at home with the second one, and news for that, which it has not read.
static peer *world_of_two(world **out)
{
    world *w = world_new_of(2, NULL);
    world_join(w, "at-first");
    peer *watcher = world_watch(w, "at-second");
    *out = w;
    return watcher;
}

// A worker that left out whom it has no memory for would show a list that lacks him, and answer
// that he is not there, for as long as he stays. [P-48]
TEST(worker, without_memory_for_a_newcomer_is_late_and_not_wrong)
{
    world *w;
    peer *watcher = world_of_two(&w);
    world_connect(w, "newcomer");
    turn_first(w);
    EXPECT_EQ(center_count(w->c).listed, 3);
    EXPECT_EQ(watcher->table_count, 2);

    take_memory(w, SHORTAGE_MS);
    world_turn_worker(w, 1);
    EXPECT_EQ(w->stood_still_ms, SHORTAGE_MS);
    EXPECT(world_logged(w, "CE0025"));
    EXPECT(!world_logged(w, "CE0026"));
    EXPECT_EQ(world_count(w).standstills_total, 1);
    world_settle(w);
    EXPECT_EQ(watcher->table_count, 3);
    world_expect_converged(w, watcher);
    peer_request(watcher, "newcomer", 1, 1000);
    world_settle(w);
    EXPECT_EQ(world_count(w).calls, 1); // it was found
    world_free(w);
}

// The same of a line that grows: shown as it was, it would be wrong until it changes again. [P-48]
TEST(worker, without_memory_for_a_line_is_late_and_not_wrong)
{
    static const uint8_t bulk[PHI_METADATA_VALUE_BYTES_MAX];
    world *w;
    peer *watcher = world_of_two(&w);
    phi_own_state own = { .has_metadata = true, .metadata_count = 1 };
    own.metadata[0] = (phi_metadata){ phi_bytes_text("k"), phi_bytes_of(bulk, sizeof bulk) };
    peer_own_state(w->peers[0], &own);
    turn_first(w);

    take_memory(w, SHORTAGE_MS);
    world_turn_worker(w, 1);
    EXPECT_EQ(w->stood_still_ms, SHORTAGE_MS);
    world_settle(w);
    EXPECT_EQ(watcher->table_count, 2);
    world_expect_converged(w, watcher);
    world_free(w);
}

// Whatever allocation it is that fails, the step is taken whole when there is memory again. What a
// failed try left behind would be found when everything is freed. [P-48]
TEST(worker, takes_a_step_whole_whichever_allocation_fails)
{
    size_t failures = 0;
    for (size_t n = 1; n <= 40; n++) {
        world *w;
        peer *watcher = world_of_two(&w);
        peer *newcomer = world_connect(w, "newcomer");
        newcomer->join.service = phi_bytes_text("s");
        turn_first(w);
        w->alloc.fail_at = w->alloc.takes + n;
        world_turn_worker(w, 1);
        w->alloc.fail_at = 0;
        failures += w->stood_still_ms != 0;
        world_settle(w);
        EXPECT(newcomer->is_open);
        if (!watcher->is_ended) { // nor had it memory for what the watcher is sent
            world_expect_converged(w, watcher);
        }
        world_free(w);
    }
    EXPECT(failures > 5); // id, line, service, places
}

static void starve(void *arg)
{
    world *w;
    (void)arg;
    world_of_two(&w);
    world_connect(w, "newcomer");
    turn_first(w);
    take_memory(w, UINT64_MAX);
    world_turn_worker(w, 1);
}

// For ever it cannot wait: its clients would take it for dead, and come back to it. An operator who
// finds the process gone has to learn why.
TEST(worker, without_memory_for_long_ends_the_process_and_says_why)
{
    char said[1024];
    EXPECT(death_of(starve, NULL, said, sizeof said));
    assert_non_null(strstr(said, "out of memory: a worker could not show the list"));
}
