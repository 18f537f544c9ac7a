// SPDX-License-Identifier: Apache-2.0
//
// tests/io/uv_mail_load.c - see uv_mail_load.h.
//
// Each member writes its numbers in batches of random size, and stops when others have not
// acknowledged the last WINDOW: so loops sleep and are woken all the time, which is where threads
// go wrong.

#include "tests/io/uv_mail_load.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/random.h"
#include "io/uv.h"
#include "tests/harness/test.h"

#define MEMBERS_MAX 8u
#define WINDOW 1000u
#define ACK_EVERY 100u
#define BATCH_MAX 64u
#define FILLING_MAX 200u

typedef struct load load;

typedef struct member {
    load *load;
    uint32_t index;
    phi_uv *uv;
    phi_mailbox *mail;
    phi_turn_hook hook;
    phi_random random;
    uint32_t sent;                  // to each other
    uint32_t received[MEMBERS_MAX]; // from that one
    uint32_t acked[MEMBERS_MAX];    // by that one
    // Of the order in which mail of all came but mine and that one's: the same as theirs.
    uint64_t order[MEMBERS_MAX];
    uint32_t wrong; // cmocka is not for threads
    pthread_t thread;
} member;

struct load {
    uint32_t count;
    uint32_t mails;
    member members[MEMBERS_MAX];
};

typedef struct note {
    uint32_t is_ack;
    uint32_t number; // or how many were received
} note;

static void write_note(member *m, uint32_t to, note n, size_t filling)
{
    uint8_t *room = phi_mailbox_begin(m->mail, to, sizeof n + FILLING_MAX);
    memcpy(room, &n, sizeof n);
    // What is more than whole words is not there to be lengthened.
    size_t later = filling % 8 == 0 ? filling / 16 * 8 : 0;
    memset(room + sizeof n, (int)(n.number & 0xffu), filling - later);
    phi_mailbox_commit(m->mail, to, sizeof n + filling - later);
    if (later == 0) {
        return;
    }
    uint64_t mark = phi_mailbox_mark(m->mail, to);
    room = phi_mailbox_lengthen(m->mail, to, mark, later, 2 * later);
    m->wrong += room == NULL;
    if (room != NULL) {
        memset(room, (int)(n.number & 0xffu), later);
    }
}

static void on_mail(void *owner, uint32_t from, phi_span mail)
{
    member *m = (member *)owner;
    note n;
    memcpy(&n, mail.data, sizeof n);
    for (size_t i = sizeof n; i < mail.size; i++) {
        m->wrong += mail.data[i] != (n.number & 0xffu);
    }
    if (n.is_ack != 0) {
        m->acked[from] = n.number;
        return;
    }
    m->wrong += n.number != m->received[from];
    m->received[from]++;
    for (uint32_t i = 0; i < m->load->count; i++) {
        if (i != from) {
            m->order[i] = (m->order[i] ^ (from + 1)) * UINT64_C(0x9e3779b97f4a7c15);
        }
    }
    if (m->received[from] % ACK_EVERY == 0 || m->received[from] == m->load->mails) {
        write_note(m, from, (note){ .is_ack = 1, .number = m->received[from] }, 0);
    }
}

static bool may_send(const member *m)
{
    if (m->sent == m->load->mails) {
        return false;
    }
    for (uint32_t i = 0; i < m->load->count; i++) {
        if (i != m->index && m->sent - m->acked[i] >= WINDOW) {
            return false;
        }
    }
    return true;
}

static bool is_done(const member *m)
{
    bool is_so = m->sent == m->load->mails;
    for (uint32_t i = 0; i < m->load->count; i++) {
        if (i != m->index) {
            is_so = is_so && m->received[i] == m->load->mails && m->acked[i] == m->load->mails;
        }
    }
    return is_so;
}

static void on_turn(phi_turn_hook *hook)
{
    member *m = PHI_CONTAINER_OF(hook, member, hook);
    uint64_t batch = 1 + phi_random_below(&m->random, BATCH_MAX);
    for (; batch > 0 && may_send(m); batch--) {
        size_t filling = phi_random_below(&m->random, FILLING_MAX + 1);
        for (uint32_t i = 0; i < m->load->count; i++) {
            if (i != m->index) {
                write_note(m, i, (note){ .number = m->sent }, filling);
            }
        }
        m->sent++;
    }
    phi_mailbox_post(m->mail);
    if (may_send(m)) {
        phi_io_hurry(phi_uv_io(m->uv));
    } else if (is_done(m)) {
        phi_uv_stop(m->uv);
    }
}

static void *member_run(void *arg)
{
    phi_uv_run(((member *)arg)->uv);
    return NULL;
}

void mail_load_run(uint32_t count, uint32_t mails)
{
    EXPECT(count <= MEMBERS_MAX);
    load *c = (load *)calloc(1, sizeof *c);
    assert_non_null(c);
    c->count = count;
    c->mails = mails;
    phi_uv_mailboxes *set = NULL;
    EXPECT_ERR(phi_uv_mailboxes_new(&set, count, 1u << 20, NULL), PH_OK);
    for (uint32_t i = 0; i < count; i++) {
        member *m = &c->members[i];
        m->load = c;
        m->index = i;
        m->random = phi_random_seeded(i + 1);
        m->hook.on_turn = on_turn;
        EXPECT_ERR(phi_uv_new(&m->uv, &phi_alloc_heap, NULL), PH_OK);
        EXPECT_ERR(phi_uv_mailbox(set, i, m->uv, &m->mail, NULL), PH_OK);
        phi_mailbox_attach(m->mail, on_mail, m);
        phi_io_hook(phi_uv_io(m->uv), &m->hook);
        phi_io_hurry(phi_uv_io(m->uv));
    }
    for (uint32_t i = 0; i < count; i++) {
        EXPECT_EQ(pthread_create(&c->members[i].thread, NULL, member_run, &c->members[i]), 0);
    }
    for (uint32_t i = 0; i < count; i++) {
        EXPECT_EQ(pthread_join(c->members[i].thread, NULL), 0);
    }
    for (uint32_t i = 0; i < count; i++) {
        const member *m = &c->members[i];
        EXPECT_EQ(m->wrong, 0);
        for (uint32_t k = 0; k < count; k++) {
            EXPECT_EQ(m->received[k], k == i ? 0 : mails);
            if (k != i) {
                EXPECT(m->order[k] == c->members[k].order[i]);
            }
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        phi_uv_free(&c->members[i].uv);
    }
    phi_uv_mailboxes_free(&set);
    free(c);
}
