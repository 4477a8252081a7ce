#pragma once
/* DIR/tokens, the bearer tokens of `ingot standalone`. `ingot token` changes it while the server
 * runs, which reads it again when it has been replaced: what is revoked is refused from then on. */

#include <sys/stat.h>

#include "apiserver/front.h"
#include "apiserver/tokens.h"

/* Store thread, but for init and done. */
struct site_token_file {
	char *path;
	bool seen; /* `state` is that of the file which `tokens` came from */
	struct stat state;
	struct tokens tokens;
};

void site_token_file_init(struct site_token_file *f, const char *directory);
void site_token_file_done(struct site_token_file *f);
/* For struct api_front_options; data is the token_file. A file that cannot be read admits no user,
 * and the log says why. */
bool site_token_file_authenticate(void *data, const char *token, struct api_user *ret);

/* For the command: what there is; absent: none. */
int site_token_file_read(const char *directory, struct tokens *ret, struct err *err);
int site_token_file_write(const char *directory, const struct tokens *t, struct err *err);
