#pragma once
/* What happened to a host lately, for people: its states and errors, as the controller told, and
 * the steps of its operations. A ring in memory that no decision is taken from; it is gone with the
 * process, and when the host is deleted or detached. Core thread. */

#include "base/clock.h"
#include "json/json.h"

enum { HISTORY_MAX = 24 };

enum history_kind { HISTORY_STATE, HISTORY_ERROR, HISTORY_STEP };

struct history_entry {
	/* Seconds of the wall clock: there are as many entries as hosts, times HISTORY_MAX. */
	uint32_t at, ended; /* ended 0: a step that runs */
	enum history_kind kind;
	/* Static. State: from, to. Error: the state, NULL. Step: operation, step. */
	const char *first, *second;
	const char *outcome; /* of a step; why a state; static, NULL: none */
	char *text;	     /* error; NULL: none */
};

struct history {
	struct history_entry *entries; /* a ring once it is full */
	unsigned count, capacity, newest;
};

/* Names, outcomes and reasons are static, `text` is copied. An error that is the same as the newest
 * entry only moves its time. */
void history_state(struct history *h, usec_t wall, const char *from, const char *to,
		   const char *reason);
void history_error(struct history *h, usec_t wall, const char *state, const char *text);
void history_step(struct history *h, usec_t wall, const char *operation, const char *step);
/* Of the newest step; harmless when none runs. Text of the outcome: NULL for none. */
void history_step_ended(struct history *h, usec_t wall, const char *outcome, const char *text);
/* An array, oldest first; NULL when nothing is known. URLs lose userinfo and query. */
struct json *history_json(const struct history *h);
void history_done(struct history *h);
