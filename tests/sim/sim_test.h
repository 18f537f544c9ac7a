// SPDX-License-Identifier: Apache-2.0
//
// tests/sim/sim_test.h - scenario tests: stories in exact virtual time.

#ifndef TESTS_SIM_SIM_TEST_H
#define TESTS_SIM_SIM_TEST_H

#include "sim/sim.h"
#include "tests/harness/test.h"

// A story is a test as any other; the name says that it runs in the simulator.
#define SIM_TEST(object, situation_outcome) TEST(sim_##object, situation_outcome)

// A story about a center, which is true however many workers it has: told with one, with two and
// with three.
#define CENTER_TEST(object, situation_outcome)                                                     \
    static void tell_##object##_##situation_outcome(void);                                         \
    SIM_TEST(object, situation_outcome)                                                            \
    {                                                                                              \
        sim_workers = 1;                                                                           \
        tell_##object##_##situation_outcome();                                                     \
    }                                                                                              \
    SIM_TEST(object, situation_outcome##_with_2_workers)                                           \
    {                                                                                              \
        sim_workers = 2;                                                                           \
        tell_##object##_##situation_outcome();                                                     \
    }                                                                                              \
    SIM_TEST(object, situation_outcome##_with_3_workers)                                           \
    {                                                                                              \
        sim_workers = 3;                                                                           \
        tell_##object##_##situation_outcome();                                                     \
    }                                                                                              \
    static void tell_##object##_##situation_outcome(void)

// So many the story that is being told has. Their mail takes no time, so that exact times hold.
extern uint32_t sim_workers;

// World time is exactly that long after the beginning.
#define EXPECT_SIM_TIME(s, duration) assert_int_equal(sim_now(s).ns, (duration).ns)

#define MS(n) phi_ms(n)
#define SECONDS(n) phi_seconds(n)

#endif // TESTS_SIM_SIM_TEST_H
