/* Event recorder, with the correlation of client-go's tools/record.
 *
 * An event passes three gates. A flood from one object is cut: 25 at once, then one in 5 min. More
 * than ten of one object and reason that differ in their message only, within 10 min, are told as
 * one
 * "(combined from similar events)". What is alike to an event of the last hour raises its count
 * (PATCH) instead of making another (POST). Then it waits in a queue of 1000 to be sent, one at a
 * time; while it waits, more of its kind only raise its count. The tables hold 1024 rows each; the
 * longest unused go first.
 *
 * Failures are repeated twelve times at 10 s where that may help, else dropped: events are a
 * courtesy. Core thread. */

#include "kube/events.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"

static const struct kube_resource events = { "", "v1", "events", "Event", KUBE_NAMESPACED };

enum {
	MESSAGE_MAX = 1024,
	REASON_MAX = 128,
	TABLE_MAX = 1024,
	QUEUE_MAX = 1000,
	TRIES_MAX = 12,
	BURST = 25,
	SIMILAR_MAX = 10,
};

static const usec_t TRY_INTERVAL = 10 * USEC_PER_SEC;
static const usec_t FLUSH_TRY_INTERVAL = 200 * USEC_PER_MSEC;
static const usec_t SPAM_INTERVAL = 5 * USEC_PER_MIN;
static const usec_t SIMILAR_INTERVAL = 10 * USEC_PER_MIN;
static const usec_t SERVER_TTL = USEC_PER_HOUR; /* afterwards the server has forgotten it */

/* A row of one of the three tables, in order of use. */
struct row {
	struct list node;
	char *key;
	usec_t used;
};

struct table {
	struct map rows;
	struct list order; /* least recently used first */
};

/* Events of one object: allowance. */
struct flood {
	struct row row;
	usec_t due; /* as in the client's throttle */
};

/* Events of one object and reason: how many different messages. */
struct group {
	struct row row;
	uint64_t messages[SIMILAR_MAX]; /* hashes */
	unsigned count;
	usec_t since;
};

/* One Event object at the server. */
struct event {
	struct row row;
	struct list queue;
	char *ns, *name; /* name NULL: not made yet */
	char *about;	 /* key of the host, for the fence; NULL: it is about something else */
	char *text;	 /* the object, without count and times */
	char *message;
	uint64_t count;
	usec_t first, last; /* wall */
	unsigned tries;
};

struct kube_recorder {
	struct kube_client *client;
	struct loop *loop;
	char *component, *controller, *instance;
	struct table floods, groups, known;
	struct list queue;
	struct kube_op *op; /* sends the first of the queue */
	uint64_t op_count;  /* what its count will be */
	struct timer timer, flush_timer;
	loop_fn flushed;
	void *flushed_data;
	struct kube_recorder_stats stats;
};

/* --- tables
 * --------------------------------------------------------------------------------------------- */

static void row_forget(struct table *t, struct row *row)
{
	map_remove(&t->rows, row->key);
	list_unlink(&row->node);
	free(row->key);
}

/* Makes the row the most recently used one. */
static struct row *row_get(struct table *t, const char *key, usec_t now)
{
	struct row *row = map_get(&t->rows, key);
	if (!row)
		return NULL;
	list_unlink(&row->node);
	list_append(&t->order, &row->node);
	row->used = now;
	return row;
}

static void row_add(struct table *t, struct row *row, const char *key, usec_t now)
{
	row->key = xstrdup(key);
	row->used = now;
	map_set(&t->rows, key, row);
	list_append(&t->order, &row->node);
}

static void event_free(struct kube_recorder *r, struct event *e)
{
	list_unlink(&e->queue);
	row_forget(&r->known, &e->row);
	free(e->ns);
	free(e->name);
	free(e->about);
	free(e->text);
	free(e->message);
	free(e);
}

static void make_room(struct table *t)
{
	while (t->rows.count >= TABLE_MAX) {
		struct row *row = list_entry(t->order.next, struct row, node);
		row_forget(t, row);
		free(row);
	}
}

/* What waits to be sent stays: the queue is shorter than the table. */
static void make_room_for_event(struct kube_recorder *r)
{
	list_for_each_safe(n, &r->known.order) {
		struct event *e = list_entry(n, struct event, row.node);
		if (r->known.rows.count < TABLE_MAX)
			return;
		if (list_empty(&e->queue))
			event_free(r, e);
	}
}

/* --- gates
 * ------------------------------------------------------------------------------------------------
 */

static bool allowed(struct kube_recorder *r, const char *object, usec_t now)
{
	struct flood *f = (struct flood *)row_get(&r->floods, object, now);
	if (!f) {
		make_room(&r->floods);
		f = xcalloc(1, sizeof(*f));
		row_add(&r->floods, &f->row, object, now);
	}
	usec_t due = MAX(f->due, now);
	if (due > now + (BURST - 1) * SPAM_INTERVAL)
		return false;
	f->due = due + SPAM_INTERVAL;
	return true;
}

static uint64_t hash(const char *s)
{
	uint64_t h = UINT64_C(14695981039346656037);
	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * UINT64_C(1099511628211);
	return h;
}

/* True when this message is one too many of its group. */
static bool too_similar(struct kube_recorder *r, const char *key, const char *message, usec_t now)
{
	struct group *g = (struct group *)row_get(&r->groups, key, now);
	if (!g) {
		make_room(&r->groups);
		g = xcalloc(1, sizeof(*g));
		g->since = now;
		row_add(&r->groups, &g->row, key, now);
	}
	if (now - g->since > SIMILAR_INTERVAL) {
		g->count = 0;
		g->since = now;
	}
	uint64_t h = hash(message);
	for (unsigned i = 0; i < g->count; i++)
		if (g->messages[i] == h)
			return false;
	if (g->count == SIMILAR_MAX)
		return true;
	g->messages[g->count++] = h;
	return false;
}

/* --- sending
 * -----------------------------------------------------------------------------------------------
 */

static void send_next(struct kube_recorder *r);

static void check_flushed(struct kube_recorder *r)
{
	if (r->flushed && list_empty(&r->queue))
		timer_set_in(&r->flush_timer, 0);
}

static struct json *event_object(const struct event *e)
{
	struct json *j = NULL;
	char text[CLOCK_TEXT_MAX];
	json_parse(e->text, strlen(e->text), &j, NULL);
	json_set_string(j, "message", e->message);
	json_set_int(j, "count", (int64_t)e->count);
	json_set_string(j, "firstTimestamp", clock_format(e->first, text));
	json_set_string(j, "lastTimestamp", clock_format(e->last, text));
	return j;
}

static struct json *event_patch(const struct event *e)
{
	struct json *j = json_new_object();
	char text[CLOCK_TEXT_MAX];
	json_set_string(j, "message", e->message);
	json_set_int(j, "count", (int64_t)e->count);
	json_set_string(j, "lastTimestamp", clock_format(e->last, text));
	return j;
}

static void dequeue(struct kube_recorder *r, struct event *e)
{
	list_unlink(&e->queue);
	e->tries = 0;
	r->stats.waiting--;
}

static void send_failed(struct kube_recorder *r, struct event *e, const struct err *err)
{
	if (err->kind == ERR_NOT_FOUND && e->name) {
		str_replace(&e->name, NULL); /* the server has forgotten it: make it anew */
		e->first = e->last;
		return;
	}
	if (err_kind_info(err->kind)->retry && ++e->tries < TRIES_MAX) {
		timer_set_in(&r->timer, r->flushed ? FLUSH_TRY_INTERVAL : TRY_INTERVAL);
		return;
	}
	/* For example 403: the namespace is being deleted. */
	log_debug("event dropped", "error", err->text);
	r->stats.failed++;
	dequeue(r, e);
	event_free(r, e);
}

static void on_sent(void *data, const struct err *err, struct json **answer)
{
	struct kube_recorder *r = data;
	struct event *e = list_entry(r->queue.next, struct event, queue);
	r->op = NULL;
	if (err) {
		send_failed(r, e, err);
	} else {
		if (!e->name)
			e->name = xstrdup(kube_name(*answer));
		r->stats.sent++;
		bool more = e->count > r->op_count;
		dequeue(r, e);
		if (more) { /* it was recorded again meanwhile */
			list_append(&r->queue, &e->queue);
			r->stats.waiting++;
		}
	}
	check_flushed(r);
	send_next(r);
}

static void send_next(struct kube_recorder *r)
{
	if (r->op || timer_is_set(&r->timer) || list_empty(&r->queue))
		return;
	struct event *e = list_entry(r->queue.next, struct event, queue);
	_cleanup_(json_freep) struct json *j = e->name ? event_patch(e) : event_object(e);
	r->op_count = e->count;
	if (e->name)
		r->op = kube_patch_for(r->client, e->about, &events, e->ns, e->name, NULL,
				       KUBE_PATCH_MERGE, j, on_sent, r);
	else
		r->op = kube_create_for(r->client, e->about, &events, j, on_sent, r);
}

static void on_timer(void *data)
{
	send_next(data);
}

/* --- recording
 * -----------------------------------------------------------------------------------------------
 */

static void set_ref(struct json *event, const char *key, const struct kube_event_ref *ref)
{
	if (!ref)
		return;
	struct json *j = json_make_object(event, key);
	json_set_string(j, "kind", ref->kind);
	json_set_string(j, "namespace", str_empty(ref->ns) ? NULL : ref->ns);
	json_set_string(j, "name", ref->name);
	json_set_string(j, "uid", str_empty(ref->uid) ? NULL : ref->uid);
	json_set_string(j, "apiVersion", ref->api_version);
	json_set_string(j, "resourceVersion", ref->resource_version);
}

static char *new_text(const struct kube_recorder *r, const struct kube_event_ref *about,
		      const struct kube_event_ref *related, const char *type, const char *reason)
{
	_cleanup_(json_freep) struct json *j = json_new_object();
	_cleanup_(freep) char *generate = xasprintf("%.*s-", REASON_MAX, reason);
	_cleanup_(freep) char *cut = xasprintf("%.*s", REASON_MAX, reason);
	json_set_string(j, "apiVersion", "v1");
	json_set_string(j, "kind", "Event");
	struct json *meta = json_make_object(j, "metadata");
	json_set_string(meta, "generateName", generate);
	json_set_string(meta, "namespace", str_or(about->ns, "default"));
	set_ref(j, "involvedObject", about);
	set_ref(j, "related", related);
	json_set_string(j, "reason", cut);
	json_set_string(j, "type", type);
	json_set_string(json_make_object(j, "source"), "component", r->component);
	json_set_string(j, "reportingComponent", r->controller);
	json_set_string(j, "reportingInstance", str_or(r->instance, ""));
	return json_to_string(j);
}

/* At most `max` bytes, and no half character at the end. */
static char *cut_text(const char *s, size_t max)
{
	size_t len = strnlen(s, max + 1);
	if (len > max)
		for (len = max; len > 0 && ((unsigned char)s[len] & 0xc0) == 0x80; len--)
			;
	return xstrndup(s, len);
}

static void enqueue(struct kube_recorder *r, struct event *e)
{
	if (!list_empty(&e->queue)) {
		r->stats.merged++;
		return;
	}
	list_append(&r->queue, &e->queue);
	r->stats.waiting++;
	send_next(r);
}

struct wanted {
	const struct kube_event_ref *about, *related;
	const char *type, *reason;
	char *message;
};

static struct event *event_of(struct kube_recorder *r, const struct wanted *w, const char *key)
{
	usec_t now = loop_now(r->loop), wall = loop_wall(r->loop);
	struct event *e = map_get(&r->known.rows, key);
	if (e && list_empty(&e->queue) && now - e->row.used > SERVER_TTL) {
		event_free(r, e);
		e = NULL;
	}
	if (e) {
		row_get(&r->known, key, now);
		return e;
	}
	if (r->stats.waiting >= QUEUE_MAX)
		return NULL;
	make_room_for_event(r);
	e = xcalloc(1, sizeof(*e));
	list_init(&e->queue);
	e->ns = xstrdup(str_or(w->about->ns, "default"));
	if (streq(w->about->kind, "BareMetalHost"))
		e->about = xasprintf("%s/%s", str_or(w->about->ns, ""), w->about->name);
	e->text = new_text(r, w->about, w->related, w->type, w->reason);
	e->first = wall;
	row_add(&r->known, &e->row, key, now);
	return e;
}

static void record(struct kube_recorder *r, struct wanted *w)
{
	usec_t now = loop_now(r->loop);
	_cleanup_(freep) char *object = xasprintf("%s/%s/%s/%s", w->about->kind,
						  str_or(w->about->ns, ""), w->about->name,
						  str_or(w->about->uid, ""));
	_cleanup_(freep) char *group = xasprintf("%s %s %s", object, w->type, w->reason);
	r->stats.recorded++;
	if (!allowed(r, object, now)) {
		r->stats.dropped++;
		return;
	}
	bool combine = too_similar(r, group, w->message, now);
	_cleanup_(freep) char *key = combine ? xstrdup(group)
					     : xasprintf("%s %s", group, w->message);
	struct event *e = event_of(r, w, key);
	if (!e) {
		r->stats.dropped++;
		return;
	}
	free(e->message);
	e->message = combine ? xasprintf("(combined from similar events): %s", w->message)
			     : xstrdup(w->message);
	e->count++;
	e->last = loop_wall(r->loop);
	enqueue(r, e);
}

void kube_event_related(struct kube_recorder *r, const struct kube_event_ref *about,
			const struct kube_event_ref *related, const char *type, const char *reason,
			const char *message)
{
	_cleanup_(freep) char *cut = cut_text(message, MESSAGE_MAX);
	record(r, &(struct wanted){ about, related, type, reason, cut });
}

void kube_event(struct kube_recorder *r, const struct kube_event_ref *about, const char *type,
		const char *reason, const char *fmt, ...)
{
	char message[MESSAGE_MAX + 8];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	kube_event_related(r, about, NULL, type, reason, message);
}

/* --- life
 * ------------------------------------------------------------------------------------------------------
 */

static void on_flushed(void *data)
{
	struct kube_recorder *r = data;
	loop_fn fn = TAKE_PTR(r->flushed);
	if (fn)
		fn(r->flushed_data);
}

void kube_recorder_flush(struct kube_recorder *r, usec_t limit, loop_fn fn, void *data)
{
	r->flushed = fn;
	r->flushed_data = data;
	timer_set_in(&r->flush_timer, limit);
	check_flushed(r);
	timer_stop(&r->timer); /* there may be no later for what waits for another try */
	send_next(r);
}

struct kube_recorder_stats kube_recorder_stats(const struct kube_recorder *r)
{
	return r->stats;
}

static void table_init(struct table *t)
{
	list_init(&t->order);
}

static void table_done(struct table *t)
{
	for (struct list *n; (n = list_take_first(&t->order));) {
		struct row *row = list_entry(n, struct row, node);
		free(row->key);
		free(row);
	}
	map_done(&t->rows);
}

struct kube_recorder *kube_recorder_new(const struct kube_recorder_options *o)
{
	struct kube_recorder *r = xcalloc(1, sizeof(*r));
	r->client = o->client;
	r->loop = kube_client_loop(o->client);
	r->component = xstrdup(o->component);
	r->controller = xstrdup(o->reporting_controller);
	r->instance = xstrdup(o->instance);
	table_init(&r->floods);
	table_init(&r->groups);
	table_init(&r->known);
	list_init(&r->queue);
	timer_init(&r->timer, r->loop, "events", on_timer, r);
	timer_init(&r->flush_timer, r->loop, "events flushed", on_flushed, r);
	return r;
}

struct kube_recorder *kube_recorder_free(struct kube_recorder *r)
{
	if (!r)
		return NULL;
	kube_cancel(r->op);
	timer_stop(&r->timer);
	timer_stop(&r->flush_timer);
	list_for_each_safe(n, &r->known.order)
		event_free(r, list_entry(n, struct event, row.node));
	table_done(&r->known);
	table_done(&r->floods);
	table_done(&r->groups);
	free(r->component);
	free(r->controller);
	free(r->instance);
	free(r);
	return NULL;
}
