#pragma once
/* Files that hold secrets: a directory only its owner may enter, files that only the owner may
 * read, replaced as a whole or not at all. Blocking; main thread, at start. */

#include <stdbool.h>

#include "base/err.h"

enum { SITE_FILE_MAX = 1 << 20 };

/* Makes the directory 0700 (its parent must exist) or checks that it is the caller's and closed. */
int site_files_prepare_directory(const char *path, struct err *err);
/* For commands on a data directory, which may be another user's: root becomes its owner, so that
 * what is made there belongs to the owner, as all else does. Without root nothing changes. */
int site_files_become_owner(const char *directory, struct err *err);
/* And is root again. */
void site_files_be_self(void);
/* -ENOENT (ERR_NOT_FOUND) when absent. Refuses a file that others may read. Zeroed by secret_free.
 */
int site_files_read_secret(const char *path, char **ret, struct err *err);
/* As site_files_read_secret without the check of its mode. */
int site_files_read(const char *path, char **ret, struct err *err);
/* Mode 0600; on disk when it returns. */
int site_files_write_secret(const char *path, const char *text, struct err *err);
bool site_files_exists(const char *path);
/* Takes the directory for this process; a second one is refused. The lock ends with the process. */
int site_files_lock(const char *directory, int *ret_fd, struct err *err);
/* Descriptors, because the two ends of a copy may belong to different users. The new file has mode
 * 0600 and must not exist. */
int site_files_open_new(const char *path, int *ret_fd, struct err *err);
int site_files_open(const char *path, int *ret_fd, struct err *err);
/* All bytes, on disk when it returns; `path` is for the error. */
int site_files_copy(int from, int to, const char *path, struct err *err);
/* Waits for a lock of that name there, which ends when the descriptor is closed. */
int site_files_wait_lock(const char *directory, const char *name, int *ret_fd, struct err *err);
