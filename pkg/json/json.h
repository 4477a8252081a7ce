#pragma once
/* JSON trees. cJSON is the tree; this module fills it by its own strict parser, because cJSON's
 * turns 64-bit integers into doubles and cuts strings at \u0000.
 *
 * Strict: RFC 8259, UTF-8 checked, duplicate keys and \u0000 refused, nothing after the value.
 * Numbers keep their source text: what we do not touch is printed back byte for byte.
 * A tree belongs to one owner; `get` functions borrow. Functions accept NULL nodes and treat them
 * as absent, so that lookups chain. any thread (no state of its own) */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/macro.h"
#include "base/str.h"

struct json; /* one node */

enum { JSON_DEPTH_MAX = 64 };

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* --- text ------------------------------------------------------------------------------------ */

/* Errors name line and column. */
int json_parse(const char *text, size_t len, struct json **ret, struct err *err);
int json_parse_depth(const char *text, size_t len, unsigned max_depth, struct json **ret,
		     struct err *err);

/* A value takes up to 40 times the memory of its text ("[[],[],...]"). */
struct json_limits {
	unsigned depth;
	size_t values;
};
int json_parse_limited(const char *text, size_t len, const struct json_limits *limits,
		       struct json **ret, struct err *err);
/* Compact, one line, keys in their order. */
void json_print(const struct json *j, struct strbuf *out);
char *json_to_string(const struct json *j);
/* Indented by two blanks, as kubectl -o json. */
void json_print_pretty(const struct json *j, struct strbuf *out);
/* The same of compact text that is known to be JSON, without a tree, which takes many times the
 * room. */
void json_indent(const char *text, size_t len, struct strbuf *out);
/* Appends s as a quoted JSON string; null for NULL, U+FFFD for bytes that are not UTF-8. */
void json_quote(const char *s, struct strbuf *out);

/* --- ownership ------------------------------------------------------------------------------- */

struct json *json_free(struct json *j);
void json_freep(struct json **j);
struct json *json_dup(const struct json *j);

/* --- reading --------------------------------------------------------------------------------- */

enum json_type json_type(const struct json *j); /* NULL reads as JSON_NULL */
bool json_is_object(const struct json *j);
bool json_is_array(const struct json *j);
bool json_is_string(const struct json *j);
/* Absent or null. */
bool json_is_null(const struct json *j);
const struct json *json_get(const struct json *object, const char *key); /* NULL when absent */
/* Path of keys with dots, "spec.bmc.address". Keys that hold dots need json_get. */
const struct json *json_get_path(const struct json *object, const char *path);
const struct json *json_at(const struct json *array, size_t index);
size_t json_count(const struct json *j); /* members or elements; 0 otherwise */
/* Children of an array or object in order: for (c = json_first(j); c; c = json_next(c)). */
const struct json *json_first(const struct json *j);
const struct json *json_next(const struct json *child);
const char *json_key(const struct json *child); /* member's name; NULL in arrays */
#define json_for_each(child, j)                                                                    \
	for (const struct json *child = json_first(j); child; child = json_next(child))

const char *json_string(const struct json *j);	    /* NULL unless a string */
const char *json_number_text(const struct json *j); /* NULL unless a number */
bool json_int(const struct json *j, int64_t *ret);  /* exact integers only (1.0 and 1e2 count) */
bool json_double(const struct json *j, double *ret);
bool json_bool(const struct json *j, bool *ret);
/* Shorthands with a default for absent or wrong type. */
const char *json_get_string(const struct json *object, const char *key);
const char *json_get_path_string(const struct json *object, const char *path);
int64_t json_get_int(const struct json *object, const char *key, int64_t otherwise);
bool json_get_bool(const struct json *object, const char *key, bool otherwise);

/* Deep equality: members in any order, numbers by value. */
bool json_equal(const struct json *a, const struct json *b);

/* --- writing --------------------------------------------------------------------------------- */

struct json *json_new_object(void);
struct json *json_new_array(void);
struct json *json_new_string(const char *s); /* NULL gives null; bad UTF-8 becomes U+FFFD */
struct json *json_new_int(int64_t v);
struct json *json_new_double(double v);
struct json *json_new_bool(bool v);
struct json *json_new_null(void);

struct json *json_get_mut(struct json *object, const char *key);
struct json *json_at_mut(struct json *array, size_t index);
struct json *json_first_mut(struct json *j);
struct json *json_next_mut(struct json *child);
/* Takes value; replaces an existing member in its place. Returns value, borrowed. A NULL value
 * removes the member. If object is none, value is freed and NULL returned. */
struct json *json_set(struct json *object, const char *key, struct json *value);
/* As json_set, for a key that is known not to be there: it is not looked for. */
struct json *json_add(struct json *object, const char *key, struct json *value);
/* For a child of parent that is at hand, so that it is not looked for. The first takes value and
 * returns it. */
struct json *json_replace_child(struct json *parent, struct json *child, struct json *value);
void json_remove_child(struct json *parent, struct json *child);
/* A NULL s removes the member. */
void json_set_string(struct json *object, const char *key, const char *s);
void json_set_int(struct json *object, const char *key, int64_t v);
void json_set_bool(struct json *object, const char *key, bool v);
/* The member as an object, made (or replaced, if not an object) when absent. */
struct json *json_make_object(struct json *object, const char *key);
struct json *json_append(struct json *array, struct json *value); /* takes value, returns it */
void json_insert(struct json *array, size_t index, struct json *value);
/* Detaches; the caller owns the result. NULL when absent. */
struct json *json_take(struct json *object, const char *key);
struct json *json_take_at(struct json *array, size_t index);
void json_remove(struct json *object, const char *key);
