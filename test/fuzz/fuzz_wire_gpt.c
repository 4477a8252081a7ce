/* A disk of 512-byte sectors: sector 0 as MBR, sector 1 as GPT header with its table wherever it
 * says. What is accepted must survive being moved and written again. */

#include <stdlib.h>
#include <string.h>

#include "wire/gpt.h"
#include "wire/mbr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SECTOR = 512, DISK_SECTORS = 1 << 20 };

static void rewrite(struct gpt *g)
{
	if (gpt_relocate(g, DISK_SECTORS, NULL) < 0)
		return;
	uint8_t *header = malloc(SECTOR), *table = malloc(gpt_table_size(&g->header, SECTOR));
	struct gpt_header h;
	struct gpt again;
	gpt_encode(g, true, header, table);
	if (gpt_parse_header(header, SECTOR, DISK_SECTORS - 1, &h) == 0 &&
	    gpt_parse(&h, table, gpt_table_size(&h, SECTOR), SECTOR, &again) == 0)
		gpt_done(&again);
	free(header);
	free(table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mbr m;
	struct gpt_header h;
	struct gpt g;
	if (mbr_parse(data, size, &m) == 0) {
		uint8_t copy[MBR_SIZE];
		memcpy(copy, data, sizeof(copy));
		mbr_stretch_protective(copy, DISK_SECTORS);
		(void)(mbr_is_protective(&m) && mbr_count(&m));
	}
	if (size < 2 * SECTOR || gpt_parse_header(data + SECTOR, SECTOR, 1, &h) < 0)
		return 0;
	uint64_t at = h.entries_lba * SECTOR;
	if (h.entries_lba > size / SECTOR || gpt_table_size(&h, SECTOR) > size - at)
		return 0;
	if (gpt_parse(&h, data + at, size - at, SECTOR, &g) < 0)
		return 0;
	struct gpt_entry e = { .type = gpt_type_linux,
			       .first = h.first_usable,
			       .last = h.last_usable };
	unsigned number;
	(void)gpt_verify(&g, DISK_SECTORS, NULL);
	(void)gpt_add(&g, &e, &number, NULL);
	rewrite(&g);
	gpt_done(&g);
	return 0;
}
