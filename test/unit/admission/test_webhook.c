/* The webhooks' routes over a real socket: what is not a review gets 4xx, what is gets 200 with a
 * verdict; hosts are listed for attachments only, and no list means no. */

#include "unit/web/rig.h"

#include "admission/review.h"
#include "admission/webhook.h"
#include "json/json.h"

/* --- an API server that answers each call so --- */

struct api {
	struct kube_transport base;
	struct loop *loop;
	int status;
	const char *body;
	atomic_int calls;
};

struct kube_call {
	struct api *api;
	struct kube_http_handlers handlers;
	void *data;
	bool stream;
};

static void respond(void *data)
{
	struct kube_call *c = data;
	const struct api *api = c->api;
	if (c->handlers.head)
		c->handlers.head(c->data, api->status, -1);
	if (c->stream)
		c->handlers.body(c->data, api->body, strlen(api->body));
	c->handlers.done(c->data, NULL, api->status, c->stream ? "" : api->body,
			 c->stream ? 0 : strlen(api->body));
	free(c);
}

static struct kube_call *start(struct kube_transport *t, const struct kube_http_request *r,
			       const struct kube_http_handlers *handlers, void *data)
{
	struct api *api = container_of(t, struct api, base);
	struct kube_call *c = xcalloc(1, sizeof(*c));
	*c = (struct kube_call){ api, *handlers, data, r->stream };
	atomic_fetch_add(&api->calls, 1);
	loop_post(api->loop, respond, c);
	return c;
}

static void cancel(struct kube_call *c)
{
	(void)c; /* each call was answered before the client went */
}

static const struct kube_transport_ops ops = { .start = start, .cancel = cancel };

struct world {
	struct rig *rig;
	struct api api;
	struct kube_client *client;
	struct webhook *webhook;
};

static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	struct err err;
	w->rig = rig_new();
	w->api = (struct api){ .base.ops = &ops, .loop = w->rig->loop, .status = 200 };
	w->client = kube_client_new(&(struct kube_client_options){
		.loop = w->rig->loop, .transport = &w->api.base, .qps = -1 });
	w->webhook = webhook_new(w->rig->loop, w->client, NULL);
	const struct web_route rows[] = { webhook_route(w->webhook), { .prefix = NULL } };
	const struct web_server_options o = { .address = "127.0.0.1", .routes = rows };
	assert_int_equal(web_server_open(w->rig->web, &o, &w->rig->server, &err), 0);
	*state = w;
	return 0;
}

/* The loop's thread has ended before what it used goes. */
static int teardown(void **state)
{
	struct world *w = *state;
	struct rig *rig = w->rig;
	rig->server = web_server_close(rig->server);
	loop_post(rig->loop, rig_stop_loop, rig->loop);
	pthread_join(rig->thread, NULL);
	webhook_free(w->webhook);
	kube_client_free(w->client);
	web_free(rig->web);
	loop_free(rig->loop);
	close(rig->file);
	sem_destroy(&rig->held);
	sem_destroy(&rig->closed);
	free(rig);
	free(w);
	return 0;
}

/* --- requests --------------------------------------------------------------------------------- */

static struct answer post(struct world *w, const char *method, const char *path, const char *type,
			  const char *body)
{
	_cleanup_(freep) char *text = xasprintf("%s %s HTTP/1.1\r\nHost: h\r\nContent-Type: %s\r\n"
						"Content-Length: %zu\r\n\r\n%s",
						method, path, type, strlen(body), body);
	return ask(w->rig, text);
}

#define HOST_PATH "/validate-metal3-io-v1alpha1-baremetalhost"
#define NET_PATH  "/validate-metal3-io-v1alpha1-hostnetworkattachment"
#define REVIEW(kind, operation, now, old)                                                          \
	"{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\",\"request\":{"       \
	"\"uid\":\"u\",\"kind\":{\"kind\":\"" kind "\"},\"namespace\":\"n\",\"name\":\"a\","       \
	"\"operation\":\"" operation "\",\"object\":" now ",\"oldObject\":" old "}}"
#define GOOD "{\"metadata\":{\"name\":\"a\",\"namespace\":\"n\"},\"spec\":{\"online\":true}}"
#define BAD  "{\"metadata\":{\"name\":\"a\",\"namespace\":\"n\"},\"spec\":{\"firmware\":{}}}"

static void test_requests(void **state)
{
	static const struct {
		const char *method, *path, *type, *body;
		int status;
		const char *says;
	} rows[] = {
		{ "POST", HOST_PATH, "application/json",
		  REVIEW("BareMetalHost", "CREATE", GOOD, "null"), 200, "\"allowed\":true" },
		{ "POST", HOST_PATH, "Application/JSON; charset=utf-8",
		  REVIEW("BareMetalHost", "CREATE", BAD, "null"), 200, "spec.firmware: Forbidden" },
		{ "POST", HOST_PATH "?timeout=10s", "application/json",
		  REVIEW("BareMetalHost", "UPDATE", BAD, GOOD), 200, "\"code\":403" },
		{ "POST", HOST_PATH, "application/json",
		  REVIEW("DataImage", "CREATE", GOOD, "null"), 400,
		  "the path is for BareMetalHost" },
		{ "POST", HOST_PATH, "application/json", "{}", 400, "not an AdmissionReview" },
		{ "POST", HOST_PATH, "application/yaml", "{}", 415, "application/json" },
		{ "POST", HOST_PATH, "application/jsonp", "{}", 415, "application/json" },
		{ "GET", HOST_PATH, "application/json", "", 405, "POST" },
		{ "POST", "/validate-metal3-io-v1alpha1-hardwaredata", "application/json", "{}",
		  404, "no webhook" },
		{ "GET", "/validate-metal3-io-v1alpha1-hardwaredata", "application/json", "", 404,
		  "no webhook" },
		{ "POST", "/", "application/json", "{}", 404, "no webhook" },
		{ "POST", HOST_PATH "/x", "application/json", "{}", 404, "no webhook" },
	};
	struct world *w = *state;
	assert_true(web_router_sound(webhook_router(w->webhook)));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(answer_done) struct answer a = post(w, rows[i].method, rows[i].path,
							      rows[i].type, rows[i].body);
		if (a.status != rows[i].status || !strstr(a.body.data, rows[i].says))
			fail_msg("%zu: %d %s", i, a.status, a.body.data);
	}
	assert_int_equal(atomic_load(&w->api.calls), 0);
	_cleanup_(answer_done) struct answer get = post(w, "GET", HOST_PATH, "text/plain", "");
	assert_string_equal(answer_header(&get, "Allow"), "POST");
}

static void test_too_large(void **state)
{
	struct world *w = *state;
	_cleanup_(freep) char *text = xasprintf("POST " HOST_PATH " HTTP/1.1\r\nHost: h\r\n"
						"Content-Type: application/json\r\n"
						"Content-Length: %d\r\n\r\n",
						REVIEW_BODY_MAX + 1);
	_cleanup_(answer_done) struct answer a = ask(w->rig, text);
	assert_int_equal(a.status, 413);
}

static void test_attachments(void **state)
{
	static const char none[] = "{\"kind\":\"List\",\"apiVersion\":\"v1\",\"metadata\":{"
				   "\"resourceVersion\":\"1\"},\"items\":[]}";
	static const char one[] =
		"{\"kind\":\"List\",\"apiVersion\":\"v1\",\"metadata\":{"
		"\"resourceVersion\":\"1\"},\"items\":[{\"metadata\":{\"name\":\"h\","
		"\"namespace\":\"n\"},\"spec\":{\"networkInterfaces\":[{\"name\":\"eth0\","
		"\"hostNetworkAttachment\":{\"name\":\"a\"}}]}}]}";
	static const char forbidden[] =
		"{\"kind\":\"Status\",\"code\":403,\"reason\":\"Forbidden\","
		"\"message\":\"you may not\"}";
	static const struct {
		int status;
		const char *list, *says;
	} rows[] = {
		{ 200, none, "\"allowed\":true" },
		{ 200, one, "\"warnings\":[\"referenced by n/h[eth0]\"]" },
		{ 200, one, "it cannot be deleted while" },
		{ 403, forbidden, "you may not" },
	};
	struct world *w = *state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		w->api.status = rows[i].status;
		w->api.body = rows[i].list;
		_cleanup_(answer_done) struct answer a = post(
			w, "POST", NET_PATH, "application/json",
			REVIEW("HostNetworkAttachment", "DELETE", "null", GOOD));
		if (a.status != 200 || !strstr(a.body.data, rows[i].says))
			fail_msg("%zu: %d %s", i, a.status, a.body.data);
		assert_int_equal(atomic_load(&w->api.calls), i + 1);
	}
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(test_requests), TEST(test_too_large),
					    TEST(test_attachments) };
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
