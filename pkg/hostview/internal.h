#pragma once
/* Shared by render.c and page.c. Not for other modules. */

#include "hostview/render.h"

void render_age(usec_t span, struct strbuf *out);
/* Bar, or bytes where the total is not known; nothing where nothing is. */
void render_progress(const struct view_progress *p, struct strbuf *out);
