/* The block ring: blocks are counted by ever-growing numbers, the place of a block is its number
 * modulo the size. The producer fills the block after the last published one without the lock; the
 * lock covers the counters alone. One mutex, one condition. */

#include "agent/disk/ring.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct disk_ring {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint8_t *bytes;
	size_t blocks;
	size_t *lengths;
	uint64_t published;		     /* blocks ready for readers */
	uint64_t released[_DISK_READER_MAX]; /* blocks each reader is done with */
	size_t filled;			     /* of the block being filled: the producer's */
	bool ended, aborted, starving;	     /* starving: the producer waits for room */
	struct err end_error;
	void (*space)(void *data);
	void *data;
};

struct disk_ring *disk_ring_new(size_t blocks, void (*space)(void *data), void *data)
{
	struct disk_ring *r = xcalloc(1, sizeof(*r));
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->changed, NULL);
	r->blocks = blocks;
	r->bytes = disk_alloc(blocks * DISK_BLOCK);
	r->lengths = xcalloc(blocks, sizeof(*r->lengths));
	r->space = space;
	r->data = data;
	return r;
}

struct disk_ring *disk_ring_free(struct disk_ring *r)
{
	if (!r)
		return NULL;
	pthread_mutex_destroy(&r->lock);
	pthread_cond_destroy(&r->changed);
	free(r->bytes);
	free(r->lengths);
	free(r);
	return NULL;
}

static uint8_t *block(struct disk_ring *r, uint64_t number)
{
	return r->bytes + number % r->blocks * DISK_BLOCK;
}

static bool has_room(const struct disk_ring *r)
{
	uint64_t oldest = MIN(r->released[DISK_READER_HASH], r->released[DISK_READER_DECODE]);
	return r->published - oldest < r->blocks;
}

static void publish(struct disk_ring *r)
{
	pthread_mutex_lock(&r->lock);
	r->lengths[r->published % r->blocks] = r->filled;
	r->published++;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
	r->filled = 0;
}

/* Only asked before the first byte of a block: its buffer may still be read. */
static bool may_fill(struct disk_ring *r)
{
	pthread_mutex_lock(&r->lock);
	bool room = has_room(r);
	r->starving = !room;
	pthread_mutex_unlock(&r->lock);
	return room;
}

size_t disk_ring_put(struct disk_ring *r, const void *data, size_t len)
{
	size_t done = 0;
	while (done < len) {
		if (r->filled == 0 && !may_fill(r))
			break;
		size_t n = MIN(len - done, DISK_BLOCK - r->filled);
		memcpy(block(r, r->published) + r->filled, (const char *)data + done, n);
		r->filled += n;
		done += n;
		if (r->filled == DISK_BLOCK)
			publish(r);
	}
	return done;
}

void disk_ring_end(struct disk_ring *r, const struct err *err)
{
	if (r->filled > 0 && !err)
		publish(r);
	pthread_mutex_lock(&r->lock);
	r->ended = true;
	if (err)
		r->end_error = *err;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

static int take(struct disk_ring *r, uint64_t number, const uint8_t **ret, size_t *ret_len,
		struct err *err)
{
	if (r->aborted)
		return err_set(err, ERR_CANCELLED, "the transfer was given up");
	if (number < r->published) {
		*ret = block(r, number);
		*ret_len = r->lengths[number % r->blocks];
		return 1;
	}
	return r->end_error.kind ? err_copy(err, &r->end_error) : 0;
}

int disk_ring_next(struct disk_ring *r, enum disk_reader reader, const uint8_t **ret,
		   size_t *ret_len, struct err *err)
{
	pthread_mutex_lock(&r->lock);
	uint64_t number = r->released[reader];
	while (number == r->published && !r->ended && !r->aborted)
		pthread_cond_wait(&r->changed, &r->lock);
	int result = take(r, number, ret, ret_len, err);
	pthread_mutex_unlock(&r->lock);
	return result;
}

void disk_ring_release(struct disk_ring *r, enum disk_reader reader)
{
	pthread_mutex_lock(&r->lock);
	r->released[reader]++;
	bool tell = r->starving && has_room(r);
	if (tell)
		r->starving = false;
	pthread_mutex_unlock(&r->lock);
	if (tell)
		r->space(r->data);
}

void disk_ring_abort(struct disk_ring *r)
{
	pthread_mutex_lock(&r->lock);
	r->aborted = true;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
}
