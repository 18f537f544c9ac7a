// SPDX-License-Identifier: Apache-2.0
//
// bench/topics.c - what subscriptions cost: memory for each, subscribing, matching, leaving; with
// ten thousand, a hundred thousand and a million of them.
//
// Of ten subscriptions, seven name a topic, two have a `*`, one ends in `>`; one of each kind is
// wanted by a client of its own for everything. Each topic is of a random subscription, so nothing
// is warm by chance, and cutting the topic into its words is measured with it. How many places a
// match looks at is printed beside its time: it is the same in all columns; what grows is the
// distance to memory.
//
//     bench_topics [--output json]
//
// Ends with 1 when a match among a million takes 2 us or more.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/compiler.h"
#include "base/random.h"
#include "center/center.h"
#include "center/topics.h"

#define COLUMNS 3
#define SUBSCRIPTIONS_LAST 1000000u
#define PER_CLIENT 1000u
#define TOPICS 100000u // matched in one round
#define ROUNDS 7
#define LEAVER_COUNT 65536u // what one client may have
#define MATCH_NS_MAX 2000.0

typedef struct column {
    uint32_t count;
    double bytes;        // for each
    double subscribe_ns; // for each
    double match_ns;     // median of rounds
    double nobody_ns;    // same, of topics that only those for everything want
    double looked_at;    // by a match
} column;

typedef struct extremes {
    double leave_ms; // of a client with LEAVER_COUNT, in all
    double leave_piece_ms;
    double worst_ms; // a match of all mixtures
    size_t worst_looked_at;
} extremes;

typedef struct bench {
    topics t;
    phi_random random;
    topics_client *clients[SUBSCRIPTIONS_LAST / PER_CLIENT + 1];
    char text[TOPICS][48];
    uint64_t found;
    int owner;
} bench;

// Processor time: what others do with the machine is not measured, but for their use of its caches.
static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void must(int is_good, const char *what)
{
    if (!is_good) {
        fprintf(stderr, "bench_topics: %s failed\n", what);
        exit(1);
    }
}

static const char *region_of(uint32_t number)
{
    static const char *const regions[] = { "eu-west", "eu-east", "us", "asia", "africa" };
    return regions[number % PHI_COUNT_OF(regions)];
}

static void write_pattern(uint32_t number, char text[48])
{
    const char *region = region_of(number);
    if (number % 10 < 7) {
        snprintf(text, 48, "orders.%s.order-%07u.created", region, number);
    } else if (number % 10 < 9) {
        snprintf(text, 48, "orders.*.order-%07u.created", number);
    } else {
        snprintf(text, 48, "orders.%s.order-%07u.>", region, number);
    }
}

static void write_topic(uint32_t number, char text[48])
{
    snprintf(text, 48, "orders.%s.order-%07u.created", region_of(number), number);
}

static void subscribe(bench *b, topics_client *client, const char *text)
{
    phi_topic pattern;
    must(phi_pattern_parse(phi_bytes_text(text), &pattern), "a pattern");
    must(topics_subscribe(&b->t, client, &pattern) == PH_OK, "subscribing");
}

static topics_client *client_new(bench *b)
{
    topics_client *client = topics_client_new(&b->t, &b->owner);
    must(client != NULL, "a client");
    return client;
}

static void on_found(void *arg, void *owner)
{
    (void)owner;
    ((bench *)arg)->found++;
}

static size_t match(bench *b, const char *text)
{
    phi_topic topic;
    must(phi_topic_parse(phi_bytes_text(text), &topic), "a topic");
    return topics_match(&b->t, &topic, on_found, b);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

// Median of rounds; *looked_at is of the last one. Each topic is wanted by `wanted` clients.
static double match_all(bench *b, uint64_t wanted, double *looked_at)
{
    double rounds[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        size_t cost = 0;
        b->found = 0;
        uint64_t begin = now_ns();
        for (uint32_t i = 0; i < TOPICS; i++) {
            cost += match(b, b->text[i]);
        }
        rounds[round] = (double)(now_ns() - begin) / TOPICS;
        must(b->found == wanted * TOPICS, "finding who wants a topic");
        *looked_at = (double)cost / TOPICS;
    }
    qsort(rounds, ROUNDS, sizeof rounds[0], compare);
    return rounds[ROUNDS / 2];
}

static void run_column(bench *b, column *col)
{
    uint32_t count = col->count;
    uint32_t clients = count / PER_CLIENT;
    topics_client *all = client_new(b);
    subscribe(b, all, "orders.>");
    topics_client *created = client_new(b);
    subscribe(b, created, "orders.*.*.created");
    char text[48];
    uint64_t begin = now_ns();
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = i % clients;
        if (b->clients[at] == NULL) {
            b->clients[at] = client_new(b);
        }
        write_pattern(i, text);
        subscribe(b, b->clients[at], text);
    }
    col->subscribe_ns = (double)(now_ns() - begin) / count;
    col->bytes = (double)b->t.memory.bytes / count;

    for (uint32_t i = 0; i < TOPICS; i++) {
        write_topic((uint32_t)phi_random_below(&b->random, count), b->text[i]);
    }
    col->match_ns = match_all(b, 3, &col->looked_at);
    double ignored;
    for (uint32_t i = 0; i < TOPICS; i++) {
        write_topic(count + (uint32_t)phi_random_below(&b->random, count), b->text[i]);
    }
    col->nobody_ns = match_all(b, 2, &ignored);

    topics_leave(&b->t, &all);
    topics_leave(&b->t, &created);
    for (uint32_t i = 0; i < clients; i++) {
        topics_leave(&b->t, &b->clients[i]);
    }
    must(topics_sweep(&b->t, SIZE_MAX) == count + 2, "sweeping");
}

// One client with as many as it may have leaves, among a million of others: ms for all of them, and
// for the longest of the pieces that a turn takes.
static double leave_ms(bench *b, double *piece_ms)
{
    topics_client *others = client_new(b);
    topics_client *leaver = client_new(b);
    char text[48];
    for (uint32_t i = 0; i < SUBSCRIPTIONS_LAST; i++) {
        write_pattern(i, text);
        subscribe(b,
                  i % (SUBSCRIPTIONS_LAST / LEAVER_COUNT) == 0 &&
                          topics_client_count(leaver) < LEAVER_COUNT
                      ? leaver
                      : others,
                  text);
    }
    topics_leave(&b->t, &leaver);
    double ms = 0;
    *piece_ms = 0;
    for (uint32_t swept = 0; swept < LEAVER_COUNT; swept += CENTER_SWEEP_TURN_COUNT_MAX) {
        uint64_t begin = now_ns();
        must(topics_sweep(&b->t, CENTER_SWEEP_TURN_COUNT_MAX) == CENTER_SWEEP_TURN_COUNT_MAX,
             "sweeping");
        double piece = (double)(now_ns() - begin) / 1e6;
        *piece_ms = piece > *piece_ms ? piece : *piece_ms;
        ms += piece;
    }
    topics_leave(&b->t, &others);
    topics_sweep(&b->t, SIZE_MAX);
    return ms;
}

// Every mixture of words and `*`, of sixteen words: what one client can make a match cost at most.
static double worst_ms(bench *b, size_t *looked_at)
{
    topics_client *client = client_new(b);
    char text[2 * PHI_TOPIC_WORDS_MAX];
    for (uint32_t mix = 0; mix < 1u << PHI_TOPIC_WORDS_MAX; mix++) {
        for (uint32_t i = 0; i < PHI_TOPIC_WORDS_MAX; i++) {
            text[2 * i] = (mix >> i & 1) != 0 ? '*' : 'w';
            text[2 * i + 1] = '.';
        }
        text[sizeof text - 1] = '\0';
        subscribe(b, client, text);
    }
    uint64_t begin = now_ns();
    *looked_at = match(b, "w.w.w.w.w.w.w.w.w.w.w.w.w.w.w.w");
    double ms = (double)(now_ns() - begin) / 1e6;
    topics_leave(&b->t, &client);
    topics_sweep(&b->t, SIZE_MAX);
    return ms;
}

static void print_text(const column *columns, const extremes *x)
{
    printf("%-34s", "subscriptions");
    for (int i = 0; i < COLUMNS; i++) {
        printf("%12u", columns[i].count);
    }
#define ROW(what, field)                                                                           \
    printf("\n%-34s", what);                                                                       \
    for (int i = 0; i < COLUMNS; i++) {                                                            \
        printf("%12.1f", columns[i].field);                                                        \
    }
    ROW("memory of one, bytes", bytes)
    ROW("subscribing, ns", subscribe_ns)
    ROW("match, three found, ns", match_ns)
    ROW("match, only the general two, ns", nobody_ns)
    ROW("places looked at in a match", looked_at)
#undef ROW
    printf("\n\na client with %u of a million leaves: %.1f ms in all, at most %.1f ms in a turn\n",
           LEAVER_COUNT, x->leave_ms, x->leave_piece_ms);
    printf("the worst that one client can make a match cost: %zu places, %.1f ms\n",
           x->worst_looked_at, x->worst_ms);
}

static void print_json(const column *columns, const extremes *x)
{
    for (int i = 0; i < COLUMNS; i++) {
        const column *col = &columns[i];
        printf("%s{\"benchmark\":\"topics\",\"subscriptions\":%u,\"bytes_each\":%.1f,"
               "\"subscribe_ns\":%.1f,\"match_ns\":%.1f,\"match_nobody_ns\":%.1f,"
               "\"looked_at\":%.1f}",
               i == 0 ? "[" : ",\n ", col->count, col->bytes, col->subscribe_ns, col->match_ns,
               col->nobody_ns, col->looked_at);
    }
    printf(",\n {\"benchmark\":\"topics\",\"leaving\":%u,\"leave_ms\":%.2f,"
           "\"leave_turn_ms\":%.2f,\"worst_looked_at\":%zu,\"worst_match_ms\":%.2f}]\n",
           LEAVER_COUNT, x->leave_ms, x->leave_piece_ms, x->worst_looked_at, x->worst_ms);
}

int main(int argc, char **argv)
{
    bool is_json = argc == 3 && strcmp(argv[1], "--output") == 0 && strcmp(argv[2], "json") == 0;
    if (argc != 1 && !is_json) {
        fprintf(stderr, "usage: script/bench topics [--output json]\n");
        return 2;
    }
    static bench b;
    b.random = phi_random_seeded(1);
    column columns[COLUMNS] = { { .count = SUBSCRIPTIONS_LAST / 100 },
                                { .count = SUBSCRIPTIONS_LAST / 10 },
                                { .count = SUBSCRIPTIONS_LAST } };
    const topics_limits limits = { .subscriptions_max = 2 * SUBSCRIPTIONS_LAST,
                                   .subscriptions_per_client_max = SUBSCRIPTIONS_LAST,
                                   .wild_per_client_max = SUBSCRIPTIONS_LAST,
                                   .memory_max = SIZE_MAX };
    for (int i = 0; i < COLUMNS; i++) {
        topics_init(&b.t, &phi_alloc_heap, (phi_hash_key){ 1, 2 }, &limits);
        run_column(&b, &columns[i]);
        topics_fini(&b.t);
    }
    topics_init(&b.t, &phi_alloc_heap, (phi_hash_key){ 1, 2 }, &limits);
    extremes x;
    x.leave_ms = leave_ms(&b, &x.leave_piece_ms);
    x.worst_ms = worst_ms(&b, &x.worst_looked_at);
    topics_fini(&b.t);
    (is_json ? print_json : print_text)(columns, &x);
    return columns[COLUMNS - 1].match_ns < MATCH_NS_MAX ? 0 : 1;
}
