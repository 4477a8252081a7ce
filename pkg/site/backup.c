/* Backups (see backup.h): a data directory of `ingot standalone` to a directory of its
 * own, and back. A backup holds the store, the CA with its keys, and the tokens; all else is made
 * again. It is made beside its place and renamed, so a backup that is there is whole.
 *
 * The store of a running server is copied by that server, which alone may open it. What lies in the
 * data directory is read and written as its owner, what lies in the backup as who called. */

#include "site/backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/http.h"
#include "loop/loop.h"
#include "site/control.h"
#include "site/files.h"
#include "site/generation.h"
#include "store/store.h"

static const char store_name[] = "store.db", manifest[] = "ingot-backup",
		  manifest_head[] = "ingot backup 1\n";

static void closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* --- both: which files, and how one is copied ------------------------------------------------- */

/* Relative to either directory. */
struct names {
	char **items;
	size_t count;
};

static void names_done(struct names *n)
{
	for (size_t i = 0; i < n->count; i++)
		free(n->items[i]);
	free(n->items);
}

static void add_name(struct names *n, char *name)
{
	n->items = xreallocarray(n->items, n->count + 1, sizeof(n->items[0]));
	n->items[n->count++] = name;
}

/* Beside the store: tokens, and certificates with their keys. */
static int find_names(const char *directory, struct names *ret, struct err *err)
{
	_cleanup_(freep) char *pki = xasprintf("%s/pki", directory);
	_cleanup_(freep) char *tokens = xasprintf("%s/tokens", directory);
	DIR *d = opendir(pki);
	if (!d)
		return err_set_errno(err, errno, "cannot read %s", pki);
	if (site_files_exists(tokens))
		add_name(ret, xstrdup("tokens"));
	for (const struct dirent *e; (e = readdir(d));)
		if (str_has_suffix(e->d_name, ".crt") || str_has_suffix(e->d_name, ".key"))
			add_name(ret, xasprintf("pki/%s", e->d_name));
	closedir(d);
	return 0;
}

/* The two ends as two users; `own` is called before the end in the data directory is opened. */
static int copy(const char *from_dir, const char *from, const char *to_dir, const char *to,
		bool from_data, struct err *err)
{
	_cleanup_(freep) char *source = xasprintf("%s/%s", from_dir, from);
	_cleanup_(freep) char *target = xasprintf("%s/%s", to_dir, to);
	_cleanup_(closep) int in = -1, out = -1;
	const char *data = from_data ? from_dir : to_dir;
	int r = from_data ? site_files_become_owner(data, err) : 0;
	if (r == 0)
		r = site_files_open(source, &in, err);
	site_files_be_self();
	if (r == 0 && !from_data)
		r = site_files_become_owner(data, err);
	if (r == 0)
		r = site_files_open_new(target, &out, err);
	site_files_be_self();
	return r < 0 ? r : site_files_copy(in, out, target, err);
}

static int sync_directory(const char *path, struct err *err)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? err_set_errno(err, errno, "cannot store %s", path) : 0;
}

/* --- the server's help ------------------------------------------------------------------------ */

struct request {
	struct loop *loop;
	struct err err;
};

static void on_done(void *data, const struct err *err, const struct http_response *r,
		    const char *body, size_t len)
{
	struct request *q = data;
	if (err)
		q->err = *err;
	else if (r->status != 200)
		err_set(&q->err, ERR_IO, "%.*s", (int)len, body);
	loop_stop(q->loop);
}

static int ask(struct loop *loop, struct http_client *http, const char *data_dir, struct err *err)
{
	static const struct http_handlers handlers = { .done = on_done };
	_cleanup_(freep) char *socket = xasprintf("%s/" CONTROL_SOCKET, data_dir);
	struct request q = { .loop = loop };
	const struct http_request request = { .method = "POST",
					      .url = "http://ingot" CONTROL_BACKUP,
					      .unix_socket = socket };
	if (!http_start(http, &request, &handlers, &q, err))
		return -EINVAL;
	loop_run(loop);
	if (q.err.kind == ERR_NONE)
		return 0;
	err_copy(err, &q.err);
	return err_wrap(err, "the running `ingot standalone`, by %s", socket);
}

static int ask_server(const char *data_dir, struct err *err)
{
	struct loop *loop = NULL;
	struct http_client *http = NULL;
	const struct http_client_options o = { .user_agent = "ingot/" INGOT_VERSION };
	int r = loop_new(&loop, err);
	if (r == 0)
		r = http_client_new(loop, &o, &http, err);
	if (r == 0)
		r = ask(loop, http, data_dir, err);
	http_client_free(http);
	loop_free(loop);
	return r;
}

static int copy_store(const char *data_dir, struct err *err)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", data_dir, store_name);
	_cleanup_(freep) char *part = xasprintf("%s/" BACKUP_PART, data_dir);
	struct store *s = NULL;
	if (!site_files_exists(path))
		return err_set(err, ERR_NOT_FOUND, "%s is not a data directory: it has no %s",
			       data_dir, store_name);
	int r = store_open(&(struct store_options){ .path = path }, &s, err);
	if (r == 0)
		r = store_copy(s, part, err);
	store_close(s);
	return r;
}

/* As the owner. Who holds the lock is the server, or another backup without one. */
static int make_part(const char *data_dir, struct err *err)
{
	_cleanup_(closep) int lock = -1;
	struct err busy;
	if (site_files_lock(data_dir, &lock, &busy) == 0)
		return copy_store(data_dir, err);
	return busy.kind == ERR_BUSY ? ask_server(data_dir, err) : err_copy(err, &busy);
}

/* --- backup ----------------------------------------------------------------------------------- */

static int write_manifest(const char *place, struct err *err)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", place, manifest);
	_cleanup_(freep) char *text = xasprintf("%sversion %s\n", manifest_head, INGOT_VERSION);
	return site_files_write_secret(path, text, err);
}

static int make_place(const char *place, struct err *err)
{
	_cleanup_(freep) char *pki = xasprintf("%s/pki", place);
	if (mkdir(place, 0700) < 0 || mkdir(pki, 0700) < 0)
		return err_set_errno(err, errno, "cannot make %s", place);
	return 0;
}

static int fill_place(const struct site_backup_options *o, const char *place, struct err *err)
{
	_cleanup_(names_done) struct names names = { 0 };
	_cleanup_(freep) char *pki = xasprintf("%s/pki", place);
	int r = make_place(place, err);
	if (r == 0)
		r = copy(o->data_dir, BACKUP_PART, place, store_name, true, err);
	if (r == 0)
		r = site_files_become_owner(o->data_dir, err);
	if (r == 0)
		r = find_names(o->data_dir, &names, err);
	site_files_be_self();
	for (size_t i = 0; r == 0 && i < names.count; i++)
		r = copy(o->data_dir, names.items[i], place, names.items[i], true, err);
	if (r == 0)
		r = write_manifest(place, err);
	if (r == 0)
		r = sync_directory(pki, err);
	return r == 0 ? sync_directory(place, err) : r;
}

static int back_up_locked(const struct site_backup_options *o, struct err *err)
{
	_cleanup_(freep) char *place = xasprintf("%s.part", o->place);
	_cleanup_(freep) char *part = xasprintf("%s/" BACKUP_PART, o->data_dir);
	int r = make_part(o->data_dir, err);
	site_files_be_self();
	if (r < 0)
		return r;
	r = fill_place(o, place, err);
	if (r == 0 && rename(place, o->place) < 0)
		r = err_set_errno(err, errno, "cannot rename %s to %s", place, o->place);
	if (site_files_become_owner(o->data_dir, &(struct err){ 0 }) == 0)
		unlink(part);
	site_files_be_self();
	return r < 0 ? err_wrap(err, "incomplete, to be removed: %s", place) : 0;
}

int site_back_up(const struct site_backup_options *o, struct err *err)
{
	_cleanup_(closep) int lock = -1;
	if (site_files_exists(o->place))
		return err_set(err, ERR_EXISTS, "%s exists: name a new directory", o->place);
	int r = site_files_become_owner(o->data_dir, err);
	if (r == 0)
		r = site_files_wait_lock(o->data_dir, "backup.lock", &lock, err);
	if (r == 0)
		r = back_up_locked(o, err);
	site_files_be_self();
	if (r == 0)
		printf("backup of %s in %s; it holds keys: keep it as closed as the data "
		       "directory\n",
		       o->data_dir, o->place);
	return r;
}

/* --- restore ---------------------------------------------------------------------------------- */

static int check_backup(const char *place, struct err *err)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", place, manifest), *text = NULL;
	int r = site_files_read(path, &text, err);
	if (r < 0)
		return err_wrap(err, "%s is not a backup made by `ingot backup`", place);
	if (!str_has_prefix(text, manifest_head))
		return err_set(err, ERR_UNSUPPORTED, "%s: unknown kind of backup", path);
	return 0;
}

static const char *const replaced[] = { "store.db", "store.db-wal", "pki", "tokens" };

static bool is_used(const char *data_dir)
{
	bool used = false;
	for (size_t i = 0; i < ARRAY_SIZE(replaced); i++) {
		_cleanup_(freep) char *path = xasprintf("%s/%s", data_dir, replaced[i]);
		used |= site_files_exists(path);
	}
	return used;
}

/* What is there goes aside, and nothing is lost. */
static int set_aside(const char *data_dir, const char *aside, struct err *err)
{
	if (mkdir(aside, 0700) < 0)
		return err_set_errno(err, errno, "cannot make %s", aside);
	for (size_t i = 0; i < ARRAY_SIZE(replaced); i++) {
		_cleanup_(freep) char *from = xasprintf("%s/%s", data_dir, replaced[i]);
		_cleanup_(freep) char *to = xasprintf("%s/%s", aside, replaced[i]);
		if (rename(from, to) < 0 && errno != ENOENT)
			return err_set_errno(err, errno, "cannot move %s to %s", from, to);
	}
	return 0;
}

static int prepare_target(const char *data_dir, const char *aside, int *lock, struct err *err)
{
	_cleanup_(freep) char *pki = xasprintf("%s/pki", data_dir);
	int r = site_files_prepare_directory(data_dir, err);
	if (r == 0)
		r = site_files_lock(data_dir, lock, err);
	if (r < 0)
		return err_wrap(err, "stop `ingot standalone` first, if it runs");
	if (is_used(data_dir))
		r = set_aside(data_dir, aside, err);
	if (r == 0 && mkdir(pki, 0700) < 0)
		r = err_set_errno(err, errno, "cannot make %s", pki);
	return r;
}

/* Under another name until the hold is in it: a store that is cut off half-way never acts. */
static int put_store(const struct site_backup_options *o, struct loop *loop, struct err *err)
{
	_cleanup_(freep) char *part = xasprintf("%s/" RESTORE_PART, o->data_dir);
	_cleanup_(freep) char *path = xasprintf("%s/%s", o->data_dir, store_name);
	struct store *s = NULL;
	int r = site_files_become_owner(o->data_dir, err);
	if (r < 0)
		return r;
	unlink(part);
	site_files_be_self();
	r = copy(o->place, store_name, o->data_dir, RESTORE_PART, false, err);
	if (r == 0)
		r = site_files_become_owner(o->data_dir, err);
	if (r == 0)
		r = store_open(&(struct store_options){ .path = part }, &s, err);
	if (r == 0)
		r = site_generation_hold_store(s, loop, SITE_HOLD_RESTORED, err);
	store_close(s);
	if (r == 0 && rename(part, path) < 0)
		r = err_set_errno(err, errno, "cannot rename %s to %s", part, path);
	if (r == 0)
		r = sync_directory(o->data_dir, err);
	site_files_be_self();
	return r;
}

static int put_back(const struct site_backup_options *o, struct loop *loop, struct err *err)
{
	_cleanup_(names_done) struct names names = { 0 };
	int r = find_names(o->place, &names, err);
	for (size_t i = 0; r == 0 && i < names.count; i++)
		r = copy(o->place, names.items[i], o->data_dir, names.items[i], false, err);
	return r < 0 ? r : put_store(o, loop, err);
}

static int restore_with(const struct site_backup_options *o, struct loop *loop, struct err *err)
{
	_cleanup_(closep) int lock = -1;
	char now[CLOCK_TEXT_MAX];
	_cleanup_(freep) char *aside = xasprintf("%s/before-restore-%s", o->data_dir,
						 clock_format(loop_wall(loop), now));
	int r = check_backup(o->place, err);
	if (r == 0 && site_files_exists(o->data_dir))
		r = site_files_become_owner(o->data_dir, err);
	if (r == 0)
		r = prepare_target(o->data_dir, aside, &lock, err);
	site_files_be_self();
	if (r == 0)
		r = put_back(o, loop, err);
	if (r < 0)
		return r;
	printf("%s is restored from %s\n", o->data_dir, o->place);
	if (site_files_exists(aside))
		printf("what was there is in %s\n", aside);
	printf("all hosts will be held: after the start look at `ingotctl status`, then release "
	       "them with `ingotctl release`\n");
	return 0;
}

int site_restore(const struct site_backup_options *o, struct err *err)
{
	struct loop *loop = NULL;
	int r = loop_new(&loop, err);
	if (r == 0)
		r = restore_with(o, loop, err);
	loop_free(loop);
	return r;
}
