/* Threads that run a loop: of the store, of health, of the webhooks. Whoever starts one owns it and
 * its loop, and stops it before the loop is freed. */

#include "loop/thread.h"

#include <signal.h>

static void *run(void *data)
{
	loop_run(data);
	return NULL;
}

int loop_thread_start(struct loop_thread *t, struct loop *loop, const char *name, struct err *err)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	int r = pthread_create(&t->id, NULL, run, loop);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r)
		return err_set_errno(err, r, "%s thread", name);
	pthread_setname_np(t->id, name);
	t->loop = loop;
	t->runs = true;
	return 0;
}

static void end(void *data)
{
	loop_stop(data);
}

void loop_thread_stop(struct loop_thread *t)
{
	if (!t->runs)
		return;
	loop_post(t->loop, end, t->loop);
	pthread_join(t->id, NULL);
	t->runs = false;
}
