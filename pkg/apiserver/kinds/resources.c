/* The registry: which kinds are served, in the order in which discovery shows them. */

#include "apiserver/resource.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

struct resource *resource_new(void)
{
	struct resource *r = xcalloc(1, sizeof(*r));
	r->refs = 1;
	list_init(&r->link);
	return r;
}

struct resource *resource_ref(struct resource *r)
{
	r->refs++;
	return r;
}

static void column_done(struct column *c)
{
	free(c->name);
	free(c->type);
	free(c->format);
	free(c->description);
	jsonpath_free(c->path);
}

struct resource *resource_unref(struct resource *r)
{
	if (!r || --r->refs > 0)
		return NULL;
	for (size_t i = 0; i < r->column_count; i++)
		column_done(&r->columns[i]);
	free(r->columns);
	free(r->group);
	free(r->version);
	free(r->plural);
	free(r->scale.spec_path);
	free(r->scale.status_path);
	free(r->scale.selector_path);
	free(r->singular);
	free(r->kind);
	free(r->list_kind);
	free(r->key);
	free(r->api_version);
	free(r->storage_api_version);
	json_free(r->short_names);
	json_free(r->categories);
	json_free(r->selectable);
	schema_free(r->schema);
	free(r);
	return NULL;
}

void resource_set_names(struct resource *r, const char *group, const char *version,
			const char *plural)
{
	bool core = *group == '\0';
	r->group = xstrdup(group);
	r->version = xstrdup(version);
	r->plural = xstrdup(plural);
	r->key = core ? xstrdup(plural) : xasprintf("%s.%s", plural, group);
	r->api_version = core ? xstrdup(version) : xasprintf("%s/%s", group, version);
	r->storage_api_version = xstrdup(r->api_version);
}

void resource_add_column(struct resource *r, struct column column)
{
	r->columns = xreallocarray(r->columns, r->column_count + 1, sizeof(*r->columns));
	r->columns[r->column_count++] = column;
}

bool resource_is(const struct resource *r, enum resource_flags flag)
{
	return r->flags & flag;
}

char *resource_qualified_kind(const struct resource *r)
{
	return *r->group ? xasprintf("%s.%s", r->kind, r->group) : xstrdup(r->kind);
}

/* --- the registry --- */

static char *path_of(const char *group, const char *version, const char *plural)
{
	return xasprintf("%s/%s/%s", group, version, plural);
}

void registry_init(struct registry *g)
{
	*g = (struct registry){ 0 };
	list_init(&g->resources);
}

/* Watches may still hold it; `gone` tells them to end. */
static void forget(struct resource *r)
{
	list_unlink(&r->link);
	r->gone = true;
	resource_unref(r);
}

void registry_done(struct registry *g)
{
	list_for_each_safe(l, &g->resources)
		forget(list_entry(l, struct resource, link));
	map_done(&g->by_path);
	schema_free(g->meta);
}

/* The newcomer takes its predecessor's place in the order, so that discovery does not jump about.
 */
void registry_add(struct registry *g, struct resource *r)
{
	_cleanup_(freep) char *path = path_of(r->group, r->version, r->plural);
	struct resource *old = map_set(&g->by_path, path, r);
	list_insert_before(old ? &old->link : &g->resources, &r->link);
	if (old)
		forget(old);
}

void registry_remove(struct registry *g, struct resource *r)
{
	_cleanup_(freep) char *path = path_of(r->group, r->version, r->plural);
	map_remove(&g->by_path, path);
	forget(r);
}

struct resource *registry_find(const struct registry *g, const char *group, const char *version,
			       const char *plural)
{
	_cleanup_(freep) char *path = path_of(group, version, plural);
	return map_get(&g->by_path, path);
}

/* "group/version" or, for core kinds, "version". */
static bool same_group(const struct resource *r, const char *api_version)
{
	const char *slash = strchr(api_version, '/');
	size_t len = slash ? (size_t)(slash - api_version) : 0;
	return strlen(r->group) == len && strncmp(r->group, api_version, len) == 0;
}

/* Owner references name a version, but an owner is the same object in all of them. */
struct resource *registry_find_kind(const struct registry *g, const char *api_version,
				    const char *kind)
{
	list_for_each(l, &g->resources) {
		struct resource *r = list_entry(l, struct resource, link);
		if (streq(r->kind, kind) && same_group(r, api_version))
			return r;
	}
	return NULL;
}

struct resource *registry_find_key(const struct registry *g, const char *key)
{
	struct resource *any = NULL;
	list_for_each(l, &g->resources) {
		struct resource *r = list_entry(l, struct resource, link);
		if (!streq(r->key, key))
			continue;
		any = r;
		if (streq(r->api_version, r->storage_api_version))
			return r;
	}
	return any;
}
