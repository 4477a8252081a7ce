#pragma once
/* The `ingot standalone` of this machine, for who names no API server. */

#include "base/err.h"

/* The kubeconfig in its data directory: that of --data-dir in INGOT_OPTIONS of /etc/default/ingot,
 * as the unit starts it, else /var/lib/ingot. NULL: there is no such directory here. A new string;
 * that it can be read is not said. `root` stands before all paths; "" but in tests. */
char *local_kubeconfig(const char *root);
/* kube_config_load() would find one without our help: in $KUBECONFIG, a pod or $HOME. */
bool local_has_other(void);
