/* Selectors: a list of requirements that must all hold. Labels follow the grammar of
 * k8s.io/apimachinery/pkg/labels ("a=b,c!=d,e in (f,g),h,!i,j>1"), fields that of pkg/fields
 * ("a=b,c!=d" with backslash escapes). Pure. */

#include "schema/selector.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "schema/names.h"

enum { REQUIREMENTS_MAX = 256, VALUES_MAX = 4096 };

enum operator{ OP_IN, OP_NOT_IN, OP_EXISTS, OP_ABSENT, OP_GREATER, OP_LESS };

struct requirement {
	char *key;
	enum operator op;
	char **values;
	size_t count;
};

struct selector {
	struct requirement *items;
	size_t count;
};

struct selector *selector_free(struct selector *s)
{
	if (!s)
		return NULL;
	for (size_t i = 0; i < s->count; i++) {
		for (size_t k = 0; k < s->items[i].count; k++)
			free(s->items[i].values[k]);
		free(s->items[i].values);
		free(s->items[i].key);
	}
	free(s->items);
	free(s);
	return NULL;
}

void selector_freep(struct selector **s)
{
	*s = selector_free(*s);
}

bool selector_empty(const struct selector *s)
{
	return !s || s->count == 0;
}

static struct requirement *add(struct selector *s, char *key, enum operator op)
{
	s->items = xreallocarray(s->items, s->count + 1, sizeof(*s->items));
	s->items[s->count] = (struct requirement){ .key = key, .op = op };
	return &s->items[s->count++];
}

static void add_value(struct requirement *r, char *value)
{
	r->values = xreallocarray(r->values, r->count + 1, sizeof(*r->values));
	r->values[r->count++] = value;
}

/* --- labels --- */

static const char *skip_blanks(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

static char *take_word(const char **p)
{
	*p = skip_blanks(*p);
	size_t len = strcspn(*p, " \t\r\n,()=!<>");
	char *word = xstrndup(*p, len);
	*p = skip_blanks(*p + len);
	return word;
}

static int check_word(const char *word, bool (*valid)(const char *, struct strbuf *),
		      const char *what, struct err *err)
{
	_cleanup_(strbuf_done) struct strbuf why = { 0 };
	if (valid(word, &why))
		return 0;
	return err_set(err, ERR_INVALID,
		       "unable to parse requirement: %s: Invalid value: \"%s\": %s", what, word,
		       why.data ? why.data : "");
}

static int take_value(const char **p, struct requirement *r, struct err *err)
{
	if (r->count == VALUES_MAX)
		return err_set(err, ERR_LIMIT, "a label selector may have at most %d values",
			       VALUES_MAX);
	add_value(r, take_word(p));
	return check_word(r->values[r->count - 1], name_is_label_value, "values[0][label]", err);
}

/* "found 'x', expected: …", where x is the next word or sign, as upstream's lexer sees it. */
static int unexpected(const char *p, const char *expected, struct err *err)
{
	size_t len = strcspn(p, " \t\r\n,()=!<>");
	return err_set(err, ERR_INVALID, "unable to parse requirement: found '%.*s', expected: %s",
		       (int)(len == 0 && *p ? 1 : len), p, expected);
}

static int take_set(const char **p, struct requirement *r, struct err *err)
{
	if (**p != '(')
		return unexpected(*p, "'('", err);
	do {
		(*p)++;
		int ret = take_value(p, r, err);
		if (ret < 0)
			return ret;
	} while (**p == ',');
	if (**p != ')')
		return unexpected(*p, "',' or ')'", err);
	*p = skip_blanks(*p + 1);
	return 0;
}

static int take_number(const char **p, struct requirement *r, struct err *err)
{
	int64_t number;
	int ret = take_value(p, r, err);
	if (ret == 0 && parse_i64(r->values[0], &number) < 0)
		return err_set(
			err, ERR_INVALID,
			"unable to parse requirement: values[0][%s]: Invalid value: \"%s\": for 'Gt', 'Lt' operators, the value must be an integer",
			r->key, r->values[0]);
	return ret;
}

static bool take_token(const char **p, const char *token)
{
	size_t len = strlen(token);
	if (strncmp(*p, token, len) != 0)
		return false;
	*p += len;
	return true;
}

/* "in" and "notin" are words only where a blank or a bracket follows. */
static bool take_keyword(const char **p, const char *word)
{
	size_t len = strlen(word);
	if (strncmp(*p, word, len) != 0 || !strchr(" \t\r\n(", (*p)[len]) || (*p)[len] == '\0')
		return false;
	*p = skip_blanks(*p + len);
	return true;
}

/* Nothing behind the key: it must exist. */
static int take_operator(const char **p, struct requirement *r, struct err *err)
{
	if (**p == '\0' || **p == ',')
		return 0;
	if (take_token(p, "!=")) {
		r->op = OP_NOT_IN;
		return take_value(p, r, err);
	}
	if (take_token(p, "==") || take_token(p, "=")) {
		r->op = OP_IN;
		return take_value(p, r, err);
	}
	if (**p == '>' || **p == '<') {
		r->op = *(*p)++ == '>' ? OP_GREATER : OP_LESS;
		return take_number(p, r, err);
	}
	bool in = take_keyword(p, "in");
	if (!in && !take_keyword(p, "notin"))
		return unexpected(*p, "in, notin, =, ==, !=, gt, lt", err);
	r->op = in ? OP_IN : OP_NOT_IN;
	return take_set(p, r, err);
}

static int take_requirement(const char **p, struct selector *s, struct err *err)
{
	*p = skip_blanks(*p);
	bool absent = **p == '!';
	*p += absent;
	struct requirement *r = add(s, take_word(p), absent ? OP_ABSENT : OP_EXISTS);
	int ret = check_word(r->key, name_is_qualified, "key", err);
	return ret < 0 || absent ? ret : take_operator(p, r, err);
}

static int end_requirement(const char **p, const struct selector *s, struct err *err)
{
	*p = skip_blanks(*p);
	if (**p == '\0')
		return 0;
	if (*(*p)++ != ',')
		return unexpected(*p - 1, "',' or 'end of string'", err);
	if (s->count == REQUIREMENTS_MAX)
		return err_set(err, ERR_LIMIT, "a selector may have at most %d requirements",
			       REQUIREMENTS_MAX);
	return 1;
}

int selector_parse_labels(const char *text, struct selector **ret, struct err *err)
{
	_cleanup_(selector_freep) struct selector *s = xcalloc(1, sizeof(*s));
	const char *p = skip_blanks(text);
	int r = *p ? 1 : 0;
	while (r > 0) {
		r = take_requirement(&p, s, err);
		if (r == 0)
			r = end_requirement(&p, s, err);
	}
	if (r == 0)
		*ret = TAKE_PTR(s);
	return r;
}

/* A label that is no number is in no relation to one. */
static bool compares(const struct requirement *r, const char *value)
{
	int64_t have, want;
	if (parse_i64(value, &have) < 0 || parse_i64(r->values[0], &want) < 0)
		return false;
	return r->op == OP_GREATER ? have > want : have < want;
}

static bool one_of(const struct requirement *r, const char *value)
{
	for (size_t i = 0; i < r->count; i++)
		if (streq(r->values[i], value))
			return true;
	return false;
}

/* value NULL: the label is absent. */
static bool holds(const struct requirement *r, const char *value)
{
	switch (r->op) {
	case OP_IN:
		return value && one_of(r, value);
	case OP_NOT_IN:
		return !value || !one_of(r, value);
	case OP_EXISTS:
		return value != NULL;
	case OP_ABSENT:
		return value == NULL;
	case OP_GREATER:
	case OP_LESS:
		return value && compares(r, value);
	}
	return false;
}

bool selector_matches_labels(const struct selector *s, const struct json *labels)
{
	for (size_t i = 0; s && i < s->count; i++)
		if (!holds(&s->items[i], json_get_string(labels, s->items[i].key)))
			return false;
	return true;
}

/* --- fields --- */

static char *take_field_value(const char **p)
{
	struct strbuf value = { 0 };
	for (; **p && **p != ','; (*p)++) {
		if (**p == '\\' && (*p)[1])
			(*p)++;
		strbuf_addc(&value, **p);
	}
	return strbuf_take(&value, NULL);
}

static int take_field(const char **p, struct selector *s, struct err *err)
{
	size_t len = strcspn(*p, "=!,");
	const char *op = *p + len;
	bool negated = op[0] == '!' && op[1] == '=';
	if (len == 0 || (op[0] != '=' && !negated))
		return err_set(err, ERR_INVALID, "invalid selector: '%s'; can't understand '%s'",
			       *p, *p);
	struct requirement *r = add(s, xstrndup(*p, len), negated ? OP_NOT_IN : OP_IN);
	*p = op + (negated || op[1] == '=' ? 2 : 1);
	add_value(r, take_field_value(p));
	return 0;
}

int selector_parse_fields(const char *text, struct selector **ret, struct err *err)
{
	_cleanup_(selector_freep) struct selector *s = xcalloc(1, sizeof(*s));
	const char *p = text;
	while (*p) {
		if (s->count == REQUIREMENTS_MAX)
			return err_set(err, ERR_LIMIT,
				       "a selector may have at most %d requirements",
				       REQUIREMENTS_MAX);
		int r = take_field(&p, s, err);
		if (r < 0)
			return r;
		p += *p == ',';
	}
	*ret = TAKE_PTR(s);
	return 0;
}

bool selector_matches_fields(const struct selector *s, selector_get_fn get, const void *object)
{
	for (size_t i = 0; s && i < s->count; i++)
		if (!holds(&s->items[i], get(object, s->items[i].key)))
			return false;
	return true;
}

/* Lets a list by name become a look-up. */
const char *selector_exact(const struct selector *s, const char *key)
{
	for (size_t i = 0; s && i < s->count; i++)
		if (s->items[i].op == OP_IN && s->items[i].count == 1 &&
		    streq(s->items[i].key, key))
			return s->items[i].values[0];
	return NULL;
}

const char *selector_unknown(const struct selector *s,
			     bool (*known)(const void *arg, const char *key), const void *arg)
{
	for (size_t i = 0; s && i < s->count; i++)
		if (!known(arg, s->items[i].key))
			return s->items[i].key;
	return NULL;
}
