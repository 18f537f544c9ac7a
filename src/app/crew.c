// SPDX-License-Identifier: Apache-2.0
//
// app/crew.c - see crew.h.
//
// Design notes
// - What the first worker wants of another is an order: a task that runs on the other's loop, and
//   comes back as a report. Orders that come meanwhile are gathered, so that one task for each is
//   enough. What an order says belongs to the other's loop until its report, and then to the first.
// - Each says when it has stopped; when all have, the loops end. Before that a connection that was
//   handed on may still come to one that has stopped, and is refused there. What is still in the
//   mailboxes when all threads have ended is read in one last turn of each loop: a connection may
//   be in it, too.

#include "app/crew.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"

// The least that each limit of a center may be.
enum {
#define CENTER_LIMIT(name, type, fallback, min, max, unit, help) MIN_##name = (min),
#include "center/limits.def"
#undef CENTER_LIMIT
};

typedef enum order {
    ORDER_SET_LOG = 1,
    ORDER_COUNT = 2,
    ORDER_STOP = 4,
    ORDER_SECURE = 8,
} order;

typedef struct worker {
    crew *crew;
    phi_uv *uv;
    center *center;
    log_sink sink;
    bool has_thread;
    bool is_ordered; // an order is under way
    unsigned wanted; // the next orders, by bits
    // ---- of its loop, while an order is under way
    phi_uv_task order;
    phi_uv_task report;
    unsigned orders;
    phi_log_level level;             // of SET_LOG
    bool is_json;                    //
    center_counters counters;        // of COUNT
    uint64_t lines_lost;             //
    const center_security *security; // of SECURE
    // ---- of its loop
    bool has_missed_key; // and the first has not heard of it, or not answered
    phi_uv_task key_missed;
    phi_uv_task key_heard;
    // ---- of its loop, until it has stopped
    phi_uv_task stopped;
} worker;

struct crew {
    uint32_t count;
    uint32_t running;  // have not stopped
    uint32_t counting; // have not counted
    center_counters counters;
    uint64_t lines_lost;
    crew_counted *counted;
    void *counted_arg;
    uint32_t securing; // are not secured
    crew_secured *secured;
    void *secured_arg;
    const center_security *security; // what SECURE orders
    phi_log_level level;             // what SET_LOG orders
    bool is_json;                    //
    crew_key_missed *key_missed;
    void *key_missed_arg;
    phi_uv_mailboxes *mailboxes; // NULL: there is only one worker
    worker workers[];
};

static void share_out(center_options *options, uint32_t workers);
static ph_err worker_make(worker *w, uint32_t index, center_options *options, phi_diag *diag);
static void give_order(worker *w, order o);
static void send_order(worker *w);
static void run_order(phi_uv_task *task);
static void run_report(phi_uv_task *task);
static void add_counted(crew *c, const worker *w);
static void end_securing(crew *c);
static void on_unknown_key(void *arg);
static void run_key_missed(phi_uv_task *task);
static void run_key_heard(phi_uv_task *task);
static void on_stopped(void *arg);
static void run_stopped(phi_uv_task *task);
static void end_threads(crew *c);

// ---- life

ph_err crew_new(crew **out, uint32_t count, const center_options *options, const log_sink *sink,
                phi_diag *diag)
{
    PH_ASSERT(count > 0);
    PH_ASSERT(count <= PHI_MAILBOXES_MAX);
    crew *c = calloc(1, sizeof *c + count * sizeof c->workers[0]);
    if (c == NULL) {
        return phi_diag_add(diag, PH_ENOMEM, "make %u workers", count);
    }
    c->count = count;
    c->running = count;
    ph_err rc = PH_OK;
    if (count > 1) {
        rc = phi_uv_mailboxes_new(&c->mailboxes, count, CREW_MAIL_BYTES_MAX, diag);
    }
    center_options own = *options;
    share_out(&own, count);
    own.on_unknown_key = on_unknown_key;
    for (uint32_t i = 0; i < count && rc == PH_OK; i++) {
        worker *w = &c->workers[i];
        w->crew = c;
        w->sink = *sink;
        w->sink.log.arg = &w->sink;
        w->sink.worker = count > 1 ? (int)i : -1;
        rc = worker_make(w, i, &own, diag);
    }
    if (rc != PH_OK) {
        crew_free(&c);
        return rc;
    }
    *out = c;
    return PH_OK;
}

// No worker knows what the others have in use.
static void share_out(center_options *options, uint32_t workers)
{
#define SHARE(name)                                                                                \
    options->name = options->name / workers < MIN_##name ? MIN_##name : options->name / workers
    SHARE(connections_joining_max);
    SHARE(calls_max);
    SHARE(streams_max);
    SHARE(send_memory_max);
#undef SHARE
}

static ph_err worker_make(worker *w, uint32_t index, center_options *options, phi_diag *diag)
{
    crew *c = w->crew;
    w->order.run = run_order;
    w->report.run = run_report;
    w->stopped.run = run_stopped;
    w->key_missed.run = run_key_missed;
    w->key_heard.run = run_key_heard;
    options->on_unknown_key_arg = w;
    ph_err rc = phi_uv_new(&w->uv, &phi_alloc_heap, diag);
    if (rc == PH_OK && c->mailboxes != NULL) {
        rc = phi_uv_mailbox(c->mailboxes, index, w->uv, &options->mailbox, diag);
    }
    if (rc != PH_OK) {
        return rc;
    }
    phi_io *io = phi_uv_io(w->uv);
    if (index == 0) {
        phi_io_entropy(io, (uint8_t *)&options->epoch, sizeof options->epoch);
        options->epoch |= 1; // not 0
    }
    return center_new(&w->center, io, options, &w->sink.log, diag);
}

void crew_free(crew **crew_ptr)
{
    crew *c = *crew_ptr;
    if (c == NULL) {
        return;
    }
    end_threads(c);
    for (uint32_t i = 0; i < c->count; i++) {
        if (c->workers[i].center != NULL) {
            center_free(&c->workers[i].center);
        }
    }
    for (uint32_t i = 0; i < c->count; i++) {
        phi_uv_free(&c->workers[i].uv);
    }
    phi_uv_mailboxes_free(&c->mailboxes);
    free(c);
    *crew_ptr = NULL;
}

phi_uv *crew_uv(crew *c)
{
    return c->workers[0].uv;
}

center *crew_center(crew *c)
{
    return c->workers[0].center;
}

void crew_busy_poll(crew *c, phi_dur bound)
{
    for (uint32_t i = 0; i < c->count; i++) {
        phi_uv_busy_poll(c->workers[i].uv, bound);
    }
}

ph_err crew_start(crew *c, phi_diag *diag)
{
    for (uint32_t i = 1; i < c->count; i++) {
        char name[32]; // at most "worker 63"
        snprintf(name, sizeof name, "worker %u", i);
        ph_err rc = phi_uv_start(c->workers[i].uv, name, diag);
        if (rc != PH_OK) {
            return rc;
        }
        c->workers[i].has_thread = true;
    }
    return PH_OK;
}

void crew_run(crew *c)
{
    phi_uv_run(crew_uv(c));
    end_threads(c);
}

static void end_threads(crew *c)
{
    bool had_threads = false;
    for (uint32_t i = 0; i < c->count; i++) {
        worker *w = &c->workers[i];
        if (w->has_thread) {
            phi_uv_stop(w->uv);
            phi_uv_join(w->uv);
            w->has_thread = false;
            had_threads = true;
        }
    }
    for (uint32_t i = 0; i < c->count && had_threads; i++) {
        phi_uv_turn(c->workers[i].uv, phi_ns(0));
    }
}

// ---- orders

void crew_stop(crew *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        give_order(&c->workers[i], ORDER_STOP);
    }
}

void crew_set_log(crew *c, const log_sink *sink)
{
    c->level = sink->log.level;
    c->is_json = sink->is_json;
    for (uint32_t i = 0; i < c->count; i++) {
        give_order(&c->workers[i], ORDER_SET_LOG);
    }
}

bool crew_count(crew *c, crew_counted *counted, void *arg)
{
    if (c->counting != 0) {
        return false;
    }
    c->counting = c->count;
    c->counted = counted;
    c->counted_arg = arg;
    for (uint32_t i = 0; i < c->count; i++) {
        give_order(&c->workers[i], ORDER_COUNT);
    }
    return true;
}

bool crew_secure(crew *c, const center_security *security, crew_secured *secured, void *arg)
{
    PH_ASSERT(security != NULL);
    if (c->securing != 0) {
        return false;
    }
    c->securing = c->count;
    c->security = security;
    c->secured = secured;
    c->secured_arg = arg;
    bool is_started = c->workers[c->count - 1].has_thread;
    for (uint32_t i = 0; i < c->count; i++) {
        if (is_started) {
            give_order(&c->workers[i], ORDER_SECURE);
        } else { // its loop does not turn: nobody may come in before
            center_secure(c->workers[i].center, security);
            end_securing(c);
        }
    }
    return true;
}

static void give_order(worker *w, order o)
{
    w->wanted |= (unsigned)o;
    if (!w->is_ordered) {
        send_order(w);
    }
}

static void send_order(worker *w)
{
    const crew *c = w->crew;
    w->is_ordered = true;
    w->orders = w->wanted;
    w->wanted = 0;
    w->level = c->level;
    w->is_json = c->is_json;
    w->security = c->security;
    if (w == &c->workers[0]) {
        run_order(&w->order); // it is here
    } else {
        phi_uv_hand(w->uv, &w->order);
    }
}

static void run_order(phi_uv_task *task)
{
    worker *w = PHI_CONTAINER_OF(task, worker, order);
    if ((w->orders & ORDER_SET_LOG) != 0) {
        w->sink.log.level = w->level;
        w->sink.is_json = w->is_json;
    }
    if ((w->orders & ORDER_COUNT) != 0) {
        w->counters = center_count(w->center);
        w->lines_lost = w->sink.lines_lost;
    }
    if ((w->orders & ORDER_STOP) != 0) {
        center_stop(w->center, on_stopped, w);
    }
    if ((w->orders & ORDER_SECURE) != 0) {
        center_secure(w->center, w->security);
    }
    worker *first = &w->crew->workers[0];
    if (w == first) {
        run_report(&w->report);
    } else {
        phi_uv_hand(first->uv, &w->report);
    }
}

// Who hears of it may give the next order at once; then that is under way.
static void run_report(phi_uv_task *task)
{
    worker *w = PHI_CONTAINER_OF(task, worker, report);
    unsigned done = w->orders;
    w->is_ordered = false;
    if ((done & ORDER_COUNT) != 0) {
        add_counted(w->crew, w);
    }
    if ((done & ORDER_SECURE) != 0) {
        end_securing(w->crew);
    }
    if (w->wanted != 0 && !w->is_ordered) {
        send_order(w);
    }
}

static void add_counted(crew *c, const worker *w)
{
    // The first, which reports at once, has what stands in no sum.
    bool is_first = c->counting == c->count;
    PH_ASSERT(is_first == (w == &c->workers[0]));
    if (is_first) {
        c->counters = w->counters;
        c->lines_lost = w->lines_lost;
    } else {
        center_counters_add(&c->counters, &w->counters);
        c->lines_lost += w->lines_lost;
    }
    if (--c->counting == 0) {
        c->counted(c->counted_arg, &c->counters, c->lines_lost);
    }
}

static void end_securing(crew *c)
{
    PH_ASSERT(c->securing > 0);
    if (--c->securing == 0) {
        c->secured(c->secured_arg); // may secure again
    }
}

// ---- keys of tokens

void crew_on_key_missed(crew *c, crew_key_missed *missed, void *arg)
{
    c->key_missed = missed;
    c->key_missed_arg = arg;
}

// Peers decide how often: until the first worker has answered it is told nothing more.
static void on_unknown_key(void *arg)
{
    worker *w = arg;
    if (!w->has_missed_key) {
        w->has_missed_key = true;
        phi_uv_hand(w->crew->workers[0].uv, &w->key_missed);
    }
}

static void run_key_missed(phi_uv_task *task)
{
    worker *w = PHI_CONTAINER_OF(task, worker, key_missed);
    crew *c = w->crew;
    if (c->key_missed != NULL) {
        c->key_missed(c->key_missed_arg);
    }
    phi_uv_hand(w->uv, &w->key_heard);
}

static void run_key_heard(phi_uv_task *task)
{
    PHI_CONTAINER_OF(task, worker, key_heard)->has_missed_key = false;
}

// ---- the end

static void on_stopped(void *arg)
{
    worker *w = (worker *)arg;
    worker *first = &w->crew->workers[0];
    if (w == first) {
        run_stopped(&w->stopped);
    } else {
        phi_uv_hand(first->uv, &w->stopped);
    }
}

static void run_stopped(phi_uv_task *task)
{
    crew *c = PHI_CONTAINER_OF(task, worker, stopped)->crew;
    PH_ASSERT(c->running > 0);
    if (--c->running == 0) {
        phi_uv_stop(crew_uv(c)); // crew_run ends the threads
    }
}
