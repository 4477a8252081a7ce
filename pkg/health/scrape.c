/* Requests for metrics, and for what is below /debug. One comes on the health's loop, goes as a
 * ticket to the loop of the reviewer, where its token is looked at and figures that depend on the
 * time are set, and comes back to be answered; the page of metrics is made on the health's thread,
 * where a slow one holds up no loop. What is below /debug is told by the other loop, which owns it.
 * A ticket belongs to the loop that has it. */

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "health/internal.h"
#include "metrics/metrics.h"

static const char metrics_path[] = "/metrics", debug_path[] = "/debug";

/* Of /debug/hosts/NAMESPACE/NAME: what is longer is not a host, and is refused unread. */
enum { PATH_MAX_BYTES = 400 };

struct scrapes {
	struct loop *own, *loop;
	struct kube_reviewer *reviewer;
	void (*measure)(void *data);
	void (*debug)(void *data, struct web_request *r, const char *path);
	void *data;
};

struct ticket {
	struct scrapes *scrapes;
	struct web_request *request;
	const char *path; /* the request's, or metrics_path */
	char *token;	  /* NULL: none was given */
	enum kube_access access;
};

static void refuse_with(struct web_request *r, int status, const char *allow, const char *text)
{
	const char *const headers[] = { "Cache-Control: no-store", allow, NULL };
	const struct web_reply_head head = { .status = status,
					     .content_type = "text/plain; charset=utf-8",
					     .headers = headers };
	web_reply(r, &head, text, strlen(text));
}

static void refuse(struct web_request *r, int status, const char *text)
{
	refuse_with(r, status, NULL, text);
}

static void forbid(struct web_request *r, const char *path)
{
	_cleanup_(freep) char *text = xasprintf("Forbidden: this account may not get the path %s\n",
						path);
	refuse(r, 403, text);
}

static void show(struct web_request *r)
{
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	metrics_measure_process();
	metrics_text(&text);
	static const char *const headers[] = { "Cache-Control: no-store", NULL };
	const struct web_reply_head head = {
		.status = 200,
		.content_type = "text/plain; version=0.0.4; charset=utf-8",
		.headers = headers
	};
	web_reply(r, &head, text.data, text.len);
}

/* --- back on the health's loop ---------------------------------------------------------------- */

static void on_back(void *data)
{
	_cleanup_(freep) struct ticket *t = data;
	struct web_request *r = t->request;
	secret_free(t->token);
	switch (t->access) {
	case KUBE_ACCESS_ALLOWED:
		show(r);
		break;
	case KUBE_ACCESS_UNKNOWN:
		refuse(r, 401, "Unauthorized: a bearer token that the cluster knows is needed\n");
		break;
	case KUBE_ACCESS_FORBIDDEN:
		forbid(r, t->path);
		break;
	case KUBE_ACCESS_FAILED:
		refuse(r, 503, "the cluster could not be asked whose token this is\n");
		break;
	}
}

static void send_back(struct ticket *t, enum kube_access access)
{
	t->access = access;
	loop_post(t->scrapes->own, on_back, t);
}

/* --- on the reviewer's loop ------------------------------------------------------------------- */

static void on_review(void *data, enum kube_access access, const struct err *err)
{
	_cleanup_(freep) struct ticket *t = data;
	const struct scrapes *s = t->scrapes;
	(void)err; /* logged by the reviewer */
	if (access != KUBE_ACCESS_ALLOWED || t->path == metrics_path) {
		send_back(TAKE_PTR(t), access);
		return;
	}
	secret_free(t->token);
	s->debug(s->data, t->request, t->path + strlen(debug_path));
}

static void on_ticket(void *data)
{
	struct ticket *t = data;
	struct scrapes *s = t->scrapes;
	if (s->measure)
		s->measure(s->data);
	if (!s->reviewer)
		send_back(t, KUBE_ACCESS_ALLOWED);
	else if (!t->token)
		send_back(t, KUBE_ACCESS_UNKNOWN);
	else
		kube_review(s->reviewer, t->token, t->path, on_review, t);
}

/* --- requests --------------------------------------------------------------------------------- */

static char *bearer(const struct web_request *r)
{
	static const char scheme[] = "Bearer ";
	const char *header = web_header(r, "authorization");
	if (!header || !str_has_prefix(header, scheme) || header[sizeof(scheme) - 1] == '\0')
		return NULL;
	return xstrdup(header + sizeof(scheme) - 1);
}

static void send_ticket(struct scrapes *s, struct web_request *r, const char *path)
{
	struct ticket *t = xmalloc(sizeof(*t));
	*t = (struct ticket){ .scrapes = s, .request = r, .path = path, .token = bearer(r) };
	loop_post(s->loop, on_ticket, t);
}

static void ask_metrics(void *data, struct web_request *r, const struct web_match *match)
{
	(void)match;
	send_ticket(data, r, metrics_path);
}

static void no_metrics(void *data, struct web_request *r, const struct web_match *match)
{
	(void)data, (void)match;
	refuse(r, 404, "there is /metrics\n");
}

static void no_debug(void *data, struct web_request *r, const struct web_match *match)
{
	(void)data, (void)match;
	refuse(r, 404, "there are /debug/hosts and /debug/hosts/NAMESPACE/NAME\n");
}

/* The cluster is asked about the path as it was sent: nothing is decoded or shortened before it is
 * looked up, either. */
static void ask_debug(void *data, struct web_request *r, const struct web_match *match)
{
	if (strlen(web_path(r)) > PATH_MAX_BYTES)
		no_debug(data, r, match);
	else
		send_ticket(data, r, web_path(r));
}

static const struct web_row metrics_rows[] = {
	{ WEB_READ, "/metrics", ask_metrics, 0, NULL },
	{ WEB_READ, "/{rest...}", no_metrics, 0, NULL },
	{ 0 },
};

static const struct web_row debug_rows[] = {
	{ WEB_GET, "/debug/hosts", ask_debug, 0, NULL },
	{ WEB_GET, "/debug/hosts/{host...}", ask_debug, 0, NULL },
	{ WEB_GET, "/{rest...}", no_debug, 0, NULL },
	{ 0 },
};

static void refuse_metrics(void *data, struct web_request *r, int status, const char *allow)
{
	(void)data;
	refuse_with(r, status, allow, "GET and HEAD only\n");
}

static void refuse_debug(void *data, struct web_request *r, int status, const char *allow)
{
	(void)data;
	refuse_with(r, status, allow, "GET only\n");
}

const struct web_router metrics_router = { .rows = metrics_rows, .refuse = refuse_metrics };
const struct web_router debug_router = { .rows = debug_rows, .refuse = refuse_debug };

void health_scrapes_handle(void *data, struct web_request *r)
{
	web_router_run(&metrics_router, data, r);
}

void health_scrapes_handle_debug(void *data, struct web_request *r)
{
	web_router_run(&debug_router, data, r);
}

struct scrapes *health_scrapes_new(const struct health_options *options, struct loop *own)
{
	struct scrapes *s = xmalloc(sizeof(*s));
	*s = (struct scrapes){ .own = own,
			       .loop = options->loop,
			       .reviewer = options->reviewer,
			       .measure = options->measure,
			       .debug = options->debug,
			       .data = options->data };
	return s;
}

struct scrapes *health_scrapes_free(struct scrapes *s)
{
	free(s);
	return NULL;
}
