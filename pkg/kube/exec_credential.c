/* ExecCredential, both ways (Kubernetes, "client-go credential plugins"). Pure. */

#include "kube/exec_credential.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "json/json.h"

void exec_credential_release(struct exec_credential *c)
{
	secret_free(c->token);
	secret_free(c->cert);
	secret_free(c->key);
	*c = (struct exec_credential){ 0 };
}

/* --- to the plugin ---------------------------------------------------------------------------- */

static void add_cluster(struct json *spec, const struct kube_config *c, const char *ca)
{
	struct json *cluster = json_make_object(spec, "cluster");
	json_set_string(cluster, "server", c->server);
	json_set_string(cluster, "tls-server-name", c->tls_server_name);
	if (c->insecure)
		json_set_bool(cluster, "insecure-skip-tls-verify", true);
	if (ca) {
		_cleanup_(freep) char *data = base64_encode(ca, strlen(ca));
		json_set_string(cluster, "certificate-authority-data", data);
	}
	json_set_string(cluster, "proxy-url", c->proxy);
	struct json *extension = NULL;
	const char *text = c->exec->cluster_extension;
	/* Printed by us from the kubeconfig's tree, so it parses. */
	if (text && json_parse(text, strlen(text), &extension, NULL) == 0)
		json_set(cluster, "config", extension);
}

char *exec_info(const struct kube_config *c, const char *ca)
{
	_cleanup_(json_freep) struct json *info = json_new_object();
	json_set_string(info, "kind", "ExecCredential");
	json_set_string(info, "apiVersion", c->exec->api_version);
	struct json *spec = json_make_object(info, "spec");
	if (c->exec->wants_cluster)
		add_cluster(spec, c, ca);
	json_set_bool(spec, "interactive", false);
	return json_to_string(info);
}

/* --- from the plugin -------------------------------------------------------------------------- */

static bool is_token(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s <= ' ' || *s == 0x7f)
			return false;
	return true;
}

static int read_expiry(const struct json *status, usec_t *ret, struct err *err)
{
	const struct json *at = json_get(status, "expirationTimestamp");
	*ret = USEC_INFINITY;
	if (json_is_null(at))
		return 0;
	if (!json_string(at) || clock_parse(json_string(at), ret) < 0)
		return err_set(err, ERR_PROTOCOL, "its expirationTimestamp is no time");
	return 0;
}

static int read_status(const struct json *status, struct exec_credential *c, struct err *err)
{
	const char *token = json_get_string(status, "token");
	const char *cert = json_get_string(status, "clientCertificateData");
	const char *key = json_get_string(status, "clientKeyData");
	if (str_empty(cert) != str_empty(key))
		return err_set(
			err, ERR_PROTOCOL,
			"it gave a client certificate without a key, or a key without a certificate");
	if (str_empty(token) && str_empty(cert))
		return err_set(err, ERR_PROTOCOL,
			       "it gave neither a token nor a client certificate");
	if (token && !is_token(token))
		return err_set(err, ERR_PROTOCOL, "its token has blanks or control characters");
	int r = read_expiry(status, &c->expires, err);
	if (r < 0)
		return r;
	c->token = str_empty(token) ? NULL : xstrdup(token);
	c->cert = str_empty(cert) ? NULL : xstrdup(cert);
	c->key = str_empty(key) ? NULL : xstrdup(key);
	return 0;
}

int exec_credential_parse(const char *text, size_t len, const char *api_version,
			  struct exec_credential *ret, struct err *err)
{
	_cleanup_(json_freep) struct json *j = NULL;
	struct exec_credential c = { 0 };
	/* The parser's words name a place, not what stands there; its text could still be a token.
	 */
	if (json_parse(text, len, &j, NULL) < 0)
		return err_set(err, ERR_PROTOCOL, "its output is not JSON");
	if (!streq(json_get_string(j, "kind"), "ExecCredential"))
		return err_set(err, ERR_PROTOCOL, "its output is not an ExecCredential");
	if (!streq(json_get_string(j, "apiVersion"), api_version))
		return err_set(
			err, ERR_PROTOCOL,
			"its output has another apiVersion than %s, which the kubeconfig names",
			api_version);
	if (!json_is_object(json_get(j, "status")))
		return err_set(err, ERR_PROTOCOL, "its ExecCredential has no status");
	int r = read_status(json_get(j, "status"), &c, err);
	if (r == 0)
		*ret = c;
	return r;
}
