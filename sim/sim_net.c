// SPDX-License-Identifier: Apache-2.0
//
// sim/sim_net.c - streams as a kernel makes them: three packets to connect, bytes in order after a
// delay, bounded buffers, an orderly end or a reset.
//
// A connection has two ends. Each is a phi_stream of its node's process, or nothing: not yet
// accepted, closed, or its process is dead. Each direction is a pipe: bytes are copied into it when
// written and leave it when read; so the room of the pipe is what socket buffers and window make
// together, and a receiver that does not read stops its sender.
//
// What real kernels do and this does too: a connection is accepted three trips after it was asked
// for, one after the dialler was told; a process that dies with unread bytes resets, and so do
// bytes that come for it later; a reset throws away what was not read yet. What libuv's
// implementation does and this does too: a closed stream still throws away what comes for a while,
// so that the last it wrote is not lost by a reset.
//
// Invariants  a pipe holds at least as many bytes as have arrived; a connection lives while an
//             event or a stream refers to it

#include <stdio.h>
#include <string.h>

#include "io/tls.h"
#include "sim/sim_internal.h"

#define PIPE_BYTES_FALLBACK 65536u
// As Linux: six SYNs unanswered.
#define CONNECT_TIMEOUT_NS (UINT64_C(127) * 1000 * 1000 * 1000)
#define LINGER_NS (UINT64_C(2) * 1000 * 1000 * 1000)
#define DIAL_PORT_FIRST 50000u
#define DIAL_PORTS 10000u
#define WALL_MS_START UINT64_C(1767225600000) // 2026-01-01

static sim_lane *lane_from(const sim *s, const sim_conn *conn, uint16_t end);
static uint64_t arrival(sim *s, sim_conn *conn, uint16_t from_end);
static void send_event(sim *s, sim_conn *conn, uint16_t from_end, sim_kind kind, uint32_t size);
static void later(phi_stream *stream, sim_kind kind);
static void later_by(phi_stream *stream, sim_kind kind, phi_dur wait);
static void finish(phi_stream *stream, ph_err reason, const char *why);
static void deliver(phi_stream *stream);
static void drain(sim *s, sim_conn *conn, uint16_t end);
static void tell_room(sim *s, sim_conn *conn, uint16_t end);

// ---- streams: what their owner does

static ph_err net_connect(phi_io *io, const phi_connect_options *options,
                          const phi_stream_events *events, void *owner, phi_stream **out,
                          phi_diag *diag)
{
    sim_host *host = sim_host_of(io);
    sim *s = host->world;
    PH_ASSERT(events->on_open != NULL);
    phi_endpoint to;
    ph_err rc = phi_endpoint_parse_dialled(options->address, &to, diag);
    if (rc != PH_OK) {
        return rc;
    }
    if (to.is_tls && options->tls == NULL) {
        return phi_diag_add(diag, PH_EINVAL, "connect to %s: there are no credentials for TLS",
                            options->address);
    }
    char text[PHI_ADDRESS_TEXT_MAX];
    sim_address(&to, text);
    sim_conn *conn = phi_take_zeroed(&phi_alloc_heap, 1, sizeof *conn);
    PH_ASSERT(conn != NULL);
    phi_stream *stream = sim_stream_new(host, conn, 0);
    if (stream == NULL) {
        phi_give(&phi_alloc_heap, conn, sizeof *conn);
        return phi_diag_add(diag, PH_ENOMEM, "connect to %s", text);
    }
    stream->events = events;
    stream->owner = owner;
    conn->id = ++s->conn_count;
    conn->hosts[0] = host;
    conn->places[0] = host->index;
    conn->is_local = phi_endpoint_is_local(text);
    conn->is_tls = to.is_tls;
    conn->tls[0] = conn->is_tls ? options->tls : NULL;
    conn->identities[0] = sim_identity_dup(host->identity);
    conn->port = (uint16_t)(DIAL_PORT_FIRST + conn->id % DIAL_PORTS);
    memcpy(conn->address, text, sizeof text);
    phi_list_append(&s->conns, &conn->node);

    bool is_name = to.kind == PHI_ENDPOINT_NAME && !phi_endpoint_is_localhost(&to);
    phi_listener *listener = is_name ? NULL : sim_listener_find(s, text);
    if (listener != NULL) {
        conn->identities[1] = sim_identity_dup(listener->host->identity);
        conn->hosts[1] = listener->host;
        conn->places[1] = listener->host->index;
        sim_lane *lane = sim_lane_get(s, host->index, listener->host->index);
        for (int i = 0; i < 2; i++) {
            size_t room = lane->path.buffer_bytes;
            phi_buf_init(&conn->pipes[i].bytes, &phi_alloc_heap,
                         room == 0 ? PIPE_BYTES_FALLBACK : room);
        }
        send_event(s, conn, 0, SIM_SYN, 0);
    } else {
        // Nobody there (or no such name): the answer comes from the far side all the same.
        sim_schedule(s, (sim_event){ .at = s->now + 2 * sim_lane_get(s, 0, 0)->path.delay.ns,
                                     .node = host->index,
                                     .kind = SIM_REFUSED,
                                     .conn = conn,
                                     .size = is_name ? SIM_NO_SUCH_HOST : SIM_NOBODY_LISTENS });
    }
    sim_schedule(s, (sim_event){ .at = s->now + CONNECT_TIMEOUT_NS,
                                 .node = host->index,
                                 .kind = SIM_TIMEOUT,
                                 .conn = conn });
    *out = stream;
    return PH_OK;
}

static void net_attach(phi_stream *stream, const phi_stream_events *events, void *owner)
{
    PH_ASSERT(events->on_bytes != NULL);
    PH_ASSERT(events->on_closed != NULL);
    bool is_first = stream->events == NULL;
    stream->events = events;
    stream->owner = owner;
    if (!is_first || stream->state != SIM_STREAM_ACCEPTED) {
        return;
    }
    if (stream->conn->is_mistaken) {
        later_by(stream, SIM_SILENCE, phi_ms(PHI_TLS_SILENCE_MS));
    } else {
        stream->is_read_due = true;
        later(stream, SIM_READ);
    }
}

static size_t net_write(phi_stream *stream, phi_bytes bytes)
{
    if (bytes.size == 0) {
        return 0;
    }
    const sim_conn *c = stream->conn;
    bool is_shaking = stream->state == SIM_STREAM_ACCEPTED && (c->is_tls || c->is_mistaken);
    if (stream->state != SIM_STREAM_OPEN && (stream->state != SIM_STREAM_ACCEPTED || is_shaking)) {
        stream->wants_room = true;
        return 0;
    }
    sim *s = stream->host->world;
    sim_conn *conn = stream->conn;
    sim_pipe *pipe = &conn->pipes[stream->end];
    const sim_path *path = &lane_from(s, conn, stream->end)->path;
    size_t room = pipe->bytes.bytes_max - phi_buf_size(&pipe->bytes);
    size_t count = bytes.size < room ? bytes.size : room;
    if (path->write_max != 0 && count > path->write_max) {
        count = path->write_max;
    }
    if (path->is_ragged && count > 1) {
        count = phi_random_between(&stream->host->net, 1, count);
    }
    if (count > 0) {
        bool fitted = phi_buf_append(&pipe->bytes, phi_bytes_of(bytes.data, count));
        PH_ASSERT(fitted);
        sim_trace_bytes(s, stream->host->index, "writes", conn->id,
                        phi_bytes_of(bytes.data, count));
        send_event(s, conn, stream->end, SIM_SEGMENT, (uint32_t)count);
    }
    if (count < bytes.size) {
        stream->wants_room = true;
        if (room > count && !stream->is_room_due) {
            stream->is_room_due = true;
            later(stream, SIM_ROOM);
        }
    }
    return count;
}

static void net_pause(phi_stream *stream, bool is_paused)
{
    stream->is_paused = is_paused;
    if (!is_paused && stream->state == SIM_STREAM_OPEN && !stream->is_read_due) {
        stream->is_read_due = true;
        later(stream, SIM_READ);
    }
}

static void net_close(phi_stream *stream)
{
    if (stream->state == SIM_STREAM_CLOSING || stream->state == SIM_STREAM_DEAD) {
        return;
    }
    sim *s = stream->host->world;
    if (stream->state != SIM_STREAM_CONNECTING) {
        send_event(s, stream->conn, stream->end, SIM_FIN, 0);
        stream->conn->drains_until[stream->end] = s->now + LINGER_NS;
        drain(s, stream->conn, stream->end);
    }
    stream->state = SIM_STREAM_CLOSING;
    later(stream, SIM_CLOSED);
}

static void net_peer(const phi_stream *stream, char text[PHI_ADDRESS_TEXT_MAX])
{
    const sim_conn *conn = stream->conn;
    if (stream->end == 0) {
        memcpy(text, conn->address, PHI_ADDRESS_TEXT_MAX);
    } else if (strncmp(conn->address, "unix:", 5) == 0) {
        snprintf(text, PHI_ADDRESS_TEXT_MAX, "unix:");
    } else if (conn->is_local) {
        snprintf(text, PHI_ADDRESS_TEXT_MAX, "127.0.0.1:%u", conn->port);
    } else {
        snprintf(text, PHI_ADDRESS_TEXT_MAX, "10.0.0.%u:%u", conn->hosts[0]->index % 256u,
                 conn->port);
    }
}

static void net_entropy(phi_io *io, uint8_t *bytes, size_t size)
{
    phi_random *random = &sim_host_of(io)->entropy;
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)phi_random_next(random);
    }
}

static uint64_t net_wall_ms(phi_io *io)
{
    return WALL_MS_START + sim_host_of(io)->world->now / 1000000u;
}

static void net_read_clock(phi_io *io)
{
    io->now = (phi_time){ sim_host_of(io)->world->now + sim_host_of(io)->offset };
}

// The world's time does not go on inside a turn: it is as if the others had given memory back.
static void net_stand_still(phi_io *io, phi_dur time)
{
    const sim_host *host = sim_host_of(io);
    sim_note(host->world, host->index, "stands still for %llu us",
             (unsigned long long)time.ns / 1000u);
}

const phi_io_ops sim_io_ops = {
    .read_clock = net_read_clock,
    .stand_still = net_stand_still,
    .listen = sim_listen,
    .listener_secure = sim_listener_secure,
    .listener_address = sim_listener_address,
    .listener_close = sim_listener_close,
    .connect = net_connect,
    .stream_attach = net_attach,
    .stream_write = net_write,
    .stream_pause = net_pause,
    .stream_close = net_close,
    .stream_peer = net_peer,
    .stream_identity = sim_stream_identity,
    .stream_verify = sim_stream_verify,
    .stream_release = sim_stream_release,
    .stream_adopt = sim_stream_adopt,
    .loose_stream_close = sim_loose_close,
    .tls_load = sim_tls_load,
    .tls_drop = sim_tls_drop,
    .entropy = net_entropy,
    .wall_ms = net_wall_ms,
};

// ---- events of a connection

static bool is_loose(const sim_conn *conn, uint16_t end)
{
    return end == 1 && conn->loose != NULL;
}

static void on_syn(sim *s, sim_conn *conn)
{
    if (conn->streams[0] == NULL) {
        return; // who dialled has hung up
    }
    phi_listener *listener = sim_listener_find(s, conn->address);
    bool is_there = listener != NULL && listener->host == conn->hosts[1] &&
                    (listener->tls != NULL || !conn->is_tls); // a HELLO is no TLS
    conn->listening = listener;
    send_event(s, conn, 1, is_there ? SIM_SYN_ACK : SIM_REFUSED, 0);
}

static void on_syn_ack(sim *s, sim_conn *conn)
{
    phi_stream *stream = conn->streams[0];
    if (stream == NULL || stream->state != SIM_STREAM_CONNECTING) {
        return; // hung up meanwhile: the other side never gets to accept it
    }
    const char *refusal = conn->is_tls ? sim_tls_judge(conn->tls[0], conn, 0) : NULL;
    if (refusal != NULL) { // as if it had hung up
        finish(stream, PH_ETLS, refusal);
        return;
    }
    conn->is_open = true;
    stream->state = SIM_STREAM_OPEN;
    send_event(s, conn, 0, SIM_ACK, 0);
    if (stream->wants_room) {
        stream->is_room_due = true;
        later(stream, SIM_ROOM);
    }
    stream->events->on_open(stream->owner);
}

static void on_ack(sim *s, sim_host *host, sim_conn *conn)
{
    phi_listener *listener = sim_listener_find(s, conn->address);
    if (listener == NULL || listener != conn->listening) {
        send_event(s, conn, 1, SIM_RESET, 0);
        return;
    }
    phi_stream *stream = sim_stream_new(host, conn, 1);
    if (stream == NULL) {
        send_event(s, conn, 1, SIM_RESET, 0);
        (void)listener->events->on_shed(listener->owner, PH_ENOMEM);
        return;
    }
    stream->state = SIM_STREAM_ACCEPTED;
    conn->tls[1] = listener->tls;
    conn->is_mistaken = listener->tls != NULL && !conn->is_tls;
    if (sim_fault_sheds(&host->fault)) {
        (void)net_write(stream, listener->events->on_shed(listener->owner, PH_ELIMIT));
        net_close(stream);
        return;
    }
    listener->events->on_accept(listener->owner, stream);
    // Attached, closed or released: io.h asks for it.
    stream = conn->streams[1];
    PH_ASSERT(stream == NULL || stream->events != NULL || stream->state == SIM_STREAM_CLOSING);
}

static void on_segment(sim *s, sim_conn *conn, uint16_t end, uint32_t size)
{
    sim_pipe *pipe = &conn->pipes[1 - end];
    pipe->arrived += size;
    PH_ASSERT(pipe->arrived <= phi_buf_size(&pipe->bytes));
    phi_stream *stream = conn->streams[end];
    if (is_loose(conn, end)) {
        return;
    }
    if (stream == NULL || stream->state == SIM_STREAM_CLOSING || stream->state == SIM_STREAM_DEAD) {
        if (s->now < conn->drains_until[end]) {
            drain(s, conn, end);
        } else {
            send_event(s, conn, end, SIM_RESET, 0); // nobody will read this
        }
        return;
    }
    if (!stream->is_read_due) {
        deliver(stream);
    }
}

static void on_fin(sim_conn *conn, uint16_t end)
{
    conn->pipes[1 - end].has_fin = true;
    phi_stream *stream = conn->streams[end];
    if (stream != NULL && !stream->is_read_due) {
        deliver(stream);
    }
}

static void on_reset(sim_conn *conn, uint16_t end)
{
    phi_stream *stream = conn->streams[end];
    if (is_loose(conn, end)) {
        conn->loose->is_reset = true;
        return;
    }
    if (stream == NULL || stream->state == SIM_STREAM_CLOSING || stream->state == SIM_STREAM_DEAD) {
        return;
    }
    bool is_new = stream->state == SIM_STREAM_CONNECTING;
    finish(stream, is_new ? PH_ECONNECT : PH_ERESET, "connection reset by peer");
}

static void on_not_connected(sim_conn *conn, const char *why)
{
    phi_stream *stream = conn->streams[0];
    if (stream != NULL && stream->state == SIM_STREAM_CONNECTING) {
        char text[PHI_ADDRESS_TEXT_MAX + 40];
        snprintf(text, sizeof text, "%s: %s", conn->address, why);
        finish(stream, PH_ECONNECT, text);
    }
}

// Who accepted it does not believe who dialled: both ends learn of it.
static bool is_refused(sim *s, phi_stream *stream)
{
    sim_conn *conn = stream->conn;
    const char *why = conn->is_tls ? sim_tls_judge(conn->tls[1], conn, 1) : NULL;
    if (why == NULL) {
        return false;
    }
    send_event(s, conn, 1, SIM_REFUSED, SIM_NOT_BELIEVED);
    finish(stream, PH_ETLS, why);
    return true;
}

static void on_refused(sim_conn *conn, sim_refusal refusal)
{
    phi_stream *stream = conn->streams[0];
    switch (refusal) {
    case SIM_NOBODY_LISTENS:
        on_not_connected(conn, "connection refused");
        break;
    case SIM_NO_SUCH_HOST:
        on_not_connected(conn, "no such host");
        break;
    case SIM_NOT_BELIEVED:
        if (stream != NULL && stream->state == SIM_STREAM_OPEN) {
            finish(stream, PH_ETLS, "the other end refused our certificate");
        }
        break;
    }
}

static void on_read(phi_stream *stream)
{
    if (stream == NULL) {
        return;
    }
    stream->is_read_due = false;
    if (stream->state == SIM_STREAM_ACCEPTED) {
        if (is_refused(stream->host->world, stream)) {
            return;
        }
        stream->state = SIM_STREAM_OPEN;
        if (stream->wants_room && !stream->is_room_due) {
            stream->is_room_due = true;
            later(stream, SIM_ROOM);
        }
    }
    deliver(stream);
}

// Each waits for the other to speak first.
static void on_silence(phi_stream *stream)
{
    if (stream == NULL || stream->state != SIM_STREAM_ACCEPTED) {
        return;
    }
    sim *s = stream->host->world;
    sim_conn *conn = stream->conn;
    const sim_pipe *pipe = &conn->pipes[1 - stream->end];
    if (pipe->arrived > 0 || pipe->has_fin) {
        sim_hang_up(s, conn, stream->end);
        finish(stream, pipe->arrived > 0 ? PH_ETLS : PH_ECLOSED, "it does not speak TLS");
        return;
    }
    stream->state = SIM_STREAM_OPEN;
    if (stream->events->on_silent != NULL) {
        phi_span room = { s->buffer, sizeof s->buffer };
        size_t size = stream->events->on_silent(stream->owner, room);
        (void)net_write(stream, phi_bytes_of(s->buffer, size));
    }
    sim_hang_up(s, conn, stream->end);
    finish(stream, PH_ETLS, "it says nothing, as who was not told to speak TLS");
}

static void on_room(phi_stream *stream)
{
    if (stream == NULL) {
        return;
    }
    stream->is_room_due = false;
    bool is_open = stream->state == SIM_STREAM_OPEN || stream->state == SIM_STREAM_ACCEPTED;
    if (is_open && stream->wants_room) {
        stream->wants_room = false;
        stream->events->on_writable(stream->owner);
    }
}

static bool is_travelling(sim_kind kind)
{
    return kind != SIM_READ && kind != SIM_CLOSED && kind != SIM_TIMEOUT && kind != SIM_REFUSED &&
           kind != SIM_SILENCE;
}

void sim_net_event(sim *s, sim_host *host, const sim_event *event)
{
    sim_conn *conn = event->conn;
    sim_kind kind = (sim_kind)event->kind;
    bool is_forced = kind == SIM_RESET && event->size == 1;
    if (conn->is_muted && is_travelling(kind) && !is_forced) {
        return;
    }
    phi_stream *stream = conn->streams[event->end];
    switch (kind) {
    case SIM_SYN:
        on_syn(s, conn);
        break;
    case SIM_SYN_ACK:
        on_syn_ack(s, conn);
        break;
    case SIM_REFUSED:
        on_refused(conn, (sim_refusal)event->size);
        break;
    case SIM_TIMEOUT:
        on_not_connected(conn, "connection timed out");
        break;
    case SIM_ACK:
        on_ack(s, host, conn);
        break;
    case SIM_SEGMENT:
        on_segment(s, conn, event->end, event->size);
        break;
    case SIM_READ:
        on_read(stream);
        break;
    case SIM_SILENCE:
        on_silence(stream);
        break;
    case SIM_ROOM:
        on_room(stream);
        break;
    case SIM_FIN:
        on_fin(conn, event->end);
        break;
    case SIM_RESET:
        on_reset(conn, event->end);
        break;
    case SIM_CLOSED:
        if (stream != NULL && stream->state == SIM_STREAM_CLOSING) {
            finish(stream, PH_OK, "");
        }
        break;
    case SIM_WAKE:
    case SIM_TOUCH:
    case SIM_ACTION:
    case SIM_MAIL:
    case SIM_KIND_COUNT:
        PH_UNREACHABLE("not an event of a connection");
    }
}

// Gives the reader what has arrived, as much as one read takes; then the end, if that has come.
static void deliver(phi_stream *stream)
{
    sim_host *host = stream->host;
    sim *s = host->world;
    sim_conn *conn = stream->conn;
    sim_pipe *pipe = &conn->pipes[1 - stream->end];
    if (stream->state != SIM_STREAM_OPEN || stream->is_paused || !host->is_reading) {
        return;
    }
    if (pipe->arrived == 0) {
        if (pipe->has_fin) {
            finish(stream, PH_ECLOSED, "closed by the other end");
        }
        return;
    }
    const sim_lane *lane = lane_from(s, conn, (uint16_t)(1 - stream->end));
    size_t count = pipe->arrived < sizeof s->buffer ? pipe->arrived : sizeof s->buffer;
    if (lane->path.read_max != 0 && count > lane->path.read_max) {
        count = lane->path.read_max;
    }
    if (lane->path.is_ragged && count > 1) {
        count = phi_random_between(&host->net, 1, count);
    }
    memcpy(s->buffer, phi_buf_view(&pipe->bytes).data, count);
    phi_buf_consume(&pipe->bytes, count);
    pipe->arrived -= count;
    sim_trace_mix(s, conn->id << 32 | count);

    tell_room(s, conn, stream->end);
    if (pipe->arrived > 0 || pipe->has_fin) {
        stream->is_read_due = true;
        later(stream, SIM_READ);
    }
    stream->events->on_bytes(stream->owner, (phi_span){ s->buffer, count });
    memset(s->buffer, 0xdd, count); // whoever kept a view will find out
}

// What came for an end that its process has closed is thrown away.
static void drain(sim *s, sim_conn *conn, uint16_t end)
{
    sim_pipe *pipe = &conn->pipes[1 - end];
    if (pipe->arrived > 0) {
        phi_buf_consume(&pipe->bytes, pipe->arrived);
        pipe->arrived = 0;
        tell_room(s, conn, end);
    }
}

// That end has taken bytes: the other learns of it one trip later, if it waits for that.
static void tell_room(sim *s, sim_conn *conn, uint16_t end)
{
    phi_stream *peer = conn->streams[1 - end];
    if (peer != NULL && peer->wants_room && !peer->is_room_due) {
        peer->is_room_due = true;
        send_event(s, conn, end, SIM_ROOM, 0);
    }
}

// ---- the kernel and its processes

void sim_net_kill(sim_host *host)
{
    for (phi_list *n = host->streams.next; n != &host->streams; n = n->next) {
        phi_stream *stream = PHI_CONTAINER_OF(n, phi_stream, node);
        if (stream->state == SIM_STREAM_OPEN || stream->state == SIM_STREAM_ACCEPTED) {
            sim_hang_up(host->world, stream->conn, stream->end);
        }
        stream->state = SIM_STREAM_DEAD;
        stream->conn->streams[stream->end] = NULL;
    }
    sim_loose_kill(host);
}

// The kernel closes what its process has left.
void sim_hang_up(sim *s, sim_conn *conn, uint16_t end)
{
    bool is_unread = conn->pipes[1 - end].arrived > 0;
    send_event(s, conn, end, is_unread ? SIM_RESET : SIM_FIN, 0);
}

void sim_net_forget(sim_host *host)
{
    phi_list *n;
    while ((n = phi_list_take(&host->streams)) != NULL) {
        sim_stream_free(PHI_CONTAINER_OF(n, phi_stream, node));
    }
    sim_loose_forget(host);
    while (!phi_list_is_empty(&host->listeners)) {
        sim_listener_close(PHI_CONTAINER_OF(host->listeners.next, phi_listener, node));
    }
}

void sim_net_resume(sim_host *host)
{
    for (phi_list *n = host->streams.next; n != &host->streams; n = n->next) {
        phi_stream *stream = PHI_CONTAINER_OF(n, phi_stream, node);
        if (stream->state == SIM_STREAM_OPEN && !stream->is_read_due) {
            stream->is_read_due = true;
            later(stream, SIM_READ);
        }
    }
}

void sim_net_break(sim *s, sim_conn *conn)
{
    if (conn->is_muted) {
        return;
    }
    conn->is_muted = true;
    for (uint16_t end = 0; end < 2; end++) {
        if (conn->hosts[end] != NULL) {
            send_event(s, conn, (uint16_t)(1 - end), SIM_RESET, 1);
        }
    }
}

size_t sim_streams_open(const sim *s, sim_node node)
{
    const sim_host *host = sim_host_get(s, node);
    size_t count = 0;
    for (phi_list *n = host->streams.next; n != &host->streams; n = n->next) {
        const phi_stream *stream = PHI_CONTAINER_OF(n, phi_stream, node);
        count += stream->state != SIM_STREAM_CLOSING && stream->state != SIM_STREAM_DEAD;
    }
    return count;
}

// ---- helpers

// What leaves that end goes along it.
static sim_lane *lane_from(const sim *s, const sim_conn *conn, uint16_t end)
{
    return sim_lane_get(s, conn->places[end], conn->places[1 - end]);
}

// When what leaves that end now is at the other: never before what left earlier.
static uint64_t arrival(sim *s, sim_conn *conn, uint16_t from_end)
{
    sim_host *from = conn->hosts[from_end];
    const sim_lane *lane = lane_from(s, conn, from_end);
    sim_pipe *pipe = &conn->pipes[from_end];
    uint64_t at = s->now + lane->path.delay.ns;
    if (lane->path.jitter.ns != 0) {
        at += phi_random_below(&from->net, lane->path.jitter.ns + 1);
    }
    at = at > lane->held_until ? at : lane->held_until;
    at = at > pipe->last_arrival ? at : pipe->last_arrival;
    pipe->last_arrival = at;
    return at;
}

// Sends something from one end of the connection to the other.
static void send_event(sim *s, sim_conn *conn, uint16_t from_end, sim_kind kind, uint32_t size)
{
    bool is_forced = kind == SIM_RESET && size == 1;
    if (lane_from(s, conn, from_end)->is_parted && !is_forced) {
        conn->is_muted = true; // the world has no retransmission: what was lost stays lost
    }
    if (conn->is_muted && !is_forced) {
        return;
    }
    sim_schedule(s, (sim_event){ .at = arrival(s, conn, from_end),
                                 .node = conn->hosts[1 - from_end]->index,
                                 .kind = (uint16_t)kind,
                                 .end = (uint16_t)(1 - from_end),
                                 .size = size,
                                 .conn = conn });
}

// Something for this end itself, in its next turn.
static void later(phi_stream *stream, sim_kind kind)
{
    later_by(stream, kind, phi_ns(0));
}

static void later_by(phi_stream *stream, sim_kind kind, phi_dur wait)
{
    sim *s = stream->host->world;
    sim_schedule(s, (sim_event){ .at = s->now + wait.ns,
                                 .node = stream->host->index,
                                 .kind = (uint16_t)kind,
                                 .end = stream->end,
                                 .conn = stream->conn });
}

phi_stream *sim_stream_new(sim_host *host, sim_conn *conn, uint16_t end)
{
    phi_stream *stream = phi_take_zeroed(host->io.alloc, 1, sizeof *stream);
    if (stream == NULL) {
        return NULL;
    }
    stream->host = host;
    stream->conn = conn;
    stream->end = end;
    stream->state = SIM_STREAM_CONNECTING;
    conn->refs++;
    conn->streams[end] = stream;
    phi_list_append(&host->streams, &stream->node);
    return stream;
}

void sim_stream_free(phi_stream *stream)
{
    sim_conn *conn = stream->conn;
    sim_host *host = stream->host;
    if (conn->streams[stream->end] == stream) {
        conn->streams[stream->end] = NULL;
    }
    phi_list_remove(&stream->node);
    phi_give(host->io.alloc, stream, sizeof *stream);
    sim_conn_unref(host->world, conn);
}

// The last event of a stream.
static void finish(phi_stream *stream, ph_err reason, const char *why)
{
    PH_ASSERT(stream->state != SIM_STREAM_DEAD);
    stream->state = SIM_STREAM_CLOSING; // whatever its owner still does to it has no effect
    stream->conn->streams[stream->end] = NULL;
    if (stream->events != NULL) { // NULL: closed in on_accept
        stream->events->on_closed(stream->owner, reason, why);
    }
    sim_stream_free(stream);
}

void sim_conn_unref(sim *s, sim_conn *conn)
{
    (void)s;
    PH_ASSERT(conn->refs > 0);
    if (--conn->refs > 0) {
        return;
    }
    PH_ASSERT(conn->streams[0] == NULL);
    PH_ASSERT(conn->streams[1] == NULL);
    for (int i = 0; i < 2; i++) {
        if (conn->pipes[i].bytes.alloc != NULL) {
            phi_buf_fini(&conn->pipes[i].bytes);
        }
    }
    sim_identity_free(&conn->identities[0]);
    sim_identity_free(&conn->identities[1]);
    phi_list_remove(&conn->node);
    phi_give(&phi_alloc_heap, conn, sizeof *conn);
}
