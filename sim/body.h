// SPDX-License-Identifier: Apache-2.0
//
// sim/body.h - what stands in the bodies of the simulated world behind who and which they are:
// bytes that follow from their place and from a number of the message. So a body that was put
// together wrongly shows, wherever it was cut.

#ifndef SIM_BODY_H
#define SIM_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline uint8_t body_byte(size_t at, uint32_t salt)
{
    return (uint8_t)(salt + at * 31 + (at >> 8) * 7 + (at >> 16));
}

static inline void body_fill(uint8_t *body, size_t from, size_t size, uint32_t salt)
{
    for (size_t i = from; i < size; i++) {
        body[i] = body_byte(i, salt);
    }
}

static inline bool body_is_filled(const uint8_t *body, size_t from, size_t size, uint32_t salt)
{
    for (size_t i = from; i < size; i++) {
        if (body[i] != body_byte(i, salt)) {
            return false;
        }
    }
    return true;
}

#endif // SIM_BODY_H
