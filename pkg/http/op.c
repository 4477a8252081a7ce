/* One HTTP operation: head, body, end, redirects, timeouts, pause and cancellation. Deadlines are
 * timers of the loop, not curl's, so that they count the time spent waiting for a free connection
 * and can say in which phase they struck. */

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "crypt/tls.h"
#include "http/internal.h"

static void on_timer(void *data);

/* --- life
 * ----------------------------------------------------------------------------------------- */

struct http_op *http_op_new(struct http_client *c, const struct http_request *request,
			    struct err *err)
{
	struct http_op *op = xcalloc(1, sizeof(*op));
	list_init(&op->node);
	list_init(&op->resume_node);
	op->client = c;
	op->response.content_length = op->response.retry_after_s = -1;
	timer_init(&op->timer, c->loop, "http timeout", on_timer, op);
	if (http_setup_request(op, request, err) < 0)
		return http_op_free(op);
	op->easy = client_take_easy(c);
	if (http_setup_easy(op, err) < 0)
		return http_op_free(op);
	return op;
}

static void clear_answer(struct http_op *op)
{
	str_replace(&op->content_type, NULL);
	str_replace(&op->location, NULL);
	str_replace(&op->etag, NULL);
	str_replace(&op->content_range, NULL);
	op->response = (struct http_response){ .content_length = -1, .retry_after_s = -1 };
	op->head_done = false;
}

struct http_op *http_op_free(struct http_op *op)
{
	if (!op)
		return NULL;
	timer_stop(&op->timer);
	list_unlink(&op->resume_node);
	http_client_remove(op);
	if (op->easy)
		http_client_give_easy(op->client, op->easy);
	clear_answer(op);
	http_setup_free_headers(op->headers);
	curl_slist_free_all(op->connect_to);
	curl_url_cleanup(op->url);
	secret_zero(op->body, op->body_len);
	free(op->body);
	strbuf_done(&op->collected);
	free(op->host_header);
	free(op->method);
	free(op->shown);
	free(op->host);
	free(op->what);
	free(op->key);
	free(op->proxy);
	free(op->no_proxy);
	free(op->unix_socket);
	free(op);
	return NULL;
}

/* --- head
 * ------------------------------------------------------------------------------------------ */

static bool is_redirect(int status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* Headers that struct http_response tells as text. */
static const struct {
	const char *name;
	size_t offset;
} kept[] = {
	{ "Content-Type", offsetof(struct http_op, content_type) },
	{ "Location", offsetof(struct http_op, location) },
	{ "ETag", offsetof(struct http_op, etag) },
	{ "Content-Range", offsetof(struct http_op, content_range) },
};

/* Seconds or a date (RFC 9110 10.2.3). */
static int64_t parse_retry_after(const struct http_op *op, const char *value)
{
	uint64_t seconds;
	if (parse_u64(value, INT32_MAX, &seconds) == 0)
		return (int64_t)seconds;
	time_t at = curl_getdate(value, NULL);
	if (at < 0)
		return -1;
	int64_t now = (int64_t)(loop_wall(op->client->loop) / USEC_PER_SEC);
	return at > now ? at - now : 0;
}

static void note_header(struct http_op *op, const char *name, const char *value)
{
	uint64_t length;
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		if (strcasecmp(name, kept[i].name) == 0)
			str_replace((char **)((char *)op + kept[i].offset), value);
	if (strcasecmp(name, "Content-Length") == 0 && parse_u64(value, INT64_MAX, &length) == 0)
		op->response.content_length = (int64_t)length;
	else if (strcasecmp(name, "Retry-After") == 0)
		op->response.retry_after_s = parse_retry_after(op, value);
	else if (strcasecmp(name, "Accept-Ranges") == 0)
		op->response.accept_ranges = strcasecmp(value, "bytes") == 0;
	if (op->handlers.header && !op->redirecting)
		op->handlers.header(op->data, name, value);
}

/* Splits "Name: value" in place. */
static void read_header(struct http_op *op, char *line)
{
	char *colon = strchr(line, ':');
	if (!colon)
		return;
	*colon = '\0';
	char *value = colon + 1 + strspn(colon + 1, " \t");
	for (size_t n = strlen(value); n > 0 && strchr(" \t", value[n - 1]); n--)
		value[n - 1] = '\0';
	note_header(op, line, value);
}

static void start_head(struct http_op *op)
{
	clear_answer(op);
	long status = 0;
	curl_easy_getinfo(op->easy, CURLINFO_RESPONSE_CODE, &status);
	op->response.status = (int)status;
	op->redirecting = op->max_redirects > 0 && is_redirect(op->response.status);
}

static bool stop(struct http_op *op, enum stop why, int code)
{
	op->stop = why;
	op->stop_code = code;
	return false;
}

/* False ends the transfer. */
static bool end_head(struct http_op *op)
{
	struct http_response *r = &op->response;
	if (r->status / 100 == 1)
		return true; /* another head follows */
	op->head_done = true;
	r->content_type = str_or(op->content_type, "");
	r->location = str_or(op->location, "");
	r->etag = str_or(op->etag, "");
	r->url = op->shown;
	r->content_range = str_or(op->content_range, "");
	if (op->redirecting)
		return true;
	if (!op->handlers.body && !streq(op->method, "HEAD") &&
	    r->content_length > (int64_t)op->max_body)
		return stop(op, STOP_BODY_MAX, 0);
	int code = op->handlers.head ? op->handlers.head(op->data, r) : 0;
	return code == 0 ? !op->cancelled : stop(op, STOP_HANDLER, code);
}

size_t http_op_on_header(char *line, size_t size, size_t n, void *data)
{
	struct http_op *op = data;
	op->last_byte = loop_now(op->client->loop);
	if (op->cancelled)
		return 0;
	op->head_bytes += size * n;
	if (op->head_bytes > HEAD_MAX) {
		stop(op, STOP_HEAD_MAX, 0);
		return 0;
	}
	if (op->head_done)
		return n; /* a trailer */
	size_t len = n;
	while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
		len--;
	if (len == 0)
		return end_head(op) ? n : 0;
	_cleanup_(freep) char *copy = xstrndup(line, len);
	if (str_has_prefix(copy, "HTTP/"))
		start_head(op);
	else
		read_header(op, copy);
	return op->cancelled ? 0 : n;
}

/* --- body
 * ------------------------------------------------------------------------------------------ */

static bool take_body(struct http_op *op, const char *bytes, size_t n)
{
	if (op->redirecting) {
		op->skipped += n;
		return op->skipped <= REDIRECT_BODY_MAX || stop(op, STOP_REDIRECT, 0);
	}
	if (op->handlers.body) {
		int code = op->handlers.body(op->data, bytes, n);
		return code == 0 ? !op->cancelled : stop(op, STOP_HANDLER, code);
	}
	if (op->collected.len + n > op->max_body)
		return stop(op, STOP_BODY_MAX, 0);
	strbuf_add(&op->collected, bytes, n);
	return true;
}

size_t http_op_on_body(char *bytes, size_t size, size_t n, void *data)
{
	struct http_op *op = data;
	(void)size; /* always 1 */
	op->last_byte = loop_now(op->client->loop);
	if (op->cancelled || op->stop != STOP_NONE)
		return CURL_WRITEFUNC_ERROR;
	/* Paused before there was a connection to pause: curl keeps these bytes and gives them
	 * again. */
	if (op->paused)
		return CURL_WRITEFUNC_PAUSE;
	bool good = take_body(op, bytes, n);
	/* A watch may rest for hours on a buffer that brought a Secret. */
	secret_zero(bytes, n);
	return good ? n : CURL_WRITEFUNC_ERROR;
}

/* --- sending
 * --------------------------------------------------------------------------------------- */

size_t http_op_on_read(char *out, size_t size, size_t n, void *data)
{
	struct http_op *op = data;
	size_t len = MIN(size * n, op->body_len - op->body_sent);
	op->last_byte = loop_now(op->client->loop);
	if (op->cancelled)
		return CURL_READFUNC_ABORT;
	memcpy(out, op->body + op->body_sent, len);
	op->body_sent += len;
	return len;
}

/* Curl asks for this when a kept connection broke while it was sending and it wants to repeat the
 * request on another. What may have been done (http_request.once) is for the caller to find out. */
int http_op_on_seek(void *data, curl_off_t offset, int origin)
{
	struct http_op *op = data;
	if (!op->resend || origin != SEEK_SET || offset < 0 || (size_t)offset > op->body_len)
		return CURL_SEEKFUNC_FAIL;
	op->body_sent = (size_t)offset;
	return CURL_SEEKFUNC_OK;
}

bool http_op_may_send(struct http_op *op)
{
	return fence_allows(&op->client->fence, op->key) || stop(op, STOP_FENCE, 0);
}

/* Kept connections are asked, too: one may have been made with less trust. */
static bool has_pinned_certificate(struct http_op *op)
{
	const char *pin = op->tls ? op->tls->pinned_sha256 : NULL;
	struct curl_tlssessioninfo *session = NULL;
	if (!pin)
		return true;
	char shown[CRYPT_SHA256_HEX] = "";
	if (curl_easy_getinfo(op->easy, CURLINFO_TLS_SSL_PTR, &session) == CURLE_OK && session &&
	    session->backend == CURLSSLBACKEND_OPENSSL)
		crypt_tls_peer_sha256(session->internals, shown);
	return (*shown && strcasecmp(shown, pin) == 0) || stop(op, STOP_PIN, 0);
}

int http_op_on_request(void *data, char *peer, char *local, int peer_port, int local_port)
{
	(void)peer, (void)local, (void)peer_port, (void)local_port;
	struct http_op *op = data;
	op->started = true;
	op->last_byte = loop_now(op->client->loop);
	bool good = !op->cancelled && has_pinned_certificate(op) && http_op_may_send(op);
	return good ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

/* --- end
 * ------------------------------------------------------------------------------------------- */

static void finish(struct http_op *op, const struct err *err)
{
	timer_stop(&op->timer);
	list_unlink(&op->resume_node);
	list_unlink(&op->node);
	op->finishing = true;
	struct http_response *r = &op->response;
	if (!op->head_done)
		*r = (struct http_response){ .content_length = -1, .retry_after_s = -1 };
	r->content_type = str_or(r->content_type, "");
	r->location = str_or(r->location, "");
	r->etag = str_or(r->etag, "");
	r->content_range = str_or(r->content_range, "");
	if (op->handlers.done)
		op->handlers.done(op->data, err, r, op->collected.data ? op->collected.data : "",
				  op->collected.len);
	http_op_free(op);
}

static int follow(struct http_op *op, struct err *err)
{
	if (++op->redirects > op->max_redirects)
		return err_set_code(err, ERR_PROTOCOL, op->response.status,
				    "more than %u redirects: give the final URL itself",
				    op->max_redirects);
	int r = http_setup_redirect(op, err);
	if (r < 0)
		return r;
	clear_answer(op);
	op->redirecting = op->started = false;
	op->stop = STOP_NONE;
	op->skipped = op->head_bytes = op->body_sent = 0;
	curl_easy_reset(op->easy);
	return http_setup_easy(op, err);
}

static void wrap(const struct http_op *op, struct err *err)
{
	err_wrap(err, "%s%s%s %s", op->what ? op->what : "", op->what ? ": " : "", op->method,
		 op->shown);
}

void http_op_complete(struct http_op *op, CURLcode code)
{
	struct err err = { 0 };
	if (op->cancelled) {
		http_op_free(op);
		return;
	}
	if (op->redirecting && op->head_done && (code == CURLE_OK || op->stop == STOP_REDIRECT)) {
		if (follow(op, &err) == 0) {
			http_client_add(op);
			return;
		}
	} else if (code == CURLE_OK && op->stop == STOP_NONE) {
		finish(op, NULL);
		return;
	} else {
		http_op_error(op, code, &err);
	}
	wrap(op, &err);
	finish(op, &err);
}

/* --- time
 * ------------------------------------------------------------------------------------------ */

void http_op_arm_timer(struct http_op *op)
{
	usec_t at = op->deadline ? op->deadline : USEC_INFINITY;
	if (op->idle_timeout && !op->paused)
		at = MIN(at, op->last_byte + op->idle_timeout);
	if (at != USEC_INFINITY)
		timer_set_at(&op->timer, at);
	else
		timer_stop(&op->timer);
}

static void on_timer(void *data)
{
	struct http_op *op = data;
	usec_t now = loop_now(op->client->loop);
	/* Waiting for a connection is not idling: that has limits of its own. */
	if (!op->started)
		op->last_byte = now;
	if (op->deadline && now >= op->deadline)
		op->stop = STOP_DEADLINE;
	else if (op->idle_timeout && !op->paused && now - op->last_byte >= op->idle_timeout)
		op->stop = STOP_IDLE;
	if (op->stop == STOP_NONE) {
		http_op_arm_timer(op);
		return;
	}
	http_client_remove(op);
	op->redirecting = false;
	http_op_complete(op, CURLE_OPERATION_TIMEDOUT);
}

/* --- for users
 * ------------------------------------------------------------------------------------- */

struct http_op *http_start(struct http_client *c, const struct http_request *request,
			   const struct http_handlers *handlers, void *data, struct err *err)
{
	struct http_op *op = http_op_new(c, request, err);
	if (!op)
		return NULL;
	op->handlers = *handlers;
	op->data = data;
	op->last_byte = loop_now(c->loop);
	op->deadline = op->timeout ? op->last_byte + op->timeout : 0;
	http_op_arm_timer(op);
	http_client_add(op);
	return op;
}

struct http_op *http_cancel(struct http_op *op)
{
	if (!op || op->cancelled)
		return NULL;
	op->cancelled = true;
	op->handlers = (struct http_handlers){ 0 };
	if (op->finishing)
		return NULL; /* inside its own done; finish() frees it */
	if (!op->client->in_curl)
		return http_op_free(op);
	timer_stop(&op->timer);
	list_unlink(&op->resume_node);
	list_unlink(&op->node);
	list_append(&op->client->dying, &op->node);
	return NULL;
}

void http_pause(struct http_op *op)
{
	list_unlink(&op->resume_node);
	if (op->paused || op->finishing || op->cancelled)
		return;
	op->paused = true;
	curl_easy_pause(op->easy, CURLPAUSE_RECV);
	http_op_arm_timer(op);
}

void http_resume(struct http_op *op)
{
	if (!op->paused || op->finishing || op->cancelled)
		return;
	list_unlink(&op->resume_node);
	list_append(&op->client->resuming, &op->resume_node);
	timer_set_in(&op->client->resume_timer, 0);
}
