/* Ownership of fields in the requests: every write leaves managedFields behind, and PATCH with
 * application/apply-patch+yaml is server-side apply. An object that has no managedFields, from an
 * older Ingot or because somebody has cleared them, has none until it is first applied to; then all
 * that it holds belongs to "before-first-apply". Runs on the server's loop. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/internal.h"
#include "apiserver/kinds/builtin.h"
#include "base/mem.h"
#include "schema/managed.h"

#define SELF		   "ingot"
#define BEFORE_FIRST_APPLY "before-first-apply"
#define KUBECTL		   "kubectl"
#define LAST_APPLIED	   "kubectl.kubernetes.io/last-applied-configuration"

/* --- who writes --- */

/* "kubectl/v1.32.0 (linux/amd64) ..." is kubectl, without bytes that nobody can read. */
static char *user_agent_name(const char *agent)
{
	struct strbuf name = { 0 };
	for (const char *p = agent; *p && *p != '/'; p++)
		if ((unsigned char)*p >= ' ' && *p != 0x7f)
			strbuf_addc(&name, *p);
	size_t len = MIN(name.len, (size_t)MANAGER_NAME_MAX);
	while (len < name.len && len > 0 && ((unsigned char)name.data[len] & 0xc0) == 0x80)
		len--;
	char *text = xstrndup(len ? name.data : "unknown", len ? len : strlen("unknown"));
	strbuf_done(&name);
	return text;
}

static char *writer_name(const struct request *in)
{
	if (!in->http)
		return xstrdup(SELF);
	if (in->query.field_manager)
		return xstrdup(in->query.field_manager);
	return user_agent_name(str_or(in->http->user_agent, ""));
}

static void check_manager(const char *name, struct causes *causes)
{
	size_t at = 0;
	if (strlen(name) > MANAGER_NAME_MAX) // NOLINT: never NULL here
		causes_add(causes, CAUSE_TOO_LONG, "fieldManager", NULL,
			   "may not be more than %d bytes", MANAGER_NAME_MAX);
	while (name[at] && (unsigned char)name[at] >= ' ' && name[at] != 0x7f)
		at++;
	if (name[at])
		causes_add_string(causes, CAUSE_INVALID, "fieldManager", name,
				  "invalid character U+%04X (at position %zu)",
				  (unsigned)(unsigned char)name[at], at);
}

int own_check_query(const struct request *in, struct answer *out, bool apply)
{
	struct causes causes = { 0 };
	if (apply && !in->query.field_manager)
		causes_add(&causes, CAUSE_REQUIRED, "fieldManager", NULL,
			   "is required for apply patch");
	if (!apply && in->query.force_given && streq(in->http->method, "PATCH"))
		causes_add(&causes, CAUSE_FORBIDDEN, "force", NULL,
			   "may not be specified for non-apply patch");
	if (in->query.field_manager)
		check_manager(in->query.field_manager, &causes);
	int result = causes.count ? fail_options(in, out, &causes) : 0;
	causes_done(&causes);
	return result;
}

/* --- after each write --- */

static struct type type_of(struct apiserver *s, const struct resource *r)
{
	return (struct type){ .schema = r->schema, .meta = s->registry.meta, .resource = true };
}

/* What every object of the kind has, so that it is nobody's. */
static struct json *empty_object(const struct resource *r)
{
	return r->ops && r->ops->empty ? builtin_parse(r->ops->empty) : json_new_object();
}

/* [] and [{}] ask to forget all owners; to leave managedFields out does not, since clients that do
 * not know them would do so by mistake. */
static bool is_reset(const struct json *list)
{
	size_t count = json_count(list);
	return json_is_array(list) &&
	       (count == 0 || (count == 1 && json_is_object(json_first(list)) &&
			       json_count(json_first(list)) == 0));
}

static const struct json *managed_fields(const struct json *object)
{
	return json_get(json_get(object, "metadata"), "managedFields");
}

static const char *subresource_of(const struct request *in)
{
	return str_or(in->subresource, "");
}

/* Parts with a path of their own are not changed on the main one, whatever the server fills in
 * there. */
static void leave_parts(const struct resource *r, enum part part, struct fieldset *s)
{
	if (part == PART_MAIN && resource_is(r, RESOURCE_STATUS))
		fieldset_cut(s, "f:status", NULL);
	if (part == PART_MAIN && resource_is(r, RESOURCE_FINALIZE))
		fieldset_cut(s, "f:spec", "f:finalizers");
}

/* Nothing has changed and nobody says otherwise: no reason to read who owns what. */
static bool is_settled(const struct comparison *change, const struct json *given,
		       const struct json *stored)
{
	return schema_comparison_empty(change) && (!given || json_equal(given, stored));
}

static struct json *owners_after(struct apiserver *s, const struct request *in,
				 const struct resource *r, const struct json *old,
				 const struct json *now, const struct comparison *change)
{
	const struct json *given = managed_fields(now), *stored = managed_fields(old);
	_cleanup_(schema_managers_done) struct managers m = { 0 };
	_cleanup_(freep) char *name = writer_name(in);
	char time[CLOCK_TEXT_MAX];
	if (old && is_reset(given))
		return NULL;
	if (schema_managers_decode(given, r->api_version, &m) < 0 || json_count(given) == 0)
		schema_managers_decode(stored, r->api_version, &m); /* what we wrote decodes */
	if (old && m.count == 0)
		return NULL;
	schema_managers_update(&m, change,
			       &(struct writer){ name, r->api_version, subresource_of(in),
						 clock_format(loop_wall(s->loop), time) });
	return schema_managers_encode(&m);
}

void own_write(struct apiserver *s, const struct request *in, const struct resource *r,
	       const struct json *old, struct json *now, enum part part, struct applied *applied)
{
	const struct type type = type_of(s, r);
	if (applied) {
		json_set(object_meta(now), "managedFields", TAKE_PTR(applied->owners));
		return;
	}
	_cleanup_(json_freep) struct json *empty = old ? NULL : empty_object(r);
	_cleanup_(schema_comparison_done) struct comparison change = { 0 };
	typed_compare(&type, old ? old : empty, now, &change);
	leave_parts(r, part, &change.added);
	leave_parts(r, part, &change.modified);
	struct json *list = old && is_settled(&change, managed_fields(now), managed_fields(old))
				    ? json_dup(managed_fields(old))
				    : owners_after(s, in, r, old, now, &change);
	json_set(object_meta(now), "managedFields", list);
}

/* As they would be if they had the times of the other. */
static bool same_but_for_times(const struct json *a, const struct json *b)
{
	const struct json *second = json_first(b);
	json_for_each(first, a) {
		_cleanup_(json_freep) struct json *x = json_dup(first);
		json_set(x, "time", json_dup(json_get(second, "time")));
		if (!json_equal(x, second))
			return false;
		second = json_next(second);
	}
	return !second;
}

/* An apply that the server's own defaults have undone. What others write is compared after these.
 */
static bool undone(struct json *now, const struct json *old)
{
	struct json *meta = object_meta(now), *list = json_take(meta, "managedFields");
	bool same = same_but_for_times(list, managed_fields(old));
	json_set(meta, "managedFields", json_dup(managed_fields(old)));
	same = same && json_equal(now, old);
	if (same)
		json_free(list);
	else
		json_set(meta, "managedFields", list);
	return same;
}

bool own_unchanged(struct json *now, const struct json *old, bool applied)
{
	return json_equal(now, old) || (applied && undone(now, old));
}

/* --- what is applied --- */

/* "suite.ingot.dev/v1, Kind=Thing"; of a version that is none, nothing is shown. */
static int fail_type(struct answer *out, const char *version, const char *kind)
{
	const char *slash = strchr(version, '/');
	if (slash && strchr(slash + 1, '/'))
		version = kind = slash = "";
	return fail(out, 400, "BadRequest", "invalid object type: %s%s, Kind=%s",
		    *version && slash ? "" : "/", version, kind);
}

static int check_kind(const struct request *in, struct answer *out, const struct json *config)
{
	const char *version = str_or(json_get_string(config, "apiVersion"), "");
	const char *kind = str_or(json_get_string(config, "kind"), "");
	const struct json *meta = json_get(config, "metadata");
	if (!streq(version, in->resource->api_version) || !streq(kind, in->resource->kind))
		return fail_type(out, version, kind);
	if (!json_is_null(json_get(meta, "managedFields")))
		return fail(out, 400, "BadRequest", "metadata.managedFields must be nil");
	return 0;
}

static int check_schema(struct apiserver *s, const struct request *in, struct answer *out,
			const struct json *config)
{
	const struct type type = type_of(s, in->resource);
	_cleanup_(freep) char *wrong = typed_validate(&type, config);
	if (!wrong)
		return 0;
	const struct json *meta = json_get(config, "metadata");
	return fail(out, 500, "", "failed to create typed patch object (%s/%s; %s%s, Kind=%s): %s",
		    str_or(json_get_string(meta, "namespace"), ""),
		    str_or(json_get_string(meta, "name"), ""), *in->resource->group ? "" : "/",
		    in->resource->api_version, in->resource->kind, wrong);
}

/* The path says which object it is; a new one must say so itself, as upstream. */
static int check_name(const struct request *in, struct answer *out, struct json *config,
		      bool is_new)
{
	struct json *meta = object_meta(config);
	const char *name = str_or(json_get_string(meta, "name"), "");
	const char *ns = str_or(json_get_string(meta, "namespace"), "");
	if (*name == '\0' && is_new)
		return fail(
			out, 400, "BadRequest",
			"the name of the object (%s based on URL) was undeterminable: name must be provided",
			in->name);
	if (*name && !streq(name, in->name))
		return fail(out, 400, "BadRequest",
			    "the name of the object (%s) does not match the name on the URL (%s)",
			    name, in->name);
	if (*ns && !streq(ns, in->ns))
		return fail(
			out, 400, "BadRequest",
			"the namespace of the provided object does not match the namespace sent on the request");
	json_set_string(meta, "name", in->name);
	return 0;
}

static int check_uid(const struct request *in, struct answer *out, const struct json *config,
		     const struct json *live)
{
	const char *uid = object_uid(config);
	if (*uid == '\0' || streq(uid, object_uid(live)))
		return 0;
	if (!live)
		return fail_conflict(
			out, in->resource, in->name,
			"uid mismatch: the provided object specified uid %s, and no existing object was found",
			uid);
	struct causes causes = { 0 };
	causes_add_string(&causes, CAUSE_INVALID, "metadata.uid", uid, "field is immutable");
	int result = fail_invalid(out, in->resource, in->name, &causes);
	causes_done(&causes);
	return result;
}

static void move_member(struct json *to, struct json *from, const char *key)
{
	struct json *value = json_take(from, key);
	if (value)
		json_set(to, key, value);
}

/* Only the part that the path stands for can be applied there. Takes config. */
static struct json *part_of_config(const struct resource *r, struct json *config, enum part part)
{
	static const char *const identity[] = { "name", "namespace", "uid", "resourceVersion" };
	if (part == PART_MAIN) {
		if (resource_is(r, RESOURCE_STATUS))
			json_remove(config, "status");
		if (resource_is(r, RESOURCE_FINALIZE))
			json_remove(json_get_mut(config, "spec"), "finalizers");
		return config;
	}
	struct json *rest = json_new_object(), *meta = object_meta(rest);
	move_member(rest, config, "apiVersion");
	move_member(rest, config, "kind");
	for (size_t i = 0; i < ARRAY_SIZE(identity); i++)
		move_member(meta, object_meta(config), identity[i]);
	if (part == PART_STATUS)
		move_member(rest, config, "status");
	else
		move_member(json_make_object(rest, "spec"), json_get_mut(config, "spec"),
			    "finalizers");
	json_free(config);
	return rest;
}

static int read_config(struct apiserver *s, const struct request *in, struct answer *out,
		       struct json **ret)
{
	int result = decode_apply(in, out, ret);
	if (result == 0)
		result = check_kind(in, out, *ret);
	return result < 0 ? result : check_schema(s, in, out, *ret);
}

/* --- apply --- */

/* What `kubectl apply` without --server-side has left in an annotation, as far as it still stands:
 * kubectl may take that over from itself without being told to. */
static struct fieldset last_applied(struct apiserver *s, const struct request *in,
				    const struct json *live)
{
	const struct type type = type_of(s, in->resource);
	const char *text = json_get_string(json_get_path(live, "metadata.annotations"),
					   LAST_APPLIED);
	_cleanup_(json_freep) struct json *config = NULL;
	if (!streq(in->query.field_manager, KUBECTL) || !text ||
	    json_parse(text, strlen(text), &config, NULL) < 0 ||
	    !streq(json_get_string(config, "apiVersion"), in->resource->api_version))
		return (struct fieldset){ 0 };
	struct fieldset fields = typed_fields(&type, config);
	_cleanup_(schema_comparison_done) struct comparison change = { 0 };
	typed_compare(&type, config, live, &change);
	fieldset_subtract(&fields, &change.added);
	fieldset_subtract(&fields, &change.modified);
	fieldset_subtract(&fields, &change.removed);
	return fields;
}

/* So that `kubectl apply` without --server-side knows what has been applied meanwhile. */
static void note_last_applied(const struct request *in, const struct json *config, struct json *now)
{
	struct json *annotations = json_get_mut(object_meta(now), "annotations");
	if (!streq(in->query.field_manager, KUBECTL) || !json_get(annotations, LAST_APPLIED))
		return;
	_cleanup_(json_freep) struct json *shown = json_dup(config);
	json_remove(json_get_mut(json_get_mut(shown, "metadata"), "annotations"), LAST_APPLIED);
	_cleanup_(freep) char *text = json_to_string(shown);
	_cleanup_(freep) char *line = xasprintf("%s\n", text);
	json_set_string(annotations, LAST_APPLIED, line);
}

/* Who owns the object now; for one without owners, all that it holds gets one. */
static void owners_before(struct apiserver *s, const struct request *in, const struct json *live,
			  const char *time, struct managers *ret)
{
	const struct resource *r = in->resource;
	const struct type type = type_of(s, r);
	*ret = (struct managers){ 0 };
	schema_managers_decode(managed_fields(live), r->api_version, ret);
	if (!live || ret->count > 0)
		return;
	_cleanup_(json_freep) struct json *empty = empty_object(r);
	_cleanup_(schema_comparison_done) struct comparison all = { 0 };
	typed_compare(&type, empty, live, &all);
	schema_managers_update(ret, &all,
			       &(struct writer){ BEFORE_FIRST_APPLY, r->api_version, "", time });
}

static int fail_apply(struct answer *out, const struct conflicts *conflicts)
{
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	struct json *details = json_new_object();
	struct json *causes = json_set(details, "causes", json_new_array());
	for (size_t i = 0; i < conflicts->count; i++) {
		struct json *cause = json_append(causes, json_new_object());
		_cleanup_(freep) char *message = xasprintf("conflict with %s",
							   conflicts->items[i].manager);
		json_set_string(cause, "reason", "FieldManagerConflict");
		json_set_string(cause, "message", message);
		json_set_string(cause, "field", conflicts->items[i].path);
	}
	schema_conflicts_format(conflicts, &text);
	return fail_details(out, 409, "Conflict", details, "%s", text.data);
}

/* live NULL: the object is new. */
static int apply_config(struct apiserver *s, const struct request *in, struct answer *out,
			const struct json *live, const struct json *config, struct json **ret,
			struct applied *ret_applied)
{
	char time[CLOCK_TEXT_MAX];
	clock_format(loop_wall(s->loop), time);
	_cleanup_(schema_managers_done) struct managers owners = { 0 };
	_cleanup_(schema_conflicts_done) struct conflicts conflicts = { 0 };
	_cleanup_(json_freep) struct json *empty = empty_object(in->resource);
	_cleanup_(fieldset_done) struct fieldset yielded = last_applied(s, in, live);
	owners_before(s, in, live, time, &owners);
	const struct apply a = {
		.type = type_of(s, in->resource),
		.live = live ? live : empty,
		.config = config,
		.writer = { in->query.field_manager, in->resource->api_version, subresource_of(in),
			    time },
		.force = in->query.force,
		.yielded = &yielded,
	};
	if (schema_apply_merge(&a, &owners, ret, &conflicts) < 0)
		return fail_apply(out, &conflicts);
	note_last_applied(in, config, *ret);
	ret_applied->owners = schema_managers_encode(&owners);
	return decode_patched(in, out, in->resource, *ret);
}

static void applied_done(struct applied *a)
{
	json_free(a->owners);
}

static int apply_new(struct apiserver *s, const struct request *in, struct answer *out,
		     const struct json *config)
{
	_cleanup_(json_freep) struct json *tree = NULL;
	_cleanup_(applied_done) struct applied applied = { 0 };
	int result = apply_config(s, in, out, NULL, config, &tree, &applied);
	if (result == 0)
		result = write_create(s, in, out, in->resource, in->ns, tree, &applied);
	if (result == 0)
		object_answer(s, in, out, 201, in->resource, tree);
	return result;
}

static int apply_to(struct apiserver *s, const struct request *in, struct answer *out,
		    const struct object *old, const struct json *config, enum part part)
{
	_cleanup_(json_freep) struct json *tree = NULL;
	_cleanup_(applied_done) struct applied applied = { 0 };
	int result = apply_config(s, in, out, old->tree, config, &tree, &applied);
	if (result == 0)
		result = write_update(s, in, out, in->resource, old, &tree, part, &applied);
	if (result == 0)
		object_answer(s, in, out, 200, in->resource, tree);
	return result;
}

int verb_apply(struct apiserver *s, const struct request *in, struct answer *out)
{
	_cleanup_(json_freep) struct json *config = NULL;
	struct object old = { 0 };
	enum part part = part_of_call(in);
	int found = own_check_query(in, out, true);
	if (found < 0 || read_config(s, in, out, &config) < 0)
		return ANSWERED;
	found = object_load(s, in, out, in->resource, in->ns, in->name, &old);
	if (found == 0 && part != PART_MAIN)
		found = fail_not_found(out, in->resource, in->name);
	if (found < 0)
		return found;
	int result = check_name(in, out, config, !found);
	if (result == 0)
		result = check_uid(in, out, config, found ? old.tree : NULL);
	if (result == 0) {
		config = part_of_config(in->resource, config, part);
		result = found ? apply_to(s, in, out, &old, config, part)
			       : apply_new(s, in, out, config);
	}
	object_done(&old);
	return result;
}
