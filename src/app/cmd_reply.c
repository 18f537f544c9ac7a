// SPDX-License-Identifier: Apache-2.0
//
// app/cmd_reply.c - posthouse reply: a ready responder, that echoes or runs a command per request,
// and prints the events that come in.
//
// Design notes
// - Commands run beside the connection: a slow one holds up neither heartbeats nor other requests.
//   The program waits for both in one poll, as a program with a loop of its own embeds a client.
// - A reply that finds the send buffer full waits for room; while it does, it keeps its place, and
//   so the places bound what waits.
// - Without --echo and --command the library answers requests, with failure no_handler.

#include "app/command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "app/connection.h"
#include "app/jobs.h"
#include "app/term.h"
#include "base/assert.h"
#include "text/json.h"

#define OWED_MAX 4096u // echoes that wait for room

// How wide sender and method of an event are made, so that lines can be read as columns.
#define FROM_COLUMNS 24
#define METHOD_COLUMNS 16

// An echo that waits for room in the send buffer.
typedef struct owed {
    ph_request_id request;
    size_t size;
    void *body; // owned
} owed;

typedef struct responder {
    connection connection;
    jobs *jobs;          // NULL: without --command; owned
    owed list[OWED_MAX]; // a ring
    size_t first;
    size_t count;
    uint64_t answered;
    uint64_t failed;
    uint64_t events;
    draft line;     // of an event
    bool is_json;   // the same
    bool is_unread; // nobody reads the events any more
} responder;

static exit_status run(const args *a);
static exit_status check_ways(const args *a);
static exit_status serve(responder *r);
static exit_status make_jobs(responder *r, const args *a);
static void turn_with_jobs(responder *r);
static void on_request(ph_client *client, ph_request_id request, const ph_incoming *incoming,
                       void *arg);
static void on_cancel(ph_client *client, ph_request_id request, uint16_t code, void *arg);
static void on_writable(ph_client *client, void *arg);
static void on_event(ph_client *client, const ph_incoming *event, void *arg);
static void print_json(draft *line, const ph_incoming *event);
static void print_line(draft *line, const ph_incoming *event);
static void print_column(draft *line, ph_view text, size_t columns);
static void echo(responder *r, ph_request_id request, ph_view body);
static void fail_request(responder *r, ph_request_id request, const char *why);
static bool on_finished(void *arg, const job *j);
static ph_err answer_job(responder *r, const job *j);

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
    status = make_jobs(r, a);
    if (status == STATUS_OK) {
        ph_client_options options_client = PH_CLIENT_OPTIONS_INIT;
        options_client.service = args_text(a, "service");
        options_client.on_request = args_flag(a, "echo") || r->jobs != NULL ? on_request : NULL;
        options_client.on_event = args_flag(a, "events") ? on_event : NULL;
        options_client.on_cancel = on_cancel;
        options_client.on_writable = on_writable;
        status = connection_open(&r->connection, a, &options_client);
    }
    if (status == STATUS_OK) {
        status = serve(r);
    }
    connection_close(&r->connection);
    if (r->jobs != NULL) {
        jobs_fini(r->jobs);
        free(r->jobs);
    }
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

static exit_status make_jobs(responder *r, const args *a)
{
    const char *line = args_text(a, "command");
    if (line == NULL) {
        return STATUS_OK;
    }
    r->jobs = calloc(1, sizeof *r->jobs);
    phi_diag diag = { { 0 } };
    ph_err rc = PH_ENOMEM;
    if (r->jobs != NULL) {
        rc = jobs_init(r->jobs, line, args_number(a, "jobs"), on_finished, r, &diag);
    }
    if (rc == PH_OK) {
        return STATUS_OK;
    }
    term_error("%s: %s", ph_err_text(rc), diag.text);
    free(r->jobs);
    r->jobs = NULL;
    return STATUS_FAILED;
}

static exit_status serve(responder *r)
{
    connection *s = &r->connection;
    bool is_answering = args_flag(s->args, "echo") || r->jobs != NULL;
    term_note("%s as %s; Ctrl-C ends", is_answering ? "answering" : "listening", s->id);
    while (!r->is_unread && connection_turn(s, r->jobs == NULL ? -1 : 0)) {
        if (r->jobs != NULL && !s->is_up) {
            jobs_cancel_all(r->jobs); // their calls ended with the connection
        }
        if (r->jobs != NULL) {
            turn_with_jobs(r);
        }
    }
    term_detail("%llu answered, %llu failed, %llu events", (unsigned long long)r->answered,
                (unsigned long long)r->failed, (unsigned long long)r->events);
    if (s->is_closed) {
        term_error("the center ended it: %s", s->reason);
        return STATUS_REFUSED;
    }
    return STATUS_OK;
}

// Waits for whichever comes first: something for the client, or something from a command.
static void turn_with_jobs(responder *r)
{
    struct pollfd fds[JOBS_POLL_MAX + 1];
    size_t count = jobs_poll_fill(r->jobs, fds);
    fds[count] = (struct pollfd){ .fd = ph_loop_fd(r->connection.loop), .events = POLLIN };
    int wait_ms = ph_loop_wait_ms(r->connection.loop);
    if (poll(fds, (nfds_t)count + 1, wait_ms) < 0) {
        PH_ASSERT(errno == EINTR); // a signal: whoever loops looks
        for (size_t i = 0; i < count; i++) {
            fds[i].revents = 0;
        }
    }
    jobs_poll_done(r->jobs, fds, count);
}

// ---- requests

static void on_request(ph_client *client, ph_request_id request, const ph_incoming *incoming,
                       void *arg)
{
    (void)client;
    responder *r = PHI_CONTAINER_OF(arg, responder, connection);
    if (r->jobs == NULL) {
        echo(r, request, incoming->body);
        return;
    }
    term_detail("%.*s asks %.*s, %zu bytes", (int)incoming->from.size, incoming->from.data,
                (int)incoming->method.size, incoming->method.data, incoming->body.size);
    phi_diag diag = { { 0 } };
    if (jobs_start(r->jobs, request, incoming, &diag) != PH_OK) {
        fail_request(r, request, diag.text);
    }
}

static void on_cancel(ph_client *client, ph_request_id request, uint16_t code, void *arg)
{
    (void)client;
    (void)code;
    responder *r = PHI_CONTAINER_OF(arg, responder, connection);
    if (r->jobs != NULL) {
        jobs_cancel(r->jobs, request);
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
        r->first = (r->first + 1) % OWED_MAX;
        r->count--;
    }
    if (r->jobs != NULL) {
        jobs_retry(r->jobs);
    }
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
        print_json(&r->line, event);
    } else {
        print_line(&r->line, event);
    }
    r->is_unread = !term_print(&r->line);
}

static void print_json(draft *line, const ph_incoming *event)
{
    phi_json j;
    phi_json_init_buf(&j, &line->buf);
    phi_json_object_begin(&j);
    phi_json_key(&j, "from");
    phi_json_string(&j, draft_of_view(event->from));
    phi_json_key(&j, "method");
    phi_json_string(&j, draft_of_view(event->method));
    phi_json_key(&j, "body");
    phi_json_string(&j, draft_of_view(event->body));
    phi_json_object_end(&j);
    draft_json_end(line, &j);
}

static void print_line(draft *line, const ph_incoming *event)
{
    print_column(line, event->from, FROM_COLUMNS);
    print_column(line, event->method, METHOD_COLUMNS);
    draft_printable(line, draft_of_view(event->body));
    draft_add(line, "\n");
}

static void print_column(draft *line, ph_view text, size_t columns)
{
    draft cell;
    draft_init(&cell);
    draft_printable(&cell, draft_of_view(text));
    size_t width = draft_columns(draft_view(&cell));
    draft_bytes(line, draft_view(&cell));
    draft_spaces(line, (width < columns ? columns - width : 0) + 2);
    draft_fini(&cell);
}

// In order: while some wait, all wait.
static void echo(responder *r, ph_request_id request, ph_view body)
{
    ph_err rc = PH_EBUSY;
    if (r->count == 0) {
        rc = ph_client_reply(r->connection.client, request, body.data, body.size);
    }
    r->answered++;
    if (rc != PH_EBUSY) {
        return; // sent, or its connection is gone
    }
    void *copy = r->count == OWED_MAX ? NULL : malloc(body.size + 1);
    if (copy == NULL) {
        term_detail("an echo is dropped: %u wait for room", OWED_MAX);
        return; // the caller learns it by its deadline
    }
    if (body.size != 0) {
        memcpy(copy, body.data, body.size);
    }
    r->list[(r->first + r->count) % OWED_MAX] = (owed){ request, body.size, copy };
    r->count++;
}

static void fail_request(responder *r, ph_request_id request, const char *why)
{
    r->failed++;
    ph_err rc = ph_client_fail(r->connection.client, request, PH_FAILURE_RESPONDER_FAILED, why);
    if (rc != PH_OK) {
        term_detail("a failure could not be sent: %s", ph_err_text(rc));
    }
}

// ---- commands

// False: no room for the answer now; on_writable offers it again.
static bool on_finished(void *arg, const job *j)
{
    responder *r = arg;
    ph_err rc = answer_job(r, j);
    if (rc == PH_EBUSY) {
        return false;
    }
    if (rc != PH_OK && rc != PH_ESTALE) { // stale: nobody waits for it any more
        term_note("an answer could not be sent: %s", ph_err_text(rc));
    }
    return true;
}

static ph_err answer_job(responder *r, const job *j)
{
    ph_client *client = r->connection.client;
    char why[JOB_ERROR_BYTES + 64];
    if (j->is_too_long) {
        snprintf(why, sizeof why, "the command printed more than %u bytes", JOB_OUTPUT_MAX);
    } else if (WIFEXITED(j->status) && WEXITSTATUS(j->status) == 0) {
        r->answered++;
        phi_bytes out = draft_view(&j->output);
        return ph_client_reply(client, j->request, out.data, out.size);
    } else if (j->error_size != 0) {
        snprintf(why, sizeof why, "%.*s", (int)j->error_size, j->error);
    } else if (WIFEXITED(j->status)) {
        snprintf(why, sizeof why, "the command exited with status %d", WEXITSTATUS(j->status));
    } else {
        snprintf(why, sizeof why, "the command was killed by signal %d", WTERMSIG(j->status));
    }
    r->failed++;
    return ph_client_fail(client, j->request, PH_FAILURE_RESPONDER_FAILED, why);
}
