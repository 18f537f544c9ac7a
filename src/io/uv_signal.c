// SPDX-License-Identifier: Apache-2.0
//
// io/uv_signal.c - signals, delivered on the loop.

#include <signal.h>

#include "base/assert.h"
#include "io/uv_private.h"

static void on_signal(uv_signal_t *handle, int signum);

ph_err phi_uv_signal(phi_uv *uv, int signum, void (*fire)(void *arg, int signum), void *arg)
{
    PH_ASSERT(fire != NULL);
    if (uv->signal_count == PHI_UV_SIGNALS_MAX) {
        return PH_ELIMIT;
    }
    phi_uv_signal_slot *slot = &uv->signals[uv->signal_count];
    slot->uv = uv;
    slot->fire = fire;
    slot->arg = arg;
    if (uv_signal_init(&uv->loop, &slot->handle) != 0) {
        return PH_ESYSTEM; // no descriptors for the pipe that libuv tells itself through
    }
    uv->signal_count++; // from here on the handle is closed with the loop
    return uv_signal_start(&slot->handle, on_signal, signum) == 0 ? PH_OK : PH_ESYSTEM;
}

void phi_uv_signal_hold(int signum)
{
    sigset_t held;
    int failed = sigemptyset(&held);
    PH_ASSERT(failed == 0);
    failed = sigaddset(&held, signum);
    PH_ASSERT(failed == 0);
    failed = pthread_sigmask(SIG_BLOCK, &held, NULL);
    PH_ASSERT(failed == 0);
}

static void on_signal(uv_signal_t *handle, int signum)
{
    phi_uv_signal_slot *slot = PHI_CONTAINER_OF(handle, phi_uv_signal_slot, handle);
    phi_uv_awake(slot->uv);
    slot->fire(slot->arg, signum);
}
