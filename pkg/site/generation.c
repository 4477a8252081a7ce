/* The counter outside the data directory (see generation.h).
 *
 * A run begins in four steps. Each is on disk before the next, so that after a kill between any two
 * the store and the counter are still recognised as a pair:
 *
 *   1. if there is a reason not to act, the hold is written to the store
 *   2. the counter names the run that is about to begin, beside the last one
 *   3. the store records the new run
 *   4. the counter names the new run alone
 *
 * The counter is a file of two slots that are written in turn, in place. If a loss of power tears
 * one, its checksum is wrong and the other one is used. That one is older, which is harmless: a
 * counter that is behind the store is normal, one that is ahead of it reveals an old copy. */

#include "site/generation.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apiserver/apiserver.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "crypt/crypt.h"
#include "site/files.h"
#include "store/store.h"

enum { SLOT_SIZE = 512, SLOTS = 2, SUM_HEX = 16 };

struct slot {
	uint64_t sequence, id, run, next, revision;
	char machine[33], path[SUM_HEX + 1];
};

static const char key_id[] = "generation", key_run[] = "run", key_kept[] = "counted",
		  key_hold[] = "hold", key_reason[] = "holdReason";

const char *site_hold_text(enum site_hold reason)
{
	static const char *const texts[_SITE_HOLD_MAX] = {
		[SITE_HOLD_NONE] = "",
		[SITE_HOLD_OPTION] = "Ingot was started with --hold",
		[SITE_HOLD_RESTORED] = "the data directory was restored from a backup",
		[SITE_HOLD_OLDER] = "the data directory is older than what Ingot did last on this "
				    "machine: it was restored from a copy",
		[SITE_HOLD_OTHER_RUN] =
			"the data directory is not the one that Ingot used last on this "
			"machine: it is a copy, or a copy of it was used meanwhile",
		[SITE_HOLD_NO_COUNTER] = "the counter of this data directory is missing in "
					 "--generation-dir: the directory was copied or moved here",
		[SITE_HOLD_NO_PLACE] = "--generation-dir, which held the counter of this data "
				       "directory, cannot be used: the log says why",
		[SITE_HOLD_OTHER_MACHINE] = "the data directory was last used on another machine",
	};
	return texts[reason];
}

/* --- the place -------------------------------------------------------------------------------- */

/* Of the path as it is given, so that another volume behind the same link is the same place. */
static char *without_slashes(const char *path)
{
	size_t len = strlen(path);
	while (len > 1 && path[len - 1] == '/')
		len--;
	return xstrndup(path, len);
}

static char *default_place(const char *data_dir)
{
	_cleanup_(freep) char *plain = without_slashes(data_dir);
	const char *slash = strrchr(plain, '/'), *last = slash ? slash + 1 : plain;
	if (*last && !streq(last, ".") && !streq(last, ".."))
		return xasprintf("%s-generation", plain);
	char full[PATH_MAX];
	return xasprintf("%s-generation", realpath(plain, full) ? full : plain);
}

/* Absent where /etc/machine-id is, and where it is another one at each boot. */
static void read_machine(char out[33])
{
	_cleanup_(freep) char *text = NULL;
	out[0] = '\0';
	if (site_files_exists("/run/machine-id") ||
	    site_files_read("/etc/machine-id", &text, &(struct err){ 0 }) < 0)
		return;
	if (strspn(text, "0123456789abcdef") == 32)
		memcpy(out, text, 32), out[32] = '\0';
}

/* --- slots ------------------------------------------------------------------------------------ */

static void slot_format(const struct slot *s, char out[SLOT_SIZE])
{
	char digest[DIGEST_HEX_MAX];
	memset(out, ' ', SLOT_SIZE);
	int n = snprintf(out, SLOT_SIZE,
			 "ingot-generation-1 %" PRIu64 " %016" PRIx64 " %016" PRIx64 " %016" PRIx64
			 " %" PRIu64 " %s %s ",
			 s->sequence, s->id, s->run, s->next, s->revision,
			 *s->machine ? s->machine : "-", s->path);
	digest_hex(DIGEST_SHA256, out, (size_t)n, digest);
	memcpy(out + n, digest, SUM_HEX);
	out[n + SUM_HEX] = '\n';
}

/* By writing it again: what is not the same to the byte is no slot. */
static bool slot_parse(const char in[SLOT_SIZE], struct slot *ret)
{
	struct slot s = { 0 };
	char text[SLOT_SIZE + 1], again[SLOT_SIZE];
	memcpy(text, in, SLOT_SIZE);
	text[SLOT_SIZE] = '\0';
	if (sscanf(text,
		   "ingot-generation-1 %" SCNu64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNu64
		   " %32s %16s",
		   &s.sequence, &s.id, &s.run, &s.next, &s.revision, s.machine, s.path) != 7)
		return false;
	if (streq(s.machine, "-"))
		s.machine[0] = '\0';
	slot_format(&s, again);
	if (memcmp(again, in, SLOT_SIZE) != 0)
		return false;
	*ret = s;
	return true;
}

static bool read_slots(int fd, struct slot *ret)
{
	bool found = false;
	for (int i = 0; i < SLOTS; i++) {
		char text[SLOT_SIZE];
		struct slot s;
		if (pread(fd, text, sizeof(text), (off_t)i * SLOT_SIZE) != sizeof(text) ||
		    !slot_parse(text, &s) || (found && s.sequence < ret->sequence))
			continue;
		*ret = s;
		found = true;
	}
	return found;
}

static int write_slot(struct site_generation *g, uint64_t run, uint64_t next, uint64_t revision)
{
	struct slot s = { .sequence = ++g->sequence,
			  .id = g->id,
			  .run = run,
			  .next = next,
			  .revision = revision };
	char text[SLOT_SIZE];
	snprintf(s.machine, sizeof(s.machine), "%s", g->machine);
	snprintf(s.path, sizeof(s.path), "%s", g->path_digest);
	slot_format(&s, text);
	off_t at = (off_t)(s.sequence % SLOTS) * SLOT_SIZE;
	ssize_t n = pwrite(g->fd, text, sizeof(text), at);
	if (n != sizeof(text))
		return n < 0 ? -errno : -EIO;
	return fdatasync(g->fd) < 0 ? -errno : 0;
}

/* --- judgement -------------------------------------------------------------------------------- */

struct known {
	uint64_t id, run, kept, hold, reason, revision;
};

static int read_known(struct store *s, struct known *k, struct err *err)
{
	const struct {
		const char *key;
		uint64_t *value;
	} rows[] = { { key_id, &k->id },
		     { key_run, &k->run },
		     { key_kept, &k->kept },
		     { key_hold, &k->hold },
		     { key_reason, &k->reason } };
	int r = 0;
	for (size_t i = 0; i < ARRAY_SIZE(rows) && r >= 0; i++)
		r = store_get_number(s, rows[i].key, rows[i].value, err);
	k->revision = store_revision(s);
	return MIN(r, 0);
}

/* A store of an older release has no number, and no counter is missed. */
static enum site_hold judge(const struct site_generation *g, const struct known *k,
			    const struct slot *slot, bool none)
{
	if (k->id == 0 || none)
		return SITE_HOLD_NONE;
	if (g->fd < 0)
		return k->kept ? SITE_HOLD_NO_PLACE : SITE_HOLD_NONE;
	if (!slot)
		return k->kept ? SITE_HOLD_NO_COUNTER : SITE_HOLD_NONE;
	if (k->run != slot->run && k->run != slot->next)
		return SITE_HOLD_OTHER_RUN;
	if (k->revision < slot->revision)
		return SITE_HOLD_OLDER;
	if (*g->machine && *slot->machine && !streq(g->machine, slot->machine))
		return SITE_HOLD_OTHER_MACHINE;
	return SITE_HOLD_NONE;
}

static uint64_t random_number(struct loop *loop)
{
	uint64_t n = 0;
	while (n == 0) {
		loop_random(loop, &n, sizeof(n));
		n &= INT64_MAX; /* SQLite's integers */
	}
	return n;
}

int site_generation_hold_store(struct store *s, struct loop *loop, enum site_hold reason,
			       struct err *err)
{
	int r = store_begin(s, err);
	if (r < 0)
		return r;
	r = store_set_number(s, key_hold, random_number(loop) & UINT32_MAX, err);
	if (r == 0)
		r = store_set_number(s, key_reason, reason, err);
	if (r == 0)
		return store_commit(s, err);
	store_rollback(s);
	return r;
}

int site_generation_clear_hold(struct apiserver *s, struct err *err)
{
	return apiserver_set_number(s, key_hold, 0, err);
}

/* --- a run begins ----------------------------------------------------------------------------- */

static int open_place(struct site_generation *g, const char *place, bool make, struct err *err)
{
	struct stat st;
	if (make && mkdir(place, 0700) < 0 && errno != EEXIST)
		return err_set_errno(err, errno, "cannot make the directory %s", place);
	if (stat(place, &st) < 0)
		return err_set_errno(err, errno, "%s", place);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || st.st_mode & 022)
		return err_set(err, ERR_DENIED,
			       "%s is not a directory of user %u that others cannot write to",
			       place, (unsigned)geteuid());
	g->path = xasprintf("%s/%016" PRIx64, place, g->id);
	g->fd = open(g->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (make ? O_CREAT : 0), 0600);
	if (g->fd < 0 && (make || errno != ENOENT))
		return err_set_errno(err, errno, "cannot open %s", g->path);
	return 0;
}

static void use_place(struct site_generation *g, const struct site_generation_options *o, bool none,
		      const struct known *k)
{
	_cleanup_(freep) char *place = o->place ? xstrdup(o->place) : default_place(o->data_dir);
	struct err err = { 0 };
	if (none || open_place(g, place, !o->look_only, &err) == 0)
		return;
	if (!o->look_only)
		log_warn("copies of the data directory cannot be told from it: no counter is kept "
			 "outside",
			 "option", "--generation-dir", "error", err.text, "held",
			 k->kept ? "yes" : "no");
}

/* Without a counter the store keeps the last run that had one: the counter that is left behind
 * belongs to that one, should it be used again. */
static int take_over(struct site_generation *g, struct store *s, struct err *err)
{
	bool counted = g->fd >= 0;
	int r = store_begin(s, err);
	if (r < 0)
		return r;
	r = store_set_number(s, key_id, g->id, err);
	if (r == 0 && counted)
		r = store_set_number(s, key_run, g->run, err);
	if (r == 0)
		r = store_set_number(s, key_kept, counted, err);
	if (r == 0)
		return store_commit(s, err);
	store_rollback(s);
	return r;
}

/* The directory entry of a new counter must outlive a loss of power as well. */
static int sync_place(const struct site_generation *g)
{
	_cleanup_(freep) char *copy = xstrdup(g->path);
	*strrchr(copy, '/') = '\0';
	int fd = open(copy, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 || fsync(fd) < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return r;
}

static int begin_run(struct site_generation *g, struct store *s, const struct known *k,
		     struct err *err)
{
	g->run = random_number(g->loop);
	int r = 0;
	if (g->fd >= 0) {
		r = write_slot(g, k->run, g->run, k->revision);
		if (r == 0)
			r = sync_place(g);
	}
	if (r < 0)
		return err_set_errno(err, r, "cannot write %s", g->path);
	r = take_over(g, s, err);
	if (r < 0 || g->fd < 0)
		return r;
	r = write_slot(g, g->run, g->run, k->revision);
	return r < 0 ? err_set_errno(err, r, "cannot write %s", g->path) : 0;
}

static int judge_store(struct site_generation *g, struct store *s,
		       const struct site_generation_options *o, struct err *err)
{
	struct known k = { 0 };
	struct slot slot = { 0 };
	bool none = streq(o->place, "none");
	int r = read_known(s, &k, err);
	if (r < 0)
		return r;
	g->id = k.id ? k.id : random_number(o->loop);
	use_place(g, o, none, &k);
	bool counted = g->fd >= 0 && read_slots(g->fd, &slot);
	g->sequence = slot.sequence;
	/* A look has no place of its own to miss. */
	bool blind = o->look_only && g->fd < 0;
	g->reason = blind ? SITE_HOLD_NONE : judge(g, &k, counted ? &slot : NULL, none);
	if (o->hold && g->reason == SITE_HOLD_NONE)
		g->reason = SITE_HOLD_OPTION;
	/* A new hold in any case: of a pending one, hosts may have been released already. */
	if (g->reason != SITE_HOLD_NONE && k.hold && k.reason == SITE_HOLD_RESTORED)
		g->reason = SITE_HOLD_RESTORED;
	if (g->reason != SITE_HOLD_NONE)
		r = site_generation_hold_store(s, o->loop, g->reason, err);
	if (r == 0 && !o->look_only)
		r = begin_run(g, s, &k, err);
	if (r == 0)
		r = read_known(s, &k, err);
	g->reason = k.hold && k.reason < _SITE_HOLD_MAX ? (enum site_hold)k.reason : SITE_HOLD_NONE;
	if (g->reason != SITE_HOLD_NONE)
		snprintf(g->hold_id, sizeof(g->hold_id), "%08" PRIx32, (uint32_t)k.hold);
	return r;
}

int site_generation_open(const struct site_generation_options *o, struct site_generation *ret,
			 struct err *err)
{
	struct site_generation g = { .fd = -1, .loop = o->loop };
	struct store *s = NULL;
	_cleanup_(freep) char *path = xasprintf("%s/store.db", o->data_dir);
	char digest[DIGEST_HEX_MAX];
	int r = store_open(&(struct store_options){ .path = path }, &s, err);
	if (r < 0)
		return r;
	digest_hex(DIGEST_SHA256, o->data_dir, strlen(o->data_dir), digest);
	g.path_digest = xstrndup(digest, SUM_HEX);
	read_machine(g.machine);
	r = judge_store(&g, s, o, err);
	store_close(s);
	if (r < 0) {
		site_generation_done(&g);
		return r;
	}
	if (g.reason != SITE_HOLD_NONE)
		log_warn("all hosts are held until they are released with `ingotctl release`",
			 "reason", site_hold_text(g.reason));
	*ret = g;
	return 0;
}

void site_generation_mark(void *generation, uint64_t revision)
{
	struct site_generation *g = generation;
	char why[128];
	if (g->fd < 0)
		return;
	int r = write_slot(g, g->run, g->run, revision);
	if (r == 0) {
		g->failed = false;
		return;
	}
	if (!g->failed)
		log_error("the counter outside the data directory cannot be written: a copy that "
			  "is restored later may not be recognised",
			  "file", g->path, "error", strerror_r(-r, why, sizeof(why)));
	g->failed = true;
}

void site_generation_done(struct site_generation *g)
{
	if (g->fd >= 0)
		close(g->fd);
	free(g->path);
	free(g->path_digest);
	*g = (struct site_generation){ .fd = -1 };
}
