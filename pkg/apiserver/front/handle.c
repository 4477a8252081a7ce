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
static bool resolve(struct apiserver *s, struct request *in, struct segments *g)
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
	struct resource *r = registry_find(&s->registry, group, version, g->items[plural]);
	if (!r || g->count > plural + 3 || (scoped && !resource_is(r, RESOURCE_NAMESPACED)))
		return false;
	in->resource = resource_ref(r);
	take(g, scoped ? at + 1 : SEGMENTS_MAX, &in->ns);
	take(g, plural + 1, &in->name);
	take(g, plural + 2, &in->subresource);
	return true;
}

/* --- verbs --- */

static bool subresource_served(const struct request *in)
{
	const struct resource *r = in->resource;
	return *in->subresource == '\0' ||
	       (streq(in->subresource, "status") && resource_is(r, RESOURCE_STATUS)) ||
	       (streq(in->subresource, "finalize") && resource_is(r, RESOURCE_FINALIZE)) ||
	       (streq(in->subresource, "scale") && resource_is(r, RESOURCE_SCALE));
}

/* The words of two servers: that of built-in kinds and that of custom ones. */
static int method_not_allowed(const struct request *in, struct answer *out)
{
	if (!resource_is(in->resource, RESOURCE_CUSTOM))
		return fail(out, 405, "MethodNotAllowed",
			    "the server does not allow this method on the requested resource");
	return fail_named(out, 405, "MethodNotAllowed", in->resource, NULL,
			  "%s is not supported on resources of kind \"%s\"", access_verb(in, true),
			  in->resource->key);
}

/* Of a custom kind without a name. */
static int name_missing(struct answer *out)
{
	return fail(out, 400, "BadRequest", "name must be provided");
}

static bool reads_or_changes(const char *method)
{
	return streq(method, "GET") || streq(method, "PUT") || streq(method, "PATCH");
}

static int run_on_one(struct apiserver *s, struct request *in, struct answer *out,
		      const char *method)
{
	bool main = *in->subresource == '\0';
	if (streq(in->subresource, "finalize") && !streq(method, "PUT"))
		return method_not_allowed(in, out);
	if (streq(in->subresource, "scale") && reads_or_changes(method))
		return verb_scale(s, in, out);
	if (streq(method, "GET"))
		return verb_get(s, in, out);
	if (streq(method, "PUT"))
		return verb_update(s, in, out);
	if (streq(method, "PATCH"))
		return verb_patch(s, in, out);
	if (streq(method, "DELETE") && main)
		return verb_delete(s, in, out);
	return method_not_allowed(in, out);
}

static bool may_delete_all(const struct resource *r)
{
	return !resource_is(r, RESOURCE_FINALIZE); /* namespaces go one by one */
}

static int run_on_all(struct call *c, const char *method)
{
	if (streq(method, "GET"))
		return c->in.query.watch ? verb_watch(c->s, &c->in, &c->out) : verb_list(c);
	if (streq(method, "POST"))
		return verb_create(c->s, &c->in, &c->out);
	if (streq(method, "DELETE") && may_delete_all(c->in.resource))
		return verb_delete_collection(c);
	if (resource_is(c->in.resource, RESOURCE_CUSTOM) && reads_or_changes(method))
		return name_missing(&c->out);
	return method_not_allowed(&c->in, &c->out);
}

/* Below built-in groups upstream answers as an API, elsewhere as a web server. */
static void not_found(const struct request *in, struct answer *out)
{
	static const char *const built_in[] = { "/api/v1/", "/apis/coordination.k8s.io/v1/",
						"/apis/apiextensions.k8s.io/v1/" };
	for (size_t i = 0; i < ARRAY_SIZE(built_in); i++)
		if (str_has_prefix(in->http->path, built_in[i])) {
			fail(out, 404, "NotFound",
			     "the server could not find the requested resource");
			return;
		}
	answer_text(out, 404, "404 page not found\n");
}

static int run_verb(struct call *c)
{
	const char *method = c->in.http->method;
	bool one = *c->in.name != '\0';
	if (!subresource_served(&c->in)) {
		if (resource_is(c->in.resource, RESOURCE_CUSTOM))
			return fail_not_found(&c->out, c->in.resource, c->in.name);
		not_found(&c->in, &c->out);
		return ANSWERED;
	}
	if (streq(c->in.name, ".") || streq(c->in.name, ".."))
		return fail(&c->out, 400, "BadRequest",
			    "Name parameter invalid: \"%s\": may not be '%s'", c->in.name,
			    c->in.name);
	/* Across namespaces one can only look. */
	if (resource_is(c->in.resource, RESOURCE_NAMESPACED) && *c->in.ns == '\0' &&
	    (one || !streq(method, "GET"))) {
		if (!one)
			return method_not_allowed(&c->in, &c->out);
		not_found(&c->in, &c->out);
		return ANSWERED;
	}
	return one ? run_on_one(c->s, &c->in, &c->out, method) : run_on_all(c, method);
}

static void run_document(struct apiserver *s, struct request *in, struct answer *out,
			 const char *path)
{
	bool reads = streq(in->http->method, "GET") || streq(in->http->method, "HEAD");
	if (!reads || (!discovery_handle(s, in, out, path) && !openapi_handle(s, in, out, path)))
		not_found(in, out);
}

/* Of no path of the API: the list of paths, for who reads. */
static void run_outside(struct apiserver *s, const struct request *in, struct answer *out)
{
	bool reads = streq(in->http->method, "GET") || streq(in->http->method, "HEAD");
	if (!streq(in->http->path, "/") || !reads || !discovery_handle(s, in, out, "/"))
		answer_text(out, 404, "404 page not found\n");
}

void call_run(struct call *c)
{
	_cleanup_(segments_done) struct segments g;
	if (!split(c->in.http->path, &g)) {
		run_outside(c->s, &c->in, &c->out);
		return;
	}
	/* OpenAPI has media types of its own, and looks at Accept itself. */
	bool openapi = str_has_prefix(c->in.http->path, "/openapi/");
	if (call_parse_query(&c->in, &c->out) < 0 ||
	    (!openapi && call_parse_accept(&c->in, &c->out) < 0))
		return;
	if (access_check(&c->in, &c->out, g.items, g.count) < 0 ||
	    access_handle(c->s, &c->in, &c->out))
		return;
	if (resolve(c->s, &c->in, &g))
		run_verb(c);
	else
		run_document(c->s, &c->in, &c->out, c->in.http->path);
}
