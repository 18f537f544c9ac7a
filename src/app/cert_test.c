// SPDX-License-Identifier: Apache-2.0
//
// app/cert_test.c - certificates as they are made, judged by libcrypto as the other end would.

#include "app/cert.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/x509v3.h>

#include "tests/harness/test.h"

#define NOW ((time_t)1790000000)
#define DAY 86400

typedef struct maker {
    EVP_PKEY *ca_key;
    X509 *ca;
    EVP_PKEY *key;
} maker;

static void maker_init(maker *m)
{
    memset(m, 0, sizeof *m);
    EXPECT_EQ(cert_key_make(&m->ca_key, NULL), PH_OK);
    EXPECT_EQ(cert_key_make(&m->key, NULL), PH_OK);
    cert_order order = { .kind = CERT_OF_AUTHORITY,
                         .subject = "test",
                         .key = m->ca_key,
                         .issuer_key = m->ca_key,
                         .now = NOW,
                         .days = 30 };
    EXPECT_EQ(cert_make(&m->ca, &order, NULL), PH_OK);
}

static void maker_fini(maker *m)
{
    EVP_PKEY_free(m->ca_key);
    EVP_PKEY_free(m->key);
    X509_free(m->ca);
}

static X509 *made(const maker *m, cert_kind kind, const cert_names *names, uint32_t days)
{
    cert_order order = { .kind = kind,
                         .subject = "someone",
                         .names = names,
                         .key = m->key,
                         .issuer = m->ca,
                         .issuer_key = m->ca_key,
                         .now = NOW,
                         .days = days };
    X509 *c = NULL;
    EXPECT_EQ(cert_make(&c, &order, NULL), PH_OK);
    return c;
}

// What libcrypto says of it, at that time, as strictly as it can.
static int judged(const maker *m, X509 *c, X509_CRL *list, int purpose, time_t now)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    X509_STORE_add_cert(store, m->ca);
    if (list != NULL) {
        X509_STORE_add_crl(store, list);
    }
    X509_STORE_CTX_init(context, store, c, NULL);
    X509_STORE_CTX_set_purpose(context, purpose);
    X509_VERIFY_PARAM *how = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_time(how, now);
    X509_VERIFY_PARAM_set_flags(how, X509_V_FLAG_X509_STRICT |
                                         (list != NULL ? X509_V_FLAG_CRL_CHECK : 0));
    X509_verify_cert(context);
    int error = X509_STORE_CTX_get_error(context);
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    return error;
}

static ph_err revoked(const maker *m, const X509_CRL *old, const ASN1_INTEGER *const *serials,
                      size_t count, X509_CRL **out)
{
    cert_revocation_order order = { .old = old,
                                    .issuer = m->ca,
                                    .issuer_key = m->ca_key,
                                    .serials = serials,
                                    .serial_count = count,
                                    .now = NOW,
                                    .days = 5 };
    return cert_revocation_make(out, &order, NULL);
}

static void add_host(cert_names *names, const char *host)
{
    EXPECT_EQ(cert_names_add_host(names, phi_bytes_text(host), NULL), PH_OK);
}

// A development center that its clients do not believe would teach people to turn the check off.
TEST(cert, what_a_center_is_given_is_believed_for_its_hosts_alone)
{
    maker m;
    maker_init(&m);
    cert_names names = { 0 };
    add_host(&names, "localhost");
    add_host(&names, "::1");
    add_host(&names, "10.0.0.7");
    X509 *c = made(&m, CERT_OF_CENTER, &names, 10);
    EXPECT_EQ(judged(&m, c, NULL, X509_PURPOSE_SSL_SERVER, NOW), X509_V_OK);
    EXPECT_EQ(judged(&m, c, NULL, X509_PURPOSE_SSL_CLIENT, NOW), X509_V_ERR_INVALID_PURPOSE);
    EXPECT_EQ(X509_check_host(c, "localhost", 0, 0, NULL), 1);
    EXPECT_EQ(X509_check_ip_asc(c, "::1", 0), 1);
    EXPECT_EQ(X509_check_ip_asc(c, "10.0.0.7", 0), 1);
    EXPECT_EQ(X509_check_ip_asc(c, "10.0.0.8", 0), 0);
    cert_names read;
    cert_names_of(c, &read);
    EXPECT(cert_names_cover(&read, &names) && cert_names_cover(&names, &read));
    X509_free(c);
    maker_fini(&m);
}

// An account's certificate must not be good for playing the center.
TEST(cert, what_an_account_is_given_is_good_for_clients_alone)
{
    maker m;
    maker_init(&m);
    cert_names names = { 0 };
    EXPECT_EQ(
        cert_names_add_account(&names, phi_bytes_text("shop"), phi_bytes_text("orders"), NULL),
        PH_OK);
    X509 *c = made(&m, CERT_OF_ACCOUNT, &names, 10);
    EXPECT_EQ(judged(&m, c, NULL, X509_PURPOSE_SSL_CLIENT, NOW), X509_V_OK);
    EXPECT_EQ(judged(&m, c, NULL, X509_PURPOSE_SSL_SERVER, NOW), X509_V_ERR_INVALID_PURPOSE);
    cert_names read;
    cert_names_of(c, &read);
    EXPECT_EQ(read.count, 1);
    EXPECT(phi_bytes_equal(phi_bytes_of(read.items[0].text, read.items[0].size),
                           phi_bytes_text("posthouse://shop/orders")));
    X509_free(c);
    maker_fini(&m);
}

// One that outlived its authority would look good for longer than it is.
TEST(cert, nothing_outlives_its_authority)
{
    maker m;
    maker_init(&m);
    X509 *c = made(&m, CERT_OF_ACCOUNT, NULL, 800);
    EXPECT_EQ(cert_time(X509_get0_notAfter(c)), NOW + 30 * DAY);
    EXPECT(cert_time(X509_get0_notBefore(c)) >= cert_time(X509_get0_notBefore(m.ca)));
    X509_free(c);
    maker_fini(&m);
}

// A list must keep whom it named before, and end.
TEST(cert, a_list_of_revoked_ones_grows_and_is_believed_while_it_lasts)
{
    maker m;
    maker_init(&m);
    X509 *first = made(&m, CERT_OF_ACCOUNT, NULL, 20);
    X509 *second = made(&m, CERT_OF_ACCOUNT, NULL, 20);
    X509 *third = made(&m, CERT_OF_ACCOUNT, NULL, 20);
    X509_CRL *list = NULL;
    X509_CRL *longer = NULL;
    const ASN1_INTEGER *serial = X509_get0_serialNumber(first);
    EXPECT_EQ(revoked(&m, NULL, &serial, 1, &list), PH_OK);
    serial = X509_get0_serialNumber(second);
    const ASN1_INTEGER *twice[] = { serial, serial };
    EXPECT_EQ(revoked(&m, list, twice, 2, &longer), PH_OK);
    int client = X509_PURPOSE_SSL_CLIENT;
    EXPECT_EQ(judged(&m, first, longer, client, NOW), X509_V_ERR_CERT_REVOKED);
    EXPECT_EQ(judged(&m, second, longer, client, NOW), X509_V_ERR_CERT_REVOKED);
    EXPECT_EQ(judged(&m, second, list, client, NOW), X509_V_OK);
    EXPECT_EQ(judged(&m, third, longer, client, NOW), X509_V_OK);
    EXPECT_EQ(judged(&m, third, longer, client, NOW + 6 * DAY), X509_V_ERR_CRL_HAS_EXPIRED);
    EXPECT_EQ(sk_X509_REVOKED_num(X509_CRL_get_REVOKED(longer)), 2);
    X509_CRL_free(list);
    X509_CRL_free(longer);
    X509_free(first);
    X509_free(second);
    X509_free(third);
    maker_fini(&m);
}

// What is not checked when a certificate is made is found out when it does not work.
TEST(cert, names_that_nobody_would_believe_are_refused)
{
    static const char *const hosts[] = { "",    "*",     "*.lan",     "Localhost",    "a..b",
                                         ".a",  "a.",    "-a",        "a-",           "a b",
                                         "a_b", "1.2.3", "1.2.3.400", "fe80::1%eth0", "a,DNS:b",
                                         "a.1" };
    cert_names names = { 0 };
    for (size_t i = 0; i < PHI_COUNT_OF(hosts); i++) {
        phi_diag diag = { { 0 } };
        EXPECT_ERR(cert_names_add_host(&names, phi_bytes_text(hosts[i]), &diag), PH_EINVAL);
        EXPECT(diag.text[0] != '\0');
    }
    static const char *const accounts[] = { "", "Orders", "a/b", "orders-7f3a", "-x", "a b" };
    for (size_t i = 0; i < PHI_COUNT_OF(accounts); i++) {
        EXPECT_ERR(cert_names_add_account(&names, phi_bytes_text("local"),
                                          phi_bytes_text(accounts[i]), NULL),
                   PH_EINVAL);
    }
    EXPECT_ERR(cert_names_add_account(&names, phi_bytes_text("a/b"), phi_bytes_text("c"), NULL),
               PH_EINVAL);
    EXPECT_EQ(names.count, 0);
    add_host(&names, "0:0:0:0:0:0:0:1");
    add_host(&names, "::1"); // the same
    EXPECT_EQ(names.count, 1);
}

// A key that others can read, or that is lost to a second run, is no key.
TEST(cert, a_key_is_for_its_owner_and_is_never_written_over)
{
    char dir[] = "/tmp/posthouse_cert_test.XXXXXX";
    EXPECT(mkdtemp(dir) != NULL);
    char path[64];
    snprintf(path, sizeof path, "%s/a.key", dir);
    maker m;
    maker_init(&m);
    EXPECT_EQ(cert_key_write(path, m.key, NULL), PH_OK);
    struct stat about;
    EXPECT_EQ(stat(path, &about), 0);
    EXPECT_EQ(about.st_mode & 0777, 0600);
    phi_diag diag = { { 0 } };
    EXPECT_ERR(cert_key_write(path, m.ca_key, &diag), PH_EINVAL);
    EVP_PKEY *read = NULL;
    EXPECT_EQ(cert_key_read(path, &read, NULL), PH_OK);
    EXPECT_EQ(EVP_PKEY_eq(read, m.key), 1);
    X509 *none = NULL;
    EXPECT_ERR(cert_read(path, &none, &diag), PH_EINVAL);
    EVP_PKEY_free(read);
    unlink(path);
    EXPECT_ERR(cert_key_read(path, &read, &diag), PH_ENOTFOUND);
    rmdir(dir);
    maker_fini(&m);
}
