// SPDX-License-Identifier: Apache-2.0
//
// tests/app/config_text.h - for tests: a configuration as a file of this text makes it.

#ifndef TESTS_APP_CONFIG_TEXT_H
#define TESTS_APP_CONFIG_TEXT_H

#include <string.h>

#include "app/config.h"

// Both anew: what a test before has left in them is forgotten. The file is called c.yaml.
static inline void config_of_text(config *c, config_errors *errors, const char *yaml)
{
    config_fini(c);
    config_init(c);
    memset(errors, 0, sizeof *errors);
    config_parse(c, "c.yaml", phi_bytes_text(yaml), errors);
}

#endif // TESTS_APP_CONFIG_TEXT_H
