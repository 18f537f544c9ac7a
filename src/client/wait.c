// SPDX-License-Identifier: Apache-2.0
//
// client/wait.c - the blocking conveniences: they drive the loop until something has happened, and
// with it everything else that lives on it.

#include <limits.h>

#include "client/core.h"

// One block: this, then the texts of `incoming`.
struct ph_reply {
    const phi_alloc *alloc;
    size_t size; // of the block
    ph_incoming incoming;
    uint16_t code;
};

// Stands on the stack of the function that waits.
typedef struct waiting {
    const phi_alloc *alloc;
    ph_inquiry_fn *on_inquiry;
    bool is_over;
    ph_err status;
    ph_reply *reply;
    ph_receipt receipt;
} waiting;

// Whether this may drive its loop now.
static bool can_wait(const ph_client *client)
{
    return client != NULL && client->loop != NULL && !client->io->is_turning;
}

ph_err ph_client_open_wait(ph_client *client, uint32_t timeout_ms)
{
    if (!can_wait(client)) {
        return PH_EINVAL;
    }
    ph_err rc = ph_client_open(client);
    if (rc != PH_OK) {
        return rc;
    }
    phi_time deadline = phi_time_add(phi_io_now(client->io), phi_ms(timeout_ms));
    for (;;) {
        if (phi_client_is(client, PHI_CLIENT_UP)) {
            return PH_OK;
        }
        if (ph_client_state(client) == PH_LINK_CLOSED) {
            return client->closed_err;
        }
        phi_time now = phi_io_now(client->io);
        if (!phi_time_before(now, deadline)) {
            return PH_ETIMEDOUT;
        }
        uint64_t left_ms = phi_dur_ms(phi_time_diff(deadline, now)) + 1;
        ph_loop_turn(client->loop, left_ms > INT_MAX ? INT_MAX : (int)left_ms);
    }
}

static phi_bytes keep(uint8_t **at, ph_view view)
{
    phi_bytes kept = phi_bytes_of(*at, view.size);
    if (view.size != 0) {
        memcpy(*at, view.data, view.size);
        *at += view.size;
    }
    return kept;
}

static ph_reply *reply_new(const phi_alloc *alloc, const ph_incoming *in, uint16_t code)
{
    size_t size = sizeof(ph_reply) + in->from.size + in->to.size + in->method.size +
                  in->headers.size + in->body.size;
    ph_reply *reply = phi_take(alloc, size);
    if (reply == NULL) {
        return NULL;
    }
    uint8_t *at = (uint8_t *)(reply + 1);
    *reply = (ph_reply){ .alloc = alloc, .size = size, .code = code };
    reply->incoming.from = phi_view_of(keep(&at, in->from));
    reply->incoming.to = phi_view_of(keep(&at, in->to));
    reply->incoming.method = phi_view_of(keep(&at, in->method));
    reply->incoming.headers = phi_view_of(keep(&at, in->headers));
    reply->incoming.body = phi_view_of(keep(&at, in->body));
    return reply;
}

static void on_reply(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
                     const ph_incoming *reply, void *arg)
{
    (void)client;
    (void)call;
    waiting *w = arg;
    w->is_over = true;
    w->status = status;
    if (reply != NULL) {
        w->reply = reply_new(w->alloc, reply, code);
        if (w->reply == NULL) {
            w->status = PH_ENOMEM;
        }
    }
}

// Whoever waits has no `arg` to give.
static void on_inquiry(ph_client *client, ph_call_id call, ph_request_id inquiry,
                       const ph_incoming *incoming, void *arg)
{
    waiting *w = arg;
    w->on_inquiry(client, call, inquiry, incoming, client->options.arg);
}

ph_err ph_client_request_wait(ph_client *client, const ph_outgoing *outgoing, ph_reply **out)
{
    if (!can_wait(client) || outgoing == NULL || out == NULL) {
        return PH_EINVAL;
    }
    ph_outgoing known = PH_OUTGOING_INIT;
    if (!phi_struct_copy(&known, sizeof known, outgoing, offsetof(ph_outgoing, method))) {
        return PH_EINVAL;
    }
    waiting w = { .alloc = client->alloc, .on_inquiry = known.on_inquiry };
    known.on_inquiry = known.on_inquiry == NULL ? NULL : on_inquiry;
    ph_err rc = ph_client_request(client, &known, NULL, on_reply, &w);
    if (rc != PH_OK) {
        return rc;
    }
    while (!w.is_over) { // a call always ends
        ph_loop_turn(client->loop, -1);
    }
    *out = w.reply;
    return w.status;
}

static void on_receipt(ph_client *client, ph_call_id event, ph_err status,
                       const ph_receipt *receipt, void *arg)
{
    (void)client;
    (void)event;
    waiting *w = arg;
    w->is_over = true;
    w->status = status;
    if (receipt != NULL) {
        w->receipt = *receipt;
    }
}

ph_err ph_client_send_with_receipt_wait(ph_client *client, const ph_outgoing *outgoing,
                                        ph_receipt *out)
{
    if (!can_wait(client) || out == NULL) {
        return PH_EINVAL;
    }
    waiting w = { .is_over = false };
    ph_err rc = ph_client_send_with_receipt(client, outgoing, NULL, on_receipt, &w);
    if (rc != PH_OK) {
        return rc;
    }
    while (!w.is_over) { // in time or not, a receipt's callback runs
        ph_loop_turn(client->loop, -1);
    }
    if (w.status == PH_OK) {
        *out = w.receipt;
    }
    return w.status;
}

const ph_incoming *ph_reply_incoming(const ph_reply *reply)
{
    return reply == NULL ? NULL : &reply->incoming;
}

uint16_t ph_reply_code(const ph_reply *reply)
{
    return reply == NULL ? 0 : reply->code;
}

void ph_reply_free(ph_reply **reply)
{
    if (reply == NULL || *reply == NULL) {
        return;
    }
    ph_reply *r = *reply;
    phi_give(r->alloc, r, r->size);
    *reply = NULL;
}
