// SPDX-License-Identifier: Apache-2.0
//
// io/uv_dial.c - the way to a connection: the name is looked up, then its addresses are tried one
// after the other, each for at most ATTEMPT_TIME. It lives as long as its stream is dialing, so
// that an established stream carries none of it.
//
// Design notes. The stream's handle can be made for the next attempt only after libuv gave back the
// last one's; so a failed attempt goes on in phi_dial_on_released. Nothing here calls the owner
// from inside phi_uv_connect: a way that ends there makes the stream due.

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/assert.h"
#include "io/uv_private.h"

// The kernel alone would wait two minutes for an answer to its SYN.
#define ATTEMPT_TIME (phi_seconds(5))

struct phi_dial {
    phi_stream *stream;
    phi_resolve *resolve; // owned; NULL unless a name is being looked up
    phi_timer timer;      // set while an attempt waits
    phi_endpoint target;  // what was asked for
    phi_sock_end ends[PHI_UV_ENDS_MAX];
    size_t count;
    size_t next;     // the first that was not tried
    int first_error; // errno of the first attempt that failed: the preferred address
    char look_up_error[64];
};

static ph_err dial_secure(phi_stream *s, const phi_endpoint *target,
                          const phi_connect_options *options, phi_diag *diag);
static ph_err dial_prepare(phi_dial *d, phi_diag *diag);
static void dial_next(phi_dial *d);
static int dial_try(phi_dial *d, const phi_sock_end *end);
static void attempt_failed(phi_dial *d, int error);
static void note_error(phi_dial *d, int error);
static int socket_error(int fd);
static void on_resolved(void *arg, const phi_sock_end *ends, size_t count, const char *why);
static void on_time(phi_timer *timer, phi_time now);
static void explain(const phi_dial *d, char *text, size_t size);

// ---- life

ph_err phi_uv_connect(phi_io *io, const phi_connect_options *options,
                      const phi_stream_events *events, void *owner, phi_stream **out,
                      phi_diag *diag)
{
    PH_ASSERT(events != NULL);
    PH_ASSERT(events->on_open != NULL);
    PH_ASSERT(out != NULL);
    phi_uv *uv = phi_uv_of(io);

    phi_endpoint target;
    ph_err err = phi_endpoint_parse_dialled(options->address, &target, diag);
    if (err == PH_OK && target.is_tls && options->tls == NULL) {
        err = phi_diag_add(diag, PH_EINVAL, "there are no credentials for TLS");
    }
    if (err != PH_OK) {
        goto fail;
    }
    phi_dial *d = (phi_dial *)phi_take_zeroed(io->alloc, 1, sizeof *d);
    if (d == NULL) {
        err = PH_ENOMEM;
        goto fail;
    }
    phi_stream *s = phi_stream_new(uv);
    if (s == NULL) {
        err = PH_ENOMEM;
        goto fail_dial;
    }
    d->stream = s;
    d->target = target;
    phi_timer_init(&d->timer, on_time);
    err = target.is_tls ? dial_secure(s, &target, options, diag) : PH_OK;
    if (err == PH_OK) {
        err = dial_prepare(d, diag);
    }
    if (err != PH_OK) {
        goto fail_stream;
    }
    phi_stream_dialing(s, d, events, owner);
    if (d->resolve == NULL) {
        dial_next(d);
    }
    *out = s;
    return PH_OK;

fail_stream:
    phi_stream_drop(s);
fail_dial:
    phi_give(io->alloc, d, sizeof *d);
fail:
    return phi_diag_add(diag, err, "connect to %s", options->address);
}

static ph_err dial_secure(phi_stream *s, const phi_endpoint *target,
                          const phi_connect_options *options, phi_diag *diag)
{
    if (!phi_secure_new(s, options->tls)) {
        return PH_ENOMEM;
    }
    char host[PHI_ENDPOINT_NAME_MAX + 1];
    phi_endpoint_host(target, host);
    return phi_secure_open(s, options->tls_name != NULL ? options->tls_name : host, diag);
}

// Fills `ends`, or begins to look them up.
static ph_err dial_prepare(phi_dial *d, phi_diag *diag)
{
    static const uint8_t ip4[4] = { 127, 0, 0, 1 };
    static const uint8_t ip6[16] = { [15] = 1 };
    const phi_endpoint *t = &d->target;
    if (t->kind != PHI_ENDPOINT_NAME) {
        d->count = 1;
        d->ends[0] = (phi_sock_end){ .kind = (uint8_t)t->kind, .port = t->port };
        memcpy(d->ends[0].host, t->host, sizeof t->host);
        return PH_OK;
    }
    if (phi_endpoint_is_localhost(t)) { // must not depend on a name server
        d->count = 2;
        d->ends[0] = (phi_sock_end){ .kind = PHI_ENDPOINT_IP4, .port = t->port };
        memcpy(d->ends[0].host, ip4, sizeof ip4);
        d->ends[1] = (phi_sock_end){ .kind = PHI_ENDPOINT_IP6, .port = t->port };
        memcpy(d->ends[1].host, ip6, sizeof ip6);
        return PH_OK;
    }
    return phi_resolve_new(&d->resolve, d->stream->uv, t, on_resolved, d, diag);
}

void phi_dial_free(phi_dial **dial)
{
    phi_dial *d = *dial;
    if (d == NULL) {
        return;
    }
    phi_uv *uv = d->stream->uv;
    phi_resolve_free(&d->resolve);
    phi_timer_clear(&uv->io.timers, &d->timer);
    phi_give(uv->io.alloc, d, sizeof *d);
    *dial = NULL;
}

// ---- attempts

static void dial_next(phi_dial *d)
{
    PH_ASSERT(d->stream->fd == -1);
    while (d->next < d->count) {
        int error = dial_try(d, &d->ends[d->next++]);
        if (error == 0) {
            return;
        }
        note_error(d, error);
    }
    phi_stream_due_later(d->stream);
}

// 0: it is on its way. Otherwise errno.
static int dial_try(phi_dial *d, const phi_sock_end *end)
{
    int fd = phi_sock_open(end->kind);
    if (fd < 0) {
        return errno;
    }
    phi_sock_tune(fd, end);
    phi_sock_storage storage;
    socklen_t size = end->kind == PHI_ENDPOINT_UNIX ? phi_sock_path_to(d->target.name, &storage)
                                                    : phi_sock_end_to(end, &storage);
    // EINTR does not end a connect that has begun.
    int error = connect(fd, &storage.any, size) == 0 ? 0 : errno;
    if (error == EINPROGRESS || error == EINTR) {
        error = 0;
    }
    if (error == 0 && !phi_stream_give_socket(d->stream, fd)) {
        error = ENOMEM;
    }
    if (error != 0) {
        close(fd);
        return error;
    }
    d->stream->peer = *end;
    phi_stream_arm(d->stream, UV_WRITABLE); // tells about both, success and failure
    phi_io *io = &d->stream->uv->io;
    phi_timer_set(&io->timers, &d->timer, phi_time_add(phi_io_now(io), ATTEMPT_TIME));
    return 0;
}

void phi_dial_on_ready(phi_dial *d)
{
    phi_stream *s = d->stream;
    int error = socket_error(s->fd);
    if (error != 0) {
        attempt_failed(d, error);
        return;
    }
    phi_dial_free(&s->dial);
    phi_stream_opened(s);
}

static void attempt_failed(phi_dial *d, int error)
{
    note_error(d, error);
    phi_timer_clear(&d->stream->uv->io.timers, &d->timer);
    phi_stream_close_socket(d->stream); // phi_dial_on_released follows
}

void phi_dial_on_released(phi_dial *d)
{
    dial_next(d);
}

static void on_time(phi_timer *timer, phi_time now)
{
    (void)now;
    attempt_failed(PHI_CONTAINER_OF(timer, phi_dial, timer), ETIMEDOUT);
}

static void on_resolved(void *arg, const phi_sock_end *ends, size_t count, const char *why)
{
    phi_dial *d = (phi_dial *)arg;
    PH_ASSERT(count <= PHI_UV_ENDS_MAX);
    memcpy(d->ends, ends, count * sizeof ends[0]);
    d->count = count;
    if (count == 0) {
        (void)snprintf(d->look_up_error, sizeof d->look_up_error, "%s", why);
    }
    phi_resolve_free(&d->resolve);
    dial_next(d);
}

void phi_dial_on_due(phi_dial *d)
{
    phi_stream *s = d->stream;
    char why[PHI_DIAG_BYTES_MAX];
    explain(d, why, sizeof why);
    s->peer = (phi_sock_end){ .kind = 0 };
    phi_dial_free(&s->dial);
    phi_stream_end(s, PH_ECONNECT, why);
}

// ---- helpers

static void note_error(phi_dial *d, int error)
{
    PH_ASSERT(error != 0);
    if (d->first_error == 0) {
        d->first_error = error;
    }
}

static int socket_error(int fd)
{
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
        return errno;
    }
    if (error != 0) {
        return error;
    }
    // A port of this machine where nobody listens may be given to the very socket that connects to
    // it, which then is connected to itself.
    phi_sock_storage here = { 0 };
    phi_sock_storage there = { 0 };
    socklen_t here_size = sizeof here;
    socklen_t there_size = sizeof there;
    if (getsockname(fd, &here.any, &here_size) != 0 ||
        getpeername(fd, &there.any, &there_size) != 0) {
        return errno;
    }
    bool is_self = here.any.sa_family != AF_UNIX && here_size == there_size &&
                   memcmp(&here, &there, here_size) == 0;
    return is_self ? ECONNREFUSED : 0;
}

// "connect to center.example:7678: 10.0.0.7:7678: Connection refused (and 1 more address)"
static void explain(const phi_dial *d, char *text, size_t size)
{
    char asked[PHI_ADDRESS_TEXT_MAX];
    phi_endpoint_format(&d->target, asked);
    if (d->count == 0) {
        (void)snprintf(text, size, "connect to %s: look up the name: %s", asked, d->look_up_error);
        return;
    }
    const char *error = phi_sock_error_text(d->first_error);
    if (d->target.kind != PHI_ENDPOINT_NAME) {
        (void)snprintf(text, size, "connect to %s: %s", asked, error);
        return;
    }
    char tried[PHI_ADDRESS_TEXT_MAX];
    phi_sock_end_format(&d->ends[0], tried);
    if (d->count == 1) {
        (void)snprintf(text, size, "connect to %s: %s: %s", asked, tried, error);
    } else {
        (void)snprintf(text, size, "connect to %s: %s: %s (and %zu more address%s)", asked, tried,
                       error, d->count - 1, d->count == 2 ? "" : "es");
    }
}
