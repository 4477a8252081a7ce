/* See world.h. What all parts of the simulated world share: the first violation, and chance, which
 * comes from the loop. */

#include "sim/world.h"

#include <stdarg.h>
#include <stdio.h>

#include "sim/internal.h"

void sim_world_break(struct sim_world *w, const char *fmt, ...)
{
	if (*w->broken)
		return;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(w->broken, sizeof(w->broken), fmt, ap);
	va_end(ap);
}

bool sim_chance(struct sim_world *w, unsigned permille)
{
	return permille && loop_random_below(w->loop, 1000) < permille;
}

usec_t sim_about(struct sim_world *w, usec_t span)
{
	return span / 2 + loop_random_below(w->loop, span + 1);
}
