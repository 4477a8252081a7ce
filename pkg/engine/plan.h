#pragma once
/* Plans: what an operation does to a host, as data. A plan is a list of steps in their order, and
 * the place in it. Of each step it holds what Ironic's steps have: interface, name, arguments and
 * priority. It stands in the HostRecord, so that a process which takes over goes on with the very
 * list that was begun, whatever plans its own release makes. Strings are heap copies. Pure. */

#include "json/bind.h"

enum { PLAN_MAX = 256 }; /* steps of a plan that is read */

/* When a step has nothing to do. Asked when its turn comes, for it may follow from a step before.
 */
enum plan_unless {
	UNLESS_NEVER,
	UNLESS_AGENT, /* an agent serves, so that there is nothing to boot */
	UNLESS_CLEAN, /* the disks are clean, or are not to be cleaned */
	UNLESS_BIOS,  /* the host boots by BIOS */
	UNLESS_OFF,   /* its power is off */
	_UNLESS_MAX
};

struct plan_step {
	char *interface, *step;
	struct json *args; /* NULL: none */
	int64_t priority;
	char *command; /* of the agent, which runs the step; NULL: the engine does */
	int unless;    /* enum plan_unless */
};

struct plan {
	struct bind_list steps; /* of struct plan_step */
	int64_t place;		/* of the step that runs, or is next */
};

extern const struct bind_struct plan_step_struct;

/* NULL: past the end. */
const struct plan_step *plan_at(const struct plan *p, size_t index);
/* The step at its place; NULL: all are done. */
const struct plan_step *plan_now(const struct plan *p);
/* Copies. */
void plan_add(struct plan *p, const struct plan_step *step);
void plan_copy(struct plan *to, const struct plan *from);
void plan_done(struct plan *p);
