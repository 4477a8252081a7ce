/* Credentials from a plugin (see plugin.h). The helper process (runner.c) is asked by one byte and
 * answers by one message; this side keeps the time, reads the answer as it comes, and wakes who
 * waits.
 *
 * A plugin that fails is not run again for five seconds: requests that come meanwhile get its last
 * error, because whoever repeats them does so with a back-off of its own. Credentials that have not
 * expired yet stay in use when their renewal fails. */

#include "kube/plugin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/redact.h"
#include "base/str.h"

static const usec_t RUN_LIMIT = USEC_PER_MIN;
static const usec_t RENEW_BEFORE = USEC_PER_MIN; /* or half of a shorter life */
static const usec_t FAILURE_PAUSE = 5 * USEC_PER_SEC;
enum { COMPLAINT_MAX = 300 };

struct plugin {
	struct loop *loop;
	struct kube_runner *runner;
	struct loop_io *io;
	char *command, *api_version, *install_hint;
	struct exec_credential credential;
	bool have;
	usec_t renew_at; /* wall */
	uint64_t serial;
	bool running;
	usec_t run_limit;
	struct timer limit; /* of the run */
	struct timer wake;  /* tells who waits, after their call has returned */
	struct strbuf answer;
	struct err err; /* of the last run */
	usec_t failed_at;
	struct list waiters;
};

static bool is_good(const struct plugin *p)
{
	return p->have && loop_wall(p->loop) < p->credential.expires;
}

/* After a failure, for a while. */
static bool is_pausing(const struct plugin *p)
{
	return p->err.kind != ERR_NONE && loop_now(p->loop) - p->failed_at < FAILURE_PAUSE;
}

bool plugin_ready(const struct plugin *p)
{
	return is_good(p) && (loop_wall(p->loop) < p->renew_at || is_pausing(p));
}

const struct exec_credential *plugin_credential(const struct plugin *p)
{
	return is_good(p) ? &p->credential : NULL;
}

uint64_t plugin_serial(const struct plugin *p)
{
	return p->serial;
}

void plugin_refused(struct plugin *p, uint64_t serial)
{
	if (p->have && p->serial == serial)
		p->have = false;
}

/* --- who waits -------------------------------------------------------------------------------- */

void plugin_waiter_init(struct plugin_waiter *w, void (*fn)(void *data, const struct err *err),
			void *data)
{
	list_init(&w->node);
	w->fn = fn;
	w->data = data;
}

void plugin_leave(struct plugin_waiter *w)
{
	list_unlink(&w->node);
}

static void run(struct plugin *p);

static void on_wake(void *data)
{
	struct plugin *p = data;
	struct err err = p->err;
	bool good = is_good(p);
	struct list now;
	/* Refused meanwhile: once more. */
	if (!good && p->err.kind == ERR_NONE)
		run(p);
	if (p->running)
		return; /* who came after the last run waits for this one, with all others */
	/* Who is woken may come again at once, and then waits for another run. */
	list_init(&now);
	for (struct list *n; (n = list_take_first(&p->waiters));)
		list_append(&now, n);
	for (struct list *n; (n = list_take_first(&now));) {
		struct plugin_waiter *w = list_entry(n, struct plugin_waiter, node);
		w->fn(w->data, good ? NULL : &err);
	}
}

/* --- a run ------------------------------------------------------------------------------------ */

static void end_run(struct plugin *p)
{
	p->running = false;
	timer_stop(&p->limit);
	secret_zero(p->answer.data, p->answer.len);
	strbuf_done(&p->answer);
	timer_set_in(&p->wake, 0);
}

static void fail(struct plugin *p)
{
	err_wrap(&p->err, "credential plugin %s", p->command);
	p->failed_at = loop_now(p->loop);
	if (is_good(p))
		log_warn("cannot renew the credentials for the API server yet", "error",
			 p->err.text);
}

/* The plugin's last words, fit for a log: one line, without what URLs may hold. */
static char *complaint(const char *bytes, size_t len)
{
	while (len > 0 && strchr(" \t\r\n", bytes[len - 1]))
		len--;
	size_t skip = len > COMPLAINT_MAX ? len - COMPLAINT_MAX : 0;
	_cleanup_(freep) char *text = xstrndup(bytes + skip, len - skip);
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
	return redact_urls(text);
}

static int explain_exit(struct plugin *p, const struct runner_answer *a)
{
	const char *said = p->answer.data + sizeof(*a) + a->out_len;
	_cleanup_(freep) char *words = complaint(said, a->err_len);
	bool absent = a->code == RUNNER_NOT_FOUND;
	return err_set(&p->err, ERR_DENIED, "exit status %u%s%s%s%s", a->code, words[0] ? ": " : "",
		       words, absent && p->install_hint ? "; " : "",
		       absent ? str_or(p->install_hint, "") : "");
}

/* 0: it ended well. */
static int explain(struct plugin *p, const struct runner_answer *a)
{
	switch ((enum runner_outcome)a->outcome) {
	case RUNNER_EXITED:
		return a->code == 0 ? 0 : explain_exit(p, a);
	case RUNNER_SIGNALED:
		return err_set(&p->err, ERR_DENIED, "killed by signal %u", a->code);
	case RUNNER_TOO_MUCH:
		return err_set(&p->err, ERR_LIMIT, "its output has more than %d bytes",
			       RUNNER_OUT_MAX);
	case RUNNER_KILLED:
		return err_set(&p->err, ERR_TIMEOUT,
			       "no credentials within %llu s: it must not wait for input",
			       (unsigned long long)(p->run_limit / USEC_PER_SEC));
	case RUNNER_FAILED:
		return err_set_errno(&p->err, (int)a->code, "cannot start a process for it");
	}
	return err_set(&p->err, ERR_INTERNAL, "malformed message from its helper process");
}

static void take(struct plugin *p, const struct runner_answer *a)
{
	struct exec_credential fresh = { 0 };
	const char *out = p->answer.data + sizeof(*a);
	int r = explain(p, a);
	if (r == 0)
		r = exec_credential_parse(out, a->out_len, p->api_version, &fresh, &p->err);
	usec_t now = loop_wall(p->loop);
	if (r == 0 && fresh.expires <= now) {
		exec_credential_release(&fresh);
		r = err_set(&p->err, ERR_DENIED,
			    "its credentials have expired already: check the clock");
	}
	if (r < 0) {
		fail(p);
		return;
	}
	err_clear(&p->err);
	exec_credential_release(&p->credential);
	p->credential = fresh;
	p->have = true;
	p->renew_at = p->credential.expires - MIN(RENEW_BEFORE, (p->credential.expires - now) / 2);
	p->serial++;
	log_debug("new credentials for the API server", "plugin", p->command);
}

/* The header, then what it counts. True when the answer is complete. */
static bool is_complete(const struct plugin *p, struct runner_answer *ret)
{
	if (p->answer.len < sizeof(*ret))
		return false;
	memcpy(ret, p->answer.data, sizeof(*ret));
	return p->answer.len >= sizeof(*ret) + ret->out_len + ret->err_len;
}

static void helper_gone(struct plugin *p)
{
	p->io = loop_io_close(p->io);
	err_set(&p->err, ERR_INTERNAL, "its helper process is gone: restart this program");
	fail(p);
	if (p->running)
		end_run(p);
}

static void on_io(void *data, int events)
{
	struct plugin *p = data;
	struct runner_answer a;
	char block[16384];
	(void)events;
	ssize_t n = recv(p->runner->fd, block, sizeof(block), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		helper_gone(p);
		return;
	}
	strbuf_add(&p->answer, block, (size_t)n);
	secret_zero(block, (size_t)n);
	if (!is_complete(p, &a))
		return;
	take(p, &a);
	end_run(p);
}

static void order(const struct plugin *p, char what)
{
	/* One byte to a helper that reads between any two of ours: there is always room. If it is
	 * gone, reading says so. */
	(void)send(p->runner->fd, &what, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void on_limit(void *data)
{
	order(data, RUNNER_KILL);
}

static void run(struct plugin *p)
{
	if (p->running || !p->io)
		return;
	p->running = true;
	err_clear(&p->err);
	timer_set_in(&p->limit, p->run_limit);
	order(p, RUNNER_RUN);
}

void plugin_wait(struct plugin *p, struct plugin_waiter *w)
{
	list_append(&p->waiters, &w->node);
	if (!is_pausing(p))
		run(p);
	if (!p->running)
		timer_set_in(&p->wake, 0);
}

/* --- life ------------------------------------------------------------------------------------- */

int plugin_new(struct loop *loop, const struct kube_config *config, struct kube_runner *runner,
	       struct plugin **ret, struct err *err)
{
	struct plugin *p = xcalloc(1, sizeof(*p));
	p->loop = loop;
	p->runner = kube_runner_ref(runner);
	p->run_limit = config->exec->run_limit ? config->exec->run_limit : RUN_LIMIT;
	p->command = xstrdup(config->exec->command);
	p->api_version = xstrdup(config->exec->api_version);
	p->install_hint = xstrdup(config->exec->install_hint);
	list_init(&p->waiters);
	timer_init(&p->limit, loop, "credential plugin", on_limit, p);
	timer_init(&p->wake, loop, "credentials", on_wake, p);
	int r = loop_io_open(loop, runner->fd, LOOP_READ, "credential plugin", on_io, p, &p->io,
			     err);
	if (r < 0) {
		plugin_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

struct plugin *plugin_free(struct plugin *p)
{
	if (!p)
		return NULL;
	if (p->io)
		loop_io_close(p->io);
	timer_stop(&p->limit);
	timer_stop(&p->wake);
	secret_zero(p->answer.data, p->answer.len);
	strbuf_done(&p->answer);
	exec_credential_release(&p->credential);
	kube_runner_unref(p->runner);
	free(p->command);
	free(p->api_version);
	free(p->install_hint);
	free(p);
	return NULL;
}
