/* Log collection: our own log (the last lines, in memory), the kernel's log, and the files of /proc
 * that tell what the kernel saw. The archive is small; the reference's holds thousands of journal
 * lines. The ring of lines is shared by all threads that log, hence its lock. */

#include "agent/logs.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>

#include "agent/hw/sysfs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "wire/compress.h"

enum {
	LINES_MAX = 2000,
	TAR_BLOCK = 512,
	KLOG_READ_ALL = 3,
	KLOG_SIZE = 10,
	KLOG_MAX = 512 * 1024
};

static struct {
	pthread_mutex_t lock;
	char *lines[LINES_MAX];
	size_t next;
} ring = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void on_line(void *data, enum log_level level, const char *line)
{
	(void)data;
	(void)level;
	fprintf(stderr, "%s\n", line);
	pthread_mutex_lock(&ring.lock);
	free(ring.lines[ring.next]);
	ring.lines[ring.next] = xstrdup(line);
	ring.next = (ring.next + 1) % LINES_MAX;
	pthread_mutex_unlock(&ring.lock);
}

void agent_logs_start(void)
{
	log_set_sink(on_line, NULL);
}

static void add_own_log(struct strbuf *tar)
{
	_cleanup_(strbuf_done) struct strbuf text = { 0 };
	pthread_mutex_lock(&ring.lock);
	for (size_t i = 0; i < LINES_MAX; i++) {
		const char *line = ring.lines[(ring.next + i) % LINES_MAX];
		if (line)
			strbuf_addf(&text, "%s\n", line);
	}
	pthread_mutex_unlock(&ring.lock);
	agent_tar_add(tar, "ingot-agent.log", text.data, text.len);
}

/* The kernel logs its command line, with a token given there. */
static void hide_tokens(char *text, size_t len)
{
	static const char key[] = "ipa-agent-token=";
	char *p = text, *end = text + len;
	while ((p = memmem(p, (size_t)(end - p), key, strlen(key))))
		for (p += strlen(key); p<end && * p> ' '; p++)
			*p = '*';
}

static void add_kernel_log(struct strbuf *tar)
{
	int size = klogctl(KLOG_SIZE, NULL, 0);
	if (size <= 0)
		return;
	size = MIN(size, (int)KLOG_MAX);
	_cleanup_(freep) char *text = xmalloc((size_t)size);
	int n = klogctl(KLOG_READ_ALL, text, size);
	if (n <= 0)
		return;
	hide_tokens(text, (size_t)n);
	agent_tar_add(tar, "dmesg", text, (size_t)n);
}

/* --- tar ------------------------------------------------------------------------------------- */

/* POSIX ustar; the checksum counts its own field as blanks. */
void agent_tar_add(struct strbuf *tar, const char *name, const void *data, size_t len)
{
	char head[TAR_BLOCK] = { 0 };
	unsigned sum = 0;
	snprintf(head, 100, "%s", name);
	memcpy(head + 100, "0000644", 8);
	memcpy(head + 108, "0000000", 8);
	memcpy(head + 116, "0000000", 8);
	snprintf(head + 124, 12, "%011zo", len & 077777777777);
	memcpy(head + 136, "00000000000", 12);
	memset(head + 148, ' ', 8);
	head[156] = '0';
	memcpy(head + 257, "ustar", 6);
	head[263] = head[264] = '0';
	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += (unsigned char)head[i];
	snprintf(head + 148, 8, "%06o", sum & 0777777);
	strbuf_add(tar, head, TAR_BLOCK);
	if (len > 0)
		strbuf_add(tar, data, len);
	static const char zeros[TAR_BLOCK];
	strbuf_add(tar, zeros, (TAR_BLOCK - len % TAR_BLOCK) % TAR_BLOCK);
}

void agent_tar_end(struct strbuf *tar)
{
	static const char zeros[2 * TAR_BLOCK];
	strbuf_add(tar, zeros, sizeof(zeros));
}

char *agent_logs_collect(const char *root)
{
	/* The command line may hold the agent's token and stays out. */
	static const char *const files[] = { "mounts",	"partitions", "mdstat",	 "modules",
					     "meminfo", "interrupts", "devices", "net/dev" };
	_cleanup_(strbuf_done) struct strbuf tar = { 0 };
	_cleanup_(strbuf_done) struct strbuf packed = { 0 };
	add_own_log(&tar);
	add_kernel_log(&tar);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		size_t len = 0;
		_cleanup_(freep) uint8_t *text = hw_read_bytes(root, &len, "/proc/%s", files[i]);
		char name[64];
		snprintf(name, sizeof(name), "proc/%s", files[i]);
		if (text)
			agent_tar_add(&tar, name, text, len);
	}
	agent_tar_end(&tar);
	compress_gzip(tar.data, tar.len, &packed);
	return base64_encode(packed.data, packed.len);
}
