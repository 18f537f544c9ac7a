// SPDX-License-Identifier: Apache-2.0
//
// sim/tokens.c - see tokens.h.

#include "sim/tokens.h"

#include <inttypes.h>
#include <stdio.h>

#include "auth/signer.h"
#include "base/assert.h"

#define SECRET "Zq4tW9yB2vR7pK1xM5nD8sF3hJ6gL0cA"
#define HEADER "{\"alg\":\"HS256\"}"
#define TOKEN_BYTES_MAX 512u
#define NONE_PERCENT 15u // of what is wanted does not come
#define LATE_PERCENT 30u // and of the rest comes later
#define LATE_MS_MAX 1500u

struct tokens {
    phi_signer *signer;
    phi_jwks *keys;
    bool is_hurried;
};

static void give(actor *a);
static void give_later(sim *s, void *arg);

tokens *tokens_new(domain *d)
{
    tokens *t = phi_take_zeroed(&phi_alloc_heap, 1, sizeof *t);
    PH_ASSERT(t != NULL);
    ph_err rc = phi_signer_of_secret(&t->signer, &phi_alloc_heap, phi_bytes_text(SECRET), NULL);
    PH_ASSERT(rc == PH_OK);
    rc = phi_jwks_of_secret(&t->keys, &phi_alloc_heap, phi_bytes_text(SECRET), NULL);
    PH_ASSERT(rc == PH_OK);
    d->security.keys = t->keys;
    return t;
}

void tokens_free(tokens **t)
{
    if (*t != NULL) {
        phi_signer_free(&(*t)->signer);
        phi_jwks_free(&(*t)->keys);
        phi_give(&phi_alloc_heap, *t, sizeof **t);
        *t = NULL;
    }
}

void tokens_hurry(tokens *t)
{
    t->is_hurried = true;
}

void tokens_on_wanted(ph_client *client, void *arg)
{
    (void)client;
    actor *a = arg;
    domain *d = a->domain;
    phi_random *r = sim_node_random(d->s, a->node);
    if (d->tokens->is_hurried) {
        give(a);
    } else if (phi_random_chance(r, NONE_PERCENT)) {
        sim_note(d->s, a->node, "has no token");
    } else if (phi_random_chance(r, LATE_PERCENT)) {
        sim_after(d->s, a->node, phi_ms(phi_random_below(r, LATE_MS_MAX)), give_later, a);
    } else {
        give(a);
    }
}

static void give_later(sim *s, void *arg)
{
    (void)s;
    give(arg);
}

// Without an id of its own (jti), so that the same seed makes the same token.
static void give(actor *a)
{
    domain *d = a->domain;
    bool is_foreign = !d->tokens->is_hurried &&
                      phi_random_chance(sim_node_random(d->s, a->node), d->options.foreign_percent);
    const char *subject = is_foreign ? "mallory" : a->account;
    char payload[96];
    uint64_t now_ms = phi_io_wall_ms(sim_io(d->s, a->node));
    uint64_t ends_s = (now_ms + phi_dur_ms(d->options.token_life)) / 1000;
    snprintf(payload, sizeof payload, "{\"sub\":\"%s\",\"exp\":%" PRIu64 "}", subject, ends_s);
    phi_buf buf;
    phi_buf_init(&buf, &phi_alloc_heap, TOKEN_BYTES_MAX);
    ph_err rc =
        phi_signer_sign(d->tokens->signer, phi_bytes_text(HEADER), phi_bytes_text(payload), &buf);
    PH_ASSERT(rc == PH_OK);
    bool has_end = phi_buf_append(&buf, phi_bytes_of((const uint8_t *)"", 1));
    PH_ASSERT(has_end);
    sim_note(d->s, a->node, "gives a token of %s until %" PRIu64, subject, ends_s % 1000);
    rc = ph_client_set_token(a->client, (const char *)phi_buf_view(&buf).data);
    phi_buf_fini(&buf);
    if (rc != PH_OK && rc != PH_ENOMEM && rc != PH_ECLOSED) {
        domain_fail(d, "%s cannot set its token: %s", a->account, ph_err_name(rc));
    }
}
