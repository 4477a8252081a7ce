#pragma once
/* `ingot backup` and `ingot restore`: a data directory of `ingot standalone` to a directory of its
 * own, and back. Blocking; what has been done is printed. Main thread. */

#include "base/err.h"

struct site_backup_options {
	const char *place, *data_dir; /* of the backup; of the server */
};

/* The server may run; it is asked for the copy then. */
int site_back_up(const struct site_backup_options *o, struct err *err);
/* The server must not run. All hosts are held afterwards. */
int site_restore(const struct site_backup_options *o, struct err *err);
