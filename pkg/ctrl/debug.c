/* Answers of the debug endpoint. What is told of a host is the engine's business
 * (engine/describe.c); here the time of the controller's next look comes to it. Nothing is kept
 * between requests: who wants to see a change asks again. Core thread. */

#include "ctrl/debug.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct debug_routes {
	struct provisioner *prov;
	struct loop *loop;
	usec_t (*next)(void *data, const char *key);
	void *data;
};

/* `allow`: the header line of a 405, else NULL. */
static void reply_with(struct web_request *r, int status, const char *allow,
		       const struct json *body)
{
	const char *const headers[] = { "Cache-Control: no-store", allow, NULL };
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	json_print(body, &text);
	strbuf_addc(&text, '\n');
	web_reply(r,
		  &(struct web_reply_head){ .status = status,
					    .content_type = "application/json",
					    .headers = headers },
		  text.data, text.len);
}

static void reply(struct web_request *r, int status, const struct json *body)
{
	reply_with(r, status, NULL, body);
}

static void refuse_with(struct web_request *r, int status, const char *allow, const char *text)
{
	_cleanup_(json_freep) struct json *body = json_new_object();
	json_set_string(body, "error", text);
	reply_with(r, status, allow, body);
}

static void refuse(struct web_request *r, int status, const char *text)
{
	refuse_with(r, status, NULL, text);
}

static void add_next(const struct debug_routes *d, struct json *host)
{
	char text[CLOCK_TEXT_MAX];
	usec_t at = d->next ? d->next(d->data, json_get_string(host, "host")) : 0;
	if (at)
		json_set_string(host, "nextLook",
				clock_format(loop_wall(d->loop) - loop_now(d->loop) + at, text));
}

static void list_hosts(void *data, struct web_request *r, const struct web_match *match)
{
	const struct debug_routes *d = data;
	_cleanup_(json_freep) struct json *body = json_new_object();
	(void)match;
	json_set_string(body, "version", INGOT_VERSION);
	struct json *hosts = json_set(body, "hosts", d->prov->ops->list(d->prov));
	for (struct json *h = json_first_mut(hosts); h; h = json_next_mut(h))
		add_next(d, h);
	json_set(body, "strangers", d->prov->ops->strangers(d->prov));
	reply(r, 200, body);
}

static void show_host(void *data, struct web_request *r, const struct web_match *match)
{
	const struct debug_routes *d = data;
	_cleanup_(freep) char *key = web_param(&match->params, "host");
	_cleanup_(json_freep) struct json *body = d->prov->ops->describe(d->prov, key);
	if (!body) {
		refuse(r, 404, "no such host (yet); GET .../hosts lists those that are known");
		return;
	}
	d->prov->ops->watch(d->prov, key);
	add_next(d, body);
	reply(r, 200, body);
}

static void show_nothing(void *data, struct web_request *r, const struct web_match *match)
{
	(void)data, (void)match;
	refuse(r, 404, "there are /hosts and /hosts/NAMESPACE/NAME");
}

static const struct web_row rows[] = {
	{ WEB_GET, "/hosts[/]", list_hosts, 0, NULL },
	{ WEB_GET, "/hosts/{host...}", show_host, 0, NULL },
	{ WEB_GET, "/{rest...}", show_nothing, 0, NULL },
	{ 0 },
};

static void refuse_method(void *data, struct web_request *r, int status, const char *allow)
{
	(void)data;
	refuse_with(r, status, allow, "read only: GET");
}

const struct web_router debug_routes_router = { .rows = rows, .refuse = refuse_method };

void debug_routes_answer(struct debug_routes *d, struct web_request *r, const char *path)
{
	web_router_run_at(&debug_routes_router, d, r, path);
}

static void dispatch(void *data, struct web_request *r)
{
	web_router_run(&debug_routes_router, data, r);
}

void debug_refuse_standby(struct web_request *r, const char *leader)
{
	_cleanup_(freep) char *text =
		leader ? xasprintf("this instance is a standby; ask the leader, %s", leader)
		       : xstrdup("this instance is not the leader (yet)");
	refuse(r, 503, text);
}

struct debug_routes *debug_routes_new(struct provisioner *p, struct loop *loop,
				      usec_t (*next)(void *data, const char *key), void *data)
{
	struct debug_routes *d = xmalloc(sizeof(*d));
	*d = (struct debug_routes){ p, loop, next, data };
	return d;
}

struct debug_routes *debug_routes_free(struct debug_routes *d)
{
	free(d);
	return NULL;
}

struct web_route debug_routes_row(struct debug_routes *d)
{
	return (struct web_route){ .prefix = "/", .loop = d->loop, .handler = dispatch, .data = d };
}
