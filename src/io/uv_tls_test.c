// SPDX-License-Identifier: Apache-2.0
//
// io/uv_tls_test.c - streams of TLS: the contract of every stream, and what is theirs alone.

#include <stdio.h>
#include <stdlib.h>

#include "tests/harness/test.h"
#include "tests/io/tls_fixture.h"
#include "tests/io/uv_contract.h"
#include "tests/io/uv_fixture.h"

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

// ---- credentials that change

static void say_hello(pair *p, fixture_end *e)
{
    size_t before = e->size;
    EXPECT_EQ(phi_stream_write(p->f->io, p->f->client.stream, phi_bytes_text("hello")), 5);
    FIXTURE_UNTIL(p->f, e->size == before + 5);
}

static ph_err verified(const pair *p, const phi_tls *tls, phi_diag *diag)
{
    *diag = (phi_diag){ "" };
    return phi_stream_verify(p->f->io, p->f->ends[0].stream, tls, diag);
}

// Whoever was revoked must not stay because the connection is there already.
TEST(uv_tls, verify_follows_the_credentials_of_now)
{
    pair p = { .authority = fixture_authority() };
    fixture_issued *own = fixture_issue_for(p.authority, "IP:127.0.0.1");
    fixture_issued *clients = fixture_issue_for(p.authority, "URI:posthouse://home/a");
    p.center = fixture_credentials(PHI_TLS_CENTER, own, p.authority, NULL, PHI_TLS_PEERS_ASKED);
    p.client = fixture_credentials(PHI_TLS_CLIENT, clients, p.authority, NULL, PHI_TLS_PEERS_ASKED);
    p.f = fixture_new(NULL);
    fixture_listen(p.f, "127.0.0.1:0", p.center);
    pair_dial(&p, NULL);
    FIXTURE_UNTIL(p.f, p.f->client.opened == 1);
    say_hello(&p, &p.f->ends[0]);
    phi_diag diag;
    EXPECT_ERR(verified(&p, p.center, &diag), PH_OK);

    char *nobody = fixture_revoke(p.authority, NULL, 0, 0);
    phi_tls *listed =
        fixture_credentials(PHI_TLS_CENTER, own, p.authority, nobody, PHI_TLS_PEERS_ASKED);
    EXPECT_ERR(verified(&p, listed, &diag), PH_OK);
    EXPECT_ERR(verified(&p, listed, &diag), PH_OK); // the quick way now

    char *all = fixture_revoke(p.authority, (const fixture_issued *const *)&clients, 1, 0);
    phi_tls *revoking =
        fixture_credentials(PHI_TLS_CENTER, own, p.authority, all, PHI_TLS_PEERS_ASKED);
    EXPECT_ERR(verified(&p, revoking, &diag), PH_EACCESS);
    EXPECT_TEXT(diag.text, "its certificate was revoked");
    EXPECT_ERR(verified(&p, revoking, &diag), PH_EACCESS); // also the second time

    fixture_issued *other = fixture_authority();
    fixture_issued *other_own = fixture_issue_for(other, "IP:127.0.0.1");
    phi_tls *moved =
        fixture_credentials(PHI_TLS_CENTER, other_own, other, NULL, PHI_TLS_PEERS_ASKED);
    EXPECT_ERR(verified(&p, moved, &diag), PH_EACCESS);
    EXPECT(strstr(diag.text, "an authority that is not known here") != NULL);
    EXPECT_ERR(verified(&p, listed, &diag), PH_OK); // judged anew each time, not once for all
    say_hello(&p, &p.f->ends[0]);                   // the connection is as it was

    // Who comes now meets the new ones; and those in between were not needed for it.
    phi_listener_secure(p.f->io, p.f->listener, revoking);
    phi_tls_free(&revoking);
    phi_tls_free(&listed);
    phi_tls_free(&moved);
    phi_stream_close(p.f->io, p.f->client.stream);
    FIXTURE_UNTIL(p.f, p.f->client.closed == 1 && p.f->ends[0].closed == 1);
    p.f->client.closed = 0;
    pair_dial(&p, NULL);
    FIXTURE_UNTIL(p.f, p.f->client.closed == 1 && p.f->ends[1].closed == 1);
    EXPECT_TEXT(p.f->ends[1].why, "its certificate was revoked");
    EXPECT(strstr(p.f->client.why, "refused our certificate: it was revoked") != NULL);
    free(all);
    free(nobody);
    fixture_issued_free(&other_own);
    fixture_issued_free(&other);
    fixture_issued_free(&clients);
    fixture_issued_free(&own);
    pair_free(&p);
}

// A center that begins to want certificates finds who has none.
TEST(uv_tls, verify_finds_who_has_no_certificate)
{
    pair p;
    pair_make(&p, NULL, PHI_TLS_PEERS_ASKED);
    pair_dial(&p, NULL);
    FIXTURE_UNTIL(p.f, p.f->client.opened == 1);
    say_hello(&p, &p.f->ends[0]);
    fixture_issued *own = fixture_issue_for(p.authority, "IP:127.0.0.1");
    phi_tls *strict =
        fixture_credentials(PHI_TLS_CENTER, own, p.authority, NULL, PHI_TLS_PEERS_REQUIRED);
    phi_diag diag;
    EXPECT_ERR(verified(&p, p.center, &diag), PH_OK);
    EXPECT_ERR(verified(&p, strict, &diag), PH_EACCESS);
    EXPECT_TEXT(diag.text, "it has no certificate, and one is required now");
    phi_tls_free(&strict);
    fixture_issued_free(&own);
    pair_free(&p);
}

// ---- from loop to loop

static phi_loose_stream *loose;

static void release_on_accept(void *owner, phi_stream *s)
{
    EXPECT_ERR(phi_stream_release(((fixture *)owner)->io, s, &loose), PH_OK);
}

// The handshake is done where the connection lives; until then what a client says waits.
TEST(uv_tls, released_stream_shakes_hands_where_it_is_adopted)
{
    pair p;
    pair_make(&p, "URI:posthouse://home/a", PHI_TLS_PEERS_REQUIRED);
    phi_listener_close(p.f->io, p.f->listener);
    phi_listener_events events = fixture_listener_events;
    events.on_accept = release_on_accept;
    phi_listen_options at = { .address = "127.0.0.1:0", .tls = p.center };
    EXPECT_ERR(phi_io_listen(p.f->io, &at, &events, p.f, &p.f->listener, NULL), PH_OK);
    char address[PHI_ADDRESS_TEXT_MAX];
    phi_listener_address(p.f->io, p.f->listener, address);
    phi_endpoint where;
    EXPECT_ERR(phi_endpoint_parse(address, &where, NULL), PH_OK);
    p.f->port = where.port;
    phi_tls_free(&p.center); // what is between two loops keeps what it needs

    fixture *second = fixture_new(NULL);
    second->descriptors = 0; // those of the other come and go meanwhile
    pair_dial(&p, NULL);
    FIXTURE_UNTIL(p.f, loose != NULL);
    fixture_settle(p.f);
    EXPECT_EQ(p.f->client.opened, 0);
    phi_stream *s = NULL;
    EXPECT_ERR(phi_stream_adopt(second->io, loose, &s), PH_OK);
    EXPECT_ERR(phi_stream_release(second->io, s, &loose), PH_OK); // it was full, and hands it on
    EXPECT_ERR(phi_stream_adopt(second->io, loose, &s), PH_OK);
    loose = NULL;
    fixture_end *e = &second->ends[0];
    *e = (fixture_end){ .f = second, .stream = s };
    EXPECT_EQ(phi_stream_write(second->io, s, phi_bytes_text("too soon")), 0);
    phi_stream_attach(second->io, s, &fixture_stream_events, e);
    while (p.f->client.opened == 0) {
        phi_uv_turn(p.f->uv, phi_ms(1));
        phi_uv_turn(second->uv, phi_ms(1));
    }
    EXPECT_EQ(phi_stream_write(p.f->io, p.f->client.stream, phi_bytes_text("hello")), 5);
    FIXTURE_UNTIL(second, e->size == 5);
    EXPECT_EQ(fixture_peer(second, s).name_count, 1);

    p.f->client.opened = 0;
    pair_dial(&p, NULL);
    FIXTURE_UNTIL(p.f, loose != NULL);
    phi_loose_stream_close(second->io, loose);
    loose = NULL;
    FIXTURE_UNTIL(p.f, p.f->client.closed == 1);
    fixture_free(second);
    pair_free(&p);
}

// ---- memory

// Each allocation of ours that fails, at either end, ends in one event or a refusal, and nothing
// stays behind.
TEST(uv_tls, nth_allocation_failing_ends_clean)
{
    pair p;
    pair_make(&p, "URI:posthouse://home/a", PHI_TLS_PEERS_REQUIRED);
    unsigned failed = 0;
    for (size_t n = 1; n < 40; n++) {
        size_t count = p.f->count;
        p.f->client = (fixture_end){ .f = p.f };
        p.f->memory.fail_at = p.f->memory.takes + n;
        phi_connect_options to = { .address = "tls:127.0.0.1:1", .tls = p.client };
        char address[PHI_ADDRESS_TEXT_MAX];
        (void)snprintf(address, sizeof address, "tls:127.0.0.1:%u", p.f->port);
        to.address = address;
        ph_err err = phi_io_connect(p.f->io, &to, &fixture_stream_events, &p.f->client,
                                    &p.f->client.stream, NULL);
        if (err != PH_OK) {
            EXPECT_ERR(err, PH_ENOMEM);
            failed++;
            continue;
        }
        FIXTURE_UNTIL(p.f, p.f->client.opened + p.f->client.closed != 0);
        if (p.f->client.closed == 0) {
            phi_stream_close(p.f->io, p.f->client.stream);
        } else {
            failed++;
        }
        FIXTURE_UNTIL(p.f, p.f->client.closed == 1 &&
                               (p.f->count == count || p.f->ends[count].closed == 1));
    }
    p.f->memory.fail_at = 0;
    EXPECT(failed > 2);
    p.f->client = (fixture_end){ .f = p.f };
    pair_dial(&p, NULL);
    FIXTURE_UNTIL(p.f, p.f->client.opened == 1);
    pair_free(&p);
}

// What is kept for who does not read has an end, and is given back.
TEST(uv_tls, idle_streams_keep_no_buffers)
{
    pair p;
    pair_make(&p, NULL, PHI_TLS_PEERS_ASKED);
    pair_dial(&p, NULL);
    FIXTURE_UNTIL(p.f, p.f->client.opened == 1);
    say_hello(&p, &p.f->ends[0]);
    phi_stream *s = p.f->ends[0].stream;
    size_t idle = p.f->memory.bytes;
    phi_stream_pause(p.f->io, p.f->client.stream, true);
    static uint8_t bytes[300000];
    size_t taken = 0;
    for (size_t n = 1; n != 0; taken += n) {
        n = phi_stream_write(p.f->io, s, phi_bytes_of(bytes, sizeof bytes));
    }
    size_t kept = p.f->memory.bytes - idle;
    EXPECT(kept > 0);
    EXPECT(kept <= PHI_UV_TLS_WRITE_BYTES + 1024);
    phi_stream_pause(p.f->io, p.f->client.stream, false);
    FIXTURE_UNTIL(p.f, p.f->client.size == taken);
    EXPECT_EQ(p.f->memory.bytes, idle);
    pair_free(&p);
}

// ---- threads

#define CLERKS 3u
#define ROUNDS 20u

// A loop in a thread of its own, whose clients dial its own listener again and again; credentials
// are those of all.
typedef struct clerk {
    phi_uv *uv;
    phi_io *io;
    const pair *p;
    phi_listener *listener;
    phi_stream *stream; // of the client
    char address[PHI_ADDRESS_TEXT_MAX];
    unsigned rounds;
    unsigned names; // that its listener saw
} clerk;

static void clerk_dial(clerk *c);

static void clerk_on_open(void *owner)
{
    clerk *c = (clerk *)owner;
    (void)phi_stream_write(c->io, c->stream, phi_bytes_text("hello"));
}

static void clerk_on_answer(void *owner, phi_span bytes)
{
    (void)bytes;
    clerk *c = (clerk *)owner;
    phi_stream_close(c->io, c->stream);
}

static void clerk_on_writable(void *owner)
{
    (void)owner;
}

static void clerk_on_closed(void *owner, ph_err reason, const char *why)
{
    (void)reason;
    (void)why;
    clerk *c = (clerk *)owner;
    if (++c->rounds == ROUNDS) {
        phi_uv_stop(c->uv);
    } else {
        clerk_dial(c);
    }
}

static const phi_stream_events clerk_client_events = {
    .on_open = clerk_on_open,
    .on_bytes = clerk_on_answer,
    .on_writable = clerk_on_writable,
    .on_closed = clerk_on_closed,
};

// The accepted end is its own owner: all that it needs is what it is.
typedef struct guest {
    clerk *c;
    phi_stream *stream;
} guest;

static void guest_on_bytes(void *owner, phi_span bytes)
{
    guest *g = (guest *)owner;
    phi_identity seen;
    phi_stream_identity(g->c->io, g->stream, &seen);
    g->c->names += seen.name_count;
    if (phi_stream_verify(g->c->io, g->stream, g->c->p->center, NULL) == PH_OK) {
        (void)phi_stream_write(g->c->io, g->stream, phi_bytes_of(bytes.data, bytes.size));
    }
}

static void guest_on_closed(void *owner, ph_err reason, const char *why)
{
    (void)reason;
    (void)why;
    free(owner);
}

static const phi_stream_events guest_events = {
    .on_bytes = guest_on_bytes,
    .on_writable = clerk_on_writable,
    .on_closed = guest_on_closed,
};

static void clerk_on_accept(void *owner, phi_stream *s)
{
    clerk *c = (clerk *)owner;
    guest *g = (guest *)calloc(1, sizeof *g);
    assert_non_null(g);
    *g = (guest){ .c = c, .stream = s };
    phi_stream_attach(c->io, s, &guest_events, g);
    phi_listener_secure(c->io, c->listener, c->p->center); // as a reload does, and references count
}

static phi_bytes clerk_on_shed(void *owner, ph_err reason)
{
    (void)owner;
    (void)reason;
    return phi_bytes_text("");
}

static const phi_listener_events clerk_listener_events = {
    .on_accept = clerk_on_accept,
    .on_shed = clerk_on_shed,
};

static void clerk_dial(clerk *c)
{
    phi_connect_options to = { .address = c->address, .tls = c->p->client };
    EXPECT_ERR(phi_io_connect(c->io, &to, &clerk_client_events, c, &c->stream, NULL), PH_OK);
}

// Workers share the credentials of their center; this test runs under TSan, too.
TEST(uv_tls, credentials_serve_several_threads)
{
    pair p;
    pair_make(&p, "URI:posthouse://home/a", PHI_TLS_PEERS_REQUIRED);
    clerk clerks[CLERKS];
    for (size_t i = 0; i < CLERKS; i++) {
        clerk *c = &clerks[i];
        *c = (clerk){ .p = &p };
        EXPECT_ERR(phi_uv_new(&c->uv, &phi_alloc_heap, NULL), PH_OK);
        c->io = phi_uv_io(c->uv);
        phi_listen_options at = { .address = "127.0.0.1:0", .tls = p.center };
        EXPECT_ERR(phi_io_listen(c->io, &at, &clerk_listener_events, c, &c->listener, NULL), PH_OK);
        char bound[PHI_ADDRESS_TEXT_MAX];
        phi_listener_address(c->io, c->listener, bound);
        (void)snprintf(c->address, sizeof c->address, "tls:%.100s", bound);
        clerk_dial(c);
    }
    for (size_t i = 0; i < CLERKS; i++) {
        EXPECT_ERR(phi_uv_start(clerks[i].uv, "clerk", NULL), PH_OK);
    }
    for (size_t i = 0; i < CLERKS; i++) {
        phi_uv_join(clerks[i].uv);
        EXPECT_EQ(clerks[i].rounds, ROUNDS);
        EXPECT_EQ(clerks[i].names, ROUNDS);
        for (int k = 0; k < 20; k++) { // the last guest hears that its client has gone
            phi_uv_turn(clerks[i].uv, phi_ms(1));
        }
        phi_uv_free(&clerks[i].uv);
    }
    pair_free(&p);
}
