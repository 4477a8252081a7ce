#pragma once
/* The API server's HTTP front: who asks, and the way of requests and answers between web and
 * apiserver. Everything runs on the API server's loop, which the route of the web server names. */

#include "apiserver/apiserver.h"
#include "web/web.h"

struct api_front;

/* Who asks: new strings. */
struct api_user {
	char *name;
	char *groups; /* joined by "\n" */
};

void api_user_done(struct api_user *u);

struct api_front_options {
	struct apiserver *server;
	/* Whose bearer token it is, now; false: nobody's. Asked for each request, and before each
	 * event of a stream. May be NULL: no tokens. */
	bool (*authenticate)(void *data, const char *token, struct api_user *ret);
	void *data;
};

struct api_front *api_front_new(const struct api_front_options *options);
/* After apiserver_free, which still answers; before that, close the web server and let the loop run
 * what it posted. */
struct api_front *api_front_free(struct api_front *f);
/* A web_handler_fn; data is the front. Without a certificate or token: 401. The route's limit for
 * bodies is APISERVER_BODY_MAX. */
void api_front_handle(void *data, struct web_request *r);
/* The same question before a large body is read: web_route.before_body. */
void api_front_before_body(void *data, struct web_request *r);
