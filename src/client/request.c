// SPDX-License-Identifier: Apache-2.0
//
// client/request.c - requests of others, and how they are answered.
//
// Nothing is kept per request: its id is the center's number for the call and ours for the
// connection. An answer over a newer connection is refused here, because there the same number may
// be somebody else's; one to a call that is over is dropped by the center (P-56).

#include "client/core.h"

#define FAILURE_TEXT_BYTES_MAX 1024u // for people; more belongs into headers

static ph_err answer(ph_client *client, ph_request_id request, phi_draft *draft, uint8_t kind);

// ---- what comes

void phi_client_on_request(ph_client *client, const phi_message *message)
{
    client->counters.requests++;
    ph_request_id request = { message->call, client->connection };
    if (PHI_UNLIKELY(client->options.on_request == NULL)) {
        bool owed = client->owes_writable;
        if (ph_client_fail(client, request, PH_FAILURE_NO_HANDLER, NULL) != PH_OK) {
            client->owes_writable = owed; // the application did not see PH_EBUSY
            client->counters.dropped++;   // the caller has its deadline
        }
        return;
    }
    ph_incoming incoming = phi_client_incoming(message);
    phi_client_enter(client);
    client->options.on_request(client, request, &incoming, client->options.arg);
    phi_client_leave(client);
}

void phi_client_on_cancel(ph_client *client, const phi_message *message)
{
    if (client->options.on_cancel == NULL) {
        return;
    }
    ph_request_id request = { message->call, client->connection };
    phi_client_enter(client);
    client->options.on_cancel(client, request, client->options.arg);
    phi_client_leave(client);
}

// ---- answers

ph_err ph_client_reply(ph_client *client, ph_request_id request, const void *body, size_t body_size)
{
    if (PHI_UNLIKELY(body == NULL && body_size != 0)) {
        return PH_EINVAL;
    }
    phi_draft draft = { .message = { .body = phi_bytes_of(body, body_size) } };
    return answer(client, request, &draft, PHI_KIND_REPLY);
}

ph_err ph_client_reply_with(ph_client *client, ph_request_id request, const ph_outgoing *outgoing)
{
    phi_draft draft;
    ph_err rc = phi_draft_take(&draft, outgoing);
    if (rc != PH_OK) {
        return rc;
    }
    // The call decides where it goes, and until when [P-52].
    draft.message.to = (phi_bytes){ NULL, 0 };
    draft.message.method = (phi_bytes){ NULL, 0 };
    draft.message.ttl_ms = 0;
    return answer(client, request, &draft, PHI_KIND_REPLY);
}

ph_err ph_client_fail(ph_client *client, ph_request_id request, uint16_t code, const char *text)
{
    if (code != PH_FAILURE_RESPONDER_FAILED && code != PH_FAILURE_NO_HANDLER &&
        code < PH_FAILURE_APPLICATION) {
        return PH_EINVAL;
    }
    if (text == NULL) {
        text = ph_failure_text(code);
    }
    phi_bytes words = phi_bytes_of(text, strnlen(text, FAILURE_TEXT_BYTES_MAX + 1u));
    if (words.size > FAILURE_TEXT_BYTES_MAX) {
        return PH_ETOOLARGE;
    }
    uint8_t body[2 + FAILURE_TEXT_BYTES_MAX];
    phi_put_u16(body, code);
    memcpy(body + 2, words.data, words.size);
    phi_draft draft = { .message = { .body = phi_bytes_of(body, 2 + words.size) } };
    return answer(client, request, &draft, PHI_KIND_FAILURE);
}

static ph_err answer(ph_client *client, ph_request_id request, phi_draft *draft, uint8_t kind)
{
    if (PHI_UNLIKELY(client == NULL || request.call == 0)) {
        return PH_EINVAL;
    }
    if (PHI_UNLIKELY(!phi_client_is(client, PHI_CLIENT_UP) ||
                     request.connection != client->connection)) {
        return PH_ESTALE;
    }
    draft->message.kind = kind;
    draft->message.call = request.call;
    return phi_client_post(client, draft);
}
