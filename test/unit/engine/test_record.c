/* Records of other releases: what they wrote is read, and what we write they read. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "engine/record.h"

/* The record's "dhcp" after loading, and after a change of the address of its family if `set` is
 * given: "" and "::" take the one of IPv4 and IPv6 out. */
static char *round_trip(const char *text, const char *set)
{
	struct err err = { 0 };
	struct node_record r = { 0 };
	_cleanup_(json_freep) struct json *in = NULL;
	assert_int_equal(json_parse(text, strlen(text), &in, &err), 0);
	if (record_load(in, &r, &err) < 0)
		fail_msg("%s", err.text);
	if (set)
		record_set_address(&r, strchr(set, ':') ? AF_INET6 : AF_INET,
				   streq(set, "::") ? NULL : set);
	_cleanup_(json_freep) struct json *out = record_save(&r);
	_cleanup_(strbuf_done) struct strbuf dhcp = { 0 };
	json_print(json_get(out, "dhcp"), &dhcp);
	record_release(&r);
	return xstrdup(dhcp.data);
}

static void test_addresses(void **state)
{
	(void)state;
	static const struct {
		const char *in, *set, *out;
	} rows[] = {
		/* Of a release that knew no list. */
		{ "'address':'10.0.0.1'", NULL, "'address':'10.0.0.1','addresses':['10.0.0.1']" },
		/* Both: the list may hold more than such a release knows. */
		{ "'address':'10.0.0.1','addresses':['10.0.0.1','2001:db8::1']", NULL,
		  "'address':'10.0.0.1','addresses':['10.0.0.1','2001:db8::1']" },
		/* Such a release has given another address since. */
		{ "'address':'10.0.0.2','addresses':['10.0.0.1']", NULL,
		  "'address':'10.0.0.2','addresses':['10.0.0.2']" },
		{ "'mac':'a','addresses':['10.0.0.1']", NULL, "'mac':'a'" },
		/* Of a release that had a number there, which nothing read. */
		{ "'mac':'a','slot':3,'address':'10.0.0.1'", NULL,
		  "'mac':'a','address':'10.0.0.1','addresses':['10.0.0.1']" },
		/* Ours. */
		{ "'mac':'a'", "10.0.0.1",
		  "'mac':'a','address':'10.0.0.1','addresses':['10.0.0.1']" },
		{ "'address':'10.0.0.1','addresses':['10.0.0.1']", "10.0.0.1",
		  "'address':'10.0.0.1','addresses':['10.0.0.1']" },
		{ "'mac':'a','address':'10.0.0.1','addresses':['10.0.0.1']", "", "'mac':'a'" },
		/* One of each family, IPv4 first, where a release that knows one looks. */
		{ "'address':'10.0.0.1','addresses':['10.0.0.1']", "fd77::1",
		  "'address':'10.0.0.1','addresses':['10.0.0.1','fd77::1']" },
		{ "'address':'fd77::1','addresses':['fd77::1']", "10.0.0.1",
		  "'address':'10.0.0.1','addresses':['10.0.0.1','fd77::1']" },
		{ "'address':'10.0.0.1','addresses':['10.0.0.1','fd77::1']", "fd77::2",
		  "'address':'10.0.0.1','addresses':['10.0.0.1','fd77::2']" },
		{ "'address':'10.0.0.1','addresses':['10.0.0.1','fd77::1']", "",
		  "'address':'fd77::1','addresses':['fd77::1']" },
		{ "'address':'10.0.0.1','addresses':['10.0.0.1','fd77::1']",
		  "::", "'address':'10.0.0.1','addresses':['10.0.0.1']" },
		{ "'mac':'a'", "fd77::1", "'mac':'a','address':'fd77::1','addresses':['fd77::1']" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(freep) char *in = xasprintf(
			"{'schemaVersion':1,'bmc':{'address':'10.1.0.1','vendor':'x'},"
			"'dhcp':{%s}}",
			rows[i].in);
		_cleanup_(freep) char *want = xasprintf("{%s}", rows[i].out);
		for (char *p = in; (p = strchr(p, '\''));)
			*p = '"';
		for (char *p = want; (p = strchr(p, '\''));)
			*p = '"';
		_cleanup_(freep) char *out = round_trip(in, rows[i].set);
		assert_string_equal(out, want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_addresses) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
