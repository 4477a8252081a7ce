/* The store as a file: who may read it, which schema it has, what is left after kill -9 and what
 * happens when the disk is full. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "store/store.h"

struct fixture {
	char dir[64];
	char *sub, *path;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	memcpy(f->dir, "/tmp/ingot-store-XXXXXX", sizeof("/tmp/ingot-store-XXXXXX"));
	assert_non_null(mkdtemp(f->dir));
	f->sub = xasprintf("%s/data", f->dir);
	f->path = xasprintf("%s/data/store.db", f->dir);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char *command = xasprintf("rm -rf %s", f->dir);
	assert_int_equal(system(command), 0);
	free(command);
	free(f->sub);
	free(f->path);
	free(f);
	return 0;
}

static struct store *open_store(const struct fixture *f)
{
	struct store *s = NULL;
	struct err err;
	struct store_options options = { .path = f->path };
	if (store_open(&options, &s, &err) < 0)
		fail_msg("%s", err.text);
	return s;
}

static void assert_refused(const struct fixture *f, enum err_kind kind, const char *text)
{
	struct store *s = NULL;
	struct err err;
	struct store_options options = { .path = f->path };
	assert_true(store_open(&options, &s, &err) < 0);
	assert_int_equal(err.kind, kind);
	if (!strstr(err.text, text))
		fail_msg("\"%s\" does not say \"%s\"", err.text, text);
}

static int write_one(struct store *s, uint64_t number, size_t size, struct err *err)
{
	char name[32], *data = xmalloc(size);
	snprintf(name, sizeof(name), "n%08" PRIu64, number);
	memset(data, 'x', size);
	struct store_row row = { .key = { "things", "a", name },
				 .uid = name,
				 .rv = store_next_revision(s),
				 .data = data,
				 .len = size };
	int r = store_begin(s, err);
	if (r == 0)
		r = store_put(s, &row, USEC_PER_SEC, 0, err);
	if (r == 0)
		r = store_commit(s, err);
	else
		store_rollback(s);
	free(data);
	return r;
}

static mode_t mode_of(const char *path)
{
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void test_modes(void **state)
{
	struct fixture *f = *state;
	struct store *s = open_store(f);
	struct err err;
	assert_int_equal(write_one(s, 1, 10, &err), 0);
	char *wal = xasprintf("%s-wal", f->path);
	assert_int_equal(mode_of(f->sub), 0700);
	assert_int_equal(mode_of(f->path), 0600);
	assert_int_equal(mode_of(wal), 0600);
	free(wal);
	store_close(s);
}

static void test_loose_modes_are_refused(void **state)
{
	struct fixture *f = *state;
	store_close(open_store(f));
	assert_int_equal(chmod(f->sub, 0750), 0);
	assert_refused(f, ERR_DENIED, "chmod 700");
	assert_int_equal(chmod(f->sub, 0700), 0);
	assert_int_equal(chmod(f->path, 0640), 0);
	assert_refused(f, ERR_DENIED, "chmod 600");
	assert_int_equal(chmod(f->path, 0600), 0);
	store_close(open_store(f));
}

static void test_second_user_is_refused(void **state)
{
	struct fixture *f = *state;
	struct store *s = open_store(f);
	struct err err;
	assert_int_equal(write_one(s, 1, 10, &err), 0);
	pid_t child = fork();
	if (child == 0) {
		struct store *other = NULL;
		struct store_options options = { .path = f->path };
		int r = store_open(&options, &other, &err);
		_exit(r < 0 && err.kind == ERR_BUSY && strstr(err.text, "another process") ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	store_close(s);
}

static void run_python(const char *program, const char *path)
{
	_cleanup_(freep) char *command = xasprintf("python3 -c \"%s\" '%s'", program, path);
	assert_int_equal(system(command), 0);
}

/* A newer Ingot was killed: its last changes stand in the WAL. Neither file may be touched,
 * whatever its journal mode is. */
static void test_newer_schema_is_refused(void **state)
{
	static const char *const modes[] = { "wal", "delete", "truncate" };
	struct fixture *f = *state;
	store_close(open_store(f));
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		_cleanup_(freep) char *make = xasprintf(
			"import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1]);"
			" c.execute('PRAGMA journal_mode = %s'); c.execute('PRAGMA wal_autocheckpoint = 0');"
			" c.execute('UPDATE meta SET value = 99 WHERE key = \\'schema\\'');"
			" c.commit(); os._exit(0)",
			modes[i]);
		run_python(make, f->path);
		_cleanup_(freep) char *sum = xasprintf("cd '%s' && sha256sum $(ls) >../sums",
						       f->sub);
		_cleanup_(freep) char *compare = xasprintf(
			"cd '%s' && sha256sum --quiet -c ../sums && test $(ls | wc -l) = $(wc -l <../sums)",
			f->sub);
		assert_int_equal(system(sum), 0);
		assert_refused(f, ERR_UNSUPPORTED, "newer Ingot (schema 99");
		assert_int_equal(system(compare), 0);
	}
}

static void test_foreign_files_are_refused(void **state)
{
	struct fixture *f = *state;
	store_close(open_store(f));
	int fd = open(f->path, O_WRONLY | O_TRUNC);
	assert_int_equal(
		write(fd, "not a database, but long enough to be read as one by mistake", 60), 60);
	close(fd);
	assert_refused(f, ERR_IO, "not a database");
}

static int count_row(void *data, const struct store_row *row)
{
	(void)row;
	++*(uint64_t *)data;
	return 0;
}

static uint64_t count(struct store *s)
{
	uint64_t n = 0;
	struct store_query q = { .resource = "things" };
	assert_int_equal(store_list(s, &q, count_row, &n, NULL), 0);
	return n;
}

static void test_reopening_keeps_all(void **state)
{
	struct fixture *f = *state;
	struct err err;
	struct store *s = open_store(f);
	for (uint64_t i = 0; i < 5; i++)
		assert_int_equal(write_one(s, i, 100, &err), 0);
	uint64_t revision = store_revision(s);
	store_close(s);
	s = open_store(f);
	assert_int_equal(store_revision(s), revision);
	assert_int_equal(count(s), 5);
	store_close(s);
}

/* Writes for ever and tells each commit through the pipe. */
static void write_until_killed(const struct fixture *f, int pipe_fd)
{
	struct store *s = NULL;
	struct err err;
	struct store_options options = { .path = f->path };
	if (store_open(&options, &s, &err) < 0)
		_exit(1);
	for (uint64_t i = count(s);; i++) {
		if (write_one(s, i, 5000, &err) < 0)
			_exit(2);
		if (write(pipe_fd, &i, sizeof(i)) != sizeof(i))
			_exit(3);
	}
}

static void test_acknowledged_writes_survive_kill(void **state)
{
	struct fixture *f = *state;
	uint64_t acknowledged = 0, revision = 0;
	for (int round = 0; round < 5; round++) {
		int fds[2], status;
		uint64_t last, target = acknowledged + 20 + 7 * (uint64_t)round;
		assert_int_equal(pipe(fds), 0);
		pid_t child = fork();
		if (child == 0) {
			close(fds[0]);
			write_until_killed(f, fds[1]);
		}
		close(fds[1]);
		while (read(fds[0], &last, sizeof(last)) == (ssize_t)sizeof(last)) {
			acknowledged = last + 1;
			if (acknowledged >= target)
				kill(child, SIGKILL);
		}
		close(fds[0]);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		struct store *s = open_store(f);
		/* What was not acknowledged may be there as well: one write at most. */
		assert_in_range(count(s), acknowledged, acknowledged + 1);
		assert_true(store_revision(s) > revision);
		revision = store_revision(s);
		acknowledged = count(s);
		store_close(s);
	}
}

/* A kill leaves the kernel's cache behind, so it cannot tell whether a commit has reached the disk.
 * What SQLite calls goes through here instead. */
static unsigned syncs;

int fsync(int fd)
{
	syncs++;
	return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	syncs++;
	return (int)syscall(SYS_fdatasync, fd);
}

static void test_each_commit_is_synced(void **state)
{
	struct fixture *f = *state;
	struct store *s = open_store(f);
	struct err err;
	for (uint64_t i = 0; i < 20; i++) {
		unsigned before = syncs;
		assert_int_equal(write_one(s, i, 100, &err), 0);
		assert_true(syncs > before);
	}
	store_close(s);
}

static void test_full_disk(void **state)
{
	struct fixture *f = *state;
	struct store *s = open_store(f);
	struct err err;
	assert_int_equal(write_one(s, 0, 1000, &err), 0);
	uint64_t revision = store_revision(s);
	/* The kernel refuses to let files grow: what SQLite sees is a write that fails. */
	struct rlimit limit = { 256 * 1024, RLIM_INFINITY };
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	int r = 0;
	uint64_t written = 1;
	for (; r == 0 && written < 1000; written++)
		r = write_one(s, written, 100 * 1000, &err);
	limit.rlim_cur = RLIM_INFINITY;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_true(r < 0);
	assert_int_equal(err.kind, ERR_IO);
	assert_non_null(strstr(err.text, f->path));
	assert_false(store_in_transaction(s));
	assert_int_equal(count(s), written - 1);
	/* Once there is room again, all goes on. */
	assert_int_equal(write_one(s, 5000, 1000, &err), 0);
	assert_true(store_revision(s) > revision);
	store_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_modes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_loose_modes_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_second_user_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_newer_schema_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_foreign_files_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reopening_keeps_all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_acknowledged_writes_survive_kill, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_each_commit_is_synced, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_full_disk, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
