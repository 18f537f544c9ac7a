// SPDX-License-Identifier: Apache-2.0
//
// app/event.h - one event, as a line for people or an object for programs.

#ifndef APP_EVENT_H
#define APP_EVENT_H

#include <posthouse/posthouse.h>

#include "app/draft.h"

// Says that what begins as an address does is taken as the name of a topic.
void event_note_scheme(const char *topic);

// Whether it was published, and not sent to an account, a service, or everybody.
bool event_has_topic(const ph_incoming *event);

// FROM METHOD BODY, with what could harm a terminal as \xHH, and without the newline that the body
// may end with. With `has_topic`, the topic stands in front.
void event_line(draft *line, const ph_incoming *event, bool has_topic);

// The same as an object of JSON.
void event_json(draft *line, const ph_incoming *event, bool has_topic);

#endif // APP_EVENT_H
