/* Certificates for `ingot standalone` (see pki.h). The CA lives ten years and is never replaced by
 * us: every kubeconfig out there trusts it. Leaves live a year and are renewed, at the start and
 * while the process runs, when less than 30 days are left, when they are not valid yet, or when
 * they are for other names than wanted; what they are for stands in
 * a comment line above the certificate, which PEM allows (RFC 7468, section 2). The line also names
 * the key by its digest: a key is written before its certificate, and a crash between the two
 * leaves a pair that does not fit and is made again. */

#include "site/pki.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/net.h"
#include "site/files.h"

#define DAY (24 * USEC_PER_HOUR)

enum { CA_DAYS = 3650, LEAF_DAYS = 365, RENEW_DAYS = 30, NAMES_MAX = 8 };

void site_pki_done(struct site_pki *p)
{
	crypt_pair_release(&p->ca);
	crypt_pair_release(&p->server);
	crypt_pair_release(&p->admin);
}

/* --- one pair in two files -------------------------------------------------------------------- */

struct place {
	char *cert, *key;
};

static struct place place(const char *directory, const char *name)
{
	return (struct place){ .cert = xasprintf("%s/%s.crt", directory, name),
			       .key = xasprintf("%s/%s.key", directory, name) };
}

static void place_done(struct place *p)
{
	free(p->cert);
	free(p->key);
}

static int load(const struct place *p, struct crypt_pair *ret, struct err *err)
{
	struct crypt_pair pair = { 0 };
	int r = site_files_read_secret(p->cert, &pair.cert, err);
	if (r == 0)
		r = site_files_read_secret(p->key, &pair.key, err);
	if (r < 0)
		crypt_pair_release(&pair);
	else
		*ret = pair;
	return r;
}

static int save(const struct place *p, const struct crypt_pair *pair, struct err *err)
{
	int r = site_files_write_secret(p->key, pair->key, err);
	return r < 0 ? r : site_files_write_secret(p->cert, pair->cert, err);
}

/* --- the CA ----------------------------------------------------------------------------------- */

static int make_ca(const struct place *p, usec_t wall, struct crypt_pair *ret, struct err *err)
{
	const struct crypt_cert_spec spec = { .common_name = "ingot standalone CA",
					      .not_before = wall - USEC_PER_HOUR,
					      .not_after = wall + CA_DAYS * DAY,
					      .is_ca = true };
	int r = crypt_make_cert(&spec, NULL, ret, err);
	return r < 0 ? r : save(p, ret, err);
}

/* It is not replaced by us: the clock may be what is wrong, and comes right when the time service
 * has started. */
static int check_ca_time(const struct place *p, const struct crypt_pair *ca, usec_t wall,
			 struct err *err)
{
	struct err why;
	if (crypt_cert_check_time(ca->cert, wall, &why) == 0)
		return 0;
	return err_set(err, ERR_INVALID,
		       "%s: %s; no client accepts this CA. If the clock is wrong, set it. If the "
		       "CA was made while the clock was wrong, or has ended, move %s and %s away: "
		       "a new CA is made, and every kubeconfig in use must be replaced",
		       p->cert, why.text, p->cert, p->key);
}

static int open_ca(const char *directory, usec_t wall, struct crypt_pair *ret, struct err *err)
{
	_cleanup_(place_done) struct place p = place(directory, "ca");
	bool cert = site_files_exists(p.cert), key = site_files_exists(p.key);
	if (!cert) /* a key alone was never used: its certificate was not written */
		return make_ca(&p, wall, ret, err);
	if (!key)
		return err_set(
			err, ERR_INVALID,
			"%s is there but %s is not: bring it back, or remove both to start a new CA "
			"(every kubeconfig in use must then be replaced)",
			p.cert, p.key);
	int r = load(&p, ret, err);
	if (r == 0)
		r = check_ca_time(&p, ret, wall, err);
	if (r < 0)
		crypt_pair_release(ret);
	return r;
}

/* --- leaves ----------------------------------------------------------------------------------- */

/* What a leaf is for, as the line above it. */
static char *describe(const struct crypt_cert_spec *spec, const struct crypt_pair *ca,
		      const char *key)
{
	struct strbuf line = { 0 };
	char digest[DIGEST_HEX_MAX];
	assert(ca->cert);
	digest_hex(DIGEST_SHA256, ca->cert, strlen(ca->cert), digest);
	strbuf_addf(&line, "# for %s; CA %.16s; ", spec->common_name, digest);
	digest_hex(DIGEST_SHA256, key, strlen(key), digest);
	strbuf_addf(&line, "key %.16s;", digest);
	for (const char *const *s = spec->dns_names; s && *s; s++)
		strbuf_addf(&line, " %s", *s);
	for (const char *const *s = spec->addresses; s && *s; s++)
		strbuf_addf(&line, " %s", *s);
	strbuf_addc(&line, '\n');
	return strbuf_take(&line, NULL);
}

static bool usable(const struct crypt_pair *pair, const struct crypt_cert_spec *spec,
		   const struct crypt_pair *ca, usec_t wall)
{
	_cleanup_(freep) char *line = describe(spec, ca, pair->key);
	usec_t begin, end;
	return str_has_prefix(pair->cert, line) &&
	       crypt_cert_validity(pair->cert, &begin, &end, NULL) == 0 && begin <= wall &&
	       end > wall + RENEW_DAYS * DAY;
}

static int make_leaf(const struct place *p, struct crypt_cert_spec *spec,
		     const struct crypt_pair *ca, usec_t wall, struct crypt_pair *ret,
		     struct err *err)
{
	struct crypt_pair pair;
	spec->not_before = wall - USEC_PER_HOUR; /* clients' clocks are behind */
	spec->not_after = wall + LEAF_DAYS * DAY;
	int r = crypt_make_cert(spec, ca, &pair, err);
	if (r < 0)
		return r;
	_cleanup_(freep) char *line = describe(spec, ca, pair.key);
	char *marked = xasprintf("%s%s", line, pair.cert);
	free(pair.cert);
	pair.cert = marked;
	r = save(p, &pair, err);
	if (r < 0)
		crypt_pair_release(&pair);
	else
		*ret = pair;
	return r;
}

static int open_leaf(const char *directory, const char *name, struct crypt_cert_spec *spec,
		     const struct crypt_pair *ca, usec_t wall, struct crypt_pair *ret,
		     struct err *err)
{
	_cleanup_(place_done) struct place p = place(directory, name);
	if (site_files_exists(p.cert) && site_files_exists(p.key)) {
		int r = load(&p, ret, err);
		if (r < 0 || usable(ret, spec, ca, wall))
			return r;
		crypt_pair_release(ret);
		log_info("certificate renewed", "file", p.cert);
	}
	return make_leaf(&p, spec, ca, wall, ret, err);
}

/* --- the server's names ----------------------------------------------------------------------- */

static bool listed(const char *const *list, const char *s)
{
	for (; *list; list++)
		if (streq(*list, s))
			return true;
	return false;
}

static int open_server(const char *directory, const char *address, const struct crypt_pair *ca,
		       usec_t wall, struct crypt_pair *ret, struct err *err)
{
	char host[256] = "";
	const char *dns[NAMES_MAX] = { "localhost" }, *ips[NAMES_MAX] = { "127.0.0.1", "::1" };
	struct net_addr a;
	/* Names in certificates are compared in lower case. */
	if (gethostname(host, sizeof(host) - 1) == 0)
		for (char *c = host; *c; c++)
			*c = (char)tolower((unsigned char)*c);
	if (name_is_subdomain(host) && !listed(dns, host))
		dns[1] = host;
	if (net_parse_ip(address, &a) == 0 && !net_is_unspecified(&a) && !listed(ips, address))
		ips[2] = address;
	struct crypt_cert_spec spec = { .common_name = "ingot standalone API",
					.dns_names = dns,
					.addresses = ips,
					.server = true };
	return open_leaf(directory, "server", &spec, ca, wall, ret, err);
}

/* The user and group that Kubernetes gives an administrator, so that tools read them the same way.
 */
static int open_admin(const char *directory, const struct crypt_pair *ca, usec_t wall,
		      struct crypt_pair *ret, struct err *err)
{
	static const char *const groups[] = { "system:masters", NULL };
	struct crypt_cert_spec spec = { .common_name = "system:admin",
					.organizations = groups,
					.client = true };
	return open_leaf(directory, "admin", &spec, ca, wall, ret, err);
}

int site_pki_renew(const char *directory, const char *address, usec_t wall, struct site_pki *p,
		   bool *ret_new, struct err *err)
{
	struct site_pki now = { 0 };
	int r = open_server(directory, address, &p->ca, wall, &now.server, err);
	if (r == 0)
		r = open_admin(directory, &p->ca, wall, &now.admin, err);
	if (r < 0) {
		site_pki_done(&now);
		return err_wrap(err, "certificates");
	}
	*ret_new = !streq(now.server.cert, p->server.cert) || !streq(now.admin.cert, p->admin.cert);
	crypt_pair_release(&p->server);
	crypt_pair_release(&p->admin);
	p->server = now.server;
	p->admin = now.admin;
	return 0;
}

int site_pki_open(const char *directory, const char *address, usec_t wall, struct site_pki *ret,
		  struct err *err)
{
	struct site_pki p = { 0 };
	int r = site_files_prepare_directory(directory, err);
	if (r == 0)
		r = open_ca(directory, wall, &p.ca, err);
	if (r == 0)
		r = open_server(directory, address, &p.ca, wall, &p.server, err);
	if (r == 0)
		r = open_admin(directory, &p.ca, wall, &p.admin, err);
	if (r < 0) {
		site_pki_done(&p);
		return err_wrap(err, "certificates");
	}
	*ret = p;
	return 0;
}

/* --- kubeconfig ------------------------------------------------------------------------------- */

/* `credentials`: lines of the user, indented. Names are quoted: "123" and "true" are names, too. */
static char *kubeconfig(const char *ca, const char *url, const char *user, const char *credentials)
{
	_cleanup_(freep) char *ca_data = base64_encode(ca, strlen(ca));
	return xasprintf("apiVersion: v1\n"
			 "kind: Config\n"
			 "clusters:\n"
			 "- name: ingot\n"
			 "  cluster:\n"
			 "    server: %s\n"
			 "    certificate-authority-data: %s\n"
			 "users:\n"
			 "- name: \"%s\"\n"
			 "  user:\n"
			 "%s"
			 "contexts:\n"
			 "- name: ingot\n"
			 "  context:\n"
			 "    cluster: ingot\n"
			 "    user: \"%s\"\n"
			 "    namespace: default\n"
			 "current-context: ingot\n",
			 url, ca_data, user, credentials, user);
}

char *site_pki_kubeconfig(const struct site_pki *p, const char *url)
{
	_cleanup_(freep) char *cert = base64_encode(p->admin.cert, strlen(p->admin.cert));
	_cleanup_(secret_freep) char *key = base64_encode(p->admin.key, strlen(p->admin.key));
	_cleanup_(secret_freep) char *credentials = xasprintf("    client-certificate-data: %s\n"
							      "    client-key-data: %s\n",
							      cert, key);
	return kubeconfig(p->ca.cert, url, "ingot-admin", credentials);
}

char *site_pki_kubeconfig_for_token(const char *ca, const char *url, const char *user,
				    const char *token)
{
	_cleanup_(secret_freep) char *credentials = xasprintf("    token: %s\n", token);
	return kubeconfig(ca, url, user, credentials);
}
