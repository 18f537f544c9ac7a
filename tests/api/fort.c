// SPDX-License-Identifier: Apache-2.0
//
// tests/api/fort.c - see fort.h.

#include "tests/api/fort.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "app/secret.h"
#include "base/buf.h"
#include "client/client.h"
#include "tests/harness/test.h"

#define DAY 86400

// ---- certificates

static void authority_make(fort_authority *a, const char *subject)
{
    EXPECT_ERR(cert_key_make(&a->key, NULL), PH_OK);
    cert_order order = {
        .kind = CERT_OF_AUTHORITY,
        .subject = subject,
        .key = a->key,
        .issuer_key = a->key,
        .now = time(NULL) - 400 * DAY,
        .days = 800,
    };
    EXPECT_ERR(cert_make(&a->certificate, &order, NULL), PH_OK);
}

static void authority_free(fort_authority *a)
{
    EVP_PKEY_free(a->key);
    X509_free(a->certificate);
}

const char *fort_path(fort *f, const char *name)
{
    char *path = f->paths[f->path++ % PHI_COUNT_OF(f->paths)];
    snprintf(path, sizeof f->paths[0], "%s/%s", f->folder, name);
    return path;
}

void fort_certificate(fort *f, const fort_order *order)
{
    const fort_authority *issuer = order->issuer == NULL ? &f->authority : order->issuer;
    EVP_PKEY *key = NULL;
    EXPECT_ERR(cert_key_make(&key, NULL), PH_OK);
    cert_names names = { .count = 0 };
    if (order->host != NULL) {
        EXPECT_ERR(cert_names_add_host(&names, phi_bytes_text(order->host), NULL), PH_OK);
    }
    if (order->account != NULL) {
        EXPECT_ERR(cert_names_add_account(&names, phi_bytes_text("home"),
                                          phi_bytes_text(order->account), NULL),
                   PH_OK);
    }
    cert_order made = {
        .kind = order->host != NULL ? CERT_OF_CENTER : CERT_OF_ACCOUNT,
        .subject = order->name,
        .names = &names,
        .key = key,
        .issuer = issuer->certificate,
        .issuer_key = issuer->key,
        .now = time(NULL) - (time_t)order->from_days * DAY,
        .days = order->days == 0 ? 30 : order->days,
    };
    X509 *certificate = NULL;
    EXPECT_ERR(cert_make(&certificate, &made, NULL), PH_OK);
    char name[64];
    snprintf(name, sizeof name, "%s.pem", order->name);
    EXPECT_ERR(cert_write(fort_path(f, name), certificate, NULL), PH_OK);
    snprintf(name, sizeof name, "%s.key", order->name);
    const char *path = fort_path(f, name);
    unlink(path); // a key is never written over
    EXPECT_ERR(cert_key_write(path, key, NULL), PH_OK);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

// ---- tokens

const char *fort_token(fort *f, const char *subject, int seconds)
{
    static char text[1024];
    time_t now = time(NULL);
    phi_token_claims claims = {
        .subject = phi_bytes_text(subject),
        .issued_s = (uint64_t)(seconds < 0 ? now + 2 * seconds : now),
        .expires_s = (uint64_t)(now + seconds),
    };
    phi_buf buf;
    phi_buf_init(&buf, &phi_alloc_heap, sizeof text - 1);
    EXPECT_ERR(phi_signer_issue(f->signer, &claims, &buf), PH_OK);
    phi_span view = phi_buf_view(&buf);
    snprintf(text, sizeof text, "%.*s", (int)view.size, (const char *)view.data);
    phi_buf_fini(&buf);
    return text;
}

// ---- the center

void fort_init(fort *f)
{
    *f = (fort){ .folder = "/tmp/posthouse-fort-XXXXXX" };
    assert_non_null(mkdtemp(f->folder));
    EXPECT_ERR(ph_loop_new(&f->loop), PH_OK);
    f->options = center_options_default();
    f->options.domain = "home";
    f->security = center_security_open;
    authority_make(&f->authority, "authority");
    authority_make(&f->stranger, "stranger");
    EXPECT_ERR(cert_write(fort_path(f, "ca.pem"), f->authority.certificate, NULL), PH_OK);
    EXPECT_ERR(cert_write(fort_path(f, "strange.pem"), f->stranger.certificate, NULL), PH_OK);
    fort_certificate(f, &(fort_order){ .name = "center", .host = "127.0.0.1" });
    fort_certificate(f, &(fort_order){ .name = "alice", .account = "alice" });
    phi_bytes shared = phi_bytes_text("Zq4tW9yB2vR7pK1xM5nD8sF3hJ6gL0cA");
    EXPECT_ERR(phi_signer_of_secret(&f->signer, &phi_alloc_heap, shared, NULL), PH_OK);
    EXPECT_ERR(phi_jwks_of_secret(&f->keys, &phi_alloc_heap, shared, NULL), PH_OK);
    f->security.keys = f->keys;
}

// Anything for everybody but alice's secrets.
static phi_rules *rules_make(void)
{
    static const struct {
        bool may;
        phi_action action;
        const char *entry;
    } entries[] = {
        { true, PHI_MAY_CALL, "*" },
        { true, PHI_MAY_SEND, "*" },
        { true, PHI_MAY_SEE, "*" },
        { true, PHI_MAY_PUBLISH, ">" },
        { true, PHI_MAY_SUBSCRIBE, ">" },
        { false, PHI_MAY_CALL, "* secret" },
        { false, PHI_MAY_SUBSCRIBE, "secret.>" },
    };
    phi_rules *rules = NULL;
    phi_diag diag = { "" };
    EXPECT_ERR(phi_rules_new(&rules, &phi_alloc_heap), PH_OK);
    EXPECT_ERR(phi_rules_add(rules, phi_bytes_text("all"), &diag), PH_OK);
    EXPECT_ERR(phi_rules_who(rules, phi_bytes_text("*"), &diag), PH_OK);
    for (size_t i = 0; i < PHI_COUNT_OF(entries); i++) {
        ph_err rc = phi_rules_entry(rules, entries[i].may, entries[i].action,
                                    phi_bytes_text(entries[i].entry), &diag);
        if (rc != PH_OK) {
            fail_msg("%s: %s", entries[i].entry, diag.text);
        }
    }
    return rules;
}

static void tls_make(fort *f)
{
    secret certificate = { 0 };
    secret key = { 0 };
    secret authorities = { 0 };
    phi_diag diag = { "" };
    EXPECT_ERR(
        secret_read_file(fort_path(f, "center.pem"), SECRET_PUBLIC, 1 << 20, &certificate, &diag),
        PH_OK);
    EXPECT_ERR(secret_read_file(fort_path(f, "center.key"), SECRET_PRIVATE, 1 << 20, &key, &diag),
               PH_OK);
    EXPECT_ERR(
        secret_read_file(fort_path(f, "ca.pem"), SECRET_PUBLIC, 1 << 20, &authorities, &diag),
        PH_OK);
    const phi_tls_options options = {
        .side = PHI_TLS_CENTER,
        .certificate = secret_view(&certificate),
        .key = secret_view(&key),
        .authorities = secret_view(&authorities),
        .peers = PHI_TLS_PEERS_ASKED,
    };
    if (phi_tls_new(&f->security.tls, &options, &diag) != PH_OK) {
        fail_msg("%s", diag.text);
    }
    secret_fini(&certificate);
    secret_fini(&key);
    secret_fini(&authorities);
}

static void listen_at(fort *f, const char *address, center_listener kind,
                      char bound[PHI_ADDRESS_TEXT_MAX])
{
    phi_diag diag = { "" };
    center_listen_options options = { .address = address, .kind = kind };
    if (center_listen(f->center, &options, bound, &diag) != PH_OK) {
        fail_msg("%s", diag.text);
    }
}

void fort_open(fort *f)
{
    f->rules = rules_make();
    f->security.rules = f->rules;
    tls_make(f);
    phi_diag diag = { "" };
    EXPECT_ERR(center_new(&f->center, phi_loop_io(f->loop), &f->options, NULL, &diag), PH_OK);
    center_secure(f->center, &f->security);
    char bound[PHI_ADDRESS_TEXT_MAX];
    listen_at(f, *f->secure == '\0' ? "127.0.0.1:0" : f->secure + 4, CENTER_LISTENER_TLS, bound);
    snprintf(f->secure, sizeof f->secure, "tls:%s", bound);
    listen_at(f, "127.0.0.1:0", CENTER_LISTENER_PLAIN, f->plain);
}

void fort_close(fort *f)
{
    center_free(&f->center);
    phi_tls_free(&f->security.tls);
    phi_rules_free(&f->rules);
}

void fort_fini(fort *f)
{
    if (f->center != NULL) {
        fort_close(f);
    }
    ph_loop_free(&f->loop);
    phi_jwks_free(&f->keys);
    phi_signer_free(&f->signer);
    authority_free(&f->authority);
    authority_free(&f->stranger);
    DIR *folder = opendir(f->folder);
    assert_non_null(folder);
    for (struct dirent *e; (e = readdir(folder)) != NULL;) {
        if (e->d_name[0] != '.') {
            unlink(fort_path(f, e->d_name));
        }
    }
    closedir(folder);
    EXPECT_EQ(rmdir(f->folder), 0);
}

// ---- clients

static void on_link(ph_client *client, const ph_link_change *change, void *arg)
{
    fort_client *c = arg;
    EXPECT(ph_client_state(client) == change->state);
    c->ups += change->state == PH_LINK_UP;
    c->downs += change->state == PH_LINK_DOWN;
    c->closes += change->state == PH_LINK_CLOSED;
    c->err = change->err;
    snprintf(c->text, sizeof c->text, "%.*s", (int)change->text.size, change->text.data);
    snprintf(c->bye, sizeof c->bye, "%.*s", (int)change->bye.size, change->bye.data);
}

static void on_token(ph_client *client, void *arg)
{
    fort_client *c = arg;
    c->asked++;
    if (c->gives != NULL) {
        EXPECT_ERR(ph_client_set_token(client, c->gives), PH_OK);
    }
}

static void on_request(ph_client *client, ph_request_id request, const ph_incoming *incoming,
                       void *arg)
{
    (void)arg;
    EXPECT_ERR(ph_client_reply(client, request, incoming->from.data, incoming->from.size), PH_OK);
}

static void on_reply(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
                     const ph_incoming *reply, void *arg)
{
    (void)client;
    (void)call;
    fort_client *c = arg;
    c->dones++;
    c->status = status;
    c->code = code;
    snprintf(c->reply, sizeof c->reply, "%.*s", reply == NULL ? 0 : (int)reply->body.size,
             reply == NULL ? "" : reply->body.data);
}

void fort_client_init(fort_client *c, fort *f, const char *account)
{
    *c = (fort_client){ .fort = f, .options = PH_CLIENT_OPTIONS_INIT };
    ph_client_options *o = &c->options;
    o->loop = f->loop;
    o->centers = f->secure;
    o->account = account;
    o->backoff_min_ms = 1;
    o->backoff_max_ms = 10;
    o->tls_authorities_file = fort_path(f, "ca.pem");
    o->on_link = on_link;
    o->on_request = on_request;
    o->arg = c;
}

void fort_client_new(fort_client *c)
{
    if (c->gives != NULL) {
        c->options.on_token = on_token;
    }
    EXPECT_ERR(ph_client_new(&c->client, &c->options), PH_OK);
    EXPECT_ERR(ph_client_open(c->client), PH_OK);
}

void fort_client_free(fort_client *c)
{
    ph_client_free(&c->client);
}

void fort_wait(fort *f, const unsigned *counter, unsigned least)
{
    for (unsigned turns = 0; *counter < least; turns++) {
        assert_true(turns < 10000);
        ph_loop_turn(f->loop, FORT_WAIT_MS);
    }
}

void fort_call(fort_client *c, const char *to, const char *method)
{
    ph_outgoing out = PH_OUTGOING_INIT;
    out.to = to;
    out.method = method;
    out.timeout_ms = FORT_WAIT_MS;
    unsigned dones = c->dones;
    EXPECT_ERR(ph_client_request(c->client, &out, NULL, on_reply, c), PH_OK);
    fort_wait(c->fort, &c->dones, dones + 1);
}
