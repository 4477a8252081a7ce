#pragma once
/* A small HTTP server for tests, with faults on order: no Range, death after some bytes, other
 * content on the second request. One thread accepts, one per connection; keep-alive. Header only,
 * because each test is one program. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

struct httpd {
	/* Set before start; may be changed between requests. */
	const void *data;
	size_t len;
	const char *etag;	  /* NULL: none */
	const char *etag_later;	  /* from the third request on: another server behind the name */
	bool pin_is_all;	  /* If-Range with an ETag is always answered with 200 */
	bool strict_range;	  /* 416 for a range that ends behind the end */
	const char *locations[2]; /* redirects, in turn */
	bool no_range;		  /* always 200 and all */
	bool no_length;		  /* HTTP/1.0 style: the end is the close */
	size_t die_after;	  /* of the whole file answer: cut the connection there; 0: never */
	int die_times;		  /* how often */
	int status;		  /* 0: as it should be */
	const char *text_path, *text; /* a second file */
	const char *want_header;      /* 403 without this line */
	int fails_first;	      /* so many requests get `status`; 0: all */
	/* Results. */
	_Atomic int requests, ranged, pinned;
	_Atomic uint64_t sent;
	/* Own. */
	int fd;
	uint16_t port;
	pthread_t thread;
	struct httpd_connection *connections;
};

struct httpd_connection {
	struct httpd *server;
	int fd;
	pthread_t thread;
	struct httpd_connection *next;
};

static inline bool httpd_send(int fd, const void *data, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = send(fd, (const char *)data + done, len - done, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

static inline bool httpd_answer(struct httpd *s, int fd, const char *head)
{
	const char *data = s->data;
	size_t from = 0, to = s->len;
	unsigned long long a, b = s->len - 1;
	const char *range = strcasestr(head, "\r\nRange: bytes=");
	const char *pin = strcasestr(head, "\r\nIf-Range: ");
	char line[64], out[512];
	bool partial = range && !s->no_range && sscanf(range + 15, "%llu-%llu", &a, &b) >= 1;
	int number = atomic_fetch_add(&s->requests, 1);
	const char *etag = s->etag_later && number >= 2 ? s->etag_later : s->etag;
	if (pin && etag && (s->pin_is_all || strncmp(pin + 12, etag, strlen(etag)) != 0))
		partial = false;
	if (pin)
		atomic_fetch_add(&s->pinned, 1);
	if (s->locations[0]) {
		snprintf(out, sizeof(out),
			 "HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n",
			 s->locations[s->locations[1] ? number % 2 : 0]);
		return httpd_send(fd, out, strlen(out));
	}
	if (range && s->strict_range && b >= s->len && strncmp(range + 15, "0-", 2) == 0) {
		snprintf(
			out, sizeof(out),
			"HTTP/1.1 416 No\r\nContent-Range: bytes */%zu\r\nContent-Length: 0\r\n\r\n",
			s->len);
		return httpd_send(fd, out, strlen(out));
	}
	bool fails = s->status && (!s->fails_first || number < s->fails_first);
	int status = fails ? s->status : partial ? 206 : 200;
	if (s->want_header && !strstr(head, s->want_header))
		status = 403;
	if (s->text_path && strncmp(head + 4, s->text_path, strlen(s->text_path)) == 0) {
		data = s->text;
		to = strlen(s->text);
		partial = false;
		status = 200;
	}
	if (status >= 400) {
		snprintf(out, sizeof(out), "HTTP/1.1 %d Error\r\nContent-Length: 3\r\n\r\nno\n",
			 status);
		return httpd_send(fd, out, strlen(out));
	}
	line[0] = '\0';
	if (partial) {
		atomic_fetch_add(&s->ranged, 1);
		from = (size_t)a;
		to = MIN((size_t)b + 1, s->len);
		snprintf(line, sizeof(line), "Content-Range: bytes %zu-%zu/%zu\r\n", from, to - 1,
			 s->len);
	}
	char length[64] = "Connection: close\r\n";
	if (!s->no_length)
		snprintf(length, sizeof(length), "Content-Length: %zu\r\n", to - from);
	snprintf(out, sizeof(out), "HTTP/1.1 %d OK\r\n%s%s%s%s%s\r\n", status, length, line,
		 etag ? "ETag: " : "", etag ? etag : "", etag ? "\r\n" : "");
	bool die = data == s->data && s->die_after && to == s->len && s->die_times > 0 &&
		   to - from > s->die_after;
	if (die) {
		s->die_times--;
		to = from + s->die_after;
	}
	atomic_fetch_add(&s->sent, to - from);
	/* Once the client has everything it may stop the server: no look at it afterwards. */
	bool keep = !die && !s->no_length;
	return httpd_send(fd, out, strlen(out)) && httpd_send(fd, data + from, to - from) && keep;
}

static inline void *httpd_serve(void *arg)
{
	struct httpd_connection *c = arg;
	char head[8192];
	size_t len = 0;
	for (;;) {
		ssize_t n = recv(c->fd, head + len, sizeof(head) - 1 - len, 0);
		if (n <= 0)
			break;
		len += (size_t)n;
		head[len] = '\0';
		if (head[0] == 0x16) { /* a ClientHello, answered as servers do */
			httpd_send(c->fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
			break;
		}
		if (!strstr(head, "\r\n\r\n"))
			continue;
		if (!httpd_answer(c->server, c->fd, head))
			break;
		len = 0;
	}
	shutdown(c->fd, SHUT_RDWR);
	return NULL;
}

static inline void *httpd_accept(void *arg)
{
	struct httpd *s = arg;
	for (int fd; (fd = accept(s->fd, NULL, NULL)) >= 0;) {
		struct httpd_connection *c = xcalloc(1, sizeof(*c));
		*c = (struct httpd_connection){ .server = s, .fd = fd, .next = s->connections };
		s->connections = c;
		pthread_create(&c->thread, NULL, httpd_serve, c);
	}
	return NULL;
}

static inline void httpd_start(struct httpd *s)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(s->fd, (struct sockaddr *)&sa, len) < 0 || listen(s->fd, 16) < 0 ||
	    getsockname(s->fd, (struct sockaddr *)&sa, &len) < 0)
		abort();
	s->port = ntohs(sa.sin_port);
	pthread_create(&s->thread, NULL, httpd_accept, s);
}

static inline void httpd_stop(struct httpd *s)
{
	shutdown(s->fd, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->fd);
	for (struct httpd_connection *c; (c = s->connections); free(c)) {
		s->connections = c->next;
		shutdown(c->fd, SHUT_RDWR);
		pthread_join(c->thread, NULL);
		close(c->fd);
	}
}

static inline char *httpd_url(const struct httpd *s, const char *path)
{
	return xasprintf("http://127.0.0.1:%u/%s", s->port, path);
}
