/* A Thompson construction run as Pike's simulation (Cox, "Regular Expression Matching Can Be Simple
 * And Fast"): time is text times program, whatever the pattern. Only whether it matches is asked,
 * so greediness and captures need no code. The compiler writes fragments to one array; a repeat is
 * compiled by parsing its operand again, which is why an atom remembers where its text began. Pure.
 */

#include "schema/regex.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "schema/unicode.h"

enum {
	PROGRAM_MAX = 20000,
	REPEAT_MAX = 1000, /* as RE2 */
	DEPTH_MAX = 100,
	CODEPOINT_MAX = 0x10ffff,
};

enum op {
	OP_SET,
	OP_SPLIT,
	OP_JUMP,
	OP_BEGIN,
	OP_END,
	OP_LINE_BEGIN,
	OP_LINE_END,
	OP_WORD,
	OP_NOT_WORD,
	OP_MATCH
};

/* A class of characters in a set: its ranges stand in a table for all. */
struct part {
	const struct unicode_range *ranges;
	size_t count;
	bool negated;
};

struct set {
	struct unicode_range *ranges; /* sorted when the set is whole */
	size_t count;
	struct part *parts;
	size_t part_count;
	bool negated, fold;
};

struct flags {
	bool fold, dot_all, lines;
};

struct instruction {
	enum op op;
	size_t x, y; /* targets; OP_SET: x is the set's index */
};

struct regex {
	struct instruction *program;
	size_t count;
	struct set *sets;
	size_t set_count;
};

struct parser {
	struct regex *re;
	const char *start, *p;
	unsigned depth, copies;
	int weight; /* of the atom that was parsed last: product of the repeats in each other */
	struct flags flags;
	bool atom_quoted; /* the atom that is repeated was: */
	bool quoted;	  /* between \Q and \E */
	struct err *err;
	int failed; /* sticky */
};

static void parse_alternatives(struct parser *ps);

static void fail(struct parser *ps, const char *what)
{
	if (!ps->failed)
		ps->failed = err_set(ps->err, ERR_INVALID,
				     "invalid regular expression at offset %zu: %s",
				     (size_t)(ps->p - ps->start), what);
}

static size_t emit(struct parser *ps, enum op op, size_t x, size_t y)
{
	struct regex *re = ps->re;
	if (re->count == PROGRAM_MAX) {
		fail(ps, "it is too large");
		return re->count - 1;
	}
	if ((re->count & (re->count - 1)) == 0)
		re->program = xreallocarray(re->program, MAX(re->count * 2, (size_t)1),
					    sizeof(*re->program));
	re->program[re->count] = (struct instruction){ op, x, y };
	return re->count++;
}

/* Makes room for one instruction in front of those from `at` on, whose targets move along. */
static void insert(struct parser *ps, size_t at, struct instruction in)
{
	if (emit(ps, OP_JUMP, 0, 0) + 1 == PROGRAM_MAX || ps->failed)
		return;
	struct instruction *program = ps->re->program;
	memmove(program + at + 1, program + at, (ps->re->count - 1 - at) * sizeof(*program));
	for (size_t i = at + 1; i < ps->re->count; i++) {
		if (program[i].op != OP_SPLIT && program[i].op != OP_JUMP)
			continue;
		program[i].x += program[i].x >= at;
		program[i].y += program[i].op == OP_SPLIT && program[i].y >= at;
	}
	program[at] = in;
}

/* --- sets of characters ---------------------------------------------------------------------- */

/* 0 and powers of two: time to double. */
static bool is_full(size_t count)
{
	return (count & (count - 1)) == 0;
}

static void add_range(struct set *set, uint32_t from, uint32_t to)
{
	if (is_full(set->count))
		set->ranges = xreallocarray(set->ranges, MAX(set->count * 2, (size_t)1),
					    sizeof(*set->ranges));
	set->ranges[set->count++] = (struct unicode_range){ from, to };
}

static void add_part(struct set *set, const struct unicode_range *ranges, size_t count,
		     bool negated)
{
	if (is_full(set->part_count))
		set->parts = xreallocarray(set->parts, MAX(set->part_count * 2, (size_t)1),
					   sizeof(*set->parts));
	set->parts[set->part_count++] = (struct part){ ranges, count, negated };
}

static int compare_ranges(const void *a, const void *b)
{
	const struct unicode_range *x = a, *y = b;
	return x->from < y->from ? -1 : x->from > y->from;
}

/* For bsearch: in order, and no two that touch. */
static void sort_ranges(struct set *set)
{
	size_t kept = 0;
	if (set->count < 2)
		return;
	qsort(set->ranges, set->count, sizeof(*set->ranges), compare_ranges);
	for (size_t i = 1; i < set->count; i++) {
		struct unicode_range *last = &set->ranges[kept], *r = &set->ranges[i];
		if (r->from <= last->to + 1)
			last->to = MAX(last->to, r->to);
		else
			set->ranges[++kept] = *r;
	}
	set->count = kept + 1;
}

/* Perl's classes are ASCII in RE2, whatever the text. */
static const struct {
	const char *name; /* of one letter: behind a backslash; else of POSIX */
	struct unicode_range ranges[4];
	size_t count;
} ascii_classes[] = {
	{ "d", { { '0', '9' } }, 1 },
	{ "s", { { '\t', '\n' }, { '\f', '\r' }, { ' ', ' ' } }, 3 },
	{ "w", { { '0', '9' }, { 'A', 'Z' }, { '_', '_' }, { 'a', 'z' } }, 4 },
	{ "alnum", { { '0', '9' }, { 'A', 'Z' }, { 'a', 'z' } }, 3 },
	{ "alpha", { { 'A', 'Z' }, { 'a', 'z' } }, 2 },
	{ "ascii", { { 0, 0x7f } }, 1 },
	{ "blank", { { '\t', '\t' }, { ' ', ' ' } }, 2 },
	{ "cntrl", { { 0, 0x1f }, { 0x7f, 0x7f } }, 2 },
	{ "digit", { { '0', '9' } }, 1 },
	{ "graph", { { '!', '~' } }, 1 },
	{ "lower", { { 'a', 'z' } }, 1 },
	{ "print", { { ' ', '~' } }, 1 },
	{ "punct", { { '!', '/' }, { ':', '@' }, { '[', '`' }, { '{', '~' } }, 4 },
	{ "space", { { '\t', '\r' }, { ' ', ' ' } }, 2 },
	{ "upper", { { 'A', 'Z' } }, 1 },
	{ "word", { { '0', '9' }, { 'A', 'Z' }, { '_', '_' }, { 'a', 'z' } }, 4 },
	{ "xdigit", { { '0', '9' }, { 'A', 'F' }, { 'a', 'f' } }, 3 },
};

static bool add_ascii_class(struct set *set, const char *name, size_t len, bool negated)
{
	for (size_t i = 0; i < ARRAY_SIZE(ascii_classes); i++) {
		if (strlen(ascii_classes[i].name) != len ||
		    strncmp(ascii_classes[i].name, name, len) != 0)
			continue;
		add_part(set, ascii_classes[i].ranges, ascii_classes[i].count, negated);
		return true;
	}
	return false;
}

/* At "[:", which may be an ordinary bracket. */
static bool parse_posix_class(struct parser *ps, struct set *set)
{
	const char *end = strstr(ps->p, ":]");
	const char *name = ps->p + 2;
	if (!end || end < name)
		return false;
	bool negated = *name == '^';
	name += negated;
	if (end < name || end - name < 2 ||
	    !add_ascii_class(set, name, (size_t)(end - name), negated)) {
		fail(ps, "invalid character class");
		return true;
	}
	ps->p = end + 2;
	return true;
}

/* \pN, \p{Greek}, \P{Lu}, \p{^Lu}; ps->p is at the letter p. */
static void parse_unicode_class(struct parser *ps, struct set *set)
{
	bool negated = *ps->p++ == 'P';
	const char *name = ps->p;
	size_t len = *name ? 1 : 0, count = 0;
	if (*name == '{') {
		const char *end = strchr(name, '}');
		len = end ? (size_t)(end - name) - 1 : 0;
		name++;
		ps->p = end ? end : ps->p;
	}
	if (len && *name == '^') {
		negated = !negated;
		name++;
		len--;
	}
	/* All but what stands for nothing yet. */
	const struct unicode_range *ranges = unicode_class(name, len, &count);
	if (!ranges && unicode_is(name, len, "assigned")) {
		ranges = unicode_class("cn", 2, &count);
		negated = !negated;
	}
	if (!len || !ranges) {
		fail(ps, "invalid character class range");
		return;
	}
	add_part(set, ranges, count, negated);
	ps->p++;
}

/* At a backslash. False: it stands for one character. */
static bool parse_class_escape(struct parser *ps, struct set *set)
{
	char c = ps->p[1], lower = (char)(c | 0x20);
	if (c == 'p' || c == 'P') {
		ps->p++;
		parse_unicode_class(ps, set);
		return true;
	}
	if (!c || !isalpha((unsigned char)c) || !add_ascii_class(set, &lower, 1, c != lower))
		return false;
	ps->p += 2;
	return true;
}

/* Schemas come as JSON, so the pattern is valid UTF-8; a lone byte of a text counts as itself. */
static uint32_t decode(const char **p, const char *end)
{
	const unsigned char *s = (const unsigned char *)*p;
	size_t left = (size_t)(end - *p), more = *s >= 0xf0   ? 3
						 : *s >= 0xe0 ? 2
						 : *s >= 0xc0 ? 1
							      : 0;
	if (more == 0 || more >= left) {
		(*p)++;
		return *s;
	}
	uint32_t c = *s & (0x3fu >> more);
	for (size_t i = 1; i <= more; i++)
		c = c << 6 | (s[i] & 0x3f);
	*p += more + 1;
	return c;
}

static uint32_t parse_hex(struct parser *ps)
{
	char digits[9] = { 0 };
	size_t n = 0;
	bool braces = *ps->p == '{';
	ps->p += braces;
	while (n < (braces ? 8u : 2u) && isxdigit((unsigned char)*ps->p))
		digits[n++] = *ps->p++;
	uint32_t c = (uint32_t)strtoul(digits, NULL, 16);
	if (n == 0 || (braces && *ps->p != '}') || (!braces && n != 2) || c > CODEPOINT_MAX)
		fail(ps, "invalid escape sequence");
	else
		ps->p += braces;
	return c;
}

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

/* \0, \01, \123; one digit alone but 0 would refer to a group, which there is not. */
static uint32_t parse_octal(struct parser *ps)
{
	uint32_t c = 0;
	for (int i = 0; i < 3 && is_octal(*ps->p); i++)
		c = c * 8 + (uint32_t)(*ps->p++ - '0');
	return c;
}

/* A character behind a backslash that stands for one character; ps->p is at it. */
static uint32_t parse_escape(struct parser *ps)
{
	static const char from[] = "afnrtv", to[] = "\a\f\n\r\t\v";
	char c = *ps->p;
	const char *found = c ? strchr(from, c) : NULL;
	if (c == '0' || (is_octal(c) && is_octal(ps->p[1])))
		return parse_octal(ps);
	if (c == '\0' || (unsigned char)c >= 0x80 ||
	    (isalnum((unsigned char)c) && !found && c != 'x')) {
		fail(ps, "invalid escape sequence");
		return 0;
	}
	ps->p++;
	if (c == 'x')
		return parse_hex(ps);
	return found ? (unsigned char)to[found - from] : (unsigned char)c;
}

static uint32_t parse_set_char(struct parser *ps)
{
	if (*ps->p == '\\') {
		ps->p++;
		return parse_escape(ps);
	}
	return decode(&ps->p, ps->p + strlen(ps->p));
}

static void parse_set_item(struct parser *ps, struct set *set)
{
	if (ps->p[0] == '[' && ps->p[1] == ':' && parse_posix_class(ps, set))
		return;
	if (ps->p[0] == '\\' && parse_class_escape(ps, set))
		return;
	uint32_t from = parse_set_char(ps), to = from;
	if (ps->p[0] == '-' && ps->p[1] != ']' && ps->p[1] != '\0') {
		ps->p++;
		to = parse_set_char(ps);
	}
	if (to < from)
		fail(ps, "invalid character class range");
	add_range(set, from, to);
}

static size_t new_set(struct parser *ps)
{
	struct regex *re = ps->re;
	if ((re->set_count & (re->set_count - 1)) == 0)
		re->sets = xreallocarray(re->sets, MAX(re->set_count * 2, (size_t)1),
					 sizeof(*re->sets));
	re->sets[re->set_count] = (struct set){ .fold = ps->flags.fold };
	return re->set_count++;
}

static void parse_set(struct parser *ps)
{
	struct set set = { .fold = ps->flags.fold };
	ps->p++;
	if (*ps->p == '^') {
		set.negated = true;
		ps->p++;
	}
	/* A bracket that comes first is an ordinary character. */
	for (bool first = true; !ps->failed && (first || *ps->p != ']'); first = false) {
		if (*ps->p == '\0') {
			fail(ps, "missing closing ]");
			break;
		}
		parse_set_item(ps, &set);
	}
	ps->p += !ps->failed;
	sort_ranges(&set);
	size_t at = new_set(ps);
	ps->re->sets[at] = set;
	emit(ps, OP_SET, at, 0);
}

/* --- atoms, repeats, alternatives --- */

static void emit_range(struct parser *ps, uint32_t from, uint32_t to, bool negated)
{
	size_t at = new_set(ps);
	add_range(&ps->re->sets[at], from, to);
	ps->re->sets[at].negated = negated;
	emit(ps, OP_SET, at, 0);
}

static void parse_backslash(struct parser *ps)
{
	static const struct {
		char c;
		enum op op;
	} assertions[] = {
		{ 'A', OP_BEGIN }, { 'z', OP_END }, { 'b', OP_WORD }, { 'B', OP_NOT_WORD }
	};
	char c = *++ps->p;
	for (size_t i = 0; i < ARRAY_SIZE(assertions); i++)
		if (c == assertions[i].c) {
			ps->p++;
			emit(ps, assertions[i].op, 0, 0);
			return;
		}
	ps->p--;
	struct set set = { .fold = ps->flags.fold };
	if (parse_class_escape(ps, &set)) {
		size_t at = new_set(ps);
		ps->re->sets[at] = set;
		emit(ps, OP_SET, at, 0);
		return;
	}
	ps->p++;
	uint32_t one = parse_escape(ps);
	emit_range(ps, one, one, false);
}

/* "(?P<name>" and "(?<name>"; ps->p is behind the question mark. */
static bool skip_name(struct parser *ps)
{
	const char *name = ps->p + (*ps->p == 'P');
	if (*name++ != '<')
		return false;
	const char *end = name;
	while (isalnum((unsigned char)*end) || *end == '_')
		end++;
	if (end == name || *end != '>')
		return false;
	ps->p = end + 1;
	return true;
}

/* "(?i)", "(?i-s:": ps->p is behind the question mark. True: the group ends here, and the flags
 * hold up to the end of the one around it. */
static bool parse_flags(struct parser *ps)
{
	bool value = true, any = false;
	struct flags flags = ps->flags;
	for (;; ps->p++) {
		if (*ps->p == 'i')
			flags.fold = value;
		else if (*ps->p == 's')
			flags.dot_all = value;
		else if (*ps->p == 'm')
			flags.lines = value;
		else if (*ps->p == '-' && value)
			value = false;
		else if (*ps->p != 'U') /* lazy: the same language */
			break;
		any = *ps->p != '-';
	}
	if ((*ps->p != ':' && *ps->p != ')') || (!value && !any)) {
		fail(ps, "invalid or unsupported Perl syntax");
		return false;
	}
	ps->flags = flags;
	return *ps->p++ == ')';
}

static void parse_group(struct parser *ps)
{
	struct flags outer = ps->flags;
	ps->p++;
	if (*ps->p == '?') {
		ps->p++;
		if (!skip_name(ps) && parse_flags(ps))
			return;
	}
	if (++ps->depth > DEPTH_MAX)
		fail(ps, "it is nested too deeply");
	parse_alternatives(ps);
	ps->depth--;
	ps->flags = outer;
	if (ps->failed)
		return;
	if (*ps->p == ')')
		ps->p++;
	else
		fail(ps, "missing closing )");
}

static void parse_char(struct parser *ps)
{
	uint32_t c = decode(&ps->p, ps->p + strlen(ps->p));
	emit_range(ps, c, c, false);
}

static bool parse_bounds(const char **p, int *ret_min, int *ret_max);

static void parse_atom(struct parser *ps)
{
	int min, max;
	const char *bounds = ps->p;
	if (ps->quoted) {
		parse_char(ps);
		return;
	}
	switch (*ps->p) {
	case '(':
		parse_group(ps);
		return;
	case '[':
		parse_set(ps);
		return;
	case '\\':
		parse_backslash(ps);
		return;
	case '^':
		ps->p++;
		emit(ps, ps->flags.lines ? OP_LINE_BEGIN : OP_BEGIN, 0, 0);
		return;
	case '$':
		ps->p++;
		emit(ps, ps->flags.lines ? OP_LINE_END : OP_END, 0, 0);
		return;
	case '.':
		ps->p++;
		if (ps->flags.dot_all)
			emit_range(ps, 0, CODEPOINT_MAX, false);
		else
			emit_range(ps, '\n', '\n', true);
		return;
	case '{':
		if (!parse_bounds(&bounds, &min, &max))
			break;
		fail(ps, "missing argument to repetition operator");
		return;
	case '*':
	case '+':
	case '?':
		fail(ps, "missing argument to repetition operator");
		return;
	}
	parse_char(ps);
}

/* "{n}", "{n,}", "{n,m}"; anything else leaves a brace to be itself. max -1: no limit. */
static bool parse_bounds(const char **p, int *ret_min, int *ret_max)
{
	char *end;
	const char *s = *p + 1;
	if (!isdigit((unsigned char)*s))
		return false;
	long min = strtol(s, &end, 10), max = min;
	if (*end == ',') {
		s = end + 1;
		max = isdigit((unsigned char)*s) ? strtol(s, &end, 10) : -1;
		end = max < 0 ? (char *)s : end;
	}
	if (*end != '}')
		return false;
	*p = end + 1;
	*ret_min = (int)MIN(min, REPEAT_MAX + 1L);
	*ret_max = (int)MIN(max, REPEAT_MAX + 1L);
	return true;
}

/* Another copy of the atom whose text begins at `text`. */
static void again(struct parser *ps, const char *text)
{
	bool quoted = ps->quoted;
	/* Copies of what emits nothing would slip past the limit of the program. */
	if (++ps->copies > PROGRAM_MAX)
		fail(ps, "it repeats too much");
	if (ps->failed)
		return;
	const char *behind = ps->p;
	ps->p = text;
	ps->quoted = ps->atom_quoted;
	parse_atom(ps);
	ps->p = behind;
	ps->quoted = quoted;
}

static void make_optional(struct parser *ps, size_t at)
{
	insert(ps, at, (struct instruction){ OP_SPLIT, at + 1, ps->re->count + 1 });
}

static void make_star(struct parser *ps, size_t at)
{
	emit(ps, OP_JUMP, at, 0);
	insert(ps, at, (struct instruction){ OP_SPLIT, at + 1, ps->re->count + 1 });
	ps->re->program[ps->re->count - 1].x = at;
}

/* The atom at `at`, min 0 or 1. Each copy that may be left out is an optional one of its own. */
static void repeat(struct parser *ps, size_t at, const char *text, int min, int max)
{
	if (max == 0) {
		ps->re->count = at;
		return;
	}
	if (min == 1 && max < 0)
		emit(ps, OP_SPLIT, at, ps->re->count + 1);
	else if (max < 0)
		make_star(ps, at);
	else if (min == 0)
		make_optional(ps, at);
	for (int i = 1; i < max && !ps->failed; i++) {
		size_t copy = ps->re->count;
		again(ps, text);
		make_optional(ps, copy);
	}
}

/* As Go counts: what is left out does not, and without an upper end the lower one does. */
static void weigh(struct parser *ps, int min, int max)
{
	int factor = MAX(max < 0 ? min : max, 1);
	if (max == 0)
		ps->weight = 1;
	else if ((min >= 2 || max >= 2) && factor > REPEAT_MAX / ps->weight)
		fail(ps, "invalid repeat count");
	else
		ps->weight *= factor;
}

static void repeat_bounds(struct parser *ps, size_t at, const char *text, int min, int max)
{
	if (min > REPEAT_MAX || max > REPEAT_MAX || (max >= 0 && max < min)) {
		fail(ps, "invalid repeat count");
		return;
	}
	if (min <= 1) {
		repeat(ps, at, text, min, max);
		return;
	}
	for (int i = 1; i < min && !ps->failed; i++)
		again(ps, text);
	if (max == min || ps->failed)
		return;
	at = ps->re->count;
	again(ps, text);
	repeat(ps, at, text, 0, max < 0 ? -1 : max - min);
}

/* At \Q or \E. */
static bool parse_quote(struct parser *ps)
{
	const char *mark = ps->quoted ? "\\E" : "\\Q";
	if (!str_has_prefix(ps->p, mark))
		return false;
	ps->p += 2;
	ps->quoted = !ps->quoted;
	return true;
}

static bool at_repeat(const struct parser *ps)
{
	int min, max;
	const char *p = ps->p;
	return !ps->quoted && *p &&
	       (strchr("*+?", *p) || (*p == '{' && parse_bounds(&p, &min, &max)));
}

/* Flags alone are nothing that can be repeated. */
static bool is_flags(const char *p)
{
	if (!str_has_prefix(p, "(?"))
		return false;
	p += 2 + strspn(p + 2, "imsU-");
	return *p == ')';
}

static void parse_bounds_at(struct parser *ps, int *min, int *max)
{
	if (*ps->p == '{') {
		parse_bounds(&ps->p, min, max);
		return;
	}
	*min = *ps->p == '+';
	*max = *ps->p == '?' ? 1 : -1;
	ps->p++;
}

static void parse_repeat(struct parser *ps)
{
	if (parse_quote(ps))
		return;
	const char *text = ps->p;
	size_t at = ps->re->count;
	bool flags = !ps->quoted && is_flags(text), quoted = ps->quoted;
	ps->weight = 1;
	parse_atom(ps);
	if (ps->quoted)
		parse_quote(ps); /* the last character before \E can be repeated */
	int min = 0, max = 0;
	if (ps->failed || !at_repeat(ps))
		return;
	if (flags) {
		fail(ps, "missing argument to repetition operator");
		return;
	}
	parse_bounds_at(ps, &min, &max);
	ps->p += *ps->p == '?'; /* lazy: the same language */
	if (at_repeat(ps)) {
		fail(ps, "invalid nested repetition operator");
		return;
	}
	ps->atom_quoted = quoted;
	weigh(ps, min, max);
	int weight = ps->weight;
	if (!ps->failed)
		repeat_bounds(ps, at, text, min, max);
	ps->weight = weight;
}

/* Every alternative but the last ends in a jump behind them all; until that place is known, the
 * jumps form a chain through their targets, ended by 0. */
static void parse_alternatives(struct parser *ps)
{
	size_t chain = 0;
	int heaviest = 1;
	for (;;) {
		size_t at = ps->re->count;
		while (!ps->failed && *ps->p && (ps->quoted || (*ps->p != '|' && *ps->p != ')'))) {
			parse_repeat(ps);
			heaviest = MAX(heaviest, ps->weight);
		}
		if (ps->failed)
			return;
		if (*ps->p != '|')
			break;
		ps->p++;
		insert(ps, at, (struct instruction){ OP_SPLIT, at + 1, ps->re->count + 2 });
		chain = emit(ps, OP_JUMP, chain, 0);
	}
	ps->weight = heaviest;
	while (chain && !ps->failed) {
		size_t next = ps->re->program[chain].x;
		ps->re->program[chain].x = ps->re->count;
		chain = next;
	}
}

int regex_new(const char *pattern, struct regex **ret, struct err *err)
{
	struct regex *re = xcalloc(1, sizeof(*re));
	struct parser ps = { .re = re, .start = pattern, .p = pattern, .err = err };
	parse_alternatives(&ps);
	if (!ps.failed && *ps.p == ')')
		fail(&ps, "unexpected )");
	emit(&ps, OP_MATCH, 0, 0);
	if (ps.failed) {
		regex_free(re);
		return ps.failed;
	}
	*ret = re;
	return 0;
}

struct regex *regex_free(struct regex *re)
{
	if (!re)
		return NULL;
	for (size_t i = 0; i < re->set_count; i++)
		free(re->sets[i].ranges), free(re->sets[i].parts);
	free(re->sets);
	free(re->program);
	free(re);
	return NULL;
}

/* --- matching --- */

/* The states that are alive before one character: a sparse set in order of insertion. */
struct states {
	size_t *list;
	size_t count;
	size_t *place;
};

struct position {
	const char *text, *at, *end;
};

static bool is_word(unsigned char c)
{
	return isalnum(c) || c == '_';
}

/* \b is ASCII in RE2 as well. */
static bool at_word_border(const struct position *pos)
{
	bool before = pos->at > pos->text && is_word((unsigned char)pos->at[-1]);
	bool after = pos->at < pos->end && is_word((unsigned char)*pos->at);
	return before != after;
}

/* Without the flag m, ^ and $ are the borders of the text, not of its lines. */
static bool holds(enum op op, const struct position *pos)
{
	switch (op) {
	case OP_BEGIN:
		return pos->at == pos->text;
	case OP_END:
		return pos->at == pos->end;
	case OP_LINE_BEGIN:
		return pos->at == pos->text || pos->at[-1] == '\n';
	case OP_LINE_END:
		return pos->at == pos->end || *pos->at == '\n';
	case OP_WORD:
		return at_word_border(pos);
	case OP_NOT_WORD:
		return !at_word_border(pos);
	case OP_SET:
	case OP_SPLIT:
	case OP_JUMP:
	case OP_MATCH:
		break;
	}
	return false;
}

static bool has(const struct states *s, size_t state)
{
	return s->place[state] < s->count && s->list[s->place[state]] == state;
}

/* The sparse set makes this constant time without clearing (Briggs and Torczon). */
static void put(struct states *s, size_t state)
{
	if (has(s, state))
		return;
	s->place[state] = s->count;
	s->list[s->count++] = state;
}

/* Follows all that consumes nothing; new states land behind and are followed in their turn. */
static bool close_over(const struct regex *re, struct states *s, const struct position *pos)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct instruction *in = &re->program[s->list[i]];
		switch (in->op) {
		case OP_MATCH:
			return true;
		case OP_JUMP:
			put(s, in->x);
			break;
		case OP_SPLIT:
			put(s, in->x);
			put(s, in->y);
			break;
		case OP_BEGIN:
		case OP_END:
		case OP_LINE_BEGIN:
		case OP_LINE_END:
		case OP_WORD:
		case OP_NOT_WORD:
			if (holds(in->op, pos))
				put(s, s->list[i] + 1);
			break;
		case OP_SET:
			break;
		}
	}
	return false;
}

static bool in_ranges(const struct unicode_range *ranges, size_t count, uint32_t c)
{
	size_t low = 0;
	while (low < count) {
		size_t middle = (low + count) / 2;
		if (c < ranges[middle].from)
			count = middle;
		else if (c > ranges[middle].to)
			low = middle + 1;
		else
			return true;
	}
	return false;
}

/* Is it, or one that differs from it in case only? */
static bool has_char(const struct set *set, const struct unicode_range *ranges, size_t count,
		     uint32_t c)
{
	bool in = in_ranges(ranges, count, c);
	for (uint32_t other = set->fold ? unicode_fold(c) : c; !in && other != c;
	     other = unicode_fold(other))
		in = in_ranges(ranges, count, other);
	return in;
}

static bool accepts(const struct set *set, uint32_t c)
{
	bool in = has_char(set, set->ranges, set->count, c);
	for (size_t i = 0; i < set->part_count && !in; i++) {
		const struct part *part = &set->parts[i];
		in = has_char(set, part->ranges, part->count, c) != part->negated;
	}
	return in != set->negated;
}

/* Classes in a set are looked at one after the other, and so are letters of other case. */
static size_t cost(const struct set *set)
{
	return (1 + set->part_count) * (set->fold ? 4 : 1);
}

static bool spend(size_t *steps, size_t much)
{
	*steps -= MIN(*steps, much);
	return *steps > 0;
}

static bool step(const struct regex *re, const struct states *from, struct states *to, uint32_t c,
		 size_t *steps)
{
	to->count = 0;
	for (size_t i = 0; i < from->count; i++) {
		const struct instruction *in = &re->program[from->list[i]];
		if (in->op != OP_SET)
			continue;
		if (!spend(steps, cost(&re->sets[in->x])))
			return false;
		if (accepts(&re->sets[in->x], c))
			put(to, from->list[i] + 1);
	}
	return spend(steps, from->count);
}

static bool run(const struct regex *re, struct states *now, struct states *next,
		struct position *pos, size_t *steps)
{
	for (;;) {
		put(now, 0); /* a match may begin anywhere */
		if (close_over(re, now, pos))
			return true;
		if (pos->at == pos->end)
			return false;
		uint32_t c = decode(&pos->at, pos->end);
		if (!step(re, now, next, c, steps))
			return false;
		struct states swap = *now;
		*now = *next;
		*next = swap;
	}
}

bool regex_search(const struct regex *re, const char *text, size_t len, size_t *steps)
{
	/* Zeroed, because a sparse set reads what it has not written. */
	_cleanup_(freep) size_t *memory = xcalloc(re->count * 4, sizeof(size_t));
	struct states now = { memory, 0, memory + re->count };
	struct states next = { memory + re->count * 2, 0, memory + re->count * 3 };
	struct position pos = { text, text, text + len };
	return run(re, &now, &next, &pos, steps);
}
