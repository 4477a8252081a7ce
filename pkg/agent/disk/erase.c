/* Shredding as `shred --zero --verbose --iterations=N` does it, for disks without an erase command
 * of their own. The bytes need not be unpredictable, only incompressible, so a small generator is
 * enough. Zeros are written and not asked for (BLKZEROOUT): a thin device would only forget the
 * mapping. */

#include "agent/disk/erase.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static void fill(uint64_t *words, size_t count, uint64_t *state)
{
	for (size_t i = 0; i < count; i++)
		words[i] = next_random(state);
}

static int one_pass(const struct disk_dev *d, const struct disk_erase_options *o, bool random,
		    uint64_t *state, struct err *err)
{
	_cleanup_(freep) uint64_t *block = disk_alloc(DISK_BLOCK);
	int r = 0;
	for (uint64_t at = 0; at < d->size && r == 0;) {
		size_t n = (size_t)MIN((uint64_t)DISK_BLOCK, d->size - at);
		if (random)
			fill(block, DISK_BLOCK / sizeof(*block), state);
		r = disk_dev_write(d, at, block, n, err);
		at += n;
		if (!o->progress)
			continue;
		atomic_fetch_add(&o->progress->written, n);
		if (r == 0 && atomic_load(&o->progress->cancel))
			r = err_set(err, ERR_CANCELLED, "the erase was given up");
	}
	return r == 0 ? disk_dev_flush(d, err) : r;
}

int disk_erase(const struct disk_dev *d, const struct disk_erase_options *options, struct err *err)
{
	uint64_t state = options->seed;
	int r = 0;
	if (options->passes == 0 && !options->zeroize)
		return err_set(err, ERR_INVALID,
			       "no pass of random bytes and none of zeros: nothing to do");
	for (unsigned i = 0; i < options->passes && r == 0; i++)
		r = one_pass(d, options, true, &state, err);
	if (r == 0 && options->zeroize)
		r = one_pass(d, options, false, &state, err);
	if (r == 0)
		disk_dev_reread(d);
	return r;
}
