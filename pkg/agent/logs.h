#pragma once
/* The logs that go with an inspection and with collect_system_logs: a .tar.gz in base64. any thread
 */

#include "base/macro.h"

/* Keeps the last lines of our own log for it; call once, before the log is used by others. */
void agent_logs_start(void);
/* New string. `root` as in hw/sysfs.h. */
char *agent_logs_collect(const char *root);
/* For tests and for other archives: one file into a tar stream (ustar). */
struct strbuf;
void agent_tar_add(struct strbuf *tar, const char *name, const void *data, size_t len);
void agent_tar_end(struct strbuf *tar);
