// SPDX-License-Identifier: Apache-2.0
//
// app/cmd_bench.c - posthouse bench: a load of calls through a running center, and what it took.
//
// Design notes
// - A closed window: each call that ends starts the next, so that exactly --in-flight are open. One
//   process, one thread, nothing allocated per call: what is measured is the way there and back.
// - Two clock reads a call. Durations go into a histogram with an error under 1 %.
// - Failures are counted by name and do not count as replies: a load that fails fast is not fast.

#include "app/command.h"

#include <stdlib.h>
#include <string.h>

#include "app/body.h"
#include "app/connection.h"
#include "app/histogram.h"
#include "app/table.h"
#include "app/term.h"
#include "base/assert.h"
#include "text/json.h"

#define PAYLOAD_MAX 65000 // with its head it still fits into a packet
#define PROGRESS_AFTER_NS UINT64_C(2000000000)
#define PROGRESS_EVERY_NS UINT64_C(1000000000)
#define REASONS_MAX 24

typedef struct bench bench;

// One of the calls in flight.
typedef struct slot {
    bench *owner;
    uint64_t start_ns;
} slot;

// Calls that did not end in a reply, by reason.
typedef struct reason {
    ph_err status;
    uint16_t code;
    uint64_t count;
    uint64_t first_wall_ns;
    uint64_t last_wall_ns;
} reason;

struct bench {
    connection connection;
    ph_outgoing request;
    draft bodies;     // --bodies: the file; --payload: that many bytes
    uint64_t body_at; // where the next body begins
    bool has_lines;   // bodies are lines
    slot *slots;      // in_flight of them; owned
    slot **idle;      // slots whose call could not be queued: EBUSY; owned
    size_t idle_count;
    uint64_t in_flight; // open now
    uint64_t started;
    uint64_t wanted; // calls in all
    uint64_t warmup; // the first of them are not counted
    uint64_t end_ns; // --for
    uint64_t begin_ns;
    uint64_t last_ns;
    uint64_t told_ns;
    bool is_stopping; // no more calls
    bool until_failure;
    bool is_broken; // the connection went, or the library refused a call
    ph_err broken;
    histogram replies; // in nanoseconds
    reason reasons[REASONS_MAX];
    size_t reason_count;
};

static exit_status run(const args *a);
static exit_status prepare(bench *b, const args *a);
static exit_status load(bench *b);
static void start(bench *b, slot *s);
static void next_body(bench *b);
static void on_reply(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
                     const ph_incoming *reply, void *arg);
static void on_writable(ph_client *client, void *arg);
static void count_failure(bench *b, ph_err status, uint16_t code);
static void tell_progress(bench *b, uint64_t now);
static exit_status report(const bench *b);
static void report_table(const bench *b, draft *out);
static void report_json(const bench *b, draft *out);
static const char *reason_name(const reason *r);
static double seconds(const bench *b);
static uint64_t failures(const bench *b);
static uint64_t count_lines(const draft *t);

static const option options[] = {
    { .name = "to", .kind = OPTION_TEXT, .argument = "ACCOUNT", .help = "whom to call; required" },
    { .name = "method",
      .kind = OPTION_TEXT,
      .argument = "NAME",
      .fallback = "bench",
      .help = "what to ask" },
    { .name = "count",
      .letter = 'n',
      .kind = OPTION_COUNT,
      .argument = "N",
      .min = 1,
      .max = 1000000000,
      .help = "calls in all [100000, or one for each line of --bodies]" },
    { .name = "for",
      .kind = OPTION_TIME,
      .argument = "TIME",
      .min = 1,
      .max = 86400000,
      .help = "go on for so long instead" },
    { .name = "in-flight",
      .letter = 'w',
      .kind = OPTION_COUNT,
      .argument = "N",
      .fallback = "1",
      .min = 1,
      .max = 65536,
      .help = "calls open at a time" },
    { .name = "payload",
      .kind = OPTION_BYTES,
      .argument = "SIZE",
      .fallback = "128",
      .max = PAYLOAD_MAX,
      .help = "bytes in each request" },
    { .name = "bodies",
      .kind = OPTION_TEXT,
      .argument = "FILE",
      .help = "the lines of this file as bodies, in turn (- for standard input)" },
    { .name = "warmup",
      .kind = OPTION_COUNT,
      .argument = "N",
      .fallback = "0",
      .help = "calls before the counting begins" },
    { .name = "until-failure",
      .kind = OPTION_FLAG,
      .help = "start no call after the first failure; those in flight are waited for" },
};

const command command_bench = {
    .name = "bench",
    .words = "rr",
    .summary = "measure calls through a running center",
    .example =
        "posthouse reply --account echo --echo                        a responder to measure\n"
        "posthouse bench rr --to echo                                 one call at a time\n"
        "posthouse bench rr --to echo --in-flight 64 --payload 1KiB --for 5s\n"
        "posthouse bench rr --to profile --method by_code --bodies codes.txt\n",
    .about =
        "rr: request and reply. Each call that ends starts the next, so that --in-flight are open\n"
        "all the time. Prints percentiles from request to reply and calls per second; failures\n"
        "are listed by name and make the exit status 1.\n",
    .options = options,
    .option_count = PHI_COUNT_OF(options),
    .words_min = 1,
    .words_max = 1,
    .run = run,
};

static exit_status run(const args *a)
{
    if (strcmp(a->words[0], "rr") != 0) {
        return command_usage(&command_bench, "unknown benchmark '%s'; there is: rr", a->words[0]);
    }
    if (args_text(a, "to") == NULL) {
        return command_usage(&command_bench, "--to ACCOUNT is missing: whom to call");
    }
    bench *b = calloc(1, sizeof *b);
    if (b == NULL) {
        term_error("%s", ph_err_text(PH_ENOMEM));
        return STATUS_FAILED;
    }
    draft_init(&b->bodies);
    exit_status status = prepare(b, a);
    if (status == STATUS_OK) {
        status = load(b);
    }
    connection_close(&b->connection);
    draft_fini(&b->bodies);
    free(b->slots);
    free(b->idle);
    free(b);
    return status;
}

static exit_status prepare(bench *b, const args *a)
{
    uint64_t window = args_number(a, "in-flight");
    b->until_failure = args_flag(a, "until-failure");
    b->warmup = args_number(a, "warmup");
    b->slots = calloc(window, sizeof *b->slots);
    b->idle = calloc(window, sizeof(slot *));
    if (b->slots == NULL || b->idle == NULL) {
        term_error("%s", ph_err_text(PH_ENOMEM));
        return STATUS_FAILED;
    }
    const char *path = args_text(a, "bodies");
    uint64_t count = 100000;
    if (path != NULL) {
        char argument[1100];
        bool is_input = strcmp(path, "-") == 0;
        snprintf(argument, sizeof argument, "%s%s", is_input ? "" : "@", path);
        phi_diag diag = { { 0 } };
        if (body_read(argument, &b->bodies, &diag) != PH_OK) {
            term_error("bench: --bodies: %s", diag.text);
            return STATUS_USAGE;
        }
        b->has_lines = true;
        count = count_lines(&b->bodies);
        if (count == 0) {
            return command_usage(&command_bench, "--bodies: %s has no line", path);
        }
    } else {
        for (uint64_t i = 0; i < args_number(a, "payload"); i++) {
            draft_add(&b->bodies, "x");
        }
    }
    const arg_value *wanted = args_get(a, "count");
    const arg_value *limit = args_get(a, "for");
    b->wanted = wanted->count != 0 ? wanted->number : limit->count != 0 ? UINT64_MAX : count;
    b->wanted = b->wanted > UINT64_MAX - b->warmup ? b->wanted : b->wanted + b->warmup;
    b->request = (ph_outgoing)PH_OUTGOING_INIT;
    b->request.to = args_text(a, "to");
    b->request.method = args_text(a, "method");
    b->request.timeout_ms = (uint32_t)args_number(a, "timeout");
    ph_client_options options_client = PH_CLIENT_OPTIONS_INIT;
    options_client.calls_max = (uint32_t)window;
    options_client.on_writable = on_writable;
    return connection_open(&b->connection, a, &options_client);
}

static exit_status load(bench *b)
{
    const args *a = b->connection.args;
    const arg_value *limit = args_get(a, "for");
    uint64_t window = args_number(a, "in-flight");
    b->begin_ns = connection_now_ns();
    b->told_ns = b->begin_ns + PROGRESS_AFTER_NS - PROGRESS_EVERY_NS;
    b->end_ns = limit->count == 0 ? UINT64_MAX : b->begin_ns + limit->number * 1000000;
    for (uint64_t i = 0; i < window; i++) {
        b->slots[i].owner = b;
        start(b, &b->slots[i]);
    }
    while (b->in_flight + b->idle_count != 0 && !b->is_broken) {
        if (!connection_turn(&b->connection, 1000)) {
            break;
        }
        tell_progress(b, connection_now_ns());
    }
    if (b->is_broken) {
        const ph_view none = { "", 0 };
        connection_explain("bench", b->broken, 0, none, none);
    }
    return report(b);
}

// ---- the load; called once for each call

static void start(bench *b, slot *s)
{
    uint64_t now = connection_now_ns();
    if (b->started >= b->wanted || b->is_stopping || now >= b->end_ns) {
        return;
    }
    if (b->started == b->warmup && b->warmup != 0) {
        b->begin_ns =
            now; // replies to warm-up calls that are still out are counted: at most a window
        memset(&b->replies, 0, sizeof b->replies);
    }
    next_body(b);
    s->start_ns = now;
    ph_err rc = ph_client_request(b->connection.client, &b->request, NULL, on_reply, s);
    if (rc == PH_OK) {
        b->started++;
        b->in_flight++;
    } else if (rc == PH_EBUSY) {
        b->idle[b->idle_count++] = s; // on_writable goes on
    } else {
        b->is_broken = true;
        b->broken = rc;
    }
}

static void next_body(bench *b)
{
    phi_bytes all = draft_view(&b->bodies);
    b->request.body = all.data;
    b->request.body_size = all.size;
    if (!b->has_lines) {
        return;
    }
    const uint8_t *begin = all.data + b->body_at;
    size_t left = all.size - b->body_at;
    const uint8_t *end = memchr(begin, '\n', left);
    size_t size = end == NULL ? left : (size_t)(end - begin);
    b->request.body = begin;
    b->request.body_size = size;
    b->body_at += size + (end == NULL ? 0 : 1);
    b->body_at = b->body_at == all.size ? 0 : b->body_at;
}

static void on_reply(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
                     const ph_incoming *reply, void *arg)
{
    (void)client;
    (void)call;
    (void)reply;
    slot *s = arg;
    bench *b = s->owner;
    PH_ASSERT(b->in_flight > 0);
    b->in_flight--;
    b->last_ns = connection_now_ns();
    if (status == PH_OK) {
        histogram_add(&b->replies, b->last_ns - s->start_ns);
    } else {
        count_failure(b, status, code);
    }
    start(b, s);
}

static void on_writable(ph_client *client, void *arg)
{
    (void)client;
    bench *b = PHI_CONTAINER_OF(arg, bench, connection);
    size_t count = b->idle_count;
    b->idle_count = 0;
    for (size_t i = 0; i < count; i++) {
        start(b, b->idle[i]); // may put it back, before what is read next
    }
}

static void count_failure(bench *b, ph_err status, uint16_t code)
{
    b->is_stopping =
        b->is_stopping || b->until_failure || status == PH_ERESET || status == PH_ECANCELLED;
    reason *found = NULL;
    for (size_t i = 0; i < b->reason_count; i++) {
        if (b->reasons[i].status == status && b->reasons[i].code == code) {
            found = &b->reasons[i];
        }
    }
    if (found == NULL) {
        // The last entry takes in whatever kinds are left.
        size_t index = b->reason_count < REASONS_MAX ? b->reason_count++ : REASONS_MAX - 1;
        found = &b->reasons[index];
    }
    uint64_t wall = connection_wall_ns();
    if (found->count == 0) {
        *found = (reason){ .status = status, .code = code, .first_wall_ns = wall };
    }
    found->count++;
    found->last_wall_ns = wall;
}

// ---- telling

static void tell_progress(bench *b, uint64_t now)
{
    if (now < b->told_ns + PROGRESS_EVERY_NS) {
        return;
    }
    b->told_ns = now;
    double elapsed = (double)(now - b->begin_ns) / 1e9;
    term_note("%5.1f s  %llu replies, %llu failures, %.0f per second so far", elapsed,
              (unsigned long long)b->replies.total, (unsigned long long)failures(b),
              (double)b->replies.total / elapsed);
}

static exit_status report(const bench *b)
{
    draft out;
    draft_init(&out);
    if (connection_is_json(b->connection.args)) {
        report_json(b, &out);
    } else {
        report_table(b, &out);
    }
    term_print(&out);
    draft_fini(&out);
    bool is_good = failures(b) == 0 && b->replies.total != 0 && !b->is_broken;
    return is_good ? STATUS_OK : STATUS_FAILED;
}

static void report_table(const bench *b, draft *out)
{
    static const double percents[] = { 0, 50, 90, 99, 99.9, 100 };
    draft_format(out, "%llu replies in %.3f s, %.0f per second, %llu in flight\n",
                 (unsigned long long)b->replies.total, seconds(b),
                 (double)b->replies.total / seconds(b),
                 (unsigned long long)args_number(b->connection.args, "in-flight"));
    if (b->replies.total != 0) {
        table t;
        enum { COLUMNS = 7 };
        table_init(&t,
                   (const char *const[COLUMNS]){ "", "MIN", "P50", "P90", "P99", "P99.9", "MAX" },
                   COLUMNS);
        table_text(&t, "microseconds");
        for (size_t i = 0; i < PHI_COUNT_OF(percents); i++) {
            table_right(&t, i + 1);
            table_format(&t, "%.1f", (double)histogram_percentile(&b->replies, percents[i]) / 1e3);
        }
        table_render(&t, out, term_style_of(1));
        table_fini(&t);
    }
    for (size_t i = 0; i < b->reason_count; i++) {
        const reason *r = &b->reasons[i];
        draft_format(out, "%llu failed with %s, all within %.3f ms\n", (unsigned long long)r->count,
                     reason_name(r), (double)(r->last_wall_ns - r->first_wall_ns) / 1e6);
    }
}

static void report_json(const bench *b, draft *out)
{
    static const struct {
        const char *key;
        double percent;
    } percents[] = { { "min_us", 0 },  { "p50_us", 50 },    { "p90_us", 90 },
                     { "p99_us", 99 }, { "p999_us", 99.9 }, { "max_us", 100 } };
    phi_json j;
    phi_json_init_buf(&j, &out->buf);
    phi_json_object_begin(&j);
    phi_json_key(&j, "benchmark");
    phi_json_text(&j, "rr");
    phi_json_key(&j, "in_flight");
    phi_json_u64(&j, args_number(b->connection.args, "in-flight"));
    phi_json_key(&j, "replies");
    phi_json_u64(&j, b->replies.total);
    phi_json_key(&j, "failures");
    phi_json_u64(&j, failures(b));
    phi_json_key(&j, "seconds");
    phi_json_decimal(&j, seconds(b), 6);
    phi_json_key(&j, "per_second");
    phi_json_decimal(&j, (double)b->replies.total / seconds(b), 1);
    for (size_t i = 0; i < PHI_COUNT_OF(percents); i++) {
        phi_json_key(&j, percents[i].key);
        phi_json_decimal(&j, (double)histogram_percentile(&b->replies, percents[i].percent) / 1e3,
                         3);
    }
    phi_json_key(&j, "failed");
    phi_json_array_begin(&j);
    for (size_t i = 0; i < b->reason_count; i++) {
        const reason *r = &b->reasons[i];
        phi_json_object_begin(&j);
        phi_json_key(&j, "reason");
        phi_json_text(&j, reason_name(r));
        phi_json_key(&j, "count");
        phi_json_u64(&j, r->count);
        phi_json_key(&j, "first_unix_us");
        phi_json_u64(&j, r->first_wall_ns / 1000);
        phi_json_key(&j, "last_unix_us");
        phi_json_u64(&j, r->last_wall_ns / 1000);
        phi_json_object_end(&j);
    }
    phi_json_array_end(&j);
    phi_json_object_end(&j);
    draft_json_end(out, &j);
}

static const char *reason_name(const reason *r)
{
    switch ((int)r->status) {
    case PH_EFAILURE:
        return ph_failure_name(r->code);
    case PH_ETIMEDOUT:
        return "deadline";
    case PH_ERESET:
        return "connection_lost";
    case PH_ECANCELLED:
        return "cancelled";
    default:
        return ph_err_name(r->status);
    }
}

// From the first call to the last answer.
static double seconds(const bench *b)
{
    double s = b->last_ns > b->begin_ns ? (double)(b->last_ns - b->begin_ns) / 1e9 : 0;
    return s > 1e-9 ? s : 1e-9;
}

static uint64_t failures(const bench *b)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < b->reason_count; i++) {
        sum += b->reasons[i].count;
    }
    return sum;
}

static uint64_t count_lines(const draft *t)
{
    phi_bytes all = draft_view(t);
    uint64_t lines = all.size != 0 && all.data[all.size - 1] != '\n';
    for (size_t i = 0; i < all.size; i++) {
        lines += all.data[i] == '\n';
    }
    return lines;
}
