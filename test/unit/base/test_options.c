/* Option tables: what a command line may say, and what is said about one that is wrong. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/options.h"
#include "base/str.h"

enum colour { RED = 3, GREEN = 7 };

struct flags {
	const char *host, *second, *ns, *level;
	bool all;
	struct option_list more;
};

struct values {
	enum colour colour;
	const char *word, *path, *socket, *label, *subdomain;
	unsigned count;
	int rate;
	usec_t limit;
	bool limited;
	uint16_t port;
	struct option_list paths;
};

#define FLAG(member)  .offset = offsetof(struct flags, member)
#define VALUE(member) .offset = offsetof(struct values, member)

static const struct option_row rows[] = {
	{ .name = "HOST",
	  .help = "which",
	  .operand = true,
	  .type = &option_text,
	  .required = true,
	  FLAG(host) },
	{ .name = "SECOND",
	  .help = "another",
	  .operand = true,
	  .type = &option_text,
	  FLAG(second) },
	{ .name = "namespace",
	  .argument = "NAME",
	  .help = "where",
	  .letter = 'n',
	  .type = &option_text,
	  FLAG(ns) },
	{ .name = "level",
	  .argument = "L",
	  .standard = "info",
	  .help = "how much",
	  .type = &option_text,
	  FLAG(level) },
	{ .name = "all", .help = "everywhere", .letter = 'A', .type = &option_flag, FLAG(all) },
	{ .name = "more", .argument = "X", .help = "again", .type = &option_texts, FLAG(more) },
	{ .name = NULL },
};

static const struct option_choice colours[] = { { "red", RED }, { "green", GREEN }, { NULL, 0 } };
static const struct option_choice words[] = {
	{ "add", 0 }, { "list", 0 }, { "remove", 0 }, { NULL, 0 }
};

static const struct option_row value_rows[] = {
	{ .name = "colour",
	  .argument = "C",
	  .standard = "green",
	  .help = "of it",
	  .type = &option_choice,
	  .choices = colours,
	  VALUE(colour) },
	{ .name = "WORD",
	  .help = "what",
	  .operand = true,
	  .type = &option_word,
	  .choices = words,
	  VALUE(word) },
	{ .name = "path", .argument = "P", .help = "p", .type = &option_path, VALUE(path) },
	{ .name = "paths", .argument = "P", .help = "p", .type = &option_paths, VALUE(paths) },
	{ .name = "socket", .argument = "P", .help = "p", .type = &option_socket, VALUE(socket) },
	{ .name = "label", .argument = "N", .help = "n", .type = &option_label, VALUE(label) },
	{ .name = "subdomain",
	  .argument = "N",
	  .help = "n",
	  .type = &option_subdomain,
	  VALUE(subdomain) },
	{ .name = "count",
	  .argument = "N",
	  .standard = "5",
	  .help = "how many",
	  .type = &option_unsigned,
	  .max = 1000,
	  VALUE(count) },
	{ .name = "rate",
	  .argument = "N",
	  .help = "how fast",
	  .type = &option_integer,
	  .min = -100000,
	  .max = 100000,
	  VALUE(rate) },
	{ .name = "limit",
	  .argument = "SECONDS",
	  .help = "how long",
	  .type = &option_seconds,
	  .max = 3600,
	  .given = offsetof(struct values, limited),
	  VALUE(limit) },
	{ .name = "port",
	  .argument = "PORT",
	  .help = "where",
	  .type = &option_port,
	  .min = 1,
	  .max = UINT16_MAX,
	  VALUE(port) },
	{ .name = NULL },
};

static int parse_rows(const struct option_row *table, const char *line, void *ret, struct err *err)
{
	static char text[512];
	char *argv[32], *save = text;
	int argc = 0;
	snprintf(text, sizeof(text), "%s", line);
	for (char *word; argc < 32 && (word = strsep(&save, " "));)
		if (*word)
			argv[argc++] = word;
	return options_parse(table, argc, argv, ret, err);
}

static int parse(const char *line, struct flags *ret, struct err *err)
{
	*ret = (struct flags){ 0 };
	return parse_rows(rows, line, ret, err);
}

static int parse_values(const char *line, struct values *ret, struct err *err)
{
	*ret = (struct values){ 0 };
	return parse_rows(value_rows, line, ret, err);
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

static void test_defaults(void **state)
{
	(void)state;
	struct values v;
	assert_int_equal(parse_values("", &v, NULL), 0);
	assert_int_equal(v.colour, GREEN);
	assert_int_equal(v.count, 5);
	assert_null(v.path);
	assert_int_equal(v.limit, 0);
	assert_false(v.limited);
	options_done(value_rows, &v);
}

static void test_values(void **state)
{
	(void)state;
	struct values v;
	assert_int_equal(
		parse_values("--colour red --count 1000 --rate -7 --limit 3600 --port 65535 add "
			     "--label a-1 --subdomain a.b --path / --paths a",
			     &v, NULL),
		0);
	assert_int_equal(v.colour, RED);
	assert_string_equal(v.word, "add");
	assert_int_equal(v.count, 1000);
	assert_int_equal(v.rate, -7);
	assert_int_equal(v.limit, 3600 * USEC_PER_SEC);
	assert_true(v.limited);
	assert_int_equal(v.port, 65535);
	assert_string_equal(v.paths.items[0], "a");
	options_done(value_rows, &v);
}

/* Repeated options add up, others count as they were given last. */
static void test_given_twice(void **state)
{
	(void)state;
	struct values v;
	assert_int_equal(
		parse_values("--paths a --paths b --count 1 --count 2 --limit 0", &v, NULL), 0);
	assert_int_equal(v.paths.count, 2);
	assert_string_equal(v.paths.items[1], "b");
	assert_int_equal(v.count, 2);
	assert_true(v.limited);
	options_done(value_rows, &v);
}

static void test_wrong_values(void **state)
{
	(void)state;
	static const struct {
		const char *line, *text;
	} cases[] = {
		{ "--colour blue", "--colour: \"blue\" is not red or green" },
		{ "--colour=", "--colour: \"\" is not red or green" },
		{ "drop", "WORD: \"drop\" is not add, list or remove" },
		{ "--path=", "--path: \"\" is not a path" },
		{ "--paths=", "--paths: \"\" is not a path" },
		{ "--label a.b", "--label: \"a.b\" is not a name in Kubernetes" },
		{ "--label A", "--label: \"A\" is not a name in Kubernetes" },
		{ "--label -a", "--label: \"-a\" is not a name in Kubernetes" },
		{ "--subdomain a..b", "--subdomain: \"a..b\" is not a name in Kubernetes" },
		{ "--count 1001", "--count: \"1001\" is not a number from 0 to 1000" },
		{ "--count -1", "--count: \"-1\" is not a number from 0 to 1000" },
		{ "--count -0", "--count: \"-0\" is not a number from 0 to 1000" },
		{ "--count 18446744073709551617",
		  "--count: \"18446744073709551617\" is not a number from 0 to 1000" },
		{ "--rate -100001", "--rate: \"-100001\" is not a number from -100000 to 100000" },
		{ "--rate --1", "--rate: \"--1\" is not a number from -100000 to 100000" },
		{ "--rate -", "--rate: \"-\" is not a number from -100000 to 100000" },
		{ "--rate 1.5", "--rate: \"1.5\" is not a number from -100000 to 100000" },
		{ "--rate=", "--rate: \"\" is not a number from -100000 to 100000" },
		{ "--limit 1h", "--limit: \"1h\" is not a number of seconds from 0 to 3600" },
		{ "--port 0", "--port: \"0\" is not a port from 1 to 65535" },
		{ "--port 65536", "--port: \"65536\" is not a port from 1 to 65535" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct values v;
		struct err err = { 0 };
		if (parse_values(cases[i].line, &v, &err) == 0)
			fail_msg("%s: taken", cases[i].line);
		assert_string_equal(err.text, cases[i].text);
		assert_int_equal(err.kind, strstr(err.text, "more") ? ERR_LIMIT : ERR_INVALID);
		options_done(value_rows, &v);
	}
}

static void test_socket_paths(void **state)
{
	(void)state;
	char line[256];
	struct values v;
	struct err err;
	for (int len = 107; len <= 108; len++) {
		snprintf(line, sizeof(line), "--socket /%0*d", len - 1, 0);
		assert_int_equal(parse_values(line, &v, &err) == 0, len == 107);
	}
	assert_non_null(strstr(err.text, "is not a path of at most 107 bytes"));
}

/* Tables in one, with headings and places of their own. */
static void test_join(void **state)
{
	(void)state;
	struct both {
		int before;
		struct values values;
		struct flags flags;
	} both = { .before = 1 };
	const struct option_table tables[] = { { "One", rows, offsetof(struct both, flags) },
					       { NULL, value_rows, offsetof(struct both, values) },
					       { NULL, NULL, 0 } };
	_cleanup_(freep) struct option_row *all = options_join(tables);
	assert_int_equal(parse_rows(all, "a --count 9 --limit 1 --more x", &both, NULL), 0);
	assert_int_equal(both.before, 1);
	assert_int_equal(both.values.count, 9);
	assert_true(both.values.limited);
	assert_string_equal(both.flags.host, "a");
	assert_string_equal(all[0].heading, "One");
	assert_null(all[ARRAY_SIZE(rows) - 1].heading);
	options_done(all, &both);
}

static char *text_of(void (*print)(FILE *out))
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	print(out);
	fclose(out);
	return text;
}

static void print_help(FILE *out)
{
	options_usage(rows, out);
	options_help(rows, 80, out);
}

static void test_help(void **state)
{
	(void)state;
	_cleanup_(freep) char *text = text_of(print_help);
	assert_string_equal(text, "HOST [SECOND] [OPTION...]\n"
				  "  HOST                         which\n"
				  "  SECOND                       another\n"
				  "  -n, --namespace NAME         where\n"
				  "  --level L                    how much (default: info)\n"
				  "  -A, --all                    everywhere\n"
				  "  --more X                     again\n");
}

/* Headings, ranges, long names, long texts; no line is wider than was asked for. */
static void print_wrapped(FILE *out)
{
	const struct option_row wide[] = {
		{ .name = "a-name-that-is-as-long-as-it-gets",
		  .argument = "SECONDS",
		  .standard = "12",
		  .heading = "First",
		  .help = "how long to wait for something that is described in many words here",
		  .type = &option_seconds,
		  .min = 1,
		  .max = 60 },
		{ .name = "colour",
		  .argument = "COLOUR",
		  .heading = "Second",
		  .help = "which",
		  .type = &option_choice,
		  .choices = colours },
		{ .name = NULL },
	};
	options_help(wide, 60, out);
}

static void test_wrapped_help(void **state)
{
	(void)state;
	_cleanup_(freep) char *text = text_of(print_wrapped);
	assert_string_equal(text, "First:\n"
				  "  --a-name-that-is-as-long-as-it-gets SECONDS\n"
				  "                               how long to wait for\n"
				  "                               something that is described\n"
				  "                               in many words here (1 to 60;\n"
				  "                               default: 12)\n"
				  "\n"
				  "Second:\n"
				  "  --colour COLOUR              which (red or green)\n");
}

static void print_list(FILE *out)
{
	options_list(rows, "show", out);
}

static void test_list(void **state)
{
	(void)state;
	_cleanup_(freep) char *text = text_of(print_list);
	assert_string_equal(text, "show\tHOST\t\ttext\t\t\trequired,operand\n"
				  "show\tSECOND\t\ttext\t\t\toperand\n"
				  "show\tnamespace\tNAME\ttext\t\t\t\n"
				  "show\tlevel\tL\ttext\t\tinfo\t\n"
				  "show\tall\t\tflag\t\t\t\n"
				  "show\tmore\tX\ttext\t\t\trepeats\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted),     cmocka_unit_test(test_refused),
		cmocka_unit_test(test_defaults),     cmocka_unit_test(test_values),
		cmocka_unit_test(test_given_twice),  cmocka_unit_test(test_wrong_values),
		cmocka_unit_test(test_socket_paths), cmocka_unit_test(test_join),
		cmocka_unit_test(test_help),	     cmocka_unit_test(test_wrapped_help),
		cmocka_unit_test(test_list),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
