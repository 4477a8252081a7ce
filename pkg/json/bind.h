#pragma once
/* Structs from and to JSON by table: one row per field. Unknown members are the caller's business
 * (keep the tree and merge). Strings in structs are heap copies; absent strings are NULL. any
 * thread */

#include "json/json.h"

enum bind_type {
	BIND_STRING,	 /* char * */
	BIND_INT,	 /* int64_t */
	BIND_BOOL,	 /* bool */
	BIND_OPT_BOOL,	 /* enum opt_bool */
	BIND_TIME,	 /* usec_t, 0 = absent or null; RFC 3339 in JSON */
	BIND_ENUM,	 /* int, by `names` */
	BIND_OBJECT,	 /* embedded struct, by `sub` */
	BIND_OPT_OBJECT, /* pointer to struct, by `sub`; NULL = absent */
	BIND_LIST,	 /* struct bind_list of structs, by `sub` */
	BIND_STRINGS,	 /* struct bind_list of char * */
	BIND_JSON,	 /* struct json *, a copy of the subtree */
};

enum opt_bool { OPT_UNSET, OPT_FALSE, OPT_TRUE };

enum bind_flags {
	BIND_REQUIRED = 1, /* absent is an error at binding */
	BIND_ALWAYS = 2,   /* emitted even when empty: "", 0, false, {}, null time */
};

struct bind_list {
	void *items; /* array of structs or of char * */
	size_t count;
	bool present; /* tells [] from absent */
};

struct bind_field {
	const char *key; /* NULL ends a table */
	enum bind_type type;
	uint32_t offset;
	unsigned flags;
	const struct bind_struct *sub;
	const char *const *names; /* BIND_ENUM: value → text, NULL-ended; "" may be a value */
};

struct bind_struct {
	size_t size;
	const struct bind_field *fields;
};

/* Fills the zeroed struct at `out`. Wrong types are errors that name the field's path
 * ("spec.bmc.address: expected a string"). On failure `out` is released and zeroed. */
int bind_from_json(const struct bind_struct *s, const struct json *j, void *out, struct err *err);
/* A new object. */
struct json *bind_to_json(const struct bind_struct *s, const void *in);
/* Frees everything inside and zeroes the struct. */
void bind_release(const struct bind_struct *s, void *in);
