#pragma once
/* A compiled schema: shared by the compiler and by those who walk objects with it. */

#include "base/map.h"
#include "schema/names.h"
#include "schema/regex.h"
#include "schema/schema.h"

enum schema_type {
	TYPE_ANY,
	TYPE_OBJECT,
	TYPE_ARRAY,
	TYPE_STRING,
	TYPE_INTEGER,
	TYPE_NUMBER,
	TYPE_BOOLEAN,
	TYPE_INT_OR_STRING,
};

enum list_type { LIST_ATOMIC, LIST_SET, LIST_MAP };

struct schema_property {
	char *name;
	struct schema *schema;
};

struct schema_list {
	struct schema **items;
	size_t count;
};

struct schema {
	enum schema_type type;
	enum list_type list_type;
	bool nullable, preserve_unknown, embedded, additional_any;
	bool holds_embedded; /* at any depth, itself included */
	bool map_atomic;     /* owned as a whole (typed.h) */
	bool has_min, has_max, exclusive_min, exclusive_max, has_multiple;
	double min, max, multiple;
	int64_t min_size, max_size; /* of length, items or properties; -1: no limit */
	struct json *default_value;
	size_t default_bytes;	  /* of memory, about */
	struct json *enum_values; /* array */
	struct map enum_texts;	  /* of these, the strings */
	struct map enum_numbers;  /* and the numbers, by their key */
	bool enum_twins;	  /* several numbers have one key, or none: compare with all */
	struct json *required;	  /* array of strings */
	struct json *map_keys;	  /* likewise */
	char *format;
	char *pattern_text;
	struct regex *pattern;
	struct schema_property *properties; /* sorted by name */
	size_t property_count;
	struct schema *additional;
	struct schema *items;
	struct schema_list all_of, any_of, one_of;
	struct schema *none_of;
};

/* What every object has, of one that is embedded (embedded.c). */
void meta_validate_embedded(const struct json *object, struct path *at, struct causes *causes);

/* Metadata at any place (meta.c). Tidied is only what has no fault. */
char *meta_fault(const struct json *meta);
void meta_tidy(struct json *meta, const char *at, struct unknown_fields *unknown);
void meta_validate_members(const struct json *meta, name_rule name, struct path *at,
			   struct causes *causes);

const char *schema_type_name(enum schema_type type);
/* The same for numbers of the same value. False for those that no double holds. */
enum { SCHEMA_NUMBER_KEY_SIZE = 32 };
bool schema_number_key(const struct json *value, char out[SCHEMA_NUMBER_KEY_SIZE]);
const struct schema *schema_property(const struct schema *s, const char *name);
