// SPDX-License-Identifier: Apache-2.0
//
// io/io.h - the outside world as the core sees it: a clock, timers, byte streams, entropy. Two
// implementations: libuv (io/uv.h) and the simulator (sim/). Nothing above this line knows which
// one drives it.
//
// One phi_io is one loop. An object made on it belongs to it; nothing here may be used from another
// thread.
//
// A turn    1. wait for events, at most until phi_timers_next; not at all after phi_io_hurry
//           2. set is_turning, read the clock once into io->now
//           3. run stream events and due timers
//           4. clear is_hurried, then call every turn hook, and then those that were asked for:
//              what was queued in this turn is written now, once per stream; then every late hook;
//              clear is_turning
//
// Streams   A stream that was opened ends in exactly one `on_closed`, after which its memory is
//           gone. Callbacks are never run from inside the call that caused them. Inside a callback
//           any stream may be closed, also the one that called.
//
// Loops     of one process may hand accepted streams to each other (phi_stream_release), and write
//           to each other (io/mailbox.h). They share nothing else.

#ifndef PHI_IO_IO_H
#define PHI_IO_IO_H

#include <posthouse/err.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/diag.h"
#include "base/list.h"
#include "base/timers.h"
#include "io/identity.h"

typedef struct phi_io phi_io;
typedef struct phi_stream phi_stream;
typedef struct phi_listener phi_listener;
typedef struct phi_loose_stream phi_loose_stream; // belongs to no loop; see phi_stream_release
typedef struct phi_tls phi_tls;                   // io/tls.h
typedef struct phi_tls_files phi_tls_files;       // io/tls_files.h

#define PHI_ADDRESS_TEXT_MAX 128 // see io/address.h

// Where to listen, "HOST:PORT" (numeric host, or localhost; port 0: any free one) or "unix:PATH";
// and with what credentials. They are borrowed; what is needed of them is kept. NULL: what comes is
// not TLS.
typedef struct phi_listen_options {
    const char *address;
    phi_tls *tls;
} phi_listen_options;

// Whither to connect. An address that begins with "tls:" wants credentials, which say whom to
// believe; they are borrowed as above. Others make no use of them.
typedef struct phi_connect_options {
    const char *address;
    phi_tls *tls;
    const char *tls_name; // what the other end's certificate must name; NULL: the host of `address`
} phi_connect_options;

// What a stream tells its owner. All are required but on_open, which accepted streams do not have,
// and on_silent, which only those that are accepted and of TLS have.
typedef struct phi_stream_events {
    // The connection that was asked for is there.
    void (*on_open)(void *owner);
    // Bytes came. They stand in the loop's buffer, may be changed, and are gone when this returns.
    void (*on_bytes)(void *owner, phi_span bytes);
    // After a short phi_stream_write: there is room again.
    void (*on_writable)(void *owner);
    // The last event. PH_OK: closed by phi_stream_close, PH_ECLOSED: by the other end, in order;
    // PH_ERESET: it broke; PH_ECONNECT: it never came to be; PH_ETLS: one end does not believe the
    // other. `why` is a text for people, borrowed until this returns.
    void (*on_closed)(void *owner, ph_err reason, const char *why);
    // Not a byte came for PHI_TLS_SILENCE_MS, where clients of TLS speak at once: whoever is there
    // may not know of it, and wait for us. What this writes into `room`, and returns the size of,
    // is said to him in the clear; on_closed(PH_ETLS) follows.
    size_t (*on_silent)(void *owner, phi_span room);
} phi_stream_events;

typedef struct phi_listener_events {
    // A connection came. The owner attaches itself (phi_stream_attach), releases it or closes it,
    // before this returns.
    void (*on_accept)(void *owner, phi_stream *stream);
    // A connection cannot be accepted: descriptors (PH_ELIMIT) or memory (PH_ENOMEM) are used up.
    // What this returns is written to it, as far as it goes without waiting, and then it is closed;
    // borrowed until the next turn; may be empty.
    phi_bytes (*on_shed)(void *owner, ph_err reason);
} phi_listener_events;

// Called at the end of every turn, or of the turn in which it was asked for. Embedded in its owner.
typedef struct phi_turn_hook {
    phi_list node; // on io->hooks, asked_hooks or late_hooks
    void (*on_turn)(struct phi_turn_hook *hook);
} phi_turn_hook;

typedef struct phi_io_ops {
    ph_err (*listen)(phi_io *io, const phi_listen_options *options,
                     const phi_listener_events *events, void *owner, phi_listener **out,
                     phi_diag *diag);
    void (*listener_secure)(phi_listener *listener, phi_tls *tls);
    void (*listener_address)(const phi_listener *listener, char text[PHI_ADDRESS_TEXT_MAX]);
    void (*listener_close)(phi_listener *listener);
    ph_err (*connect)(phi_io *io, const phi_connect_options *options,
                      const phi_stream_events *events, void *owner, phi_stream **out,
                      phi_diag *diag);
    void (*stream_attach)(phi_stream *stream, const phi_stream_events *events, void *owner);
    size_t (*stream_write)(phi_stream *stream, phi_bytes bytes);
    void (*stream_pause)(phi_stream *stream, bool is_paused);
    void (*stream_close)(phi_stream *stream);
    void (*stream_peer)(const phi_stream *stream, char text[PHI_ADDRESS_TEXT_MAX]);
    void (*stream_identity)(const phi_stream *stream, phi_identity *out);
    ph_err (*stream_verify)(const phi_stream *stream, const phi_tls *tls, phi_diag *diag);
    ph_err (*stream_release)(phi_stream *stream, phi_loose_stream **out);
    ph_err (*stream_adopt)(phi_io *io, phi_loose_stream *loose, phi_stream **out);
    void (*loose_stream_close)(phi_loose_stream *loose);
    ph_err (*tls_load)(phi_io *io, phi_tls_files *files, phi_diag *diag); // NULL: it has no TLS
    void (*tls_drop)(phi_io *io, phi_tls_files *files);
    void (*entropy)(phi_io *io, uint8_t *bytes, size_t size);
    uint64_t (*wall_ms)(phi_io *io);
    void (*read_clock)(phi_io *io);                // into io->now
    void (*stand_still)(phi_io *io, phi_dur time); // NULL: it has no mailbox
} phi_io_ops;

// Embedded, as first member, in each implementation.
struct phi_io {
    const phi_io_ops *ops;
    const phi_alloc *alloc;
    phi_time now;         // read once per turn
    phi_timers timers;    // of everybody on this loop
    phi_list hooks;       // phi_turn_hook
    phi_list asked_hooks; // same; called behind those, once
    phi_list late_hooks;  // same; called behind all of them
    bool is_hurried;      // see phi_io_hurry
    bool is_turning;      // callbacks and hooks are running
};

// Listens.
//
// PH_EINVAL      the address does not parse, or is not one for TLS
// PH_EADDRINUSE  somebody listens there
// PH_EACCESS     not allowed
// PH_ESYSTEM     anything else; *diag says what
static inline PHI_MUST_CHECK ph_err phi_io_listen(phi_io *io, const phi_listen_options *options,
                                                  const phi_listener_events *events, void *owner,
                                                  phi_listener **out, phi_diag *diag)
{
    return io->ops->listen(io, options, events, owner, out, diag);
}

// Connections that come from now on are secured with these. Only for a listener that has
// credentials; borrowed as those.
static inline void phi_listener_secure(phi_io *io, phi_listener *l, phi_tls *tls)
{
    io->ops->listener_secure(l, tls);
}

// Where it listens, with the port that was really taken.
static inline void phi_listener_address(const phi_io *io, const phi_listener *l,
                                        char text[PHI_ADDRESS_TEXT_MAX])
{
    io->ops->listener_address(l, text);
}

// No accept after this returns. The memory is the io's.
static inline void phi_listener_close(phi_io *io, phi_listener *l)
{
    io->ops->listener_close(l);
}

// Begins to connect. On PH_OK, on_open or on_closed follows, in a later turn. Host names are
// resolved without blocking.
//
// PH_EINVAL   the address does not parse, or lacks credentials
// PH_ENOMEM, PH_ESYSTEM   not even begun
static inline PHI_MUST_CHECK ph_err phi_io_connect(phi_io *io, const phi_connect_options *options,
                                                   const phi_stream_events *events, void *owner,
                                                   phi_stream **out, phi_diag *diag)
{
    return io->ops->connect(io, options, events, owner, out, diag);
}

// Gives an accepted stream its owner. Reading begins in the next turn. Any stream may be given to
// another owner in the same way later, and from then on calls that one: so an owner that goes away
// leaves an open stream behind by attaching events that do nothing, and closing it.
static inline void phi_stream_attach(phi_io *io, phi_stream *s, const phi_stream_events *events,
                                     void *owner)
{
    io->ops->stream_attach(s, events, owner);
}

// Hands over as many bytes as go without waiting; the rest stays the caller's. When fewer than all
// went, on_writable follows. A broken stream takes nothing, and on_closed follows. An accepted one
// that is not attached may be written to as well, before it is closed; nothing follows then. One of
// TLS takes nothing before its handshake is done, and on_writable follows.
static inline size_t phi_stream_write(phi_io *io, phi_stream *s, phi_bytes bytes)
{
    return io->ops->stream_write(s, bytes);
}

// While paused nothing is read; the peer's window fills.
static inline void phi_stream_pause(phi_io *io, phi_stream *s, bool is_paused)
{
    io->ops->stream_pause(s, is_paused);
}

// What was written before goes out first. No on_bytes, on_open or on_writable after this returns;
// on_closed(PH_OK) follows in a later turn. Idempotent.
static inline void phi_stream_close(phi_io *io, phi_stream *s)
{
    io->ops->stream_close(s);
}

// Who is at the other end, for logs.
static inline void phi_stream_peer(const phi_io *io, const phi_stream *s,
                                   char text[PHI_ADDRESS_TEXT_MAX])
{
    io->ops->stream_peer(s, text);
}

// Who that is, as far as it was proved. Complete from on_open, or the first on_bytes of an accepted
// stream, on: before, a certificate is not there yet.
static inline void phi_stream_identity(const phi_io *io, const phi_stream *s, phi_identity *out)
{
    io->ops->stream_identity(s, out);
}

// Would these credentials let this stream in now? Asked when they changed: an authority may be
// gone, the certificate revoked or over. Costs next to nothing when whom they believe is as it was
// when the stream was last judged.
//
// PH_EACCESS   its certificate is not believed, or one is required and it has none, or the stream
//              is no TLS; *diag says why
// PH_ENOMEM    it could not be judged
static inline PHI_MUST_CHECK ph_err phi_stream_verify(phi_io *io, const phi_stream *s,
                                                      const phi_tls *tls, phi_diag *diag)
{
    return io->ops->stream_verify(s, tls, diag);
}

// Takes an accepted stream that nobody is attached to from its loop, so that another one can adopt
// it: the pointer may be sent there in a mail. Its other end notices nothing; what it sends waits.
// Whoever has the pointer owns it: it ends in adopt or in phi_loose_stream_close. On PH_OK `s` is
// gone.
//
// PH_ENOMEM   the stream is as it was
static inline PHI_MUST_CHECK ph_err phi_stream_release(phi_io *io, phi_stream *s,
                                                       phi_loose_stream **out)
{
    return io->ops->stream_release(s, out);
}

// Makes it a stream of this loop, which is as one in on_accept: to be attached, released or closed
// before the turn ends. `loose` is consumed in any case.
//
// PH_ENOMEM   the connection was closed
static inline PHI_MUST_CHECK ph_err phi_stream_adopt(phi_io *io, phi_loose_stream *loose,
                                                     phi_stream **out)
{
    return io->ops->stream_adopt(io, loose, out);
}

// Ends one that nobody takes. `io` is any loop of its process.
static inline void phi_loose_stream_close(phi_io *io, phi_loose_stream *loose)
{
    io->ops->loose_stream_close(loose);
}

// From the system's CSPRNG (the simulator's seeded generator).
static inline void phi_io_entropy(phi_io *io, uint8_t *bytes, size_t size)
{
    io->ops->entropy(io, bytes, size);
}

// Milliseconds since 1970, for logs and epochs only; never for deadlines.
static inline uint64_t phi_io_wall_ms(phi_io *io)
{
    return io->ops->wall_ms(io);
}

// Nothing on this loop goes on for so long; other loops do. For what can neither be refused nor be
// put off, and lacks what others may give back: whoever is at the other end of a stream, or writes
// mail, sees a loop that has not come to it yet. io->now stays that of the turn.
static inline void phi_io_stand_still(phi_io *io, phi_dur time)
{
    io->ops->stand_still(io, time);
}

// For what an application may call between turns, long after the last one: then the clock is read
// anew. Inside a turn, io->now.
static inline phi_time phi_io_now(phi_io *io)
{
    if (!io->is_turning) {
        io->ops->read_clock(io);
    }
    return io->now;
}

// The next turn does not wait: something was queued that its hooks are to write. What queues calls
// this, because it cannot know whether it runs inside a turn: an application may send something and
// then turn its loop.
static inline void phi_io_hurry(phi_io *io)
{
    io->is_hurried = true;
}

// ---- for implementations

// Everything but `ops` is made; `now` is the first reading of the clock.
void phi_io_init(phi_io *io, const phi_io_ops *ops, const phi_alloc *alloc, phi_time now);

// Step 4 of a turn, in the order in which the hooks were added. A hook may remove any hook; one
// added meanwhile is called in the next turn, but for one that a turn hook asks for.
void phi_io_run_hooks(phi_io *io);

// ---- for owners of hooks

static inline void phi_io_hook(phi_io *io, phi_turn_hook *hook)
{
    phi_list_append(&io->hooks, &hook->node);
}
// Only at the end of this turn, or of the next, which then does not wait: for who has something to
// do in few turns, and is one of thousands on this loop. Nothing when it was asked for already.
static inline void phi_io_ask_hook(phi_io *io, phi_turn_hook *hook)
{
    if (!phi_list_is_linked(&hook->node)) {
        phi_list_append(&io->asked_hooks, &hook->node);
        phi_io_hurry(io);
    }
}
// Behind all of the former: what is done here nobody waits for.
static inline void phi_io_hook_late(phi_io *io, phi_turn_hook *hook)
{
    phi_list_append(&io->late_hooks, &hook->node);
}
static inline void phi_io_unhook(phi_turn_hook *hook)
{
    phi_list_remove(&hook->node);
}

#endif // PHI_IO_IO_H
