#pragma once
/* The API server's HTTP front: who asks, and the way of requests and answers between web and
 * apiserver. Everything runs on the API server's loop, which the route of the web server names. */

#include "apiserver/apiserver.h"
#include "web/web.h"

struct api_front;

/* A bearer token and whose it is; a client certificate says the same by its subject. */
struct api_token {
	const char *token;
	const char *user;
};

struct api_front_options {
	struct apiserver *server;
	const struct api_token *tokens; /* ended by token NULL; copied; may be NULL */
};

struct api_front *api_front_new(const struct api_front_options *options);
/* After apiserver_free, which still answers; before that, close the web server and let the loop run
 * what it posted. */
struct api_front *api_front_free(struct api_front *f);
/* A web_handler_fn; data is the front. Without a certificate or token: 401. The route's limit for
 * bodies is APISERVER_BODY_MAX. */
void api_front_handle(void *data, struct web_request *r);
