// SPDX-License-Identifier: Apache-2.0
//
// wire/topic.h - topics and patterns of them: what is one, and where its words end:
// docs/protocol.md P-74.
//
// A topic is words with dots between them, `orders.eu.created`. In a pattern `*` stands for exactly
// one word, and `>`, which can only be the last, for one or more.

#ifndef PHI_WIRE_TOPIC_H
#define PHI_WIRE_TOPIC_H

#include "base/bytes.h"

#define PHI_TOPIC_BYTES_MAX 240u
#define PHI_TOPIC_WORDS_MAX 16u

// Its words, as views into the text.
typedef struct phi_topic {
    size_t count;
    phi_bytes words[PHI_TOPIC_WORDS_MAX];
} phi_topic;

// A topic: no wildcards. False when it breaks the rules; *out is then undefined.
bool phi_topic_parse(phi_bytes text, phi_topic *out);

// The same, wildcards allowed.
bool phi_pattern_parse(phi_bytes text, phi_topic *out);

// Whether a topic fits a pattern, word by word, both of them parsed. For many patterns at a time
// the center keeps an index.
bool phi_topic_fits(const phi_topic *topic, const phi_topic *pattern);

#endif // PHI_WIRE_TOPIC_H
