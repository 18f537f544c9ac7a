// SPDX-License-Identifier: Apache-2.0
//
// posthouse/loop.h - what drives clients: run it, or embed it in a loop of your own.
//
//     own loop        ph_loop_run(loop);
//     embedded        poll ph_loop_fd for reading, for at most ph_loop_wait_ms; then
//                     ph_loop_turn(loop, 0)
//
// Threads    A loop and everything on it belong to the thread that drives it. Functions marked [any
//            thread] are the exception. There are no hidden threads. From inside a callback a loop
//            is neither driven nor freed: ph_loop_run, _turn and _free abort the program there.
// Ownership  `T **out` receives an object you then own.
// Errors     Functions that can fail return ph_err and write their outputs only on PH_OK.

#ifndef PH_LOOP_H
#define PH_LOOP_H

#include <stdint.h>

#include <posthouse/err.h>
#include <posthouse/export.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ph_loop ph_loop;

// Makes a loop with nothing on it.
//
// PH_EINVAL    out is NULL
// PH_ENOMEM    no memory
// PH_ESYSTEM   the system gave no descriptor for it
PH_API PH_MUST_CHECK ph_err ph_loop_new(ph_loop **out);

// Frees *loop and clears it; NULL is fine. Clients on it must have been freed before.
PH_API void ph_loop_free(ph_loop **loop);

// Turns until ph_loop_stop. What was queued by then is written before it returns.
PH_API void ph_loop_run(ph_loop *loop);

// One turn: waits at most `wait_ms` (0: not at all; -1: until something happens), then handles what
// came.
PH_API void ph_loop_turn(ph_loop *loop, int wait_ms);

// Makes ph_loop_run return, or a waiting ph_loop_turn. When neither runs, the next ph_loop_run
// makes one turn and returns. [any thread, signal handler]
PH_API void ph_loop_stop(ph_loop *loop);

// Before ph_loop_run and ph_loop_turn wait, they ask again and again, for at most so many
// microseconds, whether something came, and give way to others in between: as long as that pays,
// which is judged by the waits before. A round trip takes a fraction of the time then, because
// nobody has to be woken for it. It uses a processor that would be idle; a loop that waits for long
// does not poll at all. At first PH_BUSY_POLL_US; 0: they wait at once, for those whose processor
// time is rationed. A loop that is embedded never polls. The other end of it is `busy_poll` in the
// center's configuration.
//
// PH_EINVAL   loop is NULL, or more than PH_BUSY_POLL_US_MAX
#define PH_BUSY_POLL_US 50
#define PH_BUSY_POLL_US_MAX 1000
PH_API PH_MUST_CHECK ph_err ph_loop_set_busy_poll(ph_loop *loop, uint32_t us);

// A descriptor that is readable when there is something to do.
PH_API int ph_loop_fd(const ph_loop *loop);

// How long it may be left alone, in milliseconds; -1 for ever, 0 not at all. Ask again before every
// wait, and after every call on a client.
PH_API int ph_loop_wait_ms(const ph_loop *loop);

#ifdef __cplusplus
}
#endif

#endif // PH_LOOP_H
