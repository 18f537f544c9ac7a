// SPDX-License-Identifier: Apache-2.0
//
// posthouse/export.h - what marks a function as part of the public interface.

#ifndef PH_EXPORT_H
#define PH_EXPORT_H

#if defined(__GNUC__) || defined(__clang__)
#define PH_API __attribute__((visibility("default")))
#define PH_MUST_CHECK __attribute__((warn_unused_result))
#else
#define PH_API
#define PH_MUST_CHECK
#endif

#endif // PH_EXPORT_H
