/* Certificates of the standalone API: kept while they are good, renewed when they end, and what a
 * kubeconfig holds. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "site/instances.h"
#include "site/pki.h"

#define NOW  (1790000000ULL * USEC_PER_SEC)
#define YEAR (365 * 24 * USEC_PER_HOUR)

static void test_kept_and_renewed(void **state)
{
	char top[] = "/tmp/ingot-pki-XXXXXX";
	struct site_pki first, second, third;
	(void)state;
	assert_non_null(mkdtemp(top));
	_cleanup_(freep) char *directory = xasprintf("%s/pki", top);
	assert_int_equal(site_pki_open(directory, "192.0.2.1", NOW, &first, NULL), 0);
	assert_int_equal(site_pki_open(directory, "192.0.2.1", NOW + USEC_PER_HOUR, &second, NULL),
			 0);
	assert_string_equal(first.ca.cert, second.ca.cert);
	assert_string_equal(first.server.cert, second.server.cert);
	assert_string_equal(first.admin.cert, second.admin.cert);
	/* Another address, or a year later: another leaf of the same CA. */
	assert_int_equal(site_pki_open(directory, "192.0.2.2", NOW, &third, NULL), 0);
	assert_string_equal(first.ca.cert, third.ca.cert);
	assert_string_not_equal(first.server.cert, third.server.cert);
	bool fresh = false;
	assert_int_equal(
		site_pki_renew(directory, "192.0.2.2", NOW + 2 * YEAR, &third, &fresh, NULL), 0);
	assert_true(fresh);
	assert_int_equal(crypt_cert_check_time(third.server.cert, NOW + 2 * YEAR, NULL), 0);
	site_pki_done(&first);
	site_pki_done(&second);
	site_pki_done(&third);
}

static void test_kubeconfig(void **state)
{
	(void)state;
	_cleanup_(secret_freep) char *text = site_pki_kubeconfig_for_token("CA", "https://h:6443",
									   "123", "secret");
	assert_non_null(strstr(text, "server: https://h:6443\n"));
	assert_non_null(strstr(text, "certificate-authority-data: Q0E=\n"));
	assert_non_null(strstr(text, "token: secret\n"));
	/* Quoted: it is a name, whatever YAML would take it for. */
	assert_non_null(strstr(text, "user: \"123\"\n"));
}

static struct net_addr addr(const char *text)
{
	struct net_addr a = { 0 };
	if (text)
		assert_int_equal(net_parse_ip(text, &a), 0);
	return a;
}

/* Alone, without a list in the cluster. */
static void test_instances(void **state)
{
	static const struct {
		const char *v4, *v6, *urls4, *urls6, *urls;
	} rows[] = {
		{ "10.0.0.1", NULL, "https://10.0.0.1:6385/v1", "", "https://10.0.0.1:6385/v1" },
		{ NULL, "fd77::1", "", "https://[fd77::1]:6385/v1", "https://[fd77::1]:6385/v1" },
		{ "10.0.0.1", "fd77::1", "https://10.0.0.1:6385/v1", "https://[fd77::1]:6385/v1",
		  "https://10.0.0.1:6385/v1,https://[fd77::1]:6385/v1" },
	};
	(void)state;
	for (size_t n = 0; n < ARRAY_SIZE(rows); n++) {
		const struct site_instances_options o = { .address = addr(rows[n].v4),
							  .address6 = addr(rows[n].v6),
							  .agent_port = 6385,
							  .http_port = 6180 };
		struct site_instances *i = site_instances_new(&o);
		_cleanup_(freep) char *v4 = site_instances_agent_urls(i, AF_INET, "/v1");
		_cleanup_(freep) char *v6 = site_instances_agent_urls(i, AF_INET6, "/v1");
		_cleanup_(freep) char *all = site_instances_agent_urls(i, AF_UNSPEC, "/v1");
		assert_string_equal(v4, rows[n].urls4);
		assert_string_equal(v6, rows[n].urls6);
		assert_string_equal(all, rows[n].urls);
		assert_null(site_instances_boot_urls(i, AF_INET)[0]);
		site_instances_free(i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept_and_renewed),
		cmocka_unit_test(test_kubeconfig),
		cmocka_unit_test(test_instances),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
