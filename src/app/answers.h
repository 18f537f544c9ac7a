// SPDX-License-Identifier: Apache-2.0
//
// app/answers.h - requests, or inquiries, that are answered by what a shell command prints.
//
// Life     answers_start -> (answers_take | answers_cancel | answers_turn)* -> answers_end
// Limits   as jobs.h
// Threads  none

#ifndef APP_ANSWERS_H
#define APP_ANSWERS_H

#include "app/connection.h"
#include "app/jobs.h"

typedef struct answers {
    connection *connection; // borrowed until answers_end
    jobs *jobs;             // owned; NULL: not started
    uint64_t answered;
    uint64_t failed;
} answers;

// At most `most` commands run at a time. Says why not.
exit_status answers_start(answers *as, connection *s, const char *line, size_t most);

// Kills what still runs. Accepts a zeroed one.
void answers_end(answers *as);

static inline bool answers_is_started(const answers *as)
{
    return as->jobs != NULL;
}

// The command runs for this one; when it cannot, the asker gets a failure that says why.
void answers_take(answers *as, ph_request_id request, const ph_incoming *incoming);

// Nobody waits for it any more.
void answers_cancel(answers *as, ph_request_id request);

// There is room in the send buffer again.
void answers_on_writable(answers *as);

// In place of connection_turn(s, -1): waits for whichever comes first, something for the client or
// something from a command.
bool answers_turn(answers *as);

// The asker gets a failure of this client's.
void answers_fail(answers *as, ph_request_id request, const char *why);

#endif // APP_ANSWERS_H
