// SPDX-License-Identifier: Apache-2.0
//
// client/receipt.c - events whose sender is told what became of them.
//
// An event with a receipt has a number like a call, and is kept like one until the center has said
// its word. That may come at the deadline, when somebody was late; so the timer here is a guard, a
// little behind.
//
// Clauses       P-68

#include "client/post.h"

#define GRACE_MS 1000u // for the center's word to arrive

ph_err ph_client_send_with_receipt(ph_client *client, const ph_outgoing *outgoing, ph_call_id *id,
                                   ph_receipt_fn *done, void *arg)
{
    if (client == NULL || done == NULL) {
        return PH_EINVAL;
    }
    phi_draft draft;
    ph_err rc = phi_draft_take(&draft, outgoing);
    if (rc != PH_OK) {
        return rc;
    }
    draft.message.kind = PHI_KIND_EVENT;
    draft.message.flags = PHI_FLAG_RECEIPT;
    draft.within = NULL; // of requests only [P-63]
    phi_call *call;
    rc = phi_call_start(client, &draft, phi_ms(GRACE_MS), &call);
    if (rc != PH_OK) {
        return rc;
    }
    call->kind = PHI_CALL_RECEIPT;
    call->done.receipted = done;
    call->arg = arg;
    client->counters.receipts_wanted++;
    if (id != NULL) {
        id->value = call->handle;
    }
    return PH_OK;
}

void phi_client_on_receipt(ph_client *client, const phi_message *message)
{
    phi_receipt body;
    if (phi_receipt_decode(message->body, &body) != PH_OK) {
        phi_client_breach(client, "a receipt breaks its form");
        return;
    }
    phi_call *call = phi_call_find(client, message->call, PHI_CALL_RECEIPT);
    if (call != NULL) {
        ph_receipt receipt = { body.delivered, body.dropped, body.code };
        phi_receipt_end(call, PH_OK, &receipt);
    }
}

void phi_receipt_end(phi_call *call, ph_err status, const ph_receipt *receipt)
{
    ph_client *client = call->client;
    ph_receipt_fn *done = call->done.receipted;
    ph_call_id id = { call->handle };
    void *arg = call->arg;
    phi_call_close(call, status);
    phi_client_enter(client);
    done(client, id, status, receipt, arg);
    phi_client_leave(client);
}
