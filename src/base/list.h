// SPDX-License-Identifier: Apache-2.0
//
// base/list.h - intrusive doubly linked list with a sentinel. The field comment of a node names the
// list it is on.

#ifndef PHI_BASE_LIST_H
#define PHI_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"

typedef struct phi_list {
    struct phi_list *next;
    struct phi_list *prev;
} phi_list;

static inline void phi_list_init(phi_list *l)
{
    l->next = l;
    l->prev = l;
}

static inline bool phi_list_is_empty(const phi_list *l)
{
    return l->next == l;
}

// A node that is on no list: zeroed, or removed.
static inline bool phi_list_is_linked(const phi_list *node)
{
    return node->next != NULL && node->next != node;
}

static inline void phi_list_append(phi_list *l, phi_list *node)
{
    node->prev = l->prev;
    node->next = l;
    l->prev->next = node;
    l->prev = node;
}

// Nothing for a node that is on no list.
static inline void phi_list_remove(phi_list *node)
{
    if (node->next != NULL) {
        node->prev->next = node->next;
        node->next->prev = node->prev;
        node->next = NULL;
        node->prev = NULL;
    }
}

// Initialises `l` with all nodes of `from`, which is empty then.
static inline void phi_list_init_from(phi_list *l, phi_list *from)
{
    phi_list_init(l);
    if (!phi_list_is_empty(from)) {
        *l = *from;
        l->next->prev = l;
        l->prev->next = l;
        phi_list_init(from);
    }
}

// Puts all nodes of `from`, which is empty then, behind those of `l`.
static inline void phi_list_append_all(phi_list *l, phi_list *from)
{
    if (!phi_list_is_empty(from)) {
        from->next->prev = l->prev;
        l->prev->next = from->next;
        from->prev->next = l;
        l->prev = from->prev;
        phi_list_init(from);
    }
}

// The first node, taken off; NULL when empty.
static inline phi_list *phi_list_take(phi_list *l)
{
    if (phi_list_is_empty(l)) {
        return NULL;
    }
    phi_list *node = l->next;
    phi_list_remove(node);
    return node;
}

#endif // PHI_BASE_LIST_H
