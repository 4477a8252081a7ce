#pragma once
/* The helper process that runs a credential plugin for us. A process that has given up its
 * privileges can start no program (pkg/sandbox), and the core thread must never wait for one; so a
 * helper is forked before both, and knows from then on the one command of the kubeconfig. It can be
 * told two things: run it, and stop. Whoever took over the main process could have the plugin run,
 * and nothing else.
 *
 * On the socket: to the helper one byte, RUNNER_RUN or RUNNER_KILL; from the helper, for each
 * RUNNER_RUN, a struct runner_answer and the bytes that it counts. The helper ends when the socket
 * closes. */

#include <stdint.h>

#include "kube/config.h"

enum { RUNNER_RUN = 'r', RUNNER_KILL = 'k' };

enum runner_outcome {
	RUNNER_EXITED,	 /* code: exit status */
	RUNNER_SIGNALED, /* code: the signal */
	RUNNER_TOO_MUCH, /* more output than RUNNER_OUT_MAX: killed */
	RUNNER_KILLED,	 /* as we asked */
	RUNNER_FAILED,	 /* code: errno: no process could be made */
};

enum {
	RUNNER_OUT_MAX = 1024 * 1024,
	RUNNER_ERR_MAX = 4096,	/* of standard error; the rest is read over */
	RUNNER_NOT_FOUND = 127, /* exit status: the command could not be started */
};

struct runner_answer {
	uint32_t outcome, code;
	uint32_t out_len, err_len; /* of what follows: standard output, then standard error */
};

struct kube_runner {
	unsigned refs;
	int fd; /* non-blocking */
};

/* Forks. `info`: $KUBERNETES_EXEC_INFO. Before threads, and before privileges are given up. */
int kube_runner_start(const struct kube_exec *exec, const char *info, struct kube_runner **ret,
		      struct err *err);
struct kube_runner *kube_runner_ref(struct kube_runner *r);
struct kube_runner *kube_runner_unref(struct kube_runner *r); /* returns NULL; NULL is harmless */
