/* From a path to a verb. Paths of objects:
 *
 *   /api/v1/[namespaces/NS/]PLURAL[/NAME[/SUBRESOURCE]]
 *   /apis/GROUP/VERSION/[namespaces/NS/]PLURAL[/NAME[/SUBRESOURCE]]
 *
 * Everything else is a review of oneself (access.c) or a document: discovery, OpenAPI, health,
 * version. */

#include <stdlib.h>
#include <string.h>

#include "apiserver/internal.h"
#include "base/mem.h"

enum { SEGMENTS_MAX = 9 };

struct segments {
	char *items[SEGMENTS_MAX];
	size_t count;
};

static void segments_done(struct segments *g)
{
	for (size_t i = 0; i < g->count; i++)
		free(g->items[i]);
}

/* False when there are too many or one is empty or malformed. */
static bool split(const char *path, struct segments *g)
{
	*g = (struct segments){ 0 };
	const char *p = path + (*path == '/');
	while (*p) {
		size_t len = strcspn(p, "/");
		char *segment = g->count < SEGMENTS_MAX && len > 0 ? url_decode(p, len, false)
								   : NULL;
		if (!segment)
			return false;
		g->items[g->count++] = segment;
		p += len;
		if (*p == '/' && *++p == '\0')
			return true; /* one slash at the end is let pass */
	}
	return g->count > 0;
}

static void take(struct segments *g, size_t at, char **ret)
{
	free(*ret);
	*ret = at < g->count ? TAKE_PTR(g->items[at]) : xstrdup("");
}

/* Fills the call's target; false when the path names no kind that is served. */
static bool resolve(struct call *c, struct segments *g)
{
	bool core = streq(g->items[0], "api");
	size_t at = core ? 2 : 3;
	if ((!core && !streq(g->items[0], "apis")) || g->count <= at)
		return false;
	const char *group = core ? "" : g->items[1], *version = g->items[at - 1];
	bool scoped = g->count > at + 2 && streq(g->items[at], "namespaces");
	/* "namespaces/x/status" is a namespace's own. */
	if (scoped && core && g->count == at + 3 &&
	    (streq(g->items[at + 2], "status") || streq(g->items[at + 2], "finalize")))
		scoped = false;
	size_t plural = scoped ? at + 2 : at;
	struct resource *r = registry_find(&c->s->registry, group, version, g->items[plural]);
	if (!r || g->count > plural + 3 || (scoped && !resource_is(r, RESOURCE_NAMESPACED)))
		return false;
	c->resource = resource_ref(r);
	take(g, scoped ? at + 1 : SEGMENTS_MAX, &c->ns);
	take(g, plural + 1, &c->name);
	take(g, plural + 2, &c->subresource);
	return true;
}

/* --- verbs --- */

static bool subresource_served(const struct call *c)
{
	const struct resource *r = c->resource;
	return *c->subresource == '\0' ||
	       (streq(c->subresource, "status") && resource_is(r, RESOURCE_STATUS)) ||
	       (streq(c->subresource, "finalize") && resource_is(r, RESOURCE_FINALIZE)) ||
	       (streq(c->subresource, "scale") && resource_is(r, RESOURCE_SCALE));
}

/* The words of two servers: that of built-in kinds and that of custom ones. */
static int method_not_allowed(struct call *c)
{
	if (!resource_is(c->resource, RESOURCE_CUSTOM))
		return fail(c, 405, "MethodNotAllowed",
			    "the server does not allow this method on the requested resource");
	return fail_named(c, 405, "MethodNotAllowed", c->resource, NULL,
			  "%s is not supported on resources of kind \"%s\"", access_verb(c, true),
			  c->resource->key);
}

/* Of a custom kind without a name. */
static int name_missing(struct call *c)
{
	return fail(c, 400, "BadRequest", "name must be provided");
}

static bool reads_or_changes(const char *method)
{
	return streq(method, "GET") || streq(method, "PUT") || streq(method, "PATCH");
}

static int run_on_one(struct call *c, const char *method)
{
	bool main = *c->subresource == '\0';
	if (streq(c->subresource, "finalize") && !streq(method, "PUT"))
		return method_not_allowed(c);
	if (streq(c->subresource, "scale") && reads_or_changes(method))
		return verb_scale(c);
	if (streq(method, "GET"))
		return verb_get(c);
	if (streq(method, "PUT"))
		return verb_update(c);
	if (streq(method, "PATCH"))
		return verb_patch(c);
	if (streq(method, "DELETE") && main)
		return verb_delete(c);
	return method_not_allowed(c);
}

static bool may_delete_all(const struct resource *r)
{
	return !resource_is(r, RESOURCE_FINALIZE); /* namespaces go one by one */
}

static int run_on_all(struct call *c, const char *method)
{
	if (streq(method, "GET"))
		return c->query.watch ? verb_watch(c) : verb_list(c);
	if (streq(method, "POST"))
		return verb_create(c);
	if (streq(method, "DELETE") && may_delete_all(c->resource))
		return verb_delete_collection(c);
	if (resource_is(c->resource, RESOURCE_CUSTOM) && reads_or_changes(method))
		return name_missing(c);
	return method_not_allowed(c);
}

/* Below built-in groups upstream answers as an API, elsewhere as a web server. */
static void not_found(struct call *c)
{
	static const char *const built_in[] = { "/api/v1/", "/apis/coordination.k8s.io/v1/",
						"/apis/apiextensions.k8s.io/v1/" };
	for (size_t i = 0; i < ARRAY_SIZE(built_in); i++)
		if (str_has_prefix(c->request->path, built_in[i])) {
			fail(c, 404, "NotFound",
			     "the server could not find the requested resource");
			return;
		}
	answer_text(c, 404, "404 page not found\n");
}

static int run_verb(struct call *c)
{
	const char *method = c->request->method;
	bool one = *c->name != '\0';
	if (!subresource_served(c)) {
		if (resource_is(c->resource, RESOURCE_CUSTOM))
			return fail_not_found(c, c->resource, c->name);
		not_found(c);
		return ANSWERED;
	}
	if (streq(c->name, ".") || streq(c->name, ".."))
		return fail(c, 400, "BadRequest", "Name parameter invalid: \"%s\": may not be '%s'",
			    c->name, c->name);
	/* Across namespaces one can only look. */
	if (resource_is(c->resource, RESOURCE_NAMESPACED) && *c->ns == '\0' &&
	    (one || !streq(method, "GET"))) {
		if (!one)
			return method_not_allowed(c);
		not_found(c);
		return ANSWERED;
	}
	return one ? run_on_one(c, method) : run_on_all(c, method);
}

static void run_document(struct call *c, const char *path)
{
	bool reads = streq(c->request->method, "GET") || streq(c->request->method, "HEAD");
	if (!reads || (!discovery_handle(c, path) && !openapi_handle(c, path)))
		not_found(c);
}

/* Of no path of the API: the list of paths, for who reads. */
static void run_outside(struct call *c)
{
	bool reads = streq(c->request->method, "GET") || streq(c->request->method, "HEAD");
	if (!streq(c->request->path, "/") || !reads || !discovery_handle(c, "/"))
		answer_text(c, 404, "404 page not found\n");
}

void call_run(struct call *c)
{
	_cleanup_(segments_done) struct segments g;
	if (!split(c->request->path, &g)) {
		run_outside(c);
		return;
	}
	/* OpenAPI has media types of its own, and looks at Accept itself. */
	bool openapi = str_has_prefix(c->request->path, "/openapi/");
	if (call_parse_query(c) < 0 || (!openapi && call_parse_accept(c) < 0))
		return;
	if (access_check(c, g.items, g.count) < 0 || access_handle(c))
		return;
	if (resolve(c, &g))
		run_verb(c);
	else
		run_document(c, c->request->path);
}
