// SPDX-License-Identifier: Apache-2.0
//
// sim/domain.c - the processes of a domain: how they start and how they die.

#include "sim/domain.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "center/state.h"
#include "sim/census.h"
#include "sim/check.h"
#include "sim/rogue.h"
#include "sim/rules.h"
#include "sim/tokens.h"

#define MAIL_BYTES_FALLBACK (16u << 20)

static void add_workers(domain *d);
static ph_err start_workers(domain *d, phi_diag *diag);
static void tell_security(domain *d);

// ---- life

domain *domain_new(const domain_options *options)
{
    PH_ASSERT(options->actor_count <= ACTORS_MAX);
    PH_ASSERT(options->rogue_count <= ROGUES_MAX);
    domain *d = phi_take_zeroed(&phi_alloc_heap, 1, sizeof *d);
    PH_ASSERT(d != NULL);
    d->options = *options;
    d->options.center.domain = DOMAIN_NAME;
    d->security = center_security_open;
    d->security.anonymous_local = !options->must_prove;
    d->tokens = options->token_life.ns == 0 ? NULL : tokens_new(d);
    d->calls = phi_take(&phi_alloc_heap, CALLS_MAX * sizeof d->calls[0]); // each is filled in first
    PH_ASSERT(d->calls != NULL);
    d->dialogs = dialogs_new();
    d->rule_sets = rule_sets_new();
    d->drains = phi_take(&phi_alloc_heap, DRAIN_RECORDS_MAX * sizeof d->drains[0]);
    PH_ASSERT(d->drains != NULL);
    d->s = sim_new(&(sim_options){
        .seed = options->seed,
        .nodes_max = WORKERS_MAX + options->actor_count + options->rogue_count,
        .path = options->path,
        .trace = options->trace,
    });
    add_workers(d);
    for (uint32_t i = 0; i < options->actor_count; i++) {
        actor *a = &d->actors[d->actor_count++];
        a->domain = d;
        a->index = i;
        snprintf(a->account, sizeof a->account, "c%02u", i);
        snprintf(a->id, sizeof a->id, "c%02u@" DOMAIN_NAME, i);
        a->work = phi_ms(2);
        snprintf(a->service, sizeof a->service, "s%u", i % 3);
        a->node = sim_node_add(d->s, a->account);
        sim_node_kill(d->s, a->node);
    }
    for (uint32_t i = 0; i < options->rogue_count; i++) {
        d->rogues[d->rogue_count++] = rogue_new(d, i);
    }
    return d;
}

void domain_free(domain **d_in, char *fault)
{
    domain *d = *d_in;
    if (d == NULL) {
        return;
    }
    for (uint32_t i = 0; i < d->actor_count; i++) {
        actor *a = &d->actors[i];
        if (a->client != NULL) {
            actor_kill(a);
        }
        sim_node_restart(d->s, a->node);
        check_memory(d, a->node);
    }
    if (d->center != NULL) {
        domain_center_kill(d);
    }
    for (uint32_t i = 0; i < d->worker_count; i++) {
        sim_node_restart(d->s, d->worker_nodes[i]);
        check_memory(d, d->worker_nodes[i]);
    }
    for (uint32_t i = 0; i < d->rogue_count; i++) {
        if (sim_node_is_alive(d->s, rogue_node(d->rogues[i]))) {
            rogue_kill(d->rogues[i]);
        }
        rogue_free(&d->rogues[i]);
    }
    check_calls_all_ended(d);
    check_dialogs_all_ended(d);
    check_drains_all_ended(d);
    check_statuses_all_ended(d);
    if (d->options.census != NULL) {
        census_add_domain(d->options.census, d);
    }
    if (fault != NULL) {
        memcpy(fault, d->fault, sizeof d->fault);
    }
    sim_free(&d->s);
    rule_sets_free(&d->rule_sets);
    tokens_free(&d->tokens);
    dialogs_free(&d->dialogs);
    phi_give(&phi_alloc_heap, d->drains, DRAIN_RECORDS_MAX * sizeof d->drains[0]);
    phi_give(&phi_alloc_heap, d->calls, CALLS_MAX * sizeof d->calls[0]);
    phi_give(&phi_alloc_heap, d, sizeof *d);
    *d_in = NULL;
}

void domain_start(domain *d)
{
    bool has_center = domain_center_start(d);
    PH_ASSERT(has_center);
    for (uint32_t i = 0; i < d->actor_count; i++) {
        bool has_started = actor_start(&d->actors[i]);
        PH_ASSERT(has_started);
    }
}

void domain_fail(domain *d, const char *format, ...)
{
    if (domain_has_fault(d)) {
        return; // the first one counts; what follows may follow from it
    }
    char text[320];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    uint64_t now = sim_now(d->s).ns;
    snprintf(d->fault, sizeof d->fault, "at %llu.%06llu s: %s",
             (unsigned long long)(now / 1000000000u),
             (unsigned long long)(now % 1000000000u / 1000u), text);
    sim_note(d->s, SIM_WORLD, "FAULT %s", d->fault);
}

// ---- center

static void add_workers(domain *d)
{
    static const char *const names[WORKERS_MAX] = { "center", "worker-1", "worker-2", "worker-3" };
    d->worker_count = d->options.workers == 0 ? 1 : d->options.workers;
    PH_ASSERT(d->worker_count <= WORKERS_MAX);
    for (uint32_t i = 0; i < d->worker_count; i++) {
        d->worker_nodes[i] = sim_node_add(d->s, names[i]);
    }
    d->center_node = d->worker_nodes[0];
    if (d->worker_count > 1) {
        size_t bytes_max = d->options.mail_bytes_max;
        sim_mailboxes_add(d->s, d->worker_nodes, d->worker_count,
                          bytes_max == 0 ? MAIL_BYTES_FALLBACK : bytes_max,
                          d->options.mail_delay_max);
    }
    for (uint32_t i = 0; i < d->worker_count; i++) {
        sim_node_kill(d->s, d->worker_nodes[i]); // until it is started
    }
}

bool domain_center_start(domain *d)
{
    PH_ASSERT(d->center == NULL);
    for (uint32_t i = 0; i < d->worker_count; i++) {
        if (!sim_node_is_alive(d->s, d->worker_nodes[i])) {
            sim_node_restart(d->s, d->worker_nodes[i]);
        }
    }
    phi_diag diag = { "" };
    ph_err rc = start_workers(d, &diag);
    if (rc != PH_OK) {
        for (uint32_t i = 0; i < d->worker_count; i++) {
            center_free(&d->workers[i]);
        }
        d->center = NULL;
        sim_note(d->s, d->center_node, "cannot start: %s: %s", ph_err_name(rc),
                 phi_diag_text(&diag));
        if (rc != PH_ENOMEM) {
            domain_fail(d, "the center does not start: %s: %s", ph_err_name(rc),
                        phi_diag_text(&diag));
        }
        return false;
    }
    d->center_lives++;
    d->center_is_ending = false;
    return true;
}

static void tell_security(domain *d)
{
    for (uint32_t i = 0; i < d->worker_count; i++) {
        if (d->workers[i] != NULL) {
            center_secure(d->workers[i], &d->security);
        }
    }
}

void domain_secure(domain *d, const char *const *lines)
{
    d->security.rules = rule_sets_add(d, lines);
    tell_security(d);
}

static ph_err start_workers(domain *d, phi_diag *diag)
{
    center_options options = d->options.center;
    if (d->worker_count > 1) {
        options.epoch = phi_random_next(sim_random(d->s)) | 1u;
    }
    for (uint32_t i = 0; i < d->worker_count; i++) {
        sim_node node = d->worker_nodes[i];
        options.mailbox = d->worker_count > 1 ? sim_mailbox(d->s, node) : NULL;
        ph_err rc = center_new(&d->workers[i], sim_io(d->s, node), &options, /* log= */ NULL, diag);
        if (rc != PH_OK) {
            return rc;
        }
    }
    d->center = d->workers[0];
    tell_security(d);
    return center_listen(
        d->center, &(center_listen_options){ .address = DOMAIN_ADDRESS, .kind = d->options.kind },
        /* bound= */ NULL, diag);
}

void domain_center_kill(domain *d)
{
    PH_ASSERT(d->center != NULL);
    check_counters(d);
    check_services(d);
    for (uint32_t i = 0; i < d->worker_count; i++) {
        if (d->options.census != NULL) {
            center_counters counters = center_count(d->workers[i]);
            census_add_center(d->options.census, &counters);
        }
        sim_node_kill(d->s, d->worker_nodes[i]);
    }
    for (uint32_t i = 0; i < d->worker_count; i++) {
        center_free(&d->workers[i]);
    }
    d->center = NULL;
}

static void worker_has_stopped(void *arg)
{
    domain *d = arg;
    d->stopped++;
    sim_note(d->s, d->center_node, "%u of %u have stopped", d->stopped, d->worker_count);
}

void domain_center_stop(domain *d)
{
    PH_ASSERT(d->center != NULL);
    d->stopped = 0;
    for (uint32_t i = 0; i < d->worker_count; i++) {
        center_stop(d->workers[i], worker_has_stopped, d);
    }
}

void domain_center_freeze(domain *d, bool is_frozen)
{
    for (uint32_t i = 0; i < d->worker_count; i++) {
        sim_node_freeze(d->s, d->worker_nodes[i], is_frozen);
    }
}

center_counters domain_count(const domain *d)
{
    PH_ASSERT(d->center != NULL);
    center_counters sum = center_count(d->center);
    for (uint32_t i = 1; i < d->worker_count; i++) {
        center_counters n = center_count(d->workers[i]);
        center_counters_add(&sum, &n);
    }
    return sum;
}

const session *domain_session(const domain *d, const char *name)
{
    for (uint32_t i = 0; i < d->worker_count && d->center != NULL; i++) {
        const account *a = registry_find(&d->workers[i]->registry, phi_bytes_text(name));
        if (a != NULL && a->session != NULL && !a->session->is_abroad) {
            return a->session;
        }
    }
    return NULL;
}

// ---- conditions

bool domain_all_up(sim *s, void *arg)
{
    (void)s;
    const domain *d = arg;
    for (uint32_t i = 0; i < d->actor_count; i++) {
        const actor *a = &d->actors[i];
        if (a->client != NULL && a->link != PH_LINK_UP) {
            return false;
        }
    }
    return true;
}

bool domain_is_settled(sim *s, void *arg)
{
    domain *d = arg;
    if (d->center == NULL || d->calls_open > 0 || !domain_all_up(s, arg)) {
        return false;
    }
    if (d->dialogs->asks_open > 0 || d->dialogs->gathers_open > 0 || d->drains_open > 0 ||
        d->statuses_open > 0) {
        return false;
    }
    center_counters counters = domain_count(d);
    if (counters.sessions != d->actor_count || counters.calls > 0 || counters.streams > 0 ||
        counters.throttled > 0 || !check_links_are_idle(d) || !check_workers_agree(d, NULL)) {
        return false; // one that is thrown out may not know it yet
    }
    for (uint32_t i = 0; i < d->actor_count; i++) {
        const actor *a = &d->actors[i];
        if (a->client == NULL || !check_presence_agrees(a, NULL) || !check_streams_are_done(a)) {
            return false;
        }
        if (a->receipts_open != 0) {
            return false; // one that found no room at the center is given up by its own time
        }
    }
    return true;
}
