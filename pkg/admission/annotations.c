/* Annotations that carry data for the controllers. They are looked at when they are new or changed,
 * and when the spec has changed, because two of them depend on it. "Strict" decoding refuses
 * members that the schema does not have. Pure. */

#include <pthread.h>
#include <string.h>

#include "admission/internal.h"
#include "api/bmh.h"
#include "api/crds.h"
#include "base/mem.h"
#include "schema/schema.h"
#include "yaml/yaml_json.h"
#include "json/patch.h"

/* --- by the schema of the CRD --- */

/* What the controllers put into the status must be what the API server takes there. Compiled once,
 * when the first such annotation comes, and kept. */
static struct {
	pthread_once_t once;
	struct schema *status, *hardware;
} schemas = { PTHREAD_ONCE_INIT, NULL, NULL };

static struct json *host_crd(void)
{
	const struct embedded_file *f = embedded_crds;
	struct json *crd = NULL;
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	while (!streq(f->name, "metal3.io_baremetalhosts.yaml"))
		f++;
	if (yaml_to_json(f->text, strlen(f->text), &text, NULL) == 0)
		(void)json_parse(text.data, text.len, &crd, NULL);
	return crd;
}

/* Own files, which the tests read: what is wrong with them is seen there. */
static void compile_schemas(void)
{
	_cleanup_(json_freep) struct json *crd = host_crd();
	const struct json *version = json_at(json_get_path(crd, "spec.versions"), 0);
	const struct json *status = json_get_path(version,
						  "schema.openAPIV3Schema.properties.status");
	_cleanup_(causes_done) struct causes wrong = { 0 };
	struct path path = { 0 };
	schemas.status = schema_compile(status, &path, NULL, &wrong);
	schemas.hardware = schema_compile(json_get_path(status, "properties.hardware"), &path, NULL,
					  &wrong);
	path_done(&path);
}

static int check_known(const struct schema *schema, const struct json *j, struct err *err)
{
	_cleanup_(json_freep) struct json *copy = json_dup(j);
	struct unknown_fields unknown = { 0 };
	schema_prune(schema, copy, &unknown);
	int r = unknown.count
			? err_set(err, ERR_INVALID, "unknown field \"%.64s\"", unknown.items[0])
			: 0;
	unknown_fields_done(&unknown);
	return r;
}

static int check_values(const struct schema *schema, const struct json *j, struct err *err)
{
	_cleanup_(causes_done) struct causes causes = { 0 };
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	struct path path = { 0 };
	schema_validate(schema, j, NULL, &path, &causes);
	path_done(&path);
	if (!causes.count)
		return 0;
	causes_format(&causes, &text);
	return err_set(err, ERR_INVALID, "%s", text.data);
}

/* null is Go's zero value: as if it were not there. */
static int check_hardware(const struct json *hardware, struct err *err)
{
	pthread_once(&schemas.once, compile_schemas);
	if (!json_is_object(hardware))
		return err_set(err, ERR_INVALID, "it is not an object");
	_cleanup_(json_freep) struct json *given = json_new_object();
	json_merge_patch(&given, hardware);
	int r = check_known(schemas.hardware, given, err);
	return r < 0 ? r : check_values(schemas.hardware, given, err);
}

/* Looked at as it would be stored, with the members that are always there. Servicing and detached
 * errors are known, too. */
static int check_status(const struct json *j, struct err *err)
{
	struct bmh_status status = { 0 };
	pthread_once(&schemas.once, compile_schemas);
	if (!json_is_object(j))
		return err_set(err, ERR_INVALID, "it is not an object");
	int r = check_known(schemas.status, j, err);
	if (r == 0)
		r = bind_from_json(&bmh_status_struct, j, &status, err);
	if (r < 0)
		return r;
	_cleanup_(json_freep) struct json *stored = bmh_status_json(&status);
	bind_release(&bmh_status_struct, &status);
	return check_values(schemas.status, stored, err);
}

/* --- reboot ----------------------------------------------------------------------------------- */

static bool is_reboot(const char *key)
{
	return streq(key, BMH_REBOOT) || str_has_prefix(key, BMH_REBOOT "/");
}

static int check_reboot(const struct json *j, struct err *err)
{
	const struct json *mode = json_get(j, "mode"), *force = json_get(j, "force");
	const char *text = json_string(mode);
	if (!json_is_object(j))
		return err_set(err, ERR_INVALID, "it is not an object");
	if (!json_is_null(mode) && !streq(text, "") && !streq(text, "hard") && !streq(text, "soft"))
		return err_set(err, ERR_INVALID, "mode must be \"hard\" or \"soft\"");
	if (!json_is_null(force) && json_type(force) != JSON_BOOL)
		return err_set(err, ERR_INVALID, "force must be true or false");
	return 0;
}

/* --- all -------------------------------------------------------------------------------------- */

static void check_json(const char *key, const char *text,
		       int (*check)(const struct json *, struct err *), struct causes *ret)
{
	_cleanup_(json_freep) struct json *j = NULL;
	_cleanup_(freep) char *field = xasprintf("metadata.annotations[%s]", key);
	struct err err = { 0 };
	int r = json_parse(text, strlen(text), &j, &err);
	if (r == 0)
		r = check(j, &err);
	if (r < 0)
		causes_add(ret, CAUSE_INVALID, field, NULL, "%s", err.text);
}

static void check_inspect(const char *text, struct causes *ret)
{
	if (*text && !streq(text, "disabled"))
		causes_add_string(ret, CAUSE_INVALID, "metadata.annotations[" BMH_INSPECT "]", text,
				  "must be empty, to have the host inspected again, or disabled");
}

static void check_details(const struct rule_subject *s, const char *text, struct causes *ret)
{
	if (!*text)
		return;
	if (!rule_inspection_disabled(s->now))
		causes_add(
			ret, CAUSE_FORBIDDEN, "metadata.annotations[" BMH_HARDWARE_DETAILS "]",
			NULL,
			"needs spec.inspectionMode: disabled, or an inspection would overwrite it");
	check_json(BMH_HARDWARE_DETAILS, text, check_hardware, ret);
}

static bool has_rules(const char *key)
{
	return is_reboot(key) || streq(key, BMH_STATUS) || streq(key, BMH_INSPECT) ||
	       streq(key, BMH_HARDWARE_DETAILS);
}

static void check_one(const struct rule_subject *s, const char *key, const char *text,
		      struct causes *ret)
{
	if (is_reboot(key) && *text)
		check_json(key, text, check_reboot, ret);
	else if (streq(key, BMH_STATUS))
		check_json(key, text, check_status, ret);
	else if (streq(key, BMH_INSPECT))
		check_inspect(text, ret);
	else if (streq(key, BMH_HARDWARE_DETAILS))
		check_details(s, text, ret);
}

void rules_check_host_annotation(const struct json *host, const char *key, struct causes *ret)
{
	const struct rule_subject s = { .kind = "BareMetalHost", .now = host };
	const char *text = json_get_string(json_get_path(host, "metadata.annotations"), key);
	if (text)
		check_one(&s, key, text, ret);
}

void rule_host_annotations(const struct rule_subject *s, struct causes *ret)
{
	const struct json *before = json_get_path(s->old, "metadata.annotations");
	bool all = rule_changed(s, "spec");
	json_for_each(a, json_get_path(s->now, "metadata.annotations")) {
		const char *key = json_key(a), *text = str_or(json_string(a), "");
		if (has_rules(key) && (all || !streq(json_get_string(before, key), text)))
			check_one(s, key, text, ret);
	}
}

void rule_claim_annotations(const struct rule_subject *s, struct causes *ret)
{
	const struct json *before = json_get_path(s->old, "metadata.annotations");
	bool all = rule_changed(s, "spec");
	json_for_each(a, json_get_path(s->now, "metadata.annotations")) {
		const char *key = json_key(a), *text = str_or(json_string(a), "");
		if (is_reboot(key) && *text && (all || !streq(json_get_string(before, key), text)))
			check_json(key, text, check_reboot, ret);
	}
}
