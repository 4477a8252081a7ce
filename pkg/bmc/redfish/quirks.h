#pragma once
/* What vendors do differently, as rows: who, and what the driver does about it. Most are borne by
 * how the driver treats every BMC; the others switch a behaviour on by a bit. Pure. any thread */

#include <stdbool.h>
#include <stdint.h>

enum rf_quirk {
	RF_QUIRK_NONE,	       /* every BMC is treated so */
	RF_QUIRK_BOOT_WHOLE,   /* target, enabled and mode always go together */
	RF_QUIRK_BOOT_ENABLED, /* "enabled" is sent although it would not change */
	RF_QUIRK_USB_CD,       /* a virtual CD is the target UsbCd */
	RF_QUIRK_MODE_FLIPS,   /* the boot mode is checked after the boot device was set */
	RF_QUIRK_UEFI_ORDER,  /* no Hdd in UEFI: it would override the entry of the installed system
			       */
	RF_QUIRK_EXT_SLOTS,   /* only slots named EXT or Remote take URLs */
	RF_QUIRK_DELL_CD,     /* a virtual CD is chosen by an import of Dell's configuration */
	RF_QUIRK_IMAGE_STAYS, /* ImageName stays after an eject */
	RF_QUIRK_ENABLE_MEDIA, /* remote media must be switched on first, by an action of AMI */
	RF_QUIRK_VMM_CONTROL,  /* virtual media by Huawei's VmmControl */
	RF_QUIRK_BIOS_SD,      /* pending settings lie at Bios/SD, which no link names */
	RF_QUIRK_LICENSE, /* SecureBoot and media may need a licence: then they count as absent */
	_RF_QUIRK_MAX,
};

struct rf_quirk_row {
	const char *vendor;	   /* begins so, whatever the case; "": any */
	const char *model;	   /* contains this; NULL: any */
	const char *from, *before; /* firmware of the BMC, by its numbers; NULL: no bound */
	const char *what, *how;	   /* what it does, what the driver does: docs/bmc.md */
	enum rf_quirk quirk;
};

/* The whole table, ended by a row without a vendor. */
const struct rf_quirk_row *rf_quirk_rows(void);
/* Bits of enum rf_quirk. Texts may be "": unknown, and a bound on it does not hold. */
uint32_t rf_quirks_of(const char *vendor, const char *model, const char *firmware);
/* Numbers in the texts decide, from left to right: "iLO 5 v1.40" is before "iLO 5 v2.1". */
int rf_version_compare(const char *a, const char *b);
