/* kubeconfig: what is read, merged, resolved and refused; the service account of a pod; proxies. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "crypt/crypt.h"
#include "kube/config.h"
#include "kube/proxy.h"

#define CLUSTER(name, more)                                                                        \
	"clusters:\n- name: " name "\n  cluster:\n    server: https://" name ".example:6443/\n" more
#define CONTEXT(name, cluster, user)                                                               \
	"current-context: " name "\ncontexts:\n- name: " name                                      \
	"\n  context:\n    cluster: " cluster "\n    user: " user "\n    namespace: ns-" name "\n"
#define USER(name, more) "users:\n- name: " name "\n  user:\n" more

#define EXEC_V1 "      apiVersion: client.authentication.k8s.io/v1\n"

static char root[] = "/tmp/ingot-config-XXXXXX";

static int make_root(void **state)
{
	(void)state;
	static const char *const unset[] = {
		"KUBECONFIG",  "HOME",	       "KUBERNETES_SERVICE_HOST",
		"HTTP_PROXY",  "http_proxy",   "KUBERNETES_SERVICE_PORT",
		"HTTPS_PROXY", "NO_PROXY",     "https_proxy",
		"no_proxy",    "POD_NAMESPACE"
	};
	for (size_t i = 0; i < ARRAY_SIZE(unset); i++)
		unsetenv(unset[i]);
	return mkdtemp(root) ? 0 : -1;
}

/* Writes root/path, making directories; returns the full path, to be freed. */
static char *file(const char *path, const char *text)
{
	char *full = xasprintf("%s/%s", root, path);
	for (char *p = full + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(full, 0700);
		*p = '/';
	}
	FILE *f = fopen(full, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	return full;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

static int remove_root(void **state)
{
	(void)state;
	return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int parse(const char *text, struct kube_config *c, struct err *err)
{
	return kube_config_parse(text, strlen(text), "/dir", NULL, c, err);
}

static void test_minimal(void **state)
{
	(void)state;
	struct kube_config c = { 0 };
	struct err err = { 0 };
	int r = parse("apiVersion: v1\nkind: Config\n" CLUSTER("c", "") CONTEXT("x", "c", "u")
			      USER("u", "    token: secret\n"),
		      &c, &err);
	if (r < 0)
		fail_msg("%s", err.text);
	assert_string_equal(c.server, "https://c.example:6443");
	assert_string_equal(c.token, "secret");
	assert_string_equal(c.ns, "ns-x");
	assert_null(c.ca);
	assert_false(c.insecure);
	kube_config_release(&c);
	assert_null(c.server);
}

static void test_all_fields(void **state)
{
	(void)state;
	struct kube_config c = { 0 };
	struct err err = { 0 };
	/* aGVsbG8= is hello, with white space inside as found in the wild. */
	int r = parse(CLUSTER("c", "    tls-server-name: api.internal\n"
				   "    certificate-authority: ignored.crt\n"
				   "    certificate-authority-data: \"aGVs\\n bG8=\"\n"
				   "    proxy-url: socks5://p:1\n    disable-compression: true\n")
			      CONTEXT("x", "c", "u") USER(
				      "u",
				      "    client-certificate: tls/a.crt\n"
				      "    client-key: /abs/a.key\n"
				      "    tokenFile: tok\n"
				      "    as: other\n    as-uid: \"7\"\n    as-groups: [g1, g2]\n"
				      "    as-user-extra:\n      k: [v1, v2]\n"),
		      &c, &err);
	if (r < 0)
		fail_msg("%s", err.text);
	assert_string_equal(c.tls_server_name, "api.internal");
	assert_string_equal(c.ca, "hello");
	assert_null(c.ca_file);
	assert_string_equal(c.proxy, "socks5://p:1");
	assert_true(c.no_compression);
	assert_string_equal(c.cert_file, "/dir/tls/a.crt");
	assert_string_equal(c.key_file, "/abs/a.key");
	assert_string_equal(c.token_file, "/dir/tok");
	assert_string_equal(c.as_user, "other");
	assert_string_equal(c.as_uid, "7");
	assert_string_equal(c.as_groups[1], "g2");
	assert_string_equal(c.as_extra[1], "k=v2");
	assert_null(c.as_extra[2]);
	kube_config_release(&c);
}

static void test_json_and_prefix(void **state)
{
	(void)state;
	struct kube_config c = { 0 };
	assert_int_equal(
		parse("{\"current-context\":\"x\",\"contexts\":[{\"name\":\"x\",\"context\":"
		      "{\"cluster\":\"c\"}}],\"clusters\":[{\"name\":\"c\",\"cluster\":{"
		      "\"server\":\"rancher.example/k8s/clusters/c-1/\"}}],\"users\":null}",
		      &c, NULL),
		0);
	assert_string_equal(c.server, "https://rancher.example/k8s/clusters/c-1");
	kube_config_release(&c);
}

static void test_exec(void **state)
{
	(void)state;
	static const char text[] = CLUSTER(
		"c", "    extensions:\n    - name: client.authentication.k8s.io/exec\n"
		     "      extension: {audience: a}\n") CONTEXT("x", "c", "u")
		USER("u", "    exec:\n" EXEC_V1 "      command: ./bin/login\n"
			  "      args: [get-token, '--cluster=a b']\n"
			  "      env:\n      - {name: PROFILE, value: x=y}\n      - {name: EMPTY}\n"
			  "      installHint: see the wiki\n      interactiveMode: IfAvailable\n"
			  "      provideClusterInfo: true\n");
	struct kube_config c = { 0 };
	struct err err = { 0 };
	if (parse(text, &c, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(c.exec->command, "/dir/./bin/login");
	assert_string_equal(c.exec->args[1], "--cluster=a b");
	assert_null(c.exec->args[2]);
	assert_string_equal(c.exec->env[0], "PROFILE=x=y");
	assert_string_equal(c.exec->env[1], "EMPTY=");
	assert_string_equal(c.exec->install_hint, "see the wiki");
	assert_true(c.exec->wants_cluster);
	assert_string_equal(c.exec->cluster_extension, "{\"audience\":\"a\"}");
	kube_config_release(&c);
}

static void test_refusals(void **state)
{
	(void)state;
	static const struct {
		const char *text, *words;
	} rows[] = {
		{ " \n", "no context is chosen" },
		{ "- list\n", "is not a mapping" },
		{ "a: [\n", "kubeconfig" },
		{ CLUSTER("c", ""), "no context is chosen" },
		{ "current-context: w\n", "context \"w\" is not there" },
		{ CONTEXT("x", "c", "u"), "cluster \"c\" of context \"x\" is not there" },
		{ CLUSTER("c", "") CONTEXT("x", "c", "u"), "user \"u\" of context \"x\"" },
		{ "clusters:\n- name: c\n  cluster: {}\n" CONTEXT("x", "c", "\"\""), "no server" },
		{ CLUSTER("c", "    insecure-skip-tls-verify: true\n    certificate-authority: a\n")
			  CONTEXT("x", "c", "u") USER("u", "    token: t\n"),
		  "both a certificate authority and insecure" },
		{ CLUSTER("c", "    certificate-authority-data: \"!\"\n") CONTEXT("x", "c", "u")
			  USER("u", "    token: t\n"),
		  "certificate-authority-data is not base64" },
		{ CLUSTER("c", "    certificate-authority-data: YQBi\n") CONTEXT("x", "c", "u")
			  USER("u", "    token: t\n"),
		  "is not PEM text" },
		{ CLUSTER("c", "") CONTEXT("x", "c", "u")
			  USER("u", "    token: t\n    username: me\n    password: p\n"),
		  "both a password and a token" },
		{ CLUSTER("c", "") CONTEXT("x", "c", "u") USER("u", "    client-certificate: a\n"),
		  "certificate without a key" },
		{ CLUSTER("c", "") CONTEXT("x", "c", "u") USER("u", "    client-key: a\n"),
		  "key without a certificate" },
		{ CLUSTER("c", "") CONTEXT("x", "c", "u")
			  USER("u", "    exec:\n      command: aws\n"),
		  "apiVersion is neither" },
		{ CLUSTER("c", "") CONTEXT("x", "c", "u") USER("u", "    exec:\n" EXEC_V1),
		  "an exec plugin without a command" },
		{ CLUSTER("c", "") CONTEXT("x", "c", "u")
			  USER("u", "    exec:\n" EXEC_V1
				    "      command: aws\n      interactiveMode: Always\n"),
		  "interactiveMode Always" },
		{ CLUSTER("c", "") CONTEXT("x", "c", "u")
			  USER("u", "    exec:\n" EXEC_V1 "      command: aws\n"
				    "      env: [{value: x}]\n"),
		  "env entry that has no name" },
		{ CLUSTER("c", "") CONTEXT("x", "c", "u")
			  USER("u", "    token: t\n    exec:\n" EXEC_V1 "      command: aws\n"),
		  "other credentials besides an exec plugin" },
		{ CLUSTER("c", "") CONTEXT("x", "c", "u")
			  USER("u", "    auth-provider:\n      name: gcp\n"),
		  "auth-provider, which Kubernetes has removed" },
		{ CLUSTER("c", "") CONTEXT("x", "c", "u") USER("u", "    as-groups: [g]\n"),
		  "without as" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct kube_config c = { 0 };
		struct err err = { 0 };
		if (parse(rows[i].text, &c, &err) == 0)
			fail_msg("row %zu was taken", i);
		if (!strstr(err.text, rows[i].words))
			fail_msg("row %zu: \"%s\" is not in \"%s\"", i, rows[i].words, err.text);
		assert_null(c.server);
	}
}

static void test_chosen_context(void **state)
{
	(void)state;
	static const char text[] = CLUSTER("c",
					   "") "current-context: x\n"
					       "contexts:\n- name: x\n  context: {cluster: d}\n"
					       "- name: w\n  context: {cluster: c}\n";
	struct kube_config c = { 0 };
	assert_int_equal(kube_config_parse(text, strlen(text), "/", "w", &c, NULL), 0);
	kube_config_release(&c);
}

static void test_merge(void **state)
{
	(void)state;
	char *a = file("one/a",
		       "current-context: x\n" CLUSTER("c", "    certificate-authority: ca.crt\n"));
	char *b = file("two/b", "current-context: w\n"
				"contexts:\n- name: x\n  context: {cluster: c, user: u}\n"
				"clusters:\n- name: c\n  cluster:\n    server: https://second\n"
				"    proxy-url: http://second\n" USER("u", "    tokenFile: tok\n"));
	char *list = xasprintf("%s/missing::%s:%s", root, a, b);
	struct kube_config c = { 0 };
	struct err err = { 0 };
	if (kube_config_load_files(list, NULL, &c, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(c.server, "https://c.example:6443");
	assert_null(c.proxy); /* entries are not mixed */
	char *ca = xasprintf("%s/one/ca.crt", root), *token = xasprintf("%s/two/tok", root);
	assert_string_equal(c.ca_file, ca);
	assert_string_equal(c.token_file, token);
	kube_config_release(&c);
	free(ca);
	free(token);
	/* One file that was asked for by name must be there. */
	char *missing = xasprintf("%s/missing", root);
	assert_true(kube_config_load_files(missing, NULL, &c, &err) < 0);
	assert_int_equal(err.kind, ERR_NOT_FOUND);
	assert_non_null(strstr(err.text, missing));
	char *two = xasprintf("%s:%s2", missing, missing);
	assert_true(kube_config_load_files(two, NULL, &c, &err) < 0);
	assert_non_null(strstr(err.text, "none of the files"));
	free(two);
	free(missing);
	free(list);
	free(a);
	free(b);
}

static void test_order(void **state)
{
	(void)state;
	struct kube_config c = { 0 };
	struct err err = { 0 };
	assert_true(kube_config_load(NULL, NULL, &c, &err) < 0);
	assert_non_null(strstr(err.text, "no cluster is configured"));
	char *home = file("home/.kube/config", CLUSTER("home", "") CONTEXT("x", "home", "u")
						       USER("u", "    token: t\n"));
	char *env = file("env",
			 CLUSTER("env", "") CONTEXT("x", "env", "u") USER("u", "    token: t\n"));
	char *flag = file("flag", CLUSTER("flag", "") CONTEXT("x", "flag", "u")
					  USER("u", "    token: t\n"));
	char *dir = xasprintf("%s/home", root);
	setenv("HOME", dir, 1);
	assert_int_equal(kube_config_load(NULL, NULL, &c, &err), 0);
	assert_string_equal(c.server, "https://home.example:6443");
	kube_config_release(&c);
	setenv("KUBECONFIG", env, 1);
	assert_int_equal(kube_config_load("", NULL, &c, &err), 0);
	assert_string_equal(c.server, "https://env.example:6443");
	kube_config_release(&c);
	assert_int_equal(kube_config_load(flag, NULL, &c, &err), 0);
	assert_string_equal(c.server, "https://flag.example:6443");
	kube_config_release(&c);
	unsetenv("KUBECONFIG");
	unsetenv("HOME");
	free(dir);
	free(home);
	free(env);
	free(flag);
}

static void set_pod(const char *host)
{
	if (host) {
		setenv("KUBERNETES_SERVICE_HOST", host, 1);
		setenv("KUBERNETES_SERVICE_PORT", "443", 1);
		return;
	}
	unsetenv("KUBERNETES_SERVICE_HOST");
	unsetenv("KUBERNETES_SERVICE_PORT");
}

#define ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount/"

/* NULL: the file is absent. */
static void set_account(const char *pod, const char *token, const char *ca)
{
	const char *const rows[][2] = { { "token", token }, { "ca.crt", ca } };
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *path = xasprintf("%s" ACCOUNT "%s", pod, rows[i][0]);
		char *full = file(path, str_or(rows[i][1], ""));
		if (!rows[i][1])
			unlink(full);
		free(full);
		free(path);
	}
}

static struct crypt_pair make_ca(void)
{
	struct crypt_pair ca = { 0 };
	const struct crypt_cert_spec spec = { .common_name = "ca",
					      .not_after = UINT64_C(4070908800) * USEC_PER_SEC,
					      .is_ca = true };
	assert_int_equal(crypt_make_cert(&spec, NULL, &ca, NULL), 0);
	return ca;
}

/* All three are there: the list of files, the pod's account, the home directory. What is broken is
 * an error where it stands in the order, whatever would come behind it. */
static void test_order_in_a_pod(void **state)
{
	(void)state;
	struct crypt_pair ca = make_ca();
	const char *good = ca.cert;
	const struct {
		const char *host, *token, *ca; /* of the pod; host NULL: not in one */
		const char *env;	       /* $KUBECONFIG; NULL: unset */
		const char *server, *error;
	} rows[] = {
		{ "10.0.0.1", "tok", good, "env", "https://env.example:6443", NULL },
		{ "10.0.0.1", "tok", "broken", "env", "https://env.example:6443", NULL },
		{ "10.0.0.1", "tok", good, "missing", NULL, "missing" },
		{ "10.0.0.1", "tok", good, NULL, "https://10.0.0.1:443", NULL },
		{ "10.0.0.1", "tok", good, "", "https://10.0.0.1:443", NULL },
		{ "10.0.0.1", "tok", "broken", NULL, NULL, ACCOUNT "ca.crt" },
		{ "10.0.0.1", "tok", NULL, NULL, NULL, ACCOUNT "ca.crt" },
		{ "10.0.0.1", " \n", good, NULL, NULL, ACCOUNT "token is empty" },
		{ "10.0.0.1", NULL, NULL, NULL, "https://home.example:6443", NULL },
		{ NULL, "tok", good, NULL, "https://home.example:6443", NULL },
	};
	char *home = file("order/.kube/config", CLUSTER("home", "") CONTEXT("x", "home", "u")
							USER("u", "    token: t\n"));
	char *env = file("env",
			 CLUSTER("env", "") CONTEXT("x", "env", "u") USER("u", "    token: t\n"));
	char *dir = xasprintf("%s/order", root), *pod = xasprintf("%s/orderly", root);
	setenv("HOME", dir, 1);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct kube_config c = { 0 };
		struct err err = { 0 };
		char *list = xasprintf("%s%s%s", rows[i].env && rows[i].env[0] ? root : "",
				       rows[i].env && rows[i].env[0] ? "/" : "",
				       str_or(rows[i].env, ""));
		set_pod(rows[i].host);
		set_account("orderly", rows[i].token, rows[i].ca);
		rows[i].env ? setenv("KUBECONFIG", list, 1) : unsetenv("KUBECONFIG");
		int r = kube_config_load_below(pod, NULL, NULL, &c, &err);
		if (rows[i].server && (r < 0 || !streq(c.server, rows[i].server)))
			fail_msg("row %zu: %s", i, r < 0 ? err.text : c.server);
		if (rows[i].error && (r == 0 || !strstr(err.text, rows[i].error)))
			fail_msg("row %zu: %s", i, r < 0 ? err.text : c.server);
		kube_config_release(&c);
		free(list);
	}
	set_pod(NULL);
	unsetenv("KUBECONFIG");
	unsetenv("HOME");
	crypt_pair_release(&ca);
	free(pod), free(dir), free(home), free(env);
}

static void test_in_cluster(void **state)
{
	(void)state;
	struct kube_config c = { 0 };
	struct err err = { 0 };
	char *pod = xasprintf("%s/pod", root);
	assert_true(kube_config_load_in_cluster(pod, &c, &err) < 0);
	assert_int_equal(err.kind, ERR_NOT_FOUND);
	set_pod("fd00::1");
	assert_true(kube_config_load_in_cluster(pod, &c, &err) < 0);
	assert_non_null(strstr(err.text, "serviceaccount/token"));
	static const char dir[] = "pod/var/run/secrets/kubernetes.io/serviceaccount";
	char *name = xasprintf("%s/token", dir);
	free(file(name, "tok\n"));
	free(name);
	name = xasprintf("%s/ca.crt", dir);
	free(file(name, "broken"));
	assert_true(kube_config_load_in_cluster(pod, &c, &err) < 0);
	assert_non_null(strstr(err.text, "ca.crt"));
	struct crypt_pair ca = make_ca();
	free(file(name, ca.cert));
	free(name);
	name = xasprintf("%s/namespace", dir);
	free(file(name, "metal\n"));
	free(name);
	if (kube_config_load_in_cluster(pod, &c, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(c.server, "https://[fd00::1]:443");
	assert_string_equal(c.ns, "metal");
	assert_true(str_has_suffix(c.token_file, "/token"));
	kube_config_release(&c);
	setenv("POD_NAMESPACE", "own", 1);
	setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1", 1);
	assert_int_equal(kube_config_load_in_cluster(pod, &c, &err), 0);
	assert_string_equal(c.server, "https://10.0.0.1:443");
	assert_string_equal(c.ns, "own");
	kube_config_release(&c);
	crypt_pair_release(&ca);
	unsetenv("POD_NAMESPACE");
	set_pod(NULL);
	free(pod);
}

static void test_proxies(void **state)
{
	(void)state;
	static const struct {
		const char *url, *no_proxy;
		bool proxied;
	} rows[] = {
		{ "https://api.example/", NULL, true },
		{ "https://api.example/", "other.example,example.org", true },
		{ "https://api.example/", "example", false },
		{ "https://api.example/", ".example", false },
		{ "https://example/", ".example", true },
		{ "https://API.Example:6443/", " x , api.example:6443", false },
		{ "https://api.example:6443/", "api.example:443", true },
		{ "https://api.example/", "api.example:443", false },
		{ "https://notexample/", "example", true },
		{ "https://10.1.2.3:6443", "10.0.0.0/8", false },
		{ "https://11.1.2.3:6443", "10.0.0.0/8", true },
		{ "https://10.1.2.3:6443", "10.1.2.3", false },
		{ "https://[fd00::1]:6443", "fd00::/64", false },
		{ "https://[fd00::1]:6443", "[fd00::1]:6443", false },
		{ "https://[fd00::1]:6443", "fd00::1", false },
		{ "https://[fd01::1]:6443", "fd00::1", true },
		{ "https://name.example", "10.0.0.0/8", true },
		{ "https://api.example/", "*", false },
		{ "https://127.0.0.1:6443", NULL, false },
		{ "https://[::1]:6443", NULL, false },
		{ "https://localhost", NULL, false },
		{ "https://", ",,", true },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(freep) char *proxy = kube_proxy_for(rows[i].url, "http://plain:1",
							      "proxy:3128", rows[i].no_proxy);
		if ((proxy != NULL) != rows[i].proxied)
			fail_msg("row %zu: %s", i, proxy ? proxy : "no proxy");
		if (proxy)
			assert_string_equal(proxy, "http://proxy:3128");
	}
	_cleanup_(freep) char *plain = kube_proxy_for("http://a.b/", "http://plain:1", "x", NULL);
	assert_string_equal(plain, "http://plain:1");
	assert_null(kube_proxy_for("http://a.b/", "", "x", NULL));
	setenv("https_proxy", "socks5://s:1", 1);
	_cleanup_(freep) char *env = kube_proxy_from_environment("https://a.b/");
	assert_string_equal(env, "socks5://s:1");
	unsetenv("https_proxy");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_minimal),		cmocka_unit_test(test_all_fields),
		cmocka_unit_test(test_json_and_prefix), cmocka_unit_test(test_exec),
		cmocka_unit_test(test_refusals),	cmocka_unit_test(test_chosen_context),
		cmocka_unit_test(test_merge),		cmocka_unit_test(test_order),
		cmocka_unit_test(test_order_in_a_pod),	cmocka_unit_test(test_in_cluster),
		cmocka_unit_test(test_proxies),
	};
	return cmocka_run_group_tests(tests, make_root, remove_root);
}
