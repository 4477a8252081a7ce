/* The handler's side: what a request holds, and its answers, which are formatted here, in the
 * handler's thread, and mailed to the connection. Nothing here looks at the connection itself. */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "web/internal.h"
#include "wire/range.h"

enum { QUEUE_DEFAULT = 16 << 20 };

/* --- life ------------------------------------------------------------------------------------- */

struct web_request *web_request_new(struct mailbox *box, const char *head, size_t len)
{
	struct web_request *r = xcalloc(1, sizeof(*r));
	atomic_init(&r->refs, 1);
	r->box = web_mailbox_ref(box);
	r->text = xmalloc(len + 1);
	memcpy(r->text, head, len);
	r->text[len] = '\0';
	return r;
}

struct web_request *web_request_ref(struct web_request *r)
{
	atomic_fetch_add(&r->refs, 1);
	return r;
}

struct web_request *web_request_unref(struct web_request *r)
{
	if (!r || atomic_fetch_sub(&r->refs, 1) != 1)
		return NULL;
	web_mailbox_unref(r->box);
	strbuf_done(&r->body);
	free(r->peer_certificate);
	free(r->owner);
	free(r->protocol);
	free(r->text);
	free(r);
	return NULL;
}

/* On the route's loop. The reference that travelled with the post is the handler's now; its answer
 * drops it. */
static void run_handler(void *data)
{
	struct web_request *r = data;
	r->route.handler(r->route.data, r);
}

void web_request_dispatch(struct web_request *r)
{
	loop_post(r->route.loop, run_handler, r);
}

static void run_before_body(void *data)
{
	struct web_request *r = data;
	r->asking = true;
	r->route.before_body(r->route.data, r);
}

void web_request_ask(struct web_request *r)
{
	loop_post(r->route.loop, run_before_body, r);
}

/* On the route's loop: the handler's last word with the request, whose reference ends here. */
static void run_closed(void *data)
{
	struct web_request *r = data;
	r->closed_ran = true;
	if (r->closed)
		r->closed(r->closed_data);
	web_request_unref(r);
}

static void run_drained(void *data)
{
	struct web_request *r = data;
	if (!r->closed_ran)
		r->drained(r->closed_data);
	web_request_unref(r);
}

void web_request_stream_taken(struct web_request *r)
{
	if (atomic_load(&r->drain_asked) && atomic_load(&r->queued) <= r->low &&
	    atomic_exchange(&r->drain_asked, false))
		loop_post(r->route.loop, run_drained, web_request_ref(r));
}

void web_request_stream_closed(struct web_request *r)
{
	r->streaming = false;
	loop_post(r->route.loop, run_closed, r);
}

/* --- accessors -------------------------------------------------------------------------------- */

const char *web_method(const struct web_request *r)
{
	return r->head.method;
}

const char *web_path(const struct web_request *r)
{
	return r->head.path;
}

const char *web_query(const struct web_request *r)
{
	return r->head.query;
}

const char *web_header(const struct web_request *r, const char *name)
{
	return web_http1_header(&r->head, name);
}

const char *web_header_with_prefix(const struct web_request *r, const char *prefix)
{
	for (size_t i = 0; i < r->head.count; i++)
		if (str_has_prefix(r->head.headers[i].name, prefix))
			return r->head.headers[i].value;
	return NULL;
}

const char *web_body(const struct web_request *r, size_t *ret_len)
{
	*ret_len = r->body.len;
	return r->body.data ? r->body.data : "";
}

const char *web_peer_address(const struct web_request *r)
{
	return r->peer;
}

const char *web_peer_certificate(const struct web_request *r)
{
	return r->peer_certificate;
}

char *web_query_param(const struct web_request *r, const char *name)
{
	return web_http1_query_param(r->head.query, name);
}

bool web_request_is_head(const struct web_request *r)
{
	return streq(r->head.method, "HEAD");
}

/* --- answers ---------------------------------------------------------------------------------- */

struct mail *web_request_mail(struct web_request *r, void (*deliver)(struct mail *))
{
	struct mail *m = xcalloc(1, sizeof(*m));
	m->deliver = deliver;
	m->request = web_request_ref(r);
	return m;
}

/* One chunk of head and body; `body` may be NULL. */
static struct chunk *join(const struct reply_text *t, const void *body, size_t len)
{
	_cleanup_(strbuf_done) struct strbuf head = { 0 };
	web_reply_format(t, &head);
	struct chunk *c = web_chunk_new(head.len + len);
	memcpy(c->data, head.data, head.len);
	if (len)
		memcpy(c->data + head.len, body, len);
	return c;
}

void web_request_claim(struct web_request *r)
{
	bool again = atomic_exchange(&r->answered, true);
	assert(!again); /* exactly one answer */
	(void)again;
}

void web_reply(struct web_request *r, const struct web_reply_head *head, const void *body,
	       size_t len)
{
	web_request_claim(r);
	/* HEAD has the head that GET would have, its length included (RFC 9110, 9.3.2). */
	bool bodiless = web_request_is_head(r) || !web_reply_has_body(head->status);
	struct mail *m = web_request_mail(r, web_conn_deliver_reply);
	m->keep_alive = r->head.keep_alive && !r->asking; /* else a body follows */
	m->chunk = join(&(struct reply_text){ .head = head,
					      .kind = BODY_SIZED,
					      .size = len,
					      .keep_alive = m->keep_alive,
					      .wall = loop_wall(r->route.loop) },
			body, bodiless ? 0 : len);
	web_mailbox_send(r->box, m);
	web_request_unref(r);
}

void web_known_as(struct web_request *r, const char *who)
{
	/* Most requests are of the same user as the one before on their connection. */
	if (streq(r->owner, who))
		return;
	struct mail *m = web_request_mail(r, web_conn_deliver_owner);
	m->owner = xstrdup(who);
	web_mailbox_send(r->box, m);
}

void web_take_body(struct web_request *r, const char *who)
{
	struct mail *m = web_request_mail(r, web_conn_deliver_go_on);
	r->asking = false;
	m->owner = xstrdup(who);
	web_mailbox_send(r->box, m);
	web_request_unref(r);
}

/* What of a file is to be sent, and the lines that say so. */
struct file_plan {
	int status;
	struct range range;
	char content_range[CONTENT_RANGE_MAX + 20];
	char etag[300];
	const char *lines[4];
};

static void plan_file(const struct web_request *r, int status, uint64_t size, const char *etag,
		      struct file_plan *plan)
{
	char text[CONTENT_RANGE_MAX];
	size_t n = 0;
	*plan = (struct file_plan){ .status = status, .range = { 0, size } };
	/* An entity-tag is quoted (RFC 9110, 8.8.3); callers pass a plain digest. */
	bool bare = etag && *etag != '"';
	if (etag)
		snprintf(plan->etag, sizeof(plan->etag), "ETag: %s%s%s", bare ? "\"" : "", etag,
			 bare ? "\"" : "");
	/* Range is defined for GET only (14.2). */
	bool may = status == 200 && streq(r->head.method, "GET") &&
		   range_allowed(web_header(r, "if-range"), etag ? plan->etag + 6 : NULL);
	switch (may ? range_parse(web_header(r, "range"), size, &plan->range) : RANGE_WHOLE) {
	case RANGE_WHOLE:
		break;
	case RANGE_PART:
		plan->status = 206;
		content_range_format(&plan->range, size, text);
		break;
	case RANGE_UNSATISFIABLE:
		plan->status = 416;
		plan->range = (struct range){ 0 };
		content_range_format(NULL, size, text);
		break;
	}
	if (plan->status != status) {
		snprintf(plan->content_range, sizeof(plan->content_range), "Content-Range: %s",
			 text);
		plan->lines[n++] = plan->content_range;
	}
	if (etag)
		plan->lines[n++] = plan->etag;
	plan->lines[n++] = "Accept-Ranges: bytes";
}

void web_reply_parts(struct web_request *r, const struct web_reply_head *head, struct parts body,
		     const char *etag)
{
	web_request_claim(r);
	struct file_plan plan;
	plan_file(r, head->status, body.size, etag, &plan);
	struct web_reply_head as_sent = *head;
	as_sent.status = plan.status;
	struct mail *m = web_request_mail(r, web_conn_deliver_reply);
	m->keep_alive = r->head.keep_alive;
	m->chunk = join(&(struct reply_text){ .head = &as_sent,
					      .kind = BODY_SIZED,
					      .size = plan.range.length,
					      .extra = plan.lines,
					      .keep_alive = m->keep_alive,
					      .wall = loop_wall(r->route.loop) },
			NULL, 0);
	if (web_request_is_head(r) || plan.range.length == 0) {
		parts_release(&body);
	} else {
		m->body = body;
		m->offset = plan.range.start;
		m->length = plan.range.length;
	}
	web_mailbox_send(r->box, m);
	web_request_unref(r);
}

void web_reply_file(struct web_request *r, const struct web_reply_head *head, int fd, uint64_t size,
		    const char *etag)
{
	web_reply_parts(r, head, parts_of_file(fd, size), etag);
}

void web_stream(struct web_request *r, const struct web_reply_head *head, loop_fn closed,
		void *data)
{
	web_request_claim(r);
	r->chunked = r->head.minor > 0; /* HTTP/1.0 knows no chunks */
	r->closed = closed;
	r->closed_data = data;
	/* No unref: the reference stays until `closed` has run. */
	struct mail *m = web_request_mail(r, web_conn_deliver_stream);
	m->keep_alive = r->head.keep_alive && r->chunked;
	m->chunk = join(&(struct reply_text){ .head = head,
					      .kind = r->chunked ? BODY_CHUNKED : BODY_UNTIL_CLOSE,
					      .keep_alive = m->keep_alive,
					      .wall = loop_wall(r->route.loop) },
			NULL, 0);
	web_mailbox_send(r->box, m);
}

/* RFC 9112, 7.1; framed here, so that the service thread only copies. */
static struct chunk *frame(const struct web_request *r, const void *data, size_t len)
{
	char size[24] = "";
	size_t head = r->chunked ? (size_t)snprintf(size, sizeof(size), "%zx\r\n", len) : 0;
	struct chunk *c = web_chunk_new(head + len + (r->chunked ? 2 : 0));
	memcpy(c->data, size, head);
	memcpy(c->data + head, data, len);
	if (r->chunked)
		memcpy(c->data + head + len, "\r\n", 2);
	return c;
}

bool web_stream_send(struct web_request *r, const void *data, size_t len)
{
	size_t cap = r->route.max_queue_bytes ? r->route.max_queue_bytes : QUEUE_DEFAULT;
	if (atomic_load(&r->cut))
		return false;
	if (len == 0) /* an empty chunk would end the body */
		return true;
	/* The cap holds for what lies here and in the mailbox; sockets have buffers of their own.
	 */
	if (atomic_load(&r->queued) + len > cap) {
		if (!atomic_exchange(&r->cut, true))
			web_mailbox_send(r->box, web_request_mail(r, web_conn_deliver_cut));
		return false;
	}
	struct mail *m = web_request_mail(r, web_conn_deliver_data);
	m->chunk = frame(r, data, len);
	m->chunk->counted = true;
	atomic_fetch_add(&r->queued, m->chunk->len);
	web_mailbox_send(r->box, m);
	return true;
}

bool web_stream_wait(struct web_request *r, size_t low, loop_fn drained)
{
	if (atomic_load(&r->queued) <= low)
		return false;
	r->low = low;
	r->drained = drained;
	atomic_store(&r->drain_asked, true);
	web_request_stream_taken(r); /* it may have been meanwhile */
	return true;
}

void web_stream_end(struct web_request *r)
{
	web_mailbox_send(r->box, web_request_mail(r, web_conn_deliver_end));
}
