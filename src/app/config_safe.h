// SPDX-License-Identifier: Apache-2.0
//
// app/config_safe.h - what would be an unsafe start, as far as the configuration alone shows it.
// The files that it names are judged where they are read (security.h).
//
// Each refusal says what to do.

#ifndef APP_CONFIG_SAFE_H
#define APP_CONFIG_SAFE_H

#include "app/config.h"

void config_judge_safety(const config *c, config_errors *errors);

// How many listeners are of that kind.
size_t config_count_listeners(const config *c, center_listener kind);

// Somebody could connect who is not on this machine, and nothing is encrypted against an attacker.
size_t config_count_insecure(const config *c);

bool config_has_tokens(const config *c);

listener config_listener_at(const config *c, size_t index);

#endif // APP_CONFIG_SAFE_H
