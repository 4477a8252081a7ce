/* Bytes of an API server, through client, watcher and informer on a virtual loop. The first byte of
 * the input says how the rest is cut; a 0xff in it ends an answer, and what follows answers the
 * next request. Whatever comes, the cache stays whole and the watcher goes on trying. */

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "kube/informer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct kube_resource hosts = { "metal3.io", "v1alpha1", "baremetalhosts",
					    "BareMetalHost", KUBE_PER_HOST };

struct kube_call {
	struct kube_http_handlers handlers;
	void *data;
};

struct peer {
	struct kube_transport base;
	struct kube_call *call; /* the watcher has one at a time */
};

static struct kube_call *start(struct kube_transport *t, const struct kube_http_request *r,
			       const struct kube_http_handlers *handlers, void *data)
{
	struct peer *p = (struct peer *)t;
	(void)r;
	if (p->call)
		abort();
	p->call = xcalloc(1, sizeof(*p->call));
	*p->call = (struct kube_call){ *handlers, data };
	return p->call;
}

static struct peer *the_peer;

static void cancel(struct kube_call *c)
{
	if (the_peer->call != c)
		abort();
	the_peer->call = NULL;
	free(c);
}

static const struct kube_transport_ops ops = { .start = start, .cancel = cancel };

static void check(void *data, struct kube_object *o)
{
	(void)data;
	if (str_empty(o->name) || str_empty(o->resource_version))
		abort();
	json_free(kube_object_parse(o));
}

static void check_update(void *data, struct kube_object *before, struct kube_object *now)
{
	check(data, before);
	check(data, now);
}

static const struct kube_informer_handlers handlers = { check, check_update, check, NULL };

/* One answer, in pieces; status by its length, mostly good. */
static void answer(struct peer *p, const uint8_t *data, size_t size, size_t piece)
{
	struct kube_call *c = p->call;
	static const int statuses[] = { 200, 200, 200, 200, 200, 200, 410, 500 };
	int status = statuses[size % 8];
	c->handlers.head(c->data, status, -1);
	for (size_t at = 0; at < size && p->call == c; at += piece)
		c->handlers.body(c->data, (const char *)data + at, MIN(piece, size - at));
	if (p->call != c)
		return;
	struct kube_call ended = *c;
	p->call = NULL;
	free(c);
	ended.handlers.done(ended.data, NULL, status, "", 0);
}

static void no_log(void *data, enum log_level level, const char *line)
{
	(void)data, (void)level, (void)line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct peer peer = { .base.ops = &ops };
	if (size < 1)
		return 0;
	log_set_sink(no_log, NULL);
	the_peer = &peer;
	struct loop *loop = loop_new_virtual(data[0], USEC_PER_HOUR);
	struct kube_client *client = kube_client_new(
		&(struct kube_client_options){ .loop = loop, .transport = &peer.base, .qps = -1 });
	struct kube_informer *informer = kube_informer_new(
		client, &(struct kube_informer_options){ .watch.resource = &hosts });
	kube_informer_index(informer, "owner", kube_index_by_owner);
	kube_informer_index(informer, "label", kube_index_by_label);
	kube_informer_handle(informer, &handlers, NULL);
	kube_informer_start(informer);
	size_t piece = data[0] % 64 + 1;
	for (size_t at = 1; at <= size;) {
		size_t end = at;
		while (end < size && data[end] != 0xff)
			end++;
		for (int i = 0; i < 100 && !peer.call; i++)
			loop_run_until(loop, loop_now(loop) + USEC_PER_MIN);
		if (!peer.call)
			abort(); /* it gave up */
		answer(&peer, data + at, end - at, piece);
		at = end + 1;
	}
	kube_informer_free(informer);
	kube_client_free(client);
	loop_free(loop);
	return 0;
}
