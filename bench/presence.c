// SPDX-License-Identifier: Apache-2.0
//
// bench/presence.c - ten thousand clients, a thousand of which watch all of them.
//
//   bench_presence TARGET MEMBERS WATCHERS ROUNDS IS_FILTERED PROGRAM CALM_MS
//
// Calm    One client more joins, and leaves, ROUNDS times, CALM_MS apart. Measured is how long each
//         watcher takes to hear of it: from when JOIN is sent, or the socket closed, until the
//         entry was read. Before that some come and go unmeasured: as in bench/presence_bare.c.
// Kill    The same of a process of its own (PROGRAM, which is rr_posthouse), from before it is
//         killed with SIGKILL.
// Storm   All connections are closed at once; each client comes back by the rules of the client
//         library: after a wait drawn from 0 to a bound that doubles from 100 ms to 10 s, and not
//         before the retry-after of a bye. Watchers name the revision they had. Measured is how
//         long it takes until everybody is back and all watchers know the same as is true, and
//         what presence cost them in bytes, beside the arithmetic minimum.
// Truth   Each watcher has a table of its own, made from what it was sent by P-44 to P-48; a table
//         is compared by a hash over (account, session, state) of all its lines. The truth is what
//         the clients themselves were told in WELCOME.
// Minimum For each watcher the entries of those of whom it must know another session than before;
//         each once, without the heads of packets.
//
// Filters With IS_FILTERED 1, all others watch, too: their own service.
//
// Some of the clients are of the client library; their sockets, which are those that opening them
// made, are shut down from here.
//
// Prints one JSON object.

#include <fcntl.h>
#include <inttypes.h>
#include <posthouse/posthouse.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/timers.h"
#include "bench/crowd.h"
#include "policy/backoff.h"
#include "wire/presence.h"

#define PREFIX "p"
#define SERVICES 100
#define LIBRARY_CLIENTS 4
#define LIBRARY_SOCKETS_MAX 16
#define PATIENCE_NS 60000000000u
#define WARM_UP_ROUNDS 30 // as many as in bench/presence_bare.c
#define BACKOFF_MIN phi_ms(100)
#define BACKOFF_MAX phi_ms(10000)

// A line of a watcher's table. Session 0: unknown.
typedef struct line {
    uint64_t revision;
    uint32_t session; // its lower half; a run makes fewer
    uint8_t state;
} line;

typedef struct watcher {
    line *lines; // owned, by number of the account
    uint64_t hash;
    uint64_t epoch;
    uint64_t revision;
    uint64_t list_revision;
    bool knows;   // its list is complete
    bool is_told; // of the event that is being measured
    bool is_listing;
} watcher;

typedef struct client {
    crowd_member *member;
    phi_timer retry;
    phi_backoff backoff;
    watcher *watcher; // NULL: it does not watch everybody
    uint64_t epoch;   // filtered: what it was told last
    uint64_t revision;
    uint64_t truth; // what its line adds to the truth
} client;

// What watchers were sent.
typedef struct traffic {
    uint64_t bytes; // packets of presence, with their heads
    uint64_t pages;
    uint64_t statuses;
    uint64_t onlines;
    uint64_t changes;
    uint64_t offlines;
} traffic;

// How late those were who were told, and of them the last each time.
typedef struct latencies {
    crowd_record all;
    crowd_record last;
} latencies;

typedef struct bench {
    crowd crowd;
    phi_timers timers;
    phi_random random;
    client *clients;   // owned, by number
    watcher *watchers; // owned
    uint16_t *sizes;   // owned: of an account's entry
    uint32_t count;    // clients, with those of the rounds
    uint32_t members;  // that stay
    uint32_t rounds;
    uint64_t calm_ns; // between two events, so that each comes alone
    uint32_t watcher_count;
    uint64_t truth;
    traffic traffic;
    bool is_filtered;
    uint64_t filtered_bytes; // sent to those with a filter
    uint64_t gaps;           // statuses that did not fit; must be 0
    uint64_t refusals;       // times a client was sent away
    // the event that is being measured
    uint32_t subject; // account; UINT32_MAX none
    bool is_arrival;
    uint64_t since_ns;
    uint32_t told;
    latencies *measured; // NULL: it is not
    latencies joins;
    latencies leaves;
    latencies kills;
    // the client library
    ph_loop *loop;
    ph_client *library[LIBRARY_CLIENTS];
    int sockets[LIBRARY_SOCKETS_MAX];
    size_t socket_count;
} bench;

static bench b;

static void die(const char *what)
{
    fprintf(stderr, "bench_presence: %s\n", what);
    exit(1);
}

static void *take(size_t count, size_t size)
{
    void *p = calloc(count, size);
    if (p == NULL) {
        die("no memory");
    }
    return p;
}

// ---- tables

static uint64_t mix(uint64_t number, uint64_t session, uint64_t state)
{
    uint64_t h = number * 0x9e3779b97f4a7c15u + session * 0xc2b2ae3d27d4eb4fu + state;
    h ^= h >> 31;
    h *= 0x94d049bb133111ebu;
    return h ^ h >> 29;
}

// The number in "p-123@domain"; UINT32_MAX for others, which are not compared.
static uint32_t number_of(phi_bytes id)
{
    uint32_t number = 0;
    size_t at = sizeof PREFIX;
    if (id.size <= at || memcmp(id.data, PREFIX "-", at) != 0) {
        return UINT32_MAX;
    }
    for (; at < id.size && id.data[at] != '@'; at++) {
        number = number * 10 + (id.data[at] - '0');
    }
    return number < b.count ? number : UINT32_MAX;
}

static void set_line(watcher *w, uint32_t number, const phi_entry *e)
{
    line *l = &w->lines[number];
    if (l->session != 0) {
        w->hash ^= mix(number, l->session, l->state);
    }
    bool is_gone = e->what == PHI_WHAT_OFFLINE;
    *l = (line){ e->revision, is_gone ? 0 : (uint32_t)e->session, e->state };
    if (!is_gone) {
        w->hash ^= mix(number, l->session, l->state);
    }
}

static void measure_event(watcher *w, uint32_t number, const phi_entry *e)
{
    bool is_it = number == b.subject && b.is_arrival == (e->what != PHI_WHAT_OFFLINE);
    if (is_it && !w->is_told) {
        w->is_told = true;
        b.told++;
        if (b.measured != NULL) {
            uint64_t late_ns = crowd_now_ns() - b.since_ns;
            crowd_record_add(&b.measured->all, late_ns);
            if (b.told == b.watcher_count) {
                crowd_record_add(&b.measured->last, late_ns);
            }
        }
    }
}

// [P-48]
static void apply(watcher *w, const phi_entry *e, bool is_list)
{
    uint32_t number = number_of(e->id);
    if (number == UINT32_MAX) {
        return;
    }
    b.traffic.onlines += e->what == PHI_WHAT_ONLINE;
    b.traffic.changes += e->what == PHI_WHAT_CHANGED;
    b.traffic.offlines += e->what == PHI_WHAT_OFFLINE;
    if (!is_list && e->what != PHI_WHAT_OFFLINE) {
        size_t fixed = PHI_ENTRY_FIXED_BYTES + 1 + e->id.size + 1 + e->service.size;
        b.sizes[number] = (uint16_t)(fixed + e->fields.size);
    }
    if (is_list || e->revision > w->lines[number].revision) {
        set_line(w, number, e);
        measure_event(w, number, e);
    }
}

static void on_page(watcher *w, phi_bytes payload)
{
    phi_page page;
    if (phi_page_decode(payload, &page) != PH_OK) {
        die("malformed page");
    }
    b.traffic.pages++;
    if ((page.flags & PHI_PAGE_FIRST) != 0) {
        memset(w->lines, 0, b.count * sizeof *w->lines);
        w->hash = 0;
        w->is_listing = true;
        w->list_revision = page.revision;
    }
    phi_reader r = phi_reader_of(page.entries);
    phi_entry entry;
    while (phi_entry_decode(&r, &entry)) {
        apply(w, &entry, /* is_list= */ true);
    }
    if ((page.flags & PHI_PAGE_LAST) != 0) {
        w->is_listing = false;
        w->knows = true;
        w->epoch = page.epoch;
        w->revision = w->list_revision;
    }
}

static void on_status(watcher *w, phi_bytes payload)
{
    phi_status status;
    if (phi_status_decode(payload, &status) != PH_OK) {
        die("malformed status");
    }
    b.traffic.statuses++;
    if (status.previous != w->revision || status.epoch != w->epoch) {
        b.gaps++;
    }
    phi_reader r = phi_reader_of(status.entries);
    phi_entry entry;
    while (phi_entry_decode(&r, &entry)) {
        apply(w, &entry, /* is_list= */ false);
    }
    w->revision = status.revision;
}

// ---- the crowd

static void describe(crowd_member *m, phi_join *join)
{
    static char service[16];
    client *c = &b.clients[m->number];
    snprintf(service, sizeof service, "svc-%u", m->number % SERVICES);
    join->service = phi_bytes_text(service);
    join->software = phi_bytes_text("bench/1");
    if (c->watcher != NULL) {
        join->presence.wants = true;
        join->presence.last_epoch = c->watcher->epoch;
        join->presence.last_revision = c->watcher->revision;
    } else if (b.is_filtered) {
        join->presence.wants = true;
        join->presence.service = join->service;
        join->presence.last_epoch = c->epoch;
        join->presence.last_revision = c->revision;
    }
    if (m->number == b.subject) {
        b.since_ns = crowd_now_ns();
    }
}

static void joined(crowd_member *m)
{
    client *c = &b.clients[m->number];
    phi_backoff_reset(&c->backoff);
    c->truth = mix(m->number, (uint32_t)m->session, PHI_STATE_READY);
    b.truth ^= c->truth;
}

static void forget_truth(client *c)
{
    b.truth ^= c->truth;
    c->truth = 0;
}

static void come_back(client *c, phi_dur retry_after)
{
    phi_dur wait = phi_backoff_next(&c->backoff, &b.random, retry_after);
    phi_timer_set(&b.timers, &c->retry, phi_time_add((phi_time){ crowd_now_ns() }, wait));
}

static void on_retry(phi_timer *timer, phi_time now)
{
    (void)now;
    client *c = PHI_CONTAINER_OF(timer, client, retry);
    crowd_reopen(c->member);
}

static void gone(crowd_member *m)
{
    client *c = &b.clients[m->number];
    forget_truth(c);
    b.refusals++;
    come_back(c, phi_ms(m->retry_after_ms));
}

static void on_filtered(client *c, const phi_packet *p);

static void packet(crowd_member *m, const phi_packet *p)
{
    watcher *w = b.clients[m->number].watcher;
    bool is_list = p->command == PHI_COMMAND_ONLINE_LIST;
    if (!is_list && p->command != PHI_COMMAND_ONLINE_STATUS) {
        return;
    }
    if (w == NULL) {
        on_filtered(&b.clients[m->number], p);
        return;
    }
    b.traffic.bytes += phi_suite_head(m->in.suite) + p->payload.size;
    if (is_list) {
        on_page(w, p->payload);
    } else {
        on_status(w, p->payload);
    }
}

// Where it is, is all that is kept.
static void on_filtered(client *c, const phi_packet *p)
{
    b.filtered_bytes += phi_suite_head(c->member->in.suite) + p->payload.size;
    phi_page page;
    phi_status status;
    if (p->command == PHI_COMMAND_ONLINE_LIST) {
        if (phi_page_decode(p->payload, &page) == PH_OK) {
            c->epoch = page.epoch;
            c->revision = page.revision;
        }
    } else if (phi_status_decode(p->payload, &status) == PH_OK) {
        b.gaps += status.previous != c->revision;
        c->revision = status.revision;
    }
}

static client *open_one(void)
{
    crowd_member *m = crowd_open(&b.crowd, /* raw= */ NULL);
    client *c = &b.clients[m->number];
    c->member = m;
    phi_backoff_init(&c->backoff, BACKOFF_MIN, BACKOFF_MAX);
    phi_timer_init(&c->retry, on_retry);
    return c;
}

// ---- the client library

static void open_library(const char *target)
{
    if (ph_loop_new(&b.loop) != PH_OK) {
        die("no loop");
    }
    for (size_t i = 0; i < LIBRARY_CLIENTS; i++) {
        ph_client_options options = PH_CLIENT_OPTIONS_INIT;
        options.loop = b.loop;
        options.centers = target;
        options.is_watching = true;
        if (ph_client_new(&b.library[i], &options) != PH_OK ||
            ph_client_open(b.library[i]) != PH_OK) {
            die("no client");
        }
    }
    uint64_t until = crowd_now_ns() + PATIENCE_NS;
    for (size_t i = 0; i < LIBRARY_CLIENTS;) {
        ph_loop_turn(b.loop, 10);
        i += ph_client_peer_count(b.library[i]) >= LIBRARY_CLIENTS;
        if (crowd_now_ns() > until) {
            die("the client library did not connect");
        }
    }
}

static void find_sockets(void)
{
    b.socket_count = 0;
    for (int fd = 3; fd < 100 && b.socket_count < LIBRARY_SOCKETS_MAX; fd++) {
        struct sockaddr_storage peer;
        socklen_t size = sizeof peer;
        if (getpeername(fd, (struct sockaddr *)&peer, &size) == 0) {
            b.sockets[b.socket_count++] = fd;
        }
    }
    if (b.socket_count != LIBRARY_CLIENTS) {
        die("the sockets of the client library were not found");
    }
}

static bool library_agrees(const ph_client *c)
{
    uint64_t hash = 0;
    size_t cursor = 0;
    ph_peer peer = PH_PEER_INIT;
    while (ph_client_peer_next(c, &cursor, &peer)) {
        uint32_t number = number_of(phi_bytes_of(peer.id.data, peer.id.size));
        if (number != UINT32_MAX) {
            hash ^= mix(number, (uint32_t)peer.session, (uint64_t)peer.state);
        }
    }
    return hash == b.truth;
}

// ---- the story

static void turn(void)
{
    crowd_turn(&b.crowd, 500000);
    phi_timers_run(&b.timers, (phi_time){ crowd_now_ns() });
    ph_loop_turn(b.loop, 0);
}

static void turn_for(uint64_t ns)
{
    uint64_t until = crowd_now_ns() + ns;
    while (crowd_now_ns() < until) {
        turn();
    }
}

static uint32_t count_agreeing(void)
{
    uint32_t agreeing = 0;
    for (uint32_t i = 0; i < b.watcher_count; i++) {
        const watcher *w = &b.watchers[i];
        agreeing += w->knows && !w->is_listing && w->hash == b.truth;
    }
    return agreeing;
}

static bool all_agree(uint32_t online)
{
    if (b.crowd.in_state[CROWD_JOINED] != online || count_agreeing() != b.watcher_count) {
        return false;
    }
    for (size_t i = 0; i < LIBRARY_CLIENTS; i++) {
        if (!library_agrees(b.library[i])) {
            return false;
        }
    }
    return true;
}

// Until everybody is in and knows everybody; how long the first took, and both.
static bool wait_for_all(uint64_t since_ns, uint64_t *joined_ns, uint64_t *agreed_ns)
{
    *joined_ns = 0;
    for (;;) {
        turn();
        uint64_t passed = crowd_now_ns() - since_ns;
        if (*joined_ns == 0 && b.crowd.in_state[CROWD_JOINED] == b.members) {
            *joined_ns = passed;
        }
        if (*joined_ns != 0 && all_agree(b.members)) {
            *agreed_ns = passed;
            return true;
        }
        if (passed > PATIENCE_NS) {
            *agreed_ns = passed;
            return false;
        }
    }
}

static void wait_for_told(void)
{
    uint64_t until = crowd_now_ns() + PATIENCE_NS;
    while (b.told < b.watcher_count) {
        turn();
        if (crowd_now_ns() > until) {
            die("a watcher was not told");
        }
    }
}

static void begin_event(uint32_t subject, bool is_arrival, latencies *measured)
{
    turn_for(b.calm_ns);
    for (uint32_t i = 0; i < b.watcher_count; i++) {
        b.watchers[i].is_told = false;
    }
    b.told = 0;
    b.subject = subject;
    b.is_arrival = is_arrival;
    b.measured = measured;
}

static void run_calm(void)
{
    for (uint32_t i = 0; i < WARM_UP_ROUNDS + b.rounds; i++) {
        bool is_measured = i >= WARM_UP_ROUNDS;
        begin_event(b.members + i, /* is_arrival= */ true, is_measured ? &b.joins : NULL);
        client *c = open_one(); // since_ns: when it sends JOIN
        wait_for_told();
        begin_event(b.members + i, /* is_arrival= */ false, is_measured ? &b.leaves : NULL);
        b.since_ns = crowd_now_ns();
        crowd_close(c->member);
        forget_truth(c);
        wait_for_told();
    }
}

static pid_t start_client(const char *program, const char *target, uint32_t number)
{
    char account[32];
    snprintf(account, sizeof account, PREFIX "-%u", number);
    const char *const argv[] = { program, "--role", "responder", "--target",
                                 target,  "--name", account,     NULL };
    posix_spawn_file_actions_t files; // what it prints must not get into what is printed here
    pid_t pid;
    if (posix_spawn_file_actions_init(&files) != 0 ||
        posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0) != 0 ||
        posix_spawn(&pid, program, &files, NULL, (char *const *)argv, environ) != 0) {
        die("the client to be killed did not start");
    }
    (void)posix_spawn_file_actions_destroy(&files);
    return pid;
}

static void run_kills(const char *program, const char *target)
{
    for (uint32_t i = 0; i < b.rounds; i++) {
        uint32_t number = b.members + WARM_UP_ROUNDS + b.rounds + i;
        begin_event(number, /* is_arrival= */ true, NULL);
        pid_t pid = start_client(program, target, number);
        wait_for_told();
        begin_event(number, /* is_arrival= */ false, &b.kills);
        b.since_ns = crowd_now_ns();
        if (kill(pid, SIGKILL) != 0) {
            die("the client to be killed is gone");
        }
        wait_for_told();
        (void)waitpid(pid, NULL, 0);
    }
    b.subject = UINT32_MAX;
    turn_for(b.calm_ns);
}

static uint64_t minimum(void)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < b.members; i++) {
        bytes += b.sizes[i];
    }
    return bytes * b.watcher_count;
}

static void run_storm(void)
{
    b.traffic = (traffic){ 0 };
    b.filtered_bytes = 0;
    b.refusals = 0;
    uint64_t begun = crowd_now_ns();
    for (uint32_t i = 0; i < b.members; i++) {
        client *c = &b.clients[i];
        crowd_close(c->member);
        forget_truth(c);
        come_back(c, phi_ns(0));
    }
    for (size_t i = 0; i < b.socket_count; i++) {
        shutdown(b.sockets[i], SHUT_RDWR);
    }
    uint64_t cut_ns = crowd_now_ns() - begun;
    uint64_t joined_ns;
    uint64_t agreed_ns;
    bool is_equal = wait_for_all(begun, &joined_ns, &agreed_ns);
    uint64_t least = minimum();
    printf(", \"storm\": {\"cut_ms\": %.1f, \"joined_ms\": %.1f, \"equal_ms\": %.1f, "
           "\"is_equal\": %s, \"agreeing\": %u, \"refusals\": %" PRIu64 ", \"bytes\": %" PRIu64
           ", \"minimum\": %" PRIu64 ", \"ratio\": %.3f, \"pages\": %" PRIu64
           ", \"statuses\": %" PRIu64 ", \"onlines\": %" PRIu64 ", \"changes\": %" PRIu64
           ", \"offlines\": %" PRIu64 ", \"filtered_bytes\": %" PRIu64 "}",
           (double)cut_ns / 1e6, (double)joined_ns / 1e6, (double)agreed_ns / 1e6,
           is_equal ? "true" : "false", count_agreeing(), b.refusals, b.traffic.bytes, least,
           (double)b.traffic.bytes / (double)least, b.traffic.pages, b.traffic.statuses,
           b.traffic.onlines, b.traffic.changes, b.traffic.offlines, b.filtered_bytes);
}

static void print_latencies(const char *name, latencies *l)
{
    crowd_record_sort(&l->all);
    crowd_record_sort(&l->last);
    printf(", \"%s\": {\"count\": %" PRIu64 ", \"p50_ms\": %.3f, \"p99_ms\": %.3f, "
           "\"max_ms\": %.3f, \"last_ms\": %.3f}",
           name, l->all.count, crowd_record_us(&l->all, 0.5) / 1e3,
           crowd_record_us(&l->all, 0.99) / 1e3, crowd_record_us(&l->all, 1.0) / 1e3,
           crowd_record_us(&l->last, 0.5) / 1e3);
}

static void latencies_init(latencies *l, uint32_t rounds, uint32_t watcher_count)
{
    crowd_record_init(&l->all, (uint64_t)rounds * watcher_count);
    crowd_record_init(&l->last, rounds);
}

static void latencies_fini(latencies *l)
{
    crowd_record_fini(&l->all);
    crowd_record_fini(&l->last);
}

static void prepare(uint32_t members, uint32_t watcher_count, uint32_t rounds)
{
    b.members = members;
    b.rounds = rounds;
    b.count = members + WARM_UP_ROUNDS + 2 * rounds;
    b.watcher_count = watcher_count;
    b.subject = UINT32_MAX;
    b.random = phi_random_seeded(1);
    phi_timers_init(&b.timers, (phi_time){ crowd_now_ns() });
    b.clients = take(b.count, sizeof *b.clients);
    b.watchers = take(watcher_count, sizeof *b.watchers);
    b.sizes = take(b.count, sizeof *b.sizes);
    for (uint32_t i = 0; i < watcher_count; i++) {
        b.watchers[i].lines = take(b.count, sizeof(line));
        b.clients[i].watcher = &b.watchers[i];
    }
    latencies_init(&b.joins, rounds, watcher_count);
    latencies_init(&b.leaves, rounds, watcher_count);
    latencies_init(&b.kills, rounds, watcher_count);
}

static void clean_up(void)
{
    for (size_t i = 0; i < LIBRARY_CLIENTS; i++) {
        ph_client_free(&b.library[i]);
    }
    ph_loop_free(&b.loop);
    crowd_fini(&b.crowd);
    for (uint32_t i = 0; i < b.watcher_count; i++) {
        free(b.watchers[i].lines);
    }
    latencies_fini(&b.joins);
    latencies_fini(&b.leaves);
    latencies_fini(&b.kills);
    free(b.sizes);
    free(b.watchers);
    free(b.clients);
}

int main(int argc, char **argv)
{
    static const crowd_events events = {
        .describe = describe,
        .joined = joined,
        .packet = packet,
        .gone = gone,
    };
    if (argc != 8) {
        die("usage: bench_presence TARGET MEMBERS WATCHERS ROUNDS IS_FILTERED PROGRAM CALM_MS");
    }
    uint32_t members = (uint32_t)strtoul(argv[2], NULL, 10);
    uint32_t watcher_count = (uint32_t)strtoul(argv[3], NULL, 10);
    uint32_t rounds = (uint32_t)strtoul(argv[4], NULL, 10);
    if (members == 0 || watcher_count == 0 || watcher_count > members) {
        die("there must be members, and no more watchers than those");
    }
    b.is_filtered = strcmp(argv[5], "1") == 0;
    b.calm_ns = strtoul(argv[7], NULL, 10) * 1000000u;
    prepare(members, watcher_count, rounds);
    open_library(argv[1]);
    find_sockets();
    crowd_init(&b.crowd, &(crowd_options){ .target = argv[1],
                                           .prefix = PREFIX,
                                           .count_max = b.count,
                                           .opening_max = b.count,
                                           .busy_poll_us = PH_BUSY_POLL_US,
                                           .events = &events });
    for (uint32_t i = 0; i < members; i++) {
        open_one();
    }
    uint64_t joined_ns;
    uint64_t agreed_ns;
    if (!wait_for_all(crowd_now_ns(), &joined_ns, &agreed_ns)) {
        die("not everybody came to know everybody");
    }
    printf("{\"members\": %u, \"watchers\": %u, \"library\": %d, \"start_ms\": %.1f", members,
           watcher_count, LIBRARY_CLIENTS, (double)agreed_ns / 1e6);
    run_calm();
    run_kills(argv[6], argv[1]);
    print_latencies("join", &b.joins);
    print_latencies("leave", &b.leaves);
    print_latencies("kill", &b.kills);
    run_storm();
    printf(", \"gaps\": %" PRIu64 "}\n", b.gaps);
    clean_up();
    return 0;
}
