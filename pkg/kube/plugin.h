#pragma once
/* Credentials from a plugin, on the loop: run when none are there, renewed a minute before they
 * expire and when the server has refused them, one run at a time; whoever needs credentials
 * meanwhile waits. Inside pkg/kube. Core thread. */

#include "kube/exec_credential.h"
#include "kube/runner.h"
#include "loop/loop.h"

struct plugin;

/* `config->exec` is borrowed during the call. */
int plugin_new(struct loop *loop, const struct kube_config *config, struct kube_runner *runner,
	       struct plugin **ret, struct err *err);
/* Whoever waits must have left before. */
struct plugin *plugin_free(struct plugin *p);

/* False: wait. */
bool plugin_ready(const struct plugin *p);
/* Those that have not expired; NULL: none. */
const struct exec_credential *plugin_credential(const struct plugin *p);
/* Changes with each new credential. */
uint64_t plugin_serial(const struct plugin *p);
/* The server did not accept the credential of this serial. */
void plugin_refused(struct plugin *p, uint64_t serial);

/* Embedded in who waits. fn is called once, after plugin_wait() has returned; err NULL: there are
 * credentials. */
struct plugin_waiter {
	struct list node;
	void (*fn)(void *data, const struct err *err);
	void *data;
};

void plugin_waiter_init(struct plugin_waiter *w, void (*fn)(void *data, const struct err *err),
			void *data);
void plugin_wait(struct plugin *p, struct plugin_waiter *w);
void plugin_leave(struct plugin_waiter *w); /* harmless when not waiting */
