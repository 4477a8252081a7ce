/* Objects between the store and the handlers. The store holds finished text in the storage version,
 * resourceVersion included, so that reading costs no parsing; only what was written under an older
 * schema, or is asked for in another version, is parsed and brought in line. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/internal.h"
#include "base/mem.h"

/* What a deletion adds to an object that may be as large as objects can be. */
enum { DELETION_MAX = 64 * 1024 };

const char *object_name(const struct json *o)
{
	return str_or(json_get_path_string(o, "metadata.name"), "");
}

const char *object_ns(const struct json *o)
{
	return str_or(json_get_path_string(o, "metadata.namespace"), "");
}

const char *object_uid(const struct json *o)
{
	return str_or(json_get_path_string(o, "metadata.uid"), "");
}

struct json *object_meta(struct json *o)
{
	return json_make_object(o, "metadata");
}

bool object_terminating(const struct json *o)
{
	return json_get_path_string(o, "metadata.deletionTimestamp") != NULL;
}

void object_done(struct object *o)
{
	json_free(o->tree);
	free(o->text);
	*o = (struct object){ 0 };
}

/* A definition may get a default of any size at any time, and each object that was stored before
 * would show it: what an answer holds, and what it costs, grows with the defaults and not with what
 * is stored. So the objects of a request share one budget, to which each adds its own size. */
static bool bring_in_line(const struct resource *r, struct json *tree, size_t len,
			  struct schema_budget *left)
{
	struct schema_budget own = SCHEMA_BUDGET;
	left = left ? left : &own;
	left->bytes += len;
	left->work += len;
	schema_prune(r->schema, tree, NULL);
	return schema_default(r->schema, tree, left);
}

struct json *object_parse_stored(const struct resource *r, const char *text, size_t len)
{
	struct json *tree = NULL;
	/* We wrote it: it parses, unless the disk lies. */
	if (json_parse(text, len, &tree, NULL) < 0)
		return json_new_object();
	json_set_string(tree, "apiVersion", r->api_version);
	return tree;
}

/* Written under an older schema: it may be shown as more than it is. */
static bool is_old(const struct resource *r, uint64_t rv)
{
	return rv < r->since && r->schema;
}

struct json *object_parse(const struct resource *r, const char *text, size_t len, uint64_t rv,
			  struct schema_budget *left)
{
	_cleanup_(json_freep) struct json *tree = object_parse_stored(r, text, len);
	if (is_old(r, rv) && !bring_in_line(r, tree, len, left))
		return NULL;
	return TAKE_PTR(tree);
}

bool object_present(const struct resource *r, const struct store_row *row,
		    struct schema_budget *left, struct strbuf *out)
{
	if (row->rv >= r->since && streq(r->api_version, r->storage_api_version)) {
		strbuf_add(out, row->data, row->len);
		return true;
	}
	_cleanup_(json_freep) struct json *tree = object_parse(r, row->data, row->len, row->rv,
							       left);
	if (tree)
		json_print(tree, out);
	return tree != NULL;
}

void object_settle(struct answer *out, const struct schema_budget *before, size_t stored,
		   size_t shown)
{
	size_t grown = shown > stored ? shown - stored : 0;
	out->left.bytes = before->bytes - MIN(grown, before->bytes);
}

int fail_grown(struct answer *out, const struct resource *r)
{
	return fail(
		out, 413, "RequestEntityTooLarge",
		"objects of %s are older than defaults of its schema, and with these the answer is too large: ask for fewer objects at once (limit), or take large defaults out of the definition",
		r->key);
}

/* As it is shown; NULL when that is too large, and the budget is spent.
 * The server's own work goes on from object to object, and nobody would ask it for less. */
static struct json *parse_shown(const struct request *in, struct answer *out,
				const struct resource *r, const struct store_row *row)
{
	return object_parse(r, row->data, row->len, row->rv, in->http ? &out->left : NULL);
}

static struct json *parse_bare(const struct resource *r, const struct store_row *row)
{
	struct json *tree = object_parse_stored(r, row->data, row->len);
	if (is_old(r, row->rv))
		schema_prune(r->schema, tree, NULL);
	return tree;
}

/* Deletion must not fail because of defaults that came after the object: what could not be shown,
 * or not be stored as it is shown, is taken as it is stored. */
static struct json *parse_to_delete(const struct request *in, struct answer *out,
				    const struct resource *r, const struct store_row *row)
{
	_cleanup_(json_freep) struct json *tree = parse_shown(in, out, r, row);
	if (!tree)
		out->left = (struct schema_budget){ 0 }; /* later ones are not tried in vain */
	if (tree && (!is_old(r, row->rv) || object_fits(tree)))
		return TAKE_PTR(tree);
	return parse_bare(r, row);
}

/* What is being deleted already can be taken as it is stored, too: finalizers come off by updates.
 */
static struct json *parse_to_change(const struct request *in, struct answer *out,
				    const struct resource *r, const struct store_row *row)
{
	_cleanup_(json_freep) struct json *tree = parse_shown(in, out, r, row);
	if (tree)
		return TAKE_PTR(tree);
	tree = parse_bare(r, row);
	return object_terminating(tree) ? TAKE_PTR(tree) : NULL;
}

static int load(struct apiserver *s, const struct request *in, struct answer *out,
		const struct resource *r, const char *ns, const char *name,
		struct json *(*parse)(const struct request *in, struct answer *out,
				      const struct resource *r, const struct store_row *row),
		struct object *ret)
{
	struct err err;
	struct store_row row;
	int found = store_get(s->store, &(struct store_key){ r->key, ns, name }, &row, &err);
	if (found < 0)
		return fail_store(out, &err);
	if (found == 0)
		return 0;
	struct json *tree = parse(in, out, r, &row);
	if (!tree)
		return fail_grown(out, r);
	*ret = (struct object){ .rv = row.rv, .tree = tree, .text = xstrndup(row.data, row.len) };
	return 1;
}

int object_load(struct apiserver *s, const struct request *in, struct answer *out,
		const struct resource *r, const char *ns, const char *name, struct object *ret)
{
	return load(s, in, out, r, ns, name, parse_to_change, ret);
}

int object_load_to_delete(struct apiserver *s, const struct request *in, struct answer *out,
			  const struct resource *r, const char *ns, const char *name,
			  struct object *ret)
{
	return load(s, in, out, r, ns, name, parse_to_delete, ret);
}

/* --- writing --- */

/* Members that every object has come first: people read them first, and text stays comparable. */
static char *storage_text(const struct resource *r, struct json *tree, size_t *ret_len)
{
	struct strbuf out = { 0 };
	strbuf_adds(&out, "{\"apiVersion\":");
	json_quote(r->storage_api_version, &out);
	strbuf_adds(&out, ",\"kind\":");
	json_quote(r->kind, &out);
	json_for_each(member, tree) {
		if (streq(json_key(member), "apiVersion") || streq(json_key(member), "kind"))
			continue;
		strbuf_addc(&out, ',');
		json_quote(json_key(member), &out);
		strbuf_addc(&out, ':');
		json_print(member, &out);
	}
	strbuf_addc(&out, '}');
	return strbuf_take(&out, ret_len);
}

bool object_fits(const struct json *tree)
{
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	json_print(tree, &text);
	return text.len <= OBJECT_MAX;
}

/* Most objects have none, and most changes touch none. */
static int set_owners(struct apiserver *s, const struct store_key *key, const struct json *now,
		      const struct json *old, struct err *err)
{
	const struct json *owners = json_get_path(now, "metadata.ownerReferences");
	if (json_equal(owners, json_get_path(old, "metadata.ownerReferences")))
		return 0;
	_cleanup_(freep) const char **uids = xcalloc(json_count(owners), sizeof(*uids));
	size_t n = 0;
	json_for_each(owner, owners)
		uids[n++] = str_or(json_get_string(owner, "uid"), "");
	return store_set_owners(s->store, key, uids, n, err);
}

static void set_version(struct json *tree, uint64_t rv)
{
	char text[24];
	snprintf(text, sizeof(text), "%" PRIu64, rv);
	json_set_string(object_meta(tree), "resourceVersion", text);
}

static int put(struct apiserver *s, struct answer *out, const struct resource *r, struct json *tree,
	       const struct object *old, const char *text, size_t len)
{
	struct err err;
	usec_t wall = loop_wall(s->loop);
	struct store_row row = { .key = { r->key, object_ns(tree), object_name(tree) },
				 .uid = object_uid(tree),
				 .rv = store_next_revision(s->store),
				 .data = text,
				 .len = len };
	usec_t expires = resource_is(r, RESOURCE_EXPIRES) ? wall + EVENT_TTL : 0;
	int result = store_put(s->store, &row, wall, expires, &err);
	if (result == 0)
		result = set_owners(s, &row.key, tree, old ? old->tree : NULL, &err);
	if (result < 0)
		return fail_store(out, &err);
	batch_note(s, old ? STORE_MODIFIED : STORE_ADDED, row.rv, &row.key, xstrdup(text),
		   old ? xstrdup(old->text) : NULL);
	return 0;
}

/* A dry run goes all the way to here, so that it fails as the real one would. */
int object_store(struct apiserver *s, const struct request *in, struct answer *out,
		 const struct resource *r, struct json *tree, const struct object *old)
{
	if (in->query.dry_run) {
		if (!old)
			json_remove(object_meta(tree), "resourceVersion");
		return 0;
	}
	set_version(tree, store_next_revision(s->store));
	size_t len;
	_cleanup_(freep) char *text = storage_text(r, tree, &len);
	if (len > OBJECT_MAX + (object_terminating(tree) ? DELETION_MAX : 0))
		return fail(out, 413, "RequestEntityTooLarge",
			    "Request entity too large: the object has %zu bytes, limit is %d", len,
			    OBJECT_MAX);
	int result = put(s, out, r, tree, old, text, len);
	if (result < 0)
		return result;
	feed_changed(s, r, tree, old ? old->tree : NULL);
	return 0;
}

int object_erase(struct apiserver *s, const struct request *in, struct answer *out,
		 const struct resource *r, const struct object *old, struct json *last)
{
	if (in->query.dry_run)
		return 0;
	struct err err;
	struct store_key key = { r->key, object_ns(old->tree), object_name(old->tree) };
	uint64_t rv = store_next_revision(s->store);
	if (store_delete(s->store, &key, rv, loop_wall(s->loop), &err) < 0)
		return fail_store(out, &err);
	set_version(last, rv);
	/* Watchers see it as it was, with the version of the deletion, as replayed from the log. */
	_cleanup_(json_freep) struct json *gone = json_dup(old->tree);
	set_version(gone, rv);
	size_t len;
	batch_note(s, STORE_DELETED, rv, &key, storage_text(r, gone, &len), xstrdup(old->text));
	feed_changed(s, r, NULL, old->tree);
	return 0;
}
