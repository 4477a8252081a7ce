#pragma once
/* metadata of objects: its shape, its rules, and the part of it that is the server's. Of objects
 * that others embed, too. any thread */

#include "base/clock.h"
#include "schema/causes.h"
#include "schema/names.h"
#include "schema/schema.h"
#include "json/json.h"

/* Wrong types: the text of the first fault, else NULL. Unknown members go; selfLink too. */
char *meta_clean(struct json *tree, struct unknown_fields *unknown);
/* The same for all that s says are embedded (embedded.c). */
char *meta_clean_embedded(const struct schema *s, struct json *tree,
			  struct unknown_fields *unknown);
/* `name` is the rule for the object's name; short_finalizers: they may have names without a slash.
 */
void meta_validate(const struct json *now, name_rule name, bool short_finalizers,
		   struct causes *causes);
void meta_validate_update(const struct json *now, const struct json *old, struct causes *causes);
void meta_set_time(struct json *meta, const char *key, usec_t wall);
/* What clients cannot set: taken from old. */
void meta_keep(struct json *now, const struct json *old);
bool meta_has_finalizer(const struct json *o, const char *name);
void meta_remove_finalizer(struct json *o, const char *name);
