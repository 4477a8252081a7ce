/* Requests for metrics. One comes on the health's loop, goes as a ticket to the loop of the
 * reviewer, where its token is looked at and figures that depend on the time are set, and comes
 * back to be answered; the page is made on the health's thread, where a slow one holds up nobody.
 * A ticket belongs to the loop that has it. */

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "health/internal.h"
#include "metrics/metrics.h"

struct scrapes {
	struct loop *own, *loop;
	struct kube_reviewer *reviewer;
	void (*measure)(void *data);
	void *data;
};

struct ticket {
	struct scrapes *scrapes;
	struct web_request *request;
	char *token; /* NULL: none was given */
	enum kube_access access;
};

static void reply(struct web_request *r, int status, const char *type, const char *text, size_t len)
{
	static const char *const headers[] = { "Cache-Control: no-store", NULL };
	const struct web_reply_head head = { .status = status,
					     .content_type = type,
					     .headers = headers };
	web_reply(r, &head, text, len);
}

static void refuse(struct web_request *r, int status, const char *text)
{
	reply(r, status, "text/plain; charset=utf-8", text, strlen(text));
}

static void show(struct web_request *r)
{
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	metrics_measure_process();
	metrics_text(&text);
	reply(r, 200, "text/plain; version=0.0.4; charset=utf-8", text.data, text.len);
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
		refuse(r, 403, "Forbidden: this account may not get the path /metrics\n");
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
	(void)err; /* logged by the reviewer */
	send_back(data, access);
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
		kube_review(s->reviewer, t->token, on_review, t);
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

void scrapes_handle(void *data, struct web_request *r)
{
	struct scrapes *s = data;
	if (!streq(web_method(r), "GET") && !streq(web_method(r), "HEAD")) {
		refuse(r, 405, "GET and HEAD only\n");
		return;
	}
	if (!streq(web_path(r), "/metrics")) {
		refuse(r, 404, "there is /metrics\n");
		return;
	}
	struct ticket *t = xmalloc(sizeof(*t));
	*t = (struct ticket){ .scrapes = s, .request = r, .token = bearer(r) };
	loop_post(s->loop, on_ticket, t);
}

struct scrapes *scrapes_new(const struct health_options *options, struct loop *own)
{
	struct scrapes *s = xmalloc(sizeof(*s));
	*s = (struct scrapes){ own, options->loop, options->reviewer, options->measure,
			       options->data };
	return s;
}

struct scrapes *scrapes_free(struct scrapes *s)
{
	free(s);
	return NULL;
}
