/* The change feed. Each change of an object is noted once, in the transaction that makes it, and
 * told to those who observe changes: at once, and again when it is on disk. Who they are is not
 * known here. Runs on the server's loop. */

#include <stdlib.h>
#include <string.h>

#include "apiserver/internal.h"
#include "base/mem.h"

void event_done(struct event *e)
{
	free(e->resource);
	free(e->ns);
	free(e->name);
	free(e->now);
	free(e->before);
	json_free(e->now_tree);
	json_free(e->before_tree);
}

void batch_init(struct batch *b)
{
	*b = (struct batch){ 0 };
	list_init(&b->answers);
}

int batch_open(struct apiserver *s, struct err *err)
{
	if (s->batch.open)
		return 0;
	int r = store_begin(s->store, err);
	if (r < 0)
		return r;
	s->batch.open = true;
	timer_set_in(&s->commit_timer, 0);
	return 0;
}

int batch_keep(struct apiserver *s, struct err *err)
{
	/* A savepoint would begin a transaction of its own. */
	if (!store_in_transaction(s->store))
		return err_set(
			err, ERR_IO,
			"the store rolled back a transaction, probably because its disk is full");
	store_release(s->store);
	s->batch.marked = s->batch.event_count;
	return store_savepoint(s->store, err);
}

/* Texts are kept until the commit, when it is known whether anybody may see them. */
void batch_note(struct apiserver *s, enum store_change_type type, uint64_t rv,
		const struct store_key *key, char *now, char *before)
{
	struct batch *b = &s->batch;
	b->events = xreallocarray(b->events, b->event_count + 1, sizeof(*b->events));
	b->events[b->event_count++] = (struct event){ .rv = rv,
						      .type = type,
						      .resource = xstrdup(key->resource),
						      .ns = xstrdup(key->ns),
						      .name = xstrdup(key->name),
						      .now = now,
						      .before = before };
	b->bytes += strlen(now) + (before ? strlen(before) : 0);
}

void batch_drop_events(struct batch *b, size_t keep)
{
	for (; b->event_count > keep; b->event_count--)
		event_done(&b->events[b->event_count - 1]);
}

void batch_done(struct batch *b)
{
	batch_drop_events(b, 0);
	free(b->events);
}

void feed_changed(struct apiserver *s, const struct resource *r, const struct json *now,
		  const struct json *old)
{
	for (const struct observer *const *o = s->observers; *o; o++)
		if ((*o)->changed)
			(*o)->changed(s, r, now, old);
}

void feed_committed(struct apiserver *s, struct event *events, size_t count)
{
	for (const struct observer *const *o = s->observers; *o; o++)
		if ((*o)->committed)
			(*o)->committed(s, events, count);
}
