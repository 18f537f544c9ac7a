// SPDX-License-Identifier: Apache-2.0
//
// app/event.h - one event, as a line for people or an object for programs.

#ifndef APP_EVENT_H
#define APP_EVENT_H

#include <posthouse/posthouse.h>

#include "app/draft.h"

// FROM METHOD BODY, with what could harm a terminal as \xHH. With `has_topic`, the topic stands in
// front.
void event_line(draft *line, const ph_incoming *event, bool has_topic);

// The same as an object of JSON.
void event_json(draft *line, const ph_incoming *event, bool has_topic);

#endif // APP_EVENT_H
