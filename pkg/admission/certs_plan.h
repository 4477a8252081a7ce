#pragma once
/* The webhook's certificates: what an installation has, and what is to be done next, as a pure
 * function. A rotation changes the CA and the certificate behind it, in this order, one step at a
 * time, each stored before the next:
 *
 *   prepare  a next CA is made; the bundle that API servers hold then names it too
 *   switch   when they have had that bundle for a while: a certificate of the next CA is served;
 *            the CA before it stays in the bundle
 *   forget   when all replicas have served that certificate for a while: the CA before it goes
 *
 * So at each moment whatever certificate a replica serves is of a CA that whatever bundle an API
 * server holds has in it. any thread */

#include "crypt/crypt.h"
#include "json/json.h"

/* What the Secret holds. */
struct certs_set {
	char *version; /* resourceVersion; NULL: there is no Secret */
	struct crypt_pair ca, next, leaf;
	char *previous; /* certificate of the CA before `ca` */
	char *names;	/* whom `leaf` is for */
};

struct certs_facts {
	usec_t wall;
	usec_t lifetime;   /* of a leaf */
	const char *names; /* whom leaves are to be for: DNS names and addresses with commas */
	/* How long API servers have had the whole bundle of this set, and replicas its leaf; 0:
	 * not at all. */
	usec_t bundle_age, leaf_age;
};

enum certs_step {
	CERTS_REST,
	CERTS_RENEW,   /* a leaf of the CA that there is */
	CERTS_RESTART, /* no usable CA: all anew */
	CERTS_PREPARE,
	CERTS_SWITCH,
	CERTS_FORGET,
};

const char *certs_step_name(enum certs_step s); /* for logs */
/* How long others get to hear of a change. */
usec_t certs_settle(usec_t lifetime);
/* CERTS_REST: *ret_wait is when to ask again, if nothing happens before. */
enum certs_step certs_next(const struct certs_set *s, const struct certs_facts *f,
			   usec_t *ret_wait);
/* Takes the step: makes what is to be made. */
int certs_take_step(enum certs_step step, struct certs_set *s, const struct certs_facts *f,
		    struct err *err);
/* All CAs that may be behind a leaf, PEM; a new string. */
char *certs_bundle(const struct certs_set *s);

/* Of a Secret; NULL gives an empty set. What is damaged is left out. */
void certs_read(const struct json *secret, struct certs_set *ret);
/* The Secret's data, as a merge patch: what the set does not have is null. A new tree. */
struct json *certs_data(const struct certs_set *s);
void certs_set_done(struct certs_set *s);
