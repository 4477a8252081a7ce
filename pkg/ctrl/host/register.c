/* Credentials and registration: the steps that every managed state takes before its own work. Pure
 * but for the provisioner. */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "crypt/crypt.h"
#include "ctrl/host/internal.h"

/* Without white space around it, as tools that make Secrets from files leave it. */
static size_t trim(char *s, size_t len)
{
	size_t start = 0;
	while (start < len && strchr(" \t\r\n", s[start]) && s[start])
		start++;
	while (len > start && strchr(" \t\r\n", s[len - 1]) && s[len - 1])
		len--;
	memmove(s, s + start, len - start);
	s[len - start] = '\0';
	return len - start;
}

/* --- claiming the Secret ---------------------------------------------------------------------- */

static bool has_label(const struct api_meta *m)
{
	return streq(api_label(m, SECRET_LABEL), SECRET_LABEL_VALUE);
}

/* Label (to be watched), owner (to be moved and collected with the host), and, to keep it,
 * finalizer (to outlive the host until it is let go). True: that is all for this reconcile, because
 * it is the Secret's version after this write that is tried and stored. */
static bool claim_secret(struct reconcile *rc, const struct json *secret, bool keep)
{
	struct api_meta m = { 0 };
	if (bind_from_json(&api_meta_struct, json_get(secret, "metadata"), &m, NULL) < 0)
		return false;
	bool finalizer = keep && !m.deleted_at;
	bool owned = api_owned_by(&m, rc->host.meta.uid);
	if (has_label(&m) && owned && (!finalizer || api_has_finalizer(&m, SECRET_FINALIZER))) {
		bind_release(&api_meta_struct, &m);
		return false;
	}
	struct json *patch = json_new_object();
	struct json *meta = json_make_object(patch, "metadata");
	json_set_string(meta, "resourceVersion", m.resource_version);
	json_set_string(json_make_object(meta, "labels"), SECRET_LABEL, SECRET_LABEL_VALUE);
	struct json *owners = json_set(meta, "ownerReferences",
				       m.owners ? json_dup(m.owners) : json_new_array());
	if (!owned)
		json_append(owners,
			    api_owner_reference(API_VERSION, "BareMetalHost", rc->host.meta.name,
						rc->host.meta.uid, false));
	if (finalizer) {
		struct json *list = json_set(meta, "finalizers",
					     finalizers_without(m.finalizers, SECRET_FINALIZER));
		json_append(list, json_new_string(SECRET_FINALIZER));
	}
	host_write(rc, HOST_SECRET_PATCH, m.name, patch);
	bind_release(&api_meta_struct, &m);
	return true;
}

/* A Secret without data for a host belongs to something else, even if a host names it. */
static bool has_network_data(const struct json *secret)
{
	const struct json *data = json_get(secret, "data");
	return json_get_string(data, "networkData") || json_get_string(data, "value");
}

static bool is_credentials(const struct reconcile *rc, const char *secret)
{
	const struct bmh_bmc *bmc = rc->host.spec.bmc;
	return bmc && streq(bmc->credentials_name, secret) && !secret_is_own(secret);
}

void host_claim_network_data(struct reconcile *rc)
{
	const struct fact *s = &rc->facts->secrets[SECRET_PREPROVISIONING];
	const char *name = rc->host.spec.network_data_name;
	/* Two patches of one Secret would meet each other's resourceVersion. */
	if (s->state == FACT_FOUND && !rc->host.meta.deleted_at && !is_credentials(rc, name) &&
	    !secret_is_own(name) && has_network_data(s->object))
		claim_secret(rc, s->object, false);
}

/* --- letting go ------------------------------------------------------------------------------- */

/* In any field: people make a host the owner of its userData, too, to have it moved along. */
static bool names_secret(const struct reconcile *rc, const char *secret)
{
	const struct bmh_spec *s = &rc->host.spec;
	const struct bmh_secret_ref *const refs[] = { s->user_data, s->meta_data, s->network_data };
	bool named = is_credentials(rc, secret) || streq(s->network_data_name, secret) ||
		     (s->image && streq(s->image->oci_auth, secret));
	for (size_t i = 0; i < ARRAY_SIZE(refs); i++)
		named |= refs[i] && streq(refs[i]->name, secret);
	return named && !secret_is_own(secret);
}

static bool is_ours(const struct reconcile *rc, const struct json *owner)
{
	return streq(json_get_string(owner, "uid"), rc->host.meta.uid);
}

/* The finalizer is one for all hosts that share a Secret: the last one takes it out. */
static bool other_host_owns(const struct reconcile *rc, const struct json *secret)
{
	json_for_each(o, json_get_path(secret, "metadata.ownerReferences")) {
		if (!is_ours(rc, o) && streq(json_get_string(o, "kind"), "BareMetalHost"))
			return true;
	}
	return false;
}

static struct json *other_owners(const struct reconcile *rc, const struct json *secret)
{
	struct json *left = json_new_array();
	json_for_each(o, json_get_path(secret, "metadata.ownerReferences")) {
		if (!is_ours(rc, o))
			json_append(left, json_dup(o));
	}
	return left;
}

/* The label stays: a person may have set it, and with it the Secret's next change is seen. */
static void release_secret(struct reconcile *rc, const struct json *secret, bool owner,
			   bool finalizer)
{
	const struct json *finalizers = json_get_path(secret, "metadata.finalizers");
	finalizer = finalizer && !other_host_owns(rc, secret) &&
		    finalizers_have(finalizers, SECRET_FINALIZER);
	if (!owner && !finalizer)
		return;
	struct json *patch = json_new_object();
	struct json *meta = json_make_object(patch, "metadata");
	json_set_string(meta, "resourceVersion",
			json_get_path_string(secret, "metadata.resourceVersion"));
	if (owner)
		json_set(meta, "ownerReferences", other_owners(rc, secret));
	if (finalizer)
		json_set(meta, "finalizers", finalizers_without(finalizers, SECRET_FINALIZER));
	host_write(rc, HOST_SECRET_PATCH, json_get_path_string(secret, "metadata.name"), patch);
}

void host_release_unnamed_secrets(struct reconcile *rc)
{
	for (size_t i = 0; i < rc->facts->owned_count; i++) {
		const struct json *secret = rc->facts->owned[i];
		const char *name = json_get_path_string(secret, "metadata.name");
		release_secret(rc, secret, !names_secret(rc, name), !is_credentials(rc, name));
	}
}

void host_release_secrets(struct reconcile *rc)
{
	const struct fact *s = &rc->facts->secrets[SECRET_BMC];
	/* The owner stays: with it the Secret goes when its host has gone. */
	if (s->state == FACT_FOUND && is_credentials(rc, rc->host.spec.bmc->credentials_name))
		release_secret(rc, s->object, false, true);
}

/* --- credentials ------------------------------------------------------------------------------ */

/* Such an error is shown once and stands until the Secret or the spec changes, so it is not
 * counted each time. */
static struct next credential_error(struct reconcile *rc, usec_t delay, const char *text)
{
	return host_fail_once(rc, BMH_ERROR_REGISTRATION, delay, "BMCCredentialError", "%s", text);
}

static bool missing_details(struct reconcile *rc, struct next *ret)
{
	const struct bmh_bmc *bmc = rc->host.spec.bmc;
	if (bmc && !str_empty(bmc->credentials_name) && !str_empty(bmc->address))
		return false;
	host_count(rc, METRIC_CREDENTIALS_INVALID, NULL);
	if (!bmc || str_empty(bmc->credentials_name))
		*ret = credential_error(
			rc, 0,
			"The BMC secret reference is empty: set spec.bmc.credentialsName to a Secret "
			"with the keys username and password");
	else
		*ret = credential_error(rc, 0, "The BMC address is empty: set spec.bmc.address");
	return true;
}

static bool secret_absent(struct reconcile *rc, struct next *ret)
{
	const struct fact *s = &rc->facts->secrets[SECRET_BMC];
	char text[600];
	if (s->state == FACT_FOUND)
		return false;
	if (s->state == FACT_FAILED) {
		rc->out->err = s->err;
		host_count(rc, METRIC_CREDENTIALS_UNHANDLED, NULL);
		*ret = (struct next){ NEXT_RETRY, 0 };
		return true;
	}
	host_count(rc, METRIC_CREDENTIALS_MISSING, NULL);
	snprintf(text, sizeof(text),
		 "The BMC secret %s/%s does not exist: create it with the keys username and "
		 "password, or correct spec.bmc.credentialsName",
		 rc->host.meta.ns, rc->host.spec.bmc->credentials_name);
	*ret = credential_error(rc, 10 * USEC_PER_SEC, text);
	return true;
}

/* Only a claimed Secret is watched; another one is looked at again after a while. */
static bool is_watched(const struct reconcile *rc)
{
	const struct json *labels = json_get_path(rc->facts->secrets[SECRET_BMC].object,
						  "metadata.labels");
	return streq(json_get_string(labels, SECRET_LABEL), SECRET_LABEL_VALUE);
}

static struct next invalid_credentials(struct reconcile *rc, const char *key, bool holds_nul)
{
	char text[600];
	host_count(rc, METRIC_CREDENTIALS_INVALID, NULL);
	snprintf(text, sizeof(text), "The BMC secret %s/%s %s %s%s: set its key %s%s",
		 rc->host.meta.ns, rc->host.spec.bmc->credentials_name,
		 holds_nul ? "has a" : "has no", key,
		 holds_nul ? " with a NUL byte, which no BMC takes" : ", or an empty one", key,
		 holds_nul ? " to plain text, neither UTF-16 nor compressed" : "");
	return credential_error(rc, is_watched(rc) ? 0 : 10 * USEC_PER_SEC, text);
}

/* A BMC takes text: IPMI pads passwords with NUL bytes, so one that holds a NUL would be sent as
 * what stands before it. */
static bool take_credential(struct reconcile *rc, const char *key, char **ret,
			    struct next *ret_action)
{
	const struct json *secret = rc->facts->secrets[SECRET_BMC].object;
	size_t len = 0;
	char *value = secret_bytes(secret, key, &len);
	if (value)
		len = trim(value, len);
	bool holds_nul = value && memchr(value, '\0', len);
	if (len > 0 && !holds_nul) {
		*ret = value;
		return true;
	}
	secret_bytes_free(value, len);
	*ret_action = invalid_credentials(rc, key, holds_nul);
	return false;
}

/* --- trust ------------------------------------------------------------------------------------ */

/* Left out it is the system's authorities; one that holds none must not become that. */
static bool take_ca(struct reconcile *rc, struct next *ret)
{
	const struct json *secret = rc->facts->secrets[SECRET_BMC].object;
	usec_t end;
	char text[600];
	if (!json_get(json_get(secret, "data"), "ca.crt"))
		return true;
	rc->bmc_ca = secret_value(secret, "ca.crt");
	if (rc->bmc_ca && crypt_cert_not_after(rc->bmc_ca, &end, NULL) == 0)
		return true;
	host_count(rc, METRIC_CREDENTIALS_INVALID, NULL);
	snprintf(
		text, sizeof(text),
		"The BMC secret %s/%s has a ca.crt that holds no certificate in PEM form: set its key "
		"ca.crt to the authority that signs the BMC's certificate, or remove the key",
		rc->host.meta.ns, rc->host.spec.bmc->credentials_name);
	*ret = credential_error(rc, is_watched(rc) ? 0 : 10 * USEC_PER_SEC, text);
	return false;
}

/* "AB:CD:…", as `openssl x509 -fingerprint -sha256` prints it, or without colons. A new string, or
 * NULL. */
static char *parse_digest(const char *text)
{
	enum { DIGITS = 64 };
	_cleanup_(freep) char *out = xcalloc(1, DIGITS + 1);
	size_t n = 0;
	for (const char *c = text; *c; c++) {
		if (*c == ':' && n > 0 && n % 2 == 0)
			continue;
		if (!isxdigit((unsigned char)*c) || n == DIGITS)
			return NULL;
		out[n++] = (char)tolower((unsigned char)*c);
	}
	return n == DIGITS ? TAKE_PTR(out) : NULL;
}

static bool take_pin(struct reconcile *rc, struct next *ret)
{
	const char *text = api_annotation(&rc->host.meta, BMH_BMC_CERTIFICATE);
	if (!text)
		return true;
	rc->bmc_pin = parse_digest(text);
	if (rc->bmc_pin)
		return true;
	*ret = credential_error(
		rc, 0,
		"The annotation " BMH_BMC_CERTIFICATE
		" is no SHA-256 of a certificate: set it to 64 hexadecimal digits, as "
		"`openssl x509 -noout -fingerprint -sha256` prints them, or remove it");
	return false;
}

bool host_credentials(struct reconcile *rc, struct next *ret)
{
	if (missing_details(rc, ret) || secret_absent(rc, ret))
		return false;
	/* Looked at before it is claimed: a Secret of another purpose must not become the host's
	 * and go away with it. */
	if (!take_credential(rc, "username", &rc->username, ret) ||
	    !take_credential(rc, "password", &rc->password, ret) || !take_ca(rc, ret) ||
	    !take_pin(rc, ret))
		return false;
	const struct json *secret = rc->facts->secrets[SECRET_BMC].object;
	if (!rc->host.meta.deleted_at && claim_secret(rc, secret, true)) {
		*ret = (struct next){ NEXT_AGAIN, 0 };
		return false;
	}
	rc->prov.username = rc->username;
	rc->prov.password = rc->password;
	rc->prov.bmc_ca = rc->bmc_ca;
	rc->prov.bmc_pin = rc->bmc_pin;
	return true;
}

/* By name and version of the Secret: the status must not hold a digest of a password. */
static bool same_credentials(const struct reconcile *rc, const struct bmh_credentials *c)
{
	const struct json *secret = rc->facts->secrets[SECRET_BMC].object;
	return streq(c->ref.name, json_get_path_string(secret, "metadata.name")) &&
	       streq(c->ref.ns, json_get_path_string(secret, "metadata.namespace")) &&
	       streq(c->version, json_get_path_string(secret, "metadata.resourceVersion"));
}

static void store_credentials(const struct reconcile *rc, struct bmh_credentials *c)
{
	const struct json *secret = rc->facts->secrets[SECRET_BMC].object;
	str_replace(&c->ref.name, json_get_path_string(secret, "metadata.name"));
	str_replace(&c->ref.ns, json_get_path_string(secret, "metadata.namespace"));
	str_replace(&c->version, json_get_path_string(secret, "metadata.resourceVersion"));
}

/* --- profile ---------------------------------------------------------------------------------- */

static bool match_profile(struct reconcile *rc, struct next *ret)
{
	struct bmh_status *s = &rc->host.status;
	const char *name = host_profile(&rc->host);
	if (!host_profile_known(name)) {
		*ret = host_fail(rc, BMH_ERROR_REGISTRATION,
				 "unknown hardware profile %s: leave spec.hardwareProfile empty "
				 "and use spec.rootDeviceHints",
				 name);
		return false;
	}
	if (!streq(s->hardware_profile, name)) {
		str_replace(&s->hardware_profile, name);
		host_event(rc, false, "ProfileSet", "Hardware profile set: %s", name);
	}
	return true;
}

/* --- registration ----------------------------------------------------------------------------- */

static void node_known(struct reconcile *rc, const char *node_id)
{
	struct bmh_provisioning *s = &rc->host.status.provisioning;
	if (streq(str_or(s->id, ""), str_or(node_id, "")))
		return;
	str_replace(&s->id, node_id);
	if (rc->state == BMH_REGISTERING)
		host_event(rc, false, "Registered", "Registered new host");
}

static void registered(struct reconcile *rc)
{
	struct bmh_status *s = &rc->host.status;
	if (!same_credentials(rc, &s->good)) {
		if (!str_empty(s->good.version))
			host_count(rc, METRIC_CREDENTIALS_UPDATED, NULL);
		store_credentials(rc, &s->good);
		host_event(rc, false, "BMCAccessValidated", "Verified access to BMC");
	}
	if (s->error == BMH_ERROR_REGISTRATION || rc->credentials_tried_changed)
		host_clear_error(rc);
	else if (s->operational == BMH_OP_UNSET || s->operational == BMH_OP_DISCOVERED)
		s->operational = BMH_OP_OK;
}

bool host_register(struct reconcile *rc, struct next *ret)
{
	struct bmh_status *s = &rc->host.status;
	struct provisioner *pr = rc->facts->provisioner;
	struct prov_result r;
	const char *node_id = NULL;
	if (rc->have_credentials && !same_credentials(rc, &s->tried)) {
		store_credentials(rc, &s->tried);
		rc->credentials_tried_changed = true;
	}
	struct prov_register params = { .credentials_changed = rc->credentials_tried_changed,
					.retry = s->error == BMH_ERROR_REGISTRATION,
					.settled = rc->state != BMH_REGISTERING,
					.leaving = rc->host.meta.deleted_at != 0 };
	pr->ops->register_host(pr, &rc->prov, &params, &node_id, &r);
	/* A deletion must end, as it does with a BMC that does not answer. */
	if (r.outcome == PROV_FAILED && r.passing && !rc->host.meta.deleted_at) {
		*ret = host_fail_once(rc, BMH_ERROR_REGISTRATION, USEC_PER_MIN, "RegistrationError",
				      "%s", host_words(&r));
		return false;
	}
	if (r.outcome == PROV_FAILED) {
		host_count(rc, METRIC_CREDENTIALS_NO_ACCESS, NULL);
		*ret = host_fail(rc, BMH_ERROR_REGISTRATION, "%s", host_words(&r));
		return false;
	}
	if (r.started && rc->state != BMH_REGISTERING)
		host_count(rc, METRIC_REGISTRATIONS_REQUIRED, NULL);
	node_known(rc, node_id);
	if (r.outcome == PROV_RUNNING) {
		/* Only its own error: that of a failed deployment must survive a restart of ours,
		 * or nobody cleans up. */
		if (r.started &&
		    (s->error == BMH_ERROR_REGISTRATION || s->operational == BMH_OP_UNSET))
			host_clear_error(rc);
		*ret = (struct next){ NEXT_WAIT, r.requeue };
		return false;
	}
	if (!match_profile(rc, ret))
		return false;
	registered(rc);
	return true;
}
