// SPDX-License-Identifier: Apache-2.0
//
// center/watch.c - see watch.h.
//
// Design notes
//   - A list is cut from the live table, not from a copy. It walks the slots by index, so who comes
//     and goes meanwhile is on a page or not; the changes that follow say the rest.
//   - Between two changes that concern its audience, a watcher's revision is not moved: nothing has
//     to be done for it. Where it really stands follows when its audience is touched (`from`). An
//     audience is roused as a whole, so nobody is looked at before it is told.
//   - A turn tells a few, so that calls come between; and what one of them is made of is still in
//     a near cache when its packet is written, at the end of the turn.
//   - An audience with a filter remembers its last few changes, so that its watchers find them
//     without looking at those of all others. Who needs older ones looks at the log, or, when the
//     service is small, is sent the list, which is less.
//
// Invariants
//   - a watch is on exactly one of its audience's `current` and `roused`, behind, blocked
//   - on `current`: what its audience was told before `from` (or, untouched, ever) is queued
//   - on `roused`: what its audience was told before `roused_from` is queued
//   - told <= place <= the last revision, unless it is being sent a list
//   - acked <= marked

#include "center/watch.h"

#include <string.h>

#include "base/assert.h"
#include "center/drain.h"
#include "center/entry.h"
#include "center/state.h"
#include "center/watch_audience.h"

enum {
    // Packets of presence are not longer, so that messages get in between.
    PACKET_BYTES_MAX = 32768,
    // Looking at somebody, or at a change, that a filter does not pass costs as much of a turn as
    // so many bytes: else thousands of filters that nobody passes would each walk the whole table
    // in the same turn.
    PASSED_OVER_BYTES = 64,
    // And so many revisions of the log, mostly empty places, as one such look.
    PLACES_A_LOOK = 16,
    // A service of so many instances may be listed by walking them; a larger one takes pages.
    WALK_MAX = 256,
    // And so many as what a watcher may see is looked at again.
    SIGHT_BYTES = 4096,
    // A mark is a revision, and behind it which ask it is about: session.ask_count.
    MARK_SHIFT = 8,
    // Who lacks no more revisions than that is never sent a list instead.
    STRETCH_SMALL = 64,
    // Telling one watcher takes about 5 us; presence is not to take more than a quarter of time.
    REST_NS = 20000,
    REST_NS_MIN = 1000000, // what is less is not worth a timer
};
PH_STATIC_ASSERT(PACKET_BYTES_MAX >= PHI_PAGE_HEAD_BYTES + PHI_ENTRY_BYTES_MAX);
PH_STATIC_ASSERT(PACKET_BYTES_MAX >= PHI_STATUS_HEAD_BYTES + PHI_ENTRY_BYTES_MAX);

// A stretch of changes as an audience gets it, and of which.
struct watch_batch {
    const watch_audience *audience; // NULL: nothing is here
    uint64_t after;
    bool has_all;  // also those of whom nobody who was told up to `after` can know
    uint64_t last; // of the log when it was made
    uint64_t end;  // behind the last change that fits
    uint16_t count;
    size_t looks;    // lines that did not pass
    uint64_t places; // of the log that were looked at; most are empty where somebody changes a lot
    uint64_t epoch;  // in the head
    uint64_t told;   // same
    size_t size;     // of the entries
    phi_transport_shared shared;     // all of it; without a payload: its head is to be written
    uint8_t bytes[PACKET_BYTES_MAX]; // the head, and the entries
};

// What became of an attempt to tell a watcher something.
typedef enum outcome {
    TOLD_ALL,
    TOLD_SOME,
    NO_ROOM,
} outcome;

static ph_err begin(center *c, session *s, const phi_presence_ask *ask, uint64_t acked_max);
static void unsight(center *c, watch *w);
static void leave_audience(center *c, watch_audience *u);
static void sight(center *c, watch *w);
static bool sees(const center *c, const watch *w, phi_bytes name, phi_bytes serves);
static bool passes(const center *c, const watch *w, const uint8_t *entry);
static void rouse(center *c);
static void on_rested(phi_timer *timer, phi_time now);
static void ask_to_confirm(const watches *all, watch *w);

static outcome tell(center *c, watch *w, size_t *bytes);
static outcome tell_page(center *c, watch *w, size_t *bytes);
static outcome tell_status(center *c, watch *w, size_t *bytes);
static void write_head(watch_batch *b, const watch *w);
static bool is_list_less(center *c, const watch *w, size_t *bytes);
static bool lacks_more(center *c, uint64_t after, size_t *bytes);
static void list_begin(center *c, watch *w);

static uint16_t write_list(center *c, watch *w, phi_writer *out, bool *is_last, size_t *bytes);
static bool write_instances(const center *c, const watch *w, phi_writer *out, uint16_t *count);
static bool write_online(const account *a, phi_writer *out);
static watch_batch *batch_of(center *c, const watch *w);
static bool write_change(watch_batch *b, const presence_line *line);
static phi_bytes entry_of(const presence_line *line);

// ---- life

ph_err watches_init(watches *all, phi_io *io, const phi_alloc *alloc, phi_hash_key key,
                    uint32_t count_max)
{
    *all = (watches){ .io = io, .alloc = alloc };
    all->batch = phi_take(alloc, sizeof *all->batch);
    if (all->batch == NULL) {
        return PH_ENOMEM;
    }
    all->batch->audience = NULL;
    phi_map_init(&all->audiences, alloc, key, count_max);
    phi_list_init(&all->roles);
    phi_list_init(&all->touched);
    phi_list_init(&all->roused);
    phi_list_init(&all->behind);
    phi_list_init(&all->blocked);
    phi_timer_init(&all->rested, on_rested);
    return PH_OK;
}

void watches_fini(watches *all)
{
    if (all->io == NULL) {
        return;
    }
    PH_ASSERT(all->count == 0);
    PH_ASSERT(all->audiences.count == 0);
    phi_timer_clear(&all->io->timers, &all->rested);
    phi_map_fini(&all->audiences);
    phi_give(all->alloc, all->batch, sizeof *all->batch);
    *all = (watches){ .io = NULL };
}

ph_err watch_begin(center *c, session *s, const phi_presence_ask *ask)
{
    return begin(c, s, ask, UINT64_MAX);
}

// Who resumes has acknowledged what it says that it knows, but no more than `acked_max`.
static ph_err begin(center *c, session *s, const phi_presence_ask *ask, uint64_t acked_max)
{
    watches *all = &c->presence.watches;
    PH_ASSERT(session_is(s, SESSION_JOINED));
    PH_ASSERT(ask->service.size <= UINT8_MAX); // not judged: what is no name fits nobody (P-38)
    if (!ask->wants) {
        watch_end(c, s);
        return PH_OK;
    }
    role *r = guard_role(c, s);
    watch_audience *u = watch_audience_join(c, r, ask);
    watch *w = u == NULL ? NULL : phi_take(center_alloc(c, CENTER_MEMORY_PRESENCE), sizeof *w);
    if (w == NULL) {
        if (u != NULL) {
            leave_audience(c, u);
        }
        return PH_ENOMEM;
    }
    uint64_t epoch = watch_epoch(c, s);
    bool resumes =
        ask->last_epoch == epoch && presence_log_holds(&c->presence.log, ask->last_revision);
    // Until its list is there it may show anything: what it knew of another epoch, or by another
    // filter.
    uint64_t acked = resumes ? ask->last_revision : 0;
    acked = acked < acked_max ? acked : acked_max;
    watch_end(c, s);
    *w = (watch){ .owner = s, .audience = u, .epoch = epoch, .marked = acked, .acked = acked };
    w->sees_itself = !guard_sees(c, r, session_account(s), session_service(s)) &&
                     watch_audience_wants(u, s->account->entry[ENTRY_TYPE_AT], session_service(s));
    drain_on_watch(c, w);
    if (resumes) {
        w->place = ask->last_revision;
        w->shown = presence_revision(&c->presence);
        w->told = ask->last_revision;
        w->is_late = true;
        c->counters.presence_resumes_total++;
    } else {
        list_begin(c, w);
    }
    watch_move(w, STANDS_BEHIND, &all->behind);
    all->count++;
    s->watch = w;
    phi_io_hurry(c->io);
    return PH_OK;
}

void watch_end(center *c, session *s)
{
    watch *w = s->watch;
    if (w == NULL) {
        return;
    }
    watches *all = &c->presence.watches;
    PH_ASSERT(w->owner == s);
    PH_ASSERT(all->count > 0);
    drain_on_ack(c, w, w->acked, UINT64_MAX);
    phi_list_remove(&w->node);
    leave_audience(c, w->audience);
    phi_give(center_alloc(c, CENTER_MEMORY_PRESENCE), w, sizeof *w);
    s->watch = NULL;
    all->count--;
}

static void leave_audience(center *c, watch_audience *u)
{
    watch_batch *batch = c->presence.watches.batch;
    if (u->count == 1 && batch->audience == u) {
        batch->audience = NULL; // u goes
    }
    watch_audience_leave(c, u);
}

// ---- what it may see

void watch_unsight(center *c)
{
    watches *all = &c->presence.watches;
    uint32_t index = 0;
    uint64_t handle;
    session *s;
    for (; all->count != 0 && (s = phi_slots_next(&c->sessions, &index, &handle)) != NULL;
         index++) {
        if (s->watch != NULL) {
            unsight(c, s->watch);
        }
    }
}

void watch_unsight_one(center *c, session *s)
{
    if (s->watch != NULL) {
        unsight(c, s->watch);
    }
}

static void unsight(center *c, watch *w)
{
    if (w->is_unsighted) {
        return;
    }
    // It is waited for until it is known whether it sees whom it wants: a client without room may
    // be told of other rules much later, and shows meanwhile what it was told by those before.
    drain_on_ack(c, w, w->acked, UINT64_MAX);
    w->is_unsighted = true;
    drain_on_watch(c, w);
    if (w->standing != STANDS_BLOCKED) {
        watch_move(w, STANDS_BEHIND, &c->presence.watches.behind);
    }
    phi_io_hurry(c->io);
}

// Another watch takes its place, which goes on from where it is when it sees what it saw.
static void sight(center *c, watch *w)
{
    session *s = w->owner;
    const watch_audience *u = w->audience;
    uint8_t serves[UINT8_MAX];
    phi_bytes wanted = watch_audience_service(u);
    memcpy(serves, wanted.data, wanted.size);
    phi_presence_ask ask = { .wants = true, .service = phi_bytes_of(serves, wanted.size) };
    if (watch_audience_type(u) == WATCH_TYPE_NOBODY) {
        ask.domain = phi_bytes_text("."); // that is none
    } else {
        ask.type = watch_audience_type(u);
    }
    bool goes_on = w->has_begun && !w->is_listing && w->epoch == watch_epoch(c, s);
    if (goes_on) {
        ask.last_epoch = w->epoch;
        ask.last_revision = w->told;
    }
    if (begin(c, s, &ask, w->acked) != PH_OK) {
        session_end(c, s, PHI_BYE_INTERNAL, 0, "no memory");
    }
}

uint64_t watch_epoch(center *c, session *s)
{
    return phi_epoch_of(c->presence.epoch, guard_sight(c, guard_role(c, s)));
}

// It sees that one, by its role, or because it is itself.
static bool sees(const center *c, const watch *w, phi_bytes name, phi_bytes serves)
{
    return guard_sees(c, w->audience->role, name, serves) ||
           phi_bytes_equal(name, session_account(w->owner));
}

static bool passes(const center *c, const watch *w, const uint8_t *entry)
{
    phi_bytes serves = entry_service(entry);
    return watch_audience_wants(w->audience, entry[ENTRY_TYPE_AT], serves) &&
           (PHI_LIKELY(w->audience->role == NULL) || sees(c, w, center_name_of(c, entry), serves));
}

void watch_touch_self(center *c, const uint8_t *entry)
{
    watches *all = &c->presence.watches;
    const session *s = session_find(c, center_name_of(c, entry));
    watch *w = s == NULL ? NULL : s->watch;
    if (w == NULL || !w->sees_itself || w->standing != STANDS_WITH_OTHERS || w->is_unsighted ||
        phi_list_is_linked(&w->audience->node)) {
        return; // it does not want it, or is told anyway, from where it is
    }
    const watch_audience *u = w->audience;
    uint64_t before = presence_revision(&c->presence) - 1;
    // It may be one of those who were roused, and lack what they lack.
    watch_stand_at_least(w, phi_list_is_empty(&u->roused) ? before : u->roused_from);
    watch_move(w, STANDS_BEHIND, &all->behind);
}

void watch_confirm(center *c, uint64_t revision)
{
    watches *all = &c->presence.watches;
    PH_ASSERT(revision != 0);
    PH_ASSERT(revision <= presence_revision(&c->presence));
    all->confirm = all->confirm > revision ? all->confirm : revision;
    uint32_t index = 0;
    uint64_t handle;
    session *s;
    for (; (s = phi_slots_next(&c->sessions, &index, &handle)) != NULL; index++) {
        if (s->watch != NULL) {
            ask_to_confirm(all, s->watch);
        }
    }
}

// When it was told of what is to be acknowledged, and was not asked yet.
static void ask_to_confirm(const watches *all, watch *w)
{
    if (w->marked < all->confirm && w->told >= all->confirm && !w->is_listing) {
        w->marked = w->told;
        phi_transport_confirm(&w->owner->transport, w->told << MARK_SHIFT | w->owner->ask_count);
    }
}

void watch_confirmed(center *c, session *s, uint64_t mark)
{
    watch *w = s->watch;
    if ((mark & ((UINT64_C(1) << MARK_SHIFT) - 1)) != s->ask_count) {
        return; // it asked anew before it read that, and may have thrown it away
    }
    uint64_t revision = mark >> MARK_SHIFT;
    if (w != NULL && w->acked < revision && revision <= w->marked) {
        uint64_t before = w->acked;
        w->acked = revision;
        drain_on_ack(c, w, before, revision);
    }
}

void watch_confirm_end(center *c)
{
    c->presence.watches.confirm = 0;
}

uint64_t watch_acked(const watch *w)
{
    return w->acked;
}

void watch_on_room(center *c, session *s)
{
    watch *w = s->watch;
    if (w != NULL && w->standing == STANDS_BLOCKED) {
        w->is_late = w->has_begun && !w->is_listing;
        watch_move(w, STANDS_BEHIND, &c->presence.watches.behind);
        phi_io_hurry(c->io);
    }
}

// ---- telling

void watch_turn(center *c)
{
    watches *all = &c->presence.watches;
    if (!phi_list_is_empty(&all->touched)) {
        rouse(c);
    }
    all->is_for_behind = !all->is_for_behind;
    size_t bytes = 0;
    watch *w;
    for (uint32_t told = 0; (w = watch_next(all)) != NULL; told++) {
        if (bytes >= CENTER_PRESENCE_TURN_BYTES_MAX || told == CENTER_PRESENCE_TURN_WATCHERS_MAX) {
            phi_io_hurry(c->io);
            break;
        }
        if (PHI_UNLIKELY(w->is_unsighted)) {
            phi_list_remove(&w->node); // another takes its place, or its session ends
            sight(c, w);
            bytes += SIGHT_BYTES;
            continue;
        }
        switch (tell(c, w, &bytes)) {
        case TOLD_ALL:
            watch_move(w, STANDS_WITH_OTHERS, &w->audience->current);
            break;
        case TOLD_SOME:
            watch_move(w, STANDS_BEHIND, &all->behind);
            break;
        case NO_ROOM:
            watch_move(w, STANDS_BLOCKED, &all->blocked);
            break;
        }
    }
}

// Audiences for which there are changes are roused, unless changes are being gathered.
static void rouse(center *c)
{
    watches *all = &c->presence.watches;
    phi_time now = c->io->now;
    if (phi_time_before(now, all->rest_until)) {
        phi_timer_set(&c->io->timers, &all->rested, all->rest_until);
        return;
    }
    uint64_t count = 0;
    phi_list *node;
    while ((node = phi_list_take(&all->touched)) != NULL) {
        watch_audience *u = PHI_CONTAINER_OF(node, watch_audience, node);
        // Those who still are to be told of what was before know less than the others.
        u->roused_from = phi_list_is_empty(&u->roused) ? u->from : u->roused_from;
        phi_list_append_all(&u->roused, &u->current);
        phi_list_remove(&u->of_roused);
        phi_list_append(&all->roused, &u->of_roused);
        count += u->count;
    }
    uint64_t rest_ns = count * REST_NS;
    rest_ns = rest_ns < phi_ms(WATCH_GATHER_MS).ns ? rest_ns : phi_ms(WATCH_GATHER_MS).ns;
    if (rest_ns >= REST_NS_MIN) {
        all->rest_until = phi_time_add(now, phi_ns(rest_ns));
    }
}

static void on_rested(phi_timer *timer, phi_time now)
{
    (void)now;
    watches *all = PHI_CONTAINER_OF(timer, watches, rested);
    phi_io_hurry(all->io);
}

// Queues at most one packet; adds to *bytes its size, and what was passed over for it.
static outcome tell(center *c, watch *w, size_t *bytes)
{
    phi_transport *t = &w->owner->transport;
    if (!phi_link_is_roomy(&t->link)) {
        phi_transport_want_room(t);
        return NO_ROOM;
    }
    // A list that is not finished is no better: the changes since it began are lost for it, too.
    bool is_lost =
        !(w->is_listing && !w->has_begun) && !presence_log_holds(&c->presence.log, w->place);
    if (is_lost || (w->is_late && is_list_less(c, w, bytes))) {
        list_begin(c, w);
    }
    w->is_late = false;
    outcome o = w->is_listing ? tell_page(c, w, bytes) : tell_status(c, w, bytes);
    ask_to_confirm(&c->presence.watches, w);
    return o;
}

static outcome tell_page(center *c, watch *w, size_t *bytes)
{
    presence *p = &c->presence;
    size_t size = PHI_PAGE_HEAD_BYTES + p->table_bytes;
    size = size < PACKET_BYTES_MAX ? size : PACKET_BYTES_MAX;
    uint8_t *room = phi_transport_begin(&w->owner->transport, size);
    if (room == NULL) {
        return NO_ROOM;
    }
    // An ask makes a new watch, so this is the count of the ask that the list answers.
    uint8_t asks = (uint8_t)(w->owner->ask_count << PHI_PAGE_ASKS_SHIFT);
    phi_page page = { .epoch = w->epoch, .flags = asks };
    if (!w->has_begun) {
        page.flags |= PHI_PAGE_FIRST;
        w->place = presence_revision(p);
        w->has_begun = true;
    }
    phi_writer entries =
        phi_writer_of((phi_span){ room + PHI_PAGE_HEAD_BYTES, size - PHI_PAGE_HEAD_BYTES });
    bool is_last = false;
    page.count = write_list(c, w, &entries, &is_last, bytes);
    page.entries = phi_writer_view(&entries);
    page.revision = w->place;
    w->shown = presence_revision(p);
    if (is_last) {
        page.flags |= PHI_PAGE_LAST;
        w->is_listing = false;
        w->told = w->place;
    }
    phi_writer head = phi_writer_of((phi_span){ room, PHI_PAGE_HEAD_BYTES });
    phi_page_encode_head(&head, &page);
    PH_ASSERT(!head.failed);
    PH_ASSERT(phi_writer_size(&head) == PHI_PAGE_HEAD_BYTES);
    size = PHI_PAGE_HEAD_BYTES + phi_writer_size(&entries);
    phi_transport_commit(&w->owner->transport, PHI_COMMAND_ONLINE_LIST, size);
    *bytes += size;
    return is_last && w->place == presence_revision(p) ? TOLD_ALL : TOLD_SOME;
}

static outcome tell_status(center *c, watch *w, size_t *bytes)
{
    presence *p = &c->presence;
    watch_batch *b = batch_of(c, w);
    *bytes += b->looks * PASSED_OVER_BYTES + b->places;
    if (b->count == 0 && w->has_begun) {
        PH_ASSERT(b->end == presence_revision(p));
        w->place = b->end;
        return TOLD_ALL;
    }
    if (b->shared.payload.size == 0 || b->epoch != w->epoch || b->told != w->told) {
        write_head(b, w);
    }
    if (!phi_transport_put_shared(&w->owner->transport, &b->shared)) {
        return NO_ROOM;
    }
    *bytes += b->shared.payload.size;
    w->place = w->told = b->end;
    w->has_begun = true;
    return b->end == presence_revision(p) ? TOLD_ALL : TOLD_SOME;
}

// Mostly those who lack the same were told the same.
static void write_head(watch_batch *b, const watch *w)
{
    const phi_status status = {
        .epoch = w->epoch,
        .previous = w->told,
        .revision = b->end,
        .count = b->count,
        .entries = phi_bytes_of(b->bytes + PHI_STATUS_HEAD_BYTES, b->size),
    };
    phi_writer out = phi_writer_of((phi_span){ b->bytes, PHI_STATUS_HEAD_BYTES });
    phi_status_encode_head(&out, &status);
    PH_ASSERT(phi_writer_size(&out) == PHI_STATUS_HEAD_BYTES);
    b->epoch = w->epoch;
    b->told = w->told;
    phi_bytes all = phi_bytes_of(b->bytes, PHI_STATUS_HEAD_BYTES + b->size);
    b->shared = (phi_transport_shared){ .code = PHI_COMMAND_ONLINE_STATUS, .payload = all };
}

// Whether it had better be sent the list than what it lacks: that is more when many left for good,
// because a list is silent about them; or finding it takes longer than sending the list.
static bool is_list_less(center *c, const watch *w, size_t *bytes)
{
    const presence *p = &c->presence;
    const watch_audience *u = w->audience;
    uint64_t stretch = presence_revision(p) - w->place;
    if (stretch <= STRETCH_SMALL) {
        return false;
    }
    if (u->service_size != 0) {
        const service *v = services_find(&c->registry.services, watch_audience_service(u));
        uint64_t instances = v == NULL ? 0 : v->instance_count;
        return w->place < u->recent_after && instances < stretch / STRETCH_SMALL;
    }
    return p->log.gone_count != 0 && lacks_more(c, w->place, bytes);
}

// Whether what changed after that revision is more than the list. Those who were cut at the same
// time come back with the same revision, so it is counted once for all of them.
static bool lacks_more(center *c, uint64_t after, size_t *bytes)
{
    const presence *p = &c->presence;
    watches *all = &c->presence.watches;
    if (all->judged_after == after && all->judged_last == p->log.last) {
        return all->lacks_more;
    }
    size_t lacks = 0;
    for (uint64_t r = after + 1; r <= p->log.last && lacks <= p->table_bytes; r++) {
        const presence_line *line = presence_log_at(&p->log, r);
        if (line != NULL && (!line->is_gone || line->since <= after)) {
            lacks += entry_of(line).size;
        }
    }
    *bytes += (size_t)(p->log.last - after) / PLACES_A_LOOK * PASSED_OVER_BYTES;
    all->judged_after = after;
    all->judged_last = p->log.last;
    all->lacks_more = lacks > p->table_bytes;
    return all->lacks_more;
}

// The place is set when the first page is cut.
static void list_begin(center *c, watch *w)
{
    w->is_listing = true;
    w->has_begun = false;
    w->list_index = 0;
    c->counters.presence_lists_total++;
}

// ---- what is written

// Fills a page with those online from w->list_index on; adds to *bytes for those passed over.
static uint16_t write_list(center *c, watch *w, phi_writer *out, bool *is_last, size_t *bytes)
{
    uint16_t count = 0;
    if (w->list_index == 0 && write_instances(c, w, out, &count)) {
        *is_last = true;
        return count;
    }
    uint64_t handle;
    const account *a;
    while ((a = phi_slots_next(&c->registry.accounts, &w->list_index, &handle)) != NULL) {
        if (a->is_listed && passes(c, w, a->entry)) {
            if (!write_online(a, out)) {
                PH_ASSERT(count > 0); // or the page would be the same for ever
                return count;
            }
            count++;
        } else {
            *bytes += PASSED_OVER_BYTES;
        }
        w->list_index++;
    }
    *is_last = true;
    return count;
}

// The whole list of those who want one service, by its instances. False when it does not fit into
// one page, or there is no filter for it; then nothing is written.
static bool write_instances(const center *c, const watch *w, phi_writer *out, uint16_t *count)
{
    const watch_audience *u = w->audience;
    if (watch_audience_type(u) == WATCH_TYPE_NOBODY) {
        return true;
    }
    if (u->service_size == 0) {
        return false;
    }
    const service *v = services_find(&c->registry.services, watch_audience_service(u));
    if (v == NULL) {
        return true;
    }
    if (v->instance_count > WALK_MAX) {
        return false;
    }
    const phi_writer before = *out;
    const phi_list *node = v->instances.next;
    for (; node != &v->instances; node = node->next) {
        const account *a = PHI_CONTAINER_OF(node, account, of_service);
        if (!a->is_listed || !passes(c, w, a->entry)) {
            continue;
        }
        if (!write_online(a, out)) {
            *out = before;
            *count = 0;
            return false;
        }
        (*count)++;
    }
    return true;
}

// False when it does not fit; then nothing is written.
static bool write_online(const account *a, phi_writer *out)
{
    uint32_t round_trip_us = a->session == NULL ? 0 : a->session->transport.link.round_trip_us;
    size_t size = (size_t)a->entry_size + (round_trip_us == 0 ? 0 : ENTRY_ROUND_TRIP_BYTES);
    if ((size_t)(out->end - out->at) < size) {
        return false;
    }
    uint8_t *entry = out->at;
    phi_write_bytes(out, account_entry(a));
    if (round_trip_us != 0) {
        phi_write_field_u32(out, PHI_ENTRY_ROUND_TRIP, round_trip_us);
        phi_put_u16(entry, (uint16_t)size);
    }
    PH_ASSERT(!out->failed);
    return true;
}

// What changed behind the watcher's place, as far as it fits. Those of one audience mostly stand at
// the same place, so it is made once for all of them.
static watch_batch *batch_of(center *c, const watch *w)
{
    const presence_log *log = &c->presence.log;
    const watch_audience *u = w->audience;
    watch_batch *b = c->presence.watches.batch;
    bool has_all = w->shown > w->place;
    // One that sees its own line, and nobody else of its audience does, when that is what changed.
    bool is_alone = w->sees_itself && w->owner->account->line.revision > w->place;
    if (!is_alone && b->audience == u && b->after == w->place && b->has_all == has_all &&
        b->last == log->last) {
        b->looks = 0;
        b->places = 0;
        return b;
    }
    PH_ASSERT(presence_log_holds(log, w->place));
    b->audience = is_alone ? NULL : u;
    b->after = w->place;
    b->has_all = has_all;
    b->last = log->last;
    b->end = log->last;
    b->count = 0;
    b->looks = 0;
    b->places = 0;
    b->size = 0;
    b->shared.payload.size = 0;
    bool has_recent = watch_audience_type(u) == WATCH_TYPE_NOBODY ||
                      (!is_alone && !watch_audience_is_everybody(u) && w->place >= u->recent_after);
    uint64_t cursor = u->recent_count < WATCH_RECENT_MAX ? 0 : u->recent_count - WATCH_RECENT_MAX;
    uint64_t r = w->place;
    while ((r = has_recent ? watch_audience_next(u, &cursor, r) : r + 1) <= log->last) {
        const presence_line *line = presence_log_at(log, r);
        b->places++;
        if (line == NULL) {
            continue;
        }
        if (!passes(c, w, entry_of(line).data)) {
            b->looks++;
        } else if (!write_change(b, line)) {
            b->end = r - 1;
            break;
        }
    }
    b->looks += has_recent ? 0 : (size_t)(b->end - b->after) / PLACES_A_LOOK;
    PH_ASSERT(b->count > 0 || b->end == log->last);
    return b;
}

// False when it does not fit. Who never heard of somebody need not hear that he is gone. But a page
// may have shown somebody who came after the list began, and who comes back may have seen it.
static bool write_change(watch_batch *b, const presence_line *line)
{
    if (line->is_gone && line->since > b->after && !b->has_all) {
        return true;
    }
    phi_bytes entry = entry_of(line);
    if (sizeof b->bytes - PHI_STATUS_HEAD_BYTES - b->size < entry.size) {
        return false;
    }
    uint8_t *copy = b->bytes + PHI_STATUS_HEAD_BYTES + b->size;
    memcpy(copy, entry.data, entry.size);
    if (!line->is_gone && line->listed <= b->after) {
        copy[ENTRY_WHAT_AT] = PHI_WHAT_CHANGED;
    }
    b->size += entry.size;
    b->count++;
    return true;
}

static phi_bytes entry_of(const presence_line *line)
{
    if (line->is_gone) {
        const presence_gone *gone = presence_gone_of(line);
        return phi_bytes_of(gone->entry, gone->entry_size);
    }
    return account_entry(PHI_CONTAINER_OF(line, account, line));
}

bool watch_wants(const center *c, const watch *w, const watch_subject *subject)
{
    return watch_audience_wants(w->audience, subject->type, subject->service) &&
           (w->is_unsighted || sees(c, w, subject->name, subject->service));
}

void watches_check(const center *c)
{
    const watches *all = &c->presence.watches;
    size_t count = 0;
    uint32_t index = 0;
    uint64_t handle;
    const session *s;
    for (; (s = phi_slots_next(&c->sessions, &index, &handle)) != NULL; index++) {
        const watch *w = s->watch;
        if (w == NULL) {
            continue;
        }
        PH_ASSERT(w->owner == s);
        PH_ASSERT(w->audience->count > 0);
        PH_ASSERT(phi_list_is_linked(&w->node));
        PH_ASSERT(w->told <= w->place || w->is_listing);
        PH_ASSERT(w->place <= presence_revision(&c->presence));
        if (!phi_list_is_empty(&w->audience->roused)) {
            PH_ASSERT(phi_list_is_linked(&w->audience->of_roused));
            PH_ASSERT(w->audience->roused_from < presence_revision(&c->presence));
        }
        count++;
    }
    PH_ASSERT(count == all->count);
}
