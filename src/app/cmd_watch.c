// SPDX-License-Identifier: Apache-2.0
//
// app/cmd_watch.c - posthouse watch: who comes and goes, as it happens.
//
// Design notes
// - Times are taken when the change is handed to this program: what a service would see.
// - While the connection to the center is gone nothing can be known; that is said, and what was
//   missed is told after the reconnect.

#include "app/command.h"

#include <string.h>
#include <time.h>

#include "app/connection.h"
#include "app/log_sink.h"
#include "app/peer.h"
#include "app/term.h"
#include "base/assert.h"
#include "text/json.h"

typedef struct watcher {
    connection connection;
    uint64_t start_ns;
    uint64_t changes;
    bool is_listed; // the list is complete: what follows are changes
    bool is_over;   // enough, or nobody reads any more
    bool is_json;
    term_style style;
    draft line;
} watcher;

static exit_status run(const args *a);
static exit_status watch(watcher *w);
static void on_presence(ph_client *client, ph_change change, ph_reason reason, const ph_peer *peer,
                        void *arg);
static void on_ready(ph_client *client, uint64_t revision, void *arg);
static void print_json(watcher *w, ph_change change, ph_reason reason, const ph_peer *peer);
static void print_line(watcher *w, ph_change change, ph_reason reason, const ph_peer *peer);

static const option options[] = {
    { .name = "count",
      .letter = 'n',
      .kind = OPTION_COUNT,
      .argument = "N",
      .min = 1,
      .help = "end after N changes" },
    { .name = "for",
      .kind = OPTION_TIME,
      .argument = "TIME",
      .min = 1,
      .max = 86400000,
      .help = "end after so long" },
    { .name = "changes", .kind = OPTION_FLAG, .help = "leave out who is online at the start" },
};

static const option *more(size_t *count)
{
    *count = PHI_COUNT_OF(peer_options);
    return peer_options;
}

const command command_watch = {
    .name = "watch",
    .words = "",
    .summary = "show who comes and goes, as it happens",
    .example = "posthouse watch\n"
               "posthouse watch --service orders --count 1      wait for the next change\n"
               "posthouse watch --output json --for 1m >changes.jsonl\n",
    .about =
        "First everybody who is online, then every change, each with the time since the start\n"
        "and, for who went, the reason. Ends with Ctrl-C. After a lost connection it goes on\n"
        "where it was: no change is missed or told twice. Of who went meanwhile the reason may\n"
        "be unknown.\n",
    .options = options,
    .option_count = PHI_COUNT_OF(options),
    .more = more,
    .more_title = "Filter",
    .run = run,
};

static exit_status run(const args *a)
{
    watcher w = { .is_json = connection_is_json(a), .style = term_style_of(1) };
    draft_init(&w.line);
    ph_client_options options_client = PH_CLIENT_OPTIONS_INIT;
    options_client.on_presence = on_presence;
    options_client.on_presence_ready = on_ready;
    exit_status status = connection_open(&w.connection, a, &options_client);
    if (status == STATUS_OK) {
        status = watch(&w);
    }
    connection_close(&w.connection);
    draft_fini(&w.line);
    return status;
}

static exit_status watch(watcher *w)
{
    w->start_ns = connection_now_ns();
    exit_status status = peer_watch(&w->connection);
    if (status != STATUS_OK) {
        return status;
    }
    const arg_value *limit = args_get(w->connection.args, "for");
    uint64_t end = limit->count == 0 ? UINT64_MAX : w->start_ns + limit->number * 1000000;
    while (!w->is_over) {
        uint64_t now = connection_now_ns();
        if (now >= end) {
            break;
        }
        bool is_endless = end == UINT64_MAX;
        if (!connection_turn(&w->connection, is_endless ? -1 : (int)((end - now) / 1000000) + 1)) {
            break;
        }
    }
    if (w->connection.is_closed) {
        term_error("the center ended it: %s", w->connection.reason);
        return STATUS_REFUSED;
    }
    return STATUS_OK;
}

static void on_presence(ph_client *client, ph_change change, ph_reason reason, const ph_peer *peer,
                        void *arg)
{
    (void)client;
    watcher *w = PHI_CONTAINER_OF(arg, watcher, connection);
    bool is_wanted = w->is_listed || !args_flag(w->connection.args, "changes");
    if (w->is_over || !is_wanted || peer_is_self(&w->connection, peer)) {
        return;
    }
    if (w->is_json) {
        print_json(w, change, reason, peer);
    } else {
        print_line(w, change, reason, peer);
    }
    bool is_read = term_print(&w->line);
    w->changes += w->is_listed ? 1 : 0;
    const arg_value *count = args_get(w->connection.args, "count");
    w->is_over = !is_read || (count->count != 0 && w->changes >= count->number);
}

static void on_ready(ph_client *client, uint64_t revision, void *arg)
{
    watcher *w = PHI_CONTAINER_OF(arg, watcher, connection);
    size_t self = 1;
    ph_peer ignored = PH_PEER_INIT;
    if (ph_client_peer_find(client, w->connection.id, &ignored) != PH_OK) {
        self = 0; // the filter leaves this command out by itself
    }
    if (!w->is_listed) {
        term_note("%zu online at revision %llu; waiting for changes (Ctrl-C ends)",
                  ph_client_peer_count(client) - self, (unsigned long long)revision);
    }
    w->is_listed = true;
}

static void print_json(watcher *w, ph_change change, ph_reason reason, const ph_peer *peer)
{
    uint64_t wall = connection_wall_ns();
    uint64_t since = connection_now_ns() - w->start_ns;
    char ts[LOG_TIME_BYTES];
    log_time_format((struct timespec){ .tv_sec = (time_t)(wall / 1000000000),
                                       .tv_nsec = (long)(wall % 1000000000) },
                    ts);
    phi_json j;
    phi_json_init_buf(&j, &w->line.buf);
    phi_json_object_begin(&j);
    phi_json_key(&j, "ts");
    phi_json_text(&j, ts);
    phi_json_key(&j, "unix_us");
    phi_json_u64(&j, wall / 1000);
    phi_json_key(&j, "since_start_ms");
    phi_json_decimal(&j, (double)since / 1e6, 3);
    phi_json_key(&j, "is_change"); // false: it was online before this command
    phi_json_bool(&j, w->is_listed);
    phi_json_key(&j, "change");
    phi_json_text(&j, ph_change_name(change));
    phi_json_key(&j, "reason");
    phi_json_text(&j, change == PH_OFFLINE ? ph_reason_name(reason) : "");
    peer_json(&j, peer);
    phi_json_object_end(&j);
    draft_json_end(&w->line, &j);
}

static void print_line(watcher *w, ph_change change, ph_reason reason, const ph_peer *peer)
{
    uint64_t since = connection_now_ns() - w->start_ns;
    const char *colour = change == PH_OFFLINE  ? w->style.red
                         : change == PH_ONLINE ? w->style.green
                                               : w->style.yellow;
    const char *word = w->is_listed ? ph_change_name(change) : "is online";
    draft_format(&w->line, "%s%+12.3f ms%s  %s%-9s%s  ", w->style.dim, (double)since / 1e6,
                 w->style.reset, w->is_listed ? colour : "", word, w->style.reset);
    size_t before = draft_size(&w->line);
    draft_printable(&w->line, draft_of_view(peer->id));
    size_t width = draft_size(&w->line) - before;
    draft_spaces(&w->line, width < 28 ? 28 - width : 0);
    if (change == PH_OFFLINE) {
        draft_format(&w->line, "  %s%s%s", colour, ph_reason_name(reason), w->style.reset);
    } else {
        draft_format(&w->line, "  %s", ph_state_name(peer->state));
    }
    if (peer->service.size != 0) {
        draft_format(&w->line, "  %sservice%s ", w->style.dim, w->style.reset);
        draft_printable(&w->line, draft_of_view(peer->service));
    }
    draft_format(&w->line, "  %srevision %llu%s\n", w->style.dim,
                 (unsigned long long)peer->revision, w->style.reset);
}
