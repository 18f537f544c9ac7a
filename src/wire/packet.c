// SPDX-License-Identifier: Apache-2.0
//
// wire/packet.c - the suites by name and rank. Cutting itself is inline, in packet.h.
//
// Clauses: P-20, P-22.

#include "wire/packet.h"

#include "base/assert.h"

static const struct {
    const char *name;
    int rank;
} suites[PHI_SUITE_COUNT] = {
    [PHI_SUITE_PLAIN] = { "plain", 0 },
    [PHI_SUITE_PAPER] = { "paper", 2 },
    [PHI_SUITE_CHECK] = { "check", 1 },
};

int phi_suite_rank(phi_suite suite)
{
    PH_ASSERT(suite < PHI_SUITE_COUNT);
    return suites[suite].rank;
}

const char *phi_suite_name(phi_suite suite)
{
    PH_ASSERT(suite < PHI_SUITE_COUNT);
    return suites[suite].name;
}

bool phi_suite_of_name(phi_bytes name, phi_suite *suite)
{
    PH_ASSERT(suite != NULL);
    for (int i = 0; i < PHI_SUITE_COUNT; i++) {
        if (phi_bytes_equal(name, phi_bytes_text(suites[i].name))) {
            *suite = (phi_suite)i;
            return true;
        }
    }
    return false;
}
