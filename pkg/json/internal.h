#pragma once
/* What the files of this module share: the cJSON node behind struct json. cJSON.h stops here. */

#include <cjson/cJSON.h>

#include "json/json.h"

enum {
	/* Above this many members, lookups in bulk use a sorted index. */
	SMALL_OBJECT = 16,
	/* cJSON frees and copies by recursion, and gives up at this depth itself. */
	DEPTH_LIMIT = CJSON_NESTING_LIMIT,
};

/* Members of one object, for many lookups: sorted when there are many. Sorting rather than hashing,
 * because a peer that knows the hash could choose keys that collide. */
struct members {
	const cJSON *object;
	const cJSON **sorted; /* NULL: few */
	size_t count;
};

/* A number as text, taken apart: its value is digits * 10^scale. Points into the text. */
struct decimal {
	bool negative;
	const char *first, *last; /* significant digits, a '.' may stand between; NULL for zero */
	size_t count;		  /* of significant digits */
	int64_t scale;
	bool huge; /* the exponent does not fit: scale says nothing */
};

static inline cJSON *to_node(struct json *j)
{
	return (cJSON *)j;
}

static inline const cJSON *to_cnode(const struct json *j)
{
	return (const cJSON *)j;
}

static inline struct json *to_json(cJSON *node)
{
	return (struct json *)node;
}

static inline const struct json *to_cjson(const cJSON *node)
{
	return (const struct json *)node;
}

static inline int node_type(const cJSON *node)
{
	return node ? node->type & 0xff : cJSON_NULL;
}

/* --- json.c ---------------------------------------------------------------------------------- */

void node_freep(cJSON **node);
cJSON *node_dup(const cJSON *node);
cJSON *json_node_find(const cJSON *object, const char *key, size_t key_len);
/* Levels of arrays and objects: 0 for a scalar. */
unsigned node_depth(const cJSON *node);

void members_init(struct members *m, const cJSON *object);
void members_done(struct members *m);
cJSON *members_find(const struct members *m, const char *key);
/* The children in order of their keys; NULL when there are none. */
const cJSON **members_sort(const cJSON *object, size_t count);

/* --- build.c --------------------------------------------------------------------------------- */

cJSON *node_new(int type);
/* Takes child; the key must be new to the object (not checked). */
void node_append(cJSON *parent, cJSON *child);
void node_add_member(cJSON *object, const char *key, cJSON *child);
/* Takes value, which comes to stand where old stood, under old's key; frees old. */
void node_replace(cJSON *parent, cJSON *old, cJSON *value);
/* Detaches; the caller owns the child. */
cJSON *node_detach(cJSON *parent, cJSON *child);

/* --- number.c -------------------------------------------------------------------------------- */

void decimal_parse(const char *text, struct decimal *ret);
bool decimal_equal(const char *a, const char *b);
bool decimal_to_int(const char *text, int64_t *ret);

/* --- utf8.c ---------------------------------------------------------------------------------- */

/* Length of the part that is valid; len when all is. */
size_t utf8_valid_len(const char *s, size_t len);
/* The next byte in [p, end) that JSON strings cannot hold plain: quote, backslash, control. Or end.
 */
const char *plain_run(const char *p, const char *end);
/* Writes up to 4 bytes; returns how many. */
size_t utf8_encode(uint32_t c, char out[4]);
/* A copy in which bad bytes became U+FFFD. */
char *utf8_repair(const char *s);
