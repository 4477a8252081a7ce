/* The sandbox, each case in a child process that has entered it. What a child finds is its exit
 * code; children that are to be killed are, with SIGSYS. They leave by _exit(): the leak checker,
 * which would run at exit, traces its own process. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/sandbox.h"

enum { GOOD = 0, NOT_ENTERED = 100, WRONG = 1 };

/* Ends as waitpid() tells it. */
static int in_sandbox(int (*fn)(void))
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		struct err err = { 0 };
		if (sandbox_enter(&err) < 0) {
			fprintf(stderr, "%s\n", err.text);
			_exit(NOT_ENTERED);
		}
		_exit(fn());
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void assert_good(int (*fn)(void))
{
	int status = in_sandbox(fn);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), GOOD);
}

static void assert_killed(int (*fn)(void))
{
	int status = in_sandbox(fn);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

static int refused(long result)
{
	return result < 0 && errno == EPERM ? GOOD : WRONG;
}

/* --- what is refused -------------------------------------------------------------------------- */

static int run_program(void)
{
	char *const argv[] = { (char[]){ "true" }, NULL };
	return refused(execve("/bin/true", argv, NULL));
}

static int make_process(void)
{
	return refused(fork());
}

static int open_socket(int family, int type, int protocol)
{
	return refused(socket(family, type, protocol));
}

static int netlink(void)
{
	return open_socket(AF_NETLINK, SOCK_RAW, 0);
}

static int packet(void)
{
	return open_socket(AF_PACKET, SOCK_RAW, 0);
}

static int raw(void)
{
	return open_socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
}

static int vsock(void)
{
	return open_socket(AF_VSOCK, SOCK_STREAM, 0);
}

static int writable_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);
	return refused(p == MAP_FAILED ? -1 : 0);
}

static int late_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? WRONG : refused(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}

static int kill_others(void)
{
	return refused(kill(getppid(), 0));
}

static int become_another(void)
{
	return refused(setuid(65534));
}

static int push_input(void)
{
	char c = 'x';
	return refused(ioctl(0, TIOCSTI, &c));
}

static void test_refused(void **state)
{
	(void)state;
	static int (*const cases[])(void) = { run_program, make_process,   netlink,	  packet,
					      raw,	   vsock,	   writable_code, late_code,
					      kill_others, become_another, push_input };
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_good(cases[i]);
}

/* --- what is answered with death --- */

static int trace(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0;
}

static int mount_something(void)
{
	return mount("none", "/tmp", "tmpfs", 0, NULL) == 0;
}

static int new_namespace(void)
{
	return unshare(CLONE_NEWNET) == 0;
}

static int join_namespace(void)
{
	return setns(0, 0) == 0;
}

static int load_module(void)
{
	return syscall(SYS_finit_module, 0, "", 0) == 0;
}

static int load_kernel(void)
{
	return syscall(SYS_kexec_load, 0, 0, NULL, 0) == 0;
}

static int load_bpf(void)
{
	return syscall(SYS_bpf, BPF_PROG_LOAD, NULL, 0) == 0;
}

static int read_others(void)
{
	return syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0) == 0;
}

static void test_killed(void **state)
{
	(void)state;
	static int (*const cases[])(void) = { trace,	      mount_something, new_namespace,
					      join_namespace, load_module,     load_kernel,
					      load_bpf,	      read_others };
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_killed(cases[i]);
}

/* --- what must go on --- */

static int use_files(void)
{
	char path[] = "/tmp/sandbox-XXXXXX", other[64], text[4] = "";
	int fd = mkstemp(path);
	snprintf(other, sizeof(other), "%s.new", path);
	bool good = fd >= 0 && write(fd, "abc", 3) == 3 && fsync(fd) == 0 &&
		    fchmod(fd, 0600) == 0 && rename(path, other) == 0 &&
		    pread(fd, text, 3, 0) == 3 && strcmp(text, "abc") == 0 && unlink(other) == 0;
	return good ? GOOD : WRONG;
}

/* It has to be there while it is given its name. */
static void *in_thread(void *named)
{
	sem_wait(named);
	return named;
}

static int use_threads(void)
{
	pthread_t thread;
	sem_t named;
	void *ran = NULL;
	bool good = sem_init(&named, 0, 0) == 0 &&
		    pthread_create(&thread, NULL, in_thread, &named) == 0 &&
		    pthread_setname_np(thread, "x") == 0 && sem_post(&named) == 0 &&
		    pthread_join(thread, &ran) == 0 && ran == &named;
	return good ? GOOD : WRONG;
}

static int use_tcp(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool good = bind(server, (struct sockaddr *)&at, len) == 0 && listen(server, 1) == 0 &&
		    getsockname(server, (struct sockaddr *)&at, &len) == 0 &&
		    connect(client, (struct sockaddr *)&at, len) == 0;
	int peer = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	char byte = 0;
	struct pollfd p = { peer, POLLIN, 0 };
	good = good && send(client, "x", 1, 0) == 1 && poll(&p, 1, -1) == 1 &&
	       recv(peer, &byte, 1, 0) == 1 && byte == 'x';
	return good ? GOOD : WRONG;
}

static int use_udp_of_a_device(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	struct sockaddr_in at = { .sin_family = AF_INET };
	/* Without CAP_NET_RAW since Linux 5.7: the socket of each TFTP transfer. */
	return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) == 0 &&
			       bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0
		       ? GOOD
		       : WRONG;
}

static int use_names(void)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list;
	if (getaddrinfo("localhost", "80", &hints, &list) != 0)
		return WRONG;
	freeaddrinfo(list);
	return GOOD;
}

static int use_events(void)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC), event = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	struct epoll_event e = { .events = EPOLLIN };
	return epoll_ctl(epoll, EPOLL_CTL_ADD, event, &e) == 0 && epoll_wait(epoll, &e, 1, -1) == 1
		       ? GOOD
		       : WRONG;
}

static void test_allowed(void **state)
{
	(void)state;
	static int (*const cases[])(void) = { use_files,	   use_threads, use_tcp,
					      use_udp_of_a_device, use_names,	use_events };
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_good(cases[i]);
}

/* --- capabilities --- */

#define KEPT (1U << CAP_NET_BIND_SERVICE | 1U << CAP_DAC_READ_SEARCH)

static int look_at_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	if (syscall(SYS_capget, &head, data) < 0)
		return WRONG;
	for (int c = 0; c < 41; c++)
		if (c != CAP_NET_BIND_SERVICE && c != CAP_DAC_READ_SEARCH &&
		    prctl(PR_CAPBSET_READ, c) == 1)
			return WRONG;
	return (data[0].permitted | data[0].effective) == KEPT && data[0].inheritable == 0 &&
			       data[1].permitted == 0
		       ? GOOD
		       : WRONG;
}

static void test_capabilities(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("only root has capabilities to drop\n");
		skip();
	}
	assert_good(look_at_capabilities);
}

static int low_port(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_port = htons(81),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	return bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 ? GOOD : WRONG;
}

static void test_low_ports(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("only root may bind low ports\n");
		skip();
	}
	assert_good(low_port);
}

static uint32_t effective_after(struct __user_cap_header_struct *head,
				struct __user_cap_data_struct *data)
{
	sandbox_use_capabilities();
	return syscall(SYS_capget, head, data) < 0 ? 0 : data[0].effective;
}

/* As a program finds itself that has them from its file, in a container that withholds one. */
static void test_use_capabilities(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("only root has capabilities to be permitted\n");
		skip();
	}
	const uint32_t permitted = 1U << CAP_NET_RAW;
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
		struct __user_cap_data_struct data[2] = { { .permitted = permitted } };
		if (syscall(SYS_capset, &head, data) < 0)
			_exit(NOT_ENTERED);
		_exit(effective_after(&head, data) == permitted ? GOOD : WRONG);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), GOOD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),	  cmocka_unit_test(test_killed),
		cmocka_unit_test(test_allowed),	  cmocka_unit_test(test_capabilities),
		cmocka_unit_test(test_low_ports), cmocka_unit_test(test_use_capabilities),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
