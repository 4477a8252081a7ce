#pragma once
/* Network namespaces for tests over real sockets. The test's own thread lives in a fresh namespace,
 * the server's; each other one belongs to a child process that does nothing but keep it alive.
 * Needs root; without it the tests are skipped with that reason. */

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop/loop.h"
#include "net/net.h"

struct netns {
	pid_t keeper;
	int fd;
};

static inline const char *netns_unusable(void)
{
	if (geteuid() != 0)
		return "network namespaces need root";
	if (system("command -v ip >/dev/null") != 0)
		return "ip (iproute2) is not installed";
	return NULL;
}

/* For a thread whose packets must arrive in the order of its sends: each CPU has a queue of its
 * own. */
static inline void stay_on_this_cpu(void)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET((size_t)sched_getcpu(), &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		abort();
}

/* False: cmocka's fail() belongs to the caller. */
static inline bool netns_new(struct netns *ret)
{
	int ready[2];
	char byte, path[40];
	*ret = (struct netns){ .fd = -1 };
	if (pipe(ready) < 0)
		return false;
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) == 0 && write(ready[1], "x", 1) == 1)
			pause();
		_exit(0);
	}
	close(ready[1]);
	bool good = pid > 0 && read(ready[0], &byte, 1) == 1;
	close(ready[0]);
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	*ret = (struct netns){ .keeper = pid, .fd = good ? open(path, O_RDONLY | O_CLOEXEC) : -1 };
	return ret->fd >= 0;
}

static inline void netns_free(struct netns *n)
{
	if (n->fd >= 0)
		close(n->fd);
	if (n->keeper > 0) {
		kill(n->keeper, SIGKILL);
		waitpid(n->keeper, NULL, 0);
	}
}

/* Enters a namespace and returns the one that was left, for netns_back. */
static inline int netns_enter(const struct netns *n)
{
	int old = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (old < 0 || setns(n->fd, CLONE_NEWNET) < 0)
		abort();
	return old;
}

static inline void netns_back(int old)
{
	if (setns(old, CLONE_NEWNET) < 0)
		abort();
	close(old);
}

__attribute__((format(printf, 1, 2))) static inline bool run(const char *fmt, ...)
{
	char command[1024];
	va_list args;
	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	int r = system(command);
	if (r != 0)
		fprintf(stderr, "failed: %s\n", command);
	return r == 0;
}

/* A new link drops what is sent before the kernel has seen its carrier, which happens a little
 * later than `ip link set up` returns. */
static inline bool netns_link_up(pid_t keeper, const char *device)
{
	return run("until nsenter -t %d -n ip link show %s | grep -q 'state UP'; do :; done",
		   keeper, device);
}

/* Devices that come later do not look for duplicates of their IPv6 addresses, which would silence
 * them for a second or two. */
static inline bool netns_no_dad(pid_t keeper)
{
	return run("nsenter -t %d -n sh -c 'd=/proc/sys/net/ipv6/conf/default/accept_dad; "
		   "test ! -e $d || echo 0 >$d'",
		   keeper);
}

/* This thread goes to a namespace with srv0 (10.77.0.1); `clients` gets cli0, without an address.
 * Its kernel looks for no IPv6 router: it would do so a second later, with the MAC of our client.
 */
static inline bool netns_pair(struct netns *clients)
{
	return netns_new(clients) && unshare(CLONE_NEWNET) == 0 && netns_no_dad(getpid()) &&
	       netns_no_dad(clients->keeper) &&
	       run("ip link add srv0 type veth peer name cli0 && ip link set cli0 netns %d && "
		   "ip addr add 10.77.0.1/24 dev srv0 && ip link set lo up && ip link set srv0 up && "
		   "nsenter -t %d -n sh -c 'ip link set lo up; "
		   "q=/proc/sys/net/ipv6/conf/cli0/router_solicitations; "
		   "test ! -e $q || echo 0 >$q; ip link set cli0 address "
		   "52:54:00:77:00:01 up'",
		   clients->keeper, clients->keeper) &&
	       netns_link_up(getpid(), "srv0") && netns_link_up(clients->keeper, "cli0");
}

static inline struct in_addr ip(const char *text)
{
	return (struct in_addr){ inet_addr(text) };
}

static inline struct net_addr addr(const char *text)
{
	return net_from_v4(ip(text));
}

/* A UDP socket as a client has it: on a device, waiting 5 s at most, for a server that is silent
 * where it should not be. */
static inline int client_socket(const struct netns *n, const char *device, const char *address,
				uint16_t port)
{
	const int on = 1;
	const struct timeval patience = { 5, 0 };
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr = ip(address) };
	int old = netns_enter(n);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device) + 1) <
		    0 ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		abort();
	netns_back(old);
	return fd;
}

/* --- a client's script runs on a pool thread while the loop serves it --- */

struct script_run {
	struct loop *loop;
	loop_fn work;
	void *data;
};

static inline void script_work(void *data)
{
	struct script_run *s = data;
	s->work(s->data);
}

static inline void script_done(void *data)
{
	struct script_run *s = data;
	loop_stop(s->loop);
}

static inline void run_script(struct loop *loop, loop_fn work, void *data)
{
	struct script_run s = { loop, work, data };
	loop_job(loop, script_work, script_done, &s);
	loop_run(loop);
}

struct command_run {
	const char *command;
	int status;
};

static inline void command_work(void *data)
{
	struct command_run *c = data;
	c->status = system(c->command);
}

/* Runs a shell command while the loop serves it. */
static inline bool run_command(struct loop *loop, const char *command)
{
	struct command_run c = { command, -1 };
	run_script(loop, command_work, &c);
	if (c.status != 0)
		fprintf(stderr, "failed (%d): %s\n", c.status, command);
	return c.status == 0;
}
