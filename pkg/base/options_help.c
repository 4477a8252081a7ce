/* Help and lists of options, printed from their tables (see options.h). */

#include <string.h>

#include "base/mem.h"
#include "base/options.h"

enum { COLUMN = 31, TEXT_MIN = 20 };

void options_usage(const struct option_row *rows, FILE *out)
{
	for (const struct option_row *row = rows; row->name; row++)
		if (row->operand)
			fprintf(out, row->required ? "%s " : "[%s] ", row->name);
	fputs("[OPTION...]\n", out);
}

/* --- lines ------------------------------------------------------------------------------------ */

/* How much of the text goes on a line of so many columns; a word that is longer stays whole. */
static size_t line_length(const char *text, size_t columns)
{
	size_t fits = 0;
	for (size_t i = 0;; i++) {
		if (text[i] && text[i] != ' ')
			continue;
		if (i <= columns || fits == 0)
			fits = i;
		if (!text[i] || i > columns)
			return fits;
	}
}

/* Lines from a column on, of which `taken` columns are there already. */
static void print_lines(const char *text, size_t column, int taken, size_t width, FILE *out)
{
	size_t room = width > column + TEXT_MIN ? width - column : TEXT_MIN;
	while (*text) {
		size_t len = line_length(text, room);
		fprintf(out, "%*s%.*s\n", (int)column - taken, "", (int)len, text);
		text += len;
		text += strspn(text, " ");
		taken = 0;
	}
}

void options_print_text(const char *text, size_t width, FILE *out)
{
	print_lines(text, 0, 0, width, out);
}

void options_print_entry(const char *left, size_t column, const char *text, size_t width, FILE *out)
{
	int taken = fprintf(out, "  %s", left);
	/* What reaches into the second column has a line of its own. */
	if (taken < 0 || (size_t)taken >= column) {
		fputc('\n', out);
		taken = 0;
	}
	print_lines(text, column, taken, width, out);
}

/* --- help ------------------------------------------------------------------------------------- */

static char *left_column(const struct option_row *row)
{
	char letter[] = { '-', row->letter, ',', ' ', '\0' };
	if (row->operand)
		return xstrdup(row->name);
	return xasprintf("%s--%s%s%s", row->letter ? letter : "", row->name,
			 row->argument ? " " : "", str_or(row->argument, ""));
}

static char *right_column(const struct option_row *row)
{
	_cleanup_(strbuf_done) struct strbuf range = { 0 };
	struct strbuf text = { 0 };
	strbuf_adds(&text, row->help);
	if (row->type->range)
		row->type->range(row, &range);
	if (range.len || row->standard)
		strbuf_addf(&text, " (%s%s%s%s)", str_or(range.data, ""),
			    range.len && row->standard ? "; " : "",
			    row->standard ? "default: " : "", str_or(row->standard, ""));
	return strbuf_take(&text, NULL);
}

void options_help(const struct option_row *rows, size_t width, FILE *out)
{
	for (const struct option_row *row = rows; row->name; row++) {
		_cleanup_(freep) char *left = left_column(row), *right = right_column(row);
		if (row->heading)
			fprintf(out, "%s%s:\n", row == rows ? "" : "\n", row->heading);
		options_print_entry(left, COLUMN, right, width, out);
	}
}

/* --- the list --------------------------------------------------------------------------------- */

static char *properties(const struct option_row *row)
{
	struct strbuf text = { 0 };
	const struct {
		bool holds;
		const char *name;
	} all[] = { { row->required, "required" },
		    { row->type->repeats, "repeats" },
		    { row->operand, "operand" } };
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i].holds)
			strbuf_addf(&text, "%s%s", text.len ? "," : "", all[i].name);
	return strbuf_take(&text, NULL);
}

void options_list(const struct option_row *rows, const char *command, FILE *out)
{
	for (const struct option_row *row = rows; row->name; row++) {
		_cleanup_(strbuf_done) struct strbuf range = { 0 };
		_cleanup_(freep) char *more = properties(row);
		if (row->type->range)
			row->type->range(row, &range);
		fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", command, row->name,
			str_or(row->argument, ""), row->type->name, str_or(range.data, ""),
			str_or(row->standard, ""), more);
	}
}
