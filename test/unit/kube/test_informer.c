/* Informer: store, handlers, the difference after a second list, overlays of own writes, indexes.
 */

#include "fake.h"

#include "base/log.h"
#include "kube/informer.h"
#include "unit/parse.h"

#define LIST_PATH	    "/apis/metal3.io/v1alpha1/baremetalhosts?limit=500"
#define WATCH_PATH	    "/apis/metal3.io/v1alpha1/baremetalhosts?watch=1"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"
#define LIST(rv, items)                                                                            \
	"{\"kind\":\"BareMetalHostList\",\"metadata\":{\"resourceVersion\":\"" rv                  \
	"\"},\"items\":[" items "]}"
#define HOST2(name, rv, uid, more)                                                                 \
	"{\"apiVersion\":\"metal3.io/v1alpha1\",\"kind\":\"BareMetalHost\",\"metadata\":{"         \
	"\"namespace\":\"m\",\"name\":\"" name "\",\"uid\":\"" uid "\",\"resourceVersion\":\"" rv  \
	"\"" more "}}"

struct tale {
	struct fake *f;
	struct kube_informer *i;
	struct strbuf text, second;
};

static void add(void *data, struct kube_object *now)
{
	strbuf_addf(data, "+%s%s ", now->name, now->resource_version);
}

static void update(void *data, struct kube_object *before, struct kube_object *now)
{
	assert_string_equal(before->key, now->key);
	strbuf_addf(data, "%s%s>%s ", now->name, before->resource_version, now->resource_version);
}

static void removed(void *data, struct kube_object *last)
{
	strbuf_addf(data, "-%s%s ", last->name, last->resource_version);
}

static void synced(void *data)
{
	strbuf_adds(data, "synced ");
}

static const struct kube_informer_handlers handlers = { add, update, removed, synced };

static void quiet(void *data, enum log_level level, const char *line)
{
	(void)data, (void)level, (void)line;
}

static int setup_as(void **state, const struct kube_client_options *client)
{
	struct tale *t = xcalloc(1, sizeof(*t));
	log_set_sink(quiet, NULL);
	t->f = fake_new(3, client);
	t->i = kube_informer_new(t->f->client,
				 &(struct kube_informer_options){ .watch.resource = &hosts });
	kube_informer_index(t->i, "owner", kube_index_by_owner);
	kube_informer_index(t->i, "label", kube_index_by_label);
	strbuf_adds(&t->text, "");
	strbuf_adds(&t->second, "");
	kube_informer_handle(t->i, &handlers, &t->text);
	kube_informer_start(t->i);
	*state = t;
	return 0;
}

static int setup(void **state)
{
	return setup_as(state, NULL);
}

static int setup_streaming(void **state)
{
	return setup_as(state, &(struct kube_client_options){ .stream_lists = true });
}

static int teardown(void **state)
{
	struct tale *t = *state;
	kube_informer_free(t->i);
	fake_free(t->f);
	strbuf_done(&t->text);
	strbuf_done(&t->second);
	free(t);
	return 0;
}

static void check_text(struct strbuf *b, const char *expected)
{
	assert_string_equal(b->data, expected);
	strbuf_clear(b);
}

static const char *version(const struct tale *t, const char *name)
{
	const struct kube_object *o = kube_informer_get(t->i, "m", name);
	return o ? o->resource_version : "none";
}

static struct kube_call *get_going(struct tale *t)
{
	struct kube_call *c = fake_expect(t->f, "GET", LIST_PATH);
	assert_false(kube_informer_synced(t->i));
	fake_reply(c, 200, LIST("5", HOST("a", "1") "," HOST("b", "2")));
	check_text(&t->text, "+a1 +b2 synced ");
	assert_true(kube_informer_synced(t->i));
	return fake_expect(t->f, "GET", WATCH_PATH);
}

static struct kube_call *list_again(struct tale *t, struct kube_call *c)
{
	fake_refuse(c, 410, "Expired");
	return fake_expect(t->f, "GET", LIST_PATH);
}

/* --- store and handlers
 * ------------------------------------------------------------------------------------ */

static void test_events(void **state)
{
	struct tale *t = *state;
	struct kube_call *c = get_going(t);
	assert_int_equal(kube_informer_count(t->i), 2);
	fake_sendf(c, EVENT("ADDED", HOST("c", "6")) EVENT("MODIFIED", HOST("a", "7")));
	fake_sendf(c, EVENT("DELETED", HOST("b", "8")));
	check_text(&t->text, "+c6 a1>7 -b2 ");
	assert_int_equal(kube_informer_count(t->i), 2);
	assert_string_equal(version(t, "a"), "7");
	assert_string_equal(version(t, "b"), "none");
	assert_null(kube_informer_get_key(t->i, "m/b"));
	assert_non_null(kube_informer_get_key(t->i, "m/c"));
	/* What comes twice is told once; what is not there is not removed. */
	fake_sendf(c, EVENT("ADDED", HOST("c", "6")) EVENT("DELETED", HOST("x", "9")));
	check_text(&t->text, "");
}

static void test_objects(void **state)
{
	struct tale *t = *state;
	struct kube_call *c = get_going(t);
	fake_sendf(c, EVENT("ADDED", HOST2("d", "6", "u",
					   ",\"generation\":4,\"managedFields\":[{\"x\":1}],"
					   "\"deletionTimestamp\":\"2026-01-01T00:00:00Z\"")));
	struct kube_object *o = kube_informer_get(t->i, "m", "d");
	assert_string_equal(o->key, "m/d");
	assert_string_equal(o->ns, "m");
	assert_string_equal(o->name, "d");
	assert_string_equal(o->uid, "u");
	assert_int_equal(o->generation, 4);
	assert_true(o->deleting);
	_cleanup_(json_freep) struct json *tree = kube_object_parse(o);
	assert_null(json_get_path(tree, "metadata.managedFields"));
	assert_string_equal(kube_name(tree), "d");
	/* A snapshot outlives its object. */
	_cleanup_(kube_object_unrefp) struct kube_object *held = kube_object_ref(o);
	fake_sendf(c, EVENT("DELETED", HOST2("d", "7", "u", "")));
	assert_string_equal(held->resource_version, "6");
	check_text(&t->text, "+d6 -d6 ");
}

static void test_second_list_finds_the_difference(void **state)
{
	struct tale *t = *state;
	struct kube_call *c = list_again(t, get_going(t));
	struct kube_object *b = kube_informer_get(t->i, "m", "b");
	/* Half a list: readers see the old state. */
	fake_sendf(c, "{\"kind\":\"BareMetalHostList\",\"items\":[%s,%s,", HOST("b", "2"),
		   HOST("n", "9"));
	assert_string_equal(version(t, "a"), "1");
	assert_string_equal(version(t, "n"), "none");
	fake_sendf(c, "%s],\"metadata\":{\"resourceVersion\":\"12\"}}", HOST("c", "10"));
	fake_end(c);
	check_text(&t->text, "-a1 +n9 +c10 ");
	assert_ptr_equal(kube_informer_get(t->i, "m", "b"), b); /* not even copied */
}

static void test_list_that_fails_half_way(void **state)
{
	struct tale *t = *state;
	struct kube_call *c = list_again(t, get_going(t));
	fake_sendf(c, "{\"kind\":\"BareMetalHostList\",\"items\":[%s,", HOST("n", "9"));
	fake_fail(c, ERR_UNREACHABLE, "reset");
	assert_non_null(kube_informer_error(t->i));
	c = fake_expect(t->f, "GET", LIST_PATH);
	fake_reply(c, 200, LIST("12", HOST("a", "11") "," HOST("b", "2")));
	check_text(&t->text, "a1>11 ");
	assert_null(kube_informer_error(t->i));
}

static void test_made_anew_while_away(void **state)
{
	struct tale *t = *state;
	struct kube_call *c = list_again(t, get_going(t));
	fake_reply(c, 200, LIST("12", HOST2("a", "11", "other", "") "," HOST("b", "2")));
	check_text(&t->text, "-a1 +a11 ");
}

static void test_late_handler(void **state)
{
	struct tale *t = *state;
	struct kube_call *c = get_going(t);
	kube_informer_handle(t->i, &handlers, &t->second);
	fake_sendf(c, EVENT("MODIFIED", HOST("a", "6"))); /* before it has joined */
	check_text(&t->second, "");
	fake_sleep(t->f, 1);
	check_text(&t->second, "+a6 +b2 synced ");
	check_text(&t->text, "a1>6 ");
	fake_sendf(c, EVENT("MODIFIED", HOST("a", "7")));
	check_text(&t->second, "a6>7 ");
	check_text(&t->text, "a6>7 ");
}

static int note_name(void *data, struct kube_object *o)
{
	strbuf_adds(data, o->name);
	return streq(o->name, "stop") ? 7 : 0;
}

static void test_each(void **state)
{
	struct tale *t = *state;
	struct kube_call *c = get_going(t);
	fake_sendf(c, EVENT("ADDED", HOST("stop", "6")) EVENT("ADDED", HOST("z", "7")));
	struct strbuf b = { 0 };
	assert_int_equal(kube_informer_each(t->i, note_name, &b), 7);
	assert_string_equal(b.data, "abstop");
	strbuf_done(&b);
}

static void drop_status(struct json *object)
{
	json_remove(object, "status");
}

static void test_prune_and_cluster_scope(void **state)
{
	struct tale *t = *state;
	struct kube_informer *i = kube_informer_new(
		t->f->client,
		&(struct kube_informer_options){ .watch.resource = &nodes, .prune = drop_status });
	kube_informer_start(i);
	struct kube_call *c = fake_expect(t->f, "GET", "/"); /* of the fixture's informer */
	(void)c;
	fake_reply(fake_expect(t->f, "GET", "/api/v1/nodes"), 200,
		   "{\"kind\":\"NodeList\",\"metadata\":{\"resourceVersion\":\"5\"},\"items\":[{"
		   "\"metadata\":{\"name\":\"n\",\"uid\":\"u\",\"resourceVersion\":\"1\"},"
		   "\"status\":{\"big\":1}}]}");
	struct kube_object *o = kube_informer_get(i, NULL, "n");
	assert_string_equal(o->key, "n");
	assert_string_equal(o->ns, "");
	_cleanup_(freep) char *text = kube_object_text(o);
	assert_string_equal(text, "{\"metadata\":{\"name\":\"n\",\"uid\":\"u\",\"resourceVersion\":"
				  "\"1\"},\"kind\":\"Node\",\"apiVersion\":\"v1\"}");
	kube_informer_free(i);
}

/* --- own writes
 * --------------------------------------------------------------------------------------------- */

static void write_back(struct tale *t, const char *text)
{
	_cleanup_(json_freep) struct json *j = parse(text);
	kube_informer_note_written(t->i, j);
}

static void test_own_write_is_seen_at_once(void **state)
{
	struct tale *t = *state;
	struct kube_call *c = get_going(t);
	write_back(t, HOST("a", "9"));
	assert_string_equal(version(t, "a"), "9");
	check_text(&t->text, "");
	/* Events on the way from before our write do not turn the clock back, nor wake anybody. */
	fake_sendf(c, EVENT("MODIFIED", HOST("a", "8")));
	assert_string_equal(version(t, "a"), "9");
	check_text(&t->text, "");
	fake_sendf(c, EVENT("MODIFIED", HOST("a", "9")));
	check_text(&t->text, "a1>9 ");
	fake_sendf(c, EVENT("MODIFIED", HOST("a", "10")));
	check_text(&t->text, "a9>10 ");
	assert_string_equal(version(t, "a"), "10");
}

static void test_own_write_that_the_watch_has_passed(void **state)
{
	struct tale *t = *state;
	struct kube_call *c = get_going(t);
	fake_sendf(c, EVENT("MODIFIED", HOST("a", "9")) EVENT("DELETED", HOST("a", "10")));
	write_back(t, HOST("a", "9")); /* the answer came later than its events */
	assert_string_equal(version(t, "a"), "none");
	write_back(t, HOST("b", "2"));
	assert_string_equal(version(t, "b"), "2");
}

static void test_own_creation(void **state)
{
	struct tale *t = *state;
	struct kube_call *c = get_going(t);
	write_back(t, HOST("n", "9"));
	assert_string_equal(version(t, "n"), "9");
	assert_int_equal(kube_informer_count(t->i), 3);
	fake_sendf(c, EVENT("ADDED", HOST("n", "9")));
	check_text(&t->text, "+n9 ");
}

static void test_own_write_and_deletion(void **state)
{
	struct tale *t = *state;
	struct kube_call *c = get_going(t);
	write_back(t, HOST("a", "9"));
	fake_sendf(c, EVENT("DELETED", HOST("a", "10")));
	assert_string_equal(version(t, "a"), "none");
	check_text(&t->text, "-a1 ");
	/* Deleted by others, made anew by us: the old one's end does not take ours along. */
	write_back(t, HOST2("b", "12", "newer", ""));
	fake_sendf(c, EVENT("DELETED", HOST("b", "11")));
	assert_string_equal(version(t, "b"), "12");
	check_text(&t->text, "-b2 ");
	fake_sendf(c, EVENT("ADDED", HOST2("b", "12", "newer", "")));
	check_text(&t->text, "+b12 ");
}

static void test_own_write_and_list(void **state)
{
	struct tale *t = *state;
	struct kube_call *c = list_again(t, get_going(t));
	write_back(t, HOST("a", "9"));
	write_back(t, HOST("old", "10"));
	write_back(t, HOST("new", "20"));
	fake_reply(c, 200, LIST("12", HOST("a", "11") "," HOST("b", "2")));
	check_text(&t->text, "a1>11 ");
	assert_string_equal(version(t, "a"), "11");
	assert_string_equal(version(t, "old"), "none"); /* gone before that list */
	assert_string_equal(version(t, "new"), "20");	/* after it */
}

static void test_versions_that_are_no_numbers(void **state)
{
	struct tale *t = *state;
	struct kube_call *c = get_going(t);
	write_back(t, HOST("a", "opaque"));
	assert_string_equal(version(t, "a"), "1"); /* cannot be known to be newer */
	fake_sendf(c, EVENT("MODIFIED", HOST("a", "other")));
	check_text(&t->text, "a1>other ");
	write_back(t, "{\"kind\":\"Status\"}");
}

/* --- indexes
 * --------------------------------------------------------------------------------------------------
 */

static void check_index(struct tale *t, const char *index, const char *key, const char *expected)
{
	struct strbuf b = { 0 };
	strbuf_adds(&b, "");
	kube_informer_each_indexed(t->i, index, key, note_name, &b);
	assert_string_equal(b.data, expected);
	strbuf_done(&b);
}

#define OWNED(name, rv, owner, label)                                                              \
	HOST2(name, rv, "uid-" name,                                                               \
	      ",\"labels\":{\"l\":\"" label "\"},\"ownerReferences\":[{\"uid\":\"" owner           \
	      "\"},{\"uid\":\"" owner "\"},{}]")

static void test_indexes(void **state)
{
	struct tale *t = *state;
	struct kube_call *c = get_going(t);
	fake_sendf(c, EVENT("ADDED", OWNED("x", "6", "o1", "1"))
			      EVENT("ADDED", OWNED("y", "7", "o1", "2")));
	check_index(t, "owner", "o1", "xy");
	check_index(t, "label", "l=1", "x");
	check_index(t, "label", "l=3", "");
	check_index(t, "nonsense", "l=3", "");
	fake_sendf(c, EVENT("MODIFIED", OWNED("x", "8", "o2", "2")));
	check_index(t, "owner", "o1", "y");
	check_index(t, "owner", "o2", "x");
	check_index(t, "label", "l=2", "yx");
	/* Own writes count at once. */
	write_back(t, OWNED("y", "20", "o2", "2"));
	check_index(t, "owner", "o2", "xy");
	check_index(t, "owner", "o1", "");
	fake_sendf(c, EVENT("DELETED", OWNED("x", "21", "o2", "2")));
	check_index(t, "owner", "o2", "y");
	/* And through a second list. */
	c = list_again(t, c);
	fake_reply(c, 200, LIST("30", OWNED("z", "25", "o1", "9")));
	check_index(t, "owner", "o2", "");
	check_index(t, "owner", "o1", "z");
}

/* --- streamed lists
 * ---------------------------------------------------------------------------------------- */

#define LIST_END(rv)                                                                               \
	EVENT("BOOKMARK", "{\"kind\":\"BareMetalHost\",\"metadata\":{\"resourceVersion\":\"" rv    \
			  "\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}")

static struct kube_call *stream_again(struct tale *t, struct kube_call *c)
{
	fake_sendf(c, EVENT("ERROR", "{\"kind\":\"Status\",\"code\":403,\"message\":\"m\"}"));
	return fake_expect(t->f, "GET", WATCH_PATH);
}

/* Changes before its end are part of a streamed list: none of them counts until it is complete. One
 * that broke off may be followed by one that is older than what it had told. */
static void test_changes_in_a_streamed_list(void **state)
{
	struct tale *t = *state;
	struct kube_call *c = fake_expect(t->f, "GET", WATCH_PATH);
	fake_sendf(c, EVENT("ADDED", HOST("a", "1")) EVENT("ADDED", HOST("b", "2")));
	fake_sendf(c, LIST_END("5"));
	check_text(&t->text, "+a1 +b2 synced ");
	c = stream_again(t, c);
	fake_sendf(c, EVENT("ADDED", HOST("a", "1")) EVENT("ADDED", HOST("b", "2")));
	fake_sendf(c, EVENT("ADDED", HOST("c", "6")) EVENT("MODIFIED", HOST("c", "7")));
	fake_sendf(c, EVENT("DELETED", HOST("b", "8")));
	check_text(&t->text, "");
	assert_string_equal(version(t, "b"), "2");
	assert_string_equal(version(t, "c"), "none");
	fake_fail(c, ERR_UNREACHABLE, "reset");
	c = fake_expect(t->f, "GET", WATCH_PATH);
	fake_sendf(c, EVENT("ADDED", HOST("b", "2")) EVENT("ADDED", HOST("a", "1")));
	fake_sendf(c, EVENT("ADDED", HOST("c", "6")) LIST_END("6"));
	check_text(&t->text, "+c6 ");
	fake_sendf(c, EVENT("MODIFIED", HOST("c", "7")) EVENT("DELETED", HOST("b", "8")));
	check_text(&t->text, "c6>7 -b2 ");
	/* Made, changed and deleted before the end. */
	c = stream_again(t, c);
	fake_sendf(c, EVENT("ADDED", HOST("c", "7")) EVENT("ADDED", HOST("a", "1")));
	fake_sendf(c, EVENT("MODIFIED", HOST("a", "11")) EVENT("DELETED", HOST("c", "12")));
	fake_sendf(c, EVENT("ADDED", HOST("d", "13")) EVENT("DELETED", HOST("d", "14")));
	fake_sendf(c, LIST_END("14"));
	check_text(&t->text, "-c7 a1>11 ");
	assert_int_equal(kube_informer_count(t->i), 1);
}

/* Of what we have just made, the predecessor of that name does not come back. */
static void test_own_creation_and_an_older_list(void **state)
{
	struct tale *t = *state;
	struct kube_call *c = list_again(t, get_going(t));
	write_back(t, HOST2("b", "20", "new", ""));
	assert_string_equal(version(t, "b"), "20");
	fake_reply(c, 200, LIST("9", HOST("a", "1") "," HOST("b", "8")));
	assert_string_equal(version(t, "b"), "20");
	c = fake_expect(t->f, "GET", WATCH_PATH);
	fake_sendf(c, EVENT("DELETED", HOST("b", "19")));
	assert_string_equal(version(t, "b"), "20");
	fake_sendf(c, EVENT("ADDED", HOST2("b", "20", "new", "")));
	check_text(&t->text, "-b2 +b20 ");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_events),
		T(test_objects),
		T(test_second_list_finds_the_difference),
		T(test_list_that_fails_half_way),
		T(test_made_anew_while_away),
		T(test_late_handler),
		T(test_each),
		T(test_prune_and_cluster_scope),
		T(test_own_write_is_seen_at_once),
		T(test_own_write_that_the_watch_has_passed),
		T(test_own_creation),
		T(test_own_write_and_deletion),
		T(test_own_write_and_list),
		T(test_versions_that_are_no_numbers),
		T(test_indexes),
		cmocka_unit_test_setup_teardown(test_changes_in_a_streamed_list, setup_streaming,
						teardown),
		T(test_own_creation_and_an_older_list),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
