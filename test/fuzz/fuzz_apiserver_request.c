/* Requests to the API server: the first line is "METHOD path?query", the second the content type,
 * the third Accept, the rest the body. Two requests may follow each other, separated by a NUL, so
 * that the second meets what the first has made. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/apiserver.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char crd[] =
	"{\"metadata\":{\"name\":\"things.fuzz.dev\"},\"spec\":{\"group\":\"fuzz.dev\",\"scope\":\"Namespaced\","
	"\"names\":{\"plural\":\"things\",\"kind\":\"Thing\"},\"versions\":[{\"name\":\"v1\",\"served\":true,"
	"\"storage\":true,\"subresources\":{\"status\":{}},\"additionalPrinterColumns\":[{\"name\":\"A\","
	"\"type\":\"string\",\"jsonPath\":\".spec.l[?(@.k=='x')].v\"}],\"schema\":{\"openAPIV3Schema\":"
	"{\"type\":\"object\",\"properties\":{\"spec\":{\"type\":\"object\",\"properties\":{"
	"\"s\":{\"type\":\"string\",\"pattern\":\"^(a|b)+$\",\"default\":\"a\"},\"i\":{\"type\":\"integer\","
	"\"maximum\":9},\"l\":{\"type\":\"array\",\"x-kubernetes-list-type\":\"map\","
	"\"x-kubernetes-list-map-keys\":[\"k\"],\"items\":{\"type\":\"object\",\"required\":[\"k\"],"
	"\"properties\":{\"k\":{\"type\":\"string\"},\"v\":{\"type\":\"string\",\"nullable\":true}}}}}},"
	"\"status\":{\"type\":\"object\",\"x-kubernetes-preserve-unknown-fields\":true}}}}}]}}";

/* Every request must be answered exactly once. */
struct front {
	int answers, ends;
	bool started;
};

static void reply(void *data, int status, const char *content_type, const char *body, size_t len)
{
	struct front *f = data;
	(void)body;
	assert(status >= 200 && status < 600 && content_type && len < 64 * 1024 * 1024);
	f->answers++;
}

static void stream_start(void *data, const char *content_type)
{
	struct front *f = data;
	(void)content_type;
	f->started = true;
}

static bool stream_send(void *data, const char *bytes, size_t len)
{
	(void)data;
	assert(bytes[len - 1] == '\n');
	return true;
}

static void stream_end(void *data)
{
	struct front *f = data;
	f->ends++;
}

static const struct api_front_ops ops = {
	.reply = reply,
	.stream_start = stream_start,
	.stream_send = stream_send,
	.stream_end = stream_end,
};

static char *take_line(const char **p, const char *end)
{
	const char *newline = memchr(*p, '\n', (size_t)(end - *p));
	size_t len = (size_t)((newline ? newline : end) - *p);
	char *line = xstrndup(*p, len);
	*p += len + (newline != NULL);
	return line;
}

static void ask(struct apiserver *s, const char *p, const char *end, struct front *f)
{
	_cleanup_(freep) char *first = take_line(&p, end);
	_cleanup_(freep) char *type = take_line(&p, end);
	_cleanup_(freep) char *accept = take_line(&p, end);
	_cleanup_(freep) char *body = xmemdup(p, (size_t)(end - p));
	char *path = strchr(first, ' ');
	if (!path)
		return;
	*path++ = '\0';
	char *query = strchr(path, '?');
	if (query)
		*query++ = '\0';
	struct api_request request = { .method = first,
				       .path = path,
				       .query = query ? query : "",
				       .content_type = type,
				       .accept = accept,
				       .user = "fuzz",
				       .groups = "system:masters",
				       .body = body,
				       .body_len = (size_t)(end - p) };
	struct api_exchange *x = apiserver_handle(s, &request, &ops, f);
	assert(x || f->answers + f->ends == 1);
}

static void nothing(void *data, enum log_level level, const char *line)
{
	(void)data, (void)level, (void)line;
}

static struct apiserver *open_server(struct loop *loop)
{
	const char *const crds[] = { crd, NULL };
	struct apiserver_options options = { .loop = loop, .path = ":memory:", .crds = crds };
	struct apiserver *s = NULL;
	struct err err;
	if (apiserver_new(&options, &s, &err) < 0)
		abort();
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data, *end = p + size;
	const char *nul = size ? memchr(p, '\0', size) : NULL;
	struct front first = { 0 }, second = { 0 };
	log_set_sink(nothing, NULL);
	struct loop *loop = loop_new_virtual(1, UINT64_C(1767323045) * USEC_PER_SEC);
	struct apiserver *s = open_server(loop);
	ask(s, p, nul ? nul : end, &first);
	loop_run_until(loop, loop_now(loop) + USEC_PER_SEC);
	if (nul)
		ask(s, nul + 1, end, &second);
	loop_run_until(loop, loop_now(loop) + USEC_PER_SEC);
	apiserver_free(s);
	assert(first.answers + first.ends <= 1 && second.answers + second.ends <= 1);
	assert(first.started == (first.ends == 1) && second.started == (second.ends == 1));
	loop_free(loop);
	return 0;
}
