/* See media_http.h. The form of the path is looked at first, so that only what may be a capability
 * is ever compared with one; then the owner of capabilities is asked, at each request anew. Nothing
 * that a request says goes into the log: a capability in it would be one for whoever reads logs. */

#include "boot/media_http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "metrics/metrics.h"

struct media_http {
	struct loop *loop;
	const struct media_ops *ops;
	void *data;
	struct web_route routes[2]; /* with their end */
	struct log_paces paces;
};

static const char prefix[] = "/b/", suffix[] = ".iso";

int media_http_parse(const char *path, char ret[MEDIA_CAPABILITY_SIZE])
{
	enum { DIGITS = MEDIA_CAPABILITY_SIZE - 1 };
	const char *digits = path + sizeof(prefix) - 1;
	if (!str_has_prefix(path, prefix) || strspn(digits, "0123456789abcdef") != DIGITS ||
	    !streq(digits + DIGITS, suffix))
		return -ENOENT;
	memcpy(ret, digits, DIGITS);
	ret[DIGITS] = '\0';
	return 0;
}

char *media_http_path(const char *capability)
{
	return xasprintf("%s%s%s", prefix, capability, suffix);
}

/* The same for all that is not to be had, and as for a path that no server has. */
static void reply_nothing(struct web_request *r)
{
	static const char text[] = "Not Found\n";
	static const struct web_reply_head head = { .status = 404, .content_type = "text/plain" };
	web_reply(r, &head, text, sizeof(text) - 1);
}

static struct media_image *find(struct media_http *h, struct web_request *r)
{
	char capability[MEDIA_CAPABILITY_SIZE];
	bool reads = streq(web_method(r), "GET") || streq(web_method(r), "HEAD");
	if (!reads || media_http_parse(web_path(r), capability) < 0)
		return NULL;
	struct media_image *im = h->ops->find(h->data, capability, web_peer_address(r));
	secret_zero(capability, sizeof(capability));
	return im;
}

/* Its digest stands for bytes that are there no more. */
static void reply_spoilt(struct media_http *h, struct web_request *r)
{
	static const char text[] = "cannot be served; the reason is in the server's log\n";
	static const struct web_reply_head head = { .status = 500, .content_type = "text/plain" };
	const char *peer = web_peer_address(r);
	usec_t now = loop_now(h->loop);
	log_paced(log_pace_of(&h->paces, now, peer, "boot medium not served", ""), now, LOG_ERROR,
		  "boot medium not served: a file that it is made of was written to; replace such "
		  "files by new ones, and insert the medium again",
		  "peer", peer);
	web_reply(r, &head, text, sizeof(text) - 1);
}

void media_http_handle(void *data, struct web_request *r)
{
	/* The type is what web servers make of ".iso"; EDK2 goes by the name. What stands between
	 * must keep no secrets. */
	static const char *const headers[] = { "Cache-Control: no-store", NULL };
	static const struct web_reply_head head = { .status = 200,
						    .content_type = "application/x-iso9660-image",
						    .headers = headers };
	struct media_http *h = data;
	struct media_image *im = find(h, r);
	if (!im) {
		reply_nothing(r);
	} else if (!media_image_is_intact(im)) {
		reply_spoilt(h, r);
	} else {
		metric_add(METRIC_BOOT_REQUESTS, 1, "medium");
		web_reply_parts(r, &head, media_image_parts(im), media_image_digest(im));
	}
	media_image_unref(im);
}

struct media_http *media_http_new(struct loop *loop, const struct media_ops *ops, void *data)
{
	struct media_http *h = xcalloc(1, sizeof(*h));
	h->loop = loop;
	h->ops = ops;
	h->data = data;
	h->routes[0] = (struct web_route){ "/b/", loop, media_http_handle, h, 0, 0, NULL };
	return h;
}

struct media_http *media_http_free(struct media_http *h)
{
	free(h);
	return NULL;
}

const struct web_route *media_http_routes(const struct media_http *h)
{
	return h->routes;
}
