#pragma once
/* What a process gives up once it has opened what needs privileges: capabilities, new ones by
 * programs that it might run, and every system call that it has no use for. There is no way back.
 */

#include "base/err.h"

/* Puts into effect all capabilities that the process is permitted. Those of a file are only
 * permitted in our container image: were they in effect at once, the kernel would refuse to run the
 * program at all in a container that withholds one. At the very start. What is missing shows where
 * it is needed, by the error of the socket that cannot be opened. */
void sandbox_use_capabilities(void);

/* For this thread and all that it starts, so to be called before any other thread exists.
 *
 * Kept of the capabilities: CAP_NET_BIND_SERVICE, for listeners on low ports that are opened
 * later; CAP_DAC_READ_SEARCH, for ramdisks, keys and tokens in places that only root may enter.
 *
 * System calls: those of the tables in sandbox.c are allowed. Those that nobody but an intruder
 * makes (ptrace, mount, modules, namespaces, ...) end the process with SIGSYS. All others fail with
 * EPERM and are told to the kernel's audit log: new programs, processes, raw and netlink sockets,
 * memory that is both writable and executable. */
int sandbox_enter(struct err *err);
