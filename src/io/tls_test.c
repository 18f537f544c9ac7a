// SPDX-License-Identifier: Apache-2.0
//
// io/tls_test.c - credentials: what of somebody's files is taken, and what is said of the rest.

#include "io/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/harness/test.h"
#include "tests/io/tls_fixture.h"

// Good files of a center, one of which each row of a table replaces.
typedef struct files {
    fixture_issued *authority;
    fixture_issued *own;
    phi_tls_options options;
} files;

static void files_make(files *f, phi_tls_side side)
{
    *f = (files){ .authority = fixture_authority() };
    f->own = fixture_issue_for(f->authority, "DNS:localhost");
    f->options = (phi_tls_options){
        .side = side,
        .certificate = phi_bytes_text(f->own->certificate_pem),
        .key = phi_bytes_text(f->own->key_pem),
        .authorities = phi_bytes_text(f->authority->certificate_pem),
    };
}

static void files_free(files *f)
{
    fixture_issued_free(&f->own);
    fixture_issued_free(&f->authority);
}

static void expect_taken(const phi_tls_options *options)
{
    phi_tls *tls = NULL;
    phi_diag diag = { "" };
    if (phi_tls_new(&tls, options, &diag) != PH_OK) {
        fail_msg("%s", diag.text);
    }
    EXPECT(ERR_peek_error() == 0);
    phi_tls_free(&tls);
    EXPECT(tls == NULL);
}

static void expect_refused(const phi_tls_options *options, const char *says)
{
    phi_tls *tls = NULL;
    phi_diag diag = { "" };
    EXPECT_ERR(phi_tls_new(&tls, options, &diag), PH_EINVAL);
    EXPECT(tls == NULL);
    EXPECT(ERR_peek_error() == 0); // or the next connection would find it
    if (strstr(diag.text, says) == NULL) {
        fail_msg("'%s' is not in: %s", says, diag.text);
    }
    EXPECT(strstr(diag.text, "PRIVATE") == NULL);
}

// ---- good ones

// A center could not start, or a client not prove who it is.
TEST(tls, good_files_are_taken)
{
    static const phi_tls_side sides[] = { PHI_TLS_CENTER, PHI_TLS_CLIENT };
    static const fixture_key keys[] = { FIXTURE_KEY_P256, FIXTURE_KEY_ED25519,
                                        FIXTURE_KEY_RSA_2048 };
    for (size_t i = 0; i < PHI_COUNT_OF(sides); i++) {
        for (size_t k = 0; k < PHI_COUNT_OF(keys); k++) {
            files f;
            files_make(&f, sides[i]);
            fixture_issued_free(&f.own);
            f.own = fixture_issue(f.authority, &(fixture_recipe){ .names = "DNS:a,IP:::1",
                                                                  .usage = FIXTURE_CERTIFICATE,
                                                                  .key = keys[k] });
            f.options.certificate = phi_bytes_text(f.own->certificate_pem);
            f.options.key = phi_bytes_text(f.own->key_pem);
            expect_taken(&f.options);
            files_free(&f);
        }
    }
}

// Whoever has only a token has no certificate; who names no authorities believes the system's.
TEST(tls, client_needs_no_files)
{
    expect_taken(&(phi_tls_options){ .side = PHI_TLS_CLIENT });
}

// A warning that a certificate ends must be about the one that ends first.
TEST(tls, expiry_is_that_of_the_first_to_end)
{
    fixture_issued *root = fixture_authority();
    fixture_issued *middle =
        fixture_issue(root, &(fixture_recipe){ .is_authority = true, .ends_s = 1000 });
    fixture_issued *own = fixture_issue_for(middle, "DNS:localhost");
    char *chain = fixture_join(own->certificate_pem, middle->certificate_pem);
    phi_tls_options options = { .side = PHI_TLS_CENTER,
                                .certificate = phi_bytes_text(chain),
                                .key = phi_bytes_text(own->key_pem) };
    phi_tls *tls = NULL;
    EXPECT_ERR(phi_tls_new(&tls, &options, NULL), PH_OK);
    uint64_t now_s = (uint64_t)time(NULL);
    EXPECT(phi_tls_expires_s(tls) > now_s + 900);
    EXPECT(phi_tls_expires_s(tls) <= now_s + 1000);
    phi_tls_free(&tls);

    options = (phi_tls_options){ .side = PHI_TLS_CLIENT };
    EXPECT_ERR(phi_tls_new(&tls, &options, NULL), PH_OK);
    EXPECT_EQ(phi_tls_expires_s(tls), 0);
    phi_tls_free(&tls);
    free(chain);
    fixture_issued_free(&own);
    fixture_issued_free(&middle);
    fixture_issued_free(&root);
}

// From the end of a list on nobody of its authority is let in: the warning must be about the list
// that ends first, and there is none without a list.
TEST(tls, lists_end_with_the_first_to_end)
{
    files f;
    files_make(&f, PHI_TLS_CENTER);
    phi_tls *tls = NULL;
    EXPECT_ERR(phi_tls_new(&tls, &f.options, NULL), PH_OK);
    EXPECT_EQ(phi_tls_revoked_until_s(tls), 0);
    phi_tls_free(&tls);

    fixture_issued *other = fixture_authority();
    char *late = fixture_revoke(f.authority, NULL, 0, 9000);
    char *soon = fixture_revoke(other, NULL, 0, 1000);
    char *both[] = { fixture_join(late, soon), fixture_join(soon, late) };
    for (size_t i = 0; i < PHI_COUNT_OF(both); i++) {
        f.options.revoked = phi_bytes_text(both[i]);
        EXPECT_ERR(phi_tls_new(&tls, &f.options, NULL), PH_OK);
        uint64_t now_s = (uint64_t)time(NULL);
        EXPECT(phi_tls_revoked_until_s(tls) > now_s + 900);
        EXPECT(phi_tls_revoked_until_s(tls) <= now_s + 1000);
        phi_tls_free(&tls);
        free(both[i]);
    }
    free(soon);
    free(late);
    fixture_issued_free(&other);
    files_free(&f);
}

// While one authority replaces another, both are believed; one of them may be over by then.
TEST(tls, several_authorities_are_taken)
{
    files f;
    files_make(&f, PHI_TLS_CENTER);
    fixture_issued *old =
        fixture_issue(NULL, &(fixture_recipe){ .is_authority = true, .ends_s = -1000 });
    char *both = fixture_join(old->certificate_pem, f.authority->certificate_pem);
    f.options.authorities = phi_bytes_text(both);
    expect_taken(&f.options);
    free(both);
    fixture_issued_free(&old);
    files_free(&f);
}

// ---- bad ones

// Each of these would be found out by the first client that cannot connect, in the night.
TEST(tls, own_certificates_that_nobody_would_believe)
{
    static const struct {
        fixture_recipe recipe;
        phi_tls_side side;
        const char *says;
    } rows[] = {
        { { .names = "DNS:a", .ends_s = -10 }, PHI_TLS_CENTER, "certificate: it has expired on " },
        { { .names = "DNS:a", .begins_s = 9000 }, PHI_TLS_CENTER, "it is valid from " },
        { { .names = "DNS:a", .usage = "clientAuth" }, PHI_TLS_CENTER, "lacks serverAuth" },
        { { .names = "DNS:a", .usage = "serverAuth" }, PHI_TLS_CLIENT, "lacks clientAuth" },
        { { .names = NULL, .subject = "a" }, PHI_TLS_CENTER, "it names nobody" },
        { { .names = "DNS:a", .key = FIXTURE_KEY_RSA_1024 }, PHI_TLS_CENTER, "too weak" },
        { { .names = "DNS:a", .hash = "SHA1" }, PHI_TLS_CENTER, "hash that is broken" },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(rows); i++) {
        files f;
        files_make(&f, rows[i].side);
        fixture_issued_free(&f.own);
        f.own = fixture_issue(f.authority, &rows[i].recipe);
        f.options.certificate = phi_bytes_text(f.own->certificate_pem);
        f.options.key = phi_bytes_text(f.own->key_pem);
        expect_refused(&f.options, rows[i].says);
        files_free(&f);
    }
}

// Who mixes up files reads which, and what should be in it.
TEST(tls, files_that_do_not_fit)
{
    files f;
    files_make(&f, PHI_TLS_CENTER);
    const phi_tls_options good = f.options;
    fixture_issued *other = fixture_issue_for(f.authority, "DNS:localhost");
    static const phi_bytes none;
    phi_bytes noise =
        phi_bytes_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----");
    char *swapped = fixture_join(f.authority->certificate_pem, f.own->certificate_pem);
    char *unordered = fixture_join(f.own->certificate_pem, other->certificate_pem);
    char *cut = fixture_join(f.authority->certificate_pem, "-----BEGIN CERTIFICATE-----\nMII");
    struct {
        phi_bytes *which;
        phi_bytes with;
        const char *says;
    } rows[] = {
        { &f.options.certificate, none, "certificate: there is none for the key" },
        { &f.options.certificate, good.key, "certificate: there is no certificate in it" },
        { &f.options.certificate, noise, "certificate: number 1 in it cannot be read" },
        { &f.options.certificate, phi_bytes_text(swapped), "certificate: it is" },
        { &f.options.certificate, phi_bytes_text(unordered), "number 2 in it did not sign" },
        { &f.options.key, none, "key: there is none" },
        { &f.options.key, good.certificate, "key: there is no private key in it" },
        { &f.options.key, phi_bytes_text(other->key_pem), "key: it does not belong" },
        { &f.options.authorities, good.key, "authorities: there is no certificate" },
        { &f.options.authorities, good.certificate, "authorities: number 1 in it is no authority" },
        { &f.options.authorities, phi_bytes_text(cut), "authorities: number 2 in it cannot" },
        { &f.options.revoked, good.certificate, "revoked: there is no list" },
    };
    for (size_t i = 0; i < PHI_COUNT_OF(rows); i++) {
        *rows[i].which = rows[i].with;
        expect_refused(&f.options, rows[i].says);
        f.options = good;
    }
    f.options.certificate = none;
    f.options.key = none;
    expect_refused(&f.options, "certificate: there is none");
    f.options = good;
    f.options.authorities = none;
    f.options.peers = PHI_TLS_PEERS_REQUIRED;
    expect_refused(&f.options, "authorities: there are none");
    free(cut);
    free(unordered);
    free(swapped);
    fixture_issued_free(&other);
    files_free(&f);
}

// A center must not wait for a password that nobody types.
TEST(tls, key_that_is_encrypted_is_refused_at_once)
{
    files f;
    files_make(&f, PHI_TLS_CENTER);
    BIO *bio = BIO_new(BIO_s_mem());
    EXPECT_EQ(
        PEM_write_bio_PKCS8PrivateKey(bio, f.own->key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL),
        1);
    char *data = NULL;
    size_t size = (size_t)BIO_get_mem_data(bio, &data);
    f.options.key = phi_bytes_of((const uint8_t *)data, size);
    expect_refused(&f.options, "key: it is encrypted");
    BIO_free(bio);
    files_free(&f);
}

// An authority that is weak or over vouches for nobody; a list that is out of date hides the thief.
TEST(tls, authorities_and_lists_that_are_weak_or_over)
{
    files f;
    files_make(&f, PHI_TLS_CENTER);
    const phi_tls_options good = f.options;
    fixture_issued *weak =
        fixture_issue(NULL, &(fixture_recipe){ .is_authority = true, .key = FIXTURE_KEY_RSA_1024 });
    fixture_issued *over =
        fixture_issue(NULL, &(fixture_recipe){ .is_authority = true, .ends_s = -10 });
    char *list = fixture_revoke(f.authority, NULL, 0, -10);
    f.options.authorities = phi_bytes_text(weak->certificate_pem);
    expect_refused(&f.options, "authorities: the key of number 1 in it is too weak");
    f.options.authorities = phi_bytes_text(over->certificate_pem);
    expect_refused(&f.options, "authorities: all of them have expired");
    f.options = good;
    f.options.revoked = phi_bytes_text(list);
    expect_refused(&f.options, "revoked: number 1 in it is good until ");
    free(list);
    fixture_issued_free(&over);
    fixture_issued_free(&weak);
    files_free(&f);
}

// The other end would refuse it, each time.
TEST(tls, certificates_have_a_largest_size)
{
    static const size_t sizes[] = { PHI_TLS_CERTIFICATE_BYTES_MAX / 2,
                                    PHI_TLS_CERTIFICATE_BYTES_MAX + 2000 };
    static char names[PHI_TLS_CERTIFICATE_BYTES_MAX * 2];
    for (size_t k = 0; k < PHI_COUNT_OF(sizes); k++) {
        size_t size = 0; // "DNS:" takes four bytes, a tag and a size two
        for (unsigned i = 0; size < sizes[k] + sizes[k] / 4; i++) {
            size += (size_t)snprintf(names + size, sizeof names - size, "%sDNS:a%08u",
                                     i == 0 ? "" : ",", i);
        }
        files f;
        files_make(&f, PHI_TLS_CENTER);
        fixture_issued_free(&f.own);
        f.own = fixture_issue_for(f.authority, names);
        f.options.certificate = phi_bytes_text(f.own->certificate_pem);
        f.options.key = phi_bytes_text(f.own->key_pem);
        if (k == 0) {
            expect_taken(&f.options);
        } else {
            expect_refused(&f.options, "certificate: it and those behind it have more than");
        }
        files_free(&f);
    }
}

// A file that somebody points at a device, or a backup, must not take the machine's memory.
TEST(tls, files_have_a_largest_size)
{
    files f;
    files_make(&f, PHI_TLS_CENTER);
    uint8_t *large = (uint8_t *)calloc(1, PHI_TLS_PEM_BYTES_MAX + 1);
    assert_non_null(large);
    memset(large, '\n', PHI_TLS_PEM_BYTES_MAX + 1);
    f.options.key = phi_bytes_of(large, PHI_TLS_PEM_BYTES_MAX + 1);
    expect_refused(&f.options, "key: it has more than 1048576 bytes");
    f.options.key = phi_bytes_of(large, PHI_TLS_PEM_BYTES_MAX);
    expect_refused(&f.options, "key: there is no private key");
    free(large);
    files_free(&f);
}
