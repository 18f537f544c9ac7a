// SPDX-License-Identifier: Apache-2.0
//
// tests/io/tls_fixture.c - see tls_fixture.h.

#include "tests/io/tls_fixture.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/tls_private.h"
#include "tests/harness/test.h"

#define DAY_S INT64_C(86400)

// One of RSA takes a second to be found: there is one of each size, and who wants one shares it.
static EVP_PKEY *rsa_make(unsigned bits)
{
    static EVP_PKEY *made[2];
    EVP_PKEY **key = &made[bits == 2048];
    if (*key == NULL) {
        *key = EVP_RSA_gen(bits);
    }
    EXPECT_EQ(EVP_PKEY_up_ref(*key), 1);
    return *key;
}

static EVP_PKEY *key_make(fixture_key kind)
{
    switch (kind) {
    case FIXTURE_KEY_P256:
        return EVP_EC_gen("prime256v1");
    case FIXTURE_KEY_ED25519:
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    case FIXTURE_KEY_RSA_2048:
        return rsa_make(2048);
    case FIXTURE_KEY_RSA_1024:
        return rsa_make(1024);
    }
    return NULL;
}

static void extend(X509 *certificate, X509V3_CTX *ctx, const char *name, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf(NULL, ctx, name, value);
    if (extension == NULL) {
        fail_msg("extension %s: %s", name, value);
    }
    EXPECT_EQ(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static void extend_all(X509 *certificate, X509V3_CTX *ctx, const fixture_recipe *r)
{
    char constraints[64] = "critical,CA:FALSE";
    if (r->is_authority && r->path_length != 0) {
        snprintf(constraints, sizeof constraints, "critical,CA:TRUE,pathlen:%d",
                 r->path_length - 1);
    } else if (r->is_authority) {
        snprintf(constraints, sizeof constraints, "critical,CA:TRUE");
    }
    extend(certificate, ctx, "basicConstraints", constraints);
    extend(certificate, ctx, "keyUsage",
           r->is_authority ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature");
    if (!r->lacks_identifiers) {
        extend(certificate, ctx, "subjectKeyIdentifier", "hash");
        extend(certificate, ctx, "authorityKeyIdentifier", "keyid");
    }
    if (r->usage != NULL) {
        extend(certificate, ctx, "extendedKeyUsage", r->usage);
    }
    if (r->names != NULL) {
        extend(certificate, ctx, "subjectAltName", r->names);
    }
    if (r->extra_name != NULL) {
        extend(certificate, ctx, r->extra_name, r->extra_value);
    }
}

static const EVP_MD *hash_of(const fixture_recipe *r, const EVP_PKEY *signer)
{
    if (EVP_PKEY_is_a(signer, "ED25519")) {
        return NULL;
    }
    return EVP_get_digestbyname(r->hash != NULL ? r->hash : "SHA256");
}

static char *text_of(BIO *bio)
{
    char *data = NULL;
    long size = BIO_get_mem_data(bio, &data);
    char *text = (char *)malloc((size_t)size + 1);
    assert_non_null(text);
    memcpy(text, data, (size_t)size);
    text[size] = '\0';
    BIO_free(bio);
    return text;
}

static void set_name(X509_NAME *name, const char *text)
{
    EXPECT_EQ(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)text, -1,
                                         -1, 0),
              1);
}

fixture_issued *fixture_issue(const fixture_issued *issuer, const fixture_recipe *r)
{
    static long serial = 1000;
    fixture_issued *issued = (fixture_issued *)calloc(1, sizeof *issued);
    assert_non_null(issued);
    issued->key = key_make(r->key);
    assert_non_null(issued->key);
    X509 *c = X509_new();
    assert_non_null(c);
    issued->certificate = c;
    EXPECT_EQ(X509_set_version(c, X509_VERSION_3), 1);
    EXPECT_EQ(ASN1_INTEGER_set(X509_get_serialNumber(c), ++serial), 1);
    X509_gmtime_adj(X509_getm_notBefore(c), r->begins_s != 0 ? r->begins_s : -DAY_S);
    X509_gmtime_adj(X509_getm_notAfter(c), r->ends_s != 0 ? r->ends_s : 365 * DAY_S);
    EXPECT_EQ(X509_set_pubkey(c, issued->key), 1);
    set_name(X509_get_subject_name(c), r->subject != NULL ? r->subject : "posthouse test");
    if (r->is_authority) { // so that no two are taken for one another
        char text[32];
        snprintf(text, sizeof text, "authority %ld", serial);
        set_name(X509_get_subject_name(c), text);
    }
    const fixture_issued *by = issuer != NULL ? issuer : issued;
    EXPECT_EQ(X509_set_issuer_name(c, X509_get_subject_name(by->certificate)), 1);
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, by->certificate, c, NULL, NULL, 0);
    extend_all(c, &ctx, r);
    EXPECT(X509_sign(c, by->key, hash_of(r, by->key)) > 0);

    BIO *bio = BIO_new(BIO_s_mem());
    EXPECT_EQ(PEM_write_bio_X509(bio, c), 1);
    issued->certificate_pem = text_of(bio);
    bio = BIO_new(BIO_s_mem());
    EXPECT_EQ(PEM_write_bio_PrivateKey(bio, issued->key, NULL, NULL, 0, NULL, NULL), 1);
    issued->key_pem = text_of(bio);
    return issued;
}

void fixture_issued_free(fixture_issued **issued)
{
    if (*issued == NULL) {
        return;
    }
    X509_free((*issued)->certificate);
    EVP_PKEY_free((*issued)->key);
    free((*issued)->certificate_pem);
    free((*issued)->key_pem);
    free(*issued);
    *issued = NULL;
}

fixture_issued *fixture_authority(void)
{
    return fixture_issue(NULL, &(fixture_recipe){ .is_authority = true });
}

fixture_issued *fixture_issue_for(const fixture_issued *issuer, const char *names)
{
    return fixture_issue(issuer, &(fixture_recipe){ .names = names, .usage = FIXTURE_CERTIFICATE });
}

char *fixture_revoke(const fixture_issued *authority, const fixture_issued *const *revoked,
                     size_t count, int64_t ends_s)
{
    X509_CRL *crl = X509_CRL_new();
    assert_non_null(crl);
    ASN1_TIME *time = X509_gmtime_adj(NULL, -2 * DAY_S);
    EXPECT_EQ(X509_CRL_set_version(crl, X509_CRL_VERSION_2), 1);
    EXPECT_EQ(X509_CRL_set_issuer_name(crl, X509_get_subject_name(authority->certificate)), 1);
    EXPECT_EQ(X509_CRL_set1_lastUpdate(crl, time), 1);
    for (size_t i = 0; i < count; i++) {
        X509_REVOKED *entry = X509_REVOKED_new();
        EXPECT_EQ(
            X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(revoked[i]->certificate)),
            1);
        EXPECT_EQ(X509_REVOKED_set_revocationDate(entry, time), 1);
        EXPECT_EQ(X509_CRL_add0_revoked(crl, entry), 1);
    }
    time = X509_gmtime_adj(time, ends_s != 0 ? ends_s : DAY_S);
    EXPECT_EQ(X509_CRL_set1_nextUpdate(crl, time), 1);
    ASN1_TIME_free(time);
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, authority->certificate, NULL, NULL, crl, 0);
    X509_EXTENSION *id = X509V3_EXT_conf(NULL, &ctx, "authorityKeyIdentifier", "keyid");
    EXPECT_EQ(X509_CRL_add_ext(crl, id, -1), 1);
    X509_EXTENSION_free(id);
    EXPECT_EQ(X509_CRL_sort(crl), 1);
    EXPECT(X509_CRL_sign(crl, authority->key, EVP_sha256()) > 0);
    BIO *bio = BIO_new(BIO_s_mem());
    EXPECT_EQ(PEM_write_bio_X509_CRL(bio, crl), 1);
    X509_CRL_free(crl);
    return text_of(bio);
}

char *fixture_join(const char *first, const char *second)
{
    size_t size = strlen(first) + strlen(second) + 1;
    char *both = (char *)malloc(size);
    assert_non_null(both);
    snprintf(both, size, "%s%s", first, second);
    return both;
}

phi_tls *fixture_credentials(phi_tls_side side, const fixture_issued *own,
                             const fixture_issued *authority, const char *revoked,
                             phi_tls_peers peers)
{
    phi_tls_options options = { .side = side, .peers = peers };
    if (own != NULL) {
        options.certificate = phi_bytes_text(own->certificate_pem);
        options.key = phi_bytes_text(own->key_pem);
    }
    if (authority != NULL) {
        options.authorities = phi_bytes_text(authority->certificate_pem);
    }
    if (revoked != NULL) {
        options.revoked = phi_bytes_text(revoked);
    }
    phi_tls *tls = NULL;
    phi_diag diag = { "" };
    if (phi_tls_new(&tls, &options, &diag) != PH_OK) {
        fail_msg("%s", diag.text);
    }
    return tls;
}

fixture_issued *fixture_forge(const fixture_issued *authority)
{
    fixture_issued *forged = fixture_authority();
    EXPECT_EQ(
        X509_set_subject_name(forged->certificate, X509_get_subject_name(authority->certificate)),
        1);
    return forged;
}

void fixture_issued_chain(fixture_issued *issued, const fixture_issued *above)
{
    char *both = fixture_join(issued->certificate_pem, above->certificate_pem);
    free(issued->certificate_pem);
    issued->certificate_pem = both;
}

phi_tls *fixture_credentials_unjudged(const fixture_issued *own, const fixture_issued *authority)
{
    phi_tls *tls = fixture_credentials(PHI_TLS_CLIENT, NULL, authority, NULL, PHI_TLS_PEERS_ASKED);
    SSL_CTX_set_security_level(tls->ctx, 0);
    EXPECT_EQ(SSL_CTX_use_certificate(tls->ctx, own->certificate), 1);
    EXPECT_EQ(SSL_CTX_use_PrivateKey(tls->ctx, own->key), 1);
    BIO *bio = BIO_new_mem_buf(own->certificate_pem, -1);
    X509 *above = PEM_read_bio_X509(bio, NULL, NULL, NULL); // its own
    X509_free(above);
    while ((above = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        EXPECT_EQ(SSL_CTX_add0_chain_cert(tls->ctx, above), 1);
    }
    BIO_free(bio);
    ERR_clear_error();
    return tls;
}
