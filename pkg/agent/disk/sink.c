/* The write queue. The caller fills a buffer as long as offsets run on; a jump or a full buffer
 * hands it to the writer thread. Buffers of nothing but zeros become zero ranges, which the device
 * may do faster. Every path to the device passes store() or erase(), which divert what is withheld:
 * there is no other way for bytes to get there. */

#include "agent/disk/sink.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"

enum {
	HOLDS_MAX = 4,
	BOOT_SECTORS = 8192
}; /* sector 0 and the GPT header, also with 4 KiB sectors */

struct hold {
	uint64_t start, end;
	uint8_t *bytes;
};

struct task {
	struct list node;
	uint64_t offset, len;
	uint8_t *buffer; /* NULL: zeros */
};

struct disk_sink {
	struct disk_dev *dev;
	_Atomic uint64_t *written;
	struct hold holds[HOLDS_MAX];
	_Atomic size_t hold_count; /* grows after its row is complete: the writer reads it */
	/* The caller's. */
	uint8_t *current; /* being filled; NULL: none */
	uint64_t current_at;
	size_t current_len;
	uint64_t zero_at, zero_len; /* a zero range that may still grow */
	/* Shared, under the lock. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct list queue;
	uint8_t *spare[DISK_SINK_BUFFERS];
	size_t spare_count;
	bool busy, closing;
	struct err error;
	pthread_t thread;
	uint8_t *memory;
};

static void count(struct disk_sink *s, uint64_t n)
{
	if (s->written)
		atomic_fetch_add(s->written, n);
}

/* --- withheld parts --- */

/* The first hold that touches the range, lowest first; NULL: none. */
static struct hold *first_hold(struct disk_sink *s, uint64_t start, uint64_t end)
{
	struct hold *found = NULL;
	for (size_t i = 0; i < s->hold_count; i++) {
		struct hold *h = &s->holds[i];
		if (h->start < end && start < h->end && (!found || h->start < found->start))
			found = h;
	}
	return found;
}

void disk_sink_withhold(struct disk_sink *s, uint64_t offset, size_t len)
{
	uint64_t start = offset / DISK_ALIGN * DISK_ALIGN;
	uint64_t end = MIN((offset + len + DISK_ALIGN - 1) / DISK_ALIGN * DISK_ALIGN, s->dev->size);
	/* Holds never overlap: what another one covers is cut off. */
	struct hold *other;
	while (start < end && (other = first_hold(s, start, end))) {
		if (other->start <= start)
			start = other->end;
		else
			end = other->start;
	}
	if (start >= end || s->hold_count == HOLDS_MAX)
		return;
	size_t size = (size_t)((end - start + DISK_ALIGN - 1) / DISK_ALIGN * DISK_ALIGN);
	s->holds[s->hold_count] = (struct hold){ start, end, disk_alloc(size) };
	atomic_fetch_add(&s->hold_count, 1);
}

static int store(struct disk_sink *s, uint64_t offset, const uint8_t *data, size_t len,
		 struct err *err)
{
	while (len > 0) {
		struct hold *h = first_hold(s, offset, offset + len);
		size_t n = len;
		int r = 0;
		if (h && h->start <= offset) {
			n = (size_t)MIN((uint64_t)len, h->end - offset);
			memcpy(h->bytes + (offset - h->start), data, n);
		} else {
			n = h ? (size_t)(h->start - offset) : len;
			r = disk_dev_write(s->dev, offset, data, n, err);
		}
		if (r < 0)
			return r;
		count(s, n);
		offset += n;
		data += n;
		len -= n;
	}
	return 0;
}

static int erase(struct disk_sink *s, uint64_t offset, uint64_t len, struct err *err)
{
	while (len > 0) {
		struct hold *h = first_hold(s, offset, offset + len);
		uint64_t n = len;
		int r = 0;
		if (h && h->start <= offset) {
			n = MIN(len, h->end - offset);
			memset(h->bytes + (offset - h->start), 0, (size_t)n);
		} else {
			n = h ? h->start - offset : len;
			r = disk_dev_zero(s->dev, offset, n, err);
		}
		if (r < 0)
			return r;
		count(s, n);
		offset += n;
		len -= n;
	}
	return 0;
}

static bool all_zero(const uint8_t *p, size_t len)
{
	return len > 0 && p[0] == 0 && memcmp(p, p + 1, len - 1) == 0;
}

static int store_or_erase(struct disk_sink *s, uint64_t offset, const uint8_t *data, size_t len,
			  struct err *err)
{
	if (len % s->dev->sector == 0 && all_zero(data, len))
		return erase(s, offset, len, err);
	return store(s, offset, data, len, err);
}

/* --- the writer thread ----------------------------------------------------------------------- */

static void finish_task(struct disk_sink *s, struct task *t, const struct err *error)
{
	pthread_mutex_lock(&s->lock);
	if (t->buffer)
		s->spare[s->spare_count++] = t->buffer;
	if (error->kind && !s->error.kind)
		s->error = *error;
	s->busy = false;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	free(t);
}

static struct task *next_task(struct disk_sink *s, bool *ret_skip)
{
	pthread_mutex_lock(&s->lock);
	while (list_empty(&s->queue) && !s->closing)
		pthread_cond_wait(&s->changed, &s->lock);
	struct list *node = list_take_first(&s->queue);
	s->busy = node != NULL;
	*ret_skip = s->error.kind || s->closing;
	pthread_mutex_unlock(&s->lock);
	return node ? list_entry(node, struct task, node) : NULL;
}

static void *writer(void *data)
{
	struct disk_sink *s = data;
	struct task *t;
	bool skip;
	while ((t = next_task(s, &skip))) {
		struct err error = { 0 };
		if (!skip && t->buffer)
			(void)store_or_erase(s, t->offset, t->buffer, (size_t)t->len, &error);
		else if (!skip)
			(void)erase(s, t->offset, t->len, &error);
		finish_task(s, t, &error);
	}
	return NULL;
}

/* --- the caller's side ----------------------------------------------------------------------- */

static int check(struct disk_sink *s, struct err *err)
{
	pthread_mutex_lock(&s->lock);
	int r = s->error.kind ? err_copy(err, &s->error) : 0;
	pthread_mutex_unlock(&s->lock);
	return r;
}

static void enqueue(struct disk_sink *s, uint64_t offset, uint64_t len, uint8_t *buffer)
{
	struct task *t = xcalloc(1, sizeof(*t));
	t->offset = offset;
	t->len = len;
	t->buffer = buffer;
	pthread_mutex_lock(&s->lock);
	list_append(&s->queue, &t->node);
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

static void flush_current(struct disk_sink *s)
{
	if (s->zero_len > 0)
		enqueue(s, s->zero_at, s->zero_len, NULL);
	s->zero_len = 0;
	if (s->current && s->current_len > 0)
		enqueue(s, s->current_at, s->current_len, TAKE_PTR(s->current));
	s->current_len = 0;
}

static uint8_t *take_buffer(struct disk_sink *s, struct err *err)
{
	uint8_t *buffer = NULL;
	pthread_mutex_lock(&s->lock);
	while (s->spare_count == 0 && !s->error.kind)
		pthread_cond_wait(&s->changed, &s->lock);
	if (s->error.kind)
		err_copy(err, &s->error);
	else
		buffer = s->spare[--s->spare_count];
	pthread_mutex_unlock(&s->lock);
	return buffer;
}

/* Where a buffer that begins at `offset` ends: at the next boundary, so that what follows is
 * aligned. */
static size_t capacity(uint64_t offset)
{
	return (size_t)(DISK_BLOCK - offset % DISK_BLOCK);
}

uint8_t *disk_sink_space(struct disk_sink *s, uint64_t offset, size_t *ret_room, struct err *err)
{
	bool runs_on = s->current && offset == s->current_at + s->current_len &&
		       s->current_len < capacity(s->current_at);
	if (!runs_on) {
		flush_current(s);
		if (!s->current)
			s->current = take_buffer(s, err);
		if (!s->current)
			return NULL;
		s->current_at = offset;
	}
	if (offset >= s->dev->size) {
		err_set(err, ERR_LIMIT, "the image is larger than %s (%llu bytes)", s->dev->path,
			(unsigned long long)s->dev->size);
		return NULL;
	}
	*ret_room = (size_t)MIN((uint64_t)(capacity(s->current_at) - s->current_len),
				s->dev->size - offset);
	return s->current + s->current_len;
}

void disk_sink_advance(struct disk_sink *s, size_t n)
{
	s->current_len += n;
}

static int check_fits(const struct disk_sink *s, uint64_t offset, uint64_t len, struct err *err)
{
	if (offset <= s->dev->size && len <= s->dev->size - offset)
		return 0;
	return err_set(err, ERR_LIMIT, "the image is larger than %s (%llu bytes)", s->dev->path,
		       (unsigned long long)s->dev->size);
}

int disk_sink_put(struct disk_sink *s, uint64_t offset, const void *data, size_t len,
		  struct err *err)
{
	int r = check_fits(s, offset, len, err);
	while (r == 0 && len > 0) {
		size_t room = 0;
		uint8_t *to = disk_sink_space(s, offset, &room, err);
		if (!to)
			return err_value(err);
		size_t n = MIN(room, len);
		memcpy(to, data, n);
		disk_sink_advance(s, n);
		data = (const char *)data + n;
		offset += n;
		len -= n;
	}
	return r;
}

int disk_sink_write(struct disk_sink *s, uint64_t offset, const void *data, size_t len,
		    struct err *err)
{
	int r = check_fits(s, offset, len, err);
	if (r == 0)
		r = check(s, err);
	return r < 0 ? r : store_or_erase(s, offset, data, len, err);
}

int disk_sink_zero(struct disk_sink *s, uint64_t offset, uint64_t len, struct err *err)
{
	int r = check_fits(s, offset, len, err);
	if (r == 0)
		r = check(s, err);
	if (r < 0)
		return r;
	if (s->zero_len > 0 && s->zero_at + s->zero_len == offset) {
		s->zero_len += len;
		return 0;
	}
	flush_current(s);
	s->zero_at = offset;
	s->zero_len = len;
	return 0;
}

int disk_sink_drain(struct disk_sink *s, struct err *err)
{
	flush_current(s);
	pthread_mutex_lock(&s->lock);
	while ((!list_empty(&s->queue) || s->busy) && !s->error.kind)
		pthread_cond_wait(&s->changed, &s->lock);
	int r = s->error.kind ? err_copy(err, &s->error) : 0;
	pthread_mutex_unlock(&s->lock);
	return r;
}

/* --- commit ---------------------------------------------------------------------------------- */

const uint8_t *disk_sink_head(const struct disk_sink *s, size_t *ret_len)
{
	*ret_len = (size_t)(s->holds[0].end - s->holds[0].start);
	return s->holds[0].bytes;
}

int disk_sink_commit(struct disk_sink *s, struct err *err)
{
	int r = disk_sink_drain(s, err);
	const struct hold *head = &s->holds[0];
	size_t boot = (size_t)MIN((uint64_t)BOOT_SECTORS, head->end);
	for (size_t i = 1; i < s->hold_count && r == 0; i++)
		r = disk_dev_write(s->dev, s->holds[i].start, s->holds[i].bytes,
				   (size_t)(s->holds[i].end - s->holds[i].start), err);
	if (r == 0)
		r = disk_dev_write(s->dev, boot, head->bytes + boot, (size_t)head->end - boot, err);
	if (r == 0)
		r = disk_dev_flush(s->dev, err);
	/* The moment in which the disk becomes bootable. */
	if (r == 0)
		r = disk_dev_write(s->dev, 0, head->bytes, boot, err);
	return r == 0 ? disk_dev_flush(s->dev, err) : r;
}

int disk_sink_open(struct disk_dev *dev, _Atomic uint64_t *written, struct disk_sink **ret,
		   struct err *err)
{
	struct disk_sink *s = xcalloc(1, sizeof(*s));
	s->dev = dev;
	s->written = written;
	list_init(&s->queue);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	s->memory = disk_alloc((size_t)DISK_SINK_BUFFERS * DISK_BLOCK);
	for (size_t i = 0; i < DISK_SINK_BUFFERS; i++)
		s->spare[s->spare_count++] = s->memory + i * DISK_BLOCK;
	disk_sink_withhold(s, 0, DISK_SINK_HEAD);
	if (dev->size > DISK_SINK_TAIL)
		disk_sink_withhold(s, dev->size - DISK_SINK_TAIL, DISK_SINK_TAIL);
	int failed = pthread_create(&s->thread, NULL, writer, s);
	if (failed) {
		s->thread = 0;
		disk_sink_close(s);
		return err_set_errno(err, failed, "cannot start the writer");
	}
	*ret = s;
	return 0;
}

struct disk_sink *disk_sink_close(struct disk_sink *s)
{
	if (!s)
		return NULL;
	pthread_mutex_lock(&s->lock);
	s->closing = true;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	if (s->thread)
		pthread_join(s->thread, NULL);
	for (size_t i = 0; i < s->hold_count; i++)
		free(s->holds[i].bytes);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->changed);
	free(s->memory);
	free(s);
	return NULL;
}
