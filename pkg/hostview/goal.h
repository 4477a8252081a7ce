#pragma once
/* When is a host where somebody waits for it to be? Decided anew from each view. Pure. */

#include "hostview/view.h"

enum goal_verdict { GOAL_OPEN, GOAL_REACHED, GOAL_FAILED };

struct goal {
	/* A state of the API, or "deleted"; NULL: provisioned if it has an image to get, else
	 * available, and gone if it is being deleted. */
	const char *state;
	bool patient; /* an error does not end it: Ingot tries again */
	/* An error that was there before is not ours, unless it comes again. */
	bool begun, had_error;
	int64_t errors_before;
};

/* Can a host ever show it? */
bool goal_is_state(const char *state);
enum goal_verdict goal_judge(struct goal *g, const struct view *v);
/* The object does not exist (any more). */
enum goal_verdict goal_judge_gone(const struct goal *g, bool was_being_deleted);
