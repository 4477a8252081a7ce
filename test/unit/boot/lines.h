#pragma once
/* Counts lines of the log: of what a peer repeats there is one a second, however slow the test is.
 */

#include <string.h>

#include "base/log.h"
#include "loop/loop.h"

struct lines {
	struct loop *loop;
	const char *text; /* which lines */
	usec_t since;
	unsigned count;
};

static inline void lines_note(void *data, enum log_level level, const char *line)
{
	struct lines *l = data;
	(void)level;
	l->count += strstr(line, l->text) != NULL;
}

static inline void lines_begin(struct lines *l, struct loop *loop, const char *text)
{
	*l = (struct lines){ .loop = loop, .text = text, .since = loop_now(loop) };
	log_set_level(LOG_INFO);
	log_set_sink(lines_note, l);
}

/* Once a second at most, and at least once. */
static inline bool lines_paced(const struct lines *l)
{
	log_set_sink(NULL, NULL);
	log_set_level(LOG_ERROR);
	return l->count >= 1 && l->count <= 1 + (loop_now(l->loop) - l->since) / USEC_PER_SEC;
}
