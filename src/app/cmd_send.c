// SPDX-License-Identifier: Apache-2.0
//
// app/cmd_send.c - posthouse send: one event.

#include "app/command.h"

#include <string.h>

#include "app/body.h"
#include "app/connection.h"
#include "app/receipt.h"
#include "app/term.h"
#include "base/assert.h"

static exit_status run(const args *a);
static exit_status deliver(connection *s, const draft *body);

const command command_send = {
    .name = "send",
    .words = "TO METHOD [BODY | - | @FILE]",
    .summary = "send an event to an account, a service, or everybody",
    .example = "posthouse send orders refresh\n"
               "posthouse send service:orders refresh             one instance of a service\n"
               "posthouse send all:orders refresh                 every instance\n"
               "posthouse send all: notice 'maintenance at nine'   everybody\n"
               "posthouse send log line - <message.txt\n"
               "posthouse reply --account listener --events     in another terminal: a receiver\n"
               "posthouse send listener notice 'hello'          which prints this\n",
    .about =
        "An event has no answer. The center says for how many receivers it was queued\n"
        "(--verbose, --output json), or why for none: 6 nobody of that name, 1 any other. What\n"
        "they make of it only a call can tell.\n",
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
    if (!body_take("send", a, 2, &body)) {
        return STATUS_USAGE;
    }
    connection s = { 0 };
    ph_client_options options = PH_CLIENT_OPTIONS_INIT;
    exit_status status = connection_open(&s, a, &options);
    if (status == STATUS_OK) {
        status = deliver(&s, &body);
    }
    connection_close(&s);
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
    event.timeout_ms = (uint32_t)args_number(s->args, "timeout");
    char what[256];
    snprintf(what, sizeof what, "event to '%.100s'", event.to);
    bool is_for_some = strncmp(event.to, "all:", 4) == 0 || strncmp(event.to, "topic:", 6) == 0;
    return receipt_send(s, &event, what, /* needs_one= */ !is_for_some);
}
