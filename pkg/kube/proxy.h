#pragma once
/* Proxies from the environment, by the rules of Go's programs. Inside pkg/kube; pure but for the
 * names given. any thread */

#include <stdbool.h>

/* A new string, or NULL: none. `https_proxy` etc. are the values of those variables (NULL: unset).
 */
char *kube_proxy_for(const char *url, const char *http_proxy, const char *https_proxy,
		     const char *no_proxy);
/* The same with $HTTPS_PROXY, $https_proxy and so on. */
char *kube_proxy_from_environment(const char *url);
