// SPDX-License-Identifier: Apache-2.0
//
// tests/center/world.c - see world.h: life of a world, its turns, its time.

#include "tests/center/world.h"

#include <stdlib.h>

#include "tests/center/world_parts.h"
#include "tests/harness/rules.h"
#include "tests/harness/test.h"

enum {
    TURNS_MAX = 100000,
    STILL_PERCENT = 30, // of the turns of a worker, where there are several
};

// ---- life

static void on_log(void *arg, const phi_log_event *event, const phi_log_field *fields, size_t count)
{
    world *w = arg;
    (void)fields;
    (void)count;
    if (w->log_count < WORLD_LOGS_MAX) {
        w->log_ids[w->log_count++] = event->id;
    }
}

static ph_err workers_begin(world *w, phi_diag *diag)
{
    center_options options = w->options;
    ph_err rc = PH_OK;
    for (uint32_t i = 0; rc == PH_OK && i < w->worker_count; i++) {
        options.mailbox = world_mailbox(w, i);
        center **c = i == 0 ? &w->c : &w->others[i - 1].c;
        rc = center_new(c, world_io_at(w, i), &options, &w->log, diag);
    }
    return rc;
}

static ph_err make(world **out, uint32_t workers, void (*change)(center_options *options),
                   size_t fail_at)
{
    EXPECT(workers <= WORLD_WORKERS_MAX);
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->worker_count = workers;
    phi_alloc_counter_init(&w->alloc, &phi_alloc_heap);
    w->alloc.fail_at = fail_at;
    for (uint32_t i = 0; i < WORLD_WORKERS_MAX; i++) {
        world_io_begin(world_io_at(w, i), w);
    }
    phi_list_init(&w->streams);
    w->random = phi_random_seeded(1);
    world_from_here(w);
    w->security = center_security_open;
    w->security.tls = (phi_tls *)w; // nobody looks into it
    w->security.tls_centers = (phi_tls *)w;
    w->log = (phi_log){ .level = PHI_LOG_DEBUG, .write = on_log, .arg = w };
    w->options = center_options_default();
    w->options.domain = "d";
    w->options.suite = PHI_SUITE_PLAIN;
    if (change != NULL) {
        change(&w->options);
    }
    *out = w;
    if (workers > 1) {
        world_mail_begin(w);
    }
    phi_diag diag = { "" };
    ph_err rc = workers_begin(w, &diag);
    if (rc == PH_OK) {
        rc = center_listen(w->c, &(center_listen_options){ .address = "127.0.0.1:0" }, NULL, &diag);
    }
    return rc;
}

ph_err world_try(world **out, void (*change)(center_options *options), size_t fail_at)
{
    return make(out, /* workers= */ 1, change, fail_at);
}

world *world_new(void (*change)(center_options *options))
{
    world *w;
    EXPECT_ERR(world_try(&w, change, 0), PH_OK);
    return w;
}

world *world_new_of(uint32_t workers, void (*change)(center_options *options))
{
    world *w;
    EXPECT_ERR(make(&w, workers, change, 0), PH_OK);
    return w;
}

void world_free(world *w)
{
    for (uint32_t i = 0; i < w->worker_count && world_center_at(w, i) != NULL; i++) {
        center_check(world_center_at(w, i));
    }
    center_free(&w->c);
    for (size_t i = 0; i < PHI_COUNT_OF(w->others); i++) {
        center_free(&w->others[i].c);
    }
    EXPECT_EQ(w->alloc.bytes, 0);
    EXPECT_EQ(w->alloc.blocks, 0);
    for (uint32_t i = 0; i < w->worker_count; i++) {
        phi_io *io = world_io_at(w, i);
        EXPECT_EQ(io->timers.count, 0);
        EXPECT(phi_list_is_empty(&io->hooks));
        EXPECT(phi_list_is_empty(&io->asked_hooks));
        EXPECT(phi_list_is_empty(&io->late_hooks));
    }
    world_mail_end(w);
    while (!phi_list_is_empty(&w->streams)) {
        world_stream_free(PHI_CONTAINER_OF(w->streams.next, phi_stream, node));
    }
    for (size_t i = 0; i < w->peer_count; i++) {
        peer_free(w->peers[i]);
    }
    phi_rules_free(&w->rules[0]);
    phi_rules_free(&w->rules[1]);
    free(w);
}

// ---- who may do what

void world_secure(world *w, const char *const *lines)
{
    phi_rules_free(&w->rules[1]);
    w->rules[1] = w->rules[0];
    w->rules[0] = rules_of_lines(lines);
    w->security.rules = w->rules[0];
    center_secure(w->c, &w->security);
}

void world_from_far(world *w, const char *name)
{
    w->who = (phi_identity){ .host = { [10] = 0xff, 0xff, 192, 0, 2, 1 }, .is_tls = true };
    if (*name != '\0') {
        w->who.name_count = 1;
        w->who.expires_s = w->io.now.ns / 1000000000 + 3600;
        w->who.names[0].size = (uint8_t)strlen(name);
        w->who.names[0].is_uri = strchr(name, ':') != NULL;
        memcpy(w->who.names[0].text, name, strlen(name) + 1);
    }
}

void world_from_here(world *w)
{
    w->who = (phi_identity){ .is_local = true, .host = { [10] = 0xff, 0xff, 127, 0, 0, 1 } };
}

void world_listen_as(world *w, center_listener kind)
{
    phi_diag diag = { "" };
    EXPECT_ERR(center_listen(w->c,
                             &(center_listen_options){ .address = "127.0.0.1:0", .kind = kind },
                             NULL, &diag),
               PH_OK);
}

// ---- turning

// Mail comes before bytes that were sent after it was posted.
static bool worker_turn_of(world *w, uint32_t worker)
{
    phi_io *io = world_io_at(w, worker);
    bool has_moved = io->is_hurried;
    io->now = w->io.now;
    io->is_turning = true;
    has_moved |= world_mail_turn(w, worker);
    phi_list *next;
    for (phi_list *n = w->streams.next; n != &w->streams; n = next) {
        next = n->next;
        phi_stream *s = PHI_CONTAINER_OF(n, phi_stream, node);
        has_moved |= s->io == io && world_stream_turn(s);
    }
    phi_timers_run(&io->timers, io->now);
    phi_io_run_hooks(io);
    has_moved |= world_is_any_unread(w, io);
    io->is_turning = false;
    return has_moved;
}

static bool turn(world *w, bool all)
{
    bool has_moved = false;
    for (uint32_t i = 0; i < w->worker_count; i++) {
        if (w->worker_count == 1 || all || !phi_random_chance(&w->random, STILL_PERCENT)) {
            has_moved |= worker_turn_of(w, i);
        }
    }
    w->io.now = phi_time_add(w->io.now, phi_us(w->slow_us));
    for (size_t i = 0; i < w->peer_count; i++) {
        has_moved |= peer_turn(w->peers[i]);
    }
    return has_moved || world_is_any_mail(w);
}

void world_turn(world *w)
{
    (void)turn(w, /* all= */ false);
}

void world_turn_worker(world *w, uint32_t worker)
{
    (void)worker_turn_of(w, worker);
    for (size_t i = 0; i < w->peer_count; i++) {
        (void)peer_turn(w->peers[i]);
    }
}

void world_settle(world *w)
{
    for (int i = 0; i < TURNS_MAX; i++) {
        if (!turn(w, /* all= */ true)) {
            return;
        }
    }
    fail_msg("the world does not come to rest");
}

static phi_time timers_next(world *w)
{
    phi_time next = phi_timers_next(&w->io.timers);
    for (uint32_t i = 1; i < w->worker_count; i++) {
        next = phi_time_min(next, phi_timers_next(&world_io_at(w, i)->timers));
    }
    return next;
}

void world_pass(world *w, uint64_t ms)
{
    phi_time end = phi_time_add(w->io.now, phi_ms(ms));
    while (phi_time_before(w->io.now, end)) {
        phi_time next = timers_next(w);
        w->io.now = phi_time_min(end, phi_time_before(w->io.now, next) ? next : end);
        for (size_t i = 0; i < w->peer_count; i++) {
            phi_link_tick(&w->peers[i]->link, w->io.now);
        }
        world_settle(w);
    }
}

bool world_logged(const world *w, const char *id)
{
    for (size_t i = 0; i < w->log_count; i++) {
        if (strcmp(w->log_ids[i], id) == 0) {
            return true;
        }
    }
    return false;
}

center_counters world_count(const world *w)
{
    center_counters sum = center_count(w->c);
    for (uint32_t i = 1; i < w->worker_count; i++) {
        center_counters n = center_count(world_center_at(w, i));
        center_counters_add(&sum, &n);
    }
    return sum;
}
