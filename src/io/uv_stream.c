// SPDX-License-Identifier: Apache-2.0
//
// io/uv_stream.c - one connection: read, write, close.
//
// Design notes
//
// - libuv stops and restarts a watch with two system calls, so interest is given up lazily: a
//   stream that is paused, or has written all, loses its watch when the next event shows that it is
//   not wanted. Most pauses and short writes are over before that.
// - Loops at both ends of a connection work in turns, one asleep while the other works, when each
//   reads all that there is. So a loop that sleeps reads a share of what waits: what it brought is
//   answered at the end of the turn, and while others work on that, the next share is read. Each
//   costs a turn, so it doubles while it is filled, and halves when less than half came. Loops that
//   poll are awake anyway, and take all that a turn may bring; where more than two streams have
//   something, each is a share of the turn already; and of a stream that has the loop for itself
//   nobody waits for an answer to the rest.
// - An error on the socket, seen when writing or reported by the kernel, does not end the stream at
//   once: what the other end sent before, a bye perhaps, is still in the receive queue. A broken
//   stream is read once per turn until nothing is left, and then ends.
// - close() of a socket with unread input sends a RST, which makes the other end lose what we wrote
//   last. So a closed stream sends FIN and lingers, without an owner: it throws away what still
//   comes, until the other end closes too, or LINGER_TIME has passed, or LINGER_BYTES_MAX came.
//
// Invariants   `armed` is what libuv watches. A stream is on uv->lingering exactly in
//              STREAM_LINGERING. `dial` is set exactly in STREAM_DIALING. An owner hears nothing
//              after phi_stream_close but on_closed.

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/assert.h"
#include "io/tls.h"
#include "io/uv_private.h"

#define LINGER_TIME (phi_ms(PHI_UV_LINGER_MS))
#define LINGER_BYTES_MAX (1024u * 1024u)
#define KIB 1024u
#define SHARE_MAX (PHI_UV_INPUT_BYTES / KIB)
#define FEW 2u // streams

// For an idle connection, of which libuv takes 160; the heap makes 288 of it, and 304 of the next.
PH_STATIC_ASSERT(sizeof(struct phi_stream) <= 280);
PH_STATIC_ASSERT(LINGER_BYTES_MAX >= PHI_UV_INPUT_BYTES);
PH_STATIC_ASSERT(PHI_UV_INPUT_BYTES == SHARE_MAX * KIB);
PH_STATIC_ASSERT(PHI_UV_INPUT_TURNS_BYTES <= PHI_UV_INPUT_MORE_BYTES);

// A stream without a loop: its descriptor, and who is at the other end. On the heap, because its
// memory is given back by another loop.
struct phi_loose_stream {
    int fd;
    phi_sock_end peer;
    phi_tls *tls; // owned; NULL: it is not TLS
};

static const phi_sm_state stream_states[STREAM_STATE_COUNT] = {
    [STREAM_NEW] = { .name = "new",
                     .next = PHI_SM_TO(STREAM_DIALING) | PHI_SM_TO(STREAM_SHAKING) |
                             PHI_SM_TO(STREAM_OPEN) | PHI_SM_TO(STREAM_LINGERING) |
                             PHI_SM_TO(STREAM_GONE),
                     .is_initial = true },
    [STREAM_DIALING] = { .name = "dialing",
                         .next = PHI_SM_TO(STREAM_SHAKING) | PHI_SM_TO(STREAM_OPEN) |
                                 PHI_SM_TO(STREAM_CLOSING) | PHI_SM_TO(STREAM_GONE) },
    [STREAM_SHAKING] = { .name = "shaking",
                         .next = PHI_SM_TO(STREAM_OPEN) | PHI_SM_TO(STREAM_CLOSING) |
                                 PHI_SM_TO(STREAM_LINGERING) | PHI_SM_TO(STREAM_GONE) },
    [STREAM_OPEN] = { .name = "open",
                      .next = PHI_SM_TO(STREAM_BROKEN) | PHI_SM_TO(STREAM_CLOSING) |
                              PHI_SM_TO(STREAM_LINGERING) | PHI_SM_TO(STREAM_GONE) },
    [STREAM_BROKEN] = { .name = "broken",
                        .next = PHI_SM_TO(STREAM_CLOSING) | PHI_SM_TO(STREAM_GONE) },
    [STREAM_CLOSING] = { .name = "closing",
                         .next = PHI_SM_TO(STREAM_LINGERING) | PHI_SM_TO(STREAM_GONE) },
    [STREAM_LINGERING] = { .name = "lingering", .next = PHI_SM_TO(STREAM_GONE) },
    [STREAM_GONE] = { .name = "gone", .is_final = true },
};

static bool peer_credentials(const phi_stream *s, struct ucred *out);
static void stream_free(phi_stream *s);
static void on_ready(uv_poll_t *handle, int status, int events);
static void on_released(uv_handle_t *handle);
static void read_mail(const phi_stream *s);
static void on_readable(phi_stream *s);
static bool reads_by_shares(const phi_stream *s);
static size_t readable_max(const phi_stream *s);
static void count_brought(phi_stream *s, size_t came);
static uint8_t next_share(uint8_t share, size_t came);
static void give_bytes(phi_stream *s, phi_span bytes);
static void end_in_order(phi_stream *s);
static void on_writable(phi_stream *s);
static void on_leftovers(phi_stream *s, int status, int events);
static void step_broken(phi_stream *s);
static void step_closing(phi_stream *s);
static void say_goodbye(phi_stream *s);
static bool go_on_saying(phi_stream *s);
static void linger(phi_stream *s);
static void linger_end(phi_stream *s);
static bool drain(phi_stream *s);
static void on_linger_time(phi_timer *timer, phi_time now);

// ---- life

void phi_streams_init(phi_uv *uv)
{
    phi_timer_init(&uv->linger_timer, on_linger_time);
}

void phi_streams_begin_turn(phi_uv *uv)
{
    if (uv->brought == 0) {
        return; // the turn before was about something else, and says nothing
    }
    const phi_stream *lone = uv->brought == 1 ? uv->bringer : NULL;
    uv->is_lone = lone != NULL && lone == uv->lone;
    uv->lone = lone;
    uv->is_crowd = uv->brought > FEW;
    if (lone == NULL) {
        uv->input_more = 0;
    } else {
        uv->input_more = uv->is_lone ? PHI_UV_INPUT_MORE_BYTES : PHI_UV_INPUT_TURNS_BYTES;
    }
    uv->brought = 0;
}

const phi_sm_state *phi_stream_states(void)
{
    return stream_states;
}

phi_stream *phi_stream_new(phi_uv *uv)
{
    phi_stream *s = (phi_stream *)phi_take_zeroed(uv->io.alloc, 1, sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    s->uv = uv;
    s->fd = -1;
    s->share = PHI_UV_SHARE_KIB_MIN;
    s->linger_left = LINGER_BYTES_MAX;
    phi_sm_init(&s->sm, stream_states, STREAM_STATE_COUNT);
    phi_list_append(&uv->streams, &s->node);
    return s;
}

bool phi_stream_give_socket(phi_stream *s, int fd)
{
    PH_ASSERT(s->poll_state == HANDLE_NONE);
    PH_ASSERT(s->fd == -1);
    PH_ASSERT(fd >= 0);
    if (uv_poll_init(&s->uv->loop, &s->poll, fd) != 0) {
        return false;
    }
    s->poll_state = HANDLE_ACTIVE;
    s->fd = fd;
    s->armed = 0;
    return true;
}

void phi_stream_close_socket(phi_stream *s)
{
    if (s->poll_state == HANDLE_ACTIVE) {
        s->poll_state = HANDLE_CLOSING;
        s->armed = 0;
        uv_close((uv_handle_t *)&s->poll, on_released);
    }
    if (s->fd >= 0) {
        close(s->fd);
        s->fd = -1;
    }
}

static void on_released(uv_handle_t *handle)
{
    phi_stream *s = PHI_CONTAINER_OF(handle, phi_stream, poll);
    PH_ASSERT(s->poll_state == HANDLE_CLOSING);
    s->poll_state = HANDLE_NONE;
    if (phi_sm_is(&s->sm, STREAM_GONE)) {
        stream_free(s);
    } else if (phi_sm_is(&s->sm, STREAM_DIALING)) {
        phi_dial_on_released(s->dial);
    }
}

static void stream_free(phi_stream *s)
{
    PH_ASSERT(phi_sm_is(&s->sm, STREAM_GONE));
    PH_ASSERT(s->poll_state == HANDLE_NONE);
    PH_ASSERT(s->fd == -1);
    PH_ASSERT(s->dial == NULL);
    phi_secure_free(s);
    phi_list_remove(&s->node);
    phi_list_remove(&s->due);
    phi_give(s->uv->io.alloc, s, sizeof *s);
}

void phi_stream_drop(phi_stream *s)
{
    if (phi_sm_is(&s->sm, STREAM_GONE)) {
        return; // its memory comes back by itself
    }
    if (phi_sm_is(&s->sm, STREAM_LINGERING)) {
        (void)drain(s);
        linger_end(s);
        return;
    }
    phi_dial_free(&s->dial);
    if (phi_sm_is(&s->sm, STREAM_CLOSING) && s->fd >= 0) {
        (void)drain(s); // best effort: with unread input the bye before it would be lost
    }
    phi_stream_move(s, STREAM_GONE);
    phi_stream_close_socket(s);
    if (s->poll_state == HANDLE_NONE) {
        stream_free(s);
    }
}

void phi_stream_end(phi_stream *s, ph_err reason, const char *why)
{
    PH_ASSERT(s->events != NULL);
    PH_ASSERT(s->dial == NULL);
    phi_stream_move(s, STREAM_GONE);
    phi_list_remove(&s->due);
    phi_stream_close_socket(s);
    s->events->on_closed(s->owner, reason, why);
    if (s->poll_state == HANDLE_NONE) {
        stream_free(s);
    }
}

void phi_stream_end_politely(phi_stream *s, ph_err reason, const char *why)
{
    const phi_stream_events *events = s->events;
    PH_ASSERT(events != NULL);
    s->events = NULL;
    phi_list_remove(&s->due);
    say_goodbye(s);
    linger(s);
    events->on_closed(s->owner, reason, why);
}

// ---- operations

void phi_uv_stream_attach(phi_stream *s, const phi_stream_events *events, void *owner)
{
    PH_ASSERT(events != NULL);
    PH_ASSERT(events->on_bytes != NULL);
    PH_ASSERT(events->on_writable != NULL);
    PH_ASSERT(events->on_closed != NULL);
    s->events = events;
    s->owner = owner;
    if (phi_sm_is(&s->sm, STREAM_NEW)) {
        PH_ASSERT(s->fd >= 0);
        phi_stream_move(s, s->secure == NULL ? STREAM_OPEN : STREAM_SHAKING);
        if (s->secure == NULL) {
            phi_stream_arm(s, UV_READABLE);
        } else {
            phi_secure_start(s);
        }
    }
}

size_t phi_uv_stream_write(phi_stream *s, phi_bytes bytes)
{
    if (phi_sm_is(&s->sm, STREAM_DIALING) || phi_sm_is(&s->sm, STREAM_SHAKING)) {
        s->wants_write = s->wants_write || bytes.size != 0;
        return 0;
    }
    bool is_new = phi_sm_is(&s->sm, STREAM_NEW);
    if (!(is_new || phi_sm_is(&s->sm, STREAM_OPEN)) || bytes.size == 0) {
        return 0;
    }
    if (s->secure != NULL) { // which can say nothing before its handshake
        return is_new ? 0 : phi_secure_write(s, bytes);
    }
    ssize_t n = send(s->fd, bytes.data, bytes.size, MSG_NOSIGNAL);
    if (n < 0) {
        if (!is_new && errno != EAGAIN && errno != EINTR) {
            phi_stream_break(s, errno);
            return 0;
        }
        n = 0;
    }
    size_t size = (size_t)n;
    PH_ASSERT(size <= bytes.size);
    if (size < bytes.size && !is_new) {
        s->wants_write = true;
        phi_stream_arm(s, s->armed | UV_WRITABLE);
    }
    return size;
}

void phi_uv_stream_pause(phi_stream *s, bool is_paused)
{
    s->is_paused = is_paused;
    if (is_paused || !phi_sm_is(&s->sm, STREAM_OPEN)) {
        return;
    }
    if (s->secure != NULL && phi_secure_is_over(s)) {
        phi_stream_due_later(s); // the end is what it has not heard of
    } else {
        phi_stream_arm(s, s->armed | UV_READABLE);
    }
}

void phi_uv_stream_close(phi_stream *s)
{
    switch ((phi_stream_state)s->sm.state) {
    case STREAM_NEW: // accepted and not wanted: there is nobody to tell
        say_goodbye(s);
        linger(s);
        break;
    case STREAM_DIALING:
        phi_dial_free(&s->dial);
        phi_stream_close_socket(s);
        phi_stream_move(s, STREAM_CLOSING);
        phi_stream_due_later(s);
        break;
    case STREAM_SHAKING:
    case STREAM_OPEN:
        say_goodbye(s);
        phi_stream_move(s, STREAM_CLOSING);
        phi_stream_due_later(s);
        break;
    case STREAM_BROKEN:
        phi_stream_close_socket(s);
        phi_stream_move(s, STREAM_CLOSING);
        phi_stream_due_later(s);
        break;
    case STREAM_CLOSING:
    case STREAM_LINGERING:
    case STREAM_GONE: // from inside its on_closed
        break;
    case STREAM_STATE_COUNT:
        PH_UNREACHABLE("not a state");
    }
}

void phi_uv_stream_peer(const phi_stream *s, char text[PHI_ADDRESS_TEXT_MAX])
{
    struct ucred peer = { .pid = 0 };
    if (s->peer.kind == PHI_ENDPOINT_UNIX && peer_credentials(s, &peer)) {
        (void)snprintf(text, PHI_ADDRESS_TEXT_MAX, "unix:pid=%d,uid=%u", (int)peer.pid, peer.uid);
    } else if (s->peer.kind == PHI_ENDPOINT_UNIX) {
        (void)snprintf(text, PHI_ADDRESS_TEXT_MAX, "unix:");
    } else if (s->peer.kind == 0) {
        (void)snprintf(text, PHI_ADDRESS_TEXT_MAX, "(not connected)");
    } else {
        phi_sock_end_format(&s->peer, text);
    }
}

void phi_uv_stream_identity(const phi_stream *s, phi_identity *out)
{
    *out = (phi_identity){ .is_local = phi_sock_end_is_local(&s->peer) };
    phi_sock_end_host(&s->peer, out->host);
    struct ucred peer = { .pid = 0 };
    if (s->peer.kind == PHI_ENDPOINT_UNIX && peer_credentials(s, &peer)) {
        out->has_user = true;
        out->uid = peer.uid;
        out->gid = peer.gid;
    }
    if (s->secure != NULL) {
        phi_secure_identity(s, out);
    }
}

ph_err phi_uv_stream_verify(const phi_stream *s, const phi_tls *tls, phi_diag *diag)
{
    if (s->secure == NULL) {
        return phi_diag_add(diag, PH_EACCESS, "the connection is not secured");
    }
    return phi_secure_verify(s, tls, diag);
}

// ---- from loop to loop

ph_err phi_uv_stream_release(phi_stream *s, phi_loose_stream **out)
{
    PH_ASSERT(phi_sm_is(&s->sm, STREAM_NEW));
    PH_ASSERT(s->armed == 0);
    phi_loose_stream *loose = (phi_loose_stream *)phi_take(&phi_alloc_heap, sizeof *loose);
    if (loose == NULL) {
        return PH_ENOMEM;
    }
    loose->fd = s->fd;
    loose->peer = s->peer;
    loose->tls = s->secure == NULL ? NULL : phi_secure_take_tls(s);
    s->fd = -1; // so it stays open
    phi_stream_drop(s);
    *out = loose;
    return PH_OK;
}

ph_err phi_uv_stream_adopt(phi_io *io, phi_loose_stream *loose, phi_stream **out)
{
    phi_stream *s = phi_stream_new(phi_uv_of(io));
    if (s == NULL || (loose->tls != NULL && !phi_secure_new(s, loose->tls)) ||
        !phi_stream_give_socket(s, loose->fd)) {
        if (s != NULL) {
            phi_stream_drop(s);
        }
        phi_uv_loose_stream_close(loose);
        return PH_ENOMEM;
    }
    s->peer = loose->peer;
    phi_tls_free(&loose->tls);
    phi_give(&phi_alloc_heap, loose, sizeof *loose);
    *out = s;
    return PH_OK;
}

void phi_uv_loose_stream_close(phi_loose_stream *loose)
{
    close(loose->fd);
    phi_tls_free(&loose->tls);
    phi_give(&phi_alloc_heap, loose, sizeof *loose);
}

// ---- what the loop tells

static void on_ready(uv_poll_t *handle, int status, int events)
{
    phi_stream *s = PHI_CONTAINER_OF(handle, phi_stream, poll);
    phi_uv_awake(s->uv);
    if (status < 0) {
        s->armed = 0; // an error is on the socket, and libuv stopped watching it
    }
    switch ((phi_stream_state)s->sm.state) {
    case STREAM_DIALING:
        phi_dial_on_ready(s->dial);
        break;
    case STREAM_SHAKING:
        // An error on the socket is found by reading.
        phi_secure_on_ready(s, status < 0 ? UV_READABLE : events);
        break;
    case STREAM_OPEN:
        if (status < 0) {
            phi_stream_break(s, 0);
            break;
        }
        if ((events & UV_WRITABLE) != 0) {
            on_writable(s);
        }
        if ((events & UV_READABLE) != 0 && phi_sm_is(&s->sm, STREAM_OPEN)) {
            on_readable(s);
        }
        break;
    case STREAM_CLOSING:
    case STREAM_LINGERING:
        on_leftovers(s, status, events);
        break;
    case STREAM_NEW:
    case STREAM_BROKEN:
    case STREAM_GONE:
    case STREAM_STATE_COUNT:
        PH_UNREACHABLE("nothing is watched in this state");
    }
}

// Mail that was posted before what has just been received was sent is read before it: a client that
// was told of something by one loop, and says so to another, finds that this one knows it. [io.h]
static void read_mail(const phi_stream *s)
{
    if (s->uv->box != NULL) {
        phi_uv_box_read(s->uv->box);
    }
}

static void on_readable(phi_stream *s)
{
    if (s->is_paused) {
        phi_stream_arm(s, s->armed & ~UV_READABLE);
        return;
    }
    uint8_t *input = s->uv->input;
    ssize_t n = recv(s->fd, input, readable_max(s), 0);
    int error = errno;
    if (n > 0) {
        count_brought(s, (size_t)n);
    }
    read_mail(s);
    if (!phi_sm_is(&s->sm, STREAM_OPEN)) { // the mail said that it be closed
        return;
    }
    PH_ASSERT(!s->is_paused);
    if (n > 0) {
        give_bytes(s, (phi_span){ input, (size_t)n });
    } else if (n == 0) {
        end_in_order(s);
    } else if (error != EAGAIN && error != EINTR) {
        phi_stream_end(s, PH_ERESET, phi_sock_error_text(error));
    }
}

static bool reads_by_shares(const phi_stream *s)
{
    const phi_uv *uv = s->uv;
    bool is_lone = uv->is_lone && uv->lone == s;
    return !uv->is_wakeful && !uv->is_crowd && !is_lone;
}

static size_t readable_max(const phi_stream *s)
{
    if (reads_by_shares(s)) {
        return s->share * KIB;
    }
    return PHI_UV_INPUT_BYTES + (s->secure == NULL ? s->uv->input_more : 0);
}

static void count_brought(phi_stream *s, size_t came)
{
    phi_uv *uv = s->uv;
    if (reads_by_shares(s)) {
        s->share = next_share(s->share, came);
    } else if (came > PHI_UV_INPUT_BYTES) {
        uv->input_more -= came - PHI_UV_INPUT_BYTES;
    }
    uv->bringer = s;
    uv->brought++;
}

static uint8_t next_share(uint8_t share, size_t came)
{
    PH_ASSERT(came <= share * KIB);
    if (came == share * KIB && share < SHARE_MAX) {
        return (uint8_t)(share * 2);
    }
    bool is_large = came < share * KIB / 2 && share > PHI_UV_SHARE_KIB_MIN;
    return is_large ? share / 2 : share;
}

static void give_bytes(phi_stream *s, phi_span bytes)
{
    if (s->secure == NULL) {
        s->events->on_bytes(s->owner, bytes);
    } else {
        phi_secure_on_bytes(s, bytes);
    }
}

// The other end's FIN. Of TLS that is no order: anybody on the way could have sent it.
static void end_in_order(phi_stream *s)
{
    if (s->secure == NULL) {
        phi_stream_end(s, PH_ECLOSED, "closed by the other end");
    } else {
        phi_stream_end(s, PH_ERESET, "cut off: the other end did not say that it closes");
    }
}

static void on_writable(phi_stream *s)
{
    if (s->secure != NULL) {
        phi_secure_on_writable(s);
        return;
    }
    if (!s->wants_write) {
        phi_stream_arm(s, s->armed & ~UV_WRITABLE);
        return;
    }
    s->wants_write = false;
    s->events->on_writable(s->owner);
}

// Something comes for a stream that its owner has closed.
static void on_leftovers(phi_stream *s, int status, int events)
{
    bool is_well = status == 0;
    if (is_well && (events & UV_WRITABLE) != 0) {
        is_well = go_on_saying(s);
    }
    if (is_well && ((events & UV_READABLE) == 0 || drain(s))) {
        return;
    }
    if (phi_sm_is(&s->sm, STREAM_LINGERING)) {
        linger_end(s);
    } else {
        phi_stream_close_socket(s);
    }
}

void phi_stream_dialing(phi_stream *s, phi_dial *dial, const phi_stream_events *events, void *owner)
{
    PH_ASSERT(dial != NULL);
    phi_stream_move(s, STREAM_DIALING);
    s->dial = dial;
    s->events = events;
    s->owner = owner;
}

void phi_stream_opened(phi_stream *s)
{
    PH_ASSERT(s->dial == NULL);
    if (s->secure != NULL) {
        phi_stream_move(s, STREAM_SHAKING);
        phi_secure_start(s);
        return;
    }
    phi_stream_move(s, STREAM_OPEN);
    phi_stream_arm(s, (s->is_paused ? 0 : UV_READABLE) | (s->wants_write ? UV_WRITABLE : 0));
    s->events->on_open(s->owner);
}

void phi_stream_step(phi_stream *s)
{
    switch ((phi_stream_state)s->sm.state) {
    case STREAM_DIALING:
        phi_dial_on_due(s->dial);
        break;
    case STREAM_OPEN:
        phi_secure_step(s);
        break;
    case STREAM_BROKEN:
        step_broken(s);
        break;
    case STREAM_CLOSING:
        step_closing(s);
        break;
    case STREAM_NEW:
    case STREAM_SHAKING:
    case STREAM_LINGERING:
    case STREAM_GONE:
    case STREAM_STATE_COUNT:
        PH_UNREACHABLE("nothing is due in this state");
    }
}

// ---- breaking

void phi_stream_break(phi_stream *s, int error)
{
    phi_stream_move(s, STREAM_BROKEN);
    s->error = (int16_t)error;
    s->wants_write = false;
    phi_stream_arm(s, 0);
    phi_stream_due_later(s);
}

static void step_broken(phi_stream *s)
{
    uint8_t *input = s->uv->input;
    ssize_t n = s->is_paused ? -1 : recv(s->fd, input, PHI_UV_INPUT_BYTES, 0);
    int error = s->is_paused ? EPIPE : errno;
    read_mail(s);
    if (!phi_sm_is(&s->sm, STREAM_BROKEN)) {
        return;
    }
    if (n > 0) {
        phi_stream_due_later(s);
        give_bytes(s, (phi_span){ input, (size_t)n });
    } else if (n == 0 && s->error == 0) {
        end_in_order(s);
    } else {
        phi_stream_end(s, PH_ERESET, phi_sock_error_text(s->error != 0 ? s->error : error));
    }
}

// ---- closing

static void step_closing(phi_stream *s)
{
    const phi_stream_events *events = s->events;
    PH_ASSERT(events != NULL);
    if (s->fd < 0) {
        phi_stream_end(s, PH_OK, "");
        return;
    }
    s->events = NULL;
    linger(s);
    events->on_closed(s->owner, PH_OK, "");
}

// All that was written, and then FIN.
static void say_goodbye(phi_stream *s)
{
    s->wants_write = false;
    if (s->secure == NULL || phi_secure_say_goodbye(s)) {
        (void)shutdown(s->fd, SHUT_WR); // fails when the other end is gone, which drain will see
        phi_stream_arm(s, s->armed | UV_READABLE);
    } else {
        phi_stream_arm(s, UV_READABLE | UV_WRITABLE); // go_on_saying
    }
}

// False when the rest can never be said.
static bool go_on_saying(phi_stream *s)
{
    bool is_said = true; // a plain write was short once, and nothing is owed
    if (s->secure != NULL) {
        bool is_well = phi_secure_go_on_saying(s, &is_said);
        if (!is_well) {
            return false;
        }
        if (is_said) {
            (void)shutdown(s->fd, SHUT_WR);
        }
    }
    if (is_said) {
        phi_stream_arm(s, UV_READABLE);
    }
    return true;
}

static void linger(phi_stream *s)
{
    phi_uv *uv = s->uv;
    if (uv->lingering_count == PHI_UV_LINGERING_MAX) {
        linger_end(PHI_CONTAINER_OF(uv->lingering.next, phi_stream, due));
    }
    phi_stream_move(s, STREAM_LINGERING);
    s->linger_until = phi_time_add(phi_io_now(&uv->io), LINGER_TIME);
    phi_list_append(&uv->lingering, &s->due);
    uv->lingering_count++;
    if (!phi_timer_is_set(&uv->linger_timer)) {
        phi_timer_set(&uv->io.timers, &uv->linger_timer, s->linger_until);
    }
}

static void linger_end(phi_stream *s)
{
    PH_ASSERT(s->uv->lingering_count > 0);
    s->uv->lingering_count--;
    phi_list_remove(&s->due);
    s->dial = NULL; // where linger_until stood
    phi_stream_move(s, STREAM_GONE);
    phi_stream_close_socket(s);
    PH_ASSERT(s->poll_state == HANDLE_CLOSING); // on_released frees it
}

// Reads and throws away; false when that is over.
static bool drain(phi_stream *s)
{
    for (;;) {
        ssize_t n = recv(s->fd, s->uv->input, PHI_UV_INPUT_BYTES, 0);
        if (n <= 0) {
            return n < 0 && (errno == EAGAIN || errno == EINTR);
        }
        if ((size_t)n >= s->linger_left) {
            return false;
        }
        s->linger_left -= (uint32_t)n;
    }
}

static void on_linger_time(phi_timer *timer, phi_time now)
{
    phi_uv *uv = PHI_CONTAINER_OF(timer, phi_uv, linger_timer);
    while (!phi_list_is_empty(&uv->lingering)) {
        phi_stream *oldest = PHI_CONTAINER_OF(uv->lingering.next, phi_stream, due);
        if (phi_time_before(now, oldest->linger_until)) {
            phi_timer_set(&uv->io.timers, timer, oldest->linger_until);
            break;
        }
        linger_end(oldest);
    }
}

// ---- helpers

// Who made the socket at the other end, as the kernel noted it then. False when nobody can say.
static bool peer_credentials(const phi_stream *s, struct ucred *out)
{
    socklen_t size = sizeof *out;
    return s->fd >= 0 && getsockopt(s->fd, SOL_SOCKET, SO_PEERCRED, out, &size) == 0 &&
           out->pid > 0;
}

void phi_stream_arm(phi_stream *s, int events)
{
    if (s->armed == events) {
        return;
    }
    PH_ASSERT(s->poll_state == HANDLE_ACTIVE);
    int rc = events == 0 ? uv_poll_stop(&s->poll) : uv_poll_start(&s->poll, events, on_ready);
    PH_ASSERT(rc == 0);
    s->armed = (uint8_t)events & 3u;
}

void phi_stream_move(phi_stream *s, phi_stream_state state)
{
    phi_sm_move(&s->sm, (uint8_t)state);
}

void phi_stream_due_later(phi_stream *s)
{
    PH_ASSERT(!phi_sm_is(&s->sm, STREAM_LINGERING));
    phi_list_remove(&s->due);
    phi_list_append(&s->uv->due_later, &s->due);
}
