// SPDX-License-Identifier: Apache-2.0

#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/io/uv_fixture.h"

// ---- a name server of the test's own, on loopback, answered between turns

typedef struct name_server {
    int fd;
    char address[64];
    int questions;
    bool is_silent;
    uint8_t code;     // the response code
    uint8_t hosts[2]; // the last byte of each 127.0.0.x it answers; 0 none
} name_server;

static void name_server_open(name_server *n)
{
    *n = (name_server){ .fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) };
    EXPECT(n->fd >= 0);
    struct sockaddr_in at = { .sin_family = AF_INET };
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    EXPECT_EQ(bind(n->fd, (const struct sockaddr *)&at, size), 0);
    EXPECT_EQ(getsockname(n->fd, (struct sockaddr *)&at, &size), 0);
    (void)snprintf(n->address, sizeof n->address, "127.0.0.1:%u", ntohs(at.sin_port));
}

// Turns the question in `packet` into the answer; its new size.
static size_t name_server_answer(const name_server *n, uint8_t *packet, size_t size)
{
    bool is_a = packet[size - 3] == 1; // the question ends in type and class
    size_t count = 0;
    for (size_t i = 0; is_a && n->code == 0 && i < 2; i++) {
        if (n->hosts[i] != 0) {
            const uint8_t answer[] = { 0xc0, 12, 0, 1, 0,   1, 0, 0,
                                       0,    0,  0, 4, 127, 0, 0, n->hosts[i] };
            memcpy(packet + size, answer, sizeof answer);
            size += sizeof answer;
            count++;
        }
    }
    packet[2] = 0x81; // a response, recursion desired
    packet[3] = (uint8_t)(0x80 | n->code);
    packet[7] = (uint8_t)count;
    packet[9] = 0;
    packet[11] = 0; // the question's EDNS record is not repeated
    return size;
}

static void name_server_serve(name_server *n)
{
    uint8_t packet[512];
    struct sockaddr_in from;
    socklen_t from_size = sizeof from;
    ssize_t size;
    while ((size = recvfrom(n->fd, packet, sizeof packet - 64, 0, (struct sockaddr *)&from,
                            &from_size)) > 12) {
        n->questions++;
        if (n->is_silent) {
            continue;
        }
        EXPECT_EQ(packet[11], 0);
        size_t answer = name_server_answer(n, packet, (size_t)size);
        EXPECT_EQ(sendto(n->fd, packet, answer, 0, (const struct sockaddr *)&from, from_size),
                  (ssize_t)answer);
    }
}

#define SERVE_UNTIL(f, n, condition)                                                               \
    do {                                                                                           \
        for (int turns_ = 0;; turns_++) {                                                          \
            if (condition) {                                                                       \
                break;                                                                             \
            }                                                                                      \
            if (turns_ == 5000) {                                                                  \
                fail_msg("never came: %s", #condition);                                            \
            }                                                                                      \
            phi_uv_turn((f)->uv, phi_ms(1));                                                       \
            name_server_serve(n);                                                                  \
        }                                                                                          \
    } while (0)

static void connect_by_name(fixture *f, name_server *n)
{
    name_server_open(n);
    f->uv->name_servers = n->address;
    char address[64];
    (void)snprintf(address, sizeof address, "center.example:%u", f->port);
    fixture_connect(f, address);
}

// ---- texts

// The first thing a user sees is that the center is not there: it must say where it was looked for.
TEST(uv_dial, refusals_say_where_and_why)
{
    fixture *f = fixture_new("127.0.0.1:0");
    phi_listener_close(f->io, f->listener);
    char address[64];
    char expected[128];
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", f->port);
    (void)snprintf(expected, sizeof expected, "connect to %s: Connection refused", address);
    fixture_connect(f, address);
    FIXTURE_UNTIL(f, f->client.closed == 1);
    EXPECT_ERR(f->client.reason, PH_ECONNECT);
    EXPECT_TEXT(f->client.why, expected);

    f->client = (fixture_end){ .f = f };
    fixture_connect(f, "unix:/nonexistent/a.sock");
    EXPECT_EQ(f->client.closed, 0); // known at once, told in a turn
    FIXTURE_UNTIL(f, f->client.closed == 1);
    EXPECT_TEXT(f->client.why, "connect to unix:/nonexistent/a.sock: No such file or directory");

    f->client = (fixture_end){ .f = f };
    (void)snprintf(address, sizeof address, "localhost:%u", f->port);
    (void)snprintf(expected, sizeof expected,
                   "connect to localhost:%u: 127.0.0.1:%u: Connection refused (and 1 more address)",
                   f->port, f->port);
    fixture_connect(f, address);
    FIXTURE_UNTIL(f, f->client.closed == 1);
    EXPECT_TEXT(f->client.why, expected);

    phi_stream *none = NULL;
    EXPECT_ERR(phi_io_connect(f->io, &(phi_connect_options){ .address = "127.0.0.1:0" },
                              &fixture_stream_events, f, &none, NULL),
               PH_EINVAL);
    fixture_free(f);
}

// A SYN that nobody answers would keep a client from trying the next center for two minutes.
TEST(uv_dial, silence_ends_an_attempt)
{
    fixture *f = fixture_new(NULL);
    int full = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = { .sin_family = AF_INET };
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    EXPECT_EQ(bind(full, (const struct sockaddr *)&at, size), 0);
    EXPECT_EQ(listen(full, 0), 0);
    EXPECT_EQ(getsockname(full, (struct sockaddr *)&at, &size), 0);
    int waiting[4]; // more than its queue holds: from then on it drops every SYN
    for (size_t i = 0; i < PHI_COUNT_OF(waiting); i++) {
        waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(waiting[i], (const struct sockaddr *)&at, size);
    }
    char address[64];
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(at.sin_port));
    fixture_connect(f, address);
    fixture_settle(f);
    EXPECT_EQ(f->client.opened + f->client.closed, 0);
    fixture_skip(f, phi_seconds(6));
    FIXTURE_UNTIL(f, f->client.closed == 1);
    EXPECT_ERR(f->client.reason, PH_ECONNECT);
    EXPECT(strstr(f->client.why, "timed out") != NULL);
    for (size_t i = 0; i < PHI_COUNT_OF(waiting); i++) {
        close(waiting[i]);
    }
    close(full);
    fixture_free(f);
}

// ---- names

// "localhost" is what every example says: it must work when the center listens on either of its
// addresses.
TEST(uv_dial, localhost_tries_both_families)
{
    if (!has_ip6()) {
        skip();
    }
    fixture *f = fixture_new("[::1]:0");
    char address[64];
    (void)snprintf(address, sizeof address, "localhost:%u", f->port);
    fixture_connect(f, address);
    FIXTURE_UNTIL(f, f->client.opened == 1 && f->count == 1);
    EXPECT(fixture_peer(f, f->client.stream).is_local);
    fixture_free(f);
}

// A name may lead to several machines, of which one is down: the others must be tried.
TEST(uv_dial, name_is_looked_up_and_every_address_tried)
{
    fixture *f = fixture_new("127.0.0.1:0");
    name_server n;
    connect_by_name(f, &n);
    n.hosts[0] = 2; // nobody listens at 127.0.0.2
    n.hosts[1] = 1;
    SERVE_UNTIL(f, &n, f->client.opened == 1 && f->count == 1);
    EXPECT(n.questions >= 2); // A and AAAA
    char text[PHI_ADDRESS_TEXT_MAX];
    phi_stream_peer(f->io, f->client.stream, text);
    EXPECT_TEXT(text, f->address);
    close(n.fd);
    fixture_free(f);
}

// A name that does not exist is a slip, not a center that is down.
TEST(uv_dial, unknown_name_is_told)
{
    fixture *f = fixture_new("127.0.0.1:0");
    name_server n;
    connect_by_name(f, &n);
    n.code = 3;
    SERVE_UNTIL(f, &n, f->client.closed == 1);
    EXPECT_ERR(f->client.reason, PH_ECONNECT);
    EXPECT(strstr(f->client.why, "center.example") != NULL);
    EXPECT(strstr(f->client.why, "look up the name: Domain name not found") != NULL);
    EXPECT_EQ(f->client.opened, 0);
    close(n.fd);
    fixture_free(f);
}

// A name server that does not answer must neither block the loop nor be waited for without end.
TEST(uv_dial, silent_name_server_is_given_up)
{
    fixture *f = fixture_new("127.0.0.1:0");
    name_server n;
    connect_by_name(f, &n);
    n.is_silent = true;
    SERVE_UNTIL(f, &n, n.questions > 0);
    EXPECT_EQ(f->client.closed, 0);
    EXPECT(phi_timers_next(&f->io->timers).ns < phi_time_add(phi_io_now(f->io), phi_seconds(2)).ns);
    phi_stream_close(f->io, f->client.stream);
    SERVE_UNTIL(f, &n, f->client.closed == 1);
    EXPECT_ERR(f->client.reason, PH_OK);
    close(n.fd);
    fixture_free(f);
}

// A loop may be freed while a name is looked up.
TEST(uv_dial, free_while_looking_up)
{
    fixture *f = fixture_new("127.0.0.1:0");
    name_server n;
    connect_by_name(f, &n);
    n.is_silent = true;
    SERVE_UNTIL(f, &n, n.questions > 0);
    close(n.fd);
    fixture_free(f);
}

// Without memory a lookup is refused or ends; nothing else may happen.
TEST(uv_dial, every_allocation_of_a_lookup_may_fail)
{
    for (size_t n_th = 1; n_th <= 6; n_th++) {
        fixture *f = fixture_new("127.0.0.1:0");
        name_server n;
        name_server_open(&n);
        n.hosts[0] = 1;
        f->uv->name_servers = n.address;
        f->memory.fail_at = f->memory.takes + n_th;
        char address[64];
        (void)snprintf(address, sizeof address, "center.example:%u", f->port);
        ph_err err = phi_io_connect(f->io, &(phi_connect_options){ .address = address },
                                    &fixture_stream_events, &f->client, &f->client.stream, NULL);
        if (err == PH_OK) {
            SERVE_UNTIL(f, &n, f->client.opened == 1 || f->client.closed == 1);
            EXPECT(f->client.opened == 1 || f->client.reason == PH_ECONNECT);
        } else {
            EXPECT_ERR(err, PH_ENOMEM);
        }
        close(n.fd);
        fixture_free(f);
    }
}
