// SPDX-License-Identifier: Apache-2.0
//
// base/err.c - what posthouse/err.def says about each error, for people.

#include <posthouse/err.h>

// A switch refuses at compile time that two rows share a value.
const char *ph_err_name(ph_err err)
{
    switch (err) {
#define PH_ERR(name, value, scope, text)                                                           \
    case PH_##name:                                                                                \
        return "PH_" #name;
#include <posthouse/err.def>
#undef PH_ERR
    }
    return "PH_UNKNOWN";
}

const char *ph_err_text(ph_err err)
{
    switch (err) {
#define PH_ERR(name, value, scope, text)                                                           \
    case PH_##name:                                                                                \
        return text;
#include <posthouse/err.def>
#undef PH_ERR
    }
    return "unknown error";
}

ph_err_scope ph_err_get_scope(ph_err err)
{
    switch (err) {
#define PH_ERR(name, value, scope, text)                                                           \
    case PH_##name:                                                                                \
        return PH_SCOPE_##scope;
#include <posthouse/err.def>
#undef PH_ERR
    }
    // Whoever does not know an error must not take it for a small one.
    return PH_SCOPE_PROCESS;
}
