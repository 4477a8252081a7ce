/* Walks along a schema (typed.h). A value that falls apart is a list of items, each with its path
 * element, its value and its type, sorted by element; everything here works on such lists, whether
 * they were the members of an object or the items of a list. The rules are those of
 * sigs.k8s.io/structured-merge-diff, because the outcome is compared field by field. Pure. */

#include "schema/typed.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "schema/causes.h"
#include "schema/schema_internal.h"

void schema_comparison_done(struct comparison *c)
{
	fieldset_done(&c->added);
	fieldset_done(&c->modified);
	fieldset_done(&c->removed);
}

bool schema_comparison_empty(const struct comparison *c)
{
	return fieldset_empty(&c->added) && fieldset_empty(&c->modified) &&
	       fieldset_empty(&c->removed);
}

/* --- types --- */

enum shape { SHAPE_LEAF, SHAPE_MAP, SHAPE_SET, SHAPE_LIST };

/* Whether the schema calls a field by name, so that it is there only for what is in it. */
static bool is_named(const struct type *t, const char *key)
{
	if (t->resource &&
	    (streq(key, "apiVersion") || streq(key, "kind") || streq(key, "metadata")))
		return true;
	return t->schema && schema_property(t->schema, key);
}

static struct type below(const struct type *t, const struct schema *schema)
{
	return (struct type){ schema, t->meta, schema && schema->embedded };
}

static struct type member_type(const struct type *t, const char *key)
{
	if (t->resource && streq(key, "metadata"))
		return below(t, t->meta);
	const struct schema *named = t->schema ? schema_property(t->schema, key) : NULL;
	return below(t, named ? named : t->schema ? t->schema->additional : NULL);
}

static struct type item_type(const struct type *t)
{
	return below(t, t->schema ? t->schema->items : NULL);
}

/* What the schema says; where it says nothing, what the value is. */
static enum shape shape_of(const struct type *t, const struct json *value, unsigned depth)
{
	const struct schema *s = t->schema;
	bool object = json_is_object(value), array = json_is_array(value);
	if (depth >= FIELDSET_DEPTH_MAX || (!object && !array))
		return SHAPE_LEAF;
	if (!s || s->type == TYPE_ANY)
		return object && !(s && s->map_atomic) ? SHAPE_MAP : SHAPE_LEAF;
	if (object && s->type == TYPE_OBJECT)
		return s->map_atomic ? SHAPE_LEAF : SHAPE_MAP;
	if (!array || s->type != TYPE_ARRAY)
		return SHAPE_LEAF;
	switch (s->list_type) {
	case LIST_SET:
		return SHAPE_SET;
	case LIST_MAP:
		return SHAPE_LIST;
	case LIST_ATOMIC:
		return SHAPE_LEAF;
	}
	return SHAPE_LEAF;
}

/* --- items --- */

struct item {
	const char *name; /* of a member; else the path element */
	char *element;	  /* owned; NULL: made of the name when asked for, which is seldom */
	const struct json *value;
	struct type type;
	bool own; /* owned in its own right, not only for what is in it */
	size_t at;
};

struct items {
	struct item *items; /* by element, each once */
	size_t count;
	enum shape shape;
};

static void items_done(struct items *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->items[i].element);
	free(l->items);
}

static const struct json *key_value(const struct schema *items, const struct json *item,
				    const char *key)
{
	const struct json *value = json_get(item, key);
	const struct schema *named = items ? schema_property(items, key) : NULL;
	return value ? value : named ? named->default_value : NULL;
}

static int compare_texts(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;
	return strcmp(*x, *y);
}

/* k:{"port":80,"protocol":"TCP"}, its names in order. An item that lacks some of them is another
 * one than those that have them; NULL when it lacks all. */
static char *key_element(const struct schema *list, const struct json *item)
{
	_cleanup_(strbuf_done) struct strbuf out = { 0 };
	size_t count = 0, found = 0;
	_cleanup_(freep) const char **names = xcalloc(json_count(list->map_keys), sizeof(*names));
	json_for_each(name, list->map_keys)
		names[count++] = json_string(name);
	qsort(names, count, sizeof(*names), compare_texts);
	strbuf_adds(&out, "k:{");
	for (size_t i = 0; i < count; i++) {
		const struct json *value = key_value(list->items, item, names[i]);
		if (!value)
			continue;
		strbuf_adds(&out, found++ ? "," : "");
		json_quote(names[i], &out);
		strbuf_addc(&out, ':');
		json_print(value, &out);
	}
	strbuf_addc(&out, '}');
	return found ? strbuf_take(&out, NULL) : NULL;
}

/* Of an item of a list. One that lacks its key is known by its place: validation has refused it or
 * will. */
static char *list_element(const struct type *t, enum shape shape, const struct json *item,
			  size_t at)
{
	_cleanup_(freep) char *text = NULL;
	char *key = NULL;
	if (shape == SHAPE_SET) {
		text = json_to_string(item);
		return xasprintf("v:%s", text);
	}
	if (shape == SHAPE_LIST && json_is_object(item))
		key = key_element(t->schema, item);
	return key ? key : xasprintf("i:%zu", at);
}

/* The caller's. */
static char *element_of(const struct item *item)
{
	if (item->element) // NOLINT: never NULL here
		return xstrdup(item->element);
	size_t len = strlen(item->name);
	char *element = xmalloc(len + 3);
	element[0] = 'f';
	element[1] = ':';
	memcpy(element + 2, item->name, len + 1);
	return element;
}

static int compare_items(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	int order = strcmp(x->name, y->name);
	return order ? order : x->at < y->at ? -1 : x->at > y->at;
}

/* Of items with one key the first counts. */
static void sort_items(struct items *l)
{
	size_t kept = 0;
	qsort(l->items, l->count, sizeof(*l->items), compare_items);
	for (size_t i = 0; i < l->count; i++) {
		if (!kept || !streq(l->items[kept - 1].name, l->items[i].name))
			l->items[kept++] = l->items[i];
		else
			free(l->items[i].element);
	}
	l->count = kept;
}

/* Empty for a value that is one field. */
static void items_of(const struct type *t, enum shape shape, const struct json *value,
		     struct items *ret)
{
	size_t at = 0;
	*ret = (struct items){ .shape = shape };
	if (shape == SHAPE_LEAF)
		return;
	ret->items = xcalloc(json_count(value), sizeof(*ret->items));
	json_for_each(child, value) {
		const char *key = json_key(child);
		bool map = shape == SHAPE_MAP;
		if (map && t->schema && t->schema == t->meta && streq(key, "managedFields"))
			continue;
		char *element = map ? NULL : list_element(t, shape, child, at);
		ret->items[ret->count++] = (struct item){
			.name = map ? key : element,
			.element = element,
			.value = child,
			.type = map ? member_type(t, key) : item_type(t),
			.own = !map || !is_named(t, key),
			.at = at,
		};
		at++;
	}
	sort_items(ret);
}

static const struct item *items_find(const struct items *l, const char *name)
{
	size_t low = 0, high = l->count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(name, l->items[middle].name);
		if (order == 0)
			return &l->items[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* --- what a value owns --- */

/* True: the value itself is a field. Empty objects are, so that they can be owned at all. */
static bool fields_of(const struct type *t, const struct json *value, unsigned depth,
		      struct fieldset *ret)
{
	_cleanup_(items_done) struct items l = { 0 };
	enum shape shape = shape_of(t, value, depth);
	items_of(t, shape, value, &l);
	for (size_t i = 0; i < l.count; i++) {
		_cleanup_(fieldset_done) struct fieldset inner = { 0 };
		bool self = fields_of(&l.items[i].type, l.items[i].value, depth + 1, &inner);
		_cleanup_(freep) char *element = element_of(&l.items[i]);
		fieldset_add(ret, element, self || l.items[i].own, &inner);
	}
	return shape == SHAPE_LEAF || (shape == SHAPE_MAP && l.count == 0);
}

struct fieldset typed_fields(const struct type *t, const struct json *value)
{
	struct fieldset set = { 0 };
	fields_of(t, value, 0, &set);
	return set;
}

/* --- what differs --- */

enum change { CHANGE_NONE, CHANGE_ADDED, CHANGE_MODIFIED, CHANGE_REMOVED };

static enum change compare(const struct type *t, const struct json *before, const struct json *now,
			   unsigned depth, struct comparison *ret);

/* One element of both sides; either may be NULL. */
static void compare_item(const struct item *before, const struct item *now, unsigned depth,
			 struct comparison *ret)
{
	struct comparison inner = { 0 };
	const struct item *any = now ? now : before;
	enum change change = compare(&any->type, before ? before->value : NULL,
				     now ? now->value : NULL, depth + 1, &inner);
	if (change == CHANGE_NONE && schema_comparison_empty(&inner))
		return;
	_cleanup_(freep) char *element = element_of(any);
	fieldset_add(&ret->added, element, change == CHANGE_ADDED, &inner.added);
	fieldset_add(&ret->modified, element, change == CHANGE_MODIFIED, &inner.modified);
	fieldset_add(&ret->removed, element, change == CHANGE_REMOVED, &inner.removed);
	schema_comparison_done(&inner);
}

static void compare_items_of(const struct items *before, const struct items *now, unsigned depth,
			     struct comparison *ret)
{
	size_t i = 0, k = 0;
	while (i < before->count || k < now->count) {
		const struct item *x = i < before->count ? &before->items[i] : NULL;
		const struct item *y = k < now->count ? &now->items[k] : NULL;
		int order = !x ? 1 : !y ? -1 : strcmp(x->name, y->name);
		compare_item(order <= 0 ? x : NULL, order >= 0 ? y : NULL, depth, ret);
		i += order <= 0;
		k += order >= 0;
	}
}

static bool is_empty(const struct json *value)
{
	return json_is_null(value) ||
	       ((json_is_object(value) || json_is_array(value)) && json_count(value) == 0);
}

/* The change of the value itself. Two empty values are compared as one field, so that null and {}
 * differ. A value that was several fields and has become one has lost them all. Most parts of most
 * objects did not change, so that is asked first. */
static enum change compare(const struct type *t, const struct json *before, const struct json *now,
			   unsigned depth, struct comparison *ret)
{
	_cleanup_(items_done) struct items x = { 0 }, y = { 0 };
	enum shape was = shape_of(t, before, depth), is = shape_of(t, now, depth);
	bool same = before && now && json_equal(before, now),
	     empty = is_empty(before) && is_empty(now);
	bool leaf = (before && was == SHAPE_LEAF && !json_is_null(before)) ||
		    (now && is == SHAPE_LEAF && !json_is_null(now)) ||
		    (was == SHAPE_LEAF && is == SHAPE_LEAF) || empty;
	items_of(t, same || empty ? SHAPE_LEAF : was, before, &x);
	items_of(t, same || empty ? SHAPE_LEAF : is, now, &y);
	compare_items_of(&x, &y, depth, ret);
	return !before	       ? CHANGE_ADDED
	       : !now	       ? CHANGE_REMOVED
	       : leaf && !same ? CHANGE_MODIFIED
			       : CHANGE_NONE;
}

void typed_compare(const struct type *t, const struct json *before, const struct json *now,
		   struct comparison *ret)
{
	*ret = (struct comparison){ 0 };
	compare(t, before, now, 0, ret);
}

/* --- laying over and taking away --- */

static struct json *merge(const struct type *t, const struct json *base, const struct json *over,
			  unsigned depth);

static struct json *new_like(enum shape shape)
{
	return shape == SHAPE_MAP ? json_new_object() : json_new_array();
}

static void put(struct json *to, const struct json *like, struct json *value)
{
	if (json_is_object(to))
		json_add(to, json_key(like), value); /* items are there once */
	else
		json_append(to, value);
}

static int compare_places(const void *a, const void *b)
{
	const struct item *const *x = a, *const *y = b;
	return (*x)->at < (*y)->at ? -1 : (*x)->at > (*y)->at;
}

/* In the order of the value, not of its elements. */
static const struct item **in_order(const struct items *l)
{
	const struct item **order = xcalloc(l->count + 1, sizeof(*order));
	for (size_t i = 0; i < l->count; i++)
		order[i] = &l->items[i];
	qsort(order, l->count, sizeof(*order), compare_places);
	return order;
}

static struct json *merge_members(const struct items *base, const struct items *over,
				  unsigned depth)
{
	_cleanup_(freep) const struct item **first = in_order(base);
	_cleanup_(freep) const struct item **second = in_order(over);
	struct json *result = json_new_object();
	for (size_t i = 0; i < base->count; i++) {
		const struct item *other = items_find(over, first[i]->name);
		put(result, first[i]->value,
		    merge(&first[i]->type, first[i]->value, other ? other->value : NULL,
			  depth + 1));
	}
	for (size_t i = 0; i < over->count; i++)
		if (!items_find(base, second[i]->name))
			put(result, second[i]->value, json_dup(second[i]->value));
	return result;
}

/* A list that is laid over another. What both have comes in the order of `over`; what one of them
 * has alone stands where it stood, before the next item that both have. */
struct list_merge {
	const struct items *base, *over;
	const struct item **left, **right; /* items of base and over in their order */
	size_t l, r;			   /* how many of them are done */
	unsigned depth;
	struct json *result;
};

static void take_left(struct list_merge *m)
{
	const struct item *item = m->left[m->l++];
	json_append(m->result, json_dup(item->value));
}

static void take_right(struct list_merge *m)
{
	const struct item *item = m->right[m->r++], *other = items_find(m->base, item->name);
	json_append(m->result, other ? merge(&item->type, other->value, item->value, m->depth + 1)
				     : json_dup(item->value));
}

static bool is_done(const struct list_merge *m, const struct item *right)
{
	return m->r == m->over->count || right->at < m->right[m->r]->at;
}

/* The next of over's that base has, too, or NULL. */
static const struct item *next_shared(const struct list_merge *m, size_t from)
{
	for (size_t i = from; i < m->over->count; i++)
		if (items_find(m->base, m->right[i]->name))
			return m->right[i];
	return NULL;
}

/* One item of base's: true when it, or one of over's, is dealt with. */
static bool step_left(struct list_merge *m, const struct item *shared)
{
	const struct item *item = m->left[m->l], *other = items_find(m->over, item->name);
	if (!other) {
		take_left(m);
		return true;
	}
	if (m->r < m->over->count && other == m->right[m->r]) {
		m->l++;
		take_right(m);
		return true;
	}
	if (m->r < m->over->count && shared && other != shared) {
		m->l++; /* its turn comes, or came, in the order of over */
		return true;
	}
	m->l += is_done(m, other);
	return false;
}

static struct json *merge_list(const struct items *base, const struct items *over, unsigned depth)
{
	_cleanup_(freep) const struct item **left = in_order(base);
	_cleanup_(freep) const struct item **right = in_order(over);
	struct list_merge m = { base, over, left, right, 0, 0, depth, json_new_array() };
	const struct item *shared = next_shared(&m, 0);
	while (m.l < base->count || m.r < over->count) {
		bool done = m.l < base->count && step_left(&m, shared);
		if (!done && m.r < over->count)
			take_right(&m);
		if (shared && is_done(&m, shared))
			shared = next_shared(&m, m.r);
	}
	return m.result;
}

/* Null over what falls apart says nothing of its parts. */
static struct json *merge(const struct type *t, const struct json *base, const struct json *over,
			  unsigned depth)
{
	_cleanup_(items_done) struct items x = { 0 }, y = { 0 };
	enum shape shape = shape_of(t, base, depth);
	bool apart = shape != SHAPE_LEAF && !is_empty(base);
	if (!over || (apart && json_is_null(over)))
		return json_dup(base);
	if (!base || !apart || shape_of(t, over, depth) != shape)
		return json_dup(over);
	items_of(t, shape, base, &x);
	items_of(t, shape, over, &y);
	return shape == SHAPE_MAP ? merge_members(&x, &y, depth) : merge_list(&x, &y, depth);
}

struct json *typed_merge(const struct type *t, const struct json *base, const struct json *over)
{
	return merge(t, base, over, 0);
}

static struct json *without(const struct type *t, const struct json *value,
			    const struct fieldset *gone, unsigned depth)
{
	_cleanup_(items_done) struct items l = { 0 };
	enum shape shape = shape_of(t, value, depth);
	if (shape == SHAPE_LEAF || fieldset_empty(gone))
		return json_dup(value);
	items_of(t, shape, value, &l);
	_cleanup_(freep) const struct item **order = in_order(&l);
	struct json *result = new_like(shape);
	for (size_t i = 0; i < l.count; i++) {
		_cleanup_(freep) char *element = element_of(order[i]);
		const struct field *f = fieldset_find(gone, element);
		if (f && f->member)
			continue;
		put(result, order[i]->value,
		    f ? without(&order[i]->type, order[i]->value, &f->below, depth + 1)
		      : json_dup(order[i]->value));
	}
	return result;
}

struct json *typed_remove(const struct type *t, const struct json *value,
			  const struct fieldset *gone)
{
	return without(t, value, gone, 0);
}

struct fieldset typed_with_parents(const struct type *t, const struct fieldset *s)
{
	struct fieldset result = { 0 };
	for (size_t i = 0; i < s->count; i++) {
		const struct field *f = &s->items[i];
		bool field = str_has_prefix(f->element, "f:");
		struct type inner = field ? member_type(t, f->element + 2) : item_type(t);
		struct fieldset rest = typed_with_parents(&inner, &f->below);
		fieldset_add(&result, f->element,
			     f->member || (field && is_named(t, f->element + 2)), &rest);
	}
	return result;
}

/* --- what cannot be applied --- */

enum { FAULTS_MAX = 20 };

struct validator {
	struct strbuf path, faults;
	size_t count;
};

static bool is_number(const struct json *j)
{
	return json_number_text(j) != NULL;
}

static bool is_bool(const struct json *j)
{
	bool ignored;
	return json_bool(j, &ignored);
}

static void validate(struct validator *v, const struct type *t, const struct json *value);

static void _printf_(2, 3) fault(struct validator *v, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	if (v->count++ >= FAULTS_MAX)
		return;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	strbuf_addf(&v->faults, "%s%s: %s", v->count > 1 ? "\n  " : "",
		    v->path.len ? v->path.data : "", text);
	free(text);
}

static void step_back(struct validator *v, size_t length)
{
	v->path.len = length;
	if (v->path.data)
		v->path.data[length] = '\0';
}

/* Without properties an object is open, as in OpenAPI. */
static bool is_declared(const struct type *t, const char *key)
{
	const struct schema *s = t->schema;
	return is_named(t, key) || !s || s->additional || s->additional_any ||
	       s->preserve_unknown || s->property_count == 0;
}

static void validate_members(struct validator *v, const struct type *t, const struct json *object)
{
	json_for_each(child, object) {
		const char *key = json_key(child);
		struct type inner = member_type(t, key);
		size_t length = v->path.len;
		strbuf_addf(&v->path, ".%s", key);
		if (is_declared(t, key))
			validate(v, &inner, child);
		else
			fault(v, "field not declared in schema");
		step_back(v, length);
	}
}

/* One of its keys, be it a default, is enough. */
static char *missing_keys(const struct schema *s, const struct json *item)
{
	_cleanup_(strbuf_done) struct strbuf names = { 0 };
	json_for_each(key, s->map_keys) {
		if (key_value(s->items, item, json_string(key)))
			return NULL;
		strbuf_adds(&names, names.len ? " " : "");
		causes_quote(json_string(key), &names);
	}
	return xasprintf(
		"associative list with keys has an element that omits all key fields [%s] (and doesn't have default values for any key fields)",
		names.data ? names.data : "");
}

/* Why an item has no path element, or NULL. */
static char *item_fault(const struct schema *s, const struct json *item)
{
	bool keys = s->list_type == LIST_MAP;
	if (json_is_null(item))
		return xstrdup(
			keys ? "associative list with keys may not have a null element"
			     : "associative list without keys has an element that's an explicit null");
	if (!keys && json_is_object(item))
		return xstrdup("associative list without keys has an element that's a map type");
	if (!keys && json_is_array(item))
		return xstrdup("not supported: associative list with lists as elements");
	if (keys && !json_is_object(item))
		return xstrdup("associative list with keys may not have non-map elements");
	return keys ? missing_keys(s, item) : NULL;
}

/* An item whose element another has before it. */
static void check_first(struct validator *v, const struct items *l, const char *element, size_t at)
{
	const struct item *first = items_find(l, element);
	if (!first || first->at == at)
		return;
	_cleanup_(strbuf_done) struct strbuf key = { 0 };
	fieldset_print_element(element, &key);
	fault(v, "duplicate entries for key %s", key.data);
}

/* Nothing is said of items behind one that cannot be told from others. */
static void validate_items(struct validator *v, const struct type *t, const struct json *list,
			   enum shape shape)
{
	_cleanup_(items_done) struct items l = { 0 };
	const struct type inner = item_type(t);
	size_t at = 0;
	items_of(t, shape, list, &l);
	json_for_each(item, list) {
		_cleanup_(freep) char *wrong = shape == SHAPE_LEAF ? NULL
								   : item_fault(t->schema, item);
		_cleanup_(freep) char *element = list_element(t, shape, item, at);
		size_t length = v->path.len;
		if (wrong) {
			fault(v, "element %zu: %s", at, wrong);
			return;
		}
		check_first(v, &l, element, at++);
		fieldset_print_element(element, &v->path);
		validate(v, &inner, item);
		step_back(v, length);
	}
}

static const struct {
	const char *name;
	bool (*fits)(const struct json *value);
} expected[] = {
	[TYPE_OBJECT] = { "map", json_is_object },
	[TYPE_ARRAY] = { "list", json_is_array },
	[TYPE_STRING] = { "string", json_is_string },
	[TYPE_INTEGER] = { "numeric (int or float)", is_number },
	[TYPE_NUMBER] = { "numeric (int or float)", is_number },
	[TYPE_BOOLEAN] = { "boolean", is_bool },
};

static const char *go_type(const struct json *value)
{
	return json_is_object(value)   ? "map[string]interface {}"
	       : json_is_array(value)  ? "[]interface {}"
	       : json_is_string(value) ? "string"
				       : "bool";
}

static bool type_fits(struct validator *v, const struct schema *s, const struct json *value)
{
	bool known = s && (size_t)s->type < ARRAY_SIZE(expected) && expected[s->type].fits;
	if (!known || expected[s->type].fits(value))
		return true;
	_cleanup_(freep) char *text = json_to_string(value);
	fault(v, "expected %s, got %.100s", expected[s->type].name,
	      s->type == TYPE_INTEGER || s->type == TYPE_NUMBER ? go_type(value) : text);
	return false;
}

/* Null is absence, whatever the type. */
static void validate(struct validator *v, const struct type *t, const struct json *value)
{
	const struct schema *s = t->schema;
	if (json_is_null(value) || !type_fits(v, s, value))
		return;
	if (json_is_object(value)) {
		validate_members(v, t, value);
		return;
	}
	if (!json_is_array(value) || !s || s->type != TYPE_ARRAY)
		return;
	validate_items(v, t, value, shape_of(t, value, 0));
}

char *typed_validate(const struct type *t, const struct json *value)
{
	struct validator v = { 0 };
	validate(&v, t, value);
	strbuf_done(&v.path);
	if (v.count == 0)
		return NULL;
	char *text = v.count == 1 ? strbuf_take(&v.faults, NULL)
				  : xasprintf("errors:\n  %s", v.faults.data);
	strbuf_done(&v.faults);
	return text;
}
