// SPDX-License-Identifier: Apache-2.0
//
// bench/many.c - request/reply over many connections without a library, and the bare relay for
// them.
//
//     bench_many --role relay --pairs 100            prints its port; passes bytes between pairs
//     bench_many --role responder-relay --pairs 100  all connections in one loop; answers
//     bench_many --role caller-relay ...             the same; keeps `in_flight` calls under way
//     bench_many --role responder-nats ...           the same to nats-server
//
// Ends read what a connection has, and write what that leads to at once, in one piece. nats-server
// is not measured with libnats here: that has a thread for each connection, so what would be
// measured is the scheduler. These ends cost less than any library does.

#include "bench/many.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/sock.h"

#define READ_BYTES (256u * 1024u)
#define PARTIAL_BYTES 4096u // of a message
#define WRITE_BYTES (512u * 1024u)
#define EVENTS_MAX 1024

// A call under way; it is made again from the same place as soon as it ended.
typedef struct place {
    many_link *link;
    uint64_t sent_ns;
} place;

struct many_end {
    const rr_options *options;
    const many_wire *wire;
    bool is_caller;
    int epoll;
    many_link *links;
    uint32_t count;
    uint8_t *input;  // owned
    uint8_t *output; // owned: what the link that is read leads to
    size_t output_size;
    uint8_t *body; // owned, of the next call
    place *places; // owned
    uint32_t open;
    rr_record record;
};

_Noreturn void many_die(const char *what)
{
    perror(what);
    exit(1);
}

static void *take(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (memory == NULL) {
        many_die("memory");
    }
    return memory;
}

// ---- what wires use

bool many_is_caller(const many_link *link)
{
    return link->end->is_caller;
}

const rr_options *many_options(const many_link *link)
{
    return link->end->options;
}

static void flush(many_link *link)
{
    many_end *e = link->end;
    if (e->output_size > 0 && !sock_write(link->fd, e->output, e->output_size)) {
        exit(0); // the server is done
    }
    e->output_size = 0;
}

static uint8_t *room_for(many_link *link, size_t size)
{
    many_end *e = link->end;
    if (e->output_size + size > WRITE_BYTES) {
        flush(link);
    }
    return e->output + e->output_size;
}

void many_say(many_link *link, const void *bytes, size_t size)
{
    memcpy(room_for(link, size), bytes, size);
    link->end->output_size += size;
}

static void say_message(many_link *link, const many_message *to, const uint8_t *body)
{
    many_end *e = link->end;
    uint8_t *room = room_for(link, e->options->payload + e->wire->overhead);
    e->output_size += e->wire->encode(link, room, to, body);
}

// ---- calls

static void call(many_end *e, uint64_t at, uint64_t now_ns)
{
    e->places[at].sent_ns = now_ns;
    memcpy(e->body, &at, sizeof at);
    say_message(e->places[at].link, NULL, e->body);
}

void many_received(many_link *link, const many_message *message)
{
    many_end *e = link->end;
    if (message->size != e->options->payload) {
        many_die("a message of another size");
    }
    if (!e->is_caller) {
        say_message(link, message, message->body);
        return;
    }
    uint64_t at = 0;
    memcpy(&at, message->body, sizeof at);
    if (at >= e->options->in_flight || e->places[at].link != link) {
        many_die("a reply to somebody else");
    }
    uint64_t now = rr_now_ns();
    if (rr_record_add(&e->record, e->places[at].sent_ns, now)) {
        call(e, at, now);
    } else {
        e->open--;
    }
}

// ---- ends

static void receive(many_link *link)
{
    many_end *e = link->end;
    memcpy(e->input, link->partial, link->partial_size);
    ssize_t n = recv(link->fd, e->input + link->partial_size, READ_BYTES, 0);
    if (n <= 0) {
        exit(0); // the server is done
    }
    size_t size = link->partial_size + (size_t)n;
    size_t used = e->wire->receive(link, e->input, size);
    link->partial_size = size - used;
    if (link->partial_size > PARTIAL_BYTES) {
        many_die("more than a message is left over");
    }
    memcpy(link->partial, e->input + used, link->partial_size);
    flush(link);
}

static void turn(many_end *e)
{
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(e->epoll, events, EVENTS_MAX, -1);
    for (int i = 0; i < n; i++) {
        receive(events[i].data.ptr);
    }
}

// One after the other, so that the relay knows which belong together, and nats-server all
// subjects before anybody calls.
static void open_link(many_end *e, uint32_t i)
{
    many_link *link = &e->links[i];
    *link = (many_link){ .end = e, .number = i, .fd = sock_connect(e->options->target) };
    link->partial = take(PARTIAL_BYTES, 1);
    if (e->wire->start != NULL) {
        e->wire->start(link);
        flush(link);
        while (!link->is_ready) {
            receive(link);
        }
    }
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = link };
    if (epoll_ctl(e->epoll, EPOLL_CTL_ADD, link->fd, &event) != 0) {
        many_die("epoll_ctl");
    }
}

static void end_open(many_end *e, const rr_options *o, const many_wire *wire, bool is_caller)
{
    *e = (many_end){ .options = o,
                     .wire = wire,
                     .is_caller = is_caller,
                     .epoll = epoll_create1(EPOLL_CLOEXEC),
                     .count = is_caller ? o->pairs : o->responders,
                     .input = take(PARTIAL_BYTES + READ_BYTES, 1),
                     .output = take(WRITE_BYTES, 1),
                     .body = take(o->payload, 1) };
    if (e->epoll < 0 || o->payload + wire->overhead > PARTIAL_BYTES) {
        many_die("no epoll, or payload too large");
    }
    e->links = take(e->count, sizeof *e->links);
    for (uint32_t i = 0; i < e->count; i++) {
        open_link(e, i);
    }
}

static void end_close(many_end *e)
{
    for (uint32_t i = 0; i < e->count; i++) {
        close(e->links[i].fd);
        free(e->links[i].partial);
    }
    close(e->epoll);
    free(e->links);
    free(e->input);
    free(e->output);
    free(e->body);
}

static _Noreturn void run_responder(const rr_options *o, const many_wire *wire)
{
    many_end e;
    end_open(&e, o, wire, /* is_caller= */ false);
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        turn(&e);
    }
}

static int run_caller(const rr_options *o, const many_wire *wire)
{
    many_end e;
    end_open(&e, o, wire, /* is_caller= */ true);
    e.places = take(o->in_flight, sizeof *e.places);
    e.open = o->in_flight;
    rr_record_start(&e.record, o);
    for (uint32_t i = 0; i < o->pairs; i++) {
        for (uint32_t at = i; at < o->in_flight; at += o->pairs) {
            e.places[at].link = &e.links[i];
            call(&e, at, rr_now_ns());
        }
        flush(&e.links[i]);
    }
    while (e.open > 0) {
        turn(&e);
    }
    rr_record_print(&e.record);
    end_close(&e);
    free(e.places);
    return 0;
}

// ---- the wire of the relay: bodies, one behind the other

static size_t relay_receive(many_link *link, const uint8_t *bytes, size_t size)
{
    size_t payload = link->end->options->payload;
    size_t used = 0;
    for (; size - used >= payload; used += payload) {
        many_received(link, &(many_message){ .body = bytes + used, .size = payload });
    }
    return used;
}

static size_t relay_encode(many_link *link, uint8_t *room, const many_message *to,
                           const uint8_t *body)
{
    (void)to;
    memcpy(room, body, link->end->options->payload);
    return link->end->options->payload;
}

static const many_wire many_relay = { .receive = relay_receive, .encode = relay_encode };

// ---- the relay

// A connection and the one at the other end, which it passes its bytes to. The first half of them
// are responders.
typedef struct relay_end {
    int fd; // -1: not there
    struct relay_end *other;
} relay_end;

typedef struct relay {
    int listener;
    int epoll;
    relay_end *ends; // owned, 2 * pairs
    uint32_t pairs;
    uint32_t responders;
    uint32_t callers; // that came since there were none
} relay;

static int listen_anywhere(int backlog)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof a;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&a, sizeof a) != 0 ||
        listen(listener, backlog) != 0 ||
        getsockname(listener, (struct sockaddr *)&a, &size) != 0) {
        many_die("listen");
    }
    printf("%d\n", ntohs(a.sin_port));
    fflush(stdout);
    return listener;
}

// The responders come first; then callers, always as many.
static void relay_accept(relay *r)
{
    relay_end *end = r->responders < r->pairs ? &r->ends[r->responders++]
                                              : &r->ends[r->pairs + r->callers++ % r->pairs];
    end->fd = accept(r->listener, NULL, NULL);
    setsockopt(end->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = end };
    if (end->fd < 0 || epoll_ctl(r->epoll, EPOLL_CTL_ADD, end->fd, &event) != 0) {
        many_die("accept");
    }
}

static void relay_pass(relay *r, relay_end *end)
{
    static uint8_t buffer[READ_BYTES];
    ssize_t n = read(end->fd, buffer, sizeof buffer);
    if (n > 0) {
        if (end->other->fd >= 0 && !sock_write(end->other->fd, buffer, (size_t)n)) {
            exit(0);
        }
        return;
    }
    if (end < &r->ends[r->pairs]) {
        exit(0); // a responder is gone
    }
    close(end->fd);
    end->fd = -1;
}

static int run_relay(const rr_options *o)
{
    relay r = { .listener = listen_anywhere(SOMAXCONN),
                .epoll = epoll_create1(EPOLL_CLOEXEC),
                .ends = take(2 * (size_t)o->pairs, sizeof(relay_end)),
                .pairs = o->pairs };
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };
    if (r.epoll < 0 || epoll_ctl(r.epoll, EPOLL_CTL_ADD, r.listener, &event) != 0) {
        many_die("epoll");
    }
    for (uint32_t i = 0; i < r.pairs; i++) {
        r.ends[i] = (relay_end){ .fd = -1, .other = &r.ends[r.pairs + i] };
        r.ends[r.pairs + i] = (relay_end){ .fd = -1, .other = &r.ends[i] };
    }
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        int n = epoll_wait(r.epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == NULL) {
                relay_accept(&r);
            } else {
                relay_pass(&r, events[i].data.ptr);
            }
        }
    }
}

// ---- roles

static int run_responder_relay(const rr_options *o)
{
    run_responder(o, &many_relay);
}

static int run_caller_relay(const rr_options *o)
{
    return run_caller(o, &many_relay);
}

static int run_responder_nats(const rr_options *o)
{
    run_responder(o, &many_nats);
}

static int run_caller_nats(const rr_options *o)
{
    return run_caller(o, &many_nats);
}

int main(int argc, char **argv)
{
    static const rr_role roles[] = {
        { "relay", run_relay },
        { "responder-relay", run_responder_relay },
        { "caller-relay", run_caller_relay },
        { "responder-nats", run_responder_nats },
        { "caller-nats", run_caller_nats },
        { NULL, NULL },
    };
    return rr_main(argc, argv, roles);
}
