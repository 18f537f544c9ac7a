// SPDX-License-Identifier: Apache-2.0
//
// client/post.h - a message on its way into the send buffer.
//
// Design notes  The path of a million calls a second, at either end of each. It is inline, so that
//               what is constant where a message is made (its kind, its flags) is judged and
//               encoded by the compiler, and what is not there (headers, a body that was left to
//               us) is not looked for. So there are two ways in: a phi_message alone, for what most
//               programs send most of the time, and a phi_draft for all the rest.

#ifndef PHI_CLIENT_POST_H
#define PHI_CLIENT_POST_H

#include "client/core.h"

// What is to be sent, measured: each text once.
typedef struct phi_draft {
    phi_message message;      // `headers` and `body`: sizes count, data of the body
    const ph_header *headers; // borrowed from the application
    size_t header_count;
    const ph_request_id *within; // same
    ph_inquiry_fn *on_inquiry;
    ph_release_fn *release; // the body is left to us until this; NULL: it is borrowed
    void *release_arg;
} phi_draft;

// PH_EINVAL   a text is too long or a pointer missing
PHI_MUST_CHECK ph_err phi_draft_take(phi_draft *draft, const ph_outgoing *outgoing);

// The common case of that: true, and the whole of it is in *message, when the application said
// nothing that only a draft holds, and nothing wrong. Else nothing was written.
static PHI_ALWAYS_INLINE bool phi_message_take(phi_message *message, const ph_outgoing *outgoing)
{
    if (PHI_UNLIKELY(outgoing == NULL || outgoing->struct_size != sizeof *outgoing ||
                     outgoing->to == NULL || outgoing->header_count != 0 ||
                     outgoing->within != NULL || outgoing->release != NULL)) {
        return false;
    }
    phi_message m = {
        .ttl_ms = outgoing->timeout_ms,
        .to = phi_bytes_text(outgoing->to),
        .method = phi_bytes_text(outgoing->method),
        .body = phi_bytes_of(outgoing->body, outgoing->body_size),
    };
    if (PHI_UNLIKELY((m.to.size | m.method.size) > UINT8_MAX ||
                     (m.body.data == NULL && m.body.size != 0))) {
        return false;
    }
    *message = m;
    return true;
}

// Its headers, as they go on the wire. Returns what is behind them.
uint8_t *phi_draft_write_headers(uint8_t *at, const phi_draft *draft);

// The message was accepted, and its body is needed no more. Nothing when it was only borrowed.
void phi_draft_release(ph_client *client, const phi_draft *draft);

// Into the send buffer. kind, call, ttl and all views are set; `from` is set here.
// PH_ETOOLARGE, PH_EBUSY, PH_ENOMEM   nothing was sent; after PH_EBUSY on_writable follows
PHI_MUST_CHECK ph_err phi_client_post(ph_client *client, phi_draft *draft);

// As phi_client_post, for what the library says of itself: the application is not told of PH_EBUSY.
PHI_MUST_CHECK ph_err phi_client_post_quietly(ph_client *client, phi_draft *draft);

// "all:NAME": every instance of a service [P-52].
static inline bool phi_is_for_instances(phi_bytes to)
{
    return to.size > 4 && memcmp(to.data, "all:", 4) == 0;
}

// ---- the way itself

// What is not sent at once: too long for a packet, or there is no room.
PHI_MUST_CHECK ph_err phi_post_long(ph_client *client, const phi_message *message);
PHI_MUST_CHECK ph_err phi_post_failed(ph_client *client);

// As phi_client_post, for a message that is all there is. It has no headers.
static PHI_ALWAYS_INLINE PHI_MUST_CHECK ph_err phi_post(ph_client *client,
                                                        const phi_message *message)
{
    PH_ASSERT(phi_client_is(client, PHI_CLIENT_UP));
    PH_ASSERT(message->headers.size == 0);
    phi_message m = *message;
    m.from = phi_client_id(client); // [P-53]
    size_t size_max = phi_link_payload_max(&client->transport.link);
    size_t size = phi_message_size(&m);
    if (PHI_UNLIKELY(m.body.size > size_max || size > size_max)) { // the first: it cannot wrap
        phi_message copy = m;                                      // so that `m` has no address
        return phi_post_long(client, &copy);
    }
    uint8_t *room = phi_transport_begin(&client->transport, size);
    if (PHI_UNLIKELY(room == NULL)) {
        return phi_post_failed(client);
    }
    uint8_t *at = phi_message_encode_head(room, &m);
    if (m.body.size != 0) {
        memcpy(at, m.body.data, m.body.size);
    }
    phi_transport_commit(&client->transport, PHI_COMMAND_MESSAGE, size);
    return PH_OK;
}

#endif // PHI_CLIENT_POST_H
