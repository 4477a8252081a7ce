#pragma once
/* What is to be done in the background: a queue of keys, each in it once. */

#include "base/list.h"

struct apiserver;

enum work_type { WORK_OWNER_GONE, WORK_CHECK, WORK_NAMESPACE, WORK_KIND, WORK_NAMES };

struct work {
	struct list link;
	enum work_type type;
	char *id; /* in work_keys */
	char *resource, *ns, *name;
};

/* OWNER_GONE: uid. CHECK: object's key. NAMESPACE: name. KIND: name of a definition that goes.
 * NAMES: of one that waits for names. */
void work_add(struct apiserver *s, enum work_type type, const char *resource, const char *ns,
	      const char *name);
/* The oldest, which may be added again; NULL: none. The caller frees it. */
struct work *work_take(struct apiserver *s);
void work_free(struct work *w);
