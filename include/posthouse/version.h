// SPDX-License-Identifier: Apache-2.0
//
// posthouse/version.h - which version was compiled against, and which one runs.

#ifndef PH_VERSION_H
#define PH_VERSION_H

#include <posthouse/export.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PH_VERSION_MAJOR 0
#define PH_VERSION_MINOR 1
#define PH_VERSION_PATCH 0
#define PH_VERSION_TEXT "0.1.0"

// The version of the library that runs: "0.1.0". [any thread]
PH_API const char *ph_version(void);

#ifdef __cplusplus
}
#endif

#endif // PH_VERSION_H
