// SPDX-License-Identifier: Apache-2.0
//
// app/cmd_status.c - posthouse status: what a center counts, and what its memory is taken by.

#include "app/command.h"

#include <string.h>

#include "app/connection.h"
#include "app/table.h"
#include "app/term.h"
#include "base/bytes.h"
#include "text/json.h"

enum { KIND_COUNTER = 1, KIND_GAUGE = 2 };

// What the center replied: docs/protocol.md P-69.
typedef struct told {
    phi_bytes version;
    uint64_t uptime_ms;
    uint8_t workers;
    uint8_t counted;
    uint16_t count;
    phi_bytes values; // value_next reads them
} told;

typedef struct value {
    uint8_t kind;
    phi_bytes name;
    uint64_t value;
} value;

typedef struct asking {
    connection connection;
    bool is_over;
    exit_status status;
} asking;

// Those that are shown also when they are 0, before all others.
static const char *const first_ones[] = {
    "connections", "sessions", "listed", "services", "watchers", "subscriptions", "calls",
};

static exit_status run(const args *a);
static exit_status ask(asking *s);
static void on_reply(ph_client *client, ph_call_id id, ph_err status, uint16_t code,
                     const ph_incoming *reply, void *arg);
static bool decode(phi_bytes body, told *out);
static bool value_next(phi_reader *r, value *out);
static void print_text(const asking *s, const told *t, draft *out);
static void add_head(const asking *s, const told *t, draft *out);
static void add_uptime(uint64_t ms, draft *out);
static void add_row(const asking *s, table *t, const char *kind, const value *v);
static void add_memory(const asking *s, const told *t, table *rows);
static void format_bytes(uint64_t bytes, char out[32]);
static void print_json(const asking *s, const told *t, draft *out);
static void add_json(const told *t, uint8_t kind, phi_json *j);
static bool is_first(phi_bytes name);
static bool is_memory(const value *v);
static const char *help_of(phi_bytes name);
static const char *domain_of(const asking *s);

static const option options[] = {
    { .name = "all", .kind = OPTION_FLAG, .help = "show what is 0, too" },
    { .name = "explain", .kind = OPTION_FLAG, .help = "say what each of them is" },
};

const command command_status = {
    .name = "status",
    .words = "",
    .summary = "show what a center counts, and what its memory is taken by",
    .example = "posthouse status\n"
               "posthouse status --explain              what each line means\n"
               "posthouse status --output json | python3 -m json.tool\n",
    .about =
        "The numbers are those of the whole center, all its workers together: what is there now,\n"
        "the bytes that each kind of its memory takes, and what has happened since it started.\n"
        "This command is one of the connections, sessions and calls. Ends with 5 when a worker of\n"
        "the center did not answer within a second; the numbers are those of the others then.\n"
        "Where the center has rules, it takes the right `status`; counters of the program around\n"
        "the center (certificates, keys) stand in its log, after kill -USR2.\n",
    .options = options,
    .option_count = PHI_COUNT_OF(options),
    .run = run,
};

static exit_status run(const args *a)
{
    asking s = { 0 };
    ph_client_options options_client = PH_CLIENT_OPTIONS_INIT;
    exit_status status = connection_open(&s.connection, a, &options_client);
    if (status == STATUS_OK) {
        status = ask(&s);
    }
    connection_close(&s.connection);
    return status;
}

static exit_status ask(asking *s)
{
    ph_outgoing request = PH_OUTGOING_INIT;
    request.to = "@";
    request.method = "status";
    request.timeout_ms = (uint32_t)args_number(s->connection.args, "timeout");
    const ph_view none = { "", 0 };
    ph_err rc = ph_client_request(s->connection.client, &request, NULL, on_reply, s);
    if (rc != PH_OK) {
        return connection_explain("status", rc, 0, none, none);
    }
    exit_status status = connection_wait(&s->connection, &s->is_over);
    return status == STATUS_OK ? s->status : status;
}

static void on_reply(ph_client *client, ph_call_id id, ph_err status, uint16_t code,
                     const ph_incoming *reply, void *arg)
{
    (void)client;
    (void)id;
    asking *s = arg;
    if (status == PH_ECANCELLED) {
        return; // by our own end
    }
    s->is_over = true;
    told t;
    if (status != PH_OK) {
        const ph_view none = { "", 0 };
        s->status = connection_explain("status", status, code, none, none);
        if (status == PH_EFAILURE && code == PH_FAILURE_NO_HANDLER) {
            term_hint("this center is of a version before this command");
        }
        return;
    }
    if (!decode(draft_of_view(reply->body), &t)) {
        term_error("status: the center's reply is not understood; is it of another version?");
        s->status = STATUS_FAILED;
        return;
    }
    draft out;
    draft_init(&out);
    if (connection_is_json(s->connection.args)) {
        print_json(s, &t, &out);
    } else {
        print_text(s, &t, &out);
    }
    term_print(&out);
    draft_fini(&out);
    s->status = STATUS_OK;
    if (t.counted < t.workers) {
        term_error("%u of %u workers did not answer: they stand still, or are busy; the numbers "
                   "are those of the others",
                   t.workers - t.counted, t.workers);
        s->status = STATUS_TIMEOUT;
    }
}

// ---- the reply

static bool decode(phi_bytes body, told *out)
{
    phi_reader r = phi_reader_of(body);
    out->version = phi_read_str8(&r);
    out->uptime_ms = phi_read_u64(&r);
    out->workers = phi_read_u8(&r);
    out->counted = phi_read_u8(&r);
    out->count = phi_read_u16(&r);
    out->values = phi_read_bytes(&r, phi_reader_left(&r));
    phi_reader values = phi_reader_of(out->values);
    value v;
    uint16_t count = 0;
    while (value_next(&values, &v)) {
        count++;
    }
    return !r.failed && !values.failed && count == out->count && out->counted <= out->workers;
}

// False when there are no more, or what is there is none; then `failed` is set.
static bool value_next(phi_reader *r, value *out)
{
    if (phi_reader_left(r) == 0) {
        return false;
    }
    out->kind = phi_read_u8(r);
    out->name = phi_read_str8(r);
    out->value = phi_read_u64(r);
    return !r->failed;
}

// ---- for people

static void print_text(const asking *s, const told *t, draft *out)
{
    bool explains = args_flag(s->connection.args, "explain");
    table rows;
    table_init(&rows, (const char *const[]){ "WHAT", "NAME", "VALUE", "" }, explains ? 4 : 3);
    table_right(&rows, 2);
    value v;
    for (size_t i = 0; i < PHI_COUNT_OF(first_ones); i++) {
        phi_reader r = phi_reader_of(t->values);
        while (value_next(&r, &v)) {
            if (phi_bytes_equal(v.name, phi_bytes_text(first_ones[i]))) {
                add_row(s, &rows, "now", &v);
            }
        }
    }
    bool shows_all = args_flag(s->connection.args, "all");
    for (phi_reader r = phi_reader_of(t->values); value_next(&r, &v);) {
        if (v.kind != KIND_COUNTER && !is_first(v.name) && !is_memory(&v) &&
            (v.value != 0 || shows_all)) {
            add_row(s, &rows, "now", &v);
        }
    }
    add_memory(s, t, &rows);
    for (phi_reader r = phi_reader_of(t->values); value_next(&r, &v);) {
        if (v.kind == KIND_COUNTER && (v.value != 0 || shows_all)) {
            add_row(s, &rows, "since start", &v);
        }
    }
    add_head(s, t, out);
    table_render(&rows, out, term_style_of(1));
    table_fini(&rows);
}

static void add_head(const asking *s, const told *t, draft *out)
{
    draft_add(out, "center of ");
    draft_printable(out, phi_bytes_text(domain_of(s)));
    draft_add(out, ": posthouse ");
    draft_printable(out, t->version);
    draft_add(out, ", up for ");
    add_uptime(t->uptime_ms, out);
    draft_format(out, ", %u worker%s\n", t->workers, t->workers == 1 ? "" : "s");
}

// The two largest units.
static void add_uptime(uint64_t ms, draft *out)
{
    static const struct {
        uint64_t ms;
        const char *name;
    } units[] = { { 86400000, "d" }, { 3600000, "h" }, { 60000, "min" }, { 1000, "s" } };
    size_t last = PHI_COUNT_OF(units) - 1;
    size_t i = 0;
    while (i < last && ms < units[i].ms) {
        i++;
    }
    draft_format(out, "%llu %s", (unsigned long long)(ms / units[i].ms), units[i].name);
    if (i < last) {
        uint64_t rest = ms % units[i].ms / units[i + 1].ms;
        draft_format(out, " %llu %s", (unsigned long long)rest, units[i + 1].name);
    }
}

static void add_row(const asking *s, table *t, const char *kind, const value *v)
{
    table_text(t, kind);
    table_cell(t, v->name);
    if (is_memory(v)) {
        char bytes[32];
        format_bytes(v->value, bytes);
        table_text(t, bytes);
    } else {
        table_format(t, "%llu", (unsigned long long)v->value);
    }
    if (args_flag(s->connection.args, "explain")) {
        table_text(t, help_of(v->name));
    }
}

// By kind, and together.
static void add_memory(const asking *s, const told *t, table *rows)
{
    bool shows_all = args_flag(s->connection.args, "all");
    uint64_t sum = 0;
    value v;
    for (phi_reader r = phi_reader_of(t->values); value_next(&r, &v);) {
        if (is_memory(&v)) {
            sum += v.value;
            if (v.value != 0 || shows_all) {
                add_row(s, rows, "memory", &v);
            }
        }
    }
    char bytes[32];
    format_bytes(sum, bytes);
    table_text(rows, "memory");
    table_text(rows, "together");
    table_text(rows, bytes);
    if (args_flag(s->connection.args, "explain")) {
        table_text(rows, "Not in it: the program itself, its loops, TLS, and the kernel's part.");
    }
}

static void format_bytes(uint64_t bytes, char out[32])
{
    static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
    if (bytes < 1024) {
        snprintf(out, 32, "%llu B", (unsigned long long)bytes);
        return;
    }
    double amount = (double)bytes / 1024;
    size_t i = 0;
    while (amount >= 1024 && i + 1 < PHI_COUNT_OF(units)) {
        amount /= 1024;
        i++;
    }
    snprintf(out, 32, "%.1f %s", amount, units[i]);
}

// ---- for programs

static void print_json(const asking *s, const told *t, draft *out)
{
    phi_json j;
    phi_json_init_buf(&j, &out->buf);
    phi_json_object_begin(&j);
    phi_json_key(&j, "domain");
    phi_json_text(&j, domain_of(s));
    phi_json_key(&j, "version");
    phi_json_string(&j, t->version);
    phi_json_key(&j, "uptime_ms");
    phi_json_u64(&j, t->uptime_ms);
    phi_json_key(&j, "workers");
    phi_json_u64(&j, t->workers);
    phi_json_key(&j, "workers_counted");
    phi_json_u64(&j, t->counted);
    phi_json_key(&j, "gauges");
    add_json(t, KIND_GAUGE, &j);
    phi_json_key(&j, "counters");
    add_json(t, KIND_COUNTER, &j);
    phi_json_object_end(&j);
    draft_json_end(out, &j);
}

static void add_json(const told *t, uint8_t kind, phi_json *j)
{
    phi_json_object_begin(j);
    value v;
    for (phi_reader r = phi_reader_of(t->values); value_next(&r, &v);) {
        if (v.kind == kind) {
            phi_json_key_bytes(j, v.name);
            phi_json_u64(j, v.value);
        }
    }
    phi_json_object_end(j);
}

// ---- helpers

static bool is_first(phi_bytes name)
{
    for (size_t i = 0; i < PHI_COUNT_OF(first_ones); i++) {
        if (phi_bytes_equal(name, phi_bytes_text(first_ones[i]))) {
            return true;
        }
    }
    return false;
}

static bool is_memory(const value *v)
{
    static const char end[] = "_memory";
    const size_t size = sizeof end - 1;
    return v->kind == KIND_GAUGE && v->name.size > size &&
           memcmp(v->name.data + v->name.size - size, end, size) == 0;
}

// Of what this version knows; the center may be of another.
static const char *help_of(phi_bytes name)
{
    static const struct {
        const char *name;
        const char *help;
    } metrics[] = {
#define CENTER_METRIC(name, kind, help) { #name, (help) },
#include "center/metrics.def"
#undef CENTER_METRIC
    };
    for (size_t i = 0; i < PHI_COUNT_OF(metrics); i++) {
        if (phi_bytes_equal(name, phi_bytes_text(metrics[i].name))) {
            return metrics[i].help;
        }
    }
    return "";
}

static const char *domain_of(const asking *s)
{
    const char *at = strchr(s->connection.id, '@');
    return at == NULL ? "" : at + 1;
}
