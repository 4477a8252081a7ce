#pragma once
/* What is wrong with an object, in the words of Kubernetes' field errors: a list of (field, reason,
 * text) that becomes the details of one Status. any thread */

#include <stdbool.h>
#include <stddef.h>

#include "base/macro.h"
#include "base/str.h"
#include "json/json.h"

enum cause_type {
	CAUSE_REQUIRED,
	CAUSE_INVALID,
	CAUSE_TYPE_INVALID,
	CAUSE_NOT_SUPPORTED,
	CAUSE_DUPLICATE,
	CAUSE_FORBIDDEN,
	CAUSE_TOO_LONG,
	CAUSE_TOO_MANY,
	CAUSE_NOT_FOUND,
};

struct cause {
	enum cause_type type;
	char *field;
	char *text; /* "Invalid value: "x": must be …" */
};

/* Finding them costs work, of which one look at an object may cost so much; then it stops. */
enum {
	CAUSES_MAX = 100,
	CAUSES_BYTES_MAX = 1 << 20, /* of their texts; the one that passes it is the last */
	CAUSES_WORK_MAX = 20 * 1000 * 1000,
};

struct causes {
	struct cause *items;
	size_t count;
	size_t work, bytes;
	bool quiet; /* only whether there is one is asked: no texts, and none after the first */
};

/* Counts work: about 50 ns each. False when it is used up. */
bool causes_spend(struct causes *c, size_t units);
/* No more will be kept. */
bool causes_full(const struct causes *c);

void causes_done(struct causes *c);
void causes_truncate(struct causes *c, size_t count);
/* `value` is shown between the type's name and the detail: NULL for none. No detail: CAUSE_BARE. */
void causes_add(struct causes *c, enum cause_type type, const char *field, const char *value,
		const char *fmt, ...) _printf_(5, 6);
/* Value quoted as Go does it. */
void causes_add_string(struct causes *c, enum cause_type type, const char *field, const char *value,
		       const char *fmt, ...) _printf_(5, 6);
void causes_add_json(struct causes *c, enum cause_type type, const char *field,
		     const struct json *value, const char *fmt, ...) _printf_(5, 6);

/* Machine-readable name: "FieldValueInvalid". */
const char *cause_type_name(enum cause_type type);
/* "a: Required value" or "[a: Required value, b: …]"; equal texts once. */
void causes_format(const struct causes *c, struct strbuf *out);

/* The two last arguments of the functions above when there is no detail. */
#define CAUSE_BARE "%s", ""

/* Go's strconv.Quote, and a value that came as JSON as field errors show it. */
void causes_quote(const char *s, struct strbuf *out);
void causes_value(const struct json *j, struct strbuf *out);

/* --- paths of fields: "spec.bmc.address", "spec.nics[0]" --- */

struct path {
	struct strbuf text;
	size_t unsaid; /* bytes of its beginning that texts about a value leave out */
};

void path_done(struct path *p);
/* Each returns the length to go back to. */
size_t path_member(struct path *p, const char *name);
size_t path_index(struct path *p, size_t index);
size_t path_key(struct path *p, const char *key); /* "data[key]" */
void path_back(struct path *p, size_t length);
const char *path_text(const struct path *p);
const char *path_said(const struct path *p);
