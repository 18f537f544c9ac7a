// SPDX-License-Identifier: Apache-2.0
//
// client/names.c - the public numbers in words, and the version.

#include <posthouse/posthouse.h>

#include "wire/codes.h"

const char *ph_version(void)
{
    return PH_VERSION_TEXT;
}

const char *ph_failure_name(uint16_t code)
{
    if (code >= PH_FAILURE_APPLICATION) {
        return "application";
    }
    switch (code) {
#define PH_FAILURE(name, value, label, text)                                                       \
    case value:                                                                                    \
        return label;
#include <posthouse/failure.def>
#undef PH_FAILURE
    default:
        return "unknown";
    }
}

const char *ph_failure_text(uint16_t code)
{
    if (code >= PH_FAILURE_APPLICATION) {
        return "the responder's own failure";
    }
    switch (code) {
#define PH_FAILURE(name, value, label, text)                                                       \
    case value:                                                                                    \
        return text;
#include <posthouse/failure.def>
#undef PH_FAILURE
    default:
        return "a failure this version does not know";
    }
}

const char *ph_change_name(ph_change change)
{
    switch (change) {
    case PH_ONLINE:
        return "online";
    case PH_OFFLINE:
        return "offline";
    case PH_CHANGED:
        return "changed";
    }
    return "unknown";
}

const char *ph_reason_name(ph_reason reason)
{
    if (reason == PH_REASON_NONE) {
        return "none";
    }
    return (unsigned)reason < PHI_WHY_COUNT ? phi_why_name((uint8_t)reason) : "unknown";
}

const char *ph_state_name(ph_state state)
{
    switch (state) {
    case PH_STATE_STARTING:
        return "starting";
    case PH_STATE_READY:
        return "ready";
    case PH_STATE_DRAINING:
        return "draining";
    case PH_STATE_SUSPECT:
        return "suspect";
    case PH_STATE_DOWN:
        return "down";
    }
    return "unknown";
}

const char *ph_type_name(ph_type type)
{
    switch (type) {
    case PH_TYPE_CLIENT:
        return "CLIENT";
    case PH_TYPE_GATEWAY:
        return "GATEWAY";
    case PH_TYPE_DISCOVERY:
        return "DISCOVERY";
    case PH_TYPE_CENTER:
        return "CENTER";
    }
    return "unknown";
}
