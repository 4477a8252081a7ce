#pragma once
/* How to reach an API server and as whom: kubeconfig files, or the service account of a pod,
 * in the way of client-go. Reads files; meant for start-up. any thread */

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/err.h"

/* A credential plugin: a program that prints credentials. */
struct kube_exec {
	char *command;	   /* a path, or a name to be looked for in $PATH */
	char **args;	   /* NULL-ended, or NULL */
	char **env;	   /* "NAME=value", besides ours; likewise */
	char *api_version; /* "client.authentication.k8s.io/v1" */
	char *install_hint;
	bool wants_cluster; /* is told of the cluster, with this extension (JSON; or NULL) */
	char *cluster_extension;
	usec_t run_limit; /* 0: a minute */
};

struct kube_runner;

struct kube_config {
	char *server; /* "https://host:port[/prefix]", no slash at the end */
	char *tls_server_name;
	/* Text, or the file to read it from (and again when it changes); text wins. */
	char *ca, *ca_file;
	char *cert, *cert_file;
	char *key, *key_file;
	bool insecure;
	bool no_compression;
	char *token, *token_file; /* the file, when given, is what is used and read again */
	char *username, *password;
	struct kube_exec *exec;	    /* NULL: none */
	struct kube_runner *runner; /* what runs it, by kube_config_start_plugin() */
	char *proxy;
	char *as_user, *as_uid; /* impersonation */
	char **as_groups;	/* NULL-ended, or NULL */
	char **as_extra;	/* "key=value" */
	char *ns;		/* of the context or the pod; NULL when none is named */
};

/* In this order: `path` (a flag; NULL: not given), $KUBECONFIG, the pod's service account,
 * $HOME/.kube/config. A pod without a token has no account; one that is broken otherwise is an
 * error and not passed over. `context` NULL: the file's current-context. */
int kube_config_load(const char *path, const char *context, struct kube_config *ret,
		     struct err *err);
/* One kubeconfig text, as if it stood in directory `dir`. Pure; for tests and fuzzing. */
int kube_config_parse(const char *text, size_t len, const char *dir, const char *context,
		      struct kube_config *ret, struct err *err);
/* A list of files in the form of $KUBECONFIG: entries of the first win, missing files are skipped.
 */
int kube_config_load_files(const char *paths, const char *context, struct kube_config *ret,
			   struct err *err);
/* `root`, which the service account's directory stands below, is "" but in tests. */
int kube_config_load_below(const char *root, const char *path, const char *context,
			   struct kube_config *ret, struct err *err);
int kube_config_load_in_cluster(const char *root, struct kube_config *ret, struct err *err);
/* Forks the helper process that runs the credential plugin, if there is one: before threads, and
 * before privileges are given up. Whoever gives up nothing leaves that to
 * kube_http_transport_new(). */
int kube_config_start_plugin(struct kube_config *c, struct err *err);
void kube_config_release(struct kube_config *c);
