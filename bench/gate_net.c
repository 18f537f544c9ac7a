// SPDX-License-Identifier: Apache-2.0
//
// bench/gate_net.c - see gate_net.h.

#include "bench/gate_net.h"

#include "base/assert.h"
#include "base/random.h"

struct phi_stream {
    gate_end *end; // whose it is; NULL: unused
    phi_stream *peer;
    const phi_stream_events *events; // NULL: not attached
    void *owner;
    bool is_new;    // on_open, or on_accept, is owed
    size_t waiting; // in `bytes`: what the peer wrote
    uint8_t bytes[GATE_WAITING_BYTES_MAX];
};

static phi_stream streams[GATE_STREAMS_MAX];

static gate_end *end_of(phi_io *io)
{
    return PHI_CONTAINER_OF(io, gate_end, io);
}

static phi_stream *stream_take(gate_end *end)
{
    for (size_t i = 0; i < GATE_STREAMS_MAX; i++) {
        if (streams[i].end == NULL) {
            streams[i].end = end;
            streams[i].is_new = true;
            return &streams[i];
        }
    }
    PH_UNREACHABLE("more streams than there is room for");
}

// ---- io.h

static ph_err net_listen(phi_io *io, const phi_listen_options *options,
                         const phi_listener_events *events, void *owner, phi_listener **out,
                         phi_diag *diag)
{
    (void)options;
    (void)diag;
    end_of(io)->listener = events;
    end_of(io)->listener_owner = owner;
    *out = (phi_listener *)io;
    return PH_OK;
}

static void net_listener_address(const phi_listener *listener, char text[PHI_ADDRESS_TEXT_MAX])
{
    (void)listener;
    memcpy(text, "127.0.0.1:7678", sizeof "127.0.0.1:7678");
}

static void net_listener_close(phi_listener *listener)
{
    end_of((phi_io *)listener)->listener = NULL;
}

static ph_err net_connect(phi_io *io, const phi_connect_options *options,
                          const phi_stream_events *events, void *owner, phi_stream **out,
                          phi_diag *diag)
{
    (void)options;
    (void)diag;
    phi_stream *near = stream_take(end_of(io));
    phi_stream *far = stream_take(end_of(io)->center);
    near->events = events;
    near->owner = owner;
    near->peer = far;
    far->peer = near;
    *out = near;
    return PH_OK;
}

static void net_attach(phi_stream *s, const phi_stream_events *events, void *owner)
{
    s->events = events;
    s->owner = owner;
}

static size_t net_write(phi_stream *s, phi_bytes bytes)
{
    phi_stream *to = s->peer;
    PH_ASSERT(bytes.size <= sizeof to->bytes - to->waiting);
    memcpy(to->bytes + to->waiting, bytes.data, bytes.size);
    to->waiting += bytes.size;
    return bytes.size;
}

static void net_pause(phi_stream *s, bool is_paused)
{
    (void)s;
    PH_ASSERT(!is_paused); // nothing here is so slow
}

static void net_close(phi_stream *s)
{
    s->end = NULL; // it has no more turns
}

static void net_peer(const phi_stream *s, char text[PHI_ADDRESS_TEXT_MAX])
{
    (void)s;
    memcpy(text, "127.0.0.1:40000", sizeof "127.0.0.1:40000");
}

static void net_identity(const phi_stream *s, phi_identity *out)
{
    (void)s;
    *out = (phi_identity){ .is_local = true, .host = { [10] = 0xff, 0xff, 127, 0, 0, 1 } };
}

static void net_entropy(phi_io *io, uint8_t *bytes, size_t size)
{
    (void)io;
    static phi_random random;
    if (random.state == 0) {
        random = phi_random_seeded(1);
    }
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)phi_random_next(&random);
    }
}

static uint64_t net_wall_ms(phi_io *io)
{
    return io->now.ns / 1000000;
}

static void net_read_clock(phi_io *io)
{
    (void)io; // time stands still
}

static const phi_io_ops net_ops = {
    .listen = net_listen,
    .listener_address = net_listener_address,
    .listener_close = net_listener_close,
    .connect = net_connect,
    .stream_attach = net_attach,
    .stream_write = net_write,
    .stream_pause = net_pause,
    .stream_close = net_close,
    .stream_peer = net_peer,
    .stream_identity = net_identity,
    .entropy = net_entropy,
    .wall_ms = net_wall_ms,
    .read_clock = net_read_clock,
};

// ---- turns

void gate_end_init(gate_end *end, gate_end *center)
{
    *end = (gate_end){ .center = center };
    phi_io_init(&end->io, &net_ops, &phi_alloc_heap, (phi_time){ phi_seconds(1000).ns });
}

static void stream_start(phi_stream *s)
{
    s->is_new = false;
    if (s->events != NULL) {
        s->events->on_open(s->owner);
    } else {
        s->end->listener->on_accept(s->end->listener_owner, s);
    }
}

void gate_end_turn(gate_end *end)
{
    end->io.is_turning = true;
    for (size_t i = 0; i < GATE_STREAMS_MAX; i++) {
        phi_stream *s = &streams[i];
        if (s->end != end) {
            continue;
        }
        if (s->is_new) {
            stream_start(s);
        } else if (s->waiting != 0) {
            size_t size = s->waiting;
            s->waiting = 0;
            s->events->on_bytes(s->owner, (phi_span){ s->bytes, size });
        }
    }
    phi_timers_run(&end->io.timers, end->io.now);
    phi_io_run_hooks(&end->io);
    end->io.is_turning = false;
}

void gate_net_clear(void)
{
    for (size_t i = 0; i < GATE_STREAMS_MAX; i++) {
        streams[i].end = NULL;
        streams[i].events = NULL;
        streams[i].waiting = 0;
    }
}
