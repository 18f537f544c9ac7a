// SPDX-License-Identifier: Apache-2.0
//
// io/uv_resolve.c - names to addresses: c-ares on our loop, without a thread.
//
// Design notes
//
// - One channel per lookup. A client looks its center up when it connects, which is rare; and a
//   fresh channel reads /etc/resolv.conf and /etc/hosts as they are now, not as they were at the
//   start.
// - c-ares may answer from inside any of its functions, and must not be destroyed there. So the
//   answer is noted, and told when the call into c-ares has returned, or, if that was the call that
//   began the lookup, by the timer, in the next turn.

#include <ares.h>
#include <stdio.h>

#include "base/assert.h"
#include "io/uv_private.h"

// Each try waits twice as long as the one before: 7 seconds in all for one name server.
#define TRY_MS 1000
#define TRIES 3

typedef struct resolve_socket {
    uv_poll_t poll;
    phi_resolve *resolve;
    const phi_alloc *alloc;
    phi_list node; // on phi_resolve.sockets until it closes
    ares_socket_t fd;
} resolve_socket;

struct phi_resolve {
    phi_uv *uv;
    ares_channel channel;
    phi_list sockets; // resolve_socket.node
    phi_timer timer;
    phi_resolve_fn *done;
    void *arg;
    uint16_t port;
    bool is_inside;   // of a function of c-ares
    bool is_answered; // what follows is there
    int status;
    size_t count;
    phi_sock_end ends[PHI_UV_ENDS_MAX];
};

static void on_socket_state(void *arg, ares_socket_t fd, int readable, int writable);
static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *result);
static void on_ready(uv_poll_t *handle, int status, int events);
static void on_time(phi_timer *timer, phi_time now);
static void process(phi_resolve *r, ares_socket_t readable, ares_socket_t writable);
static void timer_renew(phi_resolve *r);
static void tell(phi_resolve *r);
static resolve_socket *socket_find(phi_resolve *r, ares_socket_t fd);
static resolve_socket *socket_open(phi_resolve *r, ares_socket_t fd);
static void socket_close(resolve_socket *socket);
static void on_socket_released(uv_handle_t *handle);

// ---- life

ph_err phi_resolve_new(phi_resolve **out, phi_uv *uv, const phi_endpoint *name,
                       phi_resolve_fn *done, void *arg, phi_diag *diag)
{
    PH_ASSERT(name->kind == PHI_ENDPOINT_NAME);
    const phi_alloc *alloc = uv->io.alloc;
    phi_resolve *r = (phi_resolve *)phi_take_zeroed(alloc, 1, sizeof *r);
    if (r == NULL) {
        return PH_ENOMEM;
    }
    r->uv = uv;
    r->done = done;
    r->arg = arg;
    r->port = name->port;
    phi_list_init(&r->sockets);
    phi_timer_init(&r->timer, on_time);

    struct ares_options options = {
        .timeout = TRY_MS,
        .tries = TRIES,
        .sock_state_cb = on_socket_state,
        .sock_state_cb_data = r,
    };
    int rc = ares_init_options(&r->channel, &options,
                               ARES_OPT_SOCK_STATE_CB | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES);
    if (rc != ARES_SUCCESS) {
        goto fail_take;
    }
    if (uv->name_servers != NULL) {
        rc = ares_set_servers_ports_csv(r->channel, uv->name_servers);
        if (rc != ARES_SUCCESS) {
            goto fail_init;
        }
    }
    struct ares_addrinfo_hints hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    r->is_inside = true;
    ares_getaddrinfo(r->channel, name->name, NULL, &hints, on_answer, r);
    r->is_inside = false;
    timer_renew(r);
    *out = r;
    return PH_OK;

fail_init:
    ares_destroy(r->channel);
fail_take:
    phi_give(alloc, r, sizeof *r);
    return phi_diag_add(diag, rc == ARES_ENOMEM ? PH_ENOMEM : PH_ESYSTEM, "look up '%s': %s",
                        name->name, ares_strerror(rc));
}

void phi_resolve_free(phi_resolve **resolve)
{
    phi_resolve *r = *resolve;
    if (r == NULL) {
        return;
    }
    PH_ASSERT(!r->is_inside);
    r->is_inside = true;
    ares_destroy(r->channel); // closes its sockets, each by way of on_socket_state
    phi_timer_clear(&r->uv->io.timers, &r->timer);
    PH_ASSERT(phi_list_is_empty(&r->sockets));
    phi_give(r->uv->io.alloc, r, sizeof *r);
    *resolve = NULL;
}

// ---- what c-ares tells

static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *result)
{
    (void)timeouts;
    phi_resolve *r = (phi_resolve *)arg;
    PH_ASSERT(r->is_inside);
    r->is_answered = true;
    r->status = status;
    if (status != ARES_SUCCESS) {
        return;
    }
    for (struct ares_addrinfo_node *n = result->nodes; n != NULL; n = n->ai_next) {
        if (r->count < PHI_UV_ENDS_MAX && phi_sock_end_of(n->ai_addr, &r->ends[r->count])) {
            r->ends[r->count++].port = r->port;
        }
    }
    ares_freeaddrinfo(result);
}

static void on_socket_state(void *arg, ares_socket_t fd, int readable, int writable)
{
    phi_resolve *r = (phi_resolve *)arg;
    resolve_socket *socket = socket_find(r, fd);
    int events = (readable != 0 ? UV_READABLE : 0) | (writable != 0 ? UV_WRITABLE : 0);
    if (events == 0) {
        if (socket != NULL) {
            socket_close(socket);
        }
        return;
    }
    if (socket == NULL) {
        socket = socket_open(r, fd);
    }
    if (socket == NULL) { // the answer could not be heard
        r->is_answered = true;
        r->status = ARES_ENOMEM;
        return;
    }
    int rc = uv_poll_start(&socket->poll, events, on_ready);
    PH_ASSERT(rc == 0);
}

// ---- what the loop tells

static void on_ready(uv_poll_t *handle, int status, int events)
{
    resolve_socket *socket = PHI_CONTAINER_OF(handle, resolve_socket, poll);
    phi_resolve *r = socket->resolve;
    phi_uv_awake(r->uv);
    // On an error c-ares finds out by itself what it is.
    bool is_readable = status < 0 || (events & UV_READABLE) != 0;
    bool is_writable = status < 0 || (events & UV_WRITABLE) != 0;
    process(r, is_readable ? socket->fd : ARES_SOCKET_BAD,
            is_writable ? socket->fd : ARES_SOCKET_BAD);
}

static void on_time(phi_timer *timer, phi_time now)
{
    (void)now;
    process(PHI_CONTAINER_OF(timer, phi_resolve, timer), ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

// ---- helpers

static void process(phi_resolve *r, ares_socket_t readable, ares_socket_t writable)
{
    if (!r->is_answered) {
        r->is_inside = true;
        ares_process_fd(r->channel, readable, writable);
        r->is_inside = false;
    }
    if (r->is_answered) {
        tell(r);
    } else {
        timer_renew(r);
    }
}

static void timer_renew(phi_resolve *r)
{
    phi_time now = phi_io_now(&r->uv->io);
    struct timeval wait = { 0 };
    if (!r->is_answered) {
        // NULL when nothing is asked, which cannot be before the answer; then look again soon.
        struct timeval longest = { .tv_sec = TRY_MS / 1000 };
        struct timeval space;
        wait = *ares_timeout(r->channel, &longest, &space);
    }
    phi_dur dur = phi_us((uint64_t)wait.tv_sec * 1000000u + (uint64_t)wait.tv_usec);
    phi_timer_set(&r->uv->io.timers, &r->timer, phi_time_add(now, dur));
}

static void tell(phi_resolve *r)
{
    const char *why = "";
    if (r->count == 0) {
        why = r->status == ARES_SUCCESS ? "it has no address" : ares_strerror(r->status);
    }
    r->done(r->arg, r->ends, r->count, why); // may free r
}

static resolve_socket *socket_find(phi_resolve *r, ares_socket_t fd)
{
    for (phi_list *n = r->sockets.next; n != &r->sockets; n = n->next) {
        resolve_socket *socket = PHI_CONTAINER_OF(n, resolve_socket, node);
        if (socket->fd == fd) {
            return socket;
        }
    }
    return NULL;
}

static resolve_socket *socket_open(phi_resolve *r, ares_socket_t fd)
{
    const phi_alloc *alloc = r->uv->io.alloc;
    resolve_socket *socket = (resolve_socket *)phi_take_zeroed(alloc, 1, sizeof *socket);
    if (socket == NULL) {
        return NULL;
    }
    if (uv_poll_init(&r->uv->loop, &socket->poll, fd) != 0) {
        phi_give(alloc, socket, sizeof *socket);
        return NULL;
    }
    socket->resolve = r;
    socket->alloc = alloc;
    socket->fd = fd;
    phi_list_append(&r->sockets, &socket->node);
    return socket;
}

static void socket_close(resolve_socket *socket)
{
    phi_list_remove(&socket->node);
    uv_close((uv_handle_t *)&socket->poll, on_socket_released);
}

static void on_socket_released(uv_handle_t *handle)
{
    resolve_socket *socket = PHI_CONTAINER_OF(handle, resolve_socket, poll);
    phi_give(socket->alloc, socket, sizeof *socket);
}
