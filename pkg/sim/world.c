/* See world.h. What all parts of the simulated world share: the first violation, and chance, which
 * comes from the loop. */

#include "sim/world.h"

#include <stdarg.h>
#include <stdio.h>

#include "sim/internal.h"

void world_break(struct world *w, const char *fmt, ...)
{
	if (*w->broken)
		return;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(w->broken, sizeof(w->broken), fmt, ap);
	va_end(ap);
}

bool chance(struct world *w, unsigned permille)
{
	return permille && loop_random_below(w->loop, 1000) < permille;
}

usec_t about(struct world *w, usec_t span)
{
	return span / 2 + loop_random_below(w->loop, span + 1);
}
