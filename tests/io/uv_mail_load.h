// SPDX-License-Identifier: Apache-2.0
//
// tests/io/uv_mail_load.h - for tests: loops in threads that write to each other as fast as they
// can, and look at what comes: nothing lost, nothing doubled, nothing overtaken, and all see the
// same order.

#ifndef TESTS_IO_UV_MAIL_LOAD_H
#define TESTS_IO_UV_MAIL_LOAD_H

#include <stdint.h>

// Each of `count` (3 or more) writes `mails` to each of the others. Fails the test when anything is
// not as it should be; hangs when a wake-up is lost.
void mail_load_run(uint32_t count, uint32_t mails);

#endif // TESTS_IO_UV_MAIL_LOAD_H
