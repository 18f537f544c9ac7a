// SPDX-License-Identifier: Apache-2.0
//
// fuzz/fuzz_subscription.c - subscriptions, the answers to them, topics and patterns.
//
// Input    which u8 | payload: 0 a subscription, 1 an answer, 2 a topic, a zero byte and a pattern
// Oracle   what was read is written again as it was; a topic is also a pattern and fits itself; a
//          topic fits a pattern when the rule of P-74, followed from the last word on, says so

#include "fuzz/fuzz.h"

#include <string.h>

#include "tests/wire/judge.h"
#include "wire/topic.h"

static bool word_is(phi_bytes word, char c)
{
    return word.size == 1 && word.data[0] == (uint8_t)c;
}

// By the number of words first, then from the back: another way than the one that is judged.
static bool fits(const phi_topic *topic, const phi_topic *pattern)
{
    size_t words = pattern->count;
    if (word_is(pattern->words[words - 1], '>')) {
        words--;
        if (topic->count <= words) {
            return false;
        }
    } else if (topic->count != words) {
        return false;
    }
    while (words > 0) {
        words--;
        if (!word_is(pattern->words[words], '*') &&
            !phi_bytes_equal(pattern->words[words], topic->words[words])) {
            return false;
        }
    }
    return true;
}

static void expect_words(phi_bytes text, const phi_topic *topic)
{
    size_t size = topic->count - 1; // the dots
    for (size_t i = 0; i < topic->count; i++) {
        fuzz_expect(topic->words[i].size != 0, "an empty word");
        size += topic->words[i].size;
    }
    fuzz_expect(size == text.size, "a topic is more than its words");
}

static void judge_topic(phi_bytes text, phi_bytes pattern_text)
{
    phi_topic topic;
    phi_topic pattern;
    bool is_topic = phi_topic_parse(text, &topic);
    bool is_pattern = phi_pattern_parse(pattern_text, &pattern);
    if (is_pattern) {
        expect_words(pattern_text, &pattern);
    }
    if (is_topic) {
        expect_words(text, &topic);
        phi_topic same;
        fuzz_expect(phi_pattern_parse(text, &same), "a topic that is no pattern");
        fuzz_expect(phi_topic_fits(&topic, &same), "a topic that does not fit itself");
        if (is_pattern) {
            fuzz_expect(phi_topic_fits(&topic, &pattern) == fits(&topic, &pattern),
                        "fits, and does not");
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    bool accepted = false;
    const char *wrong = NULL;
    phi_bytes payload = phi_bytes_of(data + 1, size - 1);
    if (data[0] == 0) {
        wrong = judge_subscription(payload, &accepted);
    } else if (data[0] == 1) {
        wrong = judge_subscription_answer(payload, &accepted);
    } else {
        const uint8_t *zero = memchr(payload.data, 0, payload.size);
        size_t topic_size = zero == NULL ? payload.size : (size_t)(zero - payload.data);
        size_t behind = topic_size + (zero == NULL ? 0 : 1);
        judge_topic(phi_bytes_of(payload.data, topic_size),
                    phi_bytes_of(payload.data + behind, payload.size - behind));
    }
    fuzz_expect(wrong == NULL, wrong);
    return 0;
}
