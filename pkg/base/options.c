/* Option tables (see options.h). Main thread, before anything else runs. */

#include "base/options.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

void options_done(const struct option_row *rows, void *options)
{
	for (const struct option_row *row = rows; row->name; row++) {
		struct option_list *list = (void *)((char *)options + row->offset);
		if (row->kind != OPTION_LIST)
			continue;
		free(list->items);
		*list = (struct option_list){ 0 };
	}
}

static void store(const struct option_row *row, const char *value, void *ret)
{
	char *at = (char *)ret + row->offset;
	struct option_list *list = (void *)at;
	switch (row->kind) {
	case OPTION_STRING:
	case OPTION_OPERAND:
		*(const char **)(void *)at = value;
		break;
	case OPTION_FLAG:
		*(bool *)at = true;
		break;
	case OPTION_LIST:
		list->items = xreallocarray(list->items, list->count + 1, sizeof(*list->items));
		list->items[list->count++] = value;
		break;
	}
}

/* "--name" up to `len`, or "-n". */
static const struct option_row *find(const struct option_row *rows, const char *word, size_t len)
{
	bool full = word[1] == '-';
	for (const struct option_row *row = rows; row->name; row++) {
		if (row->kind == OPTION_OPERAND)
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
		if (row->kind == OPTION_OPERAND && !seen[row - rows]) {
			store(row, word, ret);
			seen[row - rows] = true;
			return 1;
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
	bool separate = row->kind != OPTION_FLAG && !value;
	if (row->kind == OPTION_FLAG && value)
		return err_set(err, ERR_INVALID, "--%s takes no value", row->name);
	if (separate && argc < 2)
		return err_set(err, ERR_INVALID, "--%s needs %s", row->name, row->argument);
	store(row, separate ? argv[1] : value, ret);
	seen[row - rows] = true;
	return separate ? 2 : 1;
}

static int check_required(const struct option_row *rows, const bool *seen, struct err *err)
{
	for (const struct option_row *row = rows; row->name; row++) {
		if (!row->required || seen[row - rows])
			continue;
		if (row->kind == OPTION_OPERAND)
			return err_set(err, ERR_INVALID, "%s is missing", row->name);
		return err_set(err, ERR_INVALID, "--%s %s is required", row->name, row->argument);
	}
	return 0;
}

int options_parse(const struct option_row *rows, int argc, char **argv, void *ret, struct err *err)
{
	size_t count = 0;
	bool words_only = false;
	for (; rows[count].name; count++)
		if (rows[count].standard && rows[count].kind == OPTION_STRING)
			store(&rows[count], rows[count].standard, ret);
	_cleanup_(freep) bool *seen = xcalloc(count + 1, sizeof(*seen));
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

void options_usage(const struct option_row *rows, FILE *out)
{
	for (const struct option_row *row = rows; row->name; row++)
		if (row->kind == OPTION_OPERAND)
			fprintf(out, row->required ? "%s " : "[%s] ", row->name);
	fputs("[OPTION...]\n", out);
}

static char *left_column(const struct option_row *row)
{
	char letter[] = { '-', row->letter, ',', ' ', '\0' };
	if (row->kind == OPTION_OPERAND)
		return xstrdup(row->name);
	return xasprintf("%s--%s%s%s", row->letter ? letter : "", row->name,
			 row->argument ? " " : "", str_or(row->argument, ""));
}

void options_help(const struct option_row *rows, FILE *out)
{
	for (const struct option_row *row = rows; row->name; row++) {
		_cleanup_(freep) char *left = left_column(row);
		fprintf(out, "  %-28s %s", left, row->help);
		if (row->standard)
			fprintf(out, " (default: %s)", row->standard);
		fputc('\n', out);
	}
}
