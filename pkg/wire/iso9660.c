/* ISO 9660 (ECMA-119) with Joliet (UCS-2 level 3) and Rock Ridge (RRIP 1.10). One tree of nodes is
 * laid out twice, as two views: the ISO view with upper-case names and Rock Ridge fields, and the
 * Joliet view; both point to the same file data. First everything gets its place; then what comes
 * before the contents is written into one buffer, the head, and the contents become a list of
 * extents. `struct image` lives for one call, `struct iso9660` is what remains of it. Pure. */

#include "wire/iso9660.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cursor.h"
#include "base/mem.h"
#include "base/str.h"
#include "wire/eltorito.h"

enum {
	SECTOR = ISO9660_SECTOR,
	LBA_PRIMARY = 16,
	READ_AHEAD = 150, /* GRUB under a BIOS reads past what it wants, and a disc's end is an
			     error: mkisofs pads by as much */
	RECORD_FIXED = 33,
	FLAG_DIRECTORY = 2,
	IDENTIFIER_MAX = 2 * (ISO9660_NAME_MAX + 4), /* UCS-2 of "name.;1" */
};

enum view { VIEW_ISO, VIEW_JOLIET, _VIEW_MAX };

struct identifier {
	uint8_t bytes[IDENTIFIER_MAX];
	uint8_t len;
};

struct node {
	char name[ISO9660_NAME_MAX + 1];
	struct node *parent;
	const struct iso9660_file *file;   /* NULL: a directory */
	struct node **children[_VIEW_MAX]; /* sorted by the view's identifiers */
	size_t child_count;
	struct identifier id[_VIEW_MAX];
	uint32_t lba[_VIEW_MAX];       /* files: the same in both */
	uint32_t dir_bytes[_VIEW_MAX]; /* whole sectors */
	uint16_t number[_VIEW_MAX];    /* in the path table, from 1 */
};

/* Content of a file, in the order of the image. */
struct extent {
	uint64_t start, len;
	size_t file;
	const uint8_t *data; /* NULL: the caller's */
};

struct iso9660 {
	uint8_t *head;
	uint64_t head_len, size;
	struct extent *extents;
	size_t count;
	/* What stands in the BIOS image in place of the file's bytes, in the order of the image. */
	struct overlay {
		uint64_t start;
		size_t len;
		uint8_t bytes[ELTORITO_INFO_SIZE];
	} overlays[2];
	size_t overlay_count;
};

struct image {
	const struct iso9660_options *options;
	const struct iso9660_file *files;
	struct node *nodes;
	size_t count;
	struct node **dirs[_VIEW_MAX]; /* in path table order */
	size_t dir_count;
	uint32_t path_bytes[_VIEW_MAX];
	uint32_t path_lba[_VIEW_MAX][2]; /* little, big endian */
	uint32_t er_lba;		 /* continuation sector of the root: the ER field */
	uint32_t joliet_lba, end_lba, catalog_lba; /* catalog: 0 if nothing boots */
	const struct node *bios, *uefi;		   /* NULL: none */
	uint32_t head_sectors, sectors;
	struct iso9660 *out;
};

static const char er_id[] = "RRIP_1991A";
static const char er_text[] =
	"THE ROCK RIDGE INTERCHANGE PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS";
static const char er_source[] =
	"PLEASE CONTACT DISC PUBLISHER FOR SPECIFICATION SOURCE.  SEE PUBLISHER IDENTIFIER IN "
	"PRIMARY VOLUME DESCRIPTOR FOR CONTACT INFORMATION.";

static uint32_t sectors_of(uint64_t bytes)
{
	return (uint32_t)((bytes + SECTOR - 1) / SECTOR);
}

/* --- the tree -------------------------------------------------------------------------------- */

/* ECMA-119 7.5: upper case, digits, underscore; one dot and a version in names of files. */
static void iso_identifier(struct node *n)
{
	struct identifier *id = &n->id[VIEW_ISO];
	const char *dot = n->file ? strrchr(n->name + 1, '.') : NULL;
	for (const char *p = n->name; *p; p++) {
		int c = toupper((unsigned char)*p);
		id->bytes[id->len++] = (uint8_t)(p == dot || isalnum(c) ? c : '_');
	}
	const char *tail = !n->file ? "" : dot ? ";1" : ".;1";
	for (; *tail; tail++)
		id->bytes[id->len++] = (uint8_t)*tail;
}

static void joliet_identifier(struct node *n)
{
	struct identifier *id = &n->id[VIEW_JOLIET];
	const char *parts[] = { n->name, n->file ? ";1" : "" };
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		for (const char *p = parts[i]; *p; p++) {
			id->bytes[id->len++] = 0;
			id->bytes[id->len++] = (uint8_t)*p;
		}
	}
}

static struct node *find_child(struct image *im, struct node *dir, const char *name, size_t len)
{
	for (size_t i = 1; i < im->count; i++) {
		struct node *n = &im->nodes[i];
		if (n->parent == dir && strlen(n->name) == len && memcmp(n->name, name, len) == 0)
			return n;
	}
	return NULL;
}

static bool name_allowed(const char *name, size_t len)
{
	if (len == 0 || len > ISO9660_NAME_MAX || strspn(name, ".") >= len)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("._-", name[i]))
			return false;
	return true;
}

static struct node *add_child(struct image *im, struct node *dir, const char *name, size_t len,
			      const struct iso9660_file *file)
{
	struct node *n = &im->nodes[im->count++];
	memcpy(n->name, name, len);
	n->parent = dir;
	n->file = file;
	dir->child_count++;
	iso_identifier(n);
	joliet_identifier(n);
	return n;
}

static int add_file(struct image *im, const struct iso9660_file *file, struct err *err)
{
	struct node *dir = &im->nodes[0];
	const char *p = file->path;
	for (unsigned depth = 0;; depth++) {
		size_t len = strcspn(p, "/");
		bool last = p[len] == '\0';
		if (!name_allowed(p, len) || depth > ISO9660_DEPTH_MAX)
			return err_set(err, ERR_INVALID, "bad path in the image: \"%s\"",
				       file->path);
		struct node *n = find_child(im, dir, p, len);
		if (n && (last || n->file))
			return err_set(err, ERR_EXISTS, "\"%s\" is twice in the image", file->path);
		dir = n ? n : add_child(im, dir, p, len, last ? file : NULL);
		if (last)
			return 0;
		p += len + 1;
	}
}

static const struct node *find_file(const struct image *im, const char *path)
{
	for (size_t i = 0; path && i < im->count; i++)
		if (im->nodes[i].file && streq(im->nodes[i].file->path, path))
			return &im->nodes[i];
	return NULL;
}

static int find_boot_images(struct image *im, struct err *err)
{
	const struct iso9660_boot *b = &im->options->boot;
	const char *paths[] = { b->bios, b->uefi };
	const struct node **nodes[] = { &im->bios, &im->uefi };
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		*nodes[i] = find_file(im, paths[i]);
		if (paths[i] && (!*nodes[i] || (*nodes[i])->file->len == 0))
			return err_set(err, ERR_INVALID,
				       "boot image \"%s\" is not in the image, or empty", paths[i]);
	}
	if (im->bios && im->bios->file->len < ELTORITO_INFO_AT + ELTORITO_INFO_SIZE)
		return err_set(err, ERR_INVALID,
			       "boot image \"%s\" is too short for a boot information table",
			       b->bios);
	if (b->mbr && (!im->bios || !im->uefi || im->bios->file->len < ELTORITO_GRUB2_END))
		return err_set(err, ERR_INVALID,
			       "a boot sector needs an image for UEFI, and GRUB's for a BIOS");
	return 0;
}

static int compare_identifiers(const struct identifier *a, const struct identifier *b)
{
	int order = memcmp(a->bytes, b->bytes, MIN(a->len, b->len));
	return order ? order : (int)a->len - (int)b->len;
}

static int compare_iso(const void *a, const void *b)
{
	return compare_identifiers(&(*(struct node *const *)a)->id[VIEW_ISO],
				   &(*(struct node *const *)b)->id[VIEW_ISO]);
}

static int compare_joliet(const void *a, const void *b)
{
	return compare_identifiers(&(*(struct node *const *)a)->id[VIEW_JOLIET],
				   &(*(struct node *const *)b)->id[VIEW_JOLIET]);
}

static int sort_children(struct image *im, struct node *dir, struct err *err)
{
	for (int v = 0; v < _VIEW_MAX; v++) {
		struct node **list = xcalloc(dir->child_count + 1, sizeof(struct node *));
		size_t count = 0;
		for (size_t i = 1; i < im->count; i++)
			if (im->nodes[i].parent == dir)
				list[count++] = &im->nodes[i];
		qsort(list, count, sizeof(struct node *),
		      v == VIEW_ISO ? compare_iso : compare_joliet);
		dir->children[v] = list;
		/* Two names may fall together in the poorer character set of ISO. */
		for (size_t i = 1; i < count; i++)
			if (compare_identifiers(&list[i - 1]->id[v], &list[i]->id[v]) == 0)
				return err_set(err, ERR_EXISTS,
					       "\"%s\" and \"%s\" have the same ISO 9660 name",
					       list[i - 1]->name, list[i]->name);
	}
	return 0;
}

/* --- places ---------------------------------------------------------------------------------- */

/* Rock Ridge: PX 36, TF 26, NM 5 + name; of the root's "." also SP 7 and CE 28. */
enum { PX_SIZE = 36, TF_SIZE = 26, NM_FIXED = 5, SP_SIZE = 7, CE_SIZE = 28 };

static size_t record_size(size_t id_len, size_t system_use)
{
	size_t size = RECORD_FIXED + id_len;
	size += size & 1;
	return size + system_use + (system_use & 1);
}

static size_t child_record_size(const struct node *n, enum view v)
{
	size_t use = v == VIEW_ISO ? PX_SIZE + TF_SIZE + NM_FIXED + strlen(n->name) : 0;
	return record_size(n->id[v].len, use);
}

static size_t dot_record_size(const struct node *dir, bool self, enum view v)
{
	size_t use = v == VIEW_ISO ? PX_SIZE + TF_SIZE : 0;
	if (v == VIEW_ISO && self && !dir->parent)
		use += SP_SIZE + CE_SIZE;
	return record_size(1, use);
}

/* Records never cross a sector's end. */
static size_t place_record(size_t pos, size_t size)
{
	return pos % SECTOR + size > SECTOR ? (pos / SECTOR + 1) * SECTOR : pos;
}

static uint32_t directory_bytes(const struct node *dir, enum view v)
{
	size_t pos = dot_record_size(dir, true, v) + dot_record_size(dir, false, v);
	for (size_t i = 0; i < dir->child_count; i++) {
		size_t size = child_record_size(dir->children[v][i], v);
		pos = place_record(pos, size) + size;
	}
	return sectors_of(pos) * SECTOR;
}

/* ECMA-119 6.9.1: by level, then by parent, then by name: breadth first over sorted children. */
static void order_directories(struct image *im, enum view v)
{
	struct node **dirs = xcalloc(im->count, sizeof(struct node *));
	size_t count = 0;
	dirs[count++] = &im->nodes[0];
	for (size_t i = 0; i < count; i++) {
		struct node *dir = dirs[i];
		dir->number[v] = (uint16_t)(i + 1);
		dir->dir_bytes[v] = directory_bytes(dir, v);
		size_t id_len = MAX(dir->id[v].len, (uint8_t)1);
		im->path_bytes[v] += (uint32_t)(8 + id_len + (id_len & 1));
		for (size_t n = 0; n < dir->child_count; n++)
			if (!dir->children[v][n]->file)
				dirs[count++] = dir->children[v][n];
	}
	im->dirs[v] = dirs;
	im->dir_count = count;
}

/* A BIOS image is changed by its table. */
static bool shares(const struct image *im, const struct node *n)
{
	return n->file && n->file->data && n != im->bios;
}

/* Equal contents are stored once: "latest" and the dated directory of a config drive are the same.
 */
static const struct node *same_content(const struct image *im, const struct node *n)
{
	if (!shares(im, n))
		return NULL;
	for (const struct node *other = im->nodes; other < n; other++)
		if (shares(im, other) && other->file->len == n->file->len &&
		    memcmp(other->file->data, n->file->data, n->file->len) == 0)
			return other;
	return NULL;
}

static void add_extent(struct image *im, const struct node *n)
{
	struct iso9660 *out = im->out;
	out->extents[out->count++] = (struct extent){ .start = (uint64_t)n->lba[VIEW_ISO] * SECTOR,
						      .len = n->file->len,
						      .file = (size_t)(n->file - im->files),
						      .data = n->file->data };
}

static uint64_t place_files(struct image *im, uint64_t next)
{
	im->out->extents = xcalloc(im->count, sizeof(struct extent));
	for (size_t i = 0; i < im->count; i++) {
		struct node *n = &im->nodes[i];
		if (!n->file || n->file->len == 0)
			continue;
		const struct node *other = same_content(im, n);
		uint32_t lba = other ? other->lba[VIEW_ISO] : (uint32_t)next;
		n->lba[VIEW_ISO] = n->lba[VIEW_JOLIET] = lba;
		if (other)
			continue;
		add_extent(im, n);
		next += (n->file->len + SECTOR - 1) / SECTOR;
	}
	return next;
}

static uint64_t place_descriptors(struct image *im)
{
	bool boots = im->bios || im->uefi;
	im->joliet_lba = LBA_PRIMARY + 1 + boots; /* between them: ELTORITO_RECORD_LBA */
	im->end_lba = im->joliet_lba + 1;
	return im->end_lba + 1;
}

static int place_all(struct image *im, struct err *err)
{
	uint64_t next = place_descriptors(im);
	for (int v = 0; v < _VIEW_MAX; v++) {
		order_directories(im, (enum view)v);
		for (int big = 0; big < 2; big++) {
			im->path_lba[v][big] = (uint32_t)next;
			next += sectors_of(im->path_bytes[v]);
		}
	}
	im->er_lba = (uint32_t)next++;
	if (im->bios || im->uefi)
		im->catalog_lba = (uint32_t)next++;
	for (int v = 0; v < _VIEW_MAX; v++) {
		for (size_t i = 0; i < im->dir_count; i++) {
			im->dirs[v][i]->lba[v] = (uint32_t)next;
			next += im->dirs[v][i]->dir_bytes[v] / SECTOR;
		}
	}
	im->head_sectors = (uint32_t)next;
	next = place_files(im, next);
	if (im->catalog_lba)
		next += READ_AHEAD;
	if (next * SECTOR > im->options->max_bytes || next > UINT32_MAX)
		return err_set(err, ERR_LIMIT, "the image would have %llu bytes; the limit is %llu",
			       (unsigned long long)next * SECTOR,
			       (unsigned long long)im->options->max_bytes);
	im->sectors = (uint32_t)next;
	return 0;
}

/* --- bytes ----------------------------------------------------------------------------------- */

static void both16(struct wcursor *w, uint16_t v)
{
	wcursor_le16(w, v);
	wcursor_be16(w, v);
}

static void both32(struct wcursor *w, uint32_t v)
{
	wcursor_le32(w, v);
	wcursor_be32(w, v);
}

static struct tm time_of(const struct image *im)
{
	time_t seconds = (time_t)(im->options->time / USEC_PER_SEC);
	struct tm tm = { 0 };
	gmtime_r(&seconds, &tm);
	return tm;
}

/* ECMA-119 9.1.5: seven bytes, the last a zone of zero. */
static void short_time(struct wcursor *w, const struct image *im)
{
	struct tm tm = time_of(im);
	const int fields[] = { tm.tm_year, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
			       tm.tm_min,  tm.tm_sec,	  0 };
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		wcursor_u8(w, (uint8_t)fields[i]);
}

static void long_time(struct wcursor *w, const struct image *im)
{
	struct tm tm = time_of(im);
	char text[20] = "";
	strftime(text, sizeof(text), "%Y%m%d%H%M%S00", &tm);
	wcursor_bytes(w, text, 16);
	wcursor_u8(w, 0);
}

static void no_time(struct wcursor *w)
{
	wcursor_fill(w, '0', 16);
	wcursor_u8(w, 0);
}

/* A padded text field, in the view's character set. */
static void text_field(struct wcursor *w, enum view v, const char *text, size_t size)
{
	size_t unit = v == VIEW_JOLIET ? 2 : 1, len = strlen(str_or(text, ""));
	for (size_t i = 0; i < size / unit; i++) {
		if (unit == 2)
			wcursor_u8(w, 0);
		wcursor_u8(w, (uint8_t)(i < len ? text[i] : ' '));
	}
	wcursor_fill(w, 0, size % unit);
}

static uint16_t link_count(const struct node *n)
{
	uint16_t links = n->file ? 1 : 2;
	for (size_t i = 0; i < n->child_count; i++)
		links = (uint16_t)(links + !n->children[VIEW_ISO][i]->file);
	return links;
}

static void field_head(struct wcursor *w, const char *name, size_t size)
{
	wcursor_bytes(w, name, 2);
	wcursor_u8(w, (uint8_t)size);
	wcursor_u8(w, 1);
}

static void posix_fields(struct wcursor *w, const struct image *im, const struct node *n)
{
	field_head(w, "PX", PX_SIZE);
	both32(w, n->file ? 0100444 : 040555);
	both32(w, link_count(n));
	both32(w, 0);
	both32(w, 0);
	field_head(w, "TF", TF_SIZE);
	wcursor_u8(w, 0x0e); /* modified, accessed, attributes */
	for (int i = 0; i < 3; i++)
		short_time(w, im);
}

static void record_head(struct wcursor *w, const struct image *im, const struct node *target,
			enum view v, size_t size)
{
	wcursor_u8(w, (uint8_t)size);
	wcursor_u8(w, 0);
	both32(w, target->lba[v]);
	both32(w, target->file ? (uint32_t)target->file->len : target->dir_bytes[v]);
	short_time(w, im);
	wcursor_u8(w, target->file ? 0 : FLAG_DIRECTORY);
	wcursor_u8(w, 0);
	wcursor_u8(w, 0);
	both16(w, 1);
}

/* The record of the root in a volume descriptor has no Rock Ridge fields. */
static void bare_root_record(struct wcursor *w, const struct image *im, enum view v)
{
	record_head(w, im, &im->nodes[0], v, RECORD_FIXED + 1);
	wcursor_u8(w, 1);
	wcursor_u8(w, 0);
}

static size_t er_size(void)
{
	return 8 + strlen(er_id) + strlen(er_text) + strlen(er_source);
}

static void dot_record(struct wcursor *w, const struct image *im, const struct node *dir, bool self,
		       enum view v)
{
	const struct node *target = self || !dir->parent ? dir : dir->parent;
	size_t start = w->pos, size = dot_record_size(dir, self, v);
	record_head(w, im, target, v, size);
	wcursor_u8(w, 1);
	wcursor_u8(w, self ? 0 : 1);
	if (v == VIEW_ISO) {
		if (self && !dir->parent) {
			field_head(w, "SP", SP_SIZE);
			wcursor_be16(w, 0xbeef);
			wcursor_u8(w, 0);
		}
		posix_fields(w, im, target);
		if (self && !dir->parent) {
			field_head(w, "CE", CE_SIZE);
			both32(w, im->er_lba);
			both32(w, 0);
			both32(w, (uint32_t)er_size());
		}
	}
	wcursor_fill(w, 0, start + size - w->pos);
}

static void child_record(struct wcursor *w, const struct image *im, const struct node *n,
			 enum view v)
{
	size_t size = child_record_size(n, v);
	size_t start = place_record(w->pos, size);
	wcursor_fill(w, 0, start - w->pos);
	record_head(w, im, n, v, size);
	wcursor_u8(w, n->id[v].len);
	wcursor_bytes(w, n->id[v].bytes, n->id[v].len);
	wcursor_fill(w, 0, (n->id[v].len & 1) == 0);
	if (v == VIEW_ISO) {
		posix_fields(w, im, n);
		field_head(w, "NM", NM_FIXED + strlen(n->name));
		wcursor_u8(w, 0);
		wcursor_bytes(w, n->name, strlen(n->name));
	}
	wcursor_fill(w, 0, start + size - w->pos);
}

static void sector_cursor(struct wcursor *w, const struct image *im, uint32_t lba, size_t len)
{
	wcursor_init(w, im->out->head + (size_t)lba * SECTOR, len);
}

static void write_directories(const struct image *im, enum view v)
{
	for (size_t i = 0; i < im->dir_count; i++) {
		const struct node *dir = im->dirs[v][i];
		struct wcursor w;
		sector_cursor(&w, im, dir->lba[v], dir->dir_bytes[v]);
		dot_record(&w, im, dir, true, v);
		dot_record(&w, im, dir, false, v);
		for (size_t n = 0; n < dir->child_count; n++)
			child_record(&w, im, dir->children[v][n], v);
	}
}

static void write_path_table(const struct image *im, enum view v, bool big)
{
	struct wcursor w;
	sector_cursor(&w, im, im->path_lba[v][big], im->path_bytes[v]);
	for (size_t i = 0; i < im->dir_count; i++) {
		const struct node *dir = im->dirs[v][i];
		uint8_t len = MAX(dir->id[v].len, (uint8_t)1);
		uint16_t parent = dir->parent ? dir->parent->number[v] : 1;
		wcursor_u8(&w, len);
		wcursor_u8(&w, 0);
		if (big) {
			wcursor_be32(&w, dir->lba[v]);
			wcursor_be16(&w, parent);
		} else {
			wcursor_le32(&w, dir->lba[v]);
			wcursor_le16(&w, parent);
		}
		wcursor_bytes(&w, dir->id[v].bytes, len); /* the root's is one zero byte */
		wcursor_fill(&w, 0, len & 1);
	}
}

static void descriptor_tail(struct wcursor *w, const struct image *im, enum view v)
{
	text_field(w, v, "", 128); /* volume set */
	text_field(w, v, im->options->publisher, 128);
	text_field(w, v, "", 128); /* data preparer */
	text_field(w, v, "INGOT", 128);
	for (int i = 0; i < 3; i++)
		text_field(w, v, "", 37); /* copyright, abstract, bibliography */
	long_time(w, im);
	long_time(w, im);
	no_time(w);
	no_time(w);
	wcursor_u8(w, 1);
}

static void write_descriptor(const struct image *im, enum view v)
{
	struct wcursor w;
	sector_cursor(&w, im, v == VIEW_ISO ? LBA_PRIMARY : im->joliet_lba, SECTOR);
	wcursor_u8(&w, v == VIEW_ISO ? 1 : 2);
	wcursor_bytes(&w, "CD001\1", 7); /* with a zero after it */
	text_field(&w, v, "LINUX", 32);
	text_field(&w, v, im->options->volume_id, 32);
	wcursor_fill(&w, 0, 8);
	both32(&w, im->sectors);
	/* The escape sequence that says "UCS-2 level 3" is what makes a supplementary volume
	 * Joliet. */
	wcursor_bytes(&w, v == VIEW_ISO ? "\0\0\0" : "%/E", 3);
	wcursor_fill(&w, 0, 29);
	both16(&w, 1);
	both16(&w, 1);
	both16(&w, SECTOR);
	both32(&w, im->path_bytes[v]);
	wcursor_le32(&w, im->path_lba[v][0]);
	wcursor_le32(&w, 0);
	wcursor_be32(&w, im->path_lba[v][1]);
	wcursor_be32(&w, 0);
	bare_root_record(&w, im, v);
	descriptor_tail(&w, im, v);
}

static void write_rest(const struct image *im)
{
	struct wcursor w;
	sector_cursor(&w, im, im->end_lba, SECTOR);
	wcursor_bytes(&w, "\377CD001\1", 7);
	sector_cursor(&w, im, im->er_lba, SECTOR);
	field_head(&w, "ER", er_size());
	wcursor_u8(&w, (uint8_t)strlen(er_id));
	wcursor_u8(&w, (uint8_t)strlen(er_text));
	wcursor_u8(&w, (uint8_t)strlen(er_source));
	wcursor_u8(&w, 1);
	wcursor_bytes(&w, er_id, strlen(er_id));
	wcursor_bytes(&w, er_text, strlen(er_text));
	wcursor_bytes(&w, er_source, strlen(er_source));
}

static struct eltorito_image boot_image(const struct node *n)
{
	return n ? (struct eltorito_image){ n->lba[VIEW_ISO], n->file->len }
		 : (struct eltorito_image){ 0 };
}

static uint8_t *add_overlay(struct iso9660 *out, const struct eltorito_image *image, uint64_t at,
			    size_t len)
{
	struct overlay *o = &out->overlays[out->overlay_count++];
	o->start = (uint64_t)image->lba * SECTOR + at;
	o->len = len;
	return o->bytes;
}

static void write_boot(const struct image *im)
{
	struct eltorito_image bios = boot_image(im->bios), uefi = boot_image(im->uefi);
	struct iso9660 *out = im->out;
	if (!im->catalog_lba)
		return;
	eltorito_record(im->catalog_lba, out->head + (size_t)ELTORITO_RECORD_LBA * SECTOR);
	eltorito_catalog(&bios, &uefi, out->head + (size_t)im->catalog_lba * SECTOR);
	if (!im->bios)
		return;
	const struct iso9660_file *file = im->bios->file;
	uint32_t sum = file->data ? eltorito_sum(0, 0, file->data, file->len)
				  : im->options->boot.bios_sum;
	eltorito_info(LBA_PRIMARY, &bios, sum,
		      add_overlay(out, &bios, ELTORITO_INFO_AT, ELTORITO_INFO_SIZE));
	if (!im->options->boot.mbr)
		return;
	eltorito_mbr(im->options->boot.mbr, im->sectors, &bios, &uefi, out->head);
	eltorito_grub2(&bios, add_overlay(out, &bios, ELTORITO_GRUB2_AT, ELTORITO_GRUB2_SIZE));
}

static int build(struct image *im, size_t count, struct err *err)
{
	int r = 0;
	for (size_t i = 0; i < count && r == 0; i++)
		r = add_file(im, &im->files[i], err);
	if (r == 0)
		r = find_boot_images(im, err);
	for (size_t i = 0; i < im->count && r == 0; i++)
		if (!im->nodes[i].file)
			r = sort_children(im, &im->nodes[i], err);
	if (r == 0)
		r = place_all(im, err);
	if (r < 0)
		return r;
	im->out->head = xcalloc(im->head_sectors, SECTOR);
	im->out->head_len = (uint64_t)im->head_sectors * SECTOR;
	im->out->size = (uint64_t)im->sectors * SECTOR;
	for (int v = 0; v < _VIEW_MAX; v++) {
		write_descriptor(im, (enum view)v);
		write_path_table(im, (enum view)v, false);
		write_path_table(im, (enum view)v, true);
		write_directories(im, (enum view)v);
	}
	write_rest(im);
	write_boot(im);
	return 0;
}

static void image_done(struct image *im)
{
	for (int v = 0; v < _VIEW_MAX; v++) {
		for (size_t i = 0; i < im->count; i++)
			free(im->nodes[i].children[v]);
		free(im->dirs[v]);
	}
	free(im->nodes);
	iso9660_free(im->out);
}

static int check_limits(const struct iso9660_options *options, const struct iso9660_file *files,
			size_t count, struct err *err)
{
	if (count > ISO9660_FILES_MAX)
		return err_set(err, ERR_LIMIT, "%zu files in one image; the limit is %d", count,
			       ISO9660_FILES_MAX);
	uint64_t limit = MIN(options->max_bytes, (uint64_t)UINT32_MAX);
	for (size_t i = 0; i < count; i++)
		if (files[i].len > limit)
			return err_set(err, ERR_LIMIT, "\"%s\" has %llu bytes; the limit is %llu",
				       files[i].path, (unsigned long long)files[i].len,
				       (unsigned long long)limit);
	return 0;
}

int iso9660_new(const struct iso9660_options *options, const struct iso9660_file *files,
		size_t count, struct iso9660 **ret, struct err *err)
{
	int r = check_limits(options, files, count, err);
	if (r < 0)
		return r;
	_cleanup_(image_done) struct image im = { .options = options, .files = files, .count = 1 };
	im.nodes = xcalloc(count * (ISO9660_DEPTH_MAX + 1) + 1, sizeof(*im.nodes));
	im.out = xcalloc(1, sizeof(*im.out));
	r = build(&im, count, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(im.out);
	return 0;
}

struct iso9660 *iso9660_free(struct iso9660 *im)
{
	if (!im)
		return NULL;
	free(im->head);
	free(im->extents);
	free(im);
	return NULL;
}

/* --- parts ----------------------------------------------------------------------------------- */

uint64_t iso9660_size(const struct iso9660 *im)
{
	return im->size;
}

static struct iso9660_part bytes_part(const uint8_t *bytes, uint64_t len, uint64_t skip)
{
	return (struct iso9660_part){ .kind = ISO9660_BYTES,
				      .len = len - skip,
				      .bytes = bytes + skip };
}

/* The last extent that begins at or before `offset`; NULL: it is in front of all. */
static const struct extent *find_extent(const struct iso9660 *im, uint64_t offset)
{
	size_t low = 0, high = im->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (im->extents[middle].start <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? &im->extents[low - 1] : NULL;
}

static struct iso9660_part file_part(const struct extent *e, uint64_t offset, uint64_t end)
{
	uint64_t skip = offset - e->start, len = end - offset;
	if (e->data)
		return bytes_part(e->data, end - e->start, skip);
	return (struct iso9660_part){
		.kind = ISO9660_FILE, .len = len, .file = e->file, .offset = skip
	};
}

/* The first that ends behind `offset`; NULL: none. */
static const struct overlay *next_overlay(const struct iso9660 *im, uint64_t offset)
{
	for (size_t i = 0; i < im->overlay_count; i++)
		if (offset < im->overlays[i].start + im->overlays[i].len)
			return &im->overlays[i];
	return NULL;
}

struct iso9660_part iso9660_at(const struct iso9660 *im, uint64_t offset)
{
	if (offset >= im->size)
		return (struct iso9660_part){ .kind = ISO9660_END };
	if (offset < im->head_len)
		return bytes_part(im->head, im->head_len, offset);
	const struct overlay *next = next_overlay(im, offset);
	if (next && next->start <= offset)
		return bytes_part(next->bytes, next->len, offset - next->start);
	const struct extent *e = find_extent(im, offset);
	uint64_t end = e->start + e->len;
	if (offset < end)
		return file_part(e, offset, next ? MIN(end, next->start) : end);
	uint64_t sector_end = (offset / SECTOR + 1) * SECTOR; /* an extent begins a sector */
	return (struct iso9660_part){ .kind = ISO9660_ZEROS, .len = sector_end - offset };
}

int iso9660_build(const struct iso9660_options *options, const struct iso9660_file *files,
		  size_t count, void **ret, size_t *ret_len, struct err *err)
{
	struct iso9660 *im;
	int r = iso9660_new(options, files, count, &im, err);
	if (r < 0)
		return r;
	uint8_t *out = xcalloc(1, im->size);
	struct iso9660_part p;
	for (uint64_t at = 0; (p = iso9660_at(im, at)).kind != ISO9660_END; at += p.len)
		if (p.kind == ISO9660_BYTES)
			memcpy(out + at, p.bytes, p.len);
	*ret_len = im->size;
	*ret = out;
	iso9660_free(im);
	return 0;
}
