// SPDX-License-Identifier: Apache-2.0
//
// posthouse/err.h - every error there is, from the one table in err.def.
//
// Threads    All functions here are [any thread].
// Ownership  Returned strings are constants.

#ifndef PH_ERR_H
#define PH_ERR_H

#include <posthouse/export.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ph_err {
#define PH_ERR(name, value, scope, text) PH_##name = (value),
#include <posthouse/err.def>
#undef PH_ERR
} ph_err;

// What a failure costs.
typedef enum ph_err_scope {
    PH_SCOPE_NONE,    // nothing: success
    PH_SCOPE_CALL,    // this call; the connection goes on
    PH_SCOPE_LINK,    // this connection; the process goes on
    PH_SCOPE_PROCESS, // whoever runs the process has to act
} ph_err_scope;

// "PH_EBUSY"; "PH_UNKNOWN" for a value that is not in the table.
PH_API const char *ph_err_name(ph_err err);

// A phrase for people, without a full stop.
PH_API const char *ph_err_text(ph_err err);

PH_API ph_err_scope ph_err_get_scope(ph_err err);

#ifdef __cplusplus
}
#endif

#endif // PH_ERR_H
