/* What a client sees of objects: whole, as metadata only, or as rows of a Table with the columns of
 * the kind. kubectl get lives on tables. */

#include <stdlib.h>
#include <string.h>

#include "apiserver/internal.h"
#include "base/mem.h"

int view_init(struct apiserver *s, const struct request *in, struct answer *out, struct view *ret)
{
	static const char *const includes[] = { "Metadata", "Object", "None" };
	*ret = (struct view){ .form = in->form, .wall = loop_wall(s->loop) };
	const char *wanted = in->query.include_object;
	for (size_t i = 0; wanted && i < ARRAY_SIZE(includes); i++)
		if (streq(wanted, includes[i])) {
			ret->include = i;
			return 0;
		}
	if (!wanted)
		return 0;
	return fail(out, 400, "BadRequest", "unrecognized includeObject value: \"%s\"", wanted);
}

struct json *metadata_of(const struct json *object)
{
	struct json *j = json_new_object();
	json_set_string(j, "kind", "PartialObjectMetadata");
	json_set_string(j, "apiVersion", "meta.k8s.io/v1");
	json_set(j, "metadata", json_dup(json_get(object, "metadata")));
	return j;
}

static void add_column(struct json *columns, const struct column *column)
{
	struct json *j = json_append(columns, json_new_object());
	json_set_string(j, "name", column->name);
	json_set_string(j, "type", column->type);
	json_set_string(j, "format", str_or(column->format, ""));
	json_set_string(j, "description", str_or(column->description, ""));
	json_set_int(j, "priority", column->priority);
}

/* Headers go once per stream: kubectl keeps those of the first table. */
struct json *table_new(const struct resource *r, const char *rv, bool headers)
{
	struct json *table = json_new_object();
	json_set_string(table, "kind", "Table");
	json_set_string(table, "apiVersion", "meta.k8s.io/v1");
	json_set_string(json_make_object(table, "metadata"), "resourceVersion", rv);
	struct json *columns = json_set(table, "columnDefinitions",
					headers ? json_new_array() : json_new_null());
	for (size_t i = 0; headers && i < r->column_count; i++)
		add_column(columns, &r->columns[i]);
	json_set(table, "rows", json_new_array());
	return table;
}

struct json *age_cell(usec_t wall, const char *text)
{
	usec_t at;
	char age[CLOCK_TEXT_MAX];
	if (!text || clock_parse(text, &at) < 0)
		return json_new_string(text ? "<invalid>" : "<unknown>");
	return json_new_string(clock_format_age(wall > at ? wall - at : 0, age));
}

/* Other types are shown as JSON. */
static struct json *string_cell(const struct json *value)
{
	if (json_is_string(value))
		return json_new_string(json_string(value));
	_cleanup_(freep) char *text = json_to_string(value);
	return json_new_string(text);
}

/* Fractions are cut, as upstream does. */
static struct json *integer_cell(const struct json *value)
{
	int64_t integer;
	double number;
	if (json_int(value, &integer))
		return json_new_int(integer);
	return json_double(value, &number) ? json_new_int((int64_t)number) : json_new_null();
}

/* Null where the value does not fit the column, as upstream. */
static struct json *custom_cell(const struct view *v, const struct column *column,
				const struct json *object)
{
	const struct json *value = jsonpath_find(column->path, object);
	if (json_is_null(value))
		return json_new_null();
	if (streq(column->type, "string"))
		return string_cell(value);
	if (streq(column->type, "integer"))
		return integer_cell(value);
	if (streq(column->type, "date"))
		return json_is_string(value) ? age_cell(v->wall, json_string(value))
					     : json_new_null();
	bool fits = streq(column->type, "boolean") ? json_type(value) == JSON_BOOL
						   : json_type(value) == JSON_NUMBER;
	return fits ? json_dup(value) : json_new_null();
}

static void add_cells(const struct view *v, const struct resource *r, struct json *cells,
		      const struct json *object)
{
	if (r->ops && r->ops->cells) {
		r->ops->cells(v->wall, object, cells);
		return;
	}
	json_append(cells, json_new_string(object_name(object)));
	for (size_t i = 1; i < r->column_count; i++)
		json_append(cells, custom_cell(v, &r->columns[i], object));
}

struct json *table_row(const struct view *v, const struct resource *r, const struct json *object)
{
	struct json *row = json_new_object();
	add_cells(v, r, json_set(row, "cells", json_new_array()), object);
	switch (v->include) {
	case INCLUDE_METADATA:
		json_set(row, "object", metadata_of(object));
		break;
	case INCLUDE_OBJECT:
		json_set(row, "object", json_dup(object));
		break;
	case INCLUDE_NONE:
		json_set(row, "object", json_new_null());
		break;
	}
	return row;
}

struct json *view_object(const struct view *v, const struct resource *r, const struct json *object,
			 bool headers)
{
	if (v->form == FORM_METADATA)
		return metadata_of(object);
	if (v->form != FORM_TABLE)
		return json_dup(object);
	struct json *table = table_new(r, json_get_path_string(object, "metadata.resourceVersion"),
				       headers);
	json_append(json_get_mut(table, "rows"), table_row(v, r, object));
	return table;
}

void object_answer(struct apiserver *s, const struct request *in, struct answer *out, int status,
		   const struct resource *r, const struct json *tree)
{
	struct view v;
	if (view_init(s, in, out, &v) < 0)
		return;
	_cleanup_(json_freep) struct json *shown = view_object(&v, r, tree, true);
	answer_json(out, status, shown);
}
