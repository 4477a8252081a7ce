/* Errors, cursors, heap, map, list, clock texts, identifiers, log lines. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/cursor.h"
#include "base/err.h"
#include "base/heap.h"
#include "base/id.h"
#include "base/list.h"
#include "base/log.h"
#include "base/log_options.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"

static void test_err(void **state)
{
	(void)state;
	struct err err = { 0 };
	assert_int_equal(err_set(&err, ERR_TIMEOUT, "BMC %s does not answer", "10.0.0.1"),
			 -ETIMEDOUT);
	assert_int_equal(err_wrap(&err, "host %s", "node-1"), -ETIMEDOUT);
	assert_string_equal(err.text, "host node-1: BMC 10.0.0.1 does not answer");
	assert_int_equal(err_set_errno(&err, ECONNREFUSED, "connect"), -EHOSTUNREACH);
	assert_string_equal(err.text, "connect: Connection refused");
	assert_int_equal(err.code, ECONNREFUSED);
	assert_int_equal(err_set(NULL, ERR_INVALID, "x"), -EINVAL);
	assert_true(err_value(NULL) < 0); /* who wants no reason is told of the failure */
	assert_int_equal(err_copy(NULL, NULL), 0);
	for (int i = 0; i < 600; i++)
		err_wrap(&err, "deeper");
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1); /* cut, never overrun */
}

static void test_err_table(void **state)
{
	(void)state;
	for (int k = ERR_NONE; k < _ERR_KIND_MAX; k++) {
		const struct err_kind_info *info = err_kind_info((enum err_kind)k);
		assert_non_null(info->name);
		assert_true(info->http_status >= 200 && info->http_status < 600);
		assert_int_equal(info->errno_value == 0, k == ERR_NONE);
		for (int other = 0; other < k; other++) {
			assert_string_not_equal(info->name,
						err_kind_info((enum err_kind)other)->name);
			assert_int_not_equal(info->errno_value,
					     err_kind_info((enum err_kind)other)->errno_value);
		}
	}
}

static void test_cursor(void **state)
{
	(void)state;
	static const uint8_t bytes[] = { 1, 2, 3, 4, 5, 'h', 'i', 0, 9 };
	struct cursor c;
	cursor_init(&c, bytes, sizeof(bytes));
	assert_int_equal(cursor_u8(&c), 1);
	assert_int_equal(cursor_be16(&c), 0x0203);
	assert_int_equal(cursor_le16(&c), 0x0504);
	assert_string_equal(cursor_cstr(&c), "hi");
	assert_int_equal(cursor_left(&c), 1);
	assert_int_equal(cursor_be32(&c), 0); /* too short: sticky from here on */
	assert_false(cursor_ok(&c));
	assert_int_equal(cursor_u8(&c), 0);
	assert_int_equal(cursor_left(&c), 0);
	cursor_init(&c, bytes, 3);
	assert_null(cursor_cstr(&c));
	assert_false(cursor_ok(&c));
}

static void test_wcursor(void **state)
{
	(void)state;
	uint8_t out[12];
	struct wcursor w;
	wcursor_init(&w, out, sizeof(out));
	wcursor_be16(&w, 0x0102);
	wcursor_le32(&w, 0x03040506);
	wcursor_be32(&w, 0x0708090a);
	wcursor_fill(&w, 0xff, 2);
	assert_memory_equal(out, "\x01\x02\x06\x05\x04\x03\x07\x08\x09\x0a\xff\xff", 12);
	assert_false(w.failed);
	wcursor_u8(&w, 1);
	assert_true(w.failed);
	assert_int_equal(w.pos, 12);
}

static void test_heap_against_order(void **state)
{
	(void)state;
	struct heap h = { 0 };
	struct heap_node nodes[200] = { 0 };
	uint32_t x = 1;
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		x = x * 1103515245u + 12345u;
		heap_add(&h, &nodes[i], x >> 16 & 31);
	}
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i += 3)
		heap_remove(&h, &nodes[i]);
	heap_remove(&h, &nodes[0]);
	uint64_t last_key = 0, last_seq = 0;
	size_t left = 0;
	for (struct heap_node *n; (n = heap_first(&h)); left++) {
		assert_true(n->key > last_key || (n->key == last_key && n->seq >= last_seq));
		last_key = n->key, last_seq = n->seq;
		heap_remove(&h, n);
		assert_false(heap_contains(n));
	}
	assert_int_equal(left, 200 - 67);
	heap_done(&h);
}

static void test_map(void **state)
{
	(void)state;
	struct map m = { 0 };
	char key[16];
	int values[500];
	for (int i = 0; i < 500; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		assert_null(map_set(&m, key, &values[i]));
	}
	for (int i = 0; i < 500; i += 2) {
		snprintf(key, sizeof(key), "k%d", i);
		assert_ptr_equal(map_remove(&m, key), &values[i]);
		assert_null(map_remove(&m, key));
	}
	assert_int_equal(m.count, 250);
	assert_ptr_equal(map_set(&m, "k1", &values[0]), &values[1]);
	assert_ptr_equal(map_get(&m, "k1"), &values[0]);
	assert_null(map_get(&m, "k2"));
	int expected = 1;
	map_for_each(&m, i) {
		snprintf(key, sizeof(key), "k%d", expected);
		assert_string_equal(m.entries[i].key, key);
		expected += 2;
	}
	assert_int_equal(expected, 501);
	for (int round = 0; round < 2000; round++) { /* tombstones must not fill the index */
		map_set(&m, "churn", &values[0]);
		map_remove(&m, "churn");
	}
	assert_int_equal(m.count, 250);
	assert_true(m.slot_count <= 2048);
	map_done(&m);
}

static void test_list(void **state)
{
	(void)state;
	struct item {
		struct list link;
		int n;
	} items[4] = { { .n = 0 }, { .n = 1 }, { .n = 2 }, { .n = 3 } };
	struct list head;
	list_init(&head);
	for (size_t i = 0; i < 4; i++)
		list_append(&head, &items[i].link);
	list_for_each_safe(l, &head)
		if (list_entry(l, struct item, link)->n % 2)
			list_unlink(l);
	list_unlink(&items[1].link);
	int sum = 0;
	list_for_each(l, &head)
		sum = sum * 10 + list_entry(l, struct item, link)->n;
	assert_int_equal(sum, 2);
	assert_ptr_equal(list_take_first(&head), &items[0].link);
	assert_ptr_equal(list_take_first(&head), &items[2].link);
	assert_null(list_take_first(&head));
}

static void test_clock(void **state)
{
	(void)state;
	char buf[CLOCK_TEXT_MAX];
	usec_t t;
	assert_int_equal(clock_parse("2026-01-02T03:04:05Z", &t), 0);
	assert_string_equal(clock_format(t, buf), "2026-01-02T03:04:05Z");
	assert_int_equal(clock_parse("2026-01-02T03:04:05.000006Z", &t), 0);
	assert_string_equal(clock_format_micro(t, buf), "2026-01-02T03:04:05.000006Z");
	assert_int_equal(clock_parse("2026-01-02T05:04:05.123456789+02:00", &t), 0);
	assert_string_equal(clock_format_micro(t, buf), "2026-01-02T03:04:05.123456Z");
	static const char *const bad[] = { "",
					   "2026-01-02",
					   "2026-01-02T03:04:05",
					   "2026-13-02T03:04:05Z",
					   "2026-01-02 03:04:05Z",
					   "2026-01-02T03:04:05Zx",
					   "2026-01-02T03:04:05+2:00",
					   "1969-01-01T00:00:00Z",
					   NULL };
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(clock_parse(bad[i], &t), -EINVAL);
}

static void test_ages(void **state)
{
	(void)state;
	static const struct {
		uint64_t seconds;
		const char *text;
	} rows[] = { { 0, "0s" },      { 119, "119s" },	     { 120, "2m" },	{ 312, "5m12s" },
		     { 600, "10m" },   { 10799, "179m" },    { 10800, "3h" },	{ 11460, "3h11m" },
		     { 28800, "8h" },  { 172799, "47h" },    { 172800, "2d" },	{ 180000, "2d2h" },
		     { 691200, "8d" }, { 31536000, "365d" }, { 63072000, "2y" } };
	char buf[CLOCK_TEXT_MAX];
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_string_equal(clock_format_age(rows[i].seconds * USEC_PER_SEC, buf),
				    rows[i].text);
}

static void test_ids(void **state)
{
	(void)state;
	static const uint8_t random[16] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
					    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	char out[UUID_TEXT_SIZE];
	assert_string_equal(uuid_format(random, out), "ffffffff-ffff-4fff-bfff-ffffffffffff");
	assert_true(uuid_valid(out));
	assert_false(uuid_valid("ffffffff-ffff-4fff-bfff-fffffffffff"));
	assert_false(uuid_valid("FFFFFFFF-ffff-4fff-bfff-ffffffffffff"));
	assert_true(name_is_label("node-1"));
	assert_false(name_is_label("-node"));
	assert_false(name_is_label("Node"));
	assert_true(name_is_subdomain("a.b-c.d1"));
	assert_false(name_is_subdomain("a..b"));
	assert_false(name_is_subdomain("a.-b"));
	assert_false(name_is_subdomain(""));
	char longest[300];
	memset(longest, 'a', sizeof(longest));
	longest[253] = '\0';
	assert_true(name_is_subdomain(longest));
	longest[253] = 'a', longest[254] = '\0';
	assert_false(name_is_subdomain(longest));
}

static void keep_line(void *data, enum log_level level, const char *line)
{
	(void)level;
	str_replace(data, line);
}

static void test_log_quotes(void **state)
{
	(void)state;
	char *line = NULL;
	log_set_sink(keep_line, &line);
	log_warn("bad answer", "host", "metal3/n1", "text", "a \"b\"\n\x1b[0m", "absent",
		 (char *)NULL, "e", "");
	log_set_sink(NULL, NULL);
	assert_string_equal(
		line, "warn  bad answer host=metal3/n1 text=\"a \\\"b\\\"\\n\\u001b[0m\" e=\"\"");
	free(line);
	log_use_options(&(struct log_options){ .level = LOG_DEBUG });
	assert_true(log_enabled(LOG_DEBUG));
	log_set_level(LOG_INFO);
}

static unsigned lines_in(usec_t from, usec_t to, struct log_pace *p, uint64_t *ret_times)
{
	unsigned lines = 0;
	uint64_t times;
	for (usec_t now = from; now < to; now += USEC_PER_MSEC)
		if (log_pace_due(p, now, &times)) {
			lines++;
			*ret_times += times;
		}
	return lines;
}

static void test_log_pace(void **state)
{
	(void)state;
	struct log_pace p = { 0 };
	uint64_t times = 0;
	assert_int_equal(lines_in(USEC_PER_SEC, 2 * USEC_PER_SEC, &p, &times), 1);
	assert_int_equal(times, 1);
	assert_int_equal(lines_in(2 * USEC_PER_SEC, 3 * USEC_PER_SEC, &p, &times), 1);
	assert_int_equal(times, 1 + 1000);
	char text[24];
	assert_null(log_times(1, text));
	assert_string_equal(log_times(1000, text), "1000");
}

/* Peers by what they are called; none of these hash alike. */
static void test_log_pace_of_peers(void **state)
{
	(void)state;
	struct log_paces *p = xcalloc(1, sizeof(*p));
	uint64_t times;
	usec_t now = USEC_PER_SEC;
	unsigned lines = 0;
	char detail[24];
	for (int i = 0; i < 100; i++)
		lines += log_pace_due(log_pace_of(p, now, "10.0.0.1", "failed", "a"), now, &times);
	assert_int_equal(lines, 1);
	assert_true(log_pace_due(log_pace_of(p, now, "10.0.0.1", "failed", "b"), now, &times));
	assert_true(log_pace_due(log_pace_of(p, now, "10.0.0.1", "sent", "a"), now, &times));
	assert_true(log_pace_due(log_pace_of(p, now, "10.0.0.2", "failed", "a"), now, &times));
	/* A new name each time does not get round it. */
	for (int i = 0; i < 100; i++) {
		snprintf(detail, sizeof(detail), "name-%d", i);
		lines += log_pace_due(log_pace_of(p, now, "10.0.0.1", "failed", detail), now,
				      &times);
	}
	assert_int_equal(lines, 1 + LOG_PEER_LINES - 3 + 1);
	now += USEC_PER_SEC;
	assert_true(log_pace_due(log_pace_of(p, now, "10.0.0.1", "failed", "a"), now, &times));
	assert_int_equal(times, 100);
	/* Nor does a new peer each time. */
	for (lines = 0; now < 2 * USEC_PER_SEC + 10000; now++) {
		snprintf(detail, sizeof(detail), "10.1.0.%u", (unsigned)(now % 10000));
		lines += log_pace_due(log_pace_of(p, now, detail, "failed", detail), now, &times);
	}
	assert_true(lines <= LOG_PEERS * (LOG_PEER_LINES + 1));
	free(p);
}

static void check_json(const char *value, const char *shown)
{
	char *line = NULL;
	log_set_sink(keep_line, &line);
	log_warn("bad answer", "host", "metal3/n1", "absent", (char *)NULL, "text", value);
	log_set_sink(NULL, NULL);
	_cleanup_(freep) char *expected = xasprintf(
		"{\"level\":\"warn\",\"message\":\"bad answer\",\"host\":\"metal3/n1\",\"text\":%s}",
		shown);
	assert_string_equal(line, expected);
	free(line);
}

static void test_log_json(void **state)
{
	(void)state;
	log_set_format(LOG_JSON);
	check_json("plain", "\"plain\"");
	check_json("a \"b\"\\\n\x1b", "\"a \\\"b\\\"\\\\\\n\\u001b\"");
	check_json("Gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80",
		   "\"Gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80\"");
	/* Latin-1, a cut character, an overlong slash, a surrogate, beyond the last. */
	check_json("\xfc|\xc3", "\"\xef\xbf\xbd|\xef\xbf\xbd\"");
	check_json("\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\"");
	check_json("\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
	check_json("\xf4\x90\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
	log_set_format(LOG_TEXT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_err),
		cmocka_unit_test(test_err_table),
		cmocka_unit_test(test_cursor),
		cmocka_unit_test(test_wcursor),
		cmocka_unit_test(test_heap_against_order),
		cmocka_unit_test(test_map),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_clock),
		cmocka_unit_test(test_ages),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_log_quotes),
		cmocka_unit_test(test_log_pace),
		cmocka_unit_test(test_log_pace_of_peers),
		cmocka_unit_test(test_log_json),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
