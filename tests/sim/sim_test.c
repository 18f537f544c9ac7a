// SPDX-License-Identifier: Apache-2.0
//
// tests/sim/sim_test.c - see sim_test.h.

#include "tests/sim/sim_test.h"

uint32_t sim_workers = 1;
