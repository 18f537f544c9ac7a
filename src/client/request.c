// SPDX-License-Identifier: Apache-2.0
//
// client/request.c - requests and inquiries of others, and how they are answered.
//
// Nothing is kept per request: its id is the center's number for the call and ours for the
// connection. An answer over a newer connection is refused here, because there the same number may
// be somebody else's; one to a call that is over is dropped by the center (P-56). An inquiry
// belongs to a call of ours: that is known here, and decides who is asked and how long.
//
// Clauses       P-51 to P-53, P-57, P-58, P-62

#include "client/post.h"

#define FAILURE_TEXT_BYTES_MAX 1024u // for people; more belongs into headers

static inline ph_request_id id_of(const ph_client *client, const phi_message *message);
static void refuse(ph_client *client, ph_request_id request);
static ph_err answer(ph_client *client, ph_request_id request, phi_draft *draft);
static ph_err answer_inquiry(ph_client *client, ph_request_id inquiry, phi_draft *draft);

// ---- what comes

static PHI_ALWAYS_INLINE void take_request(ph_client *client, phi_bytes payload)
{
    client->counters.requests++;
    const phi_message message = phi_message_of(payload);
    ph_request_id request = id_of(client, &message);
    if (PHI_UNLIKELY(client->options.on_request == NULL)) {
        refuse(client, request);
        return;
    }
    ph_incoming incoming = phi_client_incoming(&message);
    phi_client_enter(client);
    client->options.on_request(client, request, &incoming, client->options.arg);
    phi_client_leave(client);
}

// Inline: a build that sees all files puts it where requests are told from the rest.
inline void phi_client_on_plain_request(ph_client *client, phi_bytes payload)
{
    take_request(client, payload);
}

PHI_COLD void phi_client_on_request(ph_client *client, phi_bytes payload)
{
    take_request(client, payload);
}

PHI_COLD void phi_client_refuse(ph_client *client, const phi_message *request)
{
    client->counters.requests++;
    refuse(client, id_of(client, request));
}

void phi_client_on_inquiry(ph_client *client, const phi_message *message)
{
    phi_call *call = phi_slots_find(&client->calls, message->call);
    if (call == NULL || call->is_cancelled || call->kind != PHI_CALL_REQUEST) {
        client->counters.dropped++; // it has ended with its call, whose end is on its way
        return;
    }
    client->counters.inquiries++;
    ph_request_id inquiry = id_of(client, message);
    if (call->deadline.ns < inquiry.deadline_ns) {
        inquiry.deadline_ns = call->deadline.ns;
    }
    ph_inquiry_fn *ask = call->on.inquiry;
    void *arg = call->arg;
    if (ask == NULL) {
        ask = client->options.on_inquiry;
        arg = client->options.arg;
    }
    if (ask == NULL) {
        refuse(client, inquiry);
        return;
    }
    ph_incoming incoming = phi_client_incoming(message);
    phi_client_enter(client);
    ask(client, (ph_call_id){ call->handle }, inquiry, &incoming, arg);
    phi_client_leave(client);
}

void phi_client_on_cancel(ph_client *client, const phi_message *message)
{
    phi_failure why;
    if (phi_failure_decode(message->body, &why) != PH_OK) {
        phi_client_breach(client, "a cancel breaks its form");
        return;
    }
    if (client->asks.count != 0) {
        phi_client_asks_cancel(client, message->call, why.code);
    }
    bool was_coming = phi_streams_are_any(&client->streams) &&
                      phi_streams_drop(client, PHI_KINDS(PHI_KIND_REPLY),
                                       PHI_KINDS(PHI_KIND_REQUEST), message->call,
                                       /* turn= */ 0, /* code= */ 0);
    if (was_coming) {
        return; // the application has not seen it
    }
    if (client->options.on_cancel == NULL || !phi_client_is(client, PHI_CLIENT_UP)) {
        return; // nobody to tell; or an inquiry's callback closed the client
    }
    phi_client_enter(client);
    client->options.on_cancel(client, id_of(client, message), why.code, client->options.arg);
    phi_client_leave(client);
}

static inline ph_request_id id_of(const ph_client *client, const phi_message *message)
{
    return (ph_request_id){
        .call = message->call,
        .connection = client->connection,
        .deadline_ns = phi_time_add(client->io->now, phi_ms(message->ttl_ms)).ns,
        .turn = message->turn,
        .depth = message->depth,
    };
}

// Nobody answers here: who asks must not wait for its deadline.
static PHI_COLD void refuse(ph_client *client, ph_request_id request)
{
    bool owed = client->owes_writable;
    if (ph_client_fail(client, request, PH_FAILURE_NO_HANDLER, NULL) != PH_OK) {
        client->owes_writable = owed; // the application did not see PH_EBUSY
        client->counters.dropped++;   // and has its deadline after all
    }
}

// ---- answers

static PHI_ALWAYS_INLINE bool is_stale(const ph_client *client, ph_request_id request)
{
    return !phi_client_is(client, PHI_CLIENT_UP) || request.connection != client->connection;
}

ph_err ph_client_reply(ph_client *client, ph_request_id request, const void *body, size_t body_size)
{
    if (PHI_UNLIKELY(client == NULL || request.call == 0 || (body == NULL && body_size != 0))) {
        return PH_EINVAL;
    }
    if (PHI_UNLIKELY(is_stale(client, request))) {
        return PH_ESTALE;
    }
    phi_bytes bytes = phi_bytes_of(body, body_size);
    if (PHI_UNLIKELY((request.turn | client->asks.count) != 0)) {
        phi_draft draft = { .message = { .kind = PHI_KIND_REPLY, .body = bytes } };
        return answer(client, request, &draft);
    }
    phi_numbers numbers = { .kind = PHI_KIND_REPLY, .call = request.call };
    return phi_post(client, &client->answer_head, numbers, bytes);
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
    draft.message.kind = PHI_KIND_REPLY;
    return answer(client, request, &draft);
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
    phi_draft draft = { .message = { .kind = PHI_KIND_FAILURE,
                                     .body = phi_bytes_of(body, 2 + words.size) } };
    return answer(client, request, &draft);
}

static ph_err answer(ph_client *client, ph_request_id request, phi_draft *draft)
{
    if (client == NULL || request.call == 0) {
        return PH_EINVAL;
    }
    if (is_stale(client, request)) {
        return PH_ESTALE;
    }
    draft->message.call = request.call;
    if (request.turn != 0) {
        return answer_inquiry(client, request, draft);
    }
    ph_err rc = phi_client_post(client, draft);
    if (client->asks.count != 0 && rc == PH_OK) {
        phi_client_asks_drop(client, request.call);
    }
    return rc;
}

static PHI_COLD ph_err answer_inquiry(ph_client *client, ph_request_id inquiry, phi_draft *draft)
{
    phi_call *call = phi_slots_find(&client->calls, inquiry.call);
    if (call == NULL || call->is_cancelled || call->kind != PHI_CALL_REQUEST) {
        return PH_ESTALE;
    }
    phi_message *m = &draft->message;
    m->kind = m->kind == PHI_KIND_FAILURE ? PHI_KIND_FAILURE : PHI_KIND_ANSWER;
    m->turn = inquiry.turn;
    return phi_client_post(client, draft);
}
