// SPDX-License-Identifier: Apache-2.0
//
// bench/fanout.c - deliveries of one publisher's events to many subscribers.
//
//     fanout --system posthouse --target 127.0.0.1:PORT --subscribers 100 --window 1024 ...
//
// The publisher is this process, the subscribers are children of it with their connections divided
// among them. The publisher must not outrun the slowest subscriber: it keeps at most a window of
// events under way, and each child tells it through a pipe, past the server, when all its
// subscribers have a further quarter of a window. That costs every system the same, and the server
// nothing.
//
// Subscribers must not cost what is measured. Each tenth reads its events as a client would, and
// must find each number in its turn. The others let the kernel throw away what came, and count
// bytes: an event that were missing would be missing for ever.

#include "bench/fanout.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/sock.h"

#define READ_BYTES (256u * 1024u)
#define WRITE_BYTES (64u * 1024u)
#define PARTIAL_BYTES_MAX 4096u
#define CHILDREN_MAX 16u
#define QUARTERS 8u // of a window; subscribers are never further apart than half of it
#define EVENTS_MAX 128

typedef struct fanout_options {
    const fanout_wire *wire;
    const char *target;         // of subscribers
    const char *publish_target; // NULL: the same
    uint32_t subscribers;
    uint32_t children;
    uint32_t window;
    uint32_t payload;
    uint32_t checked; // each so manieth subscriber looks at its events, the others count bytes
    // Between two turns of the subscribers. They would else be asleep, and be woken by nearly every
    // write of the server: a third of its time, which subscribers elsewhere would not cost it.
    uint32_t pause_us;
    double seconds;
    double warm_seconds;
} fanout_options;

// What a child writes: a quarter of a window has arrived everywhere. The first says: subscribed.
typedef struct report {
    uint32_t child;
    uint32_t quarter;
    uint64_t ns;
} report;

static struct {
    fanout_options options;
    uint32_t quarter_size;
    // of a child
    uint32_t child;
    uint32_t links;
    uint32_t arrived[QUARTERS]; // links that have so many quarters
    uint32_t quarter;           // that all have
    size_t event_bytes;         // of an event on the wire; 0: none has come
    int report_fd;
} fanout;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

_Noreturn void fanout_die(const char *what)
{
    fprintf(stderr, "fanout: %s%s%s\n", what, errno == 0 ? "" : ": ",
            errno == 0 ? "" : strerror(errno));
    exit(1);
}

// ---- links

void fanout_write(fanout_link *link, const void *bytes, size_t size)
{
    if (!sock_write(link->fd, bytes, size)) {
        fanout_die("send");
    }
}

// Reads once and hands it on. `buffer` has room for PARTIAL_BYTES_MAX + READ_BYTES.
static void link_read(fanout_link *link, uint8_t *buffer)
{
    memcpy(buffer, link->partial, link->partial_size);
    ssize_t n = recv(link->fd, buffer + link->partial_size, READ_BYTES, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        fanout_die("the server closed a connection");
    }
    size_t size = link->partial_size + (size_t)n;
    size_t used = link->wire->receive(link, buffer, size);
    link->partial_size = size - used;
    if (link->partial_size > PARTIAL_BYTES_MAX) {
        fanout_die("more than an event is left over");
    }
    memcpy(link->partial, buffer + used, link->partial_size);
}

static void link_open(fanout_link *link, const char *target, uint8_t *buffer)
{
    link->fd = sock_connect(target);
    link->state = calloc(1, link->wire->state_size + 1);
    link->partial = malloc(PARTIAL_BYTES_MAX);
    if (link->state == NULL || link->partial == NULL) {
        fanout_die("memory");
    }
    link->wire->start(link);
    while (!link->is_ready) {
        link_read(link, buffer);
    }
}

static uint8_t *buffer_new(size_t size)
{
    uint8_t *buffer = malloc(size);
    if (buffer == NULL) {
        fanout_die("memory");
    }
    return buffer;
}

// ---- subscribers

static void tell(uint32_t quarter)
{
    report r = { .child = fanout.child, .quarter = quarter, .ns = now_ns() };
    if (write(fanout.report_fd, &r, sizeof r) != (ssize_t)sizeof r) {
        exit(0); // the publisher is done
    }
}

void fanout_delivered(fanout_link *link, const void *body, size_t size, size_t event_bytes)
{
    uint64_t number = 0;
    if (size != fanout.options.payload) {
        fanout_die("an event has another size");
    }
    memcpy(&number, body, sizeof number);
    if (number != link->count) {
        fprintf(stderr, "fanout: subscriber %u: event %llu came instead of %llu\n", link->number,
                (unsigned long long)number, (unsigned long long)link->count);
        fanout_die("an event was lost, doubled or overtaken");
    }
    link->count++;
    fanout.event_bytes = event_bytes;
}

// What came for a link that only counts bytes is given back to the kernel unread.
static void link_count(fanout_link *link)
{
    ssize_t n = recv(link->fd, NULL, READ_BYTES, MSG_TRUNC);
    if (n <= 0 && !(n < 0 && (errno == EAGAIN || errno == EINTR))) {
        fanout_die("the server closed a connection");
    }
    link->bytes += n < 0 ? 0 : (uint64_t)n;
}

// Enters the quarters that a link has by now.
static void enter_quarters(fanout_link *link)
{
    if (link->is_counted && fanout.event_bytes != 0) {
        link->count = link->bytes / fanout.event_bytes;
    }
    while (link->count >= (uint64_t)(link->quarter + 1) * fanout.quarter_size) {
        link->quarter++;
        fanout.arrived[link->quarter % QUARTERS]++;
    }
}

// Reports what has arrived at all links by now.
static void report_quarters(void)
{
    uint32_t before = fanout.quarter;
    while (fanout.arrived[(fanout.quarter + 1) % QUARTERS] == fanout.links) {
        fanout.quarter++;
        fanout.arrived[fanout.quarter % QUARTERS] = 0;
    }
    if (fanout.quarter != before) {
        tell(fanout.quarter);
    }
}

static void child_turn(int poll, uint8_t *buffer)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(poll, events, EVENTS_MAX, -1);
    for (int i = 0; i < count; i++) {
        fanout_link *link = events[i].data.ptr;
        if (link->is_counted) {
            link_count(link);
        } else {
            link_read(link, buffer);
        }
        enter_quarters(link);
    }
    if (fanout.options.pause_us != 0) {
        const struct timespec pause = { .tv_nsec = (long)fanout.options.pause_us * 1000 };
        nanosleep(&pause, NULL);
    }
}

static _Noreturn void run_child(uint32_t child, int report_fd)
{
    const fanout_options *o = &fanout.options;
    uint32_t first = o->subscribers * child / o->children;
    fanout.child = child;
    fanout.links = o->subscribers * (child + 1) / o->children - first;
    fanout.report_fd = report_fd;
    fanout_link *links = calloc(fanout.links, sizeof *links);
    uint8_t *buffer = buffer_new(PARTIAL_BYTES_MAX + READ_BYTES);
    int poll = epoll_create1(EPOLL_CLOEXEC);
    for (uint32_t i = 0; links != NULL && i < fanout.links; i++) {
        links[i] = (fanout_link){ .wire = o->wire, .number = first + i };
        link_open(&links[i], o->target, buffer);
        struct epoll_event e = { .events = EPOLLIN, .data.ptr = &links[i] };
        epoll_ctl(poll, EPOLL_CTL_ADD, links[i].fd, &e);
        fcntl(links[i].fd, F_SETFL, O_NONBLOCK);
        links[i].is_counted = i % o->checked != 0;
    }
    tell(0);
    for (;;) {
        bool is_first = fanout.event_bytes == 0;
        child_turn(poll, buffer);
        for (uint32_t i = 0; is_first && i < fanout.links; i++) {
            enter_quarters(&links[i]); // those before whom nobody knew an event's size
        }
        report_quarters();
    }
}

// ---- publisher

typedef struct publisher {
    fanout_link link;
    uint32_t quarters[CHILDREN_MAX]; // that the child's subscribers have
    uint64_t sent;
    uint64_t arrived; // everywhere
    uint64_t measure_ns;
    uint64_t end_ns;
    uint64_t first_count;
    uint64_t first_ns;
    uint64_t last_count;
    uint64_t last_ns;
} publisher;

// Waits for one report.
static void hear(publisher *p, int fd)
{
    report r;
    errno = 0;
    if (read(fd, &r, sizeof r) != (ssize_t)sizeof r) {
        fanout_die("the subscribers ended");
    }
    p->quarters[r.child] = r.quarter;
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < fanout.options.children; i++) {
        least = p->quarters[i] < least ? p->quarters[i] : least;
    }
    p->arrived = least * fanout.quarter_size;
    if (r.quarter == 0 || p->arrived == p->last_count) {
        return;
    }
    if (r.ns >= p->measure_ns && p->first_ns == 0) {
        p->first_ns = r.ns;
        p->first_count = p->arrived;
    }
    if (r.ns < p->end_ns) {
        p->last_ns = r.ns;
        p->last_count = p->arrived;
    }
}

// As many as the window allows, but at most what is written at once.
static void send_some(publisher *p, uint8_t *buffer, uint8_t *body)
{
    const fanout_options *o = &fanout.options;
    size_t room = WRITE_BYTES;
    size_t used = 0;
    while (p->sent - p->arrived < o->window && room - used >= o->wire->overhead + o->payload) {
        memcpy(body, &p->sent, sizeof p->sent);
        used += o->wire->encode(&p->link, buffer + used, body, o->payload);
        p->sent++;
    }
    fanout_write(&p->link, buffer, used);
}

static void run_publisher(int report_fd)
{
    const fanout_options *o = &fanout.options;
    publisher p = { .link = { .wire = o->wire, .is_publisher = true, .number = o->subscribers } };
    uint8_t *buffer = buffer_new(PARTIAL_BYTES_MAX + READ_BYTES);
    uint8_t *body = calloc(1, o->payload);
    for (uint32_t i = 0; i < o->children; i++) {
        hear(&p, report_fd); // subscribed
    }
    link_open(&p.link, o->publish_target == NULL ? o->target : o->publish_target, buffer);
    p.measure_ns = now_ns() + (uint64_t)(o->warm_seconds * 1e9);
    p.end_ns = p.measure_ns + (uint64_t)(o->seconds * 1e9);
    while (now_ns() < p.end_ns || p.sent % fanout.quarter_size != 0) {
        while (p.sent - p.arrived >= o->window) {
            hear(&p, report_fd);
        }
        send_some(&p, buffer, body);
    }
    while (p.arrived < p.sent) { // nothing is lost
        hear(&p, report_fd);
    }
    double seconds = (double)(p.last_ns - p.first_ns) / 1e9;
    if (p.first_ns == 0 || p.last_ns <= p.first_ns) {
        errno = 0;
        fanout_die("too few quarters of a window to measure by");
    }
    uint64_t count = (p.last_count - p.first_count) * o->subscribers;
    printf("{\"per_second\": %.0f, \"count\": %llu}\n", (double)count / seconds,
           (unsigned long long)count);
    free(buffer);
    free(body);
}

// ---- options

static const fanout_wire *wire_named(const char *name)
{
    static const fanout_wire *const wires[] = { &fanout_posthouse, &fanout_nats, &fanout_mqtt,
                                                &fanout_zmtp };
    for (size_t i = 0; i < sizeof wires / sizeof wires[0]; i++) {
        if (strcmp(wires[i]->name, name) == 0) {
            return wires[i];
        }
    }
    return NULL;
}

static bool parse_option(fanout_options *o, const char *key, const char *value)
{
    if (strcmp(key, "--system") == 0) {
        o->wire = wire_named(value);
    } else if (strcmp(key, "--target") == 0) {
        o->target = value;
    } else if (strcmp(key, "--publish-target") == 0) {
        o->publish_target = value;
    } else if (strcmp(key, "--subscribers") == 0) {
        o->subscribers = (uint32_t)strtoul(value, NULL, 10);
    } else if (strcmp(key, "--processes") == 0) {
        o->children = (uint32_t)strtoul(value, NULL, 10);
    } else if (strcmp(key, "--window") == 0) {
        o->window = (uint32_t)strtoul(value, NULL, 10);
    } else if (strcmp(key, "--payload") == 0) {
        o->payload = (uint32_t)strtoul(value, NULL, 10);
    } else if (strcmp(key, "--checked") == 0) {
        o->checked = (uint32_t)strtoul(value, NULL, 10);
    } else if (strcmp(key, "--pause-us") == 0) {
        o->pause_us = (uint32_t)strtoul(value, NULL, 10);
    } else if (strcmp(key, "--seconds") == 0) {
        o->seconds = strtod(value, NULL);
    } else if (strcmp(key, "--warm") == 0) {
        o->warm_seconds = strtod(value, NULL);
    } else {
        return false;
    }
    return true;
}

static void parse_options(int argc, char **argv)
{
    fanout_options o = { .subscribers = 1,
                         .children = 1,
                         .window = 1024,
                         .payload = 128,
                         .checked = 10,
                         .seconds = 1,
                         .warm_seconds = 0.2 };
    bool is_right = argc % 2 == 1;
    for (int i = 1; i + 1 < argc; i += 2) {
        is_right = parse_option(&o, argv[i], argv[i + 1]) && is_right;
    }
    is_right = is_right && o.wire != NULL && o.target != NULL && o.payload >= 8 &&
               o.payload <= PARTIAL_BYTES_MAX / 2 && o.window >= 4 && o.window % 4 == 0 &&
               o.checked >= 1 && o.children >= 1 && o.children <= CHILDREN_MAX &&
               o.subscribers >= o.children;
    if (!is_right) {
        fprintf(stderr, "usage: fanout --system posthouse|nats|mqtt|zmtp --target PORT\n"
                        "              [--publish-target PORT] [--subscribers N] [--processes N]\n"
                        "              [--window N] [--payload BYTES] [--checked N] [--seconds S]\n"
                        "              [--warm S] [--pause-us N]\n");
        exit(2);
    }
    fanout.options = o;
    fanout.quarter_size = o.window / 4;
}

static void on_child_ended(int number)
{
    (void)number;
    static const char text[] = "fanout: the subscribers ended\n";
    ssize_t n = write(STDERR_FILENO, text, sizeof text - 1);
    _exit(n < 0 ? 2 : 1);
}

int main(int argc, char **argv)
{
    parse_options(argc, argv);
    int reports[2];
    signal(SIGCHLD, on_child_ended);
    if (pipe(reports) != 0) {
        fanout_die("pipe");
    }
    for (uint32_t i = 0; i < fanout.options.children; i++) {
        pid_t pid = fork();
        if (pid < 0) {
            fanout_die("fork");
        }
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            close(reports[0]);
            run_child(i, reports[1]);
        }
    }
    close(reports[1]);
    run_publisher(reports[0]);
    return 0;
}
