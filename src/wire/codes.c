// SPDX-License-Identifier: Apache-2.0
//
// wire/codes.c - names and texts of the protocol's numbers, all out of codes.def.
//
// Numbers come from peers, so every function here takes any number.

#include "wire/codes.h"

const char *phi_bye_name(uint16_t code)
{
    switch (code) {
#define PHI_BYE(name, number, label, text)                                                         \
    case number:                                                                                   \
        return label;
#include "wire/codes.def"
#undef PHI_BYE
    default:
        return "unknown";
    }
}

const char *phi_bye_text(uint16_t code)
{
    switch (code) {
#define PHI_BYE(name, number, label, text)                                                         \
    case number:                                                                                   \
        return text;
#include "wire/codes.def"
#undef PHI_BYE
    default:
        return "a reason this version does not know";
    }
}

const char *phi_why_name(uint8_t code)
{
    switch (code) {
#define PHI_WHY(name, number, label)                                                               \
    case number:                                                                                   \
        return label;
#include "wire/codes.def"
#undef PHI_WHY
    default:
        return "unknown";
    }
}

const char *phi_kind_name(uint8_t kind)
{
    switch (kind) {
#define PHI_KIND(name, number, text)                                                               \
    case number:                                                                                   \
        return text;
#include "wire/codes.def"
#undef PHI_KIND
    default:
        return "unknown";
    }
}

const char *phi_command_name(uint16_t command)
{
    switch (command) {
#define PHI_COMMAND(name, number, clause, text)                                                    \
    case number:                                                                                   \
        return text;
#include "wire/codes.def"
#undef PHI_COMMAND
    default:
        return "unknown";
    }
}
