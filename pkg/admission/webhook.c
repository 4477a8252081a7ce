/* The webhook server's handler. Every replica serves it, leader or not, because it needs no state.
 * What is not a review gets 4xx, which an API server shows as a failure of the webhook; a denial is
 * 200 with "allowed": false. Neither is logged above debug, because whoever reaches the port can
 * send any number of them. The handler runs on the route's loop; what has to do with
 * questions, on the client's. */

#include "admission/webhook.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "admission/review.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "metrics/metrics.h"

static const char path_prefix[] = "/validate-metal3-io-v1alpha1-";
static const struct kube_resource hosts = { "metal3.io", "v1alpha1", "baremetalhosts",
					    "BareMetalHost", KUBE_PER_HOST };

struct webhook {
	struct loop *loop;
	struct kube_client *client;
	const char *ns;
	struct web_row *rows;
	struct web_router router;
	struct list questions; /* that the API was asked; the client's loop */
};

/* A review that waits for the list of hosts. */
struct question {
	struct list link;
	struct webhook *webhook;
	struct web_request *request;
	struct review review;
	usec_t since;
	struct kube_op *op;
};

/* `allow`: the header line of a 405, else NULL. */
static void answer_with(struct web_request *r, int status, const char *allow, const char *text)
{
	const char *const headers[] = { allow, NULL };
	const struct web_reply_head head = { .status = status,
					     .content_type = "text/plain; charset=utf-8",
					     .headers = headers };
	web_reply(r, &head, text, strlen(text));
}

static void answer_text(struct web_request *r, int status, const char *text)
{
	answer_with(r, status, NULL, text);
}

/* One that reached a webhook has been answered. */
static void count(const struct web_request *r, const char *status, usec_t took)
{
	const char *path = web_path(r);
	metric_add(METRIC_WEBHOOK_IN_FLIGHT, -1, path);
	metric_add(METRIC_WEBHOOK_REQUESTS, 1, path, status);
	metric_observe(METRIC_WEBHOOK_SECONDS, (double)took / USEC_PER_SEC, path);
}

static void answer(struct web_request *request, const struct review *review, usec_t took)
{
	const struct web_reply_head head = { .status = 200, .content_type = "application/json" };
	_cleanup_(rule_findings_done) struct rule_findings found = { 0 };
	const struct rule_subject *s = &review->subject;
	if (!review->subresource)
		rules_check(s, &found);
	_cleanup_(freep) char *body = review_answer(review, &found);
	if (found.errors.count)
		log_debug("refused", "kind", s->kind, "namespace", s->ns, "name", s->name, "field",
			  found.errors.items[0].field);
	count(request, "200", took);
	web_reply(request, &head, body, strlen(body));
}

/* --- with a list of hosts --------------------------------------------------------------------- */

static void question_free(struct question *q)
{
	list_unlink(&q->link);
	review_done(&q->review);
	free(q);
}

static void on_hosts(void *data, const struct err *err, struct json **list)
{
	struct question *q = data;
	q->review.subject.hosts = err ? NULL : json_get(*list, "items");
	q->review.subject.no_hosts_because = err ? err->text : "the list was empty text";
	answer(q->request, &q->review, loop_now(kube_client_loop(q->webhook->client)) - q->since);
	question_free(q);
}

/* On the client's loop. With --namespace there are hosts, and rights to see them, in that one
 * namespace only; the configuration's namespaceSelector (components/webhook-namespaced, the chart)
 * is why nobody asks about others, whose use we could not see and would deny. */
static void ask_for_hosts(void *data)
{
	const struct kube_list_options all = { 0 };
	struct question *q = data;
	struct webhook *w = q->webhook;
	list_append(&w->questions, &q->link);
	q->op = kube_list(w->client, &hosts, w->ns, &all, on_hosts, q);
}

static void post_question(struct webhook *w, struct web_request *request,
			  const struct review *review, usec_t since)
{
	struct question *q = xcalloc(1, sizeof(*q));
	q->webhook = w;
	q->request = request;
	q->review = *review;
	q->since = since;
	list_init(&q->link);
	loop_post(kube_client_loop(w->client), ask_for_hosts, q);
}

/* --- requests --------------------------------------------------------------------------------- */

/* "application/json", with or without parameters. */
static bool is_json(const struct web_request *r)
{
	const char *type = str_or(web_header(r, "content-type"), "");
	size_t len = strcspn(type, "; \t");
	return len == strlen("application/json") && strncasecmp(type, "application/json", len) == 0;
}

static void take_review(void *data, struct web_request *r, const struct web_match *match)
{
	struct webhook *w = data;
	const struct rule_kind *kind = match->row->arg;
	struct review review;
	struct err err = { 0 };
	size_t len;
	usec_t since = loop_now(w->loop);
	if (!is_json(r)) {
		answer_text(r, 415, "webhooks take application/json\n");
		return;
	}
	metric_add(METRIC_WEBHOOK_IN_FLIGHT, 1, web_path(r));
	const char *body = web_body(r, &len);
	int result = review_parse(body, len, &review, &err);
	if (result == 0 && !streq(review.subject.kind, kind->kind)) {
		result = err_set(&err, ERR_INVALID, "the path is for %s, the request about %s",
				 kind->kind, review.subject.kind);
		review_done(&review);
	}
	if (result < 0) {
		log_debug("webhook: not a review", "peer", web_peer_address(r), "error", err.text);
		count(r, "400", loop_now(w->loop) - since);
		answer_text(r, 400, err.text);
	} else if (!review.subresource && rules_want_hosts(&review.subject)) {
		post_question(w, r, &review, since);
	} else {
		answer(r, &review, loop_now(w->loop) - since);
		review_done(&review);
	}
}

static void refuse(void *data, struct web_request *r, int status, const char *allow)
{
	(void)data;
	answer_with(r, status, allow,
		    status == 405 ? "webhooks are asked by POST\n" : "no webhook at this path\n");
}

static void handle(void *data, struct web_request *r)
{
	struct webhook *w = data;
	web_router_run(&w->router, w, r);
}

/* A row for each kind that has rules. */
static void make_rows(struct webhook *w)
{
	const struct rule_kind *kinds = rules_kinds();
	size_t n = 0;
	while (kinds[n].kind)
		n++;
	w->rows = xcalloc(n + 1, sizeof(*w->rows));
	for (size_t i = 0; i < n; i++)
		w->rows[i] = (struct web_row){ WEB_POST,
					       xasprintf("%s%s", path_prefix, kinds[i].singular),
					       take_review, 0, &kinds[i] };
	w->router = (struct web_router){ .rows = w->rows, .refuse = refuse };
}

static void free_rows(struct webhook *w)
{
	for (struct web_row *row = w->rows; row->pattern; row++)
		free((char *)row->pattern);
	free(w->rows);
}

/* --- life ------------------------------------------------------------------------------------- */

struct webhook *webhook_new(struct loop *loop, struct kube_client *client, const char *ns)
{
	struct webhook *w = xcalloc(1, sizeof(*w));
	*w = (struct webhook){ .loop = loop, .client = client, .ns = ns };
	list_init(&w->questions);
	make_rows(w);
	return w;
}

struct web_route webhook_route(struct webhook *w)
{
	return (struct web_route){ .prefix = "/",
				   .loop = w->loop,
				   .handler = handle,
				   .data = w,
				   .max_body_bytes = REVIEW_BODY_MAX };
}

const struct web_router *webhook_router(const struct webhook *w)
{
	return &w->router;
}

struct webhook *webhook_free(struct webhook *w)
{
	if (!w)
		return NULL;
	for (struct list *l; (l = w->questions.next) != &w->questions;) {
		struct question *q = list_entry(l, struct question, link);
		kube_cancel(q->op);
		answer_text(q->request, 503, "stopping\n");
		question_free(q);
	}
	free_rows(w);
	free(w);
	return NULL;
}
