/* A client for the standalone API and for kube-apiserver alike, that spends little itself:
 *
 *   bench_api PORT CA CERT KEY create FIRST COUNT CONNECTIONS
 *   bench_api PORT CA CERT KEY get    FIRST COUNT CONNECTIONS
 *   bench_api PORT CA CERT KEY patch  FIRST COUNT CONNECTIONS
 *   bench_api PORT CA CERT KEY list   COUNT
 *   bench_api PORT CA CERT KEY watch  COUNT CONNECTIONS VERSION
 *
 * BareMetalHosts host-FIRST and so on, each connection a thread that waits for its answer before it
 * asks again. patch writes the host's number into its description. watch opens all watches from
 * that version, prints a line, and waits until each has seen COUNT changes; the sums of the numbers
 * that came are to be the same everywhere. A watch that its server ends goes on from its last
 * event. Any answer that is not a success ends the program. Prints one JSON object. */

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

#define HOSTS "/apis/metal3.io/v1alpha1/namespaces/default/baremetalhosts"

enum { CONNECTIONS_MAX = 1000, PIECE = 65536 };

static SSL_CTX *tls;
static uint16_t port;

static _Noreturn void die(const char *what, const char *why)
{
	fprintf(stderr, "bench_api: %s: %s\n", what, why);
	exit(EXIT_FAILURE);
}

static unsigned number(const char *text)
{
	uint64_t n;
	if (parse_u64(text, UINT32_MAX, &n) < 0)
		die(text, "is no number in range");
	return (unsigned)n;
}

static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t); // the loop's clock is for what has a loop
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_seconds(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* --- a connection ----------------------------------------------------------------------------- */

struct peer {
	SSL *ssl;
	struct strbuf in; /* received, not used yet, from `at` on */
	size_t at;
	struct strbuf out;
};

static void dial(struct peer *p)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("connect", "failed");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	p->ssl = SSL_new(tls);
	SSL_set_fd(p->ssl, fd);
	if (SSL_connect(p->ssl) != 1)
		die("TLS", "failed");
}

/* One read each: as much as has come. */
static void more(struct peer *p)
{
	strbuf_consume(&p->in, p->at);
	p->at = 0;
	strbuf_reserve(&p->in, PIECE);
	int n = SSL_read(p->ssl, p->in.data + p->in.len, PIECE);
	if (n <= 0)
		die("connection", "ended");
	p->in.len += (size_t)n;
	p->in.data[p->in.len] = '\0';
}

static const char *rest(const struct peer *p)
{
	return p->in.data ? p->in.data + p->at : "";
}

static size_t left(const struct peer *p)
{
	return p->in.len - p->at;
}

/* Until `end` has come; how long it is up to and with it. */
static size_t have(struct peer *p, const char *end)
{
	const char *found;
	while (!(found = strstr(rest(p), end)))
		more(p);
	return (size_t)(found - rest(p)) + strlen(end);
}

static void have_bytes(struct peer *p, size_t len)
{
	while (left(p) < len)
		more(p);
}

/* --- a request -------------------------------------------------------------------------------- */

static void send_request(struct peer *p, const char *method, const char *path, const char *type,
			 const char *body)
{
	strbuf_clear(&p->out);
	strbuf_addf(&p->out, "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n",
		    method, path);
	if (body)
		strbuf_addf(&p->out, "Content-Type: %s\r\nContent-Length: %zu\r\n", type,
			    strlen(body));
	strbuf_addf(&p->out, "\r\n%s", body ? body : "");
	if (SSL_write(p->ssl, p->out.data, (int)p->out.len) <= 0)
		die("connection", "does not take the request");
}

struct head {
	bool chunked;
	size_t length;
};

/* HTTP/1.1 as the two servers answer it: a length, or chunks. */
static struct head read_head(struct peer *p)
{
	size_t len = have(p, "\r\n\r\n");
	_cleanup_(freep) char *text = xstrndup(rest(p), len);
	const char *length = strcasestr(text, "\r\ncontent-length:");
	struct head h = { .chunked = strcasestr(text, "\r\ntransfer-encoding: chunked") };
	if (!str_has_prefix(text, "HTTP/1.1 2"))
		die("answer", rest(p));
	if (length)
		h.length = strtoul(length + strlen("\r\ncontent-length:"), NULL, 10);
	p->at += len;
	return h;
}

/* Length of the next chunk, which is then all there; 0 at the end. */
static size_t next_chunk(struct peer *p)
{
	size_t line = have(p, "\r\n"), len = strtoul(rest(p), NULL, 16);
	p->at += line;
	have_bytes(p, len + 2);
	return len;
}

typedef void (*piece_fn)(void *data, const char *bytes, size_t len);

static void read_body(struct peer *p, piece_fn fn, void *data)
{
	struct head h = read_head(p);
	while (h.chunked) {
		size_t len = next_chunk(p);
		fn(data, rest(p), len);
		p->at += len + 2;
		if (len == 0)
			return;
	}
	for (size_t want = h.length; want > 0;) {
		have_bytes(p, 1);
		size_t len = left(p) < want ? left(p) : want;
		fn(data, rest(p), len);
		p->at += len;
		want -= len;
	}
}

static void ignore(void *data, const char *bytes, size_t len)
{
	(void)data, (void)bytes, (void)len;
}

/* --- single objects --------------------------------------------------------------------------- */

static struct {
	const char *verb;
	unsigned first, count;
	atomic_uint next;
} job;

static const char body_of_host[] =
	"{\"apiVersion\":\"metal3.io/v1alpha1\",\"kind\":\"BareMetalHost\",\"metadata\":{\"name\":"
	"\"host-%05u\",\"namespace\":\"default\",\"labels\":{\"rack\":\"r%u\",\"room\":\"one\"}},"
	"\"spec\":{\"online\":true,\"bootMACAddress\":\"52:54:00:%02x:%02x:%02x\",\"bmc\":{"
	"\"address\":\"redfish://192.0.2.1/redfish/v1/Systems/%u\",\"credentialsName\":\"bmc-%u\"},"
	"\"rootDeviceHints\":{\"deviceName\":\"/dev/sda\"},\"image\":{\"url\":"
	"\"http://images.example/debian-12.qcow2\",\"checksum\":"
	"\"2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\",\"checksumType\":"
	"\"sha256\"},\"userData\":{\"name\":\"user-data\",\"namespace\":\"default\"}}}";

static void ask_one(struct peer *p, unsigned n)
{
	char path[128];
	_cleanup_(freep) char *body = NULL;
	snprintf(path, sizeof(path), "%s/host-%05u", HOSTS, n);
	if (streq(job.verb, "create")) {
		body = xasprintf(body_of_host, n, n % 40, n >> 16 & 255, n >> 8 & 255, n & 255, n,
				 n);
		send_request(p, "POST", HOSTS, "application/json", body);
	} else if (streq(job.verb, "patch")) {
		body = xasprintf("{\"spec\":{\"description\":\"#%u#\"}}", n);
		send_request(p, "PATCH", path, "application/merge-patch+json", body);
	} else {
		send_request(p, "GET", path, NULL, NULL);
	}
	read_body(p, ignore, NULL);
}

/* The next one that nobody has taken. */
static void *work(void *data)
{
	struct peer *p = data;
	unsigned i;
	while ((i = atomic_fetch_add(&job.next, 1)) < job.count)
		ask_one(p, job.first + i);
	return NULL;
}

/* One for each item of an array. */
static void on_threads(void *items, size_t size, unsigned count, void *(*fn)(void *))
{
	pthread_t threads[CONNECTIONS_MAX];
	for (unsigned i = 0; i < count; i++)
		if (pthread_create(&threads[i], NULL, fn, (char *)items + i * size))
			die("thread", "cannot be started");
	for (unsigned i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
}

static struct peer *dial_all(unsigned count)
{
	if (count == 0 || count > CONNECTIONS_MAX)
		die("connections", "1 to 1000");
	struct peer *peers = xcalloc(count, sizeof(*peers));
	for (unsigned i = 0; i < count; i++)
		dial(&peers[i]);
	return peers;
}

static void run_objects(const char *verb, unsigned first, unsigned count, unsigned connections)
{
	struct peer *peers = dial_all(connections);
	double began = seconds(), cpu = cpu_seconds();
	job.verb = verb;
	job.first = first;
	job.count = count;
	on_threads(peers, sizeof(*peers), connections, work);
	printf("{\"seconds\": %.6f, \"cpu\": %.6f, \"count\": %u}\n", seconds() - began,
	       cpu_seconds() - cpu, count);
}

/* --- lists ------------------------------------------------------------------------------------ */

/* Texts of an object that stand in each once, wherever the pieces are cut. */
struct counter {
	const char *text;
	size_t matched, count, bytes;
};

static void count_in(void *data, const char *bytes, size_t len)
{
	struct counter *c = data;
	c->bytes += len;
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] != c->text[c->matched])
			c->matched = 0;
		if (bytes[i] == c->text[c->matched] && c->text[++c->matched] == '\0') {
			c->count++;
			c->matched = 0;
		}
	}
}

static void run_list(unsigned count)
{
	struct peer *p = dial_all(1);
	struct counter c = { .text = "\"bootMACAddress\":" };
	double began = seconds();
	send_request(p, "GET", HOSTS, NULL, NULL);
	read_body(p, count_in, &c);
	double took = seconds() - began;
	if (c.count != count)
		die("list", "holds another number of hosts");
	printf("{\"seconds\": %.6f, \"count\": %zu, \"bytes\": %zu}\n", took, c.count, c.bytes);
}

/* --- watches ---------------------------------------------------------------------------------- */

struct watcher {
	struct peer *peer;
	struct strbuf line;
	char version[24]; /* of the last event */
	unsigned count, resumed;
	unsigned long long sum;
};

static unsigned wanted;

static void open_watch(const struct watcher *w)
{
	_cleanup_(freep) char *path = xasprintf(HOSTS "?watch=true&resourceVersion=%s", w->version);
	send_request(w->peer, "GET", path, NULL, NULL);
}

/* The description's number stands between two marks. */
static void read_event(struct watcher *w, const char *text)
{
	static const char description[] = "\"description\":\"#",
			  version[] = "\"resourceVersion\":\"";
	const char *number_at = strstr(text, description), *version_at = strstr(text, version);
	if (!str_has_prefix(text, "{\"type\":\"MODIFIED\"") || !number_at || !version_at)
		die("watch", text);
	w->sum += strtoul(number_at + strlen(description), NULL, 10);
	w->count++;
	version_at += strlen(version);
	snprintf(w->version, sizeof(w->version), "%.*s", (int)strcspn(version_at, "\""),
		 version_at);
}

/* A line is one event. A server may end a watch at any time; then it goes on where it ended. */
static void read_events(struct watcher *w)
{
	struct peer *p = w->peer;
	size_t len = next_chunk(p);
	if (len > 0)
		strbuf_add(&w->line, rest(p), len);
	p->at += len + 2;
	for (char *end; w->line.len && (end = memchr(w->line.data, '\n', w->line.len));) {
		*end = '\0';
		read_event(w, w->line.data);
		strbuf_consume(&w->line, (size_t)(end + 1 - w->line.data));
	}
	if (len > 0 || w->count == wanted)
		return;
	w->resumed++;
	open_watch(w);
	read_head(p);
}

static void *look(void *data)
{
	struct watcher *w = data;
	while (w->count < wanted)
		read_events(w);
	return NULL;
}

static void run_watch(unsigned count, unsigned connections, const char *version)
{
	struct peer *peers = dial_all(connections);
	struct watcher *watchers = xcalloc(connections, sizeof(*watchers));
	unsigned resumed = 0;
	wanted = count;
	for (unsigned i = 0; i < connections; i++) {
		watchers[i].peer = &peers[i];
		snprintf(watchers[i].version, sizeof(watchers[i].version), "%s", version);
		open_watch(&watchers[i]);
	}
	for (unsigned i = 0; i < connections; i++)
		read_head(&peers[i]);
	printf("watching\n");
	fflush(stdout);
	double began = seconds();
	on_threads(watchers, sizeof(*watchers), connections, look);
	for (unsigned i = 0; i < connections; i++) {
		resumed += watchers[i].resumed;
		if (watchers[i].sum != watchers[0].sum || watchers[i].count != count)
			die("watch", "two saw different changes");
	}
	printf("{\"seconds\": %.6f, \"sum\": %llu, \"resumed\": %u}\n", seconds() - began,
	       watchers[0].sum, resumed);
}

/* ---------------------------------------------------------------------------------------------- */

static void set_up(char **argv)
{
	port = (uint16_t)number(argv[0]);
	tls = SSL_CTX_new(TLS_client_method());
	if (SSL_CTX_load_verify_locations(tls, argv[1], NULL) != 1 ||
	    SSL_CTX_use_certificate_file(tls, argv[2], SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_use_PrivateKey_file(tls, argv[3], SSL_FILETYPE_PEM) != 1)
		die(argv[1], "cannot be read, or the certificate or its key");
	SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
}

int main(int argc, char **argv)
{
	if (argc < 7)
		die("usage", "PORT CA CERT KEY VERB NUMBER...: see test/bench/api.c");
	const char *verb = argv[5];
	set_up(argv + 1);
	if (streq(verb, "list") && argc == 7)
		run_list(number(argv[6]));
	else if (streq(verb, "watch") && argc == 9)
		run_watch(number(argv[6]), number(argv[7]), argv[8]);
	else if (argc == 9)
		run_objects(verb, number(argv[6]), number(argv[7]), number(argv[8]));
	else
		die(verb, "takes other arguments");
	return 0;
}
