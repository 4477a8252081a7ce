/* The tokens file on disk (see token_file.h). It is replaced as a whole (files.h), so its inode and
 * times tell that it has changed; one stat(2) a request is cheaper than a watch that can fail. */

#include "site/token_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/roles.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "site/files.h"

static char *path_in(const char *directory)
{
	return xasprintf("%s/tokens", directory);
}

void site_token_file_init(struct site_token_file *f, const char *directory)
{
	*f = (struct site_token_file){ .path = path_in(directory) };
}

void site_token_file_done(struct site_token_file *f)
{
	tokens_done(&f->tokens);
	free(f->path);
	*f = (struct site_token_file){ 0 };
}

static int load(const char *path, struct tokens *ret, struct err *err)
{
	_cleanup_(secret_freep) char *text = NULL;
	int r = site_files_read_secret(path, &text, err);
	if (r < 0)
		return r;
	return tokens_parse(text, ret, err) < 0 ? err_wrap(err, "%s", path) : 0;
}

/* --- the server ------------------------------------------------------------------------------- */

/* Mode and owner count: a file that others may read is refused from then on. */
static bool same(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
	       a->st_mode == b->st_mode && a->st_uid == b->st_uid &&
	       memcmp(&a->st_mtim, &b->st_mtim, sizeof(a->st_mtim)) == 0 &&
	       memcmp(&a->st_ctim, &b->st_ctim, sizeof(a->st_ctim)) == 0;
}

/* Said once for each state of the file. What cannot be looked at is asked for again. */
static void read_again(struct site_token_file *f, bool there, const struct stat *now)
{
	struct err err;
	tokens_done(&f->tokens);
	f->seen = there;
	f->state = *now;
	if (there && load(f->path, &f->tokens, &err) < 0)
		log_error("no token is accepted until this is put right", "error", err.text);
}

static void look(struct site_token_file *f)
{
	struct stat now = { 0 };
	bool there = stat(f->path, &now) == 0;
	if (there != f->seen || (there && !same(&now, &f->state)))
		read_again(f, there, &now);
}

bool site_token_file_authenticate(void *data, const char *given, struct api_user *ret)
{
	struct site_token_file *f = data;
	look(f);
	const struct token *token = tokens_find(&f->tokens, given);
	if (!token)
		return false;
	*ret = (struct api_user){ .name = xstrdup(token->name),
				  .groups = xstrdup(role_group(token->role)) };
	return true;
}

/* --- the command ------------------------------------------------------------------------------ */

int site_token_file_read(const char *directory, struct tokens *ret, struct err *err)
{
	_cleanup_(freep) char *path = path_in(directory);
	if (site_files_exists(path))
		return load(path, ret, err);
	*ret = (struct tokens){ 0 };
	return 0;
}

int site_token_file_write(const char *directory, const struct tokens *t, struct err *err)
{
	_cleanup_(freep) char *path = path_in(directory), *text = tokens_format(t);
	return site_files_write_secret(path, text, err);
}
