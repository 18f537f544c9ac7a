// SPDX-License-Identifier: Apache-2.0
//
// center/presence_log.c - see presence_log.h.
//
// Design notes
//   - Entries may run over the end of the ring. That costs a second memcpy now and then, and saves
//     every reader from gaps.
//   - To go on from a revision, its place must be found. Entries differ in size, so every 64th
//     place is marked, and at most 63 entries are walked from there: ten thousand clients that come
//     back at the same time cost a walk each.
//
// Invariants
//   - last.at - first.at <= capacity
//   - the entries from first.at to last.at have the revisions first.revision + 1 .. last.revision

#include "center/presence_log.h"

#include "base/assert.h"
#include "center/entry.h"

enum {
    MARK_EVERY = 64, // revisions
};

static void make_room(presence_log *log, size_t size);
static size_t offset_of(const presence_log *log, uint64_t at);
static void mark(presence_log *log, presence_place place);

ph_err presence_log_init(presence_log *log, const phi_alloc *alloc, size_t capacity)
{
    PH_ASSERT(capacity >= PHI_ENTRY_BYTES_MAX);

    size_t mark_count = capacity / (MARK_EVERY * (size_t)ENTRY_BYTES_MIN) + 2;
    uint8_t *bytes = phi_take(alloc, capacity);
    if (bytes == NULL) {
        return PH_ENOMEM;
    }
    uint64_t *marks = phi_take_zeroed(alloc, mark_count, sizeof *marks);
    if (marks == NULL) {
        phi_give(alloc, bytes, capacity);
        return PH_ENOMEM;
    }
    *log = (presence_log){
        .alloc = alloc,
        .bytes = bytes,
        .capacity = capacity,
        .marks = marks,
        .mark_count = mark_count,
    };
    return PH_OK;
}

void presence_log_fini(presence_log *log)
{
    if (log->alloc != NULL) {
        phi_give(log->alloc, log->bytes, log->capacity);
        phi_give(log->alloc, log->marks, log->mark_count * sizeof *log->marks);
    }
    *log = (presence_log){ 0 };
}

void presence_log_append(presence_log *log, phi_bytes entry)
{
    PH_ASSERT(entry.size >= ENTRY_BYTES_MIN);
    PH_ASSERT(entry.size <= PHI_ENTRY_BYTES_MAX);
    PH_ASSERT(phi_get_u16(entry.data) == entry.size);
    PH_ASSERT(phi_get_u64(entry.data + ENTRY_REVISION_AT) == log->last.revision + 1);

    make_room(log, entry.size);
    size_t offset = offset_of(log, log->last.at);
    size_t to_end = log->capacity - offset;
    size_t head = entry.size < to_end ? entry.size : to_end;
    memcpy(log->bytes + offset, entry.data, head);
    memcpy(log->bytes, entry.data + head, entry.size - head);
    log->last.at += entry.size;
    log->last.revision++;
    mark(log, log->last);
    PH_ASSERT(log->last.at - log->first.at <= log->capacity);
}

bool presence_log_find(const presence_log *log, uint64_t revision, presence_place *out)
{
    if (revision < log->first.revision || revision > log->last.revision) {
        return false;
    }
    uint64_t marked = revision - revision % MARK_EVERY;
    presence_place place = log->first;
    if (marked > place.revision) {
        place.revision = marked;
        place.at = log->marks[marked / MARK_EVERY % log->mark_count];
    }
    PH_ASSERT(place.at >= log->first.at);
    PH_ASSERT(place.at <= log->last.at);
    while (place.revision < revision) {
        place.at += presence_log_size(log, place.at);
        place.revision++;
    }
    *out = place;
    return true;
}

size_t presence_log_size(const presence_log *log, uint64_t at)
{
    PH_ASSERT(at >= log->first.at);
    PH_ASSERT(at < log->last.at);
    uint8_t high = log->bytes[offset_of(log, at)];
    uint8_t low = log->bytes[offset_of(log, at + 1)];
    size_t size = (size_t)high << 8 | low;
    PH_ASSERT(size >= ENTRY_BYTES_MIN);
    PH_ASSERT(size <= log->last.at - at);
    return size;
}

phi_bytes presence_log_view(const presence_log *log, uint64_t at,
                            uint8_t scratch[PHI_ENTRY_BYTES_MAX])
{
    size_t size = presence_log_size(log, at);
    size_t offset = offset_of(log, at);
    if (size <= log->capacity - offset) {
        return phi_bytes_of(log->bytes + offset, size);
    }
    presence_log_copy(log, at, size, scratch);
    return phi_bytes_of(scratch, size);
}

void presence_log_copy(const presence_log *log, uint64_t at, size_t size, uint8_t *out)
{
    PH_ASSERT(at >= log->first.at);
    PH_ASSERT(size <= log->last.at - at);
    size_t offset = offset_of(log, at);
    size_t to_end = log->capacity - offset;
    size_t head = size < to_end ? size : to_end;
    memcpy(out, log->bytes + offset, head);
    memcpy(out + head, log->bytes, size - head);
}

// Forgets the oldest changes until `size` more bytes fit.
static void make_room(presence_log *log, size_t size)
{
    PH_ASSERT(size <= log->capacity);
    while (log->capacity - (size_t)(log->last.at - log->first.at) < size) {
        log->first.at += presence_log_size(log, log->first.at);
        log->first.revision++;
    }
}

static size_t offset_of(const presence_log *log, uint64_t at)
{
    return (size_t)(at % log->capacity);
}

// There are more marks than the log can hold places to mark, so none that is needed is overwritten.
static void mark(presence_log *log, presence_place place)
{
    if (place.revision % MARK_EVERY == 0) {
        log->marks[place.revision / MARK_EVERY % log->mark_count] = place.at;
    }
}

void presence_log_check(const presence_log *log)
{
    PH_ASSERT(log->first.at <= log->last.at);
    PH_ASSERT(log->first.revision <= log->last.revision);
    PH_ASSERT(log->last.at - log->first.at <= log->capacity);
    presence_place place = log->first;
    uint8_t scratch[PHI_ENTRY_BYTES_MAX];
    while (place.at < log->last.at) {
        phi_bytes entry = presence_log_view(log, place.at, scratch);
        place.at += entry.size;
        place.revision++;
        PH_ASSERT(phi_get_u64(entry.data + ENTRY_REVISION_AT) == place.revision);
        if (place.revision % MARK_EVERY == 0) {
            PH_ASSERT(log->marks[place.revision / MARK_EVERY % log->mark_count] == place.at);
        }
    }
    PH_ASSERT(place.revision == log->last.revision);
}
