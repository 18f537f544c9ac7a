// SPDX-License-Identifier: Apache-2.0
//
// client/ask.c - inquiries of ours: what a responder asks its caller back, inside a request.
//
// Design notes  The index of an inquiry's place is its number on the wire (`turn`), the request's
//               number goes with it. The center takes a turn for in use until it is answered or its
//               call is over. So a place that was given up here (cancelled, or out of its own time)
//               stays taken, with nobody waiting, until one of these comes, or the request's
//               deadline; else a late answer could be taken for that of another inquiry of the same
//               request. Behind that deadline nothing is asked any more.
//               A request ends here by our reply, by the center's cancel, or with the connection;
//               in each case its inquiries have to be found: they hang in lists by request.
//               What ends inside a call of the application's (a reply, ph_client_cancel) is told in
//               the next turn.
//
// Clauses       P-51, P-62

#include "client/post.h"

static phi_list *list_of(ph_client *client, uint64_t call);
static phi_ask *find(ph_client *client, const phi_message *answer);
static void on_timer(phi_timer *timer, phi_time now);
static void end(phi_ask *ask, ph_err status, uint16_t code, const ph_incoming *reply);
static void release(phi_ask *ask);

void phi_client_asks_init(ph_client *client)
{
    uint32_t most = client->options.calls_max;
    phi_slots_init(&client->asks, client->alloc, sizeof(phi_ask),
                   most < PHI_ASKS_MAX ? most : PHI_ASKS_MAX);
    for (size_t i = 0; i < PHI_ASK_LISTS; i++) {
        phi_list_init(&client->asks_by_call[i]);
    }
}

// ---- begin

uint32_t ph_client_time_left_ms(const ph_client *client, ph_request_id request)
{
    phi_dur left = phi_time_diff((phi_time){ request.deadline_ns }, phi_io_now(client->io));
    uint64_t ms = phi_dur_ms(left);
    return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

ph_err ph_client_ask(ph_client *client, ph_request_id request, const ph_outgoing *outgoing,
                     ph_call_id *id, ph_reply_fn *done, void *arg)
{
    if (client == NULL || done == NULL || request.call == 0 || request.turn != 0) {
        return PH_EINVAL;
    }
    phi_draft draft;
    ph_err rc = phi_draft_take(&draft, outgoing);
    if (rc != PH_OK) {
        return rc;
    }
    if (!phi_client_is(client, PHI_CLIENT_UP) || request.connection != client->connection) {
        return PH_ESTALE;
    }
    uint32_t left_ms = ph_client_time_left_ms(client, request);
    if (left_ms == 0) {
        return PH_ETIMEDOUT;
    }
    if (client->asks.count >= client->asks.count_max) {
        return PH_ELIMIT;
    }

    uint64_t handle = 0;
    phi_ask *ask = phi_slots_take(&client->asks, &handle);
    if (ask == NULL) {
        return PH_ENOMEM;
    }
    phi_message *m = &draft.message;
    m->kind = PHI_KIND_INQUIRY;
    m->call = request.call;
    m->turn = (uint16_t)(phi_slots_index(handle) + 1);
    m->ttl_ms = m->ttl_ms == 0 || m->ttl_ms > left_ms ? left_ms : m->ttl_ms;
    m->to = (phi_bytes){ NULL, 0 }; // the call decides [P-52]
    rc = phi_client_post(client, &draft);
    if (rc != PH_OK) {
        phi_slots_give(&client->asks, handle);
        return rc;
    }

    ask->client = client;
    ask->handle = handle;
    ask->call = request.call;
    ask->deadline = (phi_time){ request.deadline_ns };
    ask->done = done;
    ask->arg = arg;
    phi_list_append(list_of(client, request.call), &ask->node);
    phi_timer_init(&ask->timer, on_timer);
    phi_time until = phi_time_add(phi_io_now(client->io), phi_ms(m->ttl_ms));
    phi_timer_set(&client->io->timers, &ask->timer, until);
    client->counters.asks++;
    if (id != NULL) {
        id->value = handle | PHI_ASK_ID;
    }
    return PH_OK;
}

// ---- what ends it

// It is told in the next turn.
static void cancel(phi_ask *ask)
{
    ask->is_cancelled = true;
    phi_io *io = ask->client->io;
    phi_timer_set(&io->timers, &ask->timer, phi_io_now(io));
    phi_io_hurry(io);
}

ph_err phi_ask_give_up(ph_client *client, ph_call_id id)
{
    phi_ask *ask = phi_slots_find(&client->asks, id.value & ~PHI_ASK_ID);
    if (ask == NULL || ask->is_cancelled || ask->is_over) {
        return PH_ENOTFOUND;
    }
    cancel(ask);
    return PH_OK;
}

void phi_client_asks_drop(ph_client *client, uint64_t call)
{
    phi_list *list = list_of(client, call);
    for (phi_list *node = list->next, *next; node != list; node = next) {
        next = node->next;
        phi_ask *ask = PHI_CONTAINER_OF(node, phi_ask, node);
        if (ask->call != call) {
            continue;
        }
        if (ask->is_over) {
            release(ask);
        } else {
            ask->is_request_over = true;
            cancel(ask);
        }
    }
}

void phi_client_asks_cancel(ph_client *client, uint64_t call, uint16_t code)
{
    // Taken off first: a callback may ask again, in a request that is over.
    phi_list over;
    phi_list_init(&over);
    phi_list *list = list_of(client, call);
    for (phi_list *node = list->next, *next; node != list; node = next) {
        next = node->next;
        if (PHI_CONTAINER_OF(node, phi_ask, node)->call == call) {
            phi_list_remove(node);
            phi_list_append(&over, node);
        }
    }
    ph_err status = code == PH_FAILURE_DEADLINE ? PH_ETIMEDOUT : PH_ECANCELLED;
    while (!phi_list_is_empty(&over)) {
        phi_ask *ask = PHI_CONTAINER_OF(over.next, phi_ask, node);
        ask->is_request_over = true;
        if (ask->is_over) {
            release(ask);
        } else {
            end(ask, ask->is_cancelled ? PH_ECANCELLED : status, code, NULL);
        }
    }
}

void phi_client_asks_end(ph_client *client, ph_err status)
{
    uint64_t handle = 0;
    phi_ask *ask = NULL;
    // Callbacks find no connection, so no inquiry appears while this runs.
    for (uint32_t i = 0; (ask = phi_slots_next(&client->asks, &i, &handle)) != NULL; i++) {
        ask->is_request_over = true;
        if (ask->is_over) {
            release(ask);
        } else {
            end(ask, ask->is_cancelled ? PH_ECANCELLED : status, 0, NULL);
        }
    }
    PH_ASSERT(client->asks.count == 0);
}

void phi_client_on_answer(ph_client *client, const phi_message *message)
{
    phi_ask *ask = message->kind == PHI_KIND_REPLY ? NULL : find(client, message);
    if (ask == NULL) {
        client->counters.replies_stray++;
        return;
    }
    phi_failed outcome = { .status = PH_OK };
    if (message->kind == PHI_KIND_FAILURE) {
        if (!phi_failed_take(client, message, &outcome)) {
            return;
        }
    } else {
        outcome.incoming = phi_client_incoming(message);
        outcome.reply = &outcome.incoming;
    }
    // Its number is free again, whether somebody still waits or not.
    ask->is_answered = true;
    if (ask->is_over) {
        client->counters.replies_stray++;
        release(ask);
    } else if (ask->is_cancelled) {
        client->counters.replies_stray++;
        end(ask, PH_ECANCELLED, 0, NULL);
    } else {
        end(ask, outcome.status, outcome.code, outcome.reply);
    }
}

static void on_timer(phi_timer *timer, phi_time now)
{
    (void)now;
    phi_ask *ask = PHI_CONTAINER_OF(timer, phi_ask, timer);
    if (ask->is_over) {
        release(ask); // the request's time is over, too
    } else if (ask->is_cancelled) {
        end(ask, PH_ECANCELLED, 0, NULL);
    } else {
        end(ask, PH_ETIMEDOUT, PH_FAILURE_DEADLINE, NULL);
    }
}

// ---- end

static void count(ph_client *client, ph_err status)
{
    ph_client_counters *c = &client->counters;
    if (status == PH_OK) {
        c->ask_answers++;
    } else if (status == PH_EFAILURE) {
        c->ask_failures++;
    } else if (status == PH_ETIMEDOUT) {
        c->ask_timeouts++;
    } else if (status == PH_ECANCELLED) {
        c->ask_cancels++;
    } else {
        PH_ASSERT(status == PH_ERESET);
        c->ask_resets++;
    }
}

// The one way out for the application. The place goes with it, or stays as the design notes say.
static void end(phi_ask *ask, ph_err status, uint16_t code, const ph_incoming *reply)
{
    ph_client *client = ask->client;
    PH_ASSERT(client->magic == PHI_CLIENT_MAGIC);
    PH_ASSERT(!ask->is_over);
    phi_ask was = *ask;
    if (phi_streams_are_any(&client->streams)) {
        uint16_t turn = (uint16_t)(phi_slots_index(was.handle) + 1);
        uint16_t why = status == PH_ETIMEDOUT ? PH_FAILURE_DEADLINE : PH_FAILURE_CANCELLED;
        phi_streams_drop(client, PHI_KINDS(PHI_KIND_INQUIRY), PHI_KINDS(PHI_KIND_ANSWER), was.call,
                         turn, ask->is_answered ? 0 : why);
    }
    bool is_late = !phi_time_before(client->io->now, ask->deadline);
    if (ask->is_answered || ask->is_request_over || is_late) {
        release(ask);
    } else {
        ask->is_over = true;
        phi_timer_set(&client->io->timers, &ask->timer, ask->deadline);
    }
    count(client, status);
    phi_client_enter(client);
    was.done(client, (ph_call_id){ was.handle | PHI_ASK_ID }, status, code, reply, was.arg);
    phi_client_leave(client);
}

static void release(phi_ask *ask)
{
    ph_client *client = ask->client;
    phi_timer_clear(&client->io->timers, &ask->timer);
    phi_list_remove(&ask->node);
    phi_slots_give(&client->asks, ask->handle);
}

// ---- queries

static phi_list *list_of(ph_client *client, uint64_t call)
{
    // Centers count in both halves of their numbers.
    return &client->asks_by_call[(call ^ call >> 32) % PHI_ASK_LISTS];
}

bool phi_client_is_asking(ph_client *client, const phi_message *answer)
{
    const phi_ask *ask = find(client, answer);
    return ask != NULL && !ask->is_over;
}

// The inquiry of that turn in that call, over or not.
static phi_ask *find(ph_client *client, const phi_message *answer)
{
    uint32_t index = answer->turn - 1u;
    if (answer->turn == 0 || index >= client->asks.high) {
        return NULL;
    }
    phi_slot_head *head = phi_slots_head(&client->asks, index);
    phi_ask *ask = (phi_ask *)(void *)(head + 1);
    return head->live != 0 && ask->call == answer->call ? ask : NULL;
}
