/* See strangers.h. One row per MAC; a walk over 64 rows is what a packet costs. Core thread. */

#include "engine/strangers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "base/str.h"

static const usec_t LOG_REST = 10 * USEC_PER_SEC; /* when MACs displace each other */

static struct stranger *find(struct strangers *s, const char *mac)
{
	for (size_t i = 0; i < STRANGERS_MAX; i++)
		if (streq(s->rows[i].mac, mac))
			return &s->rows[i];
	return NULL;
}

static struct stranger *quietest(struct strangers *s)
{
	struct stranger *found = &s->rows[0];
	for (size_t i = 1; i < STRANGERS_MAX; i++)
		if (s->rows[i].last_at < found->last_at)
			found = &s->rows[i];
	return found;
}

bool strangers_note(struct strangers *s, const char *mac, const char *kind, usec_t wall)
{
	struct stranger *row = find(s, mac);
	bool new = !row;
	if (new) {
		row = quietest(s);
		new = row->mac[0] == '\0' || wall >= s->logged_at + LOG_REST;
		*row = (struct stranger){ .first_at = wall };
		snprintf(row->mac, sizeof(row->mac), "%s", mac);
	}
	row->kind = kind;
	row->last_at = wall;
	row->count++;
	if (new)
		s->logged_at = wall;
	return new;
}

void strangers_forget(struct strangers *s, const char *mac)
{
	struct stranger *row = find(s, mac);
	if (row)
		*row = (struct stranger){ 0 };
}

const struct stranger *strangers_since(const struct strangers *s, usec_t since, unsigned *ret_more)
{
	const struct stranger *found = NULL;
	unsigned count = 0;
	for (size_t i = 0; i < STRANGERS_MAX; i++) {
		const struct stranger *row = &s->rows[i];
		if (row->mac[0] == '\0' || row->last_at < since)
			continue;
		count++;
		found = !found || row->last_at > found->last_at ? row : found;
	}
	*ret_more = count ? count - 1 : 0;
	return found;
}

static int newest_first(const void *a, const void *b)
{
	const struct stranger *const *x = a, *const *y = b;
	return ((*x)->last_at < (*y)->last_at) - ((*x)->last_at > (*y)->last_at);
}

struct json *strangers_list(const struct strangers *s, usec_t wall)
{
	const struct stranger *rows[STRANGERS_MAX] = { NULL };
	size_t count = 0;
	struct json *list = json_new_array();
	char text[CLOCK_TEXT_MAX];
	for (size_t i = 0; i < STRANGERS_MAX; i++)
		if (s->rows[i].mac[0] && wall < s->rows[i].last_at + STRANGERS_AGE_S * USEC_PER_SEC)
			rows[count++] = &s->rows[i];
	qsort(rows, count, sizeof(rows[0]), newest_first);
	for (size_t i = 0; i < count; i++) {
		struct json *j = json_append(list, json_new_object());
		json_set_string(j, "mac", rows[i]->mac);
		json_set_string(j, "request", rows[i]->kind);
		json_set_string(j, "firstAt", clock_format(rows[i]->first_at, text));
		json_set_string(j, "lastAt", clock_format(rows[i]->last_at, text));
		json_set_int(j, "count", (int64_t)rows[i]->count);
	}
	return list;
}
