#pragma once
/* Hash map from strings to pointers. Keys are copied; values belong to the caller. Iteration runs
 * in order of insertion, so that everything built on it is deterministic. any thread */

#include <stdbool.h>
#include <stdint.h>

#include "base/macro.h"

struct map_entry {
	char *key; /* NULL: a removed entry */
	void *value;
};

struct map {
	struct map_entry *entries; /* in order of insertion, with holes */
	size_t used, cap;	   /* entries in use, holes included; allocated */
	size_t count;		   /* live entries */
	uint32_t *slots;	   /* index + 1 into entries; 0 free */
	size_t slot_count;
};

void map_done(struct map *m);			     /* frees keys, not values */
void *map_get(const struct map *m, const char *key); /* NULL when absent */
/* Returns the value that was there before, or NULL. */
void *map_set(struct map *m, const char *key, void *value);
/* Returns the value that was there, or NULL. Safe inside map_for_each. */
void *map_remove(struct map *m, const char *key);

/* Entries that loops of this thread went over, ever: by it the simulation knows a callback that
 * walks over everything (loop/loop.h). */
extern _Thread_local uint64_t map_walked;

/* Nothing may be added inside the loop. */
#define map_for_each(m, i)                                                                         \
	for (size_t i = 0; i < (m)->used && ++map_walked; i++)                                     \
		if ((m)->entries[i].key)
