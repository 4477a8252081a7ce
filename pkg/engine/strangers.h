#pragma once
/* Machines that asked for a network boot and belong to no host: mostly a spec.bootMACAddress with a
 * typing error, or the wrong one of two NICs. Kept in memory, for people. Core thread. */

#include "base/clock.h"
#include "json/json.h"

enum {
	STRANGERS_MAX = 64, /* of more MACs, those that were silent longest are forgotten */
	STRANGERS_AGE_S = 3600,
};

struct stranger {
	char mac[18];		  /* "": a free row */
	const char *kind;	  /* of its last request; static */
	usec_t first_at, last_at; /* wall */
	uint64_t count;
};

struct strangers {
	struct stranger rows[STRANGERS_MAX];
	usec_t logged_at;
};

/* True when it should be logged: the first request of this MAC, and no flood of them. */
bool strangers_note(struct strangers *s, const char *mac, const char *kind, usec_t wall);
/* The MAC belongs to a host now. */
void strangers_forget(struct strangers *s, const char *mac);
/* The one that asked last, not before `since`; NULL: none did. *ret_more: others since then. */
const struct stranger *strangers_since(const struct strangers *s, usec_t since, unsigned *ret_more);
/* Those of the last hour, the newest first: mac, request, firstAt, lastAt, count. */
struct json *strangers_list(const struct strangers *s, usec_t wall);
