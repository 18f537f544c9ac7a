// SPDX-License-Identifier: Apache-2.0
//
// client/send.c - messages, written once: from where the application has them straight into the
// send buffer of the connection.
//
// Design notes  Each text is measured once; the size of the packet is known before anything is
//               written, so the buffer is asked once and the body is copied once. What does not fit
//               into a packet is stream_out.c's. Names in `to` are not judged here: the center
//               does, and answers.
//               Here stands all that may be in a message; what most have is in post.h.
//
// Clauses       P-50 to P-54

#include "client/post.h"
#include "wire/topic.h"

static ph_err draft_take_other(phi_draft *draft, const ph_outgoing *outgoing);
static ph_err headers_measure(phi_draft *draft);

ph_err phi_draft_take(phi_draft *draft, const ph_outgoing *outgoing)
{
    if (PHI_UNLIKELY(outgoing == NULL)) {
        return PH_EINVAL;
    }
    if (PHI_UNLIKELY(outgoing->struct_size != sizeof *outgoing)) {
        return draft_take_other(draft, outgoing);
    }
    phi_message *m = &draft->message;
    *m = (phi_message){
        .ttl_ms = outgoing->timeout_ms,
        .to = phi_bytes_text(outgoing->to),
        .method = phi_bytes_text(outgoing->method),
        .body = phi_bytes_of(outgoing->body, outgoing->body_size),
    };
    draft->headers = outgoing->headers;
    draft->header_count = outgoing->header_count;
    draft->within = outgoing->within;
    draft->on_inquiry = outgoing->on_inquiry;
    draft->release = outgoing->release;
    draft->release_arg = outgoing->release_arg;
    if (PHI_UNLIKELY(m->to.size > UINT8_MAX || m->method.size > UINT8_MAX ||
                     (outgoing->body == NULL && outgoing->body_size != 0))) {
        return PH_EINVAL;
    }
    return PHI_LIKELY(outgoing->header_count == 0) ? PH_OK : headers_measure(draft);
}

// From a program that was compiled with another version of the header.
static PHI_COLD ph_err draft_take_other(phi_draft *draft, const ph_outgoing *outgoing)
{
    ph_outgoing known = PH_OUTGOING_INIT;
    if (!phi_struct_copy(&known, sizeof known, outgoing, offsetof(ph_outgoing, method))) {
        return PH_EINVAL;
    }
    return phi_draft_take(draft, &known);
}

// Only their size: they are written where they belong.
static ph_err headers_measure(phi_draft *draft)
{
    if (draft->headers == NULL) {
        return PH_EINVAL;
    }
    size_t size = 0;
    for (size_t i = 0; i < draft->header_count; i++) {
        const ph_header *h = &draft->headers[i];
        if (h->name == NULL || (h->value == NULL && h->value_size != 0) ||
            h->value_size > UINT16_MAX) {
            return PH_EINVAL;
        }
        size_t name_size = strnlen(h->name, UINT8_MAX + 1u);
        if (name_size > UINT8_MAX) {
            return PH_EINVAL;
        }
        size += 1 + name_size + 2 + h->value_size;
        if (size > UINT16_MAX) {
            return PH_ETOOLARGE;
        }
    }
    draft->message.headers.size = size;
    return PH_OK;
}

uint8_t *phi_draft_write_headers(uint8_t *at, const phi_draft *draft)
{
    size_t size = draft->message.headers.size;
    if (draft->header_count == 0 && size != 0) { // of a fragment: they are encoded
        memcpy(at, draft->message.headers.data, size);
        return at + size;
    }
    phi_writer w = phi_writer_of((phi_span){ at, size });
    for (size_t i = 0; i < draft->header_count; i++) {
        const ph_header *h = &draft->headers[i];
        phi_write_header(&w, phi_bytes_text(h->name), phi_bytes_of(h->value, h->value_size));
    }
    PH_ASSERT(!w.failed); // measured
    PH_ASSERT(phi_writer_size(&w) == size);
    return at + size;
}

PHI_COLD ph_err phi_post_failed(ph_client *client)
{
    // A link that ends says so before the application can do anything.
    PH_ASSERT(phi_link_is(&client->transport.link, PHI_LINK_OPEN));
    client->owes_writable = true;
    return PH_EBUSY;
}

PHI_COLD ph_err phi_post_long(ph_client *client, const phi_head *head, phi_numbers numbers,
                              phi_bytes body)
{
    phi_draft draft = { .message = phi_message_of(phi_bytes_of(head->bytes, head->size)) };
    draft.message.kind = (uint8_t)numbers.kind;
    draft.message.call = numbers.call;
    draft.message.ttl_ms = numbers.ttl_ms;
    draft.message.body = body;
    return phi_stream_post(client, &draft);
}

void phi_draft_release(ph_client *client, const phi_draft *draft)
{
    if (draft->release != NULL) {
        phi_client_enter(client);
        draft->release(draft->message.body.data, draft->release_arg);
        phi_client_leave(client);
    }
}

ph_err phi_client_post(ph_client *client, phi_draft *draft)
{
    PH_ASSERT(phi_client_is(client, PHI_CLIENT_UP));
    phi_message *m = &draft->message;
    m->from = phi_client_id(client); // [P-53]
    size_t size_max = phi_link_payload_max(&client->transport.link);
    if (m->body.size > size_max) {
        return phi_stream_post(client, draft); // before it is added to anything
    }
    size_t size = phi_message_size(m);
    if (size > size_max) {
        return phi_stream_post(client, draft);
    }
    uint8_t *room = phi_transport_begin(&client->transport, size);
    if (room == NULL) {
        return phi_post_failed(client);
    }
    uint8_t *at = phi_message_encode_head(room, m);
    if (m->headers.size != 0) {
        at = phi_draft_write_headers(at, draft);
    }
    if (m->body.size != 0) {
        memcpy(at, m->body.data, m->body.size);
    }
    phi_transport_commit(&client->transport, PHI_COMMAND_MESSAGE, size);
    phi_draft_release(client, draft);
    return PH_OK;
}

ph_err phi_client_post_quietly(ph_client *client, phi_draft *draft)
{
    bool owed = client->owes_writable;
    ph_err rc = phi_client_post(client, draft);
    client->owes_writable = owed;
    return rc;
}

static PHI_COLD ph_err send_draft(ph_client *client, const ph_outgoing *outgoing)
{
    phi_draft draft;
    ph_err rc = phi_draft_take(&draft, outgoing);
    if (rc != PH_OK) {
        return rc;
    }
    if (draft.message.to.size == 0) {
        return PH_EINVAL;
    }
    if (!phi_client_is(client, PHI_CLIENT_UP)) {
        return PH_ENOTCONNECTED;
    }
    draft.message.kind = PHI_KIND_EVENT;
    return phi_client_post(client, &draft);
}

ph_err ph_client_send(ph_client *client, const ph_outgoing *outgoing)
{
    if (PHI_UNLIKELY(client == NULL)) {
        return PH_EINVAL;
    }
    const phi_head *head = NULL;
    if (PHI_LIKELY(phi_client_is(client, PHI_CLIENT_UP))) {
        head = phi_head_find(client, outgoing);
    }
    if (PHI_UNLIKELY(head == NULL)) {
        return send_draft(client, outgoing);
    }
    phi_bytes body = phi_bytes_of(outgoing->body, outgoing->body_size);
    return phi_post_event(client, head, outgoing->timeout_ms, body);
}

// ---- heads

static char *put_string(char *at, phi_bytes text)
{
    if (text.size != 0) { // of no bytes the address may be NULL
        memcpy(at, text.data, text.size);
    }
    at[text.size] = '\0';
    return at + text.size + 1;
}

static bool head_write(const ph_client *client, phi_head *head, phi_bytes to, phi_bytes method)
{
    phi_message m = {
        .kind = PHI_KIND_EVENT, .to = to, .from = phi_client_id(client), .method = method
    };
    size_t size = phi_message_size(&m);
    if (size > PHI_HEAD_BYTES_MAX) {
        return false;
    }
    uint8_t *end = phi_message_encode_head(head->bytes, &m);
    PH_ASSERT(end == head->bytes + size);
    head->size = (uint16_t)size;
    return true;
}

bool phi_head_make(const ph_client *client, phi_head *head, const char *to, const char *method,
                   bool is_topic)
{
    head->size = 0;
    phi_bytes texts[] = { phi_bytes_text(to), phi_bytes_text(method) };
    phi_bytes whole = texts[0];
    char topic[PHI_TOPIC_PREFIX_BYTES + PHI_TOPIC_BYTES_MAX];
    if (is_topic) {
        if (!ph_topic_is_valid(to)) {
            return false;
        }
        memcpy(topic, PHI_TOPIC_PREFIX, PHI_TOPIC_PREFIX_BYTES);
        memcpy(topic + PHI_TOPIC_PREFIX_BYTES, to, whole.size);
        whole = phi_bytes_of(topic, PHI_TOPIC_PREFIX_BYTES + whole.size);
    }
    // Whole sizes first: what is too long for a length on the wire is so for a head.
    if (whole.size == 0 || whole.size + texts[1].size > sizeof head->texts - 2 ||
        phi_is_for_instances(whole) || !head_write(client, head, whole, texts[1])) {
        return false;
    }
    char *at = put_string(head->texts, texts[0]);
    head->method_at = (uint16_t)(at - head->texts);
    (void)put_string(at, texts[1]);
    head->is_topic = is_topic;
    return true;
}

void phi_heads_reset(ph_client *client)
{
    for (size_t i = 0; i < PHI_HEADS; i++) {
        client->heads[i].size = 0;
    }
    bool is_made =
        head_write(client, &client->answer_head, (phi_bytes){ NULL, 0 }, (phi_bytes){ NULL, 0 });
    PH_ASSERT(is_made);
}
