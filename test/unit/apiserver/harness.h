#pragma once
/* A server on a virtual loop with an in-memory store, and a front that notes what it is given. Each
 * test program includes this once. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/apiserver.h"
#include "base/mem.h"
#include "base/str.h"
#include "loop/loop.h"
#include "json/json.h"

/* 2026-01-02T03:04:05Z */
#define TEST_WALL (UINT64_C(1767323045) * USEC_PER_SEC)

struct server {
	struct loop *loop;
	struct apiserver *api;
};

struct answer {
	int status; /* 0: none yet */
	unsigned replies;
	char *content_type;
	struct strbuf body;
	struct json *json; /* of body; NULL when it is none */
	struct strbuf warnings;
	/* streams */
	bool started, ended;
	bool refuse; /* stream_send says that the peer is too slow */
	bool paced;  /* stream_wait says so but for `takes` times */
	int takes;
	struct json *events; /* array */
	struct api_exchange *exchange;
};

static const char widget_crd[] =
	"{'apiVersion':'apiextensions.k8s.io/v1','kind':'CustomResourceDefinition',"
	"'metadata':{'name':'widgets.test.ingot.dev'},'spec':{'group':'test.ingot.dev','scope':'Namespaced',"
	"'names':{'plural':'widgets','kind':'Widget','shortNames':['wd'],'categories':['all']},"
	"'versions':[{'name':'v1','served':true,'storage':true,'subresources':{'status':{}},"
	"'selectableFields':[{'jsonPath':'.spec.color'}],"
	"'additionalPrinterColumns':[{'name':'Color','type':'string','jsonPath':'.spec.color'},"
	"{'name':'Size','type':'integer','jsonPath':'.spec.size','priority':1},"
	"{'name':'Ready','type':'string','jsonPath':'.status.conditions[?(@.type==\\\"Ready\\\")].status'},"
	"{'name':'Age','type':'date','jsonPath':'.metadata.creationTimestamp'}],"
	"'schema':{'openAPIV3Schema':{'type':'object','description':'A widget.','required':['spec'],'properties':{"
	"'spec':{'type':'object','description':'What is wanted.','required':['size'],'properties':{"
	"'size':{'type':'integer','minimum':1,'maximum':100},"
	"'color':{'type':'string','enum':['red','green'],'default':'red'},"
	"'name':{'type':'string','minLength':2,'maxLength':5,'pattern':'^[a-z]+$'},"
	"'when':{'type':'string','format':'date-time'},"
	"'ratio':{'type':'number','minimum':0.5},"
	"'port':{'x-kubernetes-int-or-string':true},"
	"'maybe':{'type':'string','nullable':true},"
	"'free':{'type':'object','x-kubernetes-preserve-unknown-fields':true},"
	"'inner':{'type':'object','x-kubernetes-embedded-resource':true,'x-kubernetes-preserve-unknown-fields':true},"
	"'labels':{'type':'object','additionalProperties':{'type':'string'}},"
	"'tags':{'type':'array','maxItems':3,'items':{'type':'string'},'x-kubernetes-list-type':'set'},"
	"'parts':{'type':'array','x-kubernetes-list-type':'map','x-kubernetes-list-map-keys':['name'],"
	"'items':{'type':'object','required':['name'],'properties':{'name':{'type':'string'},"
	"'count':{'type':'integer','default':1}}}}}},"
	"'status':{'type':'object','properties':{'phase':{'type':'string'},'conditions':{'type':'array','items':"
	"{'type':'object','x-kubernetes-preserve-unknown-fields':true}}}}}}}}]}}";

/* ' for " so that tests can be read. */
static inline char *quoted(const char *text)
{
	char *copy = xstrdup(text);
	for (char *p = copy; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	return copy;
}

/* --- the front
 * ------------------------------------------------------------------------------------- */

static inline void front_warning(void *front, const char *text)
{
	struct answer *a = front;
	strbuf_addf(&a->warnings, "%s\n", text);
}

static inline void front_reply(void *front, int status, const char *content_type, const char *body,
			       size_t len)
{
	struct answer *a = front;
	a->status = status;
	a->replies++;
	str_replace(&a->content_type, content_type);
	strbuf_clear(&a->body);
	strbuf_add(&a->body, body, len);
	a->json = json_free(a->json);
	json_parse(a->body.data, a->body.len, &a->json, NULL);
	a->exchange = NULL;
}

static inline void front_start(void *front, const char *content_type)
{
	struct answer *a = front;
	a->started = true;
	a->status = 200;
	a->events = json_new_array();
	str_replace(&a->content_type, content_type);
}

static inline bool front_send(void *front, const char *bytes, size_t len)
{
	struct answer *a = front;
	struct json *event = NULL;
	if (a->refuse)
		return false;
	assert_int_equal(json_parse(bytes, len, &event, NULL), 0);
	json_append(a->events, event);
	return true;
}

static inline bool front_wait(void *front)
{
	struct answer *a = front;
	return a->paced && a->takes-- <= 0;
}

static inline void front_end(void *front)
{
	struct answer *a = front;
	a->ended = true;
	a->exchange = NULL;
}

static const struct api_front_ops test_front = { .warning = front_warning,
						 .reply = front_reply,
						 .stream_start = front_start,
						 .stream_send = front_send,
						 .stream_wait = front_wait,
						 .stream_end = front_end };

static inline void answer_done(struct answer *a)
{
	free(a->content_type);
	strbuf_done(&a->body);
	strbuf_done(&a->warnings);
	json_free(a->json);
	json_free(a->events);
	*a = (struct answer){ 0 };
}

/* --- asking
 * -------------------------------------------------------------------------------------------- */

static inline void settle(struct server *s)
{
	loop_run_until(s->loop, loop_now(s->loop));
}

/* Of who asks. */
static const char *asking_groups = "system:masters";

/* Starts a request; `target` is path and query, body in ' for ". */
static inline void send_as(struct server *s, const char *method, const char *target,
			   const char *type, const char *accept, const char *body, struct answer *a)
{
	size_t len = strcspn(target, "?");
	char *path = xstrndup(target, len), *text = quoted(body ? body : "");
	struct api_request request = { .method = method,
				       .path = path,
				       .query = target[len] ? target + len + 1 : "",
				       .content_type = type,
				       .accept = accept,
				       .user = "test",
				       .groups = asking_groups,
				       .body = text,
				       .body_len = strlen(text) };
	a->exchange = apiserver_handle(s->api, &request, &test_front, a);
	free(path);
	free(text);
}

/* Asks and waits; one answer at a time, valid until the next. */
static struct answer last;

static inline const struct json *ask_as(struct server *s, const char *method, const char *target,
					const char *type, const char *accept, const char *body)
{
	answer_done(&last);
	send_as(s, method, target, type, accept, body, &last);
	settle(s);
	assert_int_equal(last.replies, 1);
	return last.json;
}

static inline const struct json *ask(struct server *s, const char *method, const char *target,
				     const char *body)
{
	const char *type = streq(method, "PATCH") ? "application/merge-patch+json"
						  : "application/json";
	return ask_as(s, method, target, type, "application/json", body);
}

#define assert_status(expected)                                                                    \
	do {                                                                                       \
		if (last.status != (expected))                                                     \
			fail_msg("status %d instead of %d: %s", last.status, expected,             \
				 last.body.data ? last.body.data : "");                            \
	} while (0)

static inline const char *text_of(const struct json *j, const char *path)
{
	return str_or(json_get_path_string(j, path), "");
}

static inline void assert_text(const struct json *j, const char *path, const char *expected)
{
	if (!streq(text_of(j, path), expected))
		fail_msg("%s is \"%s\", not \"%s\": %s", path, text_of(j, path), expected,
			 last.body.data ? last.body.data : "");
}

/* A failure of that status and reason whose message holds `part`. */
static inline void assert_failure(int status, const char *reason, const char *part)
{
	assert_status(status);
	assert_text(last.json, "kind", "Status");
	assert_text(last.json, "status", "Failure");
	assert_text(last.json, "reason", reason);
	assert_int_equal(json_get_int(last.json, "code", 0), status);
	if (!strstr(text_of(last.json, "message"), part))
		fail_msg("\"%s\" does not hold \"%s\"", text_of(last.json, "message"), part);
}

static inline void assert_invalid(const char *message)
{
	assert_failure(422, "Invalid", "");
	assert_text(last.json, "message", message);
}

static inline int64_t number_at(const struct json *j, const char *path)
{
	int64_t value = -1;
	json_int(json_get_path(j, path), &value);
	return value;
}

/* --- set-up
 * ---------------------------------------------------------------------------------------------- */

static inline int open_server(struct server *s, const char *path, struct err *err)
{
	char *crd = quoted(widget_crd);
	const char *crds[] = { crd, NULL };
	struct apiserver_options options = { .loop = s->loop, .path = path, .crds = crds };
	int r = apiserver_new(&options, &s->api, err);
	free(crd);
	return r;
}

static inline int server_set_up(void **state)
{
	struct server *s = calloc(1, sizeof(*s));
	struct err err;
	s->loop = loop_new_virtual(42, TEST_WALL);
	if (open_server(s, ":memory:", &err) < 0)
		fail_msg("%s", err.text);
	*state = s;
	return 0;
}

static inline int server_tear_down(void **state)
{
	struct server *s = *state;
	apiserver_free(s->api);
	answer_done(&last);
	loop_free(s->loop);
	free(s);
	return 0;
}

#define server_test(f) cmocka_unit_test_setup_teardown(f, server_set_up, server_tear_down)

#define WIDGETS	   "/apis/test.ingot.dev/v1/namespaces/default/widgets"
#define SECRETS	   "/api/v1/namespaces/default/secrets"
#define CONFIGS	   "/api/v1/namespaces/default/configmaps"
#define NAMESPACES "/api/v1/namespaces"
#define CRDS	   "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

static inline const struct json *make_widget(struct server *s, const char *name,
					     const char *extra_meta, const char *spec)
{
	char *body = xasprintf(
		"{'apiVersion':'test.ingot.dev/v1','kind':'Widget','metadata':{'name':'%s'%s},"
		"'spec':{'size':5%s}}",
		name, extra_meta, spec);
	const struct json *j = ask(s, "POST", WIDGETS, body);
	free(body);
	return j;
}
