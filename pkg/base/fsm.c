/* Tables of states (see fsm.h). */

#include "base/fsm.h"

#include <stdlib.h>

#include "base/log.h"

static const void *column(const struct fsm *f, unsigned state, size_t at)
{
	return (const char *)f->rows + state * f->row_size + at;
}

const char *fsm_name(const struct fsm *f, unsigned state)
{
	return state < f->count ? *(const char *const *)column(f, state, f->name_at) : "?";
}

unsigned fsm_next(const struct fsm *f, unsigned state)
{
	return state < f->count ? *(const unsigned *)column(f, state, f->next_at) : 0;
}

bool fsm_may(const struct fsm *f, unsigned from, unsigned to)
{
	return to < f->count && fsm_next(f, from) >> to & 1;
}

void fsm_check(const struct fsm *f, unsigned from, unsigned to, const char *who)
{
	if (fsm_may(f, from, to))
		return;
	log_error("this state may not follow: a bug, which ends the process", "machine", f->machine,
		  "of", who, "from", fsm_name(f, from), "to", fsm_name(f, to));
	abort();
}
