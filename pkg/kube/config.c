/* kubeconfig and in-cluster configuration, as client-go
 * reads them.
 *
 * Several files: of each named entry the first file's wins as a whole, and relative paths in it
 * are relative to that file. Everything that cannot be honoured is an error that names file and
 * entry; nothing is silently left out of what decides about trust or identity. */

#include "kube/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "crypt/crypt.h"
#include "kube/exec_credential.h"
#include "kube/file.h"
#include "kube/proxy.h"
#include "kube/runner.h"
#include "yaml/yaml_json.h"
#include "json/json.h"

enum { SOURCES_MAX = 32 };

struct source {
	struct json *doc;
	char *path; /* for texts */
	char *dir;
};

struct sources {
	struct source items[SOURCES_MAX];
	size_t count;
};

static void free_strings(char **list)
{
	for (char **s = list; s && *s; s++)
		free(*s);
	free(list);
}

static struct kube_exec *exec_free(struct kube_exec *e)
{
	if (!e)
		return NULL;
	free(e->command);
	free_strings(e->args);
	free_strings(e->env);
	free(e->api_version);
	free(e->install_hint);
	free(e->cluster_extension);
	free(e);
	return NULL;
}

void kube_config_release(struct kube_config *c)
{
	char *plain[] = { c->server,	c->tls_server_name, c->ca,	   c->ca_file,	c->cert,
			  c->cert_file, c->key_file,	    c->token_file, c->username, c->proxy,
			  c->as_user,	c->as_uid,	    c->ns };
	for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
		free(plain[i]);
	secret_free(c->key);
	secret_free(c->token);
	secret_free(c->password);
	free_strings(c->as_groups);
	free_strings(c->as_extra);
	exec_free(c->exec);
	kube_runner_unref(c->runner);
	*c = (struct kube_config){ 0 };
}

static void sources_done(struct sources *s)
{
	for (size_t i = 0; i < s->count; i++) {
		json_free(s->items[i].doc);
		free(s->items[i].path);
		free(s->items[i].dir);
	}
}

/* --- files
 * ------------------------------------------------------------------------------------------- */

static int add_source(struct sources *s, const char *text, size_t len, const char *path,
		      const char *dir, struct err *err)
{
	struct strbuf json = { 0 };
	struct json *doc = NULL;
	/* An empty file is an empty configuration, for example after `kubectl config unset`. */
	bool empty = strspn(text, " \t\r\n") >= len;
	int r = empty ? 0 : yaml_to_json(text, len, &json, err);
	if (r >= 0 && json.len > 0)
		r = json_parse(json.data, json.len, &doc, err);
	secret_zero(json.data, json.len);
	strbuf_done(&json);
	if (r < 0)
		return err_wrap(err, "kubeconfig %s", path);
	if (!json_is_null(doc) && !json_is_object(doc)) {
		json_free(doc);
		return err_set(err, ERR_INVALID, "kubeconfig %s is not a mapping", path);
	}
	s->items[s->count++] = (struct source){ .doc = doc,
						.path = xstrdup(path),
						.dir = xstrdup(dir) };
	return 0;
}

static int add_file(struct sources *s, const char *path, bool may_be_missing, struct err *err)
{
	_cleanup_(secret_freep) char *text = NULL;
	struct err own = { 0 };
	if (kube_read_file(path, &text, &own) < 0) {
		if (may_be_missing && own.kind == ERR_NOT_FOUND)
			return 0;
		err_copy(err, &own);
		return err_wrap(err, "kubeconfig");
	}
	const char *slash = strrchr(path, '/');
	_cleanup_(freep) char *dir = slash ? xstrndup(path, (size_t)(slash - path)) : xstrdup(".");
	return add_source(s, text, strlen(text), path, slash == path ? "/" : dir, err);
}

/* --- entries
 * ----------------------------------------------------------------------------------------- */

struct entry {
	const struct json *fields; /* NULL: not found */
	const struct source *source;
};

static struct entry find(const struct sources *s, const char *list, const char *name,
			 const char *member)
{
	for (size_t i = 0; i < s->count; i++)
		json_for_each(e, json_get(s->items[i].doc, list))
			if (streq(json_get_string(e, "name"), name))
				return (struct entry){ json_get(e, member), &s->items[i] };
	return (struct entry){ 0 };
}

static char *text_of(const struct entry *e, const char *key)
{
	const char *s = json_get_string(e->fields, key);
	return str_empty(s) ? NULL : xstrdup(s);
}

static char *path_of(const struct entry *e, const char *key)
{
	const char *s = json_get_string(e->fields, key);
	if (str_empty(s))
		return NULL;
	return s[0] == '/' ? xstrdup(s) : xasprintf("%s/%s", e->source->dir, s);
}

/* Base64 text, which wins over a file. */
static int data_of(const struct entry *e, const char *key, char **ret, struct err *err)
{
	const char *s = json_get_string(e->fields, key);
	void *data;
	size_t len;
	if (str_empty(s))
		return 0;
	if (base64_decode(s, strlen(s), &data, &len) < 0)
		return err_set(err, ERR_INVALID, "kubeconfig %s: %s is not base64", e->source->path,
			       key);
	if (strlen(data) != len) {
		secret_zero(data, len);
		free(data);
		return err_set(err, ERR_INVALID, "kubeconfig %s: %s is not PEM text",
			       e->source->path, key);
	}
	*ret = data;
	return 0;
}

/* Text by `key`-data, or a file name by `key`. */
static int data_or_path(const struct entry *e, const char *key, char **ret_text, char **ret_path,
			struct err *err)
{
	_cleanup_(freep) char *data_key = xasprintf("%s-data", key);
	int r = data_of(e, data_key, ret_text, err);
	if (r == 0 && !*ret_text)
		*ret_path = path_of(e, key);
	return r;
}

static char *server_url(const char *text)
{
	char *url = strstr(text, "://") ? xstrdup(text) : xasprintf("https://%s", text);
	for (size_t n = strlen(url); n > 0 && url[n - 1] == '/'; n--)
		url[n - 1] = '\0';
	return url;
}

static int read_cluster(const struct entry *e, const char *name, struct kube_config *c,
			struct err *err)
{
	const char *server = json_get_string(e->fields, "server");
	if (str_empty(server))
		return err_set(err, ERR_INVALID, "kubeconfig %s: cluster \"%s\" has no server",
			       e->source->path, name);
	c->server = server_url(server);
	c->tls_server_name = text_of(e, "tls-server-name");
	c->insecure = json_get_bool(e->fields, "insecure-skip-tls-verify", false);
	c->no_compression = json_get_bool(e->fields, "disable-compression", false);
	c->proxy = text_of(e, "proxy-url");
	int r = data_or_path(e, "certificate-authority", &c->ca, &c->ca_file, err);
	if (r == 0 && c->insecure && (c->ca || c->ca_file))
		return err_set(err, ERR_INVALID,
			       "kubeconfig %s: cluster \"%s\" has both a certificate authority and "
			       "insecure-skip-tls-verify: remove one",
			       e->source->path, name);
	return r;
}

static char **strings_of(const struct json *list)
{
	size_t n = 0;
	char **out = json_count(list) ? xcalloc(json_count(list) + 1, sizeof(char *)) : NULL;
	json_for_each(item, list)
		if (json_string(item))
			out[n++] = xstrdup(json_string(item)); // NOLINT: never NULL here
	return out;
}

/* {"key": ["a", "b"]} to "key=a", "key=b". */
static char **extra_of(const struct json *extra)
{
	size_t n = 0, room = 1;
	json_for_each(key, extra)
		room += json_count(key);
	char **out = room > 1 ? xcalloc(room, sizeof(char *)) : NULL;
	json_for_each(key, extra)
		json_for_each(value, key)
			if (json_string(value))
				// NOLINTNEXTLINE: out is never NULL here
				out[n++] = xasprintf("%s=%s", json_key(key), json_string(value));
	return out;
}

static int read_impersonation(const struct entry *e, const char *name, struct kube_config *c,
			      struct err *err)
{
	c->as_user = text_of(e, "as");
	c->as_uid = text_of(e, "as-uid");
	c->as_groups = strings_of(json_get(e->fields, "as-groups"));
	c->as_extra = extra_of(json_get(e->fields, "as-user-extra"));
	if (!c->as_user && (c->as_uid || c->as_groups || c->as_extra))
		return err_set(err, ERR_INVALID,
			       "kubeconfig %s: user \"%s\" has as-uid, as-groups or as-user-extra "
			       "without as",
			       e->source->path, name);
	return 0;
}

/* --- plugins
 * ----------------------------------------------------------------------------------------- */

static int refuse_auth_provider(const struct entry *e, const char *name, struct err *err)
{
	if (json_is_null(json_get(e->fields, "auth-provider")))
		return 0;
	return err_set(err, ERR_UNSUPPORTED,
		       "kubeconfig %s: user \"%s\" uses auth-provider, which Kubernetes has "
		       "removed: use a token, a client certificate or an exec plugin",
		       e->source->path, name);
}

/* A name is looked for in $PATH; a relative path starts at the kubeconfig's directory. */
static char *command_of(const struct entry *e, const struct json *exec)
{
	const char *s = json_get_string(exec, "command");
	if (str_empty(s))
		return NULL;
	bool relative = s[0] != '/' && strchr(s, '/');
	return relative ? xasprintf("%s/%s", e->source->dir, s) : xstrdup(s);
}

/* [{"name": "A", "value": "b"}] to "A=b". */
static int env_of(const struct json *list, char ***ret)
{
	size_t n = 0;
	char **out = json_count(list) ? xcalloc(json_count(list) + 1, sizeof(char *)) : NULL;
	*ret = out;
	json_for_each(row, list) {
		const char *name = json_get_string(row, "name");
		if (str_empty(name) || strchr(name, '='))
			return -EINVAL;
		// NOLINTNEXTLINE: out is never NULL here
		out[n++] = xasprintf("%s=%s", name, str_or(json_get_string(row, "value"), ""));
	}
	return 0;
}

static bool is_known_version(const char *version)
{
	return streq(version, "client.authentication.k8s.io/v1") ||
	       streq(version, "client.authentication.k8s.io/v1beta1");
}

static int check_exec(const struct kube_exec *x, const struct json *exec, const char **ret_why)
{
	*ret_why = NULL;
	if (!x->command)
		*ret_why = "an exec plugin without a command";
	else if (!is_known_version(x->api_version))
		*ret_why = "an exec plugin whose apiVersion is neither "
			   "client.authentication.k8s.io/v1 nor v1beta1: update the kubeconfig";
	else if (streq(json_get_string(exec, "interactiveMode"), "Always"))
		*ret_why =
			"an exec plugin with interactiveMode Always, but there is no user whom it "
			"could ask: use a token or a client certificate";
	return *ret_why ? -EINVAL : 0;
}

/* Of the cluster: what the plugin is told of it. */
static char *extension_of(const struct entry *cluster)
{
	json_for_each(x, json_get(cluster->fields, "extensions")) {
		if (streq(json_get_string(x, "name"), "client.authentication.k8s.io/exec"))
			return json_to_string(json_get(x, "extension"));
	}
	return NULL;
}

static int read_exec(const struct entry *e, const char *name, struct kube_config *c,
		     struct err *err)
{
	const struct json *exec = json_get(e->fields, "exec");
	const char *why;
	if (json_is_null(exec))
		return 0;
	c->exec = xcalloc(1, sizeof(*c->exec));
	*c->exec = (struct kube_exec){
		.command = command_of(e, exec),
		.args = strings_of(json_get(exec, "args")),
		.api_version = xstrdup(str_or(json_get_string(exec, "apiVersion"), "")),
		.install_hint = xstrdup(json_get_string(exec, "installHint")),
		.wants_cluster = json_get_bool(exec, "provideClusterInfo", false),
	};
	if (env_of(json_get(exec, "env"), &c->exec->env) < 0)
		return err_set(err, ERR_INVALID,
			       "kubeconfig %s: user \"%s\" has an exec plugin with an env entry "
			       "that has no name",
			       e->source->path, name);
	if (check_exec(c->exec, exec, &why) < 0)
		return err_set(err, ERR_UNSUPPORTED, "kubeconfig %s: user \"%s\" has %s",
			       e->source->path, name, why);
	return 0;
}

int kube_config_start_plugin(struct kube_config *c, struct err *err)
{
	_cleanup_(freep) char *from_file = NULL;
	if (!c->exec || c->runner)
		return 0;
	if (c->exec->wants_cluster && !c->ca && c->ca_file) {
		int r = kube_read_file(c->ca_file, &from_file, err);
		if (r < 0)
			return r;
	}
	_cleanup_(freep) char *info = exec_info(c, c->ca ? c->ca : from_file);
	return kube_runner_start(c->exec, info, &c->runner, err);
}

/* --- users
 * ------------------------------------------------------------------------------------------- */

static int read_user(const struct entry *e, const char *name, struct kube_config *c,
		     struct err *err)
{
	int r = refuse_auth_provider(e, name, err);
	if (r == 0)
		r = read_exec(e, name, c, err);
	if (r == 0)
		r = data_or_path(e, "client-certificate", &c->cert, &c->cert_file, err);
	if (r == 0)
		r = data_or_path(e, "client-key", &c->key, &c->key_file, err);
	if (r == 0)
		r = read_impersonation(e, name, c, err);
	if (r < 0)
		return r;
	c->token = text_of(e, "token");
	c->token_file = path_of(e, "tokenFile");
	c->username = text_of(e, "username");
	c->password = text_of(e, "password");
	bool cert = c->cert || c->cert_file, key = c->key || c->key_file;
	if (cert != key)
		return err_set(err, ERR_INVALID,
			       "kubeconfig %s: user \"%s\" has a client %s without a %s",
			       e->source->path, name, cert ? "certificate" : "key",
			       cert ? "key" : "certificate");
	if (c->username && (c->token || c->token_file))
		return err_set(
			err, ERR_INVALID,
			"kubeconfig %s: user \"%s\" has both a password and a token: remove one",
			e->source->path, name);
	bool other = c->username || c->token || c->token_file || cert;
	if (c->exec && other)
		return err_set(err, ERR_INVALID,
			       "kubeconfig %s: user \"%s\" has other credentials besides an exec "
			       "plugin: remove one",
			       e->source->path, name);
	return 0;
}

/* --- the whole
 * --------------------------------------------------------------------------------------- */

static const char *current_context(const struct sources *s)
{
	for (size_t i = 0; i < s->count; i++) {
		const char *name = json_get_string(s->items[i].doc, "current-context");
		if (!str_empty(name))
			return name;
	}
	return NULL;
}

static int missing(struct err *err, const char *what, const char *name, const char *context)
{
	return err_set(err, ERR_INVALID,
		       "kubeconfig: %s \"%s\"%s%s%s is not there: check the names in it", what,
		       name, context ? " of context \"" : "", context ? context : "",
		       context ? "\"" : "");
}

static int resolve(const struct sources *s, const char *context, struct kube_config *c,
		   struct err *err)
{
	if (str_empty(context))
		context = current_context(s);
	if (!context)
		return err_set(err, ERR_INVALID,
			       "kubeconfig%s%s: no context is chosen: set current-context in it",
			       s->count ? " " : "", s->count ? s->items[0].path : "");
	struct entry ctx = find(s, "contexts", context, "context");
	if (!ctx.fields)
		return missing(err, "context", context, NULL);
	const char *cluster = str_or(json_get_string(ctx.fields, "cluster"), "");
	const char *user = str_or(json_get_string(ctx.fields, "user"), "");
	struct entry cluster_entry = find(s, "clusters", cluster, "cluster");
	struct entry user_entry = find(s, "users", user, "user");
	if (!cluster_entry.fields)
		return missing(err, "cluster", cluster, context);
	if (user[0] && !user_entry.source)
		return missing(err, "user", user, context);
	c->ns = text_of(&ctx, "namespace");
	int r = read_cluster(&cluster_entry, cluster, c, err);
	/* A user without fields is nobody in particular: legal. */
	if (r == 0 && user_entry.fields)
		r = read_user(&user_entry, user, c, err);
	if (r == 0 && c->exec)
		c->exec->cluster_extension = extension_of(&cluster_entry);
	return r;
}

static int finish(struct sources *s, const char *context, struct kube_config *ret, struct err *err)
{
	struct kube_config c = { 0 };
	int r = resolve(s, context, &c, err);
	if (r < 0)
		kube_config_release(&c);
	else
		*ret = c;
	return r;
}

int kube_config_parse(const char *text, size_t len, const char *dir, const char *context,
		      struct kube_config *ret, struct err *err)
{
	_cleanup_(sources_done) struct sources s = { 0 };
	int r = add_source(&s, text, len, "(text)", dir, err);
	return r < 0 ? r : finish(&s, context, ret, err);
}

static int load(struct sources *s, const char *paths, const char *context, struct kube_config *ret,
		struct err *err)
{
	bool single = !strchr(paths, ':'); // NOLINT: never NULL here
	int r = 0;
	for (const char *p = paths; *p && r == 0 && s->count < SOURCES_MAX;) {
		size_t len = strcspn(p, ":");
		_cleanup_(freep) char *path = xstrndup(p, len);
		if (len > 0)
			r = add_file(s, path, !single, err);
		p += len + (p[len] == ':');
	}
	if (r == 0 && s->count == 0)
		return err_set(err, ERR_NOT_FOUND, "kubeconfig: none of the files in %s exists",
			       paths);
	return r < 0 ? r : finish(s, context, ret, err);
}

int kube_config_load_files(const char *paths, const char *context, struct kube_config *ret,
			   struct err *err)
{
	_cleanup_(sources_done) struct sources s = { 0 };
	int r = load(&s, paths, context, ret, err);
	if (r == 0 && !ret->proxy)
		ret->proxy = kube_proxy_from_environment(ret->server);
	return r;
}

/* --- in a pod
 * ----------------------------------------------------------------------------------------- */

/* Of an account without a CA it is not said that "there is none": that would lead elsewhere. */
static int check_ca(const char *path, struct err *err)
{
	_cleanup_(freep) char *pem = NULL;
	struct err own = { 0 };
	usec_t end;
	int r = kube_read_file(path, &pem, &own);
	if (r == 0)
		r = crypt_cert_not_after(pem, &end, &own);
	return r == 0 ? 0 : err_set(err, ERR_INVALID, "service account: %s: %s", path, own.text);
}

int kube_config_load_in_cluster(const char *root, struct kube_config *ret, struct err *err)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	const char *port = getenv("KUBERNETES_SERVICE_PORT");
	if (str_empty(host) || str_empty(port))
		return err_set(err, ERR_NOT_FOUND,
			       "not in a pod: KUBERNETES_SERVICE_HOST and _PORT are not set");
	_cleanup_(freep) char *dir = xasprintf("%s/var/run/secrets/kubernetes.io/serviceaccount",
					       root);
	_cleanup_(kube_config_release) struct kube_config c = { 0 };
	_cleanup_(freep) char *ns_file = xasprintf("%s/namespace", dir);
	_cleanup_(secret_freep) char *token = NULL;
	c.token_file = xasprintf("%s/token", dir);
	c.ca_file = xasprintf("%s/ca.crt", dir);
	int r = kube_read_word(c.token_file, &token, err);
	if (r < 0)
		return err_wrap(err, "service account");
	r = check_ca(c.ca_file, err);
	if (r < 0)
		return r;
	bool six = strchr(host, ':') != NULL; // NOLINT: never NULL here
	c.server = xasprintf("https://%s%s%s:%s", six ? "[" : "", host, six ? "]" : "", port);
	c.proxy = kube_proxy_from_environment(c.server);
	c.ns = xstrdup(getenv("POD_NAMESPACE"));
	if (!c.ns)
		(void)kube_read_word(ns_file, &c.ns, NULL);
	*ret = c;
	c = (struct kube_config){ 0 };
	return 0;
}

int kube_config_load(const char *path, const char *context, struct kube_config *ret,
		     struct err *err)
{
	return kube_config_load_below("", path, context, ret, err);
}

int kube_config_load_below(const char *root, const char *path, const char *context,
			   struct kube_config *ret, struct err *err)
{
	const char *env = getenv("KUBECONFIG"), *home = getenv("HOME");
	if (!str_empty(path))
		return kube_config_load_files(path, context, ret, err);
	if (!str_empty(env))
		return kube_config_load_files(env, context, ret, err);
	struct err pod = { 0 };
	if (kube_config_load_in_cluster(root, ret, &pod) == 0)
		return 0;
	if (pod.kind != ERR_NOT_FOUND)
		return err_copy(err, &pod); /* in a pod, but broken: do not look elsewhere */
	_cleanup_(freep) char *file = xasprintf("%s/.kube/config", str_or(home, ""));
	int r = kube_config_load_files(file, context, ret, err);
	if (r == -ENOENT)
		return err_set(
			err, ERR_NOT_FOUND,
			"no cluster is configured: give --kubeconfig or $KUBECONFIG, or run in "
			"a pod (%s; %s is not there)",
			pod.text, file);
	return r;
}
