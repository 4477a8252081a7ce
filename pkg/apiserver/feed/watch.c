/* Watches: first the present state if it is wanted, then what the log holds after the client's
 * position, then each batch's changes as it is committed. A reader that does not keep up goes back
 * to the log, and is given more when it has taken what waits. A selector turns changes into other
 * types: what begins to match is added, what stops to match is deleted. A watch is freed when its
 * stream has ended; while events are being given out it is only marked, because a front may abort
 * any watch from within its functions. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/internal.h"
#include "base/mem.h"
#include "metrics/metrics.h"

enum { TIMEOUT_MIN_S = 1800 };

#define BOOKMARK_INTERVAL USEC_PER_MIN

enum watch_phase {
	PHASE_PRESENT, /* objects as they were at `position` */
	PHASE_LOG,     /* changes after `position` that are committed already */
	PHASE_LIVE,    /* each change as it comes */
};

struct watch {
	struct list link;
	struct apiserver *s;
	struct api_exchange *x;
	struct resource *r;
	char *ns; /* "": all */
	struct selection selection;
	struct view view;
	enum watch_phase phase;
	uint64_t position;
	char *last_ns, *last_name; /* of the present state: given up to here */
	size_t passed;		   /* bytes of this step of a phase, sent or left out */
	bool mark_initial;	   /* tell where the present state ends */
	bool bookmarks;
	bool headers_sent; /* of tables */
	bool ended, aborted;
	int64_t timeout_s;
	struct timer timeout, turn;
};

struct watch *watch_free(struct watch *w)
{
	if (!w)
		return NULL;
	if (w->x) /* it was started */
		metric_add(METRIC_API_WATCHES, -1);
	list_unlink(&w->link);
	timer_stop(&w->timeout);
	timer_stop(&w->turn);
	selection_done(&w->selection);
	resource_unref(w->r);
	free(w->ns);
	free(w->last_ns);
	free(w->last_name);
	free(w);
	return NULL;
}

/* --- asking for one --- */

int verb_watch(struct apiserver *s, const struct request *in, struct answer *out)
{
	uint64_t rv;
	if (check_list_options(in, out) < 0 ||
	    parse_version(out, in->query.resource_version, &rv) < 0)
		return ANSWERED;
	struct watch *w = xcalloc(1, sizeof(*w));
	list_init(&w->link);
	w->s = s;
	w->r = resource_ref(in->resource);
	w->ns = xstrdup(in->ns);
	w->position = rv;
	w->bookmarks = in->query.bookmarks;
	w->phase = rv == 0 || in->query.initial_events ? PHASE_PRESENT : PHASE_LOG;
	w->mark_initial = in->query.initial_events;
	w->timeout_s = in->query.timeout_s;
	if (view_init(s, in, out, &w->view) < 0 ||
	    selection_init(in, out, w->r, &w->selection) < 0) {
		watch_free(w);
		return ANSWERED;
	}
	out->watch = w;
	out->status = 200;
	return 0;
}

/* --- sending --- */

/* `object` is JSON text. */
static void send_text(struct watch *w, const char *type, const char *object, size_t len)
{
	if (w->ended || w->aborted)
		return;
	void *front;
	const struct api_front_ops *ops = exchange_front(w->x, &front);
	struct strbuf line = { 0 };
	strbuf_reserve(&line, len + 64);
	strbuf_addf(&line, "{\"type\":\"%s\",\"object\":", type);
	strbuf_add(&line, object, len);
	strbuf_adds(&line, "}\n");
	w->passed += line.len;
	if (!ops->stream_send(front, line.data, line.len))
		w->ended = true;
	strbuf_done(&line);
}

static void send_tree(struct watch *w, const char *type, const struct json *object)
{
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	json_print(object, &text);
	send_text(w, type, text.data, text.len);
}

/* An error ends the stream. */
static void send_failure(struct watch *w, const struct answer *a)
{
	send_text(w, "ERROR", a->body.data, a->body.len - 1); /* without the newline */
	w->ended = true;
}

static void send_bookmark(struct watch *w, bool initial_end)
{
	char rv[24];
	snprintf(rv, sizeof(rv), "%" PRIu64, w->position);
	_cleanup_(json_freep) struct json *j = json_new_object();
	json_set_string(j, "kind", w->r->kind);
	json_set_string(j, "apiVersion", w->r->api_version);
	struct json *meta = json_make_object(j, "metadata");
	json_set_string(meta, "resourceVersion", rv);
	json_set(meta, "creationTimestamp", json_new_null());
	if (initial_end)
		json_set_string(json_make_object(meta, "annotations"), "k8s.io/initial-events-end",
				"true");
	if (w->view.form == FORM_OBJECT) {
		send_tree(w, "BOOKMARK", j);
		return;
	}
	_cleanup_(json_freep) struct json *shown = w->view.form == FORM_TABLE
							   ? table_new(w->r, rv, false)
							   : metadata_of(j);
	send_tree(w, "BOOKMARK", shown);
}

/* The watch goes with what cannot be shown: nothing may be left out. */
static void send_grown(struct watch *w)
{
	_cleanup_(answer_done) struct answer a = { 0 };
	fail_grown(&a, w->r);
	send_failure(w, &a);
}

/* Each object of a stream leaves before the next is read, and has a budget of its own. */
static struct json *parse(struct watch *w, const char *text, size_t len, uint64_t rv)
{
	struct json *tree = object_parse(w->r, text, len, rv, NULL);
	if (!tree)
		send_grown(w);
	return tree;
}

/* tree NULL: text is the object in the storage version, written at rv. */
static void send_object(struct watch *w, const char *type, const char *text,
			const struct json *tree, uint64_t rv)
{
	bool as_is = w->view.form == FORM_OBJECT && text && rv >= w->r->since &&
		     streq(w->r->api_version, w->r->storage_api_version);
	if (as_is) {
		send_text(w, type, text, strlen(text));
		return;
	}
	_cleanup_(json_freep) struct json *parsed = NULL;
	if (!tree) {
		parsed = parse(w, text, strlen(text), rv); // NOLINT: never NULL here
		if (!parsed)
			return;
	}
	w->view.wall = loop_wall(w->s->loop); /* ages are those of this moment */
	_cleanup_(json_freep) struct json *shown = view_object(&w->view, w->r, tree ? tree : parsed,
							       !w->headers_sent);
	w->headers_sent = true;
	send_tree(w, type, shown);
}

/* --- changes --- */

static bool concerns(const struct watch *w, const struct event *e)
{
	return e->rv > w->position && streq(e->resource, w->r->key) &&
	       (*w->ns == '\0' || streq(w->ns, e->ns)) &&
	       (!w->selection.name || streq(w->selection.name, e->name));
}

static const struct json *tree_of(struct watch *w, const char *text, struct json **slot,
				  uint64_t rv)
{
	if (!*slot && text)
		*slot = parse(w, text, strlen(text), rv);
	return *slot;
}

/* What stops to match is shown as it was when it matched, with the version of the change. */
static void send_parting(struct watch *w, struct event *e)
{
	char rv[24];
	snprintf(rv, sizeof(rv), "%" PRIu64, e->rv);
	_cleanup_(json_freep) struct json *last = parse(w, e->before, strlen(e->before), e->rv);
	if (!last)
		return;
	json_set_string(object_meta(last), "resourceVersion", rv);
	send_object(w, "DELETED", NULL, last, e->rv);
}

static void give_selected(struct watch *w, struct event *e)
{
	const struct json *now = e->type == STORE_DELETED ? NULL
							  : tree_of(w, e->now, &e->now_tree, e->rv);
	bool is = now && selection_matches(&w->selection, now);
	const struct json *before = tree_of(w, e->before, &e->before_tree, e->rv);
	bool was = before && selection_matches(&w->selection, before);
	if (is)
		send_object(w, was ? "MODIFIED" : "ADDED", e->now, NULL, e->rv);
	else if (was && e->type == STORE_DELETED)
		send_object(w, "DELETED", e->now, NULL, e->rv);
	else if (was)
		send_parting(w, e);
}

/* The position moves even if nothing was sent, so that no change is given twice. */
static void give(struct watch *w, struct event *e)
{
	static const char *const types[] = {
		[STORE_ADDED] = "ADDED", [STORE_MODIFIED] = "MODIFIED", [STORE_DELETED] = "DELETED"
	};
	if (!concerns(w, e))
		return;
	if (selection_empty(&w->selection))
		send_object(w, types[e->type], e->now, NULL, e->rv);
	else
		give_selected(w, e);
	w->position = e->rv;
}

/* --- catching up: the present state, the log --- */

/* Enough for one step, or for ever? */
static bool pauses(const struct watch *w)
{
	return w->ended || w->aborted || w->passed > APISERVER_STREAM_AHEAD;
}

static int replay_row(void *data, const struct store_row *row)
{
	struct watch *w = data;
	if (w->selection.name && !streq(w->selection.name, row->key.name))
		return 0;
	_cleanup_(json_freep) struct json *tree = NULL;
	if (!selection_empty(&w->selection) && !(tree = parse(w, row->data, row->len, row->rv)))
		return pauses(w);
	if (!tree || selection_matches(&w->selection, tree)) {
		_cleanup_(freep) char *text = xstrndup(row->data, row->len);
		send_object(w, "ADDED", text, tree, row->rv);
	} else {
		w->passed += row->len;
	}
	str_replace(&w->last_ns, row->key.ns);
	str_replace(&w->last_name, row->key.name);
	return pauses(w);
}

/* Reads at the position even if that is the present: somebody may be writing already in the next
 * batch. */
static int replay_present(struct watch *w, struct err *err)
{
	struct store_query q = { .resource = w->r->key,
				 .ns = *w->ns ? w->ns : NULL,
				 .after_ns = w->last_ns,
				 .after_name = w->last_name };
	if (store_revision(w->s->store) != w->position)
		q.at = w->position;
	int r = store_list(w->s->store, &q, replay_row, w, err);
	if (r < 0 || pauses(w))
		return r;
	w->phase = PHASE_LOG;
	if (w->mark_initial)
		send_bookmark(w, true);
	return 0;
}

/* The log keeps a deleted object as it was; the version of the deletion is put in here. */
static char *deleted_text(struct watch *w, const struct store_change *change)
{
	char rv[24];
	snprintf(rv, sizeof(rv), "%" PRIu64, change->rv);
	_cleanup_(json_freep) struct json *tree = parse(w, change->data, change->len, change->rv);
	if (!tree)
		return NULL;
	json_set_string(object_meta(tree), "resourceVersion", rv);
	return json_to_string(tree);
}

static int replay_change(void *data, const struct store_change *change)
{
	struct watch *w = data;
	if (change->rv > w->s->committed)
		return 1;
	struct event e = { .rv = change->rv,
			   .type = change->type,
			   .resource = xstrdup(change->key.resource),
			   .ns = xstrdup(change->key.ns),
			   .name = xstrdup(change->key.name) };
	e.now = change->type == STORE_DELETED ? deleted_text(w, change)
					      : xstrndup(change->data, change->len);
	e.before = change->before ? xstrndup(change->before, change->before_len) : NULL;
	size_t passed = w->passed;
	if (e.now)
		give(w, &e);
	event_done(&e);
	/* What did not concern it need not be looked at again. */
	w->position = change->rv;
	w->passed = MAX(w->passed, passed + change->len);
	return pauses(w);
}

static int replay_log(struct watch *w, struct err *err)
{
	int r = store_changes(w->s->store, w->r->key, *w->ns ? w->ns : NULL, w->position,
			      replay_change, w, err);
	if (r < 0 || pauses(w))
		return r;
	w->position = w->s->committed;
	w->phase = PHASE_LIVE;
	return 0;
}

static bool reader_waits(const struct watch *w)
{
	void *front;
	const struct api_front_ops *ops = exchange_front(w->x, &front);
	return ops->stream_wait && ops->stream_wait(front);
}

/* What the position asks for may be gone, or not be there yet. */
static bool position_lost(struct watch *w, struct answer *out)
{
	struct apiserver *s = w->s;
	uint64_t oldest = store_oldest(s->store);
	if (w->position > s->committed)
		fail_too_large_version(out, w->position, s->committed);
	else if (w->position < oldest)
		fail_expired(out, NULL, "too old resource version: %" PRIu64 " (%" PRIu64 ")",
			     w->position, oldest);
	else
		return false;
	return true;
}

static void step(struct watch *w)
{
	_cleanup_(answer_done) struct answer a = { 0 };
	struct err err;
	w->passed = 0;
	if (position_lost(w, &a)) {
		send_failure(w, &a);
		return;
	}
	int r = w->phase == PHASE_PRESENT ? replay_present(w, &err) : replay_log(w, &err);
	if (r >= 0)
		return;
	fail_store(&a, &err);
	send_failure(w, &a);
}

static bool behind(const struct watch *w)
{
	return w->phase != PHASE_LIVE && !w->ended && !w->aborted;
}

/* A reader that keeps up would take all there is in one go, and others would have to wait for it:
 * after a step that was full it is their turn. */
static void catch_up(struct watch *w)
{
	for (w->passed = 0; behind(w) && !pauses(w) && !reader_waits(w);)
		step(w);
	if (behind(w) && pauses(w))
		timer_set_in(&w->turn, 0);
}

/* The exchange outlives the watch by one call. */
static void finish(struct watch *w)
{
	struct api_exchange *x = w->x;
	watch_free(w);
	exchange_stream_ended(x);
}

static void on_turn(void *data)
{
	watch_drained(data);
}

static void on_timeout(void *data)
{
	struct watch *w = data;
	w->ended = true;
	finish(w);
}

static void on_bookmark(void *data);

static void set_timers(struct watch *w)
{
	struct apiserver *s = w->s;
	uint64_t seconds = w->timeout_s > 0
				   ? (uint64_t)w->timeout_s
				   : TIMEOUT_MIN_S + loop_random_below(s->loop, TIMEOUT_MIN_S);
	timer_init(&w->timeout, s->loop, "watch timeout", on_timeout, w);
	timer_set_in(&w->timeout, seconds * USEC_PER_SEC);
	if (!w->bookmarks || timer_is_set(&s->bookmark_timer))
		return;
	timer_init(&s->bookmark_timer, s->loop, "watch bookmarks", on_bookmark, s);
	timer_set_in(&s->bookmark_timer, BOOKMARK_INTERVAL);
}

void watch_start(struct watch *w, struct api_exchange *x)
{
	struct apiserver *s = w->s;
	void *front;
	w->x = x;
	metric_add(METRIC_API_WATCHES, 1);
	timer_init(&w->turn, s->loop, "watch turn", on_turn, w);
	const struct api_front_ops *ops = exchange_front(x, &front);
	bool outer = s->delivering;
	s->delivering = true;
	list_append(&s->watches, &w->link);
	ops->stream_start(front, json_type_text);
	if (w->phase == PHASE_PRESENT && w->position <= s->committed)
		w->position = s->committed;
	catch_up(w);
	s->delivering = outer;
	if (w->ended || w->aborted || w->r->gone)
		finish(w);
	else
		set_timers(w);
}

/* --- going on --- */

/* Those that ended while events were given out. */
static void reap(struct apiserver *s)
{
	if (s->delivering)
		return;
	list_for_each_safe(l, &s->watches) {
		struct watch *w = list_entry(l, struct watch, link);
		if (w->ended || w->aborted)
			finish(w);
	}
}

static void give_live(struct watch *w, struct event *e)
{
	if (w->phase == PHASE_LIVE && concerns(w, e) && reader_waits(w))
		w->phase = PHASE_LOG; /* from its position, when it has drained */
	if (w->phase == PHASE_LIVE)
		give(w, e);
}

void watch_drained(struct watch *w)
{
	struct apiserver *s = w->s;
	bool outer = s->delivering;
	s->delivering = true;
	catch_up(w);
	s->delivering = outer;
	reap(s);
}

static void watch_deliver(struct apiserver *s, struct event *events, size_t count)
{
	bool outer = s->delivering;
	s->delivering = true;
	for (size_t i = 0; i < count; i++)
		list_for_each(l, &s->watches)
			give_live(list_entry(l, struct watch, link), &events[i]);
	s->delivering = outer;
	reap(s);
}

const struct observer watch_observer = { .committed = watch_deliver };

static void on_bookmark(void *data)
{
	struct apiserver *s = data;
	bool any = false;
	s->delivering = true;
	list_for_each(l, &s->watches) {
		struct watch *w = list_entry(l, struct watch, link);
		if (!w->bookmarks)
			continue;
		any = true;
		if (w->phase != PHASE_LIVE)
			continue;
		w->position = s->committed;
		send_bookmark(w, false);
	}
	s->delivering = false;
	reap(s);
	if (any)
		timer_set_in(&s->bookmark_timer, BOOKMARK_INTERVAL);
}

void watch_abort(struct watch *w)
{
	w->aborted = true;
	if (!w->s->delivering)
		finish(w);
}

void watch_end_kind(struct apiserver *s, const char *key)
{
	list_for_each(l, &s->watches) {
		struct watch *w = list_entry(l, struct watch, link);
		if (streq(w->r->key, key))
			w->ended = true;
	}
}

void watch_end_all(struct apiserver *s)
{
	list_for_each(l, &s->watches)
		list_entry(l, struct watch, link)->ended = true;
	timer_stop(&s->bookmark_timer);
	reap(s);
}
