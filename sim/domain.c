// SPDX-License-Identifier: Apache-2.0
//
// sim/domain.c - the processes of a domain: how they start and how they die.

#include "sim/domain.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "sim/census.h"
#include "sim/check.h"
#include "sim/rogue.h"

domain *domain_new(const domain_options *options)
{
    PH_ASSERT(options->actor_count <= ACTORS_MAX);
    PH_ASSERT(options->rogue_count <= ROGUES_MAX);
    domain *d = phi_take_zeroed(&phi_alloc_heap, 1, sizeof *d);
    PH_ASSERT(d != NULL);
    d->options = *options;
    d->options.center.domain = DOMAIN_NAME;
    d->calls = phi_take(&phi_alloc_heap, CALLS_MAX * sizeof d->calls[0]); // each is filled in first
    PH_ASSERT(d->calls != NULL);
    d->dialogs = dialogs_new();
    d->drains = phi_take(&phi_alloc_heap, DRAIN_RECORDS_MAX * sizeof d->drains[0]);
    PH_ASSERT(d->drains != NULL);
    d->s = sim_new(&(sim_options){
        .seed = options->seed,
        .nodes_max = 1 + options->actor_count + options->rogue_count,
        .path = options->path,
        .trace = options->trace,
    });
    d->center_node = sim_node_add(d->s, "center");
    sim_node_kill(d->s, d->center_node); // until it is started
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
    sim_node_restart(d->s, d->center_node);
    check_memory(d, d->center_node);
    for (uint32_t i = 0; i < d->rogue_count; i++) {
        if (sim_node_is_alive(d->s, rogue_node(d->rogues[i]))) {
            rogue_kill(d->rogues[i]);
        }
        rogue_free(&d->rogues[i]);
    }
    check_calls_all_ended(d);
    check_dialogs_all_ended(d);
    check_drains_all_ended(d);
    if (d->options.census != NULL) {
        census_add_domain(d->options.census, d);
    }
    if (fault != NULL) {
        memcpy(fault, d->fault, sizeof d->fault);
    }
    sim_free(&d->s);
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

bool domain_center_start(domain *d)
{
    PH_ASSERT(d->center == NULL);
    if (!sim_node_is_alive(d->s, d->center_node)) {
        sim_node_restart(d->s, d->center_node);
    }
    phi_diag diag = { "" };
    phi_io *io = sim_io(d->s, d->center_node);
    ph_err rc = center_new(&d->center, io, &d->options.center, /* log= */ NULL, &diag);
    if (rc == PH_OK) {
        rc = center_listen(d->center, DOMAIN_ADDRESS, /* bound= */ NULL, &diag);
        if (rc != PH_OK) {
            center_free(&d->center);
        }
    }
    if (rc != PH_OK) {
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

void domain_center_kill(domain *d)
{
    PH_ASSERT(d->center != NULL);
    check_counters(d);
    check_services(d);
    if (d->options.census != NULL) {
        center_counters counters = center_count(d->center);
        census_add_center(d->options.census, &counters);
    }
    sim_node_kill(d->s, d->center_node);
    center_free(&d->center);
}

static void center_has_stopped(void *arg)
{
    domain *d = arg;
    sim_note(d->s, d->center_node, "has stopped");
}

void domain_center_stop(domain *d)
{
    PH_ASSERT(d->center != NULL);
    center_stop(d->center, center_has_stopped, d);
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
    if (d->dialogs->asks_open > 0 || d->dialogs->gathers_open > 0 || d->drains_open > 0) {
        return false;
    }
    center_counters counters = center_count(d->center);
    if (counters.sessions != d->actor_count || counters.calls > 0 || counters.streams > 0 ||
        !check_links_are_idle(d)) {
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
