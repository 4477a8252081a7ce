/* Words for what can go wrong with an HTTP request: what happened, and what to do where that helps.
 * By table from curl's codes; the three that have many causes (connecting, trusting, waiting) look
 * closer. Method, URL and purpose are put in front by op.c. Bodies and credentials never come here.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "crypt/tls.h"
#include "http/internal.h"

static const struct {
	CURLcode code;
	enum err_kind kind;
	const char *text;
	bool detail; /* curl's own text (TLS library reasons) is added */
} rows[] = {
	{ CURLE_COULDNT_RESOLVE_PROXY, ERR_UNREACHABLE, "the proxy's name is not known: check it",
	  0 },
	{ CURLE_SSL_CIPHER, ERR_PROTOCOL, "no TLS cipher in common", true },
	{ CURLE_SSL_CERTPROBLEM, ERR_INVALID,
	  "our client certificate or its key cannot be used: check that they are PEM and a pair",
	  true },
	{ CURLE_SSL_CACERT_BADFILE, ERR_INVALID,
	  "the CA certificate to trust cannot be read: it must be PEM", true },
	{ CURLE_GOT_NOTHING, ERR_UNREACHABLE, "the connection was closed without an answer",
	  false },
	{ CURLE_SEND_ERROR, ERR_UNREACHABLE, "the connection broke while sending", true },
	{ CURLE_SEND_FAIL_REWIND, ERR_UNREACHABLE,
	  "the connection broke while sending; whether it was done is not known", false },
	{ CURLE_RECV_ERROR, ERR_UNREACHABLE, "the connection broke while receiving", true },
	{ CURLE_PARTIAL_FILE, ERR_PROTOCOL, "the connection was closed in the middle of the answer",
	  0 },
	{ CURLE_WEIRD_SERVER_REPLY, ERR_PROTOCOL, "what answers there does not speak HTTP", false },
	{ CURLE_UNSUPPORTED_PROTOCOL, ERR_PROTOCOL, "what answers there does not speak HTTP/1",
	  false },
	{ CURLE_BAD_CONTENT_ENCODING, ERR_PROTOCOL, "the answer's compression is broken", false },
	{ CURLE_URL_MALFORMAT, ERR_INVALID, "the URL cannot be read", false },
	{ CURLE_PROXY, ERR_UNREACHABLE, "the proxy does not connect us", true },
	{ CURLE_OUT_OF_MEMORY, ERR_INTERNAL, "out of memory", false },
};

static void add_detail(const struct http_op *op, struct err *ret)
{
	size_t len = strlen(ret->text);
	if (op->curl_text[0])
		snprintf(ret->text + len, sizeof(ret->text) - len, ": %s", op->curl_text);
}

static void by_table(const struct http_op *op, CURLcode code, struct err *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].code != code)
			continue;
		bool other = code == CURLE_WEIRD_SERVER_REPLY || code == CURLE_UNSUPPORTED_PROTOCOL;
		err_set_code(ret, rows[i].kind, other ? EPROTONOSUPPORT : 0, "%s", rows[i].text);
		if (rows[i].detail)
			add_detail(op, ret);
		return;
	}
	err_set(ret, ERR_IO, "%s", curl_easy_strerror(code));
	add_detail(op, ret);
}

/* The other side speaks something else, or has said no in so many words: it will not change its
 * mind. EPROTONOSUPPORT tells it apart from a handshake that broke off. */
static void handshake(const struct http_op *op, struct err *ret)
{
	static const char *const no_tls[] = { "wrong version number", "packet length too long",
					      "http request", "unknown protocol" };
	for (size_t i = 0; i < ARRAY_SIZE(no_tls); i++)
		if (strstr(op->curl_text, no_tls[i])) {
			err_set_code(
				ret, ERR_PROTOCOL, EPROTONOSUPPORT,
				"what answers there does not speak TLS: is it http, or another "
				"port?");
			return;
		}
	bool alert = strstr(op->curl_text, "alert");
	err_set_code(ret, ERR_PROTOCOL, alert ? EPROTONOSUPPORT : 0, "TLS handshake failed");
	add_detail(op, ret);
}

static void refused(const struct http_op *op, struct err *ret)
{
	long os = 0;
	curl_easy_getinfo(op->easy, CURLINFO_OS_ERRNO, &os);
	if (op->denied.kind != ERR_NONE)
		err_copy(ret, &op->denied);
	else if (os == ECONNREFUSED)
		err_set_code(ret, ERR_UNREACHABLE, ECONNREFUSED,
			     "connection refused: is the service running, and on that port?");
	else if (os == EHOSTUNREACH || os == ENETUNREACH)
		err_set_code(ret, ERR_UNREACHABLE, (int)os,
			     "no route to %s; check that it is running and reachable", op->host);
	else
		err_set_code(ret, ERR_UNREACHABLE, (int)os, "cannot connect%s%s", os ? ": " : "",
			     os ? strerrordesc_np((int)os) : "");
}

static void not_trusted(const struct http_op *op, struct err *ret)
{
	long verdict = 0;
	curl_easy_getinfo(op->easy, CURLINFO_SSL_VERIFYRESULT, &verdict);
	const char *name = op->tls && op->tls->server_name ? op->tls->server_name : op->host;
	/* Curl checks the name itself, after OpenSSL was content; it leaves "unspecified" (1) then.
	 */
	if (verdict <= 1)
		err_set(ret, ERR_DENIED, "the server's certificate is not for %s", name);
	else if (op->tls && op->tls->pinned)
		err_set(ret, ERR_DENIED,
			"the server's certificate is not the one that was pinned: %s",
			crypt_tls_verify_text(verdict));
	else
		err_set(ret, ERR_DENIED,
			"the server's certificate is not trusted: %s; give the CA that signed it",
			crypt_tls_verify_text(verdict));
}

static double seconds(usec_t span)
{
	return (double)span / (double)USEC_PER_SEC;
}

static void too_late(const struct http_op *op, struct err *ret)
{
	usec_t limit = op->timeout;
	if (op->stop == STOP_NONE)
		limit = op->connect_timeout; /* the only limit that curl itself keeps */
	if (op->stop == STOP_IDLE)
		err_set(ret, ERR_TIMEOUT, "nothing came for %g s", seconds(op->idle_timeout));
	else if (!op->started)
		err_set(ret, ERR_TIMEOUT,
			"could not connect to %s within %g s; check that it is running and reachable",
			op->host, seconds(limit));
	else
		err_set(ret, ERR_TIMEOUT, "%s within %g s",
			op->head_done ? "the answer did not end" : "connected, but no answer",
			seconds(limit));
}

static bool by_us(const struct http_op *op, struct err *ret)
{
	switch (op->stop) {
	case STOP_HANDLER:
		err_set_code(ret, ERR_CANCELLED, op->stop_code, "its reader gave up");
		return true;
	case STOP_BODY_MAX:
		err_set(ret, ERR_LIMIT, "the answer is longer than the %zu bytes allowed",
			op->max_body);
		return true;
	case STOP_HEAD_MAX:
		err_set(ret, ERR_LIMIT, "the answer's headers are longer than %d bytes", HEAD_MAX);
		return true;
	case STOP_DEADLINE:
	case STOP_IDLE:
		too_late(op, ret);
		return true;
	case STOP_PIN:
		err_set(ret, ERR_DENIED,
			"the server's certificate is not the one whose SHA-256 was pinned: if it "
			"was replaced on purpose, pin the new one");
		return true;
	case STOP_FENCE:
		err_set(ret, ERR_CANCELLED, "not sent: this instance is no longer the leader");
		return true;
	case STOP_NONE:
	case STOP_REDIRECT:
		return false;
	}
	return false;
}

void http_op_error(const struct http_op *op, CURLcode code, struct err *ret)
{
	if (by_us(op, ret))
		return;
	if (code == CURLE_COULDNT_RESOLVE_HOST)
		err_set(ret, ERR_UNREACHABLE, "the name %s is not known: check it and the DNS",
			op->host);
	else if (code == CURLE_COULDNT_CONNECT)
		refused(op, ret);
	else if (code == CURLE_SSL_CONNECT_ERROR)
		handshake(op, ret);
	else if (code == CURLE_PEER_FAILED_VERIFICATION)
		not_trusted(op, ret);
	else if (code == CURLE_OPERATION_TIMEDOUT)
		too_late(op, ret);
	else
		by_table(op, code, ret);
}
