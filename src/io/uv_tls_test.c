// SPDX-License-Identifier: Apache-2.0
//
// io/uv_tls_test.c - streams of TLS: the contract of every stream, and what is theirs alone.

#include <stdio.h>
#include <stdlib.h>

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

// ---- certificates that are not believed

// Both ends with `own`, which `authority` vouches for.
static void expect_client_taken(const fixture_issued *authority, const fixture_issued *own,
                                const char *revoked)
{
    fixture_issued *center_own = fixture_issue_for(authority, "IP:127.0.0.1");
    pair p = { .authority = NULL };
    p.center =
        fixture_credentials(PHI_TLS_CENTER, center_own, authority, revoked, PHI_TLS_PEERS_REQUIRED);
    p.client = fixture_credentials(PHI_TLS_CLIENT, own, authority, NULL, PHI_TLS_PEERS_ASKED);
    p.f = fixture_new(NULL);
    fixture_listen(p.f, "127.0.0.1:0", p.center);
    pair_dial(&p, NULL);
    FIXTURE_UNTIL(p.f, p.f->client.opened == 1);
    EXPECT_EQ(phi_stream_write(p.f->io, p.f->client.stream, phi_bytes_text("hello")), 5);
    FIXTURE_UNTIL(p.f, p.f->ends[0].size == 5);
    pair_free(&p);
    fixture_issued_free(&center_own);
}

// A client whose certificate is `own`, at a center that wants one of `authority`. What the center
// says of it.
static void expect_client_refused(const fixture_issued *authority, const fixture_issued *own,
                                  const char *revoked, const char *says)
{
    fixture_issued *center_own = fixture_issue_for(authority, "IP:127.0.0.1");
    pair p = { .authority = NULL };
    p.center =
        fixture_credentials(PHI_TLS_CENTER, center_own, authority, revoked, PHI_TLS_PEERS_ASKED);
    p.client = fixture_credentials_unjudged(own, authority);
    p.f = fixture_new(NULL);
    fixture_listen(p.f, "127.0.0.1:0", p.center);
    pair_dial(&p, NULL);
    FIXTURE_UNTIL(p.f, p.f->client.closed == 1 && p.f->ends[0].closed == 1);
    EXPECT_ERR(p.f->ends[0].reason, PH_ETLS);
    if (strstr(p.f->ends[0].why, says) == NULL) {
        fail_msg("'%s' is not in: %s", says, p.f->ends[0].why);
    }
    // In TLS 1.3 a client may be done before it is judged; then it hears of it as its first news.
    EXPECT_ERR(p.f->client.reason, PH_ETLS);
    EXPECT(strncmp(p.f->client.why, "the other end refused", 21) == 0);
    EXPECT_EQ(p.f->client.size, 0);
    pair_free(&p);
    fixture_issued_free(&center_own);
}

// Whoever gets in with one of these is somebody else.
TEST(uv_tls, client_certificates_that_are_not_believed)
{
    static const struct {
        fixture_recipe recipe;
        const char *says;
    } rows[] = {
        { { .names = "DNS:a", .ends_s = -10 }, "its certificate has expired" },
        { { .names = "DNS:a", .begins_s = 9000 }, "its certificate is not valid yet" },
        { { .names = "DNS:a", .usage = "serverAuth" }, "is not for this purpose" },
        { { .names = "DNS:a", .usage = "codeSigning" }, "is not for this purpose" },
        { { .names = "DNS:a", .hash = "SHA1" }, "signed with a hash that is broken" },
        { { .names = "DNS:a", .key = FIXTURE_KEY_RSA_1024 }, "has a key that is too weak" },
        { { .names = "DNS:a", .lacks_identifiers = true }, "lacks the authorityKeyIdentifier" },
        { { .names = "DNS:a", .extra_name = "1.2.3.4", .extra_value = "critical,DER:0500" },
          "critical extension that is not known" },
        // "a.b", NUL, ".c"; "a", line's end, "b"; e with an accent
        { { .extra_name = "subjectAltName", .extra_value = "DER:30:08:82:06:61:2e:62:00:2e:63" },
          "a name that is malformed" },
        { { .extra_name = "subjectAltName", .extra_value = "DER:30:05:82:03:61:0a:62" },
          "a name that is malformed" },
        { { .extra_name = "subjectAltName", .extra_value = "DER:30:04:86:02:c3:a9" },
          "a name that is malformed" },
        { { .extra_name = "subjectAltName", .extra_value = "DER:30:02:82:00" },
          "a name that is malformed" },
        { { .extra_name = "subjectAltName", .extra_value = "DER:30:05:82:09:61:0a:62" },
          "its certificate" }, // whose names end behind it
        { { .names = "DNS:a,DNS:b,DNS:c,DNS:d,DNS:e,DNS:f,DNS:g,DNS:h,DNS:i" },
          "more than 8 names" },
    };
    fixture_issued *authority = fixture_authority();
    for (size_t i = 0; i < PHI_COUNT_OF(rows); i++) {
        fixture_issued *own = fixture_issue(authority, &rows[i].recipe);
        expect_client_refused(authority, own, NULL, rows[i].says);
        fixture_issued_free(&own);
    }
    fixture_issued_free(&authority);
}

// A signature is worth what its signer may sign.
TEST(uv_tls, chains_that_are_not_believed)
{
    static const struct {
        fixture_recipe middle;
        const char *names;
        const char *says;
    } rows[] = {
        { { .is_authority = true, .ends_s = -10 },
          "DNS:a",
          "the certificate of an authority above it has expired" },
        { { .is_authority = false, .names = "DNS:b" }, "DNS:a", "signed another" },
        { { .is_authority = true, .hash = "SHA1" }, "DNS:a", "hash that is broken" },
        { { .is_authority = true, .key = FIXTURE_KEY_RSA_1024 }, "DNS:a", "key that is too weak" },
        { { .is_authority = true, .usage = "serverAuth" }, "DNS:a", "is not for this purpose" },
        { { .is_authority = true,
            .extra_name = "nameConstraints",
            .extra_value = "critical,permitted;DNS:.example" },
          "DNS:a",
          "a name that its authority may not give" },
        { { .is_authority = true,
            .extra_name = "nameConstraints",
            .extra_value = "critical,excluded;DNS:a.example" },
          "DNS:a.example",
          "a name that its authority may not give" },
    };
    fixture_issued *root = fixture_authority();
    for (size_t i = 0; i < PHI_COUNT_OF(rows); i++) {
        fixture_issued *middle = fixture_issue(root, &rows[i].middle);
        fixture_issued *own = fixture_issue_for(middle, rows[i].names);
        fixture_issued_chain(own, middle);
        expect_client_refused(root, own, NULL, rows[i].says);
        fixture_issued_free(&own);
        fixture_issued_free(&middle);
    }
    // One that may sign people, but no more authorities.
    fixture_issued *first =
        fixture_issue(root, &(fixture_recipe){ .is_authority = true, .path_length = 1 });
    fixture_issued *second = fixture_issue(first, &(fixture_recipe){ .is_authority = true });
    fixture_issued *own = fixture_issue_for(second, "DNS:a");
    fixture_issued_chain(own, second);
    fixture_issued_chain(own, first);
    expect_client_refused(root, own, NULL, "below more authorities than one of them allows");
    fixture_issued_free(&own);
    fixture_issued_free(&second);
    fixture_issued_free(&first);
    fixture_issued_free(&root);
}

// A chain costs a signature for each link of it, before anybody is known.
TEST(uv_tls, chains_have_a_longest_length)
{
    fixture_issued *links[PHI_TLS_CHAIN_MAX + 2];
    links[0] = fixture_authority();
    for (size_t i = 1; i < PHI_COUNT_OF(links); i++) {
        links[i] = fixture_issue(links[i - 1], &(fixture_recipe){ .is_authority = true });
    }
    for (size_t length = PHI_TLS_CHAIN_MAX; length < PHI_COUNT_OF(links); length++) {
        fixture_issued *own = fixture_issue_for(links[length], "DNS:a");
        for (size_t i = length; i > 0; i--) {
            fixture_issued_chain(own, links[i]);
        }
        if (length > PHI_TLS_CHAIN_MAX) {
            expect_client_refused(links[0], own, NULL, "too long a chain");
        } else {
            expect_client_taken(links[0], own, NULL);
        }
        fixture_issued_free(&own);
    }
    for (size_t i = 0; i < PHI_COUNT_OF(links); i++) {
        fixture_issued_free(&links[i]);
    }
}

// Anybody can sign a certificate.
TEST(uv_tls, certificates_of_others_are_not_believed)
{
    fixture_issued *authority = fixture_authority();
    fixture_issued *other = fixture_authority();
    fixture_issued *own = fixture_issue_for(other, "DNS:a");
    expect_client_refused(authority, own, NULL, "signed by an authority that is not known here");
    fixture_issued_chain(own, other);
    expect_client_refused(authority, own, NULL, "leads to an authority that is not known here");
    fixture_issued_free(&own);

    own = fixture_issue(NULL, &(fixture_recipe){ .names = "DNS:a", .usage = FIXTURE_CERTIFICATE });
    expect_client_refused(authority, own, NULL, "signed by itself");
    fixture_issued_free(&own);

    // The name of our authority, and not its key.
    fixture_issued *forger = fixture_forge(authority);
    own = fixture_issue_for(forger, "DNS:a");
    expect_client_refused(authority, own, NULL, "signed by an authority that is not known here");
    fixture_issued_free(&own);
    fixture_issued_free(&forger);
    fixture_issued_free(&other);
    fixture_issued_free(&authority);
}

// A stolen key is worth nothing once its certificate is on the list.
TEST(uv_tls, revoked_certificates_are_not_believed)
{
    fixture_issued *authority = fixture_authority();
    fixture_issued *stolen = fixture_issue_for(authority, "DNS:a");
    fixture_issued *good = fixture_issue_for(authority, "DNS:a");
    char *list = fixture_revoke(authority, (const fixture_issued *const *)&stolen, 1, 0);
    expect_client_refused(authority, stolen, list, "its certificate was revoked");
    expect_client_taken(authority, good, list);

    // Of an authority between there is no list: then nobody can say.
    fixture_issued *middle = fixture_issue(authority, &(fixture_recipe){ .is_authority = true });
    fixture_issued *below = fixture_issue_for(middle, "DNS:a");
    fixture_issued_chain(below, middle);
    expect_client_refused(authority, below, list, "list of revoked certificates is missing here");
    free(list);
    fixture_issued_free(&below);
    fixture_issued_free(&middle);
    fixture_issued_free(&good);
    fixture_issued_free(&stolen);
    fixture_issued_free(&authority);
}

// ---- the name of a center

// What a certificate must say, for what is dialled, or asked for instead.
TEST(uv_tls, centers_are_known_by_their_names_alone)
{
    static const struct {
        const char *names;
        const char *subject;
        const char *asked;
        bool is_good;
    } rows[] = {
        { "IP:127.0.0.1", NULL, NULL, true },
        { "DNS:localhost", NULL, NULL, false }, // the address was dialled
        { "DNS:127.0.0.1", NULL, NULL, false }, // which is no name
        { "IP:127.0.0.2", NULL, NULL, false },
        { "DNS:center.example", NULL, "center.example", true },
        { "DNS:a.example,DNS:center.example", NULL, "center.example", true },
        { "DNS:CENTER.example", NULL, "center.EXAMPLE", true },
        { "DNS:center.example", NULL, "center.example.", true },
        { "DNS:*.example", NULL, "center.example", false },
        { "DNS:.example", NULL, "center.example", false },
        { "DNS:center.example.org", NULL, "center.example", false },
        { "DNS:other.example", "center.example", "center.example", false }, // the subject
        { "email:a@center.example", "center.example", "center.example", false },
        { "URI:https://center.example", NULL, "center.example", false },
        { "IP:::1", NULL, "::1", true },
        { "IP:::1", NULL, "0:0::1", true },
        { "IP:::1", NULL, "::2", false },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(rows); i++) {
        pair p = { .authority = fixture_authority() };
        fixture_issued *own =
            fixture_issue(p.authority, &(fixture_recipe){ .names = rows[i].names,
                                                          .subject = rows[i].subject,
                                                          .usage = "serverAuth" });
        p.center = fixture_credentials(PHI_TLS_CENTER, own, p.authority, NULL, PHI_TLS_PEERS_ASKED);
        p.client =
            fixture_credentials(PHI_TLS_CLIENT, NULL, p.authority, NULL, PHI_TLS_PEERS_ASKED);
        p.f = fixture_new(NULL);
        fixture_listen(p.f, "127.0.0.1:0", p.center);
        pair_dial(&p, rows[i].asked);
        FIXTURE_UNTIL(p.f, p.f->client.opened + p.f->client.closed == 1);
        if (p.f->client.opened != rows[i].is_good) {
            fail_msg("%s for %s: %s", rows[i].names, rows[i].asked, p.f->client.why);
        }
        EXPECT(rows[i].is_good || strstr(p.f->client.why, "not for ") != NULL);
        fixture_issued_free(&own);
        pair_free(&p);
    }
}

// OpenSSL takes an empty name for "any", and one with a dot in front for a whole domain.
TEST(uv_tls, names_that_are_no_hosts_are_not_dialled)
{
    static const char *const names[] = { "", ".", ".example", "*.example", "*", "a*b" };
    pair p;
    pair_make(&p, NULL, PHI_TLS_PEERS_ASKED);
    size_t blocks = p.f->memory.blocks;
    for (size_t i = 0; i < PHI_COUNT_OF(names); i++) {
        phi_diag diag = { "" };
        phi_connect_options to = { .address = "tls:127.0.0.1:1",
                                   .tls = p.client,
                                   .tls_name = names[i] };
        phi_stream *none = NULL;
        EXPECT_ERR(phi_io_connect(p.f->io, &to, &fixture_stream_events, p.f, &none, &diag),
                   PH_EINVAL);
        EXPECT(strstr(diag.text, "is not the name of a host") != NULL);
    }
    EXPECT(p.f->memory.blocks <= blocks + 1); // the loop's buffers stay
    phi_connect_options naked = { .address = "tls:127.0.0.1:1" };
    phi_stream *none = NULL;
    EXPECT_ERR(phi_io_connect(p.f->io, &naked, &fixture_stream_events, p.f, &none, NULL),
               PH_EINVAL);
    pair_free(&p);
}

// A center's own files may chain it to an authority that clients know.
TEST(uv_tls, center_behind_authorities_is_believed)
{
    fixture_issued *root = fixture_authority();
    fixture_issued *middle = fixture_issue(root, &(fixture_recipe){ .is_authority = true });
    fixture_issued *own = fixture_issue_for(middle, "IP:127.0.0.1");
    fixture_issued_chain(own, middle);
    expect_client_taken(root, own, NULL);
    fixture_issued_free(&own);
    fixture_issued_free(&middle);
    fixture_issued_free(&root);
}
