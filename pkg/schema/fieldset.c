/* Sets of fields (fieldset.h). Levels are sorted arrays, so that union, difference and intersection
 * are one walk over two of them, and that the same set always has the same text. The form is that
 * of sigs.k8s.io/structured-merge-diff, which clients read. Pure. */

#include "schema/fieldset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void fieldset_done(struct fieldset *s)
{
	for (size_t i = 0; i < s->count; i++) {
		free(s->items[i].element);
		fieldset_done(&s->items[i].below);
	}
	free(s->items);
	*s = (struct fieldset){ 0 };
}

bool fieldset_empty(const struct fieldset *s)
{
	return s->count == 0;
}

bool fieldset_equal(const struct fieldset *a, const struct fieldset *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		const struct field *x = &a->items[i], *y = &b->items[i];
		if (!streq(x->element, y->element) || x->member != y->member ||
		    !fieldset_equal(&x->below, &y->below))
			return false;
	}
	return true;
}

/* The place of the element, or where it would have to stand. Most sets are built in order, so the
 * end is looked at first. */
static size_t place(const struct fieldset *s, const char *element, bool *ret_found)
{
	size_t low = 0, high = s->count;
	int order = high ? strcmp(element, s->items[high - 1].element) : 1;
	*ret_found = order == 0;
	if (order >= 0)
		return order == 0 ? high - 1 : high;
	while (low < high) {
		size_t middle = (low + high) / 2;
		order = strcmp(element, s->items[middle].element);
		if (order == 0) {
			*ret_found = true;
			return middle;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

const struct field *fieldset_find(const struct fieldset *s, const char *element)
{
	bool found;
	size_t at = place(s, element, &found);
	return found ? &s->items[at] : NULL;
}

static void grow(struct fieldset *s)
{
	if ((s->count & (s->count - 1)) == 0) /* 0 and powers of two */
		s->items = xreallocarray(s->items, s->count ? s->count * 2 : 1, sizeof(*s->items));
}

void fieldset_add(struct fieldset *s, const char *element, bool member, struct fieldset *below)
{
	bool found;
	if (!member && fieldset_empty(below))
		return;
	size_t at = place(s, element, &found);
	if (found) {
		struct field *f = &s->items[at];
		f->member |= member; // NOLINT: what was found is there
		fieldset_unite(&f->below, below);
		fieldset_done(below);
		return;
	}
	grow(s);
	memmove(s->items + at + 1, s->items + at, (s->count - at) * sizeof(*s->items));
	s->items[at] = (struct field){ xstrdup(element), member, *below };
	s->count++;
	*below = (struct fieldset){ 0 };
}

static void erase(struct fieldset *s, size_t at)
{
	free(s->items[at].element);
	fieldset_done(&s->items[at].below);
	s->count--;
	memmove(s->items + at, s->items + at + 1, (s->count - at) * sizeof(*s->items));
}

static void take_out(struct fieldset *s, const char *element, bool all)
{
	bool found;
	size_t at = place(s, element, &found);
	if (!found)
		return;
	s->items[at].member = false;
	if (all || fieldset_empty(&s->items[at].below))
		erase(s, at);
}

static void take_out_at(struct fieldset *s, const char *element, const char *below, bool all)
{
	bool found;
	size_t at = place(s, element, &found);
	if (!below) {
		take_out(s, element, all);
		return;
	}
	if (!found)
		return;
	take_out(&s->items[at].below, below, all);
	if (!s->items[at].member && fieldset_empty(&s->items[at].below))
		erase(s, at);
}

void fieldset_drop(struct fieldset *s, const char *element, const char *below)
{
	take_out_at(s, element, below, false);
}

void fieldset_cut(struct fieldset *s, const char *element, const char *below)
{
	take_out_at(s, element, below, true);
}

/* --- sets of sets --- */

enum operation { UNION, DIFFERENCE, INTERSECTION };

static bool combine_member(enum operation op, bool a, bool b)
{
	switch (op) {
	case UNION:
		return a || b;
	case DIFFERENCE:
		return a && !b;
	case INTERSECTION:
		return a && b;
	}
	return false;
}

static struct fieldset combine(enum operation op, const struct fieldset *a,
			       const struct fieldset *b);

/* a has fewer: each of it is looked for. */
static struct fieldset intersect(const struct fieldset *a, const struct fieldset *b)
{
	struct fieldset result = { 0 };
	for (size_t i = 0; i < a->count; i++) {
		const struct field *x = &a->items[i], *y = fieldset_find(b, x->element);
		if (!y)
			continue;
		struct fieldset below = combine(INTERSECTION, &x->below, &y->below);
		fieldset_add(&result, x->element, x->member && y->member, &below);
	}
	return result;
}

/* One level of two sets at once; an element that only one of them has meets an empty one. */
static struct fieldset combine(enum operation op, const struct fieldset *a,
			       const struct fieldset *b)
{
	static const struct fieldset nothing;
	struct fieldset result = { 0 };
	size_t i = 0, k = 0;
	if (op == INTERSECTION && a->count > b->count)
		return combine(op, b, a);
	if (op == INTERSECTION)
		return intersect(a, b);
	while (i < a->count || k < b->count) {
		const struct field *x = i < a->count ? &a->items[i] : NULL;
		const struct field *y = k < b->count ? &b->items[k] : NULL;
		int order = !x ? 1 : !y ? -1 : strcmp(x->element, y->element);
		const char *element = order <= 0 ? x->element : y->element; // NOLINT: it is there
		x = order <= 0 ? x : NULL;
		y = order >= 0 ? y : NULL;
		i += x != NULL;
		k += y != NULL;
		struct fieldset below = combine(op, x ? &x->below : &nothing,
						y ? &y->below : &nothing);
		fieldset_add(&result, element, combine_member(op, x && x->member, y && y->member),
			     &below);
	}
	return result;
}

struct fieldset fieldset_dup(const struct fieldset *s)
{
	return combine(UNION, s, &(struct fieldset){ 0 });
}

struct fieldset fieldset_union(const struct fieldset *a, const struct fieldset *b)
{
	return combine(UNION, a, b);
}

struct fieldset fieldset_difference(const struct fieldset *a, const struct fieldset *b)
{
	return combine(DIFFERENCE, a, b);
}

struct fieldset fieldset_intersection(const struct fieldset *a, const struct fieldset *b)
{
	return combine(INTERSECTION, a, b);
}

/* Both in place: managers' sets are large, and most writes touch little of them. */
void fieldset_unite(struct fieldset *s, const struct fieldset *b)
{
	for (size_t i = 0; i < b->count; i++) {
		const struct field *f = &b->items[i];
		bool found;
		size_t at = place(s, f->element, &found);
		if (found) {
			s->items[at].member |= f->member;
			fieldset_unite(&s->items[at].below, &f->below);
			continue;
		}
		struct fieldset below = fieldset_dup(&f->below);
		fieldset_add(s, f->element, f->member, &below);
	}
}

/* By the members of s, when they are fewer: managers may be many, and each have little. */
static void subtract_by_own(struct fieldset *s, const struct fieldset *b)
{
	size_t kept = 0;
	for (size_t i = 0; i < s->count; i++) {
		struct field *x = &s->items[i];
		const struct field *f = fieldset_find(b, x->element);
		if (f) {
			x->member &= !f->member;
			fieldset_subtract(&x->below, &f->below);
		}
		if (f && !x->member && fieldset_empty(&x->below)) {
			free(x->element);
			fieldset_done(&x->below);
			continue;
		}
		s->items[kept++] = *x;
	}
	s->count = kept;
}

void fieldset_subtract(struct fieldset *s, const struct fieldset *b)
{
	/* Taking one out of the middle moves what is behind it. */
	if (s->count <= b->count || b->count > 16) {
		subtract_by_own(s, b);
		return;
	}
	for (size_t i = b->count; i-- > 0;) {
		const struct field *f = &b->items[i];
		bool found;
		size_t at = place(s, f->element, &found);
		if (!found)
			continue;
		s->items[at].member &= !f->member;
		fieldset_subtract(&s->items[at].below, &f->below);
		if (!s->items[at].member && fieldset_empty(&s->items[at].below))
			erase(s, at);
	}
}

/* --- FieldsV1 --- */

struct decoder {
	unsigned depth;
	size_t fields;
};

/* Keys and values are JSON themselves: a key must be an object with something in it. A type that we
 * do not know may come from a newer server: *ret_known. */
static bool element_valid(const char *element, bool *ret_known)
{
	char type = element[0];
	if (!type || element[1] != ':')
		return false;
	const char *rest = element + 2;
	uint64_t index;
	*ret_known = strchr("fkvi", type);
	if (!*ret_known || type == 'f')
		return true;
	if (type == 'i')
		return parse_u64(rest, UINT64_MAX, &index) == 0;
	_cleanup_(json_freep) struct json *value = NULL;
	if (json_parse(rest, strlen(rest), &value, NULL) < 0)
		return false;
	return type == 'v' || (json_is_object(value) && json_count(value) > 0);
}

/* {"f:a": {}} is a member; {"f:a": {".": {}, "f:b": {}}} is one with something below; without the
 * dot it only leads there. */
static int decode(struct decoder *d, const struct json *fields, struct fieldset *ret,
		  bool *ret_self)
{
	if (!json_is_object(fields))
		return -EINVAL;
	if (d->depth++ > FIELDSET_DEPTH_MAX)
		return -E2BIG;
	json_for_each(child, fields) {
		_cleanup_(fieldset_done) struct fieldset below = { 0 };
		bool self = json_count(child) == 0, known;
		if (streq(json_key(child), ".")) {
			*ret_self = true;
			continue;
		}
		if (!element_valid(json_key(child), &known))
			return -EINVAL;
		if (!known)
			continue;
		if (++d->fields > FIELDSET_FIELDS_MAX)
			return -E2BIG;
		int r = decode(d, child, &below, &self);
		if (r < 0)
			return r;
		fieldset_add(ret, json_key(child), self, &below);
	}
	d->depth--;
	return 0;
}

int fieldset_decode(const struct json *fields, struct fieldset *ret)
{
	_cleanup_(fieldset_done) struct fieldset set = { 0 };
	struct decoder d = { 0 };
	bool self = false;
	int r = fields ? decode(&d, fields, &set, &self) : 0;
	if (r < 0)
		return r;
	*ret = set;
	set = (struct fieldset){ 0 };
	return 0;
}

static struct json *encode(const struct fieldset *s, bool self)
{
	struct json *object = json_new_object();
	if (self && !fieldset_empty(s))
		json_add(object, ".", json_new_object());
	for (size_t i = 0; i < s->count; i++)
		json_add(object, s->items[i].element,
			 encode(&s->items[i].below, s->items[i].member));
	return object;
}

struct json *fieldset_encode(const struct fieldset *s)
{
	return encode(s, false);
}

/* --- for people --- */

static void print_key(const struct json *key, struct strbuf *out)
{
	json_for_each(member, key) {
		strbuf_addf(out, "%s%s=", member == json_first(key) ? "" : ",", json_key(member));
		json_print(member, out);
	}
}

void fieldset_print_element(const char *element, struct strbuf *out)
{
	const char *rest = element + 2;
	_cleanup_(json_freep) struct json *value = NULL;
	switch (element[0]) {
	case 'f':
		strbuf_addf(out, ".%s", rest);
		return;
	case 'k':
		json_parse(rest, strlen(rest), &value, NULL);
		strbuf_addc(out, '[');
		print_key(value, out);
		strbuf_addc(out, ']');
		return;
	case 'v':
		strbuf_addf(out, "[=%s]", rest);
		return;
	default:
		strbuf_addf(out, "[%s]", rest);
		return;
	}
}

static void each(const struct fieldset *s, struct strbuf *path, fieldset_fn fn, void *data)
{
	size_t length = path->len;
	for (int below = 0; below < 2; below++)
		for (size_t i = 0; i < s->count; i++) {
			fieldset_print_element(s->items[i].element, path);
			if (below)
				each(&s->items[i].below, path, fn, data);
			else if (s->items[i].member)
				fn(data, path->data);
			path->len = length;
			path->data[length] = '\0';
		}
}

void fieldset_each(const struct fieldset *s, fieldset_fn fn, void *data)
{
	_cleanup_(strbuf_done) struct strbuf path = { 0 };
	each(s, &path, fn, data);
}
