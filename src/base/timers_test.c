// SPDX-License-Identifier: Apache-2.0

#include "base/timers.h"

#include <string.h>

#include "base/compiler.h"
#include "base/random.h"
#include "tests/harness/test.h"

#define MS UINT64_C(1000000)

static phi_time at_ms(uint64_t ms)
{
    return (phi_time){ ms * MS };
}

// ---- a model: an array, searched

#define MODEL_MAX 200
#define TICK_NONE UINT64_MAX

typedef struct model_timer {
    phi_timer timer;
    uint64_t tick; // when it is to fire; TICK_NONE not set
    uint64_t sequence;
    phi_time when;
    bool is_due; // in this run
} model_timer;

static struct {
    phi_timers timers;
    phi_random random;
    phi_time now;
    phi_time when; // for which one was set last
    uint64_t tick; // of the last run
    uint64_t sequence;
    uint64_t fired;
    unsigned distance_bits; // how far away timers are set, at most
    model_timer timer[MODEL_MAX];
} model;

// The first in the promised order: by tick, then by the order of setting.
static model_timer *model_first(bool only_due)
{
    model_timer *first = NULL;
    for (size_t i = 0; i < MODEL_MAX; i++) {
        model_timer *t = &model.timer[i];
        if (t->tick == TICK_NONE || (only_due && !t->is_due)) {
            continue;
        }
        if (first == NULL || t->tick < first->tick ||
            (t->tick == first->tick && t->sequence < first->sequence)) {
            first = t;
        }
    }
    return first;
}

static void model_change_one(void);

static void model_fire(phi_timer *timer, phi_time now)
{
    model_timer *t = PHI_CONTAINER_OF(timer, model_timer, timer);
    assert_ptr_equal(t, model_first(true));
    EXPECT_EQ(now.ns, model.now.ns);
    EXPECT(!phi_timer_is_set(timer));
    t->tick = TICK_NONE;
    t->is_due = false;
    model.fired++;
    while (phi_random_chance(&model.random, 40)) {
        model_change_one();
    }
}

static phi_time model_random_time(void)
{
    if (phi_random_chance(&model.random, 5)) {
        return PHI_TIME_NEVER;
    }
    if (phi_random_chance(&model.random, 10)) { // passed, or now
        uint64_t back = phi_random_below(&model.random, 5 * MS);
        return (phi_time){ model.now.ns > back ? model.now.ns - back : 0 };
    }
    uint64_t bits = phi_random_below(&model.random, model.distance_bits + 1);
    uint64_t away = phi_random_next(&model.random) & ((UINT64_C(2) << bits) - 1);
    phi_time when = phi_time_add(model.now, phi_ns(away));
    if (phi_random_chance(&model.random, 50)) { // many on the same tick, and exactly on it
        when.ns -= when.ns % MS;
    }
    return when;
}

static void model_change_one(void)
{
    model_timer *t = &model.timer[phi_random_below(&model.random, MODEL_MAX)];
    t->is_due = false;
    if (phi_random_chance(&model.random, 30)) {
        phi_timer_clear(&model.timers, &t->timer);
        t->tick = TICK_NONE;
    } else {
        bool is_same = phi_random_chance(&model.random, 30); // as the one before
        model.when = is_same ? model.when : model_random_time();
        t->when = model.when;
        if (phi_timer_is_set(&t->timer)) {
            phi_timer_set(&model.timers, &t->timer, t->when);
        } else {
            phi_timer_start(&model.timers, &t->timer, t->when);
        }
        uint64_t tick = t->when.ns / MS + (t->when.ns % MS != 0);
        t->tick = phi_time_is_never(t->when) ? TICK_NONE : tick;
        if (t->tick < model.tick) {
            t->tick = model.tick;
        }
        t->sequence = ++model.sequence;
    }
    EXPECT_EQ(phi_timer_is_set(&t->timer), t->tick != TICK_NONE);
}

static void model_run(phi_time now)
{
    model.now = now;
    model.tick = now.ns / MS;
    for (size_t i = 0; i < MODEL_MAX; i++) {
        model.timer[i].is_due = model.timer[i].tick <= model.tick;
    }
    phi_timers_run(&model.timers, now);
    assert_null(model_first(true)); // all that were due have fired
}

static void model_check_next(void)
{
    phi_time next = phi_timers_next(&model.timers);
    model_timer *first = model_first(false);
    if (first == NULL) {
        EXPECT(phi_time_is_never(next));
        EXPECT_EQ(model.timers.count, 0);
    } else if (first->tick <= UINT64_MAX / MS) {
        EXPECT(next.ns <= first->tick * MS);
        EXPECT(next.ns / MS >= model.tick);
    }
}

static void agrees_with_the_model(uint64_t seed, phi_time start, unsigned distance_bits)
{
    memset(&model, 0, sizeof model);
    model.random = phi_random_seeded(seed);
    model.now = start;
    model.tick = start.ns / MS;
    model.distance_bits = distance_bits;
    phi_timers_init(&model.timers, start);
    for (size_t i = 0; i < MODEL_MAX; i++) {
        phi_timer_init(&model.timer[i].timer, model_fire);
        model.timer[i].tick = TICK_NONE;
    }
    for (int step = 0; step < 4000; step++) {
        for (uint64_t n = phi_random_below(&model.random, 8); n > 0; n--) {
            model_change_one();
        }
        model_check_next();
        phi_time next = phi_timers_next(&model.timers);
        if (phi_random_chance(&model.random, 60) && !phi_time_is_never(next)) {
            model_run(next.ns < model.now.ns ? model.now : next);
        } else {
            uint64_t bits = phi_random_below(&model.random, distance_bits + 1);
            uint64_t away = phi_random_next(&model.random) & ((UINT64_C(1) << bits) - 1);
            // Not to the end of time: there would be nothing left to test.
            model_run(model.now.ns > UINT64_MAX / 2 ? model.now
                                                    : phi_time_add(model.now, phi_ns(away)));
        }
    }
    EXPECT(model.fired > 1000);
}

// Deadlines must be kept exactly: all that are due, none that is not, in the promised order,
// whatever the callbacks set and clear, over every level of the wheel.
TEST(timers, random_use_agrees_with_a_searched_array)
{
    agrees_with_the_model(1, at_ms(0), 24);  // up to 33 ms: level 0
    agrees_with_the_model(2, at_ms(63), 30); // 2 s
    agrees_with_the_model(3, (phi_time){ 4095 * MS + 5 }, 36);
    agrees_with_the_model(4, at_ms(123456789), 44); // hours
    agrees_with_the_model(5, at_ms((UINT64_C(1) << 36) - 3), 50);
    agrees_with_the_model(6, at_ms((UINT64_C(1) << 42) - 3), 56);
    agrees_with_the_model(7, at_ms((UINT64_C(1) << 42) * 3 - 70), 62); // every level, and beyond
}

// ---- single properties, for reading

static char trace[64];

typedef struct named_timer {
    phi_timer timer;
    char name;
} named_timer;

static void note(phi_timer *timer, phi_time now)
{
    (void)now;
    size_t used = strlen(trace);
    trace[used] = PHI_CONTAINER_OF(timer, named_timer, timer)->name;
    trace[used + 1] = '\0';
}

static void fixture(phi_timers *timers, named_timer *named, size_t count, phi_time now)
{
    trace[0] = '\0';
    phi_timers_init(timers, now);
    for (size_t i = 0; i < count; i++) {
        phi_timer_init(&named[i].timer, note);
        named[i].name = (char)('a' + i);
    }
}

// A call that times out before its deadline breaks a promise made to the caller. [P-57]
TEST(timers, never_early_at_most_one_millisecond_late)
{
    for (uint64_t offset = 0; offset < MS; offset += 99999) {
        phi_timers timers;
        named_timer t;
        fixture(&timers, &t, 1, (phi_time){ 500 });
        phi_time when = { 7 * MS + offset };
        phi_timer_set(&timers, &t.timer, when);
        phi_time next = phi_timers_next(&timers);
        EXPECT(next.ns >= when.ns);
        EXPECT(next.ns - when.ns < MS);
        phi_timers_run(&timers, (phi_time){ next.ns - 1 });
        EXPECT_TEXT(trace, "");
        phi_timers_run(&timers, next);
        EXPECT_TEXT(trace, "a");
        EXPECT(phi_time_is_never(phi_timers_next(&timers)));
    }
}

// The same tick reached by different ways through the wheel must not change the order.
TEST(timers, same_tick_fires_in_the_order_of_setting)
{
    phi_timers timers;
    named_timer t[4];
    fixture(&timers, t, 4, at_ms(0));
    phi_timer_set(&timers, &t[2].timer, at_ms(5000)); // from level 2
    phi_timers_run(&timers, at_ms(4500));
    phi_timer_set(&timers, &t[1].timer, at_ms(5000)); // from level 1
    phi_timers_run(&timers, at_ms(4995));
    phi_timer_set(&timers, &t[3].timer, at_ms(5000)); // from level 0
    phi_timer_set(&timers, &t[0].timer, at_ms(5001));
    phi_timers_run(&timers, at_ms(6000));
    EXPECT_TEXT(trace, "cbda");
}

// A deadline that is moved must be heard of once, at its new time.
TEST(timers, moved_timer_fires_once_at_its_new_time)
{
    phi_timers timers;
    named_timer t[2];
    fixture(&timers, t, 2, at_ms(0));
    phi_timer_set(&timers, &t[0].timer, at_ms(10));
    phi_timer_set(&timers, &t[1].timer, at_ms(20));
    phi_timer_set(&timers, &t[0].timer, at_ms(20));
    EXPECT_EQ(timers.count, 2);
    phi_timers_run(&timers, at_ms(19));
    EXPECT_TEXT(trace, "");
    phi_timers_run(&timers, at_ms(20));
    EXPECT_TEXT(trace, "ba");
    phi_timers_run(&timers, at_ms(100));
    EXPECT_TEXT(trace, "ba");
}

static phi_timers *again_timers;
static int again_count;

static void fire_again(phi_timer *timer, phi_time now)
{
    again_count++;
    phi_timer_set(again_timers, timer, now);
}

// A timer that sets itself for "now" must not keep its run, and with it the loop, from ending.
TEST(timers, set_for_now_in_a_callback_fires_in_the_next_run)
{
    phi_timers timers;
    phi_timer t;
    phi_timers_init(&timers, at_ms(0));
    phi_timer_init(&t, fire_again);
    again_timers = &timers;
    again_count = 0;
    phi_timer_set(&timers, &t, at_ms(3));
    for (int run = 1; run <= 5; run++) {
        phi_timers_run(&timers, at_ms(3));
        EXPECT_EQ(again_count, run);
        EXPECT_EQ(phi_timers_next(&timers).ns, 3 * MS); // and the loop must not sleep on it
    }
}

// "Not waiting" and the far end of time must neither fire nor hide what is near.
TEST(timers, never_and_the_end_of_time_do_not_fire)
{
    phi_timers timers;
    named_timer t[3];
    fixture(&timers, t, 3, at_ms(1));
    phi_timer_set(&timers, &t[0].timer, at_ms(5));
    phi_timer_set(&timers, &t[0].timer, PHI_TIME_NEVER); // clears
    EXPECT(!phi_timer_is_set(&t[0].timer));
    EXPECT(phi_time_is_never(phi_timers_next(&timers)));
    phi_timer_set(&timers, &t[1].timer, (phi_time){ UINT64_MAX - 1 });
    phi_timer_set(&timers, &t[2].timer, at_ms(100));
    phi_timers_run(&timers, at_ms(1000));
    EXPECT_TEXT(trace, "c");
    for (phi_time now = at_ms(1000); !phi_time_is_never(now); now = phi_timers_next(&timers)) {
        phi_timers_run(&timers, now); // through all the wheel's turns until then
    }
    EXPECT_TEXT(trace, "c");
    phi_timers_run(&timers, PHI_TIME_NEVER);
    phi_timer_clear(&timers, &t[1].timer);
    EXPECT_EQ(timers.count, 0);
}

// A cleared timer must leave no bit behind that wakes the loop for nothing.
TEST(timers, clear_leaves_nothing_to_wake_for)
{
    phi_timers timers;
    named_timer t[2];
    fixture(&timers, t, 2, at_ms(0));
    for (uint64_t ms = 1; ms < UINT64_C(1) << 44; ms *= 3) {
        phi_timer_set(&timers, &t[0].timer, at_ms(ms));
        phi_timer_set(&timers, &t[1].timer, at_ms(ms));
        phi_timer_clear(&timers, &t[0].timer);
        phi_timer_clear(&timers, &t[0].timer); // twice is nothing
        EXPECT(!phi_time_is_never(phi_timers_next(&timers)));
        phi_timer_clear(&timers, &t[1].timer);
        EXPECT(phi_time_is_never(phi_timers_next(&timers)));
        for (size_t level = 0; level < PHI_TIMERS_LEVELS; level++) {
            EXPECT_EQ(timers.occupied[level], 0);
        }
    }
}
