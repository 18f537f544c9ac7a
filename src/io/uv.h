// SPDX-License-Identifier: Apache-2.0
//
// io/uv.h - the real world: io.h on libuv. Sockets are driven through uv_poll, so that bytes go
// straight between the kernel and one buffer per loop, and a stream costs no more than its
// descriptor and a small struct.
//
// Life     new -> (run | turn)* -> free
// Threads  one; phi_uv_wake, phi_uv_stop [any thread, signal handler] and phi_uv_hand [any thread]

#ifndef PHI_IO_UV_H
#define PHI_IO_UV_H

#include "io/io.h"
#include "io/mailbox.h"

// One receive buffer per loop. What one stream may bring in one turn is at most one filling of it:
// then the others have theirs, and the rest waits in the kernel, which tells again
// (level-triggered). 32 KiB of small messages are some 0.1 ms of work.
#define PHI_UV_INPUT_BYTES (32u * 1024u)
// So much more may come in a turn behind two in which the same stream alone had something: a turn
// costs less for each message the more there are in it, most of all one that writes to many. Where
// others have something, too, they would wait for it. Not of streams of TLS.
#define PHI_UV_INPUT_MORE_BYTES (96u * 1024u)
// And so much behind one in which some stream was alone: those that answer each other take turns
// here, and should have something to do meanwhile.
#define PHI_UV_INPUT_TURNS_BYTES (32u * 1024u)
// What the first read of a stream may bring to a loop that sleeps; see uv_stream.c.
#define PHI_UV_SHARE_KIB_MIN 4u
// Of one listener; half a millisecond of a turn, with what the owner does for each.
#define PHI_UV_ACCEPTS_PER_TURN 16u
// Connections that were closed here and wait for the other end to close, so that it still reads
// what it was sent last: how many in a loop (descriptors are worth more than a stranger's last
// bytes), and for how long.
#define PHI_UV_LINGERING_MAX 1024u
#define PHI_UV_LINGER_MS 2000u

// Of TLS: what is enciphered at once, and so what may be kept with a stream that its other end does
// not read, with what is said beside it.
#define PHI_UV_TLS_WRITE_BYTES (64u * 1024u)
#define PHI_UV_TLS_PENDING_BYTES_MAX (256u * 1024u)
// What a stranger may send before it has proved who it is: a client hello, certificates, and a
// signature; and in one turn.
#define PHI_UV_TLS_SHAKE_BYTES_MAX (96u * 1024u)
#define PHI_UV_TLS_SHAKE_BYTES_PER_TURN (32u * 1024u)
// Steps of handshakes in a turn, each of which may take a millisecond: a thousand clients that come
// back at once must not stand still those that are here.
#define PHI_UV_TLS_SHAKES_PER_TURN 8u
// New keys, or tickets, in one reading of what came.
#define PHI_UV_TLS_RENEWALS_MAX 16u

typedef struct phi_uv phi_uv;
typedef struct phi_uv_mailboxes phi_uv_mailboxes;

// Something to be done on a loop. Embedded in its owner.
typedef struct phi_uv_task {
    struct phi_uv_task *next; // of those that wait
    void (*run)(struct phi_uv_task *task);
} phi_uv_task;

// PH_ENOMEM, PH_ESYSTEM   the loop could not be made
PHI_MUST_CHECK ph_err phi_uv_new(phi_uv **out, const phi_alloc *alloc, phi_diag *diag);

// Closes what is still open, without events, and frees the loop. Must not be called from one of its
// callbacks.
void phi_uv_free(phi_uv **uv);

phi_io *phi_uv_io(phi_uv *uv);

// One turn: waits for at most `wait` (zero: not at all), then handles what came.
void phi_uv_turn(phi_uv *uv, phi_dur wait);

// Turns until phi_uv_stop. What was queued is written before it returns.
void phi_uv_run(phi_uv *uv);

// Ends phi_uv_run, or a waiting phi_uv_turn. When neither runs, the next phi_uv_run makes one turn
// without waiting and returns. [any thread, signal handler]
void phi_uv_stop(phi_uv *uv);

// Ends a wait. [any thread, signal handler]
void phi_uv_wake(phi_uv *uv);

// Before the loop waits in the kernel it asks again and again, for at most so long, whether
// something came, and lets others have the processor in between: as long as that pays
// (io/busy_poll.h). At most PHI_UV_BUSY_POLL_US_MAX; zero, as at first: it waits at once.
#define PHI_UV_BUSY_POLL_US_MAX 1000u
// What a center and its clients do unless told otherwise: about what two sleeping processes take
// until one has woken the other and got its answer, so that one that begins to poll among others
// that sleep finds that it pays.
#define PHI_UV_BUSY_POLL_US 50u
void phi_uv_busy_poll(phi_uv *uv, phi_dur bound);

// For somebody else's loop: poll this descriptor for reading, at most so long, then call
// phi_uv_turn with zero. Read anew before every poll. The deadline is io->now or earlier after
// phi_io_hurry.
int phi_uv_fd(const phi_uv *uv);
phi_time phi_uv_deadline(const phi_uv *uv);

// Signals, for programs: `fire` runs on the loop. Up to 8. PH_ELIMIT beyond.
PHI_MUST_CHECK ph_err phi_uv_signal(phi_uv *uv, int signum, void (*fire)(void *arg, int signum),
                                    void *arg);
// Before a loop that took it goes: one that comes then waits, for as long as the program is there,
// and does not end it. Of the thread that calls, which is the only one that takes signals.
void phi_uv_signal_hold(int signum);

// ---- threads

// Turns the loop in a thread of its own, as phi_uv_run does; signals are left to other threads.
// Until phi_uv_join returns, the loop and what stands on it are that thread's. `name`, at most 15
// bytes, is what system tools show. Ends with phi_uv_stop.
//
// PH_ESYSTEM   there can be no more threads
PHI_MUST_CHECK ph_err phi_uv_start(phi_uv *uv, const char *name, phi_diag *diag);
void phi_uv_join(phi_uv *uv);

// Has the task run on the loop, in step 3 of its next turn; several in the order in which they were
// handed over. It is the loop's until it runs. What has not run when the loop is freed never does.
// [any thread]
void phi_uv_hand(phi_uv *uv, phi_uv_task *task);

// ---- mail between loops, each in a thread of its own

// A set of mailboxes. Its life encloses that of the loops that use it.
//
// PH_ENOMEM, PH_ESYSTEM   not made
PHI_MUST_CHECK ph_err phi_uv_mailboxes_new(phi_uv_mailboxes **out, uint32_t count, size_t bytes_max,
                                           phi_diag *diag);

// Throws away what nobody has read. After the loops were freed. Accepts NULL.
void phi_uv_mailboxes_free(phi_uv_mailboxes **set);

// The mailbox of that number becomes this loop's, until phi_uv_free: from then on what comes for it
// is thrown away. Each number once, each loop once. What was posted to it before waits in it. By
// the thread that turns the loop, or before that thread runs. Not for a loop that is embedded in
// another (phi_uv_fd).
//
// PH_ENOMEM, PH_ESYSTEM   the loop cannot watch it
PHI_MUST_CHECK ph_err phi_uv_mailbox(phi_uv_mailboxes *set, uint32_t index, phi_uv *uv,
                                     phi_mailbox **out, phi_diag *diag);

#endif // PHI_IO_UV_H
