// SPDX-License-Identifier: Apache-2.0
//
// tests/center/topics_model.h - for tests and the fuzzer: subscriptions in a plain array, matched
// word by word, and a judge that does with the real structure what a script of bytes says, and
// compares.

#ifndef TESTS_CENTER_TOPICS_MODEL_H
#define TESTS_CENTER_TOPICS_MODEL_H

#include "wire/topic.h"

// What the definition says.
bool topics_model_fits(const phi_topic *pattern, const phi_topic *topic);

// NULL, or what is wrong. Any bytes are a script.
const char *topics_model_judge(phi_bytes script);

#endif // TESTS_CENTER_TOPICS_MODEL_H
