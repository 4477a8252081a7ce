/* Handshakes that fail, told by OpenSSL's information callback: an agent that does not trust our
 * certificate says so in an alert and goes, and without a line here a person sees a machine that
 * waits for nothing. One line for each address in ten minutes, ten lines a minute for all, and what
 * was left out is counted in the next. Service thread. */

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "web/internal.h"

#define PEER_PAUSE (10 * USEC_PER_MIN)
#define WINDOW	   USEC_PER_MIN

enum {
	LINES = 10,
	NO_ALERT = -1,
	PLAIN_HTTP = -2, /* no alert, either */
};

static int server_index = -1;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_index(void)
{
	server_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

/* --- how often ------------------------------------------------------------------------------- */

static bool was_told(const struct tls_log *l, const char *peer, usec_t now)
{
	for (size_t i = 0; i < TLS_LOG_PEERS; i++)
		if (streq(l->peers[i].address, peer) && now < l->peers[i].at + PEER_PAUSE)
			return true;
	return false;
}

bool web_tls_log_take(struct tls_log *l, const char *peer, usec_t now)
{
	if (was_told(l, peer, now))
		return false;
	if (l->lines == 0 || now >= l->window + WINDOW) {
		l->window = now;
		l->lines = 0;
	}
	if (l->lines >= LINES) {
		l->left_out++;
		return false;
	}
	l->lines++;
	snprintf(l->peers[l->next].address, sizeof(l->peers[0].address), "%s", peer);
	l->peers[l->next].at = now;
	l->next = (l->next + 1) % TLS_LOG_PEERS;
	return true;
}

/* --- what ------------------------------------------------------------------------------------ */

/* By the alert that the client sent. */
static const char *hint_for(int alert)
{
	switch (alert) {
	case PLAIN_HTTP:
		return "this port speaks HTTPS: does the client's URL begin with http:?";
	case SSL_AD_UNKNOWN_CA:
	case SSL_AD_BAD_CERTIFICATE:
	case SSL_AD_CERTIFICATE_UNKNOWN:
		return "the client does not trust this server's certificate: does it have the installation's CA?";
	case SSL_AD_CERTIFICATE_EXPIRED:
		return "the client takes this server's certificate for expired: are both clocks right?";
	case SSL_AD_PROTOCOL_VERSION:
	case SSL_AD_HANDSHAKE_FAILURE:
	case SSL_AD_INSUFFICIENT_SECURITY:
		return "client and server have no TLS version or cipher in common";
	default: /* lint: foreign enum */
		return NULL;
	}
}

static void tell(struct web_server *s, const SSL *ssl, const char *what, const char *why, int alert)
{
	/* The socket itself forgets the address of a peer that has gone. */
	const char *address = web_conn_peer_of(s, SSL_get_fd(ssl));
	char left_out[16];
	if (!address || !web_tls_log_take(&s->tls_log, address, (usec_t)lws_now_usecs()))
		return;
	snprintf(left_out, sizeof(left_out), "%u", s->tls_log.left_out);
	log_warn(what, "server", s->name, "peer", address, "error", why, "hint", hint_for(alert),
		 "not_logged_before", s->tls_log.left_out ? left_out : NULL);
	s->tls_log.left_out = 0;
}

/* An alert has its level in the upper byte. A handshake that only waits for the peer ends its call
 * without an error; a peer that goes without a word (a probe of the port) is none of this. */
static void on_event(const SSL *ssl, int where, int ret)
{
	struct web_server *s = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), server_index);
	unsigned long code = ERR_peek_last_error();
	int reason = ERR_GET_REASON(code);
	if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT && ret >> 8 == SSL3_AL_FATAL)
		tell(s, ssl, "a client broke off TLS", SSL_alert_desc_string_long(ret), ret & 0xff);
	else if (where == SSL_CB_ACCEPT_EXIT && ret <= 0 && code &&
		 reason != SSL_R_UNEXPECTED_EOF_WHILE_READING)
		tell(s, ssl, "TLS handshake failed",
		     str_or(ERR_reason_error_string(code), "no reason given"),
		     reason == SSL_R_HTTP_REQUEST ? PLAIN_HTTP : NO_ALERT);
}

void web_tls_log_install(SSL_CTX *ctx, struct web_server *s)
{
	pthread_once(&once, make_index);
	SSL_CTX_set_ex_data(ctx, server_index, s);
	SSL_CTX_set_info_callback(ctx, on_event);
}
