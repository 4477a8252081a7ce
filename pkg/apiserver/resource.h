#pragma once
/* The kinds that are served: built-in ones by table, custom ones by their CustomResourceDefinition.
 * One struct resource per group, version and plural. Counted, because a watch may outlive the kind.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/map.h"
#include "schema/causes.h"
#include "schema/jsonpath.h"
#include "schema/schema.h"
#include "json/json.h"

struct answer;
struct apiserver;
struct resource;

struct column {
	char *name, *type, *format, *description;
	int64_t priority;
	struct jsonpath *path; /* custom kinds */
};

enum resource_flags {
	RESOURCE_NAMESPACED = 1,
	RESOURCE_STATUS = 2,		   /* has /status; writes elsewhere leave status alone */
	RESOURCE_UNCONDITIONAL_UPDATE = 4, /* PUT without resourceVersion */
	RESOURCE_CREATE_ON_UPDATE = 8,	   /* PUT of what is not there */
	RESOURCE_GENERATION = 16, /* metadata.generation counts changes of what is wanted */
	RESOURCE_CUSTOM = 32,
	RESOURCE_EXPIRES = 64,	 /* objects go an hour after their last change */
	RESOURCE_FINALIZE = 128, /* has /finalize */
	RESOURCE_SCALE = 256,	 /* has /scale */
	RESOURCE_DEFINES = 512,	 /* its objects define kinds */
};

/* What a built-in kind does by itself. All optional. `old` NULL: the object is new. */
struct resource_ops {
	/* Fills in what the server decides. */
	void (*prepare)(struct apiserver *s, struct answer *out, struct json *now,
			const struct json *old);
	void (*validate)(struct apiserver *s, struct answer *out, const struct json *now,
			 const struct json *old, struct causes *causes);
	/* Negative: it may not be deleted. */
	int (*deleting)(struct apiserver *s, struct answer *out, struct json *object);
	bool (*may_go)(const struct json *object); /* besides having no finalizers */
	bool (*name_valid)(const char *name, struct strbuf *why);
	/* Appends a cell for each column of the table. */
	void (*cells)(usec_t wall, const struct json *object, struct json *cells);
	/* What every object of the kind has, written with ' for ": so nobody owns it. */
	const char *empty;
	/* Fields that selectors may name besides metadata.name and .namespace, NULL-ended. */
	const char *const *fields;
};

struct resource {
	unsigned refs;
	struct list link; /* of the registry, in order */
	char *group, *version, *plural, *singular, *kind, *list_kind;
	char *key;		   /* plural or plural.group: in the store and in messages */
	char *api_version;	   /* "v1", "metal3.io/v1alpha1" */
	char *storage_api_version; /* of the stored text */
	struct json *short_names, *categories; /* arrays */
	struct json *selectable; /* paths that field selectors may name, ".spec.color" */
	unsigned flags;
	/* Of RESOURCE_SCALE: where replicas and selector stand, ".spec.replicas". */
	struct {
		char *spec_path, *status_path, *selector_path; /* selector_path may be NULL */
	} scale;
	struct schema *schema;
	struct column *columns;
	size_t column_count;
	const struct resource_ops *ops;
	const char *source; /* built-in kinds: see builtin_parse() */
	uint64_t since;	    /* objects last written before it are brought in line when read */
	bool terminating;   /* its definition is being deleted: nothing new */
	bool gone;	    /* no longer in the registry */
};

struct registry {
	struct list resources;
	struct map by_path;  /* "group/version/plural" */
	struct schema *meta; /* of metadata, for ownership of fields */
};

void registry_init(struct registry *g);
void registry_done(struct registry *g);
/* Takes r. Replaces one of the same path. */
void registry_add(struct registry *g, struct resource *r);
void registry_remove(struct registry *g, struct resource *r);
struct resource *registry_find(const struct registry *g, const char *group, const char *version,
			       const char *plural);
/* Any version of the kind; NULL when it is not served. */
struct resource *registry_find_kind(const struct registry *g, const char *api_version,
				    const char *kind);
/* The version whose objects are stored. */
struct resource *registry_find_key(const struct registry *g, const char *key);

struct resource *resource_new(void);
struct resource *resource_ref(struct resource *r);
struct resource *resource_unref(struct resource *r);
void resource_set_names(struct resource *r, const char *group, const char *version,
			const char *plural);
void resource_add_column(struct resource *r, struct column column); /* takes the strings */
bool resource_is(const struct resource *r, enum resource_flags flag);
/* "Secret", "BareMetalHost.metal3.io": as errors name kinds. */
char *resource_qualified_kind(const struct resource *r);

/* builtin.c */
void builtin_register(struct registry *g);
