/* GET of one object and of lists. A list is a walk over the store from a key on, at a revision: the
 * present one, or that of the first page, which the continue token carries. Text goes from the
 * store to the answer as it is; only selectors and tables need trees. A long list is found in
 * steps, between which others have their turn: all of it is as of the revision at which it began.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/internal.h"
#include "base/mem.h"

/* Any version will do that is not older; what we have is the newest. */
static int check_version_reached(struct apiserver *s, const struct request *in, struct answer *out)
{
	uint64_t rv, current = store_revision(s->store);
	if (parse_version(out, in->query.resource_version, &rv) < 0)
		return ANSWERED;
	return rv > current ? fail_too_large_version(out, rv, current) : 0;
}

int verb_get(struct apiserver *s, const struct request *in, struct answer *out)
{
	const struct resource *r = in->resource;
	struct err err;
	struct store_row row;
	if (check_version_reached(s, in, out) < 0)
		return ANSWERED;
	int found = store_get(s->store, &(struct store_key){ r->key, in->ns, in->name }, &row,
			      &err);
	if (found < 0)
		return fail_store(out, &err);
	if (found == 0)
		return fail_not_found(out, r, in->name);
	if (in->form != FORM_OBJECT) {
		_cleanup_(json_freep) struct json *tree = object_parse(r, row.data, row.len, row.rv,
								       &out->left);
		if (!tree)
			return fail_grown(out, r);
		object_answer(s, in, out, 200, r, tree);
		return 0;
	}
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	if (!object_present(r, &row, &out->left, &text))
		return fail_grown(out, r);
	answer_object_text(out, 200, text.data, text.len);
	return 0;
}

/* --- selection --- */

static bool known_field(const void *arg, const char *key)
{
	const struct resource *r = arg;
	if (streq(key, "metadata.name"))
		return true;
	if (streq(key, "metadata.namespace"))
		return resource_is(r, RESOURCE_NAMESPACED) || resource_is(r, RESOURCE_CUSTOM);
	json_for_each(path, r->selectable)
		if (streq(key, json_string(path)))
			return true;
	for (const char *const *f = r->ops ? r->ops->fields : NULL; f && *f; f++)
		if (streq(key, *f))
			return true;
	return false;
}

int selection_init(const struct request *in, struct answer *out, const struct resource *r,
		   struct selection *ret)
{
	struct err err;
	*ret = (struct selection){ 0 };
	if (in->query.label_selector &&
	    selector_parse_labels(in->query.label_selector, &ret->labels, &err) < 0)
		return fail(out, 400, "BadRequest", "%s", err.text);
	if (in->query.field_selector &&
	    selector_parse_fields(in->query.field_selector, &ret->fields, &err) < 0)
		return fail(out, 400, "BadRequest", "%s", err.text);
	const char *unknown = selector_unknown(ret->fields, known_field, r);
	if (unknown && (resource_is(r, RESOURCE_CUSTOM) || (r->ops && r->ops->fields)))
		return fail(out, 400, "BadRequest", "field label not supported: %s", unknown);
	if (unknown)
		return fail(
			out, 400, "BadRequest",
			"\"%s\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
			unknown);
	ret->name = selector_exact(ret->fields, "metadata.name");
	return 0;
}

void selection_done(struct selection *s)
{
	selector_free(s->labels);
	selector_free(s->fields);
}

bool selection_empty(const struct selection *s)
{
	return selector_empty(s->labels) && selector_empty(s->fields);
}

/* Field names are paths, but for one of Event. */
static const char *field_value(const void *object, const char *field)
{
	if (streq(field, "source"))
		field = "source.component";
	return str_or(json_get_path_string(object, field), "");
}

bool selection_matches(const struct selection *s, const struct json *tree)
{
	return selector_matches_labels(s->labels, json_get_path(tree, "metadata.labels")) &&
	       selector_matches_fields(s->fields, field_value, tree);
}

/* --- which parameters go together --- */

static void forbid(struct causes *causes, bool wrong, const char *field, const char *text)
{
	if (wrong)
		causes_add(causes, CAUSE_FORBIDDEN, field, NULL, "%s", text);
}

int check_list_options(const struct request *in, struct answer *out)
{
	const struct query *q = &in->query;
	struct causes causes = { 0 };
	bool match = q->match != MATCH_DEFAULT, initial = q->initial_events;
	const char *field = "resourceVersionMatch";
	forbid(&causes, match && q->watch && !initial, field,
	       "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
	forbid(&causes, match && !q->resource_version && !initial, field,
	       "resourceVersionMatch is forbidden unless resourceVersion is provided");
	forbid(&causes, match && q->continue_token, field,
	       "resourceVersionMatch is forbidden when continue is provided");
	forbid(&causes, q->match == MATCH_EXACT && streq(q->resource_version, "0"), field,
	       "resourceVersionMatch \"Exact\" is forbidden for resourceVersion \"0\"");
	forbid(&causes, initial && !q->watch, "sendInitialEvents",
	       "sendInitialEvents is forbidden for list");
	forbid(&causes, initial && q->watch && (q->match != MATCH_NOT_OLDER || !q->bookmarks),
	       "sendInitialEvents",
	       "sendInitialEvents is forbidden unless resourceVersionMatch=NotOlderThan and allowWatchBookmarks=true are given");
	int result = causes.count ? fail_options(in, out, &causes) : 0;
	causes_done(&causes);
	return result;
}

/* --- which revision, from where --- */

int parse_version(struct answer *out, const char *text, uint64_t *ret)
{
	*ret = 0;
	if (str_empty(text) || parse_u64(text, INT64_MAX, ret) == 0)
		return 0;
	struct causes causes = { 0 };
	causes_add_string(&causes, CAUSE_INVALID, "resourceVersion", text,
			  "strconv.ParseUint: parsing \"%s\": invalid syntax", text);
	int r = fail(out, 400, "BadRequest", "invalid resource version: resourceVersion: %s",
		     causes.items[0].text);
	causes_done(&causes);
	return r;
}

struct place {
	uint64_t at;		     /* revision to read; 0: now */
	uint64_t shown;		     /* revision that the answer names */
	bool inconsistent;	     /* goes on at a later revision than it began */
	char *after_ns, *after_name; /* NULL: from the start */
};

static void place_done(struct place *p)
{
	free(p->after_ns);
	free(p->after_name);
}

/* Opaque to clients; the form is upstream's, to be told apart from junk. -1: any revision will do.
 */
static char *make_token(int64_t rv, const char *ns, const char *name)
{
	_cleanup_(json_freep) struct json *j = json_new_object();
	json_set_string(j, "v", "meta.k8s.io/v1");
	json_set_int(j, "rv", rv);
	_cleanup_(freep) char *start = xasprintf("%s/%s", ns, name);
	json_set_string(j, "start", start);
	_cleanup_(freep) char *text = json_to_string(j);
	return base64url_encode(text, strlen(text));
}

/* Tokens come back without padding and in the URL alphabet. */
static struct json *read_token(const char *token)
{
	struct strbuf text = { 0 };
	for (const char *p = token; *p; p++)
		strbuf_addc(&text, (char)(*p == '-' ? '+' : *p == '_' ? '/' : *p));
	while (text.len % 4)
		strbuf_addc(&text, '=');
	void *bytes = NULL;
	size_t len;
	struct json *j = NULL;
	if (base64_decode(text.data ? text.data : "", text.len, &bytes, &len) == 0)
		json_parse(bytes, len, &j, NULL);
	free(bytes);
	strbuf_done(&text);
	return j;
}

static int expired_token(struct answer *out, const struct place *p)
{
	_cleanup_(freep) char *token = make_token(-1, p->after_ns, p->after_name);
	return fail_expired(
		out, token,
		"The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.");
}

static int place_from_token(struct apiserver *s, const struct request *in, struct answer *out,
			    struct place *p)
{
	if (in->query.resource_version && !streq(in->query.resource_version, "0"))
		return fail(out, 400, "BadRequest",
			    "specifying resource version is not allowed when using continue");
	_cleanup_(json_freep) struct json *j = read_token(in->query.continue_token);
	const char *start = json_get_string(j, "start"), *slash = start ? strchr(start, '/') : NULL;
	int64_t rv = json_get_int(j, "rv", 0);
	if (!slash || rv == 0 || rv > (int64_t)store_revision(s->store))
		return fail(out, 400, "BadRequest", "continue key is not valid");
	p->after_ns = xstrndup(start, (size_t)(slash - start));
	p->after_name = xstrdup(slash + 1);
	p->inconsistent = rv < 0;
	if (rv < 0)
		return 0;
	if ((uint64_t)rv < store_oldest(s->store))
		return expired_token(out, p);
	p->at = p->shown = (uint64_t)rv;
	return 0;
}

static int place_from_version(struct apiserver *s, const struct request *in, struct answer *out,
			      struct place *p)
{
	uint64_t rv, current = store_revision(s->store);
	const struct query *q = &in->query;
	if (parse_version(out, q->resource_version, &rv) < 0)
		return ANSWERED;
	if (rv > current)
		return fail_too_large_version(out, rv, current);
	/* A limit with a version and no match means exactly that version, for old clients. */
	bool exact = q->match == MATCH_EXACT || (q->match == MATCH_DEFAULT && q->limit && rv);
	if (!exact)
		return 0;
	if (rv < store_oldest(s->store))
		return fail_expired(out, NULL,
				    "The resourceVersion for the provided list is too old.");
	p->at = p->shown = rv;
	return 0;
}

/* Reading "now" is cheaper than reading the past, so the present revision is read as now. */
static int place_init(struct apiserver *s, const struct request *in, struct answer *out,
		      struct place *p)
{
	*p = (struct place){ 0 };
	int r = in->query.continue_token ? place_from_token(s, in, out, p)
					 : place_from_version(s, in, out, p);
	uint64_t current = store_revision(s->store);
	if (p->shown == 0)
		p->shown = current;
	if (p->at == current)
		p->at = 0;
	return r;
}

/* --- the walk --- */

enum { LIST_FULL = 1, LIST_GROWN, LIST_PAUSED };

/* Of a step: about 10 ms of work. Text that is passed on as it is costs an eighth. */
enum { STEP_BYTES = 1024 * 1024, ROW_BYTES = 256, TEXT_SHARE = 8 };

struct lister {
	struct call *c;
	const struct resource *r;
	struct view view;
	struct selection selection;
	struct place place;
	struct json *table;  /* without rows; NULL: no table is wanted */
	struct strbuf items; /* texts of objects or rows: trees take many times the room */
	bool names_only;
	struct list_names names; /* instead of items */
	uint64_t count;
	bool more;
	char *last_ns, *last_name;
	size_t passed; /* in this step, weighed */
	bool begun;
	bool whole; /* in one step, however long it takes */
};

static void names_done(struct list_names *n)
{
	for (size_t i = 0; i < n->count; i++) {
		free(n->ns[i]);
		free(n->name[i]);
	}
	free(n->ns);
	free(n->name);
	*n = (struct list_names){ 0 };
}

static void names_add(struct list_names *n, const struct store_key *key)
{
	n->ns = xreallocarray(n->ns, n->count + 1, sizeof(*n->ns));
	n->name = xreallocarray(n->name, n->count + 1, sizeof(*n->name));
	n->ns[n->count] = xstrdup(key->ns);
	n->name[n->count++] = xstrdup(key->name);
}

/* What was found so far. */
static void forget(struct lister *l)
{
	place_done(&l->place);
	strbuf_done(&l->items);
	names_done(&l->names);
	str_replace(&l->last_ns, NULL);
	str_replace(&l->last_name, NULL);
	l->count = 0;
	l->more = false;
}

void lister_free(void *lister)
{
	struct lister *l = lister;
	forget(l);
	selection_done(&l->selection);
	json_free(l->table);
	free(l);
}

/* In a list of a built-in kind the list alone says the kind, as upstream: the text begins with it
 * (storage_text). */
static bool add_text(struct lister *l, const struct store_row *row)
{
	size_t start = l->items.len;
	if (!object_present(l->r, row, &l->c->out.left, &l->items))
		return false;
	if (resource_is(l->r, RESOURCE_CUSTOM))
		return true;
	_cleanup_(freep) char *said = xasprintf("{\"apiVersion\":\"%s\",\"kind\":\"%s\",",
						l->r->api_version, l->r->kind);
	size_t len = strlen(said);
	if (l->items.len - start <= len || memcmp(l->items.data + start, said, len) != 0)
		return true;
	memmove(l->items.data + start + 1, l->items.data + start + len, l->items.len - start - len);
	l->items.len -= len - 1;
	l->items.data[l->items.len] = '\0';
	return true;
}

static bool add_shown(struct lister *l, const struct store_row *row, const struct json *tree)
{
	if (!l->table && l->view.form != FORM_METADATA)
		return add_text(l, row);
	_cleanup_(json_freep) struct json *shown = l->table ? table_row(&l->view, l->r, tree)
							    : metadata_of(tree);
	json_print(shown, &l->items);
	return true;
}

/* `tree` is there when anything but the plain text is wanted. False: nothing was added. */
static bool add_item(struct lister *l, const struct store_row *row, const struct json *tree)
{
	size_t start = l->items.len;
	if (l->names_only) {
		names_add(&l->names, &row->key);
		return true;
	}
	if (start)
		strbuf_addc(&l->items, ',');
	if (add_shown(l, row, tree))
		return true;
	l->items.len = start;
	return false;
}

static bool wanted(const struct lister *l, const struct store_row *row)
{
	return !l->selection.name || streq(l->selection.name, row->key.name);
}

static int page_full(struct lister *l)
{
	l->more = true;
	return LIST_FULL;
}

/* The budget of the request is spent. Who wants pages gets a shorter one. */
static int page_grown(struct lister *l)
{
	return l->c->in.query.limit && l->count ? page_full(l) : LIST_GROWN;
}

static bool needs_tree(const struct lister *l)
{
	return !selection_empty(&l->selection) || l->view.form != FORM_OBJECT;
}

static bool is_metadata(const void *arg, const char *key)
{
	(void)arg;
	return str_has_prefix(key, "metadata.");
}

/* Metadata has no defaults: who only wants to know names need not fill in any. */
static struct json *parse_row(struct lister *l, const struct store_row *row)
{
	if (l->names_only && !selector_unknown(l->selection.fields, is_metadata, NULL))
		return object_parse_stored(l->r, row->data, row->len);
	return object_parse(l->r, row->data, row->len, row->rv, &l->c->out.left);
}

/* One more than the limit is looked for, to know whether a token is due. */
static int take_row(struct lister *l, const struct store_row *row)
{
	_cleanup_(json_freep) struct json *tree = NULL;
	if (needs_tree(l)) {
		tree = parse_row(l, row);
		if (!tree)
			return page_grown(l);
	}
	if (tree && !selection_matches(&l->selection, tree))
		return 0;
	if (l->c->in.query.limit && l->count == l->c->in.query.limit)
		return page_full(l);
	if (!add_item(l, row, tree))
		return page_grown(l);
	l->count++;
	str_replace(&l->last_ns, row->key.ns);
	str_replace(&l->last_name, row->key.name);
	return 0;
}

static bool step_full(struct lister *l, size_t stored, size_t shown)
{
	size_t bytes = MAX(stored, shown);
	l->passed += ROW_BYTES + (needs_tree(l) || shown > stored ? bytes : bytes / TEXT_SHARE);
	return !l->whole && l->passed >= STEP_BYTES;
}

static int pause_after(struct lister *l, const struct store_key *key)
{
	str_replace(&l->place.after_ns, key->ns);
	str_replace(&l->place.after_name, key->name);
	return LIST_PAUSED;
}

static int on_row(void *data, const struct store_row *row)
{
	struct lister *l = data;
	struct schema_budget before = l->c->out.left;
	size_t start = l->items.len;
	if (!wanted(l, row))
		return 0;
	int r = take_row(l, row);
	if (r != LIST_GROWN)
		object_settle(&l->c->out, &before, row->len, l->items.len - start);
	return r == 0 && step_full(l, row->len, l->items.len - start) ? pause_after(l, &row->key)
								      : r;
}

static struct store_query query_of(const struct lister *l)
{
	return (struct store_query){ .resource = l->r->key,
				     .ns = *l->c->in.ns ? l->c->in.ns : NULL,
				     .after_ns = l->place.after_ns,
				     .after_name = l->place.after_name,
				     .at = l->place.at };
}

/* One name in one namespace is a look-up. */
static int walk_one(struct lister *l, struct err *err)
{
	struct store_row row;
	struct store_key key = { l->r->key, l->c->in.ns, l->selection.name };
	int found = store_get(l->c->s->store, &key, &row, err);
	int r = found > 0 ? on_row(l, &row) : found;
	return r == LIST_PAUSED ? 0 : r; /* nothing follows */
}

static int walk(struct lister *l)
{
	struct err err;
	bool scoped = *l->c->in.ns || !resource_is(l->r, RESOURCE_NAMESPACED);
	struct store_query q = query_of(l);
	int r = l->selection.name && scoped && !q.at && !q.after_name
			? walk_one(l, &err)
			: store_list(l->c->s->store, &q, on_row, l, &err);
	if (r < 0)
		return fail_store(&l->c->out, &err);
	return r == LIST_GROWN ? fail_grown(&l->c->out, l->r) : r == LIST_PAUSED ? MORE : 0;
}

/* How many follow the last one shown; known only without selectors. -1: unknown. */
static int64_t count_rest(struct lister *l)
{
	struct store_query q = query_of(l);
	q.after_ns = l->last_ns;
	q.after_name = l->last_name;
	uint64_t rest;
	if (!selection_empty(&l->selection) || store_count(l->c->s->store, &q, &rest, NULL) < 0)
		return -1;
	return (int64_t)rest;
}

struct json *lister_metadata(struct lister *l)
{
	char rv[24];
	struct json *meta = json_new_object();
	snprintf(rv, sizeof(rv), "%" PRIu64, l->place.shown);
	json_set_string(meta, "resourceVersion", rv);
	if (!l->more)
		return meta;
	_cleanup_(freep) char *token = make_token(
		l->place.inconsistent ? -1 : (int64_t)l->place.shown, l->last_ns, l->last_name);
	json_set_string(meta, "continue", token);
	int64_t rest = count_rest(l);
	if (rest >= 0)
		json_set_int(meta, "remainingItemCount", rest);
	return meta;
}

static void answer_list(struct lister *l)
{
	struct call *c = l->c;
	bool partial = l->view.form == FORM_METADATA;
	_cleanup_(json_freep) struct json *meta = lister_metadata(l);
	struct strbuf body = { 0 };
	strbuf_addf(&body, "{\"kind\":\"%s\",\"apiVersion\":\"%s\",\"metadata\":",
		    partial ? "PartialObjectMetadataList" : l->r->list_kind,
		    partial ? "meta.k8s.io/v1" : l->r->api_version);
	json_print(meta, &body);
	strbuf_adds(&body, ",\"items\":[");
	strbuf_add(&body, l->items.data ? l->items.data : "", l->items.len);
	strbuf_adds(&body, "]}");
	strbuf_done(&l->items);
	if (c->out.pretty) {
		answer_object_text(&c->out, 200, body.data, body.len);
		strbuf_done(&body);
		return;
	}
	strbuf_addc(&body, '\n');
	strbuf_done(&c->out.body);
	c->out.body = body;
	c->out.status = 200;
	c->out.content_type = json_type_text;
}

/* The rows are the last member of a table, and empty in this one. */
static void answer_table(struct lister *l)
{
	static const char end[] = "]}";
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	json_set(l->table, "metadata", lister_metadata(l));
	json_print(l->table, &text);
	text.len -= strlen(end);
	strbuf_add(&text, l->items.data ? l->items.data : "", l->items.len);
	strbuf_adds(&text, end);
	strbuf_done(&l->items);
	answer_object_text(&l->c->out, 200, text.data, text.len);
}

/* --- in steps --- */

static int lister_init(struct lister *l)
{
	struct call *c = l->c;
	if (check_list_options(&c->in, &c->out) < 0 ||
	    (!l->names_only && view_init(c->s, &c->in, &c->out, &l->view) < 0) ||
	    selection_init(&c->in, &c->out, l->r, &l->selection) < 0 ||
	    place_init(c->s, &c->in, &c->out, &l->place) < 0)
		return ANSWERED;
	if (l->view.form == FORM_TABLE)
		l->table = table_new(l->r, NULL, true);
	return 0;
}

int lister_new(struct call *c, bool names_only, struct lister **ret)
{
	struct lister *l = xcalloc(1, sizeof(*l));
	*l = (struct lister){ .c = c, .r = c->in.resource, .names_only = names_only };
	if (lister_init(l) < 0) {
		lister_free(l);
		return ANSWERED;
	}
	*ret = l;
	return 0;
}

/* None of it has been answered, so it may as well begin anew. */
static int start_again(struct lister *l)
{
	forget(l);
	l->c->out.left = SCHEMA_BUDGET;
	return place_init(l->c->s, &l->c->in, &l->c->out, &l->place);
}

/* So many changes came meanwhile that its revision is not kept any more: from the start, and this
 * time before anything else can happen. */
static int start_again_whole(struct lister *l)
{
	l->whole = true;
	return start_again(l);
}

/* Others wait already: what this list has found is dropped until its turn comes, so that of all
 * long lists only one takes memory. */
static int put_off(struct lister *l)
{
	return start_again(l) < 0 ? ANSWERED : MORE;
}

static int find_place_again(struct lister *l)
{
	struct place *p = &l->place;
	if (!p->at && p->shown != store_revision(l->c->s->store))
		p->at = p->shown;
	return p->at && p->at < store_oldest(l->c->s->store) ? start_again_whole(l) : 0;
}

int lister_step(struct lister *l)
{
	bool first = !l->begun;
	l->passed = 0;
	l->r = l->c->in.resource;
	if (l->begun && find_place_again(l) < 0)
		return ANSWERED;
	l->begun = true;
	int r = walk(l);
	return r == MORE && first && !list_empty(&l->c->s->waiting) ? put_off(l) : r;
}

const struct list_names *lister_names(const struct lister *l)
{
	return &l->names;
}

static int list_step(struct call *c, void *data)
{
	struct lister *l = data;
	int result = lister_step(l);
	(void)c;
	if (result != 0)
		return result;
	if (l->table)
		answer_table(l);
	else
		answer_list(l);
	return 0;
}

int verb_list(struct call *c)
{
	struct lister *l;
	if (lister_new(c, false, &l) < 0)
		return ANSWERED;
	return call_begin(c, (struct rest){ list_step, lister_free, l });
}
