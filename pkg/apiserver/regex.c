/* A Thompson construction run as Pike's simulation (Cox, "Regular Expression Matching Can Be Simple
 * And Fast"): time is text times program, whatever the pattern. Only whether it matches is asked,
 * so greediness and captures need no code. The compiler writes fragments to one array; a repeat is
 * compiled by parsing its operand again, which is why an atom remembers where its text began. Pure.
 */

#include "apiserver/regex.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

enum {
	PROGRAM_MAX = 20000,
	REPEAT_MAX = 1000, /* as RE2 */
	DEPTH_MAX = 100,
	CODEPOINT_MAX = 0x10ffff,
};

enum op { OP_SET, OP_SPLIT, OP_JUMP, OP_BEGIN, OP_END, OP_WORD, OP_NOT_WORD, OP_MATCH };

struct range {
	uint32_t from, to;
};

struct set {
	struct range *ranges;
	size_t count;
	bool negated;
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
	bool fold, dot_all;
};

struct parser {
	struct regex *re;
	const char *start, *p;
	unsigned depth, copies;
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

static void add_range(struct set *set, uint32_t from, uint32_t to)
{
	set->ranges = xreallocarray(set->ranges, set->count + 1, sizeof(*set->ranges));
	set->ranges[set->count++] = (struct range){ from, to };
}

static void add_text_ranges(struct set *set, const char *pairs)
{
	for (; *pairs; pairs += 2)
		add_range(set, (unsigned char)pairs[0], (unsigned char)pairs[1]);
}

/* The complement, for \D, \W and \S inside brackets. `pairs` is in ascending order. */
static void add_text_complement(struct set *set, const char *pairs)
{
	uint32_t next = 0;
	for (; *pairs; pairs += 2) {
		if ((unsigned char)pairs[0] > next)
			add_range(set, next, (uint32_t)(unsigned char)pairs[0] - 1);
		next = (uint32_t)(unsigned char)pairs[1] + 1;
	}
	add_range(set, next, CODEPOINT_MAX);
}

/* Perl classes are ASCII in RE2, whatever the text. */
static const char *class_pairs(char c)
{
	switch (tolower((unsigned char)c)) {
	case 'd':
		return "09";
	case 'w':
		return "09AZ__az";
	case 's':
		return "\t\n\f\r  ";
	}
	return NULL;
}

static bool add_escape_class(struct set *set, char c)
{
	const char *pairs = class_pairs(c);
	if (!pairs)
		return false;
	if (isupper((unsigned char)c))
		add_text_complement(set, pairs);
	else
		add_text_ranges(set, pairs);
	return true;
}

static const struct {
	const char *name, *pairs;
} posix_classes[] = {
	{ "alnum", "09AZaz" },	{ "alpha", "AZaz" },	{ "digit", "09" },
	{ "lower", "az" },	{ "upper", "AZ" },	{ "space", "\t\r  " },
	{ "xdigit", "09AFaf" }, { "word", "09AZ__az" }, { "punct", "!/:@[`{~" },
	{ "blank", "\t\t  " },	{ "print", " ~" },	{ "graph", "!~" },
};

/* At "[:". */
static bool parse_posix_class(struct parser *ps, struct set *set)
{
	for (size_t i = 0; i < ARRAY_SIZE(posix_classes); i++) {
		size_t n = strlen(posix_classes[i].name);
		if (strncmp(ps->p + 2, posix_classes[i].name, n) != 0 ||
		    strncmp(ps->p + 2 + n, ":]", 2) != 0)
			continue;
		add_text_ranges(set, posix_classes[i].pairs);
		ps->p += n + 4;
		return true;
	}
	if (strstr(ps->p, ":]"))
		fail(ps, "invalid character class");
	return ps->failed;
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
	if (n == 0 || (braces && *ps->p++ != '}') || (!braces && n != 2))
		fail(ps, "invalid escape sequence");
	return (uint32_t)strtoul(digits, NULL, 16);
}

/* A character behind a backslash that stands for one character; ps->p is at it. */
static uint32_t parse_escape(struct parser *ps)
{
	static const char from[] = "afnrtv", to[] = "\a\f\n\r\t\v";
	char c = *ps->p;
	const char *found = c ? strchr(from, c) : NULL;
	if (c == '\0' || (isalnum((unsigned char)c) && !found && c != 'x')) {
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
	if (ps->p[0] == '\\' && add_escape_class(set, ps->p[1])) {
		ps->p += 2;
		return;
	}
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
	re->sets[re->set_count] = (struct set){ 0 };
	return re->set_count++;
}

static void parse_set(struct parser *ps)
{
	struct set set = { 0 };
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
	size_t at = new_set(ps);
	ps->re->sets[at] = set;
	emit(ps, OP_SET, at, 0);
}

/* --- atoms, repeats, alternatives --------------------------------------------------------------
 */

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
	if (c && class_pairs(c)) {
		size_t at = new_set(ps);
		add_escape_class(&ps->re->sets[at], c);
		ps->p++;
		emit(ps, OP_SET, at, 0);
		return;
	}
	uint32_t one = parse_escape(ps);
	emit_range(ps, one, one, false);
}

/* "(?:" and "(?P<name>"; ps->p is at the question mark. */
static void skip_group_head(struct parser *ps)
{
	const char *end = ps->p + 1;
	if (end[0] == 'P' && end[1] == '<' && strchr(end, '>'))
		end = strchr(end, '>');
	else if (*end != ':') {
		fail(ps, "invalid or unsupported Perl syntax");
		return;
	}
	ps->p = end + 1;
}

static void parse_group(struct parser *ps)
{
	ps->p++;
	if (*ps->p == '?')
		skip_group_head(ps);
	if (++ps->depth > DEPTH_MAX)
		fail(ps, "it is nested too deeply");
	parse_alternatives(ps);
	ps->depth--;
	if (ps->failed)
		return;
	if (*ps->p == ')')
		ps->p++;
	else
		fail(ps, "missing closing )");
}

static void parse_atom(struct parser *ps)
{
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
	case '$':
		emit(ps, *ps->p++ == '^' ? OP_BEGIN : OP_END, 0, 0);
		return;
	case '.':
		ps->p++;
		if (ps->re->dot_all)
			emit_range(ps, 0, CODEPOINT_MAX, false);
		else
			emit_range(ps, '\n', '\n', true);
		return;
	case '*':
	case '+':
	case '?':
		fail(ps, "missing argument to repetition operator");
		return;
	}
	uint32_t c = decode(&ps->p, ps->p + strlen(ps->p));
	emit_range(ps, c, c, false);
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
	/* Copies of what emits nothing would slip past the limit of the program. */
	if (++ps->copies > PROGRAM_MAX)
		fail(ps, "it repeats too much");
	if (ps->failed)
		return;
	const char *behind = ps->p;
	ps->p = text;
	parse_atom(ps);
	ps->p = behind;
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

static void parse_repeat(struct parser *ps)
{
	const char *text = ps->p;
	size_t at = ps->re->count;
	parse_atom(ps);
	int min, max;
	if (ps->failed || *ps->p == '\0' || !strchr("*+?{", *ps->p))
		return;
	if (*ps->p == '{') {
		if (!parse_bounds(&ps->p, &min, &max))
			return;
	} else {
		min = *ps->p == '+';
		max = *ps->p == '?' ? 1 : -1;
		ps->p++;
	}
	ps->p += *ps->p == '?'; /* lazy: the same language */
	if (*ps->p && strchr("*+?", *ps->p)) {
		fail(ps, "invalid nested repetition operator");
		return;
	}
	if (!ps->failed)
		repeat_bounds(ps, at, text, min, max);
}

/* Every alternative but the last ends in a jump behind them all; until that place is known, the
 * jumps form a chain through their targets, ended by 0. */
static void parse_alternatives(struct parser *ps)
{
	size_t chain = 0;
	for (;;) {
		size_t at = ps->re->count;
		while (!ps->failed && *ps->p && *ps->p != '|' && *ps->p != ')')
			parse_repeat(ps);
		if (ps->failed)
			return;
		if (*ps->p != '|')
			break;
		ps->p++;
		insert(ps, at, (struct instruction){ OP_SPLIT, at + 1, ps->re->count + 2 });
		chain = emit(ps, OP_JUMP, chain, 0);
	}
	while (chain && !ps->failed) {
		size_t next = ps->re->program[chain].x;
		ps->re->program[chain].x = ps->re->count;
		chain = next;
	}
}

static void parse_flags(struct parser *ps)
{
	if (strncmp(ps->p, "(?", 2) != 0)
		return;
	const char *close = ps->p + 2 + strspn(ps->p + 2, "is");
	if (*close != ')' || close == ps->p + 2)
		return;
	for (const char *c = ps->p + 2; c < close; c++)
		*(*c == 'i' ? &ps->re->fold : &ps->re->dot_all) = true;
	ps->p = close + 1;
}

int regex_new(const char *pattern, struct regex **ret, struct err *err)
{
	struct regex *re = xcalloc(1, sizeof(*re));
	struct parser ps = { .re = re, .start = pattern, .p = pattern, .err = err };
	parse_flags(&ps);
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
		free(re->sets[i].ranges);
	free(re->sets);
	free(re->program);
	free(re);
	return NULL;
}

/* --- matching ------------------------------------------------------------------------------------
 */

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

static bool in_set(const struct set *set, uint32_t c)
{
	for (size_t i = 0; i < set->count; i++)
		if (c >= set->ranges[i].from && c <= set->ranges[i].to)
			return true;
	return false;
}

static bool accepts(const struct regex *re, const struct set *set, uint32_t c)
{
	bool in = in_set(set, c);
	if (!in && re->fold && c < 128 && isalpha((int)c))
		in = in_set(set, c ^ 0x20);
	return in != set->negated;
}

static void step(const struct regex *re, const struct states *from, struct states *to, uint32_t c)
{
	to->count = 0;
	for (size_t i = 0; i < from->count; i++) {
		const struct instruction *in = &re->program[from->list[i]];
		if (in->op == OP_SET && accepts(re, &re->sets[in->x], c))
			put(to, from->list[i] + 1);
	}
}

static bool run(const struct regex *re, struct states *now, struct states *next,
		struct position *pos)
{
	for (;;) {
		put(now, 0); /* a match may begin anywhere */
		if (close_over(re, now, pos))
			return true;
		if (pos->at == pos->end)
			return false;
		uint32_t c = decode(&pos->at, pos->end);
		step(re, now, next, c);
		struct states swap = *now;
		*now = *next;
		*next = swap;
	}
}

bool regex_search(const struct regex *re, const char *text, size_t len)
{
	/* Zeroed, because a sparse set reads what it has not written. */
	_cleanup_(freep) size_t *memory = xcalloc(re->count * 4, sizeof(size_t));
	struct states now = { memory, 0, memory + re->count };
	struct states next = { memory + re->count * 2, 0, memory + re->count * 3 };
	struct position pos = { text, text, text + len };
	return run(re, &now, &next, &pos);
}
