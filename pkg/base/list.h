#pragma once
/* Intrusive doubly linked list: the head and every node are `struct list`. A node that is not on a
 * list points to itself, so that unlinking twice is harmless. any thread (no state of its own) */

#include <stdbool.h>

#include "base/macro.h"

struct list {
	struct list *prev, *next;
};

static inline void list_init(struct list *l)
{
	l->prev = l->next = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_insert_before(struct list *at, struct list *node)
{
	node->prev = at->prev;
	node->next = at;
	at->prev->next = node;
	at->prev = node;
}

static inline void list_append(struct list *head, struct list *node)
{
	list_insert_before(head, node);
}

static inline void list_prepend(struct list *head, struct list *node)
{
	list_insert_before(head->next, node);
}

static inline void list_unlink(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/* Unlinks and returns the first node, or NULL. */
static inline struct list *list_take_first(struct list *head)
{
	if (list_empty(head))
		return NULL;
	struct list *first = head->next;
	list_unlink(first);
	return first;
}

#define list_entry(node, type, member) container_of(node, type, member)
#define list_for_each(node, head)                                                                  \
	for (struct list *node = (head)->next; node != (head); node = node->next)
/* The current node may be unlinked or freed inside the loop; no other may. */
#define list_for_each_safe(node, head)                                                             \
	for (struct list *node = (head)->next, *_next_##node = node->next; node != (head);         \
	     node = _next_##node, _next_##node = node->next)
