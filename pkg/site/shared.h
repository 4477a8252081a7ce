#pragma once
/* One TLS port for all that `ingot standalone` serves, by path, where a site wants to open a single
 * one (--shared-bind): the agents' API below /v1, boot files below /boot and /ramdisk, and the API
 * at all other paths. The separate ports stay as they are. Each part keeps its own checks, limits
 * and times: shared is the connection, nothing else.
 *
 * It has a certificate of its own, from the API's CA, and a thread of its own, because downloads
 * may wait for the disk. Main thread. */

#include "crypt/crypt.h"
#include "health/validity.h"
#include "loop/loop.h"
#include "net/net.h"
#include "net/options.h"
#include "web/web.h"

struct site_shared {
	struct loop *loop;
	struct net_addr bind;
	const struct crypt_pair *ca; /* of the API */
	struct net_pair addresses;   /* where agents know us; not set: nowhere */
	int fd;			     /* bound, not open yet; 0: none */
	struct web *web;
	struct web_server *server;
	struct crypt_pair cert;
	struct timer validity;
	struct validity seen;
};

/* Takes the port: before privileges go. */
int site_shared_bind(struct site_shared *s, const struct net_addr *bind, struct err *err);

struct site_shared_options {
	struct loop *loop;
	const struct crypt_pair *ca;   /* borrowed */
	struct net_pair addresses;     /* on the provisioning network */
	const struct web_route *api;   /* the one for all other paths */
	const struct web_route *parts; /* ended by prefix NULL */
	unsigned share_percent;
};

/* Nothing happens when no port was taken. */
int site_shared_open(struct site_shared *s, const struct site_shared_options *options,
		     struct err *err);
/* Before what its routes' data point to goes. */
void site_shared_close(struct site_shared *s);
