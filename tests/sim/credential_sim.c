// SPDX-License-Identifier: Apache-2.0
//
// tests/sim/credential_sim.c - clients that live longer than their tokens: production clients, real
// distances, exact times. P-76.
//
// Everybody has to prove who it is. Tokens are good until a whole second, a minute or so after they
// are issued.

#include <string.h>

#include "auth/jwt.h"
#include "auth/signer.h"
#include "sim/check.h"
#include "tests/sim/sim_test.h"

#define WAY_MS 5u
#define SECRET "Zp4-uT9cXw7_eRk2sLq8vNb1mYh6fGd3aJoC" // of this file; opens nothing
#define TOKEN_S 60u

// What somebody does who is asked for a token.
typedef enum habit {
    HONEST, // gives one of his own
    LAZY,   // only when he has to join
    LIAR,   // joins as himself, and then has one of somebody else's
} habit;

static phi_signer *signer; // while a story is told
static phi_jwks *keys;
static habit habits[ACTORS_MAX];
static unsigned issued[ACTORS_MAX];

static uint64_t wall_ms(const actor *a)
{
    return phi_io_wall_ms(sim_io(a->domain->s, a->node));
}

static void give(ph_client *client, const actor *a, const char *subject)
{
    phi_buf buf;
    phi_buf_init(&buf, &phi_alloc_heap, PHI_JWT_BYTES_MAX + 1);
    phi_token_claims claims = { .subject = phi_bytes_text(subject),
                                .expires_s = wall_ms(a) / 1000 + TOKEN_S };
    EXPECT_ERR(phi_signer_issue(signer, &claims, &buf), PH_OK);
    EXPECT(phi_buf_append(&buf, phi_bytes_of("", 1)));
    EXPECT_ERR(ph_client_set_token(client, (const char *)phi_buf_view(&buf).data), PH_OK);
    phi_buf_fini(&buf);
    issued[a->index]++;
}

static void on_token(ph_client *client, void *arg)
{
    const actor *a = arg;
    bool is_up = ph_client_state(client) == PH_LINK_UP;
    switch (habits[a->index]) {
    case HONEST:
        give(client, a, a->account);
        break;
    case LAZY:
        if (!is_up) {
            give(client, a, a->account);
        }
        break;
    case LIAR:
        give(client, a, is_up ? "somebody" : a->account);
        break;
    }
}

static domain *begin(uint32_t actors, habit first)
{
    phi_bytes secret = phi_bytes_text(SECRET);
    EXPECT_ERR(phi_signer_of_secret(&signer, &phi_alloc_heap, secret, NULL), PH_OK);
    EXPECT_ERR(phi_jwks_of_secret(&keys, &phi_alloc_heap, secret, NULL), PH_OK);
    memset(habits, 0, sizeof habits);
    memset(issued, 0, sizeof issued);
    habits[0] = first;
    domain_options options = {
        .seed = 13,
        .path = { .delay = MS(WAY_MS) },
        .center = center_options_default(),
        .client = PH_CLIENT_OPTIONS_INIT,
        .workers = sim_workers,
        .actor_count = actors,
        .late_max = SECONDS(1),
    };
    options.client.on_token = on_token;
    options.client.backoff_min_ms = 100;
    options.client.backoff_max_ms = 500;
    domain *d = domain_new(&options);
    d->security.keys = keys;
    d->security.anonymous_local = false;
    d->actors[1].is_watching = true;
    domain_start(d);
    EXPECT(sim_run_until(d->s, domain_all_up, d, SECONDS(1)));
    return d;
}

static void end(domain *d)
{
    EXPECT(sim_run_until(d->s, domain_is_settled, d, SECONDS(60)));
    char fault[sizeof d->fault];
    domain_free(&d, fault);
    EXPECT_TEXT(fault, "");
    phi_signer_free(&signer);
    phi_jwks_free(&keys);
}

static bool is_down(sim *s, void *arg)
{
    (void)s;
    return !actor_is_up(arg);
}

static bool is_up(sim *s, void *arg)
{
    (void)s;
    return actor_is_up(arg);
}

// Everybody who gives a new token in time keeps his link for an hour of one-minute tokens, calls
// that are open go on, and nobody who watches notices anything.
CENTER_TEST(credential, client_outlives_its_tokens)
{
    domain *d = begin(4, HONEST);
    unsigned onlines = d->actors[1].onlines;
    d->actors[2].manner = MANNER_HOLD;
    call_record *call = actor_call(&d->actors[0], d->actors[2].account, 2, 32, 3600000, NULL);
    EXPECT(call != NULL);
    sim_run_for(d->s, SECONDS(3500));
    for (uint32_t i = 0; i < 4; i++) {
        EXPECT(actor_is_up(&d->actors[i]));
        EXPECT_EQ(d->actors[i].ups, 1);
        EXPECT(issued[i] >= 3500 / TOKEN_S);
        EXPECT(issued[i] <= 3500 / (TOKEN_S / 2));
    }
    EXPECT_EQ(d->actors[1].onlines, onlines);
    EXPECT_EQ(d->actors[1].offlines, 0);
    EXPECT(domain_count(d).credentials_renewed_total >= 4 * 3500 / TOKEN_S);
    EXPECT_EQ(domain_count(d).identities_expired_total, 0);
    EXPECT_ERR(actor_reply(&d->actors[2], actor_held(&d->actors[2])), PH_OK);
    sim_run_for(d->s, MS(50));
    EXPECT_ERR(call->status, PH_OK);
    end(d);
}

// Who gives none is out at the second at which his token ends, watchers know it one trip later, and
// he is back at once when he has one: told so, he does not wait.
CENTER_TEST(credential, link_ends_with_its_token_to_the_second)
{
    domain *d = begin(3, LAZY);
    actor *lazy = &d->actors[0];
    const actor *watcher = &d->actors[1];
    uint64_t from_ms = wall_ms(lazy) - phi_dur_ms(phi_time_diff(sim_now(d->s), (phi_time){ 0 }));
    phi_time over = { (from_ms / 1000 + TOKEN_S) * UINT64_C(1000000000) -
                      from_ms * UINT64_C(1000000) };
    EXPECT(sim_run_until(d->s, is_down, lazy, SECONDS(TOKEN_S + 1)));
    EXPECT_EQ(phi_dur_ms(phi_time_diff(sim_now(d->s), over)), WAY_MS);
    EXPECT_TEXT(lazy->how_bye, "credential_expired");
    EXPECT(sim_run_until(d->s, is_up, lazy, MS(2 * 6 * WAY_MS)));
    sim_run_for(d->s, MS(100));
    EXPECT_EQ(watcher->offlines, 1);
    EXPECT_EQ(issued[0], 2);
    EXPECT_EQ(domain_count(d).identities_expired_total, 1);
    EXPECT(actor_is_up(&d->actors[1]));
    EXPECT(actor_is_up(&d->actors[2]));
    end(d);
}

// A token of somebody else must not make anybody him, nor leave the link as it was: it ends, well
// before its own token does, with the reason; and nobody else notices.
CENTER_TEST(credential, token_of_another_ends_the_link)
{
    domain *d = begin(3, LIAR);
    actor *liar = &d->actors[0];
    EXPECT(sim_run_until(d->s, is_down, liar, SECONDS(TOKEN_S * 3 / 4 + 1)));
    EXPECT_TEXT(liar->how_bye, "not_authorised");
    EXPECT(strstr(liar->how_text, "principal 'somebody' may not use account") != NULL);
    EXPECT_EQ(domain_count(d).credentials_refused_total, 1);
    EXPECT_EQ(domain_count(d).identities_expired_total, 0);
    habits[0] = HONEST;
    EXPECT(sim_run_until(d->s, is_up, liar, SECONDS(2)));
    EXPECT_EQ(d->actors[2].ups, 1);
    end(d);
}
