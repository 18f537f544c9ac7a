// SPDX-License-Identifier: Apache-2.0
//
// io/uv.c - the loop: its life, its turns, the clock, entropy.
//
// Design notes
//
// - A turn is one uv_run, and then what libuv knows nothing of: streams that are due, timers,
//   hooks. Everything that a turn queues is written by its hooks, so before anything waits again.
// - Timers live in phi_timers. libuv has one timer, which is set to the next of them just before it
//   waits; setting and clearing ours costs no heap operation and no system call.
// - libuv waits in whole milliseconds and the alarm is rounded up: a timer may be late by that, and
//   never early, because phi_timers compares with io->now.
// - Polling busily is a run of turns of libuv that do not wait, inside one of ours. A processor is
//   offered to others between them: with more processes than processors, the one that is waited for
//   may be among those. Whether to poll is decided by busy_poll.h; a loop that finds work each time
//   it looks neither polls nor sleeps, and pays for none of this.
// - Events that must not come from inside the call that caused them go through uv->due_later: it
//   becomes uv->due when the next turn begins, which then does not wait.

#include "io/uv.h"

#include <errno.h>
#include <sched.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "io/uv_private.h"

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

static ph_err start_handles(phi_uv *uv, phi_diag *diag);
static void run_turn(phi_uv *uv);
static void wait_busily(phi_uv *uv);
static bool poll_busily(phi_uv *uv);
static void wait_in_kernel(phi_uv *uv);
static bool has_work(const phi_uv *uv);
static void run_due(phi_uv *uv);
static void close_handle(uv_handle_t *handle, void *arg);
static void on_before_wait(uv_prepare_t *handle);
static void on_alarm(uv_timer_t *handle);
static void on_waker(uv_async_t *handle);
static void op_entropy(phi_io *io, uint8_t *bytes, size_t size);
static uint64_t op_wall_ms(phi_io *io);
static void op_read_clock(phi_io *io);
static void op_stand_still(phi_io *io, phi_dur time);

static const phi_io_ops uv_ops = {
    .listen = phi_uv_listen,
    .listener_secure = phi_uv_listener_secure,
    .listener_address = phi_uv_listener_address,
    .listener_close = phi_uv_listener_close,
    .connect = phi_uv_connect,
    .stream_attach = phi_uv_stream_attach,
    .stream_write = phi_uv_stream_write,
    .stream_pause = phi_uv_stream_pause,
    .stream_close = phi_uv_stream_close,
    .stream_peer = phi_uv_stream_peer,
    .stream_identity = phi_uv_stream_identity,
    .stream_verify = phi_uv_stream_verify,
    .stream_release = phi_uv_stream_release,
    .stream_adopt = phi_uv_stream_adopt,
    .loose_stream_close = phi_uv_loose_stream_close,
    .tls_load = phi_uv_tls_load,
    .tls_drop = phi_uv_tls_drop,
    .entropy = op_entropy,
    .wall_ms = op_wall_ms,
    .read_clock = op_read_clock,
    .stand_still = op_stand_still,
};

// ---- life

ph_err phi_uv_new(phi_uv **out, const phi_alloc *alloc, phi_diag *diag)
{
    PH_ASSERT(out != NULL);
    PH_ASSERT(alloc != NULL);

    phi_uv *uv = (phi_uv *)phi_take(alloc, sizeof *uv);
    if (uv == NULL) {
        return phi_diag_add(diag, PH_ENOMEM, "make an event loop");
    }
    memset(uv, 0, offsetof(phi_uv, input)); // the buffer's pages stay untouched until they are used
    phi_io_init(&uv->io, &uv_ops, alloc, (phi_time){ uv_hrtime() });
    phi_list_init(&uv->listeners);
    phi_list_init(&uv->streams);
    phi_list_init(&uv->due);
    phi_list_init(&uv->due_later);
    phi_list_init(&uv->lingering);
    phi_list_init(&uv->shared_tls);
    phi_streams_init(uv);
    phi_secures_init(uv);
    uv->spare_fd = -1;
    uv->wait_until = PHI_TIME_NEVER;
    atomic_init(&uv->is_stopped, false);
    atomic_init(&uv->tasks, NULL);

    ph_err err = start_handles(uv, diag);
    if (err != PH_OK) {
        phi_give(alloc, uv, sizeof *uv);
        return phi_diag_add(diag, err, "make an event loop");
    }
    *out = uv;
    return PH_OK;
}

static ph_err start_handles(phi_uv *uv, phi_diag *diag)
{
    int rc = uv_loop_init(&uv->loop);
    if (rc != 0) {
        return phi_diag_add(diag, rc == UV_ENOMEM ? PH_ENOMEM : PH_ESYSTEM, "%s", uv_strerror(rc));
    }
    rc = uv_async_init(&uv->loop, &uv->waker, on_waker);
    if (rc != 0) {
        int left = uv_loop_close(&uv->loop);
        PH_ASSERT(left == 0);
        return phi_diag_add(diag, rc == UV_ENOMEM ? PH_ENOMEM : PH_ESYSTEM, "%s", uv_strerror(rc));
    }
    // These three cannot fail.
    (void)uv_timer_init(&uv->loop, &uv->alarm);
    (void)uv_prepare_init(&uv->loop, &uv->before_wait);
    (void)uv_prepare_start(&uv->before_wait, on_before_wait);
    return PH_OK;
}

void phi_uv_free(phi_uv **uv_ptr)
{
    phi_uv *uv = *uv_ptr;
    if (uv == NULL) {
        return;
    }
    PH_ASSERT(!uv->io.is_turning);
    if (uv->box != NULL) {
        phi_uv_box_close(uv->box);
    }
    for (phi_list *n = uv->streams.next; n != &uv->streams;) {
        phi_stream *s = PHI_CONTAINER_OF(n, phi_stream, node);
        n = n->next; // a stream without a handle is freed at once
        phi_stream_drop(s);
    }
    while (!phi_list_is_empty(&uv->listeners)) {
        phi_uv_listener_close(PHI_CONTAINER_OF(uv->listeners.next, phi_listener, node));
    }
    phi_timer_clear(&uv->io.timers, &uv->linger_timer);
    uv_walk(&uv->loop, close_handle, NULL);
    (void)uv_run(&uv->loop, UV_RUN_DEFAULT); // the callbacks of uv_close free what is left
    int left = uv_loop_close(&uv->loop);
    PH_ASSERT(left == 0);
    PH_ASSERT(phi_list_is_empty(&uv->streams));
    if (uv->spare_fd >= 0) {
        close(uv->spare_fd);
    }
    PH_ASSERT(phi_list_is_empty(&uv->shared_tls)); // who loaded credentials gives them back
    phi_secures_fini(uv);
    const phi_alloc *alloc = uv->io.alloc;
    phi_give(alloc, uv, sizeof *uv);
    *uv_ptr = NULL;
}

static void close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL); // streams, listeners and lookups have closed theirs by themselves
    }
}

phi_io *phi_uv_io(phi_uv *uv)
{
    return &uv->io;
}

// ---- turns

void phi_uv_turn(phi_uv *uv, phi_dur wait)
{
    uv->may_wait = wait.ns != 0;
    uv->wait_until = PHI_TIME_NEVER;
    if (uv->may_wait && wait.ns != UINT64_MAX) {
        uv->wait_until = phi_time_add((phi_time){ uv_hrtime() }, wait);
    }
    run_turn(uv);
}

void phi_uv_run(phi_uv *uv)
{
    do {
        uv->may_wait = !atomic_load(&uv->is_stopped);
        uv->wait_until = PHI_TIME_NEVER;
        run_turn(uv);
    } while (!atomic_exchange(&uv->is_stopped, false));
}

void phi_uv_stop(phi_uv *uv)
{
    atomic_store(&uv->is_stopped, true);
    phi_uv_wake(uv);
}

void phi_uv_wake(phi_uv *uv)
{
    int rc = uv_async_send(&uv->waker);
    PH_ASSERT(rc == 0);
}

static void run_turn(phi_uv *uv)
{
    PH_ASSERT(!uv->io.is_turning); // no turn from inside a callback
    PH_ASSERT(phi_list_is_empty(&uv->due));

    phi_streams_begin_turn(uv);
    for (phi_list *node; (node = phi_list_take(&uv->due_later)) != NULL;) {
        phi_list_append(&uv->due, node);
    }
    if (uv->io.is_hurried || !phi_list_is_empty(&uv->due)) {
        uv->may_wait = false;
    }
    uv->is_awake = false;
    uv->io.is_turning = true;
    if (uv->may_wait && uv->busy_poll.bound.ns != 0) {
        wait_busily(uv);
    } else {
        wait_in_kernel(uv);
    }
    phi_uv_awake(uv);

    if (uv->box != NULL) {
        phi_uv_box_read(uv->box);
    }
    if (atomic_load_explicit(&uv->tasks, memory_order_relaxed) != NULL) {
        phi_uv_run_tasks(uv);
    }
    run_due(uv);
    phi_timers_run(&uv->io.timers, uv->io.now);
    phi_io_run_hooks(&uv->io);
    uv->io.is_turning = false;
}

// Polls, sleeps or both, and learns from it.
static void wait_busily(phi_uv *uv)
{
    uv->is_wakeful = phi_busy_poll_wants(&uv->busy_poll);
    if (uv->is_wakeful) {
        if (!poll_busily(uv)) {
            uv->is_wakeful = false;
            wait_in_kernel(uv);
        }
        return;
    }
    phi_time begun = { uv_hrtime() };
    wait_in_kernel(uv);
    phi_uv_awake(uv);
    phi_busy_poll_slept(&uv->busy_poll, phi_time_diff(uv->io.now, begun));
}

// False when nothing came for as long as this may take. What comes when that is over has not paid,
// though it was found: others had the processor meanwhile, and needed it.
static bool poll_busily(phi_uv *uv)
{
    uv->may_wait = false;
    (void)uv_run(&uv->loop, UV_RUN_NOWAIT);
    if (has_work(uv)) {
        return true;
    }
    phi_time begun = { uv_hrtime() };
    phi_time until = phi_time_add(begun, uv->busy_poll.bound);
    until = phi_time_min(until, uv->wait_until);
    until = phi_time_min(until, phi_timers_next(&uv->io.timers));
    for (;;) {
        (void)sched_yield();
        if (!has_work(uv)) { // mail is seen without a system call
            (void)uv_run(&uv->loop, UV_RUN_NOWAIT);
        }
        if (has_work(uv)) {
            phi_uv_awake(uv);
            phi_busy_poll_polled(&uv->busy_poll, phi_time_diff(uv->io.now, begun), true);
            return true;
        }
        phi_time now = { uv_hrtime() };
        if (!phi_time_before(now, until)) {
            phi_busy_poll_polled(&uv->busy_poll, phi_time_diff(now, begun), false);
            uv->may_wait = true;
            return false;
        }
    }
}

static void wait_in_kernel(phi_uv *uv)
{
    if (uv->box != NULL && uv->may_wait) {
        uv->may_wait = phi_uv_box_sleep(uv->box);
    }
    (void)uv_run(&uv->loop, uv->may_wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
}

static bool has_work(const phi_uv *uv)
{
    return uv->is_awake || uv->io.is_hurried || !phi_list_is_empty(&uv->due_later) ||
           (uv->box != NULL && phi_uv_box_has_mail(uv->box));
}

static void run_due(phi_uv *uv)
{
    for (phi_list *node; (node = phi_list_take(&uv->due)) != NULL;) {
        phi_stream_step(PHI_CONTAINER_OF(node, phi_stream, due));
    }
}

void phi_uv_awake(phi_uv *uv)
{
    if (!uv->is_awake) {
        uv->is_awake = true;
        uv->io.now.ns = uv_hrtime();
    }
}

// Runs inside uv_run, after libuv has read its own clock and before it waits.
static void on_before_wait(uv_prepare_t *handle)
{
    phi_uv *uv = PHI_CONTAINER_OF(handle, phi_uv, before_wait);
    if (!uv->may_wait) {
        return;
    }
    phi_time until = phi_time_min(uv->wait_until, phi_timers_next(&uv->io.timers));
    if (phi_time_is_never(until)) {
        uv->alarm_ms = 0;
        (void)uv_timer_stop(&uv->alarm);
        return;
    }
    uint64_t ms = until.ns / NS_PER_MS + (until.ns % NS_PER_MS != 0);
    if (ms != uv->alarm_ms) {
        uint64_t now_ms = uv_now(&uv->loop);
        (void)uv_timer_start(&uv->alarm, on_alarm, ms > now_ms ? ms - now_ms : 0, 0);
        uv->alarm_ms = ms;
    }
}

static void on_alarm(uv_timer_t *handle)
{
    phi_uv *uv = PHI_CONTAINER_OF(handle, phi_uv, alarm);
    uv->alarm_ms = 0; // the wait is over; the timers run when uv_run has returned
}

static void on_waker(uv_async_t *handle)
{
    phi_uv_awake(PHI_CONTAINER_OF(handle, phi_uv, waker)); // the wait is over, and that was all
}

void phi_uv_busy_poll(phi_uv *uv, phi_dur bound)
{
    PH_ASSERT(bound.ns <= phi_us(PHI_UV_BUSY_POLL_US_MAX).ns);
    phi_busy_poll_init(&uv->busy_poll, bound);
    uv->is_wakeful = false;
}

// ---- embedding

int phi_uv_fd(const phi_uv *uv)
{
    PH_ASSERT(uv->box == NULL); // nobody would be told that the other loop waits
    return uv_backend_fd(&uv->loop);
}

phi_time phi_uv_deadline(const phi_uv *uv)
{
    // libuv tells the kernel what to watch, and gives handles back, in uv_run only; with either
    // outstanding its own timeout is 0.
    if (uv->io.is_hurried || !phi_list_is_empty(&uv->due_later) ||
        uv_backend_timeout(&uv->loop) == 0) {
        return uv->io.now;
    }
    return phi_timers_next(&uv->io.timers);
}

// ---- operations that are nobody else's

static void op_entropy(phi_io *io, uint8_t *bytes, size_t size)
{
    (void)io;
    for (size_t done = 0; done < size;) {
        ssize_t n = getrandom(bytes + done, size - done, 0);
        if (n > 0) {
            done += (size_t)n;
        } else {
            // Keys must not be guessable: without entropy there is no going on.
            PH_ASSERT(errno == EINTR);
        }
    }
}

static uint64_t op_wall_ms(phi_io *io)
{
    (void)io;
    struct timespec now;
    int rc = clock_gettime(CLOCK_REALTIME, &now);
    PH_ASSERT(rc == 0);
    PH_ASSERT(now.tv_sec >= 0);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / NS_PER_MS;
}

static void op_read_clock(phi_io *io)
{
    PH_ASSERT(!io->is_turning);
    io->now.ns = uv_hrtime();
}

static void op_stand_still(phi_io *io, phi_dur time)
{
    PH_ASSERT(phi_uv_of(io)->box != NULL);
    struct timespec left = { .tv_sec = (time_t)(time.ns / NS_PER_S),
                             .tv_nsec = (long)(time.ns % NS_PER_S) };
    while (nanosleep(&left, &left) != 0) {
        PH_ASSERT(errno == EINTR);
    }
}
