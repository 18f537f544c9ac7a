// SPDX-License-Identifier: Apache-2.0
//
// client/gather.c - requests to every instance of a service: parts as they come, and one end.
//
// Design notes  A gather is a call whose end only the center knows: who was asked, and who did not
//               answer. Its word comes at the deadline, not before; so the timer here is a guard,
//               a little behind. Parts are passed on as they come, nothing is kept.
//
// Clauses       P-52, P-65

#include "client/post.h"

#define GRACE_MS 1000u // for the center's word to arrive

ph_err ph_client_gather(ph_client *client, const ph_outgoing *outgoing, const ph_gather *gather,
                        ph_call_id *id)
{
    if (client == NULL || gather == NULL) {
        return PH_EINVAL;
    }
    ph_gather known = PH_GATHER_INIT;
    if (!phi_struct_copy(&known, sizeof known, gather, sizeof(size_t)) || known.done == NULL) {
        return PH_EINVAL;
    }
    phi_draft draft;
    ph_err rc = phi_draft_take(&draft, outgoing);
    if (rc != PH_OK) {
        return rc;
    }
    phi_message *m = &draft.message;
    if (!phi_is_for_instances(m->to)) {
        return PH_EINVAL;
    }
    m->kind = PHI_KIND_REQUEST;
    m->want = known.want;
    phi_call *call;
    rc = phi_call_start(client, &draft, phi_ms(GRACE_MS), &call);
    if (rc != PH_OK) {
        return rc;
    }
    call->kind = PHI_CALL_GATHER;
    call->done.gathered = known.done;
    call->on.part = known.on_part;
    call->arg = known.arg;
    client->counters.calls++;
    if (id != NULL) {
        id->value = call->handle;
    }
    return PH_OK;
}

// ---- what comes

void phi_client_on_part(ph_client *client, const phi_message *message)
{
    phi_call *call = phi_call_find(client, message->call, PHI_CALL_GATHER);
    if (call == NULL) {
        return;
    }
    ph_incoming part = phi_client_incoming(message);
    uint16_t code = 0;
    if (message->kind == PHI_KIND_FAILURE) {
        phi_failure failure;
        if (phi_failure_decode(message->body, &failure) != PH_OK) {
            phi_client_breach(client, "a failure without a code");
            return;
        }
        code = failure.code;
        part.body = phi_view_of(failure.text);
    }
    client->counters.parts++;
    if (call->on.part != NULL) {
        phi_client_enter(client);
        call->on.part(client, (ph_call_id){ call->handle }, code, &part, call->arg);
        phi_client_leave(client);
    }
}

void phi_client_on_gathered(phi_call *call, const phi_message *message)
{
    ph_client *client = call->client;
    if (call->kind != PHI_CALL_GATHER) {
        client->counters.replies_stray++; // an event has no reply
        return;
    }
    if (message->kind == PHI_KIND_FAILURE) {
        phi_failed failed;
        if (phi_failed_take(client, message, &failed)) {
            phi_gather_end(call, failed.status, failed.code, NULL);
        }
        return;
    }
    phi_gathered body;
    if (phi_gathered_decode(message->body, &body) != PH_OK) {
        phi_client_breach(client, "the end of a gather breaks its form");
        return;
    }
    ph_gathered gathered = {
        .asked = body.asked,
        .replied = body.replied,
        .missing_count = body.count,
        .missing = phi_view_of(body.missing),
    };
    phi_gather_end(call, PH_OK, 0, &gathered);
}

void phi_gather_end(phi_call *call, ph_err status, uint16_t code, const ph_gathered *gathered)
{
    ph_client *client = call->client;
    ph_gathered_fn *done = call->done.gathered;
    ph_call_id id = { call->handle };
    void *arg = call->arg;
    phi_call_close(call, status);
    phi_client_enter(client);
    done(client, id, status, code, gathered, arg);
    phi_client_leave(client);
}
