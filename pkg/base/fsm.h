#pragma once
/* State machines as tables: each row has, whatever else it has, a column `name` (const char *) and
 * a column `next` (unsigned, a bit for each state that may follow). The one setter of a machine
 * calls fsm_check() before it changes the state, so that all do the same about a transition that is
 * not in their table: it is a bug of ours, and what would come next is unknown, so the process ends
 * before it does anything else. test/unit/base/fsm_walk.h walks each table. any thread */

#include <stdbool.h>
#include <stddef.h>

#include "base/macro.h"

struct fsm {
	const char *machine; /* for the log: "agent session" */
	const void *rows;
	size_t row_size, name_at, next_at;
	unsigned count; /* at most 32 */
};

/* A `next` of another type does not compile. */
#define FSM_INIT(machine, table)                                                                     \
	{                                                                                            \
		(machine), (table), sizeof((table)[0]), offsetof(__typeof__((table)[0]), name),    \
			_Generic(&(table)[0].next, const unsigned *: offsetof(                     \
							   __typeof__((table)[0]), next)),         \
			ARRAY_SIZE(table) \
	}

/* Of the row; "?" and 0 for a state that the table does not have. */
const char *fsm_name(const struct fsm *f, unsigned state);
unsigned fsm_next(const struct fsm *f, unsigned state);
bool fsm_may(const struct fsm *f, unsigned from, unsigned to);
/* Ends the process unless the table has the transition. `who` is a host, a path; "" where there is
 * one machine only. */
void fsm_check(const struct fsm *f, unsigned from, unsigned to, const char *who);
