/* Deletion of one object and of collections. An object with finalizers is only marked; the
 * finalizers "orphan" and "foregroundDeletion" are how a propagation policy other than Background
 * is carried out (background.c). */

#include <stdlib.h>
#include <string.h>

#include "apiserver/internal.h"
#include "base/mem.h"

void delete_options_done(struct delete_options *o)
{
	free(o->uid);
	free(o->resource_version);
}

static int refuse_option(const struct request *in, struct answer *out, enum cause_type type,
			 const char *field, const char *value, const char *text)
{
	struct causes causes = { 0 };
	causes_add(&causes, type, field, value, "%s", text);
	int result = fail_options(in, out, &causes);
	causes_done(&causes);
	return result;
}

static int parse_propagation(const struct request *in, struct answer *out, const char *text,
			     enum propagation *ret)
{
	static const char *const names[] = { "Background", "Foreground", "Orphan" };
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (streq(text, names[i])) {
			*ret = (enum propagation)(PROPAGATION_BACKGROUND + (int)i);
			return 0;
		}
	_cleanup_(strbuf_done) struct strbuf quoted = { 0 };
	causes_quote(text, &quoted);
	return refuse_option(
		in, out, CAUSE_NOT_SUPPORTED, "propagationPolicy", quoted.data,
		"supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\"");
}

static int parse_dry_run(struct request *in, struct answer *out, const struct json *list)
{
	_cleanup_(strbuf_done) struct strbuf shown = { 0 };
	causes_value(list, &shown);
	json_for_each(item, list)
		if (!streq(json_string(item), "All"))
			return refuse_option(in, out, CAUSE_NOT_SUPPORTED, "dryRun", shown.data,
					     "supported values: \"All\"");
	in->query.dry_run = in->query.dry_run || json_count(list) > 0;
	return 0;
}

/* Absent or of the type that it must have: a condition that is not understood must not be taken for
 * none. */
static bool options_typed(const struct json *body)
{
	static const char *const conditions[] = { "uid", "resourceVersion" };
	const struct json *preconditions = json_get(body, "preconditions");
	const struct json *grace = json_get(body, "gracePeriodSeconds");
	const struct json *orphan = json_get(body, "orphanDependents");
	const struct json *policy = json_get(body, "propagationPolicy");
	const struct json *dry_run = json_get(body, "dryRun");
	int64_t ignored;
	for (size_t i = 0; i < ARRAY_SIZE(conditions); i++) {
		const struct json *value = json_get(preconditions, conditions[i]);
		if (value && !json_is_null(value) && !json_is_string(value))
			return false;
	}
	if (!json_is_null(dry_run) && !json_is_array(dry_run))
		return false;
	return (!preconditions || json_is_object(preconditions) || json_is_null(preconditions)) &&
	       (!grace || json_is_null(grace) || json_int(grace, &ignored)) &&
	       (!orphan || json_is_null(orphan) || json_type(orphan) == JSON_BOOL) &&
	       (!policy || json_is_null(policy) || json_is_string(policy));
}

/* gracePeriodSeconds is for pods; here there is nothing to wait for. */
static int read_options(struct request *in, struct answer *out, const struct json *body,
			struct delete_options *ret)
{
	const char *policy = json_get_string(body, "propagationPolicy");
	const char *kind = json_get_string(body, "kind");
	if (!str_empty(kind) && !streq(kind, "DeleteOptions"))
		return fail(out, 400, "BadRequest",
			    "the body of a deletion is of kind DeleteOptions, not %s", kind);
	if (!options_typed(body))
		return fail(
			out, 400, "BadRequest",
			"the body of the deletion is no DeleteOptions: a field has the wrong type");
	if (policy && json_get(body, "orphanDependents"))
		return refuse_option(in, out, CAUSE_INVALID, "propagationPolicy", NULL,
				     "orphanDependents and deletionPropagation cannot be both set");
	str_replace(&ret->uid, json_get_path_string(body, "preconditions.uid"));
	str_replace(&ret->resource_version,
		    json_get_path_string(body, "preconditions.resourceVersion"));
	if (json_get_bool(body, "orphanDependents", false))
		ret->propagation = PROPAGATION_ORPHAN;
	if (parse_dry_run(in, out, json_get(body, "dryRun")) < 0)
		return ANSWERED;
	return policy ? parse_propagation(in, out, policy, &ret->propagation) : 0;
}

/* Conditions, and the older form of a policy. */
static int take_parameters(const struct request *in, struct answer *out, struct delete_options *ret)
{
	str_replace(&ret->uid, in->query.uid);
	str_replace(&ret->resource_version, in->query.resource_version);
	if (!in->query.orphan_given)
		return 0;
	if (ret->propagation != PROPAGATION_DEFAULT)
		return refuse_option(in, out, CAUSE_INVALID, "propagationPolicy", NULL,
				     "orphanDependents and deletionPropagation cannot be both set");
	ret->propagation = in->query.orphan ? PROPAGATION_ORPHAN : PROPAGATION_DEFAULT;
	return 0;
}

/* Parameters and body say the same things; the body wins. */
static int take_options(struct request *in, struct answer *out, struct delete_options *ret)
{
	_cleanup_(json_freep) struct json *body = NULL;
	*ret = (struct delete_options){ .propagation = in->query.propagation };
	if (in->http->body_len == 0)
		return take_parameters(in, out, ret);
	int result = decode_body(in, out, &body);
	return result < 0 ? result : read_options(in, out, body, ret);
}

/* Named by its kind, where other conflicts name the resource: as upstream. */
static int fail_precondition(struct answer *out, const struct resource *r, const char *name,
			     const char *text)
{
	_cleanup_(freep) char *kind = resource_qualified_kind(r);
	struct json *details = json_new_object();
	json_set_string(details, "name", name);
	if (!str_empty(r->group))
		json_set_string(details, "group", r->group);
	json_set_string(details, "kind", r->kind);
	return fail_details(out, 409, "Conflict", details,
			    "Operation cannot be fulfilled on %s \"%s\": %s", kind, name, text);
}

static int check_preconditions(struct answer *out, const struct resource *r,
			       const struct json *tree, const struct delete_options *o)
{
	const char *uid = object_uid(tree),
		   *rv = json_get_path_string(tree, "metadata.resourceVersion");
	_cleanup_(freep) char *wrong = NULL;
	if (o->uid && !streq(o->uid, uid))
		wrong = xasprintf(
			"the UID in the precondition (%s) does not match the UID in record (%s). The object might have been deleted and then recreated",
			o->uid, uid);
	else if (o->resource_version && !streq(o->resource_version, rv))
		wrong = xasprintf(
			"the ResourceVersion in the precondition (%s) does not match the ResourceVersion in record (%s). The object might have been modified",
			o->resource_version, rv);
	return wrong ? fail_precondition(out, r, object_name(tree), wrong) : 0;
}

static void add_finalizer(struct json *tree, const char *name)
{
	struct json *meta = object_meta(tree);
	if (!json_is_array(json_get(meta, "finalizers")))
		json_set(meta, "finalizers", json_new_array());
	if (!meta_has_finalizer(tree, name))
		json_append(json_get_mut(meta, "finalizers"), json_new_string(name));
}

/* Foreground and orphan exclude each other; Background takes both back. */
static void set_propagation(struct json *tree, enum propagation propagation)
{
	if (propagation == PROPAGATION_DEFAULT)
		return;
	meta_remove_finalizer(tree, "orphan");
	meta_remove_finalizer(tree, "foregroundDeletion");
	if (propagation == PROPAGATION_ORPHAN)
		add_finalizer(tree, "orphan");
	else if (propagation == PROPAGATION_FOREGROUND)
		add_finalizer(tree, "foregroundDeletion");
}

/* The time is set once: a second deletion does not restart the clock. */
static void mark(struct apiserver *s, struct json *tree)
{
	struct json *meta = object_meta(tree);
	if (object_terminating(tree))
		return;
	meta_set_time(meta, "deletionTimestamp", loop_wall(s->loop));
	json_set_int(meta, "deletionGracePeriodSeconds", 0);
	int64_t generation = json_get_int(meta, "generation", 0);
	if (generation > 0)
		json_set_int(meta, "generation", generation + 1);
}

/* Without finalizers an object goes at once. */
static bool may_go(const struct resource *r, const struct json *tree)
{
	return json_count(json_get_path(tree, "metadata.finalizers")) == 0 &&
	       (!r->ops || !r->ops->may_go || r->ops->may_go(tree));
}

int delete_object(struct apiserver *s, const struct request *in, struct answer *out,
		  const struct resource *r, struct object *old,
		  const struct delete_options *options, bool *ret_gone)
{
	int result = check_preconditions(out, r, old->tree, options);
	if (result == 0)
		result = admit(s, in, out, r, API_DELETE, NULL, old->tree);
	if (result < 0)
		return result;
	_cleanup_(json_freep) struct json *tree = json_dup(old->tree);
	set_propagation(tree, options->propagation);
	if (r->ops && r->ops->deleting && (result = r->ops->deleting(s, out, tree)) < 0)
		return result;
	bool gone = may_go(r, tree);
	if (gone) {
		result = object_erase(s, in, out, r, old, tree);
	} else {
		mark(s, tree);
		result = json_equal(tree, old->tree) ? 0 : object_store(s, in, out, r, tree, old);
	}
	if (result < 0)
		return result;
	json_free(old->tree);
	old->tree = TAKE_PTR(tree);
	*ret_gone = gone;
	return 0;
}

/* What stays is shown as it is now, with its deletionTimestamp. */
static void answer_deleted(struct apiserver *s, const struct request *in, struct answer *out,
			   const struct object *o, bool gone)
{
	if (!gone) {
		object_answer(s, in, out, 200, in->resource, o->tree);
		return;
	}
	_cleanup_(json_freep) struct json *status = status_success(
		in->resource, object_name(o->tree), object_uid(o->tree));
	answer_json(out, 200, status);
}

int verb_delete(struct apiserver *s, struct request *in, struct answer *out)
{
	_cleanup_(delete_options_done) struct delete_options options;
	struct object old = { 0 };
	bool gone = false;
	int result = take_options(in, out, &options);
	if (result < 0)
		return result;
	result = object_load_to_delete(s, in, out, in->resource, in->ns, in->name, &old);
	if (result == 0)
		return fail_not_found(out, in->resource, in->name);
	if (result > 0)
		result = delete_object(s, in, out, in->resource, &old, &options, &gone);
	if (result == 0)
		answer_deleted(s, in, out, &old, gone);
	object_done(&old);
	return result;
}

/* --- collections --- */

/* A step's worth: each object has as many changes to store as a request of its own. */
enum { DELETIONS_PER_STEP = 50, DELETED_BYTES_PER_STEP = 1024 * 1024 };

/* Names first, deletion afterwards: a walk must not change what it walks over. Others have their
 * turn between steps, as they have on a cluster; what has gone meanwhile is left out, and what was
 * deleted before one object failed stays deleted. */
struct deletion {
	struct delete_options options;
	struct lister *lister;
	bool listed;
	size_t next;
	struct strbuf items; /* as text: trees of all would take many times the room */
};

static void deletion_free(void *data)
{
	struct deletion *d = data;
	delete_options_done(&d->options);
	if (d->lister)
		lister_free(d->lister);
	strbuf_done(&d->items);
	free(d);
}

static int delete_named(struct call *c, const char *ns, const char *name,
			const struct delete_options *options, struct strbuf *items)
{
	struct object old = { 0 };
	struct schema_budget before = c->out.left;
	size_t start = items->len;
	bool gone;
	int result = object_load_to_delete(c->s, &c->in, &c->out, c->in.resource, ns, name, &old);
	if (result > 0)
		result = delete_object(c->s, &c->in, &c->out, c->in.resource, &old, options, &gone);
	if (result == 0 && old.tree) {
		/* In a list of a built-in kind the list alone says the kind (list.c). */
		if (!resource_is(c->in.resource, RESOURCE_CUSTOM)) {
			json_remove(old.tree, "apiVersion");
			json_remove(old.tree, "kind");
		}
		strbuf_adds(items, items->len ? "," : "");
		json_print(old.tree, items);
		if (c->out.left.bytes)
			object_settle(&c->out, &before, strlen(old.text), items->len - start);
	}
	object_done(&old);
	return result;
}

static int delete_next(struct call *c, struct deletion *d)
{
	struct err err;
	const struct list_names *n = lister_names(d->lister);
	int result = delete_named(c, n->ns[d->next], n->name[d->next], &d->options, &d->items);
	if (result == 0 && batch_keep(c->s, &err) < 0)
		result = fail_store(&c->out, &err);
	d->next++;
	return result;
}

/* The answer is the list that was deleted. */
static void answer_deletion(struct call *c, struct deletion *d)
{
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	_cleanup_(json_freep) struct json *metadata = lister_metadata(d->lister);
	strbuf_addf(&text, "{\"kind\":\"%s\",\"apiVersion\":\"%s\",\"metadata\":",
		    c->in.resource->list_kind, c->in.resource->api_version);
	json_print(metadata, &text);
	strbuf_adds(&text, ",\"items\":[");
	strbuf_add(&text, d->items.data ? d->items.data : "", d->items.len);
	strbuf_adds(&text, "]}");
	answer_object_text(&c->out, 200, text.data, text.len);
}

static int deletion_step(struct call *c, void *data)
{
	struct deletion *d = data;
	int result = d->listed ? 0 : lister_step(d->lister);
	if (result != 0)
		return result;
	d->listed = true;
	size_t count = lister_names(d->lister)->count, bytes = d->items.len;
	size_t end = MIN(count, d->next + DELETIONS_PER_STEP);
	while (d->next < end && d->items.len - bytes < DELETED_BYTES_PER_STEP)
		if (delete_next(c, d) < 0)
			return ANSWERED;
	if (d->next < count)
		return MORE;
	answer_deletion(c, d);
	return 0;
}

/* What a list with the same parameters would show, no more: a limit holds here, too. */
int verb_delete_collection(struct call *c)
{
	struct deletion *d = xcalloc(1, sizeof(*d));
	if (take_options(&c->in, &c->out, &d->options) < 0 || lister_new(c, true, &d->lister) < 0) {
		deletion_free(d);
		return ANSWERED;
	}
	return call_begin(c, (struct rest){ deletion_step, deletion_free, d });
}
