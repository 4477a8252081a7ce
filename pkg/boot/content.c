/* What boot clients may fetch: a table of name patterns, each with the function that makes the
 * bytes. Files are opened anew for each client and identified by inode, size and time of change, so
 * that a ramdisk that was replaced is served whole, either the old or the new one. The caller owns
 * what it got. Core thread; opening a file may block for as long as a directory look-up takes. */

#include "boot/content.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "boot/script.h"
#include "wire/cpio.h"

#define TYPE_TEXT  "text/plain; charset=utf-8"
#define TYPE_BYTES "application/octet-stream"
#define TYPE_EFI   "application/efi"

/* Our agent looks for the CA itself. A stock ironic-python-agent is told of it by a file of
 * settings: in the directory where oslo.config looks by default, and in the one that images of
 * ironic-python-agent-builder name with --config-dir, which Debian's unit does not. */
#define CA_DIR	"etc/ironic-python-agent"
#define CA_FILE CA_DIR "/ironic.crt"
static const char *const conf_dirs[] = { "etc/ironic-python-agent.conf.d",
					 "etc/ironic-python-agent.d" };

void boot_content_done(struct boot_content *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c->text);
	*c = (struct boot_content){ .fd = -1 };
}

ssize_t boot_content_read(const struct boot_content *c, uint64_t offset, void *out, size_t len)
{
	/* The size was told to the client at the start: what the file has grown by is not sent. */
	if (offset > c->size)
		return -EINVAL;
	size_t want = MIN((uint64_t)len, c->size - offset);
	if (c->text) {
		memcpy(out, c->text + offset, want);
		return (ssize_t)want;
	}
	for (size_t done = 0; done < want;) {
		ssize_t n = pread(c->fd, (char *)out + done, want - done, (off_t)(offset + done));
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		done += (size_t)n;
	}
	return (ssize_t)want;
}

/* EDK2 tells EFI programs by this type, or by the name's end. */
static const char *file_type(const char *path)
{
	return str_has_suffix(path, ".efi") || str_has_suffix(path, ".efi.signed") ? TYPE_EFI
										   : TYPE_BYTES;
}

static int stat_regular(int fd, struct stat *st)
{
	if (fstat(fd, st) < 0)
		return -errno;
	return S_ISREG(st->st_mode) ? 0 : -EINVAL;
}

static int open_file(const char *path, struct boot_content *ret, struct err *err)
{
	struct stat st = { 0 };
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	int r = fd < 0 ? -errno : stat_regular(fd, &st);
	if (r < 0) {
		if (fd >= 0)
			close(fd);
		return err_set_errno(err, r, "cannot read the boot file %s", path);
	}
	*ret = (struct boot_content){ .fd = fd,
				      .size = (uint64_t)st.st_size,
				      .type = file_type(path) };
	snprintf(ret->etag, sizeof(ret->etag), "\"%llx-%llx-%llx%08lx\"",
		 (unsigned long long)st.st_ino, (unsigned long long)st.st_size,
		 (unsigned long long)st.st_mtim.tv_sec, (unsigned long)st.st_mtim.tv_nsec);
	return 0;
}

static int give_text(struct strbuf *text, const char *type, struct boot_content *ret)
{
	size_t len;
	char *data = strbuf_take(text, &len);
	*ret = (struct boot_content){ .fd = -1, .text = data, .size = len, .type = type };
	return 0;
}

/* --- the kinds: each gets the part of the name that its pattern left open --- */

static int open_loader(const struct boot_env *env, const char *name, int family,
		       struct boot_content *ret, struct err *err)
{
	const struct boot_file *f = boot_file_find(env->config, name);
	(void)family;
	return f ? open_file(f->path, ret, err) : -ENOENT;
}

static int open_ramdisk(const struct boot_env *env, const char *name, int family,
			struct boot_content *ret, struct err *err)
{
	const char *slash = strchr(name, '/');
	(void)family;
	_cleanup_(freep) char *flavour = slash ? xstrndup(name, (size_t)(slash - name)) : NULL;
	const struct boot_ramdisk *r = slash ? boot_ramdisk_find(env->config, flavour) : NULL;
	if (r && streq(slash, "/vmlinuz"))
		return open_file(r->kernel, ret, err);
	if (r && streq(slash, "/initramfs"))
		return open_file(r->initramfs, ret, err);
	return -ENOENT;
}

/* Small, so that it is made anew each time instead of being kept in step with the certificate. */
static int open_ca(const struct boot_env *env, const char *name, int family,
		   struct boot_content *ret, struct err *err)
{
	static const char conf[] = "[DEFAULT]\ncafile = /" CA_FILE "\n";
	struct cpio c = { 0 };
	(void)name;
	(void)family;
	(void)err;
	if (!env->config->ca_pem)
		return -ENOENT;
	cpio_add_dir(&c, "etc", 0755);
	cpio_add_dir(&c, CA_DIR, 0755);
	cpio_add_file(&c, CA_FILE, 0644, env->config->ca_pem, strlen(env->config->ca_pem));
	for (size_t i = 0; i < ARRAY_SIZE(conf_dirs); i++) {
		_cleanup_(freep) char *file = xasprintf("%s/ingot.conf", conf_dirs[i]);
		cpio_add_dir(&c, conf_dirs[i], 0755);
		cpio_add_file(&c, file, 0644, conf, sizeof(conf) - 1);
	}
	*ret = (struct boot_content){ .fd = -1, .type = TYPE_BYTES };
	size_t len;
	ret->text = cpio_take(&c, &len);
	ret->size = len;
	return 0;
}

static int open_generic(const struct boot_env *env, const char *name, int family,
			struct boot_content *ret, struct err *err)
{
	struct strbuf text = { 0 };
	(void)name;
	(void)err;
	boot_script_ipxe_generic(boot_http_url(env->config, family), &text);
	return give_text(&text, TYPE_TEXT, ret);
}

static int open_grub_generic(const struct boot_env *env, const char *name, int family,
			     struct boot_content *ret, struct err *err)
{
	struct strbuf text = { 0 };
	(void)env;
	(void)name;
	(void)family;
	(void)err;
	boot_script_grub_generic(&text);
	return give_text(&text, TYPE_TEXT, ret);
}

/* --- the scripts of a host --- */

enum script_kind { SCRIPT_IPXE, SCRIPT_GRUB };

/* The URLs of one place, and the strings that they stand in. */
struct place {
	char *kernel, *initramfs, *ca;
};

static void places_done(struct place (*places)[BOOT_OTHERS_MAX + 1])
{
	for (size_t i = 0; i < ARRAY_SIZE(*places); i++)
		free((*places)[i].kernel), free((*places)[i].initramfs), free((*places)[i].ca);
}

/* files: base of kernel and initramfs; base: of what is small. */
static struct place flavour_place(const char *files, const char *base, const char *flavour)
{
	return (struct place){ .kernel = xasprintf("%s/ramdisk/%s/vmlinuz", files, flavour),
			       .initramfs = xasprintf("%s/ramdisk/%s/initramfs", files, flavour),
			       .ca = xasprintf("%s/boot/ca.cpio", base) };
}

/* Ours first. GRUB loads by TFTP, from where it came itself, so there is nothing else for it. */
static size_t find_places(const struct boot_config *config, const struct boot_host *host,
			  int family, enum script_kind kind,
			  struct place places[static BOOT_OTHERS_MAX + 1])
{
	const char *const none[] = { NULL };
	const char *url = boot_http_url(config, family);
	const char *files = family == AF_INET ? config->file_url : NULL;
	const char *const *others = host->other_urls ? host->other_urls : none;
	size_t count = 0;
	if (kind == SCRIPT_GRUB) {
		if (!host->flavour)
			return 0;
		places[count] = flavour_place("", "", host->flavour);
		str_replace(&places[count++].ca, "/ca.cpio");
	} else if (host->flavour) {
		places[count++] = flavour_place(files ? files : url, url, host->flavour);
		for (; *others && count <= BOOT_OTHERS_MAX; others++)
			places[count++] = flavour_place(*others, *others, host->flavour);
	} else if (host->kernel_url && host->initramfs_url) {
		places[count++] = (struct place){ .kernel = xstrdup(host->kernel_url),
						  .initramfs = xstrdup(host->initramfs_url),
						  .ca = xasprintf("%s/boot/ca.cpio", url) };
	}
	return count;
}

static int write_ramdisk(const struct boot_config *config, const struct boot_host *host,
			 const struct net_mac *mac, int family, enum script_kind kind,
			 struct strbuf *out)
{
	_cleanup_(places_done) struct place places[BOOT_OTHERS_MAX + 1] = { 0 };
	struct boot_script_files files[BOOT_OTHERS_MAX + 1];
	struct boot_script_boot b = { .places = files,
				      .place_count = find_places(config, host, family, kind,
								 places),
				      .cmdline = host->cmdline };
	if (b.place_count == 0 || (host->flavour && !boot_ramdisk_find(config, host->flavour)))
		return -EINVAL;
	for (size_t i = 0; i < b.place_count; i++)
		files[i] = (struct boot_script_files){ places[i].kernel, places[i].initramfs,
						       config->ca_pem ? places[i].ca : NULL };
	boot_mac_file(mac, b.mac);
	return kind == SCRIPT_GRUB ? boot_script_grub_ramdisk(&b, out)
				   : boot_script_ipxe_ramdisk(&b, out);
}

static int write_script(const struct boot_env *env, const struct net_mac *mac, int family,
			enum script_kind kind, struct strbuf *out, struct err *err)
{
	_cleanup_(freep) char *cmdline = NULL;
	struct boot_host host = { 0 };
	if (!env->ops->find(env->data, mac, &host)) {
		if (env->ops->stranger)
			env->ops->stranger(env->data, mac, BOOT_REQUEST_SCRIPT);
		return -ENOENT;
	}
	/* Also when it will exit to the disk: the firmware has come as far as this. */
	if (env->ops->seen)
		env->ops->seen(env->data, mac, BOOT_STAGE_SCRIPT);
	switch (host.target) {
	case BOOT_TARGET_NONE:
		if (kind == SCRIPT_GRUB)
			boot_script_grub_disk(out);
		else
			boot_script_ipxe_disk(out);
		return 0;
	case BOOT_TARGET_RAMDISK:
		if (env->ops->complete)
			env->ops->complete(env->data, mac, family, &host, &cmdline);
		host.cmdline = cmdline ? cmdline : host.cmdline;
		if (write_ramdisk(env->config, &host, mac, family, kind, out) == 0)
			return 0;
		break;
	}
	return err_set(err, ERR_INVALID,
		       "no boot script for host %s: its ramdisk (\"%s\") is not configured, or its "
		       "kernel line or URLs hold characters that a boot loader cannot take",
		       host.name, str_or(host.flavour, "by URL"));
}

static int open_script(const struct boot_env *env, const struct net_mac *mac, int family,
		       enum script_kind kind, struct boot_content *ret, struct err *err)
{
	struct strbuf text = { 0 };
	int r = write_script(env, mac, family, kind, &text, err);
	if (r == 0)
		return give_text(&text, TYPE_TEXT, ret);
	strbuf_done(&text);
	return r;
}

/* Colons or hyphens between the pairs, either case. */
static int parse_mac(const char *text, struct net_mac *ret)
{
	char colons[NET_MAC_TEXT_SIZE];
	size_t len = strlen(text);
	if (len != sizeof(colons) - 1)
		return -EINVAL;
	for (size_t i = 0; i <= len; i++)
		colons[i] = text[i];
	for (size_t i = 2; i < len; i += 3)
		if (colons[i] == '-')
			colons[i] = ':';
	return net_parse_mac(colons, ret);
}

static int open_ipxe(const struct boot_env *env, const char *name, int family,
		     struct boot_content *ret, struct err *err)
{
	struct net_mac mac;
	return parse_mac(name, &mac) == 0 ? open_script(env, &mac, family, SCRIPT_IPXE, ret, err)
					  : -ENOENT;
}

static int open_grub(const struct boot_env *env, const char *name, int family,
		     struct boot_content *ret, struct err *err)
{
	struct net_mac mac;
	return parse_mac(name, &mac) == 0 ? open_script(env, &mac, family, SCRIPT_GRUB, ret, err)
					  : -ENOENT;
}

/* The first row that matches decides. */
static const struct kind {
	const char *prefix, *suffix;
	bool exact; /* nothing between the two */
	int (*open)(const struct boot_env *env, const char *rest, int family,
		    struct boot_content *ret, struct err *err);
} kinds[] = {
	{ "ca.cpio", "", true, open_ca },
	{ "boot.ipxe", "", true, open_generic },
	{ "", ".ipxe", false, open_ipxe },
	{ "ramdisk/", "", false, open_ramdisk },
	{ "grub/grub.cfg", "", true, open_grub_generic },
	{ "grub/", "", false, open_grub },
	{ "", "", false, open_loader },
};

int boot_content_open(const struct boot_env *env, const char *name, int family,
		      struct boot_content *ret, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct kind *k = &kinds[i];
		size_t around = strlen(k->prefix) + strlen(k->suffix), len = strlen(name);
		if (!str_has_prefix(name, k->prefix) || !str_has_suffix(name, k->suffix) ||
		    (k->exact ? len != around : len <= around))
			continue;
		_cleanup_(freep) char *rest = xstrndup(name + strlen(k->prefix), len - around);
		return k->open(env, rest, family, ret, err);
	}
	return -ENOENT;
}
