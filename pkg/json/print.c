/* JSON trees as text. Numbers are written as they were read; strings get the shortest escapes of
 * RFC 8259, section 7, and stay UTF-8 otherwise. Depth is bounded by the parser. Pure. */

#include <string.h>

#include "base/mem.h"
#include "json/internal.h"
#include "json/json.h"

struct printer {
	struct strbuf *out;
	bool pretty;
	unsigned level;
};

static void print_escape(char c, struct strbuf *out)
{
	static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt", hex[] = "0123456789abcdef";
	const char *found = strchr(from, c);
	if (found) {
		strbuf_addc(out, '\\');
		strbuf_addc(out, to[found - from]);
		return;
	}
	strbuf_add(out, "\\u00", 4);
	strbuf_addc(out, hex[(unsigned char)c >> 4]);
	strbuf_addc(out, hex[c & 15]);
}

/* The string is valid UTF-8: trees hold nothing else. */
static void print_string(const char *s, struct strbuf *out)
{
	size_t len = strlen(s);
	strbuf_reserve(out, len + 2);
	strbuf_addc(out, '"');
	const char *end = s + len;
	for (;;) {
		const char *stop = plain_run(s, end);
		strbuf_add(out, s, (size_t)(stop - s));
		if (stop == end)
			break;
		print_escape(*stop, out);
		s = stop + 1;
	}
	strbuf_addc(out, '"');
}

void json_quote(const char *s, struct strbuf *out)
{
	if (!s) {
		strbuf_adds(out, "null");
		return;
	}
	size_t len = strlen(s);
	if (utf8_valid_len(s, len) == len) {
		print_string(s, out);
		return;
	}
	_cleanup_(freep) char *repaired = utf8_repair(s);
	print_string(repaired, out);
}

static void print_line(const struct printer *pr)
{
	if (!pr->pretty)
		return;
	strbuf_addc(pr->out, '\n');
	for (unsigned i = 0; i < pr->level; i++)
		strbuf_add(pr->out, "  ", 2);
}

static void print_value(struct printer *pr, const cJSON *node);

static void print_children(struct printer *pr, const cJSON *node, const char *brackets)
{
	strbuf_addc(pr->out, brackets[0]);
	pr->level++;
	for (const cJSON *child = node->child; child; child = child->next) {
		if (child != node->child)
			strbuf_addc(pr->out, ',');
		print_line(pr);
		if (brackets[0] == '{') {
			print_string(child->string, pr->out);
			strbuf_add(pr->out, ": ", pr->pretty ? 2 : 1);
		}
		print_value(pr, child);
	}
	pr->level--;
	if (node->child)
		print_line(pr);
	strbuf_addc(pr->out, brackets[1]);
}

static void print_value(struct printer *pr, const cJSON *node)
{
	switch (node_type(node)) {
	case cJSON_True:
		strbuf_add(pr->out, "true", 4);
		return;
	case cJSON_False:
		strbuf_add(pr->out, "false", 5);
		return;
	case cJSON_Number:
		strbuf_adds(pr->out, node->valuestring);
		return;
	case cJSON_String:
		print_string(node->valuestring, pr->out);
		return;
	case cJSON_Array:
		print_children(pr, node, "[]");
		return;
	case cJSON_Object:
		print_children(pr, node, "{}");
		return;
	}
	strbuf_add(pr->out, "null", 4);
}

void json_print(const struct json *j, struct strbuf *out)
{
	struct printer pr = { .out = out };
	print_value(&pr, to_cnode(j));
}

void json_print_pretty(const struct json *j, struct strbuf *out)
{
	struct printer pr = { .out = out, .pretty = true };
	print_value(&pr, to_cnode(j));
}

char *json_to_string(const struct json *j)
{
	struct strbuf out = { 0 };
	json_print(j, &out);
	return strbuf_take(&out, NULL);
}

/* --- text that is there already
 * ------------------------------------------------------------------------------------------- */

/* Behind the quote that ends the string that begins at s. */
static const char *string_end(const char *s, const char *end)
{
	for (s++; s < end && *s != '"'; s++)
		s += *s == '\\' && s + 1 < end;
	return s < end ? s + 1 : end;
}

static bool closes(char c)
{
	return c == '}' || c == ']';
}

/* What is no string; returns how many bytes of it were taken. */
static size_t indent_mark(struct printer *pr, const char *s, const char *end)
{
	bool opens = *s == '{' || *s == '[';
	if (opens && s + 1 < end && closes(s[1])) {
		strbuf_add(pr->out, s, 2);
		return 2;
	}
	if (closes(*s)) {
		pr->level--;
		print_line(pr);
	}
	strbuf_addc(pr->out, *s);
	pr->level += opens;
	if (opens || *s == ',')
		print_line(pr);
	if (*s == ':')
		strbuf_addc(pr->out, ' ');
	return 1;
}

void json_indent(const char *text, size_t len, struct strbuf *out)
{
	struct printer pr = { .out = out, .pretty = true };
	const char *end = text + len;
	while (text < end) {
		if (*text != '"') {
			text += indent_mark(&pr, text, end);
			continue;
		}
		const char *after = string_end(text, end);
		strbuf_add(out, text, (size_t)(after - text));
		text = after;
	}
}
