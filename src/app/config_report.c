// SPDX-License-Identifier: Apache-2.0
//
// app/config_report.c - see config_report.h.

#include "app/config_report.h"

#include "app/cert.h"
#include "app/config_safe.h"
#include "app/table.h"
#include "base/assert.h"

#define PROOFS_MAX 4

// How somebody proves on a listener who he is.
typedef struct proofs {
    size_t count;
    const char *words[PROOFS_MAX]; // "certificate", "token", "user", "anybody", ...
} proofs;

static void json_listeners(const config *c, phi_json *j);
static void json_certificate(const config *c, const security *s, uint64_t now_s, phi_json *j);
static void json_revocations(const security *s, uint64_t now_s, phi_json *j);
static void json_warnings(const security *s, uint64_t now_s, phi_json *j);
static const char *protection_of(const config *c, const listener *l);
static proofs proofs_of(const config *c, const listener *l);
static void add_proof(proofs *p, bool is_accepted, const char *word);
static void show_certificate(const config *c, const security *s, uint64_t now_s, draft *out);
static bool read_names(const config *c, cert_names *out);
static void name_text(const cert_name *name, draft *out);

// ---- for people

void config_report_table(const config *c, const security *s, uint64_t now_s, draft *out)
{
    table t;
    draft cell;
    draft_init(&cell);
    table_init(&t, (const char *const[]){ "LISTENER", "PROTECTED BY", "WHO MAY JOIN" }, 3);
    for (size_t i = 0; i < c->listen_count; i++) {
        listener l = config_listener_at(c, i);
        proofs p = proofs_of(c, &l);
        draft_clear(&cell);
        for (size_t k = 0; k < p.count; k++) {
            draft_format(&cell, "%s%s", k == 0 ? "" : ", ", p.words[k]);
        }
        table_text(&t, c->listen[i]);
        table_text(&t, protection_of(c, &l));
        table_cell(&t, draft_view(&cell));
    }
    draft_add(out, "\n");
    table_render(&t, out, term_style_of(1));
    table_fini(&t);

    const security_facts *facts = security_get_facts(s);
    table_init(&t, (const char *const[]){ "FOUND", "WHAT" }, 2);
    table_text(&t, "certificate");
    draft_clear(&cell);
    show_certificate(c, s, now_s, &cell);
    table_cell(&t, draft_view(&cell));
    uint64_t days = security_revocations_days_left(s, now_s);
    table_text(&t, "lists of revoked certificates");
    table_format(&t, days == SECURITY_NO_REVOCATIONS ? "none that ends" : "%llu days left",
                 (unsigned long long)days);
    table_text(&t, "keys of tokens");
    table_format(&t, facts->keys_skipped == 0 ? "%u" : "%u, and %u of kinds that are not for this",
                 facts->keys, facts->keys_skipped);
    table_text(&t, "users");
    table_format(&t, "%zu", c->user_count);
    table_text(&t, "rules");
    table_format(&t, c->rules == NULL ? "none" : "%u", facts->rules);
    draft_add(out, "\n");
    table_render(&t, out, term_style_of(1));
    table_fini(&t);
    draft_fini(&cell);
}

static void show_certificate(const config *c, const security *s, uint64_t now_s, draft *out)
{
    uint64_t days = security_days_left(s, now_s);
    static cert_names names; // large
    if (days == SECURITY_NO_CERTIFICATE) {
        draft_add(out, "none");
        return;
    }
    draft_format(out, "%llu days left: ", (unsigned long long)days);
    if (read_names(c, &names)) {
        cert_names_show(&names, out);
    }
}

// ---- for programs

void config_report_json(const config *c, const security *s, uint64_t now_s, phi_json *j)
{
    const security_facts *facts = security_get_facts(s);
    json_listeners(c, j);
    json_certificate(c, s, now_s, j);
    json_revocations(s, now_s, j);
    phi_json_key(j, "token_keys");
    phi_json_u64(j, facts->keys);
    phi_json_key(j, "token_keys_skipped");
    phi_json_u64(j, facts->keys_skipped);
    json_warnings(s, now_s, j);
}

static void json_listeners(const config *c, phi_json *j)
{
    phi_json_key(j, "listeners");
    phi_json_array_begin(j);
    for (size_t i = 0; i < c->listen_count; i++) {
        listener l = config_listener_at(c, i);
        proofs p = proofs_of(c, &l);
        phi_json_object_begin(j);
        phi_json_key(j, "address");
        phi_json_text(j, c->listen[i]);
        phi_json_key(j, "kind");
        phi_json_text(j, center_listener_name(l.kind));
        phi_json_key(j, "protection");
        phi_json_text(j, protection_of(c, &l));
        phi_json_key(j, "may_join");
        phi_json_array_begin(j);
        for (size_t k = 0; k < p.count; k++) {
            phi_json_text(j, p.words[k]);
        }
        phi_json_array_end(j);
        phi_json_object_end(j);
    }
    phi_json_array_end(j);
}

static void json_certificate(const config *c, const security *s, uint64_t now_s, phi_json *j)
{
    phi_json_key(j, "certificate");
    uint64_t days = security_days_left(s, now_s);
    static cert_names names;
    if (days == SECURITY_NO_CERTIFICATE) {
        phi_json_null(j);
    } else {
        phi_json_object_begin(j);
        phi_json_key(j, "days_left");
        phi_json_u64(j, days);
        phi_json_key(j, "names");
        phi_json_array_begin(j);
        draft text;
        draft_init(&text);
        for (size_t i = 0; read_names(c, &names) && i < names.count; i++) {
            draft_clear(&text);
            name_text(&names.items[i], &text);
            phi_json_string(j, draft_view(&text));
        }
        draft_fini(&text);
        phi_json_array_end(j);
        phi_json_object_end(j);
    }
}

static void json_revocations(const security *s, uint64_t now_s, phi_json *j)
{
    uint64_t days = security_revocations_days_left(s, now_s);
    phi_json_key(j, "revocations");
    if (days == SECURITY_NO_REVOCATIONS) {
        phi_json_null(j);
        return;
    }
    phi_json_object_begin(j);
    phi_json_key(j, "days_left");
    phi_json_u64(j, days);
    phi_json_object_end(j);
}

static void json_warnings(const security *s, uint64_t now_s, phi_json *j)
{
    phi_json_key(j, "warnings");
    phi_json_array_begin(j);
    for (security_warning w = 0; w < SECURITY_WARN_COUNT; w++) {
        if (security_warns(s, w, now_s)) {
            const phi_log_event *e = app_event_get(security_event(w));
            phi_json_object_begin(j);
            phi_json_key(j, "event");
            phi_json_text(j, e->id);
            phi_json_key(j, "text");
            phi_json_text(j, e->text);
            phi_json_key(j, "advice");
            phi_json_text(j, e->advice);
            phi_json_object_end(j);
        }
    }
    phi_json_array_end(j);
}

// ---- what it comes to

static const char *protection_of(const config *c, const listener *l)
{
    bool has_tls12 = config_flag(c, CONFIG_tls_allow_1_2);
    switch (l->kind) {
    case CENTER_LISTENER_PLAIN:
        return l->is_local ? "this machine only" : "nothing: insecure_allow_remote";
    case CENTER_LISTENER_TLS:
        return has_tls12 ? "TLS 1.2 or 1.3" : "TLS 1.3";
    case CENTER_LISTENER_CENTERS:
        return has_tls12 ? "TLS 1.2 or 1.3, both ends" : "TLS 1.3, both ends";
    case CENTER_LISTENER_COUNT:
        break;
    }
    PH_UNREACHABLE("no such kind of listener");
}

// Who dials from this machine is of it on every listener [center/identity.c]; but where TLS wants a
// certificate, nobody comes so far without.
static proofs proofs_of(const config *c, const listener *l)
{
    proofs p = { 0 };
    bool is_unix = l->address[0] == 'u';
    bool is_plain = l->kind == CENTER_LISTENER_PLAIN;
    bool is_tls = l->kind == CENTER_LISTENER_TLS;
    bool asks = config_is_set(c, CONFIG_tls_authorities); // else nobody is asked for one
    bool is_required = is_tls && config_is_choice(c, CONFIG_tls_peers, "required");
    bool is_free = (is_plain || is_tls) && !is_required;
    bool is_open_here = is_free && config_is_choice(c, CONFIG_anonymous, "local");
    bool is_here_only = is_plain && l->is_local;
    bool is_open =
        is_here_only ? is_open_here : is_free && config_flag(c, CONFIG_insecure_allow_anonymous);
    add_proof(&p, l->kind == CENTER_LISTENER_CENTERS || (is_tls && asks), "certificate");
    add_proof(&p, is_free && config_has_tokens(c), "token");
    add_proof(&p, is_unix && c->user_count != 0, "user");
    add_proof(&p, is_open, "anybody");
    add_proof(&p, is_open_here && !is_open, "anybody of this machine");
    add_proof(&p, p.count == 0, "nobody");
    return p;
}

static void add_proof(proofs *p, bool is_accepted, const char *word)
{
    if (is_accepted) {
        PH_ASSERT(p->count < PROOFS_MAX);
        p->words[p->count++] = word;
    }
}

// Of the center's own certificate, which a snapshot was made of just before.
static bool read_names(const config *c, cert_names *out)
{
    X509 *certificate = NULL;
    if (cert_read(config_text(c, CONFIG_tls_certificate), &certificate, NULL) != PH_OK) {
        return false;
    }
    cert_names_of(certificate, out);
    X509_free(certificate);
    return true;
}

static void name_text(const cert_name *name, draft *out)
{
    draft_format(out, "%s ", cert_name_kind_text(name->kind));
    draft_bytes(out, phi_bytes_of(name->text, name->size));
}
