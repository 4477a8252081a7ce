/* The helper process of credential plugins (see runner.h). It has one thread and no loop, waits in
 * poll(), and keeps no time: a plugin that takes too long is the caller's to stop.
 *
 * The plugin gets no shell, no descriptor but its three, /dev/null as its input, and a process
 * group of its own, so that what it started goes with it when it is killed. */

#include "kube/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

struct helper {
	int socket;
	const struct kube_exec *exec;
	const char *info;
};

/* One run of the plugin. */
struct run {
	pid_t pid;
	int pidfd, out, err;
	struct strbuf output, errors;
	bool killed, too_much, orphaned; /* orphaned: nobody waits for the answer any more */
};

/* --- the plugin ------------------------------------------------------------------------------- */

static void set_environment(const struct helper *h)
{
	for (char **e = h->exec->env; e && *e; e++) {
		size_t len = strcspn(*e, "=");
		_cleanup_(freep) char *name = xstrndup(*e, len);
		setenv(name, *e + len + ((*e)[len] == '='), 1);
	}
	setenv("KUBERNETES_EXEC_INFO", h->info, 1);
}

static char **arguments(const struct kube_exec *e)
{
	size_t n = 0;
	while (e->args && e->args[n])
		n++;
	char **argv = xcalloc(n + 2, sizeof(char *));
	argv[0] = e->command;
	for (size_t i = 0; i < n; i++)
		argv[i + 1] = e->args[i];
	return argv;
}

static void reset_signals(void)
{
	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
}

static void unblock_signals(void)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void become_plugin(const struct helper *h, int out, int err)
{
	int null = open("/dev/null", O_RDONLY);
	setpgid(0, 0);
	reset_signals();
	unblock_signals();
	set_environment(h);
	if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
		_exit(RUNNER_NOT_FOUND);
	close_range(3, ~0U, 0);
	execvp(h->exec->command, arguments(h->exec));
	dprintf(2, "cannot be started: %m");
	_exit(RUNNER_NOT_FOUND);
}

static void close_pipe(const int ends[2])
{
	close(ends[0]);
	close(ends[1]);
}

static int fork_plugin(const struct helper *h, struct run *r, const int out[2], const int err[2])
{
	/* Not fork(): in a child that has closed its descriptors, libuv's handler would close those
	 * that have their numbers now. */
	r->pid = _Fork();
	if (r->pid == 0)
		become_plugin(h, out[1], err[1]);
	if (r->pid < 0)
		return -errno;
	setpgid(r->pid, r->pid); /* also here: it may be killed before it has come to do so */
	r->out = out[0];
	r->err = err[0];
	close(out[1]);
	close(err[1]);
	r->pidfd = (int)syscall(SYS_pidfd_open, r->pid, 0);
	return r->pidfd < 0 ? -errno : 0;
}

static int start_plugin(const struct helper *h, struct run *r)
{
	int out[2], err[2];
	if (pipe2(out, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	if (pipe2(err, O_CLOEXEC | O_NONBLOCK) < 0) {
		int saved = errno;
		close_pipe(out);
		return -saved;
	}
	/* The plugin's own ends block, as programs expect. */
	fcntl(out[1], F_SETFL, 0);
	fcntl(err[1], F_SETFL, 0);
	int result = fork_plugin(h, r, out, err);
	if (result < 0 && r->pid < 0) {
		close_pipe(out);
		close_pipe(err);
	}
	return result;
}

/* --- its output ------------------------------------------------------------------------------- */

static void kill_plugin(struct run *r)
{
	kill(-r->pid, SIGKILL);
}

/* Reads what is there. False at the end. */
static bool drain(int fd, struct strbuf *into, size_t max, bool *ret_too_much)
{
	char block[4096];
	for (;;) {
		ssize_t n = read(fd, block, sizeof(block));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			secret_zero(block, sizeof(block));
			return n < 0 && errno == EAGAIN;
		}
		size_t room = max - into->len;
		*ret_too_much |= (size_t)n > room;
		strbuf_add(into, block, MIN((size_t)n, room));
	}
}

/* RUNNER_KILL, or the main process is gone. */
static void obey(const struct helper *h, struct run *r)
{
	char order;
	ssize_t n = recv(h->socket, &order, 1, MSG_DONTWAIT);
	if (n == 1 && order != RUNNER_KILL)
		return;
	r->killed |= n == 1;
	r->orphaned |= n == 0;
	if (n >= 0)
		kill_plugin(r);
}

static void close_if(struct pollfd *p, bool open)
{
	if (!open)
		p->fd = -1;
}

/* Until the plugin has ended. What it started in the background may hold its pipes for ever: they
 * are read as far as they are full then. */
static void follow(const struct helper *h, struct run *r)
{
	struct pollfd p[] = { { .fd = h->socket, .events = POLLIN },
			      { .fd = r->out, .events = POLLIN },
			      { .fd = r->err, .events = POLLIN },
			      { .fd = r->pidfd, .events = POLLIN } };
	bool ended = false, more = false;
	while (!ended) {
		if (poll(p, ARRAY_SIZE(p), -1) < 0)
			continue;
		ended = p[3].revents != 0;
		if (p[0].revents && !r->orphaned)
			obey(h, r);
		close_if(&p[0], !r->orphaned);
		close_if(&p[1], drain(r->out, &r->output, RUNNER_OUT_MAX, &r->too_much));
		close_if(&p[2], drain(r->err, &r->errors, RUNNER_ERR_MAX, &more));
		if (r->too_much)
			kill_plugin(r);
	}
}

/* --- the helper ------------------------------------------------------------------------------- */

static bool say(int fd, const void *data, size_t len)
{
	const char *at = data;
	while (len > 0) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

static struct runner_answer answer_of(const struct run *r, int status)
{
	struct runner_answer a = { .outcome = RUNNER_EXITED,
				   .code = (uint32_t)WEXITSTATUS(status),
				   .out_len = (uint32_t)r->output.len,
				   .err_len = (uint32_t)r->errors.len };
	if (WIFSIGNALED(status)) {
		a.outcome = RUNNER_SIGNALED;
		a.code = (uint32_t)WTERMSIG(status);
	}
	if (r->killed)
		a.outcome = RUNNER_KILLED;
	if (r->too_much)
		a.outcome = RUNNER_TOO_MUCH;
	return a;
}

static void reap(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

/* False when the main process is gone. */
static bool serve(const struct helper *h)
{
	struct run r = { .pid = -1, .pidfd = -1, .out = -1, .err = -1 };
	int status = 0, failed = start_plugin(h, &r);
	struct runner_answer a = { .outcome = RUNNER_FAILED, .code = (uint32_t)-failed };
	if (failed == 0)
		follow(h, &r);
	else if (r.pid > 0)
		kill_plugin(&r);
	if (r.pid > 0)
		waitpid(r.pid, &status, 0);
	if (failed == 0)
		a = answer_of(&r, status);
	bool ok = say(h->socket, &a, sizeof(a)) && say(h->socket, r.output.data, a.out_len) &&
		  say(h->socket, r.errors.data, a.err_len);
	secret_zero(r.output.data, r.output.len);
	strbuf_done(&r.output);
	strbuf_done(&r.errors);
	const int fds[] = { r.out, r.err, r.pidfd };
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	reap();
	return ok;
}

/* The name in lists of processes; signals of a terminal or of a service manager are the main
 * process's to answer, and its end is ours. */
static _Noreturn void be_helper(struct helper *h)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE };
	char order;
	reset_signals();
	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		signal(ignored[i], SIG_IGN);
	unblock_signals();
	if (dup2(h->socket, 3) < 0)
		_exit(1);
	h->socket = 3;
	close_range(4, ~0U, 0);
	prctl(PR_SET_NAME, "ingot-plugin");
	prctl(PR_SET_DUMPABLE, 0);
	/* What plugins leave behind comes to us, not to an init that may be the main process. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (;;) {
		ssize_t n = recv(h->socket, &order, 1, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || (order == RUNNER_RUN && !serve(h)))
			_exit(0);
	}
}

/* --- for the main process --------------------------------------------------------------------- */

/* Twice, so that the helper is nobody's child here: nobody has to wait for it at the end. */
static int fork_helper(struct helper *h, struct err *err)
{
	pid_t pid = fork();
	if (pid == 0) {
		pid = fork();
		if (pid == 0)
			be_helper(h);
		_exit(pid < 0);
	}
	int status = 1;
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		return err_set_errno(err, pid < 0 ? errno : EAGAIN,
				     "no helper process for the credential plugin");
	return 0;
}

int kube_runner_start(const struct kube_exec *exec, const char *info, struct kube_runner **ret,
		      struct err *err)
{
	int ends[2];
	sigset_t all, before;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return err_set_errno(err, errno, "socketpair");
	struct helper h = { .socket = ends[1], .exec = exec, .info = info };
	/* No handler of the main process may run in the helper, where its pipes are shared. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	int r = fork_helper(&h, err);
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(ends[1]);
	if (r < 0) {
		close(ends[0]);
		return r;
	}
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	*ret = xcalloc(1, sizeof(**ret));
	**ret = (struct kube_runner){ .refs = 1, .fd = ends[0] };
	return 0;
}

struct kube_runner *kube_runner_ref(struct kube_runner *r)
{
	r->refs++;
	return r;
}

struct kube_runner *kube_runner_unref(struct kube_runner *r)
{
	if (!r || --r->refs > 0)
		return NULL;
	close(r->fd);
	free(r);
	return NULL;
}
