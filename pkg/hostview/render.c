/* The table of `ingotctl status` and the lines of `ingotctl watch`. Columns are rows of a table
 * here too; each is as wide as its widest cell. Pure. */

#include "hostview/render.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "hostview/internal.h"

/* --- units ------------------------------------------------------------------------------------ */

void render_bytes(int64_t bytes, struct strbuf *out)
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB" };
	double value = (double)bytes;
	size_t unit = 0;
	while (value >= 999.95 && unit + 1 < ARRAY_SIZE(units)) {
		value /= 1000;
		unit++;
	}
	strbuf_addf(out, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

void render_bar(int64_t percent, struct strbuf *out)
{
	enum { WIDTH = 10 };
	strbuf_addc(out, '[');
	for (int i = 0; i < WIDTH; i++)
		strbuf_addc(out, percent >= (i + 1) * (100 / WIDTH) ? '#' : '-');
	strbuf_addf(out, "] %3lld%%", (long long)percent);
}

void render_age(usec_t span, struct strbuf *out)
{
	char text[CLOCK_TEXT_MAX];
	strbuf_adds(out, clock_format_age(span, text));
}

void render_progress(const struct view_progress *p, struct strbuf *out)
{
	if (p->percent >= 0) {
		render_bar(p->percent, out);
	} else if (p->known) {
		render_bytes(p->done, out);
	}
}

/* --- columns ---------------------------------------------------------------------------------- */

static void cell_namespace(const struct view *v, struct strbuf *out)
{
	strbuf_adds(out, v->ns);
}

static void cell_name(const struct view *v, struct strbuf *out)
{
	strbuf_adds(out, v->name);
}

static void cell_state(const struct view *v, struct strbuf *out)
{
	strbuf_adds(out, v->state);
}

/* Without the help in brackets, which the page has. */
static void cell_waits(const struct view *v, struct strbuf *out)
{
	const char *text = str_or(v->waits_for, "");
	const char *help = strstr(text, " (");
	strbuf_add(out, text, help ? (size_t)(help - text) : strlen(text));
}

static void cell_since(const struct view *v, struct strbuf *out)
{
	if (v->since && v->since <= v->sources.now)
		render_age(v->sources.now - v->since, out);
}

static void cell_until(const struct view *v, struct strbuf *out)
{
	if (!v->until)
		return;
	if (v->until <= v->sources.now) {
		strbuf_adds(out, "now");
		return;
	}
	strbuf_adds(out, "in ");
	render_age(v->until - v->sources.now, out);
}

static void cell_progress(const struct view *v, struct strbuf *out)
{
	render_progress(&v->progress, out);
}

static void cell_rate(const struct view *v, struct strbuf *out)
{
	if (v->progress.rate <= 0)
		return;
	render_bytes(v->progress.rate, out);
	strbuf_adds(out, "/s");
}

static void cell_left(const struct view *v, struct strbuf *out)
{
	if (v->progress.left > 0)
		render_age((usec_t)v->progress.left * USEC_PER_SEC, out);
}

static const struct column {
	const char *title;
	void (*cell)(const struct view *v, struct strbuf *out);
} columns[] = {
	{ "NAMESPACE", cell_namespace }, { "NAME", cell_name },	  { "STATE", cell_state },
	{ "WAITS FOR", cell_waits },	 { "SINCE", cell_since }, { "UNTIL", cell_until },
	{ "PROGRESS", cell_progress },	 { "RATE", cell_rate },	  { "ETA", cell_left },
};

static void take_cell(const struct column *c, const struct view *v, struct strbuf *cell)
{
	strbuf_clear(cell);
	if (v)
		c->cell(v, cell);
	else
		strbuf_adds(cell, c->title);
	if (cell->len == 0)
		strbuf_addc(cell, '-');
}

static void add_row(const struct view *v, size_t first, const size_t *widths, struct strbuf *out)
{
	_cleanup_(strbuf_done) struct strbuf cell = { 0 };
	for (size_t c = first; c < ARRAY_SIZE(columns); c++) {
		take_cell(&columns[c], v, &cell);
		strbuf_adds(out, cell.data);
		for (size_t i = cell.len; c + 1 < ARRAY_SIZE(columns) && i < widths[c] + 2; i++)
			strbuf_addc(out, ' ');
	}
	strbuf_addc(out, '\n');
}

static void add_troubles(const struct view *v, struct strbuf *out)
{
	if (v->hold)
		strbuf_addf(out, "    held: %s\n", v->hold);
	if (v->error)
		strbuf_addf(out, "    %s: %s\n", str_or(v->error_type, "error"), v->error);
	else if (v->trouble)
		strbuf_addf(out, "    trouble: %s\n", v->trouble);
	if (v->error || v->mood == VIEW_HELD)
		strbuf_addf(out, "    to do: %s\n", v->advice);
}

void render_table(const struct view *views, size_t count, bool namespaces, struct strbuf *out)
{
	size_t widths[ARRAY_SIZE(columns)], first = namespaces ? 0 : 1;
	_cleanup_(strbuf_done) struct strbuf cell = { 0 };
	for (size_t c = first; c < ARRAY_SIZE(columns); c++) {
		widths[c] = strlen(columns[c].title);
		for (size_t i = 0; i < count; i++) {
			take_cell(&columns[c], &views[i], &cell);
			widths[c] = MAX(widths[c], cell.len);
		}
	}
	add_row(NULL, first, widths, out);
	for (size_t i = 0; i < count; i++) {
		add_row(&views[i], first, widths, out);
		add_troubles(&views[i], out);
	}
}

void render_strangers(const struct json *strangers, usec_t now, struct strbuf *out)
{
	char age[CLOCK_TEXT_MAX];
	const struct json *s = strangers ? json_first(strangers) : NULL;
	if (s)
		strbuf_adds(out, "\nThese MACs asked for a network boot and belong to no host:\n");
	for (; s; s = json_next(s)) {
		usec_t last = 0;
		(void)clock_parse(json_get_string(s, "lastAt"), &last);
		strbuf_addf(out, "    %s  %s, last %s ago\n",
			    str_or(json_get_string(s, "mac"), "?"),
			    str_or(json_get_string(s, "request"), "?"),
			    clock_format_age(now > last ? now - last : 0, age));
	}
}

/* --- lines ------------------------------------------------------------------------------------ */

void render_line(const struct view *v, struct strbuf *out)
{
	strbuf_adds(out, v->state);
	if (v->step)
		strbuf_addf(out, ": %s", v->step);
	if (v->attempt > 1)
		strbuf_addf(out, " (attempt %lld)", (long long)v->attempt);
	if (v->progress.known) {
		strbuf_adds(out, "  ");
		render_progress(&v->progress, out);
		strbuf_adds(out, "  ");
		cell_rate(v, out);
		if (v->progress.left > 0) {
			strbuf_adds(out, "  ");
			cell_left(v, out);
			strbuf_adds(out, " left");
		}
	} else if (v->waits_for) {
		strbuf_adds(out, "; waits for ");
		cell_waits(v, out);
	}
	if (v->trouble)
		strbuf_addf(out, "; trouble: %s", v->trouble);
}
