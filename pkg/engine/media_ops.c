/* See media_ops.h. An image is made when it is first asked for and kept until its medium is valid
 * no more, because BMCs read in many small pieces. What the record's digest does not name is not
 * served: the engine then makes a new medium. */

#include "engine/media_ops.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/net.h"

/* More than hosts that boot at a time; beyond, they are made again when they are asked for. */
enum { IMAGES_MAX = 4096 };

struct engine_media_env {
	struct engine_media ops; /* what the engine is given */
	struct engine *engine;
	char *kernel, *initramfs, *loaders, *origin_v4, *origin_v6, *kernel_args;
	struct media_paths paths;
	char *(*agent_urls)(void *places, int family, const char *path);
	void *places;
	struct media_set *set;
	struct map images; /* capability → struct media_image */
};

static const char *origin(void *data, const struct bmc_address *bmc)
{
	const struct engine_media_env *m = data;
	struct net_addr a;
	if (net_parse_ip(bmc->host, &a) < 0) /* a name: which family it uses is not known */
		return m->origin_v4 ? m->origin_v4 : m->origin_v6;
	a = net_unmap(&a);
	return net_family(&a) == AF_INET6 ? m->origin_v6 : m->origin_v4;
}

/* Which family the ramdisk's network has is the host's affair: it is told of both. */
static char *agent_urls(void *data, const char *path)
{
	const struct engine_media_env *m = data;
	return m->agent_urls(m->places, AF_UNSPEC, path);
}

/* Files are replaced as a whole. Images that were made before keep those that they were made of. */
static int renew_set(struct engine_media_env *m, struct err *err)
{
	struct media_set *set;
	if (media_set_is_current(m->set, &m->paths) && media_set_is_intact(m->set))
		return 0;
	int r = media_set_open(&m->paths, &set, err);
	if (r < 0)
		return r;
	log_info("the files of boot media were replaced; new media have the new ones");
	media_set_unref(m->set);
	m->set = set;
	return 0;
}

static int make(struct engine_media_env *m, const char *archive, size_t len,
		struct media_image **ret, struct err *err)
{
	const struct media_spec spec = {
		.set = m->set, .cmdline = m->kernel_args, .archive = archive, .archive_len = len
	};
	return media_image_new(&spec, ret, err);
}

static int digest(void *data, const char *archive, size_t len, char ret[ENGINE_MEDIUM_DIGEST_SIZE],
		  struct err *err)
{
	struct engine_media_env *m = data;
	struct media_image *im;
	int r = renew_set(m, err);
	if (r == 0)
		r = make(m, archive, len, &im, err);
	if (r < 0)
		return r;
	memcpy(ret, media_image_digest(im), ENGINE_MEDIUM_DIGEST_SIZE);
	media_image_unref(im);
	return 0;
}

/* Its archive holds a token, which is not kept for longer than it is of use. */
static void forget(void *data, const char *capability)
{
	struct engine_media_env *m = data;
	media_image_unref(map_remove(&m->images, capability));
}

static void forget_images(struct engine_media_env *m)
{
	map_for_each(&m->images, i)
		media_image_unref(m->images.entries[i].value);
	map_done(&m->images);
	m->images = (struct map){ 0 };
}

static struct media_image *make_for(struct engine_media_env *m, const char *key)
{
	struct media_image *im = NULL;
	struct err err = { 0 };
	char *archive = NULL;
	size_t len = 0;
	int r = engine_medium_archive(m->engine, key, &archive, &len, &err);
	if (r == 0)
		r = make(m, archive, len, &im, &err);
	if (archive)
		secret_zero(archive, len);
	free(archive);
	if (r < 0)
		log_warn("a boot medium cannot be made", "host", key, "error", err.text);
	return r < 0 ? NULL : im;
}

static struct media_image *find(void *data, const char *capability, const char *peer)
{
	struct engine_media_env *m = data;
	struct engine_medium found;
	if (!m->engine || !engine_medium_find(m->engine, capability, peer, &found))
		return NULL;
	struct media_image *im = map_get(&m->images, capability);
	if (!im) {
		im = make_for(m, found.key);
		if (!im)
			return NULL;
		if (m->images.count >= IMAGES_MAX)
			forget_images(m);
		map_set(&m->images, capability, im);
	}
	bool same = streq(media_image_digest(im), found.digest);
	if (same && media_image_is_intact(im))
		return media_image_ref(im);
	forget(m, capability);
	engine_medium_stale(m->engine, found.key);
	return NULL;
}

const struct media_ops engine_media_http_ops = { .find = find };

int engine_media_open(const struct engine_media_options *o, struct engine_media_env **ret,
		      struct err *err)
{
	struct media_set *set;
	int r = media_set_open(&o->paths, &set, err);
	if (r < 0)
		return r;
	struct engine_media_env *m = xcalloc(1, sizeof(*m));
	*m = (struct engine_media_env){ .ops = { .origin = origin,
						 .agent_urls = agent_urls,
						 .digest = digest,
						 .forget = forget,
						 .data = m },
					.kernel = xstrdup(o->paths.kernel),
					.initramfs = xstrdup(o->paths.initramfs),
					.loaders = xstrdup(o->paths.loaders),
					.origin_v4 = xstrdup(o->origin_v4),
					.origin_v6 = xstrdup(o->origin_v6),
					.kernel_args = xstrdup(o->kernel_args),
					.agent_urls = o->agent_urls,
					.places = o->places,
					.set = set };
	m->paths = (struct media_paths){ m->kernel, m->initramfs, m->loaders };
	*ret = m;
	return 0;
}

struct engine_media_env *engine_media_close(struct engine_media_env *m)
{
	if (!m)
		return NULL;
	forget_images(m);
	media_set_unref(m->set);
	free(m->kernel), free(m->initramfs), free(m->loaders), free(m->origin_v4),
		free(m->origin_v6), free(m->kernel_args);
	free(m);
	return NULL;
}

const struct engine_media *engine_media_of(struct engine_media_env *m, const char *ca)
{
	if (m)
		m->ops.ca = ca;
	return m ? &m->ops : NULL;
}

void engine_media_set_engine(struct engine_media_env *m, struct engine *e)
{
	if (m)
		m->engine = e;
}
