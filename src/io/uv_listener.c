// SPDX-License-Identifier: Apache-2.0
//
// io/uv_listener.c - sockets that accept.
//
// Design notes
//
// - Out of descriptors, accept fails and the connection stays in the queue, so that the listener is
//   ready again at once: a loop that spins. A spare descriptor is given up to accept, answer and
//   close one connection after the other; the other end learns at once that it is refused, and why.
//   After two of them the listener rests for PAUSE: some 500 are refused in a second, which is 2 %
//   of a core, however many knock, and no turn is long for it. Nothing was read from such a
//   connection, and its other end waits to be spoken to; so closing it does not take back what was
//   said.
// - A Unix socket's file outlives its process. It is replaced only when nobody answers on it, and
//   removed only while it is still the one that was made here.

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "io/tls_private.h"
#include "io/uv_private.h"

#define PAUSE (phi_ms(4))
#define SHED_WEIGHT 8u // a refusal counts as so many of PHI_UV_ACCEPTS_PER_TURN
#define BACKLOG 4096   // the kernel lowers it to net.core.somaxconn
#define PATH_MODE 0660

static ph_err listener_bind(phi_listener *l, const phi_endpoint *at, phi_diag *diag);
static ph_err bind_address(int fd, const phi_endpoint *at, phi_diag *diag);
static ph_err bind_path(phi_listener *l, const char *path, phi_diag *diag);
static ph_err path_make_room(const char *path, phi_diag *diag);
static void path_remove(const phi_listener *l);
static ph_err refusal(int error, const phi_endpoint *at, phi_diag *diag);
static void on_ready(uv_poll_t *handle, int status, int events);
static void on_released(uv_handle_t *handle);
static void on_pause_over(phi_timer *timer, phi_time now);
static unsigned accept_one(phi_listener *l);
static unsigned accept_failed(phi_listener *l, int error);
static unsigned shed_one(phi_listener *l);
static void shed(phi_listener *l, int fd, ph_err reason);
static void listener_pause(phi_listener *l);
static void spare_open(phi_uv *uv);

// ---- life

ph_err phi_uv_listen(phi_io *io, const phi_listen_options *options,
                     const phi_listener_events *events, void *owner, phi_listener **out,
                     phi_diag *diag)
{
    PH_ASSERT(events != NULL);
    PH_ASSERT(events->on_accept != NULL);
    PH_ASSERT(events->on_shed != NULL);
    PH_ASSERT(out != NULL);
    phi_uv *uv = phi_uv_of(io);

    phi_endpoint at;
    ph_err err = phi_endpoint_parse(options->address, &at, diag);
    if (err == PH_OK && at.kind == PHI_ENDPOINT_NAME) {
        if (phi_endpoint_is_localhost(&at)) {
            at.kind = PHI_ENDPOINT_IP4;
            memcpy(at.host, (const uint8_t[]){ 127, 0, 0, 1 }, 4);
        } else {
            err = phi_diag_add(diag, PH_EINVAL,
                               "a name cannot be listened on: write an IP address of this "
                               "machine, or 0.0.0.0 for all");
        }
    }
    if (err == PH_OK && at.is_tls) {
        err = phi_diag_add(diag, PH_EINVAL, "its credentials say that it is TLS, not its address");
    }
    if (err == PH_OK && at.kind == PHI_ENDPOINT_UNIX && options->tls != NULL) {
        err = phi_diag_add(diag, PH_EINVAL, "TLS is for HOST:PORT, not for unix:PATH");
    }
    if (err != PH_OK) {
        goto fail;
    }
    phi_listener *l = (phi_listener *)phi_take_zeroed(io->alloc, 1, sizeof *l);
    if (l == NULL) {
        err = PH_ENOMEM;
        goto fail;
    }
    l->uv = uv;
    l->events = events;
    l->owner = owner;
    phi_timer_init(&l->pause, on_pause_over);
    err = listener_bind(l, &at, diag);
    if (err != PH_OK) {
        goto fail_take;
    }
    l->tls = options->tls == NULL ? NULL : phi_tls_ref(options->tls);
    phi_list_append(&uv->listeners, &l->node);
    spare_open(uv);
    *out = l;
    return PH_OK;

fail_take:
    phi_give(io->alloc, l, sizeof *l);
fail:
    return phi_diag_add(diag, err, "listen on %s", options->address);
}

static ph_err listener_bind(phi_listener *l, const phi_endpoint *at, phi_diag *diag)
{
    l->fd = phi_sock_open((uint8_t)at->kind);
    if (l->fd < 0) {
        return refusal(errno, at, diag);
    }
    ph_err err = at->kind == PHI_ENDPOINT_UNIX ? bind_path(l, at->name, diag)
                                               : bind_address(l->fd, at, diag);
    if (err != PH_OK) {
        goto fail_open;
    }
    if (listen(l->fd, BACKLOG) != 0) {
        err = refusal(errno, at, diag);
        goto fail_bind;
    }
    int rc = uv_poll_init(&l->uv->loop, &l->poll, l->fd);
    if (rc != 0) {
        err = refusal(-rc, at, diag);
        goto fail_bind;
    }
    rc = uv_poll_start(&l->poll, UV_READABLE, on_ready);
    PH_ASSERT(rc == 0);
    return PH_OK;

fail_bind:
    path_remove(l);
fail_open:
    close(l->fd);
    return err;
}

void phi_uv_listener_secure(phi_listener *l, phi_tls *tls)
{
    PH_ASSERT(l->tls != NULL);
    phi_tls *before = l->tls;
    l->tls = phi_tls_ref(tls);
    phi_tls_free(&before);
}

void phi_uv_listener_address(const phi_listener *l, char text[PHI_ADDRESS_TEXT_MAX])
{
    if (l->path[0] != '\0') {
        phi_endpoint at = { .kind = PHI_ENDPOINT_UNIX };
        memcpy(at.name, l->path, sizeof l->path);
        phi_endpoint_format(&at, text);
        return;
    }
    phi_sock_storage storage = { 0 };
    socklen_t size = sizeof storage;
    int rc = getsockname(l->fd, &storage.any, &size);
    PH_ASSERT(rc == 0);
    phi_sock_end end;
    bool is_ours = phi_sock_end_of(&storage.any, &end);
    PH_ASSERT(is_ours);
    phi_sock_end_format(&end, text);
}

void phi_uv_listener_close(phi_listener *l)
{
    PH_ASSERT(l->fd >= 0); // once
    phi_timer_clear(&l->uv->io.timers, &l->pause);
    phi_list_remove(&l->node);
    uv_close((uv_handle_t *)&l->poll, on_released);
    path_remove(l);
    close(l->fd);
    l->fd = -1;
    phi_tls_free(&l->tls);
}

static void on_released(uv_handle_t *handle)
{
    phi_listener *l = PHI_CONTAINER_OF(handle, phi_listener, poll);
    phi_give(l->uv->io.alloc, l, sizeof *l);
}

// ---- accepting

static void on_ready(uv_poll_t *handle, int status, int events)
{
    (void)events;
    phi_listener *l = PHI_CONTAINER_OF(handle, phi_listener, poll);
    phi_uv_awake(l->uv);
    if (status < 0) {
        listener_pause(l); // libuv stopped watching; the end of the pause starts it again
        return;
    }
    // The owner may close the listener from any of its events.
    for (unsigned left = PHI_UV_ACCEPTS_PER_TURN; left > 0 && l->fd >= 0;) {
        unsigned weight = accept_one(l);
        left = weight == 0 || weight > left ? 0 : left - weight;
    }
}

// What it counts in this turn; 0 when there is nothing more to accept for now.
static unsigned accept_one(phi_listener *l)
{
    phi_sock_storage from = { 0 };
    socklen_t size = sizeof from;
    int fd = accept4(l->fd, &from.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        return accept_failed(l, errno);
    }
    spare_open(l->uv); // if it was lost
    phi_stream *s = phi_stream_new(l->uv);
    if (s == NULL || (l->tls != NULL && !phi_secure_new(s, l->tls)) ||
        !phi_stream_give_socket(s, fd)) {
        if (s != NULL) {
            phi_stream_drop(s);
        }
        shed(l, fd, PH_ENOMEM);
        return SHED_WEIGHT;
    }
    (void)phi_sock_end_of(&from.any, &s->peer);
    phi_sock_tune(fd, &s->peer);
    l->events->on_accept(l->owner, s);
    PH_ASSERT(!phi_sm_is(&s->sm, STREAM_NEW)); // attached, released or closed
    return 1;
}

static unsigned accept_failed(phi_listener *l, int error)
{
    switch (error) {
    case EAGAIN:
        return 0;
    case EMFILE:
    case ENFILE:
        return shed_one(l);
    case EINTR:
    case ECONNABORTED: // the other end gave up while it waited
    case EPROTO:
    case EPERM: // a firewall rule
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
        return 1;
    default: // ENOMEM, ENOBUFS, or what we do not know: never a spinning loop
        listener_pause(l);
        return 0;
    }
}

// Accepts one connection with the spare descriptor, and closes it.
static unsigned shed_one(phi_listener *l)
{
    phi_uv *uv = l->uv;
    listener_pause(l); // it takes effect when this turn's batch is done
    if (uv->spare_fd < 0) {
        return 0;
    }
    close(uv->spare_fd);
    uv->spare_fd = -1;
    int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        shed(l, fd, PH_ELIMIT);
    }
    spare_open(uv);
    return fd >= 0 ? SHED_WEIGHT : 0;
}

static void shed(phi_listener *l, int fd, ph_err reason)
{
    phi_bytes last = l->events->on_shed(l->owner, reason);
    if (last.size != 0 && l->tls == NULL) { // nothing can be said before a handshake
        (void)send(fd, last.data, last.size, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    close(fd);
}

static void listener_pause(phi_listener *l)
{
    if (!phi_timer_is_set(&l->pause)) {
        (void)uv_poll_stop(&l->poll);
        phi_timer_set(&l->uv->io.timers, &l->pause, phi_time_add(l->uv->io.now, PAUSE));
    }
}

static void on_pause_over(phi_timer *timer, phi_time now)
{
    (void)now;
    phi_listener *l = PHI_CONTAINER_OF(timer, phi_listener, pause);
    spare_open(l->uv);
    int rc = uv_poll_start(&l->poll, UV_READABLE, on_ready);
    PH_ASSERT(rc == 0);
}

// Does nothing when it is there; when it cannot be had, the next pause tries again.
static void spare_open(phi_uv *uv)
{
    if (uv->spare_fd < 0) {
        uv->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
}

// ---- binding

static ph_err bind_address(int fd, const phi_endpoint *at, phi_diag *diag)
{
    int on = 1;
    int off = 0;
    // A restarted center takes its port at once, although old connections are in TIME_WAIT.
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) {
        return refusal(errno, at, diag);
    }
    if (at->kind == PHI_ENDPOINT_IP6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0) {
        return refusal(errno, at, diag);
    }
    phi_sock_end end = { .kind = (uint8_t)at->kind, .port = at->port };
    memcpy(end.host, at->host, sizeof end.host);
    phi_sock_storage storage;
    socklen_t size = phi_sock_end_to(&end, &storage);
    if (bind(fd, &storage.any, size) != 0) {
        return refusal(errno, at, diag);
    }
    return PH_OK;
}

static ph_err bind_path(phi_listener *l, const char *path, phi_diag *diag)
{
    phi_endpoint at = { .kind = PHI_ENDPOINT_UNIX };
    ph_err err = path_make_room(path, diag);
    if (err != PH_OK) {
        return err;
    }
    phi_sock_storage storage;
    socklen_t size = phi_sock_path_to(path, &storage);
    if (bind(l->fd, &storage.any, size) != 0) {
        return refusal(errno, &at, diag);
    }
    memcpy(l->path, path, strlen(path) + 1);
    struct stat made;
    // Before listen, so that nobody gets in while the mode is that of the umask.
    if (chmod(path, PATH_MODE) != 0 || lstat(path, &made) != 0) {
        err = refusal(errno, &at, diag);
        (void)unlink(path);
        l->path[0] = '\0';
        return err;
    }
    l->path_device = made.st_dev;
    l->path_inode = made.st_ino;
    return PH_OK;
}

static ph_err path_make_room(const char *path, phi_diag *diag)
{
    phi_endpoint at = { .kind = PHI_ENDPOINT_UNIX };
    struct stat there;
    if (lstat(path, &there) != 0) {
        return errno == ENOENT ? PH_OK : refusal(errno, &at, diag);
    }
    if (!S_ISSOCK(there.st_mode)) {
        return phi_diag_add(diag, PH_ESYSTEM, "a file that is no socket stands there");
    }
    int fd = phi_sock_open(PHI_ENDPOINT_UNIX);
    if (fd < 0) {
        return refusal(errno, &at, diag);
    }
    phi_sock_storage storage;
    socklen_t size = phi_sock_path_to(path, &storage);
    int error = connect(fd, &storage.any, size) == 0 ? 0 : errno;
    close(fd);
    if (error == ECONNREFUSED) { // nobody listens: left behind by a process that died
        error = unlink(path) == 0 ? 0 : errno;
        return error == 0 || error == ENOENT ? PH_OK : refusal(error, &at, diag);
    }
    if (error == 0 || error == EAGAIN || error == EINPROGRESS) {
        error = EADDRINUSE;
    }
    return error == ENOENT ? PH_OK : refusal(error, &at, diag);
}

static void path_remove(const phi_listener *l)
{
    struct stat there;
    if (l->path[0] != '\0' && lstat(l->path, &there) == 0 && there.st_dev == l->path_device &&
        there.st_ino == l->path_inode) {
        (void)unlink(l->path);
    }
}

static ph_err refusal(int error, const phi_endpoint *at, phi_diag *diag)
{
    const char *text = phi_sock_error_text(error);
    switch (error) {
    case EADDRINUSE:
        if (at->kind == PHI_ENDPOINT_UNIX) {
            return phi_diag_add(diag, PH_EADDRINUSE, "%s: is another center running?", text);
        }
        return phi_diag_add(diag, PH_EADDRINUSE,
                            "%s: is another center running? `ss -ltnp sport = :%u` shows who "
                            "listens there",
                            text, at->port);
    case EACCES:
    case EPERM:
        if (at->port != 0 && at->port < 1024) {
            return phi_diag_add(diag, PH_EACCESS, "%s: ports below 1024 need a privilege", text);
        }
        return phi_diag_add(diag, PH_EACCESS, "%s", text);
    case EADDRNOTAVAIL:
        return phi_diag_add(diag, PH_ESYSTEM, "%s: this machine has no such address", text);
    case ENOMEM:
        return phi_diag_add(diag, PH_ENOMEM, "%s", text);
    default:
        return phi_diag_add(diag, PH_ESYSTEM, "%s", text);
    }
}
