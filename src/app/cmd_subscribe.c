// SPDX-License-Identifier: Apache-2.0
//
// app/cmd_subscribe.c - posthouse subscribe: what others publish, one event a line.

#include "app/command.h"

#include "app/connection.h"
#include "app/event.h"
#include "app/term.h"
#include "base/assert.h"

typedef struct subscriber {
    connection connection;
    size_t waiting;                         // patterns that the center has not answered for
    ph_subscription_id ids[ARGS_WORDS_MAX]; // as the words
    uint64_t events;
    draft line;
    exit_status status;
    bool is_json;
    bool is_over; // enough, refused, or nobody reads any more
} subscriber;

static exit_status run(const args *a);
static exit_status check_patterns(const args *a);
static exit_status subscribe(subscriber *s);
static void on_event(ph_client *client, const ph_incoming *event, void *arg);
static void on_subscribed(ph_client *client, ph_subscription_id id, ph_err status, uint16_t code,
                          void *arg);

static const option options[] = {
    { .name = "count",
      .letter = 'n',
      .kind = OPTION_COUNT,
      .argument = "N",
      .min = 1,
      .help = "end after N events" },
    { .name = "for",
      .kind = OPTION_TIME,
      .argument = "TIME",
      .min = 1,
      .max = 86400000,
      .help = "end after so long" },
};

const command command_subscribe = {
    .name = "subscribe",
    .words = "PATTERN...",
    .summary = "print what others publish on the topics that fit",
    .example =
        "posthouse subscribe orders.eu.created\n"
        "posthouse subscribe 'orders.*.created' 'stock.>'      quoted: they are the shell's, "
        "too\n"
        "posthouse subscribe '>' --output json --for 10s >events.jsonl\n"
        "posthouse publish orders.eu.created 'A-17'            in another terminal\n",
    .about =
        "A topic is words with dots between them. In a pattern, * stands for any one word and >,\n"
        "at the end, for one or more. An event is printed once, as TOPIC FROM METHOD BODY, with\n"
        "what could harm a terminal as \\xHH; for programs as an object a line (bytes that are\n"
        "no UTF-8 as U+FFFD). Ends with Ctrl-C. After a lost connection it goes on; what was\n"
        "published meanwhile is missed.\n",
    .options = options,
    .option_count = PHI_COUNT_OF(options),
    .words_min = 1,
    .words_max = ARGS_WORDS_MAX,
    .run = run,
};

static exit_status run(const args *a)
{
    exit_status status = check_patterns(a);
    if (status != STATUS_OK) {
        return status;
    }
    subscriber s = { .is_json = connection_is_json(a) };
    draft_init(&s.line);
    ph_client_options options_client = PH_CLIENT_OPTIONS_INIT;
    options_client.on_event = on_event;
    status = connection_open(&s.connection, a, &options_client);
    if (status == STATUS_OK) {
        status = subscribe(&s);
    }
    connection_close(&s.connection);
    draft_fini(&s.line);
    return status;
}

static exit_status check_patterns(const args *a)
{
    for (size_t i = 0; i < a->word_count; i++) {
        if (!ph_pattern_is_valid(a->words[i])) {
            term_error("'%s' is no pattern", a->words[i]);
            term_hint("1 to 16 words with dots between them, at most 240 bytes; * stands for one "
                      "word, > at the end for one or more");
            return STATUS_USAGE;
        }
        event_note_scheme(a->words[i]);
    }
    return STATUS_OK;
}

static exit_status subscribe(subscriber *s)
{
    connection *link = &s->connection;
    const args *a = link->args;
    s->waiting = a->word_count;
    for (size_t i = 0; i < a->word_count; i++) {
        // No callback of its own: what fits several patterns comes once.
        ph_err rc =
            ph_client_subscribe(link->client, a->words[i], &s->ids[i], NULL, on_subscribed, s);
        if (rc != PH_OK) {
            term_error("cannot subscribe to '%s': %s", a->words[i], ph_err_text(rc));
            return STATUS_FAILED;
        }
    }
    const arg_value *limit = args_get(a, "for");
    uint64_t end =
        limit->count == 0 ? UINT64_MAX : connection_now_ns() + limit->number * UINT64_C(1000000);
    while (!s->is_over) {
        uint64_t now = connection_now_ns();
        if (now >= end) {
            break;
        }
        int wait_ms = end == UINT64_MAX ? -1 : (int)((end - now) / 1000000) + 1;
        if (!connection_turn(link, wait_ms)) {
            break;
        }
    }
    term_detail("%llu events", (unsigned long long)s->events);
    if (link->is_closed) {
        term_error("the center ended it: %s", link->reason);
        return STATUS_REFUSED;
    }
    return s->status;
}

static void on_event(ph_client *client, const ph_incoming *event, void *arg)
{
    (void)client;
    subscriber *s = PHI_CONTAINER_OF(arg, subscriber, connection);
    if (s->is_over || !event_has_topic(event)) {
        return; // what was sent to everybody is none of ours
    }
    s->events++;
    if (s->is_json) {
        event_json(&s->line, event, /* has_topic= */ true);
    } else {
        event_line(&s->line, event, /* has_topic= */ true);
    }
    const arg_value *count = args_get(s->connection.args, "count");
    bool is_read = term_print(&s->line);
    s->is_over = !is_read || (count->count != 0 && s->events >= count->number);
}

static void on_subscribed(ph_client *client, ph_subscription_id id, ph_err status, uint16_t code,
                          void *arg)
{
    (void)client;
    subscriber *s = arg;
    if (status != PH_OK) {
        size_t i = 0;
        while (i + 1 < s->connection.args->word_count && s->ids[i].value != id.value) {
            i++;
        }
        bool is_full = code == PH_FAILURE_TOO_MANY_CALLS;
        term_error("cannot subscribe to '%s': %s: %s", s->connection.args->words[i],
                   ph_failure_name(code),
                   is_full ? "the center takes no more patterns" : ph_failure_text(code));
        if (is_full) {
            term_hint("its subscriptions_... settings say how many (posthouse doc limits)");
        }
        s->status = connection_failure_status(code);
        s->is_over = true;
    } else if (s->waiting != 0 && --s->waiting == 0) {
        term_note("subscribed as %s; Ctrl-C ends", s->connection.id);
    }
}
