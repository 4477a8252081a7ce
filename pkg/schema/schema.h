#pragma once
/* Structural schemas of CustomResourceDefinitions (and of the built-in kinds, which are written in
 * the same form), compiled once: pruning, defaulting and validation of objects. CEL rules
 * (x-kubernetes-validations) are accepted and not evaluated. any thread */

#include "schema/causes.h"
#include "json/json.h"

struct schema;

/* What filling in defaults may still cost: of all objects and schemas of one request together. */
struct schema_budget {
	size_t bytes; /* of memory, about */
	size_t work;  /* each about 50 ns */
};

#define SCHEMA_BUDGET ((struct schema_budget){ .bytes = 64 << 20, .work = 20 * 1000 * 1000 })

/* What is wrong with the schema itself goes to `wrong`, under `path`; NULL then. Defaults get the
 * defaults of what is in them. left NULL: a budget of its own. */
struct schema *schema_compile(const struct json *source, struct path *path,
			      struct schema_budget *left, struct causes *wrong);
struct schema *schema_free(struct schema *s);

/* Names of fields that the schema does not know, "spec.foo". */
struct unknown_fields {
	char **items;
	size_t count;
};

void unknown_fields_done(struct unknown_fields *u);
void unknown_fields_add(struct unknown_fields *u, const char *field);

/* Drops what the schema does not know; `unknown` (may be NULL) gets the names. At the top
 * apiVersion, kind and metadata stay as they are. */
void schema_prune(const struct schema *s, struct json *object, struct unknown_fields *unknown);
/* Calls fn for each object that the schema says is a resource of its own, outer ones first, with
 * its path, until fn returns false. fn may change the object's metadata. */
typedef bool (*schema_embedded_fn)(void *data, struct json *object, const char *at);
void schema_each_embedded(const struct schema *s, struct json *object, schema_embedded_fn fn,
			  void *data);
/* Nulls in maps of text become "", as in Go's typed objects. */
void schema_fill_nulls(const struct schema *s, struct json *object);
/* Fills in defaults; nulls that the schema does not allow count as absent. False: it was not done
 * to the end, because nothing is left of the budget. */
bool schema_default(const struct schema *s, struct json *object, struct schema_budget *left);
/* Empty lists and maps go, as from Go's typed objects; objects with named members stay. */
void schema_drop_empty(const struct schema *s, struct json *object);
/* `old` (may be NULL): what was there before. Faults in parts that did not change are let
 * pass, so that a tightened schema does not lock objects that exist (KEP-4008). */
void schema_validate(const struct schema *s, const struct json *value, const struct json *old,
		     struct path *path, struct causes *causes);
