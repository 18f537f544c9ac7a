// SPDX-License-Identifier: Apache-2.0
//
// bench/presence_bare.c - the limit: one send to each of many connections that were quiet for a
// while, when nobody looks at the bytes.
//
//     presence_bare tcp|unix CONNECTIONS ROUNDS BYTES CALM_MS POLL_US
//
// This process sends, as a center that tells its watchers; a child reads, as the crowd does, and
// polls before it sleeps by the same rule (POLL_US 0: it sleeps at once). What is sent begins with
// the time at which the round began, so each read knows how late it is. The child prints one line
// of JSON.
//
// Linux acknowledges the first segments that a connection receives, and the first behind a silence
// of more than some 200 ms, at once: on loopback inside the sender's send, which then takes nearly
// twice as long. The rounds at the beginning, in which that is so, are not measured; a CALM_MS of
// 250 measures nothing else.

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/crowd.h"

#define BYTES_MAX 65536u
#define EVENTS_MAX 512
#define PATIENCE_NS 10000000000u
#define WARM_UP_ROUNDS 30

typedef struct bare {
    int family;
    uint32_t count;
    uint32_t rounds;
    uint32_t bytes;
    long calm_ns; // between two rounds
    uint32_t poll_us;
    int listener;
    int *sockets; // owned
} bare;

static uint8_t buffer[BYTES_MAX];

static void die(const char *what)
{
    perror(what);
    exit(1);
}

// A free port of loopback, or a name in the abstract namespace that the kernel chooses.
static void open_listener(bare *b)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    const struct sockaddr *at = b->family == AF_INET ? (void *)&in : (void *)&un;
    socklen_t size = b->family == AF_INET ? sizeof in : (socklen_t)sizeof un.sun_family;
    b->listener = socket(b->family, SOCK_STREAM, 0);
    if (b->listener < 0 || bind(b->listener, at, size) != 0 || listen(b->listener, 4096) != 0) {
        die("listen");
    }
}

static void connect_all(const bare *b, int epoll)
{
    struct sockaddr_storage at = { 0 };
    socklen_t size = sizeof at;
    if (getsockname(b->listener, (struct sockaddr *)&at, &size) != 0) {
        die("getsockname");
    }
    for (uint32_t i = 0; i < b->count; i++) {
        int fd = socket(b->family, SOCK_STREAM, 0);
        struct epoll_event event = { .events = EPOLLIN, .data = { .fd = fd } };
        if (fd < 0 || connect(fd, (struct sockaddr *)&at, size) != 0 ||
            epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
            die("connect");
        }
    }
}

static void print(crowd_record *all, crowd_record *last)
{
    crowd_record_sort(all);
    crowd_record_sort(last);
    printf("{\"count\": %" PRIu64 ", \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f, "
           "\"last_ms\": %.3f}\n",
           all->count, crowd_record_us(all, 0.5) / 1e3, crowd_record_us(all, 0.99) / 1e3,
           crowd_record_us(all, 1.0) / 1e3, crowd_record_us(last, 0.5) / 1e3);
}

static int run_reader(const bare *b)
{
    int epoll = epoll_create1(0);
    connect_all(b, epoll);
    uint64_t skipped = (uint64_t)b->count * WARM_UP_ROUNDS;
    uint64_t wanted = skipped + (uint64_t)b->count * b->rounds;
    crowd_record all;
    crowd_record last;
    crowd_record_init(&all, wanted);
    crowd_record_init(&last, b->rounds);
    phi_busy_poll poll;
    phi_busy_poll_init(&poll, phi_us(b->poll_us));
    for (uint64_t seen = 0; seen < wanted;) {
        struct epoll_event events[EVENTS_MAX];
        int count = crowd_wait(epoll, events, EVENTS_MAX, PATIENCE_NS, &poll);
        for (int i = 0; i < count; i++) {
            if (recv(events[i].data.fd, buffer, sizeof buffer, 0) != (ssize_t)b->bytes) {
                die("recv");
            }
            uint64_t since;
            memcpy(&since, buffer, sizeof since);
            uint64_t late_ns = crowd_now_ns() - since;
            if (seen++ >= skipped) {
                crowd_record_add(&all, late_ns);
                if (seen % b->count == 0) {
                    crowd_record_add(&last, late_ns);
                }
            }
        }
    }
    print(&all, &last);
    crowd_record_fini(&all);
    crowd_record_fini(&last);
    return 0;
}

static void run_sender(bare *b)
{
    for (uint32_t i = 0; i < b->count; i++) {
        b->sockets[i] = accept(b->listener, NULL, NULL);
        if (b->sockets[i] < 0) {
            die("accept");
        }
        int on = 1;
        (void)setsockopt(b->sockets[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    for (uint32_t round = 0; round < WARM_UP_ROUNDS + b->rounds; round++) {
        nanosleep(&(struct timespec){ .tv_nsec = b->calm_ns }, NULL);
        uint64_t now = crowd_now_ns();
        memcpy(buffer, &now, sizeof now);
        for (uint32_t i = 0; i < b->count; i++) {
            if (send(b->sockets[i], buffer, b->bytes, MSG_NOSIGNAL) != (ssize_t)b->bytes) {
                die("send");
            }
        }
    }
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr, "usage: presence_bare tcp|unix CONNECTIONS ROUNDS BYTES CALM_MS POLL_US\n");
        return 2;
    }
    bare b = {
        .family = strcmp(argv[1], "unix") == 0 ? AF_UNIX : AF_INET,
        .count = (uint32_t)strtoul(argv[2], NULL, 10),
        .rounds = (uint32_t)strtoul(argv[3], NULL, 10),
        .bytes = (uint32_t)strtoul(argv[4], NULL, 10),
        .calm_ns = strtol(argv[5], NULL, 10) * 1000000,
        .poll_us = (uint32_t)strtoul(argv[6], NULL, 10),
    };
    if (b.bytes < sizeof(uint64_t) || b.bytes > BYTES_MAX) {
        fprintf(stderr, "BYTES is 8 to %u\n", BYTES_MAX);
        return 2;
    }
    b.sockets = calloc(b.count, sizeof *b.sockets);
    if (b.sockets == NULL) {
        die("memory");
    }
    open_listener(&b);
    pid_t reader = fork();
    if (reader == 0) {
        return run_reader(&b);
    }
    run_sender(&b);
    int status = 1;
    (void)waitpid(reader, &status, 0);
    free(b.sockets);
    return status == 0 ? 0 : 1;
}
