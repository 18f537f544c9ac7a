// SPDX-License-Identifier: Apache-2.0
//
// client/token.c - the token with which a client proves who it is: kept, asked for, renewed.
//
// Design notes  The application is asked for a token when one is needed, not when it may be: before
//               a JOIN that would be refused without it, and while the connection lives, when three
//               quarters of the time that the center named have passed. As long as none comes it is
//               asked again in half of what is left, so that one failed attempt of its own to get
//               one does not cost the connection.
//               A token that the center did not believe is *spent*. With on_token another one is
//               asked for, and tried at once, but only once; after that the usual waits apply,
//               because an application that gives the same one again must not fill a center's log.
//               An answer may have waited long behind other packets, so the time that it names is
//               counted from when the question was asked: that is never too late.
//               Nothing of a token is ever told: not in `trouble`, not in a failure.
//
// Invariants    `text` is from the client's allocator, terminated, and wiped before it is given
//               back; join.token views it. `timer` is set only while the client is up, and `ends`
//               is known then.
//
// Clauses       P-35, P-36, P-76, P-77

#include "client/token.h"

#include "base/assert.h"
#include "client/core.h"
#include "wire/credential.h"

// Around the token in its packet.
#define CREDENTIAL_HEAD_BYTES 3u
// In less than that no other token could be fetched.
#define RENEW_MIN phi_seconds(1)
// A connection that was ended because its time was over, and had lasted for less, is one of a
// center that lets us in and throws us out again.
#define LASTED_MIN phi_seconds(1)

static void on_timer(phi_timer *timer, phi_time now);
static void renew_at(ph_client *client, phi_time when);
static bool fits(const ph_client *client, phi_bytes token);
static void wipe(ph_client *client);

// ---- life

void phi_client_token_init(ph_client *client)
{
    phi_timer_init(&client->token.timer, on_timer);
    client->token.ends = PHI_TIME_NEVER;
}

void phi_client_token_fini(ph_client *client)
{
    phi_timer_clear(&client->io->timers, &client->token.timer);
    wipe(client);
}

// ---- the application

ph_err ph_client_set_token(ph_client *client, const char *token)
{
    if (client == NULL) {
        return PH_EINVAL;
    }
    if (ph_client_state(client) == PH_LINK_CLOSED) {
        return PH_ECLOSED;
    }
    ph_err rc = phi_client_token_keep(client, token);
    if (rc != PH_OK || token == NULL) {
        return rc;
    }
    // One that is on its way to the center with JOIN may be the one before.
    client->token.is_owed =
        phi_client_is(client, PHI_CLIENT_DIALING) || phi_client_is(client, PHI_CLIENT_UP);
    phi_client_token_flush(client);
    if (phi_client_is(client, PHI_CLIENT_AWAITING)) {
        phi_client_dial_on(client);
    }
    return PH_OK;
}

ph_err phi_client_token_keep(ph_client *client, const char *text)
{
    phi_bytes token = phi_bytes_text(text);
    if (text != NULL && !phi_token_is_fine(text)) {
        return PH_EINVAL;
    }
    if (!fits(client, token)) {
        return PH_ETOOLARGE;
    }
    char *copy = NULL;
    if (text != NULL) {
        copy = phi_take(client->alloc, token.size + 1);
        if (copy == NULL) {
            return PH_ENOMEM;
        }
        memcpy(copy, text, token.size + 1); // may be a part of the old one: before that is wiped
    }
    wipe(client);
    phi_token *t = &client->token;
    t->text = copy;
    t->size = token.size;
    client->join.token = phi_bytes_of(copy, token.size);
    if (copy != NULL) { // how long it is good for, its center will say
        t->is_spent = false;
        t->ends = PHI_TIME_NEVER;
        phi_timer_clear(&client->io->timers, &t->timer);
    }
    return PH_OK;
}

bool phi_token_is_fine(const char *text)
{
    size_t size = 0;
    for (; text[size] != '\0'; size++) {
        if (size == PHI_JOIN_TOKEN_BYTES_MAX || text[size] <= ' ' || text[size] > '~') {
            return false;
        }
    }
    return size != 0;
}

static bool fits(const ph_client *client, phi_bytes token)
{
    phi_join join = client->join;
    join.token = token;
    return phi_client_join_fits(&join);
}

static void wipe(ph_client *client)
{
    phi_token *t = &client->token;
    if (t->text != NULL) {
        explicit_bzero(t->text, t->size);
        phi_give(client->alloc, t->text, t->size + 1);
    }
    t->text = NULL;
    t->size = 0;
    client->join.token = phi_bytes_of(NULL, 0);
}

bool phi_client_token_is_wanted(const ph_client *client)
{
    const phi_token *t = &client->token;
    bool is_over = !phi_time_before(client->io->now, t->ends);
    return client->options.on_token != NULL && (t->text == NULL || t->is_spent || is_over);
}

void phi_client_token_ask(ph_client *client)
{
    PH_ASSERT(client->options.on_token != NULL);
    phi_client_enter(client);
    client->options.on_token(client, client->options.arg);
    phi_client_leave(client);
}

// ---- time

// Another is asked for then; not when it could not be fetched any more.
static void renew_at(ph_client *client, phi_time when)
{
    phi_dur left = phi_time_diff(client->token.ends, client->io->now);
    if (client->options.on_token != NULL && left.ns >= RENEW_MIN.ns) {
        phi_timer_set(&client->io->timers, &client->token.timer, when);
    }
}

static void on_timer(phi_timer *timer, phi_time now)
{
    ph_client *client = PHI_CONTAINER_OF(timer, ph_client, token.timer);
    PH_ASSERT(phi_client_is(client, PHI_CLIENT_UP));
    phi_dur left = phi_time_diff(client->token.ends, now);
    renew_at(client, phi_time_add(now, phi_ns(left.ns / 2)));
    phi_client_token_ask(client);
}

// ---- the center

// What was proved is good for so long, counted from `since`; 0: for ever.
static void expires(ph_client *client, phi_time since, uint32_t expires_ms)
{
    phi_token *t = &client->token;
    phi_timer_clear(&client->io->timers, &t->timer);
    t->ends = PHI_TIME_NEVER;
    t->is_limited = expires_ms != 0;
    if (t->is_limited) {
        phi_dur all = phi_ms(expires_ms);
        t->ends = phi_time_add(since, all);
        renew_at(client, phi_time_add(since, phi_ns(all.ns / 4 * 3)));
    }
}

void phi_client_token_on_open(ph_client *client, const phi_welcome *welcome)
{
    client->token.refusals = 0;
    client->token.unanswered = 0;
    client->token.is_spent = false;
    expires(client, client->io->now, welcome->expires_ms);
    phi_client_token_flush(client);
}

void phi_client_token_flush(ph_client *client)
{
    phi_token *t = &client->token;
    if (!t->is_owed || t->text == NULL || !phi_client_is(client, PHI_CLIENT_UP)) {
        return;
    }
    if (!t->is_limited) {
        t->is_owed = false; // nothing ends: a center that wants no token is told none
        return;
    }
    size_t size_max = t->size + CREDENTIAL_HEAD_BYTES;
    uint8_t *room = phi_transport_begin(&client->transport, size_max);
    if (room == NULL) {
        return; // on_room follows
    }
    phi_writer w = phi_writer_of((phi_span){ room, size_max });
    phi_credential_encode(&w, &(phi_credential){ phi_bytes_of(t->text, t->size) });
    PH_ASSERT(!w.failed);
    phi_transport_commit(&client->transport, PHI_COMMAND_CREDENTIAL, phi_writer_size(&w));
    phi_outbound_guard(&client->transport.link.out);
    t->is_owed = false;
    t->told = phi_io_now(client->io);
    t->unanswered++;
}

void phi_client_on_credential(ph_client *client, phi_bytes payload)
{
    phi_credential_answer answer;
    if (phi_credential_answer_decode(payload, &answer) != PH_OK) {
        phi_client_breach(client, "an answer to a credential breaks its form");
        return;
    }
    phi_token *t = &client->token;
    if (t->unanswered == 0) {
        phi_client_breach(client, "an answer to a credential that was not sent");
        return;
    }
    if (--t->unanswered == 0) { // else that to the last one follows
        expires(client, t->told, answer.expires_ms);
    }
}

void phi_client_token_rest(ph_client *client)
{
    phi_timer_clear(&client->io->timers, &client->token.timer);
    client->token.is_owed = false;
    client->token.is_limited = false;
}

bool phi_client_token_on_end(ph_client *client, const phi_link_end *end, bool was_up)
{
    phi_token *t = &client->token;
    bool is_untried = t->is_owed; // it came when the center had the last one already
    phi_client_token_rest(client);
    bool is_over = end->by_peer && end->code == PHI_BYE_CREDENTIAL_EXPIRED;
    bool is_refused = end->by_peer && end->code == PHI_BYE_NOT_AUTHORISED;
    if (!is_over && !is_refused) {
        return false;
    }
    t->is_spent = !is_untried;
    if (was_up && phi_time_diff(client->io->now, client->up_since).ns < LASTED_MIN.ns) {
        return false;
    }
    return (is_over && was_up) || (client->options.on_token != NULL && t->refusals++ == 0);
}
