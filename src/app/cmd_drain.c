// SPDX-License-Identifier: Apache-2.0
//
// app/cmd_drain.c - posthouse drain: no new work for an account, and when it is done.

#include "app/command.h"

#include <stdio.h>
#include <string.h>

#include "app/connection.h"
#include "app/term.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "text/json.h"
#include "wire/name.h"

// The center says so itself, a little later than it was told to.
#define SPARE_MS 1000u

typedef struct drain {
    connection connection;
    char account[PHI_NAME_BYTES_MAX + 1];
    const char *domain; // NULL: not said
    bool is_over;
    exit_status status;
} drain;

// What the center replied: docs/protocol.md P-69.
typedef struct drained {
    bool is_done;
    uint64_t revision;
    uint32_t watchers;
    uint32_t calls;
    uint16_t count;
    phi_bytes ids; // str8 each
} drained;

static exit_status run(const args *a);
static bool parse(drain *d, const char *word);
static bool is_here(const drain *d);
static exit_status ask(drain *d);
static void on_reply(ph_client *client, ph_call_id id, ph_err status, uint16_t code,
                     const ph_incoming *reply, void *arg);
static bool decode(phi_bytes body, drained *out);
static void print_json(const drained *r);
static exit_status explain(const drain *d, const drained *r);

static const option options[] = {
    { .name = "wait",
      .letter = 'w',
      .kind = OPTION_TIME,
      .argument = "TIME",
      .fallback = "30s",
      .min = 1,
      .max = 3500000,
      .help = "how long it may take; then who keeps it is said" },
    { .name = "undo", .kind = OPTION_FLAG, .help = "take it back: it gets work again" },
};

const command command_drain = {
    .name = "drain",
    .words = "ACCOUNT",
    .summary = "give an account no new work, and say when it can be stopped",
    .example = "posthouse drain orders-7f3a && kill \"$pid\"\n"
               "posthouse drain orders-7f3a --wait 5s\n"
               "posthouse drain orders-7f3a --undo\n",
    .about =
        "ACCOUNT is a name, or an ID as ls shows it. It is listed as draining, whatever it says\n"
        "itself: service:NAME does not choose it any more, and it is told. The command returns\n"
        "when everybody who watches the list has seen that and no call to or from it is open:\n"
        "then nothing is lost by stopping it. When --wait is over first, it says who has not, and\n"
        "ends with 5; the account stays draining.\n",
    .options = options,
    .option_count = PHI_COUNT_OF(options),
    .words_min = 1,
    .words_max = 1,
    .run = run,
};

static exit_status run(const args *a)
{
    drain d = { 0 };
    if (!parse(&d, a->words[0])) {
        return STATUS_USAGE;
    }
    ph_client_options options_client = PH_CLIENT_OPTIONS_INIT;
    exit_status status = connection_open(&d.connection, a, &options_client);
    if (status == STATUS_OK) {
        status = is_here(&d) ? ask(&d) : STATUS_NOT_FOUND;
    }
    connection_close(&d.connection);
    return status;
}

// An account, or an id as `posthouse ls` shows it.
static bool parse(drain *d, const char *word)
{
    const char *at = strchr(word, '@');
    size_t size = at == NULL ? strlen(word) : (size_t)(at - word);
    d->domain = at == NULL ? NULL : at + 1;
    if (!phi_name_is_valid(phi_bytes_of(word, size)) ||
        (at != NULL && !phi_name_is_valid(phi_bytes_text(d->domain)))) {
        connection_name_refused("account", word);
        return false;
    }
    memcpy(d->account, word, size); // a name has at most PHI_NAME_BYTES_MAX
    return true;
}

// A center drains the accounts of its own domain.
static bool is_here(const drain *d)
{
    const char *own = strchr(d->connection.id, '@');
    if (d->domain == NULL || (own != NULL && strcmp(own + 1, d->domain) == 0)) {
        return true;
    }
    term_error("drain: '%s' is not the domain of this center; it is '%s'", d->domain,
               own == NULL ? "" : own + 1);
    return false;
}

static exit_status ask(drain *d)
{
    connection *s = &d->connection;
    uint32_t patience_ms = (uint32_t)args_number(s->args, "wait");
    uint8_t body[1 + 4 + 1 + PHI_NAME_BYTES_MAX];
    phi_writer w = phi_writer_of((phi_span){ body, sizeof body });
    phi_write_u8(&w, args_flag(s->args, "undo") ? 0 : 1);
    phi_write_u32(&w, patience_ms);
    phi_write_str8(&w, phi_bytes_text(d->account));
    PH_ASSERT(!w.failed); // a name is short
    ph_outgoing request = PH_OUTGOING_INIT;
    request.to = "@";
    request.method = "drain";
    request.body = body;
    request.body_size = phi_writer_size(&w);
    request.timeout_ms = patience_ms + SPARE_MS;
    const ph_view none = { "", 0 };
    ph_err rc = ph_client_request(s->client, &request, NULL, on_reply, d);
    if (rc != PH_OK) {
        return connection_explain("drain", rc, 0, none, none);
    }
    exit_status status = connection_wait(s, &d->is_over);
    return status == STATUS_OK ? d->status : status;
}

static void on_reply(ph_client *client, ph_call_id id, ph_err status, uint16_t code,
                     const ph_incoming *reply, void *arg)
{
    (void)client;
    (void)id;
    drain *d = arg;
    if (status == PH_ECANCELLED) {
        return; // by our own end
    }
    d->is_over = true;
    drained r;
    if (status != PH_OK) {
        char what[128];
        snprintf(what, sizeof what, "drain of '%s'", d->account);
        const ph_view none = { "", 0 };
        d->status = connection_explain(what, status, code, none, none);
    } else if (!decode(draft_of_view(reply->body), &r)) {
        term_error("drain: the center's reply is not understood; is it of another version?");
        d->status = STATUS_FAILED;
    } else {
        if (connection_is_json(d->connection.args)) {
            print_json(&r);
        }
        d->status = explain(d, &r);
    }
}

static bool decode(phi_bytes body, drained *out)
{
    phi_reader r = phi_reader_of(body);
    out->is_done = phi_read_u8(&r) != 0;
    out->revision = phi_read_u64(&r);
    out->watchers = phi_read_u32(&r);
    out->calls = phi_read_u32(&r);
    out->count = phi_read_u16(&r);
    out->ids = phi_read_bytes(&r, phi_reader_left(&r));
    return !r.failed;
}

static void print_json(const drained *r)
{
    draft out;
    draft_init(&out);
    phi_json j;
    phi_json_init_buf(&j, &out.buf);
    phi_json_object_begin(&j);
    phi_json_key(&j, "is_done");
    phi_json_bool(&j, r->is_done);
    phi_json_key(&j, "revision");
    phi_json_u64(&j, r->revision);
    phi_json_key(&j, "calls_open");
    phi_json_u64(&j, r->calls);
    phi_json_key(&j, "watchers_behind");
    phi_json_u64(&j, r->watchers);
    phi_json_key(&j, "behind");
    phi_json_array_begin(&j);
    phi_reader ids = phi_reader_of(r->ids);
    for (uint16_t i = 0; i < r->count && !ids.failed; i++) {
        phi_json_string(&j, phi_read_str8(&ids));
    }
    phi_json_array_end(&j);
    phi_json_object_end(&j);
    draft_json_end(&out, &j);
    term_print(&out);
    draft_fini(&out);
}

static exit_status explain(const drain *d, const drained *r)
{
    const char *account = d->account;
    if (args_flag(d->connection.args, "undo")) {
        term_note("%s gets work again", account);
        return STATUS_OK;
    }
    if (r->is_done) {
        term_note("%s is drained: everybody knows it as of revision %llu, and no call is open",
                  account, (unsigned long long)r->revision);
        return STATUS_OK;
    }
    term_error("%s is draining, but not done: calls open: %u, watchers that have not acknowledged "
               "it: %u",
               account, r->calls, r->watchers);
    phi_reader ids = phi_reader_of(r->ids);
    for (uint16_t i = 0; i < r->count && !ids.failed; i++) {
        draft name;
        draft_init(&name);
        draft_printable(&name, phi_read_str8(&ids));
        term_note("  has not acknowledged: %s", draft_chars(&name));
        draft_fini(&name);
    }
    term_hint("run it again to wait on, or --undo to give it work again");
    return STATUS_TIMEOUT;
}
