#pragma once
/* What the boot services ask about hosts, answered by the engine. They do not know each other: a
 * DHCP server asks for a MAC, and nothing in it says where the answer comes from. Core thread. */

#include "boot/boot.h"
#include "engine/engine.h"
#include "loop/fence.h"

struct engine_boot_env {
	struct loop *loop;
	struct engine *engine;	 /* NULL until there is one; no machine is answered before */
	const char *kernel_args; /* borrowed */
	struct fence fence;
	/* Where hosts find this instance and the others by addresses of a family (AF_INET,
	 * AF_INET6): a new string, "URL,URL..", ours first, for the kernel line; base URLs of the
	 * others, NULL-ended, borrowed until the next call. */
	char *(*agent_urls)(void *places, int family, const char *path);
	const char *const *(*boot_urls)(void *places, int family);
	void *places;
};

/* For struct boot_env, with a struct engine_boot_env as data. */
extern const struct boot_ops engine_boot_ops;
