#pragma once
/* Boot entries of a CD: "El Torito" Bootable CD-ROM Format Specification 1.0, with the platform of
 * UEFI 2.10, section 13.3.2.1. All images are without emulation. Pure. */

#include <stdint.h>

enum {
	ELTORITO_SECTOR = 2048,
	ELTORITO_RECORD_LBA = 17, /* where firmware looks for the boot record */
	ELTORITO_INFO_AT = 8,	  /* of a BIOS image: the boot information table */
	ELTORITO_INFO_SIZE = 56,
	ELTORITO_GRUB2_AT = 2548, /* of GRUB's BIOS image: where the rest of it is on a stick */
	ELTORITO_GRUB2_SIZE = 8,
	ELTORITO_GRUB2_END = ELTORITO_GRUB2_AT + ELTORITO_GRUB2_SIZE,
	ELTORITO_MBR_SIZE = 512,
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
/* What xorriso calls --grub2-boot-info: GRUB's second stage, when the first sector of a stick loads
 * it, learns from it where it goes on. */
void eltorito_grub2(const struct eltorito_image *bios, uint8_t out[ELTORITO_GRUB2_SIZE]);
/* The first sector of a stick: xorriso's --grub2-mbr with `code`, GRUB's boot_hybrid.img, and a
 * partition table that shows the UEFI image. `sectors`: of the whole disc. */
void eltorito_mbr(const void *code, uint32_t sectors, const struct eltorito_image *bios,
		  const struct eltorito_image *uefi, uint8_t out[ELTORITO_MBR_SIZE]);
/* Of an image's content from byte 64 on, a part at a time: little-endian words added up. `at` is
 * the part's place in the image. */
uint32_t eltorito_sum(uint32_t sum, uint64_t at, const void *data, uint64_t len);
