// SPDX-License-Identifier: Apache-2.0
//
// app/cmd_gather.c - posthouse gather: one question to every instance of a service.

#include "app/command.h"

#include <stdio.h>
#include <string.h>

#include "app/body.h"
#include "app/connection.h"
#include "app/table.h"
#include "app/term.h"
#include "base/assert.h"
#include "text/json.h"
#include "wire/name.h"

typedef struct gathering {
    connection connection;
    draft out; // JSON: the parts so far
    phi_json json;
    table parts;
    draft failed; // who failed in words of its own: "\nID\n" each
    bool is_json;
    bool is_over;
    exit_status status;
} gathering;

static exit_status run(const args *a);
static exit_status gather(gathering *g, const draft *body);
static void on_part(ph_client *client, ph_call_id call, uint16_t code, const ph_incoming *part,
                    void *arg);
static void on_done(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
                    const ph_gathered *gathered, void *arg);
static void add(gathering *g, ph_view id, uint16_t code, ph_view body);
static void add_missing(gathering *g, const ph_gathered *gathered);
static bool has_failed(gathering *g, ph_view id);

static const option options[] = {
    { .name = "want",
      .letter = 'w',
      .kind = OPTION_COUNT,
      .argument = "N",
      .min = 1,
      .max = UINT16_MAX,
      .help = "be content with the first N replies; else all are waited for" },
};

const command command_gather = {
    .name = "gather",
    .words = "SERVICE METHOD [BODY | - | @FILE]",
    .summary = "ask every instance of a service, and say who did not answer",
    .example = "posthouse gather orders health\n"
               "posthouse gather stock count A-17 --want 3 --timeout 200ms\n"
               "posthouse gather orders version --output json | python3 -m json.tool\n",
    .about =
        "One line for each instance: its reply, its failure in its own words, or that it did not\n"
        "answer in time.\n"
        "The exit status is 0 when as many replied as were wanted, 5 when the time was over\n"
        "first, 6 when there is no instance, 1 when some failed.\n",
    .options = options,
    .option_count = PHI_COUNT_OF(options),
    .words_min = 2,
    .words_max = 3,
    .run = run,
};

static exit_status run(const args *a)
{
    if (!phi_name_is_valid(phi_bytes_text(a->words[0]))) {
        connection_name_refused("service", a->words[0]);
        return STATUS_USAGE;
    }
    draft body;
    if (!body_take("gather", a, 2, &body)) {
        return STATUS_USAGE;
    }
    gathering g = { .is_json = connection_is_json(a) };
    draft_init(&g.out);
    draft_init(&g.failed);
    phi_json_init_buf(&g.json, &g.out.buf);
    table_init(&g.parts, (const char *const[]){ "INSTANCE", "RESULT", "BODY" }, 3);
    ph_client_options options_client = PH_CLIENT_OPTIONS_INIT;
    exit_status status = connection_open(&g.connection, a, &options_client);
    if (status == STATUS_OK) {
        status = gather(&g, &body);
    }
    connection_close(&g.connection);
    table_fini(&g.parts);
    draft_fini(&g.failed);
    draft_fini(&g.out);
    draft_fini(&body);
    return status;
}

static exit_status gather(gathering *g, const draft *body)
{
    connection *s = &g->connection;
    const args *a = s->args;
    char to[4 + 256];
    snprintf(to, sizeof to, "all:%s", a->words[0]);
    phi_bytes bytes = draft_view(body);
    ph_outgoing request = PH_OUTGOING_INIT;
    request.to = to;
    request.method = a->words[1];
    request.body = bytes.data;
    request.body_size = bytes.size;
    request.timeout_ms = (uint32_t)args_number(a, "timeout");
    ph_gather how = PH_GATHER_INIT;
    how.want = args_get(a, "want")->count == 0 ? 0 : (uint16_t)args_number(a, "want");
    how.on_part = on_part;
    how.done = on_done;
    how.arg = g;
    if (g->is_json) {
        phi_json_array_begin(&g->json);
    }
    ph_err rc = ph_client_gather(s->client, &request, &how, NULL);
    if (rc != PH_OK) {
        if (rc == PH_ETOOLARGE) {
            term_error("gather: the body is too large: what goes to many has to fit into a packet");
            term_hint("send less than 64 KiB, or call the instances one by one");
            return STATUS_USAGE;
        }
        const ph_view none = { "", 0 };
        return connection_explain("the gather", rc, 0, none, none);
    }
    exit_status status = connection_wait(s, &g->is_over);
    return status == STATUS_OK ? g->status : status;
}

static void on_part(ph_client *client, ph_call_id call, uint16_t code, const ph_incoming *part,
                    void *arg)
{
    (void)client;
    (void)call;
    gathering *g = arg;
    add(g, part->from, code, part->body);
    if (code != 0) { // it will be named again, among the missing
        draft_add(&g->failed, "\n");
        draft_bytes(&g->failed, draft_of_view(part->from));
        draft_add(&g->failed, "\n");
    }
}

static void on_done(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
                    const ph_gathered *gathered, void *arg)
{
    (void)client;
    (void)call;
    gathering *g = arg;
    if (status == PH_ECANCELLED) {
        return; // by our own end
    }
    g->is_over = true;
    if (status != PH_OK) {
        char what[160];
        snprintf(what, sizeof what, "gather from '%.100s'", g->connection.args->words[0]);
        const ph_view none = { "", 0 };
        g->status = connection_explain(what, status, code, none, none);
        return;
    }
    add_missing(g, gathered);
    if (g->is_json) {
        phi_json_array_end(&g->json);
        draft_json_end(&g->out, &g->json);
    } else {
        table_render(&g->parts, &g->out, term_style_of(1));
    }
    term_print(&g->out);
    term_note("%u of %u replied", gathered->replied, gathered->asked);
}

// Who was asked and did not reply. When enough had replied, the rest is no failure.
static void add_missing(gathering *g, const ph_gathered *gathered)
{
    const arg_value *want = args_get(g->connection.args, "want");
    bool is_enough = want->count != 0 && gathered->replied >= want->number;
    size_t cursor = 0;
    ph_view id;
    uint16_t code;
    while (ph_gathered_next(gathered, &cursor, &id, &code)) {
        if (!has_failed(g, id)) {
            add(g, id, code, (ph_view){ "", 0 });
        }
        if (!is_enough && (g->status == STATUS_OK || code == PH_FAILURE_DEADLINE)) {
            g->status = connection_failure_status(code);
        }
    }
}

// Whether its failure was told already, with what it had to say.
static bool has_failed(gathering *g, ph_view id)
{
    char line[3 + 255];
    snprintf(line, sizeof line, "\n%.*s\n", (int)id.size, id.data);
    return strstr(draft_chars(&g->failed), line) != NULL;
}

static void add(gathering *g, ph_view id, uint16_t code, ph_view body)
{
    const char *result = code == 0 ? "replied" : ph_failure_name(code);
    if (g->is_json) {
        phi_json_object_begin(&g->json);
        phi_json_key(&g->json, "id");
        phi_json_string(&g->json, draft_of_view(id));
        phi_json_key(&g->json, "result");
        phi_json_text(&g->json, result);
        phi_json_key(&g->json, "body");
        phi_json_string(&g->json, draft_of_view(body));
        phi_json_object_end(&g->json);
        return;
    }
    table_cell(&g->parts, draft_of_view(id));
    table_text(&g->parts, result);
    table_cell(&g->parts, draft_of_line(body));
}
