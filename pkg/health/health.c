/* The thread and its checks. A question is a message that lies in the check itself: at most one per
 * check is on its way, so nothing is lost or freed twice when a loop ends with one in its queue.
 * What stands in a check belongs to the health's loop, but `answer`, which the watched loop writes
 * while it has the message. */

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "health/internal.h"
#include "loop/thread.h"

#define INTERVAL (2 * USEC_PER_SEC)

enum { CHECKS_MAX = 8 };

struct check {
	struct health_check row;
	struct health *health;
	bool asked, answered; /* a question is on its way; an answer has come at least once */
	usec_t asked_at;
	const char *answer;  /* of the question under way */
	const char *trouble; /* the last answer; NULL: well */
	bool told;	     /* the log says that it fails */
};

struct health {
	struct health_options options;
	struct loop *loop; /* of the thread */
	struct loop_thread thread;
	struct check checks[CHECKS_MAX];
	size_t count;
	struct timer timer;
	struct scrapes *scrapes;
	struct web_route routes[3], metrics_routes[3];
};

/* --- questions -------------------------------------------------------------------------------- */

static void on_answer(void *data)
{
	struct check *c = data;
	c->asked = false;
	c->answered = true;
	c->trouble = c->answer;
}

/* On the watched loop. */
static void on_question(void *data)
{
	struct check *c = data;
	c->answer = c->row.probe ? c->row.probe(c->row.data) : NULL;
	loop_post(c->health->loop, on_answer, c);
}

/* NULL: well. */
static const char *trouble_of(const struct check *c, unsigned kind)
{
	usec_t now = loop_now(c->health->loop);
	if (c->asked && now - c->asked_at > c->health->options.silence)
		return "its loop gives no sign of life";
	if (!c->answered && kind == HEALTH_READY)
		return "not asked yet";
	return c->row.kinds & HEALTH_NOTE ? NULL : c->trouble;
}

/* A process that is about to be killed for it should have said why. */
static void tell(struct check *c)
{
	const char *trouble = trouble_of(c, HEALTH_LIVE);
	bool bad = trouble && c->row.kinds & HEALTH_LIVE;
	if (bad && !c->told)
		log_error("this process is not healthy", "check", c->row.name, "trouble", trouble);
	if (!bad && c->told)
		log_info("this process is healthy again", "check", c->row.name);
	c->told = bad;
}

static void on_timer(void *data)
{
	struct health *h = data;
	for (size_t i = 0; i < h->count; i++) {
		struct check *c = &h->checks[i];
		tell(c);
		if (c->asked)
			continue;
		c->asked = true;
		c->asked_at = loop_now(h->loop);
		loop_post(c->row.loop, on_question, c);
	}
	timer_set_in(&h->timer, INTERVAL);
}

/* --- answers ---------------------------------------------------------------------------------- */

/* `allow`: the header line of a 405, else NULL. */
static void reply_with(struct web_request *r, int status, const char *allow, const char *text)
{
	const char *const headers[] = { "X-Content-Type-Options: nosniff",
					"Cache-Control: no-store", allow, NULL };
	const struct web_reply_head head = { .status = status,
					     .content_type = "text/plain; charset=utf-8",
					     .headers = headers };
	web_reply(r, &head, text, strlen(text));
}

static void reply(struct web_request *r, int status, const char *text)
{
	reply_with(r, status, NULL, text);
}

static bool excluded(const struct web_request *r, const char *name)
{
	_cleanup_(freep) char *exclude = web_query_param(r, "exclude");
	return streq(exclude, name);
}

static bool asks_verbose(const struct web_request *r)
{
	_cleanup_(freep) char *verbose = web_query_param(r, "verbose");
	return verbose != NULL;
}

static void reply_one(struct web_request *r, const char *name, const char *trouble,
		      const char *note)
{
	_cleanup_(freep) char *text = xasprintf("%s: %s\n", name, trouble ? trouble : "");
	_cleanup_(freep) char *good = note ? xasprintf("ok: %s\n", note) : xstrdup("ok");
	reply(r, trouble ? 500 : 200, trouble ? text : good);
}

/* Which question a path asks. */
struct side {
	unsigned kind;
	const char *what;
};

static const struct side live = { HEALTH_LIVE, "healthz" }, ready = { HEALTH_READY, "readyz" };

static void answer_all(void *data, struct web_request *r, const struct web_match *match)
{
	const struct health *h = data;
	const struct side *side = match->row->arg;
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	bool bad = false;
	strbuf_adds(&text, "[+]ping ok\n");
	for (size_t i = 0; i < h->count; i++) {
		const struct check *c = &h->checks[i];
		if (!(c->row.kinds & side->kind) || excluded(r, c->row.name))
			continue;
		const char *trouble = trouble_of(c, side->kind);
		bad |= trouble != NULL;
		if (c->row.kinds & HEALTH_NOTE && !trouble && c->trouble)
			strbuf_addf(&text, "[+]%s ok: %s\n", c->row.name, c->trouble);
		else if (trouble)
			strbuf_addf(&text, "[-]%s failed: %s\n", c->row.name, trouble);
		else
			strbuf_addf(&text, "[+]%s ok\n", c->row.name);
	}
	strbuf_addf(&text, "%s check %s\n", side->what, bad ? "failed" : "passed");
	if (bad || asks_verbose(r))
		reply(r, bad ? 500 : 200, text.data);
	else
		reply(r, 200, "ok");
}

static void answer_ping(void *data, struct web_request *r, const struct web_match *match)
{
	(void)data, (void)match;
	reply(r, 200, "ok");
}

static void answer_one(void *data, struct web_request *r, const struct web_match *match)
{
	const struct health *h = data;
	const struct side *side = match->row->arg;
	_cleanup_(freep) char *name = web_param(&match->params, "check");
	for (size_t i = 0; i < h->count; i++) {
		const struct check *c = &h->checks[i];
		if (!(c->row.kinds & side->kind) || !streq(c->row.name, name))
			continue;
		reply_one(r, name, trouble_of(c, side->kind),
			  c->row.kinds & HEALTH_NOTE ? c->trouble : NULL);
		return;
	}
	reply(r, 404, "no such check; ?verbose lists them\n");
}

static const struct web_row rows[] = {
	{ WEB_READ, "/healthz[/]", answer_all, 0, &live },
	{ WEB_READ, "/healthz/ping", answer_ping, 0, NULL },
	{ WEB_READ, "/healthz/{check...}", answer_one, 0, &live },
	{ WEB_READ, "/readyz[/]", answer_all, 0, &ready },
	{ WEB_READ, "/readyz/ping", answer_ping, 0, NULL },
	{ WEB_READ, "/readyz/{check...}", answer_one, 0, &ready },
	{ 0 },
};

static void refuse(void *data, struct web_request *r, int status, const char *allow)
{
	(void)data;
	reply_with(r, status, allow, status == 405 ? "GET and HEAD only\n" : "not found\n");
}

const struct web_router health_router = { .rows = rows, .refuse = refuse };

static void on_request(void *data, struct web_request *r)
{
	web_router_run(&health_router, data, r);
}

const struct web_route *health_routes(const struct health *h)
{
	return h->routes;
}

const struct web_route *health_metrics_routes(const struct health *h)
{
	return h->metrics_routes;
}

/* --- life ------------------------------------------------------------------------------------- */

static void add_checks(struct health *h, const struct health_check *checks)
{
	for (; checks && checks->name && h->count < CHECKS_MAX; checks++)
		h->checks[h->count++] = (struct check){ .row = *checks, .health = h };
}

int health_new(const struct health_options *options, struct health **ret, struct err *err)
{
	struct health *h = xcalloc(1, sizeof(*h));
	h->options = *options;
	h->options.silence = options->silence ? options->silence : HEALTH_SILENCE;
	int r = loop_new(&h->loop, err);
	if (r < 0) {
		free(h);
		return r;
	}
	add_checks(h, options->checks);
	h->scrapes = health_scrapes_new(options, h->loop);
	h->routes[0] = (struct web_route){ "/healthz", h->loop, on_request, h, 0, 0, NULL };
	h->routes[1] = (struct web_route){ "/readyz", h->loop, on_request, h, 0, 0, NULL };
	h->metrics_routes[0] = (struct web_route){ "/metrics", h->loop, health_scrapes_handle,
						   h->scrapes, 0,	0,
						   NULL };
	if (options->debug && options->reviewer)
		h->metrics_routes[1] = (struct web_route){
			"/debug", h->loop, health_scrapes_handle_debug, h->scrapes, 0, 0, NULL
		};
	timer_init(&h->timer, h->loop, "health", on_timer, h);
	timer_set_in(&h->timer, 0);
	r = loop_thread_start(&h->thread, h->loop, "health", err);
	if (r < 0) {
		health_free(h);
		return r;
	}
	*ret = h;
	return 0;
}

static void stop_asking(void *data)
{
	struct health *h = data;
	timer_stop(&h->timer);
}

void health_stop(struct health *h)
{
	if (!h || !h->thread.runs)
		return;
	loop_post(h->loop, stop_asking, h);
	loop_thread_stop(&h->thread);
	/* Requests that had come: to our loop, to that of the reviewer, and back. */
	loop_drain(h->loop);
	loop_drain(h->options.loop);
	loop_drain(h->loop);
}

struct health *health_free(struct health *h)
{
	if (!h)
		return NULL;
	health_stop(h);
	timer_stop(&h->timer);
	loop_drain(h->loop);
	health_scrapes_free(h->scrapes);
	loop_free(h->loop);
	free(h);
	return NULL;
}
