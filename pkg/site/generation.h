#pragma once
/* Is this data directory the one that acted last? A copy of it that is restored, or started beside
 * it, describes machines as they were then, and acting on it may destroy what came later.
 *
 * A counter outside the data directory answers this: it follows the revision of the store, and
 * names the run of `ingot standalone` that wrote it. It is written after the store, and before
 * anything is done to hardware because of what was stored. So whatever kills the process, the
 * counter is never ahead of the store that it belongs to. */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "loop/loop.h"

/* The reasons not to act. Their numbers are stored: new ones go to the end. */
enum site_hold {
	SITE_HOLD_NONE,
	SITE_HOLD_OPTION,
	SITE_HOLD_RESTORED,
	SITE_HOLD_OLDER,
	SITE_HOLD_OTHER_RUN,
	SITE_HOLD_NO_COUNTER,
	SITE_HOLD_NO_PLACE,
	SITE_HOLD_OTHER_MACHINE,
	_SITE_HOLD_MAX,
};

const char *site_hold_text(enum site_hold reason);

struct site_generation_options {
	struct loop *loop;
	const char *data_dir;
	const char *place; /* directory of counters; NULL: beside data_dir; "none": no counter */
	bool hold;	   /* --hold */
	/* Nothing acts: what speaks against acting is noted for a later start, no counter is
	 * written. */
	bool look_only;
};

struct site_generation {
	struct loop *loop;
	uint64_t id, run;	  /* of the store, and of this start; random */
	uint64_t sequence;	  /* of the slot that was written last */
	int fd;			  /* of the counter; -1: there is none */
	char *path, *path_digest; /* of the counter; of the data directory */
	char machine[33];	  /* "": not known */
	bool failed;		  /* the log says that the counter cannot be written */
	char hold_id[9];	  /* all hosts are to be held; "": none */
	enum site_hold reason;
};

/* Judges the store, which must not be open, and begins a run with it. Main thread. */
int site_generation_open(const struct site_generation_options *options, struct site_generation *ret,
			 struct err *err);
/* The store has acknowledged this revision; store thread. */
void site_generation_mark(void *generation, uint64_t revision);
void site_generation_done(struct site_generation *g);

struct store;
/* In a store that was restored from a backup: all its hosts are to be held at its next start. */
int site_generation_hold_store(struct store *s, struct loop *loop, enum site_hold reason,
			       struct err *err);
struct apiserver;
/* All holds are stored with their hosts' records; store thread. */
int site_generation_clear_hold(struct apiserver *s, struct err *err);
