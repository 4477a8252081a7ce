/* JSONPath for printer columns, as k8s.io/client-go/util/jsonpath reads "{<path>}". Only the first
 * match counts, so evaluation is a depth-first search that stops at it. Pure. */

#include "schema/jsonpath.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { STEPS_MAX = 64 };

enum step_type { STEP_MEMBER, STEP_INDEX, STEP_ALL, STEP_FILTER };

struct step {
	enum step_type type;
	char *name;	      /* member */
	int64_t index;	      /* negative: from the end */
	struct jsonpath *sub; /* filter: path under @ */
	bool negated;	      /* != */
	struct json *value;   /* filter: compared with; NULL: presence */
};

struct jsonpath {
	struct step *steps;
	size_t count;
};

struct jsonpath *jsonpath_free(struct jsonpath *p)
{
	if (!p)
		return NULL;
	for (size_t i = 0; i < p->count; i++) {
		free(p->steps[i].name);
		jsonpath_free(p->steps[i].sub);
		json_free(p->steps[i].value);
	}
	free(p->steps);
	free(p);
	return NULL;
}

static void jsonpath_freep(struct jsonpath **p)
{
	*p = jsonpath_free(*p);
}

static void add_step(struct jsonpath *p, struct step step)
{
	p->steps = xreallocarray(p->steps, p->count + 1, sizeof(*p->steps));
	p->steps[p->count++] = step;
}

static int bad(struct err *err, const char *what)
{
	return err_set(err, ERR_INVALID, "%s", what);
}

/* A name up to one of the characters that end it; a backslash makes the next one ordinary. */
static char *take_name(const char **p, const char *end_chars)
{
	struct strbuf name = { 0 };
	for (; **p && !strchr(end_chars, **p); (*p)++) {
		if (**p == '\\' && (*p)[1])
			(*p)++;
		strbuf_addc(&name, **p);
	}
	return strbuf_take(&name, NULL);
}

/* 'text' or "text"; *p is at the quote. NULL when it does not end. */
static char *take_quoted(const char **p)
{
	char quote[2] = { **p, '\0' };
	(*p)++;
	char *text = take_name(p, quote);
	if (**p == quote[0]) {
		(*p)++;
		return text;
	}
	free(text);
	return NULL;
}

static const char *skip_blanks(const char *p)
{
	return p + strspn(p, " \t");
}

static int parse(const char **p, const char *end_chars, unsigned depth, struct jsonpath **ret,
		 struct err *err);

/* A quoted string, or a JSON literal. */
static int parse_operand(const char **p, struct json **ret, struct err *err)
{
	if (**p == '\'' || **p == '"') {
		_cleanup_(freep) char *text = take_quoted(p);
		if (!text)
			return bad(err, "unterminated string");
		*ret = json_new_string(text);
		return 0;
	}
	size_t len = strcspn(*p, " \t)");
	int r = json_parse(*p, len, ret, err);
	*p += len;
	return r;
}

/* Behind "[?(": "@.path", maybe an operator and a value, then ")]". */
static int parse_filter(const char **p, unsigned depth, struct step *step, struct err *err)
{
	*p = skip_blanks(*p);
	if (**p != '@')
		return bad(err, "a filter must begin with @");
	(*p)++;
	step->type = STEP_FILTER;
	int r = parse(p, " \t=!)", depth + 1, &step->sub, err);
	if (r < 0)
		return r;
	*p = skip_blanks(*p);
	if (strncmp(*p, "==", 2) == 0 || strncmp(*p, "!=", 2) == 0) {
		step->negated = **p == '!';
		*p = skip_blanks(*p + 2);
		r = parse_operand(p, &step->value, err);
		if (r < 0)
			return r;
		*p = skip_blanks(*p);
	}
	if (strncmp(*p, ")]", 2) != 0)
		return bad(err, "unterminated filter");
	*p += 2;
	return 0;
}

static int end_bracket(const char **p, struct err *err)
{
	if (**p != ']')
		return bad(err, "unterminated array");
	(*p)++;
	return 0;
}

/* Slices and unions are not used by columns. */
static int parse_bracket(const char **p, unsigned depth, struct step *step, struct err *err)
{
	(*p)++;
	if (strncmp(*p, "?(", 2) == 0) {
		*p += 2;
		return parse_filter(p, depth, step, err);
	}
	if (**p == '*') {
		(*p)++;
		step->type = STEP_ALL;
		return end_bracket(p, err);
	}
	if (**p == '\'' || **p == '"') {
		step->type = STEP_MEMBER;
		step->name = take_quoted(p);
		return step->name ? end_bracket(p, err) : bad(err, "unterminated string");
	}
	_cleanup_(freep) char *number = take_name(p, "]");
	step->type = STEP_INDEX;
	if (parse_i64(number, &step->index) < 0)
		return bad(err, "only [n], [*], ['name'] and [?(@.name=='value')] are supported");
	return end_bracket(p, err);
}

/* ".." would make a search of the whole object for each row. */
static int parse_step(const char **p, const char *end_chars, unsigned depth, struct step *step,
		      struct err *err)
{
	if (**p == '[')
		return parse_bracket(p, depth, step, err);
	if (**p != '.' || (*p)[1] == '.')
		return bad(err, "a path is made of .name and […]");
	(*p)++;
	_cleanup_(freep) char *stops = xasprintf(".[%s", end_chars);
	_cleanup_(freep) char *name = take_name(p, stops);
	if (streq(name, "*")) {
		step->type = STEP_ALL;
		return 0;
	}
	step->type = STEP_MEMBER;
	step->name = TAKE_PTR(name);
	return 0;
}

static int parse(const char **p, const char *end_chars, unsigned depth, struct jsonpath **ret,
		 struct err *err)
{
	_cleanup_(jsonpath_freep) struct jsonpath *path = xcalloc(1, sizeof(*path));
	while (**p && !strchr(end_chars, **p)) {
		struct step step = { 0 };
		int r = path->count < STEPS_MAX && depth < 4
				? parse_step(p, end_chars, depth, &step, err)
				: bad(err, "too long");
		/* "." alone is the root. */
		if (r == 0 && step.type == STEP_MEMBER &&
		    *step.name == '\0') { // NOLINT: never NULL here
			free(step.name);
			continue;
		}
		add_step(path, step);
		if (r < 0)
			return r;
	}
	*ret = TAKE_PTR(path);
	return 0;
}

int jsonpath_new(const char *text, struct jsonpath **ret, struct err *err)
{
	const char *p = text + (*text == '$');
	int r = parse(&p, "", 0, ret, err);
	return r < 0 ? err_wrap(err, "JSONPath \"%s\"", text) : 0;
}

static const struct json *find(const struct jsonpath *p, size_t at, const struct json *node);

/* What is absent equals nothing and differs from nothing. */
static bool passes(const struct step *s, const struct json *element)
{
	const struct json *found = find(s->sub, 0, element);
	if (!s->value || !found)
		return found && !s->value;
	return json_equal(found, s->value) != s->negated;
}

static const struct json *find_in_children(const struct jsonpath *p, size_t at,
					   const struct json *node)
{
	const struct step *s = &p->steps[at];
	if (!json_is_array(node) && (s->type == STEP_FILTER || !json_is_object(node)))
		return NULL;
	json_for_each(child, node) {
		if (s->type == STEP_FILTER && !passes(s, child))
			continue;
		const struct json *found = find(p, at + 1, child);
		if (found)
			return found;
	}
	return NULL;
}

static const struct json *find(const struct jsonpath *p, size_t at, const struct json *node)
{
	if (!node || at == p->count)
		return node;
	const struct step *s = &p->steps[at];
	switch (s->type) {
	case STEP_MEMBER:
		return find(p, at + 1, json_get(node, s->name));
	case STEP_INDEX: {
		int64_t index = s->index < 0 ? s->index + (int64_t)json_count(node) : s->index;
		return index < 0 ? NULL : find(p, at + 1, json_at(node, (size_t)index));
	}
	case STEP_ALL:
	case STEP_FILTER:
		return find_in_children(p, at, node);
	}
	return NULL;
}

const struct json *jsonpath_find(const struct jsonpath *p, const struct json *root)
{
	return find(p, 0, root);
}
