#pragma once
/* Look-ups of nodes by a text that several of them may have: what a packet asks about must not cost
 * a walk over all hosts. A map holds one entry of each key; entries of the same key form a ring, in
 * no order. Entries are part of their node. Core thread. */

#include "base/list.h"
#include "base/map.h"

struct node;

/* Zeroed: in no index. */
struct index_entry {
	struct list link; /* the entries of the same key */
	char *key;	  /* NULL: in no index */
	struct node *node;
};

/* Puts the entry under `key`, away from the key that it had; NULL or "": takes it out. Always the
 * same index for one entry. */
void index_set(struct map *index, struct index_entry *e, struct node *n, const char *key);
/* A node other than `but` (NULL: any) that has an entry under `key`; NULL: none has. */
struct node *index_find(const struct map *index, const char *key, const struct node *but);
