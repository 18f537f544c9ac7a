// SPDX-License-Identifier: Apache-2.0
//
// app/cert_store.c - see cert_store.h.
//
// Design notes
// - issued.txt remembers the serial number of all that was ever signed: revoking an account must
//   reach the certificate before the last renewal, too. It is written before the certificate is:
//   what it does not know could not be revoked.

#include "app/cert_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/bn.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "app/new_file.h"
#include "base/assert.h"

#define SECONDS_PER_DAY 86400
#define ISSUED_LINE_BYTES 160

static ph_err make_authority(cert_store *s, const char *crt, const char *key, phi_diag *diag);
static ph_err load_authority(cert_store *s, const char *crt, const char *key, phi_diag *diag);
static ph_err load_revoked(cert_store *s, phi_diag *diag);
static ph_err read_domain(cert_store *s, const char *path, phi_diag *diag);
static ph_err remember(const cert_store *s, const char *stem, const X509 *certificate,
                       phi_diag *diag);
static ph_err issued_serials(const cert_store *s, const char *name, STACK_OF(ASN1_INTEGER) * to,
                             phi_diag *diag);
static ph_err write_list(cert_store *s, const ASN1_INTEGER *const *serials, size_t count,
                         phi_diag *diag);

void cert_store_init(cert_store *s, const char *dir, uint32_t days, time_t now)
{
    *s = (cert_store){ .dir = dir, .days = days, .now = now };
}

void cert_store_fini(cert_store *s)
{
    X509_free(s->ca);
    EVP_PKEY_free(s->ca_key);
    X509_CRL_free(s->revoked);
}

ph_err cert_store_open(cert_store *s, bool may_make, phi_diag *diag)
{
    char crt[PATH_MAX];
    char key[PATH_MAX];
    ph_err rc = cert_store_path(s, CERT_STORE_AUTHORITY, ".crt", crt, diag);
    if (rc == PH_OK) {
        rc = cert_store_path(s, CERT_STORE_AUTHORITY, ".key", key, diag);
    }
    if (rc != PH_OK) {
        return rc;
    }
    if (cert_store_has(crt) != cert_store_has(key)) {
        return phi_diag_add(diag, PH_EINVAL,
                            "%s is there without %s: bring that back, or take another --dir",
                            cert_store_has(crt) ? crt : key, cert_store_has(crt) ? key : crt);
    }
    if (!cert_store_has(crt)) {
        return may_make ? make_authority(s, crt, key, diag)
                        : phi_diag_add(diag, PH_ENOTFOUND,
                                       "%s: there is no authority; posthouse cert dev makes one",
                                       s->dir);
    }
    rc = load_authority(s, crt, key, diag);
    return rc == PH_OK ? load_revoked(s, diag) : rc;
}

ph_err cert_store_settle_domain(cert_store *s, const char *asked, phi_diag *diag)
{
    PH_ASSERT(s->ca != NULL); // the domain is that of an authority
    char path[PATH_MAX];
    ph_err rc = cert_store_path(s, "domain", ".txt", path, diag);
    if (rc != PH_OK) {
        return rc;
    }
    if (cert_store_has(path)) {
        rc = read_domain(s, path, diag);
        if (rc == PH_OK && asked != NULL && strcmp(asked, s->domain) != 0) {
            rc = phi_diag_add(diag, PH_EINVAL,
                              "the accounts of %s are of the domain '%s', not '%.80s': leave "
                              "--domain out, or take another --dir",
                              s->dir, s->domain, asked);
        }
        return rc;
    }
    const char *name = asked != NULL ? asked : CERT_STORE_DOMAIN;
    if (!phi_name_is_valid(phi_bytes_text(name))) {
        return phi_diag_add(diag, PH_EINVAL, "'%.80s' is no name of a domain", name);
    }
    draft line;
    draft_init(&line);
    draft_format(&line, "%s\n", name);
    rc = new_file_write(path, 0600, draft_view(&line), diag);
    draft_fini(&line);
    if (rc == PH_OK) {
        snprintf(s->domain, sizeof s->domain, "%s", name);
    }
    return rc;
}

ph_err cert_store_sign(cert_store *s, const char *stem, const cert_names *names, EVP_PKEY *key,
                       X509 **out, phi_diag *diag)
{
    bool is_center = strcmp(stem, CERT_STORE_CENTER) == 0;
    cert_order order = { .kind = is_center ? CERT_OF_CENTER : CERT_OF_ACCOUNT,
                         .subject = stem,
                         .names = names,
                         .key = key,
                         .issuer = s->ca,
                         .issuer_key = s->ca_key,
                         .now = s->now,
                         .days = s->days };
    char crt[PATH_MAX];
    X509 *made = NULL;
    ph_err rc = cert_store_path(s, stem, ".crt", crt, diag);
    if (rc == PH_OK) {
        rc = cert_make(&made, &order, diag);
    }
    if (rc == PH_OK) {
        rc = remember(s, stem, made, diag);
    }
    if (rc == PH_OK) {
        rc = cert_write(crt, made, diag);
    }
    if (rc != PH_OK) {
        X509_free(made);
        return rc;
    }
    *out = made;
    return PH_OK;
}

// A list that has ended lets nobody in any more.
ph_err cert_store_renew_list(cert_store *s, phi_diag *diag)
{
    if (s->revoked == NULL) {
        return PH_OK;
    }
    time_t left = cert_time(X509_CRL_get0_nextUpdate(s->revoked)) - s->now;
    return left < CERT_SOON_DAYS * SECONDS_PER_DAY ? write_list(s, NULL, 0, diag) : PH_OK;
}

ph_err cert_store_revoke(cert_store *s, const char *name, size_t *count, phi_diag *diag)
{
    STACK_OF(ASN1_INTEGER) *serials = sk_ASN1_INTEGER_new_null();
    if (serials == NULL) {
        return phi_diag_add(diag, PH_ENOMEM, "revoke");
    }
    ph_err rc = issued_serials(s, name, serials, diag);
    size_t found = (size_t)sk_ASN1_INTEGER_num(serials);
    if (rc == PH_OK && found == 0) {
        rc = phi_diag_add(diag, PH_ENOTFOUND, "no certificate of '%.80s' was made in %s", name,
                          s->dir);
    }
    const ASN1_INTEGER **list = rc == PH_OK ? calloc(found, sizeof(ASN1_INTEGER *)) : NULL;
    for (size_t i = 0; list != NULL && i < found; i++) {
        list[i] = sk_ASN1_INTEGER_value(serials, (int)i);
    }
    if (rc == PH_OK) {
        rc = list == NULL ? phi_diag_add(diag, PH_ENOMEM, "revoke")
                          : write_list(s, list, found, diag);
    }
    if (rc == PH_OK) {
        *count = found;
    }
    free(list);
    sk_ASN1_INTEGER_pop_free(serials, ASN1_INTEGER_free);
    return rc;
}

bool cert_store_is_revoked(const cert_store *s, X509 *certificate)
{
    X509_REVOKED *entry = NULL;
    return s->revoked != NULL && X509_CRL_get0_by_cert(s->revoked, &entry, certificate) == 1;
}

ph_err cert_store_path(const cert_store *s, const char *stem, const char *tail, char out[PATH_MAX],
                       phi_diag *diag)
{
    int size = snprintf(out, PATH_MAX, "%s/%s%s", s->dir, stem, tail);
    if (size < 0 || size >= PATH_MAX) {
        return phi_diag_add(diag, PH_EINVAL, "the path of --dir is too long");
    }
    return PH_OK;
}

bool cert_store_has(const char *path)
{
    return access(path, F_OK) == 0;
}

// ---- the authority

static ph_err make_authority(cert_store *s, const char *crt, const char *key, phi_diag *diag)
{
    ph_err rc = cert_key_make(&s->ca_key, diag);
    if (rc != PH_OK) {
        return rc;
    }
    // Two authorities must not be taken for one another: so each has a name of its own.
    char subject[64];
    unsigned char mark[4];
    if (RAND_bytes(mark, sizeof mark) != 1) {
        return phi_diag_add(diag, PH_ESYSTEM, "no random bytes");
    }
    snprintf(subject, sizeof subject, "posthouse development %02x%02x%02x%02x", mark[0], mark[1],
             mark[2], mark[3]);
    cert_order order = { .kind = CERT_OF_AUTHORITY,
                         .subject = subject,
                         .key = s->ca_key,
                         .issuer_key = s->ca_key,
                         .now = s->now,
                         .days = CERT_AUTHORITY_DAYS };
    rc = cert_make(&s->ca, &order, diag);
    if (rc == PH_OK) {
        rc = cert_key_write(key, s->ca_key, diag);
    }
    return rc == PH_OK ? cert_write(crt, s->ca, diag) : rc;
}

static ph_err load_authority(cert_store *s, const char *crt, const char *key, phi_diag *diag)
{
    ph_err rc = cert_read(crt, &s->ca, diag);
    if (rc == PH_OK) {
        rc = cert_key_read(key, &s->ca_key, diag);
    }
    if (rc != PH_OK) {
        return rc;
    }
    if (X509_check_private_key(s->ca, s->ca_key) != 1) {
        return phi_diag_add(diag, PH_EINVAL, "%s is not the key of %s", key, crt);
    }
    if (X509_check_ca(s->ca) != 1) {
        return phi_diag_add(diag, PH_EINVAL, "%s may not sign certificates", crt);
    }
    if (cert_time(X509_get0_notAfter(s->ca)) <= s->now) {
        return phi_diag_add(diag, PH_EINVAL, "%s has expired: begin anew in another --dir", crt);
    }
    return PH_OK;
}

static ph_err load_revoked(cert_store *s, phi_diag *diag)
{
    char path[PATH_MAX];
    ph_err rc = cert_store_path(s, "crl", ".pem", path, diag);
    if (rc != PH_OK || !cert_store_has(path)) {
        return rc;
    }
    rc = cert_revocation_read(path, &s->revoked, diag);
    if (rc == PH_OK && X509_CRL_verify(s->revoked, s->ca_key) != 1) {
        rc = phi_diag_add(diag, PH_EINVAL, "%s was not signed by %s/%s.crt", path, s->dir,
                          CERT_STORE_AUTHORITY);
    }
    return rc;
}

static ph_err read_domain(cert_store *s, const char *path, phi_diag *diag)
{
    draft file;
    draft_init(&file);
    ph_err rc = cert_file_read(path, &file, diag);
    phi_bytes name = { 0 };
    if (rc == PH_OK) {
        name = draft_view(&file);
        name.size -= name.size != 0 && name.data[name.size - 1] == '\n' ? 1 : 0;
    }
    if (rc == PH_OK && !phi_name_is_valid(name)) {
        rc = phi_diag_add(diag, PH_EINVAL, "%s: it must hold the name of a domain", path);
    }
    if (rc == PH_OK) {
        PH_ASSERT(name.size < sizeof s->domain);
        snprintf(s->domain, sizeof s->domain, "%.*s", (int)name.size, (const char *)name.data);
    }
    draft_fini(&file);
    return rc;
}

// ---- what it has signed, and revoked

// A line of issued.txt: serial number, name.
static ph_err remember(const cert_store *s, const char *stem, const X509 *certificate,
                       phi_diag *diag)
{
    char path[PATH_MAX];
    ph_err rc = cert_store_path(s, "issued", ".txt", path, diag);
    if (rc != PH_OK) {
        return rc;
    }
    draft line;
    draft_init(&line);
    cert_serial_show(X509_get0_serialNumber(certificate), &line);
    draft_format(&line, " %s\n", stem);
    phi_bytes bytes = draft_view(&line);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, bytes.data, bytes.size) != (ssize_t)bytes.size) {
        rc = phi_diag_add(diag, PH_ESYSTEM, "%s: %s", path, strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
    draft_fini(&line);
    return rc;
}

// All that issued.txt names for it.
static ph_err issued_serials(const cert_store *s, const char *name, STACK_OF(ASN1_INTEGER) * to,
                             phi_diag *diag)
{
    char path[PATH_MAX];
    draft file;
    draft_init(&file);
    ph_err rc = cert_store_path(s, "issued", ".txt", path, diag);
    if (rc == PH_OK && cert_store_has(path)) {
        rc = cert_file_read(path, &file, diag);
    }
    const char *at = rc == PH_OK ? draft_chars(&file) : "";
    while (rc == PH_OK && *at != '\0') {
        size_t size = strcspn(at, "\n");
        char line[ISSUED_LINE_BYTES];
        char *mark;
        BIGNUM *number = NULL;
        snprintf(line, sizeof line, "%.*s", (int)size, at);
        at += size + (at[size] == '\n' ? 1 : 0);
        mark = strchr(line, ' ');
        if (mark == NULL || strcmp(mark + 1, name) != 0) {
            continue;
        }
        *mark = '\0';
        ASN1_INTEGER *serial = NULL;
        if (BN_hex2bn(&number, line) == 0 || (serial = BN_to_ASN1_INTEGER(number, NULL)) == NULL ||
            sk_ASN1_INTEGER_push(to, serial) == 0) {
            ASN1_INTEGER_free(serial);
            rc = phi_diag_add(diag, PH_EINVAL, "%s: '%s' is no serial number", path, line);
        }
        BN_free(number);
    }
    draft_fini(&file);
    return rc;
}

static ph_err write_list(cert_store *s, const ASN1_INTEGER *const *serials, size_t count,
                         phi_diag *diag)
{
    char path[PATH_MAX];
    X509_CRL *made = NULL;
    ph_err rc = cert_store_path(s, "crl", ".pem", path, diag);
    if (rc == PH_OK) {
        cert_revocation_order order = { .old = s->revoked,
                                        .issuer = s->ca,
                                        .issuer_key = s->ca_key,
                                        .serials = serials,
                                        .serial_count = count,
                                        .now = s->now,
                                        .days = s->days };
        rc = cert_revocation_make(&made, &order, diag);
    }
    if (rc == PH_OK) {
        rc = cert_revocation_write(path, made, diag);
    }
    if (rc != PH_OK) {
        X509_CRL_free(made);
        return rc;
    }
    X509_CRL_free(s->revoked);
    s->revoked = made;
    return PH_OK;
}
