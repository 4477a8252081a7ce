/* String map with insertion order: an entry array plus an open-addressed index of it. Removal
 * leaves a hole in the entries and a tombstone in the index; both go at the next growth. Pure. */

#include "base/map.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define TOMBSTONE UINT32_MAX

_Thread_local uint64_t map_walked;

/* FNV-1a: keys are our own names (namespace/name), bounded in number, so flooding is no concern. */
static uint32_t hash(const char *s)
{
	uint32_t h = 2166136261u;
	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 16777619u;
	return h;
}

void map_done(struct map *m)
{
	for (size_t i = 0; i < m->used; i++)
		free(m->entries[i].key);
	free(m->entries);
	free(m->slots);
	*m = (struct map){ 0 };
}

static uint32_t *find(const struct map *m, const char *key)
{
	if (m->slot_count == 0)
		return NULL;
	for (size_t i = hash(key) & (m->slot_count - 1);; i = (i + 1) & (m->slot_count - 1)) {
		uint32_t slot = m->slots[i];
		if (slot == 0)
			return NULL;
		if (slot != TOMBSTONE && strcmp(m->entries[slot - 1].key, key) == 0)
			return &m->slots[i];
	}
}

static void index_entry(struct map *m, size_t at)
{
	size_t i = hash(m->entries[at].key) & (m->slot_count - 1);
	while (m->slots[i] != 0)
		i = (i + 1) & (m->slot_count - 1);
	m->slots[i] = (uint32_t)at + 1;
}

/* Drops the holes and makes room for at least one more entry at a load of one half. */
static void rebuild(struct map *m)
{
	size_t live = 0;
	for (size_t i = 0; i < m->used; i++)
		if (m->entries[i].key)
			m->entries[live++] = m->entries[i];
	m->used = live;
	m->cap = MAX(live * 2, (size_t)8);
	m->entries = xreallocarray(m->entries, m->cap, sizeof(m->entries[0]));
	free(m->slots);
	for (m->slot_count = 16; m->slot_count < m->cap * 2;)
		m->slot_count *= 2;
	m->slots = xcalloc(m->slot_count, sizeof(m->slots[0]));
	for (size_t i = 0; i < m->used; i++)
		index_entry(m, i);
}

void *map_get(const struct map *m, const char *key)
{
	const uint32_t *slot = find(m, key);
	return slot ? m->entries[*slot - 1].value : NULL;
}

void *map_set(struct map *m, const char *key, void *value)
{
	const uint32_t *slot = find(m, key);
	if (slot) {
		void *old = m->entries[*slot - 1].value;
		m->entries[*slot - 1].value = value;
		return old;
	}
	if (m->used == m->cap)
		rebuild(m);
	m->entries[m->used] = (struct map_entry){ xstrdup(key), value };
	index_entry(m, m->used++);
	m->count++;
	return NULL;
}

void *map_remove(struct map *m, const char *key)
{
	uint32_t *slot = find(m, key);
	if (!slot)
		return NULL;
	struct map_entry *entry = &m->entries[*slot - 1];
	void *old = entry->value;
	free(entry->key);
	*entry = (struct map_entry){ 0 };
	*slot = TOMBSTONE;
	m->count--;
	return old;
}
