/* Order and phases of the parts of a process (see service.h). */

#include "base/service.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

struct services {
	const struct service **rows; /* sorted */
	size_t count;
	void *data;
	bool silent;
	size_t draining; /* rows that are still to be drained */
	service_done_fn drained;
	void *drained_data;
};

/* --- order ------------------------------------------------------------------------------------ */

static size_t find(const struct service *const *rows, size_t count, const char *name)
{
	size_t i = 0;
	while (i < count && !streq(rows[i]->name, name))
		i++;
	return i;
}

/* Whether all that it needs is among the first `placed`. */
static bool is_ready(const struct service *row, const struct service *const *rows, size_t placed)
{
	for (const char *const *need = row->needs; *need; need++)
		if (find(rows, placed, *need) == placed)
			return false;
	return true;
}

/* The first of the rest that is ready, or `count`. */
static size_t next_ready(const struct service *const *rows, size_t placed, size_t count)
{
	size_t i = placed;
	while (i < count && !is_ready(rows[i], rows, placed))
		i++;
	return i;
}

static int check_needs(const struct service *const *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (const char *const *need = rows[i]->needs; *need; need++)
			if (find(rows, count, *need) == count)
				return -ENOENT;
	return 0;
}

int services_sort(const struct service **rows, size_t count)
{
	int r = check_needs(rows, count);
	for (size_t placed = 0; r == 0 && placed < count; placed++) {
		size_t found = next_ready(rows, placed, count);
		if (found == count)
			return -ELOOP;
		const struct service *row = rows[found];
		memmove(rows + placed + 1, rows + placed, (found - placed) * sizeof(rows[0]));
		rows[placed] = row;
	}
	return r;
}

/* After the sort: an order that holds for all rows holds for some of them. */
static void keep_roles(struct services *s, unsigned roles)
{
	size_t kept = 0;
	for (size_t i = 0; i < s->count; i++)
		if (s->rows[i]->roles == 0 || s->rows[i]->roles & roles)
			s->rows[kept++] = s->rows[i];
	s->count = kept;
}

struct services *services_new(const struct service *const *rows, unsigned roles, void *data)
{
	struct services *s = xcalloc(1, sizeof(*s));
	while (rows[s->count])
		s->count++;
	s->data = data;
	s->rows = xcalloc(s->count + 1, sizeof(s->rows[0]));
	memcpy(s->rows, rows, s->count * sizeof(rows[0]));
	int r = services_sort(s->rows, s->count);
	assert(r == 0);
	(void)r;
	keep_roles(s, roles);
	return s;
}

const char *services_name(const struct services *s, size_t index)
{
	return index < s->count ? s->rows[index]->name : NULL;
}

/* --- life ------------------------------------------------------------------------------------- */

int services_run(struct services *s, enum service_phase phase, struct err *err)
{
	int r = 0;
	for (size_t i = 0; i < s->count && r >= 0; i++)
		if (s->rows[i]->phases[phase])
			r = s->rows[i]->phases[phase](s->data, err);
	return r;
}

void services_silence(struct services *s)
{
	if (s->silent)
		return;
	s->silent = true;
	for (size_t i = s->count; i-- > 0;)
		if (s->rows[i]->silence)
			s->rows[i]->silence(s->data);
}

static void drain_next(void *data)
{
	struct services *s = data;
	while (s->draining > 0) {
		const struct service *row = s->rows[--s->draining];
		if (!row->drain)
			continue;
		row->drain(s->data, drain_next, s);
		return;
	}
	s->drained(s->drained_data);
}

void services_drain(struct services *s, service_done_fn done, void *data)
{
	services_silence(s);
	s->draining = s->count;
	s->drained = done;
	s->drained_data = data;
	drain_next(s);
}

struct services *services_free(struct services *s)
{
	if (!s)
		return NULL;
	services_silence(s);
	for (size_t i = s->count; i-- > 0;)
		if (s->rows[i]->free)
			s->rows[i]->free(s->data);
	free(s->rows);
	free(s);
	return NULL;
}
