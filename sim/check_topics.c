// SPDX-License-Identifier: Apache-2.0
//
// sim/check_topics.c - an event on a topic reaches only who asked for it, and, once nothing is
// wrong any more, everybody who did; the center keeps just what is in force. [P-73]

#include <stdio.h>
#include <string.h>

#include <posthouse/topic.h>

#include "base/compiler.h"
#include "sim/check.h"
#include "sim/rules.h"

static const char *const topics[] = { "a.a", "a.b", "a.a.c", "b.b" };

static bool wants(uint32_t patterns, const char *topic)
{
    for (uint32_t i = 0; i < ACTOR_PATTERNS; i++) {
        if ((patterns >> i & 1) != 0 && ph_topic_fits(topic, actor_pattern(i))) {
            return true;
        }
    }
    return false;
}

const char *check_topic(uint32_t which)
{
    return topics[which % PHI_COUNT_OF(topics)];
}

void check_topic_event(actor *a, const ph_incoming *event)
{
    static const char scheme[] = "topic:";
    size_t skip = sizeof scheme - 1;
    char topic[32] = "";
    if (event->to.size <= skip || memcmp(event->to.data, scheme, skip) != 0) {
        return;
    }
    size_t size = event->to.size - skip;
    memcpy(topic, (const char *)event->to.data + skip,
           size < sizeof topic ? size : sizeof topic - 1);
    if (!wants(a->patterns_ever, topic)) {
        domain_fail(a->domain, "%s heard of %s, which it never asked for", a->account, topic);
    }
}

void check_topics(domain *d)
{
    uint64_t in_force = 0;
    for (uint32_t i = 0; i < d->actor_count; i++) {
        actor *a = &d->actors[i];
        in_force += (uint64_t)__builtin_popcount(a->patterns_in_force);
        if (a->receipts_open != 0) {
            domain_fail(d, "%s waits for %u receipts", a->account, a->receipts_open);
        }
    }
    for (uint32_t i = 0; i < d->worker_count; i++) {
        uint64_t kept = center_count(d->workers[i]).subscriptions;
        if (kept != in_force) {
            domain_fail(d, "%llu subscriptions are in force, worker %u keeps %llu",
                        (unsigned long long)in_force, i, (unsigned long long)kept);
        }
    }
    for (uint32_t which = 0; which < PHI_COUNT_OF(topics) && !domain_has_fault(d); which++) {
        check_topic_reach(d, topics[which], which % d->actor_count);
    }
}

static bool may(const domain *d, const actor *a, phi_action action, const char *topic)
{
    return rules_allow(d, &(rules_model_question){ .principal = rules_principal(d, a->account),
                                                   .action = action,
                                                   .account = "",
                                                   .service = "",
                                                   .method = "",
                                                   .topic = topic });
}

void check_topic_reach(domain *d, const char *topic, uint32_t publisher)
{
    unsigned before[ACTORS_MAX];
    for (uint32_t i = 0; i < d->actor_count; i++) {
        before[i] = d->actors[i].events;
    }
    char to[32];
    snprintf(to, sizeof to, "topic:%s", topic);
    if (actor_event(&d->actors[publisher], to, 8) != PH_OK) {
        domain_fail(d, "nobody can publish, though nothing is wrong");
        return;
    }
    sim_run_for(d->s, phi_seconds(1));
    bool is_said = may(d, &d->actors[publisher], PHI_MAY_PUBLISH, topic);
    for (uint32_t i = 0; i < d->actor_count; i++) {
        const actor *a = &d->actors[i];
        unsigned meant =
            is_said && wants(a->patterns_in_force, topic) && may(d, a, PHI_MAY_SUBSCRIBE, topic);
        if (a->events - before[i] != meant) {
            domain_fail(d, "%s heard of %s %u times instead of %u", a->account, topic,
                        a->events - before[i], meant);
        }
    }
}
