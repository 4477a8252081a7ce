#pragma once
/* Boot entries of a CD: "El Torito" Bootable CD-ROM Format Specification 1.0, with the platform of
 * UEFI 2.10, section 13.3.2.1. All images are without emulation. Pure. */

#include <stdint.h>

enum {
	ELTORITO_SECTOR = 2048,
	ELTORITO_RECORD_LBA = 17, /* where firmware looks for the boot record */
	ELTORITO_INFO_AT = 8,	  /* of a BIOS image: the boot information table */
	ELTORITO_INFO_SIZE = 56,
};

/* A boot image on the disc. bytes 0: none. */
struct eltorito_image {
	uint32_t lba;
	uint64_t bytes;
};

/* The boot record volume descriptor. */
void eltorito_record(uint32_t catalog_lba, uint8_t out[ELTORITO_SECTOR]);
/* The boot catalog. One of the images at least. */
void eltorito_catalog(const struct eltorito_image *bios, const struct eltorito_image *uefi,
		      uint8_t out[ELTORITO_SECTOR]);
/* What mkisofs calls -boot-info-table: a BIOS image (ISOLINUX, GRUB) learns from it where the rest
 * of it is, because the BIOS loads its first sector only. `sum`: see eltorito_sum. */
void eltorito_info(uint32_t descriptor_lba, const struct eltorito_image *bios, uint32_t sum,
		   uint8_t out[ELTORITO_INFO_SIZE]);
/* Of an image's content from byte 64 on, a part at a time: little-endian words added up. `at` is
 * the part's place in the image. */
uint32_t eltorito_sum(uint32_t sum, uint64_t at, const void *data, uint64_t len);
