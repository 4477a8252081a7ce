#pragma once
/* Objects under a schema, as server-side apply sees them: what a value owns, what differs between
 * two, and one laid over another. What is one field, and what falls into several, the schema says:
 * x-kubernetes-list-type, x-kubernetes-list-map-keys, x-kubernetes-map-type. Lists are atomic
 * unless it says otherwise, objects are not. Where it is silent, objects fall apart and lists do
 * not. any thread */

#include "schema/fieldset.h"
#include "schema/schema.h"
#include "json/json.h"

/* Borrowed parts. */
struct type {
	const struct schema *schema; /* NULL: nothing is known */
	const struct schema *meta;   /* of metadata, wherever it stands */
	bool resource;		     /* a whole object, with apiVersion, kind and metadata */
};

struct comparison {
	struct fieldset added, modified, removed;
};

void schema_comparison_done(struct comparison *c);
bool schema_comparison_empty(const struct comparison *c);

/* What is wrong with a value that somebody applies, as ".spec.a: field not declared in schema";
 * several under "errors:". NULL: nothing. */
char *typed_validate(const struct type *t, const struct json *value);

/* All fields that the value has. */
struct fieldset typed_fields(const struct type *t, const struct json *value);
/* From `before` (NULL: nothing) to `now`. metadata.managedFields is no field. */
void typed_compare(const struct type *t, const struct json *before, const struct json *now,
		   struct comparison *ret);
/* `over` laid over `base`: its fields win, all else stays. Items of lists that both have are in the
 * order of `over`; those that base has alone stand where they stood. A new tree. */
struct json *typed_merge(const struct type *t, const struct json *base, const struct json *over);
/* Without the fields in the set. A new tree. */
struct json *typed_remove(const struct type *t, const struct json *value,
			  const struct fieldset *gone);
/* The set and all fields with a name in the schema that lead to its members: these exist for the
 * sake of what is in them, those that the schema does not name (keys of maps, items) in their own
 * right. */
struct fieldset typed_with_parents(const struct type *t, const struct fieldset *s);
