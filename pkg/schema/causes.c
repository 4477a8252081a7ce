/* Field errors. The texts follow k8s.io/apimachinery's field package, because people search for
 * them and scripts match them. Pure. */

#include "schema/causes.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const struct {
	const char *name, *text;
} types[] = {
	[CAUSE_REQUIRED] = { "FieldValueRequired", "Required value" },
	[CAUSE_INVALID] = { "FieldValueInvalid", "Invalid value" },
	[CAUSE_TYPE_INVALID] = { "FieldValueTypeInvalid", "Invalid value" },
	[CAUSE_NOT_SUPPORTED] = { "FieldValueNotSupported", "Unsupported value" },
	[CAUSE_DUPLICATE] = { "FieldValueDuplicate", "Duplicate value" },
	[CAUSE_FORBIDDEN] = { "FieldValueForbidden", "Forbidden" },
	[CAUSE_TOO_LONG] = { "FieldValueTooLong", "Too long" },
	[CAUSE_TOO_MANY] = { "FieldValueTooMany", "Too many" },
	[CAUSE_NOT_FOUND] = { "FieldValueNotFound", "Not found" },
};

/* A hostile object can be wrong in a million places; people read the first few. */
enum { VALUE_SHOWN_MAX = 16384 };

const char *cause_type_name(enum cause_type type)
{
	return types[type].name;
}

bool causes_spend(struct causes *c, size_t units)
{
	c->work += MIN(units, (size_t)CAUSES_WORK_MAX + 1);
	return c->work <= CAUSES_WORK_MAX;
}

bool causes_full(const struct causes *c)
{
	return c->count >= (c->quiet ? 1 : CAUSES_MAX) || c->bytes > CAUSES_BYTES_MAX ||
	       c->work > CAUSES_WORK_MAX;
}

void causes_truncate(struct causes *c, size_t count)
{
	if (c->quiet)
		c->count = MIN(c->count, count);
	for (; c->count > count; c->count--) {
		c->bytes -= strlen(c->items[c->count - 1].text);
		free(c->items[c->count - 1].field);
		free(c->items[c->count - 1].text);
	}
}

void causes_done(struct causes *c)
{
	causes_truncate(c, 0);
	free(c->items);
	*c = (struct causes){ 0 };
}

/* Notes it, then. */
static bool is_quiet(struct causes *c)
{
	c->count |= c->quiet;
	return c->quiet;
}

static void _printf_(5, 0) add(struct causes *c, enum cause_type type, const char *field,
			       const char *value, const char *fmt, va_list ap)
{
	if (c->count == CAUSES_MAX || c->bytes > CAUSES_BYTES_MAX || is_quiet(c))
		return;
	struct strbuf text = { 0 };
	strbuf_adds(&text, types[type].text);
	if (value)
		strbuf_addf(&text, ": %s", value);
	char *detail = NULL;
	if (vasprintf(&detail, fmt, ap) > 0)
		strbuf_addf(&text, ": %s", detail);
	free(detail);
	c->items = xreallocarray(c->items, c->count + 1, sizeof(*c->items));
	c->bytes += text.len;
	c->items[c->count++] = (struct cause){ type, xstrdup(field), strbuf_take(&text, NULL) };
}

void causes_add(struct causes *c, enum cause_type type, const char *field, const char *value,
		const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	add(c, type, field, value, fmt, ap);
	va_end(ap);
}

void causes_add_string(struct causes *c, enum cause_type type, const char *field, const char *value,
		       const char *fmt, ...)
{
	if (is_quiet(c))
		return;
	_cleanup_(strbuf_done) struct strbuf shown = { 0 };
	causes_quote(value, &shown);
	va_list ap;
	va_start(ap, fmt);
	add(c, type, field, shown.data, fmt, ap);
	va_end(ap);
}

void causes_add_json(struct causes *c, enum cause_type type, const char *field,
		     const struct json *value, const char *fmt, ...)
{
	if (is_quiet(c))
		return;
	_cleanup_(strbuf_done) struct strbuf shown = { 0 };
	causes_value(value, &shown);
	va_list ap;
	va_start(ap, fmt);
	add(c, type, field, shown.data, fmt, ap);
	va_end(ap);
}

/* Few enough to compare all. */
static bool seen(const struct causes *c, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (streq(c->items[k].field, c->items[i].field) &&
		    streq(c->items[k].text, c->items[i].text))
			return true;
	return false;
}

void causes_format(const struct causes *c, struct strbuf *out)
{
	size_t shown = 0, start = out->len;
	for (size_t i = 0; i < c->count; i++) {
		if (seen(c, i))
			continue;
		if (shown++ > 0)
			strbuf_adds(out, ", ");
		strbuf_addf(out, "%s: %s", c->items[i].field, c->items[i].text);
	}
	if (shown < 2)
		return;
	_cleanup_(freep) char *list = xstrdup(out->data + start);
	out->len = start;
	strbuf_addf(out, "[%s]", list);
}

/* --- values as Go prints them --- */

void causes_quote(const char *s, struct strbuf *out)
{
	static const char from[] = "\a\b\f\n\r\t\v\"\\", to[] = "abfnrtv\"\\";
	strbuf_addc(out, '"');
	for (; s && *s; s++) {
		const char *found = strchr(from, *s);
		if (found)
			strbuf_addf(out, "\\%c", to[found - from]);
		else if ((unsigned char)*s < 0x20 || *s == 0x7f)
			strbuf_addf(out, "\\x%02x", (unsigned char)*s);
		else
			strbuf_addc(out, *s);
	}
	strbuf_addc(out, '"');
}

static int compare_keys(const void *a, const void *b)
{
	const struct json *const *x = a, *const *y = b;
	return strcmp(json_key(*x), json_key(*y));
}

static void go_json(const struct json *j, struct strbuf *out);

/* Go writes maps in the order of their keys. */
static void go_map(const struct json *j, struct strbuf *out)
{
	size_t count = json_count(j), n = 0;
	_cleanup_(freep) const struct json **members = xcalloc(count, sizeof(*members));
	json_for_each(child, j)
		members[n++] = child;
	qsort(members, n, sizeof(*members), compare_keys);
	strbuf_addc(out, '{');
	for (size_t i = 0; i < n; i++) {
		strbuf_adds(out, i ? "," : "");
		json_quote(json_key(members[i]), out);
		strbuf_addc(out, ':');
		go_json(members[i], out);
	}
	strbuf_addc(out, '}');
}

static void go_json(const struct json *j, struct strbuf *out)
{
	if (out->len > VALUE_SHOWN_MAX)
		return;
	if (json_is_object(j)) {
		go_map(j, out);
		return;
	}
	if (!json_is_array(j)) {
		json_print(j, out);
		return;
	}
	strbuf_addc(out, '[');
	json_for_each(child, j) {
		strbuf_adds(out, child == json_first(j) ? "" : ",");
		go_json(child, out);
	}
	strbuf_addc(out, ']');
}

/* field.Error prints scalars by %v, strings by %q and everything else as JSON. */
void causes_value(const struct json *j, struct strbuf *out)
{
	if (json_is_string(j))
		causes_quote(json_string(j), out);
	else
		go_json(j, out);
}

/* --- paths --- */

void path_done(struct path *p)
{
	strbuf_done(&p->text);
}

size_t path_member(struct path *p, const char *name)
{
	size_t length = p->text.len;
	if (length > 0)
		strbuf_addc(&p->text, '.');
	strbuf_adds(&p->text, name);
	return length;
}

size_t path_index(struct path *p, size_t index)
{
	size_t length = p->text.len;
	strbuf_addf(&p->text, "[%zu]", index);
	return length;
}

size_t path_key(struct path *p, const char *key)
{
	size_t length = p->text.len;
	strbuf_addf(&p->text, "[%s]", key);
	return length;
}

void path_back(struct path *p, size_t length)
{
	p->text.len = length;
	if (p->text.data)
		p->text.data[length] = '\0';
}

const char *path_text(const struct path *p)
{
	return p->text.data ? p->text.data : "";
}

const char *path_said(const struct path *p)
{
	return path_text(p) + (p->text.len > p->unsaid ? p->unsaid : 0);
}
