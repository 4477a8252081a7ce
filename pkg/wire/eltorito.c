/* See eltorito.h. */

#include "wire/eltorito.h"

#include <string.h>

#include "base/cursor.h"
#include "base/macro.h"

enum {
	PLATFORM_X86 = 0,
	PLATFORM_UEFI = 0xef,
	BOOTABLE = 0x88,
	LAST_SECTION = 0x91,
	ENTRY = 32,
	VIRTUAL_SECTOR = 512, /* in which an entry counts what is to be loaded */
	BIOS_LOADS = ELTORITO_SECTOR / VIRTUAL_SECTOR,
};

void eltorito_record(uint32_t catalog_lba, uint8_t out[ELTORITO_SECTOR])
{
	struct wcursor w;
	memset(out, 0, ELTORITO_SECTOR);
	wcursor_init(&w, out, ELTORITO_SECTOR);
	wcursor_bytes(&w, "\0CD001\1EL TORITO SPECIFICATION", 30);
	wcursor_fill(&w, 0, 0x47 - 30);
	wcursor_le32(&w, catalog_lba);
}

static void put_platform(struct wcursor *w, uint8_t platform)
{
	/* The words of the entry add up to 0. */
	uint16_t sum = (uint16_t)(0x0001 + (platform << 8) + 0xaa55);
	wcursor_u8(w, 1);
	wcursor_u8(w, platform);
	wcursor_fill(w, 0, 26);
	wcursor_le16(w, (uint16_t)-sum);
	wcursor_u8(w, 0x55);
	wcursor_u8(w, 0xaa);
}

static void put_image(struct wcursor *w, const struct eltorito_image *image, uint16_t sectors)
{
	wcursor_u8(w, BOOTABLE);
	wcursor_fill(w, 0, 5); /* no emulation, the usual segment, no partition type */
	wcursor_le16(w, sectors);
	wcursor_le32(w, image->lba);
	wcursor_fill(w, 0, 20);
}

/* UEFI reads an image that its entry cannot count (32 MiB and more) up to the disc's end. */
static uint16_t uefi_sectors(const struct eltorito_image *image)
{
	uint64_t sectors = (image->bytes + VIRTUAL_SECTOR - 1) / VIRTUAL_SECTOR;
	return sectors > UINT16_MAX ? 0 : (uint16_t)sectors;
}

static void put_section(struct wcursor *w, const struct eltorito_image *uefi)
{
	wcursor_u8(w, LAST_SECTION);
	wcursor_u8(w, PLATFORM_UEFI);
	wcursor_le16(w, 1);
	wcursor_fill(w, 0, 28);
	put_image(w, uefi, uefi_sectors(uefi));
}

void eltorito_catalog(const struct eltorito_image *bios, const struct eltorito_image *uefi,
		      uint8_t out[ELTORITO_SECTOR])
{
	struct wcursor w;
	memset(out, 0, ELTORITO_SECTOR);
	wcursor_init(&w, out, ELTORITO_SECTOR);
	put_platform(&w, bios->bytes ? PLATFORM_X86 : PLATFORM_UEFI);
	if (!bios->bytes) {
		put_image(&w, uefi, uefi_sectors(uefi));
		return;
	}
	put_image(&w, bios, BIOS_LOADS);
	if (uefi->bytes)
		put_section(&w, uefi);
}

void eltorito_info(uint32_t descriptor_lba, const struct eltorito_image *bios, uint32_t sum,
		   uint8_t out[ELTORITO_INFO_SIZE])
{
	struct wcursor w;
	wcursor_init(&w, out, ELTORITO_INFO_SIZE);
	wcursor_le32(&w, descriptor_lba);
	wcursor_le32(&w, bios->lba);
	wcursor_le32(&w, (uint32_t)bios->bytes);
	wcursor_le32(&w, sum);
	wcursor_fill(&w, 0, ELTORITO_INFO_SIZE - 16);
}

/* In sectors of a disk. The BIOS has loaded one of the disc's: five of the disk's further on is
 * what GRUB's second stage begins with. */
static uint64_t on_stick(const struct eltorito_image *image)
{
	return (uint64_t)image->lba * (ELTORITO_SECTOR / VIRTUAL_SECTOR);
}

void eltorito_grub2(const struct eltorito_image *bios, uint8_t out[ELTORITO_GRUB2_SIZE])
{
	struct wcursor w;
	wcursor_init(&w, out, ELTORITO_GRUB2_SIZE);
	wcursor_le64(&w, on_stick(bios) + BIOS_LOADS + 1);
}

static void put_partition(struct wcursor *w, uint8_t status, uint8_t type, uint64_t start,
			  uint64_t sectors)
{
	wcursor_u8(w, status);
	wcursor_bytes(w, "\xfe\xff\xff", 3); /* no cylinders, heads and sectors: LBA counts */
	wcursor_u8(w, type);
	wcursor_bytes(w, "\xfe\xff\xff", 3);
	wcursor_le32(w, (uint32_t)MIN(start, (uint64_t)UINT32_MAX));
	wcursor_le32(w, (uint32_t)MIN(sectors, (uint64_t)UINT32_MAX));
}

void eltorito_mbr(const void *code, uint32_t sectors, const struct eltorito_image *bios,
		  const struct eltorito_image *uefi, uint8_t out[ELTORITO_MBR_SIZE])
{
	enum { KERNEL_AT = 0x1b0, TABLE_AT = 446, UEFI_TYPE = 0xef };
	struct eltorito_image disc = { .lba = sectors };
	struct wcursor w;
	memcpy(out, code, KERNEL_AT);
	wcursor_init(&w, out + KERNEL_AT, ELTORITO_MBR_SIZE - KERNEL_AT);
	wcursor_le64(&w, on_stick(bios) + BIOS_LOADS);
	wcursor_fill(&w, 0, TABLE_AT - KERNEL_AT - 8);
	/* BIOSes want an active partition. Its type is that of an unused entry, as in Debian's
	 * images: EDK2 takes no table in which others overlap. */
	put_partition(&w, 0x80, 0, 0, on_stick(&disc));
	put_partition(&w, 0, UEFI_TYPE, on_stick(uefi),
		      (uefi->bytes + VIRTUAL_SECTOR - 1) / VIRTUAL_SECTOR);
	wcursor_fill(&w, 0, ELTORITO_MBR_SIZE - 2 - TABLE_AT - 2 * 16);
	wcursor_bytes(&w, "\x55\xaa", 2);
}

uint32_t eltorito_sum(uint32_t sum, uint64_t at, const void *data, uint64_t len)
{
	const uint8_t *p = data;
	for (uint64_t i = 0; i < len; i++)
		if (at + i >= ELTORITO_INFO_AT + ELTORITO_INFO_SIZE)
			sum += (uint32_t)p[i] << 8 * ((at + i) % 4);
	return sum;
}
