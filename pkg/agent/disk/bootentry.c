/* UEFI boot entries over efivarfs: each variable is a file, four bytes of attributes in front.
 * Variables are immutable files by default, against accidents with rm; the flag is taken off before
 * a change. An entry with our label is removed first, because some firmware collects duplicates. */

#include "agent/disk/bootentry.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/disk/efivar.h"
#include "agent/disk/fat.h"
#include "agent/disk/table.h"
#include "base/mem.h"
#include "base/str.h"

#define GLOBAL "8be4df61-93ca-11d2-aa0d-00e098032b8c"

enum {
	ATTRIBUTES = 7, /* non-volatile, boot service and runtime access */
	VAR_MAX = 64 * 1024,
	ORDER_MAX = 1024,
	DEPTH_MAX = 4,
	CSV_MAX = 64 * 1024,
};

/* --- variables ------------------------------------------------------------------------------- */

static char *var_path(const char *efivars, const char *name)
{
	return xasprintf("%s/%s-" GLOBAL, efivars, name);
}

/* The value without attributes; -ENOENT. */
static int read_var(const char *efivars, const char *name, uint8_t **ret, size_t *ret_len)
{
	_cleanup_(freep) char *path = var_path(efivars, name);
	_cleanup_(freep) uint8_t *buf = xmalloc(VAR_MAX);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t n = read(fd, buf, VAR_MAX);
	close(fd);
	if (n < 4)
		return -EIO;
	*ret_len = (size_t)n - 4;
	*ret = xmemdup(buf + 4, *ret_len + 1 > 1 ? *ret_len : 1);
	return 0;
}

/* Failure shows at the write that follows. */
static void make_mutable(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), flags = 0;
	if (fd < 0)
		return;
	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && flags & FS_IMMUTABLE_FL) {
		flags &= ~FS_IMMUTABLE_FL;
		(void)ioctl(fd, FS_IOC_SETFLAGS, &flags);
	}
	close(fd);
}

static int write_var(const char *efivars, const char *name, const void *data, size_t len,
		     struct err *err)
{
	_cleanup_(freep) char *path = var_path(efivars, name);
	_cleanup_(freep) uint8_t *buf = xcalloc(1, len + 4);
	struct stat st;
	buf[0] = ATTRIBUTES;
	memcpy(buf + 4, data, len);
	make_mutable(path);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_set_errno(err, errno, "cannot write the UEFI variable %s", name);
	/* One write is one call of the firmware. */
	ssize_t n = write(fd, buf, len + 4);
	int failed = n == (ssize_t)(len + 4) ? 0 : n < 0 ? errno : EIO;
	if (!failed && fstat(fd, &st) == 0 && st.st_size > n)
		failed = ftruncate(fd, n) < 0 ? errno : 0;
	close(fd);
	return failed ? err_set_errno(err, failed, "cannot write the UEFI variable %s", name) : 0;
}

static void remove_var(const char *efivars, const char *name)
{
	_cleanup_(freep) char *path = var_path(efivars, name);
	make_mutable(path);
	(void)unlink(path);
}

/* --- entries --------------------------------------------------------------------------------- */

struct entries {
	uint16_t order[ORDER_MAX];
	size_t order_count;
	uint8_t used[65536 / 8];
};

/* "Boot0001-<global GUID>", and not BootOrder, BootNext or another vendor's. */
static bool parse_number(const char *file, uint16_t *ret)
{
	uint8_t raw[2];
	char digits[5] = { 0 };
	if (!str_has_prefix(file, "Boot") || strlen(file) != 8 + 1 + strlen(GLOBAL))
		return false;
	memcpy(digits, file + 4, 4);
	if (hex_decode(digits, raw, 2) < 0 || strcasecmp(file + 9, GLOBAL) != 0)
		return false;
	*ret = (uint16_t)(raw[0] << 8 | raw[1]);
	return true;
}

/* A missing BootOrder is an empty one. */
static void load_order(const char *efivars, struct entries *e)
{
	uint8_t *data = NULL;
	size_t len = 0;
	if (read_var(efivars, "BootOrder", &data, &len) < 0)
		return;
	for (size_t i = 0; i + 1 < len && e->order_count < ORDER_MAX; i += 2)
		e->order[e->order_count++] = (uint16_t)(data[i] | data[i + 1] << 8);
	free(data);
}

static int save_order(const char *efivars, const struct entries *e, struct err *err)
{
	uint8_t data[2 * ORDER_MAX] = { 0 };
	for (size_t i = 0; i < e->order_count; i++) {
		data[2 * i] = (uint8_t)e->order[i];
		data[2 * i + 1] = (uint8_t)(e->order[i] >> 8);
	}
	return write_var(efivars, "BootOrder", data, 2 * e->order_count, err);
}

/* An order with a dangling number makes some firmware stop for a prompt. */
static void drop_from_order(struct entries *e, uint16_t number)
{
	size_t kept = 0;
	for (size_t i = 0; i < e->order_count; i++)
		if (e->order[i] != number)
			e->order[kept++] = e->order[i];
	e->order_count = kept;
}

typedef bool (*doomed_fn)(const void *data, const struct efi_option *o);

/* Looks at all entries, removes those that `doomed` names; returns how many. */
static int sweep(const char *efivars, struct entries *e, doomed_fn doomed, const void *data,
		 struct err *err)
{
	DIR *dir = opendir(efivars);
	int removed = 0;
	if (!dir)
		return err_set_errno(err, errno, "cannot read the UEFI variables in %s", efivars);
	load_order(efivars, e);
	for (struct dirent *d; (d = readdir(dir));) {
		struct efi_option o;
		uint16_t number;
		uint8_t *value = NULL;
		size_t len = 0;
		char name[16];
		if (!parse_number(d->d_name, &number))
			continue;
		snprintf(name, sizeof(name), "Boot%.4s", d->d_name + 4);
		if (read_var(efivars, name, &value, &len) == 0 &&
		    efi_option_parse(value, len, &o) == 0 && doomed(data, &o)) {
			remove_var(efivars, name);
			drop_from_order(e, number);
			removed++;
		} else {
			e->used[number / 8] |= (uint8_t)(1 << number % 8);
		}
		free(value);
	}
	closedir(dir);
	return removed;
}

static bool same_label(const void *data, const struct efi_option *o)
{
	return streq(data, o->label);
}

/* In front of all others: the machine is to boot what was just written. */
static int add_entry(const char *efivars, const struct efi_option *o, uint16_t *ret,
		     struct err *err)
{
	_cleanup_(freep) struct entries *e = xcalloc(1, sizeof(*e));
	uint8_t data[EFI_OPTION_MAX];
	char name[16];
	uint32_t number = 0;
	int r = sweep(efivars, e, same_label, o->label, err);
	if (r < 0)
		return r;
	while (number < UINT16_MAX && e->used[number / 8] >> number % 8 & 1)
		number++;
	snprintf(name, sizeof(name), "Boot%04X", number & 0xffff);
	r = write_var(efivars, name, data, efi_option_encode(o, data), err);
	if (r < 0)
		return r;
	e->order_count = MIN(e->order_count, (size_t)ORDER_MAX - 1);
	memmove(e->order + 1, e->order, e->order_count * sizeof(*e->order));
	e->order[0] = (uint16_t)number;
	e->order_count++;
	*ret = (uint16_t)number;
	return save_order(efivars, e, err);
}

struct patterns {
	regex_t *list;
	size_t count;
};

/* The patterns are written against what `efibootmgr -v` prints. */
static bool path_matches(const void *data, const struct efi_option *o)
{
	const struct patterns *p = data;
	char text[512];
	efi_option_describe(o, text, sizeof(text));
	for (size_t i = 0; i < p->count; i++)
		if (regexec(&p->list[i], text, 0, NULL, 0) == 0)
			return true;
	return false;
}

int disk_boot_clean(const char *efivars, const char *const *patterns, struct err *err)
{
	_cleanup_(freep) struct entries *e = xcalloc(1, sizeof(*e));
	struct patterns p = { 0 };
	size_t wanted = 0;
	int r = 0;
	while (patterns[wanted])
		wanted++;
	p.list = xcalloc(wanted + 1, sizeof(*p.list));
	for (; p.count < wanted && r == 0; p.count++)
		if (regcomp(&p.list[p.count], patterns[p.count], REG_EXTENDED | REG_NOSUB) != 0) {
			r = err_set(err, ERR_INVALID, "\"%.80s\" is not a regular expression",
				    patterns[p.count]);
			break;
		}
	if (r == 0)
		r = sweep(efivars, e, path_matches, &p, err);
	if (r > 0) {
		int saved = save_order(efivars, e, err);
		r = saved < 0 ? saved : r;
	}
	for (size_t i = 0; i < p.count; i++)
		regfree(&p.list[i]);
	free(p.list);
	return r;
}

/* --- the loader ------------------------------------------------------------------------------ */

/* In the order of preference; the CSV of a distribution names its own loader. */
static const struct {
	const char *name, *machine; /* NULL: any */
} loaders[] = {
	{ "bootx64.csv", "x86_64" },
	{ "bootaa64.csv", "aarch64" },
	{ "boot.csv", NULL },
	{ "bootx64.efi", "x86_64" },
	{ "bootaa64.efi", "aarch64" },
	{ "grubaa64.efi", "aarch64" },
	{ "bootriscv64.efi", "riscv64" },
	{ "bootarm.efi", "armv7l" },
	{ "bootia32.efi", "i686" },
	{ "winload.efi", NULL },
};

struct search {
	const struct disk_fat *fat;
	const char *machine;
	unsigned depth;
	char dir[EFI_PATH_MAX]; /* "\EFI\debian" */
	size_t best;		/* index into loaders; ARRAY_SIZE: none yet */
	char found_dir[EFI_PATH_MAX];
	struct disk_fat_entry found;
};

/* `best` only falls: a later file wins if it stands earlier in the table. */
static void consider(struct search *s, const struct disk_fat_entry *e)
{
	for (size_t i = 0; i < s->best; i++) {
		if (strcasecmp(e->name, loaders[i].name) != 0 ||
		    (loaders[i].machine && !streq(loaders[i].machine, s->machine)))
			continue;
		s->best = i;
		s->found = *e;
		memcpy(s->found_dir, s->dir, sizeof(s->dir));
		return;
	}
}

/* Only below \\EFI, as the specification has it; depth is bounded because the disk is foreign. */
static int visit(void *data, const struct disk_fat_entry *e)
{
	struct search *s = data;
	if (!e->directory) {
		consider(s, e);
		return 0;
	}
	size_t len = strlen(s->dir), n = strlen(e->name);
	bool wanted = s->depth > 0 || strcasecmp(e->name, "EFI") == 0;
	if (!wanted || s->depth == DEPTH_MAX || len + n + 2 > sizeof(s->dir))
		return 0;
	s->dir[len] = '\\';
	memcpy(s->dir + len + 1, e->name, n + 1);
	s->depth++;
	int r = disk_fat_list(s->fat, e, visit, s);
	s->depth--;
	s->dir[len] = '\0';
	return r;
}

struct partition {
	const struct disk_dev *dev;
	const struct disk_part *part;
};

/* Reads of the file system stay inside its partition whatever its headers claim. */
static int read_partition(void *data, uint64_t offset, void *buf, size_t len)
{
	const struct partition *p = data;
	if (offset > p->part->len || len > p->part->len - offset)
		return -EIO;
	return disk_dev_read(p->dev, p->part->offset + offset, buf, len, NULL);
}

/* UEFI paths have back-slashes; CSV files come with either. */
static int join_path(const char *dir, const char *file, char out[EFI_PATH_MAX], struct err *err)
{
	int n = snprintf(out, EFI_PATH_MAX, "%s\\%s", dir, file);
	for (char *p = out; *p; p++)
		*p = *p == '/' ? '\\' : *p;
	if (n >= EFI_PATH_MAX)
		return err_set(err, ERR_LIMIT, "the boot loader's path is too long");
	return 0;
}

/* A CSV names the loader and the label; without one the label is the reference's. */
static int name_loader(const struct search *s, struct efi_option *o, struct err *err)
{
	char file[EFI_PATH_MAX] = "";
	if (!str_has_suffix(loaders[s->best].name, ".csv")) {
		snprintf(o->label, sizeof(o->label), "ironic1");
		return join_path(s->found_dir, s->found.name, o->path, err);
	}
	void *data = NULL;
	size_t len = 0;
	int r = disk_fat_load(s->fat, &s->found, CSV_MAX, &data, &len);
	if (r == 0)
		r = efi_csv_parse(data, len, file, o->label);
	free(data);
	if (r < 0)
		return err_set(err, ERR_INVALID, "cannot read %s\\%s in the EFI system partition",
			       s->found_dir, s->found.name);
	return join_path(s->found_dir, file[0] == '\\' ? file + 1 : file, o->path, err);
}

static int find_loader(const struct disk_dev *d, const struct disk_part *esp, const char *machine,
		       struct efi_option *o, struct err *err)
{
	struct partition p = { d, esp };
	struct disk_fat fat;
	int r = disk_fat_open(read_partition, &p, &fat, err);
	if (r < 0)
		return err_wrap(err, "EFI system partition %u", esp->number);
	struct search s = { .fat = &fat, .machine = machine, .best = ARRAY_SIZE(loaders) };
	r = disk_fat_list(&fat, NULL, visit, &s);
	if (r < 0)
		return err_set_errno(err, r, "cannot read the EFI system partition");
	if (s.best == ARRAY_SIZE(loaders))
		return err_set(err, ERR_NOT_FOUND,
			       "the EFI system partition %u has no boot loader for %s below \\EFI",
			       esp->number, machine);
	return name_loader(&s, o, err);
}

static const struct disk_part *find_esp(const struct disk_table *t, const struct gpt_guid *id)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct disk_part *p = &t->parts[i];
		if (id && t->kind == DISK_TABLE_GPT ? gpt_guid_equal(&p->id, id) : p->esp)
			return p;
	}
	return NULL;
}

int disk_boot_install(const struct disk_dev *d, const struct disk_boot_options *options,
		      struct disk_boot_result *ret, struct err *err)
{
	_cleanup_(disk_table_done) struct disk_table t = { 0 };
	int r = disk_table_read(d, &t, err);
	if (r < 0)
		return r;
	const struct disk_part *esp = find_esp(&t, options->esp);
	if (!esp)
		return err_set(err, ERR_NOT_FOUND, "%s has no EFI system partition", d->path);
	struct efi_option o = {
		.active = true,
		.partition = esp->number,
		.start = esp->offset / d->sector,
		.sectors = esp->len / d->sector,
		.gpt = t.kind == DISK_TABLE_GPT,
		.id = esp->id,
		.disk_id = t.mbr.disk_id,
	};
	r = find_loader(d, esp, options->machine, &o, err);
	if (r < 0)
		return r;
	struct disk_boot_result result = { 0 };
	r = add_entry(options->efivars, &o, &result.number, err);
	if (r < 0)
		return r;
	memcpy(result.label, o.label, sizeof(result.label));
	memcpy(result.path, o.path, sizeof(result.path));
	*ret = result;
	return 0;
}
