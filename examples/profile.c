// SPDX-License-Identifier: Apache-2.0
//
// profile - a service that calls two others, assembles its answer from theirs, and asks its caller
// back when it has to.
//
//     posthouse call profile by_code JP
//     posthouse call profile by_name Korea --on-inquiry 'grep South'
//
// by_code asks `countries` for the country, then `currencies` for its currency, and answers with
// both. by_name does the same; but where a name fits several countries it first asks the caller
// which one is meant, inside the call, with an inquiry:
//
//     method   which_country
//     body     a line for each: its two letters, a blank, its name
//     answer   begins with the two letters of one of them
//
// What to learn here: a request may be answered long after its callback returned. Its id is a value
// that is kept with what is known so far, while any number of others are served. Nothing waits.
// What is asked of others for its sake is asked `within` it, and so keeps to its time.

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <posthouse/posthouse.h>

#define NOT_FOUND 1000 // as countries and currencies use it
#define AMBIGUOUS 1001

static ph_loop *loop;

// A request on its way. It waits for one thing at a time: a service, or its own caller.
typedef struct profile {
    ph_request_id request;
    json_t *countries; // those that fit; NULL until countries answered
    json_t *country;   // the one that is meant, borrowed from them
} profile;

static void on_country(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
                       const ph_incoming *reply, void *arg);
static void on_countries(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
                         const ph_incoming *reply, void *arg);
static void on_which(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
                     const ph_incoming *answer, void *arg);
static void on_currency(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
                        const ph_incoming *reply, void *arg);

static void on_signal(int signum)
{
    (void)signum;
    ph_loop_stop(loop);
}

// ---- how a request ends

static void forget(profile *p)
{
    json_decref(p->countries);
    free(p);
}

// The caller learns which service it was, and why.
static void fail(ph_client *client, profile *p, uint16_t code, const char *who, const char *why)
{
    char text[512];
    snprintf(text, sizeof text, "%s: %s", who, why);
    if (ph_client_fail(client, p->request, code, text) != PH_OK) {
        fprintf(stderr, "profile: a failure was lost: %s\n", text);
    }
    forget(p);
}

// A call of ours went wrong. What the service itself said (1000 and above) is passed on.
static void fail_as(ph_client *client, profile *p, const char *service, ph_err status,
                    uint16_t code, const ph_incoming *reply)
{
    if (status == PH_EFAILURE && code >= PH_FAILURE_APPLICATION) {
        char why[256];
        snprintf(why, sizeof why, "%.*s", (int)reply->body.size, reply->body.data);
        fail(client, p, code, service, why);
    } else {
        const char *why = status == PH_EFAILURE ? ph_failure_name(code) : ph_err_text(status);
        fail(client, p, PH_FAILURE_RESPONDER_FAILED, service, why);
    }
}

// ---- what is asked of others

static void call(ph_client *client, profile *p, const char *service, const char *method,
                 ph_view body, ph_reply_fn *done)
{
    ph_outgoing request = PH_OUTGOING_INIT;
    request.to = service;
    request.method = method;
    request.body = body.data; // copied by ph_client_request
    request.body_size = body.size;
    request.within = &p->request; // over when that one is
    ph_err rc = ph_client_request(client, &request, NULL, done, p);
    if (rc != PH_OK) { // then `done` will not run
        fail_as(client, p, service, rc, 0, NULL);
    }
}

static void call_currencies(ph_client *client, profile *p)
{
    char *country = json_dumps(p->country, JSON_COMPACT);
    ph_view body = { country, country == NULL ? 0 : strlen(country) };
    call(client, p, "currencies", "for_country", body, on_currency);
    free(country);
}

// Which countries there are to choose from, as many as fit, with `between` between them.
static void list(const profile *p, char *text, size_t size, const char *between)
{
    size_t used = 0;
    size_t index;
    json_t *country;
    text[0] = '\0';
    json_array_foreach(p->countries, index, country)
    {
        const char *code = json_string_value(json_object_get(country, "alpha_2"));
        const char *name = json_string_value(json_object_get(country, "common_name"));
        if (name == NULL) {
            name = json_string_value(json_object_get(country, "name"));
        }
        if (code == NULL || name == NULL ||
            strlen(between) + strlen(code) + 1 + strlen(name) >= size - used) {
            return;
        }
        used += (size_t)snprintf(text + used, size - used, "%s%s %s", index == 0 ? "" : between,
                                 code, name);
    }
}

static void ask_which(ph_client *client, profile *p)
{
    char choices[8192];
    list(p, choices, sizeof choices, "\n");
    ph_outgoing question = PH_OUTGOING_INIT;
    question.method = "which_country";
    question.body = choices;
    question.body_size = strlen(choices);
    ph_err rc = ph_client_ask(client, p->request, &question, NULL, on_which, p);
    if (rc != PH_OK) {
        fail_as(client, p, "caller", rc, 0, NULL);
    }
}

// ---- what comes back, in its order

static int is(ph_view text, const char *word)
{
    return text.size == strlen(word) && memcmp(text.data, word, text.size) == 0;
}

static void on_request(ph_client *client, ph_request_id request, const ph_incoming *incoming,
                       void *arg)
{
    (void)arg;
    profile *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return; // the caller has its deadline
    }
    p->request = request;
    if (is(incoming->method, "by_code")) {
        call(client, p, "countries", "by_code", incoming->body, on_country);
    } else if (is(incoming->method, "by_name")) {
        call(client, p, "countries", "find", incoming->body, on_countries);
    } else {
        fail(client, p, PH_FAILURE_NO_HANDLER, "profile", "methods: by_code, by_name");
    }
}

static void on_country(ph_client *client, ph_call_id id, ph_err status, uint16_t code,
                       const ph_incoming *reply, void *arg)
{
    (void)id;
    profile *p = arg;
    if (status != PH_OK) {
        fail_as(client, p, "countries", status, code, reply);
        return;
    }
    p->countries = json_array();
    json_array_append_new(p->countries, json_loadb(reply->body.data, reply->body.size, 0, NULL));
    p->country = json_array_get(p->countries, 0);
    call_currencies(client, p);
}

static void on_countries(ph_client *client, ph_call_id id, ph_err status, uint16_t code,
                         const ph_incoming *reply, void *arg)
{
    (void)id;
    profile *p = arg;
    if (status != PH_OK) {
        fail_as(client, p, "countries", status, code, reply);
        return;
    }
    p->countries = json_loadb(reply->body.data, reply->body.size, 0, NULL);
    p->country = json_array_get(p->countries, 0);
    if (json_array_size(p->countries) > 1) {
        ask_which(client, p);
    } else {
        call_currencies(client, p);
    }
}

static void on_which(ph_client *client, ph_call_id id, ph_err status, uint16_t code,
                     const ph_incoming *answer, void *arg)
{
    (void)id;
    (void)code;
    profile *p = arg;
    if (status != PH_OK && status != PH_EFAILURE) { // out of time, or nobody waits any more
        forget(p);
        return;
    }
    size_t index;
    json_t *country;
    json_array_foreach(p->countries, index, country)
    {
        const char *letters = json_string_value(json_object_get(country, "alpha_2"));
        if (status == PH_OK && letters != NULL && answer->body.size >= 2 &&
            strncmp(letters, answer->body.data, 2) == 0) {
            p->country = country;
            call_currencies(client, p);
            return;
        }
    }
    // It does not answer such questions (no_handler), could not, or named another country.
    char choices[480];
    list(p, choices, sizeof choices, ", ");
    fail(client, p, AMBIGUOUS, "which of these", choices);
}

static void on_currency(ph_client *client, ph_call_id id, ph_err status, uint16_t code,
                        const ph_incoming *reply, void *arg)
{
    (void)id;
    profile *p = arg;
    json_t *currency = NULL;
    if (status == PH_OK) {
        currency = json_loadb(reply->body.data, reply->body.size, 0, NULL);
    } else if (status == PH_EFAILURE && code == NOT_FOUND) {
        currency = json_null(); // many territories share one; the tables do not say which
    } else {
        fail_as(client, p, "currencies", status, code, reply);
        return;
    }
    json_object_set_new(p->country, "currency", currency);
    char *body = json_dumps(p->country, JSON_COMPACT);
    if (body == NULL) {
        fail(client, p, PH_FAILURE_RESPONDER_FAILED, "countries", "no JSON");
        return;
    }
    if (ph_client_reply(client, p->request, body, strlen(body)) != PH_OK) {
        fprintf(stderr, "profile: an answer was lost\n");
    }
    free(body);
    forget(p);
}

int main(void)
{
    ph_client_options options = PH_CLIENT_OPTIONS_INIT;
    options.centers = getenv("POSTHOUSE_CENTER"); // NULL: 127.0.0.1:7678
    options.account = "profile";
    options.service = "profile";
    options.on_request = on_request;

    ph_client *client = NULL;
    ph_err rc = ph_loop_new(&loop);
    if (rc == PH_OK) {
        options.loop = loop;
        rc = ph_client_new(&client, &options);
    }
    if (rc == PH_OK) {
        rc = ph_client_open_wait(client, 5000);
    }
    if (rc == PH_OK) {
        fprintf(stderr, "profile: online as %s\n", ph_client_id(client));
        signal(SIGINT, on_signal);
        signal(SIGTERM, on_signal);
        ph_loop_run(loop);
        ph_client_close(client);
        ph_loop_turn(loop, 0);
    } else {
        fprintf(stderr, "profile: %s: %s\n", ph_err_text(rc),
                client == NULL ? "" : ph_client_trouble(client));
    }
    ph_client_free(&client); // calls in flight end here, with PH_ECANCELLED
    ph_loop_free(&loop);
    return rc == PH_OK ? 0 : 1;
}
