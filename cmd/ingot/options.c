/* Option tables (see options.h). Main thread, before anything else runs. */

#include "options.h"

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

static const struct option_row *find(const struct option_row *rows, const char *name, size_t len)
{
	for (const struct option_row *row = rows; row->name; row++)
		if (strlen(row->name) == len && strncmp(row->name, name, len) == 0)
			return row;
	return NULL;
}

/* Returns how many arguments it took. */
static int parse_one(const struct option_row *rows, int argc, char **argv, void *ret, bool *seen,
		     struct err *err)
{
	const char *word = argv[0];
	if (!str_has_prefix(word, "--"))
		return err_set(err, ERR_INVALID, "unexpected argument \"%s\"", word);
	size_t len = strcspn(word + 2, "=");
	const struct option_row *row = find(rows, word + 2, len);
	if (!row)
		return err_set(err, ERR_INVALID, "unknown option \"%.*s\"", (int)len + 2, word);
	const char *value = word[2 + len] == '=' ? word + len + 3 : NULL;
	bool separate = row->kind != OPTION_FLAG && !value;
	if (row->kind == OPTION_FLAG && value)
		return err_set(err, ERR_INVALID, "--%s takes no value", row->name);
	if (separate && argc < 2)
		return err_set(err, ERR_INVALID, "--%s needs %s", row->name, row->argument);
	store(row, separate ? argv[1] : value, ret);
	seen[row - rows] = true;
	return separate ? 2 : 1;
}

int options_parse(const struct option_row *rows, int argc, char **argv, void *ret, struct err *err)
{
	size_t count = 0;
	for (; rows[count].name; count++)
		if (rows[count].standard && rows[count].kind == OPTION_STRING)
			store(&rows[count], rows[count].standard, ret);
	_cleanup_(freep) bool *seen = xcalloc(count + 1, sizeof(*seen));
	for (int i = 0; i < argc;) {
		int r = parse_one(rows, argc - i, argv + i, ret, seen, err);
		if (r < 0)
			return r;
		i += r;
	}
	for (size_t i = 0; i < count; i++)
		if (rows[i].required && !seen[i])
			return err_set(err, ERR_INVALID, "--%s %s is required", rows[i].name,
				       rows[i].argument);
	return 0;
}

void options_help(const struct option_row *rows, FILE *out)
{
	for (const struct option_row *row = rows; row->name; row++) {
		_cleanup_(freep) char *left = xasprintf(
			"--%s%s%s", row->name, row->argument ? " " : "", str_or(row->argument, ""));
		fprintf(out, "  %-28s %s", left, row->help);
		if (row->standard)
			fprintf(out, " (default: %s)", row->standard);
		fputc('\n', out);
	}
}
