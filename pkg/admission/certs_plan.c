/* What to do next about the webhook's certificates. Pure but for the keys that are made. */

#include "admission/certs_plan.h"

#include <stdlib.h>
#include <string.h>

#include "api/secret.h"
#include "base/mem.h"
#include "crypt/tls.h"
#include "kube/client.h"
#include "net/net.h"

enum { NAMES_MAX = 16, CA_LIVES = 3 };

#define LOOK_EVERY  (24 * USEC_PER_HOUR)
#define CLOCK_SLACK USEC_PER_HOUR /* API servers' clocks are behind */

const char *certs_step_name(enum certs_step s)
{
	static const char *const names[] = {
		[CERTS_REST] = "rest",	     [CERTS_RENEW] = "renew",	[CERTS_RESTART] = "restart",
		[CERTS_PREPARE] = "prepare", [CERTS_SWITCH] = "switch", [CERTS_FORGET] = "forget",
	};
	return names[s];
}

/* A watch brings news within a second; this is for one that has to be begun anew. */
usec_t certs_settle(usec_t lifetime)
{
	return MIN(lifetime / 6, 10 * USEC_PER_MIN);
}

/* --- the Secret ------------------------------------------------------------------------------- */

static void read_pair(const struct json *secret, const char *cert, const char *key,
		      struct crypt_pair *ret)
{
	struct crypt_pair pair = { secret_value(secret, cert), secret_value(secret, key) };
	if (pair.cert && pair.key && crypt_pair_check(pair.cert, pair.key, NULL) == 0)
		*ret = pair;
	else
		crypt_pair_release(&pair);
}

void certs_read(const struct json *secret, struct certs_set *ret)
{
	struct certs_set s = { .version = xstrdup(kube_resource_version(secret)),
			       .previous = secret_value(secret, "previous-ca.crt"),
			       .names = secret_value(secret, "names") };
	usec_t end;
	read_pair(secret, "ca.crt", "ca.key", &s.ca);
	read_pair(secret, "next-ca.crt", "next-ca.key", &s.next);
	read_pair(secret, "tls.crt", "tls.key", &s.leaf);
	if (s.previous && crypt_cert_not_after(s.previous, &end, NULL) < 0)
		str_replace(&s.previous, NULL);
	*ret = s;
}

struct json *certs_data(const struct certs_set *s)
{
	const struct {
		const char *key, *value;
	} rows[] = {
		{ "ca.crt", s->ca.cert },	 { "ca.key", s->ca.key },
		{ "next-ca.crt", s->next.cert }, { "next-ca.key", s->next.key },
		{ "tls.crt", s->leaf.cert },	 { "tls.key", s->leaf.key },
		{ "names", s->names },		 { "previous-ca.crt", s->previous },
	};
	struct json *data = json_new_object();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *v = rows[i].value;
		_cleanup_(secret_freep) char *encoded = v ? base64_encode(v, strlen(v)) : NULL;
		json_set(data, rows[i].key, json_new_string(encoded));
	}
	return data;
}

void certs_set_done(struct certs_set *s)
{
	crypt_pair_release(&s->ca);
	crypt_pair_release(&s->next);
	crypt_pair_release(&s->leaf);
	free(s->version);
	free(s->previous);
	free(s->names);
	*s = (struct certs_set){ 0 };
}

char *certs_bundle(const struct certs_set *s)
{
	const char *const cas[] = { s->previous, s->ca.cert, s->next.cert };
	struct strbuf out = { 0 };
	for (size_t i = 0; i < ARRAY_SIZE(cas); i++)
		if (cas[i])
			strbuf_adds(&out, cas[i]);
	return strbuf_take(&out, NULL);
}

/* --- the plan --------------------------------------------------------------------------------- */

static usec_t end_of(const char *cert)
{
	usec_t end = 0;
	return cert && crypt_cert_not_after(cert, &end, NULL) == 0 ? end : 0;
}

/* 0 for one that is not valid yet: it was made while the clock was ahead. */
static usec_t end_if_begun(const char *cert, usec_t wall)
{
	usec_t begin, end;
	bool good = cert && crypt_cert_validity(cert, &begin, &end, NULL) == 0 && begin <= wall;
	return good ? end : 0;
}

/* True when `age` is enough; else *ret_wait is what lacks, or 0 when only an event can tell. */
static bool settled(usec_t age, usec_t needed, usec_t *ret_wait)
{
	if (age >= needed)
		return true;
	*ret_wait = age ? needed - age : 0;
	return false;
}

enum certs_step certs_next(const struct certs_set *s, const struct certs_facts *f, usec_t *ret_wait)
{
	usec_t settle = certs_settle(f->lifetime), ca_end = end_if_begun(s->ca.cert, f->wall);
	usec_t leaf_end = end_if_begun(s->leaf.cert, f->wall),
	       renew = leaf_end - MIN(leaf_end, f->lifetime / 3);
	*ret_wait = 0;
	if (ca_end <= f->wall)
		return CERTS_RESTART;
	if (leaf_end <= f->wall || !streq(s->names, f->names))
		return CERTS_RENEW;
	if (s->next.cert)
		return settled(f->bundle_age, settle, ret_wait) ? CERTS_SWITCH : CERTS_REST;
	if (s->previous)
		return settled(MIN(f->leaf_age, f->bundle_age), 2 * settle, ret_wait) ? CERTS_FORGET
										      : CERTS_REST;
	if (f->wall >= renew)
		return CERTS_PREPARE;
	*ret_wait = MIN(renew - f->wall, LOOK_EVERY); /* the clock may be set meanwhile */
	return CERTS_REST;
}

/* --- the steps -------------------------------------------------------------------------------- */

static int make_ca(const struct certs_facts *f, struct crypt_pair *ret, struct err *err)
{
	const struct crypt_cert_spec spec = { .common_name = "Ingot webhooks",
					      .not_before = f->wall - CLOCK_SLACK,
					      .not_after = f->wall + CA_LIVES * f->lifetime,
					      .is_ca = true };
	struct crypt_pair made = { 0 };
	int r = crypt_make_cert(&spec, NULL, &made, err);
	if (r < 0)
		return r;
	crypt_pair_release(ret);
	*ret = made;
	return 0;
}

/* Go reads an address in a URL as such, and looks for it among the addresses. */
static void sort_names(char *names, const char **dns, const char **addresses)
{
	struct net_addr a;
	size_t d = 0, n = 0;
	char *rest = NULL;
	for (char *t = strtok_r(names, ",", &rest); t; t = strtok_r(NULL, ",", &rest)) {
		if (net_parse_ip(t, &a) == 0 && n < NAMES_MAX)
			addresses[n++] = t;
		else if (d < NAMES_MAX)
			dns[d++] = t;
	}
}

static int make_leaf(struct certs_set *s, const struct certs_facts *f, struct err *err)
{
	const char *dns[NAMES_MAX + 1] = { NULL }, *addresses[NAMES_MAX + 1] = { NULL };
	_cleanup_(freep) char *names = xstrdup(f->names);
	struct crypt_pair made = { 0 };
	sort_names(names, dns, addresses);
	const struct crypt_cert_spec spec = { .common_name = "ingot webhook",
					      .dns_names = dns,
					      .addresses = addresses,
					      .not_before = f->wall - CLOCK_SLACK,
					      .not_after = MIN(f->wall + f->lifetime,
							       end_of(s->ca.cert)),
					      .server = true };
	int r = crypt_make_cert(&spec, &s->ca, &made, err);
	if (r < 0)
		return r;
	crypt_pair_release(&s->leaf);
	s->leaf = made;
	str_replace(&s->names, f->names);
	return 0;
}

/* The CA that was stays in the bundle. */
static void promote(struct certs_set *s)
{
	str_replace(&s->previous, s->ca.cert);
	crypt_pair_release(&s->ca);
	s->ca = s->next;
	s->next = (struct crypt_pair){ 0 };
}

int certs_take_step(enum certs_step step, struct certs_set *s, const struct certs_facts *f,
		    struct err *err)
{
	switch (step) {
	case CERTS_REST:
		break;
	case CERTS_RENEW:
		return make_leaf(s, f, err);
	case CERTS_RESTART: {
		int r = make_ca(f, &s->next, err);
		if (r < 0)
			return r;
		promote(s);
		return make_leaf(s, f, err);
	}
	case CERTS_PREPARE:
		return make_ca(f, &s->next, err);
	case CERTS_SWITCH:
		promote(s);
		return make_leaf(s, f, err);
	case CERTS_FORGET:
		str_replace(&s->previous, NULL);
		break;
	}
	return 0;
}
