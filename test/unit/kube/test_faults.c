/* Informer against a model API server that fails in every way it can:
 * after the faults stop, the cache equals the server's state; at no
 * time is a handler told nonsense, nor does a reader see time run backwards. Each seed is another
 * history; every other one has a server that streams its lists, and the changes of that time. */

#include "fake.h"

#include "base/log.h"
#include "base/map.h"
#include "kube/informer.h"

enum { NAMES = 12, HISTORY = 40, SNAPSHOTS = 4, STALE = 8, SEEDS = 150 };

enum {
	COUNT_ADD,
	COUNT_UPDATE,
	COUNT_REMOVE,
	COUNT_FAULT,
	COUNT_LIST,
	COUNT_WATCH,
	COUNT_GONE,
	COUNT_SYNC,	    /* streamed lists that were complete */
	COUNT_SYNC_APPLY,   /* objects added or changed before the end of one */
	COUNT_SYNC_DELETED, /* likewise deleted */
	COUNT_SYNC_BROKEN,  /* streams that failed before that end */
	COUNT_STALE, /* lists of either kind that were older than the state, as they may be */
	_COUNT_MAX,
};

struct object {
	bool exists;
	uint64_t version, uid;
};

struct change {
	const char *type;
	uint64_t version;
	char *text;
};

/* The state at one time: what a list began to hand out in pages, or what a cache still holds. */
struct snapshot {
	uint64_t id, version;
	char *items[NAMES];
	size_t count;
};

struct model {
	struct fake *f;
	struct kube_informer *i;
	struct object objects[NAMES];
	uint64_t version, compacted, next_uid, next_snapshot;
	struct change history[HISTORY];
	size_t history_count;
	struct snapshot snapshots[SNAPSHOTS], stale[STALE];
	bool streams; /* lists come as the beginning of watches */
	bool calm;    /* no faults any more */
	/* What the handler believes. */
	struct map told;
	uint64_t seen[NAMES], seen_uid[NAMES], gone_uid[NAMES]; /* by a reader */
	unsigned counts[_COUNT_MAX];
};

static uint64_t dice(struct model *m, uint64_t bound)
{
	return loop_random_below(m->f->loop, bound);
}

/* --- the server's state
 * ------------------------------------------------------------------------------------- */

static char *object_text(const struct model *m, int n)
{
	const struct object *o = &m->objects[n];
	return xasprintf("{\"apiVersion\":\"metal3.io/v1alpha1\",\"kind\":\"BareMetalHost\","
			 "\"metadata\":{\"namespace\":\"m\",\"name\":\"n%d\",\"uid\":\"u%llu\","
			 "\"resourceVersion\":\"%llu\"}}",
			 n, (unsigned long long)o->uid, (unsigned long long)o->version);
}

static void compact(struct model *m, size_t keep)
{
	while (m->history_count > keep) {
		m->compacted = m->history[0].version;
		free(m->history[0].text);
		memmove(&m->history[0], &m->history[1], --m->history_count * sizeof(m->history[0]));
	}
}

static void fill(const struct model *m, struct snapshot *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->items[i]);
	*s = (struct snapshot){ .version = m->version };
	for (int n = 0; n < NAMES; n++)
		if (m->objects[n].exists)
			s->items[s->count++] = object_text(m, n);
}

static void push_events(struct model *m);

static void change_object(struct model *m, int n, bool exists)
{
	struct object *o = &m->objects[n];
	const char *type = !exists ? "DELETED" : o->exists ? "MODIFIED" : "ADDED";
	if (exists && !o->exists)
		o->uid = ++m->next_uid;
	o->exists = exists;
	o->version = ++m->version;
	compact(m, HISTORY - 1);
	m->history[m->history_count++] = (struct change){ type, m->version, object_text(m, n) };
}

static void random_change(struct model *m)
{
	int n = (int)dice(m, NAMES);
	bool was = m->objects[n].exists;
	if (dice(m, 2) == 0)
		fill(m, &m->stale[dice(m, STALE)]);
	change_object(m, n, !was || dice(m, 4) > 0);
	/* Our own write now and then: the cache hears of it from us first, or last. */
	if (m->objects[n].exists && dice(m, 3) == 0) {
		_cleanup_(freep) char *text = object_text(m, n);
		_cleanup_(json_freep) struct json *j = NULL;
		json_parse(text, strlen(text), &j, NULL);
		if (dice(m, 2) == 0)
			push_events(m);
		kube_informer_note_written(m->i, j);
	}
	push_events(m);
}

/* --- watches
 * ----------------------------------------------------------------------------------------------------
 */

/* An open watch's position is kept in call->note, as version + 1, with a bit that says whether its
 * list has not ended yet; NULL for other calls and for dead ones. */
static void set_position(struct kube_call *c, uint64_t version, bool syncing)
{
	c->note = (void *)(uintptr_t)((version + 1) << 1 | syncing);
}

static bool is_watch(const struct kube_call *c)
{
	return c->note != NULL;
}

static uint64_t position(const struct kube_call *c)
{
	return ((uint64_t)(uintptr_t)c->note >> 1) - 1;
}

static bool is_syncing(const struct kube_call *c)
{
	return (uintptr_t)c->note & 1;
}

static bool send_error(struct kube_call *c, int code, const char *reason)
{
	return fake_sendf(c,
			  "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":%d,"
			  "\"reason\":\"%s\",\"message\":\"m\"}}\n",
			  code, reason);
}

/* False when the call is no more. */
static bool disturb(struct model *m, struct kube_call *c, const char *frame)
{
	m->counts[COUNT_FAULT]++;
	m->counts[COUNT_SYNC_BROKEN] += is_syncing(c);
	switch (dice(m, 9)) {
	case 0:
		fake_send(c, frame, dice(m, strlen(frame)) + 1);
		fake_fail(c, ERR_UNREACHABLE, "reset");
		return false;
	case 1:
		fake_send(c, frame, strlen(frame) / 2);
		fake_end(c);
		return false;
	case 2:
		fake_end(c);
		return false;
	case 3:
		return fake_send(c, "}garbage", 8);
	case 4:
		return send_error(c, 410, "Expired");
	case 5:
		return send_error(c, 500, "InternalError");
	case 6:
		return send_error(c, 403, "Forbidden");
	case 7:
		c->note = NULL; /* half-open: nothing comes any more */
		return false;
	case 8:
		return fake_sendf(c, "{\"type\":\"UNKNOWN\",\"object\":{}}");
	}
	return true;
}

static bool send_change(struct model *m, struct kube_call *c, const struct change *h)
{
	_cleanup_(freep) char *frame = xasprintf("{\"type\":\"%s\",\"object\":%s}\n", h->type,
						 h->text);
	if (!m->calm && dice(m, 20) == 0 && !disturb(m, c, frame))
		return false;
	size_t len = strlen(frame), cut = dice(m, len);
	if (is_syncing(c))
		m->counts[streq(h->type, "DELETED") ? COUNT_SYNC_DELETED : COUNT_SYNC_APPLY]++;
	set_position(c, h->version, is_syncing(c));
	return fake_send(c, frame, cut) && fake_send(c, frame + cut, len - cut);
}

static void push_to(struct model *m, struct kube_call *c)
{
	for (size_t i = 0; i < m->history_count; i++)
		if (m->history[i].version > position(c) && !send_change(m, c, &m->history[i]))
			return;
}

static void push_events(struct model *m)
{
	struct kube_call *watches[16];
	size_t n = 0;
	list_for_each(l, &m->f->open) {
		struct kube_call *c = list_entry(l, struct kube_call, node);
		if (is_watch(c) && n < ARRAY_SIZE(watches))
			watches[n++] = c;
	}
	for (size_t i = 0; i < n; i++)
		push_to(m, watches[i]);
}

static uint64_t parameter(const struct kube_call *c, const char *name)
{
	const char *at = strstr(c->path, name);
	return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static void serve_watch(struct model *m, struct kube_call *c)
{
	uint64_t from = parameter(c, "resourceVersion=");
	m->counts[COUNT_WATCH]++;
	if (from < m->compacted) {
		m->counts[COUNT_GONE]++;
		if (dice(m, 2) == 0)
			fake_refuse(c, 410, "Gone");
		else
			send_error(c, 410, "Expired");
		return;
	}
	set_position(c, from, false);
	fake_head(c, 200, -1);
	push_to(m, c);
}

/* Whoever asks for a state not older than some version may be given an older one than the last.
 * NULL: is given the last. */
static const struct snapshot *stale_state(struct model *m, const struct kube_call *c)
{
	const struct snapshot *s = &m->stale[dice(m, STALE)];
	if (m->calm || !strstr(c->path, "resourceVersion=") ||
	    s->version < parameter(c, "resourceVersion=") || s->version < m->compacted ||
	    s->version == m->version)
		return NULL;
	m->counts[COUNT_STALE]++;
	return s;
}

static void send_bookmark(struct model *m, struct kube_call *c)
{
	bool end = is_syncing(c);
	m->counts[COUNT_SYNC] += end;
	set_position(c, m->version, false);
	fake_sendf(c,
		   "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"BareMetalHost\","
		   "\"metadata\":{\"resourceVersion\":\"%llu\"%s}}}\n",
		   (unsigned long long)m->version,
		   end ? ",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}" : "");
}

/* What exists, in any order. The bookmark at the end comes later: until then changes go out on the
 * same stream. */
static void serve_sync(struct model *m, struct kube_call *c)
{
	struct snapshot s = { 0 };
	const struct snapshot *stale = stale_state(m, c);
	uint64_t first = dice(m, NAMES);
	bool open = true;
	if (stale)
		s = *stale; /* which stays as it is: nothing changes meanwhile */
	else
		fill(m, &s);
	set_position(c, s.version, true);
	fake_head(c, 200, -1);
	for (uint64_t i = 0; i < s.count && open; i++) {
		_cleanup_(freep) char *frame = xasprintf("{\"type\":\"ADDED\",\"object\":%s}\n",
							 s.items[(first + i) % s.count]);
		open = m->calm || dice(m, 20) > 0 || disturb(m, c, frame);
		if (open)
			fake_send(c, frame, strlen(frame));
	}
	for (size_t i = 0; i < s.count && !stale; i++)
		free(s.items[i]);
	if (open && !stale && (m->calm || dice(m, 4) == 0))
		send_bookmark(m, c);
	else if (open)
		push_to(m, c);
}

static void send_bookmarks(struct model *m)
{
	list_for_each_safe(l, &m->f->open) {
		struct kube_call *c = list_entry(l, struct kube_call, node);
		if (is_watch(c) && position(c) == m->version)
			send_bookmark(m, c);
	}
}

/* --- lists
 * --------------------------------------------------------------------------------------------------------
 */

static struct snapshot *take_snapshot(struct model *m, const struct kube_call *c)
{
	struct snapshot *s = &m->snapshots[m->next_snapshot++ % SNAPSHOTS];
	const struct snapshot *stale = stale_state(m, c);
	fill(m, s);
	if (stale) {
		for (size_t i = 0; i < s->count; i++)
			free(s->items[i]);
		*s = *stale;
		for (size_t i = 0; i < s->count; i++)
			s->items[i] = xstrdup(s->items[i]);
	}
	s->id = m->next_snapshot;
	return s;
}

static void serve_page(struct model *m, struct kube_call *c, const struct snapshot *s, size_t from)
{
	size_t limit = parameter(c, "limit="), end = MIN(s->count, from + limit);
	struct strbuf b = { 0 };
	strbuf_addf(&b,
		    "{\"kind\":\"BareMetalHostList\",\"metadata\":{\"resourceVersion\":\"%llu\"",
		    (unsigned long long)s->version);
	if (end < s->count)
		strbuf_addf(&b, ",\"continue\":\"%llu-%zu\"", (unsigned long long)s->id, end);
	strbuf_adds(&b, "},\"items\":[");
	for (size_t i = from; i < end; i++)
		strbuf_addf(&b, "%s%s", i > from ? "," : "", s->items[i]);
	strbuf_adds(&b, "]}");
	if (!m->calm && dice(m, 10) == 0) {
		m->counts[COUNT_FAULT]++;
		fake_send(c, b.data, dice(m, b.len));
		if (dice(m, 2) == 0)
			fake_fail(c, ERR_UNREACHABLE, "reset");
	} else {
		fake_reply(c, 200, b.data);
	}
	strbuf_done(&b);
}

static void serve_list(struct model *m, struct kube_call *c)
{
	uint64_t id = parameter(c, "continue="), from;
	m->counts[COUNT_LIST]++;
	if (id == 0) {
		serve_page(m, c, take_snapshot(m, c), 0);
		return;
	}
	from = strtoull(strstr(strstr(c->path, "continue="), "-") + 1, NULL, 10);
	for (size_t i = 0; i < SNAPSHOTS; i++)
		if (m->snapshots[i].id == id) {
			serve_page(m, c, &m->snapshots[i], from);
			return;
		}
	fake_refuse(c, 410, "Expired");
}

/* --- faults of any request
 * ------------------------------------------------------------------------------------------ */

static bool refuse(struct model *m, struct kube_call *c)
{
	/* The last is a server's word that it streams no lists, which is never asked again. */
	static const int codes[] = { 401, 403, 404, 410, 429, 500, 503, 504, 422 };
	m->counts[COUNT_FAULT]++;
	switch (dice(m, 5)) {
	case 0:
		return true; /* hangs */
	case 1:
		fake_fail(c, ERR_UNREACHABLE, "refused");
		return true;
	case 2:
		fake_reply(c, 502, "<html>Bad Gateway</html>");
		return true;
	case 3:
		fake_reply_after(c, 429, (int64_t)dice(m, 5), "");
		return true;
	case 4:
		fake_refuse(c, codes[dice(m, ARRAY_SIZE(codes) - m->streams)], "");
		return true;
	}
	return false;
}

static void serve(struct fake *f, struct kube_call *c)
{
	struct model *m = f->data;
	if (!m->calm && dice(m, 4) == 0 && refuse(m, c))
		return;
	if (strstr(c->path, "sendInitialEvents=true"))
		serve_sync(m, c);
	else if (strstr(c->path, "watch=1"))
		serve_watch(m, c);
	else
		serve_list(m, c);
}

/* --- what the informer says
 * ------------------------------------------------------------------------------------------- */

static void on_add(void *data, struct kube_object *now)
{
	struct model *m = data;
	m->counts[COUNT_ADD]++;
	if (map_set(&m->told, now->key, kube_object_ref(now)))
		fail_msg("%s was added twice", now->key);
}

static void on_update(void *data, struct kube_object *before, struct kube_object *now)
{
	struct model *m = data;
	struct kube_object *known = map_set(&m->told, now->key, kube_object_ref(now));
	m->counts[COUNT_UPDATE]++;
	if (known != before || !streq(before->uid, now->uid))
		fail_msg("update of %s from a state that was never told", now->key);
	if (strtoull(now->resource_version, NULL, 10) <=
	    strtoull(before->resource_version, NULL, 10))
		fail_msg("update of %s to an older state", now->key);
	kube_object_unref(known);
}

static void on_remove(void *data, struct kube_object *last)
{
	struct model *m = data;
	struct kube_object *known = map_remove(&m->told, last->key);
	m->counts[COUNT_REMOVE]++;
	if (known != last)
		fail_msg("removal of %s, which was not told", last->key);
	kube_object_unref(known);
}

static const struct kube_informer_handlers handlers = { on_add, on_update, on_remove, NULL };

/* A reader who comes again and again never sees an older state of the same object, nor one again
 * that was gone. */
static void read_all(struct model *m)
{
	for (int n = 0; n < NAMES; n++) {
		char name[16];
		snprintf(name, sizeof(name), "n%d", n);
		const struct kube_object *o = kube_informer_get(m->i, "m", name);
		if (!o) {
			m->gone_uid[n] = m->seen_uid[n];
			continue;
		}
		uint64_t version = strtoull(o->resource_version, NULL, 10);
		uint64_t uid = strtoull(o->uid + 1, NULL, 10);
		if (uid < m->seen_uid[n] || (uid == m->seen_uid[n] && version < m->seen[n]))
			fail_msg("%s went back from %llu (u%llu) to %llu (u%llu), streams %d", name,
				 (unsigned long long)m->seen[n], (unsigned long long)m->seen_uid[n],
				 (unsigned long long)version, (unsigned long long)uid, m->streams);
		if (uid == m->gone_uid[n])
			fail_msg("%s came back as u%llu", name, (unsigned long long)uid);
		m->seen_uid[n] = uid;
		m->seen[n] = version;
	}
}

static void check_equal(struct model *m, uint64_t seed)
{
	size_t count = 0;
	for (int n = 0; n < NAMES; n++) {
		_cleanup_(freep) char *key = xasprintf("m/n%d", n);
		_cleanup_(freep) char *text = object_text(m, n);
		const struct kube_object *o = kube_informer_get_key(m->i, key);
		_cleanup_(freep) char *cached = o ? kube_object_text(o) : NULL;
		const struct kube_object *told = map_get(&m->told, key);
		count += m->objects[n].exists;
		if ((o != NULL) != m->objects[n].exists || (o && !streq(cached, text)))
			fail_msg("seed %llu: %s is %s at the server, %s in the cache",
				 (unsigned long long)seed, key,
				 m->objects[n].exists ? text : "gone", o ? cached : "gone");
		if (told != o)
			fail_msg("seed %llu: the handler was not told of %s",
				 (unsigned long long)seed, key);
	}
	assert_int_equal(kube_informer_count(m->i), count);
	assert_null(kube_informer_error(m->i));
}

static void step(struct model *m)
{
	static const usec_t spans[] = { 0, USEC_PER_MSEC, USEC_PER_SEC, 20 * USEC_PER_SEC };
	switch (dice(m, 8)) {
	case 0:
	case 1:
	case 2:
	case 3:
		random_change(m);
		break;
	case 4:
		compact(m, dice(m, HISTORY));
		break;
	case 5:
		send_bookmarks(m);
		break;
	default:
		fake_sleep(m->f, spans[dice(m, ARRAY_SIZE(spans))]);
		break;
	}
	read_all(m);
}

static void quiet(void *data, enum log_level level, const char *line)
{
	(void)data, (void)level, (void)line;
}

static void model_free(struct model *m)
{
	kube_informer_free(m->i);
	compact(m, 0);
	for (size_t s = 0; s < SNAPSHOTS; s++)
		for (size_t i = 0; i < m->snapshots[s].count; i++)
			free(m->snapshots[s].items[i]);
	for (size_t s = 0; s < STALE; s++)
		for (size_t i = 0; i < m->stale[s].count; i++)
			free(m->stale[s].items[i]);
	map_for_each(&m->told, k)
		kube_object_unref(m->told.entries[k].value);
	map_done(&m->told);
	fake_free(m->f);
}

static void run_history(uint64_t seed, unsigned totals[_COUNT_MAX])
{
	struct model m = { .streams = seed % 2 == 0 };
	m.f = fake_new(seed, &(struct kube_client_options){ .stream_lists = m.streams });
	m.f->data = &m;
	m.f->serve = serve;
	m.f->latency = 5 * USEC_PER_MSEC;
	m.i = kube_informer_new(m.f->client, &(struct kube_informer_options){
						     .watch.resource = &hosts, .watch.page = 4 });
	kube_informer_handle(m.i, &handlers, &m);
	kube_informer_start(m.i);
	for (int i = 0; i < 400; i++)
		step(&m);
	m.calm = true;
	for (int minute = 0; minute < 6; minute++) {
		push_events(&m);
		send_bookmarks(&m);
		fake_sleep(m.f, USEC_PER_MIN);
		read_all(&m);
	}
	check_equal(&m, seed);
	for (int i = 0; i < _COUNT_MAX; i++)
		totals[i] += m.counts[i];
	model_free(&m);
}

static void test_converges_after_faults(void **state)
{
	(void)state;
	unsigned totals[_COUNT_MAX] = { 0 };
	log_set_sink(quiet, NULL);
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		run_history(seed, totals);
	/* The test is worth its name only if all of this happened. */
	for (int i = 0; i < _COUNT_MAX; i++)
		if (totals[i] < SEEDS / 2)
			fail_msg("count %d is only %u", i, totals[i]);
	print_message("# adds %u updates %u removes %u faults %u lists %u watches %u gone %u\n",
		      totals[0], totals[1], totals[2], totals[3], totals[4], totals[5], totals[6]);
	print_message("# streamed lists %u, in them changes %u deletions %u faults %u; stale %u\n",
		      totals[COUNT_SYNC], totals[COUNT_SYNC_APPLY], totals[COUNT_SYNC_DELETED],
		      totals[COUNT_SYNC_BROKEN], totals[COUNT_STALE]);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_converges_after_faults) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
