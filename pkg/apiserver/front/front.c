/* The HTTP front. Authentication is by client certificate (verified by web against our own CA; as
 * in Kubernetes the subject's common name is the user, its organizations are his groups) or by
 * bearer token. What he may do is the server's question (access.c).
 *
 * An exchange lives from the request to its answer; a stream's until web says that it is closed,
 * which comes exactly once, whoever ended it. Runs on the API server's loop. */

#include "apiserver/front.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "crypt/crypt.h"

/* Certificates whose subjects are remembered: parsing one costs more than most answers do. */
enum { KNOWN_MAX = 256 };

struct api_front {
	struct api_front_options options;
	size_t exchanges; /* not over yet */
	struct map known; /* PEM to struct api_user, emptied when full */
};

struct exchange {
	struct api_front *front;
	struct web_request *request;
	struct api_exchange *core; /* until answered */
	char *token;		   /* that let it in; NULL: a certificate did */
	bool ended;		   /* by the server: no abort any more */
	char **headers;		   /* NULL-ended */
	size_t header_count;
};

/* What the front answers itself, in kube-apiserver's words. */
static const char unauthorized[] =
	"{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\","
	"\"message\":\"Unauthorized\",\"reason\":\"Unauthorized\",\"code\":401}\n";

static const char no_cache[] = "Cache-Control: no-cache, private";

static void forget(struct api_front *f)
{
	map_for_each(&f->known, i) {
		struct api_user *user = f->known.entries[i].value;
		api_user_done(user);
		free(user);
	}
	map_done(&f->known);
}

struct api_front *api_front_new(const struct api_front_options *options)
{
	struct api_front *f = xcalloc(1, sizeof(*f));
	f->options = *options;
	return f;
}

struct api_front *api_front_free(struct api_front *f)
{
	if (!f)
		return NULL;
	assert(f->exchanges == 0);
	forget(f);
	free(f);
	return NULL;
}

/* --- who -------------------------------------------------------------------------------------- */

void api_user_done(struct api_user *u)
{
	free(u->name);
	free(u->groups);
	*u = (struct api_user){ 0 };
}

static struct api_user *read_subject(const char *pem)
{
	struct api_user user = { 0 };
	if (crypt_cert_subject(pem, &user.name, &user.groups, NULL) < 0)
		return NULL;
	if (!str_empty(user.name))
		return xmemdup(&user, sizeof(user));
	api_user_done(&user);
	return NULL;
}

/* web has verified it, once for its connection; what it says about its owner does not change. */
static bool user_of_certificate(struct api_front *f, const char *pem, struct api_user *ret)
{
	struct api_user *user = pem ? map_get(&f->known, pem) : NULL;
	if (pem && !user && (user = read_subject(pem))) {
		if (f->known.count == KNOWN_MAX)
			forget(f);
		map_set(&f->known, pem, user);
	}
	if (user)
		*ret = (struct api_user){ xstrdup(user->name), xstrdup(user->groups) };
	return user;
}

static bool user_of_token(const struct api_front *f, const char *token, struct api_user *ret)
{
	return token && f->options.authenticate &&
	       f->options.authenticate(f->options.data, token, ret);
}

static const char *bearer_token(const struct web_request *r)
{
	static const char scheme[] = "Bearer ";
	const char *authorization = web_header(r, "authorization");
	return authorization && str_has_prefix(authorization, scheme)
		       ? authorization + sizeof(scheme) - 1
		       : NULL;
}

/* *ret_token is set when it is the token that counts. */
static bool identify(struct api_front *f, const struct web_request *r, struct api_user *ret,
		     const char **ret_token)
{
	const char *token = bearer_token(r);
	*ret_token = NULL;
	if (user_of_certificate(f, web_peer_certificate(r), ret))
		return true;
	if (!user_of_token(f, token, ret))
		return false;
	*ret_token = token;
	return true;
}

/* A token that was revoked ends what it began. */
static bool still_known(const struct exchange *x)
{
	_cleanup_(api_user_done) struct api_user user = { 0 };
	return !x->token || user_of_token(x->front, x->token, &user);
}

/* --- answers ---------------------------------------------------------------------------------- */

/* Takes the line. */
static void add_header(struct exchange *x, char *line)
{
	x->headers = xreallocarray(x->headers, x->header_count + 2, sizeof(*x->headers));
	x->headers[x->header_count++] = line;
	x->headers[x->header_count] = NULL;
}

static struct exchange *exchange_new(struct api_front *f, struct web_request *r, const char *token)
{
	struct exchange *x = xcalloc(1, sizeof(*x));
	x->front = f;
	x->request = r;
	x->token = xstrdup(token);
	f->exchanges++;
	add_header(x, xstrdup(no_cache));
	return x;
}

static void exchange_free(struct exchange *x)
{
	x->front->exchanges--;
	for (size_t i = 0; i < x->header_count; i++)
		free(x->headers[i]);
	free(x->headers);
	secret_free(x->token);
	free(x);
}

/* RFC 9111, 5.5, as Kubernetes uses it: the text is a quoted string, and header lines have no room
 * for line breaks. */
static void warning(void *data, const char *text)
{
	_cleanup_(strbuf_done) struct strbuf line = { 0 };
	strbuf_adds(&line, "Warning: 299 - \"");
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			strbuf_addc(&line, '\\');
		strbuf_addc(&line, *text == '\r' || *text == '\n' ? ' ' : *text);
	}
	strbuf_addc(&line, '"');
	add_header(data, strbuf_take(&line, NULL));
}

static void reply(void *data, int status, const char *content_type, const char *body, size_t len)
{
	struct exchange *x = data;
	const struct web_reply_head head = { .status = status,
					     .content_type = content_type,
					     .headers = (const char *const *)x->headers };
	web_reply(x->request, &head, body, len);
	exchange_free(x);
}

static void stream_closed(void *data)
{
	struct exchange *x = data;
	if (!x->ended && x->core)
		apiserver_abort(x->core);
	exchange_free(x);
}

static void stream_start(void *data, const char *content_type)
{
	struct exchange *x = data;
	const struct web_reply_head head = { .status = 200,
					     .content_type = content_type,
					     .headers = (const char *const *)x->headers };
	web_stream(x->request, &head, stream_closed, x);
}

static bool stream_send(void *data, const char *bytes, size_t len)
{
	struct exchange *x = data;
	return still_known(x) && web_stream_send(x->request, bytes, len);
}

static void stream_drained(void *data)
{
	struct exchange *x = data;
	if (!x->ended)
		apiserver_stream_drained(x->core);
}

static bool stream_wait(void *data)
{
	struct exchange *x = data;
	return web_stream_wait(x->request, APISERVER_STREAM_AHEAD, stream_drained);
}

static void stream_end(void *data)
{
	struct exchange *x = data;
	x->ended = true;
	web_stream_end(x->request);
}

static const struct api_front_ops ops = {
	.warning = warning,
	.reply = reply,
	.stream_start = stream_start,
	.stream_send = stream_send,
	.stream_wait = stream_wait,
	.stream_end = stream_end,
};

/* --- requests --------------------------------------------------------------------------------- */

static void refuse(struct web_request *r)
{
	web_known_as(r, NULL);
	const char *const headers[] = { no_cache, NULL };
	const struct web_reply_head head = { .status = 401,
					     .content_type = "application/json",
					     .headers = headers };
	web_reply(r, &head, unauthorized, sizeof(unauthorized) - 1);
}

static void hand_over(struct api_front *f, const struct api_request *request, struct web_request *r,
		      const char *token)
{
	struct exchange *x = exchange_new(f, r, token);
	/* An answer during the call releases r, and x with it; but the core may read on in
	 * `request`. */
	web_request_ref(r);
	struct api_exchange *core = apiserver_handle(f->options.server, request, &ops, x);
	if (core) /* not answered, so x lives */
		x->core = core;
	web_request_unref(r);
}

/* Who asks to be taken for somebody else, by whatever header, must not be taken for himself. */
static const char *impersonation(const struct web_request *r)
{
	return web_header_with_prefix(r, "impersonate-")
		       ? str_or(web_header(r, "impersonate-user"), "")
		       : NULL;
}

void api_front_handle(void *data, struct web_request *r)
{
	struct api_front *f = data;
	_cleanup_(api_user_done) struct api_user user = { 0 };
	const char *token;
	if (!identify(f, r, &user, &token)) {
		refuse(r);
		return;
	}
	web_known_as(r, user.name);
	struct api_request request = {
		.method = web_method(r),
		.path = web_path(r),
		.query = web_query(r),
		.content_type = str_or(web_header(r, "content-type"), ""),
		.accept = str_or(web_header(r, "accept"), ""),
		.user = user.name,
		.groups = user.groups,
		.impersonate = impersonation(r),
		.user_agent = web_header(r, "user-agent"),
	};
	request.body = web_body(r, &request.body_len);
	hand_over(f, &request, r, token);
}

void api_front_before_body(void *data, struct web_request *r)
{
	_cleanup_(api_user_done) struct api_user user = { 0 };
	const char *token;
	if (identify(data, r, &user, &token))
		web_take_body(r, user.name);
	else
		refuse(r);
}
