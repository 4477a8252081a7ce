/* Small text files, read whole and with a limit. They hold credentials, so buffers are zeroed. */

#include "kube/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

static int read_all(int fd, const char *path, struct strbuf *out, struct err *err)
{
	char block[4096];
	for (;;) {
		ssize_t n = read(fd, block, sizeof(block));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set_errno(err, errno, "cannot read %s", path);
		if (n == 0)
			break;
		if (out->len + (size_t)n > KUBE_FILE_MAX)
			return err_set(err, ERR_LIMIT, "%s is larger than 1 MiB", path);
		strbuf_add(out, block, (size_t)n);
	}
	secret_zero(block, sizeof(block));
	if (out->len > 0 && strlen(out->data) != out->len)
		return err_set(err, ERR_INVALID, "%s holds binary data", path);
	return 0;
}

int kube_read_file(const char *path, char **ret, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return err_set_errno(err, errno, "cannot open %s", path);
	struct strbuf out = { 0 };
	strbuf_reserve(&out, 16 * 1024); /* growing would leave copies of secrets behind */
	strbuf_clear(&out);
	int r = read_all(fd, path, &out, err);
	close(fd);
	if (r < 0) {
		secret_zero(out.data, out.len);
		strbuf_done(&out);
		return r;
	}
	*ret = strbuf_take(&out, NULL);
	return 0;
}

int kube_read_word(const char *path, char **ret, struct err *err)
{
	static const char blank[] = " \t\r\n";
	_cleanup_(secret_freep) char *text = NULL;
	int r = kube_read_file(path, &text, err);
	if (r < 0)
		return r;
	const char *start = text + strspn(text, blank); // NOLINT: never NULL here
	size_t len = strlen(start);
	while (len > 0 && strchr(blank, start[len - 1]))
		len--;
	if (len == 0)
		return err_set(err, ERR_INVALID, "%s is empty", path);
	*ret = xstrndup(start, len);
	return 0;
}
