// SPDX-License-Identifier: Apache-2.0
//
// wire/codes.h - the protocol's named numbers as enums, and their texts. The failure codes are
// public: posthouse/failure.def.

#ifndef PHI_WIRE_CODES_H
#define PHI_WIRE_CODES_H

#include <stdint.h>

#define PHI_PROTOCOL_VERSION 1

typedef enum phi_command {
#define PHI_COMMAND(name, code, clause, text) PHI_COMMAND_##name = (code),
#include "wire/codes.def"
#undef PHI_COMMAND
} phi_command;

typedef enum phi_bye_code {
#define PHI_BYE(name, code, label, text) PHI_BYE_##name = (code),
#include "wire/codes.def"
#undef PHI_BYE
    PHI_BYE_COUNT
} phi_bye_code;

// Why somebody went offline: P-47.
typedef enum phi_why {
#define PHI_WHY(name, code, label) PHI_WHY_##name = (code),
#include "wire/codes.def"
#undef PHI_WHY
    PHI_WHY_COUNT
} phi_why;

typedef enum phi_kind {
#define PHI_KIND(name, code, text) PHI_KIND_##name = (code),
#include "wire/codes.def"
#undef PHI_KIND
} phi_kind;

// Names as in docs/protocol.md ("account_taken"); "unknown" for a code that is not in the table.
const char *phi_bye_name(uint16_t code);
const char *phi_bye_text(uint16_t code);
const char *phi_why_name(uint8_t code);
const char *phi_kind_name(uint8_t kind);
const char *phi_command_name(uint16_t command);

#endif // PHI_WIRE_CODES_H
