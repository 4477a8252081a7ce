/* Regular expressions of schemas. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/macro.h"
#include "base/str.h"
#include "schema/regex.h"

static void check(const char *pattern, const char *text, bool expected)
{
	struct regex *re = NULL;
	struct err err;
	if (regex_new(pattern, &re, &err) < 0)
		fail_msg("%s: %s", pattern, err.text);
	size_t steps = 1000 * 1000 * 1000;
	bool found = regex_search(re, text, strlen(text), &steps);
	assert_true(steps > 0);
	regex_free(re);
	if (found != expected)
		fail_msg("\"%s\" on \"%s\" gave %d", pattern, text, found);
}

static void test_matching(void **state)
{
	(void)state;
	static const struct {
		const char *pattern, *text;
		bool expected;
	} cases[] = {
		{ "abc", "xxabcx", true },
		{ "^abc$", "abc", true },
		{ "^abc$", "xabc", false },
		{ "^a*$", "", true },
		{ "^(a|b)+c?$", "ababc", true },
		{ "^(a|b)+c?$", "ababcc", false },
		{ "a||b", "", true },
		{ "^x+?$", "xxx", true },
		{ "^.$", "\xc3\xa9", true },
		{ "^.$", "\n", false },
		{ "(?s)^.$", "\n", true },
		{ "(?i)^abc$", "aBC", true },
		{ "^(?:\\d+|[[:alpha:]]+)$", "123", true },
		{ "^(?:\\d+|[[:alpha:]]+)$", "12a", false },
		{ "^\\w[\\w\\-.]*$", "a-b.c", true },
		{ "^[^a-c]+$", "def", true },
		{ "^[^a-c]+$", "dcf", false },
		{ "^[]a]+$", "a]", true },
		{ "^\\x41\\.\\n$", "A.\n", true },
		{ "\\bfoo\\b", "a foo b", true },
		{ "\\bfoo\\b", "afoo b", false },
		{ "^\\S+\\s\\D$", "ab c", true },
		{ "^a{,2}$", "a{,2}", true },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check(cases[i].pattern, cases[i].text, cases[i].expected);
}

/* Each verdict is that of Go's regexp. */
static void test_unicode(void **state)
{
	(void)state;
	static const struct {
		const char *pattern, *text;
		bool expected;
	} cases[] = {
		{ "^\\p{L}+$", "Gr\xc3\xbc\xc3\x9f\xe4\xb8\xad", true },
		{ "^\\p{L}+$", "a1", false },
		{ "^\\pL\\pN$", "\xd0\x96\xd9\xa3", true },
		{ "^\\P{L}+$", "123", true },
		{ "^\\p{^L}+$", "a", false },
		{ "^\\P{^L}+$", "a", true },
		{ "^[\\p{Lu}_]+$", "A_\xc3\x89", true },
		{ "^[\\p{Lu}_]+$", "\xc3\xa9", false },
		{ "^[^\\p{Lu}\\d]+$", "a\xc3\xa9", true },
		{ "^[^\\P{Greek}]+$", "\xcf\x83", true },
		{ "^\\p{Greek}\\p{Han}\\p{Cyrillic}$", "\xcf\x83\xe4\xb8\xad\xd0\x96", true },
		{ "^\\p{Letter}\\p{lower_case-letter}$", "Aa", true },
		{ "^\\p{Any}\\p{ASCII}$",
		  "\xe4\xb8\xad"
		  "a",
		  true },
		{ "^\\p{Assigned}$", "\xcd\xb8", false },
		{ "^\\p{Old_Persian}$", "\xf0\x90\x8e\xa0", true },
		{ "(?i)^k$", "\xe2\x84\xaa", true }, /* the sign of Kelvin */
		{ "(?i)^\xcf\x83$", "\xcf\x82", true },
		{ "(?i)^\\p{Lu}$", "a", true },
		{ "(?i)^\\P{Lu}$", "a", false },
		{ "(?i)^[^\\P{Lu}]$", "a", true },
		{ "^a(?i)b(?-i)c$", "aBc", true },
		{ "^a(?i)b(?-i)c$", "aBC", false },
		{ "^(?i:a)b$", "AB", false },
		{ "^(?:(?i)a)b$", "Ab", true },
		{ "(?m)^b$", "a\nb\nc", true },
		{ "^b$", "a\nb\nc", false },
		{ "^(?U)a+$", "aa", true },
		{ "^(?<year>\\d{4})$", "2026", true },
		{ "^\\Qa.b|*\\E+$", "a.b|**", true },
		{ "^\\Qa.b\\E$", "axb", false },
		{ "^[[:^alpha:]]+$", "12", true },
		{ "^[\\W]$", "-", true },
		{ "^\\101\\x{42}\\07$", "AB\a", true },
		{ "^[\\pL-]+$", "a-b", true },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check(cases[i].pattern, cases[i].text, cases[i].expected);
}

/* Text times pattern, and classes in brackets: both may be large, their product is given up. */
static void test_work_is_limited(void **state)
{
	(void)state;
	struct regex *re = NULL;
	struct strbuf pattern = { 0 };
	char text[200] = "";
	memset(text, '1', sizeof(text) - 1);
	strbuf_adds(&pattern, "^(?:[");
	for (int i = 0; i < 1000; i++)
		strbuf_adds(&pattern, "\\p{Greek}");
	strbuf_adds(&pattern, "]|.)*x$");
	assert_int_equal(regex_new(pattern.data, &re, NULL), 0);
	size_t steps = 100000;
	assert_false(regex_search(re, text, strlen(text), &steps));
	assert_int_equal(steps, 0);
	steps = 1000000;
	assert_false(regex_search(re, text, strlen(text), &steps));
	assert_true(steps > 0);
	regex_free(re);
	strbuf_done(&pattern);
}

static void test_counts(void **state)
{
	(void)state;
	static const struct {
		const char *pattern;
		size_t min, max; /* lengths that match, of 0 to 8 */
	} cases[] = {
		{ "^x{2,4}$", 2, 4 }, { "^x{2,}$", 2, 8 },	 { "^x{0,2}$", 0, 2 },
		{ "^x{1}$", 1, 1 },   { "^x{1,3}$", 1, 3 },	 { "^x{3,}$", 3, 8 },
		{ "^x{0}$", 0, 0 },   { "^x?$", 0, 1 },		 { "^x+$", 1, 8 },
		{ "^x*$", 0, 8 },     { "^(x{1,2}){2}$", 2, 4 }, { "^x{5}$", 5, 5 },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (size_t n = 0; n <= 8; n++) {
			char text[9] = { 0 };
			memset(text, 'x', n);
			check(cases[i].pattern, text, n >= cases[i].min && n <= cases[i].max);
		}
}

static void test_patterns_of_real_schemas(void **state)
{
	(void)state;
	static const char mac[] = "^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$";
	static const char ip[] =
		"^((25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\\.){3}(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])$";
	static const char domain[] =
		"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
	check(mac, "00:11:22:33:44:5f", true);
	check(mac, "00:11:22:33:44", false);
	check(ip, "192.168.1.254", true);
	check(ip, "192.168.1.256", false);
	check(domain, "foo.bar-baz", true);
	check(domain, "foo.bar-", false);
}

/* What makes backtracking matchers hang. */
static void test_linear_time(void **state)
{
	(void)state;
	char text[20001];
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	check("^(a+)+$", text, true);
	text[sizeof(text) - 2] = 'b';
	check("^(a+)+$", text, false);
	check("^(a|a?)+$", text, false);
}

static void test_many_alternatives(void **state)
{
	(void)state;
	struct strbuf pattern = { 0 };
	strbuf_adds(&pattern, "^((w0");
	for (int i = 1; i < 1500; i++)
		strbuf_addf(&pattern, "|w%d", i);
	strbuf_adds(&pattern, ")-?)+$");
	check(pattern.data, "w0", true);
	check(pattern.data, "w1499-w7-w700", true);
	check(pattern.data, "w1500", false);
	strbuf_done(&pattern);
}

static void test_refused(void **state)
{
	(void)state;
	static const char *const patterns[] = {
		"(",
		"a)",
		"[",
		"[b-a]",
		"*",
		"a**",
		"x{3,2}",
		"x{1001}",
		"\\p{Klingon}",
		"\\p{L",
		"\\p",
		"\\p{}",
		"\\C",
		"\\8",
		"\\1",
		"\\\xc3\xa9",
		"{1,2}",
		"a{2}{3}",
		"(?-)",
		"(?x)",
		"(?i",
		"(?<>b)",
		"(?<a b>b)",
		"[[:^odd:]]",
		"\\x{110000}",
		"\\",
		"[[:odd:]",
		"((((((x{1000}){1000}){1000}){1000}){1000}){1000})",
		"((((){1000}){1000}){1000}){1000}",
		"\\xZZ",
		"(?P<a",
		"(a{2}){501}",
		"(?:(x{10}|y){10}z){11}",
		"(a{2,}){501}",
		"(a{1000}){2}",
	};
	for (size_t i = 0; i < ARRAY_SIZE(patterns); i++) {
		struct regex *re = NULL;
		struct err err;
		if (regex_new(patterns[i], &re, &err) == 0)
			fail_msg("%s was taken", patterns[i]);
		assert_non_null(strstr(err.text, "invalid regular expression"));
	}
}

/* Repeats in each other may come to a thousand; what is left out does not count (Go 1.26). */
static void test_repeats_in_each_other(void **state)
{
	(void)state;
	check("^(a{2}){500}$", "a", false);
	check("^(?:(x{10}|y){10}z){10}$", "yyyyyyyyyyz", false);
	check("^(?:a{1000}){0}b$", "b", true);
	check("^(?:(?:a{1000}){0}b){2}$", "bb", true);
	check("^(a*){1000}$", "aaa", true);
	check("^(?:(?:a{1000})?)+$", "", true);
	check("^(?:a{1000}){1}?$", "", false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matching),
		cmocka_unit_test(test_unicode),
		cmocka_unit_test(test_work_is_limited),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_patterns_of_real_schemas),
		cmocka_unit_test(test_linear_time),
		cmocka_unit_test(test_many_alternatives),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_repeats_in_each_other),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
