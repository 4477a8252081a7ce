#pragma once
/* The provisioner that Ingot runs with: its own engine, in the words of prov/prov.h. Core thread.
 */

#include "engine/engine.h"
#include "prov/prov.h"

/* Makes an engine; `options` without its env, which becomes `env`. Both are copied. */
struct provisioner *prov_engine_new(const struct engine_options *options,
				    const struct prov_env *env);
struct provisioner *prov_engine_free(struct provisioner *p);
/* For agents and boot services. */
struct engine *prov_engine_get(struct provisioner *p);
