/* The shared port: see shared.h. */

#include "site/shared.h"

#include <unistd.h>

#include "base/log.h"

#define ONE_YEAR (365 * 24 * USEC_PER_HOUR)

enum { ROUTES_MAX = 16 };

static struct web_server_options listener(const struct site_shared *s,
					  char address[NET_IP_TEXT_MAX])
{
	return (struct web_server_options){ .name = "shared",
					    .address = net_format_ip(&s->bind, address),
					    .port = net_port(&s->bind) };
}

int site_shared_bind(struct site_shared *s, const struct net_addr *bind, struct err *err)
{
	char address[NET_IP_TEXT_MAX];
	s->bind = *bind;
	const struct web_server_options o = listener(s, address);
	int fd = web_bind(&o, err);
	if (fd < 0)
		return err_wrap(err, "--shared-bind");
	s->fd = fd;
	return 0;
}

/* It names what pki.c's certificate of the API names, and where agents know us. */
static int make_certificate(const struct site_shared *s, struct crypt_pair *ret, struct err *err)
{
	char texts[3][NET_IP_TEXT_MAX], host[256] = "";
	const char *addresses[6] = { "127.0.0.1", "::1" }, *names[3] = { "localhost" };
	const struct net_addr *const ours[] = { &s->bind, &s->addresses.v4, &s->addresses.v6 };
	size_t n = 2;
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		if (net_is_set(ours[i]) && !net_is_unspecified(ours[i]))
			addresses[n++] = net_format_ip(ours[i], texts[i]);
	if (gethostname(host, sizeof(host) - 1) == 0 && *host)
		names[1] = host;
	usec_t now = loop_wall(s->loop);
	const struct crypt_cert_spec spec = { .common_name = "ingot shared",
					      .dns_names = names,
					      .addresses = addresses,
					      .not_before = now - USEC_PER_HOUR,
					      .not_after = now + ONE_YEAR,
					      .server = true };
	return crypt_make_cert(&spec, s->ca, ret, err);
}

static int open_server(struct site_shared *s, const struct site_shared_options *o, struct err *err)
{
	char address[NET_IP_TEXT_MAX], text[NET_TEXT_MAX];
	struct web_route routes[ROUTES_MAX] = { *o->api };
	size_t n = 1;
	for (const struct web_route *r = o->parts; r->prefix && n < ROUTES_MAX - 1; r++)
		routes[n++] = *r;
	struct web_server_options w = listener(s, address);
	w.cert = s->cert.cert;
	w.key = s->cert.key;
	w.client_ca = s->ca->cert;
	w.routes = routes;
	w.chunked = true;
	w.share_percent = o->share_percent;
	w.bound = s->fd;
	s->fd = 0;
	int r = web_server_open(s->web, &w, &s->server, err);
	if (r < 0)
		return r;
	struct net_addr bound = s->bind;
	net_set_port(&bound, web_server_port(s->server));
	log_info("listening", "for", "API, agents and boot files", "address",
		 net_format(&bound, text));
	return 0;
}

/* A process may run for longer than a year, and clocks are set. What cannot be replaced is kept,
 * and the next look tries again. */
static void renew(struct site_shared *s)
{
	struct crypt_pair fresh = { 0 };
	struct err err;
	int r = make_certificate(s, &fresh, &err);
	if (r == 0)
		r = web_server_set_certificate(s->server, fresh.cert, fresh.key, &err);
	if (r < 0) {
		log_warn("the certificate of --shared-bind cannot be renewed", "error", err.text);
		crypt_pair_release(&fresh);
		return;
	}
	crypt_pair_release(&s->cert);
	s->cert = fresh;
}

static void look_at_validity(void *data)
{
	struct site_shared *s = data;
	usec_t wall = loop_wall(s->loop), from, to;
	if (crypt_cert_validity(s->cert.cert, &from, &to, NULL) < 0 || from > wall ||
	    to <= wall + VALIDITY_SOON)
		renew(s);
	validity_look(&s->seen, s->cert.cert, wall);
	timer_set_in(&s->validity, VALIDITY_LOOK);
}

int site_shared_open(struct site_shared *s, const struct site_shared_options *options,
		     struct err *err)
{
	if (!s->fd)
		return 0;
	s->loop = options->loop;
	s->ca = options->ca;
	s->addresses = options->addresses;
	int r = make_certificate(s, &s->cert, err);
	if (r == 0)
		r = web_new(&s->web, err);
	if (r == 0)
		r = open_server(s, options, err);
	if (r < 0)
		return err_wrap(err, "--shared-bind");
	s->seen = (struct validity){ "shared", "nothing: it is renewed", 0, 0 };
	timer_init(&s->validity, s->loop, "validity", look_at_validity, s);
	look_at_validity(s);
	return 0;
}

void site_shared_close(struct site_shared *s)
{
	if (s->server)
		timer_stop(&s->validity);
	s->server = web_server_close(s->server);
	s->web = web_free(s->web);
	crypt_pair_release(&s->cert);
	if (s->fd)
		close(s->fd);
	s->fd = 0;
}
