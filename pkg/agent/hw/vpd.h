#pragma once
/* Vital product data of SCSI disks (SPC-4, section 7.8) as the kernel shows them in sysfs, and the
 * IDENTIFY data of ATA in them (SAT). What is text is printable. Pure; any thread */

#include <stdbool.h>

#include "base/macro.h"

/* Page 0x80, the unit serial number: without blanks around; NULL when empty. New string. */
char *vpd_serial(const void *page, size_t len);

/* Page 0x83: the identifier that udev's scsi_id calls ID_SERIAL, which begins with the digit of its
 * type: "3600508b1…" for an NAA number. Behind that digit, and for `vendor_specific` ones behind
 * vendor and model, is ID_SERIAL_SHORT. NULL when the page has none. New string. */
char *vpd_identifier(const void *page, size_t len, bool *ret_vendor_specific);

/* Page 0x89: the ATA disk's model (sysfs cuts it at 16 characters) and serial number; NULL. New
 * strings. */
char *vpd_ata_model(const void *page, size_t len);
char *vpd_ata_serial(const void *page, size_t len);
