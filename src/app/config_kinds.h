// SPDX-License-Identifier: Apache-2.0
//
// app/config_kinds.h - what a value of each kind may be that is a text. What is refused is never
// repeated where it could be a secret that somebody wrote into the wrong place.
//
// Threads  none; pure functions

#ifndef APP_CONFIG_KINDS_H
#define APP_CONFIG_KINDS_H

#include "app/config.h"

// PH_EINVAL   *diag says what was expected
PHI_MUST_CHECK ph_err config_judge_name(const char *chars, phi_diag *diag);
PHI_MUST_CHECK ph_err config_judge_text(const char *chars, phi_diag *diag);
PHI_MUST_CHECK ph_err config_judge_path(const char *chars, phi_diag *diag);
PHI_MUST_CHECK ph_err config_judge_keys(const char *chars, phi_diag *diag);
PHI_MUST_CHECK ph_err config_judge_secret(const char *chars, phi_diag *diag);

// The index of a choice.
PHI_MUST_CHECK ph_err config_judge_choice(const char *choices, const char *chars, uint64_t *out,
                                          phi_diag *diag);

// "1000=alice".
PHI_MUST_CHECK ph_err config_judge_user(const char *chars, config_user *out, phi_diag *diag);

#endif // APP_CONFIG_KINDS_H
