/* AdmissionReview: what is read of a request, and the bytes of the answer. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admission/review.h"
#include "base/mem.h"

static const char host[] =
	"{\"metadata\":{\"name\":\"a\",\"namespace\":\"n\"},\"spec\":{\"online\":true}}";

static char *request(const char *version, const char *operation, const char *now, const char *old,
		     const char *more)
{
	return xasprintf(
		"{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/%s\","
		"\"request\":{\"uid\":\"u-1\",\"kind\":{\"group\":\"metal3.io\",\"kind\":"
		"\"BareMetalHost\"},\"namespace\":\"n\",\"name\":\"a\",\"operation\":\"%s\","
		"\"object\":%s,\"oldObject\":%s%s}}",
		version, operation, now, old, more);
}

static struct review parse(const char *text)
{
	struct review r;
	struct err err;
	if (review_parse(text, strlen(text), &r, &err) < 0)
		fail_msg("%s: %s", err.text, text);
	return r;
}

static void test_parse(void **state)
{
	static const struct {
		const char *operation;
		const char *now, *old;
		enum rule_operation means;
	} rows[] = {
		{ "CREATE", host, "null", RULE_CREATE },
		{ "UPDATE", host, host, RULE_UPDATE },
		{ "DELETE", "null", host, RULE_DELETE },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(freep) char *text = request("v1", rows[i].operation, rows[i].now,
						      rows[i].old, "");
		_cleanup_(review_done) struct review r = parse(text);
		assert_int_equal(r.subject.operation, rows[i].means);
		assert_string_equal(r.subject.kind, "BareMetalHost");
		assert_string_equal(r.subject.ns, "n");
		assert_string_equal(r.subject.name, "a");
		assert_int_equal(r.subject.now != NULL, rows[i].now == host);
		assert_int_equal(r.subject.old != NULL, rows[i].old == host);
		assert_false(r.subresource);
	}
	_cleanup_(freep) char *text = request("v1", "UPDATE", host, host,
					      ",\"subResource\":\"status\"");
	_cleanup_(review_done) struct review r = parse(text);
	assert_true(r.subresource);
}

static void test_refused(void **state)
{
	_cleanup_(freep) char *version = request("v1alpha1", "CREATE", host, "null", ""),
			      *connect = request("v1", "CONNECT", host, "null", ""),
			      *no_old = request("v1", "UPDATE", host, "null", ""),
			      *no_now = request("v1", "CREATE", "null", "null", ""),
			      *list = request("v1", "CREATE", "[]", "null", "");
	const struct {
		const char *text, *error;
	} rows[] = {
		{ version, "not an AdmissionReview" },
		{ connect, "\"CONNECT\" is not served" },
		{ no_old, "UPDATE without its object" },
		{ no_now, "CREATE without its object" },
		{ list, "CREATE without its object" },
		{ "", "JSON" },
		{ "[]", "not an AdmissionReview" },
		{ "{\"kind\":\"Pod\",\"apiVersion\":\"admission.k8s.io/v1\"}",
		  "not an AdmissionReview" },
		{ "{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\"}",
		  "uid or kind is missing" },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct review r;
		struct err err = { 0 };
		assert_true(review_parse(rows[i].text, strlen(rows[i].text), &r, &err) < 0);
		if (!strstr(err.text, rows[i].error))
			fail_msg("%s\nexpected: %s", err.text, rows[i].error);
	}
	_cleanup_(freep) char *large = xcalloc(1, REVIEW_BODY_MAX + 1);
	struct review r;
	struct err err = { 0 };
	memset(large, ' ', REVIEW_BODY_MAX + 1);
	assert_true(review_parse(large, REVIEW_BODY_MAX + 1, &r, &err) < 0);
	assert_int_equal(err.kind, ERR_LIMIT);
}

static void test_answer(void **state)
{
	static const char *const versions[] = { "v1", "v1beta1" };
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		_cleanup_(freep) char *text = request(versions[i], "CREATE", host, "null", "");
		_cleanup_(review_done) struct review r = parse(text);
		_cleanup_(rule_findings_done) struct rule_findings f = { 0 };
		_cleanup_(freep) char *yes = review_answer(&r, &f);
		_cleanup_(freep) char *allowed = xasprintf(
			"{\"apiVersion\":\"admission.k8s.io/%s\",\"kind\":\"AdmissionReview\","
			"\"response\":{\"uid\":\"u-1\",\"allowed\":true}}",
			versions[i]);
		assert_string_equal(yes, allowed);
		causes_add(&f.errors, CAUSE_FORBIDDEN, "spec.x", NULL, "no");
		f.warnings = xcalloc(1, sizeof(*f.warnings));
		f.warnings[f.warning_count++] = xstrdup("look");
		_cleanup_(freep) char *no = review_answer(&r, &f);
		_cleanup_(freep) char *denied = xasprintf(
			"{\"apiVersion\":\"admission.k8s.io/%s\",\"kind\":\"AdmissionReview\","
			"\"response\":{\"uid\":\"u-1\",\"allowed\":false,\"status\":{\"status\":"
			"\"Failure\",\"message\":\"spec.x: Forbidden: no\",\"reason\":\"Forbidden\","
			"\"code\":403},\"warnings\":[\"look\"]}}",
			versions[i]);
		assert_string_equal(no, denied);
	}
}

/* 3 MiB of faults: an answer of bounded size, in bounded work. */
static void test_many_faults(void **state)
{
	_cleanup_(strbuf_done) struct strbuf now = { 0 };
	(void)state;
	strbuf_adds(&now, "{\"metadata\":{\"name\":\"a\",\"namespace\":\"n\"},\"spec\":{"
			  "\"online\":true,\"networkInterfaces\":[{}");
	for (int i = 0; now.len < 3 * 1024 * 1024; i++)
		strbuf_addf(&now, ",{\"name\":\"eth%d\"},{}", i);
	strbuf_adds(&now, "]}}");
	_cleanup_(freep) char *text = request("v1", "CREATE", now.data, "null", "");
	_cleanup_(review_done) struct review r = parse(text);
	_cleanup_(rule_findings_done) struct rule_findings f = { 0 };
	rules_check(&r.subject, &f);
	_cleanup_(freep) char *answer = review_answer(&r, &f);
	assert_true(strlen(answer) < 9000);
	assert_non_null(strstr(answer, "spec.networkInterfaces[0]: Invalid value"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_many_faults),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
