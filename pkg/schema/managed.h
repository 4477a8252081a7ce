#pragma once
/* metadata.managedFields: who owns which fields of an object, and what each kind of write makes of
 * it. An owner that applies says all that it wants, so what it says no more is removed; an owner by
 * another write (operation Update) has merely set the fields last. Pure. */

#include "schema/typed.h"

enum {
	MANAGER_NAME_MAX = 128,	   /* bytes */
	MANAGERS_UPDATES_MAX = 10, /* entries of operation Update; the oldest become one */
};

/* Who writes. Borrowed texts. */
struct writer {
	const char *manager;
	const char *api_version;
	const char *subresource; /* "" : the object itself */
	const char *time;	 /* RFC 3339 */
};

struct manager {
	char *name, *api_version, *subresource; /* "" when absent */
	char *time;				/* NULL when absent */
	bool applies;
	size_t at; /* in the list that it was read from */
	struct fieldset fields;
};

struct managers {
	struct manager *items; /* by name, Apply before Update, version, subresource */
	size_t count;
};

void schema_managers_done(struct managers *m);
/* -EINVAL, -E2BIG: no list of managedFields that we understand; nothing is kept of it. NULL is an
 * empty list. Entries of another group than api_version's are dropped; some may own nothing. */
int schema_managers_decode(const struct json *list, const char *api_version, struct managers *ret);
/* NULL when there are none. */
struct json *schema_managers_encode(const struct managers *m);
/* The writer's entry, made when absent. */
struct manager *schema_managers_entry(struct managers *m, bool applies, const struct writer *w);
/* Entries without a field go. */
void schema_managers_tidy(struct managers *m);
/* What the server itself decides is nobody's: name, uid and the like. */
void schema_managers_strip(struct fieldset *s);

/* After a write that was no apply: the writer owns what it has changed, and nobody else does. */
void schema_managers_update(struct managers *m, const struct comparison *change,
			    const struct writer *w);

/* --- apply (apply.c) --- */

struct apply {
	struct type type;
	const struct json *live;   /* what is there; of a new object what every one has */
	const struct json *config; /* what is wanted: apiVersion, kind, metadata.name and more */
	struct writer writer;
	bool force;
	const struct fieldset *yielded; /* may be taken from others without force; NULL: none */
};

struct conflict {
	char *manager; /* as errors name it: "kubectl" using v1 */
	char *path;
};

struct conflicts {
	struct conflict *items;
	size_t count;
};

void schema_conflicts_done(struct conflicts *c);
/* The error's text, and for each conflict a text of its own. */
void schema_conflicts_format(const struct conflicts *c, struct strbuf *out);

/* 0: *ret is the new object, without managedFields, and *m says who owns it. -EEXIST: others own
 * fields that would change, ret_conflicts tells; *m is as it was. */
int schema_apply_merge(const struct apply *a, struct managers *m, struct json **ret,
		       struct conflicts *ret_conflicts);
