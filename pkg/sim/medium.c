/* Boot media of the simulated world: what the program around the engine does for it, and how a
 * machine reads one. All files that hosts share are one number. A reader asks as strangers would,
 * too: whoever is let in by that shows in the world. */

#include <stdlib.h>
#include <string.h>

#include "agentapi/bootconfig.h"
#include "base/mem.h"
#include "crypt/crypt.h"
#include "sim/internal.h"

enum { CAPABILITY_DIGITS = 32 };

static const char *origin(void *data, const struct bmc_address *bmc)
{
	(void)data, (void)bmc;
	return "http://10.0.0.1:6180";
}

static char *agent_urls(void *data, const char *path)
{
	const struct sim_world *w = data;
	return xasprintf("https://10.0.0.%u:6385%s,https://10.0.0.9:6385%s", w->instances, path,
			 path);
}

static int digest(void *data, const char *archive, size_t len, char ret[ENGINE_MEDIUM_DIGEST_SIZE],
		  struct err *err)
{
	const struct sim_world *w = data;
	(void)err;
	struct digest_ctx *c = digest_new(DIGEST_SHA256);
	digest_update(c, archive, len);
	digest_update(c, &w->files, sizeof(w->files));
	char hex[DIGEST_HEX_MAX];
	digest_finish_hex(c, hex);
	digest_free(c);
	memcpy(ret, hex, ENGINE_MEDIUM_DIGEST_SIZE);
	ret[ENGINE_MEDIUM_DIGEST_SIZE - 1] = '\0';
	return 0;
}

void sim_media_init(struct sim_world *w)
{
	w->instances = 1;
	w->media = (struct engine_media){
		.origin = origin,
		.agent_urls = agent_urls,
		.digest = digest,
		.ca = "-----BEGIN CERTIFICATE-----\nsimulated\n-----END CERTIFICATE-----\n",
		.data = w
	};
}

/* agent.json is the first file of the archive; its size stands in the header ("newc"). */
static bool parse(const char *archive, size_t len, struct bootconfig *ret)
{
	enum { HEADER = 110, SIZE_AT = 54, NAME_AT = 94, DIGITS = 8 };
	char digits[DIGITS + 1] = "";
	for (size_t at = 0; at + HEADER < len;) {
		memcpy(digits, archive + at + NAME_AT, DIGITS);
		size_t name = strtoul(digits, NULL, 16);
		memcpy(digits, archive + at + SIZE_AT, DIGITS);
		size_t size = strtoul(digits, NULL, 16), body = (at + HEADER + name + 3) & ~3UL;
		if (strstr(archive + at + HEADER, "agent.json"))
			return bootconfig_parse(archive + body, size, ret, NULL) == 0;
		at = (body + size + 3) & ~3UL;
	}
	return false;
}

/* Nobody but the reader, and by nothing but the whole capability. */
static void try_strangers(struct sim_machine *m, const char *capability, const char *reader)
{
	struct sim_world *w = m->world;
	struct engine_medium found;
	_cleanup_(freep) char *guess = xstrdup(capability);
	guess[0] = guess[0] == '0' ? '1' : '0';
	/* Whose firmware may have any address of the network is known by nothing else. */
	if (!m->url_asked && engine_medium_find(w->engine, capability, "10.66.66.66", &found))
		sim_world_break(w, "%s: its medium was given to a stranger", m->mac);
	if (engine_medium_find(w->engine, guess, reader, &found))
		sim_world_break(w, "%s: a guessed medium was given out", m->mac);
}

static bool take_archive(struct sim_machine *m, const struct engine_medium *found,
			 const char *archive, size_t len, struct bootconfig *ret)
{
	struct sim_world *w = m->world;
	char made[ENGINE_MEDIUM_DIGEST_SIZE];
	digest(w, archive, len, made, NULL);
	if (!streq(made, found->digest)) {
		engine_medium_stale(w->engine, found->key);
		return false;
	}
	if (!parse(archive, len, ret)) {
		sim_world_break(w, "%s: its medium cannot be read", m->mac);
		return false;
	}
	return true;
}

bool sim_read_medium(struct sim_machine *m, const char *url, const char *reader)
{
	struct sim_world *w = m->world;
	const char *at = url ? strstr(url, "/b/") : NULL;
	struct engine_medium found;
	struct bootconfig c = { 0 };
	char *archive = NULL;
	size_t len = 0;
	if (!at || !w->engine || strlen(at) < 3 + CAPABILITY_DIGITS)
		return false;
	_cleanup_(freep) char *capability = xstrndup(at + 3, CAPABILITY_DIGITS);
	try_strangers(m, capability, reader);
	if (!engine_medium_find(w->engine, capability, reader, &found) ||
	    engine_medium_archive(w->engine, found.key, &archive, &len, NULL) < 0)
		return false;
	bool good = take_archive(m, &found, archive, len, &c);
	if (good) {
		secret_free(m->token);
		m->token = xstrdup(c.token);
		str_replace(&m->node_uuid, c.node_uuid);
		m->inspect = c.callbacks.count > 0;
		m->media_boots++;
	}
	bootconfig_done(&c);
	free(archive);
	return good;
}
