#pragma once
/* Messages of credential plugins (client.authentication.k8s.io, v1 and v1beta1): what a plugin is
 * told in $KUBERNETES_EXEC_INFO, and what it prints. Pure; inside pkg/kube. */

#include "base/clock.h"
#include "kube/config.h"

struct exec_credential {
	char *token;	  /* NULL: none; at least this or the pair is there */
	char *cert, *key; /* PEM; both or none */
	usec_t expires;	  /* wall; USEC_INFINITY: good until it is refused */
};

/* An ExecCredential as text, new. `ca`: PEM of the cluster's CA, told if the plugin wants to know
 * its cluster; NULL: none. */
char *exec_info(const struct kube_config *config, const char *ca);
/* What a plugin has printed; it must speak `api_version`. Errors never quote it. */
int exec_credential_parse(const char *text, size_t len, const char *api_version,
			  struct exec_credential *ret, struct err *err);
void exec_credential_release(struct exec_credential *c);
