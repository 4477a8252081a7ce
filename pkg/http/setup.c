/* From struct http_request to curl's options. Nothing is left to curl's defaults that the
 * environment or a build could change: protocols, proxies, trust, redirects (followed by op.c, so
 * that no credential of whatever header goes along to another host). */

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "crypt/tls.h"
#include "http/internal.h"
#include "net/net.h"

static void curl_freep(char **p)
{
	curl_free(*p);
}

/* --- headers
 * --------------------------------------------------------------------------------------- */

/* Curl's list, but with nodes of our own, so that credentials can be zeroed. */
static void add_header(struct http_op *op, char *line)
{
	struct curl_slist *node = xcalloc(1, sizeof(*node)), **end = &op->headers;
	node->data = line;
	while (*end)
		end = &(*end)->next;
	*end = node;
}

struct curl_slist *http_setup_free_headers(struct curl_slist *list)
{
	while (list) {
		struct curl_slist *next = list->next;
		secret_free(list->data);
		free(list);
		list = next;
	}
	return NULL;
}

static bool is_line(const char *s)
{
	return !s || !strpbrk(s, "\r\n");
}

static void add_basic(struct http_op *op, const char *username, const char *password)
{
	_cleanup_(secret_freep) char *pair = xasprintf("%s:%s", username, password ? password : "");
	_cleanup_(secret_freep) char *encoded = base64_encode(pair, strlen(pair));
	add_header(op, xasprintf("Authorization: Basic %s", encoded));
}

static int add_headers(struct http_op *op, const struct http_request *request, struct err *err)
{
	for (const char *const *h = request->headers; h && *h; h++) {
		const char *colon = strchr(*h, ':');
		if (!colon || colon == *h || !is_line(*h))
			return err_set(err, ERR_INVALID, "a request header is not \"Name: value\"");
		/* Curl reads "Name:" as "leave it out"; "Name;" is its way to say empty. */
		if (colon[1 + strspn(colon + 1, " \t")] == '\0')
			add_header(op, xasprintf("%.*s;", (int)(colon - *h), *h));
		else
			add_header(op, xstrdup(*h));
	}
	if (!is_line(request->content_type) || !is_line(request->bearer))
		return err_set(err, ERR_INVALID, "line break in content type or token");
	if (request->content_type)
		add_header(op, xasprintf("Content-Type: %s", request->content_type));
	else
		add_header(op, xstrdup("Content-Type:")); /* none, not curl's guess of a form */
	if (request->bearer)
		add_header(op, xasprintf("Authorization: Bearer %s", request->bearer));
	else if (request->username)
		add_basic(op, request->username, request->password);
	add_header(op, xstrdup("Expect:")); /* no waiting for 100 Continue: BMCs ignore it */
	return 0;
}

/* What may go along to another host: conditions and ranges, no credentials of any name. */
static const char *const harmless[] = { "Accept", "Range",	   "If-Range", "If-Match",
					"Expect", "If-None-Match", NULL };

static bool is_harmless(const char *line)
{
	size_t len = strcspn(line, ":;");
	for (const char *const *h = harmless; *h; h++)
		if (strlen(*h) == len && strncasecmp(*h, line, len) == 0)
			return true;
	return false;
}

static void drop_headers(struct http_op *op)
{
	for (struct curl_slist **at = &op->headers; *at;) {
		struct curl_slist *node = *at;
		if (is_harmless(node->data)) {
			at = &node->next;
			continue;
		}
		*at = node->next;
		secret_free(node->data);
		free(node);
	}
}

/* --- URL
 * ------------------------------------------------------------------------------------------- */

static char *url_part(CURLU *url, CURLUPart part, unsigned flags)
{
	_cleanup_(curl_freep) char *text = NULL;
	return curl_url_get(url, part, &text, flags) == CURLUE_OK ? xstrdup(text) : NULL;
}

/* Libcurl 7.88 forgets the zone of a link-local address. */
static CURLU *copy_url(CURLU *url)
{
	CURLU *copy = curl_url_dup(url);
	_cleanup_(freep) char *zone = url_part(url, CURLUPART_ZONEID, 0);
	if (zone)
		curl_url_set(copy, CURLUPART_ZONEID, zone, 0);
	return copy;
}

/* Of the URL: what may be shown, the host, and userinfo out of it. */
static int read_url(struct http_op *op, struct err *err)
{
	_cleanup_(freep) char *scheme = url_part(op->url, CURLUPART_SCHEME, 0);
	_cleanup_(freep) char *port = url_part(op->url, CURLUPART_PORT, 0);
	_cleanup_(freep) char *path = url_part(op->url, CURLUPART_PATH, 0);
	_cleanup_(freep) char *host = url_part(op->url, CURLUPART_HOST, 0);
	if (!scheme || !str_has_prefix(scheme, "http") || str_empty(host))
		return err_set(err, ERR_INVALID, "not an http or https URL with a host");
	curl_url_set(op->url, CURLUPART_USER, NULL, 0);
	curl_url_set(op->url, CURLUPART_PASSWORD, NULL, 0);
	curl_url_set(op->url, CURLUPART_OPTIONS, NULL, 0);
	curl_url_set(op->url, CURLUPART_FRAGMENT, NULL, 0);
	free(op->shown);
	op->shown = xasprintf("%s://%s%s%s%s", scheme, host, port ? ":" : "", port ? port : "",
			      str_or(path, "/"));
	str_replace(&op->host, host);
	return 0;
}

static int parse_url(struct http_op *op, const struct http_request *request, struct err *err)
{
	op->url = curl_url();
	if (curl_url_set(op->url, CURLUPART_URL, str_or(request->url, ""), 0) != CURLUE_OK)
		return err_set(err, ERR_INVALID,
			       "the URL cannot be read: it must be complete, begin with "
			       "http:// or https:// and have no blanks");
	_cleanup_(secret_freep) char *user = url_part(op->url, CURLUPART_USER, CURLU_URLDECODE);
	_cleanup_(secret_freep) char *password = url_part(op->url, CURLUPART_PASSWORD,
							  CURLU_URLDECODE);
	if (user && !request->username && !request->bearer)
		add_basic(op, user, password);
	return read_url(op, err);
}

/* --- the request
 * ------------------------------------------------------------------------------------- */

static bool is_method(const char *s)
{
	for (const char *p = s; *p; p++)
		if ((*p < 'A' || *p > 'Z') && (*p < 'a' || *p > 'z'))
			return false;
	return *s != '\0';
}

int http_setup_request(struct http_op *op, const struct http_request *request, struct err *err)
{
	op->method = xstrdup(request->method ? request->method : "GET");
	op->what = xstrdup(request->what);
	op->key = xstrdup(request->key);
	op->tls = request->tls;
	op->proxy = xstrdup(request->proxy);
	op->no_proxy = xstrdup(request->no_proxy);
	op->unix_socket = xstrdup(request->unix_socket);
	op->connect_timeout = request->connect_timeout ? request->connect_timeout
						       : 10 * USEC_PER_SEC;
	op->timeout = request->timeout;
	op->idle_timeout = request->idle_timeout;
	op->max_redirects = request->max_redirects;
	op->max_body = request->max_body_bytes ? request->max_body_bytes : BODY_MAX;
	op->accept_gzip = request->accept_gzip;
	op->same_origin = true;
	if (request->body_len > 0)
		op->body = xmemdup(request->body, request->body_len);
	op->body_len = request->body_len;
	op->resend = !request->once && !streq(op->method, "POST");
	if (!is_method(op->method))
		return err_set(err, ERR_INVALID, "\"%s\" is no HTTP method", op->method);
	int r = parse_url(op, request, err);
	return r < 0 ? r : add_headers(op, request, err);
}

/* --- options
 * ----------------------------------------------------------------------------------------- */

/* Each connection passes here after resolution, those of redirects included. */
static curl_socket_t open_socket(void *data, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct http_op *op = data;
	struct net_addr a;
	if (op->unix_socket)
		return socket(to->family, to->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
			      to->protocol);
	if (purpose != CURLSOCKTYPE_IPCXN || net_from_sockaddr(&to->addr, to->addrlen, &a) < 0)
		return CURL_SOCKET_BAD;
	a = net_unmap(&a);
	if (net_policy_check(op->client->policy, &a, &op->denied) < 0 || !http_op_may_send(op))
		return CURL_SOCKET_BAD;
	int fd = socket(to->family, to->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, to->protocol);
	/* A peer that is gone while we send shows after this, not after the kernel's 15 minutes. */
	unsigned limit_ms = 60 * 1000;
	if (fd >= 0)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit_ms, sizeof(limit_ms));
	return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static CURLcode prepare_context(CURL *easy, void *ssl_ctx, void *legacy)
{
	(void)easy;
	crypt_tls_cleanse(ssl_ctx);
	if (legacy)
		crypt_tls_allow_legacy(ssl_ctx);
	return CURLE_OK;
}

static void set_blob(CURL *easy, CURLoption option, const char *pem)
{
	struct curl_blob blob = { (char *)(uintptr_t)pem, strlen(pem), CURL_BLOB_NOCOPY };
	curl_easy_setopt(easy, option, &blob);
}

static void set_trust(CURL *easy, const struct http_tls *tls)
{
	const char *anchor = tls->pinned ? tls->pinned : tls->ca;
	if (anchor) {
		/* An end certificate is a good anchor too: curl asks OpenSSL for partial chains. */
		curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
		set_blob(easy, CURLOPT_CAINFO_BLOB, anchor);
	}
	/* A pinned certificate is compared as a whole (op.c), which no chain makes better. */
	bool chain = !tls->insecure && !tls->pinned_sha256;
	bool names = chain && !tls->no_name_check;
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, chain ? 1L : 0L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, names ? 2L : 0L);
}

static void set_tls(struct http_op *op)
{
	CURL *easy = op->easy;
	const struct http_tls *tls = op->tls;
	bool legacy = tls && tls->legacy;
	curl_easy_setopt(easy, CURLOPT_SSLVERSION,
			 legacy ? (long)CURL_SSLVERSION_TLSv1_0 : (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, prepare_context);
	curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, legacy ? op : NULL);
	if (!tls)
		return;
	set_trust(easy, tls);
	if (tls->cert && tls->key && op->same_origin) {
		curl_easy_setopt(easy, CURLOPT_SSLCERTTYPE, "PEM");
		curl_easy_setopt(easy, CURLOPT_SSLKEYTYPE, "PEM");
		set_blob(easy, CURLOPT_SSLCERT_BLOB, tls->cert);
		set_blob(easy, CURLOPT_SSLKEY_BLOB, tls->key);
	}
	if (!legacy)
		return;
	curl_easy_setopt(easy, CURLOPT_SSL_CIPHER_LIST, "DEFAULT@SECLEVEL=0");
	curl_easy_setopt(easy, CURLOPT_SSL_ENABLE_ALPN, 0L);
}

/* Curl takes SNI and the name to check from the URL: so the URL gets that name, the connection goes
 * to the true host, and the Host header says what it would have said. */
static char *rename_host(struct http_op *op, CURLU *url)
{
	const char *name = op->tls->server_name;
	_cleanup_(freep) char *port = url_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
	_cleanup_(freep) char *shown_port = url_part(url, CURLUPART_PORT, 0);
	_cleanup_(freep) char *line = xasprintf("%s:%s:%s:%s", name, port, op->host, port);
	if (curl_url_set(url, CURLUPART_HOST, name, 0) != CURLUE_OK)
		return NULL;
	curl_slist_free_all(op->connect_to);
	op->connect_to = curl_slist_append(NULL, line);
	curl_easy_setopt(op->easy, CURLOPT_CONNECT_TO, op->connect_to);
	if (!op->host_header) {
		op->host_header = xasprintf("Host: %s%s%s", op->host, shown_port ? ":" : "",
					    shown_port ? shown_port : "");
		add_header(op, xstrdup(op->host_header));
	}
	return url_part(url, CURLUPART_URL, 0);
}

static void curlu_freep(CURLU **p)
{
	curl_url_cleanup(*p);
}

static int set_url(struct http_op *op, struct err *err)
{
	_cleanup_(curlu_freep) CURLU *url = copy_url(op->url);
	bool rename = op->same_origin && op->tls && op->tls->server_name;
	_cleanup_(freep) char *text = rename ? rename_host(op, url)
					     : url_part(url, CURLUPART_URL, 0);
	if (!text)
		return err_set(err, ERR_INVALID, "\"%s\" is no name that a server can have",
			       rename ? op->tls->server_name : op->host);
	curl_easy_setopt(op->easy, CURLOPT_URL, text);
	return 0;
}

/* Without a body curl repeats a request when a kept connection breaks, without asking: what must
 * not be repeated gets a fresh one. */
static void set_method(struct http_op *op)
{
	CURL *easy = op->easy;
	bool body = op->body_len > 0 || streq(op->method, "POST") || streq(op->method, "PUT") ||
		    streq(op->method, "PATCH");
	if (streq(op->method, "HEAD")) {
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
		return;
	}
	if (body) {
		curl_easy_setopt(easy, CURLOPT_POST, 1L);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)op->body_len);
		curl_easy_setopt(easy, CURLOPT_READFUNCTION, http_op_on_read);
		curl_easy_setopt(easy, CURLOPT_READDATA, op);
		curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, http_op_on_seek);
		curl_easy_setopt(easy, CURLOPT_SEEKDATA, op);
	}
	if (!op->resend && op->body_len == 0)
		curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, op->method);
}

static void set_connection(struct http_op *op)
{
	CURL *easy = op->easy;
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	/* A cancelled request must not wait for its resolver thread. */
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	/* "" is none, whatever the environment says. */
	curl_easy_setopt(easy, CURLOPT_PROXY, str_or(op->proxy, ""));
	curl_easy_setopt(easy, CURLOPT_NOPROXY, str_or(op->no_proxy, ""));
	curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, op->unix_socket);
	curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
			 (long)MAX(op->connect_timeout / USEC_PER_MSEC, UINT64_C(1)));
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, 30L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, 15L);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, op);
}

static void set_callbacks(struct http_op *op)
{
	CURL *easy = op->easy;
	curl_easy_setopt(easy, CURLOPT_PRIVATE, op);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, op->curl_text);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, http_op_on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, op);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, http_op_on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, op);
	curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, http_op_on_request);
	curl_easy_setopt(easy, CURLOPT_PREREQDATA, op);
}

int http_setup_easy(struct http_op *op, struct err *err)
{
	set_connection(op);
	set_callbacks(op);
	set_tls(op);
	set_method(op);
	curl_easy_setopt(op->easy, CURLOPT_USERAGENT, op->client->user_agent);
	if (op->accept_gzip)
		curl_easy_setopt(op->easy, CURLOPT_ACCEPT_ENCODING, "gzip");
	int r = set_url(op, err);
	curl_easy_setopt(op->easy, CURLOPT_HTTPHEADER, op->headers);
	return r;
}

/* --- redirects
 * --------------------------------------------------------------------------------------- */

static bool same_part(CURLU *a, CURLU *b, CURLUPart part)
{
	_cleanup_(freep) char *x = url_part(a, part, CURLU_DEFAULT_PORT);
	_cleanup_(freep) char *y = url_part(b, part, CURLU_DEFAULT_PORT);
	return x && y && strcasecmp(x, y) == 0;
}

/* The same link-local address in another zone is another machine. A machine cannot know by which
 * zone it is reached: without one, it means the one where it was. */
static bool same_zone(CURLU *from, CURLU *to)
{
	_cleanup_(freep) char *x = url_part(from, CURLUPART_ZONEID, 0);
	_cleanup_(freep) char *y = url_part(to, CURLUPART_ZONEID, 0);
	if (x && !y)
		return curl_url_set(to, CURLUPART_ZONEID, x, 0) == CURLUE_OK;
	return streq(x, y);
}

/* RFC 9110 15.4: 303 means GET; so do 301 and 302 after a POST, as all clients do. */
static void redirect_method(struct http_op *op)
{
	int status = op->response.status;
	bool to_get = status == 303 ? !streq(op->method, "HEAD")
				    : status < 303 && streq(op->method, "POST");
	if (!to_get)
		return;
	str_replace(&op->method, "GET");
	secret_zero(op->body, op->body_len);
	op->body_len = 0;
}

static int leave_origin(struct http_op *op, struct err *err)
{
	if (op->body_len > 0)
		return err_set_code(
			err, ERR_DENIED, op->response.status,
			"redirected to another host, which must not get what was to be sent");
	op->same_origin = false;
	drop_headers(op);
	curl_slist_free_all(op->connect_to);
	op->connect_to = NULL;
	return 0;
}

int http_setup_redirect(struct http_op *op, struct err *err)
{
	_cleanup_(curlu_freep) CURLU *to = copy_url(op->url);
	if (str_empty(op->response.location) ||
	    curl_url_set(to, CURLUPART_URL, op->response.location, CURLU_URLENCODE) != CURLUE_OK)
		return err_set_code(err, ERR_PROTOCOL, op->response.status,
				    "redirect (%d) without a usable Location", op->response.status);
	_cleanup_(freep) char *from_scheme = url_part(op->url, CURLUPART_SCHEME, 0);
	_cleanup_(freep) char *to_scheme = url_part(to, CURLUPART_SCHEME, 0);
	if (streq(from_scheme, "https") && streq(to_scheme, "http"))
		return err_set_code(
			err, ERR_DENIED, op->response.status,
			"redirected from https to http, which is refused: give the http "
			"URL itself if that is meant");
	redirect_method(op);
	bool stay = same_part(op->url, to, CURLUPART_SCHEME) &&
		    same_part(op->url, to, CURLUPART_HOST) && same_zone(op->url, to) &&
		    same_part(op->url, to, CURLUPART_PORT);
	int r = stay ? 0 : leave_origin(op, err);
	if (r < 0)
		return r;
	curl_url_cleanup(op->url);
	op->url = TAKE_PTR(to);
	return read_url(op, err);
}
