/* Metrics: series, their text byte for byte, and the table. That others can read the text is shown
 * by test/api/test_metrics with Prometheus's own parser. */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "metrics/metrics.h"

static int teardown(void **state)
{
	(void)state;
	metrics_reset();
	return 0;
}

static char *page(void)
{
	struct strbuf text = { 0 };
	metrics_text(&text);
	return strbuf_take(&text, NULL);
}

/* The samples of one metric, without its comments. */
static char *samples(enum metric_id id)
{
	_cleanup_(freep) char *all = page();
	_cleanup_(freep) char *type = xasprintf("# TYPE %s ", metric_row(id)->name);
	const char *start = strstr(all, type);
	assert_non_null(start);
	start = strchr(start, '\n') + 1;
	const char *end = strchr(start, '#');
	return xstrndup(start, end ? (size_t)(end - start) : strlen(start));
}

static void check(enum metric_id id, const char *expected)
{
	_cleanup_(freep) char *text = samples(id);
	assert_string_equal(text, expected);
}

static void test_counter(void **state)
{
	(void)state;
	check(METRIC_HOST_RECONCILE_ERRORS, "metal3_reconcile_error_total 0\n");
	check(METRIC_HOST_ERRORS, "");
	metric_add(METRIC_HOST_RECONCILE_ERRORS, 1);
	metric_add(METRIC_HOST_RECONCILE_ERRORS, 2);
	metric_add(METRIC_HOST_ERRORS, 1, "PowerManagementError");
	metric_add(METRIC_HOST_ERRORS, 1, "InspectionError");
	metric_add(METRIC_HOST_ERRORS, 1, "PowerManagementError");
	check(METRIC_HOST_RECONCILE_ERRORS, "metal3_reconcile_error_total 3\n");
	check(METRIC_HOST_ERRORS,
	      "metal3_host_error_total{error_type=\"InspectionError\"} 1\n"
	      "metal3_host_error_total{error_type=\"PowerManagementError\"} 2\n");
}

static void test_gauge(void **state)
{
	(void)state;
	metric_set(METRIC_QUEUE_DEPTH, 7, "hosts", "hosts");
	metric_set(METRIC_QUEUE_DEPTH, 2.5, "hosts", "hosts");
	metric_add(METRIC_QUEUE_DEPTH, -1, "hosts", "hosts");
	check(METRIC_QUEUE_DEPTH, "workqueue_depth{name=\"hosts\",controller=\"hosts\"} 1.5\n");
}

static void test_histogram(void **state)
{
	(void)state;
	metric_observe(METRIC_INSPECT_SECONDS, 30, "ns", "a"); /* the bound is inside */
	metric_observe(METRIC_INSPECT_SECONDS, 30.5, "ns", "a");
	metric_observe(METRIC_INSPECT_SECONDS, 5000, "ns", "a");
#define LE(bound, n)                                                                               \
	"metal3_operation_inspect_duration_seconds_bucket{namespace=\"ns\",host=\"a\",le=\"" bound \
	"\"} " n "\n"
	check(METRIC_INSPECT_SECONDS,
	      LE("30", "1") LE("90", "2") LE("180", "2") LE("360", "2") LE("720", "2") LE("1440",
											  "2")
		      LE("+Inf",
			 "3") "metal3_operation_inspect_duration_seconds_sum{namespace=\"ns\",host=\"a\"} 5060.5\n"
			      "metal3_operation_inspect_duration_seconds_count{namespace=\"ns\",host=\"a\"} 3\n");
	metric_observe(METRIC_REGISTER_SECONDS, 1e-9, "ns", "a");
	_cleanup_(freep) char *text = samples(METRIC_REGISTER_SECONDS);
	assert_non_null(strstr(text, "host=\"a\",le=\"0.005\"} 1\n"));
}

static void test_escaping(void **state)
{
	(void)state;
	metric_add(METRIC_HOST_ERRORS, 1, "a\\b\"c\nd{e}=,");
	check(METRIC_HOST_ERRORS,
	      "metal3_host_error_total{error_type=\"a\\\\b\\\"c\\nd{e}=,\"} 1\n");
}

static void test_labels_left_out(void **state)
{
	(void)state;
	metric_add(METRIC_POWER_CHANGES, 1, "ns");
	metric_add(METRIC_POWER_CHANGES, 1, NULL, "never read");
	check(METRIC_POWER_CHANGES, "metal3_operation_power_change_total{namespace=\"\",host=\"\","
				    "on_off=\"\"} 1\n"
				    "metal3_operation_power_change_total{namespace=\"ns\","
				    "host=\"\",on_off=\"\"} 1\n");
}

/* "a" + "bc" must not be "ab" + "c". */
static void test_labels_do_not_run_together(void **state)
{
	(void)state;
	metric_add(METRIC_HOST_RECONCILES, 1, "a", "bc");
	metric_add(METRIC_HOST_RECONCILES, 1, "ab", "c");
	check(METRIC_HOST_RECONCILES, "metal3_reconcile_total{namespace=\"a\",host=\"bc\"} 1\n"
				      "metal3_reconcile_total{namespace=\"ab\",host=\"c\"} 1\n");
}

static void test_long_label_is_cut(void **state)
{
	char name[2000];
	(void)state;
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	metric_add(METRIC_POWER_CHANGES, 1, name, name, "on");
	_cleanup_(freep) char *text = samples(METRIC_POWER_CHANGES);
	assert_true(strlen(text) < 800);
	assert_non_null(strstr(text, "\"} 1\n"));
}

static void test_host_goes(void **state)
{
	(void)state;
	for (int i = 0; i < 300; i++) {
		char host[32];
		snprintf(host, sizeof(host), "host-%d", i);
		metric_add(METRIC_HOST_RECONCILES, 1, "ns", host);
		metric_add(METRIC_POWER_CHANGES, 1, "ns", host, "on");
		metric_add(METRIC_POWER_CHANGES, 1, "ns", host, "off");
		metric_observe(METRIC_PROVISION_SECONDS, 12, "ns", host);
	}
	metric_add(METRIC_HOST_RECONCILES, 1, "other", "host-7");
	metric_add(METRIC_HOST_ERRORS, 1, "ns");
	metrics_forget_host("ns", "host-7");
	_cleanup_(freep) char *all = page();
	assert_null(strstr(all, "namespace=\"ns\",host=\"host-7\""));
	assert_non_null(strstr(all, "metal3_reconcile_total{namespace=\"other\",host=\"host-7\"}"));
	assert_non_null(strstr(all, "host=\"host-70\",on_off=\"off\"} 1"));
	assert_non_null(strstr(all, "metal3_host_error_total{error_type=\"ns\"} 1"));
	for (int i = 0; i < 300; i++) {
		char host[32];
		snprintf(host, sizeof(host), "host-%d", i);
		metrics_forget_host("ns", host);
	}
	_cleanup_(freep) char *rest = page();
	assert_null(strstr(rest, "namespace=\"ns\""));
	metrics_forget_host("never", "seen");
}

static void test_bounded(void **state)
{
	(void)state;
	for (int i = 0; i < METRIC_SERIES_MAX + 10; i++) {
		char host[32];
		snprintf(host, sizeof(host), "host-%d", i);
		metric_add(METRIC_HOST_RECONCILES, 1, "ns", host);
	}
	check(METRIC_DROPPED_SERIES, "ingot_metrics_dropped_series_total 10\n");
	metric_add(METRIC_HOST_RECONCILES, 1, "ns", "host-5"); /* one that is there goes on */
	_cleanup_(freep) char *text = samples(METRIC_HOST_RECONCILES);
	assert_non_null(strstr(text, "host=\"host-5\"} 2\n"));
}

enum { THREADS = 4, WRITES = 5000 };

static void *write_much(void *data)
{
	(void)data;
	for (int i = 0; i < WRITES; i++) {
		metric_add(METRIC_DHCP_ANSWERS, 1, i % 2 ? "offer" : "ack");
		metric_observe(METRIC_BMC_SECONDS, 0.5, "ipmi");
	}
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t threads[THREADS];
	(void)state;
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_much, NULL), 0);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	check(METRIC_DHCP_ANSWERS, "ingot_dhcp_answers_total{type=\"ack\"} 10000\n"
				   "ingot_dhcp_answers_total{type=\"offer\"} 10000\n");
	_cleanup_(freep) char *text = samples(METRIC_BMC_SECONDS);
	assert_non_null(strstr(text, "_count{driver=\"ipmi\"} 20000\n"));
	assert_non_null(strstr(text, "_sum{driver=\"ipmi\"} 10000\n"));
}

static void test_process(void **state)
{
	(void)state;
	metrics_measure_process();
	static const enum metric_id ids[] = { METRIC_PROCESS_START, METRIC_PROCESS_RESIDENT,
					      METRIC_PROCESS_VIRTUAL, METRIC_PROCESS_FDS,
					      METRIC_PROCESS_FDS_MAX };
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		_cleanup_(freep) char *text = samples(ids[i]);
		assert_true(strtod(strchr(text, ' '), NULL) > 0);
	}
	_cleanup_(freep) char *start = samples(METRIC_PROCESS_START);
	/* Since the epoch, and not since the machine's start. */
	assert_true(strtod(strchr(start, ' '), NULL) > 1.5e9);
}

/* --- the table -------------------------------------------------------------------------------- */

static bool is_name(const char *s)
{
	regex_t re;
	assert_int_equal(regcomp(&re, "^[a-zA-Z_][a-zA-Z0-9_]*$", REG_EXTENDED | REG_NOSUB), 0);
	bool ok = regexec(&re, s, 0, NULL, 0) == 0;
	regfree(&re);
	return ok;
}

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < _METRIC_MAX; i++) {
		const struct metric *m = metric_row((enum metric_id)i);
		assert_non_null(m->name);
		assert_true(is_name(m->name));
		assert_true(strlen(m->help) > 5);
		/* A counter is called one, and nothing else is. */
		assert_int_equal(m->type == METRIC_COUNTER, str_has_suffix(m->name, "_total"));
		assert_int_equal(m->type == METRIC_HISTOGRAM, m->buckets != NULL);
		for (size_t k = 0; m->buckets && m->buckets[k] > 0; k++)
			assert_true(m->buckets[k + 1] == 0 || m->buckets[k] < m->buckets[k + 1]);
		for (size_t k = 0; k < METRIC_LABELS_MAX && m->labels[k]; k++) {
			assert_true(is_name(m->labels[k]));
			assert_string_not_equal(m->labels[k], "le");
		}
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(metric_row((enum metric_id)k)->name, m->name);
	}
}

/* What dashboards written for baremetal-operator ask for: its names and labels. */
static void test_names_of_metal3(void **state)
{
	static const char *const expected[] = {
		"metal3_reconcile_total namespace host",
		"metal3_reconcile_error_total",
		"metal3_host_error_total error_type",
		"metal3_operation_power_change_total namespace host on_off",
		"metal3_credentials_missing_total",
		"metal3_credentials_invalid_total",
		"metal3_credentials_unhandled_error_total",
		"metal3_credentials_updated_total",
		"metal3_credentials_no_management_access_total",
		"metal3_host_config_data_error_total host_data_type",
		"metal3_delayed__provisioning_total namespace host",
		"metal3_delayed__deprovisioning_total namespace host",
		"metal3_operation_register_duration_seconds namespace host",
		"metal3_operation_inspect_duration_seconds namespace host",
		"metal3_operation_provision_duration_seconds namespace host",
		"metal3_operation_deprovision_duration_seconds namespace host",
		"metal3_provisioning_state_change_total prev_state new_state",
		"metal3_host_registration_required_total",
		"metal3_host_unmanaged_total",
		"metal3_delete_without_deprovisioning_total",
		"metal3_provisioner_not_ready_total",
		"metal3_delete_delayed_for_detached_total",
		"metal3_waiting_for_preprov_image_total",
		"metal3_delete_without_powering_off_total",
	};
	(void)state;
	size_t found = 0, ours = 0;
	for (size_t i = 0; i < _METRIC_MAX; i++) {
		const struct metric *m = metric_row((enum metric_id)i);
		_cleanup_(strbuf_done) struct strbuf text = { 0 };
		strbuf_adds(&text, m->name);
		for (size_t k = 0; k < METRIC_LABELS_MAX && m->labels[k]; k++)
			strbuf_addf(&text, " %s", m->labels[k]);
		ours += str_has_prefix(m->name, "metal3_");
		for (size_t k = 0; k < ARRAY_SIZE(expected); k++)
			found += streq(text.data, expected[k]);
	}
	assert_int_equal(found, ARRAY_SIZE(expected));
	assert_int_equal(ours, ARRAY_SIZE(expected));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_counter, teardown),
		cmocka_unit_test_teardown(test_gauge, teardown),
		cmocka_unit_test_teardown(test_histogram, teardown),
		cmocka_unit_test_teardown(test_escaping, teardown),
		cmocka_unit_test_teardown(test_labels_left_out, teardown),
		cmocka_unit_test_teardown(test_labels_do_not_run_together, teardown),
		cmocka_unit_test_teardown(test_long_label_is_cut, teardown),
		cmocka_unit_test_teardown(test_host_goes, teardown),
		cmocka_unit_test_teardown(test_bounded, teardown),
		cmocka_unit_test_teardown(test_threads, teardown),
		cmocka_unit_test_teardown(test_process, teardown),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_names_of_metal3),
	};
	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
