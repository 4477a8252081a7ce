/* Boot files over plain HTTP: maps paths to names of content.c. Handlers run on the core thread,
 * where hosts are known; files are sent from the thread of the listener that took the request.
 * Plain HTTP because firmware has no trust store to speak of, and because nothing here is secret.
 */

#include "boot/http_boot.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "boot/content.h"
#include "metrics/metrics.h"

struct http_boot {
	struct boot_env env;
	struct web_route small[3], bulk[2]; /* with their end */
	struct log_paces paces;
};

static void reply_error(struct web_request *r, int status, const char *text)
{
	static const char *const allow[] = { "Allow: GET, HEAD", NULL };
	struct web_reply_head head = { .status = status,
				       .content_type = "text/plain; charset=utf-8",
				       .headers = status == 405 ? allow : NULL };
	web_reply(r, &head, text, strlen(text));
}

static void send_content(struct web_request *r, struct content *c)
{
	/* A script is for one boot: the next may need another. */
	static const char *const no_store[] = { "Cache-Control: no-store", NULL };
	struct web_reply_head head = { .status = 200, .content_type = c->type };
	if (c->text) {
		head.headers = no_store;
		web_reply(r, &head, c->text, c->size);
	} else {
		web_reply_file(r, &head, c->fd, c->size, c->etag);
		c->fd = -1;
	}
	content_done(c);
}

/* The name within content.c's table; what is below /boot stays flat: GRUB's names are TFTP's own.
 */
static const char *content_name(const char *path)
{
	if (!str_has_prefix(path, "/boot/"))
		return path + 1;
	const char *name = path + strlen("/boot/");
	return strchr(name, '/') ? "" : name;
}

static void note_failure(struct http_boot *h, struct web_request *r, const struct err *err)
{
	const char *path = web_path(r), *peer = web_peer_address(r);
	usec_t now = loop_now(h->env.loop);
	log_paced(log_pace_of(&h->paces, now, peer, "boot file not served", path), now, LOG_WARN,
		  "boot file not served", "path", path, "peer", peer, "error", err->text);
	if (h->env.ops->failed)
		h->env.ops->failed(h->env.data, NULL, peer, err->text);
}

static void on_request(void *data, struct web_request *r)
{
	struct http_boot *h = data;
	struct content c;
	struct err err = { 0 };
	const char *path = web_path(r), *method = web_method(r);
	if (!streq(method, "GET") && !streq(method, "HEAD")) {
		reply_error(r, 405, "GET and HEAD only\n");
		return;
	}
	if (content_open(&h->env, content_name(path), &c, &err) == 0) {
		metric_add(METRIC_BOOT_REQUESTS, 1, c.text ? "script" : "file");
		send_content(r, &c);
		return;
	}
	if (err.kind == ERR_NONE) {
		reply_error(r, 404, "nothing here for this machine\n");
		return;
	}
	note_failure(h, r, &err);
	reply_error(r, 500, "cannot be served; the reason is in the server's log\n");
}

struct http_boot *http_boot_new(const struct boot_env *env)
{
	struct http_boot *h = xcalloc(1, sizeof(*h));
	h->env = *env;
	h->small[0] = (struct web_route){ "/boot", env->loop, on_request, h, 0, 0, NULL };
	h->small[1] = (struct web_route){ "/boot.ipxe", env->loop, on_request, h, 0, 0, NULL };
	h->bulk[0] = (struct web_route){ "/ramdisk", env->loop, on_request, h, 0, 0, NULL };
	return h;
}

struct http_boot *http_boot_free(struct http_boot *h)
{
	free(h);
	return NULL;
}

const struct web_route *http_boot_small_routes(const struct http_boot *h)
{
	return h->small;
}

const struct web_route *http_boot_bulk_routes(const struct http_boot *h)
{
	return h->bulk;
}
