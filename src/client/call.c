// SPDX-License-Identifier: Apache-2.0
//
// client/call.c - requests of ours; and how they, gathers and receipts end, which share their
// numbers.
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
// Clauses       P-51, P-56 to P-58, P-63

#include "client/post.h"

#define CALL_TIMEOUT_MS 30000u // as a center's default [P-57]

static ph_err stay_within(ph_client *client, phi_draft *draft);
static void on_timer(phi_timer *timer, phi_time now);
static void end_empty(phi_call *call, ph_err status, uint16_t code);
static PHI_ALWAYS_INLINE void end(phi_call *call, ph_err status, uint16_t code,
                                  const ph_incoming *reply);

void phi_client_calls_init(ph_client *client)
{
    phi_slots_init(&client->calls, client->alloc, sizeof(phi_call), client->options.calls_max);
    phi_client_asks_init(client);
}

void phi_client_calls_fini(ph_client *client)
{
    phi_slots_fini(&client->calls);
    phi_slots_fini(&client->asks);
}

// ---- begin

// It was sent. Field by field: a whole phi_call of zeros would be written before these.
static PHI_ALWAYS_INLINE void call_begin(ph_client *client, phi_call *call, uint64_t handle,
                                         uint32_t ttl_ms, phi_dur grace)
{
    call->client = client;
    call->handle = handle;
    call->deadline = phi_time_add(phi_io_now(client->io), phi_ms(ttl_ms));
    call->on.inquiry = NULL;
    call->kind = PHI_CALL_REQUEST;
    call->is_cancelled = false;
    phi_timer_init(&call->timer, on_timer);
    phi_timer_start(&client->io->timers, &call->timer, phi_time_add(call->deadline, grace));
}

static PHI_ALWAYS_INLINE void request_begin(phi_call *call, ph_call_id *id, ph_reply_fn *done,
                                            ph_inquiry_fn *on_inquiry, void *arg)
{
    call->done.replied = done;
    call->on.inquiry = on_inquiry;
    call->arg = arg;
    call->client->counters.calls++;
    if (id != NULL) {
        id->value = call->handle;
    }
}

static PHI_COLD ph_err request_draft(ph_client *client, const ph_outgoing *outgoing, ph_call_id *id,
                                     ph_reply_fn *done, void *arg)
{
    phi_draft draft;
    ph_err rc = phi_draft_take(&draft, outgoing);
    if (rc != PH_OK) {
        return rc;
    }
    if (phi_is_for_instances(draft.message.to)) {
        return PH_EINVAL; // nobody would get the parts: ph_client_gather
    }
    draft.message.kind = PHI_KIND_REQUEST;
    phi_call *call;
    rc = phi_call_start(client, &draft, phi_ms(0), &call);
    if (rc == PH_OK) {
        request_begin(call, id, done, draft.on_inquiry, arg);
    }
    return rc;
}

ph_err ph_client_request(ph_client *client, const ph_outgoing *outgoing, ph_call_id *id,
                         ph_reply_fn *done, void *arg)
{
    if (PHI_UNLIKELY(client == NULL || done == NULL)) {
        return PH_EINVAL;
    }
    const phi_head *head = NULL;
    if (PHI_LIKELY(phi_client_is(client, PHI_CLIENT_UP))) {
        head = phi_head_find(client, outgoing);
    }
    if (PHI_UNLIKELY(head == NULL)) {
        return request_draft(client, outgoing, id, done, arg);
    }
    if (PHI_UNLIKELY(client->calls.count >= client->options.calls_max)) {
        return PH_ELIMIT;
    }
    uint64_t handle = 0;
    phi_call *call = phi_slots_take_raw(&client->calls, &handle);
    if (PHI_UNLIKELY(call == NULL)) {
        return PH_ENOMEM;
    }
    uint32_t ttl_ms = outgoing->timeout_ms == 0 ? CALL_TIMEOUT_MS : outgoing->timeout_ms;
    phi_numbers numbers = { .kind = PHI_KIND_REQUEST, .ttl_ms = ttl_ms, .call = handle };
    phi_bytes body = phi_bytes_of(outgoing->body, outgoing->body_size);
    ph_err rc = phi_post(client, head, numbers, body);
    if (PHI_UNLIKELY(rc != PH_OK)) {
        phi_slots_give_object(&client->calls, call, handle);
        return rc;
    }
    call_begin(client, call, handle, ttl_ms, phi_ms(0));
    request_begin(call, id, done, outgoing->on_inquiry, arg);
    return PH_OK;
}

ph_err phi_call_start(ph_client *client, phi_draft *draft, phi_dur grace, phi_call **out)
{
    phi_message *m = &draft->message;
    if (m->to.size == 0) {
        return PH_EINVAL;
    }
    if (!phi_client_is(client, PHI_CLIENT_UP)) {
        return PH_ENOTCONNECTED;
    }
    if (client->calls.count >= client->options.calls_max) {
        return PH_ELIMIT;
    }
    m->ttl_ms = m->ttl_ms == 0 ? CALL_TIMEOUT_MS : m->ttl_ms;
    ph_err rc = draft->within == NULL ? PH_OK : stay_within(client, draft);
    if (rc != PH_OK) {
        return rc;
    }
    phi_call *call = phi_slots_take_raw(&client->calls, &m->call);
    if (call == NULL) {
        return PH_ENOMEM;
    }
    rc = phi_client_post(client, draft);
    if (rc != PH_OK) {
        phi_slots_give_object(&client->calls, call, m->call);
        return rc;
    }
    call_begin(client, call, m->call, m->ttl_ms, grace);
    *out = call;
    return PH_OK;
}

// [P-63]: as deep as what it is part of, and over with it.
static PHI_COLD ph_err stay_within(ph_client *client, phi_draft *draft)
{
    const ph_request_id *within = draft->within;
    if (within->depth > PHI_DEPTH_MAX || within->call == 0) {
        return PH_EINVAL;
    }
    uint32_t left_ms = ph_client_time_left_ms(client, *within);
    if (left_ms == 0) {
        return PH_ETIMEDOUT;
    }
    phi_message *m = &draft->message;
    m->ttl_ms = m->ttl_ms < left_ms ? m->ttl_ms : left_ms;
    m->depth = within->depth;
    return PH_OK;
}

// ---- cancel

ph_err ph_client_cancel(ph_client *client, ph_call_id id)
{
    if (client == NULL) {
        return PH_EINVAL;
    }
    if ((id.value & PHI_ASK_ID) != 0) {
        return phi_ask_give_up(client, id);
    }
    phi_call *call = phi_slots_find(&client->calls, id.value);
    if (call == NULL || call->is_cancelled) {
        return PH_ENOTFOUND;
    }
    call->is_cancelled = true;
    phi_timer_set(&client->io->timers, &call->timer, phi_io_now(client->io));
    phi_io_hurry(client->io);
    if (phi_client_is(client, PHI_CLIENT_UP) && call->kind != PHI_CALL_RECEIPT) {
        // When there is no room, the responder is told at the deadline all the same, by the center.
        phi_draft draft = { .message = { .kind = PHI_KIND_CANCEL, .call = id.value } };
        (void)!phi_client_post_quietly(client, &draft);
    }
    return PH_OK;
}

// ---- what comes

// One of several in a call: a part of a gather, or what became of an inquiry of ours.
static void on_one_of_several(ph_client *client, const phi_message *message)
{
    if ((message->flags & PHI_FLAG_PART) != 0) {
        phi_client_on_part(client, message);
    } else {
        phi_client_on_answer(client, message);
    }
}

static inline bool is_one_of_several(const phi_message *message)
{
    return (message->turn | (message->flags & PHI_FLAG_PART)) != 0;
}

// A reply or a failure that is not the plain end of a plain call.
static PHI_COLD void on_other_end(ph_client *client, phi_call *call, const phi_message *message)
{
    if (is_one_of_several(message)) {
        on_one_of_several(client, message);
    } else if (call == NULL || call->is_cancelled) {
        client->counters.replies_stray++;
    } else {
        phi_client_on_gathered(call, message);
    }
}

// Of a request, and waited for.
static inline bool is_plain(const phi_call *call)
{
    return call != NULL && !call->is_cancelled && call->kind == PHI_CALL_REQUEST;
}

// Inline, as phi_client_on_plain_request.
inline void phi_client_on_plain_reply(ph_client *client, phi_bytes payload)
{
    const phi_message message = phi_message_of(payload);
    phi_call *call = phi_slots_find(&client->calls, message.call);
    if (PHI_UNLIKELY(!is_plain(call))) {
        phi_client_on_reply(client, payload);
        return;
    }
    ph_incoming incoming = phi_client_incoming(&message);
    end(call, PH_OK, 0, &incoming);
}

PHI_COLD void phi_client_on_reply(ph_client *client, phi_bytes payload)
{
    const phi_message message = phi_message_of(payload);
    phi_call *call = phi_slots_find(&client->calls, message.call);
    if (!is_plain(call) || is_one_of_several(&message)) {
        on_other_end(client, call, &message);
        return;
    }
    ph_incoming incoming = phi_client_incoming(&message);
    end(call, PH_OK, 0, &incoming);
}

void phi_client_on_failure(ph_client *client, const phi_message *message)
{
    phi_call *call = phi_slots_find(&client->calls, message->call);
    if (!is_plain(call) || is_one_of_several(message)) {
        on_other_end(client, call, message);
        return;
    }
    phi_failed failed;
    if (phi_failed_take(client, message, &failed)) {
        end(call, failed.status, failed.code, failed.reply);
    }
}

bool phi_failed_take(ph_client *client, const phi_message *message, phi_failed *out)
{
    PH_ASSERT(message->kind == PHI_KIND_FAILURE);
    phi_failure failure;
    if (phi_failure_decode(message->body, &failure) != PH_OK) {
        phi_client_breach(client, "a failure without a code");
        return false;
    }
    out->code = failure.code;
    if (failure.code == PH_FAILURE_DEADLINE) { // as if our own timer had been first
        out->status = PH_ETIMEDOUT;
        out->reply = NULL;
        return true;
    }
    out->status = PH_EFAILURE;
    out->incoming = phi_client_incoming(message);
    out->incoming.body = phi_view_of(failure.text);
    out->reply = &out->incoming;
    return true;
}

phi_call *phi_call_find(ph_client *client, uint64_t handle, phi_call_kind kind)
{
    phi_call *call = phi_slots_find(&client->calls, handle);
    if (call == NULL || call->is_cancelled || call->kind != kind) {
        client->counters.replies_stray++;
        return NULL;
    }
    return call;
}

// ---- end

static void on_timer(phi_timer *timer, phi_time now)
{
    (void)now;
    phi_call *call = PHI_CONTAINER_OF(timer, phi_call, timer);
    if (call->is_cancelled) {
        end_empty(call, PH_ECANCELLED, 0);
    } else {
        end_empty(call, PH_ETIMEDOUT, PH_FAILURE_DEADLINE);
    }
}

void phi_client_calls_end(ph_client *client, ph_err status)
{
    phi_client_asks_end(client, status);
    uint64_t handle = 0;
    phi_call *call = NULL;
    // Callbacks find no connection, so no call appears while this runs.
    for (uint32_t i = 0; (call = phi_slots_next(&client->calls, &i, &handle)) != NULL; i++) {
        end_empty(call, call->is_cancelled ? PH_ECANCELLED : status, 0);
    }
    PH_ASSERT(client->calls.count == 0);
}

// Nothing came.
static void end_empty(phi_call *call, ph_err status, uint16_t code)
{
    switch ((phi_call_kind)call->kind) {
    case PHI_CALL_REQUEST:
        end(call, status, code, NULL);
        return;
    case PHI_CALL_GATHER:
        phi_gather_end(call, status, code, NULL);
        return;
    case PHI_CALL_RECEIPT:
        phi_receipt_end(call, status, NULL);
        return;
    }
    PH_UNREACHABLE("no such kind");
}

static PHI_COLD void count_other(ph_client *client, phi_call_kind kind, ph_err status)
{
    ph_client_counters *c = &client->counters;
    if (kind == PHI_CALL_RECEIPT) {
        if (status == PH_OK) {
            c->receipts++;
        } else {
            c->receipts_lost++;
        }
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

// What of it is still under way in fragments ends with it. The center knows, unless it was we who
// gave it up. An event goes on without its receipt.
static PHI_COLD void drop_streams(ph_client *client, const phi_call *call, ph_err status)
{
    uint16_t code = status == PH_ETIMEDOUT    ? PH_FAILURE_DEADLINE
                    : status == PH_ECANCELLED ? PH_FAILURE_CANCELLED
                                              : 0;
    if (call->kind != PHI_CALL_RECEIPT) {
        phi_streams_drop(client, PHI_KINDS(PHI_KIND_REQUEST) | PHI_KINDS(PHI_KIND_ANSWER),
                         PHI_KINDS(PHI_KIND_REPLY) | PHI_KINDS(PHI_KIND_INQUIRY), call->handle,
                         /* turn= */ 0, code);
    }
}

static PHI_ALWAYS_INLINE void close_call(phi_call *call, ph_err status)
{
    ph_client *client = call->client;
    PH_ASSERT(client->magic == PHI_CLIENT_MAGIC);
    PH_ASSERT(call->done.replied != NULL);
    if (PHI_UNLIKELY(phi_streams_are_any(&client->streams))) {
        drop_streams(client, call, status);
    }
    if (PHI_LIKELY(status == PH_OK && call->kind != PHI_CALL_RECEIPT)) {
        client->counters.replies++;
    } else {
        count_other(client, (phi_call_kind)call->kind, status);
    }
    phi_timer_clear(&client->io->timers, &call->timer);
    phi_slots_give_object(&client->calls, call, call->handle);
}

void phi_call_close(phi_call *call, ph_err status)
{
    close_call(call, status);
}

static PHI_ALWAYS_INLINE void end(phi_call *call, ph_err status, uint16_t code,
                                  const ph_incoming *reply)
{
    ph_client *client = call->client;
    ph_reply_fn *done = call->done.replied;
    ph_call_id id = { call->handle };
    void *arg = call->arg;
    close_call(call, status);
    phi_client_enter(client);
    done(client, id, status, code, reply, arg);
    phi_client_leave(client);
}
