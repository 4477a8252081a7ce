/* What all our kinds share: metadata, conditions, Secrets; and BareMetalHost's way into structs and
 * back. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "api/bmh.h"
#include "api/secret.h"
#include "base/mem.h"
#include "base/str.h"
#include "unit/parse.h"

#define T0 (UINT64_C(1767323045) * USEC_PER_SEC) /* 2026-01-02T03:04:05Z */

static struct bmh host_of(const char *quoted)
{
	_cleanup_(json_freep) struct json *j = parse_quoted(quoted);
	struct bmh h;
	struct err err = { 0 };
	if (bmh_parse(j, &h, &err) < 0)
		fail_msg("%s", err.text);
	return h;
}

/* --- metadata --------------------------------------------------------------------------------- */

static void test_metadata(void **state)
{
	(void)state;
	_cleanup_(bmh_release) struct bmh h = host_of(
		"{'metadata': {'name': 'n', 'namespace': 's', 'uid': 'u', 'resourceVersion': '7', 'generation': 3, "
		"'deletionTimestamp': '2026-01-02T03:04:05Z', 'annotations': {'a': 'x', 'n': 5}, 'labels': {'l': ''}, "
		"'finalizers': ['f1', 'f2'], 'ownerReferences': [{'uid': 'o1'}, {'uid': 'o2'}]}}");
	_cleanup_(bmh_release) struct bmh bare = host_of("{'metadata': {'name': 'n'}}");
	const struct api_meta *m = &h.meta;
	assert_string_equal(m->name, "n");
	assert_string_equal(m->ns, "s");
	assert_string_equal(m->resource_version, "7");
	assert_int_equal(m->generation, 3);
	assert_int_equal(m->deleted_at, T0);
	assert_true(api_has_finalizer(m, "f2"));
	assert_false(api_has_finalizer(m, "f"));
	assert_string_equal(api_annotation(m, "a"), "x");
	assert_null(api_annotation(m, "n")); /* no text */
	assert_null(api_annotation(m, "b"));
	assert_string_equal(api_label(m, "l"), "");
	assert_true(api_owned_by(m, "o2"));
	assert_false(api_owned_by(m, "u"));
	assert_false(api_has_finalizer(&bare.meta, "f1"));
	assert_null(api_annotation(&bare.meta, "a"));
	assert_null(api_label(&bare.meta, "l"));
	assert_false(api_owned_by(&bare.meta, "o1"));
	assert_int_equal(bare.meta.deleted_at, 0);
}

static void test_owner_references(void **state)
{
	(void)state;
	for (int controller = 0; controller < 2; controller++) {
		_cleanup_(json_freep) struct json *o = api_owner_reference(
			API_VERSION, "BareMetalHost", "n", "u", controller);
		_cleanup_(freep) char *text = json_to_string(o);
		assert_string_equal(text,
				    controller ? "{\"apiVersion\":\"metal3.io/v1alpha1\",\"kind\":"
						 "\"BareMetalHost\",\"name\":\"n\",\"uid\":\"u\","
						 "\"controller\":true}"
					       : "{\"apiVersion\":\"metal3.io/v1alpha1\",\"kind\":"
						 "\"BareMetalHost\",\"name\":\"n\",\"uid\":\"u\"}");
	}
}

/* --- conditions ------------------------------------------------------------------------------- */

static const char *since(const struct json *list, size_t i)
{
	return json_get_string(json_at(list, i), "lastTransitionTime");
}

static void test_conditions(void **state)
{
	(void)state;
	_cleanup_(json_freep) struct json *list = json_new_array();
	assert_true(api_condition_set(list, "Ready", false, "Waits", "for power", 1, T0));
	assert_true(api_condition_set(list, "Other", true, "Good", "", 1, T0));
	assert_int_equal(json_count(list), 2);
	assert_string_equal(json_get_string(json_at(list, 0), "status"), "False");
	assert_string_equal(since(list, 0), "2026-01-02T03:04:05Z");
	/* The same again is no change; later, with other words, one that moves no time. */
	assert_false(api_condition_set(list, "Ready", false, "Waits", "for power", 1,
				       T0 + USEC_PER_SEC));
	assert_true(api_condition_set(list, "Ready", false, "Waits", "for its agent", 1,
				      T0 + USEC_PER_SEC));
	assert_true(api_condition_set(list, "Ready", false, "Waits", "for its agent", 2,
				      T0 + USEC_PER_SEC));
	assert_string_equal(since(list, 0), "2026-01-02T03:04:05Z");
	assert_true(api_condition_set(list, "Ready", true, "Waits", "for its agent", 2,
				      T0 + USEC_PER_SEC));
	assert_string_equal(since(list, 0), "2026-01-02T03:04:06Z");
	assert_string_equal(since(list, 1), "2026-01-02T03:04:05Z");
	assert_int_equal(json_count(list), 2);
}

/* --- Secrets ---------------------------------------------------------------------------------- */

static void test_secrets(void **state)
{
	(void)state;
	_cleanup_(json_freep) struct json *secret = parse_quoted(
		"{'data': {'text': 'aGVsbG8=', 'empty': '', 'bytes': 'YQBi', 'broken': 'a', 'number': 5}}");
	static const struct {
		const char *key, *text; /* NULL: none */
		size_t len;		/* of the bytes; SIZE_MAX: none */
	} rows[] = {
		{ "text", "hello", 5 },	      { "empty", "", 0 },
		{ "bytes", NULL, 3 },	      { "broken", NULL, SIZE_MAX },
		{ "number", NULL, SIZE_MAX }, { "absent", NULL, SIZE_MAX },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t len = SIZE_MAX;
		void *bytes = secret_bytes(secret, rows[i].key, &len);
		char *text = secret_value(secret, rows[i].key);
		if (len != rows[i].len || !streq(text, rows[i].text) ||
		    (bytes != NULL) != (len != SIZE_MAX))
			fail_msg("%s: %zu %s", rows[i].key, len, str_or(text, "none"));
		secret_bytes_free(bytes, bytes ? len : 0);
		secret_free(text);
	}
	assert_true(secret_is_own("ingot-engine"));
	assert_true(secret_is_own("ingot-webhook"));
	assert_false(secret_is_own("ingot-engine2"));
	assert_false(secret_is_own(NULL));
}

/* --- hosts ------------------------------------------------------------------------------------ */

static void test_hosts(void **state)
{
	(void)state;
	_cleanup_(bmh_release) struct bmh h = host_of(
		"{'metadata': {'name': 'n'}, 'spec': {'online': true, 'bmc': {'address': 'ipmi://192.0.2.1', "
		"'credentialsName': 'c'}, 'image': {'url': 'http://h/i', 'checksum': 'c'}, 'rootDeviceHints': "
		"{'deviceName': '/dev/sda'}}, 'status': {'provisioning': {'state': 'powering off before delete', "
		"'ID': 'x'}, 'errorType': 'power management error', 'operationalStatus': 'detached'}}");
	assert_true(h.spec.online);
	assert_string_equal(h.spec.bmc->address, "ipmi://192.0.2.1");
	assert_string_equal(h.spec.image->url, "http://h/i");
	assert_null(h.spec.image->format);
	assert_int_equal(h.status.provisioning.state, BMH_POWERING_OFF);
	assert_int_equal(h.status.error, BMH_ERROR_POWER);
	assert_int_equal(h.status.operational, BMH_OP_DETACHED);
	_cleanup_(json_freep) struct json *status = bmh_status_json(&h.status);
	assert_string_equal(json_get_path_string(status, "provisioning.state"),
			    "powering off before delete");
	assert_string_equal(json_get_path_string(status, "provisioning.ID"), "x");
}

static void test_hosts_that_are_none(void **state)
{
	(void)state;
	static const struct {
		const char *text, *says;
	} rows[] = {
		{ "{'metadata': {'name': 'n', 'namespace': 's'}, 'spec': {'online': 'yes'}}",
		  "s/n" },
		{ "{'metadata': {'name': 'n'}, 'spec': {'bmc': []}}", "?/n" },
		{ "{'metadata': {'name': 5}}", "?/?" },
		{ "{'metadata': {'name': 'n', 'deletionTimestamp': 'soon'}}", "?/n" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(json_freep) struct json *j = parse_quoted(rows[i].text);
		struct bmh h;
		struct err err = { 0 };
		if (bmh_parse(j, &h, &err) == 0 || !strstr(err.text, rows[i].says))
			fail_msg("%s: %s", rows[i].text, err.text);
	}
}

static void test_names(void **state)
{
	(void)state;
	for (int s = BMH_NONE; s < _BMH_STATE_MAX; s++)
		assert_non_null(bmh_state_name((enum bmh_state)s));
	assert_string_equal(bmh_state_name(BMH_NONE), "");
	assert_string_equal(bmh_error_reason(BMH_ERROR_REGISTRATION), "RegistrationError");
}

static void test_images(void **state)
{
	(void)state;
	struct bmh_image a = { .url = (char *)"u", .checksum = (char *)"c" }, b = a, none = { 0 };
	struct bmh_image *copy = bmh_image_dup(&a), to = { 0 };
	assert_true(bmh_image_equal(&a, copy));
	b.format = (char *)"raw";
	assert_false(bmh_image_equal(&a, &b));
	assert_true(bmh_image_equal(NULL, &none));
	assert_true(bmh_image_equal(NULL, NULL));
	assert_false(bmh_image_equal(&a, NULL));
	assert_true(bmh_image_empty(&none));
	assert_true(bmh_image_empty(NULL));
	assert_false(bmh_image_empty(&a));
	assert_null(bmh_image_dup(NULL));
	bmh_image_assign(&to, &b);
	assert_true(bmh_image_equal(&to, &b));
	assert_ptr_not_equal(to.url, b.url);
	bmh_image_assign(&to, NULL);
	assert_true(bmh_image_empty(&to));
	bmh_image_free(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_metadata),   cmocka_unit_test(test_owner_references),
		cmocka_unit_test(test_conditions), cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_hosts),	   cmocka_unit_test(test_hosts_that_are_none),
		cmocka_unit_test(test_names),	   cmocka_unit_test(test_images),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
