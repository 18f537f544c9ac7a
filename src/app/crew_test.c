// SPDX-License-Identifier: Apache-2.0

#include "app/crew.h"

#include <fcntl.h>
#include <unistd.h>

#include "center/state.h"
#include "tests/harness/test.h"

typedef struct story {
    crew *crew;
    log_sink sink;
    int fd; // where the log goes
    int counts;
    center_counters counters;
    phi_turn_hook hook;
    int turns;
    center_security security;
    bool has_one_worker;
    int secured;
    int missed;
} story;

static center_options options_default(void)
{
    center_options options = center_options_default();
    options.domain = "local";
    return options;
}

static void story_begin_with(story *s, uint32_t count, const center_options *options)
{
    *s = (story){ .fd = open("/dev/null", O_WRONLY | O_CLOEXEC) };
    EXPECT(s->fd >= 0);
    log_sink_init(&s->sink, s->fd, true, PHI_LOG_ERROR);
    phi_diag diag = { "" };
    if (crew_new(&s->crew, count, options, &s->sink, &diag) != PH_OK) {
        fail_msg("%s", diag.text);
    }
}

static void story_begin(story *s, uint32_t count)
{
    const center_options options = options_default();
    story_begin_with(s, count, &options);
}

static void story_end(story *s)
{
    crew_free(&s->crew);
    EXPECT(s->crew == NULL);
    close(s->fd);
}

static void counted(void *arg, const center_counters *counters, uint64_t lines_lost)
{
    story *s = arg;
    EXPECT_EQ(lines_lost, 0);
    s->counts++;
    s->counters = *counters;
    crew_stop(s->crew);
}

static void count_in_turn(phi_turn_hook *hook)
{
    story *s = PHI_CONTAINER_OF(hook, story, hook);
    if (s->turns++ == 0) {
        EXPECT(crew_count(s->crew, counted, s));
        s->sink.log.level = PHI_LOG_WARN;
        crew_set_log(s->crew, &s->sink); // gathered: the first order is not back yet
    }
}

static void run_count_and_stop(uint32_t count)
{
    story s;
    story_begin(&s, count);
    EXPECT_ERR(center_listen(crew_center(s.crew),
                             &(center_listen_options){ .address = "127.0.0.1:0" }, NULL, NULL),
               PH_OK);
    EXPECT_ERR(crew_start(s.crew, NULL), PH_OK);
    s.hook.on_turn = count_in_turn;
    phi_io_hook(phi_uv_io(crew_uv(s.crew)), &s.hook);
    phi_io_hurry(phi_uv_io(crew_uv(s.crew)));
    crew_run(s.crew); // returns, or the test hangs
    EXPECT_EQ(s.counts, 1);
    EXPECT_EQ(s.counters.connections, 0);
    story_end(&s);
}

// A center that is told to stop must end when all its workers have, and not before; this test runs
// under TSan, too.
TEST(crew, counts_and_stops_together)
{
    run_count_and_stop(1);
    run_count_and_stop(2);
    run_count_and_stop(5);
}

static void secured(void *arg)
{
    story *s = arg;
    s->secured++;
    if (s->secured == 1) {
        return; // before the start
    }
    EXPECT(crew_count(s->crew, counted, s));
}

static void secure_in_turn(phi_turn_hook *hook)
{
    story *s = PHI_CONTAINER_OF(hook, story, hook);
    if (s->turns++ == 0) {
        EXPECT(crew_secure(s->crew, &s->security, secured, s));
        EXPECT(s->has_one_worker || !crew_secure(s->crew, &s->security, secured, s));
    }
}

static void run_secure(uint32_t count)
{
    story s;
    story_begin(&s, count);
    s.security = center_security_open;
    s.has_one_worker = count == 1;
    EXPECT(crew_secure(s.crew, &s.security, secured, &s));
    EXPECT_EQ(s.secured, 1); // nobody came in before
    EXPECT_ERR(crew_start(s.crew, NULL), PH_OK);
    s.hook.on_turn = secure_in_turn;
    phi_io_hook(phi_uv_io(crew_uv(s.crew)), &s.hook);
    phi_io_hurry(phi_uv_io(crew_uv(s.crew)));
    crew_run(s.crew);
    EXPECT(s.secured >= 2);
    story_end(&s);
}

// What was in force before is freed when `secured` is called: a worker that still used it would use
// freed memory.
TEST(crew, secures_all_before_it_says_so)
{
    run_secure(1);
    run_secure(2);
    run_secure(5);
}

// As the keeper does it: what is new is told to the logs, and what waits is begun at once.
static void secured_again(void *arg)
{
    enum { ROUNDS = 20 };
    story *s = arg;
    s->secured++;
    crew_set_log(s->crew, &s->sink);
    if (s->secured <= ROUNDS) {
        EXPECT(crew_secure(s->crew, &s->security, secured_again, s));
    } else {
        EXPECT(crew_count(s->crew, counted, s));
    }
}

static void secure_again_in_turn(phi_turn_hook *hook)
{
    story *s = PHI_CONTAINER_OF(hook, story, hook);
    if (s->turns++ == 0) {
        EXPECT(crew_secure(s->crew, &s->security, secured_again, s));
    }
}

// A worker that reports an order while the next ones are given must get each of them once, in turn:
// were it counted twice, another could still use what is freed then.
TEST(crew, secures_again_when_it_says_so)
{
    for (uint32_t count = 1; count <= 5; count += 2) {
        story s;
        story_begin(&s, count);
        s.security = center_security_open;
        EXPECT_ERR(crew_start(s.crew, NULL), PH_OK);
        s.hook.on_turn = secure_again_in_turn;
        phi_io_hook(phi_uv_io(crew_uv(s.crew)), &s.hook);
        phi_io_hurry(phi_uv_io(crew_uv(s.crew)));
        crew_run(s.crew);
        EXPECT_EQ(s.counters.security_changes_total, (uint64_t)s.secured);
        story_end(&s);
    }
}

static void key_missed(void *arg)
{
    story *s = arg;
    s->missed++;
}

// Peers could have the keys fetched a thousand times a second: many misses are one.
TEST(crew, tells_once_of_many_unknown_keys)
{
    story s;
    story_begin(&s, 1);
    crew_on_key_missed(s.crew, key_missed, &s);
    const center_options *options = &crew_center(s.crew)->options;
    for (int i = 0; i < 100; i++) {
        options->on_unknown_key(options->on_unknown_key_arg);
    }
    EXPECT_EQ(s.missed, 0); // inside of a turn
    phi_uv_turn(crew_uv(s.crew), phi_ns(0));
    EXPECT_EQ(s.missed, 1);
    phi_uv_turn(crew_uv(s.crew), phi_ns(0)); // it was heard
    options->on_unknown_key(options->on_unknown_key_arg);
    phi_uv_turn(crew_uv(s.crew), phi_ns(0));
    EXPECT_EQ(s.missed, 2);
    story_end(&s);
}

// Two askers at once get one answer, not a mixture of two.
TEST(crew, counts_once_at_a_time)
{
    story s;
    story_begin(&s, 2);
    EXPECT(crew_count(s.crew, counted, &s)); // the other has no thread yet
    EXPECT(!crew_count(s.crew, counted, &s));
    EXPECT_EQ(s.counts, 0);
    EXPECT_ERR(crew_start(s.crew, NULL), PH_OK);
    crew_run(s.crew);
    EXPECT_EQ(s.counts, 1);
    story_end(&s);
}

// A center that cannot listen ends before its workers have run, or while they do.
TEST(crew, ends_without_having_run)
{
    story s;
    story_begin(&s, 3);
    story_end(&s);
    story_begin(&s, 3);
    EXPECT_ERR(crew_start(s.crew, NULL), PH_OK);
    story_end(&s);
}

// An operator sizes the machine by the limits of the whole center: with all of it for each worker,
// send buffers could take as many times the memory.
TEST(crew, shares_out_the_limits_of_the_whole_center)
{
    center_options options = options_default();
    options.streams_max = 3; // too few for each to have one
    story s;
    for (uint32_t count = 1; count <= 4; count++) {
        story_begin_with(&s, count, &options);
        const center_options *own = &crew_center(s.crew)->options;
        EXPECT_EQ(own->send_memory_max, options.send_memory_max / count);
        EXPECT_EQ(own->calls_max, options.calls_max / count);
        EXPECT_EQ(own->connections_joining_max, options.connections_joining_max / count);
        EXPECT_EQ(own->streams_max, count < 4 ? 3 / count : 1);
        EXPECT_EQ(own->connections_max, options.connections_max); // the first one counts them all
        EXPECT_EQ(own->deliveries_per_turn_max, options.deliveries_per_turn_max);
        story_end(&s);
    }
}
