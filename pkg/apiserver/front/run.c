/* A request, or a step of one, in the batch: what it writes is kept or undone as a whole. The
 * server itself is a client here, too: what is to be done in the background is asked for by
 * requests, which go the way of everybody else's. Runs on the server's loop. */

#include <stdlib.h>
#include <string.h>

#include "apiserver/internal.h"
#include "apiserver/roles.h"
#include "base/log.h"
#include "base/mem.h"

static bool writes(const struct api_request *q)
{
	return !streq(q->method, "GET") && !streq(q->method, "HEAD");
}

static void run(struct call *c)
{
	if (call_goes_on(c))
		call_step(c);
	else
		call_run(c);
}

/* A request that fails leaves nothing behind but what it has kept. */
static void run_write(struct apiserver *s, struct call *c)
{
	struct err err;
	if (batch_open(s, &err) < 0 || store_savepoint(s->store, &err) < 0) {
		fail_store(&c->out, &err);
		return;
	}
	s->batch.marked = s->batch.event_count;
	run(c);
	s->batch.requests++;
	if (c->out.status < 400) {
		store_release(s->store);
		return;
	}
	store_revert(s->store);
	batch_drop_events(&s->batch, s->batch.marked);
}

/* Fronts may refuse large bodies earlier; this one counts. */
void run_call(struct call *c)
{
	if (c->in.http->body_len > APISERVER_BODY_MAX)
		fail(&c->out, 413, "RequestEntityTooLarge", "Request entity too large: limit is %d",
		     APISERVER_BODY_MAX);
	else if (writes(c->in.http))
		run_write(c->s, c);
	else
		run(c);
}

/* --- the server's own --- */

/* Names are no worse than segments of a path, so nothing needs an escape. */
static char *path_of(const struct own_request *o)
{
	const struct resource *r = o->resource;
	_cleanup_(strbuf_done) struct strbuf path = { 0 };
	strbuf_addf(&path, "/%s%s%s/%s", str_empty(r->group) ? "api" : "apis",
		    str_empty(r->group) ? "" : "/", r->group, r->version);
	if (resource_is(r, RESOURCE_NAMESPACED))
		strbuf_addf(&path, "/namespaces/%s", o->ns);
	strbuf_addf(&path, "/%s/%s", r->plural, o->name);
	if (o->subresource)
		strbuf_addf(&path, "/%s", o->subresource);
	return strbuf_take(&path, NULL);
}

static void log_failure(const struct call *c)
{
	_cleanup_(json_freep) struct json *status = NULL;
	json_parse(c->out.body.data, c->out.body.len, &status, NULL);
	_cleanup_(freep) char *request = xasprintf("%s %s", c->in.http->method, c->in.http->path);
	log_warn("apiserver: a request of the server itself failed", "request", request, "error",
		 str_or(json_get_string(status, "message"), ""));
}

int own_request(struct apiserver *s, const struct own_request *o)
{
	_cleanup_(freep) char *path = path_of(o), *body = o->body ? json_to_string(o->body) : NULL;
	const struct api_request request = {
		.method = o->method,
		.path = path,
		.query = "fieldManager=ingot",
		.content_type = streq(o->method, "PATCH") ? "application/merge-patch+json"
							  : json_type_text,
		.accept = json_type_text,
		.user = "system:ingot",
		.groups = role_group("admin"),
		.body = str_or(body, ""),
		.body_len = body ? strlen(body) : 0
	};
	struct call c;
	call_init(&c, s, &request);
	c.in.own = true;
	run_call(&c);
	int status = c.out.status;
	if (status >= 400)
		log_failure(&c);
	call_done(&c);
	return status;
}
