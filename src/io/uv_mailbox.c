// SPDX-License-Identifier: Apache-2.0
//
// io/uv_mailbox.c - mail between loops that run in threads: one lock, and one descriptor for each
// loop to wake it by.
//
// Design notes
//
// - One lock guards the inboxes of all. A post hands over its chunks for all receivers while it
//   holds it, and a turn takes its whole inbox: so the order in which the lock is had is the order
//   in which all see the posts. It is held for a few pointers, whatever the number of mails, and
//   for each post and each turn that finds mail once.
// - A loop that is about to wait says so while it holds the lock and has no mail; whoever posts to
//   it then takes that back, and so is the one who wakes it. So a loop that is busy costs nobody a
//   system call, and one that waits costs a single one, however many write to it at a time.
// - The descriptor is the mailbox's own, not the loop's uv_async_t: it may be written by who posts
//   while the loop is freed by its thread.
//
// Invariants   is_asleep is set only with the lock held, and with nothing in the inbox to be read;
//              has_mail is written only with the lock held: there is something in the inbox, or
//              room that was awaited

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "io/mailbox_private.h"
#include "io/uv_private.h"

// Empty chunks that wait in a set for who needs them: beyond that no more are put there.
#define POOL_MAX 256u

struct phi_uv_box {
    phi_mailbox m; // the first, so that one is cast to the other
    phi_uv_mailboxes *set;
    phi_uv *uv; // NULL: no loop yet, or no more
    uv_poll_t poll;
    int wake_fd;
    phi_mail_list inbox; // under the lock
    bool is_closed;      // under the lock: what comes is thrown away
    _Alignas(64) atomic_bool has_mail;
    atomic_bool is_asleep;
};

struct phi_uv_mailboxes {
    uint32_t count;
    phi_uv_box *boxes; // owned; `count`
    phi_mailbox *all[PHI_MAILBOXES_MAX];
    pthread_mutex_t lock;
    phi_mail_list pool; // under the lock: empty chunks
};

static void post(phi_mailbox *m);
static bool hand_over(phi_uv_box *to, phi_mail_list *chunks);
static bool rouse(phi_uv_box *box);
static void wake(const phi_uv_box *box);
static uint64_t skip_all(phi_mailbox *m, const phi_mail_list *chunks);
static void tell_of_room(phi_uv_mailboxes *set, uint64_t whose);
static void on_woken(uv_poll_t *handle, int status, int events);
static void give_chunks(phi_mailbox *m, phi_mail_list *unwanted);
static void fetch_chunks(phi_mailbox *m);
static void lock(phi_uv_mailboxes *set);
static void unlock(phi_uv_mailboxes *set);

// ---- life

ph_err phi_uv_mailboxes_new(phi_uv_mailboxes **out, uint32_t count, size_t bytes_max,
                            phi_diag *diag)
{
    PH_ASSERT(count > 0);
    PH_ASSERT(count <= PHI_MAILBOXES_MAX);

    ph_err err = PH_ENOMEM;
    phi_uv_mailboxes *set = phi_take_zeroed(&phi_alloc_heap, 1, sizeof *set);
    if (set == NULL) {
        goto fail;
    }
    set->boxes = aligned_alloc(_Alignof(phi_uv_box), count * sizeof *set->boxes);
    if (set->boxes == NULL) {
        goto fail_set;
    }
    memset(set->boxes, 0, count * sizeof *set->boxes);
    for (uint32_t i = 0; i < count; i++) {
        phi_uv_box *box = &set->boxes[i];
        box->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (box->wake_fd < 0) {
            err = phi_diag_add(diag, PH_ESYSTEM, "eventfd: %s", phi_sock_error_text(errno));
            goto fail_boxes;
        }
        set->count++;
        set->all[i] = &box->m;
        box->set = set;
        atomic_init(&box->has_mail, false);
        atomic_init(&box->is_asleep, false);
        phi_mailbox_init(&box->m, i, count, set->all, bytes_max, post);
    }
    int rc = pthread_mutex_init(&set->lock, NULL);
    PH_ASSERT(rc == 0);
    *out = set;
    return PH_OK;

fail_boxes:
    while (set->count > 0) {
        close(set->boxes[--set->count].wake_fd);
    }
    free(set->boxes);
fail_set:
    phi_give(&phi_alloc_heap, set, sizeof *set);
fail:
    return phi_diag_add(diag, err, "make %u mailboxes", count);
}

void phi_uv_mailboxes_free(phi_uv_mailboxes **set_ptr)
{
    phi_uv_mailboxes *set = *set_ptr;
    if (set == NULL) {
        return;
    }
    for (uint32_t i = 0; i < set->count; i++) {
        phi_uv_box *box = &set->boxes[i];
        PH_ASSERT(box->uv == NULL); // its loop was freed
        phi_mail_list_free(&box->inbox);
        phi_mailbox_fini(&box->m);
        close(box->wake_fd);
    }
    phi_mail_list_free(&set->pool);
    int rc = pthread_mutex_destroy(&set->lock);
    PH_ASSERT(rc == 0);
    free(set->boxes);
    phi_give(&phi_alloc_heap, set, sizeof *set);
    *set_ptr = NULL;
}

ph_err phi_uv_mailbox(phi_uv_mailboxes *set, uint32_t index, phi_uv *uv, phi_mailbox **out,
                      phi_diag *diag)
{
    PH_ASSERT(index < set->count);
    PH_ASSERT(uv->box == NULL);
    phi_uv_box *box = &set->boxes[index];
    PH_ASSERT(box->uv == NULL);
    PH_ASSERT(!box->is_closed);

    int rc = uv_poll_init(&uv->loop, &box->poll, box->wake_fd);
    if (rc != 0) {
        return phi_diag_add(diag, rc == UV_ENOMEM ? PH_ENOMEM : PH_ESYSTEM, "watch mailbox %u: %s",
                            index, uv_strerror(rc));
    }
    rc = uv_poll_start(&box->poll, UV_READABLE, on_woken);
    PH_ASSERT(rc == 0);
    box->uv = uv;
    uv->box = box;
    *out = &box->m;
    return PH_OK;
}

// The handle is closed with all others of the loop.
void phi_uv_box_close(phi_uv_box *box)
{
    phi_mail_list unread = { 0 };
    lock(box->set);
    box->is_closed = true;
    phi_mail_list_move(&unread, &box->inbox);
    uint64_t whose = skip_all(&box->m, &unread);
    unlock(box->set);
    phi_mail_list_free(&unread);
    tell_of_room(box->set, whose);
    atomic_store(&box->is_asleep, false);
    box->uv->box = NULL;
    box->uv = NULL;
}

// ---- posting

static void post(phi_mailbox *m)
{
    phi_uv_mailboxes *set = ((phi_uv_box *)m)->set;
    uint64_t wakes = 0;
    phi_mail_list unwanted = { 0 };
    lock(set);
    for (uint64_t left = m->unposted; left != 0; left &= left - 1) {
        uint32_t to = (uint32_t)__builtin_ctzll(left);
        phi_mail_list chunks;
        phi_mailbox_take_out(m, to, &chunks);
        if (hand_over(&set->boxes[to], &chunks)) {
            wakes |= UINT64_C(1) << to;
        }
        phi_mail_list_move(&unwanted, &chunks);
    }
    if (unwanted.first != NULL && phi_mailbox_take_await(m)) {
        (void)rouse((phi_uv_box *)m); // what nobody reads leaves room at once
    }
    give_chunks(m, &unwanted);
    fetch_chunks(m);
    unlock(set);
    for (; wakes != 0; wakes &= wakes - 1) {
        wake(&set->boxes[__builtin_ctzll(wakes)]);
    }
    phi_mail_list_free(&unwanted);
}

// Says whether its loop is to be woken. The chunks are gone, or nobody will read them.
static bool hand_over(phi_uv_box *to, phi_mail_list *chunks)
{
    if (to->is_closed) {
        (void)skip_all(&to->m, chunks);
        return false;
    }
    phi_mail_list_move(&to->inbox, chunks);
    return rouse(to);
}

// Under the lock: it will have a turn. Says whether its loop is to be woken for that.
static bool rouse(phi_uv_box *box)
{
    atomic_store_explicit(&box->has_mail, true, memory_order_relaxed);
    return atomic_exchange_explicit(&box->is_asleep, false, memory_order_relaxed);
}

static void wake(const phi_uv_box *box)
{
    const uint64_t one = 1;
    ssize_t n;
    do {
        n = write(box->wake_fd, &one, sizeof one);
    } while (n < 0 && errno == EINTR);
    PH_ASSERT(n == sizeof one);
}

// ---- reading

bool phi_uv_box_sleep(phi_uv_box *box)
{
    lock(box->set);
    bool has_mail = atomic_load_explicit(&box->has_mail, memory_order_relaxed);
    bool is_idle = !has_mail || !box->m.is_attached;
    atomic_store_explicit(&box->is_asleep, is_idle, memory_order_relaxed);
    unlock(box->set);
    return is_idle;
}

bool phi_uv_box_has_mail(const phi_uv_box *box)
{
    return atomic_load_explicit(&box->has_mail, memory_order_relaxed) && box->m.is_attached;
}

void phi_uv_box_read(phi_uv_box *box)
{
    phi_mailbox *m = &box->m;
    // Who does not see this yet wakes it for nothing. Mail that is not seen here is found by
    // phi_uv_box_sleep.
    atomic_store_explicit(&box->is_asleep, false, memory_order_relaxed);
    if (!atomic_load_explicit(&box->has_mail, memory_order_acquire) || !m->is_attached) {
        return;
    }
    phi_mail_list mail = { 0 };
    phi_mail_list unwanted = { 0 };
    lock(box->set);
    phi_mail_list_move(&mail, &box->inbox);
    atomic_store_explicit(&box->has_mail, false, memory_order_relaxed);
    give_chunks(m, &unwanted);
    unlock(box->set);
    uint64_t whose = 0;
    for (phi_mail_chunk *chunk; (chunk = phi_mail_list_take(&mail)) != NULL;) {
        whose |= UINT64_C(1) << chunk->from;
        phi_mailbox_read(m, chunk);
        phi_mailbox_recycle(m, chunk);
    }
    phi_mail_list_free(&unwanted);
    tell_of_room(box->set, whose);
}

static uint64_t skip_all(phi_mailbox *m, const phi_mail_list *chunks)
{
    uint64_t whose = 0;
    for (phi_mail_chunk *chunk = chunks->first; chunk != NULL; chunk = chunk->next) {
        whose |= UINT64_C(1) << chunk->from;
        phi_mailbox_skip(m, chunk);
    }
    return whose;
}

// Those have mail less that nobody has read. Hardly ever is that awaited.
static void tell_of_room(phi_uv_mailboxes *set, uint64_t whose)
{
    for (; whose != 0; whose &= whose - 1) {
        phi_uv_box *box = &set->boxes[__builtin_ctzll(whose)];
        if (phi_mailbox_take_await(&box->m)) {
            lock(set);
            bool is_to_be_woken = rouse(box);
            unlock(set);
            if (is_to_be_woken) {
                wake(box);
            }
        }
    }
}

static void on_woken(uv_poll_t *handle, int status, int events)
{
    (void)events;
    phi_uv_box *box = PHI_CONTAINER_OF(handle, phi_uv_box, poll);
    PH_ASSERT(status == 0);
    phi_uv_awake(box->uv);
    uint64_t count;
    ssize_t n = read(box->wake_fd, &count, sizeof count);
    (void)n; // the wait is over, and that was all
}

// ---- chunks that wander, under the lock

// What it has read and does not need goes to the others, as long as they have few.
static void give_chunks(phi_mailbox *m, phi_mail_list *unwanted)
{
    phi_mail_list *pool = &((phi_uv_box *)m)->set->pool;
    if (pool->count < POOL_MAX) {
        phi_mail_list_move(&m->surplus, pool); // in front: last used, first used again
        *pool = m->surplus;
        m->surplus = (phi_mail_list){ 0 };
    } else {
        phi_mail_list_move(unwanted, &m->surplus);
    }
}

static void fetch_chunks(phi_mailbox *m)
{
    phi_mail_list *pool = &((phi_uv_box *)m)->set->pool;
    while (phi_mailbox_wants_stock(m) && pool->first != NULL) {
        phi_mail_list_push(&m->stock, phi_mail_list_take(pool));
    }
}

// ---- helpers

static void lock(phi_uv_mailboxes *set)
{
    int rc = pthread_mutex_lock(&set->lock);
    PH_ASSERT(rc == 0);
}

static void unlock(phi_uv_mailboxes *set)
{
    int rc = pthread_mutex_unlock(&set->lock);
    PH_ASSERT(rc == 0);
}
