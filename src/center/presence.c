// SPDX-License-Identifier: Apache-2.0
//
// center/presence.c - see presence.h.
//
// Design notes
//   - What is shown of an account is its entry, encoded once when it changes. Only two things in it
//     are presence's: the revision, and the state, which is the client's own unless the center
//     knows better.
//   - Who comes back under the name of a ghost is a new account: the ghost leaves and the new one
//     comes, in one turn, so that watchers see only that the session is another.
//
// Invariants  see presence_check

#include "center/presence.h"

#include <string.h>

#include "base/assert.h"
#include "center/entry.h"
#include "center/replica.h"
#include "center/state.h"

// While an account is not what its connection says: a ghost, or damped.
struct presence_hold {
    phi_timer timer; // when that ends
    center *center;  // borrowed; it outlives its accounts
    account *account;
    phi_why why; // ghosts: how it was lost
};

static void list(center *c, account *a);
static void unlist(center *c, account *a, phi_why why);
static void list_here(center *c, account *a);
static void unlist_here(center *c, account *a, phi_why why);
static void changed(center *c, account *a);
static void changed_here(center *c, account *a);
static void forget(center *c, account *a);
static void says(center *c, account *a);
static void on_tell(phi_timer *timer, phi_time now);
static bool is_same_but_state(const account *a, phi_bytes entry);
static size_t listed_bytes(const account *a);
static void set_suspect(center *c, account *a, bool is_suspect);

static bool is_loss(phi_why why);
static bool is_held_by_guard(center *c, const account *a, phi_why why);
static bool make_ghost(center *c, account *a, phi_why why);
static void end_ghost(center *c, account *a);
static bool hold(center *c, account *a, phi_time until, phi_why why);
static void release(center *c, account *a);
static void on_hold_over(phi_timer *timer, phi_time now);

// ---- life

ph_err presence_init(presence *p, phi_io *io, const phi_alloc *alloc, const center_options *options,
                     uint64_t epoch, phi_hash_key key)
{
    PH_ASSERT(epoch != 0);
    *p = (presence){
        .epoch = epoch,
        .rule = { .window = phi_ms(options->guard_window),
                  .instances_min = (uint32_t)options->guard_instances_min },
    };
    phi_list_init(&p->untold);
    phi_timer_init(&p->tell, on_tell);
    ph_err rc = presence_log_init(&p->log, alloc, key, options->presence_log_max);
    if (rc != PH_OK) {
        return rc;
    }
    rc = watches_init(&p->watches, io, alloc, key, (uint32_t)options->connections_max);
    if (rc != PH_OK) {
        presence_log_fini(&p->log);
        return rc;
    }
    uint64_t reuse = options->flap_reuse;
    uint64_t suppress = options->flap_suppress > reuse ? options->flap_suppress : reuse + 1;
    flaps_init(&p->flaps, alloc, key,
               &(phi_damping_rule){ .suppress = (uint32_t)suppress,
                                    .reuse = (uint32_t)reuse,
                                    .half_life = phi_ms(options->flap_half_life),
                                    .wait_max = phi_ms(options->flap_wait_max) },
               options->connections_max);
    return PH_OK;
}

void presence_drop(center *c)
{
    uint32_t index = 0;
    uint64_t handle;
    account *a;
    for (; (a = phi_slots_next(&c->registry.accounts, &index, &handle)) != NULL; index++) {
        release(c, a);
        phi_list_remove(&a->untold);
    }
    phi_timer_clear(&c->io->timers, &c->presence.tell);
}

void presence_fini(presence *p)
{
    watches_fini(&p->watches);
    flaps_fini(&p->flaps);
    presence_log_fini(&p->log);
}

// ---- what happens to an account

void presence_join(center *c, account *a)
{
    PH_ASSERT(a->session != NULL);
    PH_ASSERT(!a->is_listed);
    presence *p = &c->presence;
    phi_time now = c->io->now;
    if (a->service != NULL) {
        phi_guard_joined(&a->service->guard, &p->rule, now);
    }
    phi_time calm;
    if (flaps_is_damped(&p->flaps, account_name(a), now, &calm) && hold(c, a, calm, PHI_WHY_NONE)) {
        p->damped++;
        c->counters.presence_damped_total++;
        CENTER_LOG_WRITE(c, DAMPED, PHI_LOG_TEXT("id", account_id(a)),
                         PHI_LOG_NUMBER("ms", phi_dur_ms(phi_time_diff(calm, now))));
        return;
    }
    list(c, a);
}

void presence_leave(center *c, account *a, phi_why why)
{
    PH_ASSERT(a->session == NULL);
    PH_ASSERT(why != PHI_WHY_NONE);
    if (is_loss(why)) {
        flaps_lost(&c->presence.flaps, account_name(a), c->io->now);
    }
    bool is_held = is_held_by_guard(c, a, why);
    if (!a->is_listed) {
        PH_ASSERT(c->presence.damped > 0);
        c->presence.damped--;
        release(c, a);
    } else if (is_held && make_ghost(c, a, why)) {
        return;
    } else {
        unlist(c, a, why);
    }
    forget(c, a);
}

void presence_bury(center *c, account *ghost)
{
    PH_ASSERT(ghost->session == NULL);
    PH_ASSERT(ghost->hold != NULL);
    end_ghost(c, ghost);
}

void presence_show(center *c, account *a)
{
    uint8_t state = (uint8_t)account_state(a);
    if (a->entry[ENTRY_STATE_AT] != state || phi_list_is_linked(&a->untold)) {
        a->entry[ENTRY_STATE_AT] = state;
        changed(c, a);
    }
}

ph_err presence_replace(center *c, account *a, phi_bytes entry)
{
    PH_ASSERT(entry.size <= PHI_ENTRY_BYTES_MAX);
    if (is_same_but_state(a, entry)) {
        a->own_state = entry.data[ENTRY_STATE_AT];
        uint8_t state = (uint8_t)account_state(a);
        if (a->entry[ENTRY_STATE_AT] != state) {
            a->entry[ENTRY_STATE_AT] = state;
            says(c, a);
        }
        return PH_OK;
    }
    size_t size_before = a->entry_size;
    ph_err rc = account_set_entry(&c->registry, a, entry);
    if (rc != PH_OK) {
        return rc;
    }
    if (a->is_listed) {
        c->presence.table_bytes += a->entry_size;
        c->presence.table_bytes -= size_before;
    }
    says(c, a);
    return PH_OK;
}

void presence_suspect(center *c, account *a, bool is_suspect)
{
    PH_ASSERT(a->session != NULL);
    set_suspect(c, a, is_suspect);
    presence_show(c, a);
}

// ---- the list

static void list(center *c, account *a)
{
    list_here(c, a);
    replica_tell_line(c, a, MAIL_LISTED);
}

static void unlist(center *c, account *a, phi_why why)
{
    unlist_here(c, a, why);
    replica_tell_name(c, a, MAIL_UNLISTED, why);
}

static void forget(center *c, account *a)
{
    replica_tell_name(c, a, MAIL_REMOVED, PHI_WHY_NONE);
    registry_remove(&c->registry, &a);
}

static void list_here(center *c, account *a)
{
    presence *p = &c->presence;
    PH_ASSERT(!a->is_listed);
    PH_ASSERT(a->entry[ENTRY_WHAT_AT] == PHI_WHAT_ONLINE);
    a->is_listed = true;
    a->line.since = presence_log_revive(&p->log, account_name(a), account_entry(a));
    a->line.listed = presence_revision(p) + 1;
    p->table_bytes += listed_bytes(a);
    p->listed++;
    if (a->service != NULL) {
        a->service->listed_count++;
    }
    p->suspects += a->is_suspect;
    changed_here(c, a);
}

static void unlist_here(center *c, account *a, phi_why why)
{
    presence *p = &c->presence;
    PH_ASSERT(a->is_listed);
    PH_ASSERT(p->listed > 0);
    PH_ASSERT(p->table_bytes >= listed_bytes(a));
    // Who it was is enough here: a watcher that was told of it knows the rest.
    uint8_t bytes[PHI_ENTRY_FIXED_BYTES + 1 + PHI_ID_BYTES_MAX + 1 + PHI_NAME_BYTES_MAX];
    phi_writer w = phi_writer_of((phi_span){ bytes, sizeof bytes });
    phi_entry_encode(&w, &(phi_entry){
                             .what = PHI_WHAT_OFFLINE,
                             .reason = (uint8_t)why,
                             .type = a->entry[ENTRY_TYPE_AT],
                             .state = PHI_STATE_DOWN,
                             .session = entry_session(a->entry),
                             .id = account_id(a),
                             .service = account_service(a),
                         });
    PH_ASSERT(!w.failed);
    presence_log_bury(&p->log, &a->line, a->name_size, phi_writer_view(&w));
    p->table_bytes -= listed_bytes(a);
    p->listed--;
    set_suspect(c, a, false);
    a->is_listed = false;
    phi_list_remove(&a->untold);
    if (a->service != NULL) {
        PH_ASSERT(a->service->listed_count > 0);
        a->service->listed_count--;
    }
    service_refresh(a, c->io->now);
    c->counters.presence_changes_total++;
    watch_touch(c, bytes);
}

// Its line is another. Nobody is told of one that is not listed.
static void changed(center *c, account *a)
{
    changed_here(c, a);
    replica_tell_line(c, a, MAIL_CHANGED);
}

static void changed_here(center *c, account *a)
{
    service_refresh(a, c->io->now);
    phi_list_remove(&a->untold);
    if (a->is_listed) {
        presence *p = &c->presence;
        presence_log_put(&p->log, &a->line);
        phi_put_u64(a->entry + ENTRY_REVISION_AT, a->line.revision);
        c->counters.presence_changes_total++;
        watch_touch(c, a->entry);
    }
}

// The same when the client has said so itself. One that does so again and again is told of late:
// what it said last. Whether it is chosen follows at once.
static void says(center *c, account *a)
{
    const phi_dur pace = phi_ms(CENTER_PRESENCE_PACE_MS);
    presence *p = &c->presence;
    phi_time now = c->io->now;
    if (phi_time_before(a->calm, now)) {
        a->calm = now;
    }
    if (!a->is_listed || phi_time_diff(a->calm, now).ns < c->options.own_changes_max * pace.ns) {
        a->calm = phi_time_add(a->calm, pace);
        changed(c, a);
        return;
    }
    service_refresh(a, now);
    phi_put_u64(a->entry + ENTRY_REVISION_AT, a->line.revision);
    if (!phi_list_is_linked(&a->untold)) {
        phi_list_append(&p->untold, &a->untold);
    }
    if (!phi_timer_is_set(&p->tell)) {
        phi_timer_set(&c->io->timers, &p->tell, phi_time_add(now, pace));
    }
}

static void on_tell(phi_timer *timer, phi_time now)
{
    (void)now;
    center *c = PHI_CONTAINER_OF(timer, center, presence.tell);
    while (!phi_list_is_empty(&c->presence.untold)) {
        account *a = PHI_CONTAINER_OF(c->presence.untold.next, account, untold);
        a->calm = phi_time_add(a->calm, phi_ms(CENTER_PRESENCE_PACE_MS));
        changed(c, a);
    }
}

// Nor is the revision looked at, which the new one does not have yet.
static bool is_same_but_state(const account *a, phi_bytes entry)
{
    enum { TEXT_AT = ENTRY_REVISION_AT + sizeof(uint64_t) };
    return entry.size == a->entry_size &&
           memcmp(entry.data + TEXT_AT, a->entry + TEXT_AT, entry.size - TEXT_AT) == 0;
}

// What it may take in a list.
static size_t listed_bytes(const account *a)
{
    return (size_t)a->entry_size + ENTRY_ROUND_TRIP_BYTES;
}

static void set_suspect(center *c, account *a, bool is_suspect)
{
    uint32_t *suspects = &c->presence.suspects;
    if (a->is_listed && a->is_suspect != is_suspect) {
        PH_ASSERT(is_suspect || *suspects > 0);
        *suspects += is_suspect ? 1u : UINT32_MAX;
    }
    a->is_suspect = is_suspect;
}

// ---- ghosts and the damped

// It did not mean to go. [P-49]
static bool is_loss(phi_why why)
{
    return why == PHI_WHY_CONNECTION_LOST || why == PHI_WHY_HEARTBEAT_TIMEOUT ||
           why == PHI_WHY_PROTOCOL_ERROR || why == PHI_WHY_SLOW_CONSUMER;
}

// The guard of its service counts the loss, and does not believe it. Only such losses count as may
// be the network's.
static bool is_held_by_guard(center *c, const account *a, phi_why why)
{
    service *v = a->service;
    if (v == NULL || (why != PHI_WHY_CONNECTION_LOST && why != PHI_WHY_HEARTBEAT_TIMEOUT)) {
        return false;
    }
    PH_ASSERT(v->instance_count > v->ghost_count); // `a` is one, and no ghost
    uint32_t left = v->instance_count - v->ghost_count - 1;
    return phi_guard_lost(&v->guard, &c->presence.rule, left, c->io->now);
}

// False: no memory, or as many ghosts as there may be clients: else they would take the places of
// those who join. It goes as any other.
static bool make_ghost(center *c, account *a, phi_why why)
{
    PH_ASSERT(a->is_listed);
    if (c->presence.ghosts >= c->options.connections_max) {
        return false;
    }
    phi_time until = phi_time_add(c->io->now, phi_ms(c->options.guard_hold));
    if (!hold(c, a, until, why)) {
        return false;
    }
    service *v = a->service;
    if (v->ghost_count == 0) {
        c->counters.guard_trips_total++;
        CENTER_LOG_WRITE(c, GUARD, PHI_LOG_TEXT("service", service_name(v)),
                         PHI_LOG_NUMBER("instances", v->instance_count));
    }
    v->ghost_count++;
    c->presence.ghosts++;
    c->counters.guard_holds_total++;
    set_suspect(c, a, true);
    presence_show(c, a);
    service_refresh(a, c->io->now); // it may have been suspect before
    return true;
}

static void end_ghost(center *c, account *a)
{
    service *v = a->service;
    PH_ASSERT(v->ghost_count > 0);
    PH_ASSERT(c->presence.ghosts > 0);
    v->ghost_count--;
    c->presence.ghosts--;
    if (v->ghost_count == 0) {
        CENTER_LOG_WRITE(c, GUARD_OVER, PHI_LOG_TEXT("service", service_name(v)),
                         PHI_LOG_NUMBER("instances", v->instance_count - 1u));
    }
    phi_why why = a->hold->why;
    release(c, a);
    unlist(c, a, why);
    forget(c, a);
}

// False: no memory.
static bool hold(center *c, account *a, phi_time until, phi_why why)
{
    PH_ASSERT(a->hold == NULL);
    presence_hold *h = phi_take(center_alloc(c, CENTER_MEMORY_PRESENCE), sizeof *h);
    if (h == NULL) {
        return false;
    }
    *h = (presence_hold){ .center = c, .account = a, .why = why };
    phi_timer_init(&h->timer, on_hold_over);
    phi_timer_set(&c->io->timers, &h->timer, until);
    a->hold = h;
    return true;
}

static void release(center *c, account *a)
{
    presence_hold *h = a->hold;
    if (h != NULL) {
        phi_timer_clear(&c->io->timers, &h->timer);
        phi_give(center_alloc(c, CENTER_MEMORY_PRESENCE), h, sizeof *h);
        a->hold = NULL;
    }
}

static void on_hold_over(phi_timer *timer, phi_time now)
{
    (void)now;
    presence_hold *h = PHI_CONTAINER_OF(timer, presence_hold, timer);
    center *c = h->center;
    account *a = h->account;
    PH_ASSERT(a->hold == h);
    if (a->session == NULL) {
        end_ghost(c, a);
        return;
    }
    PH_ASSERT(c->presence.damped > 0);
    c->presence.damped--;
    release(c, a);
    CENTER_LOG_WRITE(c, CALM, PHI_LOG_TEXT("id", account_id(a)));
    list(c, a);
}

// ---- following

ph_err presence_follow_line(center *c, account *a, const presence_line_told *told)
{
    PH_ASSERT(told->is_new != a->is_listed || !told->is_new);
    uint8_t bytes[PHI_ENTRY_BYTES_MAX];
    memcpy(bytes, told->entry.data, told->entry.size);
    bytes[ENTRY_STATE_AT] = told->own_state;
    size_t size_before = a->entry_size;
    ph_err rc = account_set_entry(&c->registry, a, phi_bytes_of(bytes, told->entry.size));
    if (rc != PH_OK) {
        return rc;
    }
    if (a->is_listed) {
        c->presence.table_bytes += a->entry_size;
        c->presence.table_bytes -= size_before;
    }
    set_suspect(c, a, told->is_suspect);
    a->is_drained = told->is_drained;
    // As the first worker sees it: it may not know yet that its session is over.
    a->entry[ENTRY_STATE_AT] = told->entry.data[ENTRY_STATE_AT];
    if (told->is_new) {
        list_here(c, a);
    } else {
        changed_here(c, a);
    }
    PH_ASSERT(!a->is_listed || entry_revision(told->entry.data) == a->line.revision);
    return PH_OK;
}

void presence_follow_gone(center *c, account *a, phi_why why)
{
    unlist_here(c, a, why);
}

void presence_check(const center *c)
{
    const presence *p = &c->presence;
    presence_log_check(&p->log);
    uint32_t listed = 0;
    uint32_t suspects = 0;
    uint32_t ghosts = 0;
    uint32_t damped = 0;
    size_t bytes = 0;
    uint32_t index = 0;
    uint64_t handle;
    const account *a;
    for (; (a = phi_slots_next(&c->registry.accounts, &index, &handle)) != NULL; index++) {
        listed += a->is_listed;
        suspects += a->is_listed && a->is_suspect;
        bytes += a->is_listed ? listed_bytes(a) : 0u;
        if (!workers_decide(&c->workers)) {
            continue; // it may know less than the first worker, or more
        }
        ghosts += a->session == NULL;
        damped += a->session != NULL && !a->is_listed;
        PH_ASSERT((a->hold != NULL) == (a->session == NULL || !a->is_listed));
        PH_ASSERT(a->session != NULL || a->is_listed);
        PH_ASSERT(a->session != NULL || a->is_suspect);
        PH_ASSERT(a->entry[ENTRY_STATE_AT] == account_state(a));
        PH_ASSERT(a->is_listed || !phi_list_is_linked(&a->untold));
        if (a->is_listed) {
            PH_ASSERT(phi_get_u64(a->entry + ENTRY_REVISION_AT) == a->line.revision);
            PH_ASSERT(a->line.revision <= p->log.last);
        }
    }
    PH_ASSERT(listed == p->listed);
    PH_ASSERT(suspects == p->suspects);
    PH_ASSERT(ghosts == p->ghosts);
    PH_ASSERT(damped == p->damped);
    PH_ASSERT(bytes == p->table_bytes);
}
