// SPDX-License-Identifier: Apache-2.0
//
// app/config_report.h - what a configuration and its files come to, for people and programs: what
// protects each listener and who may join there, whose certificate it is and how long, how many
// keys and rules, and what there is to warn of.
//
// Threads  none

#ifndef APP_CONFIG_REPORT_H
#define APP_CONFIG_REPORT_H

#include "app/config.h"
#include "app/security.h"
#include "text/json.h"

void config_report_table(const config *c, const security *s, uint64_t now_s, draft *out);

// Members of an object that the caller has begun.
void config_report_json(const config *c, const security *s, uint64_t now_s, phi_json *j);

#endif // APP_CONFIG_REPORT_H
