/* Any bytes: parsed, printed and parsed again they give the same tree and the same text; the
 * splitter finds the same values whether it gets the bytes at once, one by one or in odd pieces. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "json/json.h"
#include "json/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_VALUE = 4096 };

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

static struct json *again(const struct strbuf *text)
{
	struct json *j = NULL;
	CHECK(json_parse(text->data, text->len, &j, NULL) == 0);
	return j;
}

static void check_round_trip(const struct json *j)
{
	struct strbuf once = { 0 }, twice = { 0 }, pretty = { 0 };
	json_print(j, &once);
	json_print_pretty(j, &pretty);
	struct json *a = again(&once), *b = again(&pretty), *copy = json_dup(j);
	json_print(a, &twice);
	CHECK(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
	CHECK(json_equal(j, a) && json_equal(b, j) && json_equal(copy, a));
	json_free(a);
	json_free(b);
	json_free(copy);
	strbuf_done(&once);
	strbuf_done(&twice);
	strbuf_done(&pretty);
}

static void check_numbers(const struct json *j)
{
	int64_t i;
	double d;
	if (json_int(j, &i)) {
		struct json *same = json_new_int(i);
		CHECK(json_equal(j, same));
		json_free(same);
	}
	json_double(j, &d);
	json_for_each(child, j)
		check_numbers(child);
}

static int on_value(void *data, const char *text, size_t len)
{
	strbuf_add(data, text, len);
	strbuf_addc(data, '\n');
	return 0;
}

static int on_rest(void *data, const char *text, size_t len)
{
	strbuf_addc(data, '#');
	strbuf_add(data, text, len);
	return 0;
}

static int split(bool list, const char *text, size_t len, size_t step, struct strbuf *out,
		 bool *ret_idle)
{
	struct json_stream *s = list ? json_stream_new_list("items", MAX_VALUE, on_value, on_rest,
							    out)
				     : json_stream_new(MAX_VALUE, on_value, out);
	int r = 0;
	for (size_t at = 0; at < len && r == 0; at += step)
		r = json_stream_feed(s, text + at, MIN(step, len - at));
	*ret_idle = json_stream_idle(s);
	json_stream_free(s);
	return r;
}

static int check_split(bool list, const char *text, size_t len, struct strbuf *out, bool *ret_idle)
{
	static const size_t steps[] = { 1, 3, 64 };
	int whole = split(list, text, len, SIZE_MAX / 2, out, ret_idle);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		struct strbuf pieces = { 0 };
		bool idle;
		int r = split(list, text, len, steps[i], &pieces, &idle);
		CHECK(r == whole && idle == *ret_idle);
		CHECK(pieces.len == out->len);
		CHECK(out->len == 0 || memcmp(pieces.data, out->data, out->len) == 0);
		strbuf_done(&pieces);
	}
	return whole;
}

/* A list put together again from what the splitter made of it. */
struct list {
	struct json *items, *rest;
};

static int on_list_item(void *data, const char *text, size_t len)
{
	struct list *list = data;
	struct json *item = NULL;
	CHECK(json_parse(text, len, &item, NULL) == 0);
	json_append(list->items, item);
	return 0;
}

static int on_list_rest(void *data, const char *text, size_t len)
{
	struct list *list = data;
	CHECK(!list->rest && json_parse(text, len, &list->rest, NULL) == 0);
	return 0;
}

static void check_list(const struct json *j, const char *text, size_t len)
{
	struct list list = { .items = json_new_array() };
	struct json_stream *s = json_stream_new_list("items", len, on_list_item, on_list_rest,
						     &list);
	CHECK(json_stream_feed(s, text, len) == 0 && json_stream_idle(s) && list.rest);
	if (json_count(list.items) > 0)
		json_set(list.rest, "items", TAKE_PTR(list.items));
	CHECK(json_equal(j, list.rest));
	json_stream_free(s);
	json_free(list.items);
	json_free(list.rest);
}

/* What the parser takes as one value, the splitter takes as one value. */
static void check_value(const struct json *j, const struct strbuf *values)
{
	struct json *value = again(values);
	CHECK(json_equal(j, value));
	json_free(value);
}

static void check_values(const struct json *j, const char *text, size_t len)
{
	struct strbuf values = { 0 }, parts = { 0 };
	bool idle;
	int r = check_split(false, text, len, &values, &idle);
	if ((json_is_object(j) || json_is_array(j) || json_is_string(j)) && len < MAX_VALUE) {
		CHECK(r == 0 && idle);
		check_value(j, &values);
	}
	check_split(true, text, len, &parts, &idle);
	if (json_is_object(j))
		check_list(j, text, len);
	strbuf_done(&values);
	strbuf_done(&parts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json *j = NULL;
	struct err err;
	const char *text = (const char *)data;
	if (json_parse(text, size, &j, &err) == 0) {
		check_round_trip(j);
		check_numbers(j);
	} else {
		CHECK(!j && err.text[0]);
	}
	check_values(j, text, size);
	json_free(j);
	return 0;
}
