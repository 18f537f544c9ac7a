// SPDX-License-Identifier: Apache-2.0
//
// app/cmd_send.c - posthouse send: one event.

#include "app/command.h"

#include <string.h>

#include "app/body.h"
#include "app/connection.h"
#include "app/term.h"
#include "base/assert.h"

static exit_status run(const args *a);
static exit_status deliver(connection *s, const draft *body);

const command command_send = {
    .name = "send",
    .words = "TO METHOD [BODY | - | @FILE]",
    .summary = "send an event to one account, or to everybody",
    .example = "posthouse send orders refresh\n"
               "posthouse send all: notice 'maintenance at nine'\n"
               "posthouse send log line - <message.txt\n"
               "posthouse reply --account listener --events     in another terminal: a receiver\n"
               "posthouse send listener notice 'hello'          which prints this\n",
    .about =
        "An event has no answer: when nobody of that name is online, the center drops and counts\n"
        "it, and this command does not learn of it. Use call to know.\n",
    .words_min = 2,
    .words_max = 3,
    .run = run,
};

static exit_status run(const args *a)
{
    if (!connection_is_address(a->words[0])) {
        return STATUS_USAGE;
    }
    draft body;
    draft_init(&body);
    phi_diag diag = { { 0 } };
    if (body_read(a->word_count > 2 ? a->words[2] : NULL, &body, &diag) != PH_OK) {
        draft_fini(&body);
        term_error("send: %s", diag.text);
        return STATUS_USAGE;
    }
    connection s = { 0 };
    ph_client_options options = PH_CLIENT_OPTIONS_INIT;
    exit_status status = connection_open(&s, a, &options);
    if (status == STATUS_OK) {
        status = deliver(&s, &body);
    }
    connection_close(&s); // what was sent leaves before the bye
    draft_fini(&body);
    return status;
}

static exit_status deliver(connection *s, const draft *body)
{
    phi_bytes bytes = draft_view(body);
    ph_outgoing event = PH_OUTGOING_INIT;
    event.to = s->args->words[0];
    event.method = s->args->words[1];
    event.body = bytes.data;
    event.body_size = bytes.size;
    ph_err rc = ph_client_send(s->client, &event);
    if (rc != PH_OK) {
        char what[256];
        snprintf(what, sizeof what, "event to '%.100s'", event.to);
        const ph_view none = { "", 0 };
        return connection_explain(what, rc, 0, none, none);
    }
    term_detail("sent %zu bytes to %s", bytes.size, event.to);
    return STATUS_OK;
}
