/* Capabilities and the seccomp filter, both by tables. The allowed calls are those that libuv,
 * libcurl, libwebsockets, OpenSSL, SQLite and glibc's resolver and threads make after start, as
 * seen by strace, and their siblings that another version of them may choose. Runs once, on the
 * main thread, before others exist; no state is kept. */

#include "sandbox/sandbox.h"

#include <errno.h>
#include <linux/capability.h>
#include <net/if_arp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* --- capabilities --- */

#define KEPT (1U << CAP_NET_BIND_SERVICE | 1U << CAP_DAC_READ_SEARCH)

void sandbox_use_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	if (syscall(SYS_capget, &head, data) < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(data); i++)
		data[i].effective = data[i].permitted;
	(void)syscall(SYS_capset, &head, data); /* what is permitted cannot be refused */
}

static int drop_capabilities(struct err *err)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	if (syscall(SYS_capget, &head, data) < 0)
		return err_set_errno(err, errno, "capget");
	/* The bounding set, for what could be gained by running programs; needs CAP_SETPCAP, which
	 * a process that was started without has no use for. */
	for (int c = 0; data[0].effective & 1U << CAP_SETPCAP && c <= 63; c++)
		if (!(c < 32 && KEPT >> c & 1) && prctl(PR_CAPBSET_READ, c) == 1 &&
		    prctl(PR_CAPBSET_DROP, c) < 0)
			return err_set_errno(err, errno, "PR_CAPBSET_DROP");
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return err_set_errno(err, errno, "PR_CAP_AMBIENT");
	data[0].permitted &= KEPT;
	data[0].effective = data[0].permitted;
	data[1].permitted = data[1].effective = 0;
	data[0].inheritable = data[1].inheritable = 0;
	if (syscall(SYS_capset, &head, data) < 0)
		return err_set_errno(err, errno, "capset");
	return 0;
}

/* --- system calls --- */

#define S(name) SCMP_SYS(name)
#define END	INT32_MIN

static const int memory[] = { S(brk),	  S(mremap), S(munmap),	 S(madvise),	S(mlock),
			      S(munlock), S(msync),  S(mincore), S(membarrier), END };

static const int threads[] = { S(exit),
			       S(exit_group),
			       S(futex),
			       S(gettid),
			       S(getpid),
			       S(set_robust_list),
			       S(get_robust_list),
			       S(set_tid_address),
			       S(rseq),
			       S(sched_yield),
			       S(sched_getaffinity),
			       S(sched_getparam),
			       S(sched_getscheduler),
			       S(getcpu),
			       S(tgkill),
			       S(rt_sigaction),
			       S(rt_sigprocmask),
			       S(rt_sigreturn),
			       S(rt_sigpending),
			       S(rt_sigtimedwait),
			       S(sigaltstack),
			       S(restart_syscall),
			       END };

static const int files[] = { S(read),
			     S(readv),
			     S(pread64),
			     S(preadv),
			     S(preadv2),
			     S(write),
			     S(writev),
			     S(pwrite64),
			     S(pwritev),
			     S(pwritev2),
			     S(open),
			     S(openat),
			     S(close),
			     S(close_range),
			     S(stat),
			     S(lstat),
			     S(fstat),
			     S(newfstatat),
			     S(statx),
			     S(statfs),
			     S(fstatfs),
			     S(lseek),
			     S(access),
			     S(faccessat),
			     S(faccessat2),
			     S(readlink),
			     S(readlinkat),
			     S(getdents64),
			     S(getcwd),
			     S(fcntl),
			     S(flock),
			     S(fsync),
			     S(fdatasync),
			     S(sync_file_range),
			     S(ftruncate),
			     S(fallocate),
			     S(fadvise64),
			     S(rename),
			     S(renameat),
			     S(renameat2),
			     S(unlink),
			     S(unlinkat),
			     S(rmdir),
			     S(mkdir),
			     S(mkdirat),
			     S(chmod),
			     S(fchmod),
			     S(fchmodat),
			     S(fchown),
			     S(umask),
			     S(utimensat),
			     S(dup),
			     S(dup2),
			     S(dup3),
			     S(pipe),
			     S(pipe2),
			     S(sendfile),
			     S(copy_file_range),
			     END };

static const int waiting[] = { S(poll),
			       S(ppoll),
			       S(select),
			       S(pselect6),
			       S(epoll_create1),
			       S(epoll_ctl),
			       S(epoll_wait),
			       S(epoll_pwait),
			       S(epoll_pwait2),
			       S(eventfd2),
			       S(timerfd_create),
			       S(timerfd_settime),
			       S(timerfd_gettime),
			       S(nanosleep),
			       S(clock_nanosleep),
			       END };

static const int network[] = {
	S(bind),	S(listen),	S(accept),     S(accept4),    S(connect), S(shutdown),
	S(getsockname), S(getpeername), S(setsockopt), S(getsockopt), S(sendto),  S(sendmsg),
	S(sendmmsg),	S(recvfrom),	S(recvmsg),    S(recvmmsg),   END
};

static const int information[] = { S(getuid),	    S(geteuid),	     S(getgid),
				   S(getegid),	    S(getppid),	     S(getgroups),
				   S(uname),	    S(sysinfo),	     S(clock_gettime),
				   S(clock_getres), S(gettimeofday), S(time),
				   S(getrandom),    S(getrlimit),    S(getrusage),
				   S(times),	    S(capget),	     END };

static const int *const allowed[] = { memory, threads, files, waiting, network, information };

/* What only an intruder does. */
static const int hostile[] = { S(ptrace),
			       S(process_vm_readv),
			       S(process_vm_writev),
			       S(pidfd_getfd),
			       S(mount),
			       S(umount2),
			       S(pivot_root),
			       S(chroot),
			       S(move_mount),
			       S(open_tree),
			       S(fsopen),
			       S(fsconfig),
			       S(fsmount),
			       S(fspick),
			       S(mount_setattr),
			       S(setns),
			       S(unshare),
			       S(init_module),
			       S(finit_module),
			       S(delete_module),
			       S(kexec_load),
			       S(kexec_file_load),
			       S(bpf),
			       S(perf_event_open),
			       S(userfaultfd),
			       S(open_by_handle_at),
			       S(add_key),
			       S(request_key),
			       S(keyctl),
			       S(reboot),
			       S(swapon),
			       S(swapoff),
			       S(iopl),
			       S(ioperm),
			       S(acct),
			       S(settimeofday),
			       S(clock_settime),
			       S(clock_adjtime),
			       S(adjtimex),
			       S(syslog),
			       S(sethostname),
			       S(setdomainname),
			       S(personality),
			       S(quotactl),
			       END };

/* Not there, so that libraries take their older way, whose arguments the filter can see. */
static const int absent[] = { S(clone3), S(io_uring_setup), S(openat2), S(pidfd_open), END };

/* Allowed with certain arguments only; rows of the same call are alternatives. */
#define IS(n, value) SCMP_CMP64(n, SCMP_CMP_EQ, (scmp_datum_t)(value))
#define BITS(n, mask, value)                                                                       \
	SCMP_CMP64(n, SCMP_CMP_MASKED_EQ, (scmp_datum_t)(mask), (scmp_datum_t)(value))
#define TYPE 0xf /* SOCK_CLOEXEC and SOCK_NONBLOCK stand above */

static const struct {
	int call;
	unsigned count;
	struct scmp_arg_cmp args[2];
} limited[] = {
	{ S(socket), 1, { IS(0, AF_UNIX) } },
	{ S(socket), 2, { IS(0, AF_INET), BITS(1, TYPE, SOCK_STREAM) } },
	{ S(socket), 2, { IS(0, AF_INET), BITS(1, TYPE, SOCK_DGRAM) } },
	{ S(socket), 2, { IS(0, AF_INET6), BITS(1, TYPE, SOCK_STREAM) } },
	{ S(socket), 2, { IS(0, AF_INET6), BITS(1, TYPE, SOCK_DGRAM) } },
	{ S(socketpair), 1, { IS(0, AF_UNIX) } },
	{ S(clone), 1, { BITS(0, CLONE_THREAD, CLONE_THREAD) } },
	{ S(mmap), 1, { BITS(2, PROT_WRITE, 0) } },
	{ S(mmap), 1, { BITS(2, PROT_EXEC, 0) } },
	{ S(mprotect), 1, { BITS(2, PROT_EXEC, 0) } },
	{ S(prctl), 1, { IS(0, PR_SET_NAME) } },
	{ S(prctl), 1, { IS(0, PR_GET_NAME) } },
	{ S(prctl), 1, { IS(0, PR_CAPBSET_READ) } },
	{ S(prlimit64), 2, { IS(0, 0), IS(2, 0) } }, /* reading our own */
	{ S(ioctl), 1, { IS(1, FIONBIO) } },
	{ S(ioctl), 1, { IS(1, FIONREAD) } },
	{ S(ioctl), 1, { IS(1, FIOCLEX) } },
	{ S(ioctl), 1, { IS(1, TCGETS) } },
	{ S(ioctl), 1, { IS(1, TIOCGWINSZ) } },
	{ S(ioctl), 1, { IS(1, SIOCGARP) } }, /* is a DHCP address in use? */
	{ S(ioctl), 1, { IS(1, SIOCGIFMTU) } },
	{ S(ioctl), 1, { IS(1, SIOCGIFFLAGS) } }, /* is the provisioning interface up? */
	{ S(ioctl), 1, { IS(1, SIOCGIFINDEX) } },
	{ S(ioctl), 1, { IS(1, SIOCGIFNAME) } },
};

static int add_all(scmp_filter_ctx filter, uint32_t action, const int *calls)
{
	int r = 0;
	for (; *calls != END && r == 0; calls++)
		r = seccomp_rule_add_array(filter, action, *calls, 0, NULL);
	return r;
}

static int add_rules(scmp_filter_ctx filter)
{
	int r = add_all(filter, SCMP_ACT_KILL_PROCESS, hostile);
	if (r == 0)
		r = add_all(filter, SCMP_ACT_ERRNO(ENOSYS), absent);
	for (size_t i = 0; i < ARRAY_SIZE(allowed) && r == 0; i++)
		r = add_all(filter, SCMP_ACT_ALLOW, allowed[i]);
	for (size_t i = 0; i < ARRAY_SIZE(limited) && r == 0; i++)
		r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, limited[i].call,
					   limited[i].count, limited[i].args);
	return r;
}

static int load_filter(struct err *err)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!filter)
		return err_set_errno(err, ENOMEM, "seccomp_init");
	int r = add_rules(filter);
	/* Both are niceties: a log of what is refused, and a tree instead of a list of comparisons.
	 */
	(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
	(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r == 0)
		r = seccomp_load(filter); /* sets no_new_privs too */
	seccomp_release(filter);
	return r < 0 ? err_set_errno(err, r, "seccomp filter") : 0;
}

int sandbox_enter(struct err *err)
{
	/* No core file that would hold keys, and no other process of the same user at our memory.
	 */
	int r = prctl(PR_SET_DUMPABLE, 0) < 0 ? err_set_errno(err, errno, "PR_SET_DUMPABLE") : 0;
	if (r == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		r = err_set_errno(err, errno, "PR_SET_NO_NEW_PRIVS");
	if (r == 0)
		r = drop_capabilities(err);
	if (r == 0)
		r = load_filter(err);
	return r < 0 ? err_wrap(err, "cannot give up privileges") : 0;
}
