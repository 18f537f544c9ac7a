// SPDX-License-Identifier: Apache-2.0
//
// app/jobs.h - shell commands that run beside the loop: each gets bytes on standard input and gives
// bytes on standard output. Nothing here waits.
//
// Life     jobs_init -> (jobs_start | jobs_cancel | jobs_poll_fill, poll, jobs_poll_done)* ->
//          jobs_fini
// Limits   JOBS_MAX at a time; JOB_OUTPUT_MAX bytes of output, beyond it the command is killed
// Threads  none; one `jobs` in a program (SIGCHLD is its)

#ifndef APP_JOBS_H
#define APP_JOBS_H

#include <poll.h>
#include <sys/types.h>

#include <posthouse/posthouse.h>

#include "app/draft.h"
#include "base/diag.h"

#define JOBS_MAX 256u
#define JOB_OUTPUT_MAX (16u * 1024u * 1024u) // as a center's message_max
#define JOB_ERROR_BYTES 256                  // the last line of standard error that is kept
#define JOBS_POLL_MAX (3 * JOBS_MAX + 1)

typedef struct job {
    ph_request_id request;
    pid_t pid; // 0: this place is free
    int in;    // the command's standard input; -1 once all was written, or it was closed
    int out;
    int err;
    draft input;
    size_t written; // of input
    draft output;
    char error[JOB_ERROR_BYTES]; // the last line it wrote to standard error
    size_t error_size;
    bool error_ended; // a newline came: the next byte begins a new line
    bool is_cancelled;
    bool is_too_long;
    bool is_over; // reaped; waits for `finished` to take it
    int status;   // as from waitpid
} job;

typedef struct jobs {
    const char *command; // borrowed; for the shell
    size_t most;         // at a time
    size_t running;
    // A command ended: look at status and output. False: cannot be taken now, ask again with
    // jobs_retry.
    bool (*finished)(void *arg, const job *j);
    void *arg;
    int wake[2]; // SIGCHLD writes, poll reads
    job list[JOBS_MAX];
} jobs;

// PH_ESYSTEM   no pipe; *diag says why
PHI_MUST_CHECK ph_err jobs_init(jobs *js, const char *command, size_t most,
                                bool (*finished)(void *arg, const job *j), void *arg,
                                phi_diag *diag);

// Kills what still runs.
void jobs_fini(jobs *js);

// PH_ELIMIT    `most` are running
// PH_ESYSTEM   it could not be started; *diag says why
PHI_MUST_CHECK ph_err jobs_start(jobs *js, ph_request_id request, const ph_incoming *incoming,
                                 phi_diag *diag);

// Kills the command for that request, if there is one.
void jobs_cancel(jobs *js, ph_request_id request);

// Kills them all: nobody waits for their answers any more.
void jobs_cancel_all(jobs *js);

// What poll is to wait for; returns how many of fds were filled.
size_t jobs_poll_fill(const jobs *js, struct pollfd fds[JOBS_POLL_MAX]);

// After poll: reads, writes, reaps.
void jobs_poll_done(jobs *js, const struct pollfd *fds, size_t count);

// Offers again what `finished` did not take.
void jobs_retry(jobs *js);

#endif // APP_JOBS_H
