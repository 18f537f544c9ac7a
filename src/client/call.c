// SPDX-License-Identifier: Apache-2.0
//
// client/call.c - requests of ours, and how they end.
//
// Design notes  A call's handle is its number on the wire: finding it again is an index and a
//               comparison, and a number of a call that is over misses. The slots are kept, so that
//               a call in steady state allocates nothing.
//               The deadline here is the one the application named, counted from the request; the
//               center counts the same from when it saw it, so its failure comes a little later and
//               finds nobody. Whichever is first, the application sees PH_ETIMEDOUT with the code
//               of P-58. The failure that lost the race is counted as stray.
//               A cancelled call waits for its timer, set to now, so that its callback never runs
//               inside ph_client_cancel.
//
// Clauses       P-51, P-56 to P-58

#include "client/core.h"

#define CALL_TIMEOUT_MS 30000u // as a center's default [P-57]

static void on_timer(phi_timer *timer, phi_time now);
static void end(phi_call *call, ph_err status, uint16_t code, const ph_incoming *reply);

void phi_client_calls_init(ph_client *client)
{
    phi_slots_init(&client->calls, client->alloc, sizeof(phi_call), client->options.calls_max);
}

ph_err ph_client_request(ph_client *client, const ph_outgoing *outgoing, ph_call_id *id,
                         ph_reply_fn *done, void *arg)
{
    if (PHI_UNLIKELY(client == NULL || done == NULL)) {
        return PH_EINVAL;
    }
    phi_draft draft;
    ph_err rc = phi_draft_take(&draft, outgoing);
    if (PHI_UNLIKELY(rc != PH_OK)) {
        return rc;
    }
    if (PHI_UNLIKELY(draft.message.to.size == 0)) {
        return PH_EINVAL;
    }
    if (PHI_UNLIKELY(!phi_client_is(client, PHI_CLIENT_UP))) {
        return PH_ENOTCONNECTED;
    }
    if (PHI_UNLIKELY(client->calls.count >= client->options.calls_max)) {
        return PH_ELIMIT;
    }

    uint64_t handle = 0;
    phi_call *call = phi_slots_take(&client->calls, &handle);
    if (PHI_UNLIKELY(call == NULL)) {
        return PH_ENOMEM;
    }
    phi_message *m = &draft.message;
    m->kind = PHI_KIND_REQUEST;
    m->call = handle;
    m->ttl_ms = m->ttl_ms == 0 ? CALL_TIMEOUT_MS : m->ttl_ms;
    rc = phi_client_post(client, &draft);
    if (PHI_UNLIKELY(rc != PH_OK)) {
        phi_slots_give(&client->calls, handle);
        return rc;
    }

    call->client = client;
    call->handle = handle;
    call->done = done;
    call->arg = arg;
    phi_timer_init(&call->timer, on_timer);
    phi_time deadline = phi_time_add(phi_io_now(client->io), phi_ms(m->ttl_ms));
    phi_timer_set(&client->io->timers, &call->timer, deadline);
    client->counters.calls++;
    if (id != NULL) {
        id->value = handle;
    }
    return PH_OK;
}

ph_err ph_client_cancel(ph_client *client, ph_call_id id)
{
    if (client == NULL) {
        return PH_EINVAL;
    }
    phi_call *call = phi_slots_find(&client->calls, id.value);
    if (call == NULL || call->is_cancelled) {
        return PH_ENOTFOUND;
    }
    call->is_cancelled = true;
    phi_timer_set(&client->io->timers, &call->timer, phi_io_now(client->io));
    phi_io_hurry(client->io);
    if (phi_client_is(client, PHI_CLIENT_UP)) {
        // When there is no room, the responder is told at the deadline all the same, by the center.
        phi_draft draft = { .message = { .kind = PHI_KIND_CANCEL, .call = id.value } };
        bool owed = client->owes_writable;
        if (phi_client_post(client, &draft) != PH_OK) {
            client->owes_writable = owed; // the application did not see PH_EBUSY
        }
    }
    return PH_OK;
}

void phi_client_on_reply(ph_client *client, const phi_message *message)
{
    phi_call *call = phi_slots_find(&client->calls, message->call);
    if (PHI_UNLIKELY(call == NULL || call->is_cancelled)) {
        client->counters.replies_stray++;
        return;
    }
    ph_incoming incoming = phi_client_incoming(message);
    if (PHI_LIKELY(message->kind == PHI_KIND_REPLY)) {
        end(call, PH_OK, 0, &incoming);
        return;
    }
    phi_failure failure;
    if (phi_failure_decode(message->body, &failure) != PH_OK || failure.code == 0) {
        phi_client_breach(client, "a failure without a code");
        return;
    }
    if (failure.code == PH_FAILURE_DEADLINE) {
        end(call, PH_ETIMEDOUT, failure.code, NULL);
        return;
    }
    incoming.body = phi_view_of(failure.text);
    end(call, PH_EFAILURE, failure.code, &incoming);
}

static void on_timer(phi_timer *timer, phi_time now)
{
    (void)now;
    phi_call *call = PHI_CONTAINER_OF(timer, phi_call, timer);
    if (call->is_cancelled) {
        end(call, PH_ECANCELLED, 0, NULL);
    } else {
        end(call, PH_ETIMEDOUT, PH_FAILURE_DEADLINE, NULL);
    }
}

void phi_client_calls_end(ph_client *client, ph_err status)
{
    uint64_t handle = 0;
    phi_call *call = NULL;
    // Callbacks find no connection, so no call appears while this runs.
    for (uint32_t i = 0; (call = phi_slots_next(&client->calls, &i, &handle)) != NULL; i++) {
        end(call, call->is_cancelled ? PH_ECANCELLED : status, 0, NULL);
    }
    PH_ASSERT(client->calls.count == 0);
}

static void count(ph_client *client, ph_err status)
{
    ph_client_counters *c = &client->counters;
    if (PHI_LIKELY(status == PH_OK)) {
        c->replies++;
    } else if (status == PH_EFAILURE) {
        c->failures++;
    } else if (status == PH_ETIMEDOUT) {
        c->timeouts++;
    } else if (status == PH_ECANCELLED) {
        c->cancels++;
    } else {
        PH_ASSERT(status == PH_ERESET);
        c->resets++;
    }
}

// The one way out.
static void end(phi_call *call, ph_err status, uint16_t code, const ph_incoming *reply)
{
    ph_client *client = call->client;
    ph_reply_fn *done = call->done;
    void *arg = call->arg;
    ph_call_id id = { call->handle };
    PH_ASSERT(client->magic == PHI_CLIENT_MAGIC);
    PH_ASSERT(done != NULL);
    phi_timer_clear(&client->io->timers, &call->timer);
    phi_slots_give(&client->calls, call->handle);
    count(client, status);
    phi_client_enter(client);
    done(client, id, status, code, reply, arg);
    phi_client_leave(client);
}
