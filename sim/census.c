// SPDX-License-Identifier: Apache-2.0
//
// sim/census.c - see census.h.

#include "sim/census.h"

#include <inttypes.h>
#include <string.h>

#include "sim/dialog.h"
#include "wire/codes.h"

// What cannot happen in a domain of the simulator, with the reason.
static const char *const never[] = {
    "bye.length_invalid",            // rogues keep to the packet limit: the fuzzers do not
    "bye.check_wrong",               // no byte changes on its way
    "bye.version_unsupported",       // everybody speaks version 1
    "bye.suite_refused",             // no client has a floor
    "bye.name_invalid",              // all names are good
    "bye.kicked",                    // reserved
    "bye.type_refused",              // no client is a center
    "center.addresses_barred_total", // nobody is refused so often
    "bye.tls_required",              // a center says it where there is no link yet
    // Nobody dials with TLS, and whom to believe does not change: see identity_test.c,
    // token_sim.c, credential_sim.c.
    "center.tls_refused_total", "center.joins_refused_certificate_total",
    "center.identities_revoked_total",
    "center.events_expired_total", // turns take no time
};

void census_add_center(census *sum, const center_counters *counters)
{
#define CENTER_METRIC(name, kind, help) sum->center.name += counters->name;
#include "center/metrics.def"
#undef CENTER_METRIC
    for (int i = 0; i < PHI_BYE_COUNT; i++) {
        sum->center.links_ended_total[i] += counters->links_ended_total[i];
    }
}

static void add_call(census *sum, const call_record *call)
{
    switch ((int)call->status) {
    case PH_OK:
        sum->replies++;
        break;
    case PH_EFAILURE:
        if (call->code < CENSUS_CODES_MAX) {
            sum->failures[call->code]++;
        } else {
            sum->failures_own++;
        }
        break;
    case PH_ETIMEDOUT:
        sum->timeouts++;
        break;
    case PH_ERESET:
        sum->resets++;
        break;
    default:
        sum->cancels++;
        break;
    }
}

static void add_ask(census *sum, const ask_record *ask)
{
    if (ask->status == PH_OK) {
        sum->answers++;
        return;
    }
    sum->asks_over += ask->status != PH_EFAILURE;
    if (ask->code < CENSUS_CODES_MAX) {
        sum->ask_failures[ask->code]++;
    } else {
        sum->ask_failures_own++;
    }
}

static void add_dialogs(census *sum, const dialogs *all)
{
    for (uint32_t i = 0; i < all->ask_count; i++) {
        add_ask(sum, &all->asks[i]);
    }
    for (uint32_t i = 0; i < all->gather_count; i++) {
        const gather_record *g = &all->gathers[i];
        sum->gathers += g->status == PH_OK;
        sum->gather_failures += g->status == PH_EFAILURE;
        sum->gather_parts += g->parts;
        sum->gather_missing += g->missing;
    }
}

void census_add_domain(census *sum, const domain *d)
{
    add_dialogs(sum, d->dialogs);
    for (uint32_t i = 0; i < d->call_count; i++) {
        if (d->calls[i].ends > 0) {
            add_call(sum, &d->calls[i]);
        }
    }
    for (uint32_t i = 0; i < d->actor_count; i++) {
        const actor *a = &d->actors[i];
        sum->cancels_heard += a->cancels;
        sum->writables += a->writables;
    }
}

void census_add_client(census *sum, const ph_client *client)
{
    ph_client_counters counters = { .struct_size = sizeof counters };
    ph_client_count(client, &counters);
    sum->peers_dropped += counters.peers_dropped;
}

static bool may_be_zero(const char *name)
{
    for (size_t i = 0; i < PHI_COUNT_OF(never); i++) {
        if (strcmp(never[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static unsigned line(FILE *to, const char *family, const char *name, uint64_t count)
{
    char text[64];
    snprintf(text, sizeof text, "%s.%s", family, name);
    bool is_missing = count == 0 && !may_be_zero(text);
    fprintf(to, "%-36s %10" PRIu64 "%s\n", text, count, is_missing ? " MISSING" : "");
    return is_missing;
}

unsigned census_print(FILE *to, const census *sum)
{
    static const ph_failure_code made_here[] = {
        PH_FAILURE_NO_SUCH_ACCOUNT, PH_FAILURE_TOO_MANY_CALLS, PH_FAILURE_SLOW_CONSUMER,
        PH_FAILURE_RESPONDER_LOST,  PH_FAILURE_UNSUPPORTED,    PH_FAILURE_NO_READY_INSTANCE,
    };
    unsigned missing = 0;
#define CENTER_METRIC(name, kind, help) missing += line(to, "center", #name, sum->center.name);
#include "center/metrics.def"
#undef CENTER_METRIC
    for (uint16_t i = 0; i < PHI_BYE_COUNT; i++) {
        missing += line(to, "bye", phi_bye_name(i), sum->center.links_ended_total[i]);
    }
    missing += line(to, "call", "replied", sum->replies);
    for (size_t i = 0; i < PHI_COUNT_OF(made_here); i++) {
        missing +=
            line(to, "call", ph_failure_name((uint16_t)made_here[i]), sum->failures[made_here[i]]);
    }
    missing += line(to, "call", "failure_of_responder", sum->failures_own);
    missing += line(to, "call", "timed_out", sum->timeouts);
    missing += line(to, "call", "reset", sum->resets);
    missing += line(to, "call", "cancelled_here", sum->cancels);
    missing += line(to, "inquiry", "answered", sum->answers);
    static const ph_failure_code asked_back[] = {
        PH_FAILURE_TOO_MANY_CALLS, PH_FAILURE_SLOW_CONSUMER, PH_FAILURE_TOO_DEEP,
        PH_FAILURE_UNSUPPORTED,    PH_FAILURE_CALLER_LOST,
    };
    for (size_t i = 0; i < PHI_COUNT_OF(asked_back); i++) {
        uint16_t code = (uint16_t)asked_back[i];
        missing += line(to, "inquiry", ph_failure_name(code), sum->ask_failures[code]);
    }
    missing += line(to, "inquiry", "failure_of_caller", sum->ask_failures_own);
    missing += line(to, "inquiry", "over", sum->asks_over);
    missing += line(to, "gather", "ended", sum->gathers);
    missing += line(to, "gather", "failed", sum->gather_failures);
    missing += line(to, "gather", "parts", sum->gather_parts);
    missing += line(to, "gather", "missing", sum->gather_missing);
    missing += line(to, "client", "cancels_heard", sum->cancels_heard);
    missing += line(to, "client", "writables", sum->writables);
    missing += line(to, "client", "peers_dropped", sum->peers_dropped);
    return missing;
}
