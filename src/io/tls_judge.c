// SPDX-License-Identifier: Apache-2.0
//
// io/tls_judge.c - certificates of the other end: whether they are believed, what they say, and for
// people, why not.
//
// Design notes
//
// - OpenSSL verifies; what it does not look at is looked at here, in the same place: names that
//   could be taken for others (a NUL, a line's end, what is no ASCII), and more of them than
//   anybody could judge.
// - A reason is a sentence about who is meant: its certificate, an authority above it, our own.
//   What is quoted from a certificate is printable ASCII; the rest is shown as '?'.

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/assert.h"
#include "io/tls_private.h"

#define NAMES_SHOWN 3
#define NAMES_SHOWN_BYTES 160

// What X509_verify_cert found, as what is said of a certificate.
static const struct {
    int error;
    const char *says;
} faults[] = {
    { X509_V_ERR_CERT_HAS_EXPIRED, "has expired" },
    { X509_V_ERR_CERT_NOT_YET_VALID, "is not valid yet (is a clock wrong?)" },
    { X509_V_ERR_CERT_REVOKED, "was revoked" },
    { X509_V_ERR_CERT_SIGNATURE_FAILURE, "bears a signature that is wrong" },
    { X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "was signed by itself, and is " PHI_TLS_UNKNOWN },
    { X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "leads to an authority that is " PHI_TLS_UNKNOWN },
    { X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, "was signed by an authority that is " PHI_TLS_UNKNOWN },
    { X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
      "was signed by an authority that is " PHI_TLS_UNKNOWN },
    { X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE,
      "was signed by an authority that is " PHI_TLS_UNKNOWN },
    { X509_V_ERR_CERT_CHAIN_TOO_LONG, "stands at the end of too long a chain of authorities" },
    { X509_V_ERR_INVALID_PURPOSE, "is not for this purpose (extendedKeyUsage)" },
    { X509_V_ERR_INVALID_CA, "signed another, and is no authority (basicConstraints)" },
    { X509_V_ERR_INVALID_NON_CA, "is an authority's, which must not use it for itself" },
    { X509_V_ERR_PATH_LENGTH_EXCEEDED, "stands below more authorities than one of them allows" },
    { X509_V_ERR_KEYUSAGE_NO_CERTSIGN, "signed another, and may not (keyUsage)" },
    { X509_V_ERR_KEYUSAGE_NO_CRL_SIGN, "may not sign lists of revoked certificates (keyUsage)" },
    { X509_V_ERR_CERT_UNTRUSTED, "is not trusted" },
    { X509_V_ERR_CERT_REJECTED, "is marked as rejected" },
    { X509_V_ERR_EE_KEY_TOO_SMALL, "has a key that is too weak" },
    { X509_V_ERR_CA_KEY_TOO_SMALL, "has a key that is too weak" },
    { X509_V_ERR_CA_MD_TOO_WEAK, "was signed with a hash that is broken" },
    { X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION, "has a critical extension that is not known here" },
    { X509_V_ERR_PERMITTED_VIOLATION, "has a name that its authority may not give" },
    { X509_V_ERR_EXCLUDED_VIOLATION, "has a name that its authority may not give" },
    { X509_V_ERR_SUBTREE_MINMAX, "has name constraints that are not known here" },
    { X509_V_ERR_UNSUPPORTED_CONSTRAINT_TYPE, "has name constraints that are not known here" },
    { X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX, "has name constraints that are malformed" },
    { X509_V_ERR_UNSUPPORTED_NAME_SYNTAX, "has a name that is malformed" },
    { X509_V_ERR_UNABLE_TO_GET_CRL, "cannot be looked up: its authority's list of revoked "
                                    "certificates is missing here" },
    { X509_V_ERR_CRL_HAS_EXPIRED, "cannot be looked up: its authority's list of revoked "
                                  "certificates is out of date here" },
    { X509_V_ERR_CRL_NOT_YET_VALID, "cannot be looked up: its authority's list of revoked "
                                    "certificates is not valid yet" },
    { X509_V_ERR_CRL_SIGNATURE_FAILURE, "cannot be looked up: the signature of its authority's "
                                        "list of revoked certificates is wrong" },
    { X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD, "has a date that is malformed" },
    { X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD, "has a date that is malformed" },
    { X509_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY, "has a key that cannot be read" },
    { X509_V_ERR_EC_KEY_EXPLICIT_PARAMS, "has a key with parameters of its own" },
    { X509_V_ERR_MISSING_AUTHORITY_KEY_IDENTIFIER, "lacks the authorityKeyIdentifier" },
    { X509_V_ERR_MISSING_SUBJECT_KEY_IDENTIFIER, "lacks the subjectKeyIdentifier" },
    { X509_V_ERR_CA_CERT_MISSING_KEY_USAGE, "is an authority's and lacks the keyUsage" },
    { X509_V_ERR_CA_BCONS_NOT_CRITICAL, "is an authority's, and its basicConstraints are not "
                                        "critical" },
    { X509_V_ERR_SIGNATURE_ALGORITHM_MISMATCH, "bears a signature that is not what it says" },
    { X509_V_ERR_SIGNATURE_ALGORITHM_INCONSISTENCY, "bears a signature that is not what it says" },
    { X509_V_ERR_EXTENSIONS_REQUIRE_VERSION_3, "has extensions that its version does not know" },
    { X509_V_ERR_KU_KEY_CERT_SIGN_INVALID_FOR_NON_CA,
      "may sign others (keyUsage), and is no authority's" },
};

// The alerts of TLS with which the other end tells why it will not.
static const struct {
    int alert;
    bool is_about_certificate;
    const char *says;
} alerts[] = {
    { SSL_AD_BAD_CERTIFICATE, true, "it finds it bad" },
    { SSL_AD_UNSUPPORTED_CERTIFICATE, true,
      "it is of a kind, or for a purpose, that it does not take" },
    { SSL_AD_CERTIFICATE_REVOKED, true, "it was revoked" },
    { SSL_AD_CERTIFICATE_EXPIRED, true, "it has expired" },
    { SSL_AD_CERTIFICATE_UNKNOWN, true, "it does not say why" },
    { SSL_AD_UNKNOWN_CA, true, "it does not know the authority that signed it" },
    { SSL_AD_ACCESS_DENIED, true, "it may not enter" },
    { SSL_AD_DECRYPT_ERROR, true, "it takes the signature for wrong" },
    { SSL_AD_CERTIFICATE_REQUIRED, true, "one is required, and we have none" },
    { SSL_AD_HANDSHAKE_FAILURE, false, "no cipher or certificate suits both ends" },
    { SSL_AD_PROTOCOL_VERSION, false, "no version of TLS suits both ends" },
    { SSL_AD_INSUFFICIENT_SECURITY, false, "what we offer is too weak for it" },
    { SSL_AD_UNRECOGNIZED_NAME, false, "it is not known there by the name that we asked for" },
    { SSL_AD_NO_APPLICATION_PROTOCOL, false, "it does not speak " PHI_TLS_ALPN },
};

// What our own end found, other than in a certificate.
static const struct {
    int reason;
    const char *says;
} breaches[] = {
    { SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, "it has no certificate, and one is required" },
    { SSL_R_WRONG_VERSION_NUMBER, "it " PHI_TLS_NOT_SPOKEN },
    { SSL_R_HTTP_REQUEST, "it " PHI_TLS_NOT_SPOKEN ", but HTTP" },
    { SSL_R_HTTPS_PROXY_REQUEST, "it " PHI_TLS_NOT_SPOKEN ", but to a proxy" },
    { SSL_R_UNSUPPORTED_PROTOCOL, "no version of TLS suits both ends" },
    { SSL_R_VERSION_TOO_LOW, "no version of TLS suits both ends" },
    { SSL_R_NO_SHARED_CIPHER, "no cipher suits both ends" },
    { SSL_R_NO_SUITABLE_KEY_SHARE, "no group of keys suits both ends" },
    { SSL_R_NO_SUITABLE_GROUPS, "no group of keys suits both ends" },
    { SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, "no kind of signature suits both ends" },
    { SSL_R_NO_APPLICATION_PROTOCOL, "it does not speak " PHI_TLS_ALPN },
    { SSL_R_EXCESSIVE_MESSAGE_SIZE, "what it sends of certificates is too much" },
    { SSL_R_BAD_SIGNATURE, "it has not the key of its certificate" },
    { SSL_R_WRONG_CURVE, "its certificate has a kind of key that is not taken here" },
    { SSL_R_WRONG_SIGNATURE_TYPE, "its certificate has a kind of key that is not taken here" },
    { SSL_R_CERT_LENGTH_MISMATCH, "what it sent is no certificate" },
    { ERR_R_ASN1_LIB, "what it sent is no certificate" },
};

static const char *fault_of(int error);
static void explain(X509_STORE_CTX *ctx, phi_diag *diag);
static void explain_name(X509_STORE_CTX *ctx, phi_diag *diag);
static bool address_of(const GENERAL_NAME *name, char text[INET6_ADDRSTRLEN]);
static bool is_fit_for_an_end(X509 *leaf, phi_diag *diag);
static bool names_are_fit(X509 *leaf, phi_diag *diag);
static bool name_is_fit(const ASN1_IA5STRING *text);
static const ASN1_IA5STRING *name_of(const GENERAL_NAME *name);
static ph_err verify(X509_STORE_CTX *ctx, bool is_client, phi_diag *diag);

// ---- judging

int phi_tls_on_certificate(X509_STORE_CTX *ctx, void *arg)
{
    (void)arg;
    SSL *ssl = (SSL *)X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
    bool is_client = SSL_is_server(ssl) == 1;
    return verify(ctx, is_client, (phi_diag *)SSL_get_app_data(ssl)) == PH_OK ? 1 : 0;
}

// A center's certificate may have as many names as it likes: one of them is looked for.
static ph_err verify(X509_STORE_CTX *ctx, bool is_client, phi_diag *diag)
{
    if (X509_verify_cert(ctx) != 1) {
        explain(ctx, diag);
        return X509_STORE_CTX_get_error(ctx) == X509_V_ERR_OUT_OF_MEM ? PH_ENOMEM : PH_EACCESS;
    }
    X509 *leaf = X509_STORE_CTX_get0_cert(ctx);
    if (!is_fit_for_an_end(leaf, diag) || (is_client && !names_are_fit(leaf, diag))) {
        X509_STORE_CTX_set_error(ctx, X509_V_ERR_CERT_REJECTED);
        return PH_EACCESS;
    }
    return PH_OK;
}

ph_err phi_tls_judge(const phi_tls *tls, const SSL *ssl, phi_diag *diag)
{
    X509 *leaf = SSL_get0_peer_certificate(ssl);
    if (leaf == NULL) {
        bool is_required = tls->peers == PHI_TLS_PEERS_REQUIRED;
        return is_required ? phi_diag_add(diag, PH_EACCESS,
                                          "it has no certificate, and one is required now")
                           : PH_OK;
    }
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    ph_err err = PH_ENOMEM;
    if (ctx != NULL && X509_STORE_CTX_init(ctx, SSL_CTX_get_cert_store(tls->ctx), leaf,
                                           SSL_get_peer_cert_chain(ssl)) == 1) {
        bool is_center = tls->side == PHI_TLS_CENTER;
        X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
        (void)X509_STORE_CTX_set_default(ctx, is_center ? "ssl_client" : "ssl_server");
        X509_VERIFY_PARAM_set_auth_level(param, PHI_TLS_LEVEL);
        if (X509_VERIFY_PARAM_set1(param, SSL_CTX_get0_param(tls->ctx)) == 1) {
            err = verify(ctx, is_center, diag);
        }
    }
    X509_STORE_CTX_free(ctx);
    ERR_clear_error();
    return err;
}

// ---- what it says

void phi_tls_identify(const SSL *ssl, phi_identity *out)
{
    X509 *leaf = SSL_get0_peer_certificate(ssl);
    if (leaf == NULL) {
        return;
    }
    STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
    out->expires_s = phi_tls_seconds(X509_get0_notAfter(leaf));
    for (int i = 1; i < sk_X509_num(chain); i++) { // -1 without one
        uint64_t ends = phi_tls_seconds(X509_get0_notAfter(sk_X509_value(chain, i)));
        out->expires_s = ends < out->expires_s ? ends : out->expires_s;
    }
    GENERAL_NAMES *names =
        (GENERAL_NAMES *)X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        const ASN1_IA5STRING *text = name_of(name);
        // Of a client all are fit; a center may have others, or more.
        if (text == NULL || !name_is_fit(text) || out->name_count == PHI_IDENTITY_NAMES_MAX) {
            continue;
        }
        phi_identity_name *to = &out->names[out->name_count++];
        to->is_uri = name->type == GEN_URI;
        to->size = (uint8_t)ASN1_STRING_length(text);
        memcpy(to->text, ASN1_STRING_get0_data(text), to->size);
        to->text[to->size] = '\0';
    }
    GENERAL_NAMES_free(names);
    ERR_clear_error();
}

// An authority's key signs certificates and nothing else; who had one could not be told from those
// for whom it signs. And in TLS 1.3 the key of either end signs, if its keyUsage speaks of that.
static bool is_fit_for_an_end(X509 *leaf, phi_diag *diag)
{
    if ((X509_get_extension_flags(leaf) & EXFLAG_CA) != 0) {
        (void)phi_diag_add(diag, PH_EACCESS,
                           "its certificate is an authority's, which must not use it for itself");
        return false;
    }
    if ((X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE) == 0) {
        (void)phi_diag_add(diag, PH_EACCESS,
                           "its certificate is not for signatures (keyUsage: digitalSignature)");
        return false;
    }
    return true;
}

// What we make of a certificate later must be sure when it is let in.
static bool names_are_fit(X509 *leaf, phi_diag *diag)
{
    int critical = 0;
    GENERAL_NAMES *names =
        (GENERAL_NAMES *)X509_get_ext_d2i(leaf, NID_subject_alt_name, &critical, NULL);
    if (names == NULL && critical != -1) { // it is there, and twice or malformed
        (void)phi_diag_add(diag, PH_EACCESS, "its certificate has names that are malformed");
        return false;
    }
    unsigned count = 0;
    bool are_fit = true;
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && are_fit; i++) {
        const ASN1_IA5STRING *text = name_of(sk_GENERAL_NAME_value(names, i));
        count += text != NULL;
        if (text != NULL && !name_is_fit(text)) {
            (void)phi_diag_add(diag, PH_EACCESS, "its certificate has a name that is malformed");
            are_fit = false;
        } else if (count > PHI_IDENTITY_NAMES_MAX) {
            (void)phi_diag_add(diag, PH_EACCESS, "its certificate has more than %u names",
                               PHI_IDENTITY_NAMES_MAX);
            are_fit = false;
        }
    }
    GENERAL_NAMES_free(names);
    return are_fit;
}

static bool name_is_fit(const ASN1_IA5STRING *text)
{
    int size = ASN1_STRING_length(text);
    const unsigned char *data = ASN1_STRING_get0_data(text);
    for (int i = 0; i < size; i++) {
        if (data[i] <= ' ' || data[i] > '~') {
            return false;
        }
    }
    return size > 0 && size <= (int)PHI_IDENTITY_NAME_BYTES_MAX;
}

// Of a kind that can name somebody; NULL for another.
static const ASN1_IA5STRING *name_of(const GENERAL_NAME *name)
{
    switch (name->type) {
    case GEN_DNS:
        return name->d.dNSName;
    case GEN_URI:
        return name->d.uniformResourceIdentifier;
    default:
        return NULL;
    }
}

// ---- reasons

static void explain(X509_STORE_CTX *ctx, phi_diag *diag)
{
    int error = X509_STORE_CTX_get_error(ctx);
    if (error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH) {
        explain_name(ctx, diag);
        return;
    }
    // With an authority that the other end shows and nobody here knows, all of its chain is judged.
    bool is_own =
        X509_STORE_CTX_get_error_depth(ctx) == 0 || error == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN;
    X509 *about = X509_STORE_CTX_get_current_cert(ctx);
    // OpenSSL looks for no authority of such a one, and says that it found none.
    bool is_malformed = about != NULL && (X509_get_extension_flags(about) & EXFLAG_INVALID) != 0;
    const char *fault =
        is_malformed ? "has an extension that is malformed, or there twice" : fault_of(error);
    const char *whose = is_own ? "its certificate" : "the certificate of an authority above it";
    if (fault != NULL) {
        (void)phi_diag_add(diag, PH_EACCESS, "%s %s", whose, fault);
    } else {
        (void)phi_diag_add(diag, PH_EACCESS, "%s is not believed: %s", whose,
                           X509_verify_cert_error_string(error));
    }
}

static const char *fault_of(int error)
{
    for (size_t i = 0; i < PHI_COUNT_OF(faults); i++) {
        if (faults[i].error == error) {
            return faults[i].says;
        }
    }
    return NULL;
}

static void quote(char *out, size_t room, const unsigned char *data, size_t size)
{
    size_t used = strlen(out);
    int n = snprintf(out + used, room - used, "%s'", used == 0 ? "" : ", ");
    used += n > 0 && (size_t)n < room - used ? (size_t)n : 0;
    for (size_t i = 0; i < size && used + 2 < room; i++) {
        out[used++] = data[i] > ' ' && data[i] <= '~' ? (char)data[i] : '?';
    }
    if (used + 2 <= room) {
        out[used++] = '\'';
    }
    out[used] = '\0';
}

static bool address_of(const GENERAL_NAME *name, char text[INET6_ADDRSTRLEN])
{
    if (name->type != GEN_IPADD) {
        return false;
    }
    int size = ASN1_STRING_length(name->d.iPAddress);
    int family = size == 4 ? AF_INET : AF_INET6;
    return (size == 4 || size == 16) && inet_ntop(family, ASN1_STRING_get0_data(name->d.iPAddress),
                                                  text, INET6_ADDRSTRLEN) != NULL;
}

// "its certificate is for 'a.example', 'b.example', and not for 'c.example'"
static void explain_name(X509_STORE_CTX *ctx, phi_diag *diag)
{
    X509 *leaf = X509_STORE_CTX_get0_cert(ctx);
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
    const char *host = X509_VERIFY_PARAM_get0_host(param, 0);
    char *ip = X509_VERIFY_PARAM_get1_ip_asc(param);
    char shown[NAMES_SHOWN_BYTES] = "";
    GENERAL_NAMES *names =
        (GENERAL_NAMES *)X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    int count = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        char address[INET6_ADDRSTRLEN];
        const ASN1_IA5STRING *text = name_of(name);
        if (text != NULL && count++ < NAMES_SHOWN) {
            quote(shown, sizeof shown, ASN1_STRING_get0_data(text),
                  (size_t)ASN1_STRING_length(text));
        } else if (address_of(name, address) && count++ < NAMES_SHOWN) {
            quote(shown, sizeof shown, (const unsigned char *)address, strlen(address));
        }
    }
    GENERAL_NAMES_free(names);
    char asked[NAMES_SHOWN_BYTES]; // a host of those digits would be another name than the address
    if (host != NULL) {
        (void)snprintf(asked, sizeof asked, "'%s'", host);
    } else {
        (void)snprintf(asked, sizeof asked, "the address %s", ip != NULL ? ip : "?");
    }
    if (count == 0) {
        (void)phi_diag_add(diag, PH_EACCESS, "its certificate is not for %s", asked);
    } else {
        (void)phi_diag_add(diag, PH_EACCESS, "its certificate is for %s%s, and not for %s", shown,
                           count > NAMES_SHOWN ? ", ..." : "", asked);
    }
    OPENSSL_free(ip);
}

ph_err phi_tls_explain(bool was_open, phi_diag *diag)
{
    unsigned long error = ERR_peek_last_error();
    int reason = ERR_GET_REASON(error);
    bool is_ssl = ERR_GET_LIB(error) == ERR_LIB_SSL;
    ERR_clear_error();
    if (diag->text[0] != '\0') {
        return PH_ETLS; // the certificate was judged, and this is why
    }
    for (size_t i = 0; is_ssl && i < PHI_COUNT_OF(alerts); i++) {
        // Of an open connection a client hears late what of its certificate is not believed.
        if (reason - SSL_AD_REASON_OFFSET == alerts[i].alert &&
            (alerts[i].is_about_certificate || !was_open)) {
            return phi_diag_add(diag, PH_ETLS, "the other end %s: %s",
                                alerts[i].is_about_certificate ? PHI_TLS_REFUSED : "refused",
                                alerts[i].says);
        }
    }
    for (size_t i = 0; is_ssl && i < PHI_COUNT_OF(breaches); i++) {
        if (reason == breaches[i].reason) {
            return phi_diag_add(diag, PH_ETLS, "%s", breaches[i].says);
        }
    }
    // In the handshake nothing is believed yet; afterwards somebody on the way broke it.
    ph_err err = was_open ? PH_ERESET : PH_ETLS;
    const char *text = error == 0 ? NULL : ERR_reason_error_string(error);
    return phi_diag_add(diag, err, "TLS: %s", text == NULL ? "broken" : text);
}

// ---- dates

void phi_tls_date(const ASN1_TIME *time, char text[PHI_TLS_DATE_BYTES])
{
    struct tm tm;
    if (ASN1_TIME_to_tm(time, &tm) != 1 ||
        strftime(text, PHI_TLS_DATE_BYTES, "%Y-%m-%d", &tm) == 0) {
        memcpy(text, "?", 2);
    }
}

uint64_t phi_tls_seconds(const ASN1_TIME *time)
{
    struct tm tm;
    if (ASN1_TIME_to_tm(time, &tm) != 1) {
        return 0;
    }
    time_t seconds = timegm(&tm);
    return seconds < 0 ? 0 : (uint64_t)seconds;
}
