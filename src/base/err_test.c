// SPDX-License-Identifier: Apache-2.0

#include <posthouse/err.h>

#include <stdbool.h>
#include <string.h>

#include "base/compiler.h"
#include "tests/harness/test.h"

typedef struct err_row {
    ph_err err;
    const char *name;
    ph_err_scope scope;
    const char *text;
} err_row;

static const err_row rows[] = {
#define PH_ERR(name, value, scope, text) { PH_##name, "PH_" #name, PH_SCOPE_##scope, text },
#include <posthouse/err.def>
#undef PH_ERR
};

// Every value that was ever released. Programs keep them in files and logs: rows are added here and
// never changed or removed, also when err.def drops an error.
static const struct {
    const char *name;
    int value;
} history[] = {
    { "PH_OK", 0 },         { "PH_EINVAL", -1 },         { "PH_ELIMIT", -2 },
    { "PH_EBUSY", -3 },     { "PH_ETIMEDOUT", -4 },      { "PH_ENOTFOUND", -5 },
    { "PH_ETOOLARGE", -6 }, { "PH_ECANCELLED", -7 },     { "PH_EFAILURE", -8 },
    { "PH_ESTALE", -9 },    { "PH_ENOTCONNECTED", -10 }, { "PH_EPROTO", -20 },
    { "PH_ECHECK", -21 },   { "PH_ECLOSED", -22 },       { "PH_EREFUSED", -23 },
    { "PH_ECONNECT", -24 }, { "PH_ERESET", -25 },        { "PH_ESUITE", -26 },
    { "PH_ETLS", -27 },     { "PH_ENOMEM", -40 },        { "PH_EADDRINUSE", -41 },
    { "PH_EACCESS", -42 },  { "PH_ESYSTEM", -43 },       { "PH_ECONFIG", -44 },
};

// A value that changed its meaning would make an old program act on the wrong error.
TEST(err, values_are_those_of_history)
{
    for (size_t i = 0; i < PHI_COUNT_OF(rows); i++) {
        bool is_known = false;
        for (size_t k = 0; k < PHI_COUNT_OF(history); k++) {
            bool same_name = strcmp(rows[i].name, history[k].name) == 0;
            bool same_value = (int)rows[i].err == history[k].value;
            EXPECT_EQ(same_name, same_value);
            is_known = is_known || same_name;
        }
        if (!is_known) {
            fail_msg("add %s to the history in this file", rows[i].name);
        }
    }
}

// Logs and users see these texts; a scope decides whether a connection survives.
TEST(err, name_text_and_scope_come_from_the_table)
{
    for (size_t i = 0; i < PHI_COUNT_OF(rows); i++) {
        EXPECT_TEXT(ph_err_name(rows[i].err), rows[i].name);
        EXPECT_TEXT(ph_err_text(rows[i].err), rows[i].text);
        EXPECT_EQ(ph_err_get_scope(rows[i].err), rows[i].scope);
        EXPECT(rows[i].text[0] != '\0');
        EXPECT(rows[i].text[strlen(rows[i].text) - 1] != '.');
    }
    EXPECT_EQ(ph_err_get_scope(PH_OK), PH_SCOPE_NONE);
}

// A newer library may return what this one does not know.
TEST(err, unknown_value_has_a_name_and_the_widest_scope)
{
    ph_err unknown = (ph_err)-999;
    EXPECT_TEXT(ph_err_name(unknown), "PH_UNKNOWN");
    EXPECT(ph_err_text(unknown)[0] != '\0');
    EXPECT_EQ(ph_err_get_scope(unknown), PH_SCOPE_PROCESS);
}
