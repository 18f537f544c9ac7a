// SPDX-License-Identifier: Apache-2.0
//
// bench/rr_relay.c - the limit: what the kernel's sockets allow when nobody looks at the bytes.
//
//     rr_relay --role relay        prints its port; passes bytes between a responder and a caller
//     rr_relay --role responder    connects first; sends back what it reads
//     rr_relay --role caller       connects second; keeps `in_flight` messages under way
//
// Three processes and four socket ends, as with a center. The relay does epoll, read and write, and
// nothing else.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/rr.h"
#include "bench/sock.h"

#define BUFFER_BYTES 262144

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void write_all(int fd, const char *bytes, size_t size)
{
    if (!sock_write(fd, bytes, size)) {
        exit(0); // the other end is done
    }
}

static size_t read_some(int fd, char *bytes, size_t size)
{
    ssize_t n = read(fd, bytes, size);
    if (n <= 0) {
        exit(0);
    }
    return (size_t)n;
}

// Until the other end is done.
static _Noreturn void echo(int fd)
{
    static char buffer[BUFFER_BYTES];
    for (;;) {
        size_t n = read_some(fd, buffer, sizeof buffer);
        write_all(fd, buffer, n);
    }
}

static int run_responder(const rr_options *o)
{
    int fd = sock_connect(o->target);
    printf("ready\n");
    fflush(stdout);
    echo(fd);
}

// Open loop. The n-th reply belongs to the n-th call.
static int run_open(const rr_options *o)
{
    static char in[BUFFER_BYTES];
    static char out[BUFFER_BYTES];
    int fd = sock_connect(o->target);
    size_t out_max = sizeof out / o->payload;
    size_t have = 0;
    rr_record record;
    rr_schedule s;
    rr_record_start(&record, o);
    rr_schedule_start(&s, o);
    while (s.done < s.total) {
        size_t due = 0;
        while (due < out_max && s.next - s.done < o->in_flight &&
               rr_schedule_is_due(&s, rr_now_ns())) {
            s.next++;
            due++;
        }
        write_all(fd, out, due * o->payload);
        struct timespec wait = { .tv_nsec = (long)rr_schedule_wait_ns(&s, rr_now_ns()) };
        struct pollfd p = { .fd = fd, .events = POLLIN };
        if (ppoll(&p, 1, &wait, NULL) == 1) {
            have += read_some(fd, in, sizeof in);
            for (; have >= o->payload; have -= o->payload) {
                (void)rr_schedule_done(&s, &record, s.done, rr_now_ns());
            }
        }
    }
    rr_record_print(&record);
    close(fd);
    return 0;
}

static int run_caller(const rr_options *o)
{
    static char in[BUFFER_BYTES];
    if (o->rate > 0) {
        return run_open(o);
    }
    int fd = sock_connect(o->target);
    char *out = calloc(o->in_flight, o->payload);
    uint64_t *sent = calloc(o->in_flight, sizeof *sent);
    if (out == NULL || sent == NULL) {
        die("memory");
    }
    rr_record record;
    rr_record_start(&record, o);
    for (uint32_t i = 0; i < o->in_flight; i++) {
        sent[i] = rr_now_ns();
    }
    write_all(fd, out, (size_t)o->in_flight * o->payload);

    // Messages come back in order, so the n-th reply belongs to the n-th message.
    size_t have = 0;
    uint32_t next = 0;
    uint32_t open = o->in_flight;
    while (open > 0) {
        have += read_some(fd, in, sizeof in);
        size_t again = 0;
        for (; have >= o->payload; have -= o->payload) {
            uint64_t now = rr_now_ns();
            if (rr_record_add(&record, sent[next], now)) {
                sent[next] = now;
                again++;
            } else {
                open--;
            }
            next = (next + 1) % o->in_flight;
        }
        write_all(fd, out, again * o->payload);
    }
    rr_record_print(&record);
    free(out);
    free(sent);
    close(fd);
    return 0;
}

// Passes on what `from` has; false when it is gone.
static bool relay_once(int from, int to)
{
    static char buffer[BUFFER_BYTES];
    ssize_t n = read(from, buffer, sizeof buffer);
    if (n <= 0) {
        return false;
    }
    if (to >= 0) {
        write_all(to, buffer, (size_t)n);
    }
    return true;
}

static int run_relay(const rr_options *o)
{
    (void)o;
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof a;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&a, sizeof a) != 0 ||
        listen(listener, 8) != 0 || getsockname(listener, (struct sockaddr *)&a, &size) != 0) {
        die("listen");
    }
    printf("%d\n", ntohs(a.sin_port));
    fflush(stdout);

    int poll = epoll_create1(EPOLL_CLOEXEC);
    int responder = accept(listener, NULL, NULL);
    int caller = -1;
    setsockopt(responder, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    struct epoll_event e = { .events = EPOLLIN, .data.fd = responder };
    epoll_ctl(poll, EPOLL_CTL_ADD, responder, &e);
    e.data.fd = listener;
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &e);
    for (;;) {
        struct epoll_event events[4];
        int n = epoll_wait(poll, events, 4, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                caller = accept(listener, NULL, NULL);
                setsockopt(caller, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
                e = (struct epoll_event){ .events = EPOLLIN, .data.fd = caller };
                epoll_ctl(poll, EPOLL_CTL_ADD, caller, &e);
            } else if (fd == responder && !relay_once(responder, caller)) {
                return 0;
            } else if (fd == caller && !relay_once(caller, responder)) {
                close(caller);
                caller = -1;
            }
        }
    }
}

int main(int argc, char **argv)
{
    static const rr_role roles[] = {
        { "relay", run_relay },
        { "responder", run_responder },
        { "caller", run_caller },
        { NULL, NULL },
    };
    return rr_main(argc, argv, roles);
}
