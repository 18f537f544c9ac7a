// SPDX-License-Identifier: Apache-2.0
//
// app/cert.c - making certificates, and saying what one says. Files are cert_file.c's.
//
// Design notes
// - The SAN is made from structures, not from libcrypto's configuration language: there a comma in
//   a name would be another name.
// - A serial number is 128 random bits: it tells nothing, and needs no counter that a copied
//   directory would repeat.

#include "app/cert.h"

#include <arpa/inet.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "auth/principal.h"
#include "base/assert.h"
#include "wire/name.h"

#define SERIAL_BYTES 16
#define SECONDS_PER_DAY 86400
#define CLOCK_SKEW_S 300 // a certificate is good from a little before it was made
#define DNS_BYTES_MAX 253u

static ph_err names_add(cert_names *names, cert_name_kind kind, phi_bytes text, phi_diag *diag);
static bool is_dns_name(phi_bytes name);
static ph_err crypto_failed(phi_diag *diag, const char *what);
static bool fill(X509 *c, const cert_order *order);
static bool set_serial(ASN1_INTEGER *serial);
static bool set_subject(X509 *c, const char *subject);
static bool set_times(X509 *c, const cert_order *order);
static bool set_extensions(X509 *c, const cert_order *order);
static bool add_extension(X509 *c, const cert_order *order, int nid, const char *value);
static bool add_names(X509 *c, const cert_names *names);
static GENERAL_NAME *general_name_of(const cert_name *name);
static void name_of(const GENERAL_NAME *general, cert_name *out);
static bool copy_revoked(X509_CRL *list, const X509_CRL *old);
static bool add_revoked(X509_CRL *list, const ASN1_INTEGER *serial, time_t now);
static bool finish_revocation(X509_CRL *list, const X509_CRL *old, X509 *issuer);

ph_err cert_names_add_host(cert_names *names, phi_bytes host, phi_diag *diag)
{
    char text[CERT_NAME_BYTES_MAX + 1];
    unsigned char address[16];
    if (host.size != 0 && host.size < sizeof text) {
        memcpy(text, host.data, host.size);
        text[host.size] = '\0';
        char plain[INET6_ADDRSTRLEN]; // as the certificate will be read again
        int family = memchr(text, ':', host.size) != NULL ? AF_INET6 : AF_INET;
        if (strlen(text) == host.size && inet_pton(family, text, address) == 1) {
            inet_ntop(family, address, plain, sizeof plain);
            return names_add(names, CERT_NAME_IP, phi_bytes_text(plain), diag);
        }
    }
    if (memchr(host.data, '*', host.size) != NULL) {
        return phi_diag_add(diag, PH_EINVAL,
                            "'%.*s': no client of posthouse believes a wildcard; name each host",
                            (int)host.size, (const char *)host.data);
    }
    if (!is_dns_name(host)) {
        return phi_diag_add(diag, PH_EINVAL,
                            "'%.*s' is neither a host (a-z 0-9 - and dots) nor an IP address",
                            (int)host.size, (const char *)host.data);
    }
    return names_add(names, CERT_NAME_DNS, host, diag);
}

ph_err cert_names_add_account(cert_names *names, phi_bytes domain, phi_bytes account,
                              phi_diag *diag)
{
    if (!phi_name_is_valid(domain)) {
        return phi_diag_add(diag, PH_EINVAL,
                            "'%.*s' is no domain: 1 to %u of a-z 0-9 . _ -, the first a letter or "
                            "digit",
                            (int)domain.size, (const char *)domain.data, PHI_NAME_BYTES_MAX);
    }
    if (!phi_name_is_valid(account)) {
        return phi_diag_add(diag, PH_EINVAL,
                            "'%.*s' is no account: 1 to %u of a-z 0-9 . _ -, the first a letter "
                            "or digit",
                            (int)account.size, (const char *)account.data, PHI_NAME_BYTES_MAX);
    }
    if (account.size > PHI_PRINCIPAL_BYTES_MAX) {
        return phi_diag_add(diag, PH_EINVAL,
                            "'%.*s' has more than %u bytes: centers add up to %u for the accounts "
                            "that they make up",
                            (int)account.size, (const char *)account.data, PHI_PRINCIPAL_BYTES_MAX,
                            PHI_MADE_UP_BYTES_MAX);
    }
    if (!phi_principal_is_valid(account)) {
        return phi_diag_add(diag, PH_EINVAL,
                            "'%.*s' has the form of names that centers make up (NAME-7f3a): "
                            "choose another",
                            (int)account.size, (const char *)account.data);
    }
    char uri[CERT_NAME_BYTES_MAX + 1];
    int size = snprintf(uri, sizeof uri, "posthouse://%.*s/%.*s", (int)domain.size,
                        (const char *)domain.data, (int)account.size, (const char *)account.data);
    PH_ASSERT(size > 0 && (size_t)size < sizeof uri); // two names and a few bytes
    return names_add(names, CERT_NAME_URI, phi_bytes_text(uri), diag);
}

bool cert_names_have(const cert_names *names, const cert_name *name)
{
    for (size_t i = 0; i < names->count; i++) {
        const cert_name *other = &names->items[i];
        if (other->kind == name->kind && phi_bytes_equal(phi_bytes_of(other->text, other->size),
                                                         phi_bytes_of(name->text, name->size))) {
            return true;
        }
    }
    return false;
}

bool cert_names_cover(const cert_names *names, const cert_names *others)
{
    for (size_t i = 0; i < others->count; i++) {
        if (!cert_names_have(names, &others->items[i])) {
            return false;
        }
    }
    return true;
}

void cert_names_show(const cert_names *names, draft *to)
{
    for (size_t i = 0; i < names->count; i++) {
        const cert_name *name = &names->items[i];
        draft_format(to, "%s%s%s", i == 0 ? "" : ", ", cert_name_kind_text(name->kind),
                     name->size == 0 ? "" : " ");
        draft_printable(to, phi_bytes_of(name->text, name->size));
    }
    if (names->more != 0) {
        draft_format(to, " and %zu more", names->more);
    }
}

const char *cert_name_kind_text(cert_name_kind kind)
{
    switch (kind) {
    case CERT_NAME_DNS:
        return "DNS";
    case CERT_NAME_IP:
        return "IP";
    case CERT_NAME_URI:
        return "URI";
    case CERT_NAME_OTHER:
        return "other";
    }
    PH_UNREACHABLE("kind of name");
}

ph_err cert_key_make(EVP_PKEY **out, phi_diag *diag)
{
    EVP_PKEY *key = EVP_EC_gen("prime256v1");
    if (key == NULL) {
        return crypto_failed(diag, "no key was made");
    }
    *out = key;
    return PH_OK;
}

ph_err cert_make(X509 **out, const cert_order *order, phi_diag *diag)
{
    PH_ASSERT(order->key != NULL && order->issuer_key != NULL && order->days != 0);
    X509 *c = X509_new();
    if (c == NULL || !fill(c, order) || X509_sign(c, order->issuer_key, EVP_sha256()) == 0) {
        X509_free(c);
        return crypto_failed(diag, "no certificate was made");
    }
    *out = c;
    return PH_OK;
}

ph_err cert_revocation_make(X509_CRL **out, const cert_revocation_order *order, phi_diag *diag)
{
    X509 *issuer = order->issuer;
    X509_CRL *list = X509_CRL_new();
    ASN1_TIME *from = ASN1_TIME_adj(NULL, order->now, 0, -CLOCK_SKEW_S);
    ASN1_TIME *until = ASN1_TIME_adj(NULL, order->now, (int)order->days, 0);
    bool is_made = list != NULL && from != NULL && until != NULL &&
                   X509_CRL_set_version(list, X509_CRL_VERSION_2) == 1 &&
                   X509_CRL_set_issuer_name(list, X509_get_subject_name(issuer)) == 1 &&
                   X509_CRL_set1_lastUpdate(list, from) == 1 &&
                   X509_CRL_set1_nextUpdate(list, until) == 1 && copy_revoked(list, order->old);
    for (size_t i = 0; is_made && i < order->serial_count; i++) {
        is_made = add_revoked(list, order->serials[i], order->now);
    }
    is_made = is_made && finish_revocation(list, order->old, issuer) &&
              X509_CRL_sign(list, order->issuer_key, EVP_sha256()) != 0;
    ASN1_TIME_free(from);
    ASN1_TIME_free(until);
    if (!is_made) {
        X509_CRL_free(list);
        return crypto_failed(diag, "no list of revoked certificates was made");
    }
    *out = list;
    return PH_OK;
}

void cert_names_of(const X509 *certificate, cert_names *out)
{
    memset(out, 0, sizeof *out);
    GENERAL_NAMES *all = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
        if (out->count == CERT_NAMES_MAX) {
            out->more++;
        } else {
            name_of(sk_GENERAL_NAME_value(all, i), &out->items[out->count++]);
        }
    }
    GENERAL_NAMES_free(all);
}

time_t cert_time(const ASN1_TIME *t)
{
    struct tm fields;
    if (t == NULL || ASN1_TIME_to_tm(t, &fields) != 1) {
        return 0;
    }
    return timegm(&fields);
}

void cert_key_show(const EVP_PKEY *key, draft *to)
{
    char group[64];
    size_t size = 0;
    if (key == NULL) {
        draft_add(to, "of an unknown kind");
    } else if (EVP_PKEY_is_a(key, "EC")) {
        if (EVP_PKEY_get_group_name(key, group, sizeof group, &size) != 1) {
            draft_add(to, "EC with a curve without a name");
            return;
        }
        const char *nist = EC_curve_nid2nist(OBJ_sn2nid(group));
        draft_format(to, "EC %s", nist != NULL ? nist : group);
    } else if (EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448")) {
        draft_add(to, EVP_PKEY_is_a(key, "ED448") ? "Ed448" : "Ed25519");
    } else {
        const char *name = EVP_PKEY_get0_type_name(key);
        draft_format(to, "%s %d", name != NULL ? name : "?", EVP_PKEY_get_bits(key));
    }
}

void cert_subject_show(const X509_NAME *name, draft *to)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    // Escapes what is not printable ASCII, and keeps the order.
    if (bio != NULL && X509_NAME_print_ex(bio, name, 0, XN_FLAG_ONELINE) >= 0) {
        long size = BIO_get_mem_data(bio, &text);
        draft_printable(to, phi_bytes_of(text, size < 0 ? 0 : (size_t)size));
    }
    BIO_free(bio);
}

void cert_serial_show(const ASN1_INTEGER *serial, draft *to)
{
    BIGNUM *number = ASN1_INTEGER_to_BN(serial, NULL);
    char *hex = number == NULL ? NULL : BN_bn2hex(number);
    draft_add(to, hex == NULL ? "?" : hex);
    OPENSSL_free(hex);
    BN_free(number);
}

static ph_err names_add(cert_names *names, cert_name_kind kind, phi_bytes text, phi_diag *diag)
{
    PH_ASSERT(text.size <= CERT_NAME_BYTES_MAX);
    cert_name name = { .kind = kind, .size = text.size };
    memcpy(name.text, text.data, text.size);
    if (cert_names_have(names, &name)) {
        return PH_OK;
    }
    if (names->count == CERT_NAMES_MAX) {
        return phi_diag_add(diag, PH_ELIMIT, "more than %d names for one certificate",
                            CERT_NAMES_MAX);
    }
    names->items[names->count++] = name;
    return PH_OK;
}

// RFC 1123, in lower case. One whose last word is all digits would be taken for an address.
static bool is_dns_name(phi_bytes name)
{
    size_t word = 0;
    bool has_letter = false;
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        bool is_letter = c >= 'a' && c <= 'z';
        bool is_edge = i + 1 == name.size || name.data[i + 1] == '.';
        if (c == '.') {
            if (word == 0) {
                return false;
            }
            word = 0;
            has_letter = false;
            continue;
        }
        if (!is_letter && !(c >= '0' && c <= '9') && (c != '-' || word == 0 || is_edge)) {
            return false;
        }
        has_letter = has_letter || is_letter;
        if (++word > 63) {
            return false;
        }
    }
    return word != 0 && has_letter && name.size <= DNS_BYTES_MAX;
}

static ph_err crypto_failed(phi_diag *diag, const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return phi_diag_add(diag, PH_ESYSTEM, "%s: %s", what, reason != NULL ? reason : "no memory");
}

static bool fill(X509 *c, const cert_order *order)
{
    X509 *issuer = order->issuer != NULL ? order->issuer : c;
    return X509_set_version(c, X509_VERSION_3) == 1 && set_serial(X509_get_serialNumber(c)) &&
           X509_set_pubkey(c, order->key) == 1 && set_subject(c, order->subject) &&
           X509_set_issuer_name(c, X509_get_subject_name(issuer)) == 1 && set_times(c, order) &&
           set_extensions(c, order);
}

static bool set_serial(ASN1_INTEGER *serial)
{
    unsigned char bytes[SERIAL_BYTES];
    if (RAND_bytes(bytes, sizeof bytes) != 1) {
        return false;
    }
    bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40); // positive, and always as long
    BIGNUM *number = BN_bin2bn(bytes, sizeof bytes, NULL);
    bool is_set = number != NULL && BN_to_ASN1_INTEGER(number, serial) != NULL;
    BN_free(number);
    return is_set;
}

static bool set_subject(X509 *c, const char *subject)
{
    return X509_NAME_add_entry_by_txt(X509_get_subject_name(c), "CN", MBSTRING_UTF8,
                                      (const unsigned char *)subject, -1, -1, 0) == 1;
}

static bool set_times(X509 *c, const cert_order *order)
{
    time_t from = order->now - CLOCK_SKEW_S;
    time_t until = order->now + (time_t)order->days * SECONDS_PER_DAY;
    if (order->issuer != NULL) {
        time_t from_least = cert_time(X509_get0_notBefore(order->issuer));
        time_t until_most = cert_time(X509_get0_notAfter(order->issuer));
        from = from < from_least ? from_least : from;
        until = until > until_most ? until_most : until;
    }
    return ASN1_TIME_adj(X509_getm_notBefore(c), from, 0, 0) != NULL &&
           ASN1_TIME_adj(X509_getm_notAfter(c), until, 0, 0) != NULL;
}

static bool set_extensions(X509 *c, const cert_order *order)
{
    bool is_authority = order->kind == CERT_OF_AUTHORITY;
    const char *usage = order->kind == CERT_OF_CENTER ? "serverAuth" : "clientAuth";
    return add_extension(c, order, NID_basic_constraints,
                         is_authority ? "critical,CA:TRUE,pathlen:0" : "critical,CA:FALSE") &&
           add_extension(c, order, NID_key_usage,
                         is_authority ? "critical,keyCertSign,cRLSign"
                                      : "critical,digitalSignature") &&
           (is_authority || add_extension(c, order, NID_ext_key_usage, usage)) &&
           (order->names == NULL || add_names(c, order->names)) &&
           add_extension(c, order, NID_subject_key_identifier, "hash") &&
           (is_authority || add_extension(c, order, NID_authority_key_identifier, "keyid:always"));
}

// `value` is a constant of ours, in libcrypto's language.
static bool add_extension(X509 *c, const cert_order *order, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, order->issuer != NULL ? order->issuer : c, c, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool is_added = extension != NULL && X509_add_ext(c, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return is_added;
}

static bool add_names(X509 *c, const cert_names *names)
{
    GENERAL_NAMES *all = GENERAL_NAMES_new();
    bool is_complete = all != NULL;
    for (size_t i = 0; is_complete && i < names->count; i++) {
        GENERAL_NAME *name = general_name_of(&names->items[i]);
        is_complete = name != NULL && sk_GENERAL_NAME_push(all, name) > 0;
        if (!is_complete) {
            GENERAL_NAME_free(name);
        }
    }
    is_complete = is_complete && X509_add1_ext_i2d(c, NID_subject_alt_name, all, 0, 0) == 1;
    GENERAL_NAMES_free(all);
    return is_complete;
}

static GENERAL_NAME *general_name_of(const cert_name *name)
{
    bool is_ip = name->kind == CERT_NAME_IP;
    PH_ASSERT(name->kind != CERT_NAME_OTHER);
    unsigned char address[16];
    const void *data = name->text;
    int size = (int)name->size;
    if (is_ip) {
        char text[CERT_NAME_BYTES_MAX + 1] = { 0 };
        memcpy(text, name->text, name->size);
        bool is_v6 = strchr(text, ':') != NULL;
        int found = inet_pton(is_v6 ? AF_INET6 : AF_INET, text, address);
        PH_ASSERT(found == 1); // cert_names_add_host took it
        data = address;
        size = is_v6 ? 16 : 4;
    }
    GENERAL_NAME *general = GENERAL_NAME_new();
    ASN1_STRING *value = ASN1_STRING_type_new(is_ip ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);
    if (general == NULL || value == NULL || ASN1_STRING_set(value, data, size) != 1) {
        GENERAL_NAME_free(general);
        ASN1_STRING_free(value);
        return NULL;
    }
    int type = is_ip ? GEN_IPADD : name->kind == CERT_NAME_DNS ? GEN_DNS : GEN_URI;
    GENERAL_NAME_set0_value(general, type, value);
    return general;
}

static void name_of(const GENERAL_NAME *general, cert_name *out)
{
    int type = 0;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(general, &type);
    *out = (cert_name){ .kind = CERT_NAME_OTHER };
    if (type != GEN_DNS && type != GEN_URI && type != GEN_IPADD) {
        return;
    }
    const unsigned char *data = ASN1_STRING_get0_data(value);
    size_t size = (size_t)ASN1_STRING_length(value);
    if (type != GEN_IPADD) {
        out->kind = type == GEN_DNS ? CERT_NAME_DNS : CERT_NAME_URI;
        out->size = size > sizeof out->text ? sizeof out->text : size;
        memcpy(out->text, data, out->size);
    } else if (size == 4 || size == 16) {
        out->kind = CERT_NAME_IP;
        inet_ntop(size == 4 ? AF_INET : AF_INET6, data, out->text, sizeof out->text);
        out->size = strlen(out->text);
    }
}

static bool copy_revoked(X509_CRL *list, const X509_CRL *old)
{
    // libcrypto sorts the list when it is asked for an entry; so it wants to write.
    STACK_OF(X509_REVOKED) *entries =
        old == NULL ? NULL : X509_CRL_get_REVOKED((X509_CRL *)(uintptr_t)old);
    for (int i = 0; i < sk_X509_REVOKED_num(entries); i++) {
        X509_REVOKED *entry = X509_REVOKED_dup(sk_X509_REVOKED_value(entries, i));
        if (entry == NULL || X509_CRL_add0_revoked(list, entry) != 1) {
            X509_REVOKED_free(entry);
            return false;
        }
    }
    return true;
}

static bool add_revoked(X509_CRL *list, const ASN1_INTEGER *serial, time_t now)
{
    X509_REVOKED *known = NULL;
    if (X509_CRL_get0_by_serial(list, &known, (ASN1_INTEGER *)(uintptr_t)serial) != 0) {
        return true;
    }
    X509_REVOKED *entry = X509_REVOKED_new();
    ASN1_TIME *at = ASN1_TIME_adj(NULL, now, 0, 0);
    bool is_added = entry != NULL && at != NULL &&
                    X509_REVOKED_set_serialNumber(entry, (ASN1_INTEGER *)(uintptr_t)serial) == 1 &&
                    X509_REVOKED_set_revocationDate(entry, at) == 1 &&
                    X509_CRL_add0_revoked(list, entry) == 1;
    ASN1_TIME_free(at);
    if (!is_added) {
        X509_REVOKED_free(entry);
    }
    return is_added;
}

// The number of a list grows by one; whose it is stands in it.
static bool finish_revocation(X509_CRL *list, const X509_CRL *old, X509 *issuer)
{
    ASN1_INTEGER *last = old == NULL ? NULL : X509_CRL_get_ext_d2i(old, NID_crl_number, NULL, NULL);
    int64_t number = 0;
    if (last != NULL && ASN1_INTEGER_get_int64(&number, last) != 1) {
        number = 0;
    }
    ASN1_INTEGER *next = ASN1_INTEGER_new();
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, NULL, NULL, list, 0);
    X509_EXTENSION *whose =
        X509V3_EXT_conf_nid(NULL, &context, NID_authority_key_identifier, "keyid:always");
    bool is_complete =
        next != NULL && whose != NULL && ASN1_INTEGER_set_int64(next, number + 1) == 1 &&
        X509_CRL_add_ext(list, whose, -1) == 1 &&
        X509_CRL_add1_ext_i2d(list, NID_crl_number, next, 0, 0) == 1 && X509_CRL_sort(list) == 1;
    ASN1_INTEGER_free(last);
    ASN1_INTEGER_free(next);
    X509_EXTENSION_free(whose);
    return is_complete;
}
