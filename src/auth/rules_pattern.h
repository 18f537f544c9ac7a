// SPDX-License-Identifier: Apache-2.0
//
// auth/rules_pattern.h - the patterns of which rules are made: of names and methods, and of topics.
//
// Threads  none; pure functions

#ifndef PHI_AUTH_RULES_PATTERN_H
#define PHI_AUTH_RULES_PATTERN_H

#include <posthouse/err.h>

#include "base/bytes.h"
#include "base/diag.h"
#include "wire/topic.h"

#define PHI_METHOD_BYTES_MAX 255u // [P-54]

// What of a pattern is shown in a diag: as much as a name may be long, with "..." for the rest, and
// only what is fit to be printed.
#define PHI_PATTERN_SHOWN_BYTES 100u
typedef struct phi_pattern_shown {
    char text[PHI_PATTERN_SHOWN_BYTES];
} phi_pattern_shown;
phi_pattern_shown phi_pattern_show(phi_bytes pattern);

// Each: PH_EINVAL, and *diag says what is wrong and what is right.
PHI_MUST_CHECK ph_err phi_pattern_check_name(phi_bytes pattern, phi_diag *diag);
PHI_MUST_CHECK ph_err phi_pattern_check_method(phi_bytes pattern, phi_diag *diag);
PHI_MUST_CHECK ph_err phi_pattern_check_topic(phi_bytes pattern, phi_diag *diag);

// Whether a text fits a pattern in which `*` stands for any run of bytes, also none. Once the next
// piece has been found, no star is tried again; so the steps are at most the text's bytes times
// those of the longest piece between two stars.
bool phi_pattern_fits(phi_bytes pattern, phi_bytes text);

// Of topics and patterns of topics, seen as the sets of topics that fit them: whether `b` lies
// within `a`; whether they have one in common.
bool phi_topics_cover(const phi_topic *a, const phi_topic *b);
bool phi_topics_overlap(const phi_topic *a, const phi_topic *b);

#endif // PHI_AUTH_RULES_PATTERN_H
