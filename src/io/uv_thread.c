// SPDX-License-Identifier: Apache-2.0
//
// io/uv_thread.c - threads that turn loops, and tasks that are handed from one to another.

#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "base/assert.h"
#include "io/uv_private.h"

static void *thread_run(void *arg);

ph_err phi_uv_start(phi_uv *uv, const char *name, phi_diag *diag)
{
    // The new thread has the mask of who makes it: so there is no moment without it.
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    int masked = pthread_sigmask(SIG_SETMASK, &all, &before);
    PH_ASSERT(masked == 0);
    int error = pthread_create(&uv->thread, NULL, thread_run, uv);
    masked = pthread_sigmask(SIG_SETMASK, &before, NULL);
    PH_ASSERT(masked == 0);
    if (error != 0) {
        return phi_diag_add(diag, PH_ESYSTEM, "make thread '%s': %s", name,
                            phi_sock_error_text(error));
    }
    (void)pthread_setname_np(uv->thread, name); // it is for people
    return PH_OK;
}

static void *thread_run(void *arg)
{
    phi_uv_run((phi_uv *)arg);
    return NULL;
}

void phi_uv_join(phi_uv *uv)
{
    int error = pthread_join(uv->thread, NULL);
    PH_ASSERT(error == 0);
}

void phi_uv_hand(phi_uv *uv, phi_uv_task *task)
{
    PH_ASSERT(task->run != NULL);
    task->next = atomic_load_explicit(&uv->tasks, memory_order_relaxed);
    // Whoever takes it sees what its owner wrote before.
    while (!atomic_compare_exchange_weak_explicit(&uv->tasks, &task->next, task,
                                                  memory_order_release, memory_order_relaxed)) {
    }
    phi_uv_wake(uv);
}

void phi_uv_run_tasks(phi_uv *uv)
{
    phi_uv_task *latest = atomic_exchange_explicit(&uv->tasks, NULL, memory_order_acquire);
    phi_uv_task *first = NULL;
    while (latest != NULL) {
        phi_uv_task *next = latest->next;
        latest->next = first;
        first = latest;
        latest = next;
    }
    while (first != NULL) {
        phi_uv_task *task = first;
        first = task->next; // it may be handed over again, or be gone, when it has run
        task->run(task);
    }
}
