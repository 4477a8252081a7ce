/* The control socket (see control.h). On the store's thread: a copy is made between two requests
 * and holds up those that come meanwhile. */

#include "site/control.h"

#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "web/router.h"

/* `allow`: the header line of a 405, else NULL. */
static void reply_with(struct web_request *r, int status, const char *allow, const char *text)
{
	const char *const headers[] = { allow, NULL };
	const struct web_reply_head head = { .status = status,
					     .content_type = "text/plain",
					     .headers = headers };
	web_reply(r, &head, text, strlen(text));
}

static void reply(struct web_request *r, int status, const char *text)
{
	reply_with(r, status, NULL, text);
}

static void make_backup(void *data, struct web_request *r, const struct web_match *match)
{
	const struct site_control *c = data;
	_cleanup_(freep) char *path = xasprintf("%s/" BACKUP_PART, c->data_dir);
	struct err err;
	(void)match;
	if (apiserver_copy(c->api, path, &err) < 0) {
		log_warn("backup failed", "error", err.text);
		reply(r, 500, err.text);
		return;
	}
	log_info("backup made");
	reply(r, 200, "");
}

static void refuse(void *data, struct web_request *r, int status, const char *allow)
{
	(void)data;
	reply_with(r, status, allow, "there is POST " CONTROL_BACKUP);
}

static void on_request(void *data, struct web_request *r)
{
	static const struct web_row rows[] = {
		{ WEB_POST, CONTROL_BACKUP, make_backup, 0, NULL },
		{ 0 },
	};
	static const struct web_router router = { .rows = rows, .refuse = refuse };
	web_router_run(&router, data, r);
}

int site_control_open(struct site_control *c, struct web *web, struct loop *loop,
		      struct web_server **ret, struct err *err)
{
	_cleanup_(freep) char *path = xasprintf("%s/" CONTROL_SOCKET, c->data_dir);
	const struct web_route rows[] = {
		{ .prefix = "/", .loop = loop, .handler = on_request, .data = c },
		{ .prefix = NULL }
	};
	const struct web_server_options w = {
		.name = "control", .socket = path, .routes = rows, .max_connections = 8
	};
	if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
		log_warn("no backup while this process runs: the path of --data-dir is too long "
			 "for a socket");
		return 0;
	}
	return web_server_open(web, &w, ret, err);
}
