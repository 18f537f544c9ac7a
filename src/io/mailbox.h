// SPDX-License-Identifier: Apache-2.0
//
// io/mailbox.h - how loops write to each other: each has a mailbox of one set, and writes mail to
// any other of the set. Nothing else is shared between loops.
//
// A mail is some bytes. What a loop writes in a turn is collected per receiver, and posted at once,
// when its owner says so, before it writes to its sockets: all receivers' parts together, so that
// all loops see the posts of all others in one order. (If A posts to B and C, and C, having read
// that, posts to B, then B has read A's post before.) A receiver that waits is woken once a post.
//
// Posted mail is read in the receiver's next turn (step 3 of io.h), all of it; and before bytes of
// a stream that were sent after it was posted.
//
// Life     made with its set; open -> (begin commit)* post -> ... -> the set is freed
// Limits   PHI_MAILBOXES_MAX in a set; a mail has at most PHI_MAIL_BYTES_MAX; what one loop has
//          posted to another and that one has not read is bounded by bytes_max of the set, for
//          those who ask phi_mailbox_is_roomy; begin itself does not refuse: what loops have to
//          tell each other of their state cannot be left out
// Threads  a mailbox belongs to its loop
//
// Memory for mail comes from the heap, not from io->alloc, because it is given back by another
// loop; a process without any ends.

#ifndef PHI_IO_MAILBOX_H
#define PHI_IO_MAILBOX_H

#include "io/io.h"

#define PHI_MAILBOXES_MAX 64u
#define PHI_MAIL_BYTES_MAX (1024u * 1024u)

typedef struct phi_mailbox phi_mailbox;

// Mail from that loop. Its bytes may be changed, and are gone when this returns.
typedef void phi_mail_handler(void *owner, uint32_t from, phi_span mail);

// Which of the set it is, and how many there are.
uint32_t phi_mailbox_index(const phi_mailbox *m);
uint32_t phi_mailbox_count(const phi_mailbox *m);

// Who reads it. Mail that came before is read in the next turn. NULL: it is thrown away unread.
void phi_mailbox_attach(phi_mailbox *m, phi_mail_handler *on_mail, void *owner);

// Room for a mail to another one of the set, 8-byte aligned. It is not there before commit. The
// next begin to the same one ends the room's life.
uint8_t *phi_mailbox_begin(phi_mailbox *m, uint32_t to, size_t size_max);

// `size` may be less than was asked for.
void phi_mailbox_commit(phi_mailbox *m, uint32_t to, size_t size);

// Names the mail to that one that was committed last, until one is committed or lengthened.
uint64_t phi_mailbox_mark(const phi_mailbox *m, uint32_t to);

// Lengthens that mail: room for `more` bytes behind it, a multiple of 8 like what stands in it.
// They belong to it when this returns, and are to be written before anything else is done with the
// mailbox. They count as `weight`: who reads them may have more to do than they are bytes. NULL:
// another mail came behind it, it was posted, or there is no room where it stands (what its begin
// asked for was there). So mail that grows keeps its place among the others without anybody's care.
uint8_t *phi_mailbox_lengthen(phi_mailbox *m, uint32_t to, uint64_t mark, size_t more,
                              size_t weight);

// Whether what that one has not read yet, with what is to be posted, is below the set's bytes_max.
bool phi_mailbox_is_roomy(const phi_mailbox *m, uint32_t to);

// Has the loop make a turn when one of those that are not roomy has read what it was posted: once,
// and perhaps while another one still is not. False: all are roomy, and nothing is awaited.
PHI_MUST_CHECK bool phi_mailbox_await_room(phi_mailbox *m);

// Bytes to all others that they have not read, posted or not, as they are counted.
uint64_t phi_mailbox_unread(const phi_mailbox *m);

// Posts what was committed. In a turn hook that stands before those that write to sockets. What is
// committed later in the turn needs phi_io_hurry, or waits for the next.
void phi_mailbox_post(phi_mailbox *m);

#endif // PHI_IO_MAILBOX_H
