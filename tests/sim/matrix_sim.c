// SPDX-License-Identifier: Apache-2.0
//
// tests/sim/matrix_sim.c - the authorisation matrix, end to end in virtual time: a production
// center with generated rules, production clients that try everything with each other, and what
// became of it beside what the model says (tests/auth/rules_model.h). [P-77]
//
// Each client is a user of the center's machine, so that who it is does not follow from the account
// that it wants to be. Rules are taken away and given back while all are connected; workers learn
// of it one after the other.

#include <posthouse/client.h>
#include <posthouse/dialog.h>
#include <posthouse/topic.h>

#include <stdio.h>

#include "base/compiler.h"
#include "client/client.h"
#include "sim/domain.h"
#include "tests/auth/rules_model.h"
#include "tests/sim/sim_test.h"

#define GUESTS 8u
#define PATTERNS 6u
#define EVENTS_MAX 1024u
#define ASKS_MAX 1024u

// Who they are, who they want to be, and what of. Some accounts, and services, are their own.
static const struct {
    const char *principal;
    const char *account;
    const char *service;
} people[GUESTS] = {
    { "a", "a", "" },    { "b", "b", "b" },    { "ab", "bab", "a" },   { "ba", "ba", "a" },
    { "aa", "aa", "b" }, { "bb", "bba", "b" }, { "aab", "aab", "ab" }, { "abb", "abb", "" },
};
static const char *const patterns[PATTERNS] = { "a.b", "a.*", "*.a", "a.>", ">", "b" };
static const char *const topics[] = { "a", "b", "a.a", "a.b", "b.a", "a.b.a" };
static const char *const methods[] = { "a", "b", "ab" };
static const char *const services[] = { "a", "b", "ab", "ba" }; // of the last there is none

// Whom of a service's other instances somebody may reach.
typedef enum reach { NOBODY_THERE, NOBODY_ALLOWED, SOME_ALLOWED, EVERYBODY_ALLOWED } reach;

typedef struct world world;

typedef struct guest {
    world *w;
    uint32_t index;
    sim_node node;
    ph_client *client; // NULL: it is not running
    bool is_up;
    bool is_closed;
    char bye[32];
    bool sees[GUESTS];
    struct subscription {
        ph_subscription_id id;
        unsigned ends;
        ph_err status;
        uint16_t code;
    } subscriptions[PATTERNS];
    uint8_t heard[EVENTS_MAX]; // by number of the event: how often
} guest;

// A request (to the center, too), a gather, or an event with a receipt, under way or over.
typedef struct ask {
    guest *asker;
    unsigned ends;
    ph_err status;
    uint16_t code;
    uint32_t replier;   // of a request
    uint32_t delivered; // of an event; who replied, of a gather
} ask;

struct world {
    domain *d;
    rules_model model; // of now
    uint32_t secured;
    struct {
        phi_rules *rules;
        center_security security;
    } snapshots[4]; // all that ever were
    guest guests[GUESTS];
    ask asks[ASKS_MAX];
    uint32_t ask_count;
    uint32_t event_count;
    unsigned allowed; // cases, by what the model said
    unsigned refused;
};

static center_user users[GUESTS];

// ---- the model's word

static bool says(world *w, uint32_t who, phi_action action, const char *account,
                 const char *service, const char *rest)
{
    const rules_model_question q = { people[who].principal, action, account, service, rest, rest };
    bool may = rules_model_allows(&w->model, &q);
    *(may ? &w->allowed : &w->refused) += 1;
    return may;
}

static bool may_reach(world *w, uint32_t who, phi_action action, uint32_t whom, const char *method)
{
    return says(w, who, action, people[whom].account, people[whom].service, method);
}

static bool may_join(world *w, uint32_t who)
{
    const char *own = people[who].principal;
    const char *account = people[who].account;
    const char *service = people[who].service;
    bool is_own_account = strcmp(own, account) == 0;
    bool is_own_service = *service == '\0' || strcmp(own, service) == 0;
    return (is_own_account || says(w, who, PHI_MAY_REGISTER, account, "", "")) &&
           (is_own_service || says(w, who, PHI_MAY_REGISTER, "", service, ""));
}

// Of the instances that are there, without the asker.
static reach may_reach_service(world *w, uint32_t who, phi_action action, const char *service,
                               const char *method, uint32_t *allowed)
{
    uint32_t all = 0;
    *allowed = 0;
    for (uint32_t i = 0; i < GUESTS; i++) {
        if (i != who && w->guests[i].is_up && strcmp(people[i].service, service) == 0) {
            all++;
            *allowed += may_reach(w, who, action, i, method);
        }
    }
    if (all == 0) {
        return NOBODY_THERE;
    }
    return *allowed == 0 ? NOBODY_ALLOWED : *allowed == all ? EVERYBODY_ALLOWED : SOME_ALLOWED;
}

// ---- guests

static uint32_t guest_of(ph_view id)
{
    for (uint32_t i = 0; i < GUESTS; i++) {
        size_t size = strlen(people[i].account);
        if (id.size == size + strlen("@" DOMAIN_NAME) &&
            memcmp(id.data, people[i].account, size) == 0) {
            return i;
        }
    }
    fail_msg("nobody is called %.*s", (int)id.size, id.data);
    return 0;
}

static void on_link(ph_client *client, const ph_link_change *change, void *arg)
{
    (void)client;
    guest *g = arg;
    g->is_up = change->state == PH_LINK_UP;
    g->is_closed = change->state == PH_LINK_CLOSED;
    snprintf(g->bye, sizeof g->bye, "%.*s", (int)change->bye.size, change->bye.data);
}

static void on_presence(ph_client *client, ph_change change, ph_reason reason, const ph_peer *peer,
                        void *arg)
{
    (void)client;
    (void)reason;
    guest *g = arg;
    g->sees[guest_of(peer->id)] = change != PH_OFFLINE;
}

static void on_event(ph_client *client, const ph_incoming *event, void *arg)
{
    (void)client;
    guest *g = arg;
    uint32_t number;
    EXPECT_EQ(event->body.size, sizeof number);
    memcpy(&number, event->body.data, sizeof number);
    EXPECT(number < EVENTS_MAX);
    g->heard[number]++;
}

static void on_request(ph_client *client, ph_request_id request, const ph_incoming *incoming,
                       void *arg)
{
    (void)incoming;
    guest *g = arg;
    EXPECT_ERR(ph_client_reply(client, request, &g->index, sizeof g->index), PH_OK);
}

static void on_subscribed(ph_client *client, ph_subscription_id id, ph_err status, uint16_t code,
                          void *arg)
{
    (void)client;
    (void)id;
    struct subscription *s = arg;
    s->ends++;
    s->status = status;
    s->code = code;
}

static void guest_start(guest *g)
{
    sim *s = g->w->d->s;
    if (!sim_node_is_alive(s, g->node)) {
        sim_node_restart(s, g->node);
    }
    sim_identity_set(s, g->node,
                     &(phi_identity){ .is_local = true, .has_user = true, .uid = 100 + g->index });
    g->is_closed = false;
    memset(g->sees, 0, sizeof g->sees);
    memset(g->subscriptions, 0, sizeof g->subscriptions);
    ph_client_options options = PH_CLIENT_OPTIONS_INIT;
    options.centers = DOMAIN_ADDRESS;
    options.account = people[g->index].account;
    options.service = *people[g->index].service == '\0' ? NULL : people[g->index].service;
    options.is_watching = true;
    options.on_link = on_link;
    options.on_presence = on_presence;
    options.on_event = on_event;
    options.on_request = on_request;
    options.arg = g;
    EXPECT_ERR(phi_client_new_on(&g->client, sim_io(s, g->node), &options), PH_OK);
    EXPECT_ERR(ph_client_open(g->client), PH_OK);
}

static void guest_end(guest *g)
{
    if (g->client != NULL) {
        sim_node_kill(g->w->d->s, g->node);
        ph_client_free(&g->client);
        g->is_up = false;
    }
}

// ---- the world

typedef struct order {
    center *worker;
    const center_security *security;
} order;

static void on_order(sim *s, void *arg)
{
    (void)s;
    const order *o = arg;
    center_secure(o->worker, o->security);
}

// The workers learn of it within some milliseconds, one after the other.
static void secure(world *w, const rules_model *model)
{
    static order orders[WORKERS_MAX];
    EXPECT(w->secured < PHI_COUNT_OF(w->snapshots));
    w->model = *model;
    phi_rules *rules = rules_model_compile(model, &phi_alloc_heap);
    center_security *security = &w->snapshots[w->secured].security;
    w->snapshots[w->secured++].rules = rules;
    *security = center_security_open;
    security->rules = rules;
    security->users = users;
    security->user_count = GUESTS;
    for (uint32_t i = 0; i < w->d->worker_count; i++) {
        orders[i] = (order){ w->d->workers[i], security };
        sim_after(w->d->s, w->d->worker_nodes[i], MS(3 * i), on_order, &orders[i]);
    }
    sim_run_for(w->d->s, SECONDS(1));
}

static void world_begin(world *w, const rules_model *model, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    const domain_options options = {
        .seed = seed,
        .path = { .delay = MS(1) },
        .center = center_options_default(),
        .client = PH_CLIENT_OPTIONS_INIT,
        .workers = sim_workers,
        .actor_count = GUESTS, // their nodes only: they never start
    };
    w->d = domain_new(&options);
    EXPECT(domain_center_start(w->d));
    for (uint32_t i = 0; i < GUESTS; i++) {
        users[i] = (center_user){ 100 + i, phi_bytes_text(people[i].principal) };
        w->guests[i] = (guest){ .w = w, .index = i, .node = w->d->actors[i].node };
    }
    secure(w, model);
}

static void world_end(world *w)
{
    char fault[sizeof w->d->fault];
    for (uint32_t i = 0; i < GUESTS; i++) {
        guest_end(&w->guests[i]);
    }
    domain_free(&w->d, fault);
    EXPECT_TEXT(fault, "");
    for (uint32_t i = 0; i < w->secured; i++) {
        phi_rules_free(&w->snapshots[i].rules);
    }
}

static ask *new_ask(world *w, guest *asker)
{
    EXPECT(w->ask_count < ASKS_MAX);
    ask *a = &w->asks[w->ask_count++];
    *a = (ask){ .asker = asker };
    return a;
}

// ---- cases: who comes in, and who stays

static void start_all(world *w)
{
    for (uint32_t i = 0; i < GUESTS; i++) {
        guest *g = &w->guests[i];
        if (!g->is_up) {
            guest_end(g);
            guest_start(g);
        }
    }
    sim_run_for(w->d->s, SECONDS(1));
}

// Everybody tried to come in, or was looked at again.
static void check_joined(world *w, bool is_reload)
{
    for (uint32_t i = 0; i < GUESTS; i++) {
        guest *g = &w->guests[i];
        bool may = may_join(w, i);
        if (g->is_up != may && !(is_reload && may)) { // who may again must come again
            fail_msg("%s as %s of '%s' is %s", people[i].principal, people[i].account,
                     people[i].service, g->is_up ? "in" : g->bye);
        }
        if (!may) {
            EXPECT(g->is_closed);
            EXPECT_TEXT(g->bye, "not_authorised");
        }
    }
}

// ---- cases: presence

static void check_seen(world *w)
{
    for (uint32_t i = 0; i < GUESTS; i++) {
        const guest *g = &w->guests[i];
        for (uint32_t k = 0; k < GUESTS && g->is_up; k++) {
            bool may = w->guests[k].is_up && (k == i || says(w, i, PHI_MAY_SEE, people[k].account,
                                                             people[k].service, ""));
            if (g->sees[k] != may) {
                fail_msg("%s %s %s", people[i].account, g->sees[k] ? "sees" : "does not see",
                         people[k].account);
            }
        }
    }
}

// ---- cases: requests, gathers, drains

static void on_reply(ph_client *client, ph_call_id call, ph_err status, uint16_t code,
                     const ph_incoming *reply, void *arg)
{
    (void)client;
    (void)call;
    ask *a = arg;
    a->ends++;
    a->status = status;
    a->code = code;
    if (status == PH_OK && reply->body.size == sizeof a->replier) {
        memcpy(&a->replier, reply->body.data, sizeof a->replier);
    }
}

static ask *call(world *w, guest *g, const char *to, const char *method)
{
    ask *a = new_ask(w, g);
    ph_outgoing out = PH_OUTGOING_INIT;
    out.to = to;
    out.method = method;
    ph_call_id id;
    EXPECT_ERR(ph_client_request(g->client, &out, &id, on_reply, a), PH_OK);
    return a;
}

static void expect_end(const ask *a, const char *what, const char *to, const char *method,
                       uint16_t code)
{
    ph_err status = code == 0 ? PH_OK : PH_EFAILURE;
    if (a->ends != 1 || a->status != status || a->code != code) {
        fail_msg("%s: %s %s '%s': %u ends, %s, %s instead of %s", people[a->asker->index].account,
                 what, to, method, a->ends, ph_err_name(a->status), ph_failure_name(a->code),
                 code == 0 ? "success" : ph_failure_name(code));
    }
}

static void check_calls(world *w, guest *g)
{
    ask *asks[GUESTS + 1][PHI_COUNT_OF(methods)];
    for (uint32_t k = 0; k <= GUESTS; k++) {
        for (size_t m = 0; m < PHI_COUNT_OF(methods); m++) {
            asks[k][m] = call(w, g, k == GUESTS ? "aaa" : people[k].account, methods[m]);
        }
    }
    sim_run_for(w->d->s, MS(500));
    for (uint32_t k = 0; k <= GUESTS; k++) {
        for (size_t m = 0; m < PHI_COUNT_OF(methods); m++) {
            const char *account = k == GUESTS ? "aaa" : people[k].account;
            bool is_here = k < GUESTS && w->guests[k].is_up;
            // Of one that is not here, nobody knows the service.
            bool may = is_here ? may_reach(w, g->index, PHI_MAY_CALL, k, methods[m])
                               : says(w, g->index, PHI_MAY_CALL, account, "", methods[m]);
            expect_end(asks[k][m], "call", account, methods[m],
                       !may      ? PH_FAILURE_REFUSED_BY_POLICY
                       : is_here ? 0
                                 : PH_FAILURE_NO_SUCH_ACCOUNT);
        }
    }
}

// Whom the service's request goes to is chosen among its instances. Where the rules let somebody
// ask some of them only, it may be refused; but never may another answer.
static void check_service_calls(world *w, guest *g)
{
    for (size_t k = 0; k < PHI_COUNT_OF(services); k++) {
        for (size_t m = 0; m < PHI_COUNT_OF(methods); m++) {
            char to[32];
            snprintf(to, sizeof to, "service:%s", services[k]);
            const ask *a = call(w, g, to, methods[m]);
            sim_run_for(w->d->s, MS(50));
            uint32_t allowed;
            int how =
                may_reach_service(w, g->index, PHI_MAY_CALL, services[k], methods[m], &allowed);
            bool may_name = says(w, g->index, PHI_MAY_CALL, "", services[k], methods[m]);
            if (a->status == PH_OK) {
                EXPECT_TEXT(people[a->replier].service, services[k]);
                EXPECT(may_reach(w, g->index, PHI_MAY_CALL, a->replier, methods[m]));
            } else if (how == EVERYBODY_ALLOWED) {
                expect_end(a, "call", to, methods[m], 0);
            } else if (how == NOBODY_THERE) {
                expect_end(a, "call", to, methods[m],
                           may_name ? PH_FAILURE_NO_READY_INSTANCE : PH_FAILURE_REFUSED_BY_POLICY);
            } else {
                expect_end(a, "call", to, methods[m], PH_FAILURE_REFUSED_BY_POLICY);
            }
        }
    }
}

static void on_gathered(ph_client *client, ph_call_id id, ph_err status, uint16_t code,
                        const ph_gathered *gathered, void *arg)
{
    (void)client;
    (void)id;
    ask *a = arg;
    a->ends++;
    a->status = status;
    a->code = code;
    a->delivered = status == PH_OK ? gathered->replied : 0;
    EXPECT(status != PH_OK || gathered->asked == gathered->replied);
}

static void check_gathers(world *w, guest *g)
{
    for (size_t k = 0; k < PHI_COUNT_OF(services); k++) {
        char to[32];
        snprintf(to, sizeof to, "all:%s", services[k]);
        ask *a = new_ask(w, g);
        ph_outgoing out = PH_OUTGOING_INIT;
        out.to = to;
        out.method = "a";
        ph_gather gather = PH_GATHER_INIT;
        gather.done = on_gathered;
        gather.arg = a;
        ph_call_id id;
        EXPECT_ERR(ph_client_gather(g->client, &out, &gather, &id), PH_OK);
        sim_run_for(w->d->s, MS(50));
        uint32_t allowed;
        (void)may_reach_service(w, g->index, PHI_MAY_CALL, services[k], "a", &allowed);
        bool may_name = says(w, g->index, PHI_MAY_CALL, "", services[k], "a");
        expect_end(a, "gather", to, "a",
                   allowed != 0 ? 0
                   : may_name   ? PH_FAILURE_NO_READY_INSTANCE
                                : PH_FAILURE_REFUSED_BY_POLICY);
        EXPECT_EQ(a->delivered, allowed);
    }
}

static ask *drain(world *w, guest *g, const char *account, bool begin)
{
    uint8_t body[64] = { begin ? 1 : 0, 0, 0, 3, 232, (uint8_t)strlen(account) };
    memcpy(body + 6, account, strlen(account));
    ask *a = new_ask(w, g);
    ph_outgoing out = PH_OUTGOING_INIT;
    out.to = "@";
    out.method = "drain";
    out.body = body;
    out.body_size = 6 + strlen(account);
    ph_call_id id;
    EXPECT_ERR(ph_client_request(g->client, &out, &id, on_reply, a), PH_OK);
    sim_run_for(w->d->s, MS(1200));
    return a;
}

static void check_drains(world *w, guest *g)
{
    for (uint32_t k = 0; k < GUESTS; k += 3) {
        bool is_here = w->guests[k].is_up;
        bool may = says(w, g->index, PHI_MAY_DRAIN, people[k].account,
                        is_here ? people[k].service : "", "");
        uint16_t code = !may      ? PH_FAILURE_REFUSED_BY_POLICY
                        : is_here ? 0
                                  : PH_FAILURE_NO_SUCH_ACCOUNT;
        expect_end(drain(w, g, people[k].account, true), "drain", people[k].account, "", code);
        expect_end(drain(w, g, people[k].account, false), "undo", people[k].account, "", code);
    }
}

static void check_status(world *w, guest *g)
{
    const ask *a = call(w, g, "@", "status");
    sim_run_for(w->d->s, MS(200));
    bool may = says(w, g->index, PHI_MAY_STATUS, DOMAIN_NAME, "", "");
    expect_end(a, "status", "", "", may ? 0 : PH_FAILURE_REFUSED_BY_POLICY);
}

// ---- cases: events

static void on_receipt(ph_client *client, ph_call_id event, ph_err status,
                       const ph_receipt *receipt, void *arg)
{
    (void)client;
    (void)event;
    ask *a = arg;
    a->ends++;
    a->status = status;
    if (status == PH_OK) {
        a->delivered = receipt->delivered;
        a->code = receipt->code;
    }
}

static ask *tell(world *w, guest *g, const char *to, const char *method, uint32_t *number)
{
    EXPECT(w->event_count < EVENTS_MAX);
    *number = w->event_count++;
    ask *a = new_ask(w, g);
    ph_outgoing out = PH_OUTGOING_INIT;
    out.to = to;
    out.method = method;
    out.body = number;
    out.body_size = sizeof *number;
    ph_call_id id;
    EXPECT_ERR(ph_client_send_with_receipt(g->client, &out, &id, on_receipt, a), PH_OK);
    sim_run_for(w->d->s, MS(50));
    EXPECT_EQ(a->ends, 1);
    EXPECT_ERR(a->status, PH_OK);
    return a;
}

// Who of all was to hear it has, once, and nobody else; the receipt knows how many.
static void expect_heard(const world *w, const ask *a, uint32_t number, const bool wanted[GUESTS],
                         const char *to)
{
    uint32_t count = 0;
    for (uint32_t k = 0; k < GUESTS; k++) {
        count += wanted[k];
        if (w->guests[k].heard[number] != wanted[k]) {
            fail_msg("%s to %s: %s heard it %u times", people[a->asker->index].account, to,
                     people[k].account, w->guests[k].heard[number]);
        }
    }
    EXPECT_EQ(a->delivered, count);
}

static void check_events(world *w, guest *g)
{
    for (uint32_t k = 0; k <= GUESTS; k++) { // to each, and to everybody
        bool wanted[GUESTS] = { false };
        for (uint32_t i = 0; i < GUESTS; i++) {
            bool is_meant = k == GUESTS ? i != g->index : i == k;
            wanted[i] =
                is_meant && w->guests[i].is_up && may_reach(w, g->index, PHI_MAY_SEND, i, "a");
        }
        uint32_t number;
        const char *to = k == GUESTS ? "all:" : people[k].account;
        const ask *a = tell(w, g, to, "a", &number);
        expect_heard(w, a, number, wanted, to);
    }
    for (size_t k = 0; k < PHI_COUNT_OF(services); k++) {
        char to[32];
        snprintf(to, sizeof to, "all:%s", services[k]);
        bool wanted[GUESTS] = { false };
        for (uint32_t i = 0; i < GUESTS; i++) {
            wanted[i] = i != g->index && w->guests[i].is_up &&
                        strcmp(people[i].service, services[k]) == 0 &&
                        may_reach(w, g->index, PHI_MAY_SEND, i, "b");
        }
        uint32_t number;
        const ask *a = tell(w, g, to, "b", &number);
        expect_heard(w, a, number, wanted, to);
    }
}

// ---- cases: topics

static void subscribe_all(world *w)
{
    for (uint32_t i = 0; i < GUESTS; i++) {
        guest *g = &w->guests[i];
        for (uint32_t p = 0; p < PATTERNS && g->is_up; p++) {
            struct subscription *s = &g->subscriptions[p];
            if (s->ends == 0) {
                EXPECT_ERR(
                    ph_client_subscribe(g->client, patterns[p], &s->id, NULL, on_subscribed, s),
                    PH_OK);
            }
        }
    }
    sim_run_for(w->d->s, MS(100));
}

static void check_subscribed(world *w)
{
    for (uint32_t i = 0; i < GUESTS; i++) {
        const guest *g = &w->guests[i];
        for (uint32_t p = 0; p < PATTERNS && g->is_up; p++) {
            const struct subscription *s = &g->subscriptions[p];
            bool may = says(w, i, PHI_MAY_SUBSCRIBE, "", "", patterns[p]);
            if (s->ends != 1 || s->status != (may ? PH_OK : PH_EFAILURE) ||
                s->code != (may ? 0 : PH_FAILURE_REFUSED_BY_POLICY)) {
                fail_msg("%s subscribes to %s: %u ends, %s, %s", people[i].account, patterns[p],
                         s->ends, ph_err_name(s->status), ph_failure_name(s->code));
            }
        }
    }
}

// Subscriptions that are in force may be older than the rules: what counts is now.
static void check_published(world *w, guest *g)
{
    for (size_t t = 0; t < PHI_COUNT_OF(topics); t++) {
        bool may = says(w, g->index, PHI_MAY_PUBLISH, "", "", topics[t]);
        bool wanted[GUESTS] = { false };
        for (uint32_t i = 0; i < GUESTS; i++) {
            for (uint32_t p = 0; p < PATTERNS && w->guests[i].is_up; p++) {
                const struct subscription *s = &w->guests[i].subscriptions[p];
                wanted[i] = wanted[i] || (s->ends == 1 && s->status == PH_OK &&
                                          ph_topic_fits(topics[t], patterns[p]));
            }
            wanted[i] = wanted[i] && may && says(w, i, PHI_MAY_SUBSCRIBE, "", "", topics[t]);
        }
        char to[32];
        snprintf(to, sizeof to, "topic:%s", topics[t]);
        uint32_t number;
        const ask *a = tell(w, g, to, "", &number);
        expect_heard(w, a, number, wanted, to);
        EXPECT(may || a->code == PH_FAILURE_REFUSED_BY_POLICY);
    }
}

// ---- the stories

static void check_all(world *w)
{
    w->ask_count = 0;
    w->event_count = 0;
    for (uint32_t i = 0; i < GUESTS; i++) {
        memset(w->guests[i].heard, 0, sizeof w->guests[i].heard);
    }
    check_seen(w);
    for (uint32_t i = 0; i < GUESTS; i++) {
        guest *g = &w->guests[i];
        if (g->is_up) {
            check_calls(w, g);
            check_service_calls(w, g);
            check_gathers(w, g);
            check_events(w, g);
            check_published(w, g);
        }
    }
    for (uint32_t i = 0; i < GUESTS; i += 2) {
        if (w->guests[i].is_up) {
            check_drains(w, &w->guests[i]);
            check_status(w, &w->guests[i]);
        }
    }
}

// Most come in, so that there is somebody to be judged; and half of the rules are such that most is
// allowed, but for what some of them forbid.
static void make_rules(rules_model *model, phi_random *r)
{
    rules_model_make(model, r);
    for (size_t i = 0; i < model->count; i++) {
        rules_model_line *l = &model->lines[i];
        if (l->word == RULES_MODEL_MAY_NOT && l->action == PHI_MAY_REGISTER &&
            phi_random_chance(r, 75)) {
            l->action = PHI_MAY_SEE;
        }
    }
    uint32_t rule = rules_model_rules(model);
    rules_model_add(model, rule, RULES_MODEL_WHO, PHI_MAY_CALL, "*");
    rules_model_add(model, rule, RULES_MODEL_MAY, PHI_MAY_REGISTER, "*");
    rules_model_add(model, rule, RULES_MODEL_MAY, PHI_MAY_REGISTER, "service:*");
    for (phi_action action = 0; action < PHI_MAY_CENTER; action++) {
        bool is_topic = action == PHI_MAY_PUBLISH || action == PHI_MAY_SUBSCRIBE;
        if (phi_random_chance(r, 50)) {
            rules_model_add(model, rule, RULES_MODEL_MAY, action, is_topic ? ">" : "*");
        }
    }
}

// Every verdict of the center is the model's, for all that clients can do; also when other rules
// come while everybody is connected: what was taken away is refused at once, what was seen is gone,
// what was subscribed to is silent, who may not be here any more is put out; and when it is given
// back, it is there again.
static void tell_matrix(uint64_t seed, unsigned *allowed, unsigned *refused)
{
    static world w;
    phi_random r = phi_random_seeded(seed);
    rules_model first;
    rules_model second;
    make_rules(&first, &r);
    make_rules(&second, &r);

    world_begin(&w, &first, seed);
    start_all(&w);
    check_joined(&w, false);
    subscribe_all(&w);
    check_subscribed(&w);
    check_all(&w);

    secure(&w, &second);
    check_joined(&w, true);
    check_all(&w);
    start_all(&w);
    check_joined(&w, false);

    secure(&w, &first);
    check_joined(&w, true);
    check_all(&w);
    start_all(&w);
    check_joined(&w, false);
    check_seen(&w);

    *allowed += w.allowed;
    *refused += w.refused;
    world_end(&w);
}

CENTER_TEST(matrix, is_the_models)
{
    unsigned allowed = 0;
    unsigned refused = 0;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        tell_matrix(seed, &allowed, &refused);
    }
    EXPECT(allowed > 3000);
    EXPECT(refused > 3000);
}

// No rules, an empty list of them, and no rules again: the first and the last let everybody of this
// machine do everything.
CENTER_TEST(matrix, opens_and_closes_with_the_rules)
{
    static world w;
    static const rules_model closed;
    rules_model open = { 0 };
    rules_model_add(&open, 0, RULES_MODEL_WHO, PHI_MAY_CALL, "*");
    for (phi_action action = 0; action < PHI_MAY_CENTER; action++) {
        bool is_topic = action == PHI_MAY_PUBLISH || action == PHI_MAY_SUBSCRIBE;
        rules_model_add(&open, 0, RULES_MODEL_MAY, action, is_topic ? ">" : "*");
    }
    rules_model_add(&open, 0, RULES_MODEL_MAY, PHI_MAY_REGISTER, "service:*");
    world_begin(&w, &open, 7);
    start_all(&w);
    check_joined(&w, false);
    subscribe_all(&w);
    check_subscribed(&w);
    check_all(&w);
    secure(&w, &closed);
    check_joined(&w, true);
    check_all(&w);
    secure(&w, &open);
    start_all(&w);
    check_joined(&w, false);
    check_all(&w);
    world_end(&w);
}
