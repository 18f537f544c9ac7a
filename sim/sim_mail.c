// SPDX-License-Identifier: Apache-2.0
//
// sim/sim_mail.c - mailboxes of nodes that are the loops of one process.
//
// A post leaves as one event for each receiver, and is read a little later. How much later is drawn
// anew each time; but what is posted later never arrives before, at any receiver: as with one lock
// all see the posts in one order.
//
// Mail is the world's memory, not the node's: its allocation does not fail.

#include "sim/sim_internal.h"

static void post(phi_mailbox *m);
static void send_to(sim_box *to, phi_mail_list chunks);
static void tell_of_room(const sim_box *box, uint64_t whose);

// ---- life

void sim_mailboxes_add(sim *s, const sim_node *nodes, uint32_t count, size_t bytes_max,
                       phi_dur delay_max)
{
    PH_ASSERT(count > 0);
    PH_ASSERT(count <= PHI_MAILBOXES_MAX);
    sim_box_set *set = phi_take_zeroed(&phi_alloc_heap, 1, sizeof *set);
    PH_ASSERT(set != NULL);
    set->count = count;
    set->bytes_max = bytes_max;
    set->delay_max = delay_max;
    set->random = phi_random_split(&s->random);
    set->next = s->box_sets;
    s->box_sets = set;
    for (uint32_t i = 0; i < count; i++) {
        sim_host *host = sim_host_get(s, nodes[i]);
        PH_ASSERT(host->box == NULL);
        sim_box *box = phi_take_zeroed(&phi_alloc_heap, 1, sizeof *box);
        PH_ASSERT(box != NULL);
        box->host = host;
        box->set = set;
        phi_mailbox_init(&box->m, i, count, set->all, bytes_max, post);
        set->all[i] = &box->m;
        host->box = box;
    }
}

phi_mailbox *sim_mailbox(sim *s, sim_node node)
{
    sim_host *host = sim_host_get(s, node);
    PH_ASSERT(host->box != NULL);
    return &host->box->m;
}

void sim_box_kill(sim_box *box)
{
    if (box != NULL) {
        phi_mail_list_free(&box->inbox);
    }
}

void sim_box_restart(sim_box *box)
{
    if (box != NULL) {
        PH_ASSERT(box->inbox.first == NULL);
        uint32_t index = box->m.index;
        phi_mailbox_fini(&box->m);
        phi_mailbox_init(&box->m, index, box->set->count, box->set->all, box->set->bytes_max, post);
        box->is_touched = false;
    }
}

void sim_box_free(sim_box *box)
{
    if (box != NULL) {
        phi_mail_list_free(&box->inbox);
        phi_mailbox_fini(&box->m);
        phi_give(&phi_alloc_heap, box, sizeof *box);
    }
}

// ---- posting

static void post(phi_mailbox *m)
{
    for (uint32_t to = 0; to < m->count; to++) {
        if ((m->unposted >> to & 1u) != 0) {
            phi_mail_list chunks;
            phi_mailbox_take_out(m, to, &chunks);
            if (((sim_box *)m)->host->is_alive) {
                send_to((sim_box *)m->all[to], chunks);
            } else {
                phi_mail_list_free(&chunks); // somebody tidies up after a kill
            }
        }
    }
    phi_mail_list_free(&m->surplus);
}

static void send_to(sim_box *to, phi_mail_list chunks)
{
    sim *s = to->host->world;
    uint64_t at = s->now;
    if (to->set->delay_max.ns != 0) {
        at += phi_random_below(&to->set->random, to->set->delay_max.ns + 1);
    }
    at = at > to->last_arrival ? at : to->last_arrival;
    to->last_arrival = at;
    size_t size = 0;
    for (const phi_mail_chunk *chunk = chunks.first; chunk != NULL; chunk = chunk->next) {
        size += chunk->size; // the bytes are not traced: addresses may be among them
    }
    sim_schedule(s, (sim_event){ .at = at,
                                 .node = to->host->index,
                                 .kind = SIM_MAIL,
                                 .size = (uint32_t)size,
                                 .arg = chunks.first });
}

// ---- reading

void sim_mail_event(sim_host *host, const sim_event *event)
{
    for (phi_mail_chunk *chunk = event->arg; chunk != NULL;) {
        phi_mail_chunk *next = chunk->next;
        phi_mail_list_append(&host->box->inbox, chunk);
        chunk = next;
    }
    sim_box_read(host->box);
}

void sim_mail_forget(const sim_event *event)
{
    for (phi_mail_chunk *chunk = event->arg; chunk != NULL;) {
        phi_mail_chunk *next = chunk->next;
        phi_mail_chunk_free(chunk);
        chunk = next;
    }
}

void sim_box_read(sim_box *box)
{
    if (box == NULL || !box->m.is_attached) {
        return;
    }
    box->is_touched = false;
    uint64_t whose = 0;
    for (phi_mail_chunk *chunk; (chunk = phi_mail_list_take(&box->inbox)) != NULL;) {
        whose |= UINT64_C(1) << chunk->from;
        phi_mailbox_read(&box->m, chunk);
        memset(chunk->bytes, 0xdd, chunk->size); // whoever kept a view will find out
        phi_mailbox_recycle(&box->m, chunk);
    }
    tell_of_room(box, whose);
}

static void tell_of_room(const sim_box *box, uint64_t whose)
{
    sim *s = box->host->world;
    for (; whose != 0; whose &= whose - 1) {
        sim_box *from = (sim_box *)box->set->all[__builtin_ctzll(whose)];
        if (phi_mailbox_take_await(&from->m) && from->host->is_alive) {
            sim_schedule(s,
                         (sim_event){ .at = s->now, .node = from->host->index, .kind = SIM_TOUCH });
        }
    }
}

void sim_box_catch_up(sim_box *box)
{
    if (box != NULL && box->inbox.first != NULL && box->m.is_attached && !box->is_touched) {
        box->is_touched = true;
        sim *s = box->host->world;
        sim_schedule(s, (sim_event){ .at = s->now, .node = box->host->index, .kind = SIM_TOUCH });
    }
}
