// SPDX-License-Identifier: Apache-2.0
//
// policy/balancer.c - see balancer.h.
//
// Design notes
//   - Power of two choices: M. Mitzenmacher, "The Power of Two Choices in Randomized Load
//     Balancing", 1996. Peak average: Finagle's load balancer, 2015. All arithmetic is in integers,
//     so that a simulation gives the same result everywhere.
//   - Both draws are made from all, so that a pair is as likely in one order as in the other. Else
//     light instances would be second more often than first, and every chance difference would move
//     calls from heavy ones to them.
//   - How fast a latency rises depends on how many answers it is made of: one that is hardly asked
//     is judged by one answer, one that answers thousands a second not by a single slow one.
//   - What is common is learned from the averages of those chosen, not from single answers: peak
//     averages lie above the mean, and are compared with their like.
//   - One that is slower than common, and so is not asked, has nothing outstanding. That must not
//     make it cheap: it is reckoned with as many calls as the others have.
//   - Decay is done in steps of a hundredth of a second: done at each call, a fast service would
//     round it away.
//   - An instance that was not asked for a while has decayed to nothing. It costs at least a
//     quarter of what is common, so that its outstanding calls still count.
//
// Invariants  see phi_balancer_check

#include "policy/balancer.h"

#include <string.h>

#include "base/assert.h"

enum {
    CAPACITY_FIRST = 4,
    // A latency is at most so many times the common one. Halved each second, it has come down to
    // where it counts as the same after 2.6 seconds.
    EXCESS_MAX = 12,
    // Above so many times the common one, two choices were not enough.
    BAD_TIMES = 2,
    // And below it at least this part of it.
    FLOOR_PART = 4,
    // Costs that differ by less than this part of the higher are the same.
    NEAR_PART = 2,
    // A latency rises to a slower answer by one part in 1 + (recent calls / this).
    RISE_CALLS = 4,
    // The common latency is an average of about so many.
    SAMPLES = 64,
    // So many are looked at to see what is fair.
    FAIR_SAMPLE = 8,
    FRACTION_BITS = 8, // of calls outstanding per weight
};
// More of either is all the same; so nothing overflows.
static const uint64_t CALLS_MAX = UINT64_C(1) << 16;
static const uint64_t LATENCY_MAX = UINT64_C(1) << 38; // nanoseconds: four and a half minutes
static const phi_dur half_life = { 1000000000u };
static const phi_dur decay_step = { 10000000u };

static bool grow(phi_balancer *b, uint32_t capacity);
static void append(phi_balancer *b, phi_load *load, uint16_t weight);
static void take_out(phi_balancer *b, phi_load *load);
static void add(phi_balancer *b, uint32_t place, uint64_t delta);
static uint64_t sum_to(const phi_balancer *b, uint32_t place);
static phi_load *at_weight(const phi_balancer *b, uint64_t weight);
static uint32_t lowest_bit(uint32_t place);
static phi_load *draw(const phi_balancer *b, phi_random *random, const phi_load *not_these[2]);
static phi_load *better(const phi_balancer *b, phi_load *first, phi_load *second, phi_time now);
static uint64_t cost_of(const phi_balancer *b, phi_load *load, phi_time now);
static uint32_t fair_recent(const phi_balancer *b, uint16_t weight, phi_time now);
static void decay(phi_load *load, phi_time now);
static uint64_t decayed(uint64_t value, phi_dur elapsed);
static void learn(phi_balancer *b, uint64_t took_ns);
static uint64_t bounded(const phi_balancer *b, uint64_t took_ns);

void phi_balancer_init(phi_balancer *b, const phi_alloc *alloc)
{
    PH_ASSERT(alloc != NULL);
    *b = (phi_balancer){ .alloc = alloc };
}

void phi_balancer_fini(phi_balancer *b)
{
    if (b->alloc == NULL) {
        return;
    }
    phi_give(b->alloc, b->loads, b->capacity * sizeof b->loads[0]);
    phi_give(b->alloc, b->tree, (b->capacity + (size_t)1) * sizeof b->tree[0]);
    *b = (phi_balancer){ .alloc = NULL };
}

ph_err phi_balancer_reserve(phi_balancer *b, uint32_t count)
{
    if (count <= b->capacity) {
        return PH_OK;
    }
    PH_ASSERT(count < UINT32_MAX / 2);
    uint32_t capacity = b->capacity == 0 ? CAPACITY_FIRST : b->capacity * 2;
    return grow(b, capacity < count ? count : capacity) ? PH_OK : PH_ENOMEM;
}

void phi_balancer_set(phi_balancer *b, phi_load *load, uint16_t weight, phi_time now)
{
    PH_ASSERT(load->place == 0 || b->loads[load->place - 1] == load);
    if (load->place == 0 && weight != 0) {
        decay(load, now);
        if (load->latency_ns < b->latency_ns) {
            load->latency_ns = b->latency_ns; // nothing better is known than what is common
        }
        uint32_t fair = fair_recent(b, weight, now);
        load->recent = load->recent > fair ? load->recent : fair;
        append(b, load, weight);
    } else if (load->place != 0 && weight == 0) {
        take_out(b, load);
    } else if (load->place != 0) {
        add(b, load->place, (uint64_t)weight - load->weight);
        b->weight += (uint64_t)weight - load->weight;
        // As if it had had this weight all the time, or what it got for the old one would count.
        uint64_t recent = (uint64_t)load->recent * weight / load->weight;
        load->recent = recent < UINT32_MAX ? (uint32_t)recent : UINT32_MAX;
        load->weight = weight;
    }
}

phi_load *phi_balancer_pick(phi_balancer *b, phi_random *random, phi_time now, const phi_load *but)
{
    const phi_load *not_these[2] = { but != NULL && but->place != 0 ? but : NULL, NULL };
    phi_load *first = draw(b, random, not_these);
    if (first == NULL) {
        return NULL;
    }
    phi_load *best = better(b, first, draw(b, random, not_these), now);
    if (PHI_UNLIKELY(best->latency_ns > BAD_TIMES * b->latency_ns)) {
        not_these[1] = best;
        phi_load *third = draw(b, random, not_these);
        if (third != NULL) {
            best = better(b, best, third, now);
        }
    }
    return best;
}

void phi_balancer_give(phi_load *load, phi_time now)
{
    decay(load, now);
    uint32_t recent = load->recent + PHI_LOAD_CALL;
    load->recent = recent < load->recent ? UINT32_MAX : recent;
}

void phi_balancer_begin(phi_balancer *b, phi_load *load, phi_time now)
{
    phi_balancer_give(load, now);
    load->outstanding++;
    b->outstanding++;
}

void phi_balancer_end(phi_balancer *b, phi_load *load, phi_load_end end, phi_dur took, phi_time now)
{
    PH_ASSERT(load->outstanding > 0);
    load->outstanding--;
    b->outstanding--;
    decay(load, now);
    uint64_t took_ns = took.ns == 0 ? 1 : took.ns;
    if (end == PHI_LOAD_FAILED && b->latency_ns != 0) {
        phi_balancer_blame(b, load, now);
        return;
    }
    took_ns = bounded(b, took_ns);
    if (load->latency_ns == 0) {
        load->latency_ns = took_ns;
    } else if (took_ns > load->latency_ns) {
        uint64_t calls = load->recent / (RISE_CALLS * PHI_LOAD_CALL);
        load->latency_ns += (took_ns - load->latency_ns) / (1 + calls);
    }
    if (end == PHI_LOAD_ANSWERED) {
        learn(b, load->latency_ns);
    }
}

void phi_balancer_blame(const phi_balancer *b, phi_load *load, phi_time now)
{
    decay(load, now);
    if (b->latency_ns != 0) { // or there is nothing to compare it with
        load->latency_ns = bounded(b, LATENCY_MAX);
    }
}

// ---- helpers: the tree

static bool grow(phi_balancer *b, uint32_t capacity)
{
    phi_load **loads = phi_take(b->alloc, capacity * sizeof loads[0]);
    if (loads == NULL) {
        return false;
    }
    uint64_t *tree = phi_take(b->alloc, (capacity + (size_t)1) * sizeof tree[0]);
    if (tree == NULL) {
        phi_give(b->alloc, loads, capacity * sizeof loads[0]);
        return false;
    }
    if (b->capacity != 0) {
        memcpy(loads, b->loads, b->count * sizeof loads[0]);
        memcpy(tree, b->tree, (b->count + (size_t)1) * sizeof tree[0]);
        phi_give(b->alloc, b->loads, b->capacity * sizeof loads[0]);
        phi_give(b->alloc, b->tree, (b->capacity + (size_t)1) * sizeof tree[0]);
    }
    b->loads = loads;
    b->tree = tree;
    b->capacity = capacity;
    b->step_first = 1;
    while (b->step_first <= capacity / 2) {
        b->step_first *= 2;
    }
    return true;
}

static void append(phi_balancer *b, phi_load *load, uint16_t weight)
{
    PH_ASSERT(b->count < b->capacity);
    b->loads[b->count] = load;
    uint32_t place = ++b->count;
    b->tree[place] = weight + sum_to(b, place - 1) - sum_to(b, place - lowest_bit(place));
    b->weight += weight;
    load->place = place;
    load->weight = weight;
}

// The last one moves to its place.
static void take_out(phi_balancer *b, phi_load *load)
{
    phi_load *last = b->loads[b->count - 1];
    uint32_t place = load->place;
    add(b, place, (uint64_t)last->weight - load->weight);
    b->loads[place - 1] = last;
    last->place = place;
    b->count--;
    b->weight -= load->weight;
    load->place = 0;
    load->weight = 0;
}

// `delta` may be negative, modulo 2^64.
static void add(phi_balancer *b, uint32_t place, uint64_t delta)
{
    for (uint32_t i = place; i <= b->count; i += lowest_bit(i)) {
        b->tree[i] += delta;
    }
}

// Of the weights at the places up to `place`.
static uint64_t sum_to(const phi_balancer *b, uint32_t place)
{
    uint64_t sum = 0;
    for (uint32_t i = place; i > 0; i -= lowest_bit(i)) {
        sum += b->tree[i];
    }
    return sum;
}

// The one in whose stretch `weight` lies when all weights are laid end to end.
static phi_load *at_weight(const phi_balancer *b, uint64_t weight)
{
    PH_ASSERT(weight < b->weight);
    uint32_t place = 0;
    for (uint32_t step = b->step_first; step > 0; step /= 2) {
        if (place + step <= b->count && b->tree[place + step] <= weight) {
            place += step;
            weight -= b->tree[place];
        }
    }
    PH_ASSERT(place < b->count);
    return b->loads[place];
}

static uint32_t lowest_bit(uint32_t place)
{
    return place & (~place + 1);
}

// ---- helpers: choosing

// NULL: there is nobody else.
static phi_load *draw(const phi_balancer *b, phi_random *random, const phi_load *not_these[2])
{
    const phi_load *low = not_these[0];
    const phi_load *high = not_these[1];
    if (low != NULL && high != NULL && low->place > high->place) {
        low = not_these[1];
        high = not_these[0];
    }
    uint64_t low_weight = low == NULL ? 0 : low->weight;
    uint64_t high_weight = high == NULL ? 0 : high->weight;
    uint64_t all = b->weight - low_weight - high_weight;
    if (all == 0) {
        return NULL;
    }
    // Drawn as if their stretches were not there, then moved over them.
    uint64_t weight = phi_random_below(random, all);
    if (low != NULL && weight >= sum_to(b, low->place - 1)) {
        weight += low_weight;
    }
    if (high != NULL && weight >= sum_to(b, high->place - 1)) {
        weight += high_weight;
    }
    return at_weight(b, weight);
}

static phi_load *better(const phi_balancer *b, phi_load *first, phi_load *second, phi_time now)
{
    uint64_t one = cost_of(b, first, now);
    uint64_t other = cost_of(b, second, now);
    if (first == second) {
        return first;
    }
    uint64_t high = one > other ? one : other;
    uint64_t low = one > other ? other : one;
    if (low < high - high / NEAR_PART) {
        return one < other ? first : second;
    }
    // What each got, for its weight, brought to one denominator.
    uint64_t first_got = (uint64_t)first->recent * second->weight;
    uint64_t second_got = (uint64_t)second->recent * first->weight;
    return second_got < first_got ? second : first;
}

static uint64_t cost_of(const phi_balancer *b, phi_load *load, phi_time now)
{
    decay(load, now);
    uint64_t latency_ns = load->latency_ns;
    uint64_t floor_ns = b->latency_ns / FLOOR_PART + 1;
    latency_ns = latency_ns > floor_ns ? latency_ns : floor_ns;
    // Outstanding at this one if all had the weight that they have on average.
    uint64_t calls = load->outstanding < CALLS_MAX ? load->outstanding : CALLS_MAX;
    calls = (calls << FRACTION_BITS) * b->weight / ((uint64_t)load->weight * b->count);
    if (latency_ns > b->latency_ns) {
        uint64_t fair = ((uint64_t)b->outstanding << FRACTION_BITS) / b->count;
        calls = calls > fair ? calls : fair;
    }
    calls = calls < (CALLS_MAX << FRACTION_BITS) ? calls : CALLS_MAX << FRACTION_BITS;
    return (calls + (1u << FRACTION_BITS)) * latency_ns;
}

// What one of that weight would have got lately, going by some of those that are there. A newcomer
// would have to catch up otherwise, at twice the rate of the others.
static uint32_t fair_recent(const phi_balancer *b, uint16_t weight, phi_time now)
{
    uint64_t recent = 0;
    uint64_t of_weight = 0;
    for (uint32_t i = 0; i < b->count && i < FAIR_SAMPLE; i++) {
        decay(b->loads[i], now);
        recent += b->loads[i]->recent;
        of_weight += b->loads[i]->weight;
    }
    recent = of_weight == 0 ? 0 : recent * weight / of_weight;
    return recent < UINT32_MAX ? (uint32_t)recent : UINT32_MAX;
}

// ---- helpers: learning

static void decay(phi_load *load, phi_time now)
{
    phi_dur elapsed = phi_time_diff(now, load->at);
    if (elapsed.ns >= decay_step.ns) {
        load->latency_ns = decayed(load->latency_ns, elapsed);
        load->recent = (uint32_t)decayed(load->recent, elapsed);
        load->at = now;
    }
}

// Halved in each half life, and between on the straight line from one half to the next.
static uint64_t decayed(uint64_t value, phi_dur elapsed)
{
    uint64_t halvings = elapsed.ns / half_life.ns;
    if (halvings >= 64) {
        return 0;
    }
    value >>= halvings;
    uint64_t us = elapsed.ns % half_life.ns / 1000;
    return value - value * us / (2 * half_life.ns / 1000);
}

static void learn(phi_balancer *b, uint64_t took_ns)
{
    if (b->samples < SAMPLES) {
        b->samples++;
    }
    int64_t change = ((int64_t)took_ns - (int64_t)b->latency_ns) / (int64_t)b->samples;
    b->latency_ns = (uint64_t)((int64_t)b->latency_ns + change);
}

static uint64_t bounded(const phi_balancer *b, uint64_t took_ns)
{
    uint64_t most = b->latency_ns == 0 ? LATENCY_MAX : b->latency_ns * EXCESS_MAX;
    most = most < LATENCY_MAX ? most : LATENCY_MAX;
    return took_ns < most ? took_ns : most;
}

void phi_balancer_check(const phi_balancer *b)
{
    PH_ASSERT(b->count <= b->capacity);
    PH_ASSERT(b->latency_ns <= LATENCY_MAX);
    uint64_t sum = 0;
    for (uint32_t place = 1; place <= b->count; place++) {
        PH_ASSERT(b->loads[place - 1]->place == place);
        PH_ASSERT(b->loads[place - 1]->weight > 0);
        sum += b->loads[place - 1]->weight;
        PH_ASSERT(sum == sum_to(b, place));
    }
    PH_ASSERT(sum == b->weight);
}
