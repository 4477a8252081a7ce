#pragma once
/* Classes of characters by name (\p{Greek}, \p{Lu}, \p{Letter}) and letters that differ in case
 * only, as Go's package regexp/syntax knows them. Pure; any thread */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct unicode_range {
	uint32_t from, to;
};

struct unicode_class {
	const char *name; /* lower case, without "_", "-" and spaces; sorted */
	size_t first, count;
};

/* Of the name, however it is written; NULL when there is none. Sorted, disjoint. */
const struct unicode_range *unicode_class(const char *name, size_t len, size_t *ret_count);
/* Whether the name, however it is written, is that plain one. */
bool unicode_is(const char *name, size_t len, const char *plain);
/* The next in the circle of those that differ from c in case only; c itself when it is alone. */
uint32_t unicode_fold(uint32_t c);

/* unicode_tables.c */
extern const struct unicode_range unicode_ranges[], unicode_folds[]; /* folds: from, its next */
extern const struct unicode_class unicode_classes[];
extern const size_t unicode_class_count, unicode_fold_count;
