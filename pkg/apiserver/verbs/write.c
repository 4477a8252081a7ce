/* Creation and update. An object goes through: decoding (decode.c), the parts that the server
 * decides, defaults, checks, the store. An update that changes nothing writes nothing; one that
 * leaves a deleted object without finalizers removes it. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/internal.h"
#include "base/id.h"
#include "base/mem.h"

enum { GENERATED_SUFFIX = 5, GENERATED_NAME_MAX = 63 - GENERATED_SUFFIX, GENERATE_TRIES = 8 };

/* --- what both share --- */

/* Asked again when it is stored; a large one is told here, before owners of its fields are worked
 * out, which costs more than all the rest. */
static int check_size(const struct request *in, struct answer *out, const struct json *tree)
{
	if (!in->http || in->http->body_len <= OBJECT_MAX)
		return 0;
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	json_print(tree, &text);
	if (text.len <= OBJECT_MAX)
		return 0;
	return fail(out, 413, "RequestEntityTooLarge",
		    "Request entity too large: the object has %zu bytes, limit is %d", text.len,
		    OBJECT_MAX);
}

static int fill_in(const struct request *in, struct answer *out, const struct resource *r,
		   struct json *tree)
{
	if (schema_default(r->schema, tree, &out->left))
		return check_size(in, out, tree);
	return fail(out, 413, "RequestEntityTooLarge",
		    "%s \"%s\" is too large with the defaults of its schema", r->kind,
		    object_name(tree));
}

/* What is being deleted must be able to go: defaults that do not fit are left out. */
static int fill_in_again(const struct request *in, struct answer *out, const struct resource *r,
			 const struct object *old, struct json **tree)
{
	if (!object_terminating(old->tree))
		return fill_in(in, out, r, *tree);
	_cleanup_(json_freep) struct json *filled = json_dup(*tree);
	struct schema_budget before = out->left;
	if (schema_default(r->schema, filled, &out->left) && object_fits(filled)) {
		json_free(*tree);
		*tree = TAKE_PTR(filled);
		return 0;
	}
	out->left = before;
	return check_size(in, out, *tree);
}

/* Custom kinds may use finalizers without a slash (BMO's "baremetalhost.metal3.io" is one). */
static void check_meta(const struct resource *r, const struct json *now, const struct json *old,
		       struct causes *causes)
{
	name_rule name = r->ops && r->ops->name_valid ? r->ops->name_valid : name_is_dns_subdomain;
	meta_validate(now, name,
		      resource_is(r, RESOURCE_CUSTOM) || resource_is(r, RESOURCE_DEFINES), causes);
	if (old)
		meta_validate_update(now, old, causes);
}

/* Of a status on its own path, texts speak as of a whole object, as upstream. */
static int check(struct apiserver *s, struct answer *out, const struct resource *r,
		 const struct json *now, const struct json *old, enum part part)
{
	struct causes causes = { 0 };
	_cleanup_(path_done) struct path path = {
		.unsaid = part == PART_STATUS && resource_is(r, RESOURCE_CUSTOM) ? strlen("status.")
										 : 0,
	};
	check_meta(r, now, old, &causes);
	schema_validate(r->schema, now, old, &path, &causes);
	if (r->ops && r->ops->validate)
		r->ops->validate(s, out, now, old, &causes);
	int result = causes.count ? fail_invalid(out, r, object_name(now), &causes) : 0;
	causes_done(&causes);
	return result;
}

/* The namespace that the path names goes into the object, which may not name another. */
static int set_namespace(struct answer *out, const struct resource *r, const char *ns,
			 struct json *tree)
{
	struct json *meta = object_meta(tree);
	const char *given = str_or(json_get_string(meta, "namespace"), "");
	if (!resource_is(r, RESOURCE_NAMESPACED)) {
		json_remove(meta, "namespace");
		return 0;
	}
	if (*given && !streq(given, ns))
		return fail(
			out, 400, "BadRequest",
			"the namespace of the provided object does not match the namespace sent on the request");
	json_set_string(meta, "namespace", ns);
	return 0;
}

int write_check_namespace(struct apiserver *s, const struct request *in, struct answer *out,
			  const struct resource *r, const char *ns)
{
	if (!resource_is(r, RESOURCE_NAMESPACED))
		return 0;
	const struct resource *namespaces = registry_find(&s->registry, "", "v1", "namespaces");
	struct object found = { 0 };
	int result = object_load(s, in, out, namespaces, "", ns, &found);
	bool terminating = result > 0 && object_terminating(found.tree);
	object_done(&found);
	if (result < 0)
		return result;
	return result == 0 ? fail_not_found(out, namespaces, ns) : terminating ? 1 : 0;
}

/* --- creation --- */

/* The alphabet of k8s.io/apimachinery/pkg/util/rand: no vowels, no words. */
static void random_suffix(struct loop *loop, char out[GENERATED_SUFFIX + 1])
{
	static const char alphabet[] = "bcdfghjklmnpqrstvwxz2456789";
	for (int i = 0; i < GENERATED_SUFFIX; i++)
		out[i] = alphabet[loop_random_below(loop, sizeof(alphabet) - 1)];
	out[GENERATED_SUFFIX] = '\0';
}

static int exists(struct apiserver *s, struct answer *out, const struct resource *r, const char *ns,
		  const char *name)
{
	struct err err;
	struct store_row row;
	int found = store_get(s->store, &(struct store_key){ r->key, ns, name }, &row, &err);
	return found < 0 ? fail_store(out, &err) : found;
}

static int generate_name(struct apiserver *s, struct answer *out, const struct resource *r,
			 const char *ns, struct json *meta)
{
	const char *base = str_or(json_get_string(meta, "generateName"), "");
	char suffix[GENERATED_SUFFIX + 1];
	int found = 0;
	if (*base == '\0' || !str_empty(json_get_string(meta, "name")))
		return 0;
	for (int i = 0; i < GENERATE_TRIES; i++) {
		random_suffix(s->loop, suffix);
		_cleanup_(freep) char *name = xasprintf("%.*s%s", GENERATED_NAME_MAX, base, suffix);
		json_set_string(meta, "name", name);
		found = exists(s, out, r, ns, name);
		if (found <= 0)
			break;
	}
	return found < 0 ? found : 0;
}

/* Checked against the store, because a simulation that restarts with its seed draws the same again.
 */
static void set_uid(struct apiserver *s, struct json *meta)
{
	uint8_t random[16];
	char uid[UUID_TEXT_SIZE];
	struct store_row row;
	do {
		loop_random(s->loop, random, sizeof(random));
		uuid_format(random, uid);
	} while (store_get_by_uid(s->store, uid, &row, NULL) > 0);
	json_set_string(meta, "uid", uid);
}

static void stamp_new(struct apiserver *s, const struct resource *r, struct json *tree)
{
	static const char *const theirs[] = { "uid",
					      "resourceVersion",
					      "generation",
					      "creationTimestamp",
					      "deletionTimestamp",
					      "deletionGracePeriodSeconds" };
	struct json *meta = object_meta(tree);
	for (size_t i = 0; i < ARRAY_SIZE(theirs); i++)
		json_remove(meta, theirs[i]);
	set_uid(s, meta);
	meta_set_time(meta, "creationTimestamp", loop_wall(s->loop));
	if (resource_is(r, RESOURCE_GENERATION))
		json_set_int(meta, "generation", 1);
	if (resource_is(r, RESOURCE_STATUS) && resource_is(r, RESOURCE_CUSTOM))
		json_remove(tree, "status");
}

static int refuse_terminating(struct answer *out, const struct resource *r, const char *name,
			      const char *ns)
{
	fail_forbidden(
		out, r, name,
		"unable to create new content in namespace %s because it is being terminated", ns);
	struct json *status = NULL;
	if (json_parse(out->body.data, out->body.len, &status, NULL) < 0)
		return ANSWERED;
	_cleanup_(freep) char *message = xasprintf("namespace %s is being terminated", ns);
	struct json *causes = json_set(json_make_object(status, "details"), "causes",
				       json_new_array());
	struct json *cause = json_append(causes, json_new_object());
	json_set_string(cause, "reason", "NamespaceTerminating");
	json_set_string(cause, "message", message);
	json_set_string(cause, "field", "metadata.namespace");
	answer_json(out, 403, status);
	json_free(status);
	return ANSWERED;
}

static int refuse_existing(struct apiserver *s, const struct request *in, struct answer *out,
			   const struct resource *r, const char *ns, const char *name)
{
	struct object there = { 0 };
	if (object_load(s, in, out, r, ns, name, &there) < 0)
		return ANSWERED;
	const char *why = object_terminating(there.tree) ? "object is being deleted: " : "";
	object_done(&there);
	return fail_named(out, 409, "AlreadyExists", r, name, "%s%s \"%s\" already exists", why,
			  r->key, name);
}

/* Existence comes last: an invalid object is told so even if its name is taken. */
static int check_new(struct apiserver *s, const struct request *in, struct answer *out,
		     const struct resource *r, const char *ns, const struct json *tree)
{
	const char *name = object_name(tree);
	if (r->terminating)
		return fail_named(
			out, 405, "MethodNotAllowed", r, NULL,
			"create is not supported on resources of kind \"%s\": its definition is being deleted",
			r->key);
	int terminating = write_check_namespace(s, in, out, r, ns);
	if (terminating)
		return terminating < 0 ? terminating : refuse_terminating(out, r, name, ns);
	int result = check(s, out, r, tree, NULL, PART_MAIN);
	if (result == 0)
		result = admit(s, in, out, r, API_CREATE, tree, NULL);
	if (result < 0)
		return result;
	int found = exists(s, out, r, ns, name);
	return found > 0 ? refuse_existing(s, in, out, r, ns, name) : found;
}

/* Names before checks, because a generated name must pass them, too. */
int write_create(struct apiserver *s, const struct request *in, struct answer *out,
		 const struct resource *r, const char *ns, struct json *tree,
		 struct applied *applied)
{
	struct json *meta = object_meta(tree);
	json_set_string(tree, "apiVersion", r->api_version);
	json_set_string(tree, "kind", r->kind);
	int result = set_namespace(out, r, ns, tree);
	if (result == 0)
		result = generate_name(s, out, r, ns, meta);
	if (result < 0)
		return result;
	stamp_new(s, r, tree);
	if (fill_in(in, out, r, tree) < 0)
		return ANSWERED;
	if (r->ops && r->ops->prepare)
		r->ops->prepare(s, out, tree, NULL);
	result = check_new(s, in, out, r, ns, tree);
	if (result < 0)
		return result;
	own_write(s, in, r, NULL, tree, PART_MAIN, applied);
	return object_store(s, in, out, r, tree, NULL);
}

static int create_from(struct apiserver *s, const struct request *in, struct answer *out,
		       struct json *tree)
{
	const char *version = json_get_path_string(tree, "metadata.resourceVersion");
	if (!str_empty(version) && !streq(version, "0"))
		return fail(out, 500, "",
			    "resourceVersion should not be set on objects to be created");
	int result = write_create(s, in, out, in->resource, in->ns, tree, NULL);
	if (result == 0)
		object_answer(s, in, out, 201, in->resource, tree);
	return result;
}

int verb_create(struct apiserver *s, const struct request *in, struct answer *out)
{
	_cleanup_(json_freep) struct json *tree = NULL;
	int result = own_check_query(in, out, false);
	if (result == 0)
		result = decode_body(in, out, &tree);
	if (result == 0)
		result = decode_object(in, out, in->resource, tree);
	return result < 0 ? result : create_from(s, in, out, tree);
}

/* --- update --- */

static int refuse_field(struct answer *out, const struct resource *r, const char *name,
			const char *field, const struct json *value)
{
	struct causes causes = { 0 };
	causes_add_json(&causes, CAUSE_INVALID, field, value, "field is immutable");
	int result = fail_invalid(out, r, name, &causes);
	causes_done(&causes);
	return result;
}

/* In an update the uid says which object is meant; in a patch it is a field like any other. */
static int refuse_uid(const struct request *in, struct answer *out, const struct resource *r,
		      const struct object *old, const struct json *now)
{
	const char *name = object_name(old->tree);
	if (!in->http || !streq(in->http->method, "PATCH"))
		return fail_conflict(
			out, r, name,
			"Precondition failed: UID in precondition: %s, UID in object meta: %s",
			object_uid(now), object_uid(old->tree));
	return refuse_field(out, r, name, "metadata.uid", json_get_path(now, "metadata.uid"));
}

/* When an object goes is the server's to say. */
static int refuse_other_end(struct answer *out, const struct resource *r, const struct json *old,
			    const struct json *now)
{
	static const char *const fields[] = { "metadata.deletionTimestamp",
					      "metadata.deletionGracePeriodSeconds" };
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		const struct json *value = json_get_path(now, fields[i]);
		if (!json_is_null(value) && !json_equal(value, json_get_path(old, fields[i])))
			return refuse_field(out, r, object_name(old), fields[i], value);
	}
	return 0;
}

static int check_preconditions(const struct request *in, struct answer *out,
			       const struct resource *r, const struct object *old,
			       const struct json *now)
{
	const char *version = str_or(json_get_path_string(now, "metadata.resourceVersion"), "");
	const char *uid = object_uid(now), *name = object_name(old->tree);
	bool any = *version == '\0' || streq(version, "0");
	if (any && !resource_is(r, RESOURCE_UNCONDITIONAL_UPDATE))
		return fail_no_version(out, r, name);
	if (*uid && !streq(uid, object_uid(old->tree)))
		return refuse_uid(in, out, r, old, now);
	if (refuse_other_end(out, r, old->tree, now) < 0)
		return ANSWERED;
	if (!any && !streq(version, json_get_path_string(old->tree, "metadata.resourceVersion")))
		return fail_conflict(
			out, r, name,
			"the object has been modified; please apply your changes to the latest version and try again");
	return 0;
}

static void copy_member(struct json *to, const struct json *from, const char *key)
{
	const struct json *value = json_get(from, key);
	if (value)
		json_set(to, key, json_dup(value));
	else
		json_remove(to, key);
}

/* The part that this request may change, on the ground of what was there. */
static void combine(const struct resource *r, const struct object *old, struct json **tree,
		    enum part part)
{
	if (part == PART_MAIN) {
		if (resource_is(r, RESOURCE_STATUS))
			copy_member(*tree, old->tree, "status");
		if (resource_is(r, RESOURCE_FINALIZE))
			copy_member(json_make_object(*tree, "spec"), json_get(old->tree, "spec"),
				    "finalizers");
		meta_keep(*tree, old->tree);
		return;
	}
	struct json *now = json_dup(old->tree);
	if (part == PART_STATUS)
		copy_member(now, *tree, "status");
	else
		copy_member(json_make_object(now, "spec"), json_get(*tree, "spec"), "finalizers");
	json_free(*tree);
	*tree = now;
}

static bool same_but_for(const struct json *a, const struct json *b, bool status_apart)
{
	json_for_each(member, a) {
		const char *key = json_key(member);
		if (streq(key, "metadata") || (status_apart && streq(key, "status")))
			continue;
		if (!json_equal(member, json_get(b, key)))
			return false;
	}
	return true;
}

/* What is wanted has changed: anything but metadata and, where it is a part of its own, status. */
static void count_generation(const struct resource *r, struct json *now, const struct json *old)
{
	bool apart = resource_is(r, RESOURCE_STATUS);
	if (!resource_is(r, RESOURCE_GENERATION))
		return;
	if (same_but_for(now, old, apart) && same_but_for(old, now, apart))
		return;
	int64_t generation = json_get_int(json_get(old, "metadata"), "generation", 0);
	json_set_int(object_meta(now), "generation", generation + 1);
}

/* The last finalizer of a deleted object has gone. */
static bool may_go(const struct resource *r, const struct json *tree)
{
	return object_terminating(tree) &&
	       json_count(json_get_path(tree, "metadata.finalizers")) == 0 &&
	       (!r->ops || !r->ops->may_go || r->ops->may_go(tree));
}

/* No write without a change: versions would rise, and watchers wake, for nothing. */
static int commit_update(struct apiserver *s, const struct request *in, struct answer *out,
			 const struct resource *r, const struct object *old, struct json *tree,
			 bool applied)
{
	if (may_go(r, tree))
		return object_erase(s, in, out, r, old, tree);
	if (own_unchanged(tree, old->tree, applied))
		return 0;
	return object_store(s, in, out, r, tree, old);
}

int write_update(struct apiserver *s, const struct request *in, struct answer *out,
		 const struct resource *r, const struct object *old, struct json **tree,
		 enum part part, struct applied *applied)
{
	int result = check_preconditions(in, out, r, old, *tree);
	if (result < 0)
		return result;
	combine(r, old, tree, part);
	if (fill_in_again(in, out, r, old, tree) < 0)
		return ANSWERED;
	if (r->ops && r->ops->prepare)
		r->ops->prepare(s, out, *tree, old->tree);
	result = check(s, out, r, *tree, old->tree, part);
	if (result == 0 && part == PART_MAIN)
		result = admit(s, in, out, r, API_UPDATE, *tree, old->tree);
	if (result < 0)
		return result;
	own_write(s, in, r, old->tree, *tree, part, applied);
	if (part == PART_MAIN)
		count_generation(r, *tree, old->tree);
	return commit_update(s, in, out, r, old, *tree, applied);
}

enum part part_of_call(const struct request *in)
{
	return streq(in->subresource, "status")	    ? PART_STATUS
	       : streq(in->subresource, "finalize") ? PART_FINALIZE
						    : PART_MAIN;
}

static int check_name(const struct request *in, struct answer *out, struct json *tree)
{
	const char *name = object_name(tree);
	if (*name == '\0')
		return fail(
			out, 400, "BadRequest",
			"the name of the object (%s based on URL) was undeterminable: name must be provided",
			in->name);
	if (!streq(name, in->name))
		return fail(out, 400, "BadRequest",
			    "the name of the object (%s) does not match the name on the URL (%s)",
			    name, in->name);
	return set_namespace(out, in->resource, in->ns, tree);
}

static int update_with(struct apiserver *s, const struct request *in, struct answer *out,
		       struct json **tree)
{
	const struct resource *r = in->resource;
	struct object old = { 0 };
	int result = object_load(s, in, out, r, in->ns, in->name, &old);
	if (result == 0) {
		bool create = resource_is(r, RESOURCE_CREATE_ON_UPDATE) &&
			      part_of_call(in) == PART_MAIN;
		return create ? create_from(s, in, out, *tree) : fail_not_found(out, r, in->name);
	}
	if (result > 0)
		result = write_update(s, in, out, r, &old, tree, part_of_call(in), NULL);
	object_done(&old);
	if (result == 0)
		object_answer(s, in, out, 200, r, *tree);
	return result;
}

int verb_update(struct apiserver *s, const struct request *in, struct answer *out)
{
	_cleanup_(json_freep) struct json *tree = NULL;
	int result = own_check_query(in, out, false);
	if (result == 0)
		result = decode_body(in, out, &tree);
	if (result == 0)
		result = decode_object(in, out, in->resource, tree);
	if (result == 0)
		result = check_name(in, out, tree);
	return result < 0 ? result : update_with(s, in, out, &tree);
}
