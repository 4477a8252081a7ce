#pragma once
/* What the boot services ask about hosts, answered by the engine: neither knows the other. Main
 * thread's loop. */

#include "boot/boot.h"
#include "engine/engine.h"
#include "loop/fence.h"
#include "replicas.h"

struct boot_glue {
	struct loop *loop;
	struct engine *engine;	   /* NULL until there is one; nobody is answered before */
	const char *kernel_args;   /* borrowed */
	struct replicas *replicas; /* borrowed */
	struct fence fence;
	char *cmdline; /* of the host that was found last */
};

/* Their data is a struct boot_glue. */
extern const struct boot_ops boot_glue_ops;
