// SPDX-License-Identifier: Apache-2.0
//
// sim/check_rules.c - nothing reaches anybody that the rules forbid, as the plain model judges:
// no request, no event, nobody on a list. What is on its way when rules change was judged by those
// before, or by the new ones. [P-77]
//
// And once nothing is wrong any more, whatever is allowed goes through, and what is not fails with
// refused_by_policy, also to somebody who is not there.

#include <posthouse/message.h>

#include <stdio.h>
#include <string.h>

#include "sim/check.h"
#include "sim/rules.h"

#define CALL_MS 60000u
#define SCHEME "topic:"
#define SCHEME_BYTES (sizeof SCHEME - 1)

static void copy(char *out, size_t room, ph_view text)
{
    snprintf(out, room, "%.*s", (int)text.size, text.data);
}

// "c07" of "c07@sim".
static void copy_account(char *out, size_t room, ph_view id)
{
    copy(out, room, id);
    out[strcspn(out, "@")] = '\0';
}

void check_rules_incoming(const actor *a, const ph_incoming *incoming, phi_action action,
                          phi_time since)
{
    char from[48];
    char method[32];
    char topic[32] = "";
    copy_account(from, sizeof from, incoming->from);
    copy(method, sizeof method, incoming->method);
    bool is_topic =
        incoming->to.size > SCHEME_BYTES && memcmp(incoming->to.data, SCHEME, SCHEME_BYTES) == 0;
    rules_model_question q = { .principal = rules_principal(a->domain, from),
                               .action = action,
                               .account = a->account,
                               .service = a->service,
                               .method = method,
                               .topic = topic };
    if (is_topic) {
        copy(topic, sizeof topic,
             (ph_view){ incoming->to.data + SCHEME_BYTES, incoming->to.size - SCHEME_BYTES });
        q.action = PHI_MAY_PUBLISH;
    }
    if (!rules_allowed_since(a->domain, since, &q)) {
        domain_fail(a->domain, "%s got of %s what that one may not %s", a->account, from,
                    phi_action_name(q.action));
    }
    q.principal = rules_principal(a->domain, a->account);
    q.action = PHI_MAY_SUBSCRIBE;
    if (is_topic && !rules_allowed_since(a->domain, since, &q)) {
        domain_fail(a->domain, "%s got what %s published on %s, which it may not hear", a->account,
                    from, topic);
    }
}

void check_rules_seen(const actor *a, const char *id)
{
    char name[48];
    copy_account(name, sizeof name, (ph_view){ id, strlen(id) });
    if (!rules_saw_ever(a->domain, a, name)) {
        domain_fail(a->domain, "%s was shown %s, whom it may not see", a->account, id);
    }
}

// ---- in the end

static bool has_ended(sim *s, void *arg)
{
    (void)s;
    return ((const call_record *)arg)->ends > 0;
}

static void check_call(domain *d, actor *from, const char *to, uint32_t target)
{
    const rules_model_question q = { .principal = rules_principal(d, from->account),
                                     .action = PHI_MAY_CALL,
                                     .account = to,
                                     .service = target == NOBODY ? "" : d->actors[target].service,
                                     .method = "",
                                     .topic = "" };
    bool may = rules_allow(d, &q);
    call_record *k = actor_call(from, to, target, 8, CALL_MS, /* why= */ NULL);
    if (k == NULL) {
        domain_fail(d, "%s cannot call, though nothing is wrong", from->account);
        return;
    }
    (void)sim_run_until(d->s, has_ended, k, phi_ms(CALL_MS));
    uint16_t expected = may ? PH_FAILURE_NO_SUCH_ACCOUNT : PH_FAILURE_REFUSED_BY_POLICY;
    bool is_good = may && target != NOBODY ? k->status == PH_OK
                                           : k->status == PH_EFAILURE && k->code == expected;
    if (!is_good) {
        domain_fail(d, "%s, who may%s call %s, was told %s %s", from->account, may ? "" : " not",
                    to, ph_err_name(k->status), ph_failure_name(k->code));
    }
}

void check_rules(domain *d)
{
    static const char *const topics[] = { "a.a", "b.b" };
    for (uint32_t i = 0; i < d->actor_count && !domain_has_fault(d); i++) {
        actor *from = &d->actors[i];
        check_call(d, from, d->actors[(i + 1) % d->actor_count].account, (i + 1) % d->actor_count);
        check_call(d, from, "c99", NOBODY);
    }
    for (uint32_t which = 0; which < PHI_COUNT_OF(topics) && !domain_has_fault(d); which++) {
        check_topic_reach(d, topics[which], which % d->actor_count);
    }
    sim_run_for(d->s, phi_seconds(2));
    check_presence_converged(d);
}
