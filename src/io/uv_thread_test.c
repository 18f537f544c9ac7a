// SPDX-License-Identifier: Apache-2.0

#include <signal.h>
#include <stdlib.h>

#include "io/uv.h"
#include "tests/harness/test.h"
#include "tests/io/uv_fixture.h"

#define TASKS 1000

typedef struct job {
    phi_uv_task task;
    phi_uv *uv;
    int number;
    int *next; // number that is to run
    int *wrong;
} job;

static void run_in_order(phi_uv_task *task)
{
    job *j = PHI_CONTAINER_OF(task, job, task);
    *j->wrong += !phi_uv_io(j->uv)->is_turning;
    *j->wrong += j->number != (*j->next)++;
    if (j->number == TASKS - 1) {
        phi_uv_stop(j->uv);
    }
}

// A worker that is told to count and then to stop must do so in this order; this test runs under
// TSan, too.
TEST(uv_thread, tasks_run_on_the_loop_in_order)
{
    phi_uv *uv = NULL;
    EXPECT_ERR(phi_uv_new(&uv, &phi_alloc_heap, NULL), PH_OK);
    EXPECT_ERR(phi_uv_start(uv, "test", NULL), PH_OK);
    int next = 0;
    int wrong = 0;
    static job jobs[TASKS];
    for (int i = 0; i < TASKS; i++) {
        jobs[i] = (job){ .task = { .run = run_in_order }, .uv = uv, .number = i, .next = &next };
        jobs[i].wrong = &wrong;
        phi_uv_hand(uv, &jobs[i].task);
    }
    phi_uv_join(uv);
    EXPECT_EQ(next, TASKS);
    EXPECT_EQ(wrong, 0);
    phi_uv_free(&uv);
}

static void again(phi_uv_task *task)
{
    job *j = PHI_CONTAINER_OF(task, job, task);
    if (++j->number == 3) {
        phi_uv_stop(j->uv);
    } else {
        phi_uv_hand(j->uv, task);
    }
}

// What counts the workers hands the same task over and over.
TEST(uv_thread, task_may_be_handed_over_again_while_it_runs)
{
    phi_uv *uv = NULL;
    EXPECT_ERR(phi_uv_new(&uv, &phi_alloc_heap, NULL), PH_OK);
    job j = { .task = { .run = again }, .uv = uv };
    phi_uv_hand(uv, &j.task);
    phi_uv_run(uv);
    EXPECT_EQ(j.number, 3);
    phi_uv_free(&uv);
}

static void look_at_mask(phi_uv_task *task)
{
    job *j = PHI_CONTAINER_OF(task, job, task);
    sigset_t blocked;
    *j->wrong = pthread_sigmask(SIG_SETMASK, NULL, &blocked) != 0 ||
                sigismember(&blocked, SIGTERM) != 1 || sigismember(&blocked, SIGHUP) != 1;
    phi_uv_stop(j->uv);
}

// A signal that a worker's thread takes would interrupt its system calls.
TEST(uv_thread, thread_takes_no_signals)
{
    phi_uv *uv = NULL;
    EXPECT_ERR(phi_uv_new(&uv, &phi_alloc_heap, NULL), PH_OK);
    sigset_t before;
    EXPECT_EQ(pthread_sigmask(SIG_SETMASK, NULL, &before), 0);
    int wrong = -1;
    job j = { .task = { .run = look_at_mask }, .uv = uv, .wrong = &wrong };
    EXPECT_ERR(phi_uv_start(uv, "test", NULL), PH_OK);
    phi_uv_hand(uv, &j.task);
    phi_uv_join(uv);
    EXPECT_EQ(wrong, 0);
    sigset_t after;
    EXPECT_EQ(pthread_sigmask(SIG_SETMASK, NULL, &after), 0);
    EXPECT_EQ(sigismember(&after, SIGTERM), sigismember(&before, SIGTERM));
    phi_uv_free(&uv);
}
