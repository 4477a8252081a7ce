#pragma once
/* The parts of a process as rows of a table: each says what it needs, and what it does in each
 * phase of the process's life. They are sorted by their needs once. Every phase goes through them
 * in that order, the end in the reverse of it: what needs another is gone before that one goes.
 * Thread of the loop that the parts live on. */

#include <stdbool.h>

#include "base/err.h"

/* In this order. Each may fail, and then services_free() is all that may follow. */
enum service_phase {
	SERVICE_CHECK,	  /* the options together; nothing is opened */
	SERVICE_OPEN,	  /* what needs privileges: the sandbox comes after it */
	SERVICE_STAND_BY, /* all that a process does that does not lead */
	SERVICE_LEAD,	  /* this process acts from now on, until its end */
	SERVICE_SERVE,	  /* what it must know of the hosts is read: machines may come */
	_SERVICE_PHASE_MAX,
};

enum { SERVICE_NEEDS_MAX = 6 };

/* May be called before the call that it was given to returns. */
typedef void (*service_done_fn)(void *data);

struct service {
	const char *name;
	unsigned roles; /* in processes with one of these bits only; 0: in all */
	const char *needs[SERVICE_NEEDS_MAX];				/* names, ended by NULL */
	int (*phases[_SERVICE_PHASE_MAX])(void *data, struct err *err); /* NULL: nothing to do */
	/* The end: takes nothing in any more, and has no effect on the world but what drain()
	 * finishes. Also of a part whose phases have failed or not come. */
	void (*silence)(void *data);
	/* After all are silent: finishes what was begun, within a limit of its own, and calls
	 * `done` once. */
	void (*drain)(void *data, service_done_fn done, void *done_data);
	/* After silence(), with or without drain(). */
	void (*free)(void *data);
};

struct services;

/* Rows (ended by NULL, borrowed) that have one of the roles, sorted; `data` is handed to all of
 * them. A need that is not in the table, or a circle, is a fault of the program: it ends. */
struct services *services_new(const struct service *const *rows, unsigned roles, void *data);
/* Silences what is not silent yet, then frees in reverse. */
struct services *services_free(struct services *s);
int services_run(struct services *s, enum service_phase phase, struct err *err);
void services_silence(struct services *s);
/* Once. In reverse, one after the other; then `done`. Until then only services_free() may follow.
 */
void services_drain(struct services *s, service_done_fn done, void *data);
/* Of the sorted rows, for tests; NULL after the last. */
const char *services_name(const struct services *s, size_t index);
/* Sorts so that what is needed comes first, else as the rows stand. -ELOOP: a circle; -ENOENT: a
 * need that no row has. */
int services_sort(const struct service **rows, size_t count);
