// SPDX-License-Identifier: Apache-2.0
//
// io/tls.c - credentials: what stands in the files, judged and made ready for connections.
//
// Design notes
//
// - What is set is set here, all of it: a system's openssl.cnf must not weaken a center.
// - A file with something wrong in it is refused as a whole, with what is wrong: a center that runs
//   with half of its authorities would refuse half of its clients, and nobody would know why.
// - The authorities that are named are believed as they stand, also when they are not roots
//   (X509_V_FLAG_PARTIAL_CHAIN); nothing that is no authority may be among them, so nobody's own
//   certificate is.
// - Two files of authorities are the same to phi_stream_verify when their bytes are: a digest tells
//   without a look at a certificate.
//
// Invariants   a phi_tls is not changed after it was made, but for its count of references

#include "io/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "io/tls_private.h"

#define SUITES_13 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define SUITES_12                                                                                  \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                                   \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
#define GROUPS "X25519:prime256v1:secp384r1"
// The last three are for signatures in certificates; TLS 1.3 takes none of them for its own.
#define SIGNATURES                                                                                 \
    "ECDSA+SHA256:ed25519:RSA-PSS+SHA256:ECDSA+SHA384:RSA-PSS+SHA384:ECDSA+SHA512:RSA-PSS+SHA512:" \
    "RSA+SHA256:RSA+SHA384:RSA+SHA512"

static const unsigned char alpn[] = "\x0bposthouse/1";
#define ALPN_SIZE (sizeof alpn - 1)
PH_STATIC_ASSERT(sizeof PHI_TLS_ALPN == sizeof alpn - 1);

static ph_err set_protocol(phi_tls *tls, const phi_tls_options *options);
static ph_err load_own(phi_tls *tls, const phi_tls_options *options, phi_diag *diag);
static ph_err judge_own(const phi_tls *tls, X509 *own, phi_diag *diag);
static ph_err use_chain(phi_tls *tls, STACK_OF(X509) * chain, phi_diag *diag);
static ph_err load_key(phi_tls *tls, phi_bytes pem, phi_diag *diag);
static int on_password(char *room, int size, int is_writing, void *arg);
static ph_err load_authorities(phi_tls *tls, phi_bytes pem, phi_diag *diag);
static ph_err judge_authority(X509 *authority, int number, phi_diag *diag);
static ph_err load_revoked(phi_tls *tls, phi_bytes pem, phi_diag *diag);
static void set_peers(phi_tls *tls, const phi_tls_options *options);
static ph_err digest_trust(phi_tls *tls, const phi_tls_options *options);
static ph_err read_certificates(STACK_OF(X509) * *out, phi_bytes pem, phi_diag *diag);
static ph_err open_pem(BIO **out, phi_bytes pem, phi_diag *diag);
static bool is_at_end_of_pem(void);
static bool is_over(const ASN1_TIME *time);
static ph_err weakness(phi_diag *diag);
static ph_err set_name(SSL *ssl, const char *name, phi_diag *diag);
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                   const unsigned char *in, unsigned in_size, void *arg);

// ---- life

ph_err phi_tls_new(phi_tls **out, const phi_tls_options *options, phi_diag *diag)
{
    PH_ASSERT(out != NULL);
    PH_ASSERT(options != NULL);
    phi_tls *tls = (phi_tls *)phi_take_zeroed(&phi_alloc_heap, 1, sizeof *tls);
    if (tls == NULL) {
        return phi_diag_add(diag, PH_ENOMEM, "credentials");
    }
    atomic_init(&tls->refs, 1);
    tls->side = options->side;
    ERR_clear_error();
    ph_err err = set_protocol(tls, options);
    if (err == PH_OK) {
        err = load_own(tls, options, diag);
    }
    if (err == PH_OK) {
        err = load_authorities(tls, options->authorities, diag);
        if (err != PH_OK) {
            (void)phi_diag_add(diag, err, "authorities");
        }
    }
    if (err == PH_OK && options->revoked.size != 0) {
        err = load_revoked(tls, options->revoked, diag);
        if (err != PH_OK) {
            (void)phi_diag_add(diag, err, "revoked");
        }
    }
    if (err == PH_OK && options->side == PHI_TLS_CENTER && options->authorities.size == 0 &&
        options->peers == PHI_TLS_PEERS_REQUIRED) {
        err = phi_diag_add(diag, PH_EINVAL,
                           "authorities: there are none, and certificates are required: name the "
                           "file of the authority that signs them");
    }
    if (err == PH_OK) {
        set_peers(tls, options);
        err = digest_trust(tls, options);
    }
    ERR_clear_error();
    if (err != PH_OK) {
        phi_tls_free(&tls);
        return err;
    }
    *out = tls;
    return PH_OK;
}

void phi_tls_free(phi_tls **tls_at)
{
    phi_tls *tls = *tls_at;
    *tls_at = NULL;
    if (tls == NULL || atomic_fetch_sub(&tls->refs, 1) != 1) {
        return;
    }
    SSL_CTX_free(tls->ctx);
    phi_give(&phi_alloc_heap, tls, sizeof *tls);
}

phi_tls *phi_tls_ref(phi_tls *tls)
{
    unsigned before = atomic_fetch_add(&tls->refs, 1);
    PH_ASSERT(before > 0);
    return tls;
}

uint64_t phi_tls_expires_s(const phi_tls *tls)
{
    return tls->expires_s;
}

uint64_t phi_tls_revoked_until_s(const phi_tls *tls)
{
    return tls->revoked_until_s;
}

// ---- the protocol

// Fails for want of memory only: everything else is fixed above.
static ph_err set_protocol(phi_tls *tls, const phi_tls_options *options)
{
    bool is_center = options->side == PHI_TLS_CENTER;
    SSL_CTX *ctx = SSL_CTX_new(is_center ? TLS_server_method() : TLS_client_method());
    if (ctx == NULL) {
        return PH_ENOMEM;
    }
    tls->ctx = ctx;
    int lowest = options->allows_tls12 ? TLS1_2_VERSION : TLS1_3_VERSION;
    SSL_CTX_set_security_level(ctx, PHI_TLS_LEVEL);
    (void)SSL_CTX_clear_options(ctx, SSL_CTX_get_options(ctx));
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
                                       SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                       SSL_OP_ENABLE_MIDDLEBOX_COMPAT);
    // What is sent is what stands in the file, and not what else could be found in the authorities:
    // the other end has those, and would keep a second copy for each connection.
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_NO_AUTO_CHAIN);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_max_cert_list(ctx, PHI_TLS_CERTIFICATE_BYTES_MAX);
    SSL_CTX_set_verify_depth(ctx, PHI_TLS_CHAIN_MAX);
    SSL_CTX_set_cert_verify_callback(ctx, phi_tls_on_certificate, NULL);
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
                                               X509_CHECK_FLAG_NO_WILDCARDS);
    bool is_set =
        X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT | X509_V_FLAG_PARTIAL_CHAIN) ==
            1 &&
        SSL_CTX_set_min_proto_version(ctx, lowest) == 1 &&
        SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1 &&
        SSL_CTX_set_ciphersuites(ctx, SUITES_13) == 1 &&
        SSL_CTX_set_cipher_list(ctx, SUITES_12) == 1 &&
        SSL_CTX_set1_groups_list(ctx, GROUPS) == 1 &&
        SSL_CTX_set1_sigalgs_list(ctx, SIGNATURES) == 1 && SSL_CTX_set_num_tickets(ctx, 0) == 1;
    if (is_center) {
        SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
    } else {
        is_set = is_set && SSL_CTX_set_alpn_protos(ctx, alpn, ALPN_SIZE) == 0;
    }
    return is_set ? PH_OK : PH_ENOMEM;
}

// Who offers none is not asked for it; who offers others only means somebody else.
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                   const unsigned char *in, unsigned in_size, void *arg)
{
    (void)ssl;
    (void)arg;
    for (unsigned at = 0; at < in_size; at += 1u + in[at]) {
        if (in_size - at >= ALPN_SIZE && memcmp(in + at, alpn, ALPN_SIZE) == 0) {
            *out = in + at + 1;
            *out_size = in[at];
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void set_peers(phi_tls *tls, const phi_tls_options *options)
{
    int mode = SSL_VERIFY_PEER;
    tls->peers = options->peers;
    if (tls->side == PHI_TLS_CENTER) {
        if (options->authorities.size == 0) {
            tls->peers = PHI_TLS_PEERS_UNASKED; // nobody's could be believed
        }
        mode = tls->peers == PHI_TLS_PEERS_UNASKED ? SSL_VERIFY_NONE
               : tls->peers == PHI_TLS_PEERS_REQUIRED
                   ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
                   : SSL_VERIFY_PEER;
    }
    SSL_CTX_set_verify(tls->ctx, mode, NULL);
}

// ---- the own certificate

static ph_err load_own(phi_tls *tls, const phi_tls_options *options, phi_diag *diag)
{
    if (options->certificate.size == 0 && options->key.size == 0 &&
        options->side == PHI_TLS_CLIENT) {
        return PH_OK;
    }
    if (options->certificate.size == 0) {
        return phi_diag_add(diag, PH_EINVAL, "certificate: there is none%s",
                            options->key.size == 0 ? "" : " for the key");
    }
    if (options->key.size == 0) {
        return phi_diag_add(diag, PH_EINVAL, "key: there is none for the certificate");
    }
    STACK_OF(X509) *chain = NULL;
    ph_err err = read_certificates(&chain, options->certificate, diag);
    if (err == PH_OK) {
        err = judge_own(tls, sk_X509_value(chain, 0), diag);
    }
    if (err == PH_OK) {
        err = use_chain(tls, chain, diag);
    }
    sk_X509_pop_free(chain, X509_free);
    if (err != PH_OK) {
        return phi_diag_add(diag, err, "certificate");
    }
    err = load_key(tls, options->key, diag);
    return err == PH_OK ? PH_OK : phi_diag_add(diag, err, "key");
}

static ph_err judge_own(const phi_tls *tls, X509 *own, phi_diag *diag)
{
    bool is_center = tls->side == PHI_TLS_CENTER;
    char date[PHI_TLS_DATE_BYTES];
    if (is_over(X509_get0_notAfter(own))) {
        phi_tls_date(X509_get0_notAfter(own), date);
        return phi_diag_add(diag, PH_EINVAL, "it has expired on %s: get a new one", date);
    }
    if (!is_over(X509_get0_notBefore(own))) {
        phi_tls_date(X509_get0_notBefore(own), date);
        return phi_diag_add(diag, PH_EINVAL,
                            "it is valid from %s on only: is the clock of this machine right?",
                            date);
    }
    int purpose = is_center ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT;
    if (X509_check_purpose(own, purpose, 0) != 1) {
        return phi_diag_add(diag, PH_EINVAL, "it is not for %s: its extendedKeyUsage lacks %s",
                            is_center ? "servers" : "clients",
                            is_center ? "serverAuth" : "clientAuth");
    }
    if (X509_get_ext_by_NID(own, NID_subject_alt_name, -1) < 0) {
        return phi_diag_add(diag, PH_EINVAL,
                            "it names nobody: a subjectAltName with a DNS name, an IP address or a "
                            "URI is needed, the subject is not looked at");
    }
    return PH_OK;
}

static ph_err use_chain(phi_tls *tls, STACK_OF(X509) * chain, phi_diag *diag)
{
    if (sk_X509_num(chain) > (int)PHI_TLS_CHAIN_MAX + 2) { // the CA may stand at its end
        return phi_diag_add(diag, PH_EINVAL, "more than %u certificates between it and the CA",
                            PHI_TLS_CHAIN_MAX);
    }
    if (SSL_CTX_use_certificate(tls->ctx, sk_X509_value(chain, 0)) != 1) {
        return weakness(diag);
    }
    int bytes = 0;
    for (int i = 0; i < sk_X509_num(chain); i++) {
        X509 *at = sk_X509_value(chain, i);
        bytes += i2d_X509(at, NULL);
        if (bytes > PHI_TLS_CERTIFICATE_BYTES_MAX) {
            return phi_diag_add(diag, PH_EINVAL,
                                "it and those behind it have more than the %d bytes that the other "
                                "end takes: fewer names, or fewer certificates",
                                PHI_TLS_CERTIFICATE_BYTES_MAX);
        }
        uint64_t ends = phi_tls_seconds(X509_get0_notAfter(at));
        tls->expires_s = i == 0 || ends < tls->expires_s ? ends : tls->expires_s;
        if (i == 0) {
            continue;
        }
        if (X509_check_issued(at, sk_X509_value(chain, i - 1)) != X509_V_OK) {
            return phi_diag_add(diag, PH_EINVAL,
                                "number %d in it did not sign number %d: first its own, then each "
                                "that signed the one before",
                                i + 1, i);
        }
        if (SSL_CTX_add1_chain_cert(tls->ctx, at) != 1) {
            return weakness(diag);
        }
    }
    return PH_OK;
}

static ph_err load_key(phi_tls *tls, phi_bytes pem, phi_diag *diag)
{
    BIO *bio = NULL;
    ph_err err = open_pem(&bio, pem, diag);
    if (err != PH_OK) {
        return err;
    }
    bool is_encrypted = false;
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, on_password, &is_encrypted);
    BIO_free(bio);
    if (is_encrypted) {
        err = phi_diag_add(diag, PH_EINVAL,
                           "it is encrypted, and nobody is here to type the password: decrypt it "
                           "with `openssl pkey -in FILE -out FILE`");
    } else if (key == NULL) {
        err = phi_diag_add(diag, PH_EINVAL, "there is no private key in it (PEM)");
    } else if (SSL_CTX_use_PrivateKey(tls->ctx, key) != 1 ||
               SSL_CTX_check_private_key(tls->ctx) != 1) {
        err = phi_diag_add(diag, PH_EINVAL, "it does not belong to the certificate");
    }
    EVP_PKEY_free(key);
    return err;
}

static int on_password(char *room, int size, int is_writing, void *arg)
{
    (void)room;
    (void)size;
    (void)is_writing;
    *(bool *)arg = true;
    return -1;
}

// Why OpenSSL does not take a certificate of ours.
static ph_err weakness(phi_diag *diag)
{
    switch (ERR_GET_REASON(ERR_peek_last_error())) {
    case SSL_R_EE_KEY_TOO_SMALL:
    case SSL_R_CA_KEY_TOO_SMALL:
        return phi_diag_add(diag, PH_EINVAL,
                            "a key in it is too weak: RSA of 2048 bits or EC of 256 is the least");
    case SSL_R_CA_MD_TOO_WEAK:
        return phi_diag_add(diag, PH_EINVAL,
                            "it was signed with a hash that is broken: SHA-256 is the least");
    case ERR_R_MALLOC_FAILURE:
        return PH_ENOMEM;
    default:
        return phi_diag_add(diag, PH_EINVAL, "%s", ERR_reason_error_string(ERR_peek_last_error()));
    }
}

// ---- whom to believe

static ph_err load_authorities(phi_tls *tls, phi_bytes pem, phi_diag *diag)
{
    if (pem.size == 0) {
        bool is_set =
            tls->side == PHI_TLS_CENTER || SSL_CTX_set_default_verify_paths(tls->ctx) == 1;
        return is_set ? PH_OK : PH_ENOMEM;
    }
    STACK_OF(X509) *all = NULL;
    ph_err err = read_certificates(&all, pem, diag);
    X509_STORE *store = SSL_CTX_get_cert_store(tls->ctx);
    int alive = 0;
    for (int i = 0; err == PH_OK && i < sk_X509_num(all); i++) {
        X509 *authority = sk_X509_value(all, i);
        err = judge_authority(authority, i + 1, diag);
        if (err == PH_OK && X509_STORE_add_cert(store, authority) != 1) {
            err = PH_ENOMEM;
        }
        alive += !is_over(X509_get0_notAfter(authority));
    }
    if (err == PH_OK && alive == 0) {
        err = phi_diag_add(diag, PH_EINVAL, "all of them have expired");
    }
    sk_X509_pop_free(all, X509_free);
    return err;
}

static ph_err judge_authority(X509 *authority, int number, phi_diag *diag)
{
    if (X509_check_ca(authority) != 1) {
        return phi_diag_add(diag, PH_EINVAL,
                            "number %d in it is no authority (basicConstraints CA:TRUE, keyUsage "
                            "keyCertSign)",
                            number);
    }
    EVP_PKEY *key = X509_get0_pubkey(authority);
    if (key == NULL || EVP_PKEY_get_security_bits(key) < PHI_TLS_LEVEL_BITS) {
        return phi_diag_add(
            diag, PH_EINVAL,
            "the key of number %d in it is too weak: RSA of 2048 bits or EC of 256 is "
            "the least",
            number);
    }
    return PH_OK;
}

static ph_err load_revoked(phi_tls *tls, phi_bytes pem, phi_diag *diag)
{
    BIO *bio = NULL;
    ph_err err = open_pem(&bio, pem, diag);
    if (err != PH_OK) {
        return err;
    }
    X509_STORE *store = SSL_CTX_get_cert_store(tls->ctx);
    int count = 0;
    X509_CRL *crl;
    while (err == PH_OK && (crl = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL)) != NULL) {
        count++;
        const ASN1_TIME *next = X509_CRL_get0_nextUpdate(crl);
        if (next != NULL && is_over(next)) {
            char date[PHI_TLS_DATE_BYTES];
            phi_tls_date(next, date);
            err = phi_diag_add(diag, PH_EINVAL,
                               "number %d in it is good until %s only: get a new one", count, date);
        } else if (X509_STORE_add_crl(store, crl) != 1) {
            err = PH_ENOMEM;
        } else if (next != NULL) {
            uint64_t ends = phi_tls_seconds(next);
            bool is_first = tls->revoked_until_s == 0 || ends < tls->revoked_until_s;
            tls->revoked_until_s = is_first ? ends : tls->revoked_until_s;
        }
        X509_CRL_free(crl);
    }
    if (err == PH_OK && (count == 0 || !is_at_end_of_pem())) {
        err = phi_diag_add(diag, PH_EINVAL, "there is no list of revoked certificates in it (PEM)");
    }
    BIO_free(bio);
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(tls->ctx);
    if (err == PH_OK && X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_CRL_CHECK |
                                                               X509_V_FLAG_CRL_CHECK_ALL) != 1) {
        err = PH_ENOMEM;
    }
    return err;
}

static ph_err digest_trust(phi_tls *tls, const phi_tls_options *options)
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    uint64_t sizes[3] = { options->authorities.size, options->revoked.size, (uint64_t)tls->peers };
    bool is_done =
        digest != NULL && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1 &&
        EVP_DigestUpdate(digest, sizes, sizeof sizes) == 1 &&
        EVP_DigestUpdate(digest, options->authorities.data, options->authorities.size) == 1 &&
        EVP_DigestUpdate(digest, options->revoked.data, options->revoked.size) == 1 &&
        EVP_DigestFinal_ex(digest, tls->trust, NULL) == 1;
    EVP_MD_CTX_free(digest);
    return is_done ? PH_OK : PH_ENOMEM;
}

// ---- a connection

ph_err phi_tls_open(SSL **out, const phi_tls *tls, const char *name, phi_diag *diag)
{
    PH_ASSERT((name != NULL) == (tls->side == PHI_TLS_CLIENT));
    SSL *ssl = SSL_new(tls->ctx);
    if (ssl == NULL) {
        ERR_clear_error();
        return PH_ENOMEM;
    }
    ph_err err = PH_OK;
    if (tls->side == PHI_TLS_CENTER) {
        SSL_set_accept_state(ssl);
    } else {
        SSL_set_connect_state(ssl);
        err = set_name(ssl, name, diag);
    }
    if (err != PH_OK) {
        SSL_free(ssl);
        ERR_clear_error();
        return err;
    }
    *out = ssl;
    return PH_OK;
}

// An address is looked for among the certificate's addresses, a name among its names. OpenSSL takes
// an empty name for none, and one with a dot in front for a whole domain: neither is a host.
static ph_err set_name(SSL *ssl, const char *name, phi_diag *diag)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    uint8_t ip[16];
    if (inet_pton(AF_INET, name, ip) == 1) {
        return X509_VERIFY_PARAM_set1_ip(param, ip, 4) == 1 ? PH_OK : PH_ENOMEM;
    }
    if (inet_pton(AF_INET6, name, ip) == 1) {
        return X509_VERIFY_PARAM_set1_ip(param, ip, 16) == 1 ? PH_OK : PH_ENOMEM;
    }
    size_t size = strlen(name);
    size -= size > 1 && name[size - 1] == '.'; // as DNS writes a whole name
    if (size == 0 || size > PHI_IDENTITY_NAME_BYTES_MAX || name[0] == '.' ||
        memchr(name, '*', size) != NULL) {
        return phi_diag_add(diag, PH_EINVAL, "'%.80s' is not the name of a host", name);
    }
    char host[PHI_IDENTITY_NAME_BYTES_MAX + 1];
    memcpy(host, name, size);
    host[size] = '\0';
    bool is_set =
        X509_VERIFY_PARAM_set1_host(param, host, size) == 1 && SSL_set_tlsext_host_name(ssl, host);
    return is_set ? PH_OK : PH_ENOMEM;
}

// ---- helpers

// All that are in it, at least one.
static ph_err read_certificates(STACK_OF(X509) * *out, phi_bytes pem, phi_diag *diag)
{
    BIO *bio = NULL;
    ph_err err = open_pem(&bio, pem, diag);
    if (err != PH_OK) {
        return err;
    }
    STACK_OF(X509) *all = sk_X509_new_null();
    err = all == NULL ? PH_ENOMEM : PH_OK;
    X509 *one;
    while (err == PH_OK && (one = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        if (sk_X509_push(all, one) <= 0) {
            X509_free(one);
            err = PH_ENOMEM;
        }
    }
    BIO_free(bio);
    if (err == PH_OK && !is_at_end_of_pem()) {
        err = phi_diag_add(diag, PH_EINVAL, "number %d in it cannot be read", sk_X509_num(all) + 1);
    }
    if (err == PH_OK && sk_X509_num(all) == 0) {
        err = phi_diag_add(diag, PH_EINVAL, "there is no certificate in it (PEM)");
    }
    if (err != PH_OK) {
        sk_X509_pop_free(all, X509_free);
        return err;
    }
    *out = all;
    return PH_OK;
}

static ph_err open_pem(BIO **out, phi_bytes pem, phi_diag *diag)
{
    if (pem.size > PHI_TLS_PEM_BYTES_MAX) {
        return phi_diag_add(diag, PH_EINVAL, "it has more than %u bytes", PHI_TLS_PEM_BYTES_MAX);
    }
    *out = BIO_new_mem_buf(pem.data, (int)pem.size);
    return *out == NULL ? PH_ENOMEM : PH_OK;
}

// The last read failed because there was nothing more, and for no other reason.
static bool is_at_end_of_pem(void)
{
    unsigned long error = ERR_peek_last_error();
    bool is_end = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    return is_end;
}

static bool is_over(const ASN1_TIME *time)
{
    return X509_cmp_time(time, NULL) < 0;
}
