// SPDX-License-Identifier: Apache-2.0
//
// app/event.c - see event.h.

#include "app/event.h"

#include <string.h>

#include "app/term.h"

// How wide names are made, so that lines can be read as columns.
#define TOPIC_COLUMNS 28
#define FROM_COLUMNS 24
#define METHOD_COLUMNS 16

static const char topic_scheme[] = "topic:";

static void column(draft *line, phi_bytes text, size_t columns)
{
    draft cell;
    draft_init(&cell);
    draft_printable(&cell, text);
    size_t width = draft_columns(draft_view(&cell));
    draft_bytes(line, draft_view(&cell));
    draft_spaces(line, (width < columns ? columns - width : 0) + 2);
    draft_fini(&cell);
}

void event_note_scheme(const char *topic)
{
    if (strncmp(topic, topic_scheme, sizeof topic_scheme - 1) == 0) {
        term_note("'%s' is taken as the topic's whole name; only addresses (send) begin with %s",
                  topic, topic_scheme);
    }
}

bool event_has_topic(const ph_incoming *event)
{
    size_t skip = sizeof topic_scheme - 1;
    return event->to.size > skip && memcmp(event->to.data, topic_scheme, skip) == 0;
}

// What `to` says behind its scheme.
static phi_bytes topic_of(const ph_incoming *event)
{
    phi_bytes to = draft_of_view(event->to);
    size_t skip = event_has_topic(event) ? sizeof topic_scheme - 1 : 0;
    return phi_bytes_of(to.data + skip, to.size - skip);
}

void event_line(draft *line, const ph_incoming *event, bool has_topic)
{
    if (has_topic) {
        column(line, topic_of(event), TOPIC_COLUMNS);
    }
    column(line, draft_of_view(event->from), FROM_COLUMNS);
    bool has_method = event->method.size != 0;
    column(line, has_method ? draft_of_view(event->method) : phi_bytes_text("-"), METHOD_COLUMNS);
    draft_printable(line, draft_of_line(event->body));
    draft_add(line, "\n");
}

void event_json(draft *line, const ph_incoming *event, bool has_topic)
{
    phi_json j;
    phi_json_init_buf(&j, &line->buf);
    phi_json_object_begin(&j);
    if (has_topic) {
        phi_json_key(&j, "topic");
        phi_json_string(&j, topic_of(event));
    }
    phi_json_key(&j, "from");
    phi_json_string(&j, draft_of_view(event->from));
    phi_json_key(&j, "method");
    phi_json_string(&j, draft_of_view(event->method));
    phi_json_key(&j, "body");
    phi_json_string(&j, draft_of_view(event->body));
    phi_json_object_end(&j);
    draft_json_end(line, &j);
}
