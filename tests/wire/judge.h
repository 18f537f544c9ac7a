// SPDX-License-Identifier: Apache-2.0
//
// tests/wire/judge.h - what must hold for any bytes given to a decoder, in one place for the tests
// and the fuzzers: it refuses them, or what it read can be written again and means the same.

#ifndef TESTS_WIRE_JUDGE_H
#define TESTS_WIRE_JUDGE_H

#include "base/bytes.h"

// NULL, or what is wrong. *accepted says whether the decoder took the payload. The payload is
// copied into a block of just its size, so that AddressSanitizer sees every byte read too far.
typedef const char *judge_fn(phi_bytes payload, bool *accepted);

judge_fn judge_heartbeat;
judge_fn judge_hello;
judge_fn judge_join;
judge_fn judge_welcome;
judge_fn judge_page;
judge_fn judge_ask;
judge_fn judge_status;
judge_fn judge_message;
judge_fn judge_bye;
judge_fn judge_own_state;
judge_fn judge_subscription;
judge_fn judge_subscription_answer;
judge_fn judge_stream;
judge_fn judge_credential;
judge_fn judge_credential_answer;

// By the names of tests/vectors; NULL when there is none.
judge_fn *judge_find(const char *family);

// All families, in the order above; NULL behind the last.
judge_fn *judge_at(size_t index, const char **family);

#endif // TESTS_WIRE_JUDGE_H
