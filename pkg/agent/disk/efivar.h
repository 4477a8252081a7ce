#pragma once
/* Load options of UEFI (2.10, section 3.1.3): the contents of Boot#### variables, for loaders on a
 * partition. any thread */

#include <stdbool.h>

#include "base/err.h"
#include "base/macro.h"
#include "wire/gpt.h"

enum { EFI_LABEL_MAX = 64, EFI_PATH_MAX = 256, EFI_OPTION_MAX = 4096 };

struct efi_option {
	bool active;
	char label[EFI_LABEL_MAX]; /* ASCII; others '?' */
	/* The hard drive node; number 0: the path does not begin with one. */
	uint32_t partition;
	uint64_t start, sectors; /* of the partition */
	bool gpt;
	struct gpt_guid id;	 /* of the partition (GPT) */
	uint32_t disk_id;	 /* of the disk (MBR) */
	char path[EFI_PATH_MAX]; /* "\EFI\BOOT\BOOTX64.EFI"; "" without a file node */
};

/* Without the four bytes of attributes that efivarfs puts in front. */
int efi_option_parse(const void *data, size_t len, struct efi_option *ret);
/* Returns the length. */
size_t efi_option_encode(const struct efi_option *o, uint8_t out[EFI_OPTION_MAX]);
/* "HD(1,GPT,…)/File(\EFI\…)", as efibootmgr -v prints it; returns out. */
char *efi_option_describe(const struct efi_option *o, char *out, size_t size);

/* First line of a BOOT*.CSV: loader file and label. UTF-16 with or without BOM, or ASCII. */
int efi_csv_parse(const void *data, size_t len, char file[EFI_PATH_MAX], char label[EFI_LABEL_MAX]);
