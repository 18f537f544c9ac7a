// SPDX-License-Identifier: Apache-2.0
//
// io/mailbox_private.h - what the implementations of mailbox.h share: outboxes made of chunks.
//
// A chunk holds mails of one loop to another, one after the other. It is written by the one, handed
// over whole, and read where it lies by the other, which then writes into it itself, or gives it to
// who has none. So loops that keep pace copy no mail and allocate nothing.
//
// How chunks come from post to the receiver is the implementation's: it must hand over all that one
// post hands over at once, or in an order that looks like it.

#ifndef PHI_IO_MAILBOX_PRIVATE_H
#define PHI_IO_MAILBOX_PRIVATE_H

#include <stdatomic.h>

#include "io/mailbox.h"

// With its head. A bigger mail has a chunk of its own, and so has a little post for who reads late;
// those are freed when they were read.
#define PHI_MAIL_CHUNK_BYTES (64u * 1024u)
// Empty chunks that a mailbox has left over and nobody has fetched: beyond that they are freed.
#define PHI_MAIL_SURPLUS_MAX 64u
// And that it keeps to write into; more receivers than that in one turn are rare, and the set's
// chunks are there for them.
#define PHI_MAIL_STOCK_MAX 8u

typedef struct phi_mail_chunk {
    struct phi_mail_chunk *next; // on a phi_mail_list
    uint32_t from;
    uint32_t size;   // of what is in it
    uint32_t weight; // the same, as it counts for bytes_max
    size_t capacity;
    _Alignas(8) uint8_t bytes[]; // mails: phi_mail_head, bytes, up to a multiple of 8
} phi_mail_chunk;

#define PHI_MAIL_CHUNK_CAPACITY (PHI_MAIL_CHUNK_BYTES - sizeof(phi_mail_chunk))

// Chunks in their order.
typedef struct phi_mail_list {
    phi_mail_chunk *first; // NULL: empty
    phi_mail_chunk *last;
    size_t count;
} phi_mail_list;

// What is written to one receiver.
typedef struct phi_mail_out {
    phi_mail_list chunks;   // not posted; mail is written into the last
    size_t begun;           // bytes of the room that phi_mailbox_begin gave; SIZE_MAX none
    uint32_t last;          // where the last mail stands in the last chunk, if any is in that
    uint64_t written_total; // weight committed, ever
} phi_mail_out;

struct phi_mailbox {
    void (*post)(phi_mailbox *m);   // the implementation's; something is to be posted
    struct phi_mailbox *const *all; // the set, by index
    uint32_t index;
    uint32_t count;
    size_t bytes_max;
    phi_mail_handler *on_mail; // NULL: see is_attached
    void *owner;
    bool is_attached;      // until then mail waits
    uint64_t unposted;     // a bit for each receiver that something is to be posted to
    phi_mail_list stock;   // empty chunks to write into, see phi_mailbox_wants_stock
    phi_mail_list surplus; // empty chunks that others may have
    phi_mail_out outs[PHI_MAILBOXES_MAX];
    // Weight read of what that one posted, ever. Written by this loop, read by that one.
    _Alignas(64) _Atomic uint64_t read_total[PHI_MAILBOXES_MAX];
    _Alignas(64) atomic_bool awaits_room; // set by this loop, taken back by who has read
};

PH_STATIC_ASSERT(PHI_MAILBOXES_MAX <= 64); // bits of unposted
PH_STATIC_ASSERT(PHI_MAIL_CHUNK_CAPACITY % 8 == 0);

void phi_mailbox_init(phi_mailbox *m, uint32_t index, uint32_t count,
                      struct phi_mailbox *const *all, size_t bytes_max,
                      void (*post)(phi_mailbox *m));

// Frees its chunks. Accepts a zeroed one.
void phi_mailbox_fini(phi_mailbox *m);

// Takes what is to be posted to that one: for `post`, which does so for each bit of `unposted`, and
// clears them.
void phi_mailbox_take_out(phi_mailbox *m, uint32_t to, phi_mail_list *out);

// Gives every mail in the chunk to the owner; when nobody is attached any more it is thrown away.
void phi_mailbox_read(phi_mailbox *m, phi_mail_chunk *chunk);

// Throws it away unread; also for a mailbox whose loop is gone.
void phi_mailbox_skip(phi_mailbox *m, phi_mail_chunk *chunk);

// Of one whose chunks were read or skipped: whether its loop awaits that, and is to make a turn.
bool phi_mailbox_take_await(phi_mailbox *m);

// A chunk that was read: becomes stock or surplus, or is freed when it is not of the usual size.
void phi_mailbox_recycle(phi_mailbox *m, phi_mail_chunk *chunk);

// Whether an empty chunk would be one to write into soon: one for each that it may write to.
static inline bool phi_mailbox_wants_stock(const phi_mailbox *m)
{
    return m->stock.count < m->count && m->stock.count < PHI_MAIL_STOCK_MAX;
}

void phi_mail_chunk_free(phi_mail_chunk *chunk);

// ---- lists

void phi_mail_list_append(phi_mail_list *to, phi_mail_chunk *chunk);
phi_mail_chunk *phi_mail_list_take(phi_mail_list *from);           // NULL: empty
void phi_mail_list_move(phi_mail_list *to, phi_mail_list *from);   // all of it, to the end
void phi_mail_list_push(phi_mail_list *to, phi_mail_chunk *chunk); // in front
void phi_mail_list_free(phi_mail_list *list);

#endif // PHI_IO_MAILBOX_PRIVATE_H
