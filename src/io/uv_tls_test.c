// SPDX-License-Identifier: Apache-2.0
//
// io/uv_tls_test.c - streams of TLS: the contract of every stream, and what is theirs alone.

#include "io/tls_fixture.h"
#include "io/uv_contract.h"
#include "io/uv_fixture.h"
#include "tests/harness/test.h"

// ---- the contract, over TLS

static phi_tls *contract_tls(void *arg, bool is_listener)
{
    (void)arg;
    static phi_tls *center;
    static phi_tls *client;
    if (center == NULL) {
        fixture_issued *authority = fixture_authority();
        fixture_issued *own = fixture_issue_for(authority, "DNS:localhost,IP:127.0.0.1");
        center = fixture_credentials(PHI_TLS_CENTER, own, authority, NULL, PHI_TLS_PEERS_ASKED);
        client = fixture_credentials(PHI_TLS_CLIENT, own, authority, NULL, PHI_TLS_PEERS_ASKED);
        fixture_issued_free(&own);
        fixture_issued_free(&authority);
    }
    return is_listener ? center : client;
}

static io_driver driver;

__attribute__((constructor)) static void make_driver(void)
{
    driver = uv_contract_driver;
    driver.tls = contract_tls;
}

IO_CONTRACT_TLS(&driver)

// ---- who lets whom in

// Two ends, each with an authority that it believes and, perhaps, a certificate.
typedef struct pair {
    fixture *f;
    fixture_issued *authority;
    phi_tls *center;
    phi_tls *client;
} pair;

// A center for localhost, and a client with that certificate, or none.
static void pair_make(pair *p, const char *client_names, phi_tls_peers peers)
{
    *p = (pair){ .authority = fixture_authority() };
    fixture_issued *own = fixture_issue_for(p->authority, "DNS:localhost,IP:127.0.0.1");
    p->center = fixture_credentials(PHI_TLS_CENTER, own, p->authority, NULL, peers);
    fixture_issued_free(&own);
    own = client_names == NULL ? NULL : fixture_issue_for(p->authority, client_names);
    p->client = fixture_credentials(PHI_TLS_CLIENT, own, p->authority, NULL, PHI_TLS_PEERS_ASKED);
    fixture_issued_free(&own);
    p->f = fixture_new(NULL);
    fixture_listen(p->f, "127.0.0.1:0", p->center);
}

static void pair_dial(pair *p, const char *name)
{
    char address[PHI_ADDRESS_TEXT_MAX];
    (void)snprintf(address, sizeof address, "tls:127.0.0.1:%u", p->f->port);
    phi_connect_options to = { .address = address, .tls = p->client, .tls_name = name };
    EXPECT_ERR(phi_io_connect(p->f->io, &to, &fixture_stream_events, &p->f->client,
                              &p->f->client.stream, NULL),
               PH_OK);
}

static void pair_free(pair *p)
{
    phi_tls_free(&p->center); // the listener and the streams keep what they need
    phi_tls_free(&p->client);
    fixture_issued_free(&p->authority);
    fixture_free(p->f);
}

// The account that somebody gets hangs on these names.
TEST(uv_tls, identity_is_that_of_the_certificate)
{
    pair p;
    pair_make(&p, "URI:posthouse://home/orders,DNS:orders.example,email:a@b.example",
              PHI_TLS_PEERS_REQUIRED);
    pair_dial(&p, NULL);
    FIXTURE_UNTIL(p.f, p.f->client.opened == 1 && p.f->count == 1);
    EXPECT_EQ(phi_stream_write(p.f->io, p.f->client.stream, phi_bytes_text("hello")), 5);
    FIXTURE_UNTIL(p.f, p.f->ends[0].size == 5);
    phi_identity seen = fixture_peer(p.f, p.f->ends[0].stream);
    EXPECT(seen.is_tls);
    EXPECT(seen.is_local);
    EXPECT(!seen.has_user);
    EXPECT_EQ(seen.name_count, 2);
    EXPECT(seen.names[0].is_uri);
    EXPECT_TEXT(seen.names[0].text, "posthouse://home/orders");
    EXPECT_EQ(seen.names[0].size, strlen("posthouse://home/orders"));
    EXPECT(!seen.names[1].is_uri);
    EXPECT_TEXT(seen.names[1].text, "orders.example");
    uint64_t now_s = phi_io_wall_ms(p.f->io) / 1000;
    EXPECT(seen.expires_s > now_s + 364 * 86400 && seen.expires_s <= now_s + 365 * 86400);
    pair_free(&p);
}

// A client without a certificate is somebody whom a token may name, where it is only asked for one.
TEST(uv_tls, certificate_that_is_only_asked_for_may_be_missing)
{
    pair p;
    pair_make(&p, NULL, PHI_TLS_PEERS_ASKED);
    pair_dial(&p, "localhost");
    FIXTURE_UNTIL(p.f, p.f->client.opened == 1 && p.f->count == 1);
    EXPECT_EQ(phi_stream_write(p.f->io, p.f->client.stream, phi_bytes_text("hello")), 5);
    FIXTURE_UNTIL(p.f, p.f->ends[0].size == 5);
    phi_identity seen = fixture_peer(p.f, p.f->ends[0].stream);
    EXPECT(seen.is_tls);
    EXPECT_EQ(seen.name_count, 0);
    EXPECT_EQ(seen.expires_s, 0);
    pair_free(&p);
}

// Both ends must learn why: one to let the right ones in, the other to get a certificate.
TEST(uv_tls, certificate_that_is_required_is_told_to_both)
{
    pair p;
    pair_make(&p, NULL, PHI_TLS_PEERS_REQUIRED);
    pair_dial(&p, NULL);
    FIXTURE_UNTIL(p.f, p.f->client.closed == 1 && p.f->ends[0].closed == 1);
    EXPECT_ERR(p.f->ends[0].reason, PH_ETLS);
    EXPECT_TEXT(p.f->ends[0].why, "it has no certificate, and one is required");
    EXPECT_ERR(p.f->client.reason, PH_ETLS);
    EXPECT_TEXT(p.f->client.why, "the other end refused our certificate: one is required, and we "
                                 "have none");
    pair_free(&p);
}

// Who can stand between us and a center has a good certificate, too: for another name.
TEST(uv_tls, name_that_is_not_in_the_certificate_is_refused)
{
    pair p;
    pair_make(&p, NULL, PHI_TLS_PEERS_ASKED);
    pair_dial(&p, "center.example");
    FIXTURE_UNTIL(p.f, p.f->client.closed == 1 && p.f->ends[0].closed == 1);
    EXPECT_EQ(p.f->client.opened, 0);
    EXPECT_ERR(p.f->client.reason, PH_ETLS);
    EXPECT_TEXT(p.f->client.why,
                "its certificate is for 'localhost', '127.0.0.1', and not for 'center.example'");
    EXPECT_ERR(p.f->ends[0].reason, PH_ETLS);
    EXPECT(strncmp(p.f->ends[0].why, "the other end refused our certificate", 37) == 0);
    EXPECT_EQ(p.f->ends[0].size, 0);
    pair_free(&p);
}
