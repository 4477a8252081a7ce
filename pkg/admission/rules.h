#pragma once
/* What objects of metal3.io must keep beyond what their schemas say: the rules of Metal3's
 * validating webhooks, as pure functions of (old object, new object). One source of truth for the
 * webhook server (admission/webhook.h), the embedded API server and the controllers. any thread
 *
 * An update is refused for what it brings, never for what was there: objects under deletion pass,
 * the spec is looked at when it has changed, an annotation likewise. So nobody is locked out of an
 * object that an older version, or an API without these rules, has let in. */

#include "schema/causes.h"
#include "json/json.h"

enum rule_operation { RULE_CREATE, RULE_UPDATE, RULE_DELETE };

struct rule_subject {
	enum rule_operation operation;
	const char *kind;	/* "BareMetalHost" */
	const char *ns, *name;	/* name "": it will be generated */
	const struct json *now; /* NULL: deletion */
	const struct json *old; /* NULL: creation */
	/* When rules_want_hosts(): all BareMetalHosts that can be seen, as an array; NULL when they
	 * could not be had, for the reason given. */
	const struct json *hosts;
	const char *no_hosts_because;
};

struct rule_findings {
	struct causes errors;
	char **warnings;
	size_t warning_count;
};

/* A row per kind that has rules or is not acted on; ended by kind NULL. */
struct rule_kind {
	const char *kind;     /* "BareMetalHost" */
	const char *singular; /* of paths and names: "baremetalhost" */
	const char *plural;   /* "baremetalhosts" */
	bool deletions;	      /* they are asked about, too */
	bool served; /* a controller acts on it; otherwise its creation is answered with a warning
		      */
	/* NULL: no rules. */
	void (*check)(const struct rule_subject *s, struct rule_findings *ret);
};

const struct rule_kind *rules_kinds(void);
const struct rule_kind *rules_find(const char *kind); /* NULL: has no rules */

/* The answer depends on who refers to the object. */
bool rules_want_hosts(const struct rule_subject *s);
/* Adds to what *ret holds. Kinds without rules pass. */
void rules_check(const struct rule_subject *s, struct rule_findings *ret);
/* All that a BareMetalHost must keep whatever it was before: what its controller holds, too. */
void rules_check_host(const struct json *host, struct causes *ret);
/* What a BareMetalHost asks for and cannot have yet. A controller looks before it undoes anything.
 */
void rules_check_wanted(const struct json *host, struct causes *ret);
/* What one annotation of a BareMetalHost must keep; absent: nothing. */
void rules_check_host_annotation(const struct json *host, const char *key, struct causes *ret);

void rule_findings_done(struct rule_findings *f);
/* "spec.bmc.address: Invalid value: …" or "[…, …]"; a new string; NULL when there is no error. */
char *rule_findings_text(const struct rule_findings *f);
/* What a real API server says of a denial by a webhook; a new string. */
char *rules_denial(const char *kind, const char *text);
