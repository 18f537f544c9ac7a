// SPDX-License-Identifier: Apache-2.0

#include "io/busy_poll.h"

#include "tests/harness/test.h"

#define BOUND (phi_us(50))
#define SHORT (phi_us(50 * PHI_BUSY_POLL_SHORT))
#define LONG (phi_ns(SHORT.ns + 1))

// A wait of a loop that would be over after `length` if somebody polled. True: it polled.
static bool wait(phi_busy_poll *poll, phi_dur length)
{
    bool polls = phi_busy_poll_wants(poll);
    if (polls) {
        bool is_over = length.ns <= poll->bound.ns;
        phi_busy_poll_polled(poll, is_over ? length : poll->bound, is_over);
    } else if (poll->bound.ns != 0) {
        phi_busy_poll_slept(poll, length);
    }
    return polls;
}

// One that always fails: how many waits until the next poll.
static uint32_t next_pause(phi_busy_poll *poll)
{
    uint32_t waits = 0;
    while (!wait(poll, SHORT)) {
        waits++;
    }
    return waits;
}

// A loop that is not to poll must not.
TEST(busy_poll, without_a_bound_it_never_polls)
{
    phi_busy_poll poll;
    phi_busy_poll_init(&poll, phi_ns(0));
    EXPECT(!phi_busy_poll_wants(&poll));
}

// Where it pays each time, each wait must be polled.
TEST(busy_poll, what_pays_goes_on)
{
    phi_busy_poll poll;
    phi_busy_poll_init(&poll, BOUND);
    for (int i = 0; i < 1000; i++) {
        EXPECT(wait(&poll, BOUND));
    }
    EXPECT_EQ(poll.paid, 1000);
    EXPECT_EQ(poll.unpaid, 0);
}

// A loop with nothing to do but a heartbeat now and then burnt processor time all night.
TEST(busy_poll, long_waits_are_not_polled)
{
    phi_busy_poll poll;
    phi_busy_poll_init(&poll, BOUND);
    EXPECT(wait(&poll, LONG)); // nothing is known yet
    for (int i = 0; i < 100000; i++) {
        EXPECT(!wait(&poll, LONG));
    }
    EXPECT_EQ(poll.unpaid, 1);
}

// Where waits are short but never short enough, each try must be rarer than the one before, down
// to one in PHI_BUSY_POLL_PAUSE_MAX, and not rarer: the load may change.
TEST(busy_poll, what_never_pays_is_tried_ever_more_seldom)
{
    phi_busy_poll poll;
    phi_busy_poll_init(&poll, BOUND);
    EXPECT_EQ(next_pause(&poll), 0);
    for (uint32_t pause = 1; pause <= PHI_BUSY_POLL_PAUSE_MAX; pause *= 2) {
        EXPECT_EQ(next_pause(&poll), pause);
    }
    EXPECT_EQ(next_pause(&poll), PHI_BUSY_POLL_PAUSE_MAX);
    EXPECT_EQ(next_pause(&poll), PHI_BUSY_POLL_PAUSE_MAX);
}

// With more who work than processors, whoever polls gives them its turn and gets it back late. It
// must stop at once, though it found something: each such poll costs the time of a thousand waits.
TEST(busy_poll, starved_ones_stop_at_once)
{
    phi_busy_poll poll;
    phi_busy_poll_init(&poll, BOUND);
    EXPECT(wait(&poll, phi_us(1)));
    phi_busy_poll_polled(&poll, phi_ns(BOUND.ns * PHI_BUSY_POLL_STARVED), true);
    EXPECT_EQ(poll.pause, 1); // late, as may be when all are awake
    EXPECT(!wait(&poll, phi_us(1)));
    phi_busy_poll_polled(&poll, phi_ns(BOUND.ns * PHI_BUSY_POLL_STARVED + 1), true);
    EXPECT_EQ(poll.pause, PHI_BUSY_POLL_PAUSE_MAX);
    EXPECT_EQ(poll.unpaid, 2);
}

// After the longest pause a load that pays must be polled again for good, though some waits of it
// are not over in time.
TEST(busy_poll, trust_comes_back)
{
    phi_busy_poll poll;
    phi_busy_poll_init(&poll, BOUND);
    while (next_pause(&poll) < PHI_BUSY_POLL_PAUSE_MAX) {
    }
    uint32_t waits = 0;
    while (!wait(&poll, phi_us(1))) { // those that it sleeps through are short, and count
        waits++;
    }
    EXPECT_EQ(waits, PHI_BUSY_POLL_PAUSE_MAX);
    for (int i = 0; i < 60; i++) {
        EXPECT(wait(&poll, phi_us(1)));
    }
    EXPECT(wait(&poll, SHORT));
    EXPECT(!wait(&poll, phi_us(1))); // one wait is all that this one costs
    EXPECT(wait(&poll, phi_us(1)));
}

// Of 10,000 waits, of which one in `one_in` is not over in time: how many were polled for nothing.
static uint64_t unpaid_among(uint32_t one_in)
{
    phi_busy_poll poll;
    phi_busy_poll_init(&poll, BOUND);
    for (uint32_t i = 1; i <= 10000; i++) {
        (void)wait(&poll, i % one_in == 0 ? SHORT : phi_us(1));
    }
    return poll.unpaid;
}

// The balance that the header promises. If it shifted, a loop would burn half a processor for
// every other wait, or give up polling for a rare one.
TEST(busy_poll, one_in_six_is_the_balance)
{
    EXPECT(unpaid_among(10) > 800); // of 1,000: it polls on
    EXPECT(unpaid_among(4) < 100);  // of 2,500
    EXPECT(unpaid_among(2) < 40);   // of 5,000: as call and reply of a slow caller take turns
    EXPECT(unpaid_among(1) < 25);
}
