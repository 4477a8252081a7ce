/* See macs.h. Open addressing at a load of one half; what follows a removed row moves up. Pure. */

#include "engine/macs.h"

#include <stdlib.h>

#include "base/macro.h"
#include "base/mem.h"

enum { SIZE_MIN = 16 };

static size_t place(const struct macs *m, const struct net_mac *mac)
{
	return siphash(m->key, mac->bytes, sizeof(mac->bytes)) & (m->size - 1);
}

/* The row of this MAC, or the free one where it would stand. */
static struct macs_row *row_of(const struct macs *m, const struct net_mac *mac)
{
	size_t i = place(m, mac);
	while (m->rows[i].node && !net_mac_equal(&m->rows[i].mac, mac))
		i = (i + 1) & (m->size - 1);
	return &m->rows[i];
}

static void grow(struct macs *m)
{
	struct macs old = *m;
	m->size = MAX(2 * old.size, (size_t)SIZE_MIN);
	m->rows = xcalloc(m->size, sizeof(*m->rows));
	for (size_t i = 0; i < old.size; i++)
		if (old.rows[i].node)
			*row_of(m, &old.rows[i].mac) = old.rows[i];
	free(old.rows);
}

void macs_init(struct macs *m, struct siphash_key key)
{
	*m = (struct macs){ .key = key };
}

void macs_done(struct macs *m)
{
	free(m->rows);
	*m = (struct macs){ 0 };
}

struct node *macs_get(const struct macs *m, const struct net_mac *mac)
{
	return m->size ? row_of(m, mac)->node : NULL;
}

bool macs_add(struct macs *m, const struct net_mac *mac, struct node *n)
{
	if (macs_get(m, mac))
		return false;
	if (2 * (m->count + 1) > m->size)
		grow(m);
	*row_of(m, mac) = (struct macs_row){ *mac, n };
	m->count++;
	return true;
}

void macs_remove(struct macs *m, const struct net_mac *mac, const struct node *n)
{
	if (!n || macs_get(m, mac) != n)
		return;
	size_t mask = m->size - 1, hole = (size_t)(row_of(m, mac) - m->rows);
	m->rows[hole].node = NULL;
	m->count--;
	for (size_t i = (hole + 1) & mask; m->rows[i].node; i = (i + 1) & mask) {
		/* One that stands between its place and the hole stays. */
		size_t way = (i - place(m, &m->rows[i].mac)) & mask;
		if (way < ((i - hole) & mask))
			continue;
		m->rows[hole] = m->rows[i];
		m->rows[i].node = NULL;
		hole = i;
	}
}
