/* HTTP client: curl's multi interface on a loop (docs of curl_multi_socket_action). Curl tells by
 * its socket and timer callbacks what to wait for; the loop tells curl what has happened.
 *
 * Curl may not be called from its own callbacks. Ours run inside curl_multi_socket_action(), and
 * users' handlers run inside ours, so `in_curl` is set around that call: what users start or cancel
 * meanwhile is put on lists and done by settle() afterwards. `done` handlers run outside, from
 * settle(). */

#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "http/internal.h"

struct sock {
	struct list node;
	struct http_client *client;
	curl_socket_t fd;
	struct loop_io *io;
};

CURL *client_take_easy(struct http_client *c)
{
	if (c->pool_count > 0)
		return c->pool[--c->pool_count];
	CURL *easy = curl_easy_init();
	if (!easy)
		abort(); /* curl fails here for lack of memory only */
	return easy;
}

void http_client_give_easy(struct http_client *c, CURL *easy)
{
	if (c->pool_count == EASY_POOL) {
		curl_easy_cleanup(easy);
		return;
	}
	curl_easy_reset(easy);
	c->pool[c->pool_count++] = easy;
}

void http_client_add(struct http_op *op)
{
	struct http_client *c = op->client;
	list_unlink(&op->node);
	if (c->in_curl) {
		list_append(&c->pending, &op->node);
		return;
	}
	list_append(&c->ops, &op->node);
	op->in_multi = true;
	CURLMcode code = curl_multi_add_handle(c->multi, op->easy);
	if (code != CURLM_OK)
		log_error("libcurl rejected the request", "reason", curl_multi_strerror(code));
}

void http_client_remove(struct http_op *op)
{
	list_unlink(&op->node);
	if (op->in_multi)
		curl_multi_remove_handle(op->client->multi, op->easy);
	op->in_multi = false;
}

/* --- after each call of curl ------------------------------------------------------------------ */

static void settle_lists(struct http_client *c)
{
	for (struct list *n; (n = list_take_first(&c->dying));)
		http_op_free(list_entry(n, struct http_op, node));
	for (struct list *n; (n = list_take_first(&c->pending));)
		http_client_add(list_entry(n, struct http_op, node));
}

static void settle(struct http_client *c)
{
	settle_lists(c);
	int left;
	for (CURLMsg *m; (m = curl_multi_info_read(c->multi, &left));) {
		struct http_op *op = NULL;
		CURLcode code = m->data.result;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&op);
		http_client_remove(op);
		http_op_complete(op, code);
	}
}

static void run(struct http_client *c, curl_socket_t fd, int mask)
{
	int running;
	c->in_curl = true;
	curl_multi_socket_action(c->multi, fd, mask, &running);
	c->in_curl = false;
	settle(c);
}

/* --- curl's wishes --- */

static void on_io(void *data, int events)
{
	struct sock *s = data;
	int mask = (events & LOOP_READ ? CURL_CSELECT_IN : 0) |
		   (events & LOOP_WRITE ? CURL_CSELECT_OUT : 0);
	run(s->client, s->fd, mask);
}

static struct sock *sock_free(struct sock *s)
{
	list_unlink(&s->node);
	if (s->io)
		loop_io_close(s->io);
	free(s);
	return NULL;
}

/* A failure must not be returned to curl: it would hold the whole multi handle for dead. The
 * transfer on this socket runs into its timeout instead. */
static void watch_socket(struct http_client *c, struct sock *s, curl_socket_t fd, int events)
{
	struct err err = { 0 };
	if (!s) {
		s = xcalloc(1, sizeof(*s));
		s->client = c;
		s->fd = fd;
		list_append(&c->socks, &s->node);
		loop_io_open(c->loop, fd, events, "http", on_io, s, &s->io, &err);
		curl_multi_assign(c->multi, fd, s);
	} else if (s->io) {
		loop_io_set(s->io, events, &err);
	}
	if (err.kind != ERR_NONE)
		log_error("socket of an HTTP request cannot be watched", "error", err.text);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *sock)
{
	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (sock)
			sock_free(sock);
		return 0;
	}
	int events = (what & CURL_POLL_IN ? LOOP_READ : 0) |
		     (what & CURL_POLL_OUT ? LOOP_WRITE : 0);
	watch_socket(data, sock, fd, events);
	return 0;
}

static int on_timeout(CURLM *multi, long timeout_ms, void *data)
{
	(void)multi;
	struct http_client *c = data;
	if (timeout_ms < 0)
		timer_stop(&c->timer);
	else
		timer_set_in(&c->timer, (usec_t)timeout_ms * USEC_PER_MSEC);
	return 0;
}

static void on_timer(void *data)
{
	run(data, CURL_SOCKET_TIMEOUT, 0);
}

/* Curl hands out the bytes that it kept inside curl_easy_pause(), hence not inside http_resume().
 */
static void on_resume(void *data)
{
	struct http_client *c = data;
	for (struct list *n; (n = list_take_first(&c->resuming));) {
		struct http_op *op = list_entry(n, struct http_op, resume_node);
		op->paused = false;
		op->last_byte = loop_now(c->loop);
		http_op_arm_timer(op);
		c->in_curl = true;
		curl_easy_pause(op->easy, CURLPAUSE_CONT);
		c->in_curl = false;
		settle_lists(c);
	}
	run(c, CURL_SOCKET_TIMEOUT, 0);
}

/* --- the client --- */

/* URLs with agents' tokens, headers and bodies lie in many of curl's blocks. */
static void init_curl(void)
{
	curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, zero_free, zero_realloc, strdup, calloc);
}

static void configure(struct http_client *c, const struct http_client_options *o)
{
	long total = o->max_connections ? o->max_connections : 256;
	long host = o->max_host_connections ? o->max_host_connections : 2;
	c->fence = o->fence;
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
	curl_multi_setopt(c->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, total);
	curl_multi_setopt(c->multi, CURLMOPT_MAX_HOST_CONNECTIONS, host);
	/* Idle connections kept: 54 KB each with TLS. */
	curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, MIN(total, 128L));
}

int http_client_new(struct loop *loop, const struct http_client_options *options,
		    struct http_client **ret, struct err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, init_curl);
	CURLM *multi = curl_multi_init();
	if (!multi)
		return err_set(err, ERR_INTERNAL, "libcurl cannot be initialised");
	struct http_client *c = xcalloc(1, sizeof(*c));
	c->loop = loop;
	c->multi = multi;
	c->user_agent = xstrdup(str_or(options->user_agent, "ingot"));
	c->policy = options->policy;
	list_init(&c->ops);
	list_init(&c->pending);
	list_init(&c->dying);
	list_init(&c->resuming);
	list_init(&c->socks);
	timer_init(&c->timer, loop, "http", on_timer, c);
	timer_init(&c->resume_timer, loop, "http resume", on_resume, c);
	configure(c, options);
	*ret = c;
	return 0;
}

static void free_ops(struct list *ops)
{
	for (struct list *n; (n = list_take_first(ops));)
		http_op_free(list_entry(n, struct http_op, node));
}

struct http_client *http_client_free(struct http_client *c)
{
	if (!c)
		return NULL;
	free_ops(&c->ops);
	free_ops(&c->pending);
	free_ops(&c->dying);
	while (c->pool_count > 0)
		curl_easy_cleanup(c->pool[--c->pool_count]);
	curl_multi_cleanup(c->multi);
	list_for_each_safe(n, &c->socks)
		sock_free(list_entry(n, struct sock, node));
	timer_stop(&c->timer);
	timer_stop(&c->resume_timer);
	free(c->user_agent);
	free(c);
	return NULL;
}
