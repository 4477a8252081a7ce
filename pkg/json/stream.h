#pragma once
/* Splits a stream of bytes into JSON values without building trees: linear time, any chunk borders.
 * For watch streams (values one after another) and for lists, whose items come out one by one
 * so that no list ever stands in memory as one tree. any thread */

#include "json/json.h"

/* One complete value's text; valid during the call. Non-zero stops the feed with that value, after
 * which the stream is dead; only then may the function have freed the stream. */
typedef int (*json_stream_fn)(void *data, const char *text, size_t len);

struct json_stream;

/* Values one after another, white space between them. */
struct json_stream *json_stream_new(size_t max_value_bytes, json_stream_fn fn, void *data);
/* An object: each element of its member array `items` goes to fn; the whole object with that array
 * emptied goes to `rest` when it closes; rest may be NULL. */
struct json_stream *json_stream_new_list(const char *items, size_t max_value_bytes,
					 json_stream_fn fn, json_stream_fn rest, void *data);
struct json_stream *json_stream_free(struct json_stream *s);
/* 0, what fn returned, or a negative errno (-EBADMSG, -E2BIG) after which the stream is dead. */
int json_stream_feed(struct json_stream *s, const char *data, size_t len);
/* True when no value is half read. */
bool json_stream_idle(const struct json_stream *s);
