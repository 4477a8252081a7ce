#pragma once
/* Files that hold secrets: a directory only its owner may enter, files only he may read, replaced
 * as a whole or not at all. Blocking; main thread, at start. */

#include <stdbool.h>

#include "base/err.h"

enum { FILE_MAX = 1 << 20 };

/* Makes the directory 0700 (its parent must exist) or checks that it is the caller's and closed. */
int files_prepare_directory(const char *path, struct err *err);
/* -ENOENT (ERR_NOT_FOUND) when absent. Refuses a file that others may read. Zeroed by secret_free.
 */
int files_read_secret(const char *path, char **ret, struct err *err);
/* As files_read_secret without the check of its mode. */
int files_read(const char *path, char **ret, struct err *err);
/* Mode 0600; on disk when it returns. */
int files_write_secret(const char *path, const char *text, struct err *err);
bool files_exists(const char *path);
/* Takes the directory for this process; a second one is refused. The lock ends with the process. */
int files_lock(const char *directory, int *ret_fd, struct err *err);
/* Waits for a lock of that name there, which ends when the descriptor is closed. */
int files_wait_lock(const char *directory, const char *name, int *ret_fd, struct err *err);
