// SPDX-License-Identifier: Apache-2.0
//
// tests/rotation/crowd.c - many connections to a center over TLS, all with traffic: what
// rotation_test.py keeps alive while it changes the center's certificate.
//
//     rotation_crowd tls:localhost:7679 CA CERTIFICATE KEY CONNECTIONS CALLS_PER_SECOND
//
// One of them answers, the others call it in turn. Each line on standard input is answered with a
// line of JSON; at its end the program ends. `downs` counts every time that a connection that was
// up was not any more: without an accident, there is none.

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <posthouse/posthouse.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 20000
#define CONNECTING_MAX 64 // handshakes under way: they are the expensive part
#define TURN_MS 5
#define CALL_TIMEOUT_MS 10000
#define ECHO_ACCOUNT "crowd" // that of the certificate; the others are made up from it

typedef struct member {
    ph_client *client;
    bool is_open;
    bool is_up;
    bool is_calling;
} member;

typedef struct crowd {
    ph_loop *loop;
    member *members; // the first one answers
    size_t count;
    size_t opened;
    size_t up;
    size_t next; // to call
    uint64_t calls;
    uint64_t replies;
    uint64_t failures;
    uint64_t downs;
    uint64_t slowest_ns;
    uint64_t rate; // calls a second
    uint64_t begin_ns;
    char trouble[160]; // of the last that went down, or the last call that failed
} crowd;

static crowd all;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void check(ph_err err, const char *what)
{
    if (err != PH_OK) {
        fprintf(stderr, "rotation_crowd: %s: %s\n", what, ph_err_text(err));
        exit(1);
    }
}

static void on_link(ph_client *client, const ph_link_change *change, void *arg)
{
    (void)client;
    member *m = arg;
    bool is_up = change->state == PH_LINK_UP;
    all.up += is_up && !m->is_up;
    if (m->is_up && !is_up) {
        all.up--;
        all.downs++;
    }
    if (!is_up) {
        snprintf(all.trouble, sizeof all.trouble, "%.*s", (int)change->text.size,
                 (const char *)change->text.data);
    }
    m->is_up = is_up;
}

static void on_request(ph_client *client, ph_request_id request, const ph_incoming *incoming,
                       void *arg)
{
    (void)arg;
    if (ph_client_reply(client, request, incoming->body.data, incoming->body.size) != PH_OK) {
        all.failures++;
    }
}

typedef struct call {
    member *owner;
    uint64_t start_ns;
} call;

static void on_reply(ph_client *client, ph_call_id id, ph_err status, uint16_t code,
                     const ph_incoming *reply, void *arg)
{
    (void)client;
    (void)id;
    (void)reply;
    call *c = arg;
    uint64_t took = now_ns() - c->start_ns;
    c->owner->is_calling = false;
    free(c);
    if (status == PH_OK) {
        all.replies++;
        all.slowest_ns = took > all.slowest_ns ? took : all.slowest_ns;
        return;
    }
    all.failures++;
    snprintf(all.trouble, sizeof all.trouble, "call: %s",
             status == PH_EFAILURE ? ph_failure_text(code) : ph_err_text(status));
}

static void make_members(char **argv)
{
    all.members = calloc(all.count, sizeof *all.members);
    if (all.members == NULL) {
        check(PH_ENOMEM, "members");
    }
    check(ph_loop_new(&all.loop), "loop");
    for (size_t i = 0; i < all.count; i++) {
        ph_client_options options = PH_CLIENT_OPTIONS_INIT;
        options.loop = all.loop;
        options.centers = argv[1];
        options.tls_authorities_file = argv[2];
        options.tls_certificate_file = argv[3];
        options.tls_key_file = argv[4];
        options.account = i == 0 ? ECHO_ACCOUNT : NULL;
        options.on_link = on_link;
        options.on_request = i == 0 ? on_request : NULL;
        options.arg = &all.members[i];
        check(ph_client_new(&all.members[i].client, &options), "client");
    }
}

// A few at a time, the one that answers first.
static void open_more(void)
{
    while (all.opened < all.count && all.opened - all.up < CONNECTING_MAX) {
        member *m = &all.members[all.opened++];
        check(ph_client_open(m->client), "open");
        m->is_open = true;
    }
}

static void call_one(member *m)
{
    ph_outgoing request = PH_OUTGOING_INIT;
    request.to = ECHO_ACCOUNT;
    request.method = "echo";
    request.body = "are you still there?";
    request.body_size = strlen(request.body);
    request.timeout_ms = CALL_TIMEOUT_MS;
    call *c = malloc(sizeof *c);
    if (c == NULL) {
        check(PH_ENOMEM, "call");
    }
    *c = (call){ m, now_ns() };
    ph_err err = ph_client_request(m->client, &request, NULL, on_reply, c);
    all.calls++;
    if (err != PH_OK) {
        free(c);
        all.failures++;
        snprintf(all.trouble, sizeof all.trouble, "request: %s", ph_err_text(err));
        return;
    }
    m->is_calling = true;
}

// As many calls as are due by now; nothing while they are still connecting.
static void call_due(void)
{
    if (all.up < all.count && all.begin_ns == 0) {
        return;
    }
    if (all.begin_ns == 0) {
        all.begin_ns = now_ns();
    }
    uint64_t due = (now_ns() - all.begin_ns) / 1000000 * all.rate / 1000;
    size_t looked_at = 0;
    while (all.calls < due && looked_at++ < all.count) {
        all.next = all.next + 1 < all.count ? all.next + 1 : 1;
        member *m = &all.members[all.next];
        if (m->is_up && !m->is_calling) {
            call_one(m);
        }
    }
}

static void tell(void)
{
    printf("{\"connections\":%zu,\"up\":%zu,\"calls\":%llu,\"replies\":%llu,\"failures\":%llu,"
           "\"downs\":%llu,\"slowest_ms\":%.3f,\"trouble\":\"%s\"}\n",
           all.count, all.up, (unsigned long long)all.calls, (unsigned long long)all.replies,
           (unsigned long long)all.failures, (unsigned long long)all.downs,
           (double)all.slowest_ns / 1e6, all.trouble);
    fflush(stdout);
}

// False at the end of standard input.
static bool listen_to_the_test(void)
{
    struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
    while (poll(&in, 1, 0) > 0) {
        char line[64];
        ssize_t size = read(STDIN_FILENO, line, sizeof line);
        if (size <= 0) {
            return size < 0 && errno == EINTR;
        }
        for (ssize_t i = 0; i < size; i++) {
            if (line[i] == '\n') {
                tell();
            }
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr, "rotation_crowd ADDRESS CA CERTIFICATE KEY CONNECTIONS CALLS_PER_SECOND\n");
        return 2;
    }
    all.count = (size_t)strtoul(argv[5], NULL, 10);
    all.rate = strtoul(argv[6], NULL, 10);
    if (all.count < 2 || all.count > CONNECTIONS_MAX || all.rate == 0 || all.rate > 1000000) {
        fprintf(stderr, "rotation_crowd: 2 to %d connections, 1 to 1000000 calls a second\n",
                CONNECTIONS_MAX);
        return 2;
    }
    make_members(argv);
    while (listen_to_the_test()) {
        open_more();
        call_due();
        ph_loop_turn(all.loop, TURN_MS);
    }
    tell();
    for (size_t i = 0; i < all.count; i++) {
        ph_client_free(&all.members[i].client);
    }
    ph_loop_free(&all.loop);
    free(all.members);
    return 0;
}
