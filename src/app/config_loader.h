// SPDX-License-Identifier: Apache-2.0
//
// app/config_loader.h - the configuration file while it is read: one YAML event at a time, and
// where it stands. For config_yaml.c, which reads keys and values, and config_rules.c.

#ifndef APP_CONFIG_LOADER_H
#define APP_CONFIG_LOADER_H

#include <yaml.h>

#include "app/config.h"

typedef struct loader {
    config *c;
    config_errors *errors;
    yaml_parser_t parser;
    yaml_event_t event; // the current one; owned
    bool has_event;
    bool is_over;                    // the YAML broke, or ended
    uint32_t seen[CONFIG_KEY_COUNT]; // the line where a key stood; 0: not yet
} loader;

// The next event; the old one is given back. At the end, and when the YAML is broken, is_over.
void loader_next(loader *l);

// Reads to the end of the node that begins with the current event.
void loader_skip(loader *l);

// Without anchor and tag, and no alias.
bool loader_is_plain(const loader *l);

// "a list", "keys and values", ...
const char *loader_what(const loader *l);

// Of the current event.
uint32_t loader_line(const loader *l);
uint32_t loader_column(const loader *l);

#endif // APP_CONFIG_LOADER_H
