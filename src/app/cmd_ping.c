// SPDX-License-Identifier: Apache-2.0
//
// app/cmd_ping.c - posthouse ping: how long the way to the center takes, or to a client and back.
//
// Design notes
// - The center is asked by heartbeats. A client is asked by requests: whatever it answers itself,
//   also that it does not know the method, has been there and back.

#include "app/command.h"

#include <string.h>

#include "app/connection.h"
#include "app/histogram.h"
#include "app/term.h"
#include "base/assert.h"
#include "text/json.h"

typedef struct ping {
    connection connection;
    histogram *times; // in nanoseconds
    bool is_answered;
    ph_err err;
    uint16_t code;
    uint64_t start_ns;
    uint64_t took_ns;
} ping;

static exit_status run(const args *a);
static exit_status ping_all(ping *p);
static exit_status ping_center(ping *p, uint64_t give_up_ns);
static exit_status ping_account(ping *p, const char *account);
static void on_reply(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
                     const ph_incoming *reply, void *arg);
static void report(const ping *p, const char *target);

static const option options[] = {
    { .name = "count",
      .letter = 'n',
      .kind = OPTION_COUNT,
      .argument = "N",
      .fallback = "10",
      .min = 1,
      .max = 1000000,
      .help = "round trips, one after the other" },
};

const command command_ping = {
    .name = "ping",
    .words = "[ACCOUNT]",
    .summary = "measure round trips to the center, or to a client",
    .example = "posthouse ping                    heartbeats with the center\n"
               "posthouse ping echo               through the center to a client and back\n"
               "posthouse ping echo --count 1000 --output json\n",
    .about =
        "Prints the shortest, median, 99th percentile and longest round trip. An account is asked\n"
        "with method ping; any answer of its own counts.\n",
    .options = options,
    .option_count = PHI_COUNT_OF(options),
    .words_max = 1,
    .run = run,
};

static exit_status run(const args *a)
{
    if (a->word_count != 0 && !connection_is_address(a->words[0])) {
        return STATUS_USAGE;
    }
    static histogram times;
    ping p = { .times = &times };
    ph_client_options options_client = PH_CLIENT_OPTIONS_INIT;
    exit_status status = connection_open(&p.connection, a, &options_client);
    if (status == STATUS_OK) {
        status = ping_all(&p);
    }
    connection_close(&p.connection);
    return status;
}

static exit_status ping_all(ping *p)
{
    const args *a = p->connection.args;
    const char *account = a->word_count == 0 ? NULL : a->words[0];
    uint64_t timeout_ns = args_number(a, "timeout") * UINT64_C(1000000);
    for (uint64_t i = 0; i < args_number(a, "count"); i++) {
        p->start_ns = connection_now_ns();
        exit_status status =
            account == NULL ? ping_center(p, p->start_ns + timeout_ns) : ping_account(p, account);
        if (status != STATUS_OK) {
            return status;
        }
        histogram_add(p->times, p->took_ns);
        term_detail("%8.3f ms", (double)p->took_ns / 1e6);
    }
    report(p, account == NULL ? args_text(a, "center") : account);
    return STATUS_OK;
}

static exit_status ping_center(ping *p, uint64_t give_up_ns)
{
    connection *s = &p->connection;
    ph_err rc = ph_client_probe(s->client);
    if (rc != PH_OK) {
        term_error("%s", ph_err_text(rc));
        return STATUS_CONNECT;
    }
    while (ph_client_is_probing(s->client)) {
        uint64_t now = connection_now_ns();
        if (now >= give_up_ns) {
            term_error("the center did not answer within --timeout");
            return STATUS_TIMEOUT;
        }
        if (!connection_turn(s, (int)((give_up_ns - now) / 1000000) + 1)) {
            return connection_is_interrupted() ? STATUS_FAILED : STATUS_CONNECT;
        }
    }
    if (!s->is_up) {
        term_error("the connection to the center is gone: %s", s->reason);
        return STATUS_CONNECT;
    }
    p->took_ns = connection_now_ns() - p->start_ns;
    return STATUS_OK;
}

static exit_status ping_account(ping *p, const char *account)
{
    connection *s = &p->connection;
    ph_outgoing request = PH_OUTGOING_INIT;
    request.to = account;
    request.method = "ping";
    request.timeout_ms = (uint32_t)args_number(s->args, "timeout");
    p->is_answered = false;
    p->err = ph_client_request(s->client, &request, NULL, on_reply, p);
    while (p->err == PH_OK && !p->is_answered) {
        if (!connection_turn(s, -1)) {
            return connection_is_interrupted() ? STATUS_FAILED : STATUS_CONNECT;
        }
    }
    if (p->err == PH_OK) {
        return STATUS_OK;
    }
    char what[256];
    snprintf(what, sizeof what, "ping of '%.100s'", account);
    const ph_view none = { "", 0 };
    return connection_explain(what, p->err, p->code, none, none);
}

static void on_reply(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
                     const ph_incoming *reply, void *arg)
{
    (void)client;
    (void)call;
    ping *p = arg;
    p->took_ns = connection_now_ns() - p->start_ns;
    p->is_answered = true;
    p->code = code;
    // A failure that a client made itself comes from its id, one of the center from "@domain".
    bool was_there = status == PH_EFAILURE && reply != NULL && reply->from.size != 0 &&
                     reply->from.data[0] != '@';
    p->err = was_there ? PH_OK : status;
}

static void report(const ping *p, const char *target)
{
    static const struct {
        const char *name;
        const char *key;
        double percent;
    } rows[] = {
        { "min", "min_us", 0 },
        { "median", "p50_us", 50 },
        { "p99", "p99_us", 99 },
        { "max", "max_us", 100 },
    };
    draft out;
    draft_init(&out);
    if (connection_is_json(p->connection.args)) {
        phi_json j;
        phi_json_init_buf(&j, &out.buf);
        phi_json_object_begin(&j);
        phi_json_key(&j, "target");
        phi_json_text(&j, target);
        phi_json_key(&j, "count");
        phi_json_u64(&j, p->times->total);
        for (size_t i = 0; i < PHI_COUNT_OF(rows); i++) {
            phi_json_key(&j, rows[i].key);
            phi_json_decimal(&j, (double)histogram_percentile(p->times, rows[i].percent) / 1e3, 1);
        }
        phi_json_object_end(&j);
        draft_json_end(&out, &j);
    } else {
        draft_format(&out, "%s: %llu round trips", target, (unsigned long long)p->times->total);
        for (size_t i = 0; i < PHI_COUNT_OF(rows); i++) {
            draft_format(&out, "%s %s %.3f ms", i == 0 ? ":" : ",", rows[i].name,
                         (double)histogram_percentile(p->times, rows[i].percent) / 1e6);
        }
        draft_add(&out, "\n");
    }
    term_print(&out);
    draft_fini(&out);
}
