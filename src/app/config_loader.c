// SPDX-License-Identifier: Apache-2.0
//
// app/config_loader.c - see config_loader.h.

#include "app/config_loader.h"

#include "base/assert.h"

void loader_next(loader *l)
{
    if (l->has_event) {
        yaml_event_delete(&l->event);
        l->has_event = false;
    }
    if (l->is_over) {
        return;
    }
    if (yaml_parser_parse(&l->parser, &l->event) == 0) {
        const yaml_mark_t *at = &l->parser.problem_mark;
        const char *problem = l->parser.problem == NULL ? "not YAML" : l->parser.problem;
        bool is_reader = l->parser.error == YAML_READER_ERROR;
        config_complain(l->errors, is_reader ? 1 : (uint32_t)at->line + 1,
                        is_reader ? (uint32_t)l->parser.problem_offset + 1
                                  : (uint32_t)at->column + 1,
                        "not valid YAML: %s", problem);
        l->is_over = true;
        return;
    }
    l->has_event = true;
    l->is_over = l->event.type == YAML_STREAM_END_EVENT;
}

void loader_skip(loader *l)
{
    size_t depth = 0;
    while (!l->is_over) {
        yaml_event_type_t type = l->event.type;
        bool opens = type == YAML_MAPPING_START_EVENT || type == YAML_SEQUENCE_START_EVENT;
        bool closes = type == YAML_MAPPING_END_EVENT || type == YAML_SEQUENCE_END_EVENT;
        depth += opens ? 1 : 0;
        if (depth > CONFIG_DEPTH_MAX) {
            config_complain(l->errors, loader_line(l), loader_column(l), "deeper than %u levels",
                            CONFIG_DEPTH_MAX);
            l->is_over = true;
            return;
        }
        if (closes) {
            PH_ASSERT(depth > 0);
            depth--;
        }
        if (depth == 0) {
            return;
        }
        loader_next(l);
    }
}

bool loader_is_plain(const loader *l)
{
    if (l->event.type == YAML_SCALAR_EVENT) {
        return l->event.data.scalar.anchor == NULL && l->event.data.scalar.tag == NULL;
    }
    if (l->event.type == YAML_SEQUENCE_START_EVENT) {
        return l->event.data.sequence_start.anchor == NULL &&
               l->event.data.sequence_start.tag == NULL;
    }
    if (l->event.type == YAML_MAPPING_START_EVENT) {
        return l->event.data.mapping_start.anchor == NULL &&
               l->event.data.mapping_start.tag == NULL;
    }
    return false;
}

const char *loader_what(const loader *l)
{
    if (l->event.type == YAML_SCALAR_EVENT) {
        return "a single value";
    }
    if (l->event.type == YAML_SEQUENCE_START_EVENT) {
        return "a list";
    }
    if (l->event.type == YAML_MAPPING_START_EVENT) {
        return "keys and values";
    }
    return "an alias";
}

uint32_t loader_line(const loader *l)
{
    return (uint32_t)l->event.start_mark.line + 1;
}

uint32_t loader_column(const loader *l)
{
    return (uint32_t)l->event.start_mark.column + 1;
}
