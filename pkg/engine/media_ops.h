#pragma once
/* Between the engine, which knows whose medium may be read by whom, and what makes and serves media
 * (media/media.h, boot/media_http.h), which know no hosts. Core thread. */

#include "boot/media_http.h"
#include "engine/engine.h"

struct engine_media_options {
	struct media_paths paths; /* copied */
	/* Of the listeners for BMCs of either family, "http://192.0.2.1:6180"; copied; NULL: none.
	 */
	const char *origin_v4, *origin_v6;
	const char *kernel_args; /* copied; NULL: none */
	/* As in struct engine_boot_env. */
	char *(*agent_urls)(void *places, int family, const char *path);
	void *places;
};

struct engine_media_env;

/* Reads the files that all media share. ERR_NOT_FOUND: one of them is missing. */
int engine_media_open(const struct engine_media_options *options, struct engine_media_env **ret,
		      struct err *err);
struct engine_media_env *engine_media_close(struct engine_media_env *m);
/* For engine_options.media; ca is borrowed. */
const struct engine_media *engine_media_of(struct engine_media_env *m, const char *ca);
/* NULL: nobody is answered. */
void engine_media_set_engine(struct engine_media_env *m, struct engine *e);

/* For media_http_new(), with a struct engine_media_env as data. */
extern const struct media_ops engine_media_http_ops;
