/* A ring of entries that grows up to its limit. A running step is always the newest step, because a
 * host has one operation at a time. Core thread. */

#include "engine/history.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/redact.h"

enum { GROWTH = 4, TEXT_KEPT = 200 };
_Static_assert(HISTORY_MAX % GROWTH == 0, "the ring is full when it has grown to its limit");

static struct history_entry *newest(const struct history *h)
{
	return h->count ? &h->entries[h->newest] : NULL;
}

/* A place for one more: a new one, or the oldest one's. */
static struct history_entry *take_place(struct history *h)
{
	if (h->count == HISTORY_MAX) {
		h->newest = (h->newest + 1) % HISTORY_MAX;
		free(h->entries[h->newest].text);
		return &h->entries[h->newest];
	}
	if (h->count == h->capacity) {
		h->capacity += GROWTH;
		h->entries = xreallocarray(h->entries, h->capacity, sizeof(h->entries[0]));
	}
	h->newest = h->count++;
	return &h->entries[h->newest];
}

static uint32_t seconds(usec_t wall)
{
	return (uint32_t)(wall / USEC_PER_SEC);
}

/* The end of a text tells less than its beginning. */
static char *keep(const char *text)
{
	return str_empty(text) ? NULL : xstrndup(text, strnlen(text, TEXT_KEPT));
}

static void add(struct history *h, usec_t wall, enum history_kind kind, const char *first,
		const char *second, const char *text)
{
	*take_place(h) = (struct history_entry){ .at = seconds(wall),
						 .kind = kind,
						 .first = first,
						 .second = second,
						 .text = keep(text) };
}

void history_state(struct history *h, usec_t wall, const char *from, const char *to,
		   const char *reason)
{
	add(h, wall, HISTORY_STATE, from, to, NULL);
	newest(h)->outcome = reason;
}

void history_error(struct history *h, usec_t wall, const char *state, const char *text)
{
	struct history_entry *last = newest(h);
	_cleanup_(freep) char *kept = keep(text);
	if (last && last->kind == HISTORY_ERROR && streq(last->first, state) &&
	    streq(last->text, kept))
		last->at = seconds(wall);
	else
		add(h, wall, HISTORY_ERROR, state, NULL, text);
}

void history_step(struct history *h, usec_t wall, const char *operation, const char *step)
{
	add(h, wall, HISTORY_STEP, operation, step, NULL);
}

void history_step_ended(struct history *h, usec_t wall, const char *outcome, const char *text)
{
	for (unsigned i = 0; i < h->count; i++) {
		unsigned at = (h->newest + h->count - i) % h->count;
		struct history_entry *e = &h->entries[at];
		if (e->kind != HISTORY_STEP)
			continue;
		if (e->ended == 0) {
			e->ended = seconds(wall);
			e->outcome = outcome;
			e->text = keep(text);
		}
		return;
	}
}

static void set_time(struct json *o, const char *name, uint32_t at)
{
	char text[CLOCK_TEXT_MAX];
	if (at)
		json_set_string(o, name, clock_format(at * USEC_PER_SEC, text));
}

static struct json *entry_json(const struct history_entry *e)
{
	struct json *o = json_new_object();
	_cleanup_(freep) char *text = e->text ? redact_urls(e->text) : NULL;
	set_time(o, "at", e->at);
	switch (e->kind) {
	case HISTORY_STATE:
		json_set_string(o, "from", e->first);
		json_set_string(o, "to", e->second);
		json_set_string(o, "reason", e->outcome);
		break;
	case HISTORY_ERROR:
		json_set_string(o, "state", e->first);
		json_set_string(o, "error", text);
		break;
	case HISTORY_STEP:
		json_set_string(o, "operation", e->first);
		json_set_string(o, "step", e->second);
		set_time(o, "ended", e->ended);
		json_set_string(o, "outcome", e->ended ? e->outcome : "runs");
		json_set_string(o, "error", text);
		break;
	}
	return o;
}

struct json *history_json(const struct history *h)
{
	struct json *list = h->count ? json_new_array() : NULL;
	for (unsigned i = 1; i <= h->count; i++)
		json_append(list, entry_json(&h->entries[(h->newest + i) % h->count]));
	return list;
}

void history_done(struct history *h)
{
	for (unsigned i = 0; i < h->count; i++)
		free(h->entries[i].text);
	free(h->entries);
	*h = (struct history){ 0 };
}
