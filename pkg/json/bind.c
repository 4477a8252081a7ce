/* Structs from and to JSON by table. One walk of the table reads, one writes, one frees; each has a
 * row per type in `types`, so that a new type is one row and three functions. A null counts as
 * absent, as in Kubernetes. Pure. */

#include "json/bind.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "json/internal.h"

/* Go writes a time that was never set like this where it does not write null. */
static const char go_zero_time[] = "0001-01-01T00:00:00Z";

/* The way from the root, for error texts; lives on the stack of the walk. */
struct path {
	const struct path *up;
	const char *key; /* NULL: an element of a list */
	size_t index;
};

struct reader {
	const struct path *path;
	struct err *err;
};

static void format_path(const struct path *path, struct strbuf *out)
{
	if (!path)
		return;
	format_path(path->up, out);
	if (path->key)
		strbuf_addf(out, "%s%s", out->len ? "." : "", path->key);
	else
		strbuf_addf(out, "[%zu]", path->index);
}

static int fail(const struct reader *rd, const char *what)
{
	_cleanup_(strbuf_done) struct strbuf path = { 0 };
	format_path(rd->path, &path);
	if (path.len == 0)
		return err_set(rd->err, ERR_INVALID, "%s", what);
	return err_set(rd->err, ERR_INVALID, "%.256s: %s", path.data, what);
}

/* --- reading --------------------------------------------------------------------------------- */

static int read_struct(const struct reader *rd, const struct bind_struct *s, const struct json *j,
		       void *out);

static int read_string(const struct reader *rd, const struct bind_field *f, const struct json *j,
		       void *at)
{
	(void)f;
	const char *s = json_string(j);
	if (!s)
		return fail(rd, "expected a string");
	str_replace(at, s);
	return 0;
}

static int read_int(const struct reader *rd, const struct bind_field *f, const struct json *j,
		    void *at)
{
	(void)f;
	return json_int(j, at) ? 0 : fail(rd, "expected an integer of 64 bits");
}

static int read_bool(const struct reader *rd, const struct bind_field *f, const struct json *j,
		     void *at)
{
	(void)f;
	return json_bool(j, at) ? 0 : fail(rd, "expected true or false");
}

static int read_opt_bool(const struct reader *rd, const struct bind_field *f, const struct json *j,
			 void *at)
{
	bool value;
	int r = read_bool(rd, f, j, &value);
	if (r < 0)
		return r;
	*(enum opt_bool *)at = value ? OPT_TRUE : OPT_FALSE;
	return 0;
}

static int read_time(const struct reader *rd, const struct bind_field *f, const struct json *j,
		     void *at)
{
	(void)f;
	const char *s = json_string(j);
	if (s && streq(s, go_zero_time))
		return 0;
	if (!s || clock_parse(s, at) < 0)
		return fail(rd, "expected a time like 2026-01-02T03:04:05Z");
	return 0;
}

static int fail_enum(const struct reader *rd, const struct bind_field *f, const char *found)
{
	_cleanup_(strbuf_done) struct strbuf what = { 0 };
	strbuf_addf(&what, "\"%.64s\" is none of", found);
	for (size_t i = 0; f->names[i]; i++)
		strbuf_addf(&what, "%s \"%s\"", i ? "," : "", f->names[i]);
	return fail(rd, what.data);
}

static int read_enum(const struct reader *rd, const struct bind_field *f, const struct json *j,
		     void *at)
{
	const char *s = json_string(j);
	if (!s)
		return fail(rd, "expected a string");
	for (int i = 0; f->names[i]; i++) {
		if (streq(f->names[i], s)) {
			*(int *)at = i;
			return 0;
		}
	}
	return fail_enum(rd, f, s);
}

static int read_object(const struct reader *rd, const struct bind_field *f, const struct json *j,
		       void *at)
{
	return read_struct(rd, f->sub, j, at);
}

static int read_opt_object(const struct reader *rd, const struct bind_field *f,
			   const struct json *j, void *at)
{
	/* Hangs in its parent at once, so that bind_release finds it on failure. */
	void *sub = *(void **)at = xcalloc(1, f->sub->size);
	return read_struct(rd, f->sub, j, sub);
}

/* Makes room for all elements, zeroed; count grows as they are filled. */
static int start_list(const struct reader *rd, const struct json *j, size_t item_size,
		      struct bind_list *list)
{
	if (!json_is_array(j))
		return fail(rd, "expected a list");
	list->present = true;
	size_t count = json_count(j);
	if (count > 0)
		list->items = xcalloc(count, item_size);
	return 0;
}

static int read_list(const struct reader *rd, const struct bind_field *f, const struct json *j,
		     void *at)
{
	struct bind_list *list = at;
	int r = start_list(rd, j, f->sub->size, list);
	if (r < 0)
		return r;
	json_for_each(element, j) {
		const struct path here = { .up = rd->path, .index = list->count };
		const struct reader sub = { .path = &here, .err = rd->err };
		r = read_struct(&sub, f->sub, element,
				(char *)list->items + list->count++ * f->sub->size);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_strings(const struct reader *rd, const struct bind_field *f, const struct json *j,
			void *at)
{
	struct bind_list *list = at;
	int r = start_list(rd, j, sizeof(char *), list);
	if (r < 0)
		return r;
	json_for_each(element, j) {
		const struct path here = { .up = rd->path, .index = list->count };
		const struct reader sub = { .path = &here, .err = rd->err };
		r = read_string(&sub, f, element, (char **)list->items + list->count++);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_json(const struct reader *rd, const struct bind_field *f, const struct json *j,
		     void *at)
{
	(void)rd, (void)f;
	*(struct json **)at = json_dup(j);
	return 0;
}

/* --- writing: NULL leaves the member out ------------------------------------------------------ */

static struct json *write_string(const struct bind_field *f, const void *at)
{
	const char *s = *(char *const *)at;
	if (str_empty(s) && !(f->flags & BIND_ALWAYS))
		return NULL;
	return json_new_string(s ? s : "");
}

static struct json *write_int(const struct bind_field *f, const void *at)
{
	int64_t value = *(const int64_t *)at;
	return value != 0 || (f->flags & BIND_ALWAYS) ? json_new_int(value) : NULL;
}

static struct json *write_bool(const struct bind_field *f, const void *at)
{
	bool value = *(const bool *)at;
	return value || (f->flags & BIND_ALWAYS) ? json_new_bool(value) : NULL;
}

static struct json *write_opt_bool(const struct bind_field *f, const void *at)
{
	enum opt_bool value = *(const enum opt_bool *)at;
	if (value == OPT_UNSET && !(f->flags & BIND_ALWAYS))
		return NULL;
	return json_new_bool(value == OPT_TRUE);
}

static struct json *write_time(const struct bind_field *f, const void *at)
{
	usec_t value = *(const usec_t *)at;
	char text[CLOCK_TEXT_MAX];
	if (value != 0)
		return json_new_string(clock_format(value, text));
	return f->flags & BIND_ALWAYS ? json_new_null() : NULL;
}

static struct json *write_enum(const struct bind_field *f, const void *at)
{
	int value = *(const int *)at, i = 0;
	while (i < value && f->names[i])
		i++;
	if (value < 0 || !f->names[i])
		return NULL;
	if (str_empty(f->names[i]) && !(f->flags & BIND_ALWAYS))
		return NULL;
	return json_new_string(f->names[i]);
}

static struct json *write_object(const struct bind_field *f, const void *at)
{
	struct json *object = bind_to_json(f->sub, at);
	if (!json_first(object) && !(f->flags & BIND_ALWAYS))
		return json_free(object);
	return object;
}

static struct json *write_opt_object(const struct bind_field *f, const void *at)
{
	const void *sub = *(void *const *)at;
	if (sub)
		return bind_to_json(f->sub, sub);
	return f->flags & BIND_ALWAYS ? json_new_object() : NULL;
}

static struct json *write_list(const struct bind_field *f, const void *at)
{
	const struct bind_list *list = at;
	if (!list->present && list->count == 0 && !(f->flags & BIND_ALWAYS))
		return NULL;
	struct json *array = json_new_array();
	for (size_t i = 0; i < list->count; i++)
		json_append(array,
			    bind_to_json(f->sub, (const char *)list->items + i * f->sub->size));
	return array;
}

static struct json *write_strings(const struct bind_field *f, const void *at)
{
	const struct bind_list *list = at;
	if (!list->present && list->count == 0 && !(f->flags & BIND_ALWAYS))
		return NULL;
	struct json *array = json_new_array();
	char *const *items = list->items;
	for (size_t i = 0; i < list->count; i++)
		json_append(array, json_new_string(items[i] ? items[i] : ""));
	return array;
}

static struct json *write_json(const struct bind_field *f, const void *at)
{
	const struct json *j = *(struct json *const *)at;
	if (j)
		return json_dup(j);
	return f->flags & BIND_ALWAYS ? json_new_object() : NULL;
}

/* --- releasing ------------------------------------------------------------------------------- */

static void free_string(const struct bind_field *f, void *at)
{
	(void)f;
	free(*(char **)at);
}

static void free_object(const struct bind_field *f, void *at)
{
	bind_release(f->sub, at);
}

static void free_opt_object(const struct bind_field *f, void *at)
{
	void *sub = *(void **)at;
	if (!sub)
		return;
	bind_release(f->sub, sub);
	free(sub);
}

static void free_list(const struct bind_field *f, void *at)
{
	struct bind_list *list = at;
	for (size_t i = 0; i < list->count; i++)
		bind_release(f->sub, (char *)list->items + i * f->sub->size);
	free(list->items);
}

static void free_strings(const struct bind_field *f, void *at)
{
	(void)f;
	struct bind_list *list = at;
	char **items = list->items;
	for (size_t i = 0; i < list->count; i++)
		free(items[i]);
	free(items);
}

static void free_json(const struct bind_field *f, void *at)
{
	(void)f;
	json_free(*(struct json **)at);
}

/* --- tables ---------------------------------------------------------------------------------- */

static const struct {
	int (*read)(const struct reader *rd, const struct bind_field *f, const struct json *j,
		    void *at);
	struct json *(*write)(const struct bind_field *f, const void *at);
	void (*release)(const struct bind_field *f, void *at); /* NULL: owns nothing */
} types[] = {
	[BIND_STRING] = { read_string, write_string, free_string },
	[BIND_INT] = { read_int, write_int, NULL },
	[BIND_BOOL] = { read_bool, write_bool, NULL },
	[BIND_OPT_BOOL] = { read_opt_bool, write_opt_bool, NULL },
	[BIND_TIME] = { read_time, write_time, NULL },
	[BIND_ENUM] = { read_enum, write_enum, NULL },
	[BIND_OBJECT] = { read_object, write_object, free_object },
	[BIND_OPT_OBJECT] = { read_opt_object, write_opt_object, free_opt_object },
	[BIND_LIST] = { read_list, write_list, free_list },
	[BIND_STRINGS] = { read_strings, write_strings, free_strings },
	[BIND_JSON] = { read_json, write_json, free_json },
};

static int read_field(const struct reader *rd, const struct bind_field *f, const struct json *j,
		      void *at)
{
	if (!json_is_null(j))
		return types[f->type].read(rd, f, j, at);
	return f->flags & BIND_REQUIRED ? fail(rd, "is required") : 0;
}

static int read_struct(const struct reader *rd, const struct bind_struct *s, const struct json *j,
		       void *out)
{
	if (!json_is_object(j))
		return fail(rd, "expected an object");
	for (const struct bind_field *f = s->fields; f->key; f++) {
		const struct path here = { .up = rd->path, .key = f->key };
		const struct reader sub = { .path = &here, .err = rd->err };
		int r = read_field(&sub, f, json_get(j, f->key), (char *)out + f->offset);
		if (r < 0)
			return r;
	}
	return 0;
}

int bind_from_json(const struct bind_struct *s, const struct json *j, void *out, struct err *err)
{
	const struct reader rd = { .err = err };
	int r = read_struct(&rd, s, j, out);
	if (r < 0)
		bind_release(s, out);
	return r;
}

struct json *bind_to_json(const struct bind_struct *s, const void *in)
{
	cJSON *object = node_new(cJSON_Object);
	for (const struct bind_field *f = s->fields; f->key; f++) {
		struct json *value = types[f->type].write(f, (const char *)in + f->offset);
		if (value)
			node_add_member(object, f->key, to_node(value));
	}
	return to_json(object);
}

void bind_release(const struct bind_struct *s, void *in)
{
	for (const struct bind_field *f = s->fields; f->key; f++)
		if (types[f->type].release)
			types[f->type].release(f, (char *)in + f->offset);
	memset(in, 0, s->size);
}
