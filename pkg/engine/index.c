/* See index.h. The map points to one entry of each ring, whichever; when that one leaves, the next
 * takes its place. A node has at most two entries in one index (slots: the address that it has and
 * the one that it shall have), so a ring is left after three looks at most. Core thread. */

#include "engine/index.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/str.h"

static void take_out(struct map *index, struct index_entry *e)
{
	if (!e->key)
		return;
	struct index_entry *next = list_entry(e->link.next, struct index_entry, link);
	if (next == e)
		map_remove(index, e->key);
	else if (map_get(index, e->key) == e)
		map_set(index, e->key, next);
	list_unlink(&e->link);
	free(TAKE_PTR(e->key));
}

void index_set(struct map *index, struct index_entry *e, struct node *n, const char *key)
{
	if (streq(e->key, str_empty(key) ? NULL : key))
		return;
	take_out(index, e);
	if (str_empty(key))
		return;
	e->key = xstrdup(key);
	e->node = n;
	list_init(&e->link);
	struct index_entry *first = map_get(index, key);
	if (first)
		list_append(&first->link, &e->link);
	else
		map_set(index, key, e);
}

struct node *index_find(const struct map *index, const char *key, const struct node *but)
{
	struct index_entry *first = str_empty(key) ? NULL : map_get(index, key), *e = first;
	if (!first)
		return NULL;
	do {
		if (e->node != but)
			return e->node;
		e = list_entry(e->link.next, struct index_entry, link);
	} while (e != first);
	return NULL;
}
