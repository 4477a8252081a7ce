#pragma once
/* Sets of fields of an object, as metadata.managedFields holds them (FieldsV1): a tree of path
 * elements, of which some are members. A member says nothing of what is below it.
 *
 * An element is its text in FieldsV1: "f:name" (member of an object), "k:{"name":"a"}" (item of a
 * list that is a map), "v:"a"" (item of a list that is a set), "i:3" (item by its place). any
 * thread
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/macro.h"
#include "base/str.h"
#include "json/json.h"

enum {
	FIELDSET_DEPTH_MAX = 56, /* an object with its managedFields stays under JSON_DEPTH_MAX */
	FIELDSET_FIELDS_MAX = 100000,
};

struct field;

/* {0} is the empty set. Owned by whoever declares it. */
struct fieldset {
	struct field *items; /* sorted by element */
	size_t count;
};

struct field {
	char *element;
	bool member;
	struct fieldset below; /* a field that is no member has something below */
};

void fieldset_done(struct fieldset *s);
bool fieldset_empty(const struct fieldset *s);
bool fieldset_equal(const struct fieldset *a, const struct fieldset *b);
/* NULL when neither it nor anything below is in the set. */
const struct field *fieldset_find(const struct fieldset *s, const char *element);

/* Adds an element as a member (or not), and all of `below` under it. Takes below, which is left
 * empty; nothing to add adds nothing. */
void fieldset_add(struct fieldset *s, const char *element, bool member, struct fieldset *below);
/* `element`, or with `below` not NULL that element under it: is a member no more (drop; what is
 * below it stays), or goes with all below (cut). */
void fieldset_drop(struct fieldset *s, const char *element, const char *below);
void fieldset_cut(struct fieldset *s, const char *element, const char *below);

struct fieldset fieldset_dup(const struct fieldset *s);
struct fieldset fieldset_union(const struct fieldset *a, const struct fieldset *b);
struct fieldset fieldset_difference(const struct fieldset *a, const struct fieldset *b);
struct fieldset fieldset_intersection(const struct fieldset *a, const struct fieldset *b);
/* *s becomes its union with (its difference from) b. */
void fieldset_unite(struct fieldset *s, const struct fieldset *b);
void fieldset_subtract(struct fieldset *s, const struct fieldset *b);

/* Elements of types other than those above are left out. -EINVAL: not FieldsV1; -E2BIG: deeper or
 * larger than the limits above. NULL is the empty set. */
int fieldset_decode(const struct json *fields, struct fieldset *ret);
struct json *fieldset_encode(const struct fieldset *s);

/* Each member as a person reads it, ".spec.parts[name="a"].count": first the members of a level,
 * then what is below them. */
typedef void (*fieldset_fn)(void *data, const char *path);
void fieldset_each(const struct fieldset *s, fieldset_fn fn, void *data);
/* Appends one element in that form. */
void fieldset_print_element(const char *element, struct strbuf *out);
