// SPDX-License-Identifier: Apache-2.0
//
// app/cmd_cert_show.c - posthouse cert show: what certificates and lists of revoked ones say, and
// what would make a center or a client refuse them.
//
// Design notes
// - What is judged here is what can be seen in the file alone. Whether it is trusted is the other
//   end's business: it has the authorities.
// - All that a certificate says is foreign text.

#include "app/cmd_cert.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "app/term.h"
#include "auth/principal.h"
#include "base/assert.h"
#include "text/json.h"

#define SECONDS_PER_DAY 86400
#define SECURITY_BITS_MIN 112 // RSA of 2,048 bits, EC of 224
#define OBJECTS_MAX 64        // of one file
#define WARNINGS_MAX 12
#define WARNING_BYTES 200
#define LABEL_COLUMNS 10

typedef struct warnings {
    size_t count;
    char items[WARNINGS_MAX][WARNING_BYTES];
} warnings;

// One certificate, or one list, as it will be told.
typedef struct report {
    const char *file;
    draft subject; // empty for a list
    draft names;
    draft issuer;
    draft serial;
    draft key;
    draft good_for;
    time_t from;
    time_t until;
    size_t revoked; // of a list
    bool is_list;
    warnings warnings;
} report;

static bool show_file(const char *path, time_t now, phi_json *j, draft *out);
static size_t show_objects(const char *path, BIO *pem, time_t now, phi_json *j, draft *out);
static void say_nothing_shown(const char *path, phi_bytes file);
static void report_init(report *r, const char *file);
static void report_fini(report *r);
static void describe(report *r, X509 *c, time_t now);
static void describe_list(report *r, X509_CRL *list, time_t now);
static void describe_use(report *r, X509 *c, const cert_names *names);
static void describe_names(report *r, X509 *c, const cert_names *names);
static void judge_name(report *r, const cert_name *name);
static void judge_strength(report *r, X509 *c);
static void judge_times(report *r, time_t now);
PHI_PRINTF(2, 3) static void warn(report *r, const char *format, ...);
static void print_text(report *r, time_t now, draft *out);
static void print_line(draft *out, const char *label, draft *text);
static void print_time(draft *out, const char *label, time_t t);
static void print_json(report *r, time_t now, phi_json *j);
static void json_time(phi_json *j, const char *key, time_t t);
static void time_text(time_t t, char out[32]);
static long long days_until(time_t until, time_t now);

exit_status cert_show(const args *a)
{
    bool is_json = choice_index("json", args_text(a, "output")) == 0;
    time_t now = time(NULL);
    exit_status status = STATUS_OK;
    draft out;
    draft_init(&out);
    phi_json j;
    phi_json_init_buf(&j, &out.buf);
    if (is_json) {
        phi_json_array_begin(&j);
    }
    for (size_t i = 1; i < a->word_count; i++) {
        if (!show_file(a->words[i], now, is_json ? &j : NULL, &out)) {
            status = STATUS_FAILED;
        }
    }
    if (is_json) {
        phi_json_array_end(&j);
        draft_json_end(&out, &j);
    }
    term_print(&out);
    draft_fini(&out);
    return status;
}

// False when there was nothing in it to show.
static bool show_file(const char *path, time_t now, phi_json *j, draft *out)
{
    phi_diag diag = { { 0 } };
    draft file;
    draft_init(&file);
    size_t shown = 0;
    if (cert_file_read(path, &file, &diag) != PH_OK) {
        term_error("cert show: %s", diag.text);
    } else {
        phi_bytes bytes = draft_view(&file);
        BIO *pem = BIO_new_mem_buf(bytes.data, (int)bytes.size);
        shown = pem == NULL ? 0 : show_objects(path, pem, now, j, out);
        BIO_free(pem);
        if (shown == 0) {
            say_nothing_shown(path, bytes);
        }
    }
    draft_fini(&file);
    return shown != 0;
}

// A private key is what lies beside a certificate, and is soon named in its place.
static void say_nothing_shown(const char *path, phi_bytes file)
{
    static const char mark[] = "PRIVATE KEY-----";
    if (memmem(file.data, file.size, mark, sizeof mark - 1) == NULL) {
        term_error("cert show: %s: there is no certificate in it, and no list of revoked ones "
                   "(PEM)",
                   path);
        return;
    }
    term_error("cert show: %s: that is a private key, which is shown to nobody", path);
    size_t size = strlen(path);
    bool is_named = size > 4 && strcmp(path + size - 4, ".key") == 0;
    draft stem;
    draft word;
    draft_init(&stem);
    draft_init(&word);
    draft_format(&stem, "%.*s.crt", (int)(is_named ? size - 4 : size), path);
    draft_shell(&word, is_named ? draft_chars(&stem) : "FILE.crt");
    term_hint("posthouse cert show %s says what its certificate does", draft_chars(&word));
    draft_fini(&word);
    draft_fini(&stem);
}

// All of a file, in its order. What is neither is passed over: a key, perhaps.
static size_t show_objects(const char *path, BIO *pem, time_t now, phi_json *j, draft *out)
{
    size_t shown = 0;
    char *name;
    char *header;
    unsigned char *data;
    long size;
    while (shown < OBJECTS_MAX && PEM_read_bio(pem, &name, &header, &data, &size) == 1) {
        const unsigned char *at = data;
        X509 *c = NULL;
        X509_CRL *list = NULL;
        if (strcmp(name, PEM_STRING_X509) == 0) {
            c = d2i_X509(NULL, &at, size);
        } else if (strcmp(name, PEM_STRING_X509_CRL) == 0) {
            list = d2i_X509_CRL(NULL, &at, size);
        }
        if (c != NULL || list != NULL) {
            report r;
            report_init(&r, path);
            if (c != NULL) {
                describe(&r, c, now);
            } else {
                describe_list(&r, list, now);
            }
            if (j != NULL) {
                print_json(&r, now, j);
            } else {
                draft_add(out, draft_size(out) == 0 ? "" : "\n");
                print_text(&r, now, out);
            }
            report_fini(&r);
            shown++;
        }
        X509_free(c);
        X509_CRL_free(list);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(data, (size_t)size);
    }
    ERR_clear_error(); // the end of the file is one
    return shown;
}

static void report_init(report *r, const char *file)
{
    memset(r, 0, sizeof *r);
    r->file = file;
    draft_init(&r->subject);
    draft_init(&r->names);
    draft_init(&r->issuer);
    draft_init(&r->serial);
    draft_init(&r->key);
    draft_init(&r->good_for);
}

static void report_fini(report *r)
{
    draft_fini(&r->subject);
    draft_fini(&r->names);
    draft_fini(&r->issuer);
    draft_fini(&r->serial);
    draft_fini(&r->key);
    draft_fini(&r->good_for);
}

// ---- what it says

static void describe(report *r, X509 *c, time_t now)
{
    cert_names names;
    cert_names_of(c, &names);
    cert_subject_show(X509_get_subject_name(c), &r->subject);
    cert_subject_show(X509_get_issuer_name(c), &r->issuer);
    cert_serial_show(X509_get0_serialNumber(c), &r->serial);
    cert_names_show(&names, &r->names);
    cert_key_show(X509_get0_pubkey(c), &r->key);
    r->from = cert_time(X509_get0_notBefore(c));
    r->until = cert_time(X509_get0_notAfter(c));
    judge_times(r, now);
    judge_strength(r, c);
    describe_use(r, c, &names);
}

static void describe_list(report *r, X509_CRL *list, time_t now)
{
    r->is_list = true;
    cert_subject_show(X509_CRL_get_issuer(list), &r->issuer);
    r->from = cert_time(X509_CRL_get0_lastUpdate(list));
    r->until = cert_time(X509_CRL_get0_nextUpdate(list));
    int count = sk_X509_REVOKED_num(X509_CRL_get_REVOKED(list));
    r->revoked = count < 0 ? 0 : (size_t)count;
    judge_times(r, now);
}

static void describe_use(report *r, X509 *c, const cert_names *names)
{
    uint32_t flags = X509_get_extension_flags(c);
    uint32_t usage = X509_get_key_usage(c);
    uint32_t purpose = X509_get_extended_key_usage(c);
    if ((flags & EXFLAG_INVALID) != 0) {
        warn(r, "an extension of it is malformed, or there twice");
    }
    if ((flags & EXFLAG_CRITICAL) != 0) {
        warn(r, "it has a critical extension that is not understood");
    }
    if ((flags & EXFLAG_CA) != 0) {
        bool may_sign = (usage & KU_KEY_CERT_SIGN) != 0;
        long depth = X509_get_pathlen(c);
        draft_add(&r->good_for, may_sign ? "signing certificates" : "nothing");
        if (may_sign && depth >= 0) {
            draft_format(&r->good_for, " (%s%ld authorities below it)",
                         depth == 0 ? "" : "at most ", depth);
        }
        if (!may_sign) {
            warn(r, "an authority whose key usage does not allow it to sign certificates");
        } else if ((usage & KU_CRL_SIGN) == 0) {
            warn(r, "it may not sign lists of revoked certificates");
        }
        return;
    }
    if (X509_get_version(c) != X509_VERSION_3) {
        warn(r, "it is of version %ld: without a SAN it names nobody", X509_get_version(c) + 1);
    }
    if ((usage & KU_DIGITAL_SIGNATURE) == 0) {
        warn(r, "its key usage does not allow signatures, without which there is no TLS 1.3");
    }
    bool has_purpose = (flags & EXFLAG_XKUSAGE) != 0;
    bool is_center = has_purpose && (purpose & XKU_SSL_SERVER) != 0;
    bool is_client = has_purpose && (purpose & XKU_SSL_CLIENT) != 0;
    draft_add(&r->good_for, is_center && is_client ? "a center and a client"
                            : is_center            ? "a center"
                            : is_client            ? "a client"
                                                   : "nothing");
    if (!is_center && !is_client) {
        warn(r, "its extended key usage names neither serverAuth nor clientAuth");
    }
    describe_names(r, c, names);
}

static void describe_names(report *r, X509 *c, const cert_names *names)
{
    if (names->count == 0) {
        bool has_text = X509_NAME_entry_count(X509_get_subject_name(c)) != 0;
        warn(r, "it has no SAN%s", has_text ? ": the text of its subject is never read" : "");
    }
    for (size_t i = 0; i < names->count; i++) {
        judge_name(r, &names->items[i]);
    }
}

static void judge_name(report *r, const cert_name *name)
{
    phi_bytes text = phi_bytes_of(name->text, name->size);
    draft shown;
    draft_init(&shown);
    draft_printable(&shown, text);
    if (memchr(text.data, '\0', text.size) != NULL) {
        warn(r, "'%s' holds a zero byte", draft_chars(&shown));
    } else if (name->kind == CERT_NAME_DNS && memchr(text.data, '*', text.size) != NULL) {
        warn(r, "'%s' is a wildcard, which posthouse believes of nobody", draft_chars(&shown));
    } else if (name->kind == CERT_NAME_URI) {
        static const char head[] = "posthouse://";
        const uint8_t *slash =
            text.size <= sizeof head - 1
                ? NULL
                : memchr(text.data + sizeof head - 1, '/', text.size - (sizeof head - 1));
        phi_bytes account;
        bool is_ours =
            slash != NULL &&
            phi_principal_of_uri(text,
                                 phi_bytes_of(text.data + sizeof head - 1,
                                              (size_t)(slash - text.data) - (sizeof head - 1)),
                                 &account);
        if (!is_ours) {
            warn(r, "'%s' names no account: it would be posthouse://DOMAIN/NAME",
                 draft_chars(&shown));
        }
    }
    draft_fini(&shown);
}

static void judge_strength(report *r, X509 *c)
{
    const EVP_PKEY *key = X509_get0_pubkey(c);
    int digest = NID_undef;
    int bits = 0;
    if (key == NULL) {
        warn(r, "its key is of a kind, or on a curve, that is not known here");
    } else if (EVP_PKEY_get_security_bits(key) < SECURITY_BITS_MIN) {
        warn(r, "its key is too weak");
    }
    if (X509_get_signature_info(c, &digest, NULL, &bits, NULL) != 1 || bits < SECURITY_BITS_MIN) {
        warn(r, "it is signed with %s, which is too weak",
             digest == NID_undef ? "something unknown" : OBJ_nid2ln(digest));
    }
    if (X509_get0_pubkey(c) != NULL && X509_check_issued(c, c) == X509_V_OK &&
        (X509_get_extension_flags(c) & EXFLAG_CA) == 0) {
        warn(r, "it has signed itself: no authority vouches for it");
    }
}

static void judge_times(report *r, time_t now)
{
    long long days = days_until(r->until, now);
    const char *what =
        r->is_list ? "a center believes no certificate of its issuer any more" : "renew it";
    if (r->from > now) {
        warn(r, "it is not yet valid");
    }
    if (r->until <= now) {
        warn(r, "it has expired: %s", what);
    } else if (days < CERT_SOON_DAYS) {
        warn(r, "it ends in %lld days", days);
    }
}

static void warn(report *r, const char *format, ...)
{
    if (r->warnings.count == WARNINGS_MAX) {
        return;
    }
    va_list list;
    va_start(list, format);
    vsnprintf(r->warnings.items[r->warnings.count++], WARNING_BYTES, format, list);
    va_end(list);
}

// ---- how it is told

static void print_text(report *r, time_t now, draft *out)
{
    term_style style = term_style_of(1);
    draft_format(out, "%s%s%s%s\n", style.bold, r->file, style.reset,
                 r->is_list ? ": revoked certificates" : "");
    if (!r->is_list) {
        print_line(out, "subject", &r->subject);
        print_line(out, "names", &r->names);
    }
    print_line(out, "issuer", &r->issuer);
    if (!r->is_list) {
        print_line(out, "serial", &r->serial);
        print_line(out, "key", &r->key);
        print_line(out, "good for", &r->good_for);
    }
    print_time(out, "from", r->from);
    print_time(out, "until", r->until);
    draft_format(out, "  %-*s  %lld\n", LABEL_COLUMNS, "days left", days_until(r->until, now));
    if (r->is_list) {
        draft_format(out, "  %-*s  %zu\n", LABEL_COLUMNS, "revoked", r->revoked);
    }
    for (size_t i = 0; i < r->warnings.count; i++) {
        draft_format(out, "  %s%-*s%s  %s\n", style.yellow, LABEL_COLUMNS, "warning", style.reset,
                     r->warnings.items[i]);
    }
}

static void print_line(draft *out, const char *label, draft *text)
{
    bool is_empty = draft_size(text) == 0;
    draft_format(out, "  %-*s  %s\n", LABEL_COLUMNS, label, is_empty ? "-" : draft_chars(text));
}

static void print_time(draft *out, const char *label, time_t t)
{
    char text[32];
    time_text(t, text);
    draft_format(out, "  %-*s  %s\n", LABEL_COLUMNS, label, text);
}

static void print_json(report *r, time_t now, phi_json *j)
{
    phi_json_object_begin(j);
    phi_json_key(j, "file");
    phi_json_text(j, r->file);
    phi_json_key(j, "what");
    phi_json_text(j, r->is_list ? "revoked" : "certificate");
    const struct {
        const char *key;
        draft *text;
    } lines[] = {
        { "subject", &r->subject }, { "names", &r->names }, { "issuer", &r->issuer },
        { "serial", &r->serial },   { "key", &r->key },     { "good_for", &r->good_for }
    };
    for (size_t i = 0; i < PHI_COUNT_OF(lines); i++) {
        if (!r->is_list || lines[i].text == &r->issuer) {
            phi_json_key(j, lines[i].key);
            phi_json_string(j, draft_view(lines[i].text));
        }
    }
    if (r->is_list) {
        phi_json_key(j, "revoked");
        phi_json_u64(j, r->revoked);
    }
    json_time(j, "from", r->from);
    json_time(j, "until", r->until);
    phi_json_key(j, "days_left");
    phi_json_decimal(j, (double)days_until(r->until, now), 0);
    phi_json_key(j, "warnings");
    phi_json_array_begin(j);
    for (size_t i = 0; i < r->warnings.count; i++) {
        phi_json_text(j, r->warnings.items[i]);
    }
    phi_json_array_end(j);
    phi_json_object_end(j);
}

static void json_time(phi_json *j, const char *key, time_t t)
{
    char text[32];
    time_text(t, text);
    phi_json_key(j, key);
    phi_json_text(j, text);
}

static void time_text(time_t t, char out[32])
{
    struct tm fields;
    if (t == 0 || gmtime_r(&t, &fields) == NULL ||
        strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &fields) == 0) {
        snprintf(out, 32, "?");
    }
}

// Whole ones; negative when it is over.
static long long days_until(time_t until, time_t now)
{
    long long left = (long long)until - (long long)now;
    return left >= 0 ? left / SECONDS_PER_DAY : -((-left + SECONDS_PER_DAY - 1) / SECONDS_PER_DAY);
}
