/* Parses command lines by their tables (see options.h). What a value may be is its type's to say
 * (option_types.c); this file knows names, dashes and order. */

#include "base/options.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct option_row *options_join(const struct option_table *tables)
{
	struct option_row *all = xcalloc(1, sizeof(*all));
	size_t count = 0;
	for (const struct option_table *t = tables; t->rows; t++)
		for (const struct option_row *row = t->rows; row->name; row++) {
			all = xreallocarray(all, count + 2, sizeof(*all));
			all[count] = *row;
			all[count].offset += t->offset;
			if (row->given)
				all[count].given += t->offset;
			if (row == t->rows && t->heading)
				all[count].heading = t->heading;
			all[++count] = (struct option_row){ .name = NULL };
		}
	return all;
}

static void *value_of(const struct option_row *row, void *options)
{
	return (char *)options + row->offset;
}

static void free_value(const struct option_row *row, void *options)
{
	if (row->type->done)
		row->type->done(value_of(row, options));
}

void options_done(const struct option_row *rows, void *options)
{
	for (const struct option_row *row = rows; row->name; row++)
		free_value(row, options);
}

/* --- one value -------------------------------------------------------------------------------- */

static const char *dashes(const struct option_row *row)
{
	return row->operand ? "" : "--";
}

static int refuse(const struct option_row *row, const char *text, struct err *err)
{
	_cleanup_(strbuf_done) struct strbuf range = { 0 };
	const char *noun = str_or(row->type->noun, "");
	if (row->type->range)
		row->type->range(row, &range);
	const char *from = *noun && range.len ? " from " : "";
	return err_set(err, ERR_INVALID, "%s%s: \"%s\" is not %s%s%s", dashes(row), row->name, text,
		       noun, from, str_or(range.data, ""));
}

static int store(const struct option_row *row, const char *text, void *ret, struct err *err)
{
	struct err why = { 0 };
	if (!row->type->repeats)
		free_value(row, ret);
	if (row->type->read(row, text, value_of(row, ret), &why) >= 0) {
		if (row->given)
			*(bool *)((char *)ret + row->given) = true;
		return 0;
	}
	if (why.kind == ERR_NONE)
		return refuse(row, text, err);
	err_wrap(&why, "%s%s", dashes(row), row->name);
	return err_copy(err, &why);
}

/* --- words ------------------------------------------------------------------------------------ */

/* "--name" up to `len`, or "-n". */
static const struct option_row *find(const struct option_row *rows, const char *word, size_t len)
{
	bool full = word[1] == '-';
	for (const struct option_row *row = rows; row->name; row++) {
		if (row->operand)
			continue;
		if (full ? strlen(row->name) == len - 2 && !strncmp(row->name, word + 2, len - 2)
			 : len == 2 && row->letter == word[1])
			return row;
	}
	return NULL;
}

static int take_operand(const struct option_row *rows, const char *word, void *ret, bool *seen,
			struct err *err)
{
	for (const struct option_row *row = rows; row->name; row++)
		if (row->operand && !seen[row - rows]) {
			seen[row - rows] = true;
			int r = store(row, word, ret, err);
			return r < 0 ? r : 1;
		}
	return err_set(err, ERR_INVALID, "unexpected argument \"%s\"", word);
}

/* Returns how many arguments it took. */
static int parse_one(const struct option_row *rows, int argc, char **argv, void *ret, bool *seen,
		     struct err *err)
{
	const char *word = argv[0];
	if (word[0] != '-' || word[1] == '\0')
		return take_operand(rows, word, ret, seen, err);
	size_t len = strcspn(word, "=");
	const struct option_row *row = find(rows, word, len);
	if (!row)
		return err_set(err, ERR_INVALID, "unknown option \"%.*s\"", (int)len, word);
	const char *value = word[len] == '=' ? word + len + 1 : NULL;
	bool separate = !row->type->flag && !value;
	if (row->type->flag && value)
		return err_set(err, ERR_INVALID, "--%s takes no value", row->name);
	if (separate && argc < 2)
		return err_set(err, ERR_INVALID, "--%s needs %s", row->name, row->argument);
	seen[row - rows] = true;
	int r = store(row, separate ? argv[1] : value, ret, err);
	return r < 0 ? r : separate ? 2 : 1;
}

static int check_required(const struct option_row *rows, const bool *seen, struct err *err)
{
	for (const struct option_row *row = rows; row->name; row++) {
		if (!row->required || seen[row - rows])
			continue;
		if (row->operand)
			return err_set(err, ERR_INVALID, "%s is missing", row->name);
		return err_set(err, ERR_INVALID, "--%s %s is required", row->name, row->argument);
	}
	return 0;
}

/* Returns how many rows there are. A default that its own type refuses is a fault of the table. */
static int set_defaults(const struct option_row *rows, void *ret, struct err *err)
{
	int count = 0, r = 0;
	for (; rows[count].name && r == 0; count++) {
		const struct option_row *row = &rows[count];
		if (row->standard)
			r = row->type->read(row, row->standard, value_of(row, ret), NULL);
		if (r < 0)
			return refuse(row, row->standard, err);
	}
	return count;
}

int options_parse(const struct option_row *rows, int argc, char **argv, void *ret, struct err *err)
{
	bool words_only = false;
	int count = set_defaults(rows, ret, err);
	if (count < 0)
		return count;
	_cleanup_(freep) bool *seen = xcalloc((size_t)count + 1, sizeof(*seen));
	for (int i = 0; i < argc;) {
		int r = 1;
		if (words_only)
			r = take_operand(rows, argv[i], ret, seen, err);
		else if (streq(argv[i], "--"))
			words_only = true;
		else
			r = parse_one(rows, argc - i, argv + i, ret, seen, err);
		if (r < 0)
			return r;
		i += r;
	}
	return check_required(rows, seen, err);
}
