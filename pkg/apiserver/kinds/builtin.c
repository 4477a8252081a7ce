/* The built-in kinds as a table, and the behaviour of each: what the server fills in, checks and
 * shows. Texts of faults follow k8s.io/kubernetes/pkg/apis/core/validation. */

#include "apiserver/kinds/builtin.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/internal.h"
#include "base/mem.h"
#include "schema/names.h"

enum { DATA_MAX = 1024 * 1024 };

/* --- Secret and ConfigMap --- */

static void validate_keys(const struct json *data, const char *field, struct causes *causes)
{
	json_for_each(entry, data) {
		_cleanup_(strbuf_done) struct strbuf why = { 0 };
		_cleanup_(freep) char *path = xasprintf("%s[%s]", field, json_key(entry));
		if (!name_is_config_key(json_key(entry), &why))
			causes_add_string(causes, CAUSE_INVALID, path, json_key(entry), "%s",
					  why.data);
	}
}

/* Of the decoded bytes, near enough. */
static size_t data_size(const struct json *data, bool base64)
{
	size_t total = 0;
	json_for_each(entry, data) {
		size_t len = strlen(str_or(json_string(entry), ""));
		total += base64 ? len / 4 * 3 : len;
	}
	return total;
}

static void validate_size(size_t size, const char *field, struct causes *causes)
{
	if (size > DATA_MAX)
		causes_add(causes, CAUSE_TOO_LONG, field, NULL, "may not be more than %d bytes",
			   DATA_MAX);
}

static bool is_immutable(const struct json *o)
{
	return json_get_bool(o, "immutable", false);
}

/* A promise to readers, who need not watch: it cannot be taken back. */
static void validate_immutable(const struct json *now, const struct json *old,
			       const char *const *fields, struct causes *causes)
{
	if (!old || !is_immutable(old))
		return;
	if (!is_immutable(now))
		causes_add(causes, CAUSE_FORBIDDEN, "immutable", NULL,
			   "field is immutable when `immutable` is set");
	for (; *fields; fields++)
		if (!json_equal(json_get(now, *fields), json_get(old, *fields)))
			causes_add(causes, CAUSE_FORBIDDEN, *fields, NULL,
				   "field is immutable when `immutable` is set");
}

/* stringData is only ever written. */
static void secret_prepare(struct apiserver *s, struct answer *out, struct json *now,
			   const struct json *old)
{
	(void)s, (void)out;
	_cleanup_(json_freep) struct json *plain = json_take(now, "stringData");
	json_for_each(entry, plain) {
		const char *text = str_or(json_string(entry), "");
		_cleanup_(freep) char *encoded = base64_encode(text, strlen(text));
		json_set_string(json_make_object(now, "data"), json_key(entry), encoded);
	}
	if (str_empty(json_get_string(now, "type")))
		json_set_string(now, "type",
				old ? str_or(json_get_string(old, "type"), "Opaque") : "Opaque");
}

static const struct {
	const char *type;
	const char *keys[2];
	bool any; /* one of them is enough */
} secret_types[] = {
	{ "kubernetes.io/tls", { "tls.crt", "tls.key" }, false },
	{ "kubernetes.io/dockerconfigjson", { ".dockerconfigjson", NULL }, false },
	{ "kubernetes.io/dockercfg", { ".dockercfg", NULL }, false },
	{ "kubernetes.io/ssh-auth", { "ssh-privatekey", NULL }, false },
	{ "kubernetes.io/basic-auth", { "username", "password" }, true },
};

/* Types that Kubernetes knows promise certain keys. */
static void validate_secret_type(const struct json *now, struct causes *causes)
{
	const char *type = json_get_string(now, "type");
	const struct json *data = json_get(now, "data");
	for (size_t i = 0; i < ARRAY_SIZE(secret_types); i++) {
		const char *const *keys = secret_types[i].keys;
		if (!streq(type, secret_types[i].type))
			continue;
		bool first = json_get(data, keys[0]), second = keys[1] && json_get(data, keys[1]);
		if (secret_types[i].any && (first || second))
			return;
		for (int k = 0; k < 2 && keys[k]; k++) {
			_cleanup_(freep) char *path = xasprintf("data[%s]", keys[k]);
			if (!json_get(data, keys[k]))
				causes_add(causes, CAUSE_REQUIRED, path, NULL, CAUSE_BARE);
		}
	}
}

static bool is_json(const char *base64)
{
	_cleanup_(freep) void *bytes = NULL;
	_cleanup_(json_freep) struct json *ignored = NULL;
	size_t len;
	return base64_decode(base64, strlen(base64), &bytes, &len) == 0 &&
	       json_parse(bytes, len, &ignored, NULL) == 0;
}

/* What image pulls and service accounts would trip over later. */
static void validate_secret_contents(const struct json *now, struct causes *causes)
{
	const char *type = str_or(json_get_string(now, "type"), "");
	const char *key = streq(type, "kubernetes.io/dockercfg") ? ".dockercfg"
								 : ".dockerconfigjson";
	const char *account = "kubernetes.io/service-account.name";
	const char *config = json_get_string(json_get(now, "data"), key);
	_cleanup_(freep) char *path = xasprintf("data[%s]", key);
	if (str_has_prefix(type, "kubernetes.io/dockerc") && config && !is_json(config))
		causes_add(causes, CAUSE_INVALID, path, "\"<secret contents redacted>\"",
			   "must be JSON");
	if (streq(type, "kubernetes.io/service-account-token") &&
	    str_empty(json_get_string(json_get_path(now, "metadata.annotations"), account)))
		causes_add(causes, CAUSE_REQUIRED,
			   "metadata.annotations[kubernetes.io/service-account.name]", NULL,
			   CAUSE_BARE);
}

static void secret_validate(struct apiserver *s, struct answer *out, const struct json *now,
			    const struct json *old, struct causes *causes)
{
	(void)s, (void)out;
	static const char *const fields[] = { "data", NULL };
	validate_keys(json_get(now, "data"), "data", causes);
	validate_size(data_size(json_get(now, "data"), true), "data", causes);
	validate_secret_type(now, causes);
	validate_secret_contents(now, causes);
	validate_immutable(now, old, fields, causes);
	if (old && !json_equal(json_get(now, "type"), json_get(old, "type")))
		causes_add_json(causes, CAUSE_INVALID, "type", json_get(now, "type"),
				"field is immutable");
}

static void add_name_and_age(usec_t wall, const struct json *o, struct json *cells,
			     const char *middle)
{
	json_append(cells, json_new_string(object_name(o)));
	if (middle)
		json_append(cells, json_new_string(middle));
	json_append(cells, age_cell(wall, json_get_path_string(o, "metadata.creationTimestamp")));
}

static void secret_cells(usec_t wall, const struct json *o, struct json *cells)
{
	json_append(cells, json_new_string(object_name(o)));
	json_append(cells, json_new_string(str_or(json_get_string(o, "type"), "")));
	json_append(cells, json_new_int((int64_t)json_count(json_get(o, "data"))));
	json_append(cells, age_cell(wall, json_get_path_string(o, "metadata.creationTimestamp")));
}

static const char *const secret_fields[] = { "type", NULL };

const struct resource_ops secret_ops = {
	.prepare = secret_prepare,
	.validate = secret_validate,
	.cells = secret_cells,
	.fields = secret_fields,
};

/* Text and bytes share one set of keys. */
static void config_map_validate(struct apiserver *s, struct answer *out, const struct json *now,
				const struct json *old, struct causes *causes)
{
	(void)s, (void)out;
	static const char *const fields[] = { "data", "binaryData", NULL };
	const struct json *data = json_get(now, "data"), *binary = json_get(now, "binaryData");
	validate_keys(data, "data", causes);
	validate_keys(binary, "binaryData", causes);
	json_for_each(entry, data)
		if (json_get(binary, json_key(entry))) {
			_cleanup_(freep) char *path = xasprintf("data[%s]", json_key(entry));
			causes_add_string(causes, CAUSE_INVALID, path, json_key(entry),
					  "duplicate of key present in binaryData");
		}
	validate_size(data_size(data, false) + data_size(binary, true), "", causes);
	validate_immutable(now, old, fields, causes);
}

static void config_map_cells(usec_t wall, const struct json *o, struct json *cells)
{
	json_append(cells, json_new_string(object_name(o)));
	json_append(cells, json_new_int((int64_t)(json_count(json_get(o, "data")) +
						  json_count(json_get(o, "binaryData")))));
	json_append(cells, age_cell(wall, json_get_path_string(o, "metadata.creationTimestamp")));
}

const struct resource_ops config_map_ops = {
	.validate = config_map_validate,
	.cells = config_map_cells,
};

/* --- Namespace --- */

static void namespace_prepare(struct apiserver *s, struct answer *out, struct json *now,
			      const struct json *old)
{
	(void)s, (void)out;
	json_set_string(json_make_object(object_meta(now), "labels"), "kubernetes.io/metadata.name",
			object_name(now));
	if (old)
		return;
	struct json *spec = json_make_object(now, "spec");
	if (!json_is_array(json_get(spec, "finalizers")))
		json_set(spec, "finalizers", json_new_array());
	bool known = false;
	json_for_each(f, json_get(spec, "finalizers"))
		known = known || streq(json_string(f), "kubernetes");
	if (!known)
		json_append(json_get_mut(spec, "finalizers"), json_new_string("kubernetes"));
	json_set(now, "status", json_new_object());
	json_set_string(json_get_mut(now, "status"), "phase", "Active");
}

static void validate_namespace_finalizers(const struct json *list, struct causes *causes)
{
	json_for_each(f, list) {
		_cleanup_(strbuf_done) struct strbuf why = { 0 };
		const char *name = str_or(json_string(f), "");
		if (!name_is_qualified(name, &why))
			causes_add_string(causes, CAUSE_INVALID, "spec.finalizers", name, "%s",
					  why.data ? why.data : "");
		else if (!strchr(name, '/') && !streq(name, "kubernetes"))
			causes_add_string(
				causes, CAUSE_INVALID, "spec.finalizers", name,
				"name is neither a standard finalizer name nor is it fully qualified");
	}
}

/* The phase says no more than the mark of deletion does, and nobody may make it say less. */
static void namespace_validate(struct apiserver *s, struct answer *out, const struct json *now,
			       const struct json *old, struct causes *causes)
{
	(void)s, (void)out;
	(void)old;
	bool ends = object_terminating(now);
	const char *phase = str_or(json_get_path_string(now, "status.phase"), "");
	validate_namespace_finalizers(json_get_path(now, "spec.finalizers"), causes);
	if (!streq(phase, ends ? "Terminating" : "Active"))
		causes_add_string(causes, CAUSE_INVALID, "status.Phase", phase,
				  "may only be '%s' if `deletionTimestamp` is %sempty",
				  ends ? "Terminating" : "Active", ends ? "not " : "");
}

/* Namespaces without which clients do not work. */
static int namespace_deleting(struct apiserver *s, struct answer *out, struct json *o)
{
	static const char *const kept[] = { "default", "kube-system", "kube-public" };
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		if (streq(object_name(o), kept[i]))
			return fail_forbidden(out,
					      registry_find(&s->registry, "", "v1", "namespaces"),
					      kept[i], "this namespace may not be deleted");
	json_set_string(json_make_object(o, "status"), "phase", "Terminating");
	return 0;
}

static bool namespace_may_go(const struct json *o)
{
	return json_count(json_get_path(o, "spec.finalizers")) == 0;
}

static void namespace_cells(usec_t wall, const struct json *o, struct json *cells)
{
	add_name_and_age(wall, o, cells, str_or(json_get_path_string(o, "status.phase"), ""));
}

static const char *const namespace_fields[] = { "status.phase", NULL };

const struct resource_ops namespace_ops = {
	.prepare = namespace_prepare,
	.validate = namespace_validate,
	.deleting = namespace_deleting,
	.may_go = namespace_may_go,
	.name_valid = name_is_dns_label,
	.cells = namespace_cells,
	.fields = namespace_fields,
	.empty = "{'spec':{},'status':{}}",
};

/* --- Event --- */

static void event_validate(struct apiserver *s, struct answer *out, const struct json *now,
			   const struct json *old, struct causes *causes)
{
	(void)s, (void)out;
	const char *ns = str_or(json_get_path_string(now, "involvedObject.namespace"), "");
	/* Of objects without a namespace events go to "default". */
	bool fits = *ns ? streq(ns, object_ns(now)) : streq(object_ns(now), "default");
	if (!fits && !old)
		causes_add_string(causes, CAUSE_INVALID, "involvedObject.namespace", ns,
				  "does not match event.namespace");
}

/* "5m (x3 over 10m)" */
static struct json *last_seen(usec_t wall, const struct json *o, const char *first,
			      const char *last)
{
	int64_t count = json_get_int(o, "count", 0);
	const struct json *series = json_get(o, "series");
	if (series) {
		count = json_get_int(series, "count", 0);
		last = str_or(json_get_string(series, "lastObservedTime"), last);
	}
	struct json *seen = age_cell(wall, str_or(last, first));
	if (count <= 1)
		return seen;
	_cleanup_(json_freep) struct json *over = age_cell(wall, first);
	_cleanup_(freep) char *text = xasprintf("%s (x%" PRId64 " over %s)", json_string(seen),
						count, json_string(over));
	json_free(seen);
	return json_new_string(text);
}

/* "component, host", from whichever pair of fields the reporter has filled in. */
static char *source_text(const struct json *o)
{
	const char *component = str_or(json_get_path_string(o, "source.component"),
				       str_or(json_get_string(o, "reportingComponent"), ""));
	const char *host = str_or(json_get_path_string(o, "source.host"),
				  str_or(json_get_string(o, "reportingInstance"), ""));
	return *host ? xasprintf("%s, %s", component, host) : xstrdup(component);
}

static char *trimmed_message(const struct json *o)
{
	char *text = xstrdup(str_or(json_get_string(o, "message"), ""));
	for (size_t len = strlen(text); len > 0 && strchr(" \t\r\n", text[len - 1]); len--)
		text[len - 1] = '\0';
	return text;
}

static char *lower_kind(const struct json *o)
{
	char *kind = xstrdup(str_or(json_get_path_string(o, "involvedObject.kind"), ""));
	for (char *p = kind; *p; p++)
		*p = *p >= 'A' && *p <= 'Z' ? (char)(*p | 0x20) : *p;
	return kind;
}

static void event_cells(usec_t wall, const struct json *o, struct json *cells)
{
	const char *first = str_or(json_get_string(o, "firstTimestamp"),
				   json_get_string(o, "eventTime"));
	const char *last = str_or(json_get_string(o, "lastTimestamp"), first);
	_cleanup_(freep) char *kind = lower_kind(o);
	_cleanup_(freep) char *object = xasprintf(
		"%s/%s", kind, str_or(json_get_path_string(o, "involvedObject.name"), ""));
	_cleanup_(freep) char *source = source_text(o);
	_cleanup_(freep) char *message = trimmed_message(o);
	json_append(cells, last_seen(wall, o, first, last));
	json_append(cells, json_new_string(str_or(json_get_string(o, "type"), "")));
	json_append(cells, json_new_string(str_or(json_get_string(o, "reason"), "")));
	json_append(cells, json_new_string(object));
	json_append(cells, json_new_string(str_or(
				   json_get_path_string(o, "involvedObject.fieldPath"), "")));
	json_append(cells, json_new_string(source));
	json_append(cells, json_new_string(message));
	json_append(cells, age_cell(wall, first));
	json_append(cells, json_new_int(MAX(json_get_int(o, "count", 1), (int64_t)1)));
	json_append(cells, json_new_string(object_name(o)));
}

static const char *const event_fields[] = {
	"involvedObject.kind",
	"involvedObject.namespace",
	"involvedObject.name",
	"involvedObject.uid",
	"involvedObject.apiVersion",
	"involvedObject.resourceVersion",
	"involvedObject.fieldPath",
	"reason",
	"reportingComponent",
	"source",
	"type",
	NULL,
};

const struct resource_ops event_ops = {
	.name_valid = name_is_path_segment,
	.validate = event_validate,
	.cells = event_cells,
	.fields = event_fields,
	.empty = "{'involvedObject':{},'source':{}}",
};

/* --- Lease --- */

static void lease_validate(struct apiserver *s, struct answer *out, const struct json *now,
			   const struct json *old, struct causes *causes)
{
	(void)s, (void)out;
	(void)old;
	const struct json *duration = json_get_path(now, "spec.leaseDurationSeconds");
	const struct json *transitions = json_get_path(now, "spec.leaseTransitions");
	int64_t number;
	if (json_int(duration, &number) && number <= 0)
		causes_add_json(causes, CAUSE_INVALID, "spec.leaseDurationSeconds", duration,
				"must be greater than 0");
	if (json_int(transitions, &number) && number < 0)
		causes_add_json(causes, CAUSE_INVALID, "spec.leaseTransitions", transitions,
				"must be greater than or equal to 0");
}

static void lease_cells(usec_t wall, const struct json *o, struct json *cells)
{
	add_name_and_age(wall, o, cells,
			 str_or(json_get_path_string(o, "spec.holderIdentity"), ""));
}

const struct resource_ops lease_ops = {
	.validate = lease_validate,
	.cells = lease_cells,
	.empty = "{'spec':{}}",
};

/* --- the table --- */

struct builtin_column {
	const char *name, *type, *description;
	int priority;
};

enum { COLUMNS_MAX = 11 };

#define NAME_COLUMN                                                                                \
	{                                                                                          \
		"Name", "string", "Name of the object.", 0                                         \
	}
#define AGE_COLUMN                                                                                 \
	{                                                                                          \
		"Age", "string", "How long ago the object was made.", 0                            \
	}

static const struct builtin {
	const char *group, *version, *plural, *singular, *kind;
	const char *short_names; /* with blanks between */
	unsigned flags;
	const char *schema;
	const struct resource_ops *ops;
	struct builtin_column columns[COLUMNS_MAX];
} builtins[] = {
	{ "",
	  "v1",
	  "configmaps",
	  "configmap",
	  "ConfigMap",
	  "cm",
	  RESOURCE_NAMESPACED | RESOURCE_UNCONDITIONAL_UPDATE,
	  builtin_config_map_schema,
	  &config_map_ops,
	  { NAME_COLUMN, { "Data", "integer", "Number of entries.", 0 }, AGE_COLUMN } },
	{ "",
	  "v1",
	  "events",
	  "event",
	  "Event",
	  "ev",
	  RESOURCE_NAMESPACED | RESOURCE_UNCONDITIONAL_UPDATE | RESOURCE_CREATE_ON_UPDATE |
		  RESOURCE_EXPIRES,
	  builtin_event_schema,
	  &event_ops,
	  { { "Last Seen", "string", "How long ago it last happened.", 0 },
	    { "Type", "string", "Normal or Warning.", 0 },
	    { "Reason", "string", "What happened, in one word.", 0 },
	    { "Object", "string", "What it happened to.", 0 },
	    { "Subobject", "string", "Part of the object.", 1 },
	    { "Source", "string", "Who reports.", 1 },
	    { "Message", "string", "What happened.", 0 },
	    { "First Seen", "string", "How long ago it first happened.", 1 },
	    { "Count", "integer", "How often it happened.", 1 },
	    { "Name", "string", "Name of the event.", 1 } } },
	{ "",
	  "v1",
	  "namespaces",
	  "namespace",
	  "Namespace",
	  "ns",
	  RESOURCE_UNCONDITIONAL_UPDATE | RESOURCE_STATUS | RESOURCE_FINALIZE,
	  builtin_namespace_schema,
	  &namespace_ops,
	  { NAME_COLUMN, { "Status", "string", "Active or Terminating.", 0 }, AGE_COLUMN } },
	{ "",
	  "v1",
	  "secrets",
	  "secret",
	  "Secret",
	  "",
	  RESOURCE_NAMESPACED | RESOURCE_UNCONDITIONAL_UPDATE,
	  builtin_secret_schema,
	  &secret_ops,
	  { NAME_COLUMN,
	    { "Type", "string", "What the data are for.", 0 },
	    { "Data", "integer", "Number of entries.", 0 },
	    AGE_COLUMN } },
	{ "apiextensions.k8s.io",
	  "v1",
	  "customresourcedefinitions",
	  "customresourcedefinition",
	  "CustomResourceDefinition",
	  "crd crds",
	  RESOURCE_STATUS | RESOURCE_GENERATION | RESOURCE_DEFINES,
	  builtin_crd_schema,
	  &crd_ops,
	  { NAME_COLUMN, { "Created At", "date", "When it was made.", 0 } } },
	{ "coordination.k8s.io",
	  "v1",
	  "leases",
	  "lease",
	  "Lease",
	  "",
	  RESOURCE_NAMESPACED | RESOURCE_CREATE_ON_UPDATE,
	  builtin_lease_schema,
	  &lease_ops,
	  { NAME_COLUMN, { "Holder", "string", "Who holds it.", 0 }, AGE_COLUMN } },
};

static struct json *split_words(const char *words)
{
	struct json *list = json_new_array();
	for (const char *p = words; *p;) {
		size_t len = strcspn(p, " ");
		_cleanup_(freep) char *word = xstrndup(p, len);
		json_append(list, json_new_string(word));
		p += len + (p[len] == ' ');
	}
	return list;
}

static void add_columns(struct resource *r, const struct builtin *b)
{
	for (const struct builtin_column *column = b->columns; column->name; column++)
		resource_add_column(
			r, (struct column){
				   .name = xstrdup(column->name),
				   .type = xstrdup(column->type),
				   .format = xstrdup(streq(column->name, "Name") ? "name" : ""),
				   .description = xstrdup(column->description),
				   .priority = column->priority });
}

static struct schema *compile_text(const char *text)
{
	struct causes causes = { 0 };
	_cleanup_(path_done) struct path path = { 0 };
	_cleanup_(json_freep) struct json *document = builtin_parse(text);
	struct schema *s = schema_compile(document, &path, NULL, &causes);
	if (!s)
		abort(); /* a literal of this program */
	causes_done(&causes);
	return s;
}

static struct resource *builtin_resource(const struct builtin *b)
{
	struct resource *r = resource_new();
	resource_set_names(r, b->group, b->version, b->plural);
	r->singular = xstrdup(b->singular);
	r->kind = xstrdup(b->kind);
	r->list_kind = xasprintf("%sList", b->kind);
	r->short_names = split_words(b->short_names);
	r->flags = b->flags;
	r->ops = b->ops;
	r->source = b->schema;
	r->schema = compile_text(b->schema);
	add_columns(r, b);
	return r;
}

void builtin_register(struct registry *g)
{
	g->meta = compile_text(builtin_meta_schema);
	for (size_t i = 0; i < ARRAY_SIZE(builtins); i++)
		registry_add(g, builtin_resource(&builtins[i]));
}
