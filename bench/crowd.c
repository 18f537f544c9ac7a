// SPDX-License-Identifier: Apache-2.0
//
// bench/crowd.c - see crowd.h.
//
// A member is judged as a client would judge its center: a packet that cannot be cut or whose check
// is wrong ends the program, because then the figures would be of something else.

#include "bench/crowd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "wire/heartbeat.h"

#define INPUT_BYTES (1024u * 1024u)
#define OUTPUT_BYTES_MAX (4u * 1024u * 1024u)
#define EVENTS_MAX 512
#define OPENING_DEFAULT 256u
#define NS_PER_MS 1000000u

typedef struct crowd_target crowd_target;

struct crowd_target {
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_un un;
    } address;
    socklen_t size;
};

static void member_start(crowd_member *m);
static void member_wait(crowd_member *m);
static void member_end(crowd_member *m, int error);
static void member_drop(crowd_member *m);
static void member_move(crowd_member *m, crowd_state state);
static void member_watch(crowd_member *m, uint32_t events);
static void member_on_connected(crowd_member *m);
static void member_on_readable(crowd_member *m);
static void member_on_packet(crowd_member *m, const phi_packet *packet);
static void member_on_hello(crowd_member *m, phi_bytes payload);
static void member_on_welcome(crowd_member *m, phi_bytes payload);
static void member_on_heartbeat(crowd_member *m, phi_bytes payload);
static void start_waiting(crowd *c);
static PHI_COLD void die(const char *what) __attribute__((noreturn));

uint64_t crowd_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

// ---- life

static void parse_path(crowd_target *target, const char *path)
{
    size_t size = strlen(path);
    if (size == 0 || size >= sizeof target->address.un.sun_path) {
        die("target is not unix:PATH");
    }
    target->address.un.sun_family = AF_UNIX;
    memcpy(target->address.un.sun_path, path, size);
    target->size = sizeof target->address.un;
}

static void parse_target(crowd_target *target, const char *text)
{
    char host[64];
    *target = (crowd_target){ .size = sizeof target->address.in };
    if (strncmp(text, "unix:", 5) == 0) {
        parse_path(target, text + 5);
        return;
    }
    const char *colon = strrchr(text, ':');
    size_t size = colon == NULL ? 0 : (size_t)(colon - text);
    if (size == 0 || size >= sizeof host) {
        die("target is not HOST:PORT");
    }
    memcpy(host, text, size);
    host[size] = '\0';
    unsigned long port = strtoul(colon + 1, NULL, 10);
    struct sockaddr_in *in = &target->address.in;
    in->sin_family = AF_INET;
    if (inet_pton(AF_INET, host, &in->sin_addr) != 1 || port == 0 || port > UINT16_MAX) {
        die("target is not HOST:PORT");
    }
    in->sin_port = htons((uint16_t)port);
}

void crowd_init(crowd *c, const crowd_options *options)
{
    static const crowd_events none;
    *c = (crowd){ .options = *options };
    if (c->options.opening_max == 0) {
        c->options.opening_max = OPENING_DEFAULT;
    }
    if (c->options.events == NULL) {
        c->options.events = &none;
    }
    phi_list_init(&c->waiting);
    phi_busy_poll_init(&c->poll, phi_us(options->busy_poll_us));
    c->epoll = epoll_create1(EPOLL_CLOEXEC);
    c->input = malloc(INPUT_BYTES);
    c->members = calloc(options->count_max, sizeof(crowd_member *));
    c->target = malloc(sizeof *c->target);
    if (c->epoll < 0 || c->input == NULL || c->members == NULL || c->target == NULL) {
        die("cannot make a crowd");
    }
    parse_target(c->target, options->target);
}

void crowd_fini(crowd *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        crowd_close(c->members[i]);
        free(c->members[i]);
    }
    close(c->epoll);
    free(c->input);
    free(c->target);
    free((void *)c->members);
    *c = (crowd){ .epoll = -1 };
}

crowd_member *crowd_open(crowd *c, const phi_bytes *raw)
{
    if (c->count == c->options.count_max) {
        return NULL;
    }
    crowd_member *m = calloc(1, sizeof *m);
    if (m == NULL) {
        die("no memory for a member");
    }
    *m = (crowd_member){ .crowd = c, .number = c->count, .fd = -1, .is_reading = true };
    if (raw != NULL) {
        m->is_raw = true;
        m->raw = *raw;
    }
    c->members[c->count++] = m;
    c->in_state[CROWD_NEW]++;
    phi_list_append(&c->waiting, &m->waiting);
    return m;
}

void crowd_reopen(crowd_member *m)
{
    PH_ASSERT(m->state == CROWD_GONE);
    m->error = 0;
    m->has_bye = false;
    m->retry_after_ms = 0;
    m->is_reading = true;
    member_move(m, CROWD_NEW);
    phi_list_append(&m->crowd->waiting, &m->waiting);
}

void crowd_close(crowd_member *m)
{
    if (m->state != CROWD_GONE) {
        member_drop(m);
    }
}

void crowd_read(crowd_member *m, bool is_reading)
{
    m->is_reading = is_reading;
    if (m->fd >= 0 && m->state != CROWD_CONNECTING) {
        uint32_t others = m->watched & ~(uint32_t)EPOLLIN;
        member_watch(m, is_reading ? others | EPOLLIN : others);
    }
}

// ---- turns

// At most opening_max in a turn, too: who fails at once may be opened again at once.
static void start_waiting(crowd *c)
{
    for (uint32_t i = 0; i < c->options.opening_max; i++) {
        if (crowd_opening(c) - c->in_state[CROWD_NEW] >= c->options.opening_max) {
            break;
        }
        phi_list *node = phi_list_take(&c->waiting);
        if (node == NULL) {
            break;
        }
        member_start(PHI_CONTAINER_OF(node, crowd_member, waiting));
    }
}

static void handle_event(crowd_member *m, uint32_t events)
{
    if (m->state == CROWD_CONNECTING) {
        member_on_connected(m);
        return;
    }
    if ((events & EPOLLOUT) != 0) {
        crowd_flush(m);
    }
    if (m->state != CROWD_GONE && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
        member_on_readable(m);
    }
}

static int wait_in_kernel(int epoll, struct epoll_event *events, int events_max, uint64_t wait_ns)
{
    struct timespec wait = { .tv_sec = (time_t)(wait_ns / 1000000000u),
                             .tv_nsec = (long)(wait_ns % 1000000000u) };
    return epoll_pwait2(epoll, events, events_max, &wait, NULL);
}

int crowd_wait(int epoll, struct epoll_event *events, int events_max, uint64_t wait_ns,
               phi_busy_poll *poll)
{
    if (poll->bound.ns == 0) {
        return wait_in_kernel(epoll, events, events_max, wait_ns);
    }
    uint64_t begun = crowd_now_ns();
    if (!phi_busy_poll_wants(poll)) {
        int count = wait_in_kernel(epoll, events, events_max, wait_ns);
        phi_busy_poll_slept(poll, phi_ns(crowd_now_ns() - begun));
        return count;
    }
    uint64_t bound = poll->bound.ns < wait_ns ? poll->bound.ns : wait_ns;
    int count = epoll_wait(epoll, events, events_max, 0);
    while (count == 0 && crowd_now_ns() - begun < bound) {
        (void)sched_yield();
        count = epoll_wait(epoll, events, events_max, 0);
    }
    phi_busy_poll_polled(poll, phi_ns(crowd_now_ns() - begun), count != 0);
    return count != 0 ? count : wait_in_kernel(epoll, events, events_max, wait_ns);
}

bool crowd_turn(crowd *c, uint64_t wait_ns)
{
    struct epoll_event events[EVENTS_MAX];
    start_waiting(c);
    int count = crowd_wait(c->epoll, events, EVENTS_MAX, wait_ns, &c->poll);
    bool is_watched_ready = false;
    for (int i = 0; i < count; i++) {
        crowd_member *m = events[i].data.ptr;
        if (m == NULL) {
            is_watched_ready = true;
        } else if (m->fd >= 0) {
            handle_event(m, events[i].events);
        }
    }
    return is_watched_ready;
}

void crowd_watch(crowd *c, int fd)
{
    struct epoll_event event = { .events = EPOLLIN, .data = { .ptr = NULL } };
    if (epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        die("epoll_ctl");
    }
}

// ---- a member's way

static void member_bind(crowd_member *m)
{
    const crowd *c = m->crowd;
    if (c->options.sources == 0 || c->target->address.any.sa_family != AF_INET) {
        return;
    }
    int on = 1;
    struct sockaddr_in from = { .sin_family = AF_INET };
    from.sin_addr.s_addr = htonl(0x7F000002u + m->number % c->options.sources);
    // The port is chosen at connect, where it must be free towards this target only.
    if (setsockopt(m->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) != 0 ||
        bind(m->fd, (struct sockaddr *)&from, sizeof from) != 0) {
        die("bind");
    }
}

static void member_start(crowd_member *m)
{
    crowd *c = m->crowd;
    PH_ASSERT(m->state == CROWD_NEW);
    phi_inbound_init(&m->in, &phi_alloc_heap, PHI_PACKET_BYTES_MAX);
    phi_outbound_init(&m->out, &phi_alloc_heap, OUTPUT_BYTES_MAX);
    m->fd = socket(c->target->address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (m->fd < 0) {
        die("socket");
    }
    int on = 1;
    (void)setsockopt(m->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); // not of Unix sockets
    if (c->options.receive_max != 0) {
        int size = (int)c->options.receive_max;
        (void)setsockopt(m->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    }
    member_bind(m);
    m->opened_ns = crowd_now_ns();
    struct epoll_event event = { .events = EPOLLOUT, .data = { .ptr = m } };
    m->watched = EPOLLOUT;
    if (epoll_ctl(c->epoll, EPOLL_CTL_ADD, m->fd, &event) != 0) {
        die("epoll_ctl");
    }
    member_move(m, CROWD_CONNECTING);
    int rc = connect(m->fd, &c->target->address.any, c->target->size);
    if (rc != 0 && errno == EAGAIN) { // a Unix socket's backlog is full
        member_wait(m);
    } else if (rc != 0 && errno != EINPROGRESS) {
        member_end(m, errno);
    }
}

// It is tried again in the next turn.
static void member_wait(crowd_member *m)
{
    member_drop(m);
    member_move(m, CROWD_NEW);
    phi_list_append(&m->crowd->waiting, &m->waiting);
}

static void member_on_connected(crowd_member *m)
{
    int error = 0;
    socklen_t size = sizeof error;
    (void)getsockopt(m->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
        member_end(m, error);
        return;
    }
    member_move(m, m->is_raw ? CROWD_RAW : CROWD_GREETING);
    member_watch(m, m->is_reading ? EPOLLIN : 0);
    (void)crowd_send_raw(m, m->raw);
}

// A raw member's bye comes in suite plain, before JOIN and behind HELLO; others are cut as usual.
static void member_on_readable(crowd_member *m)
{
    crowd *c = m->crowd;
    ssize_t n = recv(m->fd, c->input, INPUT_BYTES, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        member_end(m, n < 0 ? errno : 0);
        return;
    }
    c->bytes_received += (uint64_t)n;
    if (m->is_raw && c->options.events->bytes != NULL) {
        c->options.events->bytes(m, phi_bytes_of(c->input, (size_t)n));
        return;
    }
    phi_inbound_receive(&m->in, (phi_span){ c->input, (size_t)n });
    for (;;) {
        phi_packet packet;
        phi_inbound_result result = phi_inbound_next(&m->in, &packet);
        if (result == PHI_INBOUND_MORE) {
            break;
        }
        if (result != PHI_INBOUND_PACKET) {
            die("the center broke the protocol");
        }
        member_on_packet(m, &packet);
        if (m->state == CROWD_GONE) {
            return;
        }
    }
    if (phi_outbound_size(&m->out) != 0) {
        crowd_flush(m);
    }
}

static void member_on_packet(crowd_member *m, const phi_packet *packet)
{
    phi_bye bye;
    if (packet->command == PHI_COMMAND_HEARTBEAT) {
        member_on_heartbeat(m, packet->payload);
    } else if (packet->command == PHI_COMMAND_HANDSHAKE && m->state == CROWD_JOINING) {
        member_on_welcome(m, packet->payload);
    } else if (packet->command == PHI_COMMAND_HANDSHAKE) {
        member_on_hello(m, packet->payload);
    } else if (packet->command == PHI_COMMAND_BYE) {
        if (phi_bye_decode(packet->payload, &bye) == PH_OK) {
            m->has_bye = true;
            m->bye = bye.reason;
            m->retry_after_ms = bye.retry_after_ms;
            m->crowd->byes[bye.reason < PHI_BYE_COUNT ? bye.reason : PHI_BYE_INTERNAL]++;
        }
    } else if (m->crowd->options.events->packet != NULL) {
        m->crowd->options.events->packet(m, packet);
    }
}

static void enter_suite(crowd_member *m, const phi_hello *hello)
{
    bool is_paper = hello->suite == PHI_SUITE_PAPER;
    const phi_keys *k = &hello->keys;
    ph_err rc = phi_inbound_suite(&m->in, hello->suite, is_paper ? k->to_client_key : NULL,
                                  is_paper ? k->to_client_iv : NULL);
    if (rc == PH_OK) {
        rc = phi_outbound_suite(&m->out, &phi_alloc_heap, hello->suite,
                                is_paper ? k->to_center_key : NULL,
                                is_paper ? k->to_center_iv : NULL);
    }
    if (rc != PH_OK) {
        die("no memory for a cipher");
    }
}

static void member_on_hello(crowd_member *m, phi_bytes payload)
{
    phi_hello hello;
    if (phi_hello_decode(payload, &hello) != PH_OK) {
        die("the center's HELLO is malformed");
    }
    enter_suite(m, &hello);
    if (m->is_raw) {
        return;
    }
    crowd *c = m->crowd;
    char account[PHI_NAME_BYTES_MAX + 1];
    snprintf(account, sizeof account, "%s-%u", c->options.prefix, m->number);
    phi_join join = { .version = PHI_PROTOCOL_VERSION,
                      .account = phi_bytes_text(account),
                      .type = PHI_TYPE_CLIENT };
    if (c->options.events->describe != NULL) {
        c->options.events->describe(m, &join);
    }
    size_t room = PHI_PACKET_BYTES_JOINING_MAX - PHI_PACKET_HEAD_CHECKED;
    phi_writer w = phi_writer_of((phi_span){ crowd_begin(m, room), room });
    phi_join_encode(&w, &join);
    PH_ASSERT(!w.failed);
    crowd_commit(m, PHI_COMMAND_HANDSHAKE, phi_writer_size(&w));
    member_move(m, CROWD_JOINING);
}

static void member_on_welcome(crowd_member *m, phi_bytes payload)
{
    phi_welcome welcome;
    if (phi_welcome_decode(payload, &welcome) != PH_OK) {
        die("the center's WELCOME is malformed");
    }
    PH_ASSERT(welcome.id.size <= PHI_ID_BYTES_MAX);
    memcpy(m->id, welcome.id.data, welcome.id.size);
    m->session = welcome.session;
    m->joined_ns = crowd_now_ns();
    member_move(m, CROWD_JOINED);
    phi_buf_release(&m->out.buf);
    if (m->crowd->options.events->joined != NULL) {
        m->crowd->options.events->joined(m);
    }
}

static void member_on_heartbeat(crowd_member *m, phi_bytes payload)
{
    phi_heartbeat heartbeat;
    if (phi_heartbeat_decode(payload, &heartbeat) != PH_OK) {
        die("the center sent a malformed heartbeat");
    }
    if (heartbeat.kind != PHI_HEARTBEAT_ASK) {
        return;
    }
    m->crowd->heartbeats++;
    heartbeat.kind = PHI_HEARTBEAT_ANSWER;
    uint8_t *room = crowd_begin(m, PHI_HEARTBEAT_BYTES);
    phi_writer w = phi_writer_of((phi_span){ room, PHI_HEARTBEAT_BYTES });
    phi_heartbeat_encode(&w, &heartbeat);
    crowd_commit(m, PHI_COMMAND_HEARTBEAT, phi_writer_size(&w));
}

// ---- sending

uint8_t *crowd_begin(crowd_member *m, size_t payload_max)
{
    uint8_t *room = phi_outbound_begin(&m->out, payload_max);
    if (room == NULL) {
        die("more waits to be sent than a member may keep");
    }
    return room;
}

void crowd_commit(crowd_member *m, phi_command command, size_t payload_size)
{
    phi_outbound_commit(&m->out, (uint16_t)command, payload_size);
}

void crowd_flush(crowd_member *m)
{
    phi_bytes bytes = phi_outbound_seal(&m->out);
    if (m->fd < 0 || bytes.size == 0) {
        return;
    }
    ssize_t n = send(m->fd, bytes.data, bytes.size, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        n = (ssize_t)bytes.size; // it broke; reading will tell, after a bye perhaps
    }
    size_t sent = n < 0 ? 0 : (size_t)n;
    m->crowd->bytes_sent += sent;
    phi_outbound_sent(&m->out, sent);
    m->is_dirty = sent < bytes.size;
    uint32_t others = m->watched & ~(uint32_t)EPOLLOUT;
    member_watch(m, m->is_dirty ? others | EPOLLOUT : others);
    if (!m->is_dirty) {
        phi_buf_release(&m->out.buf);
    }
}

size_t crowd_send_raw(crowd_member *m, phi_bytes bytes)
{
    if (m->fd < 0 || bytes.size == 0) {
        return 0;
    }
    ssize_t n = send(m->fd, bytes.data, bytes.size, MSG_NOSIGNAL);
    size_t sent = n < 0 ? 0 : (size_t)n;
    m->crowd->bytes_sent += sent;
    return sent;
}

void crowd_say(crowd_member *m, phi_kind kind, uint64_t call, const char *to, phi_bytes body)
{
    phi_message message = {
        .kind = (uint8_t)kind,
        .call = call,
        .to = phi_bytes_text(to),
        .from = phi_bytes_text(m->id),
        .body = body,
    };
    size_t size = phi_message_size(&message);
    phi_message_encode(crowd_begin(m, size), &message);
    crowd_commit(m, PHI_COMMAND_MESSAGE, size);
}

void crowd_reply(crowd_member *m, const phi_message *request)
{
    phi_message reply = {
        .kind = PHI_KIND_REPLY,
        .call = request->call,
        .from = phi_bytes_text(m->id),
        .body = request->body,
    };
    size_t size = phi_message_size(&reply);
    phi_message_encode(crowd_begin(m, size), &reply);
    crowd_commit(m, PHI_COMMAND_MESSAGE, size);
}

// ---- helpers of members

static void member_move(crowd_member *m, crowd_state state)
{
    crowd *c = m->crowd;
    PH_ASSERT(c->in_state[m->state] > 0);
    c->in_state[m->state]--;
    c->in_state[state]++;
    m->state = (uint8_t)state;
}

static void member_watch(crowd_member *m, uint32_t events)
{
    if (m->watched == events) {
        return;
    }
    m->watched = events;
    struct epoll_event event = { .events = events, .data = { .ptr = m } };
    if (epoll_ctl(m->crowd->epoll, EPOLL_CTL_MOD, m->fd, &event) != 0) {
        die("epoll_ctl");
    }
}

static void member_drop(crowd_member *m)
{
    phi_list_remove(&m->waiting);
    if (m->fd >= 0) {
        close(m->fd);
        m->fd = -1;
    }
    phi_inbound_fini(&m->in);
    phi_outbound_fini(&m->out);
    m->gone_ns = crowd_now_ns();
    member_move(m, CROWD_GONE);
}

static void member_end(crowd_member *m, int error)
{
    m->error = error;
    member_drop(m);
    if (m->crowd->options.events->gone != NULL) {
        m->crowd->options.events->gone(m);
    }
}

static void die(const char *what)
{
    fprintf(stderr, "crowd: %s: %s\n", what, strerror(errno));
    exit(1);
}

// ---- latencies

void crowd_record_init(crowd_record *r, uint64_t capacity)
{
    *r = (crowd_record){ .capacity = capacity };
    r->ns = malloc(capacity * sizeof *r->ns);
    if (r->ns == NULL) {
        die("no memory for a record");
    }
}

void crowd_record_fini(crowd_record *r)
{
    free(r->ns);
    *r = (crowd_record){ .ns = NULL };
}

void crowd_record_add(crowd_record *r, uint64_t ns)
{
    if (r->count < r->capacity) {
        r->ns[r->count++] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
    }
}

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

void crowd_record_sort(crowd_record *r)
{
    qsort(r->ns, r->count, sizeof *r->ns, compare_u32);
}

double crowd_record_us(const crowd_record *r, double part)
{
    return r->count == 0 ? 0 : r->ns[(uint64_t)((double)(r->count - 1) * part)] / 1000.0;
}
