// SPDX-License-Identifier: Apache-2.0
//
// app/cmd_ls.c - posthouse ls: who is online now.

#include "app/command.h"

#include <stdlib.h>
#include <string.h>

#include "app/connection.h"
#include "app/peer.h"
#include "app/table.h"
#include "app/term.h"
#include "base/assert.h"
#include "text/json.h"

typedef struct listing {
    bool is_complete;
    uint64_t revision;
} listing;

static exit_status run(const args *a);
static exit_status list(connection *s);
static void on_ready(ph_client *client, uint64_t revision, void *arg);
static ph_peer *collect(const connection *s, size_t *count);
static size_t count_suspects(const ph_peer *peers, size_t count);
static int compare(const void *a, const void *b);
static void print_table(const ph_peer *peers, size_t count, draft *out);
static void print_json(const ph_peer *peers, size_t count, draft *out);

const command command_ls = {
    .name = "ls",
    .words = "",
    .summary = "list who is online",
    .example = "posthouse ls\n"
               "posthouse ls --service orders          only instances of one service\n"
               "posthouse ls --output json | python3 -m json.tool\n",
    .about =
        "One line for each client, by id. WEIGHT is its share of its service's work beside the\n"
        "others; RTT is its last heartbeat's round trip with the center, REVISION the change of\n"
        "the list that brought the line as it is. This command itself is left out.\n",
    .options = peer_options,
    .option_count = PHI_COUNT_OF(peer_options),
    .run = run,
};

static exit_status run(const args *a)
{
    listing state = { 0 };
    connection s = { .arg = &state };
    ph_client_options options = PH_CLIENT_OPTIONS_INIT;
    options.on_presence_ready = on_ready;
    exit_status status = connection_open(&s, a, &options);
    if (status == STATUS_OK) {
        status = list(&s);
    }
    connection_close(&s);
    return status;
}

static exit_status list(connection *s)
{
    listing *state = s->arg;
    exit_status status = peer_watch(s);
    if (status != STATUS_OK) {
        return status;
    }
    uint64_t give_up = connection_now_ns() + args_number(s->args, "timeout") * UINT64_C(1000000);
    while (!state->is_complete) {
        uint64_t now = connection_now_ns();
        if (now >= give_up) {
            term_error("the center did not send its list within --timeout");
            return STATUS_TIMEOUT;
        }
        if (!connection_turn(s, (int)((give_up - now) / 1000000) + 1) || !s->is_up) {
            term_error("the connection ended before the list was there: %s", s->reason);
            return STATUS_CONNECT;
        }
    }
    size_t count;
    ph_peer *peers = collect(s, &count);
    if (peers == NULL) {
        term_error("%s", ph_err_text(PH_ENOMEM));
        return STATUS_FAILED;
    }
    draft out;
    draft_init(&out);
    if (connection_is_json(s->args)) {
        print_json(peers, count, &out);
    } else {
        print_table(peers, count, &out);
    }
    term_print(&out);
    draft_fini(&out);
    size_t suspects = count_suspects(peers, count);
    free(peers);
    if (suspects != 0) {
        term_note("%zu suspect: silent, or lost together with most of their service", suspects);
    }
    term_detail("%zu online at revision %llu", count, (unsigned long long)state->revision);
    if (count == 0) {
        term_note("nobody else whom you may see is online%s",
                  args_get(s->args, "service")->count + args_get(s->args, "type")->count == 0
                      ? ""
                      : " and passes the filter");
    }
    return STATUS_OK;
}

static void on_ready(ph_client *client, uint64_t revision, void *arg)
{
    (void)client;
    listing *state = ((connection *)arg)->arg;
    state->is_complete = true;
    state->revision = revision;
}

// Everybody but this command, by id. Views are good until the next turn.
static ph_peer *collect(const connection *s, size_t *count)
{
    size_t most = ph_client_peer_count(s->client);
    ph_peer *peers = calloc(most + 1, sizeof *peers);
    size_t used = 0;
    size_t cursor = 0;
    ph_peer next = PH_PEER_INIT;
    while (peers != NULL && used < most && ph_client_peer_next(s->client, &cursor, &next)) {
        if (!peer_is_self(s, &next)) {
            peers[used++] = next;
        }
    }
    if (used != 0) {
        qsort(peers, used, sizeof *peers, compare);
    }
    *count = used;
    return peers;
}

static size_t count_suspects(const ph_peer *peers, size_t count)
{
    size_t suspects = 0;
    for (size_t i = 0; i < count; i++) {
        suspects += peers[i].state == PH_STATE_SUSPECT;
    }
    return suspects;
}

static int compare(const void *a, const void *b)
{
    const ph_peer *x = a;
    const ph_peer *y = b;
    size_t common = x->id.size < y->id.size ? x->id.size : y->id.size;
    int order = memcmp(x->id.data, y->id.data, common);
    return order != 0 ? order : (x->id.size > y->id.size) - (x->id.size < y->id.size);
}

static void print_table(const ph_peer *peers, size_t count, draft *out)
{
    enum { COLUMNS = 9 };
    table t;
    table_init(&t,
               (const char *const[COLUMNS]){ "ID", "SERVICE", "TYPE", "STATE", "WEIGHT", "RTT",
                                             "REVISION", "SOFTWARE", "METADATA" },
               COLUMNS);
    table_right(&t, 4);
    table_right(&t, 5);
    table_right(&t, 6);
    draft metadata;
    draft_init(&metadata);
    for (size_t i = 0; i < count; i++) {
        const ph_peer *p = &peers[i];
        table_cell(&t, draft_of_view(p->id));
        table_cell(&t, draft_of_view(p->service));
        table_text(&t, ph_type_name(p->type));
        table_text(&t, ph_state_name(p->state));
        table_format(&t, "%u", p->weight);
        if (p->round_trip_us == 0) {
            table_text(&t, "");
        } else {
            table_format(&t, "%.2f ms", p->round_trip_us / 1e3);
        }
        table_format(&t, "%llu", (unsigned long long)p->revision);
        table_cell(&t, draft_of_view(p->software));
        draft_clear(&metadata);
        peer_metadata(&metadata, p);
        table_cell(&t, draft_view(&metadata));
    }
    table_render(&t, out, term_style_of(1));
    draft_fini(&metadata);
    table_fini(&t);
}

static void print_json(const ph_peer *peers, size_t count, draft *out)
{
    phi_json j;
    phi_json_init_buf(&j, &out->buf);
    phi_json_array_begin(&j);
    for (size_t i = 0; i < count; i++) {
        phi_json_object_begin(&j);
        peer_json(&j, &peers[i]);
        phi_json_object_end(&j);
    }
    phi_json_array_end(&j);
    draft_json_end(out, &j);
}
