/* Files that hold secrets (see files.h). A file is written beside its place, synced, renamed, and
 * the directory synced, so that a crash leaves the old one or the new one. */

#include "site/files.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

static void closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static int check_owner(const char *path, const struct stat *st, const char *mode, struct err *err)
{
	if (st->st_uid != geteuid())
		return err_set(
			err, ERR_DENIED,
			"%s belongs to user %u, and this process runs as %u: run it as that user",
			path, (unsigned)st->st_uid, (unsigned)geteuid());
	if (st->st_mode & 077)
		return err_set(err, ERR_DENIED,
			       "%s is open to others (mode %04o) and holds keys: run `chmod %s %s`",
			       path, (unsigned)st->st_mode & 07777, mode, path);
	return 0;
}

static int sync_parent(const char *path)
{
	_cleanup_(freep) char *copy = xstrdup(path);
	_cleanup_(closep) int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* Never loosened or tightened by us: a mode that a person set is a decision, and secrets may have
 * been read already. */
int site_files_prepare_directory(const char *path, struct err *err)
{
	if (mkdir(path, 0700) == 0) {
		int r = sync_parent(path);
		return r < 0 ? err_set_errno(err, r, "cannot make the directory %s", path) : 0;
	}
	if (errno != EEXIST)
		return err_set_errno(err, errno, "cannot make the directory %s", path);
	struct stat st;
	if (stat(path, &st) < 0)
		return err_set_errno(err, errno, "%s", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, ERR_INVALID, "%s is not a directory", path);
	return check_owner(path, &st, "0700", err);
}

/* Effective IDs only: files_be_root() goes back. Capabilities go with the user, and come back. */
int site_files_become_owner(const char *directory, struct err *err)
{
	struct stat st;
	if (stat(directory, &st) < 0)
		return err_set_errno(err, errno, "%s", directory);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, ERR_INVALID, "%s is not a directory", directory);
	if (geteuid() != 0 || st.st_uid == 0)
		return 0;
	if (setgroups(0, NULL) < 0 || setegid(st.st_gid) < 0 || seteuid(st.st_uid) < 0)
		return err_set_errno(err, errno, "cannot act as user %u, whom %s belongs to",
				     (unsigned)st.st_uid, directory);
	return 0;
}

void site_files_be_self(void)
{
	if (seteuid(getuid()) < 0 || setegid(getgid()) < 0)
		_exit(1); /* it must not go on as another user */
}

/* --- reading and writing ---------------------------------------------------------------------- */

static int read_all(int fd, size_t size, char **ret, const char *path, struct err *err)
{
	if (size > SITE_FILE_MAX)
		return err_set(err, ERR_LIMIT, "%s is larger than %d bytes", path, SITE_FILE_MAX);
	char *text = xcalloc(1, size + 1);
	for (size_t done = 0; done < size;) {
		ssize_t n = read(fd, text + done, size - done);
		if (n <= 0) {
			secret_free(text);
			return err_set_errno(err, n < 0 ? errno : EIO, "cannot read %s", path);
		}
		done += (size_t)n;
	}
	*ret = text;
	return 0;
}

static int read_file(const char *path, bool secret, char **ret, struct err *err)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set_errno(err, errno, "cannot read %s", path);
	if (secret) {
		int r = check_owner(path, &st, "0600", err);
		if (r < 0)
			return r;
	}
	return read_all(fd, (size_t)st.st_size, ret, path, err);
}

int site_files_read_secret(const char *path, char **ret, struct err *err)
{
	return read_file(path, true, ret, err);
}

int site_files_read(const char *path, char **ret, struct err *err)
{
	return read_file(path, false, ret, err);
}

static int write_all(int fd, const char *text)
{
	for (size_t len = strlen(text); len > 0;) {
		ssize_t n = write(fd, text, len);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
	return fsync(fd) < 0 ? -errno : 0;
}

static int replace(const char *path, const char *text)
{
	_cleanup_(freep) char *beside = xasprintf("%s.new", path);
	_cleanup_(closep) int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	/* What a crash left behind may have another mode. */
	int r = fchmod(fd, 0600) < 0 ? -errno : write_all(fd, text);
	if (r == 0 && rename(beside, path) < 0)
		r = -errno;
	if (r < 0) /* on a full disk half a file would keep the space */
		unlink(beside);
	return r < 0 ? r : sync_parent(path);
}

int site_files_write_secret(const char *path, const char *text, struct err *err)
{
	int r = replace(path, text);
	return r < 0 ? err_set_errno(err, r, "cannot write %s", path) : 0;
}

static int copy_bytes(int in, int out)
{
	char buffer[1 << 16];
	ssize_t n;
	while ((n = read(in, buffer, sizeof(buffer))) > 0)
		for (ssize_t done = 0; done < n;) {
			ssize_t w = write(out, buffer + done, (size_t)(n - done));
			if (w < 0)
				return -errno;
			done += w;
		}
	return n < 0 || fsync(out) < 0 ? -errno : 0;
}

int site_files_open_new(const char *path, int *ret_fd, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_set_errno(err, errno, "cannot make %s", path);
	*ret_fd = fd;
	return 0;
}

int site_files_open(const char *path, int *ret_fd, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_set_errno(err, errno, "cannot read %s", path);
	*ret_fd = fd;
	return 0;
}

int site_files_copy(int from, int to, const char *path, struct err *err)
{
	int r = copy_bytes(from, to);
	return r < 0 ? err_set_errno(err, r, "cannot copy to %s", path) : 0;
}

bool site_files_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

/* flock, because it ends with the process however that ends. */
static int open_lock(const char *path, int how, int *ret_fd, struct err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_set_errno(err, errno, "cannot open %s", path);
	if (flock(fd, how) < 0) {
		int r = errno == EWOULDBLOCK ? err_set(err, ERR_BUSY, "%s is taken", path)
					     : err_set_errno(err, errno, "cannot lock %s", path);
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

int site_files_lock(const char *directory, int *ret_fd, struct err *err)
{
	_cleanup_(freep) char *path = xasprintf("%s/lock", directory);
	struct err why;
	if (open_lock(path, LOCK_EX | LOCK_NB, ret_fd, &why) == 0)
		return 0;
	return why.kind == ERR_BUSY ? err_set(err, ERR_BUSY, "another ingot runs on %s", directory)
				    : err_copy(err, &why);
}

int site_files_wait_lock(const char *directory, const char *name, int *ret_fd, struct err *err)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", directory, name);
	struct stat st;
	/* Commands of older releases that root ran left locks of root's behind. */
	if (stat(path, &st) == 0 && st.st_uid != geteuid())
		unlink(path);
	return open_lock(path, LOCK_EX, ret_fd, err);
}
