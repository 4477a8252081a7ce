/* See grub.h. GRUB's shell takes what stands between single quotes as it is; but quotes and
 * backslashes inside would reach the kernel with a backslash in front, so such words are refused.
 */

#include "media/grub.h"

#include <errno.h>
#include <string.h>

static bool plain(const char *text)
{
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f || strchr("\"'\\", *p))
			return false;
	return true;
}

static bool path_usable(const char *path)
{
	return path[0] == '/' && plain(path) && !strchr(path, ' ');
}

static void add_word(struct strbuf *out, const char *word, size_t len)
{
	strbuf_adds(out, " '");
	strbuf_add(out, word, len);
	strbuf_addc(out, '\'');
}

int media_grub_format(const struct media_grub *b, struct strbuf *out)
{
	const char *cmdline = str_or(b->cmdline, "");
	bool usable = path_usable(b->kernel) && plain(cmdline);
	for (const char *const *i = b->initrds; *i; i++)
		usable = usable && path_usable(*i);
	if (!usable)
		return -EINVAL;
	strbuf_addf(out, "linux %s", b->kernel);
	for (const char *p = cmdline + strspn(cmdline, " "); *p; p += strspn(p, " ")) {
		size_t len = strcspn(p, " ");
		add_word(out, p, len);
		p += len;
	}
	strbuf_adds(out, "\ninitrd");
	for (const char *const *i = b->initrds; *i; i++)
		strbuf_addf(out, " %s", *i);
	strbuf_adds(out, "\nboot\nexit 1\n");
	return 0;
}
