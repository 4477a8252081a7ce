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

/* `allow`: the header line of a 405, else NULL. */
static void reply_error(struct web_request *r, int status, const char *allow, const char *text)
{
	const char *const headers[] = { allow, NULL };
	struct web_reply_head head = { .status = status,
				       .content_type = "text/plain; charset=utf-8",
				       .headers = headers };
	web_reply(r, &head, text, strlen(text));
}

static void send_content(struct web_request *r, struct boot_content *c)
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
	boot_content_done(c);
}

static void reply_nothing(struct web_request *r)
{
	reply_error(r, 404, NULL, "nothing here for this machine\n");
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

/* A peer without a numeric address, as behind a Unix socket, gets what IPv4 has; where we have no
 * IPv4, nobody has. */
static int peer_family(const struct http_boot *h, const struct web_request *r)
{
	struct net_addr peer;
	int family = net_parse_ip(web_peer_address(r), &peer) == 0 ? net_family(&peer) : AF_INET;
	return boot_http_url(h->env.config, family) ? family
	       : family == AF_INET		    ? AF_INET6
						    : AF_INET;
}

static void serve(struct http_boot *h, struct web_request *r, const char *name)
{
	struct boot_content c;
	struct err err = { 0 };
	if (boot_content_open(&h->env, name, peer_family(h, r), &c, &err) == 0) {
		metric_add(METRIC_BOOT_REQUESTS, 1, c.text ? "script" : "file");
		send_content(r, &c);
		return;
	}
	if (err.kind == ERR_NONE) {
		reply_nothing(r);
		return;
	}
	note_failure(h, r, &err);
	reply_error(r, 500, NULL, "cannot be served; the reason is in the server's log\n");
}

/* Paths of content.c's names. */
static void serve_path(void *data, struct web_request *r, const struct web_match *match)
{
	(void)match;
	serve(data, r, web_path(r) + 1);
}

/* What is below /boot stays flat: GRUB's names are TFTP's own. */
static void serve_name(void *data, struct web_request *r, const struct web_match *match)
{
	_cleanup_(freep) char *name = web_param(&match->params, "name");
	serve(data, r, name);
}

static void serve_nothing(void *data, struct web_request *r, const struct web_match *match)
{
	(void)data, (void)match;
	reply_nothing(r);
}

static const struct web_row rows[] = {
	{ WEB_READ, "/boot.ipxe", serve_path, 0, NULL },
	{ WEB_READ, "/boot/{name}", serve_name, 0, NULL },
	{ WEB_READ, "/ramdisk/{path...}", serve_path, 0, NULL },
	{ WEB_READ, "/{rest...}", serve_nothing, 0, NULL },
	{ 0 },
};

static void refuse(void *data, struct web_request *r, int status, const char *allow)
{
	(void)data;
	reply_error(r, status, allow, "GET and HEAD only\n");
}

const struct web_router http_boot_router = { .rows = rows, .refuse = refuse };

void http_boot_handle(void *data, struct web_request *r)
{
	web_router_run(&http_boot_router, data, r);
}

struct http_boot *http_boot_new(const struct boot_env *env)
{
	struct http_boot *h = xcalloc(1, sizeof(*h));
	h->env = *env;
	h->small[0] = (struct web_route){ "/boot", env->loop, http_boot_handle, h, 0, 0, NULL };
	h->small[1] = (struct web_route){
		"/boot.ipxe", env->loop, http_boot_handle, h, 0, 0, NULL
	};
	h->bulk[0] = (struct web_route){ "/ramdisk", env->loop, http_boot_handle, h, 0, 0, NULL };
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
