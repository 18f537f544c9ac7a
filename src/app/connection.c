// SPDX-License-Identifier: Apache-2.0
//
// app/connection.c - a command's connection to the center.
//
// Design notes
// - The library dials again for ever, as a service wants. A command gives up at the first answer
//   that is not WELCOME, unless other addresses are left to try, and says what that answer was.
// - Only the public interface is used: what the command line can do, any program can.

#include "app/connection.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app/term.h"
#include "base/assert.h"
#include "io/address.h"
#include "io/tls.h"
#include "wire/name.h"

#define CENTERS_MAX 16u // that a client takes
#define SAY_WHY_MS 100  // for the client, whose own time is over then, to say what it met
#define BYE_WAIT_MS 500 // a center that does not take our bye is left without

static volatile sig_atomic_t is_interrupted;
static ph_loop *volatile loop_to_stop;

static void on_signal(int signum);
static void catch_signals(ph_loop *loop);
static void on_link(ph_client *client, const ph_link_change *change, void *arg);
static void on_token(ph_client *client, void *arg);
static exit_status usage_of(const ph_client_options *options);
static bool centers_are_addresses(const char *centers, phi_diag *diag);
static exit_status wait_until_up(connection *s);
static exit_status refused(const connection *s);
static void hint_unauthorised(const connection *s);
static size_t address_count(const char *centers);
static bool is_name(const char *text);
static void copy_view(char *out, size_t size, ph_view view);
static const char *advice_about(ph_err status, uint16_t code);
static const char *advice_of(uint16_t code);

exit_status connection_open(connection *s, const args *a, ph_client_options *options)
{
    PH_ASSERT(s->client == NULL);
    s->args = a;
    phi_diag diag = { "" };
    if (proof_take(&s->proof, a, options, &diag) != PH_OK) {
        term_error("%s", diag.text);
        return STATUS_USAGE;
    }
    ph_err rc = ph_loop_new(&s->loop);
    if (rc != PH_OK) {
        term_error("%s", ph_err_text(rc));
        return STATUS_FAILED;
    }
    catch_signals(s->loop);
    static const ph_suite suites[] = { PH_SUITE_PLAIN, PH_SUITE_CHECK, PH_SUITE_PAPER };
    options->loop = s->loop;
    options->centers = args_text(a, "center");
    options->account = args_text(a, "account");
    options->suite_floor = suites[args_number(a, "suite-floor")];
    options->software =
        options->software == NULL ? "posthouse " PH_VERSION_TEXT : options->software;
    options->connect_timeout_ms = (uint32_t)args_number(a, "timeout");
    options->on_link = on_link;
    options->on_token = proof_has_file(&s->proof) ? on_token : NULL;
    options->arg = s;
    rc = ph_client_new(&s->client, options);
    secret_fini(&s->proof.token); // the client has a copy
    if (rc == PH_EINVAL) {
        return usage_of(options);
    }
    if (rc == PH_OK) {
        rc = ph_client_open(s->client);
    }
    if (rc != PH_OK) {
        term_error("%s", ph_err_text(rc));
        return STATUS_FAILED;
    }
    return wait_until_up(s);
}

void connection_close(connection *s)
{
    if (s->client != NULL) {
        s->is_leaving = true;
        ph_client_close(s->client);
        uint64_t give_up = connection_now_ns() + BYE_WAIT_MS * UINT64_C(1000000);
        while (!s->is_closed && connection_now_ns() < give_up) {
            ph_loop_turn(s->loop, BYE_WAIT_MS / 10);
        }
        ph_client_free(&s->client);
    }
    proof_fini(&s->proof);
    loop_to_stop = NULL;
    ph_loop_free(&s->loop);
}

bool connection_turn(connection *s, int wait_ms)
{
    if (is_interrupted || s->is_closed) {
        return false;
    }
    ph_loop_turn(s->loop, wait_ms);
    return !is_interrupted && !s->is_closed;
}

exit_status connection_wait(connection *s, const bool *is_over)
{
    while (!*is_over) {
        if (!connection_turn(s, -1) && !*is_over) {
            return connection_broken(s);
        }
    }
    return STATUS_OK;
}

exit_status connection_broken(const connection *s)
{
    term_error("%s", is_interrupted ? "interrupted" : s->reason);
    return is_interrupted ? STATUS_FAILED : STATUS_CONNECT;
}

bool connection_is_interrupted(void)
{
    return is_interrupted != 0;
}

uint64_t connection_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

uint64_t connection_wall_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

bool connection_is_json(const args *a)
{
    return choice_index("json", args_text(a, "output")) == 0;
}

void connection_name_refused(const char *option_name, const char *value)
{
    term_error("%s '%s' is no name", option_name, value);
    term_hint("names are 1 to 64 of a-z 0-9 . _ -, beginning with a letter or digit");
}

bool connection_is_address(const char *to)
{
    phi_address_form form = phi_address_parse(phi_bytes_text(to)).form;
    if (form != PHI_ADDRESS_NONE && form != PHI_ADDRESS_MALFORMED) {
        return true; // an unknown scheme may be one of a later center's
    }
    term_error("'%s' is no address", to);
    term_hint("write account, account@domain or service:NAME (events: also all:NAME, all:, "
              "topic:NAME); names are 1 to 64 of a-z 0-9 . _ -, beginning with a letter or digit");
    return false;
}

exit_status connection_explain(const char *what, ph_err status, uint16_t code, ph_view from,
                               ph_view body)
{
    if (status == PH_EFAILURE) {
        bool is_own = code >= PH_FAILURE_APPLICATION;
        char number[16] = "";
        if (is_own) {
            snprintf(number, sizeof number, " %u", code);
        }
        const char *phrase = ph_failure_text(code);
        bool says_more = body.size != 0 && !(body.size == strlen(phrase) &&
                                             memcmp(body.data, phrase, body.size) == 0);
        term_error("%s failed: %s%s: %s%s%.*s", what, ph_failure_name(code), number, phrase,
                   says_more ? ": " : "", says_more ? (int)body.size : 0, body.data);
        term_detail("the failure comes from %.*s", (int)from.size, from.data);
    } else {
        term_error("%s: %s", what, ph_err_text(status));
    }
    const char *advice = advice_about(status, code);
    if (*advice != '\0') {
        term_hint("%s", advice);
    }
    switch ((int)status) {
    case PH_EFAILURE:
        return connection_failure_status(code);
    case PH_ETIMEDOUT:
        return STATUS_TIMEOUT;
    case PH_ENOTCONNECTED:
    case PH_ERESET:
        return STATUS_CONNECT;
    case PH_EINVAL:
    case PH_ETOOLARGE:
        return STATUS_USAGE;
    default:
        return STATUS_FAILED;
    }
}

exit_status connection_failure_status(uint16_t code)
{
    switch (code) {
    case PH_FAILURE_NO_SUCH_ACCOUNT:
    case PH_FAILURE_OFFLINE:
    case PH_FAILURE_NO_READY_INSTANCE:
    case PH_FAILURE_DOMAIN_UNKNOWN:
        return STATUS_NOT_FOUND;
    case PH_FAILURE_REFUSED_BY_POLICY:
    case PH_FAILURE_NOT_AUTHENTICATED:
        return STATUS_REFUSED;
    case PH_FAILURE_DEADLINE:
        return STATUS_TIMEOUT;
    case PH_FAILURE_ADDRESS_UNKNOWN:
        return STATUS_USAGE;
    default:
        return STATUS_FAILED;
    }
}

// ---- connecting

static void on_signal(int signum)
{
    (void)signum;
    is_interrupted = 1;
    if (loop_to_stop != NULL) {
        ph_loop_stop(loop_to_stop);
    }
}

static void catch_signals(ph_loop *loop)
{
    loop_to_stop = loop;
    struct sigaction action = { .sa_handler = on_signal };
    sigemptyset(&action.sa_mask);
    action.sa_flags = (int)SA_RESETHAND; // the second one ends the program
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static void on_link(ph_client *client, const ph_link_change *change, void *arg)
{
    (void)client;
    connection *s = arg;
    s->is_up = change->state == PH_LINK_UP;
    s->is_closed = change->state == PH_LINK_CLOSED;
    s->err = change->err;
    copy_view(s->bye, sizeof s->bye, change->bye);
    copy_view(s->reason, sizeof s->reason, change->text);
    char *outlook = strstr(s->reason, "; next try in ");
    if (outlook != NULL && !s->was_up) {
        *outlook = '\0'; // this command does not try again
    }
    if (s->is_up) {
        memcpy(s->ids[s->id_count++ % CONNECTION_IDS_MAX], s->id, sizeof s->id);
        copy_view(s->id, sizeof s->id, change->id);
    }
    if (!s->was_up || s->is_leaving) {
        return; // connection_open tells, or there is nothing to tell
    }
    if (s->is_up) {
        term_note("connected again as %s", s->id);
    } else if (change->err != PH_OK) {
        term_note("%s", s->reason);
    }
}

// What the client did not take.
static exit_status usage_of(const ph_client_options *options)
{
    phi_diag diag = { "" };
    if (!is_name(options->account)) {
        connection_name_refused("--account", options->account);
    } else if (!is_name(options->service)) {
        connection_name_refused("--service", options->service);
    } else if (!centers_are_addresses(options->centers, &diag)) {
        term_error("--center: %s", diag.text);
        term_hint("write HOST, HOST:PORT, tls:HOST or unix:PATH; several with commas");
    } else {
        term_error("an option of TLS is empty or too long, or metadata and token together are");
    }
    return STATUS_USAGE;
}

static bool centers_are_addresses(const char *centers, phi_diag *diag)
{
    if (address_count(centers) > CENTERS_MAX) {
        (void)phi_diag_add(diag, PH_EINVAL, "more than %u addresses", CENTERS_MAX);
        return false;
    }
    for (const char *at = centers;;) {
        char one[2 * PHI_ADDRESS_TEXT_MAX]; // what is cut is still too long
        size_t size = strcspn(at, ",");
        snprintf(one, sizeof one, "%.*s", (int)size, at);
        phi_endpoint endpoint;
        if (phi_endpoint_parse_dialled(one, &endpoint, diag) != PH_OK) {
            return false;
        }
        if (at[size] == '\0') {
            return true;
        }
        at += size + 1;
    }
}

// Its file may hold another one by now.
static void on_token(ph_client *client, void *arg)
{
    connection *s = arg;
    phi_diag diag = { "" };
    if (proof_renew(&s->proof, client, &diag) != PH_OK) {
        term_note("%s", diag.text);
    }
}

static exit_status wait_until_up(connection *s)
{
    uint64_t wait_ms = args_number(s->args, "timeout") + SAY_WHY_MS;
    uint64_t give_up = connection_now_ns() + wait_ms * UINT64_C(1000000);
    size_t tries = address_count(args_text(s->args, "center"));
    ph_err seen = PH_OK;
    while (!s->is_up && !s->is_closed && tries != 0) {
        uint64_t now = connection_now_ns();
        if (now >= give_up) {
            s->err = PH_ETIMEDOUT;
            break;
        }
        if (!connection_turn(s, (int)((give_up - now) / 1000000) + 1) && is_interrupted) {
            return STATUS_FAILED;
        }
        if (s->err != PH_OK && !s->is_up) { // an attempt failed
            seen = s->err;
            s->err = PH_OK;
            tries--;
        }
    }
    if (s->is_up) {
        s->was_up = true;
        term_detail("joined as %s", s->id);
        return STATUS_OK;
    }
    s->err = s->err == PH_OK ? seen : s->err;
    return refused(s);
}

static exit_status refused(const connection *s)
{
    const char *centers = args_text(s->args, "center");
    bool is_refusal = *s->bye != '\0' || s->err == PH_EREFUSED || s->err == PH_ESUITE;
    if (is_refusal) {
        term_error("%s", *s->reason == '\0' ? ph_err_text(s->err) : s->reason);
        if (strcmp(s->bye, "account_taken") == 0) {
            term_hint("'%s' joins once at a time; posthouse ls shows who is online",
                      args_text(s->args, "account"));
        } else if (s->err == PH_ESUITE) {
            term_hint("serve --suite there, or --suite-floor here, has to change");
        } else if (strcmp(s->bye, "not_authorised") == 0) {
            hint_unauthorised(s);
        }
        return STATUS_REFUSED;
    }
    if (s->err == PH_ETLS) {
        term_error("%s", s->reason);
        if (strstr(s->reason, PHI_TLS_REFUSED) != NULL) {
            return STATUS_REFUSED; // it is there, and does not want us
        }
        if (strstr(s->reason, PHI_TLS_UNKNOWN) != NULL) {
            term_hint("--tls-ca names the file of the authority that signed it");
        }
        return STATUS_CONNECT;
    }
    if (s->err == PH_ETIMEDOUT && *s->reason == '\0') {
        term_error("cannot connect to %s: no answer within --timeout", centers);
    } else {
        term_error("%s", *s->reason == '\0' ? ph_err_text(s->err) : s->reason);
    }
    term_hint("is a center running there? posthouse serve starts one; --center says where it is");
    return STATUS_CONNECT;
}

// By what it tried, and what the center says of it: docs/protocol.md P-77.
static void hint_unauthorised(const connection *s)
{
    if (strstr(s->reason, " may not ") != NULL) {
        term_hint("who it is, is believed; what it wants takes a rule (may: register), or another "
                  "--account: posthouse may, with the center's configuration, says what it may");
    } else if (s->proof.has_token) {
        term_hint("posthouse token inspect says what the token holds, and with --keys whether it "
                  "is good");
    } else if (args_text(s->args, "tls-cert") != NULL) {
        term_hint("posthouse cert show says what the certificate names, and what is wrong with it");
    } else {
        term_hint("prove who you are with --token-file, or with --tls-cert and --tls-key");
    }
}

static size_t address_count(const char *centers)
{
    size_t count = 1;
    for (const char *p = centers; *p != '\0'; p++) {
        count += *p == ',';
    }
    return count;
}

// None is as good as one.
static bool is_name(const char *text)
{
    return text == NULL || phi_name_is_valid(phi_bytes_text(text));
}

static void copy_view(char *out, size_t size, ph_view view)
{
    size_t used = view.size < size ? view.size : size - 1;
    if (used != 0) {
        memcpy(out, view.data, used);
    }
    out[used] = '\0';
}

static const char *advice_about(ph_err status, uint16_t code)
{
    switch ((int)status) {
    case PH_EFAILURE:
        return advice_of(code);
    case PH_ETIMEDOUT:
        return advice_of(PH_FAILURE_DEADLINE);
    case PH_ETOOLARGE:
        return advice_of(PH_FAILURE_TOO_LARGE);
    case PH_EINVAL:
        return "TO is 1 to 255 bytes, METHOD at most 255";
    default:
        return "";
    }
}

// What to do about a failure: docs/protocol.md P-58, for people at a terminal.
static const char *advice_of(uint16_t code)
{
    switch (code) {
    case PH_FAILURE_NO_SUCH_ACCOUNT:
        return "is it started, is the name right? posthouse ls shows who is online (column ID)";
    case PH_FAILURE_DOMAIN_UNKNOWN:
        return "leave @domain out for the center's own domain";
    case PH_FAILURE_TOO_LARGE:
        return "send less; message_max at the center says how much (posthouse doc limits)";
    case PH_FAILURE_TOO_MANY_CALLS:
        return "wait for some to end, or raise calls_per_client_max at the center";
    case PH_FAILURE_SLOW_CONSUMER:
        return "it does not read what it is sent: is it stopped, or overloaded?";
    case PH_FAILURE_DEADLINE:
        return "it may or may not have been done; --timeout sets how long to wait";
    case PH_FAILURE_RESPONDER_LOST:
        return "it may or may not have been done; posthouse watch shows when it is back";
    case PH_FAILURE_ADDRESS_UNKNOWN:
        return "write account, account@domain or service:NAME; events also go to all:, all:NAME, "
               "topic:NAME";
    case PH_FAILURE_MALFORMED:
        return "TO is account, account@domain or service:NAME, of a-z 0-9 . _ - only";
    case PH_FAILURE_UNSUPPORTED:
        return "a call goes to one account or service:NAME; to ask all instances: posthouse "
               "gather; all: is for events (posthouse send)";
    case PH_FAILURE_OFFLINE:
        return "it may come back in a moment; posthouse watch shows when";
    case PH_FAILURE_NO_READY_INSTANCE:
        return "is one started, are all draining? posthouse ls --service NAME shows their states";
    case PH_FAILURE_REFUSED_BY_POLICY:
        return "posthouse may, with the center's configuration, says what is allowed to whom";
    case PH_FAILURE_NO_HANDLER:
        return "it is online, but does not answer this method";
    default:
        return "";
    }
}
