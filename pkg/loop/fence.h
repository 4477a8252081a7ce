#pragma once
/* "May I still act?" A process that was paused wakes up in the middle of its work, before any
 * timer, and another may act in its place by then. So the question stands directly before
 * everything that leaves: a packet, a request, a write, an answer. It names the host that the
 * effect belongs to
 * ("namespace/name"), or "" where it belongs to none. The answer ages at once: it is never kept. */

#include <stdbool.h>

/* Carried by value; what `data` points to outlives all that carry it. */
struct fence {
	bool (*ask)(void *data, const char *key); /* NULL: always */
	void *data;
};

/* key NULL: "". */
static inline bool fence_allows(const struct fence *f, const char *key)
{
	return !f->ask || f->ask(f->data, key ? key : "");
}
