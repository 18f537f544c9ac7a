// SPDX-License-Identifier: Apache-2.0
//
// app/config_rules.h - `rules:` in the configuration file. What they mean is in auth/rules.h.

#ifndef APP_CONFIG_RULES_H
#define APP_CONFIG_RULES_H

#include "app/config_loader.h"

// From the key to the end of its value: into c->rules. Every mistake is told, each with its place.
void config_rules_read(loader *l);

#endif // APP_CONFIG_RULES_H
