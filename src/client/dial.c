// SPDX-License-Identifier: Apache-2.0
//
// client/dial.c - the state of a client: connecting, centers in turn, waiting, closing.
//
// Design notes  Every wait is drawn between nothing and a bound that doubles with each attempt
//               (full jitter), so that a thousand clients of a center that came back do not arrive
//               together. The bound falls back only after a connection lasted as long as the
//               longest wait: a center that lets us in and throws us out again is not hammered.
//               With several centers, one that failed is followed by the next in the list.
//               A refusal that would be the same every time closes the client for good: the
//               application was told something that it can only change by changing itself.
//
//               A token that is wanted is asked for before dialling, so that a center's time for
//               joining does not run meanwhile (token.c).
//
// Clauses       P-22, P-38, P-60, P-61, P-76, P-77

#include <stdio.h>

#include "client/client.h"
#include "client/post.h"

// Where a client may go from each state.
const phi_sm_state phi_client_states[PHI_CLIENT_STATE_COUNT] = {
    [PHI_CLIENT_NEW] = { .name = "new",
                         .next = PHI_SM_TO(PHI_CLIENT_WAITING) | PHI_SM_TO(PHI_CLIENT_CLOSING),
                         .is_initial = true },
    // To itself: an attempt that failed before it began.
    [PHI_CLIENT_WAITING] = { .name = "waiting",
                             .next =
                                 PHI_SM_TO(PHI_CLIENT_WAITING) | PHI_SM_TO(PHI_CLIENT_AWAITING) |
                                 PHI_SM_TO(PHI_CLIENT_DIALING) | PHI_SM_TO(PHI_CLIENT_CLOSING) },
    [PHI_CLIENT_AWAITING] = { .name = "awaiting",
                              .next = PHI_SM_TO(PHI_CLIENT_WAITING) |
                                      PHI_SM_TO(PHI_CLIENT_DIALING) |
                                      PHI_SM_TO(PHI_CLIENT_CLOSING) },
    [PHI_CLIENT_DIALING] = { .name = "dialing",
                             .next = PHI_SM_TO(PHI_CLIENT_UP) | PHI_SM_TO(PHI_CLIENT_ENDING) |
                                     PHI_SM_TO(PHI_CLIENT_CLOSING) | PHI_SM_TO(PHI_CLIENT_CLOSED) },
    [PHI_CLIENT_UP] = { .name = "up",
                        .next = PHI_SM_TO(PHI_CLIENT_ENDING) | PHI_SM_TO(PHI_CLIENT_CLOSING) |
                                PHI_SM_TO(PHI_CLIENT_CLOSED) },
    [PHI_CLIENT_ENDING] = { .name = "ending",
                            .next = PHI_SM_TO(PHI_CLIENT_WAITING) | PHI_SM_TO(PHI_CLIENT_CLOSING) },
    [PHI_CLIENT_CLOSING] = { .name = "closing", .next = PHI_SM_TO(PHI_CLIENT_CLOSED) },
    [PHI_CLIENT_CLOSED] = { .name = "closed", .is_final = true },
};

static void on_timer(phi_timer *timer, phi_time now);
static void dial(ph_client *client);
static phi_suite suite_floor(const ph_client *client, const phi_center_address *center);
static void fail(ph_client *client, ph_err err, const char *why);
static void wait_to_dial(ph_client *client, phi_time now, uint32_t retry_after_ms);
static void dial_again_at_once(ph_client *client, phi_time now, uint32_t retry_after_ms);
static void say_when(ph_client *client, phi_dur wait);
static void closed(ph_client *client, const ph_link_change *change);
static void tell(ph_client *client, const ph_link_change *change);
static bool is_permanent(const ph_client *client, const phi_link_end *end);
static ph_err end_error(const phi_link_end *end);

// ---- life

void phi_client_dial_init(ph_client *client)
{
    phi_sm_init(&client->sm, phi_client_states, PHI_CLIENT_STATE_COUNT);
    phi_transports_init(&client->transports, client->io, &phi_client_transport_events);
    if (client->loop == NULL) {
        phi_ciphers_init(&client->own_ciphers, client->io);
        client->link_options.ciphers = &client->own_ciphers.group;
    } else {
        client->link_options.ciphers = phi_loop_cipher_group(client->loop);
    }
    phi_timer_init(&client->timer, on_timer);
    uint64_t seed;
    phi_io_entropy(client->io, (uint8_t *)&seed, sizeof seed);
    client->random = phi_random_seeded(seed);
    phi_backoff_init(&client->backoff, phi_ms(client->options.backoff_min_ms),
                     phi_ms(client->options.backoff_max_ms));
}

void phi_client_dial_open(ph_client *client)
{
    if (!phi_client_is(client, PHI_CLIENT_NEW)) {
        return;
    }
    phi_sm_move(&client->sm, PHI_CLIENT_WAITING);
    client->dial_at = phi_io_now(client->io);
    phi_timer_set(&client->io->timers, &client->timer, client->dial_at);
    phi_io_hurry(client->io);
}

void phi_client_dial_close(ph_client *client)
{
    if (phi_client_is(client, PHI_CLIENT_CLOSING) || phi_client_is(client, PHI_CLIENT_CLOSED)) {
        return;
    }
    phi_time now = phi_io_now(client->io);
    if (phi_client_is(client, PHI_CLIENT_DIALING) || phi_client_is(client, PHI_CLIENT_UP)) {
        phi_transport_bye(&client->transport, PHI_BYE_NORMAL, 0, NULL);
    }
    phi_client_token_rest(client);
    phi_sm_move(&client->sm, PHI_CLIENT_CLOSING);
    phi_timer_set(&client->io->timers, &client->timer, now);
    phi_io_hurry(client->io);
}

// Nobody is told: the application knows what it does.
void phi_client_dial_fini(ph_client *client)
{
    phi_timer_clear(&client->io->timers, &client->timer);
    if (phi_client_is(client, PHI_CLIENT_DIALING) || phi_client_is(client, PHI_CLIENT_UP)) {
        phi_transport_bye(&client->transport, PHI_BYE_NORMAL, 0, NULL);
    }
    phi_transport_drop(&client->transport);
    phi_transports_fini(&client->transports);
    phi_ciphers_fini(&client->own_ciphers);
    if (!phi_client_is(client, PHI_CLIENT_CLOSED)) {
        if (!phi_client_is(client, PHI_CLIENT_CLOSING)) {
            phi_sm_move(&client->sm, PHI_CLIENT_CLOSING);
        }
        phi_sm_move(&client->sm, PHI_CLIENT_CLOSED);
    }
}

// ---- time

static void on_timer(phi_timer *timer, phi_time now)
{
    ph_client *client = PHI_CONTAINER_OF(timer, ph_client, timer);
    if (phi_client_is(client, PHI_CLIENT_CLOSING)) {
        snprintf(client->trouble, sizeof client->trouble, "closed by this program");
        ph_link_change change = { .err = PH_ECLOSED };
        closed(client, &change);
        return;
    }
    if (!phi_client_token_is_wanted(client)) {
        dial(client);
        return;
    }
    if (phi_client_is(client, PHI_CLIENT_AWAITING)) {
        fail(client, PH_ETIMEDOUT, "no token came in time");
        return;
    }
    phi_sm_move(&client->sm, PHI_CLIENT_AWAITING);
    phi_dur patience = phi_ms(client->options.connect_timeout_ms);
    phi_timer_set(&client->io->timers, &client->timer, phi_time_add(now, patience));
    phi_client_token_ask(client);
}

void phi_client_dial_on(ph_client *client)
{
    PH_ASSERT(phi_client_is(client, PHI_CLIENT_AWAITING));
    phi_timer_set(&client->io->timers, &client->timer, phi_io_now(client->io));
    phi_io_hurry(client->io);
}

static void dial(ph_client *client)
{
    phi_client_watch_join(client);
    client->owes_own = 0; // JOIN says it
    const phi_center_address *center = &client->centers[client->center_index];
    phi_connect_options to = { .address = center->text, .tls_name = client->options.tls_name };
    client->link_options.suite_floor = suite_floor(client, center);
    phi_diag diag = { "" };
    if (center->is_tls) {
        ph_err rc = phi_io_tls_load(client->io, &client->tls, &diag);
        if (rc != PH_OK) {
            fail(client, rc == PH_ENOMEM ? rc : PH_ETLS, diag.text);
            return;
        }
        to.tls = client->tls.tls;
    }
    client->bytes_before = client->transports.bytes_received;
    ph_err rc = phi_transport_connect(&client->transport, &client->transports, &to,
                                      &client->link_options, &diag);
    if (rc == PH_OK) {
        phi_sm_move(&client->sm, PHI_CLIENT_DIALING);
        return;
    }
    fail(client, rc, diag.text[0] != '\0' ? diag.text : ph_err_text(rc));
}

// Inside TLS nothing weaker than TLS can happen.
static phi_suite suite_floor(const ph_client *client, const phi_center_address *center)
{
    // Indexed by ph_suite, whose order is that of strength.
    static const phi_suite suites[] = { PHI_SUITE_PLAIN, PHI_SUITE_CHECK, PHI_SUITE_PAPER };
    return center->is_tls ? PHI_SUITE_PLAIN : suites[client->options.suite_floor];
}

// An attempt ended before it began. No memory, no descriptor, no token, a certificate that is just
// being replaced: as with a center that does not answer, later it may go.
static void fail(ph_client *client, ph_err err, const char *why)
{
    phi_client_describe(client, "cannot connect to", phi_bytes_text(why));
    phi_sm_move(&client->sm, PHI_CLIENT_WAITING);
    wait_to_dial(client, client->io->now, 0);
    phi_timer_set(&client->io->timers, &client->timer, client->dial_at);
    ph_link_change change = { .state = PH_LINK_DOWN, .err = err };
    tell(client, &change);
}

// Chooses the next center and the time, and adds it to `trouble`.
static void wait_to_dial(ph_client *client, phi_time now, uint32_t retry_after_ms)
{
    client->center_index = (client->center_index + 1) % client->center_count;
    // [P-60]: never sooner than the center asked for.
    phi_dur wait = phi_backoff_next(&client->backoff, &client->random, phi_ms(retry_after_ms));
    client->dial_at = phi_time_add(now, wait);
    say_when(client, wait);
}

// The center is there, and may believe what it is told now.
static void dial_again_at_once(ph_client *client, phi_time now, uint32_t retry_after_ms)
{
    client->dial_at = phi_time_add(now, phi_ms(retry_after_ms));
    say_when(client, phi_ms(retry_after_ms));
}

static void say_when(ph_client *client, phi_dur wait)
{
    uint64_t tenths = (phi_dur_ms(wait) + 99) / 100;
    size_t used = strlen(client->trouble);
    snprintf(client->trouble + used, sizeof client->trouble - used, "; next try in %u.%u s",
             (unsigned)(tenths / 10), (unsigned)(tenths % 10));
}

// ---- the link

void phi_client_on_open(ph_client *client, const phi_welcome *welcome)
{
    PH_ASSERT(phi_client_is(client, PHI_CLIENT_DIALING));
    PH_ASSERT(welcome->id.size <= PHI_ID_BYTES_MAX); // the decoder looked
    memcpy(client->id, welcome->id.data, welcome->id.size);
    client->id[welcome->id.size] = '\0';
    client->id_size = welcome->id.size;

    phi_heads_reset(client);
    client->connection++;
    client->counters.connects++;
    client->up_since = client->io->now;
    client->trouble[0] = '\0';
    phi_sm_move(&client->sm, PHI_CLIENT_UP);

    // Before the application can say anything.
    phi_client_token_on_open(client, welcome);
    phi_client_own_flush(client);
    phi_client_topics_restore(client);
    uint64_t epoch = welcome->epoch; // the callback may use the link, and with it the view
    uint64_t revision = welcome->revision;
    ph_link_change change = { .state = PH_LINK_UP, .id = phi_view_of(phi_client_id(client)) };
    tell(client, &change);
    if (phi_client_is(client, PHI_CLIENT_UP)) {
        phi_peers_joined(&client->peers, epoch, revision);
    }
    if (client->owes_ask) {
        phi_client_ask(client); // what is wanted has changed since JOIN
    }
    phi_client_tell_writable(client); // the buffer that was full is gone with its connection
}

void phi_client_on_end(ph_client *client, const phi_link_end *end)
{
    if (ph_client_state(client) == PH_LINK_CLOSED) {
        return; // what ph_client_close began; its timer tells
    }
    PH_ASSERT(phi_client_is(client, PHI_CLIENT_DIALING) || phi_client_is(client, PHI_CLIENT_UP));
    bool was_up = phi_client_is(client, PHI_CLIENT_UP);
    phi_time now = client->io->now;
    ph_err err = end_error(end);
    phi_client_describe_end(client, end, was_up);
    ph_link_change change = { .err = err };
    if (end->by_peer) {
        change.bye = phi_view_of(phi_bytes_text(phi_bye_name((uint16_t)end->code)));
    }
    client->id[0] = '\0';
    client->id_size = 0;

    bool is_hopeful = phi_client_token_on_end(client, end, was_up);
    if (is_permanent(client, end)) {
        closed(client, &change);
        return;
    }
    phi_dur lasted = phi_time_diff(now, client->up_since);
    if (was_up && phi_dur_ms(lasted) >= client->options.backoff_max_ms) {
        phi_backoff_reset(&client->backoff);
    }
    uint32_t retry_after_ms = end->by_peer ? end->retry_after_ms : 0;
    if (is_hopeful) {
        dial_again_at_once(client, now, retry_after_ms);
    } else {
        wait_to_dial(client, now, retry_after_ms);
    }
    phi_sm_move(&client->sm, PHI_CLIENT_ENDING);
    change.state = PH_LINK_DOWN;
    phi_client_streams_end(client);
    phi_client_calls_end(client, PH_ERESET);
    if (phi_client_is(client, PHI_CLIENT_ENDING)) { // no callback closed it
        tell(client, &change);
    }
}

void phi_client_on_gone(ph_client *client)
{
    if (phi_client_is(client, PHI_CLIENT_ENDING)) {
        phi_sm_move(&client->sm, PHI_CLIENT_WAITING);
        phi_timer_set(&client->io->timers, &client->timer, client->dial_at);
    }
}

void phi_client_breach(ph_client *client, const char *what)
{
    phi_transport_bye(&client->transport, PHI_BYE_MALFORMED, 0, what);
}

// ---- telling

// For good.
static void closed(ph_client *client, const ph_link_change *change)
{
    ph_link_change final = *change;
    final.state = PH_LINK_CLOSED;
    bool by_us = phi_client_is(client, PHI_CLIENT_CLOSING);
    client->id[0] = '\0';
    client->id_size = 0;
    client->closed_err = change->err;
    phi_sm_move(&client->sm, PHI_CLIENT_CLOSED);
    phi_client_streams_end(client);
    phi_client_calls_end(client, by_us ? PH_ECANCELLED : PH_ERESET);
    tell(client, &final);
}

static void tell(ph_client *client, const ph_link_change *change)
{
    if (client->options.on_link == NULL) {
        return;
    }
    ph_link_change c = *change;
    c.text = phi_view_of(phi_bytes_text(client->trouble));
    if (c.state == PH_LINK_DOWN) {
        phi_dur left = phi_time_diff(client->dial_at, client->io->now);
        c.retry_in_ms = (uint32_t)phi_dur_ms(left);
    }
    phi_client_enter(client);
    client->options.on_link(client, &c, client->options.arg);
    phi_client_leave(client);
}

// ---- helpers

static bool is_permanent(const ph_client *client, const phi_link_end *end)
{
    switch (end->code) {
    case PHI_BYE_NAME_INVALID:
    case PHI_BYE_TYPE_REFUSED:
    case PHI_BYE_SUITE_REFUSED:
    case PHI_BYE_VERSION_UNSUPPORTED:
        return true;
    case PHI_BYE_NOT_AUTHORISED:
        return client->options.on_token == NULL; // another token may be better
    case PHI_BYE_NORMAL:
    case PHI_BYE_GOING_AWAY:
    case PHI_BYE_LENGTH_INVALID:
    case PHI_BYE_CHECK_WRONG:
    case PHI_BYE_COMMAND_UNKNOWN:
    case PHI_BYE_ILLEGAL_IN_STATE:
    case PHI_BYE_MALFORMED:
    case PHI_BYE_JOIN_TIMEOUT:
    case PHI_BYE_HEARTBEAT_TIMEOUT:
    case PHI_BYE_ACCOUNT_TAKEN:
    case PHI_BYE_FROM_MISMATCH:
    case PHI_BYE_SLOW_CONSUMER:
    case PHI_BYE_CREDIT_EXCEEDED:
    case PHI_BYE_CREDENTIAL_EXPIRED:
    case PHI_BYE_LIMIT_REACHED:
    case PHI_BYE_KICKED:
    case PHI_BYE_INTERNAL:
    case PHI_BYE_TLS_REQUIRED: // the next center may be as we think
    case PHI_BYE_COUNT:
        break;
    }
    return false; // also for a code that is not known here
}

// A bye that is no complaint ends a connection all the same.
static ph_err end_error(const phi_link_end *end)
{
    return end->err == PH_OK ? PH_ECLOSED : end->err;
}
