// SPDX-License-Identifier: Apache-2.0
//
// app/cmd_reply.c - posthouse reply: a ready responder, that echoes or runs a command per request,
// and prints the events that come in.
//
// Design notes
// - An echo that finds the send buffer full waits for room, and while it does all behind it wait.
// - Without --echo and --command the library answers requests, with failure no_handler.

#include "app/command.h"

#include <stdlib.h>
#include <string.h>

#include "app/answers.h"
#include "app/connection.h"
#include "app/event.h"
#include "app/term.h"
#include "base/assert.h"

#define OWED_MAX 4096u                       // echoes that wait for room
#define OWED_BYTES_MAX (64u * 1024u * 1024u) // of all their bodies

// An echo that waits for room in the send buffer.
typedef struct owed {
    ph_request_id request;
    size_t size;
    void *body; // owned
} owed;

typedef struct responder {
    connection connection;
    answers answers;     // started with --command
    owed list[OWED_MAX]; // a ring
    size_t owed_bytes;
    size_t first;
    size_t count;
    uint64_t echoed;
    uint64_t events;
    draft line;     // of an event
    bool is_json;   // the same
    bool is_unread; // nobody reads the events any more
} responder;

static exit_status run(const args *a);
static exit_status check_ways(const args *a);
static exit_status serve(responder *r);
static void on_request(ph_client *client, ph_request_id request, const ph_incoming *incoming,
                       void *arg);
static void on_cancel(ph_client *client, ph_request_id request, uint16_t code, void *arg);
static void on_writable(ph_client *client, void *arg);
static void on_state_wish(ph_client *client, ph_state state, void *arg);
static void on_event(ph_client *client, const ph_incoming *event, void *arg);
static void echo(responder *r, ph_request_id request, ph_view body);

static const option options[] = {
    { .name = "echo", .kind = OPTION_FLAG, .help = "answer each request with its own body" },
    { .name = "command",
      .kind = OPTION_TEXT,
      .argument = "CMD",
      .help = "answer with what this shell command prints; it gets the body on standard input" },
    { .name = "events",
      .kind = OPTION_FLAG,
      .help = "print each event that comes in on standard output, one a line" },
    { .name = "jobs",
      .letter = 'j',
      .kind = OPTION_COUNT,
      .argument = "N",
      .fallback = "16",
      .min = 1,
      .max = JOBS_MAX,
      .help = "commands at a time; requests beyond it fail at once" },
    { .name = "service",
      .letter = 's',
      .kind = OPTION_TEXT,
      .argument = "NAME",
      .help = "be an instance of this service" },
    { .name = "weight",
      .letter = 'w',
      .kind = OPTION_COUNT,
      .argument = "N",
      .fallback = "100",
      .min = 1,
      .max = PH_WEIGHT_MAX,
      .help = "how much of the service's work to get, beside its other instances" },
};

const command command_reply = {
    .name = "reply",
    .words = "",
    .summary = "answer requests with an echo or a command's output; print events",
    .example = "posthouse reply --account echo --echo\n"
               "posthouse reply --account shouter --command 'tr a-z A-Z'\n"
               "posthouse reply --account disk --command 'df -h \"/$PH_METHOD\"'\n"
               "posthouse reply --account listener --events     shows what others send\n",
    .about =
        "The command finds PH_METHOD, PH_FROM and PH_TIMEOUT_MS in its environment; quote them:\n"
        "callers choose what is in them. What it prints is the reply. When it exits with another\n"
        "status than 0, the caller gets failure responder_failed with the last line of its\n"
        "standard error. When the caller gives up, or the connection is lost, it is killed.\n"
        "An event is printed as FROM METHOD BODY, with what could harm a terminal as \\xHH; for\n"
        "programs (--output json) as an object a line. With --events alone, requests get failure\n"
        "no_handler.\n",
    .options = options,
    .option_count = PHI_COUNT_OF(options),
    .run = run,
};

static exit_status run(const args *a)
{
    exit_status status = check_ways(a);
    if (status != STATUS_OK) {
        return status;
    }
    responder *r = calloc(1, sizeof *r);
    if (r == NULL) {
        term_error("%s", ph_err_text(PH_ENOMEM));
        return STATUS_FAILED;
    }
    r->is_json = connection_is_json(a);
    draft_init(&r->line);
    const char *line = args_text(a, "command");
    if (line != NULL) {
        status = answers_start(&r->answers, &r->connection, line, args_number(a, "jobs"));
    }
    if (status == STATUS_OK) {
        ph_client_options options_client = PH_CLIENT_OPTIONS_INIT;
        options_client.service = args_text(a, "service");
        options_client.weight = (uint16_t)args_number(a, "weight");
        options_client.on_state_wish = on_state_wish;
        options_client.on_request = args_flag(a, "echo") || line != NULL ? on_request : NULL;
        options_client.on_event = args_flag(a, "events") ? on_event : NULL;
        options_client.on_cancel = on_cancel;
        options_client.on_writable = on_writable;
        status = connection_open(&r->connection, a, &options_client);
    }
    if (status == STATUS_OK) {
        status = serve(r);
    }
    connection_close(&r->connection);
    answers_end(&r->answers);
    for (; r->count != 0; r->count--) {
        free(r->list[r->first].body);
        r->first = (r->first + 1) % OWED_MAX;
    }
    draft_fini(&r->line);
    free(r);
    return status;
}

static exit_status check_ways(const args *a)
{
    bool is_echo = args_flag(a, "echo");
    bool is_command = args_text(a, "command") != NULL;
    if (is_echo && is_command) {
        return command_usage(&command_reply, "--echo and --command exclude each other");
    }
    if (!is_echo && !is_command && !args_flag(a, "events")) {
        return command_usage(&command_reply, "--echo, --command CMD or --events is needed");
    }
    return STATUS_OK;
}

static exit_status serve(responder *r)
{
    connection *s = &r->connection;
    bool has_command = answers_is_started(&r->answers);
    term_note("%s as %s; Ctrl-C ends",
              args_flag(s->args, "echo") || has_command ? "answering" : "listening", s->id);
    while (!r->is_unread && (has_command ? answers_turn(&r->answers) : connection_turn(s, -1))) {
    }
    term_detail("%llu answered, %llu failed, %llu events",
                (unsigned long long)(r->echoed + r->answers.answered),
                (unsigned long long)r->answers.failed, (unsigned long long)r->events);
    if (s->is_closed) {
        term_error("the center ended it: %s", s->reason);
        return STATUS_REFUSED;
    }
    return STATUS_OK;
}

// ---- requests

static void on_request(ph_client *client, ph_request_id request, const ph_incoming *incoming,
                       void *arg)
{
    (void)client;
    responder *r = PHI_CONTAINER_OF(arg, responder, connection);
    if (!answers_is_started(&r->answers)) {
        echo(r, request, incoming->body);
        return;
    }
    term_detail("%.*s asks %.*s, %zu bytes", (int)incoming->from.size, incoming->from.data,
                (int)incoming->method.size, incoming->method.data, incoming->body.size);
    answers_take(&r->answers, request, incoming);
}

static void on_cancel(ph_client *client, ph_request_id request, uint16_t code, void *arg)
{
    (void)client;
    (void)code;
    responder *r = PHI_CONTAINER_OF(arg, responder, connection);
    if (answers_is_started(&r->answers)) {
        answers_cancel(&r->answers, request);
    }
}

static void on_writable(ph_client *client, void *arg)
{
    responder *r = PHI_CONTAINER_OF(arg, responder, connection);
    while (r->count != 0) {
        owed *o = &r->list[r->first];
        if (ph_client_reply(client, o->request, o->body, o->size) == PH_EBUSY) {
            return; // and it comes again
        }
        free(o->body);
        r->owed_bytes -= o->size;
        r->first = (r->first + 1) % OWED_MAX;
        r->count--;
    }
    if (answers_is_started(&r->answers)) {
        answers_on_writable(&r->answers);
    }
}

static void on_state_wish(ph_client *client, ph_state state, void *arg)
{
    (void)client;
    (void)arg;
    term_note("an operator wants this %s%s", ph_state_name(state),
              state == PH_STATE_DRAINING ? ": no new work comes through its service" : "");
}

static void on_event(ph_client *client, const ph_incoming *event, void *arg)
{
    (void)client;
    responder *r = PHI_CONTAINER_OF(arg, responder, connection);
    if (r->is_unread) {
        return;
    }
    r->events++;
    if (r->is_json) {
        event_json(&r->line, event, /* has_topic= */ false);
    } else {
        event_line(&r->line, event, /* has_topic= */ false);
    }
    r->is_unread = !term_print(&r->line);
}

// In order: while some wait, all wait.
static void echo(responder *r, ph_request_id request, ph_view body)
{
    ph_err rc = PH_EBUSY;
    if (r->count == 0) {
        rc = ph_client_reply(r->connection.client, request, body.data, body.size);
    }
    r->echoed++;
    if (rc != PH_EBUSY) {
        return; // sent, or its connection is gone
    }
    bool is_full = r->count == OWED_MAX || body.size > OWED_BYTES_MAX - r->owed_bytes;
    void *copy = is_full ? NULL : malloc(body.size + 1);
    if (copy == NULL) {
        term_detail("an echo is dropped: %zu wait for room", (size_t)r->count);
        return; // the caller learns it by its deadline
    }
    if (body.size != 0) {
        memcpy(copy, body.data, body.size);
    }
    r->list[(r->first + r->count) % OWED_MAX] = (owed){ request, body.size, copy };
    r->owed_bytes += body.size;
    r->count++;
}
