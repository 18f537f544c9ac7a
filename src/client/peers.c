// SPDX-License-Identifier: Apache-2.0
//
// client/peers.c - the online list of one client.
//
// A peer is known by the epoch's life and its session, whose number is unique only in that. A
// page or status that tells of a session already known changes it, or, when nothing that shows is
// different, nothing; one that tells of another session of the same id first ends the old one. What
// an application is told is thus a function of the difference between two tables, never of how
// often the center said it [P-48].
//
// A list that answers an older ask may show another part of the table. Taken for the newer one's it
// would end who is there. So a page tells which ask it answers; statuses need not, because none is
// heard between an ask and its list.
//
// Callbacks may change what is wanted (phi_peers_want, _unwant), and with it the whole table. So
// they get views of the packet, or of a peer that was taken out already; and after each one `wants`
// tells whether to go on.
//
// Invariants  map and slots hold the same peers; a name in the map stands in its slot, which does
//             not move. epoch is 0 until a whole list was received under the present filter.

#include "client/peers.h"

#include "base/assert.h"
#include "wire/fields.h"

typedef struct peer {
    uint64_t epoch;
    uint64_t session;
    uint64_t revision;
    uint8_t *detail;      // owned: the service, then the fields without the round trip
    uint32_t fields_size; // of the latter
    uint32_t list;        // the last list that showed it
    uint32_t round_trip_us;
    uint8_t type;
    uint8_t state;
    uint8_t service_size;
    uint8_t id_size;
    uint8_t id[PHI_ID_BYTES_MAX];
} peer;

// What a packet says about one peer.
typedef struct news {
    const phi_entry *entry;
    uint64_t epoch;
    uint32_t round_trip_us; // 0: not said
    size_t fields_size;     // without the round trip
} news;

PH_STATIC_ASSERT(PHI_ID_BYTES_MAX <= UINT8_MAX);

static void apply(phi_peers *peers, const phi_entry *entry, uint64_t epoch, bool is_list);
static void sweep(phi_peers *peers);
static void become_ready(phi_peers *peers);
static peer *find(const phi_peers *peers, phi_bytes id, uint64_t *handle);
static peer take_out(phi_peers *peers, peer *p, uint64_t handle);
static void forget(phi_peers *peers, peer *gone);

// ---- life

void phi_peers_init(phi_peers *peers, const phi_alloc *alloc, phi_hash_key key, uint32_t count_max,
                    const phi_peers_events *events)
{
    PH_ASSERT(peers != NULL);
    PH_ASSERT(events != NULL);
    PH_ASSERT(count_max > 0);
    *peers = (phi_peers){ .alloc = alloc, .events = events, .sync = PHI_PEERS_OFF };
    phi_map_init(&peers->map, alloc, key, count_max);
    phi_slots_init(&peers->slots, alloc, sizeof(peer), count_max);
}

// Forgets, without a word, all peers or those that do not pass the filter.
static void forget_all(phi_peers *peers, bool (*passes)(const phi_peers_filter *, const peer *))
{
    uint64_t handle = 0;
    peer *p = NULL;
    for (uint32_t i = 0; (p = phi_slots_next(&peers->slots, &i, &handle)) != NULL; i++) {
        if (passes == NULL || !passes(&peers->filter, p)) {
            peer gone = take_out(peers, p, handle);
            forget(peers, &gone);
        }
    }
}

void phi_peers_fini(phi_peers *peers)
{
    PH_ASSERT(peers != NULL);
    if (peers->alloc == NULL) {
        return; // zeroed
    }
    forget_all(peers, NULL);
    PH_ASSERT(peers->slots.count == 0);
    PH_ASSERT(peers->map.count == 0);
    phi_slots_fini(&peers->slots);
    phi_map_fini(&peers->map);
}

// ---- what is wanted

static bool passes(const phi_peers_filter *filter, uint8_t type, phi_bytes service, phi_bytes id)
{
    if (filter->type != 0 && filter->type != type) {
        return false;
    }
    if (filter->service_size != 0 &&
        !phi_bytes_equal(phi_bytes_of(filter->service, filter->service_size), service)) {
        return false;
    }
    if (filter->domain_size == 0) {
        return true;
    }
    return phi_bytes_equal(phi_bytes_of(filter->domain, filter->domain_size),
                           phi_address_parse(id).domain);
}

static bool peer_passes(const phi_peers_filter *filter, const peer *p)
{
    return passes(filter, p->type, phi_bytes_of(p->detail, p->service_size),
                  phi_bytes_of(p->id, p->id_size));
}

void phi_peers_want(phi_peers *peers, const phi_peers_filter *filter)
{
    PH_ASSERT(filter->service_size <= sizeof filter->service);
    PH_ASSERT(filter->domain_size <= sizeof filter->domain);
    peers->filter = *filter;
    peers->sync = PHI_PEERS_LIST;
    peers->epoch = 0;
    peers->revision = 0;
    peers->is_ready = false;
    peers->is_short = false;
    peers->wants++;
    forget_all(peers, peer_passes);
}

void phi_peers_unwant(phi_peers *peers)
{
    peers->sync = PHI_PEERS_OFF;
    peers->epoch = 0;
    peers->revision = 0;
    peers->is_ready = false;
    peers->is_short = false;
    peers->wants++;
    forget_all(peers, NULL);
}

phi_presence_ask phi_peers_ask(phi_peers *peers)
{
    if (peers->sync == PHI_PEERS_OFF) {
        return (phi_presence_ask){ .wants = false };
    }
    if (peers->is_short) { // changes would not bring what is missing
        peers->is_short = false;
        peers->epoch = 0;
        peers->revision = 0;
    }
    peers->sync = peers->epoch == 0 ? PHI_PEERS_LIST : PHI_PEERS_RESUME;
    return (phi_presence_ask){
        .wants = true,
        .type = peers->filter.type,
        .service = phi_bytes_of(peers->filter.service, peers->filter.service_size),
        .domain = phi_bytes_of(peers->filter.domain, peers->filter.domain_size),
        .last_epoch = peers->epoch,
        .last_revision = peers->revision,
    };
}

void phi_peers_asked(phi_peers *peers, bool in_join)
{
    peers->asks = in_join ? 0 : (uint8_t)((peers->asks + 1u) % PHI_PAGE_ASKS_COUNT);
}

// ---- what comes

void phi_peers_joined(phi_peers *peers, uint64_t epoch, uint64_t revision)
{
    peers->is_ready = false;
    peers->ready_at = revision;
    if (peers->sync == PHI_PEERS_RESUME && epoch == peers->epoch && revision == peers->revision) {
        peers->sync = PHI_PEERS_LIVE; // nothing happened meanwhile
        become_ready(peers);
    }
}

ph_err phi_peers_page(phi_peers *peers, phi_bytes payload)
{
    phi_page page;
    ph_err rc = phi_page_decode(payload, &page);
    if (rc != PH_OK) {
        return rc;
    }
    if (page.epoch == 0) {
        return PH_EPROTO; // it could not be told from "none"
    }
    if (page.flags >> PHI_PAGE_ASKS_SHIFT != peers->asks) {
        return PH_OK; // it answers an older ask [P-44]
    }
    bool is_first = (page.flags & PHI_PAGE_FIRST) != 0;
    if (peers->sync == PHI_PEERS_OFF || (!is_first && peers->sync != PHI_PEERS_LISTING)) {
        return PH_OK; // the rest of what an older ask brought
    }
    if (is_first) {
        peers->sync = PHI_PEERS_LISTING;
        peers->list++;
        peers->list_epoch = page.epoch;
        peers->list_revision = page.revision;
    } else if (page.epoch != peers->list_epoch || page.revision != peers->list_revision) {
        return PH_EPROTO; // [P-44]
    }

    uint32_t wants = peers->wants;
    phi_reader r = phi_reader_of(page.entries);
    phi_entry entry;
    while (phi_entry_decode(&r, &entry)) {
        if (entry.what == PHI_WHAT_OFFLINE) {
            return PH_EPROTO; // a list shows who is there
        }
        apply(peers, &entry, page.epoch, /* is_list= */ true);
        if (peers->wants != wants) {
            return PH_OK;
        }
    }
    PH_ASSERT(!r.failed); // the decoder looked at all of them
    if ((page.flags & PHI_PAGE_LAST) != 0) {
        sweep(peers);
        if (peers->wants == wants) {
            peers->epoch = peers->list_epoch;
            peers->revision = peers->list_revision;
            peers->sync = PHI_PEERS_LIVE;
            become_ready(peers);
        }
    }
    return PH_OK;
}

ph_err phi_peers_status(phi_peers *peers, phi_bytes payload, bool *has_gap)
{
    phi_status status;
    ph_err rc = phi_status_decode(payload, &status);
    if (rc != PH_OK) {
        return rc;
    }
    *has_gap = false;
    if (peers->sync != PHI_PEERS_LIVE && peers->sync != PHI_PEERS_RESUME) {
        return PH_OK; // of an older ask; what matters is in the list that comes
    }
    if (status.epoch != peers->epoch || status.previous != peers->revision) {
        // While an answer is on its way, what was sent before it does not fit, and need not.
        *has_gap = peers->sync == PHI_PEERS_LIVE;
        return PH_OK;
    }

    peers->sync = PHI_PEERS_LIVE;
    uint32_t wants = peers->wants;
    phi_reader r = phi_reader_of(status.entries);
    phi_entry entry;
    while (phi_entry_decode(&r, &entry)) {
        apply(peers, &entry, status.epoch, /* is_list= */ false);
        if (peers->wants != wants) {
            return PH_OK;
        }
    }
    PH_ASSERT(!r.failed);
    peers->revision = status.revision;
    if (peers->revision >= peers->ready_at) {
        become_ready(peers);
    }
    return PH_OK;
}

// The table is complete: said once for each want and each connection.
static void become_ready(phi_peers *peers)
{
    PH_ASSERT(peers->sync == PHI_PEERS_LIVE);
    if (!peers->is_ready) {
        peers->is_ready = true;
        peers->events->on_ready(peers);
    }
}

// ---- views

static ph_view view(phi_bytes bytes)
{
    return (ph_view){ (const char *)bytes.data, bytes.size };
}

// Of anything that has a peer's parts.
static ph_peer view_parts(phi_bytes id, phi_bytes service, phi_bytes fields)
{
    phi_entry_detail detail = { .software = { NULL, 0 } };
    ph_err rc = phi_entry_detail_decode(fields, &detail);
    PH_ASSERT(rc == PH_OK); // judged when it came
    return (ph_peer){
        .struct_size = sizeof(ph_peer),
        .id = view(id),
        .service = view(service),
        .software = view(detail.software),
        .round_trip_us = detail.round_trip_us,
        .metadata = view(fields),
        .weight = detail.weight,
    };
}

static ph_peer view_peer(const peer *p)
{
    const uint8_t *fields = p->detail == NULL ? NULL : p->detail + p->service_size;
    ph_peer out =
        view_parts(phi_bytes_of(p->id, p->id_size), phi_bytes_of(p->detail, p->service_size),
                   phi_bytes_of(fields, p->fields_size));
    out.type = (ph_type)p->type;
    out.state = (ph_state)p->state;
    out.session = p->session;
    out.revision = p->revision;
    out.round_trip_us = p->round_trip_us;
    return out;
}

static void tell(phi_peers *peers, ph_change change, const phi_entry *entry)
{
    ph_peer out = view_parts(entry->id, entry->service, entry->fields);
    out.type = (ph_type)entry->type;
    out.state = (ph_state)entry->state;
    out.session = entry->session;
    out.revision = entry->revision;
    peers->events->on_change(peers, change, PH_REASON_NONE, &out);
}

// Tells that a peer that was taken out is gone, and frees it.
static void tell_gone(phi_peers *peers, peer *gone, ph_reason reason)
{
    ph_peer out = view_peer(gone);
    peers->events->on_change(peers, PH_OFFLINE, reason, &out);
    forget(peers, gone);
}

bool phi_peers_next(const phi_peers *peers, size_t *cursor, ph_peer *out)
{
    if (*cursor > UINT32_MAX) {
        return false;
    }
    uint32_t index = (uint32_t)*cursor;
    uint64_t handle = 0;
    const peer *p = phi_slots_next(&peers->slots, &index, &handle);
    if (p == NULL) {
        return false;
    }
    *cursor = (size_t)index + 1;
    *out = view_peer(p);
    return true;
}

bool phi_peers_find(const phi_peers *peers, phi_bytes id, ph_peer *out)
{
    uint64_t handle = 0;
    const peer *p = find(peers, id, &handle);
    if (p == NULL) {
        return false;
    }
    *out = view_peer(p);
    return true;
}

// ---- the table

static peer *find(const phi_peers *peers, phi_bytes id, uint64_t *handle)
{
    if (id.size == 0 || !phi_map_find(&peers->map, id, handle)) {
        return NULL;
    }
    peer *p = phi_slots_find(&peers->slots, *handle);
    PH_ASSERT(p != NULL);
    return p;
}

// Its slot is free when this returns; what it owned is the caller's.
static peer take_out(phi_peers *peers, peer *p, uint64_t handle)
{
    peer gone = *p;
    bool was_there = phi_map_remove(&peers->map, phi_bytes_of(p->id, p->id_size));
    PH_ASSERT(was_there);
    phi_slots_give(&peers->slots, handle);
    return gone;
}

static void forget(phi_peers *peers, peer *gone)
{
    phi_give(peers->alloc, gone->detail, (size_t)gone->service_size + gone->fields_size);
    gone->detail = NULL;
}

// Copies an entry's fields without the round trip, which changes all the time; only the size when
// `room` is NULL. *round_trip_us is set when there is one.
static size_t fields_copy(uint8_t *room, phi_bytes fields, uint32_t *round_trip_us)
{
    size_t size = 0;
    phi_reader r = phi_reader_of(fields);
    for (;;) {
        const uint8_t *start = r.at;
        phi_field field;
        if (!phi_field_next(&r, &field)) {
            break;
        }
        if (field.tag == PHI_ENTRY_ROUND_TRIP) {
            (void)phi_field_u32(&field, round_trip_us); // judged when it came
            continue;
        }
        size_t field_size = (size_t)(r.at - start);
        if (room != NULL) {
            memcpy(room + size, start, field_size);
        }
        size += field_size;
    }
    return size;
}

// Whether anything that shows differs.
static bool differs(const peer *p, const news *n, const uint8_t *detail)
{
    if (p->type != n->entry->type || p->state != n->entry->state ||
        p->service_size != n->entry->service.size || p->fields_size != n->fields_size) {
        return true;
    }
    size_t size = (size_t)p->service_size + p->fields_size;
    return size != 0 && memcmp(p->detail, detail, size) != 0;
}

// The service and the fields in one block. False: no memory. A size of zero needs none.
static bool detail_new(phi_peers *peers, const news *n, uint8_t **out)
{
    size_t size = n->entry->service.size + n->fields_size;
    uint8_t *detail = NULL;
    if (size != 0) {
        detail = phi_take(peers->alloc, size);
        if (detail == NULL) {
            return false;
        }
        if (n->entry->service.size != 0) {
            memcpy(detail, n->entry->service.data, n->entry->service.size);
        }
        uint32_t ignored = 0;
        fields_copy(detail + n->entry->service.size, n->entry->fields, &ignored);
    }
    *out = detail;
    return true;
}

static void fill(phi_peers *peers, peer *p, const news *n, uint8_t *detail)
{
    p->epoch = n->epoch;
    p->session = n->entry->session;
    p->revision = n->entry->revision;
    p->detail = detail;
    p->service_size = (uint8_t)n->entry->service.size;
    p->fields_size = (uint32_t)n->fields_size;
    p->list = peers->list;
    p->type = n->entry->type;
    p->state = n->entry->state;
    if (n->round_trip_us != 0) {
        p->round_trip_us = n->round_trip_us;
    }
}

static void insert(phi_peers *peers, const news *n)
{
    if (phi_peers_count(peers) == peers->slots.count_max) {
        peers->dropped++;
        return;
    }
    uint8_t *detail = NULL;
    uint64_t handle = 0;
    if (!detail_new(peers, n, &detail)) {
        goto fail;
    }
    peer *p = phi_slots_take(&peers->slots, &handle);
    if (p == NULL) {
        goto fail_detail;
    }
    p->id_size = (uint8_t)n->entry->id.size;
    memcpy(p->id, n->entry->id.data, n->entry->id.size);
    if (phi_map_put(&peers->map, phi_bytes_of(p->id, p->id_size), handle) != PH_OK) {
        goto fail_slot;
    }
    fill(peers, p, n, detail);
    tell(peers, PH_ONLINE, n->entry);
    return;

fail_slot:
    phi_slots_give(&peers->slots, handle);
fail_detail:
    phi_give(peers->alloc, detail, n->entry->service.size + n->fields_size);
fail:
    peers->dropped++;
    peers->is_short = true;
}

// More about a session that is known.
static void refresh(phi_peers *peers, peer *p, const news *n)
{
    uint8_t *detail = NULL;
    if (!detail_new(peers, n, &detail)) {
        peers->dropped++;
        peers->is_short = true;
        p->list = peers->list; // it is there, whatever else is new about it
        return;
    }
    bool has_changed = differs(p, n, detail);
    forget(peers, p);
    fill(peers, p, n, detail);
    if (has_changed) {
        tell(peers, PH_CHANGED, n->entry);
    }
}

static void apply(phi_peers *peers, const phi_entry *entry, uint64_t epoch, bool is_list)
{
    if (!passes(&peers->filter, entry->type, entry->service, entry->id)) {
        return; // of an older ask
    }
    uint64_t handle = 0;
    peer *p = find(peers, entry->id, &handle);
    bool is_known = p != NULL && phi_epoch_life(p->epoch) == phi_epoch_life(epoch);
    bool is_same = is_known && p->session == entry->session;
    if (is_known && !is_list && entry->revision <= p->revision) {
        return; // a page showed it already [P-44]
    }
    if (entry->what == PHI_WHAT_OFFLINE) {
        bool is_later = is_known && entry->session > p->session;
        if (is_same || is_later) { // a later one says the same [P-48]
            peer gone = take_out(peers, p, handle);
            gone.revision = entry->revision; // that of leaving, so that revisions told only grow
            tell_gone(peers, &gone, (ph_reason)entry->reason);
        }
        return;
    }

    news n = { .entry = entry, .epoch = epoch };
    n.fields_size = fields_copy(NULL, entry->fields, &n.round_trip_us);
    if (is_same) {
        refresh(peers, p, &n);
        return;
    }
    uint32_t wants = peers->wants;
    if (p != NULL) { // [P-48]: the old one is gone
        peer gone = take_out(peers, p, handle);
        tell_gone(peers, &gone, PH_REASON_UNKNOWN);
    }
    if (peers->wants == wants) {
        insert(peers, &n);
    }
}

// The list is complete: whoever it did not show left while nobody told us.
static void sweep(phi_peers *peers)
{
    uint32_t wants = peers->wants;
    uint64_t handle = 0;
    peer *p = NULL;
    for (uint32_t i = 0; (p = phi_slots_next(&peers->slots, &i, &handle)) != NULL; i++) {
        if (p->list != peers->list) {
            peer gone = take_out(peers, p, handle);
            tell_gone(peers, &gone, PH_REASON_UNKNOWN);
            if (peers->wants != wants) {
                return;
            }
        }
    }
}

void phi_peers_check(const phi_peers *peers)
{
    size_t count = 0;
    uint64_t handle = 0;
    const peer *p = NULL;
    for (uint32_t i = 0; (p = phi_slots_next(&peers->slots, &i, &handle)) != NULL; i++) {
        uint64_t found = 0;
        PH_ASSERT(phi_map_find(&peers->map, phi_bytes_of(p->id, p->id_size), &found));
        PH_ASSERT(found == handle);
        PH_ASSERT(peer_passes(&peers->filter, p));
        PH_ASSERT((p->detail == NULL) == ((size_t)p->service_size + p->fields_size == 0));
        count++;
    }
    PH_ASSERT(count == peers->slots.count);
    PH_ASSERT(count == peers->map.count);
}
