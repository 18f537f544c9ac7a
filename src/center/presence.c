// SPDX-License-Identifier: Apache-2.0
//
// center/presence.c - see presence.h.
//
// Design notes
//   - A change is encoded once, when it happens, and costs nothing more until the turn ends. Then
//     all who lag are told, each in one packet, however many changes the turn brought: a storm is
//     batched by itself.
//   - A list is cut from the live table, not from a copy. It walks the slots by index, so who comes
//     and goes meanwhile is on a page or not; the changes that follow say the rest.
//   - A watcher with a filter is not told of revisions that bring nothing for it, except now and
//     then, so that it can go on from a place the log still has when it comes back.
//
// Invariants
//   - a watch is on exactly one of current, behind, blocked
//   - on `current`: place is where the log ended when presence_turn last looked (p->seen), or later
//   - told <= place.revision <= the log's last revision

#include "center/presence.h"

#include "base/assert.h"
#include "center/entry.h"
#include "center/state.h"

enum {
    // Packets of presence are not longer, so that messages get in between.
    PACKET_BYTES_MAX = 32768,
    // Looking at somebody, or at a change, that a filter does not pass costs as much of a turn as
    // so many bytes: else thousands of filters that nobody passes would each walk the whole table
    // in the same turn.
    PASSED_OVER_BYTES = 64,
    // Revisions that a filter may swallow before its client is told that they passed.
    SILENT_MAX = 256,
};
PH_STATIC_ASSERT(PACKET_BYTES_MAX >= PHI_PAGE_HEAD_BYTES + PHI_ENTRY_BYTES_MAX);
PH_STATIC_ASSERT(PACKET_BYTES_MAX >= PHI_STATUS_HEAD_BYTES + PHI_ENTRY_BYTES_MAX);

// What one client wants to know, and how far it was told.
struct watch {
    phi_list node; // on presence.current, .behind or .blocked
    session *owner;
    presence_place place; // what stands before it is queued, or on the list that is being sent
    uint64_t told;        // the revision of the page or status queued last
    bool is_listing;      // pages before changes
    bool has_begun;       // the first page, or the first status of one who came back, is queued
    bool is_elsewhere;    // wants another domain: nothing here passes
    uint8_t type;         // 0: any
    uint32_t list_index;  // the account's slot from which the next page goes on
    uint8_t service_size; // 0: any
    uint8_t service[];
};

// What became of an attempt to tell a watcher something.
typedef enum outcome {
    TOLD_ALL,
    TOLD_SOME,
    NO_ROOM,
} outcome;

static void tell_changed(center *c, account *a);
static bool is_same_but_state(const account *a, phi_bytes entry);
static outcome tell(center *c, watch *w, size_t *bytes);
static outcome tell_page(center *c, watch *w, size_t *bytes);
static outcome tell_status(center *c, watch *w, size_t *bytes);
static uint16_t write_list(center *c, watch *w, phi_writer *out, bool *is_last, size_t *bytes);
static bool write_online(const account *a, phi_writer *out);
static uint16_t write_changes(center *c, watch *w, phi_writer *out);
static void skip_filtered(center *c, watch *w);
static bool passes(const watch *w, const uint8_t *entry);
static void list_begin(watch *w);
static void list_all_current(presence *p);
static size_t watch_size(uint8_t service_size);

ph_err presence_init(presence *p, const phi_alloc *alloc, uint64_t epoch, size_t log_bytes)
{
    PH_ASSERT(epoch != 0);
    *p = (presence){ .epoch = epoch };
    phi_list_init(&p->current);
    phi_list_init(&p->behind);
    phi_list_init(&p->blocked);
    return presence_log_init(&p->log, alloc, log_bytes);
}

void presence_fini(presence *p)
{
    PH_ASSERT(p->watch_count == 0);
    presence_log_fini(&p->log);
}

void presence_online(center *c, account *a)
{
    presence *p = &c->presence;
    PH_ASSERT(!a->is_listed);
    PH_ASSERT(a->entry[ENTRY_WHAT_AT] == PHI_WHAT_ONLINE);
    a->is_listed = true;
    phi_put_u64(a->entry + ENTRY_REVISION_AT, presence_revision(p) + 1);
    presence_log_append(&p->log, account_entry(a));
    p->table_bytes += (size_t)a->entry_size + ENTRY_ROUND_TRIP_BYTES;
    c->counters.presence_changes_total++;
    service_refresh(a, c->io->now);
    phi_io_hurry(c->io);
}

void presence_show(center *c, account *a)
{
    uint8_t state = (uint8_t)account_state(a);
    if (a->entry[ENTRY_STATE_AT] != state) {
        a->entry[ENTRY_STATE_AT] = state;
        tell_changed(c, a);
    }
}

ph_err presence_replace(center *c, account *a, phi_bytes entry)
{
    PH_ASSERT(entry.size <= PHI_ENTRY_BYTES_MAX);
    if (is_same_but_state(a, entry)) {
        a->own_state = entry.data[ENTRY_STATE_AT];
        presence_show(c, a);
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
    tell_changed(c, a);
    return PH_OK;
}

void presence_offline(center *c, account *a, phi_why why)
{
    presence *p = &c->presence;
    PH_ASSERT(a->is_listed);
    PH_ASSERT(why != PHI_WHY_NONE);
    // Who it was is enough here: a watcher that was told of it knows the rest.
    uint8_t bytes[PHI_ENTRY_FIXED_BYTES + 1 + PHI_ID_BYTES_MAX + 1 + PHI_NAME_BYTES_MAX];
    phi_writer w = phi_writer_of((phi_span){ bytes, sizeof bytes });
    phi_entry_encode(&w, &(phi_entry){
                             .what = PHI_WHAT_OFFLINE,
                             .reason = (uint8_t)why,
                             .type = a->entry[ENTRY_TYPE_AT],
                             .state = PHI_STATE_DOWN,
                             .session = entry_session(a->entry),
                             .revision = presence_revision(p) + 1,
                             .id = account_id(a),
                             .service = account_service(a),
                         });
    PH_ASSERT(!w.failed);
    presence_log_append(&p->log, phi_writer_view(&w));
    PH_ASSERT(p->table_bytes >= (size_t)a->entry_size + ENTRY_ROUND_TRIP_BYTES);
    p->table_bytes -= (size_t)a->entry_size + ENTRY_ROUND_TRIP_BYTES;
    a->is_listed = false;
    service_refresh(a, c->io->now);
    c->counters.presence_changes_total++;
    phi_io_hurry(c->io);
}

ph_err presence_watch(center *c, session *s, const phi_presence_ask *ask)
{
    presence *p = &c->presence;
    PH_ASSERT(session_is(s, SESSION_JOINED));
    PH_ASSERT(ask->service.size <= UINT8_MAX); // not judged: what is no name fits nobody (P-38)
    if (!ask->wants) {
        presence_unwatch(c, s);
        return PH_OK;
    }
    uint8_t service_size = (uint8_t)ask->service.size;
    watch *w = phi_take(c->io->alloc, watch_size(service_size));
    if (w == NULL) {
        return PH_ENOMEM;
    }
    presence_unwatch(c, s);
    *w = (watch){
        .owner = s,
        .type = ask->type,
        .is_elsewhere = ask->domain.size != 0 && !phi_bytes_equal(ask->domain, center_domain(c)),
        .service_size = service_size,
    };
    if (service_size != 0) {
        memcpy(w->service, ask->service.data, service_size);
    }
    if (ask->last_epoch == p->epoch && presence_log_find(&p->log, ask->last_revision, &w->place)) {
        w->told = ask->last_revision;
        c->counters.presence_resumes_total++;
    } else {
        list_begin(w);
        c->counters.presence_lists_total++;
    }
    phi_list_append(&p->behind, &w->node);
    p->watch_count++;
    s->watch = w;
    phi_io_hurry(c->io);
    return PH_OK;
}

void presence_unwatch(center *c, session *s)
{
    watch *w = s->watch;
    if (w == NULL) {
        return;
    }
    PH_ASSERT(w->owner == s);
    PH_ASSERT(c->presence.watch_count > 0);
    phi_list_remove(&w->node);
    phi_give(c->io->alloc, w, watch_size(w->service_size));
    s->watch = NULL;
    c->presence.watch_count--;
}

void presence_on_room(center *c, session *s)
{
    if (s->watch != NULL) {
        phi_list_remove(&s->watch->node);
        phi_list_append(&c->presence.behind, &s->watch->node);
        phi_io_hurry(c->io);
    }
}

void presence_turn(center *c)
{
    presence *p = &c->presence;
    list_all_current(p);
    size_t bytes = 0;
    while (!phi_list_is_empty(&p->behind) && bytes < CENTER_PRESENCE_TURN_BYTES_MAX) {
        watch *w = PHI_CONTAINER_OF(phi_list_take(&p->behind), watch, node);
        switch (tell(c, w, &bytes)) {
        case TOLD_ALL:
            phi_list_append(&p->current, &w->node);
            break;
        case TOLD_SOME:
            phi_list_append(&p->behind, &w->node);
            break;
        case NO_ROOM:
            phi_list_append(&p->blocked, &w->node);
            break;
        }
    }
    if (!phi_list_is_empty(&p->behind)) {
        phi_io_hurry(c->io);
    }
}

// Its line is another. Nobody is told of one that is not listed.
static void tell_changed(center *c, account *a)
{
    service_refresh(a, c->io->now);
    if (!a->is_listed) {
        return;
    }
    phi_put_u64(a->entry + ENTRY_REVISION_AT, presence_revision(&c->presence) + 1);
    a->entry[ENTRY_WHAT_AT] = PHI_WHAT_CHANGED; // in the log; a list shows who is online
    presence_log_append(&c->presence.log, account_entry(a));
    a->entry[ENTRY_WHAT_AT] = PHI_WHAT_ONLINE;
    c->counters.presence_changes_total++;
    phi_io_hurry(c->io);
}

// Nor is the revision looked at, which the new one does not have yet.
static bool is_same_but_state(const account *a, phi_bytes entry)
{
    enum { TEXT_AT = ENTRY_REVISION_AT + sizeof(uint64_t) };
    return entry.size == a->entry_size &&
           memcmp(entry.data + TEXT_AT, a->entry + TEXT_AT, entry.size - TEXT_AT) == 0;
}

// After a change everybody is behind.
static void list_all_current(presence *p)
{
    if (p->seen.at == p->log.last.at) {
        return;
    }
    p->seen = p->log.last;
    phi_list *node;
    while ((node = phi_list_take(&p->current)) != NULL) {
        phi_list_append(&p->behind, node);
    }
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
    if (!presence_log_holds(&c->presence.log, w->place) && !(w->is_listing && !w->has_begun)) {
        list_begin(w);
        c->counters.presence_lists_total++;
    }
    return w->is_listing ? tell_page(c, w, bytes) : tell_status(c, w, bytes);
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
    phi_page page = { .epoch = p->epoch, .flags = asks };
    if (!w->has_begun) {
        page.flags |= PHI_PAGE_FIRST;
        w->place = p->log.last;
        w->has_begun = true;
    }
    phi_writer entries =
        phi_writer_of((phi_span){ room + PHI_PAGE_HEAD_BYTES, size - PHI_PAGE_HEAD_BYTES });
    bool is_last = false;
    page.count = write_list(c, w, &entries, &is_last, bytes);
    page.entries = phi_writer_view(&entries);
    page.revision = w->place.revision;
    if (is_last) {
        page.flags |= PHI_PAGE_LAST;
        w->is_listing = false;
        w->told = w->place.revision;
    }
    phi_writer head = phi_writer_of((phi_span){ room, PHI_PAGE_HEAD_BYTES });
    phi_page_encode_head(&head, &page);
    PH_ASSERT(!head.failed);
    PH_ASSERT(phi_writer_size(&head) == PHI_PAGE_HEAD_BYTES);
    size = PHI_PAGE_HEAD_BYTES + phi_writer_size(&entries);
    phi_transport_commit(&w->owner->transport, PHI_COMMAND_ONLINE_LIST, size);
    *bytes += size;
    return is_last && w->place.revision == p->log.last.revision ? TOLD_ALL : TOLD_SOME;
}

static outcome tell_status(center *c, watch *w, size_t *bytes)
{
    presence *p = &c->presence;
    uint64_t before = w->place.revision;
    skip_filtered(c, w);
    presence_place end = p->log.last;
    *bytes += (size_t)(w->place.revision - before) * PASSED_OVER_BYTES;
    if (w->place.at == end.at && w->has_begun && end.revision - w->told < SILENT_MAX) {
        return TOLD_ALL;
    }
    uint64_t left = end.at - w->place.at;
    size_t size = PHI_STATUS_HEAD_BYTES;
    size += left < PACKET_BYTES_MAX - size ? (size_t)left : PACKET_BYTES_MAX - size;
    uint8_t *room = phi_transport_begin(&w->owner->transport, size);
    if (room == NULL) {
        return NO_ROOM;
    }
    phi_writer entries =
        phi_writer_of((phi_span){ room + PHI_STATUS_HEAD_BYTES, size - PHI_STATUS_HEAD_BYTES });
    phi_status status = { .epoch = p->epoch, .previous = w->told };
    before = w->place.revision;
    status.count = write_changes(c, w, &entries);
    *bytes += (size_t)(w->place.revision - before - status.count) * PASSED_OVER_BYTES;
    status.entries = phi_writer_view(&entries);
    status.revision = w->place.revision;
    w->told = w->place.revision;
    w->has_begun = true;
    phi_writer head = phi_writer_of((phi_span){ room, PHI_STATUS_HEAD_BYTES });
    phi_status_encode_head(&head, &status);
    PH_ASSERT(!head.failed);
    PH_ASSERT(phi_writer_size(&head) == PHI_STATUS_HEAD_BYTES);
    size = PHI_STATUS_HEAD_BYTES + phi_writer_size(&entries);
    phi_transport_commit(&w->owner->transport, PHI_COMMAND_ONLINE_STATUS, size);
    *bytes += size;
    return w->place.at == end.at ? TOLD_ALL : TOLD_SOME;
}

// Fills a page with those online from w->list_index on; adds to *bytes for those passed over.
static uint16_t write_list(center *c, watch *w, phi_writer *out, bool *is_last, size_t *bytes)
{
    uint16_t count = 0;
    uint64_t handle;
    const account *a;
    while ((a = phi_slots_next(&c->registry.accounts, &w->list_index, &handle)) != NULL) {
        if (a->is_listed && passes(w, a->entry)) {
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

// Copies what the log has behind w->place, as far as it fits and passes, and moves the place on.
static uint16_t write_changes(center *c, watch *w, phi_writer *out)
{
    const presence_log *log = &c->presence.log;
    size_t left = (size_t)(log->last.at - w->place.at);
    bool is_filtered = w->is_elsewhere || w->type != 0 || w->service_size != 0;
    uint64_t count = 0;
    if (!is_filtered && left <= (size_t)(out->end - out->at)) {
        presence_log_copy(log, w->place.at, left, phi_write_room(out, left));
        count = log->last.revision - w->place.revision;
        w->place = log->last;
    }
    while (w->place.at < log->last.at) {
        uint8_t scratch[PHI_ENTRY_BYTES_MAX];
        phi_bytes entry = presence_log_view(log, w->place.at, scratch);
        if (passes(w, entry.data)) {
            if ((size_t)(out->end - out->at) < entry.size) {
                PH_ASSERT(count > 0);
                break;
            }
            phi_write_bytes(out, entry);
            count++;
        }
        w->place.at += entry.size;
        w->place.revision++;
    }
    PH_ASSERT(count <= UINT16_MAX); // a packet has no room for so many
    return (uint16_t)count;
}

// Moves over changes that the client did not ask for, so that nothing is reserved for them.
static void skip_filtered(center *c, watch *w)
{
    const presence_log *log = &c->presence.log;
    uint8_t scratch[PHI_ENTRY_BYTES_MAX];
    while (w->place.at < log->last.at) {
        phi_bytes entry = presence_log_view(log, w->place.at, scratch);
        if (passes(w, entry.data)) {
            return;
        }
        w->place.at += entry.size;
        w->place.revision++;
    }
}

static bool passes(const watch *w, const uint8_t *entry)
{
    if (w->is_elsewhere || (w->type != 0 && w->type != entry[ENTRY_TYPE_AT])) {
        return false;
    }
    return w->service_size == 0 ||
           phi_bytes_equal(entry_service(entry), phi_bytes_of(w->service, w->service_size));
}

// The place is set when the first page is cut.
static void list_begin(watch *w)
{
    w->is_listing = true;
    w->has_begun = false;
    w->list_index = 0;
}

static size_t watch_size(uint8_t service_size)
{
    return sizeof(watch) + service_size;
}
