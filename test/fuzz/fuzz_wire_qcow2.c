/* A qcow2 file from its first byte: header, then every table that lies inside the input. */

#include "wire/qcow2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk_l2(const struct qcow2_header *h, const uint8_t *table)
{
	for (uint32_t i = 0; i < qcow2_l2_entries(h); i++) {
		struct qcow2_cluster c;
		if (qcow2_l2_entry(h, table, i, &c, NULL) < 0)
			return;
		/* Sums of what is accepted must not overflow. */
		if (c.host + c.size < c.host)
			__builtin_trap();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qcow2_header h;
	struct err err;
	if (qcow2_parse_header(data, size, &h, &err) < 0)
		return 0;
	uint64_t l1_end = h.l1_offset + (uint64_t)h.l1_entries * 8;
	if (l1_end > size)
		return 0;
	for (uint32_t i = 0; i < h.l1_entries; i++) {
		uint64_t offset;
		if (qcow2_l1_entry(&h, data + h.l1_offset, i, &offset, &err) < 0)
			return 0;
		if (offset > 0 && offset < size && size - offset >= qcow2_cluster_size(&h))
			walk_l2(&h, data + offset);
	}
	return 0;
}
