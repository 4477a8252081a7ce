/* The queue of background work: keys, each in it once. Whoever sees that something is to be done
 * adds it; background.c does it. Runs on the server's loop. */

#include "apiserver/feed/work.h"

#include <stdlib.h>
#include <string.h>

#include "apiserver/internal.h"
#include "base/mem.h"

void work_free(struct work *w)
{
	free(w->id);
	free(w->resource);
	free(w->ns);
	free(w->name);
	free(w);
}

void work_add(struct apiserver *s, enum work_type type, const char *resource, const char *ns,
	      const char *name)
{
	_cleanup_(freep) char *id = xasprintf("%d/%s/%s/%s", (int)type, resource, ns, name);
	if (map_get(&s->work_keys, id))
		return;
	struct work *w = xcalloc(1, sizeof(*w));
	*w = (struct work){ .type = type,
			    .id = TAKE_PTR(id),
			    .resource = xstrdup(resource),
			    .ns = xstrdup(ns),
			    .name = xstrdup(name) };
	map_set(&s->work_keys, w->id, w);
	list_append(&s->work, &w->link);
	if (!timer_is_set(&s->work_timer))
		timer_set_in(&s->work_timer, 0);
}

/* Taken out of the set first, so that the work may queue itself again. */
struct work *work_take(struct apiserver *s)
{
	struct list *l = list_take_first(&s->work);
	if (!l)
		return NULL;
	struct work *w = list_entry(l, struct work, link);
	map_remove(&s->work_keys, w->id);
	return w;
}
