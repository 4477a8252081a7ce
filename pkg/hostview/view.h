#pragma once
/* A host as a person wants to see it: what it is doing, what it waits for, until when, what went
 * wrong and what would help. Made of what the API tells (BareMetalHost, HostRecord) and, where the
 * debug socket answers, of what the engine knows at this moment, which is then preferred. Pure. */

#include "base/clock.h"
#include "json/json.h"

/* Borrowed; must outlive the view. */
struct view_sources {
	const struct json *host;
	const struct json *record; /* HostRecord of its name; NULL: none */
	const struct json *debug;  /* the host's object of the debug endpoint; NULL: not asked */
	usec_t now;		   /* wall */
};

enum view_mood {
	VIEW_RESTS,  /* nothing is under way, nothing is missing */
	VIEW_WORKS,  /* waits for something that comes by itself, or is given up at a deadline */
	VIEW_HELD,   /* waits for a person */
	VIEW_FAILED, /* will be tried again */
};

struct view_progress {
	bool known;
	int64_t done, total, rate, left; /* bytes, bytes, bytes/s, seconds; 0: unknown */
	int64_t percent;		 /* -1: unknown */
};

struct view {
	struct view_sources sources;
	const char *ns, *name;
	const char *state; /* status.provisioning.state; "new" before there is one */
	enum view_mood mood;
	const char *operation, *step; /* NULL: none runs */
	int64_t attempt;
	const char *waits_for; /* NULL: for nothing */
	const char *hold;      /* why Ingot leaves it as it is; NULL: it does not */
	const char *trouble;   /* passing, of the step; NULL: none */
	usec_t since;	       /* 0: unknown, as all times */
	usec_t until;	       /* the step's deadline; VIEW_FAILED: the next try */
	struct view_progress progress;
	const char *error_type, *error; /* NULL: none */
	int64_t error_count;
	char *advice; /* what a person can do */
};

void view_make(const struct view_sources *sources, struct view *ret);
void view_done(struct view *v);
/* Has an image been asked for? Then "provisioned" is where the host is to go, else "available". */
bool view_wants_image(const struct view *v);
