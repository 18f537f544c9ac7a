// SPDX-License-Identifier: Apache-2.0
//
// app/answers.c - see answers.h.
//
// Design notes
// - Commands run beside the connection: a slow one holds up neither heartbeats nor other requests.
//   The program waits for both in one poll, as a program with a loop of its own embeds a client.
// - A reply that finds the send buffer full waits for room; while it does, it keeps its place, and
//   so the places bound what waits.

#include "app/answers.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "app/term.h"
#include "base/assert.h"

static bool on_finished(void *arg, const job *j);
static ph_err answer(answers *as, const job *j);

exit_status answers_start(answers *as, connection *s, const char *line, size_t most)
{
    *as = (answers){ .connection = s, .jobs = calloc(1, sizeof *as->jobs) };
    phi_diag diag = { { 0 } };
    ph_err rc = PH_ENOMEM;
    if (as->jobs != NULL) {
        rc = jobs_init(as->jobs, line, most, on_finished, as, &diag);
    }
    if (rc == PH_OK) {
        return STATUS_OK;
    }
    term_error("%s: %s", ph_err_text(rc), diag.text);
    free(as->jobs);
    as->jobs = NULL;
    return STATUS_FAILED;
}

void answers_end(answers *as)
{
    if (as->jobs != NULL) {
        jobs_fini(as->jobs);
        free(as->jobs);
        as->jobs = NULL;
    }
}

void answers_take(answers *as, ph_request_id request, const ph_incoming *incoming)
{
    phi_diag diag = { { 0 } };
    if (jobs_start(as->jobs, request, incoming, &diag) != PH_OK) {
        answers_fail(as, request, diag.text);
    }
}

void answers_cancel(answers *as, ph_request_id request)
{
    jobs_cancel(as->jobs, request);
}

void answers_on_writable(answers *as)
{
    jobs_retry(as->jobs);
}

bool answers_turn(answers *as)
{
    connection *s = as->connection;
    if (!connection_turn(s, 0)) {
        return false;
    }
    if (!s->is_up) {
        jobs_cancel_all(as->jobs); // their calls ended with the connection
    }
    struct pollfd fds[JOBS_POLL_MAX + 1];
    size_t count = jobs_poll_fill(as->jobs, fds);
    fds[count] = (struct pollfd){ .fd = ph_loop_fd(s->loop), .events = POLLIN };
    if (poll(fds, (nfds_t)count + 1, ph_loop_wait_ms(s->loop)) < 0) {
        PH_ASSERT(errno == EINTR); // a signal: whoever loops looks
        for (size_t i = 0; i < count; i++) {
            fds[i].revents = 0;
        }
    }
    jobs_poll_done(as->jobs, fds, count);
    return true;
}

void answers_fail(answers *as, ph_request_id request, const char *why)
{
    as->failed++;
    ph_err rc = ph_client_fail(as->connection->client, request, PH_FAILURE_RESPONDER_FAILED, why);
    if (rc != PH_OK) {
        term_detail("a failure could not be sent: %s", ph_err_text(rc));
    }
}

// False: no room for the answer now; on_writable offers it again.
static bool on_finished(void *arg, const job *j)
{
    answers *as = arg;
    ph_err rc = answer(as, j);
    if (rc == PH_EBUSY) {
        return false;
    }
    if (rc != PH_OK && rc != PH_ESTALE) { // stale: nobody waits for it any more
        term_note("an answer could not be sent: %s", ph_err_text(rc));
    }
    return true;
}

static ph_err answer(answers *as, const job *j)
{
    ph_client *client = as->connection->client;
    char why[JOB_ERROR_BYTES + 64];
    if (j->is_too_long) {
        snprintf(why, sizeof why, "the command printed more than %u bytes", JOB_OUTPUT_MAX);
    } else if (WIFEXITED(j->status) && WEXITSTATUS(j->status) == 0) {
        as->answered++;
        phi_bytes out = draft_view(&j->output);
        return ph_client_reply(client, j->request, out.data, out.size);
    } else if (j->error_size != 0) {
        snprintf(why, sizeof why, "%.*s", (int)j->error_size, j->error);
    } else if (WIFEXITED(j->status)) {
        snprintf(why, sizeof why, "the command exited with status %d", WEXITSTATUS(j->status));
    } else {
        snprintf(why, sizeof why, "the command was killed by signal %d", WTERMSIG(j->status));
    }
    as->failed++;
    if (j->request.turn != 0) { // an inquiry's: who asked may make something else of it
        term_note("the command gave no answer to an inquiry: %s", why);
    }
    return ph_client_fail(client, j->request, PH_FAILURE_RESPONDER_FAILED, why);
}
