#pragma once
/* What the tests of pkg/web share: a loop on a thread of its own with handlers on it, and a client
 * that speaks bytes. Waits are for events; the limit of a wait only keeps a broken test from
 * hanging. */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "loop/loop.h"
#include "web/internal.h"
#include "web/web.h"

enum { WAIT_S = 30, FILE_SIZE = 3 << 20, BODY_MAX = 2 << 20, QUEUE_MAX = 1 << 20 };

struct rig {
	struct loop *loop;
	pthread_t thread;
	struct web *web;
	struct web_server *server;
	int file;
	sem_t held, closed;
	struct web_request *request; /* what "/hold" or "/stream" got last */
	atomic_int handled, closed_count;
	atomic_bool overflowed;
	int blocks_left; /* the loop's thread */
};

static inline void rig_wait(sem_t *sem)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += WAIT_S;
	while (sem_timedwait(sem, &ts) < 0)
		if (errno != EINTR)
			fail_msg("nothing happened for %d s", WAIT_S);
}

/* --- handlers, on the loop's thread ----------------------------------------------------------- */

static const struct web_reply_head text_ok = { .status = 200, .content_type = "text/plain" };

/* Says what it saw, then the body back. */
static inline void handle_echo(void *data, struct web_request *r)
{
	struct rig *rig = data;
	_cleanup_(strbuf_done) struct strbuf out = { 0 };
	_cleanup_(freep) char *param = web_query_param(r, "p");
	size_t len;
	const char *body = web_body(r, &len);
	atomic_fetch_add(&rig->handled, 1);
	strbuf_addf(&out, "%s %s [%s] p=%s from=%s cert=%s accept=%s len=%zu\n", web_method(r),
		    web_path(r), web_query(r), str_or(param, "-"), web_peer_address(r),
		    web_peer_certificate(r) ? "yes" : "no", str_or(web_header(r, "accept"), "-"),
		    len);
	strbuf_add(&out, body, len);
	web_reply(r, &text_ok, out.data, out.len);
}

static inline void handle_status(void *data, struct web_request *r)
{
	_cleanup_(freep) char *status = web_query_param(r, "s");
	uint64_t n = 200;
	(void)data;
	parse_u64(status, 599, &n);
	const char *const lines[] = { "X-One: 1", "X-Bad: a\r\nX-Injected: 1", NULL };
	web_reply(r, &(struct web_reply_head){ .status = (int)n, .headers = lines }, "body", 4);
}

static inline void handle_file(void *data, struct web_request *r)
{
	struct rig *rig = data;
	int fd = fcntl(rig->file, F_DUPFD_CLOEXEC, 3);
	const char *path = web_path(r);
	uint64_t size = streq(path, "/file/lying") ? FILE_SIZE * 2 : FILE_SIZE;
	if (streq(path, "/file/empty"))
		size = 0;
	web_reply_file(r, &(struct web_reply_head){ .status = 200, .content_type = "image/raw" },
		       fd, size, "abc");
}

static inline void handle_hold(void *data, struct web_request *r)
{
	struct rig *rig = data;
	rig->request = r;
	sem_post(&rig->held);
}

static inline void stream_closed(void *data)
{
	struct rig *rig = data;
	atomic_fetch_add(&rig->closed_count, 1);
	sem_post(&rig->closed);
}

/* As much as the peer takes, and more when it has taken that. */
static inline void stream_paced(void *data)
{
	static char block[65536];
	struct rig *rig = data;
	while (rig->blocks_left > 0 &&
	       !web_stream_wait(rig->request, QUEUE_MAX / 2, stream_paced)) {
		rig->blocks_left--;
		if (!web_stream_send(rig->request, block, sizeof(block)))
			atomic_store(&rig->overflowed, true);
	}
	if (rig->blocks_left == 0)
		web_stream_end(rig->request);
}

/* "/stream": starts and holds; "/stream/flood": sends until the queue is over its cap;
 * "/stream/paced": 64 MiB as they are taken; "/stream/three": three lines and the end. */
static inline void handle_stream(void *data, struct web_request *r)
{
	struct rig *rig = data;
	const char *path = web_path(r);
	rig->request = r;
	web_stream(r, &text_ok, stream_closed, rig);
	if (streq(path, "/stream/flood")) {
		static char block[65536];
		size_t n = 0;
		while (n < 65536 && web_stream_send(r, block, sizeof(block)))
			n++;
		atomic_store(&rig->overflowed, n < 65536);
	} else if (streq(path, "/stream/paced")) {
		rig->blocks_left = 1024;
		stream_paced(rig);
	} else if (streq(path, "/stream/three")) {
		web_stream_send(r, "one\n", 4);
		web_stream_send(r, "", 0);
		web_stream_send(r, "two\n", 4);
		web_stream_send(r, "three\n", 6);
		web_stream_end(r);
	}
	sem_post(&rig->held);
}

/* --- set-up ----------------------------------------------------------------------------------- */

static inline void *rig_run(void *data)
{
	loop_run(data);
	return NULL;
}

static inline void rig_stop_loop(void *data)
{
	loop_stop(data);
}

/* The bytes of the file: position-dependent, so that a wrong offset shows. */
static inline unsigned char rig_byte(size_t at)
{
	return (unsigned char)((at * 2654435761u) >> 13);
}

static inline int rig_make_file(void)
{
	int fd = memfd_create("web", MFD_CLOEXEC);
	unsigned char *bytes = xmalloc(FILE_SIZE);
	for (size_t i = 0; i < FILE_SIZE; i++)
		bytes[i] = rig_byte(i);
	assert_int_equal(pwrite(fd, bytes, FILE_SIZE, 0), FILE_SIZE);
	free(bytes);
	return fd;
}

static inline struct web_server *rig_open(struct rig *rig, const char *cert, const char *key,
					  const char *ca, unsigned max)
{
	struct err err = { 0 };
	const struct web_route routes[] = {
		{ "/", rig->loop, handle_echo, rig, BODY_MAX, 0, NULL },
		{ "/status", rig->loop, handle_status, rig, 100, 0, NULL },
		{ "/small", rig->loop, handle_echo, rig, 10, 0, NULL },
		{ "/file/", rig->loop, handle_file, rig, 0, 0, NULL },
		{ "/hold", rig->loop, handle_hold, rig, 100, 0, NULL },
		{ "/stream", rig->loop, handle_stream, rig, 0, QUEUE_MAX, NULL },
		{ .prefix = NULL },
	};
	const struct web_server_options options = { .name = "test",
						    .address = "127.0.0.1",
						    .cert = cert,
						    .key = key,
						    .client_ca = ca,
						    .routes = routes,
						    .max_connections = max };
	struct web_server *s;
	if (web_server_open(rig->web, &options, &s, &err) < 0)
		fail_msg("%s", err.text);
	return s;
}

static inline struct rig *rig_new(void)
{
	struct rig *rig = xcalloc(1, sizeof(*rig));
	struct err err = { 0 };
	sem_init(&rig->held, 0, 0);
	sem_init(&rig->closed, 0, 0);
	rig->file = rig_make_file();
	if (loop_new(&rig->loop, &err) < 0 || web_new(&rig->web, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(pthread_create(&rig->thread, NULL, rig_run, rig->loop), 0);
	return rig;
}

/* Server, then loop, then thread: what the server posted last still runs. */
static inline void rig_free(struct rig *rig)
{
	rig->server = web_server_close(rig->server);
	loop_post(rig->loop, rig_stop_loop, rig->loop);
	pthread_join(rig->thread, NULL);
	rig->web = web_free(rig->web);
	loop_free(rig->loop);
	close(rig->file);
	sem_destroy(&rig->held);
	sem_destroy(&rig->closed);
	free(rig);
}

static inline int rig_setup(void **state)
{
	struct rig *rig = rig_new();
	rig->server = rig_open(rig, NULL, NULL, NULL, 0);
	*state = rig;
	return 0;
}

static inline int rig_teardown(void **state)
{
	rig_free(*state);
	return 0;
}

/* --- a client that speaks bytes --------------------------------------------------------------- */

static inline int dial_port(uint16_t port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const struct timeval limit = { .tv_sec = WAIT_S };
	const struct sockaddr_in to = { .sin_family = AF_INET,
					.sin_port = htons(port),
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static inline int dial(const struct rig *rig)
{
	return dial_port(web_server_port(rig->server));
}

static inline void say_bytes(int fd, const void *data, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = send(fd, (const char *)data + done, len - done, MSG_NOSIGNAL);
		if (n <= 0)
			return; /* refused early; the answer will tell */
		done += (size_t)n;
	}
}

static inline void say(int fd, const char *text)
{
	say_bytes(fd, text, strlen(text));
}

struct answer {
	int status; /* 0: the connection ended first */
	char *head;
	struct strbuf body;
};

static inline void answer_done(struct answer *a)
{
	free(a->head);
	strbuf_done(&a->body);
}

/* Reads one answer; `in` keeps what lies behind it. */
typedef ssize_t (*read_fn)(void *from, void *buf, size_t len);

static inline bool fill(read_fn rd, void *from, struct strbuf *in)
{
	char buf[65536];
	ssize_t n = rd(from, buf, sizeof(buf));
	if (n < 0)
		fail_msg("read: errno %d", errno);
	strbuf_add(in, buf, (size_t)n);
	return n > 0;
}

static inline const char *answer_header(const struct answer *a, const char *name)
{
	static _Thread_local char value[300];
	_cleanup_(freep) char *needle = xasprintf("\r\n%s: ", name);
	const char *at = a->head ? strstr(a->head, needle) : NULL;
	if (!at)
		return NULL;
	at += strlen(needle);
	snprintf(value, sizeof(value), "%.*s", (int)strcspn(at, "\r"), at);
	return value;
}

static inline void take_sized(read_fn rd, void *from, struct strbuf *in, size_t size,
			      struct answer *a)
{
	while (in->len < size)
		if (!fill(rd, from, in))
			break;
	size_t n = MIN(in->len, size);
	strbuf_add(&a->body, in->data ? in->data : "", n);
	strbuf_consume(in, n);
}

static inline bool take_line(read_fn rd, void *from, struct strbuf *in, char line[64])
{
	char *eol;
	while (!(eol = in->len ? memmem(in->data, in->len, "\r\n", 2) : NULL))
		if (!fill(rd, from, in))
			return false;
	snprintf(line, 64, "%.*s", (int)(eol - in->data), in->data);
	strbuf_consume(in, (size_t)(eol - in->data) + 2);
	return true;
}

static inline bool take_chunk(read_fn rd, void *from, struct strbuf *in, struct answer *a)
{
	char line[64];
	if (!take_line(rd, from, in, line))
		return false;
	size_t size = strtoul(line, NULL, 16), before = a->body.len;
	take_sized(rd, from, in, size, a);
	take_line(rd, from, in, line);
	return a->body.len - before == size && size > 0;
}

static inline struct answer hear_from(read_fn rd, void *from, struct strbuf *in, bool head_only)
{
	struct answer a = { 0 };
	char *end;
	while (!(end = in->len ? memmem(in->data, in->len, "\r\n\r\n", 4) : NULL))
		if (!fill(rd, from, in))
			return a;
	a.head = xstrndup(in->data, (size_t)(end - in->data) + 4);
	strbuf_consume(in, strlen(a.head));
	assert_int_equal(sscanf(a.head, "HTTP/1.1 %d", &a.status), 1);
	if (head_only || a.status == 100)
		return a;
	const char *length = answer_header(&a, "Content-Length");
	if (length)
		take_sized(rd, from, in, strtoul(length, NULL, 10), &a);
	else if (answer_header(&a, "Transfer-Encoding"))
		while (take_chunk(rd, from, in, &a))
			;
	return a;
}

static inline ssize_t read_socket(void *from, void *buf, size_t len)
{
	ssize_t n = recv(*(int *)from, buf, len, 0);
	return n < 0 && errno == ECONNRESET ? 0 : n;
}

static inline struct answer hear(int fd, struct strbuf *in)
{
	return hear_from(read_socket, &fd, in, false);
}

/* One request on a connection of its own. */
static inline struct answer ask(const struct rig *rig, const char *request)
{
	_cleanup_(strbuf_done) struct strbuf in = { 0 };
	int fd = dial(rig);
	say(fd, request);
	struct answer a = hear_from(read_socket, &fd, &in, str_has_prefix(request, "HEAD"));
	close(fd);
	return a;
}

static inline void expect_end(int fd, struct strbuf *in)
{
	while (fill(read_socket, &fd, in))
		;
}
