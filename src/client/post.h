// SPDX-License-Identifier: Apache-2.0
//
// client/post.h - a message on its way into the send buffer.
//
// Design notes  The path of a million calls a second, at either end of each. A program sends to few
//               destinations and to each many times, so what stands in front of the body is encoded
//               once (phi_head) and copied from then on. Which head it is, is guessed from where
//               the application keeps its texts, and judged by comparing them: a guess that is
//               wrong costs making the head anew, and nothing else.
//               All that a message may have besides (headers, a dialog that it is part of, a body
//               that is left to us) goes through a phi_draft.

#ifndef PHI_CLIENT_POST_H
#define PHI_CLIENT_POST_H

#include "client/core.h"

PH_STATIC_ASSERT(PHI_HEAD_BYTES_MAX >= PHI_MESSAGE_HEAD_BYTES + PHI_ID_BYTES_MAX); // an answer's
PH_STATIC_ASSERT(PHI_HEAD_BYTES_MAX < PHI_PACKET_BYTES_JOINING_MAX);

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

// ---- heads

// Makes it that of `to` and `method` (NULL: none), or of a topic when `is_topic`; false when that
// is no destination, or too long to be kept: then it is no head.
PHI_MUST_CHECK bool phi_head_make(const ph_client *client, phi_head *head, const char *to,
                                  const char *method, bool is_topic);

// A connection begins or ends.
void phi_heads_reset(ph_client *client);

static PHI_ALWAYS_INLINE phi_head *phi_head_guess(ph_client *client, const char *to,
                                                  const char *method)
{
    uintptr_t mix = ((uintptr_t)to >> 3) + ((uintptr_t)method >> 2);
    return &client->heads[mix % PHI_HEADS];
}

// The head of what was never anything but to and body, and method perhaps; NULL: a draft has to be
// made of it. The client is up.
static PHI_ALWAYS_INLINE phi_head *phi_head_find(ph_client *client, const ph_outgoing *o)
{
    PH_ASSERT(phi_client_is(client, PHI_CLIENT_UP));
    if (PHI_UNLIKELY(o == NULL || o->struct_size != sizeof *o || o->to == NULL)) {
        return NULL;
    }
    bool is_plain = (o->header_count | (uintptr_t)o->within | (uintptr_t)o->release) == 0;
    if (PHI_UNLIKELY(!is_plain || (o->body == NULL && o->body_size != 0))) {
        return NULL;
    }
    phi_head *head = phi_head_guess(client, o->to, o->method);
    if (PHI_LIKELY(head->size != 0 && !head->is_topic && strcmp(head->texts, o->to) == 0)) {
        const char *kept = head->texts + head->method_at;
        if (PHI_LIKELY(o->method == NULL ? kept[0] == '\0' : strcmp(kept, o->method) == 0)) {
            return head;
        }
    }
    return phi_head_make(client, head, o->to, o->method, /* is_topic= */ false) ? head : NULL;
}

// ---- the way itself

// The two numbers in which messages with the same head differ, and their kind.
typedef struct phi_numbers {
    phi_kind kind;
    uint32_t ttl_ms;
    uint64_t call;
} phi_numbers;

// What is not sent at once: too long for a packet, or there is no room.
PHI_MUST_CHECK ph_err phi_post_long(ph_client *client, const phi_head *head, phi_numbers numbers,
                                    phi_bytes body);
PHI_MUST_CHECK ph_err phi_post_failed(ph_client *client);

// As phi_client_post, for a message that has nothing but its head and a body.
static PHI_ALWAYS_INLINE PHI_MUST_CHECK ph_err phi_post(ph_client *client, const phi_head *head,
                                                        phi_numbers numbers, phi_bytes body)
{
    PH_ASSERT(phi_client_is(client, PHI_CLIENT_UP));
    size_t head_size = head->size;
    PH_ASSERT(head_size >= PHI_MESSAGE_HEAD_BYTES);
    size_t size_max = phi_link_payload_max(&client->transport.link);
    if (PHI_UNLIKELY(body.size > size_max - head_size)) { // a packet is longer than a head
        return phi_post_long(client, head, numbers, body);
    }
    size_t size = head_size + body.size;
    uint8_t *room = phi_transport_begin(&client->transport, size);
    if (PHI_UNLIKELY(room == NULL)) {
        return phi_post_failed(client);
    }
    memcpy(room, head->bytes, head_size);
    room[0] = (uint8_t)numbers.kind;
    phi_put_u64(room + PHI_MESSAGE_CALL_AT, numbers.call);
    phi_put_u32(room + PHI_MESSAGE_TTL_AT, numbers.ttl_ms);
    if (body.size != 0) {
        memcpy(room + head_size, body.data, body.size);
    }
    phi_transport_commit(&client->transport, PHI_COMMAND_MESSAGE, size);
    return PH_OK;
}

// An event, of which a program may send any number in one turn.
static PHI_ALWAYS_INLINE PHI_MUST_CHECK ph_err phi_post_event(ph_client *client,
                                                              const phi_head *head, uint32_t ttl_ms,
                                                              phi_bytes body)
{
    phi_transport_ease(&client->transport);
    phi_numbers numbers = { .kind = PHI_KIND_EVENT, .ttl_ms = ttl_ms };
    return phi_post(client, head, numbers, body);
}

#endif // PHI_CLIENT_POST_H
