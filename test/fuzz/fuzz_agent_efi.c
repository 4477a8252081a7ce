/* A Boot#### variable, which firmware and other systems write, and a BOOT.CSV. */

#include <string.h>

#include "agent/disk/efivar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct efi_option o, again;
	uint8_t out[EFI_OPTION_MAX];
	char text[512], file[EFI_PATH_MAX], label[EFI_LABEL_MAX];
	if (efi_option_parse(data, size, &o) == 0) {
		(void)efi_option_describe(&o, text, sizeof(text));
		size_t len = efi_option_encode(&o, out);
		if (efi_option_parse(out, len, &again) < 0 || strcmp(o.path, again.path) != 0)
			__builtin_trap();
	}
	(void)efi_csv_parse(data, size, file, label);
	return 0;
}
