/* Option tables: what a command line may say, and what is said about one that is wrong. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/options.h"
#include "base/str.h"

struct flags {
	const char *host, *second, *ns, *level;
	bool all;
	struct option_list more;
};

static const struct option_row rows[] = {
	{ .name = "HOST",
	  .help = "which",
	  .offset = offsetof(struct flags, host),
	  .kind = OPTION_OPERAND,
	  .required = true },
	{ .name = "SECOND",
	  .help = "another",
	  .offset = offsetof(struct flags, second),
	  .kind = OPTION_OPERAND },
	{ .name = "namespace",
	  .argument = "NAME",
	  .help = "where",
	  .offset = offsetof(struct flags, ns),
	  .letter = 'n' },
	{ .name = "level",
	  .argument = "L",
	  .standard = "info",
	  .help = "how much",
	  .offset = offsetof(struct flags, level) },
	{ .name = "all",
	  .help = "everywhere",
	  .offset = offsetof(struct flags, all),
	  .kind = OPTION_FLAG,
	  .letter = 'A' },
	{ .name = "more",
	  .argument = "X",
	  .help = "again",
	  .offset = offsetof(struct flags, more),
	  .kind = OPTION_LIST },
	{ .name = NULL },
};

static int parse(const char *line, struct flags *ret, struct err *err)
{
	static char text[256];
	char *argv[16], *save = text;
	int argc = 0;
	snprintf(text, sizeof(text), "%s", line);
	for (char *word; argc < 16 && (word = strsep(&save, " "));)
		if (*word)
			argv[argc++] = word;
	*ret = (struct flags){ 0 };
	return options_parse(rows, argc, argv, ret, err);
}

static void test_accepted(void **state)
{
	(void)state;
	struct flags f;
	assert_int_equal(parse("a", &f, NULL), 0);
	assert_string_equal(f.host, "a");
	assert_null(f.second);
	assert_null(f.ns);
	assert_string_equal(f.level, "info");
	assert_false(f.all);
	assert_int_equal(parse("-n x a -A b --level=warn --more 1 --more=2", &f, NULL), 0);
	assert_string_equal(f.ns, "x");
	assert_string_equal(f.host, "a");
	assert_string_equal(f.second, "b");
	assert_string_equal(f.level, "warn");
	assert_true(f.all);
	assert_int_equal(f.more.count, 2);
	assert_string_equal(f.more.items[1], "2");
	options_done(rows, &f);
	assert_int_equal(f.more.count, 0);
	assert_int_equal(parse("--namespace y -- --level", &f, NULL), 0);
	assert_string_equal(f.host, "--level");
	assert_string_equal(f.level, "info");
	assert_int_equal(parse("- a", &f, NULL), 0); /* "-" is a word */
	assert_string_equal(f.host, "-");
}

static void test_refused(void **state)
{
	(void)state;
	static const struct {
		const char *line, *text;
	} cases[] = {
		{ "", "HOST is missing" },
		{ "a b c", "unexpected argument \"c\"" },
		{ "a --HOST b", "unknown option \"--HOST\"" },
		{ "a --name x", "unknown option \"--name\"" },
		{ "a -x", "unknown option \"-x\"" },
		{ "a -nx", "unknown option \"-nx\"" },
		{ "a -n", "--namespace needs NAME" },
		{ "a --all=1", "--all takes no value" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct flags f;
		struct err err = { 0 };
		assert_true(parse(cases[i].line, &f, &err) < 0);
		assert_string_equal(err.text, cases[i].text);
	}
}

static void test_help(void **state)
{
	(void)state;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	options_usage(rows, out);
	options_help(rows, out);
	fclose(out);
	assert_string_equal(text, "HOST [SECOND] [OPTION...]\n"
				  "  HOST                         which\n"
				  "  SECOND                       another\n"
				  "  -n, --namespace NAME         where\n"
				  "  --level L                    how much (default: info)\n"
				  "  -A, --all                    everywhere\n"
				  "  --more X                     again\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_help),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
