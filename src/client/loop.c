// SPDX-License-Identifier: Apache-2.0
//
// client/loop.c - the public loop: io/uv.h behind a C API that says nothing of libuv.

#include "client/client.h"

#include <limits.h>

#include "base/assert.h"
#include "io/uv.h"
#include "link/ciphers.h"

#define LOOP_MAGIC UINT32_C(0x70684c31)
#define WAIT_FOREVER_S 3600u // a turn that found nothing is simply made again

PH_STATIC_ASSERT(PH_BUSY_POLL_US == PHI_UV_BUSY_POLL_US);
PH_STATIC_ASSERT(PH_BUSY_POLL_US_MAX == PHI_UV_BUSY_POLL_US_MAX);

struct ph_loop {
    uint32_t magic;
    phi_uv *uv;
    phi_ciphers ciphers; // of the links of all clients on it
};

static ph_loop *loop_of(ph_loop *loop)
{
    PH_ASSERT(loop != NULL);
    PH_ASSERT(loop->magic == LOOP_MAGIC);
    return loop;
}

ph_err ph_loop_new(ph_loop **out)
{
    if (out == NULL) {
        return PH_EINVAL;
    }
    ph_loop *loop = phi_take_zeroed(&phi_alloc_heap, 1, sizeof *loop);
    if (loop == NULL) {
        return PH_ENOMEM;
    }
    loop->magic = LOOP_MAGIC;
    ph_err rc = phi_uv_new(&loop->uv, &phi_alloc_heap, NULL);
    if (rc != PH_OK) {
        phi_give(&phi_alloc_heap, loop, sizeof *loop);
        return rc;
    }
    phi_uv_busy_poll(loop->uv, phi_us(PH_BUSY_POLL_US));
    phi_ciphers_init(&loop->ciphers, phi_uv_io(loop->uv));
    *out = loop;
    return PH_OK;
}

void ph_loop_free(ph_loop **loop)
{
    if (loop == NULL || *loop == NULL) {
        return;
    }
    ph_loop *l = loop_of(*loop);
    PH_ASSERT(!phi_uv_io(l->uv)->is_turning); // not from inside a callback
    phi_ciphers_fini(&l->ciphers);
    phi_uv_free(&l->uv);
    l->magic = 0;
    phi_give(&phi_alloc_heap, l, sizeof *l);
    *loop = NULL;
}

void ph_loop_run(ph_loop *loop)
{
    phi_uv_run(loop_of(loop)->uv);
}

void ph_loop_turn(ph_loop *loop, int wait_ms)
{
    phi_uv_turn(loop_of(loop)->uv,
                wait_ms < 0 ? phi_seconds(WAIT_FOREVER_S) : phi_ms((uint64_t)wait_ms));
}

void ph_loop_stop(ph_loop *loop)
{
    phi_uv_stop(loop_of(loop)->uv);
}

ph_err ph_loop_set_busy_poll(ph_loop *loop, uint32_t us)
{
    if (loop == NULL || us > PH_BUSY_POLL_US_MAX) {
        return PH_EINVAL;
    }
    phi_uv_busy_poll(loop_of(loop)->uv, phi_us(us));
    return PH_OK;
}

int ph_loop_fd(const ph_loop *loop)
{
    PH_ASSERT(loop != NULL);
    return phi_uv_fd(loop->uv);
}

int ph_loop_wait_ms(const ph_loop *loop)
{
    PH_ASSERT(loop != NULL);
    phi_time deadline = phi_uv_deadline(loop->uv);
    if (phi_time_is_never(deadline)) {
        return -1;
    }
    phi_io *io = phi_uv_io(loop->uv);
    phi_dur left = phi_time_diff(deadline, phi_io_now(io));
    // Rounded up: a poll that ends before the deadline would find nothing to do.
    uint64_t ms = left.ns / 1000000u + (left.ns % 1000000u != 0);
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

phi_io *phi_loop_io(ph_loop *loop)
{
    return phi_uv_io(loop_of(loop)->uv);
}

phi_cipher_group *phi_loop_cipher_group(ph_loop *loop)
{
    return &loop_of(loop)->ciphers.group;
}
