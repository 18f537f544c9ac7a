// SPDX-License-Identifier: Apache-2.0
//
// app/cmd_publish.c - posthouse publish: one event for everybody who subscribed to its topic.

#include "app/command.h"

#include <stdio.h>

#include "app/body.h"
#include "app/connection.h"
#include "app/event.h"
#include "app/receipt.h"
#include "app/term.h"
#include "base/assert.h"

static exit_status run(const args *a);
static exit_status publish(connection *s, const draft *body);

static const option options[] = {
    { .name = "method",
      .letter = 'm',
      .kind = OPTION_TEXT,
      .argument = "NAME",
      .help = "say what kind of event it is" },
};

const command command_publish = {
    .name = "publish",
    .words = "TOPIC [BODY | - | @FILE]",
    .summary = "send an event to everybody who subscribed to its topic",
    .example = "posthouse publish orders.eu.created 'A-17'\n"
               "posthouse publish stock.changed @stock.json --method snapshot\n"
               "posthouse subscribe 'orders.>'          in another terminal: a subscriber\n",
    .about =
        "A topic is 1 to 16 words with dots between them; patterns are for subscribe. The center\n"
        "says for how many subscribers it was queued (--verbose, --output json). Nobody there is\n"
        "no failure; a subscriber that had no room for it is: 1.\n",
    .options = options,
    .option_count = PHI_COUNT_OF(options),
    .words_min = 1,
    .words_max = 2,
    .run = run,
};

static exit_status run(const args *a)
{
    if (!ph_topic_is_valid(a->words[0])) {
        term_error("'%s' is no topic", a->words[0]);
        term_hint("1 to 16 words with dots between them, at most 240 bytes, as orders.eu.created; "
                  "* and > are for subscribe");
        return STATUS_USAGE;
    }
    event_note_scheme(a->words[0]);
    draft body;
    if (!body_take("publish", a, 1, &body)) {
        return STATUS_USAGE;
    }
    connection s = { 0 };
    ph_client_options options_client = PH_CLIENT_OPTIONS_INIT;
    exit_status status = connection_open(&s, a, &options_client);
    if (status == STATUS_OK) {
        status = publish(&s, &body);
    }
    connection_close(&s);
    draft_fini(&body);
    return status;
}

static exit_status publish(connection *s, const draft *body)
{
    char to[6 + 256];
    snprintf(to, sizeof to, "topic:%s", s->args->words[0]);
    char what[300];
    snprintf(what, sizeof what, "event on '%s'", s->args->words[0]);
    phi_bytes bytes = draft_view(body);
    ph_outgoing event = PH_OUTGOING_INIT;
    event.to = to;
    event.method = args_text(s->args, "method");
    event.body = bytes.data;
    event.body_size = bytes.size;
    event.timeout_ms = (uint32_t)args_number(s->args, "timeout");
    return receipt_send(s, &event, what, /* needs_one= */ false);
}
