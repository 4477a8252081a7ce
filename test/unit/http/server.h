#pragma once
/* A tiny HTTP server for tests: blocking sockets on loopback, a thread per connection, answers by a
 * function of the test. Plain or TLS (OpenSSL directly: it stands for a foreign peer). */

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "crypt/crypt.h"

struct server;

struct peer {
	struct server *server;
	int fd;
	SSL *ssl;
	unsigned turn;	       /* requests on this connection before this one */
	struct strbuf request; /* head, then body */
	char *body;	       /* within request */
};

/* Answers one request; false closes the connection. */
typedef bool (*serve_fn)(struct peer *p);

struct server {
	int fd;
	uint16_t port;
	serve_fn serve;
	void *data; /* the test's */
	SSL_CTX *tls;
	pthread_t thread;
	pthread_mutex_t lock;
	struct strbuf log; /* all request heads */
	pthread_cond_t ended;
	int open; /* connections now; under the lock */
	atomic_int requests, connections;
	atomic_bool closing;
};

static inline ssize_t peer_read(struct peer *p, char *out, size_t n)
{
	return p->ssl ? SSL_read(p->ssl, out, (int)n) : recv(p->fd, out, n, 0);
}

static inline bool peer_write(struct peer *p, const char *data, size_t n)
{
	while (n > 0) {
		ssize_t w = p->ssl ? SSL_write(p->ssl, data, (int)n)
				   : send(p->fd, data, n, MSG_NOSIGNAL);
		if (w <= 0)
			return false;
		data += w;
		n -= (size_t)w;
	}
	return true;
}

static inline bool peer_say(struct peer *p, const char *text)
{
	return peer_write(p, text, strlen(text));
}

/* A whole answer. */
static inline bool peer_reply(struct peer *p, const char *status, const char *headers,
			      const char *body)
{
	char *text = xasprintf("HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s\r\n%s", status,
			       strlen(body), headers, body);
	bool ok = peer_say(p, text);
	free(text);
	return ok;
}

/* Waits until the client closes. */
static inline bool peer_hang(struct peer *p)
{
	char c;
	while (peer_read(p, &c, 1) > 0)
		;
	return false;
}

static inline bool peer_asks(const struct peer *p, const char *prefix)
{
	return str_has_prefix(p->request.data, prefix);
}

static inline bool peer_said(const struct peer *p, const char *text)
{
	return strstr(p->request.data, text) != NULL;
}

static inline bool peer_next(struct peer *p)
{
	char buf[16384];
	char *end = NULL;
	strbuf_clear(&p->request);
	strbuf_adds(&p->request, "");
	while (!(end = strstr(p->request.data, "\r\n\r\n"))) {
		ssize_t n = peer_read(p, buf, sizeof(buf));
		if (n <= 0)
			return false;
		strbuf_add(&p->request, buf, (size_t)n);
	}
	size_t head = (size_t)(end - p->request.data) + 4, length = 0;
	const char *cl = strcasestr(p->request.data, "\r\nContent-Length:");
	if (cl && cl < end)
		length = strtoul(cl + 17, NULL, 10);
	while (p->request.len < head + length) {
		ssize_t n = peer_read(p, buf, sizeof(buf));
		if (n <= 0)
			return false;
		strbuf_add(&p->request, buf, (size_t)n);
	}
	p->body = p->request.data + head;
	pthread_mutex_lock(&p->server->lock);
	strbuf_add(&p->server->log, p->request.data, head);
	pthread_mutex_unlock(&p->server->lock);
	atomic_fetch_add(&p->server->requests, 1);
	return true;
}

static inline void *peer_main(void *data)
{
	struct peer *p = data;
	bool ok = true;
	if (p->server->tls) {
		p->ssl = SSL_new(p->server->tls);
		SSL_set_fd(p->ssl, p->fd);
		ok = SSL_accept(p->ssl) == 1;
	}
	while (ok && peer_next(p)) {
		ok = p->server->serve(p);
		p->turn++;
	}
	if (p->ssl) {
		SSL_shutdown(p->ssl);
		SSL_free(p->ssl);
	}
	close(p->fd);
	strbuf_done(&p->request);
	struct server *s = p->server;
	free(p);
	pthread_mutex_lock(&s->lock);
	s->open--;
	pthread_cond_signal(&s->ended);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static inline void *server_main(void *data)
{
	struct server *s = data;
	for (;;) {
		int fd = accept(s->fd, NULL, NULL);
		if (fd < 0 || atomic_load(&s->closing)) {
			if (fd >= 0)
				close(fd);
			return NULL;
		}
		struct peer *p = xcalloc(1, sizeof(*p));
		*p = (struct peer){ .server = s, .fd = fd };
		atomic_fetch_add(&s->connections, 1);
		pthread_mutex_lock(&s->lock);
		s->open++;
		pthread_mutex_unlock(&s->lock);
		pthread_t t;
		pthread_create(&t, NULL, peer_main, p);
		pthread_detach(t);
	}
}

static inline int listen_on_loopback(uint16_t *ret_port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 64) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		abort();
	*ret_port = ntohs(a.sin_port);
	return fd;
}

static inline SSL_CTX *server_tls(const struct crypt_pair *pair)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	BIO *cert = BIO_new_mem_buf(pair->cert, -1), *key = BIO_new_mem_buf(pair->key, -1);
	X509 *x = PEM_read_bio_X509(cert, NULL, NULL, NULL);
	EVP_PKEY *k = PEM_read_bio_PrivateKey(key, NULL, NULL, NULL);
	if (SSL_CTX_use_certificate(ctx, x) != 1 || SSL_CTX_use_PrivateKey(ctx, k) != 1)
		abort();
	X509_free(x);
	EVP_PKEY_free(k);
	BIO_free(cert);
	BIO_free(key);
	return ctx;
}

static inline struct server *server_start(serve_fn serve, void *data, const struct crypt_pair *pair)
{
	struct server *s = xcalloc(1, sizeof(*s));
	signal(SIGPIPE, SIG_IGN); /* OpenSSL writes to sockets without MSG_NOSIGNAL */
	s->fd = listen_on_loopback(&s->port);
	s->serve = serve;
	s->data = data;
	s->tls = pair ? server_tls(pair) : NULL;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->ended, NULL);
	strbuf_adds(&s->log, "");
	pthread_create(&s->thread, NULL, server_main, s);
	return s;
}

/* After the client has closed its connections. */
static inline void server_stop(struct server *s)
{
	atomic_store(&s->closing, true);
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(s->port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)!connect(fd, (struct sockaddr *)&a, sizeof(a));
	pthread_join(s->thread, NULL);
	close(fd);
	close(s->fd);
	/* The threads end when they see the client's end of the connection closed. */
	pthread_mutex_lock(&s->lock);
	while (s->open > 0)
		pthread_cond_wait(&s->ended, &s->lock);
	pthread_mutex_unlock(&s->lock);
	pthread_cond_destroy(&s->ended);
	SSL_CTX_free(s->tls);
	strbuf_done(&s->log);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static inline bool server_heard(struct server *s, const char *text)
{
	pthread_mutex_lock(&s->lock);
	bool heard = strstr(s->log.data, text) != NULL;
	pthread_mutex_unlock(&s->lock);
	return heard;
}
