#pragma once
/* The socket in the data directory by which commands on this machine reach the running
 * `ingot standalone`. Only the directory's owner and root can enter it. */

#include "apiserver/apiserver.h"
#include "web/web.h"

#define CONTROL_SOCKET "control.sock"
/* POST makes it, in the data directory: a consistent copy of the store. The answer is empty, or
 * 500 with the reason. */
#define CONTROL_BACKUP "/backup"
#define BACKUP_PART    "backup.part"
/* A store on its way into the data directory. */
#define RESTORE_PART "restore.part"

struct site_control {
	struct apiserver *api;
	const char *data_dir;
};

/* The handlers run on `loop`, where the API server lives. *ret stays NULL where the path of the
 * data directory is too long for a socket; the log says so. */
int site_control_open(struct site_control *c, struct web *web, struct loop *loop,
		      struct web_server **ret, struct err *err);
