// SPDX-License-Identifier: Apache-2.0
//
// app/cmd_call.c - posthouse call: one request, its reply on standard output.

#include "app/command.h"

#include <string.h>

#include "app/answers.h"
#include "app/body.h"
#include "app/connection.h"
#include "app/term.h"
#include "base/assert.h"
#include "text/json.h"

#define INQUIRIES_MAX 4u // a responder has no more of them open at a time

typedef struct pending {
    connection connection;
    answers answers; // started with --on-inquiry
    uint64_t start_ns;
    bool is_over;
    exit_status status;
} pending;

static exit_status run(const args *a);
static exit_status call(pending *p, const draft *body);
static void on_inquiry(ph_client *client, ph_call_id call, ph_request_id inquiry,
                       const ph_incoming *incoming, void *arg);
static void on_reply(ph_client *client, ph_call_id id, ph_err status, uint16_t code,
                     const ph_incoming *reply, void *arg);
static exit_status explain(const pending *p, ph_err status, uint16_t code, ph_view from,
                           ph_view why);
static exit_status print_reply(const connection *s, const ph_incoming *reply, uint64_t took_ns);

static const option options[] = {
    { .name = "on-inquiry",
      .kind = OPTION_TEXT,
      .argument = "CMD",
      .help = "when the responder asks back, answer with what this shell command prints; it gets "
              "the question on standard input" },
    { .name = "newline",
      .letter = 'n',
      .kind = OPTION_CHOICE,
      .argument = "WHEN",
      .choices = "auto|always|never",
      .fallback = "auto",
      .help = "end the reply with a newline; auto does so on a terminal when it has none" },
};

const command command_call = {
    .name = "call",
    .words = "TO METHOD [BODY | - | @FILE]",
    .summary = "call an account and print its reply",
    .example = "posthouse call echo greet 'hello'\n"
               "posthouse call countries by_code FR | python3 -m json.tool\n"
               "posthouse call orders@home create @order.json --timeout 500ms\n"
               "posthouse call service:orders create @order.json     any ready instance\n"
               "posthouse call profile by_name Korea --on-inquiry 'grep South'\n"
               "date | posthouse call echo greet -          the body from standard input\n",
    .about =
        "TO is an account, account@domain, or service:NAME for one of its ready instances. The\n"
        "reply's body goes to standard output as it is; on a terminal, what could harm that is\n"
        "shown as \\xHH. A failure goes to standard error with its name and what to do; the exit\n"
        "status says which kind: 6 nobody of that name, 5 no reply in time, 4 refused, 1 any\n"
        "other. Without --on-inquiry a responder that asks back finds no_handler. The command\n"
        "gets PH_METHOD, PH_FROM and PH_TIMEOUT_MS in the environment (quote them); when its\n"
        "status is not 0, the responder is told that it failed.\n",
    .options = options,
    .option_count = PHI_COUNT_OF(options),
    .words_min = 2,
    .words_max = 3,
    .run = run,
};

static exit_status run(const args *a)
{
    const char *to = a->words[0];
    if (!connection_is_address(to)) {
        return STATUS_USAGE;
    }
    if (strncmp(to, "all:", 4) == 0 && to[4] != '\0') { // as a request it would be a gather
        term_error("'%s' is every instance, a call goes to one", to);
        term_hint("posthouse gather %s %s asks them all; service:%s is any one of them", to + 4,
                  a->words[1], to + 4);
        return STATUS_USAGE;
    }
    draft body;
    if (!body_take("call", a, 2, &body)) {
        return STATUS_USAGE;
    }
    pending p = { 0 };
    ph_client_options options_client = PH_CLIENT_OPTIONS_INIT;
    exit_status status = connection_open(&p.connection, a, &options_client);
    const char *line = args_text(a, "on-inquiry");
    if (status == STATUS_OK && line != NULL) {
        status = answers_start(&p.answers, &p.connection, line, INQUIRIES_MAX);
    }
    if (status == STATUS_OK) {
        status = call(&p, &body);
    }
    connection_close(&p.connection);
    answers_end(&p.answers);
    draft_fini(&body);
    return status;
}

static exit_status call(pending *p, const draft *body)
{
    connection *s = &p->connection;
    phi_bytes bytes = draft_view(body);
    ph_outgoing request = PH_OUTGOING_INIT;
    request.to = s->args->words[0];
    request.method = s->args->words[1];
    request.body = bytes.data;
    request.body_size = bytes.size;
    request.timeout_ms = (uint32_t)args_number(s->args, "timeout");
    bool is_answering = answers_is_started(&p->answers);
    request.on_inquiry = is_answering ? on_inquiry : NULL;
    p->start_ns = connection_now_ns();
    ph_err rc = ph_client_request(s->client, &request, NULL, on_reply, p);
    if (rc != PH_OK) {
        const ph_view none = { "", 0 };
        return explain(p, rc, 0, none, none);
    }
    while (!p->is_over) {
        bool goes_on = is_answering ? answers_turn(&p->answers) : connection_turn(s, -1);
        if (!goes_on && !p->is_over) {
            return connection_broken(s);
        }
    }
    return p->status;
}

static void on_inquiry(ph_client *client, ph_call_id call, ph_request_id inquiry,
                       const ph_incoming *incoming, void *arg)
{
    (void)client;
    (void)call;
    pending *p = arg;
    term_detail("%.*s asks back %.*s, %zu bytes", (int)incoming->from.size, incoming->from.data,
                (int)incoming->method.size, incoming->method.data, incoming->body.size);
    answers_take(&p->answers, inquiry, incoming);
}

static void on_reply(ph_client *client, ph_call_id id, ph_err status, uint16_t code,
                     const ph_incoming *reply, void *arg)
{
    (void)client;
    (void)id;
    pending *p = arg;
    if (status == PH_ECANCELLED) {
        return; // by our own end
    }
    p->is_over = true;
    const ph_view none = { "", 0 };
    if (status == PH_OK) {
        p->status = print_reply(&p->connection, reply, connection_now_ns() - p->start_ns);
    } else {
        p->status = explain(p, status, code, reply == NULL ? none : reply->from,
                            reply == NULL ? none : reply->body);
    }
}

static exit_status explain(const pending *p, ph_err status, uint16_t code, ph_view from,
                           ph_view why)
{
    char what[256];
    snprintf(what, sizeof what, "call to '%.100s', method '%.100s'", p->connection.args->words[0],
             p->connection.args->words[1]);
    return connection_explain(what, status, code, from, why);
}

static exit_status print_reply(const connection *s, const ph_incoming *reply, uint64_t took_ns)
{
    draft out;
    draft_init(&out);
    if (connection_is_json(s->args)) {
        phi_json j;
        phi_json_init_buf(&j, &out.buf);
        phi_json_object_begin(&j);
        phi_json_key(&j, "from");
        phi_json_string(&j, draft_of_view(reply->from));
        phi_json_key(&j, "took_us");
        phi_json_decimal(&j, (double)took_ns / 1e3, 1);
        phi_json_key(&j, "body");
        phi_json_string(&j, draft_of_view(reply->body));
        phi_json_object_end(&j);
        draft_json_end(&out, &j);
    } else {
        if (term_is_terminal(1)) { // what a stranger sends moves no cursor
            draft_readable(&out, draft_of_view(reply->body));
        } else {
            draft_bytes(&out, draft_of_view(reply->body));
        }
        enum { NEWLINE_AUTO, NEWLINE_ALWAYS, NEWLINE_NEVER }; // as the choices
        uint64_t when = args_number(s->args, "newline");
        bool has_one = reply->body.size != 0 && reply->body.data[reply->body.size - 1] == '\n';
        bool is_wanted = when == NEWLINE_ALWAYS || (when == NEWLINE_AUTO && term_is_terminal(1));
        draft_add(&out, is_wanted && !has_one ? "\n" : "");
    }
    term_print(&out);
    draft_fini(&out);
    term_detail("%.*s answered after %.3f ms", (int)reply->from.size, reply->from.data,
                (double)took_ns / 1e6);
    return STATUS_OK;
}
