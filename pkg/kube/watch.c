/* Watcher: list pages, then a watch that resumes.
 *
 *   IDLE → LIST → (more pages) → STREAM → (reopen) → …          every fault: → PAUSE → LIST or
 * STREAM
 *
 * Lists: the first with resourceVersion=0, from the server's cache; later ones not older than our
 * position; after "gone" without a version. Watches: from the position, with bookmarks, for 240-290
 * s (proxies cut at 300). What follows a fault stands in watch_faults.c. Delays have full jitter,
 * double from 0.8 s to 30 s, and begin anew after 2 min without a fault. A watch in which no frame
 * comes for 150 s is taken for half-open and reopened; a list that stands still for 60 s likewise.
 *
 * Where the client asks for it, the list is the beginning of the watch (WatchList): the server
 * sends what exists as ADDED, then a bookmark that says so, and the same stream goes on:
 *
 *   IDLE → SYNC → STREAM → …       refused, or not understood: → PAUSE → LIST, and never again
 *
 * Handlers may free the watcher: `busy` counts the calls that are on the stack above it, and the
 * last of them frees it. Core thread. */

#include "kube/watch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kube/internal.h"
#include "kube/path.h"
#include "kube/watch_faults.h"
#include "json/stream.h"

static const usec_t BACKOFF_MIN = 800 * USEC_PER_MSEC, BACKOFF_MAX = 30 * USEC_PER_SEC;
static const usec_t BACKOFF_RESET = 2 * USEC_PER_MIN;
static const usec_t WATCH_SILENCE = 150 * USEC_PER_SEC, LIST_SILENCE = 60 * USEC_PER_SEC;
static const usec_t INTERNAL_LIMIT = USEC_PER_MIN; /* of retries from the same position */
static const usec_t SHORT_WATCH = USEC_PER_SEC;
static const usec_t TELL_AGAIN = USEC_PER_MIN;
static const usec_t SYNC_SLOW = 10 * USEC_PER_SEC; /* between frames of a streamed list */
enum { WATCH_SECONDS_MIN = 240, WATCH_SECONDS_SPAN = 51 };

enum watch_state {
	WATCH_IDLE,
	WATCH_LIST,
	WATCH_SYNC,
	WATCH_STREAM,
	WATCH_PAUSE,
	_WATCH_STATE_MAX
};

static const struct {
	const char *name;
	unsigned next; /* states that may follow, one bit each */
} states[_WATCH_STATE_MAX] = {
	[WATCH_IDLE] = { "idle", 1 << WATCH_LIST | 1 << WATCH_SYNC },
	[WATCH_LIST] = { "list", 1 << WATCH_LIST | 1 << WATCH_STREAM | 1 << WATCH_PAUSE },
	[WATCH_SYNC] = { "sync", 1 << WATCH_STREAM | 1 << WATCH_PAUSE },
	[WATCH_STREAM] = { "stream", 1 << WATCH_STREAM | 1 << WATCH_PAUSE },
	[WATCH_PAUSE] = { "pause", 1 << WATCH_LIST | 1 << WATCH_SYNC | 1 << WATCH_STREAM },
};

const struct fsm kube_watch_fsm = FSM_INIT("watch", states);

/* How new a list has to be. */
enum list_age { LIST_ANY, LIST_SINCE, LIST_FRESH };

struct kube_watch {
	struct kube_client *client;
	struct loop *loop;
	const struct kube_resource *resource;
	unsigned page;
	bool metadata_only;
	struct kube_watch_handlers handlers;
	void *data;
	char *what;
	char *base; /* path and selectors; NULL: the options make no path */

	enum watch_state state;
	struct kube_op *op;
	struct json_stream *stream;
	struct timer timer;   /* end of the pause, or start */
	struct timer silence; /* no frame, no byte of a list */
	struct timer slow;    /* SYNC: no frame; told once a stream */
	unsigned synced;      /* objects of the streamed list so far */
	char *position;	      /* where a watch begins */
	enum list_age age;
	bool listed;	    /* a list was completed; a watch may begin */
	char *list_version; /* of the first page */
	char *token;	    /* of the next page */
	bool page_complete;
	usec_t opened;
	bool accepted, had_frame;

	/* A frame that ends the stream leaves its verdict here. */
	bool ended;
	enum watch_fault verdict;
	struct kube_status verdict_status;
	struct err verdict_err;

	unsigned failures;
	usec_t failed_at, internal_since;
	enum watch_fault last_fault;
	struct err error;
	usec_t told; /* of the error */
	unsigned busy;
	bool dead;
};

static void start_list(struct kube_watch *w);
static void start_stream(struct kube_watch *w, enum watch_state state);

/* --- life
 * ------------------------------------------------------------------------------------------ */

static void set_state(struct kube_watch *w, enum watch_state to)
{
	fsm_check(&kube_watch_fsm, w->state, to, w->what);
	log_debug("watcher", "watch", w->what, "from", states[w->state].name, "to", states[to].name,
		  "position", w->position);
	w->state = to;
}

static void free_now(struct kube_watch *w)
{
	json_stream_free(w->stream);
	free(w->what);
	free(w->base);
	free(w->position);
	free(w->list_version);
	free(w->token);
	free(w);
}

/* True when a handler has freed the watcher: it is gone then. */
static bool leave(struct kube_watch *w)
{
	if (--w->busy > 0 || !w->dead)
		return w->dead;
	free_now(w);
	return true;
}

struct kube_watch *kube_watch_free(struct kube_watch *w)
{
	if (!w)
		return NULL;
	w->op = kube_cancel(w->op);
	timer_stop(&w->timer);
	timer_stop(&w->silence);
	timer_stop(&w->slow);
	w->dead = true;
	if (w->busy == 0)
		free_now(w);
	return NULL;
}

/* --- faults
 * ---------------------------------------------------------------------------------------- */

/* Counts faults that follow each other closely; true when the one before was of the same kind. */
static bool note_fault(struct kube_watch *w, enum watch_fault f)
{
	usec_t now = loop_now(w->loop);
	if (w->failed_at && now - w->failed_at > BACKOFF_RESET)
		w->failures = 0;
	bool again = w->failures++ > 0 && w->last_fault == f;
	w->failed_at = now;
	w->last_fault = f;
	return again;
}

static usec_t backoff(struct kube_watch *w)
{
	usec_t limit = BACKOFF_MIN;
	for (unsigned i = 1; i < w->failures && limit < BACKOFF_MAX; i++)
		limit *= 2;
	return loop_random_below(w->loop, MIN(limit, BACKOFF_MAX) + 1);
}

static usec_t delay_of(struct kube_watch *w, enum watch_fault f, const struct kube_status *s)
{
	usec_t wait, asked = USEC_PER_SEC;
	bool again = note_fault(w, f);
	switch (watch_fault_info(f)->delay) {
	case DELAY_NONE:
		/* Twice in a row without progress would be a loop at full speed. After an outage,
		 * "gone" is the first word of a server that is back. */
		return again && !w->had_frame ? backoff(w) : 0;
	case DELAY_BACKOFF:
		return backoff(w);
	case DELAY_SERVER:
		if (s && s->retry_after_s >= 0)
			asked = (usec_t)MIN(s->retry_after_s, INT64_C(60)) * USEC_PER_SEC;
		wait = backoff(w);
		return MAX(wait, asked);
	case DELAY_MAX:
		return BACKOFF_MAX / 2 + loop_random_below(w->loop, BACKOFF_MAX / 2);
	}
	return BACKOFF_MAX;
}

static void apply_next(struct kube_watch *w, enum watch_next next)
{
	switch (next) {
	case NEXT_SAME:
		break;
	case NEXT_LIST:
		w->listed = false;
		if (w->age == LIST_ANY)
			w->age = LIST_SINCE;
		break;
	case NEXT_LIST_FRESH:
		w->listed = false;
		w->age = LIST_FRESH;
		break;
	}
}

/* A server that fails again and again at one position may have trouble with that very position. */
static enum watch_next next_of(struct kube_watch *w, enum watch_fault fault)
{
	enum watch_next next = watch_fault_info(fault)->next;
	usec_t now = loop_now(w->loop);
	if (fault != FAULT_INTERNAL) {
		w->internal_since = 0;
		return next;
	}
	if (w->internal_since == 0)
		w->internal_since = now;
	return now - w->internal_since >= INTERNAL_LIMIT ? NEXT_LIST : next;
}

/* Told when it begins, and again as long as it lasts: somebody may only now look into the log. */
static void tell(struct kube_watch *w, const struct watch_fault_info *info, bool known)
{
	usec_t now = loop_now(w->loop);
	if (known && now - w->told < TELL_AGAIN)
		return;
	w->told = now;
	log_warn("watch interrupted; retrying", "watch", w->what, "fault", info->name, "error",
		 w->error.text);
}

static void report(struct kube_watch *w, const struct watch_fault_info *info, const struct err *err)
{
	bool known = w->error.kind == err->kind && w->error.code == err->code;
	w->error = *err;
	if (info->advice) {
		size_t len = strlen(w->error.text);
		snprintf(w->error.text + len, sizeof(w->error.text) - len, " (%s)", info->advice);
	}
	tell(w, info, known);
	if (w->handlers.failed)
		w->handlers.failed(w->data, &w->error);
}

/* Ends what is under way; the pause leads on. The watcher may be gone afterwards: callers are
 * inside busy. */
static void fault(struct kube_watch *w, enum watch_fault f, const struct kube_status *status,
		  const struct err *err)
{
	const struct watch_fault_info *info = watch_fault_info(f);
	w->op = kube_cancel(w->op);
	timer_stop(&w->silence);
	timer_stop(&w->slow);
	w->ended = false;
	str_replace(&w->token, NULL);
	apply_next(w, next_of(w, f));
	usec_t delay = delay_of(w, f, status);
	set_state(w, WATCH_PAUSE);
	timer_set_in(&w->timer, delay);
	log_debug("watcher pauses", "watch", w->what, "fault", info->name, "error",
		  err ? err->text : NULL);
	if (info->report && err)
		report(w, info, err);
}

/* All is well again. */
static void recovered(struct kube_watch *w)
{
	w->internal_since = 0;
	if (w->error.kind == ERR_NONE)
		return;
	log_info("watch is back", "watch", w->what);
	err_clear(&w->error);
}

/* The options lead nowhere: only their author can help. */
static void give_up(struct kube_watch *w)
{
	log_error("cannot watch", "watch", w->what, "error", w->error.text);
	if (w->handlers.failed)
		w->handlers.failed(w->data, &w->error);
}

static void on_timer(void *data)
{
	struct kube_watch *w = data;
	if (!w->base)
		give_up(w);
	else if (w->listed)
		start_stream(w, WATCH_STREAM);
	else if (kube_streams_lists(w->client))
		start_stream(w, WATCH_SYNC);
	else
		start_list(w);
}

/* A watch that was accepted is reopened quietly, be it only that the server sends no bookmarks. */
static void on_silence(void *data)
{
	struct kube_watch *w = data;
	struct err err;
	err_set(&err, ERR_TIMEOUT, "%s: the server %s", w->what,
		w->accepted ? "stopped in the middle of the list" : "does not answer");
	w->busy++;
	if (w->state == WATCH_STREAM && w->accepted) {
		recovered(w);
		fault(w, FAULT_SILENT, NULL, NULL);
	} else {
		fault(w, FAULT_UNREACHABLE, NULL, &err);
	}
	leave(w);
}

/* Not a fault yet: a server may well be slow in counting what it has. */
static void on_slow(void *data)
{
	struct kube_watch *w = data;
	char count[16];
	snprintf(count, sizeof(count), "%u", w->synced);
	log_warn("the API server is slow in streaming a list: nothing came for 10 s", "watch",
		 w->what, "objects", count);
}

/* --- objects
 * --------------------------------------------------------------------------------------- */

static int garbage(struct kube_watch *w, const char *why)
{
	w->ended = true;
	w->verdict = FAULT_GARBAGE;
	err_set(&w->verdict_err, ERR_PROTOCOL, "%s: %s", w->what, why);
	return 1;
}

/* Items of lists of core kinds have neither kind nor apiVersion: they get them, so that what is
 * stored stands for itself. */
static bool complete(struct kube_watch *w, struct json *object)
{
	const struct kube_resource *r = w->resource;
	const char *kind = json_get_string(object, "kind");
	if (str_empty(kube_name(object)) || str_empty(kube_resource_version(object)))
		return false;
	if (kind && !streq(kind, r->kind) && !streq(kind, "PartialObjectMetadata"))
		return false;
	if (kind)
		return true;
	_cleanup_(freep) char *group_version = xasprintf("%s%s%s", r->group, r->group[0] ? "/" : "",
							 r->version);
	json_set_string(object, "kind", r->kind);
	json_set_string(object, "apiVersion", group_version);
	return true;
}

/* --- list
 * ------------------------------------------------------------------------------------------ */

static int on_item(void *data, const char *text, size_t len)
{
	struct kube_watch *w = data;
	_cleanup_(json_freep) struct json *object = NULL;
	if (json_parse(text, len, &object, NULL) < 0 || !complete(w, object))
		return garbage(w, "an item of the list is not an object of that kind");
	w->handlers.apply(w->data, &object);
	return w->dead;
}

static int on_list_rest(void *data, const char *text, size_t len)
{
	struct kube_watch *w = data;
	_cleanup_(json_freep) struct json *list = NULL;
	const char *version, *kind;
	if (json_parse(text, len, &list, NULL) < 0)
		return garbage(w, "the list is not JSON");
	kind = json_get_string(list, "kind");
	version = json_get_path_string(list, "metadata.resourceVersion");
	if (!str_has_suffix(kind, "List") || str_empty(version))
		return garbage(w, "the answer is not a list");
	if (!w->list_version)
		w->list_version = xstrdup(version);
	str_replace(&w->token, json_get_path_string(list, "metadata.continue"));
	w->page_complete = true;
	return 0;
}

static void finish_list(struct kube_watch *w)
{
	free(w->position);
	w->position = TAKE_PTR(w->list_version);
	w->listed = true;
	w->age = LIST_SINCE;
	recovered(w);
	w->handlers.listed(w->data, w->position);
	if (!w->dead)
		start_stream(w, WATCH_STREAM);
}

static void on_list_done(void *data, const struct err *err, const struct kube_status *status)
{
	struct kube_watch *w = data;
	w->op = NULL;
	w->busy++;
	if (err) {
		fault(w, watch_fault_of(status, false), status, err);
	} else if (!w->page_complete) {
		garbage(w, "the list broke off");
		fault(w, FAULT_GARBAGE, NULL, &w->verdict_err);
	} else if (!str_empty(w->token)) {
		start_list(w);
	} else {
		finish_list(w);
	}
	leave(w);
}

/* --- watch
 * ----------------------------------------------------------------------------------------- */

/* Versions of what is sent as the list come in any order: only its end is a position. */
static void advance(struct kube_watch *w, const struct json *object)
{
	if (w->state == WATCH_STREAM)
		str_replace(&w->position, kube_resource_version(object));
}

static int on_apply(struct kube_watch *w, struct json **object)
{
	if (!complete(w, *object))
		return garbage(w, "an event without an object of that kind");
	advance(w, *object);
	w->handlers.apply(w->data, object);
	return w->dead;
}

static int on_deleted(struct kube_watch *w, struct json **object)
{
	if (!complete(w, *object))
		return garbage(w, "an event without an object of that kind");
	advance(w, *object);
	w->handlers.remove(w->data, object);
	return w->dead;
}

static int no_stream(struct kube_watch *w)
{
	log_debug("server streams no lists", "watch", w->what);
	kube_stream_no_lists(w->client);
	w->ended = true;
	w->verdict = FAULT_NO_STREAM;
	return 1;
}

/* The bookmark at the end of the streamed list. One that does not say so comes from a server that
 * has not understood what it was asked. */
static int end_sync(struct kube_watch *w, const struct json *bookmark)
{
	const struct json *notes = json_get_path(bookmark, "metadata.annotations");
	if (!streq(json_get_string(notes, "k8s.io/initial-events-end"), "true"))
		return no_stream(w);
	str_replace(&w->position, kube_resource_version(bookmark));
	w->listed = true;
	w->age = LIST_SINCE;
	set_state(w, WATCH_STREAM);
	timer_stop(&w->slow);
	w->handlers.listed(w->data, w->position);
	return w->dead;
}

static int on_bookmark(struct kube_watch *w, struct json **object)
{
	const char *version = kube_resource_version(*object);
	if (str_empty(version))
		return garbage(w, "a bookmark without a version");
	if (w->state == WATCH_SYNC)
		return end_sync(w, *object);
	str_replace(&w->position, version);
	return 0;
}

static int on_error_event(struct kube_watch *w, struct json **object)
{
	err_clear(&w->verdict_err);
	w->verdict_status = kube_status_read(*object, 0, &w->verdict_err);
	err_wrap(&w->verdict_err, "%s", w->what);
	w->verdict = watch_fault_of(&w->verdict_status, true);
	w->ended = true;
	return 1;
}

static const struct {
	const char *type;
	int (*fn)(struct kube_watch *w, struct json **object);
} events[] = {
	{ "ADDED", on_apply },	     { "MODIFIED", on_apply },	  { "DELETED", on_deleted },
	{ "BOOKMARK", on_bookmark }, { "ERROR", on_error_event },
};

/* The timer that has struck stays so. */
static void note_progress(struct kube_watch *w)
{
	if (w->state != WATCH_SYNC)
		return;
	w->synced++;
	if (timer_is_set(&w->slow))
		timer_set_in(&w->slow, SYNC_SLOW);
}

static int on_frame(void *data, const char *text, size_t len)
{
	struct kube_watch *w = data;
	_cleanup_(json_freep) struct json *frame = NULL, *object = NULL;
	if (json_parse(text, len, &frame, NULL) < 0)
		return garbage(w, "an event is not JSON");
	const char *type = json_get_string(frame, "type");
	object = json_take(frame, "object");
	if (!type)
		return garbage(w, "an event without a type");
	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		if (!streq(type, events[i].type))
			continue;
		int r = events[i].fn(w, &object);
		if (r == 0) {
			note_progress(w);
			w->had_frame = true;
			recovered(w);
		}
		return r;
	}
	log_warn("event of a type that is not known: ignored", "watch", w->what, "type", type);
	return 0;
}

/* The server ended the watch, as it does every few minutes. */
static void on_stream_end(struct kube_watch *w)
{
	bool brief = loop_now(w->loop) - w->opened < SHORT_WATCH && !w->had_frame;
	if (!json_stream_idle(w->stream)) {
		garbage(w, "the watch broke off inside an event");
		fault(w, FAULT_GARBAGE, NULL, &w->verdict_err);
	} else if (brief || w->state == WATCH_SYNC) {
		fault(w, FAULT_SHORT, NULL, NULL);
	} else {
		start_stream(w, WATCH_STREAM);
	}
}

/* Servers before 1.27 refuse one part or the other of what asks for a streamed list. */
static bool refuses_stream(const struct kube_watch *w, const struct err *err)
{
	return w->state == WATCH_SYNC &&
	       (err->code == 400 || err->code == 422 || strstr(err->text, "sendInitialEvents"));
}

static void on_stream_done(void *data, const struct err *err, const struct kube_status *status)
{
	struct kube_watch *w = data;
	w->op = NULL;
	w->busy++;
	if (err && refuses_stream(w, err)) {
		no_stream(w);
		fault(w, FAULT_NO_STREAM, NULL, NULL);
	} else if (err)
		fault(w, watch_fault_of(status, false), status, err);
	else
		on_stream_end(w);
	leave(w);
}

/* --- both
 * ------------------------------------------------------------------------------------------ */

static void on_accepted(void *data)
{
	struct kube_watch *w = data;
	w->opened = loop_now(w->loop);
	w->accepted = true;
}

static int on_body(void *data, const char *bytes, size_t len)
{
	struct kube_watch *w = data;
	usec_t limit = w->state == WATCH_STREAM ? WATCH_SILENCE : LIST_SILENCE;
	timer_set_in(&w->silence, limit);
	w->busy++;
	int r = json_stream_feed(w->stream, bytes, len);
	if (r < 0)
		garbage(w, r == -E2BIG ? "a value is larger than 8 MiB" : "the bytes are no JSON");
	if (!w->dead && w->ended)
		fault(w, w->verdict, &w->verdict_status, &w->verdict_err);
	leave(w);
	return 0; /* what had to end, ended by kube_cancel() */
}

static void open_op(struct kube_watch *w, struct strbuf *path, const char *accept,
		    const struct kube_stream_handlers *handlers, usec_t silence)
{
	w->page_complete = w->accepted = w->had_frame = w->ended = false;
	w->opened = loop_now(w->loop);
	timer_set_in(&w->silence, silence);
	w->op = kube_stream(w->client, path->data, accept, w->what, handlers, w);
}

static void begin_list(struct kube_watch *w)
{
	str_replace(&w->list_version, NULL);
	if (w->handlers.restart)
		w->handlers.restart(w->data);
}

static void list_query(struct kube_watch *w, struct strbuf *path)
{
	char limit[16];
	snprintf(limit, sizeof(limit), "%u", w->page);
	kube_query(path, "limit", limit);
	if (!str_empty(w->token)) {
		kube_query(path, "continue", w->token);
	} else if (w->age == LIST_ANY || (w->age == LIST_SINCE && str_empty(w->position))) {
		kube_query(path, "resourceVersion", "0");
	} else if (w->age == LIST_SINCE) {
		/* With a limit alone this would mean "exactly that version" to old servers. */
		kube_query(path, "resourceVersion", w->position);
		kube_query(path, "resourceVersionMatch", "NotOlderThan");
	}
}

static void start_list(struct kube_watch *w)
{
	static const struct kube_stream_handlers handlers = { on_accepted, on_body, on_list_done };
	_cleanup_(strbuf_done) struct strbuf path = { 0 };
	set_state(w, WATCH_LIST);
	w->busy++;
	if (str_empty(w->token))
		begin_list(w);
	if (leave(w))
		return;
	strbuf_adds(&path, w->base);
	list_query(w, &path);
	json_stream_free(w->stream);
	w->stream = json_stream_new_list("items", KUBE_VALUE_MAX, on_item, on_list_rest, w);
	open_op(w, &path,
		w->metadata_only ? "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=1"
				 : NULL,
		&handlers, LIST_SILENCE);
}

/* WATCH_SYNC: from a list on; WATCH_STREAM: from the position. */
static void start_stream(struct kube_watch *w, enum watch_state state)
{
	static const struct kube_stream_handlers handlers = { on_accepted, on_body,
							      on_stream_done };
	_cleanup_(strbuf_done) struct strbuf path = { 0 };
	char seconds[24];
	bool sync = state == WATCH_SYNC;
	set_state(w, state);
	w->busy++;
	if (sync)
		begin_list(w);
	if (leave(w))
		return;
	snprintf(seconds, sizeof(seconds), "%" PRIu64,
		 WATCH_SECONDS_MIN + loop_random_below(w->loop, WATCH_SECONDS_SPAN));
	strbuf_adds(&path, w->base);
	kube_query(&path, "watch", "1");
	kube_query(&path, "allowWatchBookmarks", "true");
	if (!sync || (w->age == LIST_SINCE && !str_empty(w->position)))
		kube_query(&path, "resourceVersion", w->position);
	kube_query(&path, "resourceVersionMatch", sync ? "NotOlderThan" : NULL);
	kube_query(&path, "sendInitialEvents", sync ? "true" : NULL);
	kube_query(&path, "timeoutSeconds", seconds);
	if (sync) {
		w->synced = 0;
		timer_set_in(&w->slow, SYNC_SLOW);
	}
	json_stream_free(w->stream);
	w->stream = json_stream_new(KUBE_VALUE_MAX, on_frame, w);
	open_op(w, &path,
		w->metadata_only ? "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=1"
				 : NULL,
		&handlers, sync ? LIST_SILENCE : WATCH_SILENCE);
}

/* --- for users
 * ------------------------------------------------------------------------------------- */

static char *base_path(const struct kube_watch_options *o, const char *ns, struct err *err)
{
	_cleanup_(strbuf_done) struct strbuf path = { 0 };
	if (kube_path(&path, o->resource, ns, NULL, NULL, err) < 0)
		return NULL;
	kube_query(&path, "labelSelector", o->label_selector);
	kube_query(&path, "fieldSelector", o->field_selector);
	return strbuf_take(&path, NULL);
}

struct kube_watch *kube_watch_new(struct kube_client *c, const struct kube_watch_options *o,
				  const struct kube_watch_handlers *handlers, void *data)
{
	struct kube_watch *w = xcalloc(1, sizeof(*w));
	const char *ns = o->resource->scope != KUBE_CLUSTER && !str_empty(o->ns) ? o->ns : NULL;
	w->client = c;
	w->loop = kube_client_loop(c);
	w->resource = o->resource;
	w->page = o->page ? o->page : 500;
	w->metadata_only = o->metadata_only;
	w->handlers = *handlers;
	w->data = data;
	w->what = xasprintf("watch %s%s%s", o->resource->kind, ns ? " in " : "", ns ? ns : "");
	w->base = base_path(o, ns, &w->error);
	w->position = xstrdup("");
	timer_init(&w->timer, w->loop, "kube watch", on_timer, w);
	timer_init(&w->silence, w->loop, "kube watch silence", on_silence, w);
	timer_init(&w->slow, w->loop, "kube streamed list", on_slow, w);
	timer_set_in(&w->timer, 0);
	return w;
}

const char *kube_watch_position(const struct kube_watch *w)
{
	return w->position;
}

const struct err *kube_watch_error(const struct kube_watch *w)
{
	return w->error.kind == ERR_NONE ? NULL : &w->error;
}
