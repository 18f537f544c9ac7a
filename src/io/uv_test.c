// SPDX-License-Identifier: Apache-2.0

#include "io/uv.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include "tests/harness/test.h"
#include "tests/io/uv_contract.h"
#include "tests/io/uv_fixture.h"

// ---- the contract, on real sockets

IO_CONTRACT(&uv_contract_driver)

// ---- what only the loop on libuv has

// Wakes from another thread, when the loop is likely to wait already.
static void *wake_later(void *arg)
{
    phi_uv_wake((phi_uv *)arg);
    return NULL;
}

static void *stop_later(void *arg)
{
    phi_uv_stop((phi_uv *)arg);
    return NULL;
}

// ph_loop_stop and the blocking calls of other threads rest on it; this test runs under TSan, too.
TEST(uv, wake_from_another_thread_ends_a_wait)
{
    fixture *f = fixture_new(NULL);
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, NULL, wake_later, f->uv), 0);
    phi_uv_turn(f->uv, (phi_dur){ UINT64_MAX }); // returns, or the test hangs
    EXPECT_EQ(pthread_join(thread, NULL), 0);
    fixture_free(f);
}

// A program that is told to end by another of its threads must end, and not at its next packet.
TEST(uv, stop_from_another_thread_ends_run)
{
    fixture *f = fixture_new(NULL);
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, NULL, stop_later, f->uv), 0);
    phi_uv_run(f->uv);
    EXPECT_EQ(pthread_join(thread, NULL), 0);
    fixture_free(f);
}

typedef struct turn_counter {
    phi_turn_hook hook;
    int turns;
} turn_counter;

static void count_turn(phi_turn_hook *hook)
{
    PHI_CONTAINER_OF(hook, turn_counter, hook)->turns++;
}

// A stop that comes before the run (a signal during the start) must not be lost, and what was
// queued must still be written.
TEST(uv, stop_before_run_gives_one_turn)
{
    fixture *f = fixture_new(NULL);
    turn_counter counter = { .hook = { .on_turn = count_turn } };
    phi_io_hook(f->io, &counter.hook);
    phi_uv_stop(f->uv);
    phi_uv_turn(f->uv, phi_ns(0)); // takes the wake, not the stop
    counter.turns = 0;
    phi_uv_run(f->uv);
    EXPECT_EQ(counter.turns, 1);
    phi_io_unhook(&counter.hook);
    fixture_free(f);
}

static void stop_on_signal(void *arg, int signum)
{
    fixture *f = (fixture *)arg;
    EXPECT_EQ(signum, SIGUSR1);
    EXPECT(f->io->is_turning);
    f->sheds++;
    phi_uv_stop(f->uv);
}

// SIGTERM must end a program in order, on its loop.
TEST(uv, signals_fire_on_the_loop)
{
    fixture *f = fixture_new(NULL);
    f->descriptors = 0; // libuv opens the pipe for signals when it is first needed
    EXPECT_ERR(phi_uv_signal(f->uv, SIGUSR1, stop_on_signal, f), PH_OK);
    for (int i = 1; i < PHI_UV_SIGNALS_MAX; i++) {
        EXPECT_ERR(phi_uv_signal(f->uv, SIGUSR2, stop_on_signal, f), PH_OK);
    }
    EXPECT_ERR(phi_uv_signal(f->uv, SIGUSR2, stop_on_signal, f), PH_ELIMIT);
    EXPECT_EQ(raise(SIGUSR1), 0);
    EXPECT_EQ(f->sheds, 0);
    phi_uv_run(f->uv);
    EXPECT_EQ(f->sheds, 1);
    fixture_free(f);
}

// A signal that comes when its loop has gone must not end a program that was ending in order. It
// would end this one.
TEST(uv, signal_that_is_held_does_not_end_the_program)
{
    fixture *f = fixture_new(NULL);
    f->descriptors = 0;
    EXPECT_ERR(phi_uv_signal(f->uv, SIGUSR1, stop_on_signal, f), PH_OK);
    sigset_t before;
    EXPECT_EQ(sigprocmask(SIG_SETMASK, NULL, &before), 0);
    phi_uv_signal_hold(SIGUSR1);
    fixture_free(f);
    EXPECT_EQ(raise(SIGUSR1), 0);
    sigset_t waiting;
    EXPECT_EQ(sigpending(&waiting), 0);
    EXPECT_EQ(sigismember(&waiting, SIGUSR1), 1);
    int signum = 0;
    EXPECT_EQ(sigwait(&waiting, &signum), 0);
    EXPECT_EQ(signum, SIGUSR1);
    EXPECT_EQ(sigprocmask(SIG_SETMASK, &before, NULL), 0);
}

// A turn with a limit ends at it: the blocking calls of the client are built on that.
TEST(uv, turn_waits_no_longer_than_told)
{
    fixture *f = fixture_new(NULL);
    phi_time before = phi_io_now(f->io);
    phi_uv_turn(f->uv, phi_ms(3));
    phi_dur took = phi_time_diff(phi_io_now(f->io), before);
    EXPECT(took.ns >= phi_ms(2).ns);
    EXPECT(took.ns < phi_ms(500).ns);
    fixture_free(f);
}

// Polls as somebody else's loop would; false when nothing happened in 5 s.
static bool embed(fixture *f)
{
    phi_time deadline = phi_uv_deadline(f->uv);
    int wait_ms = 5000;
    if (!phi_time_is_never(deadline)) {
        uint64_t ms = phi_dur_ms(phi_time_diff(deadline, phi_io_now(f->io)));
        wait_ms = ms < 5000 ? (int)ms : wait_ms;
    }
    struct pollfd wait = { .fd = phi_uv_fd(f->uv), .events = POLLIN };
    int rc = poll(&wait, 1, wait_ms);
    bool is_late = rc == 0 && wait_ms == 5000;
    phi_uv_turn(f->uv, phi_ns(0));
    return !is_late;
}

#define EMBED_UNTIL(f, condition)                                                                  \
    do {                                                                                           \
        for (int turns_ = 0;; turns_++) {                                                          \
            if (condition) {                                                                       \
                break;                                                                             \
            }                                                                                      \
            if (turns_ == 10000 || !embed(f)) {                                                    \
                fail_msg("never came: %s", #condition);                                            \
            }                                                                                      \
        }                                                                                          \
    } while (0)

// In somebody else's loop nothing may wait for an event that libuv has not asked the kernel for
// yet: a connect, a close, a timer, something hurried.
TEST(uv, embedded_in_another_loop_misses_nothing)
{
    fixture *f = fixture_new("127.0.0.1:0");
    EMBED_UNTIL(f, phi_time_is_never(phi_uv_deadline(f->uv)));
    fixture_connect(f, f->address);
    EXPECT(!phi_time_before(f->io->now, phi_uv_deadline(f->uv)));
    EMBED_UNTIL(f, f->client.opened == 1 && f->count == 1);
    EXPECT_EQ(phi_stream_write(f->io, f->client.stream, phi_bytes_text("hello")), 5);
    EMBED_UNTIL(f, f->ends[0].size == 5);
    phi_stream_close(f->io, f->client.stream);
    EXPECT(!phi_time_before(f->io->now, phi_uv_deadline(f->uv)));
    EMBED_UNTIL(f, f->client.closed == 1 && f->ends[0].closed == 1);
    EMBED_UNTIL(f, f->uv->lingering_count == 0);
    EMBED_UNTIL(f, phi_time_before(phi_io_now(f->io), phi_uv_deadline(f->uv)));
    phi_io_hurry(f->io);
    EXPECT(!phi_time_before(f->io->now, phi_uv_deadline(f->uv)));
    phi_uv_turn(f->uv, phi_ns(0));
    EXPECT(phi_time_before(f->io->now, phi_uv_deadline(f->uv)));
    fixture_free(f);
}

static void timer_stops(phi_timer *timer, phi_time now)
{
    (void)now;
    timer->fire = NULL;
}

// Timers that are set while the loop's own alarm is set for another time must move it, in both
// directions, or a call's deadline waits for an unrelated one.
TEST(uv, alarm_follows_the_first_timer)
{
    fixture *f = fixture_new(NULL);
    phi_timer far;
    phi_timer near;
    phi_timer_init(&far, timer_stops);
    phi_timer_init(&near, timer_stops);
    phi_timer_set(&f->io->timers, &far, phi_time_add(phi_io_now(f->io), phi_seconds(60)));
    phi_uv_turn(f->uv, phi_ms(1)); // the alarm is set
    phi_time start = phi_io_now(f->io);
    phi_timer_set(&f->io->timers, &near, phi_time_add(start, phi_ms(5)));
    for (int i = 0; i < 100 && phi_timer_is_set(&near); i++) {
        phi_uv_turn(f->uv, phi_seconds(1));
    }
    EXPECT(!phi_timer_is_set(&near));
    phi_dur took = phi_time_diff(f->io->now, start);
    EXPECT(took.ns >= phi_ms(5).ns);
    EXPECT(took.ns < phi_ms(500).ns);
    EXPECT(phi_timer_is_set(&far));
    phi_timer_clear(&f->io->timers, &far);
    phi_uv_turn(f->uv, phi_ns(0));
    fixture_free(f);
}

// ---- polling before a wait

static uint64_t thread_cpu_ns(void)
{
    struct timespec t;
    EXPECT_EQ(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t), 0);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

// A loop that polled on although nothing comes would take a whole processor from a machine that has
// nothing to do.
TEST(uv, busy_poll_ends_when_nothing_comes)
{
    fixture *f = fixture_new(NULL);
    phi_uv_busy_poll(f->uv, phi_us(100));
    uint64_t cpu_ns = thread_cpu_ns();
    phi_time begun = phi_io_now(f->io);
    phi_uv_turn(f->uv, phi_ms(40)); // may end early: libuv wakes for itself at first
    phi_uv_turn(f->uv, phi_ms(40));
    uint64_t took_ns = phi_time_diff(phi_io_now(f->io), begun).ns;
    EXPECT(took_ns >= phi_ms(40).ns);
    EXPECT_EQ(f->uv->busy_poll.unpaid, 1); // and not again
    EXPECT_EQ(f->uv->busy_poll.paid, 0);
    EXPECT(thread_cpu_ns() - cpu_ns < took_ns / 2);
    fixture_free(f);
}

// What is there already is no reason to poll, nor is a turn that does not wait; neither may count
// for or against it, or a loop with always more to do forgot what it has learnt.
TEST(uv, busy_poll_learns_nothing_from_what_is_there)
{
    fixture *f = fixture_new("127.0.0.1:0");
    int raw = raw_connect_accepted(f, 0);
    fixture_settle(f);
    phi_uv_busy_poll(f->uv, phi_us(PHI_UV_BUSY_POLL_US_MAX));
    EXPECT_EQ(send(raw, "x", 1, 0), 1);
    phi_uv_turn(f->uv, phi_seconds(3600));
    EXPECT_EQ(f->ends[0].size, 1);
    phi_uv_turn(f->uv, phi_ns(0));
    EXPECT_EQ(f->uv->busy_poll.paid, 0);
    EXPECT_EQ(f->uv->busy_poll.unpaid, 0);
    close(raw);
    FIXTURE_UNTIL(f, f->ends[0].closed == 1);
    fixture_free(f);
}

// Work that came while it polled ends the turn and counts by the clock. Without the count a loop
// would never stop polling, or never begin.
TEST(uv, busy_poll_counts_what_comes_meanwhile)
{
    fixture *f = fixture_new(NULL);
    phi_uv_busy_poll(f->uv, phi_us(PHI_UV_BUSY_POLL_US_MAX));
    uint64_t polls = 0;
    while (f->uv->busy_poll.paid == 0) { // how soon a thread comes to it is up to the machine
        f->uv->busy_poll.pause = 0;
        pthread_t thread;
        EXPECT_EQ(pthread_create(&thread, NULL, wake_later, f->uv), 0);
        phi_uv_turn(f->uv, phi_seconds(3600));
        EXPECT_EQ(pthread_join(thread, NULL), 0);
        EXPECT(f->uv->busy_poll.paid + f->uv->busy_poll.unpaid <= ++polls);
    }
    fixture_free(f);
}

// Who has had enough of polls that do not pay sleeps, and each sleep that is short is one less to
// the next. If that were not counted, a loop that paused once never polled again.
TEST(uv, busy_poll_counts_short_sleeps)
{
    fixture *f = fixture_new(NULL);
    phi_uv_busy_poll(f->uv, phi_us(PHI_UV_BUSY_POLL_US_MAX));
    f->uv->busy_poll.pause = 3;
    while (f->uv->busy_poll.pause != 0) {
        phi_uv_wake(f->uv);
        phi_uv_turn(f->uv, phi_seconds(3600));
    }
    EXPECT_EQ(f->uv->busy_poll.paid + f->uv->busy_poll.unpaid, 0);
    fixture_free(f);
}

// Polling takes the wake-up that would have ended the wait; it must end the turn all the same, or
// the loop slept through it.
TEST(uv, busy_poll_does_not_swallow_a_wake)
{
    fixture *f = fixture_new(NULL);
    phi_uv_busy_poll(f->uv, phi_us(PHI_UV_BUSY_POLL_US_MAX));
    phi_uv_wake(f->uv);
    phi_uv_turn(f->uv, phi_seconds(3600));
    phi_uv_stop(f->uv);
    phi_uv_turn(f->uv, phi_seconds(3600));
    fixture_free(f);
}

// Who waits for less than the bound, or for a timer, must not be kept for longer.
TEST(uv, busy_poll_ends_with_the_wait_and_the_next_timer)
{
    fixture *f = fixture_new(NULL);
    phi_uv_busy_poll(f->uv, phi_us(PHI_UV_BUSY_POLL_US_MAX));
    phi_uv_turn(f->uv, phi_ns(1));
    EXPECT_EQ(f->uv->busy_poll.unpaid, 1);

    phi_timer near;
    phi_timer_init(&near, timer_stops);
    phi_timer_set(&f->io->timers, &near, phi_io_now(f->io));
    while (phi_time_before(phi_io_now(f->io), phi_timers_next(&f->io->timers))) {
    }
    f->uv->busy_poll.pause = 0;
    phi_uv_turn(f->uv, phi_seconds(3600));
    EXPECT(!phi_timer_is_set(&near));
    EXPECT_EQ(f->uv->busy_poll.unpaid, 2);
    fixture_free(f);
}
