#pragma once
/* Small text files: tokens, certificates, kubeconfigs. any thread */

#include "base/err.h"

enum { KUBE_FILE_MAX = 1024 * 1024 };

/* A new string. Errors name the path; a missing file is ERR_NOT_FOUND. */
int kube_read_file(const char *path, char **ret, struct err *err);
/* Without white space at both ends; empty is ERR_INVALID. For tokens. */
int kube_read_word(const char *path, char **ret, struct err *err);
