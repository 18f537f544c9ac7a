// SPDX-License-Identifier: Apache-2.0
//
// io/uv_private.h - what the files of the libuv implementation know of each other.
//
//     uv.c           life, turns, the table of operations
//     uv_stream.c    an established connection: read, write, close, linger
//     uv_tls.c       what is more to a stream of TLS
//     uv_tls_files.c credentials from files
//     uv_listener.c  sockets that accept
//     uv_dial.c      the way to a connection: addresses tried one after the other
//     uv_resolve.c   names to addresses, by c-ares
//     uv_mailbox.c   mail between loops
//     uv_thread.c    threads that turn loops, and tasks from one to another
//     uv_signal.c    signals
//     uv_sock.c      socket addresses and errno
//
// Handles   libuv keeps a handle until the callback of uv_close; so what embeds one is freed there,
//           and nowhere else. Its descriptor is closed at once.

#ifndef PHI_IO_UV_PRIVATE_H
#define PHI_IO_UV_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <uv.h>

#include "base/sm.h"
#include "io/address.h"
#include "io/busy_poll.h"
#include "io/uv.h"

#define PHI_UV_SIGNALS_MAX 8
#define PHI_UV_ENDS_MAX 8 // addresses of one name that are tried

// A socket's address, small enough to be kept with every stream.
typedef struct phi_sock_end {
    uint8_t kind; // PHI_ENDPOINT_IP4, _IP6 or _UNIX; 0 none
    uint8_t host[16];
    uint16_t port;
} phi_sock_end;

typedef struct phi_uv_signal_slot {
    uv_signal_t handle;
    phi_uv *uv;
    void (*fire)(void *arg, int signum);
    void *arg;
} phi_uv_signal_slot;

typedef struct phi_uv_box phi_uv_box;
typedef struct phi_secure phi_secure;
typedef struct phi_secure_room phi_secure_room;

struct phi_uv {
    phi_io io;
    uv_loop_t loop;
    uv_async_t waker;
    uv_prepare_t before_wait;
    uv_timer_t alarm;
    uint64_t alarm_ms;   // what `alarm` is set for, on libuv's clock; 0 not set
    phi_time wait_until; // of the turn that runs; PHI_TIME_NEVER no limit
    phi_busy_poll busy_poll;
    bool may_wait;   // in the turn that runs
    bool is_awake;   // io.now is that of the turn that runs
    bool is_wakeful; // when it last waited it polled, with success
    atomic_bool is_stopped;
    phi_uv_box *box;              // NULL: no mail; owned by its set
    _Atomic(phi_uv_task *) tasks; // the latest first; NULL none
    pthread_t thread;             // from phi_uv_start to phi_uv_join

    phi_list listeners; // phi_listener.node
    phi_list streams;   // phi_stream.node: all that have memory
    phi_list due;       // phi_stream.due: phi_stream_step is called in this turn
    phi_list due_later; // the same, in the next turn
    phi_list lingering; // phi_stream.due: oldest first
    size_t lingering_count;
    phi_timer linger_timer;  // for the oldest that lingers
    phi_list silent;         // phi_stream.due: accepted, of TLS, not a byte came: oldest first
    phi_timer silence_timer; // for the oldest of those

    int spare_fd; // given up to accept and close one connection when there are no others; -1 none
    const char *name_servers;     // "127.0.0.1:53,..."; NULL: those of the system. Borrowed.
    phi_list shared_tls;          // of uv_tls_files.c
    phi_secure_room *secure_room; // owned; NULL until there was a stream of TLS
    uint32_t signal_count;
    phi_uv_signal_slot signals[PHI_UV_SIGNALS_MAX];
    size_t input_more;         // beyond PHI_UV_INPUT_BYTES, left in this turn
    uint32_t brought;          // reads of this turn that brought something
    const phi_stream *bringer; // who made the last of them
    const phi_stream *lone;    // who brought all in the turn before; both are only compared
    bool is_lone;              // in that one and the one before it
    bool is_crowd;             // more than a few brought something in that one
    uint8_t input[PHI_UV_INPUT_BYTES + PHI_UV_INPUT_MORE_BYTES];
};

typedef enum phi_stream_state {
    STREAM_NEW,     // accepted, or about to be dialled
    STREAM_DIALING, // on its way; `dial` says how far
    STREAM_SHAKING, // connected; in the handshake of TLS
    STREAM_OPEN,
    STREAM_BROKEN,    // nothing can be sent; what came before is still read
    STREAM_CLOSING,   // closed by its owner, who will be told in the next turn
    STREAM_LINGERING, // the owner is gone, the descriptor waits for the other end's FIN
    STREAM_GONE,      // has no descriptor; its memory waits for libuv
    STREAM_STATE_COUNT,
} phi_stream_state;

typedef enum phi_handle_state {
    HANDLE_NONE,    // not made, or given back by libuv
    HANDLE_ACTIVE,  // made
    HANDLE_CLOSING, // the callback of uv_close is to come
} phi_handle_state;

typedef struct phi_dial phi_dial;

// Kept small: a center holds tens of thousands. An idle one has nothing else. What each write
// needs comes first: its owner may ask the processor for that ahead.
struct phi_stream {
    phi_sm sm;
    phi_secure *secure;     // owned; NULL: it is not TLS
    int fd;                 // -1 none
    int16_t error;          // errno of the write that failed
    uint8_t share;          // what the next read may bring to a loop that sleeps, in KiB
    uint8_t armed : 2;      // what libuv watches: UV_READABLE, UV_WRITABLE
    uint8_t poll_state : 2; // phi_handle_state
    bool is_paused : 1;
    bool wants_write : 1; // a write was short: on_writable is owed
    phi_uv *uv;
    const phi_stream_events *events; // NULL while nobody is attached
    void *owner;
    uv_poll_t poll;
    phi_list node; // on uv->streams
    phi_list due;  // on uv->due, uv->due_later, uv->lingering or uv->silent
    union {
        phi_dial *dial;        // owned; NULL unless STREAM_DIALING
        phi_time linger_until; // STREAM_LINGERING
    };
    phi_sock_end peer;
    uint32_t linger_left; // bytes still read and thrown away after closing
};

struct phi_listener {
    uv_poll_t poll;
    phi_uv *uv;
    const phi_listener_events *events;
    void *owner;
    phi_list node;   // on uv->listeners
    phi_tls *tls;    // owned; NULL: what comes is not TLS
    phi_timer pause; // set while it does not accept, for want of descriptors or memory
    int fd;          // -1 closed
    char path[PHI_ENDPOINT_PATH_MAX + 1]; // of a Unix socket; ""
    dev_t path_device;                    // with path_inode: is the file still ours?
    ino_t path_inode;
};

static inline phi_uv *phi_uv_of(phi_io *io)
{
    return (phi_uv *)io;
}

// ---- uv.c

// To be called first in every callback of libuv: the clock is read once per turn.
void phi_uv_awake(phi_uv *uv);

// ---- uv_stream.c

// A stream without a descriptor. NULL: no memory.
phi_stream *phi_stream_new(phi_uv *uv);

// Gives it a connected or connecting socket, and libuv a handle for it. On failure (memory) the
// descriptor is still the caller's.
PHI_MUST_CHECK bool phi_stream_give_socket(phi_stream *s, int fd);

// Has libuv watch for exactly `events`.
void phi_stream_arm(phi_stream *s, int events);

// Closes the descriptor, and the handle if there is one; phi_dial_on_released or the end of the
// memory follows.
void phi_stream_close_socket(phi_stream *s);

void phi_stream_move(phi_stream *s, phi_stream_state state);
void phi_stream_due_later(phi_stream *s);

// Ends it without a word.
void phi_stream_drop(phi_stream *s);

// Ends it with its last event.
void phi_stream_end(phi_stream *s, ph_err reason, const char *why);

// A new stream is on its way, which `dial` (owned from here on) finds.
void phi_stream_dialing(phi_stream *s, phi_dial *dial, const phi_stream_events *events,
                        void *owner);

// The connection stands.
void phi_stream_opened(phi_stream *s);

// Nothing can be sent any more; what came before is still read.
void phi_stream_break(phi_stream *s, int error);

// Ends it with its last event, and lets the other end read what it was sent last.
void phi_stream_end_politely(phi_stream *s, ph_err reason, const char *why);

// What a stream on uv->due is there for.
void phi_stream_step(phi_stream *s);

void phi_streams_init(phi_uv *uv);

// A turn begins: how much may be read in it.
void phi_streams_begin_turn(phi_uv *uv);

// The table of states, for the test that walks it.
const phi_sm_state *phi_stream_states(void);

void phi_uv_stream_attach(phi_stream *s, const phi_stream_events *events, void *owner);
size_t phi_uv_stream_write(phi_stream *s, phi_bytes bytes);
void phi_uv_stream_pause(phi_stream *s, bool is_paused);
void phi_uv_stream_close(phi_stream *s);
void phi_uv_stream_peer(const phi_stream *s, char text[PHI_ADDRESS_TEXT_MAX]);
void phi_uv_stream_identity(const phi_stream *s, phi_identity *out);
ph_err phi_uv_stream_verify(const phi_stream *s, const phi_tls *tls, phi_diag *diag);
ph_err phi_uv_stream_release(phi_stream *s, phi_loose_stream **out);
ph_err phi_uv_stream_adopt(phi_io *io, phi_loose_stream *loose, phi_stream **out);
void phi_uv_loose_stream_close(phi_loose_stream *loose);

// ---- uv_tls.c. All but the first want a stream that has `secure`.

// Makes it one of TLS. False: no memory.
PHI_MUST_CHECK bool phi_secure_new(phi_stream *s, phi_tls *tls);
void phi_secure_free(phi_stream *s); // accepts one without
void phi_secures_init(phi_uv *uv);
void phi_secures_fini(phi_uv *uv);

// Of one that was accepted and is to be released.
phi_tls *phi_secure_take_tls(phi_stream *s);

// Of one that is to be dialled: what its other end must prove to be. As phi_tls_open.
PHI_MUST_CHECK ph_err phi_secure_open(phi_stream *s, const char *name, phi_diag *diag);

// The connection stands, and the handshake begins.
void phi_secure_start(phi_stream *s);
void phi_secure_on_ready(phi_stream *s, int events); // while STREAM_SHAKING
void phi_secure_step(phi_stream *s);                 // what it was due for
void phi_secure_on_bytes(phi_stream *s, phi_span in);
void phi_secure_on_writable(phi_stream *s);
size_t phi_secure_write(phi_stream *s, phi_bytes bytes);
bool phi_secure_is_over(const phi_stream *s); // the other end said so

// Says that nothing more will come. True when all has left; else phi_secure_go_on_saying, when the
// socket takes more. That is false when it never will.
bool phi_secure_say_goodbye(phi_stream *s);
bool phi_secure_go_on_saying(phi_stream *s, bool *is_said);

void phi_secure_identity(const phi_stream *s, phi_identity *out);
ph_err phi_secure_verify(const phi_stream *s, const phi_tls *tls, phi_diag *diag);

// ---- uv_tls_files.c

ph_err phi_uv_tls_load(phi_io *io, phi_tls_files *files, phi_diag *diag);
void phi_uv_tls_drop(phi_io *io, phi_tls_files *files);

// ---- uv_listener.c

ph_err phi_uv_listen(phi_io *io, const phi_listen_options *options,
                     const phi_listener_events *events, void *owner, phi_listener **out,
                     phi_diag *diag);
void phi_uv_listener_secure(phi_listener *l, phi_tls *tls);
void phi_uv_listener_address(const phi_listener *l, char text[PHI_ADDRESS_TEXT_MAX]);
void phi_uv_listener_close(phi_listener *l);

// ---- uv_dial.c

ph_err phi_uv_connect(phi_io *io, const phi_connect_options *options,
                      const phi_stream_events *events, void *owner, phi_stream **out,
                      phi_diag *diag);

// The stream's socket is ready, or failed.
void phi_dial_on_ready(phi_dial *dial);
// libuv gave the handle of the last attempt back.
void phi_dial_on_released(phi_dial *dial);
// There was no way: tells the owner.
void phi_dial_on_due(phi_dial *dial);
// Gives everything up; accepts NULL.
void phi_dial_free(phi_dial **dial);

// ---- uv_resolve.c

typedef struct phi_resolve phi_resolve;

// Tells the addresses, or (count 0) why there are none. Not from inside phi_resolve_new.
typedef void phi_resolve_fn(void *arg, const phi_sock_end *ends, size_t count, const char *why);

// PH_ENOMEM, PH_ESYSTEM
PHI_MUST_CHECK ph_err phi_resolve_new(phi_resolve **out, phi_uv *uv, const phi_endpoint *name,
                                      phi_resolve_fn *done, void *arg, phi_diag *diag);

// Also cancels. Accepts NULL. May be called from `done`.
void phi_resolve_free(phi_resolve **resolve);

// ---- uv_mailbox.c

// The loop is about to wait. False when there is mail to be read, and it must not.
bool phi_uv_box_sleep(phi_uv_box *box);

// There may be mail to be read.
bool phi_uv_box_has_mail(const phi_uv_box *box);

// The loop does not wait any more: reads all mail that is there.
void phi_uv_box_read(phi_uv_box *box);

// The loop is gone.
void phi_uv_box_close(phi_uv_box *box);

// ---- uv_thread.c

void phi_uv_run_tasks(phi_uv *uv);

// ---- uv_sock.c

typedef union phi_sock_storage {
    struct sockaddr any;
    struct sockaddr_storage space;
} phi_sock_storage;

// False for a family we do not speak.
bool phi_sock_end_of(const struct sockaddr *from, phi_sock_end *out);
socklen_t phi_sock_end_to(const phi_sock_end *end, phi_sock_storage *out); // not for Unix sockets
socklen_t phi_sock_path_to(const char *path, phi_sock_storage *out);
void phi_sock_end_format(const phi_sock_end *end, char text[PHI_ADDRESS_TEXT_MAX]);
bool phi_sock_end_is_local(const phi_sock_end *end);
// As IPv6, which an IPv4 address is mapped into; zero for a Unix socket.
void phi_sock_end_host(const phi_sock_end *end, uint8_t out[16]);

// A non-blocking stream socket that is closed on exec; -1 and errno.
int phi_sock_open(uint8_t kind);

// Small packets leave at once: the link gathers them itself, once per turn. The kernel does not
// keep much that it cannot send. And what goes to this machine is not paced.
void phi_sock_tune(int fd, const phi_sock_end *peer);

// What errno says, as text in a constant.
const char *phi_sock_error_text(int error);

#endif // PHI_IO_UV_PRIVATE_H
