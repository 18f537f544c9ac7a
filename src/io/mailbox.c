// SPDX-License-Identifier: Apache-2.0
//
// io/mailbox.c - outboxes, and the reading of what came: all of mailbox.h but the way in between.
//
// Design notes
//
// - A mail is eight bytes of head and its bytes, in a chunk (mailbox_private.h). Whoever writes one
//   asks for as much as it could need, writes, and says how much it was; nothing is moved.
// - A chunk that was read is the next that is written: the last used is still in the cache. What a
//   loop reads more than it writes goes to the set (surplus), from where who writes more takes it.
// - Who reads late has many posts waiting. Of those a little one is posted in a chunk of its size:
//   what waits takes about as much memory as there is in it, which is what bytes_max bounds.
// - How much a receiver has not read is the difference of two numbers that only grow, each written
//   by one loop: so asking for it costs neither of them a lock.
// - Who awaits room says so and then looks at what was read; who has read says that and then looks
//   who awaits it. In one order of all four (seq_cst) one of the two sees the other.
//
// Invariants   the bit of a receiver in `unposted` is set exactly if something was committed for it
//              since the last post; a chunk on an outbox holds only whole mails

#include "io/mailbox.h"

#include "base/assert.h"
#include "io/mailbox_private.h"

#define NOT_BEGUN SIZE_MAX

// A post with less in it than that is little, and one that finds more than that unread is late.
#define LITTLE_BYTES 4096u
#define LATE_BYTES 8192u

// Memory that mail is written to is asked for when it is so far ahead: the processor of the other
// loop had it last, and to get it from there takes as long as writing a mail or two.
#define AHEAD_BYTES 512u
#define CACHE_LINE_BYTES 64u

// Precedes every mail.
typedef struct phi_mail_head {
    uint32_t size;
    uint32_t zero; // keeps the bytes aligned
} phi_mail_head;

PH_STATIC_ASSERT(sizeof(phi_mail_head) == 8);
PH_STATIC_ASSERT(offsetof(phi_mail_chunk, bytes) % 8 == 0);

static phi_mail_chunk *chunk_new(phi_mailbox *m, size_t capacity);
static phi_mail_chunk *chunk_take(const phi_mailbox *m, size_t capacity);
static void fit(phi_mailbox *m, phi_mail_list *chunks);
static uint64_t unread(const phi_mailbox *m, uint32_t to);
static size_t space_of(size_t size);
static void ask_ahead(const phi_mail_chunk *chunk, size_t space);

// ---- life

void phi_mailbox_init(phi_mailbox *m, uint32_t index, uint32_t count,
                      struct phi_mailbox *const *all, size_t bytes_max,
                      void (*post)(phi_mailbox *m))
{
    PH_ASSERT(count <= PHI_MAILBOXES_MAX);
    PH_ASSERT(index < count);
    PH_ASSERT(post != NULL);

    memset(m, 0, sizeof *m);
    m->post = post;
    m->all = all;
    m->index = index;
    m->count = count;
    m->bytes_max = bytes_max;
    for (uint32_t i = 0; i < PHI_MAILBOXES_MAX; i++) {
        m->outs[i].begun = NOT_BEGUN;
        atomic_init(&m->read_total[i], 0);
    }
    atomic_init(&m->awaits_room, false);
}

void phi_mailbox_fini(phi_mailbox *m)
{
    for (uint32_t i = 0; i < PHI_MAILBOXES_MAX; i++) {
        phi_mail_list_free(&m->outs[i].chunks);
    }
    phi_mail_list_free(&m->stock);
    phi_mail_list_free(&m->surplus);
}

void phi_mailbox_attach(phi_mailbox *m, phi_mail_handler *on_mail, void *owner)
{
    m->on_mail = on_mail;
    m->owner = owner;
    m->is_attached = true;
}

// ---- writing

uint8_t *phi_mailbox_begin(phi_mailbox *m, uint32_t to, size_t size_max)
{
    PH_ASSERT(to < m->count);
    PH_ASSERT(to != m->index);
    PH_ASSERT(size_max <= PHI_MAIL_BYTES_MAX);

    phi_mail_out *out = &m->outs[to];
    phi_mail_chunk *chunk = out->chunks.last;
    size_t space = space_of(size_max);
    if (chunk == NULL || chunk->capacity - chunk->size < space) {
        chunk = chunk_new(m, space);
        phi_mail_list_append(&out->chunks, chunk);
    }
    out->begun = size_max;
    return chunk->bytes + chunk->size + sizeof(phi_mail_head);
}

void phi_mailbox_commit(phi_mailbox *m, uint32_t to, size_t size)
{
    PH_ASSERT(to < m->count);
    phi_mail_out *out = &m->outs[to];
    PH_ASSERT(out->begun != NOT_BEGUN);
    PH_ASSERT(size <= out->begun);

    phi_mail_chunk *chunk = out->chunks.last;
    const phi_mail_head head = { .size = (uint32_t)size };
    size_t space = space_of(size);
    PH_ASSERT(space <= chunk->capacity - chunk->size);
    memcpy(chunk->bytes + chunk->size, &head, sizeof head);
    out->last = chunk->size;
    chunk->size += (uint32_t)space;
    chunk->weight += (uint32_t)space;
    ask_ahead(chunk, space);
    out->written_total += space;
    out->begun = NOT_BEGUN;
    m->unposted |= UINT64_C(1) << to;
}

uint64_t phi_mailbox_mark(const phi_mailbox *m, uint32_t to)
{
    PH_ASSERT(to < m->count);
    return m->outs[to].written_total;
}

uint8_t *phi_mailbox_lengthen(phi_mailbox *m, uint32_t to, uint64_t mark, size_t more,
                              size_t weight)
{
    PH_ASSERT(to < m->count);
    PH_ASSERT(more % 8 == 0);
    PH_ASSERT(weight >= more);
    phi_mail_out *out = &m->outs[to];
    phi_mail_chunk *chunk = out->chunks.last;
    // A chunk without mail in it was begun by who then had nothing to say.
    if (out->written_total != mark || chunk == NULL || chunk->size == 0 ||
        chunk->capacity - chunk->size < more) {
        return NULL;
    }
    phi_mail_head head;
    memcpy(&head, chunk->bytes + out->last, sizeof head);
    PH_ASSERT(head.size % 8 == 0);
    PH_ASSERT(head.size + more <= PHI_MAIL_BYTES_MAX);
    head.size += (uint32_t)more;
    memcpy(chunk->bytes + out->last, &head, sizeof head);
    uint8_t *room = chunk->bytes + chunk->size;
    chunk->size += (uint32_t)more;
    chunk->weight += (uint32_t)weight;
    out->written_total += weight;
    out->begun = NOT_BEGUN;
    return room;
}

void phi_mailbox_post(phi_mailbox *m)
{
    if (m->unposted != 0) {
        m->post(m);
        PH_ASSERT(m->unposted == 0);
    }
}

void phi_mailbox_take_out(phi_mailbox *m, uint32_t to, phi_mail_list *out)
{
    PH_ASSERT((m->unposted >> to & 1u) != 0);
    m->unposted &= ~(UINT64_C(1) << to);
    m->outs[to].begun = NOT_BEGUN;
    *out = m->outs[to].chunks;
    m->outs[to].chunks = (phi_mail_list){ 0 };
    if (PHI_UNLIKELY(unread(m, to) > LATE_BYTES)) {
        fit(m, out);
    }
}

// What is little is copied to a chunk of its size; the one it stood in is written into again.
static void fit(phi_mailbox *m, phi_mail_list *chunks)
{
    phi_mail_chunk *chunk = chunks->first;
    if (chunk->size >= LITTLE_BYTES || chunks->count != 1) {
        return;
    }
    phi_mail_chunk *fitted = chunk_take(m, chunk->size);
    memcpy(fitted->bytes, chunk->bytes, chunk->size);
    fitted->size = chunk->size;
    fitted->weight = chunk->weight;
    (void)phi_mail_list_take(chunks);
    phi_mail_list_append(chunks, fitted);
    phi_mailbox_recycle(m, chunk);
}

// ---- reading

void phi_mailbox_read(phi_mailbox *m, phi_mail_chunk *chunk)
{
    PH_ASSERT(m->is_attached);
    PH_ASSERT(chunk->from < m->count);
    PH_ASSERT(chunk->size <= chunk->capacity);

    for (size_t at = 0; at < chunk->size;) {
        phi_mail_head head;
        memcpy(&head, chunk->bytes + at, sizeof head);
        size_t space = space_of(head.size);
        PH_ASSERT(space <= chunk->size - at);
        if (m->on_mail != NULL) { // it may detach at any mail
            phi_span mail = { chunk->bytes + at + sizeof head, head.size };
            m->on_mail(m->owner, chunk->from, mail);
        }
        at += space;
    }
    phi_mailbox_skip(m, chunk);
}

void phi_mailbox_skip(phi_mailbox *m, phi_mail_chunk *chunk)
{
    // One writer, so no read-modify-write.
    _Atomic uint64_t *total = &m->read_total[chunk->from];
    atomic_store(total, atomic_load_explicit(total, memory_order_relaxed) + chunk->weight);
}

bool phi_mailbox_take_await(phi_mailbox *m)
{
    return atomic_load(&m->awaits_room) && atomic_exchange(&m->awaits_room, false);
}

void phi_mailbox_recycle(phi_mailbox *m, phi_mail_chunk *chunk)
{
    phi_mail_list *to = phi_mailbox_wants_stock(m) ? &m->stock : &m->surplus;
    if (chunk->capacity != PHI_MAIL_CHUNK_CAPACITY || to->count >= PHI_MAIL_SURPLUS_MAX) {
        phi_mail_chunk_free(chunk);
        return;
    }
    phi_mail_list_push(to, chunk);
}

// ---- queries

uint32_t phi_mailbox_index(const phi_mailbox *m)
{
    return m->index;
}

uint32_t phi_mailbox_count(const phi_mailbox *m)
{
    return m->count;
}

bool phi_mailbox_is_roomy(const phi_mailbox *m, uint32_t to)
{
    PH_ASSERT(to < m->count);
    PH_ASSERT(to != m->index);
    return unread(m, to) < m->bytes_max;
}

bool phi_mailbox_await_room(phi_mailbox *m)
{
    atomic_store(&m->awaits_room, true);
    for (uint32_t to = 0; to < m->count; to++) {
        if (to != m->index && unread(m, to) >= m->bytes_max) {
            return true;
        }
    }
    atomic_store_explicit(&m->awaits_room, false, memory_order_relaxed);
    return false;
}

uint64_t phi_mailbox_unread(const phi_mailbox *m)
{
    uint64_t bytes = 0;
    for (uint32_t to = 0; to < m->count; to++) {
        bytes += to == m->index ? 0 : unread(m, to);
    }
    return bytes;
}

// ---- helpers

// Weight for that one that it has not read, posted or not.
static uint64_t unread(const phi_mailbox *m, uint32_t to)
{
    uint64_t written = m->outs[to].written_total;
    uint64_t read = atomic_load(&m->all[to]->read_total[m->index]);
    PH_ASSERT(read <= written);
    return written - read;
}

// To write into: from the stock, if one of the usual size will do.
static phi_mail_chunk *chunk_new(phi_mailbox *m, size_t capacity)
{
    if (capacity > PHI_MAIL_CHUNK_CAPACITY) {
        return chunk_take(m, capacity);
    }
    phi_mail_chunk *chunk = phi_mail_list_take(&m->stock);
    if (chunk == NULL) {
        return chunk_take(m, PHI_MAIL_CHUNK_CAPACITY);
    }
    chunk->next = NULL;
    chunk->from = m->index;
    chunk->size = 0;
    chunk->weight = 0;
    return chunk;
}

static phi_mail_chunk *chunk_take(const phi_mailbox *m, size_t capacity)
{
    phi_mail_chunk *chunk = (phi_mail_chunk *)phi_take(&phi_alloc_heap, sizeof *chunk + capacity);
    if (chunk == NULL) { // see mailbox.h
        PH_UNREACHABLE("out of memory: for what loops have to tell each other");
    }
    *chunk = (phi_mail_chunk){ .from = m->index, .capacity = capacity };
    return chunk;
}

// What a mail takes in a chunk.
static size_t space_of(size_t size)
{
    return sizeof(phi_mail_head) + ((size + 7u) & ~(size_t)7u);
}

// As much as the mail that stands last is.
static void ask_ahead(const phi_mail_chunk *chunk, size_t space)
{
    size_t at = chunk->size + AHEAD_BYTES;
    size_t end = at + (space < AHEAD_BYTES ? space : AHEAD_BYTES);
    end = end < chunk->capacity ? end : chunk->capacity;
    for (; at < end; at += CACHE_LINE_BYTES) {
        PHI_PREFETCH_TO_WRITE(chunk->bytes + at);
    }
}

void phi_mail_chunk_free(phi_mail_chunk *chunk)
{
    phi_give(&phi_alloc_heap, chunk, sizeof *chunk + chunk->capacity);
}

// ---- lists

void phi_mail_list_append(phi_mail_list *to, phi_mail_chunk *chunk)
{
    chunk->next = NULL;
    if (to->first == NULL) {
        to->first = chunk;
    } else {
        to->last->next = chunk;
    }
    to->last = chunk;
    to->count++;
}

void phi_mail_list_push(phi_mail_list *to, phi_mail_chunk *chunk)
{
    chunk->next = to->first;
    if (to->first == NULL) {
        to->last = chunk;
    }
    to->first = chunk;
    to->count++;
}

phi_mail_chunk *phi_mail_list_take(phi_mail_list *from)
{
    phi_mail_chunk *chunk = from->first;
    if (chunk != NULL) {
        from->first = chunk->next;
        from->last = from->first == NULL ? NULL : from->last;
        from->count--;
    }
    return chunk;
}

void phi_mail_list_move(phi_mail_list *to, phi_mail_list *from)
{
    if (from->first == NULL) {
        return;
    }
    if (to->first == NULL) {
        *to = *from;
    } else {
        to->last->next = from->first;
        to->last = from->last;
        to->count += from->count;
    }
    *from = (phi_mail_list){ 0 };
}

void phi_mail_list_free(phi_mail_list *list)
{
    for (phi_mail_chunk *chunk; (chunk = phi_mail_list_take(list)) != NULL;) {
        phi_mail_chunk_free(chunk);
    }
}
